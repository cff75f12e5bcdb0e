"""MBConv, the block of MobileNet v3 and EfficientNet: an inverted residual whose channels are weighed in the middle.

Legend: B pictures, C channels.
Sources: Tan et al. 2018, "MnasNet", arXiv:1807.11626, fig. 7 (the block); Hu et al. 2017, "Squeeze-and-Excitation
Networks", arXiv:1709.01507, eq. 2 to 4.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from orthogon.nn.convolution import ConvNormActivation
from orthogon.nn.stochastic_depth import StochasticDepth

Activation = Callable[..., nn.Module]
Norm = Callable[[int], nn.Module]


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8, raised by 8 where rounding down would lose more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class SqueezeExcitation(nn.Module):
    """x · s(W2 δ(W1 z)), z = mean of each channel over the picture: a channel is weighted by what all of them hold.

    Args:
        channels: C.
        squeezed: hidden units between the two layers.
        activation: δ.
        gate: s, to 0..1.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Activation = nn.ReLU, gate: Activation = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)  # 1x1 convolutions of a 1x1 map: dense layers
        self.activation = activation(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * self.gate(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


class MBConv(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-excitation if any, linear 1x1 projection.

    The input is added where the shapes allow it: at stride 1 with as many channels out as in.

    Args:
        in_channels, expanded, out_channels: widths before, inside and after; no expansion where the first two agree.
        kernel: side of the depthwise window.
        stride: of the depthwise convolution.
        activation: after the expansion and the depthwise convolution.
        norm: channels -> normalisation.
        excitation: the squeeze-excitation of the expanded channels; None leaves it out.
        drop: share of the examples that lose this block's branch in training.
    """

    def __init__(
        self,
        in_channels: int,
        expanded: int,
        out_channels: int,
        kernel: int,
        stride: int,
        activation: Activation,
        norm: Norm = nn.BatchNorm2d,
        excitation: SqueezeExcitation | None = None,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        if expanded != in_channels:
            parts.append(ConvNormActivation(in_channels, expanded, 1, norm=norm, activation=activation))
        parts.append(
            ConvNormActivation(expanded, expanded, kernel, stride, groups=expanded, norm=norm, activation=activation)
        )
        if excitation is not None:
            parts.append(excitation)
        parts.append(ConvNormActivation(expanded, out_channels, 1, norm=norm, activation=None))
        self.block = nn.Sequential(*parts)
        self.skip = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        if not self.skip:
            return self.block(x)
        z = self.stochastic_depth(self.block(x))
        z += x
        return z
