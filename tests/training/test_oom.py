"""No memory left: the same updates in smaller parts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.errors import TrainingError
from orthogon.training.checkpoint import digest
from orthogon.training.config import TrainingConfig
from orthogon.training.device import out_of_memory
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.weights import weights_of


class Small(Objective):
    """A machine on which only `fits` examples fit; from the `from_loss`-th loss on."""

    def __init__(self, fits: int = 10**9, from_loss: int = 0, dropout: float = 0.0, late: bool = False) -> None:
        torch.manual_seed(0)
        self.x, self.y = torch.randn(40, 6), torch.arange(40) % 3
        self.net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 3))
        self.fits, self.from_loss, self.late, self.losses = fits, from_loss, late, 0
        self.stop_after = 10**9

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches_per_epoch(self) -> int:
        return 3

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter(list(zip(self.x.split(16), self.y.split(16), strict=True))[start:])  # 16, 16, 8

    def loss(self, batch: tuple[Tensor, Tensor]) -> LossSum:
        x, y = batch
        self.losses += 1
        if self.losses > self.stop_after:
            raise InterruptedError
        loss = F.cross_entropy(self.net(x), y, reduction="sum")
        if len(x) > self.fits and self.losses > self.from_loss:
            if not self.late:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            loss.register_hook(lambda gradient: _no_memory())
        return loss, float(len(y)), {}


def _no_memory() -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried ...")


def config(**values: Any) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 3, "lr": 0.01, "preflight": False, "checkpoint_minutes": 0, **values})


def test_what_counts_as_out_of_memory() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not out_of_memory(RuntimeError("shape mismatch"))
    assert not out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize("late", [False, True], ids=["forward", "backward"])
def test_the_effective_batch_stays(tmp_path: Path, late: bool) -> None:
    large, small = Small(), Small(fits=5, from_loss=2, late=late)
    fit(large, config())
    result = fit(small, config(), tmp_path)
    for name, parameter in large.parameters().items():
        torch.testing.assert_close(small.parameters()[name], parameter, rtol=1e-6, atol=1e-6)
    assert result.batch_parts == 4
    first, second = result.warnings
    assert (first["code"], first["step"]) == ("out-of-memory", 3)  # the third batch has eight examples
    assert "out of memory on cpu; each batch is now computed in 2 parts of 4 examples" in first["message"]
    assert "in 4 parts" in second["message"]
    assert second["remedy"] == "Set training.accumulate to 4 to start this way."
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event for event in logged if event.get("code") == "out-of-memory"] == result.warnings


def test_started_in_parts_is_the_same(tmp_path: Path) -> None:
    found, told = Small(fits=4), Small()
    fit(found, config(keep_best=False))
    fit(told, config(accumulate=4, keep_best=False))
    assert digest(weights_of(found)) == digest(weights_of(told))


def test_a_failed_attempt_leaves_no_trace_in_batch_norm() -> None:
    def normalised(fits: int) -> Small:
        small = Small(fits, late=True)  # the forward of the failed attempt is complete
        torch.manual_seed(0)
        small.net = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))
        return small

    found, told = normalised(fits=4), normalised(fits=10**9)
    result = fit(found, config(keep_best=False))
    fit(told, config(accumulate=4, keep_best=False))
    assert digest(weights_of(found)) == digest(weights_of(told))
    assert "which gives the same updates, but for batch norm" in result.warnings[0]["message"]


@pytest.mark.parametrize("stop_after", [5, 8, 14])  # before, just after and long after memory ran out
def test_replayed_on_resume(tmp_path: Path, stop_after: int) -> None:
    settings = {"fits": 8, "from_loss": 4, "dropout": 0.3}
    unbroken, broken, resumed = Small(**settings), Small(**settings), Small(**settings)  # type: ignore[arg-type]
    fit(unbroken, config(), tmp_path / "unbroken")
    broken.stop_after = stop_after
    with pytest.raises(InterruptedError):
        fit(broken, config(), tmp_path / "broken")
    done = max((tmp_path / "broken/checkpoint").glob("step-*")).name
    resumed.losses = int(done.removeprefix("step-"))  # as many losses as updates, until memory ran out
    result = fit(resumed, config(), tmp_path / "broken", resume=True)
    assert result.batch_parts == 2
    assert digest(weights_of(unbroken)) == digest(weights_of(resumed))


def test_one_example_that_does_not_fit_stops_with_the_remedy() -> None:
    with pytest.raises(TrainingError, match="out of memory with a single example at a time") as caught:
        fit(Small(fits=0), config())
    assert caught.value.where == "step 1, cpu"
    assert "training.precision" in caught.value.remedy


def test_other_errors_are_not_swallowed() -> None:
    class Wrong(Small):
        def loss(self, batch: tuple[Tensor, Tensor]) -> LossSum:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fit(Wrong(), config())
