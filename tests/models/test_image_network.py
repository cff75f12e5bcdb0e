"""A wrong picture or a wrong number is named with its value, its place and what to do."""

from __future__ import annotations

import pytest
import torch

from orthogon.errors import ShapeError
from orthogon.models.mobilenet_v2 import mobilenet_v2
from orthogon.models.squeezenet import squeezenet1_1


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((2, 1, 32, 32), r"SqueezeNet: images of shape \(2, 1, 32, 32\) have 1 channels, not 3\n.*in_channels=1"),
        ((2, 3, 32, 16), r"SqueezeNet: images of 32 x 16 pixels are too small\nIt takes sides from 17 pixels on"),
        ((3, 32, 32), r"SqueezeNet: images have shape \(3, 32, 32\)\n.*\(batch, channels, height, width\)"),
    ],
)
def test_a_wrong_picture(shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        squeezenet1_1(num_classes=2)(torch.zeros(shape))


@pytest.mark.parametrize("key", ["num_classes", "in_channels"])
def test_a_wrong_number(key: str) -> None:
    with pytest.raises(ShapeError, match=rf"MobileNetV2: {key} is 0\nGive MobileNetV2 a positive whole number"):
        mobilenet_v2(**{key: 0})
