"""What to do next: the knobs of the largest real gap, what each may bring, and what it brought once taken.

Steps are ranked by the lower quantile of their expected gain (beliefs.py) over their cost. Runs and a person's hours
are two currencies: what only a person can do stands beside what Orthogon can, and takes the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from orthogon.metrics.intervals import Estimate, difference, mcnemar, paired_difference
from orthogon.metrics.score import Metric, Scores, significant
from orthogon.shown import Shown
from orthogon.strategy.beliefs import Beliefs, Gain, Observation, expected_gain, shipped
from orthogon.strategy.diagnosis import (
    BIAS,
    HARDER_TEST,
    HEALTHY,
    LABEL_NOISE,
    MATERIAL,
    MISMATCH,
    OVERFIT,
    SMALL_DEV,
    VARIANCE,
    Diagnosis,
    about,
    smallest_worth_acting_on,
)
from orthogon.strategy.knobs import MORE_UPDATES, Config, Ending, History, Knob, Overrides, knobs_for, read
from orthogon.strategy.probes import CAPACITY, OPTIMISATION

TELLING = 3  # evaluations from which one can see whether a loss still falls
LEAST_COST = 0.1  # runs: reading the result and deciding costs that much of anything


MultiplyAdds = Callable[[Mapping[str, Any]], float | None]  # overrides -> of one example, forward; None: not known


@dataclass(frozen=True)
class Step:
    """A knob applied to a run.

    overrides: dotted config key -> value; empty where only a person can act (`who` is "you").
    gain_at_most: the gap it aims at, with that gap's interval: no step can bring more.
    expected: what it may bring, from what the knob brought before, with a 95 % interval; learned: from what that was.
    score: what ranks it, the lower quantile of the expected gain over the cost.
    cost_runs: in trainings like the run's. hours: of a person's work.
    orthogonal: turns nothing but its gap, as far as is known; also: what else it moved when last taken here.
    idea: a person's words, where it is theirs; the knob is what it turns.
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
    expected: Gain | None = None
    learned: str = ""
    score: float = 0.0
    hours: float = 0.0
    also: str = ""
    idea: str = ""

    @property
    def title(self) -> str:
        """The knob with its change: "wider network (task.width 128)"; an idea by its own words."""
        changes = ", ".join(f"{key} {value}" for key, value in self.overrides.items() if value is not None)
        name = self.idea or self.knob
        return f"{name} ({changes})" if changes else name

    def to_dict(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(Step)}  # of this class: a subclass may hold its run
        expected = None if self.expected is None else self.expected._asdict()
        return {**values, "gain_at_most": self.gain_at_most._asdict(), "expected": expected, "title": self.title}


def next_steps(
    diagnosis: Diagnosis,
    config: Mapping[str, Any],
    sizes: Mapping[str, int],
    k: int = 3,
    tried: Collection[tuple[str, str]] = (),
    history: History = (),
    ending: Ending | None = None,
    leaks: Collection[str] = (),
    beliefs: Beliefs | None = None,
    multiply_adds: MultiplyAdds | None = None,
    hints: Mapping[str, str] | None = None,
) -> list[Step]:
    """Up to k steps that aim at what limits the run; none for a healthy run (`note` says why), unless its data leak.

    The primary cause's come first; where they are fewer than k, those of the next cause follow.

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
        beliefs: about what each knob closes of its gap; those that come with the package if None.
        multiply_adds: of the network under these overrides, by which a change of network is priced.
        hints: knob -> a sentence that makes it concrete: how many examples, of which kind.
    """
    beliefs = shipped() if beliefs is None else beliefs
    if diagnosis.primary == HEALTHY:
        return [_close_leaks(leaks)] if leaks else []
    chosen: list[Step] = []
    for cause in diagnosis.causes:
        if len(chosen) == k:
            break
        steps = ranked(diagnosis, cause, config, sizes, tried, history, ending, beliefs, multiply_adds, hints)
        ours = [step for step in steps if step.who == "orthogon"]
        theirs = [step for step in steps if step.who == "you"]
        room = k - len(chosen)
        places = room - 1 if theirs and room > 1 else room
        taken = ours[:places]
        chosen += [*taken, *theirs[: room - len(taken)]]
    return [replace(step, number=number) for number, step in enumerate(chosen, start=1)]


