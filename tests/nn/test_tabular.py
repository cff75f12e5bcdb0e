"""Blocks for tables, against figures worked by hand and plain loops."""

import numpy as np
import pytest
import torch

from orthogon.errors import ShapeError
from orthogon.nn.tabular import (
    CategoryEmbedding,
    MemberHeads,
    MemberLinear,
    MemberScale,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    quantile_edges,
)


def test_few_values_each_get_an_edge():
    np.testing.assert_array_equal(quantile_edges(np.array([3.0, 1, 1, 2, 3]), bins=8), [1, 2, 3])


def test_many_values_keep_within_the_bins_and_cover_the_range():
    values = np.random.default_rng(0).lognormal(size=1000)
    edges = quantile_edges(values, bins=8)
    assert len(edges) <= 9
    assert (np.diff(edges) > 0).all()
    np.testing.assert_allclose(edges[[0, -1]], [values.min(), values.max()], rtol=1e-6)


def test_a_mostly_zero_column_bends_where_it_is_not_zero():
    values = np.concatenate([np.zeros(950), np.arange(1, 51)])
    edges = quantile_edges(values, bins=8)
    assert (edges > 0).sum() >= 4  # quantiles of the rows alone would give one


@pytest.mark.parametrize("values", [[], [7.0, 7.0]])
def test_a_constant_or_empty_column_has_one_bin(values: list[float]):
    edges = quantile_edges(np.array(values), bins=4)
    assert len(edges) == 2
    assert edges[1] - edges[0] == 1


def test_piecewise_encoding_worked_by_hand():
    # edges 0, 1, 3: e_1 = x (no upper clamp only in the last bin), e_2 = (x - 1) / 2
    embedding = PiecewiseLinearEmbedding([np.array([0, 1, 3], np.float32), np.array([0, 2], np.float32)], size=2)
    with torch.no_grad():
        embedding.linear.zero_(), embedding.bias.zero_()
        embedding.weight.zero_()
        embedding.weight[0, 0, 0] = embedding.weight[0, 1, 1] = embedding.weight[1, 0, 0] = 1
    x = torch.tensor([[2.0, 1.0], [-1.0, -1.0], [5.0, 4.0], [0.5, 0.0]])
    expected = [[[1, 0.5], [0.5, 0]], [[-1, 0], [-0.5, 0]], [[1, 2], [2, 0]], [[0.5, 0], [0, 0]]]
    torch.testing.assert_close(embedding(x), torch.tensor(expected, dtype=torch.float32))


def test_piecewise_embedding_starts_linear():
    embedding = PiecewiseLinearEmbedding([np.array([-1, 0, 1], np.float32)], size=4)
    y = embedding(torch.tensor([[-0.5], [0.0], [0.5], [1.0]]))[:, 0]
    torch.testing.assert_close(y[2] - y[1], y[1] - y[0])
    torch.testing.assert_close(y[3] - y[2], y[1] - y[0])


def test_edges_that_do_not_rise_are_refused():
    with pytest.raises(ShapeError, match=r"edges of number column 1 do not rise: \[0\.0, 0\.0\]\nMerge equal edges"):
        PiecewiseLinearEmbedding([np.array([0, 1], np.float32), np.array([0, 0], np.float32)], size=2)


def test_periodic_embedding_is_relu_of_linear_of_waves():
    embedding = PeriodicEmbedding(2, size=3, frequencies=4).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    angle = 2 * np.pi * embedding.frequencies.detach().numpy() * x.numpy()[..., None]
    waves = np.concatenate([np.cos(angle), np.sin(angle)], -1)
    z = np.einsum("bfw,fwd->bfd", waves, embedding.weight.detach().numpy()) + embedding.bias.detach().numpy()
    np.testing.assert_allclose(embedding(x).detach().numpy(), np.maximum(z, 0), atol=1e-12)


def test_category_columns_share_a_table_but_no_rows_and_unknown_is_zero():
    embedding = CategoryEmbedding([3, 2], size=4)
    out = embedding(torch.tensor([[0, 0], [1, 1], [2, 1]]))
    assert out.shape == (3, 2, 4)
    assert not out[0].any()
    torch.testing.assert_close(out[1, 1], embedding.table.weight[4])  # second column starts at row 3
    assert len(torch.unique(torch.cat([out[1:, 0], out[1:2, 1]]), dim=0)) == 3


def test_scales_are_equal_within_a_block():
    scale = MemberScale(3, [2, 1], normal=True).scale
    torch.testing.assert_close(scale[:, 0], scale[:, 1])
    assert not torch.allclose(scale[:, 1], scale[:, 2])
    assert set(MemberScale(4, [1, 1], normal=False).scale.detach().unique().tolist()) <= {-1.0, 1.0}


def test_member_layers_equal_a_loop_over_members():
    x = torch.randn(3, 5, 4)
    layer, heads = MemberLinear(3, 4, 2), MemberHeads(3, 4, 2)
    with torch.no_grad():
        layer.scale.normal_()
    for i in range(3):
        torch.testing.assert_close(layer(x)[i], (x[i] @ layer.weight) * layer.scale[i] + layer.bias[i])
        torch.testing.assert_close(heads(x)[i], x[i] @ heads.weight[i] + heads.bias[i, 0])


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (PiecewiseLinearEmbedding([np.array([-1, 0, 2], np.float32), np.array([0, 1], np.float32)], 2), (3, 2)),
        (PeriodicEmbedding(2, 2, 3), (3, 2)),
        (MemberScale(2, [1, 2]), (4, 3)),
        (MemberLinear(2, 3, 2), (2, 4, 3)),
        (MemberHeads(2, 3, 2), (2, 4, 3)),
    ],
)
def test_gradients(block: torch.nn.Module, shape: tuple[int, ...]):
    block = block.double()
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    names, values = zip(*block.named_parameters(), strict=True)

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(block, dict(zip(names, values, strict=True)), x)

    values = tuple(value.detach().clone().requires_grad_() for value in values)
    assert torch.autograd.gradcheck(run, (x, *values))
