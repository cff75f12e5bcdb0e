"""Corrected labels: an overlay on the user's data, which itself is never touched.

    PROJECT/relabel/0001.csv     one file a revision: when, why, and split, id, origin, label, new_label of each change
    PROJECT/relabel/queue.csv    the examples of dev and test that were drawn for review, in their order

Revisions are applied in order to what the files hold; one that takes another back is a revision too, so that any run
can be shown with the labels that it was judged by. Ids, fingerprint and splits stay what they were, and no example is
ever dropped. A run notes the key of its labels, which is empty where they are those of the files.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orthogon.data.sheets import read_sheet as read_table
from orthogon.errors import RunError, UsageError
from orthogon.run.folder import now, write_text

if TYPE_CHECKING:
    from orthogon.data.examples import Examples

COLUMNS = ("split", "id", "origin", "label", "new_label", "tags", "comment")  # as the report writes them
ANEW = f"A sheet of labels has {', '.join(COLUMNS[:5])}; write one: orthogon errors --suspects --out relabel.csv"


@dataclass(frozen=True)
class Change:
    """One row: the example, its label before, and its label after (the same where it was found right).

    line: of the sheet it was read from, 0 where it comes from none.
    """

    split: str
    id: int
    origin: str
    label: str
    new_label: str
    tags: str = ""
    comment: str = ""
    line: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Revision:
    """number: from 1. what: the file it was read from, or "undo of 2". changes: with label and new_label different."""

    number: int
    time: str
    what: str
    fingerprint: str
    changes: tuple[Change, ...]


def overlay(revisions: Sequence[Revision], fingerprint: str) -> dict[int, str]:
    """Example -> its label, of those that differ from the files, after all revisions of this data."""
    first: dict[int, str] = {}
    last: dict[int, str] = {}
    for revision in revisions:
        if revision.fingerprint == fingerprint:
            for change in revision.changes:
                first.setdefault(change.id, change.label)
                last[change.id] = change.new_label
    return {id_: label for id_, label in sorted(last.items()) if label != first[id_]}


def key(labels: Mapping[int, str]) -> str:
    """Hash of an overlay; empty for none."""
    if not labels:
        return ""
    return hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:12]


def revisions(folder: Path) -> list[Revision]:
    """Every revision, oldest first.

    Raises:
        RunError: a file cannot be read.
    """
    found = []
    for path in sorted((folder / "relabel").glob("[0-9]*.csv")):
        try:
            rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
            facts = dict(cell.split("=", 1) for cell in rows[0])
            changes = tuple(Change(row[0], int(row[1]), *row[2:7]) for row in rows[2:])
            found.append(Revision(int(path.stem), facts["time"], facts["what"], facts["fingerprint"], changes))
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise RunError(
                f"a revision of the labels cannot be read ({error})",
                str(path),
                "Restore it from a backup, or delete it: then the labels are as they were before it.",
            ) from None
    return found


def add_revision(folder: Path, what: str, fingerprint: str, changes: Sequence[Change]) -> Path:
    """Write the next revision; its file is the audit of what was changed, when, and by what."""
    number = max((each.number for each in revisions(folder)), default=0) + 1
    path = folder / "relabel" / f"{number:04d}.csv"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"time={now()}", f"what={what}", f"fingerprint={fingerprint}"])
    writer.writerow(COLUMNS)
    for c in changes:
        writer.writerow([c.split, c.id, c.origin, c.label, c.new_label, c.tags, c.comment])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
    return path


def corrected(examples: Examples, folder: Path, labels: str | None = None) -> Examples:
    """The examples with the project's corrections on them.

    Args:
        labels: key of the labels wanted; None: the newest.
    Raises:
        RunError: no revision has that key.
    """
    if labels == "" or not (folder / "relabel").is_dir():
        if labels:
            raise RunError("the corrected labels of a run are gone", str(folder / "relabel"), "Restore the folder.")
        return examples
    every, fingerprint = revisions(folder), examples.fingerprint()
    for count in range(len(every), -1, -1):
        found = overlay(every[:count], fingerprint)
        if labels is None or key(found) == labels:
            if not found:
                return examples
            return examples.with_targets(np.array(list(found), np.int64), list(found.values()))
    raise RunError(
        "the labels that a run was judged by are no longer known", str(folder / "relabel"), "Restore its files."
    )


def read_sheet(path: Path) -> list[Change]:
    """The rows of a relabel.csv, as the report and `orthogon errors --suspects` write it.

    Raises:
        DataError: no such file, or not that format. UsageError: rows that lack what names their example.
    """
    sheet = read_table(path, ANEW)
    sheet.require(COLUMNS[:5], ANEW)
    place = {name: sheet.column(name) for name in COLUMNS}
    changes, strange = [], []
    for line, cells in sheet.rows:
        values = {name: "" if at is None else cells[at] for name, at in place.items()}
        number = values["id"].removesuffix(".0")  # a spreadsheet may write 17 as 17.0
        if number.isascii() and number.isdecimal():
            changes.append(Change(**{**values, "id": int(number)}, line=line))  # type: ignore[arg-type]
        else:
            strange.append(f'line {line}: "{values["id"]}" is no id')
    if strange:
        more = f"\n  and {len(strange) - 8} more" if len(strange) > 8 else ""
        raise UsageError(
            "rows name no example; nothing was changed:\n  " + "\n  ".join(strange[:8]) + more,
            str(path),
            "Write the numbers that the column id had there at first.",
        )
    return changes


def sheet_text(changes: Sequence[Change]) -> str:
    """The rows as a relabel.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[c.split, c.id, c.origin, c.label, c.new_label, c.tags, c.comment] for c in changes])
    return text.getvalue()
