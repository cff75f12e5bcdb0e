"""One cell of the benchmark: an arm on a task under a seed, written to a file of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from arms import ARMS, BORROWS, DOUBLED, Arm

from orthogon.errors import RunError
from orthogon.project.trial import Trials
from orthogon.strategy.diagnosis import Diagnosis
from tasks import Task


def cell_of(work: Path, task: str, seed: int, arm: str, budget: float) -> Path:
    return work / "cells" / f"{task}--{seed}--{arm.replace(' ', '-')}--{budget:g}.json"


def fill(work: Path, tasks: Sequence[Task], task: Task, trials: Trials, seed: int, name: str, budget: float) -> None:
    """One cell; what an earlier, killed attempt had spent is replayed from its ledger."""
    cell = cell_of(work, task.name, seed, name, budget)
    cell.parent.mkdir(parents=True, exist_ok=True)
    doubled = name == DOUBLED
    borrowed = _of_another(work, tasks, task, seed, budget) if name == BORROWS else []
    began, times = time.process_time(), 2 if doubled else 1
    ledger = cell.with_suffix(".ledger.jsonl")
    act = ARMS["random"] if doubled else ARMS[name]
    try:
        arm = Arm(trials, budget * times, seed, ledger, borrowed)
        act(arm)
    except RunError:  # a rival that draws anew each time cannot be replayed: its cell begins again
        ledger.unlink()
        arm = Arm(trials, budget * times, seed, ledger, borrowed)
        act(arm)
    spent = arm.ledger.spent
    told = {
        "task": task.name,
        "kind": task.kind,
        "plant": task.plant,
        "seed": seed,
        "arm": name,
        "budget": budget,
        "path": [[runs / times, overrides, offset, error] for runs, overrides, offset, error in arm.path],
        "spent": {"runs": spent.charged, "multiply_adds": spent.multiply_adds, "thinking": spent.thinking,
                  "deciding": (spent.thinking_runs + spent.studies) / (budget * times)},
        "default_seconds": arm.default.seconds,
        "dev_size": len(trials.splits["dev"]),
        "test_size": len(trials.splits["test"]),
        "is_share": arm.metric.kind == "proportion",
        "optimism": arm.optimism,
        "decisions": arm.decisions,
        "diagnoses": arm.diagnoses,
        "seconds": time.process_time() - began,
    }  # fmt: skip
    part = cell.with_suffix(".part")
    part.write_text(json.dumps(told, default=str))
    os.replace(part, cell)
    print(f"{task.name} seed {seed} {name}: {spent.charged:.1f} runs, {told['seconds']:.0f} s", flush=True)


def _of_another(work: Path, tasks: Sequence[Task], task: Task, seed: int, budget: float) -> list[Diagnosis]:
    """What the next task's autopilot was told, under the same seed; of the next that was filled."""
    at = [each.name for each in tasks].index(task.name)
    for other in [*tasks[at + 1 :], *tasks[:at]]:
        path = cell_of(work, other.name, seed, "autopilot", budget)
        if path.exists():
            return [Diagnosis.from_dict(told) for told in json.loads(path.read_text())["diagnoses"]]
    raise SystemExit(f'"{BORROWS}" needs the autopilot of another task: fill that arm of two tasks first')
