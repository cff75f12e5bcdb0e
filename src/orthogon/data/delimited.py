"""Text tables: how a file is written is found from its beginning, then it is read block by block."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mode
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.csv as pacsv

from orthogon.data.config import DataConfig
from orthogon.errors import DataError, UsageError

HEAD_BYTES = 1 << 20  # what is looked at to find out how a file is written
SNIFF_ROWS = 200
BLOCK_BYTES = 2 << 20
PART_BYTES = 8 << 20  # that are read side by side
_In = TypeVar("_In")
_Out = TypeVar("_Out")
DELIMITERS = (",", "\t", ";", "|")
WHITESPACE = "whitespace"
DELIMITER_WORDS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", WHITESPACE: "white space"}
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBER = re.compile(r"^[$€£]?\s*[+-]?(\d[\d,. ]*\d|\d)?\.?([eE][+-]?\d+)?\s*%?$")
_PLAIN = re.compile(r"^[+-]?(0|[1-9]\d{0,14})?(\.\d*)?([eE][+-]?\d+)?$")  # as `types` says, without leading zeros
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_ID_WORD = re.compile(r"^(id|key|name|index)$|[_ -]id$|[a-z](Id|ID)$")
_HEADER_WORD = re.compile(r"^[^\W\d][\w .()/%#-]{0,40}$")


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        encoding: a Python codec.
        delimiter: one character, or "whitespace".
        quote: the quote character.
        quoted: it is used in the beginning of the file.
        skip: lines in front of the table: empty ones, comments, Excel's "sep=;".
        header: the first row holds names.
        names: of the columns, in order.
        plain_numbers: for each column, whether its first values are all plain numbers (and no codes like 00123).
        row_names: the first column holds names of rows and has no name in the header; it is called "row".
    """

    encoding: str
    delimiter: str
    quote: str
    quoted: bool
    skip: int
    header: bool
    names: tuple[str, ...]
    plain_numbers: tuple[bool, ...]
    row_names: bool = False

    def words(self) -> str:
        """ "comma-separated, UTF-8, names in the first row"."""
        encoding = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8"}.get(self.encoding, self.encoding)
        names = "names in the first row" if self.header else "no names in the first row"
        names += ", which has none for the row names in front" if self.row_names else ""
        return f"separated by {DELIMITER_WORDS.get(self.delimiter, repr(self.delimiter))}, {encoding}, {names}"


@dataclass(frozen=True)
class BadRow:
    """A row whose number of fields is not the table's. `number` counts the header."""

    number: int
    text: str
    found: int
    expected: int

    def __str__(self) -> str:
        return f"{self.found} field{'s' if self.found != 1 else ''} where {self.expected} are expected"


def open_bytes(path: Path) -> BinaryIO:
    """The file, unpacked if it is gzipped or zipped."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        members = [
            info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX")
        ]
        if len(members) != 1:
            raise DataError(
                f"the archive holds {len(members)} files, and one table is expected.",
                str(path),
                "Unpack it and give the file or the folder.",
            )
        return archive.open(members[0])  # type: ignore[return-value]
    return path.open("rb")


def unpacked_size(path: Path) -> int:
    """Bytes of the file after unpacking; a gzip file above 4 GiB tells only a lower bound."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".gz":
            with path.open("rb") as file:
                file.seek(-4, io.SEEK_END)
                return max(int.from_bytes(file.read(4), "little"), path.stat().st_size)
        if suffix == ".zip":
            return sum(info.file_size for info in zipfile.ZipFile(path).infolist())
    except (OSError, zipfile.BadZipFile):
        pass  # said in full when the file is read
    return path.stat().st_size


def unreadable(path: Path, error: Exception) -> DataError:
    """What to raise for a file that the system or its packing does not let us read."""
    if isinstance(error, PermissionError):
        return DataError("you may not read this file.", str(path), f'Allow it: chmod u+r "{path}"')
    reason = getattr(error, "strerror", None) or error
    return DataError(f"the file cannot be read: {reason}.", str(path), "Check it, or make it again.")


