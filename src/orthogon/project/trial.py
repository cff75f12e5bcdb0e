"""Trials: trainings whose figures are kept and whose weights are not.

Learning curves, out-of-fold answers, probes, tuning and the autopilot ask the same of a project: train this config on
these examples, answer those, and say what it cost. A trial is a function of its data, config, examples and seed alone,
so it is made once: its figures lie in PROJECT/trials/KEY/ and are read from there whenever the same trial is asked for
again, by anyone, also after a kill. A trial never sees test.

    trials = Trials(project, parse(run.config))
    trial = trials.make(Recipe({"task.width": 256}))
    trial.scores["dev"]
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import RunError, UsageError
from orthogon.project.config import ProjectConfig, parse, put, resolve
from orthogon.project.project import Project, measured, measured_train
from orthogon.run.folder import load_arrays, now, save_arrays, scores_from_arrays, scores_to_arrays, write_json
from orthogon.shown import json_text

if TYPE_CHECKING:
    from torch import nn

    from orthogon.data.examples import Examples, Splits
    from orthogon.metrics.score import Scores
    from orthogon.tasks.task import Answers, Task

FORMAT = 1
LOOKS = 12  # at the margins, in one training
NO_ARITHMETIC = ("dropout", "augment")  # fields of a task that change no multiply-add of its network
TINY = 1e-37  # smallest probability of a float32 that counts
Ids = NDArray[np.int64]
Watch = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Recipe:
    """What a trial is to do; what is left out is as in a run.

    overrides: dotted config key -> value, put over the project's config. A None is chosen anew from the data.
    train: ids to train on; None: all of train.
    select: ids that choose the best weights and end a training early; None: dev; empty: nothing is chosen, and the
        last weights count.
    measure: name -> ids to answer and score afterwards; None: a sample of train ("train"), "train_dev" and "dev".
    features: names of `measure` of which the features are wanted too.
    targets: (ids, values): other targets of these examples, in all that the trial learns from and is measured on.
    margins: names of `measure` (classes only) of which every example's margin is kept as it was during the training.
    seed: of weights, order and augmentation; None: the config's.
    purpose: one word, for the logbook: "curve", "probe", "tune".
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    train: Ids | None = None
    select: Ids | None = None
    measure: Mapping[str, Ids] | None = None
    features: Sequence[str] = ()
    seed: int | None = None
    purpose: str = ""
    targets: tuple[Ids, NDArray[Any]] | None = None
    margins: Sequence[str] = ()


@dataclass(frozen=True)
class Trial:
    """What came of it.

    config: resolved. num_train: examples it was trained on. whole: it was trained on all of train, chosen by dev.
    scores, answers: by name of `Recipe.measure`. features: (n, d) by name. margins: (n, looks) by name, how much the
        logit of the label exceeded the largest other one, at LOOKS evaluations or fewer, spread over the training.
    history: the evaluations in order, dicts with step, loss, dev_loss, ...
    status: how the training ended: "finished", "patience", "budget", or "stopped" by who watched it; then nothing was
        measured.
    seconds: of this process's processor time, for training and measuring together.
    """

    key: str
    config: Mapping[str, Any]
    num_train: int
    whole: bool
    status: str
    steps: int
    seconds: float
    parameters: int
    history: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Scores] = field(default_factory=dict)
    answers: Mapping[str, Answers] = field(default_factory=dict)
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    margins: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    purpose: str = ""
    created: str = ""


