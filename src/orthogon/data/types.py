"""What a column holds, found from its texts, and texts turned into values of that type.

Number spellings that are understood besides the plain ones (12, -3.5e4, inf):

    style      spelling                     rule
    plain      1234.5                       what float() reads
    thousands  1,234.5   1 234   $1,234     commas or spaces between groups of three digits
    decimal    1234,5    1.234,5   3,5 %    a comma before the decimals, dots or spaces between groups

1,234 can be either. `comma_style` says what the rest of its table speaks for: a table spells numbers one way.
A currency sign in front and a currency or percent sign behind are taken off; "12 %" is 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["number", "category", "boolean", "date", "id", "text"]
Style = Literal["plain", "thousands", "decimal"]

BOOLEAN_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("0", "1"))
SAME_KIND_SHARE = 0.95  # of the values that are there must be numbers (dates) for a column of numbers (dates)
MIXED_LEVELS = 20  # up to so many different texts, "12" and "unknown" are levels of a category, not dirty numbers
ID_ROWS = 20  # fewer rows cannot tell an id from a value
ID_SHARE = 0.5  # more different texts than this per row: an id or free text, not a category
TEXT_WORDS = 3.0  # so many words in the average value: free text
EXACT_DIGITS = 15  # more digits than a float64 keeps: a code
POSTAL_NAMES = {"zip", "zipcode", "zip_code", "postcode", "postal_code", "postalcode", "plz"}
ID_NAMES = {"id", "key", "no", "nr", "index", "idx", "uuid", "guid", "rownum", "row_id", "rowid", "unnamed: 0", "row"}

DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
)
ISO = "iso"  # what Arrow's own ISO 8601 parser takes, fractions and "Z" included
_ISO_PATTERN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_DATE_LIKE = r"^[A-Za-z0-9]{1,9}[-/. ][A-Za-z0-9]{1,9},?[-/. ]\d{2,4}([T ]\d{1,2}:\d{2}.*)?$"

_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity)$"
_THOUSANDS = r"^[+-]?\d{1,3}([, ]\d{3})+(\.\d+)?$"
_DECIMAL = r"^[+-]?(\d+|\d{1,3}([. ]\d{3})+),\d+$"
_WHOLE_OR_DECIMAL = r"^[+-]?\d+$|^[+-]?\d{1,3}([. ]\d{3})+$|" + _DECIMAL
_NOT_GROUPED = r"^[+-]?0+[, ]\d"  # a group of thousands does not begin with 0: 0,956 is below one
_ONE_COMMA = r"^[+-]?[1-9]\d{0,2},\d{3}$"  # fits thousands and decimal
_UNITS = r"^([+-]?)[$€£¥]\s*|\s*[%€$£¥]$"
_LEADING_ZERO = r"^0\d+$"


@dataclass(frozen=True)
class ColumnType:
    """What a column holds and why we think so.

    Attributes:
        kind: number, category, boolean, date, id or text.
        reason: one clause for people: "12 different texts in 891 rows".
        style: how numbers are spelled.
        date_format: a strptime format, or "iso".
        integer: every number seen is whole, so it is shown without decimals.
        given: the user said so.
    """

    kind: Kind
    reason: str
    style: Style = "plain"
    date_format: str = ISO
    integer: bool = False
    given: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ColumnType:
        return cls(**values)


def infer_type(name: str, column: pa.ChunkedArray, given: Kind | None = None, comma: Style = "thousands") -> ColumnType:
    """The type of one column.

    Args:
        name: its name; "id" and "zip" say something.
        column: texts (string, missing ones null) or what a typed file holds (int, float, bool, date, timestamp).
        given: the kind the user asks for; then only the spelling is found out.
        comma: what the comma of 1,234 is, where no value of the column tells.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    num_rows = len(column) - column.null_count
    if given is not None and num_rows == 0:
        return ColumnType(given, "you said so", given=True)
    if given is not None:
        found = _infer_text(name, column, num_rows, comma) if _is_text(column.type) else ColumnType(given, "")
        style = found.style if found.kind == "number" else _number_style(pc.unique(column.drop_null()), comma)[0]
        return replace(found, kind=given, style=style, reason="you said so", given=True)
    if num_rows == 0:
        return ColumnType("category", "every value is missing")
    if _is_text(column.type):
        return _infer_text(name, column, num_rows, comma)
    if pa.types.is_boolean(column.type):
        return ColumnType("boolean", "true or false")
    if pa.types.is_temporal(column.type):
        return ColumnType("date", "stored as dates")
    return _infer_number(name, column.cast(pa.float64(), safe=False), num_rows)


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_))


