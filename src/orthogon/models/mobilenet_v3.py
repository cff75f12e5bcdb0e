"""MobileNet v3, large and small: found by search for phones, with squeeze-excitation and hard-swish.

Paper: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, tables 1 (large) and 2 (small).
Parameters: 5,483,032 (large) and 2,542,856 (small) with 1000 classes.
Weights accepted: torchvision's mobilenet_v3_large and mobilenet_v3_small.
Differs: batch norm's epsilon is 0.001 and its running averages move by 0.01 a step, as in torchvision; the paper gives
neither. The small network's squeeze follows the expansion as in the large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.convolution import ConvNormActivation
from orthogon.nn.mbconv import MBConv, SqueezeExcitation, multiple_of_8

# kernel, expanded, channels out, squeeze-excitation, hard-swish (else ReLU), stride
Row = tuple[int, int, int, bool, bool, int]
LARGE: tuple[Row, ...] = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
SMALL: tuple[Row, ...] = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


class MobileNetV3(ImageNetwork):
    """Conv s2 to 16 channels, inverted residuals, 1x1 convolution to six times the width, pool, two dense layers.

    Args:
        rows: the blocks, as in the paper's table.
        hidden: units of the dense layer before the last.
        num_classes: K.
        in_channels: C of the pictures.
        dropout: share of those units dropped.
    """

    def __init__(
        self, rows: Sequence[Row], hidden: int, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        channels = 16
        parts: list[nn.Module] = [
            ConvNormActivation(in_channels, channels, 3, 2, norm=norm, activation=nn.Hardswish),
        ]
        for kernel, expanded, out_channels, squeeze, hard_swish, stride in rows:
            activation = nn.Hardswish if hard_swish else nn.ReLU
            excitation = None
            if squeeze:
                excitation = SqueezeExcitation(expanded, multiple_of_8(expanded // 4), nn.ReLU, nn.Hardsigmoid)
            parts.append(MBConv(channels, expanded, out_channels, kernel, stride, activation, norm, excitation))
            channels = out_channels
        parts.append(ConvNormActivation(channels, 6 * channels, 1, norm=norm, activation=nn.Hardswish))
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, hidden),
            nn.Hardswish(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def mobilenet_v3_large(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2) -> MobileNetV3:
    """Table 1: 15 blocks."""
    return MobileNetV3(LARGE, 1280, num_classes, in_channels, dropout)


def mobilenet_v3_small(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2) -> MobileNetV3:
    """Table 2: 11 blocks."""
    return MobileNetV3(SMALL, 1024, num_classes, in_channels, dropout)
