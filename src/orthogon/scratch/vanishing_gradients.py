"""Vanishing and exploding gradients: a factor per layer, multiplied with itself once per layer.

Backward multiplies the gradient by W[l] and by the activation's slope at every layer. If each layer scales it by c, the
first layer's gradient is c to the power of the depth: 1.5 becomes 10^26 and 0.5 becomes 10^-45 in 150 layers. The
signal on the way forward scales in the same manner. A sigmoid makes it worse, its slope is at most 1/4. What helps is
a first scale that keeps c near 1, activations with slope 1, batch norm, and paths around the layers; what tells you is
the norm of each layer's gradient, so look at it.

Equations:
    W[l] = c I for l < L, linear:   A[L-1] = c^(L-1) X      dX = c^(L-1) W[L]ᵀ dZ[L]
    dA[l-1] = W[l]ᵀ (dA[l] g'(Z[l]))                        one factor W[l] and one slope a layer
    warn where ||dW[l]|| is outside [smallest, largest]

Product:
    orthogon.training.monitors.Monitor       # gradient norms per layer while training, and warnings
Systems:
    train.vanish
Paper:
    Bengio, Simard & Frasconi 1994, "Learning long-term dependencies with gradient descent is difficult"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.deep_network import backward, forward, initialise

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def chain(c: float, L: int) -> dict[str, np.ndarray]:
    """A linear network of L layers on two inputs: W[l] = c I below the last one, which adds the two units up."""
    parameters = {}
    for layer in range(1, L):
        # W[l] = c I
        parameters[f"W{layer}"], parameters[f"b{layer}"] = c * np.eye(2), np.zeros((2, 1))
    parameters[f"W{L}"], parameters[f"b{L}"] = np.ones((1, 2)), np.zeros((1, 1))
    return parameters


def gradient_norms(gradients: dict[str, np.ndarray]) -> np.ndarray:
    """||dW[l]|| (Frobenius) of each layer, from gradients {"W1": ..., "b1": ..., ...}."""
    return np.array([np.linalg.norm(gradients[f"W{layer}"]) for layer in range(1, len(gradients) // 2 + 1)])


def warnings(norms: np.ndarray, smallest: float = 1e-10, largest: float = 1e3) -> list[str]:
    """One line for each layer, counted from 1, whose gradient norm is outside [smallest, largest]."""
    lines = []
    for layer, norm in enumerate(norms, start=1):
        # warn where ||dW[l]|| is outside [smallest, largest]
        if norm < smallest:
            lines.append(f"layer {layer}: gradient vanishes, norm {norm:.1e}")
        elif not norm <= largest:
            lines.append(f"layer {layer}: gradient explodes, norm {norm:.1e}")
    return lines


def demo() -> Figure:
    from matplotlib.figure import Figure

    x = np.array([[1.0], [0.0]])
    print("L linear layers, W = c I below the last: the output, and its slope at the first input")
    for c in (1.5, 0.5):
        for L in (50, 150):
            parameters, g = chain(c, L), ["identity"] * L
            A, caches = forward(x, parameters, g)
            _, dX = backward(np.ones((1, 1)), np.zeros((1, 1)), parameters, caches, g)  # dZ[L] = A - Y = 1
            print(f"  c = {c}, L = {L:>3}: {A[0, 0]:.6e}, {dX[0, 0]:.6e} = {c}^{L - 1}")

    rng = np.random.default_rng(0)
    depth, n, m = 30, 64, 50
    X, Y = rng.standard_normal((n, m)), rng.integers(0, 2, (1, m)).astype(np.float64)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    ax = figure.subplots()
    print(f"{depth} layers of {n} units at their start:")
    for activation, gain, label in (
        ("relu", 6.0, "ReLU, Var(w) = 6/n"),
        ("relu", 2.0, "ReLU, Var(w) = 2/n"),
        ("tanh", 1.0, "tanh, Var(w) = 1/n"),
        ("sigmoid", 1.0, "sigmoid, Var(w) = 1/n"),
    ):
        g = [activation] * (depth - 1) + ["sigmoid"]
        parameters = initialise([n] * depth + [1], rng, gain)
        A, caches = forward(X, parameters, g)
        norms = gradient_norms(backward(A, Y, parameters, caches, g)[0])
        said = warnings(norms)
        print(f"  {label:<22} {len(said):>2} warnings" + (f"; {said[0]}" if said else ""))
        ax.semilogy(np.arange(1, depth + 1), norms, label=label)
    ax.axhspan(1e-10, 1e3, color="0.92", zorder=0, label="range without a warning")
    ax.set(title="Gradients of a 30-layer network at its start", xlabel="layer l", ylabel="gradient norm ||dW[l]||")
    ax.legend(fontsize=8, loc="lower right")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
