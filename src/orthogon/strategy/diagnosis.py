"""Where the error comes from: the ladder floor -> train -> train-dev -> dev -> test, and which gaps are real.

    e_test = H + max(0, e_train - H) + [e_td - max(e_train, H)] + [e_dev - e_td] + [e_test - e_dev]
             floor   avoidable bias         variance              data mismatch   overfitting to dev

holds exactly, every term shown even when negative. Train-dev exists only where train has a second distribution;
without it variance runs from train to dev. Each gap has an interval, a one-sided p-value against the smallest gap
worth acting on (delta), Holm's correction over the gaps, and one of six verdicts. Errors are numbers with 0 best, so
the same ladder serves every metric.
Legend: e error, H floor (people's error, or 0 assumed), n examples, R seeds, z normal quantile.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from orthogon.errors import UsageError
from orthogon.metrics.intervals import (
    NORMAL,
    Estimate,
    Floats,
    difference,
    estimate,
    fixed,
    from_replicates,
    num_units,
    over_seeds,
    possible,
    proportion,
    seed_contrasts,
    unknown,
    z_of,
)
from orthogon.metrics.score import Metric, Scores, significant, with_unit
from orthogon.shown import plain
from orthogon.strategy.floor import Noise
from orthogon.strategy.optimism import Optimism, selection_optimism

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

BIAS, VARIANCE, MISMATCH, OVERFIT = "avoidable bias", "variance", "data mismatch", "overfitting to dev"
UNSPLIT = "variance or data mismatch"  # two distributions, or two times, and no train-dev set to tell
DRIFT = "drift over time"  # from dev to test where test comes after dev
SMALL_DEV, HEALTHY = "dev set too small", "healthy"
LABEL_NOISE = "label noise"  # known only where answers out of fold were studied: `strategy.floor`
HARDER_TEST = "dev-test difference"  # from dev to test where no other system was compared on dev: nothing was chosen

MATERIAL, UNCLEAR, SMALL = "material", "real, size unclear", "real but small"
NEGLIGIBLE, REVERSED, UNDETERMINED, UNKNOWN = "negligible", "reversed", "undetermined", "unknown"

LADDER = ("floor", "train", "train_dev", "dev", "test")
SMALLEST_SHARE = 0.01  # of a 0/1 error: one point
SMALLEST_OF_DEV = 0.1  # and a tenth of the dev error
SMALLEST_OF_TRIVIAL = 0.02  # of a real-valued error: 2 % of the trivial baseline's
# Dev is too small when its error is not known to 3 deltas (or to half itself). One delta would call 350 examples at
# 3 % error too small, in 6 of 8 healthy runs; 25 examples are called too small at any of these.
SMALL_DEV_TIMES = 3
# The estimate of what choosing on dev bought is itself off by 1.6 points on 350 examples (100 candidates on digits, 48
# dev sets). At one delta it was listed in 77 % of those, whose true optimism was 1.0 point; at two in 8 %, and in all
# of 48 dev sets of 40 examples, whose optimism was 6.2 points.
OPTIMISM_TIMES = 2
FEWEST_SEEDS = 3
MOST_TIMES = 20  # "more than 20 times what you have"

MEANING = {
    BIAS: "it does not fit even the examples it was trained on",
    VARIANCE: "it does worse on new examples than on those it was trained on",
    MISMATCH: "it does worse on your target data than on new data of the kind it was trained on",
    UNSPLIT: "it does worse on dev than on train, and dev differs in kind or in time, so the cause cannot be told",
    DRIFT: "test comes after dev: the data drifts over time",
    OVERFIT: "choices made on the dev set fit that set more than new data",
    HARDER_TEST: "it does worse on test than on dev, and no other system was compared on dev, so the two sets differ",
    LABEL_NOISE: "labels are wrong, and no training gets below that",
    SMALL_DEV: "the dev set cannot tell a good system from a bad one",
    HEALTHY: "no gap is shown to be worth acting on",
}

# What is done about each, the main knob first.
RECIPE: dict[str, tuple[str, ...]] = {
    BIAS: ("bigger network", "train longer", "other architecture", "hyper-parameter search", "more useful features"),
    VARIANCE: (
        "more data",
        "regularisation",
        "dropout",
        "augmentation",
        "early stopping",
        "batch norm",
        "smaller or other architecture",
    ),
    MISMATCH: ("study how train and dev differ", "make train more like dev", "collect data like dev"),
    UNSPLIT: ("make a train-dev set",),
    DRIFT: ("newer training data", "train again as new data come"),
    OVERFIT: ("bigger dev set", "fresh dev set"),
    HARDER_TEST: ("bigger dev set", "fresh dev set"),
    SMALL_DEV: ("bigger dev set",),
    LABEL_NOISE: ("correct the labels of dev and test", "correct the labels of train", "more data"),
    HEALTHY: (),
}


@dataclass(frozen=True)
class Rung:
    """The error on one set, with its interval. source: "measured", "given", or "assumed"."""

    name: str
    value: float
    low: float
    high: float
    n: int
    method: str
    source: Literal["measured", "given", "assumed"] = "measured"


@dataclass(frozen=True)
class Gap:
    """The step between two rungs.

    value: later - earlier (avoidable bias: not below 0); low, high: its interval at the diagnosis' level.
    p_value: one-sided, of "the true gap is at most the smallest one worth acting on", after Holm.
    needed_n: examples in each of the two sets that would settle an undetermined gap; None when settled, or when
        `beyond_reach` says that it is more than 20 times what there is.
    at_most: the figure is an upper limit, since the floor is assumed or people are already passed.
    """

    name: str
    earlier: str
    later: str
    value: float
    low: float
    high: float
    p_value: float
    verdict: str
    at_most: bool = False
    needed_n: int | None = None
    beyond_reach: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """What limits a system.

    rungs: floor, train, (train_dev), dev, (test). gaps: between neighbours, in that order.
    primary: what to work on first; causes: everything found, the most pressing first.
    memorised_noise: H - e_train where H is a floor of label noise and train lies below it.
    needed_n: dev examples that would tell more, where there is something to tell.
    noise: wrong labels in "train" and in "dev", where that was studied.
    notes: what studies of the run found that is no verdict, a sentence each.
    sub_cause: of a material bias, where the probes were run: "optimisation" or "capacity" (see `probes`).
    """

    metric: str
    title: str
    unit: str
    level: float
    smallest_gap: float
    rungs: tuple[Rung, ...]
    gaps: tuple[Gap, ...]
    primary: str
    causes: tuple[str, ...]
    sentences: tuple[str, ...]
    num_seeds: int = 1
    needed_n: int | None = None
    memorised_noise: float | None = None
    optimism: Optimism | None = None
    notes: tuple[str, ...] = ()
    sub_cause: str | None = None
    format: int = field(default=1)
    noise: Mapping[str, Noise] = field(default_factory=dict)

    def rung(self, name: str) -> Rung:
        return next(rung for rung in self.rungs if rung.name == name)

    def gap(self, name: str) -> Gap | None:
        """The gap of this name, or None where the ladder has none."""
        return next((gap for gap in self.gaps if gap.name == name), None)

    @property
    def people_passed(self) -> bool:
        """Whether train lies below the human level, so that people are no longer the floor."""
        return any(gap.name == BIAS and gap.verdict == UNKNOWN for gap in self.gaps)

    @property
    def recipe(self) -> tuple[str, ...]:
        """What is done about the primary cause, the main knob first."""
        return RECIPE[self.primary]

    def with_sub_cause(self, sub_cause: str | None, sentence: str) -> Diagnosis:
        """The same, with what the probes found about a material bias; itself where there is none."""
        bias = self.gap(BIAS)
        if bias is None or bias.verdict != MATERIAL:
            return self
        return replace(self, sub_cause=sub_cause, sentences=(*self.sentences, sentence))

    def show(self, value: float, sign: bool = False) -> str:
        """A figure in the metric's unit: 0.031 -> "3.1 %"."""
        plus = "+" if sign else ""
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if self.unit == "%":
            return f"{round(100 * value, 1) + 0.0:{plus}.1f} %"  # + 0.0: never "-0.0"
        return f"{significant(value + 0.0, plus)} {self.unit}".rstrip()

    def show_gap(self, gap: Gap) -> str:
        """Such as "+2.0 %", with "≤" where it is an upper limit; "?" where nothing can be known."""
        if gap.verdict == UNKNOWN:
            return "?"
        return ("≤ " if gap.at_most else "") + self.show(gap.value, sign=True)

    def show_interval(self, low: float, high: float) -> str:
        """ "[1.8, 5.4]": the figures alone, the unit stands beside the value."""
        if self.unit == "%":
            return f"[{round(100 * low, 1) + 0.0:.1f}, {round(100 * high, 1) + 0.0:.1f}]"
        return f"[{significant(low)}, {significant(high)}]".replace("inf", "∞")

    def summary(self) -> str:
        """One paragraph for someone who has never seen an error ladder."""
        return " ".join((*self.sentences, *self.notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON has: a limit that is not known, an infinite one, is None."""
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Diagnosis:
        """The inverse of `to_dict`."""
        optimism = values.get("optimism")
        parts = {
            "rungs": tuple(Rung(**_with_limits(rung)) for rung in values["rungs"]),
            "gaps": tuple(Gap(**_with_limits(gap)) for gap in values["gaps"]),
            "causes": tuple(values["causes"]),
            "sentences": tuple(values["sentences"]),
            "notes": tuple(values.get("notes", ())),
            "optimism": None if optimism is None else Optimism(**optimism),
            "noise": {name: Noise(**each) for name, each in values.get("noise", {}).items()},
        }
        return cls(**{**values, **parts})

    def __str__(self) -> str:
        return self.summary()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement
        from rich.text import Text

        table = self._ladder(BAR_WIDTH)
        for width in (BAR_WIDTH // 2, 0):  # the verdicts say more than the bars
            if Measurement.get(console, options.update(max_width=1000), table).maximum <= options.max_width:
                break
            table = self._ladder(width)
        yield table
        yield Text("")
        yield Text(self.summary())

    def _ladder(self, bar_width: int) -> Table:
        """The errors and the gaps between them; bar_width: characters of the widest bar."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        # A long title wraps; what stands beneath it, and the figures beside it, never do.
        name_width = max(len(_TITLE[rung.name]) for rung in self.rungs)
        name_width = max([name_width, *(2 + len(gap.name) for gap in self.gaps)])
        table.add_column(self.title, width=max(name_width, min(len(self.title), TITLE_WIDTH)))
        table.add_column("", justify="right", no_wrap=True)
        table.add_column(f"{self.level:.0%} interval", no_wrap=True)
        table.add_column("", no_wrap=True)
        table.add_column("")
        widest = max(rung.value if math.isinf(rung.high) else rung.high for rung in self.rungs) or 1.0
        gap_before = {gap.later: gap for gap in self.gaps}
        for rung in self.rungs:
            gap = gap_before.get(rung.name)
            if gap is not None:
                style = _STYLE.get(gap.verdict, "dim")
                table.add_row(
                    Text(f"  {gap.name}", style),
                    Text(self.show_gap(gap), style),
                    Text("" if gap.verdict == UNKNOWN else self.show_interval(gap.low, gap.high), style),
                    Text(""),
                    Text(_verdict_words(gap), style),
                )
            interval = self.show_interval(rung.low, rung.high)
            if rung.source != "measured" and rung.low == rung.high:
                interval = "assumed 0" if rung.source == "assumed" else "given"
            table.add_row(
                Text(_title(rung), "bold"),
                Text(self.show(rung.value), "bold"),
                interval,
                Text(_bar(rung, widest, bar_width), "cyan"),
                Text(f"n = {rung.n:,}" if rung.n else "", "dim"),
            )
        return table

    def _repr_html_(self) -> str:
        widest = max(rung.value if math.isinf(rung.high) else rung.high for rung in self.rungs) or 1.0
        gap_before = {gap.later: gap for gap in self.gaps}
        rows = []
        for rung in self.rungs:
            gap = gap_before.get(rung.name)
            if gap is not None:
                cells = (gap.name, self.show_gap(gap))
                rows.append(
                    "<tr style='opacity:.8'>"
                    + "".join(f"<td style='text-align:left;padding-left:1.5em'>{html.escape(c)}</td>" for c in cells)
                    + f"<td>{html.escape(self.show_interval(gap.low, gap.high))}</td><td></td>"
                    + f"<td style='text-align:left'>{html.escape(_verdict_words(gap))}</td></tr>"
                )
            bar = f"<div style='background:#4c78a8;height:.8em;width:{100 * max(rung.value, 0) / widest:.1f}%'></div>"
            count = f"n = {rung.n:,}" if rung.n else rung.source
            rows.append(
                f"<tr><th style='text-align:left'>{html.escape(_title(rung))}</th>"
                f"<th style='text-align:left'>{html.escape(self.show(rung.value))}</th>"
                f"<td>{html.escape(self.show_interval(rung.low, rung.high))}</td>"
                f"<td style='width:12em'>{bar}</td><td style='text-align:left'>{count}</td></tr>"
            )
        head = f"<tr><th style='text-align:left'>{html.escape(self.title)}</th><th></th><th>{self.level:.0%}</th></tr>"
        return f"<table>{head}{''.join(rows)}</table><p>{html.escape(self.summary())}</p>"


def _with_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """A rung or gap with the numbers back that `plain` took out: nothing known below, above, or at all."""
    lost = {"low": -math.inf, "high": math.inf, "value": math.nan, "p_value": math.nan}
    return {key: lost[key] if value is None and key in lost else value for key, value in values.items()}


_TITLE = {"floor": "floor", "train": "train", "train_dev": "train-dev", "dev": "dev", "test": "test"}
_STYLE = {MATERIAL: "bold red", UNCLEAR: "yellow", UNDETERMINED: "yellow", UNKNOWN: "yellow"}
BAR_WIDTH = 12
TITLE_WIDTH = 26  # characters of the ladder's first column; a longer title of the metric wraps


def _title(rung: Rung) -> str:
    """What a rung is called; a floor that was given is people's."""
    return "people" if rung.name == "floor" and rung.source == "given" else _TITLE[rung.name]


def _bar(rung: Rung, widest: float, width: int) -> str:
    """Full blocks up to the value, light ones up to the interval's end."""
    to_value = round(width * max(rung.value, 0) / widest)
    to_high = round(width * min(max(rung.high, 0), widest) / widest)
    return "█" * to_value + "░" * (to_high - to_value)


def _verdict_words(gap: Gap) -> str:
    if gap.beyond_reach:
        return f"{gap.verdict}, n > {MOST_TIMES}x"
    return f"{gap.verdict}, n ≈ {about(gap.needed_n)}" if gap.needed_n else gap.verdict


def about(n: int | None) -> str:
    """A count rounded up to two figures: 1,234 -> "1,300"."""
    if not n:
        return "no"
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return f"{math.ceil(n / unit) * unit:,}"


# -- the judgement ------------------------------------------------------------------------------------------------


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold for the whole family, in the order given.

    Source: Holm 1979.
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = worst
    return adjusted


def judge(low: float, high: float, p_adjusted: float, delta: float, level: float = 0.95) -> str:
    """The verdict on a gap from its interval, its adjusted p-value against delta, and delta.

    "material" asks that the lower limit clears delta, and still does when adjusted for the other gaps so that the
    chance of any false "material" is at most 1 - level.
    """
    if p_adjusted <= 1 - level and low > delta:
        return MATERIAL
    if high < -delta:
        return REVERSED
    if low > 0:
        return UNCLEAR if high >= delta else SMALL
    return NEGLIGIBLE if high < delta else UNDETERMINED


def examples_needed(gap: float, delta: float, unit_variance: float, z: float, have: int) -> int | None:
    """Examples in each set that would tell the gap from delta; None when that is over 20 times what there is.

    n = (z / |gap - delta|)² (variance of one unit in each set, added up); p1 (1 - p1) + p2 (1 - p2) for 0/1 errors.
    """
    distance = abs(gap - delta)
    n = (z / distance) ** 2 * unit_variance if distance else math.inf
    return None if n > MOST_TIMES * have else max(math.ceil(n), math.ceil(1.5 * have))


def smallest_worth_acting_on(metric: Metric, dev_error: float, trivial_error: float | None) -> float:
    """delta: max(1 point, a tenth of the dev error) for shares; 2 % of the trivial baseline's error otherwise."""
    if metric.unit == "%":
        return max(SMALLEST_SHARE, SMALLEST_OF_DEV * dev_error)
    return SMALLEST_OF_TRIVIAL * trivial_error if trivial_error else SMALLEST_OF_DEV / 2 * dev_error


def diagnose(
    scores: Mapping[str, Scores],
    metric: Metric,
    *,
    human_level: float | None = None,
    human_level_n: int | None = None,
    smallest_gap: float | None = None,
    trivial_error: float | None = None,
    seeds: Sequence[Mapping[str, Scores]] = (),
    candidates: Sequence[Scores] = (),
    level: float = 0.95,
    mismatch_declared: bool = False,
    ordered_in_time: bool = False,
    floor: Literal["people", "label noise"] = "people",
    noise: Mapping[str, Noise] | None = None,
) -> Diagnosis:
    """Say where the error comes from, and which of its parts are real.

    Args:
        scores: split -> Scores; "train" (measured without augmentation) and "dev", perhaps "train_dev" and "test".
        metric: what is judged; turned so that 0 is best.
        human_level: the lowest error known to be reachable (the best people's), 0-best; 0 is assumed without it.
        human_level_n: examples on which people were measured; without it the figure is taken as exact.
        smallest_gap: smallest gap worth acting on; see `smallest_worth_acting_on`.
        trivial_error: error of the trivial baseline (mean, majority), by which real-valued errors are judged.
        seeds: the same for runs of the same recipe with other seeds. With this run, 3 or more make the intervals
            cover the luck of training as well.
        candidates: dev Scores of every system ever compared on this dev set; with one alone nothing was chosen on it,
            and the gap from dev to test is a dev-test difference, not overfitting.
        level: of every interval.
        mismatch_declared: train holds another distribution than dev, so that without train-dev variance and
            mismatch cannot be told apart.
        ordered_in_time: dev comes after train and test after dev, so that test above dev is drift.
        floor: what `human_level` is. Train below a floor of label noise has memorised noise; train below people
            says only that people are not the floor.
        noise: wrong labels in "train" and in "dev", by `strategy.floor.label_noise`. Those of train are the floor
            where no other is given; where either is worth acting on, label noise is a cause.
    Raises:
        UsageError: "train" or "dev" is missing or empty.
    """
    for name in ("train", "dev"):
        if name not in scores or len(scores[name]) == 0:
            raise UsageError(
                f'A diagnosis needs scores of "{name}"; there are {", ".join(scores) or "none"}.',
                "diagnose",
                f"Score the run on {name} first.",
            )
    present = [name for name in LADDER[1:] if name in scores and len(scores[name])]
    runs = [scores, *(other for other in seeds if not _same_run(scores, other))]
    num_seeds = len(runs) if len(runs) >= FEWEST_SEEDS else 1
    draws: dict[str, Floats] = {}
    measured: dict[str, Estimate] = {}
    contrasts = seed_contrasts(len(runs)) if num_seeds > 1 else None
    for position, name in enumerate(present):
        if contrasts is None:
            measured[name] = estimate(scores[name], metric, seed=position)
            continue
        value, drawn = over_seeds([run[name] for run in runs if name in run], metric, contrasts, seed=position)
        if num_units(scores[name]) < 2:
            measured[name] = unknown(value, len(scores[name]), possible(metric))
            continue
        if float(drawn.min()) == float(drawn.max()) and metric.unit == "%" and not metric.exceeds_one:
            # no seed ever erred (or ever was right), and no draw can: the examples still limit what is known
            units = num_units(scores[name])
            measured[name] = proportion(value * units, units)
            continue
        draws[name] = drawn
        measured[name] = from_replicates(value, drawn, len(scores[name]), bounds=possible(metric))
    noise = noise if noise is not None and metric.kind == "proportion" else {}
    notes = []
    if human_level is not None and floor == "people" and trivial_error and human_level >= trivial_error:
        people, trivial = (with_unit(each, metric.unit) for each in (human_level, trivial_error))
        notes.append(f"The human level of {people} is no better than the trivial baseline's {trivial}: it is not used.")
        human_level = None
    by_noise = human_level is None and "train" in noise and noise["train"].known and noise["train"].low > SMALLEST_SHARE
    if by_noise:
        human_level, human_level_n, floor = noise["train"].value, noise["train"].judged, "label noise"
    measured["floor"] = _floor(human_level, human_level_n, metric)

    e_train, e_dev, h = measured["train"].value, measured["dev"].value, measured["floor"].value
    people_passed = human_level is not None and floor == "people" and e_train < h
    delta = smallest_gap if smallest_gap is not None else smallest_worth_acting_on(metric, e_dev, trivial_error)

    def step(later: str, earlier: str) -> Estimate:
        if later in draws and earlier in draws:  # the seeds' luck is common to both
            a, b = draws[later], draws[earlier]
            shortest = min(len(a), len(b))
            value = measured[later].value - measured[earlier].value
            n = min(measured[later].n, measured[earlier].n)
            return from_replicates(value, a[:shortest] - b[:shortest], n, bounds=possible(metric, difference=True))
        return difference(measured[later], measured[earlier])

    after_train = present[1]
    # variance starts at the floor where noise was memorised: fitting wrong labels is not generalising badly
    start = "floor" if floor == "label noise" and e_train < h else "train"
    second = UNSPLIT if mismatch_declared and after_train == "dev" else VARIANCE
    steps = [(BIAS, "floor", "train"), (second, start, after_train)]
    if after_train == "train_dev":
        steps.append((MISMATCH, "train_dev", "dev"))
    if "test" in present:
        last = DRIFT if ordered_in_time else HARDER_TEST if len(candidates) == 1 else OVERFIT
        steps.append((last, "dev", "test"))
    estimates = [step(later, earlier) for _, earlier, later in steps]
    p_values = [each.p_above(delta) for each in estimates]
    adjusted = holm(p_values)
    ranks = np.argsort(np.argsort(p_values, kind="stable"))

    gaps = []
    for (name, earlier, later), each, p_value, rank in zip(steps, estimates, adjusted, ranks, strict=True):
        limits = each.interval(level)
        value, low, high = limits.value, limits.low, limits.high
        verdict = judge(low, high, p_value, delta, level)
        needed = None
        if name == BIAS:
            value, low, high = max(0.0, value), max(0.0, low), max(0.0, high)
            verdict = NEGLIGIBLE if verdict == REVERSED else verdict
            verdict = UNKNOWN if people_passed else verdict
        if verdict == UNDETERMINED:
            z = max(z_of(level), NORMAL.inv_cdf(1 - (1 - level) / (len(steps) - int(rank))))
            sizes = [measured[set_name].n for set_name in (earlier, later) if measured[set_name].n]
            unit_variance = sum(measured[set_name].variance * measured[set_name].n for set_name in (earlier, later))
            needed = examples_needed(value, delta, unit_variance, z, min(sizes))
        gaps.append(
            Gap(
                name,
                earlier,
                later,
                value,
                low,
                high,
                p_value,
                verdict,
                at_most=(name == BIAS and human_level is None) or (name == second and people_passed),
                needed_n=needed,
                beyond_reach=verdict == UNDETERMINED and needed is None,
            )
        )

    material = sorted((gap for gap in gaps if gap.verdict == MATERIAL), key=lambda gap: -gap.value)
    wrong_labels = max((each.value for each in noise.values() if each.known and each.low > delta), default=0.0)
    sizes_of = {gap.name: gap.value for gap in material} | ({LABEL_NOISE: wrong_labels} if wrong_labels else {})
    causes = sorted(sizes_of, key=lambda name: -sizes_of[name])
    dev = measured["dev"].interval(level)
    half_width, bearable = (dev.high - dev.low) / 2, max(SMALL_DEV_TIMES * delta, e_dev / 2)
    settle = [gap.needed_n for gap in gaps if gap.needed_n]
    needed_n = max(settle, default=None)
    optimism = None
    if len(candidates) > 1:
        found = selection_optimism(candidates, metric)
        listed = found.optimism >= max(OPTIMISM_TIMES * delta, math.sqrt(measured["dev"].variance))
        is_winner = metric.error(scores["dev"]) <= found.dev_error + 1e-12
        optimism = replace(found, listed=listed, is_winner=is_winner)
        if listed and is_winner and OVERFIT not in causes:
            causes.append(OVERFIT)
    if half_width > bearable and not material:
        causes.append(SMALL_DEV)
        unit_variance = measured["dev"].variance * measured["dev"].n
        if math.isfinite(unit_variance):
            needed_n = max(needed_n or 0, math.ceil(z_of(level) ** 2 * unit_variance / bearable**2))
    primary = causes[0] if causes else HEALTHY

    rungs = []
    for name in ("floor", *present):
        limits = measured[name].interval(level)
        source: Literal["measured", "given", "assumed"] = "measured"
        if name == "floor":
            source = "assumed" if human_level is None else "measured" if by_noise else "given"
        rungs.append(Rung(name, limits.value, limits.low, limits.high, limits.n, limits.method, source))
    diagnosis = Diagnosis(
        metric=metric.name,
        title=metric.error_title,
        unit=metric.unit,
        level=level,
        smallest_gap=delta,
        rungs=tuple(rungs),
        gaps=tuple(gaps),
        primary=primary,
        causes=tuple(causes),
        sentences=(),
        num_seeds=num_seeds,
        needed_n=needed_n,
        memorised_noise=h - e_train if floor == "label noise" and e_train < h else None,
        optimism=optimism,
        noise=dict(noise),
        notes=tuple(notes),
    )
    return Diagnosis(**{**vars(diagnosis), "sentences": tuple(_sentences(diagnosis))})


def _same_run(a: Mapping[str, Scores], b: Mapping[str, Scores]) -> bool:
    """Whether b is the run itself, listed among its own seeds."""
    if a is b:
        return True
    if "dev" not in b or len(a["dev"]) != len(b["dev"]):
        return False
    x, y = a["dev"].records, b["dev"].records
    return x.keys() == y.keys() and all(np.array_equal(x[name], y[name]) for name in x)


def _floor(human_level: float | None, human_level_n: int | None, metric: Metric) -> Estimate:
    if human_level is None or not human_level_n or metric.unit != "%":
        return fixed(human_level or 0.0)
    return proportion(human_level * human_level_n, human_level_n)


def _sentences(d: Diagnosis) -> Iterable[str]:
    """The diagnosis in plain words: the error, its main source, the other gaps, what these figures cannot say."""
    dev = d.rung("dev")
    interval = f"{d.level:.0%} interval {d.show(dev.low)} to {d.show(dev.high)}"
    if "error" in d.title:
        yield f"On dev the {d.title} is {d.show(dev.value)} ({interval})."
    else:  # "strings not exactly right" names what is counted, not an error
        yield f"On dev the error is {d.show(dev.value)} ({d.title}; {interval})."

    first = d.gap(d.primary)
    if first is not None and first.verdict == MATERIAL:
        at_most = "at most " if first.at_most else ""
        yield (
            f"The main limit is {first.name}, {at_most}{d.show(first.value)} "
            f"({d.show(first.low)} to {d.show(first.high)}): {MEANING[first.name]}."
        )
    elif d.primary == LABEL_NOISE:
        yield f"The main limit is {LABEL_NOISE}: {MEANING[LABEL_NOISE]}."
    elif d.primary == OVERFIT:
        yield f"The main limit is {OVERFIT}: {MEANING[OVERFIT]}."
    elif d.primary == SMALL_DEV:
        examples = "1 example" if dev.n == 1 else f"{dev.n:,} examples"
        would = f"; about {about(d.needed_n)} would" if d.needed_n else ""
        yield f"The dev set is too small to say what limits the system: with {examples} {MEANING[SMALL_DEV]}{would}."
    else:
        yield f"No gap is shown to be worth acting on (that starts at {d.show(d.smallest_gap)}): healthy."
    yield from _noise_sentences(d)
    for gap in d.gaps:
        if gap.name == d.primary and gap.verdict == MATERIAL:
            continue
        figure = f"{d.show(gap.value, sign=True)} {d.show_interval(gap.low, gap.high)}"
        if gap.verdict == MATERIAL:
            yield f"Also {gap.name}, {figure}: {MEANING[gap.name]}."
        elif gap.verdict == UNCLEAR:
            yield f"There is some {gap.name}, {figure}, but its size is unclear."
        elif gap.verdict == UNDETERMINED and gap.beyond_reach:
            yield f"Whether there is any {gap.name} ({figure}) would take over {MOST_TIMES} times the examples to tell."
        elif gap.verdict == UNDETERMINED:
            yield f"Whether there is any {gap.name} ({figure}) would take about {about(gap.needed_n)} examples to tell."
        elif gap.verdict == REVERSED:
            yield f"{_TITLE[gap.later].capitalize()} is easier than {_TITLE[gap.earlier]} ({figure})."
        elif gap.verdict == UNKNOWN:
            yield (
                f"Train lies below the human level of {d.show(d.rung('floor').value)}, so the bias is unknown; "
                f"Bayes error is at most about {d.show(dev.value)}, the dev error."
            )
    bias = d.gap(BIAS)
    if bias is not None and bias.at_most and bias.verdict == MATERIAL:
        yield "The floor is assumed 0; how much of the train error can be removed is not known without a human level."
    if d.memorised_noise is not None:
        yield f"Train lies {d.show(d.memorised_noise)} below the noise in the labels: that much noise was memorised."
    if d.gap(UNSPLIT) is not None:
        yield "A train-dev set would tell variance from mismatch."
    if d.optimism is not None and d.optimism.listed:
        o = d.optimism
        yield (
            f"The best of {o.num_candidates} candidates was chosen on this dev set: its {d.show(o.dev_error)} there "
            f"is more likely {d.show(o.corrected)} on new data."
        )
    if d.num_seeds > 1:
        yield f"Figures are means over {d.num_seeds} seeds, and the intervals cover the luck of training."
    else:
        yield "One training run: the luck of training is not in these intervals."


def _noise_sentences(d: Diagnosis) -> Iterable[str]:
    """Where labels are wrong, as far as it is known."""
    said = {name: f"{d.show(each.value)} {d.show_interval(each.low, each.high)}" for name, each in d.noise.items()}
    known = {name: each for name, each in d.noise.items() if each.known}
    noisy = [name for name, each in known.items() if each.low > SMALLEST_SHARE]
    clean = [
        name for name in known if name not in noisy and known[name].high < min(known[n].low for n in noisy or known)
    ]
    if len(noisy) == 2:
        yield f"About {said['train']} of the labels of train are wrong, and {said['dev']} of dev's."
    elif noisy and clean:
        yield f"About {said[noisy[0]]} of the labels of {noisy[0]} are wrong; those of {clean[0]} are not."
    elif noisy:
        yield f"About {said[noisy[0]]} of the labels of {noisy[0]} are wrong."
    unknown = [name for name, each in d.noise.items() if not each.known]
    if unknown:
        yield f"How many labels of {' and '.join(unknown)} are wrong is not known: {d.noise[unknown[0]].why}."


# -- from bare numbers --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decomposition:
    """Gaps between given figures, without intervals.

    gaps: name -> later - earlier; bias is None when train lies below the human level. labels: the gaps worth acting
    on, largest first. notes: what else the figures say.
    """

    gaps: Mapping[str, float | None]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def decompose(
    human: float,
    train: float,
    train_dev: float | None,
    dev: float,
    test: float | None = None,
    *,
    smallest_gap: float | None = None,
    mismatch_declared: bool = False,
) -> Decomposition:
    """The ladder of five known errors (shares, 0-best): later - earlier on each step.

    smallest_gap: gaps not above it get no label; max(0.01, a tenth of dev) if unset.
    """
    delta = (max(SMALLEST_SHARE, SMALLEST_OF_DEV * dev) if smallest_gap is None else smallest_gap) + 1e-9
    gaps: dict[str, float | None] = {BIAS: train - human if train >= human else None}
    if train_dev is None:
        gaps[UNSPLIT if mismatch_declared else VARIANCE] = dev - train
    else:
        gaps |= {VARIANCE: train_dev - train, MISMATCH: dev - train_dev}
    if test is not None:
        gaps[OVERFIT] = test - dev
    above = {name: value for name, value in gaps.items() if value is not None and value > delta}
    notes = []
    if gaps[BIAS] is None:
        notes.append(f"bias unknown (Bayes at most about {dev:.4g}, the dev error, up to sampling noise)")
    if UNSPLIT in gaps:
        notes.append("undecidable: make a train-dev set")
    mismatch, overfit = gaps.get(MISMATCH), gaps.get(OVERFIT)
    if mismatch is not None and mismatch < -delta:
        notes.append("dev and test are easier than the training data")
    if overfit is not None and overfit <= delta:
        notes.append("no overfitting to dev")
    return Decomposition(gaps, tuple(sorted(above, key=lambda name: -above[name])), tuple(notes))
