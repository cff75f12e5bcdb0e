"""Two processes (gloo) give the losses of one at double the batch, also where their shares count differently."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("two_processes.py")


def outcomes(*command: str) -> list[list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{")]


def assert_equal(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> None:
    assert (one[0]["processes"], two[0]["processes"]) == (1, 2)
    for alone, together in zip(one, two, strict=True):  # the loop's sharing, the loader's sharing
        for what in ("losses", "dev", "weights"):
            assert together[what] == pytest.approx(alone[what], abs=1e-6)
        assert together["resumed"] == 20


def test_two_processes_equal_one() -> None:
    one, two = outcomes(str(SCRIPT))
    assert_equal(one, two)


@pytest.mark.slow
def test_torchrun_equals_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = outcomes(str(SCRIPT))
    monkeypatch.setenv("SHARED_FOLDER", str(tmp_path))
    (two,) = outcomes("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT))
    assert_equal(one, two)
