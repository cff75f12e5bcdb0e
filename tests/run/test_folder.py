"""The run folder: round trips, atomic writes, no pickle, damage that is named."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.errors import RunError
from orthogon.metrics.score import Scores
from orthogon.run import folder
from orthogon.run.folder import FORMAT, Run, load_arrays, save_arrays, scores_from_arrays, scores_to_arrays

INFO = {"task": "tabular", "seed": 0}


def test_numbers_follow_each_other(tmp_path: Path) -> None:
    assert [Run.create(tmp_path / "runs", INFO).id for _ in range(3)] == ["0001", "0002", "0003"]
    assert [path.name for path in sorted((tmp_path / "runs").iterdir())] == ["0001", "0002", "0003"]


def test_a_run_is_running_while_its_process_is_at_work_and_killed_after(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "runs", INFO)
    with run.at_work():
        assert Run(run.folder).status == "running"
        with pytest.raises(RunError, match="run 0001 is running"), Run(run.folder).at_work():
            pass
    assert Run(run.folder).status == "killed"
    assert not Run(run.folder).resumable, "nothing to go on with was written"
    (run.folder / "task.json").write_text("{}")
    assert Run(run.folder).resumable
    with run.at_work():
        run.seal()
    assert Run(run.folder).status == "finished"
    assert not (run.folder / "lock").exists()


def test_a_disk_without_locks_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orthogon.run import lock

    def refused(handle: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refused)
    run = Run.create(tmp_path / "runs", INFO)
    with run.at_work():
        assert run.status == "running"
    assert run.status == "running"


def test_what_json_has_no_number_for_is_null_and_a_tasks_state_keeps_it(tmp_path: Path) -> None:
    folder.write_json(tmp_path / "a.json", {"high": float("inf"), "all": [np.float64("nan"), np.array([1.5, -np.inf])]})
    strict = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert strict == {"high": None, "all": [None, [1.5, None]]}
    values, arrays = folder._part_state({"limits": [-np.inf, 0.0, np.inf]})
    folder.write_json(tmp_path / "task.json", values)
    assert folder._join_state(json.loads((tmp_path / "task.json").read_text()), arrays)["limits"] == [
        -np.inf,
        0,
        np.inf,
    ]


def test_scores_survive_the_round_trip() -> None:
    scores = Scores({"wrong": np.array([0.0, 1.0])}, np.array([4, 9]), np.array(["a", "b"]))
    back = scores_from_arrays(scores_to_arrays(scores))
    assert back.ids.tolist() == [4, 9]
    assert back.groups is not None
    assert back.groups.tolist() == ["a", "b"]
    assert back.records["wrong"].tolist() == [0.0, 1.0]


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), nested, max_size=4), st.lists(st.floats(-1, 1), max_size=5))
def test_a_tasks_state_survives_the_round_trip(values: dict[str, object], numbers: list[float]) -> None:
    state = {**values, "array": np.array(numbers), "deep": {"list": [{"array": np.arange(3)}]}}
    parts, arrays = folder._part_state(state)
    back = folder._join_state(json.loads(json.dumps(parts)), arrays)
    assert back["array"].tolist() == numbers
    assert back["deep"]["list"][0]["array"].tolist() == [0, 1, 2]
    assert {key: back[key] for key in values if key not in ("array", "deep")} == {
        key: value for key, value in values.items() if key not in ("array", "deep")
    }


def test_objects_are_refused_because_only_a_pickle_could_hold_them(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="pickle"):
        save_arrays(tmp_path / "a.npz", {"x": np.array([None, "a"], dtype=object)})


def test_a_pickled_array_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", x=np.array([None], dtype=object))
    with pytest.raises(RunError, match="cannot be read"):
        load_arrays(tmp_path / "evil.npz")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    folder.write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_no_run_here(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json is missing") as caught:
        Run(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert "orthogon runs" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}', '{"format": "x", "id": 1, "status": "finished"}'])
def test_a_damaged_run_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json cannot be read"):
        Run(tmp_path)


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT + 1, "id": "0001", "status": "finished"}))
    with pytest.raises(RunError, match=f"format {FORMAT + 1}") as caught:
        Run(tmp_path)
    assert "pip install --upgrade orthogon" in caught.value.remedy


def test_a_half_deleted_run_says_what_is_missing(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "runs", INFO)
    run.save_config({"seed": 0})
    (run.folder / "weights.safetensors").write_bytes(b"weights")
    run.seal()
    (run.folder / "weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"weights\.safetensors is missing") as caught:
        Run(run.folder)
    assert str(run.folder) in caught.value.where


def test_a_changed_sealed_file_is_noticed(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "runs", INFO)
    run.save_config({"seed": 0})
    run.seal()
    assert run.damaged_files() == []
    (run.folder / "config.yaml").write_text("seed: 1\n")
    assert run.damaged_files() == ["config.yaml"]


def test_a_log_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "runs", INFO)
    (run.folder / "log.jsonl").write_text('{"event": "evaluation", "step": 1}\n{"event": "evaluation", "st')
    assert run.history() == [{"event": "evaluation", "step": 1}]
