"""The four rules behind one call, and training in mini-batches; W.optim is in tests/training/test_exercises.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.deep_network import error_rate, initialise
from orthogon.scratch.mini_batches import mini_batches
from orthogon.scratch.optimisers import train, update
from orthogon.scratch.toy_data import moons

N, G = (2, 5, 2, 1), ("relu", "relu", "sigmoid")
TORCHS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "gd": (torch.optim.SGD, {"lr": 0.01}),
    "momentum": (torch.optim.SGD, {"lr": 0.01 * (1 - 0.9), "momentum": 0.9}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
}


@pytest.mark.system("ex.optim")
@pytest.mark.parametrize("rule", TORCHS)
def test_training_follows_autograd_and_torchs_optimiser_in_the_same_batches(rule: str) -> None:
    X, Y = moons(148, 0.2, np.random.default_rng(0))
    start = initialise(N, np.random.default_rng(1))
    parameters, costs = train(X, Y, start, G, rule, lambda epoch: 0.01, 20, np.random.default_rng)

    network = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), start.values(), strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    cls, arguments = TORCHS[rule]
    optimiser = cls(network.parameters(), **arguments)
    cost = nn.functional.binary_cross_entropy_with_logits
    for epoch in range(1, 21):
        for X_t, Y_t in mini_batches(X, Y, 64, np.random.default_rng(epoch)):
            optimiser.zero_grad()
            cost(network(torch.tensor(X_t.T)), torch.tensor(Y_t.T)).backward()
            optimiser.step()
        whole = cost(network(torch.tensor(X.T)), torch.tensor(Y.T)).item()
        assert costs[epoch - 1] == pytest.approx(whole, abs=1e-10)
    for parameter, value in zip(network.parameters(), parameters.values(), strict=True):
        np.testing.assert_allclose(value.reshape(parameter.shape), parameter.detach().numpy(), rtol=0, atol=1e-10)


def test_the_start_is_left_alone_and_the_rate_follows_the_epoch() -> None:
    X, Y = moons(100, 0.2, np.random.default_rng(0))
    start = initialise(N, np.random.default_rng(1))
    kept = {name: value.copy() for name, value in start.items()}
    _, costs = train(X, Y, start, G, "gd", lambda epoch: 0.1 if epoch <= 5 else 0.0, 10, np.random.default_rng)
    assert all(np.array_equal(start[name], kept[name]) for name in start)
    assert len(set(costs[:5])) == 5
    assert len(set(costs[4:])) == 1


@pytest.mark.parametrize("seed", [3, 4])
def test_adam_fits_the_moons_where_gradient_descent_at_its_rate_is_on_its_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Y = moons(300, 0.2, rng)
    start = initialise((2, 8, 1), rng)
    errors = {}
    for rule in ("gd", "adam"):
        parameters, _ = train(X, Y, start, ("relu", "sigmoid"), rule, lambda epoch: 0.01, 150, np.random.default_rng)
        errors[rule] = error_rate(X, Y, parameters, ("relu", "sigmoid"))
    assert errors["adam"] < 0.07 < 0.1 < errors["gd"]


def test_a_parameters_memory_holds_what_its_rule_needs() -> None:
    W, dW, zero = np.ones(2), np.array([1.0, -2.0]), np.zeros(2)
    for rule, V_used, S_used in (("gd", 0, 0), ("momentum", 1, 0), ("rmsprop", 0, 1), ("adam", 1, 1)):
        _, (V, S) = update(rule, W, dW, (zero, zero), 1, 0.1)
        assert (int(V.any()), int(S.any())) == (V_used, S_used)
