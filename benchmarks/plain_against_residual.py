"""Does depth hurt the TRAINING loss of a plain network, and do shortcuts mend it?

    python benchmarks/plain_against_residual.py [--seeds 3]

The 1,797 digits of 8x8 pixels; convolutions of 8 channels without batch norm, global average pool, one dense layer;
Adam at 0.001, 250 updates of 64 examples, the same for all. The loss is taken over all examples after the last update.
Each seed draws the weights and the batches; one column a seed.
"""

from __future__ import annotations

import argparse
import os
import platform

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from orthogon.models.resnet import Shortcut, SmallResNet

NETWORKS: dict[str, tuple[int, Shortcut]] = {
    "plain-8": (8, "none"),
    "plain-56": (56, "none"),
    "residual-8": (8, "padding"),
    "residual-56": (56, "padding"),
}


def training_loss(layers: int, shortcut: Shortcut, seed: int, updates: int = 250) -> float:
    """Mean cross-entropy over all digits after training, in nats; log 10 = 2.30 is a guess."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)  # (m, 1, 8, 8)
    truth = torch.tensor(digits.target)
    torch.manual_seed(seed)
    network = SmallResNet((layers - 2) // 2, 10, 1, widths=(8,), shortcut=shortcut, norm=False)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    for _ in range(updates):
        batch = torch.randint(len(images), (64,))
        loss = F.cross_entropy(network(images[batch]), truth[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return F.cross_entropy(network(images), truth).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{'network':<12}" + "".join(f"{f'seed {seed}':>10}" for seed in range(seeds)))
    for name, (layers, shortcut) in NETWORKS.items():
        losses = [training_loss(layers, shortcut, seed) for seed in range(seeds)]
        print(f"{name:<12}" + "".join(f"{loss:>10.3f}" for loss in losses), flush=True)


if __name__ == "__main__":
    main()
