"""Tables as examples: columns in Arrow, in memory or memory-mapped from a file that Orthogon wrote.

Categories and booleans are kept as texts, encoded by dictionary; numbers as float64 (float32 where the table is larger
than memory); dates as timestamp[ms]. A missing value is null.
"""

from __future__ import annotations

import copy
import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orthogon.data.examples import Example, Examples, Finding, Origin
from orthogon.data.types import ColumnType, as_texts
from orthogon.errors import UsageError

INPUT_KINDS = ("number", "category", "boolean", "date")
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class FileRows:
    """The rows of a table that came from one file, for naming them as the user counts them.

    Attributes:
        file: what the user typed.
        start, count: which rows of the table these are.
        first: the row in the file of the first one, counted from 1, header included.
        skipped: ascending rows of the file that were left out (set aside, empty).
    """

    file: str
    start: int
    count: int
    first: int = 1
    skipped: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def row(self, i: int) -> int:
        """The row in the file of row `i` of the table."""
        k = i - self.start
        before = self.skipped - self.first - np.arange(len(self.skipped))  # kept rows in front of each skipped one
        return k + self.first + int(np.searchsorted(before, k, side="right"))

    def kept_before(self, row: int) -> int:
        """How many rows of the file that were kept come before this one."""
        return row - self.first - int(np.searchsorted(self.skipped, row))


@dataclass(frozen=True)
class Stored:
    """A table larger than memory, in an Arrow IPC file that Orthogon wrote; texts of few levels are stored as codes.

    Attributes:
        path: the file.
        levels: column -> the texts that its codes stand for.
        keeper: lives as long as the file is needed, where the file is a temporary one.
        maps: the mappings handed out.
    """

    path: Path
    levels: Mapping[str, pa.Array]
    keeper: object = None
    maps: list[mmap.mmap] = field(default_factory=list)

    def mapped(self) -> pa.Table:
        """The whole table, memory-mapped: pages are read when touched."""
        with self.path.open("rb") as file:
            self.maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return self.decode(pa.ipc.open_file(pa.py_buffer(self.maps[-1])).read_all())

    def forget(self) -> None:
        """Give back the memory of pages that were touched; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapping in self.maps:
                mapping.madvise(mmap.MADV_DONTNEED)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns, block by block, read and not mapped, so that what was seen does not stay in memory."""
        with pa.OSFile(str(self.path)) as file:
            at = [pa.ipc.open_file(file).schema.get_field_index(column) for column in columns]
            options = pa.ipc.IpcReadOptions(included_fields=sorted(at) or [0])
            reader = pa.ipc.open_file(file, options=options)
            for k in range(reader.num_record_batches):
                yield self.decode(pa.Table.from_batches([reader.get_batch(k)])).select(list(columns))

    def decode(self, table: pa.Table) -> pa.Table:
        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name in self.levels:
                chunks = [pa.DictionaryArray.from_arrays(chunk, self.levels[name]) for chunk in column.chunks]
                column = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
            columns.append(column)
        return pa.table(columns, names=table.column_names)


