"""One update: loss and gradient of a batch, in as many parts as memory needs, and the optimiser's step.

Let part i of the batch have summed loss s_i over n_i units. The step uses the gradient of Σ s_i / Σ n_i, whatever the
parts and however many processes hold them: gradients of sums are added up and divided by the total count once.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from orthogon.errors import TrainingError
from orthogon.training import distributed
from orthogon.training.config import TrainingConfig
from orthogon.training.device import out_of_memory, seed_everything
from orthogon.training.monitors import Monitor
from orthogon.training.objective import Objective, examples_in

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
RUNNING = ("running_mean", "running_var", "num_batches_tracked")  # what a batch norm's forward changes
NO_BATCH = object()  # what a process computes whose share of a batch is empty


class Update:
    """Call with a batch on the device to take one step.

    After a call `loss_sum` and `count` hold the batch's loss before the step (`loss_sum` a float on the CPU; on an
    accelerator a tensor, so that nobody waits for the device until the figure is wanted), `logs` the objective's.

    Attributes:
        parts: in how many parts a batch is computed; grows when memory runs out.
        signals: numbers added over all processes along with the gradients (somebody was interrupted, ...).
        warnings: events since the loop last took them.
    """

    def __init__(
        self,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        monitor: Monitor,
        config: TrainingConfig,
        device: torch.device,
        seed: int,
    ) -> None:
        self.objective, self.optimiser, self.monitor = objective, optimiser, monitor
        self.config, self.device, self.seed = config, device, seed
        self.named = {name: p for name, p in objective.parameters().items() if p.requires_grad}
        self.parameters = list(self.named.values())
        self.parts = config.accumulate
        self.processes = distributed.world()
        self.signals: tuple[float, ...] = ()
        self.warnings: list[dict[str, Any]] = []
        self.scaler = torch.amp.GradScaler(device.type) if config.precision == "fp16" else None
        self.arithmetic = (
            None if config.precision == "fp32" else torch.autocast(device.type, PRECISIONS[config.precision])
        )
        self.waits = device.type == "cpu"  # reading a loss costs nothing there; elsewhere it would halt the device
        self.clips = bool(config.clip_norm or config.clip_value)
        # L-BFGS alone cannot do without its closure; for the others a call of `step` without one is cheaper
        self.needs_closure = "closure" in _required(optimiser.step)
        network = objective.network()
        buffers = {} if network is None else dict(network.named_buffers())
        self.running = [b for name, b in buffers.items() if name.rpartition(".")[2] in RUNNING]
        self.running_before = [b.clone() for b in self.running]
        self.unit, self.unit_value = torch.ones((), device=device), 1.0  # dJ/d(loss sum), written when it changes

    def __call__(self, batch: Any, step: int) -> None:
        """Take update number `step` (from 1)."""
        self.batch, self.step, self.calls = batch, step, 0
        if self.needs_closure:
            self.optimiser.step(self._closure)
            return
        self._closure()
        if self.scaler is None:
            self.optimiser.step()
        else:
            self.scaler.step(self.optimiser)  # leaves the weights alone when a gradient overflowed
            self.scaler.update()

    def _closure(self) -> Any:
        """Fill the gradients with those of the mean loss; returns the mean loss if the optimiser wants it."""
        if self.running:
            torch._foreach_copy_(self.running_before, self.running)
        while True:
            try:
                loss_sum, count, logs = self._gradients()
                break
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            # outside `except`: the error's traceback held on to the memory of the failed attempt
            self._split_further()
        if self.calls == 0:
            self.loss_sum, self.count, self.logs = loss_sum, count, logs
        self.calls += 1
        if self.clips:
            self._clip()
        return loss_sum / (count or 1.0) if self.needs_closure else None

    def _gradients(self) -> tuple[Any, float, dict[str, float]]:
        pieces: Sequence[Any] = (self.batch,)
        if self.batch is NO_BATCH:  # fewer examples than processes: none for this one
            pieces = ()
            self._forget_gradients()
        elif self.parts > 1:
            pieces = self.objective.split(self.batch, self.parts)
        alone = len(pieces) == 1 and self.processes == 1
        total: Any = 0.0
        count = 0.0
        logs: dict[str, float] = {}
        for i, piece in enumerate(pieces):
            if self.arithmetic is None:
                loss, n, piece_logs = self.objective.loss(piece)
            else:
                with self.arithmetic:
                    loss, n, piece_logs = self.objective.loss(piece)
            value = loss.item() if self.waits else loss.detach()
            if self.waits and not math.isfinite(value):
                raise self.explain(f"the loss is {value}", piece)
            if i == 0:  # only now: until here they are the last update's, and `explain` may want them
                self._forget_gradients()
            if self.scaler is not None:
                loss = self.scaler.scale(loss)
            unit_value = 1.0 / n if alone and n else float(not alone)
            if unit_value != self.unit_value or loss.dtype is not self.unit.dtype:
                self.unit, self.unit_value = torch.full_like(loss.detach(), unit_value), unit_value
            loss.backward(self.unit)
            total, count = total + value, count + n
            if piece_logs:
                logs = {name: logs.get(name, 0.0) + figure for name, figure in piece_logs.items()}
        if not alone:
            if self.processes > 1:
                total, count = self._meet(total, count)
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            torch._foreach_mul_(gradients, 1.0 / count if count else 0.0)
        return total, count, logs

    def _forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _meet(self, total: Any, count: float) -> tuple[Any, float]:
        """Add gradients, loss, count and signals over all processes."""
        for parameter in self.parameters:
            if parameter.grad is None and parameter.requires_grad:  # every process must send the same tensors
                parameter.grad = torch.zeros_like(parameter)
        distributed.add_up([p.grad for p in self.parameters if p.grad is not None])
        signals = self.signals if self.calls == 0 else (0.0,) * len(self.signals)
        total, count, *added = distributed.add_numbers(float(total), count, *signals, device=self.device)
        if self.calls == 0:
            self.signals = tuple(added)
        return total, count

    def _clip(self) -> None:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimiser)
        if self.config.clip_norm:
            norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            # before clipping: it multiplies every gradient by 1/norm, and a single NaN would be in all of them
            if self.scaler is None and self.waits and not math.isfinite(norm.item()):
                raise self.explain("the gradient is not finite", self.batch)
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)
        if self.config.clip_value:
            torch.nn.utils.clip_grad_value_(self.parameters, self.config.clip_value)

    def _split_further(self) -> None:
        """Answer to no memory left: twice as many parts of the same batch, the same update."""
        self._forget_gradients()
        if self.running:
            torch._foreach_copy_(self.running, self.running_before)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        before = len(self.objective.split(self.batch, self.parts)) if self.parts > 1 else 1
        now = len(self.objective.split(self.batch, 2 * self.parts))
        if now <= before:
            raise TrainingError(
                "out of memory with a single example at a time",
                f"step {self.step}, {self.device}",
                "Make the network or the example smaller (image size, sequence length), set training.precision to "
                "bf16, or use a machine with more memory.",
            )
        self.parts *= 2
        # the failed attempt drew an unknown share of its random numbers
        seed_everything(self.seed, distributed.rank(), self.step, self.parts)
        self.warnings.append(
            {
                "event": "warning",
                "code": "out-of-memory",
                "step": self.step,
                "message": f"step {self.step}: out of memory on {self.device}; each batch is now computed in "
                f"{self.parts} parts{self._part_size(now)}, which "
                + ("gives the same updates, but for batch norm" if self.running else "gives the same updates"),
                "remedy": f"Set training.accumulate to {self.parts} to start this way.",
            }
        )

    def _part_size(self, parts: int) -> str:
        size = examples_in(self.batch)
        return "" if size is None else f" of {math.ceil(size / parts)} examples"

    def explain(self, what: str, batch: Any) -> TrainingError:
        """What to raise when a loss, gradient or weight is not finite: the step, the culprit tensor, the remedy."""
        remedy = f"Lower training.lr (now {self.optimiser.param_groups[0]['lr']:.2g})"
        remedy += "." if self.config.clip_norm else ", or set training.clip_norm to 1."
        bad_weights = [name for name, p in self.named.items() if not bool(torch.isfinite(p).all())]
        bad_gradients = [
            name for name, p in self.named.items() if p.grad is not None and not bool(torch.isfinite(p.grad).all())
        ]
        network = self.objective.network()
        if bad_gradients:
            # backward runs from the loss to the input: of several gradients, the last layer's went wrong first
            name, why = bad_gradients[-1], "its gradient is not finite" + (", nor its values" if bad_weights else "")
        elif bad_weights:
            name, why = bad_weights[0], "its values are not finite"
        elif network is not None:
            name, why = self.monitor.explain_nan(network, lambda: self.objective.loss(batch)[0])
            if name.startswith("input of"):
                remedy = "Look for NaN, infinite or huge values in the data."
        else:
            name, why = "loss", "the parameters and their gradients are finite"
        return TrainingError(f"{what}: {name}, {why}", f"step {self.step}", remedy)


def _required(function: Callable[..., Any]) -> set[str]:
    """Names of the arguments that a call must give."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
