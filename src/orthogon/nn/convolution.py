"""Convolutions as the mobile networks stack them: with their norm and activation, and as inverted residuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["symmetric", "tensorflow"]


class TensorFlowConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "SAME": the output has ceil(n / s) pixels a side.

    Along a side of n pixels, kernel f and stride s, p = max((ceil(n / s) − 1)·s + f − n, 0) zeros are added, ⌊p / 2⌋
    before and the rest after. At stride 1 and odd f that is the symmetric padding; at stride 2 and even n it is not.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / s), ceil(W / s))."""
        pads: list[int] = []
        for axis in (1, 0):  # F.pad takes the last axis first
            n, f, s = input.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-n // s) - 1) * s + f - n, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(input, pads))


class ConvNormActivation(nn.Sequential):
    """Convolution without bias, norm, activation: the children 0, 1 and 2.

    Args:
        kernel_size: odd; at stride 1 the side is kept.
        groups: equal to both channel counts makes the convolution depthwise.
        norm: called with the output channels.
        activation: called with inplace=True, which spares a copy of the map where no gradient is wanted; None leaves
            the output linear.
        padding: "symmetric" adds kernel_size // 2 on both ends; "tensorflow" pads as `TensorFlowConv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        groups: int = 1,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        activation: Callable[..., nn.Module] | None = nn.ReLU,
        padding: Padding = "symmetric",
    ) -> None:
        conv: nn.Conv2d
        if padding == "tensorflow":
            conv = TensorFlowConv2d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False)
        else:
            conv = nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
            )
        super().__init__(conv, norm(out_channels), *([activation(inplace=True)] if activation else []))


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise by 3x3, project linearly by 1x1; a skip joins the two narrow ends.

    The skip exists only where both ends have the same shape: stride 1 and equal channels.

    Args:
        expand_ratio: t, inner channels per input channel; 1 leaves the expansion out.
        stride: of the depthwise convolution.
        padding: see `ConvNormActivation`.
    Source: Sandler et al. 2018, arXiv:1801.04381, table 1 and figure 4d.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand_ratio: int, *, padding: Padding = "symmetric"
    ) -> None:
        super().__init__()
        self.skip = stride == 1 and in_channels == out_channels
        inner = in_channels * expand_ratio
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(ConvNormActivation(in_channels, inner, 1, activation=nn.ReLU6))
        layers += [
            ConvNormActivation(inner, inner, 3, stride, groups=inner, activation=nn.ReLU6, padding=padding),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        return x + self.conv(x) if self.skip else self.conv(x)