class TableExamples(Examples):
    """Rows of a table.

    Args:
        table: one Arrow column a name, in the forms of `types.convert`.
        column_types: what each column holds.
        target_columns: what is to be predicted; may be empty for new rows.
        input_columns: what a network may see; None takes every column but targets, ids and free text.
        name: what the user typed.
        files: where the rows came from; None: one source named `name`.
        rows: ids in `table` that these examples are; None: all.
    """

    modality: Literal["table"] = "table"

    def __init__(
        self,
        table: pa.Table,
        column_types: Mapping[str, ColumnType],
        target_columns: Sequence[str] = (),
        input_columns: Sequence[str] | None = None,
        *,
        name: str = "table",
        files: Sequence[FileRows] | None = None,
        rows: NDArray[np.int64] | None = None,
        reason: str = "",
    ) -> None:
        self.table = table
        self.column_types = dict(column_types)
        self.target_columns = tuple(target_columns)
        if input_columns is None:
            input_columns = [
                column
                for column in table.column_names
                if column not in self.target_columns and self.column_types[column].kind in INPUT_KINDS
            ]
        self.input_columns = tuple(input_columns)
        self.name = name
        self.files = tuple(files) if files is not None else (FileRows(name, 0, table.num_rows),)
        self.rows = rows
        self.reason = reason
        self.notes: list[Finding] = []
        self.set_aside: list[tuple[Origin, str]] = []
        self.problems: dict[int, str] = {}  # of new rows: position -> values that could not be used as they are
        self.left_out: dict[str, str] = {}  # column -> why the network does not see it
        self.stored: Stored | None = None
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows if self.rows is None else len(self.rows))

    def __getitem__(self, i: int) -> Example:
        at = self._at(i)
        values = {column: self._value(column, at) for column in self.table.column_names}
        targets = {column: values.pop(column) for column in self.target_columns}
        target: Any = targets
        if len(targets) < 2:
            target = next(iter(targets.values()), None)
        return Example(values, target, self.origin(i))

    def _at(self, i: int) -> int:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        i = i % len(self)
        return i if self.rows is None else int(self.rows[i])

    def _value(self, column: str, at: int) -> Any:
        value = self.table.column(column)[at].as_py()
        if isinstance(value, float) and self.column_types[column].integer and value.is_integer():
            return int(value)
        return value

    def origin(self, i: int) -> Origin:
        """File and row as the user counts: the header is row 1."""
        at = self._at(i)
        for part in self.files:
            if part.start <= at < part.start + part.count:
                return Origin(part.file, f"row {part.row(at):,}".replace(",", ""))
        return Origin(self.name, f"row {at + 1}")

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> TableExamples:
        ids = np.asarray(ids, dtype=np.int64)
        rows = ids if self.rows is None else self.rows[ids]
        part = TableExamples(
            self.table,
            self.column_types,
            self.target_columns,
            self.input_columns,
            name=self.name,
            files=self.files,
            rows=rows,
            reason=self.reason,
        )
        part.notes, part.set_aside, part.left_out = self.notes, self.set_aside, self.left_out
        part.stored = self.stored
        for attribute in ("domains", "groups", "times", "given_split"):
            values = getattr(self, attribute)
            setattr(part, attribute, None if values is None else values[ids])
        return part

    # -- columns ------------------------------------------------------------------------------------------------

    def frame(
        self, columns: Sequence[str] | None = None, rows: NDArray[np.int64] | Sequence[int] | None = None
    ) -> pd.DataFrame:
        """A pandas frame of these examples.

        Args:
            columns: which, in this order; None: all.
            rows: positions in these examples; None: all, in order.
        Returns:
            numbers float64 or float32 with NaN; categories and booleans as pandas categoricals of texts (the levels of
            the whole table); dates datetime64[ms]; ids and texts as objects with None.
        """
        table = self.table.select(list(self.table.column_names if columns is None else columns))
        at = self.rows
        if rows is not None:
            rows = np.asarray(rows, dtype=np.int64)
            at = rows if at is None else at[rows]
        if at is not None:
            table = pa.table([take(column, at) for column in table.columns], names=table.column_names)
        frame = _frame(table)
        self._forget()
        return frame

    def _forget(self) -> None:
        if self.stored is not None:
            self.stored.forget()

    def chunks(self, rows_per_chunk: int = CHUNK_ROWS, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """The frame in pieces of at most so many rows, in order, without all of it in memory at once."""
        if self.stored is not None and (self.rows is None or bool(np.all(self.rows[1:] > self.rows[:-1]))):
            names = list(self.table.column_names if columns is None else columns)
            start = 0
            for table in self.stored.tables(names):
                if self.rows is not None:
                    low, high = np.searchsorted(self.rows, (start, start + table.num_rows))
                    start, table = start + table.num_rows, table.take(pa.array(self.rows[low:high] - start))
                for at in range(0, table.num_rows, rows_per_chunk):
                    yield _frame(table.slice(at, rows_per_chunk))
            return
        for start in range(0, len(self), rows_per_chunk):
            stop = min(start + rows_per_chunk, len(self))
            if self.rows is None:
                names = list(self.table.column_names if columns is None else columns)
                yield _frame(self.table.select(names).slice(start, stop - start))
            else:
                yield self.frame(columns, np.arange(start, stop))

    def _column(self, name: str) -> pa.ChunkedArray:
        column = self.table.column(name)
        return column if self.rows is None else take(column, self.rows)

    def levels(self, column: str) -> list[str]:
        """The different texts of a column in the whole table, in order of appearance."""
        values = self.table.column(column)
        if pa.types.is_dictionary(values.type) and values.num_chunks:
            return [str(level) for level in values.chunk(0).dictionary.to_pylist()]
        return [str(level) for level in pc.unique(as_texts(values).drop_null()).to_pylist()]

    def targets(self) -> NDArray[Any]:
        found = self._targets()
        self._forget()
        return found

    def _targets(self) -> NDArray[Any]:
        if len(self.target_columns) == 1:
            return self._target(self.target_columns[0])
        out = np.empty((len(self), len(self.target_columns)), dtype=object)
        for j, name in enumerate(self.target_columns):
            out[:, j] = self._target(name)
        return out

    def _target(self, name: str) -> NDArray[Any]:
        if self.column_types[name].kind == "number":
            return self._column(name).to_numpy().astype(np.float64)
        return self.texts(name)

    def texts(self, name: str) -> NDArray[Any]:
        """(n,) a column as texts, object, None where missing."""
        column = self._column(name)
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries().combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.chunk(0) if column.num_chunks else pa.array([], pa.string())
        if isinstance(column, pa.DictionaryArray):
            levels = np.array([*column.dictionary.to_pylist(), None], dtype=object)
            codes = pc.fill_null(column.indices, len(levels) - 1).to_numpy(zero_copy_only=False)
            return np.asarray(levels[codes], dtype=object)
        out = np.empty(len(column), dtype=object)
        out[:] = as_texts(column).to_pylist()
        return out

    def with_targets(self, ids: NDArray[np.int64], values: Sequence[Any] | NDArray[Any]) -> TableExamples:
        if len(self.target_columns) != 1:
            names = ", ".join(self.target_columns) or "none"
            raise UsageError(
                f"targets can be changed where there is one, and here they are: {names}",
                self.name,
                "Correct the table.",
            )
        (name,) = self.target_columns
        at = np.asarray(ids, dtype=np.int64) if self.rows is None else self.rows[ids]
        column = self.table.column(name)
        whole = copy.copy(self)
        whole.rows = None
        if self.column_types[name].kind == "number":
            numbers = column.to_numpy().astype(np.float64)
            numbers[at] = _numbers(values, name)
            new = pa.chunked_array([pa.array(numbers, from_pandas=True)])
        else:
            texts = whole.texts(name).copy()
            texts[at] = values
            new = pa.chunked_array([pa.array(texts, pa.string())])
            if pa.types.is_dictionary(column.type):
                new = new.dictionary_encode()
        changed = copy.copy(self)
        changed.table = self.table.set_column(self.table.column_names.index(name), name, new)
        changed.original = self.original or self
        return changed

    def with_numbers(self, column: str, values: NDArray[np.float64]) -> TableExamples:
        """The same rows, in memory, with other values (n,) in a column of numbers, NaN where missing."""
        at = self.rows if self.rows is not None else np.arange(len(self))
        table = pa.table([take(each, at) for each in self.table.columns], names=self.table.column_names)
        new = pa.array(values, type=table.column(column).type, from_pandas=True)
        table = table.set_column(table.column_names.index(column), column, new)
        changed = TableExamples(table, self.column_types, self.target_columns, self.input_columns, name=self.name)
        for attribute in ("domains", "groups", "times", "given_split"):
            setattr(changed, attribute, getattr(self, attribute))
        return changed

    # -- identity -----------------------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        if self.original is not None:
            return self.original.fingerprint()
        if self._fingerprint is None:
            digest = hashlib.sha256()
            names = list(self.table.column_names)
            types = {name: self.column_types[name].kind for name in names}
            digest.update(json.dumps([names, types, self.target_columns]).encode())
            digest.update(self._row_keys(names).tobytes())
            if self.given_split is not None:
                digest.update("\n".join(self.given_split.astype(str)).encode())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def content_keys(self) -> NDArray[np.uint64]:
        names = [name for name in self.table.column_names if name in self.input_columns]
        # with nothing to see but ids, rows differ by their ids
        return self._row_keys(names or [n for n in self.table.column_names if n not in self.target_columns])

    def _row_keys(self, names: Sequence[str]) -> NDArray[np.uint64]:
        """(n,) one 64-bit key a row from these columns' values and names."""
        keys = np.zeros(len(self), dtype=np.uint64)
        start = 0
        for frame in self.chunks(columns=names):
            part = np.zeros(len(frame), dtype=np.uint64)
            for name in names:
                part ^= _value_keys(frame[name])
                part *= np.uint64(0x9E3779B97F4A7C15)  # odd, so nothing is lost; high bits then reach the low ones
                part ^= part >> np.uint64(32)
            keys[start : start + len(frame)] = _mix(part)
            start += len(frame)
        return keys

    def schema(self) -> dict[str, Any]:
        """What a later process needs to read new rows the same way; JSON-able."""
        return {
            "columns": list(self.table.column_names),
            "types": {name: self.column_types[name].to_dict() for name in self.table.column_names},
            "targets": list(self.target_columns),
            "inputs": list(self.input_columns),
            "levels": {
                name: self.levels(name)
                for name in (*self.input_columns, *self.target_columns)
                if self.column_types[name].kind in ("category", "boolean")
            },
        }


def take(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.ChunkedArray:
    """Rows of a column; by NumPy where the column is one plain chunk without nulls, which is many times faster."""
    return column.take(pa.array(rows))


def _numbers(values: Sequence[Any] | NDArray[Any], name: str) -> NDArray[np.float64]:
    """Values as float64.

    Raises:
        UsageError: one is no number.
    """
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            numbers[i] = float(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f'"{value}" is no number, and "{name}" holds numbers', name, "Write 3.5 or 3") from error
    return numbers


def _frame(table: pa.Table) -> pd.DataFrame:
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            columns[name] = pd.Series(column.to_numpy())
        elif pa.types.is_dictionary(column.type):
            columns[name] = column.unify_dictionaries().to_pandas()
        elif pa.types.is_temporal(column.type):
            columns[name] = column.to_pandas()
        else:
            columns[name] = pd.Series(column.to_pylist(), dtype=object)
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele et al. 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _value_keys(values: pd.Series) -> NDArray[np.uint64]:
    """(n,) bits that are equal for equal values of one column in every table, missing ones too."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = np.array([text_key(str(level)) for level in values.cat.categories] + [0], dtype=np.uint64)
        return levels[values.cat.codes.to_numpy()]
    if values.dtype == object:
        return np.array([0 if value is None else text_key(value) for value in values], dtype=np.uint64)
    if values.dtype.kind == "M":
        return values.to_numpy().astype("datetime64[ms]").view(np.uint64)
    numbers = values.to_numpy().astype(np.float64) + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan  # one NaN, whatever its sign and payload
    return numbers.view(np.uint64)


def text_key(text: str) -> int:
    """A 64-bit key of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
