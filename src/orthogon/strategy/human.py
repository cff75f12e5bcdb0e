"""What people reach on the same examples: from a file of annotators, a row an example and a column an annotator.

The best figure counts, not the usual one: a panel's majority, or the best annotator where that is better. An annotator
chosen as the best of several owes something to luck, so the choice is made on one half of the examples and measured on
the other, both ways. With it comes how much people disagree: the share of answers that differ from the plurality of
the others' (too much by a little, since a few others err), and from the plurality that includes them (too little).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.sheets import read_sheet
from orthogon.errors import DataError, did_you_mean
from orthogon.metrics.intervals import estimate
from orthogon.metrics.score import Metric, Scores, with_unit
from orthogon.shown import Shown, plain

if TYPE_CHECKING:
    from orthogon.data.examples import Examples
    from orthogon.tasks.task import Task

FEWEST = 20  # answers that an annotator, or examples that a panel, must have to be a figure
FEWEST_OF_PANEL = 3  # answers to one example that make a majority
BY_ID, BY_FILE, BY_PLACE = ("id",), ("file", "path", "image", "picture"), ("row", "line")
Ids = NDArray[np.int64]
Judge = Callable[[Ids, NDArray[Any]], Scores]


@dataclass(frozen=True)
class Person:
    """The error of one annotator, or of the panel: 0-best, with a 95 % interval, on n examples."""

    name: str
    error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class People(Shown):
    """What people reach. best: the figure that counts. disagreement: (too little, too much), None without two votes."""

    best: Person
    people: tuple[Person, ...]
    disagreement: tuple[float, float] | None
    unit: str
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self))
        return values

    def sentence(self) -> str:
        best = self.best
        figure = f"{self._show(best.error)} [{self._show(best.low)}, {self._show(best.high)}]"
        said = f"People reach {figure} on {best.n:,} examples ({best.name})."
        if self.disagreement is not None:
            low, high = (self._show(each) for each in self.disagreement)
            said += f" They disagree with each other's majority on {low} to {high} of their answers."
        return f"{said} {self.note}".rstrip()

    def _show(self, value: float) -> str:
        return with_unit(value, self.unit)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("annotator", "error", "95% interval", "n"):
            table.add_column(heading, justify="left" if heading == "annotator" else "right")
        for p in self.people:
            table.add_row(Text(p.name), self._show(p.error), f"[{self._show(p.low)}, {self._show(p.high)}]", f"{p.n:,}")
        return Group(table, Text(self.sentence()))


def measure(answers: NDArray[Any], ids: Ids, names: Sequence[str], judge: Judge, metric: Metric) -> People:
    """The error of each annotator, of the panel, and the best of them.

    Args:
        answers: (n, A) answers, None where there is none. ids: (n,) examples. names: (A,) of the annotators.
        judge: (ids, answers) -> Scores.
        metric: of the run.
    Raises:
        DataError: nobody answered enough examples.
    """
    given = np.array([[cell is not None for cell in row] for row in answers], bool).reshape(answers.shape)
    people, halves = [], []
    for column, name in enumerate(names):
        rows = np.flatnonzero(given[:, column])
        if len(rows) >= FEWEST:
            scores = judge(ids[rows], answers[rows, column])
            people.append(_person(name, scores, metric))
            halves.append((column, rows))
    panel = np.flatnonzero(given.sum(axis=1) >= FEWEST_OF_PANEL)
    whole = None
    if len(panel) >= FEWEST:
        voted = np.array([plurality(answers[row][given[row]]) for row in panel], object)
        whole = _person(f"majority of up to {answers.shape[1]}", judge(ids[panel], voted), metric)
        people.insert(0, whole)
    if not people:
        raise DataError(
            f"nobody answered {FEWEST} examples or more",
            "metrics.annotators",
            f"A figure needs {FEWEST} examples that one person answered, better some hundreds.",
        )
    best = min((p for p in people if p is not whole), key=lambda p: p.error, default=None)
    if best is not None and len(halves) > 1:
        best = _chosen(best, answers, ids, halves, judge, metric)
    figures = [each for each in (whole, best) if each is not None]
    counted = min(figures, key=lambda p: p.error)
    note = ""
    if counted.error == 0 and counted.n >= FEWEST:
        note = "If the labels were made from these very answers, that is no surprise and says nothing of people."
    return People(counted, tuple(people), disagreement(answers, given), metric.unit, note)


def _person(name: str, scores: Scores, metric: Metric) -> Person:
    limits = estimate(scores, metric).interval()
    return Person(name, limits.value, limits.low, limits.high, len(scores))


def _chosen(
    best: Person,
    answers: NDArray[Any],
    ids: Ids,
    columns: Sequence[tuple[int, Ids]],
    judge: Judge,
    metric: Metric,
) -> Person:
    """The best annotator's figure without the luck of having been chosen: picked on one half, measured on the other."""
    order = np.random.default_rng(0).permutation(len(answers))
    sides = (set(order[: len(order) // 2].tolist()), set(order[len(order) // 2 :].tolist()))
    parts = []
    for picked_on, measured_on in (sides, sides[::-1]):
        errors = {}
        for column, rows in columns:
            some = np.array([row for row in rows if row in picked_on], np.int64)
            if len(some) >= FEWEST // 2:
                errors[column] = metric.error(judge(ids[some], answers[some, column]))
        if not errors:
            return best
        winner = min(errors, key=lambda column: errors[column])
        rest = np.array([row for row in dict(columns)[winner] if row in measured_on], np.int64)
        if not len(rest):
            return best
        parts.append(judge(ids[rest], answers[rest, winner]))
    records = {name: np.concatenate([part.records[name] for part in parts]) for name in parts[0].records}
    both = Scores(records, np.concatenate([part.ids for part in parts]))
    return _person("best annotator, chosen on the other half of the examples", both, metric)


def plurality(votes: NDArray[Any]) -> Any:
    """The answer that most give; of several the first in order; the median of numbers."""
    if all(isinstance(vote, float) for vote in votes):
        return float(np.median(votes.astype(np.float64)))
    names, counts = np.unique(votes.astype(str), return_counts=True)
    return str(names[counts.argmax()])


def disagreement(answers: NDArray[Any], given: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Mean share of votes off the plurality that includes them, and off that of the others; ties count by halves.

    The first leans low, since every vote helps to make its own majority; the second high, since it is a smaller one.
    """
    inside, outside = [], []
    for row, known in zip(answers, given, strict=True):
        votes = row[known]
        if len(votes) < 2 or any(isinstance(vote, float) for vote in votes):
            continue
        names, codes = np.unique(votes.astype(str), return_inverse=True)
        counts = np.bincount(codes)
        inside.append(1 - counts.max() / len(votes))
        for code in codes:
            others = counts - (np.arange(len(names)) == code)
            top = np.flatnonzero(others == others.max())
            outside.append(1 - (code in top) / len(top))
    return (float(np.mean(inside)), float(np.mean(outside))) if inside else None


# -- the file -----------------------------------------------------------------------------------------------------


def read_annotators(path: Path, examples: Examples, classes: Sequence[str]) -> tuple[NDArray[Any], Ids, list[str]]:
    """(answers (n, A), ids (n,), names (A,)) of a CSV file of annotators.

    A column called id, file, path, image, row or line says which example a row is about; without one there are as many
    rows as examples, in their order. Every other column is an annotator; an empty cell is no answer.

    Raises:
        DataError: the file cannot be read, names examples that do not exist, or holds what is no class.
    """
    sheet = read_sheet(path, "metrics.annotators names a CSV: a row an example, a column an annotator, a header.")
    header = sheet.header
    body = [cells for _, cells in sheet.rows]
    lines = [line for line, _ in sheet.rows]
    keys = [i for i, name in enumerate(header) if name.casefold() in (*BY_ID, *BY_FILE, *BY_PLACE)]
    columns = [i for i, name in enumerate(header) if name and i not in keys]
    if not columns or not body:
        raise DataError("there is no annotator in it", str(path), "A row an example, a column an annotator, a header.")
    if keys:
        ids = _ids(header[keys[0]].casefold(), [row[keys[0]] for row in body], lines, examples, path)
    elif len(body) == len(examples):
        ids = np.arange(len(body))
    else:
        raise DataError(
            f"it has {len(body):,} rows and no column that names the examples, of which there are {len(examples):,}",
            str(path),
            "Add a column id (or file, row, line) that says which example each row is about.",
        )
    answers = np.full((len(body), len(columns)), None, object)
    numbers = not classes and examples.targets().dtype == np.float64
    for r, row in enumerate(body):
        for c, column in enumerate(columns):
            if row[column]:
                answers[r, c] = _answer(row[column], classes, numbers, f"{path}, line {lines[r]}", header[column])
    return answers, ids, [header[column] for column in columns]


def _answer(cell: str, classes: Sequence[str], numbers: bool, where: str, column: str) -> Any:
    if classes and cell not in classes:
        raise DataError(
            f'"{cell}" of annotator "{column}" is not one of the {len(classes)} classes',
            where,
            f"{did_you_mean(cell, classes)} A column that holds no answers must go.",
        )
    if not numbers:
        return cell
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f'"{cell}" of annotator "{column}" is no number', where, "Write 3.5, or leave it empty."
        ) from None


def _ids(key: str, cells: Sequence[str], lines: Sequence[int], examples: Examples, path: Path) -> Ids:
    """The example that each row is about."""
    if key in BY_ID:
        cells = [cell.removesuffix(".0") for cell in cells]  # a spreadsheet may write 17 as 17.0
    known = _places(key, cells, examples)
    found = np.array([known.get(cell, -1) for cell in cells], np.int64)
    strange = np.flatnonzero(found < 0)
    if len(strange):
        shown = ", ".join(f'"{cells[row]}" (line {lines[row]})' for row in strange[:5])
        raise DataError(
            f"{len(strange):,} of {len(cells):,} rows name examples that there are not: {shown}",
            str(path),
            f"The data holds {len(examples):,} examples; ids count from 0. Is the file about other data?",
        )
    if len(np.unique(found)) < len(found):
        again = next(i for i in range(len(found)) if (found[:i] == found[i]).any())
        raise DataError(
            f'"{cells[again]}" has more than one row',
            f"{path}, line {lines[again]}",
            "Put all annotators of an example in one row.",
        )
    return found


def _places(key: str, cells: Sequence[str], examples: Examples) -> Mapping[str, int]:
    if key in BY_ID:
        return {str(i): i for i in range(len(examples))}
    if key in BY_FILE and hasattr(examples, "paths"):
        found: dict[str, int] = {}
        lengths = {len(PurePath(cell).parts) for cell in cells}
        for i, file in enumerate(examples.paths):
            for length in lengths:
                found["/".join(file.parts[-length:])] = i
            found[str(file)] = i
        return {
            cell: found["/".join(PurePath(cell).parts)] for cell in cells if "/".join(PurePath(cell).parts) in found
        } | {cell: found[cell] for cell in cells if cell in found}
    if hasattr(examples, "lines"):
        return {str(line): i for i, line in enumerate(examples.lines)}
    if hasattr(examples, "origin"):
        return {examples.origin(i).place.removeprefix("row "): i for i in range(len(examples))}
    return {}


def judge_of(task: Task, examples: Examples) -> Judge:
    """Scores of answers that people gave: a class is given wholly, with probability 1."""
    from orthogon.tasks.task import Answers

    number = {name: k for k, name in enumerate(task.class_names())}

    def judge(ids: Ids, answers: NDArray[Any]) -> Scores:
        if number:
            probs = np.eye(len(number), dtype=np.float32)[[number[str(answer)] for answer in answers]]
            values = {"answer": answers.astype(str), "probs": probs, "confidence": probs.max(axis=1)}
        else:
            values = {"answer": np.array(answers.tolist())}
        return task.score(Answers(values, ids), examples.take(ids))

    return judge


def people_of(task: Task, examples: Examples, path: Path, metric: Metric) -> People:
    """What the file's annotators reach on the project's examples, by the run's metric."""
    several = len(getattr(examples, "target_columns", ())) > 1
    if several or (metric.kind == "set" and metric.additive is None):
        raise DataError(
            f"{metric.title} cannot be told of people's answers",
            "metrics.annotators",
            "Give their figure instead: metrics.human_level and metrics.human_level_n.",
        )
    answers, ids, names = read_annotators(path, examples, task.class_names())
    labelled = np.array([target is not None for target in examples.targets()[ids]], bool)
    return measure(answers[labelled], ids[labelled], names, judge_of(task, examples), metric)
