"""Depthwise separable convolution: counts by hand, values and gradients against torch with groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from orthogon.models.describe import describe
from orthogon.models.mobilenet_v1 import DepthwiseSeparable
from orthogon.scratch.convolution import conv_forward
from orthogon.scratch.depthwise import (
    depthwise_backward,
    depthwise_forward,
    multiplications,
    separable_backward,
    separable_forward,
)

SHAPES = [
    (2, 6, 6, 3, 3, 5, 0, 1),
    (1, 5, 7, 2, 3, 4, 1, 2),
    (2, 8, 4, 1, 2, 3, 0, 3),
]  # m, n_H, n_W, n_C_prev, f, n_C, p, s


@pytest.mark.system("conv.depthwise")
def test_the_worked_counts() -> None:
    assert multiplications(4, 3, 3, 5) == (2160, 432, 240)
    for n_C_prev, n_C, expected in ((3, 5, 0.311111), (64, 512, 0.113064)):
        normal, depthwise, pointwise = multiplications(10, 3, n_C_prev, n_C)
        assert (depthwise + pointwise) / normal == pytest.approx(1 / n_C + 1 / 9)
        assert (depthwise + pointwise) / normal == pytest.approx(expected, abs=1e-6)


@pytest.mark.system("conv.depthwise")
def test_describe_counts_the_same_work() -> None:
    inputs = torch.zeros(1, 3, 6, 6)
    assert describe(nn.Conv2d(3, 5, 3), inputs).multiply_adds == 2160
    separable = describe(nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 5, 1)), inputs)
    assert [layer.multiply_adds for layer in separable.layers] == [432, 240]


@pytest.mark.system("conv.depthwise")
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    m, n_H, n_W, n_C_prev, f, n_C, p, s = shape
    rng = np.random.default_rng(0)
    arrays = (
        rng.normal(size=(m, n_H, n_W, n_C_prev)),
        rng.normal(size=(f, f, n_C_prev)),
        rng.normal(size=(n_C_prev, n_C)),
        rng.normal(size=n_C),
    )
    x, k, w, b = (torch.from_numpy(array).requires_grad_() for array in arrays)
    d = conv2d(x.permute(0, 3, 1, 2), k.permute(2, 0, 1)[:, None], stride=s, padding=p, groups=n_C_prev)
    z = conv2d(d, w.T[:, :, None, None], b).permute(0, 2, 3, 1)
    Z, cache = separable_forward(*arrays, p, s)
    np.testing.assert_allclose(Z, z.detach(), rtol=0, atol=1e-10)
    dZ = rng.normal(size=Z.shape)
    z.backward(torch.from_numpy(dZ))
    for ours, leaf in zip(separable_backward(dZ, cache), (x, k, w, b), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_products_separable_convolution_gives_the_same_numbers(stride: int) -> None:
    torch.manual_seed(0)
    block = DepthwiseSeparable(3, 5, stride).double()
    depthwise, pointwise = (part[0] for part in block)  # without norm and activation
    A_prev = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    z = pointwise(depthwise(torch.from_numpy(A_prev).permute(0, 3, 1, 2))).permute(0, 2, 3, 1).detach()
    K = depthwise.weight.detach()[:, 0].permute(1, 2, 0).numpy()
    W = pointwise.weight.detach()[:, :, 0, 0].T.numpy()
    Z, _ = separable_forward(A_prev, K, W, np.zeros(5), p=1, s=stride)
    np.testing.assert_allclose(Z, z, rtol=0, atol=1e-10)


@pytest.mark.system("conv.depthwise")
def test_each_channel_is_a_convolution_by_itself() -> None:
    rng = np.random.default_rng(0)
    A_prev, K = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(3, 3, 3))
    D, cache = depthwise_forward(A_prev, K)
    for c in range(3):
        alone, _ = conv_forward(A_prev[..., c, None], K[:, :, c, None, None], np.zeros(1))
        np.testing.assert_allclose(D[..., c, None], alone, rtol=0, atol=1e-12)
    # no gradient crosses from one channel to another
    dD = np.zeros_like(D)
    dD[..., 1] = 1.0
    dA_prev, dK = depthwise_backward(dD, cache)
    assert np.flatnonzero(np.abs(dA_prev).sum(axis=(0, 1, 2))).tolist() == [1]
    assert np.flatnonzero(np.abs(dK).sum(axis=(0, 1))).tolist() == [1]
