"""Transpose convolution: paste the filter for every input value, and so make a map larger.

A convolution gathers a window into one number; its transpose spreads one number over a window. Each input value times
the filter is pasted s pixels from the last one, overlapping pastes add up, and a border of p pixels is cut off, so that
a side n becomes s(n - 1) + f - 2p. Several input sides of a convolution share one output side (rounding down), so going
back needs to be told how many rows to add at the bottom and right: output padding. It is the backward pass of a
convolution used as a layer, with filters that are learned, and it is how networks for segmentation grow back to the
size of their image. Where f is not a multiple of s, some pixels get more pastes than others: a checkerboard.

Equations:
    big[s h : s h + f, s w : s w + f, :] += Σ_c A_prev[i, h, w, c] W[:, :, :, c]     then cut p from each side
    n_out = s (n - 1) + f - 2p + output_padding
    ⟨conv(x), y⟩ = ⟨x, convT(y)⟩                          the same filter in both
    dA_prev[i, h, w, c] = Σ dbig window ⊙ W[:, :, :, c],  dW[:, :, :, c] += A_prev[i, h, w, c] dbig window

Exceptions:
    Filters are (f, f, n_C, n_C_prev) here, those of the convolution that it transposes, and (n_C_prev, n_C, f, f) in
    PyTorch. 2 x 2 -> 4 x 4 with f 3, s 2, p 1 needs output_padding=1 in both; else it is 3 x 3.

Product:
    torch.nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1)
Systems:
    conv.transpose
Paper:
    Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, chapter 4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, int, int, int]  # A_prev, W, p, s, output_padding


def transposed_size(n: int, f: int, p: int = 0, s: int = 1, output_padding: int = 0) -> int:
    """Side after the transpose convolution: s (n - 1) + f - 2p + output_padding.

    Raises:
        ValueError: output_padding is not below the stride, or nothing is left after the border is cut.
    """
    if not 0 <= output_padding < s:
        raise ValueError(f"output_padding {output_padding} must be from 0 to below the stride {s}")
    side = s * (n - 1) + f - 2 * p + output_padding
    if side < 1:
        raise ValueError(f"cutting {p} pixels from each side of {side + 2 * p} leaves nothing")
    return side


def transpose_forward(
    A_prev: np.ndarray, W: np.ndarray, b: np.ndarray, p: int = 0, s: int = 1, output_padding: int = 0
) -> tuple[np.ndarray, Cache]:
    """Paste every input value times its filter, add up, cut the border.

    Args:
        A_prev: (m, n_H_prev, n_W_prev, n_C_prev).
        W: filters (f, f, n_C, n_C_prev).
        b: (n_C,).
        p: pixels cut from each side.
        s: stride of the pastes.
        output_padding: rows and columns added at the bottom and right, 0 to s - 1.
    Returns:
        Z (m, n_H, n_W, n_C), and what backward needs.
    """
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, n_C = W.shape[0], W.shape[2]
    n_H, n_W = (transposed_size(n, f, p, s, output_padding) for n in (n_H_prev, n_W_prev))
    big = np.zeros((m, n_H + 2 * p, n_W + 2 * p, n_C))
    for h in range(n_H_prev):
        for w in range(n_W_prev):
            # big[s h : s h + f, s w : s w + f, :] += Σ_c A_prev[i, h, w, c] W[:, :, :, c]
            paste = np.einsum("ic,uvkc->iuvk", A_prev[:, h, w, :], W)
            big[:, s * h : s * h + f, s * w : s * w + f, :] += paste
    return big[:, p : p + n_H, p : p + n_W, :] + b, (A_prev, W, p, s, output_padding)


def transpose_backward(dZ: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dZ (m, n_H, n_W, n_C) -> dA_prev, dW, db, of their values' shapes; dA_prev is a plain convolution of dZ."""
    A_prev, W, p, s, _ = cache
    f = W.shape[0]
    dbig = np.pad(dZ, ((0, 0), (p, p), (p, p), (0, 0)))
    dA_prev, dW = np.zeros_like(A_prev), np.zeros_like(W)
    for h in range(A_prev.shape[1]):
        for w in range(A_prev.shape[2]):
            window = dbig[:, s * h : s * h + f, s * w : s * w + f, :]
            # dA_prev[i, h, w, c] = Σ dbig window ⊙ W[:, :, :, c]
            dA_prev[:, h, w, :] = np.einsum("iuvk,uvkc->ic", window, W)
            # dW[:, :, :, c] += A_prev[i, h, w, c] dbig window
            dW += np.einsum("ic,iuvk->uvkc", A_prev[:, h, w, :], window)
    return dA_prev, dW, dZ.sum(axis=(0, 1, 2))


def demo() -> Figure | None:
    """The worked 2 x 2 example, the transpose property, and the checkerboard."""
    A_prev = np.array([[2.0, 1], [3, 2]])[None, :, :, None]
    W = np.array([[1.0, 2, 1], [2, 0, 1], [0, 2, 1]])[:, :, None, None]
    no_bias = np.zeros(1)
    for p, extra in ((0, 0), (1, 0), (1, 1)):
        Z, _ = transpose_forward(A_prev, W, no_bias, p, 2, extra)
        print(f"2 x 2 -> {Z.shape[1]} x {Z.shape[2]} with f 3, s 2, p {p}, output padding {extra}:")
        for row in Z[0, :, :, 0]:
            print("  " + "".join(f"{value:4.0f}" for value in row))

    from orthogon.scratch.convolution import conv_forward_im2col

    rng = np.random.default_rng(0)
    filters, x, y = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=(1, 9, 9, 2)), rng.normal(size=(1, 4, 4, 4))
    forth = np.sum(conv_forward_im2col(x, filters, np.zeros(4), s=2)[0] * y)
    back = np.sum(x * transpose_forward(y, filters, np.zeros(2), s=2)[0])
    print(f"<conv(x), y> = {forth:.12f}\n<x, convT(y)> = {back:.12f}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.7), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, (f, s) in zip(axes, ((2, 2), (3, 2), (4, 2)), strict=True):
        Z, _ = transpose_forward(np.ones((1, 5, 5, 1)), np.ones((f, f, 1, 1)), no_bias, 0, s)
        ax.imshow(Z[0, :, :, 0], cmap="Blues", vmin=0, vmax=6)
        for (i, j), value in np.ndenumerate(Z[0, :, :, 0]):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8)
        kind = "even inside" if f % s == 0 else "a checkerboard"
        ax.set(title=f"f {f}, s {s}: {kind}", xticks=[], yticks=[])
    figure.suptitle("How many pastes reach each pixel, 5 × 5 input")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
