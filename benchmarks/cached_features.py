"""How much faster is an epoch of the head when what the frozen part makes of the pictures is computed once?

    python benchmarks/cached_features.py

sign_digits of the folder that ORTHOGON_DATA names, the mobilenet_v2 of its pretrained/, only the head trained, pictures
not varied. Both ways start from the same weights, and train in turn, epoch by epoch, dev's evaluation after each; the
first pass, which fills the cache, is told apart. Seconds are the processor's; the ratio is that of an epoch each.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from orthogon.project import Project
from orthogon.run.folder import versions
from orthogon.tasks import image_classification

EPOCHS = 3
SETTINGS = {"weights": "", "network": "mobilenet_v2", "transfer": "head", "size": 128}


class Way:
    """A head on its way, with the cache or without."""

    def __init__(self, prepared: Any, cached: bool) -> None:
        examples, task, splits, *_, config = prepared
        torch.manual_seed(0)
        own = image_classification._ImageObjective._features_fit
        if not cached:
            image_classification._ImageObjective._features_fit = lambda self: False  # type: ignore[method-assign]
        try:
            self.objective = task.objective(
                task.network(), examples.take(splits["train"]), examples.take(splits["dev"]), config.training
            )
        finally:
            image_classification._ImageObjective._features_fit = own  # type: ignore[method-assign]
        self.network = self.objective.network()
        self.optimiser = torch.optim.AdamW(self.objective.parameters().values(), lr=0.003)
        self.epochs = 0

    def epoch(self) -> tuple[float, dict[str, float]]:
        """(seconds of the processor, dev figures)."""
        start = time.process_time()
        self.epochs += 1
        self.network.train()
        torch.manual_seed(self.epochs)  # of dropout
        for batch in self.objective.batches(self.epochs):
            self.optimiser.zero_grad()
            total, count, _ = self.objective.loss(batch)
            (total / count).backward()
            self.optimiser.step()
        with torch.no_grad():
            figures = self.objective.evaluate()
        return time.process_time() - start, figures


def main() -> None:
    data = Path(os.environ["ORTHOGON_DATA"])
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {versions()}")
    with tempfile.TemporaryDirectory() as folder:
        task = {**SETTINGS, "kind": "image_classification"}
        task["weights"] = str(data / "pretrained" / "mobilenet_v2_imagenet.safetensors")
        values = {"data": {"source": str(data / "sign_digits")}, "task": task}
        project = Project.create(values, Path(folder) / "p")
        prepared = project.prepare(project.config())
        sizes = prepared[2].sizes()
        cached, plain = Way(prepared, cached=True), Way(prepared, cached=False)
        filled, _ = cached.epoch()
        first, _ = plain.epoch()
        pairs = []
        for _ in range(EPOCHS):
            (slow, wanted), (fast, found) = plain.epoch(), cached.epoch()
            pairs.append((slow, fast))
            apart = abs(wanted["loss"] - found["loss"])
            print(f"epoch {plain.epochs}: {slow:.2f} s, cached {fast:.3f} s, dev losses {apart:.1e} apart", flush=True)
    ratios = [slow / fast for slow, fast in pairs]
    without, with_cache = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(
        f"train {sizes['train']}, dev {sizes['dev']}: an epoch takes {without:.1f} s without the cache, "
        f"{with_cache:.2f} s with it: {statistics.median(ratios):.0f} times faster "
        f"({min(ratios):.0f} to {max(ratios):.0f}); the first {filled:.1f} s, without {first:.1f} s"
    )


if __name__ == "__main__":
    main()
