"""A deep linear net is one linear map, and does no better than logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons

from orthogon.scratch import deep_network, logistic_regression
from orthogon.scratch.nonlinearity import collapse


@pytest.mark.system("net.nonlinear")
@pytest.mark.parametrize("n", [(3, 2), (3, 5, 2), (4, 6, 1, 7, 3)])
def test_the_product_of_the_layers_is_the_network(n: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    parameters = deep_network.initialise(n, rng)
    for layer in range(1, len(n)):
        parameters[f"b{layer}"] += rng.standard_normal((n[layer], 1))
    X = rng.standard_normal((n[0], 20))
    W, b = collapse(parameters)
    product = np.linalg.multi_dot([parameters[f"W{layer}"] for layer in range(len(n) - 1, 0, -1)]) if len(n) > 2 else W
    np.testing.assert_allclose(W, product, rtol=0, atol=1e-12)
    deep, _ = deep_network.forward(X, parameters, ("identity",) * (len(n) - 1))
    np.testing.assert_allclose(W @ X + b, deep, rtol=0, atol=1e-12)


@pytest.mark.system("net.nonlinear")
@pytest.mark.parametrize("seed", range(3))
def test_it_scores_no_better_than_logistic_regression_on_moons(seed: int) -> None:
    rows, labels = make_moons(300, noise=0.2, random_state=seed)
    X, Y = rows.T, labels[None, :].astype(np.float64)
    w, b, _ = logistic_regression.train(X, Y, alpha=0.5, steps=2000)
    straight = np.mean(logistic_regression.predict(w, b, X) == Y)
    accuracy, costs = {}, {}
    for bend in ("identity", "tanh"):
        start = deep_network.initialise((2, 8, 8, 1), np.random.default_rng(seed), gain=1.0)
        g = (bend, bend, "sigmoid")
        parameters, J = deep_network.train(X, Y, start, g, alpha=0.5, steps=1500)
        accuracy[bend], costs[bend] = 1 - deep_network.error_rate(X, Y, parameters, g), J[-1]
    lowest = logistic_regression.propagate(w, b, X, Y)[0]
    assert costs["identity"] >= lowest - 1e-4
    assert accuracy["identity"] <= straight + 0.01  # the same boundary, but for the last example or two
    assert accuracy["tanh"] >= straight + 0.05
