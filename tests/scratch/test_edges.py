"""Edge filters against figures worked by hand, and a filter found from examples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from orthogon.scratch.edges import HORIZONTAL, SCHARR, SOBEL, VERTICAL, learn_filter, slide

DIGITS = np.array(
    [[int(digit) for digit in row] for row in ("301274", "158931", "272513", "013178", "421628", "245239")]
)
BRIGHT_LEFT = np.array([[10.0, 10, 10, 0, 0, 0]] * 6)


@pytest.mark.system("conv.edge")
def test_the_vertical_filter_by_hand() -> None:
    expected = [[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]]
    np.testing.assert_array_equal(slide(DIGITS, VERTICAL), expected)
    assert slide(DIGITS, VERTICAL).shape == (6 - 3 + 1, 6 - 3 + 1)


@pytest.mark.system("conv.edge")
def test_a_bright_to_dark_edge_is_positive_and_its_mirror_negative() -> None:
    np.testing.assert_array_equal(slide(BRIGHT_LEFT, VERTICAL), [[0, 30, 30, 0]] * 4)
    np.testing.assert_array_equal(slide(BRIGHT_LEFT[:, ::-1], VERTICAL), [[0, -30, -30, 0]] * 4)
    np.testing.assert_array_equal(HORIZONTAL, [[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
    # an image on its side under the filter on its side gives the map on its side
    np.testing.assert_array_equal(slide(BRIGHT_LEFT.T, HORIZONTAL), slide(BRIGHT_LEFT, VERTICAL).T)
    checkerboard = np.kron([[10, 0], [0, 10]], np.ones((3, 3)))
    expected = [[0, 0, 0, 0], [30, 10, -10, -30], [30, 10, -10, -30], [0, 0, 0, 0]]
    np.testing.assert_array_equal(slide(checkerboard, HORIZONTAL), expected)


@pytest.mark.system("conv.filters")
def test_sobel_and_scharr_by_hand() -> None:
    np.testing.assert_array_equal(
        slide(DIGITS, SOBEL), [[-12, -8, 5, 16], [-10, 0, 3, 5], [-3, -2, -8, -14], [0, -6, -4, -18]]
    )
    np.testing.assert_array_equal(
        slide(DIGITS, SCHARR), [[-64, -40, 35, 80], [-30, 8, 13, 23], [-21, -6, -40, -70], [12, -34, -16, -62]]
    )
    np.testing.assert_array_equal(slide(BRIGHT_LEFT, SOBEL), [[0, 40, 40, 0]] * 4)
    np.testing.assert_array_equal(slide(BRIGHT_LEFT, SCHARR), [[0, 160, 160, 0]] * 4)


@pytest.mark.system("conv.filters")
@pytest.mark.parametrize("seed", range(3))
def test_gradient_descent_finds_sobel_from_one_pair(seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(20, 24))
    K, costs = learn_filter(image, slide(image, SOBEL))
    np.testing.assert_allclose(K, SOBEL, rtol=0, atol=1e-3)
    assert all(later < earlier for earlier, later in pairwise(costs))


@pytest.mark.parametrize(("shape", "f"), [((7, 7), 3), ((6, 9), 3), ((8, 5), 4), ((5, 5), 1)])
def test_the_map_and_the_filters_gradient_are_torchs(shape: tuple[int, int], f: int) -> None:
    rng = np.random.default_rng(0)
    image, K = rng.normal(size=shape), rng.normal(size=(f, f))
    w = torch.from_numpy(K)[None, None].requires_grad_()
    z = conv2d(torch.from_numpy(image)[None, None], w)
    np.testing.assert_allclose(slide(image, K), z[0, 0].detach(), rtol=0, atol=1e-10)
    dZ = rng.normal(size=z.shape[2:])
    z.backward(torch.from_numpy(dZ)[None, None])
    assert w.grad is not None
    np.testing.assert_allclose(slide(image, dZ), w.grad[0, 0], rtol=0, atol=1e-10)
