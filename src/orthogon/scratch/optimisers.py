"""Optimisers: gradient descent, momentum, RMSprop and Adam on one problem, in mini-batches.

Two moons, a small ReLU network, and the same batches for all. At a short learning rate plain gradient descent and
momentum are still on their way when RMSprop and Adam have arrived. The latter two move every weight by about alpha,
however small its gradient is. Momentum is an average of the gradients, so where they hardly change from step to step it
walks as gradient descent does, and here it does. A much larger learning rate that decays brings gradient descent there
as well, so compare optimisers at the best rate of each, not at one rate.

Equations:
    for each epoch: shuffle, cut into batches of 64
        for each batch: t <- t + 1;  forward, backward;  W, V, S <- rule(W, dW, V, S, t, alpha)
    gradient descent    W <- W - alpha dW
    momentum            W <- W - alpha V
    RMSprop             W <- W - alpha dW / (sqrt(S) + eps)
    Adam                W <- W - alpha V^ / (sqrt(S^) + eps)         t is never set back

Product:
    orthogon.training.optimisers.make_optimiser
    orthogon.training.loop.fit
Systems:
    ex.optim
Paper:
    Ruder 2016, "An overview of gradient descent optimization algorithms"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.adam import adam
from orthogon.scratch.deep_network import backward, cost, error_rate, forward, initialise
from orthogon.scratch.learning_rate_decay import staircase
from orthogon.scratch.mini_batches import mini_batches
from orthogon.scratch.momentum import momentum
from orthogon.scratch.rmsprop import rmsprop
from orthogon.scratch.toy_data import Randomness, moons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Memory = tuple[np.ndarray, np.ndarray]  # V and S of a parameter, both from zeros


def update(rule: str, W: np.ndarray, dW: np.ndarray, memory: Memory, t: int, alpha: float) -> tuple[np.ndarray, Memory]:
    """Update number t, from 1, of a parameter W under "gd", "momentum", "rmsprop" or "adam"."""
    V, S = memory
    if rule == "adam":
        W, V, S = adam(W, dW, V, S, t, alpha)
    elif rule == "rmsprop":
        W, S = rmsprop(W, dW, S, alpha)
    elif rule == "momentum":
        W, V = momentum(W, dW, V, alpha)
    else:
        # W <- W - alpha dW
        W = W - alpha * dW
    return W, (V, S)


def train(
    X: np.ndarray,
    Y: np.ndarray,
    parameters: dict[str, np.ndarray],
    g: Sequence[str],
    rule: str,
    alpha: Callable[[int], float],
    epochs: int,
    shuffle: Callable[[int], Randomness],
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Train a deep network in batches of 64.

    Args:
        X, Y: examples in columns, (n[0], m) and (n[L], m).
        parameters: where to start; left as they are.
        g: activation of each layer, as deep_network takes them.
        rule: of `update`.
        alpha: the learning rate of each epoch, from 1.
        shuffle: what draws each epoch's permutation, epochs from 1.
    Returns:
        The last parameters, and the cost over all examples after each epoch.
    """
    parameters = dict(parameters)
    memory = {name: (np.zeros_like(W), np.zeros_like(W)) for name, W in parameters.items()}
    t, costs = 0, []
    for epoch in range(1, epochs + 1):
        for X_t, Y_t in mini_batches(X, Y, 64, shuffle(epoch)):
            A, caches = forward(X_t, parameters, g)
            gradients, _ = backward(A, Y_t, parameters, caches, g)
            # t <- t + 1;  W, V, S <- rule(W, dW, V, S, t, alpha)
            t += 1
            for name, dW in gradients.items():
                parameters[name], memory[name] = update(rule, parameters[name], dW, memory[name], t, alpha(epoch))
        costs.append(cost(forward(X, parameters, g)[1][-1][1], Y, g[-1]))
    return parameters, costs


def demo() -> Figure:
    from matplotlib.figure import Figure

    n, g, epochs = (2, 5, 2, 1), ("relu", "relu", "sigmoid"), 400
    rng = np.random.default_rng(3)
    X, Y = moons(300, 0.2, rng)
    start = initialise(n, rng)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    print(f"two moons, 300 points, n = {n}, batches of 64, {epochs} epochs:")
    ways: list[tuple[str, str, Callable[[int], float]]] = [
        ("gradient descent, alpha 0.003", "gd", lambda epoch: 0.003),
        ("momentum, alpha 0.003", "momentum", lambda epoch: 0.003),
        ("RMSprop, alpha 0.003", "rmsprop", lambda epoch: 0.003),
        ("gradient descent, 0.3 in stairs", "gd", lambda epoch: staircase(0.3, epoch, 100)),
        ("Adam, alpha 0.003", "adam", lambda epoch: 0.003),
    ]
    for label, rule, alpha in ways:
        parameters, costs = train(X, Y, start, g, rule, alpha, epochs, np.random.default_rng)
        right_share = 100 * (1 - error_rate(X, Y, parameters, g))
        print(f"  {label:<32} J = {costs[-1]:.4f}, {right_share:.1f} % right")
        left.plot(np.arange(1, epochs + 1), costs, "--" if rule == "momentum" else "-", label=label)
    left.set(title="The same start and the same batches", xlabel="epoch", ylabel="cost J over all examples")
    left.legend(fontsize=8)
    x1, x2 = np.meshgrid(np.linspace(-1.8, 2.8, 161), np.linspace(-1.3, 1.9, 121))
    A, _ = forward(np.stack([x1.ravel(), x2.ravel()]), parameters, g)
    right.contourf(x1, x2, A.reshape(x1.shape), levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.5)
    for k, colour in enumerate(("navy", "darkred")):
        right.plot(*X[:, Y[0] == k], ".", color=colour, markersize=5, label=f"y = {k}")
    right.set(title="Adam's answers", xlabel="x1", ylabel="x2")
    right.legend(fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
