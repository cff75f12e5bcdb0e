"""What a run costs to use: figures for satisficing metrics, measured on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orthogon.errors import ConfigError, did_you_mean
from orthogon.metrics.intervals import Interval, interval
from orthogon.metrics.select import Limit, parse_limit
from orthogon.models.describe import describe
from orthogon.run.folder import Run
from orthogon.tasks.task import Task
from orthogon.training.device import to_device

WARM_UP, CALLS = 20, 300
FEWEST_CALLS = 100  # a 95% interval of a 95th percentile needs 72
SECONDS = 10.0  # after which the fewest are enough
COSTS = ("latency_ms", "size_mib", "parameters", "multiply_adds")


def measure(task: Task, network: nn.Module, weights: Path, device: torch.device) -> dict[str, Any]:
    """Figures by name: latency_ms (95th percentile, batch of one), size_mib, parameters, multiply_adds.

    Exact figures are numbers; the measured one is an Interval as a dict, with device and threads named beside it.

    Args:
        network: on the CPU, where it is afterwards too.
        weights: the stored file.
        device: where latency is measured: the one the config names.
    """
    example = task.example_inputs(1)
    layers = describe(network, example)
    try:
        latency = latency_p95(network.to(device), to_device(example, device), device)
    finally:
        network.to("cpu")
    where = f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
    if device.type == "cuda":
        where += f", {torch.cuda.get_device_name(device)}"
    return {
        "latency_ms": latency.to_dict(),
        "size_mib": weights.stat().st_size / 2**20,
        "parameters": layers.parameters,
        "multiply_adds": layers.multiply_adds,
        "device": f"{where}, batch of 1",
    }


def before_training(
    task: Task, network: nn.Module, names: Collection[str], device: torch.device
) -> dict[str, float | Interval]:
    """Those of `COSTS` that are asked for, of a network that was not trained: training changes none of them.

    Args:
        network: as it answers, in eval mode, on the CPU, where it is afterwards too.
    """
    from safetensors.torch import save

    example = task.example_inputs(1)
    found: dict[str, float | Interval] = {}
    if {"parameters", "multiply_adds"} & set(names):
        layers = describe(network, example)
        found |= {"parameters": layers.parameters, "multiply_adds": layers.multiply_adds}
    if "size_mib" in names:
        tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        found["size_mib"] = len(save(tensors)) / 2**20
    if "latency_ms" in names:
        try:
            found["latency_ms"] = latency_p95(network.to(device), to_device(example, device), device)
        finally:
            network.to("cpu")
    return {name: found[name] for name in names}


def latency_p95(
    network: Callable[..., Any],
    inputs: tuple[Any, ...],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> Interval:
    """95th percentile of warm forward passes in milliseconds; the interval from order statistics, distribution-free.

    Each call is waited for. CALLS of them, or what SECONDS allow, but never fewer than FEWEST_CALLS.

    Args:
        network: in eval mode, on the device, as are its inputs.
        clock: seconds.
    Source: Conover, Practical Nonparametric Statistics, ch. 3: ranks of a binomial count around the quantile.
    """
    from scipy.stats import binom

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    times: list[float] = []
    with torch.inference_mode():
        for _ in range(WARM_UP):
            network(*inputs)
        wait()
        began = clock()
        while len(times) < CALLS and (len(times) < FEWEST_CALLS or clock() - began < SECONDS):
            start = clock()
            network(*inputs)
            wait()
            times.append(1000 * (clock() - start))
    times.sort()
    n = len(times)
    # ranks from 0: as many calls below the quantile as a binomial count has
    low, high = (int(rank) for rank in binom.ppf([0.025, 0.975], n, 0.95))
    value, at_least, at_most = times[math.ceil(0.95 * n) - 1], times[low - 1], times[min(high, n - 1)]
    return Interval(value, at_least, at_most, 0.95, n, "order statistics")


def figures_of(run: Run, names: Collection[str]) -> dict[str, float | Interval]:
    """Figures of a finished run, as `select` wants them.

    Args:
        names: of `COSTS`, or of the task's metrics: those on dev, as people quote them.
    Raises:
        ConfigError: a name is neither.
    """
    metrics, costs = run.task().metrics(), run.info.get("cost", {})
    found: dict[str, float | Interval] = {}
    for name in names:
        if name in costs:
            found[name] = Interval(**costs[name]) if isinstance(costs[name], dict) else costs[name]
        elif name in metrics:
            found[name] = interval(run.scores("dev"), metrics[name])
        else:
            raise unknown_limit(name, metrics)
    return found


def unknown_limit(name: str, metrics: Collection[str]) -> ConfigError:
    """The error for a limit on a figure that is not measured."""
    known = [*COSTS, *metrics]
    return ConfigError(f'"{name}" is not measured', f"metrics.satisfice.{name}", did_you_mean(name, known))


@dataclass(frozen=True)
class Kept:
    """A limit and what the run has: kept only when the whole interval keeps it."""

    limit: Limit
    figure: float | Interval

    @property
    def kept(self) -> bool:
        return self.limit.kept(self.figure)

    def __str__(self) -> str:
        figure = self.figure
        shown = f"{figure:,.4g}" if not isinstance(figure, Interval) else (
            f"{figure.value:,.4g} [{figure.low:,.4g}, {figure.high:,.4g}]"
        )  # fmt: skip
        return f"{self.limit} {'kept' if self.kept else 'not kept'}: {shown}"


def limits_of(run: Run) -> list[Kept]:
    """Every limit of metrics.satisfice with the run's figure; none where no dev set was scored."""
    limits = run.config["metrics"]["satisfice"]
    if not limits or "dev" not in run.splits():
        return []
    figures = figures_of(run, limits)
    return [Kept(parse_limit(name, text), figures[name]) for name, text in limits.items()]
