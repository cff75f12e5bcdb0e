"""How long to train: epochs, steps or minutes, as a number of updates fixed before the first one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, count

import torch

from orthogon.training import distributed
from orthogon.training.batches import batches_left
from orthogon.training.config import TrainingConfig
from orthogon.training.learner import Learner

PROBE_STEPS = 20  # updates timed for a budget in minutes
PROBE_SHARE = 0.05  # of the budget, at most, for timing


def budget(
    config: TrainingConfig, steps_per_epoch: int, learner: Learner, clock: Callable[[], float], started: float
) -> tuple[int, bool]:
    """How many updates, and whether it is the minutes that end them.

    Minutes become a number of updates by timing a few and an evaluation, which leaves no trace in the learner.

    Args:
        started: what the clock said when the training began; minutes count from there.
    """
    steps = config.steps or (config.epochs * steps_per_epoch if config.epochs else None)
    if config.minutes is None:
        assert steps is not None
        return steps, False
    affordable = _affordable(60 * config.minutes, config.evaluate_every or steps_per_epoch, learner, clock, started)
    return (steps, False) if steps is not None and steps <= affordable else (affordable, True)


def _affordable(
    seconds: float, evaluate_every: int, learner: Learner, clock: Callable[[], float], started: float
) -> int:
    """Updates, with their share of the evaluations, that fit into this time."""
    device = learner.device
    batches = chain.from_iterable(batches_left(learner.objective, 1, 0, device) for _ in count())

    def timed(updates: int) -> float:
        start = clock()
        for step in range(updates):
            learner.update(next(batches), step + 1)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return max(clock() - start, 1e-9)

    with learner.as_it_was():
        timed(1)  # warm-up: kernels are chosen, memory is taken
        first = timed(1)
        more = min(PROBE_STEPS, int(PROBE_SHARE * seconds / first))
        (more,) = (int(n) for n in distributed.from_first([more], device))
        per_step = timed(more) / more if more > 0 else first
        start = clock()
        learner.figures()
        per_step += (clock() - start) / evaluate_every
    left = seconds - (clock() - started)
    (steps,) = distributed.from_first([max(1, math.floor(left / per_step))], device)
    return int(steps)
