"""From table files to `TableExamples`: find columns, types and target; keep what fits, note what does not.

A file that fits in memory is read whole and its types come from all rows. Above `LARGE_BYTES` the types come from the
first `SAMPLE_BYTES`, and the rows go block by block into an Arrow file that is then memory-mapped.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orthogon.data.atomic import atomic_file
from orthogon.data.config import DataConfig
from orthogon.data.delimited import BadRow, Dialect, other_encoding, read_batches, sniff, unpacked_size
from orthogon.data.examples import Finding, Origin, plural
from orthogon.data.tables import FileRows, Stored, TableExamples
from orthogon.data.types import ColumnType, comma_style, convert, infer_type, match_levels
from orthogon.errors import ConfigError, DataError, UsageError, did_you_mean, did_you_mean_path

LARGE_BYTES = 256 << 20  # unpacked; more than this is streamed to disk
SAMPLE_BYTES = 16 << 20  # of a large file, for its types
STORED_ROWS = 1 << 16  # a block of the file that we write
MOST_LEVELS = 1 << 20  # of a category; more are kept as plain texts
FIRST_PLACES = 5
POSITION = r"-?\d*:-?\d*|-?\d+"  # of columns: one, or a range
LONGEST_SHOWN = 80  # characters of a value in a message
STORED_FORMAT = 2
_CODES = pa.dictionary(pa.int32(), pa.string())


@dataclass
class Source:
    """One file of a table and what came of reading it."""

    path: Path
    split: str  # "train", "dev", "test" or ""
    names: tuple[str, ...]
    dialect: Dialect | None  # None: Parquet
    dropped: dict[str, str] = field(default_factory=dict)  # column -> why it cannot be read
    bad: list[BadRow] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)  # positions of empty rows among the good ones
    num_rows: int = 0  # that were kept

    @property
    def first_row(self) -> int:
        return 1 if self.dialect is None else 1 + self.dialect.skip + int(self.dialect.header)

    def file_rows(self, start: int) -> FileRows:
        skipped = np.array(sorted(row.number for row in self.bad), dtype=np.int64)
        counted = FileRows(str(self.path), 0, 0, self.first_row, skipped)
        blank = np.array([counted.row(k) for k in self.empty], dtype=np.int64)
        return FileRows(str(self.path), start, self.num_rows, self.first_row, np.sort(np.concatenate([skipped, blank])))


def read_table(config: DataConfig, cache: Path | None = None, schema: Mapping[str, Any] | None = None) -> TableExamples:
    """The table of `data.source`, with `dev_source` and `test_source` behind it.

    Args:
        config: the `data:` section.
        cache: where a large table's Arrow file is kept and found again; None: a temporary folder.
        schema: `TableExamples.schema()` of a training table, to read this one with its columns and types.
    Raises:
        UsageError: no target, or a column that does not exist.
        DataError: what is in the files cannot be used.
    """
    if schema is not None:
        return read_labelled_table(config, schema)
    first = open_source(Path(config.source).expanduser(), "", config)
    if len(first.names) < 2:
        raise DataError(
            f'the table has one column only, "{first.names[0]}": there is nothing to predict it from.',
            str(first.path),
            'If the columns are separated by something unusual, name it: --set data.delimiter="^".',
        )
    targets = _targets(first, config)
    _check_names(first.names, config)
    sources = [first]
    for split, given in (("dev", config.dev_source), ("test", config.test_source)):
        if given is not None:
            source = open_source(Path(given).expanduser(), split, config, expected=first.names)
            sources.append(_like(source, first))
            first.split = "train"

    large = sum(_size(source) for source in sources) > LARGE_BYTES
    if large:
        examples = _read_large(sources, config, targets, cache)
    else:
        examples = _read_small(sources, config, targets)
    _add_roles(examples, config, sources)
    examples.reason = _reason(sources, examples)
    return examples


def open_source(path: Path, split: str, config: DataConfig, expected: Sequence[str] = ()) -> Source:
    """Look at a file's beginning: its names, and how it is written."""
    if not path.exists():
        raise UsageError(
            f'There is no file called "{path}".', f"data.{split or 'train'}_source", did_you_mean_path(path)
        )
    if path.suffix.lower() not in (".parquet", ".pq"):
        dialect = sniff(path, config, expected)
        return Source(path, split, dialect.names, dialect)
    try:
        schema = pq.ParquetFile(path).schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"the file is no Parquet file: {error}.", str(path), "Check it, or make it again.") from error
    names = schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"names are used twice: {', '.join(twice)}.", str(path), "Rename the columns in the file.")
    dropped = {
        column.name: f"{column.type} values cannot be used as a column" for column in schema if _nested(column.type)
    }
    source = Source(path, split, tuple(name for name in names if name not in dropped), None, dropped)
    if not source.names or pq.ParquetFile(path).metadata.num_rows == 0:
        raise DataError("the table has no rows.", str(path), "Give a file with at least a few rows.")
    return source


