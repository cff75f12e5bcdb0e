"""Normalised inputs: mean 0, variance 1, train's figures on test, a tenth of the steps, and the product's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.nn.norm import Standardise
from orthogon.scratch.input_normalisation import descend, linear_cost, measure, normalise


@pytest.mark.system("train.normalise")
@pytest.mark.parametrize("m", [2, 200])
def test_train_gets_mean_0_and_variance_1_and_test_gets_trains_figures(m: int) -> None:
    rng = np.random.default_rng(m)
    scales = np.array([[1000.0], [1.0], [1e-3]])
    X, X_test = scales * rng.random((3, m)) + 5, scales * rng.random((3, 50)) + 7
    mu, sigma = measure(X)
    after = normalise(X, mu, sigma)
    np.testing.assert_allclose(after.mean(axis=1), 0, rtol=0, atol=1e-10)
    np.testing.assert_allclose(after.var(axis=1), 1, rtol=0, atol=1e-10)
    # the product: examples in rows
    product = Standardise.fit(torch.tensor(X.T))
    np.testing.assert_allclose(product(torch.tensor(X.T)).numpy().T, after, rtol=0, atol=1e-10)
    np.testing.assert_allclose(product(torch.tensor(X_test.T)).numpy().T, normalise(X_test, mu, sigma), rtol=1e-10)
    assert abs(normalise(X_test, mu, sigma).mean()) > 0.1  # not normalised by itself


def test_the_named_exceptions() -> None:
    # torch.std divides by m - 1 unless told otherwise, we divide by m
    X = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert measure(X)[1][0, 0] ** 2 == pytest.approx(1.25)
    assert torch.tensor(X[0]).std().item() ** 2 == pytest.approx(5 / 3)
    # a feature that never changes becomes 0, as in the product
    constant = np.full((1, 4), 7.0)
    assert not normalise(constant, *measure(constant)).any()
    assert not Standardise.fit(torch.tensor(constant.T))(torch.tensor(constant.T)).any()


def test_the_gradient_of_the_linear_cost_is_autograds() -> None:
    rng = np.random.default_rng(0)
    w, X, Y = rng.standard_normal((3, 1)), rng.standard_normal((3, 8)), rng.standard_normal((1, 8))
    cost, dw, db = linear_cost(w, 0.3, X, Y)
    w_t, b_t = torch.tensor(w, requires_grad=True), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    loss = (w_t.T @ torch.tensor(X) + b_t - torch.tensor(Y)).square().mean() / 2
    loss.backward()
    assert w_t.grad is not None
    assert b_t.grad is not None
    assert cost == pytest.approx(loss.item(), abs=1e-12)
    np.testing.assert_allclose(dw, w_t.grad.numpy(), rtol=0, atol=1e-10)
    assert db == pytest.approx(b_t.grad.item(), abs=1e-10)


@pytest.mark.system("train.normalise")
@pytest.mark.parametrize("seed", [0, 1])
def test_normalised_features_need_a_tenth_of_the_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = np.stack([rng.uniform(1, 1000, 200), rng.uniform(0, 1, 200)])
    Y = 0.004 * X[:1] + 3.0 * X[1:]
    Y = (Y - Y.mean()) / Y.std()

    def steps(data: np.ndarray, rates: np.ndarray) -> int:
        runs = [descend(data, Y, float(alpha), 0.025, 1000) for alpha in rates]
        return min(len(costs) - 1 if costs[-1] < 0.025 else 1000 for costs in runs)

    raw, normalised = (
        steps(X, np.geomspace(1e-7, 1e-5, 5)),
        steps(normalise(X, *measure(X)), np.array([0.03, 0.1, 0.3])),
    )
    assert normalised < 1000
    assert raw >= 10 * normalised
