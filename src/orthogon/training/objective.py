"""The Objective: all that the training loop knows of a problem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

LossSum = tuple[Tensor, float, dict[str, float]]


class Objective(ABC):
    """What is to be minimised, as a sum over counted units.

    `loss` returns (sum, count, logs), never a mean: padding, ragged batches, accumulation and several processes are
    then exact, because the loop divides the summed gradient by the summed count once.
    """

    @abstractmethod
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is trained, by name, in a stable order."""

    @abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of this epoch from batch number `start` on: a function of (seed, epoch) alone."""

    @abstractmethod
    def batches_per_epoch(self) -> int: ...

    @abstractmethod
    def loss(self, batch: Any) -> LossSum:
        """(summed loss with gradient, number of units it sums over, plain numbers worth logging)."""

    def network(self) -> nn.Module | None:
        """The network whose layers are monitored and whose state is kept; None for pixels or plain tensors."""
        return None

    def extra_state(self) -> dict[str, Tensor]:
        """State beyond parameters and the network's buffers that a resumed run needs."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `extra_state` gave."""

    def evaluate(self) -> dict[str, float]:
        """Figures on dev, "loss" (a mean) among them; empty where there is no dev set. The loop sets eval mode."""
        return {}
