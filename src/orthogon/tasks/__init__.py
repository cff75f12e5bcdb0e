"""The tasks, one module each. The table below is the whole registry: a name and where its class lives."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orthogon.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from orthogon.tasks.task import Task

TASKS = {
    "image_classification": "orthogon.tasks.image_classification:ImageClassification",
    "tabular": "orthogon.tasks.tabular:Tabular",
    "seq2seq": "orthogon.tasks.seq2seq:Seq2Seq",
}


def task_class(kind: str) -> type[Task]:
    """The task's class, imported on use.

    Raises:
        ConfigError: no task has this name.
    """
    if kind not in TASKS:
        raise ConfigError(f'"{kind}" is not a task', "task.kind", did_you_mean(kind, TASKS))
    module, _, name = TASKS[kind].partition(":")
    return getattr(import_module(module), name)
