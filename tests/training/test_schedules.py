"""Learning-rate schedules against their formulas, PyTorch's schedulers and worked figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from orthogon.errors import ConfigError
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.optimisers import make_optimiser
from orthogon.training.schedules import Schedule

FORMS: list[dict[str, Any]] = [
    {"schedule": "constant"},
    {"schedule": "inverse", "decay_rate": 1.0},
    {"schedule": "exponential", "decay_rate": 0.95},
    {"schedule": "inverse_sqrt", "decay_rate": 1.0},
    {"schedule": "inverse_sqrt_step", "decay_rate": 1.0},
    {"schedule": "staircase", "decay_every": 2},
    {"schedule": "manual", "lr": 0.2, "lr_by_epoch": {2: 0.05, 4: 0.01}},
    {"schedule": "cosine"},
    {"schedule": "one_cycle"},
    {"schedule": "plateau"},
]


def rates(config: dict[str, Any], epochs: int = 5, steps_per_epoch: int = 1, lr: float = 0.2) -> list[float]:
    """The learning rate at the first update of each epoch."""
    schedule = Schedule(TrainingConfig(**config), epochs * steps_per_epoch, steps_per_epoch)
    return [lr * schedule.lr_factor((epoch - 1) * steps_per_epoch, epoch) for epoch in range(1, epochs + 1)]


@pytest.mark.system("opt.decay")
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"schedule": "inverse", "decay_rate": 1.0}, [0.1, 0.066667, 0.05, 0.04, 0.033333]),
        ({"schedule": "exponential", "decay_rate": 0.95}, [0.19, 0.1805, 0.171475, 0.162901, 0.154756]),
        ({"schedule": "inverse_sqrt", "decay_rate": 1.0}, [0.2, 0.141421, 0.115470, 0.1, 0.089443]),
        ({"schedule": "staircase", "decay_every": 2}, [0.2, 0.2, 0.1, 0.1, 0.2 / 3]),
        ({"schedule": "manual", "lr": 0.2, "lr_by_epoch": {2: 0.05, 4: 0.01}}, [0.2, 0.05, 0.05, 0.01, 0.01]),
        ({"schedule": "constant"}, [0.2] * 5),
    ],
)
def test_decay_by_epoch(config: dict[str, Any], expected: list[float]) -> None:
    assert rates(config) == pytest.approx(expected, abs=1e-6)  # W.decay
    assert rates(config, steps_per_epoch=7) == pytest.approx(expected, abs=1e-6)


@pytest.mark.system("opt.decay")
def test_root_decay_by_mini_batch_number() -> None:
    schedule = Schedule(TrainingConfig(schedule="inverse_sqrt_step", decay_rate=2.0), 100, 10)
    assert [schedule.lr_factor(step, 1) for step in (0, 3, 99)] == pytest.approx([2.0, 1.0, 0.2])


@pytest.mark.system("opt.decay")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["schedule"])
@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "radam"])
def test_every_schedule_works_with_any_optimiser(form: dict[str, Any], optimiser: str) -> None:
    # an update at factor f moves a weight f times as far as the same update at factor 1
    config = TrainingConfig(**{"lr": 0.2, **form, "optimiser": optimiser})
    schedule = Schedule(config, total_steps=30, steps_per_epoch=6)
    factor = schedule.lr_factor(step=20, epoch=4)
    moved = []
    for scale in (1.0, factor):
        weight = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
        made = make_optimiser({"weight": weight}, None, config)
        for group in made.param_groups:
            group["lr"] = config.lr * scale
        weight.grad = torch.full_like(weight, 0.5)
        made.step()
        moved.append(weight.item() - 1)
    assert moved[1] == pytest.approx(factor * moved[0], abs=1e-12)
    assert factor > 0


class Slope(Objective):
    """J = w / 2, in epochs of two updates; where w was is recorded at each. Dev loss stays, so a plateau is seen."""

    def __init__(self) -> None:
        self.w = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
        self.places: list[float] = []

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return {"w": self.w}

    def batches(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        return iter([torch.full((1,), 0.5, dtype=torch.float64)] * (2 - start))

    def batches_per_epoch(self) -> int:
        return 2

    def loss(self, batch: Tensor) -> LossSum:
        self.places.append(self.w.item())
        return (self.w * batch).sum(), 1.0, {}

    def evaluate(self) -> dict[str, float]:
        return {"loss": 1.0}


def cosine_between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


# factor on the base rate at update t = 0..15, in epoch e = 1..8, of the formula's own words
FACTORS: dict[str, Callable[[int, int], float]] = {
    "constant": lambda t, e: 1.0,
    "inverse": lambda t, e: 1 / (1 + e),
    "exponential": lambda t, e: 0.95**e,
    "inverse_sqrt": lambda t, e: 1 / math.sqrt(e),
    "inverse_sqrt_step": lambda t, e: 1 / math.sqrt(t + 1),
    "staircase": lambda t, e: [1, 1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 4, 1 / 4][e - 1],
    "manual": lambda t, e: [1, 0.25, 0.25, 0.05, 0.05, 0.05, 0.05, 0.05][e - 1],
    "cosine": lambda t, e: (1 + math.cos(math.pi * t / 16)) / 2,
    "one_cycle": lambda t, e: (
        cosine_between(0.04, 1, t / 3.8) if t < 3.8 else cosine_between(1, 4e-6, (t - 3.8) / 11.2)
    ),
    # dev loss never falls after epoch 1; of 2 bad evaluations borne, the third lowers: epochs 5 and 8
    "plateau": lambda t, e: 0.2 ** (e > 4) * 0.2 ** (e > 7),
}


@pytest.mark.system("opt.decay")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["schedule"])
def test_the_training_takes_each_step_at_the_rate_of_its_schedule(form: dict[str, Any]) -> None:
    steps = [(t, t // 2 + 1) for t in range(16)]
    expected = [0.2 * FACTORS[form["schedule"]](t, e) for t, e in steps]
    plateau = {"plateau_factor": 0.2, "plateau_patience": 2}
    for optimiser in ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "radam"):
        objective, rates = Slope(), []
        settings = {
            **form,
            **plateau,
            "lr": 0.2,
            "optimiser": optimiser,
            "momentum": 0.0 if optimiser != "radam" else 0.9,
        }
        config = TrainingConfig(
            **settings, epochs=8, monitor_every=1, keep_best=False, preflight=False, weight_decay=0.0
        )
        fit(objective, config, listen=lambda e, rates=rates: rates.append(e["lr"]) if e["event"] == "step" else None)
        assert rates == pytest.approx(expected, rel=1e-9), optimiser
        if optimiser in ("sgd", "momentum", "nesterov"):  # and the weight moves so far
            moved = -np.diff([*objective.places, objective.w.item()])
            assert moved.tolist() == pytest.approx([rate * 0.5 for rate in expected], rel=1e-9), optimiser
        if optimiser in ("adam", "adamw"):  # of a constant gradient, V̂ / √Ŝ is 1
            moved = -np.diff([*objective.places, objective.w.item()])
            assert moved.tolist() == pytest.approx(expected, rel=1e-6), optimiser


def test_cosine_starts_at_one_and_ends_near_zero() -> None:
    schedule = Schedule(TrainingConfig(schedule="cosine"), 100, 10)
    assert schedule.lr_factor(0, 1) == 1
    assert schedule.lr_factor(50, 6) == pytest.approx(0.5)
    assert 0 < schedule.lr_factor(99, 10) < 0.001
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=100)
    for step in range(100):
        assert schedule.lr_factor(step, 1) == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        reference.step()


@pytest.mark.parametrize("total", [10, 37, 100])
def test_one_cycle_is_pytorchs(total: int) -> None:
    schedule = Schedule(TrainingConfig(schedule="one_cycle"), total, 10)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=total)
    for step in range(total):
        assert schedule.lr_factor(step, 1) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        if step < total - 1:
            reference.step()


def test_plateau_is_pytorchs() -> None:
    schedule = Schedule(TrainingConfig(schedule="plateau"), 100, 10)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=5, threshold=1e-4)
    for dev_loss in [3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, *[0.6] * 15, 0.1]:
        schedule.observe(dev_loss)
        reference.step(dev_loss)
        assert schedule.lr_factor(0, 1) == optimiser.param_groups[0]["lr"]
    assert schedule.lr_factor(0, 1) == 1 / 8


def test_warm_up_rises_to_the_full_rate_and_decay_starts_after_it() -> None:
    schedule = Schedule(TrainingConfig(schedule="cosine", lr_warmup_steps=4), 104, 10)
    assert [schedule.lr_factor(step, 1) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedule.lr_factor(54, 6) == pytest.approx(0.5)


@given(st.sampled_from(FORMS), st.integers(0, 20), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_factors_are_positive_finite_and_survive_a_save(form: dict[str, Any], warmup: int, total: int) -> None:
    config = TrainingConfig(**form, lr_warmup_steps=warmup)
    schedule = Schedule(config, total, 10)
    for loss in (1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        schedule.observe(loss)
    other = Schedule(config, 1, 1)
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for step in range(0, total, 1 + total // 20):
        factor = schedule.lr_factor(step, 1 + step // 10)
        assert 0 < factor <= 1.0 + 1e-12
        assert factor == other.lr_factor(step, 1 + step // 10)


@pytest.mark.parametrize("config", [{"schedule": "manual"}, {"schedule": "cosine", "lr_by_epoch": {3: 0.1}}])
def test_a_manual_schedule_needs_its_rates_and_only_it(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Schedule(TrainingConfig(**config), 10, 1)
    assert config["schedule"] in caught.value.what
    assert "training.lr_by_epoch" in caught.value.where
    assert "schedule: manual" in caught.value.remedy