def _nested(type_: pa.DataType) -> bool:
    return bool(pa.types.is_nested(type_) or pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _size(source: Source) -> int:
    if source.dialect is None:
        metadata = pq.ParquetFile(source.path).metadata
        return sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
    return unpacked_size(source.path)


# -- columns and their roles --------------------------------------------------------------------------------------


def pick_columns(wanted: Sequence[str], names: Sequence[str], key: str, where: str) -> tuple[str, ...]:
    """Columns by name, by position from 0 (-1 is the last), or by a range of positions ("-14:")."""
    picked: list[str] = []
    for word in wanted:
        if word in names:
            picked.append(word)
        elif re.fullmatch(r"-?\d*:-?\d*", word):
            low, high = (int(part) if part else None for part in word.split(":"))
            picked.extend(names[low:high])
        elif re.fullmatch(r"-?\d+", word) and -len(names) <= int(word) < len(names):
            picked.append(names[int(word)])
        else:
            hint = did_you_mean(word, names)
            if re.fullmatch(r"-?\d+", word):
                hint = f"Positions go from 0 to {len(names) - 1}, and from -1 backwards. {hint}"
            raise ConfigError(f'{key}: there is no column "{word}".', where, hint)
    return tuple(dict.fromkeys(picked))


def _targets(source: Source, config: DataConfig) -> tuple[str, ...]:
    n = len(source.names)
    unnamed = source.dialect is not None and not source.dialect.header and config.columns is None
    if config.target is None:
        pairs = "; or, if these are pairs of strings: --set data.format=strings" if n == 2 else ""
        listed = ", ".join(source.names[:30]) + (", ..." if n > 30 else "")
        has = f"no header row and {n} columns, called" if unnamed else f"{n} columns:"
        raise UsageError(
            f"which column is to be predicted? The table has {has} {listed}.",
            str(source.path),
            f"Name it: orthogon start {config.source} --target {source.names[-1]}{pairs}",
        )
    wanted = (config.target,) if isinstance(config.target, str) else config.target
    if unnamed:
        absent = [word for word in wanted if word not in source.names and not re.fullmatch(POSITION, word)]
        if absent:
            raise UsageError(
                f'there is no column "{absent[0]}": the table has no header row, so its {n} columns have no names.',
                f"{source.path}, row 1",
                f"Name all {n} in order: --columns NAME,NAME,... Or give the target's position, counted from 0 or from "
                "the end: --target -1 is the last.",
            )
    targets = pick_columns(wanted, source.names, "data.target", str(source.path))
    if len(targets) == n:
        raise UsageError("every column is a target: nothing is left to predict from.", "data.target", "Name fewer.")
    return targets


def _check_names(names: Sequence[str], config: DataConfig) -> None:
    where = config.source
    pick_columns(config.ignore, names, "data.ignore", where)
    pick_columns(tuple(config.types), names, "data.types", where)
    for key in ("domain", "group", "time"):
        if getattr(config, key) is not None:
            pick_columns((getattr(config, key),), names, f"data.{key}", where)


def _like(source: Source, first: Source) -> Source:
    """A second file of the same table: its names must be the first one's, or it must have none."""
    if source.dialect is not None and not source.dialect.header and len(source.names) == len(first.names):
        source.names = first.names
        source.dialect = replace(source.dialect, names=first.names)
    absent = [name for name in first.names if name not in source.names]
    if absent and len(source.names) == len(first.names) and first.dialect and not first.dialect.header:
        source.names = first.names  # the first file has no names: what stands where is all we know
        source.dialect = replace(source.dialect, names=first.names) if source.dialect else None
        absent = []
    if absent:
        hint = did_you_mean(absent[0], [name for name in source.names if name not in first.names] or source.names)
        raise DataError(
            f"{len(absent)} of the {len(first.names)} columns of {first.path} are missing: {', '.join(absent[:8])}.",
            str(source.path),
            f"{hint} Both files need the same columns.",
        )
    return source


def _add_roles(examples: TableExamples, config: DataConfig, sources: Sequence[Source]) -> None:
    """Who is an input and who is not, with the reason; domains, groups and times."""
    names = examples.table.column_names
    left_out: dict[str, str] = {}
    for source in sources:
        left_out.update(source.dropped)
    for name in pick_columns(config.ignore, names, "data.ignore", config.source):
        left_out[name] = "data.ignore says so"
    for key in ("domain", "group"):
        if getattr(config, key) is not None:
            (name,) = pick_columns((getattr(config, key),), names, f"data.{key}", config.source)
            left_out.setdefault(name, f"it is data.{key}")
            values = examples.texts(name)
            if key == "group":  # who is unknown is alone
                values = np.array([f"row {i}" if v is None else v for i, v in enumerate(values)], dtype=object)
                examples.groups = values
            else:
                examples.domains = np.array(["" if v is None else v for v in values], dtype=object)
    if config.time is not None:
        (name,) = pick_columns((config.time,), names, "data.time", config.source)
        examples.times = examples.table.column(name).to_numpy()
        if examples.times.dtype == object:
            raise ConfigError(
                f'data.time: the column "{name}" holds {examples.column_types[name].kind} values, which have no order.',
                config.source,
                f"Name a column of dates or numbers, or say what it is: --set data.types.{name}=date",
            )
    for name in names:
        kind = examples.column_types[name].kind
        if kind == "id":
            left_out.setdefault(name, f"id: {examples.column_types[name].reason}")
        elif kind == "text":
            left_out.setdefault(name, f"free text: {examples.column_types[name].reason}")
    for target in examples.target_columns:
        left_out.pop(target, None)
    examples.left_out = left_out
    examples.input_columns = tuple(n for n in names if n not in left_out and n not in examples.target_columns)
    if any(source.split for source in sources):
        examples.given_split = np.concatenate([np.full(source.num_rows, source.split) for source in sources])


def _reason(sources: Sequence[Source], examples: TableExamples) -> str:
    first = sources[0]
    how = "Parquet" if first.dialect is None else first.dialect.words()
    more = "".join(
        f", and {plural(source.num_rows, 'row')} of {source.path.name} for {source.split}" for source in sources[1:]
    )
    return (
        f"a table, because {first.path.name} holds {plural(first.num_rows, 'row')} of "
        f"{plural(len(first.names), 'column')} ({how}){more}"
    )


# -- in memory ----------------------------------------------------------------------------------------------------


def table_examples(
    table: pa.Table, config: DataConfig, *, name: str, target: str | None = None, reason: str = ""
) -> TableExamples:
    """Examples from a table that is in memory already: types found, target picked.

    Args:
        table: texts, numbers, booleans or dates.
        config: the `data:` section; its target comes before `target`.
        name: what the user typed.
        target: the column to predict where the config names none.
    """
    source = Source(Path(name), "", tuple(table.column_names), None, num_rows=table.num_rows)
    if config.target is None:
        config = config.model_copy(update={"target": target})
    targets = _targets(source, config)
    _check_names(source.names, config)
    types, notes = _types(table, config, None)
    examples = TableExamples(
        _values(table, types), types, targets, name=name, files=[FileRows(name, 0, table.num_rows)], reason=reason
    )
    examples.notes = notes
    _add_roles(examples, config, [source])
    return examples


def _types(table: pa.Table, config: DataConfig, dialect: Dialect | None) -> tuple[dict[str, ColumnType], list[Finding]]:
    """The columns' types, and a note on numbers of which it could not be told how they are spelled."""
    given = {
        pick_columns((key,), table.column_names, "data.types", config.source)[0]: kind
        for key, kind in config.types.items()
    }
    columns = {name: table.column(name) for name in table.column_names}
    spelled = {name: column for name, column in columns.items() if dialect or not pa.types.is_floating(column.type)}
    comma, undecided = comma_style(spelled, semicolons=dialect is not None and dialect.delimiter == ";")
    types = {name: infer_type(name, column, given.get(name), comma) for name, column in columns.items()}
    undecided = [name for name in undecided if types[name].style == comma]
    if not undecided:
        return types, []
    names = ", ".join(f'"{name}"' for name in undecided[:5])
    note = Finding(
        "comma-unclear",
        "note" if dialect is not None and dialect.delimiter == "," else "warning",
        f"In {plural(len(undecided), 'column')} ({names}) 1,234 is read as 1234; nothing in the table tells that it is "
        "not 1.234.",
        len(undecided),
        tuple(undecided[:5]),
        "If the comma is a decimal comma, write a decimal point in the file.",
    )
    return types, [note]


def _values(table: pa.Table, types: Mapping[str, ColumnType]) -> pa.Table:
    columns = []
    for name in table.column_names:
        column = convert(table.column(name), types[name])
        if types[name].kind in ("category", "boolean"):
            column = column.dictionary_encode()
        columns.append(_one_chunk(column))
    return pa.table(columns, names=table.column_names)


def _one_chunk(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.num_chunks == 1:
        return column
    combined = column.unify_dictionaries().combine_chunks()
    return combined if isinstance(combined, pa.ChunkedArray) else pa.chunked_array([combined])


def _read_small(sources: Sequence[Source], config: DataConfig, targets: tuple[str, ...]) -> TableExamples:
    names = sources[0].names
    types: dict[str, ColumnType] = {}
    tables: list[pa.Table] = []
    notes: list[Finding] = []
    for source in sources:
        raw = _raw_table(source, config).select(list(names))
        _refuse_ragged(source, config)
        if not types:
            types, notes = _types(raw, config, source.dialect)
        values = _values(raw, types)
        notes += _lost_values(raw, values, types, source.file_rows(0))
        if tables:
            values, matched = _match_to(tables[0], values, types, source)
            notes += matched
        tables.append(values)
    table = pa.concat_tables(tables)
    if len(tables) > 1:
        table = pa.table([_one_chunk(column) for column in table.columns], names=table.column_names)
    examples = TableExamples(table, types, targets, name=config.source, files=_file_rows(sources))
    examples.notes = notes
    examples.set_aside = _set_aside(sources)
    return examples


def _raw_table(source: Source, config: DataConfig, num_bytes: int | None = None) -> pa.Table:
    """The rows of a file with texts stripped and missing ones null; plain numbers are numbers already."""
    if source.dialect is None:
        rows = pq.ParquetFile(source.path).read(columns=list(source.names))
        return _without_empty(_clean(rows, config.missing), source)
    types = {
        name: pa.float64() if plain else pa.string()
        for name, plain in zip(source.names, source.dialect.plain_numbers, strict=True)
    }
    while True:
        source.bad.clear()
        try:
            batches = list(
                read_batches(source.path, source.dialect, types, config.missing, source.bad, num_bytes=num_bytes)
            )
            break
        except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
            types = _retyped(error, source, types, pa.string())
    schema = pa.schema(list(types.items()))
    table = _clean(pa.Table.from_batches(batches, schema=schema), config.missing)
    return _without_empty(table, source)


def _retyped(
    error: Exception, source: Source, types: Mapping[str, pa.DataType], instead: pa.DataType
) -> dict[str, pa.DataType]:
    """The types to try next after a value that did not fit, or the error said in the user's terms."""
    assert source.dialect is not None
    message = str(error)
    if "invalid UTF8" in message or isinstance(error, UnicodeError):
        other = other_encoding(source.dialect)
        if other is not None:
            source.dialect = other
            return dict(types)
    at = re.search(r"CSV column #(\d+)", message)
    if at is not None and types[source.names[int(at[1])]] not in (instead, pa.string()):
        return {**types, source.names[int(at[1])]: instead}
    row = re.search(r"Row #(\d+)", message)
    raise DataError(
        f"the table cannot be read: {message}.",
        f"{source.path}, row {row[1]}" if row else str(source.path),
        "Look there for a quotation mark that is never closed, or save the table again as UTF-8 CSV.",
    ) from error


def _clean(table: pa.Table, missing: Sequence[str]) -> pa.Table:
    gone = pa.array(sorted({"", *missing}))
    return pa.table([_clean_column(column, gone) for column in table.columns], names=table.column_names)


def _clean_column(column: pa.ChunkedArray, gone: pa.Array) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        if not pa.types.is_string(column.type.value_type) and not pa.types.is_large_string(column.type.value_type):
            return _clean_column(column.cast(column.type.value_type), gone)
        chunks = []
        for chunk in column.chunks:
            levels = _clean_column(pa.chunked_array([chunk.dictionary.cast(pa.string())]), gone).combine_chunks()
            chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, _array(levels)))
        return pa.chunked_array(chunks, pa.dictionary(column.type.index_type, pa.string()))
    if pa.types.is_floating(column.type):
        return column
    if pa.types.is_large_string(column.type) or pa.types.is_null(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return column
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(column, value_set=gone), None, column)


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _without_empty(table: pa.Table, source: Source) -> pa.Table:
    """The table without rows of which every value is missing; `source` learns which they were."""
    offset = source.num_rows + len(source.empty)
    if table.num_rows and table.column(0).null_count:
        empty = pc.is_null(table.column(0))
        for column in table.columns[1:]:
            empty = pc.and_(empty, pc.is_null(column))
        if pc.any(empty).as_py():
            source.empty.extend((offset + np.flatnonzero(empty.to_numpy())).tolist())
            table = table.filter(pc.invert(empty))
    source.num_rows += table.num_rows
    return table


