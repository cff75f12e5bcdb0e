"""Plots as pure functions of plain data: each returns a matplotlib Figure that needs no display.

`to_svg` makes a figure part of a page: its text stays text, its colours become the page's CSS variables (so that dark
mode and print work), its ids are unique. `to_png` writes the same figure as a picture.

Figures are drawn 380 points wide: readable on a phone at full width, two abreast on a desk.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from orthogon.report import words

# Okabe and Ito's colours, told apart by colour-blind readers; each hex also names a CSS variable of style.css.
INK, MUTED, GRID, PAPER = "#1e2630", "#5f6b78", "#dce1e6", "#fefefd"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#00805e", "#9a5b8f"
SERIES = (BLUE, ORANGE, GREEN, PURPLE)
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
}
HEAT = LinearSegmentedColormap.from_list("heat", [PAPER, BLUE, INK])
MAX_POINTS = 400  # of one curve: more cannot be seen at this width

_RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib; wider than any system font, so no label overflows
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class named "$x$" is a name
}


@contextmanager
def _any_letters() -> Iterator[None]:
    """A class's name may have letters or pictures that the font lacks: they are drawn as a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure, key: str, label: str) -> str:
    """The figure as inline SVG for one page.

    Args:
        key: unique within the page; prefixes every id.
        label: one sentence that says what is seen, for screen readers.
    """
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with rc_context({**_RC, "svg.hashsalt": key}), _any_letters():
        figure.savefig(buffer, format="svg", metadata=metadata, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.S)
    view_box = re.search(r'viewBox="([^"]+)"', svg)
    assert view_box is not None
    head = f'<svg role="img" viewBox="{view_box[1]}" class="plot"><title>{escape(label)}</title>'
    svg = re.sub(r"<svg\b[^>]*>", lambda _: head, svg, count=1)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{key}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{key}-', svg)
    svg = svg.replace("'DejaVu Sans'", "var(--font)")
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return re.sub(r"\s*\n\s*", "\n", svg)


def to_png(figure: Figure, path: Path, dpi: int = 144) -> Path:
    """Write the figure as a PNG, in the light colours; needs no display."""
    with rc_context(_RC), _any_letters():
        figure.savefig(path, format="png", dpi=dpi)
    return path


def _squeezed(line: str, most: int = 20) -> str:
    half = most // 2
    return line if len(line) <= most else f"{line[: half - 1]}…{line[-half:]}"


def varied_pictures(
    originals: NDArray[np.uint8],
    varied: NDArray[np.uint8],
    names: Sequence[str],
    notes: Sequence[Sequence[str]],
    title: str,
) -> Figure:
    """A row a picture: as it is, and beside it what training sees of it in its first epochs.

    Args:
        originals: (n, S, S, C), as the network gets them where nothing is varied.
        varied: (epochs, n, S, S, C).
        names: (n,) class of each.
        notes: (epochs, n) up to two lines under each, empty for nothing; a line that is too long loses its middle.
        title: what is done, in words.
    """
    n, columns = len(originals), 1 + len(varied)
    cell, gap, left, noted = 84, 8, 8, 22 if any(any(row) for row in notes) else 0
    lines = textwrap.wrap(title, 104)
    head = 46 + 14 * len(lines)
    width, height = left + columns * (cell + gap) + 2 * gap, head + n * (cell + 2 * gap + noted + 8) - gap
    with rc_context(_RC):
        figure = Figure(figsize=(width / 72, height / 72))
        figure.text(left / width, 1 - 8 / height, "What training sees", fontsize=12, weight="bold", va="top")
        figure.text(left / width, 1 - 27 / height, "\n".join(lines), fontsize=9, color=MUTED, va="top", linespacing=1.3)
        for row in range(n):
            top = head + row * (cell + 2 * gap + noted + 8)
            figure.text(left / width, 1 - (top - 3) / height, names[row], fontsize=9, weight="bold", va="bottom")
            for column in range(columns):
                start = left + column * (cell + gap) + (gap * 2 if column else 0)
                axes = figure.add_axes((start / width, 1 - (top + cell) / height, cell / width, cell / height))
                axes.set_axis_off()
                picture = originals[row] if column == 0 else varied[column - 1][row]
                grey = picture.shape[-1] == 1
                smooth = "nearest" if picture.shape[0] < cell else "antialiased"
                axes.imshow(picture[..., 0] if grey else picture, cmap="gray", vmin=0, vmax=255, interpolation=smooth)
                heading = "as it is" if column == 0 else f"epoch {column}"
                if row == 0 and column:
                    figure.text(start / width, 1 - (top - 3) / height, heading, fontsize=9, color=MUTED, va="bottom")
                if column and notes[column - 1][row]:
                    below = 1 - (top + cell + 2) / height
                    note = "\n".join(_squeezed(line) for line in notes[column - 1][row].splitlines())
                    figure.text(start / width, below, note, fontsize=7, color=MUTED, va="top")
    return figure


