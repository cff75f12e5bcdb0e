"""Test-time averaging: a picture is looked at whole and mirrored, or in ten crops, and the answers are averaged.

Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 4.1: crops
of 224 from pictures of 256 pixels, in the corners and the middle, and their mirror images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.nn.ensemble import mean_of_classes

CROP = 224 / 256  # side of a crop, as a share of the picture's


def five_places(height: int, width: int, crop_height: int, crop_width: int) -> list[tuple[int, int]]:
    """(top, left) of the corners in reading order, then of the middle, in pixels.

    >>> five_places(256, 256, 224, 224)
    [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    """
    down, right = height - crop_height, width - crop_width
    return [(0, 0), (0, right), (down, 0), (down, right), (round(down / 2), round(right / 2))]


def ten_crops(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) -> (10, B, C, height, width): corners and middle, then the same of the mirror image."""
    places = five_places(images.shape[2], images.shape[3], height, width)
    return torch.stack(
        [
            side[..., top : top + height, left : left + width]
            for side in (images, images.flip(3))
            for top, left in places
        ]
    )


class Views(nn.Module):
    """A network that looks at each picture several times and gives the mean of its probabilities, as logits.

    Every crop is 224/256 of the picture's side and is enlarged to the whole side, so that any network takes it and
    whoever feeds the network feeds the same pictures as without.

    Args:
        network: images (B, C, H, W) -> logits (B, K).
        crops: ten crops; else the picture and its mirror image.
    Differs: the paper feeds its crops as they are, to a network trained on crops of that size.
    """

    def __init__(self, network: nn.Module, crops: bool) -> None:
        super().__init__()
        self.network, self.crops = network, crops

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K)."""
        B, _, H, W = images.shape
        if self.crops:
            seen = ten_crops(images, max(1, round(H * CROP)), max(1, round(W * CROP))).flatten(0, 1)
            seen = F.interpolate(seen, size=(H, W), mode="bilinear", align_corners=False)
        else:
            seen = torch.cat([images, images.flip(3)])
        logits = self.network(seen)  # (views B, K)
        return mean_of_classes(logits.reshape(-1, B, logits.shape[1]))
