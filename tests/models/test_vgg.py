"""VGG: the paper's counts, torchvision's names and outputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision.models

from orthogon.models import vgg
from orthogon.models.describe import describe

COUNTS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}


@pytest.mark.system("arch.vgg16")
def test_vgg16_by_hand(count: Callable[..., int]) -> None:
    assert count(vgg.vgg16) == 138_357_544
    with torch.device("meta"):
        network = vgg.vgg16()
        description = describe(network, torch.zeros(1, 3, 224, 224))
    assert sum(p.numel() for p in network.features.parameters()) == 14_714_688
    assert description.num_layers == 16
    convolutions = [layer.shape[0] for layer in description.layers if layer.kind == "Conv2d"]
    assert convolutions == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    pools = [layer.shape[1] for layer in description.layers if layer.kind == "MaxPool2d"]
    assert pools == [112, 56, 28, 14, 7]


@pytest.mark.parametrize("name", COUNTS)
def test_names_shapes_and_counts_are_torchvisions(name: str, count: Callable[..., int]) -> None:
    assert count(getattr(vgg, name)) == COUNTS[name]
    with torch.device("meta"):
        ours, theirs = getattr(vgg, name)(), getattr(torchvision.models, name)()
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", COUNTS)
def test_convolutions_give_torchvisions_maps(name: str, same_as_reference: Callable[..., None]) -> None:
    """The dense layers, nine tenths of the weights, are never allocated."""
    parts = []
    for home in (vgg, torchvision.models):
        with torch.device("meta"):
            parts.append(getattr(home, name)().features.to_empty(device="cpu"))
    with torch.no_grad():
        for p in parts[1].parameters():
            p.normal_(std=0.1 if p.ndim == 1 else (2 / p[0].numel()) ** 0.5)
    same_as_reference(*parts, torch.randn(1, 3, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn"])
def test_outputs_are_torchvisions(name: str, same_as_reference: Callable[..., None]) -> None:
    ours, theirs = getattr(vgg, name)(num_classes=7), getattr(torchvision.models, name)(num_classes=7)
    same_as_reference(ours, theirs, torch.randn(2, 3, 64, 48))


@pytest.mark.slow
def test_first_weights_are_torchvisions(same_start: Callable[..., None]) -> None:
    same_start(vgg.vgg11_bn, lambda: torchvision.models.vgg11_bn())
