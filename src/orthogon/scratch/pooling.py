"""Pooling: keep the largest or the mean value of each window, and so shrink the map.

Max pooling says whether a feature was seen anywhere in a window, average pooling how much of it there was; both work on
each channel by itself and have no parameters. The usual f = 2, s = 2 halves each side, and padding is rare. Deep in a
network, average pooling over the whole map turns 7 x 7 x 1000 into 1 x 1 x 1000 and takes the place of large dense
layers. Backward, max pooling gives the gradient to the cell that won, all others get nothing; average pooling gives
each of the f² cells an equal share. Windows may overlap (s < f); then the shares add up.

Equations:
    n_out = ⌊(n - f) / s⌋ + 1                            padding is rare
    max:  A[i, h, w, c] = max slice                      slice = A_prev[i, h s : h s + f, w s : w s + f, c]
    mean: A[i, h, w, c] = (1/f²) Σ slice
    max:  dA_prev slice += mask dA[i, h, w, c]           mask = (slice == max slice)
    mean: dA_prev slice += dA[i, h, w, c] / f²

Exceptions:
    Ties: the mask gives the full gradient to every cell that equals the maximum, as the textbook's exercise does;
    torch.nn.MaxPool2d gives it to the first of them only. [[2, 2], [1, 2]] with dA = 1: three ones here, one there.
    At a tie the maximum has no gradient. Torch's is a subgradient, whose entries add up to 1; the mask counts dA once
    for each of the equal cells. Behind a ReLU it matters little: the usual tie there is a window of zeros, and ReLU's
    slope at 0 is 0.

Product:
    torch.nn.MaxPool2d(2)
    torch.nn.AvgPool2d(2)
    torch.nn.AdaptiveAvgPool2d(1)                        # one mean per channel
Systems:
    conv.maxpool conv.avgpool ex.numpy-conv
Paper:
    LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition" (average); Ranzato et al. 2007,
    "Unsupervised Learning of Invariant Feature Hierarchies with Applications to Object Recognition" (max)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from orthogon.scratch.cross_correlation import correlate
from orthogon.scratch.edges import VERTICAL, drawn_image
from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Mode = Literal["max", "average"]
MODES: tuple[Mode, ...] = ("max", "average")
Cache = tuple[np.ndarray, int, int, Mode]  # A_prev, f, s, mode


def pool_forward(A_prev: np.ndarray, f: int = 2, s: int = 2, mode: Mode = "max") -> tuple[np.ndarray, Cache]:
    """Shrink each channel: (m, n_H_prev, n_W_prev, n_C) -> A (m, n_H, n_W, n_C), and what backward needs.

    Raises:
        ValueError: the window is larger than the map.
    """
    m, n_H_prev, n_W_prev, n_C = A_prev.shape
    n_H, n_W = output_size(n_H_prev, f, 0, s), output_size(n_W_prev, f, 0, s)
    A = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    window = A_prev[i, h * s : h * s + f, w * s : w * s + f, c]
                    # A[i, h, w, c] = max slice, or (1/f²) Σ slice
                    A[i, h, w, c] = np.max(window) if mode == "max" else np.mean(window)
    return A, (A_prev, f, s, mode)


def mask_of_max(window: np.ndarray) -> np.ndarray:
    """1 where the window equals its maximum, else 0: (f, f) -> (f, f). Each of several equal maxima gets a 1."""
    # mask = (slice == max slice)
    return (window == np.max(window)).astype(float)


def spread_evenly(dA: float, f: int) -> np.ndarray:
    """One gradient shared by f² cells: (f, f), each dA / f²."""
    return np.full((f, f), dA / f**2)


def pool_backward(dA: np.ndarray, cache: Cache) -> np.ndarray:
    """Hand each gradient to the cells it came from: dA (m, n_H, n_W, n_C) -> dA_prev."""
    A_prev, f, s, mode = cache
    m, n_H, n_W, n_C = dA.shape
    dA_prev = np.zeros_like(A_prev, dtype=float)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    rows, columns = slice(h * s, h * s + f), slice(w * s, w * s + f)
                    if mode == "max":
                        # dA_prev slice += mask dA[i, h, w, c]
                        dA_prev[i, rows, columns, c] += mask_of_max(A_prev[i, rows, columns, c]) * dA[i, h, w, c]
                    else:
                        # dA_prev slice += dA[i, h, w, c] / f²
                        dA_prev[i, rows, columns, c] += spread_evenly(dA[i, h, w, c], f)
    return dA_prev


def demo() -> Figure | None:
    """The exercise's two maps, who gets the gradient, and an edge map that shrinks."""
    small = np.array([[1.0, 3, 2, 1], [2, 9, 1, 1], [1, 3, 2, 3], [5, 6, 1, 2]])[None, :, :, None]
    for mode in MODES:
        A, cache = pool_forward(small, 2, 2, mode)
        dA_prev = pool_backward(np.ones_like(A), cache)
        print(f"{mode} pooling, f 2, s 2, of a 4 x 4 map gives {A[0, :, :, 0].tolist()}; the gradient of its sum:")
        for row in dA_prev[0, :, :, 0]:
            print("  " + "  ".join(f"{value:4.2f}" for value in row))
    tie = np.array([[2.0, 2], [1, 2]])
    _, cache = pool_forward(tie[None, :, :, None])
    shares = pool_backward(np.ones((1, 1, 1, 1)), cache)[0, :, :, 0]
    print(f"A tie: three equal maxima in {tie.tolist()}, and a gradient of 1 comes back. Each gets it:")
    print(f"  {shares.tolist()}, {shares.sum():.0f} in all; in torch only the first does, [[1.0, 0.0], [0.0, 0.0]].")
    deep = np.random.default_rng(0).normal(size=(1, 7, 7, 1000))
    print(f"Average over the whole map: 7 x 7 x 1000 -> {pool_forward(deep, 7, 1, 'average')[0].shape[1:]}")

    from matplotlib.figure import Figure

    edges = np.abs(correlate(drawn_image(34), VERTICAL))
    edges += np.random.default_rng(1).normal(0, 3, edges.shape)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    maps = [("edges and noise", edges)]
    for mode in MODES:
        maps.append((f"{mode} pooling, f 2, s 2", pool_forward(edges[None, :, :, None], 2, 2, mode)[0][0, :, :, 0]))
    for ax, (title, values) in zip(axes, maps, strict=True):
        shown = ax.imshow(values, cmap="gray", vmin=0, vmax=35)
        ax.set(title=f"{title}: {values.shape[0]} × {values.shape[1]}", xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.8, label="strength of the edge")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
