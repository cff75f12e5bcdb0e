"""Random changes of train's pictures: one declaration, and what it does to a batch, as a few tensor operations.

What is drawn for an example is a function of (seed, epoch, example) alone: the same in memory and from files, for any
number of workers and processes, and after a resume. `data/vary.py` does the same to one example with what is marked in
it: boxes, landmarks, masks.

Coordinates are in pixels, x to the right and y down; pixel i spans i to i + 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor

Name = Literal[
    "crop", "rotation", "scale", "shift", "shear", "warp", "contrast", "brightness", "color", "pca", "erase",
    "mixup", "cutmix",
]  # fmt: skip
WARP_LATTICE = 5  # random vectors along each side
# What the first runs' configs hold beside `augment`, which then was the strength alone.
MOVED_KEYS = ("flip", "rotation", "scale", "shift", "contrast", "brightness", "erase")
DIRECTIONS = frozenset({"left", "right", "links", "rechts", "gauche", "droite", "west", "east"})
NUMBERS = frozenset({
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "null", "eins", "zwei",
    "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "zéro", "un", "deux", "trois", "quatre", "cinq",
    "sept", "huit", "neuf", "dix",
})  # fmt: skip
# Where a word begins without a separator: turnLeft, digit3.
WORD_BEGINS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")

# The place of each number that is drawn for an example. New ones go to the end, so that the others stay what they were.
COLUMNS = (
    "flip", "rotation", "scale", "shift_x", "shift_y", "shear_x", "shear_y", "crop", "crop_x", "crop_y", "warp",
    "contrast", "brightness", "red", "green", "blue", "pca_1", "pca_2", "pca_3", "erase", "erase_x", "erase_y",
    "mix", "mix_kind", "if_rotation", "if_scale", "if_shift", "if_shear", "if_crop", "if_warp", "if_contrast",
    "if_brightness", "if_color", "if_pca", "if_erase", "if_mixup", "if_cutmix",
)  # fmt: skip
COLUMN = {name: place for place, name in enumerate(COLUMNS)}


class AugmentConfig(BaseModel):
    """How train's pictures are varied, each time anew. An amount of 0 leaves a change out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: float | None = Field(None, ge=0, le=1, description="Scales every amount below; 0 leaves only flip.")
    flip: float | None = Field(
        None, ge=0, le=1, description="Chance of mirroring left and right; never right for letters and digits."
    )
    crop: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Largest share of the side that a random crop cuts away; the rest fills the square.",
    )
    rotation: float = Field(10.0, ge=0, le=180, description="Largest random turn either way, degrees.")
    scale: float = Field(0.1, ge=0, description="Largest random change of size, as a share.")
    shift: float = Field(0.08, ge=0, lt=1, description="Largest random move, as a share of the side.")
    shear: float = Field(0.0, ge=0, le=45, description="Largest random slant along each axis, degrees.")
    warp: float = Field(
        0.0,
        ge=0,
        le=0.2,
        description="Largest random move of single places against each other, as a share of the side.",
    )
    contrast: float = Field(0.2, ge=0, le=1, description="Largest random change of contrast, as a share.")
    brightness: float = Field(0.05, ge=0, le=1, description="Largest random change of brightness, as a share of 255.")
    color: float = Field(
        0.0, ge=0, le=255, description="Largest random offset of red, green and blue, each its own, in levels of 255."
    )
    pca: float = Field(
        0.0, ge=0, description="Deviation of the random offsets along the main colours of train; AlexNet took 0.1."
    )
    erase: float = Field(
        0.0, ge=0, le=1, description="Side of the largest square painted over, as a share of the side."
    )
    mixup: float = Field(
        0.0, ge=0, description="Blend pairs of pictures and their labels; the share is Beta(mixup, mixup)."
    )
    cutmix: float = Field(
        0.0, ge=0, description="Paste a piece of another picture, labels by area; the area is Beta(cutmix, cutmix)."
    )
    chance: dict[Name, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="Chance that a change is made, by its name, such as {rotation: 0.5}; 1 for those not named.",
    )

    @model_validator(mode="before")
    @classmethod
    def _strength_alone(cls, values: Any) -> Any:
        return {"strength": values} if isinstance(values, int | float) else values

    @field_validator("flip", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        return (0.5 if value else 0.0) if isinstance(value, bool) else value

    def amount(self, name: Name) -> float:
        """What stands in the declaration times the strength."""
        return float(getattr(self, name)) * (self.strength or 0.0)

    def in_words(self) -> str:
        """Every change that is made, with its amount and its chance where that is not 1."""
        told = {
            "crop": "crop up to {:.0%} away",
            "rotation": "turn ±{:g}°",
            "scale": "scale ±{:.0%}",
            "shift": "shift ±{:.0%}",
            "shear": "shear ±{:g}°",
            "warp": "warp ±{:.0%}",
            "contrast": "contrast ±{:.0%}",
            "brightness": "brightness ±{:.0%}",
            "color": "colour ±{:g} levels",
            "pca": "main colours ±{:g}",
            "erase": "erase up to {:.0%} of the side",
            "mixup": "mixup {:g}",
            "cutmix": "CutMix {:g}",
        }
        changes = ["mirror half the time" if self.flip == 0.5 else f"mirror {self.flip:.0%} of the time"]
        for name in NAMES:
            chance = self.chance.get(name, 1.0)
            if self.amount(name) and chance:
                changes.append(
                    told[name].format(self.amount(name)) + (f" ({chance:.0%} of the time)" if chance < 1 else "")
                )
        return ", ".join(changes if self.flip else changes[1:])

    @property
    def asked(self) -> bool:
        """Whether somebody declared a change himself, with an amount that is not 0; strength is none."""
        return any(getattr(self, key) for key in self.model_fields_set if key != "strength")

    @property
    def active(self) -> bool:
        """Whether anything is ever changed."""
        return bool(self.flip) or any(self.amount(name) and self.chance.get(name, 1) for name in NAMES)

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with each other."""
        return bool(self.amount("mixup") or self.amount("cutmix"))


NAMES: tuple[Name, ...] = Name.__args__  # type: ignore[attr-defined]


def sided(names: Iterable[str]) -> list[str]:
    """The class names whose pictures must not be mirrored, such as 42, digit_3, letter A, six and turnLeft.

    Numbers; names that end with a word of one letter or digit, or with one for a number; words for a side anywhere.
    """
    found = []
    for name in names:
        words = [word.casefold() for word in re.split(r"[\W_]+", WORD_BEGINS.sub(" ", name)) if word]
        last = words[-1] if words else name
        if len(last) == 1 or name.isdigit() or last in NUMBERS or DIRECTIONS & set(words):
            found.append(name)
    return found


# -- what is drawn ------------------------------------------------------------------------------------------------


def uniforms(seed: int, epoch: int, rows: NDArray[np.int64]) -> Tensor:
    """(B, columns) numbers in [0, 1), each a function of (seed, epoch, row, column): see `COLUMNS`.

    Source: the finaliser of SplitMix64, Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    key = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)  # (1,)
    columns = np.arange(1, len(COLUMNS) + 1, dtype=np.uint64)
    place: NDArray[np.uint64] = (np.asarray(rows, np.uint64)[:, None] << np.uint64(8)) + columns
    z = key + place * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = (z ^ (z >> np.uint64(31))) >> np.uint64(40)
    return torch.from_numpy(bits.astype(np.float32) * np.float32(2**-24))


