"""Convolution in one and three dimensions: the same window, moved along as many axes as the data has.

A heartbeat or a sound is a line of numbers, a scan of a body a block, a film a block whose third axis is time. The
filter gets as many axes as the data: f weights per channel on a signal, f³ in a volume. Channels, biases, the number of
filters and the rule for the output's size along an axis are those of two dimensions. A filter on a signal is a little
template that answers where the signal looks like it. In three dimensions work and memory grow with f³ and n³, which is
why such networks use small filters and early pooling.

Equations:
    n_out = ⌊(n - f) / s⌋ + 1                            for each axis
    Z[i, t, c] = Σ_u Σ_k A_prev[i, s t + u, k] W[u, k, c] + b[c]                              one axis
    Z[i, x, y, z, c] = Σ A_prev[i, x' : x' + f, y' : y' + f, z' : z' + f, :] ⊙ W[..., c] + b[c]    three, x' = s x
    dA_prev slice += Σ_c W[..., c] dZ[i, ..., c],  dW[..., c] += Σ_i slice dZ[i, ..., c],  db = Σ dZ

Exceptions:
    Channels are the last axis here, the second in PyTorch; filters (f, ..., n_C_prev, n_C) here, there
    (n_C, n_C_prev, f, ...).

Product:
    torch.nn.Conv1d(1, 16, 5)
    torch.nn.Conv3d(1, 16, 5)
Systems:
    conv.1d conv.3d
Paper:
    Waibel et al. 1989, "Phoneme Recognition Using Time-Delay Neural Networks" (1-D); Ji et al. 2013, "3D Convolutional
    Neural Networks for Human Action Recognition" (3-D)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.padding_stride import output_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, int]  # A_prev, W, s


def window_at(position: tuple[int, ...], f: int, s: int) -> tuple[slice, ...]:
    """Index of all examples' windows that belong to one output position."""
    return (slice(None), *(slice(s * t, s * t + f) for t in position))


def conv_nd_forward(A_prev: np.ndarray, W: np.ndarray, b: np.ndarray, s: int = 1) -> tuple[np.ndarray, Cache]:
    """A convolutional layer along any number of axes, no padding.

    Args:
        A_prev: (m, sides ..., n_C_prev).
        W: (f, ..., n_C_prev, n_C), an f for each side.
        b: (n_C,).
        s: stride.
    Returns:
        Z (m, sides out ..., n_C), and what backward needs.
    """
    f, n_C, d = W.shape[0], W.shape[-1], A_prev.ndim - 2
    sides = tuple(output_size(n, f, 0, s) for n in A_prev.shape[1:-1])
    Z = np.zeros((A_prev.shape[0], *sides, n_C))
    for position in np.ndindex(*sides):
        # Z[i, t, c] = Σ_u Σ_k A_prev[i, s t + u, k] W[u, k, c] + b[c], all examples and filters at once
        Z[:, *position, :] = np.tensordot(A_prev[window_at(position, f, s)], W, axes=d + 1) + b
    return Z, (A_prev, W, s)


def conv_nd_backward(dZ: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dZ (m, sides out ..., n_C) -> dA_prev, dW, db, of their values' shapes."""
    A_prev, W, s = cache
    f = W.shape[0]
    dA_prev, dW = np.zeros_like(A_prev), np.zeros_like(W)
    for position in np.ndindex(*dZ.shape[1:-1]):
        index, gradient = window_at(position, f, s), dZ[:, *position, :]  # (m, n_C)
        # dA_prev slice += Σ_c W[..., c] dZ[i, ..., c]
        dA_prev[index] += np.tensordot(gradient, W, axes=(1, -1))
        # dW[..., c] += Σ_i slice dZ[i, ..., c]
        dW += np.tensordot(A_prev[index], gradient, axes=(0, 0))
    return dA_prev, dW, dZ.reshape(-1, W.shape[-1]).sum(axis=0)


def heartbeat(beats: int = 5, noise: float = 0.15) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn signal with a spike a beat: the signal (40 beats,), one clean spike (9,), where the spikes start."""
    spike = np.array([0.0, 0.1, -0.3, 0.6, 1.6, 0.4, -0.6, -0.1, 0.0])
    starts = np.arange(beats) * 40 + np.array([12, 18, 9, 15, 20, 11, 17])[np.arange(beats) % 7]
    signal = np.random.default_rng(0).normal(0, noise, 40 * beats)
    for start in starts:
        signal[start : start + len(spike)] += spike
    return signal, spike, starts


def demo() -> Figure | None:
    """Shapes of a signal and a volume, and a filter that finds heartbeats."""
    rng = np.random.default_rng(0)
    for sides in ((14,), (14, 14, 14)):
        A, shapes = rng.normal(size=(1, *sides, 1)), []
        for n_C in (16, 32):
            W = rng.normal(size=(5,) * len(sides) + (A.shape[-1], n_C))
            A = conv_nd_forward(A, W, np.zeros(n_C))[0]
            shapes.append(" x ".join(map(str, A.shape[1:])))
        print(f"{' x '.join(map(str, (*sides, 1)))} -> {' -> '.join(shapes)}, filters of side 5")

    signal, spike, starts = heartbeat()
    Z, _ = conv_nd_forward(signal[None, :, None], (spike - spike.mean())[:, None, None], np.zeros(1))
    answer = Z[0, :, 0]
    found = np.flatnonzero((answer > 2.5) & (answer >= np.roll(answer, 1)) & (answer >= np.roll(answer, -1)))
    print(f"Heartbeats start at {starts.tolist()}; the filter's answer peaks at {found.tolist()}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.plot(signal, linewidth=1)
    top.set(ylabel="signal (mV)", title="A signal and one filter of 9 weights in the shape of a beat")
    bottom.plot(answer, linewidth=1, label="answer of the filter")
    bottom.plot(found, answer[found], "v", label="peaks above 2.5")
    bottom.set(xlabel="time step", ylabel="Z", ylim=(-2.5, 5.5))
    bottom.legend(loc="upper right", ncols=2)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
