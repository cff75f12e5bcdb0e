"""RMSprop: W.rmsprop, W.eps, PyTorch's numbers, and steep directions damped.

That the product's optimiser makes the same steps is in tests/training/test_optimisers.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.momentum import gradient_descent, walk
from orthogon.scratch.rmsprop import rmsprop


@pytest.mark.system("opt.rmsprop")
def test_rmsprop_worked_by_hand() -> None:
    # W.rmsprop: w = 1, g = 2, alpha 0.1, beta2 0.9
    W, S, places = np.array(1.0), np.array(0.0), []
    for _ in range(3):
        W, S = rmsprop(W, np.array(2.0), S, 0.1)
        places.append(W)
    np.testing.assert_allclose(places, [0.683772, 0.454357, 0.262262], rtol=0, atol=1e-6)


@pytest.mark.system("opt.rmsprop")
def test_eps_stands_outside_the_root() -> None:
    # W.eps: g = 1e-8, S = 1e-16: g / (sqrt(S) + eps) = 0.5; inside the root it would be 1e-4
    moved, _ = rmsprop(np.array(0.0), np.array(1e-8), np.array(1e-16), alpha=1.0)
    assert moved == pytest.approx(-0.5, abs=1e-9)


@pytest.mark.system("opt.rmsprop")
@pytest.mark.parametrize(("shape", "beta2"), [((1,), 0.9), ((3, 4), 0.99)])
def test_100_steps_are_torchs_whose_alpha_is_beta2(shape: tuple[int, ...], beta2: float) -> None:
    gradients = np.random.default_rng(0).standard_normal((100, *shape))
    theirs = nn.Parameter(torch.ones(shape, dtype=torch.float64))
    optimiser = torch.optim.RMSprop([theirs], lr=0.1, alpha=beta2)
    W, S = np.ones(shape), np.zeros(shape)
    for dW in gradients:
        W, S = rmsprop(W, dW, S, 0.1, beta2)
        theirs.grad = torch.tensor(dW)
        optimiser.step()
        np.testing.assert_allclose(W, theirs.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.system("opt.rmsprop")
def test_steep_directions_move_less_than_under_gradient_descent() -> None:
    # f = (w² + 100 b²) / 2 from (1, 1): GD's first step along b is 100 times that along w, RMSprop's is as long
    dW = np.array([1.0, 100.0])
    step = np.abs(rmsprop(np.ones(2), dW, np.zeros(2), 0.01)[0] - 1)
    assert step[1] / step[0] == pytest.approx(1, abs=1e-6)
    # over 20 updates at the same rate b moves less than a fifth as far as under GD, w further
    length = {}
    for rule in (gradient_descent, rmsprop):
        path = walk(rule, 0.015, 20, start=(1.0, 1.0))
        length[rule] = np.abs(np.diff(path, axis=0)).sum(axis=0)
    assert length[rmsprop][1] < length[gradient_descent][1] / 5
    assert length[rmsprop][0] > length[gradient_descent][0]
