"""An ensemble of runs, and what averaging their answers brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.api.figures import error_of, figure_of, real_difference
from orthogon.api.run import Run
from orthogon.api.verbs import load
from orthogon.errors import UsageError
from orthogon.metrics.intervals import against_mean
from orthogon.shown import Shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from orthogon.project.project import Listener


def ensemble(
    runs: Sequence[int | str | Path | Run], *, project: str | Path | None = None, listen: Listener | None = None
) -> Run:
    """A run that answers with the mean of what these runs answer; it holds their weights and needs them no more.

    Args:
        runs: two or more finished runs of one project: numbers, folders, or what `load` gave.
        listen: called with an event (dict) at every stage.
    Raises:
        UsageError, RunError: they cannot be averaged; says which run, and why.
    """
    members = [each if isinstance(each, Run) else load(str(each), project=project) for each in runs]
    if not members:
        raise UsageError("no run is named", "", "For instance: orthogon ensemble 1 2 3")
    return Run(members[0].project.ensemble(members, listen).folder)


class Averaged(Shown):
    """An ensemble beside its members: each one's dev error, their mean, and what averaging the answers brings.

    Raises:
        RunError: a member is gone.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.metric = run, run.metric
        judged = run.judged_split
        members = [Run(run.project.run(name).folder) for name in run.members]
        scores = [member.scores(judged) for member in members]
        self.members = {member.id: error_of(each, self.metric) for member, each in zip(members, scores, strict=True)}
        self.whole = error_of(run.scores(judged), self.metric)
        self.mean = float(np.mean([figure.value for figure in self.members.values()]))
        self.gain = figure_of(against_mean(run.scores(judged), scores, self.metric))

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run.id,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "members": [{"run": name, **vars(figure)} for name, figure in self.members.items()],
            "mean_member": self.mean,
            "ensemble": vars(self.whole),
            "difference": vars(self.gain),
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        from orthogon.report import words

        unit = self.metric.unit
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        table.add_column("dev error", justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
        for name, figure in self.members.items():
            table.add_row(f"run {name}", self.metric.show(figure.value), words.span(figure.low, figure.high, unit))
        table.add_row("mean member", self.metric.show(self.mean), "")
        span = words.span(self.whole.low, self.whole.high, unit)
        table.add_row(f"ensemble, run {self.run.id}", self.metric.show(self.whole.value), span)
        yield table
        gain = self.gain
        yield (
            f"Ensemble against the mean member: {words.gap(gain.value, unit)} "
            f"{words.span(gain.low, gain.high, unit)}, {real_difference(gain.low, gain.high)}."
        )
