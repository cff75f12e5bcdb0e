"""Generated data: what the catalogue says of DATES, SHAPES and MOONS."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest

from orthogon.data.generate import (
    DATE_SYMBOLS,
    ISO_SYMBOLS,
    MAX_DATE_LENGTH,
    SHAPE_ATTRIBUTES,
    SHAPE_NAMES,
    make_dates,
    make_moons,
    make_shapes,
)


@pytest.fixture(scope="module")
def dates() -> tuple[list[str], list[str]]:
    return make_dates()


def test_dates_have_the_exercise_s_sizes(dates: tuple[list[str], list[str]]) -> None:
    sources, targets = dates
    assert len(sources) == len(targets) == 10_000
    assert len(set(sources)) == 10_000
    assert max(map(len, sources)) <= MAX_DATE_LENGTH == 30
    assert set("".join(sources)) == set(DATE_SYMBOLS)
    assert len(DATE_SYMBOLS) + 2 == 37  # with padding and "unknown"
    assert set("".join(targets)) == set(ISO_SYMBOLS)
    assert len(ISO_SYMBOLS) == 11
    assert {len(target) for target in targets} == {10}


def test_no_date_has_two_readings(dates: tuple[list[str], list[str]]) -> None:
    months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    for source, target in zip(*dates, strict=True):
        day = dt.date.fromisoformat(target)
        named = [month for month in re.findall(r"[a-z]{3,}", source) if month[:3] in months]
        numbers = [int(number) for number in re.findall(r"\d+", source)]
        if named:
            assert months.index(named[0][:3]) + 1 == day.month
            assert sorted(numbers) in (sorted([day.day, day.year]), sorted([day.day, day.year % 100]))
        elif numbers[0] == day.year:
            assert numbers == [day.year, day.month, day.day]
        else:
            assert max(numbers[:2]) == day.day > 12  # the other one can only be the month
            assert min(numbers[:2]) == day.month


def test_seeds_are_kept(dates: tuple[list[str], list[str]]) -> None:
    assert make_dates() == dates
    assert make_dates(50, seed=1) != make_dates(50, seed=2)
    assert make_dates(50)[0] == dates[0][:50]
    np.testing.assert_array_equal(make_shapes(5, seed=3).images, make_shapes(5, seed=3).images)
    assert not np.array_equal(make_shapes(5, seed=3).images, make_shapes(5, seed=4).images)


def test_shapes_agree_with_their_labels() -> None:
    shapes = make_shapes(120, size=48, seed=1)
    assert shapes.images.shape == (120, 48, 48, 3)
    assert shapes.images.dtype == np.uint8
    assert np.unique(shapes.labels, return_counts=True)[1].tolist() == [40, 40, 40]
    assert shapes.attributes.shape == (120, len(SHAPE_ATTRIBUTES))
    for name, box, corners, mask in zip(shapes.labels, shapes.boxes, shapes.corners, shapes.masks, strict=True):
        rows, columns = np.nonzero(mask)
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, tight, atol=2.5)  # a sharp corner covers less than half a pixel at its tip
        assert np.isfinite(corners).all(axis=1).sum() == {"circle": 0, "square": 4, "triangle": 3}[name]
        # area from the formulas of a circle, a square and an equilateral triangle in a circle of radius r
        if name == "circle":
            area = np.pi * ((box[2] - box[0]) / 2) ** 2
        else:
            side = np.linalg.norm(corners[1] - corners[0])
            area = side**2 if name == "square" else np.sqrt(3) / 4 * side**2
        assert mask.sum() == pytest.approx(area, rel=0.08)


def test_shape_attributes_mean_what_they_say() -> None:
    shapes = make_shapes(300, seed=2, noise=0.0)
    red, large, left, outlined, dark = shapes.attributes.T.astype(bool)
    means = np.array([image[mask].mean(axis=0) for image, mask in zip(shapes.images, shapes.masks, strict=True)])
    filled = ~outlined
    assert (means[filled & red, 0] > means[filled & red, 1:].max(axis=1)).all()
    centres = (shapes.boxes[:, 0] + shapes.boxes[:, 2]) / 2
    circles = shapes.labels == SHAPE_NAMES[0]
    assert (centres[circles & left] <= 16).all()
    assert (centres[circles & ~left] >= 16).all()
    sizes = shapes.boxes[:, 2] - shapes.boxes[:, 0]
    assert sizes[circles & large].min() > sizes[circles & ~large].max()
    corners = shapes.images[:, 0, 0].mean(axis=1)
    assert corners[dark].max() < 128 < corners[~dark].min()
    assert shapes.attributes.mean(axis=0).min() > 0.1
    assert shapes.attributes.mean(axis=0).max() < 0.9


def test_moons() -> None:
    points, labels = make_moons()
    assert points.shape == (300, 2)
    assert sorted(np.unique(labels, return_counts=True)[1]) == [150, 150]
    clean, labels = make_moons(noise=0.0)
    upper = clean[labels == "upper"]
    np.testing.assert_allclose((upper**2).sum(axis=1), 1.0)
    np.testing.assert_allclose(((clean[labels == "lower"] - [1, 0.5]) ** 2).sum(axis=1), 1.0)
