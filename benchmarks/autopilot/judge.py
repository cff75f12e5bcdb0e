"""The judge of the autopilot benchmark: the only one that reads test. Prints the table of S and of errors.

    python benchmarks/autopilot/judge.py WORK --tasks development --reference 10
    python benchmarks/autopilot/judge.py WORK --tasks held-out --arms tpe+hyperband blind autopilot

It judges a table that is not full by what every compared arm has: the same tasks, the same seeds; and says which. The
arms compared are those of the smallest honest table of which there are cells, or those that are named. It runs from the
frozen copy that the cells were made by.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import SMALLEST
from numpy.typing import NDArray

import orthogon
from orthogon.data.examples import Splits
from orthogon.metrics.intervals import newcombe, z_of
from orthogon.metrics.score import Metric
from orthogon.project.trial import Recipe, Trials
from orthogon.strategy.diagnosis import holm, smallest_worth_acting_on
from run import FROZEN
from tasks import TASKS, Task, trials_of

BUDGETS = (1, 2, 4, 8, 15, 30, 60)
CAP, NEVER, NOTHING = 10.0, 0.5, 1.0
SMALL = 1e-4  # error that is added to both sides of a ratio
GUARD = 1.10  # error ratio against GUARDED that no task may lie wholly above
GUARDED = "tpe+hyperband"
CONTRASTS = ("tpe+hyperband", "priorband", "blind")  # declared; Holm over the three
DRAWS = 10_000
OURS = "autopilot"
Curves = Mapping[str, NDArray[Any]]  # arm -> (seeds, budgets) test errors of its incumbents


# -- the statistic --------------------------------------------------------------------------------------------------


def last_at(spent: Sequence[float], budget: float) -> int:
    """Which incumbent stood when so much was spent; the first, where nothing was affordable yet."""
    reached = [at for at, each in enumerate(spent) if each <= budget + 1e-9]
    return reached[-1] if reached else 0


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


@dataclass(frozen=True)
class Contrast:
    """S against one rival: geometric mean over tasks, its 95 % interval, one-sided p-value of "S is at most 1"."""

    value: float
    low: float
    high: float
    p_value: float
    by_task: Mapping[str, float]


def bootstrap(
    tasks: Mapping[str, Curves], rival: str, budgets: Sequence[float], reference: float, delta: Mapping[str, float],
    draws: int = DRAWS,
) -> Contrast:  # fmt: skip
    """Tasks are drawn again, then seeds within; with one seed, tasks alone."""
    rng = np.random.default_rng(0)
    names = list(tasks)
    by_task = {n: s_of(tasks[n], rival, budgets, reference, delta[n]) for n in names}
    means = np.empty(draws)
    for draw in range(draws):
        logs = []
        for i in rng.integers(len(names), size=len(names)):
            curves = tasks[names[i]]
            seeds = rng.integers(len(curves[OURS]), size=len(curves[OURS]))
            drawn = {name: values[seeds] for name, values in curves.items()}
            logs.append(math.log(s_of(drawn, rival, budgets, reference, delta[names[i]])))
        means[draw] = np.mean(logs)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    value = math.exp(float(np.mean(np.log(list(by_task.values())))))
    p_value = float(((means < 0).sum() + (means == 0).sum() / 2 + 1) / (draws + 1))
    return Contrast(value, float(low), float(high), p_value, by_task)


def ratio_interval(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[float, float, float]:
    """Geometric mean of the error ratio over seeds, paired, with Student's 95 % interval; infinite with one seed."""
    from scipy.stats import t

    logs = np.log((ours + SMALL) / (theirs + SMALL))
    n, middle = len(logs), float(logs.mean())
    half = float(t.ppf(0.975, n - 1) * logs.std(ddof=1) / math.sqrt(n)) if n > 1 else math.inf
    return math.exp(middle), math.exp(middle - half), math.exp(min(middle + half, 700))


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
            spent = [step[0] for step in cell["path"]]
            needed = sorted({last_at(spent, budget) for budget in (*budgets, math.inf)})
            name = json.dumps([cell["task"], seed, cell["arm"], cell["budget"], cell["path"]], sort_keys=True)
            kept = work / "judged" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
            known = json.loads(kept.read_text()) if kept.exists() else {}
            for at in needed:
                if str(at) not in known:
                    witness = witness or Witness(trials_of(task, seed, work), work)
                    _, overrides, offset, _ = cell["path"][at]
                    known[str(at)] = witness.error(overrides, offset)
                    kept.parent.mkdir(exist_ok=True)
                    kept.write_text(json.dumps(known))
            found.setdefault(cell["arm"], {})[seed] = [known[str(last_at(spent, budget))] for budget in budgets]
            last, on_dev = known[str(len(spent) - 1)], cell["path"][-1][3]
            optimism.setdefault(cell["arm"], []).append(last - on_dev)
            if cell["arm"] == OURS and cell["is_share"]:
                honest.append(holds_zero(last, cell["test_size"], on_dev, cell["dev_size"]))
    return {"curves": found, "optimism": optimism, "honest": honest}


