"""Decay: W.decay, and the product's schedule gives the same rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from orthogon.scratch.learning_rate_decay import exponential, inverse, manual, noisy_descent, root, staircase
from orthogon.training.config import TrainingConfig
from orthogon.training.schedules import Schedule

Form = Callable[[float, int], float]
RATES = {3: 0.05, 7: 0.001}
FORMS: list[tuple[Form, dict[str, Any], list[float]]] = [
    (inverse, {"schedule": "inverse", "decay_rate": 1.0}, [0.1, 0.066667, 0.05, 0.04, 0.033333]),
    (exponential, {"schedule": "exponential", "decay_rate": 0.95}, [0.19, 0.1805, 0.171475, 0.162901, 0.154756]),
    (root, {"schedule": "inverse_sqrt", "decay_rate": 1.0}, [0.2, 0.141421, 0.115470, 0.1, 0.089443]),
    (
        lambda alpha0, epoch: staircase(alpha0, epoch, 2),
        {"schedule": "staircase", "decay_every": 2},
        [0.2, 0.2, 0.1, 0.1, 0.066667],
    ),
    (
        lambda alpha0, epoch: manual(alpha0, epoch, RATES),
        {"schedule": "manual", "lr": 0.2, "lr_by_epoch": RATES},
        [0.2, 0.2, 0.05, 0.05, 0.05],
    ),
]


@pytest.mark.system("opt.decay")
@pytest.mark.parametrize(("form", "config", "expected"), FORMS, ids=[str(f[1]["schedule"]) for f in FORMS])
def test_rates_worked_by_hand_and_the_products(form: Form, config: dict[str, Any], expected: list[float]) -> None:
    # W.decay: alpha0 0.2, epochs 1 to 5
    assert [form(0.2, epoch) for epoch in range(1, 6)] == pytest.approx(expected, abs=1e-6)
    schedule = Schedule(TrainingConfig(**config), 600, 10)
    for epoch in range(1, 61):
        assert form(0.2, epoch) == pytest.approx(0.2 * schedule.lr_factor(10 * epoch - 5, epoch), abs=1e-12)


@pytest.mark.system("opt.decay")
def test_other_rates_and_the_number_of_the_mini_batch_are_the_products_too() -> None:
    by_batch = Schedule(TrainingConfig(schedule="inverse_sqrt_step", decay_rate=2.0), 100, 10)
    slow = Schedule(TrainingConfig(schedule="inverse", decay_rate=0.1), 100, 10)
    for t in range(1, 101):
        assert root(0.2, t, k=2.0) == pytest.approx(0.2 * by_batch.lr_factor(t - 1, 1), abs=1e-12)
        assert inverse(0.2, t, rate=0.1) == pytest.approx(0.2 * slow.lr_factor(0, t), abs=1e-12)
    # W.optim's staircase: alpha0 / (1 + floor(e / 1000)), e from 0
    assert [staircase(0.1, e + 1, 1000) for e in (0, 999, 1000, 9999)] == pytest.approx([0.1, 0.1, 0.05, 0.01])


def test_torchs_schedulers_count_epochs_from_0() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    theirs = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=0.95)
    rates = []
    for _ in range(5):
        rates.append(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
    assert rates == pytest.approx([exponential(0.2, epoch) / 0.95 for epoch in range(1, 6)], abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decay_ends_nearer_to_the_minimum_than_either_constant_rate(seed: int) -> None:
    epochs = range(1, 301)
    ways = {"long": np.full(300, 0.5), "short": np.full(300, 0.01), "decay": [inverse(0.5, e, 0.1) for e in epochs]}
    rng = np.random.default_rng(seed)
    off = {}
    for name, alphas in ways.items():
        ends = np.array([noisy_descent(np.asarray(alphas), rng)[-50:] for _ in range(100)])
        off[name] = np.sqrt(np.mean(ends**2))
    # at a constant rate the ball is alpha / (2 - alpha) wide in variance
    assert off["long"] == pytest.approx(np.sqrt(0.5 / 1.5), rel=0.05)
    assert off["decay"] < off["short"] / 2 < off["long"]
