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

FOLDER = Path(__file__).parents[2] / "benchmarks" / "autopilot"


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    names = ("tasks", "arms", "judge")
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
    path = [(1.0, 0.4), (3.5, 0.2), (9.0, 0.1)]
    assert [modules["judge"].at_budget(path, b) for b in (1, 2, 3.5, 8, 10)] == [0.4, 0.4, 0.2, 0.2, 0.1]


def test_a_task_on_which_no_arm_gains_counts_one(modules: Any) -> None:
    judge, budgets = modules["judge"], (1, 2, 4, 8)
    flat = {"autopilot": np.full((3, 4), 0.1), "blind": np.full((3, 4), 0.099)}
    assert judge.s_of(flat, "blind", budgets, 8, delta=0.01) == 1
    better = {**flat, "blind": np.full((3, 4), 0.05)}
    assert judge.s_of(better, "blind", budgets, 8, delta=0.01) == 0.5
    value, low, high = judge.bootstrap({"a": better, "b": flat}, "blind", budgets, 8, {"a": 0.01, "b": 0.01}, 200)
    assert value == pytest.approx(np.sqrt(0.5))
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(1.0)


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
