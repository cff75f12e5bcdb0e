"""What a training will take is told without touching it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from orthogon.training.config import TrainingConfig
from orthogon.training.objective import LossSum, Objective
from orthogon.training.plan import plan


class Line(Objective):
    """Ten batches of y = x; dropout draws from torch's generator, batch norm keeps statistics."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return (torch.randn(8, 1, generator=torch.Generator().manual_seed(i)) for i in range(start, 10))

    def batches_per_epoch(self) -> int:
        return 10

    def loss(self, batch: Any) -> LossSum:
        return ((self.net(batch) - batch) ** 2).sum(), len(batch), {}

    def evaluate(self) -> dict[str, float]:
        return {"loss": 1.0}


def clock() -> Any:
    ticks = itertools.count()
    return lambda: float(next(ticks))


@pytest.mark.parametrize(
    ("config", "steps", "seconds"),
    [
        (TrainingConfig(lr=0.1, epochs=4), 40, 40 * 1.1),  # a second a step, and one in ten evaluates for a second
        (TrainingConfig(lr=0.1, steps=7), 7, 7 * 1.1),
        (TrainingConfig(lr=0.1, minutes=1), 54, 54 * 1.1),
    ],
)
def test_steps_and_seconds(config: TrainingConfig, steps: int, seconds: float) -> None:
    found = plan(Line(), config, clock())
    assert found.steps == steps
    assert found.seconds == pytest.approx(seconds)
    assert found.memory_mib > 10
    assert f"{steps} updates" in str(found)


def test_nothing_is_touched() -> None:
    line = Line()
    before = {name: tensor.clone() for name, tensor in line.net.state_dict().items()}
    state = torch.get_rng_state()
    plan(line, TrainingConfig(lr=0.1, epochs=1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in line.net.state_dict().items())
    assert all(parameter.grad is None for parameter in line.net.parameters())
