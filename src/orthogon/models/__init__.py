"""Networks written from their papers, one family a file. The table below names their standard forms for `describe`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from orthogon.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

# name -> (module:class, its arguments, shape of one input without the batch axis)
NETWORKS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "mlp": ("orthogon.models.mlp:MLP", (64, (256, 256), 10), {}, (64,)),
    "convnet": ("orthogon.models.convnet:ConvNet", (3, 10), {"mean": (127.5,) * 3, "std": (73.6,) * 3}, (3, 64, 64)),
    "date_translator": ("orthogon.models.attention_seq2seq:DateTranslator", (37, 11), {}, (30,)),
    "attention_seq2seq": (
        "orthogon.models.attention_seq2seq:AttentionSeq2Seq",
        (37, 13),
        {"output_length": 10},
        (30,),
    ),
    "lenet5": ("orthogon.models.lenet:lenet5", (), {}, (1, 32, 32)),
    "lenet5_modern": ("orthogon.models.lenet:lenet5_modern", (), {}, (1, 32, 32)),
    "alexnet": ("orthogon.models.alexnet:alexnet", (), {}, (3, 227, 227)),
    "alexnet_grouped": ("orthogon.models.alexnet:alexnet", (), {"groups": 2}, (3, 227, 227)),
    "alexnet_owt": ("orthogon.models.alexnet:alexnet_owt", (), {}, (3, 224, 224)),
    "vgg11": ("orthogon.models.vgg:vgg11", (), {}, (3, 224, 224)),
    "vgg13": ("orthogon.models.vgg:vgg13", (), {}, (3, 224, 224)),
    "vgg16": ("orthogon.models.vgg:vgg16", (), {}, (3, 224, 224)),
    "vgg19": ("orthogon.models.vgg:vgg19", (), {}, (3, 224, 224)),
    "vgg11_bn": ("orthogon.models.vgg:vgg11_bn", (), {}, (3, 224, 224)),
    "vgg13_bn": ("orthogon.models.vgg:vgg13_bn", (), {}, (3, 224, 224)),
    "vgg16_bn": ("orthogon.models.vgg:vgg16_bn", (), {}, (3, 224, 224)),
    "vgg19_bn": ("orthogon.models.vgg:vgg19_bn", (), {}, (3, 224, 224)),
    "googlenet": ("orthogon.models.googlenet:googlenet", (), {"side_heads": False}, (3, 224, 224)),
    "googlenet_bn": ("orthogon.models.googlenet:googlenet_bn", (), {"side_heads": False}, (3, 224, 224)),
    "squeezenet1_0": ("orthogon.models.squeezenet:squeezenet1_0", (), {}, (3, 224, 224)),
    "squeezenet1_1": ("orthogon.models.squeezenet:squeezenet1_1", (), {}, (3, 224, 224)),
    "mobilenet_v1": ("orthogon.models.mobilenet_v1:mobilenet_v1", (), {}, (3, 224, 224)),
    "mobilenet_v2": ("orthogon.models.mobilenet_v2:mobilenet_v2", (), {}, (3, 224, 224)),
    "resnet18": ("orthogon.models.resnet:resnet18", (1000, 3), {}, (3, 224, 224)),
    "resnet34": ("orthogon.models.resnet:resnet34", (1000, 3), {}, (3, 224, 224)),
    "resnet50": ("orthogon.models.resnet:resnet50", (1000, 3), {}, (3, 224, 224)),
    "resnet101": ("orthogon.models.resnet:resnet101", (1000, 3), {}, (3, 224, 224)),
    "resnet152": ("orthogon.models.resnet:resnet152", (1000, 3), {}, (3, 224, 224)),
    "resnet50_1x1": ("orthogon.models.resnet:resnet50", (1000, 3), {"stride_on": "1x1"}, (3, 224, 224)),
    "resnet101_1x1": ("orthogon.models.resnet:resnet101", (1000, 3), {"stride_on": "1x1"}, (3, 224, 224)),
    "resnet152_1x1": ("orthogon.models.resnet:resnet152", (1000, 3), {"stride_on": "1x1"}, (3, 224, 224)),
    "plain18": ("orthogon.models.resnet:plain18", (1000, 3), {}, (3, 224, 224)),
    "plain34": ("orthogon.models.resnet:plain34", (1000, 3), {}, (3, 224, 224)),
    "resnet20": ("orthogon.models.resnet:resnet20", (10, 3), {}, (3, 32, 32)),
    "resnet32": ("orthogon.models.resnet:resnet32", (10, 3), {}, (3, 32, 32)),
    "resnet44": ("orthogon.models.resnet:resnet44", (10, 3), {}, (3, 32, 32)),
    "resnet56": ("orthogon.models.resnet:resnet56", (10, 3), {}, (3, 32, 32)),
    "plain20": ("orthogon.models.resnet:plain20", (10, 3), {}, (3, 32, 32)),
    "plain32": ("orthogon.models.resnet:plain32", (10, 3), {}, (3, 32, 32)),
    "plain44": ("orthogon.models.resnet:plain44", (10, 3), {}, (3, 32, 32)),
    "plain56": ("orthogon.models.resnet:plain56", (10, 3), {}, (3, 32, 32)),
    "mobilenet_v3_large": ("orthogon.models.mobilenet_v3:mobilenet_v3_large", (1000, 3), {}, (3, 224, 224)),
    "mobilenet_v3_small": ("orthogon.models.mobilenet_v3:mobilenet_v3_small", (1000, 3), {}, (3, 224, 224)),
    "efficientnet_b0": ("orthogon.models.efficientnet:efficientnet_b0", (1000, 3), {}, (3, 224, 224)),
    "efficientnet_b1": ("orthogon.models.efficientnet:efficientnet_b1", (1000, 3), {}, (3, 240, 240)),
    "efficientnet_b2": ("orthogon.models.efficientnet:efficientnet_b2", (1000, 3), {}, (3, 260, 260)),
    "convnext_tiny": ("orthogon.models.convnext:convnext_tiny", (1000, 3), {}, (3, 224, 224)),
    "vit_b_16": ("orthogon.models.vit:vit_b_16", (1000, 3), {}, (3, 224, 224)),
    "vit_small": ("orthogon.models.vit:vit_small", (10, 3), {}, (3, 64, 64)),
}


def build(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The standard form of a network, untrained, and one input for it.

    Raises:
        UsageError: no network has this name.
    """
    if name not in NETWORKS:
        raise UsageError(f'"{name}" is neither a run nor a network', "", did_you_mean(name, NETWORKS))
    import torch

    _, arguments, named, shape = NETWORKS[name]
    network = builder(name)(*arguments, **named).eval()
    tokens = name in ("date_translator", "attention_seq2seq")
    return network, (torch.ones((1, *shape), dtype=torch.int64 if tokens else torch.float32),)


def builder(name: str) -> Callable[..., nn.Module]:
    """What makes the network of this name; `NETWORKS` has it."""
    module, _, cls = NETWORKS[name][0].partition(":")
    return getattr(import_module(module), cls)


def paper(name: str) -> str:
    """What the head of a network's file says of its paper; empty where there is none, and for other names."""
    if name not in NETWORKS:
        return ""
    head = import_module(NETWORKS[name][0].partition(":")[0]).__doc__ or ""
    said = re.search(r"^Papers?: (.*?)(?=^Parameters|^Differs|^Weights|^$)", head, re.DOTALL | re.MULTILINE)
    return " ".join(said[1].split()) if said else ""


def takes_dropout(name: str) -> bool:
    """Whether the network of this name drops units at random, and as many as it is told."""
    return "dropout" in inspect.signature(builder(name)).parameters


def has_side_heads(name: str) -> bool:
    """Whether the network of this name can be built with classifiers on hidden layers, which help to train it."""
    return "side_heads" in inspect.signature(builder(name)).parameters


def image_networks() -> list[str]:
    """Names of those that turn pictures into classes."""
    return [name for name, (*_, shape) in NETWORKS.items() if len(shape) == 3]
