"""Residual networks, for ImageNet and for small pictures, and their plain twins.

Paper: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385: table 1 (ImageNet), section
4.2 (CIFAR-10, 6n + 2 layers), fig. 5 (blocks).
Parameters: 11,689,512 (18), 21,797,672 (34), 25,557,032 (50), 44,549,160 (101), 60,192,808 (152) with 1000 classes;
269,722 (20), 464,154 (32), 658,586 (44), 853,018 (56) with 10 classes.
Weights accepted: torchvision's of the same name, for 18 to 152 with `stride_on="3x3"`, which is the default.
Differs: the paper halves the map in a bottleneck's first 1x1 convolution, `stride_on="1x1"`; torchvision in its 3x3.
The counts are the same. By name: `resnet50`, `resnet101`, `resnet152` are torchvision's form, and `resnet50_1x1` and so
on the paper's, which has no public weights here; 18 and 34 have no bottleneck, so both forms are one. A plain network
is the residual one without its shortcuts, shortcut="none".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.errors import ConfigError, did_you_mean
from orthogon.models.image_network import ImageNetwork
from orthogon.nn.init import initialise_

Shortcut = Literal["projection", "padding", "none"]
StrideOn = Literal["1x1", "3x3"]
SHORTCUTS = ("projection", "padding", "none")
STRIDES_ON = ("1x1", "3x3")


class PaddedShortcut(nn.Module):
    """Every stride-th pixel, and channels of zeros behind the old ones: no weights (option A of section 3.3)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.missing, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class Block(nn.Module):
    """relu(F(x) + W_s x). `downsample` is W_s; None where shapes agree and x itself is added, or nothing is."""

    expansion: ClassVar[int]  # channels out = expansion · channels inside
    residual: bool
    downsample: nn.Module | None
    relu: nn.Module

    def branch(self, x: Tensor) -> Tensor:
        """F(x)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        z = self.branch(x)
        if self.residual:
            z += x if self.downsample is None else self.downsample(x)
        return self.relu(z)


class BasicBlock(Block):
    """F = conv 3x3, norm, relu, conv 3x3, norm (fig. 5, left).

    Args:
        in_channels: C.
        width: C'.
        stride: of the first convolution and of the shortcut.
        shortcut: where shapes differ, a learned 1x1 "projection" or zero "padding"; "none" adds nothing anywhere.
        norm: batch normalisation; without it the convolutions have a bias.
    Raises:
        ConfigError: no such shortcut.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, shortcut: Shortcut = "projection", norm: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=not norm)
        self.bn1 = _norm(width, norm)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=not norm)
        self.bn2 = _norm(width, norm)
        self.relu = nn.ReLU(inplace=True)
        self.residual = shortcut != "none"
        self.downsample = _downsample(in_channels, width, stride, shortcut, norm)

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(Block):
    """F = conv 1x1 to `width`, conv 3x3, conv 1x1 to 4 · width, each with norm (fig. 5, right): the skip spans three.

    Args:
        in_channels: C; C' = 4 · width.
        stride_on: the convolution that halves the map: the first "1x1" (the paper), or the "3x3" (torchvision).
        stride, shortcut: as in BasicBlock.
    Raises:
        ConfigError: no such shortcut or convolution.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "projection",
        stride_on: StrideOn = "3x3",
    ) -> None:
        super().__init__()
        if stride_on not in STRIDES_ON:
            raise ConfigError(f'"{stride_on}" is no convolution to stride on', "stride_on", 'Give "1x1" or "3x3".')
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.relu = nn.ReLU(inplace=True)
        self.residual = shortcut != "none"
        self.downsample = _downsample(in_channels, width * 4, stride, shortcut, norm=True)

    def branch(self, x: Tensor) -> Tensor:
        z = self.relu(self.bn1(self.conv1(x)))
        z = self.relu(self.bn2(self.conv2(z)))
        z = self.conv3(z)
        return self.bn3(z)


class ResNet(ImageNetwork):
    """Conv 7x7 s2, max pool 3x3 s2, four stages of 64, 128, 256, 512, global average pool, dense layer (table 1).

    Args:
        blocks: residual blocks of each of the four stages.
        num_classes: K.
        in_channels: C of the pictures.
        bottleneck: blocks of three convolutions instead of two.
        shortcut: see BasicBlock; the paper's own choice for these sizes is option B, "projection".
        stride_on: see Bottleneck; without bottlenecks it changes nothing.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        bottleneck: bool = False,
        shortcut: Shortcut = "projection",
        stride_on: StrideOn = "3x3",
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)

        def block(channels: int, width: int, stride: int) -> Block:
            if bottleneck:
                return Bottleneck(channels, width, stride, shortcut, stride_on)
            return BasicBlock(channels, width, stride, shortcut)

        def stage(channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
            rest = (block(width * expansion, width, 1) for _ in range(depth - 1))
            return nn.Sequential(block(channels, width, stride), *rest)

        expansion = (Bottleneck if bottleneck else BasicBlock).expansion
        self.layer1 = stage(64, 64, blocks[0], 1)
        self.layer2 = stage(64 * expansion, 128, blocks[1], 2)
        self.layer3 = stage(128 * expansion, 256, blocks[2], 2)
        self.layer4 = stage(256 * expansion, 512, blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * expansion, num_classes)
        _initialise_(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(self.avgpool(x).flatten(1))


class SmallResNet(ImageNetwork):
    """Conv 3x3, stages of `blocks` basic blocks, global average pool, dense layer: 2 · stages · blocks + 2 layers.

    Every stage but the first halves the map.

    Args:
        blocks: residual blocks a stage, n in 6n + 2.
        num_classes: K.
        in_channels: C of the pictures.
        widths: channels of the stages.
        shortcut: see BasicBlock; the paper's choice for CIFAR-10 is option A, "padding".
        norm: batch normalisation. Without it weights start as N(0, 2 / n_in), which keeps the signal's size from the
            stem on, but the last convolution of each residual branch at zero: else every block would double the
            variance (Zhang et al. 2019, arXiv:1901.09321).
    Raises:
        ConfigError: fewer than one block or no stage.
    """

    def __init__(
        self,
        blocks: int,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        widths: Sequence[int] = (16, 32, 64),
        shortcut: Shortcut = "padding",
        norm: bool = True,
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=1)
        if blocks < 1 or not widths:
            raise ConfigError(f"{blocks} blocks in {len(widths)} stages", "SmallResNet", "Give at least one of each.")
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, 1, 1, bias=not norm)
        self.bn1 = _norm(widths[0], norm)
        self.relu = nn.ReLU(inplace=True)
        stages: list[nn.Module] = []
        channels = widths[0]
        for i, width in enumerate(widths):
            stage: list[nn.Module] = []
            for j in range(blocks):
                stage.append(BasicBlock(channels, width, 2 if i > 0 and j == 0 else 1, shortcut, norm))
                channels = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        if norm:
            _initialise_(self)
            return
        initialise_(self, "he")
        for block in self.modules():
            if isinstance(block, BasicBlock) and block.residual:
                nn.init.zeros_(block.conv2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        x = self.stages(self.relu(self.bn1(self.conv1(images))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(num_classes: int = 1000, in_channels: int = 3, shortcut: Shortcut = "projection") -> ResNet:
    """18 layers with weights."""
    return ResNet((2, 2, 2, 2), num_classes, in_channels, shortcut=shortcut)


def resnet34(num_classes: int = 1000, in_channels: int = 3, shortcut: Shortcut = "projection") -> ResNet:
    """34 layers with weights."""
    return ResNet((3, 4, 6, 3), num_classes, in_channels, shortcut=shortcut)


def resnet50(num_classes: int = 1000, in_channels: int = 3, stride_on: StrideOn = "3x3") -> ResNet:
    """50 layers with weights, in bottlenecks."""
    return ResNet((3, 4, 6, 3), num_classes, in_channels, bottleneck=True, stride_on=stride_on)


def resnet101(num_classes: int = 1000, in_channels: int = 3, stride_on: StrideOn = "3x3") -> ResNet:
    """101 layers with weights, in bottlenecks."""
    return ResNet((3, 4, 23, 3), num_classes, in_channels, bottleneck=True, stride_on=stride_on)


def resnet152(num_classes: int = 1000, in_channels: int = 3, stride_on: StrideOn = "3x3") -> ResNet:
    """152 layers with weights, in bottlenecks."""
    return ResNet((3, 8, 36, 3), num_classes, in_channels, bottleneck=True, stride_on=stride_on)


def plain18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """`resnet18` without shortcuts."""
    return resnet18(num_classes, in_channels, shortcut="none")


def plain34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """`resnet34` without shortcuts (fig. 3, middle)."""
    return resnet34(num_classes, in_channels, shortcut="none")


def resnet20(num_classes: int = 10, in_channels: int = 3, shortcut: Shortcut = "padding") -> SmallResNet:
    """20 layers with weights, for pictures of about 32 x 32."""
    return SmallResNet(3, num_classes, in_channels, shortcut=shortcut)


def resnet32(num_classes: int = 10, in_channels: int = 3, shortcut: Shortcut = "padding") -> SmallResNet:
    """32 layers with weights, for pictures of about 32 x 32."""
    return SmallResNet(5, num_classes, in_channels, shortcut=shortcut)


def resnet44(num_classes: int = 10, in_channels: int = 3, shortcut: Shortcut = "padding") -> SmallResNet:
    """44 layers with weights, for pictures of about 32 x 32."""
    return SmallResNet(7, num_classes, in_channels, shortcut=shortcut)


def resnet56(num_classes: int = 10, in_channels: int = 3, shortcut: Shortcut = "padding") -> SmallResNet:
    """56 layers with weights, for pictures of about 32 x 32."""
    return SmallResNet(9, num_classes, in_channels, shortcut=shortcut)


def plain20(num_classes: int = 10, in_channels: int = 3) -> SmallResNet:
    """`resnet20` without shortcuts."""
    return resnet20(num_classes, in_channels, shortcut="none")


def plain32(num_classes: int = 10, in_channels: int = 3) -> SmallResNet:
    """`resnet32` without shortcuts."""
    return resnet32(num_classes, in_channels, shortcut="none")


def plain44(num_classes: int = 10, in_channels: int = 3) -> SmallResNet:
    """`resnet44` without shortcuts."""
    return resnet44(num_classes, in_channels, shortcut="none")


def plain56(num_classes: int = 10, in_channels: int = 3) -> SmallResNet:
    """`resnet56` without shortcuts."""
    return resnet56(num_classes, in_channels, shortcut="none")


def _norm(channels: int, norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm else nn.Identity()


def _downsample(in_channels: int, out_channels: int, stride: int, shortcut: Shortcut, norm: bool) -> nn.Module | None:
    if shortcut not in SHORTCUTS:
        raise ConfigError(f'"{shortcut}" is not a shortcut', "shortcut", did_you_mean(str(shortcut), SHORTCUTS))
    if shortcut == "none" or (stride == 1 and in_channels == out_channels):
        return None
    if shortcut == "padding":
        return PaddedShortcut(in_channels, out_channels, stride)
    conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=not norm)
    return nn.Sequential(conv, _norm(out_channels, norm))


def _initialise_(network: nn.Module) -> None:
    """N(0, 2 / n_out), n_out = k² · channels out: He et al. 2015, arXiv:1502.01852, eq. 14. The rest as in PyTorch."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
