"""The convolutional layer step by step: values and gradients against torch, loops against one matrix product."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from orthogon.models.convnet import conv_bn
from orthogon.scratch.convolution import (
    col2im,
    conv_backward,
    conv_backward_im2col,
    conv_forward,
    conv_forward_im2col,
    conv_single_step,
    im2col,
    zero_pad,
)

SHAPES = [  # m, n_H, n_W, n_C_prev, f, n_C, p, s
    (2, 6, 6, 3, 3, 2, 0, 1),
    (1, 5, 7, 2, 3, 4, 1, 2),
    (3, 7, 4, 1, 2, 3, 2, 3),
    (2, 8, 8, 2, 5, 1, 0, 2),  # the last row and column are skipped
    (1, 4, 4, 3, 1, 2, 0, 1),
    (2, 3, 3, 2, 3, 3, 0, 1),
]
FORMS = [
    pytest.param(conv_forward, conv_backward, id="loops"),
    pytest.param(conv_forward_im2col, conv_backward_im2col, id="im2col"),
]


def layer(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    m, n_H, n_W, n_C_prev, f, n_C, p, s = shape
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n_H, n_W, n_C_prev)), rng.normal(size=(f, f, n_C_prev, n_C)), rng.normal(size=n_C), p, s


@pytest.mark.system("ex.numpy-conv", "conv.volume")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("forward", "backward"), FORMS)
def test_values_and_gradients_are_torchs(forward, backward, shape: tuple[int, ...]) -> None:
    A_prev, W, b, p, s = layer(shape)
    a, w, bias = (torch.from_numpy(array).requires_grad_() for array in (A_prev, W, b))
    x, k = a.permute(0, 3, 1, 2).contiguous(), w.permute(3, 2, 0, 1).contiguous()
    z = conv2d(x, k, bias, stride=s, padding=p).permute(0, 2, 3, 1)
    Z, cache = forward(A_prev, W, b, p, s)
    np.testing.assert_allclose(Z, z.detach(), rtol=0, atol=1e-10)

    dZ = np.random.default_rng(1).normal(size=Z.shape)
    z.backward(torch.from_numpy(dZ))
    for ours, leaf in zip(backward(dZ, cache), (a, w, bias), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=0, atol=1e-10)


@pytest.mark.system("conv.volume")
def test_a_volume_gives_one_map_a_filter() -> None:
    A_prev, W, b, _, _ = layer((1, 6, 6, 3, 3, 2, 0, 1))
    Z, _ = conv_forward(A_prev, W, b)
    assert Z.shape == (1, 4, 4, 2)
    # one output by hand: all 27 products of the window, then the bias of its filter
    by_hand = sum(A_prev[0, 1 + u, 2 + v, k] * W[u, v, k, 1] for u in range(3) for v in range(3) for k in range(3))
    assert Z[0, 1, 2, 1] == pytest.approx(by_hand + b[1])
    assert conv_single_step(A_prev[0, 1:4, 2:5, :], W[:, :, :, 1], b[1]) == pytest.approx(by_hand + b[1])


@pytest.mark.system("conv.layer")
@pytest.mark.parametrize("size", [(3, 3), (8, 11), (64, 64)])
def test_ten_filters_count_280_parameters_whatever_the_image(size: tuple[int, int]) -> None:
    A_prev, W, b, _, _ = layer((1, *size, 3, 3, 10, 0, 1))
    assert W.size + b.size == 280 == sum(p.numel() for p in nn.Conv2d(3, 10, 3).parameters())
    assert conv_forward_im2col(A_prev, W, b)[0].shape == (1, size[0] - 2, size[1] - 2, 10)


@pytest.mark.system("ex.numpy-conv")
def test_padding_leaves_examples_and_channels_alone() -> None:
    X = np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    padded = zero_pad(X, 2)
    assert padded.shape == (4, 7, 6, 2)
    np.testing.assert_array_equal(padded[:, 2:5, 2:4], X)
    assert np.count_nonzero(padded) == X.size


@pytest.mark.parametrize("shape", SHAPES)
def test_col2im_is_the_transpose_of_im2col(shape: tuple[int, ...]) -> None:
    A_prev, W, _, p, s = layer(shape)
    R = im2col(A_prev, W.shape[0], p, s)
    dR = np.random.default_rng(1).normal(size=R.shape)
    # <R(x), y> = <x, Rᵀ(y)>
    assert np.sum(R * dR) == pytest.approx(np.sum(A_prev * col2im(dR, A_prev.shape, W.shape[0], p, s)), abs=1e-10)


@pytest.mark.parametrize("forward", [conv_forward, conv_forward_im2col])
def test_a_filter_that_does_not_fit_is_refused(forward) -> None:
    with pytest.raises(ValueError, match="side 3 does not fit into side 2"):
        forward(np.zeros((1, 5, 2, 1)), np.zeros((3, 3, 1, 1)), np.zeros(1))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (7, 4)])
def test_the_products_convolution_gives_the_same_numbers(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = conv_bn(3, 5, stride, kernel)[0].double()
    assert isinstance(conv, nn.Conv2d)
    A_prev = np.random.default_rng(0).normal(size=(2, 9, 8, 3))
    a = torch.from_numpy(A_prev).requires_grad_()
    z = conv(a.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    W = conv.weight.detach().permute(2, 3, 1, 0).numpy()
    Z, cache = conv_forward_im2col(A_prev, W, np.zeros(5), kernel // 2, stride)
    np.testing.assert_allclose(Z, z.detach(), rtol=0, atol=1e-10)
    z.sum().backward()
    dA_prev, dW, _ = conv_backward_im2col(np.ones_like(Z), cache)
    assert a.grad is not None
    assert conv.weight.grad is not None
    np.testing.assert_allclose(dA_prev, a.grad, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dW, conv.weight.grad.permute(2, 3, 1, 0), rtol=0, atol=1e-10)
