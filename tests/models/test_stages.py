"""The chain of an image network: its stages, its tail, and pixels in front of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orthogon.models import NETWORKS, builder, image_networks
from orthogon.models.image_network import PixelNetwork, stages, tail

QUICK = {"convnet", "lenet5", "squeezenet1_1", "resnet20", "vit_small", "mobilenet_v3_small"}


def made(name: str, num_classes: int) -> nn.Module:
    _, _, named, (channels, _, _) = NETWORKS[name]
    network: nn.Module = builder(name)(**{**named, "num_classes": num_classes, "in_channels": channels})
    return network


@pytest.mark.parametrize("name", image_networks())
def test_stages_hold_every_parameter_once_and_end_with_the_head(name: str) -> None:
    """The head is what changes its shape with the classes; LeNet-5's fixed codes do so instead of its last layer."""
    with torch.device("meta"):
        five, seven = made(name, 5), made(name, 7)
    found = stages(five)
    assert [key for stage in found for key in stage.names] == [key for key, _ in five.named_parameters()]
    grown = dict(seven.named_parameters())
    head = [key for key, p in five.named_parameters() if p.shape != grown[key].shape]
    assert found[-1].names == (head or ["head.0.weight", "head.0.bias"])
    assert len(found) >= 5
    held = {id(p) for stage in found for layer in stage.modules for p in layer.parameters()}
    alone = {key for key, p in five.named_parameters() if id(p) not in held}
    assert alone == ({"class_token", "encoder.pos_embedding"} if name.startswith("vit") else set())


def test_stages_of_known_networks() -> None:
    """ResNet-18: stem, 8 blocks, head. MobileNetV2: first, 17 blocks, last, head. ViT-B: patches, 12 blocks, head."""
    with torch.device("meta"):
        counts = {name: len(stages(made(name, 5))) for name in ("resnet18", "mobilenet_v2", "vit_b_16", "vgg16")}
    assert counts == {"resnet18": 10, "mobilenet_v2": 20, "vit_b_16": 14, "vgg16": 16}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in image_networks()]
)
def test_the_tail_makes_logits_of_features(name: str) -> None:
    torch.manual_seed(0)
    network = made(name, 5).eval()
    side = getattr(network, "image_size", max(32, getattr(network, "min_size", 1)))
    images = torch.randn(2, NETWORKS[name][3][0], side, side)
    last, kept = tail(network), list[Any]()
    last[0].register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        logits = network(images)
        assert torch.equal(last(kept[0]).flatten(1), logits)
    assert {id(p) for p in last.parameters()} == {
        id(dict(network.named_parameters())[n]) for n in stages(network)[-1].names
    }
    named = [type(layer).__name__ for layer in last]
    assert ("Dropout" in named) == (name.startswith(("convnet", "vgg", "google", "squeeze", "efficient", "mobile"))
                                    and name not in ("mobilenet_v1", "convnext_tiny"))  # fmt: skip


def test_pixels_are_normalised_inside() -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    images = torch.tensor([0.0, 100.0, 255.0]).reshape(1, 3, 1, 1)
    out = PixelNetwork(Same(), [50.0, 100.0, 127.5], [50.0, 2.0, 127.5])(images)
    assert out.flatten().tolist() == [-1.0, 0.0, 1.0]
    assert set(PixelNetwork(Same(), [1.0], [1.0]).state_dict()) == {"mean", "std"}  # exported and kept with the weights
