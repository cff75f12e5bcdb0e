"""Honest synthetic data of any size, the same for the same seed on every machine.

DATES   human date string -> ISO date, never with day and month in doubt
SHAPES  a coloured circle, square or triangle with class, box, corners, mask and 0/1 attributes
MOONS   two interleaved half circles of points
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# -- dates --------------------------------------------------------------------------------------------------------

FIRST_DAY, LAST_DAY = dt.date(1950, 1, 1), dt.date(2049, 12, 31)  # a century, so that two digits name one year
MAX_DATE_LENGTH = 30  # T_x
DATE_SYMBOLS = " ./0123456789abcdefghijlmnoprstuvwy"  # 35; with padding and "unknown" 37 input symbols
ISO_SYMBOLS = "-0123456789"  # 11 output symbols

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]  # not strftime, whose words follow the machine's locale
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _ordinal(n: int) -> str:
    if n in (11, 12, 13):
        return f"{n}th"
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th') }"


# Numbers alone stand only with the year in front or the day above 12, so that no string has two readings.
_DATE_FORMS: tuple[Callable[[dt.date], str], ...] = (
    lambda d: f"{d.day} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day:02} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day} {_MONTHS[d.month - 1][:3]} {d.year}",
    lambda d: f"{d.day:02} {_MONTHS[d.month - 1][:3]} {d.year}",
    lambda d: f"{d.day} {_MONTHS[d.month - 1][:3]} {d.year % 100:02}",
    lambda d: f"{_MONTHS[d.month - 1]} {d.day} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1][:3]} {d.day} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1][:3]}. {d.day} {d.year}",
    lambda d: f"{_ordinal(d.day)} of {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1]} {_ordinal(d.day)} {d.year}",
    lambda d: f"{_ordinal(d.day)} {_MONTHS[d.month - 1][:3]} {d.year}",
    lambda d: f"{_DAYS[d.weekday()]} {d.day} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{_DAYS[d.weekday()]} {_MONTHS[d.month - 1]} {d.day} {d.year}",
    lambda d: f"{_DAYS[d.weekday()][:3]} {d.day} {_MONTHS[d.month - 1][:3]} {d.year}",
    lambda d: f"{d.year} {_MONTHS[d.month - 1]} {d.day}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.year}.{d.month:02}.{d.day:02}",
    lambda d: f"{d.day}.{d.month}.{d.year}" if d.day > 12 else f"{d.day}. {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year}" if d.day > 12 else f"{d.year}/{d.month}/{d.day}",
    lambda d: f"{d.month}/{d.day}/{d.year}" if d.day > 12 else f"{d.year}.{d.month}.{d.day}",
)


def make_dates(num_examples: int = 10_000, seed: int = 0) -> tuple[list[str], list[str]]:
    """Dates as people write them and their ISO form: ("3rd of may 1979", "1979-05-03").

    Lower case, at most 30 characters of `DATE_SYMBOLS`; no string comes twice while there are new ones to be had.
    """
    rng = np.random.default_rng(seed)
    num_days = (LAST_DAY - FIRST_DAY).days + 1
    pairs: dict[str, str] = {}
    repeats: list[tuple[str, str]] = []  # let in only where more are asked for than chance finds new ones
    while len(pairs) + len(repeats) < num_examples:
        day = FIRST_DAY + dt.timedelta(days=int(rng.integers(num_days)))
        source = _DATE_FORMS[rng.integers(len(_DATE_FORMS))](day)
        if source not in pairs:
            pairs[source] = day.isoformat()
        elif len(pairs) > num_days * len(_DATE_FORMS) // 2:
            repeats.append((source, pairs[source]))
    chosen = [*pairs.items(), *repeats]
    return [source for source, _ in chosen], [target for _, target in chosen]


# -- shapes -------------------------------------------------------------------------------------------------------

SHAPE_NAMES = ("circle", "square", "triangle")
SHAPE_ATTRIBUTES = ("red", "large", "left", "outlined", "dark_background")
_COLOURS = {
    "red": (0.86, 0.16, 0.16),
    "green": (0.18, 0.66, 0.27),
    "blue": (0.16, 0.35, 0.85),
    "yellow": (0.92, 0.8, 0.15),
}


@dataclass(frozen=True)
class Shapes:
    """Images of one shape each, with everything that is known about them.

    Attributes:
        images: (n, size, size, 3) uint8.
        labels: (n,) "circle", "square" or "triangle".
        boxes: (n, 4) float32, xyxy in pixels.
        corners: (n, 4, 2) float32, x and y in pixels; NaN where a shape has fewer corners.
        masks: (n, size, size) bool, the pixels of which the shape covers at least half.
        attributes: (n, 5) uint8, `SHAPE_ATTRIBUTES` in order.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.str_]
    boxes: NDArray[np.float32]
    corners: NDArray[np.float32]
    masks: NDArray[np.bool_]
    attributes: NDArray[np.uint8]


