"""Softmax and hardmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.scratch.activations import sigmoid
from orthogon.scratch.softmax import hardmax, softmax, softmax_backward


@pytest.mark.system("net.softmax")
def test_the_worked_figures() -> None:
    # W.softmax
    z = np.array([[5.0], [2.0], [-1.0], [3.0]])
    np.testing.assert_allclose(softmax(z).ravel(), [0.842034, 0.041922, 0.002087, 0.113957], rtol=0, atol=1e-6)
    assert np.exp(z).sum() == pytest.approx(176.255632, abs=1e-6)
    assert softmax(np.array([[1.3], [-0.4]]))[0, 0] == pytest.approx(0.845534734916, abs=1e-12)


@pytest.mark.system("net.softmax")
def test_only_differences_count() -> None:
    Z = np.random.default_rng(0).standard_normal((5, 20)) * 3
    shift = np.random.default_rng(1).standard_normal((1, 20)) * 10
    np.testing.assert_allclose(softmax(Z + shift), softmax(Z), rtol=0, atol=1e-12)
    np.testing.assert_allclose(softmax(Z).sum(axis=0), 1, rtol=0, atol=1e-12)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(softmax(np.array([[1000.0], [-1000.0]])), [[1], [0]], rtol=0, atol=0)


@pytest.mark.system("net.softmax")
def test_two_classes_are_the_sigmoid_of_the_difference() -> None:
    Z = np.random.default_rng(0).standard_normal((2, 100)) * 5
    np.testing.assert_allclose(softmax(Z)[0], sigmoid(Z[0] - Z[1]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3), (4, 1), (6, 9)])
def test_values_and_gradients_are_pytorchs(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    values, dA = rng.standard_normal(shape), rng.standard_normal(shape)
    Z = torch.tensor(values, requires_grad=True)
    A = torch.softmax(Z, dim=0)
    A.backward(torch.tensor(dA))
    assert Z.grad is not None
    np.testing.assert_allclose(softmax(values), A.detach().numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(softmax_backward(dA, softmax(values)), Z.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.system("net.hardmax")
def test_hardmax() -> None:
    np.testing.assert_array_equal(hardmax(np.array([[5.0], [2.0], [-1.0], [3.0]])), [[1], [0], [0], [0]])
    tie = np.array([[1.0], [2.0], [2.0]])  # the first largest, as torch.argmax
    np.testing.assert_array_equal(hardmax(tie), [[0], [1], [0]])
    assert torch.tensor(tie).argmax(dim=0).item() == 1
