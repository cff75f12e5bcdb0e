"""Fill the cells of the autopilot benchmark: one result file for each task, seed and arm; run again to continue.

python benchmarks/autopilot/run.py WORK --tasks development --seeds 3 --budget 10
python benchmarks/autopilot/run.py WORK --tasks held-out --seeds 10 --budget 60 --arms autopilot tpe+hyperband
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from arms import ARMS, DOUBLED, Arm

from orthogon.errors import RunError
from orthogon.project.trial import Trials
from tasks import TASKS, Task, trials_of


def cell_of(work: Path, task: str, seed: int, arm: str, budget: float) -> Path:
    return work / "cells" / f"{task}--{seed}--{arm.replace(' ', '-')}--{budget:g}.json"


def fill(work: Path, task: Task, trials: Trials, seed: int, name: str, budget: float) -> None:
    """One cell; what an earlier, killed attempt had spent is replayed from its ledger."""
    cell = cell_of(work, task.name, seed, name, budget)
    if cell.exists():
        return
    cell.parent.mkdir(parents=True, exist_ok=True)
    doubled = name == DOUBLED
    began = time.process_time()
    ledger = cell.with_suffix(".ledger.jsonl")
    try:
        arm = Arm(trials, budget * (2 if doubled else 1), seed, ledger)
        (ARMS["random"] if doubled else ARMS[name])(arm)
    except RunError:  # a rival that draws anew each time cannot be replayed: its cell begins again
        ledger.unlink()
        arm = Arm(trials, budget * (2 if doubled else 1), seed, ledger)
        (ARMS["random"] if doubled else ARMS[name])(arm)
    spent = arm.ledger.spent
    told = {
        "task": task.name,
        "kind": task.kind,
        "plant": task.plant,
        "seed": seed,
        "arm": name,
        "budget": budget,
        "path": [
            [runs / (2 if doubled else 1), overrides, offset, error] for runs, overrides, offset, error in arm.path
        ],
        "spent": {"runs": spent.runs, "multiply_adds": spent.multiply_adds, "thinking": spent.thinking},
        "default_seconds": arm.default.seconds,
        "dev_size": len(trials.splits["dev"]),
        "test_size": len(trials.splits["test"]),
        "is_share": arm.metric.kind == "proportion",
        "optimism": arm.optimism,
        "decisions": arm.decisions,
        "seconds": time.process_time() - began,
    }
    cell.write_text(json.dumps(told, default=str))
    print(f"{task.name} seed {seed} {name}: {spent.runs:.1f} runs, {told['seconds']:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", choices=list(TASKS), default="development")
    parser.add_argument("--only", nargs="*", help="names of tasks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=10)
    parser.add_argument("--arms", nargs="*", default=[*ARMS, DOUBLED])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    chosen = [task for task in TASKS[given.tasks] if not given.only or task.name in given.only]
    if given.tasks == "held-out":
        look = {"time": datetime.now(UTC).isoformat(), "arms": given.arms, "seeds": given.seeds, "budget": given.budget}
        with (given.work / "held-out-looks.jsonl").open("a") as file:
            file.write(json.dumps(look) + "\n")
    until = time.monotonic() + 60 * given.minutes
    for seed in range(given.seeds):
        for task in chosen:
            missing = [n for n in given.arms if not cell_of(given.work, task.name, seed, n, given.budget).exists()]
            trials = trials_of(task, seed, given.work) if missing else None
            for name in missing:
                if time.monotonic() > until:
                    return
                assert trials is not None
                fill(given.work, task, trials, seed, name, given.budget)


if __name__ == "__main__":
    main()
