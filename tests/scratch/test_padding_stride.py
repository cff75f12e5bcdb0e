"""Sizes and values with padding and stride, against the worked table and torch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from orthogon.models.convnet import conv_bn
from orthogon.nn.convolution import TensorFlowConv2d
from orthogon.scratch.cross_correlation import DIGITS_6x6
from orthogon.scratch.edges import VERTICAL
from orthogon.scratch.padding_stride import output_size, padding_for, same_padding, slide_padded, times_used

GRID = [
    (n, f, p, s) for n, f, p, s in itertools.product(range(1, 12), range(1, 6), range(3), range(1, 5)) if f <= n + 2 * p
]


@pytest.mark.system("conv.pad", "conv.stride")
@pytest.mark.parametrize(
    ("n", "f", "p", "s", "expected"),
    [
        (6, 3, 0, 1, 4),
        (6, 3, 1, 1, 6),
        (7, 3, 0, 2, 3),
        (6, 3, 1, 2, 3),
        (39, 3, 0, 1, 37),
        (37, 5, 0, 2, 17),
        (17, 5, 0, 2, 7),
    ],
)
def test_the_worked_sizes(n: int, f: int, p: int, s: int, expected: int) -> None:
    assert output_size(n, f, p, s) == expected


@pytest.mark.system("conv.stride")
def test_sizes_are_torchs_and_windows_that_do_not_fit_are_skipped() -> None:
    for n, f, p, s in GRID:
        theirs = conv2d(torch.zeros(1, 1, n, n), torch.zeros(1, 1, f, f), stride=s, padding=p)
        assert output_size(n, f, p, s) == theirs.shape[-1], (n, f, p, s)
    assert any((n + 2 * p - f) % s for n, f, p, s in GRID)
    assert output_size(6, 3, 0, 2) == output_size(5, 3, 0, 2) == 2  # the sixth column is never looked at


@pytest.mark.system("conv.pad", "conv.stride")
def test_values_by_hand() -> None:
    np.testing.assert_array_equal(slide_padded(DIGITS_6x6, VERTICAL, s=2), [[-5, 0], [0, -4]])
    np.testing.assert_array_equal(slide_padded(DIGITS_6x6, VERTICAL, s=3), [[-5, 8], [-3, -16]])
    expected = [[-5, -6, 6], [-13, -2, 3], [-7, -2, -16]]
    np.testing.assert_array_equal(slide_padded(DIGITS_6x6, VERTICAL, p=1, s=2), expected)


@pytest.mark.system("conv.pad")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("f", range(1, 8))
def test_same_keeps_the_side_and_an_even_filter_pads_one_more_at_the_end(f: int) -> None:
    before, after = same_padding(f)
    assert before + after == f - 1
    assert after - before == (f + 1) % 2
    if f % 2:
        assert before == after == (f - 1) // 2
        assert output_size(9, f, before) == 9
    rng = np.random.default_rng(f)
    image, K = rng.normal(size=(9, 8)), rng.normal(size=(f, f))
    theirs = conv2d(torch.from_numpy(image)[None, None], torch.from_numpy(K)[None, None], padding="same")[0, 0]
    assert theirs.shape == (9, 8)
    ours = slide_padded(np.pad(image, ((before, after), (before, after))), K)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.system("conv.pad")
def test_padding_for_a_target_side() -> None:
    assert padding_for(6, 3, 1, 6) == same_padding(3)
    assert padding_for(6, 4, 1, 6) == same_padding(4)
    assert padding_for(7, 3, 2, 3) == (0, 0)
    assert padding_for(224, 7, 2, 112) == (2, 3)
    for n, f, s in itertools.product(range(5, 15), range(1, 6), range(1, 4)):
        before, after = padding_for(n, f, s, -(-n // s))  # the side divided by s, rounded up
        assert output_size(n + before + after, f, 0, s) == -(-n // s)
    with pytest.raises(ValueError, match="side 9 with f 3, s 1 is more than 5"):
        padding_for(9, 3, 1, 5)


def test_a_filter_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="side 5 does not fit into side 2 with padding 1"):
        output_size(2, 5, 1)


def test_a_corner_pixel_is_used_once_without_padding_and_more_often_with_it() -> None:
    assert times_used(7, 3)[0, 0] == 1
    assert times_used(7, 3)[3, 3] == 9
    assert times_used(7, 3, p=1)[0, 0] == 4
    assert times_used(8, 3, s=2)[:, -1].sum() == 0
    # each window holds f² pixels, those of the border included
    assert times_used(7, 3).sum() == 9 * output_size(7, 3) ** 2


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (7, 4)])
def test_the_products_convolutions_keep_or_divide_the_side(kernel: int, stride: int) -> None:
    conv = conv_bn(3, 4, stride, kernel)[0]
    assert isinstance(conv, nn.Conv2d)
    assert conv.padding == same_padding(kernel)
    for n in (8, 15, 64):
        side = conv(torch.zeros(1, 3, n, n)).shape[-1]
        assert side == output_size(n, kernel, (kernel - 1) // 2, stride) == -(-n // stride)


@pytest.mark.parametrize(("n", "f", "s"), [(8, 3, 2), (9, 3, 2), (7, 5, 3), (8, 4, 1), (6, 1, 2)])
def test_the_products_tensorflow_padding_is_that_for_the_side_divided_by_the_stride(n: int, f: int, s: int) -> None:
    conv = TensorFlowConv2d(1, 1, f, s, bias=False).double()
    image = np.random.default_rng(0).normal(size=(n, n))
    padded = np.pad(image, padding_for(n, f, s, -(-n // s)))
    ours = slide_padded(padded, conv.weight.detach()[0, 0].numpy(), s=s)
    theirs = conv(torch.from_numpy(image)[None, None])[0, 0].detach()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
