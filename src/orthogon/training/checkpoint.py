"""Checkpoints: everything a killed run needs to reach the weights it would have reached.

    FOLDER/checkpoint/step-00000120/tensors.safetensors    weights, buffers, optimiser, EMA, best weights, generators
                                    state.json             the rest, and the sha256 of the tensors
    FOLDER/checkpoint/step-00000060/                       the one before, in case the newest is damaged later
    FOLDER/checkpoint/.saving-…                            a save in progress; ignored and swept up

A save is written under another name, flushed to the disk, and renamed: a kill or a full disk inside it leaves the
checkpoints before it as they were. No file is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from orthogon.errors import RunError

FORMAT = 1
KEPT = 2
HELD = "held-"  # before the number of a step: a copy that later saves do not drop, for the way back
TENSORS, STATE = "tensors.safetensors", "state.json"


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], kept: int = KEPT) -> None:
    """Write the checkpoint of this step into `folder`/checkpoint and drop all but the newest ones.

    Args:
        kept: how many, this one among them.
        tensors: name -> tensor, on any device.
        state: JSON-able.
    Raises:
        OSError: the disk is full or not writable; the checkpoints that were there are untouched.
    """
    root = folder / "checkpoint"
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(".saving-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    target, temporary = root / f"step-{step:08d}", root / f".saving-{step:08d}"
    try:
        temporary.mkdir()
        save_file(_alone(tensors), temporary / TENSORS)
        record = {"format": FORMAT, "step": step, "sha256": _sha256(temporary / TENSORS), "state": state}
        (temporary / STATE).write_text(json.dumps(record), encoding="utf-8")
        for file in (temporary / TENSORS, temporary / STATE, temporary):
            _flush(file)
        if target.exists():  # of a run that was rolled back to before it
            shutil.rmtree(target)
        os.replace(temporary, target)
        _flush(root)
    except SafetensorError as error:  # how safetensors reports what the system calls OSError
        raise OSError(str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in sorted(root.glob("step-*"))[:-kept]:
        shutil.rmtree(old, ignore_errors=True)


def steps(folder: Path) -> list[int]:
    """The steps that there is a checkpoint of, in ascending order; those held for the way back among them."""
    found = [*(folder / "checkpoint").glob("step-*"), *(folder / "checkpoint").glob(f"{HELD}*")]
    return sorted({int(path.name.rpartition("-")[2]) for path in found})


def hold(folder: Path, step: int) -> None:
    """Keep the checkpoint of this step until the run is finished, whatever is saved later."""
    root = folder / "checkpoint"
    held = root / f"{HELD}{step:08d}"
    if not held.exists():
        copy = root / f".saving-{HELD}{step:08d}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root / f"step-{step:08d}", copy)
        os.replace(copy, held)


def go_back(folder: Path, step: int) -> None:
    """Make the checkpoint of this step the newest: later ones are dropped."""
    root = folder / "checkpoint"
    place, held = root / f"step-{step:08d}", root / f"{HELD}{step:08d}"
    if held.exists():  # as it was before anything was changed
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(held, place)
    for path in [*root.glob("step-*"), *root.glob(f"{HELD}*")]:
        if int(path.name.rpartition("-")[2]) > step:
            shutil.rmtree(path, ignore_errors=True)


def load(folder: Path, step: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors (on the CPU) and state of the newest checkpoint that is whole; None where there never was one.

    `state["skipped"]` says what is wrong with newer ones that had to be passed over.

    Args:
        step: the one of this step alone.
    Raises:
        RunError: there are checkpoints, and every one is damaged.
    """
    found = sorted((folder / "checkpoint").glob("step-*" if step is None else f"step-{step:08d}"), reverse=True)
    problems: list[str] = []
    for path in found:
        try:
            record = json.loads((path / STATE).read_text(encoding="utf-8"))
            if record["format"] > FORMAT:
                raise ValueError(f"format {record['format']} is newer than this version reads ({FORMAT})")
            if _sha256(path / TENSORS) != record["sha256"]:
                raise ValueError(f"{TENSORS} is not what was written (sha256 differs)")
            return load_file(path / TENSORS), {**record["state"], "skipped": problems}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            problems.append(f"{path.name}: {_reason(error)}")
    if not found:
        return None
    raise RunError(
        f"no checkpoint is whole ({'; '.join(problems)})",
        str(folder / "checkpoint"),
        "Restore the folder from a backup, or start the run anew: orthogon train",
    )


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes, types and bytes: equal if and only if the weights are, bit for bit."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        held = tensor.detach().cpu().contiguous()
        total.update(f"{name} {tuple(held.shape)} {held.dtype}\n".encode())
        total.update(held.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Nested optimiser state as JSON-able values; its tensors go into `tensors` under names that begin with `name`."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, Mapping):  # JSON would turn the integer keys into text
        return {"$dict": [[key, pack(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [pack(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    return value


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "$tensor":
            return tensors[content]
        if kind == "$tuple":
            return tuple(unpack(item, tensors) for item in content)
        return {key: unpack(item, tensors) for key, item in content}
    return value


def _alone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors that share no memory: safetensors refuses tied weights and views."""
    seen: set[int] = set()
    alone = {}
    for name, tensor in tensors.items():
        held = tensor.detach().cpu().contiguous()
        whole = held.untyped_storage().nbytes() == held.numel() * held.element_size()
        if not whole or held.data_ptr() in seen:
            held = held.clone()
        seen.add(held.data_ptr())
        alone[name] = held
    return alone


def _flush(path: Path) -> None:
    """Have the system write the file or folder to the disk itself."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders, and orders renames itself
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{Path(error.filename).name} is missing"
    if isinstance(error, json.JSONDecodeError):
        return f"{STATE} is cut short or not JSON"
    return str(error)
