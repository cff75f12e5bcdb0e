"""Ctrl-C at the command line, by a real signal: ends cleanly, exits 130, and prints the line that resumes."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orthogon.run.folder import Run

START = ["start", "iris", "--project", "iris-orthogon"]
for small in ("training.epochs=6", "training.preflight=false", "task.width=16", "task.members=2"):
    START += ["--set", small]
PRESSED = """
import os, signal, sys
from orthogon.cli import main
from orthogon.cli.screen import Progress
show = Progress.__call__
def press(self, event):
    show(self, event)
    if event.get("stage", event["event"]) == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGINT)
Progress.__call__ = press
main(sys.argv[2:])
"""


def weights_of(project: Path, number: int) -> str:
    info = json.loads((project / f"runs/{number:04d}/run.json").read_text())
    assert info["status"] == "finished"
    return str(info["files"]["weights.safetensors"])


def pressed(moment: str, place: Path) -> subprocess.CompletedProcess[str]:
    """`orthogon start iris` in a process of its own, in which Ctrl-C is pressed at this event or stage."""
    command = [sys.executable, "-c", PRESSED, moment, *START]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("moment", ["evaluation", "training the baselines"])
def test_ctrl_c_prints_the_line_that_resumes(cli, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = pressed(moment, tmp_path)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    said, line = done.stdout.splitlines()[-2:]
    assert said.startswith("Stopped")
    assert line.strip() == "orthogon train --resume 1 --project iris-orthogon"
    monkeypatch.chdir(tmp_path)
    assert "interrupted" in cli("runs")[1]
    code, _, err = cli(*shlex.split(line)[1:])
    assert code == 0, err
    code, _, err = cli(*START)  # the unbroken one
    assert code == 0, err
    assert weights_of(tmp_path / "iris-orthogon", 1) == weights_of(tmp_path / "iris-orthogon", 2)


KILLED = PRESSED.replace("SIGINT", "SIGKILL")


def test_a_killed_run_is_told_from_a_running_one_and_resumed_from_its_step(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", KILLED, "training the baselines", *START]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL
    monkeypatch.chdir(tmp_path)
    project = tmp_path / "iris-orthogon"
    failed = project / "runs/0002"  # newer, and of no use
    shutil.copytree(project / "runs/0001", failed)
    (failed / "lock").unlink()
    info = json.loads((failed / "run.json").read_text())
    (failed / "run.json").write_text(json.dumps({**info, "id": "0002", "status": "failed", "why": "the loss is nan"}))

    code, out, _ = cli("runs")
    assert code == 0
    assert "run 0001 was killed: resume with orthogon train --resume 1" in out
    assert [row["status"] for row in json.loads(cli("runs", "--json")[1])["runs"]] == ["killed", "failed"]
    code, _, err = cli("train", "--resume", "2")
    assert code == 1
    assert "run 0002 failed and cannot be resumed: the loss is nan" in err
    with Run(project / "runs/0001").at_work():
        assert "running" in cli("runs")[1]
        code, _, err = cli("train", "--resume", "1")
        assert (code, "run 0001 is running" in err) == (1, True)
        code, _, err = cli("train", "--resume")
        assert (code, "run 0002 failed" in err) == (1, True)
    steps = max(event["step"] for event in Run(project / "runs/0001").log() if event["event"] == "checkpoint")
    code, _, err = cli("train", "--resume")
    assert code == 0, err
    assert f"resuming run 0001 from step {steps:,} of {steps:,}" in err
    assert weights_of(project, 1)
    code, _, err = cli("train", "--resume")
    assert (code, "run 0002 failed" in err) == (1, True)


def test_ctrl_c_before_there_is_a_run_leaves_nothing(tmp_path: Path) -> None:
    done = pressed("splits", tmp_path)
    assert done.returncode == 130
    assert done.stderr == "Stopped.\n"
    assert not (tmp_path / "iris-orthogon").exists()


def test_a_resumed_run_keeps_its_seed_and_its_minutes(cli) -> None:
    code, _, err = cli("train", "--resume", "3", "--minutes", "2", "--seed", "1")
    assert code == 2
    for part in ("keeps its seed", "--resume with --minutes and --seed", "orthogon train 3 --minutes"):
        assert part in err
    code, _, err = cli("train", "--rollback", "5")
    assert (code, "only a paused run goes back" in err) == (2, True)
