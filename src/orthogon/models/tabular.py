"""TabM: a table's columns embedded, then an MLP that is k implicit members with shared weights.

Gorishniy, Kotelnikov, Babenko 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling",
arXiv:2410.24210, figure 1 (TabM with piecewise-linear embeddings, called TabM-dagger there). With one member it is the
MLP with numeric embeddings of Gorishniy et al. 2022, arXiv:2203.05556.
Weights: none are published for other people's tables; always trained from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from orthogon.errors import ShapeError
from orthogon.nn.ensemble import log_mean_exp, mean_of_classes
from orthogon.nn.tabular import (
    CategoryEmbedding,
    MemberHeads,
    MemberLinear,
    MemberScale,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)

HeadKind = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Head:
    """One target's share of the outputs: 1 logit, `size` logits, or 1 standardised value."""

    kind: HeadKind
    size: int = 1


class TabularNet(nn.Module):
    """Numbers and categories of a row -> logits and values of every target.

    Args:
        edges: per number column its bin edges, as `orthogon.nn.tabular.quantile_edges` gives them.
        num_flags: columns of `numbers` after the embedded ones that enter as they are (missing-value indicators).
        levels: per category column how many levels it has, level 0 (unknown) included.
        heads: the targets, in the order of the outputs.
        width: hidden units of each layer; depth: hidden layers.
        members: k implicit networks whose probabilities (values) are averaged.
        dropout: share of hidden units silenced in training.
        number_size: size of a number's embedding; category_size: of a category's.
        embedding: how numbers enter: "piecewise" linear, "periodic", or "none" (as they are).
    Raises:
        ShapeError: no input column or no head.
    """

    def __init__(
        self,
        edges: Sequence[NDArray[np.float32]],
        num_flags: int,
        levels: Sequence[int],
        heads: Sequence[Head],
        width: int = 128,
        depth: int = 2,
        members: int = 16,
        dropout: float = 0.1,
        number_size: int = 16,
        category_size: int = 16,
        embedding: Literal["piecewise", "periodic", "none"] = "piecewise",
    ) -> None:
        super().__init__()
        if not (len(edges) or num_flags or len(levels)) or not heads:
            raise ShapeError("a table network needs at least one input column and one target", "", "Add a column.")
        self.heads = tuple(heads)
        self.num_numbers, self.num_flags, self.num_categories = len(edges), num_flags, len(levels)
        self.numbers: nn.Module | None = None
        if edges and embedding == "piecewise":
            self.numbers = PiecewiseLinearEmbedding(edges, number_size)
        elif edges and embedding == "periodic":
            self.numbers = PeriodicEmbedding(len(edges), number_size)
        self.categories = CategoryEmbedding(levels, category_size) if levels else None
        blocks = [1 if self.numbers is None else number_size] * len(edges) + [1] * num_flags
        blocks += [category_size] * len(levels)
        self.scale = MemberScale(members, blocks, normal=self.numbers is not None)
        sizes = [sum(blocks)] + [width] * depth
        self.hidden = nn.ModuleList(MemberLinear(members, m, n) for m, n in pairwise(sizes))
        self.rectifiers = nn.ModuleList(nn.ReLU() for _ in self.hidden)  # modules, so that dead units are seen
        self.dropout = nn.Dropout(dropout)
        self.output = MemberHeads(members, sizes[-1], sum(head.size for head in self.heads))

    def members(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Every member's outputs: numbers (B, F + flags) float, categories (B, C) int64 -> (k, B, outputs)."""
        return self.output(self.states(numbers, categories))

    def states(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Every member's last hidden layer: (k, B, width)."""
        parts = []
        values, flags = numbers[:, : self.num_numbers], numbers[:, self.num_numbers :]
        if self.num_numbers:
            parts.append(values if self.numbers is None else self.numbers(values).flatten(1))
        if self.num_flags:
            parts.append(flags)
        if self.categories is not None:
            parts.append(self.categories(categories).flatten(1))
        h = self.scale(torch.cat(parts, 1))  # (k, B, D)
        for layer, rectifier in zip(self.hidden, self.rectifiers, strict=True):
            h = self.dropout(rectifier(layer(h)))
        return h

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """(B, outputs): logits of the members' mean probability, and the members' mean value."""
        return average(self.heads, self.members(numbers, categories))


def average(heads: Sequence[Head], outputs: Tensor) -> Tensor:
    """(k, B, outputs) -> (B, outputs): probabilities are averaged, not logits."""
    means = []
    for head, z in zip(heads, outputs.split([head.size for head in heads], -1), strict=True):
        if head.kind == "regression":
            means.append(z.mean(0))
        elif head.kind == "multiclass":
            means.append(mean_of_classes(z))
        else:  # logit of a mean probability = log mean p - log mean (1 - p)
            means.append(log_mean_exp(F.logsigmoid(z)) - log_mean_exp(F.logsigmoid(-z)))
    return torch.cat(means, -1)
