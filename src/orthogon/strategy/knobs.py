"""The knobs: each a named change to the config that aims at one gap.

A knob reads the resolved config (nested dicts) and says what it would change as dotted overrides, or None where it
does not apply: the task has no such field, or the field is at its limit. `fraction` is the share of its gap that it is
guessed to close; where runs were logged, `beliefs.py` puts what they showed in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from orthogon.models import NETWORKS, takes_dropout
from orthogon.strategy.diagnosis import (
    BIAS,
    DRIFT,
    HARDER_TEST,
    LABEL_NOISE,
    MISMATCH,
    OVERFIT,
    SMALL_DEV,
    UNSPLIT,
    VARIANCE,
)

REAL_WORLD = "dev and metric against the real world"  # dev and test are fine, and the system is not

Config = Mapping[str, Any]
Overrides = dict[str, Any]
History = Sequence[Mapping[str, Any]]  # a run's evaluations in order: step, loss, dev_loss, ...

LARGE_BIAS = 0.20  # above it, a net grows by 4 instead of 2
LARGE_VARIANCE = 0.10  # above it, regularisers are turned jointly: singly they interact
MOST_WIDTH, MOST_DEPTH, MOST_MEMBERS = 4096, 16, 64
OF_A_REGIME = (  # settings that suit how much of a network is trained
    "task.layer_lr_decay",
    "task.augment.strength",
    "task.augment.flip",
    "training.lr",
    "training.epochs",
    "training.patience",
)
LEAST_WIDTH, LEAST_BATCH = 4, 8
MOST_DROPOUT, MOST_WEIGHT_DECAY = 0.5, 1.0
STILL_FALLING = 0.03  # fall of a loss from one tenth of the training to the next; less is a plateau
STILL_BEST = 0.01  # by which the last evaluation beats all before where a budget cut the training off
OSCILLATES = 0.25  # share of the evaluations at which train's loss rose, from which the rate is called too high
CREEPS = 0.7  # share of the first loss that is left after half of the training, from which the rate is called too low
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
    cost_runs: what taking it costs, in trainings like the run's; where the network or the length of the training
        changes, `advice.cost_in_runs` computes it instead.
    hours: of a person's work, where it takes a person.
    by_people: rests on people's answers being better than the system's; past their level it is not offered.
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
    hours: float = 0.0
    by_people: bool = False
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


def _mixing(key: str, amount: float) -> Callable[[Config, float], Overrides | None]:
    """Blend pairs of pictures; only where pictures are varied at all, since strength scales this amount too."""

    def change(config: Config, gap: float) -> Overrides | None:
        if _number(config, key) != 0 or not _number(config, "task.augment.strength"):
            return None
        return {key: amount}

    return change


def _smaller(config: Config, gap: float) -> Overrides | None:
    changes: Overrides = {}
    for key in ("task.width", "task.hidden_size", "task.encoder_size", "task.decoder_size"):
        width = _number(config, key)
        if width and width >= 2 * LEAST_WIDTH:
            changes[key] = int(width) // 2
    return changes or None


def _members(config: Config, gap: float) -> Overrides | None:
    members = _number(config, "task.members")
    return None if not members or members >= MOST_MEMBERS else {"task.members": min(MOST_MEMBERS, 2 * int(members))}


def _averaged_weights(config: Config, gap: float) -> Overrides | None:
    if "ema_decay" not in config.get("training", {}) or read(config, "training.ema_decay") is not None:
        return None
    return {"training.ema_decay": 0.99}


def _more_stages(config: Config, gap: float) -> Overrides | None:
    """More of a pretrained network is trained; how long and how fast, the task chooses anew."""
    trained = read(config, "task.transfer")
    if read(config, "task.weights") in (None, "none") or trained in (None, "all"):
        return None
    return {"task.transfer": "last-4" if trained == "head" else "all", **dict.fromkeys(OF_A_REGIME)}


def _smaller_batches(config: Config, gap: float) -> Overrides | None:
    size = _number(config, "training.batch_size")
    return None if not size or size < 2 * LEAST_BATCH else {"training.batch_size": int(size) // 2}


def _more_batches(config: Config, gap: float) -> Overrides | None:
    """A quarter of the batch: four times the updates, where it is passes over train that are counted."""
    size = _number(config, "training.batch_size")
    if read(config, "training.steps") or read(config, "training.minutes"):
        return None
    return None if not size or size < 2 * LEAST_BATCH else {"training.batch_size": max(LEAST_BATCH, int(size) // 4)}


def _rate(factor: float) -> Callable[[Config, float], Overrides | None]:
    def change(config: Config, gap: float) -> Overrides | None:
        lr = _number(config, "training.lr")
        lr = None if lr is None else lr * (factor**2 if gap > LARGE_BIAS / 2 else factor)
        return {"training.lr": float(f"{lr:.3g}")} if lr and 1e-6 <= lr <= 1 else None

    return change


def oscillates(config: Config, history: History) -> bool:
    """Whether train's loss rose at many of the evaluations."""
    losses = _losses(history, "loss")
    rises = sum(b > a for a, b in pairwise(losses))
    return len(losses) > 4 and rises > OSCILLATES * (len(losses) - 1)


