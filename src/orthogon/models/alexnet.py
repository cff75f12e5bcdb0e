"""AlexNet: five convolutions and three dense layers that won ImageNet 2012 by ten points.

Papers: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section
3.5 and figure 2 (`alexnet`); Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997, footnote 1 (`alexnet_owt`: fewer channels, no response normalisation).
Parameters: 62,378,344 on one device; 60,965,224 in two halves, as the paper split it over two GPUs; 61,100,840 in the
form of 2014. Weights accepted: `alexnet_owt` takes torchvision's alexnet.

    3 x 227 x 227 -> 96 @ 55 -> pool 27 -> 256 @ 27 -> pool 13 -> 384 @ 13 -> 384 @ 13 -> 256 @ 13 -> pool 6
    -> 9216 -> 4096 -> 4096 -> K

Differs: the paper says 224 pixels, but (224 − 11) / 4 + 1 = 54.25 is no whole number; 227 gives its 55. Adaptive
pooling to 6 x 6, which changes nothing at 227, lets other sizes through.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork


class ResponseNorm(nn.LocalResponseNorm):
    """b_i = a_i / (k + α Σ_j a_j²)^β over 5 neighbouring maps (section 3.3), within each half where there are two.

    PyTorch divides α by the number of neighbours and the paper does not, hence 5 · 10⁻⁴.
    """

    def __init__(self, groups: int) -> None:
        super().__init__(size=5, alpha=5e-4, beta=0.75, k=2.0)
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W), shape kept."""
        B, C, H, W = input.shape
        halves = input.reshape(B * self.groups, C // self.groups, H, W)
        return super().forward(halves).reshape(B, C, H, W)


class AlexNet(ImageNetwork):
    """Convolutions, then dense layers. Build it by `alexnet` or `alexnet_owt`."""

    def __init__(
        self, num_classes: int, in_channels: int, features: nn.Sequential, dropout: float, min_size: int
    ) -> None:
        super().__init__(num_classes, in_channels, min_size)
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        x = self.avgpool(self.features(images))
        return self.classifier(x.flatten(1))  # (B, 9216)


def alexnet(num_classes: int = 1000, in_channels: int = 3, groups: Literal[1, 2] = 1, dropout: float = 0.5) -> AlexNet:
    """The network of 2012. Its first weights are made for pixels 0..255 less their mean, not for a deviation of 1.

    Args:
        groups: 2 splits the maps into two halves that meet only in the third convolution and the dense layers, as on
            the paper's two GPUs.
        dropout: share of the inputs of the first two dense layers that is dropped.
    """
    features = nn.Sequential(
        nn.Conv2d(in_channels, 96, 11, stride=4),
        nn.ReLU(inplace=True),
        ResponseNorm(groups),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, 5, padding=2, groups=groups),
        nn.ReLU(inplace=True),
        ResponseNorm(groups),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=groups),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=groups),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    )
    network = AlexNet(num_classes, in_channels, features, dropout, min_size=67)
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    for number, layer in enumerate(layers, start=1):  # section 5: ones keep the ReLUs of these layers alive at first
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 1.0 if number in (2, 4, 5, 6, 7) else 0.0)
    return network


def alexnet_owt(num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> AlexNet:
    """The one-tower network of 2014, which is torchvision's `alexnet`."""
    features = nn.Sequential(
        nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    )
    return AlexNet(num_classes, in_channels, features, dropout, min_size=63)
