"""How much of its gap a knob is believed to close: a Beta distribution for each (knob, gap).

It starts from what logged runs showed (`priors.json`, written by benchmarks/learn_priors.py) or, where none was logged,
from the knob's declared guess, and is updated by every step that this project took. A shipped one says how the fraction
varies from problem to problem, which is what a new problem must expect; the project's own steps narrow it.

    gain = gap · fraction,  fraction ~ Beta(m s, (1 - m) s),  m the mean, s the strength in observations

A step whose gain was measured with standard error e closed the fraction f = gain / gap to within e / gap. It counts as
w = tau² / (tau² + (e / gap)²) of an observation, tau being how much fractions differ between problems: what dev could
hardly tell says little. Harm counts against a knob as much as help counts for it (f from -1 to 1), so that noise about
zero adds nothing up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from orthogon.strategy.knobs import KNOBS

TAU = 0.25  # spread of the fraction closed between problems
GUESSED_STRENGTH = 2.0  # observations that a declared guess counts for
STRENGTHS = (1.0, 12.0)  # of a shipped belief, however alike or unlike its problems were
MEANS = (0.01, 0.95)
GRID = 64  # quantiles of gap and of fraction that their product is computed on
LOWER = 0.25  # quantile of the gain that ranks
STEP_EVENTS = ("step taken", "autopilot trial")  # logbook lines that hold a step's measured gain

Pair = tuple[str, str]  # knob, gap


class Gain(NamedTuple):
    """How much lower the dev error gets, with an interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Observation:
    """What one step closed of its gap: the fraction, and its standard error."""

    knob: str
    gap: str
    fraction: float
    error: float

    @property
    def weight(self) -> float:
        """As a share of an observation without error."""
        return TAU**2 / (TAU**2 + self.error**2) if math.isfinite(self.error) else 0.0

    @classmethod
    def of(cls, knob: str, gap: str, size: float, measured: Gain | Mapping[str, float] | None) -> Observation | None:
        """From a measured gain with its 95 % interval; None where the gap or the gain is not known.

        Args:
            size: of the gap before the step, in the unit of the gain.
        """
        if measured is None or not size > 0:
            return None
        value, low, high = (measured[k] for k in Gain._fields) if isinstance(measured, Mapping) else measured
        if any(limit is None or not math.isfinite(limit) for limit in (value, low, high)):
            return None
        return cls(knob, gap, float(np.clip(value / size, -1, 1)), (high - low) / 3.92 / size)


@dataclass(frozen=True)
class Belief:
    """Beta(mean · strength, (1 - mean) · strength) over the fraction of its gap that a knob closes.

    logged: steps of other problems it was learned from; 0 for a guess. here: this project's own.
    side_effects: share of the logged steps that moved another gap, None where none was logged.
    """

    mean: float
    strength: float = GUESSED_STRENGTH
    logged: int = 0
    here: int = 0
    side_effects: float | None = None

    def updated(self, seen: Sequence[Observation]) -> Belief:
        """After these steps, whatever their order."""
        if not seen:
            return self
        weight = sum(each.weight for each in seen)
        closed = sum(each.weight * each.fraction for each in seen)
        strength = self.strength + weight
        mean = float(np.clip((self.mean * self.strength + closed) / strength, *MEANS))
        return replace(self, mean=mean, strength=strength, here=self.here + len(seen))

    def quantiles(self, shares: Any) -> Any:
        from scipy.stats import beta

        return beta.ppf(shares, self.mean * self.strength, (1 - self.mean) * self.strength)

    def source(self) -> str:
        """Where it comes from, in words."""
        steps = f"{self.logged} logged step{'' if self.logged == 1 else 's'}"
        logged = f"learned from {steps} of other problems" if self.logged else "a guess"
        here = f" and {self.here} of this project" if self.here else ""
        return logged + here


