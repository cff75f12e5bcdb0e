"""Loaders: every example once, aligned, the same after a resume and for any number of workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from orthogon.data import loader as loader_module
from orthogon.data.loader import FileLoader, MemoryLoader, order
from orthogon.errors import UsageError


def pairs(n: int) -> tuple[Tensor, Tensor]:
    x = torch.arange(n, dtype=torch.float32)
    return torch.stack([x, -x], dim=1), x.long()


@pytest.mark.system("opt.partition")
def test_148_examples_in_batches_of_64_are_64_64_20() -> None:
    x, y = pairs(148)
    loader = MemoryLoader((x, y), batch_size=64, seed=0)
    batches = list(loader.batches(epoch=0))
    assert [len(targets) for _, targets in batches] == [64, 64, 20]
    assert len(loader) == 3
    for inputs, targets in batches:
        assert (inputs[:, 0] == targets).all()  # pairs stay aligned
        assert (inputs[:, 1] == -targets).all()
    assert sorted(torch.cat([targets for _, targets in batches]).tolist()) == list(range(148))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 200), batch_size=st.integers(1, 220), block=st.integers(1, 5000), seed=st.integers(0, 99))
def test_every_example_once_whatever_the_block(n: int, batch_size: int, block: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader_module, "BLOCK_BYTES", block)
        batches = list(MemoryLoader(pairs(n), batch_size, seed).batches(epoch=1))
    sizes = [len(targets) for _, targets in batches]
    if n % batch_size == 1 and n > batch_size:  # one that is left joins the batch before
        assert sizes == [batch_size] * (n // batch_size - 1) + [batch_size + 1]
    else:
        assert sizes == [batch_size] * (n // batch_size) + ([n % batch_size] if n % batch_size else [])
    assert torch.cat([targets for _, targets in batches]).tolist() == order(n, seed, 1).tolist()


def test_epochs_and_seeds_differ_and_repeat() -> None:
    assert order(100, 0, 1).tolist() == order(100, 0, 1).tolist()
    different = {tuple(order(100, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(different) == 9
    assert [targets.tolist() for _, targets in MemoryLoader(pairs(5), 2, 0, shuffle=False).batches(3)] == [
        [0, 1],
        [2, 3, 4],
    ]
    assert [targets.tolist() for _, targets in MemoryLoader(pairs(1), 2, 0).batches(0)] == [[0]]
    assert len(list(MemoryLoader(pairs(5), 1, 0).batches(0))) == 5


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("block", [1, 10**6])
def test_no_loader_gives_a_single_example_that_is_left(start: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """33 in batches of 8: the fourth has 9, from memory in any blocks, from files, for several processes, resumed."""
    monkeypatch.setattr(loader_module, "BLOCK_BYTES", block)
    whole = order(33, 1, 2).tolist()
    expected = [whole[:8], whole[8:16], whole[16:24], whole[24:]]
    memory = MemoryLoader(pairs(33), 8, 1)
    files = FileLoader(identity, 33, 8, 1)
    assert len(memory) == len(files) == 4
    assert [y.tolist() for _, y in memory.batches(2, start)] == expected[start:]
    assert [y.tolist() for y in files.batches(2, start)] == expected[start:]
    assert not list(memory.batches(2, 4))
    assert not list(files.batches(2, 4))
    halves = [list(FileLoader(identity, 33, 8, 1, rank=rank, world=2).batches(2, start)) for rank in (0, 1)]
    assert [[*a.tolist(), *b.tolist()] for a, b in zip(*halves, strict=True)] == expected[start:]


def shifted(batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, ...]:
    drawn = [np.random.default_rng((epoch, i)).random() for i in batch[1].tolist()]
    return batch[0] + torch.tensor(drawn)[:, None], batch[1]


@pytest.mark.parametrize("start", range(6))
def test_a_resumed_epoch_is_the_rest_of_the_unbroken_one(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "BLOCK_BYTES", 2 * 16 * 12)  # blocks of two batches
    loader = MemoryLoader(pairs(80), batch_size=16, seed=5, transform=shifted)
    whole = list(loader.batches(epoch=2))
    rest = list(loader.batches(epoch=2, start=start))
    assert len(rest) == 5 - start
    for (x, y), (x_again, y_again) in zip(whole[start:], rest, strict=True):
        assert torch.equal(x, x_again)
        assert torch.equal(y, y_again)


def test_augmentation_differs_between_batches_and_epochs() -> None:
    loader = MemoryLoader((torch.zeros(8, 1), torch.arange(8)), batch_size=4, seed=0, transform=shifted)
    draws = [x.flatten().tolist() for epoch in (0, 1) for x, _ in loader.batches(epoch)]
    assert len({tuple(draw) for draw in draws}) == 4


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_every_global_batch_in_order(world: int) -> None:
    def shares(rank: int) -> list[list[int]]:
        return [y.tolist() for _, y in MemoryLoader(pairs(23), 8, 1, rank=rank, world=world).batches(0)]

    whole = [y.tolist() for _, y in MemoryLoader(pairs(23), 8, 1).batches(0)]
    by_rank = [shares(rank) for rank in range(world)]
    assert [[i for rank in range(world) for i in by_rank[rank][b]] for b in range(3)] == whole
    files = [FileLoader(identity, 23, 8, 1, rank=rank, world=world) for rank in range(world)]
    assert [[b.tolist() for b in loader.batches(0)] for loader in files] == by_rank


def test_user_errors_name_value_place_and_remedy() -> None:
    with pytest.raises(UsageError, match="batch_size is 0") as caught:
        MemoryLoader(pairs(4), 0, 0)
    assert (caught.value.where, caught.value.remedy) == ("training.batch_size", "Set it to 1 or more.")
    with pytest.raises(UsageError, match=r"different lengths: \[3, 4\]"):
        MemoryLoader((torch.zeros(3), torch.zeros(4)), 2, 0)


def identity(i: int, epoch: int) -> int:
    return i


def noisy(i: int, epoch: int) -> tuple[Any, int]:
    rng = np.random.default_rng((epoch, i))
    return np.full(3, i, dtype=np.float32) + rng.random(3, dtype=np.float32), i


def flat(batches: Any) -> list[tuple[list[Any], list[int]]]:
    return [(x.tolist(), y.tolist()) for x, y in batches]


def test_workers_agree_with_each_other_and_with_none() -> None:
    alone, four = (FileLoader(noisy, 37, 8, seed=3, workers=workers) for workers in (0, 4))
    for epoch in (0, 1):
        assert flat(four.batches(epoch)) == flat(alone.batches(epoch))
    whole = flat(alone.batches(1))
    assert flat(four.batches(1, start=2)) == whole[2:]
    abandoned = four.batches(0)
    next(abandoned)  # an epoch left in the middle must not leak into the next
    assert flat(four.batches(1, start=3)) == whole[3:]


def test_file_batches_come_in_the_same_order_as_memory_batches() -> None:
    files = [b.tolist() for b in FileLoader(identity, 20, 6, seed=9).batches(4)]
    memory = [b.tolist() for (b,) in MemoryLoader((torch.arange(20),), 6, seed=9).batches(4)]
    assert files == memory
    assert len(FileLoader(identity, 20, 6, seed=9)) == 4


def test_reading_files_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(FileLoader(noisy, 8, 4, seed=0).batches(0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_caller_may_collate() -> None:
    ragged = FileLoader(lambda i, epoch: list(range(i)), 4, 2, seed=0, shuffle=False, collate=list)
    assert list(ragged.batches(0)) == [[[], [0]], [[0, 1], [0, 1, 2]]]
