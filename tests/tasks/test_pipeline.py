"""Pictures are varied while the device trains: who waits for whom, counted on a clock that the test moves.

Varying a picture takes one tick of a worker's time; the device takes as many ticks for a batch as the test says. A tick
passes for all workers at once, and the test waits until each that has work has done it, so no stopwatch is read.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import get_worker_info

from orthogon.data.images import ArrayImages
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig
from orthogon.training.config import TrainingConfig

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="its clock is inherited")

BATCH, BATCHES, PREFETCH = 4, 10, 2
PATIENCE = 60.0  # seconds after which a worker that should have worked counts as idle
AUGMENT = {"strength": 1.0, "flip": 0.5, "rotation": 20, "color": 20}


class Clock:
    """Ticks for up to two workers, and what each has done with them."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("fork")
        self.ticks = [context.Semaphore(0) for _ in range(max(workers, 1))]
        self.done = [context.Semaphore(0) for _ in range(max(workers, 1))]
        self.made = [0] * max(workers, 1)  # pictures, by worker
        self.workers, self.now, self.waited = workers, 0, 0

    def spend(self) -> None:
        """Called where a picture is varied."""
        info = get_worker_info()
        if info is None:  # the training process itself: the device waits meanwhile
            self.now, self.waited = self.now + 1, self.waited + 1
            return
        assert self.ticks[info.id].acquire(timeout=PATIENCE)
        self.done[info.id].release()

    def tick(self, asked: int) -> None:
        """Let one tick pass; `asked` is how many batches the loader has asked its workers for."""
        self.now += 1
        busy = [w for w in range(self.workers) if self.made[w] < BATCH * len(range(w, asked, self.workers))]
        for w in busy:
            self.ticks[w].release()
        for w in busy:
            assert self.done[w].acquire(timeout=PATIENCE), f"worker {w} does not work while the device does"
            self.made[w] += 1

    def ready(self, batch: int) -> bool:
        """Whether a batch has been made; worker w makes batches w, w + workers, ..."""
        return not self.workers or self.made[batch % self.workers] >= BATCH * (batch // self.workers + 1)


def trained_on(workers: int, device: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, list[torch.Tensor]]:
    """One epoch in which the device takes `device` ticks a batch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH * BATCHES, 256, 256, 3), dtype=np.uint8)
    train = ArrayImages(images, np.array(["a", "b"])[np.arange(len(images)) % 2], "pictures")
    settings: dict[str, Any] = {"size": 96, "channels": 3, "augment": AUGMENT, "memory_mib": 1, "width": 4, "stages": 1}
    task = ImageClassification(ImageClassificationConfig(**settings, depth=1, stem_stride=4))
    task.fit(train)
    clock, plain = Clock(workers), ImageClassification.augmented

    def slow(self: ImageClassification, images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        assert len(images) == 1
        clock.spend()
        return plain(self, images, u)

    monkeypatch.setattr(ImageClassification, "augmented", slow)
    training = TrainingConfig(lr=0.01, epochs=1, batch_size=BATCH, workers=workers)
    batches: Iterator[Any] = task.objective(task.network(), train, None, training).batches(1)
    seen = []
    for k in range(BATCHES):
        while not clock.ready(k):
            clock.tick(min(BATCHES, PREFETCH * workers + k))
            clock.waited += 1
        pictures, *_ = next(batches)
        seen.append(pictures)
        for _ in range(device):
            clock.tick(min(BATCHES, PREFETCH * workers + k + 1))
    assert next(batches, None) is None
    return clock, seen


@pytest.mark.system("aug.pipeline")
@pytest.mark.parametrize(("workers", "device"), [(1, BATCH), (2, BATCH // 2)])
def test_with_workers_the_device_waits_for_the_first_batch_alone(
    workers: int, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Varying is as slow as the device is fast: as many ticks a batch as the workers together can just make."""
    clock, seen = trained_on(workers, device, monkeypatch)
    assert clock.waited == BATCH  # pictures of the first batch
    assert clock.now == BATCH + device * BATCHES
    assert clock.waited / clock.now < 0.2
    alone, plain = trained_on(0, device, monkeypatch)
    assert alone.waited == BATCH * BATCHES
    assert alone.waited / alone.now >= 0.5
    assert len(seen) == len(plain) == BATCHES
    assert all(torch.equal(a, b) for a, b in zip(seen, plain, strict=True))
    assert len(torch.cat(seen).unique(dim=0)) == BATCH * BATCHES


@pytest.mark.system("aug.pipeline")
def test_where_varying_is_slower_than_all_workers_the_device_waits_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One worker, a device three times as fast: of the 4 ticks a batch costs, 1 is hidden behind the batch before."""
    clock, _ = trained_on(1, 1, monkeypatch)
    assert clock.waited == BATCH + (BATCH - 1) * (BATCHES - 1)