def _refuse_ragged(source: Source, config: DataConfig) -> None:
    if source.num_rows == 0 and not source.bad:
        raise DataError("the table has no rows.", str(source.path), "Give a file with at least a few rows.")
    share = len(source.bad) / (source.num_rows + len(source.bad)) if source.bad else 0.0
    if source.num_rows and share <= config.max_bad:
        return
    places = "; ".join(f"row {row.number}: {row}" for row in source.bad[:FIRST_PLACES])
    raise DataError(
        f"{len(source.bad):,} of {source.num_rows + len(source.bad):,} rows ({share:.1%}) do not have "
        f"{len(source.names)} fields. {places}.",
        f"{source.path}, row {source.bad[0].number}",
        "Correct these rows (a separator inside a text needs quotes around the text), name the separator with "
        f"data.delimiter, or allow more: --set data.max_bad={min(1.0, round(share + 0.01, 2))}",
    )


def _set_aside(sources: Sequence[Source]) -> list[tuple[Origin, str]]:
    return [(Origin(str(s.path), f"row {row.number}"), str(row)) for s in sources for row in s.bad]


def _file_rows(sources: Sequence[Source]) -> list[FileRows]:
    start, parts = 0, []
    for source in sources:
        parts.append(source.file_rows(start))
        start += source.num_rows
    return parts


