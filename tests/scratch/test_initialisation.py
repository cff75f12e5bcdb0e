"""First weights: their variance is the product's, and the figures of a 50-layer stack hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.nn import init
from orthogon.scratch.initialisation import first_weights, signal_sizes, weight_variance


@pytest.mark.system("train.init")
@pytest.mark.parametrize(("n_in", "n_out"), [(300, 400), (1, 5), (64, 10)])
def test_variances_are_the_products(n_in: int, n_out: int) -> None:
    assert init.VARIANCES.keys() == {"he", "xavier", "glorot"}
    for scheme, variance in init.VARIANCES.items():
        assert weight_variance(scheme, n_in, n_out) == variance(n_in, n_out)
    assert weight_variance("he", n_in, n_out) == 2 / n_in
    assert weight_variance("glorot", n_in, n_out) == 2 / (n_in + n_out)
    with pytest.raises(KeyError):
        weight_variance("hee", n_in, n_out)


@pytest.mark.parametrize(
    ("scheme", "variance"), [("he", 2 / 300), ("xavier", 1 / 300), ("glorot", 2 / 700), (0.5, 0.25)]
)
def test_weights_have_the_variance_asked_for(scheme: str | float, variance: float) -> None:
    W = first_weights(400, 300, scheme, np.random.default_rng(0))
    assert W.shape == (400, 300)
    assert W.var() == pytest.approx(variance, rel=0.021)  # five standard errors
    assert abs(W.mean()) < 5 * np.sqrt(variance / W.size)


@pytest.mark.system("train.init")
@pytest.mark.parametrize(
    ("activation", "scheme", "expected"),
    [
        ("relu", "he", 0.50),
        ("relu", "xavier", 3.3e-8),
        ("relu", 0.01, 2.8e-48),
        ("relu", 1.0, 4.0e52),
        ("tanh", "xavier", 0.11),
        ("tanh", 0.01, 1.5e-40),
    ],
)
def test_size_of_a_signal_after_50_layers(activation: str, scheme: str | float, expected: float) -> None:
    # W.init: width 256, N(0, 1) in, root mean square out, within a factor of 10
    X = np.random.default_rng(0).standard_normal((256, 100))
    sizes = signal_sizes(X, 50, activation, scheme, seed=0)
    assert sizes.shape == (51,)
    assert sizes[0] == pytest.approx(1, abs=0.02)
    assert expected / 10 < sizes[-1] < expected * 10


def test_torchs_own_default_is_uniform_with_a_sixth_of_hes_variance() -> None:
    torch.manual_seed(0)
    W = nn.Linear(300, 400).weight.detach().numpy()
    bound = np.sqrt(1 / 300)  # uniform in ±bound has variance bound² / 3
    assert 0.99 * bound < np.abs(W).max() <= bound * (1 + 1e-6)
    assert W.var() == pytest.approx(1 / (3 * 300), rel=0.021)
    assert weight_variance("he", 300, 400) / (1 / (3 * 300)) == pytest.approx(6)
