"""Adam: momentum and RMSprop in one, both corrected for their start at zero.

V averages the gradients, S their squares; both start at 0, so divide by 1 - beta^t before use. The quotient has no
unit: a parameter moves by about alpha per update, however large its gradients are, and less where they change sign. It
works with little tuning, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, only alpha is searched. It keeps two more arrays per
parameter, and t counts updates and is never set back. Weight decay belongs outside the quotient, as in AdamW: inside,
a weight with large gradients would hardly be decayed.

Equations:
    V <- beta1 V + (1 - beta1) dW           S <- beta2 S + (1 - beta2) dW²
    V^ = V / (1 - beta1^t)                  S^ = S / (1 - beta2^t)            t = 1, 2, ...
    W <- W - alpha V^ / (sqrt(S^) + eps)
    AdamW:  W <- (1 - alpha decay) W  first; decay does not enter dW

Product:
    orthogon.training.optimisers.make_optimiser      # optimiser: adam or adamw
    torch.optim.Adam torch.optim.AdamW
Systems:
    opt.adam
Paper:
    Kingma & Ba 2015, "Adam: a method for stochastic optimization"
    Loshchilov & Hutter 2019, "Decoupled weight decay regularization"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def adam(
    W: np.ndarray,
    dW: np.ndarray,
    V: np.ndarray,
    S: np.ndarray,
    t: int,
    alpha: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Update number t, from 1, of a parameter W, and the new V and S, which start at zeros."""
    # V <- beta1 V + (1 - beta1) dW
    V = beta1 * V + (1 - beta1) * dW
    # S <- beta2 S + (1 - beta2) dW²
    S = beta2 * S + (1 - beta2) * dW**2
    # V^ = V / (1 - beta1^t)
    V_hat = V / (1 - beta1**t)
    # S^ = S / (1 - beta2^t)
    S_hat = S / (1 - beta2**t)
    # W <- W - alpha V^ / (sqrt(S^) + eps)
    return W - alpha * V_hat / (np.sqrt(S_hat) + eps), V, S


def adamw(
    W: np.ndarray,
    dW: np.ndarray,
    V: np.ndarray,
    S: np.ndarray,
    t: int,
    alpha: float,
    decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adam after the weight has been shrunk by alpha · decay of itself."""
    # W <- (1 - alpha decay) W
    return adam((1 - alpha * decay) * W, dW, V, S, t, alpha, beta1, beta2, eps)


def demo() -> Figure:
    from matplotlib.figure import Figure

    from orthogon.scratch.momentum import momentum, valley
    from orthogon.scratch.rmsprop import rmsprop

    W, V, S = np.array(1.0), np.array(0.0), np.array(0.0)
    print("w = 1, alpha 0.1:")
    for t, dW in enumerate(np.array([2.0, 2.0, -1.0]), start=1):
        W, V, S = adam(W, dW, V, S, t, alpha=0.1)
        print(f"  gradient {dW:>4}: w = {W:.10f}")
    raw, corrected = 0.1 / np.sqrt(0.001), 1.0
    print(f"a first step without the correction would be {raw:.2f} alpha long, with it {corrected:.0f} alpha")
    for size in (1e-6, 1.0, 1e6):
        W, _, _ = adam(np.array(0.0), np.array(size), np.array(0.0), np.array(0.0), 1, alpha=0.1)
        print(f"  first gradient {size:g}: step {W:.4f}")

    paths: dict[str, list[np.ndarray]] = {"momentum": [], "RMSprop": [], "Adam": []}
    for name, path in paths.items():
        W, V, S = np.array([-8.0, 1.0]), np.zeros(2), np.zeros(2)
        path.append(W)
        for t in range(1, 151):
            dW = valley(W)[1]
            if name == "Adam":
                W, V, S = adam(W, dW, V, S, t, alpha=0.3)
            elif name == "RMSprop":
                W, S = rmsprop(W, dW, S, alpha=0.3)
            else:
                W, V = momentum(W, dW, V, alpha=0.1)
            path.append(W)
    print(
        "f = (w1² + 100 w2²) / 2 after 150 updates: "
        + ", ".join(f"{n} {valley(p[-1])[0]:.1e}" for n, p in paths.items())
    )
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    w1, w2 = np.meshgrid(np.linspace(-9, 3, 121), np.linspace(-1.7, 1.7, 61))
    left.contour(w1, w2, (w1**2 + 100 * w2**2) / 2, levels=[0.5, 4, 14, 35, 70, 120], colors="0.85")
    for name, path in paths.items():
        alpha = 0.1 if name == "momentum" else 0.3
        left.plot(*np.array(path[:41]).T, "o-", markersize=3, linewidth=1, label=f"{name}, alpha {alpha}")
        right.semilogy([valley(W)[0] for W in path], label=f"{name}, alpha {alpha}")
    left.plot(0, 0, "k*", markersize=10)
    left.set(title="40 updates in a valley", xlabel="w1, flat", ylabel="w2, steep")
    left.legend(fontsize=8)
    right.set(title="Height above the floor", xlabel="update", ylabel="f")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
