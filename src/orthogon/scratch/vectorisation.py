"""Vectorisation: one matrix product in place of a loop over numbers.

A Python loop interprets every multiplication anew; a matrix product is one call into compiled code that uses the
processor's vector units (SIMD) and its memory in order. The result is the same sum, added in another order, so it
agrees to rounding and not to the last bit. Stack the examples as columns of X, and a neuron answers for all m of them
in one product; b is broadcast, the same number added to every column. Remember: no explicit loop over examples or
units. The loops that stay are those over layers and over steps of training.

Equations:
    z = wᵀ x + b = sum_j w_j x_j + b        one example
    Z = wᵀ X + b                            m examples, X (n_x, m), Z (1, m)
    dw = (1/m) X dZᵀ,  db = (1/m) sum dZ    both without a loop over examples

Product:
    torch.nn.Linear          # X Wᵀ + b, examples in rows
    torch.Tensor.matmul
Systems:
    net.vectorise
Paper:
    Dongarra et al. 1990, "A set of level 3 basic linear algebra subprograms", ACM TOMS 16
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dot_loop(w: np.ndarray, x: np.ndarray) -> float:
    """sum_j w_j x_j, one number at a time."""
    total = 0.0
    for j in range(len(w)):
        total += w[j] * x[j]
    return float(total)


def dot_vector(w: np.ndarray, x: np.ndarray) -> float:
    """The same in one call."""
    return float(np.dot(w, x))


def neuron_loop(w: np.ndarray, b: float, X: np.ndarray) -> tuple[np.ndarray, int]:
    """Z (1, m) by a loop over examples and one over features, and how many multiplications Python interpreted."""
    n_x, m = X.shape
    Z, interpreted = np.zeros((1, m)), 0
    for i in range(m):
        z = b
        for j in range(n_x):
            z += w[j, 0] * X[j, i]
            interpreted += 1
        Z[0, i] = z
    return Z, interpreted


def neuron_vector(w: np.ndarray, b: float, X: np.ndarray) -> np.ndarray:
    # Z = wᵀ X + b
    return w.T @ X + b


def gradients_loop(X: np.ndarray, dZ: np.ndarray) -> tuple[np.ndarray, float]:
    """dw (n_x, 1) and db, gathered example by example."""
    n_x, m = X.shape
    dw, db = np.zeros((n_x, 1)), 0.0
    for i in range(m):
        for j in range(n_x):
            dw[j, 0] += X[j, i] * dZ[0, i]
        db += dZ[0, i]
    return dw / m, float(db / m)


def gradients_vector(X: np.ndarray, dZ: np.ndarray) -> tuple[np.ndarray, float]:
    m = X.shape[1]
    # dw = (1/m) X dZᵀ
    dw = X @ dZ.T / m
    # db = (1/m) sum dZ
    db = float(dZ.sum() / m)
    return dw, db


def demo() -> Figure:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    w, x = rng.random(100_000), rng.random(100_000)
    loop, vector = dot_loop(w, x), dot_vector(w, x)
    print(f"dot product of 100,000 numbers: loop {loop:.6f}, vector {vector:.6f};", end=" ")
    print("apart by rounding alone:", abs(loop - vector) < 1e-12 * loop)
    n_x, counts = 64, []
    w, b = rng.standard_normal((n_x, 1)), 0.5
    sizes = (1, 10, 100, 1000)
    for m in sizes:
        X = rng.standard_normal((n_x, m))
        Z, interpreted = neuron_loop(w, b, X)
        assert np.allclose(Z, neuron_vector(w, b, X), atol=1e-12)
        counts.append(interpreted)
        print(f"one neuron, {n_x} features, {m:>5} examples: {interpreted:>6,} interpreted products, or 1 call; same Z")
    print("How much time that saves: benchmarks/vectorise.py")

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    ax = figure.subplots()
    ax.plot(sizes, counts, "o-", label="two loops: n_x m")
    ax.plot(sizes, [n_x] * len(sizes), "s-", label="loop over features, examples as vectors: n_x")
    ax.plot(sizes, [1] * len(sizes), "^-", label="wᵀX + b: 1")
    ax.set(title=f"What Python interprets for one neuron, n_x = {n_x}", xlabel="examples m", ylabel="operations")
    ax.set(xscale="log", yscale="log", ylim=(0.5, 1e6))
    ax.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
