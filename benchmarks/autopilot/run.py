"""Fill the cells of the autopilot benchmark: one result file for each task, seed and arm; run again to continue.

    python benchmarks/autopilot/run.py WORK --tasks development --seeds 3 --budget 10
    python benchmarks/autopilot/run.py WORK --tasks held-out --seeds 10 --budget 30 --minutes 60

The first call copies the code to WORK/frozen, and every call runs from that copy: what is changed in the repository
meanwhile changes no cell. Cells are filled so that a table which is not yet full is balanced: all tasks under seed 0
with the arms of the smallest honest table, then seed 1, and so on; the other arms come after all of these.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

FROZEN = "frozen"


def from_frozen_copy(work: Path, script: Path) -> None:
    """Go on in the copy of the code that these cells are made by; the first call makes it. Does not return, unless
    this is that copy."""
    import orthogon

    copy = work.resolve() / FROZEN
    if script.resolve().is_relative_to(copy):
        return
    if not copy.exists():
        part = work.resolve() / f"{FROZEN}.part"
        shutil.rmtree(part, ignore_errors=True)
        bare = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(orthogon.__path__[0]), part / "src" / "orthogon", ignore=bare)
        shutil.copytree(script.resolve().parent, part / "benchmarks" / "autopilot", ignore=bare)
        part.rename(copy)
    path = os.pathsep.join([str(copy / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    again = copy / "benchmarks" / "autopilot" / script.name
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, str(again), *sys.argv[1:]], {**os.environ, "PYTHONPATH": path})


def order(
    tasks: Sequence[str], seeds: int, arms: Sequence[str], smallest: Sequence[str]
) -> Iterator[tuple[int, str, list[str]]]:
    """(seed, task, arms) in the order in which cells are filled."""
    first = [arm for arm in smallest if arm in arms]
    rest = [arm for arm in arms if arm not in first]
    for group in (first, rest):
        for seed in range(seeds if group else 0):
            for task in tasks:
                yield seed, task, group


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", choices=("development", "held-out"), default="development")
    parser.add_argument("--only", nargs="*", help="names of tasks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=10)
    parser.add_argument("--arms", nargs="*", help="all, where none is named")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further cell after so many")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    from_frozen_copy(given.work, Path(__file__))

    import torch
    from arms import ARMS, DOUBLED, SMALLEST
    from cells import cell_of, fill

    from tasks import TASKS, trials_of

    torch.set_num_threads(1)
    known = [*ARMS, DOUBLED]
    arms = given.arms or known
    unknown = sorted(set(arms) - set(known))
    if unknown:
        parser.error(f"no such arm: {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = {task.name: task for task in TASKS[given.tasks] if not given.only or task.name in given.only}
    if given.tasks == "held-out":
        look = {"time": datetime.now(UTC).isoformat(), "arms": arms, "seeds": given.seeds, "budget": given.budget}
        with (given.work / "held-out-looks.jsonl").open("a") as file:
            file.write(json.dumps(look) + "\n")
    until, failed = time.monotonic() + 60 * given.minutes, set()
    for seed, name, group in order(list(chosen), given.seeds, arms, SMALLEST):
        missing = [arm for arm in group if not cell_of(given.work, name, seed, arm, given.budget).exists()]
        trials = None
        for arm in missing:
            if time.monotonic() > until:
                print("time is up; call again to continue")
                return
            if arm in failed:
                continue
            trials = trials or trials_of(chosen[name], seed, given.work)
            try:
                fill(given.work, list(chosen.values()), chosen[name], trials, seed, arm, given.budget)
            except ModuleNotFoundError as absent:  # a rival that is not installed here
                failed.add(arm)
                print(f"{arm} is left out: {absent}", flush=True)


if __name__ == "__main__":
    main()
