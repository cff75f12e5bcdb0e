"""Optimisers against the textbook's update rules in plain NumPy, and against figures worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from orthogon.errors import ConfigError
from orthogon.scratch.adam import adam, adamw
from orthogon.scratch.ewma import averages
from orthogon.scratch.momentum import gradient_descent, momentum, momentum_without_factor, nesterov
from orthogon.scratch.rmsprop import rmsprop
from orthogon.training.config import TrainingConfig
from orthogon.training.optimisers import is_weight, make_optimiser, proximal_l1_

Array = NDArray[np.float64]
DECAY = 0.3
ALL = ["sgd", "momentum", "momentum_pytorch", "nesterov", "rmsprop", "adam", "adamw"]


def trajectory(gradients: Array, start: Array | float = 1.0, **config: Any) -> Array:
    """Where the product's optimiser takes a parameter, fed these gradients one after the other."""
    parameter = nn.Parameter(torch.as_tensor(np.asarray(start, np.float64)).clone().expand(gradients.shape[1:]).clone())
    optimiser = make_optimiser({"weight": parameter}, None, TrainingConfig(**config))
    places = []
    for gradient in gradients:
        parameter.grad = torch.as_tensor(gradient).clone()
        optimiser.step()
        places.append(parameter.detach().numpy().copy())
    return np.array(places)


def textbook(name: str, gradients: Array, start: float, alpha: float, beta1: float, beta2: float) -> Array:
    """The same by scratch's update rules; t counts updates from 1."""
    W = np.full(gradients.shape[1:], start)
    V, S, places = np.zeros_like(W), np.zeros_like(W), []
    for t, dW in enumerate(gradients, start=1):
        match name:
            case "sgd":
                W, _ = gradient_descent(W, dW, V, alpha)
            case "momentum":
                W, V = momentum(W, dW, V, alpha, beta1)
            case "momentum_pytorch":
                W, V = momentum_without_factor(W, dW, V, alpha, beta1)
            case "nesterov":
                W, V = nesterov(W, dW, V, alpha, beta1)
            case "rmsprop":
                W, S = rmsprop(W, dW, S, alpha, beta2)
            case "adam":
                W, V, S = adam(W, dW, V, S, t, alpha, beta1, beta2)
            case "adamw":
                W, V, S = adamw(W, dW, V, S, t, alpha, DECAY, beta1, beta2)
        places.append(W)
    return np.array(places)


@pytest.mark.system("opt.adam")
@pytest.mark.parametrize("name", ALL)
def test_each_optimiser_follows_its_textbook_form_for_100_steps(name: str) -> None:
    gradients = np.random.default_rng(0).normal(size=(100, 3, 4))
    decay = DECAY if name == "adamw" else None
    ours = trajectory(gradients, optimiser=name, lr=0.1, momentum=0.9, beta2=0.99, weight_decay=decay)
    np.testing.assert_allclose(ours, textbook(name, gradients, 1.0, 0.1, 0.9, 0.99), rtol=0, atol=1e-12)


@pytest.mark.system("opt.adam")
def test_adam_worked_by_hand() -> None:
    # W.adam; PyTorch's unfused form is the second witness
    gradients = np.array([[2.0], [2.0], [-1.0]])
    ours = trajectory(gradients, optimiser="adam", lr=0.1)
    np.testing.assert_allclose(ours[:, 0], [0.9000000005, 0.8000000010, 0.7484346607], atol=1e-10)
    plain = trajectory(gradients, optimiser="adam", lr=0.1, optimiser_args={"foreach": False})
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-12)


@pytest.mark.system("opt.momentum")
def test_momentum_worked_by_hand_and_faster_than_gradient_descent_in_a_long_valley() -> None:
    gradients = np.full((3, 1), 2.0)
    textbook_form = trajectory(gradients, optimiser="momentum", lr=0.1, momentum=0.9)
    np.testing.assert_allclose(textbook_form[:, 0], [0.98, 0.942, 0.8878], atol=1e-12)
    pytorch_form = trajectory(gradients, optimiser="momentum_pytorch", lr=0.1, momentum=0.9)
    np.testing.assert_allclose(pytorch_form[:, 0], [0.8, 0.42, -0.122], atol=1e-12)

    # f = (x² + 100 y²) / 2, each optimiser at its best rate of the same grid
    rates = np.geomspace(1e-3, 1, 19)
    best = {name: min(valley_steps(name, float(lr)) for lr in rates) for name in ("sgd", "momentum")}
    assert best["momentum"] < best["sgd"] / 2, best


def valley_steps(name: str, lr: float, limit: int = 600) -> int:
    """Updates until f = (x² + 100 y²) / 2 is a millionth of its start."""
    curvature = torch.tensor([1.0, 100.0], dtype=torch.float64)
    place = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimiser = make_optimiser({"weight": place}, None, TrainingConfig(optimiser=name, lr=lr))
    start = curvature.sum().item()
    for step in range(1, limit + 1):
        place.grad = curvature * place.detach()
        optimiser.step()
        f = (curvature * place.detach() ** 2).sum().item()
        if f < 1e-6 * start:
            return step
        if f > 1e6 * start:
            break
    return limit


