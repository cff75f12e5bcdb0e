"""Pictures of cards as data URIs, small enough that a page of sixty stays under its bound."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from orthogon.tasks.task import Card

CRISP_BELOW = 48  # pixels: smaller pictures are sent as they are and scaled up with hard edges
SIDES = (320, 240, 176, 128, 96, 64)  # longest side in pixels, tried in turn until the budget holds
WARM = np.array([230, 92, 0], float)  # colour of what the network looked at


@dataclass(frozen=True)
class Picture:
    """What an <img> needs. crisp: scale up with hard pixel edges."""

    uri: str
    width: int
    height: int
    crisp: bool


def encode(cards: Sequence[Card], budget: int, largest: int = 0) -> list[tuple[Picture | None, Picture | None]]:
    """Per card its picture and, where it has heat, the same with what the network looked at.

    Args:
        budget: bytes that all data URIs together may take; the longest side shrinks until they fit.
        largest: of the longest side, in pixels; 0: as large as the budget allows.
    """
    encoded: list[tuple[Picture | None, Picture | None]] = []
    sample = cards[:: max(1, len(cards) // 6)]
    for side in [side for side in SIDES if not largest or side <= largest]:
        guess = _weight([_encode_card(card, side) for card in sample]) * len(cards) / max(1, len(sample))
        if guess > 1.2 * budget and side != SIDES[-1]:  # the few tell: spare the many
            continue
        encoded = [_encode_card(card, side) for card in cards]
        if _weight(encoded) <= budget:
            return encoded
    left = budget  # hundreds of cards: the first ones keep their pictures
    kept: list[tuple[Picture | None, Picture | None]] = []
    for pair in encoded:
        left -= _weight([pair])
        kept.append(pair if left >= 0 else (None, None))
    return kept


def picture_of(image: NDArray[np.uint8]) -> Image.Image:
    """An array (H, W), (H, W, 1) or (H, W, 3) as a picture."""
    return Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture in faint grey with warm colour where the network looked, (H, W, 3)."""
    height, width = image.shape[:2]
    if heat.shape != (height, width):
        resized = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        heat = np.asarray(resized)
    grey = image.astype(float) if image.ndim == 2 else image.astype(float) @ [0.299, 0.587, 0.114]
    base = np.repeat(70 + 0.65 * grey[..., None], 3, axis=2)
    top = float(np.nanmax(heat)) if heat.size else 0.0
    weight = 0.85 * np.clip(np.nan_to_num(heat) / (top or 1.0), 0, 1)[..., None]
    return np.clip((1 - weight) * base + weight * WARM, 0, 255).astype(np.uint8)


def _encode_card(card: Card, side: int) -> tuple[Picture | None, Picture | None]:
    if card.image is None:
        return None, None
    small = _shrink(card.image, side)
    heated = None if card.heat is None else Image.fromarray(overlay(np.asarray(small), card.heat))
    return _encode(small), None if heated is None else _encode(heated)


def _shrink(image: NDArray[np.uint8], side: int) -> Image.Image:
    picture = picture_of(image)
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _encode(picture: Image.Image) -> Picture:
    crisp = max(picture.size) < CRISP_BELOW
    options: dict[str, Any] = {"format": "PNG", "optimize": True} if crisp else {"format": "JPEG", "quality": 82}
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{options['format'].lower()};base64,{text}", *picture.size, crisp)


def _weight(encoded: Sequence[tuple[Picture | None, Picture | None]]) -> int:
    return sum(len(picture.uri) for pair in encoded for picture in pair if picture is not None)
