"""Every chapter of scratch keeps the room's contract: docstring, names, imports, demo."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import orthogon.scratch
from orthogon.scratch import TOPICS
from orthogon.scratch.learn import run_demo, sections

ROOM = Path(orthogon.scratch.__file__).parent
TESTS = Path(__file__).parent.parent
NO_CHAPTER = {"__init__", "learn", "toy_data"}
SLOW_DEMOS = {"adam", "mini-batches", "momentum"}  # about two seconds and above
AS_PROGRAM = """
if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
"""

chapters = pytest.mark.parametrize("topic", TOPICS)


def module_name(topic: str) -> str:
    return topic.replace("-", "_")


def parts(topic: str) -> dict[str, str]:
    docstring = ast.get_docstring(ast.parse((ROOM / f"{module_name(topic)}.py").read_text()), clean=False)
    assert docstring is not None
    return sections(docstring)


@cache
def proved() -> set[str]:
    """The systems that some test bears the mark of."""
    marks = re.findall(r"mark\.system\(([^)]*)\)", "".join(path.read_text() for path in TESTS.rglob("test_*.py")))
    return {name for mark in marks for name in re.findall(r'"([^"]+)"', mark)}


def test_every_file_is_a_chapter_listed_once_in_the_table_of_contents() -> None:
    assert sorted(map(module_name, TOPICS)) == sorted({path.stem for path in ROOM.glob("*.py")} - NO_CHAPTER)
    assert orthogon.scratch.__doc__ is not None
    listed = re.findall(r"^    ([a-z0-9-]+)  ", orthogon.scratch.__doc__, flags=re.MULTILINE)
    assert tuple(listed) == TOPICS


@chapters
def test_the_docstring_has_the_form(topic: str) -> None:
    idea = parts(topic)["Idea"]
    assert "\n\n" not in idea, "the idea is one paragraph"
    sentences = re.split(r"(?<=[.?!])\s+", idea)
    assert len(sentences) == 5, "the idea is five sentences"
    names = ("tanh ", "beta ")  # that may begin one
    assert all(sentence[0].isupper() or sentence.startswith(names) for sentence in sentences)
    assert all(sentence[-1] in ".?!" for sentence in sentences)
    assert all(3 <= len(sentence.split()) <= 60 for sentence in sentences)


@chapters
def test_it_ends_as_a_program(topic: str) -> None:
    assert (ROOM / f"{module_name(topic)}.py").read_text().endswith(AS_PROGRAM)


@chapters
def test_the_systems_are_proved_by_a_test(topic: str) -> None:
    named = parts(topic)["Systems"].split()
    assert all(re.fullmatch(r"[a-z0-9]+\.[a-z0-9-]+", name) for name in named)
    assert set(named) - proved() == set()


@chapters
def test_the_products_names_can_be_imported(topic: str) -> None:
    names = re.findall(r"\b(?:torch|torchvision|numpy|sklearn|scipy|orthogon)(?:\.\w+)+", parts(topic)["Product"])
    assert names
    for name in names:
        first, *rest = name.split(".")
        thing = importlib.import_module(first)
        for i, part in enumerate(rest):
            if not hasattr(thing, part):
                importlib.import_module(".".join([first, *rest[: i + 1]]))
            thing = getattr(thing, part)


@chapters
def test_a_chapter_stands_on_numpy_and_its_siblings_alone(topic: str) -> None:
    tree = ast.parse((ROOM / f"{module_name(topic)}.py").read_text())
    at_import = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            assert name.startswith("orthogon.scratch") or top in {"numpy", "matplotlib", *sys.stdlib_module_names}
            assert top != "matplotlib" or id(node) not in at_import, "matplotlib is for demos"
            assert "pyplot" not in name


@pytest.mark.parametrize(
    "topic", [pytest.param(topic, marks=[pytest.mark.slow] * (topic in SLOW_DEMOS)) for topic in TOPICS]
)
def test_the_demo_tells_the_same_story_twice_and_draws(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"orthogon.scratch.{module_name(topic)}")
    stories = []
    for _ in range(2):
        figure = module.demo()
        stories.append(capsys.readouterr().out)
        assert isinstance(figure, Figure)
        assert figure.axes
        assert all(len(line) <= 120 for line in stories[-1].splitlines())
    assert len(stories[0].splitlines()) >= 3
    assert len(set(stories)) == 1


def test_a_chapter_runs_without_a_display(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "orthogon.scratch.softmax", "--save", str(tmp_path / "a.png")]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"Picture: {tmp_path / 'a.png'}" in run.stdout
    assert run.stderr == ""
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_demo_is_saved_where_asked_or_in_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def demo() -> Figure:
        print("once upon a time")
        return Figure()

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["batch_norm.py"])
    run_demo(demo, ["--save", str(tmp_path / "new" / "a.png")])
    run_demo(demo, [])
    run_demo(lambda: None, [])
    out = capsys.readouterr().out
    saved = re.findall(r"Picture: (.*)", out)
    assert len(saved) == 2
    assert saved[0] == str(tmp_path / "new" / "a.png")
    assert Path(saved[1]).name == "batch-norm.png"
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in saved)
    assert out.startswith("once upon a time\n")


GOOD = """Thing: what it does.

An idea.

Equations:
    a = b

Product:
    torch.nn.Linear

Systems:
    net.deep

Paper:
    Someone 1999, "Something"
"""


def test_a_docstring_is_taken_apart() -> None:
    found = sections(GOOD)
    assert found == {
        "Title": "Thing",
        "Line": "what it does.",
        "Idea": "An idea.",
        "Equations": "a = b",
        "Product": "torch.nn.Linear",
        "Systems": "net.deep",
        "Paper": 'Someone 1999, "Something"',
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Thing: what", "what", "first line"),
        ("Product:\n    torch.nn.Linear\n\n", "", "sections are Equations, Systems, Paper"),
        ("An idea.", "", "Idea is empty"),
        ("    a = b", "a = b", "not indented"),
        ("Product:", "Paper:", "each once"),
    ],
)
def test_a_docstring_without_the_form_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sections(GOOD.replace(old, new))
