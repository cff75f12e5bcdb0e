"""Search hyper-parameters around a run, and train the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orthogon.api.run import Run
from orthogon.errors import UsageError
from orthogon.project.config import parse
from orthogon.project.project import Project

if TYPE_CHECKING:
    from orthogon.project.project import Listener
    from orthogon.project.trial import Trials
    from orthogon.strategy.study import Study
    from orthogon.strategy.tuning import Tuning


def tune(
    base: str | None = None,
    *,
    project: str | Path | None = None,
    strategy: str | None = None,
    budget: str | int = 20,
    tiers: int = 3,
    sets: Sequence[str] = (),
    workers: int = 1,
    name: str | None = None,
    seed: int = 0,
    prune: bool = True,
    train_best: bool = True,
    cluster: str | None = None,
    listen: Listener | None = None,
) -> Tuning:
    """Search hyper-parameters around a run's config, and train the best as a run; dev judges, test is never looked at.

    Args:
        base: the run to start from; the latest finished one, or orthogon.yaml where there is none.
        strategy: random, sobol, coarse-to-fine, tpe, halving or hyperband; coarse-to-fine if None, on a cluster tpe.
        budget: trials (30, "30"), time ("10min", "2h") or compute ("20runs": trainings as dear as the first).
        tiers: how far down the order of importance: 1 the learning rate alone, 4 everything.
        sets: "training.lr=1e-4..1e-2" sets a range, "task.cell=[lstm, gru]" choices, "task.width=64" fixes a value.
        workers: processes beside each other. name: of the study; a number if None. seed: of the points.
        prune: stop trials whose dev log-loss lags behind.
        train_best: train the best as a run in the end.
        cluster: address of a Ray cluster, "auto" or "local"; then random, sobol, halving or tpe, in trials.
        listen: called with {"event": "study", "study": ...}, then with every event of trials and trainings.
    Raises:
        UsageError, ConfigError: what cannot be searched, and what to do.
    """
    from orthogon.strategy import tune as tuner
    from orthogon.strategy.study import DEFAULT

    if cluster is not None:
        from orthogon.strategy.cluster import refuse
        from orthogon.strategy.study import parse_budget

        strategy = strategy or "tpe"  # the default needs to see every trial before the next round
        refuse(strategy, parse_budget(budget).kind)
    here = Project.find(project)
    chosen = here.run(base) if base is not None else next((r for r in reversed(here.runs()) if r.finished), None)
    if chosen is not None and chosen.members:
        raise UsageError(
            f"run {chosen.id} is an ensemble", "", f"Tune a member: orthogon tune {int(chosen.members[0])}"
        )
    config = here.config() if chosen is None else parse(chosen.config)
    study, trials = tuner.begin(
        here,
        config,
        None if chosen is None else chosen.id,
        strategy=strategy or DEFAULT,
        budget=budget,
        tiers=tiers,
        sets=sets,
        name=name,
        seed=seed,
        prune=prune,
    )
    return _tuned(study, trials, workers, train_best, listen, cluster)


def resume_tuning(
    name: str,
    *,
    project: str | Path | None = None,
    workers: int = 1,
    train_best: bool = True,
    listen: Listener | None = None,
) -> Tuning:
    """Go on with a study, or help another process at work on it.

    Raises:
        UsageError: there is none of this name. RunError: its data has changed.
    """
    from orthogon.strategy import tune as tuner

    study, trials = tuner.join(Project.find(project), name)
    return _tuned(study, trials, workers, train_best, listen)


def _tuned(
    study: Study,
    trials: Trials,
    workers: int,
    train_best: bool,
    listen: Listener | None,
    cluster: str | None = None,
) -> Tuning:
    """Work on a study to its end; keep what was found as result.json and tune.html, and the best as a run."""
    from orthogon.report.tuning import write_page
    from orthogon.strategy import tune as tuner

    tell = listen or (lambda event: None)
    tell({"event": "study", "study": study})
    try:
        if cluster is None:
            ended = study.work_beside(trials, workers, tell)
        else:
            from orthogon.strategy.cluster import work_on_ray

            ended = work_on_ray(study, cluster, workers, tell)
    except KeyboardInterrupt:
        write_page(tuner.found(study, trials, "stopped"), study.folder / "tune.html")
        raise
    tuning = tuner.found(study, trials, ended)
    if train_best and not study.at_work():
        tell({"event": "study over", "tuning": tuning})
        tuning, made = tuner.train_best(study, tuning, listen)
        if made is not None and made.finished:
            Run(made.folder).write_report()
    write_page(tuning, study.folder / "tune.html")
    return tuning


def tunings(*, project: str | Path | None = None) -> list[Tuning]:
    """Every study of the project as it was kept last, with a word on those that are older than the data."""
    from orthogon.strategy import tuning as found
    from orthogon.strategy.study import studies

    here = Project.find(project)
    kept = [each for study in studies(here) if (each := found.kept(study)) is not None]
    examples = here.read(here.config()) if kept else None
    if examples is None:
        return []
    now, size = examples.fingerprint(), len(examples)
    return [
        replace(each, stale=found.stale(each.created, each.fingerprint, each.num_examples, now, size)) for each in kept
    ]
