"""What a training will take: minutes and memory, from timing a few updates that leave everything as it was."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from orthogon.training.config import TrainingConfig
from orthogon.training.device import choose_device, out_of_memory, to_device
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
        length = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 90 else f"{self.seconds:.0f} seconds"
        length = "a second" if self.seconds < 1.5 else length
        size = f"{self.memory_mib / 1024:.1f} GiB" if self.memory_mib >= 1024 else f"{self.memory_mib:.0f} MiB"
        updates = f"{self.steps:,} update{'' if self.steps == 1 else 's'}"
        epochs = f"{self.epochs:g} epoch{'' if self.epochs == 1 else 's'}"
        return f"{updates} ({epochs}), about {length}, {size} of memory."


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
            _gradients(objective, to_device(batch, device), config.accumulate)
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


def _gradients(objective: Objective, batch: Any, parts: int) -> None:
    """Those of one batch, in as many parts as fit into memory; the training says so when it comes to it."""
    while True:
        pieces = objective.split(batch, parts) if parts > 1 else [batch]
        try:
            with torch.enable_grad():
                for piece in pieces:
                    loss, count, _ = objective.loss(piece)
                    (loss / max(count, 1)).backward()
            return
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        if len(objective.split(batch, 2 * parts)) <= len(pieces):
            return  # not even one example fits, which the training explains
        parts *= 2


def peak_memory_mib() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
