"""orthogon.yaml: one strict, frozen tree, parsed once at the door.

Each room declares its own section; this file composes them, finds the line of a mistake, applies `--set`, and fills
what the user left open with what the task suggests for the data.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orthogon.data.config import DataConfig
from orthogon.errors import ConfigError, did_you_mean
from orthogon.metrics.config import MetricsConfig
from orthogon.tasks import TASKS, task_class
from orthogon.tasks.task import TaskConfig
from orthogon.training.config import TrainingConfig

FILE = "orthogon.yaml"
SHOWN = 60  # characters of a wrong value


class ProjectConfig(BaseModel):
    """The whole of orthogon.yaml. Everything but the data has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(
        0, ge=0, lt=2**63, description="Seed of the initial weights, the order of examples and augmentation."
    )
    data: DataConfig
    task: dict[str, Any] = Field(
        default_factory=dict, description="`kind` names the task; the other keys are that task's own, listed below."
    )
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)

    def task_config(self) -> TaskConfig:
        """The task's section, checked by the task that `task.kind` names."""
        return task_class(self.task["kind"]).Config(**self.task)


def parse(values: Mapping[str, Any], text: str = "", place: str = FILE) -> ProjectConfig:
    """Check nested values against the tree. A task section without `kind` is checked once the data has told the kind.

    Args:
        values: the nested values, from a file or from code.
        text: the YAML they came from, to tell the line of a mistake.
        place: the file's name, for messages.
    Raises:
        ConfigError: an unknown key (with a did-you-mean), a value of the wrong type or range, keys that contradict.
    """
    problems: list[tuple[str, str, str]] = []
    config = None
    try:
        config = ProjectConfig(**values)
    except ValidationError as error:
        problems += _problems(error, (), ProjectConfig)
    task = values.get("task")
    if isinstance(task, Mapping) and "kind" in task:
        kind = str(task["kind"])
        if kind not in TASKS:
            problems.append(("task.kind", f'"{kind}" is not a task', did_you_mean(kind, TASKS)))
        else:
            try:
                task_class(kind).Config(**task)
            except ValidationError as error:
                problems += _problems(error, ("task",), task_class(kind).Config)
    if config is not None:
        problems += _contradictions(config)
    if not problems:
        assert config is not None
        return config
    lines = _lines(text) if text else {}
    shown = []
    for key, what, remedy in problems[:8]:
        line = lines.get(key) or lines.get(key.rpartition(".")[0])
        where = f"{place}, line {line}" if line else (place if text else f"--set {key}")
        named = what.startswith(key) or where.endswith(key)
        shown.append((what if named else f"{key}: {what}", where, remedy))
    if len(shown) == 1:
        raise ConfigError(*shown[0])
    body = "\n".join(f"  {where}: {what}. {remedy}" for what, where, remedy in shown)
    raise ConfigError(f"{len(problems)} keys are wrong:\n{body}", place, "Correct these keys; nothing was changed.")


