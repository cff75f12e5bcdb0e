"""Sheets as spreadsheet programs save them: whatever Excel writes is read, what is broken is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.sheets import read_sheet
from orthogon.errors import DataError, UsageError
from orthogon.project.corrections import read_sheet as read_labels

HEADER = ("split", "id", "origin", "label", "new_label")
ROW = ("train", "7", "a.csv, row 9", "Käse", "Brot")


def written(separator: str, end: str = "\r\n") -> str:
    quoted = [f'"{cell}"' if separator in cell else cell for cell in ROW]
    return separator.join(HEADER) + end + separator.join(quoted) + end


@pytest.mark.parametrize(
    "raw",
    [
        written(",").encode("utf-8-sig"),  # Excel: CSV UTF-8
        written(";").encode("cp1252"),  # Excel where commas part decimals
        written("\t").encode("utf-16"),  # Excel: Unicode text
        ("sep=;\r\n" + written(";")).encode("utf-8"),
        written(",", "\r").encode("utf-8"),  # Excel for the Mac
        ("\n" + written(",", "\n") + ",,,,\n\n").encode("utf-8"),  # empty rows around
        written(",").replace("\r\n", ",,\r\n").encode("utf-8"),  # empty cells at the end
    ],
    ids=["utf-8", "semicolons", "utf-16", "sep", "mac", "empty rows", "empty cells"],
)
def test_every_way_in_which_a_spreadsheet_is_saved(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(raw)
    sheet = read_sheet(path, "Anew.")
    assert sheet.header == HEADER
    assert [cells for _, cells in sheet.rows] == [ROW]
    change = read_labels(path)[0]
    assert (change.split, change.id, change.origin, change.label, change.new_label) == ("train", 7, *ROW[2:])
    assert change.line == sheet.rows[0][0]


@given(
    st.lists(st.lists(st.text('ab ;,"\n\tü', max_size=5).map(str.strip), min_size=1, max_size=4), max_size=5),
    st.sampled_from(",;\t"),
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], mark: str) -> None:
    import csv

    path = tmp_path_factory.mktemp("sheet") / "s.csv"
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=mark).writerows([["id", "x", "y", "z"], *rows])
    found = [list(cells) for _, cells in read_sheet(path, "").rows]
    assert found == [[*row, *[""] * (4 - len(row))] for row in rows if any(row)]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "the file is empty(.|\n)*Anew"),
        (b" \n\n", "the file is empty(.|\n)*Anew"),
        (b"sep=;\n", "the file is empty(.|\n)*Anew"),
        (b"PK\x03\x04....", "a workbook, not a text(.|\n)*CSV in the spreadsheet program"),
        (b'id,x\n1,"' + b"a" * 200_000, r"s\.csv, line 2: (.|\n)*never closed"),
    ],
)
def test_a_file_that_is_no_sheet(tmp_path: Path, raw: bytes, what: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=what):
        read_sheet(path, "Anew.")
    with pytest.raises(DataError, match=r"none\.csv: there is no such file\nAnew"):
        read_sheet(tmp_path / "none.csv", "Anew.")


def test_missing_columns_and_ids_of_a_sheet_of_labels_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "relabel.csv"
    path.write_text("split,id,origin,label,newlabel\n")
    with pytest.raises(DataError, match=r'line 1: there is no column "new_label"\nDid you mean "newlabel"\?') as stop:
        read_labels(path)
    assert "orthogon errors --suspects --out relabel.csv" in stop.value.remedy
    path.write_text("split,label\n")
    with pytest.raises(DataError, match=r'the columns "id", "origin" and "new_label" are missing\nIt has split, label'):
        read_labels(path)
    path.write_text("split;id;origin;label;new_label\ntrain;7.0;o;a;b\ndev;x;o;a;b\n\ndev;-1;o;a;b\n")
    with pytest.raises(UsageError, match=r'line 3: "x" is no id\n  line 5: "-1" is no id(.|\n)*numbers'):
        read_labels(path)
