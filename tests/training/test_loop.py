"""The loop against hand-written loops, closed forms and planted faults."""

import json
import math
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import orthogon.training.loop as loop_module
from orthogon.errors import ConfigError, TrainingError
from orthogon.training.budget import Pace
from orthogon.training.checkpoint import digest
from orthogon.training.config import TrainingConfig
from orthogon.training.device import choose_device, require_compiler, seed_everything, to_device
from orthogon.training.loop import FitResult, fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.update import Update
from orthogon.training.weights import weights_of


class Regression(Objective):
    """y = x W on 40 rows, in order, in float64; dev is 10 rows more."""

    def __init__(self, batch_size: int = 8, net: nn.Module | None = None, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(50, 5, generator=generator, dtype=torch.float64)
        self.y = self.x @ torch.randn(5, 2, generator=generator, dtype=torch.float64)
        self.y += 0.1 * torch.randn(self.y.shape, generator=generator, dtype=torch.float64)
        torch.manual_seed(seed)
        self.net = net if net is not None else nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)).double()
        self.batch_size = batch_size
        self.evaluations = 0

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches_per_epoch(self) -> int:
        return math.ceil(40 / self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        for i in range(start * self.batch_size, 40, self.batch_size):
            stop = min(i + self.batch_size, 40)
            yield self.x[i:stop], self.y[i:stop]

    def loss(self, batch: Any) -> LossSum:
        x, y = batch
        return ((self.net(x) - y) ** 2).sum(), float(y.numel()), {}

    def evaluate(self) -> dict[str, float]:
        assert not self.net.training
        assert not torch.is_grad_enabled()
        self.evaluations += 1
        return {"loss": ((self.net(self.x[40:]) - self.y[40:]) ** 2).mean().item()}


class Curve(Regression):
    """A dev curve given in advance."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = losses
        self.seen: list[dict[str, Tensor]] = []

    def evaluate(self) -> dict[str, float]:
        self.seen.append({name: p.detach().clone() for name, p in self.parameters().items()})
        return {"loss": self.losses[len(self.seen) - 1]}


class Pixels(Objective):
    """Style in miniature: pixels whose Gram matrix is to match another picture's. No network, one batch for ever."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        style = torch.randn(3, 64, generator=generator, dtype=torch.float64)
        self.gram = style @ style.T / 64
        self.pixels = nn.Parameter(torch.randn(3, 64, generator=generator, dtype=torch.float64))
        self.calls = 0

    def parameters(self) -> dict[str, nn.Parameter]:
        return {"pixels": self.pixels}

    def batches_per_epoch(self) -> int:
        return 1

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter([None])

    def loss(self, batch: Any) -> LossSum:
        self.calls += 1
        return ((self.pixels @ self.pixels.T / 64 - self.gram) ** 2).sum(), 1.0, {}


class Ragged(Objective):
    """Next-value prediction on sequences of unlike length; the loss counts time steps, not sequences."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.sequences = [
            torch.randn(length, generator=generator, dtype=torch.float64) for length in (3, 9, 2, 14, 5, 5, 8)
        ]
        torch.manual_seed(0)
        self.net = nn.GRU(1, 4, batch_first=True).double()
        self.head = nn.Linear(4, 1).double()

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(nn.ModuleDict({"net": self.net, "head": self.head}).named_parameters())

    def batches_per_epoch(self) -> int:
        return 2

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter([self.sequences[:4], self.sequences[4:]][start:])

    def split(self, batch: Any, parts: int) -> list[Any]:
        size = math.ceil(len(batch) / parts)
        return [batch[i : i + size] for i in range(0, len(batch), size)]

    def loss(self, batch: Any) -> LossSum:
        lengths = torch.tensor([len(s) - 1 for s in batch])
        padded = nn.utils.rnn.pad_sequence(batch, batch_first=True)  # (B, T)
        outputs, _ = self.net(padded[:, :-1, None])
        real = torch.arange(padded.shape[1] - 1) < lengths[:, None]
        errors = (self.head(outputs).squeeze(-1) - padded[:, 1:]) ** 2
        return errors[real].sum(), float(lengths.sum()), {}


def config(**values: Any) -> TrainingConfig:
    return TrainingConfig(
        **{"epochs": 3, "lr": 0.05, "optimiser": "sgd", "schedule": "constant", "preflight": False, **values}
    )


def weights(objective: Objective) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in objective.parameters().items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor], atol: float = 0.0) -> None:
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=atol)


# -- the updates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 8, 16, 40])  # 16: the last batch is smaller; 40: full batch
@pytest.mark.parametrize("optimiser", ["sgd", "momentum_pytorch", "adam"])
def test_equals_a_hand_written_loop(batch_size: int, optimiser: str) -> None:
    ours, bare = Regression(batch_size), Regression(batch_size)
    fit(ours, config(optimiser=optimiser, lr=0.02, keep_best=False))
    parameters = list(bare.net.parameters())
    make: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "sgd": lambda: torch.optim.SGD(parameters, lr=0.02),
        "momentum_pytorch": lambda: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
        "adam": lambda: torch.optim.Adam(parameters, lr=0.02),
    }
    steps = make[optimiser]()
    for epoch in (1, 2, 3):
        for x, y in bare.batches(epoch):
            steps.zero_grad()
            F.mse_loss(bare.net(x), y).backward()
            steps.step()
    assert_same(weights(ours), weights(bare), atol=1e-12)


def test_pixels_under_lbfgs_equal_torch_called_directly() -> None:
    ours, bare = Pixels(), Pixels()
    arguments = {"max_iter": 5, "line_search_fn": "strong_wolfe"}
    result = fit(ours, config(optimiser="LBFGS", optimiser_args=arguments, lr=1.0, epochs=None, steps=6))
    lbfgs = torch.optim.LBFGS([bare.pixels], lr=1.0, max_iter=5, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        lbfgs.zero_grad()
        loss = bare.loss(None)[0]
        loss.backward()
        return loss

    for _ in range(6):
        lbfgs.step(closure)
    assert ours.calls == bare.calls > 6  # the closure was called again inside a step
    assert torch.equal(ours.pixels, bare.pixels)
    assert ours.loss(None)[0].item() < 1e-6
    assert result.best_step is None
    assert result.steps == 6


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_ragged_batches_are_counted_by_what_they_hold(optimiser: str) -> None:
    whole, parts, bare = Ragged(), Ragged(), Ragged()
    fit(whole, config(optimiser=optimiser, weight_decay=0.0))
    fit(parts, config(optimiser=optimiser, weight_decay=0.0, accumulate=3))
    assert_same(weights(whole), weights(parts), atol=1e-12)
    parameters = list(bare.parameters().values())
    steps = (
        torch.optim.SGD(parameters, 0.05) if optimiser == "sgd" else torch.optim.AdamW(parameters, 0.05, weight_decay=0)
    )
    for epoch in (1, 2, 3):
        for batch in bare.batches(epoch):
            steps.zero_grad()
            loss, count, _ = bare.loss(batch)
            (loss / count).backward()
            steps.step()
    assert_same(weights(whole), weights(bare), atol=1e-12)


def test_a_ragged_loss_is_logged_per_unit(tmp_path: Path) -> None:
    # mean over an epoch = Σ sums / Σ counts, with weights that do not move
    objective = Ragged()
    result = fit(objective, config(lr=1e-12, epochs=1), tmp_path)
    sums = [objective.loss(batch) for batch in objective.batches(1)]
    expected = sum(s.item() for s, _, _ in sums) / sum(n for _, n, _ in sums)
    assert result.history[0]["loss"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("bf16", 1e-2)])
def test_accumulated_equals_full_batch(precision: str, tolerance: float) -> None:
    torch.manual_seed(3)
    x, y = torch.randn(32, 20), torch.randint(0, 5, (32,))

    class Classifier(Regression):
        def __init__(self) -> None:
            torch.manual_seed(3)
            super().__init__(net=nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 5)))

        def batches_per_epoch(self) -> int:
            return 1

        def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
            return iter([(x, y)])

        def loss(self, batch: Any) -> LossSum:
            return F.cross_entropy(self.net(batch[0]), batch[1], reduction="sum"), float(len(batch[1])), {}

        def evaluate(self) -> dict[str, float]:
            return {}

    full, parts = Classifier(), Classifier()
    before = weights(full)
    one = fit(full, config(epochs=1, lr=1.0, precision=precision))
    four = fit(parts, config(epochs=1, lr=1.0, precision=precision, accumulate=4))
    for name in before:  # with SGD at lr 1 the change of a weight is its gradient
        gradient, other = before[name] - full.parameters()[name], before[name] - parts.parameters()[name]
        torch.testing.assert_close(gradient, other, rtol=tolerance, atol=tolerance)
    assert one.history[0]["loss"] == pytest.approx(four.history[0]["loss"], rel=tolerance)
    assert four.batch_parts == 4


def test_clipping_by_norm_and_value() -> None:
    # W.clip: gradient (3, 4) at norm 1 becomes (0.6, 0.8); at value 3.5 it becomes (3, 3.5)
    class Linear(Pixels):
        def __init__(self) -> None:
            self.pixels = nn.Parameter(torch.zeros(2))

        def loss(self, batch: Any) -> LossSum:
            return (self.pixels * torch.tensor([3.0, 4.0])).sum(), 1.0, {}

    for settings, expected in (({"clip_norm": 1.0}, [0.6, 0.8]), ({"clip_value": 3.5}, [3.0, 3.5])):
        objective = Linear()
        fit(objective, config(epochs=1, lr=1.0, **settings))
        torch.testing.assert_close(-objective.pixels.detach(), torch.tensor(expected), atol=1e-5, rtol=0)


def test_l1_reaches_exactly_zero_and_spares_biases() -> None:
    objective = Regression(40)
    fit(objective, config(l1=10.0, lr=0.05, epochs=60, keep_best=False))
    assert all(bool((p == 0).all()) == (p.ndim == 2) for p in objective.net.parameters())


def test_averaged_weights_are_judged_and_kept() -> None:
    # ema_t = d_t·ema + (1 − d_t)·w_t, d_t = min(0.9, (1 + t)/(10 + t))
    averaged, plain = Regression(), Regression()
    expected = weights(plain)
    fit(averaged, config(ema_decay=0.9, keep_best=False))
    sgd = torch.optim.SGD(plain.net.parameters(), 0.05)
    t = 0
    for epoch in (1, 2, 3):
        for x, y in plain.batches(epoch):
            sgd.zero_grad()
            F.mse_loss(plain.net(x), y).backward()
            sgd.step()
            t += 1
            d = min(0.9, (1 + t) / (10 + t))
            expected = {n: d * expected[n] + (1 - d) * p.detach() for n, p in plain.net.named_parameters()}
    assert_same(weights(averaged), expected, atol=1e-12)
    best = Regression()
    result = fit(best, config(ema_decay=0.9))
    assert not best.net.training
    with torch.no_grad():
        assert best.evaluate()["loss"] == pytest.approx(result.best["loss"], rel=1e-12)


def test_fp16_scales_and_recovers() -> None:
    objective = Regression(net=nn.Linear(5, 2))
    objective.x, objective.y = objective.x.float(), objective.y.float()
    result = fit(objective, config(precision="fp16", epochs=30, lr=0.1))
    assert result.history[-1]["dev_loss"] < 0.1 * result.history[0]["dev_loss"]


@pytest.mark.slow
def test_compiled_equals_eager() -> None:
    eager, compiled = Regression(), Regression()
    fit(eager, config(evaluate_every=100))
    fit(compiled, config(evaluate_every=100, compile=True))
    assert_same(weights(eager), weights(compiled), atol=1e-9)


# -- when to stop, what to keep -------------------------------------------------------------------------------------


def test_early_stopping_restores_the_best_weights() -> None:
    objective = Curve([5.0, 3.0, 4.0, 2.0, 2.0, math.nan, 2.5, 1.0])
    result = fit(objective, config(epochs=8, patience=3))
    assert result.status == "patience"
    assert (result.best_step, result.best) == (20, {"loss": 2.0})
    assert [event["dev_loss"] for event in result.history[:5]] == [5.0, 3.0, 4.0, 2.0, 2.0]
    assert len(result.history) == 7
    assert_same(weights(objective), objective.seen[3])


def test_the_last_weights_stay_where_best_are_not_kept() -> None:
    objective = Curve([1.0, 2.0, 3.0])
    result = fit(objective, config(keep_best=False))
    assert_same(weights(objective), objective.seen[2])
    assert result.best_step == 5


def test_evaluates_every_so_many_steps_and_at_the_end() -> None:
    result = fit(Regression(), config(epochs=None, steps=11, evaluate_every=4))
    assert [(event["step"], event["epoch"]) for event in result.history] == [(4, 1), (8, 2), (11, 3)]
    assert (result.steps, result.epochs, result.status) == (11, 2, "finished")


def test_plateau_lowers_the_rate() -> None:
    objective = Curve([1.0] * 9)
    result = fit(objective, config(schedule="plateau", epochs=9))
    assert [event["lr"] for event in result.history] == [0.05] * 7 + [0.025] * 2


class Clock:
    """Gains what its users say, nothing else."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Timed(Regression):
    """An update takes a second, an evaluation five; both as many times more as `slower` says of the loss's number."""

    def __init__(self, clock: Clock, slower: Callable[[int], float] = lambda losses: 1.0, **more: Any) -> None:
        super().__init__(**more)
        self.clock, self.slower, self.losses = clock, slower, 0

    def loss(self, batch: Any) -> LossSum:
        self.losses += 1
        self.clock.now += self.slower(self.losses)
        return super().loss(batch)

    def evaluate(self) -> dict[str, float]:
        self.clock.now += 5 * self.slower(self.losses)
        return super().evaluate()


def test_minutes_become_steps() -> None:
    # 5 updates of 1 s and an evaluation of 5 s: 10 s an epoch. The timing takes 1 + 1 + 20 updates and an evaluation,
    # 27 s; 57 epochs fit into what is left of 10 minutes, and in the 3 s then left no evaluation.
    clock = Clock()
    timed = Timed(clock)
    result = fit(timed, config(epochs=None, minutes=10, schedule="cosine"), clock=clock)
    assert (result.status, result.steps, result.seconds) == ("budget", 285, 597)
    assert result.warnings == []
    counted = Regression()
    fit(counted, config(epochs=None, steps=result.steps, schedule="cosine"))
    assert digest(weights_of(timed)) == digest(weights_of(counted))  # neither timing nor looking left a trace


def test_minutes_of_full_batches() -> None:
    clock = Clock()
    timed = Timed(clock, batch_size=40)  # 6 s an update and its evaluation
    result = fit(timed, config(epochs=None, minutes=10), clock=clock)
    assert (result.status, result.steps) == ("budget", (600 - 27) // 6)


def test_minutes_only_limit_what_is_long_enough() -> None:
    clock = Clock()
    result = fit(Timed(clock), config(epochs=3, minutes=10), clock=clock)
    assert (result.status, result.steps) == ("finished", 15)


def test_a_known_pace_needs_no_timing() -> None:
    clock = Clock()
    result = fit(Timed(clock), config(epochs=None, minutes=1), clock=clock, started=92.0, pace=Pace(1.0, 5.0))
    assert (result.status, result.steps, result.seconds) == ("budget", 25, 58)  # 8 s were gone before


@pytest.mark.parametrize(
    ("slower", "warned"),
    [
        (lambda losses: 4.0 if losses > 22 else 1.0, False),  # the timing was lucky, which the first look sees
        (lambda losses: 0.25 if losses > 22 else 1.0, False),
        (lambda losses: 3.0 if losses > 120 else 1.0, True),  # another program wants the processor
        (lambda losses: 0.2 if losses > 120 else 1.0, True),  # it has ended
        (lambda losses: 1 + losses / 100, None),  # little by little
        (lambda losses: 1.7 if losses % 2 else 0.3, None),
    ],
    ids=["slower", "faster", "busy", "free", "ever slower", "uneven"],
)
@pytest.mark.parametrize("evaluate_every", [None, 37])
def test_a_budget_is_kept_though_updates_change_their_pace(
    slower: Callable[[int], float], warned: bool | None, evaluate_every: int | None
) -> None:
    clock = Clock()
    heard: list[dict[str, Any]] = []
    settings = config(epochs=None, minutes=10, schedule="cosine", evaluate_every=evaluate_every)
    result = fit(Timed(clock, slower), settings, listen=heard.append, clock=clock)
    assert result.status == "budget"
    assert result.seconds == pytest.approx(600, rel=0.04)  # without looking: 0.4 to 4 times of it
    codes = {event["code"] for event in heard if event["event"] == "warning"}
    if warned is not None and (
        evaluate_every is None or warned
    ):  # else it is evaluations that turn out otherwise than timed
        assert ("budget-changed" in codes) == warned
    rates = [event["lr"] for event in heard if event["event"] == "step"]
    assert rates[-1] < 0.05 * rates[0]  # the schedule ended with the last update


def test_a_budget_that_is_gone_ends_the_training() -> None:
    clock = Clock()
    result = fit(Timed(clock), config(epochs=None, minutes=1), clock=clock, started=0.0, pace=Pace(1.0, 5.0))
    assert (result.status, result.steps) == ("budget", 1)


def test_what_came_before_the_first_update_is_not_in_vain() -> None:
    """700 s of 10 minutes are gone: updates get a tenth of them, 6 epochs of 5 updates and an evaluation, 10 s each."""
    clock = Clock()
    result = fit(Timed(clock), config(epochs=None, minutes=10), clock=clock, started=-600.0, pace=Pace(1.0, 5.0))
    assert (result.status, result.steps, result.seconds) == ("budget", 30, 760)


@given(
    update=st.integers(1, 50),
    evaluation=st.integers(0, 300),
    seconds=st.integers(-10, 2000),
    every=st.integers(1, 40),
    done=st.integers(0, 100),
)
def test_affordable_is_what_counting_gives(update: int, evaluation: int, seconds: int, every: int, done: int) -> None:
    def taken(n: int) -> int:
        return n * update + len({done + n, *range(done - done % every + every, done + n, every)}) * evaluation

    expected = max((n for n in range(1, 2002) if taken(n) <= seconds), default=0)
    assert Pace(update, evaluation).affordable(seconds, every, done) == expected


# -- what is told ---------------------------------------------------------------------------------------------------


def test_events_and_log(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    result = fit(Regression(), config(monitor_every=4), tmp_path, listen=heard.append, clock=Clock())
    kinds = [event["event"] for event in heard if event["event"] != "warning"]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert set(kinds) == {"start", "checkpoint", "step", "gradients", "evaluation", "end"}
    step = next(event for event in heard if event["event"] == "step")
    assert {"step", "total_steps", "epoch", "loss", "lr", "seconds"} <= set(step)
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in logged if event["event"] == "step"] == [4, 8, 12]
    assert [event for event in logged if event["event"] == "evaluation"] == result.history
    assert result.history[-1]["dev_loss"] < result.history[0]["dev_loss"]


def test_the_objectives_own_figures_are_logged(tmp_path: Path) -> None:
    class Logged(Regression):
        def loss(self, batch: Any) -> LossSum:
            loss, count, _ = super().loss(batch)
            return loss, count, {"teacher_forcing": 0.5}

    heard: list[dict[str, Any]] = []
    fit(Logged(), config(monitor_every=5), tmp_path, listen=heard.append)
    assert [event["teacher_forcing"] for event in heard if event["event"] == "step"][-1] == 0.5


# -- faults ---------------------------------------------------------------------------------------------------------


class Poison(nn.Module):
    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * math.nan if self.calls >= self.at else x


def test_a_layer_that_gives_nan_is_named_with_step_and_remedy() -> None:
    net = nn.Sequential(nn.Linear(5, 3), Poison(at=4), nn.Linear(3, 2)).double()
    with pytest.raises(TrainingError) as caught:
        fit(Regression(net=net), config())
    assert caught.value.where == "step 4"
    assert "output of 1, Poison gives NaN from finite input" in caught.value.what
    assert "Lower training.lr (now 0.05), or set training.clip_norm to 1." in caught.value.remedy


def test_nan_in_the_data_is_not_blamed_on_the_learning_rate() -> None:
    objective = Regression()
    objective.x[17, 2] = math.nan  # in the third batch of eight
    with pytest.raises(TrainingError, match=r"the loss is nan: input of ") as caught:
        fit(objective, config())
    assert caught.value.where == "step 3"
    assert "in the data" in caught.value.remedy


def test_a_gradient_that_is_nan_while_the_loss_is_not_names_its_parameter() -> None:
    class Root(nn.Module):
        """√s² at s = 0: the value is 0, the gradient 0/0."""

        def __init__(self) -> None:
            super().__init__()
            self.s = nn.Parameter(torch.zeros((), dtype=torch.float64))
            self.linear = nn.Linear(5, 2).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) + torch.sqrt(self.s**2)

    with pytest.raises(TrainingError, match=r"s, its gradient is not finite") as caught:
        fit(Regression(net=Root()), config())
    assert caught.value.where == "step 2"  # the first loss that shows it
    with pytest.raises(TrainingError, match=r"the gradient is not finite: s,") as caught:
        fit(Regression(net=Root()), config(clip_norm=1.0))
    assert caught.value.where == "step 1"


def test_explosion_names_the_rate() -> None:
    with pytest.raises(TrainingError, match=r"Lower training\.lr \(now 1e\+03\)") as caught:
        fit(Regression(net=nn.Linear(5, 2).double()), config(lr=1000.0, epochs=200))
    assert re.fullmatch(r"step \d+", caught.value.where)


def test_nan_weights_are_never_saved(tmp_path: Path) -> None:
    class Turns(Regression):
        def loss(self, batch: Any) -> LossSum:
            loss, count, _ = super().loss(batch)
            if self.evaluations == 2:  # the last update before an evaluation has nobody after it to notice
                loss = loss + torch.sqrt(0 * self.net[0].weight.sum())
            return loss, count, {}

    with pytest.raises(TrainingError, match=r"a weight is not finite: 0\.weight"):
        fit(Turns(40), config(epochs=5), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["step-00000000"]


def test_config_without_rate_or_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.lr.*\n?.*0\.001"):
        fit(Regression(), TrainingConfig(epochs=1))
    with pytest.raises(ConfigError, match=r"training\.epochs, training\.steps, training\.minutes"):
        fit(Regression(), TrainingConfig(lr=0.1))
    with pytest.raises(ConfigError, match=r"training\.optimiser, training\.precision.*\n.*bf16"):
        fit(Pixels(), TrainingConfig(lr=1.0, epochs=1, optimiser="lbfgs", precision="fp16"))
    with pytest.raises(ConfigError, match=r"training\.epochs, training\.steps: .*is 2 and .*is 7\nKeep one of them"):
        fit(Regression(), TrainingConfig(lr=0.1, epochs=2, steps=7))


def test_an_epoch_without_batches_is_an_error() -> None:
    class Empty(Regression):
        def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
            return iter([])

    with pytest.raises(TrainingError, match=r"Empty: batches\(1, 0\) gave none of the 5"):
        fit(Empty(), config())


def test_compiling_without_a_compiler_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"training\.compile: torch\.compile needs a C\+\+ compiler .*\nSet training"):
        require_compiler(torch.device("cpu"))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ConfigError, match=r"needs a C compiler \(gcc or clang or cc\)"):
        require_compiler(torch.device("cuda"))
    own = tmp_path / "mine"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("CXX", f"{own} -O2")
    require_compiler(torch.device("cpu"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "include"))
    with pytest.raises(ConfigError, match=r"Python's headers \(.*Python\.h\)"):
        require_compiler(torch.device("cpu"))


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r'training\.device: "gpu" is not a device'):
        choose_device("gpu")
    with pytest.raises(ConfigError, match=r'Did you mean "cuda"'):
        choose_device("cudda")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"this machine has 0 of that kind\nSet training\.device to auto"):
            choose_device("cuda:1")
    batch = {"x": torch.zeros(2), "more": [torch.ones(1), "text", (torch.ones(1), None)]}
    moved = to_device(batch, torch.device("meta"))
    assert moved["x"].is_meta
    assert moved["more"][2][0].is_meta
    assert moved["more"][1:2] == ["text"]


