"""The runs that a run competes with: those scored on the same dev set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.api.figures import own_metric, yardstick
from orthogon.metrics.select import Candidate, select
from orthogon.project.config import differences
from orthogon.run.cost import figures_of
from orthogon.strategy.optimism import tried

if TYPE_CHECKING:
    from orthogon.metrics.score import Scores
    from orthogon.project.project import Project
    from orthogon.run.folder import Run


def rivals(run: Run, project: Project) -> list[Run]:
    """Every finished run scored on the same dev set, this one among them: what a choice was made from."""
    if "dev" not in run.splits():
        return []
    mine, labels = run.scores("dev").ids, run.info.get("labels", "")
    return [
        other
        for other in project.runs()
        if other.finished
        and "dev" in other.splits()
        and other.info["fingerprint"] == run.info["fingerprint"]
        and other.info.get("labels", "") == labels
        and np.array_equal(other.scores("dev").ids, mine)
    ]


def candidates(run: Run, project: Project) -> list[Scores]:
    """Dev scores of every system ever compared on this dev set: finished runs, and whole trials."""
    runs = rivals(run, project)
    if not runs:
        return []
    data = [run.info["fingerprint"], run.info["splits_key"]]
    trials = tried(project.folder / "trials", data, run.scores("dev"), [other.config for other in runs])
    return [*(other.scores("dev") for other in runs), *trials]


def other_seeds(run: Run, project: Project) -> list[Run]:
    """Runs that differ from this one in the seed alone, this one first; empty when there is no other."""
    if run.members or run.info.get("changes"):  # what was changed by hand is no repetition of anything
        return []
    mine = run.config
    others = [
        other
        for other in rivals(run, project)
        if other.id != run.id
        and not other.members
        and not other.info.get("changes")
        and set(differences(mine, other.config)) == {"seed"}
    ]
    return [run, *others] if others else []


def better_run(run: Run, project: Project) -> str | None:
    """The best run on the same dev set, when it is not this one: by this one's metric, and within its limits."""
    limits, name = run.config["metrics"]["satisfice"], "dev error"
    known, mine = set(run.task().metrics()), yardstick(run, own_metric(run))
    found = [
        Candidate(other.id, {**figures_of(other, limits), name: other.info["dev_error"]})
        for other in rivals(run, project)
        if yardstick(other, own_metric(other)) == mine and known.union(other.info.get("cost", {})) >= set(limits)
    ]
    places = {place.name: place for place in select(found, name, limits).ranking} if found else {}
    if run.id not in places:
        return None
    best, own = next(iter(places.values())), places[run.id]
    better = best.feasible and (not own.feasible or best.value < own.value)
    return best.name if better else None
