"""Logistic regression: the worked figures, PyTorch, a separable set, and the cat exercise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from orthogon.models.mlp import MLP
from orthogon.nn.losses import binary_cross_entropy
from orthogon.scratch.logistic_regression import forward, predict, propagate, train
from orthogon.scratch.toy_data import moons


@pytest.mark.system("net.logreg")
def test_the_worked_figures() -> None:
    # W.logreg
    X, Y = np.array([[1, 2, -1], [3, 0.5, -3.2]]), np.array([[1.0, 1.0, 0.0]])
    w, b = np.array([[1.0], [2.0]]), 1.5
    np.testing.assert_allclose(forward(w, b, X), [[0.999797, 0.989013, 0.002732]], rtol=0, atol=1e-6)
    cost, dw, db = propagate(w, b, X, Y)
    assert cost == pytest.approx(0.004662297300, abs=1e-12)
    np.testing.assert_allclose(dw.ravel(), [-0.008303, -0.004949], rtol=0, atol=1e-6)
    assert db == pytest.approx(-0.002819469615, abs=1e-12)
    # "yes" from a half on: sigmoid(0.1) = 0.525, sigmoid(-0.1) = 0.475
    np.testing.assert_array_equal(predict(np.ones((1, 1)), 0.0, np.array([[0.1, -0.1]])), [[1, 0]])


@pytest.mark.parametrize(("n_x", "m"), [(1, 1), (3, 5), (20, 50)])
def test_cost_and_gradients_are_the_products(n_x: int, m: int) -> None:
    rng = np.random.default_rng(n_x)
    X, Y = rng.standard_normal((n_x, m)), rng.integers(0, 2, (1, m)).astype(np.float64)
    w, b = rng.standard_normal((n_x, 1)), 0.7
    network = MLP(n_x, [], 1).double()
    with torch.no_grad():
        network.output.weight.copy_(torch.tensor(w.T))
        network.output.bias.fill_(b)
    loss, count = binary_cross_entropy(network(torch.tensor(X.T)), torch.tensor(Y.T))
    (loss / count).backward()
    cost, dw, db = propagate(w, b, X, Y)
    assert cost == pytest.approx(loss.item() / count, abs=1e-10)
    np.testing.assert_allclose(dw.T, network.output.weight.grad.numpy(), rtol=0, atol=1e-10)
    assert db == pytest.approx(network.output.bias.grad.item(), abs=1e-10)


@pytest.mark.system("net.logreg")
@pytest.mark.parametrize("seed", range(3))
def test_a_separable_set_is_learned_without_an_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (2, 400))
    side = X[0] - 2 * X[1] + 0.3
    X, Y = X[:, abs(side) > 0.1], (side[abs(side) > 0.1] > 0).astype(np.float64)[None, :]
    w, b, costs = train(X, Y, alpha=5.0, steps=1000)
    assert (predict(w, b, X) == Y).all()
    assert (np.diff(costs) < 0).all()


def test_it_ends_where_scikit_learn_does() -> None:
    X, Y = moons(300, 0.2, np.random.default_rng(0))
    w, b, _ = train(X, Y, alpha=2.0, steps=3000)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(X.T, Y[0])
    np.testing.assert_allclose(w.ravel(), reference.coef_[0], rtol=0, atol=1e-4)
    assert b == pytest.approx(reference.intercept_[0], abs=1e-4)


def cats(real_data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    with np.load(real_data / "cat_noncat" / "catvnoncat.npz") as data:
        X, X_test = (data[name].reshape(len(data[name]), -1).T / 255 for name in ("X_train", "X_test"))
        return X, data["y_train"][None, :], X_test, data["y_test"][None, :]


def test_the_first_costs_of_the_cat_exercise(real_data: Path) -> None:
    X, Y, *_ = cats(real_data)
    _, _, costs = train(X, Y, alpha=0.005, steps=101)
    assert costs[0] == pytest.approx(0.693147, abs=1e-6)
    assert costs[100] == pytest.approx(0.584508, abs=1e-6)


@pytest.mark.slow
def test_the_cat_exercise_reaches_its_published_figures(real_data: Path) -> None:
    X, Y, X_test, Y_test = cats(real_data)
    w, b, costs = train(X, Y, alpha=0.005, steps=2000)
    published = {200: 0.466949, 300: 0.376007, 1000: 0.214820, 1900: 0.140872}
    assert {step: round(costs[step], 6) for step in published} == published
    assert np.mean(predict(w, b, X) == Y) == pytest.approx(0.9904306, abs=1e-6)
    assert np.mean(predict(w, b, X_test) == Y_test) == pytest.approx(0.70)