def make_shapes(num_examples: int = 2_000, size: int = 32, noise: float = 0.03, seed: int = 0) -> Shapes:
    """Coloured shapes at random places, sizes and angles on plain backgrounds.

    Args:
        num_examples: how many; the classes come in equal shares, shuffled.
        size: side of the images in pixels.
        noise: standard deviation of the pixel noise, of a range of 1.
        seed: the same seed gives the same images.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.arange(num_examples) % len(SHAPE_NAMES))
    colours = list(_COLOURS)
    images = np.empty((num_examples, size, size, 3), np.uint8)
    boxes = np.empty((num_examples, 4), np.float32)
    corners = np.full((num_examples, 4, 2), np.nan, np.float32)
    masks = np.empty((num_examples, size, size), bool)
    attributes = np.empty((num_examples, len(SHAPE_ATTRIBUTES)), np.uint8)
    grid = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)  # (size, size, 2), x and y
    for i, kind in enumerate(kinds):
        radius = size * rng.uniform(0.16, 0.40)  # of the circle around the shape
        centre = rng.uniform(radius + 1, size - radius - 1, size=2)
        distance, points = _outline(SHAPE_NAMES[kind], grid, centre, radius, angle=rng.uniform(0, 2 * np.pi))
        outlined, dark = rng.random() < 0.3, rng.random() < 0.5
        colour = colours[rng.integers(len(colours))]
        covered = np.clip(0.5 - distance, 0, 1)  # share of a pixel inside, to first order: smooth edges
        line = np.maximum(distance, -distance - max(1.5, 0.25 * radius)) if outlined else distance
        ink = np.clip(0.5 - line, 0, 1)[..., None]
        background = rng.uniform(0.0, 0.25, 3) if dark else rng.uniform(0.7, 1.0, 3)
        paint = np.clip(np.array(_COLOURS[colour]) + rng.normal(0, 0.05, 3), 0, 1)
        pixels = ink * paint + (1 - ink) * background + rng.normal(0, noise, (size, size, 3))
        images[i] = np.rint(np.clip(pixels, 0, 1) * 255)
        masks[i] = covered >= 0.5
        low, high = (centre - radius, centre + radius) if points is None else (points.min(0), points.max(0))
        boxes[i] = [*low, *high]
        if points is not None:
            corners[i, : len(points)] = points
        attributes[i] = [colour == "red", radius > 0.28 * size, centre[0] < size / 2, outlined, dark]
    return Shapes(images, np.array(SHAPE_NAMES)[kinds], boxes, corners, masks, attributes)


def _outline(
    name: str, grid: NDArray[np.float64], centre: NDArray[np.float64], radius: float, angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Signed distance of every pixel to the outline (negative inside), and the corners, or None for a circle."""
    if name == "circle":
        return np.linalg.norm(grid - centre, axis=-1) - radius, None
    num_corners = {"square": 4, "triangle": 3}[name]
    turns = angle + 2 * np.pi * np.arange(num_corners) / num_corners
    points = centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    middles = turns + np.pi / num_corners  # directions of the sides' normals
    normals = np.stack([np.cos(middles), np.sin(middles)], axis=-1)  # (corners, 2)
    inner = radius * np.cos(np.pi / num_corners)  # from the centre to a side
    return ((grid - centre) @ normals.T).max(axis=-1) - inner, points


# -- moons --------------------------------------------------------------------------------------------------------


def make_moons(
    num_examples: int = 300, noise: float = 0.2, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Points (n, 2) on two interleaved half circles of radius 1, with their moon, "upper" or "lower"."""
    rng = np.random.default_rng(seed)
    lower = rng.permutation(np.arange(num_examples) % 2)
    turn = rng.uniform(0, np.pi, num_examples)
    x = np.where(lower, 1 - np.cos(turn), np.cos(turn))
    y = np.where(lower, 0.5 - np.sin(turn), np.sin(turn))
    points = np.stack([x, y], axis=-1) + rng.normal(0, noise, (num_examples, 2))
    return points, np.where(lower, "lower", "upper")
