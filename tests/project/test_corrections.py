"""Corrected labels: an overlay in revisions, never an edit. Ids, fingerprint and splits stay; any state can be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import orthogon as og
from orthogon import api
from orthogon.errors import DataError, RunError, UsageError
from orthogon.project import corrections
from orthogon.project.config import parse
from orthogon.project.corrections import Change, Revision, add_revision, key, overlay, read_sheet, revisions, sheet_text
from orthogon.project.project import Project
from orthogon.project.trial import Trials

SHORT = ["training.epochs=3", "task.width=8"]


def change(id_: int, label: str, new: str, split: str = "dev") -> Change:
    return Change(split, id_, f"row {id_}", label, new)


def revision(number: int, *changes: Change, data: str = "f") -> Revision:
    return Revision(number, "now", "x.csv", data, changes)


def test_revisions_add_up_and_take_each_other_back():
    first = revision(1, change(3, "a", "b"), change(5, "a", "c"))
    second, back = revision(2, change(3, "b", "c")), revision(3, change(3, "c", "b"))
    undone = revision(4, change(3, "b", "a"), change(5, "c", "a"))
    assert overlay([first], "f") == {3: "b", 5: "c"}
    assert overlay([first, second], "f") == {3: "c", 5: "c"}
    assert overlay([first, second, back], "f") == {3: "b", 5: "c"}
    assert overlay([first, second, back, undone], "f") == {}
    assert overlay([first], "of other data") == {}
    assert key({}) == ""
    assert key({3: "b"}) != key({3: "c"})


def test_the_audit_is_read_as_it_was_written_and_a_damaged_one_is_named(tmp_path):
    changes = [change(3, "a", "b"), Change("test", 8, 'my "file", row 2', "a;b", "c", "blurry", "says\nmore")]
    path = add_revision(tmp_path, "relabel.csv", "f", changes)
    (found,) = revisions(tmp_path)
    assert found.changes == tuple(changes)
    assert (found.number, found.what, found.fingerprint) == (1, "relabel.csv", "f")
    assert add_revision(tmp_path, "undo of 1", "f", []).name == "0002.csv"
    path.write_text("time=x\n")
    with pytest.raises(RunError, match=r"0001.csv: a revision of the labels cannot be read(.|\n)*backup"):
        revisions(tmp_path)


def test_a_sheet_survives_a_spreadsheet(tmp_path):
    rows = [change(3, "a", "b"), Change("test", 8, "x, y", "a", "", "t1;t2", "ü")]
    path = tmp_path / "relabel.csv"
    path.write_text(sheet_text(rows))
    assert read_sheet(path) == rows
    path.write_text("\ufeff" + sheet_text(rows[:1]).replace(",", ";"), encoding="utf-8")  # as a German Excel saves it
    assert read_sheet(path) == rows[:1]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id,label\n1,a\n", r'columns "split", "origin" and "new_label" are missing(.|\n)*orthogon errors --suspects'),
        ("split,id,origin,label,new_label\ndev,x,o,a,b\n", r'line 2: "x" is no id(.|\n)*Write the numbers'),
    ],
)
def test_a_sheet_that_is_none_is_refused(tmp_path, text, what):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises((DataError, UsageError), match=what):
        read_sheet(tmp_path / "r.csv")
    with pytest.raises(DataError, match="there is no such file"):
        read_sheet(tmp_path / "none.csv")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("corrections") / "iris"
    og.start("iris", project=folder, sets=SHORT)
    return Project(folder)


@pytest.mark.system("strat.label-clean")
def test_ids_splits_and_old_runs_stay_and_new_runs_take_the_new_labels(project: Project) -> None:
    run = project.run()
    config = parse(run.config)
    before = project.read(config)
    dev = Trials(project, config).splits["dev"]
    wrong = int(dev[0])
    old = str(before.targets()[wrong])
    new = next(name for name in run.task().class_names() if name != old)
    plain = Trials(project, config)
    add_revision(project.folder, "x.csv", before.fingerprint(), [change(wrong, old, new)])

    after = project.read(config)
    assert str(after.targets()[wrong]) == new
    assert after.fingerprint() == before.fingerprint()
    assert len(after) == len(before)
    (project.folder / "splits").rename(project.folder / "splits-away")  # made again from the files' own labels
    trials = Trials(project, config)
    assert all(np.array_equal(plain.splits[part], trials.splits[part]) for part in ("train", "dev", "test"))
    assert plain._fingerprint != trials._fingerprint  # no trial is shared between labels

    child = api.train(project=project.folder)
    assert child.info["labels"] == project.corrections(after) != ""
    assert child.info["splits_key"] == run.info["splits_key"]
    truth = child.scores("dev").records["truth"][0], run.scores("dev").records["truth"][0]
    assert [run.task().class_names()[k] for k in truth] == [new, old]
    assert str(project.read(config, labels=run.info["labels"]).targets()[wrong]) == old
    assert str(project.read(config, labels=child.info["labels"]).targets()[wrong]) == new
    with pytest.raises(RunError, match="was trained on other labels than run 0001"):
        project.ensemble([run, child])
    with pytest.raises(RunError, match="no longer known"):
        corrections.corrected(before, project.folder, "0123456789ab")

    add_revision(project.folder, "undo of 1", before.fingerprint(), [change(wrong, new, old)])
    assert project.read(config).original is None
    assert str(project.read(config, labels=child.info["labels"]).targets()[wrong]) == new
    assert Path(project.folder / "relabel" / "0002.csv").exists()
