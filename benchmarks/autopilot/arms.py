"""The arms: each spends a budget on one task and says which config was its incumbent after how much compute.

What all share: the default first, one space, dev loss by which incumbents are chosen, the ledger that charges them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orthogon.errors import OrthogonError
from orthogon.metrics.score import Metric, Scores
from orthogon.project.trial import Recipe, Trial, Trials
from orthogon.strategy.advice import Step
from orthogon.strategy.autopilot import Autopilot, Decision, Judge
from orthogon.strategy.beliefs import shipped
from orthogon.strategy.diagnosis import Diagnosis, diagnose
from orthogon.strategy.floor import Noise
from orthogon.strategy.ledger import Budget, Ledger, Spent
from orthogon.training.space import MAIN, RARE, SHAPE, Parameter, Space, around, limited_to

MIN_EPOCHS, ETA = 4, 3  # of Hyperband


class Charged(Ledger):
    """Charges what deciding takes, in seconds of the processor, at the default's seconds a run."""

    refunded = 0.0  # runs: of a training that was made anew where the rival would have gone on with it

    @property
    def seconds_a_run(self) -> float:
        return self.unit_seconds

    @property
    def spent(self) -> Spent:
        return replace(super().spent, runs=self._spent.runs - self.refunded)


class Arm:
    """One arm on one task: its ledger, and the path of its incumbents.

    path: (runs spent, overrides, seed offset, dev error) at each change of incumbent, the default first.
    borrowed: the diagnoses that another task's autopilot made, in order.
    """

    def __init__(
        self, trials: Trials, budget: float, seed: int, ledger: Path, borrowed: Sequence[Diagnosis] = ()
    ) -> None:
        self.trials, self.budget, self.seed, self.borrowed = trials, budget, seed, borrowed
        self.ledger = Charged(ledger, trials, clock=time.process_time)
        metrics = trials.task.metrics()
        self.metric: Metric = metrics[trials.config.metrics.optimise or next(iter(metrics))]
        self.rng = np.random.default_rng([seed, 77])
        self.path: list[tuple[float, dict[str, Any], int, float]] = []
        self.decisions: list[dict[str, Any]] = []
        self.diagnoses: list[dict[str, Any]] = []
        self.optimism = 0.0  # of the last incumbent's dev error, where the arm says so
        self.space = space_of(trials)
        self.default = self.ledger.make(Recipe(purpose="benchmark"))
        self.ledger.unit_seconds = max(self.default.seconds, 1e-3)
        self.best = math.inf
        self.take({}, 0, self.default)

    @property
    def spent(self) -> float:
        return self.ledger.spent.charged

    def take(self, overrides: Mapping[str, Any], offset: int, trial: Trial) -> None:
        """The new incumbent, if its dev loss is the lowest."""
        loss = dev_loss(trial)
        if loss < self.best:
            self.best = loss
            self.path.append((self.spent, dict(overrides), offset, self.metric.error(trial.scores["dev"])))

    def evaluate(self, overrides: Mapping[str, Any], watch: Any = None, offset: int = 0) -> Trial | None:
        """Train it, charged; None where the config is impossible or it was ended early."""
        seed = self.trials.config.seed + offset if offset else None
        try:
            trial = self.ledger.make(Recipe(dict(overrides), seed=seed, purpose="benchmark"), watch)
        except (OrthogonError, RuntimeError, ValueError):  # such as a last batch of one before a batch norm
            return None
        if trial.status == "stopped":
            return None
        self.take(overrides, offset, trial)
        return trial

    def while_affordable(self) -> Iterator[int]:
        number = 0
        while self.spent < self.budget and number < 50 * self.budget:
            yield number
            number += 1


def dev_loss(trial: Trial) -> float:
    return float(np.mean(trial.scores["dev"].records["loss"]))


