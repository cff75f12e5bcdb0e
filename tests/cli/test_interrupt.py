"""Ctrl-C at the command line, by a real signal: ends cleanly, exits 130, and prints the line that resumes."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_ctrl_c_before_there_is_a_run_leaves_nothing(tmp_path: Path) -> None:
    done = pressed("splits", tmp_path)
    assert done.returncode == 130
    assert done.stderr == "Stopped.\n"
    assert not (tmp_path / "iris-orthogon").exists()


def test_a_resumed_run_takes_no_changes(cli) -> None:
    code, _, err = cli("train", "--resume", "3", "--set", "training.lr=3", "--seed", "1")
    assert code == 2
    for part in ("keeps its config", "--resume with --set and --seed", "orthogon train 3 --set"):
        assert part in err
