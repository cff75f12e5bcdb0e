"""Error analysis of one run: which mistakes are shown, what they were tagged as, and what mending them could bring."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orthogon.data.examples import Examples
from orthogon.data.mirror import mirror_trait
from orthogon.data.tables import TableExamples
from orthogon.data.traits import Trait, traits
from orthogon.metrics.intervals import estimate
from orthogon.metrics.score import Metric, Scores
from orthogon.strategy.ceilings import Ceilings, ceilings, counts_mistakes, names_of, shares_of
from orthogon.strategy.eyeball import Halves
from orthogon.strategy.leaks import Leaks, nearest_of
from orthogon.strategy.leaks import find as find_leaks
from orthogon.strategy.mistakes import mistaken
from orthogon.strategy.slices import Slices, find
from orthogon.strategy.tags import Row, TagBook

if TYPE_CHECKING:
    from torch import nn

    from orthogon.run.folder import Run
    from orthogon.tasks.task import Task

LEAKS_AMONG = 20_000  # pictures of train, up to which their features are compared as well
NEIGHBOURS_AMONG = 10_000
SAMPLE = 100  # mistakes that are tagged unless more are asked for


def shown(dev: Scores, halves: Halves) -> Scores:
    """The scores of dev that people may look at example by example."""
    return dev if halves.whole else dev.take(np.isin(dev.ids, halves.eyeball))


def in_drawn_order(scores: Scores, key: str) -> NDArray[np.int64]:
    """Ids of the mistakes, in an order drawn once a project: the same for every run, so that tags are met again.

    The first m of them are a random sample of the mistakes, whatever m is.
    """
    ids = scores.ids[mistaken(scores)]
    place = [hashlib.sha256(f"{key}-{int(id_)}".encode()).digest()[:8] for id_ in ids]
    return ids[np.argsort(np.array(place, dtype="S8"), kind="stable")] if len(ids) else ids


def rows_of(ids: NDArray[np.int64], examples: Examples, answers: Any, scores: Scores) -> list[Row]:
    """The mistakes as a spreadsheet shows them.

    Args:
        answers: of the same split, in any order.
    """
    row_of = {int(id_): row for row, id_ in enumerate(answers.ids)}
    score_of = {int(id_): row for row, id_ in enumerate(scores.ids)}
    confidence = answers.values.get("confidence")
    rows = []
    for id_ in map(int, ids):
        example, at = examples[id_], row_of[id_]
        sure = None if confidence is None or np.ndim(confidence) != 1 else float(confidence[at])
        loss = float(scores.records["loss"][score_of[id_]])
        said = _words(answers.values["answer"][at])
        rows.append(Row(id_, str(example.origin), _words(example.target), said, sure, loss))
    return rows


def said_of(part: Examples, train: Examples) -> list[Trait]:
    """What can be said of each input in its owner's words; a table's own columns say more than any trait."""
    if part.modality == "table":
        return []
    found = traits(part, train)
    return [*found, mirror_trait(part, train)] if part.modality == "image" else found


def slices_of(run: Run, examples: Examples, train: NDArray[np.int64]) -> Slices:
    """Groups of dev that fail together: conditions on the columns of a table, or on traits, and clusters of features.

    The error of an example is whether it is wrong; where nothing is plainly wrong, how far off it is, else its loss.

    Args:
        examples: all of the project's. train: ids that the system learned from.
    """
    dev, task = run.scores("dev"), run.task()
    records, part = dev.records, examples.take(dev.ids)
    name = next(n for n in ("wrong", "absolute", "loss") if n in records and np.ndim(records[n]) == 1)
    errors = np.asarray(records[name], dtype=np.float64)
    names = task.class_names()
    classes = bool(names) and all(n in records and np.ndim(records[n]) == 1 for n in ("truth", "answer"))
    truth, answer = ([names[int(k)] for k in records[n]] for n in ("truth", "answer")) if classes else (None, None)
    columns = part.frame(part.input_columns) if isinstance(part, TableExamples) else None
    if columns is None and part.domains is not None:
        columns = pd.DataFrame({"domain": part.domains})
    features = None if isinstance(part, TableExamples) else task.features(run.network(), part)
    unit = "%" if name == "wrong" else task.metrics()[next(iter(task.metrics()))].unit if name == "absolute" else ""
    return find(
        (errors > 0).astype(float) if name == "wrong" else errors,
        dev.ids,
        columns=columns,
        features=features,
        traits=said_of(part, examples.take(train)),
        truth=truth,
        answer=answer,
        groups=dev.groups,
        key=run.info["splits_key"],
        unit=unit,
    )


def leaks_of(run: Run, examples: Examples, train: NDArray[np.int64], metric: Metric) -> Leaks:
    """What dev shares with train, and the error with and without it.

    Args:
        examples: all of the project's. train: ids that the system learned from.
    """
    dev, task, network = run.scores("dev"), run.task(), run.network()
    part, rest = examples.take(dev.ids), examples.take(train)
    pictures = examples.modality == "image" and len(train) <= LEAKS_AMONG  # beyond, thumbnails tell alone
    return find_leaks(
        dev,
        metric,
        part,
        rest,
        train,
        dev_features=task.features(network, part) if pictures else None,
        train_features=task.features(network, rest) if pictures else None,
        title=metric.error_title,
        split_by_time=run.config["data"].get("time") is not None,
    )


def neighbours(
    task: Task, network: nn.Module, examples: Examples, ids: NDArray[np.int64], train: NDArray[np.int64], k: int = 3
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, k) ids of the examples of train that the network takes for most alike, and (n, k) their distances.

    Args:
        ids: (n,) examples. train: ids that the system learned from; of very many a spread of 10,000 is looked at.
    """
    some = train[np.linspace(0, len(train) - 1, min(len(train), NEIGHBOURS_AMONG)).astype(np.int64)]
    own, known = (task.features(network, examples.take(each)).astype(np.float64) for each in (ids, some))
    spread = np.maximum(known.std(axis=0), 1e-9)
    distance, rows = nearest_of(own / spread, known / spread, min(k, len(some)))
    return some[rows], distance


def _words(value: Any) -> str:
    """A target or an answer in one cell; of several targets each with its name."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={_words(each)}" for name, each in value.items())
    if isinstance(value, np.ndarray):
        return "; ".join(_words(each) for each in value.tolist())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def table_of(dev: Scores, part: Scores, metric: Metric, book: TagBook) -> Ceilings:
    """The table of tags of those mistakes of a run that were looked at.

    Args:
        dev: scores of all of dev, for the error. part: of those that are shown.
    """
    mistakes = part.take(mistaken(part))
    looked = np.array([int(id_) in book.entries for id_ in mistakes.ids], dtype=bool)
    there = mistakes.take(looked)
    entries = [book.entries[int(id_)] for id_ in there.ids]
    tagged = names_of([entry.tags for entry in entries], list(book.categories))
    tagged = {name: mine for name, mine in tagged.items() if mine.any()}
    alike = counts_mistakes(part, metric) or not entries
    return ceilings(
        estimate(dev, metric),
        tagged,
        len(entries),
        of=len(mistakes),
        hours=book.categories,
        shares=None if alike else shares_of(there, metric, tagged),
        title=metric.error_title,
        unit=metric.unit,
        comments=sum(bool(entry.comment) for entry in entries),
    )
