"""Cross-entropy: the price of a probability is minus its logarithm.

A model that says a for "yes" gives the label y the probability a^y (1 - a)^(1 - y). Training makes the labels as
probable as it can, which is to make the negative logarithm small; for C classes it is minus the logarithm of what the
true class was given. Being sure and wrong costs without bound: that is what a loss in probabilities must do. Squared
error on a sigmoid is no good here, it is flat just where the answer is sure and wrong. Compute the loss from z, not
from a: at z = 1000 the probability rounds to 1 and the logarithm of 0 is not finite, while the loss itself is 1000.

Equations:
    L = -[y log a + (1 - y) log(1 - a)]           da = -y/a + (1 - y)/(1 - a)
    from z:  L = max(z, 0) - y z + log(1 + e^-|z|)        dz = a - y
    C classes:  L = -sum_j y_j log a_j            dz = a - y
    from z:  L = log sum_j e^z_j - sum_j y_j z_j
    J = (1/m) sum L

Product:
    orthogon.nn.losses.binary_cross_entropy
    orthogon.nn.losses.softmax_cross_entropy
    torch.nn.BCEWithLogitsLoss torch.nn.CrossEntropyLoss
Systems:
    net.bce net.softmax-loss
Paper:
    Good 1952, "Rational decisions", Journal of the Royal Statistical Society B 14
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.activations import sigmoid
from orthogon.scratch.softmax import softmax

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def binary_cross_entropy(A: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of each probability and its slope dL/da; A strictly between 0 and 1, Y of the same shape in [0, 1]."""
    # L = -[y log a + (1 - y) log(1 - a)]
    L = -(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    # da = -y/a + (1 - y)/(1 - a)
    dA = -Y / A + (1 - Y) / (1 - A)
    return L, dA


def binary_cross_entropy_from_scores(Z: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of each score z and its slope dL/dz; finite for any finite z."""
    # L = max(z, 0) - y z + log(1 + e^-|z|)
    L = np.maximum(Z, 0) - Y * Z + np.log1p(np.exp(-np.abs(Z)))
    # dz = a - y
    dZ = sigmoid(Z) - Y
    return L, dZ


def softmax_cross_entropy(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Loss of each example, (1, m), from probabilities A (C, m) and one-hot Y (C, m)."""
    # L = -sum_j y_j log a_j; classes with y_j = 0 cost nothing, also where a_j = 0
    log_a = np.log(A, out=np.zeros_like(A), where=Y > 0)
    return -(Y * log_a).sum(axis=0, keepdims=True)


def softmax_cross_entropy_from_scores(Z: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of each example, (1, m), from scores Z (C, m), and its slope dL/dZ (C, m); finite for any finite Z."""
    top = Z.max(axis=0, keepdims=True)
    # L = log sum_j e^z_j - sum_j y_j z_j, with the largest score taken out of both
    L = np.log(np.exp(Z - top).sum(axis=0, keepdims=True)) - (Y * (Z - top)).sum(axis=0, keepdims=True)
    # dz = a - y
    dZ = softmax(Z) - Y
    return L, dZ


def demo() -> Figure:
    from matplotlib.figure import Figure

    print("label 1, the model says a:")
    said = np.array([0.99, 0.9, 0.5, 0.1, 0.01])
    L, dA = binary_cross_entropy(said, np.ones(5))
    for i in range(5):
        print(f"  a = {said[i]:<4g}  loss {L[i]:.4f}, slope dL/da {dA[i]:8.3f}")
    Y = np.array([[0.0], [1.0], [0.0], [0.0]])
    A = np.array([[0.3], [0.2], [0.1], [0.4]])
    print(f"four classes, the true one was given 0.2: loss {softmax_cross_entropy(A, Y)[0, 0]:.6f} = -log 0.2")
    Z = np.array([-1000.0, 0.0, 1000.0])
    L, dZ = binary_cross_entropy_from_scores(Z, np.ones(3))
    for i in range(3):
        print(f"label 1, score z = {Z[i]:>5g}: loss {L[i]:9.4f}, slope dL/dz {dZ[i]:.1f}")

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    a = np.linspace(0.005, 0.995, 300)
    left.plot(a, binary_cross_entropy(a, np.ones(300))[0], label="y = 1:  -log a")
    left.plot(a, binary_cross_entropy(a, np.zeros(300))[0], label="y = 0:  -log(1 - a)")
    left.set(title="Loss of a probability", xlabel="predicted probability a of yes", ylabel="loss L in nats")
    left.legend()
    z = np.linspace(-8, 8, 300)
    s = sigmoid(z)
    right.plot(z, binary_cross_entropy_from_scores(z, np.ones(300))[1], label="cross-entropy: a - y")
    right.plot(z, 2 * (s - 1) * s * (1 - s), "--", label="squared error of the sigmoid")
    right.set(title="Slope for y = 1: only one still pulls when wrong", xlabel="score z", ylabel="slope dL/dz")
    right.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