def _infer_number(name: str, values: pa.ChunkedArray, num_rows: int, style: Style = "plain") -> ColumnType:
    finite = values.filter(pc.is_finite(values)).drop_null()
    integer = bool(pc.all(pc.equal(finite, pc.floor(finite)), min_count=0).as_py())
    low, high = pc.min_max(finite).as_py().values() if len(finite) else (None, None)
    if integer and len(finite):
        if (low, high) == (0, 1) and num_rows > 1:
            return ColumnType("boolean", "only 0 and 1")
        folded = name.strip().casefold()
        if folded in POSTAL_NAMES:
            return ColumnType("category", f'"{name}" is the name of a code, not of an amount', integer=True)
        if num_rows >= ID_ROWS and len(pc.unique(finite)) == num_rows:
            rise = pc.subtract(finite.combine_chunks()[1:], finite.combine_chunks()[:-1])
            if pc.min_max(rise).as_py() == {"min": 1.0, "max": 1.0}:
                return ColumnType("id", "counts the rows", integer=True)
            if folded in ID_NAMES or folded.endswith(("_id", " id", "-id")) or name.endswith(("Id", "ID")):
                return ColumnType("id", "a different whole number in each row, and named like an id", integer=True)
        return ColumnType("number", "whole numbers", style=style, integer=True)
    return ColumnType("number", "numbers" if style == "plain" else f"numbers, {_STYLE_WORDS[style]}", style=style)


_STYLE_WORDS = {"plain": "", "thousands": "with separated thousands", "decimal": "with a decimal comma"}


def _infer_text(name: str, column: pa.ChunkedArray, num_rows: int, comma: Style) -> ColumnType:
    levels = pc.unique(column.drop_null().cast(pa.string()))
    num_levels = len(levels)
    folded = sorted({str(level).casefold() for level in levels.to_pylist()}) if num_levels == 2 else []
    if tuple(folded) in BOOLEAN_PAIRS:
        return ColumnType("boolean", " or ".join(str(level) for level in sorted(levels.to_pylist())))

    if pc.any(pc.match_substring_regex(levels, _LEADING_ZERO), min_count=0).as_py() and _share_digits(levels) == 1.0:
        if num_levels == num_rows >= ID_ROWS:
            return ColumnType("id", "codes with leading zeros, each used once")
        return ColumnType("category", "digits with leading zeros: codes, not amounts")
    style, is_number = _number_style(levels, comma)
    share = pc.mean(pc.is_in(column.drop_null().cast(pa.string()), value_set=levels.filter(is_number))).as_py()
    if share == 1.0 or (share >= SAME_KIND_SHARE and num_levels > MIXED_LEVELS):
        if pc.max(pc.utf8_length(levels)).as_py() > EXACT_DIGITS and _share_digits(levels) == 1.0:
            return ColumnType("id" if num_levels > ID_SHARE * num_rows else "category", "codes of many digits")
        return _infer_number(name, parse_numbers(column, style), num_rows, style)

    date_format = _date_format(levels)
    if date_format:
        return ColumnType("date", f"dates like {levels[0].as_py()}", date_format=date_format)

    if num_rows >= ID_ROWS and num_levels > ID_SHARE * num_rows:
        words = pc.mean(pc.add(pc.count_substring(pc.utf8_trim_whitespace(levels), " "), 1)).as_py()
        if words >= TEXT_WORDS:
            return ColumnType("text", f"{words:.0f} words in the average value")
        if num_levels == num_rows:
            return ColumnType("id", "a different text in each row")
        return ColumnType("id", f"{num_levels:,} different texts in {num_rows:,} rows: nearly one a row")
    words = pc.mean(pc.add(pc.count_substring(levels, " "), 1)).as_py()
    if words >= 2 * TEXT_WORDS and num_levels > MIXED_LEVELS:
        return ColumnType("text", f"{words:.0f} words in the average value")
    return ColumnType("category", f"{num_levels:,} different text{'s' if num_levels != 1 else ''}")


