"""A study: many trials of one project under a plan, shared by any number of processes and terminals.

    PROJECT/tune/NAME/
        plan.json       the space, the strategy, the budget, the data they were made for
        journal.log     every trial, asked and told, as Optuna's journal keeps it
        workers/ID/     a lock a process at work; a trial whose process holds none any more is lost, and drawn again
        result.json, tune.html      what came of it; made again whenever a process ends

Optuna keeps the books and brings TPE, successive halving and Hyperband; random, quasi-random and coarse-to-fine points
come from `strategy.search`. What is trained is a `Trial` of the project: on train, judged by dev, never by test. A
trial that is lost with its process costs only itself.

What the samplers are told is the metric's error on dev; trials that are equal in it are ordered by their log-loss. What
breaks a limit of metrics.satisfice by its size or its multiply-adds is refused before it is trained.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml

from orthogon.errors import ConfigError, OrthogonError, RunError, UsageError, did_you_mean
from orthogon.metrics.intervals import Interval, interval
from orthogon.metrics.select import Limit, parse_limit
from orthogon.project.config import get, parse, put
from orthogon.project.project import Project
from orthogon.project.trial import Recipe, Trial, Trials, one_thread
from orthogon.run.cost import COSTS, before_training
from orthogon.run.folder import now, write_json
from orthogon.run.lock import at_work, is_at_work
from orthogon.strategy import search
from orthogon.training.device import choose_device
from orthogon.training.space import Parameter, Space

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Asked

FORMAT = 1
Strategy = Literal["random", "sobol", "coarse-to-fine", "tpe", "halving", "hyperband"]
STRATEGIES: dict[str, str] = {
    "random": "points drawn evenly",
    "sobol": "quasi-random points, which leave no large gaps",
    "coarse-to-fine": "quasi-random, then twice again where the best quarter lay",
    "tpe": "where good ones are likely, by those tried (Tree-structured Parzen Estimator)",
    "halving": "random points; after 1, 3, 9 parts of 27 of a training only the best third goes on",
    "hyperband": "TPE with several such halvings, some of which begin later",
}
DEFAULT = "coarse-to-fine"  # lowest mean in benchmarks/tune_quality.py at 16 trials, though not surely the best
MARKS = 27  # parts of a training after which trials are compared: 1, 3, 9 and 27 are what halving by thirds asks for
REDUCTION = 3
STARTUP = 10  # trials before TPE draws by its model, and before a trial is stopped for being below the median
MOST_REFUSED = 40  # in a row: then no configuration keeps the limits
ORPHAN_SECONDS = 30.0  # after which a trial that no process owns is lost
BAD = 1e300  # rank of what came to nothing, finite for the samplers

Listener = Callable[[dict[str, Any]], None]


# -- what is planned --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """How much may be tried: so many trials, minutes of time, or trainings as dear as that of the config at hand."""

    kind: Literal["trials", "minutes", "runs"]
    amount: float

    def __str__(self) -> str:
        names = {"trials": "trials", "minutes": "minutes", "runs": "trainings like the first"}
        return f"{self.amount:g} {names[self.kind]}"


def parse_budget(text: str | int | Budget) -> Budget:
    """Read "30", "30 trials", "10min", "1.5h" or "20runs".

    Raises:
        UsageError: it is none of these, or nothing is left to try.
    """
    if isinstance(text, Budget):
        return text
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(trials?|min(?:utes?)?|h(?:ours?)?|runs?|)\s*", str(text))
    if found is None:
        raise UsageError(
            f'"{text}" is not a budget', "--budget", "For instance: --budget 30, --budget 10min or --budget 20runs"
        )
    amount, unit = float(found[1]), found[2]
    if unit.startswith("h"):
        amount, unit = 60 * amount, "minutes"
    kind: Literal["trials", "minutes", "runs"] = (
        "minutes" if unit.startswith("min") else "runs" if unit.startswith("run") else "trials"
    )
    if amount <= 0 or (kind == "trials" and amount < 2):
        raise UsageError(
            f"a budget of {found[0].strip()} tries nothing beside what there is",
            "--budget",
            "Give it at least 2 trials: --budget 20",
        )
    if kind == "trials" and amount != int(amount):
        raise UsageError(f"{amount:g} is not a number of trials", "--budget", f"For instance: --budget {int(amount)}")
    return Budget(kind, amount)


@dataclass(frozen=True)
class Plan:
    """What a study does, fixed when it is made, so that all who join do the same.

    space: what is varied. config: resolved, with what was fixed; what the space does not name stays so.
    base: the run it starts from, or None. fingerprint, splits_key, num_examples: of the data it was made for.
    """

    name: str
    strategy: str
    budget: Budget
    seed: int
    tiers: int
    prune: bool
    space: Space
    config: Mapping[str, Any]
    base: str | None
    metric: str
    unit: str
    fingerprint: str
    splits_key: str
    num_examples: int
    created: str

    def to_dict(self) -> dict[str, Any]:
        space = {key: parameter.to_dict() for key, parameter in self.space.items()}
        return {"format": FORMAT, **vars(self), "budget": vars(self.budget), "space": space}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        space = {key: Parameter.from_dict(each) for key, each in values["space"].items()}
        kept = {each.name: values[each.name] for each in fields(cls)}
        return cls(**{**kept, "budget": Budget(**values["budget"]), "space": space})


def narrowed(
    space: Mapping[str, Parameter], sets: Sequence[str], config: Mapping[str, Any]
) -> tuple[Space, dict[str, str]]:
    """The space as the user wants it, and what is fixed: dotted key -> "key=value".

    "training.lr=0.001..0.01" narrows, widens or adds a range, with " log" or " int" after it where its scale is to be
    another; "task.cell=[lstm, gru]" gives choices; "task.width=64" fixes a value.

    Raises:
        ConfigError: a range cannot be read, or the config does not take its ends.
    """
    found, fixed = dict(space), {}
    for assignment in sets:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not key:
            raise ConfigError(f'"{assignment}" is not KEY=VALUE', "--set", "For instance: --set training.lr=1e-4..1e-2")
        span = re.fullmatch(r"(\S+?)\s*\.\.\s*(\S+)\s*(log|int|linear|log int|1-log|)", text)
        choices = yaml.safe_load(text) if text.startswith("[") and not isinstance(get(config, key), list) else None
        if span is not None:
            found[key] = _range(key, span[1], span[2], span[3], space.get(key), get(config, key))
        elif isinstance(choices, list):
            tier = space[key].tier if key in space else 1
            found[key] = Parameter("choice", tier=tier, default=get(config, key), choices=tuple(choices))
        else:
            found.pop(key, None)
            fixed[key] = assignment
            continue
        for end in found[key].choices or (found[key].at(0.0), found[key].at(1.0)):
            values = json.loads(json.dumps(config))
            put(values, key, end)
            parse(values)
    return found, fixed


def _range(key: str, low: str, high: str, scale: str, known: Parameter | None, default: Any) -> Parameter:
    try:
        ends = float(low), float(high)
    except ValueError:
        raise ConfigError(
            f'"{low}..{high}" is not a range of numbers', f"--set {key}", f"For instance: --set {key}=0.001..0.1"
        ) from None
    scales: dict[str, Any] = {"log int": "log_int", "1-log": "one_minus_log", "int": "int", "log": "log"}
    scales["linear"] = "linear"
    if scale == "log" and known is not None and known.is_int:
        scale = "log int"
    law = scales.get(scale) or (known.scale if known is not None and known.scale != "choice" else None)
    law = law or ("int" if isinstance(default, int) and not isinstance(default, bool) else "linear")
    return Parameter(law, *ends, tier=known.tier if known is not None else 1, default=default)


# -- between the space and Optuna -------------------------------------------------------------------------------


def optuna_name(key: str, parameter: Parameter) -> str:
    """What Optuna calls it; of a momentum it is shown 1 - value, which is what has a log scale."""
    return f"1 - {key}" if parameter.scale == "one_minus_log" else key


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """The parameter's law in Optuna's terms."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.scale == "choice":
        return CategoricalDistribution(parameter.choices)
    if parameter.is_int:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.scale == "log_int")
    if parameter.scale == "one_minus_log":
        return FloatDistribution(1 - parameter.high, 1 - parameter.low, log=True)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.scale == "log")


