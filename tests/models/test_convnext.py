"""ConvNeXt: counts by hand, torchvision's outputs, sizes it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision.models as reference
from torch import nn
from torchvision.models.convnext import CNBlockConfig

from orthogon.errors import ShapeError
from orthogon.models.convnext import Block, ConvNeXt, convnext_tiny
from orthogon.models.describe import describe


def test_the_count_by_hand(count: Callable[..., int]) -> None:
    """The paper's table 1 gives 29 million.

    A block of C channels: 49C + C depthwise, 2C norm, 4C² + 4C and 4C² + C dense, C scale = 8C² + 58C.
    """
    depths, widths = (3, 3, 9, 3), (96, 192, 384, 768)
    blocks = sum(n * (8 * c * c + 58 * c) for n, c in zip(depths, widths, strict=True))
    stem = 48 * 96 + 96 + 2 * 96
    halvings = sum(2 * c + 4 * c * 2 * c + 2 * c for c in widths[:-1])
    head = 2 * 768 + 768 * 1000 + 1000
    assert count(convnext_tiny) == stem + blocks + halvings + head == 28_589_128


def test_multiply_adds_are_the_papers() -> None:
    """Table 1 of the paper gives 4.5 billion at 224 x 224."""
    with torch.device("meta"):
        description = describe(convnext_tiny(), torch.zeros(1, 3, 224, 224))
    assert description.multiply_adds / 1e9 == pytest.approx(4.5, abs=0.05)


def small() -> ConvNeXt:
    return ConvNeXt((2, 1, 2, 1), (8, 12, 16, 24), num_classes=7, drop_branch=0.3)


def small_reference() -> nn.Module:
    plan = [CNBlockConfig(8, 12, 2), CNBlockConfig(12, 16, 1), CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 1)]
    return reference.ConvNeXt(plan, stochastic_depth_prob=0.3, num_classes=7)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(small, small_reference, id="small"),
        pytest.param(convnext_tiny, reference.convnext_tiny, id="tiny", marks=pytest.mark.slow),
    ],
)
def test_outputs_and_first_weights_are_torchvisions(
    ours: Callable[[], nn.Module],
    theirs: Callable[[], nn.Module],
    same_as_reference: Callable[..., None],
    same_start: Callable[..., None],
) -> None:
    same_start(ours, theirs)
    network = theirs()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("layer_scale"):
                parameter.uniform_(0.1, 0.5)  # at 1e-6 a wrong branch would not show
    same_as_reference(ours(), network, torch.randn(3, 3, 64, 72))


def test_a_block_starts_close_to_the_identity() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(Block(8, 0.0, 0.0)(x), x)
    near = Block(8, 0.0, 1e-6)(x)
    assert 0 < (near - x).abs().max() < 1e-4


def test_too_small_a_picture_is_named() -> None:
    network = ConvNeXt((1, 1, 1, 1), (2, 2, 2, 2), 3)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    with pytest.raises(ShapeError, match=r"ConvNeXt: .*31 x 40 pixels are too small\n.*from 32 pixels"):
        network(torch.zeros(1, 3, 31, 40))
