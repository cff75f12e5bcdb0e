"""Tags, groups that fail together and leaks as plain values, for the page of mistakes and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orthogon.report import pictures, words
from orthogon.report.data import Case
from orthogon.report.render import clip

if TYPE_CHECKING:  # types alone: a page is drawn without loading torch
    from orthogon.strategy.ceilings import Ceilings
    from orthogon.strategy.leaks import Leaks
    from orthogon.strategy.slices import Slices
    from orthogon.tasks.task import Card

MAX_FIELDS = 4  # columns of a row beside a card
MAX_SLICES = 8
MAX_PAIRS = 12  # of leaks


def encoded_once(cases: Sequence[Case], budget: int, side: int = 0) -> dict[int, pictures.Picture]:
    """id -> picture, encoded once; the budget holds for all the places where it is shown."""
    once = {case.id: case.card for case in cases}
    encoded = pictures.encode(list(once.values()), budget * len(once) // max(1, len(cases)), side)
    return {id_: pair[0] for id_, pair in zip(once, encoded, strict=True) if pair[0] is not None}


def beside(case: Case, picture: pictures.Picture | None, distance: float | None = None) -> dict[str, Any]:
    """A small card: a picture, some columns or a string, with its label."""
    card = case.card
    return {
        "picture": picture,
        "label": clip(_label(card), 60),
        "text": clip(card.text, 120),
        "fields": [(clip(name, 40), clip(str(value), 40)) for name, value in list(card.fields.items())[:MAX_FIELDS]],
        "origin": card.title,
        "times": "" if distance is None or distance < 1.05 else f"{distance:.1f} × as far",
    }


def _label(card: Card) -> str:
    if card.targets:
        return ", ".join(f"{target.name} {target.truth}" for target in card.targets[:4])
    return card.truth


def ceilings_shown(table: Ceilings | None) -> dict[str, Any] | None:
    """Rows of the table of tags."""
    if table is None or not table.rows:
        return None
    top = max(row.gain_high for row in table.rows) or 1.0
    rows = [
        {
            "name": clip(row.name, 60),
            "count": row.count,
            "share": f"{words.share(row.share)} %",
            "span": words.span(row.share_low, row.share_high, "%"),
            "error": words.error(row.error, table.unit),
            "gain": words.gap(row.gain, table.unit).lstrip("+"),
            "gain_span": words.span(row.gain_low, row.gain_high, table.unit),
            "alone": row.alone,
            "hours": f"{row.hours:g}" if row.hours else "",
            "width": round(100 * row.gain / top, 1),
            "left": round(100 * row.gain_low / top, 1),
            "reach": round(100 * (row.gain_high - row.gain_low) / top, 1),
        }
        for row in table.rows
    ]
    return {
        "rows": rows,
        "hours": any(row["hours"] for row in rows),
        "summary": table.summary(),
        "now": words.error(table.dev_error, table.unit),
    }


def slices_shown(found: Slices | None, strips: Sequence[Sequence[Case]]) -> dict[str, Any] | None:
    """Groups that fail together, each with a strip of its examples."""
    if found is None:
        return None
    encoded = encoded_once([case for strip in strips for case in strip], 400_000, 128)
    groups = []
    for number, each in enumerate(found.found[:MAX_SLICES]):
        strip = strips[number] if number < len(strips) else ()
        groups.append(
            {
                "name": each.name,
                "shares": "; ".join(each.shares),
                "n": f"{each.n:,}",
                "error": words.error(each.error, found.unit),
                "span": words.span(each.low, each.high, found.unit),
                "rest": words.error(each.rest, found.unit),
                "expected": words.error(each.expected, found.unit),
                "strip": [{**beside(case, encoded.get(case.id)), "said": clip(case.card.answer, 40)} for case in strip],
            }
        )
    return {"groups": groups, "summary": found.summary()}


def leaks_shown(found: Leaks | None, pairs: Sequence[tuple[Case, Case]]) -> dict[str, Any] | None:
    """What dev shares with train, with the first pairs."""
    if found is None:
        return None
    encoded = encoded_once([case for pair in pairs for case in pair], 300_000, 128)
    rows = [
        {
            "kind": each.kind,
            "count": f"{each.count:,} ({words.share(each.share)} %)",
            "on": words.error(each.error_on, found.unit),
            "without": words.error(each.error_without, found.unit),
            "span": words.span(each.low, each.high, found.unit),
            "detail": each.detail,
        }
        for each in found.found
    ]
    return {
        "rows": rows,
        "summary": found.summary(),
        "remedies": list(dict.fromkeys(each.remedy for each in found.found if each.remedy)),
        "pairs": [tuple(beside(case, encoded.get(case.id)) for case in pair) for pair in pairs[:MAX_PAIRS]],
    }
