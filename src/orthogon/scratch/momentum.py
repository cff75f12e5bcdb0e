"""Momentum: step along an average of the last gradients.

In a long narrow valley gradient descent jumps from wall to wall and creeps along the floor. An exponentially weighted
average of the gradients cancels what changes sign from step to step and adds up what stays, so the step goes along the
floor and a larger learning rate is bearable. beta = 0.9, an average over about ten gradients, nearly always serves;
the average starts at zeros, usually without a correction. PyTorch leaves the factor 1 - beta out: the same path at a
learning rate that is smaller by this factor. Nesterov's form looks at where momentum is about to lead.

Equations:
    V <- beta V + (1 - beta) dW;    W <- W - alpha V
    without the factor:    V <- beta V + dW;    W <- W - alpha' V       the same path at alpha' = alpha (1 - beta)
    Nesterov, likewise:    V <- beta V + dW;    W <- W - alpha' (dW + beta V)

Exceptions:
    torch.optim.SGD(momentum=beta) is the form without the factor; orthogon's "momentum" is the first one.
    Its dampening=1-beta is not the first form either: it leaves the first gradient undamped.

Product:
    orthogon.training.optimisers.make_optimiser      # optimiser: momentum, momentum_pytorch or nesterov
    torch.optim.SGD
Systems:
    opt.momentum opt.momentum-alt
Paper:
    Polyak 1964, "Some methods of speeding up the convergence of iteration methods"
    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def momentum(
    W: np.ndarray, dW: np.ndarray, V: np.ndarray, alpha: float, beta: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """One update of a parameter W, and the new V; V starts at zeros."""
    # V <- beta V + (1 - beta) dW
    V = beta * V + (1 - beta) * dW
    # W <- W - alpha V
    return W - alpha * V, V


def momentum_without_factor(
    W: np.ndarray, dW: np.ndarray, V: np.ndarray, alpha: float, beta: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's form."""
    # V <- beta V + dW
    V = beta * V + dW
    # W <- W - alpha' V
    return W - alpha * V, V


def nesterov(
    W: np.ndarray, dW: np.ndarray, V: np.ndarray, alpha: float, beta: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    # V <- beta V + dW
    V = beta * V + dW
    # W <- W - alpha' (dW + beta V)
    return W - alpha * (dW + beta * V), V


Rule = Callable[..., tuple[np.ndarray, np.ndarray]]
CURVATURE = np.array([1.0, 100.0])


def valley(W: np.ndarray) -> tuple[float, np.ndarray]:
    """f = (w1² + 100 w2²) / 2 and its gradient: 100 times as steep across as along."""
    return float(np.sum(CURVATURE * W**2) / 2), CURVATURE * W


def gradient_descent(W: np.ndarray, dW: np.ndarray, V: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The rule without memory, in the same form."""
    return W - alpha * dW, V


def walk(rule: Rule, alpha: float, steps: int, start: tuple[float, float] = (-8.0, 1.0)) -> np.ndarray:
    """The way down the valley, (steps + 1, 2); shorter if it diverges."""
    W, V = np.array(start), np.zeros(2)
    path = [W]
    for _ in range(steps):
        W, V = rule(W, valley(W)[1], V, alpha)
        path.append(W)
        if np.abs(W).max() > 1e6:  # diverged
            break
    return np.array(path)


def steps_to_the_floor(rule: Rule, alpha: float, limit: int = 1000) -> int:
    """Updates until f is a millionth of its start; `limit` if that is not reached."""
    path = walk(rule, alpha, limit)
    f = np.array([valley(W)[0] for W in path])
    below = np.flatnonzero(f < 1e-6 * f[0])
    return int(below[0]) if len(below) else limit


def demo() -> Figure:
    from matplotlib.figure import Figure

    W, V, places = np.array(1.0), np.array(0.0), []
    for _ in range(3):
        W, V = momentum(W, np.array(2.0), V, alpha=0.1)
        places.append(W)
    print(f"w = 1, gradient 2 each time, alpha 0.1, beta 0.9: {np.round(places, 4)}")
    W, V, places = np.array(1.0), np.array(0.0), []
    for _ in range(3):
        W, V = momentum_without_factor(W, np.array(2.0), V, alpha=0.1)
        places.append(W)
    print(f"without the factor 1 - beta:                      {np.round(places, 4)}")

    rules: dict[str, Rule] = {
        "gradient descent": gradient_descent,
        "momentum": momentum,
        "Nesterov, without factor": nesterov,
    }
    print("f = (w1² + 100 w2²) / 2, updates to a millionth, each at its best rate:")
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    w1, w2 = np.meshgrid(np.linspace(-9, 3, 121), np.linspace(-1.7, 1.7, 61))
    for ax, (name, rule) in zip(axes, rules.items(), strict=True):
        steps, alpha = min((steps_to_the_floor(rule, alpha), alpha) for alpha in np.geomspace(0.001, 1, 31))
        print(f"  {name:<26}{steps:>4} at alpha {alpha:.3f}")
        ax.contour(w1, w2, (w1**2 + 100 * w2**2) / 2, levels=[0.5, 4, 14, 35, 70, 120], colors="0.8")
        path = walk(rule, alpha, 25)
        ax.plot(path[:, 0], path[:, 1], "o-", markersize=3)
        ax.plot(0, 0, "k*", markersize=9)
        ax.set(title=f"{name}: 25 of {steps} updates, alpha {alpha:.3f}", ylabel="w2", xlim=(-9, 3), ylim=(-1.7, 1.7))
    axes[-1].set_xlabel("w1")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
