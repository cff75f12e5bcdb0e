"""Learning curves: the error against the number of training examples, or against the network's width.

Nested, stratified, group-aware shares of train are trained on, a few resamples each, all with the run's own number of
updates and without any choice by the set they are scored on; `forecast` continues the curve as far as its own past
shows that it can be foretold. Answers "what would twice the data bring" as at least / likely / at most, or says why
not: too few points, an error that does not fall, a training that was not over, a network that does not fit what it has.

Trainings are trials of the project: made once, kept, and read again after a kill.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from orthogon.errors import UsageError
from orthogon.metrics.score import significant, with_unit
from orthogon.shown import Shown, plain
from orthogon.strategy.diagnosis import about, smallest_worth_acting_on
from orthogon.strategy.forecast import (
    LEARNED,
    LEVEL,
    BackTest,
    Forecast,
    Horizon,
    Point,
    Prior,
    forecast,
    noise_of_one,
)
from orthogon.strategy.knobs import read, still_falling

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from orthogon.metrics.score import Metric
    from orthogon.project.trial import Recipe, Trial, Trials

SHARES = (0.1, 0.15, 0.22, 0.33, 0.5, 0.7, 1.0)
WIDTHS = (0.125, 0.18, 0.25, 0.35, 0.5, 0.71, 1.0)
WIDTH_KEYS = ("task.width", "task.hidden_size", "task.encoder_size", "task.decoder_size")
RESAMPLES = 3
FEWEST_POINTS = 5
FEWEST_EXAMPLES = 10
MEASURED_TRAIN = 2000  # examples of its own that a training of the curve is measured on
CHECKS = 20  # evaluations of a training, to see whether its loss still fell
NOT_FALLING = 0.01  # p-value of "the error falls with every point" below which it does not
NEAR_TRAIN = 0.8  # share of the dev error from which on the train error leaves data little to bring

By = Literal["data", "width"]
Ids = NDArray[np.int64]
Listen = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Measured:
    """One point: trainings on n examples (or at n times the width).

    errors, train_errors: one a resample, on dev and on (a sample of) what it was trained on. parameters: of the
    network. still_falling: whether a loss still fell at the end of most of them.
    """

    n: float
    errors: tuple[float, ...]
    train_errors: tuple[float, ...] = ()
    parameters: int | None = None
    still_falling: bool = False

    @property
    def error(self) -> float:
        return float(np.mean(self.errors))

    @property
    def train_error(self) -> float | None:
        return float(np.mean(self.train_errors)) if self.train_errors else None


@dataclass(frozen=True)
class LearningCurve(Shown):
    """A curve, what it foretells, and why it foretells no more.

    by: "data", n counts examples; "width", n is a multiple of the run's width.
    causes: why nothing, or no more, can be said, in sentences; empty when 2 and 4 times are both answered.
    steps: updates of each training. seconds: of processor time, all trainings together.
    smallest_gap: smallest gain worth acting on.
    """

    by: By
    metric: str
    title: str
    unit: str
    num_units: int
    points: tuple[Measured, ...]
    forecast: Forecast | None
    causes: tuple[str, ...]
    smallest_gap: float
    level: float = LEVEL
    steps: int | None = None
    seconds: float = 0.0
    format: int = field(default=1)

    @property
    def horizons(self) -> tuple[Horizon, ...]:
        """What may be said; empty when the curve cannot be continued."""
        return self.forecast.horizons if self.forecast is not None else ()

    @property
    def twice(self) -> Horizon | None:
        """What twice the data, or the width, would bring; None when that cannot be said."""
        return self.forecast.horizon(2.0) if self.forecast is not None else None

    def reach(self, error: float) -> Reach:
        """How many examples (or what width) it takes to get down to this error."""
        return reach(self, error)

    def in_words(self, found: Reach) -> str:
        """What it takes to reach an error, as one sentence."""

        def amount(n: float) -> str:
            return f"{about(int(n))} examples" if self.by == "data" else f"{n:.2g} times the width"

        if self.forecast is None or not self.horizons:
            return f"What it takes to reach {self.show(found.error)} cannot be said."
        far = amount(self.forecast.n * self.forecast.farthest)
        if found.low is None:
            return f"{self.show(found.error)} is not reached with {far}, and further the curve cannot be trusted."
        likely = f"likely at {amount(found.likely)}" if found.likely else f"likely beyond {far}"
        high = f"almost surely at {amount(found.high)}" if found.high else f"surely only beyond {far}, if at all"
        return f"{self.show(found.error)} is reached at {amount(found.low)} at the earliest, {likely}, {high}."

    def show(self, value: float) -> str:
        return with_unit(value, self.unit)

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LearningCurve:
        """The inverse of `to_dict`."""
        points = tuple(
            Measured(**{**p, "errors": tuple(p["errors"]), "train_errors": tuple(p["train_errors"])})
            for p in values["points"]
        )
        told = values["forecast"]
        if told is not None:
            told = Forecast(
                **{
                    **told,
                    "horizons": tuple(Horizon(**each) for each in told["horizons"]),
                    "back_tests": tuple(BackTest(**each) for each in told["back_tests"]),
                    "bands": tuple(tuple(row) for row in told["bands"]),
                }
            )
        return cls(**{**values, "points": points, "forecast": told, "causes": tuple(values["causes"])})

    def sentences(self) -> list[str]:
        """The answer in plain words."""
        return list(_sentences(self))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield from _table(self)
        yield Text("")
        yield from _drawing(self, min(options.max_width, 76))
        yield Text("")
        yield Text(" ".join(self.sentences()))


@dataclass(frozen=True)
class Reach:
    """Examples (or a width) at which an error is reached: from `low` it may be, at `likely` it likely is, and from
    `high` on it is in all but 5 of 100 cases; None: not within what the curve can foretell."""

    error: float
    low: float | None
    likely: float | None
    high: float | None


# -- the trainings ------------------------------------------------------------------------------------------------


def measure(
    trials: Trials,
    metric: Metric,
    *,
    steps: int,
    by: By = "data",
    resamples: int = RESAMPLES,
    workers: int | None = None,
    listen: Listen = lambda event: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Measured], float]:
    """Train what the curve needs; (points by increasing n, seconds of processor time).

    Args:
        trials: of the run's config.
        metric: what is drawn; on dev.
        steps: updates of every training.
        by: what grows.
        resamples: trainings a point, each on its own nested share and with its own seed; one at the largest.
        workers: processes; None: as many as there are cores, where the trainings are long enough to pay for them.
        listen: called with {"event": "curve", "done", "total", "eta_seconds"} after each training.
    Raises:
        UsageError: there is no dev set; or the network has no width.
    """
    if "dev" not in trials.splits:
        raise UsageError("there is no dev set to measure a curve on", "data.dev", "Give it one: data.dev=0.2")
    sizes, recipes, owners = (_data_recipes if by == "data" else _width_recipes)(trials, steps, resamples)
    made: list[list[Trial]] = [[] for _ in sizes]
    total, began = len(recipes), clock()
    if workers is None:
        workers = _workers_for(trials, recipes)
    listen({"event": "curve", "done": 0, "total": total, "eta_seconds": None})
    for done, (owner, trial) in enumerate(zip(owners, trials.make_all(recipes, workers), strict=True), start=1):
        made[owner].append(trial)
        left = (clock() - began) / done * (total - done)
        listen({"event": "curve", "done": done, "total": total, "eta_seconds": left})
    points = [
        Measured(
            size,
            tuple(metric.error(trial.scores["dev"]) for trial in trials_here),
            tuple(metric.error(trial.scores["own"]) for trial in trials_here if "own" in trial.scores),
            trials_here[0].parameters,
            2 * sum(still_falling(trial.config, trial.history) for trial in trials_here) > len(trials_here),
        )
        for size, trials_here in zip(sizes, made, strict=True)
    ]
    return points, sum(trial.seconds for each in made for trial in each)


def overrides_of(steps: int) -> dict[str, Any]:
    """What makes a training comparable with others of other sizes: so many updates, nothing ends or chooses it."""
    return {
        "training.steps": steps,
        "training.epochs": None,
        "training.minutes": None,
        "training.patience": None,
        "training.keep_best": False,
        "training.lr_race": False,
        "training.evaluate_every": max(1, steps // CHECKS),
    }


def _data_recipes(trials: Trials, steps: int, resamples: int) -> tuple[list[float], list[Recipe], list[int]]:
    """Sizes, recipes, and the size that each recipe belongs to; resample by resample, the largest share first."""
    from orthogon.data.split import nested_shares

    train = trials.splits["train"]
    strata = trials.task.strata(trials.examples.take(train))
    fewest = max(FEWEST_EXAMPLES, 0 if strata is None else 2 * len(np.unique(strata)))
    shares = [share for share in SHARES if share * len(train) >= fewest]
    found: list[tuple[int, Recipe]] = []
    sizes: list[float] = []
    for r in range(resamples):
        parts = nested_shares(trials.examples, train, shares, strata, seed=r)
        if r == 0:
            sizes = [float(len(part)) for part in parts]
        for place in reversed(range(len(shares))):
            if r > 0 and shares[place] == 1:
                continue
            found.append((place, _recipe(trials, overrides_of(steps), parts[place], r)))
    return sizes, [recipe for _, recipe in found], [place for place, _ in found]


def _width_recipes(trials: Trials, steps: int, resamples: int) -> tuple[list[float], list[Recipe], list[int]]:
    config = trials.config.model_dump(mode="json")
    widths = {key: int(read(config, key)) for key in WIDTH_KEYS if isinstance(read(config, key), int)}
    if not widths:
        raise UsageError(
            f"the network {read(config, 'task.network') or trials.task.kind} has no width to turn",
            "task.network",
            "Its size is fixed; compare networks instead: orthogon train --set task.network=NAME",
        )
    narrowest = min(widths.values())
    seen: dict[int, float] = {}
    for times in WIDTHS:
        width = _even(narrowest * times, narrowest)
        seen.setdefault(width, width / narrowest)
    sizes = list(seen.values())
    train = trials.splits["train"]
    found = [
        (
            place,
            _recipe(
                trials,
                {**overrides_of(steps), **{key: _even(width * times, width) for key, width in widths.items()}},
                train,
                r,
            ),
        )
        for r in range(resamples)
        for place, times in reversed(list(enumerate(sizes)))
        if r == 0 or times < 1
    ]
    return sizes, [recipe for _, recipe in found], [place for place, _ in found]


def _even(width: float, of: int) -> int:
    """A width that divides as the full one does: a multiple of the largest power of two that divides it, up to 4."""
    step = max(power for power in (1, 2, 4) if of % power == 0)
    return max(step, round(width / step) * step)


def _recipe(trials: Trials, overrides: Mapping[str, Any], train: Ids, r: int) -> Recipe:
    from orthogon.project.trial import Recipe

    own = train if len(train) <= MEASURED_TRAIN else np.random.default_rng(r).permutation(train)[:MEASURED_TRAIN]
    return Recipe(
        overrides,
        train=train,
        select=np.zeros(0, np.int64),
        measure={"dev": trials.splits["dev"], "own": np.sort(own)},
        seed=trials.config.seed + r,
        purpose="curve",
    )


MANY_SECONDS = 60.0  # of work from which on several processes pay


def _workers_for(trials: Trials, recipes: Sequence[Recipe]) -> int:
    """As many as there are cores where the work takes long; the first training tells, and is one of those wanted."""
    missing = [recipe for recipe in recipes if not (trials.folder / trials.key(recipe) / "trial.json").exists()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or len(missing) < 3:
        return 1
    began = time.monotonic()
    trials.make(missing[0])
    return cores if (time.monotonic() - began) * (len(missing) - 1) > MANY_SECONDS else 1


# -- the judgement ------------------------------------------------------------------------------------------------


def judge(
    points: Sequence[Measured],
    metric: Metric,
    num_units: int,
    *,
    by: By = "data",
    steps: int | None = None,
    seconds: float = 0.0,
    smallest_gap: float | None = None,
    trivial_error: float | None = None,
    floor: float = 0.0,
    prior: Prior = LEARNED,
    level: float = LEVEL,
) -> LearningCurve:
    """Continue a measured curve, or say why it cannot be.

    Args:
        points: by increasing n.
        num_units: units of dev.
        smallest_gap: smallest gain worth acting on; see `diagnosis.smallest_worth_acting_on`.
        floor: an error that no data gets below: noise in the labels, 0 where none is known.
    """
    last = points[-1] if points else None
    delta = smallest_gap
    if delta is None:
        delta = smallest_worth_acting_on(metric, last.error if last else 0.0, trivial_error)
    curve = LearningCurve(
        by, metric.name, metric.error_title, metric.unit, num_units,
        tuple(points), None, (), delta, level, steps, seconds,
    )  # fmt: skip
    causes = list(_gates(curve, metric))
    if causes:
        return replace(curve, causes=tuple(causes))
    units = num_units if metric.unit == "%" and not metric.exceeds_one else None
    given = [Point(point.n, point.errors) for point in points]
    shares = [_least_share(point, by, floor) for point in points]
    said = forecast(given, units, prior=prior, level=level, least_shares=shares)
    if not said.horizons:
        causes.append(_of_back_tests(said, curve))
    elif said.farthest < 4:
        causes.append(_why_no_farther(said))
    return replace(curve, forecast=said, causes=tuple(causes))


def _least_share(point: Measured, by: By, floor: float) -> float:
    """The asymptote's least share of the error at this point.

    With more data the train error rises towards the asymptote, so that it is a lower bound; with more width it falls.
    """
    train = (point.train_error or 0.0) if by == "data" else 0.0
    return min(1.0, max(train, floor) / point.error) if point.error > 0 else 0.0


def _gates(curve: LearningCurve, metric: Metric) -> list[str]:
    """Why this curve must not be continued, in sentences."""
    what = "examples" if curve.by == "data" else "widths"
    if len(curve.points) < FEWEST_POINTS:
        return [
            f"A curve needs at least {FEWEST_POINTS} points, and there {'is' if len(curve.points) == 1 else 'are'} "
            f"{len(curve.points)}: "
            + ("train is too small to be divided." if curve.by == "data" else "the network is too narrow.")
        ]
    last = curve.points[-1]
    if last.still_falling:
        return [
            f"The loss still fell when the training on all {what} ended after "
            f"{curve.steps or 0:,} updates: train longer first, or the curve shows the training and not the data."
        ]
    units = curve.num_units if metric.unit == "%" and not metric.exceeds_one else None
    p = falls(curve.points, units)
    if p < NOT_FALLING:
        return [
            f"The error does not fall steadily with more {what} (p = {p:.2g}): something else changes along the curve."
        ]
    train = last.train_error
    if (
        curve.by == "data"
        and train is not None
        and last.error - train < curve.smallest_gap
        and train >= NEAR_TRAIN * last.error > 0
    ):
        most = max(0.0, last.error - train)
        return [
            f"More data is not what is missing: the error on the examples trained on is {curve.show(train)} "
            f"already, so data can bring {_difference(most, curve.unit)} at most. The limit is bias."
        ]
    return []


def falls(points: Sequence[Measured], num_units: int | None, draws: int = 2000) -> float:
    """p-value of "the true error never rises": how often noise alone strays as far from a falling curve.

    The distance is that to the best falling curve (isotonic least squares), each point weighed by its noise.
    """
    given = [Point(point.n, point.errors) for point in points]
    counts = np.array([len(point.errors) for point in points])
    errors = np.array([point.error for point in points])
    sd = np.sqrt(noise_of_one(given, num_units) / counts) * np.maximum(errors, 1e-12)
    best = isotonic_regression(errors, weights=1 / sd**2, increasing=False).x
    seen = float(np.sum(((errors - best) / sd) ** 2))
    rng = np.random.default_rng(0)
    drawn = best + sd * rng.standard_normal((draws, len(errors)))
    again = np.array([isotonic_regression(row, weights=1 / sd**2, increasing=False).x for row in drawn])
    return float(np.mean(np.sum(((drawn - again) / sd) ** 2, axis=1) >= seen))


def _why_no_farther(said: Forecast) -> str:
    """Why nothing is said beyond the farthest horizon."""
    failed = next((test.times for test in said.back_tests if not test.passed), None)
    limit = f"Beyond {said.farthest:g} times nothing is said: "
    if failed is None:
        return limit + "too few points lie near the curve's beginning to test it."
    part = {3.0: "a third", 4.0: "a quarter"}.get(failed, f"1/{failed:g}")
    return f"{limit}cut at {part}, the curve did not foretell its own end."


def _of_back_tests(said: Forecast, curve: LearningCurve) -> str:
    if not said.back_tests:
        return "Too few points lie in the lower half of the curve to test a forecast on its own past."
    test = said.back_tests[0]
    return (
        f"Cut at {'half the data' if curve.by == 'data' else 'half the width'}, the curve foretold "
        f"{curve.show(test.likely)} ({curve.show(test.low)} to {curve.show(test.high)}) for its end, which is "
        f"{curve.show(test.truth)}: it cannot be trusted further."
    )


def reach(curve: LearningCurve, error: float) -> Reach:
    """Where the band of the forecast meets an error."""
    if curve.forecast is None or not curve.forecast.bands:
        return Reach(error, None, None, None)
    bands = np.array(curve.forecast.bands)

    def first(column: int) -> float | None:
        below = np.flatnonzero(bands[:, column] <= error)
        if not len(below):
            return None
        i = int(below[0])
        if i == 0:
            return float(curve.forecast.n) if curve.forecast else None
        x, y = np.log(bands[i - 1 : i + 1, 0]), bands[i - 1 : i + 1, column]
        times = math.exp(float(np.interp(-error, -y, x)))
        return float(curve.forecast.n * times) if curve.forecast else None

    return Reach(error, first(1), first(2), first(3))


# -- words and pictures -------------------------------------------------------------------------------------------


def _difference(value: float, unit: str) -> str:
    """A gain: points of a share, else in the unit."""
    if unit == "%":
        return f"{round(100 * value, 1) + 0.0:.1f} points"
    return f"{significant(value)} {unit}".rstrip()


def _sentences(curve: LearningCurve) -> list[str]:
    said: list[str] = []
    what = "data" if curve.by == "data" else "width"
    last = curve.points[-1] if curve.points else None
    for horizon in curve.horizons:
        if horizon.times not in (2.0, max(each.times for each in curve.horizons)):
            continue
        name = {2.0: f"Twice the {what}", 3.0: f"Three times the {what}", 4.0: f"Four times the {what}"}[horizon.times]
        size = f" ({about(int(horizon.n))} examples)" if curve.by == "data" else ""
        least = max(0.0, horizon.least)
        at_least = _difference(least, curve.unit) if horizon.least > 0 else "nothing"
        text = (
            f"{name}{size} would bring at least {at_least}, likely {_difference(horizon.gain, curve.unit)}, at most "
            f"{_difference(horizon.most, curve.unit)}: an error of {curve.show(horizon.likely)} "
            f"({curve.show(horizon.low)} to {curve.show(horizon.high)})"
        )
        said.append(text + ("." if horizon.tested else "; this is indicative only."))
    twice = curve.twice
    if twice is not None:
        if twice.most < curve.smallest_gap:
            said.append(f"That is less than is worth acting on ({_difference(curve.smallest_gap, curve.unit)}).")
        elif twice.least > curve.smallest_gap:
            said.append("That is worth acting on.")
    if not curve.horizons:
        said.append(f"What more {what} would bring cannot be said.")
    said += curve.causes
    if curve.forecast is not None and curve.horizons and curve.forecast.widening > 1.05:
        said.append(
            f"Intervals are {curve.forecast.widening:.1f} times as wide as fitted, so that the past is covered."
        )
    if curve.by == "data" and curve.horizons and last is not None:
        said.append("Collect in rounds and draw the curve again after each.")
    return said


def _table(curve: LearningCurve) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    per = f", {curve.steps:,} updates each" if curve.steps else ""
    head = Text(f"{curve.title[:1].upper()}{curve.title[1:]} on dev against ", "bold")
    head.append("training examples" if curve.by == "data" else "the network's width", "bold")
    head.append(per, "dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    first = "examples" if curve.by == "data" else "width x"
    for name in (first, "dev", "train", "trainings", *(["parameters"] if curve.by == "width" else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve.points:
        size = f"{point.n:,.0f}" if curve.by == "data" else f"{point.n:.2f}"
        train = "" if point.train_error is None else curve.show(point.train_error)
        more = [f"{point.parameters or 0:,}"] if curve.by == "width" else []
        table.add_row(size, curve.show(point.error), train, str(len(point.errors)), *more)
    return [head, table]


ROWS = 9


def _drawing(curve: LearningCurve, width: int) -> list[Text]:
    """The curve in characters, both axes logarithmic: ● measured, ○ foretold, │ its interval, 2x and 4x below."""
    from rich.text import Text

    points = [(point.n, point.error) for point in curve.points if point.error > 0]
    if len(points) < 2:
        return []
    ahead = [(h.n, h.low, h.likely, h.high) for h in curve.horizons]
    values = [e for _, e in points] + [v for row in ahead for v in row[1:] if v > 0]
    top, bottom = math.log(max(values)), math.log(min(values))
    if top - bottom < 1e-9:
        return []
    right = math.log(max([points[-1][0], *(row[0] for row in ahead)]))
    left = math.log(points[0][0])
    label = max(len(curve.show(math.exp(v))) for v in (top, bottom)) + 1
    room = max(20, width - label - 2)

    def column(n: float) -> int:
        return round((math.log(n) - left) / (right - left) * (room - 1))

    def row(error: float) -> int:
        share = (top - math.log(max(error, math.exp(bottom)))) / (top - bottom)
        return int(min(ROWS - 1, max(0, round(share * (ROWS - 1)))))

    cells = [[" "] * room for _ in range(ROWS)]
    for n, low, likely, high in ahead:
        for y in range(row(high), row(low) + 1):
            cells[y][column(n)] = "│"
        cells[row(likely)][column(n)] = "○"
    for n, error in points:
        cells[row(error)][column(n)] = "●"
    lines = []
    for y, line in enumerate(cells):
        mark = curve.show(math.exp(top - (top - bottom) * y / (ROWS - 1))) if y in (0, ROWS // 2, ROWS - 1) else ""
        lines.append(Text(f"{mark:>{label}} ┤{''.join(line).rstrip()}"))
    axis = [" "] * (room + 6)
    marks = [(points[0][0], ""), (points[-1][0], "")] + [(h.n, f"{h.times:g}x") for h in curve.horizons]
    for n, name in marks:
        text = name or (f"{n:,.0f}" if curve.by == "data" else f"{n:.2g}x")
        start = max(0, min(column(n) - len(text) // 2, room + 5 - len(text)))
        if all(cell == " " for cell in axis[max(0, start - 1) : start + len(text) + 1]):
            axis[start : start + len(text)] = list(text)
    lines.append(Text(f"{'':>{label}} └{'─' * room}"))
    lines.append(Text(f"{'':>{label}}  {''.join(axis).rstrip()}"))
    return lines


__all__ = ["BackTest", "LearningCurve", "Measured", "Reach", "judge", "measure"]
