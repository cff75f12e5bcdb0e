"""The project: a folder with orthogon.yaml, the splits and the runs; and the one way from data to a run.

read -> split -> check -> suggest -> fit transforms -> network -> train -> answer -> score -> seal
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import ConfigError, DataError, OrthogonError, RunError, UsageError, did_you_mean
from orthogon.run.folder import Run, now, write_json, write_text
from orthogon.shown import json_text

if TYPE_CHECKING:  # listing runs must not wait for torch and pydantic
    from torch import nn

    from orthogon.data.examples import Examples, Finding, Splits
    from orthogon.metrics.score import Scores
    from orthogon.metrics.select import Threshold
    from orthogon.project.config import ProjectConfig
    from orthogon.tasks.task import Answers, Baseline, Task
    from orthogon.training.loop import FitResult

FILE = "orthogon.yaml"
HEADER = """\
# Every key there is, with the value it got: config.yaml of a run (runs/0001/config.yaml).
# Change one here, or for one run alone: orthogon train --set training.lr=0.01 (orthogon train --help).
# What each key means: docs/config.md in the source of Orthogon.
"""
MEASURED_TRAIN = 5000  # examples of train on which the training error is measured, in eval mode
TASK_OF = {"image": "image_classification", "table": "tabular", "strings": "seq2seq"}
Listener = Callable[[dict[str, Any]], None]


class Project:
    """A project folder.

    Args:
        folder: a folder that holds orthogon.yaml.
    Raises:
        UsageError: it does not.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not (self.folder / FILE).is_file():
            raise UsageError(f"no {FILE} in this folder", str(folder), "Make a project: orthogon start DATA")

    @property
    def name(self) -> str:
        return self.folder.name.removesuffix("-orthogon")

    # -- finding and making -------------------------------------------------------------------------------------

    @classmethod
    def find(cls, folder: str | Path | None = None) -> Project:
        """The project of this folder: itself, or the only NAME-orthogon inside it, or the only one of another name.

        Raises:
            UsageError: there is none, or more than one to choose from.
        """
        start = Path(folder or ".").resolve()
        for candidate in (start, *start.parents):
            if (candidate / FILE).is_file():
                return cls(candidate)
        inside = sorted(path.parent for path in start.glob(f"*/{FILE}"))
        usual = [path for path in inside if path.name.endswith("-orthogon")]
        if len(usual or inside) == 1:
            return cls((usual or inside)[0])
        if not inside:
            raise UsageError("there is no project here", str(start), "Make one: orthogon start DATA")
        names = ", ".join(path.name for path in inside)
        raise UsageError(f"{len(inside)} projects are here: {names}", str(start), "Say which of them: --project NAME")

    @classmethod
    def create(cls, values: Mapping[str, Any], folder: str | Path | None = None) -> Project:
        """The project for these values, made if it does not exist; an existing orthogon.yaml is left as it is.

        Args:
            values: nested config values; `data.source` at least.
            folder: where; ./NAME-orthogon if None, beside the data when the current folder is inside it.
        """
        import yaml

        source = str(values["data"]["source"])
        place = Path(folder) if folder else default_folder(source)
        if not (place / FILE).is_file():
            place.mkdir(parents=True, exist_ok=True)
            body = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
            write_text(place / FILE, HEADER + body)
        return cls(place)

    # -- config and logbook -------------------------------------------------------------------------------------

    def config(self, sets: Sequence[str] = ()) -> ProjectConfig:
        """orthogon.yaml, checked, with `KEY=VALUE` settings put over it."""
        from orthogon.project.config import parse_text

        path = self.folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigError("this is not UTF-8 text", f"{path}, line {line}", "Save the file as UTF-8.") from error
        return parse_text(text, str(path), sets)[0]

    def runs(self) -> list[Run]:
        """Every run that can be read, oldest first."""
        found = []
        for folder in sorted((self.folder / "runs").glob("[0-9]*")):
            try:
                found.append(Run(folder))
            except RunError:
                continue  # shown as damaged by `damaged_runs`
        return found

    def damaged_runs(self) -> list[tuple[str, str]]:
        """(id, what is wrong) of runs that cannot be read."""
        damaged = []
        for folder in sorted((self.folder / "runs").glob("[0-9]*")):
            try:
                Run(folder)
            except RunError as error:
                damaged.append((folder.name, error.what))
        return damaged

    def run(self, name: str | int | None = None, finished: bool = True) -> Run:
        """A run by its number, or the latest.

        Args:
            name: "3", "0003" or 3; None for the latest.
            finished: whether the latest must be a finished one.
        Raises:
            RunError: there is no such run.
        """
        if name is not None and str(name) != "latest":
            text = str(name)
            folder = self.folder / "runs" / (text.zfill(4) if text.isdigit() else Path(text).name)
            if not folder.is_dir():
                known = [path.name for path in sorted((self.folder / "runs").glob("[0-9]*"))]
                shown = ", ".join(known[-12:]) if len(known) <= 12 else f"{known[0]} to {known[-1]}"
                remedy = f"The runs are {shown}; see: orthogon runs" if known else "There is none: orthogon train"
                raise RunError(f'there is no run "{name}"', str(self.folder), remedy)
            return Run(folder)
        runs = [run for run in self.runs() if run.finished or not finished]
        if not runs:
            damaged = self.damaged_runs()
            if damaged:
                name, what = damaged[-1]
                raise RunError(
                    f"there is no finished run that is whole; the latest: {what}",
                    str(self.folder / "runs" / name),
                    "Restore the files from a backup, or train again: orthogon train",
                )
            remedy = "orthogon train --resume" if any(run.resumable for run in self.runs()) else "orthogon train"
            raise RunError("there is no finished run yet", str(self.folder), f"Make one: {remedy}")
        return runs[-1]

    def resumable(self) -> Run:
        """The newest run that was killed or interrupted and can go on.

        Raises:
            RunError: there is none; says why the newest unfinished one is not.
        """
        unfinished = [run for run in self.runs() if not run.finished]
        follows = self._follows()  # then the first process may be at work on it already
        for run in reversed(unfinished):
            if run.resumable or (follows and run.status == "running"):
                return run
        if unfinished:
            self._refuse_to_resume(unfinished[-1])
        raise RunError("every run is finished", str(self.folder), "Train a new one: orthogon train")

    @staticmethod
    def _refuse_to_resume(run: Run) -> None:
        """Refuse a run that is finished, failed, at work, or was stopped too early.

        Raises:
            RunError: it is.
        """
        remedy = "Train a new one: orthogon train"
        if run.finished:
            raise RunError(f"run {run.id} is finished", str(run.folder), remedy)
        if run.status == "failed":
            why, *more = str(run.info.get("why", "")).splitlines() or ["its reason was not kept"]
            raise RunError(
                f"run {run.id} failed and cannot be resumed: {why}",
                str(run.folder),
                "\n".join([*more, "Train a new one with another setting: orthogon train --set KEY=VALUE"]),
            )
        if run.status == "running":
            raise RunError(f"run {run.id} is running", str(run.folder), "Another process trains it; see: orthogon runs")
        if not run.resumable:
            why = "is an ensemble" if run.members else "its training had not begun"
            raise RunError(f"run {run.id} was {run.status} and cannot be resumed: {why}", str(run.folder), remedy)

    def table(self) -> list[dict[str, Any]]:
        """A row a run: run, status, resumable, created, seconds, dev_error, its metric and unit, parent, knob, what."""
        rows = []
        for run in self.runs():
            info = run.info
            what = info.get("knob") and f"{info['knob']} (from run {info['parent']})"
            rows.append(
                {
                    "run": run.id,
                    "status": run.status,
                    "resumable": run.resumable,
                    "created": info["created"],
                    "seconds": info.get("seconds"),
                    "dev_error": info.get("dev_error"),
                    "metric": info.get("metric"),
                    "unit": _unit(run),
                    "parent": info.get("parent"),
                    "knob": info.get("knob"),
                    "what": what or info.get("changed") or "first system",
                }
            )
        keys = ("run", "status", "created", "seconds", "dev_error", "metric", "unit", "parent", "knob", "what")
        for name, what in self.damaged_runs():
            rows.append({**dict.fromkeys(keys), "run": name, "status": "damaged", "resumable": False, "what": what})
        return sorted(rows, key=lambda row: row["run"])

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to the logbook."""
        line = json_text({"time": now(), "event": event, **facts}, indent=None)
        with open(self.folder / "logbook.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def logbook(self) -> list[dict[str, Any]]:
        path = self.folder / "logbook.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def test_looks(self) -> int:
        """How many runs were scored on the test set."""
        return len({entry["run"] for entry in self.logbook() if entry["event"] == "test scored"})

    # -- data ---------------------------------------------------------------------------------------------------

    def read(self, config: ProjectConfig, labels: str | None = None) -> Examples:
        """The project's examples, as its config describes them, with the labels that were corrected since.

        Args:
            labels: key of the labels wanted, as a run notes it; None: the newest.
        """
        from orthogon.data.read import read
        from orthogon.project.corrections import corrected

        return corrected(read(config.data, cache=self.folder / "cache"), self.folder, labels)

    def corrections(self, examples: Examples) -> str:
        """Key of the corrections on these examples; empty where their labels are those of the files."""
        from orthogon.project import corrections

        if examples.original is None:
            return ""
        return corrections.key(corrections.overlay(corrections.revisions(self.folder), examples.fingerprint()))

    def split(
        self, examples: Examples, task: Task, config: ProjectConfig, tell: Listener = lambda event: None
    ) -> tuple[Splits, str]:
        """The project's splits of these examples and their key: made once, then reused, so that runs compare.

        A stored split that is damaged is made again: the same data, settings and seed give the same ids.
        """
        from orthogon.data.split import load_splits, make_splits, save_splits, splits_key

        key = splits_key(examples.fingerprint(), config.data, config.data.split_seed)
        try:
            splits = load_splits(self.folder / "splits", key)
        except RunError as error:
            splits = None
            message = f"{error.where}: the stored split cannot be read, and is made again with the same ids"
            tell({"event": "warning", "code": "split-damaged", "message": message, "remedy": ""})
        if splits is None:
            whole = examples.original or examples  # the same ids in the same parts, whatever was corrected
            splits = make_splits(whole, config.data, task.strata(whole), config.data.split_seed)
            save_splits(self.folder / "splits", key, splits)
        return splits, key

    # -- the one way from data to a run -------------------------------------------------------------------------

    def train(
        self,
        config: ProjectConfig,
        *,
        parent: str | None = None,
        knob: str | None = None,
        expected: Mapping[str, Any] | None = None,
        listen: Listener | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Run:
        """Train a new run from a config.

        Args:
            config: as written or overridden; what it leaves open is chosen from the data and written into the run.
            parent, knob, expected: the run this one steps from, the knob turned, and the gain expected of it.
            listen: called with an event (a dict with "event") at each stage and during training.
            clock: seconds, by which training.minutes are counted; on a busy machine perhaps those of the processor.
        Returns:
            The run: finished, or interrupted by Ctrl-C with a checkpoint to resume from.
        Raises:
            OrthogonError: data, config or training cannot work; an unfinished run is marked failed with the reason.
        """
        if self._follows():
            return self._follow(config, resume=False)
        tell = listen or (lambda event: None)
        began = time.monotonic()
        examples, task, splits, key, findings, config = self.prepare(config, tell, clock)
        run = Run.create(
            self.folder / "runs",
            {
                "task": task.kind,
                "seed": config.seed,
                "source": config.data.source,
                "fingerprint": examples.fingerprint(),
                "labels": self.corrections(examples),
                "splits_key": key,
                "split_sizes": splits.sizes(),
                "split_reason": splits.reason,
                "problem": getattr(task, "reason", ""),
                "parent": parent,
                "knob": knob,
                "changed": self._changed(config, parent),
                "expected": dict(expected or {}),
            },
        )
        with run.at_work(), status_when_stopped(run):
            run.save_config(config.model_dump(mode="json"))
            run.save_findings(findings)
            if hasattr(examples, "schema"):
                write_json(run.folder / "schema.json", examples.schema())
            run.save_task(task)  # last: from here on the run can be resumed
            self._fit_and_seal(run, task, examples, splits, config, tell, began, resume=False, clock=clock)
        return run

    def _changed(self, config: ProjectConfig, parent: str | None) -> str:
        """What sets this config apart from its parent's, or else the latest finished run's; empty for the first."""
        from orthogon.project.config import differences

        finished = [run for run in self.runs() if run.finished and not run.members]
        if not finished:
            return ""
        before = next((run for run in finished if run.id == parent), finished[-1])
        changed = differences(before.config, config.model_dump(mode="json"))
        shown = ", ".join(f"{key} {old} → {new}" for key, (old, new) in list(changed.items())[:4])
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        return f"{shown or 'the same config'}{more} (against run {before.id})"

    def resume(
        self, run: Run, listen: Listener | None = None, sets: Sequence[str] = (), rollback: int | None = None
    ) -> Run:
        """Go on with a run that was killed or interrupted, to the same weights as if it had not been.

        Args:
            sets, rollback: change its settings, or take it back to an earlier step, first; see `project.by_hand`.
        Raises:
            RunError: it is finished, failed or running, or its data is not what it was.
            UsageError: a setting cannot be changed on the way.
        """
        from orthogon.data.split import load_splits
        from orthogon.project.config import parse

        if self._follows():
            return self._follow(parse(run.config), resume=True)
        self._refuse_to_resume(run)
        tell = listen or (lambda event: None)
        began = time.monotonic()
        config = parse(run.config)
        if sets or rollback is not None:
            from orthogon.project.by_hand import change

            with run.at_work():
                done = change(run, sets, rollback)
            self.log("changed by hand", run=run.id, **{key: done[key] for key in done if key != "abandoned"})
            config = parse(run.config)
        examples = self.read(config, labels=run.info.get("labels", ""))
        if examples.fingerprint() != run.info["fingerprint"]:
            raise RunError(
                f"the data of run {run.id} has changed since it started",
                config.data.source,
                "Train anew: orthogon train",
            )
        splits = load_splits(self.folder / "splits", run.info["splits_key"])
        if splits is None:
            raise RunError(
                f"the splits of run {run.id} are gone", str(self.folder / "splits"), "Train anew: orthogon train"
            )
        tell({"event": "splits", "sizes": splits.sizes(), "reason": splits.reason})
        with run.at_work(), status_when_stopped(run):
            run.note(status="running")
            tell({"event": "resume", "run": run.id})
            self._fit_and_seal(run, run.task(), examples, splits, config, tell, began, resume=True)
        return run

    def prepare(
        self,
        config: ProjectConfig,
        tell: Listener = lambda event: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> tuple[Examples, Task, Splits, str, list[Finding], ProjectConfig]:
        """Everything before training: (examples, fitted task, splits, their key, findings, resolved config)."""
        import torch

        from orthogon.data.checks import check
        from orthogon.project.config import resolve, with_kind
        from orthogon.run import decide
        from orthogon.run.cost import COSTS, unknown_limit
        from orthogon.tasks import task_class
        from orthogon.training.device import choose_device, require_compiler
        from orthogon.training.optimisers import make_optimiser

        tell({"event": "stage", "stage": "reading the data"})
        examples = self.read(config)
        kind = config.task.get("kind") or TASK_OF[examples.modality]
        reason = getattr(examples, "reason", "")
        tell(
            {"event": "data", "examples": len(examples), "modality": examples.modality, "task": kind, "reason": reason}
        )
        if getattr(examples, "column_types", None):
            tell({"event": "columns", "text": columns_in_words(examples)})
        check_kind(kind, examples)
        config = with_kind(config, kind)
        cls = task_class(kind)
        task = cls(config.task_config(), seed=config.seed)
        task.minutes, task.clock = config.training.minutes, clock
        tell({"event": "stage", "stage": "splitting"})
        splits, key = self.split(examples, task, config, tell)
        tell({"event": "splits", "sizes": splits.sizes(), "reason": splits.reason})
        tell({"event": "stage", "stage": "checking the data"})
        findings = check(examples, splits)
        fatal = [finding for finding in findings if finding.severity == "error"]
        if fatal:
            tell({"event": "findings", "findings": findings, "of_task": []})
            first = fatal[0]
            raise DataError(first.message, "; ".join(first.places[:3]) or config.data.source, first.remedy)
        train = examples.take(splits["train"])
        of_task: list[Finding] = []
        try:
            config = resolve(config, kind, task.suggest(train))
            # An optimiser that does not exist, or refuses its arguments, is told before a run or a project is made.
            make_optimiser(dict(torch.nn.Linear(1, 1).named_parameters()), None, config.training)
            if config.training.compile:
                require_compiler(choose_device(config.training.device))
            task = cls(config.task_config(), seed=config.seed)
            task.positive = config.metrics.positive
            tell({"event": "stage", "stage": "fitting the transforms"})
            task.fit(train)
            of_task = task.findings(train)
        finally:  # what the data's checks found is told even where nothing can be made of the data
            tell({"event": "findings", "findings": findings, "of_task": of_task})
        for finding in of_task:
            tell({"event": "warning", "code": finding.code, "message": finding.message, "remedy": finding.remedy})
        findings = [*findings, *of_task]
        decide.refuse_unknown_classes(task, config.metrics, config.training)
        metric = config.metrics.optimise
        if metric is None:  # the task's own counts as declared from here on, in the run's config for all to see
            declared = config.metrics.model_copy(update={"optimise": next(iter(task.metrics()))})
            config = config.model_copy(update={"metrics": declared})
        elif metric not in task.metrics():
            raise ConfigError(
                f'"{metric}" is not a metric of this task', "metrics.optimise", did_you_mean(metric, task.metrics())
            )
        for name in config.metrics.satisfice:
            if name not in (*COSTS, *task.metrics()):
                raise unknown_limit(name, task.metrics())
        return examples, task, splits, key, findings, config

    def _fit_and_seal(
        self,
        run: Run,
        task: Task,
        examples: Examples,
        splits: Splits,
        config: ProjectConfig,
        tell: Listener,
        began: float,
        resume: bool,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        import torch

        from orthogon.training import distributed
        from orthogon.training.device import choose_device
        from orthogon.training.loop import fit
        from orthogon.training.plan import plan

        train = examples.take(splits["train"])
        dev = examples.take(splits["dev"]) if "dev" in splits else None
        task.halving.tell = tell
        torch.manual_seed(config.seed)
        network = task.network()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        name = type(getattr(network, "network", network)).__name__  # the one inside, where pixels are normalised first
        run.note(parameters=parameters, network=name)
        tell({"event": "network", "name": name, "parameters": parameters, "about": task.about_network()})
        device = choose_device(config.training.device)
        with distributed.process_group(device):
            distributed.from_first([int(run.id)], device)  # the other processes wait for it in `_follow`
            objective = task.objective(network, train, dev, config.training)
            started, planned = clock(), None
            if not resume:
                planned = plan(objective, config.training, clock, started)
                run.note(planned_steps=planned.steps)
                tell({"event": "plan", "text": str(planned)})
            result: FitResult = fit(
                objective,
                config.training,
                run.folder,
                seed=config.seed,
                resume=resume,
                listen=tell,
                expected_loss=task.expected_loss(),
                clock=clock,
                started=started,
                pace=None if planned is None else planned.pace,
            )
        del objective, train, dev  # what they hold must not stand beside the baselines
        facts = {"steps": result.steps, "epochs": result.epochs, "best_step": result.best_step, "why": result.status}
        earlier = run.info.get("seconds", 0.0)
        if result.status == "interrupted":
            run.note(status="interrupted", seconds=round(earlier + time.monotonic() - began, 2), **facts)
            return
        self._seal(run, task, network, examples, splits, config, tell, started=began - earlier, facts=facts)

    def _seal(
        self,
        run: Run,
        task: Task,
        network: nn.Module,
        examples: Examples,
        splits: Splits,
        config: ProjectConfig,
        tell: Listener,
        started: float,
        facts: Mapping[str, Any],
    ) -> None:
        """Keep a trained network, measure it on every split, set baselines beside it, and finish the run.

        Args:
            started: reading of the monotonic clock, moved back by the time of earlier sessions.
            facts: more to write into run.json.
        """
        from orthogon.run import decide
        from orthogon.run.cost import measure
        from orthogon.training.device import choose_device

        device = choose_device(config.training.device)
        run.save_network(network)
        run.note(cost=measure(task, run.network(), run.folder / "weights.safetensors", device))
        tell({"event": "stage", "stage": "measuring"})
        metric = config.metrics.optimise or next(iter(task.metrics()))
        parts = self._measured(task, examples, splits, config.seed)
        found, threshold = measured(task, run.network(), examples, parts, config)
        for name, (answers, scores) in found.items():
            run.save_split(name, answers, scores)
        if threshold is not None:
            run.note(threshold=threshold.to_dict())
        if "test" in splits:
            self.log("test scored", run=run.id)
        if not run.baselines():
            train = examples.take(splits["train"])
            dev = examples.take(splits["dev"]) if "dev" in splits else None
            tell({"event": "stage", "stage": "training the baselines"})
            part, ids = (dev, splits["dev"]) if dev is not None else (train, splits["train"])

            def baselines(rows: int) -> list[Baseline]:
                chosen = np.linspace(0, len(train) - 1, rows).astype(np.int64)
                made = task.baselines(train if rows == len(train) else train.take(chosen), part, ids)
                names, costs = task.class_names(), config.metrics.class_costs
                return [replace(each, scores=decide.with_costs(each.scores, names, costs)) for each in made]

            run.save_baselines(task.halving.shrunk(baselines, len(train), "training the baselines"))
        judged = "dev" if "dev" in splits else "train"
        run.note(dev_error=float(task.metrics()[metric].error(run.scores(judged))), unit=task.metrics()[metric].unit)
        seconds = round(time.monotonic() - started, 2)
        run.seal(seconds=seconds, metric=metric, test_looks=self.test_looks(), **facts)
        self.log("run finished", run=run.id, parent=run.info["parent"], knob=run.info["knob"])

    def ensemble(self, members: Sequence[Run], listen: Listener | None = None) -> Run:
        """A run that answers with the mean of what others answer, and holds their weights itself.

        Args:
            members: two or more finished runs of one task, trained on the same split of the same data.
        Returns:
            The run, measured on every split as a trained one is.
        Raises:
            UsageError: fewer than two, one of them twice, an ensemble among them, or answers that have no mean.
            RunError: they do not belong together, or the data is not what it was.
        """
        from orthogon.data.split import load_splits
        from orthogon.project.config import parse

        tell = listen or (lambda event: None)
        started = time.monotonic()
        refuse_unlike(members)
        first = members[0]
        config, task = parse(first.config), first.task()
        tell({"event": "stage", "stage": "reading the data"})
        examples = self.read(config, labels=first.info.get("labels", ""))
        splits = load_splits(self.folder / "splits", first.info["splits_key"])
        if examples.fingerprint() != first.info["fingerprint"] or splits is None:
            raise RunError(
                f"the data of run {first.id} has changed since, or its splits are gone",
                config.data.source,
                "An ensemble is measured on what its members were: bring the data back, or train the members anew.",
            )
        task.halving.tell = tell
        kept = (
            "task",
            "seed",
            "source",
            "fingerprint",
            "labels",
            "splits_key",
            "split_sizes",
            "split_reason",
            "problem",
        )
        refuse_other_labels(members)
        numbers = [run.id for run in members]
        told = f"mean of runs {', '.join(numbers)}"
        run = Run.create(
            self.folder / "runs",
            {
                **{key: first.info[key] for key in kept if key in first.info},
                "parent": None,
                "knob": None,
                "expected": {},
                "changed": told,
            },
        )
        try:
            with run.at_work(), status_when_stopped(run):
                for member in members:
                    run.save_member(member)
                run.note(
                    members=numbers,
                    parameters=sum(member.info["parameters"] for member in members),
                    network=" + ".join(str(member.info["network"]) for member in members),
                )
                for name in ("config.yaml", "schema.json", "findings.json", "baselines.json"):
                    if (first.folder / name).exists():
                        shutil.copyfile(first.folder / name, run.folder / name)
                shutil.copytree(first.folder / "baselines", run.folder / "baselines", dirs_exist_ok=True)
                run.save_task(task)
                network = run.untrained()
                for place, member in zip(network.members, members, strict=True):  # type: ignore[arg-type]
                    place.load_state_dict(member.network().state_dict())
                network(*task.example_inputs(1))  # refuses what has no mean, before anything is measured
                self._seal(run, task, network.eval(), examples, splits, config, tell, started, facts={})
        except BaseException:  # it is made again in seconds: nothing half-made is left
            shutil.rmtree(run.folder)
            raise
        return run

    @staticmethod
    def _follows() -> bool:
        from orthogon.training.distributed import follows

        return follows()

    def _follow(self, config: ProjectConfig, resume: bool) -> Run:
        """Under torchrun, all that a process but the first does: its share of every batch of the first one's run.

        The first process writes and speaks for all; the run it made is read here as any later process would read it.
        """
        import torch

        from orthogon.data.split import load_splits
        from orthogon.project.config import parse
        from orthogon.training import distributed
        from orthogon.training.device import choose_device
        from orthogon.training.loop import fit

        device = choose_device(config.training.device)
        with distributed.process_group(device):  # met once the first process has everything ready
            (number,) = distributed.from_first([0], device)
            run = Run(self.folder / "runs" / f"{int(number):04d}")
            config, task = parse(run.config), run.task()
            examples = self.read(config, labels=run.info.get("labels", ""))
            splits = load_splits(self.folder / "splits", run.info["splits_key"])
            assert splits is not None
            train = examples.take(splits["train"])
            dev = examples.take(splits["dev"]) if "dev" in splits else None
            torch.manual_seed(config.seed)
            objective = task.objective(task.network(), train, dev, config.training)
            fit(
                objective,
                config.training,
                run.folder,
                seed=config.seed,
                resume=resume,
                expected_loss=task.expected_loss(),
            )
        return run

    def _measured(self, task: Task, examples: Examples, splits: Splits, seed: int) -> dict[str, NDArray[np.int64]]:
        """Ids to answer and score: every held-out part, and a sample of train."""
        train = measured_train(task, examples, splits, seed)
        held_out = {name: splits[name] for name in ("train_dev", "dev", "test") if name in splits}
        return {"train": train, **{name: ids for name, ids in held_out.items() if len(ids)}}


def measured_train(task: Task, examples: Examples, splits: Splits, seed: int) -> NDArray[np.int64]:
    """Ids of train on which the training error is measured: all, or a stratified sample."""
    train = splits["train"]
    if len(train) <= MEASURED_TRAIN:
        return train
    return stratified_sample(train, task.strata(examples.take(train)), MEASURED_TRAIN, seed)


def measured(
    task: Task, network: nn.Module, examples: Examples, parts: Mapping[str, NDArray[np.int64]], config: ProjectConfig
) -> tuple[dict[str, tuple[Answers, Scores]], Threshold | None]:
    """Answers and Scores of each part, as the config counts mistakes, and the threshold that dev chose, if one.

    Args:
        network: as it answers, in eval mode.
        parts: name -> ids; by "dev" the threshold is chosen, which then holds for all.
    """
    from orthogon.metrics.select import at_threshold
    from orthogon.run import decide

    found: dict[str, tuple[Answers, Scores]] = {}
    for name, ids in parts.items():
        part = examples.take(ids)
        answers = task.answers(network, part, ids)
        scores = task.score(answers, part)
        found[name] = answers, decide.with_costs(scores, task.class_names(), config.metrics.class_costs)
    if "dev" not in found:
        return found, None
    metric = task.metrics()[config.metrics.optimise or next(iter(task.metrics()))]
    positive = 1 if task.positive is None else task.class_names().index(task.positive)
    threshold = decide.threshold_for(found["dev"][1], metric, positive)
    if threshold is not None:
        names = task.class_names()
        found = {
            name: (decide.answers_at(answers, names, threshold), at_threshold(scores, threshold))
            for name, (answers, scores) in found.items()
        }
    return found, threshold


def refuse_unlike(members: Sequence[Run]) -> None:
    """Refuse runs whose answers cannot be averaged example by example.

    Raises:
        UsageError: fewer than two, one of them twice, or an ensemble among them.
        RunError: they differ in what all must share.
    """
    names = [run.id for run in members]
    if len({run.folder.resolve() for run in members}) < max(2, len(members)):
        what = "an ensemble has at least two members" if len(members) < 2 else "a run is named twice"
        raise UsageError(what, " ".join(names), "Name different runs: orthogon ensemble 1 2 3")
    first = members[0]
    for run in members:
        if run.folder.resolve().parent != first.folder.resolve().parent:
            what = f"run {run.id} lies in another project than run {first.id}"
            raise UsageError(what, str(run.folder), "Name runs of one project: orthogon runs")
        if not run.finished:
            raise RunError(f"run {run.id} is {run.status}", str(run.folder), "Name finished runs: orthogon runs")
        if run.members:
            those = " ".join(str(int(name)) for name in run.members)
            raise UsageError(
                f"run {run.id} is an ensemble itself", str(run.folder), f"Name its members instead: {those}"
            )
    shared: list[tuple[str, Callable[[Run], Any], str]] = [
        ("task", lambda run: run.info["task"], "Choose runs of one task."),
        ("data", lambda run: run.info["fingerprint"], "Train them anew on the same data."),
        ("split", lambda run: run.info["splits_key"], "Train them with the same data settings; see: orthogon compare"),
        ("metric", _yardstick, "Train them with one metrics.optimise and the same metrics.class_costs."),
        ("classes", lambda run: run.task().class_names(), "Train them on the same classes."),
        ("inputs", lambda run: json_text(run.task().preprocessing()), "Train them with the same size and channels."),
    ]
    for name, fact, remedy in shared:
        for run in members[1:]:
            if fact(run) == fact(first):
                continue
            what = {
                "task": f"is of another task ({run.info['task']}, not {first.info['task']})",
                "data": "was trained on other data",
                "split": "was trained on another split of the data",
                "metric": "is judged by another metric or other costs",
                "classes": "knows other classes",
                "inputs": f"takes other inputs ({_first_difference(first, run)})",
            }[name]
            raise RunError(f"run {run.id} {what} than run {first.id}", str(run.folder), remedy)


def refuse_other_labels(members: Sequence[Run]) -> None:
    """Refuse runs that were judged by different labels of the same data.

    Raises:
        RunError: they were.
    """
    first = members[0]
    for run in members[1:]:
        if run.info.get("labels", "") != first.info.get("labels", ""):
            raise RunError(
                f"run {run.id} was trained on other labels than run {first.id}: labels were corrected in between",
                str(run.folder),
                "Train the members anew on the labels of today.",
            )


def _yardstick(run: Run) -> tuple[str, Any]:
    """What a run's errors are errors of."""
    return run.info["metric"], run.config["metrics"]["class_costs"]


