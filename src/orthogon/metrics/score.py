"""Scores and metrics: what a task says about its answers, and what everything above computes from them.

A *score* is a small record of statistics per unit (an example, a document, a person). A *metric* is a function of a
set of records, so that intervals can resample units and recompute it, whatever the metric is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
class Metric:
    """A number that a set of scores has.

    compute: (records, weights (n,) or None) -> value; weights count how often a unit is drawn.
    kind: "proportion", the mean of the 0/1 record `record` (closed-form intervals);
          "mean", the mean of the real record `record`; "set", anything else (F1, AUC, R²).
    """

    name: str
    title: str
    compute: Callable[[Records, NDArray[Any] | None], float]
    higher_is_better: bool = False
    kind: Literal["proportion", "mean", "set"] = "set"
    record: str | None = None
    unit: str = ""  # "%" for shares, "nats", or the target's own unit

    def value(self, scores: Scores, weights: NDArray[Any] | None = None) -> float:
        """The metric as people quote it."""
        return self.compute(scores.records, weights)

    def error(self, scores: Scores, weights: NDArray[Any] | None = None) -> float:
        """The metric turned so that 0 is best: 1 - value where higher is better."""
        value = self.compute(scores.records, weights)
        return 1.0 - value if self.higher_is_better else value
