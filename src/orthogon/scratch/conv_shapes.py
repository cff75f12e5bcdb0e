"""Shapes of a ConvNet: walk through its layers and write down sizes and parameters before anything is computed.

Sides shrink with each convolution without padding and each pooling, channels grow, and the number of activations should
fall gradually: a sudden drop is a bottleneck. Convolutions hold few parameters and do most of the work; most parameters
sit in the first dense layer after flattening. A pooling layer has no parameters and is usually counted together with
the convolution before it (one layer), sometimes as a layer of its own; say which. The rule for the side holds for each
axis by itself, so the same walk serves signals (one axis) and volumes or video (three). The usual slip is to forget the
input channels: a 5 x 5 filter on 6 channels has 150 weights, not 25.

Equations:
    n_out = ⌊(n + 2p - f) / s⌋ + 1                       for every axis but the channels
    convolution: (f^d n_C_prev + 1) n_C parameters       d axes: 1 signal, 2 image, 3 volume
    pooling:     0
    dense:       (n_prev + 1) n                          n_prev the product of the sides and the channels

Product:
    orthogon.models.describe.describe                    # the same table for any network: orthogon describe
Systems:
    conv.layer conv.simple-net conv.lenetlike conv.count conv.fc conv.1d conv.3d
Paper:
    LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", figure 2 (LeNet-5, whose plan the
    worked table follows)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Conv(NamedTuple):
    """n_C filters of side f, stride s, padding p."""

    n_C: int
    f: int
    s: int = 1
    p: int = 0


class Pool(NamedTuple):
    """Window of side f, stride s."""

    f: int = 2
    s: int = 2


class Dense(NamedTuple):
    """n units; a volume before it is flattened."""

    n: int


Layer = Conv | Pool | Dense


class Row(NamedTuple):
    """One line of the table; shape is (sides ..., channels), or (n,) after a dense layer."""

    layer: Layer | None
    shape: tuple[int, ...]
    activations: int
    parameters: int


SIMPLE_NET = (Conv(10, 3), Conv(20, 5, 2), Conv(40, 5, 2), Dense(2))
LENET_LIKE = (Conv(6, 5), Pool(), Conv(16, 5), Pool(), Dense(120), Dense(84), Dense(10))
SIGNAL_NET = (Conv(16, 5), Conv(32, 5))


def walk(shape: tuple[int, ...], layers: Sequence[Layer]) -> list[Row]:
    """The table of a network, its input first.

    Args:
        shape: of one example, (sides ..., channels); any number of sides.
        layers: in the order they run.
    Raises:
        ValueError: a filter is larger than what it gets, or a convolution or pooling follows a dense layer.
    """
    rows = [Row(None, shape, int(np.prod(shape)), 0)]
    for layer in layers:
        *sides, n_C_prev = rows[-1].shape
        if isinstance(layer, Dense):
            # (n_prev + 1) n
            n_prev = rows[-1].activations
            rows.append(Row(layer, (layer.n,), layer.n, (n_prev + 1) * layer.n))
            continue
        if not sides:
            raise ValueError(f"{layer} follows a dense layer, whose output has no sides")
        if isinstance(layer, Conv):
            # (f^d n_C_prev + 1) n_C
            parameters = (layer.f ** len(sides) * n_C_prev + 1) * layer.n_C
            n_C, p = layer.n_C, layer.p
        else:
            parameters, n_C, p = 0, n_C_prev, 0
        # n_out = ⌊(n + 2p - f) / s⌋ + 1
        out = (*(output_size(n, layer.f, p, layer.s) for n in sides), n_C)
        rows.append(Row(layer, out, int(np.prod(out)), parameters))
    return rows


def count_layers(rows: Sequence[Row]) -> tuple[int, int]:
    """Layers with weights (convolution and pooling together are one), and with each pooling counted as one more."""
    weighted = sum(isinstance(row.layer, Conv | Dense) for row in rows)
    return weighted, weighted + sum(isinstance(row.layer, Pool) for row in rows)


def shares(rows: Sequence[Row]) -> list[float]:
    """Each row's part of all parameters, 0 to 1."""
    total = sum(row.parameters for row in rows)
    return [row.parameters / total for row in rows]


def table(rows: Sequence[Row]) -> str:
    """The walk as lines of text: layer, shape, activations, parameters and their share."""
    lines = [f"{'layer':<28}{'shape':>19}{'activations':>13}{'parameters':>12}{'share':>8}"]
    for row, share in zip(rows, shares(rows), strict=True):
        name = "input" if row.layer is None else str(row.layer)
        shape = " x ".join(map(str, row.shape))
        lines.append(f"{name:<28}{shape:>19}{row.activations:>13,}{row.parameters:>12,}{share:>8.1%}")
    weighted, with_pooling = count_layers(rows)
    total = sum(row.parameters for row in rows)
    lines.append(f"{total:,} parameters, {weighted} layers with weights, {with_pooling} counting pooling")
    return "\n".join(lines)


def demo() -> Figure | None:
    """Two worked networks, a signal and a volume."""
    lenet = walk((32, 32, 3), LENET_LIKE)
    print("A first ConvNet\n" + table(walk((39, 39, 3), SIMPLE_NET)))
    print("\nOne like LeNet-5\n" + table(lenet))
    print("\nA signal of 14 steps\n" + table(walk((14, 1), SIGNAL_NET)))
    print("\nA volume of 14 x 14 x 14\n" + table(walk((14, 14, 14, 1), SIGNAL_NET)))

    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    ax = figure.subplots()
    positions = np.arange(len(lenet))
    ax.bar(positions - 0.2, [row.activations for row in lenet], 0.4, label="activations")
    ax.bar(positions + 0.2, [row.parameters for row in lenet], 0.4, label="parameters")
    names = ["input" if row.layer is None else type(row.layer).__name__.lower() for row in lenet]
    ax.set_xticks(positions, [f"{n}\n{' × '.join(map(str, r.shape))}" for n, r in zip(names, lenet, strict=True)])
    ax.set_yscale("log")
    ax.set(ylabel="count", title="Activations shrink gradually; parameters sit in the first dense layer")
    ax.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
