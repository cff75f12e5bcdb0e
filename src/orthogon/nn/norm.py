"""Input normalisation that travels inside the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """x ← (x − μ) / σ per feature, with μ and σ² = (1/m) Σ (x − μ)² of train, stored with the weights.

    The same μ and σ apply to dev, test and whatever comes later. A feature that is constant on train becomes 0.

    Args:
        mean, std: (n_x,), μ and σ; `Standardise.fit` measures them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", torch.where(std > 0, std, torch.ones_like(std)))

    @classmethod
    def fit(cls, train: Tensor) -> Standardise:
        """Measure μ and σ on the training inputs (m, n_x)."""
        return cls(train.mean(dim=0), train.std(dim=0, correction=0))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std