def head_text(path: Path, encoding: str = "auto") -> tuple[str, str]:
    """The beginning of a text file up to a line's end, and the encoding it is in.

    Raises:
        DataError: empty, not text, damaged archive, or not in the encoding that was asked for.
    """
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise unreadable(path, error) from error
    whole = len(head) < HEAD_BYTES
    if encoding == "auto":
        encoding = _find_encoding(head, path)
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(head, final=whole)
    except LookupError as error:
        raise UsageError(
            f'"{encoding}" is no text encoding.', "data.encoding", "Try utf-8, latin-1 or auto."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start:,} does not belong to {encoding} text.", str(path), "Set data.encoding to auto."
        ) from error
    if not whole and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    if len(_CONTROL.findall(text[:100_000])) > 0.001 * min(len(text), 100_000):
        raise DataError(
            "the file is not text: it holds control characters.", str(path), "Give a CSV, TSV or Parquet file."
        )
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise DataError("the file is empty.", str(path), "Give a file with at least a few rows.")
    return text, encoding


def lines_of(text: str) -> list[str]:
    """Lines as an editor counts them; unlike str.splitlines, which also ends lines at form feeds and the like."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[:-1] if not lines[-1] else lines


def _find_encoding(head: bytes, path: Path) -> str:
    for bom, encoding in BOMS:
        if head.startswith(bom):
            return encoding
    zeros = head[:4096].count(0)
    if zeros:
        # Latin text in UTF-16 has a zero in every second byte
        odd = head[1:4096:2].count(0)
        if odd == zeros and odd > len(head[:4096]) / 4:
            return "utf-16-le"
        if odd == 0 and zeros > len(head[:4096]) / 4:
            return "utf-16-be"
        raise DataError("the file is not text: it holds zero bytes.", str(path), "Give a CSV, TSV or Parquet file.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        head.decode("cp1252")
        return "cp1252"
    except UnicodeDecodeError:
        return "latin-1"


def sniff(path: Path, config: DataConfig, expected: Sequence[str] = ()) -> Dialect:
    """Find out how a text table is written.

    Args:
        path: the file.
        config: what the user said about it.
        expected: column names known from elsewhere: with half of them in the first row, it is a header.
    Raises:
        DataError: no table, a name that is used twice, or rows that have not as many fields as the header.
    """
    text, encoding = head_text(path, config.encoding)
    physical = lines_of(text)[: 2 * SNIFF_ROWS]
    delimiter = config.delimiter
    skip = next((k for k, line in enumerate(physical) if line.strip()), 0)
    told = re.fullmatch(r"sep=(.)", physical[skip].strip(), re.IGNORECASE)
    if told and len(physical) > skip + 1:
        skip, delimiter = skip + 1, told[1] if delimiter == "auto" else delimiter
    numbers = [k + 1 for k, line in enumerate(physical) if k >= skip and line.strip()]
    lines = [physical[number - 1] for number in numbers]
    quote = _find_quote(lines)
    if delimiter == "auto":
        delimiter = _find_delimiter(lines, quote, prefer="\t" if ".tsv" in path.name or ".tab" in path.name else ",")
    delimiter = {"\\t": "\t", "tab": "\t", "space": WHITESPACE, " ": WHITESPACE}.get(delimiter, delimiter)
    if delimiter != WHITESPACE and (len(delimiter) != 1 or delimiter in "\r\n"):
        raise UsageError(
            f'"{delimiter}" is no separator of one character.', "data.delimiter", "Try ',', ';', tab or whitespace."
        )
    rows = split_rows(lines, delimiter, quote)
    width = mode(len(row) for row in rows)
    while rows[0] and rows[0][0].startswith("#") and len(rows[0]) != width:  # a comment
        rows, numbers, skip = rows[1:], numbers[1:], skip + 1
        while skip < len(physical) and not physical[skip].strip():
            skip += 1
    told_header = config.columns is None and len(rows[0]) == width and _is_known_header(rows[0], config, expected)
    named = told_header or has_header(rows, width, expected)
    row_names = False
    if len(rows[0]) != width and (named or _is_known_header(rows[0], config, expected)):
        one_short = len(rows[0]) == width - 1
        row_names = one_short and ("row" in expected if expected else _have_names(rows, width, delimiter))
        if not row_names and not (one_short and config.columns is not None):
            raise _uneven(path, rows, numbers)
        named = True
    if named:
        names = [name.strip() for name in rows[0]]
        if len(names) == width - 1:
            names = ["row", *names]
        names = [name or f"c{j}" for j, name in enumerate(names)]
    else:
        names = [f"c{j}" for j in range(width)]
    if config.columns is not None:
        if len(config.columns) != len(names):
            raise UsageError(
                f"{len(config.columns)} names are given for a table of {len(names)} columns.",
                "data.columns",
                f"The first row of {path.name} is: {', '.join(rows[0][:12])}.",
            )
        names = list(config.columns)
    twice = sorted({name for name in names if names.count(name) > 1}, key=names.index)
    if twice:
        places = ", ".join(
            f'"{name}" (columns {", ".join(str(j + 1) for j, other in enumerate(names) if other == name)})'
            for name in twice[:5]
        )
        raise DataError(
            f"{'names are' if len(twice) > 1 else 'a name is'} used for more than one column: {places}.",
            f"{path}, row 1",
            "Rename the columns in the file, or name all of them with data.columns (--columns).",
        )
    if named and len(rows) == 1:
        raise DataError(
            f"the table has names ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''}) but no rows.",
            str(path),
            "Give a file with at least a few rows.",
        )
    body = [row for row in rows[int(named) :] if len(row) == width]
    blank = {"", *config.missing}
    plain = [all(_PLAIN.match(row[j].strip()) or row[j].strip() in blank for row in body) for j in range(width)]
    return Dialect(encoding, delimiter, quote, quote in text, skip, named, tuple(names), tuple(plain), row_names)


def _is_known_header(first: Sequence[str], config: DataConfig, expected: Sequence[str]) -> bool:
    """Whether the first row holds half of the names that are expected, or a target that the user named."""
    cells = [cell.strip().casefold() for cell in first]
    if expected:
        known = {name.casefold() for name in expected}
        return len(cells) > 1 and 2 * sum(cell in known for cell in cells) >= len(cells)
    targets = (config.target,) if isinstance(config.target, str) else config.target or ()
    return any(target.casefold() in cells for target in targets if not re.fullmatch(r"-?\d*:?-?\d*", target))


def _have_names(rows: Sequence[Sequence[str]], width: int, delimiter: str) -> bool:
    """Whether rows of one field more than the header have row names in front, as R's write.table gives them.

    They count the rows; or, where white space or tabs separate, they are different texts. A separator at the end of
    each row, or a comma inside a text, gives one field more too.
    """
    body = [row for row in rows[1:] if len(row) == width]
    front = [row[0].strip() for row in body]
    if not any(row[-1].strip() for row in body):
        return False
    if all(re.fullmatch(r"\d{1,9}", name) for name in front):
        return int(front[0]) in (0, 1) and all(int(b) == int(a) + 1 for a, b in pairwise(front))
    different = len(set(front)) == len(front) and not any(_NUMBER.match(name) for name in front)
    return different and delimiter in (WHITESPACE, "\t") and not _ID_WORD.search(rows[0][0].strip())


def _uneven(path: Path, rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> DataError:
    """What to raise where most rows have not as many fields as the header."""
    header = len(rows[0])
    if len(numbers) != len(rows):  # a text in quotes goes over several lines
        numbers = [numbers[0] + k for k in range(len(rows))]
    other = [(number, len(row)) for number, row in zip(numbers, rows, strict=True) if len(row) != header]
    row, found = other[0]
    more = f"; {len(other):,} of the first {len(rows) - 1:,} rows differ from it" if len(other) > 1 else ""
    if more:
        more += f" (rows {', '.join(str(number) for number, _ in other[:5])}{', ...' if len(other) > 5 else ''})"
    return DataError(
        f"row {row} has {found} field{'s' if found != 1 else ''}, the header has {header}{more}.",
        f"{path}, row {row}",
        "Give every row as many fields as the header. A separator inside a text needs quotes around the text; a "
        "column without a name needs one.",
    )


def split_rows(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    if delimiter == WHITESPACE:
        return [line.split() for line in lines]
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        skipinitialspace=False,
    )
    try:
        return [row for row in reader if row]
    except csv.Error:  # a field above the csv module's limit: a quote that is never closed
        return [line.split(delimiter) for line in lines]


def _find_quote(lines: Sequence[str]) -> str:
    if any('"' in line for line in lines):
        return '"'
    single = sum(bool(re.search(r"(^|[,;\t|])\s?'[^']*'\s?($|[,;\t|])", line)) for line in lines)
    return "'" if single > 0.5 * len(lines) else '"'


def _find_delimiter(lines: Sequence[str], quote: str, prefer: str) -> str:
    """The separator that gives most rows the same number of fields, more than one, and the cleanest fields."""
    best, best_score = "", (0.0, 0.0, 0.0)
    for delimiter in sorted(DELIMITERS, key=lambda d: d != prefer):
        rows = split_rows(lines[:SNIFF_ROWS], delimiter, quote)
        width = mode(len(row) for row in rows) if rows else 1
        if width < 2:
            continue
        same = sum(len(row) == width for row in rows) / len(rows)
        cells = [cell.strip() for row in rows for cell in row]
        clean = sum(bool(_NUMBER.match(c)) or not any(d in c for d in DELIMITERS) for c in cells) / len(cells)
        score = (round(same, 1), round(clean, 2), float(delimiter == prefer))
        if score > best_score:
            best, best_score = delimiter, score
    if best:
        return best
    rows = [line.split() for line in lines[:SNIFF_ROWS]]
    width = mode(len(row) for row in rows)
    same = sum(len(row) == width for row in rows) / len(rows)
    numeric = sum(bool(_NUMBER.match(cell)) for row in rows for cell in row) / max(1, sum(map(len, rows)))
    return WHITESPACE if width > 1 and same > 0.9 and numeric > 0.3 else prefer


def has_header(rows: Sequence[Sequence[str]], width: int, expected: Sequence[str] = ()) -> bool:
    """Whether the first row holds names and not values."""
    first = [cell.strip() for cell in rows[0]]
    if len(first) not in (width, width - 1):
        return False
    if expected:
        known = {name.casefold() for name in expected}
        if 2 * sum(cell.casefold() in known for cell in first) >= len(first):
            return True
    body = [row for row in rows[1:] if len(row) == width]
    if not body:  # a single row: names if every cell could be one
        return len(rows) == 1 and all(_HEADER_WORD.match(cell) for cell in first) and len(first) > 1
    shift = width - len(first)
    years = [int(cell) for cell in first if re.fullmatch(r"(18|19|20)\d\d", cell)]
    if len(years) >= max(3, width // 2) and len({b - a for a, b in pairwise(years)}) == 1:
        return True  # a column a year
    votes = 0
    for j, cell in enumerate(first):
        values = [row[j + shift].strip() for row in body]
        numeric = sum(bool(value) and bool(_NUMBER.match(value)) for value in values) / len(values)
        if cell and _NUMBER.match(cell):
            votes -= 1 if numeric > 0.5 else 0
        elif numeric > 0.5 and cell not in ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-"):
            votes += 1  # a word over a column of numbers
        elif numeric > 0.5 or not cell:
            continue
        elif cell in values:
            votes -= 1  # it is one of the column's values
        elif len(set(values)) <= 0.5 * len(values) and len(values) >= 4:
            votes += 1  # a column of few levels, and it is none of them
    if votes:
        return votes > 0
    names = all(_HEADER_WORD.match(cell) for cell in first) and len(set(first)) == len(first)
    return names and any(
        len(value) > 2 * len(cell) or not _HEADER_WORD.match(value)
        for row in body[:20]
        for cell, value in zip(first, row[shift:], strict=False)
    )


def read_batches(
    path: Path,
    dialect: Dialect,
    types: Mapping[str, pa.DataType],
    missing: Sequence[str],
    bad: list[BadRow],
    *,
    num_bytes: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of a text table, part by part, in order.

    Up to the first quotation mark every line end is the end of a row: the file is cut there, and the parts are read
    side by side. From then on one reader goes through what is left.

    Args:
        path, dialect: the file and how it is written.
        types: an Arrow type for every column.
        missing: texts that mean: no value.
        bad: receives the rows that were left out.
        num_bytes: read only so many of the first bytes, up to a line's end; None: all.
    Raises:
        pa.ArrowInvalid: a value does not fit its type; the message holds "CSV column #3".
        DataError: damaged archive, or bytes that are not in the dialect's encoding.
    """
    encoding = dialect.encoding
    one_space = [f"{left}{text}{right}" for text in missing for left in ("", " ") for right in ("", " ")]
    converted = pacsv.ConvertOptions(
        column_types=dict(types), null_values=sorted(set(one_space)), strings_can_be_null=True
    )

    def rows(
        stream: BinaryIO | pa.NativeFile, top: bool, left_out: list[pacsv.InvalidRow], block: int, quotes: bool
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, whose lines are counted from its beginning; `top`: it is the file's beginning."""

        def leave_out(row: pacsv.InvalidRow) -> str:
            left_out.append(row)
            return "skip"

        yield from pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                use_threads=False,  # so that rows have numbers
                block_size=block,
                column_names=list(dialect.names),
                skip_rows=dialect.skip if top else 0,
                skip_rows_after_names=int(dialect.header and top),
                encoding="utf-8" if encoding == "utf-8-sig" else encoding,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter="\t" if dialect.delimiter == WHITESPACE else dialect.delimiter,
                quote_char=dialect.quote if quotes else False,  # without, the parser is faster
                newlines_in_values=quotes,
                ignore_empty_lines=False,  # so that rows can be counted
                invalid_row_handler=leave_out,
            ),
            convert_options=converted,
        )

    def parse(part: tuple[memoryview, bool]) -> tuple[list[pa.RecordBatch], list[pacsv.InvalidRow]]:
        text, top = part
        left_out: list[pacsv.InvalidRow] = []
        return list(rows(pa.BufferReader(text), top, left_out, len(text) + 1, quotes=False)), left_out

    def note(left_out: list[pacsv.InvalidRow]) -> None:
        bad.extend(BadRow(above + row.number, row.text, row.actual_columns, row.expected_columns) for row in left_out)
        left_out.clear()

    above = 0  # lines of the file in the parts that are done

    with open_bytes(path) as file:
        stream: BinaryIO | pa.NativeFile = file
        if num_bytes is not None:
            stream = _beginning(file, num_bytes, encoding)
        elif path.suffix.lower() == ".gz":
            stream = pa.input_stream(str(path), compression="gzip")
        elif path.suffix.lower() != ".zip":
            stream = pa.OSFile(str(path))
        if dialect.delimiter == WHITESPACE:
            text = stream.read().decode(encoding)
            tabs = "\n".join("\t".join(line.split()) for line in lines_of(text.removeprefix("\ufeff")))
            stream, encoding = io.BytesIO(tabs.encode()), "utf-8"
        lines = _Lines(stream, dialect.quote.encode())
        try:
            if not dialect.quoted and not encoding.startswith(("utf-16", "utf-32")):
                for batches, left_out in _side_by_side(parse, lines.parts()):
                    done = sum(batch.num_rows for batch in batches) + len(left_out)
                    done += 0 if above else dialect.skip + int(dialect.header)
                    note(left_out)
                    yield from batches
                    above += done
            rest = io.BufferedReader(lines, BLOCK_BYTES)
            if rest.peek(1) or not above:
                left_out = []
                for batch in rows(rest, not above, left_out, BLOCK_BYTES, quotes=True):
                    note(left_out)
                    yield batch
                note(left_out)
        except pa.ArrowInvalid as error:
            message = re.sub(r"Row #(\d+)", lambda found: f"Row #{above + int(found[1])}", str(error))
            raise pa.ArrowInvalid(message) from error


