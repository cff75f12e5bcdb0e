"""From probabilities to decisions: what a mistake costs, and the threshold that dev chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from orthogon.errors import ConfigError, did_you_mean
from orthogon.metrics.intervals import gap_interval, interval
from orthogon.metrics.score import Metric, Scores
from orthogon.metrics.select import Threshold, at_threshold, at_value, best_threshold, choose_threshold
from orthogon.tasks.task import Answers, Task

if TYPE_CHECKING:
    from orthogon.data.examples import Examples
    from orthogon.metrics.config import MetricsConfig
    from orthogon.run.folder import Run
    from orthogon.training.config import TrainingConfig


def refuse_unknown_classes(task: Task, metrics: MetricsConfig, training: TrainingConfig) -> None:
    """Refuse, before a run is made, every setting that names a class which the data does not hold.

    Args:
        task: fitted.
    Raises:
        ConfigError: metrics.positive, metrics.class_costs or training.class_weights names no class of the target, or
            speaks of classes where there are none, or, for the first two, where there are several targets.
    """
    classes = task.classes_of_targets()
    one = "weighted_error" in task.metrics()  # of several targets each has its own, weighted_error_TARGET
    asked: list[tuple[str, Iterable[str]]] = [
        ("metrics.positive", [] if metrics.positive is None else [metrics.positive]),
        ("metrics.class_costs", metrics.class_costs),
    ]
    for key, names in asked:
        if not one and list(names):
            what = "it names a class, and there are several targets" if classes else "there are no classes to name"
            remedy = "Leave it out."
            if classes:
                remedy += f' For one target, name its metric: metrics.optimise="f1_{next(iter(classes))}"'
            raise ConfigError(what, key, remedy)
        _refuse_unknown(names, next(iter(classes.values()), []), key)
    if training.class_weights == "none":
        return
    if not classes:
        raise ConfigError("there are no classes to weigh", "training.class_weights", "Set it to none.")
    if not isinstance(training.class_weights, str):
        for target in classes.values():
            _refuse_unknown(training.class_weights, target, "training.class_weights")


def _refuse_unknown(names: Iterable[str], classes: Sequence[str], key: str) -> None:
    for name in names:
        if name not in classes:
            raise ConfigError(f'"{name}" is not a class', key, did_you_mean(name, classes))


def with_costs(scores: Scores, classes: Sequence[str], costs: Mapping[str, float]) -> Scores:
    """The scores with the record "cost": how much a mistake on each unit's true class counts.

    Raises:
        ConfigError: `costs` names a class that does not exist.
    """
    if not costs:
        return scores
    _refuse_unknown(costs, classes, "metrics.class_costs")
    cost_of = np.array([float(costs.get(name, 1.0)) for name in classes])
    cost = cost_of[np.asarray(scores.records["truth"], np.int64)]
    return Scores({**scores.records, "cost": cost}, scores.ids, scores.groups)


def judged(run: Run, answers: Answers, examples: Examples) -> Scores:
    """Answers to these examples, scored as the run's own are: by its costs, and at the threshold that dev chose.

    Args:
        examples: those answered, in the order of the answers.
    """
    task = run.task()
    scores = with_costs(task.score(answers, examples), task.class_names(), run.config["metrics"]["class_costs"])
    threshold = run.info.get("threshold")
    return at_threshold(scores, Threshold.from_dict(threshold)) if threshold else scores


def threshold_for(dev: Scores, metric: Metric, positive: int = 1) -> Threshold | None:
    """The threshold with the best metric on dev, where it is shown to beat 1/2; else 1/2. Its `reason` says which.

    Shown means: with each half of dev decided by the threshold that is best on the other half, the metric is better
    than at 1/2, and the 95 % interval of the difference, paired, excludes 0.

    Args:
        dev: scores with "truth" (n,) and "probs" (n, 2).
        positive: number of the class whose probability is compared with the threshold.
    Returns:
        None where a unit has not one of two classes, or the metric is no function of sums.
    """
    probs, truth = dev.records.get("probs"), dev.records.get("truth")
    if probs is None or truth is None or truth.ndim != 1 or probs.shape[1:] != (2,) or metric.additive is None:
        return None
    chosen = choose_threshold(dev, metric, positive)
    half = replace(chosen, value=0.5)
    at_half = at_threshold(dev, half)
    gains = chosen.figure.value != chosen.at_half
    apart = _decided_by_the_other_half(dev, metric, positive) if gains else None
    if apart is not None and gap_interval(at_half, apart, metric, paired=True).high < 0:
        counted = metric.show(metric.value(apart))
        reason = f"{chosen.reason} Counted on examples apart from those it was chosen on: {counted}."
        return replace(chosen, reason=reason)
    reason = f"On the {len(dev)} examples of dev no threshold is shown to give a better {metric.title} than 0.5."
    return replace(half, figure=interval(at_half, metric), reason=reason)


def _decided_by_the_other_half(dev: Scores, metric: Metric, positive: int) -> Scores | None:
    """Each half of dev decided by the threshold that is best on the other; groups stay whole, classes are shared out.

    Returns None where a half would be empty.
    """
    units = np.arange(len(dev)) if dev.groups is None else np.unique(dev.groups, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(units.max(initial=-1) + 1)
    if dev.groups is None:
        order = order[np.argsort(np.asarray(dev.records["truth"])[order], kind="stable")]
    if len(order) < 2:
        return None
    first = np.isin(units, order[::2])
    values = np.empty(len(dev))
    for part in (first, ~first):
        values[part] = best_threshold(dev.take(~part), metric, positive)
    return at_value(dev, values, positive)


def answers_at(answers: Answers, classes: Sequence[str], threshold: Threshold) -> Answers:
    """The answers if every one were decided by this threshold; "confidence" becomes that in the answer given."""
    probs = answers.values["probs"]
    answer = np.where(probs[:, threshold.positive] >= threshold.value, threshold.positive, 1 - threshold.positive)
    given = {"answer": np.asarray(classes)[answer]}
    if "confidence" in answers.values:
        given["confidence"] = probs[np.arange(len(probs)), answer]
    return Answers({**answers.values, **given}, answers.ids)
