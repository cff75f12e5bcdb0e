"""What every network of the zoo says about its images: how many channels and classes, and the smallest side.

A family's class calls `super().__init__(num_classes, in_channels, min_size)` first, and `self.check(images)` as the
first line of its `forward`; a wrong picture is then named before a layer deep inside fails on it.

A network with side heads, classifiers on hidden layers that help to train it, answers in training mode with a tuple:
its logits, then those of each side head. In eval mode it answers with its logits alone, and its side heads do nothing.

For transfer a network is a chain: `stages` gives its parameters from the picture to the classes, `tail` the layers that
turn features into classes, and `PixelNetwork` lets a network of the zoo take plain pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from orthogon.errors import ShapeError

SIDE_WEIGHT = 0.3  # of each side head's loss in the training loss: Szegedy et al. 2014, arXiv:1409.4842, section 5


class ImageNetwork(nn.Module):
    """Base of the networks that turn images (B, C, H, W) into class logits (B, K).

    Args:
        num_classes: K, at least 1.
        in_channels: C, 3 for colour, 1 for grey.
        min_size: shortest side in pixels that leaves every layer at least one pixel to work on.
    Raises:
        ShapeError: no classes or no channels.
    """

    chain = True  # its children work one after another; so do those of an nn.Sequential
    num_side_heads = 0

    def __init__(self, num_classes: int, in_channels: int, min_size: int) -> None:
        super().__init__()
        for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
            if value < 1:
                name = type(self).__name__
                raise ShapeError(f"{key} is {value}", name, f"Give {name} a positive whole number.")
        self.num_classes, self.in_channels, self.min_size = num_classes, in_channels, min_size

    def check(self, images: Tensor) -> None:
        """Raise a ShapeError for images of another rank, with other channels, or too small."""
        name, shape = type(self).__name__, tuple(images.shape)
        if images.ndim != 4:
            raise ShapeError(
                f"images have shape {shape}", name, "It takes four axes: (batch, channels, height, width)."
            )
        if images.shape[1] != self.in_channels:
            raise ShapeError(
                f"images of shape {shape} have {shape[1]} channels, not {self.in_channels}",
                name,
                f"Convert them, or build the network with in_channels={shape[1]}.",
            )
        if images.shape[2] < self.min_size or images.shape[3] < self.min_size:
            raise ShapeError(
                f"images of {shape[2]} x {shape[3]} pixels are too small",
                name,
                f"It takes sides from {self.min_size} pixels on: enlarge the images, or choose a smaller network.",
            )


class PixelNetwork(nn.Module):
    """A network that normalises its own input, so that whoever runs it elsewhere feeds plain pixels.

    Args:
        network: takes normalised images (B, C, H, W).
        mean, std: per channel, in pixels of 0..255.
    """

    chain = True
    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.network = network

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(B, C, H, W) float pixels 0..255 -> logits (B, K); in training, with those of side heads behind them."""
        return self.network((images - self.mean) / self.std)


@dataclass
class Stage:
    """A block, or a layer with the norm after it, that is frozen or trained as one."""

    names: list[str] = field(default_factory=list)  # of its parameters, as in the network's state
    modules: list[nn.Module] = field(default_factory=list)


def stages(network: nn.Module) -> list[Stage]:
    """The parameters of an image network in the order in which a picture meets them; the last stage is the head.

    The head is the layer that has an output for each class; side heads belong to it.
    """
    found: list[Stage] = []
    aside = Stage()
    loose: list[str] = []  # of a chain itself, before its first layer
    for prefix, layer in _layers(network):
        if layer is None:  # such as position embeddings: they go with the layer before them
            (found[-1].names if found else loose).append(prefix)
            continue
        names = [prefix + name for name, _ in layer.named_parameters()]
        if not names:
            continue
        if getattr(layer, "side_head", False):
            aside.names += names
            aside.modules.append(layer)
            continue
        if not found or not isinstance(layer, (_BatchNorm, nn.LayerNorm, nn.GroupNorm)):
            found.append(Stage(loose))
            loose = []
        found[-1].names += names
        found[-1].modules.append(layer)
    found[-1].names += aside.names
    found[-1].modules += aside.modules
    return found


def tail(network: nn.Module) -> nn.Sequential:
    """What turns features into classes: the head, the dropout before it and all that comes after it.

    tail(features).flatten(1) are the logits, where the features are the input of tail[0] in the network's forward.
    """
    layers = [layer for _, layer in _layers(network) if layer is not None]
    head = max(i for i, layer in enumerate(layers) if any(True for _ in layer.parameters()))
    first = head
    while first > 0 and isinstance(layers[first - 1], nn.Dropout):
        first -= 1
    return nn.Sequential(*layers[first:])


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module | None]]:
    """(prefix of its parameters, layer) along the chain; (name, None) for a parameter that the chain itself holds."""
    for name, _ in module.named_parameters(recurse=False):
        yield prefix + name, None
    for name, child in module.named_children():
        if type(child) is nn.Sequential or getattr(child, "chain", False):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}.", child
