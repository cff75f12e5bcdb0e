"""The judge of the autopilot benchmark: the only one that reads test. Prints the table of S and of errors.

python benchmarks/autopilot/judge.py WORK --tasks development --reference 10
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import ARMS, DOUBLED
from numpy.typing import NDArray

from orthogon.data.examples import Splits
from orthogon.metrics.intervals import newcombe, z_of
from orthogon.metrics.score import Metric
from orthogon.project.trial import Recipe, Trials
from orthogon.strategy.diagnosis import smallest_worth_acting_on
from tasks import TASKS, Task, trials_of

BUDGETS = (1, 2, 4, 8, 15, 30, 60)
CAP, NEVER, NOTHING = 10.0, 0.5, 1.0
DRAWS = 10_000
OURS = "autopilot"
Curves = Mapping[str, NDArray[Any]]  # arm -> (seeds, budgets) test errors of its incumbents


# -- the statistic --------------------------------------------------------------------------------------------------


def at_budget(path: Sequence[tuple[float, float]], budget: float) -> float:
    """Error of the incumbent when so much was spent; path: (spent, error), the default first."""
    reached = [error for spent, error in path if spent <= budget + 1e-9]
    return reached[-1] if reached else path[0][1]


def speed_up(ours: NDArray[Any], rival: float, budgets: Sequence[float], reference: float) -> float:
    """S = reference / b*, b* the smallest budget from which our curve is and stays at or below the rival's value.

    ours: mean error at each budget; between two of them it is linear in the budget's logarithm.
    """
    grid = np.exp(np.linspace(math.log(budgets[0]), math.log(budgets[-1]), 2001))
    curve = np.interp(np.log(grid), np.log(budgets), ours)
    above = np.flatnonzero(curve > rival + 1e-12)
    if len(above) == 0:
        return min(CAP, reference / budgets[0])
    if above[-1] == len(grid) - 1:
        return NEVER
    return float(min(CAP, reference / grid[above[-1] + 1]))


def s_of(curves: Curves, rival: str, budgets: Sequence[float], reference: float, delta: float) -> float:
    """S of one task; 1 where no arm improves on the default by more than the smallest gap worth acting on."""
    means = {name: values.mean(axis=0) for name, values in curves.items()}
    default = means[OURS][0]
    if all(default - float(values[-1]) <= delta for values in means.values()):
        return NOTHING
    at = list(budgets).index(reference)
    return speed_up(means[OURS], float(means[rival][at]), budgets, reference)


def bootstrap(
    tasks: Mapping[str, Curves], rival: str, budgets: Sequence[float], reference: float, delta: Mapping[str, float],
    draws: int = DRAWS,
) -> tuple[float, float, float]:  # fmt: skip
    """Geometric mean of S over tasks with its 95 % interval: tasks are drawn again, then seeds within."""
    rng = np.random.default_rng(0)
    names = list(tasks)
    value = math.exp(np.mean([math.log(s_of(tasks[n], rival, budgets, reference, delta[n])) for n in names]))
    means = []
    for _ in range(draws):
        logs = []
        for i in rng.integers(len(names), size=len(names)):
            curves = tasks[names[i]]
            seeds = rng.integers(len(curves[OURS]), size=len(curves[OURS]))
            drawn = {name: curves[name][seeds] for name in {OURS, rival}}
            logs.append(math.log(s_of(drawn, rival, budgets, reference, delta[names[i]])))
        means.append(math.exp(float(np.mean(logs))))
    low, high = np.quantile(means, [0.025, 0.975])
    return value, float(low), float(high)


# -- reading test ---------------------------------------------------------------------------------------------------


class Witness:
    """Test errors of configs of one task under one seed, each trained once and kept."""

    def __init__(self, trials: Trials, work: Path) -> None:
        self.trials = trials
        self.ids = trials.splits["test"]
        parts = {name: trials.splits[name] for name in trials.splits.sizes() if name != "test"}
        trials.splits = Splits(parts, "test is the judge's")
        metrics = trials.task.metrics()
        self.metric: Metric = metrics[trials.config.metrics.optimise or next(iter(metrics))]

    def error(self, overrides: Mapping[str, Any], offset: int) -> float:
        seed = self.trials.config.seed + offset if offset else None
        measure = {"dev": self.trials.splits["dev"], "witness": self.ids}
        trial = self.trials.make(Recipe(dict(overrides), measure=measure, seed=seed))
        return float(self.metric.error(trial.scores["witness"]))


def judged(work: Path, task: Task, cells: Sequence[dict[str, Any]], budgets: Sequence[float]) -> dict[str, Any]:
    """arm -> errors at each budget by seed, and beside them test less dev of the last incumbent."""
    found: dict[str, dict[int, list[float]]] = {}
    optimism: dict[str, list[float]] = {}
    honest: list[bool] = []
    for seed in sorted({cell["seed"] for cell in cells}):
        witness: Witness | None = None
        for cell in (cell for cell in cells if cell["seed"] == seed):
            kept = (
                work / "judged" / f"{hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]}.json"
            )
            if not kept.exists():
                witness = witness or Witness(trials_of(task, seed, work), work)
                errors = [witness.error(overrides, offset) for _, overrides, offset, _ in cell["path"]]
                kept.parent.mkdir(exist_ok=True)
                kept.write_text(json.dumps(errors))
            errors = json.loads(kept.read_text())
            path = [(step[0], error) for step, error in zip(cell["path"], errors, strict=True)]
            found.setdefault(cell["arm"], {})[seed] = [at_budget(path, budget) for budget in budgets]
            optimism.setdefault(cell["arm"], []).append(errors[-1] - cell["path"][-1][3])
            if cell["arm"] == OURS and cell["is_share"]:
                honest.append(holds_zero(errors[-1], cell["test_size"], cell["path"][-1][3], cell["dev_size"]))
    return {"curves": found, "optimism": optimism, "honest": honest}


def holds_zero(test: float, n_test: int, dev: float, n_dev: int) -> bool:
    """Whether Newcombe's 95 % interval of test less dev error contains 0."""
    low, high = newcombe(test * n_test, n_test, dev * n_dev, n_dev, z_of(0.95))
    return bool(low <= 0 <= high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", choices=list(TASKS), default="development")
    parser.add_argument("--reference", type=float, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cells = [json.loads(path.read_text()) for path in sorted((given.work / "cells").glob("*.json"))]
    cells = [cell for cell in cells if cell["budget"] >= given.reference]
    budgets = [b for b in sorted({*BUDGETS, given.reference}) if b <= max(cell["budget"] for cell in cells)]
    tasks: dict[str, Curves] = {}
    honest: list[bool] = []
    delta: dict[str, float] = {}
    optimism: dict[str, list[float]] = {}
    for task in TASKS[given.tasks]:
        mine = [cell for cell in cells if cell["task"] == task.name]
        if not any(cell["arm"] == OURS for cell in mine):
            continue
        told = judged(given.work, task, mine, budgets)
        whole = set.intersection(*(set(by_seed) for by_seed in told["curves"].values()))
        tasks[task.name] = {
            arm: np.array([by_seed[seed] for seed in sorted(whole)]) for arm, by_seed in told["curves"].items()
        }
        metrics = trials_of(task, 0, given.work).task.metrics()
        metric = next(iter(metrics.values()))
        delta[task.name] = smallest_worth_acting_on(metric, float(tasks[task.name][OURS][:, 0].mean()), None)
        honest += told["honest"]
        for arm, values in told["optimism"].items():
            optimism.setdefault(arm, []).extend(values)
    arms = [arm for arm in (*ARMS, DOUBLED) if all(arm in curves for curves in tasks.values())]
    at = budgets.index(given.reference)
    print(f"mean test error at {given.reference:g} runs, {sum(len(c[OURS]) for c in tasks.values())} task-seeds")
    print("task".ljust(18) + "default".rjust(10) + "".join(arm[:14].rjust(16) for arm in arms))
    for name, curves in tasks.items():
        row = "".join(f"{curves[arm][:, at].mean():16.4f}" for arm in arms)
        print(f"{name:18}{curves[OURS][:, 0].mean():10.4f}{row}")
    print("\nS, geometric mean over tasks [95 %], and error ratio of the autopilot to the rival (geometric mean)")
    for rival in arms:
        if rival == OURS:
            continue
        value, low, high = bootstrap(tasks, rival, budgets, given.reference, delta)
        ratios = [math.log((c[OURS][:, at].mean() + 1e-4) / (c[rival][:, at].mean() + 1e-4)) for c in tasks.values()]
        print(f"{rival:18} S {value:5.2f} [{low:.2f}, {high:.2f}]   ratio {math.exp(float(np.mean(ratios))):.3f}")
    print(
        "\ntest - dev error of the last incumbent: " + ", ".join(f"{a} {np.mean(v):+.4f}" for a, v in optimism.items())
    )
    print(f"0 lies in the 95 % interval of test - dev error of {sum(honest)} of {len(honest)} autopilots")
    ours = [cell for cell in cells if cell["arm"] == OURS]
    thinking = [cell["spent"]["thinking"] / cell["default_seconds"] / max(cell["spent"]["runs"], 1e-9) for cell in ours]
    print(f"deciding takes {np.mean(thinking):.0%} of the autopilot's compute")
    steps = [d for cell in ours for d in cell["decisions"] if d["verdict"] == "kept" and d["knob"]]
    tried = [d for cell in ours for d in cell["decisions"] if d["knob"]]
    for knob in sorted({d["knob"] for d in tried}):
        print(f"  {knob:28} kept {sum(d['knob'] == knob for d in steps)} of {sum(d['knob'] == knob for d in tried)}")


if __name__ == "__main__":
    main()
