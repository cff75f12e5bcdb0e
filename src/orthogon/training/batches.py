"""The batches of an epoch on their way to the loop: resumed, shared among processes, moved to the device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch

from orthogon.errors import TrainingError
from orthogon.training import distributed
from orthogon.training.device import to_device
from orthogon.training.objective import Objective, examples_in
from orthogon.training.update import NO_BATCH


def batches_left(objective: Objective, epoch: int, position: int, device: torch.device) -> Iterator[Any]:
    """What is left of this epoch from batch number `position` on: this process's share of each batch, on the device.

    Raises:
        TrainingError: there is none, although the epoch has more batches.
    """
    held = torch.get_rng_state()
    batches = objective.batches(epoch, position)
    first = next(batches, NO_BATCH)
    if first is NO_BATCH:
        raise TrainingError(
            f"batches({epoch}, {position}) gave none of the {objective.batches_per_epoch()} batches promised",
            type(objective).__name__,
            "batches_per_epoch() must be exact.",
        )
    # opening a DataLoader draws a number; a resumed epoch opens one more often than an unbroken one
    torch.set_rng_state(held)
    batches = chain((first,), batches)
    if distributed.world() > 1:
        batches = (_share(objective, batch) for batch in batches)
    return batches if device.type == "cpu" else (to_device(batch, device) for batch in batches)


def _share(objective: Objective, batch: Any) -> Any:
    if objective.sharded:
        return NO_BATCH if examples_in(batch) == 0 else batch
    pieces = objective.split(batch, distributed.world())
    return pieces[distributed.rank()] if distributed.rank() < len(pieces) else NO_BATCH
