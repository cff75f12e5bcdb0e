"""Use of a run: answers for new inputs, and figures on new labelled data."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from orthogon.data.atomic import atomic_file
from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.data.read import IMAGE_SUFFIXES, read, read_new
from orthogon.data.tables import TableExamples
from orthogon.errors import DataError, UsageError
from orthogon.metrics.score import Scores
from orthogon.metrics.select import Threshold, at_threshold
from orthogon.run.decide import answers_at, with_costs
from orthogon.run.folder import Run, refuse_to_write
from orthogon.tasks.task import Answers

Write = Callable[[Sequence[Any]], object]  # takes a row
UNLIKE = 1.0  # above it an input lies outside what train held


@dataclass
class Prediction:
    """What happened to new inputs.

    rows: a dict an input, its keys the columns of the CSV; empty where the answers were written to a file.
    """

    answered: int = 0
    unlike_train: int = 0
    set_aside: list[tuple[str, str]] = field(default_factory=list)  # (origin, why)
    with_problems: int = 0  # answered, though a value could not be used
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)


def predict(
    run: Run,
    source: str | Path,
    out: str | Path | TextIO | None = None,
    listen: Callable[[int], None] = lambda done: None,
) -> Prediction:
    """Answer new inputs chunk by chunk: one row an input, in order, also for those set aside.

    A row or line without any value is no input and has no row.

    Columns: origin, the columns of a table that hold ids ("input_NAME" where one is called as ours are), answer,
    confidence and one probability a class where there are any, unlike_train (0 typical, above 1 outside what train
    held), problem (why an input could not be read, or which of its values could not be used: a text in a column of
    numbers, a level that is not known; such a row is answered all the same).

    Args:
        run: a finished run.
        source: file or folder of new inputs; targets are not needed and not looked at.
        out: the CSV to write, whole or not at all, or an open file to write it to. An existing file is not
            overwritten. None keeps the answers in the Prediction's rows.
        listen: called with the number of inputs answered so far.
    Raises:
        UsageError: `out` exists, or its folder does not; or the source is no path, or of another kind than the
            run's data.
        DataError: nothing in the source can be read.
    """
    if isinstance(out, str | Path):
        refuse_to_write(Path(out))
    refuse_no_path(source)
    refuse_other_kind(run.config["task"]["kind"], Path(source).expanduser())
    task, network = run.task(), run.network()
    config = DataConfig(**{**run.config["data"], "source": str(source)})
    classes = task.class_names()
    threshold = Threshold.from_dict(run.info["threshold"]) if "threshold" in run.info else None
    done = Prediction()
    schema = run.schema()
    with _opened(out, done.rows) as write:
        header: list[str] | None = None
        waiting: list[tuple[str, str]] = []  # set aside, and not written yet
        for examples in read_new(str(source), config, schema=schema):
            aside = [(str(origin), str(why)) for origin, why in getattr(examples, "set_aside", ())]
            done.set_aside += aside
            if not len(examples):
                waiting += aside
                continue
            answers = task.answers(network, examples)
            if threshold is not None:
                answers = answers_at(answers, classes, threshold)
            columns = _columns(answers, classes, task.unlike_train(examples))
            columns = {**_ids(examples, schema, columns), **columns}
            if header is None:
                header = ["origin", *columns, "problem"]
                write(header)
            origins = [str(examples[i].origin) for i in range(len(examples))]
            problems: dict[int, str] = getattr(examples, "problems", {})
            due = deque(zip(examples.set_aside_before, aside, strict=True))
            for i, origin in enumerate(origins):
                while due and due[0][0] <= i:
                    waiting.append(due.popleft()[1])
                _write_aside(write, header, waiting)
                write([origin, *(column[i] for column in columns.values()), problems.get(i, "")])
            waiting += [each for _, each in due]
            done.answered += len(examples)
            done.with_problems += len(problems)
            done.unlike_train += int((columns["unlike_train"] > UNLIKE).sum())
            listen(done.answered)
        if header is None and not done.set_aside:
            raise DataError("there is nothing to answer here", str(source), "Give a file or folder with inputs.")
        if header is None:  # nothing could be read
            header = ["origin", "answer", "unlike_train", "problem"]
            write(header)
        _write_aside(write, header, waiting)
    return done


@contextmanager
def _opened(out: str | Path | TextIO | None, rows: list[dict[str, Any]]) -> Iterator[Write]:
    """What takes the header and then each row: a CSV, which appears as a file when it is whole, or `rows`."""
    if out is None:
        names: list[str] = []

        def keep(row: Sequence[Any]) -> None:
            if names:
                rows.append(dict(zip(names, map(_value, row), strict=True)))
            else:
                names.extend(row)

        yield keep
    elif isinstance(out, str | Path):
        with atomic_file(Path(out)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            yield _csv(file)
    else:
        yield _csv(out)


def _csv(file: TextIO) -> Write:
    writer = csv.writer(file, lineterminator="\n")
    return lambda row: writer.writerow(map(_cell, row))


def _write_aside(write: Write, header: list[str], waiting: list[tuple[str, str]]) -> None:
    """A row for each input that could not be read; none is waiting afterwards."""
    for origin, why in waiting:
        write([origin, *[""] * (len(header) - 2), why])
    waiting.clear()


def _ids(
    examples: Examples, schema: Mapping[str, Any] | None, answers: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The columns of a table that tell its rows apart, as they stand there."""
    if schema is None:
        return {}
    table = cast(TableExamples, examples)
    names = [name for name, column in table.column_types.items() if column.kind == "id"]
    taken = {"origin", *answers, "problem"}
    return {f"input_{name}" if name in taken else name: table.texts(name) for name in names}


