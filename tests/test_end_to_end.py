"""From data to a diagnosed system, for three unlike tasks, through the Python door; killed, resumed, stepped."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import orthogon as og

SMALL = {
    "digits": ["training.epochs=2", "task.width=8", "task.depth=1"],
    "dates": ["training.epochs=1", "data.num_examples=600"],
    "iris": ["training.epochs=4"],
    "diabetes": ["training.epochs=4"],
}
SPEEDY = ["training.preflight=false"]


@pytest.mark.parametrize("source", list(SMALL))
def test_start_diagnose_and_use(source: str, tmp_path: Path) -> None:
    run = og.start(source, project=tmp_path / "p", sets=[*SMALL[source], *SPEEDY])
    assert run.finished
    diagnosis = run.diagnose()
    assert {rung.name for rung in diagnosis.rungs} >= {"train", "dev", "test"}
    assert diagnosis.to_dict() == og.Diagnosis.from_dict(diagnosis.to_dict()).to_dict()
    assert "<" in diagnosis._repr_html_()
    for name, figure in run.report_data().figures[run.metric.title].items():  # one figure, one interval
        rung = diagnosis.rung(name)
        assert (figure.value, figure.low, figure.high) == (rung.value, rung.low, rung.high)
    assert run.baselines()[0]["name"]
    page = run.write_report().read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len(page) < 3 * 2**20
    again = og.load(run.folder)
    assert again.damaged_files() == []
    for split in again.splits():
        assert np.array_equal(again.scores(split).records["loss"], run.scores(split).records["loss"])


def test_the_report_can_leave_the_users_examples_out(tmp_path: Path) -> None:
    run = og.start("dates", project=tmp_path / "p", sets=[*SMALL["dates"], *SPEEDY])
    source = run.worst(1)[0].card.text
    assert source in run.write_report().read_text()
    assert source not in run.write_report(examples=False).read_text()


def test_a_step_is_taken_and_set_beside_what_was_expected(tmp_path: Path) -> None:
    few = ["data.train_fraction=0.06", "training.epochs=2", "task.width=8"]
    run = og.start("digits", project=tmp_path / "p", sets=[*few, *SPEEDY])
    steps = og.next_steps(run)
    assert steps, run.diagnose().summary()
    ours = [step for step in steps if step.overrides]
    child, outcome = ours[0].take()
    assert child.info["parent"] == run.id
    assert child.info["knob"] == ours[0].knob
    assert outcome.measured is not None
    assert (child.derived / "outcome.json").exists()
    assert [entry["event"] for entry in run.project.logbook()].count("step taken") == 1
    for one in (run, child):
        offered = {(step.knob, step.gap) for step in og.next_steps(one)}
        assert outcome.verdict == "helped" or (ours[0].knob, ours[0].gap) not in offered


KILLED = """
import os, signal, sys
from orthogon import api
def listen(event):
    if event["event"] == "checkpoint" and event["step"] >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
api.start("iris", project=sys.argv[1], sets=sys.argv[3:], listen=listen)
"""


@pytest.mark.system("tool.repro")
def test_a_killed_start_resumes_to_the_same_weights(tmp_path: Path) -> None:
    sets = [*SMALL["iris"], *SPEEDY, "training.checkpoint_minutes=0"]
    whole = og.start("iris", project=tmp_path / "whole", sets=sets)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), "3", *sets]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    from orthogon.api import resume

    resumed = resume(project=tmp_path / "killed")
    assert resumed.finished

    def digest(run: og.Run) -> str:
        return hashlib.sha256((run.folder / "weights.safetensors").read_bytes()).hexdigest()

    assert digest(resumed) == digest(whole)
    other = og.start("iris", project=tmp_path / "other", sets=[*sets, "seed=1"])
    assert digest(other) != digest(whole)


def test_a_run_predicts_from_a_bare_shell_elsewhere(tmp_path: Path) -> None:
    run = og.start("iris", project=tmp_path / "here", sets=[*SMALL["iris"], *SPEEDY])
    moved = tmp_path / "elsewhere"
    run.folder.rename(moved)
    (tmp_path / "new.csv").write_text("sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm\n5,3,1.5,0.2\n")
    command = [sys.executable, "-m", "orthogon", "predict", "new.csv", "--run", str(moved), "-o", "out.csv"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "setosa" in (tmp_path / "out.csv").read_text()
