"""Dropout: switch units off at random while training, so that none may rely on another.

Each unit is kept with probability keep_prob, in every example and every step anew. The kept ones are divided by
keep_prob, so the expected activation stays what it was and nothing has to change at test time, where nothing is
dropped. A unit that cannot count on any one input spreads its weights, and their squared norm shrinks; for linear
regression this is ridge regression with a price per feature. The same mask goes through backward. While dropout is on,
J is another function at each step and need not fall: first train without it, see J fall, then switch it on.

Equations:
    D = (rand < keep_prob)
    A <- A D / keep_prob            dA <- dA D / keep_prob      the same D
    linear:  E ||y - wᵀ(X D / p)||² = ||y - wᵀX||² + ((1 - p) / p) sum_j ||X_j||² w_j²      X_j = row j

Exceptions:
    torch.nn.Dropout(p) takes the probability of dropping, p = 1 - keep_prob.

Product:
    torch.nn.Dropout
    orthogon.models.mlp.MLP                 # dropout=0.2 keeps 0.8
Systems:
    train.dropout train.dropout-why
Paper:
    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"
    Wager, Wang & Liang 2013, "Dropout training as adaptive regularization"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dropout(A: np.ndarray, keep_prob: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Activations for training, and the mask D that backward needs; at test time there is nothing to call."""
    # D = (rand < keep_prob)
    D = (rng.random(A.shape) < keep_prob).astype(np.float64)
    # A <- A D / keep_prob
    return A * D / keep_prob, D


def dropout_backward(dA: np.ndarray, D: np.ndarray, keep_prob: float) -> np.ndarray:
    # dA <- dA D / keep_prob
    return dA * D / keep_prob


def ridge(X: np.ndarray, Y: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """The w (n_x, 1) that minimises ||y - wᵀX||² + sum_j prices_j w_j², for X (n_x, m), Y (1, m), prices (n_x,)."""
    return np.linalg.solve(X @ X.T + np.diag(prices), X @ Y.T)


def dropout_prices(X: np.ndarray, keep_prob: float) -> np.ndarray:
    """What dropping inputs charges for each squared weight, (n_x,)."""
    # ((1 - p) / p) ||X_j||²
    return (1 - keep_prob) / keep_prob * np.sum(X**2, axis=1)


def regress_with_dropout(
    X: np.ndarray, Y: np.ndarray, keep_prob: float, alpha: float, steps: int, rng: np.random.Generator
) -> np.ndarray:
    """Gradient descent on mean squared errors, inputs dropped anew at each step; w averaged over the last 7/8."""
    w, total, count = np.zeros((len(X), 1)), np.zeros((len(X), 1)), 0
    for step in range(steps):
        X_dropped, _ = dropout(X, keep_prob, rng)
        # w <- w - alpha (2/m) X~ (wᵀ X~ - y)ᵀ,  X~ = X D / p
        w = w - alpha * 2 * X_dropped @ (w.T @ X_dropped - Y).T / X.shape[1]
        if step >= steps // 8:
            total, count = total + w, count + 1
    return total / count


def uneven_data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """X (5, 200) with features of several sizes, and Y (1, 200), linear in them plus noise."""
    X = rng.standard_normal((5, 200)) * np.array([[1.0], [2.0], [0.5], [1.0], [3.0]])
    return X, np.array([[1.0, -1.0, 2.0, 0.5, 1.0]]) @ X + rng.standard_normal((1, 200))


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    A = rng.random((50, 10_000))
    A_dropped, D = dropout(A, 0.8, rng)
    print(f"keep_prob 0.8: {D.mean():.4f} of {A.size:,} units kept")
    print(f"mean activation {A.mean():.4f}, after dropout {A_dropped.mean():.4f}")
    X, Y = uneven_data(rng)
    plain = ridge(X, Y, np.zeros(5))
    expected = ridge(X, Y, dropout_prices(X, 0.8))
    learned = regress_with_dropout(X, Y, 0.8, 0.02, 4000, rng)
    print("linear regression, w:")
    for name, w in (("least squares", plain), ("ridge, price of dropout", expected), ("trained with dropout", learned)):
        print(f"  {name:<24}{np.round(w.ravel(), 3)}  ||w|| = {np.linalg.norm(w):.3f}")
    off = np.linalg.norm(learned - expected) / np.linalg.norm(expected)
    print(f"Dropout and ridge differ by {100 * off:.2f} %.")

    figure = Figure(figsize=(10.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    few = np.ones((12, 16))
    picture = left.imshow(dropout(few, 0.8, rng)[0], cmap="Blues", vmin=0, vmax=1.5)
    left.set(title="12 units that were 1, keep_prob 0.8", xlabel="example", ylabel="unit")
    figure.colorbar(picture, ax=left, ticks=[0, 1.25], label="activation after dropout")
    place = np.arange(5)
    for k, (name, w) in enumerate((("least squares", plain), ("ridge", expected), ("dropout", learned))):
        right.bar(place + 0.27 * (k - 1), w.ravel(), width=0.27, label=name)
    right.axhline(0, color="0.5", linewidth=0.8)
    right.set(title="Dropped inputs shrink weights as ridge does", xlabel="feature", ylabel="weight")
    right.set_xticks(place, [f"{j + 1}" for j in place])
    right.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
