"""The idea board: what people think of, kept in the project's logbook with what it may gain and the knob it turns.

An idea is worth at most what it mends: the share of the mistakes that a tag of the error analysis, or a count of
looked-at mistakes, says (k of m). Of that its knob is believed to close a fraction, as of any gap. So ideas and the
steps that Orthogon knows are ranked by one measure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orthogon.errors import UsageError, did_you_mean
from orthogon.metrics.intervals import Estimate, proportion, z_of
from orthogon.strategy.advice import LEAST_COST, Step
from orthogon.strategy.beliefs import Beliefs, Gain, expected_gain
from orthogon.strategy.ceilings import Ceilings, product
from orthogon.strategy.diagnosis import Diagnosis
from orthogon.strategy.knobs import KNOBS, Knob

ADDED, DROPPED = "idea", "idea dropped"  # events of the logbook


@dataclass(frozen=True)
class Idea:
    """One idea. count of looked_at mistakes it would mend; tag: where that was counted."""

    text: str
    knob: str
    gap: str
    count: int
    looked_at: int
    tag: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "idea": self.text}


def knob_named(name: str, diagnosis: Diagnosis) -> Knob:
    """The knob of this name; of several, the one that aims at what limits the run most.

    Raises:
        UsageError: there is none.
    """
    found = [knob for knob in KNOBS if knob.name.casefold() == name.strip().casefold()]
    if not found:
        raise UsageError(f'"{name}" is not a knob', "--knob", did_you_mean(name, sorted({knob.name for knob in KNOBS})))
    causes = list(diagnosis.causes)
    return min(found, key=lambda knob: causes.index(knob.gap) if knob.gap in causes else len(causes))


def read_share(text: str) -> tuple[int, int]:
    """Read "8/100" (of looked-at mistakes), or "8%" as if 100 had been looked at.

    Raises:
        UsageError: it is neither, or more than all.
    """
    found = re.fullmatch(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*", text)
    share = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    count, of = (int(found[1]), int(found[2])) if found else (round(float(share[1])), 100) if share else (-1, 0)
    if not 0 <= count <= of or of == 0:
        raise UsageError(
            f'"{text}" is no share of the mistakes',
            "--mends",
            "Write how many of the mistakes that you looked at it would mend: --mends 8/100",
        )
    return count, of


def new_idea(
    text: str, knob: str, diagnosis: Diagnosis, tag: str | None, mends: str | None, ceilings: Ceilings | None
) -> Idea:
    """An idea with its knob and what it would mend.

    Raises:
        UsageError: it says nothing, its knob or its tag is not known, or nothing says what it would mend.
    """
    if not text.strip():
        raise UsageError("the idea is empty", "--idea", 'For instance: --idea "collect dogs" --knob "more data"')
    chosen = knob_named(knob, diagnosis)
    if tag is not None:
        known = {row.name: row for row in ceilings.rows} if ceilings else {}
        if ceilings is None or tag not in known:
            remedy = did_you_mean(tag, known) if known else "Tag mistakes first: orthogon errors --tag"
            raise UsageError(f'no mistake has the tag "{tag}"', "--tag", remedy)
        count, of = known[tag].count, ceilings.looked_at
    elif mends is not None:
        count, of = read_share(mends)
    else:
        raise UsageError(
            "nothing says what the idea would mend",
            "--idea",
            "Name a tag of the error analysis (--tag dogs), or count: --mends 8/100 (8 of 100 mistakes looked at).",
        )
    return Idea(text.strip(), chosen.name, chosen.gap, count, of, tag or "")


def board(logbook: Sequence[Mapping[str, Any]]) -> list[Idea]:
    """The ideas of a project that were not dropped, in their order; one told again takes the place of the old."""
    kept: dict[str, Idea] = {}
    for entry in logbook:
        if entry.get("event") == ADDED:
            values = {name: entry[name] for name in ("knob", "gap", "count", "looked_at", "tag")}
            kept[entry["idea"]] = Idea(entry["idea"], **values)
        elif entry.get("event") == DROPPED:
            kept.pop(entry["idea"], None)
    return list(kept.values())


def ceiling(idea: Idea, dev: Estimate) -> Gain:
    """How much the dev error falls at best, with a 95 % interval: the error times the share of mistakes it mends."""
    share = proportion(idea.count, idea.looked_at)
    low, high = product(dev, share)(z_of(0.95))
    return Gain(dev.value * share.value, low, high)


def steps_of(ideas: Sequence[Idea], dev: Estimate, config: Mapping[str, Any], beliefs: Beliefs) -> list[Step]:
    """The ideas as steps of this run, unnumbered."""
    steps = []
    for idea in ideas:
        knob = next(each for each in KNOBS if (each.name, each.gap) == (idea.knob, idea.gap))
        most = ceiling(idea, dev)
        belief = beliefs.of(knob.name, knob.gap)
        expected, lower = expected_gain(most, belief)
        changes = knob.change(config, most.value) or {}
        counted = f'tagged "{idea.tag}"' if idea.tag else "that were looked at"
        steps.append(
            Step(
                number=0,
                knob=knob.name,
                gap=knob.gap,
                overrides=changes,
                reason=f"Your idea: {idea.count} of {idea.looked_at} mistakes {counted} would go at best.",
                gain_at_most=most,
                cost_runs=knob.cost_runs,
                who=knob.who if changes else "you",
                wrong_if="those mistakes stay, or others come in their place",
                sign=knob.sign,
                orthogonal=knob.orthogonal,
                expected=expected,
                learned=belief.source(),
                score=lower / max(knob.cost_runs, LEAST_COST),
                hours=knob.hours,
                idea=idea.text,
            )
        )
    return steps


def with_ideas(steps: Sequence[Step], ideas: Sequence[Step]) -> list[Step]:
    """Both in one list: what Orthogon can do keeps its order, and each idea stands before what scores lower."""
    found = list(steps)
    for idea in sorted(ideas, key=lambda step: -step.score):
        place = next((i for i, step in enumerate(found) if step.score < idea.score), len(found))
        found.insert(place, idea)
    return [replace(step, number=number) for number, step in enumerate(found, start=1)]
