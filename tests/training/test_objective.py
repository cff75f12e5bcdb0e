"""How a batch is cut into parts."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from orthogon.errors import TrainingError
from orthogon.training.objective import LossSum, Objective, examples_in


class Bare(Objective):
    def parameters(self) -> dict[str, nn.Parameter]:
        return {}

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter(())

    def batches_per_epoch(self) -> int:
        return 0

    def loss(self, batch: Any) -> LossSum:
        raise NotImplementedError


class Pair(NamedTuple):
    x: Tensor
    lengths: Tensor


@given(st.integers(1, 40), st.integers(1, 50))
def test_parts_are_ordered_nearly_equal_and_never_empty(n: int, parts: int) -> None:
    batch = (torch.arange(n), {"more": [np.arange(2 * n).reshape(n, 2), None, 0.5]})
    pieces = Bare().split(batch, parts)
    sizes = [len(x) for x, _ in pieces]
    assert len(pieces) == min(parts, n)
    assert max(sizes) - min(sizes) <= 1
    assert torch.equal(torch.cat([x for x, _ in pieces]), batch[0])
    assert np.array_equal(np.concatenate([rest["more"][0] for _, rest in pieces]), batch[1]["more"][0])
    assert all(rest["more"][1:] == [None, 0.5] for _, rest in pieces)


def test_structure_stays() -> None:
    first, second = Bare().split(Pair(torch.zeros(4, 3), torch.arange(4)), 2)
    assert isinstance(first, Pair)
    assert second.lengths.tolist() == [2, 3]


def test_what_cannot_be_cut_is_said_with_the_remedy() -> None:
    with pytest.raises(TrainingError, match=r"first axes of \[3, 5\](.|\n)*own split\(batch, parts\)"):
        Bare().split([torch.zeros(3), torch.zeros(5)], 2)
    with pytest.raises(TrainingError, match=r"a batch with a str in it(.|\n)*own split\(batch, parts\)"):
        Bare().split((torch.zeros(3), ["a", "b", "c"]), 2)


def test_examples_in_a_batch() -> None:
    assert examples_in((torch.zeros(3, 2), ["a", "b", "c"])) == 3
    assert examples_in([torch.zeros(3), torch.zeros(5)]) is None
    assert examples_in(()) == 0
    assert examples_in((torch.zeros(0, 2), torch.zeros(0))) == 0