def _lost_values(
    raw: pa.Table, values: pa.Table, types: Mapping[str, ColumnType], rows: FileRows, start: int = 0
) -> list[Finding]:
    """Values that their column's type cannot hold, and that are missing from here on."""
    findings = []
    for name in raw.column_names:
        before, after = raw.column(name), values.column(name)
        lost = after.null_count - before.null_count
        if lost <= 0:
            continue
        kind = types[name].kind
        at = np.flatnonzero(pc.and_(pc.is_valid(before), pc.is_null(after)).to_numpy())
        shown = list(dict.fromkeys(str(before[int(k)].as_py()) for k in at[:FIRST_PLACES]))
        findings.append(
            Finding(
                "values-not-dates" if kind == "date" else "values-not-numbers",
                "warning",
                f'{lost:,} value{"s" if lost > 1 else ""} of "{name}" cannot be used as {kind}s and '
                f"{'are' if lost > 1 else 'is'} taken as missing: {', '.join(shown)}.",
                lost,
                tuple(str(Origin(rows.file, f"row {rows.row(start + int(k))}")) for k in at[:FIRST_PLACES]),
                f"Correct them, add the text to data.missing, or say what it is: --set data.types.{name}=category",
            )
        )
    return findings


def _problems(
    raw: pa.Table,
    values: pa.Table,
    types: Mapping[str, ColumnType],
    inputs: Sequence[str],
    known: Mapping[str, frozenset[str]],
) -> dict[int, str]:
    """Row -> which of its inputs are no values of their column's type, or levels that the training table lacks."""
    said: dict[int, list[str]] = {}
    for name in inputs:
        before, after, kind = raw.column(name), values.column(name), types[name].kind
        if kind in ("number", "date"):
            if after.null_count <= before.null_count:
                continue
            odd = pc.and_(pc.is_valid(before), pc.is_null(after))
            wanted = "is not a number" if kind == "number" else "is not written as the dates of training were"
            why = f"{wanted}: taken as missing"
        elif name in known:
            column = _array(after)
            new = [code for code, level in enumerate(column.dictionary.to_pylist()) if level not in known[name]]
            if not new:
                continue
            odd = pc.is_in(column.indices, value_set=pa.array(new, column.indices.type))
            why = "is not a known level"
        else:
            continue
        at = np.flatnonzero(odd.to_numpy(zero_copy_only=False) if isinstance(odd, pa.Array) else odd.to_numpy())
        for k, text in zip(at.tolist(), before.take(pa.array(at)).to_pylist(), strict=True):
            said.setdefault(k, []).append(f'{name} "{str(text)[:LONGEST_SHOWN]}" {why}')
    return {k: "; ".join(parts) for k, parts in said.items()}


