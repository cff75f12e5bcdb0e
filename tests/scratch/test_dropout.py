"""Inverted dropout: mean kept, one mask both ways, PyTorch's numbers, and ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.dropout import (
    dropout,
    dropout_backward,
    dropout_prices,
    regress_with_dropout,
    ridge,
    uneven_data,
)


@pytest.mark.system("train.dropout")
@pytest.mark.parametrize("keep_prob", [0.8, 0.5, 1.0])
def test_the_mean_is_kept_and_the_mask_is_reused(keep_prob: float) -> None:
    rng = np.random.default_rng(0)
    A = rng.random((500, 1000))
    A_dropped, D = dropout(A, keep_prob, rng)
    assert A_dropped.mean() == pytest.approx(A.mean(), rel=0.01)
    assert set(np.unique(D)) <= {0.0, 1.0}
    assert D.mean() == pytest.approx(keep_prob, abs=0.004)
    # the slope of what forward did, by differences along a random direction
    dA, direction = rng.standard_normal(A.shape), rng.standard_normal(A.shape)
    moved = (A + 1e-3 * direction) * D / keep_prob
    slope = np.sum(dA * (moved - A_dropped)) / 1e-3
    assert np.sum(dropout_backward(dA, D, keep_prob) * direction) == pytest.approx(slope, rel=1e-6)


@pytest.mark.system("train.dropout")
@pytest.mark.parametrize(("shape", "keep_prob"), [((20, 30), 0.8), ((7, 1), 0.5)])
def test_with_torchs_mask_the_numbers_are_torchs(shape: tuple[int, int], keep_prob: float) -> None:
    # nn.Dropout takes the probability of dropping; its mask shows in what it makes of ones
    class Ones(np.random.Generator):  # draws that keep just what torch kept
        def random(self, shape: tuple[int, int]) -> np.ndarray:  # type: ignore[override]
            return np.where(kept, 0.0, 1.0)

    layer = nn.Dropout(1 - keep_prob)
    rng = np.random.default_rng(0)
    A, dA = rng.standard_normal(shape), rng.standard_normal(shape)
    inputs = torch.tensor(A, requires_grad=True)
    torch.manual_seed(0)
    kept = layer(torch.ones(shape, dtype=torch.float64)).numpy() > 0
    torch.manual_seed(0)
    outputs = layer(inputs)
    outputs.backward(torch.tensor(dA))
    assert inputs.grad is not None
    A_dropped, D = dropout(A, keep_prob, Ones(np.random.PCG64(0)))
    np.testing.assert_allclose(A_dropped, outputs.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(dropout_backward(dA, D, keep_prob), inputs.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.system("train.dropout-why")
@pytest.mark.parametrize(("keep_prob", "alpha", "seed"), [(0.8, 0.02, 0), (0.8, 0.02, 1), (0.5, 0.01, 2)])
def test_dropped_inputs_are_ridge_regression(keep_prob: float, alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Y = uneven_data(rng)
    expected, plain = ridge(X, Y, dropout_prices(X, keep_prob)), ridge(X, Y, np.zeros(5))
    learned = regress_with_dropout(X, Y, keep_prob, alpha, 16_000, rng)
    assert np.linalg.norm(learned - expected) < 0.01 * np.linalg.norm(expected)
    assert np.linalg.norm(learned) < np.linalg.norm(plain)
    assert np.linalg.norm(learned - plain) > 0.1 * np.linalg.norm(plain)


def test_ridges_gradient_is_zero_at_its_solution() -> None:
    rng = np.random.default_rng(0)
    X, Y = uneven_data(rng)
    prices = dropout_prices(X, 0.8)
    w = torch.tensor(ridge(X, Y, prices), requires_grad=True)
    cost = (torch.tensor(Y) - w.T @ torch.tensor(X)).square().sum() + (torch.tensor(prices)[:, None] * w**2).sum()
    cost.backward()
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), 0, rtol=0, atol=1e-9)
