"""TONES: synthetic audio whose content is known: words of tones, a trigger chirp, and beds of noise.

A phoneme is a tone of its own pitch, a word a fixed sequence of phonemes; a speaker shifts pitch and pace. A bed of
noise has a spectrum of its own, drawn from its seed, as a street, a fan and a crowd have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 4000  # Hz
PHONEME_SECONDS = 0.06
PITCHES = tuple(300 * 1.28**k for k in range(8))  # Hz of the eight phonemes
WORDS: dict[str, tuple[int, ...]] = {
    "yes": (0, 3, 5),
    "no": (5, 2),
    "go": (1, 6),
    "stop": (4, 1, 7),
    "left": (2, 0, 6),
    "right": (6, 3, 1),
    "up": (7, 4),
    "down": (3, 7, 2),
}


@dataclass(frozen=True)
class Spoken:
    """A clip and what is said in it. wave: (n,) float in about -1..1. starts: first sample of each phoneme."""

    wave: NDArray[np.float64]
    phonemes: tuple[int, ...]
    starts: tuple[int, ...]


def tone(pitch: float, seconds: float, rng: np.random.Generator, rate: int = RATE) -> NDArray[np.float64]:
    """One phoneme: a pitch with a weak overtone, rising and falling softly."""
    t = np.arange(round(seconds * rate)) / rate
    envelope = np.sin(np.pi * np.clip(t / seconds, 0, 1)) ** 0.5
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * pitch * t + phase) + 0.3 * np.sin(4 * np.pi * pitch * t + phase)
    return np.asarray(envelope * wave / 1.3)


def say(phonemes: Sequence[int], rng: np.random.Generator, vary: float = 0.04, rate: int = RATE) -> Spoken:
    """Phonemes one after the other, by a speaker of random pitch and pace (relative spread `vary`)."""
    pitch, pace = np.exp(rng.normal(0, vary, 2))
    waves: list[NDArray[np.float64]] = []
    starts, at = [], 0
    for phoneme in phonemes:
        seconds = PHONEME_SECONDS * pace * np.exp(rng.normal(0, vary))
        waves.append(tone(PITCHES[phoneme] * pitch * np.exp(rng.normal(0, vary / 3)), seconds, rng, rate))
        starts.append(at)
        at += len(waves[-1])
    return Spoken(np.concatenate(waves), tuple(phonemes), tuple(starts))


def noise_bed(seconds: float, seed: int, rate: int = RATE) -> NDArray[np.float64]:
    """Noise with a few resonances of its own: the same seed is the same place, heard at the same time."""
    rng = np.random.default_rng((seed, 7))
    n = round(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=n))
    frequency = np.fft.rfftfreq(n, 1 / rate)
    shape = 0.15 + sum(
        rng.uniform(0.5, 2) * np.exp(-(((frequency - centre) / width) ** 2))
        for centre, width in zip(rng.uniform(100, rate / 2, 3), rng.uniform(40, 200, 3), strict=True)
    )
    bed = np.fft.irfft(spectrum * shape, n)
    return np.asarray(bed / np.sqrt(np.mean(bed**2)))


def chirp(rng: np.random.Generator, up: bool = True, rate: int = RATE) -> NDArray[np.float64]:
    """The trigger: a quarter second whose pitch sweeps up; down it is another sound."""
    seconds, low, high = 0.25, 400 * np.exp(rng.normal(0, 0.05)), 1400 * np.exp(rng.normal(0, 0.05))
    t = np.arange(round(seconds * rate)) / rate
    first, last = (low, high) if up else (high, low)
    phase = 2 * np.pi * (first * t + (last - first) * t**2 / (2 * seconds)) + rng.uniform(0, 2 * np.pi)
    return np.asarray(np.sin(np.pi * t / seconds) ** 0.5 * np.sin(phase))


def log_spectrogram(
    wave: NDArray[np.float64], frame: int = 128, hop: int = 64, floor: float = 1e-3
) -> NDArray[np.float32]:
    """(frames, frame / 2 + 1) log power of windowed frames of a wave (n,)."""
    padded = np.pad(wave, (0, max(0, frame - len(wave))))
    count = 1 + (len(padded) - frame) // hop
    rows = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop][:count] * np.hanning(frame)
    return np.asarray(np.log(np.abs(np.fft.rfft(rows, axis=1)) ** 2 / frame + floor), np.float32)