class Trials:
    """The trials of one project on one config.

    Args:
        project: where they are kept.
        config: resolved, as a run has it; what it names is what a recipe changes.
    Raises:
        OrthogonError: the data or the config cannot work.
    """

    def __init__(self, project: Project, config: ProjectConfig) -> None:
        self.project = project
        self.examples, self.task, splits, self.splits_key, _, self.config = project.prepare(config)
        self.splits: Splits = splits
        self.folder = project.folder / "trials"
        self._fingerprint = self.examples.fingerprint() + project.corrections(self.examples)
        self._tasks: dict[str, Task] = {_task_key(self.config): self.task}
        self._multiply_adds: dict[str, int] = {}  # by task section

    # -- one ----------------------------------------------------------------------------------------------------

    def make(self, recipe: Recipe, watch: Watch | None = None) -> Trial:
        """The trial, from its folder where it was made before.

        Args:
            watch: called with every event of the training (see `training.loop.fit`); True stops it. A stopped trial
                is not kept.
        Raises:
            UsageError: the recipe wants an example of test.
            OrthogonError: the config cannot work.
        """
        if any(np.isin(ids, self.splits["test"]).any() for ids in self._wanted(recipe) if "test" in self.splits):
            raise UsageError(
                "a trial wants examples of test", "trials", "Choose by dev; test is looked at once, by a finished run."
            )
        key = self.key(recipe)
        if (self.folder / key / "trial.json").exists():
            try:
                return load(self.folder / key)
            except RunError:
                pass  # damaged: it is made again, to the same figures
        return self._made(recipe, key, watch)

    def key(self, recipe: Recipe) -> str:
        """Hash of all that decides what comes of it."""
        parts: dict[str, Any] = {
            "format": FORMAT,
            "data": [self._fingerprint, self.splits_key],
            "config": {**self._config_of(recipe).model_dump(mode="json"), "seed": None},
            "seed": self.config.seed if recipe.seed is None else recipe.seed,
            "train": _digest(recipe.train),
            "select": _digest(recipe.select),
            "measure": None if recipe.measure is None else {k: _digest(v) for k, v in recipe.measure.items()},
            "features": sorted(recipe.features),
        }
        if recipe.targets is not None:
            ids, values = recipe.targets
            parts["targets"] = [_digest(ids), [str(value) for value in values]]
        if recipe.margins:
            parts["margins"] = sorted(recipe.margins)
        return hashlib.sha256(json_text(parts, indent=None).encode()).hexdigest()[:20]

    def _wanted(self, recipe: Recipe) -> list[Ids]:
        given = [ids for ids in (recipe.train, recipe.select) if ids is not None]
        return [*given, *(recipe.measure or {}).values()]

    def _config_of(self, recipe: Recipe) -> ProjectConfig:
        values = self.config.model_dump(mode="json")
        for name, value in recipe.overrides.items():
            put(values, name, value)
        if recipe.seed is not None:
            values["seed"] = recipe.seed
        config = parse(values)
        if any(value is None for value in recipe.overrides.values()):
            task = type(self.task)(config.task_config(), seed=config.seed)
            config = resolve(config, task.kind, task.suggest(self.examples.take(self.splits["train"])))
        return config

    def _task_of(self, config: ProjectConfig) -> Task:
        """The task of this config, fitted on all of train: classes and scales are alike in all trials."""
        key = _task_key(config)
        if key not in self._tasks:
            task = type(self.task)(config.task_config(), seed=config.seed)
            task.positive = config.metrics.positive
            task.fit(self.examples.take(self.splits["train"]))
            self._tasks = {_task_key(self.config): self.task, key: task}  # at most two: each may hold a lot
        return self._tasks[key]

    def _made(self, recipe: Recipe, key: str, watch: Watch | None) -> Trial:
        import torch

        from orthogon.training.loop import fit

        started = time.process_time()
        config = self._config_of(recipe)
        task = self._task_of(config)
        task.seed = config.seed
        chosen = self.splits["train"] if recipe.train is None else recipe.train
        judges = recipe.select if recipe.select is not None else self.splits.parts.get("dev", np.zeros(0, np.int64))
        torch.manual_seed(config.seed)
        network = task.network()
        examples = self.examples if recipe.targets is None else self.examples.with_targets(*recipe.targets)
        select = examples.take(judges) if len(judges) else None
        objective = task.objective(network, examples.take(chosen), select, config.training)
        parts = self.parts() if recipe.measure is None else recipe.measure
        looks = _Looks(task, network, {name: (examples.take(parts[name]), parts[name]) for name in recipe.margins})
        history: list[dict[str, Any]] = []

        def listen(event: dict[str, Any]) -> None:
            if event["event"] == "start":
                looks.planned(event["total_steps"])
            if event["event"] == "evaluation":
                history.append(dict(event))
                looks.take(event["step"])
            if watch is not None and watch(event):
                raise _Stopped

        made: dict[str, Any] = {
            "key": key,
            "config": config.model_dump(mode="json"),
            "num_train": len(chosen),
            "whole": recipe.train is None and recipe.select is None,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "purpose": recipe.purpose,
            "created": now(),
        }
        training = config.training.model_copy(update={"preflight": False})
        try:
            result = fit(objective, training, seed=config.seed, listen=listen)
        except _Stopped:
            spent = time.process_time() - started
            steps = history[-1]["step"] if history else 0
            return Trial(**made, status="stopped", steps=steps, seconds=spent, history=history)
        if result.status == "interrupted":
            raise KeyboardInterrupt
        del objective
        deployed = task.deployed(network).eval()
        found, _ = measured(task, deployed, examples, parts, config)
        trial = Trial(
            **made,
            status=result.status,
            steps=result.steps,
            seconds=time.process_time() - started,
            history=history,
            scores={name: scores for name, (_, scores) in found.items()},
            answers={name: answers for name, (answers, _) in found.items()},
            features={name: self._features(task, network, parts[name]) for name in recipe.features},
            margins=looks.taken(),
        )
        save(trial, self.folder / key, [self._fingerprint, self.splits_key])
        return trial

    def config_of(self, recipe: Recipe) -> ProjectConfig:
        """The resolved config that a recipe trains with.

        Raises:
            ConfigError: its overrides make none.
        """
        return self._config_of(recipe)

    def multiply_adds(self, recipe: Recipe) -> int:
        """Of the network that a recipe trains, for one example, forward."""
        from orthogon.models.describe import describe

        config = self._config_of(recipe)
        key = json_text({k: v for k, v in config.task.items() if k not in NO_ARITHMETIC}, indent=None)
        if key not in self._multiply_adds:
            task = self._task_of(config)
            self._multiply_adds[key] = describe(task.network(), task.example_inputs(1)).multiply_adds
        return self._multiply_adds[key]

    def untrained(self, recipe: Recipe) -> tuple[Task, nn.Module]:
        """The task of this recipe, and its network as it answers, in eval mode, before training: for what it costs.

        Raises:
            OrthogonError: the config cannot work.
        """
        config = self._config_of(recipe)
        task = self._task_of(config)
        return task, task.deployed(task.network()).eval()

    def parts(self) -> dict[str, Ids]:
        """What a run is measured on, but test: a sample of train, train-dev and dev."""
        sample = measured_train(self.task, self.examples, self.splits, self.config.seed)
        held_out = {name: self.splits[name] for name in ("train_dev", "dev") if name in self.splits}
        return {"train": sample, **held_out}

    def _features(self, task: Task, network: nn.Module, ids: Ids) -> NDArray[np.float32]:
        return task.features(network.eval(), self.examples.take(ids))

    # -- many ---------------------------------------------------------------------------------------------------

    def make_all(self, recipes: Sequence[Recipe], workers: int = 1) -> Iterator[Trial]:
        """The trials of these recipes, in their order, as they become ready.

        Args:
            workers: processes at work beside each other, a thread each; 1: this process alone. Several give the same
                figures and start in some seconds, so they pay for long lists of long trainings.
        """
        missing = [recipe for recipe in recipes if not (self.folder / self.key(recipe) / "trial.json").exists()]
        if workers <= 1 or len(missing) < 2:
            yield from (self.make(recipe) for recipe in recipes)
            return
        context = multiprocessing.get_context("spawn")
        config = self.config.model_dump(mode="json")
        count = min(workers, len(missing))
        with one_thread(), ProcessPoolExecutor(count, context, _open, (str(self.project.folder), config)) as pool:
            waiting = {self.key(recipe): pool.submit(_make, recipe) for recipe in missing}
            try:
                for recipe in recipes:
                    key = self.key(recipe)
                    if key in waiting:
                        waiting.pop(key).result()
                    yield self.make(recipe)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def kept(self) -> list[Trial]:
        """Every trial of this data and split that was made so far, oldest first."""
        found = []
        for folder in self.folder.glob("*"):
            try:
                told = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
                if told["data"] == [self._fingerprint, self.splits_key]:
                    found.append(load(folder))
            except (OSError, ValueError, RunError, KeyError):
                continue
        return sorted(found, key=lambda trial: (trial.created, trial.key))


