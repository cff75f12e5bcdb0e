"""EfficientNet B0 to B2: one small network found by search, then widened and deepened by one rule.

Paper: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946,
table 1 (B0) and eq. 3 (scaling).
Parameters: 5,288,548 (B0), 7,794,184 (B1), 9,109,994 (B2) with 1000 classes.
Weights accepted: torchvision's efficientnet_b0, efficientnet_b1, efficientnet_b2.
Differs: batch norm has PyTorch's epsilon and momentum, as in torchvision; the paper's momentum is 0.99 (of the old).
The paper trains B0, B1 and B2 at 224, 240 and 260 pixels a side; any side runs.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.convolution import ConvNormActivation
from orthogon.nn.mbconv import MBConv, SqueezeExcitation, multiple_of_8

# expansion, kernel, stride of the first block, channels out, blocks
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNet(ImageNetwork):
    """Conv s2, seven stages of inverted residuals with squeeze-excitation, 1x1 convolution, pool, dense layer.

    Args:
        width: factor on the channels, rounded to multiples of 8.
        depth: factor on the blocks of a stage, rounded up.
        num_classes: K.
        in_channels: C of the pictures.
        dropout: share of pooled features dropped before the dense layer.
        drop_branch: share of the examples that would lose the branch of a block after the last; it rises to there
            from 0 in the first block.
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.2,
        drop_branch: float = 0.2,
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        total = sum(math.ceil(blocks * depth) for *_, blocks in STAGES)
        channels = multiple_of_8(32 * width)
        parts: list[nn.Module] = [ConvNormActivation(in_channels, channels, 3, 2, activation=nn.SiLU)]
        done = 0
        for expansion, kernel, stage_stride, stage_channels, blocks in STAGES:
            out_channels = multiple_of_8(stage_channels * width)
            stage: list[nn.Module] = []
            for block in range(math.ceil(blocks * depth)):
                expanded = multiple_of_8(channels * expansion)
                stage.append(
                    MBConv(
                        channels,
                        expanded,
                        out_channels,
                        kernel,
                        stage_stride if block == 0 else 1,
                        activation=nn.SiLU,
                        excitation=SqueezeExcitation(expanded, max(1, channels // 4), activation=nn.SiLU),
                        drop=drop_branch * done / total,
                    )
                )
                channels, done = out_channels, done + 1
            parts.append(nn.Sequential(*stage))
        parts.append(ConvNormActivation(channels, 4 * channels, 1, activation=nn.SiLU))
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * channels, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -(module.out_features**-0.5), module.out_features**-0.5)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def efficientnet_b0(
    num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, drop_branch: float = 0.2
) -> EfficientNet:
    """Table 1 as it stands; for 224 x 224 pixels."""
    return EfficientNet(1.0, 1.0, num_classes, in_channels, dropout, drop_branch)


def efficientnet_b1(
    num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, drop_branch: float = 0.2
) -> EfficientNet:
    """B0 with 1.1 times the blocks; for 240 x 240 pixels."""
    return EfficientNet(1.0, 1.1, num_classes, in_channels, dropout, drop_branch)


def efficientnet_b2(
    num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.3, drop_branch: float = 0.2
) -> EfficientNet:
    """B0 with 1.1 times the channels and 1.2 times the blocks; for 260 x 260 pixels."""
    return EfficientNet(1.1, 1.2, num_classes, in_channels, dropout, drop_branch)