def space_of(trials: Trials) -> Space:
    """What the task declares, with what else the autopilot's knobs turn: length, members, mixing, averaging."""
    config = trials.config
    task = type(trials.task)(config.task_config())
    space = limited_to(task.search_space(config.training), RARE - 1)
    if config.training.epochs:
        space["training.epochs"] = around(config.training.epochs, MAIN, factor=2, least=2)
    section = config.task
    for key in ("width", "encoder_size", "decoder_size"):
        if section.get(key):
            space[f"task.{key}"] = around(section[key], MAIN, factor=4, least=2)
    if section.get("members"):
        space["task.members"] = around(section["members"], SHAPE, factor=4, least=1)
    if isinstance(section.get("augment"), Mapping):
        space["task.augment.mixup"] = Parameter("linear", 0.0, 0.4, SHAPE, 0.0)
        space["task.augment.cutmix"] = Parameter("linear", 0.0, 1.0, SHAPE, 0.0)
    space["training.ema_decay"] = Parameter("choice", tier=SHAPE, default=None, choices=(None, 0.99))
    return space


# -- searches -------------------------------------------------------------------------------------------------------


def default_seeds(arm: Arm) -> None:
    for number in arm.while_affordable():
        arm.evaluate({}, offset=number + 1)


def random(arm: Arm) -> None:
    for _ in arm.while_affordable():
        arm.evaluate({key: parameter.at(arm.rng.random()) for key, parameter in arm.space.items()})


def sobol(arm: Arm) -> None:
    from scipy.stats import qmc

    points = qmc.Sobol(len(arm.space), seed=arm.seed).random(1024)
    for number in arm.while_affordable():
        arm.evaluate({key: p.at(u) for (key, p), u in zip(arm.space.items(), points[number % 1024], strict=True)})


