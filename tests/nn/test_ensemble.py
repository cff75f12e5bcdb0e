"""Means of outputs: probabilities and values are averaged, not logits and not weights."""

import copy
import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from orthogon.models.mlp import MLP
from orthogon.nn.ensemble import Ensemble, log_mean_exp, mean_of_classes


def test_probabilities_are_averaged_not_logits() -> None:
    logits = torch.tensor([[[0.0, 4.0]], [[3.0, 0.0]], [[0.0, 0.0]]])  # (3, 1, 2)
    mean = mean_of_classes(logits).softmax(-1)
    torch.testing.assert_close(mean, logits.softmax(-1).mean(0))
    assert not torch.allclose(mean, logits.mean(0).softmax(-1), atol=0.02)


def test_means_stay_finite_at_large_logits() -> None:
    sure = torch.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]])
    torch.testing.assert_close(mean_of_classes(sure).softmax(-1), torch.tensor([0.5, 0.5]))
    assert log_mean_exp(torch.full((4, 1), -2000.0)).item() == -2000.0


def test_one_members_ensemble_is_that_member() -> None:
    torch.manual_seed(0)
    member, x = nn.Linear(3, 4), torch.randn(5, 3)
    torch.testing.assert_close(Ensemble([member], mean_of_classes)(x).softmax(-1), member(x).softmax(-1))


def test_the_ensembles_loss_is_never_above_the_mean_members() -> None:
    """Jensen: -log of a mean is at most the mean of -log, whatever the members say."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        logits = torch.randn(5, 64, 7, generator=generator) * 3
        truth = torch.randint(0, 7, (64,), generator=generator)
        members = torch.stack([F.cross_entropy(each, truth) for each in logits])
        assert F.cross_entropy(mean_of_classes(logits), truth) <= members.mean()


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return torch.tensor(found.data[order] / 16, dtype=torch.float32), torch.tensor(found.target[order])


def learned(x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = MLP(64, (24,), 10)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for rows in itertools.chain.from_iterable(torch.randperm(len(x)).split(32) for _ in range(12)):
        optimiser.zero_grad()
        F.cross_entropy(network(x[rows]), y[rows]).backward()
        optimiser.step()
    return network.eval()


@pytest.mark.system("arch.ensemble")
def test_the_mean_of_five_nets_is_no_worse_than_the_mean_net_and_the_mean_of_weights_is(
    digits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Three ensembles of five, on digits none was trained on."""
    x, y = digits
    for first in (0, 5, 10):
        nets = [learned(x[:300], y[:300], seed) for seed in range(first, first + 5)]

        def error(net: nn.Module) -> float:
            with torch.no_grad():
                return (net(x[300:]).argmax(1) != y[300:]).float().mean().item()

        members = [error(net) for net in nets]
        whole = error(Ensemble(nets, mean_of_classes))
        assert whole <= np.mean(members)
        assert 0.02 < np.mean(members) < 0.2  # they have learned, and have room to improve
        of_weights = copy.deepcopy(nets[0])
        states = [net.state_dict() for net in nets]
        of_weights.load_state_dict({name: sum(s[name] for s in states) / 5 for name in states[0]})  # type: ignore[arg-type]
        assert error(of_weights) > 0.3
