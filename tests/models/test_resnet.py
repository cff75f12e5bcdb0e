"""Residual networks: the paper's counts, torchvision's outputs, what a shortcut does to signal and gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as reference
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.data.loader import MemoryLoader
from orthogon.errors import ConfigError, ShapeError
from orthogon.models import build, resnet
from orthogon.models.describe import describe
from orthogon.models.resnet import BasicBlock, Bottleneck, PaddedShortcut, SmallResNet
from orthogon.nn.init import initialise_
from orthogon.nn.losses import softmax_cross_entropy
from orthogon.tasks.transfer import refuse_strange
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LoaderObjective, LossSum


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.system("arch.resnet")
@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
def test_the_family_has_the_papers_counts(stride_on: resnet.StrideOn) -> None:
    with torch.device("meta"):
        assert size(resnet.resnet18()) == 11_689_512
        assert size(resnet.resnet34()) == 21_797_672
        assert size(resnet.resnet50(stride_on=stride_on)) == 25_557_032
        assert size(resnet.resnet101(stride_on=stride_on)) == 44_549_160
        assert size(resnet.resnet152(stride_on=stride_on)) == 60_192_808


@pytest.mark.parametrize(
    ("build", "n"),
    [(resnet.resnet20, 3), (resnet.resnet32, 5), (resnet.resnet44, 7), (resnet.resnet56, 9)],
)
def test_small_networks_by_hand(build: Callable[[], SmallResNet], n: int) -> None:
    """Section 4.2: 6n + 2 layers; table 6 gives 0.27, 0.46, 0.66 and 0.85 million parameters.

    A 3x3 convolution from a to b channels with batch norm has 9ab + 2b; the stem 9·3·16 + 32 = 464, each stage 2n
    convolutions of which only the first reads the narrower stage, the head 64·10 + 10 = 650.
    """
    inside = sum(2 * n * (9 * b * b + 2 * b) for b in (16, 32, 64))
    by_hand = 464 + inside - 9 * 16 * 32 - 9 * 32 * 64 + 650  # b = 2a: 9b² - 9ab = 9ab too many, twice
    network = build()
    assert size(network) == by_hand == {3: 269_722, 5: 464_154, 7: 658_586, 9: 853_018}[n]
    description = describe(network, torch.zeros(1, 3, 32, 32))
    assert description.num_layers == 6 * n + 2


def test_the_plain_twin_is_the_same_network_without_shortcuts() -> None:
    for plain, residual in (
        (resnet.plain20, resnet.resnet20),
        (resnet.plain32, resnet.resnet32),
        (resnet.plain44, resnet.resnet44),
        (resnet.plain56, resnet.resnet56),
    ):
        assert list(plain().state_dict()) == list(residual().state_dict())
    with torch.device("meta"):
        projections = 64 * 128 + 256 + 128 * 256 + 512 + 256 * 512 + 1024
        assert size(resnet.resnet34()) - size(resnet.plain34()) == projections
        assert size(resnet.resnet18()) - size(resnet.plain18()) == projections
    torch.manual_seed(0)
    block, x = BasicBlock(4, 4, shortcut="none").eval(), torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), torch.relu(block.branch(x)))


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        pytest.param("resnet101", marks=pytest.mark.slow),
        pytest.param("resnet152", marks=pytest.mark.slow),
    ],
)
def test_outputs_and_first_weights_are_torchvisions(
    name: str, same_as_reference: Callable[..., None], same_start: Callable[..., None]
) -> None:
    ours, theirs = getattr(resnet, name), getattr(reference, name)
    same_start(partial(ours, num_classes=7), partial(theirs, num_classes=7))
    same_as_reference(ours(num_classes=7), theirs(num_classes=7), torch.randn(2, 3, 64, 48))


def test_the_papers_bottleneck_strides_on_its_first_convolution() -> None:
    torch.manual_seed(0)
    paper, ours = Bottleneck(8, 4, 2, stride_on="1x1").eval(), Bottleneck(8, 4, 2, stride_on="3x3").eval()
    assert (paper.conv1.stride, paper.conv2.stride) == ((2, 2), (1, 1))
    assert (ours.conv1.stride, ours.conv2.stride) == ((1, 1), (2, 2))
    ours.load_state_dict(paper.state_dict())
    x = torch.randn(2, 8, 6, 6)
    assert paper(x).shape == ours(x).shape == (2, 16, 3, 3)
    assert not torch.allclose(paper(x), ours(x))
    seen = x.clone()
    seen[:, :, 1::2], seen[:, :, :, 1::2] = 9.0, 9.0  # pixels that a stride of 2 skips
    assert torch.equal(paper(seen), paper(x))
    assert not torch.allclose(ours(seen), ours(x))


@pytest.mark.system("arch.resnet")
@pytest.mark.parametrize(("depth", "count"), [(50, 25_557_032), (101, 44_549_160), (152, 60_192_808)])
def test_both_forms_have_a_name(depth: int, count: int) -> None:
    """The same tensors, and another function: torchvision's outputs are those of the plain name alone."""
    with torch.device("meta"):
        paper, ours = build(f"resnet{depth}_1x1")[0], build(f"resnet{depth}")[0]
    assert size(paper) == size(ours) == count
    assert {key: value.shape for key, value in paper.state_dict().items()} == {
        key: value.shape for key, value in ours.state_dict().items()
    }
    for network, strides in ((paper, [(2, 2), (1, 1)]), (ours, [(1, 1), (2, 2)])):
        firsts = [network.get_submodule(f"layer{k}.0") for k in (2, 3, 4)]
        assert [[block.conv1.stride, block.conv2.stride] for block in firsts] == [strides] * 3
        others = [b for b in network.modules() if isinstance(b, Bottleneck) and b not in firsts]
        assert {block.conv1.stride + block.conv2.stride for block in others} == {(1, 1, 1, 1)}