@dataclass(frozen=True)
class Draws:
    """What happens to each of B examples, on the CPU.

    Shapes: (B,) where nothing else is said.
        mirror: bool. angle: degrees, clockwise. zoom: factor. shift: (B, 2) x and y, share of the side.
        shear: (B, 2) along x and y, degrees. crop: (B, 3) side, left and top of what is kept, shares of the side.
        warp: largest displacement, share of the side. warp_key: int64, seeds the displacements.
        contrast: factor. brightness: levels. color: (B, 3) levels. pca: (B, 3) α of each main colour.
        erase: (B, 3) side and centre of the square, shares.
    """

    mirror: Tensor
    angle: Tensor
    zoom: Tensor
    shift: Tensor
    shear: Tensor
    crop: Tensor
    warp: Tensor
    warp_key: Tensor
    contrast: Tensor
    brightness: Tensor
    color: Tensor
    pca: Tensor
    erase: Tensor

    def __len__(self) -> int:
        return len(self.mirror)

    def __getitem__(self, rows: slice) -> Draws:
        return Draws(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})


def draw(config: AugmentConfig, u: Tensor) -> Draws:
    """What the declaration makes of uniform numbers (B, columns)."""
    B = len(u)

    def column(name: str) -> Tensor:
        return u[:, COLUMN[name]]

    def amount(name: Name) -> Tensor:
        """(B,) the amount where the change happens, else 0."""
        chance, most = config.chance.get(name, 1.0), config.amount(name)
        return torch.full((B,), most) if chance == 1 else torch.where(column(f"if_{name}") < chance, most, 0.0)

    def either_way(name: Name, *columns: str) -> Tensor:
        if not config.amount(name):
            return torch.zeros(B, len(columns))
        return torch.stack([amount(name) * (2 * column(each) - 1) for each in columns], dim=1)

    cut, side = amount("crop") * column("crop"), amount("erase") * column("erase")
    pca = torch.zeros(B, 3)
    if config.amount("pca"):
        normal = torch.special.ndtri(u[:, COLUMN["pca_1"] : COLUMN["pca_3"] + 1].clamp(2**-25, 1 - 2**-24))
        pca = amount("pca")[:, None] * normal
    return Draws(
        mirror=column("flip") < (config.flip or 0.0),
        angle=either_way("rotation", "rotation")[:, 0],
        zoom=torch.exp(torch.log1p(amount("scale")) * (2 * column("scale") - 1)),
        shift=either_way("shift", "shift_x", "shift_y"),
        shear=either_way("shear", "shear_x", "shear_y"),
        crop=torch.stack([1 - cut, cut * column("crop_x"), cut * column("crop_y")], dim=1),
        warp=amount("warp"),
        warp_key=(column("warp") * 2**24).long(),
        contrast=1 + either_way("contrast", "contrast")[:, 0],
        brightness=255 * either_way("brightness", "brightness")[:, 0],
        color=either_way("color", "red", "green", "blue"),
        pca=pca,
        erase=torch.stack([side, column("erase_x"), column("erase_y")], dim=1),
    )


