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

    from orthogon.scratch.deep_network import backward, cost, forward, initialise
    from orthogon.scratch.momentum import momentum
    from orthogon.scratch.rmsprop import rmsprop
    from orthogon.scratch.toy_data import moons

    W, V, S = np.array(1.0), np.array(0.0), np.array(0.0)
    print("w = 1, alpha 0.1:")
    for t, dW in enumerate(np.array([2.0, 2.0, -1.0]), start=1):
        W, V, S = adam(W, dW, V, S, t, alpha=0.1)
        print(f"  gradient {dW:>4}: w = {W:.10f}")

    n, g, alpha, passes = (2, 5, 2, 1), ("relu", "relu", "sigmoid"), 0.003, 400
    rng = np.random.default_rng(3)
    X, Y = moons(300, 0.2, rng)
    start = initialise(n, rng)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    print(f"two moons, n = {n}, batches of 64, alpha {alpha}, {passes} passes:")
    for name in ("gradient descent", "momentum", "RMSprop", "Adam"):
        parameters = dict(start)
        Vs, Ss = ({key: np.zeros_like(value) for key, value in start.items()} for _ in range(2))
        t, costs = 0, []
        order_rng = np.random.default_rng(0)
        for epoch in range(passes):
            order = order_rng.permutation(300)
            for first in range(0, 300, 64):
                ids = order[first : first + 64]
                A, caches = forward(X[:, ids], parameters, g)
                gradients, _ = backward(A, Y[:, ids], parameters, caches, g)
                t += 1
                for key, dW in gradients.items():
                    W = parameters[key]
                    if name == "Adam":
                        parameters[key], Vs[key], Ss[key] = adam(W, dW, Vs[key], Ss[key], t, alpha)
                    elif name == "RMSprop":
                        parameters[key], Ss[key] = rmsprop(W, dW, Ss[key], alpha)
                    elif name == "momentum":
                        parameters[key], Vs[key] = momentum(W, dW, Vs[key], alpha)
                    else:
                        parameters[key] = W - alpha * dW
            if epoch % 4 == 3:
                costs.append(cost(forward(X, parameters, g)[1][-1][1], Y, "sigmoid"))
        A, _ = forward(X, parameters, g)
        print(f"  {name:<17} J = {costs[-1]:.4f}, {100 * np.mean((A > 0.5) == Y):.1f} % right")
        left.plot(np.arange(1, len(costs) + 1) * 4, costs, "--" if name == "momentum" else "-", label=name)
    left.set(title=f"Two moons at alpha = {alpha}", xlabel="pass over the training set", ylabel="cost J")
    left.legend(fontsize=8)
    x1, x2 = np.meshgrid(np.linspace(-1.8, 2.8, 161), np.linspace(-1.3, 1.9, 121))
    A, _ = forward(np.stack([x1.ravel(), x2.ravel()]), parameters, g)
    right.contourf(x1, x2, A.reshape(x1.shape), levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.5)
    right.scatter(*X, c=Y.ravel(), cmap="RdBu_r", s=8)
    right.set(title="Adam's boundary", xlabel="x1", ylabel="x2")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