def test_the_papers_form_is_not_given_torchvisions_weights() -> None:
    with pytest.raises(ConfigError, match=r"(?s)weights resnet50_torchvision are of resnet50.*resnet50_1x1"):
        refuse_strange("resnet50_1x1", "resnet50_torchvision")


@pytest.mark.system("arch.resblock")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_a_zeroed_block_is_an_exact_identity(norm: bool, training: bool) -> None:
    torch.manual_seed(0)
    a = torch.randn(3, 8, 6, 6).relu()  # what a block receives comes out of a ReLU
    block = BasicBlock(8, 8, norm=norm).train(training)
    assert not torch.equal(block(a), a)
    initialise_(block, "zeros")
    assert torch.equal(block(a), a)
    if norm:
        deep = Bottleneck(8, 2).train(training)
        initialise_(deep, "zeros")
        assert torch.equal(deep(a), a)


@pytest.mark.system("arch.resblock")
def test_the_first_layers_gradient_survives_fifty_layers() -> None:
    """Small initial weights, N(0, 0.01²): the plain net's gradient is a product of 50 small factors."""
    sizes: dict[str, list[float]] = {"padding": [], "none": []}
    for shortcut in ("padding", "none"):
        for seed in range(3):
            torch.manual_seed(seed)
            network = SmallResNet(24, 10, 1, widths=(8,), shortcut=shortcut, norm=False).double()
            assert describe(network, torch.zeros(1, 1, 8, 8, dtype=torch.float64)).num_layers == 50
            initialise_(network, 0.01)
            images, truth = torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.arange(8)
            F.cross_entropy(network(images), truth).backward()
            sizes[shortcut].append(network.conv1.weight.grad.norm().item())
    assert min(sizes["padding"]) > 1e-5  # there is a gradient to speak of
    assert all(deep >= 100 * plain for deep, plain in zip(sizes["padding"], sizes["none"], strict=True))


