"""Other targets on the same examples: ids, inputs and fingerprint stay; the original is not touched."""

from pathlib import Path

import numpy as np
import pytest

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.data.images import ArrayImages
from orthogon.data.read import read
from orthogon.errors import UsageError


def examples_of(kind: str, tmp_path: Path) -> Examples:
    if kind == "array":
        return ArrayImages(np.arange(4 * 25, dtype=np.uint8).reshape(4, 5, 5), ["a", "b", "a", "b"])
    if kind == "strings":
        (tmp_path / "pairs.tsv").write_text("".join(f"in {i}\t{'ab'[i % 2]}\n" for i in range(4)))
        return read(DataConfig(source=str(tmp_path / "pairs.tsv"), format="strings"))
    rows = "".join(f"{i},{'xy'[i % 2]},{v}\n" for i, v in enumerate("abab" if kind == "table" else "1324"))
    (tmp_path / "rows.csv").write_text("size,colour,what\n" + rows)
    return read(DataConfig(source=str(tmp_path / "rows.csv"), target="what"))


@pytest.mark.parametrize("kind", ["array", "strings", "table"])
def test_targets_change_and_the_rest_does_not(kind, tmp_path):
    examples = examples_of(kind, tmp_path)
    changed = examples.with_targets(np.array([1, 2]), ["a", "b"])
    assert [str(t) for t in changed.targets()] == ["a", "a", "b", "b"]
    assert [str(t) for t in examples.targets()] == ["a", "b", "a", "b"]
    assert str(changed[2].target) == "b"
    assert changed.fingerprint() == examples.fingerprint()
    assert np.array_equal(changed.content_keys(), examples.content_keys())
    assert [str(t) for t in changed.take([3, 2]).targets()] == ["b", "b"]
    again = changed.with_targets(np.array([1, 2]), ["b", "a"])
    assert [str(t) for t in again.targets()] == ["a", "b", "a", "b"]
    assert again.original is examples
    assert changed.take([0]).fingerprint() != changed.fingerprint()


def test_of_a_part_of_a_table(tmp_path):
    part = examples_of("table", tmp_path).take([3, 1])
    assert [str(t) for t in part.with_targets(np.array([1]), ["a"]).targets()] == ["b", "a"]


def test_numbers(tmp_path):
    examples = examples_of("numbers", tmp_path)
    assert examples.with_targets(np.array([0]), ["2.5"]).targets().tolist() == [2.5, 3, 2, 4]
    with pytest.raises(UsageError, match=r'"cat" is no number, and "what" holds numbers(.|\n)*Write 3.5'):
        examples.with_targets(np.array([0]), ["cat"])


def test_several_targets_are_refused(tmp_path):
    examples_of("table", tmp_path)
    both = read(DataConfig(source=str(tmp_path / "rows.csv"), target=("what", "colour")))
    with pytest.raises(UsageError, match="where there is one, and here they are: what, colour"):
        both.with_targets(np.array([0]), ["a"])
