"""Penalties: W.l2, the product's weight decay and proximal step, and what each does to weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.deep_network import backward, forward, initialise
from orthogon.scratch.regularisation import (
    l1_penalty,
    l1_step,
    l2_penalty,
    l2_step,
    regress,
    soft_threshold,
    sparse_data,
)
from orthogon.scratch.toy_data import moons
from orthogon.training.config import TrainingConfig
from orthogon.training.optimisers import make_optimiser, proximal_l1_


@pytest.mark.system("train.l2")
def test_l2_keeps_0_9993_of_each_weight() -> None:
    # W.l2: alpha 0.1, lambda 0.7, m 100
    W = np.random.default_rng(0).standard_normal((3, 2))
    np.testing.assert_allclose(l2_step(W, np.zeros((3, 2)), 0.1, 0.7, 100), 0.9993 * W, rtol=1e-12)


@pytest.mark.system("train.l2")
@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_l2s_gradient_is_autograds_and_its_step_is_the_products_weight_decay(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    W, dW, lambd, m, alpha = rng.standard_normal(shape), rng.standard_normal(shape), 0.7, 40, 0.1
    price, (extra,) = l2_penalty([W], lambd, m)
    W_t = torch.tensor(W, requires_grad=True)
    cost = lambd / (2 * m) * W_t.square().sum()
    cost.backward()
    assert W_t.grad is not None
    assert price == pytest.approx(cost.item(), abs=1e-12)
    np.testing.assert_allclose(extra, W_t.grad.numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(l2_step(W, dW, alpha, lambd, m), W - alpha * (dW + extra), rtol=0, atol=1e-12)

    parameter = nn.Parameter(torch.tensor(W))
    config = TrainingConfig(optimiser="sgd", lr=alpha, weight_decay=lambd / m)
    optimiser = make_optimiser({"weight": parameter}, None, config)
    parameter.grad = torch.tensor(dW)
    optimiser.step()
    np.testing.assert_allclose(l2_step(W, dW, alpha, lambd, m), parameter.detach().numpy(), rtol=0, atol=1e-12)


def test_the_named_exceptions() -> None:
    # torch decays every parameter it is given; orthogon's optimisers decay weights only
    bias = nn.Parameter(torch.ones(3, dtype=torch.float64))
    bias.grad = torch.zeros_like(bias)
    torch.optim.SGD([bias], lr=0.1, weight_decay=0.5).step()
    assert bias.tolist() == [0.95] * 3
    bias = nn.Parameter(torch.ones(3, dtype=torch.float64))
    bias.grad = torch.zeros_like(bias)
    make_optimiser({"bias": bias}, None, TrainingConfig(optimiser="sgd", lr=0.1, weight_decay=0.5)).step()
    assert bias.tolist() == [1.0] * 3


@pytest.mark.system("train.l2")
def test_a_stronger_penalty_means_smaller_weights_and_nearly_linear_tanh_units() -> None:
    rng = np.random.default_rng(0)
    X, Y = moons(100, 0.2, rng)
    g, m, start = ("tanh", "sigmoid"), 100, initialise((2, 10, 1), rng, gain=1.0)
    sizes, reach = [], []
    for lambd in (0.0, 0.1, 1.0, 10.0):
        parameters = dict(start)
        for _ in range(300):
            A, caches = forward(X, parameters, g)
            gradients, _ = backward(A, Y, parameters, caches, g)
            for name, dW in gradients.items():
                W = parameters[name]
                parameters[name] = l2_step(W, dW, 0.5, lambd, m) if name.startswith("W") else W - 0.5 * dW
        sizes.append(sum(np.sum(parameters[name] ** 2) for name in ("W1", "W2")))
        reach.append(np.abs(forward(X, parameters, g)[1][0][1]).mean())  # Z1
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
    assert reach == sorted(reach, reverse=True)
    assert reach[-1] < 0.5 * reach[0]


@pytest.mark.system("train.l1")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_l1_zeroes_the_useless_weights_and_l2_none(seed: int) -> None:
    X, Y, truth = sparse_data(np.random.default_rng(seed))
    w1, _ = regress(X, Y, 0.1, 300, l1=30.0)
    w2, _ = regress(X, Y, 0.1, 300, l2=30.0)
    assert (w1[5:] == 0).sum() >= 0.8 * 95
    assert (np.sign(w1[:5]) == np.sign(truth[:5])).all()
    assert (w2 != 0).all()


def test_a_subgradient_would_hover_where_the_proximal_step_rests() -> None:
    w, hovering = np.array([0.05]), np.array([0.05])
    for _ in range(50):
        w, hovering = l1_step(w, np.zeros(1), 0.1, 0.7, 1), hovering - 0.1 * 0.7 * np.sign(hovering)
    assert w == 0
    assert hovering != 0
    assert l1_penalty([np.array([-2.0, 1.0]), np.array([3.0])], 0.5, 10) == pytest.approx(0.3)


@pytest.mark.system("train.l1")
@pytest.mark.parametrize("amount", [0.0, 0.3, 5.0])
def test_the_proximal_step_is_the_products(amount: float) -> None:
    W = np.random.default_rng(0).standard_normal((4, 5))
    weight = nn.Parameter(torch.tensor(W))
    proximal_l1_({"weight": weight}, amount)
    np.testing.assert_allclose(soft_threshold(W, amount), weight.detach().numpy(), rtol=0, atol=1e-12)