@pytest.mark.system("arch.res-ws")
def test_a_change_of_dimensions_by_weights_or_by_zeros() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 64, 56, 56)
    learned, padded = BasicBlock(64, 128, 2).eval(), BasicBlock(64, 128, 2, "padding").eval()
    assert learned(x).shape == padded(x).shape == (1, 128, 28, 28)
    assert learned.downsample is not None
    assert padded.downsample is not None
    assert learned.downsample[0].weight.numel() == 8192
    assert size(padded.downsample) == 0
    same = padded.downsample(x)
    assert torch.equal(same[:, :64], x[:, :, ::2, ::2])
    assert not same[:, 64:].any()
    assert size(learned) - size(padded) == 8192 + 2 * 128  # and its batch norm


def test_a_learned_shortcut_computes_what_the_formula_says() -> None:
    """a[l+2] = g(z[l+2] + W_s a[l]) with W_s a 1x1 convolution at stride 2, without norm."""
    torch.manual_seed(0)
    block = BasicBlock(2, 4, 2, norm=False)
    assert block.downsample is not None
    weight, bias = block.downsample[0].weight[:, :, 0, 0], block.downsample[0].bias
    x = torch.randn(1, 2, 4, 4)
    z = block.conv2(torch.relu(block.conv1(x)))
    skipped = torch.einsum("oc,bchw->bohw", weight, x[:, :, ::2, ::2]) + bias.reshape(1, -1, 1, 1)
    torch.testing.assert_close(block(x), torch.relu(z + skipped))


def test_padding_keeps_an_odd_side_in_step() -> None:
    assert PaddedShortcut(2, 3, 2)(torch.ones(1, 2, 7, 5)).shape == (1, 3, 4, 3)
    assert BasicBlock(2, 3, 2, "padding")(torch.ones(2, 2, 7, 5)).shape == (2, 3, 4, 3)


class Digits(LoaderObjective):
    """Cross-entropy of a batch of (pictures, classes)."""

    def loss(self, batch: tuple[Tensor, Tensor]) -> LossSum:
        images, truth = batch
        loss, count = softmax_cross_entropy(self.net(images), truth)
        return loss, count, {}


@pytest.mark.slow
@pytest.mark.system("arch.res-plain")
def test_depth_hurts_a_plain_network_in_training_and_shortcuts_mend_it() -> None:
    """DIGITS, 8 channels, no norm, 250 updates by the product's loop; benchmarks/plain_against_residual.py has its own.

    The loss is that of all digits after the last update, the mean of three seeds: on one of them the deep plain network
    finds its way as well, on the others it stays near log 10.
    """
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)  # (m, 1, 8, 8)
    truth = torch.tensor(digits.target)
    settings = TrainingConfig(
        optimiser="adam", lr=0.001, schedule="constant", weight_decay=0, steps=250, batch_size=64, preflight=False
    )

    def trained(layers: int, shortcut: resnet.Shortcut, seed: int) -> float:
        torch.manual_seed(seed)
        network = SmallResNet((layers - 2) // 2, 10, 1, widths=(8,), shortcut=shortcut, norm=False)
        fit(Digits(network, MemoryLoader((images, truth), 64, seed)), settings, seed=seed)
        with torch.no_grad():
            return F.cross_entropy(network(images), truth).item()

    forms: list[tuple[int, resnet.Shortcut]] = [(8, "none"), (56, "none"), (56, "padding")]
    shallow, plain, residual = (sum(trained(*form, seed) for seed in range(3)) / 3 for form in forms)
    assert plain > shallow + 0.3
    assert residual < shallow - 0.3


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: BasicBlock(2, 2, shortcut="projektion"), 'shortcut: "projektion".*\nDid you mean "projection"'),
        (lambda: Bottleneck(2, 2, stride_on="5x5"), 'stride_on: "5x5".*\nGive "1x1" or "3x3"'),
        (lambda: SmallResNet(0), "SmallResNet: 0 blocks in 3 stages\nGive at least one"),
        (lambda: SmallResNet(1, widths=()), "SmallResNet: 1 blocks in 0 stages\nGive at least one"),
    ],
)
def test_what_cannot_be_built_is_named(wrong: Callable[[], nn.Module], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        wrong()


def test_wrong_channels_are_named() -> None:
    with pytest.raises(ShapeError, match=r"1 channels(.|\n)*in_channels=1"):
        resnet.resnet20()(torch.zeros(2, 1, 32, 32))
