"""One contract for every network for images in the table: whoever registers one is tested here.

Forward at two sizes, a gradient for each parameter, one batch learned by heart, ONNX and torch.compile equal to eager,
weights that survive a file, and wrong images named. What is not in QUICK runs with the slow tests.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from orthogon.errors import ShapeError
from orthogon.models import NETWORKS, build
from orthogon.models.image_network import ImageNetwork
from orthogon.models.squeezenet import SqueezeNet
from orthogon.run.export import largest_difference

ZOO = [name for name, (*_, shape) in NETWORKS.items() if len(shape) == 3]
QUICK = {"convnet", "lenet5", "lenet5_modern", "squeezenet1_1", "resnet20", "plain20", "vit_small"}
PIXELS = {"convnet", "alexnet", "alexnet_grouped"}
CLASSES = 5
# They have the blocks of another of their family, only more of them.
DEEPER = {
    *("vgg13", "vgg16", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn", "efficientnet_b1", "efficientnet_b2", "vit_b_16"),
    *("resnet34", "resnet101", "resnet152", "resnet101_1x1", "resnet152_1x1", "plain34"),
    *(f"{kind}{depth}" for kind in ("resnet", "plain") for depth in (32, 44, 56)),
}
ONE_A_FAMILY = (
    *("convnet", "lenet5", "alexnet_owt", "vgg11_bn", "googlenet", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2"),
    *("mobilenet_v3_small", "resnet18", "resnet50", "resnet20", "efficientnet_b0", "convnext_tiny", "vit_small"),
)


def zoo(*, quick: bool = True) -> pytest.MarkDecorator:
    """Every network; those outside QUICK, or all of them, as slow tests."""
    marks = {name: () if quick and name in QUICK else (pytest.mark.slow,) for name in ZOO}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks[name]) for name in ZOO])


def small(name: str) -> nn.Module:
    """The network for CLASSES classes, without anything that is drawn at random while it runs."""
    home, _, named, (channels, _, _) = NETWORKS[name]
    module, _, builder = home.partition(":")
    torch.manual_seed(0)
    network: nn.Module = getattr(import_module(module), builder)(
        **{**named, "num_classes": CLASSES, "in_channels": channels}
    )
    for layer in network.modules():
        if isinstance(layer, nn.Dropout) or type(layer).__name__ == "StochasticDepth":
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    if isinstance(network, SqueezeNet):  # a class below zero everywhere would stay there, since its map ends in a ReLU
        nn.init.ones_(network.classifier[1].bias)
    return network


def side_of(network: nn.Module) -> int:
    """A small side that every layer can work on."""
    return max(32, getattr(network, "min_size", 1))


def pictures(network: nn.Module, name: str, batch: int = 2, extra: tuple[int, int] = (0, 0)) -> Tensor:
    channels, side = NETWORKS[name][3][0], side_of(network)
    images = torch.randn(batch, channels, side + extra[0], side + extra[1], generator=torch.Generator().manual_seed(1))
    # the classifier's own takes plain pixels, AlexNet's first weights are made for their scale
    return images * 73.6 + (127.5 if name == "convnet" else 0) if name in PIXELS else images


@zoo()
def test_forward_at_two_sizes_and_smaller_images_are_named(name: str) -> None:
    network = small(name).eval()
    with torch.no_grad():
        assert network(pictures(network, name, 2)).shape == (2, CLASSES)
        fixed = hasattr(network, "image_size")  # position embeddings are learned for one size
        larger = pictures(network, name, 1, (16, 3))
        if fixed:
            with pytest.raises(ShapeError, match="no other"):
                network(larger)
        else:
            assert network(larger).shape == (1, CLASSES)
        if isinstance(network, ImageNetwork) and network.min_size > 1 and not fixed:
            smallest = larger[..., : network.min_size, : network.min_size]
            assert network(smallest).shape == (1, CLASSES)
            with pytest.raises(ShapeError, match="too small"):
                network(smallest[..., 1:])


@zoo()
def test_a_wrong_number_of_channels_is_named(name: str) -> None:
    network = small(name)
    if not isinstance(network, ImageNetwork):
        pytest.skip("its task prepares the images")
    images = pictures(network, name)
    with pytest.raises(ShapeError, match=f"{images.shape[1] + 1} channels, not {images.shape[1]}"):
        network(torch.cat([images, images[:, :1]], 1))


@zoo()
def test_a_gradient_reaches_each_parameter_and_one_batch_is_learned(name: str) -> None:
    network = small(name).train()
    images, truth = pictures(network, name, 8), torch.arange(8) % CLASSES
    # without norm layers units die at the rate that suits the others, the sooner the more inputs they have
    norms = [layer for layer in network.modules() if isinstance(layer, (nn.BatchNorm2d, nn.LayerNorm))]
    wide = any(isinstance(layer, nn.Linear) and layer.in_features > 4096 for layer in network.modules())
    if norms:
        lr = 1e-4 if wide else 1e-3
    else:
        lr = 1e-3 if name.startswith("lenet") else 5e-5 if wide else 1e-4
    optimiser = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    first = None
    for _ in range(200):
        loss = F.cross_entropy(network(images), truth)
        optimiser.zero_grad()
        loss.backward()
        if first is None:
            first = loss.item()
            silent = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
            assert not silent
        if loss.item() < 0.1 * first:
            return
        optimiser.step()
    pytest.fail(f"after 200 steps on one batch the loss is {loss.item():.3f}, at first {first:.3f}")


@zoo()
def test_weights_survive_a_file(name: str, tmp_path: Path) -> None:
    network = small(name).eval()
    with torch.no_grad():
        for value in network.state_dict().values():  # running statistics too
            if value.is_floating_point():
                value.mul_(1 + 0.1 * torch.rand(value.shape, generator=torch.Generator().manual_seed(2)))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(9)
    other = small(name).eval()
    images = pictures(network, name)
    with torch.no_grad():
        assert not torch.equal(network(images), other(images))
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(network(images), other(images))


@zoo(quick=False)
def test_onnx_equals_eager(name: str, tmp_path: Path) -> None:
    network = small(name).eval()
    images = pictures(network, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            network, (images,), str(tmp_path / "network.onnx"), input_names=["images"], output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim.AUTO},), dynamo=True, verbose=False, external_data=False,
        )  # fmt: skip
    others = [(images,), (pictures(network, name, 3),)]  # another batch size too
    with torch.no_grad():
        scale = max(1.0, network(images).abs().max().item())
    assert largest_difference(network, tmp_path / "network.onnx", ["images"], others) < 1e-4 * scale


def settled(network: nn.Module, images: Tensor) -> nn.Module:
    """In eval mode, with norms that know these images: at their first statistics a deep network answers 0 or 10⁴."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    for norm in norms:
        norm.running_var.clamp_(min=1e-3)  # of maps of few pixels
    return network.eval()