def ranked(
    diagnosis: Diagnosis,
    cause: str,
    config: Mapping[str, Any],
    sizes: Mapping[str, int],
    tried: Collection[tuple[str, str]] = (),
    history: History = (),
    ending: Ending | None = None,
    beliefs: Beliefs | None = None,
    multiply_adds: MultiplyAdds | None = None,
    hints: Mapping[str, str] | None = None,
) -> list[Step]:
    """Every step that aims at this cause, the best first; arguments as `next_steps` takes them."""
    beliefs = shipped() if beliefs is None else beliefs
    gap = diagnosis.gap(cause)
    share = gap.value if gap is not None and diagnosis.unit == "%" else 0.0  # thresholds on a gap are in points
    size = _size(diagnosis, cause)
    found: list[tuple[int, Step]] = []
    for knob in knobs_for(cause):
        changes = knob.change(config, share)
        if (
            changes is None
            or (knob.name, knob.gap) in tried
            or (knob.name == "human level" and not (gap and gap.at_most))
            or (knob.by_people and diagnosis.people_passed)
        ):
            continue
        if knob.name == MORE_UPDATES and ending is not None and ending.why == "patience":
            continue
        cut = knob.name == MORE_UPDATES and ending is not None and ending.why == "budget"
        seen = (knob.seen is not None and knob.seen(config, history)) or (cut and len(history) < TELLING)
        if seen:
            reason = f"{ending} Give it more." if cut else f"{knob.reason} Seen in this run: {knob.sign}."
            knob = replace(knob, reason=reason)
        if hints and knob.name in hints:
            knob = replace(knob, reason=f"{knob.reason} {hints[knob.name]}")
        cost = cost_in_runs(knob, config, changes, multiply_adds)
        found.append((seen, _step(knob, changes, diagnosis, sizes, size, beliefs, cost)))
    named = OF_SUB_CAUSE.get(diagnosis.sub_cause or "", ()) if cause == BIAS else ()
    found.sort(key=lambda pair: (pair[1].knob not in named, not pair[0], -pair[1].score))
    return [step for _, step in found]


def _size(diagnosis: Diagnosis, cause: str) -> Gain:
    """The gap behind a cause with its interval; what is more likely the optimism, where only that shows overfitting."""
    gap = diagnosis.gap(cause)
    wrong = [each for each in diagnosis.noise.values() if each.known] if cause == LABEL_NOISE else []
    if wrong:
        most = max(wrong, key=lambda noise: noise.value)
        return Gain(most.value, most.low, most.high)
    if cause == OVERFIT and diagnosis.optimism is not None and not (gap and gap.verdict == MATERIAL):
        return Gain(diagnosis.optimism.optimism, 0.0, diagnosis.optimism.optimism)
    return Gain(gap.value, gap.low, gap.high) if gap is not None else Gain(0.0, 0.0, 0.0)


# Knobs of bias that go before the others once the probes have told its sub-cause.
OF_SUB_CAUSE: Mapping[str, tuple[str, ...]] = {
    OPTIMISATION: (
        "learning-rate race",
        "lower learning rate",
        "higher learning rate",
        MORE_UPDATES,
        "smaller batches",
        "other optimiser",
    ),
    CAPACITY: ("wider network", "deeper network"),
}
BY_EXAMPLES = ("more data", "training data more like dev")  # knobs that a person turns by bringing examples
NETWORK_KEYS = ("width", "depth", "hidden_size", "encoder_size", "decoder_size", "members", "size", "network")
LENGTH_KEYS = ("training.steps", "training.epochs", "training.minutes")


