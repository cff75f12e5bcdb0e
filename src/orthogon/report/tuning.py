"""A study on one page: what was found, how surely, what mattered, and how each trial learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from orthogon.report import words
from orthogon.report.plots import _RC, BLUE, GRID, INK, MUTED, ORANGE, to_svg
from orthogon.report.render import render
from orthogon.run.folder import write_text
from orthogon.strategy.study import MARKS, STRATEGIES
from orthogon.strategy.tuning import QUARTERS, Row, Tuning

MOST_SCATTERS, MOST_AXES, MOST_CURVES = 6, 7, 40


def write_page(tuning: Tuning, path: Path) -> Path:
    """Write the study's page; a reader sees the old one or the new one."""
    write_text(path, page(tuning))
    return path


def page(tuning: Tuning) -> str:
    """The study as HTML."""
    best, done = tuning.row(tuning.best), tuning.ranking()
    counts = ", ".join(f"{number} {state}" for state, number in tuning.counts().items())
    how = f"{tuning.strategy}: {STRATEGIES[tuning.strategy]}; {tuning.budget}; {counts}. {_limits(tuning)}"
    shown: dict[str, Any] = {
        "title": f"Study {tuning.name}: {tuning.strategy}",
        "how": how.strip(),
        "verdict": tuning.verdict(),
        "notes": tuning.notes(),
        "settings": _settings(tuning, best),
        "mattered": bool(tuning.importance),
        "figures": [],
        "scatters": [],
        "curves": "",
        "shares": [f"{share:.0%}" for share in QUARTERS],
        "learned": [_learned(tuning, row) for row in [*done, *(r for r in tuning.rows if r.state == "stopped")]],
    }
    if len(done) > 1:
        if tuning.so_far:  # none where no trial keeps the limits
            shown["figures"].append(
                {
                    "svg": Markup(to_svg(best_so_far(tuning), "so-far", "Best error by number of trials")),
                    "text": "Grey: over random orders of the same trials, with the range of 95 % of them. "
                    "Blue: in the order they were made.",
                }
            )
        shown["figures"].append(
            {
                "svg": Markup(to_svg(parallel(tuning), "parallel", "Trials across parameters")),
                "text": "Each line is a trial, from its settings to its error; the best quarter in orange.",
            }
        )
        for i, key in enumerate(_telling(tuning)[:MOST_SCATTERS]):
            shown["scatters"].append(Markup(to_svg(scatter(tuning, key), f"by-{i}", f"Error by {key}")))
    if any(row.curve for row in tuning.rows):
        shown["curves"] = Markup(to_svg(curves(tuning), "learned", "Dev log-loss of every trial"))
    contents = (
        ("settings", "Settings"),
        ("search", "Search"),
        ("parameters", "Parameters"),
        ("curves", "Learning"),
        ("words", "Words"),
    )
    keys = {"settings": "settings", "search": "figures", "parameters": "scatters", "curves": "curves"}
    shown["sections"] = [(id, name) for id, name in contents if id not in keys or shown[keys[id]]]
    return render("tuning.html", shown)


def _limits(tuning: Tuning) -> str:
    return f"Limits: {'; '.join(tuning.limits)}." if tuning.limits else ""


def _settings(tuning: Tuning, best: Row | None) -> list[dict[str, str]]:
    if best is None or not tuning.rows:
        return []
    return [
        {
            "key": key,
            "first": value_text(tuning.rows[0].values.get(key)),
            "best": value_text(best.values.get(key)),
            "range": tuning.ranges.get(key, ""),
            "wall": "at an end" if key in tuning.walls else "",
            "share": f"{tuning.importance.get(key, 0):.0%}",
        }
        for key in _telling(tuning)
    ]


def _telling(tuning: Tuning) -> list[str]:
    """The parameters, the most important first."""
    return sorted(tuning.ranges, key=lambda key: -tuning.importance.get(key, 0.0))


def _learned(tuning: Tuning, row: Row) -> dict[str, Any]:
    losses = [row.at(share) for share in QUARTERS]
    return {
        "number": row.number,
        "error": tuning.show(row.error),
        "losses": ["–" if loss is None else words.number(loss) for loss in losses],
        "ended": row.why or row.state,
    }


def value_text(value: Any) -> str:
    return words.number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value or "–")


# -- figures ----------------------------------------------------------------------------------------------------


def best_so_far(tuning: Tuning) -> Figure:
    """The lowest error after k trials: in another order of the same trials, and in theirs."""
    spread = np.array(tuning.so_far)
    errors = [
        row.error for row in tuning.rows if row.state == "finished" and row.error is not None and not row.violation
    ]
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 2.9), layout="constrained")
        ax = figure.subplots()
        ax.set_title(f"Lowest {tuning.title} on dev")
        k = np.arange(1, len(spread) + 1)
        ax.fill_between(k, spread[:, 1], spread[:, 2], color=MUTED, alpha=0.18, linewidth=0)
        ax.plot(k, spread[:, 0], color=MUTED)
        ax.step(np.arange(1, len(errors) + 1), np.minimum.accumulate(errors), where="post", color=BLUE)
        ax.set_xlabel("trials")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _as_share(ax.yaxis, tuning)
    return figure


