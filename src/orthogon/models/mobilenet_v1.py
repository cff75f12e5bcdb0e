"""MobileNet: every 3 x 3 convolution split into a depthwise and a pointwise one, for about a ninth of the arithmetic.

Paper: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861, table 1, with width and resolution multiplier 1.
Parameters: 4,231,976. Weights accepted: its own.

    3 x 224 x 224 -> 32 @ 112 -> 64 @ 112 -> 128 @ 56 -> 256 @ 28 -> 512 @ 14 -> 1024 @ 7 -> mean -> K

Differs: the paper names no initialisation; here He's by fan-out. The last depthwise convolution, "s2" in table 1, has
stride 1, since its input and output in the same table are both 7 x 7.
"""

from __future__ import annotations

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.convolution import ConvNormActivation

# Output channels and stride of the 13 separable convolutions.
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class DepthwiseSeparable(nn.Sequential):
    """3x3 for each channel by itself, then 1x1 across channels, norm and ReLU after both (figure 3, right)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            ConvNormActivation(in_channels, in_channels, 3, stride, groups=in_channels),
            ConvNormActivation(in_channels, out_channels, 1),
        )


class MobileNetV1(ImageNetwork):
    """One convolution, 13 separable ones, the mean over the map, one dense layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        layers: list[nn.Module] = [ConvNormActivation(in_channels, 32, 3, 2)]
        seen = 32
        for channels, stride in LAYERS:
            layers.append(DepthwiseSeparable(seen, channels, stride))
            seen = channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(seen, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.features(images).mean(dim=(2, 3)))


def mobilenet_v1(num_classes: int = 1000, in_channels: int = 3) -> MobileNetV1:
    """The paper's standard form, 1.0 MobileNet-224."""
    return MobileNetV1(num_classes, in_channels)
