"""What labels tell, as the report shows it: how low the error can get, what people reach, which are suspect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orthogon.report import pictures, words
from orthogon.report.bars import Value, bars
from orthogon.report.data import Case
from orthogon.report.render import clip

if TYPE_CHECKING:  # types alone: a report is drawn without loading torch
    from orthogon.strategy.diagnosis import Diagnosis
    from orthogon.strategy.floor import Floor
    from orthogon.strategy.human import People
    from orthogon.strategy.label_study import LabelStudy, Suspect

PICTURE_BYTES = 400_000
MAX_FIELDS = (6, 40)  # columns of a row shown at once, and behind a click
MAX_PEOPLE = 12
OF_CLASSES = ("error", "accuracy")  # metrics that a bracket of the error rate is about


# -- how low it can get -------------------------------------------------------------------------------------------


def bracket(diagnosis: Diagnosis | None, study: LabelStudy | None) -> Floor | None:
    """The kept bracket, where it is about the ladder's own error; None without one."""
    if diagnosis is None or study is None or study.floor is None or study.floor.unit != diagnosis.unit:
        return None
    return study.floor if not study.noise or diagnosis.metric in OF_CLASSES else None


def floor_shown(study: LabelStudy | None, people: People | None) -> dict[str, Any] | None:
    """The sources of the bracket and what people reach, on one scale; None where neither was studied."""
    found = study.floor if study is not None else None
    if found is None and people is None:
        return None
    parts, said, unused = [], [], []
    if people is not None:
        told = [Value(clip(p.name, 60), p.error, p.low, p.high, f"{p.n:,}") for p in people.people[:MAX_PEOPLE]]
        parts.append({"title": "What people reach", "word": "annotator", "rows": bars(told, people.unit)})
        said.append(people.sentence())
    if found is not None:
        used = [source for source in found.sources if source.used]
        values = [
            Value(f"{source.side}: {source.name}", source.value, source.low, source.high, f"{source.n:,}", tone)
            for source in sorted(used, key=lambda source: (source.side == "at most", source.value))
            for tone in ("s2" if source.side == "at least" else "quiet",)
        ]
        parts.append({"title": "How low the error can get", "word": "floor", "rows": bars(values, found.unit)})
        said.append(found.sentence())
        unused = [
            f"{source.name}, {words.error(source.value, found.unit)}: {source.note or 'it is not used'}"
            for source in found.sources
            if not source.used
        ]
    why = study.why if study is not None else ""
    return {
        "parts": [part for part in parts if part["rows"]],
        "said": " ".join(text for text in (*said, why) if text),
        "unused": unused,
    }


# -- which labels are suspect -------------------------------------------------------------------------------------


def section(study: LabelStudy | None, cases: Mapping[tuple[str, int], Case], examples: bool) -> dict[str, Any] | None:
    """What `labels.html` draws; None where labels of classes were not studied.

    Args:
        cases: (split, id) -> the suspects that may be looked at.
        examples: False leaves the examples out.
    """
    if study is None or not (study.noise or study.suspects or study.silent):
        return None
    shown = [suspect for suspect in study.suspects if examples and (suspect.split, suspect.id) in cases]
    drawn = [cases[suspect.split, suspect.id] for suspect in shown]
    encoded = pictures.encode([case.card for case in drawn], PICTURE_BYTES)
    cards = [_card(suspect, case, pair[0]) for suspect, case, pair in zip(shown, drawn, encoded, strict=True)]
    titles = {"train": "Train, the most suspect first", "dev": "Dev, of the part that is looked at"}
    sides = [
        {
            "title": title,
            "note": f"{len(mine)} of {study.num_suspects.get(split, len(mine)):,}.",
            "cards": mine,
            "markable": split == "train",
        }
        for split, title in titles.items()
        if (mine := [card for card in cards if card["split"] == split])
    ]
    known = sum(noise.known for noise in study.noise.values())
    said, noises = study.sentences(), known + (known < len(study.noise))  # of noise, in one paragraph
    return {
        "sentences": [" ".join(said[:noises]), *said[noises:]],
        "sides": sides,
        "wide": any(case.card.kind == "strings" for case in drawn),
        "any": bool(study.suspects),
    }


def _card(suspect: Suspect, case: Case, picture: pictures.Picture | None) -> dict[str, Any]:
    card = case.card
    fields = [(clip(name, 80), clip(str(value), 160)) for name, value in list(card.fields.items())[: MAX_FIELDS[1]]]
    return {
        "key": f"suspect-{suspect.split}-{suspect.id}",
        "split": suspect.split,
        "id": suspect.id,
        "origin": card.title,
        "place": words.place(card.title),
        "picture": picture,
        "text": clip(card.text),
        "fields": fields[: MAX_FIELDS[0]],
        "more": fields[MAX_FIELDS[0] :],
        "label": clip(suspect.label, 120),
        "looks": clip(suspect.suggestion, 120),
        "looks_short": clip(suspect.suggestion, 24),
        "why": why(suspect),
        "margin": margin(suspect),
        "mistake": suspect.mistake,
    }


def why(suspect: Suspect) -> str:
    """What networks say that did not learn the label: "97.0 % for 9, 0.4 % for 4"."""
    least = "below 0.1" if suspect.own < 0.001 else words.share(suspect.own)
    looks, label = clip(suspect.suggestion, 24), clip(suspect.label, 24)
    return f"{words.share(suspect.confidence)} % for {looks}, {least} % for {label}"


def margin(suspect: Suspect) -> str:
    """How far the label stayed ahead while it was learned; empty where it was not learned."""
    if suspect.margin is None or not math.isfinite(suspect.margin):
        return ""
    return words.number(suspect.margin, 2)


__all__: Sequence[str] = ["bracket", "floor_shown", "margin", "section", "why"]
