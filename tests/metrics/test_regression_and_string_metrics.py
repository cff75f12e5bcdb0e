"""Metrics of values and of strings against scikit-learn, jiwer and a plain dynamic programme."""

import jiwer
import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.strings import edit_distance, string_metrics


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_equals_scikit_learn(weighted):
    rng = np.random.default_rng(0)
    truth = 1e4 + rng.normal(size=200)  # far from 0: sums of squares must not lose their digits
    answer = truth + rng.normal(size=200) / 2
    w = rng.integers(0, 4, 200) if weighted else None
    r = {"truth": truth, "answer": answer, "squared": (truth - answer) ** 2, "absolute": abs(truth - answer)}
    metrics = regression_metrics("m")
    assert list(metrics) == ["rmse", "mae", "r2"]
    assert metrics["rmse"].compute(r, w) == pytest.approx(
        reference.root_mean_squared_error(truth, answer, sample_weight=w)
    )
    assert metrics["mae"].compute(r, w) == pytest.approx(reference.mean_absolute_error(truth, answer, sample_weight=w))
    assert metrics["r2"].compute(r, w) == pytest.approx(reference.r2_score(truth, answer, sample_weight=w))
    assert metrics["mae"].show(1.23456) == "1.235 m"


def test_r_squared_of_a_truth_that_does_not_vary_is_zero():
    r = {"truth": np.ones(4), "squared": np.ones(4)}
    assert regression_metrics()["r2"].compute(r, None) == 0


def table(a, b):
    """The textbook's table, row by row."""
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
        previous = row
    return previous[-1]


@settings(max_examples=300, deadline=None)
@given(a=st.text("abc", max_size=12), b=st.text("abc", max_size=12))
def test_edit_distance_is_the_tables(a, b):
    assert edit_distance(a, b) == table(a, b) == edit_distance(b, a)


def test_edit_distance_of_long_strings_words_and_nothing():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance(["the", "cat", "sat"], ["the", "cat"]) == 1
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    assert edit_distance("ab" * 100, "ba" * 100) == 2  # longer than a machine word


def test_string_metrics_equal_jiwer():
    truths = ["1979-05-03", "2001-12-31", "1999-01-01", "abc"]
    answers = ["1979-05-03", "2001-12-13", "1999-01", "abcdefg"]
    edits = np.array([edit_distance(t, a) for t, a in zip(truths, answers, strict=True)])
    r = {
        "wrong": (edits > 0).astype(int),
        "edits": edits,
        "length": np.array([len(t) for t in truths]),
        "answer_length": np.array([len(a) for a in answers]),
    }
    metrics = string_metrics()
    assert metrics["exact_match"].compute(r, None) == 0.25
    assert metrics["character_error"].compute(r, None) == pytest.approx(jiwer.cer(truths, answers))
    # edits 0, 2, 3, 4 over the longer string's 10, 10, 10, 7
    assert list(edits) == [0, 2, 3, 4]
    assert metrics["edit_distance"].compute(r, None) == pytest.approx((0.2 + 0.3 + 4 / 7) / 4)