def _match_to(
    train: pa.Table, values: pa.Table, types: Mapping[str, ColumnType], source: Source
) -> tuple[pa.Table, list[Finding]]:
    """Texts of a second file that differ from the first file's only by space, case or punctuation become those."""
    findings = []
    for j, name in enumerate(values.column_names):
        if types[name].kind not in ("category", "boolean") or name not in train.column_names:
            continue
        column = _array(values.column(name))
        levels = column.dictionary.to_pylist()
        matched = match_levels(levels, _array(train.column(name)).dictionary.to_pylist())
        if not matched:
            continue
        texts = pa.array([matched.get(level, level) for level in levels], pa.string())
        count = pc.sum(pc.is_in(column.cast(pa.string()), value_set=pa.array(list(matched)))).as_py()
        column = pa.DictionaryArray.from_arrays(column.indices, texts).cast(pa.string()).dictionary_encode()
        values = values.set_column(j, name, column)
        findings.append(_matched(name, matched, source, count))
    return values, findings


def _matched(name: str, matched: Mapping[str, str], source: Source, count: int) -> Finding:
    shown = ", ".join(f'"{new}" as "{known}"' for new, known in list(matched.items())[:FIRST_PLACES])
    return Finding(
        "labels-matched",
        "note",
        f'"{name}" is written differently in {source.path.name}: {shown} ({plural(count, "row")}).',
        count,
        (str(source.path),),
        "If these are different things, rename them in one of the files.",
    )


