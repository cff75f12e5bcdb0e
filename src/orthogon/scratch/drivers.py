"""Drivers: data, computation and algorithms are what made deep networks work.

Plot the dev error against the number of training examples for three sizes of network. With few examples the curves lie
together and hand-made features may well win; with many the small network levels off while the large one goes on to
improve. So more data pays only with a large enough network, and a large network only with enough data. Algorithms are
the third driver: ReLU in place of sigmoid lets gradients through, and the same network reaches the same loss in far
fewer steps. All three shorten the loop of idea, code and experiment, and that is what progress is made of.

Equations:
    dev error (m, n_h) = share of wrong answers on new examples, after training n_h hidden units on m examples
    steps(g) = the first step with J < target, same network, same seed, activation g

Product:
    orthogon.api.Run.curve              # orthogon diagnose --curve, by examples; --width-curve, by the network's width
    sklearn.model_selection.learning_curve
Systems:
    net.drivers
Paper:
    Hestness et al. 2017, "Deep learning scaling is predictable, empirically", arXiv:1712.00409
    Glorot, Bordes & Bengio 2011, "Deep sparse rectifier neural networks"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch import deep_network
from orthogon.scratch.toy_data import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(
    X: np.ndarray,
    Y: np.ndarray,
    X_dev: np.ndarray,
    Y_dev: np.ndarray,
    sizes: Sequence[int],
    ms: Sequence[int],
    alpha: float = 0.3,
    steps: int = 200,
    seed: int = 0,
) -> dict[int, list[float]]:
    """Dev error by number of hidden ReLU units, for the first m training examples, each m of `ms`.

    Args:
        X, Y: training examples (n_x, m), in random order, and one-hot classes (C, m).
        X_dev, Y_dev: the same of the dev set.
    """
    curves: dict[int, list[float]] = {n_h: [] for n_h in sizes}
    g = ("relu", "softmax")
    for n_h, curve in curves.items():
        for m in ms:
            start = deep_network.initialise((len(X), n_h, len(Y)), np.random.default_rng(seed))
            parameters, _ = deep_network.train(X[:, :m], Y[:, :m], start, g, alpha, steps)
            curve.append(deep_network.error_rate(X_dev, Y_dev, parameters, g))
    return curves


def draw(ax: Axes, ms: Sequence[int], curves: Mapping[int, Sequence[float]]) -> None:
    """Plot the dev errors of `learning_curves` against m, a line for each size."""
    for n_h, curve in curves.items():
        ax.plot(ms, 100 * np.array(curve), "o-", label=f"{n_h} hidden units")
    ax.set(title="More data pays in larger networks", xlabel="training examples m", ylabel="dev error, %")
    ax.set(xscale="log", ylim=(0, 100))
    ax.set_xticks(ms, [str(m) for m in ms])
    ax.minorticks_off()
    ax.legend()


def costs_by_activation(
    X: np.ndarray,
    Y: np.ndarray,
    hidden: Sequence[int],
    activations: Sequence[str] = ("sigmoid", "relu"),
    alpha: float = 0.3,
    steps: int = 200,
    seed: int = 0,
) -> dict[str, list[float]]:
    """The cost before each step for each hidden activation, from the same first weights."""
    n = (len(X), *hidden, len(Y))
    start = deep_network.initialise(n, np.random.default_rng(seed))
    return {g: deep_network.train(X, Y, start, (*[g] * len(hidden), "softmax"), alpha, steps)[1] for g in activations}


def first_below(costs: Sequence[float], target: float) -> int | None:
    """The first step with J < target; None if there is none."""
    return next((step for step, J in enumerate(costs) if target > J), None)


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    X, Y = digits(640, rng)
    X_dev, Y_dev = digits(400, rng)
    ms, sizes = (20, 40, 80, 160, 320, 640), (3, 10, 40)
    curves = learning_curves(X, Y, X_dev, Y_dev, sizes, ms, steps=400)
    print("dev error by training examples m")
    print("hidden units" + "".join(f"{m:>8}" for m in ms))
    for n_h, curve in curves.items():
        print(f"{n_h:>12}" + "".join(f"{error:>8.1%}" for error in curve))
    costs = costs_by_activation(X[:, :320], Y[:, :320], hidden=(40, 40))
    for g, J in costs.items():
        step = first_below(J, 0.5)
        print(f"{g}: J < 0.5 " + ("not within 200 steps" if step is None else f"after {step} steps"))

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, ms, curves)
    for g, J in costs.items():
        right.plot(J, label=g)
    right.set(title="Same network, same first weights", xlabel="step", ylabel="training cost J in nats", ylim=(0, None))
    right.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
