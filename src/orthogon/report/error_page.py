"""The page of mistakes: one HTML file of cards, each beside what the system learned from that lies nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.report.data import Case
from orthogon.report.error_parts import beside, ceilings_shown, encoded_once, leaks_shown, slices_shown
from orthogon.report.page import card_shown
from orthogon.report.render import clip, render
from orthogon.run.folder import write_text

if TYPE_CHECKING:  # types alone: a page is drawn without loading torch
    from orthogon.strategy.ceilings import Ceilings
    from orthogon.strategy.leaks import Leaks
    from orthogon.strategy.slices import Slices

PICTURE_BYTES = 3_500_000  # of the cards' own pictures
NEAREST_BYTES = 3_000_000  # of those beside them
NEAREST_SIDE = 96  # pixels of the longest side of a picture beside a card


@dataclass(frozen=True)
class Neighbour:
    """An example of train that lies near a mistake. distance: beside that of the nearest one, 1 or more."""

    case: Case
    distance: float


@dataclass(frozen=True)
class LookedAt:
    """A mistake as the page shows it. nearest: first the nearest. tags, comment: what was said of it so far."""

    case: Case
    nearest: Sequence[Neighbour] = ()
    tags: Sequence[str] = ()
    comment: str = ""


@dataclass(frozen=True)
class ErrorPage:
    """What the page is made from; parts that are absent leave their sections out.

    halves: who of dev is shown, one sentence. by_eye: a warning, or empty. worst, drawn: the most costly mistakes, and
    a random sample. strips: of each slice some of its examples. pairs: of leaks an example of dev and the one of train.
    """

    project: str
    run: str
    title: str
    unit: str
    halves: str = ""
    by_eye: str = ""
    num_mistakes: int = 0
    worst: Sequence[LookedAt] = ()
    drawn: Sequence[LookedAt] = ()
    ceilings: Ceilings | None = None
    slices: Slices | None = None
    strips: Sequence[Sequence[Case]] = ()
    leaks: Leaks | None = None
    pairs: Sequence[tuple[Case, Case]] = ()
    version: str = ""


def page(data: ErrorPage) -> str:
    """The whole page as HTML; it needs no network."""
    cards = _cards(data)
    sections = [
        ("tags", "Tags", data.ceilings is not None and data.ceilings.rows),
        ("slices", "Groups", data.slices),
        ("leaks", "Leaks", data.leaks),
        ("worst", "Worst", cards["worst"]),
        ("drawn", "At random", cards["drawn"]),
        ("words", "Words", True),
    ]
    shown = {
        "data": data,
        "cards": cards,
        "wide": any(looked.case.card.kind == "strings" for looked in (*data.worst, *data.drawn)),
        "ceilings": ceilings_shown(data.ceilings),
        "slices": slices_shown(data.slices, data.strips),
        "leaks": leaks_shown(data.leaks, data.pairs),
        "sections": [(id_, name) for id_, name, there in sections if there],
    }
    return render("errors.html", shown)


def write(data: ErrorPage, path: Path) -> Path:
    """Write the page; a reader sees the old one or the new one, never half of one."""
    write_text(path, page(data))
    return path


# -- cards --------------------------------------------------------------------------------------------------------


def _cards(data: ErrorPage) -> dict[str, list[dict[str, Any]]]:
    """The cards of both lists; a picture that is shown several times is encoded once."""
    looked = [*data.worst, *data.drawn]
    own = encoded_once([each.case for each in looked], PICTURE_BYTES)
    near = encoded_once([each.case for one in looked for each in one.nearest], NEAREST_BYTES, NEAREST_SIDE)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, part in (("worst", data.worst), ("drawn", data.drawn)):
        found[name] = [
            {
                **card_shown(each.case, (own.get(each.case.id), None), f"{name}-{each.case.id}", False),
                "nearest": [beside(one.case, near.get(one.case.id), one.distance) for one in each.nearest],
                "tags": [clip(tag, 60) for tag in each.tags],
                "comment": clip(each.comment),
            }
            for each in part
        ]
    return found
