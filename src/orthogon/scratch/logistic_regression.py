"""Logistic regression: one neuron that says how probable "yes" is.

A weighted sum of the features goes through a sigmoid, and the result is read as P(y = 1 | x). Its cross-entropy is
convex in w and b, so gradient descent from zeros finds the one minimum. Where a plane separates the classes it gets
every training example right and w keeps growing, without end but ever more slowly. Where no plane separates them, no
training helps: it needs better features or a hidden layer. Remember the shape of its gradient, input times error: each
layer of a deep network repeats it.

Equations:
    Z = wᵀ X + b              w (n_x, 1), b one number, X (n_x, m), Z (1, m)
    A = sigmoid(Z)
    J = -(1/m) sum [Y log A + (1 - Y) log(1 - A)]
    dZ = A - Y
    dw = (1/m) X dZᵀ
    db = (1/m) sum dZ

Product:
    orthogon.models.mlp.MLP                        # hidden=[], one output
    orthogon.nn.losses.binary_cross_entropy
    sklearn.linear_model.LogisticRegression        # adds an L2 penalty unless told not to
Systems:
    net.logreg
Paper:
    Cox 1958, "The regression analysis of binary sequences", Journal of the Royal Statistical Society B 20
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.activations import sigmoid
from orthogon.scratch.losses import binary_cross_entropy_from_scores
from orthogon.scratch.toy_data import flower

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forward(w: np.ndarray, b: float, X: np.ndarray) -> np.ndarray:
    """P(y = 1) of each example, (1, m)."""
    # Z = wᵀ X + b
    Z = w.T @ X + b
    # A = sigmoid(Z)
    return sigmoid(Z)


def propagate(w: np.ndarray, b: float, X: np.ndarray, Y: np.ndarray) -> tuple[float, np.ndarray, float]:
    """The cost J, dw (n_x, 1) and db, of labels Y (1, m) in {0, 1}."""
    m = X.shape[1]
    Z = w.T @ X + b
    # J = -(1/m) sum [Y log A + (1 - Y) log(1 - A)], from Z so that a sure answer stays finite
    J = float(binary_cross_entropy_from_scores(Z, Y)[0].sum() / m)
    # dZ = A - Y
    dZ = sigmoid(Z) - Y
    # dw = (1/m) X dZᵀ
    dw = X @ dZ.T / m
    # db = (1/m) sum dZ
    db = float(dZ.sum() / m)
    return J, dw, db


def train(X: np.ndarray, Y: np.ndarray, alpha: float, steps: int) -> tuple[np.ndarray, float, list[float]]:
    """Gradient descent from zeros: w, b, and the cost before each step."""
    w, b, costs = np.zeros((len(X), 1)), 0.0, []
    for _ in range(steps):
        J, dw, db = propagate(w, b, X, Y)
        w, b = w - alpha * dw, b - alpha * db
        costs.append(J)
    return w, b, costs


def predict(w: np.ndarray, b: float, X: np.ndarray) -> np.ndarray:
    """1 where "yes" is more probable than not, else 0, (1, m)."""
    return (forward(w, b, X) > 0.5).astype(np.float64)


def demo() -> Figure:
    from matplotlib.figure import Figure

    X = np.array([[1, 2, -1], [3, 0.5, -3.2]])
    Y = np.array([[1.0, 1.0, 0.0]])
    w, b = np.array([[1.0], [2.0]]), 1.5
    J, dw, db = propagate(w, b, X, Y)
    print(f"three examples by hand: A = {np.round(forward(w, b, X).ravel(), 6)}, J = {J:.6f}")
    print(f"dw = {np.round(dw.ravel(), 6)}, db = {db:.6f}")

    rng = np.random.default_rng(1)
    Y_blobs = np.repeat([[0.0, 1.0]], 60, axis=1)
    X_blobs = rng.standard_normal((2, 120)) * 0.8 + np.where(Y_blobs == 1, 2.0, -2.0)
    X_flower, Y_flower = flower(400, np.random.RandomState(1))
    sets = {"two groups": (X_blobs, Y_blobs), "a flower": (X_flower, Y_flower)}
    figure = Figure(figsize=(10.5, 3.7), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, (name, (X, Y)) in zip(axes, sets.items(), strict=False):
        w, b, costs = train(X, Y, alpha=0.5, steps=300)
        accuracy = np.mean(predict(w, b, X) == Y)
        print(f"{name}: cost {costs[0]:.3f} -> {costs[-1]:.3f}, training accuracy {accuracy:.1%}")
        for k, colour in enumerate(("C0", "C1")):
            ax.plot(*X[:, Y[0] == k], ".", color=colour, markersize=4, label=f"y = {k}")
        low, high = X.min() - 0.5, X.max() + 0.5
        x1 = np.array([low, high])
        ax.plot(x1, -(w[0] * x1 + b) / w[1], color="black", label="A = 0.5")
        ax.set(xlim=(low, high), ylim=(low, high), title=f"{name}: {accuracy:.0%}", xlabel="x1", ylabel="x2")
        ax.legend(fontsize=8, loc="lower left")
        axes[2].plot(costs, label=name)
    axes[2].set(title="Cost", xlabel="step", ylabel="J in nats", ylim=(0, None))
    axes[2].legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
