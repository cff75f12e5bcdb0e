"""How sure a measured error is, and the difference of two.

Everything here is on the error's scale (0 is best) except `interval`, which speaks the metric's own. An `Estimate`
is a value with limits as a function of z, the one-sided normal quantile, so that one interval can be read at any
level and inverted into a p-value. A plain proportion has Wilson's closed form; any other metric, and any data with
groups, is resampled. The gap of two independent sets joins their limits (Newcombe's hybrid); two systems on the same
units are compared unit by unit.
Legend: n units, k errors among them, p = k/n, z normal quantile, B draws, s statistics a unit, R seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, reduce
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from orthogon.errors import UsageError
from orthogon.metrics.score import Additive, Metric, Scores

Floats = NDArray[np.float64]
Limits = Callable[[float], tuple[float, float]]

NORMAL = NormalDist()
DRAWS = 2000
FEWEST_BEYOND = 12  # draws that must lie beyond a quantile; limits further out are scaled from there
CELLS_AT_ONCE = 4_000_000  # weights held in memory at once while resampling
KEPT_WEIGHTS = 6  # sets of weights that are kept, a byte a cell
MANY_UNITS = 20_000  # beyond which sums are drawn from their normal limit
MANY_CELLS = 3_000_000  # units times draws beyond which a metric that is not a function of sums is jackknifed
NUM_BLOCKS = 40  # of the jackknife


@dataclass(frozen=True)
class Interval:
    """A figure and the range that holds the true one with probability `level`."""

    value: float
    low: float
    high: float
    level: float
    n: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """An error, or a difference of errors, with limits at any z.

    limits: z -> (low, high), each with Phi(-z) beyond it.
    variance: of the estimate, for "how many would settle it".
    exact: delta -> one-sided p-value of "at most delta", where there is a better one than the limits' inverse.
    """

    value: float
    limits: Limits
    variance: float
    n: int
    method: str
    exact: Callable[[float], float] | None = None

    def interval(self, level: float = 0.95) -> Interval:
        low, high = self.limits(z_of(level))
        return Interval(self.value, low, high, level, self.n, self.method)

    def p_above(self, delta: float) -> float:
        """One-sided p-value of "the true value is at most delta": the level at which the limit touches delta."""
        if self.exact is not None:
            return self.exact(delta)
        above = self.value > delta
        side = 0 if above else 1

        def clears(z: float) -> bool:
            return self.limits(z)[side] > delta if above else self.limits(z)[side] < delta

        low, high = 0.0, 8.0
        if clears(high):
            low = high
        else:
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (middle, high) if clears(middle) else (low, middle)
        return NORMAL.cdf(-low) if above else NORMAL.cdf(low)


def z_of(level: float) -> float:
    """The z of a two-sided interval: 0.95 -> 1.96."""
    return NORMAL.inv_cdf((1 + level) / 2)


# -- closed forms for 0/1 errors ----------------------------------------------------------------------------------


def standard_error(p: float, n: int) -> float:
    """Standard error of a share p of n units, sqrt(p (1 - p) / n)."""
    return math.sqrt(p * (1 - p) / n)


def wilson(k: Any, n: Any, z: float) -> tuple[Any, Any]:
    """Score interval of a proportion; numbers or arrays, k need not be whole.

    Source: Wilson 1927.
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    p, z2 = k / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * np.sqrt(np.maximum(p * (1 - p) / n + z2 / (4 * n * n), 0.0))
    # at k = 0 and k = n the limit is exact, but for rounding
    return np.where(k <= 0, 0.0, centre - half), np.where(k >= n, 1.0, centre + half)


def join(later: tuple[Any, Any, Any], earlier: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """Limits of later - earlier from (value, low, high) of two independent figures.

    Source: Newcombe 1998, method 10, for Wilson's limits; Zou and Donner 2008 for any others.
    """
    (p1, l1, u1), (p2, l2, u2) = later, earlier
    d = p1 - p2
    return d - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), d + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)


def newcombe(k1: Any, n1: Any, k2: Any, n2: Any, z: float) -> tuple[Any, Any]:
    """Limits of p1 - p2 of two independent samples; numbers or arrays."""
    return join((np.asarray(k1) / n1, *wilson(k1, n1, z)), (np.asarray(k2) / n2, *wilson(k2, n2, z)))


