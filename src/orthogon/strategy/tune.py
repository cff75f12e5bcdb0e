"""From a project to a study, and from a study to the run of its best configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orthogon.errors import UsageError, did_you_mean
from orthogon.project.config import ProjectConfig, apply_sets, get, parse, put
from orthogon.project.project import Listener, Project
from orthogon.project.trial import Trials
from orthogon.run.folder import Run, write_json
from orthogon.strategy.study import STRATEGIES, Budget, Study, narrowed, new_plan, next_name, opened, parse_budget
from orthogon.strategy.tuning import Tuning, keep, result
from orthogon.training.space import TIERS, Parameter, Space, limited_to

KNOB = "tuned"


def space_of(trials: Trials, tiers: int = 3, sets: Sequence[str] = ()) -> tuple[Trials, Space]:
    """What is to be varied, and the trials with what was fixed put into their config.

    Args:
        tiers: 1 varies the learning rate alone, 4 everything. A range in `sets` is varied whatever its tier.
    Raises:
        UsageError: there is no such tier, or nothing is left to vary. ConfigError: a range cannot be.
    """
    if tiers not in TIERS:
        raise UsageError(f"there is no tier {tiers}", "--tiers", "1 varies the learning rate alone, 4 everything.")
    values = trials.config.model_dump(mode="json")
    declared = trials.task.search_space(trials.config.training)
    _, fixed = narrowed(declared, sets, values)
    if fixed:
        config = parse(apply_sets(values, list(fixed.values())))
        trials = Trials(trials.project, config)
        values, declared = config.model_dump(mode="json"), trials.task.search_space(config.training)
    asked, _ = narrowed({}, [each for each in sets if each not in fixed.values()], values)
    whole, _ = narrowed(declared, [each for each in sets if each not in fixed.values()], values)
    chosen = limited_to({key: law for key, law in declared.items() if key not in fixed}, tiers)
    space: dict[str, Parameter] = {key: whole[key] for key in whole if key in chosen or key in asked}
    if not space:
        raise UsageError("nothing is left to vary", "--set, --tiers", "Fix fewer parameters, or take more tiers.")
    return trials, space


def begin(
    project: Project,
    config: ProjectConfig,
    base: str | None,
    *,
    strategy: str,
    budget: str | int | Budget,
    tiers: int,
    sets: Sequence[str],
    name: str | None,
    seed: int,
    prune: bool,
) -> tuple[Study, Trials]:
    """A new study around this config.

    Raises:
        UsageError: the strategy is none, the budget is none, the name is taken, or there is no dev set to choose by.
    """
    if strategy not in STRATEGIES:
        raise UsageError(f'"{strategy}" is not a strategy', "--strategy", did_you_mean(strategy, STRATEGIES))
    allowed = parse_budget(budget)
    if name is not None and (
        not name or name != "".join(c for c in name if c.isalnum() or c in "-_.") or name[0] == "."
    ):
        raise UsageError(f'"{name}" cannot name a folder', "--name", "Use letters, digits, - and _.")
    trials, space = space_of(Trials(project, config), tiers, sets)
    if not len(trials.splits.parts.get("dev", ())):
        raise UsageError(
            "there is no dev set to choose by", "data.dev", "Tuning chooses on dev and never on test: set data.dev=0.2"
        )
    plan = new_plan(
        trials,
        space,
        name=name or next_name(project),
        strategy=strategy,
        budget=allowed,
        seed=seed,
        tiers=tiers,
        prune=prune,
        base=base,
    )
    return Study.create(project, plan), trials


def join(project: Project, name: str) -> tuple[Study, Trials]:
    """A study that is there, to go on with or to help with.

    Raises:
        UsageError: there is none of this name. RunError: its data has changed.
    """
    study = Study(project, name)
    return study, opened(project, study.plan)


def found(study: Study, trials: Trials, ended: str = "") -> Tuning:
    """What the study has found, kept in its folder."""
    tuning = result(study, trials.task, trials.examples.fingerprint(), len(trials.examples), ended)
    told = study.books.user_attrs.get("run", {})
    if told.get("trial") == tuning.best and (study.project.folder / "runs" / str(told.get("run"))).is_dir():
        tuning = replace(tuning, run=told["run"])
    keep(study, tuning)
    return tuning


def train_best(study: Study, tuning: Tuning, listen: Listener | None = None) -> tuple[Tuning, Run | None]:
    """Train the best configuration as a run, knob "tuned", with what is expected of it; None where there is none new.

    Its weights are those of the trial, so dev says nothing new; test is its first independent witness.
    """
    if tuning.best is None or not tuning.overrides or tuning.run is not None:
        return tuning, None
    values = json.loads(json.dumps(study.plan.config))
    for key, value in tuning.overrides.items():
        put(values, key, value)
    value, low, high = tuning.gain or (0.0, 0.0, 0.0)
    off = tuning.optimism or 0.0
    expected = {"value": value - off, "low": low - off, "high": high - off}
    run = study.project.train(parse(values), parent=study.plan.base, knob=KNOB, expected=expected, listen=listen)
    if not run.finished:
        return tuning, run
    study.books.set_user_attr("run", {"run": run.id, "trial": tuning.best})
    tuning = replace(tuning, run=run.id)
    keep(study, tuning)
    told: dict[str, Any] = {
        "study": study.name,
        "trial": tuning.best,
        "overrides": dict(tuning.overrides),
        "dev_error": run.info["dev_error"],
        "corrected": tuning.corrected,
        "optimism": tuning.optimism,
        "expected": expected,
        "fingerprint": tuning.fingerprint,
        "tuned": tuning.created,
        "num_examples": tuning.num_examples,
    }
    write_json(run.derived / "tuning.json", told)
    study.project.log("tuned", run=run.id, parent=study.plan.base, **told)
    return tuning, run


def witness(tuning: Tuning, run: Run) -> str:
    """Expected beside measured: what test says of the run, which the choice has never seen."""
    metric = run.task().metrics()[tuning.metric]
    if "test" not in run.splits() or tuning.corrected is None:
        return ""
    from orthogon.metrics.intervals import estimate

    seen = estimate(run.scores("test"), metric).interval()
    inside = seen.low <= tuning.corrected <= seen.high
    return (
        f"Expected on new examples {tuning.show(tuning.corrected)}; test, which no trial has seen, says "
        f"{tuning.show(seen.value)} ({tuning.show(seen.low)} to {tuning.show(seen.high)}): "
        f"{'as expected' if inside else 'not as expected'}. On dev it looked like {tuning.show(run.info['dev_error'])}."
    )


def tuned_from(run: Run, project: Project) -> Mapping[str, Any] | None:
    """The tuning whose settings a run carries: its own, or of the runs it steps from; None where there is none."""
    seen: set[str] = set()
    here: str | None = run.id
    while here is not None and here not in seen:
        seen.add(here)
        folder = project.folder / "runs" / here
        path = folder / "derived" / "tuning.json"
        if path.exists():
            told: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            mine = run.config
            return told if any(get(mine, key) == value for key, value in told["overrides"].items()) else None
        try:
            here = json.loads((folder / "run.json").read_text(encoding="utf-8")).get("parent")
        except (OSError, ValueError):
            return None
    return None
