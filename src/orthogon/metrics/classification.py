"""Metrics of classification, over the records a classifying task writes.

Records: "truth" (n,) and "answer" (n,) class numbers, "probs" (n, K), "wrong" (n,) 0/1, "loss" (n,) nats,
optionally "cost" (n,), how much a mistake on this unit counts. Several yes/no labels at once: "truth" (n, T) 0/1,
"probs" (n, T), "known" (n, T) 0/1.
Legend: tp, fp, fn true positives, false positives, false negatives; P precision, R recall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import ConfigError, did_you_mean
from orthogon.metrics.score import Additive, Metric, Records, additive_metric, mean_metric

Floats = NDArray[np.float64]
NUM_CALIBRATION_BINS = 15


def f1(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall, 0 when both are 0: 2 / (1/P + 1/R)."""
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where whole is 0 (scikit-learn's zero_division=0)."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)


def _precision(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    return _share(tp, tp + fp)


def _recall(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    return _share(tp, tp + fn)


def _f1(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    return _share(2 * tp, 2 * tp + fp + fn)


_OF_COUNTS: dict[str, tuple[str, Callable[[Floats, Floats, Floats], Floats]]] = {
    "precision": ("precision", _precision),
    "recall": ("recall", _recall),
    "f1": ("F1", _f1),
}


def _average(score: Callable[[Floats, Floats, Floats], Floats], average: str) -> Callable[[Floats], Floats]:
    """(..., 3 * classes) sums of tp, fp, fn -> (...) score: the mean over classes, or of all counts pooled."""

    def combine(sums: Floats) -> Floats:
        tp, fp, fn = np.split(sums, 3, axis=-1)
        if average == "micro":
            return score(*(counts.sum(axis=-1) for counts in (tp, fp, fn)))
        present = (tp + fp + fn) > 0  # a class that occurs neither in truth nor in answers says nothing
        return _share((score(tp, fp, fn) * present).sum(axis=-1), present.sum(axis=-1).astype(float))

    return combine


def _confusion_cells(num_classes: int, only: int | None = None) -> Callable[[Records], Additive]:
    """Statistics tp, fp, fn of each class (or of class `only`), one distinct row a cell of the confusion matrix."""

    def additive(records: Records) -> Additive:
        truth, answer = np.asarray(records["truth"], np.int64), np.asarray(records["answer"], np.int64)
        cells, codes = np.unique(truth * num_classes + answer, return_inverse=True)
        t, a = cells // num_classes, cells % num_classes
        classes = np.arange(num_classes) if only is None else np.array([only])
        is_t, is_a = t[:, None] == classes, a[:, None] == classes  # (cells, classes)
        return Additive(np.concatenate([is_t & is_a, ~is_t & is_a, is_t & ~is_a], axis=1).astype(float), codes)

    return additive


# -- ranking: areas under curves ----------------------------------------------------------------------------------


def _tied(scores: NDArray[Any], positive: NDArray[np.bool_], weights: NDArray[Any]) -> tuple[Floats, Floats]:
    """(B, U) weights of positives and of negatives at each distinct score, highest first; weights is (B, n)."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf) != 0)
    sorted_weights = weights[:, order].astype(float)
    of_positives = np.add.reduceat(sorted_weights * positive[order], starts, axis=1)
    return of_positives, np.add.reduceat(sorted_weights, starts, axis=1) - of_positives


def _roc_area(scores: NDArray[Any], positive: NDArray[np.bool_], weights: NDArray[Any]) -> Floats:
    """(B,) chance that a positive outranks a negative, ties counting half; NaN where one of the two is missing."""
    pos, neg = _tied(scores, positive, weights)
    below = neg.sum(axis=1, keepdims=True) - np.cumsum(neg, axis=1)
    with np.errstate(invalid="ignore"):
        return (pos * (below + neg / 2)).sum(axis=1) / (pos.sum(axis=1) * neg.sum(axis=1))


def _average_precision(scores: NDArray[Any], positive: NDArray[np.bool_], weights: NDArray[Any]) -> Floats:
    """(B,) sum over thresholds of (R_k - R_{k-1}) P_k; NaN without positives."""
    pos, neg = _tied(scores, positive, weights)
    tp = np.cumsum(pos, axis=1)
    with np.errstate(invalid="ignore"):
        return (pos * _share(tp, tp + np.cumsum(neg, axis=1))).sum(axis=1) / pos.sum(axis=1)


def _mean_known(columns: list[Floats]) -> Floats:
    """Mean over classes whose area is defined in that draw; NaN where none is."""
    areas = np.stack(columns)
    known = ~np.isnan(areas)
    with np.errstate(invalid="ignore"):
        return np.where(known, areas, 0.0).sum(axis=0) / known.sum(axis=0)


def _ranking_metric(name: str, title: str, batch: Callable[[Records, NDArray[Any]], Floats]) -> Metric:
    def compute(records: Records, weights: NDArray[Any] | None = None) -> float:
        n = len(records["truth"])
        return float(batch(records, np.ones((1, n)) if weights is None else np.asarray(weights)[None, :])[0])

    return Metric(name, title, compute, higher_is_better=True, unit="%", batch=batch)


def _one_against_rest(area: Callable[..., Floats], classes: Sequence[int]) -> Callable[[Records, NDArray[Any]], Floats]:
    def batch(records: Records, weights: NDArray[Any]) -> Floats:
        truth, probs = np.asarray(records["truth"]), records["probs"]
        return _mean_known([area(probs[:, k], truth == k, weights) for k in classes])

    return batch


# -- probabilities ------------------------------------------------------------------------------------------------


def _calibration(records: Records) -> Additive:
    """Per bin of confidence, correct minus confidence; and a count."""
    probs = np.asarray(records["probs"], dtype=np.float64)
    confidence = probs.max(axis=1)
    correct = probs.argmax(axis=1) == np.asarray(records["truth"])
    bins = np.clip(np.ceil(confidence * NUM_CALIBRATION_BINS).astype(int) - 1, 0, NUM_CALIBRATION_BINS - 1)
    rows = np.zeros((len(probs), NUM_CALIBRATION_BINS + 1))
    rows[np.arange(len(probs)), bins] = correct - confidence
    rows[:, -1] = 1
    return Additive(rows)


def _calibration_error(sums: Floats) -> Floats:
    return _share(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1])


def _brier(records: Records) -> Additive:
    """Squared distance of the probabilities from the truth; halved for two classes, the classical form."""
    probs = np.array(records["probs"], dtype=np.float64)
    probs[np.arange(len(probs)), np.asarray(records["truth"], np.int64)] -= 1
    squared = (probs**2).sum(axis=1) / (2 if probs.shape[1] == 2 else 1)
    return Additive(np.stack([squared, np.ones(len(squared))], axis=1))


def weighted_error(wrong: NDArray[Any], cost: NDArray[Any]) -> float:
    """Cost-weighted error: sum of the costs of the mistakes over the sum of all costs, always within [0, 1]."""
    return float(np.dot(wrong, cost) / np.sum(cost))


# -- what tasks take ----------------------------------------------------------------------------------------------


def classification_metrics(
    class_names: Sequence[str], positive: str | None = None, costs: Mapping[str, float] | None = None
) -> dict[str, Metric]:
    """Every metric of a classifier, by name; the error rate comes first.

    Args:
        class_names: names of the classes, in the order of "probs".
        positive: the class that precision, recall, F1 and the areas are about when there are two classes;
            the second one if unset.
        costs: class name -> how much a mistake on this true class counts (others 1); the record "cost" goes before.
    Returns:
        error, accuracy, log_loss, brier, calibration_error, roc_auc, average_precision, precision, recall and f1
        (of the positive class where there are two, else the macro average), their _macro and _micro forms, and
        weighted_error.
    Raises:
        ConfigError: `positive` or a key of `costs` is not a class.
    """
    names = [str(name) for name in class_names]
    for key, wanted in [("metrics.positive", positive), *(("metrics.class_costs", c) for c in costs or {})]:
        if wanted is not None and wanted not in names:
            raise ConfigError(f'"{wanted}" is not one of the {len(names)} classes.', key, did_you_mean(wanted, names))
    num_classes = len(names)
    binary = num_classes == 2 or positive is not None
    positive_class = names.index(positive) if positive is not None else num_classes - 1
    areas = [positive_class] if binary else list(range(num_classes))
    of_class = f' of "{names[positive_class]}"' if binary else ", mean of classes"
    cost_of_class = np.array([float((costs or {}).get(name, 1.0)) for name in names])

    def costly(records: Records) -> Additive:
        cost = records.get("cost")
        cost = cost_of_class[np.asarray(records["truth"], np.int64)] if cost is None else np.asarray(cost, float)
        return Additive(np.stack([cost * np.asarray(records["wrong"]), cost], axis=1))

    metrics = [
        mean_metric("error", "error rate", "wrong", kind="proportion", unit="%"),
        mean_metric("accuracy", "accuracy", "wrong", kind="proportion", higher_is_better=True, unit="%"),
        mean_metric("log_loss", "log-loss", "loss", unit="nats"),
        additive_metric("brier", "Brier score", _brier),
        additive_metric("calibration_error", "calibration error", _calibration, _calibration_error, unit="%"),
        _ranking_metric("roc_auc", f"area under ROC{of_class}", _one_against_rest(_roc_area, areas)),
        _ranking_metric(
            "average_precision", f"average precision{of_class}", _one_against_rest(_average_precision, areas)
        ),
    ]
    for name, (title, score) in _OF_COUNTS.items():
        one = _confusion_cells(num_classes, positive_class if binary else None)
        every = _confusion_cells(num_classes)
        for suffix, cells, what, average in (
            ("", one, of_class, "macro"),
            ("_macro", every, ", mean of classes", "macro"),
            ("_micro", every, ", all classes pooled", "micro"),
        ):
            combine = _average(score, average)
            metrics.append(
                additive_metric(name + suffix, title + what, cells, combine, higher_is_better=True, unit="%")
            )
    metrics.append(additive_metric("weighted_error", "cost-weighted error", costly, unit="%"))
    return {metric.name: metric for metric in metrics}


def multilabel_metrics(label_names: Sequence[str]) -> dict[str, Metric]:
    """Every metric of several yes/no labels at once, by name; the share of wrong labels (Hamming) comes first.

    Unknown labels ("known" 0) count nowhere; a unit is a subset match when all its known labels are right.
    A label is answered yes at a probability of 1/2 or more, unless the record "answer" (n, T) says otherwise.
    """
    num_labels = len(label_names)

    def parts(records: Records) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """(n, T) truth, answer, known."""
        answer = records.get("answer")
        answer = np.asarray(records["probs"]) >= 0.5 if answer is None else np.asarray(answer) > 0
        known = records.get("known")
        known = np.ones(answer.shape, bool) if known is None else np.asarray(known) > 0
        return np.asarray(records["truth"]) > 0, answer, known

    def hamming(records: Records) -> Additive:
        truth, answer, known = parts(records)
        return Additive(np.stack([((truth != answer) & known).sum(axis=1), known.sum(axis=1)], axis=1).astype(float))

    def subset(records: Records) -> Additive:
        truth, answer, known = parts(records)
        right = ~((truth != answer) & known).any(axis=1)
        some = known.any(axis=1)
        return Additive(np.stack([right & some, some], axis=1).astype(float))

    def counts(records: Records) -> Additive:
        truth, answer, known = parts(records)
        cells = (truth & answer & known, ~truth & answer & known, truth & ~answer & known)
        return Additive(np.concatenate(cells, axis=1).astype(float))

    def mean_average_precision(records: Records, weights: NDArray[Any]) -> Floats:
        truth, _, known = parts(records)
        probs = np.asarray(records["probs"])
        return _mean_known(
            [_average_precision(probs[:, t], truth[:, t], weights * known[:, t]) for t in range(num_labels)]
        )

    averages: tuple[tuple[Literal["macro", "micro"], str], ...] = (
        ("macro", "mean of labels"),
        ("micro", "all labels pooled"),
    )
    metrics = [
        additive_metric("hamming", "share of wrong labels", hamming, unit="%"),
        additive_metric("subset_accuracy", "units with all labels right", subset, higher_is_better=True, unit="%"),
        *(
            additive_metric(f"f1_{a}", f"F1, {what}", counts, _average(_f1, a), higher_is_better=True, unit="%")
            for a, what in averages
        ),
        _ranking_metric("mean_average_precision", "mean average precision", mean_average_precision),
    ]
    return {metric.name: metric for metric in metrics}
