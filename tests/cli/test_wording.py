"""What a stranger stumbled over: names, messages and what Python gets where the screen gets a CSV."""

import json
import shutil
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import orthogon as og
from orthogon.api import compare, train
from orthogon.cli.screen import Progress, console
from orthogon.errors import RunError, UsageError
from orthogon.project import Project
from orthogon.report.data import Case
from orthogon.report.terminal import cards
from orthogon.run.folder import Run
from orthogon.tasks.task import Card

QUICK = ("training.epochs=1", "training.preflight=false")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and its project, called as one likes: "mine"."""
    folder = tmp_path_factory.mktemp("home")
    x = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a:.3f},{b:.3f},{'yes' if a > 0 else 'no'}" for a, b in x]
    (folder / "t.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    og.start(folder / "t.csv", target=2, project=folder / "mine", sets=QUICK)
    return folder


@pytest.fixture(autouse=True)
def stand_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_a_project_is_found_whatever_its_name(home: Path, tmp_path: Path) -> None:
    assert Project.find(home).folder == home / "mine"
    for name in ("both", "bad-orthogon", "cat-orthogon"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "orthogon.yaml").write_text("data: {source: digits}\n")
    with pytest.raises(UsageError, match="3 projects are here: bad-orthogon, both, cat-orthogon") as refused:
        Project.find(tmp_path)
    assert "--project NAME" in refused.value.remedy


@pytest.mark.parametrize("source", [np.zeros((3, 2)), [[1, 2]]])
def test_data_that_is_no_path_is_refused_with_what_takes_it(source: Any) -> None:
    run = og.load()
    for call in (lambda: og.start(source, target=5), lambda: run.predict(source), lambda: run.evaluate(source)):
        with pytest.raises(UsageError, match="as a path, not as a") as refused:
            call()
        assert "OrthogonClassifier" in refused.value.remedy


def test_python_gets_the_answers_and_prints_nothing(cli, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "new.csv").write_text("a,b\n1,0\n-1,zero\nx\n")
    done = og.load().predict(Path("new.csv"))
    assert capsys.readouterr().out == ""
    assert [row["problem"] != "" for row in done.rows] == [False, True, True]
    assert [bool(row["answer"]) for row in done.rows] == [True, True, False]
    assert isinstance(done.rows[0]["p_yes"], float)
    assert "rows" not in repr(done)
    code, out, told = cli("predict", "new.csv")
    assert (code, out.splitlines()[0].split(",")) == (0, list(done.rows[0]))
    assert len(out.splitlines()) == 4
    assert "1 answered without values that could not be used" in told


def test_nothing_answered_is_no_success(cli, home: Path) -> None:
    (home / "none.csv").write_text("a,b\nx\n")
    code, _, told = cli("predict", "none.csv")
    assert (code, "0 answered" in told) == (1, True)


def test_an_unknown_run_is_answered_with_the_runs(cli) -> None:
    _, _, told = cli("diagnose", "9")
    assert "The runs are 0001;" in told
    assert "Did you mean" not in told


def test_evaluate_says_what_was_in_train(cli, home: Path) -> None:
    trained_on = og.load().info["split_sizes"]["train"]
    (row, *_) = og.load().evaluate("t.csv")
    assert (row["n"], row["in_train"]) == (60, trained_on)
    assert f"{trained_on} of 60 examples were in train" in cli("evaluate", "t.csv")[1]
    (home / "other.csv").write_text("a,b,y\n9,9,yes\n-9,-9,no\n8,8,yes\n")
    assert og.load().evaluate("other.csv")[0]["in_train"] == 0
    assert "in train" not in cli("evaluate", "other.csv")[1]


@pytest.fixture
def killed(home: Path) -> Iterator[Callable[..., Run]]:
    """Make a run whose process is gone, of these facts; it does not outlast the test."""
    made: list[Run] = []

    def make(task: bool = True, **facts: Any) -> Run:
        run = Run.create(home / "mine/runs", {**facts, "parent": None, "knob": None, "changed": ""})
        if task:
            (run.folder / "task.json").write_text("{}")
        made.append(run)
        return run

    yield make
    for run in made:
        shutil.rmtree(run.folder)


def test_a_killed_run_names_what_resumes_it(cli, killed: Callable[..., Run]) -> None:
    run = killed()
    _, _, told = cli("diagnose", run.id)
    assert f"run {run.id} was killed" in told
    assert f"Resume it with: orthogon train --resume {int(run.id)}" in told
    assert f"orthogon train --resume {int(run.id)}" in cli("runs")[1]


@pytest.mark.parametrize("facts", [{"members": ["0001", "0001"]}, {"task": False}])
def test_what_cannot_go_on_is_never_offered_as_resumable(cli, killed: Callable[..., Run], facts: Any) -> None:
    run = killed(**facts)
    for words in (("runs",), ("diagnose", run.id), ("train", run.id, "--resume")):
        _, out, told = cli(*words)
        assert "--resume" not in out + told, words
        assert "cannot be resumed" in " ".join((out + told).split()), words
    (row,) = [row for row in json.loads(cli("runs", "--json")[1])["runs"] if row["run"] == run.id]
    assert row["resumable"] is False
    with pytest.raises(RunError, match="cannot be resumed"):
        Project.find().resumable()


def test_dir_lists_what_a_person_uses_once() -> None:
    names = dir(og)
    assert len(names) == len(set(names))
    assert set(og.__all__) <= set(names)
    assert not {"Any", "TYPE_CHECKING", "annotations", "import_module"} & set(names)


def test_a_run_trained_from_another_is_set_beside_that_one(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "p"
    shutil.copytree(home / "mine", place)
    second = train(project=place, sets=["training.lr=0.2"])
    third = train(project=place, base="1", sets=["training.lr=0.3"])
    assert second.changes().startswith("Against run 0001")
    assert third.changes().startswith("Against run 0001")
    assert third.info["changed"].endswith("(against run 0001)")
    text = StringIO()
    Console(file=text, width=80).print(compare(["1", "2", "3"], project=place))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Run 0002 against run 0001: training.lr ") for line in lines)


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("", 100)])
def test_a_pipe_is_as_wide_as_columns_says(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width


def test_a_stage_of_unknown_length_shows_no_count_and_no_eta() -> None:
    progress = Progress()
    text = StringIO()
    for total, shown in ((None, False), (8, True)):
        progress.bar.add_task("reading", total=total, figures="")
        Console(file=text, width=100).print(progress.bar.make_tasks_table(progress.bar.tasks[-1:]))
        assert ("ETA" in text.getvalue(), "0/" in text.getvalue()) == (shown, shown)


def test_numbers_have_no_column_for_confidence() -> None:
    def card(confidence: float | None) -> Case:
        return Case(Card("row", "row 1", "3", "4", confidence, 1.0, fields={"day": "2020-02-19"}), 0, "dev")

    for confidence, shown in ((None, False), (0.9, True)):
        text = StringIO()
        Console(file=text, width=80).print(cards([card(confidence)]))
        assert ("sure" in text.getvalue()) == shown


def test_a_day_is_shown_without_a_time(tmp_path: Path) -> None:
    lines = [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d},{i % 12 + i / 100:.2f}" for i in range(60)]
    (tmp_path / "d.csv").write_text("\n".join(["day,y", *lines]) + "\n")
    run = og.start(tmp_path / "d.csv", target="y", project=tmp_path / "p", sets=QUICK)
    (case,) = run.worst(1)
    assert len(case.card.fields["day"]) == len("2020-01-01")
