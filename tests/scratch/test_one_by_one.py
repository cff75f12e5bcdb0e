"""The 1 x 1 convolution is a dense layer at every pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.models.describe import describe
from orthogon.scratch.convolution import conv_forward
from orthogon.scratch.one_by_one import bottleneck_cost, one_by_one_backward, one_by_one_forward


@pytest.mark.system("conv.1x1")
def test_it_is_a_linear_layer_at_each_of_36_positions() -> None:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(32, 5, 1).double(), nn.Linear(32, 5).double()
    linear.load_state_dict({"weight": conv.weight[:, :, 0, 0].detach(), "bias": conv.bias.detach()})
    A_prev = np.random.default_rng(0).normal(size=(2, 6, 6, 32))
    W, b = linear.weight.detach().T.numpy(), linear.bias.detach().numpy()
    A, _ = one_by_one_forward(A_prev, W, b)
    assert A.shape == (2, 6, 6, 5)

    theirs = conv(torch.from_numpy(A_prev).permute(0, 3, 1, 2)).relu().permute(0, 2, 3, 1).detach()
    np.testing.assert_allclose(A, theirs, rtol=0, atol=1e-10)
    positions = [(h, w) for h in range(6) for w in range(6)]
    assert len(positions) == 36
    for h, w in positions:
        pixel = linear(torch.from_numpy(A_prev[:, h, w, :])).relu().detach()
        np.testing.assert_allclose(theirs[:, h, w], pixel, rtol=0, atol=1e-12)
    # and it is what the general layer gives for f = 1
    np.testing.assert_allclose(A, np.maximum(0, conv_forward(A_prev, W[None, None], b)[0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 2), (1, 1, 1, 1, 3), (3, 2, 2, 4, 6)])
def test_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    m, n_H, n_W, n_C_prev, n_C = shape
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(m, n_H, n_W, n_C_prev)), rng.normal(size=(n_C_prev, n_C)), rng.normal(size=n_C)
    x, w, b = (torch.from_numpy(array).requires_grad_() for array in arrays)
    a = nn.functional.conv2d(x.permute(0, 3, 1, 2), w.T[:, :, None, None], b).relu().permute(0, 2, 3, 1)
    A, cache = one_by_one_forward(*arrays)
    dA = rng.normal(size=A.shape)
    a.backward(torch.from_numpy(dA))
    for ours, leaf in zip(one_by_one_backward(dA, cache), (x, w, b), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=0, atol=1e-10)


@pytest.mark.system("conv.1x1")
def test_it_shrinks_the_channels_and_keeps_the_sides() -> None:
    rng = np.random.default_rng(0)
    A, _ = one_by_one_forward(rng.normal(size=(1, 28, 28, 192)), rng.normal(size=(192, 32)), np.zeros(32))
    assert A.shape == (1, 28, 28, 32)
    assert nn.Conv2d(192, 32, 1)(torch.zeros(1, 192, 28, 28)).shape == (1, 32, 28, 28)


def test_a_bottleneck_costs_a_tenth_as_describe_counts_it() -> None:
    direct, through = bottleneck_cost(28, 192, 16, 5, 32)
    assert (direct, through) == (120_422_400, 2_408_448 + 10_035_200)
    inputs = torch.zeros(1, 192, 28, 28)
    assert describe(nn.Conv2d(192, 32, 5, padding=2), inputs).multiply_adds == direct
    narrow = nn.Sequential(nn.Conv2d(192, 16, 1), nn.ReLU(), nn.Conv2d(16, 32, 5, padding=2))
    assert describe(narrow, inputs).multiply_adds == through