def parallel(tuning: Tuning) -> Figure:
    """Every finished trial as a line across the parameters and its error, the best quarter in colour."""
    rows = tuning.ranking()
    keys = _telling(tuning)[: MOST_AXES - 1]
    columns = [_placed([row.values.get(key) for row in rows], tuning.ranges[key]) for key in keys]
    errors = np.array([row.error for row in rows], float)
    columns.append((errors - errors.min()) / (np.ptp(errors) or 1.0))
    lines = np.stack(columns, axis=1)
    best = max(1, len(rows) // 4)
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 3.4), layout="constrained")
        ax = figure.subplots()
        ax.set_title("From settings to error")
        ax.grid(False)
        for place, line in reversed(list(enumerate(lines))):
            good = place < best
            ax.plot(line, color=ORANGE if good else GRID, linewidth=1.6 if good else 0.9, zorder=2 if good else 1)
        for x in range(len(columns)):
            ax.axvline(x, color=MUTED, linewidth=0.6)
        names = [key.rpartition(".")[2].replace("_", "\n") for key in keys]
        ax.set(xticks=range(len(columns)), xticklabels=[*names, "error"], yticks=[0, 1], yticklabels=["low", "high"])
        ax.tick_params("x", labelsize=8)
        ax.spines["left"].set_visible(False)
    return figure


def scatter(tuning: Tuning, key: str) -> Figure:
    """Error against one parameter, on the scale it was searched on."""
    rows = [row for row in tuning.ranking() if row.values.get(key) is not None]
    values = [row.values[key] for row in rows]
    law = tuning.ranges[key]
    numeric = all(isinstance(value, int | float) for value in values)
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 2.6), layout="constrained")
        ax = figure.subplots()
        ax.set_title(key)
        names = sorted({str(value) for value in values})
        x = [float(value) for value in values] if numeric else [float(names.index(str(value))) for value in values]
        if numeric and "1 - value" in law:
            x = [1 - value for value in x]
            ax.set_xlabel("1 − value")
        y = [float(row.error or 0.0) for row in rows]
        ax.plot(x, y, "o", color=BLUE, markersize=5, alpha=0.65, markeredgewidth=0)
        best = next((i for i, row in enumerate(rows) if row.number == tuning.best), None)
        if best is not None:
            ax.plot(x[best], y[best], "o", color=ORANGE, markersize=8)
        if not numeric:
            ax.set(xticks=range(len(names)), xticklabels=names, xlim=(-0.5, len(names) - 0.5))
        elif "log" in law and min(x) > 0:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.xaxis.set_minor_formatter(NullFormatter())
        elif "whole" in law:
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_ylim(bottom=0)
        _as_share(ax.yaxis, tuning)
    return figure


def curves(tuning: Tuning) -> Figure:
    """Dev log-loss of every trial along its training, the best in colour; one that was stopped ends early."""
    rows = [row for row in tuning.rows if row.curve][-MOST_CURVES:]
    best = tuning.row(tuning.best)
    losses = [loss for row in rows for loss in row.curve.values() if 0 < loss < 1e6]
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 3.2), layout="constrained")
        ax = figure.subplots()
        ax.set_title("Log-loss on dev")
        for row in sorted([*rows, *([best] if best is not None and best not in rows else [])], key=lambda r: r is best):
            points = sorted((int(mark) / MARKS, loss) for mark, loss in row.curve.items() if loss < 1e6)
            if not points:
                continue
            x, y = zip(*points, strict=True)
            colour = ORANGE if row is best else BLUE if row.number == 0 else INK
            main = row is best or row.number == 0
            ax.plot(
                x,
                y,
                color=colour,
                linewidth=1.8 if main else 0.8,
                alpha=1 if main else 0.3,
                marker="" if len(x) > 1 else ".",
            )
        if losses and max(losses) / min(losses) > 10:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("share of the training (orange: the best; blue: the first)")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
    return figure


def _placed(values: Sequence[Any], law: str) -> np.ndarray[Any, Any]:
    """Values as 0..1 along an axis, on the scale they were searched on; a choice by its name."""
    if not all(isinstance(value, int | float) or value is None for value in values):
        names = sorted({str(value) for value in values})
        found = np.array([names.index(str(value)) for value in values], float)
    else:
        found = np.array([np.nan if value is None else value for value in values], float)
        if "1 - value" in law:
            found = -np.log10(1 - found)
        elif "log" in law:
            found = np.log10(np.maximum(found, 1e-12))
    finite = found[np.isfinite(found)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    return (found - low) / ((high - low) or 1.0)


def _as_share(axis: Any, tuning: Tuning) -> None:
    if tuning.unit == "%":
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
