"""MobileNet v1 and v2: counts, what depthwise saves, torchvision's outputs, published weights on real photos."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import load_file
from torch import Tensor, nn

from orthogon.models.describe import describe
from orthogon.models.mobilenet_v1 import DepthwiseSeparable, mobilenet_v1
from orthogon.models.mobilenet_v2 import mobilenet_v2
from orthogon.nn.convolution import InvertedResidual


@pytest.mark.system("arch.mobilenet1")
def test_v1_by_hand() -> None:
    """A separable convolution n -> n' holds 9n + n·n' weights and two norms of 2n and 2n'."""
    network = mobilenet_v1()
    channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    separable = sum(9 * n + n * m + 2 * n + 2 * m for n, m in pairwise(channels))
    assert sum(p.numel() for p in network.parameters()) == 27 * 32 + 64 + separable + 1024 * 1000 + 1000 == 4_231_976
    blocks = [layer for layer in network.features if isinstance(layer, DepthwiseSeparable)]
    assert len(blocks) == 13
    description = describe(network, torch.zeros(1, 3, 224, 224))
    assert description.num_layers == 28  # section 3.2 of the paper
    # table 1: the side of the map after each convolution, and with it the arithmetic, "569 million" in table 4
    sides = [112, 112, 56, 56, 28, 28, 14, 14, 14, 14, 14, 14, 7, 7]
    assert [layer.shape[1] for layer in description.layers if layer.kind == "Conv2d"][::2] == sides
    products = 27 * 32 * 112**2 + 1024 * 1000
    products += sum((9 * n + n * m) * side**2 for (n, m), side in zip(pairwise(channels), sides[1:], strict=True))
    assert description.multiply_adds == products
    assert round(products / 1e6) == 569
    kinds = [type(layer).__name__ for layer in blocks[0].modules() if not list(layer.children())]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU"] * 2


def test_separable_saves_what_the_item_says() -> None:
    """W.depthwise: 6 x 6 x 3 -> 4 x 4 x 5 takes 2160 products, or 432 + 240; for 512 outputs 1/512 + 1/9."""
    images = torch.zeros(1, 3, 6, 6)
    split = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 5, 1))
    assert describe(nn.Conv2d(3, 5, 3), images).multiply_adds == 2160
    assert [layer.multiply_adds for layer in describe(split, images).layers] == [432, 240]
    images = torch.zeros(1, 512, 7, 7)
    separable = describe(DepthwiseSeparable(512, 512), images).multiply_adds
    assert separable / describe(nn.Conv2d(512, 512, 3, padding=1), images).multiply_adds == 1 / 512 + 1 / 9


@pytest.mark.system("arch.mobilenet2")
def test_v2_count_blocks_and_skips() -> None:
    network = mobilenet_v2()
    assert sum(p.numel() for p in network.parameters()) == 3_504_872
    blocks = [layer for layer in network.features if isinstance(layer, InvertedResidual)]
    assert len(blocks) == 17
    assert sum(block.skip for block in blocks) == 10
    # the skip is there or not there by what the block does: with a silent inside, only a skip lets anything through
    channels = 32
    for block in blocks:
        x = torch.rand(1, channels, 8, 8)
        with torch.no_grad():
            block.conv[-1].weight.zero_()
            y = block.eval()(x)
        assert torch.equal(y, x) if block.skip else not y.any()
        assert block.skip == (y.shape == x.shape)
        channels = y.shape[1]


@pytest.mark.system("arch.mobilenet2")
def test_the_slide_example() -> None:
    """n x n x 3 -> 18 -> 18 -> 3: the two ends are narrow and the middle is wide."""
    block = InvertedResidual(3, 3, 1, 6)
    shapes = [layer.shape for layer in describe(block, torch.zeros(1, 3, 10, 10)).layers if layer.kind == "Conv2d"]
    assert shapes == [(18, 10, 10), (18, 10, 10), (3, 10, 10)]
    assert block.skip


def test_v2_outputs_and_first_weights_are_torchvisions(
    same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    same_start(mobilenet_v2, torchvision.models.mobilenet_v2)
    ours, theirs = mobilenet_v2(num_classes=7), torchvision.models.mobilenet_v2(num_classes=7)
    same_as_reference(ours, theirs, torch.randn(4, 3, 64, 72))


@pytest.mark.slow
def test_published_weights_know_real_photos(
    real_data: Path, photos: tuple[Tensor, Tensor], top1: Callable[..., float]
) -> None:
    """77.5 % were measured outside of PyTorch; with padding on both sides some of them are lost."""
    weights = load_file(real_data / "pretrained" / "mobilenet_v2_imagenet.safetensors")
    pixels, truth = photos
    reached = {}
    for padding in ("tensorflow", "symmetric"):
        network = mobilenet_v2(num_classes=1001, padding=padding)
        network.load_state_dict(weights)
        reached[padding] = top1(network, pixels / 127.5 - 1, truth + 1)  # class 0 is the background
    assert reached["tensorflow"] == pytest.approx(0.775, abs=0.015)
    assert reached["symmetric"] < reached["tensorflow"] - 0.02
