"""Batch norm: give every unit mean 0 and variance 1 over the mini-batch, then let it learn what it wants instead.

What input normalisation does for the first layer, this does for all: each unit's sums are normalised over the
mini-batch, then scaled by a learned gamma and moved by a learned beta, before the activation. Later layers see inputs
whose mean and variance stay put while the earlier ones learn, so deep networks train and larger learning rates work.
The mean takes any constant out, so the layer needs no bias b; beta replaces it. An example's result depends on its
companions, a little noise that regularises and fades as batches grow. At test time there may be one example only: use
averages of mean and variance gathered in training, and do not forget to switch.

Equations:
    mu = (1/m) sum z                    one per unit, over the mini-batch
    sigma² = (1/m) sum (z - mu)²
    z_norm = (z - mu) / sqrt(sigma² + eps)
    z~ = gamma z_norm + beta
    dgamma = sum dz~ z_norm             dbeta = sum dz~
    dz = gamma / (m sqrt(sigma² + eps)) (m dz~ - dbeta - z_norm dgamma)
    test: mu and sigma² <- exponentially weighted averages, decay 0.9

Exceptions:
    torch's momentum is 1 - decay, 0.1. It gathers the variance with 1/(m - 1), as we do, and normalises with 1/m.
    beta here is no momentum.

Product:
    torch.nn.BatchNorm1d torch.nn.BatchNorm2d
    orthogon.models.mlp.MLP                 # batch_norm=True leaves b out
Systems:
    train.bn train.bn-bias train.bn-test train.bn-why
Paper:
    Ioffe & Szegedy 2015, "Batch normalization: accelerating deep network training by reducing internal covariate shift"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cache = tuple[np.ndarray, np.ndarray, np.ndarray]  # z_norm, sqrt(sigma² + eps), gamma


def batch_norm(
    Z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], Cache]:
    """Normalise Z (n, m) over its mini-batch of m examples; gamma and beta are (n, 1).

    Returns:
        Z~ (n, m); the mini-batch's mu and sigma², each (n, 1), for `gather`; and the cache.
    """
    # mu = (1/m) sum z
    mu = Z.mean(axis=1, keepdims=True)
    # sigma² = (1/m) sum (z - mu)²
    variance = ((Z - mu) ** 2).mean(axis=1, keepdims=True)
    # z_norm = (z - mu) / sqrt(sigma² + eps)
    sigma = np.sqrt(variance + eps)
    Z_norm = (Z - mu) / sigma
    # z~ = gamma z_norm + beta
    return gamma * Z_norm + beta, (mu, variance), (Z_norm, sigma, gamma)


def batch_norm_backward(dZ_tilde: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dZ (n, m), dgamma (n, 1) and dbeta (n, 1)."""
    Z_norm, sigma, gamma = cache
    m = dZ_tilde.shape[1]
    # dgamma = sum dz~ z_norm
    dgamma = (dZ_tilde * Z_norm).sum(axis=1, keepdims=True)
    # dbeta = sum dz~
    dbeta = dZ_tilde.sum(axis=1, keepdims=True)
    # dz = gamma / (m sqrt(sigma² + eps)) (m dz~ - dbeta - z_norm dgamma)
    dZ = gamma / (m * sigma) * (m * dZ_tilde - dbeta - Z_norm * dgamma)
    return dZ, dgamma, dbeta


def gather(
    running: tuple[np.ndarray, np.ndarray], batch: tuple[np.ndarray, np.ndarray], m: int, decay: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """The averages of mu and sigma² after one more mini-batch of m examples; they start at 0 and 1."""
    (mu, variance), (batch_mu, batch_variance) = running, batch
    # mu and sigma² <- exponentially weighted averages; the variance with 1/(m - 1)
    mu = decay * mu + (1 - decay) * batch_mu
    variance = decay * variance + (1 - decay) * batch_variance * m / (m - 1)
    return mu, variance


def batch_norm_test(
    Z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, running: tuple[np.ndarray, np.ndarray], eps: float = 1e-5
) -> np.ndarray:
    """Z (n, any number of examples) with the gathered mu and sigma²."""
    mu, variance = running
    # z~ = gamma (z - mu) / sqrt(sigma² + eps) + beta
    return gamma * (Z - mu) / np.sqrt(variance + eps) + beta


def companions_noise(size: int, draws: int, rng: np.random.Generator) -> float:
    """Variance of one example's normalised value over batches of `size` whose other members are drawn anew."""
    Z = rng.standard_normal((draws, size))
    Z[:, 0] = 1.0  # the example; each draw is a row, so a unit of its own
    Z_tilde, _, _ = batch_norm(Z, np.ones((draws, 1)), np.zeros((draws, 1)))
    return float(Z_tilde[:, 0].var())


def demo() -> Figure:
    from matplotlib.figure import Figure

    z = np.array([[1.0, 2.0, 3.0, 4.0]])
    gamma, beta = np.full((1, 1), 2.0), np.full((1, 1), 0.5)
    Z_tilde, (mu, variance), (Z_norm, _, _) = batch_norm(z, gamma, beta)
    print(f"z      {z.ravel()}: mu = {mu[0, 0]}, sigma² = {variance[0, 0]}")
    print(f"z_norm {np.round(Z_norm.ravel(), 6)}")
    print(f"z~     {np.round(Z_tilde.ravel(), 6)} with gamma 2, beta 0.5")
    print(f"a bias of 100 before it changes z~ by {np.abs(batch_norm(z + 100, gamma, beta)[0] - Z_tilde).max():.0e}")
    mu, variance = gather((np.zeros((1, 1)), np.ones((1, 1))), (mu, variance), m=4)
    print(f"gathered for test time after this batch: mu = {mu[0, 0]:.4f}, sigma² = {variance[0, 0]:.6f}")
    rng = np.random.default_rng(0)
    sizes = np.array([4, 8, 16, 32, 64, 128, 256])
    noise = [companions_noise(int(size), 2000, rng) for size in sizes]
    print(f"variance from an example's companions: batch 16 {noise[2]:.4f}, batch 256 {noise[-1]:.4f}")

    # twenty layers of 50 tanh units, weights half or twice as large as they should be
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    for factor in (0.5, 2.0):
        for normalised in (False, True):
            layer_rng = np.random.default_rng(1)
            A, spread = layer_rng.standard_normal((50, 200)), []
            for _ in range(20):
                Z = factor / np.sqrt(50) * layer_rng.standard_normal((50, 50)) @ A
                if normalised:
                    Z, _, _ = batch_norm(Z, np.ones((50, 1)), np.zeros((50, 1)))
                spread.append(Z.std())
                A = np.tanh(Z)
            label = f"weights × {factor:g}, " + ("with batch norm" if normalised else "without")
            left.semilogy(np.arange(1, 21), spread, ("-" if factor < 1 else ":") if normalised else "--", label=label)
    left.set(title="Sums of 20 tanh layers", xlabel="layer", ylabel="standard deviation of z")
    left.set_xticks([1, 5, 10, 15, 20])
    left.legend(fontsize=8)
    right.loglog(sizes, noise, "o-")
    right.set(title="Noise from the companions fades", xlabel="batch size", ylabel="variance of one example's z~")
    right.set_xticks(sizes, [str(size) for size in sizes])
    right.minorticks_off()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
