"""Stochastic depth: who is dropped, what the mean stays, against torchvision."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import StochasticDepth as Reference

from orthogon.errors import ConfigError
from orthogon.nn.stochastic_depth import StochasticDepth


def test_whole_examples_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    y = StochasticDepth(0.25)(torch.ones(4000, 3, 2, 2))
    values = y.flatten(1)
    assert bool((values == values[:, :1]).all())
    torch.testing.assert_close(values[:, 0].unique(), torch.tensor([0.0, 1 / 0.75]))
    dropped = (values[:, 0] == 0).double().mean().item()
    assert dropped == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 4000) ** 0.5)
    assert y.mean().item() == pytest.approx(1, abs=0.04)


def test_nothing_is_dropped_in_evaluation_or_at_zero() -> None:
    x = torch.randn(5, 3)
    assert StochasticDepth(0.9).eval()(x) is x
    assert StochasticDepth(0.0)(x) is x


def test_the_same_draws_as_torchvision() -> None:
    x = torch.randn(16, 3, 2)
    answers = []
    for layer in (StochasticDepth(0.4), Reference(0.4, "row")):
        torch.manual_seed(2)
        answers.append(layer(x))
    torch.testing.assert_close(answers[0], answers[1])


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_share_that_cannot_be_is_named(p: float) -> None:
    with pytest.raises(ConfigError, match=rf"StochasticDepth: .* {p}\nGive 0 <= p < 1"):
        StochasticDepth(p)
