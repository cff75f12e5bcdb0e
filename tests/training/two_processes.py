"""Run by test_distributed.py, alone and under torchrun or as two forked processes; process 0 prints JSON.

python two_processes.py alone | fork | (under torchrun) join
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from orthogon.data.loader import MemoryLoader
from orthogon.training import distributed
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LoaderObjective, LossSum


class Masked(LoaderObjective):
    """Regression with masked targets in ragged batches: shares of a batch count differently.

    38 rows in batches of 12: of the last two rows each of two processes has one, often with nothing known.
    """

    def __init__(self, sharded: bool) -> None:
        # processes start from unlike weights on purpose: process 0's must win
        torch.manual_seed(int(os.environ.get("RANK", "0")))
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        self.sharded = sharded
        generator = torch.Generator().manual_seed(1)
        x, y = torch.randn(38, 4, generator=generator), torch.randn(38, 2, generator=generator)
        y[torch.rand(38, 2, generator=generator) < 0.4] = torch.nan
        self.x, self.y = x, y
        rank = int(os.environ.get("RANK", "0")) if sharded else 0
        world = int(os.environ.get("WORLD_SIZE", "1")) if sharded else 1
        super().__init__(net, MemoryLoader((x, y), 12, seed=0, rank=rank, world=world))

    def loss(self, batch: Any) -> LossSum:
        x, y = batch
        known = ~torch.isnan(y)
        return F.mse_loss(self.net(x)[known], y[known], reduction="sum"), float(known.sum()), {}

    def evaluate(self) -> dict[str, float]:
        known = ~torch.isnan(self.y)
        return {"loss": F.mse_loss(self.net(self.x)[known], self.y[known]).item()}


def train(sharded: bool, resume_too: bool) -> dict[str, Any]:
    config = TrainingConfig(
        epochs=5, lr=0.02, preflight=False, clip_norm=1.0, monitor_every=4, checkpoint_minutes=0, accumulate=2
    )
    with tempfile.TemporaryDirectory() as own:
        folder = Path(os.environ.get("SHARED_FOLDER", own)) / str(sharded)
        objective = Masked(sharded)
        result = fit(objective, config, folder)
        outcome = {
            "losses": [event["loss"] for event in result.history],
            "dev": [event["dev_loss"] for event in result.history],
            "weights": torch.cat([p.detach().reshape(-1) for p in objective.net.parameters()]).tolist(),
        }
        if resume_too:
            again = Masked(sharded)
            outcome["resumed"] = fit(again, config, folder, resume=True).steps
        return outcome


def run() -> None:
    with distributed.process_group(torch.device("cpu")):
        outcomes = [train(sharded, resume_too=distributed.world() > 1) for sharded in (False, True)]
        outcomes[0]["processes"] = distributed.world()
        if distributed.rank() == 0:
            print(json.dumps(outcomes), flush=True)


def in_children(world: int) -> None:
    """`run` in so many forked children, which meet over this machine's own address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world), "RANK": str(rank)}
            code = 1
            try:
                run()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * world


def main() -> None:
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        run()
        return
    torch.optim.AdamW([torch.zeros(1)]).step()  # imports half of torch: once here, not in every child
    for world in (1, 2):
        with tempfile.TemporaryDirectory() as shared:
            os.environ["SHARED_FOLDER"] = shared
            in_children(world)


if __name__ == "__main__":
    main()
