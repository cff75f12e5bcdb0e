"""The network for tables: its averages, its size, and that members are what they are said to be."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from orthogon.errors import ShapeError
from orthogon.models.tabular import Head, TabularNet, average

EDGES = [np.array([-1, 0, 1], np.float32), np.array([0, 1], np.float32)]
HEADS = [Head("binary"), Head("multiclass", 3), Head("regression")]


def net(**changes: object) -> TabularNet:
    torch.manual_seed(0)
    sizes = {"width": 8, "depth": 2, "members": 4, "number_size": 3, "category_size": 2, "dropout": 0.0, **changes}
    return TabularNet(EDGES, 1, [3, 5], HEADS, **sizes)  # type: ignore[arg-type]


def inputs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(n, 3, generator=generator)
    return numbers, torch.stack([torch.randint(1, k, (n,), generator=generator) for k in (3, 5)], 1)


def test_probabilities_are_averaged_not_logits():
    network, (x, c) = net(), inputs()
    z = network.members(x, c).detach()
    out = network(x, c).detach()
    torch.testing.assert_close(out[:, 0].sigmoid(), z[..., 0].sigmoid().mean(0))
    torch.testing.assert_close(out[:, 1:4].softmax(1), z[..., 1:4].softmax(-1).mean(0))
    torch.testing.assert_close(out[:, 4], z[..., 4].mean(0))


def test_averages_stay_finite_at_large_logits():
    z = torch.tensor([1000.0, -1000.0])[:, None, None].expand(2, 1, 5)
    out = average(net(members=2).heads, z)
    assert torch.isfinite(out).all()
    assert out[0, 0].sigmoid().item() == pytest.approx(0.5)


def test_parameter_count():
    k, e, width = 4, 2 * 3 + 1 + 2 * 2, 8  # e: two numbers of 3, a flag, two categories of 2
    embeddings = (2 + 2 * 2 + 2) * 3 + 8 * 2  # per number: linear, two bins (padded), bias; 3 + 5 levels
    layers = (e * width + 2 * k * width) + (width * width + 2 * k * width)
    heads = k * (width + 1) * 5
    assert sum(p.numel() for p in net().parameters()) == embeddings + k * e + layers + heads


def test_one_member_is_a_plain_mlp():
    network, (x, c) = net(members=1), inputs()
    assert network.numbers is not None
    assert network.categories is not None
    h = torch.cat([network.numbers(x[:, :2]).flatten(1), x[:, 2:], network.categories(c).flatten(1)], 1)
    h = h * network.scale.scale[0]
    for layer in network.hidden:
        h = F.relu((h @ layer.weight) * layer.scale[0] + layer.bias[0])
    z = h @ network.output.weight[0] + network.output.bias[0]
    torch.testing.assert_close(network(x, c)[:, 4], z[:, 4])
    torch.testing.assert_close(network(x, c)[:, 0], z[:, 0], atol=1e-5, rtol=1e-5)


def test_gradient_reaches_every_parameter():
    network, (x, c) = net(), inputs(64)
    network.members(x, c).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "none"])
def test_a_row_does_not_see_its_neighbours(embedding: str):
    network, (x, c) = net(embedding=embedding).eval(), inputs()
    torch.testing.assert_close(network(x, c)[2:3], network(x[2:3], c[2:3]))


def test_columns_of_one_kind_suffice():
    empty = torch.zeros(2, 0, dtype=torch.int64)
    assert TabularNet(EDGES, 0, [], [Head("binary")])(torch.zeros(2, 2), empty).shape == (2, 1)
    assert TabularNet([], 0, [4], [Head("binary")])(torch.zeros(2, 0), empty.new_zeros(2, 1)).shape == (2, 1)
    assert TabularNet(EDGES, 0, [], [Head("regression")], depth=0)(torch.zeros(2, 2), empty).shape == (2, 1)


def test_no_columns_are_refused():
    with pytest.raises(ShapeError, match=r"at least one input column and one target\nAdd a column"):
        TabularNet([], 0, [], [Head("binary")])
