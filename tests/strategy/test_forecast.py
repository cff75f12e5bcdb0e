"""Forecasts of curves whose continuation is known by construction."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.strategy import forecast as fc
from orthogon.strategy.forecast import Point, Prior, forecast

SHARES = (0.1, 0.15, 0.22, 0.33, 0.5, 0.7, 1.0)


def drawn(error: Callable[[float], float], n: int, units: int, seed: int, resamples: int = 3) -> list[Point]:
    """Errors of a known curve, each training measured on `units` of which it gets a binomial number wrong."""
    rng = np.random.default_rng(seed)
    return [Point(s * n, tuple(rng.binomial(units, error(s * n), 1 if s == 1 else resamples) / units)) for s in SHARES]


def test_shapes_are_one_at_the_end_and_fall_as_written() -> None:
    grid = fc.shapes()
    assert np.allclose(grid.log_g(np.array([1.0])), 0)
    assert np.all(np.diff(grid.log_g(np.geomspace(0.1, 4, 9)), axis=1) < 0)
    one = fc.Shapes(np.array([0, 1, 2, 3]), np.array([0, 0.3, 0.3, 0.3]), np.full(4, 0.5), np.array([0, 0, 0.1, 0.2]))
    expected = [
        2**-0.5,
        0.3 + 0.7 * 2**-0.5,
        0.3 + 0.7 * (2.1 / 1.1) ** -0.5,
        0.3 + 0.7 * (1 + 0.2**-0.5) / (1 + 10**0.5),
    ]
    assert np.exp(one.log_g(np.array([2.0])))[:, 0] == pytest.approx(expected)


def test_the_fit_is_generalised_least_squares() -> None:
    """With one shape left, the level is the weighted mean of log e - log g, the noise and the walk as covariance."""
    n = np.array([25.0, 50.0, 100.0])
    y, noise, prior = np.log([0.4, 0.3, 0.2]), np.array([0.01, 0.02, 0.03]), Prior((0.0, 1.0), (1.0, 1.0), 0.1)
    made = fc.fit(n, y, noise, prior)
    walk = 0.01 * np.array([[math.log(4), math.log(2), 0], [math.log(2), math.log(2), 0], [0, 0, 0]])
    precision = np.linalg.inv(walk + np.diag(noise))
    shape = 37
    z = y - fc.shapes().log_g(n / 100)[shape]
    assert made.level[shape] == pytest.approx(np.ones(3) @ precision @ z / precision.sum())
    assert made.level_variance == pytest.approx(1 / precision.sum())
    assert np.exp(made.log_weight).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "error",
    [lambda n: 3 * n**-0.5, lambda n: 0.1 + 2 * n**-0.5, lambda n: 0.03 + 0.4 * (1 + 1) / (1 + (n / 300) ** 0.9)],
    ids=["power law", "with an asymptote", "with a plateau"],
)
def test_a_clean_curve_is_continued_to_its_true_values(error: Callable[[float], float]) -> None:
    found = forecast(drawn(error, 1000, 10**7, 0), 10**7)
    assert found.farthest == 4
    for times in (2.0, 4.0):
        horizon = found.horizon(times)
        assert horizon is not None
        truth = error(1000 * times)
        assert horizon.low < truth < horizon.high
        assert horizon.likely == pytest.approx(truth, rel=0.04 * times)
        assert horizon.least < error(1000) - truth < horizon.most


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Curves drawn from the prior, stray and sampling noise included: 9 of 10 intervals hold one more training."""
    rng = np.random.default_rng(0)
    grid, prior = fc.shapes(), fc.LEARNED
    weight = np.exp(fc._log_prior((*prior.exponent, *prior.asymptote)))
    held, said, units = 0, 0, 2000
    for _ in range(80):
        shape = rng.choice(len(weight), p=weight / weight.sum())
        sizes = np.array([*SHARES, 2.0, 4.0])
        one = fc.Shapes(*(column[[shape]] for column in (grid.family, grid.a, grid.c, grid.d)))
        steps = rng.normal(size=len(sizes)) * prior.stray * np.sqrt(np.abs(np.diff(np.log(sizes), append=math.log(4))))
        walk = np.concatenate([-np.cumsum(steps[:6][::-1])[::-1], [0.0], np.cumsum(steps[6:8])])
        errors = 0.1 * np.exp(one.log_g(sizes)[0] + walk)
        if errors[0] > 0.9:  # no share
            continue
        points = [
            Point(1000 * size, tuple(rng.binomial(units, error, 1 if size == 1 else 3) / units))
            for size, error in zip(sizes[:7], errors[:7], strict=True)
        ]
        found = forecast(points, units)
        for times, error in ((2.0, errors[7]), (4.0, errors[8])):
            horizon = found.horizon(times)
            if horizon is not None:
                said += 1
                held += horizon.low <= rng.binomial(units, error) / units <= horizon.high
    assert said >= 80
    assert held / said >= 0.84  # 0.9 less two standard errors; the back-test can only widen


