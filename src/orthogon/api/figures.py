"""What an error is an error of, and figures with their intervals, as every verb quotes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orthogon.metrics.intervals import Interval, estimate
from orthogon.report.data import Figure

if TYPE_CHECKING:
    from orthogon.metrics.score import Metric, Scores
    from orthogon.run.folder import Run


def own_metric(run: Run) -> Metric:
    """The metric that a run was trained to rank by."""
    return run.task().metrics()[run.info["metric"]]


def yardstick(run: Run, metric: Metric) -> tuple[str, str, str]:
    """What a run's errors by this metric are errors of; those of two runs compare where it is the same."""
    costs = run.config["metrics"]["class_costs"] if metric.name == "weighted_error" else {}
    return metric.name, metric.title, json.dumps(costs, sort_keys=True)  # F1's title names the positive class


def figure_of(found: Interval) -> Figure:
    return Figure(found.value, found.low, found.high)


def error_of(scores: Scores, metric: Metric) -> Figure:
    """The metric turned so that 0 is best, with its 95 % interval."""
    return figure_of(estimate(scores, metric).interval())


def real_difference(low: float, high: float) -> str:
    """What an interval of a difference of errors says of the later one."""
    return "better" if high < 0 else "worse" if low > 0 else "no real difference"
