"""Adam and AdamW: W.adam, 100 steps of PyTorch's, and decay outside the quotient.

That the product's optimisers make the same steps is in tests/training/test_optimisers.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.adam import adam, adamw


@pytest.mark.system("opt.adam")
def test_adam_worked_by_hand() -> None:
    # W.adam: w = 1, alpha 0.1
    W, V, S, places = np.array(1.0), np.array(0.0), np.array(0.0), []
    for t, dW in enumerate(np.array([2.0, 2.0, -1.0]), start=1):
        W, V, S = adam(W, dW, V, S, t, 0.1)
        places.append(W)
    np.testing.assert_allclose(places, [0.9000000005, 0.8000000010, 0.7484346607], rtol=0, atol=1e-10)


@pytest.mark.system("opt.adam")
@pytest.mark.parametrize("decay", [None, 0.3])
@pytest.mark.parametrize(("shape", "beta1", "beta2"), [((1,), 0.9, 0.999), ((3, 4), 0.8, 0.99)])
def test_100_steps_are_torchs(shape: tuple[int, ...], beta1: float, beta2: float, decay: float | None) -> None:
    gradients = np.random.default_rng(0).standard_normal((100, *shape))
    theirs = nn.Parameter(torch.ones(shape, dtype=torch.float64))
    optimiser: torch.optim.Optimizer = (
        torch.optim.Adam([theirs], lr=0.1, betas=(beta1, beta2))
        if decay is None
        else torch.optim.AdamW([theirs], lr=0.1, betas=(beta1, beta2), weight_decay=decay)
    )
    W, V, S = np.ones(shape), np.zeros(shape), np.zeros(shape)
    for t, dW in enumerate(gradients, start=1):
        if decay is None:
            W, V, S = adam(W, dW, V, S, t, 0.1, beta1, beta2)
        else:
            W, V, S = adamw(W, dW, V, S, t, 0.1, decay, beta1, beta2)
        theirs.grad = torch.tensor(dW)
        optimiser.step()
        np.testing.assert_allclose(W, theirs.detach().numpy(), rtol=0, atol=1e-12)


def test_decay_inside_the_gradient_would_hardly_touch_a_weight_with_large_gradients() -> None:
    large = np.array([100.0, -100.0] * 50)
    inside, outside = (np.array(1.0), np.array(0.0), np.array(0.0)), (np.array(1.0), np.array(0.0), np.array(0.0))
    for t, dW in enumerate(large, start=1):
        inside = adam(inside[0], dW + 0.1 * inside[0], *inside[1:], t, 0.01)
        outside = adamw(outside[0], dW, *outside[1:], t, 0.01, 0.1)
    plain = (np.array(1.0), np.array(0.0), np.array(0.0))
    for t, dW in enumerate(large, start=1):
        plain = adam(plain[0], dW, *plain[1:], t, 0.01)
    assert plain[0] - outside[0] > 0.05
    assert abs(plain[0] - inside[0]) < 0.005
