"""What to do next: the knobs of the largest real gap, what each can bring at most, and what it brought once taken."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from orthogon.metrics.intervals import Estimate, difference, mcnemar, paired_difference
from orthogon.metrics.score import Metric, Scores, significant
from orthogon.shown import Shown
from orthogon.strategy.diagnosis import (
    BIAS,
    HARDER_TEST,
    HEALTHY,
    MATERIAL,
    MISMATCH,
    OVERFIT,
    SMALL_DEV,
    VARIANCE,
    Diagnosis,
    about,
    smallest_worth_acting_on,
)
from orthogon.strategy.knobs import MORE_UPDATES, Ending, History, Knob, knobs_for

TELLING = 3  # evaluations from which one can see whether a loss still falls


class Gain(NamedTuple):
    """How much lower the dev error gets, with an interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Step:
    """A knob applied to a run.

    overrides: dotted config key -> value; empty where only a person can act (`who` is "you").
    gain_at_most: the gap it aims at, with that gap's interval: no step can bring more.
    cost_runs: in trainings like the run's.
    """

    number: int
    knob: str
    gap: str
    overrides: Mapping[str, Any]
    reason: str
    gain_at_most: Gain
    cost_runs: float
    who: Literal["orthogon", "you"]
    wrong_if: str
    sign: str = ""
    orthogonal: bool = True

    @property
    def title(self) -> str:
        """The knob with its change: "wider network (task.width 128)"."""
        changes = ", ".join(f"{key} {value}" for key, value in self.overrides.items() if value is not None)
        return f"{self.knob} ({changes})" if changes else self.knob

    def to_dict(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(Step)}  # of this class: a subclass may hold its run
        return {**values, "gain_at_most": self.gain_at_most._asdict(), "title": self.title}


def next_steps(
    diagnosis: Diagnosis,
    config: Mapping[str, Any],
    sizes: Mapping[str, int],
    k: int = 3,
    tried: Collection[tuple[str, str]] = (),
    history: History = (),
    ending: Ending | None = None,
    leaks: Collection[str] = (),
) -> list[Step]:
    """Up to k steps that aim at the primary cause; none for a healthy run (`note` says why), unless its data leak.

    Args:
        diagnosis: of the run.
        config: the run's resolved config as nested dicts.
        sizes: examples in each split.
        k: how many at most. What only a person can do takes one place, the last.
        tried: (knob, gap) of steps that were taken on the way here and did not help; they are not offered again.
        history: the run's evaluations in order, dicts with step, loss, dev_loss. A knob whose sign they show is first.
        ending: how the training ended. What lost its patience is not offered more updates; what its minutes cut short
            is, first of all, unless its losses were seen to be flat.
        leaks: how columns give the target away and what to do about it, one text a finding: a small error is no health.
    """
    cause = diagnosis.primary
    if cause == HEALTHY:
        return [_close_leaks(leaks)] if leaks else []
    gap = diagnosis.gap(cause)
    size = gap.value if gap is not None else 0.0
    share = size if diagnosis.unit == "%" else 0.0  # thresholds on the size of a gap are in points
    applicable: list[tuple[Knob, dict[str, Any]]] = []
    seen: set[str] = set()
    for knob in knobs_for(cause):
        changes = knob.change(config, share)
        if (
            changes is None
            or (knob.name, knob.gap) in tried
            or (knob.name == "human level" and not (gap and gap.at_most))
        ):
            continue
        if knob.name == MORE_UPDATES and ending is not None and ending.why == "patience":
            continue
        cut = knob.name == MORE_UPDATES and ending is not None and ending.why == "budget"
        if (knob.seen is not None and knob.seen(config, history)) or (cut and len(history) < TELLING):
            seen.add(knob.name)
            reason = f"{ending} Give it more." if cut else f"{knob.reason} Seen in this run: {knob.sign}."
            knob = replace(knob, reason=reason)
        applicable.append((knob, changes))
    applicable.sort(key=lambda pair: (pair[0].name not in seen, -pair[0].fraction / max(pair[0].cost_runs, 0.1)))
    ours = [pair for pair in applicable if pair[1]]
    theirs = [pair for pair in applicable if not pair[1]]
    places = k - 1 if theirs and k > 1 else k
    chosen = ours[:places]
    chosen += theirs[: k - len(chosen)]
    return [_step(i, knob, changes, diagnosis, sizes) for i, (knob, changes) in enumerate(chosen, start=1)]


