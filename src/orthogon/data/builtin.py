"""Data that needs no download: what scikit-learn carries, and generators of any size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.errors import UsageError

if TYPE_CHECKING:
    from orthogon.data.tables import TableExamples

DEFAULT_DATES = 10_000
DEFAULT_SHAPES = 2_000
DEFAULT_MOONS = 300


class Loader(Protocol):
    def __call__(self, config: DataConfig, seed: int = 0) -> Examples: ...


@dataclass(frozen=True)
class Builtin:
    """A name that `read` knows.

    Attributes:
        description: one sentence for `orthogon data list`.
        load: from the `data:` section and a seed to the examples; the seed matters to generators alone.
    """

    description: str
    load: Loader


def _digits(config: DataConfig, seed: int = 0) -> Examples:
    from sklearn.datasets import load_digits

    from orthogon.data.images import ArrayImages

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]  # (n, 8, 8, 1)
    examples = ArrayImages(images, data.target.astype(str), name="digits", places=None)
    examples.reason = "built-in data: 1,797 handwritten digits of 8x8 grey pixels, each with its class"
    return examples


def _sklearn_table(name: str, loader: str, target: str, reason: str) -> Loader:
    def load(config: DataConfig, seed: int = 0) -> Examples:
        import pyarrow as pa
        import sklearn.datasets

        from orthogon.data.table_files import table_examples

        data = getattr(sklearn.datasets, loader)()
        columns: dict[str, Any] = {
            str(feature).replace(" (cm)", "_cm").replace(" ", "_"): pa.array(data.data[:, j])
            for j, feature in enumerate(data.feature_names)
        }
        if hasattr(data, "target_names"):
            columns[target] = pa.array([str(data.target_names[k]) for k in data.target])
        else:
            columns[target] = pa.array(data.target)
        return table_examples(pa.table(columns), config, name=name, target=target, reason=f"built-in data: {reason}")

    return load


def _dates(config: DataConfig, seed: int = 0) -> Examples:
    from orthogon.data.generate import make_dates
    from orthogon.data.strings import StringPairs

    sources, targets = make_dates(config.num_examples or DEFAULT_DATES, seed=seed)
    return StringPairs(
        sources,
        targets,
        name="dates",
        reason=f"generated data: {len(sources):,} dates as people write them, each with its ISO form",
    )


def _shapes(config: DataConfig, seed: int = 0) -> Examples:
    from orthogon.data.generate import make_shapes
    from orthogon.data.images import ArrayImages

    shapes = make_shapes(config.num_examples or DEFAULT_SHAPES, seed=seed)
    examples = ArrayImages(shapes.images, shapes.labels, name="shapes", places=None)
    examples.reason = f"generated data: {len(shapes.images):,} images of a coloured circle, square or triangle"
    examples.attributes = shapes.attributes  # type: ignore[attr-defined]
    return examples


def _moons(config: DataConfig, seed: int = 0) -> Examples:
    import pyarrow as pa

    from orthogon.data.generate import make_moons
    from orthogon.data.table_files import table_examples

    points, labels = make_moons(config.num_examples or DEFAULT_MOONS, seed=seed)
    table = pa.table({"x1": pa.array(points[:, 0]), "x2": pa.array(points[:, 1]), "moon": pa.array(labels)})
    reason = f"generated data: {len(points):,} points on two interleaved half circles, noise 0.2"
    return table_examples(table, config, name="moons", target="moon", reason=reason)


BUILTIN: dict[str, Builtin] = {
    "digits": Builtin("1,797 handwritten digits, 8x8 grey pixels, 10 classes (scikit-learn)", _digits),
    "iris": Builtin(
        "150 flowers, 4 measures, 3 species (scikit-learn)",
        _sklearn_table("iris", "load_iris", "species", "150 iris flowers, four measures, three species"),
    ),
    "wine": Builtin(
        "178 wines, 13 measures, 3 growers (scikit-learn)",
        _sklearn_table("wine", "load_wine", "grower", "178 wines, 13 measures, three growers"),
    ),
    "breast_cancer": Builtin(
        "569 tumours, 30 measures, malignant or benign (scikit-learn)",
        _sklearn_table("breast_cancer", "load_breast_cancer", "diagnosis", "569 tumours, malignant or benign"),
    ),
    "diabetes": Builtin(
        "442 patients, 10 measures, progression after a year (scikit-learn)",
        _sklearn_table("diabetes", "load_diabetes", "progression", "442 diabetes patients, progression after a year"),
    ),
    "dates": Builtin("dates as people write them -> ISO dates; any number (generated)", _dates),
    "shapes": Builtin("coloured circles, squares and triangles with attributes; any number (generated)", _shapes),
    "moons": Builtin("two interleaved half circles of points; any number (generated)", _moons),
}


def write(examples: Examples, folder: Path) -> list[Path]:
    """Write examples as plain files that people can open.

    Images go to one folder a class as PNG, tables to table.csv, pairs of strings to pairs.tsv.

    Args:
        examples: what to write.
        folder: made if it is not there; must be empty.
    Returns:
        the files written, in the order of the examples.
    Raises:
        UsageError: the folder holds something already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(
            "the folder is not empty, and nothing in it is overwritten.", str(folder), "Name a new folder."
        )
    if examples.modality == "image":
        return _write_images(examples, folder)
    if examples.modality == "table":
        path = folder / "table.csv"
        cast("TableExamples", examples).frame().to_csv(path, index=False)
        return [path]
    path = folder / "pairs.tsv"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("source\ttarget\n")
        for example in examples:
            fields = (example.input, example.target or "")
            file.write("\t".join(" ".join(text.split()) for text in fields) + "\n")
    return [path]


def _write_images(examples: Examples, folder: Path) -> list[Path]:
    from PIL import Image

    paths = []
    digits = len(str(len(examples) - 1))
    for i, example in enumerate(examples):
        path = folder / (str(example.target) if example.target is not None else "") / f"{i:0{digits}}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = example.input
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
        paths.append(path)
    return paths
