"""Signals and gradients of a deep linear network are powers, as PyTorch's and the product's monitor see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.scratch.deep_network import backward, forward, initialise
from orthogon.scratch.vanishing_gradients import chain, gradient_norms, warnings
from orthogon.training.config import TrainingConfig
from orthogon.training.monitors import Monitor


@pytest.mark.system("train.vanish")
@pytest.mark.parametrize(
    ("c", "L", "expected"),
    [(1.5, 50, 4.250810e8), (0.5, 50, 1.776357e-15), (1.5, 150, 1.728214e26), (0.5, 150, 1.401298e-45), (1.0, 150, 1)],
)
def test_outputs_and_gradients_scale_as_a_power_of_the_depth(c: float, L: int, expected: float) -> None:
    # W.vanish
    parameters, g = chain(c, L), ["identity"] * L
    A, caches = forward(np.array([[1.0], [0.0]]), parameters, g)
    gradients, dX = backward(np.ones((1, 1)), np.zeros((1, 1)), parameters, caches, g)
    assert A[0, 0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(dX, expected, rtol=1e-6)
    norms = gradient_norms(gradients)
    # dW[l] = (c^(L-1-l) ones(2)) (c^(l-1) x)ᵀ below the last layer, x of length 1
    np.testing.assert_allclose(norms[:-1], np.sqrt(2) * c ** (L - 2.0), rtol=1e-9)
    said = warnings(norms, 1e-8, 1e3)
    assert len(said) == (0 if c == 1 else L)
    assert all(("explodes" if c > 1 else "vanishes") in line for line in said)


def test_warnings_count_layers_from_1_and_know_nan() -> None:
    assert warnings(np.array([1.0, 1e-12, 1e4])) == [
        "layer 2: gradient vanishes, norm 1.0e-12",
        "layer 3: gradient explodes, norm 1.0e+04",
    ]
    assert warnings(np.array([np.nan]))[0].startswith("layer 1: gradient explodes")
    assert warnings(np.array([1e-10, 1e3])) == []


@pytest.mark.system("train.vanish")
@pytest.mark.parametrize("depth", [3, 12])
def test_norms_are_those_of_the_products_monitor(depth: int) -> None:
    rng = np.random.default_rng(depth)
    n = [6] * depth + [1]
    parameters, g = initialise(n, rng, gain=1.0), ["tanh"] * (depth - 1) + ["sigmoid"]
    X, Y = rng.standard_normal((6, 20)), rng.integers(0, 2, (1, 20)).astype(float)
    A, caches = forward(X, parameters, g)
    norms = gradient_norms(backward(A, Y, parameters, caches, g)[0])

    parts: list[nn.Module] = []
    for layer in range(1, depth + 1):
        linear = nn.Linear(n[layer - 1], n[layer]).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(parameters[f"W{layer}"]))
            linear.bias.zero_()
        parts += [linear] if layer == depth else [linear, nn.Tanh()]
    network = nn.Sequential(*parts)
    loss = nn.functional.binary_cross_entropy_with_logits(network(torch.tensor(X.T)), torch.tensor(Y.T))
    loss.backward()
    monitor = Monitor(network, TrainingConfig(monitor_every=1))
    monitor.look(0)
    weights = [norm for name, norm in monitor.gradient_norms.items() if name.endswith("weight")]
    np.testing.assert_allclose(norms, weights, rtol=1e-10)