def tpe(arm: Arm, hyperband: bool = False) -> None:
    """Optuna's TPE with its usual 10 random trials at first, the default enqueued; with Hyperband over epochs."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    most = 2 * (arm.trials.config.training.epochs or 25)
    pruner = optuna.pruners.HyperbandPruner(MIN_EPOCHS, max(most, MIN_EPOCHS + 1), ETA) if hyperband else None
    sampler = optuna.samplers.TPESampler(n_startup_trials=10, seed=arm.seed)
    study = optuna.create_study(sampler=sampler, pruner=pruner or optuna.pruners.NopPruner())
    laws = {key: optuna.distributions.FloatDistribution(0, 1) for key in arm.space}
    config = arm.trials.config.model_dump(mode="json")
    known = {key: parameter.place(_read(config, key)) for key, parameter in arm.space.items()}
    study.add_trial(optuna.trial.create_trial(params=known, distributions=laws, value=dev_loss(arm.default)))
    for _ in arm.while_affordable():
        with arm.ledger.thinking():
            asked = study.ask(laws)
        overrides = {key: parameter.at(asked.params[key]) for key, parameter in arm.space.items()}

        def watch(event: dict[str, Any], asked: Any = asked) -> bool:
            if event["event"] != "evaluation" or event.get("dev_loss") is None:
                return False
            asked.report(event["dev_loss"], event["epoch"])
            return bool(asked.should_prune())

        trial = arm.evaluate(overrides, watch if hyperband else None)
        with arm.ledger.thinking():
            if trial is None:
                study.tell(asked, state=optuna.trial.TrialState.PRUNED if hyperband else optuna.trial.TrialState.FAIL)
            else:
                study.tell(asked, dev_loss(trial))


def tpe_hyperband(arm: Arm) -> None:
    tpe(arm, hyperband=True)


def priorband(arm: Arm) -> None:
    """NePS' PriorBand: the default as prior, 11, 33 and 100 % of the schedule. A promoted config is charged what its
    going on costs. It needs `neural-pipeline-search` on the path (README.md).

    Source: Mallik et al. 2023, arXiv:2306.12370.
    """
    import neps
    from neps.optimizers import algorithms

    config = arm.trials.config.model_dump(mode="json")
    laws: dict[str, Any] = {}
    for number, (key, parameter) in enumerate(arm.space.items()):
        known = min(max(parameter.place(_read(config, key)), 1e-6), 1 - 1e-6)
        laws[f"u{number}"] = neps.HPOFloat(0.0, 1.0, prior=known, prior_confidence="medium")
    laws["share"] = neps.HPOInteger(11, 100, is_fidelity=True)
    torch.manual_seed(arm.seed)
    np.random.seed(arm.seed)
    rivals = neps.AskAndTell(algorithms.priorband(neps.SearchSpace(laws), eta=ETA))
    spent: dict[str, float] = {}  # by config
    for _ in arm.while_affordable():
        with arm.ledger.thinking():
            asked = rivals.ask()
        drawn = asked.config
        overrides = {key: parameter.at(drawn[f"u{i}"]) for i, (key, parameter) in enumerate(arm.space.items())}
        seen = {"loss": math.inf, "total": 1}

        def watch(event: dict[str, Any], seen: Any = seen, share: float = drawn["share"] / 100) -> bool:
            if event["event"] == "start":
                seen["total"] = event["total_steps"]
            if event["event"] != "evaluation" or event.get("dev_loss") is None:
                return False
            seen["loss"] = min(seen["loss"], event["dev_loss"])
            return bool(event["step"] >= share * seen["total"] and share < 1)

        before = arm.ledger._spent.runs
        trial = arm.evaluate(overrides, watch)
        name, cost = str(sorted(overrides.items(), key=str)), arm.ledger._spent.runs - before
        arm.ledger.refunded += min(spent.get(name, 0.0), cost)
        spent[name] = cost
        loss = dev_loss(trial) if trial is not None else seen["loss"]
        with arm.ledger.thinking():
            rivals.tell(asked, {"objective_to_minimize": loss if math.isfinite(loss) else 1e6})


def flaml_cfo(arm: Arm) -> None:
    """FLAML's CFO from the default, dev loss its figure; it needs `flaml` on the path (README.md)."""
    import flaml

    names = [f"u{i}" for i in range(len(arm.space))]
    config = arm.trials.config.model_dump(mode="json")
    start = {n: p.place(_read(config, key)) for n, (key, p) in zip(names, arm.space.items(), strict=True)}
    space = {name: flaml.tune.uniform(0, 1) for name in names}
    search = flaml.CFO(metric="loss", mode="min", space=space, points_to_evaluate=[start], seed=arm.seed)
    for number in arm.while_affordable():
        with arm.ledger.thinking():
            drawn = search.suggest(str(number))
        if drawn is None:  # it has nothing to ask just now
            continue
        overrides = {key: p.at(drawn[n]) for n, (key, p) in zip(names, arm.space.items(), strict=True)}
        trial = arm.default if number == 0 else arm.evaluate(overrides)
        with arm.ledger.thinking():
            loss = dev_loss(trial) if trial is not None else 1e6
            search.on_trial_complete(str(number), result={"loss": loss, **{f"config/{n}": drawn[n] for n in names}})


def _read(config: Mapping[str, Any], key: str) -> Any:
    from orthogon.strategy.knobs import read

    value = read(config, key)
    return 0.0 if value is None and key != "training.ema_decay" else value


# -- the autopilot and its twins ------------------------------------------------------------------------------------


def judge_of(arm: Arm) -> Judge:
    """As a project diagnoses its runs. The trivial error, which only a metric that is no share asks for, is at hand in
    a run, so nothing is charged for it."""
    trials, trivial = arm.trials, None
    if arm.metric.unit != "%":
        dev = trials.examples.take(trials.splits["dev"])
        (first, *_) = trials.task.baselines(trials.examples.take(trials.splits["train"]), dev, trials.splits["dev"])
        trivial = arm.metric.error(first.scores)
    return lambda scores, noise: diagnose(scores, arm.metric, trivial_error=trivial, noise=noise)


