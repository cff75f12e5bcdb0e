"""Tags: what people saw when they looked at mistakes, kept in the project.

An example keeps its tags over runs: what is blurred for one network is blurred for the next. A mistake that was looked
at and fits no category has an entry without tags, for it counts among those looked at. PROJECT/tags.json holds all of
it; each entry knows where its example lies and what it holds, so that tags find their examples again after rows were
added to the data.

A spreadsheet takes part: `write_csv` gives one row a mistake and one column a category, `read_csv` takes back what
was ticked, added and commented there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.data.sheets import read_sheet
from orthogon.errors import DataError, RunError, UsageError, did_you_mean
from orthogon.run.folder import now, write_json, write_text

if TYPE_CHECKING:
    from orthogon.data.examples import Examples

FILE = "tags.json"
FORMAT = 1
FIRST_CATEGORIES = ("wrong label", "ambiguous")  # what any data may have; the others come while looking
LONGEST_NAME = 60
SHOWN_COLUMNS = ("id", "origin", "label", "answer", "confidence", "loss")
LAST_COLUMNS = ("comment", "looked at")
# Columns that other pages and people write beside ours; "tags" holds several, parted by commas or semicolons.
ALSO_KNOWN = ("tags", "split", "new_label", "run", "nearest in train")
ANEW = "Write the file anew and fill it in: orthogon errors --csv tags.csv"
NO = {"", "0", "no", "n", "false", "-", "–", "none", "nan", "nein", "falsch"}


@dataclass(frozen=True)
class Entry:
    """What was said about one example. when: of the last change. origin, key: where it lies and what it holds."""

    tags: tuple[str, ...] = ()
    comment: str = ""
    when: str = ""
    origin: str = ""
    key: str = ""


@dataclass
class TagBook:
    """The tags of one project on one data set.

    categories: in the order they came up -> hours of work to mend it, None where nobody said.
    entries: id -> what was said; an id that is absent was not looked at.
    elsewhere: entries whose examples are not in the data any more; kept, and found again when these come back.
    """

    folder: Path
    examples: Examples
    categories: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(FIRST_CATEGORIES))
    entries: dict[int, Entry] = field(default_factory=dict)
    elsewhere: list[Entry] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / FILE

    # -- reading and writing ------------------------------------------------------------------------------------

    @classmethod
    def load(cls, folder: Path, examples: Examples) -> TagBook:
        """The project's tags, each with its example of today.

        Raises:
            RunError: the file is damaged, or of a later format.
        """
        book = cls(folder, examples)
        if not book.path.exists():
            return book
        try:
            told = json.loads(book.path.read_text(encoding="utf-8"))
            version, fingerprint = int(told["format"]), str(told["data"])
            book.categories = {str(name): hours for name, hours in told["categories"].items()}
            kept = [(int(each.pop("id")), _entry(each)) for each in told["entries"]]
            book.elsewhere = [_entry(each) for each in told["elsewhere"]]
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise RunError(
                f"the tags cannot be read ({cause})", str(book.path), "Restore the file from a backup, or move it away."
            ) from cause
        if version > FORMAT:
            raise RunError(
                f"the tags have format {version}; this Orthogon reads up to {FORMAT}",
                str(book.path),
                "pip install --upgrade orthogon",
            )
        if fingerprint == examples.fingerprint():
            book.entries = dict(kept)
        else:
            book._find_again([entry for _, entry in kept] + book.elsewhere)
        return book

    def _find_again(self, entries: Sequence[Entry]) -> None:
        """Give each entry the example that holds what it was said about; of several equal ones that in its place."""
        rows: dict[str, list[int]] = {}
        for row, key in enumerate(self.examples.content_keys()):
            rows.setdefault(_hex(key), []).append(row)
        self.elsewhere = []
        for entry in entries:
            there = [row for row in rows.get(entry.key, []) if row not in self.entries]
            if len(there) > 1:
                there = [row for row in there if str(self.examples[row].origin) == entry.origin] or there[:1]
            if there:
                self.entries[there[0]] = replace(entry, origin=str(self.examples[there[0]].origin))
            else:
                self.elsewhere.append(entry)

    def save(self) -> None:
        """Write all of it, or nothing."""
        entries = [{"id": id_, **vars(entry)} for id_, entry in sorted(self.entries.items())]
        write_json(
            self.path,
            {
                "format": FORMAT,
                "data": self.examples.fingerprint(),
                "categories": self.categories,
                "entries": entries,
                "elsewhere": [vars(entry) for entry in self.elsewhere],
            },
        )

    # -- saying something ---------------------------------------------------------------------------------------

    def put(self, id_: int, tags: Iterable[str], comment: str = "") -> None:
        """What this example has; categories that are new are added."""
        known = self.entries.get(id_)
        tags = tuple(dict.fromkeys(self.category(tag) for tag in tags))
        if known is not None and known.tags == tags and known.comment == comment:
            return
        if known is None:
            key = _hex(self.examples.take([id_]).content_keys()[0])
            known = Entry(origin=str(self.examples[id_].origin), key=key)
        self.entries[id_] = replace(known, tags=tags, comment=comment, when=now())

    def category(self, name: str) -> str:
        """The category of this name, as it is written already or added now; case and spaces make no other.

        Raises:
            UsageError: it is no name.
        """
        name = " ".join(str(name).split())
        if not name or len(name) > LONGEST_NAME or re.search(r"[,;]", name):
            raise UsageError(
                f'"{name[:LONGEST_NAME]}" is no name for a kind of mistake',
                "category",
                f"Take one to {LONGEST_NAME} characters, without commas and semicolons, which part several tags.",
            )
        same = {known.casefold(): known for known in self.categories}
        found = same.setdefault(name.casefold(), name)
        self.categories.setdefault(found, None)
        return found

    def set_hours(self, name: str, hours: float) -> None:
        """How long it takes to mend a kind of mistake.

        Raises:
            UsageError: there is no such category, or the hours are none.
        """
        same = {known.casefold(): known for known in self.categories}
        known = same.get(" ".join(name.split()).casefold())
        if known is None:
            raise UsageError(f'there is no category "{name}"', "--hours", did_you_mean(name, self.categories))
        if not 0 < hours < 1e6:
            raise UsageError(
                f"{hours:g} hours is no length of work", f"--hours {name}", f'For instance: --hours "{known}=8"'
            )
        self.categories[known] = float(hours)


def _entry(values: Mapping[str, Any]) -> Entry:
    tags = tuple(str(tag) for tag in values["tags"])
    return Entry(tags, str(values["comment"]), str(values["when"]), str(values["origin"]), str(values["key"]))


def _hex(key: Any) -> str:
    return f"{int(key):016x}"


# -- the spreadsheet ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A mistake as the spreadsheet shows it."""

    id: int
    origin: str
    label: str
    answer: str
    confidence: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Problem:
    """A row that could not be taken: its line in the file, what is wrong, what to do."""

    line: int
    what: str
    remedy: str


