"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters, and no dense layer.

Paper: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
arXiv:1602.07360, table 1 (1.0). Version 1.1 is the authors' release of the same year: a smaller first layer and
earlier pools, 2.4 times less arithmetic.
Parameters: 1,248,424 (1.0), 1,235,496 (1.1). Weights accepted: torchvision's squeezenet1_0 and squeezenet1_1.

    3 x 224 x 224 -> 96 @ 109 -> pool 54 -> fire 2-4, 256 @ 54 -> pool 27 -> fire 5-8, 512 @ 27 -> pool 13
    -> fire 9, 512 @ 13 -> K @ 13 -> mean over the map -> K

Differs: the paper trains with noise-free Glorot weights of its Caffe file; here He's, and N(0, 0.01²) for the last
convolution. The ReLU after it, which keeps logits from being negative, is the authors'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork


class Fire(nn.Module):
    """Squeeze by 1x1 to few channels, then expand by 1x1 and by 3x3 side by side (figure 1).

    Args:
        squeeze: channels between; expand: of each of the two expansions.
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2 · expand, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        near, wide = self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([near, wide], 1)


class SqueezeNet(ImageNetwork):
    """Convolution, fires and pools, then one map a class. Build it by `squeezenet1_0` or `squeezenet1_1`."""

    def __init__(
        self, num_classes: int, in_channels: int, features: nn.Sequential, dropout: float, min_size: int
    ) -> None:
        super().__init__(num_classes, in_channels, min_size)
        self.features = features
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))
        for layer in self.modules():
            if not isinstance(layer, nn.Conv2d):
                continue
            if layer is last:
                nn.init.normal_(layer.weight, std=0.01)
            else:
                nn.init.kaiming_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.features(images)).flatten(1)


def pool() -> nn.MaxPool2d:
    """3 x 3 at stride 2; a last window that only partly fits counts."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def squeezenet1_0(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> SqueezeNet:
    """The paper's network; `dropout` is the share of fire 9's outputs that is dropped."""
    features = nn.Sequential(
        nn.Conv2d(in_channels, 96, 7, stride=2),
        nn.ReLU(inplace=True),
        pool(),
        Fire(96, 16, 64),
        Fire(128, 16, 64),
        Fire(128, 32, 128),
        pool(),
        Fire(256, 32, 128),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        pool(),
        Fire(512, 64, 256),
    )
    return SqueezeNet(num_classes, in_channels, features, dropout, min_size=21)


def squeezenet1_1(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> SqueezeNet:
    """The quicker one; `dropout` is the share of fire 9's outputs that is dropped."""
    features = nn.Sequential(
        nn.Conv2d(in_channels, 64, 3, stride=2),
        nn.ReLU(inplace=True),
        pool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        pool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        pool(),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    )
    return SqueezeNet(num_classes, in_channels, features, dropout, min_size=17)
