"""Local response normalisation: the worked row, torch with its other alpha, and the gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.models.alexnet import ResponseNorm
from orthogon.scratch.local_response_norm import lrn_backward, lrn_forward, sum_over_neighbours

CHANNELS = np.array([10.0, 20, 30, 40, 50, 60])


@pytest.mark.system("conv.lrn")
def test_the_worked_row_and_torchs_alpha() -> None:
    expected = [5.651838, 10.708635, 14.866753, 17.999544, 22.735027, 27.944183]
    b, _ = lrn_forward(CHANNELS)
    np.testing.assert_allclose(b, expected, rtol=0, atol=1e-6)
    row = torch.from_numpy(CHANNELS)[None, :, None, None]
    papers = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(row)[0, :, 0, 0]
    np.testing.assert_allclose(papers, expected, rtol=0, atol=1e-6)
    copied = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)(row)[0, :, 0, 0]
    np.testing.assert_allclose(copied[:2], [5.8844, 11.6313], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("channels", "n"), [(6, 5), (3, 5), (8, 3), (1, 5), (4, 1)])
def test_values_and_gradients_are_torchs(channels: int, n: int) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 3, size=(2, 3, 4, channels))
    x = torch.from_numpy(a).requires_grad_()
    # torch divides alpha by n
    y = nn.LocalResponseNorm(n, alpha=0.02 * n, beta=0.6, k=1.5)(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    b, cache = lrn_forward(a, n, k=1.5, alpha=0.02, beta=0.6)
    np.testing.assert_allclose(b, y.detach(), rtol=0, atol=1e-10)
    db = rng.normal(size=b.shape)
    y.backward(torch.from_numpy(db))
    assert x.grad is not None
    np.testing.assert_allclose(lrn_backward(db, cache), x.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_products_alexnet_normalises_the_same_way(groups: int) -> None:
    a = np.random.default_rng(0).normal(0, 100, size=(2, 3, 4, 8))
    theirs = ResponseNorm(groups)(torch.from_numpy(a).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    halves = [lrn_forward(half)[0] for half in np.split(a, groups, axis=-1)]
    np.testing.assert_allclose(np.concatenate(halves, axis=-1), theirs, rtol=0, atol=1e-10)


def test_the_neighbourhood_is_cut_off_at_the_ends() -> None:
    np.testing.assert_array_equal(sum_over_neighbours(np.array([1.0, 2, 4, 8]), 3), [3, 7, 14, 12])
    with pytest.raises(ValueError, match="n is 4; it must be odd"):
        lrn_forward(CHANNELS, 4)
