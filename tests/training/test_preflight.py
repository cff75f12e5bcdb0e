"""Preflight: each planted fault is named first, a clean twin raises nothing, and nothing is touched."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.models.mlp import MLP
from orthogon.nn.losses import softmax_cross_entropy
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.preflight import check_descent, check_lr, lr_race, preflight

CONFIG = TrainingConfig(optimiser="adamw", lr=1e-3)
LOG_10 = float(np.log(10))


class Digits(Objective):
    """Digits, 64 a batch; `scale` multiplies the inputs, `cut` detaches the network from its loss."""

    def __init__(self, network: nn.Module, scale: float = 1 / 16, cut: bool = False) -> None:
        data = load_digits()
        self.inputs = torch.tensor(data.data * scale, dtype=torch.float32)
        self.targets = torch.tensor(data.target)
        self.net, self.cut = network, cut
        self.modes: list[tuple[bool, float]] = []

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(epoch))
        return ((self.inputs[ids], self.targets[ids]) for ids in order.split(64)[start:])

    def batches_per_epoch(self) -> int:
        return 29

    def loss(self, batch: Any) -> LossSum:
        inputs, targets = batch
        dropout = getattr(self.net, "dropout1", None)
        self.modes.append((self.net.training, dropout.p if dropout is not None else 0.0))
        logits = self.net(inputs)
        loss, count = softmax_cross_entropy(logits.detach() + 0 * logits if self.cut else logits, targets)
        return loss, count, {}


def digits(**kwargs: Any) -> Digits:
    torch.manual_seed(0)
    return Digits(MLP(64, [32], 10, dropout=0.5, batch_norm=True), **kwargs)


def random_states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adamw", "lbfgs"])
def test_a_healthy_objective_raises_nothing_and_is_left_bit_identical(optimiser: str) -> None:
    objective = digits()
    objective.net.norm1.eval()
    weights = {name: value.clone() for name, value in objective.net.state_dict().items()}
    objective.net.output.bias.grad = torch.ones(10)
    states = random_states()
    config = TrainingConfig(optimiser=optimiser, lr=0.05 if optimiser != "adamw" else 1e-3)
    assert preflight(objective, config, LOG_10) == []
    lr_race(objective, config, steps=5)
    if optimiser != "lbfgs":  # twenty losses an update
        check_lr(objective, config)
    assert random_states() == states
    assert all(torch.equal(value, weights[name]) for name, value in objective.net.state_dict().items())
    assert objective.net.output.bias.grad.tolist() == [1.0] * 10
    assert objective.net.output.weight.grad is None
    assert objective.net.training
    assert not objective.net.norm1.training
    assert objective.net.dropout1.p == 0.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("hidden", "batch_norm"), [((), False), ((64, 64), False), ((64, 64, 64, 64), True)])
def test_no_false_alarm(seed: int, hidden: tuple[int, ...], batch_norm: bool) -> None:
    torch.manual_seed(seed)
    assert preflight(Digits(MLP(64, hidden, 10, batch_norm=batch_norm)), CONFIG, LOG_10) == []


def codes(objective: Objective, config: TrainingConfig = CONFIG, expected: float | None = LOG_10) -> list[str]:
    return [finding.code for finding in preflight(objective, config, expected)]


def test_inputs_that_are_not_normalised_show_in_the_first_loss() -> None:
    torch.manual_seed(0)
    findings = preflight(Digits(MLP(64, [32], 10), scale=100.0), CONFIG, LOG_10)
    assert findings[0].code == "loss-at-start"
    assert "2.3" in findings[0].message
    assert "Normalise the inputs" in findings[0].remedy


def test_a_loss_that_is_too_good_to_be_true() -> None:
    objective = digits()
    findings = preflight(objective, CONFIG, 100.0)
    assert findings[0].code == "loss-at-start"
    assert "less than the 100" in findings[0].message
    assert "target among the inputs" in findings[0].remedy


def test_a_loss_that_is_no_number_stops_the_checks() -> None:
    objective = digits(scale=float("nan"))
    findings = preflight(objective, CONFIG, LOG_10)
    assert [(finding.code, finding.severity) for finding in findings] == [("loss-not-finite", "error")]
    assert "nan" in findings[0].message
    assert "NaN or huge values in the inputs" in findings[0].remedy


def test_a_network_cut_off_from_its_loss_cannot_learn_one_batch() -> None:
    findings = preflight(digits(cut=True), CONFIG, LOG_10)
    assert findings[0].code == "cannot-learn-one-batch"
    assert "60 updates on one batch" in findings[0].message
    assert "no layer is cut off" in findings[0].remedy


def test_a_learning_rate_that_is_far_too_large_is_named() -> None:
    torch.manual_seed(0)
    findings = preflight(Digits(MLP(64, [32], 10)), TrainingConfig(optimiser="sgd", lr=100.0), LOG_10)
    assert [finding.code for finding in findings] == ["no-descent"]
    assert "training.lr 100" in findings[0].message
    assert findings[0].remedy == "Lower training.lr, for instance to 10."


def test_without_an_expected_loss_the_start_is_not_judged() -> None:
    torch.manual_seed(0)
    assert codes(Digits(MLP(64, [32], 10), scale=10.0), expected=None) == []


def test_out_of_time_is_no_verdict() -> None:
    clock = iter(range(0, 10_000, 100))
    assert preflight(digits(), CONFIG, LOG_10, clock=lambda: float(next(clock))) == []


@pytest.mark.system("train.dropout-debug")
def test_check_descent_turns_dropout_off_sees_j_fall_and_turns_it_on_again() -> None:
    objective = digits()
    descent = check_descent(objective, TrainingConfig(optimiser="sgd", lr=0.05), steps=20)
    assert descent.passed
    assert len(descent.costs) == 21
    # a fixed function at a small rate: J falls at every step
    assert all(after < before for before, after in zip(descent.costs, descent.costs[1:], strict=False))
    assert "J falls" in str(descent)
    assert set(objective.modes) == {(True, 0.0)}
    assert objective.net.dropout1.p == 0.5

    # with dropout on, J of the same batch is another draw each time
    batch = next(objective.batches(1))
    costs = [objective.loss(batch)[0].item() for _ in range(5)]
    assert len(set(costs)) == 5
    # and off, it is one number
    failed = check_descent(digits(cut=True), TrainingConfig(optimiser="sgd", lr=0.05))
    assert not failed.passed
    assert "does not fall" in str(failed)
    assert len(set(failed.costs)) == 1


def test_dropout_inside_recurrent_layers_is_found() -> None:
    from orthogon.training.preflight import dropout_off

    network = nn.ModuleDict({"lstm": nn.LSTM(3, 4, 2, dropout=0.3), "attention": nn.MultiheadAttention(4, 2, 0.2)})
    objective = Digits(network)
    with dropout_off(objective):
        assert (network["lstm"].dropout, network["attention"].dropout) == (0.0, 0.0)
    assert (network["lstm"].dropout, network["attention"].dropout) == (0.3, 0.2)


@pytest.mark.parametrize(("lr", "expected"), [(0.003, 0.009), (30.0, 10.0), (0.3, 0.3)])
def test_the_race_is_won_by_the_rate_that_learns(lr: float, expected: float) -> None:
    torch.manual_seed(0)
    objective = Digits(MLP(64, [32], 10))
    factors = (1 / 3, 1, 3) if lr != 0.3 else (1 / 100, 1, 300)
    won = lr_race(objective, TrainingConfig(optimiser="sgd", lr=lr), factors=factors)
    assert won == pytest.approx(expected)


def test_a_race_in_which_all_explode_goes_to_the_smallest_rate() -> None:
    assert lr_race(digits(scale=float("nan")), TrainingConfig(optimiser="sgd", lr=1.0)) == pytest.approx(1 / 3)


# -- the race that only checks ----------------------------------------------------------------------------------

LONG = 1800  # updates, of which 90 are 5 %


def raced(lr: float, optimiser: str = "adamw", **config: Any) -> list[Any]:
    torch.manual_seed(0)
    config = {"steps": LONG, "lr_race": "check", **config}
    findings = preflight(Digits(MLP(64, [32], 10)), TrainingConfig(optimiser=optimiser, lr=lr, **config), LOG_10)
    return [finding for finding in findings if finding.code == "learning-rate"]


@pytest.mark.parametrize(("lr", "better"), [(3e-5, 3e-4), (1e-5, 1e-4), (1e-3, 1e-2), (1.0, 0.1)])
def test_a_rate_that_is_clearly_worse_than_a_tenth_or_ten_times_of_it_is_named(lr: float, better: float) -> None:
    """At 1e-3 the whole training of 1,800 updates ends at a loss of 0.137 too, at 1e-2 at 0.007."""
    (found,) = raced(lr)
    assert found.severity == "warning"
    assert f"at learning rate {lr:g} and fell by" in found.message
    assert found.remedy == f"Try training.lr={better:g}."


@pytest.mark.parametrize("lr", [3e-3, 1e-2])
def test_a_sound_rate_is_not_questioned(lr: float) -> None:
    """Ten times the rate falls faster at first here: that alone is no reason."""
    (found,) = raced(lr)
    names = f"{lr / 10:g} and {lr * 10:g}"
    assert (found.severity, found.remedy) == ("note", "")
    assert found.message == f"learning rate {lr:g}: not clearly worse than {names} after 30 updates"


def test_no_difference_is_called_one_within_its_noise() -> None:
    """Random labels: no rate learns anything, and the largest fall is luck."""

    class Noise(Digits):
        noise: Callable[[], Tensor]

        def loss(self, batch: Any) -> LossSum:
            loss, count, logs = super().loss(batch)
            return loss * 0 + self.noise() * count + 300 * count, count, logs

    said = []
    for seed in range(4):
        torch.manual_seed(seed)
        objective, generator = Noise(MLP(64, [32], 10)), torch.Generator().manual_seed(seed)
        objective.noise = lambda generator=generator: torch.randn((), generator=generator)
        said.append(check_lr(objective, CONFIG))
    assert all(found is None or found.severity == "note" for found in said)
    assert any(found is not None for found in said)  # something seemed to fall


def test_it_is_run_where_it_is_cheap_and_nowhere_else() -> None:
    assert len(raced(1e-3, steps=LONG)) == 1
    assert raced(1e-3, steps=LONG - 1) == []
    assert raced(1e-3, steps=None, minutes=60.0) == []
    assert len(raced(1e-3, steps=None, epochs=63)) == 1  # 29 batches each
    assert raced(1e-3, lr_race=None) == raced(1e-3, lr_race=False) == []


def test_out_of_time_the_race_says_nothing() -> None:
    clock = iter(range(0, 10_000, 3))
    assert check_lr(digits(), CONFIG, clock=lambda: float(next(clock))) is None


def test_only_a_rate_that_the_task_chose_is_questioned() -> None:
    from orthogon.project.config import ProjectConfig, parse, resolve

    def resolved(**training: Any) -> TrainingConfig:
        config: ProjectConfig = parse({"data": {"source": "digits"}, "training": training})
        return resolve(config, "image_classification", {"training.lr": 0.01}).training

    assert (resolved().lr, resolved().lr_race) == (0.01, "check")
    assert (resolved(lr=0.02).lr, resolved(lr=0.02).lr_race) == (0.02, False)
    assert resolved(lr_race=False).lr_race is False
    assert resolved(lr=0.02, lr_race="check").lr_race == "check"


def test_the_outcome_is_logged_once_and_kept_on_resume(tmp_path: Path) -> None:
    config = TrainingConfig(lr=1e-3, steps=LONG, lr_race="check", checkpoint_minutes=0, monitor_every=1, device="cpu")

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint" and event["step"] == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(digits(), config, tmp_path, listen=stop)
    resumed = digits()
    with pytest.raises(InterruptedError):
        fit(resumed, config, tmp_path, resume=True, listen=lambda event: stop({**event, "step": event["step"] - 1}))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["code"] for event in log if event["event"] == "preflight"] == ["learning-rate"]
    assert {event["lr"] for event in log if event["event"] == "start"} == {1e-3}
    assert len(resumed.modes) == 1  # one update, no race


# -- no memory left ---------------------------------------------------------------------------------------------


class Tight(Digits):
    """A machine on which only `fits` examples fit."""

    fits = 20

    def loss(self, batch: Any) -> LossSum:
        if len(batch[0]) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().loss(batch)


def test_a_batch_that_does_not_fit_is_checked_in_parts() -> None:
    torch.manual_seed(0)
    tight = Tight(MLP(64, [32], 10))
    found = preflight(tight, TrainingConfig(lr=1e-3, lr_race="check", steps=LONG), 100.0)
    assert [finding.code for finding in found] == ["loss-at-start", "learning-rate", "preflight-out-of-memory"]
    assert "compute it in 4 parts" in found[-1].message
    assert found[-1].remedy == "Set training.accumulate to 4 to start this way."
    assert [f.code for f in preflight(tight, TrainingConfig(lr=1e-3, accumulate=4), LOG_10)] == []


@pytest.mark.parametrize("parts", [2, 3, 64])
def test_parts_give_the_costs_of_the_whole(parts: int) -> None:
    torch.manual_seed(0)
    objective = Digits(MLP(64, [32], 10))
    whole, cut = (check_descent(objective, CONFIG, parts=n).costs for n in (1, parts))
    assert cut == pytest.approx(whole, rel=1e-4)


def test_where_not_one_example_fits_the_checks_are_left_out() -> None:
    tight = Tight(MLP(64, [32], 10))
    tight.fits = 0
    (found,) = preflight(tight, CONFIG, LOG_10)
    assert found.code == "preflight-out-of-memory"
    assert "not even one example fits" in found.message
    assert "Make the network or the example smaller" in found.remedy
