"""What is fitted, is fitted on train alone: nothing in the run's task depends on a held-out input."""

import csv
from pathlib import Path

import numpy as np

from orthogon.project.project import Project


def prepared(folder: Path, rows: list[list[str]]) -> tuple[str, dict[str, list[int]]]:
    folder.mkdir()
    with open(folder / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["size", "colour", "buys"], *rows])
    project = Project.create({"data": {"source": str(folder / "t.csv"), "target": "buys"}}, folder / "p")
    _, task, splits, *_ = project.prepare(project.config())
    return repr(task.state()), {name: splits[name].tolist() for name in splits.sizes()}


def test_held_out_inputs_leave_every_transform_as_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [[f"{rng.normal():.4f}", f"c{i % 3}", "yes" if i % 2 else "no"] for i in range(200)]
    state, splits = prepared(tmp_path / "a", rows)
    for i in (*splits["dev"], *splits["test"]):
        rows[i][:2] = [f"{1e6 + i:.1f}", "c-never-seen"]
    again, same_splits = prepared(tmp_path / "b", rows)
    assert same_splits == splits
    assert again == state
    rows[splits["train"][0]][0] = "1000000"
    assert prepared(tmp_path / "c", rows)[0] != state
