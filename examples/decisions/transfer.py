"""Little data of a new task: from scratch, all of a trained network, or only its head?

    python examples/decisions/transfer.py

Digits at random places of a noisy 16x16 canvas. A network learns 0-4 with plenty of data, then 5-9 with five examples a
class. The canvas makes the low-level features worth having; on plain centred digits training from scratch wins.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from fit import accuracy, fit
from sklearn.datasets import load_digits
from torch import Tensor, nn

SIDE, PER_CLASS = 16, 5


def canvas(x: Tensor, generator: torch.Generator) -> Tensor:
    """Digits (n, 8, 8) in 0..1 at random places of noisy squares, (n, 1, 16, 16)."""
    out = 0.25 * torch.rand(len(x), SIDE, SIDE, generator=generator)
    for i, (row, column) in enumerate(torch.randint(0, SIDE - 7, (len(x), 2), generator=generator).tolist()):
        out[i, row : row + 8, column : column + 8] += x[i]
    return out[:, None] - 0.2


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 5),
    )


def experiment(seed: int, steps: int = 600) -> tuple[dict[str, float], bool]:
    """(way of training -> accuracy on 5-9, whether head-only left every other weight as it was, bit for bit)."""
    digits = load_digits()
    x, y = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
    generator = torch.Generator().manual_seed(seed)
    low = torch.nonzero(y < 5).flatten()
    plenty = torch.cat([low] * 6)
    torch.manual_seed(seed)
    trained = fit(network(), canvas(x[plenty], generator), y[plenty], steps=steps, lr=2e-3, batch_size=128, seed=seed)
    few, rest = [], []
    for k in range(5, 10):
        rows = torch.nonzero(y == k).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        few.append(rows[:PER_CLASS])
        rest.append(rows[PER_CLASS:])
    few, rest = torch.cat(few), torch.cat(rest)
    x_few, y_few = canvas(x[few], generator), y[few] - 5
    x_test, y_test = canvas(x[rest], generator), y[rest] - 5
    found = {}
    for way in ("head only", "all of it", "from scratch"):
        torch.manual_seed(seed + 1)
        net = network() if way == "from scratch" else copy.deepcopy(trained)
        net[-1] = nn.Linear(64, 5)
        before = [each.detach().clone() for each in net[:-1].parameters()]
        fit(net, x_few, y_few, steps=150, lr=3e-3, only=net[-1].parameters() if way == "head only" else None, seed=seed)
        found[way] = accuracy(net, x_test, y_test)
        if way == "head only":
            frozen = all(torch.equal(a, b) for a, b in zip(before, net[:-1].parameters(), strict=True))
    return found, frozen


def main() -> None:
    runs = [experiment(seed)[0] for seed in range(6)]
    for way in runs[0]:
        values = [run[way] for run in runs]
        print(f"{way:14} {np.mean(values):.1%}  ({', '.join(f'{v:.0%}' for v in values)})")


if __name__ == "__main__":
    main()