def holds_zero(test: float, n_test: int, dev: float, n_dev: int) -> bool:
    """Whether Newcombe's 95 % interval of test less dev error contains 0."""
    low, high = newcombe(test * n_test, n_test, dev * n_dev, n_dev, z_of(0.95))
    return bool(low <= 0 <= high)


def with_frozen_code(work: Path) -> None:
    """Begin again with the library that made the cells, where it is another one. Does not return then."""
    source = work.resolve() / FROZEN / "src"
    if source.exists() and not Path(orthogon.__path__[0]).resolve().is_relative_to(source):
        path = os.pathsep.join([str(source), *filter(None, [os.environ.get("PYTHONPATH")])])
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONPATH": path})


def compared(cells: Sequence[dict[str, Any]], named: Sequence[str] | None) -> tuple[list[str], list[dict[str, Any]]]:
    """The arms to compare, and of each task and seed that all of them have their cells."""
    present = {cell["arm"] for cell in cells}
    arms = list(named) if named else [arm for arm in SMALLEST if arm in present]
    arms = [*dict.fromkeys([OURS, *arms])]
    having: dict[tuple[str, int], set[str]] = {}
    for cell in cells:
        having.setdefault((cell["task"], cell["seed"]), set()).add(cell["arm"])
    whole = {where for where, there in having.items() if there >= set(arms)}
    return arms, [cell for cell in cells if cell["arm"] in arms and (cell["task"], cell["seed"]) in whole]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", choices=list(TASKS), default="development")
    parser.add_argument("--reference", type=float, default=30)
    parser.add_argument("--arms", nargs="*", help="compared with the autopilot; those of the smallest table")
    given = parser.parse_args()
    with_frozen_code(given.work)
    torch.set_num_threads(1)
    paths = sorted((given.work / "cells").glob("*[0-9].json"))
    everything = [json.loads(path.read_text()) for path in paths]
    names = [task.name for task in TASKS[given.tasks]]
    everything = [c for c in everything if c["budget"] >= given.reference and c["task"] in names]
    arms, cells = compared(everything, given.arms)
    if not cells:
        raise SystemExit(f"no task and seed has a cell of each of {', '.join(arms)} yet")
    most = min(cell["budget"] for cell in cells)
    budgets = [b for b in sorted({*BUDGETS, given.reference}) if b <= most]
    tasks: dict[str, Curves] = {}
    honest: list[bool] = []
    delta: dict[str, float] = {}
    optimism: dict[str, list[float]] = {}
    for task in TASKS[given.tasks]:
        mine = [cell for cell in cells if cell["task"] == task.name]
        if not mine:
            continue
        told = judged(given.work, task, mine, budgets)
        tasks[task.name] = {
            arm: np.array([by_seed[seed] for seed in sorted(by_seed)]) for arm, by_seed in told["curves"].items()
        }
        metrics = trials_of(task, 0, given.work).task.metrics()
        metric = next(iter(metrics.values()))
        delta[task.name] = smallest_worth_acting_on(metric, float(tasks[task.name][OURS][:, 0].mean()), None)
        honest += told["honest"]
        for arm, values in told["optimism"].items():
            optimism.setdefault(arm, []).extend(values)
    for line in _what_there_is(arms, cells, names, everything):
        print(line)
    _print_errors(tasks, arms, budgets, given.reference)
    _print_contrasts(tasks, arms, budgets, given.reference, delta)
    _print_beside(cells, optimism, honest, arms)


