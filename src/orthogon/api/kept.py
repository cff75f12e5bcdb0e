"""What studies found, kept in derived/ of their run as JSON, one file a kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from orthogon.run.folder import write_json
from orthogon.strategy.curve import LearningCurve
from orthogon.strategy.label_study import LabelStudy
from orthogon.strategy.leaks import Leaks
from orthogon.strategy.probes import Probes
from orthogon.strategy.shift import Shift
from orthogon.strategy.slices import Slices

if TYPE_CHECKING:
    from pathlib import Path

    from orthogon.run.folder import Run

NAME_OF: dict[type, str] = {
    LabelStudy: "labels",
    Leaks: "leaks",
    LearningCurve: "curve",
    Probes: "probes",
    Shift: "shift",
    Slices: "slices",
}


class Study(Protocol):
    """What a study found."""

    def to_dict(self) -> dict[str, Any]: ...

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self: ...


Found = TypeVar("Found", bound=Study)


def read(run: Run, kind: type[Found], by: str = "data") -> Found | None:
    """What a study of this kind found last; None where there was none, or nothing that can be read.

    Args:
        by: of a curve, what grows: "data" or "width".
    """
    try:
        return kind.from_dict(json.loads(_path(run, kind, by).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(run: Run, found: Study, by: str = "data") -> None:
    """Keep what a study found, in place of what it found before."""
    write_json(_path(run, type(found), by), found.to_dict())


def _path(run: Run, kind: type, by: str) -> Path:
    return run.derived / f"{NAME_OF[kind]}{'' if by == 'data' else f'-{by}'}.json"
