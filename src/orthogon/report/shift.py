"""How dev differs from train, as the report shows it: the distributions side by side, and the most telling examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from orthogon.report import pictures, plots, words
from orthogon.report.render import clip

if TYPE_CHECKING:
    from orthogon.strategy.general import GeneralTable
    from orthogon.strategy.shift import Shift
    from orthogon.tasks.task import Card

MAX_TRAITS = 6
PICTURE_BYTES = 160_000
MAX_EXAMPLES = 8  # of each side
MAX_FIELDS = 4


@dataclass(frozen=True)
class ShiftShown:
    """A study of shift and the examples it names: (how they lie to the other side, cards, that first).

    table: errors on two kinds of data, where there are two.
    """

    study: Shift
    table: GeneralTable | None = None
    examples: Sequence[tuple[str, Sequence[Card]]] = ()


def section(shown: ShiftShown | None, unit: str, examples: bool) -> dict[str, Any] | None:
    """What `page.html` draws; None where nothing was studied or nothing was found."""
    if shown is None or not (shown.study.found or shown.study.note):
        return None
    study = shown.study
    traits = []
    for number, each in enumerate(study.traits[:MAX_TRAITS]):
        figure = plots.two_distributions(
            each.reference, each.target, each.edges, [clip(level, 24) for level in each.levels], each.name, each.unit
        )
        cost = ""
        if each.error_outside is not None and each.error_inside is not None and each.costs:
            cost = (
                f"Error {words.error(each.error_outside.value, unit)} on the {each.outside:.0%} of dev that are "
                f"unusual in train, {words.error(each.error_inside.value, unit)} on the others."
            )
        label = f"{each.name} in train and in dev"
        traits.append(
            {
                "plot": Markup(plots.to_svg(figure, f"shift-{number}", label)),
                "detail": each.detail,
                "meaning": each.meaning,
                "cost": cost,
            }
        )
    return {
        "sentences": " ".join(study.sentences),
        "table": _table(shown.table, unit),
        "traits": traits,
        "more": len(study.traits) - len(traits),
        "costs": _costs(study, unit),
        "examples": _examples(shown.examples) if examples else [],
    }


def _costs(study: Shift, unit: str) -> list[dict[str, str]]:
    """A row for each difference whose own cost was measured."""
    return [
        {
            "name": clip(each.name, 40),
            "how": each.how,
            "error": words.error(each.error, unit),
            "without": words.error(each.error_without, unit),
            "cost": words.gap(each.value, unit),
            "span": words.span(each.low, each.high, unit),
            "verdict": each.verdict_in_words,
        }
        for each in study.costs
    ]


def _table(table: GeneralTable | None, unit: str) -> dict[str, Any] | None:
    if table is None:
        return None
    rows = []
    for name, cells in table.cells.items():
        shown = []
        for cell in cells.values():
            value = "?" if cell is None else words.error(cell.value, unit)
            span = words.span(cell.low, cell.high, unit) if cell is not None and cell.n else ""
            shown.append({"value": value, "span": span})
        rows.append({"name": name, "cells": shown})
    said = [*table.sentences, *([f"The empty cells take {'; '.join(table.missing)}."] if table.missing else [])]
    columns = (f"general ({clip(table.general, 30)})", f"target ({clip(table.target, 30)})")
    return {"columns": columns, "rows": rows, "note": " ".join(said)}


def _examples(sides: Sequence[tuple[str, Sequence[Card]]]) -> list[Mapping[str, Any]]:
    cards = [card for _, each in sides for card in each[:MAX_EXAMPLES]]
    encoded = iter(pictures.encode(cards, PICTURE_BYTES))
    shown: list[Mapping[str, Any]] = []
    for title, each in sides:
        rows = []
        for card in each[:MAX_EXAMPLES]:
            fields = [
                f"{clip(name, 40)} {clip(str(value), 40)}" for name, value in list(card.fields.items())[:MAX_FIELDS]
            ]
            text = clip(card.text, 80) if card.kind == "strings" else ", ".join(fields)
            rows.append(
                {"picture": next(encoded)[0], "text": text, "truth": clip(card.truth, 40), "origin": card.title}
            )
        if rows:
            shown.append({"title": title, "rows": rows})
    return shown