def proportion(k: float, n: int) -> Estimate:
    """k errors among n independent units, or among people's n answers."""

    def limits(z: float) -> tuple[float, float]:
        low, high = wilson(k, n, z)
        return float(low), float(high)

    def exact(delta: float) -> float:
        # mid-p of the binomial: Wilson's lower limit alone is crossed too often for small shares
        if not 0 < delta < 1:
            return 0.0 if delta <= 0 < k else float(delta > 0 or k == 0)
        return float(bdtrc(k, n, delta) + bdtrc(k - 1, n, delta)) / 2 if k else 1 - (1 - delta) ** n / 2

    p = (k + 2) / (n + 4)  # Agresti and Coull: an error never seen may still have some variance
    return Estimate(k / n, limits, p * (1 - p) / n, n, "Wilson", exact)


def fixed(value: float) -> Estimate:
    """A figure taken as known: a floor that was given or assumed."""
    return Estimate(value, lambda z: (value, value), 0.0, 0, "given")


def possible(metric: Metric, difference: bool = False) -> tuple[float, float]:
    """The range an error of this metric, or the difference of two, can have: [0, 1] for shares, [0, inf) otherwise."""
    highest = 1.0 if metric.unit == "%" and not metric.exceeds_one else math.inf
    return (-highest, highest) if difference else (0.0, highest)


def unknown(value: float, n: int, bounds: tuple[float, float]) -> Estimate:
    """A figure of fewer than two independent units: nothing shows its spread, so its limits are all that can be."""
    low, high = bounds if not math.isnan(value) else (-math.inf, math.inf)  # not defined on this unit
    most = ((high - low) / 2) ** 2  # the largest variance within the bounds
    return Estimate(value, lambda z: (low, high), most, n, "one unit")


def num_units(scores: Scores) -> int:
    """Independent units: groups where there are any, else examples."""
    return len(scores) if scores.groups is None else len(np.unique(scores.groups))