def to_optuna(parameter: Parameter, value: Any) -> Any:
    """A value as Optuna holds it, moved inside the range where it lies outside."""
    if not parameter.holds(value):
        value = parameter.at(0.0 if value is None else parameter.place(value))
    if parameter.scale != "one_minus_log":
        return value
    return min(max(1 - value, 1 - parameter.high), 1 - parameter.low)


def from_optuna(parameter: Parameter, value: Any) -> Any:
    """The value as the config has it, without digits that mean nothing."""
    if parameter.scale == "choice":
        return value
    return parameter.at(parameter.place(1 - value if parameter.scale == "one_minus_log" else value))


def _point_sampler(study: Study) -> optuna.samplers.BaseSampler:
    """A sampler of Optuna's that takes the points of `strategy.search`."""
    import optuna

    space, plan = study.plan.space, study.plan
    names = {optuna_name(key, parameter): parameter for key, parameter in space.items()}
    draw = search.random_point if plan.strategy in ("random", "halving") else search.sobol_point

    class Points(optuna.samplers.BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {name: distribution(parameter) for name, parameter in names.items()}

        def sample_relative(self, _: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            point = draw(plan.seed, trial.number, len(space))
            if plan.strategy == "coarse-to-fine":
                point = study.box(trial.number).at(point)
            drawn = zip(names.items(), point, strict=True)
            return {name: to_optuna(parameter, parameter.at(u)) for (name, parameter), u in drawn}

        def sample_independent(self, study: Any, trial: Any, name: str, law: Any) -> Any:
            raise AssertionError(f"{name} is in the space")

    return Points()


@dataclass(frozen=True)
class Attempt:
    """What came of one configuration, as plain values.

    value: what the sampler is told; None where it did not come to an end. attrs: error, loss, seconds, key, why, ...
    constraints: limit -> by how much it is broken, as a share of it; 0 or below where it is kept.
    """

    value: float | None
    attrs: Mapping[str, Any]
    constraints: Mapping[str, float]


# -- the study --------------------------------------------------------------------------------------------------


class Study:
    """A study in its folder.

    Args:
        project: whose it is. name: of its folder in PROJECT/tune.
    Raises:
        UsageError: there is none of this name. RunError: its plan cannot be read.
    """

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self.folder = project.folder / "tune" / name
        path = self.folder / "plan.json"
        if not path.is_file():
            known = [each.name for each in studies(project)]
            raise UsageError(
                f'there is no study "{name}"', str(self.folder), did_you_mean(name, known) or "Make one: orthogon tune"
            )
        try:
            self.plan = Plan.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"the study's plan cannot be read ({error})", str(path), "Delete its folder, and tune anew."
            ) from None
        self._books: optuna.Study | None = None

    @classmethod
    def create(cls, project: Project, plan: Plan) -> Study:
        """A new study.

        Raises:
            UsageError: there is one of this name.
        """
        folder = project.folder / "tune" / plan.name
        if (folder / "plan.json").exists():
            raise UsageError(
                f'there is a study "{plan.name}" already',
                str(folder),
                f"Go on with it: orthogon tune --resume {plan.name}; or name another: --name NAME",
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "plan.json", plan.to_dict())
        study = cls(project, plan.name)
        defaults = {optuna_name(key, each): to_optuna(each, each.default) for key, each in plan.space.items()}
        study.books.enqueue_trial(defaults, user_attrs={"default": True})
        return study

    @property
    def books(self) -> optuna.Study:
        """The study in Optuna's books; the sampler's random numbers depend on how many trials there are."""
        if self._books is None:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            backend = JournalFileBackend(str(self.folder / "journal.log"), lock_obj=_journal_lock(self.folder))
            self._books = optuna.create_study(
                storage=JournalStorage(backend), study_name=self.name, load_if_exists=True, direction="minimize"
            )
            self._books.sampler = self._sampler(len(self._books.get_trials(deepcopy=False)))
            self._books.pruner = self._pruner()
        return self._books

    def _sampler(self, known: int) -> optuna.samplers.BaseSampler:
        import optuna

        if self.plan.strategy not in ("tpe", "hyperband"):
            return _point_sampler(self)
        seed = int(np.random.default_rng([self.plan.seed, known]).integers(2**31))
        return optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)

    def _pruner(self) -> optuna.pruners.BasePruner:
        import optuna

        if self.plan.strategy == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
        if self.plan.strategy == "hyperband":
            return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=MARKS, reduction_factor=REDUCTION)
        if not self.plan.prune:
            return optuna.pruners.NopPruner()
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=MARKS // 3)

    # -- its trials ---------------------------------------------------------------------------------------------

    def rows(self) -> list[FrozenTrial]:
        """Every trial that was begun and not lost, by number."""
        from optuna.trial import TrialState

        found = self.books.get_trials(deepcopy=False)
        return [trial for trial in found if trial.state not in (TrialState.WAITING, TrialState.FAIL)]

    def overrides(self, trial: FrozenTrial) -> dict[str, Any]:
        """What the trial sets, by dotted key; nothing for the first, which is the config at hand."""
        if trial.user_attrs.get("default"):
            return {}
        return {
            key: from_optuna(parameter, trial.params[optuna_name(key, parameter)])
            for key, parameter in self.plan.space.items()
        }

    def values(self, trial: FrozenTrial) -> dict[str, Any]:
        """What the trial has of each parameter of the space."""
        if trial.user_attrs.get("default"):
            return {key: parameter.default for key, parameter in self.plan.space.items()}
        return self.overrides(trial)

    def spent(self) -> float:
        """How much of the budget is spent, in its own unit; what is under way counts as a trial."""
        rows = [trial for trial in self.rows() if not trial.user_attrs.get("refused")]
        if self.plan.budget.kind == "trials":
            return float(len(rows))
        if self.plan.budget.kind == "minutes":
            return _minutes_covered(rows)
        unit = next((t.user_attrs["seconds"] for t in rows if t.user_attrs.get("default") and t.state.is_finished()), 0)
        return sum(t.user_attrs.get("seconds", 0.0) for t in rows) / unit if unit else 0.0

    def over(self) -> str:
        """Why nothing more is to be tried; empty while there is."""
        if self.spent() >= self.plan.budget.amount:
            return "the budget is spent"
        rows = self.rows()
        trained = [i for i, trial in enumerate(rows) if not trial.user_attrs.get("refused")]
        if len(rows) - (trained[-1] + 1 if trained else 0) >= MOST_REFUSED:
            return f"{MOST_REFUSED} configurations in a row broke a limit before they were trained"
        if self.plan.budget.kind == "minutes":  # a trial that would end long after the time is not begun
            lasted = [_minutes_covered([t]) for t in rows if t.state.is_finished() and not t.user_attrs.get("refused")]
            if lasted and self.plan.budget.amount - self.spent() < 0.5 * float(np.median(lasted)):
                return "the time that is left is too short for another trial"
        return ""

    def box(self, trial: int) -> search.Box:
        """Where this trial of a coarse-to-fine search is drawn; a round's box is fixed by who first needs it."""
        budget = self.plan.budget
        share = trial / budget.amount if budget.kind == "trials" else self.spent() / budget.amount
        here = search.round_of(math.floor(1000 * min(share, 0.999)), 1000)
        box = search.Box.whole(len(self.plan.space))
        for number in range(1, here + 1):
            told = self.books.user_attrs.get(f"box {number}")
            if told is None:
                box = search.zoomed(*self._points(), box, self._choices())
                chosen = {str(place): list(share) for place, share in box.shares.items()}
                told = {"low": list(box.low), "high": list(box.high), "shares": chosen}
                self.books.set_user_attr(f"box {number}", told)
            shares = {int(place): np.array(share) for place, share in told["shares"].items()}
            box = search.Box(np.array(told["low"]), np.array(told["high"]), shares)
        return box

    def _choices(self) -> dict[int, int]:
        laws = enumerate(self.plan.space.values())
        return {place: len(law.choices) for place, law in laws if law.scale == "choice"}

    def _points(self) -> tuple[search.Floats, search.Floats]:
        """(n, d) points and (n,) ranks of all trials that came to an end: feasible ones by their error first."""
        rows = [trial for trial in self.rows() if trial.state.is_finished()]
        order = [
            (sum(max(c, 0.0) for c in t.constraints.values()), t.value if t.value is not None else BAD) for t in rows
        ]
        ranks = np.empty(len(rows))
        ranks[sorted(range(len(rows)), key=order.__getitem__)] = np.arange(len(rows))
        points = [
            [law.place(value) for law, value in zip(self.plan.space.values(), self.values(trial).values(), strict=True)]
            for trial in rows
        ]
        return np.array(points, float).reshape(len(rows), -1), ranks

    # -- at work ------------------------------------------------------------------------------------------------

    def work(self, trials: Trials, listen: Listener = lambda event: None) -> str:
        """Make trials until the budget is spent; why it ended. Any number of processes may do so at a time.

        Args:
            listen: called with every event of every training, and with "trial" (number, overrides, spent) before
                and "trial end" (number, error, why) after each.
        Raises:
            KeyboardInterrupt: Ctrl-C; the trial under way is drawn again by whoever goes on.
        """
        laws = {optuna_name(key, law): distribution(law) for key, law in self.plan.space.items()}
        with self._worker() as worker:
            while not (why := self.over()):
                self.reap()
                trial = self.books.ask(laws)
                trial.set_user_attr("worker", worker)
                if self._beyond(trial.number):
                    self._give_up(trial, "more than the budget")
                    continue
                self._one(trial, trials, listen)
            return why

    def _beyond(self, number: int) -> bool:
        """Whether others took the last trials of the budget while this one was asked for."""
        if self.plan.budget.kind != "trials":
            return False
        before = [t for t in self.rows() if t.number < number and not t.user_attrs.get("refused")]
        return len(before) >= self.plan.budget.amount

    def _one(self, trial: Asked, trials: Trials, listen: Listener) -> None:
        from optuna.trial import TrialState

        frozen = self._frozen(trial)
        overrides = self.overrides(frozen)
        listen({"event": "trial", "number": trial.number, "overrides": overrides, "spent": self.spent()})
        default = bool(frozen.user_attrs.get("default"))

        def report(mark: int, loss: float) -> bool:
            trial.report(loss, mark)
            return not default and trial.should_prune()

        try:
            made = self.attempt(trials, overrides, report, listen)
        except BaseException:
            self._give_up(trial, "interrupted", again=True)
            raise
        for name, value in made.attrs.items():
            trial.set_user_attr(name, value)
        for name, share in made.constraints.items():
            trial.set_constraint(name, share)
        done = made.value is not None
        self.books.tell(trial, made.value, TrialState.COMPLETE if done else TrialState.PRUNED)
        told = {"error": made.attrs.get("error"), "why": made.attrs.get("why", "")}
        listen({"event": "trial end", "number": trial.number, **told, "spent": self.spent()})

    def attempt(
        self,
        trials: Trials,
        overrides: Mapping[str, Any],
        report: Callable[[int, float], bool] = lambda mark, loss: False,
        listen: Listener = lambda event: None,
    ) -> Attempt:
        """Try one configuration, and put down what came of it as plain values.

        Args:
            report: called with each mark that is passed, in 1..27 parts of the training, and dev log-loss there; True
                stops the trial.
            listen: called with every event of the training.
        """
        recipe, limits = Recipe(dict(overrides), purpose="tune"), limits_of(self.plan.config)
        attrs: dict[str, Any] = {}
        figures: dict[str, float | Interval] = {}
        passed: list[int] = []
        value, began = None, time.process_time()

        def watch(event: dict[str, Any]) -> bool:
            listen(event)
            mark = _mark(event, passed)
            return mark is not None and report(mark, _loss(event))

        try:
            figures = self._before(trials, recipe, limits)
            broken = [limit for limit in limits if limit.name in figures and not _may_hold(limit, figures[limit.name])]
            if broken:
                why = "; ".join(f"breaks {limit}: {_point(figures[limit.name]):,.4g}" for limit in broken)
                attrs |= {"refused": True, "why": why}
            else:
                made = trials.make(recipe, watch)
                attrs["seconds"] = round(made.seconds, 3)
                if made.status == "stopped":
                    reached = max(passed, default=0) / MARKS
                    attrs["why"] = f"stopped after {reached:.0%}: dev log-loss behind the others"
                else:
                    for event in made.history:  # of a trial that was made before, nobody watched
                        mark = _mark(event, passed)
                        if mark is not None:
                            report(mark, _loss(event))
                    value = self._judged(made, trials, figures, attrs)
        except (OrthogonError, ValueError, RuntimeError, MemoryError) as problem:
            if not overrides:  # the config at hand cannot be trained: then there is nothing to search around
                raise
            why = problem.what if isinstance(problem, OrthogonError) else f"{type(problem).__name__}: {problem}"
            attrs |= {"failed": True, "why": why, "seconds": round(time.process_time() - began, 3)}
        if figures:
            attrs["figures"] = {name: _plain(figure) for name, figure in figures.items()}
        return Attempt(value, attrs, _shares(limits, figures))

    def _judged(
        self, made: Trial, trials: Trials, figures: dict[str, float | Interval], attrs: dict[str, Any]
    ) -> float:
        """What the sampler is told of a finished trial; adds what is known of it to figures and attrs."""
        metrics, scores = trials.task.metrics(), made.scores["dev"]
        metric = metrics[self.plan.metric]
        error, loss = float(metric.error(scores)), float(np.mean(scores.records["loss"]))
        for limit in limits_of(self.plan.config):
            if limit.name not in figures:
                figures[limit.name] = interval(scores, metrics[limit.name])
        attrs |= {"key": made.key, "error": error, "loss": loss, "parameters": made.parameters, "ended": made.status}
        return error + _tie_break(loss, len(scores), metric.unit)

    def _frozen(self, trial: Asked) -> FrozenTrial:
        return self.books.get_trials(deepcopy=False)[trial.number]

    def _before(self, trials: Trials, recipe: Recipe, limits: Sequence[Limit]) -> dict[str, float | Interval]:
        """What the network costs to use, as far as limits ask for it: known before it is trained."""
        names = {limit.name for limit in limits} & set(COSTS)
        if not names:
            return {}
        task, network = trials.untrained(recipe)
        device = choose_device(trials.config.training.device)
        return before_training(task, network, names, device)

    def work_beside(self, trials: Trials, workers: int, listen: Listener = lambda event: None) -> str:
        """As `work`, with this many processes in all; the others take a thread each, and start in some seconds."""
        if workers <= 1:
            return self.work(trials, listen)
        import torch

        context = multiprocessing.get_context("spawn")
        others = [
            context.Process(target=_work_alone, args=(str(self.project.folder), self.name), daemon=True)
            for _ in range(workers - 1)
        ]
        threads = torch.get_num_threads()
        try:
            with one_thread():
                for process in others:
                    process.start()
            torch.set_num_threads(1)
            why = self.work(trials, listen)
            for process in others:
                process.join()
            return why
        finally:
            torch.set_num_threads(threads)
            for process in others:
                if process.is_alive():
                    process.terminate()
                    process.join()
            self.reap()

    # -- who is at work -----------------------------------------------------------------------------------------

    @contextmanager
    def _worker(self) -> Iterator[str]:
        """The name of this process as long as it is at work."""
        name = uuid.uuid4().hex[:12]
        folder = self.folder / "workers" / name
        folder.mkdir(parents=True)
        try:
            with at_work(folder):
                yield name
        finally:
            with suppress(OSError):
                (folder / "lock").unlink(missing_ok=True)
                folder.rmdir()

    def at_work(self) -> int:
        """How many processes work on it."""
        return sum(is_at_work(folder) for folder in (self.folder / "workers").glob("*"))

    def reap(self) -> None:
        """Give up trials whose process is gone, so that they are drawn again."""
        from optuna.trial import TrialState

        for trial in self.books.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            worker = trial.user_attrs.get("worker")
            if worker is None:
                began = trial.datetime_start or datetime.now()
                lost = (datetime.now() - began).total_seconds() > ORPHAN_SECONDS
            else:
                lost = not is_at_work(self.folder / "workers" / worker)
            if lost:
                self._give_up(trial, "lost with its process", again=True)

    def _give_up(self, trial: Asked | FrozenTrial, why: str, again: bool = False) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with suppress(ValueError, UpdateFinishedTrialError):  # another process was first
            self.books.tell(trial.number, state=TrialState.FAIL)
            if again:
                attrs = {"default": True} if trial.user_attrs.get("default") else {}
                self.books.enqueue_trial(trial.params, user_attrs={**attrs, "instead of": trial.number, "lost": why})


