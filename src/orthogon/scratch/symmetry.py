"""Symmetry: units that start equal stay equal.

Two hidden units with the same weights compute the same answer, get the same gradient and take the same step, so they
are the same unit for ever, and a layer of a hundred does the work of one. All weights zero is the worst case: with tanh
nothing but the output's bias moves at all. Random first weights break the tie; small ones, randn × 0.01, keep sigmoid
and tanh on the steep part of their curve, which is fine in shallow nets (deep ones want a scale by width). Biases may
start at 0: the weights already differ. Logistic regression has no hidden units and may start at zeros.

Equations:
    W[l] = randn(n[l], n[l-1]) × 0.01       b[l] = 0
    equal rows of W1 and b1, equal columns of W2:  equal A1, dZ1, dW1, so equal for ever

Product:
    orthogon.nn.init.initialise_        # "zeros", a standard deviation, or a scale by width
Systems:
    net.symmetry
Paper:
    Rumelhart, Hinton & Williams 1986, "Learning internal representations by error propagation"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.shallow_network import Parameters, initialise, predict, train
from orthogon.scratch.toy_data import flower

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def constant(n_x: int, n_h: int, value: float) -> Parameters:
    """Every weight of a shallow network the same, biases 0."""
    return {
        "W1": np.full((n_h, n_x), value),
        "b1": np.zeros((n_h, 1)),
        "W2": np.full((1, n_h), value),
        "b2": np.zeros((1, 1)),
    }


def unit_spread(parameters: Parameters) -> float:
    """The largest difference between two hidden units in any number they hold; 0 = all units are one."""
    units = np.concatenate([parameters["W1"], parameters["b1"], parameters["W2"].T], axis=1)  # a row for each unit
    return float(np.ptp(units, axis=0).max())


def demo() -> Figure:
    from matplotlib.figure import Figure

    X, Y = flower(400, np.random.RandomState(1))
    starts = {
        "all 0": constant(2, 4, 0.0),
        "all 0.01": constant(2, 4, 0.01),
        "randn × 0.01": initialise(2, 4, np.random.RandomState(2)),
    }
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    print("four tanh units on a flower, 2,000 steps")
    for ax, (name, parameters) in zip(axes, starts.items(), strict=True):
        path = [parameters["W1"][:, 0]]
        for _ in range(40):
            parameters, _ = train(X, Y, parameters, alpha=1.2, steps=50)
            path.append(parameters["W1"][:, 0])
        accuracy = np.mean(predict(X, parameters) == Y)
        print(f"{name:<13} units apart by {unit_spread(parameters):7.4f}, {accuracy:.1%} right")
        for unit, style in enumerate(("-", "--", "-.", ":")):
            weight, width = np.array(path)[:, unit], 3 - 0.6 * unit
            ax.plot(50 * np.arange(41), weight, style, linewidth=width, label=f"unit {unit + 1}")
        ax.set(title=f"{name}: {accuracy:.0%} right", xlabel="step", ylabel="weight of x1 in each hidden unit")
        ax.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
