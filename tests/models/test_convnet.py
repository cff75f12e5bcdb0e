"""The small residual ConvNet: parameters by hand, shapes, gradients, its own normalisation."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from orthogon.models.convnet import ConvNet, ResidualBlock


def test_parameters_worked_by_hand() -> None:
    """Grey input, 10 classes, width 32, one block a stage, three stages; a batch norm of C channels has 2C.

    stem 9·1·32 + 64 = 352; stage 1: 2(9·32·32 + 64) = 18,560;
    stage 2: 9·32·64 + 128 + 9·64·64 + 128 + shortcut 32·64 + 128 = 57,728;
    stage 3: 9·64·128 + 256 + 9·128·128 + 256 + shortcut 64·128 + 256 = 230,144; head 128·10 + 10 = 1,290.
    """
    net = ConvNet(1, 10, width=32, depth=1, stages=3)
    assert sum(p.numel() for p in net.parameters()) == 352 + 18_560 + 57_728 + 230_144 + 1_290 == 308_074


def test_depth_adds_plain_blocks() -> None:
    one = sum(p.numel() for p in ConvNet(3, 2, width=8, depth=1, stages=1).parameters())
    two = sum(p.numel() for p in ConvNet(3, 2, width=8, depth=2, stages=1).parameters())
    assert two - one == 2 * (9 * 8 * 8 + 2 * 8)


@pytest.mark.parametrize(("side", "stages", "stem_stride"), [(8, 3, 1), (9, 3, 1), (28, 3, 2), (64, 4, 2), (1, 3, 1)])
def test_any_side_gives_one_logit_a_class(side: int, stages: int, stem_stride: int) -> None:
    net = ConvNet(3, 5, width=4, stages=stages, stem_stride=stem_stride, mean=[100.0] * 3, std=[50.0] * 3).eval()
    images = torch.rand(2, 3, side, side) * 255
    assert net(images).shape == (2, 5)
    assert net.features(images).shape == (2, 4 * 2 ** (stages - 1))


def test_a_block_halves_the_side_rounding_up() -> None:
    assert ResidualBlock(4, 8, stride=2)(torch.randn(2, 4, 7, 6)).shape == (2, 8, 4, 3)
    assert isinstance(ResidualBlock(4, 4).shortcut, torch.nn.Identity)


def test_pixels_are_normalised_inside() -> None:
    torch.manual_seed(0)
    plain = ConvNet(1, 3, width=4, stages=2, mean=[0.0], std=[1.0]).eval()
    own = ConvNet(1, 3, width=4, stages=2, mean=[80.0], std=[40.0]).eval()
    own.load_state_dict({**plain.state_dict(), "mean": own.mean, "std": own.std})
    images = torch.rand(2, 1, 8, 8) * 255
    assert torch.allclose(own(images), plain((images - 80) / 40), atol=1e-6)


def test_the_first_loss_is_a_fair_guess() -> None:
    torch.manual_seed(0)
    net = ConvNet(1, 10)
    images, truth = torch.rand(64, 1, 8, 8) * 255, torch.arange(64) % 10
    assert F.cross_entropy(net(images), truth).item() == pytest.approx(math.log(10), rel=0.05)


def test_gradient_reaches_each_parameter_and_one_batch_is_learned() -> None:
    torch.manual_seed(0)
    net = ConvNet(1, 4, width=8, stages=2)
    images, truth = torch.rand(16, 1, 8, 8) * 255, torch.arange(16) % 4
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(40):
        loss = F.cross_entropy(net(images), truth)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters())
        optimiser.step()
    assert loss.item() < 0.05


def test_answers_do_not_depend_on_the_rest_of_the_batch() -> None:
    net = ConvNet(1, 3, width=4, stages=2).eval()
    images = torch.rand(5, 1, 8, 8) * 255
    assert torch.allclose(net(images)[2], net(images[2:3])[0], atol=1e-6)
