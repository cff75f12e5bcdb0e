"""What mending one kind of mistake could bring at best.

Of m mistakes that were looked at, m_t are tagged t. Mending all of these takes the error e down by e m_t / m at best:
the ceiling of the idea. Tags overlap, so their shares add up to more than 1; the mistakes with t alone bound what
mending t brings while the other kinds stay.
Legend: e error on dev, m mistakes looked at, m_t those with tag t, p = m_t / m, z normal quantile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthogon.metrics.intervals import Estimate, Limits, from_replicates, possible, proportion, z_of
from orthogon.metrics.score import Metric, Scores, with_unit
from orthogon.shown import Shown

LEVEL = 0.95
DRAWS = 1000
ANGLES = np.linspace(0.0, math.pi / 2, 91)


@dataclass(frozen=True)
class Ceiling:
    """Of one kind of mistake. Shares are in 0..1; gain and error in the metric's unit, 0 best.

    gain: by how much the error falls at best; error: what it falls to. alone: mistakes with no other tag.
    hours: of work that mending takes, as the user says.
    """

    name: str
    count: int
    share: float
    share_low: float
    share_high: float
    gain: float
    gain_low: float
    gain_high: float
    error: float
    alone: int
    alone_gain: float
    hours: float | None = None

    @property
    def worth(self) -> float:
        """What it brings at least, per hour where hours are known."""
        return self.gain_low / self.hours if self.hours else self.gain_low


@dataclass(frozen=True)
class Ceilings(Shown):
    """The table of an error analysis.

    looked_at: mistakes inspected; untagged: those without any tag. of: mistakes there are in the part of dev that is
    shown. rows: what brings most at least comes first (per hour where hours are given). overlap: pairs of tags and how
    many mistakes have both, the most frequent first.
    """

    looked_at: int
    of: int
    untagged: int
    dev_error: float
    dev_low: float
    dev_high: float
    title: str
    unit: str
    rows: tuple[Ceiling, ...]
    overlap: tuple[tuple[str, str, int], ...]
    comments: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def show(self, value: float) -> str:
        return with_unit(value + 0.0, self.unit)

    def _points(self, value: float) -> str:
        return f"{100 * value:.1f}" if self.unit == "%" else with_unit(value, "")

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self.looked_at:
            return Text("No mistake has been looked at yet: orthogon errors --tag")
        hours = any(row.hours for row in self.rows)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("kind of mistake", overflow="fold")
        for heading in ("times", "share", "95 %", f"{self.title} at best", "gain, 95 %", "alone"):
            table.add_column(heading, justify="right", no_wrap=True)
        if hours:
            table.add_column("hours", justify="right")
        for row in self.rows:
            cells = [
                row.name,
                f"{row.count}",
                f"{100 * row.share:.0f} %",
                f"[{100 * row.share_low:.0f}, {100 * row.share_high:.0f}]",
                f"{self.show(self.dev_error)} → {self.show(row.error)}",
                f"{self._points(row.gain)} [{self._points(row.gain_low)}, {self._points(row.gain_high)}]",
                f"{row.alone}",
            ]
            table.add_row(*map(Text, cells), *([Text(f"{row.hours:g}" if row.hours else "")] if hours else []))
        return Group(table, Text(""), Text(self.summary()))

    def summary(self) -> str:
        """What the table rests on, in sentences."""
        if not self.looked_at:
            return "No mistake has been looked at yet."
        total = sum(row.share for row in self.rows)
        said = f"{self.looked_at} of {self.of} mistakes looked at"
        said += f", {self.untagged} without a tag" if self.untagged else ""
        said += (
            f"; shares add up to {100 * total:.0f} %, since one mistake can have several tags." if total > 1 else "."
        )
        if self.overlap:
            pairs = ", ".join(f"{a} with {b} {n}" for a, b, n in self.overlap[:4])
            said += f" Together: {pairs}."
        if self.looked_at < 20:
            said += " Fewer than 20 give no more than a first impression."
        return said


def product(a: Estimate, b: Estimate) -> Limits:
    """Limits of a * b of two independent figures, neither below 0, from their own limits.

    The z of the product is divided between the two, z_a = z cos t and z_b = z sin t, and the division that reaches
    furthest counts.
    Source: Newcombe 2011, Propagating imprecision: combining confidence intervals from independent sources.
    """

    def limits(z: float) -> tuple[float, float]:
        pairs = [(a.limits(z * math.cos(t)), b.limits(z * math.sin(t))) for t in ANGLES]
        return min(max(x[0], 0) * max(y[0], 0) for x, y in pairs), max(x[1] * y[1] for x, y in pairs)

    return limits


def ceilings(
    dev: Estimate,
    tagged: Mapping[str, NDArray[np.bool_]],
    looked_at: int,
    *,
    of: int | None = None,
    hours: Mapping[str, float | None] | None = None,
    shares: Mapping[str, Estimate] | None = None,
    title: str = "error",
    unit: str = "%",
    comments: int = 0,
) -> Ceilings:
    """The table from who has which tag.

    Args:
        dev: the error on dev.
        tagged: tag -> (m,) whether each mistake that was looked at has it; what none has is left out.
        looked_at: m.
        of: mistakes there are to look at; None: those m.
        hours: tag -> hours of work, where known.
        shares: tag -> the share of the error that goes with it, where mistakes do not weigh alike; None: m_t / m.
    """
    m = looked_at
    tagged = {name: mine for name, mine in tagged.items() if mine.any()}
    matrix = np.stack(list(tagged.values())) if tagged else np.zeros((0, m), bool)  # (T, m)
    z = z_of(LEVEL)
    own = dev.limits(z)
    rows = []
    num_tags = matrix.sum(axis=0)
    for name, mine in tagged.items():
        count = int(mine.sum())
        counted = proportion(count, m)
        share = counted if shares is None else shares[name]
        alone = int((mine & (num_tags == 1)).sum())
        low, high = product(dev, share)(z)
        rows.append(
            Ceiling(
                name,
                count,
                count / m,
                *counted.limits(z),
                dev.value * share.value,
                low,
                high,
                dev.value * (1 - share.value),
                alone,
                dev.value * alone / count * share.value,
                (hours or {}).get(name),
            )
        )
    priced = any(row.hours for row in rows)
    rows.sort(key=lambda row: (priced and not row.hours, -row.worth, -row.gain, row.name))
    both = [(a, b, int((tagged[a] & tagged[b]).sum())) for a, b in combinations(tagged, 2)]
    overlap = tuple(sorted((each for each in both if each[2]), key=lambda each: -each[2]))
    untagged = int((num_tags == 0).sum())
    return Ceilings(
        m, m if of is None else of, untagged, dev.value, *own, title, unit, tuple(rows), overlap, comments
    )  # fmt: skip


def shares_of(
    looked_at: Scores, metric: Metric, tagged: Mapping[str, NDArray[np.bool_]], seed: int = 0
) -> dict[str, Estimate]:
    """Which share of the error goes with each tag, where the error is no count of mistakes.

    The metric of the examples that were looked at, and again without those that have the tag: 1 - e(rest) / e(all),
    by a bootstrap over examples. Below 0 counts as 0.
    """
    records, m = looked_at.records, len(looked_at)
    weights = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=DRAWS).astype(float)
    rows = np.concatenate([np.ones((1, m)), weights])

    def errors(of: NDArray[np.float64]) -> NDArray[np.float64]:
        values = metric.draws(records, of)
        return 1 - values if metric.higher_is_better else values

    whole = errors(rows)
    found = {}
    for name, mine in tagged.items():
        if mine.all() or not mine.any():
            found[name] = proportion(int(mine.sum()), m)
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip(1 - errors(rows * ~mine) / whole, 0.0, 1.0)
        share = share[np.isfinite(share)]
        found[name] = from_replicates(float(share[0]), share[1:], m, bounds=(0.0, 1.0))
    return found


def counts_mistakes(scores: Scores, metric: Metric) -> bool:
    """Whether this error is a count of plain mistakes, of which each weighs alike."""
    wrong = scores.records.get("wrong")
    return wrong is not None and np.ndim(wrong) == 1 and possible(metric)[1] == 1.0


def names_of(tags: Sequence[Sequence[str]], known: Sequence[str] = ()) -> dict[str, NDArray[np.bool_]]:
    """Tag -> (m,) who has it, from the tags of each mistake; the order of `known` first."""
    names = list(dict.fromkeys([*known, *(tag for each in tags for tag in each)]))
    return {name: np.array([name in each for each in tags], dtype=bool) for name in names}