# -- larger than memory -------------------------------------------------------------------------------------------


def _read_large(
    sources: Sequence[Source], config: DataConfig, targets: tuple[str, ...], cache: Path | None
) -> TableExamples:
    key = _cache_key(sources, config)
    folder = Path(tempfile.mkdtemp(prefix="orthogon-")) if cache is None else cache
    folder.mkdir(parents=True, exist_ok=True)
    path, facts_path = folder / f"{key}.arrow", folder / f"{key}.json"
    if path.exists() and facts_path.exists():
        facts = json.loads(facts_path.read_text("utf-8"))
    else:
        facts = _store(sources, config, targets, path)
        with atomic_file(facts_path) as partial:
            partial.write_text(json.dumps(facts), "utf-8")
    levels = {name: pa.array(texts, pa.string()) for name, texts in facts["levels"].items()}
    types = {name: ColumnType.from_dict(values) for name, values in facts["types"].items()}
    stored = Stored(path, levels)
    for source, known in zip(sources, facts["sources"], strict=True):
        source.bad = [BadRow(*row) for row in known["bad"]]
        source.empty, source.num_rows = known["empty"], known["num_rows"]
    table = stored.mapped()
    examples = TableExamples(table, types, targets, name=config.source, files=_file_rows(sources))
    examples.stored = stored
    examples.notes = [Finding(**{**note, "places": tuple(note["places"])}) for note in facts["notes"]]
    examples.set_aside = _set_aside(sources)
    if cache is None:  # the mapping keeps the pages, the file may go when nobody can open it again
        weakref.finalize(stored, shutil.rmtree, folder, ignore_errors=True)
    return examples


def _cache_key(sources: Sequence[Source], config: DataConfig) -> str:
    said = config.model_dump(
        mode="json", include={"target", "columns", "types", "missing", "encoding", "delimiter", "max_bad"}
    )
    files = []
    for source in sources:
        stat = source.path.stat()
        files.append([str(source.path.resolve()), stat.st_size, stat.st_mtime_ns, source.split])
    digest = hashlib.sha256(json.dumps([STORED_FORMAT, files, said], sort_keys=True).encode())
    return f"{sources[0].path.name.split('.')[0]}-{digest.hexdigest()[:16]}"


