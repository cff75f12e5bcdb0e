"""The atlas names every system once, tells each idea in one place, and reads marks and names out of tests rightly."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CATALOGUE = ROOT.parent / "shared/SYSTEMS.md"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("atlas", ROOT / "scripts/atlas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


atlas = _load()
TABLE: dict[str, dict[str, str | dict[str, str] | None]] = yaml.safe_load((ROOT / "docs/systems.yaml").read_text())
NAMES = [name for systems in TABLE.values() for name in systems]


@pytest.mark.skipif(not CATALOGUE.exists(), reason="the catalogue of systems lies beside the repository")
def test_the_table_holds_every_system_of_the_catalogue_in_its_area_and_order() -> None:
    catalogue: dict[str, list[str]] = {}
    for line in CATALOGUE.read_text().split("## 20.")[0].splitlines():
        heading = re.match(r"## \d+\. (.+)", line)
        if heading is not None:
            catalogue[heading[1]] = []
        elif line.startswith("- **`"):
            catalogue[next(reversed(catalogue))] += re.findall(r"(?:\*\*|(?<=` / ))`([a-z0-9]+\.[a-z0-9-]+)`", line)
    assert len(catalogue) == 19
    assert {area: list(systems) for area, systems in TABLE.items()} == catalogue


def test_each_idea_is_told_in_one_place() -> None:
    """A chapter on one system alone is its only place; where a chapter tells several, the table may tell them apart."""
    for systems in atlas.areas().values():
        for system in systems:
            own = [each for each in system.chapters if each.systems == (system.name,)]
            if own:
                assert system.own_line is None, f"{system.name} is told by its chapter {own[0].topic}"
            else:
                assert system.own_line or system.chapters, f"{system.name} has no line"
    lines = [system.own_line for systems in atlas.areas().values() for system in systems if system.own_line]
    assert len(lines) == len(set(lines))
    assert all(line.endswith(".") and line[0].isupper() and "|" not in line and len(line) < 110 for line in lines)


def test_the_table_names_products_that_there_are() -> None:
    systems = [system for systems in atlas.areas().values() for system in systems]
    entries = [entry for systems in TABLE.values() for entry in systems.values() if isinstance(entry, dict)]
    assert all(set(entry) <= {"line", "product"} for entry in entries)
    names = {name for system in systems for name in system.own_product}
    assert len(names) > 20
    for name in sorted(names):
        assert atlas.PRODUCT.fullmatch(name)
        thing, parts = importlib.import_module(name.split(".")[0]), name.split(".")
        for i, part in enumerate(parts[1:], start=2):
            if not hasattr(thing, part):
                importlib.import_module(".".join(parts[:i]))
            thing = getattr(thing, part)


def test_every_mark_and_every_chapter_names_a_known_system() -> None:
    marks = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.name != "test_atlas.py"
        for name, _ in atlas.marked(path.read_text())
    }
    assert {name for name in marks if not name.startswith("W.")} <= set(NAMES)
    told = {name for topic in atlas.TOPICS for name in atlas.chapter(topic).systems}
    assert told <= set(NAMES)


SOURCE = """
import orthogon
import orthogon as og
from orthogon.data import split
from orthogon.models.mlp import MLP
from orthogon.scratch import adam as numpy_form


@pytest.fixture
def network():
    return MLP(64)


def trained(network):
    return split.make_splits(network).sizes()


{mark}("opt.adam", "train.l2")
@pytest.mark.parametrize("lr", [pytest.param(0.1, marks={bare}("opt.decay"))])
def test_one(network, lr):
    from orthogon.training.loop import fit

    fit(trained(network), numpy_form.adam(lr), orthogon.start("digits"), MLP(3).eval())


{mark}("opt.sgd")
class TestMore:
    def test_two(self):
        og.Run.open("0001")


TABLE: dict = {"a": split.make_splits}


{mark}("opt.batch")
def test_three(cli):
    numpy.start(other.MLP, TABLE)
    cli("runs", "--json")
    cli("no-verb")


def test_four(network):
    pass
"""


def test_marks_and_names_are_read_from_a_test_its_fixtures_and_what_it_calls() -> None:
    source = SOURCE.replace("{mark}", "@pytest.mark.system").replace("{bare}", "pytest.mark.system")
    found = dict(atlas.marked(source))
    used = {
        "orthogon.models.mlp.MLP",
        "orthogon.data.split.make_splits",
        "orthogon.training.loop.fit",
        "orthogon.scratch.adam.adam",
        "orthogon.start",
    }
    assert found == {
        "opt.adam": used,
        "train.l2": used,
        "opt.decay": used,
        "opt.sgd": {"orthogon.Run"},
        "opt.batch": {"orthogon.data.split.make_splits", "orthogon.cli.runs"},
    }


def test_a_row_leads_from_the_idea_to_the_tests() -> None:
    rows = {line.split("`")[1]: line for line in atlas.page().splitlines() if line.startswith("| `")}
    assert list(rows) == NAMES
    _, _, idea, scratch, product, tests, _ = rows["train.bn"].split("|")
    assert idea.strip().startswith("Give every unit mean 0")
    assert "[batch-norm](../src/orthogon/scratch/batch_norm.py) `batch_norm` `batch_norm_backward`" in scratch
    assert "`torch.nn.BatchNorm1d`" in product
    assert "`models.mlp.MLP`" in product
    assert "[scratch/batch_norm](../tests/scratch/test_batch_norm.py)" in tests
    assert all(("not yet" in row) != ("](../tests/" in row) for row in rows.values())

    def products(name: str) -> list[str]:
        return re.findall(r"`([^`]+)`", rows[name].split("|")[4])

    # what the table says goes before the chapter, the chapter before what tests use
    assert products("net.hardmax") == ["torch.argmax"]
    assert products("train.early-stop") == ["training.loop.fit"]
    assert "models.vgg.vgg16" in products("arch.vgg16")
