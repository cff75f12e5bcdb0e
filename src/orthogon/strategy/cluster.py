"""A study on a cluster: Ray Tune runs its trials on whatever machines there are, in the same search space.

The points are those that the study would draw alone (random, Sobol), or TPE's; successive halving is Ray's own,
asynchronous. The project's folder must be reachable from every machine under the same path: trials read the data from
it and keep their figures there. Needs the extra: pip install 'orthogon[cluster]'.

Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, arXiv:1810.05934 (the halving).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orthogon.errors import RunError, UsageError
from orthogon.project.project import Project
from orthogon.project.trial import Trials
from orthogon.strategy import search
from orthogon.strategy.study import MARKS, REDUCTION, Listener, Study, distribution, opened, optuna_name, to_optuna

POINTS = ("random", "sobol", "halving")
LOCAL = "local"
CPUS = 1.0  # of a trial


def work_on_ray(study: Study, address: str, workers: int, listen: Listener = lambda event: None) -> str:
    """Make the study's trials on a Ray cluster; why it ended.

    Args:
        address: of the cluster, "auto" for the one this machine is in, "local" for one that is begun here.
        workers: trials at a time; on "local" also the processors that Ray may use.
    Raises:
        UsageError: Ray is not installed, or this strategy or budget is not for a cluster.
    """
    refuse(study.plan.strategy, study.plan.budget.kind)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        where: dict[str, Any] = {"num_cpus": workers} if address == LOCAL else {"address": address}
        ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
        try:
            with redirect_stdout(sys.stderr):  # where Ray talks of itself; results alone go to stdout
                _tuned(study, workers, listen)
        finally:
            ray.shutdown()
    return "the budget is spent"


def refuse(strategy: str, budget: str) -> None:
    """Refuse what a cluster cannot do, or where there is no Ray.

    Raises:
        UsageError: so it is, and what does it.
    """
    if strategy not in (*POINTS, "tpe"):
        raise UsageError(
            f"{strategy} needs to see every trial before the next, which a cluster does not wait for",
            "--cluster",
            "Use random, sobol, halving or tpe; or several terminals on one disk: orthogon tune --resume NAME",
        )
    if budget != "trials":
        raise UsageError("a cluster is given a number of trials", "--budget", "For instance: --budget 100")
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed", "--cluster", "Install it: pip install 'orthogon[cluster]'")


def _tuned(study: Study, workers: int, listen: Listener) -> None:
    from ray import tune

    _leave_waiting(study)
    count = int(study.plan.budget.amount - study.spent())
    trainable = tune.with_resources(
        tune.with_parameters(_trial, folder=str(study.project.folder), name=study.name), {"cpu": CPUS}
    )
    if study.plan.strategy == "tpe":
        space, searcher, samples = {}, _tpe(study), count
    else:
        space, searcher, samples = {"number": tune.grid_search(_numbers(study, count))}, None, 1
    scheduler = None
    if study.plan.strategy == "halving":
        scheduler = tune.schedulers.AsyncHyperBandScheduler(
            time_attr="mark", max_t=MARKS, grace_period=1, reduction_factor=REDUCTION
        )
    config = tune.TuneConfig(
        metric="value", mode="min", num_samples=samples, search_alg=searcher, scheduler=scheduler,
        max_concurrent_trials=workers, reuse_actors=True,
    )  # fmt: skip
    place = Path(study.folder / "ray")
    tuner = tune.Tuner(
        trainable, param_space=space, tune_config=config,
        run_config=tune.RunConfig(name=study.name, storage_path=str(place), verbose=0, callbacks=[_tells(listen)]),
    )  # fmt: skip
    found = list(tuner.fit())
    for result in sorted(found, key=lambda each: each.config.get("number", 0)):
        _put_down(study, result)
    if not any(result.metrics and "value" in result.metrics for result in found):
        raise RunError("not one trial came to an end", str(place), "Ray's logs are there; look at error.txt.")


def _leave_waiting(study: Study) -> None:
    """The first trial, which waits in the books for a process of the study's own, is one of Ray's here."""
    from optuna.trial import TrialState

    while study.books.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.books.tell(study.books.ask(), state=TrialState.FAIL)


def _numbers(study: Study, count: int) -> list[int]:
    """The next trials of the study; 0 is the config at hand."""
    begun = [trial.number for trial in study.rows()]
    return list(range(max(begun, default=-1) + 1, max(begun, default=-1) + 1 + count))


def overrides_of(study: Study, number: int) -> dict[str, Any]:
    """What trial `number` sets: the same as without a cluster."""
    if number == 0:
        return {}
    draw = search.sobol_point if study.plan.strategy == "sobol" else search.random_point
    point = draw(study.plan.seed, number, len(study.plan.space))
    return {key: law.at(u) for (key, law), u in zip(study.plan.space.items(), point, strict=True)}


def _tpe(study: Study) -> Any:
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    laws = {optuna_name(key, law): distribution(law) for key, law in study.plan.space.items()}
    first = {optuna_name(key, law): to_optuna(law, law.default) for key, law in study.plan.space.items()}
    sampler = optuna.samplers.TPESampler(seed=study.plan.seed)
    return OptunaSearch(space=laws, metric="value", mode="min", points_to_evaluate=[first], sampler=sampler)


_at_hand: dict[tuple[str, str], tuple[Study, Trials]] = {}  # of a worker process


def _trial(config: Mapping[str, Any], folder: str, name: str) -> None:
    """What a worker does: one trial, its figures kept in the project's folder."""
    import torch
    from ray import tune

    from orthogon.strategy.study import from_optuna

    torch.set_num_threads(1)
    if (folder, name) not in _at_hand:  # a process makes several trials
        made = Study(Project(folder), name)
        _at_hand[folder, name] = made, opened(made.project, made.plan)
    study, trials = _at_hand[folder, name]
    if "number" in config:
        overrides = overrides_of(study, int(config["number"]))
    else:
        laws = study.plan.space
        overrides = {key: from_optuna(law, config[optuna_name(key, law)]) for key, law in laws.items()}
        if all(config[optuna_name(key, law)] == to_optuna(law, law.default) for key, law in laws.items()):
            overrides = {}  # the config at hand, which may lie outside the limits
    curve: dict[str, float] = {}
    halving = study.plan.strategy == "halving"

    def report(mark: int, loss: float) -> bool:
        curve[str(mark)] = loss
        if halving and mark < MARKS and overrides:  # the config at hand is never stopped
            tune.report({"value": loss, "mark": mark, "curve": dict(curve), "overrides": overrides})
        return False

    came = study.attempt(trials, overrides, report)
    done = {"attrs": dict(came.attrs), "constraints": dict(came.constraints), "told": came.value}
    value = came.value if came.value is not None else 1e9
    # halving compares log-loss; what TPE is told is the metric
    value = curve.get(str(MARKS), value) if halving else value
    tune.report({"value": value, "mark": MARKS, "curve": curve, "overrides": overrides, "end": done})


