"""One door for every kind of data: built-in names, generators, folders of images, tables, pairs of strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.errors import DataError, UsageError, did_you_mean_path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
PACKED_SUFFIXES = (".gz", ".zip")
UNREADABLE = {
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a spreadsheet",
    ".arff": "a Weka file",
    ".json": "one JSON document",
    ".npz": "NumPy arrays",
    ".npy": "a NumPy array",
    ".pkl": "a pickle, which runs code when it is opened",
    ".pickle": "a pickle, which runs code when it is opened",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".sqlite": "a database",
    ".db": "a database",
}


def read(config: DataConfig, cache: Path | None = None, schema: Mapping[str, Any] | None = None) -> Examples:
    """The examples that `config` describes.

    Args:
        config: the `data:` section.
        cache: folder for what is made from large files (memory-mapped tables); None: a temporary folder.
        schema: `TableExamples.schema()` of a run's training data, to read another table just as that one was read.
    Returns:
        Examples whose `reason` says in one sentence what the source was taken for, and why.
    Raises:
        UsageError: no such source, no target given, a column that does not exist.
        DataError: the source cannot be read.
    """
    path = Path(config.source).expanduser()
    if not path.exists() or is_project(path):
        from orthogon.data.builtin import BUILTIN

        if config.source in BUILTIN:
            for key in ("test_source", "dev_source"):
                if getattr(config, key) is not None:
                    raise UsageError(
                        f"built-in data has no separate files, and {getattr(config, key)} is named",
                        f"data.{key}",
                        "Leave it out: the data is split by itself. To have files: orthogon data get " + config.source,
                    )
            return BUILTIN[config.source].load(config)
        if path.exists():
            raise UsageError(f'"{path}" is a project of Orthogon, not data.', "data.source", "Give its data.")
        raise _no_source(config.source, BUILTIN)
    if path.is_file():
        check_readable(path)
    kind = kind_of(path, config)
    if kind == "images":
        from orthogon.data.images import read_image_folder

        return read_image_folder(config, cache)
    if path.is_dir():
        raise UsageError(f'"{path}" is a folder, and data.format says {kind}.', "data.format", "Give a file.")
    if kind == "strings":
        from orthogon.data.strings import read_pairs

        return read_pairs(config)
    from orthogon.data.table_files import read_table

    return read_table(config, cache, schema)


def read_new(
    source: str, config: DataConfig, schema: Mapping[str, Any] | None = None, rows_per_chunk: int = 10_000
) -> Iterator[Examples]:
    """New examples to predict, in chunks; targets may be absent.

    Args:
        source: file or folder of the new examples.
        config: the `data:` section of the run.
        schema: `TableExamples.schema()` of the training data; needed for tables.
        rows_per_chunk: size of a chunk of rows or pairs.
    Raises:
        UsageError: no such source.
        DataError: it cannot be read, or lacks a column that the network needs.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise UsageError(f'There is no file or folder called "{source}".', "", did_you_mean_path(source))
    if schema is not None:
        if path.is_dir():
            raise UsageError(f'"{source}" is a folder, and the run was trained on a table.', "", "Give a table file.")
        check_readable(path)
        from orthogon.data.table_files import read_new_table

        return read_new_table(source, config, schema, rows_per_chunk)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        from orthogon.data.images import read_new_images

        return read_new_images(source, config)
    check_readable(path)
    from orthogon.data.strings import read_new_pairs

    return read_new_pairs(source, config, rows_per_chunk)


def is_project(path: Path) -> bool:
    """Whether a path is a project folder, which is never data: one may bear the name of the built-in data it is of."""
    return (path / "orthogon.yaml").is_file()


def kind_of(path: Path, config: DataConfig) -> str:
    """What a source is taken for: "images", "strings" or "table".

    A folder is images. So is a picture and, with format "images", a manifest of pictures. A file is pairs of strings
    where it is JSON lines, or where it has exactly two columns of mostly different texts and no target is named (in a
    .tsv file many different texts in the first are enough); anything else is a table.
    """
    if config.format != "auto":
        return config.format
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return "images"
    from orthogon.data.strings import looks_like_pairs

    if _is_manifest(path, config):
        return "images"
    return "strings" if looks_like_pairs(path, config) else "table"


def _is_manifest(path: Path, config: DataConfig) -> bool:
    """Whether a text table has a column called path or like that, with names of pictures in it."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    from orthogon.data.delimited import head_text, lines_of

    lines = lines_of(head_text(path, config.encoding)[0])[:5]
    names = lines[0].casefold().replace('"', "").replace("\t", ",").replace(";", ",").split(",")
    called = any(name.strip() in ("path", "file", "filename", "image") for name in names)
    return called and all(any(suffix in line.casefold() for suffix in IMAGE_SUFFIXES) for line in lines[1:])


def check_readable(path: Path) -> None:
    """Refuse what no reader understands, by its name."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED_SUFFIXES]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in UNREADABLE:
        raise DataError(
            f'"{suffix}" is {UNREADABLE[suffix]}, which Orthogon does not read.',
            str(path),
            "Save a table as CSV or Parquet, pairs of strings as TSV or JSONL, pictures in a folder for each class, "
            "and give that file or folder.",
        )


def _no_source(source: str, builtin: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f'There is no file or folder and no built-in data called "{source}".',
        "data.source",
        did_you_mean_path(source, builtin),
    )
