"""What the examples here share: a small network trained on all of its examples at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def fit(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    steps: int = 200,
    lr: float = 3e-3,
    batch_size: int = 256,
    only: Iterable[nn.Parameter] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Minimise cross-entropy (whole targets) or squared error (real ones) by Adam; `only` these parameters if given."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(list(only) if only is not None else net.parameters(), lr=lr, weight_decay=1e-4)
    loss = nn.functional.mse_loss if y.is_floating_point() else nn.functional.cross_entropy
    net.train()
    for _ in range(steps):
        rows = torch.randint(len(x), (min(batch_size, len(x)),), generator=generator)
        optimiser.zero_grad()
        loss(net(x[rows]), y[rows]).backward()
        optimiser.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((net(x).argmax(-1) == y).float().mean())
