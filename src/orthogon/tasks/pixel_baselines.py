"""Two classic systems on raw pixels, to see whether a network earns its keep.

A file of its own because it is imported late: scikit-learn takes a second to load.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

COMPONENTS = 256  # directions of pixel space that the linear model keeps; bounds its time
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # C of scikit-learn, tried on a fifth of train
NEIGHBOURS = 5

Floats = NDArray[np.floating]


def linear_model(x: Floats, y: NDArray[np.int64], x_dev: Floats, num_classes: int, seed: int) -> NDArray[np.float64]:
    """Probabilities (n_dev, K) of multinomial logistic regression; its penalty is chosen inside train.

    Args:
        x, x_dev: (n, d) pixels in 0..1. y: (n,) class numbers in 0..num_classes-1.
    """
    pca = PCA(min(COMPONENTS, *x.shape), svd_solver="full" if min(x.shape) <= 512 else "randomized", random_state=seed)
    z = pca.fit_transform(x)
    scale = max(float(z.std()), 1e-12)  # one scale for all, so that faint directions stay faint
    z, z_dev = z / scale, pca.transform(x_dev) / scale
    order = np.random.default_rng(seed).permutation(len(y))
    held, rest = order[: len(y) // 5], order[len(y) // 5 :]
    best, penalty = np.inf, 0.1
    if len(held) and len(np.unique(y[rest])) == len(np.unique(y)):
        for candidate in PENALTIES:
            probs = _fit(z[rest], y[rest], z[held], num_classes, candidate)
            loss = -np.log(np.maximum(probs[np.arange(len(held)), y[held]], 1e-12)).mean()
            if loss < best:
                best, penalty = loss, candidate
    return _fit(z, y, z_dev, num_classes, penalty)


def nearest_neighbours(
    x: Floats, y: NDArray[np.int64], x_dev: Floats, num_classes: int, seed: int
) -> NDArray[np.float64]:
    """Probabilities (n_dev, K): the shares of classes among the nearest pictures, plus one vote spread over all."""
    k = min(NEIGHBOURS, len(y))
    model = KNeighborsClassifier(k, weights="distance").fit(x, y)
    probs = np.zeros((len(x_dev), num_classes))
    probs[:, model.classes_] = model.predict_proba(x_dev)
    return (probs * k + 1 / num_classes) / (k + 1)


def _fit(z: Floats, y: NDArray[np.int64], z_new: Floats, num_classes: int, penalty: float) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline that stops early is still one
        model = LogisticRegression(C=penalty, max_iter=200).fit(z, y)
    probs = np.zeros((len(z_new), num_classes))
    probs[:, model.classes_] = model.predict_proba(z_new)
    return probs
