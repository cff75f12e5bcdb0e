"""Gradient checking: the order of its error, clean networks pass, a planted bug is named by its tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.models.mlp import MLP
from orthogon.nn.losses import softmax_cross_entropy
from orthogon.scratch import gradient_checking as textbook
from orthogon.training.config import TrainingConfig
from orthogon.training.gradcheck import check_gradients, check_objective, two_sided
from orthogon.training.learner import Learner
from orthogon.training.objective import LossSum, Objective
from orthogon.training.optimisers import make_optimiser


@pytest.mark.system("train.numgrad")
def test_the_two_sided_difference_is_an_order_better() -> None:
    def cube(theta: float) -> float:
        return theta**3

    # W.numgrad
    assert two_sided(cube, 1.0, 0.01) == pytest.approx(3.0001, abs=1e-9)
    assert two_sided(cube, 1.0, 0.001) == pytest.approx(3.000001, abs=1e-9)
    assert two_sided(lambda theta: theta**2, 1.0, 0.01) == pytest.approx(2.0, abs=1e-12)
    # a tenth of epsilon: a hundredth of the error, against a tenth
    for epsilon in (0.1, 0.01, 1e-4):
        assert two_sided(cube, 1.3, epsilon) == textbook.two_sided(cube, 1.3, epsilon)
    assert (two_sided(cube, 1, 0.01) - 3) / (two_sided(cube, 1, 0.001) - 3) == pytest.approx(100, rel=1e-3)
    one_sided = [textbook.one_sided(cube, 1, epsilon) - 3 for epsilon in (0.01, 0.001)]
    assert one_sided[0] / one_sided[1] == pytest.approx(10, rel=1e-2)


class DoubledBias(torch.autograd.Function):
    """x + b, whose backward doubles db: the planted bug."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, b: Tensor) -> Tensor:
        return x + b

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        return grads[0], 2 * grads[0].sum(dim=0)


class BuggyLinear(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        return DoubledBias.apply(F.linear(inputs, self.weight), self.bias)


def network_and_cost(buggy: bool = False, weight_decay: float = 0.0) -> tuple[nn.Sequential, Any]:
    torch.manual_seed(0)
    network = MLP(4, [5, 6], 3, activation="tanh").double()
    if buggy:
        network.linear2.__class__ = BuggyLinear
    inputs, targets = torch.randn(7, 4, dtype=torch.float64), torch.randint(3, (7,))

    def cost() -> Tensor:
        loss, count = softmax_cross_entropy(network(inputs), targets)
        penalty = sum(p.square().sum() for name, p in network.named_parameters() if "weight" in name)
        return loss / count + weight_decay / 2 * penalty

    return network, cost


@pytest.mark.system("train.gradcheck")
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_correct_network_scores_below_1e_7_at_the_start_and_after_training(weight_decay: float) -> None:
    network, cost = network_and_cost(weight_decay=weight_decay)
    parameters = dict(network.named_parameters())
    optimiser = make_optimiser(parameters, network, TrainingConfig(optimiser="sgd", lr=0.1))
    for _ in range(2):
        before = [p.detach().clone() for p in parameters.values()]
        check = check_gradients(cost, parameters)
        assert check.score < 1e-7
        assert check.verdict == "good"
        assert check.faulty == ()
        assert all(torch.equal(p, old) for p, old in zip(parameters.values(), before, strict=True))
        for _ in range(30):
            optimiser.zero_grad()
            cost().backward()
            optimiser.step()


@pytest.mark.system("train.gradcheck")
def test_a_planted_bug_is_named_with_its_worst_components() -> None:
    network, cost = network_and_cost(buggy=True)
    check = check_gradients(cost, dict(network.named_parameters()))
    assert check.score > 1e-3
    assert check.verdict == "bug"
    assert check.faulty == ("linear2.bias",)
    assert {component.tensor for component in check.worst} == {"linear2.bias"}
    for component in check.worst:
        assert component.gradient == pytest.approx(2 * component.approximation, rel=1e-5)
    assert "layer linear2, furthest off" in str(check)
    assert "linear2.bias" in str(check)
    assert "bug" in str(check)
    assert next(iter(check.by_layer)) == "linear2"


def test_a_gradient_written_by_hand_can_be_checked() -> None:
    # logistic regression, dw = X (a - y) / m; the second is wrong by its mean
    rng = np.random.default_rng(0)
    X, y = torch.tensor(rng.normal(size=(20, 3))), torch.tensor(rng.integers(2, size=20)).double()
    w = torch.tensor(rng.normal(size=3))

    def cost() -> Tensor:
        return F.binary_cross_entropy_with_logits(X @ w, y)

    dw = X.T @ (torch.sigmoid(X @ w) - y) / 20
    assert check_gradients(cost, {"w": w}, {"w": dw}).score < 1e-7
    forgotten = check_gradients(cost, {"w": w}, {"w": dw * 20})
    assert (forgotten.verdict, forgotten.faulty) == ("bug", ("w",))
    assert forgotten.score == pytest.approx(19 / 21, rel=1e-5)


def test_a_bias_before_batch_norm_is_no_bug() -> None:
    # its gradient is 0 up to rounding, and so is the difference quotient
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()
    inputs = torch.randn(8, 4, dtype=torch.float64)
    check = check_gradients(lambda: network(inputs).square().mean(), dict(network.named_parameters()))
    assert check.faulty == ()
    assert check.score < 1e-6


class Digits(Objective):
    def __init__(self, network: nn.Module) -> None:
        self.net = network

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(epoch)
        yield torch.randn(6, 4, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])

    def batches_per_epoch(self) -> int:
        return 1

    def loss(self, batch: Any) -> LossSum:
        inputs, targets = batch
        loss, count = softmax_cross_entropy(self.net(inputs), targets)
        return loss, count, {}


