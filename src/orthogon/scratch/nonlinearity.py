"""Non-linearity: without a bend between them, many layers are one.

A linear map of a linear map is a linear map: with identity activations the product of all weight matrices does in one
layer what the deep network does in L, and no training can make it more. So a deep linear network draws the same
straight boundary as logistic regression, whatever its size. One bend after each hidden layer changes that, and any
smooth boundary comes within reach. Only the output may be linear, where a number is predicted. A hidden layer itself is
no must: for a straight boundary, logistic regression is the right model.

Equations:
    A = W[L] (... (W[2] (W[1] X + b[1]) + b[2]) ...) + b[L] = W X + b
    W = W[L] ... W[2] W[1]
    b = b[L] + W[L] (b[L-1] + W[L-1] (...))

Product:
    orthogon.models.mlp.MLP             # activation="identity" against activation="relu"
Systems:
    net.nonlinear
Paper:
    Cybenko 1989, "Approximation by superpositions of a sigmoidal function"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch import deep_network, logistic_regression
from orthogon.scratch.toy_data import moons

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def collapse(parameters: deep_network.Parameters) -> tuple[np.ndarray, np.ndarray]:
    """The one layer W (n[L], n[0]), b (n[L], 1) that equals all layers with nothing between them."""
    W, b = parameters["W1"], parameters["b1"]
    for layer in range(2, len(parameters) // 2 + 1):
        # W[l] (W x + b) + b[l] = (W[l] W) x + (W[l] b + b[l])
        W, b = parameters[f"W{layer}"] @ W, parameters[f"W{layer}"] @ b + parameters[f"b{layer}"]
    return W, b


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    X, Y = moons(300, 0.2, rng)
    w, b, _ = logistic_regression.train(X, Y, alpha=0.5, steps=1500)
    print(f"logistic regression on two moons: {np.mean(logistic_regression.predict(w, b, X) == Y):.1%} right")
    n = (2, 8, 8, 1)
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    x1, x2 = np.meshgrid(np.linspace(-1.7, 2.7, 201), np.linspace(-1.3, 1.8, 201))
    grid = np.stack([x1.ravel(), x2.ravel()])
    for ax, bend in zip(axes, ("identity", "tanh"), strict=True):
        g = (bend, bend, "sigmoid")
        parameters, costs = deep_network.train(
            X, Y, deep_network.initialise(n, np.random.default_rng(1), gain=1.0), g, alpha=0.5, steps=1500
        )
        accuracy = 1 - deep_network.error_rate(X, Y, parameters, g)
        print(f"n = {n} with {bend}: cost {costs[-1]:.3f}, {accuracy:.1%} right")
        if bend == "identity":
            W, c = collapse(parameters)
            Z = deep_network.forward(X, parameters, g)[1][-1][1]
            print(f"  its three layers are one: W = {np.round(W, 3)}, b = {c[0, 0]:.3f};", end=" ")
            print("same scores to 1e-12:", np.allclose(W @ X + c, Z, rtol=0, atol=1e-12))
        answer = deep_network.forward(grid, parameters, g)[0].reshape(x1.shape)
        ax.contourf(x1, x2, answer, levels=[0, 0.5, 1], colors=["C0", "C1"], alpha=0.25)
        for k, colour in enumerate(("C0", "C1")):
            ax.plot(*X[:, Y[0] == k], ".", color=colour, markersize=4, label=f"y = {k}")
        ax.set(title=f"Three layers with {bend}: {accuracy:.0%} right", xlabel="x1", ylabel="x2")
        ax.legend(loc="upper right")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
