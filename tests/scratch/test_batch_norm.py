"""Batch norm: W.bn, gradients against autograd, test time, and why it needs no bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.models.mlp import MLP
from orthogon.scratch.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_test,
    companions_noise,
    gather,
    tower,
    train_tower,
)
from orthogon.scratch.gradient_checking import check
from orthogon.scratch.toy_data import digits


def torch_layer(gamma: np.ndarray, beta: np.ndarray) -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(len(gamma), momentum=0.1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(gamma.ravel()))
        layer.bias.copy_(torch.tensor(beta.ravel()))
    return layer


@pytest.mark.system("train.bn")
def test_batch_norm_worked_by_hand() -> None:
    # W.bn
    z, one = np.array([[1.0, 2.0, 3.0, 4.0]]), np.ones((1, 1))
    z_norm, (mu, variance), _ = batch_norm(z, one, 0 * one)
    assert (mu[0, 0], variance[0, 0]) == (2.5, 1.25)
    np.testing.assert_allclose(z_norm[0], [-1.341635, -0.447212, 0.447212, 1.341635], rtol=0, atol=1e-6)
    z_tilde, batch, _ = batch_norm(z, 2 * one, 0.5 * one)
    np.testing.assert_allclose(z_tilde[0], [-2.183271, -0.394424, 1.394424, 3.183271], rtol=0, atol=1e-6)
    mu, variance = gather((0 * one, one), batch, m=4)
    assert mu[0, 0] == pytest.approx(0.25)
    assert variance[0, 0] == pytest.approx(1.066667, abs=1e-6)


@pytest.mark.system("train.bn")
@pytest.mark.parametrize(("n", "m"), [(3, 8), (1, 2), (7, 50)])
def test_values_and_gradients_are_torchs(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    Z, dZ_tilde = 3 + 2 * rng.standard_normal((n, m)), rng.standard_normal((n, m))
    gamma, beta = rng.standard_normal((n, 1)), rng.standard_normal((n, 1))
    Z_tilde, _, cache = batch_norm(Z, gamma, beta)
    dZ, dgamma, dbeta = batch_norm_backward(dZ_tilde, cache)

    layer, inputs = torch_layer(gamma, beta), torch.tensor(Z.T, requires_grad=True)
    outputs = layer(inputs)
    outputs.backward(torch.tensor(dZ_tilde.T))
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    np.testing.assert_allclose(Z_tilde, outputs.detach().numpy().T, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dZ, inputs.grad.numpy().T, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dgamma[:, 0], layer.weight.grad.numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(dbeta[:, 0], layer.bias.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.system("train.bn")
def test_dgamma_dbeta_and_dz_pass_the_gradient_check() -> None:
    rng = np.random.default_rng(0)
    start = {
        "Z": rng.standard_normal((3, 8)),
        "gamma": rng.standard_normal((3, 1)),
        "beta": rng.standard_normal((3, 1)),
    }
    weights = rng.standard_normal((3, 8))

    def cost(p: dict[str, np.ndarray]) -> float:
        return float(np.sum(weights * np.tanh(batch_norm(p["Z"], p["gamma"], p["beta"])[0])))

    Z_tilde, _, cache = batch_norm(start["Z"], start["gamma"], start["beta"])
    dZ, dgamma, dbeta = batch_norm_backward(weights * (1 - np.tanh(Z_tilde) ** 2), cache)
    found = check(cost, start, {"Z": dZ, "gamma": dgamma, "beta": dbeta})
    assert found.score < 1e-7
    # with the mean's share of dz forgotten it fails, in Z
    wrong = check(cost, start, {"Z": dZ + dbeta / 8, "gamma": dgamma, "beta": dbeta})
    assert wrong.faulty == ["Z"]


@pytest.mark.system("train.bn")
def test_gamma_and_beta_can_undo_the_normalisation() -> None:
    Z = np.random.default_rng(1).normal(3, 5, size=(4, 16))
    gamma, beta = np.sqrt(Z.var(axis=1, keepdims=True) + 1e-5), Z.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(batch_norm(Z, gamma, beta)[0], Z, rtol=0, atol=1e-12)


@pytest.mark.system("train.bn-bias")
def test_a_bias_before_it_changes_nothing_and_the_product_leaves_it_out() -> None:
    rng = np.random.default_rng(2)
    Z, b = rng.standard_normal((5, 9)), rng.standard_normal((5, 1))
    gamma, beta = rng.standard_normal((5, 1)), rng.standard_normal((5, 1))
    Z_tilde, _, cache = batch_norm(Z, gamma, beta)
    np.testing.assert_allclose(batch_norm(Z + b, gamma, beta)[0], Z_tilde, rtol=0, atol=1e-12)
    # so db = sum dz is 0 whatever comes back
    dZ, _, _ = batch_norm_backward(rng.standard_normal((5, 9)), cache)
    np.testing.assert_allclose(dZ.sum(axis=1), 0, rtol=0, atol=1e-12)
    names = dict(MLP(4, [5], 1, batch_norm=True).named_parameters())
    assert "linear1.weight" in names
    assert "linear1.bias" not in names


@pytest.mark.system("train.bn-test")
def test_test_time_uses_what_training_gathered_as_torch_does() -> None:
    rng = np.random.default_rng(3)
    gamma, beta = rng.standard_normal((3, 1)), rng.standard_normal((3, 1))
    layer, running = torch_layer(gamma, beta), (np.zeros((3, 1)), np.ones((3, 1)))
    for m in (32, 32, 5, 2):
        Z = rng.normal([[1.0], [-2], [5]], [[1.0], [3], [0.5]], size=(3, m))
        running = gather(running, batch_norm(Z, gamma, beta)[1], m)
        layer(torch.tensor(Z.T))
    np.testing.assert_allclose(running[0][:, 0], layer.running_mean.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(running[1][:, 0], layer.running_var.numpy(), rtol=0, atol=1e-12)
    one = np.array([[2.0], [-1.0], [4.0]])  # a batch of one
    ours = batch_norm_test(one, gamma, beta, running)
    np.testing.assert_allclose(ours.T, layer.eval()(torch.tensor(one.T)).detach().numpy(), rtol=0, atol=1e-12)
    with_others = batch_norm_test(np.hstack([one, rng.standard_normal((3, 6))]), gamma, beta, running)
    np.testing.assert_allclose(with_others[:, :1], ours, rtol=0, atol=1e-12)


@pytest.mark.system("train.bn-why")
def test_upstream_changes_do_not_reach_the_next_layer_and_noise_falls_with_the_batch() -> None:
    rng = np.random.default_rng(4)
    Z, one = rng.standard_normal((4, 64)), np.ones((4, 1))
    before = batch_norm(Z, one, 0 * one)[0]
    np.testing.assert_allclose(batch_norm(40 * Z - 7, one, 0 * one)[0], before, rtol=0, atol=1e-4)  # up to eps
    noise = [companions_noise(size, 2000, rng) for size in (16, 64, 256)]
    assert noise[0] > 2 * noise[1] > 4 * noise[2]


@pytest.mark.system("train.bn-why")
@pytest.mark.parametrize("normalised", [False, True])
def test_the_tower_follows_autograd(normalised: bool) -> None:
    rng = np.random.default_rng(5)
    X, Y = digits(30, rng)
    weights = tower(64, 12, 4, 10, rng)
    parts: list[nn.Module] = []
    for i, W in enumerate(weights):
        with_norm = normalised and i < 4
        linear = nn.Linear(W.shape[1], W.shape[0], bias=not with_norm).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(W))
            if linear.bias is not None:
                linear.bias.zero_()
        parts += [linear, *([nn.BatchNorm1d(12).double()] if with_norm else []), *([nn.ReLU()] if i < 4 else [])]
    network = nn.Sequential(*parts)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
    for ours in train_tower(X, Y, weights, 0.3, 15, normalised):
        optimiser.zero_grad()
        cost = nn.functional.cross_entropy(network(torch.tensor(X.T)), torch.tensor(Y.argmax(axis=0)))
        assert ours == pytest.approx(cost.item(), abs=1e-10)
        cost.backward()
        optimiser.step()


@pytest.mark.system("train.bn-why")
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_a_tower_of_ten_layers_learns_only_with_batch_norm(alpha: float) -> None:
    rng = np.random.default_rng(6)
    X, Y = digits(200, rng)
    weights = tower(64, 32, 10, 10, rng)
    shares = Y.mean(axis=1)
    chance = -np.sum(shares * np.log(shares))  # what knowing the classes' shares alone gives
    assert train_tower(X, Y, weights, alpha, 200, normalised=False)[-1] > chance - 0.01
    assert train_tower(X, Y, weights, alpha, 200, normalised=True)[-1] < 0.1
