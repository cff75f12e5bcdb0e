"""Rows of a bar, its interval and its number: the ladder, classes, groups, baselines, columns. Plain data for templates
and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orthogon.report import words

if TYPE_CHECKING:
    from orthogon.strategy.diagnosis import Diagnosis, Gap, Rung

RUNG_NAMES = {
    "floor": "Floor",
    "train": "Train",
    "train_dev": "Train-dev",
    "dev": "Dev",
    "test": "Test",
}
TONES = {"material": "material", "real, size unclear": "real"}


@dataclass(frozen=True)
class Bar:
    """One row. Positions are percent of the track; None where nothing is drawn.

    tone: CSS class: "rung", "gap", "material", "real", "primary", "quiet", "floor", several joined by a space.
    word: key of `words.EXPLAINED`; so is verdict, and verdict_shown is what is written in its place.
    """

    name: str
    value: str
    span: str = ""
    note: str = ""
    verdict: str = ""
    verdict_shown: str = ""
    tone: str = ""
    word: str = ""
    left: float = 0.0
    width: float | None = None
    reach_left: float = 0.0
    reach_width: float | None = None


@dataclass(frozen=True)
class Value:
    """What a bar is drawn from: an error and its interval, NaN bounds where there is none."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    tone: str = ""


def bars(values: Sequence[Value], unit: str, signed: bool = False, cap: float = math.inf) -> list[Bar]:
    """Bars on one common scale that starts at zero, or spans the negative values too when signed.

    A value above `cap` does not set the scale: its bar runs off the edge ("cut"), so that the others stay apart.
    """
    kept = [v for v in values if v.value <= cap] or values
    finite = [x for v in kept for x in (v.value, v.high, *((v.low,) if signed else ())) if math.isfinite(x)]
    top, bottom = max([0.0, *finite]), min([0.0, *finite]) if signed else 0.0
    span = (top - bottom) or 1.0

    def at(x: float) -> float:
        return round(100 * (min(max(x, bottom), top) - bottom) / span, 2)

    rows = []
    for v in values:
        cut = v.value > top
        reach = None if cut or not (math.isfinite(v.low) and math.isfinite(v.high)) else (at(v.low), at(v.high))
        shown = math.isfinite(v.value)
        rows.append(
            Bar(
                v.name,
                words.gap(v.value, unit) if signed else words.error(v.value, unit),
                words.span(v.low, v.high, unit),
                v.note,
                tone=f"{v.tone} cut".strip() if cut else v.tone,
                left=min(at(0), at(v.value)) if shown else 0.0,
                width=round(abs(at(v.value) - at(0)), 2) if shown else None,
                reach_left=reach[0] if reach else 0.0,
                reach_width=round(reach[1] - reach[0], 2) if reach else None,
            )
        )
    return rows


def ladder(diagnosis: Diagnosis, unit: str, bracket: tuple[float, float] | None = None) -> list[Bar]:
    """The error ladder: a bar for each rung and, above it, the piece that it adds to the rung before.

    Args:
        bracket: between what and what the least possible error lies, where that was studied.
    """
    value = {rung.name: rung.value for rung in diagnosis.rungs}
    tops = [x for rung in diagnosis.rungs for x in (rung.value, rung.high) if math.isfinite(x)]
    span = max(tops, default=0.0) or 1.0

    def at(x: float) -> float:
        return round(100 * max(0.0, x) / span, 2)

    gap_before = {gap.later: gap for gap in diagnosis.gaps}
    rows: list[Bar] = []
    for rung in diagnosis.rungs:
        gap = gap_before.get(rung.name)
        if gap is not None:
            start, end = value[gap.earlier], value[gap.later]
            if gap.earlier == "floor":  # below the floor there is no avoidable bias to draw
                end = max(start, end)
            tone = f"{TONES.get(gap.verdict, '')} {'primary' if gap.name == diagnosis.primary else ''}"
            rows.append(
                Bar(
                    gap.name,
                    words.at_most(gap.value, unit) if gap.at_most else words.gap(gap.value, unit),
                    words.span(gap.low, gap.high, unit),
                    verdict=gap.verdict,
                    verdict_shown=_verdict(gap),
                    tone=" ".join(f"gap {tone}".split()),
                    word=gap.name,
                    left=at(min(start, end)),
                    width=round(abs(at(end) - at(start)), 2),
                )
            )
        floor = rung.name == "floor"
        low, high = rung.low, rung.high
        reach = math.isfinite(low) and math.isfinite(high) and low < high
        drawn = reach
        if floor and not reach and bracket is not None:  # nobody measured people: what the labels tell
            low, high = bracket[0], min(bracket[1], span)
            drawn = low < high
        rows.append(
            Bar(
                "Human level" if floor and rung.source == "given" else RUNG_NAMES.get(rung.name, rung.name),
                words.error(rung.value, unit),
                words.span(rung.low, rung.high, unit) if reach else "",
                note=_floor_note(rung, unit, bracket) if floor else f"{rung.n:,}" if rung.n else "",
                tone="rung floor" if floor else "rung",
                word=rung.name.replace("_", "-"),
                width=at(rung.value),
                reach_left=at(low) if drawn else 0.0,
                reach_width=round(at(high) - at(low), 2) if drawn else None,
            )
        )
    return rows


def _floor_note(rung: Rung, unit: str, bracket: tuple[float, float] | None) -> str:
    """Where the floor comes from, and between what it lies where that was studied."""
    source = {"assumed": "assumed", "measured": "wrong labels"}.get(rung.source, "given")
    if rung.source != "assumed" and rung.n:
        source = f"{rung.n:,}" if rung.source == "given" else f"{source}, {rung.n:,}"
    if bracket is None:
        return source
    return f"{source}; at least {words.error(bracket[0], unit)}, at most {words.error(bracket[1], unit)}"


def _verdict(gap: Gap) -> str:
    if gap.beyond_reach:
        return f"{gap.verdict}: needs over 20 times the data"
    return f"{gap.verdict}: needs about {words.about(gap.needed_n)}" if gap.needed_n else gap.verdict
