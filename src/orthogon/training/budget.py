"""How long to train: epochs, steps or minutes, as a number of updates.

Minutes become a number of updates before the first one, from what an update and an evaluation took, and that number is
put right while the training is on its way: soon after the start, and each time a quarter of what was left is done.
Where what comes before the first update took all of the minutes, the updates still get a tenth of them: without any,
what came before would be in vain.
What was decided is saved at once, so that a killed training goes on with it. Everything counts, evaluations and
checkpoints too; the learning rate's schedule ends with the last update.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count

import torch

from orthogon.training import distributed
from orthogon.training.batches import batches_left
from orthogon.training.config import TrainingConfig
from orthogon.training.learner import Learner

LEAST = 0.1  # share of the minutes that updates have in any case
PROBE_STEPS = 20  # updates timed before the first one, where nobody knows what they take
PROBE_SHARE = 0.05  # of the budget, at most, for that
FIRST_LOOK = 0.05  # share of the updates after which it is looked at the clock for the first time
FEWEST_TIMED = 3  # updates between two looks; one alone may have waited for anything
UNTIL_NEXT_LOOK = 0.25  # share of the updates left; whatever became up to four times as slow is seen in time
LAST_LOOK = 0.02  # share of the budget that is left at the last look
TOLERATED = 0.02  # change of the number of updates, as a share of those left, that is not worth a checkpoint
WRONG = 0.25  # relative change of the number of updates that is worth a warning
ROUNDING = 1e-9  # a budget that is used up to the last digit is not overdrawn


@dataclass(frozen=True)
class Pace:
    """Seconds that an update and an evaluation on dev take."""

    update: float
    evaluation: float

    def affordable(self, seconds: float, every: int, done: int = 0) -> int:
        """Updates that fit, with the evaluation after every so many and the one after the last.

        Args:
            done: updates before them.
        """

        def then(seconds: float) -> int:
            return max(0, math.floor((seconds - self.evaluation) / self.update + ROUNDING))

        first = every - done % every  # updates until the next evaluation
        fit = then(seconds)
        if fit <= first:
            return fit
        seconds -= first * self.update + self.evaluation
        rounds = math.floor(seconds / (every * self.update + self.evaluation) + ROUNDING)
        seconds -= rounds * (every * self.update + self.evaluation)
        return first + rounds * every + min(every, then(seconds))


class Budget:
    """The minutes of a training, or none.

    Args:
        spent: of these minutes, in seconds, by now and in all processes before this one.
    """

    def __init__(
        self,
        config: TrainingConfig,
        steps_per_epoch: int,
        device: torch.device,
        spent: Callable[[], float],
    ) -> None:
        self.asked = config.steps or (config.epochs * steps_per_epoch if config.epochs else None)
        self.minutes = config.minutes
        self.seconds = math.inf if config.minutes is None else 60 * config.minutes
        self.every = config.evaluate_every or steps_per_epoch
        self.device, self.spent = device, spent
        self.evaluation = 0.0  # seconds of the last one
        self._step, self._since = 0.0, 0.0  # the last look: after how many updates, and when

    def first(self, learner: Learner, pace: Pace | None) -> tuple[int, bool]:
        """(updates, whether it is the minutes that end them), before any of them.

        Args:
            pace: where it is known; else a few updates and an evaluation are timed, which leaves no trace.
        """
        if self.minutes is None:
            assert self.asked is not None
            return self.asked, False
        known = (pace.update, pace.evaluation) if pace is not None else (0.0, 0.0)
        update, evaluation = distributed.from_first(known, self.device)  # only the first process may know
        if update <= 0:
            update, evaluation = self._timed(learner)
        self.evaluation = evaluation
        self.seconds = max(self.seconds, self.spent() + LEAST * self.seconds)
        return self._fitting(0, update)

    def start(self) -> None:
        """The first update begins now."""
        self._step, self._since = 0.0, self.spent()

    def state(self) -> list[float]:
        """What a resumed training goes on with."""
        told = [self._step, self._since, self.evaluation]
        return told if self.minutes is None else [*told, self.seconds]

    def load_state(self, state: list[float]) -> None:
        """Take back what `state` gave."""
        self._step, self._since, self.evaluation, *seconds = state
        self.seconds = seconds[0] if seconds else self.seconds  # earlier versions kept to the minutes

    def first_look(self, total: int) -> int:
        """After which update to look at the clock for the first time; 0: not at all."""
        return max(FEWEST_TIMED, math.ceil(FIRST_LOOK * total)) if self.minutes is not None else 0

    def evaluated(self, seconds: float) -> None:
        """An evaluation took so long; it is not the updates' time."""
        self.evaluation = seconds
        self._since += seconds

    def look(self, step: int, before: int, ended: bool) -> tuple[int, bool, int, float]:
        """(updates in all, whether the minutes end them, when to look again, seconds of an update) as it seems now.

        Args:
            before, ended: the first two, as they seemed until now; they stay where little changes.
        """
        now = self.spent()
        update = max(now - self._since, 1e-9) / max(step - self._step, 1)
        total, timed_out = self._fitting(step, update)
        self._step, self._since = step, now
        if abs(total - before) <= TOLERATED * (before - step):
            total, timed_out = before, ended
        left = total - step
        again = step + max(FEWEST_TIMED, math.ceil(UNTIL_NEXT_LOOK * left))
        if again >= total or left * update < LAST_LOOK * self.seconds:
            again = 0
        (shown,) = distributed.from_first([update], self.device)
        (again,) = (int(n) for n in distributed.from_first([again], self.device))
        return total, timed_out, again, shown

    def _fitting(self, step: int, update: float) -> tuple[int, bool]:
        """After `step` updates: how many there are in all, and whether it is the minutes that end them."""
        due = self.evaluation if step and step % self.every == 0 else 0.0  # of this update, not done yet
        left = Pace(update, self.evaluation).affordable(self.seconds - self.spent() - due, self.every, step)
        (total,) = (int(n) for n in distributed.from_first([max(1, step + left)], self.device))
        return (self.asked, False) if self.asked is not None and self.asked <= total else (total, True)

    def _timed(self, learner: Learner) -> tuple[float, float]:
        """Seconds of an update and of an evaluation."""
        device = self.device
        batches = chain.from_iterable(batches_left(learner.objective, 1, 0, device) for _ in count())

        def timed(updates: int) -> float:
            start = self.spent()
            for step in range(updates):
                learner.update(next(batches), step + 1)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return max(self.spent() - start, 1e-9)

        with learner.as_it_was():
            timed(1)  # warm-up: kernels are chosen, memory is taken
            first = timed(1)
            more = min(PROBE_STEPS, int(PROBE_SHARE * self.seconds / first))
            (more,) = (int(n) for n in distributed.from_first([more], device))
            update = timed(more) / more if more > 0 else first
            start = self.spent()
            learner.figures()
            return update, self.spent() - start
