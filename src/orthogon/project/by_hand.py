"""Watching one run and turning its knobs while it trains: pause, change, go on, and a way back.

A run that was paused (Ctrl-C) or killed goes on with other settings from where it stands, or from an earlier
checkpoint. Only settings that leave the weights and the order of examples what they are can be changed; the rest makes
a new run. Every change is kept in the run, with the state before it, until it is finished; a run that was changed is no
longer a function of its config alone, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orthogon.errors import RunError, UsageError, did_you_mean
from orthogon.project.config import apply_sets, differences, parse
from orthogon.run.folder import Run, now
from orthogon.training import checkpoint

CHANGEABLE = (
    "training.lr",
    "training.momentum",
    "training.beta2",
    "training.weight_decay",
    "training.l1",
    "training.label_smoothing",
    "training.clip_norm",
    "training.clip_value",
    "training.schedule",
    "training.decay_rate",
    "training.decay_every",
    "training.plateau_factor",
    "training.plateau_patience",
    "training.lr_by_epoch",
    "training.lr_warmup_steps",
    "training.epochs",
    "training.steps",
    "training.patience",
    "training.keep_best",
    "training.evaluate_every",
    "training.monitor_every",
    "training.gradient_range",
    "training.checkpoint_minutes",
    "training.checkpoints_kept",
    "task.dropout",
    "task.augment.",
)


def change(run: Run, sets: Sequence[str], rollback: int | None = None) -> dict[str, Any]:
    """Give a paused run other settings, or take it back to an earlier step, or both; it goes on from there.

    Args:
        run: killed or interrupted. sets: "key=value". rollback: a step; the newest checkpoint up to it is taken.
    Returns:
        What was done, as it is kept in run.json: time, step, changed (key -> [old, new]), rolled_back_from and
        abandoned (the evaluations that were given up), where it went back.
    Raises:
        UsageError: a setting cannot change while a run is paused. RunError: there is no checkpoint to go on from.
    """
    known = checkpoint.steps(run.folder)
    found = checkpoint.load(run.folder)
    if not known or found is None:
        raise RunError(
            f"run {run.id} has no checkpoint to change anything at", str(run.folder), "Start it anew: orthogon train"
        )
    before = int(found[1]["step"])
    step = before
    if rollback is not None:
        earlier = [each for each in known if each <= rollback]
        if not earlier:
            raise UsageError(
                f"there is no checkpoint of step {rollback:,} or before",
                f"--rollback {rollback}",
                f"There are those of steps {', '.join(map(str, known))}; training.checkpoints_kept keeps more.",
            )
        step = earlier[-1]
    config = parse(apply_sets(run.config, sets))
    values = config.model_dump(mode="json")
    changed = {key: list(pair) for key, pair in differences(run.config, values).items()}
    _refuse(run, changed)
    total = _new_total(changed, values["training"], found[1]["schedule"]["steps_per_epoch"], step)
    abandoned = [] if step == before else [event for event in run.history() if event["step"] > step]
    if step == before:
        checkpoint.hold(run.folder, step)
    else:
        checkpoint.go_back(run.folder, step)
    state = _rewritten(run, step, changed, values["training"], total)
    if changed:
        run.save_config(values)
    done = {"time": now(), "step": step, "changed": changed}
    if step != before:
        done |= {"rolled_back_from": before, "abandoned": [_point(event) for event in abandoned]}
    if changed or step != before:
        run.note(changes=[*run.info.get("changes", []), done], planned_steps=state["total_steps"])
    return done


def _refuse(run: Run, changed: Mapping[str, Any]) -> None:
    for key in changed:
        if not any(key == each or (each.endswith(".") and key.startswith(each)) for each in CHANGEABLE):
            raise UsageError(
                f"{key} cannot change while a run is paused: its weights or its batches would be others",
                f"--set {key}",
                f"{did_you_mean(key, CHANGEABLE)} Or a new run: orthogon train {int(run.id)} --set {key}=…",
            )


def _new_total(changed: Mapping[str, Any], training: Mapping[str, Any], steps_per_epoch: int, step: int) -> int | None:
    """Updates in all, where that was changed; None where it was not."""
    if not {"training.epochs", "training.steps"} & set(changed):
        return None
    total = int(training["steps"] or training["epochs"] * steps_per_epoch)
    if total <= step:
        raise UsageError(
            f"{total:,} updates are not more than the {step:,} it has made",
            "--set training.epochs",
            "Give it more, or go back first: --rollback STEP",
        )
    return total


def _rewritten(
    run: Run, step: int, changed: Mapping[str, Any], training: Mapping[str, Any], total: int | None
) -> Mapping[str, Any]:
    """The checkpoint of this step with the new settings in it, where the loop looks for them first."""
    found = checkpoint.load(run.folder, step)
    assert found is not None
    tensors, state = found
    if not changed:
        return state
    skipped = state.pop("skipped")
    assert not skipped
    state["config"] = dict(training)
    state["status"] = None
    if "training.lr" in changed:
        state["lr"] = training["lr"]
    if total is not None:
        state["total_steps"] = state["schedule"]["total_steps"] = total
    if "training.patience" in changed:
        state["bad_evaluations"] = 0
    checkpoint.save(run.folder, step, tensors, state, kept=training["checkpoints_kept"])
    return state


def _point(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in ("step", "loss", "dev_loss", "dev_error") if key in event}


def in_words(changes: Sequence[Mapping[str, Any]]) -> str:
    """What was done to a run by hand, in sentences; empty where nothing was."""
    if not changes:
        return ""
    told = []
    for each in changes:
        back = f"taken back from step {each['rolled_back_from']:,} to " if "rolled_back_from" in each else "at "
        settings = ", ".join(f"{key} {_short(old)} → {_short(new)}" for key, (old, new) in each["changed"].items())
        told.append(f"{back}step {each['step']:,}{': ' if settings else ''}{settings}")
    return (
        f"Changed by hand on the way: {'; '.join(told)}. Its weights are no longer a function of its config and seed "
        "alone."
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)
