"""Error analysis from scores and answers alone: what is mistaken for what, where it fails, when it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.metrics.intervals import estimate, wilson, z_of
from orthogon.metrics.score import Metric, Scores, significant
from orthogon.shown import Shown

if TYPE_CHECKING:  # a type alone: reading mistakes loads no torch
    from orthogon.tasks.task import Answers

NUM_BINS = 10
COVERAGE_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 1.0)
SURE = 0.2  # "sure" is where the error is at most this share of the whole error
MANY_GROUPS = 200  # the largest ones are shown
GROUP_DRAWS = 500


@dataclass(frozen=True)
class ConfusedPair:
    """count: examples of class `truth` answered `answer`; share: of all examples of `truth`."""

    truth: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True)
class Slice:
    """The error on some of the examples, with a 95 % interval."""

    name: str
    error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Bin:
    """Answers given with about this confidence: how many were right, with a 95 % interval."""

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CoveragePoint:
    """The error on the share of cases whose confidence is at least `confidence`, with a 95 % interval."""

    share: float
    confidence: float
    error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Mistakes(Shown):
    """What a system gets wrong on one split.

    confusion: rows truth, columns answer, in the order of class_names; None where there are no classes.
    confused: pairs of classes, the most frequent first. per_class, per_group: the highest error first.
    calibration, coverage: empty where answers have no confidence. unit: of the errors of groups; of classes they are
    shares.
    """

    class_names: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    confused: tuple[ConfusedPair, ...] = ()
    per_class: tuple[Slice, ...] = ()
    per_group: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)
    calibration: tuple[Bin, ...] = ()
    coverage: tuple[CoveragePoint, ...] = ()
    unit: str = ""

    def sure(self) -> str:
        """Such as "sure about 92 % of cases, 0.3 % error there": the most cases with a fifth of the whole error."""
        if not self.coverage:
            return ""
        whole = self.coverage[-1]
        good = [p for p in self.coverage[:-1] if p.error <= SURE * whole.error]
        if not good or whole.error == 0:
            return f"its confidence does not tell where it errs; over all cases the error is {100 * whole.error:.1f} %"
        best = max(good, key=lambda p: p.share)
        return (
            f"sure about {100 * best.share:.0f} % of cases (confidence {best.confidence:.2f} or more), "
            f"{100 * best.error:.1f} % error there; {100 * whole.error:.1f} % over all"
        )

    def weakest(self, k: int = 3) -> str:
        """The classes and groups that surely fail more often than the whole, the worst first; empty where none does."""
        whole = self.coverage[-1].error if self.coverage else None
        if whole is None and self.per_class:
            whole = sum(each.error * each.n for each in self.per_class) / max(sum(e.n for e in self.per_class), 1)
        if whole is None:
            return ""
        parts = [("class", each) for each in self.per_class] if len(self.per_class) > 2 else []
        if self.unit == "%":
            parts += [(name, each) for name, slices in self.per_group.items() for each in slices]
        failing = sorted((part for part in parts if part[1].low > whole), key=lambda part: -part[1].low)
        return ", ".join(f"{name} {one.name} ({100 * one.error:.0f} % of {one.n:,})" for name, one in failing[:k])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        if self.confused:
            table = Table("truth", "answered", "times", "of that class", box=None, pad_edge=False)
            for pair in self.confused[:5]:
                table.add_row(pair.truth, pair.answer, f"{pair.count}", f"{100 * pair.share:.1f} %")
            parts += [table, Text("")]
        for title, slices, unit in (
            ("class", self.per_class, "%"),
            *((name, slices, self.unit) for name, slices in self.per_group.items()),
        ):
            if slices:
                table = Table(title, "error", "95% interval", "n", box=None, pad_edge=False)
                for s in slices[:5]:
                    table.add_row(s.name, *_figure(s, unit), f"{s.n:,}")
                parts += [table, Text("")]
        if self.coverage:
            said = self.sure()
            parts.append(Text(f"It is {said}." if said.startswith("sure") else f"{said[0].upper()}{said[1:]}."))
        return Group(*parts)


def _figure(found: Slice, unit: str) -> tuple[str, str]:
    """The error with its unit, and its interval."""
    if unit == "%":
        return f"{100 * found.error:.1f} %", f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
    low, high = significant(found.low), significant(found.high)
    return f"{significant(found.error)} {unit}".rstrip(), f"[{low}, {high}]"


def worst(scores: Scores, k: int) -> NDArray[np.int64]:
    """Rows of the k mistakes with the largest loss, worst first; of all units where nothing is plainly wrong."""
    loss = np.asarray(scores.records["loss"], dtype=float)
    rows = mistaken(scores)
    return rows[np.argsort(-loss[rows], kind="stable")[:k]]


def random(scores: Scores, k: int, seed: int = 0) -> NDArray[np.int64]:
    """Rows of k mistakes drawn at random: the worst ones are not the usual ones."""
    rows = mistaken(scores)
    return np.random.default_rng(seed).permutation(rows)[:k]


def mistaken(scores: Scores) -> NDArray[np.int64]:
    """Rows of the mistakes; of all units where nothing is plainly wrong."""
    wrong = scores.records.get("wrong")
    if wrong is None or np.ndim(wrong) > 1:
        return np.arange(len(scores))
    return np.flatnonzero(np.asarray(wrong) > 0)


def analyse(scores: Scores, answers: Answers, *, class_names: Sequence[str] = (), metric: Metric) -> Mistakes:
    """Everything that scores and answers tell about the mistakes of one split.

    Args:
        scores: the records; "truth", "answer" (class numbers) and "wrong" where the task has them.
        answers: the same examples' answers, in any order; "confidence" (n,) where there is one.
        class_names: in the order of the class numbers; empty where there are none.
        metric: what the error of a group is measured by.
    """
    names = tuple(str(name) for name in class_names)
    truth = scores.records.get("truth")
    classes = bool(names) and truth is not None and np.ndim(truth) == 1 and "answer" in scores.records
    matrix = confusion_matrix(scores, len(names)) if classes else None
    confidence = _confidence(scores, answers)
    wrong = scores.records.get("wrong")
    judged = confidence is not None and wrong is not None and np.ndim(wrong) == 1
    return Mistakes(
        class_names=names,
        confusion=None if matrix is None else tuple(tuple(int(n) for n in row) for row in matrix),
        confused=() if matrix is None else confused_pairs(matrix, names),
        per_class=() if matrix is None else per_class(matrix, names),
        per_group=per_group(scores, metric),
        calibration=calibration(confidence, wrong) if judged else (),  # type: ignore[arg-type]
        coverage=coverage(confidence, wrong) if judged else (),  # type: ignore[arg-type]
        unit=metric.unit,
    )


def confusion_matrix(scores: Scores, num_classes: int) -> NDArray[np.int64]:
    """(K, K) counts; rows truth, columns answer."""
    truth = np.asarray(scores.records["truth"], np.int64)
    cells = truth * num_classes + np.asarray(scores.records["answer"], np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def confused_pairs(matrix: NDArray[np.int64], names: Sequence[str], k: int = 20) -> tuple[ConfusedPair, ...]:
    """The k most frequent mistakes of one class for another."""
    off = matrix - np.diag(np.diag(matrix))
    totals = matrix.sum(axis=1)
    order = np.argsort(-off, axis=None, kind="stable")[:k]
    rows, columns = np.unravel_index(order, off.shape)
    return tuple(
        ConfusedPair(names[i], names[j], int(off[i, j]), float(off[i, j] / totals[i]))
        for i, j in zip(rows, columns, strict=True)
        if off[i, j]
    )


def per_class(matrix: NDArray[np.int64], names: Sequence[str]) -> tuple[Slice, ...]:
    """Share of each true class that is answered wrongly (Wilson); classes without examples are left out."""
    slices = []
    for k, name in enumerate(names):
        n = int(matrix[k].sum())
        if n:
            mistakes = n - int(matrix[k, k])
            low, high = wilson(mistakes, n, z_of(0.95))
            slices.append(Slice(name, mistakes / n, float(low), float(high), n))
    return tuple(sorted(slices, key=lambda s: -s.error))


def per_group(scores: Scores, metric: Metric) -> dict[str, tuple[Slice, ...]]:
    """The metric's error in each of the largest groups; none where every unit stands alone."""
    if scores.groups is None:
        return {}
    names, codes, counts = np.unique(scores.groups, return_inverse=True, return_counts=True)
    if len(names) in (1, len(scores)):
        return {}
    slices = []
    for g in np.argsort(-counts, kind="stable")[:MANY_GROUPS]:
        mine = scores.take(codes == g)
        limits = estimate(Scores(mine.records, mine.ids), metric, draws=GROUP_DRAWS).interval(0.95)
        slices.append(Slice(str(names[g]), limits.value, limits.low, limits.high, len(mine)))
    return {"group": tuple(sorted(slices, key=lambda s: -s.error))}


