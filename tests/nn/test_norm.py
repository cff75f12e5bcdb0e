"""Batch norm and dropout as the product uses them (torch.nn), against their textbook forms in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from orthogon.models.mlp import MLP
from orthogon.scratch.batch_norm import batch_norm, batch_norm_backward, batch_norm_test, gather
from orthogon.training.config import TrainingConfig
from orthogon.training.gradcheck import check_gradients
from orthogon.training.optimisers import make_optimiser


@pytest.mark.system("train.bn")
def test_batch_norm_worked_by_hand() -> None:
    # W.bn
    z = np.array([[1.0], [2], [3], [4]])
    layer = nn.BatchNorm1d(1, momentum=0.1).double()
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(0.5)
    ours = layer(torch.tensor(z)).detach().numpy()
    np.testing.assert_allclose(ours[:, 0], [-2.183271, -0.394424, 1.394424, 3.183271], rtol=0, atol=1e-6)
    textbook, _, _ = batch_norm(z.T, np.full((1, 1), 2.0), np.full((1, 1), 0.5))
    np.testing.assert_allclose(ours, textbook.T, rtol=0, atol=1e-12)
    assert layer.running_mean.item() == pytest.approx(0.25)
    # 0.9 · 1 + 0.1 · 5/3: the unbiased variance
    assert layer.running_var.item() == pytest.approx(1.066667, abs=1e-6)


@pytest.mark.system("train.bn")
def test_batch_norms_gradients() -> None:
    rng = np.random.default_rng(0)
    z, gamma, beta, weights = (rng.normal(size=size) for size in ((3, 8), (3, 1), (3, 1), (3, 8)))
    out, _, cache = batch_norm(z, gamma, beta)
    dz, dgamma, dbeta = batch_norm_backward(weights, cache)

    layer = nn.BatchNorm1d(3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(gamma[:, 0]))
        layer.bias.copy_(torch.tensor(beta[:, 0]))
    inputs = torch.tensor(z.T, requires_grad=True)
    (layer(inputs) * torch.tensor(weights.T)).sum().backward()
    np.testing.assert_allclose(layer(inputs).detach().numpy(), out.T, rtol=0, atol=1e-10)
    for ours, theirs in ((dz, inputs.grad), (dgamma[:, 0], layer.weight.grad), (dbeta[:, 0], layer.bias.grad)):
        np.testing.assert_allclose(ours.T, theirs.numpy(), rtol=0, atol=1e-10)

    # by finite differences: dγ, dβ, dz as J = Σ weights · tanh(z̃)
    free = inputs.detach().requires_grad_()
    check = check_gradients(
        lambda: (layer(free).tanh() * torch.tensor(weights.T)).sum(), {"z": free, **dict(layer.named_parameters())}
    )
    assert check.score < 1e-7
    assert max(check.tensors.values()) < 1e-6


@pytest.mark.system("train.bn")
def test_gamma_and_beta_can_undo_the_normalisation_and_are_learned_by_any_optimiser() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(3, 5, size=(16, 4))
    layer = nn.BatchNorm1d(4).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.sqrt(z.var(axis=0) + layer.eps)))
        layer.bias.copy_(torch.tensor(z.mean(axis=0)))
    np.testing.assert_allclose(layer(torch.tensor(z)).detach().numpy(), z, rtol=0, atol=1e-10)

    for name in ("sgd", "momentum", "rmsprop", "adam"):
        layer = nn.BatchNorm1d(4).double()
        optimiser = make_optimiser(dict(layer.named_parameters()), layer, TrainingConfig(optimiser=name, lr=0.1))
        for _ in range(400):
            optimiser.zero_grad()
            (layer(torch.tensor(z)) - torch.tensor(z)).square().mean().backward()
            optimiser.step()
        np.testing.assert_allclose(layer.bias.detach().numpy(), z.mean(axis=0), rtol=0, atol=0.2)


@pytest.mark.system("train.bn-test")
def test_at_test_time_the_averages_gathered_in_training_are_used() -> None:
    rng = np.random.default_rng(2)
    layer = nn.BatchNorm1d(3, momentum=0.1).double()
    one, zero = np.ones((3, 1)), np.zeros((3, 1))
    running = (zero, one)
    for _ in range(50):
        z = rng.normal([1, -2, 5], [1, 3, 0.5], size=(32, 3))
        layer(torch.tensor(z))
        running = gather(running, batch_norm(z.T, one, zero)[1], m=32)
    np.testing.assert_allclose(layer.running_mean.numpy(), running[0][:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), running[1][:, 0], rtol=0, atol=1e-12)

    layer.eval()
    single = np.array([[2.0, -1.0, 4.0]])
    expected = batch_norm_test(single.T, one, zero, running).T
    np.testing.assert_allclose(layer(torch.tensor(single)).detach().numpy(), expected, rtol=0, atol=1e-12)
    # neither the companions nor the order matter, and nothing is gathered
    companions = torch.tensor(np.vstack([rng.normal(size=(7, 3)), single]))
    torch.testing.assert_close(layer(companions)[-1:], layer(torch.tensor(single)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), running[0][:, 0], rtol=0, atol=1e-12)


def loss_after_training(batch_norm: bool, lr: float, num_examples: int) -> float:
    """A 10 × 64 ReLU net with PyTorch's initialisation, 400 full-batch steps on digits; loss in train mode."""
    data = load_digits()
    inputs = torch.tensor(data.data[:num_examples] / 16, dtype=torch.float32)
    targets = torch.tensor(data.target[:num_examples])
    torch.manual_seed(0)
    network = MLP(64, [64] * 10, 10, batch_norm=batch_norm, init="pytorch")
    optimiser = make_optimiser(dict(network.named_parameters()), network, TrainingConfig(optimiser="sgd", lr=lr))
    for _ in range(400):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), targets)
        loss.backward()
        optimiser.step()
    return loss.item()


