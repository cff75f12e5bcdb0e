"""Gradient checking: the order of its error, a correct network passes, a planted bug is named by its layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from orthogon.scratch import deep_network
from orthogon.scratch.batch_norm import batch_norm, batch_norm_backward
from orthogon.scratch.gradient_checking import check, flatten, one_sided, two_sided, unflatten
from orthogon.scratch.regularisation import l2_penalty
from orthogon.training.gradcheck import check_gradients

Parameters = dict[str, np.ndarray]


@pytest.mark.system("train.numgrad")
def test_the_two_sided_difference_is_an_order_better() -> None:
    # W.numgrad
    def cube(theta: float) -> float:
        return theta**3

    assert two_sided(cube, 1.0, 0.01) == pytest.approx(3.0001, abs=1e-9)
    assert one_sided(cube, 1.0, 0.01) == pytest.approx(3.0301, abs=1e-9)
    assert two_sided(cube, 1.0, 0.001) == pytest.approx(3.000001, abs=1e-9)
    assert one_sided(cube, 1.0, 0.001) == pytest.approx(3.003001, abs=1e-9)
    assert two_sided(lambda theta: theta**2, 1.0, 0.01) == pytest.approx(2.0, abs=1e-12)
    assert one_sided(lambda theta: theta**2, 1.0, 0.01) == pytest.approx(2.01, abs=1e-12)
    # a tenth of eps: a hundredth of the error, against a tenth
    assert (two_sided(cube, 1, 0.01) - 3) / (two_sided(cube, 1, 0.001) - 3) == pytest.approx(100, rel=1e-3)
    assert (one_sided(cube, 1, 0.01) - 3) / (one_sided(cube, 1, 0.001) - 3) == pytest.approx(10, rel=1e-2)


def test_flattening_is_undone() -> None:
    rng = np.random.default_rng(0)
    parameters = deep_network.initialise((4, 5, 1), rng)
    theta = flatten(parameters)
    assert theta.shape == (5 * 4 + 5 + 5 + 1,)
    back = unflatten(theta, parameters)
    assert back.keys() == parameters.keys()
    assert all(np.array_equal(back[name], parameters[name]) for name in parameters)


def network(
    seed: int, lambd: float = 0.0
) -> tuple[Parameters, Callable[[Parameters], float], Callable[[Parameters], Parameters]]:
    """Parameters, cost and backward of a 4-5-6-3 net with the L2 penalty."""
    rng = np.random.default_rng(seed)
    g, m = ("tanh", "tanh", "softmax"), 7
    X, Y = rng.standard_normal((4, m)), np.eye(3)[:, rng.integers(0, 3, m)]
    names = ("W1", "W2", "W3")

    def cost(parameters: Parameters) -> float:
        J = deep_network.cost(deep_network.forward(X, parameters, g)[1][-1][1], Y, "softmax")
        return J + l2_penalty([parameters[name] for name in names], lambd, m)[0]

    def backward(parameters: Parameters) -> Parameters:
        A, caches = deep_network.forward(X, parameters, g)
        gradients, _ = deep_network.backward(A, Y, parameters, caches, g)
        for name, extra in zip(names, l2_penalty([parameters[n] for n in names], lambd, m)[1], strict=True):
            gradients[name] = gradients[name] + extra
        return gradients

    return deep_network.initialise((4, 5, 6, 3), rng), cost, backward


@pytest.mark.system("train.gradcheck")
@pytest.mark.parametrize("lambd", [0.0, 0.7])
def test_a_correct_network_passes_at_the_start_and_after_training(lambd: float) -> None:
    parameters, cost, backward = network(0, lambd)
    for _ in range(2):
        found = check(cost, parameters, backward(parameters))
        assert found.score < 1e-7
        assert found.faulty == []
        assert found.layers == []
        for _ in range(30):
            parameters = deep_network.step(parameters, backward(parameters), 0.1)


@pytest.mark.system("train.gradcheck")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2", "W3", "b3"])
def test_a_doubled_gradient_is_named_by_its_layer(seed: int, name: str) -> None:
    parameters, cost, backward = network(seed)
    gradients = backward(parameters)
    found = check(cost, parameters, {**gradients, name: 2 * gradients[name]})
    assert found.score > 1e-3
    assert found.faulty == [name]
    assert found.layers == [f"layer {name[1]}"]
    assert found.scores[name] == pytest.approx(1 / 3, rel=1e-4)


def test_a_forgotten_penalty_shows_in_the_weights_alone() -> None:
    parameters, cost, _ = network(0, lambd=0.7)
    _, _, backward_without = network(0)
    found = check(cost, parameters, backward_without(parameters))
    assert sorted(found.faulty) == ["W1", "W2", "W3"]
    assert sorted(found.layers) == ["layer 1", "layer 2", "layer 3"]


@pytest.mark.system("train.gradcheck")
def test_scores_are_the_products() -> None:
    parameters, cost, backward = network(2, lambd=0.5)
    gradients = backward(parameters)
    gradients["b2"] = 2 * gradients["b2"]
    ours = check(cost, parameters, gradients)
    tensors = {name: torch.tensor(value) for name, value in parameters.items()}

    def product_cost() -> Tensor:
        return torch.tensor(cost({name: value.numpy() for name, value in tensors.items()}), dtype=torch.float64)

    product = check_gradients(product_cost, tensors, {name: torch.tensor(g) for name, g in gradients.items()})
    assert ours.score == pytest.approx(product.score, rel=1e-6)
    assert tuple(ours.faulty) == product.faulty
    assert ours.scores["b2"] == pytest.approx(product.tensors["b2"], rel=1e-6)


def test_a_bias_before_batch_norm_is_no_bug() -> None:
    # its gradient is 0 up to rounding, and so is the difference quotient: their own distance says nothing
    rng = np.random.default_rng(0)
    X, weights, one = rng.standard_normal((4, 8)), rng.standard_normal((5, 8)), np.ones((5, 1))

    def cost(p: Parameters) -> float:
        return float(np.sum(weights * np.tanh(batch_norm(p["W1"] @ X + p["b1"], one, 0 * one)[0])))

    parameters = {"W1": rng.standard_normal((5, 4)), "b1": rng.standard_normal((5, 1))}
    Z_tilde, _, cache = batch_norm(parameters["W1"] @ X + parameters["b1"], one, 0 * one)
    dZ, _, _ = batch_norm_backward(weights * (1 - np.tanh(Z_tilde) ** 2), cache)
    found = check(cost, parameters, {"W1": dZ @ X.T, "b1": dZ.sum(axis=1, keepdims=True)})
    assert found.score < 1e-7
    assert found.faulty == []
    db, approx = found.dtheta[-5:], found.dtheta_approx[-5:]
    assert np.linalg.norm(approx - db) > 0.5 * (np.linalg.norm(approx) + np.linalg.norm(db))
