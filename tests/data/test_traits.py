"""What is said of an input: worked figures, and each trait moved by its own cause alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages
from orthogon.data.read import read
from orthogon.data.strings import StringPairs
from orthogon.data.traits import (
    brightness,
    colourfulness,
    contrast,
    noise,
    rare_symbols,
    sharpness,
    traits,
    unusual_order,
)


def smooth(seed: int = 0, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    return 120 + 60 * np.sin(2 * np.pi * (x + rng.random())) * np.cos(2 * np.pi * (y + rng.random()))


def test_worked_figures_of_a_picture() -> None:
    x = np.zeros((4, 4))
    x[:, 2:] = 255.0
    assert brightness(x) == 0.5
    assert contrast(x) == 0.5
    # the Laplacian of the step is 255, -255, 255, -255 in the 2x2 middle
    assert sharpness(x) == 255.0
    assert noise(x) == 0.0  # a straight edge is no noise
    assert colourfulness(np.stack([smooth()] * 3, axis=-1)) == 0.0
    # pure red: rg = 255, yb = 127.5 everywhere: 0.3 sqrt(255² + 127.5²)
    red = np.zeros((2, 2, 3))
    red[..., 0] = 255.0
    assert colourfulness(red) == pytest.approx(0.3 * math.hypot(255, 127.5))


@pytest.mark.parametrize("sigma", [2.0, 8.0, 20.0])
def test_the_noise_put_in_is_the_noise_measured(sigma: float) -> None:
    rng = np.random.default_rng(1)
    found = np.mean([noise(smooth(seed) + rng.normal(0, sigma, (64, 64))) for seed in range(10)])
    assert found == pytest.approx(sigma, rel=0.05)


def test_blur_lowers_sharpness_and_nothing_is_said_of_a_picture_too_small() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((32, 32)) * 255
    blurred = (x + np.roll(x, 1, 0) + np.roll(x, 1, 1) + np.roll(x, (1, 1), (0, 1))) / 4
    assert sharpness(blurred) < sharpness(x) / 2
    assert math.isnan(sharpness(x[:2]))
    assert math.isnan(noise(x[:, :2]))


def test_pictures_of_one_size_and_no_colour_have_no_such_traits() -> None:
    grey = ArrayImages(np.full((3, 8, 8, 1), 51, np.uint8), np.array(["a"] * 3), name="grey", places=None)
    found = {trait.name: trait.values for trait in traits(grey)}
    assert list(found) == ["brightness", "contrast", "sharpness", "noise", "darkest tone", "lightest tone"]
    assert found["brightness"].tolist() == [0.2] * 3


def test_rows_are_said_by_their_columns_and_what_is_missing(tmp_path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{i % 7 if i % 5 else ''},{'ab'[i % 2]},{2000 + i % 3}-01-0{1 + i % 9},{i % 2}" for i in range(60)]
    path.write_text("size,kind,day,y\n" + "\n".join(rows) + "\n")
    found = {trait.name: trait for trait in traits(read(DataConfig(source=str(path), target="y")))}
    assert set(found) == {"size", "size missing", "kind", "day"}
    assert np.isnan(found["size"].values[0])
    assert found["size missing"].values[:2].tolist() == ["missing", "there"]
    assert set(found["kind"].values) == {"a", "b"}
    assert found["day"].values[0] == (np.datetime64("2000-01-01") - np.datetime64("1970-01-01")).astype(int)


def test_strings_are_said_by_length_symbols_and_order() -> None:
    train = StringPairs(["the cat", "the dog", "a cat 12"] * 40, ["x"] * 120, name="t")
    dev = StringPairs(["THE CAT!", "tac eht"], ["x"] * 2, name="d")
    found = {trait.name: trait.values for trait in traits(dev, train)}
    assert found["length"].tolist() == [8, 7]
    assert found["capitals"].tolist() == [0.75, 0.0]
    assert found["signs"].tolist() == [0.125, 0.0]
    assert found["rare symbols"].tolist() == [7 / 8, 0.0]  # all but the space
    own = {trait.name: trait.values for trait in traits(train)}
    assert found["unusual order of symbols"].min() > own["unusual order of symbols"].max() + 1


def test_a_text_is_judged_without_itself_and_each_symbol_by_the_one_before() -> None:
    surprise = unusual_order(["ab", "ab", "b"])
    # of "ab" itself 1 of 2 is left: pairs ^a 1, ab 1, b$ 2, ^b 1. symbols: ^, a, b, and one more: 4
    expected = -np.mean(np.log([2 / (2 + 4), 2 / (1 + 4), 3 / (2 + 4)]))
    assert surprise("ab") == pytest.approx(expected)
    assert rare_symbols(["a" * 999 + "z"])("z")
    assert not rare_symbols(["a" * 999 + "z"])("a")
