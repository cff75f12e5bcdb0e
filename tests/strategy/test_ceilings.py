"""What mending one kind of mistake could bring: the textbook's figures, intervals that cover, and what weighs alike."""

import numpy as np
import pytest

from orthogon.metrics.intervals import estimate, proportion, wilson, z_of
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.ceilings import ceilings, names_of, product, shares_of

SHARES = {"dog": 8, "great cat": 43, "blurry": 61, "filter": 12}  # of 100 mistakes


def tagged():
    """100 mistakes with these tags; dogs come first, blurry ones last, so they overlap where they must."""
    m = 100
    who = {
        "dog": np.arange(m) < 8,
        "great cat": (np.arange(m) >= 8) & (np.arange(m) < 51),
        "blurry": np.arange(m) >= 39,
        "filter": np.arange(m) % 8 == 0,
    }
    who["filter"][-1] = False
    who["filter"][np.flatnonzero(who["filter"])[12:]] = False
    return who


@pytest.mark.system("strat.ceiling")
def test_the_textbooks_ceilings():
    """10 % error: mending dogs 9.2, great cats 5.7, blurry 3.9, filters 8.8."""
    found = ceilings(proportion(100, 1000), tagged(), 100)
    rows = {row.name: row for row in found.rows}
    assert {name: row.count for name, row in rows.items()} == SHARES
    at_best = {name: round(100 * row.error, 1) for name, row in rows.items()}
    assert at_best == {"dog": 9.2, "great cat": 5.7, "blurry": 3.9, "filter": 8.8}
    assert [row.name for row in found.rows] == ["blurry", "great cat", "filter", "dog"]
    assert sum(row.share for row in found.rows) == pytest.approx(1.24)
    for row in found.rows:
        assert (row.share_low, row.share_high) == pytest.approx([float(x) for x in wilson(row.count, 100, z_of(0.95))])
        assert row.gain_low < row.gain < row.gain_high
        assert row.gain + row.error == pytest.approx(0.1)
    assert "shares add up to 124 %" in found.summary()


@pytest.mark.system("strat.ceiling")
@pytest.mark.parametrize(("dogs", "at_best"), [(5, 0.095), (50, 0.05)])
def test_five_dogs_of_a_hundred_and_fifty_of_a_hundred(dogs, at_best):
    found = ceilings(proportion(100, 1000), {"dog": np.arange(100) < dogs}, 100)
    assert found.rows[0].error == pytest.approx(at_best)


def test_overlap_and_what_a_tag_has_alone():
    found = ceilings(proportion(100, 1000), tagged(), 100)
    pairs = {(a, b): n for a, b, n in found.overlap}
    who = tagged()
    assert pairs["great cat", "blurry"] == 12
    assert found.overlap[0][2] == max(pairs.values())
    total = np.sum(list(who.values()), axis=0)
    for row in found.rows:
        assert row.alone == int((who[row.name] & (total == 1)).sum())
        assert row.alone_gain == pytest.approx(0.1 * row.alone / 100)
    assert found.untagged == int((total == 0).sum())


def test_hours_of_work_decide_the_order():
    hours = {"blurry": 40.0, "dog": 0.5}
    names = [row.name for row in ceilings(proportion(100, 1000), tagged(), 100, hours=hours).rows]
    assert names == ["dog", "blurry", "great cat", "filter"]  # those without hours stand below


def test_nothing_looked_at_and_nothing_tagged():
    assert ceilings(proportion(100, 1000), {}, 0).summary() == "No mistake has been looked at yet."
    found = ceilings(proportion(100, 1000), {"dog": np.zeros(7, bool)}, 7, of=90)
    assert (found.rows, found.untagged) == ((), 7)
    assert "7 of 90 mistakes looked at, 7 without a tag" in found.summary()


def test_looking_at_all_of_dev_is_wilsons_interval_of_those_mistakes():
    """e m_t / m = m_t / n when all k mistakes of n were looked at: the joined interval is that of m_t of n, nearly."""
    low, high = product(proportion(200, 2000), proportion(60, 200))(z_of(0.95))
    straight = [float(x) for x in wilson(60, 2000, z_of(0.95))]
    assert [low, high] == pytest.approx(straight, abs=0.0015)


@pytest.mark.parametrize(
    ("error", "share", "n", "m"), [(0.1, 0.1, 1000, 100), (0.05, 0.5, 400, 20), (0.3, 0.02, 500, 60)]
)
def test_the_interval_covers(error, share, n, m):
    """10,000 draws would cover 95 %; 2,000 at least 93.5 %. (Not tight: two extremes seldom meet.)"""
    rng = np.random.default_rng(0)
    z, cache, covered = z_of(0.95), {}, 0
    for k, mt in zip(rng.binomial(n, error, 2000), rng.binomial(m, share, 2000), strict=True):
        if (k, mt) not in cache:
            cache[k, mt] = product(proportion(int(k), n), proportion(int(mt), m))(z)
        low, high = cache[k, mt]
        covered += low <= error * share <= high
    assert covered / 2000 >= 0.935


def test_mistakes_in_dollars_weigh_by_what_they_cost():
    """20 houses of 200 miss by 30, the rest by 10: without them the root mean square falls from 13.4 to 10."""
    miss = np.where(np.arange(200) < 20, 30.0, 10.0)
    scores = Scores({"squared": miss**2, "truth": miss, "loss": miss**2}, np.arange(200))
    metric = regression_metrics("USD")["rmse"]
    who = {"coast": np.arange(200) < 20, "all": np.ones(200, bool)}
    shares = shares_of(scores, metric, who)
    assert shares["coast"].value == pytest.approx(1 - 10 / np.sqrt((20 * 900 + 180 * 100) / 200))
    low, high = shares["coast"].limits(z_of(0.95))
    assert 0.1 < low < shares["coast"].value < high < 0.4
    found = ceilings(estimate(scores, metric), who, 200, shares=shares, unit="USD")
    assert {row.name: round(row.error, 6) for row in found.rows} == {"coast": 10.0, "all": 0.0}
    assert "USD" in str(found)


def test_tags_of_each_become_who_has_which():
    who = names_of([("a", "b"), (), ("b",)], ["b", "c"])
    assert list(who) == ["b", "c", "a"]
    assert who["b"].tolist() == [True, False, True]
    assert not who["c"].any()
