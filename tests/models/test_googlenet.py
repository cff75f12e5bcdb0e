"""GoogLeNet: the paper's counts, the module by hand, side heads, torchvision's form, what a bottleneck saves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn

from orthogon.models.describe import describe
from orthogon.models.googlenet import GoogLeNetOutputs, Inception, googlenet, googlenet_bn, side_head_loss


@pytest.mark.system("arch.googlenet")
def test_counts_and_maps_of_the_paper(count: Callable[..., int]) -> None:
    assert count(googlenet, side_heads=False) == 6_998_552
    assert count(googlenet_bn, side_heads=False) == 6_624_904
    network = googlenet(side_heads=False)
    modules = {name: module for name, module in network.named_modules() if isinstance(module, Inception)}
    assert len(modules) == 9
    shapes = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _, __, y, name=name: shapes.update({name: tuple(y.shape[1:])}))
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert list(shapes.values()) == [
        (256, 28, 28),
        (480, 28, 28),
        *[(512, 14, 14)] * 3,
        (528, 14, 14),
        (832, 14, 14),
        (832, 7, 7),
        (1024, 7, 7),
    ]
    kernels = {module.branch3[1].conv.kernel_size for module in modules.values()}
    assert kernels == {(5, 5)}
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert network.conv1.conv.bias is not None
    norms = [name for name, layer in network.named_modules() if isinstance(layer, nn.LocalResponseNorm)]
    assert norms == ["norm1", "norm2"]  # figure 3: after the first pool and before the second


@pytest.mark.system("arch.inception-mod")
def test_module_3a_by_hand() -> None:
    """W.inception: (n_in · f² + 1) · n_out of the six convolutions."""
    module = Inception(192, 64, 96, 128, 16, 32, 32)
    branches = [
        module.branch1,
        *module.branch2,
        *module.branch3,
        module.branch4[1],
    ]
    counts = [sum(p.numel() for p in branch.parameters()) for branch in branches]
    assert counts == [12_352, 18_528, 110_720, 3_088, 12_832, 6_176]
    assert sum(p.numel() for p in module.parameters()) == 163_696
    x = torch.randn(1, 192, 28, 28)
    y = module(x)
    assert y.shape == (1, 64 + 128 + 32 + 32, 28, 28)
    # each share of the channels is its own branch's, in the paper's order
    parts = y.split([64, 128, 32, 32], 1)
    for part, branch in zip(parts, (module.branch1, module.branch2, module.branch3, module.branch4), strict=True):
        assert torch.equal(part, branch(x))


@pytest.mark.system("arch.bottleneck")
def test_a_bottleneck_saves_nine_tenths() -> None:
    images = torch.zeros(1, 192, 28, 28)
    direct = describe(nn.Conv2d(192, 32, 5, padding=2), images)
    narrow = describe(nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2)), images)
    assert direct.multiply_adds == 120_422_400
    assert [layer.multiply_adds for layer in narrow.layers] == [2_408_448, 10_035_200]
    assert narrow.multiply_adds == 12_443_648
    # the branch of the network itself: the same figures
    branch = describe(Inception(192, 64, 96, 128, 16, 32, 32), images)
    assert [layer.multiply_adds for layer in branch.layers if layer.name.startswith("branch3")][:1] == [2_408_448]
    assert sum(layer.multiply_adds for layer in branch.layers if layer.name.startswith("branch3")) == 12_443_648


@pytest.mark.system("arch.side-heads")
@pytest.mark.parametrize(("build", "side"), [(googlenet, 80), (googlenet, 32), (googlenet_bn, 32)])
def test_side_heads_add_to_the_loss_and_vanish_in_eval(build: Callable[..., nn.Module], side: int) -> None:
    torch.manual_seed(0)
    network = build(num_classes=5, dropout=0, side_dropout=0)
    images, truth = torch.randn(2, 3, side, side), torch.tensor([1, 3])
    outputs = network.train()(images)
    assert isinstance(outputs, GoogLeNetOutputs)
    main, side2, side1 = (F.cross_entropy(logits, truth) for logits in outputs)
    loss = side_head_loss(outputs, truth)
    torch.testing.assert_close(loss, main + 0.3 * (side1 + side2))
    loss.backward()
    for head in (network.aux1, network.aux2):
        assert all(p.grad.abs().sum() > 0 for p in head.parameters())

    before = network.eval()(images)
    with torch.no_grad():
        for head in (network.aux1, network.aux2):
            for p in head.parameters():
                p.normal_()
        after = network(images)
    assert isinstance(after, torch.Tensor)
    assert torch.equal(before, after)
    torch.testing.assert_close(side_head_loss(after, truth), F.cross_entropy(after, truth))


def test_side_heads_of_the_paper_pool_14_pixels_to_4() -> None:
    head = googlenet(num_classes=5).aux1
    assert head.pool(torch.zeros(1, 512, 14, 14)).shape == (1, 512, 4, 4)


@pytest.mark.parametrize("side_heads", [True, False])
def test_bn_outputs_are_torchvisions(side_heads: bool, same_as_reference: Callable[..., None]) -> None:
    """With side heads, and as the public weights are used: without them, on transformed images."""
    theirs = torchvision.models.GoogLeNet(
        num_classes=7, aux_logits=side_heads, transform_input=not side_heads, init_weights=False
    )
    ours = googlenet_bn(num_classes=7, side_heads=side_heads, transform_input=not side_heads)
    same_as_reference(ours, theirs, torch.randn(2, 3, 48, 40))


@pytest.mark.slow
def test_bn_first_weights_are_torchvisions(same_start: Callable[..., None]) -> None:
    same_start(
        lambda: googlenet_bn(num_classes=7), lambda: torchvision.models.googlenet(num_classes=7, init_weights=True)
    )
