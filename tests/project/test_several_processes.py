"""torchrun with two processes: one run, written by the first, with the weights of a single process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_iris

LAUNCHER = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
SETTINGS = ("training.steps=20", "task.dropout=0", "training.preflight=false")


def start(folder: Path, *launcher: str) -> Path:
    folder.mkdir()
    load_iris(as_frame=True).frame.to_csv(folder / "iris.csv", index=False)
    sets = [part for setting in SETTINGS for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "orthogon", "start", "iris.csv", "--target", "target", *sets],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Worst mistakes") <= 1  # one process speaks
    (run,) = (folder / "iris-orthogon" / "runs").iterdir()
    return run


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path: Path) -> None:
    alone, together = start(tmp_path / "alone"), start(tmp_path / "together", *LAUNCHER)
    started = json.loads((together / "log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (started["event"], started["processes"]) == ("start", 2)
    assert json.loads((together / "run.json").read_text(encoding="utf-8"))["status"] == "finished"
    one, two = load_file(alone / "weights.safetensors"), load_file(together / "weights.safetensors")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4)
