"""The knobs: each a named change to the config that aims at one gap.

A knob reads the resolved config (nested dicts) and says what it would change as dotted overrides, or None where it
does not apply: the task has no such field, or the field is at its limit. `fraction` is how much of its gap it closed
on average where that was measured, a guess elsewhere; it ranks knobs, and no gain is promised from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orthogon.models import NETWORKS, takes_dropout
from orthogon.strategy.diagnosis import BIAS, DRIFT, HARDER_TEST, MISMATCH, OVERFIT, SMALL_DEV, UNSPLIT, VARIANCE

Config = Mapping[str, Any]
Overrides = dict[str, Any]
History = Sequence[Mapping[str, Any]]  # a run's evaluations in order: step, loss, dev_loss, ...

LARGE_BIAS = 0.20  # above it, a net grows by 4 instead of 2
LARGE_VARIANCE = 0.10  # above it, regularisers are turned jointly: singly they interact
MOST_WIDTH, MOST_DEPTH = 4096, 16
MOST_DROPOUT, MOST_WEIGHT_DECAY = 0.5, 1.0
STILL_FALLING = 0.03  # fall of a loss from one tenth of the training to the next; less is a plateau
STILL_BEST = 0.01  # by which the last evaluation beats all before where a budget cut the training off
MORE_UPDATES = "longer training"  # the knob
TRAIN_DEV_SHARE = 0.1  # of train, where the data are ordered in time


@dataclass(frozen=True)
class Ending:
    """How a run's training ended.

    why: "finished" after all updates, "patience" when dev loss no longer fell, "budget" when its minutes were over.
    steps: updates it took. planned: updates foreseen when it began; None where that was not kept.
    minutes: its budget, where it had one. best_step: with the lowest dev loss.
    """

    why: str
    steps: int
    planned: int | None = None
    minutes: float | None = None
    best_step: int | None = None

    def __str__(self) -> str:
        """One sentence where it ended before its end, else empty."""
        planned = f" of {self.planned:,}" if self.planned and self.planned > self.steps else ""
        if self.why == "patience":
            best = f"; dev loss was lowest at {self.best_step:,}" if self.best_step else ""
            return f"Stopped early at {self.steps:,}{planned} updates{best}."
        if self.why == "budget":
            budget = f"{self.minutes:g} minute{'' if self.minutes == 1 else 's'}"
            return f"The budget of {budget} cut it at {self.steps:,}{planned} updates."
        return ""


@dataclass(frozen=True)
class Knob:
    """One change with one aim.

    change: (config, size of the gap) -> dotted overrides, {} for what only a person can do, None where it does not
        apply.
    cost_runs: what taking it costs, in trainings like the run's.
    sign: what one sees when it is the right one. wrong_if: what would prove it wrong.
    orthogonal: turns nothing but its gap.
    seen: (config, history) -> whether the run's own training shows the sign; None where only a person can tell.
    """

    name: str
    gap: str
    change: Callable[[Config, float], Overrides | None]
    cost_runs: float
    fraction: float
    sign: str
    reason: str
    wrong_if: str
    orthogonal: bool = True
    who: Literal["orthogon", "you"] = "orthogon"
    seen: Callable[[Config, History], bool] | None = None


def read(config: Config, key: str) -> Any:
    """The value at a dotted key; None where there is no such field."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _number(config: Config, key: str) -> float | None:
    value = read(config, key)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def _wider(config: Config, gap: float) -> Overrides | None:
    factor = 4 if gap > LARGE_BIAS else 2
    changes: Overrides = {}
    for key in ("task.width", "task.hidden_size", "task.encoder_size", "task.decoder_size"):
        width = _number(config, key)
        if width and width < MOST_WIDTH:
            changes[key] = min(MOST_WIDTH, int(width) * factor)
    return changes or None


def _deeper(config: Config, gap: float) -> Overrides | None:
    depth = _number(config, "task.depth")
    return None if depth is None or depth >= MOST_DEPTH else {"task.depth": int(depth) + 1}


