"""The part of dev that people look at, and the part that nobody looks at.

Who looks at mistakes and mends them fits the system to the mistakes that were seen. So dev is divided once, as soon
as its first run is there: the eyeball part is shown, the blackbox part is only counted. A system that does better on
the part that was looked at has been fitted by eye, and then another part of dev is shown instead.
Source: A. Ng, Machine Learning Yearning, chapters 16 to 18.
Differs: the sizes. The eyeball part holds about 100 mistakes of the first run; the blackbox part at least 300
examples. Where dev has no room for 300 and 20 mistakes, all of it is looked at, and that is said.
Legend: n examples, e error of the first run, k mistakes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import RunError, UsageError
from orthogon.metrics.intervals import Estimate, difference, estimate
from orthogon.metrics.score import Metric, Scores, with_unit
from orthogon.run.folder import write_json
from orthogon.shown import Shown

MISTAKES_WANTED = 100
MISTAKES_LEAST = 20  # fewer give no picture of what goes wrong
BLACKBOX_LEAST = 300
LEVEL = 0.05  # one-sided, of "the blackbox part is not harder than the eyeball part by more than is worth acting on"

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Halves:
    """Who of dev is looked at.

    eyeball, blackbox, seen: ids in ascending order, together all of dev; seen: of eyeball parts that were turned away.
    run: whose mistakes decided the size. turns: how often another part was taken.
    wanted_dev: dev examples that would give both parts their size; None where they have it, or no mistake tells it.
    """

    eyeball: Ids
    blackbox: Ids
    seen: Ids
    run: str = ""
    turns: int = 0
    wanted_dev: int | None = None

    @property
    def whole(self) -> bool:
        """Whether all of dev is looked at."""
        return len(self.blackbox) == 0

    @property
    def reason(self) -> str:
        """One sentence for the person."""
        n = len(self.eyeball) + len(self.blackbox) + len(self.seen)
        if not self.whole:
            before = f"; {len(self.seen):,} were looked at before" if len(self.seen) else ""
            return (
                f"Of {n:,} dev examples {len(self.eyeball):,} are looked at, and {len(self.blackbox):,} are only "
                f"counted{before}."
            )
        if len(self.seen):
            return f"All {n:,} dev examples have been looked at: only a fresh dev set is unseen."
        more = "" if self.wanted_dev is None else f"; about {_round_up(self.wanted_dev):,} would do"
        return (
            f"All {n:,} dev examples are looked at: they are too few to show {MISTAKES_LEAST} mistakes and keep "
            f"{BLACKBOX_LEAST} examples unseen{more}."
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "eyeball": self.eyeball,
            "blackbox": self.blackbox,
            "seen": self.seen,
            "run": self.run,
            "turns": self.turns,
            "wanted_dev": self.wanted_dev,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Halves:
        ids = {name: np.asarray(values[name], dtype=np.int64) for name in ("eyeball", "blackbox", "seen")}
        return cls(**ids, run=str(values["run"]), turns=int(values["turns"]), wanted_dev=values["wanted_dev"])


@dataclass(frozen=True)
class ByEye(Shown):
    """How much harder the part is that nobody looked at, with its 95 % interval. material: fitted by eye."""

    gap: float
    low: float
    high: float
    eyeball_error: float
    blackbox_error: float
    material: bool
    unit: str = "%"

    def sentence(self) -> str:
        """The warning, and what to do."""
        seen, unseen = (with_unit(error, self.unit) for error in (self.eyeball_error, self.blackbox_error))
        points = f"{100 * self.gap:.1f} points" if self.unit == "%" else with_unit(self.gap, self.unit)
        low, high = ((100 if self.unit == "%" else 1) * limit for limit in (self.low, self.high))
        return (
            f"It was fitted by eye: the error is {seen} where mistakes were looked at and {unseen} where nobody "
            f"looked, {points} more [{low:.3g}, {high:.3g}]. Look at other mistakes: orthogon errors --rotate"
        )

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def divide(dev: Scores, key: str, run: str = "") -> Halves:
    """Divide dev by the mistakes of its first run; the same dev and key give the same parts.

    Each class has its share of each part; a group (person, document) lies in one part whole.

    Args:
        dev: scores of the first run; records "wrong" and "truth" where the task has them. Without "wrong" each example
            counts as a mistake to look at.
        key: what names this split of the data; the seed of the draw.
    """
    wrong = dev.records.get("wrong")
    rate = 1.0 if wrong is None or np.ndim(wrong) > 1 else float(np.mean(np.asarray(wrong) > 0))
    n = len(dev)
    wanted = math.ceil(MISTAKES_WANTED / rate) if rate else n
    size = min(wanted, n - BLACKBOX_LEAST)
    everything = np.sort(dev.ids)
    nobody = np.zeros(0, np.int64)
    if size <= 0 or size * rate < MISTAKES_LEAST:
        needed = BLACKBOX_LEAST + wanted if rate else None
        return Halves(everything, nobody, nobody, run, 0, needed)
    eyeball = np.sort(_first(dev, size, key))
    return Halves(eyeball, np.setdiff1d(everything, eyeball), nobody, run)


def turn(halves: Halves, dev: Scores, key: str) -> Halves:
    """Look at another part, of the same size, that nobody has looked at yet.

    Raises:
        UsageError: too few unseen examples would be left.
    """
    size = len(halves.eyeball)
    if len(halves.blackbox) < size + BLACKBOX_LEAST:
        raise UsageError(
            f"only {len(halves.blackbox):,} dev examples are still unseen: {size:,} to look at would leave fewer than "
            f"{BLACKBOX_LEAST}",
            "--rotate",
            "Bring a fresh dev set: label new examples of the kind you care about, and start a project with them.",
        )
    unseen = dev.take(np.isin(dev.ids, halves.blackbox))
    eyeball = np.sort(_first(unseen, size, f"{key}-{halves.turns + 1}"))
    blackbox = np.setdiff1d(halves.blackbox, eyeball)
    return Halves(eyeball, blackbox, np.union1d(halves.seen, halves.eyeball), halves.run, halves.turns + 1)


def by_eye(halves: Halves, dev: Scores, metric: Metric, smallest_gap: float) -> ByEye | None:
    """How much harder the unseen part is; None where all of dev is looked at.

    Args:
        smallest_gap: the smallest difference worth acting on.
    """
    parts = [dev.take(np.isin(dev.ids, ids)) for ids in (halves.eyeball, halves.blackbox)]
    if not all(map(len, parts)):
        return None
    seen, unseen = (estimate(part, metric) for part in parts)
    gap: Estimate = difference(unseen, seen)
    limits = gap.interval(0.95)
    material = gap.value > smallest_gap and gap.p_above(smallest_gap) <= LEVEL
    return ByEye(gap.value, limits.low, limits.high, seen.value, unseen.value, material, metric.unit)


def _first(scores: Scores, size: int, key: str) -> Ids:
    """About `size` ids in a drawn order whose every beginning holds each class in its share, and groups whole."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    groups = scores.groups
    if groups is not None and 1 < len(np.unique(groups)) < len(scores):
        _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order = rng.permutation(len(sizes))
        ends = np.cumsum(sizes[order])
        taken = order[: max(1, int(np.searchsorted(ends, size, side="right")))]
        return scores.ids[np.isin(codes, taken)]
    truth = np.asarray(scores.records.get("truth", np.zeros(len(scores), np.int64)))
    if truth.ndim != 1 or truth.dtype.kind not in "iu":  # values, or several targets: no classes to share out
        truth = np.zeros(len(scores), np.int64)
    codes = np.unique(truth, return_inverse=True)[1]
    place = np.empty(len(scores))
    for code in range(int(codes.max()) + 1):
        members = rng.permutation(np.flatnonzero(codes == code))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return scores.ids[np.argsort(place, kind="stable")[:size]]


def _round_up(n: int) -> int:
    unit = 10 ** max(0, len(str(n)) - 2)
    return -(-n // unit) * unit


# -- kept in the project ------------------------------------------------------------------------------------------


def halves_of(folder: Path, key: str, dev: Scores, run: str) -> Halves:
    """The project's division of this dev set, made now if nobody has asked for it yet.

    Args:
        folder: the project's. key: of the split. dev: scores of the run that asks. run: its name.
    Raises:
        RunError: the file is damaged.
    """
    path = folder / "eyeball" / f"{key}.json"
    if not path.exists():
        halves = divide(dev, key, run)
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"format": 1, **halves.to_dict()})
        return halves
    try:
        return Halves.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as cause:
        raise RunError(
            f"which part of dev is looked at cannot be read ({cause})",
            str(path),
            "Restore the file from a backup, or delete it: dev is then divided anew, and what was seen is forgotten.",
        ) from cause


def turn_of(folder: Path, key: str, dev: Scores, run: str) -> Halves:
    """`turn`, kept in the project."""
    halves = turn(halves_of(folder, key, dev, run), dev, key)
    write_json(folder / "eyeball" / f"{key}.json", {"format": 1, **halves.to_dict()})
    return halves