def studies(project: Project) -> list[Study]:
    """Every study of the project that can be read, oldest first."""
    found = []
    for path in sorted((project.folder / "tune").glob("*/plan.json")):
        with suppress(OrthogonError):
            found.append(Study(project, path.parent.name))
    return sorted(found, key=lambda study: (study.plan.created, study.name))


def next_name(project: Project) -> str:
    """The number of a new study."""
    taken = [int(path.name) for path in (project.folder / "tune").glob("[0-9]*") if path.name.isdigit()]
    return f"{max(taken, default=0) + 1:04d}"


def limits_of(config: Mapping[str, Any]) -> list[Limit]:
    """The limits of metrics.satisfice."""
    return [parse_limit(name, text) for name, text in config["metrics"]["satisfice"].items()]


def new_plan(trials: Trials, space: Space, **settings: Any) -> Plan:
    """A plan for what is in the hand of `trials`.

    Args:
        settings: the other fields of Plan that do not follow from it.
    """
    config = trials.config
    metric = trials.task.metrics()[config.metrics.optimise or next(iter(trials.task.metrics()))]
    return Plan(
        space=space,
        config=config.model_dump(mode="json"),
        metric=metric.name,
        unit=metric.unit,
        fingerprint=trials.examples.fingerprint(),
        splits_key=trials.splits_key,
        num_examples=len(trials.examples),
        created=now(),
        **settings,
    )


