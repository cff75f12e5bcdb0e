"""P22: with a limit that the best network breaks, is the best that keeps it returned, and none where none keeps it?

python benchmarks/satisficing.py [--seeds 8] [--source digits] [--trials 8]

A search without limits says which network is best and how long it takes to answer. A second one, over the same points,
is limited to 0.8 of that latency (the lower end of its interval); it is right when what it returns keeps the limit with
its whole interval and no other trial that does so has a lower dev error. A third is given a size that nothing keeps.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import orthogon as og
from orthogon import api

SHORT = ["training.epochs=4", "training.lr_race=false", "training.preflight=false"]
SMALL = {"digits": ["data.train_fraction=0.1", "task.width=8", "task.augment.strength=0"], "wine": ["task.members=2"]}


def searched(place: Path, seed: int, trials: int, name: str, limits: dict[str, str]) -> Any:
    """A study over the same points, under these limits."""
    sets = [f"metrics.satisfice.{figure}={limit!r}" for figure, limit in limits.items()]
    return og.tune(
        "1", project=place, strategy="random", budget=trials, seed=seed, sets=sets, prune=False, train_best=False,
        name=name,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--source", choices=list(SMALL), default="digits")
    chosen = parser.parse_args()
    right = none = broken = 0
    for seed in range(chosen.seeds):
        place = Path(tempfile.mkdtemp()) / "p"
        og.start(chosen.source, project=place, sets=[*SHORT, *SMALL[chosen.source]], seed=seed)
        free = searched(place, seed, chosen.trials, "free", {"latency_ms": "<= 1e9"})
        best = free.row(free.best)
        limit = 0.8 * best.figures["latency_ms"]["low"]
        held = searched(place, seed, chosen.trials, "held", {"latency_ms": f"<= {limit:.4f}"})
        winner = held.row(held.best)
        kept = [row for row in held.ranking() if row.figures["latency_ms"]["high"] <= limit]
        ok = (winner is None and not kept) or (
            winner is not None
            and winner.figures["latency_ms"]["high"] <= limit
            and winner.error <= min(row.error for row in kept)
        )
        right += ok
        broken += winner is None
        impossible = searched(place, seed, chosen.trials, "none", {"parameters": "<= 1"})
        none += impossible.best is None and "No configuration keeps every limit" in impossible.verdict()
        shown = "none" if winner is None else f"{api.load('1', project=place).metric.show(winner.error)}"
        price = "" if held.price is None else f", price {100 * held.price:.1f} points"
        took = best.figures["latency_ms"]["value"]
        refused = held.counts().get("refused", 0)
        print(
            f"seed {seed}: best {best.error:.3f} at {took:.2f} ms; limit {limit:.2f} ms: "
            f"{shown}{price}, {refused} refused before training: {'right' if ok else 'WRONG'}",
            flush=True,
        )
    print(
        f"best that keeps the limit {right}/{chosen.seeds} (none kept it in {broken}); "
        f"none where none does {none}/{chosen.seeds}"
    )


if __name__ == "__main__":
    main()
