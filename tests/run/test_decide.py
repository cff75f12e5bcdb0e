"""Costs and thresholds, worked by hand."""

from typing import Any

import numpy as np
import pytest

from orthogon.errors import ConfigError
from orthogon.metrics.classification import classification_metrics, multilabel_metrics
from orthogon.metrics.score import Scores
from orthogon.metrics.select import at_threshold, best_threshold, choose_threshold
from orthogon.run import decide
from orthogon.run.decide import answers_at, threshold_for, with_costs
from orthogon.tasks.task import Answers

P = np.array([0.9, 0.45, 0.4, 0.3, 0.1])
TRUTH = np.array([1, 1, 1, 0, 0])


def scores(times: int = 1, truth: np.ndarray = TRUTH) -> Scores:
    p, truth = np.tile(P, times), np.tile(truth, times)
    probs = np.stack([1 - p, p], axis=1)
    answer = probs.argmax(axis=1)
    records = {"truth": truth, "answer": answer, "probs": probs, "wrong": (answer != truth).astype(int), "loss": p}
    return Scores(records, np.arange(len(p)))


def test_the_threshold_that_dev_chose_separates_what_one_half_does_not() -> None:
    metric = classification_metrics(["no", "yes"])["f1"]
    threshold = threshold_for(scores(20), metric)
    assert threshold is not None
    assert 0.3 < threshold.value <= 0.4
    assert metric.value(scores()) == pytest.approx(0.5)  # P 1, R 1/3
    decided = at_threshold(scores(), threshold)
    assert metric.value(decided) == 1.0
    assert "on the 100 examples it was chosen on. Counted on examples apart" in threshold.reason
    assert threshold.reason.endswith(": 100.0 %.")


def test_answers_at_a_threshold_are_as_sure_as_they_can_be_of_what_they_say() -> None:
    threshold = choose_threshold(scores(), classification_metrics(["no", "yes"])["f1"])
    values = {"answer": np.array(["no"] * 5), "probs": scores().records["probs"], "confidence": np.full(5, 0.9)}
    said = answers_at(Answers(values, np.arange(5)), ["no", "yes"], threshold).values
    assert said["answer"].tolist() == ["yes"] * 3 + ["no"] * 2
    assert said["confidence"] == pytest.approx([0.9, 0.45, 0.4, 0.7, 0.9])


def test_the_positive_class_may_be_the_first() -> None:
    metric = classification_metrics(["no", "yes"], positive="no")["f1"]
    threshold = threshold_for(scores(20), metric, positive=0)
    assert threshold is not None
    assert 0.6 <= threshold.value < 0.7  # of "no", whose probability is 1 - P
    assert metric.value(at_threshold(scores(), threshold)) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_that_only_fits_the_noise_of_dev_is_not_taken(seed: int) -> None:
    # Calibrated probabilities: 1/2 has the least error there can be, and only luck makes another look better.
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=200)
    truth = (rng.uniform(size=200) < p).astype(int)
    answer = (p >= 0.5).astype(int)
    records = {"truth": truth, "answer": answer, "probs": np.stack([1 - p, p], 1), "wrong": (answer != truth) * 1}
    dev = Scores(records, np.arange(200))
    metric = classification_metrics(["no", "yes"])["error"]
    assert choose_threshold(dev, metric).value != 0.5
    threshold = threshold_for(dev, metric)
    assert threshold is not None
    assert threshold.value == 0.5
    assert threshold.figure.value == metric.value(dev)
    assert "no threshold is shown to give a better error rate" in threshold.reason


def test_the_halves_that_check_each_other_share_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    # Within a group all are alike: a half that held part of a group would know the other part.
    chosen_on: list[set[int]] = []

    def watched(half: Scores, *args: Any) -> float:
        chosen_on.append(set(half.groups))  # type: ignore[arg-type]
        return best_threshold(half, *args)

    monkeypatch.setattr(decide, "best_threshold", watched)
    metric = classification_metrics(["no", "yes"])["f1"]
    dev = scores(20)
    assert threshold_for(Scores(dev.records, dev.ids, np.arange(100) % 7), metric).value < 0.5  # type: ignore[union-attr]
    first, second = chosen_on
    assert first | second == set(range(7))
    assert not first & second
    lone = Scores(dev.records, dev.ids, np.zeros(100, int))
    assert threshold_for(lone, metric).value == 0.5  # type: ignore[union-attr]
    assert len(chosen_on) == 2  # one group cannot be halved


def test_two_yes_no_labels_at_once_are_not_two_classes() -> None:
    two = Scores({"probs": np.full((5, 2), 0.5), "truth": np.ones((5, 2), int)}, np.arange(5))
    assert threshold_for(two, multilabel_metrics(["a", "b"])["hamming"]) is None


def test_three_classes_have_no_threshold() -> None:
    three = Scores({**scores().records, "probs": np.full((5, 3), 1 / 3)}, np.arange(5))
    assert threshold_for(three, classification_metrics(["a", "b", "c"])["error"]) is None


def test_costs_go_by_the_true_class() -> None:
    assert with_costs(scores(), ["no", "yes"], {"yes": 10}).records["cost"].tolist() == [10, 10, 10, 1, 1]
    assert "cost" not in with_costs(scores(), ["no", "yes"], {}).records
    with pytest.raises(ConfigError, match='"yess" is not a class') as caught:
        with_costs(scores(), ["no", "yes"], {"yess": 10})
    assert "yes" in caught.value.remedy
