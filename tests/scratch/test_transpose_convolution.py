"""The transpose convolution: the worked example, torch, and the property that names it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from orthogon.scratch.convolution import conv_backward_im2col, conv_forward_im2col
from orthogon.scratch.transpose_convolution import transpose_backward, transpose_forward, transposed_size

SMALL = np.array([[2.0, 1], [3, 2]])[None, :, :, None]
FILTER = np.array([[1.0, 2, 1], [2, 0, 1], [0, 2, 1]])[:, :, None, None]
WORKED = [
    (0, 0, [[2, 4, 3, 2, 1], [4, 0, 4, 0, 1], [3, 10, 7, 6, 3], [6, 0, 7, 0, 2], [0, 6, 3, 4, 2]]),
    (1, 0, [[0, 4, 0], [10, 7, 6], [0, 7, 0]]),
    (1, 1, [[0, 4, 0, 1], [10, 7, 6, 3], [0, 7, 0, 2], [6, 3, 4, 2]]),
]
SHAPES = [  # m, n_H, n_W, n_C_prev, f, n_C, p, s, output padding
    (2, 3, 3, 2, 3, 4, 0, 1, 0),
    (1, 4, 2, 3, 3, 2, 1, 2, 1),
    (2, 3, 5, 1, 4, 3, 1, 2, 0),
    (1, 3, 3, 2, 2, 1, 0, 3, 2),  # pastes leave gaps
]


@pytest.mark.system("conv.transpose")
@pytest.mark.parametrize(("p", "output_padding", "expected"), WORKED)
def test_the_worked_example_here_and_in_torch(p: int, output_padding: int, expected: list[list[int]]) -> None:
    Z, _ = transpose_forward(SMALL, FILTER, np.zeros(1), p, 2, output_padding)
    np.testing.assert_array_equal(Z[0, :, :, 0], expected)
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=p, output_padding=output_padding, bias=False).double()
    layer.load_state_dict({"weight": torch.from_numpy(FILTER).permute(3, 2, 0, 1)})
    np.testing.assert_array_equal(layer(torch.from_numpy(SMALL).permute(0, 3, 1, 2))[0, 0].detach(), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    m, n_H, n_W, n_C_prev, f, n_C, p, s, output_padding = shape
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(m, n_H, n_W, n_C_prev)), rng.normal(size=(f, f, n_C, n_C_prev)), rng.normal(size=n_C)
    x, w, b = (torch.from_numpy(array).requires_grad_() for array in arrays)
    a, k = x.permute(0, 3, 1, 2).contiguous(), w.permute(3, 2, 0, 1).contiguous()
    z = conv_transpose2d(a, k, b, s, p, output_padding).permute(0, 2, 3, 1)
    Z, cache = transpose_forward(*arrays, p, s, output_padding)
    assert Z.shape[1:3] == tuple(transposed_size(n, f, p, s, output_padding) for n in (n_H, n_W))
    np.testing.assert_allclose(Z, z.detach(), rtol=0, atol=1e-10)
    dZ = rng.normal(size=Z.shape)
    z.backward(torch.from_numpy(dZ))
    for ours, leaf in zip(transpose_backward(dZ, cache), (x, w, b), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=0, atol=1e-10)


@pytest.mark.system("conv.transpose")
@pytest.mark.parametrize(("n", "f", "p", "s"), [(6, 3, 0, 1), (7, 3, 1, 2), (8, 3, 1, 2), (9, 4, 0, 3), (8, 5, 2, 1)])
def test_it_is_the_transpose_of_the_convolution(n: int, f: int, p: int, s: int) -> None:
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(f, f, 2, 3)), rng.normal(size=(2, n, n, 2))
    conv_x, cache = conv_forward_im2col(x, W, np.zeros(3), p, s)
    y = rng.normal(size=conv_x.shape)
    rounded_off = (n + 2 * p - f) % s  # what the convolution never saw, output padding gives back
    conv_t_y, _ = transpose_forward(y, W, np.zeros(2), p, s, rounded_off)
    assert conv_t_y.shape == x.shape
    assert np.sum(conv_x * y) == pytest.approx(np.sum(x * conv_t_y), abs=1e-12, rel=1e-12)
    # that is to say, it is the convolution's backward pass
    np.testing.assert_allclose(conv_t_y, conv_backward_im2col(y, cache)[0], rtol=0, atol=1e-12)

    w = torch.from_numpy(W).permute(3, 2, 0, 1)
    X, Y = (torch.from_numpy(array).permute(0, 3, 1, 2) for array in (x, y))
    forth = (conv2d(X, w, stride=s, padding=p) * Y).sum()
    back = (X * conv_transpose2d(Y, w, stride=s, padding=p, output_padding=rounded_off)).sum()
    assert forth.item() == pytest.approx(back.item(), abs=1e-12, rel=1e-12)


def test_sizes() -> None:
    assert transposed_size(2, 3, 1, 2) == 3
    assert transposed_size(2, 3, 1, 2, 1) == 4
    with pytest.raises(ValueError, match="output_padding 2 must be from 0 to below the stride 2"):
        transposed_size(2, 3, 1, 2, 2)
    with pytest.raises(ValueError, match="cutting 2 pixels from each side of 3 leaves nothing"):
        transposed_size(1, 3, 2)
