"""LeNet-5: the paper's counts layer by layer, sparse C3, fixed codes, and real digits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.models.describe import describe
from orthogon.models.lenet import (
    C3_INPUTS,
    CodeDistance,
    SparseConv2d,
    Squash,
    TrainablePool2d,
    lenet5,
    lenet5_modern,
)


@pytest.mark.system("arch.lenet5")
def test_parameters_of_the_original() -> None:
    """The figures of section II.B: C1, S2, C3, S4, C5, F6."""
    network = lenet5()
    layers = [layer for layer in [*network.features, *network.head] if any(True for _ in layer.parameters())]
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    assert counts == [156, 12, 1_516, 32, 48_120, 10_164]
    assert sum(p.numel() for p in network.parameters()) == 60_000
    shapes = [layer.shape for layer in describe(network, torch.zeros(1, 1, 32, 32)).layers]
    for shape in ((6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (10,)):
        assert shape in shapes
    kinds = [type(layer).__name__ for layer in [*network.features, *network.head]]
    assert kinds[1::2] == ["Squash"] * 6  # after pooling too, but not after the distances to the codes
    assert kinds[::2] == [
        "Conv2d",
        "TrainablePool2d",
        "SparseConv2d",
        "TrainablePool2d",
        "Conv2d",
        "Linear",
        "CodeDistance",
    ]


@pytest.mark.system("arch.lenet5")
def test_parameters_of_the_modern_form() -> None:
    network = lenet5_modern()
    assert sum(p.numel() for p in network.parameters()) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    assert describe(network, torch.zeros(1, 1, 32, 32)).num_layers == 5
    kinds = " ".join(type(layer).__name__ for layer in [*network.features, *network.head])
    assert kinds == "Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Conv2d ReLU Linear ReLU Linear"


@pytest.mark.system("arch.lenet5")
def test_a_pool_sums_four_pixels_times_a_coefficient_plus_a_bias() -> None:
    """Section II.B: "the four inputs are added, then multiplied by a trainable coefficient, and added to a bias"."""
    pool = TrainablePool2d(2)
    with torch.no_grad():
        pool.weight.copy_(torch.tensor([0.5, 2.0]).reshape(2, 1, 1))
        pool.bias.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1))
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    by_hand = [[[6, 10], [22, 26]], [[147, 163], [211, 227]]]  # 0.5 (0 + 1 + 4 + 5) + 1, ..., 2 (16 + 17 + 20 + 21) − 1
    assert pool(x)[0].tolist() == by_hand


@pytest.mark.system("arch.lenet5-c3")
def test_c3_sees_what_table_i_says() -> None:
    layer = SparseConv2d(C3_INPUTS, 6)
    seen = sorted(map(len, C3_INPUTS))
    assert seen == [3] * 6 + [4] * 9 + [6]
    assert sum(p.numel() for p in layer.parameters()) == 60 * 25 + 16 == 1_516
    # no two output maps see the same, and every input map is seen equally often
    assert len(set(map(frozenset, C3_INPUTS))) == 16
    assert [sum(k in maps for maps in C3_INPUTS) for k in range(6)] == [10] * 6


@pytest.mark.system("arch.lenet5-c3")
def test_c3_equals_a_masked_convolution_and_masked_weights_get_no_gradient() -> None:
    torch.manual_seed(0)
    layer, x = SparseConv2d(C3_INPUTS, 6), torch.randn(2, 6, 14, 14)
    mask = torch.zeros(16, 6, 1, 1)
    for out, maps in enumerate(C3_INPUTS):
        mask[out, list(maps)] = 1
    dense = nn.Conv2d(6, 16, 5)
    with torch.no_grad():
        dense.weight.copy_(layer.dense_weight())
        dense.bias.copy_(layer.bias.normal_())
    assert torch.equal(dense.weight != 0, mask.bool().expand_as(dense.weight))
    masked = F.conv2d(x, dense.weight * mask, dense.bias)
    torch.testing.assert_close(layer(x), masked)
    masked.square().sum().backward()
    layer(x).square().sum().backward()
    assert not dense.weight.grad[~mask.bool().expand_as(dense.weight)].any()
    # what is there gets the gradient of the dense form, kernel by kernel
    kernels = torch.stack([dense.weight.grad[out, k] for out, maps in enumerate(C3_INPUTS) for k in maps])
    torch.testing.assert_close(layer.weight.grad, kernels)


def test_c3_counts_the_products_of_kernels_that_exist() -> None:
    assert describe(SparseConv2d(C3_INPUTS, 6), torch.zeros(3, 6, 14, 14)).multiply_adds == 1_500 * 100


def test_squash_is_one_at_one() -> None:
    torch.testing.assert_close(
        Squash()(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4, rtol=0
    )


def test_codes_are_pictures_and_far_apart() -> None:
    layer = CodeDistance(10)
    assert layer.codes.shape == (10, 84)
    assert not list(layer.parameters())
    assert torch.equal(layer.codes.abs(), torch.ones(10, 84))
    apart = -layer(layer.codes)  # squared distance of ±1 codes: 4 for each pixel that differs
    differing = torch.stack([(layer.codes[i] != layer.codes).sum(1) for i in range(10)])
    assert torch.equal(apart, 4.0 * differing)
    assert (differing + 84 * torch.eye(10)).min() >= 4
    one = ["".join(" #"[int(v > 0)] for v in row) for row in layer.codes[1].reshape(12, 7)]
    assert one[0] == "   ##  "
    assert one[-1] == " ######"


def test_other_numbers_of_classes_get_codes_that_stay() -> None:
    assert torch.equal(CodeDistance(26).codes, CodeDistance(26).codes)
    assert len(CodeDistance(26).codes.unique(dim=0)) == 26


def test_first_weights_lie_within_the_papers_limits() -> None:
    network = lenet5()
    first, sparse = network.features[0], network.features[4]
    assert 0.9 < first.weight.abs().max() / (2.4 / 25) <= 1
    rows = torch.split(sparse.weight, [len(maps) for maps in C3_INPUTS])
    for maps, kernels in zip(C3_INPUTS, rows, strict=True):
        assert 0.8 < kernels.abs().max() / (2.4 / (25 * len(maps))) <= 1


def distorted(images: Tensor) -> Tensor:
    """Each digit turned, scaled and moved a little, as in section III.C of the paper; ground is −0.1."""
    B = len(images)
    angle, scale = torch.empty(B).uniform_(-0.2, 0.2), torch.empty(B).uniform_(0.85, 1.15)
    shift = torch.empty(B, 2).uniform_(-0.1, 0.1)
    c, s = angle.cos() * scale, angle.sin() * scale
    rows = [torch.stack([c, -s, shift[:, 0]], 1), torch.stack([s, c, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images + 0.1, grid, align_corners=False) - 0.1


@pytest.mark.slow
@pytest.mark.system("arch.lenet5")
@pytest.mark.parametrize("build", [lenet5, lenet5_modern])
def test_digits_are_read(build: Callable[[], nn.Module]) -> None:
    """97 of 100 digits that were not trained on, from 8 x 8 pixels enlarged to 32 x 32."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate(images, (32, 32), mode="bilinear") * 1.275 - 0.1  # the paper's range
    truth = torch.tensor(digits.target)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))
    train, test = order[:1437], order[1437:]
    torch.manual_seed(0)
    network = build()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    epochs = 25
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in train[torch.randperm(len(train))].split(32):
            optimiser.zero_grad()
            F.cross_entropy(network(distorted(images[batch])), truth[batch]).backward()
            optimiser.step()
        schedule.step()
    with torch.no_grad():
        right = (network.eval()(images[test]).argmax(1) == truth[test]).float().mean().item()
    assert right >= 0.97
