"""The judge of the autopilot benchmark: S worked by hand; the tasks are held apart, and their data is made as told."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.diagnosis import VARIANCE, diagnose

FOLDER = Path(__file__).parents[2] / "benchmarks" / "autopilot"


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    names = ("tasks", "arms", "run", "cells", "judge", "optimism")
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(FOLDER))
    for name in names:
        sys.modules.pop(name)


def test_the_speed_up_is_the_reference_over_the_smallest_budget_that_stays_at_the_rivals_value(modules: Any) -> None:
    """Budgets 1, 2, 4, 8: errors .4 .3 .2 .1. A rival at .2 is met at 4: S = 8 / 4; one at .25 half way in log."""
    s, budgets = modules["judge"].speed_up, (1, 2, 4, 8)
    falling = np.array([0.4, 0.3, 0.2, 0.1])
    assert s(falling, 0.2, budgets, 8) == pytest.approx(2, rel=2e-3)
    assert s(falling, 0.25, budgets, 8) == pytest.approx(8 / np.sqrt(8), rel=2e-3)
    assert s(falling, 0.05, budgets, 8) == 0.5  # never
    assert s(falling, 0.5, budgets, 8) == 8  # from the first budget on
    assert s(falling, 0.5, budgets, 80) == 10  # capped
    assert s(np.array([0.1, 0.1, 0.3, 0.1]), 0.2, budgets, 8) == pytest.approx(8 / 2**2.5, rel=2e-3)  # it has to stay


def test_an_incumbents_error_counts_from_when_it_was_paid(modules: Any) -> None:
    errors = [0.4, 0.2, 0.1]
    last_at = modules["judge"].last_at
    assert [errors[last_at([1.0, 3.5, 9.0], b)] for b in (0.5, 1, 2, 3.5, 8, 10)] == [0.4, 0.4, 0.4, 0.2, 0.2, 0.1]


def test_a_task_on_which_no_arm_gains_counts_one(modules: Any) -> None:
    judge, budgets = modules["judge"], (1, 2, 4, 8)
    flat = {"autopilot": np.full((3, 4), 0.1), "blind": np.full((3, 4), 0.099)}
    assert judge.s_of(flat, "blind", budgets, 8, delta=0.01) == 1
    better = {**flat, "blind": np.full((3, 4), 0.05)}
    assert judge.s_of(better, "blind", budgets, 8, delta=0.01) == 0.5
    found = judge.bootstrap({"a": better, "b": flat}, "blind", budgets, 8, {"a": 0.01, "b": 0.01}, 200)
    assert found.value == pytest.approx(np.sqrt(0.5))
    assert (found.low, found.high) == pytest.approx((0.5, 1.0))
    assert found.by_task == {"a": 0.5, "b": 1}
    assert found.p_value > 0.8  # S is never above 1


def test_held_out_tasks_are_twelve_apart_from_development_and_half_carry_a_plant(modules: Any) -> None:
    tasks = modules["tasks"]
    assert len(tasks.HELD_OUT) == 12
    assert {task.name for task in tasks.HELD_OUT}.isdisjoint(task.name for task in tasks.DEVELOPMENT)
    assert sum(bool(task.plant) for task in tasks.HELD_OUT) == 6
    kinds = [task.kind for task in tasks.HELD_OUT]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"table": 4, "pictures": 5, "strings": 3}
    declared = (FOLDER / "README.md").read_text()
    assert "B = 30" in declared
    assert "TPE + Hyperband with the default, PriorBand, blind twin" in declared


def test_every_seed_draws_other_data_and_the_same_seed_the_same(modules: Any, tmp_path: Path) -> None:
    for task in modules["tasks"].HELD_OUT:
        if task.name not in ("teacher", "boxes", "grammar", "names", "sums"):  # quick to write
            continue
        texts = []
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            folder = tmp_path / task.name / name
            folder.mkdir(parents=True)
            texts.append(task.write(folder, seed).read_text())
        assert texts[0] == texts[1]
        assert texts[0] != texts[2]


def test_a_table_that_is_not_full_is_judged_by_what_every_compared_arm_has(modules: Any) -> None:
    def cell(task: str, seed: int, arm: str) -> dict[str, Any]:
        return {"task": task, "seed": seed, "arm": arm, "budget": 30}

    arms = ("tpe+hyperband", "blind", "autopilot")
    full = [cell("a", seed, arm) for seed in (0, 1) for arm in arms] + [cell("b", 0, arm) for arm in arms]
    rest = [cell("b", 1, "autopilot"), cell("b", 1, "blind"), cell("c", 0, "tpe+hyperband"), cell("a", 0, "sobol")]
    compared, kept = modules["judge"].compared([*full, *rest], None)
    assert set(compared) == set(arms)  # of PriorBand and random there is no cell, and sobol is not of this table
    assert kept == full
    told = "\n".join(modules["judge"]._what_there_is(compared, kept, ["a", "b", "c"], [*full, *rest]))
    assert "seeds 0, 1: a" in told
    assert "seeds 0: b" in told
    assert "not judged, since an arm has no cell yet: c" in told
    assert "3 cells are left out" in told
    _, alone = modules["judge"].compared([*full, *rest], ["sobol"])
    assert {(each["task"], each["seed"]) for each in alone} == {("a", 0)}


def test_the_guard_is_a_paired_interval_of_the_error_ratio(modules: Any) -> None:
    """Twice the error on every seed, whatever the seed's own level; with one seed nothing can be told."""
    theirs = np.array([0.1, 0.2, 0.4])
    value, low, high = modules["judge"].ratio_interval(2 * theirs, theirs)
    assert (value, low, high) == pytest.approx((2, 2, 2), rel=2e-2)
    assert low > modules["judge"].GUARD
    assert modules["judge"].ratio_interval(2 * theirs[:1], theirs[:1])[1] == 0


