"""Augmentation: nothing at strength 0, exact moves, what is marked moves along, and the same draws for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from orthogon.data.augment import (
    COLUMNS,
    NAMES,
    AugmentConfig,
    Draws,
    change,
    color_offsets,
    draw,
    erased,
    matrices,
    mix,
    sided,
    uniforms,
)
from orthogon.data.vary import Marked, vary
from orthogon.errors import ShapeError

NOTHING: dict[str, Any] = {
    "strength": 1.0, "flip": 0.0, "rotation": 0, "scale": 0, "shift": 0, "contrast": 0, "brightness": 0,
}  # fmt: skip
GEOMETRY: dict[str, dict[str, float]] = {
    "flip": {"flip": 0.5},
    "crop": {"crop": 0.4},
    "rotation": {"rotation": 40},
    "scale": {"scale": 0.3},
    "shift": {"shift": 0.15},
    "shear": {"shear": 20},
    "warp": {"warp": 0.06},
}
LIGHT: dict[str, dict[str, float]] = {
    "contrast": {"contrast": 0.5},
    "brightness": {"brightness": 0.2},
    "color": {"color": 40},
    "pca": {"pca": 2.0},
    "erase": {"erase": 0.5},
}
COLORS = torch.tensor([[0.06, 0.05, 0.04], [0.05, 0.07, 0.05], [0.04, 0.05, 0.08]])


def only(**settings: Any) -> AugmentConfig:
    return AugmentConfig(**{**NOTHING, **settings})


def draws(config: AugmentConfig, n: int = 1, seed: int = 0, epoch: int = 1) -> Draws:
    return draw(config, uniforms(seed, epoch, np.arange(n)))


def pictures(n: int = 6, side: int = 12, channels: int = 3) -> Tensor:
    return torch.rand((n, channels, side, side), generator=torch.Generator().manual_seed(1)) * 255


def changed(images: Tensor, config: AugmentConfig, seed: int = 0, epoch: int = 1) -> Tensor:
    return change(images, draws(config, len(images), seed, epoch), COLORS)


# -- the declaration ----------------------------------------------------------------------------------------------


def test_strength_zero_changes_nothing() -> None:
    images = pictures()
    everything = dict.fromkeys(NAMES, 0.2)
    config = AugmentConfig(**{**everything, "strength": 0, "flip": 0})
    assert not config.active
    assert not config.mixes
    assert torch.allclose(changed(images, config), images, atol=1e-3)
    assert not AugmentConfig(strength=1, flip=0, chance=dict.fromkeys(NAMES, 0.0)).active
    assert AugmentConfig(strength=0, flip=0.5).active


def test_a_number_is_the_strength_and_yes_is_a_half() -> None:
    assert AugmentConfig.model_validate(0.5) == AugmentConfig(strength=0.5)
    assert AugmentConfig(flip=True).flip == 0.5
    assert AugmentConfig(flip=False).flip == 0.0
    with pytest.raises(ValidationError, match="rotatoin"):
        AugmentConfig(rotatoin=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="chance"):
        AugmentConfig(chance={"rotatoin": 0.5})  # type: ignore[dict-item]


def test_sides_letters_and_digits_are_not_to_be_mirrored() -> None:
    whole = ["7", "42", "b", "É", "zero", "Six", "fünf"]
    last = ["digit_3", "digit-3", "digit.3", "digit 3", "digit3", "letter a", "letterA", "letter_A", "sign-nine"]
    sides = ["turn left", "Links_ab", "turnLeft", "west-wing", "keep.right"]
    neither = ["cat", "leftover", "bone", "a cat", "4 wheels", "twofold", "LEFTOVER", "A320", "Stone", "", "-"]
    assert sided(whole + last + sides) == whole + last + sides
    assert sided(neither) == ["-"]  # a sign


def test_changes_that_were_declared_by_hand_are_known() -> None:
    asked = [{"rotation": 30}, {"mixup": 0.2}, {"flip": 0.5}, {"chance": {"rotation": 0.5}}, {"rotation": 10}]
    for values in asked:
        assert AugmentConfig.model_validate(values).asked
    for values in ({}, {"strength": 1.0}, {"flip": 0}, {"rotation": 0}, {"strength": None}):
        assert not AugmentConfig.model_validate(values).asked


# -- what is drawn ------------------------------------------------------------------------------------------------


def test_draws_follow_from_seed_epoch_and_example_alone() -> None:
    together = uniforms(3, 2, np.arange(1000))
    assert together.shape == (1000, len(COLUMNS))
    for row in (0, 17, 999):
        assert torch.equal(uniforms(3, 2, np.array([row]))[0], together[row])
    assert torch.equal(uniforms(3, 2, np.array([5, 2])), together[[5, 2]])
    for other in (uniforms(4, 2, np.arange(1000)), uniforms(3, 3, np.arange(1000))):
        assert not (other == together).any(dim=1).all()


def test_draws_are_even_and_unrelated() -> None:
    """20,000 rows: a mean is 1/2 within 5 · 1/sqrt(12 · 20,000), correlations stay below 5 / sqrt(20,000)."""
    u = torch.cat([uniforms(0, epoch, np.arange(10_000)) for epoch in (0, 1)]).double()
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    assert float((u.mean(dim=0) - 0.5).abs().max()) < 5 * (12 * 20_000) ** -0.5
    between = torch.corrcoef(torch.cat([u, u.roll(1, dims=0)], dim=1).T)  # columns, and rows that follow each other
    assert float((between - torch.eye(len(between))).abs().max()) < 5 * 20_000**-0.5


# -- what is done -------------------------------------------------------------------------------------------------


@pytest.mark.system("aug.basic")
@pytest.mark.parametrize("name", [*GEOMETRY, *LIGHT])
def test_each_change_keeps_shape_and_range_has_a_seed_and_a_chance(name: str) -> None:
    images = pictures(200)
    kept = images.clone()
    config = only(**{**GEOMETRY, **LIGHT}[name])
    once = changed(images, config)
    assert once.shape == images.shape
    assert float(once.min()) >= 0
    assert float(once.max()) <= 255
    torch.manual_seed(1)  # the global generator has no say
    assert torch.equal(once, changed(images, config))
    assert not torch.equal(once, changed(images, config, seed=1))
    assert not torch.equal(once, changed(images, config, epoch=2))
    assert torch.equal(images, kept)  # never in place
    rarely = config if name == "flip" else only(**{**GEOMETRY, **LIGHT}[name], chance={name: 0.5})
    touched = (changed(images, rarely) - images).abs().flatten(1).amax(dim=1) > 0.5
    assert 65 < int(touched.sum()) < 135  # of 200, 100 ± 5 deviations
    assert float((changed(images, only(chance={"crop": 0.0}, crop=0.4)) - images).abs().max()) < 1e-2


def disc(side: int = 64, x: float = 26.0, y: float = 35.0, radius: float = 9.0) -> Marked:
    """A bright disc with its box, its middle and its mask; in the last channel a dot in its middle alone."""
    places = torch.arange(side) + 0.5
    inside = (places[None, :] - x) ** 2 + (places[:, None] - y) ** 2 <= radius**2
    image = torch.where(inside, 220.0, 20.0).expand(3, side, side).clone()
    image[2] = 250 * torch.exp(-((places[None, :] - x) ** 2 + (places[:, None] - y) ** 2) / 4)
    box = torch.tensor([[x - radius, y - radius, x + radius, y + radius]])
    return Marked(image, box, torch.tensor([[x, y]]), inside[None])


@pytest.mark.system("aug.basic")
@pytest.mark.parametrize("name", [*GEOMETRY, "all"])
@pytest.mark.parametrize("epoch", range(4))
def test_boxes_landmarks_and_masks_move_with_the_picture(name: str, epoch: int) -> None:
    config = only(**({key: value for each in GEOMETRY.values() for key, value in each.items()}
                     if name == "all" else GEOMETRY[name]))  # fmt: skip
    moved = vary(disc(), draws(config, epoch=epoch))
    assert moved.boxes is not None
    assert moved.landmarks is not None
    assert moved.masks is not None
    bright = moved.image[0] > 120
    mask = moved.masks[0]
    assert mask.dtype == torch.bool
    assert float((bright & mask).sum() / (bright | mask).sum()) > 0.9
    rows, columns = torch.nonzero(bright, as_tuple=True)
    middle = torch.stack([columns.float().mean(), rows.float().mean()]) + 0.5
    dot = moved.image[2]  # small enough that a warp moves its middle of mass as it moves its middle
    places = torch.arange(64) + 0.5
    middle = torch.stack([(dot.sum(dim=0) * places).sum(), (dot.sum(dim=1) * places).sum()]) / dot.sum()
    assert float((middle - moved.landmarks[0]).abs().max()) < 0.5
    x0, y0, x1, y1 = moved.boxes[0].tolist()
    assert x0 - 1 <= float(columns.min())
    assert y0 - 1 <= float(rows.min())
    assert x1 + 1 >= float(columns.max()) + 1
    assert y1 + 1 >= float(rows.max()) + 1
    assert 0 <= x0 < x1 <= 64
    assert 0 <= y0 < y1 <= 64


@pytest.mark.system("aug.basic")
def test_mirroring_twice_is_the_identity() -> None:
    example, mirror = disc(), draws(only(flip=1.0))
    once, twice = vary(example, mirror), vary(vary(example, mirror), mirror)
    assert torch.equal(once.image, example.image.flip(2))
    for name in ("image", "boxes", "landmarks", "masks"):
        assert torch.equal(getattr(twice, name), getattr(example, name)), name
        assert not torch.equal(getattr(once, name), getattr(example, name)), name
    assert once.boxes is not None
    assert once.boxes.tolist() == [[64 - 35, 26, 64 - 17, 44]]  # x from 17..35 of 64
    images = pictures()
    assert torch.allclose(changed(changed(images, only(flip=1.0)), only(flip=1.0)), images, atol=1e-2)


@pytest.mark.parametrize("name", ["flip", "rotation", "scale", "shift", "shear", "warp", "all but crop"])
def test_one_example_by_torchvision_and_a_batch_of_our_own_agree(name: str) -> None:
    """The same draws, the same pictures, the repeated border included; one interpolation each."""
    y, x = np.mgrid[:33, :33]
    image = torch.from_numpy(np.stack([127 + 100 * np.sin(x / 4 + y / 5), 127 + 90 * np.cos(y / 3), x * 7.0])).float()
    affine = {key: value for name in list(GEOMETRY)[2:6] for key, value in GEOMETRY[name].items()}
    config = only(**({**affine, "flip": 0.5} if name == "all but crop" else GEOMETRY[name]))
    for epoch in range(5):
        ours = change(image[None], draws(config, epoch=epoch))[0]
        theirs = vary(Marked(image), draws(config, epoch=epoch)).image
        assert float((ours - theirs).abs().max()) < 0.05


def test_a_crop_worked_by_hand() -> None:
    """The lower right quarter of 4 x 4 fills the square: sampled at 1.75, 2.25, 2.75 and 3, the border, on each axis.

    The picture is 4 y + x, so its mean is 5 · 2.4375. torchvision cuts first and sees 10 and no 9 beyond the cut.
    """
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    none = draws(only())
    quarter = Draws(**{**vars(none), "crop": torch.tensor([[0.5, 0.5, 0.5]])})
    ours = change(image, quarter)[0, 0]
    assert ours.shape == (4, 4)
    assert float(ours.mean()) == pytest.approx(5 * 2.4375, abs=0.01)
    assert ours[3, 3].item() == pytest.approx(15)
    moved = vary(Marked(image[0], boxes=torch.tensor([[2.0, 2.0, 3.0, 4.0]])), quarter)
    assert float(moved.image[0, 3, 3]) == pytest.approx(15)
    assert moved.boxes is not None
    assert moved.boxes.tolist() == [[0, 0, 2, 4]]


def test_a_shift_moves_by_at_most_its_share_of_the_side() -> None:
    """A one-pixel dot in a 21-pixel picture, shifted by at most 0.1: its centre of mass moves at most 2.1 pixels."""
    images = torch.zeros(300, 1, 21, 21)
    images[:, 0, 10, 10] = 1.0
    moved = changed(images, only(shift=0.1))[:, 0]
    places = torch.arange(21.0)
    for axis in (1, 2):
        centre = (moved.sum(dim=axis) * places).sum(dim=1) / moved.sum(dim=(1, 2))
        assert float((centre - 10).abs().max()) <= 2.1 + 1e-4
        assert float((centre - 10).abs().max()) > 1.8  # the range is used


def test_rotation_and_scale_stay_within_their_bounds() -> None:
    """Of the 2x2 part, det = 1 / zoom² and the angle is atan2(sin, cos)."""
    theta = matrices(draws(only(rotation=30.0, scale=0.25), 500))
    zoom = torch.linalg.det(theta[:, :, :2]).rsqrt()
    angle = torch.rad2deg(torch.atan2(theta[:, 1, 0], theta[:, 1, 1]))
    assert 1 / 1.25 - 1e-5 <= float(zoom.min()) < 0.82
    assert 1.22 < float(zoom.max()) <= 1.25 + 1e-5
    assert 28 < float(angle.abs().max()) <= 30.001


def test_contrast_keeps_the_mean_in_place() -> None:
    images = pictures() * 0.2 + 100
    stretched = changed(images, only(contrast=0.5))
    assert torch.allclose(stretched.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)), atol=1e-2)


@pytest.mark.parametrize("side", [0.1, 0.4, 1.0])
def test_a_painted_square_is_no_larger_than_asked(side: float) -> None:
    images = pictures(20, 16)
    touched = (changed(images, only(erase=side)) - images).abs().amax(dim=1) > 1e-2  # (B, H, W)
    assert int(touched.any(dim=2).sum(dim=1).max()) <= round(side * 16) + 1
    assert int(touched.any(dim=1).sum(dim=1).max()) <= round(side * 16) + 1
    assert torch.equal(erased(images, torch.zeros(20, 3)), images)


# -- colour -------------------------------------------------------------------------------------------------------


@pytest.mark.system("aug.color")
def test_a_colour_shift_adds_what_the_seed_says_and_stays_in_range() -> None:
    grey = torch.full((50, 3, 4, 4), 128.0)
    drawn = draws(only(color=20), 50)
    shifted = change(grey, drawn)
    assert torch.allclose(shifted, (128 + drawn.color)[:, :, None, None].expand_as(grey), atol=1e-3)
    assert 19 < float(drawn.color.abs().max()) <= 20
    assert float((drawn.color - drawn.color.roll(1, dims=1)).abs().min()) > 0  # each channel has its own
    given = Draws(**{**vars(drawn), "color": torch.tensor([[20.0, -20.0, 20.0]]).expand(50, 3)})
    assert change(grey, given)[0, :, 0, 0].tolist() == pytest.approx([148, 108, 148], abs=1e-3)
    extreme = changed(torch.tensor([0.0, 128.0, 255.0]).reshape(1, 3, 1, 1).expand(50, 3, 4, 4), only(color=200))
    assert (float(extreme.min()), float(extreme.max())) == (0, 255)


def purple(n: int = 40, side: int = 8) -> Tensor:
    """Pictures whose red and blue rise and fall together, and whose green hardly changes."""
    generator = torch.Generator().manual_seed(0)
    level = torch.rand((n, 1, side, side), generator=generator) * 180 + 40
    green = 40 + 4 * torch.randn((n, 1, side, side), generator=generator)
    return torch.cat([level, green, 0.9 * level], dim=1).clamp(0, 255)


@pytest.mark.system("aug.pca")
def test_purple_pictures_vary_in_red_and_blue() -> None:
    images = purple()
    covariance = torch.cov(images.transpose(0, 1).flatten(1) / 255)
    drawn = draws(only(pca=0.1), len(images))
    moved = change(images * 0.5 + 60, drawn, covariance) - (images * 0.5 + 60)
    red, green, blue = moved.abs().mean(dim=(0, 2, 3)).tolist()
    assert red > 3 * green
    assert blue > 3 * green
    assert red > 0.2  # levels: it does something


@pytest.mark.system("aug.pca")
def test_colour_offsets_worked_by_hand() -> None:
    """Covariance diag(1, 4, 9) has the axes for eigenvectors: α = (1, 2, 3), smallest first, moves by αλ = 1, 8, 27."""
    moved = color_offsets(torch.diag(torch.tensor([1.0, 4.0, 9.0])), torch.tensor([[1.0, 2.0, 3.0]]))
    assert moved[0].abs().tolist() == pytest.approx([1.0, 8.0, 27.0])
    # α of deviation s along every axis gives offsets of covariance s² C²: Σ p (s λ)² pᵀ.
    alphas = draws(only(pca=0.1), 20_000).pca
    mixed = torch.tensor([[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 2.0]])
    found = torch.cov(color_offsets(mixed, alphas).T)
    assert float((found - 0.01 * mixed @ mixed).abs().max()) < 0.01
    assert float(alphas.mean().abs()) < 0.003
    assert float(alphas.std()) == pytest.approx(0.1, rel=0.02)


# -- pairs --------------------------------------------------------------------------------------------------------


def test_mixup_blends_each_picture_with_its_partner() -> None:
    images, u = pictures(8), uniforms(0, 1, np.arange(8))
    blended, partners, share = mix(images, only(mixup=0.4), u)
    assert sorted(partners.tolist()) == list(range(8))
    assert 0 < share < 1
    assert torch.allclose(blended, share * images + (1 - share) * images[torch.from_numpy(partners)])
    again, *_ = mix(images, only(mixup=0.4), u)
    assert torch.equal(again, blended)


def test_cutmix_pastes_a_piece_and_counts_its_area() -> None:
    images = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 20, 30).contiguous()
    shares = []
    for epoch in range(30):
        pasted, partners, share = mix(images, only(cutmix=1.0), uniforms(0, epoch, np.arange(8)))
        for i, partner in enumerate(partners.tolist()):
            own = float((pasted[i] == i).float().mean())
            assert own == pytest.approx(1.0 if partner == i else share, abs=1e-6)
            assert set(pasted[i].unique().tolist()) <= {float(i), float(partner)}
        shares.append(share)
    assert max(shares) - min(shares) > 0.5


def test_the_share_of_mixup_is_beta_and_both_kinds_take_turns() -> None:
    """Beta(0.3, 0.3): mean 1/2, variance 1 / (4 (2 · 0.3 + 1)) = 0.156. Where both are declared, half is CutMix."""
    images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 6, 6).contiguous()
    shares = [mix(images, only(mixup=0.3), uniforms(0, epoch, np.arange(4)))[2] for epoch in range(1000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(0.156, abs=0.02)
    kinds = [mix(images, only(mixup=1.0, cutmix=1.0), uniforms(1, epoch, np.arange(4)))[0] for epoch in range(200)]
    cut = sum(bool((pasted == pasted.round()).all()) for pasted in kinds)
    assert 65 < cut < 135
    never = only(mixup=1.0, chance={"mixup": 0.0})
    left, partners, share = mix(images, never, uniforms(0, 0, np.arange(4)))
    assert torch.equal(left, images)
    assert (partners.tolist(), share) == ([0, 1, 2, 3], 1.0)


# -- what is refused ----------------------------------------------------------------------------------------------


def test_marks_that_do_not_fit_are_refused() -> None:
    image = torch.zeros(3, 8, 9)
    with pytest.raises(ShapeError, match=r"masks of shape \(1, 8, 8\) for a picture of 8 by 9") as caught:
        vary(Marked(image, masks=torch.zeros(1, 8, 8, dtype=torch.bool)), draws(only()))
    assert caught.value.remedy == "Give masks as (n, 8, 9)."
    with pytest.raises(ShapeError, match=r"boxes of shape \(4,\)"):
        vary(Marked(image, boxes=torch.zeros(4)), draws(only()))


def test_a_picture_need_not_be_square_and_may_hold_nothing() -> None:
    config = only(rotation=30, shift=0.1, warp=0.05, crop=0.2)
    moved = vary(Marked(torch.rand(1, 24, 40) * 255, torch.zeros(0, 4), torch.zeros(0, 2)), draws(config))
    assert moved.image.shape == (1, 24, 40)
    assert moved.boxes is not None
    assert moved.boxes.shape == (0, 4)
    assert moved.landmarks is not None
    assert moved.landmarks.shape == (0, 2)


def test_what_leaves_the_picture_has_no_area_and_its_landmark_says_where() -> None:
    far = Draws(**{**vars(draws(only())), "shift": torch.tensor([[2.0, 0.0]])})
    moved = vary(disc(), far)
    assert moved.boxes is not None
    assert moved.landmarks is not None
    assert moved.masks is not None
    assert moved.boxes[0, 0] == moved.boxes[0, 2] == 64
    assert moved.landmarks.tolist() == [[26 + 128, 35]]
    assert not moved.masks.any()
