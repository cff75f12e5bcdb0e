"""The estimators keep scikit-learn's contract, whole; and learn what the task learns."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from orthogon import OrthogonClassifier, OrthogonMultiLabelClassifier, OrthogonRegressor
from orthogon.errors import OrthogonError

ALL = [OrthogonClassifier(), OrthogonRegressor(), OrthogonMultiLabelClassifier()]


@pytest.mark.slow
@parametrize_with_checks(ALL)
def test_scikit_learn_s_own_checks(estimator: BaseEstimator, check: Any):
    check(estimator)


@parametrize_with_checks([type(estimator)(epochs=3, members=2, width=8) for estimator in ALL])
def test_scikit_learn_s_own_checks_that_ask_for_no_quality(estimator: BaseEstimator, check: Any):
    if "_train" not in check.func.__name__:
        check(estimator)


def mixed(n: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame of every kind of column; the label follows the word, and the number where the word is missing."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "word": generator.choice(["red", "blue", None], n),
            "number": np.where(generator.random(n) < 0.1, np.nan, generator.normal(size=n)),
            "flag": generator.random(n) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 900, n), "D"),
        }
    )
    return frame, np.where(frame["word"].isna(), frame["number"] > 0, frame["word"] == "red").astype(int)


def test_a_frame_of_mixed_columns_as_it_is():
    frame, y = mixed()
    model = OrthogonClassifier(random_state=0).fit(frame[:150], y[:150])
    assert model.score(frame[150:], y[150:]) > 0.9
    assert model.feature_names_in_.tolist() == ["word", "number", "flag", "day"]
    new = frame[150:].assign(word="green")  # a level that training did not show
    assert np.isfinite(model.predict_proba(new)).all()
    shuffled = frame.sample(frac=1, random_state=1)
    np.testing.assert_allclose(model.predict_proba(shuffled), model.predict_proba(frame)[shuffled.index], rtol=1e-9)


def test_cross_validation_on_iris():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert cross_val_score(OrthogonClassifier(random_state=0), x, names, cv=3).mean() > 0.92


def test_several_labels_with_one_that_is_never_on():
    x, y = make_multilabel_classification(n_samples=300, n_classes=4, random_state=0)
    y[:, 2] = 0
    model = OrthogonMultiLabelClassifier(random_state=0).fit(x[:200], y[:200])
    answers, p = model.predict(x[200:]), model.predict_proba(x[200:])
    assert answers.shape == p.shape == (100, 4)
    assert not answers[:, 2].any()
    assert not p[:, 2].any()
    assert f1_score(y[200:], answers, average="micro") > 0.7


def test_several_values_with_gaps():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3))
    y = np.stack([x[:, 0] + x[:, 1], 100 * x[:, 2]], 1)
    model = OrthogonRegressor(random_state=0).fit(x[:200], y[:200])
    assert model.score(x[200:], y[200:]) > 0.9


def test_pickle_and_clone():
    frame, y = mixed(80)
    model = OrthogonClassifier(epochs=2, random_state=0).fit(frame, y)
    again = pickle.loads(pickle.dumps(model))  # the user's own file; Orthogon itself writes none
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    twin = clone(model)
    assert not hasattr(twin, "network_")
    np.testing.assert_array_equal(twin.fit(frame, y).predict_proba(frame), model.predict_proba(frame))


def test_fitting_leaves_the_callers_random_numbers_alone():
    frame, y = mixed(80)
    np.random.seed(3)
    torch.manual_seed(3)
    expected = np.random.rand(), torch.rand(1).item()
    np.random.seed(3)
    torch.manual_seed(3)
    OrthogonClassifier(epochs=1, random_state=0).fit(frame, y)
    assert (np.random.rand(), torch.rand(1).item()) == expected


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (OrthogonClassifier(), ["a"] * 4, r"y: y has one class, .*a.*\nGive rows of other classes"),
        (OrthogonRegressor(), [2.0] * 4, r"y: y has one value, 2\nGive rows with other values"),
        (OrthogonMultiLabelClassifier(), [[0, 1]] * 4, r"y: every label of y has one class\nGive rows"),
    ],
)
def test_what_cannot_be_learned_is_said_in_both_languages(model: Any, y: list[Any], message: str):
    with pytest.raises(ValueError, match=message) as caught:
        model.fit([[1.0], [2.0], [3.0], [4.0]], y)
    assert isinstance(caught.value, OrthogonError)


def test_constant_features_are_refused_in_both_languages():
    with pytest.raises(ValueError, match=r"x0, x1: no column is left to learn from") as caught:
        OrthogonClassifier().fit([[1.0, 2.0]] * 6, [0, 1] * 3)
    assert isinstance(caught.value, OrthogonError)
