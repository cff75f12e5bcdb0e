"""The device that computes, its random numbers, and batches on their way to it."""

from __future__ import annotations

import os
import random
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orthogon.errors import ConfigError, did_you_mean

KINDS = ("auto", "cpu", "cuda", "mps")
CPP_COMPILERS = {"darwin": ("clang++",), "win32": ("cl",)}  # that PyTorch looks for, by sys.platform


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, then MPS, then the CPU. Under torchrun each process its own GPU.

    Raises:
        ConfigError: no such device, or none on this machine.
    """
    kind = name.partition(":")[0]
    if kind not in KINDS:
        raise ConfigError(f'"{name}" is not a device', "training.device", did_you_mean(kind, KINDS))
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        kind = name = "cuda" if cuda else "mps" if mps else "cpu"
    if kind == "cuda" and name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f'"{name}" is not a device', "training.device", 'Use for instance "cuda:1".') from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}[kind]
    if (device.index or 0) >= count:
        raise ConfigError(
            f'device "{name}" was asked for and this machine has {count} of that kind',
            "training.device",
            "Set training.device to auto.",
        )
    return device


def require_compiler(device: torch.device) -> None:
    """torch.compile writes C++ for the CPU, and C around the kernels of a GPU; both are built when training begins.

    Raises:
        ConfigError: this machine has no compiler for it, or lacks Python's own headers.
    """
    cuda = device.type == "cuda"
    variable, language = ("CC", "C") if cuda else ("CXX", "C++")
    usual = ("gcc", "clang", "cc") if cuda else CPP_COMPILERS.get(sys.platform, ("g++",))
    named = os.environ.get(variable)
    compilers = usual if named is None else (named.partition(" ")[0],)
    header = Path(sysconfig.get_path("include")) / "Python.h"
    lacking = ""
    if not any(map(shutil.which, compilers)):
        lacking = f"a {language} compiler ({' or '.join(compilers)})"
    elif not header.exists():
        lacking = f"Python's headers ({header})"
    if lacking:
        raise ConfigError(
            f"torch.compile needs {lacking}, and this machine has none",
            "training.compile",
            "Set training.compile to false, or install them (Debian, Ubuntu: apt install g++ python3-dev).",
        )


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor in its tuples, lists and dicts on the device; anything else stays as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a device (or the CPU's allocator) saying that memory does not suffice."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "not enough memory" in text)


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic kernels where PyTorch has them, a warning where it has not; the old setting comes back."""
    # cuBLAS reads this when it first starts; without it PyTorch calls every matrix product nondeterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    was = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # a net for programs that read memory they never wrote; it costs a fill for every torch.empty
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was[0], warn_only=was[1])
        settings.fill_uninitialized_memory = fill


def seed_everything(*seeds: int) -> None:
    """Start the generators of Python, NumPy and PyTorch (every device) from these numbers."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0])
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where every generator stands, as tensors of fixed shape."""
    version, words, gauss = random.getstate()
    _, key, position, has_gauss, cached = np.random.get_state(legacy=True)
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.tensor([*map(int, key), int(position), int(has_gauss)]),
        "numpy_gauss": torch.tensor([float(cached)], dtype=torch.float64),
        "python": torch.tensor([version, *words, int(gauss is not None)]),
        "python_gauss": torch.tensor([gauss or 0.0], dtype=torch.float64),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Take back what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    *key, position, has_gauss = state["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), position, has_gauss, state["numpy_gauss"].item()))
    version, *words, has_gauss = state["python"].tolist()
    random.setstate((version, tuple(words), state["python_gauss"].item() if has_gauss else None))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
