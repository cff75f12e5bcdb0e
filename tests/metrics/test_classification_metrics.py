"""Metrics of classification against scikit-learn and torchmetrics, worked figures and properties."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.errors import ConfigError
from orthogon.metrics.classification import classification_metrics, f1, multilabel_metrics, weighted_error
from orthogon.metrics.score import Scores, for_target, mean_over


def records(num_classes=4, n=300, seed=0):
    """Noisy probabilities with ties, as a classifier would give them."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(num_classes, 0.5), n).round(2) + 1e-6 * np.arange(1, num_classes + 1)
    probs = probs / probs.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(num_classes, p=0.6 * p + 0.4 / num_classes) for p in probs])
    answer = probs.argmax(axis=1)
    return {
        "truth": truth,
        "answer": answer,
        "probs": probs,
        "wrong": (truth != answer).astype(int),
        "loss": -np.log(probs[np.arange(n), truth]),
    }


def by_scikit_learn(r, num_classes, w):
    truth, answer, probs = r["truth"], r["answer"], r["probs"]
    binary = num_classes == 2
    average = "binary" if binary else "macro"
    one_hot = np.eye(num_classes)[truth]
    return {
        "error": 1 - reference.accuracy_score(truth, answer, sample_weight=w),
        "accuracy": reference.accuracy_score(truth, answer, sample_weight=w),
        "log_loss": reference.log_loss(truth, probs, sample_weight=w),
        "brier": reference.brier_score_loss(truth, probs[:, 1] if binary else probs, sample_weight=w),
        "roc_auc": reference.roc_auc_score(truth, probs[:, 1] if binary else probs, multi_class="ovr", sample_weight=w),
        "average_precision": reference.average_precision_score(
            one_hot[:, 1] if binary else one_hot, probs[:, 1] if binary else probs, sample_weight=w
        ),
        "precision": reference.precision_score(truth, answer, average=average, sample_weight=w),
        "recall": reference.recall_score(truth, answer, average=average, sample_weight=w),
        "f1": reference.f1_score(truth, answer, average=average, sample_weight=w),
        "f1_macro": reference.f1_score(truth, answer, average="macro", sample_weight=w),
        "f1_micro": reference.f1_score(truth, answer, average="micro", sample_weight=w),
        "precision_macro": reference.precision_score(truth, answer, average="macro", sample_weight=w),
        "recall_macro": reference.recall_score(truth, answer, average="macro", sample_weight=w),
    }


@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(num_classes, weighted):
    r = records(num_classes)
    w = np.random.default_rng(1).integers(0, 4, len(r["truth"])) if weighted else None
    metrics = classification_metrics([f"c{k}" for k in range(num_classes)])
    for name, expected in by_scikit_learn(r, num_classes, w).items():
        assert metrics[name].compute(r, w) == pytest.approx(expected, abs=1e-9), name


def test_calibration_error_by_hand():
    """Sure 0.9 and right 1 of 2, sure 0.6 and right 2 of 2: (2 |0.5 - 0.9| + 2 |1 - 0.6|) / 4 = 0.4."""
    r = {"truth": np.array([0, 1, 1, 1]), "probs": np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])}
    assert classification_metrics("ab")["calibration_error"].compute(r, None) == pytest.approx(0.4)


@pytest.mark.slow  # for its import
def test_calibration_error_equals_torchmetrics():
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multiclass_calibration_error

    r = records()
    expected = multiclass_calibration_error(
        torch.tensor(r["probs"]), torch.tensor(r["truth"]), num_classes=4, n_bins=15, norm="l1"
    )
    assert classification_metrics("abcd")["calibration_error"].compute(r, None) == pytest.approx(
        float(expected), abs=1e-6
    )


@pytest.mark.parametrize("name", classification_metrics("abcd"))
def test_a_weight_counts_a_unit_again(name):
    """Weights 0, 1, 2, 3 are the same as leaving out, taking once, twice, three times."""
    r = records()
    w = np.random.default_rng(2).integers(0, 4, len(r["truth"]))
    metric = classification_metrics("abcd")[name]
    repeated = {key: np.repeat(values, w, axis=0) for key, values in r.items()}
    assert metric.compute(r, w) == pytest.approx(metric.compute(repeated, None), abs=1e-9)
    both = metric.draws(r, np.stack([w, np.ones_like(w)]).astype(float))
    assert both == pytest.approx([metric.compute(r, w), metric.compute(r, None)], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), num_classes=st.integers(2, 5))
def test_order_of_units_and_names_of_classes_do_not_matter_and_shares_stay_in_bounds(seed, num_classes):
    r = records(num_classes, 40, seed)
    rng = np.random.default_rng(seed)
    order, relabel = rng.permutation(40), rng.permutation(num_classes)
    back = np.argsort(relabel)
    again = {
        "truth": relabel[r["truth"]][order],
        "answer": relabel[r["answer"]][order],
        "probs": r["probs"][order][:, back],
        "wrong": r["wrong"][order],
        "loss": r["loss"][order],
    }
    metrics = classification_metrics([str(k) for k in range(num_classes)])
    for name in ("error", "f1_macro", "f1_micro", "calibration_error", "brier", "log_loss"):
        value = metrics[name].compute(r, None)
        assert metrics[name].compute(again, None) == pytest.approx(value, abs=1e-9)
        assert value >= 0
        assert name in ("log_loss", "brier") or value <= 1
        assert metrics[name].error(Scores(r, np.arange(40))) == pytest.approx(
            1 - value if metrics[name].higher_is_better else value
        )


