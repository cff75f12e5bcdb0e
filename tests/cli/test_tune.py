"""`orthogon tune` as it is typed: what it prints, what it keeps, what it refuses."""

import json
from pathlib import Path

import pytest

import orthogon as og
from orthogon.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cli") / "iris-orthogon"
    short = ["training.epochs=3", "training.batch_size=64", "task.width=8", "task.members=2", "training.lr_race=false"]
    og.start("iris", project=place, sets=short)
    return place


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["tune", *words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_a_study_is_made_told_listed_and_gone_on_with(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.parent)
    code, out, err = called(capsys, "--budget", "3", "--strategy", "random", "--tiers", "1")
    assert code == 0
    assert not err
    assert "Study 0001: random (points drawn evenly); 3 trials; 3 finished." in out
    assert "is best: error rate" in out
    assert "iris-orthogon/tune/0001/tune.html" in out
    code, out, _ = called(capsys, "--resume", "0001", "--json", "--no-train")
    told = json.loads(out)
    assert code == 0
    assert len(told["rows"]) == 3
    assert told["rows"][0]["curve"]
    code, out, _ = called(capsys, "--list")
    assert code == 0
    assert out.split("\n")[1].startswith("0001")
    code, out, _ = called(capsys, "--list", "--json")
    (row,) = json.loads(out)["studies"]
    assert row["study"] == "0001"
    assert row["examples"] == 150
    assert row["stale"] == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--budget", "0"], "tries nothing"),
        (["--budget", "soon"], "not a budget"),
        (["--strategy", "grid"], "not a strategy"),
        (["--tiers", "7"], "no tier 7"),
        (["--set", "training.lr=high..low"], "not a range of numbers"),
        (["--resume", "0042"], 'no study "0042"'),
        (["--resume", "0001", "--set", "training.lr=1..2"], "does not go with --set"),
        (["77"], 'no run "77"'),
    ],
)
def test_what_makes_no_sense_is_refused(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(place)
    code, out, err = called(capsys, *words)
    assert code in (1, 2)
    assert not out
    assert told in err
    assert err.count("\n") >= 2  # what to do stands below
