"""What a training will take: minutes and memory, from a few updates that leave everything as it was.

memory = what the process holds now (data and network among it) + gradients + optimiser state + copies of the weights +
what the forward pass of one batch keeps for its backward pass; never less than the process has needed already.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orthogon.training.budget import Pace
from orthogon.training.config import TrainingConfig
from orthogon.training.device import choose_device, out_of_memory, to_device
from orthogon.training.objective import Objective
from orthogon.training.optimisers import make_optimiser
from orthogon.training.preflight import untouched

TIMED_UPDATES = 3
COPIES = 2  # of the weights: those of the best evaluation, and those from before an update that is watched
MIB = 2**20


@dataclass(frozen=True)
class Plan:
    """What is to come.

    Attributes:
        steps: updates.
        seconds: expected.
        memory_mib: expected peak of the process, in the machine's memory.
        device_mib: expected peak in the accelerator's own memory; None where it has none, or does not tell.
        pace: what an update and an evaluation took; None on an accelerator, which was not waited for.
        patient: it may end sooner, where dev's loss no longer falls.
    """

    steps: int
    epochs: float
    seconds: float
    memory_mib: float
    device_mib: float | None = None
    pace: Pace | None = None
    patient: bool = False

    def __str__(self) -> str:
        length = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 90 else f"{self.seconds:.0f} seconds"
        length = "a second" if self.seconds < 1.5 else length
        memory = f"about {_size(self.memory_mib)} of memory"
        if self.device_mib is not None:
            memory += f" and about {_size(self.device_mib)} of the accelerator's"
        updates = f"{self.steps:,} update{'' if self.steps == 1 else 's'}"
        many = f"{self.epochs:g}" if self.epochs < 100 else f"{self.epochs:,.0f}"
        epochs = f"{many} epoch{'' if self.epochs == 1 else 's'}"
        sooner = " It ends sooner where dev's loss no longer falls." if self.patient else ""
        return f"{'At most ' if self.patient else ''}{updates} ({epochs}), about {length}, {memory}.{sooner}"


def plan(
    objective: Objective,
    config: TrainingConfig,
    clock: Callable[[], float] = time.perf_counter,
    started: float | None = None,
) -> Plan:
    """Time a few updates and one evaluation, measure what they keep, and say what the whole will take.

    Args:
        objective: at its initial weights; untouched afterwards, bit for bit.
        config: the run's training section; a budget in minutes bounds the answer.
        clock: seconds.
        started: what the clock said when the minutes began; None: they begin now.
    """
    started = clock() if started is None else started
    device = choose_device(config.device)
    per_epoch = objective.batches_per_epoch()
    network = objective.network()
    state = _state_share(config)  # first, since what it imports will be resident too
    resident = resident_mib()
    forward = _Forward(objective)
    with untouched(objective):
        if network is not None:
            network.to(device).train()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        times: list[float] = []
        for batch in islice(objective.batches(1), TIMED_UPDATES):
            began = clock()
            _gradients(objective, to_device(batch, device), config.accumulate, None if times else forward)
            times.append(clock() - began)
        if network is not None:
            network.eval()
        began = clock()
        with torch.no_grad():
            objective.evaluate()
        now = clock()
    pace, every = Pace(max(min(times), 1e-9), now - began), config.evaluate_every or per_epoch
    steps = config.steps or (config.epochs * per_epoch if config.epochs else None)
    if config.minutes is not None:
        affordable = max(1, pace.affordable(60 * config.minutes - (now - started), every))
        steps = affordable if steps is None else min(steps, affordable)
    steps, patient = steps or 0, config.patience is not None
    seconds = steps * pace.update + math.ceil(steps / every) * pace.evaluation
    trained = _mib(parameter for parameter in objective.parameters().values() if parameter.requires_grad)
    kept = trained * (state + COPIES + (config.ema_decay is not None))
    if device.type == "cuda":  # the peak holds weights, gradients, activations and what kernels work with
        on_device = torch.cuda.max_memory_allocated(device) / MIB + kept
        return Plan(steps, round(steps / per_epoch, 1), seconds, peak_memory_mib(), on_device, patient=patient)
    expected = max(peak_memory_mib(), resident + trained + kept + forward.mib)
    return Plan(steps, round(steps / per_epoch, 1), seconds, expected, pace=pace, patient=patient)


class _Forward:
    """Counts what the forward pass of a batch keeps for its backward pass, weights and buffers aside.

    Attributes:
        mib: of the largest piece of the batch.
    """

    def __init__(self, objective: Objective) -> None:
        network = objective.network()
        self.objective, self.buffers = objective, [] if network is None else list(network.buffers())
        self.mib = 0.0
        self._saved: dict[int, int] = {}  # storage -> bytes

    def __enter__(self) -> None:
        tensors = [*self.objective.parameters().values(), *self.buffers]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self._saved.clear()
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor)
        self._hooks.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)
        self.mib = max(self.mib, sum(self._saved.values()) / MIB)

    def _keep(self, tensor: Tensor) -> Tensor:
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._known:
                size = min(storage.nbytes(), tensor.numel() * tensor.element_size())
                self._saved[storage.data_ptr()] = max(size, self._saved.get(storage.data_ptr(), 0))
        return tensor


def _state_share(config: TrainingConfig) -> float:
    """Bytes of optimiser state a byte of trained weights, from one update of a small matrix."""
    matrix = nn.Parameter(torch.zeros(64, 64))
    matrix.grad = torch.ones_like(matrix)
    optimiser = make_optimiser({"weight": matrix}, None, config)
    history = optimiser.param_groups[0].get("history_size")
    if history is not None:  # L-BFGS: pairs of steps and changes of the gradient, gathered update by update
        return 2.0 * int(history) + 3
    optimiser.step(lambda: 0.0)
    state = [value for held in optimiser.state.values() for value in held.values() if isinstance(value, Tensor)]
    return _mib(tensor for tensor in state if tensor.ndim) / _mib([matrix])


def _mib(tensors: Iterable[Tensor]) -> float:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MIB


def _size(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _gradients(objective: Objective, batch: Any, parts: int, forward: _Forward | None) -> None:
    """Those of one batch, in as many parts as fit into memory; the training says so when it comes to it."""
    while True:
        pieces = objective.split(batch, parts) if parts > 1 else [batch]
        try:
            with torch.enable_grad():
                for piece in pieces:
                    with forward or nullcontext():
                        loss, count, _ = objective.loss(piece)
                    (loss / max(count, 1)).backward()
            return
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        if len(objective.split(batch, 2 * parts)) <= len(pieces):
            return  # not even one example fits, which the training explains
        parts *= 2


def peak_memory_mib() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def resident_mib() -> float:
    """Resident size of this process now; where the system does not say, the largest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return peak_memory_mib()
    return pages * resource.getpagesize() / MIB
