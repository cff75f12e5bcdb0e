"""The logbook as a timeline: what each run changed, what that could bring, what it brought, how every gap moved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orthogon.report import words
from orthogon.report.bars import Bar, Value, bars
from orthogon.report.render import clip

MOST = 60  # runs that are drawn; the first and the best are always among them
TONES = {"helped": "good", "harmed": "bad"}


@dataclass(frozen=True)
class Entry:
    """One run.

    error: its dev error as the bar draws it, on one scale for all runs of the page's metric; None where it is judged
        by another, which `other` says.
    tone: "good" and "bad" where a step was shown to have helped or harmed.
    outcome: the verdict in a sentence. gains: what was expected at most, and what was measured.
    moved: (gap, change with its interval, whether the step aimed at it, whether the change is beyond chance).
    skipped: runs before this one that are left out.
    """

    run: str
    when: str
    what: str
    error: Bar | None
    other: str = ""
    tone: str = ""
    best: bool = False
    current: bool = False
    outcome: str = ""
    gains: Sequence[Bar] = ()
    moved: Sequence[tuple[str, str, bool, bool]] = ()
    skipped: int = 0


def timeline(rows: Sequence[Mapping[str, Any]], unit: str, current: str) -> list[Entry]:
    """The runs in the order they were made.

    Args:
        rows: run, when, what, error (0-best, or text where it is another metric's), outcome (`advice.Outcome` as plain
            values, or None).
        unit: of the errors.
        current: the run that the page is about.
    """
    errors = {i: float(row["error"]) for i, row in enumerate(rows) if isinstance(row.get("error"), int | float)}
    drawn = dict(zip(errors, bars([Value("", value) for value in errors.values()], unit), strict=True))
    best = min(errors, key=lambda i: errors[i], default=-1) if len(errors) > 1 else -1
    kept = sorted({0, best, *range(max(0, len(rows) - MOST), len(rows))} & set(range(len(rows))))
    entries, before = [], -1
    for i in kept:
        row = rows[i]
        outcome = row.get("outcome") or {}
        other = row.get("error")
        entries.append(
            Entry(
                run=clip(str(row.get("run", "")), 40),
                when=str(row.get("when") or "")[:16].replace("T", " "),
                what=clip(str(row.get("what") or ""), 200),
                error=drawn.get(i),
                other=clip(other, 60) if isinstance(other, str) else "",
                tone=TONES.get(str(outcome.get("verdict", "")), ""),
                best=i == best,
                current=str(row.get("run")) == current,
                outcome=clip(str(outcome.get("sentence", "")), 400),
                gains=_gains(outcome),
                moved=_moved(outcome),
                skipped=i - before - 1,
            )
        )
        before = i
    return entries


def _gains(outcome: Mapping[str, Any]) -> list[Bar]:
    unit = str(outcome.get("unit", "%"))
    values = []
    told = (("at most", "expected", "quiet"), ("expected", "likely", "quiet"), ("measured", "measured", ""))
    for name, key, tone in told:
        gain = outcome.get(key)
        if gain:
            low, high = _real(gain.get("low")), _real(gain.get("high"))
            values.append(Value(name, _real(gain.get("value")), low, high, tone=tone))
    return bars(values, unit, signed=True) if len(values) > 1 else []


def _moved(outcome: Mapping[str, Any]) -> list[tuple[str, str, bool, bool]]:
    unit = str(outcome.get("unit", "%"))
    found = []
    for each in outcome.get("moved") or ():
        change, low, high = (_real(each.get(key)) for key in ("change", "low", "high"))
        text = f"{words.gap(change, unit)} {words.span(low, high, unit)}".strip()
        found.append((str(each["gap"]), text, each["gap"] == outcome.get("gap"), low > 0 or high < 0))
    return found


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)
