"""What to do next with a run, from its diagnosis, its history and the project's logbook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orthogon.errors import OrthogonError
from orthogon.metrics.intervals import estimate
from orthogon.project.config import put
from orthogon.strategy import advice, chain, ideas
from orthogon.strategy.beliefs import shipped
from orthogon.strategy.curve import LearningCurve
from orthogon.strategy.knobs import REAL_WORLD

if TYPE_CHECKING:
    from orthogon.api.known import KnownRun


def advise(run: KnownRun, k: int = 3, disappoints: bool = False) -> list[advice.Step]:
    """Up to k steps that aim at the largest material gap, ranked, and the ideas of the logbook among them.

    Args:
        disappoints: those who use it are not content, whatever dev says.
    """
    if run.members:
        return []
    sizes, logbook = run.info["split_sizes"], run.project.logbook()
    beliefs, diagnosis = shipped().after(logbook), run.diagnose()
    found = advice.next_steps(
        diagnosis,
        run.config,
        sizes,
        k=k,
        tried=_tried(run.id, logbook),
        history=run.history(),
        ending=run.ending(),
        leaks=run.giveaways(),
        beliefs=beliefs,
        multiply_adds=partial(_multiply_adds, run),
        hints=_hints(run),
    )
    if disappoints and chain.broken_in(diagnosis, real_world=False) is chain.CHAIN[-1]:
        found = advice.ranked(diagnosis, REAL_WORLD, run.config, sizes, beliefs=beliefs)
    thought_of = ideas.board(logbook)
    if thought_of and "dev" in run.splits():
        on_dev = estimate(run.scores("dev"), run.metric)
        found = ideas.with_ideas(found, ideas.steps_of(thought_of, on_dev, run.config, beliefs))
    return [replace(step, number=number) for number, step in enumerate(found, start=1)]


def _tried(run: str, logbook: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(knob, gap) of the steps that were taken from this run, or on the way to it, and did not help."""
    taken = [entry for entry in logbook if entry["event"] == "step taken"]
    parents = {entry["run"]: entry["parent"] for entry in taken}
    way = [run]
    while way[-1] in parents:
        way.append(parents[way[-1]])
    return {(entry["knob"], entry["gap"]) for entry in taken if entry["verdict"] != "helped" and entry["parent"] in way}


def _multiply_adds(run: KnownRun, overrides: Mapping[str, Any]) -> float | None:
    """Of the network under these overrides, for one example, forward; None where it cannot be built."""
    if not overrides:
        return float(run.info["cost"]["multiply_adds"]) if "cost" in run.info else None
    from orthogon.models.describe import describe

    values = json.loads(json.dumps(run.config))
    for key, value in overrides.items():
        put(values, key, value)
    try:
        task = run.task_as(values)
        return float(describe(task.network(), task.example_inputs(1)).multiply_adds)
    except (OrthogonError, RuntimeError, ValueError):  # a config that no network can be made of is never proposed
        return None


def _hints(run: KnownRun) -> dict[str, str]:
    """Knob -> how many examples a person should bring, and of which classes or groups: those that fail most."""
    more = run.info["split_sizes"].get("train", 0) // 2
    weakest = run.mistakes(run.judged_split).weakest()
    which = f" Begin where it fails most: {weakest}." if weakest else ""
    told = {knob: f"In rounds, the first of about {advice.about(more)}.{which}" for knob in advice.BY_EXAMPLES}
    curve = run.kept(LearningCurve)
    if curve is not None:
        told["more data"] = f"{curve.sentences()[0]} {told['more data']}"
    return told
