"""Several processes, one training: `torchrun --nproc-per-node N -m orthogon ...`.

Each process computes its share of every batch. Then the summed gradients and the counts are added over the processes
with one `torch.distributed` all-reduce each, and divided once. DistributedDataParallel is not used: it averages means,
which is wrong for shares of unequal count (a ragged last batch, masked targets, tokens), wants the loss to go through
one wrapped module, and leaves the other processes waiting inside their backward when one runs out of memory. Here a
process computes its sums alone, in as many parts as its own memory needs, and only then meets the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Number of this process; 0 when there is one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def follows() -> bool:
    """Whether torchrun started this process beside a first one, which writes and speaks for all."""
    return int(os.environ.get("RANK", "0")) > 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started; does nothing in a process of its own or in a group that exists."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available() or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def add_up(tensors: Sequence[Tensor]) -> None:
    """Add each tensor over all processes, in place, in one message per dtype."""
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for group in by_type.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in group])
        dist.all_reduce(flat)
        for tensor, total in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
            tensor.copy_(total.view_as(tensor))


def add_numbers(*numbers: float, device: torch.device) -> list[float]:
    """Each number added over all processes, in float64 (float32 where the device has no float64)."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    total = torch.tensor(numbers, dtype=dtype, device=device)
    dist.all_reduce(total)
    return [float(value) for value in total.tolist()]


def from_first(numbers: Sequence[float], device: torch.device) -> list[float]:
    """The numbers that process 0 has, in every process: clocks and rounding must not let decisions differ."""
    if world() == 1:
        return list(numbers)
    dtype = torch.float32 if device.type == "mps" else torch.float64
    held = torch.tensor(list(numbers), dtype=dtype, device=device)
    dist.broadcast(held, src=0)
    return [float(value) for value in held.tolist()]


def copy_from_first(tensors: Mapping[str, Tensor]) -> None:
    """Give every process the tensors of process 0, in place."""
    if world() > 1:
        for tensor in tensors.values():
            dist.broadcast(tensor.detach(), src=0)


def gather(state: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """(world, ...) stacks of each small CPU tensor, in every process."""
    if world() == 1:
        return {name: tensor.unsqueeze(0) for name, tensor in state.items()}
    stacks = {}
    for name, tensor in state.items():
        held = tensor.to(device)
        parts = [torch.empty_like(held) for _ in range(world())]
        dist.all_gather(parts, held)
        stacks[name] = torch.stack(parts).cpu()
    return stacks
