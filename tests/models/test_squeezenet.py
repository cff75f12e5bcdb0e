"""SqueezeNet: counts, torchvision's outputs, and published weights on real photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import load_file
from torch import Tensor

from orthogon.models import squeezenet

NAMES = {"squeezenet1_0": 1_248_424, "squeezenet1_1": 1_235_496}


@pytest.mark.parametrize("name", NAMES)
def test_counts_and_outputs_are_torchvisions(
    name: str, same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    build, reference = getattr(squeezenet, name), getattr(torchvision.models, name)
    assert sum(p.numel() for p in build().parameters()) == NAMES[name]
    same_start(build, reference)
    same_as_reference(build(), reference(), torch.randn(2, 3, 64, 72))


@pytest.mark.slow
def test_published_weights_know_real_photos(
    real_data: Path, photos: tuple[Tensor, Tensor], top1: Callable[..., float]
) -> None:
    """54.2 % were measured outside of PyTorch."""
    network = squeezenet.squeezenet1_0()
    network.load_state_dict(load_file(real_data / "pretrained" / "squeezenet1_0_imagenet.safetensors"))
    pixels, truth = photos
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 1, 3, 1, 1)
    assert top1(network, (pixels / 255 - mean) / std, truth) == pytest.approx(0.542, abs=0.015)
