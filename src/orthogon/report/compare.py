"""Several runs on one page: who is better and how surely, what changed, the ladders and curves side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from orthogon.report import plots, words
from orthogon.report.bars import RUNG_NAMES, TONES, Bar, Value, bars
from orthogon.report.data import Figure, ReportData
from orthogon.report.page import flatten, render
from orthogon.run.folder import write_text

FACTS = ("seed", "fingerprint", "parameters", "steps", "seconds", "network")  # of run.json, shown where they differ
MAX_CHANGES = 60
CURVES = (("loss", "Loss on train"), ("dev_loss", "Loss on dev"), ("dev_error", "Error on dev"))


def compare_page(runs: Sequence[ReportData], differences: Sequence[Figure | None] = ()) -> str:
    """The comparison as HTML.

    Args:
        runs: two or more runs with one measure; the first is what the others are compared with.
        differences: for each run after the first, its dev error minus the first's, paired on the same examples; None
            where they cannot be paired.
    """
    names = _names(runs)
    unit = runs[0].measure.unit
    dev = [rung for run in runs if (rung := _rung(run, "dev"))]
    shown: dict[str, Any] = {
        "title": " and ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} other runs",
        "names": names,
        "measure_title": runs[0].diagnosis.title if runs[0].diagnosis else runs[0].measure.title,
        "dev": bars(
            [
                Value(name, r.value, r.low, r.high)
                for name, run in zip(names, runs, strict=True)
                if (r := _rung(run, "dev"))
            ],
            unit,
        )
        if dev
        else [],
        "verdicts": [
            _verdict(names[0], name, difference, unit)
            for name, difference in zip(names[1:], differences, strict=False)
            if difference is not None
        ],
        "warning": _warning(runs),
        "changes": _changes(runs)[:MAX_CHANGES],
        "rungs": _rungs(runs, names, unit),
        "gaps": _gaps(runs, unit),
        "curves": _curves(runs, names),
    }
    contents = (("changes", "What changed"), ("ladder", "Ladders"), ("curves", "Learning"), ("words", "Words"))
    keys = {"changes": "changes", "ladder": "rungs", "curves": "curves"}
    shown["sections"] = [(id, name) for id, name in contents if id not in keys or shown[keys[id]]]
    return render("compare.html", shown)


def write_comparison(runs: Sequence[ReportData], path: Path, differences: Sequence[Figure | None] = ()) -> Path:
    """Write the comparison; a reader sees the old page or the new one."""
    write_text(path, compare_page(runs, differences))
    return path


def _names(runs: Sequence[ReportData]) -> list[str]:
    """Run ids, with the project where several projects meet."""
    one = len({run.project for run in runs}) == 1
    return [run.run if one else f"{run.project}/{run.run}" for run in runs]


def _rung(run: ReportData, name: str) -> Any:
    return next((r for r in run.diagnosis.rungs if r.name == name), None) if run.diagnosis else None


def _verdict(first: str, other: str, difference: Figure, unit: str) -> str:
    size = f"{words.gap(abs(difference.value), unit).lstrip('+')}"
    span = words.span(difference.low, difference.high, unit)
    if difference.high < 0:
        return f"{other} is better than {first} by {size} {span}, measured on the same dev examples."
    if difference.low > 0:
        return f"{other} is worse than {first} by {size} {span}, measured on the same dev examples."
    return f"{other} and {first} cannot be told apart: they differ by {words.gap(difference.value, unit)} {span}."


def _warning(runs: Sequence[ReportData]) -> str:
    prints = {str(run.info["fingerprint"]) for run in runs if run.info.get("fingerprint")}
    if len({run.measure.name for run in runs}) > 1:
        return "These runs were judged by different metrics; their errors do not compare."
    if len(prints) > 1:
        return "The data changed between these runs; a difference may come from that alone."
    return ""


def _changes(runs: Sequence[ReportData]) -> list[tuple[str, list[str]]]:
    """Settings and facts that are not the same in all runs."""
    tables = []
    for run in runs:
        facts = {key: run.info[key] for key in FACTS if key in run.info}
        tables.append(dict(flatten(run.config)) | {f"run.{key}": value for key, value in flatten(facts)})
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = [(key, [table.get(key, "–") for table in tables]) for key in keys]
    return [(key, cells) for key, cells in rows if len(set(cells)) > 1]


def _rungs(runs: Sequence[ReportData], names: Sequence[str], unit: str) -> list[dict[str, Any]]:
    """For each rung that some run has, a bar a run; one scale for all."""
    values: list[Value] = []
    place: list[str] = []
    for rung_name in RUNG_NAMES:
        for name, run in zip(names, runs, strict=True):
            rung = _rung(run, rung_name)
            if rung is not None and rung_name != "floor":
                values.append(Value(name, rung.value, rung.low, rung.high))
                place.append(rung_name)
    grouped: dict[str, list[Bar]] = {}
    for rung_name, row in zip(place, bars(values, unit), strict=True):
        grouped.setdefault(rung_name, []).append(row)
    return [{"name": RUNG_NAMES[name], "word": name.replace("_", "-"), "rows": rows} for name, rows in grouped.items()]


def _gaps(runs: Sequence[ReportData], unit: str) -> list[dict[str, Any]]:
    names = dict.fromkeys(gap.name for run in runs if run.diagnosis for gap in run.diagnosis.gaps)
    table = []
    for name in names:
        cells = []
        for run in runs:
            gap = run.diagnosis.gap(name) if run.diagnosis else None
            cells.append(
                gap
                and {
                    "value": words.gap(gap.value, unit),
                    "span": words.span(gap.low, gap.high, unit),
                    "verdict": gap.verdict,
                    "tone": TONES.get(gap.verdict, ""),
                }
            )
        table.append({"name": name, "cells": cells})
    return table


def _curves(runs: Sequence[ReportData], names: Sequence[str]) -> list[Markup]:
    histories = {name: run.history for name, run in zip(names, runs, strict=True)}
    drawn = []
    for value, title in CURVES:
        there = any(
            row.get(value) is not None and math.isfinite(row[value])
            for history in histories.values()
            for row in history
        )
        if there:
            figure = plots.compare_curves(histories, value, title)
            drawn.append(Markup(plots.to_svg(figure, f"curve-{value}", f"{title} of each run")))
    return drawn
