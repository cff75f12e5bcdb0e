"""Runs side by side: errors, what changed, and whether the difference is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.api.figures import error_of, real_difference, yardstick
from orthogon.api.known import near
from orthogon.api.run import Run
from orthogon.api.verbs import load
from orthogon.errors import UsageError, did_you_mean
from orthogon.metrics.intervals import gap_interval
from orthogon.metrics.select import Candidate, Selection, select
from orthogon.project.config import differences, parse
from orthogon.report.data import Figure
from orthogon.run.cost import figures_of
from orthogon.run.folder import write_text
from orthogon.shown import Shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


def compare(names: Sequence[str], *, project: str | Path | None = None, metric: str | None = None) -> Comparison:
    """Runs side by side on the dev set they share, and one page that shows them.

    Args:
        metric: judges all of them; each by its own if None, and then they are ranked only when that is the same.
    Raises:
        UsageError: fewer than two runs, or one of them twice; or a task of theirs does not have that metric.
    """
    runs = [load(name, project=project) for name in names]
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        what = "one run cannot be compared" if len(runs) < 2 else "a run cannot be compared with itself"
        raise UsageError(what, " ".join(names), "Name two: orthogon compare 1 2")
    for run in runs:
        known = run.task().metrics()
        if metric is not None and metric not in known:
            what = f'"{metric}" is not a metric of run {run.id}'
            raise UsageError(what, "--metric", did_you_mean(metric, known))
        run.judged_by = metric
    today = {run.project.corrections(run.project.read(parse(run.config))) for run in runs if run.examples is not None}
    if {run.info.get("labels", "") for run in runs} | today != {runs[0].info.get("labels", "")} and len(today) == 1:
        for run in runs:
            run.judged_today = True
    return Comparison(runs)


class Comparison(Shown):
    """Runs beside the first of them: errors, what changed, and whether the difference is real.

    selection: the ranking, by the one metric and the limits of the newest run; None where the runs were judged by
        different metrics, whose errors do not compare. refused: then, why and what to do.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        first = self.runs[0]
        self.rows: list[dict[str, Any]] = []
        for run in self.runs:
            metric, error = run.metric, error_of(run.scores("dev"), run.metric)
            row: dict[str, Any] = {
                "run": run.id,
                "metric": metric.name,
                "error": error.value,
                "low": error.low,
                "high": error.high,
                "parameters": run.info["parameters"],
                "seconds": run.info["seconds"],
                "changed": {k: list(v) for k, v in differences(first.config, run.config).items()},
            }
            alike = yardstick(run, metric) == yardstick(first, first.metric)
            if run is not first and alike and np.array_equal(run.scores("dev").ids, first.scores("dev").ids):
                gap = gap_interval(first.scores("dev"), run.scores("dev"), metric, paired=True)
                row |= {"difference": gap.value, "gap_low": gap.low, "gap_high": gap.high}
            self.rows.append(row)
        self.selection, self.refused = self._ranked()

    def judged(self) -> str:
        """By which labels, where some were corrected since a run was trained."""
        today = self.runs[0].project.corrections(self.runs[0].project.read(parse(self.runs[0].config)))
        old = [run for run in self.runs if run.info.get("labels", "") != today]
        own = ", ".join(f"run {run.id} {run.metric.show(run.info['dev_error'])}" for run in old if not run.judged_by)
        by_then = f" By the labels they were trained on: {own}." if own else ""
        return f"Labels were corrected since: all runs are judged by the labels of today.{by_then}"

    def _ranked(self) -> tuple[Selection | None, str]:
        """The ranking, or why there is none. The same in whatever order the runs were named."""
        runs = sorted(self.runs, key=lambda run: (run.info["created"], run.id))
        yardsticks = [yardstick(run, run.metric) for run in runs]
        if len(set(yardsticks)) > 1:
            judged = ", ".join(f"{run.id} by {run.metric.error_title}" for run in runs)
            shared = set.intersection(*(set(run.task().metrics()) for run in runs))
            same = [
                name
                for name in runs[0].task().metrics()
                if name in shared and len({yardstick(run, run.task().metrics()[name]) for run in runs}) == 1
            ]
            names = " ".join(str(int(run.id)) for run in runs)
            remedy = "Train them with one metrics.optimise, on one task."
            if same:
                remedy = f"Judge all by one: orthogon compare {names} --metric {same[0]}"
            return None, f"Not ranked: their errors do not compare ({judged}). {remedy}"
        metric, limits = runs[-1].metric, runs[-1].config["metrics"]["satisfice"]
        candidates = [Candidate(run.id, figures_of(run, {metric.name, *limits})) for run in runs]
        found = select(candidates, metric.name, limits, higher_is_better=metric.higher_is_better, unit=metric.unit)
        if any(run.config["metrics"]["satisfice"] != limits for run in runs):
            kept = "; ".join(f"{name} {text}" for name, text in limits.items()) or "none"
            found = replace(found, reason=f"{found.reason} Limits are those of run {runs[-1].id}, the newest: {kept}.")
        return found, ""

    def write(self) -> Path:
        """The page that shows the runs side by side, in the newest run's derived/ folder."""
        from orthogon.report.compare import compare_page

        path = self.runs[-1].derived / f"compare-{'-'.join(run.id for run in self.runs)}.html"
        differences = [
            Figure(row["difference"], row["gap_low"], row["gap_high"]) if "difference" in row else None
            for row in self.rows[1:]
        ]
        write_text(path, compare_page([run.report_data() for run in self.runs], differences))
        return path

    def to_dict(self) -> dict[str, Any]:
        selection = self.selection and self.selection.to_dict()
        judged = self.judged() if self.runs[0].judged_today else ""
        return {
            "runs": self.rows,
            "selection": selection,
            "refused": self.refused,
            "labels": judged,
            "page": str(self.write()),
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        from orthogon.report import words

        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("run")
        if self.selection is None:
            table.add_column("metric")
        table.add_column("dev error", justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
        table.add_column("against the first", justify="right", no_wrap=True)
        table.add_column("")
        changes = []
        for run, row in zip(self.runs, self.rows, strict=True):
            gap, real, unit = "", "", run.metric.unit
            if "difference" in row:
                real = real_difference(row["gap_low"], row["gap_high"])
                span = words.span(row["gap_low"], row["gap_high"], unit)
                gap = f"{words.gap(row['difference'], unit)} {span}"
            changed = ", ".join(f"{key} {old} → {new}" for key, (old, new) in row["changed"].items())
            error, span = run.metric.show(row["error"]), words.span(row["low"], row["high"], unit)
            judged = [run.metric.error_title] if self.selection is None else []
            table.add_row(row["run"], *judged, error, span, gap, real)
            if run is not self.runs[0]:
                changes.append(f"Run {row['run']} against run {self.runs[0].id}: {changed or 'the same config'}")
        yield table
        yield from map(Text, changes)
        if self.runs[0].judged_today:
            yield Text(self.judged())
        yield Text(self.refused if self.selection is None else self.selection.reason)
        yield f"Side by side: {near(self.write())}"