def learning_curves(
    history: Sequence[Mapping[str, Any]],
    error_title: str = "error",
    percent: bool = True,
    panels: Sequence[str] = ("loss", "error"),
    changes: Sequence[Mapping[str, Any]] = (),
) -> Figure:
    """Loss on train and dev, and the error on dev, while training went on.

    Args:
        history: rows with step or epoch and any of loss, dev_loss, dev_error.
        percent: the error is a share and shown times 100.
        panels: which of the two to draw; one without points is left out.
        changes: what was done to the run by hand (see `project.by_hand`): a line where, the settings beside it, and
            what was given up by going back, dotted.
    """
    time = "step" if any(row.get("step") is not None for row in history) else "epoch"
    losses = {"train": _series(history, time, "loss"), "dev": _series(history, time, "dev_loss")}
    errors = _series(history, time, "dev_error")
    there = {"loss": any(len(x) for x, _ in losses.values()), "error": len(errors[0]) > 0}
    panels = [panel for panel in panels if there[panel]]
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 0.6 + 2.2 * max(1, len(panels))), layout="constrained")
        axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
        for panel, ax in zip(panels, axes, strict=False):
            if panel == "loss":
                ax.set_title("Loss")
                _curves(ax, losses)
                _log_if_wide(ax, [y for _, y in losses.values()])
            else:
                x, y = errors
                best = int(np.argmin(y))
                lowest = f"{100 * y[best]:.3g} %" if percent else words.number(y[best])
                ax.set_title(f"{error_title[:1].upper()}{error_title[1:]} on dev, lowest {lowest}")
                ax.plot(x, y, color=ORANGE)
                ax.plot(x[best], y[best], "o", color=ORANGE, markersize=5)
                ax.set_ylim(bottom=0)
                if percent:
                    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
            if time == "step":
                _by_hand(ax, changes, "dev_loss" if panel == "loss" else "dev_error")
        axes[-1].set_xlabel(time)
        axes[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def _by_hand(ax: Axes, changes: Sequence[Mapping[str, Any]], value: str) -> None:
    """Where a run was changed on the way, and to what."""
    for place, change in enumerate(changes):
        x, y = _series(change.get("abandoned", ()), "step", value)
        if len(x):
            ax.plot(x, y, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
        ax.axvline(change["step"], color=PURPLE, linewidth=1, linestyle=(0, (4, 3)))
        told = [f"{key.rpartition('.')[2]} {new:g}" if isinstance(new, float) else f"{key.rpartition('.')[2]} {new}"
                for key, (_, new) in change["changed"].items()]  # fmt: skip
        if "rolled_back_from" in change:
            told.insert(0, f"back from {change['rolled_back_from']}")
        ax.annotate(
            "\n".join(told),
            (change["step"], 1),
            (4, -2 - 24 * (place % 3)),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=PURPLE,
            fontsize=8,
            va="top",
        )


def compare_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], value: str, title: str) -> Figure:
    """One quantity of several runs ("dev_error", "dev_loss", "loss") against the step; each line bears its name."""
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 2.9), layout="constrained")
        ax = figure.subplots()
        ax.set_title(title)
        lines = {name: _series(history, "step", value) for name, history in histories.items()}
        _curves(ax, lines)
        _log_if_wide(ax, [y for _, y in lines.values()])
        ax.set_xlabel("step")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def calibration(confidence: ArrayLike, correct: ArrayLike, low: ArrayLike, high: ArrayLike, count: ArrayLike) -> Figure:
    """How often answers are right against how sure they are; on the diagonal, sureness can be taken at its word.

    Args:
        confidence, correct: (bins,) mean confidence and share right. low, high: (bins,) interval of the share.
        count: (bins,) examples in each bin.
    """
    confidence, correct, low, high, count = (np.asarray(a, float) for a in (confidence, correct, low, high, count))
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 4.2), layout="constrained")
        ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        ax.set_title("Right, of answers this sure")
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        ax.text(1.0, 0.05, "on the dashed line: as often right as sure", color=MUTED, fontsize=9, ha="right")
        ax.errorbar(
            confidence,
            correct,
            [np.maximum(correct - low, 0), np.maximum(high - correct, 0)],
            fmt="o",
            color=BLUE,
            markersize=5,
            linewidth=1.2,
        )
        ax.set(xlim=(0, 1.02), ylim=(0, 1.05))
        below.set_title("Answers this sure", fontsize=9, fontweight="normal", color=MUTED)
        below.bar(confidence, count, width=0.05, color=BLUE)
        below.set_xlabel("confidence of the answer")
        below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
    return figure


