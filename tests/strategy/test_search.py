"""Random beats the grid, coarse-to-fine beats one round, a planted optimum is found, and what the walls say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from orthogon.strategy.search import (
    Box,
    at_walls,
    best_so_far,
    random_point,
    round_of,
    sobol_point,
    zoomed,
)
from orthogon.training.space import Parameter


@pytest.mark.system("hp.random")
def test_random_points_beat_a_grid_where_a_parameter_is_idle() -> None:
    """25 of each. The grid tries 5 values of the parameter that matters, random trials 25; theory says some 81 %."""
    cells = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    grid = np.array([(x, y) for x in cells for y in cells])
    wins = 0
    for problem in range(200):
        best = np.random.default_rng([1, problem]).random()
        drawn = np.array([random_point(problem, number, 2) for number in range(25)])
        wins += np.abs(drawn[:, 0] - best).min() < np.abs(grid[:, 0] - best).min()
    assert wins / 200 >= 0.70
    assert len(np.unique(grid[:, 0])) == 5
    assert len(np.unique(drawn[:, 0])) == len(np.unique(drawn[:, 1])) == 25


def found(points: np.ndarray, optimum: np.ndarray, rounds: int, weights: np.ndarray) -> float:
    """The error of the best of these trials, their points taken in boxes that are drawn anew each round."""
    box, tried, values, before = Box.whole(len(optimum)), [], [], 0
    for number, u in enumerate(points):
        here = round_of(number, len(points), rounds)
        if here != before:
            box, before = zoomed(np.array(tried), np.array(values), box), here
        tried.append(box.at(u))
        values.append(float((weights * (tried[-1] - optimum) ** 2).sum()))
    return min(values)


@pytest.mark.system("hp.coarse-fine")
@pytest.mark.parametrize("d", [1, 2, 4])
def test_two_rounds_of_25_beat_one_of_50(d: int) -> None:
    one, two, three = [], [], []
    for seed in range(40):
        optimum = np.random.default_rng([2, seed]).uniform(0.05, 0.95, d)
        points = qmc.Sobol(d, rng=seed).random(64)[:50]
        for rounds, errors in ((1, one), (2, two), (3, three)):
            errors.append(found(points, optimum, rounds, np.ones(d)))
    assert np.median(two) < 0.7 * np.median(one)
    assert np.median(three) < np.median(two)


@pytest.mark.system("hp.coarse-fine", "hp.log-scale")
def test_a_planted_rate_is_recovered() -> None:
    """A rate of 10^-3.7 is best; beside it two parameters that matter less, and one that does not. 30 trials."""
    lr, width = Parameter("log", 1e-6, 1.0), Parameter("log_int", 8, 512)
    laws = [lr, width, Parameter("linear", 0.0, 0.6), Parameter("one_minus_log", 0.8, 0.99)]
    errors = []
    for seed in range(20):
        points = qmc.Sobol(4, rng=seed).random(32)[:30]
        box, tried, values, before = Box.whole(4), [], [], 0
        noise = np.random.default_rng([3, seed]).normal(0, 0.002, 30)
        for number, u in enumerate(points):
            if round_of(number, 30) != before:
                box, before = zoomed(np.array(tried), np.array(values), box), round_of(number, 30)
            tried.append(box.at(u))
            rate, units, drop, _ = (law.at(place) for law, place in zip(laws, tried[-1], strict=True))
            values.append(
                0.05 * (math.log10(rate) + 3.7) ** 2
                + 0.01 * math.log2(units / 64) ** 2
                + 0.1 * (drop - 0.2) ** 2
                + noise[number]
            )
        errors.append(abs(math.log10(lr.at(tried[int(np.argmin(values))][0])) + 3.7))
    assert np.median(errors) < 0.2  # of the six decades that were searched
    assert np.quantile(errors, 0.9) < 0.5


def test_points_are_functions_of_seed_and_number() -> None:
    for draw in (random_point, sobol_point):
        assert np.array_equal(draw(3, 5, 4), draw(3, 5, 4))
        assert not np.array_equal(draw(3, 5, 4), draw(3, 6, 4))
        assert not np.array_equal(draw(3, 5, 4), draw(4, 5, 4))
    whole = qmc.Sobol(3, scramble=True, rng=7).random(8)
    assert np.allclose([sobol_point(7, number, 3) for number in range(8)], whole)


def test_each_round_takes_half_of_what_is_left() -> None:
    assert np.bincount([round_of(i, 40) for i in range(40)]).tolist() == [20, 10, 10]
    assert np.bincount([round_of(i, 50, 2) for i in range(50)]).tolist() == [25, 25]
    assert {round_of(i, 10, 1) for i in range(10)} == {0}
    assert round_of(99, 10) == 2  # more than was planned: still the last


def test_the_box_is_drawn_around_the_best_and_reaches_past_a_wall() -> None:
    points = np.linspace(0, 1, 21)[:, None]
    middle = zoomed(points, np.abs(points[:, 0] - 0.5), Box.whole(1))
    assert 0.3 < middle.low[0] < 0.5 < middle.high[0] < 0.7
    inner = Box(np.array([0.4]), np.array([0.6]))
    tried = inner.at(points)
    beyond = zoomed(tried, -tried[:, 0], inner)  # the best lies at the upper wall
    assert beyond.high[0] == pytest.approx(0.65)
    assert beyond.low[0] > 0.5
    assert zoomed(points, points[:, 0], Box.whole(1)).low[0] == 0  # the range has no more


def test_too_few_trials_or_failed_ones_move_no_box() -> None:
    box = Box.whole(2)
    assert zoomed(np.zeros((3, 2)), np.arange(3.0), box) is box
    assert zoomed(np.zeros((9, 2)), np.full(9, np.nan), box) is box


def test_a_choice_the_best_made_is_drawn_more_often_and_none_is_lost() -> None:
    choice = Parameter("choice", choices=("a", "b", "c"))
    points = np.array([[choice.place("abc"[i % 3])] for i in range(24)])
    values = np.array([0.0 if i % 3 == 1 else 1.0 for i in range(24)])
    box = zoomed(points, values, Box.whole(1), {0: 3})
    drawn = [choice.at(box.at(np.array([u]))[0]) for u in np.linspace(0, 1, 900, endpoint=False)]
    shares = {name: drawn.count(name) / 900 for name in "abc"}
    assert shares["b"] == pytest.approx(7 / 9, abs=0.01)
    assert min(shares.values()) > 0.1


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_best_so_far_falls_to_the_best_and_holds_its_interval(values: list[float]) -> None:
    curve = best_so_far(values, orders=200)
    assert curve.shape == (len(values), 3)
    assert np.allclose(curve[-1], min(values))
    assert (np.diff(curve[:, 0]) <= 1e-12).all()
    assert (curve[:, 1] <= curve[:, 2]).all()


def test_the_best_of_k_is_what_theory_says() -> None:
    """Of the values 1..n the mean of the least of k drawn without replacement is (n + 1) / (k + 1)."""
    curve = best_so_far(list(range(1, 21)), orders=20_000)
    for k in (1, 2, 5, 10):
        assert curve[k - 1, 0] == pytest.approx(21 / (k + 1), rel=0.02)


def test_a_best_value_at_the_end_of_its_range_is_named() -> None:
    space = {
        "training.lr": Parameter("log", 1e-4, 1e-1),
        "task.depth": Parameter("int", 1, 3),
        "task.dropout": Parameter("linear", 0, 0.6),
        "task.cell": Parameter("choice", choices=("lstm", "gru")),
        "training.weight_decay": Parameter("log", 1e-4, 1.0),
    }
    best = {
        "training.lr": 0.09,
        "task.depth": 2,
        "task.dropout": 0.01,
        "task.cell": "lstm",
        "training.weight_decay": 0.0,  # outside: the default of the config, which no range holds
    }
    assert at_walls(space, best) == {"training.lr": "high", "task.dropout": "low"}
    assert at_walls(space, {**best, "task.depth": 3})["task.depth"] == "high"