# -- the same again -------------------------------------------------------------------------------------------------


def noisy(seed: int) -> tuple[str, FitResult]:
    seed_everything(seed)
    objective = Regression(net=nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.5), nn.Linear(16, 2)).double())
    torch.rand(seed + 3)  # whatever was drawn before does not matter
    result = fit(objective, config(optimiser="adamw", ema_decay=0.9, preflight=True), seed=seed)
    return digest(weights_of(objective)), result


@pytest.mark.system("tool.repro")
def test_one_seed_one_result_two_seeds_two() -> None:
    (first, a), (again, b), (other, _) = noisy(1), noisy(1), noisy(2)
    assert first == again != other
    assert [event["dev_loss"] for event in a.history] == [event["dev_loss"] for event in b.history]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_saves_and_resumes(tmp_path: Path, number: signal.Signals) -> None:
    unbroken, broken, resumed = Regression(), Regression(), Regression()
    settings = config(optimiser="adamw", monitor_every=1, epochs=4)
    fit(unbroken, settings, tmp_path / "unbroken")

    def at_seven(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == 7:
            os.kill(os.getpid(), number)

    result = fit(broken, settings, tmp_path / "broken", listen=at_seven)
    assert (result.status, result.steps) == ("interrupted", 7)
    result = fit(resumed, settings, tmp_path / "broken", resume=True)
    assert (result.status, result.steps) == ("finished", 20)
    assert digest(weights_of(unbroken)) == digest(weights_of(resumed))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_breaks_off() -> None:
    def twice(event: dict[str, Any]) -> None:
        if event["event"] == "start":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), config(), listen=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -- what an update costs ----------------------------------------------------------------------------------------