@pytest.mark.system("opt.momentum-alt")
def test_both_forms_of_momentum_are_one_trajectory_after_rescaling_alpha() -> None:
    # also while alpha changes: V = (1 - beta) V'
    gradients = np.random.default_rng(1).normal(size=(100, 5))
    places = {}
    for name, scale in (("momentum", 1.0), ("momentum_pytorch", 1 - 0.9)):
        parameter = nn.Parameter(torch.ones(5, dtype=torch.float64))
        optimiser = make_optimiser({"w": parameter}, None, TrainingConfig(optimiser=name, lr=0.1 * scale))
        for t, gradient in enumerate(gradients):
            optimiser.param_groups[0]["lr"] = 0.1 * scale / (1 + t)
            parameter.grad = torch.as_tensor(gradient).clone()
            optimiser.step()
        places[name] = parameter.detach().numpy().copy()
    np.testing.assert_allclose(places["momentum"], places["momentum_pytorch"], rtol=0, atol=1e-12)


@pytest.mark.system("opt.rmsprop")
def test_rmsprop_worked_by_hand_and_milder_in_steep_directions() -> None:
    ours = trajectory(np.full((3, 1), 2.0), optimiser="rmsprop", lr=0.1, beta2=0.9)
    np.testing.assert_allclose(ours[:, 0], [0.683772, 0.454357, 0.262262], atol=1e-6)

    # W.eps: the small number stands outside the root. From S = 0, beta2 = 0: S = g² = 1e-16, g / (√S + 1e-8) = 0.5
    moved = 1 - trajectory(np.full((1, 1), 1e-8), optimiser="rmsprop", lr=1.0, beta2=0.0)
    np.testing.assert_allclose(moved, 0.5, atol=1e-9)

    # f = (w² + 100 b²) / 2 from (1, 1): under GD the first step along b is 100 times that along w, here as long
    slope = np.array([[1.0, 100.0]])
    steps = {name: np.abs(trajectory(slope, optimiser=name, lr=0.001) - 1)[0] for name in ("sgd", "rmsprop")}
    assert steps["sgd"][1] / steps["sgd"][0] == pytest.approx(100)
    assert steps["rmsprop"][1] / steps["rmsprop"][0] == pytest.approx(1, abs=1e-4)


@pytest.mark.system("opt.ewma")
def test_momentum_keeps_an_exponentially_weighted_average() -> None:
    # W.ewma: fed as gradients, the series' average is what each step moves by
    theta = np.array([40.0, 49, 45, 44, 50])[:, None]
    average = -np.diff(trajectory(theta, start=0.0, optimiser="momentum", lr=1.0, momentum=0.9), axis=0, prepend=0.0)
    np.testing.assert_allclose(average[:, 0], [4, 8.5, 12.15, 15.335, 18.8015], atol=1e-10)
    np.testing.assert_allclose(averages(theta[:, 0], 0.9), average[:, 0], atol=1e-10)

    # a gradient counts (1 - beta) beta^k after k steps
    impulse = np.zeros((10, 1))
    impulse[0] = 1
    weights = -np.diff(trajectory(impulse, start=0.0, optimiser="momentum", lr=1.0), axis=0, prepend=0.0)[:, 0]
    np.testing.assert_allclose(weights, 0.1 * 0.9 ** np.arange(10), atol=1e-12)


@pytest.mark.system("opt.ewma-bias")
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.98])
def test_bias_correction_makes_a_constant_series_its_own_average(beta: float) -> None:
    # Adam's corrected averages of a constant gradient are g and g², so each step is alpha long
    steps = np.diff(trajectory(np.full((100, 1), 7.0), optimiser="adam", lr=0.1, momentum=beta), axis=0, prepend=1.0)
    np.testing.assert_allclose(steps, -0.1, rtol=1e-8)


@pytest.mark.system("opt.saddle")
def test_adam_leaves_a_saddle_before_gradient_descent_does() -> None:
    def steps_to_leave(name: str) -> int:
        place = nn.Parameter(torch.tensor([1.0, 1e-6], dtype=torch.float64))
        optimiser = make_optimiser({"w": place}, None, TrainingConfig(optimiser=name, lr=0.1))
        for step in range(1, 1000):
            optimiser.zero_grad()
            (place[0] ** 2 - place[1] ** 2).backward()
            optimiser.step()
            if abs(place[1].item()) >= 1:
                return step
        return 1000

    assert (steps_to_leave("sgd"), steps_to_leave("adam")) == (76, 11)


