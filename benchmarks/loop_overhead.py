"""What does the loop cost beside a bare hand-written one?

    python benchmarks/loop_overhead.py [--pairs 20] [--steps 1500] [--convnet-steps 300]

Same network, same optimiser, same batches in the same order; ours also has schedule, log on disk, progress events,
monitors every 50 steps, the check of every loss and the armed checkpoint. Two bare loops: "indexing" cuts its batches
by hand (`x[rows]`), "loader" reads them from the same MemoryLoader as ours, so that only the loop itself differs.
Each figure is seconds per step between the first and the last logged step (ours) or over the same number of steps
(bare). Bare and ours alternate within a pair, and the order alternates from pair to pair; the ratio of a pair is ours
over bare. CPU seconds of the process are taken too: they are steadier where other programs share the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.data.loader import MemoryLoader
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LoaderObjective, LossSum
from orthogon.training.optimisers import make_optimiser

Seconds = tuple[float, float]  # wall, CPU
BATCH = 64
CONFIG = TrainingConfig(steps=1, lr=1e-3, weight_decay=0.01, batch_size=BATCH, preflight=False)


def now() -> Seconds:
    return time.perf_counter(), time.process_time()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def convnet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    )


class Classifier(LoaderObjective):
    def loss(self, batch: Any) -> LossSum:
        x, y = batch
        return F.cross_entropy(self.net(x), y, reduction="sum"), float(len(y)), {}


def bare(net: nn.Module, x: Tensor, y: Tensor, steps: int, indexing: bool) -> Seconds:
    """Seconds per step of the loop that everybody writes."""
    optimiser = make_optimiser(dict(net.named_parameters()), net, CONFIG)
    loader = MemoryLoader((x, y), BATCH, seed=0)
    net.train()
    step, epoch = 0, 0
    start = now()
    while step < steps:
        epoch += 1
        if indexing:
            rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(BATCH)
            batches: Iterator[Any] = ((x[r], y[r]) for r in rows)
        else:
            batches = loader.batches(epoch)
        for inputs, targets in batches:
            optimiser.zero_grad()
            loss = F.cross_entropy(net(inputs), targets)
            loss.backward()
            optimiser.step()
            step += 1
            if step == steps:
                break
    end = now()
    return (end[0] - start[0]) / steps, (end[1] - start[1]) / steps


def ours(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> Seconds:
    """Seconds per step of `fit`, from its first logged step to its last."""
    marks: list[tuple[int, Seconds]] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] % CONFIG.monitor_every == 0:
            marks.append((event["step"], now()))

    with tempfile.TemporaryDirectory() as folder:
        objective = Classifier(net, MemoryLoader((x, y), BATCH, seed=0))
        fit(objective, CONFIG.model_copy(update={"steps": steps + 50}), Path(folder), listen=listen)
    (first, start), (last, end) = marks[0], marks[-1]
    return (end[0] - start[0]) / (last - first), (end[1] - start[1]) / (last - first)


def compare(name: str, make: Callable[[], nn.Module], x: Tensor, y: Tensor, steps: int, pairs: int) -> None:
    for indexing in (True, False):
        figures: list[tuple[Seconds, Seconds]] = []
        for pair in range(pairs + 1):
            torch.manual_seed(pair)
            one: Callable[[], Seconds] = lambda: bare(make(), x, y, steps, indexing)  # noqa: B023, E731
            two: Callable[[], Seconds] = lambda: ours(make(), x, y, steps)  # noqa: E731
            result = (one(), two()) if pair % 2 else tuple(reversed((two(), one())))
            if pair:  # the first pair warms up
                figures.append(result)
        for clock, label in enumerate(("wall", "CPU")):
            ratios = sorted(o[clock] / b[clock] for b, o in figures)
            base = statistics.median(b[clock] for b, _ in figures) * 1e6
            mine = statistics.median(o[clock] for _, o in figures) * 1e6
            quarter = len(ratios) // 4
            print(
                f"| {name} | bare, {'indexing' if indexing else 'loader'} | {label} | {base:.0f} | {mine:.0f} "
                f"| {statistics.median(ratios):.3f} | {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f} "
                f"| {ratios[0]:.3f} to {ratios[-1]:.3f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--convnet-steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(
        f"commit {commit}, torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{arguments.threads} thread(s), batch {BATCH}, {arguments.pairs} interleaved pairs, AdamW\n"
    )
    print("| net | against | clock | bare µs/step | ours µs/step | median ratio | quartiles | range |")
    print("|---|---|---|---|---|---|---|---|")
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels, dtype=torch.float32) / 16, torch.tensor(labels)
    compare("MLP 64-64-64-10, digits 8×8", mlp, x, y, arguments.steps, arguments.pairs)
    images = F.interpolate(x.view(-1, 1, 8, 8), size=28, mode="bilinear")
    compare("ConvNet 16-32, 28×28", convnet, images, y, arguments.convnet_steps, arguments.pairs)


if __name__ == "__main__":
    main()
