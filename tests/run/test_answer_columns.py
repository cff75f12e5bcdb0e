"""What the CSV of `predict` calls its columns."""

import numpy as np

from orthogon.run.predict import _columns
from orthogon.tasks.task import Answers


def test_several_targets_are_called_by_their_names_once():
    probs = np.array([[0.9, 0.1], [0.4, 0.6]])
    values = {
        "answer": np.array([["yes", "1.25"], ["no", "-3.5"]]),
        "answer_0": np.array(["yes", "no"]),
        "probs_0": probs,
        "confidence_0": probs.max(1),
        "answer_1": np.array([1.25, -3.5]),
    }
    columns = _columns(Answers(values, np.arange(2)), ["churn", "price"], np.zeros(2))
    assert list(columns) == ["answer_churn", "answer_price", "confidence_churn", "unlike_train"]
    assert columns["answer_price"].tolist() == [1.25, -3.5]
    assert columns["confidence_churn"].tolist() == [0.9, 0.6]


def test_one_target_has_a_column_a_class():
    values = {"answer": np.array(["a"]), "probs": np.array([[0.7, 0.3]]), "confidence": np.array([0.7])}
    columns = _columns(Answers(values, np.arange(1)), ["a", "b"], np.zeros(1))
    assert list(columns) == ["answer", "p_a", "p_b", "confidence", "unlike_train"]
