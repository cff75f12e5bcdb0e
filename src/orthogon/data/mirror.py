"""Which pictures look mirrored: those whose mirror image lies nearer to known pictures than they do themselves.

Legend: n pictures, m known ones, S = 16 pixels, the side of a thumbnail.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Examples
from orthogon.data.traits import Trait

Floats = NDArray[np.float64]
MIRRORED_BELOW = 0.85  # of its own distance to train: nearer than that, the mirror image is what train holds
COMPARED_AT_MOST = 5_000  # pictures of train with which mirror images are compared
AT_ONCE = 512


def mirror_trait(examples: Examples, train: Examples) -> Trait:
    """Whether each picture looks mirrored beside those of train, 0 or 1."""
    rows = np.linspace(0, len(train) - 1, min(len(train), COMPARED_AT_MOST)).astype(np.int64)
    known, pictures = (
        each.thumbnails().astype(np.float64)  # type: ignore[attr-defined]
        for each in (train.take(rows), examples)
    )
    values = mirrored(pictures, known).astype(np.float64)
    return Trait("mirrored", values, "its mirror image lies nearer to train than it does itself", "%")


def mirrored(pictures: Floats, known: Floats) -> NDArray[np.bool_]:
    """(n,) whether the mirror image lies clearly nearer to the nearest known picture than the picture itself.

    Args:
        pictures: (n, S, S). known: (m, S, S); brightness and contrast do not count.
    """
    units = _unit(known)
    as_it_is, turned = (_nearest(_unit(each), units) for each in (pictures, pictures[:, :, ::-1]))
    return np.asarray(turned < MIRRORED_BELOW * as_it_is)


def _unit(pictures: Floats) -> Floats:
    """(n, S²) of mean 0 and length 1."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


def _nearest(a: Floats, b: Floats) -> Floats:
    """(n,) distance of each row of a to the nearest of b; rows have length 1."""
    parts = [(a[i : i + AT_ONCE] @ b.T).max(axis=1) for i in range(0, len(a), AT_ONCE)]
    return np.sqrt(np.maximum(2 - 2 * np.concatenate(parts), 0)) if parts else np.zeros(0)
