"""Saddle points: where the gradient is zero and the way down is hidden.

In two dimensions one thinks of local minima; with many parameters a point with zero gradient is almost surely a saddle.
For a minimum every one of the directions would have to curve up, for n independent ones a chance of 2^-n. So poor local
minima are a small worry; the plateaus around saddles are the large one, because there the gradient is tiny and plain
gradient descent hardly moves. RMSprop and Adam divide by the size of the gradient, so that a small slope counts as much
as a large one. Momentum gathers speed there only through the larger learning rate that it bears.

Equations:
    f(x, y) = x² - y²        gradient (2x, -2y), zero at (0, 0), down along y
    H = (A + Aᵀ) / 2, A of N(0, 1):    share of H with all eigenvalues > 0 falls fast with n

Product:
    orthogon.training.optimisers.make_optimiser      # optimiser: adam
Systems:
    opt.saddle
Paper:
    Dauphin et al. 2014, "Identifying and attacking the saddle point problem in high-dimensional non-convex
    optimization"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.optimisers import update

if TYPE_CHECKING:
    from matplotlib.figure import Figure

START = (1.0, 1e-6)


def gradient(W: np.ndarray) -> np.ndarray:
    """Of f = x² - y² at W = (x, y)."""
    # (2x, -2y)
    return np.array([2.0, -2.0]) * W


def walk(rule: str, alpha: float = 0.1, limit: int = 200) -> np.ndarray:
    """From START until |y| >= 1, or `limit` updates by a rule of optimisers.update; (updates + 1, 2)."""
    W, memory = np.array(START), (np.zeros(2), np.zeros(2))
    path = [W]
    for t in range(1, limit + 1):
        W, memory = update(rule, W, gradient(W), memory, t, alpha)
        path.append(W)
        if abs(W[1]) >= 1:
            break
    return np.array(path)


def share_of_minima(n: int, draws: int, rng: np.random.Generator) -> float:
    """Share of random symmetric curvatures in n directions that curve up in all of them."""
    # H = (A + Aᵀ) / 2
    A = rng.standard_normal((draws, n, n))
    H = (A + A.transpose(0, 2, 1)) / 2
    return float(np.mean(np.linalg.eigvalsh(H).min(axis=1) > 0))


def demo() -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    print("f = x² - y² from (1, 1e-6): updates until |y| >= 1")
    ways = {"gradient descent": "gd", "momentum": "momentum", "RMSprop": "rmsprop", "Adam": "adam"}
    for name, rule, alpha in [*((name, rule, 0.1) for name, rule in ways.items()), ("momentum", "momentum", 1.0)]:
        path = walk(rule, alpha)
        print(f"  {name + f', alpha {alpha}':<30}{len(path) - 1}")
        left.semilogy(np.abs(path[:, 1]), "o-", markersize=2.5, label=f"{name}, alpha {alpha}")
    left.axhline(1, color="0.5", linestyle=":", linewidth=1)
    left.set(title="Leaving the saddle of x² - y²", xlabel="update", ylabel="|y|")
    left.legend(fontsize=8)
    rng = np.random.default_rng(0)
    sizes = np.arange(1, 7)
    shares = [share_of_minima(int(n), 20_000, rng) for n in sizes]
    print("share of random curvatures that make a minimum:")
    print("  " + ", ".join(f"n = {n}: {100 * share:.2f} %" for n, share in zip(sizes, shares, strict=True)))
    right.bar(sizes, shares)
    right.set(title="All directions curve up", xlabel="number of directions n", ylabel="share of random Hessians")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
