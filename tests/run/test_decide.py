"""Costs and thresholds, worked by hand."""

import numpy as np
import pytest

from orthogon.errors import ConfigError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.metrics.select import at_threshold
from orthogon.run.decide import answers_at, threshold_for, with_costs
from orthogon.tasks.task import Answers

P = np.array([0.9, 0.45, 0.4, 0.3, 0.1])
TRUTH = np.array([1, 1, 1, 0, 0])


def scores() -> Scores:
    probs = np.stack([1 - P, P], axis=1)
    answer = probs.argmax(axis=1)
    records = {"truth": TRUTH, "answer": answer, "probs": probs, "wrong": (answer != TRUTH).astype(int), "loss": P}
    return Scores(records, np.arange(5))


def test_the_threshold_that_dev_chose_separates_what_one_half_does_not() -> None:
    metric = classification_metrics(["no", "yes"])["f1"]
    threshold = threshold_for(scores(), metric)
    assert threshold is not None
    assert 0.3 < threshold.value <= 0.4
    assert metric.value(scores()) == pytest.approx(0.5)  # P 1, R 1/3
    decided = at_threshold(scores(), threshold)
    assert metric.value(decided) == 1.0
    answers = Answers({"answer": np.array(["no"] * 5), "probs": scores().records["probs"]}, np.arange(5))
    assert answers_at(answers, ["no", "yes"], threshold).values["answer"].tolist() == ["yes"] * 3 + ["no"] * 2


def test_three_classes_have_no_threshold() -> None:
    three = Scores({**scores().records, "probs": np.full((5, 3), 1 / 3)}, np.arange(5))
    assert threshold_for(three, classification_metrics(["a", "b", "c"])["error"]) is None


def test_costs_go_by_the_true_class() -> None:
    assert with_costs(scores(), ["no", "yes"], {"yes": 10}).records["cost"].tolist() == [10, 10, 10, 1, 1]
    assert "cost" not in with_costs(scores(), ["no", "yes"], {}).records
    with pytest.raises(ConfigError, match='"yess" is not a class') as caught:
        with_costs(scores(), ["no", "yes"], {"yess": 10})
    assert "yes" in caught.value.remedy