def _tells(listen: Listener) -> Any:
    """A callback of Ray Tune that tells the listener of trials that ended; where Ray keeps it, it tells nobody."""
    from ray.tune import Callback

    class Tells(Callback):
        def __init__(self) -> None:
            self.listen: Listener | None = None
            self.ended = 0

        def __getstate__(self) -> dict[str, Any]:
            return {"listen": None, "ended": self.ended}

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self.ended += 1
            if self.listen is not None:
                end = (trial.last_result or {}).get("end", {}).get("attrs", {})
                told = {"error": end.get("error"), "why": end.get("why", ""), "spent": self.ended}
                self.listen({"event": "trial end", "number": self.ended, **told})

    made = Tells()
    made.listen = listen
    return made


def _put_down(study: Study, result: Any) -> None:
    """A trial of Ray as a trial of the study."""
    from optuna.trial import TrialState, create_trial

    told = result.metrics or {}
    if "curve" not in told:
        return  # it died before its first report
    overrides, ended = told["overrides"], told.get("end")
    laws = study.plan.space
    values = {key: overrides.get(key, law.default) for key, law in laws.items()}
    attrs = dict(ended["attrs"]) if ended else {"why": f"stopped after {int(told['mark']) / MARKS:.0%}: by halving"}
    attrs["seconds"] = attrs.get("seconds", float(told.get("time_total_s", 0.0)))
    if not overrides:
        attrs["default"] = True
    value = ended["told"] if ended else None
    frozen = create_trial(
        state=TrialState.COMPLETE if value is not None else TrialState.PRUNED,
        value=value,
        params={optuna_name(key, law): to_optuna(law, values[key]) for key, law in laws.items()},
        distributions={optuna_name(key, law): distribution(law) for key, law in laws.items()},
        user_attrs=attrs,
        intermediate_values={int(mark): loss for mark, loss in told["curve"].items()},
    )
    for limit, share in (ended["constraints"] if ended else {}).items():
        frozen.set_constraint(limit, share)
    study.books.add_trial(frozen)
