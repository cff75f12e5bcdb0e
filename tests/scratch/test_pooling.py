"""Pooling forward and backward, against figures worked by hand and torch; ties are the named difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d

from orthogon.scratch.pooling import Mode, mask_of_max, pool_backward, pool_forward, spread_evenly


def as_map(*rows: str) -> np.ndarray:
    return np.array([[float(digit) for digit in row] for row in rows])[None, :, :, None]


SMALL = as_map("1321", "2911", "1323", "5612")
LARGE = as_map("13213", "29115", "13232", "83510", "56129")
SHAPES = [(2, 6, 6, 3, 2, 2), (1, 5, 7, 2, 3, 1), (2, 7, 6, 1, 3, 2), (1, 4, 4, 2, 2, 3)]  # m, n_H, n_W, n_C, f, s
MODES: list[tuple[Mode, object]] = [("max", max_pool2d), ("average", avg_pool2d)]


@pytest.mark.system("conv.maxpool")
def test_max_pooling_by_hand() -> None:
    np.testing.assert_array_equal(pool_forward(SMALL, 2, 2, "max")[0][0, :, :, 0], [[9, 2], [6, 3]])
    np.testing.assert_array_equal(pool_forward(LARGE, 3, 1, "max")[0][0, :, :, 0], [[9, 9, 5], [9, 9, 5], [8, 6, 9]])
    halved, _ = pool_forward(np.zeros((1, 14, 10, 6)))
    assert halved.shape == (1, 7, 5, 6)
    assert list(nn.MaxPool2d(2).parameters()) == []


@pytest.mark.system("conv.avgpool")
def test_average_pooling_by_hand() -> None:
    np.testing.assert_array_equal(pool_forward(SMALL, 2, 2, "average")[0][0, :, :, 0], [[3.75, 1.25], [3.75, 2]])


@pytest.mark.system("conv.avgpool")
def test_the_average_over_the_whole_map_is_the_mean_over_height_and_width() -> None:
    A_prev = np.random.default_rng(0).normal(size=(2, 7, 7, 1000))
    A, _ = pool_forward(A_prev, 7, 1, "average")
    assert A.shape == (2, 1, 1, 1000)
    np.testing.assert_allclose(A[:, 0, 0, :], A_prev.mean(axis=(1, 2)), rtol=0, atol=1e-12)
    theirs = nn.AdaptiveAvgPool2d(1)(torch.from_numpy(A_prev).permute(0, 3, 1, 2))
    np.testing.assert_allclose(A, theirs.permute(0, 2, 3, 1), rtol=0, atol=1e-12)


@pytest.mark.system("ex.numpy-conv")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mode", "reference"), MODES)
def test_values_and_gradients_are_torchs(mode: Mode, reference, shape: tuple[int, ...]) -> None:
    *volume, f, s = shape
    rng = np.random.default_rng(0)
    A_prev = rng.normal(size=volume)
    a_prev = torch.from_numpy(A_prev).requires_grad_()
    a = reference(a_prev.permute(0, 3, 1, 2), f, s).permute(0, 2, 3, 1)
    A, cache = pool_forward(A_prev, f, s, mode)
    np.testing.assert_allclose(A, a.detach(), rtol=0, atol=1e-10)
    dA = rng.normal(size=A.shape)
    a.backward(torch.from_numpy(dA))
    assert a_prev.grad is not None
    np.testing.assert_allclose(pool_backward(dA, cache), a_prev.grad, rtol=0, atol=1e-10)


@pytest.mark.system("ex.numpy-conv")
def test_ties_share_the_gradient_here_and_torch_gives_it_to_the_first() -> None:
    window = np.array([[2.0, 2], [1, 2]])
    np.testing.assert_array_equal(mask_of_max(window), [[1, 1], [0, 1]])
    A, cache = pool_forward(window[None, :, :, None], 2, 2, "max")
    np.testing.assert_array_equal(pool_backward(np.ones_like(A), cache)[0, :, :, 0], [[1, 1], [0, 1]])
    tensor = torch.from_numpy(window)[None, None].requires_grad_()
    max_pool2d(tensor, 2).sum().backward()
    assert tensor.grad is not None
    np.testing.assert_array_equal(tensor.grad[0, 0], [[1, 0], [0, 0]])


@pytest.mark.system("ex.numpy-conv")
def test_the_average_spreads_a_gradient_evenly() -> None:
    np.testing.assert_array_equal(spread_evenly(2.0, 2), [[0.5, 0.5], [0.5, 0.5]])


def test_a_window_larger_than_the_map_is_refused() -> None:
    with pytest.raises(ValueError, match="side 5 does not fit into side 4"):
        pool_forward(SMALL, 5, 1)
