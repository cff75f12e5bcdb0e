"""Results read as text where they are printed, and as HTML in a notebook."""

import shutil
from pathlib import Path

import pytest

import orthogon as og
from orthogon.api import Step, describe, inspect_data
from orthogon.strategy.advice import Gain, Outcome

KEPT = Path(__file__).parent / "fixtures/iris_format_1"


@pytest.fixture
def run(tmp_path: Path) -> og.Run:
    project = Path(shutil.copytree(KEPT, tmp_path / "project"))
    shutil.copytree(project / "runs/0001", project / "runs/0002")
    return og.load("1", project=project)


def step_of(run: og.Run) -> Step:
    return Step(
        1, "wider network", "variance", {"task.width": 64}, "Why.", Gain(0.1, 0.0, 0.2), 2, "orthogon", "", run=run
    )


@pytest.mark.parametrize(
    ("what", "part"),
    [
        (lambda run: run.mistakes(), "versicolor"),
        (lambda run: run.describe(), "1,638 parameters"),
        (lambda run: describe("mlp"), "multiply-adds"),
        (lambda run: og.compare(["1", "2"], project=run.project.folder), "95 % interval"),
        (lambda run: inspect_data("iris"), "train 90, dev 30, test 30"),
        (lambda run: run.diagnose(), "error rate"),
        (lambda run: run, "run 0001"),
        (step_of, "wider network"),
        (lambda run: Outcome.unfinished(step_of(run)), "not trained to its end"),
    ],
)
def test_results_print_and_show_in_a_notebook(run: og.Run, what, part: str) -> None:
    shown = what(run)
    assert part in str(shown)
    assert "\x1b" not in str(shown)
    html = shown._repr_html_()
    assert html.startswith("<")
    assert part.split(",")[0] in html
