"""Where a falling error goes: a learning curve continued, with an interval that its own past has tested.

    e(n) = s g(n / N) exp(B(log n) + noise)          N the largest n seen, g(1) = 1

    pow2   g = x^-c                                   no asymptote
    pow3   g = a + (1 - a) x^-c                       a: the asymptote as a share of today's error
    pow4   g = a + (1 - a) ((x + d) / (1 + d))^-c     a plateau at small n
    mmf4   g = a + (1 - a) (1 + k^-c) / (1 + (x/k)^c) the same with a bend (Morgan-Mercer-Flodin)

No curve is exactly any of these. B is how it strays from them: a random walk in log n that is 0 at N, with variance
tau^2 for each unit of log n. It makes the fit one of generalised least squares, in which points far from N count for
less, and it widens what is said of n beyond N. Every shape on a grid of (a, c, d or k) is weighed by its prior and by
how well it fits, s is integrated out, and families are weighed by how well they foretell the curve's own larger
points from its smaller ones. The prior of c and a, and tau, are learned from some 300 curves
(benchmarks/curve_priors.py).

Back-test: the curve is cut at N / r and its end foretold, for r = 2, 3, 4. Intervals are widened until they cover
these known ends, and nothing is said of horizons whose back-test fails.

Source: Viering, Loog 2021, arXiv:2103.10948 (families); Hoiem et al. 2021, arXiv:2010.11029 (exponent near 1/2).
Differs: least squares on log errors; the prior of the exponent is learned and not N(0.5, 0.25); the random walk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import beta, norm

Floats = NDArray[np.float64]

LEVEL = 0.9
HORIZONS = (2.0, 3.0, 4.0)  # how many times the data; the first is what is said without being asked
FEWEST = 3  # points from which an end is foretold in a back-test
DRAWS = 4000
MOST_WIDENING = 2.5  # a back-test whose interval must be widened by more has failed


@dataclass(frozen=True)
class Prior:
    """What curves are like, before this one is seen.

    exponent: mean and standard deviation of log c. asymptote: a and b of the Beta distribution of the share of today's
    error that stays (of the families that have an asymptote). stray: tau, of log error for one unit of log n.
    """

    exponent: tuple[float, float]
    asymptote: tuple[float, float]
    stray: float


LEARNED = Prior(exponent=(0.52, 0.85), asymptote=(1.29, 1.26), stray=0.03)
FAMILIES = ("pow2", "pow3", "pow4", "mmf4")


@dataclass(frozen=True)
class Point:
    """The error of trainings on n examples: one number a resample, measured on the same units."""

    n: float
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        return float(np.mean(self.errors))


@dataclass(frozen=True)
class BackTest:
    """The curve's end, foretold from its points up to N / times.

    z: (log truth - log median) in standard deviations of what was foretold. passed: the interval, widened by at most
    `MOST_WIDENING`, holds the truth.
    """

    times: float
    num_points: int
    low: float
    likely: float
    high: float
    truth: float
    z: float
    passed: bool


@dataclass(frozen=True)
class Shapes:
    """A grid of curve shapes. family: (G,) index into FAMILIES; a, c, d: (G,), d being 0 or k where a family has it."""

    family: NDArray[np.int64]
    a: Floats
    c: Floats
    d: Floats

    def log_g(self, x: Floats) -> Floats:
        """(G, len(x)) log g(x)."""
        a, c, d, x = self.a[:, None], self.c[:, None], self.d[:, None], x[None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.where(
                self.family[:, None] == 3,
                (1 + d**-c) / (1 + (x / d) ** c),
                ((x + d) / (1 + d)) ** -c,
            )
        return np.asarray(np.log(a + (1 - a) * power))


@lru_cache
def shapes() -> Shapes:
    """The grid: 12 exponents, 9 asymptotes, 5 bends."""
    exponents = np.geomspace(0.03, 2.0, 16)
    shares = np.array([0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
    bends = np.geomspace(0.02, 0.5, 5)
    rows = [(0, 0.0, c, 0.0) for c in exponents]
    rows += [(1, a, c, 0.0) for a in shares for c in exponents]
    rows += [(2, a, c, d) for a in shares for c in exponents for d in bends]
    rows += [(3, a, c, d) for a in shares for c in exponents for d in bends]
    family, a, c, d = (np.array(column) for column in zip(*rows, strict=True))
    return Shapes(family, a.astype(float), c, d)


@lru_cache(maxsize=64)
def _log_prior(prior_key: tuple[float, ...]) -> Floats:
    """(G,) of each shape, up to a constant within its family."""
    m, s, a, b = prior_key
    grid = shapes()
    out = norm.logpdf(np.log(grid.c), m, s)
    shares = np.clip(grid.a, 0.01, 0.99)
    out = out + np.where(grid.family == 0, 0.0, beta.logpdf(shares, a, b))
    for k in range(len(FAMILIES)):  # each family has weight 1 in all
        rows = grid.family == k
        out[rows] -= logsumexp(out[rows])
    return np.asarray(out)


@dataclass(frozen=True)
class Fit:
    """The weighed shapes of some points.

    log_weight: (G,) normalised. level, level_variance: (G,) of log s. n_max: where g is 1.
    """

    log_weight: Floats
    level: Floats
    level_variance: float
    n_max: float
    prior: Prior
    evidence: Floats  # (families,)

    def log_error(self, n: float, noise: float) -> tuple[Floats, Floats]:
        """(G,) mean and variance of the log error of one training on n examples with this noise variance."""
        x = np.array([n / self.n_max])
        mean = self.level + shapes().log_g(x)[:, 0]
        variance = self.level_variance + self.prior.stray**2 * abs(math.log(x[0])) + noise
        return mean, np.full(len(mean), variance)

    def moments(self, n: float, noise: float) -> tuple[float, float]:
        """Mean and standard deviation of the log error at n."""
        mean, variance = self.log_error(n, noise)
        w = np.exp(self.log_weight)
        m = float(w @ mean)
        return m, math.sqrt(float(w @ (variance + (mean - m) ** 2)))

    def log_density(self, n: float, error: float, noise: float) -> float:
        """Of log error at n, all families together."""
        mean, variance = self.log_error(n, noise)
        return float(logsumexp(self.log_weight + norm.logpdf(math.log(error), mean, np.sqrt(variance))))

    def log_densities(self, n: float, error: float, noise: float) -> Floats:
        """(families,) the same of each family alone."""
        mean, variance = self.log_error(n, noise)
        terms = self.log_weight + norm.logpdf(math.log(error), mean, np.sqrt(variance))
        family, found = shapes().family, np.zeros(len(FAMILIES))
        for k in range(len(FAMILIES)):
            own = self.log_weight[family == k]
            if np.isfinite(own).any():  # a family that is ruled out foretells nothing
                found[k] = logsumexp(terms[family == k]) - logsumexp(own)
        return found


def fit(
    n: Floats,
    log_error: Floats,
    noise: Floats,
    prior: Prior = LEARNED,
    least_share: float = 0.0,
    family_weight: Floats | None = None,
) -> Fit:
    """Weigh every shape by its prior and by how well it fits.

    Args:
        n: (P,) increasing. log_error: (P,). noise: (P,) variance of each from the luck of subset and training.
        least_share: the asymptote is at least this share of the error at n[-1].
        family_weight: (families,) log weights in place of the evidence.
    """
    grid = shapes()
    x = n / n[-1]
    back = np.abs(np.log(x))
    covariance = prior.stray**2 * np.minimum(back[:, None], back[None, :]) + np.diag(noise)
    precision = np.linalg.inv(covariance)
    y = log_error[None, :] - grid.log_g(x)  # (G, P): log s and noise
    total = precision.sum()
    level = (y @ precision.sum(axis=1)) / total
    residual = y - level[:, None]
    chi2 = np.einsum("gp,pq,gq->g", residual, precision, residual)
    log_weight = _log_prior((*prior.exponent, *prior.asymptote)) - chi2 / 2
    if least_share > 0:
        log_weight = np.where(grid.a < least_share - 0.05, -np.inf, log_weight)
    evidence = np.empty(len(FAMILIES))
    for k in range(len(FAMILIES)):
        rows = grid.family == k
        evidence[k] = logsumexp(log_weight[rows])
        if family_weight is not None and np.isfinite(evidence[k]):
            log_weight[rows] += family_weight[k] - evidence[k]
    log_weight = log_weight - logsumexp(log_weight)
    return Fit(log_weight, level, float(1 / total), float(n[-1]), prior, evidence)


# -- the points -----------------------------------------------------------------------------------------------------

# Variance of the log error of one training beside another on other examples, before any is seen: as a multiple of what
# sampling so many units gives (shares), or itself (other errors), and for how many degrees of freedom that counts.
NOISE_OF_SHARES, NOISE_OF_VALUES, NOISE_WEIGHT = 0.6, 0.03**2, 4.0


def log_errors(points: Sequence[Point], num_units: int | None) -> Floats:
    """(P,) log of the mean error; a share of which not one unit is wrong counts half a unit.

    num_units: what the error is a share of; None where it is no share.
    """
    errors = np.array([point.error for point in points], dtype=np.float64)
    if num_units is not None:
        errors = (errors * num_units + 0.5) / (num_units + 1)
    return np.asarray(np.log(np.maximum(errors, 1e-12)))


def noise_of_one(points: Sequence[Point], num_units: int | None) -> Floats:
    """(P,) variance of the log error of a single training at each point: the luck of its subset and its seed.

    One factor for all points, from how the resamples of each differ; between shares it follows the sampling variance
    (1 - e) / (e units), which grows as the error falls.
    """
    base = _base(np.exp(log_errors(points, num_units)), num_units)
    start = NOISE_OF_SHARES if num_units is not None else NOISE_OF_VALUES
    total, weight = NOISE_WEIGHT * start, NOISE_WEIGHT
    for point, of_sampling in zip(points, base, strict=True):
        if len(point.errors) > 1:
            values = log_errors([Point(point.n, (each,)) for each in point.errors], num_units)
            total += float(np.sum((values - values.mean()) ** 2)) / of_sampling
            weight += len(values) - 1
    return base * total / weight


def _base(errors: Floats, num_units: int | None) -> Floats:
    if num_units is None:
        return np.ones_like(errors)
    return np.asarray((1 - np.minimum(errors, 0.99)) / (errors * num_units))


# -- what is said ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Horizon:
    """What `times` the data would bring.

    low, likely, high: error of one training on n examples, on the units the curve was measured on.
    least, gain, most: how much lower than today's that is in the mean, without the luck of one training.
    tested: its back-test passed at this horizon or beyond; else it is indicative only.
    """

    times: float
    n: float
    low: float
    likely: float
    high: float
    least: float
    gain: float
    most: float
    tested: bool


@dataclass(frozen=True)
class Forecast:
    """A curve continued.

    n: the largest size seen. error, low, high: the error there, as the whole curve has it.
    horizons: what may be said; empty when not even twice the size may be.
    farthest: the largest horizon whose back-test passed; 0 when none did.
    widening: what the intervals were multiplied with (in log error) so that the back-tests are covered.
    weights: family -> its share in the answer. bands: (times, low, likely, high) along the way, for a plot.
    """

    n: float
    error: float
    low: float
    high: float
    horizons: tuple[Horizon, ...]
    farthest: float
    widening: float
    weights: Mapping[str, float]
    back_tests: tuple[BackTest, ...]
    bands: tuple[tuple[float, float, float, float], ...]

    def horizon(self, times: float) -> Horizon | None:
        return next((each for each in self.horizons if each.times == times), None)


def back_test(
    points: Sequence[Point],
    num_units: int | None,
    times: float,
    prior: Prior = LEARNED,
    level: float = LEVEL,
    least_shares: Sequence[float] | None = None,
) -> tuple[BackTest, Floats] | None:
    """Foretell the last point from those up to its size / times; and the log density of the truth by family.

    None where fewer than `FEWEST` points lie there.
    """
    n = np.array([point.n for point in points])
    kept = int(np.sum(n <= n[-1] / times * 1.02))
    if kept < FEWEST:
        return None
    y, one = log_errors(points, num_units), noise_of_one(points, num_units)
    share = 0.0 if least_shares is None else least_shares[kept - 1]
    made = fit(n[:kept], y[:kept], one[:kept] / _counts(points[:kept]), prior, share)
    foretold = math.exp(made.moments(n[-1], 0.0)[0])
    noise = float(_noise_at(foretold, points, one, num_units)) / len(points[-1].errors)
    mean, deviation = made.moments(n[-1], noise)
    z, half = (y[-1] - mean) / deviation, norm.ppf((1 + level) / 2) * deviation
    limits = (math.exp(mean - half), math.exp(mean), math.exp(mean + half))
    passed = abs(z) <= norm.ppf((1 + level) / 2) * MOST_WIDENING
    test = BackTest(times, kept, *limits, math.exp(y[-1]), float(z), bool(passed))
    return test, made.log_densities(n[-1], math.exp(y[-1]), noise)


def forecast(
    points: Sequence[Point],
    num_units: int | None,
    *,
    prior: Prior = LEARNED,
    level: float = LEVEL,
    horizons: Sequence[float] = HORIZONS,
    least_shares: Sequence[float] | None = None,
    seed: int = 0,
) -> Forecast:
    """Continue a curve as far as its back-tests carry.

    Args:
        points: by increasing n, at least `FEWEST`.
        num_units: what the errors are a share of, (of dev); None where they are no share.
        horizons: multiples of the largest n; each is said when its back-test and those before it pass.
        least_shares: (P,) the least asymptote that a fit of the first i points may have, as a share of point i's error.
    """
    tests, densities = [], np.zeros(len(FAMILIES))
    for times in horizons:
        found = back_test(points, num_units, times, prior, level, least_shares)
        if found is None:
            break
        tests.append(found[0])
        densities = densities + found[1]
    farthest = 0.0
    for test in tests:
        if not test.passed:
            break
        farthest = test.times
    z90 = float(norm.ppf((1 + level) / 2))
    widening = max([1.0, *(abs(test.z) / z90 for test in tests if test.passed)])

    n = np.array([point.n for point in points])
    y, one = log_errors(points, num_units), noise_of_one(points, num_units)
    share = 0.0 if least_shares is None else least_shares[-1]
    made = fit(n, y, one / _counts(points), prior, share, densities if tests else None)
    family = shapes().family
    weights = {name: float(np.exp(made.log_weight[family == k]).sum()) for k, name in enumerate(FAMILIES)}

    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(family), DRAWS, p=np.exp(made.log_weight))
    log_s = made.level[chosen] + rng.normal(0, math.sqrt(made.level_variance), DRAWS)
    walk, luck = rng.normal(size=DRAWS), rng.normal(size=DRAWS)
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]

    def widened(values: Floats) -> Floats:
        middle = np.median(values)
        return np.asarray(middle + widening * (values - middle))

    def at(times: float) -> tuple[Floats, Floats]:
        """Quantiles of the error of one training, and of the gain in the mean."""
        log_g = shapes().log_g(np.array([times]))[chosen, 0] + prior.stray * math.sqrt(math.log(times)) * walk
        noise = math.sqrt(_noise_at(float(np.exp(np.median(log_s + log_g))), points, one, num_units))
        errors = np.exp(np.quantile(widened(log_s + log_g + noise * luck), tails))
        errors[1] = np.exp(np.median(log_s + log_g))
        gains = np.exp(np.median(log_s)) * (1 - np.exp(widened(log_g)))
        return errors, np.quantile(gains, tails)

    said = []
    for times in horizons:
        if times <= farthest:
            errors, gains = at(times)
            low, likely, high = (float(error) for error in errors)
            least, gain, most = (float(each) for each in gains)
            said.append(Horizon(times, float(n[-1] * times), low, likely, high, least, gain, most, times <= 2))
    now = np.exp(np.quantile(log_s, tails))
    bands = (
        [(float(times), *map(float, at(times)[0])) for times in np.geomspace(1.0001, farthest, 9)] if farthest else []
    )
    return Forecast(
        float(n[-1]), float(now[1]), float(now[0]), float(now[2]), tuple(said), farthest, widening, weights,
        tuple(tests), tuple(bands),  # type: ignore[arg-type]
    )  # fmt: skip


def _counts(points: Sequence[Point]) -> Floats:
    return np.array([len(point.errors) for point in points], dtype=np.float64)


def _noise_at(error: float, points: Sequence[Point], one: Floats, num_units: int | None) -> float:
    """Variance of the log error of a single training where the error is `error`."""
    if num_units is None:
        return float(one[-1])
    error = max(error, 0.5 / (num_units + 1))
    last = math.exp(log_errors(points, num_units)[-1])
    factor = one[-1] / _base(np.array([last]), num_units)[0]
    return float(factor * _base(np.array([error]), num_units)[0])
