"""The learner: a network, what teaches it, and the tensors that both are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from orthogon.training import checkpoint, distributed
from orthogon.training.config import TrainingConfig
from orthogon.training.device import random_state, set_random_state
from orthogon.training.monitors import Monitor
from orthogon.training.objective import Objective
from orthogon.training.optimisers import make_optimiser, proximal_l1_
from orthogon.training.schedules import Schedule
from orthogon.training.update import Update
from orthogon.training.weights import Average, copied, put_back, weights_of


class Learner:
    """All that an update changes. Its parameters are on the device, in train mode and equal in all processes.

    Attributes:
        best_weights: copies of `weights_of` where dev loss was lowest; None before.
    """

    def __init__(
        self, objective: Objective, config: TrainingConfig, steps_per_epoch: int, device: torch.device, seed: int
    ) -> None:
        assert config.lr is not None
        self.objective, self.config, self.device = objective, config, device
        self.lr = config.lr
        self.network = objective.network()
        self.parameters = objective.parameters()
        with torch.no_grad():
            if self.network is not None:
                self.network.to(device).train()
            for parameter in self.parameters.values():
                parameter.data = parameter.data.to(device)
        distributed.copy_from_first(weights_of(objective))
        self.thawed: int | None = None  # the epoch whose parameters can be trained now
        for name in objective.frozen(1):  # an earlier learner may have frozen what is trained in a later epoch
            self.parameters[name].requires_grad_(True)
        self.lr_scales = objective.lr_scales()
        self.optimiser = make_optimiser(self.parameters, self.network, config, self.lr_scales)
        self.base_lrs = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = Schedule(config, 0, steps_per_epoch)
        self.monitor = Monitor(self.network, config)
        self.update = Update(objective, self.optimiser, self.monitor, config, device, seed)
        self.average = None if config.ema_decay is None else Average(self.parameters, config.ema_decay)
        self.best_weights: dict[str, Tensor] | None = None
        self._freeze(1)

    @property
    def rate(self) -> float:
        """The learning rate of the last update."""
        return float(self.optimiser.param_groups[0]["lr"])

    def learn(self, batch: Any, step: int, epoch: int) -> None:
        """Update number `step` (from 1) with everything that belongs to it."""
        if epoch != self.thawed:
            self._freeze(epoch)
        factor = self.schedule.lr_factor(step - 1, epoch)
        for group, lr in zip(self.optimiser.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr * factor
        self.update(batch, step)
        if self.config.l1:
            proximal_l1_(self.parameters, self.lr * factor * self.config.l1, self.lr_scales)
        if self.average is not None:
            self.average.update(step)

    def _freeze(self, epoch: int) -> None:
        """Let nothing but this epoch's parameters have a gradient; optimisers pass over those without one."""
        frozen = set(self.objective.frozen(epoch))
        for name in self.objective.frozen(1):
            self.parameters[name].requires_grad_(name not in frozen)
            if name in frozen:
                self.parameters[name].grad = None
        self.thawed = epoch

    def figures(self) -> dict[str, float]:
        """The objective's figures on dev, with the averaged weights if there are such; the same in all processes.

        Raises:
            TrainingError: a weight is not finite, and so not to be judged.
        """
        if type(self.objective).evaluate is Objective.evaluate:  # no dev set: nothing to switch to eval mode for
            return {}
        self.check_finite()
        if self.network is not None:
            self.network.eval()
        with torch.no_grad():
            if self.average is None:
                figures = self.objective.evaluate()
            else:
                with self.average.in_place():
                    figures = self.objective.evaluate()
        if self.network is not None:
            self.network.train()
        values = distributed.from_first([float(value) for value in figures.values()], self.device)
        return dict(zip(figures, values, strict=True))

    def check_finite(self) -> None:
        """Weights that are not finite must neither be judged nor saved over good ones.

        Raises:
            TrainingError: one is not, with its name.
        """
        if not math.isfinite(torch.nn.utils.get_total_norm(self.update.parameters).item()):
            raise self.update.explain("a weight is not finite", self.update.batch)

    def keep_best(self) -> None:
        """Remember these weights, averaged where there is an average."""
        weights = weights_of(self.objective)
        if self.best_weights is None:
            self.best_weights = copied(weights)
        else:
            put_back(self.best_weights, weights)
        if self.average is not None:
            put_back({name: self.best_weights[name] for name in self.average.tensors}, self.average.tensors)

    def settle(self) -> None:
        """Put the weights to use in place: the best, else the averaged, else the last; in eval mode.

        Raises:
            TrainingError: a weight is not finite.
        """
        self.check_finite()
        self.monitor.disarm()
        if self.best_weights is not None:
            put_back(weights_of(self.objective), self.best_weights)
        elif self.average is not None:
            put_back(self.average.trained, self.average.tensors)
        for parameter in self.update.parameters:
            parameter.grad = None
        if self.network is not None:
            self.network.eval()

    # -- to be saved and taken back -----------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, JSON-able values): all that later updates depend on; random numbers of every process among them."""
        tensors: dict[str, Tensor] = {}
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights": weights_of(self.objective),
            "extra": self.objective.extra_state(),
            "random": distributed.gather(random_state(self.device), self.device),
            "average": self.average.tensors if self.average is not None else {},
            "best": self.best_weights or {},
        }
        for part, named in parts.items():
            tensors |= {f"{part}/{name}": tensor for name, tensor in named.items()}
        scaler = self.update.scaler
        return tensors, {
            "parts": self.update.parts,
            "optimiser": checkpoint.pack(self.optimiser.state_dict(), "optimiser", tensors),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """The inverse of `state`.

        Raises:
            KeyError, ValueError, RuntimeError: it is of another network or optimiser.
        """

        def part(name: str) -> dict[str, Tensor]:
            return {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}

        put_back(weights_of(self.objective), part("weights"))
        self.objective.load_extra_state(part("extra"))
        if self.average is not None:
            put_back(self.average.tensors, part("average"))
        best = part("best")
        self.best_weights = {name: tensor.to(self.device, copy=True) for name, tensor in best.items()} or None
        ours = [
            {key: value for key, value in group.items() if key != "params"} for group in self.optimiser.param_groups
        ]
        self.optimiser.load_state_dict(checkpoint.unpack(state["optimiser"], tensors))
        for group, settings in zip(self.optimiser.param_groups, ours, strict=True):
            group.update(settings)  # those of the config, which may have been changed while the run was paused
        self.schedule.load_state_dict(state["schedule"])
        if self.update.scaler is not None and state["scaler"]:
            self.update.scaler.load_state_dict(state["scaler"])
        self.update.parts = state["parts"]
        random = {name: stack[distributed.rank() % len(stack)].clone() for name, stack in part("random").items()}
        set_random_state(random, self.device)

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Whatever is learned inside is forgotten."""
        tensors, state = self.state()
        tensors = copied(tensors)
        yield
        self.load_state(tensors, state)
