"""Several processes: each gets its share of every batch, once, whichever task made the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from orthogon.data.images import ArrayImages
from orthogon.data.strings import StringPairs
from orthogon.data.tables import TableExamples
from orthogon.data.types import ColumnType
from orthogon.project.config import put
from orthogon.tasks import image_classification, seq2seq, task_class
from orthogon.training import distributed
from orthogon.training.batches import NO_BATCH, batches_left
from orthogon.training.config import TrainingConfig

N, BATCH = 22, 8


def examples(kind: str) -> Any:
    if kind == "image_classification":
        images = np.arange(N * 64, dtype=np.uint16).reshape(N, 8, 8, 1) % 251
        return ArrayImages(images.astype(np.uint8), np.array(["a", "b"])[np.arange(N) % 2], "pictures")
    if kind == "seq2seq":
        texts = [f"{k:03d}" for k in range(N)]
        return StringPairs(texts, [text[::-1] for text in texts], name="pairs.tsv")
    columns = {"x": pa.array(np.arange(N) ** 1.5), "y": pa.array(np.arange(N) * 2.0)}
    types = {name: ColumnType("number", "") for name in columns}
    return TableExamples(pa.table(columns), types, ("y",), name="made.csv")


def shares(kind: str, rank: int, world: int, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What process `rank` of `world` gets of each batch of an epoch: its inputs, flattened by example."""
    for module in (distributed, image_classification, seq2seq):
        monkeypatch.setattr(module, "rank", lambda: rank)
        monkeypatch.setattr(module, "world", lambda: world)
    train, nested = examples(kind), dict[str, Any]()
    still = {"augment": {"strength": 0.0, "flip": 0.0}} if kind == "image_classification" else {}
    suggested = task_class(kind)(task_class(kind).Config(kind=kind, **still)).suggest(train)
    for key, value in suggested.items():
        put(nested, key, value)
    task = task_class(kind)(task_class(kind).Config(**{**nested["task"], "kind": kind, **still}))
    task.fit(train)
    training = TrainingConfig(lr=0.01, epochs=1, batch_size=BATCH)
    objective = task.objective(task.network(), train, None, training)
    got = []
    for batch in batches_left(objective, 0, 0, torch.device("cpu")):
        first = next(piece for piece in _tensors(batch) if piece.ndim) if batch is not NO_BATCH else torch.zeros(0)
        got.append(first.reshape(len(first), -1).double())
    return got


def _tensors(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    pieces = batch.values() if isinstance(batch, dict) else batch
    return [tensor for piece in pieces if piece is not None for tensor in _tensors(piece)]


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("kind", ["image_classification", "seq2seq", "tabular"])
def test_the_shares_of_all_processes_are_the_batch(kind: str, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = shares(kind, 0, 1, monkeypatch)
    assert [len(batch) for batch in alone] == [8, 8, 6]
    together = [shares(kind, rank, world, monkeypatch) for rank in range(world)]
    for k, whole in enumerate(alone):
        parts = torch.cat([process[k] for process in together])
        assert sorted(parts.tolist()) == sorted(whole.tolist())
