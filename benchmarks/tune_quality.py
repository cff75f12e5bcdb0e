"""Which search strategy finds the better configuration in equally many trials, and what its own figures are worth.

python benchmarks/tune_quality.py [--trials 16] [--seeds 3] [--out FOLDER] [--only STRATEGY]

Three small tasks with a short training, so that a trial takes half a second; every strategy gets the same space (tiers
1 to 3), the same default first, the same dev set. Test is read once, of the best. The first table sets the strategies
beside each other; the second says how far dev, and dev corrected for the choice, are from test. A cell (task, seed,
strategy) is a file in FOLDER, so that the table fills over several sittings.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import orthogon as og
from orthogon import api
from orthogon.strategy.study import STRATEGIES

TASKS = {
    "digits, 108 examples": (
        "digits",
        ["data.train_fraction=0.1", "training.epochs=8", "task.width=4", "task.stages=2", "task.augment.strength=0"],
    ),
    "wine": ("wine", ["training.epochs=8", "task.members=2", "task.width=32"]),
    "diabetes": ("diabetes", ["training.epochs=8", "task.members=2", "task.width=32"]),
}
DRAWS = 10_000


def cell(task: str, seed: int, strategy: str, trials: int, folder: Path) -> dict[str, Any]:
    """What one strategy came to on one task with one seed, which is that of split, weights and points."""
    source, sets = TASKS[task]
    place = folder / f"{source}-{seed}"
    if not (place / "orthogon.yaml").exists():
        sets = [*sets, "training.lr_race=false", "training.preflight=false", f"data.split_seed={seed}"]
        og.start(source, project=place, sets=sets, seed=seed)
    mine = folder / f"{place.name}-{strategy}"  # trials of its own: what another strategy made would cost it nothing
    if not mine.exists():
        shutil.copytree(place, mine, ignore=shutil.ignore_patterns("trials", "tune"))
    place, default = mine, api.load("1", project=mine)
    metric = default.metric
    began = time.process_time()
    tuning = og.tune("1", project=place, strategy=strategy, budget=trials, seed=seed, name=f"{strategy}-{trials}")
    best = tuning.row(tuning.best)
    assert best is not None
    run = default if tuning.run is None else api.load(tuning.run, project=place)
    told: dict[str, Any] = {"task": task, "seed": seed, "strategy": strategy, "trials": trials}
    told |= {"seconds": time.process_time() - began, "work": sum(row.seconds for row in tuning.rows)}
    told |= {"dev": best.error, "corrected": tuning.corrected, "counts": tuning.counts()}
    told |= {"default": metric.error(default.scores("test")), "test": metric.error(run.scores("test"))}
    return told


def spread(values: np.ndarray[Any, Any]) -> str:
    """Mean and 95 % bootstrap interval over cells."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():7.3f} [{low:.3f}, {high:.3f}]"


def tables(cells: list[dict[str, Any]]) -> None:
    names = [name for name in STRATEGIES if any(each["strategy"] == name for each in cells)]
    print(f"\n{'strategy':16}{'n':>3}  {'test error / default':>26}  {'best dev / default':>26}  {'training':>9}")
    for name in names:
        mine = [each for each in cells if each["strategy"] == name]
        test = np.array([each["test"] / each["default"] for each in mine])
        dev = np.array([each["dev"] / each["default"] for each in mine])
        work = np.mean([each["work"] for each in mine])
        print(f"{name:16}{len(mine):3}  {spread(test):>26}  {spread(dev):>26}  {work:7.1f} s")
    print(f"\n{'over all strategies':20}{'n':>4}  test minus the figure, as a share of the default's error")
    for what in ("dev", "corrected"):
        bias = np.array([(each["test"] - each[what]) / each["default"] for each in cells if each[what] is not None])
        print(f"{what:20}{len(bias):4}  {spread(bias)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--only", choices=list(STRATEGIES), default=None)
    chosen = parser.parse_args()
    folder = chosen.out or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    cells = []
    for seed in range(chosen.seeds):
        for task in TASKS:
            for strategy in [chosen.only] if chosen.only else list(STRATEGIES):
                path = folder / f"{TASKS[task][0]}-{seed}-{strategy}-{chosen.trials}.json"
                if not path.exists():
                    path.write_text(json.dumps(cell(task, seed, strategy, chosen.trials, folder)))
                cells.append(json.loads(path.read_text()))
                told = cells[-1]
                print(
                    f"{task:22} seed {seed} {strategy:15} default {told['default']:.3f} test {told['test']:.3f} "
                    f"dev {told['dev']:.3f} corrected {told['corrected']:.3f}  {told['seconds']:.0f} s",
                    flush=True,
                )
    tables(cells)


if __name__ == "__main__":
    main()
