"""Pausing a run, changing its settings, going on, going back; and that the run says so."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

import orthogon as og
from orthogon import api
from orthogon.api.rivals import other_seeds
from orthogon.errors import RunError, UsageError
from orthogon.project.by_hand import in_words
from orthogon.report.page import page
from orthogon.training import checkpoint

SETS = ["training.epochs=8", "training.batch_size=30", "task.width=8", "task.members=2", "training.schedule=constant",
        "training.lr_race=false", "training.preflight=false", "training.patience=null",
        "training.checkpoint_minutes=0", "training.checkpoints_kept=30", "task.dropout=0"]  # fmt: skip


def pause_at(step: int) -> Any:
    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "evaluation" and event["step"] == step:
            signal.raise_signal(signal.SIGINT)

    return listen


def paused(place: Path, step: int = 9, sets: tuple[str, ...] = ()) -> api.Run:
    """A run of iris with three updates an epoch, 24 in all, stopped after this update."""
    run = og.start("iris", project=place, sets=[*SETS, *sets], listen=pause_at(step))
    assert run.status == "interrupted"
    assert checkpoint.steps(run.folder)[-1] == step
    return run


def rates(run: api.Run) -> dict[int, float]:
    return {event["step"]: event["lr"] for event in run.history()}


@pytest.mark.system("hp.panda")
def test_a_paused_run_goes_on_with_another_rate_from_where_it_was(tmp_path: Path) -> None:
    run = paused(tmp_path / "p")
    before = run.history()
    on = api.resume("1", project=tmp_path / "p", sets=["training.lr=0.0005", "training.weight_decay=0.5"])
    assert on.finished
    assert on.history()[:3] == before
    assert set(list(rates(on).values())[:3]) == {0.003}
    assert set(list(rates(on).values())[3:]) == {0.0005}
    assert on.config["training"]["lr"] == 0.0005
    (change,) = on.info["changes"]
    assert change["step"] == 9
    assert change["changed"] == {"training.lr": [0.003, 0.0005], "training.weight_decay": [0.02, 0.5]}
    # it did something, and the weights are those of neither config
    plain = og.start("iris", project=tmp_path / "q", sets=SETS)
    assert [e["dev_loss"] for e in plain.history()][:3] == [e["dev_loss"] for e in before]
    assert plain.history()[-1]["dev_loss"] != on.history()[-1]["dev_loss"]
    told = in_words(on.info["changes"])
    assert "at step 9: training.lr 0.003 → 0.0005" in told
    assert "no longer a function of its config and seed alone" in told
    assert told in on.report_data().ending
    assert "not longer" not in told
    html = page(on.report_data())
    assert "lr 0.0005" in html  # drawn on the learning curve
    assert told.split(":")[0] in html
    assert [entry["event"] for entry in on.project.logbook()].count("changed by hand") == 1
    assert other_seeds(on, on.project) == []


@pytest.mark.system("hp.panda")
def test_a_change_that_harmed_is_taken_back_to_the_same_bits(tmp_path: Path) -> None:
    """Changed at update 9 and stopped at 15, taken back to 9 with the old rate: the end is that of an unbroken run."""
    run = paused(tmp_path / "p")
    worse = api.resume("1", project=tmp_path / "p", sets=["training.lr=0.9"], listen=pause_at(15))
    assert worse.status == "interrupted"
    lost = [event["dev_loss"] for event in worse.history()][3:]
    back = api.resume("1", project=tmp_path / "p", sets=["training.lr=0.003"], rollback=9)
    assert back.finished
    plain = og.start("iris", project=tmp_path / "q", sets=SETS)
    assert [e["dev_loss"] for e in back.history()] == [e["dev_loss"] for e in plain.history()]
    weights = [(each.folder / "weights.safetensors").read_bytes() for each in (back, plain)]
    assert weights[0] == weights[1]
    first, second = back.info["changes"]
    assert first["changed"] == {"training.lr": [0.003, 0.9]}
    assert second["rolled_back_from"] == 15
    assert [point["dev_loss"] for point in second["abandoned"]] == lost
    assert "taken back from step 15 to step 9: training.lr 0.9 → 0.003" in in_words(back.info["changes"])
    assert "back from 15" in page(back.report_data())
    assert run.id == back.id


def test_killed_after_a_change_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    ends = []
    for name in "pq":
        paused(tmp_path / name)
        if name == "p":
            api.resume("1", project=tmp_path / name, sets=["training.lr=0.001"], listen=pause_at(15))
            made = api.resume("1", project=tmp_path / name)
        else:
            made = api.resume("1", project=tmp_path / name, sets=["training.lr=0.001"])
        ends.append((made.folder / "weights.safetensors").read_bytes())
    assert ends[0] == ends[1]


def test_more_epochs_and_dropout_can_be_given_on_the_way(tmp_path: Path) -> None:
    paused(tmp_path / "p")
    on = api.resume("1", project=tmp_path / "p", sets=["training.epochs=10", "task.dropout=0.3"])
    assert on.info["steps"] == 30
    assert on.config["task"]["dropout"] == 0.3


@pytest.mark.parametrize(
    ("sets", "rollback", "told"),
    [
        (["task.width=64"], None, r"task.width cannot change while a run is paused(.|\n)*orthogon train 1 --set"),
        (["training.batch_size=8"], None, "training.batch_size cannot change"),
        (["training.optimiser=sgd"], None, "training.optimiser cannot change"),
        (["training.epochs=2"], None, "6 updates are not more than the 9 it has made"),
        (["training.lr=-1"], None, "training.lr"),
    ],
)
def test_what_cannot_change_on_the_way_is_refused_and_changes_nothing(
    tmp_path: Path, sets: list[str], rollback: int | None, told: str
) -> None:
    run = paused(tmp_path / "p")
    files = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(UsageError, match=told):
        api.resume("1", project=tmp_path / "p", sets=sets, rollback=rollback)
    assert all(path.read_bytes() == content for path, content in files.items())


def test_there_is_no_way_back_past_what_is_kept(tmp_path: Path) -> None:
    run = paused(tmp_path / "p", sets=("training.checkpoints_kept=2",))
    kept = checkpoint.steps(run.folder)
    assert kept == [8, 9]
    with pytest.raises(UsageError, match=r"no checkpoint of step 3 or before(.|\n)*8, 9(.|\n)*checkpoints_kept"):
        api.resume("1", project=tmp_path / "p", rollback=3)
    api.resume("1", project=tmp_path / "p")
    with pytest.raises(RunError, match="is finished"):
        api.resume("1", project=tmp_path / "p", sets=["training.lr=0.1"])
