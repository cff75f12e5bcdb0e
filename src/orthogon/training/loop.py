"""The training loop: one for every task, from the first check to the weights to use.

fit ─ begin    device, seed; resume a checkpoint, or preflight, learning-rate race and the budget in steps
    ─ train    for each epoch, for each batch: update, look, report, evaluate, save
    ─ end      the best weights in place

The learner (learner.py) is what an update changes; Progress (state.py) is where the training stands.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from orthogon.errors import TrainingError
from orthogon.training import checkpoint, distributed
from orthogon.training.batches import batches_left
from orthogon.training.budget import WRONG, Budget, Pace
from orthogon.training.config import TrainingConfig, require_complete
from orthogon.training.device import choose_device, deterministic, require_compiler, seed_everything
from orthogon.training.interrupt import Interrupt
from orthogon.training.journal import Event, Journal
from orthogon.training.learner import Learner
from orthogon.training.objective import Objective
from orthogon.training.preflight import SECONDS as PREFLIGHT_SECONDS
from orthogon.training.preflight import lr_race, preflight
from orthogon.training.result import FitResult
from orthogon.training.state import Progress, capture, changed_since, take_back

__all__ = ["FitResult", "fit"]

ONE_VALUE = "Expected more than 1 value per channel"  # PyTorch's batch norm
PREFLIGHT_SHARE = 0.05  # of a budget in minutes, at most, for each check


def fit(
    objective: Objective,
    config: TrainingConfig,
    folder: Path | None = None,
    *,
    seed: int = 0,
    resume: bool = False,
    listen: Callable[[Event], None] | None = None,
    expected_loss: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    started: float | None = None,
    pace: Pace | None = None,
) -> FitResult:
    """Minimise the objective as the config says.

    On the CPU the result is a function of (objective, config, seed): also when the process is killed at any point and
    started again with `resume`, however often. The clock decides when to save and report, never what is computed,
    except that a budget in minutes is turned into a number of steps before the first one, and put right a few times on
    the way (budget.py); what was decided is saved before the next update.

    Args:
        objective: what to minimise; its parameters are trained in place.
        config: `lr` and one of `epochs`, `steps`, `minutes` must be set. `minutes` beside another limits it.
        folder: where `log.jsonl` and `checkpoint/` go; None keeps nothing.
        seed: of dropout and whatever else draws while training.
        resume: go on from the newest whole checkpoint in `folder`; start anew if there is none yet.
        listen: called with each event, a dict with "event": start, preflight, step, gradients, evaluation, warning,
            checkpoint or end. Steps are counted from 1. "step" has step, total_steps, epoch, loss (mean since the last
            logged step), lr, seconds; "gradients", of the first update, each `monitor_every` and the last, has step
            and the monitor's figures by name of parameter or layer; "evaluation" has step, epoch, loss (mean since the
            last evaluation), lr, seconds and the objective's figures as dev_loss, dev_error, ...
        expected_loss: mean loss that theory gives before training (log K), for the preflight.
        clock: seconds, monotonic.
        started: what the clock said when the minutes began; None: they begin now.
        pace: what updates and evaluations take, where that is known; else a budget in minutes times some first.
    Raises:
        ConfigError: the config contradicts itself or lacks lr or a length.
        TrainingError: a loss, gradient or weight is not finite; one example does not fit into memory; a batch norm has
            one value a channel.
        RunError: `resume`, and every checkpoint is damaged or belongs to another network.
    """
    require_complete(config)
    device = choose_device(config.device)
    if config.compile:
        require_compiler(device)
    with distributed.process_group(device), deterministic(), Interrupt() as interrupt:
        first = distributed.rank() == 0  # the process that writes and reports
        with Journal(folder if first else None, listen if first else None) as journal:
            training = _Training(objective, config, folder, seed, device, journal, clock, started)
            try:
                training.begin(resume, expected_loss, pace)
                training.train(interrupt)
            except ValueError as error:
                if not str(error).startswith(ONE_VALUE):
                    raise
                raise _one_value(config) from error
            return training.end()


def _one_value(config: TrainingConfig) -> TrainingError:
    """In our words, what a batch norm says of a single example whose map is one pixel."""
    batch = "the batch" if config.accumulate == 1 else f"each of the {config.accumulate} parts of a batch"
    return TrainingError(
        f"batch norm needs two values a channel or more, and {batch} holds one example",
        "training.batch_size",
        "Raise training.batch_size, so that every part and every process has at least two examples of a batch.",
    )


class _Training:
    """A training on its way."""

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        folder: Path | None,
        seed: int,
        device: torch.device,
        journal: Journal,
        clock: Callable[[], float],
        started: float | None,
    ) -> None:
        self.objective, self.config, self.folder, self.seed, self.device = objective, config, folder, seed, device
        self.journal, self.clock = journal, clock
        self.steps_per_epoch = objective.batches_per_epoch()
        if self.steps_per_epoch < 1:
            raise TrainingError("there is not one batch to train on", "train", "Give it more examples.")
        self.learner = Learner(objective, config, self.steps_per_epoch, device, seed)
        self.progress = Progress()
        self.started = clock() if started is None else started
        self.budget = Budget(config, self.steps_per_epoch, device, lambda: self._seconds(clock()))
        self.saved_step = -1

    # -- begin --------------------------------------------------------------------------------------------------

    def begin(self, resume: bool, expected_loss: float | None, pace: Pace | None) -> None:
        """Everything before the first update."""
        config = self.config
        found = checkpoint.load(self.folder) if resume and self.folder is not None else None
        if found is not None:
            assert self.folder is not None
            tensors, state = found
            self._set_lr(state["lr"])  # the race's choice
            self.progress = take_back(tensors, state, self.learner, self.folder)
            self.budget.load_state(self.progress.pace)
            self.journal.open(keep=self.progress.log_size)
        else:
            self.journal.open()
            seed_everything(self.seed, distributed.rank())
            if config.preflight:
                self._preflight(expected_loss)
            if config.lr_race is True:
                (lr,) = distributed.from_first([lr_race(self.objective, config, clock=self.clock)], self.device)
                self._set_lr(lr)
            self._last_step_is(*self.budget.first(self.learner, pace))
            self.progress.look_again = self.budget.first_look(self.progress.total_steps)
            self.budget.start()
        if config.compile and self.learner.network is not None:
            self.learner.network.compile()
        self.journal.tell(
            {
                "event": "start",
                "step": self.progress.step,
                "total_steps": self.progress.total_steps,
                "steps_per_epoch": self.steps_per_epoch,
                "parameters": sum(p.numel() for p in self.learner.update.parameters),
                "device": str(self.device),
                "processes": distributed.world(),
                "lr": self.learner.lr,
                "resumed": found is not None,
            }
        )
        if found is None:
            self._save()  # what a race and the clock decided must survive a kill from here on
            return
        self.saved_step = self.progress.step
        for problem in state["skipped"]:
            self._warn("checkpoint-damaged", f"passed over a damaged checkpoint: {problem}", "")
        changed = changed_since(state, self.learner)
        if changed:
            self._warn(
                "config-changed", f"resumed with another {changed}", "The weights will differ from an unbroken run."
            )

    def _set_lr(self, lr: float) -> None:
        if lr != self.learner.lr:
            config = self.config.model_copy(update={"lr": lr})
            self.learner = Learner(self.objective, config, self.steps_per_epoch, self.device, self.seed)

    def _last_step_is(self, step: int, timed_out: bool) -> None:
        self.progress.total_steps, self.progress.ends_as = step, "budget" if timed_out else "finished"
        self.learner.schedule.total_steps = step

    def _preflight(self, expected_loss: float | None) -> None:
        seconds = min(PREFLIGHT_SECONDS, PREFLIGHT_SHARE * self.budget.seconds)
        for found in preflight(self.objective, self.config, expected_loss, self.clock, seconds):
            what = {"code": found.code, "severity": found.severity, "message": found.message, "remedy": found.remedy}
            self.journal.tell({"event": "preflight", **what})
            if found.severity == "error":
                raise TrainingError(found.message, "before the first step", found.remedy)
            if found.severity == "warning":
                self._warn(found.code, found.message, found.remedy)

    # -- train --------------------------------------------------------------------------------------------------

    def train(self, interrupt: Interrupt) -> None:
        """The loop itself."""
        at, learner, update, clock = self.progress, self.learner, self.learner.update, self.clock
        look_every, evaluate_every = self.config.monitor_every, self.config.evaluate_every
        wait = 60 * self.config.checkpoint_minutes
        next_save, save_due = clock() + wait, False
        if at.position == self.steps_per_epoch:  # saved at the very end of an epoch
            at.epoch, at.position = at.epoch + 1, 0
        while at.status is None and at.step < at.total_steps:
            for batch in batches_left(self.objective, at.epoch, at.position, self.device):
                at.step += 1
                at.position += 1
                look = (at.step - 1) % look_every == 0 or at.step == at.total_steps
                if look:
                    learner.monitor.arm()
                update.signals = (interrupt.seen, save_due)
                learner.learn(batch, at.step, at.epoch)
                at.since_log[0] += update.loss_sum
                at.since_log[1] += update.count
                if look:
                    warnings = learner.monitor.look(at.step - 1)
                    if learner.monitor.gradient_norms:
                        self.journal.tell({"event": "gradients", "step": at.step, **learner.monitor.figures()})
                    self._pass_on(warnings)
                if update.warnings:
                    self._pass_on(update.warnings)
                    update.warnings.clear()

                decided = at.step == at.look_again and self._look_at_the_clock()
                last, end_of_epoch = at.step == at.total_steps, at.position == self.steps_per_epoch
                now = clock()
                logged = at.step % look_every == 0
                if self.journal.due(now) or logged:
                    self._report(now, logged)
                if last or (at.step % evaluate_every == 0 if evaluate_every else end_of_epoch):
                    self._evaluate()
                save_due = self.folder is not None and now >= next_save
                # several processes act on what all of them have heard, one update later
                interrupted, save = update.signals if update.processes > 1 else (interrupt.seen, save_due)
                if at.status is None and (last or interrupted):
                    at.status = at.ends_as if last else "interrupted"
                if at.status is not None or save or decided:
                    self._save()
                    next_save, save_due = clock() + wait, False
                if at.status is not None or end_of_epoch:
                    break
            at.epoch, at.position = at.epoch + 1, 0

    def _look_at_the_clock(self) -> bool:
        """Whether other updates fit into the minutes than it seemed; their number is put right."""
        at, before = self.progress, self.progress.total_steps
        settled = at.step > self.budget.first_look(before)  # the first look is part of the estimate
        total, timed_out, at.look_again, seconds = self.budget.look(at.step, before, at.ends_as == "budget")
        self._last_step_is(total, timed_out)
        if total == before:
            return False
        told = {"event": "budget", "step": at.step, "total_steps": total, "was": before}
        self.journal.tell({**told, "seconds_per_step": round(seconds, 6)})
        if settled and abs(total - before) > WRONG * before:
            self._warn(
                "budget-changed",
                f"updates take {seconds:.2g} s by now: {total:,} of them fit into the minutes, not {before:,}",
                "The learning rate falls to its end with the last of them. To compare runs, set training.steps.",
            )
        return True

    def _report(self, now: float, logged: bool) -> None:
        """Tell how far it is: a logged step, or only for a progress bar."""
        at, update = self.progress, self.learner.update
        loss_sum = float(at.since_log[0])
        if not math.isfinite(loss_sum):  # seen late on an accelerator, where no update waits for its loss
            raise update.explain(f"the loss is {loss_sum}", update.batch)
        event = at.event("step", at.since_log, self.learner.rate, self._seconds(now)) | update.logs
        if not logged:
            self.journal.show(event)
            return
        if self.learner.network is not None:
            event["gradient_norm"] = math.hypot(*self.learner.monitor.gradient_norms.values())
        at.fold()
        self.journal.tell(event)

    def _evaluate(self) -> None:
        """Measure on dev; keep the best weights; tell the schedule; lose patience."""
        at, learner = self.progress, self.learner
        at.fold()
        began = self.clock() if self.config.minutes is not None else 0.0
        figures = learner.figures()
        if self.config.minutes is not None:
            self.budget.evaluated(self.clock() - began)
        event = at.event("evaluation", at.since_evaluation, learner.rate, self._seconds(self.clock()))
        event |= {f"dev_{name}": value for name, value in figures.items()}
        at.since_evaluation = [0.0, 0.0]
        at.history.append(event)
        self.journal.tell(event)
        if "loss" not in figures:
            return
        learner.schedule.observe(figures["loss"])
        if at.best_step is None or figures["loss"] < at.best["loss"]:
            at.best_step, at.best, at.bad_evaluations = at.step, figures, 0
            if self.config.keep_best:
                learner.keep_best()
        else:
            at.bad_evaluations += 1
            if self.config.patience is not None and at.bad_evaluations >= self.config.patience:
                at.status = "patience"

    def _save(self) -> None:
        """Write a checkpoint; a full disk costs a warning, not the training."""
        step = self.progress.step
        if self.folder is None or self.saved_step == step:
            return
        self.learner.check_finite()
        here = replace(self.progress, seconds=self._seconds(self.clock()), log_size=self.journal.size)
        here.pace = self.budget.state()
        tensors, state = capture(here, self.learner, self.seed)
        problem: OSError | None = None
        if distributed.rank() == 0:
            try:
                checkpoint.save(self.folder, step, tensors, state, self.config.checkpoints_kept)
            except OSError as error:
                problem = error
        (failed,) = distributed.from_first([problem is not None], self.device)  # the others wait until it is written
        if failed:
            kept = f"the one of step {self.saved_step} is kept" if self.saved_step >= 0 else "there is none yet"
            self._warn(
                "checkpoint-failed",
                f"step {step}: the checkpoint could not be written ({problem}); {kept}",
                f"Make room on the disk of {self.folder}; the next try is in training.checkpoint_minutes.",
            )
            return
        self.saved_step = step
        self.journal.tell({"event": "checkpoint", "step": step, "seconds": round(here.seconds, 3)})

    def _warn(self, code: str, message: str, remedy: str) -> None:
        step = self.progress.step
        self._pass_on([{"event": "warning", "code": code, "step": step, "message": message, "remedy": remedy}])

    def _pass_on(self, warnings: Iterable[Event]) -> None:
        for event in warnings:
            self.progress.warnings.append(event)
            self.journal.tell(event)

    def _seconds(self, now: float) -> float:
        return self.progress.seconds + now - self.started

    # -- end ----------------------------------------------------------------------------------------------------

    def end(self) -> FitResult:
        """Put the weights to use in place."""
        at = self.progress
        self.learner.settle()
        result = FitResult(
            status=at.status or at.ends_as,
            steps=at.step,
            epochs=at.step // self.steps_per_epoch,
            seconds=round(self._seconds(self.clock()), 3),
            best_step=at.best_step,
            best=at.best,
            history=at.history,
            batch_parts=self.learner.update.parts,
            lr=self.learner.lr,
            warnings=at.warnings,
        )
        self.journal.tell(result.event())
        return result