def _first_difference(a: Run, b: Run) -> str:
    """The first fact about preparing inputs in which two runs differ, such as "size 64, not 32"."""
    ours, theirs = a.task().preprocessing(), b.task().preprocessing()
    for key in {**ours, **theirs}:
        if json_text(ours.get(key)) != json_text(theirs.get(key)):
            said, other = (json_text(values.get(key), indent=None) for values in (theirs, ours))
            return f"{key} {said}, not {other}" if len(said) + len(other) < 80 else key
    return ""


def _unit(run: Run) -> str | None:
    """Unit of the dev error; of a run that did not write it down yet, the diagnosis', if there is one."""
    diagnosis = run.folder / "derived/diagnosis.json"
    if "unit" in run.info or not diagnosis.exists():
        return run.info.get("unit")
    return str(json.loads(diagnosis.read_text(encoding="utf-8"))["unit"])


@contextmanager
def status_when_stopped(run: Run) -> Iterator[None]:
    """Write into the run what stopped it: an error, which goes on to the caller, or Ctrl-C outside the loop.

    A fault of ours marks the run failed, with the exception's kind and message. What the machine lacked may be there
    next time: after a full disk or without memory left the run can be resumed.
    """
    try:
        yield
    except RunError:  # a checkpoint that is damaged may be restored
        run.note(status="interrupted")
        raise
    except OrthogonError as error:
        run.note(status="failed", why=str(error))
        raise
    except KeyboardInterrupt:
        run.note(status="interrupted")
    except Exception as error:
        lacking = isinstance(error, OSError | MemoryError) or "out of memory" in str(error).lower()
        status, kind = "interrupted" if lacking else "failed", type(error).__name__
        with suppress(OSError):  # a full disk does not take this either
            run.note(status=status, why=f"{kind}: {error}" if str(error) else kind)
        raise