def _what_there_is(
    arms: Sequence[str], cells: Sequence[dict[str, Any]], names: Sequence[str], everything: Sequence[dict[str, Any]]
) -> Iterator[str]:
    yield f"compared: {', '.join(arms)}"
    seeds: dict[str, list[int]] = {}
    for task, seed in sorted({(cell["task"], cell["seed"]) for cell in cells}):
        seeds.setdefault(task, []).append(seed)
    groups: dict[str, list[str]] = {}
    for task in names:
        if task in seeds:
            groups.setdefault(", ".join(str(seed) for seed in seeds[task]), []).append(task)
    for told, tasks in groups.items():
        yield f"seeds {told}: {', '.join(tasks)}"
    missing = [task for task in names if task not in seeds]
    if missing:
        yield f"not judged, since an arm has no cell yet: {', '.join(missing)}"
    left = sum(cell["arm"] in arms for cell in everything) - len(cells)
    if left:
        yield f"{left} cells are left out: of a task and seed that not every compared arm has"
    if all(len(each) == 1 for each in seeds.values()):
        yield "one seed a task: the intervals of S are over tasks alone"


def _print_errors(tasks: Mapping[str, Curves], arms: Sequence[str], budgets: Sequence[float], reference: float) -> None:
    at = list(budgets).index(reference)
    print(f"\nmean test error at {reference:g} runs, {sum(len(c[OURS]) for c in tasks.values())} task-seeds")
    print("task".ljust(18) + "default".rjust(10) + "".join(arm[:14].rjust(16) for arm in arms))
    for name, curves in tasks.items():
        row = "".join(f"{curves[arm][:, at].mean():16.4f}" for arm in arms)
        print(f"{name:18}{curves[OURS][:, 0].mean():10.4f}{row}")


def _print_contrasts(
    tasks: Mapping[str, Curves],
    arms: Sequence[str],
    budgets: Sequence[float],
    reference: float,
    delta: Mapping[str, float],
) -> None:
    at = list(budgets).index(reference)
    rivals = [arm for arm in arms if arm != OURS]
    found = {rival: bootstrap(tasks, rival, budgets, reference, delta) for rival in rivals}
    declared = [rival for rival in CONTRASTS if rival in found]
    adjusted = dict(zip(declared, holm([found[rival].p_value for rival in declared]), strict=True))
    print("\nS, geometric mean over tasks [95 %]; error ratio of the autopilot to the rival; p of S <= 1 (Holm over 3)")
    for rival, s in found.items():
        ratios = [math.log((c[OURS][:, at].mean() + SMALL) / (c[rival][:, at].mean() + SMALL)) for c in tasks.values()]
        p = f"   p {adjusted[rival]:.3f}" if rival in adjusted else ""
        ratio = math.exp(float(np.mean(ratios)))
        print(f"{rival:18} S {s.value:5.2f} [{s.low:.2f}, {s.high:.2f}]   ratio {ratio:.3f}{p}")
        lost = [f"{name} {value:.2f}" for name, value in s.by_task.items() if value < 1]
        if lost:
            print(f"{'':18} S below 1 on: {', '.join(lost)}")
    if GUARDED in rivals:
        harmed = []
        for name, curves in tasks.items():
            value, low, _ = ratio_interval(curves[OURS][:, at], curves[GUARDED][:, at])
            if low > GUARD:
                harmed.append(f"{name} {value:.2f}")
        few = "" if max(len(c[OURS]) for c in tasks.values()) > 1 else " (one seed: it cannot be told)"
        print(f"no-harm guard against {GUARDED}: {'broken on ' + ', '.join(harmed) if harmed else 'holds'}{few}")


def _print_beside(
    cells: Sequence[dict[str, Any]],
    optimism: Mapping[str, Sequence[float]],
    honest: Sequence[bool],
    arms: Sequence[str],
) -> None:
    gaps = ", ".join(f"{arm} {np.mean(values):+.4f}" for arm, values in optimism.items())
    print(f"\ntest - dev error of the last incumbent: {gaps}")
    print(f"0 lies in the 95 % interval of test - dev error of {sum(honest)} of {len(honest)} autopilots")
    ours = [cell for cell in cells if cell["arm"] == OURS]
    shares = [cell["spent"]["deciding"] for cell in ours]
    print(f"deciding takes {np.mean(shares):.0%} of the autopilot's budget, {max(shares):.0%} at most")
    print("processor seconds a cell: " + ", ".join(
        f"{arm} {np.mean([cell['seconds'] for cell in cells if cell['arm'] == arm]):.0f}" for arm in arms
    ))  # fmt: skip
    tried = [d for cell in ours for d in cell["decisions"] if d["knob"]]
    for knob in sorted({d["knob"] for d in tried}):
        mine = [d for d in tried if d["knob"] == knob]
        print(f"  {knob:28} kept {sum(d['verdict'] == 'kept' for d in mine)} of {len(mine)}")


if __name__ == "__main__":
    main()
