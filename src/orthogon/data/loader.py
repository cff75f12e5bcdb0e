"""Batches, as a function of (seed, epoch) alone, so that a killed run finds its place inside an epoch again.

`MemoryLoader` serves tensors that are already in memory; `FileLoader` reads examples when they are needed. Both shuffle
with `order`, cut the epoch with `batch_rows`, and give each of several processes its contiguous share of every batch.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from orthogon.errors import UsageError

Transform = Callable[[tuple[Tensor, ...], int], tuple[Tensor, ...]]
Get = Callable[[int, int], Any]

# Several batches are gathered at once: one large copy costs less than many small ones, while it stays in the cache.
# CPU time of a batch of 64 pictures, gathered and read: 2 MiB 65 µs, 16 MiB 117 µs, one by one 91 µs (28 px grey).
BLOCK_BYTES = 2 * 2**20


def order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch visits n examples: a random permutation of 0..n-1, the same for equal arguments."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def num_batches(n: int, batch_size: int) -> int:
    """How many batches n examples make: the last one is smaller, and a single example left over joins the one before.

    A batch norm cannot normalise one example of one pixel, and alone it would weigh as much as a whole batch.

    >>> [num_batches(n, 64) for n in (0, 1, 64, 65, 66)]
    [0, 1, 1, 1, 2]
    """
    whole, left = divmod(n, batch_size)
    return whole + (left > 1 or left == 1 == n)


def batch_rows(k: int, n: int, batch_size: int) -> slice:
    """Where batch number k of n examples lies in the order of an epoch."""
    return slice(k * batch_size, n if k == num_batches(n, batch_size) - 1 else (k + 1) * batch_size)


def share(size: int, rank: int, world: int) -> slice:
    """The contiguous part of a batch of `size` examples that process `rank` of `world` computes."""
    return slice(size * rank // world, size * (rank + 1) // world)


class MemoryLoader:
    """Batches of tensors that lie in memory, on whatever device they are.

    Args:
        tensors: each (n, ...); a batch holds the same rows of all of them.
        batch_size: examples in a global batch; the last one of an epoch may be smaller, or larger by one.
        seed: with the epoch number, decides the order.
        shuffle: False keeps the order; batches are then views of `tensors` and must not be changed in place.
        transform: (batch, epoch) -> batch, for augmentation. What it draws must follow from (seed, epoch, example)
            alone, so that a resumed epoch draws the same: let one of the tensors number the examples.
        rank, world: this process and how many there are; each takes its contiguous share of every batch. A share is
            empty when a batch has fewer examples than there are processes.
    Raises:
        UsageError: batch_size below 1, no tensors, or tensors of different lengths.
    """

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        transform: Transform | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        lengths = sorted({len(tensor) for tensor in tensors})
        if len(lengths) != 1:
            raise UsageError(f"The tensors have different lengths: {lengths}.", remedy="Give each one row per example.")
        _check_batch_size(batch_size)
        self.tensors = tuple(tensor.contiguous() for tensor in tensors)
        self.n = lengths[0]
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.transform = transform
        self.rank, self.world = rank, world
        bytes_per_example = sum(tensor.element_size() * tensor[:1].numel() for tensor in self.tensors)
        self.block = max(1, BLOCK_BYTES // max(1, bytes_per_example * batch_size))  # batches

    def __len__(self) -> int:
        return num_batches(self.n, self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of this epoch from batch number `start` on."""
        batches = self._plain(epoch, start)
        return batches if self.transform is None else (self.transform(batch, epoch) for batch in batches)

    def _plain(self, epoch: int, start: int) -> Iterator[tuple[Tensor, ...]]:
        device = self.tensors[0].device
        rows = torch.from_numpy(order(self.n, self.seed, epoch)).to(device) if self.shuffle else None
        for first in range(start, len(self), self.block):
            places = [batch_rows(k, self.n, self.batch_size) for k in range(first, min(first + self.block, len(self)))]
            whole = slice(places[0].start, places[-1].stop)
            if rows is None:
                block = tuple(tensor[whole] for tensor in self.tensors)
            else:
                chosen = rows[whole]
                block = tuple(tensor.index_select(0, chosen) for tensor in self.tensors)
            sizes = [place.stop - place.start for place in places]
            parts = zip(*(tensor.split(sizes) for tensor in block), strict=True)
            if self.world == 1:
                yield from parts
                continue
            for batch in parts:
                mine = share(len(batch[0]), self.rank, self.world)
                yield tuple(tensor[mine] for tensor in batch)


