"""Exponentially weighted average: a running mean that forgets.

Keep one number, and at each new value take beta of the old average and 1 - beta of the value. A value k steps back
counts (1 - beta) beta^k, so it is an average over about the last 1/(1 - beta) values: after so many steps a value's
weight has fallen to about 1/e of its first. It costs one number of memory instead of a window of values. Starting from
0 it is too low at first, because the weights add up to 1 - beta^t only; divide by that to correct it. Momentum,
RMSprop, Adam and batch norm all rest on this average.

Equations:
    V_t = beta V_(t-1) + (1 - beta) theta_t      V_0 = 0
    V_t = (1 - beta) sum_k beta^k theta_(t-k)    the weights add to 1 - beta^t
    corrected: V_t / (1 - beta^t)

Product:
    orthogon.training.weights.Average            # of the weights themselves: training.ema_decay
    torch.optim.swa_utils.get_ema_avg_fn
Systems:
    opt.ewma opt.ewma-bias
Paper:
    Hunter 1986, "The exponentially weighted moving average", Journal of Quality Technology 18
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def average(V: np.ndarray, theta: np.ndarray, beta: float) -> np.ndarray:
    """The next average, from the last one and the next value, of any one shape."""
    # V_t = beta V_(t-1) + (1 - beta) theta_t
    return beta * V + (1 - beta) * theta


def correct(V: np.ndarray, beta: float, t: int) -> np.ndarray:
    """The t-th average, t from 1, without its start at 0."""
    # V_t / (1 - beta^t)
    return V / (1 - beta**t)


def averages(theta: np.ndarray, beta: float, corrected: bool = False) -> np.ndarray:
    """All averages of a series theta (T,), from V_0 = 0; (T,)."""
    V, found = np.zeros(()), []
    for t, value in enumerate(theta, start=1):
        V = average(V, value, beta)
        found.append(correct(V, beta, t) if corrected else V)
    return np.array(found)


def demo() -> Figure:
    from matplotlib.figure import Figure

    theta = np.array([40.0, 49, 45, 44, 50])
    print(f"theta        {theta}")
    print(f"V, beta 0.9  {averages(theta, 0.9)}")
    print(f"corrected    {np.round(averages(theta, 0.9, corrected=True), 4)}")
    print("beta     averages over about   weight left by then")
    for beta in (0.5, 0.9, 0.98, 0.999):
        print(f"{beta:<8} {1 / (1 - beta):>8.0f} values        {beta ** (1 / (1 - beta)):.3f}")
    print(f"                               1/e = {np.exp(-1):.3f}")

    rng = np.random.default_rng(0)
    day = np.arange(1, 366)
    temperature = 10 - 9 * np.cos(2 * np.pi * (day - 20) / 365) + 3 * rng.standard_normal(365)
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    left.plot(day, temperature, ".", color="0.75", markersize=4, label="day's value")
    for beta in (0.5, 0.9, 0.98):
        left.plot(
            day, averages(temperature, beta, corrected=True), label=f"beta {beta}: about {1 / (1 - beta):.0f} days"
        )
    left.set(title="More memory: smoother, and later", xlabel="day", ylabel="temperature in °C")
    left.legend(fontsize=8)
    constant = np.full(60, 20.0)
    right.plot(np.arange(1, 61), averages(constant, 0.9), label="beta 0.9")
    right.plot(np.arange(1, 61), averages(constant, 0.98), label="beta 0.98")
    right.plot(np.arange(1, 61), averages(constant, 0.98, corrected=True), "k:", label="corrected, either beta")
    right.set(title="A constant series of 20: the start at 0", xlabel="step t", ylabel="average", ylim=(0, 22))
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