def coverage(share: ArrayLike, error: ArrayLike, low: ArrayLike, high: ArrayLike) -> Figure:
    """Error among the surest share of cases: what is gained when the unsure rest goes to a person.

    Args:
        share: (n,) share of cases kept, rising. error, low, high: (n,) error among them and its interval.
    """
    x, y, below, above = (np.asarray(a, float) for a in (share, error, low, high))
    rows = _thin(len(x))
    x, y, below, above = x[rows], y[rows], below[rows], above[rows]
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 2.9), layout="constrained")
        ax = figure.subplots()
        ax.set_title("Error among the surest cases")
        ax.fill_between(x, below, above, color=BLUE, alpha=0.16, linewidth=0)
        ax.plot(x, y, color=BLUE)
        top = max(1e-3, 1.6 * float(np.nanmax(y)), float(above[-1]))  # a handful of cases has a huge interval: cut it
        ax.set(xlim=(0, 1), ylim=(0, min(top, 1.0)), xlabel="share of cases answered, surest first")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
    return figure


def agreement(truth: ArrayLike, answer: ArrayLike, unit: str = "") -> Figure:
    """Answers against true values, at most 1,000 points; on the diagonal they agree."""
    x, y = np.asarray(truth, float), np.asarray(answer, float)
    rows = np.linspace(0, len(x) - 1, min(len(x), 1000)).astype(int)
    x, y = x[rows], y[rows]
    ends = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 4.2), layout="constrained")
        ax = figure.subplots()
        ax.set_title("Answer against truth" + (f" ({unit})" if unit else ""))
        ax.plot(x, y, ".", color=BLUE, markersize=5, alpha=0.6, markeredgewidth=0)
        ax.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        ax.set(xlabel="truth", ylabel="answer")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))
    return figure


def ladder(rungs: Sequence[tuple[str, float, float, float]], title: str = "", percent: bool = True) -> Figure:
    """The error ladder as a picture: a bar with its interval for each rung, top to bottom.

    Args:
        rungs: (name, error, low, high) from the floor to test; NaN bounds where there is no interval.
    """
    factor, unit = (100.0, " %") if percent else (1.0, "")
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 0.7 + 0.42 * len(rungs)), layout="constrained")
        ax = figure.subplots()
        ax.set_title(title)
        ax.grid(False)
        ax.set(xticks=[], yticks=range(len(rungs)), yticklabels=[name for name, *_ in rungs])
        ax.tick_params("y", labelsize=10, labelcolor=INK)
        ax.spines["bottom"].set_visible(False)
        for y, (_, error, low, high) in enumerate(rungs):
            ax.barh(y, factor * error, height=0.55, color=BLUE)
            end = error
            if np.isfinite(low) and np.isfinite(high):
                ax.plot([factor * low, factor * high], [y, y], color=INK, linewidth=1.4)
                end = max(error, high)
            ax.annotate(
                f"{factor * error:.3g}{unit}", (factor * end, y), (5, 0), textcoords="offset points", va="center"
            )
        ax.invert_yaxis()
        ax.set_xlim(left=0)
        ax.margins(x=0.15)
    return figure


def importances(rows: Sequence[tuple[str, float, float, float]], title: str = "Error added when shuffled") -> Figure:
    """How much the metric worsens when each input is made useless, with intervals: (name, drop, low, high)."""
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 0.7 + 0.32 * len(rows)), layout="constrained")
        ax = figure.subplots()
        ax.set_title(title)
        ax.grid(axis="x")
        ax.grid(False, axis="y")
        ax.set(yticks=range(len(rows)), yticklabels=[name for name, *_ in rows])
        for y, (_, drop, low, high) in enumerate(rows):
            ax.barh(y, drop, height=0.6, color=BLUE)
            ax.plot([low, high], [y, y], color=INK, linewidth=1.2)
        ax.invert_yaxis()
    return figure


