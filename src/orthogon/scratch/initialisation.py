"""Initialisation: random weights of a size that keeps signals alive through many layers.

A unit adds up n_in inputs, so with weights of variance v its sum has n_in v times the variance of its inputs. Choose v
so that this factor is 1 and the signal keeps its size from layer to layer; a factor of 0.9 or 1.1 is fatal after a
hundred layers, because it is multiplied with itself. ReLU sets half of its inputs to 0 and so halves the mean square:
it needs twice the variance. tanh is close to the identity around 0 and takes 1/n_in, or Glorot's mean of the forward
and the backward condition. Biases start at 0; weights must not, or all units of a layer stay equal.

Equations:
    he       Var(w) = 2 / n_in               ReLU
    xavier   Var(w) = 1 / n_in               tanh
    glorot   Var(w) = 2 / (n_in + n_out)     tanh, forward and backward
    W[l] = randn(n[l], n[l-1]) sqrt(Var(w))      b[l] = 0

Exceptions:
    torch.nn.Linear's own default is uniform with Var(w) = 1 / (3 n_in): "pytorch" in orthogon.nn.init.

Product:
    orthogon.nn.init.initialise_             # initialise_(network, "he")
Systems:
    train.init
Paper:
    He et al. 2015, "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification"
    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.activations import ACTIVATIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def weight_variance(scheme: str, n_in: int, n_out: int) -> float:
    """Var(w) of a layer with n_in inputs and n_out units under "he", "xavier" or "glorot".

    Raises:
        KeyError: no such scheme.
    """
    # he: Var(w) = 2 / n_in;  xavier: Var(w) = 1 / n_in;  glorot: Var(w) = 2 / (n_in + n_out)
    return {"he": 2 / n_in, "xavier": 1 / n_in, "glorot": 2 / (n_in + n_out)}[scheme]


def first_weights(n_out: int, n_in: int, scheme: str | float, rng: np.random.Generator) -> np.ndarray:
    """W (n_out, n_in) of one layer; `scheme` is a name of `weight_variance`, or the standard deviation itself."""
    sd = np.sqrt(weight_variance(scheme, n_in, n_out)) if isinstance(scheme, str) else scheme
    # W[l] = randn(n[l], n[l-1]) sqrt(Var(w))
    return rng.standard_normal((n_out, n_in)) * sd


def signal_sizes(X: np.ndarray, layers: int, activation: str, scheme: str | float, seed: int) -> np.ndarray:
    """Root mean square of X (n, m) and of the activations of `layers` layers of n units each, (layers + 1,)."""
    rng = np.random.default_rng(seed)
    g, _ = ACTIVATIONS[activation]
    A = X
    sizes = [np.sqrt(np.mean(A**2))]
    for _ in range(layers):
        A = g(first_weights(len(X), len(X), scheme, rng) @ A)  # b[l] = 0
        sizes.append(np.sqrt(np.mean(A**2)))
    return np.array(sizes)


def demo() -> Figure:
    from matplotlib.figure import Figure

    X = np.random.default_rng(0).standard_normal((256, 100))
    schemes: list[tuple[str, str | float, str]] = [
        ("relu", 1.0, "ReLU, sd 1"),
        ("relu", "he", "ReLU, he: sd √(2/256)"),
        ("relu", "xavier", "ReLU, xavier: sd √(1/256)"),
        ("relu", 0.01, "ReLU, sd 0.01"),
        ("tanh", "xavier", "tanh, xavier: sd √(1/256)"),
        ("tanh", 0.01, "tanh, sd 0.01"),
    ]
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    ax = figure.subplots()
    print("50 layers of 256 units, N(0, 1) in: root mean square out")
    for activation, scheme, label in schemes:
        sizes = signal_sizes(X, 50, activation, scheme, seed=1)
        print(f"  {label:<28}{sizes[-1]:8.1e}")
        ax.semilogy(sizes, "--" if activation == "tanh" else "-", label=label)
    print("Only the scaled ones leave something for a loss to see, and for a gradient to come back from.")
    ax.set(title="The size of a signal through 50 layers", xlabel="layer", ylabel="root mean square of activations")
    ax.legend(fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
