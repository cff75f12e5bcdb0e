"""Rows of a table -> two arrays that a network takes; everything learned here is learned from train alone.

Numbers are centred on the median, divided by the quartile range and bent smoothly into (-3, 3), so that an outlier
stays an outlier but cannot drown the rest; a missing number becomes 0 and a flag. Dates become numbers (days, month,
day, weekday, hour). Categories become positions in a list of levels, 0 for levels that train did not show or showed
too rarely; a missing category is a level like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orthogon.errors import DataError

SMOOTH_CLIP = 3.0  # a scaled number z becomes z / sqrt(1 + (z / 3)²): Holzmüller et al. 2024, arXiv:2407.04491
DATE_PARTS = ("days", "month", "day", "weekday", "hour")
UNKNOWN = 0  # level of what train did not show
_LARGEST = 1e9  # scaled numbers beyond this are all the same: keeps z² inside float64


@dataclass(frozen=True)
class NumberColumn:
    """One number that the network sees."""

    source: str  # column of the table
    part: str  # "" for the number itself, else one of DATE_PARTS
    median: float
    scale: float
    low: float  # smallest and largest value of train
    high: float
    missing: bool  # train has missing values here: a flag follows the numbers

    @property
    def name(self) -> str:
        return f"{self.source} ({self.part})" if self.part else self.source

    def scaled(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n,) values, NaN = missing -> (n,) in (-3, 3), missing 0."""
        with np.errstate(over="ignore"):  # 1e162 against a scale of 1e-146 is infinite, and clipped like any other
            z = np.clip((raw - self.median) / self.scale, -_LARGEST, _LARGEST)
        return np.nan_to_num(z / np.sqrt(1 + (z / SMOOTH_CLIP) ** 2), nan=0.0).astype(np.float32)


@dataclass(frozen=True)
class CategoryColumn:
    """One category that the network sees. Level i of `levels` has position i + 1; None among them is "missing"."""

    source: str
    levels: tuple[str | None, ...]
    pooled: int  # levels of train that were too rare to keep


