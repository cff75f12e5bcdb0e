"""VGG: nothing but 3 x 3 convolutions and 2 x 2 pools, twice the channels after each pool, up to 19 layers.

Paper: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, table 1, columns A, B, D and E. Batch norm (`_bn`) is a later addition, between convolution and ReLU.
Parameters: 132,863,336 (11), 133,047,848 (13), 138,357,544 (16), 143,667,240 (19); most lie in the first dense layer.
Weights accepted: torchvision's vgg11 to vgg19 and vgg11_bn to vgg19_bn.

    3 x 224 x 224 -> 64 @ 224 -> 128 @ 112 -> 256 @ 56 -> 512 @ 28 -> 512 @ 14 -> pool 7 -> 4096 -> 4096 -> K

Differs: adaptive pooling to 7 x 7, which changes nothing at 224, lets other sizes through. Weights start from He's
initialisation by fan-out, so that all depths train from scratch; the paper grew them from the 11 layers of column A.
"""

from __future__ import annotations

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork

# Convolutions in each of the five stages, by the number of layers with weights (three of them dense).
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


class VGG(ImageNetwork):
    """Five stages of convolutions, then three dense layers.

    Args:
        num_layers: a key of STAGES.
        batch_norm: normalise after each convolution.
        dropout: share of the two hidden dense layers' outputs that is dropped.
    """

    def __init__(self, num_layers: int, batch_norm: bool, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__(num_classes, in_channels, min_size=32)
        layers: list[nn.Module] = []
        seen = in_channels
        for channels, convolutions in zip(CHANNELS, STAGES[num_layers], strict=True):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(seen, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                seen = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
            if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        x = self.avgpool(self.features(images))
        return self.classifier(x.flatten(1))  # (B, 25088)


def vgg11(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """Column A: 8 convolutions."""
    return VGG(11, False, num_classes, in_channels, dropout)


def vgg13(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """Column B: 10 convolutions."""
    return VGG(13, False, num_classes, in_channels, dropout)


def vgg16(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """Column D: 13 convolutions."""
    return VGG(16, False, num_classes, in_channels, dropout)


def vgg19(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """Column E: 16 convolutions."""
    return VGG(19, False, num_classes, in_channels, dropout)


def vgg11_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """`vgg11` with batch norm."""
    return VGG(11, True, num_classes, in_channels, dropout)


def vgg13_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """`vgg13` with batch norm."""
    return VGG(13, True, num_classes, in_channels, dropout)


def vgg16_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """`vgg16` with batch norm."""
    return VGG(16, True, num_classes, in_channels, dropout)


def vgg19_bn(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """`vgg19` with batch norm."""
    return VGG(19, True, num_classes, in_channels, dropout)
