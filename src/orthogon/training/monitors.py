"""Looks inside a network while it trains: gradients, dead units, step sizes, and where a NaN was born.

A look costs a forward's worth of small reductions, so it happens every `monitor_every` updates; between two looks
the monitor holds no hook and does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from orthogon.training.config import TrainingConfig
from orthogon.training.optimisers import is_weight

SMALLEST_RATIO = 1e-5  # a weight tensor's gradient RMS over the largest one's
DEAD_SHARE = 0.5  # of a layer's units that never fire in one batch
LARGE_UPDATE = 0.1  # ‖ΔW‖ / ‖W‖ of one update; 1e-3 is usual
MIN_DEAD_BATCH = 16  # activations per unit below which silence says nothing
RECTIFIERS = (nn.ReLU, nn.ReLU6)


class Monitor:
    """Samples per-layer gradient norms, dead rectifier units and update sizes, and warns.

    Call `look(step, loss)` after each update while the gradients are still there. It looks every `monitor_every`
    steps; the update before a look arms the hooks for the one forward that is looked at. The look at step 0 sees
    gradients only. Whoever calls `arm` before an update has it looked at as well.

    Attributes:
        gradient_norms, update_ratios, dead_units: the latest look, by parameter or layer name. A rectifier that its
            block calls several times in one forward is several layers: "relu", "relu, use 2".

    Args:
        network: what to watch; None (pixels, plain tensors) watches nothing.
        config: `monitor_every`, and `gradient_range`: (smallest, largest) norm of a weight tensor's gradient, of the
            mean loss, without a warning. Below SMALLEST_RATIO of the largest layer's gradient, per weight, warns as
            well.
    """

    def __init__(self, network: nn.Module | None, config: TrainingConfig) -> None:
        self.network = network
        self._parameters = (
            [] if network is None else list(network.named_parameters())
        )  # walking costs as much as a look
        self._watched = [(n, p) for n, p in self._parameters if is_weight(n, p)]
        self._rectifiers = (
            [] if network is None else [(n, m) for n, m in network.named_modules() if isinstance(m, RECTIFIERS)]
        )
        self.every = config.monitor_every
        self.smallest_norm, self.largest_norm = config.gradient_range
        self.gradient_norms: dict[str, float] = {}
        self.update_ratios: dict[str, float] = {}
        self.dead_units: dict[str, float] = {}
        self._weights: dict[str, Tensor] = {}
        self._active: dict[str, Tensor] = {}
        self._uses: dict[str, int] = {}  # how often a rectifier was called since its parent's forward began
        self._hooks: list[Any] = []
        self._armed = False
        self._small: set[str] = set()  # layers with a vanishing gradient, and with a large update, at the last look
        self._large: set[str] = set()
        self._warned: set[tuple[str, str]] = set()

    def arm(self) -> None:
        """Remember the weights and watch the next forward."""
        if self.network is None or self._armed:
            return
        self._armed = True
        self._weights = {n: p.detach().clone() for n, p in self._watched if p.requires_grad}
        self._active, self._uses = {}, {}
        for name, module in self._rectifiers:
            parent = self.network.get_submodule(name.rpartition(".")[0])
            self._hooks.append(parent.register_forward_pre_hook(self._begin_uses(name)))
            self._hooks.append(module.register_forward_hook(self._count_active(name)))

    def disarm(self) -> None:
        """Take every hook off and forget the weights."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._weights, self._armed = [], {}, False

    def look(self, step: int, loss: float | None = None) -> list[dict[str, Any]]:
        """After update `step`: the warnings of this look, as events; empty between looks."""
        events: list[dict[str, Any]] = []
        if self.network is not None and (self._armed or step % self.every == 0):
            events = self._warnings(step, self._measure())
            self.disarm()
        if (step + 1) % self.every == 0:
            self.arm()
        return events

    def figures(self) -> dict[str, Any]:
        """The latest look as JSON-able figures for the log, to four digits."""
        look = {
            "gradient_norms": self.gradient_norms,
            "update_ratios": self.update_ratios,
            "dead_units": self.dead_units,
        }
        return {
            kind: {name: float(f"{value:.4g}") for name, value in figures.items()} for kind, figures in look.items()
        }

    def explain_nan(self, network: nn.Module, batch_loss: Callable[[], Tensor]) -> tuple[str, str]:
        """Where the first NaN or infinity of this batch is: (tensor's name, what is wrong with it).

        Args:
            network: the network whose loss or gradient is not finite.
            batch_loss: computes the loss of the offending batch again, with gradient.
        """
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not _finite(tensor):
                return name, f"the stored value is {_kind(tensor)} already, before this batch"
        found: list[tuple[str, str]] = []
        hooks = [
            module.register_forward_hook(_first_bad(name or "network", found))
            for name, module in network.named_modules()
        ]
        try:
            with torch.enable_grad():
                loss = batch_loss()
        finally:
            for hook in hooks:
                hook.remove()
        if found:
            return found[0]
        if not _finite(loss):
            return "loss", f"it is {_kind(loss)} although every layer's output is finite"
        parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        bad = [name for name, g in zip(parameters, gradients, strict=True) if g is not None and not _finite(g)]
        # backward runs from the loss to the input: of several, the last layer's was first
        return (bad[-1], "its gradient is not finite") if bad else ("loss", "it is finite when computed again")

    def _begin_uses(self, name: str) -> Callable[[nn.Module, Any], None]:
        def hook(parent: nn.Module, inputs: Any) -> None:
            self._uses[name] = 0

        return hook

    def _count_active(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, outputs: Tensor) -> None:
            # a block that calls one rectifier several times, as torchvision's do, has other units each time
            use = self._uses[name] = self._uses.get(name, 0) + 1
            label = name if use == 1 else f"{name}, use {use}"
            units = outputs.detach()
            # units are channels of an image (B, C, H, W), else the last axis
            units = units.transpose(1, -1) if units.ndim == 4 else units
            units = units.reshape(-1, units.shape[-1])
            if len(units) >= MIN_DEAD_BATCH:
                fired = (units > 0).any(dim=0)
                before = self._active.get(label)  # of an earlier part of the batch, or an earlier time step
                self._active[label] = fired if before is None or before.shape != fired.shape else fired | before

        return hook

    def _measure(self) -> dict[str, float]:
        """Fill the figures of this look; the gradients' root mean square by parameter is returned."""
        assert self.network is not None
        named = [(name, p) for name, p in self._parameters if p.grad is not None]
        if not named:
            return {}
        held = [(name, p.detach()) for name, p in named if name in self._weights]
        before = [self._weights[name] for name, _ in held]
        moved = torch._foreach_sub([p for _, p in held], before) if held else []
        gradients = [p.grad for _, p in named if p.grad is not None]
        fired = [active.float().mean() for active in self._active.values()]
        # one transfer for all of them
        figures = iter(torch.stack([*_norms([*gradients, *moved, *before]), *fired]).tolist())
        self.gradient_norms = {name: next(figures) for name, _ in named}
        distances = [next(figures) for _ in held]
        self.update_ratios = {
            name: distance / max(next(figures), 1e-12) for (name, _), distance in zip(held, distances, strict=True)
        }
        self.dead_units = {name: 1 - next(figures) for name in self._active}
        return {name: self.gradient_norms[name] / math.sqrt(p.numel()) for name, p in named if is_weight(name, p)}

    def _warnings(self, step: int, rms: dict[str, float]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []

        def warn(code: str, layer: str, message: str, remedy: str) -> None:
            if (code, layer) not in self._warned:  # once a run is enough
                self._warned.add((code, layer))
                events.append(
                    {
                        "event": "warning",
                        "code": code,
                        "step": step,
                        "layer": layer,
                        "message": message,
                        "remedy": remedy,
                    }
                )

        largest = max(rms.values(), default=0.0)
        small = {
            name
            for name, value in rms.items()
            if value < SMALLEST_RATIO * largest or self.gradient_norms[name] < self.smallest_norm
        }
        # twice in a row: behind a layer that starts at 0 the first gradients are 0 and all is well
        for name in sorted(small & self._small):
            warn(
                "vanishing-gradient",
                name,
                f"step {step}: the gradient of {name} is {rms[name]:.1e} per weight, the largest layer's {largest:.1e}",
                "Use He or Xavier initialisation, batch norm, skip connections or fewer layers.",
            )
        self._small = small
        for name, norm in self.gradient_norms.items():
            if norm > self.largest_norm:
                warn(
                    "exploding-gradient",
                    name,
                    f"step {step}: the gradient of {name} has norm {norm:.1e}",
                    "Set training.clip_norm to 1, or lower training.lr.",
                )
        large = {name for name, ratio in self.update_ratios.items() if ratio > LARGE_UPDATE}
        for name in sorted(large & self._large):  # twice for the same reason
            warn(
                "large-update",
                name,
                f"step {step}: one update moved {name} by {self.update_ratios[name]:.0%} of its size; 0.1 % is usual",
                "Lower training.lr, or set training.lr_warmup_steps.",
            )
        self._large = large
        for name, share in self.dead_units.items():
            if share > DEAD_SHARE:
                warn(
                    "dead-units",
                    name,
                    f"step {step}: {share:.0%} of the units of {name} are 0 for every example of the batch",
                    "Lower training.lr, use He initialisation, or a leaky activation.",
                )
        return events


def _norms(tensors: list[Tensor]) -> Sequence[Tensor]:
    """‖t‖ of each; in one call where all are of one type."""
    alike = len({(t.dtype, t.device) for t in tensors}) == 1
    return torch._foreach_norm(tensors) if alike else [torch.linalg.vector_norm(t) for t in tensors]


def _finite(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all())


def _kind(tensor: Tensor) -> str:
    return "NaN" if bool(torch.isnan(tensor).any()) else "infinite"


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for item in value for t in _tensors(item)] if isinstance(value, (tuple, list)) else []


def _first_bad(name: str, found: list[tuple[str, str]]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, inputs: Any, outputs: Any) -> None:
        if found:
            return
        for tensor in _tensors(inputs):
            if not _finite(tensor):
                found.append((f"input of {name}", f"it is {_kind(tensor)}"))
                return
        for tensor in _tensors(outputs):
            if not _finite(tensor):
                kind = type(module).__name__
                found.append((f"output of {name}", f"{kind} gives {_kind(tensor)} from finite input"))
                return

    return hook
