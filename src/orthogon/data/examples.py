"""Examples: what every reader makes and every task takes.

An `Examples` is an ordered, lazily read collection. Position i is the *id* of an example for the whole life of a
project: splits, answers, scores and error pages all name examples by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import UsageError

Modality = Literal["image", "table", "strings"]
Severity = Literal["error", "warning", "note"]
SPLIT_NAMES = ("train", "train_dev", "dev", "test")


@dataclass(frozen=True)
class Origin:
    """Where an example came from, in the user's own terms."""

    file: str
    place: str = ""  # "row 412", "line 7"; empty for a file of its own

    def __str__(self) -> str:
        return f"{self.file}, {self.place}" if self.place else self.file


@dataclass(frozen=True)
class Example:
    """One input with its target and its origin.

    input: image (H, W, C) uint8 array | table row as a dict | source string.
    target: class name | value | dict of target column to value (None = unknown) | target string | None.
    """

    input: Any
    target: Any
    origin: Origin


class Examples(ABC):
    """An ordered collection of examples, read when asked for.

    Attributes:
        modality: what the inputs are.
        name: what the user typed, for messages.
        domains: (n,) name of the distribution each example comes from, or None when there is one.
        groups: (n,) key of what must not cross a split (person, document, session), or None.
        times: (n,) values that order the examples in time, or None.
        given_split: (n,) of "train", "dev", "test" or "" where the user's data says so, or None.
        set_aside_before: of new inputs, how many of these examples come before each one set aside.
        original: the same examples with the targets that the user's files hold, where some were corrected since.
    """

    modality: Modality
    name: str
    domains: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    given_split: NDArray[Any] | None = None
    set_aside_before: Sequence[int] = ()
    original: Examples | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, i: int) -> Example: ...

    @abstractmethod
    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> Examples:
        """The examples at these positions, as a view that keeps `domains`, `groups`, `times`, `given_split`."""

    @abstractmethod
    def targets(self) -> NDArray[Any]:
        """(n,) class names (str), values (float, NaN = missing) or target strings; None entries = unlabelled.

        With several target columns: (n, number of targets), object, None or NaN where unknown.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 over contents and order: equal if and only if the examples are; corrected targets do not count."""

    @abstractmethod
    def content_keys(self) -> NDArray[np.uint64]:
        """(n,) hash of each input alone (not its target): equal inputs have equal keys."""

    def with_targets(self, ids: NDArray[np.int64], values: Sequence[Any] | NDArray[Any]) -> Examples:
        """The same examples, of which these have other targets. Their fingerprint stays that of the original.

        Raises:
            UsageError: there are several targets, or a value does not fit.
        """
        raise UsageError(
            f"the targets of {self.modality} data cannot be changed", self.name, "Correct the file itself."
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True)
class Splits:
    """Ids of the examples in each part; a part that does not exist is absent from `parts`."""

    parts: Mapping[str, NDArray[np.int64]]
    reason: str = ""  # one sentence: how it was split, for the person

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        return self.parts[name]

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def sizes(self) -> dict[str, int]:
        return {name: len(self.parts[name]) for name in SPLIT_NAMES if name in self.parts}


@dataclass(frozen=True)
class Finding:
    """What a check noticed in the data, before any training."""

    code: str  # stable, kebab-case: "duplicate-exact", "leakage-column"
    severity: Severity
    message: str  # what is the case, with counts
    count: int = 0
    places: tuple[str, ...] = field(default=())  # the first few origins
    remedy: str = ""


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 row", "1,204 rows", "2 copies"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
