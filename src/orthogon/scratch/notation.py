"""Notation: names and shapes for every part of an L-layer network.

A network of L layers (the input is layer 0 and is not counted) has n[l] units in layer l. Examples stand in columns, so
X = A[0] is (n[0], m) and a whole layer is one matrix product, W[l] A[l-1]. The bias is one column, (n[l], 1), and is
broadcast over the m examples; a bias of shape (n[l], m) would give every example its own. Most bugs in hand-written
networks are shapes, so check them before anything else: row count of W[l] = units of this layer, column count = units
of the layer before. One entry is written a_j^[l](i){k}: unit j, layer l, example i, mini-batch k.

Equations:
    W[l]  (n[l], n[l-1])        b[l]  (n[l], 1)
    Z[l] = W[l] A[l-1] + b[l]   Z[l], A[l]  (n[l], m)
    parameters = sum over l of (n[l-1] + 1) n[l]

Exceptions:
    torch.nn.Linear takes examples in rows, inputs (m, n[l-1]), and holds b as (n[l],); its weight is W[l] as here.

Product:
    orthogon.models.describe.describe   # a network's layers with shapes and counts
Systems:
    net.notation
Paper:
    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", Nature 323
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parameter_shapes(n: Sequence[int]) -> dict[str, tuple[int, int]]:
    """The shape of each W[l] and b[l]; n = (n[0], ..., n[L]) units, the input first."""
    shapes = {}
    for layer in range(1, len(n)):
        shapes[f"W{layer}"] = (n[layer], n[layer - 1])
        shapes[f"b{layer}"] = (n[layer], 1)  # one column, broadcast over the examples
    return shapes


def check_parameters(parameters: Mapping[str, np.ndarray], n: Sequence[int]) -> None:
    """Accept parameters {"W1": ..., "b1": ..., ...} of a network with n units a layer.

    Raises:
        ValueError: the first layer that is wrong, with the shape it has and the one it should have; or a name too many.
    """
    expected = parameter_shapes(n)
    for name, shape in expected.items():
        layer = f"layer {name[1:]}"
        if name not in parameters:
            raise ValueError(f"{layer}: {name} is missing, expected shape {shape}")
        if parameters[name].shape != shape:
            raise ValueError(f"{layer}: {name} has shape {parameters[name].shape}, expected {shape}")
    extra = sorted(set(parameters) - set(expected))
    if extra:
        raise ValueError(f"{extra[0]} belongs to no layer of {len(n) - 1}")


def count_parameters(n: Sequence[int]) -> int:
    # sum over l of (n[l-1] + 1) n[l]
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(n))


def demo() -> Figure:
    from matplotlib.figure import Figure

    n, m = (4, 5, 3, 1), 7
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal(shape) for name, shape in parameter_shapes(n).items()}
    check_parameters(parameters, n)
    print(f"A {len(n) - 1}-layer network with n = {n} on m = {m} examples, {count_parameters(n)} parameters")
    print("layer  W         b         Z and A")
    for layer in range(1, len(n)):
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        print(f"{layer:>5}  {W.shape!s:<8}  {b.shape!s:<8}  {(n[layer], m)}")
    parameters["W2"] = parameters["W2"].T
    try:
        check_parameters(parameters, n)
    except ValueError as error:
        print(f"W2 transposed: {error}")

    figure = Figure(figsize=(9, 2.9), layout="constrained")
    axes = figure.subplots(1, len(n) - 1)
    for layer, ax in enumerate(axes, start=1):
        left = 0.0
        names = (f"W[{layer}]", f"A[{layer - 1}]", f"b[{layer}]")
        shapes = ((n[layer], n[layer - 1]), (n[layer - 1], m), (n[layer], 1))
        for name, (rows, columns), colour, sign in zip(names, shapes, ("C0", "C1", "C2"), ("", "·", "+"), strict=True):
            ax.text(left - 0.75, 0, sign, ha="center", va="center", fontsize=14)
            box = ((left, rows / 2), (left + columns, rows / 2), (left + columns, -rows / 2), (left, -rows / 2))
            ax.fill(*zip(*box, strict=True), facecolor=colour, alpha=0.35, edgecolor=colour)
            ax.text(left + columns / 2, rows / 2 + 0.2, name, ha="center", va="bottom", fontsize=9)
            ax.text(left + columns / 2, -rows / 2 - 0.2, f"{rows}×{columns}", ha="center", va="top", fontsize=8)
            left += columns + 1.6
        ax.set(xlim=(-1, 16.5), ylim=(-4, 4), aspect="equal", title=f"Z[{layer}] = {names[0]} {names[1]} + {names[2]}")
        ax.set_axis_off()
    figure.suptitle(f"Shapes of a network n = {n} on {m} examples in columns")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