@dataclass(frozen=True)
class Taken:
    """What came of reading a spreadsheet.

    rows: that say something; changed: entries that are other than before; new: categories added; both: rows whose
    example was tagged here as well since the file was written, and which now have the tags of both.
    """

    rows: int
    changed: int
    new: tuple[str, ...]
    both: int
    problems: tuple[Problem, ...]

    def sentence(self) -> str:
        said = f"{self.rows} rows read, {self.changed} changed."
        if self.new:
            said += f" New: {', '.join(self.new)}."
        if self.both:
            said += f" {self.both} had been tagged here as well since the file was written: they have the tags of both."
        return said


def write_csv(path: Path, rows: Sequence[Row], book: TagBook) -> None:
    """One row a mistake, one column a category with x where it holds, so that a spreadsheet program can go on.

    UTF-8 with a mark at the start, by which spreadsheet programs know it.
    """
    names = list(book.categories)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*SHOWN_COLUMNS, *names, *LAST_COLUMNS])
    for row in rows:
        entry = book.entries.get(row.id, Entry())
        ticks = ["x" if name in entry.tags else "" for name in names]
        figures = ["" if value is None else f"{value:.4g}" for value in (row.confidence, row.loss)]
        writer.writerow([row.id, row.origin, row.label, row.answer, *figures, *ticks, entry.comment, entry.when])
    write_text(path, "\ufeff" + text.getvalue())


