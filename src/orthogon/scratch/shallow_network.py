"""Shallow network: one hidden layer of units that bend the space before one neuron decides.

Each hidden unit is a small logistic regression of its own; the output neuron sees their answers in place of the raw
features. Four tanh units are enough to separate a flower of two colours on which a single neuron does no better than a
coin. The backward pass runs the same layers in reverse: the output's error A2 - Y is sent back through W2 and scaled by
the slope of each hidden unit. Note what each weight's gradient is made of: the error of its layer and the activations
of the layer before, which is X for the first layer only. Weights start small and at random, biases at 0.

Equations:
    Z1 = W1 X + b1        A1 = tanh(Z1)          W1 (n_h, n_x), A1 (n_h, m)
    Z2 = W2 A1 + b2       A2 = sigmoid(Z2)       W2 (1, n_h), A2 (1, m)
    dZ2 = A2 - Y          dW2 = (1/m) dZ2 A1ᵀ    db2 = (1/m) sum dZ2
    dZ1 = W2ᵀ dZ2 * tanh'(Z1)                    * element by element
    dW1 = (1/m) dZ1 Xᵀ    db1 = (1/m) sum dZ1

Product:
    orthogon.models.mlp.MLP             # hidden=[4], activation="tanh"
Systems:
    net.shallow
Paper:
    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", Nature 323
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch import logistic_regression
from orthogon.scratch.activations import sigmoid
from orthogon.scratch.losses import binary_cross_entropy_from_scores
from orthogon.scratch.toy_data import Randomness, flower

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Parameters = dict[str, np.ndarray]


def initialise(n_x: int, n_h: int, rng: Randomness, scale: float = 0.01) -> Parameters:
    """W1, b1, W2, b2: weights from N(0, scale²), biases 0."""
    return {
        "W1": rng.standard_normal((n_h, n_x)) * scale,
        "b1": np.zeros((n_h, 1)),
        "W2": rng.standard_normal((1, n_h)) * scale,
        "b2": np.zeros((1, 1)),
    }


def forward(X: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, Parameters]:
    """P(y = 1) of each example, A2 (1, m), and the cache of Z1, A1, Z2, A2."""
    W1, b1, W2, b2 = (parameters[name] for name in ("W1", "b1", "W2", "b2"))
    # Z1 = W1 X + b1, A1 = tanh(Z1)
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    # Z2 = W2 A1 + b2, A2 = sigmoid(Z2)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def cost(Z2: np.ndarray, Y: np.ndarray) -> float:
    """J = mean cross-entropy of the scores Z2 (1, m)."""
    return float(binary_cross_entropy_from_scores(Z2, Y)[0].mean())


def backward(X: np.ndarray, Y: np.ndarray, parameters: Parameters, cache: Parameters) -> Parameters:
    """The gradients W1, b1, W2, b2 of J, under the names of their parameters."""
    m = X.shape[1]
    # dZ2 = A2 - Y
    dZ2 = cache["A2"] - Y
    # dW2 = (1/m) dZ2 A1ᵀ, db2 = (1/m) sum dZ2
    dW2 = dZ2 @ cache["A1"].T / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    # dZ1 = W2ᵀ dZ2 * tanh'(Z1), tanh' = 1 - A1²
    dZ1 = parameters["W2"].T @ dZ2 * (1 - cache["A1"] ** 2)
    # dW1 = (1/m) dZ1 Xᵀ, db1 = (1/m) sum dZ1
    dW1 = dZ1 @ X.T / m
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def train(
    X: np.ndarray, Y: np.ndarray, parameters: Parameters, alpha: float, steps: int
) -> tuple[Parameters, list[float]]:
    """Gradient descent on all m examples from `parameters`, which stay as they are; and the cost before each step."""
    costs = []
    for _ in range(steps):
        _, cache = forward(X, parameters)
        costs.append(cost(cache["Z2"], Y))
        gradients = backward(X, Y, parameters, cache)
        # W <- W - alpha dW, b <- b - alpha db
        parameters = {name: value - alpha * gradients[name] for name, value in parameters.items()}
    return parameters, costs


def predict(X: np.ndarray, parameters: Parameters) -> np.ndarray:
    return (forward(X, parameters)[0] > 0.5).astype(np.float64)


def demo() -> Figure:
    from matplotlib.figure import Figure

    X, Y = flower(400, np.random.RandomState(1))
    w, b, _ = logistic_regression.train(X, Y, alpha=0.5, steps=300)
    print(f"400 examples of a flower. One neuron: {np.mean(logistic_regression.predict(w, b, X) == Y):.1%} right")
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    x1, x2 = np.meshgrid(np.linspace(-4.5, 4.5, 181), np.linspace(-4.5, 4.5, 181))
    grid = np.stack([x1.ravel(), x2.ravel()])
    for ax, n_h in zip(axes, (1, 2, 4), strict=True):
        parameters, costs = train(X, Y, initialise(2, n_h, np.random.RandomState(2)), alpha=1.2, steps=3000)
        accuracy = np.mean(predict(X, parameters) == Y)
        units = f"{n_h} hidden unit{'s' * (n_h > 1)}"
        print(f"{units}: cost {costs[0]:.4f} -> {costs[-1]:.4f} in 3,000 steps, {accuracy:.1%} right")
        answer = forward(grid, parameters)[0].reshape(x1.shape)
        ax.contourf(x1, x2, answer, levels=[0, 0.5, 1], colors=["C0", "C1"], alpha=0.25)
        for k, colour in enumerate(("C0", "C1")):
            ax.plot(*X[:, Y[0] == k], ".", color=colour, markersize=3, label=f"y = {k}")
        ax.set(title=f"{n_h} tanh unit{'s' * (n_h > 1)}: {accuracy:.0%} right", xlabel="x1", ylabel="x2")
        ax.legend(fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
