"""Recast: ranks by hand, planted tone changes taken back by the simplest way that does, and pictures so read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages, read_image_folder
from orthogon.data.recast import Toned, ToneMap, by_rank, histograms, mapped, middle_and_spread, tone_map

# -- ranks --------------------------------------------------------------------------------------------------------


def test_each_value_becomes_what_stands_at_its_rank_by_hand() -> None:
    # ranks of 1, 2, 2, 9: 1/8, 4/8, 4/8, 7/8; of eight others the 1st, the 4th and the 7th stand there
    own, other = np.array([2.0, 1.0, np.nan, 9.0, 2.0]), np.arange(10.0, 18.0)
    assert by_rank(own, own, other).tolist() == pytest.approx([13, 10, np.nan, 16, 13], nan_ok=True)
    assert by_rank(np.array([0.0, 100.0]), own, other).tolist() == [10, 17]  # beyond its own: the others' ends
    assert by_rank(own, own, np.array([np.nan])) is not own


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.integers(-5, 5).map(float)),
    arrays(np.float64, st.integers(1, 30), elements=st.integers(-5, 5).map(float)),
)
def test_the_order_is_kept_and_nothing_is_made_up(own: np.ndarray, other: np.ndarray) -> None:
    new = by_rank(own, own, other)
    assert set(new) <= set(other)
    order = np.argsort(own, kind="stable")
    assert (np.diff(new[order]) >= 0).all()
    assert by_rank(own, own, own) == pytest.approx(own)


# -- tones --------------------------------------------------------------------------------------------------------


def waves(n: int, seed: int) -> np.ndarray:
    """(n, 16, 16) pictures of greys 40 to 200, each of its own middle and spread."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16] / 16
    made = np.sin(2 * np.pi * (x + rng.random((n, 1, 1)))) * np.cos(2 * np.pi * (y + rng.random((n, 1, 1))))
    return rng.uniform(100, 140, (n, 1, 1)) + rng.uniform(20, 60, (n, 1, 1)) * made


def grey(values: np.ndarray) -> ArrayImages:
    return ArrayImages(np.clip(np.rint(values), 0, 255).astype(np.uint8), np.array(["a"] * len(values)))


def mixed(values: np.ndarray) -> np.ndarray:
    """Every second picture at night."""
    return np.where(np.arange(len(values))[:, None, None] % 2, values, 0.4 * values)


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (lambda x: x + 12, "one brightness and contrast for all"),
        (lambda x: 0.5 * x + 60, "one brightness and contrast for all"),
        (lambda x: 255 * (x / 255) ** 2.2, "one tone curve for all"),
        (mixed, "a brightness and contrast for each"),
    ],
)
def test_a_planted_change_is_taken_back_by_the_simplest_way_that_does(change, way: str) -> None:
    plain, other = waves(250, 0), grey(waves(300, 1))
    changed = change(plain)
    tone = tone_map(histograms(grey(changed)), histograms(other))
    assert (tone.way, tone.matched) == (way, True)
    assert tone.left <= 0.15
    back = tone(np.clip(np.rint(changed), 0, 255))
    if change is mixed:  # a picture's rank among a mixture is not the one it had by day, but its kind's tones are right
        assert abs(float(np.median(back.mean((1, 2)))) - float(np.median(plain.mean((1, 2))))) < 3
    else:
        assert np.abs(back - plain).mean() < 4


def test_equal_sets_need_next_to_nothing_and_what_cannot_be_matched_is_said() -> None:
    tone = tone_map(histograms(grey(waves(250, 2))), histograms(grey(waves(300, 3))))
    assert tone.matched
    assert np.abs(tone.curves - np.arange(256))[:, 60:180].mean() < 4
    flat = grey(np.full((60, 16, 16), 90.0))  # one grey has no contrast to stretch
    assert not tone_map(histograms(flat), histograms(grey(waves(300, 3)))).matched


def test_histograms_tell_mean_and_spread_and_follow_the_curve() -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    h = histograms(ArrayImages(pixels))
    luma = np.rint(pixels @ [0.299, 0.587, 0.114])
    m, s = middle_and_spread(h)
    assert m == pytest.approx(luma.mean((1, 2)))
    assert s == pytest.approx(luma.std((1, 2)))
    half = np.arange(256)[None] // 2
    assert middle_and_spread(mapped(h, half))[0] == pytest.approx((luma // 2).mean((1, 2)))
    assert h.sum(1) == pytest.approx(1)


def test_greys_between_lie_on_the_curve_between() -> None:
    tone = ToneMap(np.stack([np.arange(256.0), np.arange(256.0) / 2]), "", 0.0, True)
    assert tone(np.array([[10.5, 300.0], [10.5, -3.0]])).tolist() == [[10.5, 255.0], [5.25, 0.0]]


# -- pictures read through it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_disk", [False, True])
def test_every_way_of_reading_sees_the_changed_pictures(on_disk: bool, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
    if on_disk:
        for i, each in enumerate(pixels):
            (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
            Image.fromarray(each).save(tmp_path / "ab"[i % 2] / f"{i}.png")
        plain = read_image_folder(DataConfig(source=str(tmp_path)))
    else:
        plain = ArrayImages(pixels, np.array(list("ababab")))
    curves = np.arange(256)[None] / np.arange(1, 7)[:, None]
    toned = Toned(plain, ToneMap(curves, "", 0.0, True))
    expected = np.stack([np.rint(each.input / (i + 1)) for i, each in enumerate(plain)])
    assert (np.stack([each.input for each in toned]) == expected).all()
    assert (toned.pixels(10) == expected).all()
    assert (toned.pixels(10, np.array([4, 1])) == expected[[4, 1]]).all()
    taken = toned.take([5, 2])
    assert (taken.pixels(10) == expected[[5, 2]]).all()
    assert taken.labels.tolist() == [plain.labels[5], plain.labels[2]]
    assert (toned.load(2, 10) == expected[2]).all()
    assert toned.thumbnails().shape == (6, 16, 16)
    assert (toned.channels, len(toned), toned.content_keys().tolist()) == (3, 6, plain.content_keys().tolist())