class RowEncoder:
    """Learns from train how to turn rows into (numbers, categories), and turns them.

    Args:
        numbers, categories: what the network sees; use `RowEncoder.fit` to learn them.
    """

    def __init__(self, numbers: Sequence[NumberColumn], categories: Sequence[CategoryColumn]) -> None:
        self.numbers = tuple(numbers)
        self.categories = tuple(categories)
        self.flags = tuple(i for i, column in enumerate(self.numbers) if column.missing)
        # level -> position, without None: pandas finds texts fast, missing is handled apart
        self._indexes = [
            pd.Index([level for level in c.levels if level is not None], dtype="object") for c in self.categories
        ]

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, kinds: Mapping[str, str], min_count: int = 5, max_levels: int = 10_000
    ) -> RowEncoder:
        """Learn medians, ranges and levels.

        Args:
            frame: rows of train.
            kinds: column -> "number", "date", "category" or "boolean"; other columns are not used.
            min_count: a level seen fewer times is pooled into "unknown"; at least two levels are kept.
            max_levels: most levels of one column; the most frequent are kept.
        Raises:
            DataError: no column carries information.
        """
        numbers: list[NumberColumn] = []
        categories: list[CategoryColumn] = []
        for source, kind in kinds.items():
            if kind == "number":
                numbers += _fit_number(source, "", as_numbers(frame[source]))
            elif kind == "date":
                for part, raw in date_parts(frame[source]).items():
                    numbers += _fit_number(source, part, raw)
            elif kind in ("category", "boolean"):
                categories += _fit_category(source, frame[source], min_count, max_levels)
        if not numbers and not categories:
            raise DataError(
                "no column is left to learn from: all are constant, empty, ids or free text",
                ", ".join(map(str, kinds)) or "no input columns",
                "Add columns, or overrule a type: --set data.types.COLUMN=category",
            )
        return cls(numbers, categories)

    @property
    def num_numbers(self) -> int:
        """Columns of the number array: the numbers, then a flag for each that train has with gaps."""
        return len(self.numbers) + len(self.flags)

    def sources(self) -> list[str]:
        """Columns of the table that the network sees."""
        return list(dict.fromkeys([*(n.source for n in self.numbers), *(c.source for c in self.categories)]))

    def positions(self, source: str) -> tuple[list[int], list[int]]:
        """Where a column of the table went: its columns in the number array, and in the category array."""
        at = [i for i, column in enumerate(self.numbers) if column.source == source]
        flags = [len(self.numbers) + j for j, i in enumerate(self.flags) if i in at]
        return at + flags, [i for i, column in enumerate(self.categories) if column.source == source]

    def encode(self, frame: pd.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Rows -> numbers (n, num_numbers) float32 and categories (n, C) int32."""
        x = np.zeros((len(frame), self.num_numbers), np.float32)
        for i, raw in enumerate(self._raw(frame)):
            x[:, i] = self.numbers[i].scaled(raw)
            if i in self.flags:
                x[:, len(self.numbers) + self.flags.index(i)] = np.isnan(raw)
        c = np.zeros((len(frame), len(self.categories)), np.int32)
        for j, column in enumerate(self.categories):
            c[:, j] = self._levels(j, frame[column.source])
        return x, c

    def unlike_train(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """(n,) distance from train's middle in units of train's range, the worst column of each row: 1 at its edge.

        A level that train never showed, or a gap where train has none, counts as outside: 1 + its share of columns.
        """
        extent, strange = np.zeros(len(frame)), np.zeros(len(frame))
        for column, raw in zip(self.numbers, self._raw(frame), strict=True):
            middle, half = (column.low + column.high) / 2, (column.high - column.low) / 2 or 1.0
            away = np.minimum(np.abs(raw - middle) / half, _LARGEST)
            inside = (raw >= column.low) & (raw <= column.high)
            extent = np.fmax(extent, np.where(inside, np.minimum(away, 1), away))  # rounding must not lead outside
            if not column.missing:
                strange += np.isnan(raw)
        for j, category in enumerate(self.categories):
            if not category.pooled:  # where rare levels were pooled, an unknown level is nothing unusual
                strange += self._levels(j, frame[category.source]) == UNKNOWN
        return np.where(
            strange > 0, np.maximum(extent, 1 + strange / (len(self.numbers) + len(self.categories))), extent
        )

    def state(self) -> dict[str, Any]:
        return {
            "numbers": [asdict(column) for column in self.numbers],
            "categories": [{**asdict(column), "levels": list(column.levels)} for column in self.categories],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RowEncoder:
        return cls(
            [NumberColumn(**column) for column in state["numbers"]],
            [CategoryColumn(c["source"], tuple(c["levels"]), c["pooled"]) for c in state["categories"]],
        )

    def _raw(self, frame: pd.DataFrame) -> list[NDArray[np.float64]]:
        """Unscaled values of each number column, NaN = missing."""
        dates: dict[str, dict[str, NDArray[np.float64]]] = {}
        raw = []
        for column in self.numbers:
            if column.part:
                if column.source not in dates:
                    dates[column.source] = date_parts(frame[column.source])
                raw.append(dates[column.source][column.part])
            else:
                raw.append(as_numbers(frame[column.source]))
        return raw

    def _levels(self, j: int, values: pd.Series) -> NDArray[np.int32]:
        column, index = self.categories[j], self._indexes[j]
        texts, codes = as_levels(values)
        # positions in `levels`: None may stand anywhere among them
        place = np.array([i + 1 for i, level in enumerate(column.levels) if level is not None] + [UNKNOWN], np.int32)
        missing = column.levels.index(None) + 1 if None in column.levels else UNKNOWN
        table = np.append(place[index.get_indexer(pd.Index(texts, dtype="object"))], missing).astype(np.int32)
        return table[codes]  # code -1, missing, takes the last entry


def as_numbers(values: pd.Series) -> NDArray[np.float64]:
    """(n,) floats; what is no finite number is NaN."""
    raw = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(raw), raw, np.nan)


def as_levels(values: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct values as texts, and (n,) positions in them, -1 = missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [level_text(value) for value in values.cat.categories], values.cat.codes.to_numpy().astype(np.int64)
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    return [level_text(value) for value in distinct], codes.astype(np.int64)


def level_text(value: Any) -> str:
    """One text for one level, however the file wrote it: 1, 1.0 and "1" are the same level; so are True and "True"."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def date_parts(values: pd.Series) -> dict[str, NDArray[np.float64]]:
    """DATE_PARTS of each date, NaN where there is none; days count from 1970, hour holds minutes as a fraction."""
    dates = pd.to_datetime(values, errors="coerce", utc=True)
    parts: dict[str, Any] = {
        "days": (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1),
        "month": dates.dt.month,
        "day": dates.dt.day,
        "weekday": dates.dt.day_of_week,
        "hour": dates.dt.hour + dates.dt.minute / 60,
    }
    return {name: part.to_numpy(np.float64, na_value=np.nan) for name, part in parts.items()}


def _fit_number(source: str, part: str, raw: NDArray[np.float64]) -> list[NumberColumn]:
    """The column's description, or nothing where it is constant or empty (unless gaps alone tell something)."""
    gaps = np.isnan(raw)
    known = raw[~gaps]
    if len(known) == 0 or (known.min() == known.max() and (part or not gaps.any())):
        return []
    low, q1, median, q3, high = (float(q) for q in np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
    scale = (q3 - q1) or (high - low) / 2 or 1.0
    return [NumberColumn(source, part, median, scale, low, high, bool(gaps.any()) and part in ("", "days"))]


def _fit_category(source: str, values: pd.Series, min_count: int, max_levels: int) -> list[CategoryColumn]:
    """The column's description, or nothing where it has one level."""
    texts, codes = as_levels(values)
    counts = np.bincount(codes + 1, minlength=len(texts) + 1)  # counts[0]: missing
    levels: list[tuple[int, str | None]] = [(int(counts[i + 1]), text) for i, text in enumerate(texts) if counts[i + 1]]
    if counts[0]:
        levels.append((int(counts[0]), None))
    if len(levels) < 2:
        return []
    levels.sort(key=lambda level: (-level[0], level[1] or ""))
    kept = [text for i, (count, text) in enumerate(levels) if i < max_levels and (count >= min_count or i < 2)]
    return [CategoryColumn(source, tuple(kept), len(levels) - len(kept))]
