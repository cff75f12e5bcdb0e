"""Image classification: a picture in, one class out.

Pictures that fit in memory are held as uint8 tensors and made float on the way into the network; larger folders are
decoded when they are needed. The network normalises its own input by train's mean and deviation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from orthogon.data.augment import MOVED_KEYS, AugmentConfig, change, draw, mix, sided, uniforms
from orthogon.data.checks import contradicting_augmentation
from orthogon.data.examples import Example, Examples, Finding
from orthogon.data.images import ArrayImages, Pictures
from orthogon.data.loader import FileLoader, MemoryLoader, num_batches
from orthogon.errors import DataError, did_you_mean
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Metric, Scores
from orthogon.models import has_side_heads, image_networks, takes_dropout
from orthogon.models.convnet import ConvNet
from orthogon.models.image_network import SIDE_WEIGHT, PixelNetwork, stages
from orthogon.models.weights import PRESETS, Preset, cache_folder
from orthogon.nn.ensemble import mean_of_classes
from orthogon.nn.losses import softmax_cross_entropy
from orthogon.nn.views import Views
from orthogon.tasks import transfer
from orthogon.tasks.pace import SIDE, Costs, costs_of, in_time
from orthogon.tasks.task import Answers, Baseline, Card, Task, TaskConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.distributed import rank, world
from orthogon.training.objective import LossSum, Objective
from orthogon.training.space import MAIN, SHAPE, Parameter, Space, around, dropout, layers, smoothing

LOOKED_AT = 64  # pictures whose size and colours decide what `suggest` proposes
CONVNET = "convnet"
MOST_STAGES = 6  # of convnet
PHOTO_SIDE = 64  # side that larger pictures are brought to
HEAD_PATIENCE = 20  # evaluations without a better dev loss, where only minutes would end the training of a head
PLAIN_SIDE = 16  # pixels of a picture's side where pictures are compared as they are
EVAL_BATCH, FEWEST_AT_ONCE = 256, 16  # pictures answered at once; fewer where they are larger
EVAL_SIDE, ZOO_EVAL_SIDE = 64, 32  # up to which it is EVAL_BATCH; tensors of the wide zoo then stay below 32 MiB
LOOKS = {"whole": 1, "flip": 2, "10-crop": 10}  # at each picture, to answer
TINY_PROB = 1e-12  # a probability of 0 would make the loss infinite
COVER, COVER_GRID = 0.3, 8  # saliency: side of the covered square, as a share; places tried along each axis


class ImageClassificationConfig(TaskConfig):
    """How pictures are prepared, how large the network is and how train's pictures are varied."""

    kind: Literal["image_classification"] = "image_classification"

    size: int | None = Field(None, gt=0, le=1024, description="Side of the square the network sees, pixels.")
    resize: Literal["crop", "squash"] = Field(
        "crop", description="How a picture becomes square: its middle is cut out, or it is squeezed."
    )
    channels: Literal[1, 3] | None = Field(None, description="1 = grey, 3 = colour; from the data if unset.")

    network: str | None = Field(
        None,
        description="convnet, a small ResNet, or an image network by its name in `orthogon describe`; unset: what "
        "pretrained weights in the cache folder belong to, else convnet.",
    )
    weights: str | None = Field(
        None,
        description="none (from scratch), a preset (see `orthogon weights list`; fetched if need be) or a file; unset: "
        "a preset that lies in the cache folder and suits the pictures, else none.",
    )
    transfer: str | None = Field(
        None,
        pattern=r"^(head|last-[1-9][0-9]*|all)$",
        description="What is trained: head, last-K (K stages before the head too) or all; the rest stays bit for bit.",
    )
    layer_lr_decay: float | None = Field(
        None, gt=0, le=1, description="Learning rate of each stage below the head, as a share of the stage's above it."
    )
    unfreeze_epochs: int = Field(
        0, ge=0, description="Epochs after which one more stage is trained, from the head down; 0: all at once."
    )
    width: int | None = Field(
        None, gt=0, description="Of convnet: channels of the first stage; each further stage has twice as many."
    )
    depth: int | None = Field(None, gt=0, description="Of convnet: residual blocks a stage.")
    stages: int | None = Field(
        None, gt=0, le=MOST_STAGES, description="Of convnet: stages; each but the first halves the side."
    )
    stem_stride: Literal[1, 2, 4] | None = Field(None, description="Of convnet: stride of the first convolution.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Share of features dropped before the last layer.")

    side_weight: float | None = Field(
        None,
        ge=0,
        description="Weight of each side head's loss in the training loss, for networks that have such classifiers on "
        "hidden layers (googlenet, googlenet_bn); answers never use them. 0: it is built without.",
    )

    augment: AugmentConfig = Field(
        default_factory=AugmentConfig, description="How train's pictures are varied, each time anew."
    )

    views: Literal["whole", "flip", "10-crop"] = Field(
        "whole",
        description="What is looked at to answer: the picture; it and its mirror image; or ten crops, the corners and "
        "the middle of both. The mean is the answer, and it costs as many times more.",
    )

    memory_mib: int = Field(2048, gt=0, description="Pictures are held in memory up to this many MiB, else re-read.")
    unlike_neighbours: int = Field(5, gt=0, description="A picture is unlike train if even its k-th nearest is far.")

    @model_validator(mode="before")
    @classmethod
    def _from_first_runs(cls, values: Any) -> Any:
        """The first runs hold the keys of `augment` beside it, and in it the strength alone."""
        moved = {key: values[key] for key in MOVED_KEYS if key in values}
        if not moved:
            return values
        inside = values.get("augment")
        inside = dict(inside) if isinstance(inside, Mapping) else {"strength": inside}
        twice = [key for key in moved if key in inside]
        if twice:
            kept_key = f"task.augment.{twice[0]}"
            raise ValueError(f"task.{twice[0]} and {kept_key} are both set\nKeep {kept_key}.")
        kept = {key: value for key, value in values.items() if key not in moved}
        return {**kept, "augment": {**inside, **moved}}

    @field_validator("network")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in image_networks():
            raise ValueError(f'"{name}" is not an image network\n{did_you_mean(name, image_networks())}')
        return name

    @model_validator(mode="after")
    def _belongs_together(self) -> ImageClassificationConfig:
        of_convnet = [key for key in ("width", "depth", "stages", "stem_stride") if getattr(self, key) is not None]
        if of_convnet and self.network not in (None, CONVNET):
            key = f"task.{of_convnet[0]}"
            raise ValueError(
                f"{key} is convnet's, and task.network is {self.network}\nLeave {key} out, or set task.network=convnet."
            )
        if self.weights == transfer.NONE and self.transfer not in (None, "all"):
            raise ValueError(
                f"task.transfer is {self.transfer}, but task.weights is {transfer.NONE}: what is frozen would stay "
                f"random\nSet task.transfer=all, or fetch weights: orthogon weights get {transfer.OFFERED}"
            )
        if self.side_weight and (self.transfer not in (None, "all") or self.unfreeze_epochs):
            partly = (
                f"task.transfer is {self.transfer}"
                if self.transfer not in (None, "all")
                else f"task.unfreeze_epochs is {self.unfreeze_epochs}"
            )
            raise ValueError(
                f"task.side_weight is {self.side_weight:g}, but {partly}: side heads help where the whole network is "
                "trained from the start\nSet task.side_weight=0."
            )
        return self


