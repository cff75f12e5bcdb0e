"""Momentum: W.momentum, both forms one path, PyTorch's numbers, and fewer steps in a valley.

That the product's optimisers make the same steps is in tests/training/test_optimisers.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.momentum import (
    Rule,
    gradient_descent,
    momentum,
    momentum_without_factor,
    nesterov,
    steps_to_the_floor,
    valley,
)


def path(rule: Rule, gradients: np.ndarray, alphas: np.ndarray, beta: float = 0.9) -> np.ndarray:
    W, V, places = np.ones(gradients.shape[1:]), np.zeros(gradients.shape[1:]), []
    for dW, alpha in zip(gradients, alphas, strict=True):
        W, V = rule(W, dW, V, alpha, beta)
        places.append(W)
    return np.array(places)


def torchs_path(gradients: np.ndarray, alpha: float, **arguments: Any) -> np.ndarray:
    W, places = nn.Parameter(torch.ones(gradients.shape[1:], dtype=torch.float64)), []
    optimiser = torch.optim.SGD([W], lr=alpha, momentum=0.9, **arguments)
    for dW in gradients:
        W.grad = torch.tensor(dW)
        optimiser.step()
        places.append(W.detach().numpy().copy())
    return np.array(places)


@pytest.mark.system("opt.momentum")
def test_momentum_worked_by_hand() -> None:
    # W.momentum: w = 1, g = 2, alpha 0.1, beta 0.9
    gradients, alphas = np.full((3, 1), 2.0), np.full(3, 0.1)
    np.testing.assert_allclose(path(momentum, gradients, alphas)[:, 0], [0.98, 0.942, 0.8878], rtol=0, atol=1e-12)
    without = path(momentum_without_factor, gradients, alphas)
    np.testing.assert_allclose(without[:, 0], [0.8, 0.42, -0.122], rtol=0, atol=1e-12)


@pytest.mark.system("opt.momentum-alt")
@pytest.mark.parametrize("beta", [0.8, 0.9, 0.999])
def test_both_forms_are_one_path_at_alpha_times_1_minus_beta(beta: float) -> None:
    gradients = np.random.default_rng(0).standard_normal((100, 3, 2))
    alphas = 0.1 / np.arange(1, 101)  # also while alpha changes
    first, second = (
        path(momentum, gradients, alphas, beta),
        path(momentum_without_factor, gradients, alphas * (1 - beta), beta),
    )
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)


@pytest.mark.system("opt.momentum-alt")
@pytest.mark.parametrize("shape", [(1,), (3, 4)])
def test_the_form_without_the_factor_and_nesterovs_are_torchs(shape: tuple[int, ...]) -> None:
    gradients, alphas = np.random.default_rng(1).standard_normal((50, *shape)), np.full(50, 0.1)
    ours = path(momentum_without_factor, gradients, alphas)
    np.testing.assert_allclose(ours, torchs_path(gradients, 0.1), rtol=0, atol=1e-12)
    ours = path(nesterov, gradients, alphas)
    np.testing.assert_allclose(ours, torchs_path(gradients, 0.1, nesterov=True), rtol=0, atol=1e-12)


def test_torchs_dampening_is_not_the_first_form() -> None:
    gradients = np.full((2, 1), 2.0)
    damped = torchs_path(gradients, 0.1, dampening=0.1 * 9)[:, 0]  # 1 - beta of dW, but the first gradient in full
    ours = path(momentum, gradients, np.full(2, 0.1))[:, 0]
    assert damped[0] == pytest.approx(1 - 0.1 * 2.0)
    assert ours[0] == pytest.approx(1 - 0.1 * 0.2)


@pytest.mark.system("opt.momentum")
def test_in_a_valley_momentum_needs_fewer_steps_at_the_best_rate_of_each() -> None:
    W = torch.tensor([-8.0, 1.0], dtype=torch.float64, requires_grad=True)
    f = (W[0] ** 2 + 100 * W[1] ** 2) / 2
    f.backward()
    assert W.grad is not None
    value, slope = valley(W.detach().numpy())
    assert value == f.item()
    np.testing.assert_allclose(slope, W.grad.numpy())
    rules: dict[str, Rule] = {"gradient descent": gradient_descent, "momentum": momentum, "nesterov": nesterov}
    rates = np.geomspace(1e-3, 1, 19)
    best = {name: min(steps_to_the_floor(rule, float(a), 600) for a in rates) for name, rule in rules.items()}
    assert best["momentum"] < best["gradient descent"] / 2
    assert best["nesterov"] < best["gradient descent"] / 2
