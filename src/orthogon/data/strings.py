"""Pairs of strings as examples: what goes in, what should come out."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orthogon.data.config import DataConfig
from orthogon.data.delimited import Dialect, head_text, lines_of, open_bytes, sniff, unreadable
from orthogon.data.examples import Example, Examples, Finding, Origin
from orthogon.data.types import infer_type
from orthogon.errors import DataError, UsageError, did_you_mean, did_you_mean_path

JSON_SUFFIXES = (".jsonl", ".ndjson")
FIELD_PAIRS = (("source", "target"), ("input", "output"), ("src", "tgt"), ("question", "answer"), ("x", "y"))
PEEK_ROWS = 1000
MOSTLY = 0.9  # of the texts in each column must differ for a table of two columns to be pairs
MANY = 0.2  # of the sources in a .tsv file: one may have several translations; fewer are levels of a category


class StringPairs(Examples):
    """Source strings with their target strings.

    Args:
        sources: (n,) what goes in.
        target_strings: (n,) what should come out; None where unknown.
        name: what the user typed.
        files: (n,) or one name: the file each pair came from.
        lines: (n,) line in that file, counted from 1; None: position + 1.
    """

    modality: Literal["strings"] = "strings"

    def __init__(
        self,
        sources: Sequence[str] | NDArray[Any],
        target_strings: Sequence[str | None] | NDArray[Any],
        *,
        name: str = "strings",
        files: NDArray[Any] | str | None = None,
        lines: NDArray[np.int64] | None = None,
        reason: str = "",
    ) -> None:
        self.sources = _objects(sources)
        self.target_strings = _objects(target_strings)
        self.name = name
        self.files = files if files is not None else name
        self.lines = np.arange(1, len(self.sources) + 1) if lines is None else np.asarray(lines)
        self.reason = reason
        self.notes: list[Finding] = []
        self.set_aside: list[tuple[Origin, str]] = []

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, i: int) -> Example:
        file = self.files if isinstance(self.files, str) else str(self.files[i])
        return Example(self.sources[i], self.target_strings[i], Origin(file, f"line {self.lines[i]}"))

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> StringPairs:
        ids = np.asarray(ids, dtype=np.int64)
        part = StringPairs(
            self.sources[ids],
            self.target_strings[ids],
            name=self.name,
            files=self.files if isinstance(self.files, str) else self.files[ids],
            lines=self.lines[ids],
            reason=self.reason,
        )
        part.notes, part.set_aside = self.notes, self.set_aside
        for attribute in ("domains", "groups", "times", "given_split"):
            values = getattr(self, attribute)
            setattr(part, attribute, None if values is None else values[ids])
        return part

    def targets(self) -> NDArray[Any]:
        return self.target_strings

    def with_targets(self, ids: NDArray[np.int64], values: Sequence[Any] | NDArray[Any]) -> StringPairs:
        changed = copy.copy(self)
        changed.target_strings = self.target_strings.copy()
        changed.target_strings[ids] = values
        changed.original = self.original or self
        return changed

    def inputs(self) -> NDArray[Any]:
        """(n,) source strings."""
        return self.sources

    def fingerprint(self) -> str:
        if self.original is not None:
            return self.original.fingerprint()
        digest = hashlib.sha256()
        for source, target in zip(self.sources, self.target_strings, strict=True):
            for text in (source, "\0" if target is None else target):
                encoded = text.encode("utf-8", "surrogatepass")
                digest.update(len(encoded).to_bytes(8, "little") + encoded)
        if self.given_split is not None:
            digest.update("\n".join(self.given_split.astype(str)).encode())
        return digest.hexdigest()

    def content_keys(self) -> NDArray[np.uint64]:
        return np.array(
            [
                int.from_bytes(hashlib.blake2b(s.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
                for s in self.sources
            ],
            dtype=np.uint64,
        )


def _objects(values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


def looks_like_pairs(path: Path, config: DataConfig) -> bool:
    """Whether a file is better read as pairs of strings than as a table.

    JSON lines always are. A text table is where no target is named and it has exactly two columns, both of mostly
    different texts that are neither numbers nor dates; in a .tsv file many different texts in the first are enough, and
    the second may hold anything.
    """
    name = _unpacked_name(path)
    if name.endswith(JSON_SUFFIXES):
        return True
    if config.target is not None or name.endswith((".parquet", ".pq")):
        return False
    dialect = sniff(path, config)
    tsv = name.endswith(".tsv") and dialect.delimiter == "\t"
    if len(dialect.names) != 2 or any(dialect.plain_numbers[:1] if tsv else dialect.plain_numbers):
        return False
    text, _ = head_text(path, config.encoding)
    rows = [row for row in _rows(text, dialect) if len(row) == 2][int(dialect.header) :][:PEEK_ROWS]
    for j in (0,) if tsv else (0, 1):
        column = [row[j] for row in rows]
        if len(set(column)) < (MANY if tsv else MOSTLY) * len(column):
            return False
    return len(rows) >= 2 and infer_type("source", _texts([row[0] for row in rows])).kind in ("id", "text", "category")


def read_pairs(config: DataConfig) -> StringPairs:
    """Pairs of strings from a TSV, CSV or JSON-lines file, with `dev_source` and `test_source` behind them.

    Raises:
        UsageError: a field that does not exist, or no telling which of several fields is the target.
        DataError: too many lines that hold no pair.
    """
    given = [("train", config.source), ("dev", config.dev_source), ("test", config.test_source)]
    parts = [(split, _read_file(Path(source).expanduser(), config)) for split, source in given if source is not None]
    pairs = [pair for _, part in parts for pair in part.pairs]
    examples = StringPairs(
        [source for _, source, _ in pairs],
        [target for _, _, target in pairs],
        name=config.source,
        files=np.repeat([str(part.path) for _, part in parts], [len(part.pairs) for _, part in parts]).astype(object),
        lines=np.array([line for line, _, _ in pairs], dtype=np.int64),
        reason=parts[0][1].reason,
    )
    examples.set_aside = [aside for _, part in parts for aside in part.set_aside]
    if len(parts) > 1:
        examples.given_split = np.concatenate([np.full(len(part.pairs), split) for split, part in parts])
    return examples


def read_new_pairs(source: str, config: DataConfig, rows_per_chunk: int) -> Iterator[StringPairs]:
    """Chunks of new source strings: pairs as in training, or one string a line."""
    part = _read_file(Path(source).expanduser(), config, new=True)
    for at in range(0, len(part.pairs), rows_per_chunk):
        lines, sources, targets = zip(*part.pairs[at : at + rows_per_chunk], strict=True)
        examples = StringPairs(sources, targets, name=source, lines=np.array(lines), reason=part.reason)
        last = at + rows_per_chunk >= len(part.pairs)
        here = [k for k, n in enumerate(part.before) if at <= n < at + rows_per_chunk or (last and n >= at)]
        examples.set_aside = [part.set_aside[k] for k in here]
        examples.set_aside_before = [part.before[k] - at for k in here]
        yield examples


@dataclass
class _File:
    """What one file held: (line, source, target) triples, and the lines that held none, with the pairs before each."""

    path: Path
    reason: str
    pairs: list[tuple[int, str, str | None]] = field(default_factory=list)
    set_aside: list[tuple[Origin, str]] = field(default_factory=list)
    before: list[int] = field(default_factory=list)

    def leave_out(self, line: int, why: str) -> None:
        self.before.append(len(self.pairs))
        self.set_aside.append((Origin(str(self.path), f"line {line}"), why))


def _read_file(path: Path, config: DataConfig, new: bool = False) -> _File:
    if not path.exists():
        raise UsageError(f'There is no file called "{path}".', "data.source", did_you_mean_path(path))
    if _unpacked_name(path).endswith(JSON_SUFFIXES):
        part = _read_json_lines(path, config, new)
    else:
        part = _read_text_pairs(path, config, new)
    num_lines = len(part.pairs) + len(part.set_aside)
    if not part.pairs or (len(part.set_aside) > config.max_bad * num_lines and not new):
        places = "; ".join(f"{origin.place}: {why}" for origin, why in part.set_aside[:5])
        raise DataError(
            f"{len(part.set_aside):,} of {num_lines:,} lines hold no pair of strings. {places}.",
            str(path),
            "Give one pair a line: source, tab, target; or a JSON object with two texts.",
        )
    return part


def _read_text_pairs(path: Path, config: DataConfig, new: bool) -> _File:
    head, encoding = head_text(path, config.encoding)
    if new and not _unpacked_name(path).endswith(".csv") and "\t" not in head:
        part = _File(path, f"strings, because {path.name} has no tabs: one a line")
        for line, text in enumerate(lines_of(_whole_text(path, encoding)), start=1):
            if text.strip():
                part.pairs.append((line, text.strip(), None))
        return part
    dialect = sniff(path, config)
    text = _whole_text(path, dialect.encoding)
    columns = [0, 1]
    if config.target is not None and len(dialect.names) == 2:
        columns = [1, 0] if _target_field(dialect.names, config, path) == dialect.names[0] else [0, 1]
    width = len(dialect.names)
    if width != 2 and not (new and width == 1):
        if new:
            raise DataError(
                f"the run was trained on pairs of strings, and the file has {width} columns: "
                f"{', '.join(dialect.names[:8])}.",
                str(path),
                "Give a file with one string a line, or a TSV or JSONL file as in training.",
            )
        raise DataError(
            f"pairs of strings need two columns, and the file has {width}: {', '.join(dialect.names[:8])}.",
            str(path),
            "Give a file of two columns: source, tab, target; or set data.format to table.",
        )
    part = _File(path, "")
    for line, row in _numbered_rows(text, dialect):
        if line <= dialect.skip + int(dialect.header) or not any(cell.strip() for cell in row):
            continue
        if len(row) != width:
            part.leave_out(line, f"{len(row)} field{'s' if len(row) != 1 else ''} where {width} are expected")
        elif width == 1:
            part.pairs.append((line, row[0].strip(), None))
        else:
            source, target = row[columns[0]].strip(), row[columns[1]].strip()
            if source and (target or new):
                part.pairs.append((line, source, target or None))
            else:
                part.leave_out(line, "the target is empty" if source else "the source is empty")
    _, sources, targets = zip(*part.pairs, strict=True) if part.pairs else ((), (), ())
    alike = any(len(set(side)) < MOSTLY * len(side) for side in (sources, targets))
    if config.format == "strings":
        why = f"data.format says so, and {path.name} has two columns"
    elif alike or any(dialect.plain_numbers):
        why = f"{path.name} is a TSV of two columns, the first of many different texts, and no target is named"
    else:
        why = f"{path.name} has two columns of mostly different texts"
    part.reason = f"pairs of strings, because {why} ({dialect.words()})"
    return part


def _read_json_lines(path: Path, config: DataConfig, new: bool) -> _File:
    part = _File(path, f"pairs of strings, because {path.name} holds JSON lines")
    _, encoding = head_text(path, config.encoding)
    fields: tuple[str, str] | None = None
    for line, text in enumerate(lines_of(_whole_text(path, encoding)), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            part.leave_out(line, "no JSON")
            continue
        if not isinstance(record, dict):
            part.leave_out(line, "no JSON object")
            continue
        if fields is None:
            fields = _json_fields(record, config, path, line, new)
            part.reason += f' with the texts "{fields[0]}" (source) and "{fields[1]}" (target)'
        source, target = record.get(fields[0]), record.get(fields[1])
        if not isinstance(source, str) or not source.strip():
            part.leave_out(line, f'no text called "{fields[0]}"')
        elif not isinstance(target, str) and not new:
            part.leave_out(line, f'no text called "{fields[1]}"')
        else:
            part.pairs.append((line, source, target if isinstance(target, str) else None))
    return part


def _json_fields(record: dict[str, Any], config: DataConfig, path: Path, line: int, new: bool) -> tuple[str, str]:
    """Which texts of a JSON object are source and target."""
    texts = [key for key, value in record.items() if isinstance(value, str)]
    if config.target is None:
        for source, target in FIELD_PAIRS:
            if source in texts and (target in texts or new):
                return source, target
        if len(texts) == 2:
            return texts[0], texts[1]
    else:
        target = _target_field([*texts, str(config.target)] if new else texts, config, path)
        rest = [key for key in texts if key != target]
        named = [source for source, _ in FIELD_PAIRS if source in rest]
        if len(rest) == 1 or named:
            return (named or rest)[0], target
    if new and len(texts) == 1:
        return texts[0], ""
    raise DataError(
        f"{len(texts)} texts ({', '.join(texts[:8])}): which is the source, which the target?",
        f"{path}, line {line}",
        'Keep two texts a line, or call them "source" and "target".',
    )


def _target_field(names: Sequence[str], config: DataConfig, path: Path) -> str:
    wanted = config.target if isinstance(config.target, str) else (config.target or ("",))[0]
    if wanted in names:
        return wanted
    if wanted.lstrip("-").isdigit() and -len(names) <= int(wanted) < len(names):
        return names[int(wanted)]
    raise UsageError(f'data.target: there is no text called "{wanted}".', str(path), did_you_mean(wanted, names))


def _whole_text(path: Path, encoding: str) -> str:
    try:
        with open_bytes(path) as file:
            return file.read().decode(encoding, errors="replace").removeprefix("\ufeff")
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error


def _numbered_rows(text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """(line, fields); a quote is only one where the file is comma-separated: in TSV of texts it is a character."""
    if dialect.delimiter == "\t":
        for number, record in enumerate(lines_of(text), start=1):
            yield number, [_unquote(cell) for cell in record.split("\t")]
        return
    reader = csv.reader(io.StringIO(text), delimiter=dialect.delimiter[:1], quotechar=dialect.quote or '"')
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{error}.", f"line {line}", "Look for a quotation mark that is never closed.") from error


def _unquote(cell: str) -> str:
    cell = cell.strip()
    if len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def _rows(text: str, dialect: Dialect) -> list[list[str]]:
    return [
        row for _, row in zip(range(PEEK_ROWS + 1), (row for _, row in _numbered_rows(text, dialect)), strict=False)
    ]


def _texts(values: Sequence[str]) -> Any:
    return pa.chunked_array([pa.array(list(values), pa.string())])


def _unpacked_name(path: Path) -> str:
    name = path.name.lower()
    return name.removesuffix(".gz").removesuffix(".zip")
