"""MobileNet v2: inverted residuals, wide inside and narrow at both ends, with a linear way out.

Paper: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381, table 2.
Parameters: 3,504,872. Weights accepted: torchvision's mobilenet_v2; weights from TensorFlow under the same names with
`padding="tensorflow"`, which have `num_classes=1001` where class 0 is "background".

    3 x 224 x 224 -> 32 @ 112 -> 16 @ 112 -> 24 @ 56 -> 32 @ 28 -> 64 @ 14 -> 96 @ 14 -> 160 @ 7 -> 320 @ 7
    -> 1280 @ 7 -> mean -> K
"""

from __future__ import annotations

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.convolution import ConvNormActivation, InvertedResidual, Padding

# Table 2: expansion t, output channels c, blocks n, stride s of the first of them.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(ImageNetwork):
    """One convolution, 17 inverted residuals, one 1x1 convolution, the mean over the map, one dense layer."""

    def __init__(self, num_classes: int, in_channels: int, dropout: float, padding: Padding) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        layers: list[nn.Module] = [ConvNormActivation(in_channels, 32, 3, 2, activation=nn.ReLU6, padding=padding)]
        seen = 32
        for t, c, n, s in STAGES:
            for block in range(n):
                layers.append(InvertedResidual(seen, c, s if block == 0 else 1, t, padding=padding))
                seen = c
        layers.append(ConvNormActivation(seen, 1280, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, num_classes))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.features(images).mean(dim=(2, 3)))


def mobilenet_v2(
    num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, padding: Padding = "symmetric"
) -> MobileNetV2:
    """The paper's standard form, width multiplier 1.

    Args:
        dropout: share of the pooled features dropped before the dense layer.
        padding: "tensorflow" for weights that were trained with TensorFlow's "SAME" padding, which at stride 2 and an
            even side adds its one row below and its one column to the right.
    """
    return MobileNetV2(num_classes, in_channels, dropout, padding)
