"""Artificial data by mixing: clean speech with noise at an exact ratio, and how much of it is really different.

A thousand hours made of one hour of noise sound varied to people and are not: a network learns that one hour by heart.
So a mixture says of how much unique speech and noise it was made, and warns where that is little.
Legend: s speech, v noise, P mean square, SNR = 10 log10(P_s / P_v) decibels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Finding
from orthogon.errors import DataError, UsageError

Wave = NDArray[np.floating]

MOST_REPEATS = 20  # times that a second of noise is heard in a mixture before it is called repeated


def mean_square(x: Wave) -> float:
    return float(np.mean(np.square(x, dtype=np.float64)))


def mix_at_snr(speech: Wave, noise: Wave, snr_db: float, start: int = 0) -> NDArray[np.float64]:
    """Speech plus noise at a signal-to-noise ratio that holds exactly over this clip.

    Args:
        speech: (n,) samples. noise: (m,) samples at the same rate; taken from `start` on, and repeated where shorter.
        snr_db: decibels; 0 is equal power, higher is cleaner.
    Returns:
        (n,) speech + g noise. The speech is left as loud as it is; scale the sum where it must stay within -1..1.
    Raises:
        DataError: one of them is silent or holds what is no number: no ratio can be reached.
        UsageError: one is empty, or not one-dimensional.

    >>> speech, noise = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.5, 0.5, -0.5, -0.5])
    >>> added = mix_at_snr(speech, noise, 20.0) - speech
    >>> round(10 * math.log10(mean_square(speech) / mean_square(added)), 6)
    20.0
    """
    for name, wave in (("speech", speech), ("noise", noise)):
        if wave.ndim != 1 or len(wave) == 0:
            raise UsageError(f"{name} is an array of shape {wave.shape}", name, "Give one channel of samples, (n,).")
        if not np.isfinite(wave).all():
            raise DataError(f"{name} holds values that are no numbers", name, "Leave this clip out.")
    if not math.isfinite(snr_db):
        raise UsageError(f"{snr_db} is no ratio", "snr_db", "Give decibels, for instance 10.")
    bed = np.take(noise.astype(np.float64), np.arange(start, start + len(speech)), mode="wrap")
    power_s, power_v = mean_square(speech), mean_square(bed)
    for name, power in (("speech", power_s), ("noise", power_v)):
        if power == 0:
            raise DataError(f"{name} is silent here, so no ratio can be reached", name, "Take another clip or start.")
    gain = math.sqrt(power_s / power_v) * 10 ** (-snr_db / 20)
    mixed: NDArray[np.float64] = speech + gain * bed
    return mixed


@dataclass(frozen=True)
class Diversity:
    """What a set of mixtures was made of.

    hours: of mixtures. speech_hours, noise_hours: unique seconds of each that are heard, in hours.
    num_speech, num_noise: different clips of each.
    """

    hours: float
    speech_hours: float
    noise_hours: float
    num_speech: int
    num_noise: int

    @property
    def repeats(self) -> float:
        """How often a second of noise is heard on average."""
        return self.hours / self.noise_hours if self.noise_hours else math.inf

    def findings(self, most_repeats: float = MOST_REPEATS) -> list[Finding]:
        """A warning where the noise is heard again and again."""
        if self.repeats <= most_repeats:
            return []
        return [
            Finding(
                "synthesis-low-diversity",
                "warning",
                f"{_hours(self.hours)} of mixtures hold {_hours(self.noise_hours)} of different noise "
                f"({self.num_noise:,} clips): each second is heard {self.repeats:,.0f} times. A network can learn that "
                "little by heart, while people hear no difference.",
                self.num_noise,
                (),
                f"Record or find about {_hours(self.hours / most_repeats)} of different noise.",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{_hours(self.hours)} of mixtures from {_hours(self.speech_hours)} of speech ({self.num_speech:,} clips) "
            f"and {_hours(self.noise_hours)} of noise ({self.num_noise:,} clips), each second of noise heard "
            f"{self.repeats:,.1f} times."
        )


def diversity(
    uses: Sequence[tuple[int, int, int]], speech: Sequence[int], noise: Sequence[int], rate: int
) -> Diversity:
    """What mixtures were made of.

    Args:
        uses: of each mixture the speech clip, the noise clip, and the sample of the noise it starts at.
        speech, noise: length of every clip in samples. rate: samples a second (Hz).
    """
    heard_speech = {s for s, _, _ in uses}
    heard = {v: np.zeros(noise[v], bool) for _, v, _ in uses}
    for s, v, start in uses:
        length, whole = min(speech[s], noise[v]), noise[v]
        first = start % whole
        heard[v][first : first + length] = True
        heard[v][: max(0, first + length - whole)] = True
    hour = 3600 * rate
    return Diversity(
        sum(speech[s] for s, _, _ in uses) / hour,
        sum(speech[s] for s in heard_speech) / hour,
        sum(int(each.sum()) for each in heard.values()) / hour,
        len(heard_speech),
        len(heard),
    )


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{60 * hours:.1f} minutes" if hours >= 1 / 60 else f"{3600 * hours:.1f} seconds"