def _close_leaks(leaks: Collection[str]) -> Step:
    return Step(
        1,
        "leave out what gives the target away",
        "",
        {},
        " ".join(leaks),
        Gain(0.0, 0.0, 0.0),
        1,
        "you",
        "these columns are known for new examples before the target is",
        "the network beats every expectation",
    )


def _step(number: int, knob: Knob, changes: dict[str, Any], diagnosis: Diagnosis, sizes: Mapping[str, int]) -> Step:
    gap = diagnosis.gap(diagnosis.primary)
    gain = Gain(gap.value, gap.low, gap.high) if gap is not None else Gain(0.0, 0.0, 0.0)
    if diagnosis.primary == OVERFIT and diagnosis.optimism is not None and not (gap and gap.verdict == MATERIAL):
        gain = Gain(diagnosis.optimism.optimism, 0.0, diagnosis.optimism.optimism)
    reason = knob.reason
    if knob.gap in (SMALL_DEV, OVERFIT, HARDER_TEST) and diagnosis.needed_n:
        reason += f" About {about(diagnosis.needed_n)} examples would tell; dev has {sizes.get('dev', 0):,}."
    who = knob.who if changes else "you"
    return Step(
        number,
        knob.name,
        knob.gap,
        changes,
        reason,
        gain,
        knob.cost_runs,
        who,
        knob.wrong_if,
        knob.sign,
        knob.orthogonal,
    )


def note(diagnosis: Diagnosis, sizes: Mapping[str, int], leaks: Collection[str] = ()) -> str:
    """What to say beside the steps: why there are none, or what their figures mean; and what would tell more.

    leaks: as `next_steps` takes them.
    """
    if diagnosis.primary != HEALTHY:
        return "A step can bring at most the gap it aims at; what it did bring is measured when it is taken."
    if leaks:
        return (
            "No gap is shown to be worth acting on, but columns give the target away: unless they are known before it "
            "is, the error on new examples is higher than any of these."
        )
    dev = diagnosis.rung("dev")
    half_width = (dev.high - dev.low) / 2
    delta = diagnosis.smallest_gap
    told = f"No gap is shown to be worth acting on (from {diagnosis.show(delta)}), so there is no next step."
    open_gaps = [gap.name for gap in diagnosis.gaps if gap.needed_n or gap.beyond_reach]
    enough = diagnosis.needed_n or (math.ceil(dev.n * (half_width / delta) ** 2) if delta else None)
    if open_gaps and diagnosis.needed_n:
        return f"{told} About {about(enough)} examples in dev would settle {_listed(open_gaps)}; there are {dev.n:,}."
    if enough and enough > dev.n:
        return f"{told} About {about(enough)} examples in dev would show the error to that much; there are {dev.n:,}."
    return f"{told} The {dev.n:,} examples in dev are enough to see one."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


# -- after a step ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """How a gap changed with the step: after - before, with its interval."""

    gap: str
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome(Shown):
    """What a step brought, beside what it could have brought.

    measured: fall of the dev error on the same examples; below 0 when the step harmed. None when it did not finish.
    p_value: two-sided, of "no difference"; mid-p McNemar where the metric is a plain proportion.
    moved: every gap's change. orthogonal: no other gap moved by more than the smallest gap worth acting on.
    """

    knob: str
    gap: str
    expected: Gain
    verdict: Literal["helped", "harmed", "cannot tell", "unfinished"]
    sentence: str
    measured: Gain | None = None
    before: float | None = None
    after: float | None = None
    p_value: float | None = None
    moved: tuple[Moved, ...] = field(default=())
    orthogonal: bool | None = None
    unit: str = "%"

    @classmethod
    def unfinished(cls, step: Step) -> Outcome:
        return cls(step.knob, step.gap, step.gain_at_most, "unfinished", f'"{step.knob}" was not trained to its end.')

    def to_dict(self) -> dict[str, Any]:
        measured = None if self.measured is None else self.measured._asdict()
        return {**asdict(self), "expected": self.expected._asdict(), "measured": measured}

    def __str__(self) -> str:
        return self.sentence

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self.moved:
            return Text(self.sentence)
        table = Table("gap", "moved by", "95% interval", box=None, pad_edge=False)
        for m in self.moved:
            if self.unit == "%":
                cells = f"{100 * m.change:+.1f} points", f"[{100 * m.low:.1f}, {100 * m.high:.1f}]"
            else:
                change = f"{significant(m.change, '+')} {self.unit}".rstrip()
                cells = change, f"[{significant(m.low)}, {significant(m.high)}]"
            table.add_row(m.gap, *cells, style="bold" if m.gap == self.gap else "")
        return Group(Text(self.sentence), Text(""), table)


