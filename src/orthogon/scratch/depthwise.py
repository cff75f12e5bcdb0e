"""Depthwise separable convolution: filter each channel by itself, then mix the channels, for a fraction of the work.

A normal convolution filters in space and mixes channels in one step, f² n_C_prev products for each output. Taken apart,
the depthwise step gives each input channel one f x f filter of its own, and the pointwise step (a 1 x 1 convolution)
mixes the results into n_C maps. The work falls to about 1/n_C + 1/f² of the normal one: for f = 3 and many channels
some nine times less. The price is less freedom: all maps are mixtures of the same n_C_prev filtered channels. It is
what makes networks for phones small.

Equations:
    D[i, h, w, c] = Σ slice[:, :, c] ⊙ K[:, :, c]         slice = A_prev_pad[i, h s : h s + f, w s : w s + f, :]
    Z[i, h, w, :] = D[i, h, w, :] W + b                   W (n_C_prev, n_C)
    normal:     f² n_C_prev · n_H n_W n_C                 multiplications of one example
    separable:  f² · n_H n_W n_C_prev + n_C_prev · n_H n_W n_C
    ratio:      1/n_C + 1/f²
    dW = Σ_ihw D[i, h, w, :]ᵀ dZ[i, h, w, :],  db = Σ_ihw dZ[i, h, w, :],  dD[i, h, w, :] = dZ[i, h, w, :] Wᵀ
    dK[:, :, c] += slice[:, :, c] dD[i, h, w, c],  dA_prev_pad slice[:, :, c] += K[:, :, c] dD[i, h, w, c]

Exceptions:
    Filters are (f, f, n_C_prev) here and (n_C_prev, 1, f, f) in PyTorch, where groups=n_C_prev makes it depthwise.

Product:
    torch.nn.Conv2d(3, 3, 3, groups=3)
    torch.nn.Conv2d(3, 5, 1)                              # the pointwise step
    orthogon.models.mobilenet_v1.DepthwiseSeparable(3, 5) # both, each with batch norm and ReLU
Systems:
    conv.depthwise
Paper:
    Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv:1704.04861, section 3.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.convolution import zero_pad
from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, int, int]  # A_prev, K, p, s


def depthwise_forward(A_prev: np.ndarray, K: np.ndarray, p: int = 0, s: int = 1) -> tuple[np.ndarray, Cache]:
    """One filter per channel.

    Args:
        A_prev: (m, n_H_prev, n_W_prev, n_C_prev).
        K: (f, f, n_C_prev).
        p: zeros on each side.
        s: stride.
    Returns:
        D (m, n_H, n_W, n_C_prev), and what backward needs.
    """
    f = K.shape[0]
    A_prev_pad = zero_pad(A_prev, p)
    n_H, n_W = output_size(A_prev.shape[1], f, p, s), output_size(A_prev.shape[2], f, p, s)
    D = np.zeros((A_prev.shape[0], n_H, n_W, K.shape[2]))
    for h in range(n_H):
        for w in range(n_W):
            # D[i, h, w, c] = Σ slice[:, :, c] ⊙ K[:, :, c], all examples and channels at once
            D[:, h, w, :] = np.sum(A_prev_pad[:, h * s : h * s + f, w * s : w * s + f, :] * K, axis=(1, 2))
    return D, (A_prev, K, p, s)


def depthwise_backward(dD: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray]:
    """dD (m, n_H, n_W, n_C_prev) -> dA_prev, dK, of their values' shapes."""
    A_prev, K, p, s = cache
    f = K.shape[0]
    A_prev_pad = zero_pad(A_prev, p)
    dA_prev_pad, dK = np.zeros_like(A_prev_pad), np.zeros_like(K)
    for h in range(dD.shape[1]):
        for w in range(dD.shape[2]):
            window = (slice(None), slice(h * s, h * s + f), slice(w * s, w * s + f))
            gradient = dD[:, h, None, w, None, :]  # (m, 1, 1, n_C_prev)
            # dK[:, :, c] += slice[:, :, c] dD[i, h, w, c]
            dK += np.sum(A_prev_pad[window] * gradient, axis=0)
            # dA_prev_pad slice[:, :, c] += K[:, :, c] dD[i, h, w, c]
            dA_prev_pad[window] += K * gradient
    return dA_prev_pad[:, p : p + A_prev.shape[1], p : p + A_prev.shape[2], :], dK


def separable_forward(
    A_prev: np.ndarray, K: np.ndarray, W: np.ndarray, b: np.ndarray, p: int = 0, s: int = 1
) -> tuple[np.ndarray, tuple[Cache, np.ndarray, np.ndarray]]:
    """Depthwise with K (f, f, n_C_prev), then pointwise with W (n_C_prev, n_C) and b (n_C,): Z (m, n_H, n_W, n_C)."""
    D, cache = depthwise_forward(A_prev, K, p, s)
    # Z[i, h, w, :] = D[i, h, w, :] W + b
    return D @ W + b, (cache, D, W)


def separable_backward(
    dZ: np.ndarray, cache: tuple[Cache, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dZ (m, n_H, n_W, n_C) -> dA_prev, dK, dW, db, of their values' shapes."""
    depthwise_cache, D, W = cache
    # dW = Σ_ihw D[i, h, w, :]ᵀ dZ[i, h, w, :],  db = Σ_ihw dZ[i, h, w, :]
    dW, db = D.reshape(-1, W.shape[0]).T @ dZ.reshape(-1, W.shape[1]), dZ.sum(axis=(0, 1, 2))
    # dD[i, h, w, :] = dZ[i, h, w, :] Wᵀ
    dA_prev, dK = depthwise_backward(dZ @ W.T, depthwise_cache)
    return dA_prev, dK, dW, db


def multiplications(n_out: int, f: int, n_C_prev: int, n_C: int) -> tuple[int, int, int]:
    """Of one example with an n_out x n_out map: the normal convolution, the depthwise and the pointwise step."""
    normal = f**2 * n_C_prev * n_out**2 * n_C
    depthwise = f**2 * n_out**2 * n_C_prev
    pointwise = n_C_prev * n_out**2 * n_C
    return normal, depthwise, pointwise


def demo() -> Figure | None:
    """Count the work of both ways, for the small example and for more and more channels."""
    normal, depthwise, pointwise = multiplications(4, 3, 3, 5)
    print("6 x 6 x 3 -> 4 x 4 x 5 with f 3:")
    print(f"  normal      {normal} multiplications")
    separable = depthwise + pointwise
    print(f"  separable   {depthwise} + {pointwise} = {separable}, ratio {separable / normal:.6f}")
    print(f"  1/5 + 1/9 = {1 / 5 + 1 / 9:.6f}; for 512 maps 1/512 + 1/9 = {1 / 512 + 1 / 9:.6f}")
    rng = np.random.default_rng(0)
    Z, _ = separable_forward(
        rng.normal(size=(1, 6, 6, 3)), rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 5)), np.zeros(5)
    )
    print(f"  shape of the result {Z.shape[1:]}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    channels = 2 ** np.arange(1, 11)
    for f in (3, 5, 7):
        counts = [multiplications(4, f, 3, int(n_C)) for n_C in channels]
        ax.semilogx(channels, [(d + p) / n for n, d, p in counts], "o-", base=2, label=f"f = {f}, towards 1/{f * f}")
    ax.set(
        xlabel="output channels",
        ylabel="part of the normal work",
        title="Work of the separable convolution: 1/n_C + 1/f²",
        ylim=(0, None),
    )
    ax.set_xticks(channels, [str(n) for n in channels])
    ax.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
