"""One weight: the error as a single weight moves, and the slope that says which way to move it.

Take the data (0, 0), (1, 2), (2, 4) and the model ŷ = W x. At W = 3 the predictions are too high, at W = 4 worse, at
W = 2 exact: the squared error is a bowl over W. Training does not try weights at random until the error falls; the
derivative of the error says in which direction it falls and how steeply, and the step follows it. A bias is one more
number learned in the same way; it starts at 0, it does not stay at 1. Remember: a network of millions of weights does
just this, with one slope for each weight.

Equations:
    ŷ = W x + b
    E = sum (ŷ - y)²
    dE/dW = sum 2 (ŷ - y) x        dE/db = sum 2 (ŷ - y)
    W <- W - alpha dE/dW           b <- b - alpha dE/db

Product:
    orthogon.nn.losses.squared_error
    torch.optim.SGD
Systems:
    net.weight-table
Paper:
    Widrow & Hoff 1960, "Adaptive switching circuits", IRE WESCON Convention Record 4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

X = np.array([0.0, 1.0, 2.0])
Y = np.array([0.0, 2.0, 4.0])


def errors(W: float, x: np.ndarray, y: np.ndarray, b: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, absolute error and squared error of each example."""
    y_hat = W * x + b
    return y_hat, np.abs(y_hat - y), (y_hat - y) ** 2


def slopes(W: float, b: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """dE/dW and dE/db of the summed squared error."""
    difference = W * x + b - y
    # dE/dW = sum 2 (ŷ - y) x
    dW = float(np.sum(2 * difference * x))
    # dE/db = sum 2 (ŷ - y)
    db = float(np.sum(2 * difference))
    return dW, db


def descend(W: float, b: float, x: np.ndarray, y: np.ndarray, alpha: float, steps: int) -> list[tuple[float, float]]:
    """(W, b) at the start and after each step down the slope."""
    path = [(W, b)]
    for _ in range(steps):
        dW, db = slopes(W, b, x, y)
        W, b = W - alpha * dW, b - alpha * db
        path.append((W, b))
    return path


def table(weights: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> str:
    """The errors of some weights, a line for each weight and example, and the sum for each weight."""
    lines = ["   W    x    y    ŷ  |ŷ-y|  (ŷ-y)²"]
    for W in weights:
        y_hat, absolute, squared = errors(W, x, y)
        lines += [f"{W:4g} {x[i]:4g} {y[i]:4g} {y_hat[i]:4g} {absolute[i]:6g} {squared[i]:7g}" for i in range(len(x))]
        lines.append(f"{W:4g}  sum              {squared.sum():11g}")
    return "\n".join(lines)


def demo() -> Figure:
    from matplotlib.figure import Figure

    print(table((3, 4, 2), X, Y))
    print(f"\nSlope dE/dW at W = 3: {slopes(3, 0, X, Y)[0]:g}, so W must fall; at W = 1: {slopes(1, 0, X, Y)[0]:g}")
    path = descend(4, 0, X, Y, alpha=0.05, steps=40)
    for step in (0, 1, 2, 5, 40):
        W, b = path[step]
        print(f"step {step:>2}: W = {W:.4f}, b = {b:+.4f}, error {errors(W, X, Y, b)[2].sum():.5f}")

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    grid = np.linspace(-0.5, 4.5, 200)
    left.plot(grid, [errors(W, X, Y)[2].sum() for W in grid])
    left.set_ylim(-2, 34)
    for W in (3.0, 4.0, 2.0):
        E = errors(W, X, Y)[2].sum()
        left.plot(W, E, "o", color="C1")
        place, side = ((0, 12), "center") if E == 0 else ((-8, 4), "right")
        left.annotate(f"W = {W:g}: {E:g}", (W, E), xytext=place, textcoords="offset points", ha=side)
    left.set(title="Squared error of ŷ = W x", xlabel="weight W", ylabel="summed squared error E")
    right.plot([errors(W, X, Y, b)[2].sum() for W, b in path[:21]], "o-", markersize=3, color="C1")
    right.set(title="Down the slope from W = 4, b = 0", xlabel="step", ylabel="summed squared error E", yscale="log")
    right.set_xticks(range(0, 21, 5))
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
