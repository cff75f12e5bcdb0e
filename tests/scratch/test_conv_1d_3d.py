"""Convolution along one and three axes, against torch and the two-dimensional chapter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv1d, conv2d, conv3d

from orthogon.scratch.conv_1d_3d import conv_nd_backward, conv_nd_forward, heartbeat
from orthogon.scratch.convolution import conv_forward

CONVOLVE = {1: conv1d, 2: conv2d, 3: conv3d}


@pytest.mark.system("conv.1d", "conv.3d")
@pytest.mark.parametrize("sides", [(14,), (14, 14, 14)])
def test_the_worked_shapes(sides: tuple[int, ...]) -> None:
    A = np.zeros((1, *sides, 1))
    for n_C, expected in ((16, 10), (32, 6)):
        W = np.zeros((5,) * len(sides) + (A.shape[-1], n_C))
        A, _ = conv_nd_forward(A, W, np.zeros(n_C))
        assert A.shape == (1, *[expected] * len(sides), n_C)
        theirs = CONVOLVE[len(sides)](
            torch.zeros(1, W.shape[-2], *[expected + 4] * len(sides)), torch.zeros(n_C, W.shape[-2], *[5] * len(sides))
        )
        assert theirs.shape == (1, n_C, *[expected] * len(sides))


@pytest.mark.system("conv.1d", "conv.3d")
@pytest.mark.parametrize(
    ("sides", "f", "s"), [((9,), 3, 1), ((14,), 5, 2), ((6, 5), 3, 1), ((5, 4, 6), 2, 1), ((6, 5, 7), 3, 2)]
)
def test_values_and_gradients_are_torchs(sides: tuple[int, ...], f: int, s: int) -> None:
    d = len(sides)
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(2, *sides, 3)), rng.normal(size=(*[f] * d, 3, 4)), rng.normal(size=4)
    x, w, b = (torch.from_numpy(array).requires_grad_() for array in arrays)
    z = CONVOLVE[d](x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), b, stride=s).movedim(1, -1)
    Z, cache = conv_nd_forward(*arrays, s)
    np.testing.assert_allclose(Z, z.detach(), rtol=0, atol=1e-10)
    dZ = rng.normal(size=Z.shape)
    z.backward(torch.from_numpy(dZ))
    for ours, leaf in zip(conv_nd_backward(dZ, cache), (x, w, b), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=0, atol=1e-10)


def test_along_two_axes_it_is_the_layer_of_the_chapter_on_convolution() -> None:
    rng = np.random.default_rng(0)
    A_prev, W, b = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=2)
    np.testing.assert_allclose(
        conv_nd_forward(A_prev, W, b, 2)[0], conv_forward(A_prev, W, b, 0, 2)[0], rtol=0, atol=1e-12
    )


def test_a_filter_in_the_shape_of_a_beat_answers_most_at_the_beats() -> None:
    signal, spike, starts = heartbeat(7)
    Z, _ = conv_nd_forward(signal[None, :, None], (spike - spike.mean())[:, None, None], np.zeros(1))
    assert sorted(np.argsort(Z[0, :, 0])[-7:].tolist()) == starts.tolist()
