"""Convolution: filters over volumes, forward and backward, first as four loops, then as one matrix product.

A filter of a convolutional layer is a small volume f x f x n_C that covers all channels of its input; it gives one map,
and n_C' filters give n_C' maps, each with its own bias. Its n_C' (f² n_C + 1) parameters do not depend on the size of
the image. Backward, each output hands its gradient to the window it came from, in proportion to the filter, and to the
filter, in proportion to the window; windows overlap, so gradients add up. The loops say exactly that and are slow; with
the windows laid out as rows of one matrix (im2col) the same sums are one matrix product, fast at the price of f² copies
of the input. Remember: an RGB filter has 3 f² weights, not f² and not f³.

Equations:
    Z[i, h, w, c] = Σ slice ⊙ W[:, :, :, c] + b[c]      slice = A_prev_pad[i, h s : h s + f, w s : w s + f, :]
    n_H = ⌊(n_H_prev + 2p - f) / s⌋ + 1                 n_W likewise
    dA_prev_pad slice += W[:, :, :, c] dZ[i, h, w, c]   then the border is cut off
    dW[:, :, :, c]    += slice dZ[i, h, w, c]
    db[c]             += dZ[i, h, w, c]
    rows: Z = R W + b,  dW = Rᵀ dZ,  dR = dZ Wᵀ         R (m n_H n_W, f f n_C): a window a row

Exceptions:
    Here examples are (m, n_H, n_W, n_C) and filters (f, f, n_C_prev, n_C), as in the textbook; in PyTorch they are
    (m, n_C, n_H, n_W) and (n_C, n_C_prev, f, f).

Product:
    torch.nn.Conv2d(3, 8, 3, stride=1, padding=1)
    orthogon.models.convnet.conv_bn(3, 32)               # the product's convolution, with batch norm in place of b
Systems:
    ex.numpy-conv conv.volume conv.layer
Paper:
    LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition"; Chellapilla, Puri & Simard 2006, "High
    Performance Convolutional Neural Networks for Document Processing" (im2col)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.edges import HORIZONTAL, VERTICAL
from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, int, int]  # A_prev, W, p, s


def zero_pad(X: np.ndarray, p: int) -> np.ndarray:
    """A border of p zeros around each image: (m, n_H, n_W, n_C) -> (m, n_H + 2p, n_W + 2p, n_C)."""
    return np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))


def conv_single_step(window: np.ndarray, W: np.ndarray, b: float) -> float:
    """One filter on one window: (f, f, n_C_prev) twice -> a number."""
    return float(np.sum(window * W) + b)


def conv_forward(A_prev: np.ndarray, W: np.ndarray, b: np.ndarray, p: int = 0, s: int = 1) -> tuple[np.ndarray, Cache]:
    """A convolutional layer before its activation, one window and one filter at a time.

    Args:
        A_prev: (m, n_H_prev, n_W_prev, n_C_prev).
        W: filters (f, f, n_C_prev, n_C).
        b: (n_C,).
        p: zeros on each side.
        s: stride.
    Returns:
        Z (m, n_H, n_W, n_C), and what backward needs.
    Raises:
        ValueError: the filter is larger than the padded image.
    """
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, n_C = W.shape[0], W.shape[3]
    n_H, n_W = output_size(n_H_prev, f, p, s), output_size(n_W_prev, f, p, s)
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, p)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                window = A_prev_pad[i, h * s : h * s + f, w * s : w * s + f, :]
                for c in range(n_C):
                    # Z[i, h, w, c] = Σ slice ⊙ W[:, :, :, c] + b[c]
                    Z[i, h, w, c] = conv_single_step(window, W[:, :, :, c], b[c])
    return Z, (A_prev, W, p, s)


def conv_backward(dZ: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of a convolutional layer: dZ (m, n_H, n_W, n_C) -> dA_prev, dW, db, of their values' shapes."""
    A_prev, W, p, s = cache
    m, n_H, n_W, n_C = dZ.shape
    f = W.shape[0]
    A_prev_pad = zero_pad(A_prev, p)
    dA_prev_pad, dW, db = np.zeros_like(A_prev_pad), np.zeros_like(W), np.zeros(n_C)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                rows, columns = slice(h * s, h * s + f), slice(w * s, w * s + f)
                window = A_prev_pad[i, rows, columns, :]
                for c in range(n_C):
                    # dA_prev_pad slice += W[:, :, :, c] dZ[i, h, w, c]
                    dA_prev_pad[i, rows, columns, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    # dW[:, :, :, c] += slice dZ[i, h, w, c]
                    dW[:, :, :, c] += window * dZ[i, h, w, c]
                    # db[c] += dZ[i, h, w, c]
                    db[c] += dZ[i, h, w, c]
    return dA_prev_pad[:, p : p + A_prev.shape[1], p : p + A_prev.shape[2], :], dW, db


def im2col(A_prev: np.ndarray, f: int, p: int = 0, s: int = 1) -> np.ndarray:
    """Every window as a row: (m, n_H_prev, n_W_prev, n_C_prev) -> R (m n_H n_W, f f n_C_prev), in W's order."""
    output_size(min(A_prev.shape[1:3]), f, p, s)  # the filter must fit
    windows = np.lib.stride_tricks.sliding_window_view(zero_pad(A_prev, p), (f, f), axis=(1, 2))
    windows = windows[:, ::s, ::s].transpose(0, 1, 2, 4, 5, 3)  # (m, n_H, n_W, f, f, n_C_prev)
    return windows.reshape(-1, f * f * A_prev.shape[3])


def col2im(dR: np.ndarray, shape: tuple[int, ...], f: int, p: int = 0, s: int = 1) -> np.ndarray:
    """Add each row back into its window: the transpose of im2col.

    Args:
        dR: (m n_H n_W, f f n_C_prev).
        shape: of A_prev, (m, n_H_prev, n_W_prev, n_C_prev).
    Returns:
        dA_prev, of that shape.
    """
    m, n_H_prev, n_W_prev, n_C_prev = shape
    n_H, n_W = output_size(n_H_prev, f, p, s), output_size(n_W_prev, f, p, s)
    windows = dR.reshape(m, n_H, n_W, f, f, n_C_prev)
    padded = np.zeros((m, n_H_prev + 2 * p, n_W_prev + 2 * p, n_C_prev))
    for u in range(f):
        for v in range(f):  # element (u, v) of all windows at once: no two of them share a pixel
            padded[:, u : u + s * n_H : s, v : v + s * n_W : s, :] += windows[:, :, :, u, v, :]
    return padded[:, p : p + n_H_prev, p : p + n_W_prev, :]


def conv_forward_im2col(
    A_prev: np.ndarray, W: np.ndarray, b: np.ndarray, p: int = 0, s: int = 1
) -> tuple[np.ndarray, Cache]:
    """`conv_forward` as one matrix product; same arguments, same result."""
    m, n_H_prev, n_W_prev, n_C_prev = A_prev.shape
    f, n_C = W.shape[0], W.shape[3]
    n_H, n_W = output_size(n_H_prev, f, p, s), output_size(n_W_prev, f, p, s)
    R = im2col(A_prev, f, p, s)
    # Z = R W + b
    Z = R @ W.reshape(f * f * n_C_prev, n_C) + b
    return Z.reshape(m, n_H, n_W, n_C), (A_prev, W, p, s)


def conv_backward_im2col(dZ: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`conv_backward` as two matrix products; same arguments, same result."""
    A_prev, W, p, s = cache
    f, n_C = W.shape[0], W.shape[3]
    dZ = dZ.reshape(-1, n_C)
    # dW = Rᵀ dZ
    dW = im2col(A_prev, f, p, s).T @ dZ
    # dR = dZ Wᵀ
    dR = dZ @ W.reshape(-1, n_C).T
    return col2im(dR, A_prev.shape, f, p, s), dW.reshape(W.shape), dZ.sum(axis=0)


def demo() -> Figure | None:
    """Volumes in and out, the loops against the matrix product, and a layer that learns from a teacher."""
    rng = np.random.default_rng(0)
    A_prev, W, b = rng.normal(size=(4, 6, 6, 3)), rng.normal(size=(3, 3, 3, 2)), np.array([0.5, -0.5])
    Z, cache = conv_forward(A_prev, W, b)
    print(f"6 x 6 x 3 with two 3 x 3 x 3 filters -> {' x '.join(map(str, Z.shape[1:]))}, {W.size + b.size} parameters")
    Z_fast, _ = conv_forward_im2col(A_prev, W, b)
    dZ = rng.normal(size=Z.shape)
    pairs = zip(conv_backward(dZ, cache), conv_backward_im2col(dZ, cache), strict=True)
    print("Loops against one matrix product, largest difference:")
    print(f"  forward {np.max(np.abs(Z - Z_fast)):.1e}, backward {max(np.max(np.abs(a - c)) for a, c in pairs):.1e}")
    print(f"  the matrix of windows holds {im2col(A_prev, 3).size} numbers, the input {A_prev.size}")

    # A teacher that looks for vertical edges in red and horizontal ones in blue; green does not count.
    images = rng.normal(size=(8, 12, 12, 3))
    teacher = np.zeros((3, 3, 3, 2))
    teacher[:, :, 0, 0], teacher[:, :, 2, 1] = VERTICAL, HORIZONTAL
    T, _ = conv_forward_im2col(images, teacher, np.array([1.0, -1.0]))
    W, b, costs = np.zeros_like(teacher), np.zeros(2), []
    for _ in range(60):
        Z, cache = conv_forward_im2col(images, W, b)
        costs.append(float(np.mean((Z - T) ** 2)))
        _, dW, db = conv_backward_im2col(2 * (Z - T) / Z.size, cache)
        W, b = W - 0.5 * dW, b - 0.5 * db
    print(f"A layer learns its teacher: cost {costs[0]:.3f} -> {costs[-1]:.1e} in {len(costs)} steps, b {b.round(3)}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1, 2))
    for c in range(2):
        for channel, colour in enumerate(("red", "green", "blue")):
            ax = figure.add_subplot(grid[c, channel])
            ax.imshow(W[:, :, channel, c], cmap="RdBu", vmin=-1.5, vmax=1.5)
            for (u, v), value in np.ndenumerate(W[:, :, channel, c]):
                ax.text(v, u, f"{round(value, 1) + 0.0:.1f}", ha="center", va="center")
            ax.set(title=f"filter {c + 1}, {colour}", xticks=[], yticks=[])
    ax = figure.add_subplot(grid[:, 3])
    ax.semilogy(costs)
    ax.set(xlabel="step", ylabel="mean squared error", title="learning both filters, 3 × 3 × 3 each")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
