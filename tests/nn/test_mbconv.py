"""MBConv and its squeeze-excitation, by hand and against torchvision."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.ops.misc import SqueezeExcitation as Reference

from orthogon.nn.mbconv import MBConv, SqueezeExcitation, multiple_of_8


def test_squeeze_excitation_by_hand() -> None:
    """Two channels with means 1 and 3; W1 = (1, -1), W2 = (2, 0): δ(1 - 3) = 0, so both gates are sigmoid(b)."""
    block = SqueezeExcitation(2, 1)
    with torch.no_grad():
        block.fc1.weight.copy_(torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1))
        block.fc1.bias.zero_()
        block.fc2.weight.copy_(torch.tensor([2.0, 0.0]).reshape(2, 1, 1, 1))
        block.fc2.bias.copy_(torch.tensor([0.0, 1.0]))
    x = torch.tensor([[[[0.0, 2.0]], [[3.0, 3.0]]]])  # (1, 2, 1, 2)
    gates = torch.sigmoid(torch.tensor([0.0, 1.0])).reshape(1, 2, 1, 1)
    torch.testing.assert_close(block(x), x * gates)
    y = x.flip(1)  # means 3 and 1: hidden 2, gates sigmoid(4) and sigmoid(1)
    torch.testing.assert_close(block(y), y * torch.sigmoid(torch.tensor([4.0, 1.0])).reshape(1, 2, 1, 1))


@pytest.mark.parametrize("gate", [nn.Sigmoid, nn.Hardsigmoid])
def test_squeeze_excitation_is_torchvisions(gate: type[nn.Module]) -> None:
    torch.manual_seed(0)
    theirs = Reference(6, 3, activation=nn.SiLU, scale_activation=gate)
    ours = SqueezeExcitation(6, 3, activation=nn.SiLU, gate=gate)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-6)


def test_gradients_are_the_numeric_ones() -> None:
    torch.manual_seed(0)
    block = MBConv(2, 4, 2, 3, 1, nn.SiLU, excitation=SqueezeExcitation(4, 2, nn.SiLU)).double().eval()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "skip"), [(4, 4, 1, True), (4, 4, 2, False), (4, 6, 1, False)]
)
def test_the_input_is_added_only_where_shapes_agree(
    in_channels: int, out_channels: int, stride: int, skip: bool
) -> None:
    block = MBConv(in_channels, 8, out_channels, 5, stride, nn.ReLU).eval()
    x = torch.randn(2, in_channels, 7, 6)
    assert block.skip == skip
    assert block(x).shape == (2, out_channels, -(-7 // stride), -(-6 // stride))
    nn.init.zeros_(block.block[-1][0].weight)
    torch.testing.assert_close(block(x), x if skip else torch.zeros_like(block(x)))


def test_no_expansion_where_widths_agree() -> None:
    assert len(MBConv(4, 4, 4, 3, 1, nn.ReLU).block) == 2
    assert len(MBConv(4, 8, 4, 3, 1, nn.ReLU).block) == 3
    assert len(MBConv(4, 8, 4, 3, 1, nn.ReLU, excitation=SqueezeExcitation(8, 2)).block) == 4


def test_multiples_of_8() -> None:
    assert [multiple_of_8(c) for c in (3, 8, 11, 12, 18, 35.2, 44, 88, 123.2, 352)] == [
        *(8, 8, 16, 16, 24, 32, 48, 88, 120, 352)
    ]  # 11 -> 8 and 18 -> 16 would lose more than a tenth
