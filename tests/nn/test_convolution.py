"""Convolutions of the mobile networks: TensorFlow's padding by hand, norm and activation, the inverted residual."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from orthogon.nn.convolution import ConvNormActivation, InvertedResidual, TensorFlowConv2d


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "before", "after"),
    [
        (224, 3, 2, 0, 1),  # 112 windows need 225 pixels
        (225, 3, 2, 1, 1),  # 113 windows need 227
        (7, 3, 1, 1, 1),
        (8, 5, 2, 1, 2),  # 4 windows need 11
        (6, 2, 2, 0, 0),
        (5, 1, 2, 0, 0),  # 3 windows reach the last pixel
        (4, 1, 2, 0, 0),  # 2 windows need 3 pixels, one fewer than there are
    ],
)
def test_tensorflow_padding_by_hand(side: int, kernel: int, stride: int, before: int, after: int) -> None:
    torch.manual_seed(0)
    layer, x = TensorFlowConv2d(2, 3, kernel, stride), torch.randn(1, 2, side, 9)
    y = layer(x)
    assert y.shape[2:] == (-(-side // stride), -(-9 // stride))
    # zeros by hand along the height, along the width only what 9 pixels need
    width = max((-(-9 // stride) - 1) * stride + kernel - 9, 0)
    padded = F.pad(x, (width // 2, width - width // 2, before, after))
    torch.testing.assert_close(y, F.conv2d(padded, layer.weight, layer.bias, stride))


def test_paddings_agree_at_stride_1_and_differ_at_stride_2() -> None:
    torch.manual_seed(0)
    for stride, same in ((1, True), (2, False)):
        one = ConvNormActivation(3, 4, 3, stride).eval()
        other = ConvNormActivation(3, 4, 3, stride, padding="tensorflow").eval()
        other.load_state_dict(one.state_dict())
        x = torch.randn(1, 3, 8, 8)
        assert torch.allclose(one(x), other(x), atol=1e-6) is same


def test_conv_norm_activation_is_these_three() -> None:
    torch.manual_seed(0)
    block, x = ConvNormActivation(4, 8, 5, 2, groups=2, activation=nn.ReLU6), 9 * torch.randn(2, 4, 9, 9)
    conv = F.conv2d(x, block[0].weight, None, 2, 2, groups=2)
    expected = F.batch_norm(conv, None, None, training=True).clamp(0, 6)
    torch.testing.assert_close(block(x), expected)
    linear = ConvNormActivation(4, 8, activation=None)
    assert [type(part) for part in linear] == [nn.Conv2d, nn.BatchNorm2d]
    assert linear(x).min() < 0


@pytest.mark.parametrize(
    ("channels", "stride", "skip"), [((4, 4), 1, True), ((4, 4), 2, False), ((4, 6), 1, False), ((4, 6), 2, False)]
)
def test_the_skip_needs_stride_1_and_equal_channels(channels: tuple[int, int], stride: int, skip: bool) -> None:
    torch.manual_seed(0)
    block, x = InvertedResidual(*channels, stride, 3).eval(), torch.randn(1, 4, 8, 8)
    inside = block.conv(x)
    assert block.skip is skip
    assert torch.equal(block(x), x + inside if skip else inside)


def test_no_expansion_at_ratio_1() -> None:
    assert len(InvertedResidual(4, 4, 1, 1).conv) == 3
    assert len(InvertedResidual(4, 4, 1, 6).conv) == 4
