"""Small sets: what they hold, and that a seed fixes them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons

from orthogon.scratch.toy_data import digits, flower, moons


def test_moons_without_noise_are_scikit_learns() -> None:
    X, Y = moons(300, 0.0, np.random.default_rng(0))
    rows, labels = make_moons(300, noise=None, shuffle=False)
    np.testing.assert_allclose(X.T, rows, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(Y[0], labels)
    noisy, _ = moons(20_000, 0.2, np.random.default_rng(0))
    clean, _ = moons(20_000, 0.0, np.random.default_rng(0))
    assert (noisy - clean).std() == pytest.approx(0.2, rel=0.03)


def test_the_flower_has_two_colours_and_six_petals_or_so() -> None:
    X, Y = flower(400, np.random.RandomState(1))
    assert X.shape == (2, 400)
    assert Y.sum() == 200
    assert 3.5 < np.hypot(*X).max() < 5


def test_digits_are_ten_different_classes_and_a_seed_fixes_them() -> None:
    X, Y = digits(500, np.random.default_rng(0), noise=0.0)
    assert X.shape == (64, 500)
    np.testing.assert_array_equal(Y.sum(axis=0), 1)
    assert Y.any(axis=1).all()
    # without noise there are 10 glyphs at 2 x 2 places, and no picture has two classes (+ 0.0: -0 is 0)
    seen = {(column.tobytes(), int(k)) for column, k in zip(X.T + 0.0, Y.argmax(axis=0), strict=True)}
    assert len(seen) == len({picture for picture, _ in seen}) == 40
    again, _ = digits(500, np.random.default_rng(0), noise=0.0)
    assert np.array_equal(again, X)
