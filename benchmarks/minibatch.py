"""How long do batch, mini-batch and stochastic gradient descent need on digits until the cost is 0.1?

    python benchmarks/minibatch.py [--seeds 3]

64-32-10 ReLU net, SGD, one thread; each batch size at the rate of RATES at which it is there first. The cost over all
examples is taken up to 30 times an epoch; seconds are those of the training loop without these evaluations. Medians
over the seeds with the range.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from typing import Any

import torch
from sklearn.datasets import load_digits

from orthogon.data.loader import MemoryLoader
from orthogon.errors import TrainingError
from orthogon.models.mlp import MLP
from orthogon.nn.losses import softmax_cross_entropy
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LoaderObjective, LossSum

TARGET = 0.1
RATES = (0.03, 0.1, 0.3, 1.0)
EPOCHS = {1797: 300, 512: 100, 64: 30, 1: 8}  # at most, by batch size


class Digits(LoaderObjective):
    def __init__(self, batch_size: int) -> None:
        data = load_digits()
        self.inputs = torch.tensor(data.data / 16, dtype=torch.float32)
        self.targets = torch.tensor(data.target)
        super().__init__(MLP(64, [32], 10), MemoryLoader((self.inputs, self.targets), batch_size, seed=0))
        self.seconds = 0.0  # spent on evaluations
        self.reached_after: float | None = None

    def loss(self, batch: Any) -> LossSum:
        loss, count = softmax_cross_entropy(self.net(batch[0]), batch[1])
        return loss, count, {}

    def evaluate(self) -> dict[str, float]:
        start = time.perf_counter()
        cost = softmax_cross_entropy(self.net(self.inputs), self.targets)[0].item() / len(self.inputs)
        self.seconds += time.perf_counter() - start
        if cost < TARGET and self.reached_after is None:
            self.reached_after = self.seconds
        return {"loss": cost}


def until_target(batch_size: int, lr: float, seed: int) -> tuple[float, float, float]:
    """(epochs, updates, seconds) until the cost is below TARGET; infinite where it never is."""
    torch.manual_seed(seed)
    objective = Digits(batch_size)
    config = TrainingConfig(
        optimiser="sgd",
        lr=lr,
        schedule="constant",
        epochs=EPOCHS[batch_size],
        evaluate_every=max(1, objective.batches_per_epoch() // 30),
        preflight=False,
        keep_best=False,
        device="cpu",
    )
    try:
        history = fit(objective, config, seed=seed).history
    except TrainingError:  # exploded
        return (math.inf,) * 3
    event = next((event for event in history if event["dev_loss"] < TARGET), None)
    if event is None or objective.reached_after is None:
        return (math.inf,) * 3
    return event["step"] / objective.batches_per_epoch(), event["step"], event["seconds"] - objective.reached_after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, {seeds} seeds")
    print(f"{'batch size':>10}  {'lr':>5}  {'epochs':>22}  {'updates':>22}  {'seconds':>22}")
    for batch_size in EPOCHS:
        runs = {lr: [until_target(batch_size, lr, seed) for seed in range(seeds)] for lr in RATES}
        best = min(runs, key=lambda lr: statistics.median(seconds for *_, seconds in runs[lr]))
        columns = zip(*runs[best], strict=True)
        cells = [f"{statistics.median(c):.3g} ({min(c):.3g} to {max(c):.3g})" for c in columns]
        print(f"{batch_size:>10}  {best:>5}  " + "  ".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