@pytest.mark.parametrize("name", ALL)
def test_decay_reaches_weights_only(name: str) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Embedding(5, 4), nn.Conv2d(1, 2, 3))
    optimiser = make_optimiser(
        dict(network.named_parameters()), network, TrainingConfig(optimiser=name, lr=0.1, weight_decay=0.3)
    )
    decayed, plain = optimiser.param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3), (5, 4), (2, 1, 3, 3)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert sum(p.numel() for g in optimiser.param_groups for p in g["params"]) == sum(
        p.numel() for p in network.parameters()
    )


def test_a_matrix_of_biases_is_no_weight() -> None:
    assert is_weight("embed.weight", torch.zeros(2, 3))
    assert not is_weight("embed.bias", torch.zeros(2, 3))
    assert not is_weight("norm.weight", torch.zeros(3))


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    optimiser = make_optimiser(dict(network.named_parameters()), network, TrainingConfig(lr=0.1))
    assert {id(p) for g in optimiser.param_groups for p in g["params"]} == {id(p) for p in network[1].parameters()}


@pytest.mark.parametrize(
    "name", ["SGD", "AdamW", "lbfgs", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adamax", "ASGD", "Rprop", "Adafactor"]
)
def test_any_optimiser_of_torch_by_name_lowers_a_loss(name: str) -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    inputs = torch.randn(64, 4)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]])
    optimiser = make_optimiser(dict(network.named_parameters()), network, TrainingConfig(optimiser=name, lr=0.05))

    def closure() -> float:
        optimiser.zero_grad()
        loss = (network(inputs) - targets).square().mean()
        loss.backward()
        return loss.item()

    first = closure()
    for _ in range(20):
        optimiser.step(closure)
    assert closure() < first


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "adagrad"])
def test_fused_kernels_compute_the_same_whatever_the_memory_layout(name: str) -> None:
    # Fused CPU kernels read gradients flatly. `backward` lays a gradient out as its parameter, also when the graph
    # hands it an expanded or channels-last one; this holds PyTorch to it.
    ends = []
    for args in ({"fused": True}, {"foreach": False}):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)).double()
        free = nn.Parameter(torch.ones(3, 4, dtype=torch.float64))
        parameters = {**dict(network.named_parameters()), "free": free}
        config = TrainingConfig(optimiser=name, lr=0.01, weight_decay=0.1, optimiser_args=args)
        optimiser = make_optimiser(parameters, network, config)
        inputs = torch.randn(5, 3, 8, 8, dtype=torch.float64).to(memory_format=torch.channels_last)
        for _ in range(3):
            optimiser.zero_grad()
            (network(inputs).square().sum() + free.t().sum()).backward()
            optimiser.step()
        ends.append(torch.cat([p.detach().flatten() for p in parameters.values()]))
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-12)


def test_sparse_gradients_rule_out_fused_kernels() -> None:
    network = nn.Embedding(10, 3, sparse=True)
    optimiser = make_optimiser(dict(network.named_parameters()), network, TrainingConfig(optimiser="sgd", lr=0.1))
    before = network.weight.detach().clone()
    network(torch.tensor([1, 2])).sum().backward()
    optimiser.step()
    assert (network.weight != before).any(dim=1).tolist() == [False, True, True] + [False] * 7


@pytest.mark.parametrize(
    ("config", "value", "place", "remedy"),
    [
        ({"optimiser": "adamm"}, '"adamm"', "training.optimiser", 'Did you mean "adam'),
        ({"optimiser": "Optimizer"}, '"Optimizer"', "training.optimiser", "Known|Did you mean"),
        ({"optimiser_args": {"epss": 1}}, '"epss"', "training.optimiser_args", 'Did you mean "eps"'),
        ({"optimiser": "lbfgs", "weight_decay": 0.1}, "0.1", "training.weight_decay", "Set training.weight_decay to 0"),
        ({"optimiser": "muon"}, '"muon"', "training.optimiser", "choose another optimiser"),
        ({"optimiser_args": {"eps": -1.0}}, "-1", "training.optimiser_args", "Correct the argument"),
    ],
)
def test_what_cannot_be_is_said_with_value_place_and_remedy(
    config: dict[str, Any], value: str, place: str, remedy: str
) -> None:
    network = nn.Linear(3, 2)
    with pytest.raises(ConfigError) as caught:
        make_optimiser(dict(network.named_parameters()), network, TrainingConfig(lr=0.1, **config))
    assert value in caught.value.what
    assert place in caught.value.where
    assert any(part in caught.value.remedy for part in remedy.split("|"))


def test_nothing_to_train_is_said() -> None:
    network = nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        make_optimiser(dict(network.named_parameters()), network, TrainingConfig(lr=0.1))


def test_the_proximal_step_shrinks_weights_to_exactly_zero_and_leaves_biases() -> None:
    layer = nn.Linear(4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.05, -0.05, 0.3, -2.0]]))
        layer.bias.fill_(0.05)
    proximal_l1_(dict(layer.named_parameters()), 0.1)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[0.0, 0.0, 0.2, -1.9]]))
    assert layer.bias.item() == pytest.approx(0.05)