def creeps(config: Config, history: History) -> bool:
    """Whether train's loss was still near where it began after half of the training, and falling."""
    losses = _losses(history, "loss")
    middle = losses[len(losses) // 2] if losses else 0.0
    return len(losses) > 4 and CREEPS * losses[0] < middle < losses[0] and losses[-1] < middle


def _other_optimiser(config: Config, gap: float) -> Overrides | None:
    """Another kind of update, its rate chosen anew by the task and then raced."""
    name = read(config, "training.optimiser")
    if name is None or str(name).casefold() == "adamw":
        return None
    return {"training.optimiser": "adamw", "training.lr": None, "training.lr_race": True}


def _towards_dev(config: Config, gap: float) -> Overrides | None:
    """Changes of light, angle and place, in which sources of pictures differ; stronger than those that are set."""
    strength = _number(config, "task.augment.strength")
    if strength is None or str(read(config, "task.kind")) != "image_classification":
        return None
    wanted = {"strength": 1.0, "rotation": 20.0, "contrast": 0.4, "brightness": 0.3}
    changes = {f"task.augment.{name}": value for name, value in wanted.items()}
    return {
        key: value for key, value in changes.items() if (found := _number(config, key)) is None or found < value
    } or None


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
        "lower learning rate",
        BIAS,
        _rate(1 / 3),
        cost_runs=1,
        fraction=0.15,
        sign="train loss rises as often as it falls",
        reason="Updates that are too long jump over the minimum; a lower rate settles in it.",
        wrong_if="train loss falls more slowly and ends no lower",
        seen=oscillates,
    ),
    Knob(
        "higher learning rate",
        BIAS,
        _rate(3),
        cost_runs=1,
        fraction=0.15,
        sign="train loss falls slowly and steadily",
        reason="Updates that are too short do not arrive in the time there is; a higher rate goes further.",
        wrong_if="train loss oscillates or ends higher",
        seen=creeps,
    ),
    Knob(  # its fraction: last-4 in place of the head closed 0.38 of the error on clothing, 0.84 on signs
        "training more stages",
        BIAS,
        _more_stages,
        cost_runs=5,
        fraction=0.35,
        sign="only part of a pretrained network is trained",
        reason="What the frozen stages see was learned on other pictures; training more of them fits them to these.",
        wrong_if="train error does not fall",
        orthogonal=False,
    ),
    Knob(  # its fraction: eleven steps on the six development tasks of benchmarks/autopilot closed 0.29 on average
        "smaller batches",
        BIAS,
        _more_batches,
        cost_runs=1.5,
        fraction=0.28,
        sign="a loss was still falling at the end, after few updates",
        reason="A quarter of the batch makes four times the updates from as many examples; longer training costs more.",
        wrong_if="train loss jumps from one evaluation to the next and ends no lower",
    ),
    Knob(
        "other optimiser",
        BIAS,
        _other_optimiser,
        cost_runs=1.3,
        fraction=0.3,
        sign="train loss falls slowly at every learning rate",
        reason="AdamW scales each weight's update by itself, which plain gradient steps do not; its rate is raced.",
        wrong_if="train error does not fall",
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
        by_people=True,
        hours=2,
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
        "mixup",
        VARIANCE,
        _mixing("task.augment.mixup", 0.2),
        cost_runs=1,
        fraction=0.15,
        sign="mistakes are made with great confidence",
        reason="Blends of two pictures and of their labels keep the network from sharp turns between examples.",
        wrong_if="train error rises and dev error does not fall",
    ),
    Knob(
        "CutMix",
        VARIANCE,
        _mixing("task.augment.cutmix", 1.0),
        cost_runs=1,
        fraction=0.15,
        sign="the network looks at one part of a picture only",
        reason="A piece of another picture in each keeps the network from trusting a single part.",
        wrong_if="train error rises and dev error does not fall",
    ),
    Knob(
        "more members",
        VARIANCE,
        _members,
        cost_runs=1.6,
        fraction=0.15,
        sign="runs that differ in the seed alone disagree",
        reason="The mean of more networks that share most weights varies less than each of them.",
        wrong_if="dev error does not fall",
    ),
    Knob(
        "averaged weights",
        VARIANCE,
        _averaged_weights,
        cost_runs=1,
        fraction=0.1,
        sign="dev loss jumps from one evaluation to the next",
        reason="An average over the last updates lies in the middle of where they wander.",
        wrong_if="dev error does not fall",
    ),
    Knob(  # its fraction: last-4 in place of the head closed 0.38 of the error on clothing, 0.84 on signs
        "training more stages",
        VARIANCE,
        _more_stages,
        cost_runs=5,
        fraction=0.35,
        sign="only part of a pretrained network is trained",
        reason="The head learns by heart what the frozen stages do not tell apart; trained, they would.",
        wrong_if="dev error rises: then there are too few pictures to train so much",
        orthogonal=False,
    ),
    Knob(
        "smaller batches",
        VARIANCE,
        _smaller_batches,
        cost_runs=1.2,
        fraction=0.1,
        sign="train error is far below dev error",
        reason="Noisier updates prefer solutions that small changes do not spoil.",
        wrong_if="dev error does not fall",
        orthogonal=False,
    ),
    Knob(
        "smaller network",
        VARIANCE,
        _smaller,
        cost_runs=0.6,
        fraction=0.1,
        sign="a network of half the width has the same train error",
        reason="Fewer units have less to learn by heart with. It turns two knobs at once: it can also raise the bias.",
        wrong_if="train error rises by as much as dev error falls",
        orthogonal=False,
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
        hours=8,
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
        "training data varied towards dev",
        MISMATCH,
        _towards_dev,
        cost_runs=1,
        fraction=0.2,
        sign="dev's pictures differ in light, angle or place",
        reason="Train's pictures made to differ in light and angle as sources do: synthesis that costs no collecting.",
        wrong_if="dev error does not fall, or train-dev error rises",
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
        hours=8,
    ),
    Knob(
        "mix of train and target data",
        MISMATCH,
        _yours,
        cost_runs=1,
        fraction=0.3,
        sign="mistakes on dev share a condition: noise, device, style",
        reason="Synthesise it: put dev's conditions on train's examples at a known ratio, from diverse sources.",
        wrong_if="the error on dev's own condition does not fall",
        who="you",
        hours=6,
    ),
    Knob(
        "fine-tuning on the target-like part",
        MISMATCH,
        _yours,
        cost_runs=1,
        fraction=0.2,
        sign="part of train is like dev",
        reason="After all of train, train on its most dev-like part alone at a tenth of the rate.",
        wrong_if="train-dev error rises by more than dev error falls",
        who="you",
        hours=2,
    ),
    Knob(
        "reweighting towards dev",
        MISMATCH,
        _yours,
        cost_runs=1,
        fraction=0.1,
        sign="part of train is like dev, and training stops early or is decayed",
        reason="Count dev-like examples of train more; it fades in networks that fit all of train (Byrd, Lipton 2019).",
        wrong_if="the network fits all of train anyway: then weights change nothing",
        who="you",
        hours=2,
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
        hours=4,
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
        hours=4,
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
        hours=4,
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
        hours=4,
    ),
    Knob(
        "label cleaning",
        LABEL_NOISE,
        _yours,
        cost_runs=1,
        fraction=0.40,
        sign="confident answers on held-out examples disagree with their labels",
        reason="Part of the error is wrong labels: review the suspects, the same way in dev and in test "
        "(orthogon errors --suspects --out relabel.csv).",
        wrong_if="people who look again agree with the labels",
        who="you",
        by_people=True,
        hours=3,
    ),
    Knob(
        "dev set from the real world",
        REAL_WORLD,
        _yours,
        cost_runs=0,
        fraction=0.5,
        sign="dev and test are good, and those who use the system are not content",
        reason="Dev is not what the system meets: draw dev and test anew from where it is used (data.dev_source).",
        wrong_if="the error on examples from use is that of dev",
        who="you",
        hours=6,
    ),
    Knob(
        "another cost",
        REAL_WORLD,
        _yours,
        cost_runs=0,
        fraction=0.5,
        sign="the system that people prefer has the higher dev error",
        reason="The metric ranks systems against what people want: weigh the errors that hurt most "
        "(metrics.optimise weighted_error, metrics.class_costs).",
        wrong_if="with the new weights the systems rank as before",
        who="you",
        hours=0.5,
    ),
)


def knobs_for(gap: str) -> tuple[Knob, ...]:
    """The knobs that aim at this gap, in the order they are declared."""
    return tuple(knob for knob in KNOBS if knob.gap == gap)