def test_cells_are_filled_so_that_a_part_of_the_table_is_balanced(modules: Any) -> None:
    arms = modules["arms"]
    filled = list(modules["run"].order(["a", "b"], 2, [*arms.ARMS, arms.DOUBLED], arms.SMALLEST))
    smallest = ["tpe+hyperband", "priorband", "random at 2x", "blind", "autopilot"]
    assert filled[:4] == [(seed, task, smallest) for seed in (0, 1) for task in ("a", "b")]
    assert [each[:2] for each in filled[4:]] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert filled[4][2][-2:] == ["shuffled gaps", "without kills"]
    assert list(modules["run"].order(["a"], 1, ["sobol"], arms.SMALLEST)) == [(0, "a", ["sobol"])]


def test_cells_come_from_a_copy_that_the_first_call_makes(
    modules: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(modules["run"].os, "execve", lambda *given: called.append(given))
    modules["run"].from_frozen_copy(tmp_path, FOLDER / "run.py")
    copy = tmp_path / "frozen"
    _, (_, script, *_), environment = called[0]
    assert script == str(copy / "benchmarks" / "autopilot" / "run.py")
    assert environment["PYTHONPATH"].startswith(str(copy / "src"))
    assert (copy / "src" / "orthogon" / "strategy" / "priors.json").exists()
    kept = copy / "src" / "orthogon" / "strategy" / "autopilot.py"
    kept.write_text("as it was")
    modules["run"].from_frozen_copy(tmp_path, FOLDER / "run.py")  # a later call takes the copy as it is
    assert kept.read_text() == "as it was"
    modules["run"].from_frozen_copy(tmp_path, copy / "benchmarks" / "autopilot" / "run.py")
    assert len(called) == 2  # from the copy itself it just goes on


def test_the_shuffled_twin_is_told_the_gaps_of_another_task_on_its_own_scale(modules: Any) -> None:
    """Another task: train .10, dev .40, so three quarters of its error are variance. Here dev is .08: variance .06."""

    def told(train: int, dev: int) -> Any:
        def wrong(k: int) -> Scores:
            return Scores({"wrong": (np.arange(1000) < k).astype(int)}, np.arange(1000))

        return diagnose({"train": wrong(train), "dev": wrong(dev)}, classification_metrics(["no", "yes"])["error"])

    own, other = told(70, 80), told(100, 400)
    lent = modules["arms"]._in_place_of(own, other)
    assert lent.gap(VARIANCE).value == pytest.approx(0.06)
    assert lent.gap(VARIANCE).verdict == other.gap(VARIANCE).verdict == "material"
    assert lent.rung("dev").value == pytest.approx(0.08)
    assert lent.smallest_gap == own.smallest_gap


def test_the_optimism_of_fifty_runs_is_counted_by_newcombe(modules: Any) -> None:
    optimism = modules["optimism"]
    assert len(list(optimism.cells(Path("w"), optimism.RUNS))) == 50
    assert len({path for path, _, _ in optimism.cells(Path("w"), 50)}) == 50
    fair = {"dev": 0.10, "corrected": 0.11, "test": 0.12, "n_dev": 500, "n_test": 700}
    assert optimism.holds_zero(fair)
    flattered = {**fair, "dev": 0.05, "test": 0.15, "corrected": 0.14}
    assert not optimism.holds_zero(flattered)
    assert optimism.holds_zero(flattered, "corrected")
    rest = {"task": "digits", "began": 0.2, "seconds": 9.0, "deciding": 0.1}
    told = "\n".join(optimism.report([{**fair, **rest}, {**flattered, **rest}]))
    assert "of 1 of 2; the bar is 2" in told
    assert not [task for task in optimism.PROBLEMS if task in modules["tasks"].HELD_OUT]