def columns_in_words(examples: Any) -> str:
    """What the columns of a table were taken for: counts by kind, and what is left out and why."""
    kinds = Counter(examples.column_types[name].kind for name in examples.input_columns)
    plural = {"category": "categories"}
    used = ", ".join(
        f"{count} {kind if count == 1 else plural.get(kind, kind + 's')}" for kind, count in kinds.most_common()
    )
    left = [f"{name} ({examples.left_out[name]})" for name in examples.left_out]
    shown = "; ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
    targets = ", ".join(examples.target_columns)
    return f"Target {targets}; from {used or 'no column'}." + (f" Left out: {shown}." if left else "")


def check_kind(kind: str, examples: Examples) -> None:
    """Refuse a task that this kind of data does not fit.

    Raises:
        ConfigError: it does not.
    """
    for modality, fitting in TASK_OF.items():
        if kind == fitting and modality != examples.modality:
            noun = {"image": "pictures", "table": "a table", "strings": "pairs of strings"}
            raise ConfigError(
                f"{kind} needs {noun[modality]}, and the data is {noun[examples.modality]}",
                "task.kind (--task)",
                f"Leave --task out, or use {TASK_OF[examples.modality]}; data.format says how a file is read.",
            )


def default_folder(source: str) -> Path:
    """./NAME-orthogon; beside the data when the current folder lies inside it, never within."""
    path = Path(source).expanduser()
    here = Path.cwd()
    name = path.resolve().name if path.exists() else path.name
    for suffix in (".gz", ".zip", ".csv", ".tsv", ".parquet", ".jsonl", ".txt", ".json"):
        name = name.removesuffix(suffix)
    if path.is_dir() and here.is_relative_to(path.resolve()):
        here = path.resolve().parent
    return here / f"{name}-orthogon"


def stratified_sample(ids: NDArray[np.int64], strata: NDArray[Any] | None, size: int, seed: int) -> NDArray[np.int64]:
    """About `size` of the ids, each stratum in its share, in ascending order."""
    generator = np.random.default_rng(seed)
    keys = np.zeros(len(ids), dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    chosen = []
    for key in range(keys.max() + 1):
        members = ids[keys == key]
        count = max(1, round(size * len(members) / len(ids)))
        chosen.append(generator.choice(members, size=min(count, len(members)), replace=False))
    return np.sort(np.concatenate(chosen))


__all__ = ["FILE", "Project", "default_folder", "measured", "measured_train", "stratified_sample"]
