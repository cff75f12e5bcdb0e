"""What CI does when tests fail or take too long, with a Python that only pretends to test."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT = "limit=720\n"

pytestmark = pytest.mark.skipif(not (ROOT / ".ci/run").is_file() or os.name == "nt", reason="needs .ci/run and bash")


@pytest.mark.parametrize(
    ("tests", "code", "says"),
    [
        ("exit 0", 0, "tests took 0 minutes"),
        ("exit 3", 3, ""),
        ("sleep 60", 124, "the fast tests were cut off"),
    ],
)
def test_fast_tests_that_fail_or_take_too_long_fail(tmp_path: Path, tests: str, code: int, says: str) -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.count(LIMIT) == 1  # 12 minutes
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text(script.replace(LIMIT, "limit=1\n"))
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/check").write_text("#!/bin/sh\n")
    (tmp_path / "scripts/check").chmod(0o755)
    (tmp_path / "python").write_text(f'#!/bin/sh\ncase "$*" in *slow*) exit 5;; esac\n{tests}\n')
    (tmp_path / "python").chmod(0o755)
    install = "mkdir -p .venv/bin && cp python .venv/bin"
    (tmp_path / "README.md").write_text(
        f"<!-- command 2 -->\n```\n{install} && .venv/bin/python -m pytest -q\n```\n<!-- end -->\n"
    )
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    run = subprocess.run(
        ["bash", ".ci/run"], cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert says in run.stdout
    assert ("slow tests" in run.stdout) == (code == 0)
