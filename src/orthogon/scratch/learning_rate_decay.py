"""Learning-rate decay: long steps first, short ones at the end.

With mini-batches the gradient is noisy, and at a constant learning rate the weights never settle. They wander around
the minimum in a ball whose size goes with alpha. A smaller alpha gives a smaller ball but a slower way there. So start
large and shrink it: smoothly with the number of passes, by a root, in stairs, or by hand. Find a good first alpha
before you tune its decay; it matters more.

Equations:
    inverse        alpha = alpha0 / (1 + rate epoch)                     epoch = 1, 2, ...
    exponential    alpha = base^epoch alpha0                             base = 0.95
    root           alpha = k / sqrt(epoch) alpha0   or  k / sqrt(t) alpha0, t = number of the mini-batch
    staircase      alpha = alpha0 / (1 + floor((epoch - 1) / every))
    manual         alpha = the rate given for the last epoch reached

Exceptions:
    torch.optim.lr_scheduler counts epochs from 0; we count from 1, so the first epoch is decayed already.

Product:
    orthogon.training.schedules.Schedule         # schedule: inverse, exponential, inverse_sqrt, staircase, manual
Systems:
    opt.decay
Paper:
    Robbins & Monro 1951, "A stochastic approximation method"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def inverse(alpha0: float, epoch: int, rate: float = 1.0) -> float:
    # alpha = alpha0 / (1 + rate epoch)
    return alpha0 / (1 + rate * epoch)


def exponential(alpha0: float, epoch: int, base: float = 0.95) -> float:
    # alpha = base^epoch alpha0
    return base**epoch * alpha0


def root(alpha0: float, epoch: int, k: float = 1.0) -> float:
    """`epoch` may as well be t, the number of the mini-batch from 1."""
    # alpha = k / sqrt(epoch) alpha0
    return float(k / np.sqrt(epoch) * alpha0)


def staircase(alpha0: float, epoch: int, every: int) -> float:
    # alpha = alpha0 / (1 + floor((epoch - 1) / every))
    return alpha0 / (1 + (epoch - 1) // every)


def manual(alpha0: float, epoch: int, rates: Mapping[int, float]) -> float:
    """`rates` maps an epoch to the rate that holds from it on; alpha0 holds before the first."""
    reached = [first for first in rates if first <= epoch]
    # alpha = the rate given for the last epoch reached
    return rates[max(reached)] if reached else alpha0


def noisy_descent(alphas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """w after each step on f = w²/2 from w = 5, where every gradient carries N(0, 1) noise; (steps,)."""
    w, path = 5.0, []
    for alpha in alphas:
        w = w - alpha * (w + rng.standard_normal())
        path.append(w)
    return np.array(path)


def demo() -> Figure:
    from matplotlib.figure import Figure

    epochs = range(1, 6)
    print("alpha0 0.2            epoch 1       2       3       4       5")
    table = {
        "inverse, rate 1": [inverse(0.2, e) for e in epochs],
        "exponential, 0.95": [exponential(0.2, e) for e in epochs],
        "root, k 1": [root(0.2, e) for e in epochs],
        "staircase, every 2": [staircase(0.2, e, 2) for e in epochs],
        "manual, 3: 0.01": [manual(0.2, e, {3: 0.01}) for e in epochs],
    }
    for name, rates in table.items():
        print(f"{name:<22}" + "".join(f"{alpha:8.4f}" for alpha in rates))

    long = np.arange(1, 301)
    ways = {
        "constant 0.5": np.full(300, 0.5),
        "constant 0.01": np.full(300, 0.01),
        "0.5, inverse, rate 0.1": np.array([inverse(0.5, int(e), 0.1) for e in long]),
    }
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    smooth = np.arange(1, 41)
    left.plot(smooth, [inverse(0.2, int(e), 0.2) for e in smooth], label="inverse, rate 0.2")
    left.plot(smooth, [exponential(0.2, int(e)) for e in smooth], label="exponential, 0.95")
    left.plot(smooth, [root(0.2, int(e)) for e in smooth], label="root, k 1")
    left.step(smooth, [staircase(0.2, int(e), 10) for e in smooth], where="post", label="staircase, every 10")
    left.set(title="Forms of decay, alpha0 = 0.2", xlabel="epoch", ylabel="learning rate alpha", ylim=(0, 0.21))
    left.legend(fontsize=8)
    print("f = w²/2 from 5 with noisy gradients, 300 steps; root mean square of w over the last 50, 200 runs:")
    for name, alphas in ways.items():
        rng = np.random.default_rng(1)
        paths = np.array([noisy_descent(alphas, rng) for _ in range(200)])
        right.plot(long, np.sqrt(np.mean(paths**2, axis=0)), label=name)
        print(f"  {name:<24}{np.sqrt(np.mean(paths[:, -50:] ** 2)):.3f}")
    right.set(
        title="Distance from the minimum, 200 noisy runs", xlabel="step", ylabel="root mean square of w", yscale="log"
    )
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