def autopilot(arm: Arm, **options: Any) -> None:
    judge = options.pop("judge", None) or judge_of(arm)
    pilot: list[Autopilot] = []

    def tell(decision: Decision) -> None:
        arm.decisions.append(decision.to_dict())
        mine = pilot[0].incumbent if pilot else None
        if mine is not None and mine.overrides != arm.path[-1][1]:
            arm.path.append((arm.spent, dict(mine.overrides), 0, arm.metric.error(mine.trial.scores["dev"])))

    made = Autopilot(
        arm.ledger,
        Budget(runs=arm.budget),
        judge,
        arm.metric,
        shipped(),
        seed=arm.seed,
        start=arm.default,
        tell=tell,
        **options,
    )
    pilot.append(made)
    result = made.run()
    arm.diagnoses = [found.to_dict() for found in made.diagnoses]
    arm.optimism = result.optimism.optimism if result.optimism is not None else 0.0
    if result.incumbent.overrides != arm.path[-1][1]:
        error = arm.metric.error(result.incumbent.trial.scores["dev"])
        arm.path.append((arm.spent, dict(result.incumbent.overrides), 0, error))


def blind(arm: Arm) -> None:
    """The same steps, chosen by chance among all that there are, whatever the gap: what the reasons are worth."""

    def any_gap(scores: Mapping[str, Scores], noise: Mapping[str, Noise]) -> Diagnosis:
        return _every_gap_alike(judge(scores, noise))

    def choose(steps: Any, rng: np.random.Generator) -> Step | None:
        return steps[rng.integers(len(steps))] if steps else None

    judge = judge_of(arm)
    autopilot(arm, judge=any_gap, choose=choose)


def shuffled_gaps(arm: Arm) -> None:
    """The autopilot with the diagnosis of another task: its n-th is the n-th of that task's own autopilot.

    Gaps, verdicts and rungs are the other task's, in proportion to its dev error, so that they fit this one's scale.
    """
    judge, made = judge_of(arm), 0

    def of_another(scores: Mapping[str, Scores], noise: Mapping[str, Noise]) -> Diagnosis:
        nonlocal made
        made += 1
        return _in_place_of(judge(scores, {}), arm.borrowed[min(made, len(arm.borrowed)) - 1])

    autopilot(arm, judge=of_another)


def _in_place_of(own: Diagnosis, other: Diagnosis) -> Diagnosis:
    """The other's gaps on the scale of one's own dev error."""
    scale = own.rung("dev").value / max(other.rung("dev").value, 1e-9)

    def scaled(each: Any) -> Any:
        return replace(each, value=scale * each.value, low=scale * each.low, high=scale * each.high)

    gaps, rungs = (tuple(scaled(each) for each in parts) for parts in (other.gaps, other.rungs))
    same = {"metric": own.metric, "title": own.title, "unit": own.unit, "smallest_gap": own.smallest_gap}
    return replace(other, **same, gaps=gaps, rungs=rungs)


def without_kills(arm: Arm) -> None:
    autopilot(arm, kills=False)


def _every_gap_alike(found: Diagnosis) -> Diagnosis:
    from orthogon.strategy.diagnosis import MATERIAL

    size = max(gap.value for gap in found.gaps)
    alike = [replace(gap, verdict=MATERIAL, value=size, low=size, high=size) for gap in found.gaps]
    return replace(found, gaps=tuple(alike))


ARMS: dict[str, Callable[[Arm], None]] = {
    "default x seeds": default_seeds,
    "random": random,
    "sobol": sobol,
    "tpe": tpe,
    "tpe+hyperband": tpe_hyperband,
    "priorband": priorband,
    "flaml": flaml_cfo,
    "autopilot": autopilot,
    "blind": blind,
    "shuffled gaps": shuffled_gaps,
    "without kills": without_kills,
}
DOUBLED = "random at 2x"  # random with twice the budget, each of its runs counted as half a one
SMALLEST = ("tpe+hyperband", "priorband", DOUBLED, "blind", "autopilot")  # of the smallest honest table
BORROWS = "shuffled gaps"