class ImageClassification(Task):
    """Picture -> one of the classes that train holds."""

    kind: ClassVar[str] = "image_classification"
    Config: ClassVar[type[TaskConfig]] = ImageClassificationConfig
    config: ImageClassificationConfig

    def __init__(self, config: TaskConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.classes: list[str] = []
        self.mean: list[float] = []
        self.std: list[float] = []
        self.colors: list[list[float]] = []
        self.size, self.channels = 0, 0
        self.thumbnails = np.zeros((2, 0, 0), np.uint8)
        self.thumbnail_scale = [(0.0, 1.0)] * 2
        self.reason = ""
        self.preset: Preset | None = None  # that the weights are, as `fit` found it: their file may go later

    # -- data ---------------------------------------------------------------------------------------------------

    def strata(self, examples: Examples) -> NDArray[Any] | None:
        return np.array(["" if target is None else str(target) for target in examples.targets()])

    def suggest(self, train: Examples) -> dict[str, Any]:
        side, colour = _look(train)
        name, weights = self._network_and_weights(side)
        size = self.config.size or (side if side <= 40 else PHOTO_SIDE)
        n, small = len(train), size <= 16
        stride = self.config.stem_stride or (1 if small else 2 if size <= 96 else 4)
        # Pictures seen in all: what two cores do in some ten seconds (tiny ones) to two minutes (larger ones).
        passes = 20_000 if small else min(100_000, 45_000 * (32 * stride / size) ** 2)
        names = {str(target) for target in train.targets() if target is not None}
        chosen = {
            "task.network": name,
            "task.weights": weights,
            "task.transfer": "all",
            "task.layer_lr_decay": 1.0,
            "task.size": size,
            "task.channels": 3 if colour else 1,
            "task.width": 32 if n < 20_000 else 48,
            "task.depth": 1,
            "task.stages": 3 if size <= 40 else 4,
            "task.stem_stride": stride,
            "task.dropout": 0.0 if small else 0.2,
            "task.side_weight": 0.0,
            "task.augment.strength": 1.0,
            # Mirroring makes another sign of a digit or a letter, and tiny or grey pictures are often just that.
            "task.augment.flip": 0.5 if colour and size > 40 and not sided(names) else 0.0,
            "training.lr": 0.003,
            "training.weight_decay": 0.05,
            "training.batch_size": 32 if n < 5_000 else 64 if n < 20_000 else 128,
            "training.epochs": int(np.clip(passes / max(n, 1), 6, 100)),
        }
        if name == CONVNET and weights == transfer.NONE:
            return chosen
        given = self.config.size, self.config.transfer
        chosen |= transfer.suggest(
            n, side, name, weights, *given, None if self.minutes is None else self._in_time(n, name)
        )
        if name != CONVNET:
            for key in ("width", "depth", "stages", "stem_stride"):
                del chosen[f"task.{key}"]
        if transfer.preset_of(weights) is not None:
            chosen["task.channels"] = 3  # a grey picture is three equal channels to them
        if not takes_dropout(name):
            del chosen["task.dropout"]
        if has_side_heads(name) and weights == transfer.NONE and not self.config.unfreeze_epochs:
            chosen["task.side_weight"] = SIDE_WEIGHT  # they are for the long way from random weights
        if (self.config.transfer or chosen["task.transfer"]) == "head" and not self.config.augment.asked:
            # then the frozen part needs to see each picture only once
            chosen |= {"task.augment.strength": 0.0, "task.augment.flip": 0.0}
            if self.minutes is not None:  # enough for thousands of epochs of the head: they end where dev's loss does
                chosen["training.patience"] = HEAD_PATIENCE
        return chosen

    def search_space(self, training: TrainingConfig) -> Space:
        config, space = self.config, super().search_space(training)
        if config.network == CONVNET and config.weights in (None, transfer.NONE):
            if config.width is not None:
                space["task.width"] = around(config.width, MAIN, least=8)
            if config.depth is not None:
                space["task.depth"] = layers(config.depth)
            if config.stages is not None and config.size is not None and config.stem_stride is not None:
                # the last stage keeps a side of 2: of one pixel and one picture batch norm makes nothing
                most = int(math.log2(max(2, config.size // config.stem_stride)))
                space["task.stages"] = layers(config.stages, more=1, most=max(config.stages, min(MOST_STAGES, most)))
        if takes_dropout(config.network or CONVNET):
            space["task.dropout"] = dropout(config.dropout)
        space["task.augment.strength"] = Parameter("linear", 0.0, 1.0, SHAPE, config.augment.strength)
        space["training.label_smoothing"] = smoothing(training)
        return space

    def _in_time(self, n: int, name: str) -> Callable[[Sequence[int], Sequence[str]], tuple[int, str]]:
        """Chooses the side, and how much of a network is trained, that suit the minutes of the training."""
        assert self.minutes is not None

        def build() -> nn.Module:
            return transfer.zoo_network(name, 10, 3, SIDE, None, None)

        def costs(mode: str) -> Costs:
            return costs_of(build, mode, 3, self.clock)

        return partial(in_time, n, seconds=60 * self.minutes, costs=costs)

    def _network_and_weights(self, side: int) -> tuple[str, str]:
        """As the config says, and where it does not: pretrained weights that lie here, for pictures large enough."""
        name, weights = self.config.network, self.config.weights
        transfer.refuse_strange(name, weights)
        if weights is None and name != CONVNET and side >= PHOTO_SIDE:
            found, _ = transfer.found_preset(name)
            weights = None if found is None else found.name
        preset = transfer.preset_of(weights)
        return name or (CONVNET if preset is None else preset.network), weights or transfer.NONE

    def findings(self, train: Examples) -> list[Finding]:
        found = [*contradicting_augmentation(train, self.config.augment), *self._contradicting_views(train)]
        found += self._idle_dropout()
        found += self._idle_side_weight()
        found += self._strange_weights()
        preset = transfer.preset_of(self.config.weights)
        n = sum(target is not None for target in train.targets())
        if preset is None or n >= preset.min_images:
            return found
        message = f"train has {n} pictures; training from {preset.name} wants at least {preset.min_images}"
        remedy = "Bring more pictures: with so few, the head learns them by heart."
        return [*found, Finding("few-pictures", "warning", message, count=n, remedy=remedy)]

    def _strange_weights(self) -> list[Finding]:
        """Files of weights that are not what their names say: the one that is used, and those that were passed over."""
        weights, found = self.config.weights, []
        named = transfer.preset_by_name(weights)
        if named is not None and transfer.preset_of(weights) != named:
            message = f"{weights} has the name of {named.name}, but these are other weights: its SHA-256 is not theirs."
            remedy = f"Set task.weights={named.name} for the published ones."
            found.append(Finding("other-weights", "warning", message, 1, (str(weights),), remedy))
        if self.size >= PHOTO_SIDE:
            for error in transfer.found_preset()[1]:
                message = f"{error.what}. It is passed over."
                found.append(Finding("damaged-weights", "warning", message, 1, (error.where,), error.remedy))
        return found

    def _idle_dropout(self) -> list[Finding]:
        """Dropout is declared for a network that has none."""
        share, name = self.config.dropout, self.config.network or CONVNET
        if not share or takes_dropout(name):
            return []
        message = f"task.dropout is {share:g}, but {name} has no dropout: nothing is dropped."
        remedy = "Leave task.dropout out, or set task.network to one that has it."
        return [Finding("dropout-idle", "warning", message, 1, ("task.dropout",), remedy)]

    def _idle_side_weight(self) -> list[Finding]:
        """A weight is declared for side heads of a network that has none."""
        weight, name = self.config.side_weight, self.config.network or CONVNET
        if not weight or has_side_heads(name):
            return []
        message = f"task.side_weight is {weight:g}, but {name} has no side heads: it changes nothing."
        remedy = "Leave task.side_weight out, or set task.network to one that has them."
        return [Finding("side-weight-idle", "warning", message, 1, ("task.side_weight",), remedy)]

    def _contradicting_views(self, train: Examples) -> list[Finding]:
        """Mirror images are looked at to answer, and those of some classes are no longer of their class."""
        mirrored = sided(sorted({str(target) for target in train.targets() if target is not None}))
        if self.config.views == "whole" or not mirrored:
            return []
        shown = ", ".join(f'"{name}"' for name in mirrored[:4]) + (" and others" if len(mirrored) > 4 else "")
        message = f"Mirror images are looked at to answer, but that of {shown} is no longer of its class."
        return [Finding("views-mirrored", "warning", message, len(mirrored), (train.name,), "Set task.views=whole.")]

    def about_network(self) -> str:
        config = self.config
        if config.weights not in (None, transfer.NONE):
            said = self.preset.notice if self.preset is not None else f"Weights {config.weights}."
            anew = " Pictures are varied (task.augment), so each epoch passes them through the frozen part anew."
            varied = config.transfer == "head" and self.augments
            return f"{said} {self._trained_in_words()}.{anew if varied else ''}"
        if self.size < PHOTO_SIDE:
            return ""
        network, folder = config.network or CONVNET, cache_folder()
        here, _ = transfer.found_preset(None if network == CONVNET else network)
        if here is not None:
            return f"From scratch: the weights {here.name} in {folder} are not used."
        if network != CONVNET:
            offered = [preset.name for preset in PRESETS.values() if preset.network == network]
            fetch = f" To fetch some: orthogon weights get {offered[0]}" if offered else ""
            return f"No weights of {network} in {folder}: from scratch.{fetch}"
        return (
            f"No pretrained weights in {folder}: from scratch. To fetch some: orthogon weights get {transfer.OFFERED}"
        )

    def _trained_in_words(self) -> str:
        mode = self.config.transfer or "all"
        if mode in ("head", "all"):
            return "Only its head is trained" if mode == "head" else "All of it is trained"
        with torch.device("meta"):
            below = len(stages(self.network())) - 1
        count = int(mode.removeprefix("last-"))
        if count >= below:
            return f"All of it is trained: its head and the {below} stages before it"
        return f"Its head and {count} stage{'' if count == 1 else 's'} before it are trained"

    def fit(self, train: Examples) -> None:
        targets = self.strata(train)
        assert targets is not None
        labelled = targets[targets != ""]
        names, counts = np.unique(labelled, return_counts=True)
        if len(names) < 2:
            what = (
                f'train has only one class, "{names[0]}" ({counts[0]} pictures)'
                if len(names)
                else "no picture has a class"
            )
            raise DataError(
                what, train.name, "Add pictures of at least one other class: one folder a class, its name the class."
            )
        self.classes = [str(name) for name in names]
        sizes = ["size", "channels"]
        if self.config.network in (None, CONVNET):
            sizes += ["width", "depth", "stages", "stem_stride"]
        missing = [key for key in sizes if getattr(self.config, key) is None]
        if missing:
            chosen = self.suggest(train)
            self.config = self.config.model_copy(update={key: chosen[f"task.{key}"] for key in missing})
        self.size, self.channels = _size(self.config.size), _size(self.config.channels)
        self.reason = f"pictures with one of {len(names)} class names each"
        sample = _spread(len(train), 2000)
        pixels = self._pixels(train, sample)
        values = pixels.float().transpose(0, 1).flatten(1)  # (C, everything else)
        covariance = np.atleast_2d(np.cov(values.numpy() / 255))
        self.colors = [[round(float(v), 6) for v in row] for row in covariance]
        weights = self.config.weights
        transfer.refuse_strange(self.config.network or CONVNET, weights)
        self.preset = transfer.preset_of(weights)
        if self.preset is None:
            self.mean = [round(float(v), 4) for v in values.mean(dim=1)]
            self.std = [max(round(float(v), 4), 1.0) for v in values.std(dim=1)]
        else:
            self.mean, self.std = transfer.pixel_statistics(self.preset, self.channels)
        self._fit_unlike(pixels)
        # what is missing or does not fit is told before a run is made of it
        with torch.device("meta"):
            network = self.network()
        if weights not in (None, transfer.NONE):
            transfer.load_body(network, transfer.weights_file(str(weights)))

    def state(self) -> dict[str, Any]:
        return {
            "classes": self.classes,
            "size": self.size,
            "channels": self.channels,
            "mean": self.mean,
            "std": self.std,
            "colors": self.colors,
            "reason": self.reason,
            "preset": "" if self.preset is None else self.preset.name,
            "thumbnails": self.thumbnails,
            "thumbnail_scale": self.thumbnail_scale,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.classes = list(state["classes"])
        self.size, self.channels = int(state["size"]), int(state["channels"])
        self.mean, self.std = list(state["mean"]), list(state["std"])
        self.colors = list(state.get("colors", []))  # the first runs did not need them
        self.reason = str(state["reason"])
        # the first runs went by the file's name
        by_name = transfer.preset_by_name(self.config.weights)
        self.preset = PRESETS.get(state["preset"]) if "preset" in state else by_name
        known, scale = np.asarray(state["thumbnails"]), np.atleast_2d(state["thumbnail_scale"])
        self.thumbnails = known if known.ndim == 3 else known[None]  # the first runs knew light alone
        self.thumbnail_scale = [(float(typical), float(edge)) for typical, edge in scale]

    def class_names(self) -> list[str]:
        return self.classes

    # -- training -----------------------------------------------------------------------------------------------

    def network(self) -> nn.Module:
        config = self.config
        if config.network not in (None, CONVNET):
            name, count = str(config.network), len(self.classes)
            side_heads = bool(config.side_weight)
            inner = transfer.zoo_network(name, count, self.channels, self.size, config.dropout, self.preset, side_heads)
            return PixelNetwork(inner, self.mean, self.std)
        return ConvNet(
            self.channels,
            len(self.classes),
            width=_size(config.width),
            depth=_size(config.depth),
            stages=_size(config.stages),
            stem_stride=_size(config.stem_stride),
            dropout=config.dropout or 0.0,
            mean=self.mean,
            std=self.std,
        )

    def objective(
        self, network: nn.Module, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> Objective:
        if self.config.weights not in (None, transfer.NONE):
            transfer.load_body(network, transfer.weights_file(str(self.config.weights)))
        return _ImageObjective(self, network, train, dev, training)

    def expected_loss(self) -> float | None:
        loss = super().expected_loss()
        with torch.device("meta"):
            side_heads = getattr(getattr(self.network(), "network", None), "num_side_heads", 0)
        return None if loss is None else loss * (1 + (self.config.side_weight or 0.0) * side_heads)

    def deployed(self, network: nn.Module) -> nn.Module:
        return network if self.config.views == "whole" else Views(network, self.config.views == "10-crop")

    def average(self, outputs: Tensor) -> Tensor:
        return mean_of_classes(outputs)

    @property
    def eval_batch(self) -> int:
        """Pictures that are answered at once."""
        side = EVAL_SIDE if self.config.network in (None, CONVNET) else ZOO_EVAL_SIDE
        return int(np.clip(EVAL_BATCH * (side / self.size) ** 2, FEWEST_AT_ONCE, EVAL_BATCH))

    def augmented(self, images: Tensor, u: Tensor) -> Tensor:
        """(B, C, size, size) pixels, changed as the config says and the numbers (B, columns) of `uniforms` decide."""
        colors = torch.tensor(self.colors) if self.colors else None
        return change(images.float(), draw(self.config.augment, u), colors)

    @property
    def augments(self) -> bool:
        return self.config.augment.active

    def preview(
        self, train: Examples, count: int, epochs: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[tuple[NDArray[np.uint8], NDArray[np.int64], float]]]:
        """What training sees of a few labelled examples, of as many classes as can be.

        Returns:
            their rows in train; the pictures (n, size, size, C) as they are; and of each of the first epochs the varied
            pictures, where pictures are mixed the place among them of each one's partner, and its own share.
        """
        truth = self._truth(train)
        known = np.flatnonzero(truth >= 0)
        _, first = np.unique(truth[known], return_index=True)
        places = first[_spread(len(first), count)]  # one of each class, then any
        more = np.setdiff1d(_spread(len(known), 2 * count), places)[: count - len(places)]
        places = np.concatenate([places, more])
        pixels = self._pixels(train, known[places])

        def shown(images: Tensor) -> NDArray[np.uint8]:
            return images.round().byte().permute(0, 2, 3, 1).numpy()

        found = []
        for epoch in range(1, epochs + 1):
            u = uniforms(self.seed, epoch, places)
            images, partners, share = self.augmented(pixels, u), np.arange(len(places)), 1.0
            if self.config.augment.mixes:
                images, partners, share = mix(images, self.config.augment, u)
            found.append((shown(images), partners, share))
        return known[places], shown(pixels.float()), found

    # -- answers ------------------------------------------------------------------------------------------------

    def answers(self, network: nn.Module, examples: Examples, ids: NDArray[np.int64] | None = None) -> Answers:
        network.eval()

        def said(first: int, stop: int) -> NDArray[np.float32]:
            images = self._pixels(examples, np.arange(first, stop)).to(_device(network)).float()
            probs: NDArray[np.float32] = network(images).softmax(dim=1).cpu().numpy()
            return probs

        at_once = max(1, self.eval_batch // LOOKS[self.config.views])
        parts = [np.zeros((0, len(self.classes)), np.float32)]
        with torch.inference_mode():
            parts += self.halving.pieces(said, len(examples), at_once, "answering pictures")
        probs = np.concatenate(parts)
        answer = np.array(self.classes)[probs.argmax(axis=1)]
        return Answers(
            {"answer": answer, "probs": probs, "confidence": probs.max(axis=1)},
            np.arange(len(examples)) if ids is None else ids,
        )

    def features(self, network: nn.Module, examples: Examples) -> NDArray[np.float32]:
        bare = network.network if isinstance(network, Views) else network

        def seen(first: int, stop: int) -> NDArray[np.float32]:
            images = self._pixels(examples, np.arange(first, stop)).to(_device(bare)).float()
            found: NDArray[np.float32] = transfer.before_head(bare, images).flatten(1).cpu().numpy()
            return found

        return np.concatenate(list(self.halving.pieces(seen, len(examples), self.eval_batch, "computing features")))

    def plain_inputs(self, examples: Examples) -> NDArray[np.float32]:
        """(n, pixels in 0..1), at most 16 by 16."""
        side, parts = min(self.size, PLAIN_SIDE), [np.zeros((0, min(self.size, PLAIN_SIDE) ** 2 * self.channels))]
        for first in range(0, len(examples), EVAL_BATCH):
            rows = np.arange(first, min(first + EVAL_BATCH, len(examples)))
            small = F.adaptive_avg_pool2d(self._pixels(examples, rows).float(), side)
            parts.append(small.flatten(1).numpy() / 255)
        return np.concatenate(parts).astype(np.float32)

    def score(self, answers: Answers, examples: Examples) -> Scores:
        return self._scores(answers.values["probs"], examples, answers.ids)

    def metrics(self) -> dict[str, Metric]:
        return classification_metrics(self.classes, self.positive)

    def baselines(self, train: Examples, dev: Examples, dev_ids: NDArray[np.int64]) -> list[Baseline]:
        """Majority class, a linear model on pixels and the nearest neighbours, all on the same train split."""
        from orthogon.tasks.pixel_baselines import linear_model, nearest_neighbours

        rows = np.flatnonzero(self._truth(train) >= 0)
        rows = rows[_spread(len(rows), 5000)]
        y = self._truth(train)[rows]
        side = min(self.size, 32)
        x, x_dev = (
            F.adaptive_avg_pool2d(pixels.float(), side).flatten(1).numpy() / 255
            for pixels in (self._pixels(train, rows), self._pixels(dev, np.arange(len(dev))))
        )
        shares = np.bincount(y, minlength=len(self.classes)) / len(y)
        found = [Baseline("majority class", self._scores(np.tile(shares, (len(dev), 1)), dev, dev_ids), 0.0)]
        for name, model in (("linear model on pixels", linear_model), ("nearest neighbours", nearest_neighbours)):
            start = time.perf_counter()
            probs = model(x, y, x_dev, len(self.classes), self.seed)
            found.append(Baseline(name, self._scores(probs, dev, dev_ids), time.perf_counter() - start))
        return found

    # -- what people see ----------------------------------------------------------------------------------------

    def show(self, example: Example, answers: Answers, row: int, network: nn.Module | None = None) -> Card:
        probs = answers.values["probs"][row]
        truth = "" if example.target is None else str(example.target)
        known = truth in self.classes
        image = np.asarray(example.input)
        heat = None
        if network is not None:
            heat = self._saliency(network, image, int(probs.argmax()))
        return Card(
            kind="image",
            title=str(example.origin),
            truth=truth,
            answer=str(answers.values["answer"][row]),
            confidence=float(probs.max()),
            loss=float(-np.log(max(probs[self.classes.index(truth)], TINY_PROB))) if known else None,
            image=image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image,
            heat=heat,
        )

    def _saliency(self, network: nn.Module, image: NDArray[np.uint8], k: int) -> NDArray[np.float32]:
        """How much class k loses against the others when a part of the picture is covered by train's mean colour.

        Source: Zeiler & Fergus 2013, arXiv:1311.2901, section 4.2 (occlusion sensitivity).
        Differs: the margin of class k's logit instead of its probability, which saturates.
        Returns:
            (rows, columns) in 0..1 over the whole picture; 0 where it was cut off.
        """
        network.eval()
        S, device = self.size, _device(network)
        pixels = self._pixels(ArrayImages(image[None]), np.zeros(1, np.int64)).float().to(device)  # (1, C, S, S)
        grid = min(S, COVER_GRID)
        centres = (torch.arange(grid, device=device) + 0.5) * S / grid
        near = ((torch.arange(S, device=device) + 0.5)[None] - centres[:, None]).abs() <= S * COVER / 2  # (grid, S)
        covered = (near[:, None, :, None] & near[None, :, None, :]).reshape(-1, 1, S, S)  # (grid², 1, S, S)
        mean = torch.tensor(self.mean, device=device).reshape(1, -1, 1, 1)
        with torch.inference_mode():
            variants = torch.cat([pixels, torch.where(covered, mean, pixels)])
            logits = torch.cat(
                list(
                    self.halving.pieces(
                        lambda first, stop: network(variants[first:stop]), len(variants), len(variants), "explaining"
                    )
                )
            )
            others = torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1)
            margin = logits[:, k] - others.logsumexp(dim=1)
            loss = (margin[0] - margin[1:]).clamp_min(0).reshape(1, 1, grid, grid)
            heat = F.interpolate(loss, size=(S, S), mode="bilinear", align_corners=False)[0, 0]
            seen = (heat / heat.max().clamp_min(1e-12)).cpu().numpy()
        height, width = image.shape[:2]
        if self.config.resize == "squash" or height == width:
            return seen
        side = min(height, width)
        whole = np.zeros((round(height * S / side), round(width * S / side)), np.float32)
        top, left = (whole.shape[0] - S) // 2, (whole.shape[1] - S) // 2
        whole[top : top + S, left : left + S] = seen
        return whole

    def unlike_train(self, examples: Examples) -> NDArray[np.float64]:
        if not self.thumbnails.size:
            return np.zeros(len(examples))
        parts = [np.zeros(0)]
        for images in self._batches(examples):
            unlike = np.zeros(len(images))
            known = zip(_thumbnails(images), self.thumbnails, self.thumbnail_scale, strict=False)
            for seen, trained_on, (typical, edge) in known:
                distance = _kth_distance(seen, trained_on, self.config.unlike_neighbours)
                unlike = np.maximum(unlike, (distance - typical) / (edge - typical))
            parts.append(unlike)
        return np.concatenate(parts)

    def _fit_unlike(self, pixels: Tensor) -> None:
        """Calibrate distance to train's thumbnails: median 0, all but the oddest 0.5 % of train (left out) up to 1."""
        self.thumbnails = _thumbnails(pixels)
        self.thumbnail_scale = []
        for known in self.thumbnails:
            k = min(self.config.unlike_neighbours, len(known) - 1)
            distance = _kth_distance(known, known, k + 1)  # the nearest is the picture itself
            typical, edge = float(np.median(distance)), float(np.quantile(distance, 0.995))
            self.thumbnail_scale.append((typical, max(edge, typical + 1.0)))

    # -- export -------------------------------------------------------------------------------------------------

    def example_inputs(self, batch_size: int = 2) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        shape = (batch_size, self.channels, self.size, self.size)
        return (torch.rand(shape, generator=generator) * 255,)

    def input_names(self) -> list[str]:
        return ["images"]

    def preprocessing(self) -> dict[str, Any]:
        return {
            "layout": "batch, channel, row, column",
            "channels": "grey" if self.channels == 1 else "red, green, blue",
            "size": self.size,
            "resize": "shorter side to size, then the middle" if self.config.resize == "crop" else "both sides to size",
            "range": [0, 255],
            "normalisation": "inside the network",
            "outputs": "logits, one a class; softmax gives probabilities",
        }

    # -- pixels and labels --------------------------------------------------------------------------------------

    def _pixels(self, examples: Examples, rows: NDArray[np.int64]) -> Tensor:
        """(n, C, size, size) uint8 of these rows."""
        if not len(rows):
            return torch.zeros((0, self.channels, self.size, self.size), dtype=torch.uint8)
        assert isinstance(examples, Pictures)
        pixels = examples.pixels(self.size, rows, self.channels, self.config.resize)  # (n, size, size, C)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))

    def _batches(self, examples: Examples) -> Iterator[Tensor]:
        for first in range(0, len(examples), EVAL_BATCH):
            yield self._pixels(examples, np.arange(first, min(first + EVAL_BATCH, len(examples))))

    def _truth(self, examples: Examples) -> NDArray[np.int64]:
        """(n,) class numbers, -1 where unlabelled.

        Raises:
            DataError: a class that train did not hold.
        """
        number = {name: k for k, name in enumerate(self.classes)}
        targets = examples.targets()
        for i, target in enumerate(targets):
            if target is not None and str(target) not in number:
                raise DataError(
                    f'class "{target}" is not one of the {len(number)} classes of train',
                    str(examples[i].origin),
                    did_you_mean(str(target), number) + " Correct the label, or train on data that holds this class.",
                )
        return np.array([-1 if target is None else number[str(target)] for target in targets], dtype=np.int64)

    def _scores(self, probs: NDArray[Any], examples: Examples, ids: NDArray[np.int64]) -> Scores:
        truth = self._truth(examples)
        rows = np.flatnonzero(truth >= 0)
        truth, probs = truth[rows], np.asarray(probs)[rows]
        answer = probs.argmax(axis=1)
        loss = -np.log(np.maximum(probs[np.arange(len(rows)), truth], TINY_PROB))
        records = {
            "truth": truth,
            "answer": answer,
            "probs": probs,
            "wrong": (answer != truth).astype(np.float64),
            "loss": loss.astype(np.float64),
        }
        groups = None if examples.groups is None else examples.groups[rows]
        return Scores(records, np.asarray(ids)[rows], groups)


class _ImageObjective(Objective):
    """Summed cross-entropy of a batch of pictures; count = their summed class weights.

    Where only the head is trained and pictures are not varied, batches hold the head's inputs, computed once.
    """

    sharded = True

    def __init__(
        self,
        task: ImageClassification,
        network: nn.Module,
        train: Examples,
        dev: Examples | None,
        training: TrainingConfig,
    ) -> None:
        self.task, self._network, self.training = task, network, training
        truth = task._truth(train)
        self.rows = np.flatnonzero(truth >= 0)
        self.truth = torch.from_numpy(truth[self.rows])
        self.weights = class_weights(training, task.classes, truth[self.rows])
        self.train, self.dev = train, dev
        self.batch_size = _size(training.batch_size)
        config = task.config
        self.transfer = transfer.Transfer(
            network, config.transfer or "all", config.layer_lr_decay or 1.0, config.unfreeze_epochs
        )
        if config.weights not in (None, transfer.NONE):
            seen = task._pixels(train, self.rows[_spread(len(self.rows), LOOKED_AT)])
            transfer.unfold_norms(self.transfer, seen.to(_device(network)).float())
        self._from_features = self.transfer.mode == "head" and not task.augments and self._features_fit()
        in_memory = len(self.rows) * task.channels * task.size**2 <= task.config.memory_mib * 2**20
        in_memory = in_memory and not self._from_features
        self._pixels = task._pixels(train, self.rows) if in_memory else None
        self._loader: MemoryLoader | FileLoader | None = None
        self._dev_pixels = task._pixels(dev, np.arange(len(dev))) if dev is not None and in_memory else None
        self._dev_truth = torch.from_numpy(task._truth(dev)) if dev is not None else None
        self._dev_features: Tensor | None = None

    def _features_fit(self) -> bool:
        task, train = self.task, self.train
        assert isinstance(train, Pictures)
        bytes_each = transfer.feature_bytes(self.transfer, task.example_inputs(1)[0].to(_device(self._network)))
        most = task.config.memory_mib * 2**20 if train.cache is None else transfer.FEATURE_BYTES
        return len(self.rows) * bytes_each <= most

    def _features(self, examples: Examples, rows: NDArray[np.int64]) -> Tensor:
        """(n, ...) inputs of the head's layers for these rows, from the cache folder or computed now."""
        task, device = self.task, _device(self._network)
        assert isinstance(examples, Pictures)

        def pictures(first: int, stop: int) -> Tensor:
            return task._pixels(examples, rows[first:stop]).to(device).float()

        facts = (examples.fingerprint(), rows.tolist(), task.size, task.channels, task.config.resize)
        file = transfer.feature_file(examples.cache, self.transfer, *facts)
        return transfer.frozen_features(self.transfer, pictures, len(rows), task.eval_batch, file, task.halving)

    def _features_of_dev(self) -> None:
        if self._dev_features is None and self.dev is not None:
            self._dev_features = self._features(self.dev, np.arange(len(self.dev)))

    def _varied(self, batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, ...]:
        """(pictures, classes, rows) with the pictures as float, varied each by its own draws."""
        images, truth, rows = batch
        if self.task.augments:
            return self.task.augmented(images, uniforms(self.task.seed, epoch, rows.numpy())), truth, rows
        return images.float(), truth, rows

    def _mixed(self, batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, ...]:
        """(pictures, classes) of a varied batch, and where it is mixed each one's (partner's class, own share)."""
        images, truth, rows = batch
        augment = self.task.config.augment
        if not augment.mixes or not len(rows):
            return images, truth
        u = uniforms(self.task.seed, epoch, rows.numpy())
        images, partners, share = mix(images, augment, u)
        return images, truth, truth[torch.from_numpy(partners)], torch.full((len(rows),), share)

    def _varied_and_mixed(self, batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, ...]:
        return self._mixed(self._varied(batch, epoch), epoch)

    def _get(self, i: int, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        task, train = self.task, self.train
        assert isinstance(train, Pictures)
        picture = train.load(int(self.rows[i]), task.size, task.channels, task.config.resize)  # (size, size, C)
        pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        images, truth, rows = self._varied((pixels, self.truth[i : i + 1], torch.tensor([i])), epoch)
        return images[0], truth[0], rows[0]

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return self.transfer.parameters

    def lr_scales(self) -> Mapping[str, float]:
        return self.transfer.lr_scales

    def frozen(self, epoch: int) -> Collection[str]:
        return self.transfer.frozen(epoch)

    def network(self) -> nn.Module:
        return self._network

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        if self._loader is None:  # the processes have found each other only now
            n, size, seed = len(self.rows), self.batch_size, self.task.seed
            if self._from_features:
                tensors: tuple[Tensor, ...] = (self._features(self.train, self.rows), self.truth)
                self._features_of_dev()
                self._loader = MemoryLoader(tensors, size, seed, rank=rank(), world=world())
            elif self._pixels is not None:
                tensors = (self._pixels, self.truth, torch.arange(n))
                self._loader = MemoryLoader(
                    tensors, size, seed, transform=self._varied_and_mixed, rank=rank(), world=world()
                )
            else:
                self._loader = FileLoader(
                    self._get, n, size, seed, workers=self.training.workers, rank=rank(), world=world()
                )
        batches = self._loader.batches(epoch, start)
        if isinstance(self._loader, MemoryLoader):
            return batches
        return (self._mixed(batch, epoch) if batch else batch for batch in batches)  # pairs are of one batch

    def batches_per_epoch(self) -> int:
        return num_batches(len(self.rows), self.batch_size)

    def loss(self, batch: Any) -> LossSum:
        device = _device(self._network)
        images, truth, *mixed = (tensor.to(device, non_blocking=True) for tensor in batch)
        logits, *of_side_heads = self._logits(images)

        def summed(logits: Tensor) -> tuple[Tensor, float]:
            loss, count = self._cross_entropy(logits, truth)
            if mixed:
                partners, share = mixed[0], float(mixed[1][0])
                others, weight = self._cross_entropy(logits, partners)
                loss, count = share * loss + (1 - share) * others, share * count + (1 - share) * weight
            return loss, count

        loss, count = summed(logits)
        for side in of_side_heads:
            loss = loss + (self.task.config.side_weight or 0.0) * summed(side)[0]
        return loss, count, {}

    def _cross_entropy(self, logits: Tensor, classes: Tensor) -> tuple[Tensor, float]:
        smoothing = self.training.label_smoothing
        return softmax_cross_entropy(logits, classes, class_weights=self.weights, label_smoothing=smoothing)

    def _logits(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(B, K) of pictures (B, C, H, W), or of what the frozen part made of them; in training of side heads too."""
        if self._from_features:
            return (self.transfer.tail(inputs).flatten(1),)
        self.transfer.hold_frozen()
        outputs = self._network(inputs)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)

    def evaluate(self) -> dict[str, float]:
        if self.dev is None or self._dev_truth is None:
            return {}
        self._network.eval()
        if self._from_features:
            self._features_of_dev()
        dev, truths, device = self.dev, self._dev_truth, _device(self._network)
        pixels = self._dev_pixels if self._dev_features is None else self._dev_features

        def judged(first: int, stop: int) -> tuple[float, int, int]:
            images = pixels[first:stop] if pixels is not None else self.task._pixels(dev, np.arange(first, stop))
            truth = truths[first:stop].to(device)
            known = truth >= 0
            logits, truth = self._logits(images.to(device).float())[0][known], truth[known]
            wrong = int((logits.argmax(dim=1) != truth).sum().item())
            return F.cross_entropy(logits, truth, reduction="sum").item(), wrong, len(truth)

        with torch.inference_mode():
            parts = list(self.task.halving.pieces(judged, len(dev), self.task.eval_batch, "measuring dev"))
        loss, wrong, count = (sum(column) for column in zip(*parts, strict=True)) if parts else (0.0, 0, 0)
        return {"loss": loss / count, "error": wrong / count} if count else {}


def class_weights(training: TrainingConfig, classes: Sequence[str], truth: NDArray[np.int64]) -> Tensor | None:
    """(K,) weight of each class in the loss; None when all weigh the same. Balanced: n / (K n_k).

    Raises:
        DataError: a weight for a class that does not exist.
    """
    if training.class_weights == "none":
        return None
    if training.class_weights == "balanced":
        counts = np.bincount(truth, minlength=len(classes))
        return torch.tensor(len(truth) / (len(classes) * np.maximum(counts, 1)), dtype=torch.float32)
    for name in training.class_weights:
        if name not in classes:
            raise DataError(f'"{name}" is not a class', "training.class_weights", did_you_mean(name, classes))
    return torch.tensor([training.class_weights.get(name, 1.0) for name in classes])


def _look(train: Examples) -> tuple[int, bool]:
    """(median of the shorter sides, whether there is colour), from a few pictures."""
    assert isinstance(train, Pictures)
    images = [np.asarray(train[int(i)].input) for i in _spread(len(train), LOOKED_AT)]
    sides = int(np.median([min(image.shape[:2]) for image in images])) if images else PHOTO_SIDE
    return sides, train.channels == 3 and any(np.ptp(image, axis=2).any() for image in images)


def _size(value: int | None) -> int:
    assert value is not None, "the config of a run is complete; fit fills what a task made by hand leaves open"
    return value


def _spread(n: int, count: int) -> NDArray[np.int64]:
    """At most `count` of 0..n-1, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(np.int64)) if n else np.zeros(0, np.int64)


def _thumbnails(images: Tensor, side: int = 8) -> NDArray[np.uint8]:
    """(2, n, C side²): light and roughness of each place, what little it takes to see a picture of another kind.

    Roughness is the mean difference of neighbouring pixels: by light alone, noise would look like an even grey wall.
    """
    images = images.float()
    right = (images[..., :, 1:] - images[..., :, :-1]).abs()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs()
    rough = (F.adaptive_avg_pool2d(right, side) + F.adaptive_avg_pool2d(down, side)) / 2
    light = F.adaptive_avg_pool2d(images, side)
    return torch.stack([light.flatten(1), rough.flatten(1)]).round().to(torch.uint8).numpy()


def _kth_distance(queries: NDArray[np.uint8], known: NDArray[np.uint8], k: int) -> NDArray[np.float64]:
    """(n,) Euclidean distance of each query to its k-th nearest known row."""
    distances = torch.cdist(torch.from_numpy(queries).float(), torch.from_numpy(known).float())
    return distances.kthvalue(min(k, len(known)), dim=1).values.double().numpy()


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
