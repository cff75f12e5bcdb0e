"""The multilayer perceptron: counts, and the bias that batch norm makes useless."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from orthogon.errors import ConfigError
from orthogon.models.mlp import ACTIVATIONS, MLP


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_weights_and_biases_of_every_layer() -> None:
    assert count(MLP(2, [5, 2], 1)) == (2 + 1) * 5 + (5 + 1) * 2 + (2 + 1) * 1
    assert count(MLP(4, [], 3)) == (4 + 1) * 3


@pytest.mark.system("train.bn-bias")
def test_batch_norm_cancels_the_bias_before_it_and_the_builder_leaves_it_out() -> None:
    torch.manual_seed(0)
    layer, norm = nn.Linear(6, 4).double(), nn.BatchNorm1d(4).double()
    inputs = torch.randn(32, 6, dtype=torch.float64)
    before = norm(layer(inputs))
    with torch.no_grad():
        layer.bias += torch.tensor([3.0, -5.0, 0.1, 40.0])
    torch.testing.assert_close(norm(layer(inputs)), before, rtol=0, atol=1e-12)

    network = MLP(6, [4, 4], 2, batch_norm=True)
    assert [layer.bias is None for layer in network if isinstance(layer, nn.Linear)] == [True, True, False]
    assert count(network) == 6 * 4 + 2 * 4 + 4 * 4 + 2 * 4 + (4 + 1) * 2
    assert all(layer.bias is not None for layer in MLP(6, [4], 2) if isinstance(layer, nn.Linear))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradient_reaches_each_parameter(activation: str, batch_norm: bool) -> None:
    torch.manual_seed(0)
    network = MLP(6, [8, 8], 3, activation=activation, batch_norm=batch_norm, dropout=0.2)
    outputs = network(torch.randn(16, 2, 3))  # anything flattens to the number of inputs
    assert outputs.shape == (16, 3)
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_dropout_is_off_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = MLP(6, [32], 3, dropout=0.5)
    inputs = torch.randn(4, 6)
    assert not torch.equal(network(inputs), network(inputs))
    network.eval()
    assert torch.equal(network(inputs), network(inputs))


def test_an_unknown_initialisation_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        MLP(2, [3], 1, init="glorott")
    assert '"glorott"' in caught.value.what
    assert caught.value.where == "init"
    assert caught.value.remedy == 'Did you mean "glorot"?'