@pytest.mark.system("strat.single-metric")
def test_worked_f1():
    """W.f1: the harmonic mean, and TP 90, FP 5, FN 10 -> 2 * 90 / (180 + 5 + 10)."""
    assert f1(0.95, 0.90) == pytest.approx(0.924324, abs=1e-6)
    assert f1(0.98, 0.85) == pytest.approx(0.910383, abs=1e-6)
    assert f1(0.02, 1.0) == pytest.approx(0.039216, abs=1e-6)
    assert f1(0, 0) == 0
    truth = np.array([1] * 100 + [0] * 100)
    answer = np.array([1] * 90 + [0] * 10 + [1] * 5 + [0] * 95)
    metric = classification_metrics(["no", "yes"])["f1"]
    assert metric.compute({"truth": truth, "answer": answer}, None) == pytest.approx(0.923077, abs=1e-6)


@pytest.mark.system("strat.change-metric")
def test_worked_weighted_error():
    """W.weighted-error: 11/14, not 2.2; and the ranking of two systems flips with the cost."""
    y, answer, w = np.array([1, 1, 0, 1, 0]), np.array([1, 0, 1, 1, 0]), np.array([1, 1, 10, 1, 1])
    wrong = (y != answer).astype(int)
    r = {"truth": y, "answer": answer, "wrong": wrong, "cost": w}
    metrics = classification_metrics(["0", "1"])
    assert metrics["error"].compute(r, None) == pytest.approx(0.4)
    assert metrics["weighted_error"].compute(r, None) == pytest.approx(11 / 14, abs=1e-6)
    assert weighted_error(wrong, w) == pytest.approx(0.785714, abs=1e-6)
    # A: 3 % error, of it 1 point on the bad class; B: 5 % error, none there. 100 pictures, 10 of the bad class.
    truth = np.array([1] * 10 + [0] * 90)
    a = {"truth": truth, "wrong": np.array([1] + [0] * 9 + [1] * 2 + [0] * 88)}
    b = {"truth": truth, "wrong": np.array([0] * 10 + [1] * 5 + [0] * 85)}
    plain, costly = (
        classification_metrics(["ok", "bad"])["error"],
        classification_metrics(["ok", "bad"], costs={"bad": 10}),
    )
    assert plain.compute(a, None) < plain.compute(b, None)
    assert costly["weighted_error"].compute(a, None) > costly["weighted_error"].compute(b, None)


def test_a_class_that_does_not_exist_is_named_with_its_key_and_a_hint():
    with pytest.raises(ConfigError, match=r'metrics.positive: "dgo" is not one of the 2 classes.\nDid you mean "dog"'):
        classification_metrics(["cat", "dog"], positive="dgo")
    with pytest.raises(ConfigError, match=r"metrics.class_costs: \"cow\" is not"):
        classification_metrics(["cat", "dog"], costs={"cow": 2})


def test_areas_of_one_class_alone_are_undefined_not_wrong():
    r = {"truth": np.zeros(5, int), "probs": np.full((5, 2), 0.5)}
    assert np.isnan(classification_metrics("ab")["roc_auc"].compute(r, None))


def test_several_labels_equal_scikit_learn_where_all_are_known():
    rng = np.random.default_rng(0)
    truth, probs = rng.integers(0, 2, (200, 3)), rng.random((200, 3)).round(2)
    answer = (probs >= 0.5).astype(int)
    metrics = multilabel_metrics(["a", "b", "c"])
    r = {"truth": truth, "probs": probs}
    expected = {
        "hamming": reference.hamming_loss(truth, answer),
        "subset_accuracy": reference.accuracy_score(truth, answer),
        "f1_macro": reference.f1_score(truth, answer, average="macro"),
        "f1_micro": reference.f1_score(truth, answer, average="micro"),
        "mean_average_precision": reference.average_precision_score(truth, probs, average="macro"),
    }
    for name, value in expected.items():
        assert metrics[name].compute(r, None) == pytest.approx(value, abs=1e-9), name


def test_unknown_labels_count_nowhere():
    """Whatever stands where a label is unknown, no metric changes; 3 wrong of 5 known is 0.6."""
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    probs = np.array([[0.9, 0.8], [0.6, 0.5], [0.7, 0.3], [0.1, 0.1]])
    known = np.array([[1, 1], [1, 0], [1, 1], [0, 0]])
    other = np.where(known == 1, truth, 1 - truth)
    for name, metric in multilabel_metrics(["a", "b"]).items():
        values = [metric.compute({"truth": t, "probs": probs, "known": known}, None) for t in (truth, other)]
        assert values[0] == values[1], name
    r = {"truth": truth, "probs": probs, "known": known}
    assert multilabel_metrics(["a", "b"])["hamming"].compute(r, None) == pytest.approx(0.6)


def test_one_of_several_targets_reads_its_own_records_where_they_are_known():
    r = records(2, 50)
    known = np.arange(50) % 3 > 0
    mixed = {**{f"{name}_smoker": values for name, values in r.items()}, "known_smoker": known.astype(int)}
    w = np.random.default_rng(3).integers(0, 3, 50)
    kept = {name: values[known] for name, values in r.items()}
    metrics = classification_metrics(["no", "yes"])
    for name in ("error", "f1", "roc_auc", "log_loss", "calibration_error"):
        mine = for_target(metrics[name], "smoker")
        assert mine.compute(mixed, w) == pytest.approx(metrics[name].compute(kept, w[known]))
        assert mine.draws(mixed, w[None].astype(float))[0] == pytest.approx(metrics[name].compute(kept, w[known]))
    both = mean_over([for_target(metrics[n], "smoker") for n in ("error", "accuracy")], "mean", "mean of errors")
    assert both.compute(mixed, w) == pytest.approx(metrics["error"].compute(kept, w[known]))
    assert both.draws(mixed, w[None].astype(float))[0] == pytest.approx(both.compute(mixed, w))
