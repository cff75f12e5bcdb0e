"""Transfer for pictures: weights learned on many other pictures, and which of them this data may change.

Little data trains the head alone, more data the last stages, much data everything from where the weights are. What is
frozen stays bit for bit what it was, the statistics of its batch norms among it, and drops nothing at random.

Sources: Yosinski et al. 2014, arXiv:1411.1792 (which layers transfer); Howard & Ruder 2018, arXiv:1801.06146, section
3.2 (learning rates that fall from the head down, gradual unfreezing).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from orthogon.data.atomic import atomic_file
from orthogon.errors import ConfigError, DataError, ShapeError, UsageError, did_you_mean_path
from orthogon.models import NETWORKS, builder
from orthogon.models.image_network import ImageNetwork, PixelNetwork, stages, tail
from orthogon.models.weights import PRESETS, Preset, files_in, find, get, load, meant, names, network_in, with_content
from orthogon.training.halving import Halving

NONE = "none"  # task.weights: from scratch
MODES = re.compile(r"head|all|last-([1-9][0-9]*)")
# What is taken where it lies in the cache folder: the first of these, then any other. Small and quick come first.
PREFERRED = (
    "mobilenet_v2_imagenet",
    "mobilenet_v2_torchvision",
    "mobilenet_v3_large_torchvision",
    "resnet18_torchvision",
    "efficientnet_b0_torchvision",
    "squeezenet1_1_torchvision",
    "squeezenet1_0_imagenet",
)
OFFERED = "mobilenet_v2_torchvision"  # what to fetch where there is none
HEAD_BELOW, LAST_BELOW = 1_000, 50_000  # pictures of train below which the head, or the last stages, are trained
LAST_STAGES = 4
SIDES = (224, 192, 160, 128)  # of a picture for pretrained weights; smaller maps lose what the last stages know
PIXELS_SEEN = 2_000 * 224**2  # of train in one pass: about a minute on two cores
HEAD_EPOCHS = 40  # passes over features that are computed once
PICTURES_TRAINED = 20_000  # of 128 pixels a side, in all passes: some two minutes on two cores
GPU_SPEED = 50  # times as many there
LAYER_LR_DECAY = 0.8
SMALLEST_SIDE = 96  # where a budget is short
FEATURE_BYTES = 8 * 2**30  # features that would take more are computed anew each time


# -- which weights ----------------------------------------------------------------------------------------------


def found_preset(network: str | None = None) -> tuple[Preset | None, list[DataError]]:
    """The most suitable preset that lies in the cache folder, of this network if one is named.

    Returns:
        it, or None; and what is wrong with each more suitable one, which was passed over because its file is damaged.
    """
    names = [*PREFERRED, *(name for name in PRESETS if name not in PREFERRED)]
    damaged: list[DataError] = []
    for preset in (PRESETS[name] for name in names if name in PRESETS):
        if network not in (None, preset.network):
            continue
        try:
            if find(preset) is not None:
                return preset, damaged
        except DataError as error:
            damaged.append(error)
    return None, damaged


def preset_of(weights: str | None) -> Preset | None:
    """The preset that `task.weights` names, or that the file it is the path of holds; a file's name tells nothing."""
    if weights is None or weights == NONE:
        return None
    if weights in PRESETS:
        return PRESETS[weights]
    path = Path(weights).expanduser()
    return with_content(path) if path.is_file() else None


def preset_by_name(weights: str | None) -> Preset | None:
    """The preset that `task.weights` names, or whose file has the name of the file it is the path of."""
    if weights is None or weights in PRESETS:
        return PRESETS.get(weights or "")
    return next((preset for preset in PRESETS.values() if preset.file == Path(weights).name), None)


def refuse_strange(network: str | None, weights: str | None) -> None:
    """Refuse weights that do not exist, or a preset of another network than this one. Nothing is fetched.

    Raises:
        UsageError: neither a preset nor a file.
        ConfigError: the preset is another network's.
    """
    if weights is None or weights == NONE:
        return
    if weights not in PRESETS and not Path(weights).expanduser().is_file():
        raise _unknown(weights)
    preset = preset_of(weights)
    if preset is None or network in (None, preset.network):
        return
    fitting = [other.name for other in PRESETS.values() if other.network == network]
    raise ConfigError(
        f"weights {weights} are of {preset.network}, task.network is {network}",
        "task.weights, task.network",
        f"Set task.network to {preset.network}, or task.weights to {' or '.join([NONE, *fitting])}.",
    )


