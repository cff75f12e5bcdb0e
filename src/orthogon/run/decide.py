"""From probabilities to decisions: what a mistake costs, and the threshold that dev chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from orthogon.errors import ConfigError, did_you_mean
from orthogon.metrics.score import Metric, Scores
from orthogon.metrics.select import Threshold, choose_threshold
from orthogon.tasks.task import Answers


def with_costs(scores: Scores, classes: Sequence[str], costs: Mapping[str, float]) -> Scores:
    """The scores with the record "cost": how much a mistake on each unit's true class counts.

    Raises:
        ConfigError: `costs` names a class that does not exist.
    """
    if not costs:
        return scores
    for name in costs:
        if name not in classes:
            raise ConfigError(f'"{name}" is not a class', "metrics.class_costs", did_you_mean(name, classes))
    cost_of = np.array([float(costs.get(name, 1.0)) for name in classes])
    cost = cost_of[np.asarray(scores.records["truth"], np.int64)]
    return Scores({**scores.records, "cost": cost}, scores.ids, scores.groups)


def threshold_for(dev: Scores, metric: Metric) -> Threshold | None:
    """The threshold with the best metric on dev; None where there are not two classes or the metric has none."""
    probs = dev.records.get("probs")
    if probs is None or probs.shape[1:] != (2,) or metric.additive is None:
        return None
    return choose_threshold(dev, metric)


def answers_at(answers: Answers, classes: Sequence[str], threshold: Threshold) -> Answers:
    """The answers if every one were decided by this threshold; the probabilities stay."""
    positive = answers.values["probs"][:, threshold.positive] >= threshold.value
    named = np.where(positive, classes[threshold.positive], classes[1 - threshold.positive])
    return Answers({**answers.values, "answer": named}, answers.ids)
