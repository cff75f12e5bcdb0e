"""A page on which labels are looked at: of dev and test without a word on what the network says of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from orthogon.report import pictures, words
from orthogon.report.data import Case
from orthogon.report.render import clip, render

PICTURE_BYTES = 6_000_000
MAX_FIELDS = 8

BLIND = (
    "Drawn from dev and from test by one rule: labels that are suspect, and as many others at random, shuffled. Say of "
    "each what its label should be, from the first on and without leaving any out; stop where you like. Dev and test "
    "are then corrected alike."
)
TRAIN = (
    "Labels of train that networks doubt which did not learn them, the most suspect first. Correct as many as you like."
)


def review_page(
    project: str, key: str, blind: Sequence[Case], train: Sequence[tuple[Case, str]], classes: Sequence[str]
) -> str:
    """The page as HTML; its marks are downloaded as relabel.csv.

    Args:
        key: of the marks in the reader's browser.
        blind: of dev and test, in the order of the list. train: with a comment each.
    """
    cases = [*blind, *(case for case, _ in train)]
    encoded = pictures.encode([case.card for case in cases], PICTURE_BYTES)
    comments = [""] * len(blind) + [text for _, text in train]
    cards = [_card(case, pair[0], text) for case, pair, text in zip(cases, encoded, comments, strict=True)]
    sections = [
        {"id": "blind", "title": "Dev and test", "note": BLIND, "cards": cards[: len(blind)]},
        {"id": "train", "title": "Train", "note": TRAIN, "cards": cards[len(blind) :]},
    ]
    shown = {
        "title": f"Labels of {project}",
        "key": key,
        "sections": [section for section in sections if section["cards"]],
        "labels": list(classes),
        "wide_cards": any(case.card.kind != "image" for case in cases),
    }
    return render("review.html", shown)


def _card(case: Case, picture: pictures.Picture | None, comment: str) -> dict[str, Any]:
    card = case.card
    fields = [(clip(name, 80), clip(str(value), 160)) for name, value in islice(card.fields.items(), 60)]
    return {
        "key": f"case-{case.split}-{case.id}",
        "id": case.id,
        "split": case.split.replace("_", "-"),
        "origin": card.title,
        "place": words.place(card.title),
        "truth": card.truth,
        "picture": picture,
        "text": clip(card.text),
        "fields": fields[:MAX_FIELDS],
        "more": fields[MAX_FIELDS:],
        "comment": comment,
    }
