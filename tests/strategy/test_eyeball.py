"""Which part of dev is looked at: sizes, shares, and whether a system was fitted to what people saw."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.errors import RunError, UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.eyeball import by_eye, divide, halves_of, turn, turn_of

ERROR = classification_metrics(["a", "b"])["error"]


def dev(n: int, error: float, seed: int = 0, groups=None) -> Scores:
    rng = np.random.default_rng(seed)
    wrong = np.zeros(n)
    wrong[rng.permutation(n)[: round(n * error)]] = 1
    truth = rng.integers(0, 2, n)
    return Scores({"wrong": wrong, "truth": truth, "loss": wrong + 0.1}, np.arange(1000, 1000 + n), groups)


@pytest.mark.parametrize(
    ("n", "error", "eyeball", "wanted"),
    [
        (10_000, 0.1, 1000, None),  # 100 mistakes
        (10_000, 0.02, 5000, None),
        (1000, 0.1, 700, None),  # 70 mistakes, 300 examples unseen
        (500, 0.1, 200, None),  # 20 mistakes, 300 unseen: just enough
        (490, 0.1, 490, 1300),  # 19 mistakes would be shown: all of it is
        (359, 0.03, 359, 3564),  # 11 mistakes: 100 of them in 3,264, and 300 more
        (5000, 0.0, 5000, None),  # no mistake, no size
    ],
)
def test_the_sizes_hold_a_hundred_mistakes_and_leave_three_hundred_examples(n, error, eyeball, wanted):
    halves = divide(dev(n, error), "k")
    assert len(halves.eyeball) == eyeball
    assert len(halves.blackbox) == n - eyeball
    assert halves.wanted_dev == wanted
    assert halves.whole == (eyeball == n)
    if wanted:
        assert "too few to show 20 mistakes and keep 300 examples unseen; about" in halves.reason


def test_values_have_no_mistakes_and_a_hundred_examples_are_looked_at():
    scores = Scores({"loss": np.arange(1000.0), "truth": np.arange(1000.0)}, np.arange(1000))
    assert len(divide(scores, "k").eyeball) == 100


@given(n=st.integers(1, 3000), error=st.floats(0, 1), key=st.text(max_size=5))
def test_every_example_lies_in_one_part_and_the_same_key_gives_the_same(n, error, key):
    scores = dev(n, error)
    halves = divide(scores, key)
    together = np.concatenate([halves.eyeball, halves.blackbox, halves.seen])
    assert np.array_equal(np.sort(together), scores.ids)
    assert halves.whole or len(halves.blackbox) >= 300
    assert np.array_equal(divide(scores, key).eyeball, halves.eyeball)


def test_each_class_has_its_share():
    scores = dev(4000, 0.1)
    scores.records["truth"][:] = np.arange(4000) % 20 == 0  # a class of 5 %
    inside = np.isin(scores.ids, divide(scores, "k").eyeball)
    assert inside.sum() == 1000
    assert scores.records["truth"][inside].sum() in (49, 50, 51)


def test_a_person_lies_in_one_part():
    scores = dev(3000, 0.1, groups=np.repeat(np.arange(300), 10).astype(str))
    inside = np.isin(scores.ids, divide(scores, "k").eyeball)
    assert 900 <= inside.sum() <= 1000
    assert not set(scores.groups[inside]) & set(scores.groups[~inside])


def test_another_part_is_taken_as_long_as_enough_is_unseen():
    scores = dev(2500, 0.1)
    first = divide(scores, "k", "0001")
    second = turn(first, scores, "k")
    assert not np.intersect1d(first.eyeball, second.eyeball).size
    assert (len(second.eyeball), len(second.blackbox), len(second.seen)) == (1000, 500, 1000)
    assert "1,000 were looked at before" in second.reason
    with pytest.raises(UsageError, match=r"only 500 dev examples are still unseen: 1,000 to look at") as stop:
        turn(second, scores, "k")
    assert "fresh dev set" in stop.value.remedy
    with pytest.raises(UsageError, match="only 0 dev examples"):
        turn(divide(dev(300, 0.1), "k"), dev(300, 0.1), "k")


def test_fitted_by_eye_is_seen_and_its_clean_twin_is_not():
    scores = dev(4000, 0.1)
    halves = divide(scores, "k")
    assert not by_eye(halves, scores, ERROR, 0.01).material
    seen = np.isin(scores.ids, halves.eyeball)
    scores.records["wrong"][seen] *= np.arange(seen.sum()) % 3 == 0  # two of three seen mistakes were mended
    found = by_eye(halves, scores, ERROR, 0.01)
    assert found.material
    assert found.gap == pytest.approx(found.blackbox_error - found.eyeball_error)
    assert found.low < found.gap < found.high
    assert by_eye(divide(dev(300, 0.1), "k"), dev(300, 0.1), ERROR, 0.01) is None


def test_chance_alone_is_rarely_taken_for_an_eye():
    alarms = 0
    for seed in range(200):
        scores = dev(1500, 0.1, seed)
        alarms += by_eye(divide(scores, str(seed)), scores, ERROR, 0.01).material
    assert alarms <= 10  # at most 5 %


def test_an_error_in_dollars_has_parts_too():
    rng = np.random.default_rng(0)
    miss = rng.normal(0, 10, 2000)
    scores = Scores({"loss": miss**2, "squared": miss**2, "absolute": abs(miss), "truth": miss * 0}, np.arange(2000))
    halves = divide(scores, "k")
    found = by_eye(halves, scores, regression_metrics("USD")["rmse"], 0.5)
    assert found.unit == "USD"
    assert not found.material


def test_it_is_divided_once_a_project(tmp_path: Path):
    first = halves_of(tmp_path, "key", dev(2000, 0.1), "0001")
    later = halves_of(tmp_path, "key", dev(2000, 0.5, seed=1), "0002")
    assert np.array_equal(first.eyeball, later.eyeball)
    assert later.run == "0001"
    path = tmp_path / "eyeball/key.json"
    assert json.loads(path.read_text())["format"] == 1
    path.write_text("{")
    with pytest.raises(RunError, match="which part of dev is looked at cannot be read") as stop:
        halves_of(tmp_path, "key", dev(2000, 0.1), "0003")
    assert str(path) in stop.value.where
    assert "delete it" in stop.value.remedy


def test_a_turn_is_kept(tmp_path: Path):
    scores = dev(2500, 0.1)
    halves_of(tmp_path, "key", scores, "0001")
    turned = turn_of(tmp_path, "key", scores, "0002")
    again = halves_of(tmp_path, "key", scores, "0003")
    assert again.turns == 1
    assert np.array_equal(again.eyeball, turned.eyeball)
