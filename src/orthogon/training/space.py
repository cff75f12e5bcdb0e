"""The search space: which hyper-parameters may be varied, on what scale, between what limits, and how much they matter.

A parameter knows its law: `at(u)` turns a number of 0..1 into a value, and `place(value)` turns a value back. Random,
quasi-random, coarse-to-fine and model-based search all work in that unit cube, and knobs and the autopilot read the
same limits from it. A task declares its space beside itself: `Task.search_space`.

    >>> lr = Parameter("log", 0.0001, 1.0, tier=1)
    >>> lr.at(0.5)
    0.01
    >>> Parameter("one_minus_log", 0.9, 0.999).at(0.5)
    0.99

Tiers are the order of importance: 1 learning rate; 2 momentum, batch size, hidden units; 3 layers, decay and what
regularises; 4 beta 2 and epsilon of Adam, which are practically never tuned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orthogon.errors import ConfigError
from orthogon.training.config import TrainingConfig

Scale = Literal["linear", "log", "one_minus_log", "int", "log_int", "choice"]
Space = dict[str, "Parameter"]  # dotted config key -> Parameter

RATE, MAIN, SHAPE, RARE = 1, 2, 3, 4  # tiers
TIERS = (RATE, MAIN, SHAPE, RARE)
DIGITS = 6  # significant digits of a drawn value: more are noise in a config


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter and the law by which its values are drawn.

    scale: linear or log: evenly over values, or over their powers of ten. one_minus_log: 1 - value is on a log scale,
        for momenta, whose memory is 1 / (1 - value). int, log_int: whole numbers, each end included. choice: one of
        `choices`.
    low, high: limits, included. tier: 1 matters most, 4 least.
    default: what the config at hand has; it may lie outside the limits (a weight decay of 0 on a log scale).
    """

    scale: Scale
    low: float = 0.0
    high: float = 1.0
    tier: int = SHAPE
    default: Any = None
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        problem = ""
        if self.scale == "choice":
            problem = "" if len(set(self.choices)) == len(self.choices) > 0 else "its choices are none, or not distinct"
        elif not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            problem = f"{self.low:g} is not below {self.high:g}"
        elif self.scale in ("log", "log_int") and self.low <= 0:
            problem = f"a log scale cannot begin at {self.low:g}"
        elif self.scale == "one_minus_log" and self.high >= 1:
            problem = f"1 - {self.high:g} has no logarithm"
        elif self.is_int and not (float(self.low).is_integer() and float(self.high).is_integer()):
            problem = f"{self.low:g} or {self.high:g} is not a whole number"
        if problem:
            raise ConfigError(
                f"this is not a range to search: {problem}", "search space", "Name the lower limit first."
            )

    @property
    def is_int(self) -> bool:
        return self.scale in ("int", "log_int")

    @property
    def is_log(self) -> bool:
        return self.scale in ("log", "log_int", "one_minus_log")

    def at(self, u: float) -> Any:
        """The value at this share of the range, 0 <= u <= 1; for u drawn evenly, a value drawn by the parameter's law.

        Whole numbers on a linear scale are equally likely, the two ends among them.
        """
        u = min(max(float(u), 0.0), 1.0)
        if self.scale == "choice":
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        low, high = self._ends()
        if self.is_int:
            return min(max(round(self._back(low + u * (high - low))), int(self.low)), int(self.high))
        value = float(f"{self._back(low + u * (high - low)):.{DIGITS}g}")
        if self.scale == "one_minus_log":
            value = 1 - float(f"{1 - self._back(low + u * (high - low)):.{DIGITS}g}")
            value = float(f"{value:.12g}")
        return min(max(value, self.low), self.high)

    def place(self, value: Any) -> float:
        """Where in the range a value lies, 0..1; a value outside is at the nearer end, an unknown choice at 0."""
        if self.scale == "choice":
            return (self.choices.index(value) + 0.5) / len(self.choices) if value in self.choices else 0.0
        low, high = self._ends()
        held = min(max(float(value), self.low), self.high)
        return min(max((self._onto(held) - low) / (high - low), 0.0), 1.0)

    def holds(self, value: Any) -> bool:
        """Whether the value is in the range."""
        if self.scale == "choice":
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def narrowed(self, low: float, high: float) -> Parameter:
        """The same law between other limits."""
        return replace(self, low=low, high=high)

    def beyond(self, end: str) -> Parameter:
        """The same law on a range that reaches further at its "low" or its "high" end: a decade, or half as far again.

        Raises:
            ConfigError: there is nothing beyond, as on a log scale below 0.
        """
        low, high = self.low, self.high
        if self.scale == "one_minus_log":
            return (
                self.narrowed(low, 1 - (1 - high) / 10) if end == "high" else self.narrowed(max(0, 2 * low - 1), high)
            )
        if self.is_log:
            factor = 4 if self.is_int else 10
            return (
                self.narrowed(low, high * factor) if end == "high" else self.narrowed(self._whole(low / factor), high)
            )
        reach = self._whole((high - low) / 2)
        return self.narrowed(low, high + reach) if end == "high" else self.narrowed(low - reach, high)

    def _whole(self, value: float) -> float:
        return max(1, round(value)) if self.is_int else value

    def _onto(self, value: float) -> float:
        """The value on the scale where its law is even."""
        if self.scale == "one_minus_log":
            return -math.log10(1 - value)
        return math.log10(value) if self.is_log else value

    def _back(self, placed: float) -> float:
        if self.scale == "one_minus_log":
            return 1 - 10**-placed
        return 10**placed if self.is_log else placed

    def _ends(self) -> tuple[float, float]:
        """Ends on that scale; of whole numbers half a step further out, so that the ends are as likely as the rest."""
        if self.is_int:
            return self._onto(self.low - 0.5), self._onto(self.high + 0.5)
        return self._onto(self.low), self._onto(self.high)

    def __str__(self) -> str:
        if self.scale == "choice":
            return ", ".join(str(choice) for choice in self.choices)
        words = {"linear": "", "log": ", log scale", "one_minus_log": ", log scale of 1 - value"}
        words |= {"int": ", whole", "log_int": ", whole, log scale"}
        return f"{self.low:g} to {self.high:g}{words[self.scale]}"

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "choices": list(self.choices)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Parameter:
        return cls(**{**values, "choices": tuple(values["choices"])})


