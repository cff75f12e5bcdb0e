"""What every network of the zoo says about its images: how many channels and classes, and the smallest side.

A family's class calls `super().__init__(num_classes, in_channels, min_size)` first, and `self.check(images)` as the
first line of its `forward`; a wrong picture is then named before a layer deep inside fails on it.
"""

from __future__ import annotations

from torch import Tensor, nn

from orthogon.errors import ShapeError


class ImageNetwork(nn.Module):
    """Base of the networks that turn images (B, C, H, W) into class logits (B, K).

    Args:
        num_classes: K, at least 1.
        in_channels: C, 3 for colour, 1 for grey.
        min_size: shortest side in pixels that leaves every layer at least one pixel to work on.
    Raises:
        ShapeError: no classes or no channels.
    """

    def __init__(self, num_classes: int, in_channels: int, min_size: int) -> None:
        super().__init__()
        for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
            if value < 1:
                name = type(self).__name__
                raise ShapeError(f"{key} is {value}", name, f"Give {name} a positive whole number.")
        self.num_classes, self.in_channels, self.min_size = num_classes, in_channels, min_size

    def check(self, images: Tensor) -> None:
        """Raise a ShapeError for images of another rank, with other channels, or too small."""
        name, shape = type(self).__name__, tuple(images.shape)
        if images.ndim != 4:
            raise ShapeError(
                f"images have shape {shape}", name, "It takes four axes: (batch, channels, height, width)."
            )
        if images.shape[1] != self.in_channels:
            raise ShapeError(
                f"images of shape {shape} have {shape[1]} channels, not {self.in_channels}",
                name,
                f"Convert them, or build the network with in_channels={shape[1]}.",
            )
        if images.shape[2] < self.min_size or images.shape[3] < self.min_size:
            raise ShapeError(
                f"images of {shape[2]} x {shape[3]} pixels are too small",
                name,
                f"It takes sides from {self.min_size} pixels on: enlarge the images, or choose a smaller network.",
            )