def _store(sources: Sequence[Source], config: DataConfig, targets: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Write the rows of all files to one Arrow file; what else is known about them comes back, JSON-able."""
    names = sources[0].names
    types, undecided = _types(_sample(sources[0], config), config, sources[0].dialect)
    as_text: set[str] = set()  # number columns of which a value further down is no plain number
    while True:
        for source in sources:
            source.bad, source.empty, source.num_rows = [], [], 0
        try:
            levels, notes = _store_once(sources, config, types, targets, as_text, path)
            break
        except _ReadAgain as again:
            as_text.update(again.as_text)
    for source in sources:
        _refuse_ragged(source, config)
    return {
        "types": {name: types[name].to_dict() for name in names},
        "levels": {name: list(texts) for name, texts in levels.items()},
        "notes": [dict(vars(note)) for note in [*undecided, *notes]],
        "sources": [
            {
                "bad": [[row.number, row.text[:200], row.found, row.expected] for row in source.bad],
                "empty": source.empty,
                "num_rows": source.num_rows,
            }
            for source in sources
        ],
    }


class _ReadAgain(Exception):
    """What was found out half way down makes another start necessary."""

    def __init__(self, as_text: Sequence[str]) -> None:
        super().__init__(as_text)
        self.as_text = as_text


def _sample(source: Source, config: DataConfig) -> pa.Table:
    if source.dialect is None:
        file = pq.ParquetFile(source.path)
        batch = next(file.iter_batches(100_000, columns=list(source.names)))
        return _clean(pa.Table.from_batches([batch]), config.missing)
    return _raw_table(source, config, num_bytes=SAMPLE_BYTES)


def _store_once(
    sources: Sequence[Source],
    config: DataConfig,
    types: Mapping[str, ColumnType],
    targets: tuple[str, ...],
    as_text: set[str],
    path: Path,
) -> tuple[dict[str, dict[str, int]], list[Finding]]:
    names = sources[0].names
    kinds = {name: types[name].kind for name in names}
    number = {name: pa.float64() if name in targets else pa.float32() for name in names}
    stored_types = {"number": None, "date": pa.timestamp("ms"), "id": pa.string(), "text": pa.string()}
    schema = pa.schema(
        [(n, number[n] if kinds[n] == "number" else stored_types.get(kinds[n]) or pa.int32()) for n in names]
    )
    levels: dict[str, dict[str, int]] = {n: {} for n in names if kinds[n] in ("category", "boolean")}
    notes: dict[tuple[str, str], Finding] = {}
    with atomic_file(path) as partial, pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for source in sources:
            raw_types = {
                name: number[name]
                if kinds[name] == "number" and types[name].style == "plain" and name not in as_text
                else _CODES
                if name in levels
                else pa.string()
                for name in names
            }
            known = {name: list(levels[name]) for name in levels} if source is not sources[0] else {}
            for raw in _blocks(source, config, raw_types):
                start = source.num_rows
                raw = _without_empty(_clean(raw, config.missing), source).select(list(names))
                columns = []
                for name in names:
                    if name in levels:
                        column = _codes(raw.column(name), levels[name], known.get(name))
                        if len(levels[name]) > MOST_LEVELS:
                            raise DataError(
                                f'"{name}" has more than {MOST_LEVELS:,} different texts.',
                                str(source.path),
                                f"Say what it is: --set data.types.{name}=id (or text), or --set data.ignore={name}",
                            )
                    else:
                        column = convert(raw.column(name), types[name], number[name])
                    columns.append(column)
                values = pa.table(columns, schema=schema)
                if raw.num_rows:
                    rows = replace(source.file_rows(0), count=source.num_rows)
                    for note in _lost_values(raw, values, types, rows, start):
                        column_name = note.message.split('"')[1]
                        seen = notes.get((note.code, column_name))
                        notes[note.code, column_name] = (
                            note if seen is None else replace(seen, count=seen.count + note.count)
                        )
                writer.write_table(values, max_chunksize=STORED_ROWS)
    return levels, list(notes.values())


def _blocks(source: Source, config: DataConfig, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    if source.dialect is None:
        for batch in pq.ParquetFile(source.path).iter_batches(STORED_ROWS, columns=list(source.names)):
            yield pa.Table.from_batches([batch])
        return
    ordered = {name: types[name] for name in source.names}
    try:
        for batch in read_batches(source.path, source.dialect, ordered, config.missing, source.bad):
            yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        retyped = _retyped(error, source, types, pa.string())
        raise _ReadAgain([name for name in types if retyped[name] != types[name]]) from error


def _codes(column: pa.ChunkedArray, levels: dict[str, int], known: Sequence[str] | None) -> pa.ChunkedArray:
    """Texts to codes; `levels` grows. With `known`, texts that differ from a known one by case only are that one."""
    if not pa.types.is_dictionary(column.type):
        column = convert(column, ColumnType("category", "")).dictionary_encode()
    chunks = []
    for chunk in column.chunks:
        texts = chunk.dictionary.to_pylist()
        matched = match_levels([t for t in texts if t is not None], known) if known else {}
        table = [None if t is None else levels.setdefault(matched.get(t, t), len(levels)) for t in texts]
        chunks.append(pa.array(table, pa.int32()).take(chunk.indices))
    return pa.chunked_array(chunks, pa.int32())


# -- new rows -----------------------------------------------------------------------------------------------------


def read_new_table(
    source: str, config: DataConfig, schema: Mapping[str, Any], rows_per_chunk: int
) -> Iterator[TableExamples]:
    """Chunks of new rows, read with the columns and types of `schema`; targets are kept where they are there.

    Columns are found by name, in any order; others are passed over. A file without names is read by position. Rows with
    too many or too few fields are in `set_aside` of the chunk among whose rows they stand.

    Raises:
        DataError: a column that the network reads is missing.
    """
    types = {name: ColumnType.from_dict(values) for name, values in schema["types"].items()}
    config = config.model_copy(update={"columns": None})
    file = open_source(Path(source).expanduser(), "", config, expected=schema["columns"])
    names = _known_columns(file, schema)
    train = _levels_table(schema, names)
    known = {name: frozenset(schema["levels"][name]) for name in train.column_names}
    told = 0  # rows set aside that an earlier chunk has listed
    for raw in _new_blocks(file, config):
        start = file.num_rows
        raw = _without_empty(_clean(raw.select(names), config.missing), file)
        values = _values(raw, types)
        rows = file.file_rows(0)
        notes = _lost_values(raw, values, types, rows, start)
        values, matched = _match_to(train, values, types, file)
        problems = _problems(raw, values, types, schema["inputs"], known)
        for at in range(0, values.num_rows, rows_per_chunk):
            part = values.slice(at, rows_per_chunk)
            first = start + at
            examples = _new_examples(
                part, types, schema, source, replace(rows, start=-first, count=first + part.num_rows)
            )
            stop = at + part.num_rows
            examples.problems = {k - at: said for k, said in problems.items() if at <= k < stop}
            if at == 0:
                examples.notes = notes + matched
            kept = [rows.kept_before(row.number) for row in file.bad[told:]]  # rows further down may be known already
            among = [k - first for k in kept if k < start + stop]
            examples.set_aside, examples.set_aside_before = _set_aside([file])[told : told + len(among)], among
            told += len(among)
            yield examples
    if told < len(file.bad):
        nothing = pa.schema([(name, pa.string()) for name in names]).empty_table()
        examples = _new_examples(_values(nothing, types), types, schema, source, file.file_rows(0))
        examples.set_aside = _set_aside([file])[told:]
        examples.set_aside_before = [0] * len(examples.set_aside)
        yield examples


def read_labelled_table(config: DataConfig, schema: Mapping[str, Any]) -> TableExamples:
    """All rows of a table with targets, read as `schema` says and not as they would be read alone.

    Raises:
        DataError: a column is missing, a target too; or too many rows are bad.
    """
    chunks = list(read_new_table(config.source, config, schema, rows_per_chunk=1 << 62))
    aside = [pair for chunk in chunks for pair in chunk.set_aside]
    if not chunks or not sum(map(len, chunks)):
        raise DataError("the table has no rows that can be read.", config.source, "Give a file with at least one row.")
    absent = [name for name in schema["targets"] if name not in chunks[0].target_columns]
    if absent:
        raise DataError(
            f"there is no target: the column{'s' if len(absent) > 1 else ''} {', '.join(absent)} "
            f"{'are' if len(absent) > 1 else 'is'} missing.",
            config.source,
            "Add what the right answers are; to answer without them: orthogon predict",
        )
    table = pa.concat_tables([chunk.table for chunk in chunks])
    table = pa.table([_one_chunk(column) for column in table.columns], names=table.column_names)
    rows = replace(chunks[-1].files[0], start=0, count=table.num_rows)
    examples = _new_examples(table, chunks[0].column_types, schema, config.source, rows)
    examples.notes = [note for chunk in chunks for note in chunk.notes]
    examples.set_aside = aside
    return examples


def _new_examples(
    table: pa.Table, types: Mapping[str, ColumnType], schema: Mapping[str, Any], source: str, rows: FileRows
) -> TableExamples:
    names = table.column_names
    return TableExamples(
        table,
        {name: types[name] for name in names},
        [name for name in schema["targets"] if name in names],
        schema["inputs"],
        name=source,
        files=[rows],
        reason=f"rows of a table like the one the network was trained on, from {Path(source).name}",
    )


def _new_blocks(file: Source, config: DataConfig) -> Iterator[pa.Table]:
    """All columns as texts; starts again, past what was given out, where another encoding turns out to be right."""
    given = 0
    while True:
        seen = 0
        try:
            for block in _blocks(file, config, {name: pa.string() for name in file.names}):
                seen += block.num_rows
                if seen > given:
                    yield block.slice(max(0, block.num_rows - (seen - given)))
                    given = seen
            return
        except _ReadAgain:
            file.bad.clear()


def _levels_table(schema: Mapping[str, Any], names: Sequence[str]) -> pa.Table:
    """No rows, but the levels that the training table had."""
    none = pa.array([], pa.int32())
    known = {name: texts for name, texts in schema["levels"].items() if name in names}
    columns = [pa.DictionaryArray.from_arrays(none, pa.array(texts, pa.string())) for texts in known.values()]
    return pa.table(columns, names=list(known))


def _known_columns(file: Source, schema: Mapping[str, Any]) -> list[str]:
    """The columns of a new file that the training table had too; a file without names gets them by position."""
    columns, targets, inputs = schema["columns"], schema["targets"], schema["inputs"]
    by_name = file.dialect is None or (file.dialect.header and any(name in columns for name in file.names))
    if file.dialect is not None and not by_name:
        for names in (columns, [name for name in columns if name not in targets]):
            if len(names) == len(file.names):
                file.names = tuple(names)
                file.dialect = replace(file.dialect, names=file.names)
                break
        else:
            if not file.dialect.header:
                raise DataError(
                    f"row {file.first_row} has {plural(len(file.names), 'field')} and no row holds names: the table "
                    f"trained on has {plural(len(columns), 'column')}, targets included.",
                    f"{file.path}, row {file.first_row}",
                    f"Put the names in the first row: {', '.join(inputs[:8])}{', ...' if len(inputs) > 8 else ''}.",
                )
    absent = [name for name in inputs if name not in file.names]
    if absent:
        free = [name for name in file.names if name not in columns]
        hint = did_you_mean(absent[0], free) if free else ""
        raise DataError(
            f"{len(absent)} of the {len(inputs)} columns that the network reads "
            f"{'are' if len(absent) > 1 else 'is'} missing: {', '.join(absent[:8])}.",
            str(file.path),
            f"{hint} Add the column{'s' if len(absent) > 1 else ''}; empty values are fine.".strip(),
        )
    return [name for name in columns if name in file.names]
