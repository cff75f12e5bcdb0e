"""Learning rates by parameter, and parameters that are trained only from some epoch on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.optimisers import make_optimiser

PER_EPOCH = 4


class Line(Objective):
    """Three dense layers on fixed numbers; "2" is the head, and one more layer thaws with each epoch if `gradual`."""

    def __init__(self, gradual: bool = False, scales: Mapping[str, float] | None = None) -> None:
        torch.manual_seed(1)
        self.net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(3)))
        self.x = torch.randn(PER_EPOCH, 8, 3, generator=torch.Generator().manual_seed(2))
        self.gradual, self.scales = gradual, dict(scales or {})
        self.seen: list[tuple[int, dict[str, Tensor]]] = []

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def lr_scales(self) -> Mapping[str, float]:
        return self.scales

    def frozen(self, epoch: int) -> Collection[str]:
        return [name for name in self.parameters() if self.gradual and int(name[0]) < 3 - epoch]

    def batches_per_epoch(self) -> int:
        return PER_EPOCH

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter(self.x[start:])

    def loss(self, batch: Tensor) -> LossSum:
        return (self.net(batch) - batch.flip(1)).square().sum(), float(len(batch)), {}

    def evaluate(self) -> dict[str, float]:
        return {"loss": 1.0}


def config(**more: Any) -> TrainingConfig:
    settings = {"lr": 0.05, "epochs": 3, "preflight": False, "keep_best": False, "schedule": "constant"}
    return TrainingConfig.model_validate({**settings, **more})


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adamw", "Adagrad", "Rprop"])
def test_a_scaled_parameter_steps_as_under_a_scaled_rate(name: str) -> None:
    """Two parameters with the same gradient: the one at half the rate goes where a half rate takes it."""
    decay = 0.0 if name == "Rprop" else 0.1
    ends = []
    for lr, scales in ((0.1, {"a": 0.5}), (0.05, {})):
        parameters = {key: nn.Parameter(torch.full((2, 2), 3.0)) for key in ("a", "b")}
        settings = TrainingConfig(optimiser=name, lr=lr, weight_decay=decay)
        optimiser = make_optimiser(parameters, None, settings, scales)
        for _ in range(3):
            for parameter in parameters.values():
                parameter.grad = parameter.detach() ** 2
            optimiser.step()
        ends.append({key: parameter.detach().clone() for key, parameter in parameters.items()})
    assert torch.equal(ends[0]["a"], ends[1]["a"])
    assert not torch.equal(ends[0]["a"], ends[0]["b"])


def test_the_largest_rate_leads_and_decay_keeps_to_weights() -> None:
    layer = nn.Linear(2, 2)
    groups = make_optimiser(
        {"low.weight": layer.weight, "low.bias": layer.bias, "head.weight": nn.Parameter(torch.ones(2, 2))},
        None,
        TrainingConfig(lr=0.1, weight_decay=0.3),
        {"low.weight": 0.5, "low.bias": 0.5},
    ).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.1, 0.3), (0.05, 0.3), (0.05, 0.0)]


def test_l1_shrinks_a_scaled_weight_by_its_share() -> None:
    """Loss without gradient (all inputs 0 but the bias): only the proximal step moves weights, by lr·scale·l1 each."""
    objective = Line(scales={"0.weight": 0.25})
    objective.x = torch.zeros_like(objective.x)
    before = {name: p.detach().clone() for name, p in objective.parameters().items()}
    fit(objective, config(optimiser="sgd", steps=1, epochs=None, l1=0.1))
    moved = (before["0.weight"] - objective.net[0].weight).abs()
    big = before["0.weight"].abs() > 0.01
    torch.testing.assert_close(moved[big], torch.full_like(moved[big], 0.05 * 0.25 * 0.1), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("more", [{}, {"ema_decay": 0.9}, {"l1": 0.01}, {"clip_norm": 1.0}, {"preflight": True}])
def test_what_is_frozen_in_an_epoch_stays_bit_for_bit(more: dict[str, Any]) -> None:
    objective = Line(gradual=True)
    start = {name: p.detach().clone() for name, p in objective.parameters().items()}
    changed: list[set[str]] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "evaluation":
            now = objective.parameters()
            changed.append({name[0] for name, p in now.items() if not torch.equal(p, start[name])})

    fit(objective, config(optimiser="adamw", weight_decay=0.1, **more), listen=listen)
    assert changed == [{"2"}, {"1", "2"}, {"0", "1", "2"}]


def test_a_race_forgets_no_frozen_parameter() -> None:
    """It makes a second learner after the first has frozen the lower layers."""
    objective = Line(gradual=True)
    start = {name: p.detach().clone() for name, p in objective.parameters().items()}
    fit(objective, config(lr_race=True))
    assert all(not torch.equal(p, start[name]) for name, p in objective.parameters().items())


@pytest.mark.parametrize("stop", [3, 4, 6, 11])
def test_a_resumed_training_thaws_as_an_unbroken_one(stop: int, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint" and event["step"] == stop:
            raise Killed

    ends = []
    for folder in (tmp_path / "whole", tmp_path / "killed"):
        settings = config(optimiser="adamw", checkpoint_minutes=0)
        if folder.name == "killed":
            with pytest.raises(Killed):
                fit(Line(gradual=True, scales={"0.weight": 0.5}), settings, folder, listen=kill)
        objective = Line(gradual=True, scales={"0.weight": 0.5})
        fit(objective, settings, folder, resume=True)
        ends.append({name: p.detach().clone() for name, p in objective.parameters().items()})
    for name, tensor in ends[0].items():
        assert torch.equal(tensor, ends[1][name]), name
