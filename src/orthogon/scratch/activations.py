"""Activations: the bend after each layer's sum, and its slope on the way back.

A hidden unit computes a = g(z). Sigmoid squeezes into (0, 1) and fits a yes-no output; in hidden layers it is poor,
because its slope is at most 1/4 and close to 0 for large |z|, so gradients die on the way back. tanh is a sigmoid
stretched to (-1, 1); its mean is near 0, which suits the next layer better, but it saturates as well. ReLU, max(0, z),
has slope 1 for every z > 0 and is the default for hidden layers. Leaky ReLU keeps a small slope below 0, so that a
unit that is never positive can still learn.

Equations:
    sigmoid(z) = 1 / (1 + e^-z)                       slope a (1 - a) <= 1/4
    tanh(z) = (e^z - e^-z) / (e^z + e^-z) = 2 sigmoid(2 z) - 1      slope 1 - a²
    relu(z) = max(0, z)                               slope 0 for z < 0, 1 for z > 0
    leaky(z) = max(0.01 z, z)                         slope 0.01 for z < 0, 1 for z > 0

Exceptions:
    At z = 0 ReLU has no slope; we take 0, as PyTorch does, and leaky ReLU's there is 0.01, as PyTorch's.

Product:
    torch.nn.Sigmoid torch.nn.Tanh torch.nn.ReLU torch.nn.LeakyReLU
    orthogon.models.mlp.MLP                 # activation="relu"
Systems:
    net.sigmoid net.tanh net.relu net.leaky-relu
Paper:
    Glorot, Bordes & Bengio 2011, "Deep sparse rectifier neural networks"
    Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sigmoid(Z: np.ndarray) -> np.ndarray:
    # 1 / (1 + e^-z), with e^-|z| so that nothing overflows: for z < 0 it is e^z / (1 + e^z)
    e = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1.0, e) / (1 + e)


def sigmoid_slope(Z: np.ndarray) -> np.ndarray:
    A = sigmoid(Z)
    # a (1 - a)
    return A * (1 - A)


def tanh(Z: np.ndarray) -> np.ndarray:
    return np.tanh(Z)


def tanh_slope(Z: np.ndarray) -> np.ndarray:
    # 1 - a²
    return 1 - np.tanh(Z) ** 2


def relu(Z: np.ndarray) -> np.ndarray:
    # max(0, z)
    return np.maximum(0.0, Z)


def relu_slope(Z: np.ndarray) -> np.ndarray:
    return (Z > 0).astype(np.float64)  # 0 at z = 0


def leaky_relu(Z: np.ndarray, slope: float = 0.01) -> np.ndarray:
    # max(0.01 z, z)
    return np.maximum(slope * Z, Z)


def leaky_relu_slope(Z: np.ndarray, slope: float = 0.01) -> np.ndarray:
    return np.where(Z > 0, 1.0, slope)


def identity(Z: np.ndarray) -> np.ndarray:
    return Z


def identity_slope(Z: np.ndarray) -> np.ndarray:
    return np.ones_like(Z)


# name -> g and its slope g'
ACTIVATIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (tanh, tanh_slope),
    "relu": (relu, relu_slope),
    "leaky_relu": (leaky_relu, leaky_relu_slope),
    "identity": (identity, identity_slope),
}


def demo() -> Figure:
    from matplotlib.figure import Figure

    table = np.array([-10.0, -2.0, 0.0, 1.0, 3.0, 10.0])
    print("value, slope    " + "".join(f"{'z = ' + format(z, 'g'):>17}" for z in table))
    for name in ("sigmoid", "tanh", "relu", "leaky_relu"):
        g, slope = ACTIVATIONS[name]
        cells = (f"{a:9.4f}, {s:6.4f}" for a, s in zip(g(table), slope(table), strict=True))
        print(f"{name:<16}" + "".join(f"{cell:>17}" for cell in cells))
    print(f"A gradient through ten sigmoids keeps at most 0.25^10 = {0.25**10:.1e} of its size; through ReLUs, all.")
    Z = np.random.default_rng(0).standard_normal(100_000)
    print(f"Mean activation on N(0, 1): sigmoid {sigmoid(Z).mean():.3f}, tanh {round(tanh(Z).mean(), 3) + 0:.3f}")

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(2, 4, sharex=True)
    z = np.linspace(-6, 6, 401)
    titles = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "leaky_relu": "leaky ReLU, 0.01"}
    for column, (name, title) in enumerate(titles.items()):
        g, slope = ACTIVATIONS[name]
        axes[0, column].plot(z, g(z))
        axes[0, column].set(title=title)
        axes[1, column].plot(z, slope(z), color="C3")
        axes[1, column].set(xlabel="z", ylim=(-0.05, 1.05))
        for ax in axes[:, column]:
            ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes[0, 0].set_ylabel("value a = g(z)")
    axes[1, 0].set_ylabel("slope g'(z)")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
