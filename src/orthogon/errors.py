"""What went wrong, where in the user's data, and what to do about it.

OrthogonError           exit 1   something failed that the user can act on
├── UsageError          exit 2   the command or call cannot mean anything
│   └── ConfigError     exit 2   orthogon.yaml or --set
├── DataError           exit 1   a file, a row, a picture
├── TrainingError       exit 1   NaN, explosion, no memory left
├── RunError            exit 1   a run folder that is damaged, unfinished or of another kind
└── ShapeError          exit 1   tensors that do not fit together
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from pathlib import Path


class OrthogonError(Exception):
    """An error a person can act on: what is wrong, where it is, and what to do.

    Args:
        what: what happened, with the value that caused it; one sentence.
        where: file, row, box, second or config line in the user's own data; empty where there is none.
        remedy: what to do, ready to paste.
    """

    exit_code = 1

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n{self.remedy}" if self.remedy else head


class UsageError(OrthogonError):
    """The command line or the call itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """orthogon.yaml, --set or a keyword names something that does not exist or contradicts itself."""


class DataError(OrthogonError):
    """The user's data cannot be used as it is."""


class TrainingError(OrthogonError):
    """Training cannot go on."""


class RunError(OrthogonError):
    """A run folder that is damaged, unfinished or made by something else."""


class ShapeError(OrthogonError):
    """Tensors that do not fit together."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """'Did you mean "income"?' for the nearest option, or the options themselves when none is near."""
    names = [str(option) for option in options]
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f'Did you mean "{folded[near[0]]}"?'
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"Known: {shown}."


def did_you_mean_path(path: str | Path, names: Iterable[str] = ()) -> str:
    """'Did you mean "photos/cat"?' for a path that does not exist.

    Args:
        path: as it was typed; the first part of it that does not exist is compared with what lies beside it.
        names: what could be meant other than a path, such as the names of built-in data.
    Returns:
        the nearest; where none is near, the names, or "Check the path." where there are no names.
    """
    typed = Path(path).expanduser()
    missing = typed
    while not missing.parent.exists():
        missing = missing.parent
    other = [str(name) for name in names]
    with contextlib.suppress(OSError):
        beside = [
            each.name
            for each in missing.parent.iterdir()
            if not each.name.endswith("-orthogon") and difflib.get_close_matches(missing.stem, [each.stem])
        ]
        near = difflib.get_close_matches(missing.name, [*other, *beside], n=1, cutoff=0.6)
        if near and near[0] not in other:
            found = missing.with_name(near[0])
            whole = found / typed.relative_to(missing)
            return f'Did you mean "{whole if whole.exists() else found}"?'
    return did_you_mean(str(path), other) if other else "Check the path."
