"""Does the autopilot promise more than new data keep? Test less the dev error it reports, over 50 of its runs.

    python benchmarks/autopilot/optimism.py WORK                  fill what is missing, print the table
    python benchmarks/autopilot/optimism.py WORK --runs 3         the first three
    python benchmarks/autopilot/optimism.py WORK --minutes 10     go on for so long; call again to continue

Five small problems of classes, ten seeds each; a seed is split, weights and search. Each is an autopilot of 8 runs on a
project of its own, through `Run.autopilot`, as a user starts it. Counted is in how many Newcombe's 95 % interval of
(test - reported dev error) contains 0. The bar is 45 of 50. One file a run in WORK/optimism.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import orthogon as og
from orthogon.metrics.intervals import newcombe, z_of
from tasks import DEVELOPMENT, TABLE, Task, _clusters, table

RUNS, BAR = 50, 0.9
BUDGET = "8runs"
NOISY = Task("noisy-clusters", "table", table(_clusters(2000, 3, 0.2)), TABLE, "label noise")
NAMES = ("clusters", "few-clusters", "digits", "few-digits")
PROBLEMS = (*(task for task in DEVELOPMENT if task.name in NAMES), NOISY)


def cells(work: Path, runs: int) -> Iterator[tuple[Path, Task, int]]:
    """(file, problem, seed) of each run: all problems under seed 0 first."""
    for number in range(runs):
        task, seed = PROBLEMS[number % len(PROBLEMS)], number // len(PROBLEMS)
        yield work / "optimism" / f"{task.name}--{seed}.json", task, seed


def flown(task: Task, seed: int, place: Path) -> dict[str, Any]:
    """One autopilot, from the data to the run that it leaves."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "data").mkdir(parents=True)
    began = time.process_time()
    source = task.write(place / "data", seed)
    sets = [*task.sets, f"data.split_seed={seed}", f"seed={seed}", "training.preflight=false"]
    run = og.start(str(source), project=place / "project", sets=sets)
    left, flight = run.autopilot(BUDGET, seed=seed)
    test = left.scores("test")
    told = {
        "task": task.name,
        "seed": seed,
        "began": flight.before,
        "dev": flight.after,
        "corrected": flight.corrected,
        "test": left.metric.error(test),
        "n_dev": len(left.scores("dev")),
        "n_test": len(test),
        "stopped": flight.result.stopped,
        "candidates": len(flight.result.candidates),
        "spent": vars(flight.result.spent),
        "deciding": flight.result.spent.deciding(flight.budget),
        "seconds": time.process_time() - began,
    }
    shutil.rmtree(place)
    return told


def holds_zero(told: dict[str, Any], reported: str = "dev") -> bool:
    """Whether Newcombe's 95 % interval of test less reported dev error contains 0."""
    test, dev = (told[key] * told[n] for key, n in (("test", "n_test"), (reported, "n_dev")))
    low, high = newcombe(test, told["n_test"], dev, told["n_dev"], z_of(0.95))
    return bool(low <= 0 <= high)


def report(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "problem          runs  first dev     dev  corrected    test  holds 0  corrected"
    for name in [*(task.name for task in PROBLEMS), ""]:
        mine = [told for told in found if name in ("", told["task"])]
        if not mine:
            continue
        mean = {key: float(np.mean([told[key] for told in mine])) for key in ("began", "dev", "corrected", "test")}
        figures = f"{mean['began']:11.4f}{mean['dev']:8.4f}{mean['corrected']:11.4f}{mean['test']:8.4f}"
        held = [sum(holds_zero(told, key) for told in mine) for key in ("dev", "corrected")]
        yield f"{name or 'all':16}{len(mine):5}{figures}{held[0]:9}{held[1]:11}"
    held = sum(holds_zero(told) for told in found)
    wanted = int(np.ceil(BAR * len(found)))
    yield f"0 lies in the 95 % interval of test - reported dev error of {held} of {len(found)}; the bar is {wanted}"
    seconds, shares = ([told[key] for told in found] for key in ("seconds", "deciding"))
    deciding = f"deciding {np.mean(shares):.0%} of the budget, {max(shares):.0%} at most"
    yield f"{np.mean(seconds):.0f} processor seconds a run; {deciding}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * given.minutes
    found = []
    for path, task, seed in cells(given.work, given.runs):
        if not path.exists() and time.monotonic() < until:
            path.parent.mkdir(parents=True, exist_ok=True)
            told = flown(task, seed, path.with_suffix(".project"))
            part = path.with_suffix(".part")
            part.write_text(json.dumps(told))
            os.replace(part, path)
            print(f"{task.name} seed {seed}: {told['seconds']:.0f} s", flush=True)
        if path.exists():
            found.append(json.loads(path.read_text()))
    if found:
        print("\n".join(report(found)))


if __name__ == "__main__":
    main()
