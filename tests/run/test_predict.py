"""The file that `predict` writes: one row an input, in their order, whole or not at all."""

import csv
import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import orthogon as og
from orthogon.data.config import DataConfig
from orthogon.data.read import read_new
from orthogon.data.strings import read_new_pairs
from orthogon.errors import DataError
from orthogon.run import export as exporting
from orthogon.run import predict as predicting

QUICK = ("training.epochs=1", "training.preflight=false")


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project on a table of a customer's number, two measures and a yes or no."""
    folder = tmp_path_factory.mktemp("desk")
    x = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"C-{1000 + 7 * i},{a:.3f},{b:.3f},{'yes' if a > 0 else 'no'}" for i, (a, b) in enumerate(x)]
    (folder / "t.csv").write_text("\n".join(["customer,a,b,y", *lines]) + "\n")
    og.start(str(folder / "t.csv"), target="y", project=folder / "p", sets=QUICK)
    return folder


@pytest.fixture
def desk(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 3, 100])
def test_answers_lie_beside_their_inputs(
    trained: Path, desk: Path, rows_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "read_new", functools.partial(read_new, rows_per_chunk=rows_per_chunk))
    lines = ["customer,a,b", "x", "N-1,1,0", "N-2,2,0", "y,1,2,3", "z", ",,", "N-3,-1,0", "N-4,0,0", "N-5,1,1", "w"]
    (desk / "new.csv").write_text("\n".join(lines) + "\n")
    done = og.load(project=trained / "p").predict("new.csv", "answers.csv")
    rows = rows_of(desk / "answers.csv")
    places = [int(row["origin"].rpartition(" ")[2]) for row in rows]
    assert places == [2, 3, 4, 5, 6, 8, 9, 10, 11]  # row 7 holds nothing
    assert [row["customer"] for row in rows] == ["", "N-1", "N-2", "", "", "N-3", "N-4", "N-5", ""]
    assert [bool(row["problem"]) for row in rows] == [not row["answer"] for row in rows]
    assert [place for place, row in zip(places, rows, strict=True) if row["problem"]] == [2, 5, 6, 11]
    assert (done.answered, len(done.set_aside)) == (5, 4)


def test_an_id_called_as_one_of_our_columns_keeps_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"C-{1000 + 7 * i},{a:.3f},{b:.3f},{'yes' if a > 0 else 'no'}" for i, (a, b) in enumerate(x)]
    (tmp_path / "t.csv").write_text("\n".join(["origin,a,b,y", *lines]) + "\n")
    og.start("t.csv", target="y", sets=QUICK).predict("t.csv", "answers.csv")
    first = rows_of(tmp_path / "answers.csv")[0]
    assert (first["origin"], first["input_origin"]) == ("t.csv, row 2", "C-1000")


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 100])
def test_new_strings_know_what_was_set_aside_among_them(tmp_path: Path, rows_per_chunk: int) -> None:
    lines = ['{"source": "a"}', "no json", '{"source": "b"}', '{"source": "c"}', "[]", "{}", '{"source": "d"}', "5"]
    (tmp_path / "new.jsonl").write_text("\n".join(lines))
    order: list[str] = []
    for chunk in read_new_pairs(str(tmp_path / "new.jsonl"), DataConfig(source="x"), rows_per_chunk):
        places = [origin.place for origin, _ in chunk.set_aside]
        for i in range(len(chunk) + 1):
            order += [place for place, n in zip(places, chunk.set_aside_before, strict=True) if n == i]
            order += [chunk[i].origin.place] if i < len(chunk) else []
    assert order == [f"line {k}" for k in range(1, 9)]


def test_new_pictures_know_what_was_set_aside_among_them(tmp_path: Path) -> None:
    for i in range(6):
        Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    for i in (0, 3, 5):
        (tmp_path / f"{i}.png").write_bytes(b"")
    (chunk,) = read_new(str(tmp_path), DataConfig(source="x"))
    assert list(chunk.set_aside_before) == [0, 2, 3]


def lacking(folder: Path) -> None:
    (folder / "new.csv").write_text("customer,a\nN-1,1\n")


def empty(folder: Path) -> None:
    (folder / "new.csv").write_text("customer,a,b\n,,\n")


@pytest.mark.parametrize("write", [lacking, empty])
def test_a_refusal_leaves_nothing_and_takes_nothing(trained: Path, desk: Path, write: Callable[[Path], None]) -> None:
    write(desk)
    (desk / "answers.csv.part").write_text("the user's own")
    with pytest.raises(DataError):
        og.load(project=trained / "p").predict("new.csv", "answers.csv")
    assert sorted(os.listdir(desk)) == ["answers.csv.part", "new.csv"]
    assert (desk / "answers.csv.part").read_text() == "the user's own"


def test_the_answers_have_the_rights_of_any_new_file(trained: Path, desk: Path) -> None:
    (desk / "new.csv").write_text("customer,a,b\nN-1,1,0\n")
    og.load(project=trained / "p").predict("new.csv", "answers.csv")
    assert stat.S_IMODE((desk / "answers.csv").stat().st_mode) == stat.S_IMODE((desk / "new.csv").stat().st_mode)


def test_an_export_that_fails_leaves_nothing_and_takes_nothing(
    trained: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "net.onnx.part").write_text("the user's own")

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_export", full)
    with pytest.raises(OSError, match="No space"):
        og.load(project=trained / "p").export("net.onnx")
    assert os.listdir(desk) == ["net.onnx.part"]
    assert (desk / "net.onnx.part").read_text() == "the user's own"
