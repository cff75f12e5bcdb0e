"""Metrics of regression, over the records "truth", "answer", "squared" and "absolute" (n,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orthogon.metrics.score import Additive, Metric, Records, additive_metric, mean_metric, ratio


def _squared(records: Records) -> Additive:
    squared = np.asarray(records["squared"], dtype=np.float64)
    return Additive(np.stack([squared, np.ones_like(squared)], axis=1))


def _root_mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(ratio(sums))


def _explained(records: Records) -> Additive:
    truth = np.asarray(records["truth"], dtype=np.float64)
    truth = truth - truth.mean()  # so that the sum of squares loses no digits; R² does not see a shift
    return Additive(np.stack([np.asarray(records["squared"], float), truth, truth**2, np.ones_like(truth)], axis=1))


def _r_squared(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - residual sum of squares / total sum of squares; 0 where the truth does not vary."""
    residual, truth, truth_squared, count = np.moveaxis(sums, -1, 0)
    total = truth_squared - truth**2 / np.maximum(count, 1)
    return 1.0 - np.divide(residual, total, out=np.ones_like(total), where=total > 0)


def regression_metrics(unit: str = "") -> dict[str, Metric]:
    """Every metric of a regression, by name; RMSE comes first. `unit` is the target's own."""
    metrics = [
        additive_metric("rmse", "root mean squared error", _squared, _root_mean, unit=unit),
        mean_metric("mae", "mean absolute error", "absolute", unit=unit),
        additive_metric("r2", "R²", _explained, _r_squared, higher_is_better=True),
    ]
    return {metric.name: metric for metric in metrics}