def _unknown(weights: str) -> UsageError:
    path = Path(weights).expanduser()
    if path.is_dir():
        return UsageError(f'"{weights}" is a folder, not a file of weights', "task.weights", files_in(path))
    what = f'"{weights}" is neither a preset nor a file of weights'
    if path.suffix or path.parent != Path("."):
        return UsageError(what, "task.weights", did_you_mean_path(path))
    return UsageError(what, "task.weights", f"{meant(weights)} All of them: orthogon weights list")


def weights_file(weights: str) -> Path:
    """The file that `task.weights` means; a preset that is not in the cache folder is fetched.

    Raises:
        OrthogonError: no such file, or no network to fetch it by.
    """
    if weights in PRESETS:
        return get(PRESETS[weights])
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    raise _unknown(weights)


def pixel_statistics(preset: Preset, channels: int) -> tuple[list[float], list[float]]:
    """(mean, deviation) of each channel in pixels of 0..255 that these weights were trained with."""
    mean, std = ([255 * value for value in values] for values in (preset.mean, preset.std))
    if channels != len(mean):
        mean, std = ([sum(values) / len(values)] * channels for values in (mean, std))
    return mean, std


def load_body(network: nn.Module, file: Path) -> None:
    """Put weights into all of a network but its head, which stays as it was drawn.

    Args:
        network: a `PixelNetwork`, or one that normalises its own pixels.
        file: a preset's file, or the weights of a run.
    Raises:
        OrthogonError: the file is damaged or another network's; the first tensor that does not fit is named.
    """
    own = network.state_dict()
    head = {name: own[name].clone() for name in stages(network)[-1].names}
    bare = isinstance(network, PixelNetwork) and not any(name.startswith("network.") for name in names(file))
    try:
        load(network.network if bare and isinstance(network, PixelNetwork) else network, file)
    except ShapeError as error:
        name = network_in(file)
        remedy = (
            f"They are the weights of {name}: set task.network={name}, or take weights of this one."
            if name
            else "Set task.network to the network they are of, or take weights of this one."
        )
        raise ShapeError(error.what, error.where, remedy) from None
    with torch.no_grad():
        for name, tensor in head.items():
            own[name].copy_(tensor)


# -- which network ----------------------------------------------------------------------------------------------


def zoo_network(
    name: str,
    num_classes: int,
    channels: int,
    size: int,
    dropout: float | None,
    preset: Preset | None,
    side_heads: bool = False,
) -> nn.Module:
    """A network of the zoo, freshly initialised, for pictures of this side.

    Args:
        name: of `image_networks()`.
        dropout: None keeps the network's own; also where the network has none.
        preset: whose weights it will take, which may want further arguments of its builder.
        side_heads: with those that help to train it, where the network has such.
    Raises:
        ConfigError: the pictures are too small for it, or of a size it cannot take.
    """
    build = builder(name)
    taken = inspect.signature(build).parameters
    arguments = {} if preset is None else preset.arguments
    chosen: dict[str, Any] = {**NETWORKS[name][2], **arguments, "num_classes": num_classes, "in_channels": channels}
    if dropout is not None and "dropout" in taken:
        chosen["dropout"] = dropout
    if "side_heads" in taken:
        chosen["side_heads"] = side_heads
    if "image_size" in taken:
        _refuse_side(name, size, preset)
        chosen["image_size"] = size
    network = build(**chosen)
    if isinstance(network, ImageNetwork) and size < network.min_size:
        raise ConfigError(
            f"{name} takes pictures from {network.min_size} pixels a side on; task.size is {size}",
            "task.size, task.network",
            f"Set task.size to {network.min_size} or more, or task.network to convnet.",
        )
    return network


def _refuse_side(name: str, size: int, preset: Preset | None) -> None:
    """Refuse a side that a network which cuts pictures into patches, or its weights, cannot take."""
    if preset is not None:
        if size != preset.size:
            raise ConfigError(
                f"weights {preset.name} take pictures of {preset.size} pixels a side and no other; task.size is {size}",
                "task.size, task.weights",
                f"Set task.size to {preset.size}, or task.weights to {NONE}.",
            )
        return
    with torch.device("meta"):
        patch = builder(name)(**NETWORKS[name][2]).patch_size
    assert isinstance(patch, int)
    if size % patch:
        below = size // patch * patch
        sizes = f"{below} or {below + patch}" if below else str(patch)
        raise ConfigError(
            f"{name} takes pictures whose side is a multiple of {patch} pixels; task.size is {size}",
            "task.size, task.network",
            f"Set task.size to {sizes}.",
        )


