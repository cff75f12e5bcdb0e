"""What a training will take is told without touching it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from orthogon.training import plan as planning
from orthogon.training.config import TrainingConfig
from orthogon.training.objective import LossSum, Objective
from orthogon.training.plan import Plan, plan


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
        (TrainingConfig(lr=0.1, epochs=4), 40, 40 + 4),  # a second a step, and one in ten evaluates for a second
        (TrainingConfig(lr=0.1, steps=7), 7, 7 + 1),  # and so does the last
        (TrainingConfig(lr=0.1, minutes=1), 47, 47 + 5),  # the plan itself took 8 s of them
    ],
)
def test_steps_and_seconds(config: TrainingConfig, steps: int, seconds: float) -> None:
    found = plan(Line(), config, clock())
    assert found.steps == steps
    assert found.seconds == pytest.approx(seconds)
    assert found.memory_mib > 10
    assert f"{steps} updates" in str(found)


class Wide(Line):
    """Two matrices of 1 MiB with a sigmoid between them; a batch is 0.5 MiB."""

    def __init__(self) -> None:
        self.net = nn.Sequential(nn.Linear(512, 512, bias=False), nn.Sigmoid(), nn.Linear(512, 512, bias=False))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter([torch.ones(256, 512)] * (10 - start))


@pytest.mark.parametrize(
    ("settings", "copies"),
    [
        ({"optimiser": "sgd"}, 0),
        ({"optimiser": "momentum"}, 1),
        ({"optimiser": "rmsprop"}, 1),
        ({"optimiser": "adam"}, 2),
        ({"optimiser": "adamw", "ema_decay": 0.9}, 3),
        ({"optimiser": "adam", "optimiser_args": {"amsgrad": True}}, 3),
        ({"optimiser": "lbfgs", "optimiser_args": {"history_size": 10}}, 23),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_memory_is_forecast_part_by_part(
    settings: dict[str, Any], copies: int, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "resident_mib", lambda: 100.0)
    monkeypatch.setattr(planning, "peak_memory_mib", lambda: 0.0)
    # kept for the backward pass: the batch, what the sigmoid said, and the difference that is squared
    forward = 3 * 0.5 / accumulate
    # of the weights of 2 MiB: the gradients, those of the best evaluation, and those before a watched update
    expected = 100 + 2 * (1 + 2 + copies) + forward
    found = plan(Wide(), TrainingConfig(lr=0.1, epochs=1, accumulate=accumulate, **settings))
    assert found.memory_mib == pytest.approx(expected)
    assert str(found).endswith(f"about {expected:.0f} MiB of memory.")


def test_the_forecast_is_no_less_than_was_needed_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "peak_memory_mib", lambda: 5000.0)
    found = plan(Wide(), TrainingConfig(lr=0.1, epochs=1))
    assert found.memory_mib == 5000
    assert str(found).endswith("about 4.9 GiB of memory.")


def test_an_accelerator_has_memory_of_its_own() -> None:
    patient = str(Plan(steps=12_803, epochs=3200.8, seconds=10, memory_mib=900, patient=True))
    assert patient.startswith("At most 12,803 updates (3,201 epochs), about 10 seconds, ")
    assert patient.endswith(" It ends sooner where dev's loss no longer falls.")
    text = str(Plan(steps=1, epochs=1, seconds=10, memory_mib=900, device_mib=2048))
    assert text.endswith("about 900 MiB of memory and about 2.0 GiB of the accelerator's.")


def test_what_is_resident_grows_with_what_is_held() -> None:
    before = planning.resident_mib()
    held = torch.ones(64, 2**20 // 4)  # 64 MiB
    assert 60 < planning.resident_mib() - before < 100
    assert planning.resident_mib() <= planning.peak_memory_mib() + 1
    del held


def test_nothing_is_touched() -> None:
    line = Line()
    before = {name: tensor.clone() for name, tensor in line.net.state_dict().items()}
    state = torch.get_rng_state()
    plan(line, TrainingConfig(lr=0.1, epochs=1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in line.net.state_dict().items())
    assert all(parameter.grad is None for parameter in line.net.parameters())
