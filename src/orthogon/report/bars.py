"""Rows of a bar, its interval and its number: the ladder, classes, groups, baselines, columns. Plain data for templates
and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orthogon.report import words

if TYPE_CHECKING:
    from orthogon.strategy.diagnosis import Diagnosis, Gap

RUNG_NAMES = {
    "floor": "Floor",
    "human": "Human level",
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
    word: key of `words.EXPLAINED`.
    """

    name: str
    value: str
    span: str = ""
    note: str = ""
    verdict: str = ""
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
    scale = 100 / ((top - bottom) or 1.0)

    def at(x: float) -> float:
        return round((min(max(x, bottom), top) - bottom) * scale, 2)

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


def ladder(diagnosis: Diagnosis, unit: str) -> list[Bar]:
    """The error ladder: a bar for each rung and, between two, the piece that the lower one adds."""
    rungs, gaps = diagnosis.rungs, diagnosis.gaps
    top = max([r.high for r in rungs if math.isfinite(r.high)] + [r.error for r in rungs if math.isfinite(r.error)])
    scale = 100 / (top or 1.0)
    rows: list[Bar] = []
    for i, rung in enumerate(rungs):
        if i:
            rows += [_gap(gaps[i - 1], rungs[i - 1].error, rung.error, unit, scale, diagnosis.primary)]
        reach = math.isfinite(rung.low) and math.isfinite(rung.high)
        floor = rung.name in ("floor", "human")
        rows.append(
            Bar(
                RUNG_NAMES.get(rung.name, rung.name),
                words.error(rung.error, unit),
                words.span(rung.low, rung.high, unit),
                note=("assumed" if floor and not rung.n else f"{rung.n:,}") if rung.n or floor else "",
                tone="rung floor" if floor else "rung",
                word={"human": "human level"}.get(rung.name, rung.name.replace("_", "-")),
                width=round(rung.error * scale, 2),
                reach_left=round(rung.low * scale, 2) if reach else 0.0,
                reach_width=round((rung.high - rung.low) * scale, 2) if reach else None,
            )
        )
    return rows


def _gap(gap: Gap, start: float, end: float, unit: str, scale: float, primary: str) -> Bar:
    tone = TONES.get(gap.verdict, "")
    if gap.name == primary:
        tone = f"{tone} primary".strip()
    verdict = gap.verdict
    return Bar(
        gap.name,
        words.gap(gap.value, unit),
        words.span(gap.low, gap.high, unit),
        verdict=verdict,
        tone=f"gap {tone}".strip(),
        word=gap.name,
        left=round(min(start, end) * scale, 2),
        width=round(abs(end - start) * scale, 2),
    )


def limit(diagnosis: Diagnosis, unit: str) -> str:
    """One sentence: the gap that limits the system, with its size."""
    return diagnosis.summary()
