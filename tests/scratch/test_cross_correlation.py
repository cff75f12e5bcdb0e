"""The flip: what it changes, and what algebra it buys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d
from torch.nn.functional import conv2d

from orthogon.scratch.cross_correlation import DIGITS_6x6, convolve, correlate, flip, full, regrouping_error
from orthogon.scratch.edges import VERTICAL


@pytest.mark.system("conv.xcorr")
def test_the_flipped_vertical_filter_negates_the_map() -> None:
    np.testing.assert_array_equal(flip(VERTICAL), -VERTICAL)
    expected = [[5, 4, 0, -8], [10, 2, -2, -3], [0, 2, 4, 7], [3, 2, 3, 16]]
    np.testing.assert_array_equal(convolve(DIGITS_6x6, VERTICAL), expected)
    np.testing.assert_array_equal(correlate(DIGITS_6x6, VERTICAL), -np.array(expected))


def test_both_axes_are_flipped() -> None:
    np.testing.assert_array_equal(flip(np.array([[1, 2, 3], [4, 5, 6]])), [[6, 5, 4], [3, 2, 1]])


@pytest.mark.system("conv.xcorr")
@pytest.mark.parametrize("sides", [(3, 3), (3, 2), (4, 1)])
def test_only_the_flipped_version_may_be_regrouped_and_swapped(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(9, 8))
    A, B = rng.normal(size=(sides[0], sides[0])), rng.normal(size=(sides[1], 2))
    assert regrouping_error(convolve, image, A, B) < 1e-12
    assert regrouping_error(correlate, image, A, B) > 0.1
    np.testing.assert_allclose(full(convolve, A, B), full(convolve, B, A), rtol=0, atol=1e-12)
    assert not np.allclose(full(correlate, A, B), full(correlate, B, A))
    # two stacked layers without activation are one, with the true convolution of their filters
    np.testing.assert_allclose(
        correlate(correlate(image, A), B), correlate(image, full(convolve, A, B)), rtol=0, atol=1e-12
    )


def test_torch_correlates_and_scipy_tells_the_two_apart() -> None:
    rng = np.random.default_rng(1)
    image, K = rng.normal(size=(7, 6)), rng.normal(size=(3, 2))
    np.testing.assert_allclose(correlate(image, K), correlate2d(image, K, mode="valid"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(convolve(image, K), convolve2d(image, K, mode="valid"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(full(convolve, image, K), convolve2d(image, K, mode="full"), rtol=0, atol=1e-12)
    theirs = conv2d(torch.from_numpy(image)[None, None], torch.from_numpy(K)[None, None])[0, 0]
    np.testing.assert_allclose(correlate(image, K), theirs, rtol=0, atol=1e-12)
