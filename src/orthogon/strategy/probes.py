"""Why a network does not fit its own examples: the optimisation, or the capacity.

Two probes of equal cost, both judged by the train error:

    A  same network, the best learning rate of a short race, then a longer training
    B  the same with a network eight times as wide

If A takes away at least 95 % of what the better of the two takes away, the optimiser was what was missing: a better
rate and more updates do it alone. Else it was capacity. Where A alone takes away 95 % of the whole train error, B, the
dear one, cannot change that and is not trained. Where neither takes away what is worth acting on, the probes
cannot say, and the cause lies elsewhere: in the features, in the labels, or in what the floor is taken to be.

Each race tries {1/3, 1, 3} times the rate. While the best lies at an edge it goes on in that direction; where the
run has learned nothing and no rate takes away a fifth of its error, which is best is luck, and it goes on in both. With
Adam at 0.5, three rates around it are all hopeless.
Differs: 95 % and not 80 %, as the race walks on: at 27 times the rate even three hidden units come to fit 90 % of what
they did not (P2 leaves at least a tenth of its error to A, P3 and P4 nothing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.errors import UsageError
from orthogon.metrics.score import with_unit
from orthogon.shown import Shown, plain
from orthogon.strategy.knobs import read

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orthogon.metrics.score import Metric
    from orthogon.project.trial import Recipe, Trial, Trials

OPTIMISATION, CAPACITY = "optimisation", "capacity"
STEP = 3.0  # between two learning rates of a race
MOST_STEPS = 6  # that a race goes on
LONGER = 3  # times the updates of the run, and at least
LEAST_UPDATES = 600  # in the longer training, and
RACE_SHARE = 0.25  # of the longer training that each rate of a race gets
WIDER = 8
UNTRAINED = 0.9  # of the trivial error: a run that leaves more has learned nothing
HOPELESS = 0.8  # of the run's train error: a rate that leaves more does not train
RECOVERED = 0.95  # of the better probe's, from which on A alone is enough

Train = Callable[[Sequence["Setting"]], Sequence[float]]
Listen = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Setting:
    """A training of a probe: updates, its learning rate as a multiple of the run's, its width likewise."""

    updates: int
    lr_times: float = 1.0
    width_times: int = 1


@dataclass(frozen=True)
class Probes(Shown):
    """What the two probes found.

    train_error: of the run. same, wider: train error after probe A and B; B is None where A settled it. lr_same,
    lr_wider: the rate that won each race, as a multiple of the run's. updates: of the longer trainings.
    sub_cause: "optimisation", "capacity", or None where neither probe takes away `smallest_gap`.
    """

    train_error: float
    same: float
    wider: float | None
    lr_same: float
    lr_wider: float | None
    updates: int
    smallest_gap: float
    sub_cause: str | None
    unit: str = "%"
    trainings: int = 0
    seconds: float = 0.0
    format: int = field(default=1)

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Probes:
        """The inverse of `to_dict`; an error that was not finite is infinite."""
        lost = {"same": math.inf} if values["same"] is None else {}
        if values["wider"] is None and values["lr_wider"] is not None:
            lost["wider"] = math.inf
        return cls(**{**values, **lost})

    def sentence(self) -> str:
        """The finding in plain words."""
        show = lambda value: with_unit(value, self.unit)  # noqa: E731
        a = f"the same network with {self.lr_same:.3g} times the learning rate and {self.updates:,} updates"
        told = f"The train error of {show(self.train_error)} became {show(self.same)} in {a}"
        told += "." if self.wider is None else f", and {show(self.wider)} in one {WIDER} times as wide."
        if self.sub_cause == OPTIMISATION:
            return f"{told} So the optimisation is what limits it, not the size of the network."
        if self.sub_cause == CAPACITY:
            return f"{told} So the network is too small for its examples: capacity is what limits it."
        return (
            f"{told} Neither is a step worth taking: look at the inputs, the labels and the floor before the network."
        )

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table("", "train error", "learning rate", "updates", box=None, pad_edge=False, header_style="dim")
        for column in table.columns[1:]:
            column.justify = "right"
        table.add_row("the run", with_unit(self.train_error, self.unit), "x 1", "")
        table.add_row("A  same network", with_unit(self.same, self.unit), f"x {self.lr_same:.3g}", f"{self.updates:,}")
        if self.wider is not None and self.lr_wider is not None:
            wider = with_unit(self.wider, self.unit)
            table.add_row(f"B  {WIDER} times as wide", wider, f"x {self.lr_wider:.3g}", f"{self.updates:,}")
        return Group(table, Text(""), Text(self.sentence()))