def around(value: int, tier: int, factor: int = 4, least: int = 1) -> Parameter:
    """Whole numbers from this factor below a value to this factor above it, on a log scale: widths, batch sizes."""
    return Parameter("log_int", max(least, value // factor), max(least + 1, value * factor), tier, value)


def layers(value: int, tier: int = SHAPE, least: int = 1, more: int = 2, most: int = 64) -> Parameter:
    """Whole numbers near a value: layers, blocks."""
    return Parameter("int", max(least, value - more), min(max(value, least) + more, most), tier, value)


def dropout(value: float | None) -> Parameter:
    """Share of units dropped."""
    return Parameter("linear", 0.0, 0.6, SHAPE, value)


def smoothing(config: TrainingConfig) -> Parameter:
    """training.label_smoothing, of tasks that answer with classes."""
    return Parameter("linear", 0.0, 0.2, SHAPE, config.label_smoothing)


def limited_to(space: Mapping[str, Parameter], tiers: int) -> Space:
    """The parameters of tiers 1..tiers."""
    return {key: parameter for key, parameter in space.items() if parameter.tier <= tiers}


ADAM = ("adam", "adamw")
WITH_MOMENTUM = ("momentum", "momentum_pytorch", "nesterov", *ADAM)


def training_space(config: TrainingConfig) -> Space:
    """What every task may vary of its training, around a resolved config. How long it trains is no part of it.

    The learning rate ranges over three decades, the default in the second of them.
    """
    optimiser = config.optimiser.casefold()
    space: Space = {}
    if config.lr is not None:
        decade = math.floor(math.log10(config.lr) + 1e-9)
        high = min(1.0, 10.0 ** (decade + 2)) if config.lr <= 1 else 10 * config.lr
        space["training.lr"] = Parameter("log", high / 1000, high, RATE, config.lr)
    if optimiser in WITH_MOMENTUM:
        space["training.momentum"] = Parameter("one_minus_log", 0.8, 0.99, MAIN, config.momentum)
    if config.batch_size is not None:
        space["training.batch_size"] = around(config.batch_size, MAIN, least=max(8, config.accumulate))
    space["training.schedule"] = _schedules(config.schedule)
    if optimiser != "lbfgs" and (optimiser in WITH_MOMENTUM or config.weight_decay is not None):
        space["training.weight_decay"] = Parameter("log", 1e-4, 1.0, SHAPE, config.weight_decay)
    if optimiser in (*ADAM, "rmsprop"):
        space["training.beta2"] = Parameter("one_minus_log", 0.9, 0.9999, RARE, config.beta2)
    if optimiser in ADAM:
        space["training.optimiser_args.eps"] = Parameter(
            "log", 1e-10, 1e-5, RARE, config.optimiser_args.get("eps", 1e-8)
        )
    return space


def _schedules(default: str) -> Parameter:
    names: Sequence[str] = ("constant", "cosine", "one_cycle")
    return Parameter("choice", tier=SHAPE, default=default, choices=tuple(dict.fromkeys([*names, default])))