@pytest.mark.parametrize(
    "num_examples", [200, pytest.param(1797, marks=[pytest.mark.slow, pytest.mark.system("train.bn-why")])]
)
@pytest.mark.parametrize("lr", [0.1, 1.0])
def test_a_deep_net_learns_only_with_batch_norm(lr: float, num_examples: int) -> None:
    assert loss_after_training(False, lr, num_examples) >= 2.29 - (0.0 if num_examples == 1797 else 0.01)
    assert loss_after_training(True, lr, num_examples) < 0.1


@pytest.mark.system("train.bn-why")
def test_the_noise_of_batch_companions_falls_with_the_batch() -> None:
    data = load_digits()
    inputs = torch.tensor(data.data / 16, dtype=torch.float32)
    torch.manual_seed(0)
    network = MLP(64, [64] * 3, 10, batch_norm=True)
    variance = {}
    with torch.no_grad():
        for size in (16, 64, 256):
            outputs = [
                network(torch.cat([inputs[:1], inputs[1 + torch.randperm(1796)[: size - 1]]]))[0] for _ in range(200)
            ]
            variance[size] = torch.stack(outputs).var(dim=0).mean().item()
    assert variance[16] > 2 * variance[64] > 4 * variance[256]


@pytest.mark.system("train.dropout")
@pytest.mark.parametrize("keep_prob", [0.8, 0.5])
def test_inverted_dropout(keep_prob: float) -> None:
    # D = rand < keep_prob; A ⊙ D / keep_prob; PyTorch takes the probability of dropping
    torch.manual_seed(0)
    network = MLP(1, [500], 1, dropout=1 - keep_prob)
    layer = network.dropout1
    assert layer.p == pytest.approx(1 - keep_prob)
    activations = torch.rand(1000, 500, dtype=torch.float64, requires_grad=True)
    dropped = layer(activations)
    assert dropped.mean().item() == pytest.approx(activations.mean().item(), rel=0.01)

    mask = (dropped != 0).double()
    assert mask.mean().item() == pytest.approx(keep_prob, abs=5 * math.sqrt(keep_prob * (1 - keep_prob) / 500_000))
    torch.testing.assert_close(dropped, activations * mask / keep_prob)
    dropped.sum().backward()
    torch.testing.assert_close(activations.grad, mask / keep_prob)

    network.eval()
    assert torch.equal(layer(activations), activations)
    inputs = torch.randn(5, 1)
    assert torch.equal(network(inputs), network(inputs))


def test_each_layer_can_keep_its_own_share() -> None:
    torch.manual_seed(0)
    network = MLP(4, [200, 200], 2, dropout=0.2)
    network.dropout2.p = 0.5
    ones = torch.ones(1000, 200)
    shares = [(layer(ones) != 0).float().mean().item() for layer in (network.dropout1, network.dropout2)]
    assert shares == pytest.approx([0.8, 0.5], abs=0.01)
