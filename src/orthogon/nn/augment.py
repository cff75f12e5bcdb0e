"""Random geometric and brightness changes of a batch of images, as a few tensor operations.

Every draw comes from the generator that is passed in, so a batch is changed the same way whenever it is made again.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def affine_matrices(
    batch_size: int,
    generator: Generator | None = None,
    *,
    rotation: float = 0.0,
    scale: float = 0.0,
    shift: float = 0.0,
    flip: bool = False,
) -> Tensor:
    """One random map from output to input coordinates for each image, in units where the picture spans -1..1.

    Args:
        rotation: largest turn either way, degrees.
        scale: largest relative change of size; 0.1 draws factors from 1/1.1 to 1.1, evenly in their logarithm.
        shift: largest move along each axis, as a share of the side.
        flip: mirror left and right with probability 1/2.
    Returns:
        (B, 2, 3), rows (x, y), what `torch.nn.functional.affine_grid` takes.
    """
    u = torch.rand((5, batch_size), generator=generator) * 2 - 1
    angle = u[0] * math.radians(rotation)
    zoom = torch.exp(u[1] * math.log1p(scale))
    mirror = torch.where(u[4] < 0, -1.0, 1.0) if flip else torch.ones(batch_size)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    # A side is 2 units long, so a shift by a share of the side is twice that share.
    row_x = torch.stack([mirror * cos, -mirror * sin, 2 * shift * u[2]], dim=1)
    row_y = torch.stack([sin, cos, 2 * shift * u[3]], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Each image seen through its own map; see `affine_matrices`.

    Args:
        images: (B, C, H, W) float; pixels outside repeat the border.
        matrices: (B, 2, 3), from output to input coordinates.
    Returns:
        (B, C, H, W), a new tensor; bilinear.
    """
    grid = F.affine_grid(matrices.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_brightness(
    images: Tensor, generator: Generator | None = None, *, contrast: float = 0.0, brightness: float = 0.0
) -> Tensor:
    """Stretch each image about its own mean and lift it, clipped to 0..255.

    Args:
        images: (B, C, H, W) float pixels, 0..255.
        contrast: largest relative change of contrast.
        brightness: largest change of level, as a share of 255.
    """
    u = (torch.rand((2, len(images), 1, 1, 1), generator=generator) * 2 - 1).to(images)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = mean + (images - mean) * (1 + contrast * u[0]) + 255 * brightness * u[1]
    return changed.clamp(0, 255)


def random_erase(images: Tensor, generator: Generator | None = None, *, side: float = 0.0) -> Tensor:
    """Paint one square of each image with that image's mean: no single part may carry the answer.

    Args:
        images: (B, C, H, W) float.
        side: largest side of the square, as a share of the picture's; each image draws its own from 0..side.
    Source: DeVries & Taylor 2017, arXiv:1708.04552. Differs: random size, and the mean instead of 0.
    """
    B, _, H, W = images.shape
    u = torch.rand((3, B, 1), generator=generator).to(images)
    half = side * u[0] / 2
    y = (torch.arange(H, device=images.device) + 0.5) / H
    x = (torch.arange(W, device=images.device) + 0.5) / W
    rows, columns = (y - u[1]).abs() < half, (x - u[2]).abs() < half  # (B, H), (B, W)
    erased = (rows[:, :, None] & columns[:, None, :])[:, None]  # (B, 1, H, W)
    return torch.where(erased, images.mean(dim=(2, 3), keepdim=True), images)
