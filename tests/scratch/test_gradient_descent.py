"""Gradient descent on a parabola, and steps that are too long."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.scratch.gradient_descent import PATIENCE, Divergence, gradient_descent, parabola, parabola_gradient


def descend(alpha: float, steps: int) -> tuple[np.ndarray, list[float]]:
    return gradient_descent(parabola, parabola_gradient, np.zeros(1), alpha, steps)


@pytest.mark.system("net.gd")
@pytest.mark.parametrize(("steps", "expected"), [(1, 0.1), (1000, 4.999999991585)])
def test_the_minimum_of_a_parabola(steps: int, expected: float) -> None:
    # W.tf-intro
    w, J = descend(0.01, steps)
    assert w[0] == pytest.approx(expected, abs=1e-12)
    assert len(J) == steps + 1
    assert J[0] == 25
    assert J[-1] == pytest.approx((expected - 5) ** 2, abs=1e-15)


@pytest.mark.system("net.gd")
@pytest.mark.parametrize("alpha", [1.001, 1.05, 2.0, 1e200])
def test_a_rate_above_1_diverges_on_the_parabola_and_is_told(alpha: float) -> None:
    with np.errstate(over="ignore"), pytest.raises(Divergence, match=r"the cost went from 25 to .* at alpha"):
        descend(alpha, 1000)


@pytest.mark.parametrize("alpha", [0.001, 0.5, 0.99, 1.0])
def test_a_rate_up_to_1_does_not(alpha: float) -> None:
    w, J = descend(alpha, 1000)
    assert J[-1] <= J[0]
    if alpha == 1.0:  # jumps between 0 and 10 for ever
        assert w[0] == 0
        assert set(J) == {25.0}


def test_a_few_rises_are_no_divergence() -> None:
    # the cost of a saw: it rises PATIENCE - 1 times, falls once
    saw = iter([float(i % PATIENCE) for i in range(100)])
    gradient_descent(lambda w: next(saw), lambda w: w, np.zeros(1), 0.1, 99)


def test_it_is_pytorchs_sgd() -> None:
    rng = np.random.default_rng(0)
    A, start = rng.standard_normal((6, 4)), rng.standard_normal(4)
    w = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.SGD([w], lr=0.02)
    for _ in range(50):
        optimiser.zero_grad()
        (torch.tensor(A) @ w).square().sum().backward()
        optimiser.step()
    ours, _ = gradient_descent(lambda w: float(((A @ w) ** 2).sum()), lambda w: 2 * A.T @ (A @ w), start, 0.02, 50)
    np.testing.assert_allclose(ours, w.detach().numpy(), rtol=0, atol=1e-10)
