"""What tasks train with, layer by layer: normalised inputs, batch norm, dropout, first weights, and their gradients.

The same facts are proved for single layers in tests/nn; here the layers are those of the networks that tasks build.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.data.images import ArrayImages
from orthogon.data.strings import StringPairs
from orthogon.data.tables import TableExamples
from orthogon.data.types import ColumnType
from orthogon.models import build, image_networks
from orthogon.models.convnet import ConvNet, ResidualBlock
from orthogon.nn.attention import AdditiveAttention
from orthogon.nn.tabular import (
    CategoryEmbedding,
    MemberHeads,
    MemberLinear,
    MemberScale,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    quantile_edges,
)
from orthogon.project.config import put
from orthogon.scratch.batch_norm import batch_norm, batch_norm_test, gather
from orthogon.tasks import task_class
from orthogon.tasks.task import Task
from orthogon.training.config import TrainingConfig
from orthogon.training.gradcheck import check_gradients
from orthogon.training.optimisers import make_optimiser

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def pictures(n: int = 60, seed: int = 0) -> ArrayImages:
    """Dark, strongly coloured noise, so that each channel has a mean and a spread of its own."""
    rng = np.random.default_rng(seed)
    images = rng.normal([60, 120, 30], [20, 40, 5], size=(n, 8, 8, 3)).clip(0, 255).astype(np.uint8)
    return ArrayImages(images, np.array(["a", "b"])[np.arange(n) % 2], "noise")


def table(n: int = 300, seed: int = 0) -> TableExamples:
    """A number of scale 1..1000 and one of 0..1, a category, and a real-valued target made of both numbers."""
    rng = np.random.default_rng(seed)
    large, small = rng.uniform(1, 1000, n), rng.uniform(0, 1, n)
    columns = {
        "large": pa.array(large),
        "small": pa.array(small),
        "colour": pa.array(rng.choice(["red", "green"], n)).dictionary_encode(),
        "y": pa.array(0.004 * large + 3 * small),
    }
    kinds = {"large": "number", "small": "number", "colour": "category", "y": "number"}
    types: dict[str, Any] = {name: ColumnType(kind, "") for name, kind in kinds.items()}  # type: ignore[arg-type]
    return TableExamples(pa.table(columns), types, ("y",), name="made.csv")


def pairs(n: int = 60) -> StringPairs:
    rng = np.random.default_rng(0)
    sources = ["".join(rng.choice(list("abc"), rng.integers(1, 5))) for _ in range(n)]
    return StringPairs(sources, [source[::-1] for source in sources], name="pairs.tsv")


DATA: dict[str, Callable[[], Any]] = {"image_classification": pictures, "tabular": table, "seq2seq": pairs}


def made(kind: str, **settings: Any) -> Task:
    """A task with the config that it suggests for its data, fitted."""
    examples, nested = DATA[kind](), {}
    said = task_class(kind).Config(**{"kind": kind, **settings})
    for key, value in task_class(kind)(said).suggest(examples).items():
        put(nested, key, value)
    task = task_class(kind)(task_class(kind).Config(**{**nested["task"], "kind": kind, **settings}))
    task.fit(examples)
    return task


# -- inputs -------------------------------------------------------------------------------------------------------


@pytest.mark.system("train.normalise")
@pytest.mark.parametrize("name", ["convnet", "resnet20"])
def test_pictures_reach_the_first_layer_with_mean_0_and_variance_1_of_train(name: str) -> None:
    """μ and σ of each channel are measured on train, kept with the weights and applied to whatever comes later."""
    task = made("image_classification", network=name, augment={"strength": 0.0, "flip": 0.0})
    torch.manual_seed(0)
    network = task.network().eval()
    seen: list[Tensor] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    train, test = pictures(), pictures(seed=1)
    task.answers(network, train)
    after = torch.cat(seen).transpose(0, 1).flatten(1)  # (C, everything else)
    assert after.mean(dim=1).tolist() == pytest.approx([0] * 3, abs=1e-4)
    assert after.var(dim=1, correction=0).tolist() == pytest.approx([1] * 3, abs=1e-3)

    # another picture gets train's, read back from the weights
    again = task.network().eval()
    for name_of, buffer in again.named_buffers():
        if name_of.endswith(("mean", "std")):
            buffer.fill_(1.0)
    again.load_state_dict(network.state_dict())
    values = np.stack([np.asarray(train[i].input) for i in range(len(train))]).astype(np.float64)
    mu, sigma = values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2))
    first = next(module for module in again.modules() if isinstance(module, nn.Conv2d))
    later: list[Tensor] = []
    first.register_forward_pre_hook(lambda module, inputs: later.append(inputs[0].detach()))
    task.answers(again, test)
    expected = (np.stack([np.asarray(test[i].input) for i in range(len(test))]) - mu) / sigma
    np.testing.assert_allclose(torch.cat(later).permute(0, 2, 3, 1).numpy(), expected, atol=1e-3)


@pytest.mark.system("train.normalise")
def test_numbers_of_a_table_enter_at_one_scale_and_need_a_tenth_of_the_steps() -> None:
    """Median 0 and quartiles one apart, of train; a long tail is bent, so the variance is near 1 but not it."""
    task: Any = made("tabular")
    frame = table().frame(["large", "small", "colour"], np.arange(300))
    numbers, _ = task.encoder.encode(frame)
    q1, median, q3 = np.quantile(numbers.astype(np.float64), [0.25, 0.5, 0.75], axis=0)
    assert median.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (q3 - q1).tolist() == pytest.approx([1, 1], abs=0.05)
    new = table(50, seed=1).frame(["large", "small", "colour"], np.arange(50))
    z = (new["large"] - frame["large"].median()) / np.subtract(*frame["large"].quantile([0.75, 0.25]))
    np.testing.assert_allclose(task.encoder.encode(new)[0][:, 0], z / np.sqrt(1 + (z / 3) ** 2), atol=1e-5)

    y = np.asarray(table().targets(), np.float64).reshape(-1, 1)
    target = task.targets[0].encode(y[:, 0], table()).astype(np.float64)
    assert (target.mean(), target.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))

    def steps_to_fit(inputs: np.ndarray[Any, Any], lr: float, limit: int = 600) -> int:
        layer = nn.Linear(2, 1).double()
        nn.init.zeros_(layer.weight)
        x, t = torch.tensor(inputs, dtype=torch.float64), torch.tensor(target)[:, None]
        optimiser = make_optimiser(dict(layer.named_parameters()), layer, TrainingConfig(optimiser="sgd", lr=lr))
        for step in range(limit):
            optimiser.zero_grad()
            loss = F.mse_loss(layer(x), t)
            if loss.item() < 0.05:
                return step
            if loss.item() > 1e6:
                break
            loss.backward()
            optimiser.step()
        return limit

    raw = min(steps_to_fit(frame[["large", "small"]].to_numpy(), lr) for lr in (1e-6, 2e-6))
    assert raw >= 10 * min(steps_to_fit(numbers, lr) for lr in (0.1, 0.3))


# -- batch norm ---------------------------------------------------------------------------------------------------


def before_norms(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[tuple[str, str]]:
    """(layer, norm) for each weighted layer whose output is what a batch norm takes, by name."""
    source: dict[int, str] = {}
    kept: list[Tensor] = []  # an id is a tensor's own only while it lives
    found: list[tuple[str, str]] = []

    def gave(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, _: Any, outputs: Tensor) -> None:
            kept.append(outputs)
            source[id(outputs)] = name

        return hook

    def takes(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, taken: Any) -> None:
            if id(taken[0]) in source:
                found.append((source[id(taken[0])], name))

        return hook

    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            module.register_forward_hook(gave(name))
        elif isinstance(module, NORMS):
            module.register_forward_pre_hook(takes(name))
    network(*inputs)
    return found


# VGG has published weights, and those hold a bias before each batch norm
WITH_USELESS_BIAS = ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")


@pytest.mark.system("train.bn-bias")
@pytest.mark.parametrize("name", [name for name in image_networks() if name not in WITH_USELESS_BIAS])
def test_no_layer_before_batch_norm_has_a_bias(name: str) -> None:
    with torch.device("meta"):
        network, inputs = build(name)
    found = before_norms(network, inputs)
    norms = sum(isinstance(module, NORMS) for module in network.modules())
    assert len(found) == norms, "each batch norm stands behind a convolution or a dense layer"
    layers = dict(network.named_modules())
    assert [layer for layer, _ in found if layers[layer].bias is not None] == []


@pytest.mark.system("train.bn-bias")
def test_a_bias_there_would_change_nothing() -> None:
    torch.manual_seed(0)
    network = ConvNet(3, 2, width=4, stages=2, mean=(0.0,) * 3, std=(1.0,) * 3).double()
    images = torch.randn(8, 3, 8, 8, dtype=torch.float64)
    before = network(images)
    convolution = network.stem[0]
    assert isinstance(convolution, nn.Conv2d)
    convolution.bias = nn.Parameter(torch.tensor([3.0, -5.0, 0.1, 40.0], dtype=torch.float64))
    torch.testing.assert_close(network(images), before, rtol=0, atol=1e-12)


@pytest.mark.system("train.bn", "train.bn-test")
def test_every_batch_norm_of_the_convnet_is_the_textbooks_in_training_and_at_test() -> None:
    torch.manual_seed(0)
    network = ConvNet(1, 2, width=4, stages=2).double()
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert len(norms) == 6  # stem, two blocks of two, one shortcut
    with torch.no_grad():
        for norm in norms.values():
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    taken: dict[str, np.ndarray[Any, Any]] = {}
    given: dict[str, np.ndarray[Any, Any]] = {}

    def columns(z: Tensor) -> np.ndarray[Any, Any]:
        return z.detach().transpose(0, 1).flatten(1).numpy()  # (C, examples and places)

    def record(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, outputs: Tensor) -> None:
            taken[name], given[name] = columns(inputs[0]), columns(outputs)

        return hook

    for name, norm in norms.items():
        norm.register_forward_hook(record(name))
    running = {name: (np.zeros((n.num_features, 1)), np.ones((n.num_features, 1))) for name, n in norms.items()}

    def gamma_beta(norm: nn.BatchNorm2d) -> tuple[Any, Any]:
        return norm.weight.detach().numpy()[:, None], norm.bias.detach().numpy()[:, None]

    for _ in range(5):
        network(torch.rand(6, 1, 8, 8, dtype=torch.float64) * 255)
        for name, norm in norms.items():
            expected, statistics, _ = batch_norm(taken[name], *gamma_beta(norm))
            np.testing.assert_allclose(given[name], expected, atol=1e-10)
            running[name] = gather(running[name], statistics, m=taken[name].shape[1])
            np.testing.assert_allclose(norm.running_mean.numpy(), running[name][0][:, 0], atol=1e-10)
            np.testing.assert_allclose(norm.running_var.numpy(), running[name][1][:, 0], atol=1e-10)

    network.eval()
    one = torch.rand(1, 1, 8, 8, dtype=torch.float64) * 255
    alone = network(one)
    for name, norm in norms.items():
        np.testing.assert_allclose(
            given[name], batch_norm_test(taken[name], *gamma_beta(norm), running[name]), atol=1e-10
        )
    companions = torch.rand(7, 1, 8, 8, dtype=torch.float64) * 255
    torch.testing.assert_close(network(torch.cat([companions, one]))[-1:], alone, rtol=0, atol=1e-10)
    for name, norm in norms.items():  # nothing is gathered at test
        np.testing.assert_allclose(norm.running_mean.numpy(), running[name][0][:, 0], atol=1e-10)


# -- dropout ------------------------------------------------------------------------------------------------------


@pytest.mark.system("train.dropout")
@pytest.mark.parametrize("kind", DATA)
def test_the_dropout_that_is_asked_for_is_inverted_and_off_at_test(kind: str) -> None:
    task = made(kind, dropout=0.2)  # keep_prob 0.8
    torch.manual_seed(0)
    network = task.network()
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert layers
    for layer in layers:
        activations = torch.rand(1000, 500, dtype=torch.float64, requires_grad=True)
        dropped = layer(activations)
        assert dropped.mean().item() == pytest.approx(activations.mean().item(), rel=0.01)
        mask = (dropped != 0).double()
        assert mask.mean().item() == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / 500_000))
        (gradient,) = torch.autograd.grad(dropped.sum(), activations)
        torch.testing.assert_close(gradient, mask / 0.8)  # backward has the same mask

    used: list[float] = []
    for layer in layers:
        layer.register_forward_hook(lambda module, inputs, outputs: used.append(float((inputs[0] != outputs).sum())))
    inputs = task.example_inputs(4)
    with torch.no_grad():
        if kind == "image_classification":  # the head starts near 0
            nn.init.normal_(network.head.weight)  # type: ignore[union-attr, arg-type]
        network.train()
        assert not torch.equal(network(*inputs), network(*inputs))
        assert used
        assert min(used) > 0
        network.eval()
        assert torch.equal(network(*inputs), network(*inputs))


# -- first weights ------------------------------------------------------------------------------------------------


@pytest.mark.system("train.init")
def test_the_convnet_starts_with_he_weights_and_keeps_a_signal_through_many_layers() -> None:
    torch.manual_seed(0)
    network = ConvNet(3, 10, width=48, depth=12, stages=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    kernels = {name: m.weight for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert len(kernels) == 1 + 2 * 24 + 1
    for name, weight in kernels.items():
        n_in, n = weight[0].numel(), weight.numel()
        # the variance of n draws is known to sqrt(2 / n): five standard errors
        assert weight.var().item() == pytest.approx(2 / n_in, rel=5 * math.sqrt(2 / n)), name
    # W.init for the stack of its own 3x3 kernels with ReLU between, without norms and shortcuts: nothing dies or bursts
    stack = [w for w in kernels.values() if w.shape[0] == w.shape[1] == 48 and w.shape[-1] == 3]
    assert len(stack) == 24
    with torch.no_grad():
        x = torch.randn(4, 48, 8, 8)
        start = x.square().mean().sqrt().item()
        for weight in stack:
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), weight))
    assert 0.1 < x.square().mean().sqrt().item() / start < 10


# -- gradients of the layers that only have a forward -------------------------------------------------------------


def edges() -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return [quantile_edges(rng.normal(size=200), 4) for _ in range(3)]


LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "PiecewiseLinearEmbedding": (lambda: PiecewiseLinearEmbedding(edges(), 4), lambda: (torch.randn(5, 3),)),
    "PeriodicEmbedding": (lambda: PeriodicEmbedding(3, 4, 5), lambda: (torch.randn(5, 3),)),
    "CategoryEmbedding": (lambda: CategoryEmbedding([3, 4], 2), lambda: (torch.tensor([[0, 3], [2, 1]]),)),
    "MemberScale": (lambda: MemberScale(3, [2, 2]), lambda: (torch.randn(5, 4),)),
    "MemberLinear": (lambda: MemberLinear(3, 4, 2), lambda: (torch.randn(3, 5, 4),)),
    "MemberHeads": (lambda: MemberHeads(3, 4, 2), lambda: (torch.randn(3, 5, 4),)),
    "AdditiveAttention": (
        lambda: AdditiveAttention(3, 4, 5),
        lambda: (torch.randn(2, 3), torch.randn(2, 6, 4), torch.randn(2, 6, 5)),
    ),
    "ResidualBlock": (lambda: ResidualBlock(2, 3, stride=2), lambda: (torch.randn(4, 2, 6, 6),)),
}


@pytest.mark.system("tool.autograd")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_written_as_a_forward_alone_pass_the_gradient_check(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name][0]().double()
    inputs = [x.double() if x.is_floating_point() else x for x in LAYERS[name][1]()]
    free = {f"input{i}": x.requires_grad_() for i, x in enumerate(inputs) if x.is_floating_point()}
    assert "backward" not in vars(type(layer))
    with torch.no_grad():
        for parameter in layer.parameters():  # zeros hide a slope
            parameter.add_(0.1 * torch.randn_like(parameter))
    outputs = layer(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [torch.randn_like(output) for output in outputs]

    def cost() -> Tensor:
        given = layer(*inputs)
        given = given if isinstance(given, tuple) else (given,)
        return torch.stack([(torch.tanh(z) * w).sum() for z, w in zip(given, weights, strict=True)]).sum()

    used = {n: p for n, p in layer.named_parameters() if not (name == "AdditiveAttention" and n.startswith("keys."))}
    check = check_gradients(cost, {**used, **free})
    assert check.score < 1e-7, str(check)
    assert check.faulty == ()
