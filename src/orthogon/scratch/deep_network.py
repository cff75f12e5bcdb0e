"""Deep network: the same layer L times, forward and back.

Every layer does one thing, a matrix product, a bias and a bend; a loop over layers makes it a deep network. Forward
keeps what backward will need: each layer's input A[l-1] and sum Z[l]. Backward walks the layers in reverse; each turns
the gradient of its output into that of its weights, its bias and its input, and hands the last one down. The output
layer and its loss are chosen as a pair (sigmoid with binary cross-entropy, softmax with cross-entropy, identity with
half the squared error), and for each pair the output error is simply A[L] - Y. W and b are learned; the widths, the
activations, alpha, the number of steps and the scale of the first weights are hyper-parameters: somebody sets them.

Equations:
    Z[l] = W[l] A[l-1] + b[l]            A[l] = g[l](Z[l])           A[0] = X (n[0], m)
    dZ[L] = A[L] - Y
    dW[l] = (1/m) dZ[l] A[l-1]ᵀ          db[l] = (1/m) sum over m of dZ[l]
    dA[l-1] = W[l]ᵀ dZ[l]                dZ[l-1] = dA[l-1] * g[l-1]'(Z[l-1])
    W[l] <- W[l] - alpha dW[l]           b[l] <- b[l] - alpha db[l]

Product:
    orthogon.models.mlp.MLP
    orthogon.training.loop.fit
Systems:
    net.deep net.hyper
Paper:
    Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", Nature 323
    He et al. 2015, "Delving deep into rectifiers" (scale of the first weights)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.activations import ACTIVATIONS, identity, sigmoid
from orthogon.scratch.losses import binary_cross_entropy_from_scores, softmax_cross_entropy_from_scores
from orthogon.scratch.softmax import softmax
from orthogon.scratch.toy_data import Randomness, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Parameters = dict[str, np.ndarray]
Cache = tuple[np.ndarray, np.ndarray]  # of one layer: its input A[l-1] and its sum Z[l]

OUTPUTS = {"sigmoid": sigmoid, "softmax": softmax, "identity": identity}


def initialise(n: Sequence[int], rng: Randomness, gain: float = 2.0) -> Parameters:
    """W1, b1, ..., WL, bL for n = (n[0], ..., n[L]): weights from N(0, gain / n[l-1]), biases 0.

    gain 2 suits ReLU, 1 suits tanh.
    """
    parameters = {}
    for layer in range(1, len(n)):
        parameters[f"W{layer}"] = rng.standard_normal((n[layer], n[layer - 1])) * np.sqrt(gain / n[layer - 1])
        parameters[f"b{layer}"] = np.zeros((n[layer], 1))
    return parameters


def forward(X: np.ndarray, parameters: Parameters, g: Sequence[str]) -> tuple[np.ndarray, list[Cache]]:
    """A[L] (n[L], m), and each layer's cache, the first layer's first.

    Args:
        X: examples in columns (n[0], m).
        parameters: W1, b1, ..., WL, bL.
        g: activation of each layer: a key of ACTIVATIONS, the last one of OUTPUTS.
    """
    A, caches = X, []
    for layer, name in enumerate(g, start=1):
        # Z[l] = W[l] A[l-1] + b[l]
        Z = parameters[f"W{layer}"] @ A + parameters[f"b{layer}"]
        caches.append((A, Z))
        # A[l] = g[l](Z[l])
        A = OUTPUTS[name](Z) if layer == len(g) else ACTIVATIONS[name][0](Z)
    return A, caches


def cost(Z: np.ndarray, Y: np.ndarray, output: str) -> float:
    """J of the last layer's sums Z (n[L], m) and targets Y (n[L], m), by the loss that goes with the output."""
    m = Y.shape[1]
    if output == "sigmoid":
        L = binary_cross_entropy_from_scores(Z, Y)[0]
    elif output == "softmax":
        L = softmax_cross_entropy_from_scores(Z, Y)[0]
    else:
        L = 0.5 * (Z - Y) ** 2
    return float(L.sum() / m)


