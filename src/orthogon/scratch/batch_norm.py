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
    The variance has two divisors, in torch and here: a mini-batch is normalised with its own 1/m, but 1/(m - 1) is what
    is gathered for test time. About their own mean m values vary less than about the true one, by the factor (m - 1)/m
    on average; gathered with 1/m, test time's variance would be too small by it, by a quarter for m = 4.
    torch's momentum is 1 - decay, 0.1; beta here is no momentum.

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

from orthogon.scratch.activations import relu, relu_slope
from orthogon.scratch.initialisation import first_weights
from orthogon.scratch.losses import softmax_cross_entropy_from_scores
from orthogon.scratch.toy_data import digits

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
    """The averages of mu and sigma² after one more mini-batch of m >= 2 examples; they start at 0 and 1."""
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


def train_tower(
    X: np.ndarray, Y: np.ndarray, weights: list[np.ndarray], alpha: float, steps: int, normalised: bool
) -> list[float]:
    """Train a tower of ReLU layers under a softmax on all m examples at once.

    Args:
        X, Y: examples (n_x, m) and one-hot classes (C, m).
        weights: the first W of each layer, from the inputs to the softmax; they stay as they are.
        normalised: batch norm in each ReLU layer, in place of its bias.
    Returns:
        The cost before each step, in train mode.
    """
    m, W, top = X.shape[1], list(weights), len(weights) - 1
    gamma, b = ([np.full((len(W_l), 1), value) for W_l in W] for value in (1.0, 0.0))  # with batch norm b is beta
    costs = []
    for _ in range(steps):
        A, inputs, sums, caches = X, [], [], []
        for layer, (W_l, gamma_l, b_l) in enumerate(zip(W, gamma, b, strict=True)):
            inputs.append(A)
            # Z = batch norm of W A_prev, or W A_prev + b;  A = relu(Z)
            if normalised and layer < top:
                Z, _, cache = batch_norm(W_l @ A, gamma_l, b_l)
                caches.append(cache)
            else:
                Z = W_l @ A + b_l
            sums.append(Z)
            A = relu(Z)
        L, dZ = softmax_cross_entropy_from_scores(Z, Y)
        costs.append(float(L.mean()))
        dZ = dZ / m  # of the mean cost, so that no 1/m follows
        for layer in range(top, -1, -1):
            # db = sum dZ, which is dbeta where there is batch norm
            db = dZ.sum(axis=1, keepdims=True)
            if normalised and layer < top:
                dZ, dgamma, db = batch_norm_backward(dZ, caches[layer])
                gamma[layer] = gamma[layer] - alpha * dgamma
            # dA_prev = Wᵀ dZ,  W <- W - alpha dZ A_prevᵀ,  b <- b - alpha db
            dA = W[layer].T @ dZ
            W[layer], b[layer] = W[layer] - alpha * dZ @ inputs[layer].T, b[layer] - alpha * db
            if layer > 0:
                dZ = dA * relu_slope(sums[layer - 1])
    return costs


def tower(n_x: int, width: int, depth: int, classes: int, rng: np.random.Generator) -> list[np.ndarray]:
    """First weights of `depth` layers and a softmax with torch's default variance, 1 / (3 n_in): too small for ReLU."""
    n = [n_x] + [width] * depth + [classes]
    return [first_weights(n[i + 1], n[i], (3 * n[i]) ** -0.5, rng) for i in range(depth + 1)]


def demo() -> Figure:
    from matplotlib.figure import Figure

    z = np.array([[1.0, 2.0, 3.0, 4.0]])
    gamma, beta = np.full((1, 1), 2.0), np.full((1, 1), 0.5)
    Z_tilde, (mu, variance), (Z_norm, _, _) = batch_norm(z, gamma, beta)
    print(f"z      {z.ravel()}: mu = {mu[0, 0]}, sigma² = {variance[0, 0]}")
    print(f"z_norm {np.round(Z_norm.ravel(), 6)}")
    print(f"z~     {np.round(Z_tilde.ravel(), 6)} with gamma 2, beta 0.5")
    print(f"a bias of 100 before it changes z~ by {np.abs(batch_norm(z + 100, gamma, beta)[0] - Z_tilde).max():.0e}")
    with_m = 0.9 * 1 + 0.1 * variance[0, 0]
    mu, variance = gather((np.zeros((1, 1)), np.ones((1, 1))), (mu, variance), m=4)
    print(f"gathered for test time, 0.9 of the start 0 and 1 and 0.1 of this batch: mu = {mu[0, 0]:.4f},", end=" ")
    print(f"sigma² = {variance[0, 0]:.6f}\n  with 1/(m - 1), as torch does; 1/m would give {with_m:.6f}")
    rng = np.random.default_rng(0)
    sizes = np.array([4, 8, 16, 32, 64, 128, 256])
    noise = [companions_noise(int(size), 2000, rng) for size in sizes]
    print(f"variance from an example's companions: batch 16 {noise[2]:.4f}, batch 256 {noise[-1]:.4f}")

    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    X, Y = digits(200, rng)
    weights = tower(64, 32, 10, 10, rng)
    print("ten ReLU layers of 32 units on digits, 200 steps:")
    for normalised in (False, True):
        for alpha in (0.1, 1.0):
            costs = train_tower(X, Y, weights, alpha, 200, normalised)
            label = f"{'with' if normalised else 'without'} batch norm, alpha {alpha:g}"
            print(f"  {label:<30} J = {costs[-1]:.4f}")
            left.plot(costs, "-" if normalised else "--", label=label)
    left.set(title="Ten ReLU layers on digits", xlabel="step", ylabel="cost J", ylim=(0, 3))
    left.legend(fontsize=8)
    right.loglog(sizes, noise, "o-")
    right.set(title="Noise from the companions fades", xlabel="batch size", ylabel="variance of one example's z~")
    right.set_xticks(sizes, [str(size) for size in sizes])
    right.minorticks_off()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
