"""What a run costs to use: figures for satisficing metrics, measured on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orthogon.metrics.intervals import Interval
from orthogon.models.describe import describe
from orthogon.tasks.task import Task

WARM_UP, CALLS = 20, 300


def measure(task: Task, network: nn.Module, weights: Path) -> dict[str, Any]:
    """Figures by name: latency_ms (95th percentile, batch of one), size_mib, parameters, multiply_adds.

    Exact figures are numbers; the measured one is an Interval as a dict, with device and threads named beside it.
    """
    example = task.example_inputs(1)
    layers = describe(network, example)
    return {
        "latency_ms": latency_p95(network, example).to_dict(),
        "size_mib": weights.stat().st_size / 2**20,
        "parameters": layers.parameters,
        "multiply_adds": layers.multiply_adds,
        "device": f"cpu, {torch.get_num_threads()} threads, batch of 1",
    }


def latency_p95(network: nn.Module, inputs: tuple[Any, ...], calls: int = CALLS) -> Interval:
    """95th percentile of warm forward passes in milliseconds; the interval from order statistics, distribution-free.

    Source: Conover, Practical Nonparametric Statistics, ch. 3: ranks of a binomial count around the quantile.
    """
    from scipy.stats import binom

    network.eval()
    with torch.inference_mode():
        for _ in range(WARM_UP):
            network(*inputs)
        times = np.empty(calls)
        for i in range(calls):
            start = time.perf_counter()
            network(*inputs)
            times[i] = time.perf_counter() - start
    times = np.sort(times) * 1000
    low, high = (int(rank) for rank in binom.ppf([0.025, 0.975], calls, 0.95))
    ranks = np.clip([int(0.95 * calls), low - 1, high], 0, calls - 1)
    value, at_least, at_most = (float(times[rank]) for rank in ranks)
    return Interval(value, at_least, at_most, 0.95, calls, "order statistics")


def figures_of(info: dict[str, Any]) -> dict[str, float | Interval]:
    """The figures of a sealed run's run.json, as `select` wants them."""
    found: dict[str, float | Interval] = {}
    for name, value in info.get("cost", {}).items():
        if isinstance(value, dict):
            found[name] = Interval(**value)
        elif not isinstance(value, str):
            found[name] = value
    return found
