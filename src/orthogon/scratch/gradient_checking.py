"""Gradient checking: compare what backward says with what the cost does, and name the layer that lies.

Move one parameter a little up and a little down and look at the cost: its change, divided by that of the parameter,
should be the derivative that backward gives. The two-sided difference has an error of order eps², the one-sided one of
order eps, so take the two-sided. Put all parameters into one long vector theta, do this for each entry, and compare
with backward's gradient by one relative distance: about 1e-7 is good, at 1e-5 look closer, 1e-3 is a bug. Then the same
distance for each W[l] and b[l] alone says where. It costs two forward passes per parameter, so it is for debugging:
small network, float64, the penalty included, dropout off; once at the start and once after some training, since weights
near 0 can hide a bug.

Equations:
    dtheta_approx[i] = (J(theta + eps e_i) - J(theta - eps e_i)) / (2 eps)        eps = 1e-7, error O(eps²)
    score = ||dtheta_approx - dtheta|| / (||dtheta_approx|| + ||dtheta||)

Exceptions:
    torch.autograd.gradcheck compares entry by entry within tolerances; it gives no score.
    Where a whole layer's gradient is nearly 0, rounding alone would score 1: no layer is measured against less than
    1e-4 of the whole gradient.

Product:
    orthogon.training.gradcheck.check_gradients
    torch.autograd.gradcheck
Systems:
    train.numgrad train.gradcheck
Paper:
    Bengio 2012, "Practical recommendations for gradient-based training of deep architectures"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUG = 1e-3
FLOOR = 1e-4  # share of the whole gradient


def two_sided(f: Callable[[float], float], theta: float, eps: float) -> float:
    # (f(theta + eps) - f(theta - eps)) / (2 eps)
    return (f(theta + eps) - f(theta - eps)) / (2 * eps)


def one_sided(f: Callable[[float], float], theta: float, eps: float) -> float:
    # (f(theta + eps) - f(theta)) / eps
    return (f(theta + eps) - f(theta)) / eps


def flatten(parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """All parameters row by row as one vector theta, in the order of their names in the mapping."""
    return np.concatenate([value.ravel() for value in parameters.values()])


def unflatten(theta: np.ndarray, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """theta cut into the names and shapes of `like`."""
    parameters, end = {}, 0
    for name, value in like.items():
        parameters[name] = theta[end : end + value.size].reshape(value.shape)
        end += value.size
    return parameters


@dataclass(frozen=True)
class Check:
    """The score of all of theta, of each parameter by name, the bad names, worst first, and both vectors."""

    score: float
    scores: dict[str, float]
    faulty: list[str]
    dtheta: np.ndarray
    dtheta_approx: np.ndarray

    @property
    def layers(self) -> list[str]:
        """Which layers to look at, the worst first: "layer 2" for W2 or b2."""
        return list(dict.fromkeys(f"layer {name.lstrip('Wb')}" for name in self.faulty))


def check(
    cost: Callable[[dict[str, np.ndarray]], float],
    parameters: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    eps: float = 1e-7,
) -> Check:
    """Compare backward's gradients with the slope of the cost.

    Args:
        cost: J of parameters {"W1": ..., "b1": ..., ...}, with the regularisation term and without dropout.
        parameters: where to compare.
        gradients: dJ/dW1 under "W1", and so on, as backward gives them.
    """
    theta = flatten(parameters)
    dtheta = flatten({name: gradients[name] for name in parameters})
    dtheta_approx = np.empty_like(theta)
    for i in range(len(theta)):

        def J(value: float, i: int = i) -> float:
            moved = theta.copy()
            moved[i] = value
            return cost(unflatten(moved, parameters))

        # dtheta_approx[i] = (J(theta + eps e_i) - J(theta - eps e_i)) / (2 eps)
        dtheta_approx[i] = two_sided(J, theta[i], eps)

    # score = ||dtheta_approx - dtheta|| / (||dtheta_approx|| + ||dtheta||)
    size = float(np.linalg.norm(dtheta_approx) + np.linalg.norm(dtheta))
    score = float(np.linalg.norm(dtheta_approx - dtheta)) / max(size, 1e-300)
    approx = unflatten(dtheta_approx, parameters)
    scores = {}
    for name, g in unflatten(dtheta, parameters).items():
        own = float(np.linalg.norm(approx[name]) + np.linalg.norm(g))
        scores[name] = float(np.linalg.norm(approx[name] - g)) / max(own, FLOOR * size, 1e-300)
    faulty = sorted((name for name in scores if scores[name] > BUG), key=lambda name: -scores[name])
    return Check(score, scores, faulty, dtheta, dtheta_approx)


def demo() -> Figure:
    from matplotlib.figure import Figure

    from orthogon.scratch import deep_network

    print("slope of theta³ at 1, which is 3:")
    for eps in (0.01, 0.001):
        both, one = (difference(lambda theta: theta**3, 1.0, eps) for difference in (two_sided, one_sided))
        print(f"  eps {eps:<6} two-sided {both:.6f}, one-sided {one:.6f}")

    rng = np.random.default_rng(0)
    n, g = (4, 5, 6, 3), ("tanh", "tanh", "softmax")
    X, Y = rng.standard_normal((4, 7)), np.eye(3)[:, rng.integers(0, 3, 7)]
    parameters = deep_network.initialise(n, rng)

    def cost(parameters: dict[str, np.ndarray]) -> float:
        return deep_network.cost(deep_network.forward(X, parameters, g)[1][-1][1], Y, "softmax")

    A, caches = deep_network.forward(X, parameters, g)
    gradients, _ = deep_network.backward(A, Y, parameters, caches, g)
    good = check(cost, parameters, gradients)
    bad = check(cost, parameters, {**gradients, "b2": 2 * gradients["b2"]})  # the planted bug
    for name, found in (("backward as it should be", good), ("db2 doubled", bad)):
        where = f"look at {', '.join(found.layers)}: {', '.join(found.faulty)}" if found.faulty else "good"
        print(f"{name}: score {found.score:.1e}; {where}")

    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    eps_grid = np.geomspace(1e-13, 1e-1, 61)
    for name, difference in (("one-sided", one_sided), ("two-sided", two_sided)):
        errors = [abs(difference(np.exp, 1.0, float(eps)) - np.e) for eps in eps_grid]
        left.loglog(eps_grid, errors, ".-", markersize=4, label=name)
    left.set(title="Slope of e^theta at 1: too small a step rounds", xlabel="eps", ylabel="error of the slope")
    left.legend()
    place = np.arange(len(good.scores))
    right.bar(place - 0.2, list(good.scores.values()), width=0.4, label="correct")
    right.bar(place + 0.2, list(bad.scores.values()), width=0.4, label="db2 doubled")
    right.axhline(BUG, color="k", linestyle=":", linewidth=1, label="a bug above this")
    right.set(title="Score of each parameter", xlabel="parameter", ylabel="score", yscale="log", ylim=(1e-12, 10))
    right.set_xticks(place, list(good.scores))
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
