"""EfficientNet: counts, the scaling rule, torchvision's outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torchvision.models as reference

from orthogon.models import efficientnet
from orthogon.models.describe import describe
from orthogon.models.efficientnet import EfficientNet
from orthogon.nn.stochastic_depth import StochasticDepth


def test_the_counts_are_the_papers(count: Callable[..., int]) -> None:
    """Table 2 of the paper gives 5.3, 7.8 and 9.2 million."""
    assert count(efficientnet.efficientnet_b0) == 5_288_548
    assert count(efficientnet.efficientnet_b1) == 7_794_184
    assert count(efficientnet.efficientnet_b2) == 9_109_994


def test_multiply_adds_are_the_papers() -> None:
    """Table 2 of the paper gives 0.39 billion for B0 at 224 x 224."""
    with torch.device("meta"):
        description = describe(efficientnet.efficientnet_b0(), torch.zeros(1, 3, 224, 224))
    assert description.multiply_adds / 1e9 == pytest.approx(0.39, abs=0.005)


def test_blocks_and_channels_scale_as_the_rule_says() -> None:
    """B2: 1.2 times the blocks, rounded up; 1.1 times the channels, to the nearest 8."""
    stages = efficientnet.efficientnet_b2(num_classes=2).features
    assert [len(stage) for stage in stages[1:-1]] == [2, 3, 3, 4, 4, 5, 2]
    widths = [stage[-1].block[-1][0].out_channels for stage in stages[1:-1]]
    assert widths == [16, 24, 48, 88, 120, 208, 352]


def test_branches_are_dropped_more_often_the_deeper_they_are() -> None:
    drops = [m.p for m in efficientnet.efficientnet_b0().modules() if isinstance(m, StochasticDepth)]
    assert drops == pytest.approx([0.2 * i / 16 for i in range(16)])


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_b0",
        pytest.param("efficientnet_b1", marks=pytest.mark.slow),
        pytest.param("efficientnet_b2", marks=pytest.mark.slow),
    ],
)
def test_outputs_and_first_weights_are_torchvisions(
    name: str, same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    ours: Callable[..., EfficientNet] = getattr(efficientnet, name)
    theirs = getattr(reference, name)
    same_start(partial(ours, num_classes=7), partial(theirs, num_classes=7))
    same_as_reference(ours(num_classes=7), theirs(num_classes=7), torch.randn(4, 3, 64, 72))
