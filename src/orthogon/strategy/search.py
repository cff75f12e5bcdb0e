"""Where to look next in a search space: random, quasi-random, and coarse to fine, in the unit cube.

A point is (d,) numbers of 0..1, one a parameter in the order of the space; `Parameter.at` turns each into a value.
Points are functions of (seed, number): any number of processes draws the same ones, and one that is lost with its
process can be drawn again.

Coarse to fine: half of the trials cover the whole box with quasi-random points; then the box shrinks to where the best
quarter lie, twice, and each smaller box gets half of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from orthogon.training.space import Parameter

Floats = NDArray[np.float64]
ROUNDS = 3
BEST = 0.25  # share of the trials that a box is drawn around
PAD = 0.25  # of its width, on either side
WALL = 0.05  # of a range: nearer to its end, the best may lie outside
SPREAD = 0.25  # of the best quarter, left out at either end
LEAST = 0.02  # width of a box, as a share of the whole range
FEWEST = 4  # trials a box is drawn from


def random_point(seed: int, number: int, d: int) -> Floats:
    """(d,) drawn evenly."""
    return np.random.default_rng([seed, number]).random(d)


def sobol_point(seed: int, number: int, d: int) -> Floats:
    """(d,) the number-th of Sobol's sequence, scrambled: points that leave no large gaps however many are taken.

    Source: Sobol 1967; scrambling by Owen 1995, as scipy has it.
    """
    from scipy.stats import qmc

    sequence = qmc.Sobol(d, scramble=True, rng=seed)
    if number:
        sequence.fast_forward(number)
    with np.errstate(all="ignore"):
        return np.asarray(sequence.random(1)[0], np.float64)


def round_of(number: int, trials: int, rounds: int = ROUNDS) -> int:
    """The round, from 0, that trial `number` of so many belongs to: each takes half of what is left."""
    start, left = 0, trials
    for each in range(rounds - 1):
        size = math.ceil(left / 2)
        if number < start + size:
            return each
        start, left = start + size, left - size
    return rounds - 1


@dataclass(frozen=True)
class Box:
    """A part of the unit cube, and how often each choice of a parameter without order is taken in it.

    low, high: (d,) limits. shares: place of such a parameter -> share of each of its choices.
    """

    low: Floats
    high: Floats
    shares: Mapping[int, Floats] = field(default_factory=dict)

    @classmethod
    def whole(cls, d: int) -> Box:
        return cls(np.zeros(d), np.ones(d))

    def at(self, u: Floats) -> Floats:
        """(d,) of the unit cube -> (d,) of this box."""
        point = self.low + u * (self.high - self.low)
        for place, shares in self.shares.items():
            choice = int(np.searchsorted(np.cumsum(shares), u[place] * shares.sum(), side="right"))
            point[place] = (min(choice, len(shares) - 1) + 0.5) / len(shares)
        return point


def zoomed(points: Floats, values: Floats, before: Box, choices: Mapping[int, int] | None = None) -> Box:
    """The box around the middle half of the best quarter of the points, a quarter wider than they reach on each side.

    The whole of the best quarter makes boxes that hardly shrink where parameters matter little: on 40 planted optima of
    8 parameters, 4 of them idle, 50 trials in three rounds came to 0.70 of one round's median error with it, and to
    0.14 with its middle half (with noise on the values, 4 parameters: 1.07 and 0.33).

    Where the winner lies within a twentieth of a wall of the box before, the new box reaches a quarter of that box's
    width beyond this wall, if the range does.

    Args:
        points: (n, d) in the unit cube. values: (n,) lower is better; not finite where a trial came to nothing.
        before: the box that they were drawn in.
        choices: place -> number of choices, of parameters without order; what the best quarter chose is drawn more.
    """
    there = np.isfinite(values)
    points, values = points[there], values[there]
    if len(values) < FEWEST:
        return before
    order = np.argsort(values, kind="stable")
    best = points[order[: max(2, math.ceil(BEST * len(values)))]]
    low, high = np.quantile(best, [SPREAD, 1 - SPREAD], axis=0)
    pad = np.maximum(PAD * (high - low), LEAST / 2)
    low, high = low - pad, high + pad
    width = before.high - before.low
    winner = points[order[0]]
    low = np.where(winner < before.low + WALL * width, np.minimum(low, before.low - PAD * width), low)
    high = np.where(winner > before.high - WALL * width, np.maximum(high, before.high + PAD * width), high)
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    shares = {}
    for place, count in (choices or {}).items():
        low[place], high[place] = 0.0, 1.0
        taken = np.minimum((best[:, place] * count).astype(int), count - 1)
        shares[place] = (np.bincount(taken, minlength=count) + 1) / (len(best) + count)
    return Box(low, high, shares)


def best_so_far(values: Sequence[float], orders: int = 2000, level: float = 0.95, seed: int = 0) -> Floats:
    """(n, 3) the best of the first k trials, in the mean and from a low to a high quantile, over random orders of them.

    How far the search would have come with fewer trials. For points that do not depend on each other (random,
    quasi-random) the order is chance, and this is its interval; of an adaptive search it says what the same trials
    would give in another order.

    Args:
        values: of the trials, lower is better.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.permutation(np.asarray(values, float)) for _ in range(orders)])
    best = np.minimum.accumulate(shuffled, axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(best, [tail, 1 - tail], axis=0)
    return np.stack([best.mean(axis=0), low, high], axis=1).reshape(n, 3)


def at_walls(space: Mapping[str, Parameter], best: Mapping[str, object]) -> dict[str, str]:
    """Parameters whose best value lies within a twentieth of an end of its range: key -> "low" or "high".

    Whole numbers count when they are the end itself. A choice has no ends.
    """
    found = {}
    for key, parameter in space.items():
        value = best.get(key)
        if parameter.scale == "choice" or not parameter.holds(value):
            continue
        place = parameter.place(value)
        ends = (
            (value == parameter.low, value == parameter.high) if parameter.is_int else (place < WALL, place > 1 - WALL)
        )
        if any(ends):
            found[key] = "low" if ends[0] else "high"
    return found