def compiled(network: nn.Module, backend: str = "inductor") -> Callable[[Tensor], Any]:
    torch.compiler.reset()
    return torch.compile(network, fullgraph=True, backend=backend)  # type: ignore[no-any-return]


def close(ours: Tensor, theirs: Tensor, what: str = "outputs", share: float = 1e-4) -> None:
    """Equal to this share of the largest value."""
    scale = theirs.abs().max().item()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=share * scale + 1e-9, msg=lambda text: f"{what}: {text}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_whole_network_is_one_graph_whose_outputs_are_eagers(name: str) -> None:
    """Traced and run operator by operator, which takes seconds where machine code takes a minute."""
    network = small(name)
    images = pictures(network, name)
    settled(network, images)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        expected = network(images)
        assert expected.std() > 1e-4
        close(compiled(network, "aot_eager")(images), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in DEEPER])
def test_compiled_to_machine_code_it_answers_as_eager(name: str) -> None:
    """By PyTorch's default, inductor: every network but those that only repeat more of another's blocks.

    Both round; the generated code may be no more than a few times as far from what float64 gives.
    """
    network = small(name)
    images = pictures(network, name)
    settled(network, images)
    exact = copy.deepcopy(network).double()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, truth = network(images), exact(images.double())
        assert expected.std() > 1e-4
        rounding = (expected - truth).abs().max() / truth.abs().max()
        assert rounding < 1e-3
        close(compiled(network)(images).double(), truth, share=max(1e-4, 5 * rounding.item()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_A_FAMILY)
def test_compiled_to_machine_code_it_learns_as_eager(name: str) -> None:
    """Loss, each gradient and the statistics that norms keep, of one step in training mode.

    A norm over a map of one pixel and four pictures makes much of rounding, which then opens or shuts a rectifier here
    and there: what float64 gives is the judge of both, by the length of each difference.
    """
    network = small(name).train()
    exact = copy.deepcopy(network).double()
    images, truth = pictures(network, name, 4), torch.arange(4) % CLASSES
    start = {key: value.clone() for key, value in network.state_dict().items()}

    def step(network: nn.Module, run: Callable[[Tensor], Tensor], images: Tensor) -> dict[str, Tensor]:
        network.load_state_dict(start)
        network.zero_grad()
        loss = F.cross_entropy(run(images), truth)
        loss.backward()
        found = {f"gradient of {key}": p.grad for key, p in network.named_parameters() if p.grad is not None}
        assert len(found) == sum(1 for _ in network.parameters())
        found |= dict(network.named_buffers()) | {"loss": loss}
        return {key: value.detach().double().clone() for key, value in found.items()}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge, theirs = step(exact, exact, images.double()), step(network, network, images)
        ours = step(network, compiled(network), images)
    assert ours.keys() == judge.keys()
    every = max(value.norm().item() for key, value in judge.items() if key.startswith("gradient"))
    for key, value in judge.items():  # before a norm a bias has no gradient but rounding
        far, rounding = (ours[key] - value).norm().item(), (theirs[key] - value).norm().item()
        least = 1e-3 * value.norm().item() + 1e-5 * (every if key.startswith("gradient") else 1.0)
        assert far <= max(least, 5 * rounding), (key, far, rounding, value.norm().item())


@zoo()
def test_the_builder_takes_classes_and_channels_first(name: str) -> None:
    home, arguments, named, _ = NETWORKS[name]
    if name == "convnet":
        pytest.skip("it is the classifier's own network and starts with the channels")
    module, _, builder = home.partition(":")
    parameters: dict[str, Any] = dict(inspect.signature(getattr(import_module(module), builder)).parameters)
    assert list(parameters)[:2] == ["num_classes", "in_channels"]
    with torch.device("meta"):
        network, inputs = build(name)
        assert network(*(x.to("meta") for x in inputs)).shape[0] == 1
    assert set(named) <= set(parameters)
    assert arguments in ((), (network.num_classes, network.in_channels))
