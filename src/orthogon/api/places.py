"""Where data and project lie: what the config says of the data, and which places are refused."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.errors import UsageError

if TYPE_CHECKING:
    from orthogon.project.project import Project

Targets = str | int | Sequence[str | int]


def data_section(source: str | Path, target: Targets | None = None) -> dict[str, Any]:
    """What a config says of this data: source and target, each target once.

    Raises:
        UsageError: the source is empty, or no path.
    """
    data: dict[str, Any] = {"source": absolute(source)}
    if target is not None:
        targets = [str(each) for each in ([target] if isinstance(target, str | int) else dict.fromkeys(target))]
        data["target"] = targets[0] if len(targets) == 1 else targets
    return data


def absolute(source: str | Path) -> str:
    """A path that stays right from any folder; a built-in name as it is.

    Raises:
        UsageError: it is empty, or no path.
    """
    from orthogon.data.read import is_project
    from orthogon.run.predict import refuse_no_path

    refuse_no_path(source)
    if not str(source):
        raise UsageError("no data is named", "", "For instance: orthogon start digits")
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() and not is_project(path) else str(source)


def refuse_other_source(project: Project, source: str) -> None:
    """Refuse to put data into a project that holds other data."""
    known = project.config().data.source
    if known not in (source, str(Path(source).expanduser().resolve())):  # the path of data that is gone
        raise UsageError(
            f"this project holds other data: {known}",
            str(project.folder),
            f"Give the new data a project of its own: orthogon start {source} --project NAME-orthogon",
        )


def check_place(place: Path, source: str) -> None:
    """Refuse a project folder that is a file, or that lies in the data."""
    from orthogon.data.read import is_project

    data, remedy = Path(source).expanduser(), "Name a folder of its own: --project NAME-orthogon"
    if any(part.exists() and not part.is_dir() for part in (place, *place.parents)):
        raise UsageError("the project needs a folder, and this is a file", str(place), remedy)
    if data.is_dir() and not is_project(data) and place.resolve().is_relative_to(data.resolve()):
        raise UsageError("a project is never made inside the data", str(place), remedy)


def sweep(folder: Path) -> None:
    """Remove a project that never got a run: only what Orthogon itself put there."""
    for name in ("cache", "splits"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("orthogon.yaml", "logbook.jsonl"):
        (folder / name).unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
