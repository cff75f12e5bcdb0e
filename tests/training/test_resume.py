"""A killed training reaches the weights of the unbroken one, bit for bit."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from orthogon.errors import RunError
from orthogon.models.convnet import ConvNet
from orthogon.training import checkpoint
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.weights import weights_of

SCRIPT = Path(__file__).with_name("kill_and_resume.py")
STEPS = 32  # of the script's training: 4 epochs of 8 batches
Point = tuple[Any, ...]


def killed_and_resumed(points: list[Point], workers: int = 0, accumulate: int = 1, **more: Any) -> list[dict[str, Any]]:
    settings = json.dumps({"points": points, "workers": workers, "accumulate": accumulate, **more})
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), settings],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def assert_all_equal(outcomes: list[dict[str, Any]]) -> None:
    unbroken, *resumed = outcomes
    for outcome in resumed:
        assert outcome["ended_by"] == 9
        for what in ("sha256", "history", "best_step", "evaluations_logged", "steps_logged"):
            assert outcome[what] == unbroken[what]


def test_three_kills_inside_an_epoch_and_inside_a_save() -> None:
    outcomes = killed_and_resumed([("update", 13), ("save", 3, "half"), ("save", 4, "sweep")])
    assert_all_equal(outcomes)
    assert [o["resumed_from"] for o in outcomes[1:]] != [None] * 3


def random_points(count: int, seed: int, losses: int, saves: int) -> list[Point]:
    draw = random.Random(seed)
    phases = ("tensors", "half", "rename", "sweep")
    inside = [("update", draw.randint(2, losses)) for _ in range(count // 2)]
    return [*inside, *(("save", draw.randint(2, saves), draw.choice(phases)) for _ in range(count - len(inside)))]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "accumulate"), [(0, 1), (0, 4), (4, 1), (4, 4)])
def test_twenty_random_kills(workers: int, accumulate: int) -> None:
    # 32 updates of `accumulate` losses each; the injected clock makes at least four saves
    points = random_points(20, seed=workers + accumulate, losses=STEPS * accumulate, saves=4)
    assert_all_equal(killed_and_resumed(points, workers, accumulate))


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    (one,), (four,) = killed_and_resumed([], workers=1), killed_and_resumed([], workers=4)
    assert one["sha256"] == four["sha256"]
    assert one["sha256"] != killed_and_resumed([], workers=4, seed=1)[0]["sha256"]


# -- in one process -------------------------------------------------------------------------------------------------


class Moons(Objective):
    """Something small with a state of its own: `drawn`, which changes the loss."""

    def __init__(self, hidden: int = 8, stop_after: int = 10**9) -> None:
        torch.manual_seed(0)
        self.x, self.drawn, self.stop_after = torch.randn(24, 3), torch.zeros(1), stop_after
        self.net = nn.Sequential(nn.Linear(3, hidden), nn.Dropout(0.2), nn.Linear(hidden, 1))

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches_per_epoch(self) -> int:
        return 6

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter(self.x.split(4)[start:])

    def loss(self, batch: Any) -> LossSum:
        self.stop_after -= 1
        if self.stop_after < 0:
            raise InterruptedError
        self.drawn = 0.9 * self.drawn + torch.rand(1)
        return F.mse_loss(self.net(batch).squeeze(1), batch.sum(1) + self.drawn, reduction="sum"), float(len(batch)), {}

    def extra_state(self) -> dict[str, torch.Tensor]:
        return {"drawn": self.drawn}

    def load_extra_state(self, state: Any) -> None:
        self.drawn = state["drawn"].clone()

    def evaluate(self) -> dict[str, float]:
        return {"loss": F.mse_loss(self.net(self.x).squeeze(1), self.x.sum(1)).item()}


def config(**values: Any) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 4, "lr": 0.01, "preflight": False, "checkpoint_minutes": 0, **values})


def sha(objective: Objective) -> str:
    return checkpoint.digest(weights_of(objective))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "lbfgs", "optimiser_args": {"max_iter": 3}, "lr": 0.05},
        {"optimiser": "rmsprop", "schedule": "plateau", "ema_decay": 0.9},
        {"optimiser": "nesterov", "precision": "bf16", "accumulate": 2, "clip_value": 0.1},
        {"optimiser": "adam", "precision": "fp16", "l1": 0.01},
        {"lr_race": True},
        {"patience": 2, "epochs": 9},
    ],
    ids=lambda settings: ",".join(f"{key}={value}" for key, value in settings.items()),
)
def test_every_kind_of_state_is_kept(tmp_path: Path, settings: dict[str, Any]) -> None:
    unbroken, resumed = Moons(), Moons()
    expected = fit(unbroken, config(**settings))

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint" and event["step"] == 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(Moons(), config(**settings), tmp_path, listen=stop)
    result = fit(resumed, config(**settings), tmp_path, resume=True)
    assert sha(resumed) == sha(unbroken)
    for what in ("steps", "status", "best_step", "best", "lr", "batch_parts"):
        assert getattr(result, what) == getattr(expected, what)


class Patterns(Moons):
    """Two classes of small pictures and a convolutional network with batch norm."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        generator = torch.Generator().manual_seed(0)
        self.x = torch.rand(24, 1, 8, 8, generator=generator) * 255
        self.net = ConvNet(1, 2, width=4, stages=2, mean=[127.5], std=[73.6])  # type: ignore[assignment]

    def loss(self, batch: Any) -> LossSum:
        truth = (batch.mean((1, 2, 3)) > 127.5).long()
        return F.cross_entropy(self.net(batch), truth, reduction="sum"), float(len(batch)), {}

    def evaluate(self) -> dict[str, float]:
        return {"loss": self.loss(self.x)[0].item() / len(self.x)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_image_network_learns_what_the_plain_one_does_and_resumes_to_the_same_weights(
    tmp_path: Path,
) -> None:
    plain, unbroken, resumed = Patterns(), Patterns(), Patterns()
    fit(plain, config())
    expected = fit(unbroken, config(compile=True))

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint" and event["step"] == 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(Patterns(), config(compile=True), tmp_path, listen=stop)
    result = fit(resumed, config(compile=True), tmp_path, resume=True)
    assert sha(resumed) == sha(unbroken)
    assert (result.steps, result.best) == (expected.steps, expected.best)
    for (name, ours), theirs in zip(weights_of(plain).items(), weights_of(unbroken).values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    assert not TrainingConfig().compile


def test_resuming_a_finished_training_gives_its_weights(tmp_path: Path) -> None:
    first, again = Moons(), Moons()
    one = fit(first, config(), tmp_path)
    two = fit(again, config(), tmp_path, resume=True)
    assert sha(first) == sha(again)
    assert (one.history, one.status, one.best) == (two.history, two.status, two.best)


class Slow(Moons):
    """An update takes a second, from the 25th on half of one: more of them fit than were timed."""

    def __init__(self, now: list[float], losses: int = 0, stop_after: int = 10**9) -> None:
        super().__init__(stop_after=stop_after)
        self.now, self.losses = now, losses

    def loss(self, batch: Any) -> LossSum:
        self.losses += 1
        self.now[0] += 1.0 if self.losses < 25 else 0.5
        return super().loss(batch)


@pytest.mark.parametrize("stop_after", [10, 24, 40, 57])
def test_minutes_are_not_counted_anew(stop_after: int, tmp_path: Path) -> None:
    now = [0.0]
    settings = config(epochs=None, minutes=1)
    unbroken = Slow(now)
    expected = fit(unbroken, settings, tmp_path / "a", clock=lambda: now[0])
    assert expected.steps > 55  # put right on the way
    with pytest.raises(InterruptedError):
        fit(Slow(now, stop_after=stop_after), settings, tmp_path / "b", clock=lambda: now[0])
    now[0] += 1e6  # a night
    resumed = Slow(now, losses=stop_after)
    result = fit(resumed, settings, tmp_path / "b", resume=True, clock=lambda: now[0])
    assert (result.steps, result.status) == (expected.steps, "budget")
    assert sha(resumed) == sha(unbroken)


def test_a_resumed_training_knows_the_share_that_updates_have_in_any_case(tmp_path: Path) -> None:
    """75 s of a minute are gone before the first update; what is left is kept over a kill."""
    settings = config(epochs=None, minutes=1)
    ends = []
    for kill in (10**9, 5):
        now, folder = [0.0], tmp_path / str(kill)
        with contextlib.suppress(InterruptedError):
            result = fit(Slow(now, stop_after=kill), settings, folder, clock=lambda now=now: now[0], started=-75.0)
        if kill == 5:
            result = fit(Slow(now, losses=kill), settings, folder, resume=True, clock=lambda now=now: now[0])
        ends.append(result.steps)
    assert ends[0] == ends[1] > 4


def test_what_was_decided_by_the_clock_is_saved_at_once(tmp_path: Path) -> None:
    now, heard = [0.0], []
    settings = config(epochs=None, minutes=1, checkpoint_minutes=1000)
    with pytest.raises(InterruptedError):
        fit(Slow(now, stop_after=57), settings, tmp_path, clock=lambda: now[0], listen=heard.append)
    *_, decided = [event for event in heard if event["event"] == "budget"]
    heard.clear()
    fit(Slow(now, losses=57), settings, tmp_path, resume=True, clock=lambda: now[0], listen=heard.append)
    start = next(event for event in heard if event["event"] == "start")
    assert (start["step"], start["total_steps"]) == (decided["step"], decided["total_steps"])
    assert start["step"] > 3  # not only what was decided before the first update


def test_resume_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    plain, resumed = Moons(), Moons()
    fit(plain, config())
    fit(resumed, config(), tmp_path, resume=True)
    assert sha(plain) == sha(resumed)


def test_a_damaged_newest_checkpoint_costs_a_warning(tmp_path: Path) -> None:
    unbroken = Moons()
    fit(unbroken, config())
    with pytest.raises(InterruptedError):
        fit(Moons(stop_after=10), config(), tmp_path)
    newest = max((tmp_path / "checkpoint").glob("step-*"))
    os.truncate(newest / checkpoint.TENSORS, 100)
    resumed = Moons()
    result = fit(resumed, config(), tmp_path, resume=True)
    assert sha(resumed) == sha(unbroken)
    assert [w["code"] for w in result.warnings] == ["checkpoint-damaged"]
    assert newest.name in result.warnings[0]["message"]


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fit(Moons(stop_after=10), config(), tmp_path)
    with pytest.raises(RunError, match=r"does not fit this network and optimiser(.|\n)*orthogon train") as caught:
        fit(Moons(hidden=9), config(), tmp_path, resume=True)
    assert caught.value.where == str(tmp_path / "checkpoint")


def test_another_config_is_said(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fit(Moons(stop_after=10), config(), tmp_path)
    result = fit(Moons(), config(patience=3), tmp_path, resume=True)
    assert [(w["code"], w["message"]) for w in result.warnings] == [
        ("config-changed", "resumed with another training.patience")
    ]


def test_a_full_disk_costs_a_warning_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, full = Moons(), Moons()
    fit(plain, config())
    save, saves = checkpoint.save, []

    def failing(folder: Path, step: int, *rest: Any) -> None:
        if step >= 5:
            raise OSError(28, "No space left on device")
        saves.append(step)
        save(folder, step, *rest)

    monkeypatch.setattr(checkpoint, "save", failing)
    result = fit(full, config(), tmp_path)
    assert sha(plain) == sha(full)
    assert saves == [0, 1, 2, 3, 4]
    warning = result.warnings[0]
    assert warning["code"] == "checkpoint-failed"
    assert "No space left on device" in warning["message"]
    assert "the one of step 4 is kept" in warning["message"]
    assert str(tmp_path) in warning["remedy"]
    monkeypatch.undo()
    resumed = Moons()
    fit(resumed, config(), tmp_path, resume=True)
    assert sha(resumed) == sha(plain)
