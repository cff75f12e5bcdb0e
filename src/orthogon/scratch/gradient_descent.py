"""Gradient descent: walk downhill, one step against the slope at a time.

The gradient points where the cost rises fastest, so each step goes the other way, by the learning rate alpha times the
gradient. A small alpha creeps; a large one jumps over the valley and back. Too large an alpha lands higher on the other
side each time, and the cost grows without bound. On J(w) = (w - 5)² a step multiplies the distance to 5 by (1 - 2
alpha): it shrinks for alpha < 1, stays for alpha = 1 and grows for alpha > 1. Remember: a cost that rises step after
step calls for a smaller alpha, not for patience.

Equations:
    w <- w - alpha dJ/dw
    J(w) = (w - 5)²:  dJ/dw = 2 (w - 5),  w - 5 <- (1 - 2 alpha)(w - 5)
    diverged: J is not finite, or rose PATIENCE times in a row

Product:
    torch.optim.SGD
    orthogon.training.loop.fit     # optimiser="sgd"; stops where a loss is no longer finite
Systems:
    net.gd
Paper:
    Cauchy 1847, "Méthode générale pour la résolution des systèmes d'équations simultanées", Comptes Rendus 25
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATIENCE = 10  # rises in a row: no slope of a smooth cost explains them, too large a step does


class Divergence(ArithmeticError):
    """The steps lead uphill: alpha is too large."""


def gradient_descent(
    cost: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    w: np.ndarray,
    alpha: float,
    steps: int,
) -> tuple[np.ndarray, list[float]]:
    """Take `steps` steps from w at learning rate alpha.

    Args:
        cost: J(w), one number.
        gradient: dJ/dw, the shape of w.
        w: where to start; left as it is.
    Returns:
        The last w, and J at the start and after each step.
    Raises:
        Divergence: J rose PATIENCE times in a row, or is not finite.
    """
    J = [cost(w)]
    rises = 0
    for step in range(1, steps + 1):
        # w <- w - alpha dJ/dw
        w = w - alpha * gradient(w)
        J.append(cost(w))
        rises = rises + 1 if J[-1] > J[-2] else 0
        if rises == PATIENCE or not np.isfinite(J[-1]):
            raise Divergence(f"the cost went from {J[0]:.4g} to {J[-1]:.4g} in {step} steps at alpha = {alpha:g}")
    return w, J


def parabola(w: np.ndarray) -> float:
    """J(w) = (w - 5)² = w² - 10 w + 25."""
    return float(np.sum((w - 5) ** 2))


def parabola_gradient(w: np.ndarray) -> np.ndarray:
    return 2 * (w - 5)


def demo() -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    grid = np.linspace(-1, 11, 200)
    left.plot(grid, (grid - 5) ** 2, color="0.7")
    print("J(w) = (w - 5)² from w = 0")
    for i, (alpha, steps) in enumerate([(0.01, 1000), (0.1, 40), (0.5, 1), (0.95, 40)]):
        w, J = gradient_descent(parabola, parabola_gradient, np.zeros(1), alpha, steps)
        print(f"alpha {alpha:<5g} after {steps:>4} steps: w = {w[0]:.9f}, J = {J[-1]:.3g}")
        if len(J) > 2:
            right.plot(J[:41], "o-", markersize=3, color=f"C{i}", label=f"alpha = {alpha:g}")
        if alpha in (0.1, 0.95):
            path = 5 - 5 * (1 - 2 * alpha) ** np.arange(9)
            left.plot(path, (path - 5) ** 2, "o-", markersize=4, linewidth=1, color=f"C{i}", label=f"alpha = {alpha:g}")
    try:
        gradient_descent(parabola, parabola_gradient, np.zeros(1), 1.05, 1000)
    except Divergence as stop:
        print(f"alpha 1.05  diverged: {stop}")
    J_up = 25 * (1 - 2 * 1.05) ** (2 * np.arange(11))
    right.plot(J_up, "x--", markersize=4, color="C4", label="alpha = 1.05, diverges")
    left.set(title="Eight steps from w = 0", xlabel="w", ylabel="J(w)", ylim=(-1, 34))
    left.legend(loc="upper center")
    right.set(title="Cost by step", xlabel="step", ylabel="J", yscale="log", ylim=(1e-8, 1e3))
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