def cost_in_runs(knob: Knob, config: Config, changes: Overrides, multiply_adds: MultiplyAdds | None = None) -> float:
    """What a step costs in trainings like the run's: its length times its multiply-adds, both against the run's.

    The knob's declared figure stands where neither changes, or where the network's multiply-adds are not known.
    """
    ratio, computed = 1.0, False
    for key in LENGTH_KEYS:
        before, after = read(config, key), changes.get(key)
        if before and after:
            ratio, computed = after / before, True
            break
    if any(key.partition("task.")[2] in NETWORK_KEYS for key in changes):
        before, after = (multiply_adds({}), multiply_adds(changes)) if multiply_adds else (None, None)
        if not before or not after:
            return knob.cost_runs
        ratio, computed = ratio * after / before, True
    return ratio if computed else knob.cost_runs


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


def _step(
    knob: Knob,
    changes: dict[str, Any],
    diagnosis: Diagnosis,
    sizes: Mapping[str, int],
    size: Gain,
    beliefs: Beliefs,
    cost: float,
) -> Step:
    reason = knob.reason
    if knob.gap in (SMALL_DEV, OVERFIT, HARDER_TEST) and diagnosis.needed_n:
        reason += f" About {about(diagnosis.needed_n)} examples would tell; dev has {sizes.get('dev', 0):,}."
    belief, also = beliefs.of(knob.name, knob.gap), beliefs.moved.get((knob.name, knob.gap), "")
    expected, lower = expected_gain(size, belief) if size.value > 0 and knob.fraction else (None, 0.0)
    return Step(
        number=0,
        knob=knob.name,
        gap=knob.gap,
        overrides=changes,
        reason=reason,
        gain_at_most=size,
        cost_runs=cost,
        who=knob.who if changes else "you",
        wrong_if=knob.wrong_if,
        sign=knob.sign,
        orthogonal=knob.orthogonal and not also,
        expected=expected,
        learned=belief.source() if expected else "",
        score=lower / max(cost, LEAST_COST),
        hours=knob.hours,
        also=also,
    )


def note(diagnosis: Diagnosis, sizes: Mapping[str, int], leaks: Collection[str] = ()) -> str:
    """What to say beside the steps: why there are none, or what their figures mean; and what would tell more.

    leaks: as `next_steps` takes them.
    """
    passed = " People are passed: their labels and their answers no longer show the way." * diagnosis.people_passed
    if diagnosis.primary != HEALTHY:
        return f"A step can bring at most the gap it aims at; what it did bring is measured when it is taken.{passed}"
    if leaks:
        return (
            "No gap is shown to be worth acting on, but columns give the target away: unless they are known before it "
            "is, the error on new examples is higher than any of these."
        )
    dev = diagnosis.rung("dev")
    half_width = (dev.high - dev.low) / 2
    delta = diagnosis.smallest_gap
    told = f"No gap is shown to be worth acting on (from {diagnosis.show(delta)}), so there is no next step.{passed}"
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

    expected: the gap, with its interval: what it could bring at most. likely: what was expected of it.
    also: what it moved beside its gap.
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
    likely: Gain | None = None
    also: str = ""

    @property
    def observation(self) -> Observation | None:
        """What it says about its knob; None where nothing was measured."""
        return Observation.of(self.knob, self.gap, self.expected.value, self.measured)

    @classmethod
    def unfinished(cls, step: Step) -> Outcome:
        return cls(step.knob, step.gap, step.gain_at_most, "unfinished", f'"{step.knob}" was not trained to its end.')

    def to_dict(self) -> dict[str, Any]:
        measured = None if self.measured is None else self.measured._asdict()
        likely = None if self.likely is None else self.likely._asdict()
        return {**asdict(self), "expected": self.expected._asdict(), "measured": measured, "likely": likely}

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
        f"({show(change.low)} to {show(change.high)}); "
    )
    if step.expected is not None:
        low, high = sorted((-step.expected.low, -step.expected.high))
        sentence += f"expected was {show(-step.expected.value)} ({show(low)} to {show(high)}); "
    sentence += f"the gap it aims at was {show(step.gain_at_most.value)}."
    also = _listed([f"{m.gap} ({show(m.change)})" for m in others]) if others else ""
    if also:
        sentence += f" It also moved {also}, so it is not called orthogonal here."
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
        step.expected,
        also,
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
