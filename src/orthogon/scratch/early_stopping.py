"""Early stopping: keep the weights that did best on the dev set.

While a large model trains, its training error falls on and on, but its error on the dev set falls only until the model
starts to learn the noise. Measure the dev error as you go, and keep a copy of the weights whenever it is the lowest so
far. Stop once it has not improved for a while, the patience, and take the copy. Weights grow from small ones, so
stopping early works much like L2, with one run in place of a search over lambda. The price: one knob now touches both
how well you fit and how well you generalise, which are easier to treat apart.

Equations:
    best <- argmin over t of dev_error(t)
    stop at the first t with t - best = patience
    give back W(best), not W(t)

Product:
    orthogon.training.loop.fit              # keep_best=True, patience=5
Systems:
    train.early-stop
Paper:
    Prechelt 1998, "Early stopping - but when?"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def train_until_it_stops(
    W: np.ndarray,
    step: Callable[[np.ndarray], np.ndarray],
    dev_error: Callable[[np.ndarray], float],
    patience: int,
    limit: int,
) -> tuple[np.ndarray, int, list[float]]:
    """The weights of the lowest dev error, after how many steps they stood, and every dev error from the start on.

    Args:
        W: the first weights; `step` gives the next ones.
        dev_error: of weights; measured before the first and after every step.
        patience: steps without a new lowest error before it stops.
        limit: steps after which it stops in any case.
    """
    errors = [dev_error(W)]
    kept, best = W, 0
    for t in range(1, limit + 1):
        W = step(W)
        errors.append(dev_error(W))
        # best <- argmin over t of dev_error(t)
        if errors[t] < errors[best]:
            kept, best = W, t
        # stop at the first t with t - best = patience
        if t - best == patience:
            break
    return kept, best, errors


def bumps(x: np.ndarray) -> np.ndarray:
    """Points x (m,) on [0, 1] as 40 smooth features (40, m): enough to follow any noise."""
    return np.exp(-((x - np.linspace(0, 1, 40)[:, None]) ** 2) / (2 * 0.06**2))


def noisy_sine(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
    """m points x in [0, 1], and y (1, m) = sin(2 pi x) plus noise of standard deviation 0.4."""
    x = rng.random(m)
    return x, (np.sin(2 * np.pi * x) + 0.4 * rng.standard_normal(m))[None, :]


def squared_error(w: np.ndarray, X: np.ndarray, Y: np.ndarray) -> float:
    return float(np.mean((w.T @ X - Y) ** 2))


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(2)
    (x, Y), (x_dev, Y_dev) = noisy_sine(rng, 25), noisy_sine(rng, 200)
    X, X_dev = bumps(x), bumps(x_dev)

    path = [np.zeros((40, 1))]  # the weights after each step

    def step(w: np.ndarray) -> np.ndarray:
        path.append(w - 0.1 * X @ (w.T @ X - Y).T / Y.shape[1])
        return path[-1]

    def dev_error(w: np.ndarray) -> float:
        return squared_error(w, X_dev, Y_dev)

    kept, best, errors = train_until_it_stops(path[0], step, dev_error, patience=200, limit=20_000)
    stopped = len(errors) - 1
    print(f"Lowest dev error {errors[best]:.4f} after {best} steps; with patience 200 it stopped at {stopped}.")
    print(f"The weights given back have dev error {dev_error(kept):.4f}, ||w|| = {np.linalg.norm(kept):.2f}.")
    while len(path) <= 20_000:  # what would have come
        step(path[-1])
    train_errors = [squared_error(w, X, Y) for w in path]
    dev_errors = [dev_error(w) for w in path]
    last = path[-1]
    print(f"Without a stop, after 20,000: train {train_errors[-1]:.4f}, dev {dev_errors[-1]:.4f}, ", end="")
    print(f"||w|| = {np.linalg.norm(last):.2f}.")

    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogx(np.arange(1, 20_002), train_errors, label="train")
    left.semilogx(np.arange(1, 20_002), dev_errors, label="dev")
    left.plot(best + 1, errors[best], "k*", markersize=11, label="kept")
    left.axvline(stopped + 1, color="0.5", linestyle=":", label="stopped, patience 200")
    left.set(title="Train falls on, dev does not", xlabel="step", ylabel="mean squared error")
    left.legend(fontsize=8)
    grid = np.linspace(0, 1, 300)
    right.plot(x, Y.ravel(), "o", color="0.6", label="training points")
    right.plot(grid, np.sin(2 * np.pi * grid), "k:", label="truth")
    right.plot(grid, (kept.T @ bumps(grid)).ravel(), label=f"kept, step {best}")
    right.plot(grid, (last.T @ bumps(grid)).ravel(), label="step 20,000")
    right.set(title="What was learned", xlabel="x", ylabel="y")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
