"""Rows -> network inputs: scaling worked by hand, levels, gaps, dates, and that nothing is learned twice."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orthogon.data.encode import UNKNOWN, RowEncoder
from orthogon.errors import DataError


def fit(frame: pd.DataFrame, **kinds: str) -> RowEncoder:
    return RowEncoder.fit(frame, kinds, min_count=2)


def test_scaling_worked_by_hand():
    # median 3, quartiles 2 and 4: z = (x - 3) / 2, then z / sqrt(1 + (z / 3)²)
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5]})
    x, c = fit(frame, x="number").encode(pd.DataFrame({"x": [3.0, 9.0, -3.0, 1e300]}))
    np.testing.assert_allclose(x[:, 0], [0, 3 / np.sqrt(2), -3 / np.sqrt(2), 3], rtol=1e-6)
    assert c.shape == (4, 0)


def test_a_gap_becomes_the_median_and_a_flag():
    frame = pd.DataFrame({"x": [1.0, np.nan, 3, 4, 5], "y": [1.0, 2, 3, 4, 5]})
    encoder = fit(frame, x="number", y="number")
    x, _ = encoder.encode(frame)
    assert encoder.num_numbers == 3
    np.testing.assert_array_equal(x[:, 2], [0, 1, 0, 0, 0])
    assert x[1, 0] == 0
    assert encoder.positions("x") == ([0, 2], [])
    assert encoder.positions("y") == ([1], [])


def test_infinite_numbers_are_gaps():
    encoder = fit(pd.DataFrame({"x": [1.0, 2, np.inf, 4]}), x="number")
    assert encoder.numbers[0].missing
    assert encoder.numbers[0].high == 4


def test_levels_by_frequency_with_rare_pooled_unknown_first_and_missing_a_level():
    frame = pd.DataFrame({"c": ["a", "b", "b", "b", "a", "rare", None, None, None, None]})
    encoder = fit(frame, c="category")
    assert encoder.categories[0].levels == (None, "b", "a")
    assert encoder.categories[0].pooled == 1
    _, c = encoder.encode(pd.DataFrame({"c": ["a", "rare", None, "new", "b"]}))
    np.testing.assert_array_equal(c[:, 0], [3, UNKNOWN, 1, UNKNOWN, 2])


def test_missing_is_unknown_where_train_has_no_gap():
    encoder = fit(pd.DataFrame({"c": ["a", "a", "b", "b"]}), c="category")
    _, c = encoder.encode(pd.DataFrame({"c": [None, "b"]}))
    np.testing.assert_array_equal(c[:, 0], [UNKNOWN, 2])


@pytest.mark.parametrize("make", [list, lambda v: pd.Categorical(v), lambda v: pd.Series(v, dtype="string")])
def test_one_text_for_a_level_however_it_is_stored(make: object):
    encoder = fit(pd.DataFrame({"c": ["1", "1", "2", "2"]}), c="category")
    _, c = encoder.encode(pd.DataFrame({"c": make(["2", "1"])}))  # type: ignore[operator]
    np.testing.assert_array_equal(c[:, 0], [2, 1])
    _, c = encoder.encode(pd.DataFrame({"c": [2.0, 1.0]}))
    np.testing.assert_array_equal(c[:, 0], [2, 1])


def test_levels_of_a_categorical_that_train_does_not_show_are_unknown():
    train = pd.DataFrame({"c": pd.Categorical(["a", "a", "b", "b"], categories=["a", "b", "z"])})
    encoder = fit(train, c="category")
    assert "z" not in encoder.categories[0].levels
    _, c = encoder.encode(pd.DataFrame({"c": ["z"]}))
    assert c[0, 0] == UNKNOWN


def test_ten_thousand_levels():
    frame = pd.DataFrame({"c": [f"level {i % 10_000}" for i in range(30_000)]})
    encoder = RowEncoder.fit(frame, {"c": "category"}, min_count=2, max_levels=4_000)
    assert len(encoder.categories[0].levels) == 4_000
    assert encoder.categories[0].pooled == 6_000
    _, c = encoder.encode(frame)
    assert len(np.unique(c)) == 4_001


def test_date_parts():
    frame = pd.DataFrame({"when": pd.to_datetime(["1970-01-02 06:30", "1971-03-01 00:00", None])})
    encoder = fit(frame, when="date")
    assert [column.name for column in encoder.numbers] == [f"when ({part})" for part in (
        "days", "month", "day", "weekday", "hour")]  # fmt: skip
    days, month, day, weekday, hour = (raw[:2].tolist() for raw in encoder._raw(frame))
    assert days == [1 + 6.5 / 24, 424.0]
    assert (month, day, weekday, hour) == ([1, 3], [2, 1], [4, 0], [6.5, 0])


def test_constant_and_empty_columns_are_not_seen_and_nothing_left_is_refused():
    frame = pd.DataFrame({"same": [1.0, 1, 1], "empty": [np.nan] * 3, "word": ["a", "a", "a"]})
    with pytest.raises(DataError, match=r"same, empty, word: no column is left to learn from.*\n.*data\.types\.COLUMN"):
        fit(frame, same="number", empty="number", word="category")


def test_unlike_train_is_1_at_the_edge_and_more_outside():
    frame = pd.DataFrame({"x": [0.0, 5, 10], "c": ["a", "a", "b"]})
    encoder = RowEncoder.fit(frame, {"x": "number", "c": "category"}, min_count=1)
    new = pd.DataFrame({"x": [5.0, 10, 15, 5, np.nan], "c": ["a", "b", "a", "new", "a"]})
    np.testing.assert_allclose(encoder.unlike_train(new), [0, 1, 2, 1.5, 1.5])


def test_state_is_json_and_gives_the_same_encoder():
    frame = pd.DataFrame({"x": [0.5, np.nan, 10, 3], "c": ["a", None, "b", "a"]})
    encoder = fit(frame, x="number", c="category")
    again = RowEncoder.from_state(json.loads(json.dumps(encoder.state())))
    for ours, theirs in zip(encoder.encode(frame), again.encode(frame), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=30),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=10),
)
@example([0.0, 0.0, 6.6e-146], [5.9e162])
def test_whatever_the_numbers_the_inputs_are_finite_and_bounded(train: list[float], new: list[float]):
    try:
        encoder = fit(pd.DataFrame({"x": train}), x="number")
    except DataError:
        return
    x, _ = encoder.encode(pd.DataFrame({"x": new}))
    assert np.isfinite(x).all()
    assert (np.abs(x) <= 3).all()


def test_rows_are_encoded_one_by_one():
    frame = pd.DataFrame({"x": [0.5, np.nan, 10, 3], "c": ["a", None, "b", "a"]})
    encoder = fit(frame, x="number", c="category")
    whole = encoder.encode(frame)
    for i in range(len(frame)):
        for ours, one in zip(whole, encoder.encode(frame[i : i + 1]), strict=True):
            np.testing.assert_array_equal(ours[i : i + 1], one)
