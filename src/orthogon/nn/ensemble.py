"""Several outputs made one: the mean of what independently trained networks say, or of one network's many looks.

Outputs are averaged, never weights: the weights half-way between two networks are no network that was ever trained.
Source: Hansen and Salamon 1990, "Neural network ensembles".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """One network made of several: each answers, and the answers are averaged.

    Args:
        members: networks that take the same inputs and give outputs of one shape (B, ...).
        average: (k, B, ...) the members' outputs -> (B, ...) those of the whole.
    """

    def __init__(self, members: Sequence[nn.Module], average: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.average = average

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.average(torch.stack([member(*inputs) for member in self.members]))


def mean_of_classes(logits: Tensor) -> Tensor:
    """(k, ..., K) logits -> (..., K) logits whose softmax is the mean of the k softmaxes.

    >>> certain = torch.tensor([[0.0, 9.0], [9.0, 0.0]])  # one sure of each class
    >>> mean_of_classes(certain).softmax(0)
    tensor([0.5000, 0.5000])
    """
    return log_mean_exp(torch.log_softmax(logits, -1))


def log_mean_exp(x: Tensor) -> Tensor:
    """log of the mean of exp(x) over the first axis, without overflow."""
    return torch.logsumexp(x, 0) - math.log(x.shape[0])
