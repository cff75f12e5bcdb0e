"""What a checkpoint holds: where a training stands, as plain values, beside the learner's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from orthogon.errors import RunError
from orthogon.training import distributed
from orthogon.training.journal import Event
from orthogon.training.learner import Learner

Status = Literal["finished", "patience", "interrupted", "budget"]


@dataclass
class Progress:
    """Where a training stands. JSON-able but for `since_log`, whose sum is a tensor on an accelerator."""

    step: int = 0  # updates done
    epoch: int = 1
    position: int = 0  # batches done in this epoch
    total_steps: int = 0
    look_again: int = 0  # after which update to look at the clock again; 0: not at all
    pace: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # what that look starts from
    ends_as: Status = "finished"  # once all of them are done
    status: Status | None = None  # None while it goes on
    best_step: int | None = None
    best: dict[str, float] = field(default_factory=dict)  # dev figures there
    bad_evaluations: int = 0  # since the best
    history: list[Event] = field(default_factory=list)
    warnings: list[Event] = field(default_factory=list)
    since_log: list[Any] = field(default_factory=lambda: [0.0, 0.0])  # summed loss and count
    since_evaluation: list[float] = field(default_factory=lambda: [0.0, 0.0])
    seconds: float = 0.0  # of the processes before this one; in a checkpoint, of all
    log_size: int = 0  # bytes of log.jsonl, in a checkpoint

    def fold(self) -> None:
        """Count the losses since the last logged step towards the next evaluation's."""
        self.since_evaluation = [
            float(a) + float(b) for a, b in zip(self.since_evaluation, self.since_log, strict=True)
        ]
        self.since_log = [0.0, 0.0]

    def event(self, kind: str, losses: Sequence[Any], lr: float, seconds: float) -> Event:
        """What a "step" and an "evaluation" have in common.

        Args:
            losses: their sum and count.
        """
        total, count = losses
        return {
            "event": kind,
            "step": self.step,
            "total_steps": self.total_steps,
            "epoch": self.epoch,
            "loss": float(total) / count if count else 0.0,
            "lr": lr,
            "seconds": round(seconds, 3),
        }


def capture(progress: Progress, learner: Learner, seed: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, JSON-able state): all that the rest of the training depends on."""
    tensors, state = learner.state()
    return tensors, {
        **vars(progress),
        **state,
        "since_log": [float(total) for total in progress.since_log],
        "config": learner.config.model_dump(mode="json"),
        "lr": learner.lr,
        "seed": seed,
        "processes": distributed.world(),
    }


def take_back(tensors: Mapping[str, Tensor], state: Mapping[str, Any], learner: Learner, folder: Path) -> Progress:
    """Give the learner what `capture` took from another; the training goes on, also where it was interrupted.

    Raises:
        RunError: it is of another network or optimiser.
    """
    try:
        learner.load_state(tensors, state)
        progress = Progress(**{each.name: state[each.name] for each in fields(Progress) if each.name in state})
    except (KeyError, ValueError, RuntimeError) as error:
        raise RunError(
            f"the checkpoint of step {state['step']} does not fit this network and optimiser: {error}",
            str(folder / "checkpoint"),
            "Resume with the config the run was started with, or start a new run: orthogon train",
        ) from error
    if progress.status == "interrupted":
        progress.status = None
    return progress


def changed_since(state: Mapping[str, Any], learner: Learner) -> str:
    """What is set otherwise than when the checkpoint was written, in words; empty if nothing is."""
    mine, saved = learner.config.model_dump(mode="json"), state["config"]
    changed = [f"training.{key}" for key in sorted(mine) if key in saved and mine[key] != saved[key]]
    if state["processes"] != distributed.world():
        changed.append("number of processes")
    return ", ".join(changed)
