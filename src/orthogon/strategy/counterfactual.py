"""What one named difference between train and dev costs, all else kept: the same examples answered with and without it.

The ladder compares two sets of different examples, so its gap is known no better than the sizes of the sets allow: with
250 and 350 examples at 3 % error to 2.8 points. A difference that can be taken away (tones of pictures, a column of
numbers) is asked the other way: dev is given train's, train-dev is given dev's, and each is compared with itself as it
is, example by example. What never changes an answer is then known to 0.5 points from the same 600 examples.

    mismatch = cost of the difference + rest
    cost = 1/2 [e(dev) - e(dev with train's)] + 1/2 [e(train-dev with dev's) - e(train-dev)]

Mean of both orders, which is the difference's Shapley value among the two parts, so cost and rest add up to the gap
exactly. Without train-dev there is the first half alone. The first half is also what mending would bring.
Limits: one difference is changed and what goes with it is not, so the answers may become worse because the pair never
occurs; where the two halves say the opposite, nothing is claimed. A column is changed by itself, the joint distribution
is not kept. Strings have no such pair: none is made longer, or of rarer symbols, and still means the same.
Source: Shapley 1953 for the mean of the orders; Budhathoki et al. 2021 (arXiv:2102.13384) attribute a change of
distribution so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.recast import Toned, by_rank, histograms, tone_map
from orthogon.metrics.intervals import Interval, average, paired_difference
from orthogon.strategy.diagnosis import MATERIAL, NEGLIGIBLE, REVERSED, SMALL, UNCLEAR, UNDETERMINED, holm, judge

if TYPE_CHECKING:
    from orthogon.data.examples import Examples
    from orthogon.metrics.score import Metric, Scores
    from orthogon.run.folder import Run
    from orthogon.strategy.diagnosis import Diagnosis
    from orthogon.strategy.shift import TraitShift

TONES = ("brightness", "contrast", "darkest tone", "lightest tone")  # traits that a tone curve changes
MOST_COLUMNS = 8  # of those that differ, the most different ones

UNMATCHED = "unmatched"  # the difference could not be taken away whole
OPPOSED = "opposed"  # better on one side and worse on the other: the answer hangs on it
ONE_SIDED = "one-sided"  # train-dev does worse with it, dev no better without


@dataclass(frozen=True)
class Answered:
    """A set as it is and recast, answered by one network and scored on the same labels."""

    plain: Scores
    recast: Scores


@dataclass(frozen=True)
class NamedCost:
    """What a difference costs, on the error's scale, above 0 where it does harm.

    name: "tones", or a column; covers: the traits it stands for. how: what dev was given, in words.
    value, low, high: the cost. p_value: of "at most the smallest gap worth acting on", after Holm over all of these.
    verdict: as the ladder's. doubt: why a figure gives no verdict, "" where it does.
    error, error_without: dev's, as it is and with train's. target: what that brings, the first half of the cost.
    reference: the second half; None without train-dev.
    left: distance between the two sets that stays, 0..1. n: examples of dev, n_reference: of train-dev, answered twice.
    """

    name: str
    how: str
    value: float
    low: float
    high: float
    p_value: float
    verdict: str
    doubt: str
    error: float
    error_without: float
    target: Interval
    reference: Interval | None
    left: float
    n: int
    n_reference: int = 0
    covers: tuple[str, ...] = ()

    @property
    def verdict_in_words(self) -> str:
        """What the last column of a table says."""
        return "dev is better off" if self.verdict == REVERSED else self.verdict

    @property
    def harmless(self) -> bool:
        return self.verdict in (NEGLIGIBLE, REVERSED, SMALL)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NamedCost:
        """The inverse of `dataclasses.asdict`."""
        halves = {key: None if values[key] is None else Interval(**values[key]) for key in ("target", "reference")}
        return cls(**{**values, **halves, "covers": tuple(values["covers"])})


@dataclass(frozen=True)
class Asked:
    """One difference and its answers. covers: traits that it stands for. left, matched: as a `ToneMap` has them."""

    name: str
    covers: tuple[str, ...]
    how: str
    target: Answered
    reference: Answered | None
    left: float = 0.0
    matched: bool = True


def costs(asked: Sequence[Asked], metric: Metric, smallest_gap: float, level: float = 0.95) -> tuple[NamedCost, ...]:
    """What each difference costs, with a verdict that holds for all of them together."""
    halves, wholes = [], []
    for each in asked:
        pairs = [(each.target.recast, each.target.plain)]
        if each.reference is not None:
            pairs.append((each.reference.plain, each.reference.recast))
        halves.append([paired_difference(*pair, metric).interval(level) for pair in pairs])
        wholes.append(average([paired_difference(*pair, metric, added=1 / len(pairs)) for pair in pairs]))
    adjusted = holm([whole.p_above(smallest_gap) for whole in wholes])
    found = []
    for each, (target, *other), whole, p_value in zip(asked, halves, wholes, adjusted, strict=True):
        limits, reference = whole.interval(level), other[0] if other else None
        verdict = judge(limits.low, limits.high, p_value, smallest_gap, level)
        doubt = _doubt(verdict, target, reference, each.matched)
        found.append(
            NamedCost(
                each.name,
                each.how,
                limits.value,
                limits.low,
                limits.high,
                p_value,
                UNDETERMINED if doubt else verdict,
                doubt,
                metric.error(each.target.plain),
                metric.error(each.target.recast),
                target,
                reference,
                each.left,
                len(each.target.plain),
                0 if each.reference is None else len(each.reference.plain),
                each.covers,
            )
        )
    return tuple(found)


def _doubt(verdict: str, target: Interval, reference: Interval | None, matched: bool) -> str:
    """Why the figure is no verdict."""
    if reference is not None and (target.high < 0 < reference.low or reference.high < 0 < target.low):
        return OPPOSED
    if verdict in (MATERIAL, UNCLEAR, SMALL):
        return ONE_SIDED if reference is not None and target.value <= 0 < reference.low else ""
    return UNMATCHED if not matched and verdict in (NEGLIGIBLE, REVERSED) else ""


# -- of a run -----------------------------------------------------------------------------------------------------


def ask(
    run: Run,
    examples: Examples,
    metric: Metric,
    diagnosis: Diagnosis,
    differing: Sequence[TraitShift],
    train: NDArray[np.int64],
    dev: NDArray[np.int64],
    train_dev: NDArray[np.int64] | None,
) -> tuple[NamedCost, ...]:
    """What each named difference that can be taken away costs; nothing is answered where there is none.

    Args:
        differing: what was found to differ. train: ids that say what is usual. dev, train_dev: ids that are answered
            again; those without a sealed answer are left out.
    """
    named = [each.name for each in differing]
    parts = {"dev": _with_answer(run, "dev", dev)}
    if train_dev is not None:
        parts["train_dev"] = _with_answer(run, "train_dev", train_dev)
    parts = {split: ids for split, ids in parts.items() if len(ids) > 1}
    if "dev" not in parts:
        return ()
    if examples.modality == "image" and set(named) & set(TONES):
        asked = [_tones(run, examples, train, parts)]
    elif examples.modality == "table":
        asked = _columns(run, examples, named, train, parts)
    else:
        return ()
    return costs(asked, metric, diagnosis.smallest_gap, diagnosis.level)


def _with_answer(run: Run, split: str, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.intersect1d(ids, run.answers(split).ids)


def _answered(run: Run, split: str, examples: Examples, ids: NDArray[np.int64], recast: Examples) -> Answered:
    """The sealed answers beside those on the recast examples, both scored on the labels that `examples` hold."""
    from orthogon.run import decide

    sealed, there = run.answers(split), examples.take(ids)
    order = np.argsort(sealed.ids)
    rows = order[np.searchsorted(sealed.ids, ids, sorter=order)]
    plain = type(sealed)({name: values[rows] for name, values in sealed.values.items()}, ids)
    again = run.task().answers(run.network(), recast, ids)
    return Answered(decide.judged(run, plain, there), decide.judged(run, again, there))


def _tones(run: Run, examples: Examples, train: NDArray[np.int64], parts: Mapping[str, NDArray[np.int64]]) -> Asked:
    greys = {split: histograms(examples.take(ids)) for split, ids in ({"train": train} | dict(parts)).items()}
    there = tone_map(greys["dev"], greys["train"])
    tones = {"dev": there}
    if "train_dev" in parts:  # the same way, the other way round
        tones["train_dev"] = tone_map(greys["train_dev"], greys["dev"], (there.way,))
    answered = {
        split: _answered(run, split, examples, ids, Toned(examples.take(ids), tones[split]))  # type: ignore[arg-type]
        for split, ids in parts.items()
    }
    how = there.in_words(greys["dev"])
    return Asked("tones", TONES, how, answered["dev"], answered.get("train_dev"), there.left, there.matched)


def _columns(
    run: Run,
    examples: Examples,
    named: Sequence[str],
    train: NDArray[np.int64],
    parts: Mapping[str, NDArray[np.int64]],
) -> list[Asked]:
    from orthogon.data.tables import TableExamples

    assert isinstance(examples, TableExamples)
    numbers = [
        name for name in named if name in examples.input_columns and examples.column_types[name].kind == "number"
    ][:MOST_COLUMNS]
    frames = {
        split: examples.take(ids).frame(numbers).astype(np.float64)
        for split, ids in ({"train": train} | dict(parts)).items()
    }
    asked = []
    for name in numbers:
        values = {split: frame[name].to_numpy() for split, frame in frames.items()}
        answered = {}
        for split, ids in parts.items():
            new = by_rank(values[split], values[split], values["train" if split == "dev" else "dev"])
            answered[split] = _answered(run, split, examples, ids, examples.take(ids).with_numbers(name, new))
        asked.append(Asked(name, (name,), "train's values by rank", answered["dev"], answered.get("train_dev")))
    return asked


# -- in words -----------------------------------------------------------------------------------------------------


def figure(cost: NamedCost, diagnosis: Diagnosis) -> str:
    """Such as "+0.0 % [-0.7, 0.7]"."""
    return f"{diagnosis.show(cost.value, sign=True)} {diagnosis.show_interval(cost.low, cost.high)}"


def sentence(cost: NamedCost, diagnosis: Diagnosis) -> str:
    """What it costs, and what mending it would bring."""
    show, the = diagnosis.show, f"the difference in {cost.name}"
    said = figure(cost, diagnosis)
    gain = f"{show(-cost.target.value, sign=True)} {diagnosis.show_interval(-cost.target.high, -cost.target.low)}"
    brings = (
        f"with train's {cost.name} dev's error is {show(cost.error_without)} in place of {show(cost.error)} ({gain})"
    )
    if cost.doubt == OPPOSED:
        how = "worse" if cost.target.high < 0 else "better"
        return (
            f"What {the} costs by itself cannot be told: dev is answered {how} with train's and train-dev {how} with "
            "dev's, as where the right answer hangs on it."
        )
    if cost.doubt == ONE_SIDED:
        return f"Dev's {cost.name} harm train-dev ({said} in the mean), but {brings}: they do not act alone."
    if cost.doubt == UNMATCHED:
        return (
            f"As far as dev could be given train's {cost.name} that changes nothing ({said}), but a distance of "
            f"{cost.left:.2f} stays, so {the} is not cleared."
        )
    if cost.verdict == MATERIAL:
        return f"{the.capitalize()} by itself costs {said}: {brings}."
    if cost.verdict == UNCLEAR:
        return f"{the.capitalize()} by itself costs something, how much is unclear ({said}): {brings}."
    if cost.verdict == SMALL:
        return f"{the.capitalize()} by itself costs little ({said})."
    if cost.verdict == REVERSED:
        return f"{the.capitalize()} by itself does no harm: without it dev is answered worse ({said})."
    if cost.verdict == NEGLIGIBLE:
        return f"{the.capitalize()} by itself does no harm worth acting on ({said})."
    return f"What {the} costs by itself cannot be told from these sets ({said})."
