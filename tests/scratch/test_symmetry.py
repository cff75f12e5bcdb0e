"""Units that start equal stay equal; random ones part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.models.mlp import MLP
from orthogon.nn.losses import binary_cross_entropy
from orthogon.scratch.shallow_network import initialise, train
from orthogon.scratch.symmetry import constant, unit_spread
from orthogon.scratch.toy_data import flower


@pytest.mark.system("net.symmetry")
@pytest.mark.parametrize("value", [0.0, 0.01, 0.5])
def test_equal_units_stay_equal(value: float) -> None:
    X, Y = flower(400, np.random.RandomState(1))
    parameters, _ = train(X, Y, constant(2, 4, value), alpha=1.2, steps=100)
    assert unit_spread(parameters) < 1e-12
    if value == 0:
        assert not parameters["W1"].any()
        assert not parameters["W2"].any()


@pytest.mark.system("net.symmetry")
@pytest.mark.parametrize("seed", range(3))
def test_random_units_differ(seed: int) -> None:
    X, Y = flower(400, np.random.RandomState(1))
    start = initialise(2, 4, np.random.default_rng(seed))
    assert abs(start["W1"]).max() < 0.04
    parameters, _ = train(X, Y, start, alpha=1.2, steps=100)
    assert unit_spread(parameters) > 0.1


@pytest.mark.parametrize(("init", "apart"), [("zeros", False), (0.01, True)])
def test_the_products_network_does_the_same(init: str | float, apart: bool) -> None:
    torch.manual_seed(0)
    X, Y = (torch.tensor(value.T) for value in flower(400, np.random.RandomState(1)))
    network = MLP(2, [4], 1, activation="tanh", init=init).double()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.2)
    for _ in range(100):
        optimiser.zero_grad()
        loss, count = binary_cross_entropy(network(X), Y)
        (loss / count).backward()
        optimiser.step()
    spread = np.ptp(network.linear1.weight.detach().numpy(), axis=0).max()
    assert (spread > 0.1) if apart else (spread == 0)