def suggest(
    n: int,
    side: int,
    name: str,
    weights: str,
    size: int | None,
    mode: str | None = None,
    in_time: Callable[[Sequence[int], Sequence[str]], tuple[int, str]] | None = None,
) -> dict[str, Any]:
    """Size, what to train and how, for a network of the zoo or for weights; by dotted key.

    Args:
        n: pictures of train.
        side: median of their shorter sides, in pixels.
        name, weights, size: as chosen so far; size None is open.
        mode: what to train, where it is chosen already.
        in_time: chooses among sides and regimes where there is a budget; None: it takes as long as it takes.
    """
    fast = torch.cuda.is_available()
    preset = preset_of(weights)
    transfer = mode or (regime(n) if weights != NONE else "all")
    if in_time is not None and preset is not None and _any_side(name):
        sides = [size] if size else [each for each in SIDES if each <= side] or [SIDES[-1]]
        if not size:
            sides.append(SMALLEST_SIDE)
        size, transfer = in_time(sides, [mode] if mode else list(dict.fromkeys([transfer, "head"])))
    elif size is None:
        size = _side(n, side, name, preset, fast)
    head = transfer == "head"
    passes = PICTURES_TRAINED * (128 / size) ** 2 * (GPU_SPEED if fast else 1)
    return {
        "task.size": size,
        "task.transfer": transfer,
        "task.layer_lr_decay": LAYER_LR_DECAY if transfer != "head" and weights != NONE else 1.0,
        "task.dropout": 0.2,
        "training.lr": 0.003 if head else 0.001,
        "training.weight_decay": 0.05,
        "training.batch_size": 32 if n < 20_000 else 64,
        "training.epochs": HEAD_EPOCHS if head else int(np.clip(passes / max(n, 1), 3, 40)),
    }


def regime(n: int) -> str:
    """What to train of pretrained weights on n pictures."""
    return "head" if n < HEAD_BELOW else f"last-{LAST_STAGES}" if n < LAST_BELOW else "all"


def _any_side(name: str) -> bool:
    """Position embeddings are learned for one size."""
    return "image_size" not in inspect.signature(builder(name)).parameters


def _side(n: int, side: int, name: str, preset: Preset | None, fast: bool) -> int:
    if not _any_side(name):
        return preset.size if preset is not None else NETWORKS[name][3][1]
    if preset is None:
        with torch.device("meta"):
            network = builder(name)(*NETWORKS[name][1], **NETWORKS[name][2])
        return max(min(side, 64), getattr(network, "min_size", 1))
    largest = (PIXELS_SEEN * (GPU_SPEED if fast else 1) / max(n, 1)) ** 0.5
    return next((each for each in SIDES if each <= min(side, largest)), SIDES[-1])


# -- what is trained --------------------------------------------------------------------------------------------