def opened(project: Project, plan: Plan) -> Trials:
    """The trials that the plan is about.

    Raises:
        RunError: the data is not what the plan was made for.
    """
    trials = Trials(project, parse(plan.config))
    if trials.examples.fingerprint() != plan.fingerprint or trials.splits_key != plan.splits_key:
        raise RunError(
            f"the data or its split has changed since study {plan.name} was begun on {plan.created[:10]}",
            str(project.folder / "tune" / plan.name),
            "What was found on other data does not compare. Begin a new study: orthogon tune",
        )
    return trials


def _work_alone(folder: str, name: str) -> None:
    """What a process beside the first does."""
    import torch

    torch.set_num_threads(1)
    study = Study(Project(folder), name)
    with suppress(KeyboardInterrupt):
        study.work(opened(study.project, study.plan))


# -- parts ------------------------------------------------------------------------------------------------------


def _journal_lock(folder: Path) -> Any:
    """A lock of the journal that the system lets go when its holder is killed; Optuna's own is waited out for 30 s."""
    from optuna.storages.journal._file import BaseJournalFileLock

    class Lock(BaseJournalFileLock):
        def acquire(self) -> bool:
            place = folder / "journal"
            place.mkdir(exist_ok=True)
            while True:
                held = at_work(place)
                try:
                    held.__enter__()
                except BlockingIOError:
                    continue
                self.held = held
                return True

        def release(self) -> None:
            self.held.__exit__(None, None, None)

    return Lock()