def _confidence(scores: Scores, answers: Answers) -> NDArray[np.float64] | None:
    """(n,) confidence in the order of the scores."""
    values = answers.values.get("confidence")
    if values is None:
        probs, truth = scores.records.get("probs"), scores.records.get("truth")
        several = truth is None or np.ndim(truth) != 1  # labels side by side: no one confidence for all of them
        return None if probs is None or np.ndim(probs) != 2 or several else np.asarray(probs, float).max(axis=1)
    values = np.asarray(values, dtype=float)
    if values.ndim != 1:
        return None
    if np.array_equal(answers.ids, scores.ids):
        return values
    row_of = {int(i): row for row, i in enumerate(answers.ids)}
    return values[[row_of[int(i)] for i in scores.ids]]


def calibration(confidence: NDArray[np.float64], wrong: NDArray[Any], num_bins: int = NUM_BINS) -> tuple[Bin, ...]:
    """How often answers given with each tenth of confidence are right; empty bins are left out."""
    bins = np.clip((np.asarray(confidence) * num_bins).astype(int), 0, num_bins - 1)
    right = 1 - (np.asarray(wrong) > 0)
    found = []
    for b in np.unique(bins):
        inside = bins == b
        n, k = int(inside.sum()), int(right[inside].sum())
        low, high = wilson(k, n, z_of(0.95))
        found.append(Bin(float(confidence[inside].mean()), k / n, float(low), float(high), n))
    return tuple(found)


def coverage(confidence: NDArray[np.float64], wrong: NDArray[Any]) -> tuple[CoveragePoint, ...]:
    """The error among the surest share of cases, for growing shares; equal confidences stay together."""
    order = np.argsort(-np.asarray(confidence), kind="stable")
    sorted_confidence = np.asarray(confidence)[order]
    mistakes = np.cumsum(np.asarray(wrong)[order] > 0)
    n = len(order)
    ends = np.flatnonzero(np.diff(sorted_confidence, append=-np.inf) < 0) + 1  # counts at which a threshold can cut
    counts = np.unique([ends[np.searchsorted(ends, round(share * n))] for share in COVERAGE_SHARES if round(share * n)])
    points = []
    for count in counts:
        k = int(mistakes[count - 1])
        low, high = wilson(k, count, z_of(0.95))
        points.append(
            CoveragePoint(
                float(count / n),
                float(sorted_confidence[count - 1]),
                k / int(count),
                float(low),
                float(high),
                int(count),
            )
        )
    return tuple(points)
