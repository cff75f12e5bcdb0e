"""Input normalisation: give every feature mean 0 and variance 1, with the training set's figures.

Features of very different sizes make the cost a long narrow valley: the learning rate must be small enough for the
steep direction and is then far too small for the flat one. Subtract each feature's mean and divide by its standard
deviation, and the contours become round, a larger learning rate works, and gradient descent needs a fraction of the
steps. Measure the mean and deviation on the training set and reuse exactly these on dev and test and in use. Figures
measured on another set would map the same input to another place. A feature that never changes carries nothing and
becomes 0.

Equations:
    mu = (1/m) sum x                   one per feature
    sigma² = (1/m) sum (x - mu)²
    x <- (x - mu) / sigma              sigma, not sigma²

Exceptions:
    torch.std divides by m - 1 unless told otherwise; we divide by m. Either is harmless when used throughout.
    sigma = 0: we divide by 1.

Product:
    orthogon.nn.norm.Standardise             # Standardise.fit(train), saved with the weights
Systems:
    train.normalise
Paper:
    LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measure(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature of the training set X (n_x, m); both (n_x, 1)."""
    # mu = (1/m) sum x
    mu = X.mean(axis=1, keepdims=True)
    # sigma² = (1/m) sum (x - mu)²
    sigma = np.sqrt(((X - mu) ** 2).mean(axis=1, keepdims=True))
    return mu, sigma


def normalise(X: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """X (n_x, any number of examples) with the training set's mu and sigma."""
    # x <- (x - mu) / sigma
    return (X - mu) / np.where(sigma > 0, sigma, 1.0)


def linear_cost(w: np.ndarray, b: float, X: np.ndarray, Y: np.ndarray) -> tuple[float, np.ndarray, float]:
    """J = (1/2m) sum (wᵀx + b - y)² of X (n_x, m), Y (1, m), with dw (n_x, 1) and db."""
    m = X.shape[1]
    dZ = w.T @ X + b - Y
    return float(np.sum(dZ**2) / (2 * m)), X @ dZ.T / m, float(dZ.sum() / m)


def descend(X: np.ndarray, Y: np.ndarray, alpha: float, target: float, limit: int) -> list[float]:
    """J at each step of gradient descent from 0 until it is below `target`, `limit` steps are made, or J diverges."""
    w, b = np.zeros((len(X), 1)), 0.0
    costs: list[float] = []
    for _ in range(limit + 1):
        J, dw, db = linear_cost(w, b, X, Y)
        costs.append(J)
        if not target <= J <= 1e6 * costs[0]:
            break
        w, b = w - alpha * dw, b - alpha * db
    return costs


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    m = 200
    X = np.stack([rng.uniform(1, 1000, m), rng.uniform(0, 1, m)])
    Y = 0.004 * X[:1] + 3.0 * X[1:]
    Y = (Y - Y.mean()) / Y.std()
    mu, sigma = measure(X)
    print(f"mu = {np.round(mu.ravel(), 2)}, sigma = {np.round(sigma.ravel(), 2)}")
    X_norm = normalise(X, mu, sigma)
    print(f"normalised: mean {np.abs(X_norm.mean(axis=1)).round(6)}, variance {X_norm.var(axis=1).round(6)}")
    ways = {}
    for name, data, rates in (
        ("as they are", X, np.geomspace(1e-7, 1e-5, 5)),
        ("normalised", X_norm, np.array([0.03, 0.1, 0.3])),
    ):
        tried = [(descend(data, Y, float(alpha), 0.025, 3000), float(alpha)) for alpha in rates]
        costs, alpha = min(tried, key=lambda way: (max(way[0][-1], 0.025), len(way[0])))
        ways[name] = costs
        print(f"Features {name}, best rate {alpha:.0e}: J = {costs[-1]:.3f} after {len(costs) - 1} steps")

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    # one feature four times as wide as the other, so that the valley can be drawn
    scales = np.array([[4.0], [1.0]])
    U = rng.standard_normal((2, m))
    for ax, data, title, alpha in (
        (left, scales * U, "Features of scale 4 and 1", 0.11),
        (middle, normalise(scales * U, *measure(scales * U)), "Normalised", 0.8),
    ):
        best = np.array([[1.0], [1.0]])
        target = best.T @ data
        w1, w2 = np.meshgrid(np.linspace(-1.5, 3.5, 81), np.linspace(-1.5, 3.5, 81))
        J = [linear_cost(np.array([[p], [q]]), 0.0, data, target)[0] for p, q in zip(w1.flat, w2.flat, strict=True)]
        ax.contour(w1, w2, np.reshape(J, w1.shape), levels=np.array([0.05, 0.2, 0.6, 1.5, 3, 6, 12, 24]), colors="0.7")
        w, path = np.array([[-1.0], [-1.0]]), []
        for _ in range(12):
            path.append(w.ravel())
            w = w - alpha * linear_cost(w, 0.0, data, target)[1]
        ax.plot(*np.array(path).T, "o-", markersize=3, label=f"12 steps, alpha {alpha}")
        ax.plot(1, 1, "k*", markersize=10, label="minimum")
        ax.set(title=title, xlabel="w1", ylabel="w2", aspect="equal")
        ax.legend(fontsize=8, loc="upper left")
    for name, costs in ways.items():
        right.semilogx(np.arange(1, len(costs) + 1), costs, label=f"features {name}")
    right.set(title="Features of scale 1000 and 1", xlabel="step", ylabel="cost J")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
