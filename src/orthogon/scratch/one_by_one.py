"""One-by-one convolution: one small dense layer over the channels, the same at every pixel.

A 1 x 1 filter looks at a single pixel but at all its channels: n_C_prev weights and a bias, and n_C filters make a
dense layer n_C_prev -> n_C that every position shares. With a ReLU behind it this is the network in the network. It
shrinks the channels cheaply before a costly convolution (the bottleneck), widens them, or keeps them and adds one more
non-linearity; height and width stay. On one channel it can only multiply by a number, so it is of use on volumes. A
6 x 6 x 32 input meets the same 32 weights at each of its 36 positions.

Equations:
    Z[i, h, w, :] = A_prev[i, h, w, :] W + b             W (n_C_prev, n_C), the same for all 36 positions
    A = max(0, Z)
    dZ = dA ⊙ (Z > 0)
    dW = Σ_ihw A_prev[i, h, w, :]ᵀ dZ[i, h, w, :],  db = Σ_ihw dZ[i, h, w, :],  dA_prev[i, h, w, :] = dZ[i, h, w, :] Wᵀ

Product:
    torch.nn.Conv2d(192, 32, 1)
    torch.nn.Linear(192, 32)                             # the same numbers, on channels as the last axis
Systems:
    conv.1x1
Paper:
    Lin, Chen & Yan 2013, "Network In Network", arXiv:1312.4400
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, np.ndarray]  # A_prev, W, Z


def one_by_one_forward(A_prev: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, Cache]:
    """A dense layer with ReLU at every pixel.

    Args:
        A_prev: (m, n_H, n_W, n_C_prev).
        W: (n_C_prev, n_C).
        b: (n_C,).
    Returns:
        A (m, n_H, n_W, n_C), and what backward needs.
    """
    # Z[i, h, w, :] = A_prev[i, h, w, :] W + b
    Z = A_prev @ W + b
    # A = max(0, Z)
    return np.maximum(0, Z), (A_prev, W, Z)


def one_by_one_backward(dA: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dA (m, n_H, n_W, n_C) -> dA_prev, dW, db, of their values' shapes."""
    A_prev, W, Z = cache
    # dZ = dA ⊙ (Z > 0)
    dZ = dA * (Z > 0)
    n_C_prev, n_C = W.shape
    # dW = Σ_ihw A_prev[i, h, w, :]ᵀ dZ[i, h, w, :]
    dW = A_prev.reshape(-1, n_C_prev).T @ dZ.reshape(-1, n_C)
    return dZ @ W.T, dW, dZ.sum(axis=(0, 1, 2))


def bottleneck_cost(side: int, n_in: int, n_middle: int, f: int, n_out: int) -> tuple[int, int]:
    """Multiplications of an f x f "same" convolution n_in -> n_out: directly, and through a 1 x 1 to n_middle first."""
    direct = side**2 * n_out * f**2 * n_in
    through = side**2 * n_middle * n_in + side**2 * n_out * f**2 * n_middle
    return direct, through


def demo() -> Figure | None:
    """Channels shrink, a bottleneck saves, and a picture's three colours become two."""
    rng = np.random.default_rng(0)
    A_prev = rng.normal(size=(1, 28, 28, 192))
    A, _ = one_by_one_forward(A_prev, rng.normal(size=(192, 32)) / 14, np.zeros(32))
    print(f"28 x 28 x 192 with 32 filters 1 x 1 x 192 -> {' x '.join(map(str, A.shape[1:]))}")
    direct, through = bottleneck_cost(28, 192, 16, 5, 32)
    print(f"5 x 5 from 192 to 32 channels: {direct:,} multiplications")
    print(f"  through a bottleneck of 16:  {through:,}, {direct / through:.1f} times fewer")

    from matplotlib.figure import Figure

    y, x = np.mgrid[0:60, 0:60] / 60
    picture = np.stack([x, y, (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1], axis=-1)[None]
    # filter 1: red where it is not green; filter 2: the blue disc
    W, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]), np.array([0.0, -0.5])
    A, _ = one_by_one_forward(picture, W, b)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(picture[0])
    axes[0].set_title("input, 60 × 60 × 3")
    for c, formula in enumerate(("max(0, red - green)", "max(0, blue - 0.5)")):
        shown = axes[c + 1].imshow(A[0, :, :, c], cmap="gray", vmin=0, vmax=1)
        axes[c + 1].set_title(formula)
    figure.colorbar(shown, ax=axes, shrink=0.8, label="activation")
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
