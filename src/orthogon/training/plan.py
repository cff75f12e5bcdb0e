"""What a training will take: minutes and memory, from timing a few updates that leave everything as it was."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch

from orthogon.training.config import TrainingConfig
from orthogon.training.device import choose_device, to_device
from orthogon.training.objective import Objective
from orthogon.training.preflight import untouched

TIMED_UPDATES = 3


@dataclass(frozen=True)
class Plan:
    """steps: updates to come. seconds: expected. memory_mib: peak of the process so far, these updates among them."""

    steps: int
    epochs: float
    seconds: float
    memory_mib: float

    def __str__(self) -> str:
        length = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 90 else f"{max(self.seconds, 1):.0f} seconds"
        size = f"{self.memory_mib / 1024:.1f} GiB" if self.memory_mib >= 1024 else f"{self.memory_mib:.0f} MiB"
        return f"{self.steps:,} updates ({self.epochs:g} epochs), about {length}, {size} of memory."


def plan(objective: Objective, config: TrainingConfig, clock: Callable[[], float] = time.perf_counter) -> Plan:
    """Time a few updates and one evaluation, and say what the whole will take.

    Args:
        objective: at its initial weights; untouched afterwards, bit for bit.
        config: the run's training section; a budget in minutes bounds the answer.
        clock: seconds.
    """
    device = choose_device(config.device)
    per_epoch = objective.batches_per_epoch()
    network = objective.network()
    with untouched(objective):
        if network is not None:
            network.to(device).train()
        times = []
        for batch in islice(objective.batches(1), TIMED_UPDATES):
            started = clock()
            with torch.enable_grad():
                loss, count, _ = objective.loss(to_device(batch, device))
                (loss / max(count, 1)).backward()
            times.append(clock() - started)
        if network is not None:
            network.eval()
        started = clock()
        with torch.no_grad():
            objective.evaluate()
        evaluation = clock() - started
    step = min(times) + evaluation / (config.evaluate_every or per_epoch)
    steps = config.steps or (config.epochs * per_epoch if config.epochs else None)
    if config.minutes is not None:
        affordable = max(1, int(60 * config.minutes / max(step, 1e-9)))
        steps = affordable if steps is None else min(steps, affordable)
    steps = steps or 0
    return Plan(steps, round(steps / per_epoch, 1), steps * step, peak_memory_mib())


def peak_memory_mib() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
