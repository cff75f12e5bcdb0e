"""Data without a project: what is built in, what is in a file, and what training would see of it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.api.places import data_section
from orthogon.errors import DataError, UsageError, did_you_mean
from orthogon.project.config import ProjectConfig, apply_sets, parse, resolve, with_kind
from orthogon.project.project import Project
from orthogon.run.folder import refuse_to_write
from orthogon.shown import Shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from orthogon.data.examples import Examples, Finding, Splits
    from orthogon.tasks.task import Task

PREVIEWED, PREVIEWED_EPOCHS = 5, 7  # pictures of a preview, and how often each is shown varied


def builtin_data() -> list[dict[str, str]]:
    """[{"name", "description"}] of the data that needs no download."""
    from orthogon.data.builtin import BUILTIN

    return [{"name": name, "description": entry.description} for name, entry in BUILTIN.items()]


def write_data(name: str, out: str, num: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Write built-in or generated data as plain files into a new folder.

    Raises:
        UsageError: the name is unknown, or the folder exists and is not empty.
    """
    from orthogon.data.builtin import BUILTIN, write
    from orthogon.data.config import DataConfig

    if name not in BUILTIN:
        raise UsageError(f'"{name}" is not built in', "", did_you_mean(name, BUILTIN))
    place = Path(out)
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{out} exists and is not empty", str(place), "Choose another folder with -o.")
    examples = BUILTIN[name].load(DataConfig(source=name, num_examples=num), seed=seed)
    write(examples, place)
    return {"folder": str(place), "examples": len(examples)}


@dataclass
class Inspection(Shown):
    """What data is, how it would be split, and what was noticed."""

    examples: Examples
    splits: Splits
    findings: list[Finding]
    task: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "examples": len(self.examples),
            "task": self.task,
            "reason": getattr(self.examples, "reason", ""),
            "splits": self.splits.sizes(),
            "split_reason": self.splits.reason,
            "findings": [vars(finding) for finding in self.findings],
        }

    def write_splits(self, out: str) -> None:
        refuse_to_write(Path(out))
        with open(out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "origin", "split"])
            for split in self.splits.sizes():
                writer.writerows([int(i), str(self.examples[int(i)].origin), split] for i in self.splits[split])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        sizes = ", ".join(f"{name.replace('_', '-')} {size:,}" for name, size in self.splits.sizes().items())
        reason = str(getattr(self.examples, "reason", ""))
        yield Text(f"{len(self.examples):,} examples: {reason}.")
        yield Text(f"Splits: {sizes}. {self.splits.reason}" if sizes else self.splits.reason)
        types = getattr(self.examples, "column_types", None)
        if types:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for heading in ("column", "taken for", "because"):
                table.add_column(heading, overflow="fold")
            for name, column in types.items():
                use = "target" if name in self.examples.target_columns else column.kind  # type: ignore[attr-defined]
                left_out = name in self.examples.left_out  # type: ignore[attr-defined]
                table.add_row(Text(str(name)), f"{use}, left out" if left_out else use, Text(column.reason))
            yield table


def inspect_data(
    source: str, target: str | Sequence[str] | None = None, sets: Sequence[str] = (), checks: bool = True
) -> Inspection:
    """Read, split and check data without a project and without training."""
    from orthogon.data.checks import check
    from orthogon.data.examples import Splits
    from orthogon.data.read import read
    from orthogon.data.split import make_splits

    config = parse(apply_sets({"data": data_section(source, target)}, sets))
    examples = read(config.data)
    config, task = _task_for(examples, config)
    try:
        splits = make_splits(examples, config.data, task.strata(examples), config.data.split_seed)
    except DataError:
        findings = check(examples, None) if checks else []
        if not any(finding.severity == "error" for finding in findings):
            raise
        return Inspection(examples, Splits({}, "Not split: see the errors below."), findings, task.kind)
    findings = [*check(examples, splits), *task.findings(examples.take(splits["train"]))] if checks else []
    return Inspection(examples, splits, findings, task.kind)


def _task_for(examples: Examples, config: ProjectConfig) -> tuple[ProjectConfig, Task]:
    """The config with the kind of task that these examples are taken for, and that task.

    Raises:
        ConfigError: the config asks for a kind that does not fit.
    """
    from orthogon.project.project import TASK_OF, check_kind
    from orthogon.tasks import task_class

    kind = config.task.get("kind") or TASK_OF[examples.modality]
    check_kind(kind, examples)
    config = with_kind(config, kind)
    return config, task_class(kind)(config.task_config(), seed=config.seed)


def preview_data(source: str, out: str | Path, sets: Sequence[str] = ()) -> dict[str, Any]:
    """A picture of what training will see: a few examples of train, each beside its first epochs.

    Args:
        source: data, or a project folder, whose config then says how pictures are varied.
        out: PNG to write.
    Returns:
        file, changes (in words), and the places of the examples.
    Raises:
        UsageError: the file exists, the data holds no pictures, or nothing is varied.
    """
    from orthogon.data.read import is_project, read
    from orthogon.data.split import make_splits
    from orthogon.report.plots import to_png, varied_pictures
    from orthogon.tasks.image_classification import ImageClassification

    place = Path(out)
    refuse_to_write(place)
    if is_project(Path(source)):
        config = Project(source).config(sets)
        examples = Project(source).read(config)
    else:
        config = parse(apply_sets({"data": data_section(source)}, sets))
        examples = read(config.data)
    config, task = _task_for(examples, config)
    if not isinstance(task, ImageClassification):
        raise UsageError(
            f"{task.kind} data is not varied: there is nothing to preview", source, "Name a folder of pictures."
        )
    splits = make_splits(examples, config.data, task.strata(examples), config.data.split_seed)
    train = examples.take(splits["train"])
    by_hand = task.config.augment.strength is not None
    config = resolve(config, task.kind, task.suggest(train))
    task = ImageClassification(config.task_config(), seed=config.seed)
    task.fit(train)
    if not task.augments:
        head = task.config.transfer == "head" and not by_hand
        why = ", for only the head of pretrained weights is trained, and quickest so" if head else ""
        raise UsageError(
            f"pictures are not varied: training sees them as they are{why}",
            "task.augment.strength",
            "For instance: --set task.augment.strength=1 --set task.augment.rotation=20",
        )
    rows, originals, epochs = task.preview(train, PREVIEWED, PREVIEWED_EPOCHS)
    names = [str(train[int(row)].target) for row in rows]
    notes = [
        [
            "" if share > 0.995 or k == i else f"{share:.0%} own\n{1 - share:.0%} {names[k]}"
            for i, k in enumerate(partners)
        ]
        for _, partners, share in epochs
    ]
    title = task.config.augment.in_words()
    to_png(varied_pictures(originals, np.stack([each for each, _, _ in epochs]), names, notes, title), place)
    return {"file": str(place), "changes": title, "examples": [str(train[int(row)].origin) for row in rows]}