def refuse_no_path(source: Any) -> None:
    """Say what data is given as, where it is given as something else: a data frame, an array.

    Raises:
        UsageError: it is neither a string nor a path.
    """
    if not isinstance(source, str | Path):
        raise UsageError(
            f"data is given as a path, not as a {type(source).__name__}",
            "",
            "Give the path of a file or folder. For data frames and arrays: orthogon.OrthogonClassifier, "
            "OrthogonRegressor or OrthogonMultiLabelClassifier.",
        )


def refuse_other_kind(task: str, source: Path) -> None:
    """Say what a run was trained on where new inputs are of another kind.

    Raises:
        UsageError: a file that is no picture for a task on pictures; a folder or a picture for one on strings.
    """
    picture = source.suffix.lower() in IMAGE_SUFFIXES
    if task == "image_classification" and source.is_file() and not picture:
        raise UsageError(
            f'"{source}" is no picture, and the run was trained on pictures.',
            "",
            f"Give a folder of pictures, or one picture ({', '.join(IMAGE_SUFFIXES)}).",
        )
    if task == "seq2seq" and (source.is_dir() or (source.is_file() and picture)):
        what = "folder" if source.is_dir() else "picture"
        raise UsageError(
            f'"{source}" is a {what}, and the run was trained on pairs of strings.',
            "",
            "Give a file with one string a line, or a TSV or JSONL file as in training.",
        )


def evaluate(run: Run, source: str | Path) -> tuple[Answers, Scores, Examples]:
    """Answers and scores of a run on labelled data it has not seen, and that data.

    Raises:
        DataError: the source cannot be read, or has no targets.
    """
    refuse_no_path(source)
    config = {**run.config["data"], "source": str(source), "test_source": None, "dev_source": None}
    examples = read(DataConfig(**config), schema=run.schema())
    task = run.task()
    answers = task.answers(run.network(), examples)
    scores = with_costs(task.score(answers, examples), task.class_names(), run.config["metrics"]["class_costs"])
    if "threshold" in run.info:
        threshold = Threshold.from_dict(run.info["threshold"])
        answers, scores = answers_at(answers, task.class_names(), threshold), at_threshold(scores, threshold)
    if not len(scores):
        raise DataError("no example here has a target", str(source), "To answer without targets: orthogon predict")
    return answers, scores, examples


def _columns(answers: Answers, classes: list[str], unlike: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The CSV's columns: numbers and strings of each answer, one column a class for probabilities.

    Several targets have their answers as (n, targets) and each target's own values as "answer_0", "confidence_0";
    the columns bear the targets' names.
    """
    answer = answers.values["answer"]
    several = answer.ndim == 2
    names = classes if several and len(classes) == answer.shape[1] else [str(k) for k in range(answer.shape[-1])]
    columns: dict[str, NDArray[Any]] = {} if several else {"answer": answer}
    if several:
        columns = {f"answer_{name}": answers.values.get(f"answer_{k}", answer[:, k]) for k, name in enumerate(names)}
    for key, values in answers.values.items():
        kind, _, number = key.rpartition("_")
        if key == "probs" and values.ndim == 2 and len(classes) == values.shape[1]:
            columns |= {f"p_{label}": values[:, k] for k, label in enumerate(classes)}
        elif several and kind in ("answer", "confidence") and number.isdecimal():
            columns[f"{kind}_{names[int(number)]}"] = values
        elif key != "answer" and values.ndim == 1:
            columns[key] = values
    columns["unlike_train"] = np.round(unlike, 3)
    return columns


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value


def _value(value: Any) -> Any:
    """A plain Python value."""
    return value.item() if isinstance(value, np.generic) else value
