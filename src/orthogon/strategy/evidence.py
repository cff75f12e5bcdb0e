"""What the autopilot learns on the way, and pays little or nothing for.

    noise        dev's labels against the answers that the incumbent gave there: dev was not learned from, so these are
                 out of fold as they are, and the gates of `floor.label_noise` hold for them. Where dev is drawn like
                 train, it is train's noise too, and the floor of both.
    sub-cause    every step of rate, length or size is a probe: the first two help where the optimisation is what
                 limits the fit, the last where the capacity is. What each took away of the train error says which, by
                 the rule of `probes.judge`, and the other kind is then expected to bring as much less against bias.

A study of their own costs trainings that are no candidates: 3 runs for answers out of fold (`label_study`), 5 and more
for the two probes (`probes`). `STUDIES` says how much of the budget may go there, and `worth_*` when they would change
anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.strategy import floor
from orthogon.strategy.advice import OF_SUB_CAUSE
from orthogon.strategy.diagnosis import SMALLEST_SHARE
from orthogon.strategy.floor import Noise
from orthogon.strategy.label_study import FOLDS, classes_by_id, probs_of
from orthogon.strategy.probes import CAPACITY, LEAST_UPDATES, LONGER, OPTIMISATION, RACE_SHARE, RECOVERED

if TYPE_CHECKING:
    from orthogon.project.trial import Trial, Trials

STUDIES = 0.1  # of the budget, that trainings may take which are only to know what to do
HALF = 0.5  # of the train error: two steps of one kind that took less away leave the other kind to be tried
LEAST_SHARE = 0.1  # of what it was expected to bring, that a knob of the other kind is still expected to
OUT_OF_FOLD_RUNS = FOLDS - 1.0  # FOLDS trainings on FOLDS - 1 parts of FOLDS


class DevNoise:
    """Wrong labels as far as answers on dev tell; what does not depend on the answers is computed once.

    why: why there is nothing to tell for this task; empty where there is.
    """

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.why = "" if trials.task.class_names() else "wrong labels are told of examples with one class each"
        self.neighbours: float | None = None
        self._ready = False

    def of(self, trial: Trial) -> Noise | None:
        """By the answers of this trial's network; None where the task has no classes, or its answers are not kept."""
        probs = trial.answers["dev"].values.get("probs") if "dev" in trial.answers else None
        if self.why or probs is None or np.ndim(probs) not in (1, 2):
            return None
        self._prepare()
        names = self.trials.task.class_names()
        probs = probs_of(trial, "dev", self.ids, len(names))
        found = floor.label_noise(probs, self.truth)
        if found.known and found.value > SMALLEST_SHARE:
            found = floor.label_noise(probs, self.truth, self._views(), neighbours=self.neighbours)
            self.neighbours = found.neighbours
        return found

    def _prepare(self) -> None:
        if self._ready:
            return
        truth, ids = classes_by_id(self.trials), self.trials.splits["dev"]
        ids = ids[truth[ids] >= 0]
        _, first = np.unique(self.trials.examples.take(ids).content_keys(), return_index=True)
        self.ids = ids[np.sort(first)]  # a copy is no neighbour that anybody labelled anew
        self.truth = truth[self.ids]
        self._ready = True

    def _views(self) -> Mapping[str, Any]:
        raw = self.trials.task.plain_inputs(self.trials.examples.take(self.ids))
        return {} if raw is None else {"inputs": floor.standardised(raw)}


def worth_out_of_fold(noise: Noise | None) -> bool:
    """Whether dev's answers see wrong labels that they are too few to be sure of: then train's would tell."""
    return noise is not None and noise.known and noise.value > SMALLEST_SHARE >= noise.low


def probe_runs(updates: int, wider: float) -> float:
    """What the two probes cost in runs, at least; wider: multiply-adds of the wide network, of the run's."""
    longer = max(LONGER * updates, LEAST_UPDATES) / max(updates, 1)
    return (3 * RACE_SHARE + 1) * longer * (1 + wider)


@dataclass
class Fits:
    """What steps took away of the train error, as a share of it, by the kind of step."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    given: str | None = None  # by the two probes themselves

    def see(self, knob: str, before: float, after: float) -> None:
        """A step and the train error before and after it, whatever gap it aimed at: wider is wider."""
        if not before > 0 or not math.isfinite(after):
            return
        for kind, knobs in OF_SUB_CAUSE.items():
            if knob in knobs:
                self.taken.setdefault(kind, []).append(1 - after / before)

    @property
    def best(self) -> dict[str, float]:
        return {kind: max(0.0, max(shares)) for kind, shares in self.taken.items()}

    @property
    def sub_cause(self) -> str | None:
        """ "optimisation", "capacity", or None before both kinds were tried, or where neither took anything away."""
        if self.given is not None:
            return self.given
        best = self.best
        if len(best) < 2 or not max(best.values()) > 0:
            return None
        return OPTIMISATION if best[OPTIMISATION] >= RECOVERED * max(best.values()) else CAPACITY

    @property
    def due(self) -> tuple[str, ...]:
        """The knobs to try before a third step of the other kind, where two of it took less than half away."""
        if self.given is not None or len(self.taken) != 1:
            return ()
        ((tried, shares),) = self.taken.items()
        if len(shares) < 2 or max(shares) >= HALF:
            return ()
        return next(knobs for kind, knobs in OF_SUB_CAUSE.items() if kind != tried)

    def share(self, knob: str) -> float:
        """Of what this knob is expected to bring against bias, by what its kind brought beside the other."""
        sub_cause = self.sub_cause
        kind = next((kind for kind, knobs in OF_SUB_CAUSE.items() if knob in knobs), None)
        if sub_cause is None or kind is None or kind == sub_cause:
            return 1.0
        if self.given is not None:
            return LEAST_SHARE
        best = self.best
        return max(LEAST_SHARE, best[kind] / max(best.values()))

    def sentence(self) -> str:
        """What the steps say together."""
        best = self.best
        rate, size = (f"{100 * best[kind]:.0f} %" for kind in (OPTIMISATION, CAPACITY))
        said = f"{rate} of the train error went by rate and length, {size} by size"
        limits = "the optimisation" if self.sub_cause == OPTIMISATION else "the capacity of the network"
        return f"The steps taken were probes too: at best {said}. What limits it is {limits}."


__all__ = ["STUDIES", "DevNoise", "Fits", "probe_runs", "worth_out_of_fold"]
