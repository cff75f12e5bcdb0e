"""One command from data to a first system: on a table, a labelled folder and pairs of strings.

What it leaves behind is complete: splits, a metric with its interval, baselines, a report that says so, and every
hyper-parameter that the system was made with.
"""

from __future__ import annotations

import csv
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file

from orthogon.project.config import ProjectConfig, get
from orthogon.tasks import TASKS, task_class

QUICK = ("--set", "training.epochs=2", "--set", "training.preflight=false")


def write_table(folder: Path) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    with open(folder / "people.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "weight", "buys"])
        writer.writerows([f"{a:.4f}", f"{b:.4f}", "yes" if a + b > 0 else "no"] for a, b in x)
    return "people.csv", "--target", "buys"


def write_folder(folder: Path) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    for name, first in (("dark", 0), ("light", 120)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(60):
            pixels = rng.integers(first, first + 110, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    return ("photos",)


def write_pairs(folder: Path) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    words = sorted({"".join(rng.choice(list("abcdef"), 4)) for _ in range(200)})[:120]
    (folder / "pairs.tsv").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    return ("pairs.tsv",)


KINDS: dict[str, tuple[Callable[[Path], tuple[str, ...]], str, str]] = {
    # what is written, the metric in words, a baseline
    "tabular": (write_table, "error rate", "majority"),
    "image_classification": (write_folder, "error rate", "majority class"),
    "seq2seq": (write_pairs, "", "commonest string"),
}


@pytest.fixture(params=KINDS)
def started(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> tuple[str, Path, str, dict[str, Any]]:
    """(kind, the run's folder, the screen, all that the task suggested)."""
    kind = request.param
    suggested: dict[str, Any] = {}
    own = task_class(kind).suggest

    def suggest(self: Any, train: Any) -> dict[str, Any]:
        found = own(self, train)
        suggested.update(found)
        return found

    monkeypatch.setattr(task_class(kind), "suggest", suggest)
    monkeypatch.chdir(tmp_path)
    words = KINDS[kind][0](tmp_path)
    code, out, err = cli("start", *words, *QUICK)
    assert code == 0, err
    (folder,) = tmp_path.glob("*-orthogon/runs/0001")
    return kind, folder, out, suggested


def text_of(page: str) -> str:
    """What a reader of an HTML page sees, in one line."""
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.system("strat.first", "net.hyper")
def test_a_first_system_is_complete(started: tuple[str, Path, str, dict[str, Any]]) -> None:
    kind, run, screen, suggested = started
    info = json.loads((run / "run.json").read_text())
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (info["status"], config["task"]["kind"]) == ("finished", kind)

    # splits: on the screen, in the run, in the report; nobody is in two of them
    sizes = info["split_sizes"]
    assert sizes == {"train": 72, "dev": 24, "test": 24}
    assert re.search(r"Splits\s+train 72, dev 24, test 24", screen)

    # the metric: named in the run, measured on each split, with the interval that the screen shows
    metric = config["metrics"]["optimise"]
    assert metric == info["metric"]
    page = (run / "derived/report.html").read_text()
    seen = text_of(page)
    title = KINDS[kind][1] or json.loads((run / "derived/diagnosis.json").read_text())["title"]
    diagnosis = json.loads((run / "derived/diagnosis.json").read_text())
    rungs = {rung["name"]: rung for rung in diagnosis["rungs"]}
    assert {"floor", "train", "dev", "test"} <= set(rungs)
    assert title in screen
    assert title in seen
    shown = f"{100 * rungs['dev']['value']:.1f} %"
    assert re.search(rf"dev\s+{re.escape(shown)}", screen)

    # a first report: how good, what limits it, what next, beside baselines, with learning curves
    for part in ("How good is it?", "What limits it?", "What next?", "Network beside baselines", KINDS[kind][2]):
        assert part in seen, part
    assert seen.index("How good is it?") < seen.index("What limits it?") < seen.index("What next?")
    for part in ("72", "24"):
        assert part in seen
    assert page.count("<svg") >= 2
    assert "curve-loss-" in page
    baselines = json.loads((run / "baselines.json").read_text())
    assert any(KINDS[kind][2] in str(baseline) for baseline in baselines)
    assert (run / "MODEL_CARD.md").read_text().startswith("#")

    # every hyper-parameter that was chosen stands in the run, as it was chosen
    assert len(suggested) > 5
    for key, value in suggested.items():
        wanted = 2 if key == "training.epochs" else value
        found = get(config, key)
        assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), key
    open_keys = {key for key in _keys(config) if get(config, key) is None}
    assert {key for key in open_keys if key.startswith(("task.", "training."))} <= {
        "training.steps",
        "training.minutes",
        "training.clip_norm",
        "training.clip_value",
        "training.ema_decay",
        "training.patience",
        "training.evaluate_every",
        "task.targets",
    }
    assert ProjectConfig(**config).model_dump(mode="json") == config

    # parameters are in the weights file alone: W and b by layer, as many as the run says, none of them a setting
    weights = load_file(run / "weights.safetensors")
    assert sum(array.size for array in weights.values()) >= info["parameters"] > 100
    settings = {key.rpartition(".")[2] for key in _keys(config)}
    assert not settings & set(weights)
    assert not [value for value in _values(config) if isinstance(value, list) and len(value) > 20]


def _keys(config: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        name
        for key, value in config.items()
        for name in (_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"])
    ]


def _values(config: dict[str, Any]) -> list[Any]:
    return [v for value in config.values() for v in (_values(value) if isinstance(value, dict) else [value])]


@pytest.mark.system("net.hyper")
@pytest.mark.parametrize("kind", TASKS)
def test_no_number_hides_behind_a_setting_that_is_left_open(kind: str) -> None:
    """`config.width or 32` would be a hyper-parameter that no run records; 1.0 is what leaves learning rates alone."""
    source = Path(inspect.getfile(task_class(kind))).read_text()
    found = re.findall(r"\b(?:config|training)\.\w+ or \d*\.?\d*[1-9]\d*", source)
    assert [text for text in found if not text.startswith("config.layer_lr_decay or 1")] == []