def parse_text(text: str, place: str = FILE, sets: Sequence[str] = ()) -> tuple[ProjectConfig, dict[str, Any]]:
    """The config and the raw nested values of YAML text, with `--set` applied.

    Raises:
        ConfigError: not YAML (with line and column), a key that stands there twice, not a mapping, or as `parse`.
    """
    try:
        values = yaml.safe_load(text)
        twice = _twice(yaml.compose(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{place}, line {mark.line + 1}, column {mark.column + 1}" if mark else place
        raise ConfigError(
            f"this is not valid YAML: {getattr(error, 'problem', error)}",
            where,
            "Check indentation, colons and quotes.",
        ) from error
    if twice is not None:
        key, first, second = twice
        raise ConfigError(
            f"{key} is set twice, in line {first} and in line {second}", f"{place}, line {second}", "Keep one of them."
        )
    if not isinstance(values, dict):
        raise ConfigError("the file holds no keys", place, "Start with:\n\ndata:\n  source: PATH")
    if sets:
        parse(values, text, place)  # mistakes of the file are told with their line, not blamed on --set
        values = apply_sets(values, sets)
        return parse(values), values
    return parse(values, text, place), values


def apply_sets(values: Mapping[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """Nested values with each "a.b=value" put in; the value is read as YAML, and what is in quotes stays text.

    Raises:
        ConfigError: not of the form KEY=VALUE, or a value that sets one key twice.
    """
    changed = copy.deepcopy(dict(values))
    for assignment in sets:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f'"{assignment}" is not KEY=VALUE', "--set", "For instance: --set training.lr=0.01")
        try:
            parsed, node = (yaml.safe_load(value), yaml.compose(value)) if value else (None, None)
        except yaml.YAMLError:
            parsed, node = value, None
        twice = _twice(node) if isinstance(parsed, dict) else None
        if twice is not None:
            raise ConfigError(f"{key.strip()}.{twice[0]} is set twice", f"--set {assignment}", "Keep one of them.")
        quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        if isinstance(parsed, str) and not quoted:  # YAML 1.1 reads 1e-3 as text; people mean a number
            with contextlib.suppress(ValueError):
                parsed = float(parsed)
        put(changed, key.strip(), parsed)
    return changed


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dicts, making sections on the way.

    Raises:
        ConfigError: a part of the key is a value, not a section.
    """
    *sections, last = key.split(".")
    node = values
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise ConfigError(f'"{section}" is a value, not a section', f"--set {key}", "Set the key itself.")
        node = child
    node[last] = value


def get(values: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key, None where it is absent."""
    node: Any = values
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def with_kind(config: ProjectConfig, kind: str) -> ProjectConfig:
    """The config with the task named, and so its section checked."""
    return parse({**config.model_dump(mode="json"), "task": {**config.task, "kind": kind}})


def resolve(config: ProjectConfig, kind: str, suggestions: Mapping[str, Any]) -> ProjectConfig:
    """The config with the task named and every None that the task has a suggestion for filled in.

    A suggested number of epochs gives way to steps or minutes that the user set.
    """
    values = config.model_dump(mode="json")
    values["task"] = task_class(kind).Config(**{**config.task, "kind": kind}).model_dump(mode="json")
    training = values["training"]
    if training["lr_race"] is None:  # a rate that the user chose is not questioned
        training["lr_race"] = "check" if training["lr"] is None else False
    for key, value in suggestions.items():
        if key == "training.epochs" and (training["steps"] or training["minutes"]):
            continue
        if get(values, key) is None:
            put(values, key, value)
    return parse(values)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return {key: (old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _problems(error: ValidationError, prefix: tuple[str, ...], model: type[BaseModel]) -> list[tuple[str, str, str]]:
    """(dotted key, what, remedy) of each finding of pydantic, in our words."""
    problems: dict[str, tuple[str, str, str]] = {}
    for entry in error.errors():
        location = [str(part) for part in entry["loc"]]
        key = ".".join([*prefix, *_declared(location, model)])
        if entry["type"] == "extra_forbidden":
            key = ".".join([*prefix, *location])
            options = _fields(model, location[:-1])
            problems[key] = (key, "unknown key", did_you_mean(location[-1], options))
        elif entry["type"] == "missing":
            problems[key] = (key, "this key must be given", f"For instance: --set {key}=VALUE")
        elif entry["type"] == "value_error":  # of a validator of ours
            what, _, remedy = str(entry["ctx"]["error"]).partition("\n")
            named = re.match(rf"{re.escape(key)}(\.\w+)+", what)  # one of several keys that contradict each other
            key = named[0] if named else key
            value = "" if remedy else f", got {_shortened(entry['input'])}"
            problems.setdefault(key, (key, what + value, remedy or _description(model, location)))
        else:
            message = entry["msg"][0].lower() + entry["msg"][1:]
            description = _description(model, location)
            problems.setdefault(key, (key, f"{message}, got {_shortened(entry['input'])}", description))
    return list(problems.values())


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _walk(model: type[BaseModel], location: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(name, field) along a location, as far as models declare it."""
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)) or part not in current.model_fields:
            return
        field = current.model_fields[part]
        yield part, field
        current = field.annotation


def _declared(location: Sequence[str], model: type[BaseModel]) -> list[str]:
    return [name for name, _ in _walk(model, location)] or list(location)


def _fields(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    fields = list(_walk(model, location))
    current = fields[-1][1].annotation if fields else model
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _description(model: type[BaseModel], location: Sequence[str]) -> str:
    fields = list(_walk(model, location))
    return (fields[-1][1].description or "") if fields else ""


def _contradictions(config: ProjectConfig) -> list[tuple[str, str, str]]:
    """Keys that cannot both hold; both are named."""
    data, training = config.data, config.training
    found = []
    budgets = [name for name in ("epochs", "steps", "minutes") if getattr(training, name) is not None]
    if len(budgets) > 1:
        keys = " and ".join(f"training.{name}" for name in budgets)
        found.append((f"training.{budgets[0]}", f"{keys} are both set", "A run has one budget: keep one of them."))
    if data.target_domain and not data.domain and data.format == "table":
        found.append(
            ("data.target_domain", "it needs data.domain", "Name the column that tells the domain: data.domain=COLUMN")
        )
    if config.metrics.annotators and config.metrics.human_level is not None:
        both = "metrics.annotators and metrics.human_level are both set"
        found.append(("metrics.annotators", both, "The file gives the figure: drop metrics.human_level."))
    if data.domain and data.time:
        found.append(("data.domain", "data.domain and data.time are both set", "Split by one of them: keep one."))
    for split in ("dev", "test"):
        if getattr(data, f"{split}_source") and getattr(data, split) is not None:
            both = f"data.{split}_source and data.{split} are both set"
            found.append((f"data.{split}", both, f"The file is the whole {split} set: drop data.{split}."))
    if training.batch_size is not None and training.accumulate > training.batch_size:
        both = f"training.accumulate={training.accumulate} exceeds training.batch_size={training.batch_size}"
        found.append(("training.accumulate", both, "A part holds at least one example: lower accumulate."))
    return found


def _twice(root: yaml.Node | None) -> tuple[str, int, int] | None:
    """The first key that a mapping holds twice: (dotted key, its two lines); YAML itself would keep the last."""
    seen: set[int] = set()  # a node that an alias stands for may hold itself

    def visit(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int, int]]:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from visit(value, prefix)
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                name, line = f"{prefix}{key.value}", key.start_mark.line + 1
                if name in lines:
                    yield name, lines[name], line
                lines[name] = line
                yield from visit(value, name + ".")

    return next(visit(root, ""), None)


def _lines(text: str) -> dict[str, int]:
    """Line, counted from 1, of every dotted key of YAML text."""
    lines: dict[str, int] = {}

    def visit(node: yaml.Node | None, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = f"{prefix}{key.value}"
                lines[name] = key.start_mark.line + 1
                visit(value, name + ".")

    try:
        visit(yaml.compose(text), "")
    except yaml.YAMLError:
        return {}
    return lines
