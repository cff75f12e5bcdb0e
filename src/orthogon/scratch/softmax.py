"""Softmax: turn C scores into C probabilities.

Exponentials make every score positive, and dividing by their sum makes them add up to 1. A score that is higher by 1 is
e times as probable. Only differences count: adding the same number to every score changes nothing, so subtract the
largest first and nothing overflows. With two classes it is the sigmoid of z1 - z2, that is logistic regression; alone,
without hidden layers, it draws straight boundaries. Hardmax puts 1 at the largest score and 0 elsewhere: the decision,
not something to train through, since its slope is 0 almost everywhere.

Equations:
    t = e^(z - max z)
    a = t / sum t
    C = 2:  a_1 = sigmoid(z_1 - z_2)
    backward:  dz = a (da - sum a da)         per example

Exceptions:
    Ties: hardmax takes the first of several largest scores, as torch.argmax does.

Product:
    torch.softmax
    orthogon.nn.losses.softmax_cross_entropy     # softmax and its loss in one, stable
Systems:
    net.softmax net.hardmax
Paper:
    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def softmax(Z: np.ndarray) -> np.ndarray:
    """Scores (C, m) to probabilities (C, m); each column sums to 1."""
    # t = e^(z - max z)
    t = np.exp(Z - Z.max(axis=0, keepdims=True))
    # a = t / sum t
    return t / t.sum(axis=0, keepdims=True)


def softmax_backward(dA: np.ndarray, A: np.ndarray) -> np.ndarray:
    # dz = a (da - sum a da)
    return A * (dA - (A * dA).sum(axis=0, keepdims=True))


def hardmax(Z: np.ndarray) -> np.ndarray:
    """1 at the largest score of each column of (C, m), 0 elsewhere."""
    return (np.arange(len(Z))[:, None] == Z.argmax(axis=0)).astype(np.float64)


def demo() -> Figure:
    from matplotlib.figure import Figure

    z = np.array([[5.0], [2.0], [-1.0], [3.0]])
    t = np.exp(z)
    print(f"z = {z.ravel()}")
    print(f"t = e^z = {np.round(t.ravel(), 4)}, sum {t.sum():.4f}")
    print(f"softmax = {np.round(softmax(z).ravel(), 4)}")
    print(f"hardmax = {hardmax(z).ravel()}")
    print(f"z + 1000 gives the same: {np.round(softmax(z + 1000).ravel(), 4)}")
    print(f"two classes (1.3, -0.4): {softmax(np.array([[1.3], [-0.4]]))[0, 0]:.6f} = sigmoid(1.7)")

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    place = np.arange(4)
    for k, scale in enumerate((0.25, 1.0, 4.0)):
        a = softmax(scale * z).ravel()
        left.bar(place + (k - 1) * 0.27, a, width=0.27, label=f"scores × {scale:g}")
    left.set(title="Larger differences, surer answers", xlabel="class", ylabel="probability")
    left.set_xticks(place, [f"{j + 1}\nz = {z[j, 0]:g}" for j in place])
    left.legend()
    x1, x2 = np.meshgrid(np.linspace(-3, 3, 241), np.linspace(-3, 3, 241))
    W = np.array([[1.5, 0.3], [-1.0, 1.2], [-0.3, -1.6]])
    A = softmax(W @ np.stack([x1.ravel(), x2.ravel()]))
    colours = np.array([[0.12, 0.47, 0.71], [1.0, 0.5, 0.05], [0.17, 0.63, 0.17]])
    picture = (A.T @ colours).reshape(*x1.shape, 3)
    right.imshow(picture, extent=(-3, 3, -3, 3), origin="lower", alpha=0.6)
    right.contour(x1, x2, A.argmax(axis=0).reshape(x1.shape), levels=[0.5, 1.5], colors="black", linewidths=1)
    right.set(title="Alone it draws straight boundaries", xlabel="x1", ylabel="x2")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
