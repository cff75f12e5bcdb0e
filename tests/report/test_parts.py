"""How numbers are written, where bars stand, how pictures fit a budget."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.report import words
from orthogon.report.bars import Value, bars, ladder
from orthogon.report.pictures import encode, overlay
from orthogon.report.render import clip, flatten
from orthogon.strategy.diagnosis import Diagnosis, Gap, Rung
from orthogon.tasks.task import Card


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (850, "850"), (0.482, "0.482"), (0.16, "0.16"), (12.345, "12.3"), (45_629.4, "45,629"),
        (-0.5, "−0.5"), (0.00012, "0.00012"), (3e-9, "3.00e−09"), (1.5e9, "1.50e+09"), (float("nan"), "–"),
        (float("inf"), "–"),        (9.999, "10"), (1234567.8, "1,234,568"),
    ],
)  # fmt: skip
def test_numbers_have_three_figures(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0174, "1.7"),
        (1.0, "100"),
        (0.999, "99.9"),
        (0.0005, "0.05"),
        (-0.03, "−3.0"),
        (0.9999, "100"),
        (2e-5, "0"),
    ],
)
def test_shares_are_written_as_percent(value: float, text: str) -> None:
    assert words.share(value) == text


def test_errors_gaps_and_spans_carry_their_unit() -> None:
    assert words.error(0.0174, "%") == "1.7 %"
    assert words.error(0.482, "nats") == "0.482 nats"
    assert words.error(2.0, "") == "2"
    assert words.gap(0.016, "%") == "+1.6 points"
    assert words.gap(-0.016, "%") == "−1.6 points"
    assert words.gap(0.0, "%") == "0 points"
    assert words.gap(16_454.0, "USD") == "+16,454 USD"
    assert words.at_most(0.016, "%") == "at most 1.6 points"
    assert words.span(0.009, 0.03, "%") == "[0.9, 3.0]"
    assert words.span(math.nan, 0.03, "%") == ""
    assert words.count(1, "example") == "1 example"
    assert words.count(1234, "example") == "1,234 examples"
    assert [words.about(n) for n in (7, 99, 101, 1234)] == ["7", "99", "110", "1,300"]
    assert [words.seconds(s) for s in (0.5, 38.2, 600, 9000)] == ["0.5 s", "38 s", "10 min", "2.5 h"]


@given(st.lists(st.tuples(*[st.floats(0, 1e6)] * 3), min_size=1, max_size=8))
def test_bars_stay_on_their_track(triples: list[tuple[float, float, float]]) -> None:
    values = [Value(str(i), v, min(v, a), max(v, b)) for i, (v, a, b) in enumerate(triples)]
    for row in bars(values, "USD"):
        assert row.width is not None
        assert row.left >= 0
        assert row.left + row.width <= 100.02
        assert row.reach_width is not None
        assert row.reach_left + row.reach_width <= 100.02


def test_bars_are_as_long_as_their_values() -> None:
    rows = bars([Value("a", 0.1, 0.05, 0.2), Value("b", 0.05)], "%")
    assert [(row.left, row.width) for row in rows] == [(0, 50), (0, 25)]
    assert (rows[0].reach_left, rows[0].reach_width) == (25, 75)
    assert rows[1].reach_width is None


def test_signed_bars_grow_from_zero_to_both_sides() -> None:
    rows = bars([Value("a", 3.0, 2.0, 3.0), Value("b", -1.0, -1.0, 0.0)], "", signed=True)
    assert [(row.left, row.width) for row in rows] == [(25, 75), (0, 25)]
    assert [row.value for row in rows] == ["+3", "−1"]


def test_a_bar_beyond_the_cap_is_cut_and_does_not_set_the_scale() -> None:
    near, far = bars([Value("network", 0.02, 0.01, 0.04), Value("majority", 0.9, 0.85, 0.95)], "%", cap=0.08)
    assert near.width == 50
    assert far.width == 100
    assert far.tone == "cut"
    assert far.value == "90.0 %"


def made(gaps: list[Gap], rungs: list[Rung], primary: str) -> Diagnosis:
    return Diagnosis("error", "error rate", "%", 0.95, 0.01, tuple(rungs), tuple(gaps), primary, (primary,), ("a", "b"))


def test_the_ladder_is_a_waterfall() -> None:
    """Train 10 %, train-dev 11 %, dev 20 %, test 18 %, against people at 4 %: each gap starts where a rung ends."""
    rungs = [
        Rung("floor", 0.04, 0.04, 0.04, 0, "given", "given"), Rung("train", 0.10, 0.09, 0.11, 1000, "wilson"),
        Rung("train_dev", 0.11, 0.09, 0.13, 500, "wilson"), Rung("dev", 0.20, 0.16, 0.25, 300, "wilson"),
        Rung("test", 0.18, 0.14, 0.23, 300, "wilson"),
    ]  # fmt: skip
    gaps = [
        Gap("avoidable bias", "floor", "train", 0.06, 0.05, 0.07, 0.0, "material"),
        Gap("variance", "train", "train_dev", 0.01, -0.01, 0.03, 0.5, "undetermined", needed_n=1234),
        Gap("data mismatch", "train_dev", "dev", 0.09, 0.04, 0.14, 0.0, "material"),
        Gap("overfitting to dev", "dev", "test", -0.02, -0.08, 0.04, 0.9, "undetermined", beyond_reach=True),
    ]
    rows = ladder(made(gaps, rungs, "data mismatch"), "%")
    assert [row.name for row in rows] == [
        "Human level", "avoidable bias", "Train", "variance", "Train-dev", "data mismatch", "Dev", "overfitting to dev",
        "Test",
    ]  # fmt: skip
    by_name = {row.name: row for row in rows}
    ends = {name: by_name[name].width for name in ("Human level", "Train", "Train-dev", "Dev", "Test")}
    assert ends == {"Human level": 16, "Train": 40, "Train-dev": 44, "Dev": 80, "Test": 72}  # percent of 0.25
    assert (by_name["avoidable bias"].left, by_name["avoidable bias"].width) == (16, 24)
    assert (by_name["data mismatch"].left, by_name["data mismatch"].width) == (44, 36)
    assert (by_name["overfitting to dev"].left, by_name["overfitting to dev"].width) == (72, 8)
    assert by_name["data mismatch"].tone == "gap material primary"
    assert by_name["avoidable bias"].tone == "gap material"
    assert by_name["variance"].verdict_shown == "undetermined: needs about 1,300"
    assert by_name["overfitting to dev"].verdict_shown == "undetermined: needs over 20 times the data"
    assert by_name["overfitting to dev"].value == "−2.0 points"


def test_train_below_the_floor_draws_no_bias() -> None:
    rungs = [Rung("floor", 0.1, 0.1, 0.1, 0, "given", "given"), Rung("train", 0.05, 0.04, 0.06, 100, "wilson")]
    gaps = [Gap("avoidable bias", "floor", "train", 0.0, 0.0, 0.0, 1.0, "unknown")]
    assert ladder(made(gaps, rungs, "healthy"), "%")[1].width == 0


def test_every_word_of_a_diagnosis_is_explained() -> None:
    from orthogon.strategy import diagnosis as d

    for word in (
        d.BIAS, d.VARIANCE, d.MISMATCH, d.OVERFIT, d.UNSPLIT, d.SMALL_DEV, d.HEALTHY, d.MATERIAL, d.UNCLEAR, d.SMALL,
        d.HARDER_TEST, d.DRIFT, d.NEGLIGIBLE, d.REVERSED, d.UNDETERMINED, d.UNKNOWN,
        *(name.replace("_", "-") for name in d.LADDER),
    ):  # fmt: skip
        assert words.EXPLAINED[word].endswith("."), word


def test_pictures_shrink_until_they_fit() -> None:
    image = np.random.default_rng(0).integers(0, 256, (400, 300, 3)).astype(np.uint8)
    shown = [Card("image", "a", "x", "y", image=image, heat=np.ones((4, 3), np.float32))] * 8
    generous, tight = encode(shown, 10_000_000), encode(shown, 150_000)
    assert generous[0][0] is not None
    assert max(generous[0][0].width, generous[0][0].height) == 320
    assert not generous[0][0].crisp
    weight = sum(len(p.uri) for pair in tight for p in pair if p)
    assert weight <= 150_000
    assert all(pair[0] and pair[1] for pair in tight)
    hopeless = encode(shown * 100, 50_000)
    assert hopeless[0][0] is not None
    assert hopeless[-1] == (None, None)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (1, 1), (3, 200), (200, 3, 3)])
def test_pictures_of_any_shape_are_encoded(shape: tuple[int, ...]) -> None:
    card = Card("image", "a", "x", "y", image=np.full(shape, 7, np.uint8), heat=np.zeros(shape[:2], np.float32))
    ((picture, heated),) = encode([card], 1_000_000)
    assert picture is not None
    assert heated is not None
    assert (picture.width, picture.height) == (shape[1], shape[0])


def test_heat_is_warm_where_the_weight_is() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 0.3  # scaled to its own maximum
    shown = overlay(np.full((4, 4), 128, np.uint8), heat).astype(int)
    red_over_blue = shown[..., 0] - shown[..., 2]
    assert np.unravel_index(red_over_blue.argmax(), (4, 4)) == (1, 2)
    assert (np.delete(red_over_blue.ravel(), 6) == 0).all()


def test_nested_values_become_dotted_rows_and_text_is_cut() -> None:
    rows = flatten({"a": {"b": 1, "c": {"d": None}}, "e": [], "f": "x" * 900})
    assert rows[:3] == [("a.b", "1"), ("a.c.d", "–"), ("e", "–")]
    assert len(rows[3][1]) == 400
    assert clip("a\x00b\x1b[31m\nc") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m\nc"
