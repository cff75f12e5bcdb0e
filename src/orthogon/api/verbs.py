"""The verbs that give a run: start a project, train in it, go on with what was interrupted, load what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.api.known import near
from orthogon.api.places import Targets, absolute, check_place, data_section, refuse_other_source, sweep
from orthogon.api.run import Run
from orthogon.errors import RunError, UsageError
from orthogon.project.config import apply_sets, differences, parse
from orthogon.project.project import Project, default_folder

if TYPE_CHECKING:
    from orthogon.models.describe import Description
    from orthogon.project.project import Listener


def start(
    source: str | Path,
    target: Targets | None = None,
    *,
    columns: Sequence[str] | None = None,
    test: str | None = None,
    task: str | None = None,
    sets: Sequence[str] = (),
    minutes: float | None = None,
    seed: int | None = None,
    project: str | Path | None = None,
    listen: Listener | None = None,
) -> Run:
    """Make the project for this data, or take the one that is there, and train a run.

    Args:
        source: folder, file, or built-in name ("digits", "dates", ...).
        target: column or columns to predict, by name or position; tables only.
        columns: names for a table without a header.
        test: a separate file or folder that is the test set.
        task: overrules what kind of problem the data is taken for.
        sets: "key=value" overrides of any key; written to a new project's orthogon.yaml, else for this run alone.
        minutes: bound of the training time.
        seed: seed of weights, order and augmentation.
        project: the project folder; ./NAME-orthogon if None.
        listen: called with an event (dict) at every stage.
    Returns:
        The run; its status is "interrupted" after Ctrl-C.
    Raises:
        UsageError, ConfigError, DataError: what is wrong, where, and what to do; nothing is left behind.
    """
    data, source = data_section(source, target), str(source)
    if columns is not None:
        data["columns"] = list(columns)
    if test is not None:
        data["test_source"] = absolute(test)
    said: dict[str, Any] = {"data": data}
    if task is not None:
        said["task"] = {"kind": task}
    place = Path(project) if project else default_folder(source)
    existing = (place / "orthogon.yaml").is_file()
    check_place(place, source)
    extra = [*sets, *_extra_sets(minutes, seed)]
    if existing:
        here = Project(place)
        refuse_other_source(here, data["source"])
        spoken = [
            f"{key}={json.dumps(value)}" for key, (_, value) in differences({}, said).items() if key != "data.source"
        ]
        if minutes is not None:
            extra = [*_without_lengths(here.config().model_dump(mode="json"), sets, minutes, listen), *extra]
        config = here.config([*spoken, *extra])
    else:
        values = apply_sets(said, sets)
        parse(apply_sets(values, _extra_sets(minutes, seed)))
        here = Project.create(values, place)
        config = here.config(_extra_sets(minutes, seed))
    try:
        return Run(here.train(config, listen=listen).folder)
    except BaseException:  # Ctrl-C and a full disk among them
        if not existing and not (here.folder / "runs").exists():
            sweep(here.folder)
        raise


def train(
    *,
    project: str | Path | None = None,
    base: str | None = None,
    sets: Sequence[str] = (),
    minutes: float | None = None,
    seed: int | None = None,
    listen: Listener | None = None,
) -> Run:
    """Train a new run from orthogon.yaml, or from the resolved config of run `base`."""
    here = Project.find(project)
    extra = [*sets, *_extra_sets(minutes, seed)]
    parent = None
    if base is not None:
        chosen = here.run(base)
        parent = chosen.id
    if minutes is not None:
        before = here.config().model_dump(mode="json") if base is None else chosen.config
        extra = [*_without_lengths(before, sets, minutes, listen), *extra]
    config = here.config(extra) if base is None else parse(apply_sets(chosen.config, extra))
    return Run(here.train(config, parent=parent, listen=listen).folder)


def resume(
    name: str | None = None,
    *,
    project: str | Path | None = None,
    sets: Sequence[str] = (),
    rollback: int | None = None,
    listen: Listener | None = None,
) -> Run:
    """Continue a run that was killed or interrupted; the newest such run if no name is given.

    Args:
        sets: "key=value" to change from here on. rollback: a step to go back to first.
    Raises:
        RunError: there is none, or the named one is finished, failed (with its reason) or running.
        UsageError: a setting cannot change on the way, or there is no checkpoint so early.
    """
    here = Project.find(project)
    chosen = here.resumable() if name is None else here.run(name)
    return Run(here.resume(chosen, listen, sets, rollback).folder)


def load(name: str | Path | None = None, *, project: str | Path | None = None) -> Run:
    """A run: by number in the project, by folder, or the latest finished one.

    Raises:
        RunError: there is none, or it is damaged. UsageError: there is no project here.
    """
    if name == "":
        raise UsageError('there is no run ""', "", "List the runs: orthogon runs")
    if name is not None and (Path(name) / "run.json").is_file():
        return Run(name)
    if name is not None and project is None and (Path(name) / "orthogon.yaml").is_file():
        return Run(Project(name).run().folder)
    chosen = Run(Project.find(project).run(None if name is None else str(name)).folder)
    if chosen.status == "failed":
        why = str(chosen.info.get("why", "")).splitlines() or [""]
        remedy = f"Train again with another setting: orthogon train --project {near(chosen.project.folder)}"
        raise RunError(f"run {chosen.id} failed: {why[0]}", str(chosen.folder), "\n".join([*why[1:], remedy]))
    if chosen.status == "running":
        raise RunError(f"run {chosen.id} is running", str(chosen.folder), "Wait until it has finished: orthogon runs")
    if not chosen.finished:
        again = f"It cannot be resumed. Make it anew; see: orthogon runs --project {near(chosen.project.folder)}"
        remedy = f"Resume it with: {chosen.resume_line()}" if chosen.resumable else again
        raise RunError(f"run {chosen.id} was {chosen.status}", str(chosen.folder), remedy)
    return chosen


def describe(name: str | None = None, *, project: str | Path | None = None) -> Description:
    """The layers of a run's network, or of a network's standard form by name ("convnet")."""
    from orthogon.models import NETWORKS, build

    if name is None or name.isdigit() or (Path(name) / "run.json").is_file():
        return load(name, project=project).describe()
    from orthogon.models.describe import describe as describe_network

    network, inputs = build(name)
    return describe_network(network, inputs, name if name in NETWORKS else "")


def _without_lengths(
    config: Mapping[str, Any], sets: Sequence[str], minutes: float, listen: Listener | None
) -> list[str]:
    """What takes the epochs or steps out of a config that is to be trained for minutes; the listener is told.

    A length among `sets` is the user's own and stays: it contradicts the minutes, and is told so.
    """
    asked = {assignment.partition("=")[0].strip() for assignment in sets}
    keys = [f"training.{name}" for name in ("epochs", "steps") if config["training"].get(name) is not None]
    keys = [key for key in keys if key not in asked]
    if keys and listen is not None:
        message = f"{minutes:g} minutes take the place of {' and '.join(keys)} for this run"
        listen({"event": "warning", "code": "minutes-instead", "message": message, "remedy": ""})
    return [f"{key}=null" for key in keys]


def _extra_sets(minutes: float | None, seed: int | None) -> list[str]:
    extra = [] if minutes is None else [f"training.minutes={minutes}"]
    return extra if seed is None else [*extra, f"seed={seed}"]