class Reads(TorchDispatchMode):
    """Counts numbers fetched from tensors: each makes an accelerator stop until it is there."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def counted(updates: int, waits: bool, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> int:
    """Numbers read in so many updates with nothing to log, look at or evaluate; `waits` as on the CPU."""
    made = Update.__init__

    def init(self: Update, *args: Any) -> None:
        made(self, *args)
        self.waits = waits

    monkeypatch.setattr(Update, "__init__", init)
    reads, marks = Reads(), []

    class Watched(Regression):
        def loss(self, batch: Any) -> LossSum:
            marks.append(reads.count)
            return super().loss(batch)

    settings = {"lr": 0.01, "preflight": False, "monitor_every": 1000, "evaluate_every": 1000, **settings}
    with reads:
        fit(Watched(), TrainingConfig(steps=updates + 12, **settings))
    return marks[updates + 10] - marks[10]


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}, {"schedule": "constant", "optimiser": "sgd"}])
def test_an_update_reads_one_number_on_the_cpu_and_none_on_an_accelerator(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counted(40, True, monkeypatch, **settings) == 40  # the loss, to stop at the first that is not finite
    monkeypatch.undo()
    assert counted(40, False, monkeypatch, **settings) == 0


def test_an_update_makes_few_calls() -> None:
    """Of the product's functions, between two looks: learn, its rate, the update in parts, whether a report is due."""
    package = str(Path(loop_module.__file__).parents[1])
    calls: Counter[str] = Counter()

    def count(frame: FrameType, kind: str, _: Any) -> None:
        if kind == "call" and frame.f_code.co_filename.startswith(package):
            calls[frame.f_code.co_name] += 1

    def calls_of(steps: int) -> Counter[str]:
        calls.clear()
        config = TrainingConfig(steps=steps, lr=0.01, preflight=False, monitor_every=1000, evaluate_every=1000)
        sys.setprofile(count)
        try:
            fit(Regression(), config, listen=lambda event: None, clock=lambda: 0.0)
        finally:
            sys.setprofile(None)
        return Counter(calls)

    more = calls_of(200)
    more.subtract(calls_of(100))
    by_name = {name: n / 100 for name, n in more.items() if n}
    by_name.pop("batches_left", None)  # once an epoch
    by_name = {name: n for name, n in by_name.items() if n >= 0.5}
    expected = {"learn", "lr_factor", "__call__", "_closure", "_gradients", "_forget_gradients", "due"}
    assert by_name == dict.fromkeys(expected, 1.0)
