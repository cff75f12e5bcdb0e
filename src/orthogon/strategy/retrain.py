"""Studies of a finished run that train on the side: from the run to its trials, and back to a finding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orthogon.errors import UsageError
from orthogon.strategy import curve, probes
from orthogon.strategy.diagnosis import BIAS, MATERIAL, Diagnosis, smallest_worth_acting_on

if TYPE_CHECKING:
    from orthogon.metrics.score import Metric
    from orthogon.project.trial import Trials
    from orthogon.run.folder import Run

Listen = Callable[[dict[str, Any]], None]


def trials_of(run: Run) -> Trials:
    """The trials of the run's project on its config.

    Raises:
        UsageError: the run is an ensemble; RunError: its data is not what it was trained on.
    """
    from orthogon.errors import RunError
    from orthogon.project.config import parse
    from orthogon.project.project import Project
    from orthogon.project.trial import Trials

    if run.members:
        raise UsageError(
            f"run {run.id} is an ensemble, and was not trained",
            str(run.folder),
            f"Study one of its members: orthogon diagnose {int(run.members[0])}",
        )
    found = Trials(Project(run.folder.parent.parent), parse(run.config))
    if found.examples.fingerprint() != run.info["fingerprint"]:
        raise RunError(
            f"the data of run {run.id} has changed since it was trained",
            found.config.data.source,
            "Train anew: orthogon train",
        )
    return found


def curve_of_run(
    run: Run,
    diagnosis: Diagnosis,
    metric: Metric,
    by: curve.By = "data",
    workers: int | None = None,
    listen: Listen | None = None,
) -> curve.LearningCurve:
    """Train the curve's points and judge them."""
    tell = listen or (lambda event: None)
    tell({"event": "stage", "stage": "reading the data"})
    trials = trials_of(run)
    points, seconds = curve.measure(trials, metric, steps=run.info["steps"], by=by, workers=workers, listen=tell)
    return curve.judge(
        points,
        metric,
        diagnosis.rung("dev").n,
        by=by,
        steps=run.info["steps"],
        seconds=seconds,
        smallest_gap=diagnosis.smallest_gap,
        floor=noise_floor(diagnosis, metric),
    )


def noise_floor(diagnosis: Diagnosis, metric: Metric) -> float:
    """The error that no data gets below: wrong labels in dev, where they were studied and are known; at their least.

    People's error is no such floor: a network may pass it.
    """
    noise = diagnosis.noise.get("dev")
    return noise.low if noise is not None and noise.known and metric.kind == "proportion" else 0.0


def probe_run(run: Run, diagnosis: Diagnosis, metric: Metric, listen: Listen | None = None) -> probes.Probes:
    """Run both probes on a run whose bias is real.

    Raises:
        UsageError: its bias is not material, so that there is nothing to tell apart.
    """
    tell = listen or (lambda event: None)
    bias = diagnosis.gap(BIAS)
    if bias is None or bias.verdict != MATERIAL:
        told = "none was measured" if bias is None else f"{diagnosis.show_gap(bias)}, {bias.verdict}"
        raise UsageError(
            f"run {run.id} has no material bias to tell the cause of ({told})",
            "--probe",
            "Look at its largest gap instead: orthogon diagnose",
        )
    tell({"event": "stage", "stage": "reading the data"})
    train, made = probes.trainer(trials_of(run), metric, tell)
    error = diagnosis.rung("train").value
    delta = smallest_worth_acting_on(metric, error, None) if metric.unit == "%" else diagnosis.smallest_gap
    baselines = run.baselines()
    trivial = metric.error(baselines[0]["scores"]) if baselines else math.inf
    found = probes.probe(train, error, run.info["steps"], delta, metric.unit, trivial)
    return replace(found, seconds=sum(trial.seconds for trial in made))
