"""Cross-entropy for two classes and for C: worked figure, autograd, the product's losses, extreme scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.nn import losses as product
from orthogon.scratch.activations import sigmoid
from orthogon.scratch.losses import (
    binary_cross_entropy,
    binary_cross_entropy_from_scores,
    softmax_cross_entropy,
    softmax_cross_entropy_from_scores,
)
from orthogon.scratch.softmax import softmax


def numbers(*shape: int) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(len(shape) + sum(shape))
    return rng.standard_normal(shape) * 3, rng


def gradient(tensor: torch.Tensor) -> np.ndarray:
    assert tensor.grad is not None
    return tensor.grad.numpy()


@pytest.mark.system("net.bce")
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 7)])
def test_binary_cross_entropy_is_autograds_and_the_products(shape: tuple[int, ...]) -> None:
    values, rng = numbers(*shape)
    Y = rng.integers(0, 2, shape).astype(np.float64)
    Z = torch.tensor(values, requires_grad=True)
    loss, count = product.binary_cross_entropy(Z, torch.tensor(Y))
    loss.backward()
    L, dZ = binary_cross_entropy_from_scores(values, Y)
    assert L.sum() == pytest.approx(loss.item(), abs=1e-10)
    assert L.size == count
    np.testing.assert_allclose(dZ, gradient(Z), rtol=0, atol=1e-10)

    probs = sigmoid(values)
    A = torch.tensor(probs, requires_grad=True)
    torch.nn.functional.binary_cross_entropy(A, torch.tensor(Y), reduction="sum").backward()
    L_of_A, dA = binary_cross_entropy(probs, Y)
    np.testing.assert_allclose(L_of_A, L, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dA, gradient(A), rtol=1e-12, atol=1e-10)
    # dz = da g'(z) = a - y
    np.testing.assert_allclose(dA * probs * (1 - probs), dZ, rtol=0, atol=1e-10)


@pytest.mark.system("net.bce")
def test_scores_of_a_thousand_give_finite_values() -> None:
    Z, Y = np.array([-1000.0, -1000.0, 1000.0, 1000.0]), np.array([0.0, 1.0, 0.0, 1.0])
    with np.errstate(all="raise", under="ignore"):
        L, dZ = binary_cross_entropy_from_scores(Z, Y)
    np.testing.assert_array_equal(L, [0, 1000, 1000, 0])
    np.testing.assert_array_equal(dZ, [0, -1, 1, 0])


def test_it_is_the_negative_log_likelihood() -> None:
    A, Y = np.array([0.2, 0.2]), np.array([1.0, 0.0])
    likelihood = A**Y * (1 - A) ** (1 - Y)
    np.testing.assert_allclose(binary_cross_entropy(A, Y)[0], -np.log(likelihood), rtol=0, atol=1e-12)


@pytest.mark.system("net.softmax-loss")
def test_the_worked_figure() -> None:
    # W.softmax-loss
    A, Y = np.array([[0.3], [0.2], [0.1], [0.4]]), np.array([[0.0], [1.0], [0.0], [0.0]])
    assert softmax_cross_entropy(A, Y)[0, 0] == pytest.approx(1.609437912434, abs=1e-12)
    assert softmax_cross_entropy_from_scores(np.log(A), Y)[0][0, 0] == pytest.approx(1.609437912434, abs=1e-12)


@pytest.mark.system("net.softmax-loss")
@pytest.mark.parametrize(("C", "m"), [(2, 1), (4, 9), (10, 25)])
def test_softmax_cross_entropy_is_autograds_and_the_products(C: int, m: int) -> None:
    values, rng = numbers(C, m)
    classes = rng.integers(0, C, m)
    Y = np.eye(C)[:, classes]
    Z = torch.tensor(values.T.copy(), requires_grad=True)  # the product's examples are rows
    loss, count = product.softmax_cross_entropy(Z, torch.tensor(classes))
    loss.backward()
    L, dZ = softmax_cross_entropy_from_scores(values, Y)
    assert L.shape == (1, m)
    assert count == m
    assert L.sum() == pytest.approx(loss.item(), abs=1e-10)
    np.testing.assert_allclose(dZ.T, gradient(Z), rtol=0, atol=1e-10)
    np.testing.assert_allclose(softmax_cross_entropy(softmax(values), Y), L, rtol=0, atol=1e-10)


def test_several_extreme_classes_stay_finite() -> None:
    Z, Y = np.array([[1000.0, 1000.0], [-1000.0, -1000.0], [0.0, 0.0]]), np.array([[1.0, 0], [0, 1], [0, 0]])
    with np.errstate(all="raise", under="ignore"):
        L, dZ = softmax_cross_entropy_from_scores(Z, Y)
        assert np.isfinite(softmax_cross_entropy(softmax(Z)[:, :1], Y[:, :1])).all()
    np.testing.assert_array_equal(L, [[0, 2000]])
    np.testing.assert_array_equal(dZ, [[0, 1], [0, -1], [0, 0]])
