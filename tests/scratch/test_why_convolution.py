"""Sparse, shared, and moving with what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.convolution import conv_forward_im2col
from orthogon.scratch.edges import slide
from orthogon.scratch.why_convolution import as_dense, demo, parameters, shift


@pytest.mark.system("conv.why")
def test_both_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert parameters(32, 3, 5, 6) == {"dense": (14_450_688, 14_455_392), "convolution": (450, 456)}
    assert sum(p.numel() for p in nn.Conv2d(3, 6, 5).parameters()) == 456
    with torch.device("meta"):
        assert sum(p.numel() for p in nn.Linear(3072, 4704).parameters()) == 14_455_392
    demo()
    words = capsys.readouterr().out.split()
    assert " dense 14,450,688 weights, 14,455,392 with biases " in " ".join(words)
    assert " convolution 450 weights, 456 with biases " in " ".join(words)


@pytest.mark.system("conv.why")
@pytest.mark.parametrize(("down", "right", "s"), [(1, 0, 1), (2, 3, 1), (2, 4, 2), (0, 3, 3)])
def test_a_shifted_input_shifts_the_output_exactly(down: int, right: int, s: int) -> None:
    rng = np.random.default_rng(0)
    A_prev, W, b = rng.normal(size=(2, 13, 15, 3)), rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)
    Z, _ = conv_forward_im2col(A_prev, W, b, s=s)
    moved, _ = conv_forward_im2col(shift(A_prev, down, right), W, b, s=s)
    rows, columns = down // s, right // s
    kept_H, kept_W = Z.shape[1] - rows, Z.shape[2] - columns
    np.testing.assert_array_equal(moved[:, rows:, columns:], Z[:, :kept_H, :kept_W])

    x, w = (torch.from_numpy(a) for a in (A_prev, W))
    conv = nn.functional.conv2d
    z, z_moved = (
        conv(a.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=s)
        for a in (x, torch.from_numpy(shift(A_prev, down, right)))
    )
    torch.testing.assert_close(z_moved[:, :, rows:, columns:], z[:, :, :kept_H, :kept_W], rtol=0, atol=1e-12)


@pytest.mark.system("conv.why")
@pytest.mark.parametrize(("f", "n"), [(3, 6), (2, 5), (1, 3), (4, 4)])
def test_it_is_a_dense_layer_with_zeros_and_shared_weights(f: int, n: int) -> None:
    rng = np.random.default_rng(0)
    K, image = rng.normal(size=(f, f)), rng.normal(size=(n, n))
    M = as_dense(K, n)
    side = n - f + 1
    assert M.shape == (side**2, n**2)
    np.testing.assert_allclose((M @ image.ravel()).reshape(side, side), slide(image, K), rtol=0, atol=1e-12)
    for row in M:  # each output sees f² inputs, through the same weights
        np.testing.assert_array_equal(row[row != 0], K.ravel())


def test_what_leaves_is_gone_and_zeros_move_in() -> None:
    A = np.arange(1.0, 7).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(shift(A, 1, 1)[0, :, :, 0], [[0, 0, 0], [0, 1, 2]])
    np.testing.assert_array_equal(shift(A, 0, 0), A)
