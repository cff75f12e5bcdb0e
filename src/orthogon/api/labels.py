"""Labels put right: the sheet and page on which they are reviewed, and what a reviewed sheet changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.errors import UsageError
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.report.data import Case
from orthogon.run.folder import write_text
from orthogon.strategy import relabel
from orthogon.strategy.label_study import LabelStudy

if TYPE_CHECKING:
    from orthogon.api.known import KnownRun
    from orthogon.strategy.relabel import Relabelled


def write_review(run: KnownRun, out: Path, page: bool) -> dict[str, Any]:
    """Write the sheet (CSV) on which labels are reviewed, and a page that shows its examples; see `Run.write_review`.

    Returns:
        file, rows (how many of each split), page.
    """
    examples = run.examples
    if examples is None or run.project.corrections(run.project.read(parse(run.config))) != run.info.get("labels", ""):
        raise UsageError(
            f"the data or the labels of run {run.id} are not what it was trained on",
            str(run.folder),
            "Train on what there is today first: orthogon train",
        )
    study = run.kept(LabelStudy)
    rows = relabel.write_sheet(run, run.project, examples, out, study.suspects if study is not None else ())
    counts = {split: sum(row.split == split for row in rows) for split in ("dev", "test", "train")}
    if not page:
        return {"file": str(out), "rows": counts, "page": None}

    from orthogon.report.review import review_page

    answers = {split: run.answers(split) for split in run.splits()}
    at = {(split, int(i)): row for split, each in answers.items() for row, i in enumerate(each.ids)}
    blind, train = [], []
    for row in rows:
        if (row.split, row.id) not in at:
            continue
        card = run.task().show(examples[row.id], answers[row.split], at[row.split, row.id])
        case = Case(card, row.id, row.split)
        if row.split == "train":
            train.append((case, row.comment))
        else:
            blind.append(case)
    path = run.derived / "review.html"
    write_text(path, review_page(run.project.name, f"review-{run.id}", blind, train, run.task().class_names()))
    return {"file": str(out), "rows": counts, "page": str(path)}


def correct_labels(sheet: str | Path, *, project: str | Path | None = None) -> Relabelled:
    """Put the new labels of a relabel.csv over the project's data, on dev and test alike, or refuse.

    The user's files are not touched; runs made before stay as they are, and say so where they are compared.

    Raises:
        UsageError: rows that do not fit, or dev and test are not cleaned by one process; nothing is changed then.
    """
    return relabel.relabel(Project.find(project), Path(sheet))


def undo_labels(*, project: str | Path | None = None) -> Relabelled:
    """Take the latest correction of labels back."""
    return relabel.undo(Project.find(project))
