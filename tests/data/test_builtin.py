"""Built-in data: each name loads, says what it is, and can be written as files that read back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orthogon.data.builtin import BUILTIN, write
from orthogon.data.config import DataConfig
from orthogon.data.read import read
from orthogon.errors import UsageError

SIZES = {  # rows, inputs, classes: from the sets' descriptions in scikit-learn's user guide
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, None),
}


@pytest.mark.parametrize("name", BUILTIN)
def test_every_name_loads_the_same_twice(name: str) -> None:
    config = DataConfig(source=name, num_examples=40)
    examples: Any = read(config)
    assert examples.name == name
    assert examples.reason.startswith(("built-in data: ", "generated data: "))
    assert examples.fingerprint() == read(config).fingerprint()
    assert BUILTIN[name].description
    assert len(examples) == (40 if examples.reason.startswith("generated") else len(examples))


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_tables_of_scikit_learn(name: str, size: tuple[int, int, int | None]) -> None:
    examples: Any = read(DataConfig(source=name))
    rows, inputs, classes = size
    assert len(examples) == rows
    assert len(examples.input_columns) == inputs
    targets = examples.targets()
    if classes is None:
        assert targets.dtype == np.float64
        assert targets.mean() == pytest.approx(152.13, abs=0.01)
    else:
        assert len(set(targets)) == classes


def test_another_target_can_be_named() -> None:
    examples: Any = read(DataConfig(source="iris", target="petal_width_cm"))
    assert examples.target_columns == ("petal_width_cm",)
    assert "species" in examples.input_columns


def test_digits_keep_their_sixteen_levels() -> None:
    examples: Any = read(DataConfig(source="digits"))
    assert len(examples) == 1797
    image = examples[0].input
    assert image.shape == (8, 8, 1)
    # the first digit's first row in scikit-learn's user guide: 0 0 5 13 9 1 0 0, of 16
    assert np.rint(image[0, :, 0] * (16 / 255)).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert examples[0].target == "0"


def test_shapes_carry_their_attributes() -> None:
    examples: Any = read(DataConfig(source="shapes", num_examples=30))
    assert examples.attributes.shape == (30, 5)
    assert set(examples.targets()) == {"circle", "square", "triangle"}


def test_tables_and_pairs_are_written_as_files_that_read_back(tmp_path: Path) -> None:
    iris: Any = read(DataConfig(source="iris"))
    (path,) = write(iris, tmp_path / "iris")
    again: Any = read(DataConfig(source=str(path), target="species"))
    assert again.frame().astype(str).equals(iris.frame().astype(str))
    dates: Any = read(DataConfig(source="dates", num_examples=50))
    (path,) = write(dates, tmp_path / "dates")
    again = read(DataConfig(source=str(path)))
    assert again.modality == "strings"
    assert again.fingerprint() == dates.fingerprint()


def test_images_are_written_as_class_folders(tmp_path: Path) -> None:
    from PIL import Image

    shapes: Any = read(DataConfig(source="shapes", num_examples=6))
    paths = write(shapes, tmp_path / "shapes")
    assert {path.parent.name for path in paths} == {"circle", "square", "triangle"}
    for path, example in zip(paths, shapes, strict=True):
        assert path.parent.name == example.target
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), example.input)


@pytest.mark.parametrize("name", ["dates", "shapes", "moons"])
def test_generators_take_a_seed(name: str) -> None:
    config = DataConfig(source=name, num_examples=20)
    load = BUILTIN[name].load
    assert load(config).fingerprint() == load(config, seed=0).fingerprint() != load(config, seed=1).fingerprint()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="the folder is not empty") as error:
        write(read(DataConfig(source="iris")), tmp_path)
    assert error.value.where == str(tmp_path)
    assert "new folder" in error.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
