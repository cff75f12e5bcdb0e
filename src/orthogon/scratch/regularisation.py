"""Regularisation: charge a price for large weights.

A network that can draw any boundary also draws the noise. L2 adds half the squared size of the weights to the cost;
its gradient shrinks every weight by the same share at each step, which is why it is also called weight decay, and small
weights keep tanh units in their nearly linear zone. L1 adds their absolute size; it takes the same amount from every
weight, so small ones reach exactly 0 and stay there. A plain gradient step with L1 would hover around 0 for ever: use
the proximal step, which stops at 0. Biases are left alone, and lambda is chosen on the dev set.

Equations:
    L2:  J + (lambda / 2m) sum_l ||W[l]||²         dW += (lambda / m) W
         W <- (1 - alpha lambda / m) W - alpha dW
    L1:  J + (lambda / m) sum |w|
         W <- W - alpha dW;   W <- sign(W) max(|W| - alpha lambda / m, 0)

Exceptions:
    torch's weight_decay is lambda / m, and reaches every parameter it is given; orthogon gives it weights only.
    Weight decay and L2 are the same for plain gradient descent; with Adam they differ (see adam).

Product:
    orthogon.training.optimisers.make_optimiser      # weight_decay = lambda / m
    orthogon.training.optimisers.proximal_l1_        # amount = alpha lambda / m
Systems:
    train.l2 train.l1
Paper:
    Krogh & Hertz 1992, "A simple weight decay can improve generalization"
    Tibshirani 1996, "Regression shrinkage and selection via the lasso"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def l2_penalty(weights: Sequence[np.ndarray], lambd: float, m: int) -> tuple[float, list[np.ndarray]]:
    """What L2 adds to J, and to the gradient dW of each of the weights."""
    # (lambda / 2m) sum_l ||W[l]||²
    price = lambd / (2 * m) * sum(float(np.sum(W**2)) for W in weights)
    # dW += (lambda / m) W
    return price, [lambd / m * W for W in weights]


def l2_step(W: np.ndarray, dW: np.ndarray, alpha: float, lambd: float, m: int) -> np.ndarray:
    """One step of gradient descent; dW without the penalty's share."""
    # W <- (1 - alpha lambda / m) W - alpha dW
    return (1 - alpha * lambd / m) * W - alpha * dW


def l1_penalty(weights: Sequence[np.ndarray], lambd: float, m: int) -> float:
    # (lambda / m) sum |w|
    return lambd / m * sum(float(np.sum(np.abs(W))) for W in weights)


def soft_threshold(W: np.ndarray, amount: float) -> np.ndarray:
    """Every weight `amount` nearer to 0, and no further."""
    # W <- sign(W) max(|W| - amount, 0)
    return np.sign(W) * np.maximum(np.abs(W) - amount, 0.0)


def l1_step(W: np.ndarray, dW: np.ndarray, alpha: float, lambd: float, m: int) -> np.ndarray:
    """One proximal step; dW without the penalty's share."""
    # W <- W - alpha dW;   W <- sign(W) max(|W| - alpha lambda / m, 0)
    return soft_threshold(W - alpha * dW, alpha * lambd / m)


def regress(
    X: np.ndarray, Y: np.ndarray, alpha: float, steps: int, l1: float = 0.0, l2: float = 0.0
) -> tuple[np.ndarray, float]:
    """Linear regression from 0, J = (1/2m) sum (wᵀx + b - y)² plus one penalty or none: w (n_x, 1) and b."""
    m = X.shape[1]
    w, b = np.zeros((len(X), 1)), 0.0
    for _ in range(steps):
        dZ = w.T @ X + b - Y
        dw, db = X @ dZ.T / m, float(dZ.sum() / m)
        w = l1_step(w, dw, alpha, l1, m) if l1 else l2_step(w, dw, alpha, l2, m)
        b = b - alpha * db  # never penalised
    return w, b


def sparse_data(rng: np.random.Generator, m: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (100, m), Y (1, m) and the true w (100, 1): only the first five features matter."""
    w = np.zeros((100, 1))
    w[:5] = [[2.0], [-1.5], [1.0], [3.0], [-2.0]]
    X = rng.standard_normal((100, m))
    return X, w.T @ X + rng.standard_normal((1, m)), w


def demo() -> Figure:
    from matplotlib.figure import Figure

    print(f"alpha 0.1, lambda 0.7, m 100: each step keeps {1 - 0.1 * 0.7 / 100:.4f} of every weight")
    rng = np.random.default_rng(0)
    X, Y, _ = sparse_data(rng)
    X_dev, Y_dev, _ = sparse_data(rng)
    found = {
        "none": regress(X, Y, 0.1, 500),
        "L2": regress(X, Y, 0.1, 500, l2=5.0),
        "L1": regress(X, Y, 0.1, 500, l1=25.0),
    }
    print("100 features, 5 of them matter, 150 examples:")
    for name, (w, b) in found.items():
        error = np.mean((w.T @ X_dev + b - Y_dev) ** 2)
        zeros = int((w[5:] == 0).sum())
        size = np.linalg.norm(w)
        print(f"  penalty {name:<5} ||w|| = {size:.3f}, useless weights at 0: {zeros:>2} of 95, dev error {error:.4f}")
    print("Where few features matter L1 finds them; L2 shrinks the useful weights as much as the useless ones.")

    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    for name, (w, _) in found.items():
        left.plot(np.arange(1, 96), np.sort(np.abs(w[5:]).ravel()), ".-", markersize=3, label=f"penalty: {name}")
    left.set(title="The 95 useless weights", xlabel="weight, the smallest first", ylabel="absolute value")
    left.legend(fontsize=8)
    w = np.linspace(-1.5, 1.5, 301)
    right.plot(w, 0.6 * w, label="L2: keeps 60 % of it")
    right.plot(w, soft_threshold(w, 0.4), label="L1: takes 0.4, stops at 0")
    right.plot(w, w, ":", color="0.5", label="no penalty")
    right.set(title="What one step leaves of a weight", xlabel="weight before", ylabel="weight after")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
