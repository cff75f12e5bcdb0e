"""Vision transformer: counts by hand, torchvision's outputs, the size it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision.models as reference
from torch import nn

from orthogon.errors import ConfigError, ShapeError
from orthogon.models.describe import describe
from orthogon.models.vit import VisionTransformer, vit_b_16, vit_small


def by_hand(length: int, d: int, mlp: int, layers: int, patch: int, classes: int) -> int:
    """Patches, token, positions; a layer: 2 norms, q k v and output, two dense layers; last norm, head."""
    layer = 2 * 2 * d + 4 * (d * d + d) + d * mlp + mlp + mlp * d + d
    return (patch * patch * 3 + 1) * d + d + length * d + layers * layer + 2 * d + (d + 1) * classes


def test_the_counts_by_hand(count: Callable[..., int]) -> None:
    """Table 1 of the paper gives 86 million for ViT-Base."""
    assert count(vit_b_16) == by_hand(197, 768, 3072, 12, 16, 1000) == 86_567_656
    assert count(vit_small) == by_hand(65, 192, 768, 6, 8, 10) == 2_721_226


def test_multiply_adds_by_hand() -> None:
    """A layer of T symbols: 4TD² for q, k, v and output, 2T²D for scores and mixing, 2TDM for the MLP."""
    with torch.device("meta"):
        found = describe(vit_small(), torch.zeros(2, 3, 64, 64)).multiply_adds
    T, D, M = 65, 192, 768
    assert found == 64 * 192 * D + 6 * (4 * T * D * D + 2 * T * T * D + 2 * T * D * M) + D * 10


def ours(dropout: float = 0.0) -> VisionTransformer:
    """A small network: vit_b_16 and its reference need a gigabyte."""
    return VisionTransformer(32, 8, 3, 24, 4, 40, num_classes=7, dropout=dropout)


def theirs(dropout: float = 0.0) -> nn.Module:
    return reference.VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=3,
        num_heads=4,
        hidden_dim=24,
        mlp_dim=40,
        num_classes=7,
        dropout=dropout,
    )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_outputs_are_torchvisions(dropout: float, same_as_reference: Callable[..., None]) -> None:
    torch.manual_seed(0)
    network = theirs(dropout)
    nn.init.normal_(network.heads.head.weight)  # torchvision's starts at zero
    nn.init.normal_(network.class_token)
    same_as_reference(ours(dropout), network, torch.randn(3, 3, 32, 32))


def test_first_weights_are_torchvisions_but_for_the_head() -> None:
    states = []
    for build in (ours, theirs):
        torch.manual_seed(5)
        states.append(build().state_dict())
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]) == (name != "heads.head.weight"), name


@pytest.mark.slow
def test_the_base_network_answers_as_torchvisions(same_as_reference: Callable[..., None]) -> None:
    network = reference.vit_b_16(num_classes=7)
    nn.init.normal_(network.heads.head.weight)
    same_as_reference(vit_b_16(num_classes=7), network, torch.randn(1, 3, 224, 224))


def test_patches_are_read_in_rows_and_their_order_matters() -> None:
    torch.manual_seed(0)
    network = vit_small(num_classes=3, image_size=16).eval()
    picture = torch.randn(1, 3, 16, 16)
    swapped = picture.clone()
    swapped[:, :, :8, :8], swapped[:, :, :8, 8:] = picture[:, :, :8, 8:], picture[:, :, :8, :8]
    with torch.no_grad():
        assert not torch.allclose(network(swapped), network(picture))
        positions = network.encoder.pos_embedding
        positions[:, [1, 2]] = positions[:, [2, 1]]  # 0 is the class token
        changed = network(swapped)
        positions[:, [1, 2]] = positions[:, [2, 1]]
        torch.testing.assert_close(changed, network(picture), rtol=1e-4, atol=1e-5)


def test_another_size_is_named() -> None:
    with pytest.raises(ShapeError, match=r"VisionTransformer: .*64 x 72 pixels\nIt takes 64 x 64 and no other"):
        vit_small()(torch.zeros(1, 3, 64, 72))
    with pytest.raises(ShapeError, match="1 channels"):
        vit_small()(torch.zeros(1, 1, 64, 64))
    with pytest.raises(ShapeError, match="four axes"):
        vit_small()(torch.zeros(3, 64, 64))
    with pytest.raises(ConfigError, match=r"image_size is 60, patch_size is 8\npatch_size must divide image_size"):
        vit_small(image_size=60)
    with pytest.raises(ConfigError, match=r"d_model is 10, num_heads is 4\nnum_heads must divide d_model"):
        VisionTransformer(8, 4, 1, 10, 4, 8)