def backward(
    A: np.ndarray, Y: np.ndarray, parameters: Parameters, caches: list[Cache], g: Sequence[str]
) -> tuple[Parameters, np.ndarray]:
    """The gradients of J under the names of their parameters, and dJ/dX (n[0], m)."""
    m = Y.shape[1]
    gradients: Parameters = {}
    # dZ[L] = A[L] - Y
    dZ = A - Y
    for layer in range(len(g), 0, -1):
        A_prev, _ = caches[layer - 1]
        # dW[l] = (1/m) dZ[l] A[l-1]ᵀ
        gradients[f"W{layer}"] = dZ @ A_prev.T / m
        # db[l] = (1/m) sum over m of dZ[l]
        gradients[f"b{layer}"] = dZ.sum(axis=1, keepdims=True) / m
        # dA[l-1] = W[l]ᵀ dZ[l]
        dA = parameters[f"W{layer}"].T @ dZ
        if layer > 1:
            # dZ[l-1] = dA[l-1] * g[l-1]'(Z[l-1])
            dZ = dA * ACTIVATIONS[g[layer - 2]][1](caches[layer - 2][1])
    return gradients, dA / m


def step(parameters: Parameters, gradients: Parameters, alpha: float) -> Parameters:
    # W[l] <- W[l] - alpha dW[l], b[l] <- b[l] - alpha db[l]
    return {name: value - alpha * gradients[name] for name, value in parameters.items()}


def train(
    X: np.ndarray, Y: np.ndarray, parameters: Parameters, g: Sequence[str], alpha: float, steps: int
) -> tuple[Parameters, list[float]]:
    """Gradient descent on all m examples from `parameters`, which stay as they are; and the cost before each step."""
    costs = []
    for _ in range(steps):
        A, caches = forward(X, parameters, g)
        costs.append(cost(caches[-1][1], Y, g[-1]))
        gradients, _ = backward(A, Y, parameters, caches, g)
        parameters = step(parameters, gradients, alpha)
    return parameters, costs


def error_rate(X: np.ndarray, Y: np.ndarray, parameters: Parameters, g: Sequence[str]) -> float:
    """Share of wrong answers: of the largest output for C classes, of "more than 0.5" for one."""
    A, _ = forward(X, parameters, g)
    if len(Y) == 1:
        return float(np.mean((A > 0.5) != (Y > 0.5)))
    return float(np.mean(A.argmax(axis=0) != Y.argmax(axis=0)))


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    X, Y = digits(1000, rng)
    X_dev, Y_dev = digits(300, rng)
    n, g = (64, 32, 16, 10), ("relu", "relu", "softmax")
    parameters = initialise(n, rng)
    first_error = error_rate(X_dev, Y_dev, parameters, g)
    print(f"Digits of 8x8 pixels, n = {n}, {' - '.join(g)}; {sum(p.size for p in parameters.values()):,} parameters")
    A, caches = forward(X, parameters, g)
    gradients, _ = backward(A, Y, parameters, caches, g)
    nudged = {name: value.copy() for name, value in parameters.items()}
    nudged["W2"][3, 5] += 1e-6
    slope = (cost(forward(X, nudged, g)[1][-1][1], Y, "softmax") - cost(caches[-1][1], Y, "softmax")) / 1e-6
    print(f"one weight of layer 2: backward says {gradients['W2'][3, 5]:.6f}, a nudge says {slope:.6f}")
    trained, costs = train(X, Y, parameters, g, alpha=0.2, steps=300)
    for i in (0, 50, 100, 200, 299):
        print(f"step {i:>3}: J = {costs[i]:.4f}")
    train_error, dev_error = error_rate(X, Y, trained, g), error_rate(X_dev, Y_dev, trained, g)
    print(f"error on 300 new digits: {first_error:.1%} before, {dev_error:.1%} after; on those seen {train_error:.1%}")

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    grid = figure.add_gridspec(2, 9)
    ax = figure.add_subplot(grid[:, :4])
    ax.plot(costs)
    ax.set(title="Cost on the training set", xlabel="step", ylabel="J in nats", ylim=(0, None))
    A, _ = forward(X_dev[:, :10], trained, g)
    for i in range(10):
        ax = figure.add_subplot(grid[i // 5, 4 + i % 5])
        ax.imshow(X_dev[:, i].reshape(8, 8), cmap="gray_r")
        said, true = A[:, i].argmax(), Y_dev[:, i].argmax()
        ax.set_title(f"says {said}" + ("" if said == true else f", is {true}"), fontsize=9)
        ax.set_axis_off()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