# -- what is done to a batch --------------------------------------------------------------------------------------


def change(images: Tensor, draws: Draws, colors: Tensor | None = None) -> Tensor:
    """Every change but the mixing of pictures, in a fixed order: geometry, light, colour, the painted square.

    Args:
        images: (B, C, S, S) float pixels, 0..255; not changed in place.
        draws: one for each image.
        colors: (C, C) covariance of train's colours, pixels taken as 0..1; needed for pca.
    Returns:
        (B, C, S, S), 0..255, on the device of the images.
    """
    return repaint(move(images, draws), draws, colors)


def matrices(draws: Draws) -> Tensor:
    """(B, 2, 3) from output to input coordinates, in units where the picture spans -1..1, rows x and y.

    A picture is mirrored, slanted, turned and scaled about its middle, then shifted. The warp and the crop come after.
    The parameters are those of torchvision's `transforms.v2.functional.affine`.
    """
    turn, slant = torch.deg2rad(draws.angle), torch.deg2rad(draws.shear)
    # Forward: R(turn) · zoom · [1, 0; -tan(slant_y), 1] · [1, -tan(slant_x); 0, 1].
    a = torch.cos(turn - slant[:, 1]) / torch.cos(slant[:, 1])
    c = torch.sin(turn - slant[:, 1]) / torch.cos(slant[:, 1])
    b = -a * torch.tan(slant[:, 0]) - torch.sin(turn)
    d = -c * torch.tan(slant[:, 0]) + torch.cos(turn)  # a d - b c = 1
    inverse = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1) / draws.zoom[:, None, None]
    offset = -(inverse @ (2 * draws.shift)[:, :, None])  # a side is 2 units long
    mirror = torch.where(draws.mirror, -1.0, 1.0)[:, None]
    return torch.cat([inverse, offset], dim=2) * torch.stack([mirror, torch.ones_like(mirror)], dim=1)


def displacements(draws: Draws, size: int) -> Tensor:
    """(B, size, size, 2) x and y by which the place looked at moves, in units where the picture spans -1..1.

    Smooth noise: a coarse lattice of random vectors, made fine by cubic interpolation; along an axis no place moves by
    more than `warp` shares of the side.
    Source: Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks applied to visual
        document analysis". Differs: a lattice instead of blurred white noise, so that the amount is a bound.
    """
    lattice = []
    for key in draws.warp_key.tolist():
        lattice.append(np.random.default_rng(key).uniform(-1, 1, (2, WARP_LATTICE, WARP_LATTICE)))
    coarse = torch.from_numpy(np.array(lattice, np.float32).reshape(-1, 2, WARP_LATTICE, WARP_LATTICE))
    fine = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True).clamp(-1, 1)
    return 2 * draws.warp[:, None, None, None] * fine.permute(0, 2, 3, 1)


def move(images: Tensor, draws: Draws) -> Tensor:
    """The geometry of the draws, bilinear; pixels outside repeat the border. Shapes as in `change`."""
    B, _, H, W = images.shape
    side, corner = draws.crop[:, :1], draws.crop[:, 1:]
    kept = torch.cat([torch.diag_embed(side.expand(B, 2)), (2 * corner + side - 1)[:, :, None]], dim=2)
    affine = matrices(draws)
    if bool(draws.warp.any()):
        place = F.affine_grid(kept, [B, 1, H, W], align_corners=False)
        place = place + sampled(displacements(draws, H), place)
        grid = torch.einsum("bij,bhwj->bhwi", affine[:, :, :2], place) + affine[:, None, None, :, 2]
    else:
        whole = affine[:, :, :2] @ kept + F.pad(affine[:, :, 2:], (2, 0))
        grid = F.affine_grid(whole, [B, 1, H, W], align_corners=False)
    return F.grid_sample(images, grid.to(images), mode="bilinear", padding_mode="border", align_corners=False)


