"""MobileNet v3: counts and torchvision's outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torchvision.models as reference
from torch import nn

from orthogon.models import mobilenet_v3
from orthogon.models.describe import describe


def test_the_counts_are_the_papers(count: Callable[..., int]) -> None:
    """Tables 3 and 4 of the paper give 5.4 and 2.5 million."""
    assert count(mobilenet_v3.mobilenet_v3_large) == 5_483_032
    assert count(mobilenet_v3.mobilenet_v3_small) == 2_542_856


def test_multiply_adds_are_the_papers() -> None:
    """Table 3 of the paper gives 219 and 56 million."""
    with torch.device("meta"):
        images = torch.zeros(1, 3, 224, 224)
        large = describe(mobilenet_v3.mobilenet_v3_large(), images).multiply_adds
        small = describe(mobilenet_v3.mobilenet_v3_small(), images).multiply_adds
    assert large / 1e6 == pytest.approx(219, rel=0.02)
    assert small / 1e6 == pytest.approx(56, rel=0.02)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_outputs_and_first_weights_are_torchvisions(
    name: str, same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    ours, theirs = getattr(mobilenet_v3, name), getattr(reference, name)
    same_start(partial(ours, num_classes=7), partial(theirs, num_classes=7))
    same_as_reference(ours(num_classes=7), theirs(num_classes=7), torch.randn(4, 3, 64, 72))


def test_the_pattern_of_the_large_table() -> None:
    blocks = mobilenet_v3.mobilenet_v3_large(num_classes=2).features[1:-1]
    assert len(blocks) == 15
    assert [i for i, block in enumerate(blocks) if block.skip] == [0, 2, 4, 5, 7, 8, 9, 11, 13, 14]
    kinds = [type(module) for block in blocks for module in block.modules()]
    assert kinds.count(nn.Hardsigmoid) == 8  # one for each squeeze-excitation