def test_an_objective_is_checked_in_float64_without_dropout_and_left_as_it_was() -> None:
    torch.manual_seed(0)
    network = MLP(4, [8, 8], 3, activation="tanh", dropout=0.5, batch_norm=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    check = check_objective(Digits(network), TrainingConfig())
    assert check.score < 1e-6
    assert check.faulty == ()
    assert all(
        torch.equal(value, before[name]) and value.dtype == before[name].dtype
        for name, value in network.state_dict().items()
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert network.dropout1.p == 0.5

    buggy = MLP(4, [8, 8], 3)
    buggy.linear2.__class__ = BuggyLinear
    assert check_objective(Digits(buggy), TrainingConfig()).faulty == ("linear2.bias",)


@pytest.mark.system("train.gradcheck")
@pytest.mark.parametrize("optimiser", ["sgd", "momentum"])
def test_the_checked_cost_is_what_the_update_descends_regularisation_included(optimiser: str) -> None:
    """W ← W − α dJ: a step of the product's own update gives dJ back, λw on weights and nothing on biases."""
    torch.manual_seed(0)
    network = MLP(4, [5], 3, activation="tanh").double()
    config = TrainingConfig(optimiser=optimiser, lr=1e-3, momentum=0.0, weight_decay=0.3, steps=1, preflight=False)
    objective = Digits(network)
    batch = tuple(x.double() if x.is_floating_point() else x for x in next(objective.batches(1)))
    check = check_objective(objective, config, batch, max_components=None)
    assert check.score < 1e-7
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    learner = Learner(objective, config.model_copy(update={"schedule": "constant"}), 1, torch.device("cpu"), 0)
    learner.learn(batch, 1, 1)
    slopes = {name: (before[name] - p.detach()) / 1e-3 for name, p in network.named_parameters()}
    assert sum(map(len, check.by_layer.values())) > 0
    for component in (c for entries in check.by_layer.values() for c in entries):
        slope = slopes[component.tensor][component.index].item()
        assert component.approximation == pytest.approx(slope, abs=1e-7)
        assert component.gradient == pytest.approx(slope, abs=1e-9)
    # without the term the same entries are another gradient
    without = check_objective(Digits(network), TrainingConfig(), batch, max_components=None)
    assert any(abs(c.gradient - slopes[c.tensor][c.index].item()) > 1e-2 for e in without.by_layer.values() for c in e)


def test_the_l1_term_is_in_the_checked_cost_too() -> None:
    torch.manual_seed(0)
    network = MLP(4, [1], 3, activation="tanh").double()  # so small that no entry is left out of its layer
    plain = check_objective(Digits(network), TrainingConfig(), max_components=None)
    check = check_objective(Digits(network), TrainingConfig(l1=0.2), max_components=None)
    assert check.score < 1e-7
    found = {(c.tensor, c.index): c.gradient for entries in plain.by_layer.values() for c in entries}
    shared = [c for entries in check.by_layer.values() for c in entries if (c.tensor, c.index) in found]
    assert {c.tensor.rpartition(".")[2] for c in shared} == {"weight", "bias"}
    for c in shared:
        weight = dict(network.named_parameters())[c.tensor][c.index].item()
        added = 0.2 * np.sign(weight) if c.tensor.endswith("weight") else 0.0
        assert c.gradient - found[c.tensor, c.index] == pytest.approx(added, abs=1e-9)


@pytest.mark.system("train.gradcheck")
def test_the_worst_components_come_first_whatever_tensor_and_by_layer() -> None:
    """Planted errors of known size: a faulty tensor with small entries, and one large entry in a sound tensor."""
    parameters = {"a.weight": torch.zeros(3, dtype=torch.float64), "b.bias": torch.zeros(2, dtype=torch.float64)}
    parameters["b.weight"] = torch.zeros(2, dtype=torch.float64)
    slopes = {"a.weight": [1e4, 2e4, 3e4], "b.bias": [0.5, 0.25], "b.weight": [7.0, 8.0]}
    off = {"a.weight": [0.0, 3.0, 1.0], "b.bias": [0.5, 0.25], "b.weight": [0.0, 0.0]}

    def cost() -> Tensor:
        return torch.stack(
            [(parameters[n] * torch.tensor(v, dtype=torch.float64)).sum() for n, v in slopes.items()]
        ).sum()

    wrong = {n: torch.tensor(slopes[n], dtype=torch.float64) + torch.tensor(off[n]) for n in slopes}
    check = check_gradients(cost, parameters, wrong, epsilon=1e-4, num_worst=3)
    assert [(c.tensor, c.index) for c in check.worst] == [("a.weight", (1,)), ("a.weight", (2,)), ("b.bias", (0,))]
    assert check.faulty == ("b.bias",)
    assert list(check.by_layer) == ["a", "b"]
    assert [c.tensor for c in check.by_layer["b"][:2]] == ["b.bias", "b.bias"]
    assert [c.error for c in check.by_layer["a"]] == pytest.approx([3, 1, 0], abs=1e-3)
    assert "layer b, furthest off" in str(check)
    assert "b.bias[0]" in str(check)


@pytest.mark.system("tool.autograd")
def test_a_layer_with_only_a_forward_passes() -> None:
    class Swish(nn.Module):
        """x σ(a x), with a learned slope a; backward comes from autograd."""

        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.ones(5))

        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(self.a * x)

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), Swish(), nn.Linear(5, 2)).double()
    inputs = torch.randn(6, 4, dtype=torch.float64)
    check = check_gradients(lambda: network(inputs).square().mean(), dict(network.named_parameters()))
    assert check.score < 1e-7
    assert check.tensors["1.a"] < 1e-6
    assert torch.autograd.gradcheck(network, inputs.requires_grad_())
