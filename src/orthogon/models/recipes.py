"""How the papers trained their networks: settings to copy before inventing some.

The values are keys of the `training:` section. They are for the paper's data, mostly ImageNet, and for its batch size;
`Recipe.scaled` brings them to a batch that fits one machine. What a paper does beside that, and where our keys say it
otherwise, is in `also`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OF_THE_PAPERS_DATA = ("steps", "lr_warmup_steps")  # counted in updates of its batches of its pictures


@dataclass(frozen=True)
class Recipe:
    """One paper's settings.

    Args:
        paper: authors, year, section.
        training: key of the `training:` section -> value.
        also: what these keys do not say.
        passes: over its data that `steps` are.
    """

    paper: str
    training: Mapping[str, Any]
    also: str = ""
    passes: int | None = None

    def scaled(self, batch_size: int) -> Recipe | None:
        """The same for another batch, on other data; None where the paper does not tell both its batch and its rate.

        Rates are proportional to the batch. Steps become the epochs that they were; a warm-up in updates is left out.

        Source: Goyal et al. 2017, arXiv:1706.02677, section 2.1, the linear scaling rule.
        Differs: the rule is shown for SGD; the papers of the others scale their rates by it, too.
        """
        if not {"batch_size", "lr"} <= set(self.training):
            return None
        share = batch_size / self.training["batch_size"]

        def rate(value: float) -> float:
            return float(f"{value * share:.4g}")

        kept = {key: value for key, value in self.training.items() if key not in OF_THE_PAPERS_DATA}
        kept |= {"lr": rate(kept["lr"]), "batch_size": batch_size}
        if self.passes is not None:
            kept["epochs"] = self.passes
        if "lr_by_epoch" in kept:
            kept["lr_by_epoch"] = {epoch: rate(value) for epoch, value in kept["lr_by_epoch"].items()}
        return Recipe(self.paper, kept, self.also)

    def options(self) -> str:
        """The settings as options of `orthogon train`, ready to paste."""
        words = []
        for key, value in self.training.items():
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            words.append(f"--set training.{key}={text}" if '"' not in text else f"--set 'training.{key}={text}'")
        return " ".join(words)


LENET5 = Recipe(
    "LeCun et al. 1998, section III.B",
    {
        "optimiser": "sgd",
        "batch_size": 1,
        "epochs": 20,
        "lr": 5e-4,
        "schedule": "manual",
        "lr_by_epoch": {"1": 5e-4, "3": 2e-4, "6": 1e-4, "9": 5e-5, "13": 1e-5},
    },
    "Each weight's rate is divided by 0.02 + an estimate of its second derivative: plain SGD wants larger rates.",
)
ALEXNET = Recipe(
    "Krizhevsky, Sutskever & Hinton 2012, section 5",
    {
        "optimiser": "momentum_pytorch",
        "momentum": 0.9,
        "lr": 0.01,
        "batch_size": 128,
        "weight_decay": 5e-4,
        "epochs": 90,
        "schedule": "plateau",
    },
    "On a plateau the rate is divided by 10, three times in all; plateau halves it.",
)
VGG = Recipe(
    "Simonyan & Zisserman 2014, section 3.1",
    {
        "optimiser": "momentum_pytorch",
        "momentum": 0.9,
        "lr": 0.01,
        "batch_size": 256,
        "weight_decay": 5e-4,
        "epochs": 74,
        "schedule": "plateau",
    },
    "On a plateau the rate is divided by 10, three times in all; plateau halves it.",
)
GOOGLENET = Recipe(
    "Szegedy et al. 2014, section 6",
    {"optimiser": "momentum_pytorch", "momentum": 0.9, "schedule": "exponential", "decay_rate": 0.96 ** (1 / 8)},
    "The rate falls by 4 % every 8 epochs; the paper tells neither the first rate nor batch size nor length. The "
    "answer is that of averaged weights.",
)
RESNET = Recipe(
    "He et al. 2015, section 3.4",
    {
        "optimiser": "momentum_pytorch",
        "momentum": 0.9,
        "lr": 0.1,
        "batch_size": 256,
        "weight_decay": 1e-4,
        "steps": 600_000,
        "schedule": "plateau",
    },
    "On a plateau the rate is divided by 10; plateau halves it.",
    passes=120,  # 600,000 of 256 of 1,281,167 pictures
)
SMALL_RESNET = Recipe(
    "He et al. 2015, section 4.2",
    {
        "optimiser": "momentum_pytorch",
        "momentum": 0.9,
        "lr": 0.1,
        "batch_size": 128,
        "weight_decay": 1e-4,
        "steps": 64_000,
        "schedule": "manual",
        "lr_by_epoch": {"1": 0.1, "92": 0.01, "137": 0.001},
    },
    "The rate falls after 32,000 and 48,000 updates: the epochs are those of 45,000 pictures.",
    passes=182,  # 64,000 of 128 of them
)
MOBILENET_V2 = Recipe(
    "Sandler et al. 2018, section 6.1",
    {
        "optimiser": "rmsprop",
        "beta2": 0.9,
        "optimiser_args": {"momentum": 0.9},
        "lr": 0.045,
        "batch_size": 96,
        "weight_decay": 4e-5,
        "schedule": "exponential",
        "decay_rate": 0.98,
    },
    "16 machines work at once, each with its own batch of 96.",
)
MOBILENET_V1 = Recipe(
    "Howard et al. 2017, section 4",
    {"optimiser": "rmsprop"},
    "The paper tells no rates; version 2's are a start. It wants little or no weight decay on depthwise filters.",
)
MOBILENET_V3 = Recipe(
    "Howard et al. 2019, section 6.1",
    {
        "optimiser": "rmsprop",
        "optimiser_args": {"momentum": 0.9},
        "lr": 0.1,
        "batch_size": 4096,
        "weight_decay": 1e-5,
        "schedule": "exponential",
        "decay_rate": 0.99 ** (1 / 3),
        "ema_decay": 0.9999,
    },
    "The rate falls by 1 % every 3 epochs.",
)
EFFICIENTNET = Recipe(
    "Tan & Le 2019, section 5.2",
    {
        "optimiser": "rmsprop",
        "beta2": 0.9,
        "optimiser_args": {"momentum": 0.9},
        "lr": 0.256,
        "weight_decay": 1e-5,
        "schedule": "exponential",
        "decay_rate": 0.97 ** (1 / 2.4),
    },
    "The rate falls by 3 % every 2.4 epochs. AutoAugment; the paper does not tell the batch size.",
)
CONVNEXT = Recipe(
    "Liu et al. 2022, appendix A.1",
    {
        "optimiser": "adamw",
        "lr": 4e-3,
        "batch_size": 4096,
        "weight_decay": 0.05,
        "epochs": 300,
        "schedule": "cosine",
        "lr_warmup_steps": 6260,
        "label_smoothing": 0.1,
        "ema_decay": 0.9999,
    },
    "The warm-up lasts 20 epochs. Mixup 0.8, CutMix 1.0, RandAugment, random erasing.",
)
VIT = Recipe(
    "Dosovitskiy et al. 2020, table 3",
    {
        "optimiser": "adamw",
        "lr": 3e-3,
        "batch_size": 4096,
        "weight_decay": 0.3,
        "epochs": 300,
        "schedule": "cosine",
        "lr_warmup_steps": 10_000,
        "clip_norm": 1.0,
    },
    "Dropout 0.1. The paper's best results start from far more pictures than ImageNet's.",
)

# Name in `orthogon.models.NETWORKS` -> what its paper, or the paper its family comes from, did.
RECIPES: dict[str, Recipe] = {
    **dict.fromkeys(("lenet5", "lenet5_modern"), LENET5),
    **dict.fromkeys(("alexnet", "alexnet_grouped"), ALEXNET),
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19"), VGG),
    "googlenet": GOOGLENET,
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "plain18", "plain34"), RESNET),
    **dict.fromkeys(("resnet50_1x1", "resnet101_1x1", "resnet152_1x1"), RESNET),
    **dict.fromkeys((f"{kind}{depth}" for kind in ("resnet", "plain") for depth in (20, 32, 44, 56)), SMALL_RESNET),
    "mobilenet_v1": MOBILENET_V1,
    "mobilenet_v2": MOBILENET_V2,
    **dict.fromkeys(("mobilenet_v3_large", "mobilenet_v3_small"), MOBILENET_V3),
    **dict.fromkeys(("efficientnet_b0", "efficientnet_b1", "efficientnet_b2"), EFFICIENTNET),
    "convnext_tiny": CONVNEXT,
    "vit_b_16": VIT,
}