def measure_step(before: Mapping[str, Scores], after: Mapping[str, Scores], metric: Metric, step: Step) -> Outcome:
    """Set what a step brought beside what it could bring at most, on the same dev examples; and every gap's movement.

    Args:
        before, after: split -> Scores of the run and of the run that took the step.
        metric: what both are judged by.
        step: what was taken.
    Raises:
        UsageError: the two runs share no dev example.
    """
    on_dev = paired_difference(before["dev"], after["dev"], metric)
    change = on_dev.interval()
    measured = Gain(-change.value, -change.high, -change.low)
    first, second = metric.error(before["dev"]), metric.error(after["dev"])
    verdict: Literal["helped", "harmed", "cannot tell"] = "cannot tell"
    if measured.low > 0:
        verdict = "helped"
    elif measured.high < 0:
        verdict = "harmed"
    if metric.kind == "proportion" and metric.record and np.array_equal(before["dev"].ids, after["dev"].ids):
        p_value = mcnemar(before["dev"].records[metric.record], after["dev"].records[metric.record])
    else:
        p_value = 2 * min(on_dev.p_above(0.0), 1 - on_dev.p_above(0.0))
    moved = _movements(before, after, metric)
    delta = smallest_worth_acting_on(metric, first, None)
    others = [m for m in moved if m.gap != step.gap and abs(m.change) > delta and (m.low > 0 or m.high < 0)]

    def show(value: float) -> str:
        return (
            f"{100 * value:+.1f} points" if metric.unit == "%" else f"{significant(value, '+')} {metric.unit}".rstrip()
        )

    words = {"helped": "helped", "harmed": "did harm", "cannot tell": "made no difference that dev can tell"}
    sentence = (
        f'"{step.knob}" {words[verdict]}: dev error {show(second - first)} '
        f"({show(change.low)} to {show(change.high)}); the gap it aims at was {show(step.gain_at_most.value)}."
    )
    if others:
        sentence += f" It also moved {_listed([f'{m.gap} ({show(m.change)})' for m in others])}."
    return Outcome(
        step.knob,
        step.gap,
        step.gain_at_most,
        verdict,
        sentence,
        measured,
        first,
        second,
        float(p_value),
        tuple(moved),
        not others,
        metric.unit,
    )


def _movements(before: Mapping[str, Scores], after: Mapping[str, Scores], metric: Metric) -> list[Moved]:
    """Change of each gap: the change of its later rung minus that of its earlier one, two independent sets."""
    rungs = [name for name in ("train", "train_dev", "dev", "test") if name in before and name in after]
    changes: dict[str, Estimate] = {}
    for name in rungs:
        # the measured sample of train may differ between the runs: then its change is not paired
        shared = np.intersect1d(before[name].ids, after[name].ids)
        if len(shared):
            changes[name] = paired_difference(before[name], after[name], metric)
    moved = []
    if "train" in changes:
        limits = changes["train"].interval()
        moved.append(Moved(BIAS, limits.value, limits.low, limits.high))
    names = {"train_dev": VARIANCE, "dev": MISMATCH if "train_dev" in changes else VARIANCE, "test": OVERFIT}
    kept = [name for name in rungs if name in changes]
    for earlier, later in pairwise(kept):
        limits = difference(changes[later], changes[earlier]).interval()
        moved.append(Moved(names[later], limits.value, limits.low, limits.high))
    return moved