def _longer(config: Config, gap: float) -> Overrides | None:
    changes: Overrides = {}
    for key in ("training.steps", "training.epochs"):
        length = _number(config, key)
        if length:
            changes[key] = int(2 * length)
            break
    minutes = _number(config, "training.minutes")
    if minutes:  # beside another length it limits that one
        changes["training.minutes"] = 2 * minutes
    return changes or None


def _losses(history: History, key: str) -> list[float]:
    return [float(e[key]) for e in history if isinstance(e.get(key), (int, float)) and math.isfinite(e[key])]


def still_falling(config: Config, history: History) -> bool:
    """Whether more training would have lowered a loss: train's or dev's fell to the end, or a budget cut it short."""
    for key in ("loss", "dev_loss"):
        losses = _losses(history, key)
        tenth = max(1, len(losses) // 10)
        if len(losses) < 2 * tenth + 1:  # the first evaluation falls from nowhere
            continue
        last, before = sum(losses[-tenth:]) / tenth, sum(losses[-2 * tenth : -tenth]) / tenth
        if before - last > STILL_FALLING * abs(before):
            return True
    on_dev = _losses(history, "dev_loss")
    if len(on_dev) < 3 or not (_number(config, "training.steps") or _number(config, "training.minutes")):
        return False
    best_before = min(on_dev[:-1])
    return best_before - on_dev[-1] > STILL_BEST * abs(best_before)


def _lr_race(config: Config, gap: float) -> Overrides | None:
    return None if read(config, "training.lr_race") is True else {"training.lr_race": True}


def _less_regularisation(config: Config, gap: float) -> Overrides | None:
    changes: Overrides = {}
    for key, small in (("task.dropout", 0.05), ("training.label_smoothing", 0.02), ("task.augment.strength", 0.1)):
        value = _number(config, key)
        if value and (key != "task.dropout" or _drops(config)):
            changes[key] = 0.0 if value <= 2 * small else round(value / 2, 4)
    decay = _number(config, "training.weight_decay")
    if decay and decay > 1e-4:
        changes["training.weight_decay"] = decay / 10
    return changes or None


def _augmentation(config: Config, gap: float) -> Overrides | None:
    strength = _number(config, "task.augment.strength")
    return None if strength is None or strength >= 1 else {"task.augment.strength": round(min(1.0, strength + 0.5), 4)}


def _drops(config: Config) -> bool:
    """Whether task.dropout does anything: the first runs name it for networks that have none."""
    network = read(config, "task.network")
    return network not in NETWORKS or takes_dropout(network)


def _dropout(config: Config, gap: float) -> Overrides | None:
    share = _number(config, "task.dropout")
    if share is None or share >= MOST_DROPOUT or not _drops(config):
        return None
    return {"task.dropout": round(min(MOST_DROPOUT, max(0.2, share + 0.15)), 4)}


def _weight_decay(config: Config, gap: float) -> Overrides | None:
    if "weight_decay" not in config.get("training", {}):
        return None
    decay = _number(config, "training.weight_decay") or 0.0
    return (
        None
        if decay >= MOST_WEIGHT_DECAY
        else {"training.weight_decay": min(MOST_WEIGHT_DECAY, float(f"{3 * decay or 0.01:.4g}"))}
    )


def _label_smoothing(config: Config, gap: float) -> Overrides | None:
    targets = read(config, "task.targets")
    kinds = targets.values() if isinstance(targets, Mapping) else ()
    if _number(config, "training.label_smoothing") != 0 or "regression" in kinds:
        return None
    return {"training.label_smoothing": 0.1}


def _jointly(config: Config, gap: float) -> Overrides | None:
    if gap <= LARGE_VARIANCE:
        return None
    changes: Overrides = {}
    for change in (_augmentation, _dropout, _weight_decay):
        changes |= change(config, gap) or {}
    return changes if len(changes) > 1 else None


def _early_stopping(config: Config, gap: float) -> Overrides | None:
    if "patience" not in config.get("training", {}) or read(config, "training.patience") is not None:
        return None
    return {"training.patience": 5}


def _train_dev(config: Config, gap: float) -> Overrides | None:
    if read(config, "data.target_domain") is not None:
        return {"data.train_dev": "auto"}
    return {"data.train_dev": TRAIN_DEV_SHARE} if read(config, "data.time") is not None else {}


def _all_of_train(config: Config, gap: float) -> Overrides | None:
    share = _number(config, "data.train_fraction")
    if share is None or share >= 1:
        return None
    epochs = {"training.epochs": None} if read(config, "training.epochs") else {}  # chosen anew for the new size
    return {"data.train_fraction": 1.0, **epochs}


def _yours(config: Config, gap: float) -> Overrides:
    """Nothing in the config does it."""
    return {}


KNOBS: tuple[Knob, ...] = (
    Knob(
        "wider network",
        BIAS,
        _wider,
        cost_runs=1.5,
        fraction=0.35,
        sign="train error stays high however long it trains",
        reason="The network does not fit its own training examples; more units let it.",
        wrong_if="train error does not fall: then it is not capacity that is missing",
    ),
    Knob(
        MORE_UPDATES,
        BIAS,
        _longer,
        cost_runs=2,
        fraction=0.25,
        sign="a loss was still falling at the end",
        reason="Training may have stopped before the network had fitted its examples.",
        wrong_if="train loss is flat over the second half",
        seen=still_falling,
    ),
    Knob(
        "deeper network",
        BIAS,
        _deeper,
        cost_runs=1.5,
        fraction=0.25,
        sign="a wider network did not fit better",
        reason="One more layer lets the network fit what width alone does not.",
        wrong_if="train error does not fall",
    ),
    Knob(
        "learning-rate race",
        BIAS,
        _lr_race,
        cost_runs=1.3,
        fraction=0.30,
        sign="train loss oscillates, or falls slowly from the start",
        reason="A learning rate that does not suit hides what the network can do; three are raced, the best trains.",
        wrong_if="the rate in use wins the race",
    ),
    Knob(
        "less regularisation",
        BIAS,
        _less_regularisation,
        cost_runs=1,
        fraction=0.20,
        sign="train error without dropout and augmentation is much lower",
        reason="What holds the network back from its training examples is partly our own doing.",
        wrong_if="train error does not fall, or variance grows by as much",
    ),
    Knob(
        "human level",
        BIAS,
        _yours,
        cost_runs=0,
        fraction=0.0,
        sign="the floor is assumed 0",
        reason="The floor is assumed 0, so the bias is an upper limit. Measure how well people do "
        "(metrics.human_level, metrics.human_level_n).",
        wrong_if="people make hardly any mistake: then all of the bias is avoidable",
        who="you",
    ),
    Knob(
        "all training data",
        VARIANCE,
        _all_of_train,
        cost_runs=1,
        fraction=0.80,
        sign="data.train_fraction is below 1",
        reason="Part of train is held back by data.train_fraction; more data is the main knob for variance.",
        wrong_if="dev error does not fall with all of it",
    ),
    Knob(
        "regularisers together",
        VARIANCE,
        _jointly,
        cost_runs=1,
        fraction=0.45,
        sign="a variance of more than 10 points",
        reason="The gap is large and regularisers interact: augmentation, dropout and weight decay go up together.",
        wrong_if="train error rises by as much as dev error falls",
    ),
    Knob(
        "stronger augmentation",
        VARIANCE,
        _augmentation,
        cost_runs=1,
        fraction=0.30,
        sign="mistakes are ordinary examples, turned or moved a little",
        reason="The network knows its training examples too well; varied ones cannot be learned by heart.",
        wrong_if="dev error does not fall, or the variations change what an example means",
    ),
    Knob(
        "wider network",
        VARIANCE,
        _wider,
        cost_runs=1.5,
        fraction=0.40,
        sign="train error is near its floor",
        reason="With regularisation a wider network often generalises better, against intuition.",
        wrong_if="dev error does not fall",
    ),
    Knob(
        "more dropout",
        VARIANCE,
        _dropout,
        cost_runs=1,
        fraction=0.20,
        sign="train error is far below dev error",
        reason="Units that cannot rely on each other learn features that hold on new examples.",
        wrong_if="train error rises and dev error does not fall",
    ),
    Knob(
        "more weight decay",
        VARIANCE,
        _weight_decay,
        cost_runs=1,
        fraction=0.18,
        sign="train error is far below dev error",
        reason="Smaller weights make a smoother function, which follows its training examples less closely.",
        wrong_if="train error rises and dev error does not fall",
    ),
    Knob(
        "label smoothing",
        VARIANCE,
        _label_smoothing,
        cost_runs=1,
        fraction=0.15,
        sign="mistakes are made with great confidence",
        reason="Targets that are not quite certain keep the network from over-confident answers.",
        wrong_if="dev error does not fall",
    ),
    Knob(
        "early stopping",
        VARIANCE,
        _early_stopping,
        cost_runs=0.7,
        fraction=0.10,
        sign="dev loss rises while train loss falls",
        reason="Stops when dev loss no longer falls. It turns two knobs at once: less training also raises the bias.",
        wrong_if="dev loss never rose, or train error rises by as much",
        orthogonal=False,
    ),
    Knob(
        "more data",
        VARIANCE,
        _yours,
        cost_runs=1,
        fraction=0.30,
        sign="dev error falls as the share of train that is used grows",
        reason="More training examples are the main knob for variance, and only you can bring them.",
        wrong_if="training on half of the data (data.train_fraction=0.5) gives the same dev error",
        who="you",
    ),
    Knob(
        "train-dev set",
        UNSPLIT,
        _train_dev,
        cost_runs=1,
        fraction=0.0,
        sign="train and dev come from different sources, or from different times",
        reason="Held out of train at random, it tells variance from data mismatch, drift over time among it.",
        wrong_if="it changes no decision",
    ),
    Knob(
        "training data more like dev",
        MISMATCH,
        _yours,
        cost_runs=1,
        fraction=0.30,
        sign="mistakes on dev share something that train lacks",
        reason="Look at how dev differs from train (orthogon errors), then collect or make training data like it.",
        wrong_if="dev error does not fall once train holds such examples",
        who="you",
    ),
    Knob(
        "newer training data",
        DRIFT,
        _yours,
        cost_runs=1,
        fraction=0.30,
        sign="the error grows with the time since the last training example",
        reason="Test comes after dev, and the data drift over time: train on the latest examples, and again later.",
        wrong_if="with train up to shortly before test, test error stays as high",
        who="you",
    ),
    Knob(
        "bigger dev set",
        OVERFIT,
        _yours,
        cost_runs=0,
        fraction=0.5,
        sign="test error is above dev error",
        reason="This dev set promises more than new data keep; a bigger or fresh one (data.dev) has other accidents.",
        wrong_if="the systems rank the same on it",
        who="you",
    ),
    Knob(
        "bigger dev set",
        HARDER_TEST,
        _yours,
        cost_runs=0,
        fraction=0.5,
        sign="test error is above dev error, and no other system was compared on dev",
        reason="Dev and test differ, by accident or in kind: larger sets drawn anew (data.dev, data.test) tell which.",
        wrong_if="the difference stays",
        who="you",
    ),
    Knob(
        "bigger dev set",
        SMALL_DEV,
        _yours,
        cost_runs=0,
        fraction=0.5,
        sign="the interval of the dev error is as wide as the error",
        reason="With this few examples no cause can be told from chance (data.dev).",
        wrong_if="the interval does not narrow",
        who="you",
    ),
)


def knobs_for(gap: str) -> tuple[Knob, ...]:
    """The knobs that aim at this gap, in the order they are declared."""
    return tuple(knob for knob in KNOBS if knob.gap == gap)
