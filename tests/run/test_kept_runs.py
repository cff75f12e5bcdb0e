"""Runs that earlier versions wrote: this one must load them, give the same answers and diagnose them."""

import csv
import shutil
from pathlib import Path

import pytest

import orthogon as og
from orthogon.run.folder import FORMAT

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEPT = sorted(FIXTURES.glob("*_format_*"))


@pytest.fixture(params=KEPT, ids=lambda folder: folder.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, because use of a run writes what derives from it."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_present_format_is_among_the_kept() -> None:
    assert FORMAT in {int(folder.name.rpartition("_")[2]) for folder in KEPT}
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 200 * 1024 * len(KEPT)


def test_a_kept_run_answers_as_it_did(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = og.load(kept)
    assert run.finished
    assert run.damaged_files() == []
    monkeypatch.chdir(kept)  # origins in the answers are as seen from here
    (new,) = Path().glob("new*")
    run.predict(new, "again.csv")
    then, now = rows_of(kept / "answers.csv"), rows_of(kept / "again.csv")
    assert len(then) == len(now)
    for before, after in zip(then, now, strict=True):
        assert before.keys() <= after.keys()
        for name, value in before.items():
            if name.startswith("p_") or name in ("confidence", "unlike_train"):
                assert float(after[name]) == pytest.approx(float(value), abs=2e-5)
            else:
                assert after[name] == value, name


def test_a_kept_run_is_diagnosed_and_reported(kept: Path) -> None:
    run = og.load(kept)
    assert {rung.name for rung in run.diagnose().rungs} >= {"train", "dev", "test"}
    assert [row["status"] for row in run.project.table()] == ["finished"]
    assert run.write_report().stat().st_size > 0
    assert run.metric.error(run.scores("dev")) == pytest.approx(run.info["dev_error"])
