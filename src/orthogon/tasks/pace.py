"""How fast this machine trains a network on pictures: timed, so that size and regime suit a budget in minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from orthogon.tasks.transfer import Transfer

BATCH = 16  # pictures timed at once
SIDE = 128  # of them, pixels; the cost grows with the area
PASSES = 3.0  # over train that are enough: on clothing, 3 with 128 pixels were no worse than 7 with 96
TRAINING_SHARE = 0.8  # of a budget, for updates and dev; the rest is timing, checks, looks
LOOKING_SHARE = 0.5  # of it, for the one look of the frozen part at each picture
DEV_SHARE = 0.25  # pictures of dev for each of train


@dataclass(frozen=True)
class Costs:
    """Seconds of the clock for one picture of `SIDE` pixels a side: to learn from it, and to answer it."""

    train: float
    answer: float

    def at(self, size: int) -> Costs:
        """For pictures of this side."""
        share = (size / SIDE) ** 2
        return Costs(self.train * share, self.answer * share)


def in_time(
    n: int, sides: Sequence[int], modes: Sequence[str], seconds: float, costs: Callable[[str], Costs]
) -> tuple[int, str]:
    """The largest side at which enough passes fit, in the first of these regimes in which they do.

    Args:
        sides: to choose from, the largest first; the last is taken where nothing fits.
        modes: to choose from, the best first; likewise.
    """
    for mode in modes:
        cost = costs(mode)
        for side in sides:
            at = cost.at(side)
            if mode == "head":  # each picture is looked at once
                needed, share = n * (1 + DEV_SHARE) * at.answer, LOOKING_SHARE
            else:
                needed, share = PASSES * n * (at.train + DEV_SHARE * at.answer), TRAINING_SHARE
            if needed <= share * seconds:
                return side, mode
    return sides[-1], modes[-1]


def costs_of(
    build: Callable[[], nn.Module], mode: str, channels: int, clock: Callable[[], float] = time.perf_counter
) -> Costs:
    """What a network takes of which this much is trained; random numbers are afterwards what they were.

    Args:
        build: makes the network, whose weights do not matter.
        mode: of `Transfer`.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.zeros(BATCH, channels, SIDE, SIDE, device=device)
    with torch.random.fork_rng():
        network = build().to(device).train()
        transfer = Transfer(network, mode)

        def learn() -> None:
            transfer.hold_frozen()
            network(images).sum().backward()

        def answer() -> None:
            network.eval()
            with torch.inference_mode():
                network(images)
            network.train()

        return Costs(*(_seconds(work, clock, device) / BATCH for work in (learn, answer)))


def _seconds(work: Callable[[], None], clock: Callable[[], float], device: torch.device) -> float:
    """Of the second time; the first chooses kernels and takes memory."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return max(clock() - start, 1e-9)
