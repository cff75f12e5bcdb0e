"""Small sets to learn from, drawn here: two moons, a flower of two colours, digits of 8x8 pixels. Examples are columns.

Each takes what draws its random numbers: numpy.random.default_rng(seed), or numpy.random.RandomState(seed) where a
published figure rests on its numbers.
"""

from __future__ import annotations

import numpy as np

Randomness = np.random.Generator | np.random.RandomState

# 0 to 9, each five rows of three pixels
FONT = (
    "### # # # # ###",
    " # ##  #  # ###",
    "##   # # #  ###",
    "##   # #   ### ",
    "# ## ####  #  #",
    "####  ##   ### ",
    " ###  #### ####",
    "###  #  # #  # ",
    "#### ##### ####",
    "#### ####  ### ",
)


def moons(m: int, noise: float, rng: Randomness) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles, one in the other's arm: X (2, m), Y (1, m); noise = standard deviation in both directions."""
    upper = m // 2
    angle = np.concatenate([np.linspace(0, np.pi, upper), np.linspace(0, np.pi, m - upper)])
    Y = (np.arange(m) >= upper).astype(np.float64)
    X = np.where(Y == 0, [np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)])
    return X + noise * rng.standard_normal((2, m)), Y[None, :]


def flower(m: int, rng: Randomness) -> tuple[np.ndarray, np.ndarray]:
    """Petals whose colour changes with the angle: X (2, m), Y (1, m), |x| up to about 4.

    The recipe of the known exercise on planar data: with RandomState(1) and m = 400 it is the same set.
    """
    half = m // 2
    parts = []
    for colour in range(2):
        angle = np.linspace(colour * 3.12, (colour + 1) * 3.12, half) + rng.standard_normal(half) * 0.2
        radius = 4 * np.sin(4 * angle) + rng.standard_normal(half) * 0.2
        parts.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)]))
    return np.concatenate(parts, axis=1), np.repeat([[0.0, 1.0]], half, axis=1)


def digits(m: int, rng: np.random.Generator, noise: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Digits of a 3x5 font near the middle of 8x8 pixels, under noise: X (64, m), one-hot Y (10, m)."""
    glyphs = np.array([[pixel == "#" for pixel in glyph] for glyph in FONT], dtype=np.float64).reshape(10, 5, 3)
    pictures = noise * rng.standard_normal((m, 8, 8))
    classes = rng.integers(0, 10, m)
    for picture, k in zip(pictures, classes, strict=True):
        row, column = rng.integers(1, 3), rng.integers(2, 4)
        picture[row : row + 5, column : column + 3] += glyphs[k]
    return pictures.reshape(m, 64).T.copy(), np.eye(10)[:, classes]
