"""What regularisation does, shown on small problems: the product's forms against their plain NumPy ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_moons
from torch import Tensor, nn

from orthogon.data.augment import AugmentConfig, change, draw, uniforms
from orthogon.models.mlp import MLP
from orthogon.nn.init import initialise_
from orthogon.nn.losses import binary_cross_entropy, softmax_cross_entropy, squared_error
from orthogon.nn.norm import Standardise
from orthogon.scratch.dropout import dropout_prices, ridge
from orthogon.scratch.input_normalisation import measure, normalise
from orthogon.scratch.logistic_regression import propagate
from orthogon.scratch.regularisation import l2_step, soft_threshold
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import FitResult, fit
from orthogon.training.objective import LossSum, Objective
from orthogon.training.optimisers import make_optimiser, proximal_l1_

Array = NDArray[np.float64]
Loss = Callable[[Tensor, Tensor], tuple[Tensor, float]]


class Arrays(Objective):
    """A network on arrays in memory: the smallest objective there is."""

    def __init__(
        self,
        network: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        loss: Loss,
        batch_size: int | None = None,
        dev: tuple[Tensor, Tensor] | None = None,
        augment: Callable[[Tensor], Tensor] = lambda inputs: inputs,
    ) -> None:
        self.net, self.inputs, self.targets, self.loss_of = network, inputs, targets, loss
        self.batch_size = batch_size or len(inputs)
        self.dev, self.augment = dev, augment

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        order = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(epoch))
        for ids in order.split(self.batch_size)[start:]:
            yield self.augment(self.inputs[ids]), self.targets[ids]

    def batches_per_epoch(self) -> int:
        return -(-len(self.inputs) // self.batch_size)

    def loss(self, batch: Any) -> LossSum:
        loss, count = self.loss_of(self.net(batch[0]), batch[1])
        return loss, count, {}

    def evaluate(self) -> dict[str, float]:
        if self.dev is None:
            return {}
        outputs = self.net(self.dev[0])
        loss, count = self.loss_of(outputs, self.dev[1])
        return {"loss": loss.item() / count, "error": (outputs.argmax(1) != self.dev[1]).float().mean().item()}


def train(objective: Objective, **config: Any) -> FitResult:
    defaults = {"schedule": "constant", "preflight": False, "keep_best": False, "device": "cpu"}
    return fit(objective, TrainingConfig(**{**defaults, **config}))


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)


# -- penalties --------------------------------------------------------------------------------------------------


@pytest.mark.system("train.l2")
def test_l2_shrinks_weights_by_a_factor_and_leaves_biases() -> None:
    # W.l2: alpha 0.1, lambda 0.7, m 100; weight_decay is lambda / m
    layer = nn.Linear(3, 2).double()
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    config = TrainingConfig(optimiser="sgd", lr=0.1, weight_decay=0.7 / 100)
    optimiser = make_optimiser(dict(layer.named_parameters()), layer, config)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(layer.weight.detach(), 0.9993 * weight, rtol=1e-12, atol=0)
    assert torch.equal(layer.bias.detach(), bias)


@pytest.mark.system("train.l2")
def test_l2_is_the_gradient_of_the_penalised_cost() -> None:
    # 50 steps of J + (lambda / 2m) ||W||²
    rng = np.random.default_rng(0)
    m, lam, alpha = 40, 0.7, 0.1
    X, Y = rng.normal(size=(m, 3)), rng.integers(2, size=(m, 1)).astype(float)
    layer = nn.Linear(3, 1).double()
    w, b = layer.weight.detach().numpy().T.copy(), layer.bias.item()
    for _ in range(50):
        _, dw, db = propagate(w, b, X.T, Y.T)
        w, b = l2_step(w, dw, alpha, lam, m), b - alpha * db
    train(
        Arrays(layer, torch.tensor(X), torch.tensor(Y), binary_cross_entropy),
        optimiser="sgd",
        lr=alpha,
        weight_decay=lam / m,
        epochs=50,
    )
    np.testing.assert_allclose(layer.weight.detach().numpy().T, w, rtol=0, atol=1e-10)
    np.testing.assert_allclose(layer.bias.detach().numpy(), b, rtol=0, atol=1e-10)


@pytest.mark.system("train.l2")
def test_a_stronger_penalty_means_smaller_weights_and_nearly_linear_units() -> None:
    X, y = make_moons(200, noise=0.2, random_state=3)
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)
    norms, reach = [], []
    for lam in (0.0, 0.1, 1.0, 10.0):
        torch.manual_seed(0)
        network = MLP(2, [20], 1, activation="tanh", init="xavier")
        train(
            Arrays(network, inputs, targets, binary_cross_entropy),
            optimiser="sgd",
            lr=0.5,
            weight_decay=lam / 200,
            epochs=300,
        )
        norms.append(sum(p.square().sum().item() for name, p in network.named_parameters() if "weight" in name))
        reach.append(network.linear1(inputs).abs().mean().item())
    assert norms == sorted(norms, reverse=True)
    assert len(set(norms)) == 4
    assert reach == sorted(reach, reverse=True)
    assert reach[-1] < 0.5 * reach[0]


@pytest.mark.system("train.l1")
def test_l1_sets_useless_weights_to_exactly_zero_and_l2_none() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(150, 100)
    truth = torch.zeros(100, 1)
    truth[:5] = torch.tensor([[2.0], [-1.5], [1.0], [3.0], [-2.0]])
    targets = inputs @ truth + 0.1 * torch.randn(150, 1)
    zeroed, kept = {}, {}
    for name, penalty in (("l1", {"l1": 0.2}), ("l2", {"weight_decay": 0.2})):
        network = nn.Linear(100, 1)
        train(Arrays(network, inputs, targets, squared_error), optimiser="sgd", lr=0.05, epochs=200, **penalty)
        weights = network.weight.detach()[0]
        zeroed[name], kept[name] = int((weights[5:] == 0).sum()), int((weights[:5] != 0).sum())
    assert zeroed["l1"] >= 0.8 * 95
    assert (kept["l1"], kept["l2"], zeroed["l2"]) == (5, 5, 0)


def test_the_proximal_step_is_soft_thresholding() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 5))
    weight = nn.Parameter(torch.tensor(w))
    proximal_l1_({"weight": weight}, 0.3)
    np.testing.assert_allclose(weight.detach().numpy(), soft_threshold(w, 0.3), rtol=0, atol=1e-12)


# -- dropout, early stopping, normalisation ---------------------------------------------------------------------


@pytest.mark.system("train.dropout-why")
def test_dropout_of_inputs_is_ridge_regression() -> None:
    # E ||y − (X ⊙ D / p) w||² = ||y − X w||² + ((1 − p) / p) Σ_j ||X_j||² w_j²
    p = 0.8
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)) * [1, 2, 0.5, 1, 3]
    y = X @ [[1.0], [-1], [2], [0.5], [1]] + rng.normal(size=(200, 1))
    expected = ridge(X.T, y.T, dropout_prices(X.T, p))
    plain = ridge(X.T, y.T, np.zeros(5))

    torch.manual_seed(0)
    linear = nn.Linear(5, 1, bias=False).double()
    network = nn.Sequential(nn.Dropout(1 - p), linear)
    optimiser = make_optimiser(dict(network.named_parameters()), network, TrainingConfig(optimiser="sgd", lr=0.02))
    inputs, targets = torch.tensor(X), torch.tensor(y)
    total, steps = torch.zeros(1, 5, dtype=torch.float64), 4000
    for step in range(steps):
        optimiser.zero_grad()
        F.mse_loss(network(inputs), targets).backward()
        optimiser.step()
        if step >= steps // 8:
            total += linear.weight.detach()
    averaged = (total / (steps - steps // 8)).numpy().T
    assert np.linalg.norm(averaged - expected) < 0.01 * np.linalg.norm(expected)
    assert np.linalg.norm(averaged) < np.linalg.norm(plain)  # weights shrink
    assert np.linalg.norm(averaged - plain) > 0.1 * np.linalg.norm(plain)


@pytest.mark.system("train.early-stop")
def test_early_stopping_restores_the_weights_of_the_lowest_dev_loss() -> None:
    inputs, targets = digits()
    torch.manual_seed(0)
    noisy = torch.where(torch.rand(100) < 0.3, torch.randint(10, (100,)), targets[:100])
    objective = Arrays(
        MLP(64, [100], 10), inputs[:100], noisy, softmax_cross_entropy, 20, dev=(inputs[1000:], targets[1000:])
    )
    result = train(objective, optimiser="adam", lr=0.01, epochs=100, patience=5, keep_best=True)
    curve = [event["dev_loss"] for event in result.history]
    assert result.status == "patience"
    assert len(curve) < 100
    assert curve[-1] > min(curve)
    assert len(curve) - 1 - curve.index(min(curve)) == 5
    objective.net.eval()
    with torch.no_grad():
        restored = objective.evaluate()
    assert restored["loss"] == pytest.approx(min(curve), abs=1e-7)
    best = result.history[curve.index(min(curve))]
    assert restored["error"] == pytest.approx(best["dev_error"], abs=1e-7)


@pytest.mark.system("train.augment")
def test_random_shifts_pay_where_the_digits_may_stand_anywhere() -> None:
    # 200 digits pasted at random places of a noisy 16 × 16 canvas, 4 seeds
    data = load_digits()

    def canvases(ids: Array, rng: np.random.Generator) -> Tensor:
        images = rng.uniform(0, 0.1, size=(len(ids), 16, 16))
        for image, i in zip(images, ids, strict=True):
            top, left = rng.integers(0, 9, size=2)
            image[top : top + 8, left : left + 8] += data.images[i] / 16
        return torch.tensor(images, dtype=torch.float32)

    # the product's augmentation with shifts alone, up to 4 pixels either way, drawn anew for every batch
    shifts = AugmentConfig(strength=1, shift=4 / 16, rotation=0, scale=0, contrast=0, brightness=0)
    seen = count()

    def shifted(batch: Tensor) -> Tensor:
        draws = draw(shifts, uniforms(0, next(seen), np.arange(len(batch))))
        return change(255 * batch[:, None], draws)[:, 0] / 255

    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        order = rng.permutation(1797)
        few, many = order[:200], order[200:1200]
        inputs, dev = canvases(few, rng), canvases(many, rng)
        accuracy = []
        for augment in (lambda images: images, shifted):
            torch.manual_seed(seed)
            network = MLP(256, [128], 10)
            targets = torch.tensor(data.target[few])
            train(
                Arrays(network, inputs, targets, softmax_cross_entropy, 20, augment=augment),
                optimiser="adam",
                lr=5e-3,
                epochs=80,
            )
            with torch.no_grad():
                accuracy.append((network(dev).argmax(1) == torch.tensor(data.target[many])).float().mean().item())
        gains.append(accuracy[1] - accuracy[0])
    assert min(gains) >= 0.10, gains


@pytest.mark.system("train.normalise")
def test_normalised_inputs_need_a_tenth_of_the_steps() -> None:
    rng = np.random.default_rng(0)
    X, X_test = (np.column_stack([rng.uniform(1, 1000, m), rng.uniform(0, 1, m)]) for m in (200, 50))
    standardise = Standardise.fit(torch.tensor(X))
    after = standardise(torch.tensor(X)).numpy()
    np.testing.assert_allclose(after.mean(axis=0), 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(after.var(axis=0), 1, rtol=0, atol=1e-12)
    # test gets train's μ and σ, which are kept with the weights
    kept = Standardise(torch.zeros(2), torch.ones(2)).double()
    kept.load_state_dict(standardise.state_dict())
    np.testing.assert_allclose(
        kept(torch.tensor(X_test)).numpy(), normalise(X_test.T, *measure(X.T)).T, rtol=0, atol=1e-12
    )

    y = X @ [[0.004], [3.0]]
    y = (y - y.mean()) / y.std()

    def steps_to_fit(inputs: Array, lr: float, limit: int = 2000) -> int:
        layer = nn.Linear(2, 1).double()
        initialise_(layer, "zeros")
        x, t = torch.tensor(inputs), torch.tensor(y)
        optimiser = make_optimiser(dict(layer.named_parameters()), layer, TrainingConfig(optimiser="sgd", lr=lr))
        for step in range(limit):
            optimiser.zero_grad()
            loss = F.mse_loss(layer(x), t)
            if loss.item() < 0.05:
                return step
            if loss.item() > 1e6:
                break
            loss.backward()
            optimiser.step()
        return limit

    # each at the best rate of its grid; the steepest direction of the raw cost allows about 2e-6
    raw_steps = min(steps_to_fit(X, float(lr)) for lr in np.geomspace(1e-7, 1e-5, 5))
    normalised_steps = min(steps_to_fit(after, lr) for lr in (0.03, 0.1, 0.3))
    assert raw_steps >= 10 * normalised_steps


def test_a_constant_feature_becomes_zero() -> None:
    train_inputs = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert Standardise.fit(train_inputs)(train_inputs).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
