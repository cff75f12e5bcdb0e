"""Scores and metrics: what a task says about its answers, and what everything above computes from them.

A *score* is a small record of statistics per unit (an example, a document, a person). A *metric* is a function of a
set of records, so that intervals can resample units and recompute it, whatever the metric is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Records = Mapping[str, NDArray[Any]]  # name -> (n, ...) array; the first axis is the unit


@dataclass(frozen=True)
class Scores:
    """The records of one split.

    records: name -> (n, ...) array, for instance {"wrong": (n,), "nll": (n,)}.
    ids: (n,) id of each unit in the project's Examples.
    groups: (n,) what to resample together (person, document), or None when units are independent.
    """

    records: Records
    ids: NDArray[np.int64]
    groups: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[Any]) -> Scores:
        """The units at these rows (integer or boolean index)."""
        groups = None if self.groups is None else self.groups[rows]
        return Scores({name: values[rows] for name, values in self.records.items()}, self.ids[rows], groups)


@dataclass(frozen=True)
class Additive:
    """Statistics whose sums over units determine a metric.

    rows: (U, s) the distinct statistics; codes: (n,) row of each unit, or None when rows are the units themselves.
    Few distinct rows (a confusion matrix has K²) make the bootstrap of any number of units cheap.
    """

    rows: NDArray[np.float64]
    codes: NDArray[np.int64] | None = None

    def dense(self) -> NDArray[np.float64]:
        """(n, s) the statistics of each unit."""
        return self.rows if self.codes is None else self.rows[self.codes]

    def total(self, weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """(s,) sums over units, each counted `weights` times."""
        if self.codes is None:
            return self.rows.sum(axis=0) if weights is None else weights @ self.rows
        return np.bincount(self.codes, weights, minlength=len(self.rows)) @ self.rows


@dataclass(frozen=True)
class Metric:
    """A number that a set of scores has.

    compute: (records, weights (n,) or None) -> value; weights count how often a unit is drawn.
    kind: "proportion", the error is the mean of the 0/1 record `record` (closed-form intervals);
          "mean", the error is the mean of the real record `record`; "set", anything else (F1, AUC, R²).
    additive, combine: where the metric is a function of sums, the statistics of the units and the function,
          (..., s) sums -> (...) values. Gives intervals their speed and BCa its acceleration.
    batch: (records, weights (B, n)) -> (B,) values, for metrics of the whole set that can share work between draws.
    exceeds_one: of a share in name only, such as edits per true character.
    parts: those it is the plain mean of.
    """

    name: str
    title: str
    compute: Callable[[Records, NDArray[Any] | None], float]
    higher_is_better: bool = False
    kind: Literal["proportion", "mean", "set"] = "set"
    record: str | None = None
    unit: str = ""  # "%" for shares, "nats", or the target's own unit
    additive: Callable[[Records], Additive] | None = None
    combine: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    batch: Callable[[Records, NDArray[Any]], NDArray[np.float64]] | None = None
    exceeds_one: bool = False
    parts: tuple[Metric, ...] = ()

    def value(self, scores: Scores, weights: NDArray[Any] | None = None) -> float:
        """The metric as people quote it."""
        return self.compute(scores.records, weights)

    def error(self, scores: Scores, weights: NDArray[Any] | None = None) -> float:
        """The metric turned so that 0 is best: 1 - value where higher is better."""
        value = self.compute(scores.records, weights)
        return 1.0 - value if self.higher_is_better else value

    @property
    def error_title(self) -> str:
        """What the 0-best error is called."""
        return f"1 - {self.title}" if self.higher_is_better else self.title

    def draws(self, records: Records, weights: NDArray[Any]) -> NDArray[np.float64]:
        """(B,) the metric under each row of weights (B, n), by the quickest way the metric offers."""
        if self.batch is not None:
            return self.batch(records, weights)
        if self.additive is not None and self.combine is not None:
            return self.combine(weights @ self.additive(records).dense())
        return np.array([self.compute(records, row) for row in weights])

    def show(self, value: float) -> str:
        """The value with its unit, as it is printed: 0.0312 -> "3.1 %"."""
        return with_unit(value, self.unit)


def with_unit(value: float, unit: str) -> str:
    """A figure as a column of them prints it: shares in per cent with one decimal, others in their unit."""
    return f"{100 * value:.1f} %" if unit == "%" else f"{significant(value)} {unit}".rstrip()


def significant(value: float, sign: str = "") -> str:
    """Four significant digits, whole above a thousand, without an exponent up to ten million: 49774.2 -> "49,774"."""
    return f"{value:{sign},.0f}" if 1000 <= abs(value) < 1e7 else f"{value:{sign}.4g}"


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over count, 0 where nothing was counted: (..., 2) -> (...)."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:-1]), where=sums[..., 1] != 0)


def additive_metric(
    name: str,
    title: str,
    additive: Callable[[Records], Additive],
    combine: Callable[[NDArray[np.float64]], NDArray[np.float64]] = ratio,
    *,
    higher_is_better: bool = False,
    unit: str = "",
) -> Metric:
    """A metric that is a function of sums over units."""

    def compute(records: Records, weights: NDArray[Any] | None = None) -> float:
        return float(combine(additive(records).total(weights)))

    return Metric(
        name, title, compute, higher_is_better=higher_is_better, unit=unit, additive=additive, combine=combine
    )


def mean_metric(
    name: str,
    title: str,
    record: str,
    *,
    kind: Literal["proportion", "mean"] = "mean",
    higher_is_better: bool = False,
    unit: str = "",
) -> Metric:
    """The mean of one record; with `higher_is_better` the record is the error's and the value is 1 - its mean."""

    def additive(records: Records) -> Additive:
        values = np.asarray(records[record], dtype=np.float64)
        if kind == "proportion":  # two distinct rows, whatever n
            return Additive(np.array([[0.0, 1.0], [1.0, 1.0]]), (values > 0.5).astype(np.int64))
        return Additive(np.stack([values, np.ones_like(values)], axis=1))

    def combine(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 - ratio(sums) if higher_is_better else ratio(sums)

    plain = additive_metric(name, title, additive, combine, higher_is_better=higher_is_better, unit=unit)
    return replace(plain, kind=kind, record=record)


def for_target(metric: Metric, target: str) -> Metric:
    """The metric of one of several targets: reads the records "NAME_TARGET", of units where "known_TARGET" is set.

    Records without a "known_TARGET" beside them are taken as known everywhere.
    """
    suffix = f"_{target}"

    def view(records: Records) -> tuple[Records, NDArray[np.bool_] | None]:
        known = records.get("known" + suffix)
        mine = {name.removesuffix(suffix): values for name, values in records.items() if name.endswith(suffix)}
        if known is None:
            return mine, None
        rows = np.asarray(known) > 0
        return {name: values[rows] for name, values in mine.items()}, rows

    def compute(records: Records, weights: NDArray[Any] | None = None) -> float:
        mine, rows = view(records)
        return metric.compute(mine, weights if weights is None or rows is None else weights[rows])

    def batch(records: Records, weights: NDArray[Any]) -> NDArray[np.float64]:
        mine, rows = view(records)
        assert metric.batch is not None
        return metric.batch(mine, weights if rows is None else weights[:, rows])

    def additive(records: Records) -> Additive:
        assert metric.additive is not None
        mine, rows = view(records)
        known = metric.additive(mine)
        if rows is None:
            return known
        distinct = np.concatenate([known.rows, np.zeros((1, known.rows.shape[1]))])  # the last row: unknown
        codes = np.full(len(rows), len(known.rows), dtype=np.int64)
        codes[rows] = np.arange(len(known.rows)) if known.codes is None else known.codes
        return Additive(distinct, codes)

    return replace(
        metric,
        name=f"{metric.name}_{target}",
        title=f"{metric.title}, {target}",
        compute=compute,
        kind="set",
        record=None,
        additive=None if metric.additive is None else additive,
        batch=None if metric.batch is None else batch,
    )


def mean_over(metrics: Sequence[Metric], name: str, title: str, unit: str = "") -> Metric:
    """The plain mean of the errors of several metrics (one a target), 0-best."""

    def batch(records: Records, weights: NDArray[Any]) -> NDArray[np.float64]:
        values = [metric.draws(records, weights) for metric in metrics]
        return np.mean([1 - v if m.higher_is_better else v for m, v in zip(metrics, values, strict=True)], axis=0)

    def compute(records: Records, weights: NDArray[Any] | None = None) -> float:
        values = [metric.compute(records, weights) for metric in metrics]
        return float(np.mean([1 - v if m.higher_is_better else v for m, v in zip(metrics, values, strict=True)]))

    return Metric(name, title, compute, unit=unit, batch=batch, parts=tuple(metrics))
