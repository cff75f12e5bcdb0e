"""What a search spends is counted exactly, and asked again after a kill it is told the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import orthogon as og
from orthogon.errors import RunError, UsageError
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.project.trial import Recipe, Trials
from orthogon.strategy.ledger import Budget, Ledger, Spent, compute


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    folder = tmp_path_factory.mktemp("ledger") / "iris"
    sets = ["training.epochs=3", "task.width=8", "task.members=2", "training.preflight=false"]
    run = og.start("iris", project=folder, sets=sets)
    return Trials(Project(folder), parse(run.config))


@pytest.mark.parametrize(
    ("text", "runs", "seconds"),
    [("20runs", 20, None), ("1 run", 1, None), ("30min", None, 1800), ("1.5h", None, 5400), ("90s", None, 90)],
)
def test_budgets_are_read_as_people_write_them(text: str, runs: float | None, seconds: float | None) -> None:
    found = Budget.parse(text)
    assert (found.runs, found.seconds) == (runs or float("inf"), seconds or float("inf"))


@pytest.mark.parametrize(
    ("text", "why"),
    [("0runs", "buys nothing"), ("0min", "buys nothing"), ("soon", "is not a budget"), ("-3min", "is not")],
)
def test_no_budget_is_told_with_an_example(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Budget.parse(text)
    assert "--auto 20runs" in str(caught.value)


def test_compute_is_three_forward_passes_an_example_learned_and_one_measured(trials: Trials) -> None:
    """By hand: 3 epochs over train, an evaluation of dev after each, then train and dev once."""
    trial, each = trials.make(Recipe()), trials.multiply_adds(Recipe())
    train, dev = len(trials.splits["train"]), len(trials.splits["dev"])
    assert compute(trials, Recipe(), trial) == each * (3 * 3 * train + 3 * dev + train + dev)
    wider = Recipe({"task.width": 16})
    assert trials.multiply_adds(wider) > 1.5 * each


def test_a_search_is_replayed_up_to_where_it_was_killed(trials: Trials, tmp_path: Path) -> None:
    clock = iter(range(1000)).__next__
    first = Ledger(tmp_path / "ledger.jsonl", trials, clock=clock)
    first.make(Recipe())
    with first.thinking():
        pass
    stopped = first.make(Recipe({"training.epochs": 40}), lambda event: event["event"] == "evaluation")
    assert (stopped.status, first.spent.seconds, first.spent.thinking) == ("stopped", 3, 1)
    assert first.spent.runs == pytest.approx(1 + 1 / 3, abs=0.15)  # the second ended after its first epoch
    with open(first.path, "a") as file:
        file.write('{"what": "trial", "torn')

    def never(event: object) -> bool:
        raise AssertionError("it was made before")

    second = Ledger(first.path, trials, clock=clock)
    assert second.replaying
    second.make(Recipe(), never)
    with second.thinking():
        pass
    again = second.make(Recipe({"training.epochs": 40}), never)
    assert again.history == stopped.history
    assert second.spent == first.spent
    assert not second.replaying
    second.make(Recipe({"training.epochs": 2}))
    assert len([json.loads(line) for line in first.path.read_text().splitlines()]) == 4


def test_a_ledger_of_another_search_is_refused(trials: Trials, tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.jsonl", trials).make(Recipe())
    with pytest.raises(RunError, match="of another search") as caught:
        Ledger(tmp_path / "ledger.jsonl", trials).make(Recipe({"training.epochs": 2}))
    assert "Begin anew" in str(caught.value)


def test_the_share_of_a_budget_is_of_what_limits_it() -> None:
    spent = Spent(runs=5, seconds=30)
    assert spent.share(Budget(runs=20)) == 0.25
    assert spent.share(Budget(seconds=60)) == 0.5


def test_thinking_is_charged_at_what_a_run_takes_and_studies_count_as_deciding(trials: Trials, tmp_path: Path) -> None:
    """A clock that ticks once a look: each training and each thought takes a second. Two whole runs take 2 seconds for
    2 runs; a thought of 1 second is 1 run. Of 20 runs deciding took the study's and the thought's: 2 / 20."""
    ledger = Ledger(tmp_path / "ledger.jsonl", trials, clock=iter(range(1000)).__next__)
    first, again = Recipe({"training.lr": 0.011}), Recipe({"training.lr": 0.012})
    ledger.make(first)
    with ledger.thinking():
        pass
    ledger.make(again, study=True)
    spent = ledger.spent
    assert (spent.runs, spent.thinking_runs, spent.studies) == pytest.approx((2, 1, 1))
    assert spent.charged == pytest.approx(3)
    assert spent.share(Budget(runs=20)) == pytest.approx(3 / 20)
    assert spent.deciding(Budget(runs=20)) == pytest.approx(2 / 20)
    assert spent.deciding(Budget(seconds=40)) == pytest.approx(2 / 40)
    assert Ledger(ledger.path, trials).spent == Spent()  # nothing is charged before it is asked for again


def test_a_trial_found_made_says_nothing_of_what_a_run_takes(trials: Trials, tmp_path: Path) -> None:
    """It is read in no time, and a second of thought would seem dear."""
    trials.make(Recipe())
    ledger = Ledger(tmp_path / "ledger.jsonl", trials, unit_seconds=4, clock=iter(range(1000)).__next__)
    ledger.make(Recipe())
    with ledger.thinking():
        pass
    assert ledger.spent.runs == pytest.approx(1)
    assert ledger.spent.thinking_runs == pytest.approx(1 / 4)