class FileLoader:
    """Batches of examples that are read when they are needed, by worker processes if asked for.

    Args:
        get: (index, epoch) -> example, a tuple of arrays, tensors and numbers; must be picklable where processes are
            spawned rather than forked. What it draws must follow from (seed, epoch, index) alone: then batches are the
            same for any number of workers and after a resume in the middle of an epoch.
        n: number of examples.
        batch_size: examples in a global batch.
        seed: with the epoch number, decides the order.
        workers: loader processes, kept alive between epochs; 0 reads in this process.
        shuffle: False keeps the order.
        collate: list of examples -> batch; stacks arrays on a new first axis by default.
        rank, world: as in `MemoryLoader`.
        pin_memory: put batches in page-locked memory, for copies to a GPU.
        prefetch: batches that each worker reads ahead.
    Raises:
        UsageError: batch_size below 1.
    """

    def __init__(
        self,
        get: Get,
        n: int,
        batch_size: int,
        seed: int,
        workers: int = 0,
        shuffle: bool = True,
        collate: Callable[[list[Any]], Any] | None = None,
        rank: int = 0,
        world: int = 1,
        pin_memory: bool = False,
        prefetch: int = 2,
    ) -> None:
        _check_batch_size(batch_size)
        self.n = n
        self.batch_size = batch_size
        self._sampler = _Batches(n, batch_size, seed, shuffle, rank, world)
        with _advice_on_workers_ignored():
            self._loader: DataLoader[Any] = DataLoader(
                _Source(get, n),
                batch_sampler=self._sampler,
                num_workers=workers,
                collate_fn=_stack if collate is None else collate,
                pin_memory=pin_memory,
                persistent_workers=workers > 0,
                prefetch_factor=prefetch if workers else None,
                generator=torch.Generator(),  # its own: making an iterator must not advance the global one
                multiprocessing_context=_context() if workers else None,
            )

    def __len__(self) -> int:
        return num_batches(self.n, self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of this epoch from batch number `start` on; only one epoch can be under way at a time."""
        self._sampler.epoch, self._sampler.start = epoch, start
        with _advice_on_workers_ignored():
            return iter(self._loader)


class _Batches(Sampler[list[tuple[int, int]]]):
    """Lists of (epoch, index): the epoch travels with the index, so that persistent workers need no state."""

    def __init__(self, n: int, batch_size: int, seed: int, shuffle: bool, rank: int, world: int) -> None:
        self.n, self.batch_size, self.seed, self.shuffle = n, batch_size, seed, shuffle
        self.rank, self.world = rank, world
        self.epoch = self.start = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch
        rows = order(self.n, self.seed, epoch) if self.shuffle else np.arange(self.n)
        for k in range(self.start, num_batches(self.n, self.batch_size)):
            batch = rows[batch_rows(k, self.n, self.batch_size)]
            yield [(epoch, i) for i in batch[share(len(batch), self.rank, self.world)].tolist()]

    def __len__(self) -> int:
        return num_batches(self.n, self.batch_size) - self.start


class _Source(Dataset[Any]):
    def __init__(self, get: Get, n: int) -> None:
        self.get, self.n = get, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, i = place
        return self.get(i, epoch)


def _stack(examples: list[Any]) -> Any:
    return default_collate(examples) if examples else ()  # a share of nothing


@contextmanager
def _advice_on_workers_ignored() -> Iterator[None]:
    """The user chose the number of workers; how many torch would advise is not news."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        yield


def _context() -> str | None:
    """Forked workers start in 0.05 s, others in seconds; but a process that has used CUDA must not fork."""
    return "fork" if "fork" in multiprocessing.get_all_start_methods() and not torch.cuda.is_initialized() else None


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}.", "training.batch_size", "Set it to 1 or more.")