def sampled(field: Tensor, places: Tensor) -> Tensor:
    """A field of vectors (B, H, W, 2) read at places (B, h, w, 2), bilinear; units where the picture spans -1..1."""
    found = F.grid_sample(field.permute(0, 3, 1, 2), places, padding_mode="border", align_corners=False)
    return found.permute(0, 2, 3, 1)


def repaint(images: Tensor, draws: Draws, colors: Tensor | None = None) -> Tensor:
    """Contrast, brightness, colour and the painted square of the draws; shapes as in `change`."""

    def each(values: Tensor) -> Tensor:
        return values.to(images).reshape(len(images), -1, 1, 1)

    C = images.shape[1]
    if bool((draws.contrast != 1).any() or draws.brightness.any()):
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * each(draws.contrast) + each(draws.brightness)
    if bool(draws.color.any()):
        images = images + each(draws.color[:, :C])
    if bool(draws.pca.any()):
        assert colors is not None
        images = images + each(255 * color_offsets(colors, draws.pca[:, :C]))
    images = images.clamp(0, 255)
    return erased(images, draws.erase) if bool(draws.erase[:, 0].any()) else images


def color_offsets(covariance: Tensor, alphas: Tensor) -> Tensor:
    """(B, C) [p₁ p₂ p₃] [α₁λ₁, α₂λ₂, α₃λ₃]ᵀ with the eigen-pairs (λ, p) of the covariance (C, C).

    Args:
        alphas: (B, C), of the smallest eigenvalue first.
    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1. The size depends on the unit of the pixels: ours are
        0..1 for the covariance, so that AlexNet's 0.1 moves a photo by some two of 255 levels.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    return ((alphas.double() * values) @ vectors.T).float()


def erased(images: Tensor, squares: Tensor) -> Tensor:
    """Each image with one square painted in that image's mean: no single part may carry the answer.

    Args:
        images: (B, C, H, W) float.
        squares: (B, 3) side and centre x, y, as shares.
    Source: DeVries & Taylor 2017, arXiv:1708.04552. Differs: random size, and the mean instead of 0.
    """
    H, W = images.shape[2:]
    side, x, y = squares.to(images).T[:, :, None]  # each (B, 1)
    rows = ((torch.arange(H, device=images.device) + 0.5) / H - y).abs() < side / 2  # (B, H)
    columns = ((torch.arange(W, device=images.device) + 0.5) / W - x).abs() < side / 2  # (B, W)
    painted = (rows[:, :, None] & columns[:, None, :])[:, None]  # (B, 1, H, W)
    return torch.where(painted, images.mean(dim=(2, 3), keepdim=True), images)


# -- what is done to pairs ----------------------------------------------------------------------------------------


def mix(images: Tensor, config: AugmentConfig, u: Tensor) -> tuple[Tensor, NDArray[np.int64], float]:
    """Mixup or CutMix of a batch with itself, at random where both are declared.

    Args:
        images: (B, C, H, W) float.
        u: (B, columns); the first example's decide for the batch.
    Returns:
        (mixed images, (B,) row of each image's partner, share of the label that is the image's own). The loss is
        share · loss(own label) + (1 − share) · loss(partner's label).
    Source: Zhang et al. 2018, arXiv:1710.09412 (mixup); Yun et al. 2019, arXiv:1905.04899 (CutMix).
    """
    B, _, H, W = images.shape
    kinds: tuple[Name, ...] = ("mixup", "cutmix")
    declared = [name for name in kinds if config.amount(name)]
    chosen = declared[int(float(u[0, COLUMN["mix_kind"]]) * len(declared))]
    rng = np.random.default_rng(int(float(u[0, COLUMN["mix"]]) * 2**24))
    partners = rng.permutation(B)
    if float(u[0, COLUMN[f"if_{chosen}"]]) >= config.chance.get(chosen, 1.0):
        return images, np.arange(B), 1.0
    share = float(rng.beta(config.amount(chosen), config.amount(chosen)))
    others = images[torch.from_numpy(partners).to(images.device)]
    if chosen == "mixup":
        return share * images + (1 - share) * others, partners, share
    side = math.sqrt(1 - share) / 2  # half of it, as a share
    (top, bottom), (left, right) = (
        (round(max(0.0, middle - side) * length), round(min(1.0, middle + side) * length))
        for middle, length in zip(rng.random(2), (H, W), strict=True)
    )
    pasted = images.clone()
    pasted[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return pasted, partners, 1 - (bottom - top) * (right - left) / (H * W)
