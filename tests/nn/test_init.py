"""Initial weights: their variance, and what a deep stack does to a signal."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from orthogon.nn.init import initialise_


@pytest.mark.system("train.init")
@pytest.mark.parametrize(
    ("scheme", "variance"),
    [("he", 2 / 300), ("xavier", 1 / 300), ("glorot", 2 / (300 + 400)), (0.02, 0.0004), ("zeros", 0.0)],
)
def test_variance_of_the_weights(scheme: str | float, variance: float) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 400)
    initialise_(layer, scheme)
    # the variance of N draws is known to 1.4 / sqrt(N): 120,000 draws, five standard errors
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.021)
    assert layer.weight.mean().abs().item() <= 5 * math.sqrt(variance / 120_000)
    assert not layer.bias.any()


def test_a_unit_of_a_convolution_sees_kernel_times_channels() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 64, 3)
    initialise_(layer, "he")
    assert layer.weight.var().item() == pytest.approx(2 / (32 * 9), rel=0.05)


def test_pytorchs_own_is_left_alone_and_norms_always() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    before = [p.detach().clone() for p in network.parameters()]
    initialise_(network, "pytorch")
    assert all(torch.equal(p, old) for p, old in zip(network.parameters(), before, strict=True))
    initialise_(network, 1.0)
    assert bool((network[1].weight == 1).all())


@pytest.mark.system("train.init")
@pytest.mark.parametrize(
    ("activation", "scheme", "expected"),
    [
        (nn.ReLU, "he", 0.50),
        (nn.ReLU, "xavier", 3.3e-8),
        (nn.ReLU, 0.01, 2.8e-48),
        (nn.ReLU, 1.0, 4.0e52),
        (nn.Tanh, "xavier", 0.11),
        (nn.Tanh, 0.01, 1.5e-40),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_size_of_a_signal_after_50_layers(
    activation: type[nn.Module], scheme: str | float, expected: float, seed: int
) -> None:
    # W.init: width 256, N(0, 1) in, RMS out, within a factor of 10
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(part for _ in range(50) for part in (nn.Linear(256, 256, dtype=torch.float64), activation()))
    )
    initialise_(network, scheme)
    with torch.no_grad():
        rms = network(torch.randn(100, 256, dtype=torch.float64)).square().mean().sqrt().item()
    assert expected / 10 < rms < expected * 10
