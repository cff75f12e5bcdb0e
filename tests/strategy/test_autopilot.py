"""The autopilot closes a planted gap, stops where nothing is left, never looks at test, and survives a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orthogon as og
from orthogon.errors import RunError, UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.project.trial import Recipe
from orthogon.run.lock import at_work
from orthogon.strategy import ledger
from orthogon.strategy.autopilot import nothing_left, open_gaps, yours
from orthogon.strategy.diagnosis import BIAS, MISMATCH, VARIANCE, Diagnosis, diagnose
from orthogon.strategy.ledger import Ledger

ERROR = classification_metrics(["no", "yes"])["error"]
SLOW = ["task.width=4", "training.epochs=6", "data.train_fraction=0.2", "training.preflight=false"]


def diagnosed(train: tuple[int, int], dev: tuple[int, int], **rungs: tuple[int, int]) -> Diagnosis:
    def wrong(k: int, n: int) -> Scores:
        return Scores({"wrong": (np.arange(n) < k).astype(int)}, np.arange(n))

    return diagnose({"train": wrong(*train), "dev": wrong(*dev), **{k: wrong(*v) for k, v in rungs.items()}}, ERROR)


@pytest.fixture
def slow(tmp_path: Path) -> og.Run:
    """Digits, trained for far too short a time at too low a rate."""
    return og.start("digits", project=tmp_path / "digits", sets=SLOW)


def test_it_closes_a_planted_gap_within_its_budget_and_looks_at_test_once(slow: og.Run) -> None:
    decisions: list[Any] = []
    left, flight = slow.autopilot("5runs", tell=decisions.append)
    assert slow.diagnose().primary == BIAS
    assert flight.after < flight.before - 0.2
    assert flight.after == pytest.approx(left.info["dev_error"])
    kept = [decision for decision in decisions if decision.verdict == "kept"]
    assert kept[0].knob == "higher learning rate"  # seen in the run: its loss creeps
    assert flight.result.spent.runs <= 5
    assert left.project.test_looks() == 2  # the first run, and the one that is left
    assert left.info["parent"] == slow.id
    book = [entry for entry in left.project.logbook() if entry.get("autopilot")]
    assert [e["number"] for e in book if "number" in e] == [decision.number for decision in decisions]
    trials = [entry for entry in book if entry["event"] == "autopilot trial" and entry["gap"]]
    assert all(entry["sentence"].startswith(f"Against {entry['gap']}") for entry in trials)
    measured = [entry for entry in trials if entry.get("measured")]
    assert measured
    assert {"expected", "measured", "orthogonal", "moved", "likely"} <= set(measured[0])
    assert flight.summary() in [entry.get("sentence") for entry in book]
    assert "looked at once" in flight.summary()
    assert json.loads(json.dumps(flight.to_dict()))["run"] == left.id
    assert "kept" in str(flight)


def test_it_stops_where_nothing_is_left_and_says_so(tmp_path: Path) -> None:
    sets = ["data.num_examples=2000", "training.epochs=8", "task.width=16", "training.preflight=false"]
    run = og.start("moons", project=tmp_path / "moons", sets=[*sets, "metrics.smallest_gap=0.1"])
    left, flight = run.autopilot("20runs")
    assert left.id == run.id
    assert flight.result.spent.runs == 0
    assert "nothing left that training can fix" in flight.summary()
    assert left.project.test_looks() == 1  # nothing was trained, so nothing more was looked at


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> og.Run:
    folder = tmp_path_factory.mktemp("quick") / "iris"
    return og.start("iris", project=folder, sets=["training.epochs=2", "task.members=2", "training.preflight=false"])


def test_a_trial_that_breaks_is_written_down_and_the_next_one_taken(
    quick: og.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, recipe: Recipe, watch: object = None) -> None:
        raise ValueError("Expected more than 1 value per channel\nand a second line")

    monkeypatch.setattr(Ledger, "make", broken)
    left, flight = quick.autopilot("3runs", seed=5)
    tried = [decision for decision in flight.result.decisions if decision.verdict]
    assert 1 < len(tried) <= 8
    assert {decision.verdict for decision in tried} == {"failed"}
    assert tried[0].sentence.endswith("It failed: Expected more than 1 value per channel")
    assert left.id == quick.id
    shutil.rmtree(quick.project.folder / "autopilot")


@pytest.mark.parametrize("budget", ["0runs", "a while"])
def test_a_budget_that_buys_nothing_is_refused(quick: og.Run, budget: str) -> None:
    with pytest.raises(UsageError, match="budget"):
        quick.autopilot(budget)
    assert not (quick.project.folder / "autopilot").exists()


def test_a_second_autopilot_on_one_project_is_refused(quick: og.Run) -> None:
    folder = quick.project.folder / "autopilot"
    folder.mkdir(exist_ok=True)
    with at_work(folder), pytest.raises(RunError, match="an autopilot is at work on this project") as caught:
        quick.autopilot("3runs")
    assert "Wait" in str(caught.value)


def test_a_run_without_dev_is_refused(quick: og.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(og.Run, "splits", lambda run: ["train"])
    with pytest.raises(UsageError, match="no dev set") as caught:
        quick.autopilot("3runs")
    assert "data.dev" in str(caught.value)


def test_the_stop_rule_weighs_the_room_against_the_errors_own_doubt() -> None:
    """3 of 140 wrong on dev, 0 on train: 2.1 % of room, known to 2.6 points. The same share of 20,000 is a gap."""
    small = nothing_left(diagnosed((0, 300), (3, 140)))
    assert "no larger than what dev leaves in doubt" in small
    assert "more dev examples would tell" in small
    assert nothing_left(diagnosed((0, 30_000), (430, 20_000))) == ""
    assert "No gap is left" in nothing_left(diagnosed((10, 20_000), (12, 20_000)))
    enough = nothing_left(diagnosed((0, 900), (3, 900)))  # known to 0.5 points, half of the smallest gap
    assert "no larger than what dev leaves in doubt" in enough or "No gap is left" in enough
    assert "more dev examples" not in enough


def test_gaps_that_may_be_there_are_worked_on_the_surest_first() -> None:
    found = diagnosed((100, 1000), (300, 1000))
    assert [gap.name for gap in open_gaps(found)] == [VARIANCE, BIAS]
    assert "more data" in yours(found)
    assert "human level" not in yours(found)
    shifted = diagnosed((1, 1000), (300, 1000), train_dev=(2, 1000))
    assert open_gaps(shifted)[0].name == MISMATCH
    assert "training data more like dev" in yours(shifted)


KILLED = """
import os, signal, sys
from orthogon import api
from orthogon.strategy import ledger
ledger.seconds = lambda: 0.0
run = api.load(project=sys.argv[1])
seen = []
def tell(decision):
    seen.append(decision)
    if len(seen) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
run.autopilot("8runs", tell=tell)
"""


@pytest.mark.slow
def test_a_killed_one_goes_on_to_the_same_decisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after its first and again after its third decision; beside it one that was never killed.

    The clock stands still: two processes never measure alike what thinking takes, and that is charged.
    """
    monkeypatch.setattr(ledger, "seconds", lambda: 0.0)
    whole = og.start("digits", project=tmp_path / "whole", sets=SLOW)
    og.start("digits", project=tmp_path / "killed", sets=SLOW)
    left, flight = whole.autopilot("8runs")
    for after in ("1", "3"):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), after]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    again, second = og.load(project=tmp_path / "killed").autopilot("8runs")
    assert second.resumed

    def told(one: Any) -> list[tuple[Any, ...]]:
        return [(d.number, d.sentence, d.verdict, d.error) for d in one.result.decisions]

    assert told(second) == told(flight)
    assert second.result.spent.multiply_adds == flight.result.spent.multiply_adds
    assert again.info["dev_error"] == left.info["dev_error"]
    numbers = [entry["number"] for entry in again.project.logbook() if "number" in entry]
    assert numbers == sorted(set(numbers))  # no decision is written down twice
