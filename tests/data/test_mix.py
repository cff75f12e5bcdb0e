"""Mixing at a ratio is exact, bad clips are told, and little noise repeated is noticed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.mix import Diversity, diversity, mean_square, mix_at_snr
from orthogon.data.tones import PITCHES, RATE, WORDS, chirp, log_spectrogram, noise_bed, say
from orthogon.errors import DataError, UsageError


@pytest.mark.system("strat.synthesis")
@given(st.floats(-30, 60), st.integers(1, 4000), st.integers(1, 4000), st.integers(0, 5000), st.floats(1e-3, 1e3))
def test_the_ratio_is_exact_whatever_the_lengths_and_the_loudness(snr, n, m, start, loud) -> None:
    rng = np.random.default_rng(n * 4001 + m)
    speech, noise = loud * rng.normal(size=n), rng.normal(size=m).astype(np.float32)
    mixed = mix_at_snr(speech, noise, snr, start)
    assert mixed.shape == speech.shape
    measured = 10 * math.log10(mean_square(speech) / mean_square(mixed - speech))
    assert measured == pytest.approx(snr, abs=0.1)


def test_noise_is_taken_from_its_start_and_repeated() -> None:
    mixed = mix_at_snr(np.array([1.0, 1, 1, 1]), np.array([1.0, -1.0, 3.0]), 0.0, start=2)
    added = mixed - 1
    assert added / added[1] == pytest.approx([3, 1, -1, 3])  # 3, then 1, -1, 3 again


def test_what_cannot_be_mixed_is_told() -> None:
    ones = np.ones(4)
    with pytest.raises(DataError, match=r"noise: noise is silent here.*\nTake another clip"):
        mix_at_snr(ones, np.zeros(4), 10)
    with pytest.raises(DataError, match=r"speech: speech holds values that are no numbers"):
        mix_at_snr(np.array([1.0, np.nan]), ones, 10)
    with pytest.raises(UsageError, match=r"speech: speech is an array of shape \(2, 2\)\nGive one channel"):
        mix_at_snr(np.ones((2, 2)), ones, 10)
    with pytest.raises(UsageError, match=r"snr_db: nan is no ratio"):
        mix_at_snr(ones, ones, math.nan)


@pytest.mark.system("strat.synthesis")
def test_unique_hours_are_counted_and_low_diversity_is_a_warning() -> None:
    """Ten one-second clips over one ten-second bed, three of them at the same place: 8 of its 10 seconds are heard."""
    starts = [0, 0, 0, 1, 2, 3, 4, 5, 6, 9]  # seconds
    found = diversity([(k, 0, RATE * s) for k, s in enumerate(starts)], [RATE] * 10, [10 * RATE], RATE)
    assert (found.num_speech, found.num_noise) == (10, 1)
    assert 3600 * found.hours == pytest.approx(10)
    assert 3600 * found.speech_hours == pytest.approx(10)
    assert 3600 * found.noise_hours == pytest.approx(8)
    assert found.findings() == []
    hour = Diversity(10_000, 10_000, 1, 10_000_000, 3600)  # the example of the course: 1 hour over 10,000
    (warning,) = hour.findings()
    assert warning.code == "synthesis-low-diversity"
    assert "10,000.0 hours of mixtures hold 1.0 hours of different noise" in warning.message
    assert "heard 10,000 times" in warning.message
    assert warning.remedy == "Record or find about 500.0 hours of different noise."
    assert "10,000.0 hours of mixtures from" in str(hour)


def test_a_bed_that_is_shorter_than_the_clip_wraps_round() -> None:
    found = diversity([(0, 0, 3), (0, 0, 9)], [8], [10], 1)
    assert 3600 * found.noise_hours == pytest.approx(10)


def test_tones_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    spoken = say(WORDS["stop"], rng, vary=0.0)
    assert spoken.phonemes == (4, 1, 7)
    assert len(spoken.wave) == 3 * round(0.06 * RATE)
    for phoneme, start in zip(spoken.phonemes, spoken.starts, strict=True):
        piece = spoken.wave[start : start + 240]
        peak = np.argmax(np.abs(np.fft.rfft(piece, 4096))) * RATE / 4096
        assert peak == pytest.approx(PITCHES[phoneme], rel=0.02)
    assert np.array_equal(noise_bed(1, 3), noise_bed(1, 3))
    assert not np.allclose(noise_bed(1, 3), noise_bed(1, 4))
    assert mean_square(noise_bed(1, 3)) == pytest.approx(1)
    up, down = (log_spectrogram(chirp(rng, up=each)).argmax(1) for each in (True, False))
    assert up[-2] > up[1]
    assert down[-2] < down[1]
    assert log_spectrogram(np.zeros(10)).shape == (1, 65)
