"""The tensors a training changes: all of them by name, their moving average, and the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from orthogon.training.objective import Objective


def weights_of(objective: Objective) -> dict[str, Tensor]:
    """Parameters by name, then what else the network's state holds (buffers, frozen layers) as "network:NAME"."""
    named: dict[str, Tensor] = dict(objective.parameters())
    network = objective.network()
    if network is not None:
        known = {id(parameter) for parameter in named.values()}
        state = network.state_dict(keep_vars=True)
        named |= {f"network:{name}": t for name, t in state.items() if isinstance(t, Tensor) and id(t) not in known}
    return named


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def put_back(tensors: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    """Copy `kept` into the tensors of the same names, in place."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(kept[name])


class Average:
    """Exponential moving average of the trained parameters, ema ← d·ema + (1 − d)·w.

    d = min(decay, (1 + t) / (10 + t)) at update t, so that the first weights are soon forgotten; the rule of
    TensorFlow's ExponentialMovingAverage with num_updates.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.trained = {name: p for name, p in parameters.items() if p.requires_grad}
        self.decay = decay
        self.tensors = copied(self.trained)

    def update(self, t: int) -> None:
        """Take in the weights after update t (from 1)."""
        decay = min(self.decay, (1 + t) / (10 + t))
        average = get_ema_multi_avg_fn(decay)
        average(list(self.tensors.values()), list(self.trained.values()), t)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average stands where the weights are; they come back unchanged."""
        held = copied(self.trained)
        put_back(self.trained, self.tensors)
        try:
            yield
        finally:
            put_back(self.trained, held)
