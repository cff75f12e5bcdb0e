"""What a training gives back."""

from __future__ import annotations

from dataclasses import dataclass

from orthogon.training.journal import Event
from orthogon.training.state import Status


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

    def event(self) -> Event:
        """The last thing a training tells."""
        return {
            "event": "end",
            "status": self.status,
            "step": self.steps,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "best_step": self.best_step,
            **{f"dev_{name}": value for name, value in self.best.items()},
        }
