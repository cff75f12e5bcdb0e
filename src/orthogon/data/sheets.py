"""Small tables that people fill in with a spreadsheet program and hand back: tags, corrected labels, annotators.

Excel and its like save a CSV with commas or semicolons, or tabs in UTF-16, in the encoding of the machine, with empty
cells at the end of rows, and with a first line "sep=;". All of it is read; lines are counted as an editor does.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orthogon.errors import DataError, did_you_mean

SEPARATORS = ",;\t"
WORKBOOK = b"PK\x03\x04"  # an .xlsx or .ods is a ZIP archive


@dataclass(frozen=True)
class Sheet:
    """header: names without spaces around them. rows: (line in the file, cells), none of them empty throughout.

    A row has as many cells as the header, or more where it says more.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def column(self, name: str) -> int | None:
        """The place of a column, whatever its case; None without it."""
        names = [each.casefold() for each in self.header]
        return names.index(name) if name in names else None

    def require(self, names: Sequence[str], remedy: str) -> None:
        """Refuse a sheet without these columns.

        Raises:
            DataError: naming those that are missing, and the nearest that are there.
        """
        missing = [name for name in names if self.column(name) is None]
        if not missing:
            return
        near = did_you_mean(missing[0], [name for name in self.header if name])
        near = near if near.startswith("Did") else f"It has {', '.join(name for name in self.header[:8] if name)}."
        quoted = [f'"{name}"' for name in missing]
        named = " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if quoted[1:] else quoted[0]
        what = f"there is no column {named}" if len(missing) == 1 else f"the columns {named} are missing"
        raise DataError(what, f"{self.path}, line 1", f"{near} {remedy}")


def read_sheet(path: Path, remedy: str) -> Sheet:
    """A sheet as it was saved: separator, encoding and line ends are found.

    Args:
        remedy: how the user makes the file anew.
    Raises:
        DataError: no such file, a workbook in place of a text, nothing in it, or a quotation mark that is never closed.
    """
    from orthogon.data.delimited import head_text  # loads pyarrow

    if not path.is_file():
        raise DataError("there is no such file", str(path), remedy)
    raw = path.read_bytes()
    if not raw.strip():
        raise DataError("the file is empty", str(path), remedy)
    if raw.startswith(WORKBOOK):
        raise DataError(
            "this is a workbook, not a text", str(path), "Save the sheet as CSV in the spreadsheet program; name that."
        )
    _, encoding = head_text(path)
    text = raw.decode(encoding, errors="replace").removeprefix("\ufeff")
    skip, separator = 0, ""
    if text.startswith("sep="):
        first, _, text = text.partition("\n")
        skip, separator = 1, first.strip()[4:]
    head = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator or max(SEPARATORS, key=head.count))
    rows: list[tuple[int, tuple[str, ...]]] = []
    line = 1 + skip
    try:
        for cells in reader:
            kept = [cell.strip() for cell in cells]
            while kept and not kept[-1]:
                kept.pop()
            if kept:
                rows.append((line, tuple(kept)))
            line = reader.line_num + 1 + skip
    except csv.Error as error:
        raise DataError(
            str(error), f"{path}, line {line}", "Look for a quotation mark that is never closed."
        ) from error
    if not rows:
        raise DataError("the file is empty", str(path), remedy)
    header = tuple(" ".join(name.split()) for name in rows[0][1])
    return Sheet(path, header, tuple((line, cells + ("",) * (len(header) - len(cells))) for line, cells in rows[1:]))