class Transfer:
    """Which parameters of a network are trained, from which epoch on, and how fast. The others are frozen at once.

    Args:
        network: with its weights.
        mode: "head"; "last-K": K stages before the head too; "all".
        layer_lr_decay: the learning rate of each stage below the head, as a share of that of the stage above it.
        unfreeze_epochs: epochs after which one more of the chosen stages is trained, from the head down; 0: at once.
    """

    def __init__(self, network: nn.Module, mode: str, layer_lr_decay: float = 1.0, unfreeze_epochs: int = 0) -> None:
        chain = stages(network)
        last = MODES.fullmatch(mode)
        assert last is not None
        count = len(chain) if mode == "all" else min(len(chain), 1 + int(last[1] or 0))
        self.network, self.mode, self.unfreeze_epochs = network, mode, unfreeze_epochs
        self.trained = chain[::-1][:count]  # the head first
        self.tail = tail(network)
        self.whole = count == len(chain) and not unfreeze_epochs
        parameters = dict(network.named_parameters())
        chosen = {name for stage in self.trained for name in stage.names}
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in chosen)
        self.parameters = {name: parameter for name, parameter in parameters.items() if name in chosen}
        self.lr_scales = {
            name: layer_lr_decay**depth for depth, stage in enumerate(self.trained) for name in stage.names
        }

    def frozen(self, epoch: int) -> list[str]:
        """Names of the chosen parameters that are still frozen in this epoch (from 1)."""
        if not self.unfreeze_epochs:
            return []
        return [name for stage in self.trained[1 + (epoch - 1) // self.unfreeze_epochs :] for name in stage.names]

    def hold_frozen(self) -> None:
        """In training mode, put everything that is frozen now into eval mode."""
        if self.whole or not self.network.training:
            return
        self.network.eval()
        for stage in self.trained:
            for layer in stage.modules:
                layer.train(any(parameter.requires_grad for parameter in layer.parameters()))
        self.tail.train()
        self.network.training = True  # the network itself still says so, for the next call


def unfold_norms(transfer: Transfer, pictures: Tensor) -> None:
    """Give batch norms that are trained, but were folded into their convolutions, the statistics of these pictures.

    A folded norm keeps mean 0 and deviation 1, and its weight and bias do all the work; statistics of a mini-batch
    would undo that. Afterwards the network computes what it did before, and its statistics are true.

    Args:
        pictures: (B, C, H, W) float pixels on the network's device.
    """
    found: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def look(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        var, mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
        found[norm] = mean, var

    norms = [
        layer
        for stage in transfer.trained
        for module in stage.modules
        for layer in module.modules()
        if isinstance(layer, nn.BatchNorm2d) and _folded(layer)
    ]
    if not norms:
        return
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    network, training = transfer.network, transfer.network.training
    try:
        with torch.no_grad():
            network.eval()(pictures)
            for norm, (mean, var) in found.items():
                assert norm.running_mean is not None
                assert norm.running_var is not None
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                norm.bias.add_(scale * (mean - norm.running_mean))
                norm.weight.copy_(scale * torch.sqrt(var + norm.eps))
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(var)
    finally:
        for hook in hooks:
            hook.remove()
        network.train(training)


def _folded(norm: nn.BatchNorm2d) -> bool:
    mean, var = norm.running_mean, norm.running_var
    return bool(mean is not None and var is not None and not mean.any() and (var == var[0]).all())


# -- features of the frozen part --------------------------------------------------------------------------------


def feature_file(folder: Path | None, transfer: Transfer, *facts: Any) -> Path | None:
    """Where the features of these pictures under these frozen weights are kept; None without a folder."""
    if folder is None:
        return None
    head = set(transfer.trained[0].names)
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, tensor in transfer.network.state_dict().items():
        if name not in head:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return folder / f"features-{digest.hexdigest()[:16]}.npy"


def feature_bytes(transfer: Transfer, picture: Tensor) -> int:
    """What the features of one picture (1, C, H, W) take."""
    (features,) = _through(transfer, picture)
    return features.numel() * features.element_size()


def frozen_features(
    transfer: Transfer, pictures: Callable[[int, int], Tensor], n: int, batch: int, file: Path | None, halving: Halving
) -> Tensor:
    """(n, ...) inputs of the tail, computed once and kept in the file, from which they are read where they are needed.

    Args:
        pictures: (first, stop) -> (m, C, H, W) float pixels on the network's device.
    """
    if file is None or not file.is_file():

        def seen(first: int, stop: int) -> np.ndarray[Any, Any]:
            found: np.ndarray[Any, Any] = _through(transfer, pictures(first, stop)).cpu().numpy()
            return found

        def parts() -> Iterator[np.ndarray[Any, Any]]:
            return halving.pieces(seen, n, batch, "computing features")

        if file is None or not _kept(file, parts, n):
            return torch.from_numpy(np.concatenate(list(parts())))
    # copy on write: torch wants arrays that could be written to
    return torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))


def _kept(file: Path, parts: Callable[[], Iterator[np.ndarray[Any, Any]]], n: int) -> bool:
    """Write the parts, n rows in all, one after the other; False where the disk has no room for them."""
    try:
        with atomic_file(file) as temporary:
            out, done = None, 0
            for part in parts():
                if out is None:
                    shape = (n, *part.shape[1:])
                    out = np.lib.format.open_memmap(temporary, mode="w+", dtype=part.dtype, shape=shape)
                out[done : done + len(part)] = part
                done += len(part)
            assert out is not None
            out.flush()
    except OSError:
        return False
    return True


def before_head(network: nn.Module, images: Tensor) -> Tensor:
    """What reaches the head of an image network, dropout before it aside, for these pictures, in eval mode."""
    return _inputs_of(tail(network)[0], network, images)


def _through(transfer: Transfer, images: Tensor) -> Tensor:
    """The inputs of the tail for these pictures; the network is in eval mode meanwhile."""
    return _inputs_of(transfer.tail[0], transfer.network, images)


def _inputs_of(layer: nn.Module, network: nn.Module, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    training = network.training
    hook = layer.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    try:
        with torch.inference_mode():
            network.eval()(images)
    finally:
        hook.remove()
        network.train(training)
    return kept[0]
