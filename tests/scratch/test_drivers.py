"""Data, size and ReLU on the digits."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from orthogon.scratch.drivers import costs_by_activation, draw, first_below, learning_curves


def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    order = np.random.default_rng(0).permutation(1797)
    return data.data[order].T / 16, np.eye(10)[:, data.target[order]]


@pytest.mark.system("net.drivers")
def test_dev_error_falls_with_data_and_more_so_in_larger_networks() -> None:
    X, Y = digits()
    ms = (25, 100, 400)
    curves = learning_curves(X[:, :400], Y[:, :400], X[:, 1200:], Y[:, 1200:], (2, 8, 32), ms, steps=150)
    assert set(curves) == {2, 8, 32}
    assert all(len(curve) == len(ms) for curve in curves.values())
    assert all(curve[-1] < curve[0] for curve in curves.values())
    gain = {n_h: curve[0] - curve[-1] for n_h, curve in curves.items()}
    assert gain[32] > gain[2]
    assert curves[32][-1] < curves[8][-1] < curves[2][-1]
    assert curves[32][-1] < 0.15

    ax = Figure().subplots()
    draw(ax, ms, curves)
    assert [line.get_label() for line in ax.lines] == ["2 hidden units", "8 hidden units", "32 hidden units"]
    for line, curve in zip(ax.lines, curves.values(), strict=True):
        np.testing.assert_allclose(np.array(line.get_data()), [ms, 100 * np.array(curve)])
    assert ax.get_xlabel() == "training examples m"
    assert ax.get_ylabel() == "dev error, %"


@pytest.mark.system("net.drivers")
@pytest.mark.parametrize("seed", range(3))
def test_relu_is_there_in_fewer_steps_than_sigmoid(seed: int) -> None:
    X, Y = digits()
    costs = costs_by_activation(X[:, :300], Y[:, :300], (16, 16), steps=150, seed=seed)
    relu = first_below(costs["relu"], 1.0)
    sigmoid = first_below(costs["sigmoid"], 1.0)
    assert relu is not None
    assert sigmoid is None or sigmoid > 2 * relu


def test_first_below() -> None:
    assert first_below([3.0, 2.0, 0.9, 1.5], 1.0) == 2
    assert first_below([3.0, 2.0], 1.0) is None