def two_distributions(
    first: Sequence[float],
    second: Sequence[float],
    edges: Sequence[float],
    levels: Sequence[str],
    title: str,
    unit: str = "",
    names: tuple[str, str] = ("train", "dev"),
) -> Figure:
    """Two histograms over each other, or the shares of each level side by side.

    Args:
        first, second: shares of each side. edges: of the bins; empty where `levels` name the shares.
    """
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 2.3 if len(edges) else 0.9 + 0.34 * len(levels)), layout="constrained")
        ax = figure.subplots()
        ax.set_title(title)
        if len(edges):
            for shares, colour, name in zip((first, second), (BLUE, ORANGE), names, strict=True):
                ax.stairs(shares, edges, color=colour, linewidth=1.6)
                ax.stairs(shares, edges, color=colour, alpha=0.18, fill=True, label=name)
            ax.set(yticks=[], xlim=(edges[0], edges[-1]))
            ax.grid(False)
            ax.spines["left"].set_visible(False)
            ax.xaxis.set_major_locator(MaxNLocator(5))
            if unit == "%":
                ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
            elif unit == "days since 1970":
                ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: str(np.datetime64(int(v), "D"))))
            elif unit:
                ax.set_xlabel(unit)
        else:
            places = np.arange(len(levels))
            for shares, colour, name, by in zip((first, second), (BLUE, ORANGE), names, (-0.2, 0.2), strict=True):
                ax.barh(places + by, shares, 0.36, color=colour, label=name)
            ax.set(yticks=places, yticklabels=levels)
            ax.invert_yaxis()
            ax.grid(False)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
        ax.legend(frameon=False, fontsize=9, loc="best")
    return figure


def image_pair(left: NDArray[Any], right: NDArray[Any], titles: tuple[str, str] = ("", "")) -> Figure:
    """Two pictures side by side, (H, W) or (H, W, 3), pixels kept crisp."""
    with rc_context(_RC):
        figure = Figure(figsize=(5.3, 3.3), layout="constrained")
        for ax, image, title in zip(figure.subplots(1, 2), (left, right), titles, strict=True):
            ax.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest")
            ax.set_title(title)
            ax.set_axis_off()
    return figure


def attention_map(heat: NDArray[Any], row_labels: Sequence[str], column_labels: Sequence[str]) -> Figure:
    """Which input (columns) each output (rows) looked at, (rows, columns) weights in 0..1."""
    rows, columns = heat.shape
    with rc_context(_RC):
        width = min(12.0, max(3.0, 0.8 + 0.24 * columns))
        figure = Figure(figsize=(width, min(12.0, max(2.0, 0.8 + 0.24 * rows))), layout="constrained")
        ax = figure.subplots()
        ax.imshow(heat, cmap=HEAT, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.grid(False)
        ax.set(xticks=range(columns), xticklabels=list(column_labels), yticks=range(rows), yticklabels=list(row_labels))
        ax.tick_params("x", labeltop=True, labelbottom=False)
    return figure


def _series(history: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The finite points of one curve, thinned to what can be seen."""
    found = [(row[x], row[y]) for row in history if row.get(x) is not None and row.get(y) is not None]
    points = np.array(found, float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    points = points[_thin(len(points))]
    return points[:, 0], points[:, 1]


def _thin(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, MAX_POINTS)).round().astype(np.int64))


def _curves(
    ax: Axes, lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], colours: Sequence[str] = SERIES
) -> None:
    """Lines that bear their names at their right ends, pushed apart where they would overlap; no legend."""
    ends: list[tuple[float, str, str]] = []
    for i, (name, (x, y)) in enumerate(lines.items()):
        if not len(x):
            continue
        colour = colours[i % len(colours)]
        style = "-" if i < len(colours) else (0, (5, 2))
        ax.plot(x, y, color=colour, linestyle=style, marker="o" if len(x) == 1 else None)
        ends.append((float(y[-1]), name, colour))
    ends.sort()
    for rank, (y_end, name, colour) in enumerate(ends):
        shift = 11 * (rank - (len(ends) - 1) / 2) if len(ends) > 1 else 0
        ax.annotate(
            name,
            (1, y_end),
            (6, shift),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
        )


def _log_if_wide(ax: Axes, ys: Sequence[NDArray[np.float64]]) -> None:
    """A loss that falls a hundredfold says more on a logarithmic axis."""
    values = np.concatenate([y for y in ys if len(y)]) if any(len(y) for y in ys) else np.array([])
    if len(values) and values.min() > 0 and values.max() / values.min() > 50:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.minorticks_off()
    elif len(values) and values.min() >= 0:
        ax.set_ylim(bottom=0)
