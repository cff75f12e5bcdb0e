"""How long does the device wait for varied pictures, without workers and with them, and are the pictures the same?

    python benchmarks/augment_pipeline.py [--workers 0 1 2] [--size 128] [--batches 30] [--device-share 0.75]

Pictures too many for memory are decoded and varied by every change there is (`task.augment`). The device is played by a
pause, so that the figure tells the loader and not the network: a batch takes it `--device-share` of what one process
needs to make one. Printed a line: workers, batches a second, the share of the time in which the device waited, how many
pictures the training process varied itself, and whether the batches are bit for bit those without workers. Aim: a
waiting share below 20 % with workers, on a machine with a free core for each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from orthogon.data.config import DataConfig
from orthogon.data.images import read_image_folder
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig
from orthogon.training.config import TrainingConfig

BATCH = 32
AUGMENT = {
    "strength": 1.0, "flip": 0.5, "crop": 0.3, "rotation": 20, "shear": 10, "warp": 0.05, "color": 20, "pca": 0.1,
    "erase": 0.3,
}  # fmt: skip


def write_pictures(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        place = folder / "ab"[i % 2] / f"{i}.jpg"
        place.parent.mkdir(exist_ok=True)
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(place)


class Counting(ImageClassification):
    """Counts the pictures that this process varies."""

    here = 0

    def augmented(self, images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        self.here += len(images)
        return super().augmented(images, u)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--device-share", type=float, default=0.75)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), BATCH * asked.batches, asked.size)
        examples: Any = read_image_folder(DataConfig(source=folder))
        settings: dict[str, Any] = {"size": asked.size, "channels": 3, "augment": AUGMENT, "memory_mib": 1}
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}; {asked.size} px, {BATCH} a batch"
        )
        print("workers  batches/s  waiting  varied here  same bits")
        pause, plain = 0.0, ""
        for workers in asked.workers:
            task = Counting(ImageClassificationConfig(**settings, width=8, stages=1, stem_stride=4), 0)
            task.fit(examples)
            training = TrainingConfig(lr=0.01, epochs=1, batch_size=BATCH, workers=workers)
            objective = task.objective(task.network(), examples, None, training)
            if not pause:
                start = time.perf_counter()
                list(objective.batches(1))
                pause = asked.device_share * (time.perf_counter() - start) / asked.batches
            next(iter(objective.batches(1)))  # workers have started
            task.here, digest, waited = 0, hashlib.sha256(), 0.0
            batches = iter(objective.batches(2))
            begun = time.perf_counter()
            for _ in range(asked.batches):
                start = time.perf_counter()
                images, classes = next(batches)
                waited += time.perf_counter() - start
                digest.update(images.numpy().tobytes() + classes.numpy().tobytes())
                time.sleep(pause)
            seconds = time.perf_counter() - begun
            plain = plain or digest.hexdigest()
            same = "yes" if digest.hexdigest() == plain else "NO"
            print(f"{workers:7}  {asked.batches / seconds:9.1f}  {waited / seconds:7.0%}  {task.here:11,}  {same}")


if __name__ == "__main__":
    main()