def read_csv(path: Path, book: TagBook, allowed: Mapping[int, str]) -> Taken:
    """Take back a spreadsheet that `write_csv` wrote, or the relabel.csv of a report. The book is not saved.

    A row counts where anything in it is ticked, commented, or was so before. Good rows are taken though others are bad.

    Args:
        allowed: id -> origin of every example that may have tags.
    Raises:
        DataError: no table, no column "id", or a file that belongs to other data.
    """
    sheet = read_sheet(path, ANEW)
    sheet.require(("id",), ANEW)
    own = {
        name: place
        for name in (*SHOWN_COLUMNS, *LAST_COLUMNS, *ALSO_KNOWN)
        if (place := sheet.column(name)) is not None
    }
    problems: list[Problem] = []
    before = set(book.categories)
    ticked = {}
    for place, name in enumerate(sheet.header):
        if name and place not in own.values():
            try:
                ticked[place] = book.category(name)
            except UsageError as error:
                problems.append(Problem(1, error.what, error.remedy))
    without = {*book.categories} - {*ticked.values()}  # columns that were taken out: nothing is said of them
    line_of: dict[int, int] = {}
    counts = {"rows": 0, "changed": 0, "both": 0}
    strange = 0
    for line, cells in sheet.rows:
        said = {name: cells[place] for name, place in own.items()}
        problem = _problem(line, said, len(cells) - len(sheet.header), allowed, line_of)
        if problem is not None:
            strange += problem.what.startswith("example")
            problems.append(problem)
            continue
        id_ = int(float(said["id"]))
        line_of[id_] = line
        tags = [name for place, name in ticked.items() if cells[place].casefold() not in NO]
        tags += [tag for tag in map(str.strip, re.split(r"[,;]", said.get("tags", ""))) if tag]
        known = book.entries.get(id_)
        if known is not None and "tags" not in said:
            tags += [tag for tag in known.tags if tag in without]
        comment = said.get("comment", known.comment if known is not None else "")
        looked = said.get("looked at", "")
        if not (tags or comment or looked or (known is not None and looked)):
            continue
        if known is not None and known.when != looked:
            counts["both"] += {*known.tags} != {*tags} or known.comment != comment
            tags = [*known.tags, *tags]
            comment = " / ".join(dict.fromkeys(filter(None, (known.comment, comment))))
        try:
            book.put(id_, tags, comment)
        except UsageError as error:
            problems.append(Problem(line, error.what, error.remedy))
            continue
        counts["rows"] += 1
        counts["changed"] += book.entries[id_] != known
    if strange and strange > counts["rows"]:
        first = next(problem for problem in problems if problem.what.startswith("example"))
        raise DataError(
            f"{strange} of its rows are not of this project, the first: {first.what}",
            f"{path}, line {first.line}",
            f"Read it in the project that wrote it. {ANEW}",
        )
    new = tuple(name for name in book.categories if name not in before)
    return Taken(**counts, new=new, problems=tuple(problems))


def _problem(
    line: int, said: Mapping[str, str], surplus: int, allowed: Mapping[int, str], line_of: Mapping[int, int]
) -> Problem | None:
    if surplus > 0:
        return Problem(
            line,
            f"{surplus} more cells than the header has",
            'Put a comment that holds the separator into quotation marks: "a, b".',
        )
    try:
        id_ = float(said["id"])  # a spreadsheet may write 17 as 17.0
        if id_ != int(id_):
            raise ValueError
    except (ValueError, OverflowError):
        return Problem(
            line, f'"{said["id"]}" is no id of an example', "Write the number that the file had there at first."
        )
    id_ = int(id_)
    if id_ not in allowed:
        return Problem(
            line,
            f"example {id_} is none that is looked at in this project",
            "Take the row out, or write the number that the file had there at first.",
        )
    if id_ in line_of:
        return Problem(
            line,
            f"example {id_} stands in line {line_of[id_]} already, and that one counts",
            "Put what both rows say into one, and take the other out.",
        )
    origin = said.get("origin", "")
    if origin and origin != allowed[id_]:
        return Problem(
            line,
            f'example {id_} is "{allowed[id_]}" here, not "{origin}"',
            "Rows may be sorted, but each cell must move with its row: write the file anew and fill it in.",
        )
    return None
