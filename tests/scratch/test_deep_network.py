"""L layers in NumPy against autograd and the product's network; the cat exercise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orthogon.models.mlp import MLP
from orthogon.nn import losses as product
from orthogon.scratch.deep_network import backward, cost, error_rate, forward, initialise, train
from orthogon.scratch.notation import check_parameters

HIDDEN = ("relu", "tanh", "sigmoid", "leaky_relu", "identity")
LAYERS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "leaky_relu": nn.LeakyReLU, "identity": nn.Identity}


def in_pytorch(Z: Tensor, Y: Tensor, output: str) -> Tensor:
    """Mean loss of scores (m, n_y) and targets (m, n_y)."""
    if output == "sigmoid":
        return product.binary_cross_entropy(Z, Y)[0] / len(Y)
    if output == "softmax":
        return product.softmax_cross_entropy(Z, Y.argmax(dim=1))[0] / len(Y)
    return product.squared_error(Z, Y)[0] / 2 / len(Y)


@pytest.mark.system("net.deep")
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("L", [2, 3, 4, 5, 6])
def test_values_and_gradients_are_autograds(L: int, output: str) -> None:
    rng = np.random.default_rng(L)
    m, n_y = 9, {"sigmoid": 1, "softmax": 4, "identity": 2}[output]
    n = (5, *rng.integers(2, 8, L - 1), n_y)
    g = (*(HIDDEN[(L + i) % 5] for i in range(L - 1)), output)
    X = rng.standard_normal((5, m))
    Y = {
        "sigmoid": rng.integers(0, 2, (1, m)).astype(np.float64),
        "softmax": np.eye(4)[:, rng.integers(0, 4, m)],
        "identity": rng.standard_normal((2, m)),
    }[output]
    parameters = initialise(n, rng)
    for name in parameters:
        if name.startswith("b"):
            parameters[name] += rng.standard_normal(parameters[name].shape)
    check_parameters(parameters, n)

    linears, modules = [], []
    for layer, name in enumerate(g, start=1):
        linear = nn.Linear(n[layer - 1], n[layer], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(parameters[f"W{layer}"]))
            linear.bias.copy_(torch.tensor(parameters[f"b{layer}"][:, 0]))
        linears.append(linear)
        modules += [linear] + ([LAYERS[name]()] if layer < L else [])
    inputs = torch.tensor(X.T.copy(), requires_grad=True)
    Z = nn.Sequential(*modules)(inputs)
    loss = in_pytorch(Z, torch.tensor(Y.T.copy()), output)
    loss.backward()

    A, caches = forward(X, parameters, g)
    gradients, dX = backward(A, Y, parameters, caches, g)
    np.testing.assert_allclose(caches[-1][1], Z.detach().numpy().T, rtol=0, atol=1e-10)
    assert cost(caches[-1][1], Y, output) == pytest.approx(loss.item(), abs=1e-10)
    for layer, linear in enumerate(linears, start=1):
        assert linear.weight.grad is not None
        assert linear.bias.grad is not None
        np.testing.assert_allclose(gradients[f"W{layer}"], linear.weight.grad.numpy(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(gradients[f"b{layer}"][:, 0], linear.bias.grad.numpy(), rtol=0, atol=1e-10)
    assert inputs.grad is not None
    np.testing.assert_allclose(dX, inputs.grad.numpy().T, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", HIDDEN)
def test_training_follows_the_products_network_step_by_step(activation: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((4, 30)), rng.integers(0, 2, (1, 30)).astype(np.float64)
    start = initialise((4, 6, 5, 1), rng)
    network = MLP(4, [6, 5], 1, activation=activation).double()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), start.values(), strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = in_pytorch(network(torch.tensor(X.T)), torch.tensor(Y.T), "sigmoid")
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    parameters, costs = train(X, Y, start, (activation, activation, "sigmoid"), alpha=0.1, steps=20)
    np.testing.assert_allclose(costs, losses, rtol=0, atol=1e-10)
    for ours, theirs in zip(parameters.values(), network.parameters(), strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs.detach().numpy(), rtol=0, atol=1e-10)


def test_training_leaves_the_first_parameters_alone() -> None:
    start = initialise((2, 3, 1), np.random.default_rng(0))
    before = {name: value.copy() for name, value in start.items()}
    train(np.ones((2, 4)), np.ones((1, 4)), start, ("relu", "sigmoid"), 0.1, 3)
    assert all(np.array_equal(start[name], before[name]) for name in start)


def test_the_scale_of_the_first_weights() -> None:
    parameters = initialise((400, 300, 10), np.random.default_rng(0), gain=2.0)
    # 120,000 draws: the variance is known to 1.4 / sqrt(120,000), five standard errors
    assert parameters["W1"].var() == pytest.approx(2 / 400, rel=0.021)
    assert not parameters["b1"].any()


def test_error_rate() -> None:
    identity = {"W1": np.eye(3), "b1": np.zeros((3, 1))}
    X, Y = np.eye(3)[:, [0, 1, 2, 2]], np.eye(3)[:, [0, 1, 2, 0]]
    assert error_rate(X, Y, identity, ("softmax",)) == 0.25
    one = {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))}
    assert error_rate(np.array([[3.0, -3.0, 3.0]]), np.array([[1.0, 0.0, 0.0]]), one, ("sigmoid",)) == pytest.approx(
        1 / 3
    )


def exercise(real_data: Path, steps: int) -> tuple[float, float, list[float]]:
    """Accuracy on train and test, and the costs, of the four-layer cat network."""
    with np.load(real_data / "cat_noncat" / "catvnoncat.npz") as data:
        X, X_test = (data[name].reshape(len(data[name]), -1).T / 255 for name in ("X_train", "X_test"))
        Y, Y_test = data["y_train"][None, :], data["y_test"][None, :]
    g = ("relu", "relu", "relu", "sigmoid")
    start = initialise((12288, 20, 7, 5, 1), np.random.RandomState(1), gain=1.0)
    parameters, costs = train(X, Y, start, g, alpha=0.0075, steps=steps)
    return 1 - error_rate(X, Y, parameters, g), 1 - error_rate(X_test, Y_test, parameters, g), costs


def test_the_first_cost_of_the_cat_exercise(real_data: Path) -> None:
    assert exercise(real_data, steps=1)[2] == [pytest.approx(0.771749, abs=1e-6)]


@pytest.mark.slow
def test_the_cat_exercise_reaches_its_published_figures(real_data: Path) -> None:
    train_accuracy, test_accuracy, costs = exercise(real_data, steps=2500)
    assert costs[100] == pytest.approx(0.672053, abs=1e-6)
    assert costs[2400] == pytest.approx(0.092878, abs=1e-3)
    assert train_accuracy == pytest.approx(0.985646, abs=0.006)
    assert test_accuracy == pytest.approx(0.80)
