"""Gradient descent in its forms, and the exercises on it: plain NumPy beside the product's loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_moons
from torch import Tensor, nn

from orthogon.data.loader import MemoryLoader
from orthogon.models.mlp import MLP
from orthogon.nn.losses import binary_cross_entropy, softmax_cross_entropy
from orthogon.scratch.deep_network import error_rate, initialise
from orthogon.scratch.gradient_descent import gradient_descent, parabola, parabola_gradient
from orthogon.scratch.learning_rate_decay import staircase
from orthogon.scratch.optimisers import train as descend
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import FitResult, fit
from orthogon.training.objective import LoaderObjective, LossSum, Objective

Array = NDArray[np.float64]


PLAIN: dict[str, Any] = {"schedule": "constant", "preflight": False, "keep_best": False, "device": "cpu"}


def train(objective: Objective, **config: Any) -> FitResult:
    return fit(objective, TrainingConfig(**{**PLAIN, **config}))


# -- one parameter ----------------------------------------------------------------------------------------------


class Parabola(Objective):
    """J = c₀ w² + c₁ w + c₂ with the coefficients fed as data; no network."""

    def __init__(self, coefficients: tuple[float, float, float]) -> None:
        self.w = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.coefficients = torch.tensor(coefficients, dtype=torch.float64)[:, None]  # (3, 1)

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return {"w": self.w}

    def batches(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        return iter([self.coefficients][start:])

    def batches_per_epoch(self) -> int:
        return 1

    def loss(self, batch: Tensor) -> LossSum:
        return batch[0, 0] * self.w**2 + batch[1, 0] * self.w + batch[2, 0], 1.0, {}


@pytest.mark.system("ex.tf-intro")
def test_the_minimum_of_a_parabola() -> None:
    # W.tf-intro: w² − 10 w + 25, alpha 0.01
    end, _ = gradient_descent(parabola, parabola_gradient, np.zeros(1), 0.01, 1000)
    w = float(end[0])
    assert w == pytest.approx(4.999999991585, abs=1e-12)
    for steps, expected in ((1, 0.1), (1000, w)):
        objective = Parabola((1.0, -10.0, 25.0))
        train(objective, optimiser="sgd", lr=0.01, steps=steps, evaluate_every=1000)
        assert objective.w.item() == pytest.approx(expected, abs=1e-12)

    other = Parabola((1.0, -20.0, 100.0))  # other data, the same program
    train(other, optimiser="sgd", lr=0.01, steps=1000, evaluate_every=1000)
    assert other.w.item() == pytest.approx(10, abs=1e-7)


# -- batch, mini-batch, stochastic ------------------------------------------------------------------------------


class Digits(LoaderObjective):
    """Digits, classes 0..9, with the mean loss of every update recorded."""

    def __init__(self, network: nn.Module, batch_size: int, num_examples: int = 1797) -> None:
        data = load_digits()
        self.inputs = torch.tensor(data.data[:num_examples] / 16, dtype=torch.float32)
        self.targets = torch.tensor(data.target[:num_examples])
        super().__init__(network, MemoryLoader((self.inputs, self.targets), batch_size, seed=0))
        self.costs: list[float] = []

    def loss(self, batch: Any) -> LossSum:
        loss, count = softmax_cross_entropy(self.net(batch[0]), batch[1])
        self.costs.append(loss.item() / count)
        return loss, count, {}

    def cost(self) -> float:
        """J over all examples."""
        with torch.no_grad():
            return softmax_cross_entropy(self.net(self.inputs), self.targets)[0].item() / len(self.inputs)

    def evaluate(self) -> dict[str, float]:
        return {"loss": self.cost()}


@pytest.mark.system("opt.batch")
def test_batch_gradient_descent_lowers_the_cost_at_every_step() -> None:
    torch.manual_seed(0)
    objective = Digits(MLP(64, [], 10), batch_size=1797)
    train(objective, optimiser="sgd", lr=0.1, epochs=100)
    assert len(objective.costs) == 100  # one step a pass
    assert all(after < before for before, after in pairwise(objective.costs))
    assert objective.costs[-1] < 0.7 * objective.costs[0]


@pytest.mark.system("opt.sgd")
@pytest.mark.parametrize("seed", range(3))
def test_single_examples_make_the_cost_noisier_than_batches_of_64(seed: int) -> None:
    spread, updates = {}, {}
    for batch_size in (1, 64):
        torch.manual_seed(seed)
        objective = Digits(MLP(64, [16], 10), batch_size, num_examples=640)
        train(objective, optimiser="sgd", lr=0.01, epochs=2)
        updates[batch_size] = len(objective.costs)
        spread[batch_size] = np.var(np.diff(objective.costs[len(objective.costs) // 2 :]))
    assert updates == {1: 1280, 64: 20}
    assert spread[1] > 10 * spread[64]


@pytest.mark.system("opt.minibatch")
def test_mini_batches_need_fewer_passes_than_batch_and_less_work_than_single_examples() -> None:
    # Until J over all examples is 0.1, each size at its best rate of 0.03, 0.1, 0.3 and 1. A stopwatch makes no test:
    # what takes time is the number of updates, of one example or 64 nearly alike (benchmarks/minibatch.py: 14 times
    # the seconds).
    epochs, updates, costs = {}, {}, {}
    for batch_size, lr, limit in ((1797, 1.0, 150), (64, 1.0, 10), (1, 0.1, 4)):
        torch.manual_seed(0)
        objective = Digits(MLP(64, [32], 10), batch_size)
        each = max(1, objective.batches_per_epoch() // 30)
        result = train(objective, optimiser="sgd", lr=lr, epochs=limit, evaluate_every=each)
        steps = [event["step"] for event in result.history if event["dev_loss"] < 0.1]
        updates[batch_size] = steps[0] if steps else limit * objective.batches_per_epoch()
        epochs[batch_size] = updates[batch_size] / objective.batches_per_epoch()
        costs[batch_size] = objective.costs
    assert epochs[64] < epochs[1797] / 10
    assert updates[64] < updates[1] / 10
    # J of mini-batches trends down, but not at every step
    assert (np.diff(costs[64]) > 0).any()
    assert np.mean(costs[64][-29:]) < np.mean(costs[64][:29]) / 3


# -- MOONS ------------------------------------------------------------------------------------------------------

N, G = (2, 5, 2, 1), ("relu", "relu", "sigmoid")
ALPHA = 0.0007
EPOCHS = 10_000
# W.optim: accuracy, loss over all examples after the last update
MOONS: dict[str, tuple[float, float | None]] = {
    "gd": (0.79667, 0.43323),
    "momentum": (0.79667, 0.43360),
    "adam": (0.94, 0.12865),
    "rmsprop": (0.94, 0.12883),
    "staircase": (0.9467, None),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gd": {"optimiser": "sgd"},
    "momentum": {"optimiser": "momentum"},
    "adam": {"optimiser": "adam"},
    "rmsprop": {"optimiser": "rmsprop", "beta2": 0.9},
    "staircase": {"optimiser": "sgd", "lr": 0.1, "schedule": "staircase", "decay_every": 1000},
}


def moons() -> tuple[Array, Array, dict[str, Array]]:
    """X (2, 300), Y (1, 300), and the first parameters W1, b1, W2, b2, W3, b3."""
    np.random.seed(3)
    X, y = make_moons(300, noise=0.2)
    return X.T, y[None, :].astype(float), initialise(N, np.random.RandomState(3))


def shuffle(epoch: int) -> np.random.RandomState:
    """What draws the permutation of an epoch, counted from 1."""
    return np.random.RandomState(10 + epoch)


def descend_in_numpy(name: str, epochs: int, stair: int = 1000) -> tuple[float, float, list[Array]]:
    """(accuracy, loss, parameters) after 5 mini-batches an epoch, 64 64 64 64 44, step by step."""
    X, Y, start = moons()
    rule, alpha = name, lambda epoch: ALPHA
    if name == "staircase":
        rule, alpha = "gd", lambda epoch: staircase(0.1, epoch, stair)
    parameters, costs = descend(X, Y, start, G, rule, alpha, epochs, shuffle)
    return 1 - error_rate(X, Y, parameters, G), costs[-1], list(parameters.values())


class Moons(Objective):
    """The same through the product: network, loss, loop."""

    def __init__(self) -> None:
        X, Y, start = moons()
        self.inputs, self.targets = torch.tensor(X.T), torch.tensor(Y.T)
        self.net = MLP(N[0], N[1:-1], N[-1]).double()
        with torch.no_grad():
            for parameter, value in zip(self.net.parameters(), start.values(), strict=True):
                parameter.copy_(torch.tensor(value).reshape(parameter.shape))

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.tensor(shuffle(epoch).permutation(300))
        return ((self.inputs[ids], self.targets[ids]) for ids in order.split(64)[start:])

    def batches_per_epoch(self) -> int:
        return 5

    def loss(self, batch: tuple[Tensor, Tensor]) -> LossSum:
        loss, count = binary_cross_entropy(self.net(batch[0]), batch[1])
        return loss, count, {}

    def figures(self) -> tuple[float, float]:
        """Accuracy and mean loss over all examples."""
        with torch.no_grad():
            logits = self.net(self.inputs)
            loss, count = binary_cross_entropy(logits, self.targets)
            return ((logits > 0) == (self.targets > 0.5)).double().mean().item(), loss.item() / count


def check_moons(name: str, accuracy: float, loss: float) -> None:
    expected_accuracy, expected_loss = MOONS[name]
    assert accuracy == pytest.approx(expected_accuracy, abs=1e-4)
    if expected_loss is not None:
        assert loss == pytest.approx(expected_loss, abs=1e-4)


@pytest.mark.system("ex.optim", "opt.decay")
@pytest.mark.parametrize(("name", "stair"), [*((name, 1000) for name in MOONS), ("staircase", 20)])
def test_optimisers_on_moons_follow_numpy_through_the_first_epochs(name: str, stair: int) -> None:
    """The loop takes NumPy's steps; both reach W.optim's figures in the slow tests below. Stairs of 20 epochs are
    three within these 60: 0.1, 0.05 and 0.0333.
    """
    _, loss, parameters = descend_in_numpy(name, 60, stair)
    objective, rates = Moons(), {}
    settings = {"lr": ALPHA, **CONFIGS[name], **({"decay_every": stair} if name == "staircase" else {})}
    fit(
        objective,
        TrainingConfig(**{**PLAIN, **settings}, epochs=60, monitor_every=5),
        listen=lambda event: rates.update({event["epoch"]: event["lr"]} if event["event"] == "step" else {}),
    )
    assert objective.figures()[1] == pytest.approx(loss, abs=1e-9)
    for ours, value in zip(objective.net.parameters(), parameters, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), value.reshape(ours.shape), atol=1e-9)
    if stair == 20:
        assert [rates[epoch] for epoch in (1, 20, 21, 40, 41, 60)] == pytest.approx(
            [0.1, 0.1, 0.05, 0.05, 0.1 / 3, 0.1 / 3]
        )


@pytest.mark.slow
@pytest.mark.system("ex.optim", "opt.decay")
@pytest.mark.parametrize("name", MOONS)
def test_optimisers_on_moons_in_numpy(name: str) -> None:
    accuracy, loss, _ = descend_in_numpy(name, EPOCHS)
    check_moons(name, accuracy, loss)


@pytest.mark.slow
@pytest.mark.system("ex.optim", "opt.decay")
@pytest.mark.parametrize("name", MOONS)
def test_optimisers_on_moons_through_the_loop(name: str) -> None:
    objective = Moons()
    train(objective, **{"lr": ALPHA, **CONFIGS[name]}, epochs=EPOCHS, monitor_every=1000, evaluate_every=50_000)
    check_moons(name, *objective.figures())
