"""What more data, or a wider network, would bring: the learning curve as a section of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from orthogon.report import plots, words

if TYPE_CHECKING:
    from orthogon.strategy.curve import LearningCurve

TITLES = {"data": "What more data would bring", "width": "What a wider network would bring"}


def section(curves: Sequence[LearningCurve]) -> list[dict[str, Any]]:
    """A plot and its sentences for each curve; empty where none was drawn."""
    return [
        {
            "title": TITLES[curve.by],
            "plot": Markup(plots.to_svg(growth(curve), f"growth-{curve.by}", label_of(curve))),
            "sentences": curve.sentences(),
            "rows": [_row(curve, times) for times in (h.times for h in curve.horizons)],
        }
        for curve in curves
        if len(curve.points) > 1
    ]


def label_of(curve: LearningCurve) -> str:
    """What the plot shows, for screen readers."""
    against = "the number of training examples" if curve.by == "data" else "the network's width"
    return f"{curve.title} on dev against {against}, with the forecast. {curve.sentences()[0]}"


def _row(curve: LearningCurve, times: float) -> dict[str, str]:
    horizon = next(h for h in curve.horizons if h.times == times)
    size = words.number(horizon.n) if curve.by == "data" else f"{horizon.n:g} x"
    return {
        "times": f"{times:g} times" + ("" if horizon.tested else ", indicative"),
        "size": size,
        "least": words.gain(max(0.0, horizon.least), curve.unit),
        "likely": words.gain(horizon.gain, curve.unit),
        "most": words.gain(horizon.most, curve.unit),
        "error": f"{words.error(horizon.likely, curve.unit)} {words.span(horizon.low, horizon.high, curve.unit)}",
    }


def growth(curve: LearningCurve) -> Figure:
    """Measured points, each training faint; the forecast as a band that is paler where it is only indicative."""
    points = [point for point in curve.points if point.error > 0]
    n = np.array([point.n for point in points])
    with rc_context(plots._RC):
        figure = Figure(figsize=(5.3, 3.1), layout="constrained")
        ax = figure.subplots()
        ax.set_xscale("log")
        ax.set_yscale("log")
        for point in points:
            shown = [error for error in point.errors if error > 0]
            ax.plot([point.n] * len(shown), shown, "o", color=plots.BLUE, markersize=3, alpha=0.35)
        ax.plot(n, [point.error for point in points], "o-", color=plots.BLUE, markersize=5)
        ax.annotate("dev", (n[0], points[0].error), (4, 6), textcoords="offset points", color=plots.BLUE)
        train = [(point.n, point.train_error) for point in points if point.train_error]
        lowest = min([min(point.errors) for point in points if min(point.errors) > 0], default=0.0) / 4
        train = [(x, y) for x, y in train if y >= lowest]
        if len(train) > 1:
            ax.plot(*zip(*train, strict=True), color=plots.ORANGE, linewidth=1.2)
            ax.annotate("train", train[-1], (4, -10), textcoords="offset points", color=plots.ORANGE)
        ticks = [*n[[0, len(n) // 2, -1]]]
        if curve.forecast is not None and curve.forecast.bands:
            bands = np.array(curve.forecast.bands)
            x = curve.forecast.n * bands[:, 0]
            near = bands[:, 0] <= 2.01
            for rows, alpha in ((near, 0.28), (~near | (np.cumsum(near) == near.sum()), 0.13)):
                ax.fill_between(x[rows], bands[rows, 1], bands[rows, 3], color=plots.BLUE, alpha=alpha, linewidth=0)
            ax.plot(x, bands[:, 2], color=plots.BLUE, linestyle=(0, (4, 3)))
            for horizon in curve.horizons:
                if horizon.times not in (2.0, curve.horizons[-1].times):
                    continue
                ax.plot([horizon.n], [horizon.likely], "o", color=plots.BLUE, markerfacecolor=plots.PAPER, markersize=6)
                told, first = words.error(horizon.likely, curve.unit), horizon.times == 2
                ax.annotate(  # one above its interval, one below: two abreast would touch
                    f"{horizon.times:g}x: {told}",
                    (horizon.n, horizon.high if first else horizon.low),
                    (0, 5 if first else -13),
                    textcoords="offset points",
                    ha="center" if first else "right",
                    fontsize=9,
                )
                ticks.append(horizon.n)
        ax.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if curve.by == "data" else f"{v:.2g}x"))
        low, high = ax.get_ylim()
        ax.yaxis.set_major_locator(FixedLocator(_nice(low, high)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(
            FuncFormatter(lambda v, _: f"{100 * v:.3g} %" if curve.unit == "%" else words.number(v))
        )
        ax.set_xlabel("training examples" if curve.by == "data" else "times the run's width")
        ax.set_title(f"{curve.title[:1].upper()}{curve.title[1:]} on dev")
    return figure


def _nice(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten between two limits; more of them where these are few."""
    for steps in ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        found = [
            step * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) >= 3:
            return found
    return found or [low, high]


__all__ = ["growth", "section"]
