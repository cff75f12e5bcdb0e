"""The walk through a ConvNet: the worked tables, here and in the product's `describe`."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from orthogon.models.describe import describe
from orthogon.models.lenet import lenet5_modern
from orthogon.scratch.conv_shapes import (
    LENET_LIKE,
    SIGNAL_NET,
    SIMPLE_NET,
    Conv,
    Dense,
    Layer,
    Pool,
    count_layers,
    shares,
    table,
    walk,
)

EIGHT_FILTERS = (Conv(8, 5), *LENET_LIKE[1:])


def in_torch(shape: tuple[int, ...], layers: tuple[Layer, ...]) -> nn.Sequential:
    """The same network in torch."""
    conv, pool = {
        1: (nn.Conv1d, nn.MaxPool1d),
        2: (nn.Conv2d, nn.MaxPool2d),
        3: (nn.Conv3d, nn.MaxPool3d),
    }[len(shape) - 1]
    modules: list[nn.Module] = []
    rows = walk(shape, layers)
    for before, row in pairwise(rows):
        layer = row.layer
        if isinstance(layer, Conv):
            modules.append(conv(before.shape[-1], layer.n_C, layer.f, layer.s, layer.p))
        elif isinstance(layer, Pool):
            modules.append(pool(layer.f, layer.s))
        else:
            assert isinstance(layer, Dense)
            modules += [nn.Flatten(), nn.Linear(before.activations, layer.n)]
    return nn.Sequential(*modules)


@pytest.mark.system("conv.simple-net")
def test_the_example_net() -> None:
    rows = walk((39, 39, 3), SIMPLE_NET)
    assert [row.shape for row in rows] == [(39, 39, 3), (37, 37, 10), (17, 17, 20), (7, 7, 40), (2,)]
    assert rows[3].activations == 1960
    shown = [" ".join(line.split()) for line in table(rows).splitlines()[1:]]
    assert shown[0].startswith("input 39 x 39 x 3 4,563 0 ")
    for line, layer in zip(
        shown[1:], ("37 x 37 x 10 13,690 280", "17 x 17 x 20 5,780 5,020", "7 x 7 x 40 1,960 20,040"), strict=False
    ):
        assert f") {layer} " in line


@pytest.mark.system("conv.lenetlike")
@pytest.mark.parametrize(
    ("layers", "sizes", "parameters", "total"),
    [
        (LENET_LIKE, [3072, 4704, 1176, 1600, 400, 120, 84, 10], [0, 456, 0, 2416, 0, 48120, 10164, 850], 62_006),
        (EIGHT_FILTERS, [3072, 6272, 1568, 1600, 400, 120, 84, 10], [0, 608, 0, 3216, 0, 48120, 10164, 850], 62_958),
    ],
)
def test_the_worked_table(layers: tuple[Layer, ...], sizes: list[int], parameters: list[int], total: int) -> None:
    rows = walk((32, 32, 3), layers)
    assert [row.activations for row in rows] == sizes
    assert [row.parameters for row in rows] == parameters
    assert sum(parameters) == total
    assert f"{total:,} parameters, 5 layers with weights, 7 counting pooling" in table(rows)


@pytest.mark.system("conv.1d", "conv.3d")
def test_signals_and_volumes() -> None:
    assert [row.shape for row in walk((14, 1), SIGNAL_NET)] == [(14, 1), (10, 16), (6, 32)]
    volume = walk((14, 14, 14, 1), SIGNAL_NET)
    assert [row.shape for row in volume] == [(14, 14, 14, 1), (10, 10, 10, 16), (6, 6, 6, 32)]


@pytest.mark.system("conv.layer", "conv.count", "conv.fc", "conv.simple-net", "conv.lenetlike", "conv.1d", "conv.3d")
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((39, 39, 3), SIMPLE_NET),
        ((32, 32, 3), LENET_LIKE),
        ((32, 32, 3), EIGHT_FILTERS),
        ((14, 1), SIGNAL_NET),
        ((14, 14, 14, 1), SIGNAL_NET),
        ((17, 11, 2), (Conv(4, 3, 2, 1), Pool(3, 1), Conv(5, 2, 1, 0), Dense(3))),
        ((50, 2), (Conv(4, 7, 3), Pool(2, 2), Dense(3))),
    ],
)
def test_describe_shows_the_same_table(shape: tuple[int, ...], layers: tuple[Layer, ...]) -> None:
    rows = walk(shape, layers)
    description = describe(in_torch(shape, layers), torch.zeros(1, shape[-1], *shape[:-1]))
    shown = [row for row in description.layers if row.kind != "Flatten"]
    assert [(*row.shape[1:], row.shape[0]) for row in shown] == [row.shape for row in rows[1:]]
    assert [row.parameters for row in shown] == [row.parameters for row in rows[1:]]
    assert [row.share for row in shown] == pytest.approx(shares(rows)[1:])
    assert (description.num_layers, description.num_layers_with_pooling) == count_layers(rows)


@pytest.mark.system("conv.layer")
@pytest.mark.parametrize("sides", [(3, 3), (40, 25), (1000, 1000)])
def test_ten_filters_count_280_parameters_whatever_the_image(sides: tuple[int, int]) -> None:
    row = walk((*sides, 3), [Conv(10, 3)])[1]
    assert row.parameters == 280
    assert row.shape == (sides[0] - 2, sides[1] - 2, 10)


def test_what_cannot_follow_is_refused() -> None:
    with pytest.raises(ValueError, match="follows a dense layer"):
        walk((8, 8, 1), [Dense(4), Pool()])
    with pytest.raises(ValueError, match="side 9 does not fit into side 8"):
        walk((8, 8, 1), [Conv(2, 9)])


@pytest.mark.system("conv.fc")
def test_the_products_lenet_has_the_walks_parameters() -> None:
    rest = (Dense(84), Dense(10))
    rows = walk((32, 32, 1), (*LENET_LIKE[:4], Dense(120), *rest))
    assert sum(row.parameters for row in rows) == 61_706
    # its layer of 120 units is a convolution over the whole 5 x 5 map: the same count, the same numbers
    as_convolution = walk((32, 32, 1), (*LENET_LIKE[:4], Conv(120, 5), *rest))
    assert [row.parameters for row in as_convolution] == [row.parameters for row in rows]
    layers = [layer for layer in describe(lenet5_modern(), torch.zeros(1, 1, 32, 32)).layers if layer.parameters]
    assert [layer.parameters for layer in layers] == [row.parameters for row in rows if row.parameters]
    assert max(layers, key=lambda layer: layer.share).parameters == 48_120
