"""GoogLeNet: nine Inception modules, each looking at 1x1, 3x3 and 5x5 patches side by side.

Paper: Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842, table 1, figures 2b and 3 (`googlenet`).
`googlenet_bn` is the later form that torchvision has: batch norm, no response norm, 3x3 in place of 5x5, a 2x2 pool 4.
Parameters without side heads: 6,998,552 (paper), 6,624,904 (batch norm). Weights accepted: `googlenet_bn` takes
torchvision's googlenet, with `transform_input=True` where its public weights are meant.

    3 x 224 x 224 -> 64 @ 112 -> pool 56 -> 192 @ 56 -> pool 28 -> 3a-b 480 @ 28 -> pool 14 -> 4a-e 832 @ 14
    -> pool 7 -> 5a-b 1024 @ 7 -> mean -> K

Differs: the paper names no initialisation and no constants of its response norm; here He's, and those of the authors'
Caffe file. Side heads end in an adaptive pool to 4 x 4, which changes nothing at 224, so that other sizes pass; a map
too small for their 5x5 pool goes without it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.models.image_network import SIDE_WEIGHT, ImageNetwork
from orthogon.nn.init import initialise_

SIDE_POOL = 5  # window of a side head's first pool, in pixels of its map


class GoogLeNetOutputs(NamedTuple):
    """Logits (B, K) of the main head and of the side heads after 4d and 4a, in this order."""

    logits: Tensor
    side2: Tensor
    side1: Tensor


class Convolution(nn.Module):
    """Convolution that keeps the side at stride 1, then ReLU; with batch norm between, it has no bias."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, *, batch_norm: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        return self.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 max pool then 1x1: all keep the side and are concatenated (figure 2b).

    Args:
        ch1x1, ch3x3, ch5x5, pool_proj: output channels of the four branches.
        ch3x3_reduce, ch5x5_reduce: of the 1x1 convolutions before the larger ones.
        batch_norm: the later form, where the third branch is 3x3 as well.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3_reduce: int,
        ch3x3: int,
        ch5x5_reduce: int,
        ch5x5: int,
        pool_proj: int,
        *,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.branch1 = Convolution(in_channels, ch1x1, 1, batch_norm=batch_norm)
        self.branch2 = nn.Sequential(
            Convolution(in_channels, ch3x3_reduce, 1, batch_norm=batch_norm),
            Convolution(ch3x3_reduce, ch3x3, 3, batch_norm=batch_norm),
        )
        self.branch3 = nn.Sequential(
            Convolution(in_channels, ch5x5_reduce, 1, batch_norm=batch_norm),
            Convolution(ch5x5_reduce, ch5x5, 3 if batch_norm else 5, batch_norm=batch_norm),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), Convolution(in_channels, pool_proj, 1, batch_norm=batch_norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class SideHead(nn.Module):
    """A small classifier on a hidden layer: pool to 4 x 4, 1x1 convolution, two dense layers (section 5)."""

    side_head = True  # not a link of the chain that `stages` follows

    def __init__(self, in_channels: int, num_classes: int, dropout: float, *, batch_norm: bool) -> None:
        super().__init__()
        # 14 -> 4; torchvision's form pools to 4 at once, over windows that differ from these
        self.pool = nn.Identity() if batch_norm else nn.AvgPool2d(SIDE_POOL, stride=3)
        self.conv = Convolution(in_channels, 128, 1, batch_norm=batch_norm)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        if min(x.shape[-2:]) >= SIDE_POOL:
            x = self.pool(x)
        x = self.conv(F.adaptive_avg_pool2d(x, 4))
        return self.fc2(self.dropout(self.relu(self.fc1(x.flatten(1)))))


class GoogLeNet(ImageNetwork):
    """Both forms; build them by `googlenet` and `googlenet_bn`, which explain the arguments."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        batch_norm: bool,
        side_heads: bool,
        dropout: float,
        side_dropout: float,
        transform_input: bool = False,
    ) -> None:
        # the smallest picture that leaves the last pool a pixel
        super().__init__(num_classes, in_channels, min_size=15 if batch_norm else 31)
        self.side_heads, self.transform_input = side_heads, transform_input
        self.num_side_heads = 2 if side_heads else 0

        def convolution(seen: int, channels: int, kernel_size: int, stride: int = 1) -> Convolution:
            return Convolution(seen, channels, kernel_size, stride, batch_norm=batch_norm)

        def inception(seen: int, *channels: int) -> Inception:
            return Inception(seen, *channels, batch_norm=batch_norm)

        def norm() -> nn.Module:
            return nn.Identity() if batch_norm else nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

        def pool(size: int = 3) -> nn.MaxPool2d:
            return nn.MaxPool2d(size, stride=2, ceil_mode=True)

        self.conv1, self.maxpool1, self.norm1 = convolution(in_channels, 64, 7, 2), pool(), norm()
        self.conv2, self.conv3 = convolution(64, 64, 1), convolution(64, 192, 3)
        self.norm2, self.maxpool2 = norm(), pool()
        self.inception3a = inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = pool()
        self.inception4a = inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = pool(2 if batch_norm else 3)
        self.inception5a = inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(832, 384, 192, 384, 48, 128, 128)
        if side_heads:
            self.aux1 = SideHead(512, num_classes, side_dropout, batch_norm=batch_norm)
            self.aux2 = SideHead(528, num_classes, side_dropout, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        if batch_norm:
            for layer in self.modules():
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(layer.weight, std=0.01)
        else:
            initialise_(self, "he")

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """(B, C, H, W) -> logits (B, K); in training mode with side heads, `GoogLeNetOutputs`."""
        self.check(images)
        x = self.norm1(self.maxpool1(self.conv1(self._transformed(images))))
        x = self.conv2(x)
        x = self.maxpool2(self.norm2(self.conv3(x)))
        x = self.inception3a(x)
        x = self.maxpool3(self.inception3b(x))
        # each side head where its map appears: dropout then draws its random numbers as in torchvision, and the
        # backward pass, which goes in reverse, reaches the head's gradients no sooner than it needs them
        sides: list[Tensor] = []
        with_sides = self.side_heads and self.training
        x = self.inception4a(x)
        if with_sides:
            sides.append(self.aux1(x))
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if with_sides:
            sides.append(self.aux2(x))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(x.mean(dim=(2, 3))))
        return GoogLeNetOutputs(logits, side2=sides[1], side1=sides[0]) if with_sides else logits

    def _transformed(self, images: Tensor) -> Tensor:
        if not self.transform_input:
            return images
        mean, std = images.new_tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 3, 1, 1)
        return images * (std / 0.5) + (mean - 0.5) / 0.5


def googlenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    side_heads: bool = True,
    dropout: float = 0.4,
    side_dropout: float = 0.7,
) -> GoogLeNet:
    """The paper's network.

    Args:
        side_heads: two more classifiers on hidden layers, which help training and are not used in eval mode. Training
            mode then gives `GoogLeNetOutputs`, whose loss is `side_head_loss`.
        dropout: share of the pooled features dropped before the last layer.
        side_dropout: the same before the last layer of each side head.
    """
    return GoogLeNet(
        num_classes,
        in_channels,
        batch_norm=False,
        side_heads=side_heads,
        dropout=dropout,
        side_dropout=side_dropout,
    )


def googlenet_bn(
    num_classes: int = 1000,
    in_channels: int = 3,
    side_heads: bool = True,
    dropout: float = 0.2,
    side_dropout: float = 0.7,
    transform_input: bool = False,
) -> GoogLeNet:
    """The form with batch norm, which is torchvision's `googlenet`.

    Args:
        side_heads, dropout, side_dropout: as of `googlenet`.
        transform_input: images normalised with ImageNet's mean and deviation are first brought to (x − 0.5) / 0.5, on
            which the public weights were trained. Three channels only.
    """
    return GoogLeNet(
        num_classes,
        in_channels,
        batch_norm=True,
        side_heads=side_heads,
        dropout=dropout,
        side_dropout=side_dropout,
        transform_input=transform_input,
    )


def side_head_loss(outputs: Tensor | GoogLeNetOutputs, targets: Tensor, weight: float = SIDE_WEIGHT) -> Tensor:
    """Cross-entropy of the main head plus `weight` times that of each side head; of the logits alone in eval mode.

    Args:
        outputs: what the network gave. targets: (B,) int64 class numbers.
    Returns:
        The mean over the batch, in nats.
    Source: Szegedy et al. 2014, section 5.
    """
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, targets)
    main, *sides = (F.cross_entropy(logits, targets) for logits in outputs)
    return main + weight * torch.stack(sides).sum()
