"""Mini-batches: take a step after every few examples.

Batch gradient descent looks at all m examples before each step: the cost falls every time, but a step is dear; up to
about 2000 examples that is fine. A single example at a time is the other end: many cheap, noisy steps that never settle
and that lose the speed of matrix products. In between, 64 to 512 examples that fit into memory, you get both: many
steps a pass, each a good matrix product. Shuffle X and Y by the same permutation before every pass, cut them in order,
and keep the smaller last batch; one pass over all examples is an epoch. The cost per mini-batch trends down but not at
every step.

Equations:
    permutation of 1..m;  X <- X[:, permutation], Y <- Y[:, permutation]
    X{t} = X[:, (t - 1) size : t size],  t = 1, ..., ceil(m / size)
    J{t} = (1/size) sum over the batch of L + (lambda / 2m) sum ||W||²

Product:
    orthogon.data.loader.MemoryLoader            # training.batch_size
    torch.utils.data.DataLoader                  # drop_last=False
Systems:
    opt.batch opt.sgd opt.minibatch opt.partition
Paper:
    Bottou, Curtis & Nocedal 2018, "Optimization methods for large-scale machine learning"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.logistic_regression import propagate
from orthogon.scratch.toy_data import Randomness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = tuple[np.ndarray, np.ndarray]


def mini_batches(X: np.ndarray, Y: np.ndarray, size: int, rng: Randomness) -> list[Batch]:
    """X (n_x, m) and Y (n_y, m), shuffled alike and cut into batches of `size` examples, the rest in the last."""
    m = X.shape[1]
    # permutation of 1..m;  X <- X[:, permutation], Y <- Y[:, permutation]
    permutation = rng.permutation(m)
    X, Y = X[:, permutation], Y[:, permutation]
    # X{t} = X[:, (t - 1) size : t size]
    return [(X[:, first : first + size], Y[:, first : first + size]) for first in range(0, m, size)]


def batch_cost(w: np.ndarray, b: float, batch: Batch, lambd: float, m: int) -> tuple[float, np.ndarray, float]:
    """J{t}, dw and db of logistic regression on one mini-batch; m = examples of the whole training set."""
    J, dw, db = propagate(w, b, *batch)
    # J{t} = (1/size) sum over the batch of L + (lambda / 2m) sum ||W||²
    return J + lambd / (2 * m) * float(np.sum(w**2)), dw + lambd / m * w, db


def train(
    X: np.ndarray, Y: np.ndarray, size: int, alpha: float, epochs: int, lambd: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, list[float], list[float]]:
    """Logistic regression from zeros in mini-batches: w, J{t} before each update, J of all m after each epoch."""
    rng = np.random.default_rng(seed)
    m = X.shape[1]
    w, b = np.zeros((len(X), 1)), 0.0
    costs, whole = [], []
    for _ in range(epochs):
        for batch in mini_batches(X, Y, size, rng):
            J, dw, db = batch_cost(w, b, batch, lambd, m)
            w, b = w - alpha * dw, b - alpha * db
            costs.append(J)
        whole.append(batch_cost(w, b, (X, Y), lambd, m)[0])
    return w, costs, whole


def noisy_labels(m: int, rng: np.random.Generator) -> Batch:
    """X (10, m) of N(0, 1), and Y (1, m) drawn with the probabilities of a logistic regression."""
    X = rng.standard_normal((10, m))
    truth = np.linspace(-2, 2, 10)[:, None]
    return X, (rng.random((1, m)) < 1 / (1 + np.exp(-truth.T @ X))).astype(np.float64)


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    numbers = np.arange(148.0)[None, :]
    batches = mini_batches(numbers, -numbers, 64, rng)
    print(f"148 examples in batches of 64: sizes {[X_t.shape[1] for X_t, _ in batches]}")
    X, Y = noisy_labels(1024, rng)
    ways = {1024: ("batch", 1.0), 64: ("mini-batch, 64", 0.3), 1: ("stochastic, 1", 0.05)}
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _, _, best = train(X, Y, 1024, 3.0, 400)
    print(f"logistic regression on {X.shape[1]} examples, the lowest possible J is {best[-1]:.4f}:")
    for size, (name, alpha) in ways.items():
        _, costs, whole = train(X, Y, size, alpha, 20)
        rises = np.mean(np.diff(costs) > 0)
        print(f"  {name:<15} {len(costs):>6} updates in 20 epochs: J = {whole[-1]:.4f}", end="")
        print(f"; J{{t}} rose at {100 * rises:.0f} % of the updates")
        left.plot(np.arange(1, 21), whole, "o-", markersize=3, label=f"{name}, alpha {alpha:g}")
        if size > 1:
            right.plot(costs[:100], label=name, linewidth=1)
    left.axhline(best[-1], color="k", linestyle=":", linewidth=1, label="lowest possible")
    left.set_xticks([1, 5, 10, 15, 20])
    left.set(title="Cost over all examples", xlabel="epoch", ylabel="cost J")
    left.legend(fontsize=8)
    right.set(title="Cost of each mini-batch: down, but not at every step", xlabel="update t", ylabel="cost J{t}")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
