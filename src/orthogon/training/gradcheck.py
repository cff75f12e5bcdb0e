"""Gradient checking: is what backward computes the slope of what forward computes, and if not, in which layer?

    dθ_approx[i] = (J(θ + ε eᵢ) − J(θ − ε eᵢ)) / 2ε                    two-sided: error O(ε²)
    score = ‖dθ_approx − dθ‖₂ / (‖dθ_approx‖₂ + ‖dθ‖₂)                  1e-7 good, 1e-5 look closer, 1e-3 a bug

For debugging only: two forwards per checked component. `check_objective` checks the cost that is trained, penalties
included, with dropout off; run it at the start and again after some training, since a bug can hide where weights are
near 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from orthogon.training.config import TrainingConfig
from orthogon.training.objective import Objective
from orthogon.training.optimisers import is_weight
from orthogon.training.preflight import dropout_off, untouched

EPSILON = 1e-7
GOOD = 1e-7
BUG = 1e-3
# Where backward gives (nearly) 0, as for a bias before batch norm, rounding alone would score 1. A tensor is measured
# against at least this share of the whole gradient.
FLOOR = 1e-4

Verdict = Literal["good", "look closer", "bug"]


@dataclass(frozen=True)
class Component:
    """One entry of θ: its tensor, its index there, and both derivatives."""

    tensor: str
    index: tuple[int, ...]
    gradient: float
    approximation: float

    @property
    def error(self) -> float:
        """How far the two derivatives are apart."""
        return abs(self.gradient - self.approximation)


@dataclass(frozen=True)
class GradientCheck:
    """The score of the whole gradient, of each tensor, and the entries that are furthest off.

    Attributes:
        worst: furthest off first, of whatever tensor.
        by_layer: the same of each layer, a tensor's name up to its last dot; the layer that is furthest off first.
        faulty: the tensors whose own score shows a bug, worst first.
    """

    score: float
    tensors: Mapping[str, float]
    worst: tuple[Component, ...]
    by_layer: Mapping[str, tuple[Component, ...]]
    faulty: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        if self.faulty or self.score > BUG:
            return "bug"
        return "good" if self.score <= GOOD else "look closer"

    def __str__(self) -> str:
        lines = [f"gradient check: {self.verdict}, score {self.score:.1e}"]
        lines += [f"  {name}: score {self.tensors[name]:.1e}" for name in self.faulty]
        shown = set(map(layer_of, self.faulty)) or {layer_of(c.tensor) for c in self.worst}
        for layer, components in self.by_layer.items():
            if self.verdict != "good" and layer in shown:
                lines.append(f"  layer {layer or '(the network itself)'}, furthest off:")
                lines += [
                    f"    {c.tensor}{list(c.index)}: backward {c.gradient:.6g}, forward's slope {c.approximation:.6g}"
                    for c in components
                ]
        return "\n".join(lines)


def layer_of(tensor: str) -> str:
    """The layer that a parameter belongs to: "linear2" of "linear2.bias"; "" for a parameter of the network itself."""
    return tensor.rpartition(".")[0]


def two_sided(f: Callable[[float], float], theta: float, epsilon: float = EPSILON) -> float:
    """(f(θ + ε) − f(θ − ε)) / 2ε."""
    return (f(theta + epsilon) - f(theta - epsilon)) / (2 * epsilon)


def check_gradients(
    cost: Callable[[], Tensor],
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor] | None = None,
    epsilon: float = EPSILON,
    max_components: int | None = None,
    num_worst: int = 5,
) -> GradientCheck:
    """Compare the gradient of `cost` with two-sided differences.

    Args:
        cost: J as a scalar tensor; the same value at each call with the same parameters.
        parameters: the tensors of θ by name, float64; changed while checking and put back.
        gradients: dθ to check, by name; what autograd gives if None.
        epsilon: ε, the half width of the difference.
        max_components: entries checked in each tensor, drawn with a fixed seed; all if None.
        num_worst: how many entries `worst` holds, and `by_layer` for each layer.
    """
    if gradients is None:
        found = torch.autograd.grad(cost(), list(parameters.values()), allow_unused=True)
        gradients = {
            name: torch.zeros_like(p) if g is None else g
            for (name, p), g in zip(parameters.items(), found, strict=True)
        }
    components: list[Component] = []
    with torch.no_grad():
        for name, parameter in parameters.items():
            for i in _positions(parameter.numel(), max_components):
                index = tuple(int(j) for j in torch.unravel_index(torch.tensor(i), parameter.shape))
                old = parameter[index].clone()

                def shifted(value: float, parameter: Tensor = parameter, index: tuple[int, ...] = index) -> float:
                    parameter[index] = value
                    return cost().item()

                slope = two_sided(shifted, old.item(), epsilon)
                parameter[index] = old
                components.append(Component(name, index, gradients[name][index].item(), slope))

    whole = _norms(components)
    tensors = {}
    for name in parameters:
        difference, size = _norms([c for c in components if c.tensor == name])
        tensors[name] = difference / max(size, FLOOR * whole[1], 1e-300)
    faulty = sorted((name for name, score in tensors.items() if score > BUG), key=lambda name: -tensors[name])
    components.sort(key=lambda c: -c.error)
    by_layer: dict[str, list[Component]] = {}
    for component in components:  # the layer of the worst comes first
        by_layer.setdefault(layer_of(component.tensor), []).append(component)
    return GradientCheck(
        whole[0] / max(whole[1], 1e-300),
        tensors,
        tuple(components[:num_worst]),
        {layer: tuple(entries[:num_worst]) for layer, entries in by_layer.items()},
        tuple(faulty),
    )


def penalty(parameters: Mapping[str, Tensor], config: TrainingConfig) -> Tensor:
    """What regularisation adds to the mean loss: weight_decay / 2 · Σ w² + l1 · Σ |w|, over weights alone.

    An optimiser with an L2 term (sgd, momentum, adam, ...) and the proximal step of l1 descend its slope. AdamW takes
    the same λw from each weight beside its gradient.
    """
    weights = [p for name, p in parameters.items() if is_weight(name, p)]
    decay = config.weight_decay or 0.0
    terms = [decay / 2 * w.square().sum() + config.l1 * w.abs().sum() for w in weights]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def check_objective(
    objective: Objective,
    config: TrainingConfig,
    batch: Any = None,
    epsilon: float = EPSILON,
    max_components: int | None = 20,
) -> GradientCheck:
    """`check_gradients` of the cost that is trained, an objective's mean loss on one batch and the penalty.

    In float64, with dropout off. Weights, buffers and random states are put back bit for bit; float32 survives the way
    to float64 and back.

    Args:
        objective: what is trained.
        config: `weight_decay` and `l1`, the regularisation term.
        batch: its first if None.
        epsilon, max_components: see `check_gradients`.
    """
    network = objective.network()
    parameters = objective.parameters()
    batch = next(iter(objective.batches(1))) if batch is None else batch
    was = {name: p.dtype for name, p in parameters.items()}
    buffers = [] if network is None else [b for b in network.buffers() if b.is_floating_point()]
    buffer_dtypes = [b.dtype for b in buffers]
    with untouched(objective), dropout_off(objective):
        try:
            for tensor in (*parameters.values(), *buffers):
                tensor.data = tensor.data.double()
            batch = _double(batch)

            def cost() -> Tensor:
                total, count, _ = objective.loss(batch)
                return total / count + penalty(parameters, config)

            return check_gradients(cost, parameters, None, epsilon, max_components)
        finally:
            for name, parameter in parameters.items():
                parameter.data = parameter.data.to(was[name])
            for buffer, dtype in zip(buffers, buffer_dtypes, strict=True):
                buffer.data = buffer.data.to(dtype)


def _positions(n: int, limit: int | None) -> list[int]:
    if limit is None or n <= limit:
        return list(range(n))
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:limit]
    return sorted(chosen.tolist())


def _norms(components: list[Component]) -> tuple[float, float]:
    """‖dθ_approx − dθ‖₂ and ‖dθ_approx‖₂ + ‖dθ‖₂."""
    difference = math.sqrt(sum((c.approximation - c.gradient) ** 2 for c in components))
    sizes = math.sqrt(sum(c.approximation**2 for c in components)) + math.sqrt(sum(c.gradient**2 for c in components))
    return difference, sizes


def _double(value: Any) -> Any:
    """The batch with its floating-point tensors in float64."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _double(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_double, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_double, value))
    return value
