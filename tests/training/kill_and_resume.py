"""Run by test_resume.py in a process of its own: kill trainings with SIGKILL, resume them, print the weights' sha256.

    python kill_and_resume.py '{"points": [["update", 7], ["save", 3, "rename"]], "workers": 0, "accumulate": 1}'

A point is ["update", n]: inside the n-th loss, or ["save", n, phase]: inside the n-th save, where phase is "tensors"
(before they are written), "half" (half of their bytes are), "rename" (all is written, nothing renamed) or "sweep"
(renamed, old ones not removed). Each training is a forked child that really dies; the parent only counts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.data.loader import FileLoader, MemoryLoader
from orthogon.training import checkpoint
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import FitResult, fit
from orthogon.training.objective import LoaderObjective, LossSum
from orthogon.training.weights import weights_of

SECONDS_PER_LOOK = 9.0  # what the injected clock gains each time it is read: a save every few updates


class Blobs(LoaderObjective):
    """Four classes of noisy 16-vectors; batch norm, dropout and random noise: every kind of state is in play."""

    def __init__(self, seed: int, workers: int) -> None:
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(0)
        self.y = torch.arange(150) % 4
        self.x = torch.randn(4, 16, generator=generator)[self.y] + torch.randn(150, 16, generator=generator)
        net = nn.Sequential(nn.Linear(16, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 4))
        self.losses = 0
        self.kill_at = -1
        if workers:
            super().__init__(net, FileLoader(self._one, 120, 16, seed=seed, workers=workers))
        else:
            super().__init__(
                net, MemoryLoader((self.x[:120], self.y[:120], torch.arange(120)), 16, seed, transform=self._augment)
            )

    def _one(self, i: int, epoch: int) -> tuple[Any, Any]:
        noise = np.random.default_rng((epoch, i)).standard_normal(16)
        return self.x[i] + 0.1 * torch.from_numpy(noise).float(), self.y[i]

    def _augment(self, batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, ...]:
        rows = batch[2].tolist()
        return tuple(torch.stack(list(part)) for part in zip(*(self._one(i, epoch) for i in rows), strict=True))

    def loss(self, batch: Any) -> LossSum:
        self.losses += 1
        if self.losses == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = batch
        return F.cross_entropy(self.net(x), y, reduction="sum"), float(len(y)), {}

    def evaluate(self) -> dict[str, float]:
        return {"loss": F.cross_entropy(self.net(self.x[120:]), self.y[120:]).item()}


def train(folder: Path, settings: dict[str, Any], point: list[Any] | None, resume: bool) -> FitResult:
    objective = Blobs(settings.get("seed", 0), settings["workers"])
    if point is not None and point[0] == "update":
        objective.kill_at = point[1]
    elif point is not None:
        die_inside_save(point[1], point[2])
    config = TrainingConfig(
        epochs=settings.get("epochs", 4),
        lr=0.01,
        accumulate=settings["accumulate"],
        ema_decay=0.9,
        clip_norm=1.0,
        schedule="one_cycle",
        evaluate_every=5,
        monitor_every=7,
        checkpoint_minutes=1.0,
        preflight=False,
    )
    ticks = iter(range(10**9))
    result = fit(
        objective,
        config,
        folder,
        seed=settings.get("seed", 0),
        resume=resume,
        clock=lambda: next(ticks) * SECONDS_PER_LOOK,
    )
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in event.items() if k != "seconds"} for event in result.history]
    outcome = {
        "sha256": checkpoint.digest(weights_of(objective)),
        "history": timeless,
        "best_step": result.best_step,
        "evaluations_logged": [event["step"] for event in log if event["event"] == "evaluation"],
        "steps_logged": [event["step"] for event in log if event["event"] == "step"],
    }
    (folder / "outcome.json").write_text(json.dumps(outcome))
    return result


def die_inside_save(number: int, phase: str) -> None:
    """Patch the checkpoint module so that the `number`-th save never gets past `phase`."""
    counts = {"tensors": 0, "half": 0, "rename": 0, "sweep": 0}

    def due(here: str) -> bool:
        counts[here] += 1
        return here == phase and counts[here] == number

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    save_file, replace, flush = checkpoint.save_file, os.replace, checkpoint._flush

    def dying_save_file(tensors: dict[str, Tensor], path: Path) -> None:
        if due("tensors"):
            die()
        save_file(tensors, path)
        if due("half"):
            os.truncate(path, path.stat().st_size // 2)
            die()

    def dying_replace(source: Path, target: Path) -> None:
        if due("rename"):
            die()
        replace(source, target)

    def dying_flush(path: Path) -> None:
        if path.name == "checkpoint" and due("sweep"):
            die()
        flush(path)

    checkpoint.save_file = dying_save_file
    checkpoint.os.replace = dying_replace
    checkpoint._flush = dying_flush


def in_child(folder: Path, settings: dict[str, Any], point: list[Any] | None, resume: bool) -> int:
    """Train in a forked child; returns the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(folder, settings, point, resume)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0, "a training failed"
    return 0


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(1)  # a forked child of a process with OpenMP threads may hang
    torch.optim.AdamW([torch.zeros(1)]).step()  # imports half of torch: once here, not in every child
    outcomes: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as root:
        for number, point in enumerate([None, *settings["points"]]):
            folder = Path(root) / str(number)
            folder.mkdir()
            ended_by = in_child(folder, settings, point, resume=False)
            if point is not None:
                saved = sorted(path.name for path in (folder / "checkpoint").glob("step-*"))
                assert in_child(folder, settings, None, resume=True) == 0
                outcomes.append({"ended_by": ended_by, "resumed_from": saved[-1] if saved else None})
            else:
                outcomes.append({})
            outcomes[-1] |= json.loads((folder / "outcome.json").read_text())
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