class _Lines(io.RawIOBase):
    """A stream's parts that end where a line ends, up to the first quotation mark; then a file of what is left."""

    def __init__(self, stream: BinaryIO | pa.NativeFile, quote: bytes) -> None:
        self._stream: Any = stream
        self._quote = quote
        self._left = b""  # read, but not given out

    def parts(self) -> Iterator[tuple[memoryview, bool]]:
        """(bytes, whether they are the first)"""
        top = True
        while True:
            part = bytearray(len(self._left) + PART_BYTES)
            part[: len(self._left)] = self._left
            view = memoryview(part)
            size = len(self._left) + self._stream.readinto(view[len(self._left) :])
            end = part.rfind(b"\n", len(self._left), size) + 1
            if not end or part.find(self._quote, len(self._left), size) >= 0:
                self._left = bytes(view[:size])
                return
            self._left = bytes(view[end:size])
            yield view[:end], top
            top = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            return self._stream.readinto(buffer)
        given = self._left[: len(buffer)]
        self._left = self._left[len(given) :]
        buffer[: len(given)] = given
        return len(given)


def _side_by_side(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """What `work` makes of each item, in order, on all cores; a few items ahead of whoever takes them."""
    ahead = pa.cpu_count() + 1
    pool = ThreadPoolExecutor(pa.cpu_count())
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _beginning(file: BinaryIO, num_bytes: int, encoding: str) -> io.BytesIO:
    head = file.read(num_bytes)
    if len(head) == num_bytes:  # cut off what may be half a line, or half a character
        if encoding.startswith(("utf-16", "utf-32")):
            head = head.decode(encoding, "ignore").rpartition("\n")[0].encode(encoding)
        elif b"\n" in head:
            head = head[: head.rindex(b"\n") + 1]
    return io.BytesIO(head)


def other_encoding(dialect: Dialect) -> Dialect | None:
    """What to try when bytes do not belong to the encoding that the beginning of the file showed."""
    following = {"utf-8": "cp1252", "utf-8-sig": "cp1252", "cp1252": "latin-1"}.get(dialect.encoding)
    return replace(dialect, encoding=following) if following else None
