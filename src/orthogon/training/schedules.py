"""Learning-rate schedules: the factor that multiplies the base rate α₀.

Steps count updates from 0. Epochs count from 1, as the textbook's formulas do.

    inverse             1 / (1 + decay_rate · epoch)
    exponential         decay_rate ^ epoch
    inverse_sqrt        decay_rate / √epoch
    inverse_sqrt_step   decay_rate / √t, t = step + 1, the number of the mini-batch
    staircase           1 / (1 + ⌊(epoch − 1) / decay_every⌋)
    manual              the rates of `lr_by_epoch`, each from its epoch on, by hand
    cosine              (1 + cos(π · progress)) / 2
    one_cycle           up by a cosine from 1/25 for `one_cycle_rise` of all steps or `lr_warmup_steps`, down by a
                        cosine to 1/250,000 (torch's OneCycleLR)
    plateau             ×plateau_factor after more than `plateau_patience` evaluations without a better dev loss
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from orthogon.errors import ConfigError
from orthogon.training.config import TrainingConfig

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1 / 25 / 1e4
PLATEAU_THRESHOLD = 1e-4  # relative; smaller improvements are noise


class Schedule:
    """What to multiply the base rate with, at each update; usable with any optimiser.

    Args:
        config: `schedule`, `decay_rate`, `decay_every`, `lr_by_epoch`, `lr_warmup_steps`, `lr`, `one_cycle_rise`,
            `plateau_factor`, `plateau_patience`.
        total_steps: updates of the whole run; cosine and one_cycle end there. May be set later, once known.
        steps_per_epoch: updates of one epoch.
    Raises:
        ConfigError: lr_by_epoch and schedule do not fit together.
    """

    def __init__(self, config: TrainingConfig, total_steps: int, steps_per_epoch: int) -> None:
        if (config.schedule == "manual") != bool(config.lr_by_epoch):
            raise ConfigError(
                f'training.schedule is "{config.schedule}" and training.lr_by_epoch is {config.lr_by_epoch or "empty"}',
                "training.schedule, training.lr_by_epoch",
                'A manual schedule needs both: schedule: manual, and for instance lr_by_epoch: {"10": 0.001}.',
            )
        self.config = config
        self.total_steps = total_steps
        self.steps_per_epoch = steps_per_epoch
        self.best = math.inf
        self.bad_evaluations = 0
        self.plateau_factor = 1.0

    def lr_factor(self, step: int, epoch: int) -> float:
        """The factor for update `step` (from 0) in `epoch` (from 1)."""
        config = self.config
        rate = config.decay_rate
        if config.schedule == "one_cycle":
            return self._one_cycle(step)
        # the first update moves already, and update number `lr_warmup_steps` has the full rate
        warmup = min(1.0, (step + 1) / config.lr_warmup_steps) if config.lr_warmup_steps else 1.0
        match config.schedule:
            case "cosine":  # the default first: this is asked at every update
                start = config.lr_warmup_steps
                progress = (step - start) / max(1, self.total_steps - start)
                decay = (1 + math.cos(math.pi * min(1.0, max(0.0, progress)))) / 2
            case "inverse":
                decay = 1 / (1 + rate * epoch)
            case "exponential":
                decay = rate**epoch
            case "inverse_sqrt":
                decay = rate / math.sqrt(epoch)
            case "inverse_sqrt_step":
                decay = rate / math.sqrt(step + 1)
            case "staircase":
                decay = 1 / (1 + (epoch - 1) // config.decay_every)
            case "manual":
                reached = [first for first in config.lr_by_epoch if first <= epoch]
                decay = config.lr_by_epoch[max(reached)] / (config.lr or 1.0) if reached else 1.0
            case "plateau":
                decay = self.plateau_factor
            case _:
                decay = 1.0
        return warmup * decay

    def observe(self, dev_loss: float) -> None:
        """Tell the schedule a dev loss; only `plateau` listens."""
        if self.config.schedule != "plateau":
            return
        if dev_loss < self.best * (1 - PLATEAU_THRESHOLD) or (self.best <= 0 and dev_loss < self.best):
            self.best, self.bad_evaluations = dev_loss, 0
            return
        self.bad_evaluations += 1
        if self.bad_evaluations > self.config.plateau_patience:
            self.plateau_factor *= self.config.plateau_factor
            self.bad_evaluations = 0

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state that a resumed run needs."""
        return {
            "total_steps": self.total_steps,
            "steps_per_epoch": self.steps_per_epoch,
            "best": self.best if math.isfinite(self.best) else None,
            "bad_evaluations": self.bad_evaluations,
            "plateau_factor": self.plateau_factor,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.total_steps = int(state["total_steps"])
        self.steps_per_epoch = int(state["steps_per_epoch"])
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.bad_evaluations = int(state["bad_evaluations"])
        self.plateau_factor = float(state["plateau_factor"])

    def _one_cycle(self, step: int) -> float:
        # OneCycleLR's phases end on whole steps: the peak at `peak`, the end at the last update
        last = max(1, self.total_steps - 1)
        peak = (self.config.lr_warmup_steps or self.config.one_cycle_rise * self.total_steps) - 1
        if step < peak:
            return _cosine_between(ONE_CYCLE_START, 1.0, step / peak)
        return _cosine_between(1.0, ONE_CYCLE_END, min(1.0, (step - peak) / max(1e-9, last - peak)))


def _cosine_between(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
