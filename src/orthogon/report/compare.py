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
from orthogon.report.render import flatten, render
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
    dev = [
        Value(name, rung.value, rung.low, rung.high, tone=_series(i))
        for i, (name, run) in enumerate(zip(names, runs, strict=True))
        if (rung := run.rung("dev"))
    ]
    shown: dict[str, Any] = {
        "title": _title(runs, names),
        "names": names,
        "measure_title": runs[0].error_title,
        "dev": bars(dev, unit),
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


def _title(runs: Sequence[ReportData], names: Sequence[str]) -> str:
    together = " and ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} other runs"
    return f"{runs[0].project}: runs {together}" if len({run.project for run in runs}) == 1 else together


def _verdict(first: str, other: str, difference: Figure, unit: str) -> str:
    word = "better" if difference.high < 0 else "worse" if difference.low > 0 else ""
    if word:
        size = words.gap(abs(difference.value), unit).lstrip("+")
        low, high = sorted((abs(difference.low), abs(difference.high)))
        span = words.span(low, high, unit)
        return f"{other} is {word} than {first} by {size} {span}, measured on the same dev examples."
    span = words.span(difference.low, difference.high, unit)
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


def _rungs(runs: Sequence[ReportData], names: Sequence[str], unit: str) -> list[Bar]:
    """For each rung that some run has, a bar a run; one scale for all."""
    values = []
    for rung_name in list(RUNG_NAMES)[1:]:
        title = RUNG_NAMES[rung_name]
        for i, run in enumerate(runs):
            rung = run.rung(rung_name)
            if rung is not None:
                values.append(Value(title, rung.value, rung.low, rung.high, note=names[i], tone=_series(i)))
                title = ""
    return bars(values, unit)


def _series(i: int) -> str:
    """The colour of a run, the same in bars and curves."""
    return f"s{i % len(plots.SERIES)}"


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
