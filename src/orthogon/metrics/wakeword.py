"""The threshold of a detector that listens all day: hear the wake word as often as possible, with few false alarms.

One metric to optimise (the share of wake words heard) and one to satisfice (false alarms in 24 hours).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from orthogon.errors import UsageError
from orthogon.metrics.intervals import Interval, proportion

HOURS_A_DAY = 24.0


@dataclass(frozen=True)
class WakeThreshold:
    """From which score on the detector wakes.

    recall: share of wake words heard. false_alarms: in the hours listened to. per_day: scaled to 24 hours;
    per_day_high: its 95 % upper limit (Poisson), which few hours leave far above it.
    """

    value: float
    recall: Interval
    false_alarms: int
    hours: float
    per_day: float
    per_day_high: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def wake_threshold(heard: NDArray[Any], other: NDArray[Any], hours: float, most_per_day: float = 1.0) -> WakeThreshold:
    """The threshold with the best recall whose false alarms, scaled to 24 hours, stay within the limit.

    Args:
        heard: (n,) highest score during each wake word. other: (m,) score of each stretch without one, in `hours` of
            sound; stretches that would be one alarm count as one.
        most_per_day: false alarms that are allowed in 24 hours.
    Raises:
        UsageError: there are no wake words, no hours, or scores that are no numbers.
    """
    heard, other = np.asarray(heard, float), np.asarray(other, float)
    if len(heard) == 0 or not hours > 0:
        raise UsageError(
            f"{len(heard)} wake words and {hours:g} hours without one", "wake_threshold", "It takes some of both."
        )
    if not (np.isfinite(heard).all() and np.isfinite(other).all()):
        raise UsageError("a score is no number", "wake_threshold", "Leave such stretches out.")
    allowed = math.floor(most_per_day * hours / HOURS_A_DAY + 1e-9)
    loud = np.sort(other)[::-1]
    # above the first alarm that is too many; among the scores that stay, halfway to the next
    if len(loud) <= allowed:
        value = float(min(heard.min(), loud.min(initial=np.inf)))
    else:
        limit = loud[allowed]
        above = np.concatenate([heard[heard > limit], other[other > limit]])
        value = float((limit + above.min()) / 2) if len(above) else float(np.nextafter(limit, np.inf))
        value = max(value, float(np.nextafter(limit, np.inf)))
    alarms = int((other >= value).sum())
    recall = proportion(int((heard >= value).sum()), len(heard)).interval()
    scale = HOURS_A_DAY / hours
    high = float(chi2.ppf(0.95, 2 * (alarms + 1)) / 2) * scale
    reason = (
        f"{recall.value:.1%} of {len(heard):,} wake words are heard (95 % between {recall.low:.1%} and "
        f"{recall.high:.1%}), with {alarms} false alarms in {hours:g} hours: {alarms * scale:.1f} a day, at most "
        f"{high:.1f} with 95 % confidence."
    )
    return WakeThreshold(value, recall, alarms, hours, alarms * scale, high, reason)