def difference(later: Estimate, earlier: Estimate) -> Estimate:
    """later - earlier of two independent sets."""

    def limits(z: float) -> tuple[float, float]:
        low, high = join((later.value, *later.limits(z)), (earlier.value, *earlier.limits(z)))
        return float(low), float(high)

    sizes = [e.n for e in (later, earlier) if e.n]
    method = "Newcombe" if {later.method, earlier.method} <= {"Wilson", "given"} else "hybrid of bootstraps"
    variance = later.variance + earlier.variance
    exact = None
    if earlier.method == "given" and later.exact is not None:
        of_later, floor = later.exact, earlier.value

        def exact(delta: float) -> float:
            return of_later(floor + delta)

    return Estimate(later.value - earlier.value, limits, variance, min(sizes, default=0), method, exact)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The plain mean of figures from independent sets.

    Source: Zou and Donner 2008, for a sum. Of paired shares each is best made with its part of the units that Bonett
    and Price add (`added`); with all of them a limit is missed in at most 2 % in place of 2.5 % (40,000 draws of 350
    and 250 pairs, of which 0.3 to 1 % change).
    """
    k = len(estimates)
    value = sum(each.value for each in estimates) / k

    def limits(z: float) -> tuple[float, float]:
        ends = [(each.value, *each.limits(z)) for each in estimates]
        low = math.sqrt(sum((v - low) ** 2 for v, low, _ in ends)) / k
        high = math.sqrt(sum((high - v) ** 2 for v, _, high in ends)) / k
        return value - low, value + high

    variance = sum(each.variance for each in estimates) / k**2
    return Estimate(value, limits, variance, min(each.n for each in estimates), f"mean of {estimates[0].method}")


def mcnemar(wrong_a: NDArray[Any], wrong_b: NDArray[Any]) -> float:
    """Two-sided mid-p of "a and b are equally often wrong" on the same units.

    Source: Fagerland, Lydersen, Laake 2013.
    """
    a, b = np.asarray(wrong_a) > 0, np.asarray(wrong_b) > 0
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    fewer, both = min(only_a, only_b), only_a + only_b
    if only_a == only_b:
        return 1.0
    up_to, below = 1 - bdtrc(fewer, both, 0.5), 1 - bdtrc(fewer - 1, both, 0.5) if fewer else 0.0
    return float(min(1.0, up_to + below))  # 2 P(X <= fewer) - P(X = fewer)


def paired_proportions(later: NDArray[Any], earlier: NDArray[Any], added: float = 1.0) -> Estimate:
    """Share wrong of one system minus that of another on the same units.

    Args:
        later, earlier: (n,) whether each unit is wrong; or how often, as a share, of several systems.
        added: units that are added to each way of disagreeing; a share of one where several sets are averaged.
    Source: Bonett and Price 2012: Wald's interval after one unit is added to each way of disagreeing.
    """
    n = len(later)
    d = later.astype(np.float64) - earlier
    more = n + 2 * added
    middle = float(d.sum()) / more
    variance = ((float(d @ d) + 2 * added) / more - middle**2) / more

    def limits(z: float) -> tuple[float, float]:
        half = z * math.sqrt(variance)
        return max(-1.0, middle - half), min(1.0, middle + half)

    return Estimate(float(d.sum()) / n, limits, variance, n, "paired, Bonett-Price")


# -- the bootstrap ------------------------------------------------------------------------------------------------


def _replicates_of_sums(
    stats: Additive, combine: Callable[[Floats], Floats], draws: int, seed: int
) -> tuple[Floats, float]:
    """(B,) the metric of resampled units, and BCa's acceleration from leaving each unit out."""
    rng = np.random.default_rng(seed)
    rows = stats.rows
    num_rows = len(rows)
    counts = np.ones(num_rows) if stats.codes is None else np.bincount(stats.codes, minlength=num_rows)
    n = int(counts.sum())
    if stats.codes is not None and num_rows < n / 2:
        # units with equal statistics are drawn together: exactly the same distribution, far fewer cells
        totals = np.concatenate([w @ rows for w in _in_parts(rng.multinomial, n, counts / n, draws)])
    else:
        rows = stats.dense()
        counts = np.ones(n)
        if n > MANY_UNITS:
            covariance = np.atleast_2d(np.cov(rows, rowvar=False)) * n
            totals = rng.multivariate_normal(rows.sum(axis=0), covariance, size=draws, method="svd")
        elif n * draws <= CELLS_AT_ONCE:
            totals = _kept_weights(n, draws, seed).astype(np.float64) @ rows
        else:
            totals = np.concatenate([w @ rows for w in _weights(n, draws, rng)])
    left_out = combine(rows.sum(axis=0) - rows if stats.codes is None else counts @ rows - rows)
    weights = counts / n
    influence = (left_out * weights).sum() - left_out
    spread = float((counts * influence**2).sum())
    acceleration = float((counts * influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    return combine(totals), acceleration


def _in_parts(multinomial: Callable[..., Any], n: int, shares: Floats, draws: int) -> Any:
    step = max(1, CELLS_AT_ONCE // len(shares))
    return (multinomial(n, shares, size=min(step, draws - i)) for i in range(0, draws, step))


def _weights(n: int, draws: int, rng: np.random.Generator, width: int | None = None) -> Any:
    """Yield (b, n) parts of how often each of n units is drawn, `draws` rows in all; `width` cells a row are held."""
    step = max(1, CELLS_AT_ONCE // (width or n))
    for i in range(0, draws, step):
        part = np.empty((min(step, draws - i), n))
        for row in part:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        yield part


@lru_cache(maxsize=KEPT_WEIGHTS)
def _kept_weights(n: int, draws: int, seed: int) -> NDArray[np.uint8]:
    """(B, n) what `_weights` draws with this seed, kept: an autopilot asks for the same dev set a hundred times."""
    (whole,) = _weights(n, draws, np.random.default_rng(seed))
    return np.asarray(whole, np.uint8)


def _group_codes(groups: NDArray[Any] | None) -> NDArray[np.int64] | None:
    """(n,) number of each unit's group, or None where every unit stands alone."""
    if groups is None:
        return None
    names, codes = np.unique(groups, return_inverse=True)
    return None if len(names) == len(groups) else codes


def _sums_by_group(stats: Additive, groups: NDArray[np.int64]) -> Additive:
    return Additive(np.stack([np.bincount(groups, column) for column in stats.dense().T], axis=1).astype(np.float64))


def bootstrap(
    draw_errors: Callable[[NDArray[Any]], Floats],
    n: int,
    groups: NDArray[np.int64] | None,
    draws: int,
    rng: np.random.Generator,
) -> Floats:
    """(B,) values of a function of weights (b, n) when units, or whole groups, are drawn again.

    With very many units, 40 random blocks are left out in turn instead, and the draws are Student's t around the
    value with the spread that this shows.
    """
    if n * draws > MANY_CELLS:
        blocks = rng.integers(0, NUM_BLOCKS, n if groups is None else int(groups.max()) + 1)
        of_unit = blocks if groups is None else blocks[groups]
        value = draw_errors(np.ones((1, n)))[0]
        parts = np.array_split(np.arange(NUM_BLOCKS), max(1, NUM_BLOCKS * n // CELLS_AT_ONCE))
        without = np.concatenate([draw_errors((of_unit != part[:, None]).astype(float)) for part in parts])
        spread = math.sqrt((NUM_BLOCKS - 1) / NUM_BLOCKS * float(((without - without.mean()) ** 2).sum()))
        return np.asarray(value + spread * rng.standard_t(NUM_BLOCKS - 1, size=draws))
    if groups is None:
        return np.concatenate([draw_errors(w) for w in _weights(n, draws, rng)])
    num_groups = int(groups.max()) + 1
    return np.concatenate([draw_errors(w[:, groups]) for w in _weights(num_groups, draws, rng, width=n)])


def from_replicates(
    value: float,
    replicates: Floats,
    n: int,
    acceleration: float | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Limits from bootstrap draws: BCa where the acceleration is known, percentiles otherwise; within the bounds.

    Source: Efron 1987.
    """
    replicates = np.sort(replicates[~np.isnan(replicates)])
    if len(replicates) == 0:
        return Estimate(value, lambda z: (-math.inf, math.inf), math.inf, n, "no draw could be computed")
    resolved = NORMAL.inv_cdf(1 - FEWEST_BEYOND / max(len(replicates), 2 * FEWEST_BEYOND + 1))
    bias, a = 0.0, 0.0
    if acceleration is not None:
        below = (np.sum(replicates < value) + np.sum(replicates == value) / 2) / len(replicates)
        bias = NORMAL.inv_cdf(min(max(below, 1 / len(replicates)), 1 - 1 / len(replicates)))
        a = acceleration

    def quantile(z: float) -> float:
        shifted = bias + z
        at = NORMAL.cdf(bias + shifted / max(1 - a * shifted, 0.1)) * (len(replicates) - 1)
        below = min(int(at), len(replicates) - 2) if len(replicates) > 1 else 0
        above = min(below + 1, len(replicates) - 1)
        # they are sorted, which np.quantile does not know: it takes fifty times as long
        return float(replicates[below] + (at - below) * (replicates[above] - replicates[below]))

    def limits(z: float) -> tuple[float, float]:
        inner = min(z, resolved)
        low, high = min(quantile(-inner), value), max(quantile(inner), value)
        stretch = z / inner if inner else 1.0
        low, high = value - (value - low) * stretch, value + (high - value) * stretch
        return max(low, bounds[0]), min(high, bounds[1])

    method = "bootstrap, percentile" if acceleration is None else "bootstrap, BCa"
    return Estimate(value, limits, float(replicates.var()), n, method)


def _as_error(metric: Metric, values: Any) -> Any:
    return 1.0 - values if metric.higher_is_better else values


def _require_units(scores: Scores) -> None:
    if len(scores) == 0:
        raise UsageError("A metric of no examples has no value.", "scores", "Give a split with at least one example.")


def replicates(
    scores: Sequence[Scores],
    metric: Metric,
    merge: Callable[[list[Floats]], Floats],
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Floats, float | None]:
    """Draw units (or groups) again, the same for each of these scores of one split.

    merge: the errors of each of the scores, (B,) each -> (B,) the figure wanted: their difference, their mean.
    Returns:
        (B,) draws, and BCa's acceleration where the metric is a function of sums.
    """
    groups = _group_codes(scores[0].groups)
    if metric.additive is not None and metric.combine is not None:
        combine, parts = metric.combine, [metric.additive(each.records) for each in scores]
        stats = parts[0] if len(parts) == 1 else Additive(np.concatenate([part.dense() for part in parts], axis=1))
        if groups is not None:
            stats = _sums_by_group(stats, groups)

        def of_sums(sums: Floats) -> Floats:
            return merge([_as_error(metric, combine(part)) for part in np.split(sums, len(parts), axis=-1)])

        return _replicates_of_sums(stats, of_sums, draws, seed)

    def of_weights(weights: NDArray[Any]) -> Floats:
        return merge([_as_error(metric, metric.draws(each.records, weights)) for each in scores])

    return bootstrap(of_weights, len(scores[0]), groups, draws, np.random.default_rng(seed)), None


def estimate(scores: Scores, metric: Metric, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The error of a split. Closed form for a plain proportion, else the bootstrap by unit or group.

    Raises:
        UsageError: there are no units.
    """
    _require_units(scores)
    if metric.kind == "proportion" and metric.record is not None:
        wrong = np.asarray(scores.records[metric.record]) > 0.5
        groups = _group_codes(scores.groups)
        if groups is None:
            return proportion(int(wrong.sum()), len(wrong))
        if wrong.all() or not wrong.any():  # resampling would see no spread: count groups as the units
            return proportion(float(wrong.mean() * (groups.max() + 1)), int(groups.max()) + 1)
    if num_units(scores) < 2:
        return unknown(metric.error(scores), len(scores), possible(metric))
    value = metric.error(scores)
    values, acceleration = replicates([scores], metric, lambda errors: errors[0], draws, seed)
    if without_spread(values, value) and possible(metric) == (0.0, 1.0):
        units = fewest_units(scores, metric)
        return proportion(value * units, units)
    return from_replicates(value, values, len(scores), acceleration, possible(metric))


def without_spread(replicates: Floats, value: float) -> bool:
    """Whether every draw that could be computed is the value itself, as when no unit is wrong, or each is.

    The bootstrap then shows no doubt at all; but what was never seen may still be there, and n units limit how often.
    """
    drawn = replicates[~np.isnan(replicates)]
    return len(drawn) > 0 and bool(np.allclose(drawn, value, rtol=0.0, atol=1e-12))


def fewest_units(scores: Scores, metric: Metric) -> int:
    """Independent units that a share without spread rests on: for recall or AUC, say, those of the rarest class.

    The fewest that are counted in any of the sums that the metric is a function of; of a mean over targets, the fewest
    of any target. A unit whose label is unknown is counted in none.
    """
    if metric.parts:
        return min(fewest_units(scores, part) for part in metric.parts)
    groups = np.arange(len(scores)) if scores.groups is None else np.unique(scores.groups, return_inverse=True)[1]
    if metric.additive is not None:
        counted = metric.additive(scores.records).dense() != 0
    else:
        suffixes = (key.removeprefix("truth") for key in scores.records if key.startswith("truth"))
        suffix = max((each for each in suffixes if metric.name.endswith(each)), key=len, default=None)
        truth = None if suffix is None else np.asarray(scores.records[f"truth{suffix}"])
        if truth is None or truth.ndim != 1:
            return num_units(scores)
        known = np.asarray(scores.records.get(f"known{suffix}", np.ones(len(truth)))) > 0
        counted = (truth[:, None] == np.unique(truth[known])) & known[:, None]
    sizes = [len(np.unique(groups[column])) for column in counted.T]
    return min((size for size in sizes if size), default=num_units(scores))


def interval(scores: Scores, metric: Metric, level: float = 0.95, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The metric as people quote it, with its interval."""
    error = estimate(scores, metric, draws=draws, seed=seed).interval(level)
    if not metric.higher_is_better:
        return error
    return Interval(1 - error.value, 1 - error.high, 1 - error.low, level, error.n, error.method)


def _aligned(a: Scores, b: Scores) -> tuple[Scores, Scores]:
    """The units both have, in one order."""
    if np.array_equal(a.ids, b.ids):
        return a, b
    _, rows_a, rows_b = np.intersect1d(a.ids, b.ids, return_indices=True)
    if len(rows_a) == 0:
        raise UsageError(
            f"The two systems were scored on different examples ({len(a)} and {len(b)}, none in common).",
            "paired comparison",
            "Score both on the same split, or compare them with paired=False.",
        )
    return a.take(rows_a), b.take(rows_b)


def paired_difference(
    a: Scores, b: Scores, metric: Metric, *, draws: int = DRAWS, seed: int = 0, added: float = 1.0
) -> Estimate:
    """Error of b minus error of a on the same units; below 0 when b is better.

    Args:
        added: see `paired_proportions`.
    Raises:
        UsageError: the two have no unit in common.
    """
    a, b = _aligned(a, b)
    _require_units(a)
    groups = _group_codes(a.groups)
    if metric.kind == "proportion" and metric.record is not None and groups is None:
        later, earlier = (np.asarray(s.records[metric.record]) > 0.5 for s in (b, a))
        return paired_proportions(later, earlier, added)
    value, bounds = metric.error(b) - metric.error(a), possible(metric, difference=True)
    if num_units(a) < 2:
        return unknown(value, len(a), bounds)
    values, acceleration = replicates([a, b], metric, lambda errors: errors[1] - errors[0], draws, seed)
    return from_replicates(value, values, len(a), acceleration, bounds)


def against_mean(system: Scores, others: Sequence[Scores], metric: Metric, *, seed: int = 0) -> Interval:
    """Error of a system minus the mean error of others on the units all have, such as an ensemble and its members.

    Every set of scores has its units in ascending order of their ids.

    Raises:
        UsageError: there are no such units.
    """
    common = reduce(np.intersect1d, [each.ids for each in (system, *others)])
    system, *others = (each.take(np.isin(each.ids, common)) for each in (system, *others))
    _require_units(system)
    if metric.kind == "proportion" and metric.record is not None and _group_codes(system.groups) is None:
        wrong, *wrongs = (np.asarray(each.records[metric.record]) > 0.5 for each in (system, *others))
        return paired_proportions(wrong, np.mean(wrongs, axis=0)).interval()
    value = metric.error(system) - float(np.mean([metric.error(each) for each in others]))
    bounds = possible(metric, difference=True)
    if num_units(system) < 2:
        return unknown(value, len(system), bounds).interval()

    def merge(errors: list[Floats]) -> Floats:
        return np.asarray(errors[0] - np.mean(errors[1:], axis=0))

    values, acceleration = replicates([system, *others], metric, merge, seed=seed)
    return from_replicates(value, values, len(system), acceleration, bounds).interval()


def gap_interval(
    scores_a: Scores,
    scores_b: Scores,
    metric: Metric,
    *,
    paired: bool,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Error of b minus error of a: of two systems on the same units (paired), or of two sets of units."""
    if paired:
        return paired_difference(scores_a, scores_b, metric, draws=draws, seed=seed).interval(level)
    a = estimate(scores_a, metric, draws=draws, seed=seed)
    return difference(estimate(scores_b, metric, draws=draws, seed=seed), a).interval(level)


# -- several seeds ------------------------------------------------------------------------------------------------


def seed_contrasts(num_seeds: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """(B, R) weights that turn the seeds' errors around their mean into draws of that mean's error.

    A second level of resampling, with Student's t in place of drawing seeds again: 3 seeds drawn with replacement
    understate the spread by a third and have no tails. The same draws serve every split of a run, since one seed's
    luck moves its splits together.
    """
    rng = np.random.default_rng([seed, num_seeds])
    degrees = num_seeds - 1
    tails = np.sqrt(rng.chisquare(degrees, size=(draws, 1)) / degrees)
    return rng.standard_normal((draws, num_seeds)) / math.sqrt(num_seeds * degrees) / tails


def over_seeds(runs: Sequence[Scores], metric: Metric, contrasts: Floats, seed: int = 0) -> tuple[float, Floats]:
    """Mean error over seeds and (B,) draws of it: examples drawn again, common to the seeds, and seeds' luck."""
    draws = len(contrasts)
    errors = np.array([metric.error(run) for run in runs])

    def mean(values: list[Floats]) -> Floats:
        return np.asarray(np.mean(values, axis=0))

    if all(np.array_equal(run.ids, runs[0].ids) for run in runs):
        examples, _ = replicates(runs, metric, mean, draws, seed)
    else:
        examples = mean([replicates([run], metric, mean, draws, seed + i)[0] for i, run in enumerate(runs)])
    return float(errors.mean()), examples + contrasts[: len(examples)] @ (errors - errors.mean())
