"""The Objective: all that the training loop knows of a problem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from orthogon.errors import TrainingError

LossSum = tuple[Tensor, float, dict[str, float]]


class Objective(ABC):
    """What is to be minimised, as a sum over counted units.

    `loss` returns (sum, count, logs), never a mean: padding, ragged batches, accumulation and several processes are
    then exact, because the loop divides the summed gradient by the summed count once.

    The loop moves the network and the parameters to the device, and every batch after them (tensors inside tuples,
    lists and dicts); `evaluate` finds the network there and moves its own inputs.

    Attributes:
        sharded: True where `batches` gives only this process's share of each batch (its loader knows rank and
            world); False lets the loop take the share out of the whole batch with `split`.
    """

    sharded: bool = False

    @abstractmethod
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is trained, by name, in a stable order."""

    @abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of this epoch from batch number `start` on: a function of (seed, epoch) alone."""

    @abstractmethod
    def batches_per_epoch(self) -> int: ...

    def split(self, batch: Any, parts: int) -> Sequence[Any]:
        """The batch in at most `parts` pieces of nearly equal size, none empty, in order.

        The default cuts every tensor and array inside tuples, lists and dicts along its first axis. A batch that
        holds anything else (text, ragged lists, several images in one tensor) needs a `split` of its own.

        Raises:
            TrainingError: the default does not know how to cut this batch.
        """
        sizes = {len(piece) for piece in _arrays(batch, strict=True)}
        if len(sizes) != 1:
            raise TrainingError(
                f"a batch whose tensors have first axes of {sorted(sizes)} cannot be cut by examples",
                f"{type(self).__name__}.split",
                "Give this Objective its own split(batch, parts), or set training.accumulate to 1.",
            )
        (n,) = sizes
        parts = max(1, min(parts, n))
        edges = [n * i // parts for i in range(parts + 1)]
        return [_cut(batch, start, stop) for start, stop in pairwise(edges)]

    @abstractmethod
    def loss(self, batch: Any) -> LossSum:
        """(summed loss with gradient, number of units it sums over, plain numbers worth logging)."""

    def uninformed_loss(self, batch: Any) -> tuple[float, float] | None:
        """(summed loss, units) that a network which knows nothing has on this batch; None: theory does not tell.

        For where no constant does: the squared error of answering the mean depends on the values of the batch.
        """
        return None

    def network(self) -> nn.Module | None:
        """The network whose layers are monitored and whose state is kept; None for pixels or plain tensors."""
        return None

    def lr_scales(self) -> Mapping[str, float]:
        """Factors on the learning rate, by name of parameter; 1 for those not named."""
        return {}

    def frozen(self, epoch: int) -> Collection[str]:
        """Names of parameters that stay as they are in this epoch (from 1).

        A function of the epoch alone, so that a resumed run goes on alike; what is trained once stays trained.
        """
        return ()

    def extra_state(self) -> dict[str, Tensor]:
        """State beyond parameters and the network's buffers that a resumed run needs."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most have nothing to take back
        """Take back what `extra_state` gave."""

    def evaluate(self) -> dict[str, float]:
        """Figures on dev, "loss" (a mean) among them; empty where there is no dev set. The loop sets eval mode."""
        return {}


class Loader(Protocol):
    """What `orthogon.data.loader` has: the batches of an epoch, from any one on."""

    def __len__(self) -> int: ...

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]: ...


class LoaderObjective(Objective):
    """The usual case, a network taught with a loader's batches; what is left to say is the loss of a batch.

    Args:
        net: trained whole.
        loader: of batches as `loss` takes them.
    """

    def __init__(self, net: nn.Module, loader: Loader) -> None:
        self.net, self.loader = net, loader

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return self.loader.batches(epoch, start)

    def batches_per_epoch(self) -> int:
        return len(self.loader)


def examples_in(batch: Any) -> int | None:
    """How many examples a batch of tensors holds, 0 if it is empty; None where its arrays do not agree."""
    sizes = {len(array) for array in _arrays(batch, strict=False)}
    return sizes.pop() if len(sizes) == 1 else None if batch else 0


def _arrays(batch: Any, strict: bool) -> list[Tensor | np.ndarray[Any, Any]]:
    """Every tensor and array in the batch that has a first axis."""
    if isinstance(batch, (Tensor, np.ndarray)):
        return [batch] if batch.ndim else []
    if isinstance(batch, Mapping):
        return [array for value in batch.values() for array in _arrays(value, strict)]
    if isinstance(batch, (tuple, list)):
        return [array for value in batch for array in _arrays(value, strict)]
    if batch is None or isinstance(batch, (bool, int, float)) or not strict:
        return []
    raise TrainingError(
        f"a batch with a {type(batch).__name__} in it cannot be cut by examples",
        "Objective.split",
        "Give this Objective its own split(batch, parts), or set training.accumulate to 1.",
    )


def _cut(batch: Any, start: int, stop: int) -> Any:
    if isinstance(batch, (Tensor, np.ndarray)):
        return batch[start:stop] if batch.ndim else batch
    if isinstance(batch, Mapping):
        return {key: _cut(value, start, stop) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_cut(value, start, stop) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(_cut(value, start, stop) for value in batch)
    return batch