class _Looks:
    """Margins of examples at evaluations spread over a training; the training goes on as if nobody had looked.

    Args:
        parts: name -> the examples, and their ids.
    """

    def __init__(self, task: Task, network: nn.Module, parts: Mapping[str, tuple[Examples, Ids]]) -> None:
        self.task, self.network, self.parts = task, network, parts
        self.found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in parts}
        self.next, self.between = 0.0, 0.0
        if not parts:
            return
        if not task.class_names():
            raise UsageError("margins are asked for, and the answers are no classes", "trials", "Leave them out.")
        number = {name: k for k, name in enumerate(task.class_names())}
        self.truth = {
            name: np.array([number.get(str(target), -1) for target in examples.targets()])
            for name, (examples, _) in parts.items()
        }

    def planned(self, total_steps: int) -> None:
        self.next = self.between = total_steps / LOOKS

    def take(self, step: int) -> None:
        """Look, where it is time; at the first evaluation at or after each LOOKS-th part of the training."""
        if not self.parts or step < self.next:
            return
        self.next += self.between * (1 + (step - self.next) // self.between)
        training = self.network.training
        for name, (examples, ids) in self.parts.items():
            answers = self.task.answers(self.network, examples, ids)
            self.found[name].append(margins(np.asarray(answers.values["probs"]), self.truth[name]))
        self.network.train(training)

    def taken(self) -> dict[str, NDArray[np.float32]]:
        return {name: np.stack(each, axis=1) for name, each in self.found.items() if each}


def margins(probs: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) logit of the label less the largest other one; NaN without a label. The softmax takes nothing from it."""
    logits = np.log(np.maximum(probs.astype(np.float64), TINY))
    own = np.take_along_axis(logits, np.maximum(labels, 0)[:, None], axis=1)[:, 0]
    np.put_along_axis(logits, np.maximum(labels, 0)[:, None], -np.inf, axis=1)
    found: NDArray[np.float32] = np.where(labels >= 0, own - logits.max(axis=1), np.nan).astype(np.float32)
    return found


class _Stopped(Exception):
    """Raised by the listener to end a training that is not worth going on with."""


_worker: Trials | None = None  # of a worker process: what it made of the project at its start


def _open(folder: str, config: Mapping[str, Any]) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    _worker = Trials(Project(folder), parse(config))


def _make(recipe: Recipe) -> str:
    assert _worker is not None
    return _worker.make(recipe).key


@contextmanager
def one_thread() -> Iterator[None]:
    """While workers are started: each takes one thread, so that they do not fight over the cores."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


# -- the folder of a trial --------------------------------------------------------------------------------------


def save(trial: Trial, folder: Path, data: Sequence[str]) -> None:
    """Keep a trial; `trial.json` comes last, and without it there is none.

    Args:
        data: fingerprint and split of the data it was made of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, scores in trial.scores.items():
        save_arrays(folder / f"scores-{name}.npz", scores_to_arrays(scores))
    for name, answers in trial.answers.items():
        save_arrays(folder / f"answers-{name}.npz", {**answers.values, "ids": answers.ids})
    for name in ("features", "margins"):
        if getattr(trial, name):
            save_arrays(folder / f"{name}.npz", getattr(trial, name))
    told = {each.name: getattr(trial, each.name) for each in fields(trial) if each.name not in _ARRAYS}
    names = {name: list(getattr(trial, name)) for name in _ARRAYS}
    write_json(folder / "trial.json", {"format": FORMAT, "data": list(data), **told, **names})


_ARRAYS = ("scores", "answers", "features", "margins")


def load(folder: Path) -> Trial:
    """The trial that `save` kept.

    Raises:
        RunError: its files are damaged.
    """
    from orthogon.tasks.task import Answers

    path = folder / "trial.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        names = {name: told.pop(name, []) for name in _ARRAYS}
        values = {each.name: told[each.name] for each in fields(Trial) if each.name not in _ARRAYS}
    except (OSError, ValueError, KeyError) as cause:
        raise RunError(
            f"the trial cannot be read ({cause})", str(path), "Delete its folder: it is made again."
        ) from None
    answers = {}
    for name in names["answers"]:
        arrays = load_arrays(folder / f"answers-{name}.npz")
        answers[name] = Answers({key: array for key, array in arrays.items() if key != "ids"}, arrays["ids"])
    return Trial(
        **values,
        scores={name: scores_from_arrays(load_arrays(folder / f"scores-{name}.npz")) for name in names["scores"]},
        answers=answers,
        features=load_arrays(folder / "features.npz") if names["features"] else {},
        margins=load_arrays(folder / "margins.npz") if names["margins"] else {},
    )


def _task_key(config: ProjectConfig) -> str:
    """Of what a task is fitted by."""
    return json_text([config.task, config.metrics.positive, config.seed], indent=None)


def _digest(ids: Ids | None) -> str | None:
    return None if ids is None else hashlib.sha256(np.asarray(ids, np.int64).tobytes()).hexdigest()
