"""Local response normalisation: divide each value by what its neighbouring channels do at the same pixel.

A strong answer of one filter damps the answers of the filters beside it, at one pixel, so that few channels are loud at
once; the idea comes from neurons that inhibit their neighbours. The sum runs over the n channels around c, cut off at
the first and the last. AlexNet used it after its first two convolutions and reported a gain of one to two points of
error; later networks found that it helps little and left it out, and batch norm took its place. The order of channels
matters to it although filters have no natural order. What goes wrong most is the factor alpha: see Exceptions.

Equations:
    d_c = k + α Σ_{|c' - c| ≤ n/2} a²_c'                 paper: k = 2, n = 5, α = 1e-4, β = 0.75
    b_c = a_c d_c^-β
    da_c = db_c d_c^-β - 2αβ a_c Σ_{|c' - c| ≤ n/2} db_c' a_c' d_c'^(-β - 1)

Exceptions:
    PyTorch divides alpha by n: for the paper's α = 1e-4 with n = 5 pass alpha=5e-4 to torch.nn.LocalResponseNorm.

Product:
    torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    orthogon.models.alexnet.ResponseNorm(1)
Systems:
    conv.lrn
Paper:
    Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 3.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, int, float, float]  # a, d, n, alpha, beta


def sum_over_neighbours(values: np.ndarray, n: int) -> np.ndarray:
    """Sum of the n channels around each, fewer at the ends: (..., n_C) -> (..., n_C); n is odd."""
    total = np.zeros_like(values)
    for c in range(values.shape[-1]):
        total[..., c] = values[..., max(0, c - n // 2) : c + n // 2 + 1].sum(axis=-1)
    return total


def lrn_forward(
    a: np.ndarray, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> tuple[np.ndarray, Cache]:
    """Normalise over neighbouring channels.

    Args:
        a: (..., n_C), usually (m, n_H, n_W, n_C).
        n: channels in the neighbourhood, odd.
        k, alpha, beta: the paper's constants.
    Returns:
        b (..., n_C), and what backward needs.
    Raises:
        ValueError: n is even.
    """
    if n % 2 == 0:
        raise ValueError(f"n is {n}; it must be odd, a channel and as many neighbours on either side")
    # d_c = k + α Σ a²_c'
    d = k + alpha * sum_over_neighbours(a**2, n)
    # b_c = a_c d_c^-β
    return a * d**-beta, (a, d, n, alpha, beta)


def lrn_backward(db: np.ndarray, cache: Cache) -> np.ndarray:
    """db (..., n_C) -> da: each value acts on itself, and on its neighbours through their divisors."""
    a, d, n, alpha, beta = cache
    # da_c = db_c d_c^-β - 2αβ a_c Σ db_c' a_c' d_c'^(-β - 1)
    return db * d**-beta - 2 * alpha * beta * a * sum_over_neighbours(db * a * d ** (-beta - 1), n)


def demo() -> Figure | None:
    """Six channels of one pixel, and how a loud channel quietens its neighbours."""
    a = np.array([10.0, 20, 30, 40, 50, 60])
    b, _ = lrn_forward(a)
    print("  channel  " + "".join(f"{value:10.0f}" for value in a))
    print("  paper's  " + "".join(f"{value:10.6f}" for value in b))
    print("  alpha/5  " + "".join(f"{value:10.6f}" for value in lrn_forward(a, alpha=1e-4 / 5)[0]))
    print("The last row is what PyTorch gives for alpha=1e-4: it divides alpha by n; pass 5e-4 for the paper's.")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    ax = figure.subplots()
    channels = np.arange(16)
    quiet = np.full(16, 20.0)
    loud = quiet.copy()
    loud[8] = 300.0
    ax.bar(channels - 0.2, lrn_forward(quiet)[0] / quiet, 0.4, label="all channels at 20")
    ax.bar(channels + 0.2, lrn_forward(loud)[0] / loud, 0.4, label="channel 8 at 300")
    ax.set(xlabel="channel", ylabel="factor b / a", title="A loud channel quietens its n - 1 = 4 neighbours and itself")
    ax.set_xticks(channels)
    ax.set_ylim(0, 0.7)
    ax.legend(loc="upper center", ncols=2)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
