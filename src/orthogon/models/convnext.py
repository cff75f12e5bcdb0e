"""ConvNeXt tiny: a ResNet made modern step by step, with the plan and training of a transformer.

Paper: Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545, section 2 and table 9 (ConvNeXt-T).
Parameters: 28,589,128 with 1000 classes.
Weights accepted: torchvision's convnext_tiny.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.stochastic_depth import StochasticDepth

EPSILON = 1e-6  # of every layer norm


class Permute(nn.Module):
    """Axes in another order."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """x + γ · F(x), F = depthwise 7x7, layer norm, dense to four times the width, GELU, dense back (fig. 4, right).

    Args:
        channels: C.
        drop: share of the examples that lose the branch in training.
        layer_scale: γ at the start, one number a channel.
    """

    def __init__(self, channels: int, drop: float, layer_scale: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=EPSILON),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        z = self.stochastic_depth(self.layer_scale * self.block(x))
        z += x
        return z


class ConvNeXt(ImageNetwork):
    """Patches of 4 x 4, four stages that halve the map in between, global average pool, layer norm, dense layer.

    Args:
        depths: blocks of each stage.
        widths: channels of each stage.
        num_classes: K.
        in_channels: C of the pictures.
        drop_branch: share of the examples that lose the last block's branch; it rises to there from 0.
        layer_scale: see Block.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        drop_branch: float = 0.1,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__(num_classes, in_channels, min_size=32)  # 4 · 2 · 2 · 2 pixels become one
        parts: list[nn.Module] = [nn.Sequential(nn.Conv2d(in_channels, widths[0], 4, 4), ChannelNorm(widths[0]))]
        drops = iter(torch.linspace(0, drop_branch, sum(depths), dtype=torch.float64, device="cpu").tolist())
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            if i > 0:
                halved = nn.Conv2d(widths[i - 1], width, 2, 2)
                parts.append(nn.Sequential(ChannelNorm(widths[i - 1]), halved))
            parts.append(nn.Sequential(*(Block(width, next(drops), layer_scale) for _ in range(depth))))
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(ChannelNorm(widths[-1]), nn.Flatten(1), nn.Linear(widths[-1], num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.classifier(self.avgpool(self.features(images)))


def convnext_tiny(
    num_classes: int = 1000, in_channels: int = 3, drop_branch: float = 0.1, layer_scale: float = 1e-6
) -> ConvNeXt:
    """ConvNeXt-T: 3, 3, 9 and 3 blocks of 96, 192, 384 and 768 channels."""
    return ConvNeXt(
        (3, 3, 9, 3), (96, 192, 384, 768), num_classes, in_channels, drop_branch=drop_branch, layer_scale=layer_scale
    )