def test_a_curve_that_breaks_its_own_past_is_not_continued() -> None:
    """Flat to a third of the data and then falling steeply: cut at half, it foretells the wrong end."""
    points = [Point(1000 * s, (0.4,) * 3 if s < 0.6 else (0.4 * 0.25,) * 3) for s in SHARES]
    found = forecast(points, 10_000)
    assert not found.back_tests[0].passed
    assert found.farthest == 0
    assert not found.horizons
    assert not found.bands


def test_a_back_test_that_is_missed_a_little_widens_the_intervals_to_cover_it() -> None:
    points = drawn(lambda n: 3 * n**-0.5, 1000, 10**7, 0)
    bent = [*points[:-1], Point(1000, tuple(1.1 * e for e in points[-1].errors))]
    straight, found = forecast(points, 10**7), forecast(bent, 10**7)
    missed = [test for test in found.back_tests if test.passed and abs(test.z) > 1.645]
    assert missed
    assert found.widening == pytest.approx(max(abs(test.z) for test in missed) / 1.6449, rel=1e-3)
    a, b = straight.horizons[0], found.horizons[0]
    assert math.log(b.high / b.low) > 1.2 * math.log(a.high / a.low)


def test_the_asymptote_is_bounded_by_what_is_known_of_it() -> None:
    points = drawn(lambda n: 0.2 * n**-0.3 * 10, 1000, 2000, 1)
    free, bounded = forecast(points, 2000), forecast(points, 2000, least_shares=[0.9] * len(points))
    assert bounded.horizons[0].gain < free.horizons[0].gain
    assert bounded.horizons[-1].low > 0.8 * bounded.error


def test_no_mistake_at_all_is_foretold_without_infinities() -> None:
    points = [Point(100 * s, (max(0.0, 0.3 - 0.35 * s),)) for s in SHARES]
    found = forecast(points, 50)
    assert all(math.isfinite(v) for h in found.horizons for v in (h.low, h.likely, h.high))


@settings(max_examples=6, deadline=None)
@given(scale=st.floats(1e-3, 1e4), c=st.floats(0.1, 1.0))
def test_errors_that_are_no_share_are_foretold_in_any_unit(scale: float, c: float) -> None:
    rng = np.random.default_rng(3)
    points = [Point(500 * s, tuple((500 * s) ** -c * np.exp(rng.normal(0, 0.02, 3)))) for s in SHARES]
    other = [Point(p.n, tuple(scale * e for e in p.errors)) for p in points]
    for a, b in zip(forecast(points, None).horizons, forecast(other, None).horizons, strict=True):
        assert b.likely == pytest.approx(scale * a.likely, rel=1e-6)
        assert b.gain == pytest.approx(scale * a.gain, rel=1e-6, abs=1e-9 * scale)