@dataclass(frozen=True)
class Beliefs:
    """The beliefs about all knobs.

    moved: (knob, gap) -> what its last step of this project moved beside its gap; such a knob has lost its badge.
    """

    known: Mapping[Pair, Belief] = field(default_factory=dict)
    moved: Mapping[Pair, str] = field(default_factory=dict)

    def of(self, knob: str, gap: str) -> Belief:
        """The belief about this knob; that of the declaration where nothing else is known."""
        found = self.known.get((knob, gap))
        if found is None:
            guesses = [each.fraction for each in KNOBS if (each.name, each.gap) == (knob, gap)]
            found = Belief(float(np.clip(guesses[0] if guesses else 0.1, *MEANS)))
        return found

    def updated(self, seen: Iterable[Observation]) -> Beliefs:
        """After these steps."""
        by_pair: dict[Pair, list[Observation]] = {}
        for each in seen:
            by_pair.setdefault((each.knob, each.gap), []).append(each)
        changed = {pair: self.of(*pair).updated(list_) for pair, list_ in by_pair.items()}
        return replace(self, known={**self.known, **changed})

    def after(self, logbook: Sequence[Mapping[str, Any]]) -> Beliefs:
        """After every step in a project's logbook, those of the autopilot among them; and which lost their badge."""
        seen, moved = [], dict(self.moved)
        for entry in logbook:
            if entry.get("event") not in STEP_EVENTS:
                continue
            pair = str(entry["knob"]), str(entry["gap"])
            size = (entry.get("expected") or {}).get("value") or 0.0
            one = Observation.of(*pair, size, entry.get("measured"))
            if one is not None:
                seen.append(one)
            if entry.get("orthogonal") is False:
                moved[pair] = str(entry.get("also", "another gap"))
            elif entry.get("orthogonal") is True:
                moved.pop(pair, None)
        return replace(self.updated(seen), moved=moved)


def expected_gain(gap: Gain, belief: Belief) -> tuple[Gain, float]:
    """The gain that a knob may bring with a 95 % interval, and the lower quantile that ranks it.

    gap: its size with a 95 % interval. Gap and fraction are taken as independent, the gap as normal and not below 0.
    """
    from scipy.stats import norm

    shares = (np.arange(GRID) + 0.5) / GRID
    spread = (gap.high - gap.low) / 3.92
    if not math.isfinite(spread):
        spread = abs(gap.value)
    sizes = np.maximum(0.0, gap.value + spread * norm.ppf(shares))
    gains = np.outer(sizes, belief.quantiles(shares)).ravel()
    low, high, lower = np.quantile(gains, [0.025, 0.975, LOWER])
    return Gain(float(gains.mean()), float(low), float(high)), float(lower)


# -- learned from logged runs -------------------------------------------------------------------------------------


def learn(seen: Sequence[Observation], guess: float, side_effects: Sequence[bool] = ()) -> Belief:
    """What steps on many problems say about one knob: how the fraction that it closes varies between them.

    The mean is drawn to the declared guess by GUESSED_STRENGTH observations; the strength is that of the Beta with the
    variance between problems, after the variance of measuring is taken off.
    """
    if not seen:
        return Belief(float(np.clip(guess, *MEANS)))
    weights = np.array([each.weight for each in seen])
    fractions = np.array([each.fraction for each in seen])
    mean = float(np.clip((GUESSED_STRENGTH * guess + weights @ fractions) / (GUESSED_STRENGTH + weights.sum()), *MEANS))
    total = float(weights @ (fractions - mean) ** 2 / max(weights.sum(), 1e-9))
    of_measuring = float(weights @ np.array([each.error**2 for each in seen]) / max(weights.sum(), 1e-9))
    between = max(total - of_measuring, 1e-4)
    strength = float(np.clip(mean * (1 - mean) / between - 1, *STRENGTHS))
    share = float(np.mean(side_effects)) if len(side_effects) else None
    return Belief(mean, strength, len(seen), 0, share)


@cache
def shipped() -> Beliefs:
    """The beliefs that come with the package."""
    file = files("orthogon.strategy").joinpath("priors.json")
    if not file.is_file():
        return Beliefs()
    told = json.loads(file.read_text(encoding="utf-8"))
    known = {}
    for each in told["knobs"]:
        values = {key: each[key] for key in ("mean", "strength", "logged", "side_effects")}
        known[each["knob"], each["gap"]] = Belief(**values)
    return Beliefs(known)
