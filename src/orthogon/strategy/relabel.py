"""Correct labels by one process: which examples are drawn for review, and what a reviewed sheet may change.

Dev and test are cleaned alike, or their errors no longer compare; and to look only at what the network got wrong makes
it look better than it is. So of both sets the same rule draws: all whose label is suspect by the run's own answers,
and as many others at random. They are shown in one shuffled order, without the network's answer: nobody learns from
the list what the network got wrong on test. Labels may be corrected as far as the list was worked through from its
top, on dev and test alike. Train may be corrected in any part: it does not judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import plural
from orthogon.errors import RunError, UsageError, did_you_mean
from orthogon.project.corrections import Change, add_revision, read_sheet, revisions, sheet_text
from orthogon.run.folder import refuse_to_write, write_text
from orthogon.shown import Shown
from orthogon.strategy import labels

if TYPE_CHECKING:
    from orthogon.data.examples import Examples, Splits
    from orthogon.metrics.score import Scores
    from orthogon.project.project import Project
    from orthogon.run.folder import Run
    from orthogon.strategy.label_study import Suspect

FEWEST_DRAWN = 20  # examples drawn at random from each set beside the suspects
UNSURE = "?"  # as new label: looked at, and left as it is
JUDGES = ("dev", "test")
Ids = NDArray[np.int64]


def draw(parts: Mapping[str, tuple[Ids, Ids, NDArray[Any]]], seed: int = 0) -> list[tuple[str, int]]:
    """(split, id) of the examples of dev and test to be reviewed, in the order in which they are to be.

    Args:
        parts: split -> (ids, class numbers, probabilities by the run itself).
    """
    rng = np.random.default_rng(seed)
    limits = None
    drawn: list[tuple[str, int]] = []
    for split in JUDGES:
        if split not in parts:
            continue
        ids, truth, probs = parts[split]
        if limits is None:  # of dev; the same thresholds then judge test
            limits = labels.thresholds(truth, probs)
        suspect = labels.find(truth, probs, labels.confident_joint(truth, probs, limits))
        others = rng.permutation(np.flatnonzero(~suspect))[: max(int(suspect.sum()), FEWEST_DRAWN)]
        drawn += [(split, int(ids[row])) for row in (*np.flatnonzero(suspect), *others)]
    return [drawn[i] for i in rng.permutation(len(drawn))]


@dataclass(frozen=True)
class Relabelled(Shown):
    """What a sheet changed. reviewed, changed: examples by split. file: the audit."""

    reviewed: Mapping[str, int]
    changed: Mapping[str, int]
    file: Path
    changes: Sequence[Change] = field(default=(), repr=False)
    undone: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"reviewed": self.reviewed, "changed": self.changed, "file": str(self.file), "undone": self.undone}

    def __rich__(self) -> str:
        if self.undone is not None:
            count = sum(self.changed.values())
            return f"Correction {self.undone} is taken back: {count:,} labels are as they were. {self._after()}"
        parts = [
            f"{split.replace('_', '-')} {self.changed[split]:,} of {self.reviewed[split]:,} looked at"
            for split in self.reviewed
        ]
        return f"Labels corrected: {', '.join(parts)}. {self._after()}"

    def _after(self) -> str:
        return (
            f"Your files are as they were; what was changed is in {self.file}. Runs made before were judged by other "
            "labels: train again (orthogon train), or judge them all by today's (orthogon compare)."
        )


def check(
    sheet: Sequence[Change],
    queue: Sequence[tuple[str, int]],
    targets: NDArray[Any],
    splits: Splits,
    classes: Sequence[str],
    place: str,
) -> list[Change]:
    """The rows of a sheet that were looked at, with the labels that they are to get; all of them, or a refusal.

    Args:
        queue: as `draw` gave it.
        targets: of the project's examples, as they are today. classes: of the task; empty where targets are values.
        place: the sheet's name, for messages.
    Raises:
        UsageError: rows that name no example, another label than the project's, or an unknown class; or dev and test
            are not cleaned by one process.
    """
    split_of = {int(id_): name for name, ids in splits.parts.items() for id_ in ids}
    problems, looked_at = [], []
    seen: set[int] = set()
    for place_in, row in enumerate(sheet, start=2):
        if not row.new_label:
            continue
        split = row.split.replace("-", "_")
        where = f"line {row.line or place_in}"
        if row.id >= len(targets):
            problems.append(f"{where}: there is no example {row.id}; the data holds {len(targets):,}")
            continue
        if split_of.get(row.id) != split:
            actual = split_of.get(row.id, "no part")
            problems.append(f'{where}: example {row.id} is in {actual}, not in "{row.split}"')
            continue
        if row.id in seen:
            problems.append(f"{where}: example {row.id} stands there twice")
            continue
        seen.add(row.id)
        today = "" if targets[row.id] is None else str(targets[row.id])
        if row.label != today:
            problems.append(f'{where}: example {row.id} is labelled "{today}" today, not "{row.label}"')
            continue
        new = today if row.new_label == UNSURE else row.new_label
        if classes and new not in classes:
            problems.append(f'{where}: "{new}" is not one of the {len(classes)} classes. {did_you_mean(new, classes)}')
            continue
        looked_at.append(replace(row, split=split, new_label=new))
    if problems:
        more = f"\n  and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise UsageError(
            f"{plural(len(problems), 'row')} cannot be used; nothing was changed:\n  "
            + "\n  ".join(problems[:8])
            + more,
            place,
            "Correct these rows, or write the sheet anew: orthogon errors --suspects --out relabel.csv",
        )
    if not looked_at:
        raise UsageError(
            "no row has a new label", place, "Fill the column new_label; repeat the label where it is right."
        )
    _refuse_one_sided(looked_at, queue, splits, place)
    return looked_at


def _refuse_one_sided(
    looked_at: Sequence[Change], queue: Sequence[tuple[str, int]], splits: Splits, place: str
) -> None:
    """Refuse corrections of dev or test that were not found by the process that both went through."""
    corrected = [row for row in looked_at if row.split in JUDGES and row.new_label != row.label]
    if not corrected:
        return
    remedy = (
        "Work through the list that draws examples of both by one rule: orthogon errors --suspects --out relabel.csv"
    )
    places = {id_: place for place, (_, id_) in enumerate(queue)}
    strange = [row for row in corrected if row.id not in places]
    if strange:
        named = ", ".join(f"{row.split} {row.id}" for row in strange[:5])
        count = plural(len(strange), "label is", "labels are")
        raise UsageError(
            f"of dev or test {count} corrected, not drawn for review ({named}): to correct only what the network got "
            "wrong makes it look better than it is",
            place,
            remedy,
        )
    reviewed = {row.id for row in looked_at}
    last = max(places[id_] for id_ in reviewed if id_ in places)
    skipped = [(split, id_) for split, id_ in queue[:last] if id_ not in reviewed]
    if skipped:
        counts = {split: sum(name == split for name, _ in skipped) for split in JUDGES if split in splits}
        told = " and ".join(f"{count} of {split}" for split, count in counts.items())
        named = ", ".join(f"{split} {id_}" for split, id_ in skipped[:5])
        raise UsageError(
            f"dev and test must be cleaned alike, and of the list {told} were passed over ({named})",
            place,
            f'Give each of them its label, the same where it is right, "{UNSURE}" where you cannot tell; or stop '
            "before the first of them.",
        )


# -- of a run and its project -------------------------------------------------------------------------------------

PER_SET = 50  # examples drawn from each of dev and test where answers are no classes, and nothing is suspect
TRAIN_ROWS = 100  # suspects of train on the sheet
QUEUE = "queue.csv"


def draw_for(run: Run, seed: int = 0) -> list[tuple[str, int]]:
    """The list of a run: by its own sealed answers on dev and test where these are classes, else at random."""
    parts = {}
    for split in (name for name in JUDGES if name in run.splits()):
        scores, answers = run.scores(split), run.answers(split)
        truth, probs = scores.records.get("truth"), answers.values.get("probs")
        if truth is None or np.ndim(truth) != 1 or probs is None or not run.task().class_names():
            ids = np.random.default_rng(seed).permutation(scores.ids)[:PER_SET]
            zeros = np.zeros(len(ids), np.int64)
            parts[split] = ids, zeros, np.ones((len(ids), 1))  # no class to suspect: the random part is all there is
            continue
        row_of = {int(id_): row for row, id_ in enumerate(answers.ids)}
        rows = [row_of[int(id_)] for id_ in scores.ids]
        parts[split] = scores.ids, np.asarray(truth, np.int64), np.asarray(probs, np.float64)[rows]
    if any(probs.shape[1] == 1 for _, _, probs in parts.values()):
        drawn = [(split, int(id_)) for split, (ids, _, _) in parts.items() for id_ in ids]
        return [drawn[i] for i in np.random.default_rng(seed).permutation(len(drawn))]
    return draw(parts, seed)


def write_sheet(run: Run, project: Project, examples: Examples, out: Path, suspects: Sequence[Suspect]) -> list[Change]:
    """Write the sheet, dev and test first, then suspects of train; and keep the list that dev and test are held to.

    Args:
        examples: of the project, as the run was judged.
        suspects: of train are taken, which may be shown with what they look like.
    """
    queue = draw_for(run)
    targets = examples.targets()
    told = {s.id: f"looks like {s.suggestion}, {100 * s.confidence:.0f} %" for s in suspects if s.split == "train"}
    listed = [*((split, id_, "") for split, id_ in queue), *(("train", i, text) for i, text in told.items())]
    rows = [
        Change(split, id_, str(examples[id_].origin), "" if targets[id_] is None else str(targets[id_]), "", "", text)
        for split, id_, text in listed[: len(queue) + TRAIN_ROWS]
    ]
    refuse_to_write(out)
    write_text(out, sheet_text(rows))
    folder = project.folder / "relabel"
    folder.mkdir(exist_ok=True)
    write_text(folder / QUEUE, "".join(f"{split},{id_}\n" for split, id_ in queue))
    return rows


def kept_queue(project: Project) -> list[tuple[str, int]]:
    """The list that `write_sheet` kept; empty before."""
    path = project.folder / "relabel" / QUEUE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(split, int(id_)) for split, id_ in (line.split(",") for line in lines)]


def relabel(project: Project, sheet: Path) -> Relabelled:
    """Put the new labels of a sheet over the project's data, on dev and test alike, or refuse.

    Raises:
        UsageError: as `check`; nothing is changed then.
    """
    run = project.run()
    examples, splits = _data(project, run)
    several = len(getattr(examples, "target_columns", ())) > 1
    classes = [] if several else run.task().class_names()
    rows = check(read_sheet(sheet), kept_queue(project), examples.targets(), splits, classes, str(sheet))
    changed = [row for row in rows if row.new_label != row.label]
    if changed:  # refuses what does not fit, before anything is written
        examples.with_targets(np.array([row.id for row in changed]), [row.new_label for row in changed])
    path = add_revision(project.folder, sheet.name, examples.fingerprint(), rows)
    counts = {split: sum(row.split == split for row in rows) for split in splits.sizes()}
    differing = {split: sum(row.split == split for row in changed) for split in counts}
    reviewed = {split: count for split, count in counts.items() if count}
    project.log("labels corrected", revision=path.stem, reviewed=reviewed, changed=differing)
    return Relabelled(reviewed, differing, path, rows)


def undo(project: Project) -> Relabelled:
    """Take the latest correction back that was not taken back yet; the audit keeps both.

    Raises:
        UsageError: there is none.
    """
    run = project.run()
    examples, _ = _data(project, run)
    every = [each for each in revisions(project.folder) if each.fingerprint == examples.fingerprint()]
    undone = {int(each.what.removeprefix("undo of ")) for each in every if each.what.startswith("undo of ")}
    left = [each for each in every if not each.what.startswith("undo of ") and each.number not in undone]
    if not left:
        raise UsageError("no label was corrected", str(project.folder / "relabel"), "There is nothing to take back.")
    latest = left[-1]
    back = [replace(row, label=row.new_label, new_label=row.label) for row in latest.changes]
    back = [row for row in back if row.label != row.new_label]
    path = add_revision(project.folder, f"undo of {latest.number}", examples.fingerprint(), back)
    project.log("correction taken back", revision=path.stem, undone=latest.number)
    changed = {split: sum(row.split == split for row in back) for split in {row.split for row in back}}
    return Relabelled(changed, changed, path, back, latest.number)


def _data(project: Project, run: Run) -> tuple[Examples, Splits]:
    """The project's examples with the labels of today, and the splits of a run on them.

    Raises:
        RunError: the data is not what the run was trained on, or its splits are gone.
    """
    from orthogon.data.split import load_splits
    from orthogon.project.config import parse

    examples = project.read(parse(run.config))
    splits = load_splits(project.folder / "splits", run.info["splits_key"])
    if splits is None or examples.fingerprint() != run.info["fingerprint"]:
        raise RunError(
            f"the data of run {run.id} has changed since, or its splits are gone",
            str(project.folder),
            "Train on the data as it is first: orthogon train",
        )
    return examples, splits


def rescored(run: Run, examples: Examples, split: str) -> Scores:
    """The run's sealed answers, judged by the labels of these examples."""
    from orthogon.run import decide

    answers = run.answers(split)
    return decide.judged(run, answers, examples.take(answers.ids))
