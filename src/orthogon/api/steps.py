"""The next steps of a run, which can be taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from orthogon.api.advise import advise
from orthogon.api.run import Run
from orthogon.errors import UsageError
from orthogon.project.config import parse, put
from orthogon.run.folder import write_json
from orthogon.shown import Shown
from orthogon.strategy import advice

if TYPE_CHECKING:
    from orthogon.project.project import Listener


@dataclass(frozen=True)
class Step(Shown, advice.Step):
    """A ranked next step of a run, which can be taken."""

    run: Run | None = None

    def __rich__(self) -> Any:
        from orthogon.report.terminal import next_steps

        return next_steps([self], unit=self.run.metric.unit if self.run is not None else "%")

    def take(self, listen: Listener | None = None) -> tuple[Run, advice.Outcome]:
        """Train a new run with this step's change; (the run, its outcome beside what was expected).

        Raises:
            UsageError: the step is one that only a person can take.
        """
        assert self.run is not None
        if not self.overrides:
            raise UsageError(
                f'step {self.number}, "{self.title}", is yours to take', "--take", f"What it needs: {self.reason}"
            )
        values = json.loads(json.dumps(self.run.config))
        for key, value in self.overrides.items():
            put(values, key, value)
        made = self.run.project.train(
            parse(values),
            parent=self.run.id,
            knob=self.knob,
            expected=self.gain_at_most._asdict(),
            listen=listen,
        )
        child = Run(made.folder)
        if not child.finished:
            return child, advice.Outcome.unfinished(self)
        outcome = advice.measure_step(
            {name: self.run.scores(name) for name in self.run.splits()},
            {name: child.scores(name) for name in child.splits()},
            child.metric,
            self,
        )
        write_json(child.derived / "outcome.json", outcome.to_dict())
        child.project.log("step taken", run=child.id, parent=self.run.id, **outcome.to_dict())
        return child, outcome


def next_steps(run: Run, k: int = 3, disappoints: bool = False) -> list[Step]:
    """Up to k steps that aim at the largest material gap, ranked, and the ideas of the logbook among them.

    Args:
        disappoints: those who use it are not content, whatever dev says. Where train, dev and test hold, the steps are
            then to move the dev set or the cost.
    """
    names = [f.name for f in fields(advice.Step)]
    return [Step(**{name: getattr(step, name) for name in names}, run=run) for step in advise(run, k, disappoints)]


def pick(steps: Sequence[Step], number: int) -> Step:
    """Step `number` of the list.

    Raises:
        UsageError: there is no such step.
    """
    for step in steps:
        if step.number == number:
            return step
    remedy = f"Choose 1 to {len(steps)}." if steps else "This run has no next step: orthogon next says why."
    raise UsageError(f"there is no step {number}", "--take", remedy)
