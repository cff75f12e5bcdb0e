"""Activations and their slopes: worked figures, PyTorch, the ends of the range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.models.mlp import ACTIVATIONS as PRODUCT
from orthogon.scratch.activations import (
    ACTIVATIONS,
    leaky_relu,
    leaky_relu_slope,
    relu,
    relu_slope,
    sigmoid,
    sigmoid_slope,
    tanh,
    tanh_slope,
)


def at(g, z: float) -> float:
    return float(g(np.array([z]))[0])


@pytest.mark.system("net.sigmoid")
def test_sigmoid() -> None:
    # W.act
    assert at(sigmoid, 1) == pytest.approx(0.731058578630, abs=1e-12)
    assert at(sigmoid_slope, 0) == 0.25
    assert at(sigmoid_slope, 10) == pytest.approx(4.539581e-5, abs=1e-10)
    assert sigmoid_slope(np.linspace(-20, 20, 1001)).max() == 0.25
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])


@pytest.mark.system("net.tanh")
def test_tanh() -> None:
    # W.act
    assert at(tanh, 1) == pytest.approx(0.761594155956, abs=1e-12)
    assert at(tanh_slope, 1) == pytest.approx(0.419974341614, abs=1e-12)
    Z = np.random.default_rng(0).standard_normal(100_000)
    np.testing.assert_allclose(tanh(Z), 2 * sigmoid(2 * Z) - 1, rtol=0, atol=1e-12)
    # its standard deviation there is 0.63: five standard errors of the mean
    assert abs(tanh(Z).mean()) < 5 * 0.63 / 100_000**0.5
    assert sigmoid(Z).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.system("net.relu")
def test_relu() -> None:
    Z = np.array([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(relu(Z), [0, 0, 3])
    np.testing.assert_array_equal(relu_slope(Z), [0, 0, 1])


@pytest.mark.system("net.leaky-relu")
def test_leaky_relu() -> None:
    Z = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(leaky_relu(Z), [-0.03, 0, 2], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(leaky_relu_slope(Z), [0.01, 0.01, 1])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_the_products(name: str) -> None:
    """At z = 0 too, where ReLU has no slope: PyTorch takes 0, and 0.01 for the leaky one; so do we."""
    values = np.concatenate([np.random.default_rng(0).standard_normal(200) * 4, [0.0, -40.0, 40.0]])
    Z = torch.tensor(values, requires_grad=True)
    A = PRODUCT[name]()(Z)
    A.sum().backward()
    g, slope = ACTIVATIONS[name]
    assert Z.grad is not None
    np.testing.assert_allclose(g(values), A.detach().numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(slope(values), Z.grad.numpy(), rtol=0, atol=1e-10)
