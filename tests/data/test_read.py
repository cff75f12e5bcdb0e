"""Reading tables from files: every spelling of a file, every way it can be wrong, and the 17 dirty tables."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orthogon.data import delimited, table_files
from orthogon.data.config import DataConfig
from orthogon.data.read import kind_of, read, read_new
from orthogon.data.tables import TableExamples
from orthogon.errors import ConfigError, DataError, OrthogonError, UsageError

ROWS = [("39", "State-gov", "2174.5", "low"), ("50", "Private", "0", "high"), ("38", "Private", "?", "low")] * 4
NAMES = ("age", "work", "gain", "income")


def text(delimiter: str = ",", names: tuple[str, ...] | None = NAMES, end: str = "\n") -> str:
    rows = ([names] if names else []) + list(ROWS)
    return "".join(delimiter.join(row) + end for row in rows)


def table(
    path: Path, content: str | bytes, target: str | tuple[str, ...] | None = "income", **said: Any
) -> TableExamples:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    examples = read(DataConfig(source=str(path), target=target, **said))
    assert isinstance(examples, TableExamples)
    return examples


def assert_is_the_table(examples: TableExamples) -> None:
    frame = examples.frame()
    assert frame.iloc[:, 0].tolist() == [39.0, 50.0, 38.0] * 4
    assert frame.iloc[:, 1].tolist() == ["State-gov", "Private", "Private"] * 4
    np.testing.assert_array_equal(frame.iloc[:, 2], [2174.5, 0.0, np.nan] * 4)
    assert examples.targets().tolist() == ["low", "high", "low"] * 4


# -- how files are written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_line_end_are_found(tmp_path: Path, delimiter: str, end: str) -> None:
    examples = table(tmp_path / "a.csv", text(delimiter, end=end))
    assert_is_the_table(examples)
    assert list(examples.column_types) == list(NAMES)
    assert "12 rows of 4 columns" in examples.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    content = text().replace("State-gov", "Bärenjäger").encode(encoding)
    examples = table(tmp_path / "a.csv", content)
    assert examples.frame()["work"][0] == "Bärenjäger"
    assert examples.column_types["age"].kind == "number"  # no mark left in front of the first name


def test_bytes_of_another_encoding_far_down(tmp_path: Path) -> None:
    lines = [f"{k},plain,{k % 3}" for k in range(100_000)]
    lines[-1] = "1,caf\xe9,2"
    content = "\n".join(["a,b,c", *lines]).encode("latin-1")
    assert table(tmp_path / "a.csv", content, target="c").texts("b")[-1] == "café"


@pytest.mark.parametrize("packing", ["plain", "gz", "zip", "parquet"])
def test_packings(tmp_path: Path, packing: str) -> None:
    if packing == "parquet":
        frame = pd.DataFrame(ROWS, columns=list(NAMES))
        frame["age"] = frame["age"].astype(int)
        frame["gain"] = pd.to_numeric(frame["gain"], errors="coerce")
        frame.to_parquet(tmp_path / "a.parquet")
        examples = read(DataConfig(source=str(tmp_path / "a.parquet"), target="income"))
    elif packing == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.csv", text())
        examples = read(DataConfig(source=str(tmp_path / "a.zip"), target="income"))
    else:
        content = text().encode()
        path = tmp_path / ("a.csv.gz" if packing == "gz" else "a.csv")
        examples = table(path, gzip.compress(content) if packing == "gz" else content)
    assert isinstance(examples, TableExamples)
    assert_is_the_table(examples)


def test_quotes_spaces_and_line_ends_inside(tmp_path: Path) -> None:
    content = 'name,note,y\n"Braund, Mr. Owen", a,1\n"said ""no""\nand left" , b ,2\nplain,a,3\n'
    examples = table(tmp_path / "a.csv", content, target="y")
    assert examples.texts("name").tolist() == ["Braund, Mr. Owen", 'said "no"\nand left', "plain"]
    assert examples.texts("note").tolist() == ["a", "b", "a"]
    assert examples.origin(2).place == "row 4"  # as a spreadsheet counts


def test_single_quotes(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.csv", "0.5,'-1'\n0.25,'1'\n" * 6, target="-1")
    assert examples.targets().tolist() == [-1.0, 1.0] * 6


def test_white_space_between_columns(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.data", "  18.0   8   307.0\n  15.0   4   350.0\n" * 5, target="0")
    assert examples.frame().to_numpy().tolist() == [[18, 8, 307], [15, 4, 350]] * 5


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.csv", "x;y\n1,5;2,25\n3,5;1.234,5\n", target="y")
    assert examples.frame().to_numpy().tolist() == [[1.5, 2.25], [3.5, 1234.5]]


@pytest.mark.parametrize(
    ("body", "first", "said"),
    [
        ("p;y\n3,586;1,94\n2,111;0,16\n", 3.586, []),  # the column beside it has two decimals
        ("p;y\n0,956;1\n1,085;2\n", 0.956, []),
        ("p;y\n3,586;1\n2,111;2\n", 3.586, []),  # semicolons leave the comma free for decimals
        ("p;y\n3,586;0.5\n2,111;1.25\n", 3586, []),  # decimal points: the comma groups
        ("p;y\n3,586;1,234.5\n2,111;2\n", 3586, []),
        ("p;y\n3,586;1,234,567\n2,111;2\n", 3586, []),
        ("p;y;z\n3,586;1,5;2,5\n2,111;2,5;3,5\n", 3.586, []),
        ("p\ty\n3,586\t1\n2,111\t2\n", 3586, ["warning"]),
        ("p\ty\n3,586\t1,5\n2,111\t2\n", 3.586, []),
        ('p,y\n"3,586",1\n"2,111",2\n', 3586, ["note"]),
        ('p,y\n"3,586","1,5"\n"2,111",2\n', 3.586, []),
    ],
)
def test_a_table_has_one_meaning_of_the_comma(tmp_path: Path, body: str, first: float, said: list[str]) -> None:
    examples = table(tmp_path / "a.csv", body, target="y")
    assert examples.frame()["p"][0] == first
    notes = [note for note in examples.notes if note.code == "comma-unclear"]
    assert [note.severity for note in notes] == said
    assert all('"p"' in note.message and "decimal point" in note.remedy for note in notes)


def test_a_missing_header_is_seen_and_columns_can_be_named(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.csv", text(names=None), target="-1")
    assert list(examples.column_types) == ["c0", "c1", "c2", "c3"]
    assert_is_the_table(examples)
    assert examples.origin(0).place == "row 1"
    named = table(tmp_path / "b.csv", text(names=None), columns=NAMES)
    assert_is_the_table(named)
    assert named.target_columns == ("income",)
    with pytest.raises(UsageError, match=r"3 names are given for a table of 4 columns") as error:
        table(tmp_path / "c.csv", text(names=None), columns=("a", "b", "c"))
    assert error.value.where == "data.columns"
    assert "39, State-gov" in error.value.remedy


@pytest.mark.parametrize("front", ["", "\n\n", "# made by hand, on a Monday\n", "# a\n\n# b\n", "sep=,\n"])
def test_lines_in_front_of_the_table(tmp_path: Path, front: str) -> None:
    examples = table(tmp_path / "a.csv", front + text() + "1,2\n", max_bad=0.1)
    assert_is_the_table(examples)
    lines = front.count("\n")
    assert [examples.origin(i).place for i in (0, 11)] == [f"row {lines + 2}", f"row {lines + 13}"]
    assert [origin.place for origin, _ in examples.set_aside] == [f"row {lines + 14}"]


def test_years_are_names(tmp_path: Path) -> None:
    rows = "".join(f"land{k},{k}.5,{k + 1}.5,{k + 2}.5\n" for k in range(30))
    examples = table(tmp_path / "a.csv", "country,2010,2011,2012\n" + rows, target="2012")
    assert list(examples.column_types) == ["country", "2010", "2011", "2012"]


def test_names_of_rows_as_r_writes_them(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.csv", "x,y\n" + "".join(f"{k},{k * k},{k % 2}\n" for k in range(1, 30)), target="y")
    assert list(examples.column_types) == ["row", "x", "y"]
    assert examples.input_columns == ("x",)


def test_names_of_rows_are_said_and_known_again(tmp_path: Path) -> None:
    rows = "".join(f"car {chr(97 + k)}\t{k}.5\t{k % 2}\n" for k in range(20))
    examples = table(tmp_path / "a.tsv", "x\ty\n" + rows, target="y")
    assert list(examples.column_types) == ["row", "x", "y"]
    assert "which has none for the row names in front" in examples.reason
    (chunk,) = chunks_of(tmp_path / "new.tsv", "x\ty\nq\t7.5\t1\nr\t8.5\t1\n", examples.schema())
    assert chunk.frame()["x"].tolist() == [7.5, 8.5]


WIDE = [
    "".join(f"c{k},{k % 7},{k % 3},{k % 2}\n" for k in range(30)),  # texts that differ: an id, one comma too many
    "".join(f"{k % 7},{k % 3},{k % 2},9\n" for k in range(30)),
    "".join(f"{k},{k % 3},{k % 2},\n" for k in range(1, 31)),  # counted rows, and a separator at the end of each
    "".join(f"{k},{k % 3},{k % 2},8,9\n" for k in range(30)),
    "".join(f"{k % 7},{k % 3}\n" for k in range(30)),
]


@pytest.mark.parametrize("rows", WIDE)
def test_rows_of_another_length_than_the_header_are_never_shifted(tmp_path: Path, rows: str) -> None:
    found = len(rows.split("\n")[0].split(","))
    with pytest.raises(DataError, match=rf"row 3 has {found} fields, the header has 3; 30 of the first 30") as error:
        table(tmp_path / "a.csv", "id,b,y\n\n" + rows, target="y")
    assert "(rows 3, 4, 5, 6, 7, ...)" in error.value.what
    assert error.value.where == f"{tmp_path / 'a.csv'}, row 3"
    assert "quotes" in error.value.remedy


@pytest.mark.parametrize("row", ["1,39,State-gov,5", "39,State-gov,5,6,7", "39,State-gov"])
def test_new_rows_of_another_length_than_their_header_are_refused(tmp_path: Path, row: str) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    found = row.count(",") + 1
    with pytest.raises(DataError, match=f"row 2 has {found} fields, the header has 3") as error:
        chunks_of(tmp_path / "new.csv", "age,work,gain\n" + f"{row}\n" * 3, schema)
    assert error.value.where == f"{tmp_path / 'new.csv'}, row 2"


def test_new_rows_without_names_and_of_another_length_are_refused(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    with pytest.raises(DataError, match=r"row 1 has 5 fields and no row holds names: .* has 4 columns") as error:
        chunks_of(tmp_path / "new.csv", "39,5,6,7,8\n" * 3, schema)
    assert error.value.where == f"{tmp_path / 'new.csv'}, row 1"
    assert "age, work, gain" in error.value.remedy


def test_values_of_new_rows_that_could_not_be_used_are_named(tmp_path: Path) -> None:
    rows = "".join(f"{k}.5,{'ab'[k % 2]},2024-01-{k + 1:02},{k % 2}\n" for k in range(25))
    schema = table(tmp_path / "a.csv", "n,c,d,y\n" + rows, target="y").schema()
    new = "n,c,d,y\n1,a,2024-02-01,x\nabc,B.,2024-02-01,1\n3,z,soon,1\n,,,1\n5,a,2024-02-01,1\nlow,a,2024-02-01,1\n"
    first, second = chunks_of(tmp_path / "new.csv", new, schema, rows_per_chunk=4)
    assert first.problems == {
        1: 'n "abc" is not a number: taken as missing',
        2: 'c "z" is not a known level; d "soon" is not written as the dates of training were: taken as missing',
    }
    assert second.problems == {1: 'n "low" is not a number: taken as missing'}


def test_a_project_folder_does_not_hide_the_built_in_data_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("iris", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "orthogon.yaml").write_text("data:\n  source: iris\n")
    assert len(read(DataConfig(source="iris"))) == 150
    with pytest.raises(UsageError, match='"other" is a project of Orthogon, not data') as error:
        read(DataConfig(source="other"))
    assert_helps(error.value)


def test_one_row_is_one_row(tmp_path: Path) -> None:
    assert "holds 1 row of 2 columns" in table(tmp_path / "a.csv", "x,y\n1,2\n", target="y").reason


def test_empty_rows_and_columns_without_a_name(tmp_path: Path) -> None:
    examples = table(tmp_path / "a.csv", "x,,y\n\n1,a,2\n,,\n3,b,4\n\n", target="y")
    assert list(examples.column_types) == ["x", "c1", "y"]
    assert len(examples) == 2
    assert [examples.origin(i).place for i in (0, 1)] == ["row 3", "row 5"]


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("income", ("income",)),
        ("3", ("income",)),
        ("-1", ("income",)),
        ("-2:", ("gain", "income")),
        (("age", "0"), ("age",)),
    ],
)
def test_targets_by_name_position_and_range(tmp_path: Path, said: Any, target: tuple[str, ...]) -> None:
    assert table(tmp_path / "a.csv", text(), target=said).target_columns == target


# -- roles --------------------------------------------------------------------------------------------------------


def test_ids_texts_and_ignored_columns_are_left_out_with_a_reason(tmp_path: Path) -> None:
    lines = [f"{k},{k % 7},the {k}th long remark here,{k % 3},{k % 2}" for k in range(40)]
    examples = table(
        tmp_path / "a.csv", "key,x,remark,person,y\n" + "\n".join(lines), target="y", group="person", ignore=()
    )
    assert examples.input_columns == ("x",)
    assert examples.left_out["key"].startswith("id: ")
    assert examples.left_out["remark"].startswith("free text: ")
    assert examples.left_out["person"] == "it is data.group"
    assert examples.groups is not None
    assert examples.groups.tolist() == [str(k % 3) for k in range(40)]
    ignored = table(tmp_path / "a.csv", "a,b,y\n1,2,3\n4,5,6\n", target="y", ignore=("b",))
    assert ignored.left_out == {"b": "data.ignore says so"}


def test_domain_and_time(tmp_path: Path) -> None:
    content = "x,src,day,y\n1,phone,2020-01-02,0\n2,web,2020-01-01,1\n"
    examples = table(tmp_path / "a.csv", content, target="y", domain="src", time="day")
    assert examples.domains is not None
    assert examples.times is not None
    assert examples.domains.tolist() == ["phone", "web"]
    assert np.argsort(examples.times).tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r'data.time: the column "src" holds .* which have no order') as error:
        table(tmp_path / "a.csv", content, target="y", time="src")
    assert "data.types.src=date" in error.value.remedy


def test_types_can_be_overruled(tmp_path: Path) -> None:
    content = "code,y\n" + "".join(f"{k % 5},{k}.5\n" for k in range(40))
    assert table(tmp_path / "a.csv", content, target="y").column_types["code"].kind == "number"
    examples = table(tmp_path / "a.csv", content, target="y", types={"code": "category"})
    assert examples.column_types["code"].kind == "category"
    assert examples.levels("code") == ["0", "1", "2", "3", "4"]


def test_test_and_dev_files_are_given_splits_and_their_labels_matched(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(text(names=None).replace("low", " Low.").replace("high", "HIGH"))
    (tmp_path / "dev.csv").write_text("income,gain,work,age\nlow,5,Private,20\n")
    examples = table(
        tmp_path / "a.csv", text(), test_source=str(tmp_path / "test.csv"), dev_source=str(tmp_path / "dev.csv")
    )
    assert examples.given_split is not None
    assert examples.given_split.tolist() == ["train"] * 12 + ["dev"] + ["test"] * 12
    assert set(examples.targets()) == {"low", "high"}
    assert examples[12].input == {"age": 20, "work": "Private", "gain": 5.0}
    (note,) = [note for note in examples.notes if note.code == "labels-matched"]
    assert '"Low." as "low"' in note.message
    assert note.count == 12
    assert str(examples.origin(12)) == f"{tmp_path / 'dev.csv'}, row 2"
    assert str(examples.origin(13)) == f"{tmp_path / 'test.csv'}, row 1"


def test_a_test_file_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("age,work,gains\n1,a,2\n3,b,4\n")
    with pytest.raises(DataError, match=r"2 of the 4 columns of .*a.csv are missing: gain, income") as error:
        table(tmp_path / "a.csv", text(), test_source=str(tmp_path / "test.csv"))
    assert error.value.where == str(tmp_path / "test.csv")
    assert 'Did you mean "gains"?' in error.value.remedy


# -- what is wrong with files -------------------------------------------------------------------------------------


def test_a_few_ragged_rows_are_set_aside(tmp_path: Path) -> None:
    lines = text().splitlines() * 5
    lines = lines[:1] + [line for line in lines if line != lines[0]]
    lines[7] = "1,2"
    examples = table(tmp_path / "a.csv", "\n".join(lines))
    assert len(examples) == 59
    assert [(str(origin), why) for origin, why in examples.set_aside] == [
        (f"{tmp_path / 'a.csv'}, row 8", "2 fields where 4 are expected")
    ]
    assert examples.origin(6).place == "row 9"  # the seventh row kept stands after the bad one


def test_many_ragged_rows_stop(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"3 of 15 rows \(20.0%\) do not have 4 fields. row 14: 1 field where 4"
    ) as error:
        table(tmp_path / "a.csv", text() + "x\ny\nz\n")
    assert error.value.where == f"{tmp_path / 'a.csv'}, row 14"
    assert "--set data.max_bad=0.21" in error.value.remedy


def test_dirty_numbers_are_missing_and_said(tmp_path: Path) -> None:
    values = [str(k * 1.5) for k in range(100)]
    values[3], values[7] = "broken", "inf"
    examples = table(tmp_path / "a.csv", "x,y\n" + "".join(f"{v},{k % 2}\n" for k, v in enumerate(values)), target="y")
    assert np.flatnonzero(np.isnan(examples.frame()["x"])).tolist() == [3, 7]
    (note,) = examples.notes
    assert note.code == "values-not-numbers"
    assert note.count == 2
    assert "broken, inf" in note.message
    assert note.places == (f"{tmp_path / 'a.csv'}, row 5", f"{tmp_path / 'a.csv'}, row 9")
    assert "data.types.x=category" in note.remedy


def test_ten_thousand_levels_and_an_all_missing_column(tmp_path: Path) -> None:
    lines = [f"level {k % 10_000},,{k % 2}" for k in range(30_000)]
    examples = table(tmp_path / "a.csv", "a,b,y\n" + "\n".join(lines), target="y")
    assert examples.column_types["a"].kind == "category"
    assert len(examples.levels("a")) == 10_000
    assert examples.column_types["b"].reason == "every value is missing"
    assert examples.frame()["b"].isna().all()


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (b"", "the file is empty", "at least a few rows"),
        (b" \n\n", "the file is empty", "at least a few rows"),
        (b"a,b,y\n", r"names \(a, b, y\) but no rows", "at least a few rows"),
        (b"a,b,a,y\n1,2,3,4\n", r'used for more than one column: "a" \(columns 1, 3\)', "--columns"),
        (b"y\n1\n2\n", 'one column only, "y"', "data.delimiter"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)),
            "not text: it holds zero bytes",
            "CSV, TSV or Parquet",
        ),
        (bytes(range(1, 32)) * 20, "not text: it holds control characters", "CSV, TSV or Parquet"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, what: str, remedy: str) -> None:
    with pytest.raises(DataError, match=what) as error:
        table(tmp_path / "a.csv", content, target="y")
    assert str(tmp_path / "a.csv") in error.value.where
    assert remedy in error.value.remedy
    assert (tmp_path / "a.csv").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "what"),
    [("a.csv.gz", "the file cannot be read"), ("a.zip", "the file cannot be read"), ("a.parquet", "no Parquet file")],
)
def test_damaged_archives(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as error:
        table(tmp_path / name, b"this is not packed at all")
    assert error.value.where == str(tmp_path / name)


def test_a_gzip_file_cut_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = "x,y\n" + "".join(f"{v},1\n" for v in rng.normal(size=200_000))
    with pytest.raises(DataError, match="cannot be read"):
        table(tmp_path / "a.csv.gz", gzip.compress(content.encode(), 1)[:-100_000], target="y")


def test_an_archive_of_several_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr("b.csv", "2")
    with pytest.raises(DataError, match="the archive holds 2 files") as error:
        read(DataConfig(source=str(tmp_path / "a.zip"), target="y"))
    assert "Unpack it" in error.value.remedy


@pytest.mark.parametrize(("name", "word"), [("a.xlsx", "Excel"), ("a.pkl", "pickle"), ("a.json.gz", "JSON")])
def test_formats_that_are_not_read(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=word) as error:
        read(DataConfig(source=str(tmp_path / name), target="y"))
    assert error.value.where == str(tmp_path / name)
    assert "CSV or Parquet" in error.value.remedy


def test_no_target_lists_columns_and_shows_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"4 columns: age, work, gain, income") as error:
        table(tmp_path / "a.csv", text(), target=None)
    assert error.value.where == str(tmp_path / "a.csv")
    assert f"orthogon start {tmp_path / 'a.csv'} --target income" in error.value.remedy


@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        ({"target": "incme"}, 'data.target: there is no column "incme"', 'Did you mean "income"?'),
        ({"target": "9"}, 'data.target: there is no column "9"', "from 0 to 3"),
        ({"ignore": ("wrok",)}, 'data.ignore: there is no column "wrok"', 'Did you mean "work"?'),
        ({"types": {"agee": "id"}}, 'data.types: there is no column "agee"', 'Did you mean "age"?'),
        ({"group": "persn"}, 'data.group: there is no column "persn"', "Known: age, work, gain, income."),
    ],
)
def test_columns_that_do_not_exist(tmp_path: Path, said: dict[str, Any], what: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=what) as error:
        table(tmp_path / "a.csv", text(), **{"target": "income", **said})
    assert str(tmp_path / "a.csv") in error.value.where
    assert remedy in error.value.remedy


def test_a_target_by_name_where_no_row_holds_names(tmp_path: Path) -> None:
    body = text().split("\n", 1)[1]
    with pytest.raises(UsageError, match='no column "income": the table has no header row, so its 4 columns') as error:
        table(tmp_path / "a.csv", body, target="income")
    assert error.value.where == f"{tmp_path / 'a.csv'}, row 1"
    assert "--columns" in error.value.remedy
    assert "--target -1" in error.value.remedy
    with pytest.raises(UsageError, match="no header row and 4 columns, called c0, c1, c2, c3"):
        table(tmp_path / "a.csv", body, target=None)
    assert table(tmp_path / "a.csv", body, target="-1").target_columns == ("c3",)
    assert table(tmp_path / "a.csv", body, target="c3").target_columns == ("c3",)
    names = ("age", "work", "gain", "income")
    with pytest.raises(ConfigError, match='there is no column "incme"') as named:
        table(tmp_path / "a.csv", body, target="incme", columns=names)
    assert named.value.remedy == 'Did you mean "income"?'


def test_a_target_that_the_first_row_holds_makes_it_a_header(tmp_path: Path) -> None:
    rows = [f"{chr(97 + i)}red,{chr(97 + i)}big,x{i % 15}" for i in range(25)]
    body = "\n".join(["shade,size,label", *rows, ""])
    with pytest.raises(UsageError, match="no header row"):  # else nothing tells names from values here
        table(tmp_path / "a.csv", body, target="lable")
    assert table(tmp_path / "a.csv", body, target="label").table.column_names == ["shade", "size", "label"]


def test_sources_that_do_not_exist() -> None:
    with pytest.raises(UsageError, match='no built-in data called "digts"') as error:
        read(DataConfig(source="digts"))
    assert error.value.where == "data.source"
    assert error.value.remedy == 'Did you mean "digits"?'
    with pytest.raises(UsageError, match="no file or folder"):
        next(read_new("nowhere.csv", DataConfig(source="x"), {}))


def test_a_separator_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='"##" is no separator') as error:
        table(tmp_path / "a.csv", text(), delimiter="##")
    assert error.value.where == "data.delimiter"
    with pytest.raises(UsageError, match='"klingon" is no text encoding') as error:
        table(tmp_path / "a.csv", text(), encoding="klingon")
    assert error.value.where == "data.encoding"


# -- larger than memory -------------------------------------------------------------------------------------------


@pytest.fixture
def _streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "LARGE_BYTES", 0)
    monkeypatch.setattr(table_files, "SAMPLE_BYTES", 400)
    monkeypatch.setattr(table_files, "STORED_ROWS", 16)


def big_text() -> str:
    lines = [f"{k * 0.5},{['red', 'green', 'blue'][k % 3]},2020-01-{k % 28 + 1:02},id-{k},{k % 2}" for k in range(500)]
    lines[400] = lines[400].replace("200.0", "two hundred")  # far behind the sample
    lines[300] = "ragged"
    lines[200] = ""
    return "x,colour,day,key,y\n" + "\n".join(lines) + "\n"


def test_a_streamed_table_is_the_one_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(tmp_path / "a.csv", big_text(), target="y")
    monkeypatch.setattr(table_files, "LARGE_BYTES", 0)
    monkeypatch.setattr(table_files, "SAMPLE_BYTES", 2000)
    monkeypatch.setattr(table_files, "STORED_ROWS", 64)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):  # the third is found again
        streamed = read(DataConfig(source=str(tmp_path / "a.csv"), target="y"), cache)
        assert isinstance(streamed, TableExamples)
        assert streamed.stored is not None
        frame, expected = streamed.frame(), whole.frame()
        assert {n: c.kind for n, c in streamed.column_types.items()} == {
            n: c.kind for n, c in whole.column_types.items()
        }
        np.testing.assert_array_equal(frame["x"], expected["x"].astype(np.float32))
        for name in ("colour", "y", "key"):
            assert frame[name].astype(object).tolist() == expected[name].astype(object).tolist()
        assert frame["day"].tolist() == expected["day"].tolist()
        assert [streamed.origin(i) for i in (0, 199, 200, 299, 300, 497)] == [
            whole.origin(i) for i in (0, 199, 200, 299, 300, 497)
        ]
        assert streamed.set_aside == whole.set_aside
        assert [(n.code, n.count, n.places) for n in streamed.notes] == [
            (n.code, n.count, n.places) for n in whole.notes
        ]
        assert streamed.content_keys().tolist() == whole.content_keys().tolist()
        pd.testing.assert_frame_equal(pd.concat(streamed.chunks(10), ignore_index=True), frame)
        part = streamed.take(np.arange(0, 498, 7))
        pd.testing.assert_frame_equal(pd.concat(part.chunks(10), ignore_index=True), part.frame())
        assert part.targets().tolist() == whole.take(np.arange(0, 498, 7)).targets().tolist()
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 1


CELLS = st.sampled_from(["1", "-2.5", "x", "", "NA", "1e3", "é", '"a,b"', '"two\nlines"', 'say "hi"'])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=40),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    size=st.integers(1, 60),
    packed=st.booleans(),
)
def test_parts_read_side_by_side_are_the_file_read_in_one_go(
    tmp_path: Path, rows: list[list[str]], end: str, last: bool, size: int, packed: bool
) -> None:
    content = (end.join(["a,b,c", *(",".join(row) for row in rows)]) + end * last).encode()
    path = tmp_path / ("p.csv.gz" if packed else "p.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    names = ("a", "b", "c")
    types = dict.fromkeys(names, pa.string())
    found = []
    for quoted in (True, False):  # True: one reader from the first line on
        dialect = delimited.Dialect("utf-8", ",", '"', quoted, 0, True, names, (False,) * 3)
        bad: list[delimited.BadRow] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "PART_BYTES", size)
            batches = list(delimited.read_batches(path, dialect, types, ["NA"], bad))
        schema = pa.schema(list(types.items()))
        found.append((pa.Table.from_batches(batches, schema=schema).to_pylist(), bad))
    assert found[0] == found[1]


def test_the_row_of_a_value_that_does_not_fit_is_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "PART_BYTES", 10)
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 30 + "1,x\n" + "1,2\n" * 30)
    dialect = delimited.Dialect("utf-8", ",", '"', False, 0, True, ("a", "b"), (True, True))
    types = {"a": pa.float64(), "b": pa.float64()}
    with pytest.raises(pa.ArrowInvalid, match="CSV column #1: Row #32: "):
        list(delimited.read_batches(tmp_path / "a.csv", dialect, types, [], []))


@pytest.mark.usefixtures("_streamed")
def test_streamed_files_of_several_splits_and_of_parquet(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(text(names=None).replace("low", " Low."))
    examples = table(tmp_path / "a.csv", text(), test_source=str(tmp_path / "test.csv"))
    assert examples.given_split is not None
    assert examples.given_split.tolist() == ["train"] * 12 + ["test"] * 12
    assert set(examples.targets()) == {"low", "high"}
    pd.DataFrame({"x": np.arange(50), "y": ["a", "b"] * 25}).to_parquet(tmp_path / "p.parquet")
    parquet = read(DataConfig(source=str(tmp_path / "p.parquet"), target="y"))
    assert parquet.targets().tolist() == ["a", "b"] * 25
    assert parquet.left_out == {"x": "id: counts the rows"}  # type: ignore[attr-defined]
    assert len(set(parquet.content_keys().tolist())) == 50


def test_temporary_files_go_with_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import tempfile

    monkeypatch.setattr(table_files, "LARGE_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    examples = table(tmp_path / "a.csv", text())
    part = examples.take([0, 1])
    assert list(tmp_path.glob("orthogon-*"))
    del examples
    gc.collect()
    assert part.targets().tolist() == ["low", "high"]
    del part
    gc.collect()
    assert not list(tmp_path.glob("orthogon-*"))


# -- new rows -----------------------------------------------------------------------------------------------------


def chunks_of(
    path: Path, content: str | bytes, schema: dict[str, Any], rows_per_chunk: int = 10_000
) -> list[TableExamples]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    chunks = list(read_new(str(path), DataConfig(source="train.csv"), schema, rows_per_chunk))
    assert all(isinstance(chunk, TableExamples) for chunk in chunks)
    return chunks  # type: ignore[return-value]


def test_new_rows_are_read_as_the_training_rows_were(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    # other order, one column more, no target; ages that look like booleans, and a level that is written otherwise
    new = "extra,gain,work,age\nx,1,private.,1\ny,,Unseen,0\nbad row\nz,3,Private,1\n"
    (chunk,) = chunks_of(tmp_path / "new.csv", new, schema)
    assert chunk.input_columns == ("age", "work", "gain")
    assert chunk.target_columns == ()
    assert chunk.frame()["age"].tolist() == [1.0, 0.0, 1.0]
    assert chunk.frame()["work"].tolist() == ["Private", "Unseen", "Private"]
    assert [chunk.origin(i).place for i in range(3)] == ["row 2", "row 3", "row 5"]
    assert [(origin.place, why) for origin, why in chunk.set_aside] == [("row 4", "1 field where 4 are expected")]


def test_new_rows_come_in_chunks_and_know_their_places(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    chunks = chunks_of(tmp_path / "new.csv", text(), schema, rows_per_chunk=5)
    assert [len(chunk) for chunk in chunks] == [5, 5, 2]
    assert [chunk.origin(0).place for chunk in chunks] == ["row 2", "row 7", "row 12"]
    assert chunks[2].targets().tolist() == ["high", "low"]  # targets are kept where they are there


def test_new_rows_without_a_header_are_read_by_position(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text(names=None), target="-1").schema()
    (chunk,) = chunks_of(tmp_path / "new.csv", "20,Private,5\n", schema)
    assert chunk.frame().to_dict("list") == {"c0": [20.0], "c1": ["Private"], "c2": [5.0]}
    (chunk,) = chunks_of(tmp_path / "new.csv", "20,Private,5,low\n", schema)
    assert chunk.targets().tolist() == ["low"]


def test_new_rows_that_lack_a_column_are_refused(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    with pytest.raises(DataError, match="1 of the 3 columns that the network reads is missing: work") as error:
        chunks_of(tmp_path / "new.csv", "age,wrk,gain\n1,a,2\n", schema)
    assert error.value.where == str(tmp_path / "new.csv")
    assert 'Did you mean "wrk"?' in error.value.remedy


def test_a_file_of_bad_rows_only_lists_them(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    chunks = chunks_of(tmp_path / "new.csv", "age,work,gain\n1,a,3\n1\n2\n", schema)
    assert [origin.place for chunk in chunks for origin, _ in chunk.set_aside] == ["row 3", "row 4"]


def test_labelled_rows_are_read_by_the_schema(tmp_path: Path) -> None:
    schema = table(tmp_path / "a.csv", text()).schema()
    (tmp_path / "b.csv").write_text("income,gain,work,age\nLOW.,1,Private,0\nhigh,0,State-gov,1\n")
    examples = read(DataConfig(source=str(tmp_path / "b.csv"), target="income"), schema=schema)
    assert examples.targets().tolist() == ["low", "high"]
    assert isinstance(examples, TableExamples)
    assert examples.column_types["age"].kind == "number"  # alone it would be a boolean
    (tmp_path / "c.csv").write_text("gain,work,age\n1,Private,0\n0,a,1\n")
    with pytest.raises(DataError, match="there is no target: the column income is missing") as error:
        read(DataConfig(source=str(tmp_path / "c.csv")), schema=schema)
    assert "orthogon predict" in error.value.remedy


# -- garbage ------------------------------------------------------------------------------------------------------


def assert_helps(error: OrthogonError) -> None:
    assert error.what
    assert error.remedy


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_garbage_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("a.csv", "a.tsv", "a.csv.gz"):
        (tmp_path / name).write_bytes(content)
        try:
            examples = read(DataConfig(source=str(tmp_path / name), target="-1"))
            examples.fingerprint()
        except OrthogonError as error:
            assert_helps(error)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.lists(CELLS | st.integers().map(str) | st.floats().map(str), min_size=1, max_size=4), max_size=12)
)
def test_any_text_is_read_or_refused(tmp_path: Path, lines: list[list[str]]) -> None:
    (tmp_path / "a.csv").write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    try:
        examples = read(DataConfig(source=str(tmp_path / "a.csv"), target="-1", max_bad=1.0))
        assert len(list(examples)) == len(examples)
    except OrthogonError as error:
        assert_helps(error)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back(tmp_path: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 30))
    numbers = data.draw(st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=n, max_size=n))
    words = data.draw(st.lists(st.sampled_from(["a b", 'say "x"', "c,d", "é;"]), min_size=n, max_size=n))
    labels = data.draw(st.lists(st.sampled_from(["left", "right"]), min_size=n, max_size=n))
    frame = pd.DataFrame({"number": [0.5, *numbers[1:]], "word": words, "label": labels})
    frame.to_csv(tmp_path / "a.csv", index=False)
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "a.parquet")
    types = {"number": "number", "word": "category", "label": "category"}
    for name in ("a.csv", "a.parquet"):
        examples = read(DataConfig(source=str(tmp_path / name), target="label", types=types))  # type: ignore[arg-type]
        assert isinstance(examples, TableExamples)
        np.testing.assert_array_equal(examples.frame()["number"], frame["number"].astype(float))
        assert examples.frame()["word"].tolist() == words
        assert examples.targets().tolist() == labels


# -- the 17 dirty tables ------------------------------------------------------------------------------------------

DIRTY: list[tuple[str, str, str | None, int, dict[str, str], set[str]]] = [
    # file, target, its test file, rows, some kinds, left out
    (
        "adult_train.csv.gz",
        "-1",
        "adult_test.csv.gz",
        32_561 + 16_281,
        {"c0": "number", "c1": "category", "c14": "category"},
        set(),
    ),
    ("california_housing.csv.gz", "median_house_value", None, 20_640, {"ocean_proximity": "category"}, set()),
    (
        "titanic.csv",
        "Survived",
        None,
        891,
        {"Age": "number", "Sex": "category", "Pclass": "number", "Survived": "boolean", "Name": "text"},
        {"PassengerId", "Name", "Ticket", "Cabin"},
    ),
    (
        "telco_churn.csv.gz",
        "Churn",
        None,
        7_043,
        {"TotalCharges": "number", "SeniorCitizen": "boolean", "Churn": "boolean", "Contract": "category"},
        {"customerID"},
    ),
    ("mammography.csv", "-1", None, 11_183, {"c0": "number", "c6": "number"}, set()),
    ("oil_spill.csv", "-1", None, 937, {"c49": "boolean"}, set()),
    ("wine_quality_red.csv", "-1", None, 1_599, {"c11": "number"}, set()),
    ("beijing_pollution.csv.gz", "pm2.5", None, 43_824, {"pm2.5": "number", "cbwd": "category"}, {"No"}),
    ("horse_colic.csv", "23", None, 300, {"c24": "category", "c23": "number", "c3": "number"}, set()),
    ("auto_imports.csv", "-1", None, 201, {"c1": "number", "c2": "category", "c25": "number"}, set()),
    ("abalone.csv", "-1", None, 4_177, {"c0": "category", "c8": "number"}, set()),
    ("german_credit.csv", "-1", None, 1_000, {"c0": "category", "c1": "number"}, set()),
    ("bike_sharing.csv.gz", "count", None, 10_886, {"datetime": "date", "holiday": "boolean"}, set()),
    ("letter.csv.gz", "lettr", None, 20_000, {"lettr": "category", "x.box": "number"}, set()),
    ("diamonds.csv.gz", "price", None, 53_940, {"cut": "category", "carat": "number"}, set()),
    ("auto_mpg.csv", "mpg", None, 398, {"horsepower": "number", "origin": "category"}, {"name"}),
    (
        "yeast_multilabel_train.csv.gz",
        "-14:",
        "yeast_multilabel_test.csv.gz",
        1_500 + 917,
        {"Class1": "boolean"},
        set(),
    ),
]


@pytest.mark.skipif("ORTHOGON_DATA" not in os.environ, reason="ORTHOGON_DATA names no folder of real files")
@pytest.mark.parametrize(("file", "target", "test", "rows", "kinds", "left_out"), DIRTY, ids=[row[0] for row in DIRTY])
def test_dirty_tables_are_read_with_a_target_alone(
    file: str, target: str, test: str | None, rows: int, kinds: dict[str, str], left_out: set[str]
) -> None:
    folder = Path(os.environ["ORTHOGON_DATA"]) / "tabular"
    examples = read(
        DataConfig(source=str(folder / file), target=target, test_source=str(folder / test) if test else None)
    )
    assert isinstance(examples, TableExamples)
    assert len(examples) == rows
    assert {name: examples.column_types[name].kind for name in kinds} == kinds
    assert set(examples.left_out) == left_out
    assert examples.set_aside == []
    if file.startswith("adult"):
        assert sorted(set(examples.targets())) == ["<=50K", ">50K"]
        assert str(examples.origin(32_561)) == f"{folder / 'adult_test.csv.gz'}, row 1"
    if file.startswith("telco"):
        assert int(examples.frame()["TotalCharges"].isna().sum()) == 11
    if file.startswith("yeast"):
        assert len(examples.target_columns) == 14
        assert 4 < (examples.targets() == "1").sum(axis=1).mean() < 4.5  # "about 4 true a row"


def test_a_manifest_of_pictures_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\na/1.png,cat\na/2.JPG,dog\n")
    (tmp_path / "table.csv").write_text("path,label\nleft,cat\nright,dog\n")
    assert kind_of(tmp_path / "manifest.csv", DataConfig(source="x")) == "images"
    assert kind_of(tmp_path / "table.csv", DataConfig(source="x", target="label")) == "table"
    assert kind_of(tmp_path, DataConfig(source="x")) == "images"
