"""One hidden layer: numeric gradients, PyTorch, and the flower that one neuron cannot learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.models.mlp import MLP
from orthogon.nn.losses import binary_cross_entropy
from orthogon.scratch import logistic_regression
from orthogon.scratch.shallow_network import backward, cost, forward, initialise, predict, train
from orthogon.scratch.toy_data import flower


def problem(n_x: int, n_h: int, m: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(n_x + n_h + m)
    parameters = initialise(n_x, n_h, rng, scale=0.7)
    parameters["b1"] += rng.standard_normal((n_h, 1))
    parameters["b2"] += 0.3
    return rng.standard_normal((n_x, m)), rng.integers(0, 2, (1, m)).astype(np.float64), parameters


@pytest.mark.system("net.shallow")
@pytest.mark.parametrize(("n_x", "n_h", "m"), [(2, 4, 7), (5, 3, 1), (1, 1, 10)])
def test_gradients_pass_a_numeric_check(n_x: int, n_h: int, m: int) -> None:
    X, Y, parameters = problem(n_x, n_h, m)
    gradients = backward(X, Y, parameters, forward(X, parameters)[1])
    exact, approximate = [], []
    for name, value in parameters.items():
        for index in np.ndindex(value.shape):
            J = []
            for epsilon in (1e-6, -1e-6):
                nudged = {key: array.copy() for key, array in parameters.items()}
                nudged[name][index] += epsilon
                J.append(cost(forward(X, nudged)[1]["Z2"], Y))
            approximate.append((J[0] - J[1]) / 2e-6)
            exact.append(gradients[name][index])
    difference = np.linalg.norm(np.subtract(exact, approximate))
    assert difference / (np.linalg.norm(exact) + np.linalg.norm(approximate)) <= 1e-7


@pytest.mark.parametrize(("n_x", "n_h", "m"), [(2, 4, 7), (5, 3, 1), (1, 1, 10)])
def test_values_and_gradients_are_the_products(n_x: int, n_h: int, m: int) -> None:
    X, Y, parameters = problem(n_x, n_h, m)
    network = MLP(n_x, [n_h], 1, activation="tanh").double()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), parameters.values(), strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    loss, count = binary_cross_entropy(network(torch.tensor(X.T)), torch.tensor(Y.T))
    (loss / count).backward()
    _, cache = forward(X, parameters)
    assert cost(cache["Z2"], Y) == pytest.approx(loss.item() / count, abs=1e-10)
    gradients = backward(X, Y, parameters, cache)
    for parameter, (name, gradient) in zip(network.parameters(), gradients.items(), strict=True):
        assert gradient.shape == parameters[name].shape
        assert parameter.grad is not None
        np.testing.assert_allclose(gradient.reshape(parameter.shape), parameter.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.system("net.shallow")
def test_four_tanh_units_learn_a_flower_that_one_neuron_cannot() -> None:
    X, Y = flower(400, np.random.RandomState(1))
    w, b, _ = logistic_regression.train(X, Y, alpha=0.5, steps=500)
    assert np.mean(logistic_regression.predict(w, b, X) == Y) == pytest.approx(0.47)  # the exercise's figure
    parameters, _ = train(X, Y, initialise(2, 4, np.random.RandomState(2)), alpha=1.2, steps=3000)
    assert np.mean(predict(X, parameters) == Y) >= 0.90


@pytest.mark.slow
def test_the_planar_exercise_reaches_its_published_figures() -> None:
    X, Y = flower(400, np.random.RandomState(1))
    accuracy = {}
    for n_h in (1, 2, 3, 4, 5):
        parameters, costs = train(X, Y, initialise(2, n_h, np.random.RandomState(2)), alpha=1.2, steps=5000)
        accuracy[n_h] = np.mean(predict(X, parameters) == Y)
        if n_h == 4:
            assert costs[0] == pytest.approx(0.693048, abs=1e-6)
    assert accuracy == {1: 0.675, 2: 0.6725, 3: 0.9075, 4: 0.905, 5: 0.9125}