def _share_digits(levels: pa.Array) -> float:
    return float(pc.mean(pc.cast(pc.match_substring_regex(levels, r"^\d+$"), pa.float64())).as_py() or 0.0)


def _bare(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts without currency and percent signs, in lower case (for "Inf", "1E5")."""
    bare = pc.replace_substring_regex(texts, _UNITS, r"\1")
    bare = pc.replace_substring_regex(bare, r"\s*[%€$£¥]$", "")
    bare = pc.replace_substring_regex(bare, "[\u00a0\u202f']", " ")
    return pc.utf8_lower(bare)


def comma_style(columns: Mapping[str, pa.ChunkedArray], semicolons: bool) -> tuple[Style, list[str]]:
    """What the comma of 1,234 is in this table, and the columns of which that is only assumed.

    A column tells by the values that have one reading: 0,956 and 1,94 have a decimal comma; 1,234,567 and 1,234.5 have
    not, nor has a table with 0.5 in it. Where columns tell different things, most of them count. Where none does,
    semicolons between the columns speak for the decimal comma, for they leave the comma free for it; without them
    thousands are assumed.

    Args:
        columns: name -> texts, or the float64 of plainly spelled ones.
        semicolons: they separate the table's columns.
    """
    votes: dict[Style, int] = {"decimal": 0, "thousands": 0}
    undecided = []
    for name, column in columns.items():
        if pa.types.is_floating(column.type):
            votes["thousands"] += _has_points(column)
        if not _is_text(column.type) or column.null_count == len(column):
            continue
        bare = _bare(pc.unique(column.drop_null()))
        decimal, thousands = (pc.sum(fit).as_py() or 0 for fit in (_is_decimal(bare), _is_thousands(bare)))
        if max(decimal, thousands) < SAME_KIND_SHARE * len(bare):
            continue
        if decimal != thousands:
            votes["decimal" if decimal > thousands else "thousands"] += 1
        elif pc.any(pc.match_substring_regex(bare, _ONE_COMMA)).as_py():
            undecided.append(name)
    if votes["decimal"] != votes["thousands"]:
        return max(votes, key=lambda style: votes[style]), []
    return ("decimal", []) if semicolons else ("thousands", undecided)


def _has_points(values: pa.ChunkedArray) -> bool:
    """Whether these numbers were written with decimal points: 0.5 and 1.25 were, of 1.234 one cannot be sure."""
    finite = values.filter(pc.is_finite(values)).drop_null().to_numpy()
    fractions = finite[finite % 1 != 0]
    return bool(len(fractions)) and bool((abs(fractions) < 1).any() or ((fractions * 100 % 1 == 0).mean() > 0.5))


def _is_thousands(bare: pa.Array) -> pa.Array:
    grouped = pc.and_not(pc.match_substring_regex(bare, _THOUSANDS), pc.match_substring_regex(bare, _NOT_GROUPED))
    return pc.or_(pc.match_substring_regex(bare, _PLAIN), grouped)


def _is_decimal(bare: pa.Array) -> pa.Array:
    return pc.match_substring_regex(bare, _WHOLE_OR_DECIMAL)


def _number_style(levels: pa.Array, comma: Style) -> tuple[Style, pa.Array]:
    """How most of these texts spell numbers, and which of them are numbers in that spelling.

    Args:
        comma: what 1,234 is, where as many fit either spelling.
    """
    if not _is_text(levels.type) or not len(levels):
        return "plain", pa.array([True] * len(levels), pa.bool_())
    bare = _bare(levels)
    plain = pc.match_substring_regex(bare, _PLAIN)
    fits: list[tuple[Style, pa.Array]] = [("thousands", _is_thousands(bare)), ("decimal", _is_decimal(bare))]
    fits.sort(key=lambda fit: fit[0] != comma)
    # the first of equals: plain before what the table's commas are
    return max([("plain", plain), *fits], key=lambda fit: pc.sum(fit[1]).as_py() or 0)


def parse_numbers(texts: pa.Array | pa.ChunkedArray, style: Style) -> pa.Array | pa.ChunkedArray:
    """Texts to float64; what is no number in this style becomes null."""
    bare = _bare(texts)
    if style == "decimal":
        fits = _is_decimal(bare)
        bare = pc.replace_substring(pc.replace_substring_regex(bare, "[. ]", ""), ",", ".")
    else:
        fits = pc.match_substring_regex(bare, _PLAIN if style == "plain" else f"{_PLAIN}|{_THOUSANDS}")
        if style == "thousands":
            bare = pc.replace_substring_regex(bare, "[, ]", "")
    bare = pc.utf8_ltrim(pc.if_else(fits, bare, None), "+")
    return pc.cast(bare, pa.float64())


def _date_format(levels: pa.Array, most: int = 1000) -> str:
    """The format that reads these texts as dates, or ""; a format that fits by day > 12 beats one that does not."""
    tried = levels.slice(0, most)
    enough = SAME_KIND_SHARE * len(tried)
    if (pc.sum(pc.match_substring_regex(tried, _ISO_PATTERN)).as_py() or 0) >= enough:
        return ISO
    if (pc.sum(pc.match_substring_regex(tried, _DATE_LIKE)).as_py() or 0) < enough:
        return ""
    best, most_read = "", 0
    for form in DATE_FORMATS:
        read = len(tried) - parse_dates(tried, form).null_count
        if read > most_read:
            best, most_read = form, read
    return best if most_read >= enough else ""


def parse_dates(texts: pa.Array | pa.ChunkedArray, form: str) -> pa.Array | pa.ChunkedArray:
    """Texts to timestamp[ms], UTC without a zone; what does not fit becomes null."""
    if pa.types.is_null(texts.type):
        texts = texts.cast(pa.string())
    parsed = pd.to_datetime(
        texts.to_pandas(), format="ISO8601" if form == ISO else form, errors="coerce", utc=True
    ).dt.tz_localize(None)
    parsed = parsed.where(parsed.dt.year.between(1, 9999))  # all that Python's own dates can hold
    return pa.chunked_array([pa.array(parsed, from_pandas=True).cast(pa.timestamp("ms"), safe=False)])


def convert(column: pa.ChunkedArray, type_: ColumnType, number: pa.DataType | None = None) -> pa.ChunkedArray:
    """A column's values in the form in which they are kept.

    number: `number` (default float64), infinities as null; date: timestamp[ms]; boolean and category: texts; id and
    text: texts. What does not fit its type becomes null.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if type_.kind == "number":
        if _is_text(column.type):
            column = parse_numbers(column.cast(pa.string()), type_.style)
        elif pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        elif pa.types.is_temporal(column.type):
            column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        values = column.cast(number or pa.float64(), safe=False)
        finite = pc.is_finite(values)
        return values if pc.all(finite, min_count=0).as_py() else pc.if_else(finite, values, None)
    if type_.kind == "date":
        if _is_text(column.type):
            return parse_dates(column.cast(pa.string()), type_.date_format)
        if pa.types.is_temporal(column.type):
            return column.cast(pa.timestamp("ms"), safe=False)
        return parse_dates(as_texts(column), type_.date_format)
    return as_texts(column)


def as_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as people write them: 3 and not 3.0 where all are whole."""
    if pa.types.is_floating(column.type):
        finite = pc.if_else(pc.is_finite(column), column, None)
        whole = pc.all(pc.equal(finite, pc.floor(finite)), min_count=0).as_py()
        if whole:
            return finite.cast(pa.int64(), safe=False).cast(pa.string())
    return column.cast(pa.string())


def label_key(label: str) -> str:
    """What stays of a label when space, case and punctuation at its end are forgotten: "<=50K." is "<=50K"."""
    return " ".join(label.casefold().split()).rstrip(" .,;:!")


def match_levels(levels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """New level -> the one known level that differs from it only by space, case or punctuation at the end."""
    by_key: dict[str, list[str]] = {}
    for level in known:
        by_key.setdefault(label_key(level), []).append(level)
    exact = set(known)
    return {
        level: by_key[label_key(level)][0]
        for level in levels
        if level not in exact and len(by_key.get(label_key(level), ())) == 1
    }
