"""Augmentation: nothing at strength 0, exact moves, and the same draws from the same generator."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.nn.augment import affine_matrices, random_brightness, random_erase, warp


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6, side: int = 9) -> torch.Tensor:
    return torch.rand((n, 2, side, side), generator=generator(1)) * 255


def test_strength_zero_changes_nothing() -> None:
    images = pictures()
    assert torch.allclose(warp(images, affine_matrices(len(images), generator())), images, atol=1e-3)
    assert torch.allclose(random_brightness(images, generator()), images, atol=1e-4)
    assert torch.equal(random_erase(images, generator()), images)


@pytest.mark.parametrize("change", [
    lambda x, g: warp(x, affine_matrices(len(x), g, rotation=20, scale=0.2, shift=0.1, flip=True)),
    lambda x, g: random_brightness(x, g, contrast=0.3, brightness=0.1),
    lambda x, g: random_erase(x, g, side=0.5),
])  # fmt: skip
def test_the_generator_alone_decides(change) -> None:  # type: ignore[no-untyped-def]
    images = pictures()
    torch.manual_seed(1)
    first = change(images, generator(3))
    torch.manual_seed(2)  # the global generator has no say
    assert torch.equal(first, change(images, generator(3)))
    assert not torch.equal(first, change(images, generator(4)))
    assert images.equal(pictures())  # never in place


def test_a_flip_mirrors_left_and_right_of_about_half() -> None:
    images = pictures(200)
    flipped = warp(images, affine_matrices(len(images), generator(), flip=True))
    mirrored = torch.isclose(flipped, images.flip(3), atol=1e-2).flatten(1).all(dim=1)
    same = torch.isclose(flipped, images, atol=1e-2).flatten(1).all(dim=1)
    assert bool((mirrored ^ same).all())
    assert 70 < int(mirrored.sum()) < 130


def test_a_shift_moves_by_at_most_its_share_of_the_side() -> None:
    """A one-pixel dot in a 21-pixel picture, shifted by at most 0.1: its centre of mass moves at most 2.1 pixels."""
    images = torch.zeros(300, 1, 21, 21)
    images[:, 0, 10, 10] = 1.0
    moved = warp(images, affine_matrices(len(images), generator(), shift=0.1))[:, 0]
    places = torch.arange(21.0)
    for axis in (1, 2):
        centre = (moved.sum(dim=axis) * places).sum(dim=1) / moved.sum(dim=(1, 2))
        assert float((centre - 10).abs().max()) <= 2.1 + 1e-4
        assert float((centre - 10).abs().max()) > 1.8  # the range is used


def test_rotation_and_scale_stay_within_their_bounds() -> None:
    """Of the 2x2 part, det = 1 / zoom² and the angle is atan2(sin, cos)."""
    theta = affine_matrices(500, generator(), rotation=30.0, scale=0.25)
    zoom = torch.linalg.det(theta[:, :, :2]).rsqrt()
    angle = torch.rad2deg(torch.atan2(theta[:, 1, 0], theta[:, 1, 1]))
    assert 1 / 1.25 - 1e-5 <= float(zoom.min()) < 0.82
    assert 1.22 < float(zoom.max()) <= 1.25 + 1e-5
    assert 28 < float(angle.abs().max()) <= 30.001


def test_brightness_keeps_pixels_in_range_and_the_mean_in_place() -> None:
    images = pictures()
    assert float(random_brightness(images, generator(), contrast=1.0, brightness=1.0).max()) <= 255
    assert float(random_brightness(images, generator(), contrast=1.0, brightness=1.0).min()) >= 0
    stretched = random_brightness(images * 0.2 + 100, generator(), contrast=0.5)
    assert torch.allclose(stretched.mean(dim=(1, 2, 3)), (images * 0.2 + 100).mean(dim=(1, 2, 3)), atol=1e-2)


@given(side=st.floats(0.1, 1.0), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_an_erased_square_is_no_larger_than_asked(side: float, seed: int) -> None:
    images = pictures(4, 16)
    changed = (random_erase(images, generator(seed), side=side) != images).any(dim=1)  # (B, H, W)
    assert int(changed.any(dim=2).sum(dim=1).max()) <= round(side * 16) + 1
    assert int(changed.any(dim=1).sum(dim=1).max()) <= round(side * 16) + 1
