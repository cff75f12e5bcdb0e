"""Column types: worked cases, and what every spelling of a number has to give back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.types import convert, infer_type, label_key, match_levels, parse_dates, parse_numbers


def column(values: Sequence[object], type_: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(list(values), type_)])


REPEATED = 30  # enough rows to tell an id from a value


@pytest.mark.parametrize(
    ("name", "values", "kind", "style"),
    [
        ("age", ["39", "50", "38"] * REPEATED, "number", "plain"),
        ("size", ["1.5", "-2e3", "+.5", "3."] * REPEATED, "number", "plain"),
        ("rooms", ["3", "4", "3", "5"] * REPEATED, "number", "plain"),  # few levels are still numbers
        ("price", ["1,234", "12,345.50", "999"] * REPEATED, "number", "thousands"),
        ("price", ["1 234", "12 345"] * REPEATED, "number", "thousands"),
        ("price", ["$1,234.50", "$12.00"] * REPEATED, "number", "thousands"),
        ("price", ["1.234,56", "0,5", "12"] * REPEATED, "number", "decimal"),
        ("weight", ["0,956", "0,085", "1,234"] * REPEATED, "number", "decimal"),  # thousands do not begin with 0
        ("share", ["12 %", "3.5%"] * REPEATED, "number", "plain"),
        ("price", ["€ 12", "€ 13.5"] * REPEATED, "number", "plain"),
        ("answer", ["Yes", "No", "Yes"] * REPEATED, "boolean", "plain"),
        ("answer", ["Yes", "No", "yes"] * REPEATED, "category", "plain"),  # three spellings: the checks will say so
        ("answer", ["true", "false"], "boolean", "plain"),
        ("answer", ["0", "1", "1"], "boolean", "plain"),
        ("place", ["02208", "00000", "11300"] * REPEATED, "category", "plain"),
        ("day", ["2011-01-01 00:00:00", "2011-01-02 01:00:00"] * REPEATED, "date", "plain"),
        ("day", ["2011-01-01", "2011-12-31"] * REPEATED, "date", "plain"),
        ("day", ["31/12/2011", "01/02/2011"] * REPEATED, "date", "plain"),
        ("day", ["Jan 5, 2011", "Feb 15, 2012"] * REPEATED, "date", "plain"),
        ("colour", ["red", "green", "blue"] * REPEATED, "category", "plain"),
        ("level", ["1", "2", "3", "unknown"] * REPEATED, "category", "plain"),  # few levels: not dirty numbers
        ("customer", [f"{k:04}-ABC" for k in range(50)], "id", "plain"),
        ("name", [f"Mr. Owen Harris number {k}" for k in range(50)], "text", "plain"),
        ("card", [f"40000000000000{k:03}" for k in range(50)], "id", "plain"),
        ("nothing", [None, None], "category", "plain"),
    ],
)
def test_texts_are_typed(name: str, values: list[str], kind: str, style: str) -> None:
    found = infer_type(name, column(values, pa.string()))
    assert (found.kind, found.style) == (kind, style)
    assert found.reason


@pytest.mark.parametrize(
    ("name", "values", "kind", "integer"),
    [
        ("PassengerId", list(range(1, 51)), "id", True),
        ("No", [float(k) for k in range(50)], "id", True),
        ("user_id", [k * k for k in range(50)], "id", True),
        ("income", [k * k for k in range(50)], "number", True),
        ("row", list(range(5)), "number", True),  # five rows tell nothing
        ("flag", [0, 1, 1, 0], "boolean", False),
        ("zip", [12345, 99999, 12345], "category", True),
        ("height", [1.5, 2.5], "number", False),
        ("good", [True, False], "boolean", False),
        ("when", [dt.date(2020, 1, 1), dt.date(2021, 1, 1)], "date", False),
    ],
)
def test_typed_columns_are_typed(name: str, values: list[object], kind: str, integer: bool) -> None:
    found = infer_type(name, column(values))
    assert (found.kind, found.integer) == (kind, integer)


def test_a_given_kind_wins_and_its_spelling_is_still_found() -> None:
    found = infer_type("price", column(["1,234", "5,678"] * 20), "number")
    assert found.given
    assert found.reason == "you said so"
    assert convert(column(["1,234"]), found).to_pylist() == [1234.0]
    assert infer_type("rings", column([1.0, 2.0]), "category").kind == "category"
    assert convert(column([1.0, 2.0, None]), infer_type("rings", column([1.0, 2.0]), "category")).to_pylist() == [
        "1",
        "2",
        None,
    ]


def test_numbers_are_read_as_spelled() -> None:
    # by hand: 1.234,56 is one thousand two hundred thirty-four and 56 hundredths
    assert parse_numbers(pa.array(["1.234,56", "-0,5", "12", "1.5"]), "decimal").to_pylist() == [
        1234.56,
        -0.5,
        12.0,
        None,
    ]
    assert parse_numbers(pa.array(["1,234.5", "1 000", "12,34"]), "thousands").to_pylist() == [1234.5, 1000.0, None]
    assert parse_numbers(pa.array(["12 %", "$3", "abc", None, "+4"]), "plain").to_pylist() == [12, 3, None, None, 4]


def test_infinity_is_no_value() -> None:
    type_ = infer_type("x", column(["1.5", "inf", "-Inf", "2.5"] * 10))
    assert type_.kind == "number"
    assert convert(column(["inf", "1.5"]), type_).to_pylist() == [None, 1.5]


def test_day_above_twelve_decides_between_day_and_month_first() -> None:
    day_first = infer_type("d", column(["01/02/2011", "13/02/2011"] * 20))
    month_first = infer_type("d", column(["01/02/2011", "02/13/2011"] * 20))
    assert parse_dates(pa.array(["01/02/2011"]), day_first.date_format)[0].as_py() == dt.datetime(2011, 2, 1)
    assert parse_dates(pa.array(["01/02/2011"]), month_first.date_format)[0].as_py() == dt.datetime(2011, 1, 2)


def test_iso_dates_with_zone_and_fraction() -> None:
    texts = pa.array(
        ["2011-01-01T12:30:00Z", "2011-01-01 12:30:00.250", "2011-01-01T12:30:00+02:00", "2011-13-01", None]
    )
    read = parse_dates(texts, "iso").to_pylist()
    assert read[0] == dt.datetime(2011, 1, 1, 12, 30)
    assert read[1] == dt.datetime(2011, 1, 1, 12, 30, 0, 250_000)
    assert read[2] == dt.datetime(2011, 1, 1, 10, 30)
    assert read[3:] == [None, None]


def test_labels_match_over_space_case_and_final_punctuation() -> None:
    assert label_key(" <=50K. ") == "<=50k"
    assert match_levels(["<=50K.", "Dog ", "cat", "bird"], ["<=50K", "dog", "cat"]) == {
        "<=50K.": "<=50K",
        "Dog ": "dog",
    }
    assert match_levels(["DOG"], ["dog", "Dog"]) == {}  # two candidates: nobody knows


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_plain_numbers_come_back(values: list[float]) -> None:
    assert parse_numbers(pa.array([repr(value) for value in values]), "plain").to_pylist() == values


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20))
def test_numbers_with_thousands_come_back(values: list[int]) -> None:
    assert parse_numbers(pa.array([f"{value:,}" for value in values]), "thousands").to_pylist() == values
    german = [f"{value:,},5".replace(",", ".", f"{value:,}".count(",")) for value in values]
    assert parse_numbers(pa.array(german), "decimal").to_pylist() == [float(f"{value}.5") for value in values]


@given(st.lists(st.text(max_size=12), max_size=40))
def test_any_texts_have_a_type_and_convert(values: list[str]) -> None:
    texts = column(values, pa.string())
    for kind in (None, "number", "category", "boolean", "date", "id", "text"):
        type_ = infer_type("x", texts, kind)  # type: ignore[arg-type]
        assert len(convert(texts, type_)) == len(values)
