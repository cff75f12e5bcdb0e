"""RMSprop: divide every derivative by its usual size.

Keep an average of the squared derivatives of every single parameter, and divide each derivative by its root. A
direction in which the cost is steep has large derivatives and is damped; a flat one is sped up; so one learning rate
fits both, and it can be larger. All is done entry by entry. A small number stands outside the root, so that nothing is
divided by zero. Inside the root it would be far larger than it looks: for a derivative of 1e-8 the step would be 5,000
times as small.

Equations:
    S <- beta2 S + (1 - beta2) dW²          dW² entry by entry
    W <- W - alpha dW / (sqrt(S) + eps)     eps = 1e-8, outside the root

Exceptions:
    torch.optim.RMSprop calls beta2 alpha, with default 0.99.

Product:
    orthogon.training.optimisers.make_optimiser      # optimiser: rmsprop
    torch.optim.RMSprop
Systems:
    opt.rmsprop
Paper:
    Tieleman & Hinton 2012, "Lecture 6.5 - RMSProp: divide the gradient by a running average of its recent magnitude"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rmsprop(
    W: np.ndarray, dW: np.ndarray, S: np.ndarray, alpha: float, beta2: float = 0.9, eps: float = 1e-8
) -> tuple[np.ndarray, np.ndarray]:
    """One update of a parameter W, and the new S; S starts at zeros."""
    # S <- beta2 S + (1 - beta2) dW²
    S = beta2 * S + (1 - beta2) * dW**2
    # W <- W - alpha dW / (sqrt(S) + eps)
    return W - alpha * dW / (np.sqrt(S) + eps), S


def demo() -> Figure:
    from matplotlib.figure import Figure

    from orthogon.scratch.momentum import CURVATURE, gradient_descent, valley, walk

    W, S, places = np.array(1.0), np.array(0.0), []
    for _ in range(3):
        W, S = rmsprop(W, np.array(2.0), S, alpha=0.1)
        places.append(W)
    print(f"w = 1, gradient 2 each time, alpha 0.1, beta2 0.9: {np.round(places, 6)}")
    start = np.array([-8.0, 1.0])
    dW = valley(start)[1]
    step, _ = rmsprop(start, dW, np.zeros(2), alpha=0.1)
    print(f"f = (w1² + {CURVATURE[1]:g} w2²) / 2 at {start}: gradient {dW}")
    print(f"first step of gradient descent, alpha 0.01: {np.round(-0.01 * dW, 3)}")
    print(f"first step of RMSprop, alpha 0.1:           {np.round(step - start, 3)}: as long in both directions")
    outside, inside = 1e-8 / (np.sqrt(1e-16) + 1e-8), 1e-8 / np.sqrt(1e-16 + 1e-8)
    print(f"g = 1e-8, S = 1e-16: g/(sqrt(S) + eps) = {outside:.4f}, g/sqrt(S + eps) = {inside:.4f}")

    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    w1, w2 = np.meshgrid(np.linspace(-9, 2, 121), np.linspace(-1.7, 1.7, 61))
    left.contour(w1, w2, (w1**2 + 100 * w2**2) / 2, levels=[0.5, 4, 14, 35, 70, 120], colors="0.85")
    for rule, alpha, name in ((gradient_descent, 0.018, "gradient descent"), (rmsprop, 0.3, "RMSprop")):
        path = walk(rule, alpha, 30)
        left.plot(path[:, 0], path[:, 1], "o-", markersize=3, linewidth=1, label=f"{name}, alpha {alpha}")
        right.semilogy([valley(W)[0] for W in walk(rule, alpha, 80)], label=f"{name}, alpha {alpha}")
    left.plot(0, 0, "k*", markersize=10)
    left.set(title="30 updates in a valley", xlabel="w1, flat", ylabel="w2, steep")
    left.legend(fontsize=8, loc="lower left")
    right.set(title="RMSprop's steps do not shrink by themselves", xlabel="update", ylabel="f")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
