"""How fast is a folder of pictures read, next to torchvision's ImageFolder with a DataLoader at equal workers?

    python benchmarks/image_reading.py FOLDER [--size 64] [--workers 0 2] [--pairs 20]

FOLDER holds a folder per class. One epoch each of the two, in turn, in one process; every picture ends as uint8
(3, size, size) in batches of 64. Printed: pictures a second, and the median ratio of the pairs with a 95 % interval
(bootstrap of the pairs). Aims: >= 0.98 when decoding, >= 3 from the decoded cache.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.utils.data import DataLoader, default_collate
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from orthogon.data.config import DataConfig
from orthogon.data.images import FolderImages, read_image_folder
from orthogon.data.loader import FileLoader

BATCH = 64


def torchvision_epochs(folder: str, size: int, workers: int) -> Callable[[int], Iterable[object]]:
    resize = v2.Compose([v2.Resize((size, size)), v2.PILToTensor()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loader = DataLoader(
            ImageFolder(folder, resize),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="fork" if workers else None,
        )
    return lambda epoch: loader


def our_epochs(examples: FolderImages, size: int, workers: int) -> Callable[[int], Iterable[object]]:
    number = {name: k for k, name in enumerate(sorted(set(examples.labels)))}
    labels = [number[label] for label in examples.labels]

    def get(i: int, epoch: int) -> tuple[np.ndarray, int]:
        return examples.load(i, size, channels=3, resize="squash"), labels[i]

    def collate(batch: list[tuple[np.ndarray, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        images, classes = default_collate(batch)
        return images.permute(0, 3, 1, 2), classes

    return FileLoader(get, len(examples), BATCH, seed=0, workers=workers, collate=collate).batches


def seconds(epochs: Callable[[int], Iterable[object]], epoch: int) -> float:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in epochs(epoch):
            pass
    return time.perf_counter() - start


def interval(ratios: np.ndarray) -> str:
    draws = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return f"{np.median(ratios):.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=64, help="side, pixels")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--pairs", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)

    config = DataConfig(source=options.folder)
    start = time.perf_counter()
    plain = read_image_folder(config)
    read_seconds = time.perf_counter() - start
    n = len(plain)
    print(
        f"{n:,} pictures at {options.size} px; torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"{platform.machine()}, {torch.get_num_threads()} thread a process; {options.pairs} pairs"
    )
    print(f"reading and checking the folder: {read_seconds:.2f} s ({n / read_seconds:,.0f} pictures a second)")
    with tempfile.TemporaryDirectory() as cache:
        cached = read_image_folder(config, Path(cache))
        start = time.perf_counter()
        cached.build_cache(options.size, channels=3, resize="squash")
        print(f"building the decoded cache: {time.perf_counter() - start:.2f} s")
        print(f"{'workers':>7} {'':8} {'pictures/s':>11} {'torchvision':>11}  ratio, median of pairs")
        for workers in options.workers:
            peer = torchvision_epochs(options.folder, options.size, workers)
            for name, examples in (("decoded", plain), ("cached", cached)):
                ours = our_epochs(examples, options.size, workers)
                seconds(peer, 0), seconds(ours, 0)  # workers start, files come into the system's cache
                pairs = []
                for pair in range(options.pairs):
                    both = [(seconds(ours, pair), 0), (seconds(peer, pair), 1)] if pair % 2 else [
                        (seconds(peer, pair), 1), (seconds(ours, pair), 0)]  # fmt: skip
                    pairs.append([took for took, _ in sorted(both, key=lambda each: each[1])])
                mine, theirs = np.array(pairs).T
                print(
                    f"{workers:>7} {name:8} {n / np.median(mine):>11,.0f} {n / np.median(theirs):>11,.0f}  "
                    f"{interval(theirs / mine)}"
                )


if __name__ == "__main__":
    main()
