"""Loops and matrix products give the same numbers; only the loops grow with the examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.scratch.vectorisation import (
    dot_loop,
    dot_vector,
    gradients_loop,
    gradients_vector,
    neuron_loop,
    neuron_vector,
)


@pytest.mark.system("net.vectorise")
def test_a_million_products_agree() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.random(1_000_000), rng.random(1_000_000)
    assert dot_loop(w, x) == pytest.approx(dot_vector(w, x), rel=1e-11)


@pytest.mark.system("net.vectorise")
@pytest.mark.parametrize(("n_x", "m"), [(1, 1), (3, 5), (12, 30)])
def test_a_neuron_without_loops_answers_for_all_examples(n_x: int, m: int) -> None:
    rng = np.random.default_rng(n_x)
    w, X, dZ = rng.standard_normal((n_x, 1)), rng.standard_normal((n_x, m)), rng.standard_normal((1, m))
    Z, interpreted = neuron_loop(w, 0.3, X)
    assert interpreted == n_x * m
    np.testing.assert_allclose(neuron_vector(w, 0.3, X), Z, rtol=0, atol=1e-12)
    for loop, vector in zip(gradients_loop(X, dZ), gradients_vector(X, dZ), strict=True):
        np.testing.assert_allclose(vector, loop, rtol=0, atol=1e-12)
    linear = torch.nn.functional.linear(torch.tensor(X.T), torch.tensor(w.T), torch.tensor([0.3], dtype=torch.float64))
    np.testing.assert_allclose(neuron_vector(w, 0.3, X), linear.numpy().T, rtol=0, atol=1e-12)
