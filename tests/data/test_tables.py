"""TableExamples: rows, places, views, frames, keys."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.config import DataConfig
from orthogon.data.table_files import table_examples
from orthogon.data.tables import FileRows, TableExamples, text_key


def small(**changes: object) -> TableExamples:
    columns: dict[str, object] = {
        "age": [31.0, 42.0, None, 31.0],
        "city": ["Rome", "Oslo", "Rome", "Rome"],
        "when": pd.to_datetime(["2020-01-01", "2020-01-02", None, "2020-01-01"]),
        "income": [">50K", "<=50K", None, "<=50K"],
        **changes,
    }
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return table_examples(table, DataConfig(source="small"), name="small", target="income")


def test_a_row_is_an_example_with_its_target_and_place() -> None:
    example = small()[1]
    assert example.input["age"] == 42
    assert isinstance(example.input["age"], int)  # as the user wrote it
    assert example.input["city"] == "Oslo"
    assert "income" not in example.input
    assert example.target == "<=50K"
    assert str(example.origin) == "small, row 2"
    with pytest.raises(IndexError):
        small()[4]


def test_rows_are_counted_as_in_the_file() -> None:
    # header in row 1; rows 3 and 6 were left out, so the rows kept are 2, 4, 5, 7
    rows = FileRows("a.csv", 0, 4, first=2, skipped=np.array([3, 6]))
    assert [rows.row(i) for i in range(4)] == [2, 4, 5, 7]
    rows = FileRows("a.csv", 10, 3, first=1, skipped=np.array([1, 2]))
    assert [rows.row(i) for i in (10, 11, 12)] == [3, 4, 5]


def test_targets() -> None:
    assert small().targets().tolist() == [">50K", "<=50K", None, "<=50K"]
    numbers = table_examples(small().table, DataConfig(source="s", target="age"), name="s")
    np.testing.assert_array_equal(numbers.targets(), [31.0, 42.0, np.nan, 31.0])
    both = table_examples(small().table, DataConfig(source="s", target=("age", "income")), name="s")
    assert both.targets().shape == (4, 2)
    assert both.targets()[0].tolist() == [31.0, ">50K"]
    assert both[0].target == {"age": 31, "income": ">50K"}


def test_a_frame_has_the_columns_and_rows_asked_for() -> None:
    frame = small().frame()
    assert list(frame.columns) == ["age", "city", "when", "income"]
    assert frame["age"].dtype == np.float64
    assert isinstance(frame["city"].dtype, pd.CategoricalDtype)
    assert frame["when"].dtype.kind == "M"
    part = small().frame(["city", "age"], rows=[3, 1])
    assert list(part.columns) == ["city", "age"]
    assert part["city"].tolist() == ["Rome", "Oslo"]
    assert part["age"].tolist() == [31.0, 42.0]
    assert list(part["city"].cat.categories) == list(frame["city"].cat.categories)


def test_a_view_keeps_what_belongs_to_its_rows() -> None:
    examples = small()
    examples.groups = np.array(["a", "b", "c", "d"], dtype=object)
    part = examples.take([3, 0]).take(np.array([1]))
    assert len(part) == 1
    assert part[0].target == ">50K"
    assert part.groups is not None
    assert part.groups.tolist() == ["a"]
    assert str(part.origin(0)) == "small, row 1"
    assert part.content_keys()[0] == examples.content_keys()[0]


def test_chunks_together_are_the_frame() -> None:
    examples = small().take([3, 2, 1, 0])
    pd.testing.assert_frame_equal(pd.concat(examples.chunks(3), ignore_index=True), examples.frame())
    assert [len(chunk) for chunk in examples.chunks(3)] == [3, 1]


def test_keys_are_of_inputs_alone_and_fingerprints_of_all() -> None:
    examples = small()
    keys = examples.content_keys()
    assert keys[0] == keys[3]  # same inputs, other target
    assert len(set(keys.tolist())) == 3
    assert examples.fingerprint() == small().fingerprint()
    assert examples.fingerprint() != examples.take([1, 0, 2, 3]).fingerprint()
    assert examples.fingerprint() != small(income=[">50K", ">50K", None, "<=50K"]).fingerprint()
    assert examples.take(range(4)).fingerprint() == examples.fingerprint()  # type: ignore[arg-type]


def test_text_keys_are_fixed_for_ever() -> None:
    # blake2b of b"dog", 8 bytes, little endian: splits are found again by these
    import hashlib

    assert text_key("dog") == int.from_bytes(hashlib.blake2b(b"dog", digest_size=8).digest(), "little")


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=True), st.text(max_size=3), st.sampled_from(["a", "b"])), min_size=1, max_size=30
    )
)
def test_equal_rows_have_equal_keys(rows: list[tuple[float, str, str]]) -> None:
    table = pa.table(
        {
            "x": pa.array([row[0] for row in rows], pa.float64()),
            "s": pa.array([row[1] for row in rows], pa.string()),
            "y": pa.array([row[2] for row in rows], pa.string()),
        }
    )
    config = DataConfig(source="t", target="y", types={"x": "number", "s": "category"})
    keys = table_examples(table, config, name="t").content_keys()
    seen: dict[str, int] = {}
    for row, key in zip(rows, keys.tolist(), strict=True):
        finite = row[0] if np.isfinite(row[0]) else None
        value = repr((finite + 0.0 if finite is not None else None, row[1]))
        assert seen.setdefault(value, key) == key
    assert len(set(seen.values())) == len(seen)


def test_a_schema_is_json_and_complete() -> None:
    schema = json.loads(json.dumps(small().schema()))
    assert schema["columns"] == ["age", "city", "when", "income"]
    assert schema["targets"] == ["income"]
    assert schema["inputs"] == ["age", "city", "when"]
    assert schema["levels"] == {"city": ["Rome", "Oslo"], "income": [">50K", "<=50K"]}
    assert schema["types"]["age"]["kind"] == "number"