def probe(
    train: Train,
    train_error: float,
    updates: int,
    smallest_gap: float,
    unit: str = "%",
    trivial_error: float = math.inf,
) -> Probes:
    """Run both probes and judge them.

    Args:
        train: settings -> the train error of each, measured in eval mode; infinite where it broke down.
        train_error: of the run.
        updates: of the run.
        smallest_gap: smallest fall of the train error that counts.
        trivial_error: of an answer that looks at no input; a train error near it shows that nothing was learned.
    """
    untrained = train_error >= UNTRAINED * trivial_error
    longer = max(LONGER * updates, LEAST_UPDATES)
    race = max(1, round(RACE_SHARE * longer))
    count = 0

    def best_rate(width: int) -> float:
        nonlocal count
        found = dict.fromkeys((1 / STEP, 1.0, STEP), math.inf)
        for times, error in zip(found, train([Setting(race, t, width) for t in found]), strict=True):
            found[times] = error
        count += len(found)
        for step in range(MOST_STEPS):
            best = min(found, key=lambda t: (found[t], abs(math.log(t))))
            if untrained and found[best] > HOPELESS * train_error:
                down = step % 2 == 0  # which is best is luck, and both ways are open
            elif best in (min(found), max(found)) and found[best] > 0:
                down = best == min(found)
            else:
                break
            following = min(found) / STEP if down else max(found) * STEP
            found[following] = train([Setting(race, following, width)])[0]
            count += 1
        return min(found, key=lambda t: (found[t], abs(math.log(t))))

    lr_same = best_rate(1)
    (same,) = train([Setting(longer, lr_same, 1)])
    wider, lr_wider = None, None
    if train_error - same < RECOVERED * train_error:
        lr_wider = best_rate(WIDER)
        (wider,) = train([Setting(longer, lr_wider, WIDER)])
    sub_cause = judge(train_error, same, wider, smallest_gap)
    trainings = count + 1 + (wider is not None)
    return Probes(train_error, same, wider, lr_same, lr_wider, longer, smallest_gap, sub_cause, unit, trainings)


def judge(train_error: float, same: float, wider: float | None, smallest_gap: float) -> str | None:
    """The sub-cause from the train errors of the run, of probe A and of probe B, which can at best be 0."""
    by_same, by_wider = train_error - same, train_error - (wider or 0.0)
    if wider is None and by_same < RECOVERED * by_wider:
        raise ValueError("probe B is needed where A does not settle it")
    if max(by_same, by_wider) < smallest_gap:
        return None
    return OPTIMISATION if by_same >= RECOVERED * max(by_same, by_wider) else CAPACITY


# -- on a run -----------------------------------------------------------------------------------------------------


def trainer(
    trials: Trials,
    metric: Metric,
    listen: Listen = lambda event: None,
    workers: int = 1,
    make: Callable[[Recipe], Trial] | None = None,
) -> tuple[Train, list[Trial]]:
    """How a project trains a probe: through its trials; and the trials made so far, a list that fills.

    Args:
        make: what makes each, where somebody keeps account of them.
    Raises:
        UsageError: the network has no width, so that B cannot be made.
    """
    from orthogon.errors import TrainingError
    from orthogon.project.trial import Recipe
    from orthogon.strategy.curve import WIDTH_KEYS, overrides_of

    config = trials.config.model_dump(mode="json")
    widths = {key: read(config, key) for key in WIDTH_KEYS if isinstance(read(config, key), int)}
    if not widths:
        raise UsageError(
            f"the network {read(config, 'task.network') or trials.task.kind} has no width to turn, so capacity cannot "
            "be told from optimisation",
            "task.network",
            "Try the two by hand: orthogon train --set training.lr_race=true, and a larger network.",
        )
    sample = trials.parts()["train"]
    made: list[Trial] = []

    def recipe(setting: Setting) -> Recipe:
        wider = {key: int(width) * setting.width_times for key, width in widths.items()}
        return Recipe(
            {
                **overrides_of(setting.updates),
                **(wider if setting.width_times != 1 else {}),
                "training.lr": config["training"]["lr"] * setting.lr_times,
            },
            train=trials.splits["train"],
            select=np.zeros(0, np.int64),
            measure={"train": sample},
            purpose="probe",
        )

    def train(settings: Sequence[Setting]) -> list[float]:
        errors = []
        for setting in settings:
            listen({"event": "probe", "done": len(made), "setting": setting})
            try:
                trial = (make or trials.make)(recipe(setting))
            except TrainingError:  # it blew up: that rate is not the one
                errors.append(math.inf)
                continue
            made.append(trial)
            errors.append(float(metric.error(trial.scores["train"])))
        return errors

    return train, made
