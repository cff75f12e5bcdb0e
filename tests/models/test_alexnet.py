"""AlexNet: both counts of the paper's form, two halves joined, torchvision's form."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from orthogon.models.alexnet import ResponseNorm, alexnet, alexnet_owt
from orthogon.models.describe import describe


@pytest.mark.system("arch.alexnet")
def test_counts_and_maps_of_the_paper(count: Callable[..., int]) -> None:
    assert count(alexnet) == 62_378_344
    assert count(alexnet, groups=2) == 60_965_224
    assert count(alexnet_owt) == 61_100_840
    with torch.device("meta"):
        description = describe(alexnet(), torch.zeros(1, 3, 227, 227))
    convolutions = [layer.shape for layer in description.layers if layer.kind == "Conv2d"]
    assert convolutions == [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]
    pools = [layer.shape for layer in description.layers if layer.kind == "MaxPool2d"]
    assert pools == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]
    assert [layer.shape for layer in description.layers if layer.kind == "Linear"] == [(4096,), (4096,), (1000,)]
    assert (224 - 11) / 4 + 1 == 54.25  # why 227


@pytest.mark.system("arch.alexnet")
@pytest.mark.parametrize("groups", [1, 2])
def test_layers_in_the_order_of_the_paper(groups: Literal[1, 2]) -> None:
    """Section 3.5: norm after the first two convolutions, pools after the norms and the fifth; 4.2: dropout of half."""
    with torch.device("meta"):
        network = alexnet(groups=groups)
    short = {"Conv2d": "conv", "ResponseNorm": "norm", "MaxPool2d": "pool", "Linear": "dense", "Dropout": "drop"}
    kinds = [
        [short.get(type(layer).__name__, "relu") for layer in part] for part in (network.features, network.classifier)
    ]
    assert " ".join(kinds[0]) == "conv relu norm pool conv relu norm pool conv relu conv relu conv relu pool"
    assert " ".join(kinds[1]) == "drop dense relu drop dense relu dense"
    layers = [*network.features, *network.classifier]
    assert {type(layer) for layer, kind in zip(layers, chain(*kinds), strict=True) if kind == "relu"} == {nn.ReLU}
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.groups for layer in convolutions] == [1, groups, 1, groups, groups]
    assert [layer.stride[0] for layer in convolutions] == [4, 1, 1, 1, 1]
    assert {(layer.kernel_size, layer.stride) for layer in layers if isinstance(layer, nn.MaxPool2d)} == {(3, 2)}
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def features(groups: int) -> nn.Sequential:
    """The convolutions alone, with weights large enough to see a difference; the dense layers are never allocated."""
    with torch.device("meta"):
        layers = alexnet(groups=groups).features.to_empty(device="cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for p in layers.parameters():
            p.normal_(std=1.0 if p.ndim == 1 else p[0].numel() ** -0.5)
    return layers


@pytest.mark.system("arch.alexnet-2gpu")
def test_two_halves_joined_equal_the_grouped_network() -> None:
    """Each device holds half of every layer's maps; they exchange maps only before the third convolution."""
    grouped, images = features(2), torch.randn(2, 3, 99, 99)

    def half(x: Tensor, layers: nn.Sequential, device: int) -> Tensor:
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                weight, bias = layer.weight.chunk(2)[device], layer.bias.chunk(2)[device]
                x = F.conv2d(x, weight, bias, layer.stride, layer.padding)
            elif isinstance(layer, ResponseNorm):
                x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)
            else:
                x = layer(x)
        return x

    third = next(i for i, layer in enumerate(grouped) if isinstance(layer, nn.Conv2d) and layer.in_channels == 256)
    before, exchange, after = grouped[:third], grouped[third : third + 1], grouped[third + 1 :]
    joined = torch.cat([half(images, before, device) for device in (0, 1)], 1)
    middle = [half(joined, exchange, device) for device in (0, 1)]
    outputs = torch.cat([half(x, after, device) for device, x in enumerate(middle)], 1)
    assert outputs.std() > 0.01
    torch.testing.assert_close(outputs, grouped(images), rtol=1e-4, atol=1e-5)


@pytest.mark.system("arch.alexnet-2gpu")
def test_in_one_piece_all_maps_meet() -> None:
    """The second convolution of the ungrouped network sees all 96 maps, of the grouped one 48."""
    for groups, seen in ((1, 96), (2, 48)):
        layers = features(groups)
        assert [layer.weight.shape[1] for layer in layers if isinstance(layer, nn.Conv2d)][1] == seen


def test_response_norm_by_hand() -> None:
    """One pixel, eight maps: each is divided by (2 + 1e-4 · the squares of itself and two maps on each side)^0.75."""
    a = torch.arange(1.0, 9.0).reshape(1, 8, 1, 1) * 10
    squares = a.flatten() ** 2
    for groups, size in ((1, 8), (2, 4)):
        expected = []
        for i in range(8):
            half = range(i // size * size, (i // size + 1) * size)
            near = sum(squares[j] for j in half if abs(i - j) <= 2)
            expected.append(a.flatten()[i] / (2 + 1e-4 * near) ** 0.75)
        torch.testing.assert_close(ResponseNorm(groups)(a).flatten(), torch.stack(expected))


@pytest.mark.slow
def test_first_weights_are_the_papers() -> None:
    network = alexnet(num_classes=10)
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert [layer.bias.unique().tolist() for layer in layers] == [[0], [1], [0], [1], [1], [1], [1], [0]]
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_owt_has_torchvisions_names_and_shapes() -> None:
    with torch.device("meta"):
        networks = (alexnet_owt(), torchvision.models.alexnet())
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_owt_outputs_and_first_weights_are_torchvisions(
    same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    same_start(alexnet_owt, torchvision.models.alexnet)
    ours, theirs = alexnet_owt(num_classes=7), torchvision.models.alexnet(num_classes=7)
    same_as_reference(ours, theirs, torch.randn(2, 3, 96, 80))
