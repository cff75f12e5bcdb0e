"""What the tests of several families of networks need."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn


def listed(outputs: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


@pytest.fixture
def same_as_reference() -> Callable[..., None]:
    """check(ours, theirs, images): same outputs to 1e-5 under their state dict, in both modes, dropout included.

    Norm layers get random weights and statistics first, so that a swapped or missing one shows. Training mode is
    compared in float64: statistics of few pixels enlarge rounding.
    """

    def check(ours: nn.Module, theirs: nn.Module, images: Tensor) -> None:
        torch.manual_seed(3)
        with torch.no_grad():
            for layer in theirs.modules():
                if isinstance(layer, (nn.BatchNorm2d, nn.LayerNorm)):
                    layer.weight.uniform_(0.5, 1.5)
                    layer.bias.normal_(std=0.1)
                if isinstance(layer, nn.BatchNorm2d):
                    layer.running_mean.normal_(std=0.1)
                    layer.running_var.uniform_(0.5, 1.5)
        ours.load_state_dict(theirs.state_dict())
        for training in (False, True):
            answers = []
            precision = torch.float64 if training else torch.float32
            for network in (ours, theirs):
                network.train(training).to(precision)
                torch.manual_seed(4)  # for dropout
                with torch.no_grad():
                    answers.append(listed(network(images.to(precision))))
            assert len(answers[0]) == len(answers[1])
            for mine, reference in zip(*answers, strict=True):
                assert reference.std() > 1e-4, "the outputs must tell something"
                torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5)
        moved = theirs.state_dict()
        for name, value in ours.state_dict().items():  # running statistics
            torch.testing.assert_close(value, moved[name], rtol=1e-5, atol=1e-5)

    return check


@pytest.fixture
def same_start() -> Callable[..., None]:
    """check(ours, theirs): two builders draw the same weights under the same seed."""

    def check(ours: Callable[[], nn.Module], theirs: Callable[[], nn.Module]) -> None:
        states = []
        for build in (ours, theirs):
            torch.manual_seed(5)
            states.append(build().state_dict())
        assert list(states[0]) == list(states[1])
        for name, value in states[0].items():
            assert torch.equal(value, states[1][name]), name

    return check


@pytest.fixture
def count() -> Callable[..., int]:
    """count(builder, ...): parameters of a network that is never allocated."""

    def parameters(build: Callable[..., nn.Module], *arguments: object, **named: object) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in build(*arguments, **named).parameters())

    return parameters


@pytest.fixture(scope="session")
def photos(real_data: Path) -> tuple[Tensor, Tensor]:
    """120 ImageNet photos: the middle 224 x 224 pixels after scaling the short side to 256, (120, 3, 224, 224) in
    0..255, and their class numbers."""
    folder = real_data / "imagenet_samples"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    pixels = []
    for row in rows:
        with Image.open(folder / "images" / row["file"]) as photo:
            scale = 256 / min(photo.size)
            sides = [round(side * scale) for side in photo.size]
            scaled = photo.convert("RGB").resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
        left, top = (sides[0] - 224) // 2, (sides[1] - 224) // 2
        middle = np.array(scaled.crop((left, top, left + 224, top + 224)))
        pixels.append(torch.from_numpy(middle).permute(2, 0, 1).float())
    return torch.stack(pixels), torch.tensor([int(row["class_index"]) for row in rows])


@pytest.fixture
def top1() -> Callable[..., float]:
    """top1(network, images, truth): share of images whose largest logit is right."""

    def share(network: nn.Module, images: Tensor, truth: Tensor) -> float:
        with torch.no_grad():
            logits = torch.cat([network.eval()(part) for part in images.split(20)])
        return (logits.argmax(1) == truth).float().mean().item()

    return share
