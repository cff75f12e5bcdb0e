"""Why convolutions: a dense layer with most weights at zero and the rest shared.

A convolution is a matrix product like any dense layer, but its matrix is special. Connections are sparse, since an
output sees f x f inputs and all other weights are 0; and parameters are shared, since the same f² numbers stand in
every row, one place further on. From 32 x 32 x 3 to 28 x 28 x 6 a dense layer needs over 14 million weights, the
convolution 450. And it follows what it sees: an input that moves by one pixel gives an output that moves by one pixel,
so that a feature learned in one corner is found in every corner. With stride s this holds for moves by multiples of s
only, and near the border only as far as nothing enters or leaves.

Equations:
    dense:        n_in n_out weights + n_out biases       n_in = n_H_prev n_W_prev n_C_prev
    convolution:  f² n_C_prev n_C weights + n_C biases
    vec(Z) = M vec(A_prev)                                M[row (i, j), column (i + u, j + v)] = K[u, v], else 0
    conv(shift(A_prev)) = shift(conv(A_prev))             away from the border

Product:
    torch.nn.Conv2d(3, 6, 5)
Systems:
    conv.why
Paper:
    LeCun 1989, "Generalization and Network Design Strategies"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.convolution import conv_forward_im2col
from orthogon.scratch.edges import SOBEL, drawn_image, slide
from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parameters(n: int, n_C_prev: int, f: int, n_C: int) -> dict[str, tuple[int, int]]:
    """Weights, and weights with biases, of the convolution n x n x n_C_prev -> n_C maps and of its dense twin."""
    n_in, n_out = n * n * n_C_prev, output_size(n, f) ** 2 * n_C
    conv = f * f * n_C_prev * n_C
    return {"dense": (n_in * n_out, n_in * n_out + n_out), "convolution": (conv, conv + n_C)}


def as_dense(K: np.ndarray, n: int) -> np.ndarray:
    """The matrix M of a dense layer that does what the filter K (f, f) does on an n x n image: (n_out², n²)."""
    f = K.shape[0]
    side = output_size(n, f)
    M = np.zeros((side, side, n, n))
    for i in range(side):
        for j in range(side):
            # M[row (i, j), column (i + u, j + v)] = K[u, v]
            M[i, j, i : i + f, j : j + f] = K
    return M.reshape(side * side, n * n)


def shift(A: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move images (m, n_H, n_W, n_C) down and to the right by so many pixels, 0 or more; zeros move in."""
    moved = np.zeros_like(A)
    moved[:, down:, right:] = A[:, : A.shape[1] - down, : A.shape[2] - right]
    return moved


def demo() -> Figure | None:
    """Count both layers, look at the matrix, move the input."""
    counts = parameters(32, 3, 5, 6)
    print("32 x 32 x 3 -> 28 x 28 x 6 with f 5:")
    for name, (weights, with_biases) in counts.items():
        print(f"  {name:<12} {weights:>12,} weights, {with_biases:>12,} with biases")
    M = as_dense(SOBEL, 8)
    image = np.random.default_rng(0).normal(size=(8, 8))
    gap = np.max(np.abs(M @ image.ravel() - slide(image, SOBEL).ravel()))
    print(
        f"Sobel on 8 x 8 as a {M.shape[0]} x {M.shape[1]} matrix: {np.count_nonzero(M)} of {M.size} entries are not 0,"
    )
    print(f"  and the product differs from sliding by {gap:.0e}")

    A_prev = drawn_image(40)[None, :, :, None]
    W, b = SOBEL[:, :, None, None], np.zeros(1)
    Z, Z_moved = (conv_forward_im2col(a, W, b)[0] for a in (A_prev, shift(A_prev, 5, 3)))
    gap = np.max(np.abs(Z_moved[:, 5:, 3:] - Z[:, : Z.shape[1] - 5, : Z.shape[2] - 3]))
    print(f"Image moved 5 down, 3 right: the map moves along, largest difference {gap:.0f}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1.75, 1, 1))
    axes[0].imshow(M, cmap="RdBu", vmin=-3, vmax=3)
    axes[0].set(title="Sobel on 8 × 8 as a dense layer", xlabel="input pixel", ylabel="output pixel")
    for ax, values, title in ((axes[1], Z, "its map of an image"), (axes[2], Z_moved, "of the image 5 down, 3 right")):
        ax.imshow(values[0, :, :, 0], cmap="RdBu", vmin=-50, vmax=50)
        ax.set(title=title, xticks=[], yticks=[])
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