def _mark(event: Mapping[str, Any], passed: list[int]) -> int | None:
    """The mark that an evaluation passes, which is noted; None where it passes none."""
    if event.get("event") != "evaluation" or event.get("dev_loss") is None:
        return None
    mark = math.floor(MARKS * event["step"] / event["total_steps"] + 1e-9)
    if mark < 1 or mark <= max(passed, default=0):
        return None
    passed.append(mark)
    return mark


def _loss(event: Mapping[str, Any]) -> float:
    return float(event["dev_loss"]) if math.isfinite(event["dev_loss"]) else BAD


def _shares(limits: Sequence[Limit], figures: Mapping[str, float | Interval]) -> dict[str, float]:
    """By how much each limit is broken, as a share of it; what keeps it is at or below 0."""
    found = {}
    for limit in limits:
        if limit.name in figures:
            share = -limit.slack(figures[limit.name]) / (abs(limit.value) or 1.0)
            found[str(limit)] = min(share, 0.0) if limit.kept(figures[limit.name]) else max(share, 1e-12)
    return found


def _tie_break(loss: float, n: int, unit: str) -> float:
    """Less than half the weight of one example of n: orders by log-loss what is equal by a share of mistakes."""
    return 0.5 / n * loss / (1 + loss) if unit == "%" and math.isfinite(loss) and loss > 0 else 0.0


def _may_hold(limit: Limit, figure: float | Interval) -> bool:
    """Whether a figure known before training may keep the limit; a measured one at its better end."""
    if isinstance(figure, Interval):
        figure = figure.low if limit.relation.startswith("<") else figure.high
    return limit.kept(figure)


def _point(figure: float | Interval) -> float:
    return figure.value if isinstance(figure, Interval) else float(figure)


def _plain(figure: float | Interval) -> Any:
    return figure.to_dict() if isinstance(figure, Interval) else float(figure)


def _minutes_covered(trials: Sequence[FrozenTrial]) -> float:
    """Minutes in which at least one of the trials was under way: sessions count, pauses between them do not."""
    spans = sorted(
        (t.datetime_start, t.datetime_complete or datetime.now()) for t in trials if t.datetime_start is not None
    )
    total, reached = 0.0, None
    for start, stop in spans:
        begin = start if reached is None or start > reached else reached
        if stop > begin:
            total += (stop - begin).total_seconds()
            reached = stop
    return total / 60


__all__ = [
    "STRATEGIES",
    "Budget",
    "Plan",
    "Study",
    "narrowed",
    "new_plan",
    "next_name",
    "opened",
    "parse_budget",
    "studies",
]
