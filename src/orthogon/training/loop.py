"""The training loop: one for every task, from the first check to the weights to use.

fit ─ begin    device, seed; resume a checkpoint, or preflight, learning-rate race and the budget in steps
    ─ train    for each epoch, for each batch: learning rate, update, average, look, evaluate, report, save
    ─ end      the best weights in place
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal

import torch

from orthogon.errors import ConfigError, RunError, TrainingError
from orthogon.training import checkpoint, distributed
from orthogon.training.config import TrainingConfig
from orthogon.training.device import (
    choose_device,
    deterministic,
    random_state,
    seed_everything,
    set_random_state,
    to_device,
)
from orthogon.training.monitors import Monitor
from orthogon.training.objective import Objective, examples_in
from orthogon.training.optimisers import make_optimiser, proximal_l1_
from orthogon.training.preflight import lr_race, preflight
from orthogon.training.schedules import Schedule
from orthogon.training.update import NO_BATCH, Update
from orthogon.training.weights import Average, copied, put_back, weights_of

Event = dict[str, Any]
Status = Literal["finished", "patience", "interrupted", "budget"]
REPORT_SECONDS = 0.1  # between two "step" events for a progress bar
PROBE_STEPS = 20  # updates timed for a budget in minutes
PROBE_SHARE = 0.05  # of the budget, at most, for timing


@dataclass
class FitResult:
    """What came of a training.

    The network holds the weights to use (best on dev, else averaged, else the last) and is in eval mode.

    status: "finished" the epochs or steps; "budget" of minutes used up; "patience" no better dev loss for long;
        "interrupted" by Ctrl-C or SIGTERM, saved, to be resumed.
    epochs: whole passes over train.
    seconds: spent training, over all resumes.
    best_step, best: where dev loss was lowest, and the dev figures there; None and empty without a dev set.
    history: the "evaluation" events.
    batch_parts: in how many parts a batch was computed at the end.
    lr: the base learning rate used (differs from the config's after a race).
    warnings: the "warning" events.
    """

    status: Status
    steps: int
    epochs: int
    seconds: float
    best_step: int | None
    best: dict[str, float]
    history: list[Event]
    batch_parts: int
    lr: float
    warnings: list[Event]


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
) -> FitResult:
    """Minimise the objective as the config says.

    On the CPU the result is a function of (objective, config, seed): also when the process is killed at any point and
    started again with `resume`, however often. The clock decides when to save and report, never what is computed,
    except that a budget in minutes is turned into a number of steps once, before the first one.

    Args:
        objective: what to minimise; its parameters are trained in place.
        config: `lr` and one of `epochs`, `steps`, `minutes` must be set. `minutes` beside another limits it.
        folder: where `log.jsonl` and `checkpoint/` go; None keeps nothing.
        seed: of dropout and whatever else draws while training.
        resume: go on from the newest whole checkpoint in `folder`; start anew if there is none yet.
        listen: called with each event, a dict with "event": start, preflight, step, evaluation, warning, checkpoint
            or end. Steps are counted from 1. "step" has step, total_steps, epoch, loss (mean since the last logged
            step), lr, seconds; "evaluation" has step, epoch, loss (mean since the last evaluation), lr, seconds and
            the objective's figures as dev_loss, dev_error, ...
        expected_loss: mean loss that theory gives before training (log K), for the preflight.
        clock: seconds, monotonic.
    Raises:
        ConfigError: the config contradicts itself or lacks lr or a length.
        TrainingError: a loss, gradient or weight is not finite; one example does not fit into memory.
        RunError: `resume`, and every checkpoint is damaged or belongs to another network.
    """
    _check(config)
    device = choose_device(config.device)
    with distributed.process_group(device), deterministic(), _Interrupt() as interrupt:
        training = _Training(objective, config, folder, seed, device, listen, clock)
        training.begin(resume, expected_loss)
        training.train(interrupt)
        return training.end()


class _Training:
    """A training on its way; the attributes named in `_state` and the tensors of `_tensors` are all that it is."""

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        folder: Path | None,
        seed: int,
        device: torch.device,
        listen: Callable[[Event], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.objective, self.config, self.seed, self.device, self.clock = objective, config, seed, device, clock
        self.first = distributed.rank() == 0  # the process that writes and reports
        self.folder = folder
        self.listen = listen if self.first else None
        self.network = objective.network()
        self.parameters = objective.parameters()
        self._place()
        self.steps_per_epoch = objective.batches_per_epoch()
        if self.steps_per_epoch < 1:
            raise TrainingError("there is not one batch to train on", "train", "Give it more examples.")

        self.status: Status | None = None
        self.step, self.epoch, self.position = 0, 1, 0  # updates done; epoch from 1; batches done in it
        self.total_steps = 0
        self.ends_as: Status = "finished"
        self.best_step: int | None = None
        self.best: dict[str, float] = {}
        self.bad_evaluations = 0
        self.history: list[Event] = []
        self.warnings: list[Event] = []
        self.since_log: list[Any] = [0.0, 0.0]  # summed loss and count
        self.since_evaluation: list[Any] = [0.0, 0.0]
        self.seconds_before = 0.0  # of earlier processes
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.started = self.clock()
        self.saved_step = -1
        self.log_size = 0
        self._assemble(config)

    def _place(self) -> None:
        """Network and parameters on the device and in train mode, equal in all processes."""
        with torch.no_grad():
            if self.network is not None:
                self.network.to(self.device).train()
            for parameter in self.parameters.values():
                parameter.data = parameter.data.to(self.device)
        distributed.copy_from_first(weights_of(self.objective))

    def _assemble(self, config: TrainingConfig) -> None:
        """The machinery that the config asks for, with nothing learned yet."""
        self.config = config
        assert config.lr is not None
        self.lr = config.lr
        self.optimiser = make_optimiser(self.parameters, self.network, config)
        self.base_lrs = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = Schedule(config, self.total_steps, self.steps_per_epoch)
        self.monitor = Monitor(self.network, config)
        self.update = Update(self.objective, self.optimiser, self.monitor, config, self.device, self.seed)
        self.average = None if config.ema_decay is None else Average(self.parameters, config.ema_decay)

    # -- begin --------------------------------------------------------------------------------------------------

    def begin(self, resume: bool, expected_loss: float | None) -> None:
        """Everything before the first update."""
        found = checkpoint.load(self.folder) if resume and self.folder is not None else None
        if found is not None:
            self._restore(*found)
            self._trim_log()
        else:
            self._start_log()
            seed_everything(self.seed, distributed.rank())
            self._preflight(expected_loss)
            self.total_steps, self.ends_as = self._budget()
            self.schedule.total_steps = self.total_steps
        if self.config.compile and self.network is not None:
            self.network.compile()
        self._tell(
            {
                "event": "start",
                "step": self.step,
                "total_steps": self.total_steps,
                "steps_per_epoch": self.steps_per_epoch,
                "parameters": sum(p.numel() for p in self.update.parameters),
                "device": str(self.device),
                "processes": distributed.world(),
                "lr": self.lr,
                "resumed": found is not None,
            }
        )
        if found is None:
            self._save()  # what a race and the clock decided must survive a kill from here on
        else:
            self.saved_step = self.step
            for problem in found[1]["skipped"]:
                self._warn("checkpoint-damaged", f"passed over a damaged checkpoint: {problem}", "")

    def _preflight(self, expected_loss: float | None) -> None:
        if self.config.preflight:
            for finding in preflight(self.objective, self.config, expected_loss):
                self._tell({"event": "preflight", **_plain(finding)})
                if finding.severity == "error":
                    raise TrainingError(finding.message, "before the first step", finding.remedy)
                if finding.severity == "warning":
                    self._warn(finding.code, finding.message, finding.remedy)
        if self.config.lr_race:
            (lr,) = distributed.from_first([lr_race(self.objective, self.config)], self.device)
            self._assemble(self.config.model_copy(update={"lr": lr}))

    def _budget(self) -> tuple[int, Status]:
        """How many updates, and what to call it when they are done."""
        config = self.config
        steps = config.steps or (config.epochs * self.steps_per_epoch if config.epochs else None)
        if config.minutes is None:
            assert steps is not None
            return steps, "finished"
        affordable = self._steps_in(60 * config.minutes)
        if steps is not None and steps <= affordable:
            return steps, "finished"
        return affordable, "budget"

    def _steps_in(self, seconds: float) -> int:
        """Updates and evaluations that fit into this time, from timing a few and then forgetting them."""
        tensors, state = self._capture()
        tensors = copied(tensors)
        every = self.config.evaluate_every or self.steps_per_epoch

        def again_and_again() -> Iterator[Any]:
            while True:
                yield from self._batches()

        batches = again_and_again()

        def timed(count: int) -> float:
            start = self.clock()
            for number in range(count):
                self.update(next(batches), number + 1)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return max(self.clock() - start, 1e-9)

        timed(1)  # warm-up: kernels are chosen, memory is taken
        first = timed(1)
        more = min(PROBE_STEPS, int(PROBE_SHARE * seconds / first))
        (more,) = (int(n) for n in distributed.from_first([more], self.device))
        per_step = timed(more) / more if more > 0 else first
        start = self.clock()
        self._figures()
        per_step += (self.clock() - start) / every
        self._take_back(tensors, state)
        left = seconds - (self.clock() - self.started)
        (steps,) = distributed.from_first([max(1, math.floor(left / per_step))], self.device)
        return int(steps)

    # -- train --------------------------------------------------------------------------------------------------

    def train(self, interrupt: _Interrupt) -> None:
        """The loop itself."""
        config, update, every = self.config, self.update, self.config.monitor_every
        next_report = self.clock()
        next_save = next_report + 60 * config.checkpoint_minutes
        save_due = False
        while self.step < self.total_steps and self.status is None:
            for batch in self._batches():
                factor = self.schedule.lr_factor(self.step, self.epoch)
                for group, lr in zip(self.optimiser.param_groups, self.base_lrs, strict=True):
                    group["lr"] = lr * factor
                look = self.step % every == 0
                if look:
                    self.monitor.arm()
                update.signals = (interrupt.seen, save_due)
                update(batch, self.step + 1)
                self.step += 1
                self.position += 1
                self.since_log[0] += update.loss_sum
                self.since_log[1] += update.count
                if config.l1:
                    proximal_l1_(self.parameters, self.lr * factor * config.l1)
                if self.average is not None:
                    self.average.update(self.step)

                if look:
                    self._look()
                if update.warnings:
                    self._pass_on_warnings()
                now = self.clock()
                if self.step % every == 0:
                    self._report(now, to_log=True)
                    next_report = now + REPORT_SECONDS
                elif now >= next_report:
                    self._report(now, to_log=False)
                    next_report = now + REPORT_SECONDS
                last = self.step == self.total_steps
                if last or (
                    self.step % config.evaluate_every == 0
                    if config.evaluate_every
                    else self.position == self.steps_per_epoch
                ):
                    self._evaluate()
                save_due = self.folder is not None and now >= next_save
                # several processes act on what all of them have heard, one update later
                interrupted, save = update.signals if update.processes > 1 else (interrupt.seen, save_due)
                if self.status is None and (last or interrupted):
                    self.status = self.ends_as if last else "interrupted"
                if self.status is not None or save:
                    self._save()
                    save_due = False
                    next_save = self.clock() + 60 * config.checkpoint_minutes
                if self.status is not None or self.position == self.steps_per_epoch:
                    break
            self.epoch, self.position = self.epoch + 1, 0

    def _batches(self) -> Iterator[Any]:
        """What is left of this epoch, on the device: this process's share of each batch."""
        held = torch.get_rng_state()
        batches = self.objective.batches(self.epoch, self.position)
        first = next(batches, NO_BATCH)
        if first is NO_BATCH:
            raise TrainingError(
                f"batches({self.epoch}, {self.position}) gave none of the {self.steps_per_epoch} batches promised",
                type(self.objective).__name__,
                "batches_per_epoch() must be exact.",
            )
        # opening a DataLoader draws a number; a resumed epoch opens one more often than an unbroken one
        torch.set_rng_state(held)
        batches = chain((first,), batches)
        if distributed.world() > 1:
            batches = map(self._share, batches)
        return batches if self.device.type == "cpu" else (to_device(batch, self.device) for batch in batches)

    def _share(self, batch: Any) -> Any:
        if self.objective.sharded:
            return NO_BATCH if examples_in(batch) == 0 else batch
        pieces = self.objective.split(batch, distributed.world())
        return pieces[distributed.rank()] if distributed.rank() < len(pieces) else NO_BATCH

    def _look(self) -> None:
        for event in self.monitor.look(self.step - 1, None):
            self._tell(event)
            self.warnings.append(event)

    def _pass_on_warnings(self) -> None:
        for event in self.update.warnings:
            self._tell(event)
            self.warnings.append(event)
        self.update.warnings.clear()

    def _report(self, now: float, to_log: bool) -> None:
        loss_sum, count = (float(total) for total in self.since_log)
        if not math.isfinite(loss_sum):  # seen late on an accelerator, where no update waits for its loss
            raise self.update.explain(f"the loss is {loss_sum}", self.update.batch)
        event = {
            "event": "step",
            "step": self.step,
            "total_steps": self.total_steps,
            "epoch": self.epoch,
            "loss": loss_sum / count if count else 0.0,
            "lr": self.optimiser.param_groups[0]["lr"],
            "seconds": round(self.seconds_before + now - self.started, 3),
            **self.update.logs,
        }
        if to_log:
            self._fold()
            event.update({"gradient_norm": self._gradient_norm()} if self.network is not None else {})
            self._tell(event)
        elif self.listen is not None:
            self.listen(event)

    def _gradient_norm(self) -> float:
        return math.sqrt(sum(norm * norm for norm in self.monitor.gradient_norms.values()))

    def _fold(self) -> None:
        """Count the losses since the last logged step towards the next evaluation's."""
        for i in (0, 1):
            self.since_evaluation[i] += float(self.since_log[i])
            self.since_log[i] = 0.0

    def _figures(self) -> dict[str, float]:
        """The objective's figures on dev, with the averaged weights if there are such; the same in all processes."""
        if self.network is not None:
            self.network.eval()
        with torch.no_grad():
            if self.average is None:
                figures = self.objective.evaluate()
            else:
                with self.average.in_place():
                    figures = self.objective.evaluate()
        if self.network is not None:
            self.network.train()
        values = distributed.from_first([float(value) for value in figures.values()], self.device)
        return dict(zip(figures, values, strict=True))

    def _evaluate(self) -> None:
        """Measure on dev; keep the best weights; tell the schedule; lose patience."""
        self._check_finite()
        self._fold()
        figures = self._figures()
        loss_sum, count = self.since_evaluation
        self.since_evaluation = [0.0, 0.0]
        event: Event = {
            "event": "evaluation",
            "step": self.step,
            "total_steps": self.total_steps,
            "epoch": self.epoch,
            "loss": loss_sum / count if count else 0.0,
            "lr": self.optimiser.param_groups[0]["lr"],
            "seconds": round(self._seconds(), 3),
            **{f"dev_{name}": value for name, value in figures.items()},
        }
        self.history.append(event)
        self._tell(event)
        if "loss" not in figures:
            return
        self.schedule.observe(figures["loss"])
        if self.best_step is None or figures["loss"] < self.best["loss"]:
            self.best_step, self.best, self.bad_evaluations = self.step, figures, 0
            if self.config.keep_best:
                self._keep_best()
        else:
            self.bad_evaluations += 1
            if self.config.patience is not None and self.bad_evaluations >= self.config.patience:
                self.status = "patience"

    def _keep_best(self) -> None:
        weights = weights_of(self.objective)
        if self.best_weights is None:
            self.best_weights = copied(weights)
        else:
            put_back(self.best_weights, weights)
        if self.average is not None:
            put_back({name: self.best_weights[name] for name in self.average.tensors}, self.average.tensors)

    def _check_finite(self) -> None:
        """Weights that are not finite must neither be judged nor saved over good ones."""
        norms = torch.stack([torch.linalg.vector_norm(p.detach()).float() for p in self.update.parameters])
        if not bool(torch.isfinite(norms).all()):
            raise self.update.explain("a weight is not finite", self.update.batch)

    # -- end ----------------------------------------------------------------------------------------------------

    def end(self) -> FitResult:
        """Put the weights to use in place."""
        self.monitor.disarm()
        if self.best_weights is not None:
            put_back(weights_of(self.objective), self.best_weights)
        elif self.average is not None:
            put_back(self.average.trained, self.average.tensors)
        for parameter in self.update.parameters:
            parameter.grad = None
        if self.network is not None:
            self.network.eval()
        result = FitResult(
            status=self.status or self.ends_as,
            steps=self.step,
            epochs=self.step // self.steps_per_epoch,
            seconds=round(self._seconds(), 3),
            best_step=self.best_step,
            best=self.best,
            history=self.history,
            batch_parts=self.update.parts,
            lr=self.lr,
            warnings=self.warnings,
        )
        self._tell(
            {
                "event": "end",
                "status": result.status,
                "step": result.steps,
                "epochs": result.epochs,
                "seconds": result.seconds,
                "best_step": result.best_step,
                **{f"dev_{name}": value for name, value in result.best.items()},
            }
        )
        return result

    def _seconds(self) -> float:
        return self.seconds_before + self.clock() - self.started

    # -- what it is, to be saved and taken back -----------------------------------------------------------------

    def _capture(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """(tensors, JSON-able state): all that the rest of the training depends on."""
        tensors: dict[str, torch.Tensor] = {}
        parts: dict[str, Mapping[str, torch.Tensor]] = {
            "weights": weights_of(self.objective),
            "extra": self.objective.extra_state(),
            "random": distributed.gather(random_state(self.device), self.device),
            "average": self.average.tensors if self.average is not None else {},
            "best": self.best_weights or {},
        }
        for part, named in parts.items():
            tensors |= {f"{part}/{name}": tensor for name, tensor in named.items()}
        scaler = self.update.scaler
        state = {
            "config": self.config.model_dump(mode="json"),
            "seed": self.seed,
            "processes": distributed.world(),
            "status": self.status,
            "step": self.step,
            "epoch": self.epoch,
            "position": self.position,
            "total_steps": self.total_steps,
            "ends_as": self.ends_as,
            "lr": self.lr,
            "best_step": self.best_step,
            "best": self.best,
            "bad_evaluations": self.bad_evaluations,
            "history": self.history,
            "warnings": self.warnings,
            "since_log": [float(total) for total in self.since_log],
            "since_evaluation": list(self.since_evaluation),
            "seconds": self._seconds(),
            "parts": self.update.parts,
            "optimiser": checkpoint.pack(self.optimiser.state_dict(), "optimiser", tensors),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "log_size": self.log_size,
        }
        return tensors, state

    def _take_back(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """The inverse of `_capture`."""

        def part(name: str) -> dict[str, torch.Tensor]:
            return {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}

        put_back(weights_of(self.objective), part("weights"))
        self.objective.load_extra_state(part("extra"))
        if self.average is not None:
            put_back(self.average.tensors, part("average"))
        best = part("best")
        self.best_weights = {name: tensor.to(self.device, copy=True) for name, tensor in best.items()} or None
        self.optimiser.load_state_dict(checkpoint.unpack(state["optimiser"], tensors))
        self.schedule.load_state_dict(state["schedule"])
        if self.update.scaler is not None and state["scaler"]:
            self.update.scaler.load_state_dict(state["scaler"])
        for name in ("status", "step", "epoch", "position", "total_steps", "ends_as", "best_step", "bad_evaluations"):
            setattr(self, name, state[name])
        for name in ("best", "history", "warnings", "since_log", "since_evaluation"):
            setattr(self, name, type(state[name])(state[name]))
        self.update.parts = state["parts"]
        random = {name: stack[distributed.rank() % len(stack)].clone() for name, stack in part("random").items()}
        set_random_state(random, self.device)

    def _restore(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint of an earlier process."""
        assert self.folder is not None
        if state["lr"] != self.lr:  # the race's choice
            self._assemble(self.config.model_copy(update={"lr": state["lr"]}))
        mine, saved = self.config.model_dump(mode="json"), state["config"]
        changed = sorted(key for key in mine if key in saved and mine[key] != saved[key])
        try:
            self._take_back(tensors, state)
        except (KeyError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint of step {state['step']} does not fit this network and optimiser: {error}",
                str(self.folder / "checkpoint"),
                "Resume with the config the run was started with, or start a new run: orthogon train",
            ) from error
        self.seconds_before = state["seconds"]
        self.log_size = state["log_size"]
        if self.status == "interrupted":
            self.status = None
        if self.position >= self.steps_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
        if changed or state["processes"] != distributed.world():
            names = ", ".join(f"training.{key}" for key in changed) or "the number of processes"
            self._warn(
                "config-changed", f"resumed with another {names}", "The weights will differ from an unbroken run."
            )

    def _save(self) -> None:
        """Write a checkpoint; a full disk costs a warning, not the training."""
        if self.folder is None or self.saved_step == self.step:
            return
        self._check_finite()
        tensors, state = self._capture()
        problem: OSError | None = None
        if self.first:
            try:
                checkpoint.save(self.folder, self.step, tensors, state)
            except OSError as error:
                problem = error
        (failed,) = distributed.from_first([problem is not None], self.device)  # the others wait until it is written
        if failed:
            kept = f"the one of step {self.saved_step} is kept" if self.saved_step >= 0 else "there is none yet"
            self._warn(
                "checkpoint-failed",
                f"step {self.step}: the checkpoint could not be written ({problem}); {kept}",
                f"Make room on the disk of {self.folder}; the next try is in training.checkpoint_minutes.",
            )
            return
        self.saved_step = self.step
        self._tell({"event": "checkpoint", "step": self.step, "seconds": round(self._seconds(), 3)})

    # -- events -------------------------------------------------------------------------------------------------

    def _warn(self, code: str, message: str, remedy: str) -> None:
        event = {"event": "warning", "code": code, "step": self.step, "message": message, "remedy": remedy}
        self.warnings.append(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        """To the log and to whoever listens."""
        if not self.first:
            return
        if self.folder is not None:
            line = json.dumps(event) + "\n"
            try:
                with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(line)
                self.log_size += len(line.encode())
            except OSError:  # a full disk; the checkpoint says so
                pass
        if self.listen is not None:
            self.listen(event)

    def _start_log(self) -> None:
        if self.first and self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "log.jsonl").write_bytes(b"")

    def _trim_log(self) -> None:
        """Drop what the killed process logged after its last checkpoint: it will happen again."""
        if self.first and self.folder is not None:
            with (self.folder / "log.jsonl").open("ab") as log:
                log.truncate(min(self.log_size, log.tell()))
                self.log_size = log.tell()


class _Interrupt:
    """Ctrl-C or SIGTERM sets `seen`, so that the update in hand is finished; a second Ctrl-C breaks off at once."""

    seen = False

    def __enter__(self) -> _Interrupt:
        self.old: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self.old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True


def _check(config: TrainingConfig) -> None:
    if config.lr is None:
        raise ConfigError("no learning rate is set", "training.lr", "Set training.lr, for instance to 0.001.")
    if config.epochs is None and config.steps is None and config.minutes is None:
        raise ConfigError(
            "nothing says how long to train",
            "training.epochs, training.steps, training.minutes",
            "Set one of them, for instance training.epochs to 20.",
        )
    if config.precision == "fp16" and config.optimiser.casefold() == "lbfgs":
        raise ConfigError(
            "L-BFGS calls the loss several times an update, which fp16's loss scaling does not allow",
            "training.optimiser, training.precision",
            "Set training.precision to bf16 or fp32.",
        )


def _plain(finding: Any) -> dict[str, Any]:
    return {"code": finding.code, "severity": finding.severity, "message": finding.message, "remedy": finding.remedy}
