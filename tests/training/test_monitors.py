"""Monitors: planted faults are named first, healthy networks raise nothing, and nothing stays hooked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.errors import ConfigError
from orthogon.models import builder
from orthogon.models.mlp import MLP
from orthogon.nn.init import initialise_
from orthogon.project.config import parse
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.monitors import Monitor
from orthogon.training.objective import LossSum, Objective
from orthogon.training.optimisers import make_optimiser


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)


def watch(network: nn.Module, config: TrainingConfig, steps: int = 21, batch_size: int = 64) -> list[dict[str, Any]]:
    """Train on digits for some steps with a monitor; every warning it gave."""
    inputs, targets = digits()
    optimiser = make_optimiser(dict(network.named_parameters()), network, config)
    monitor = Monitor(network, config)
    events = []
    for step in range(steps):
        batch = slice(step * batch_size, (step + 1) * batch_size)
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs[batch]), targets[batch])
        loss.backward()
        optimiser.step()
        events += monitor.look(step, loss.item())
    return events


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimiser", ["momentum", "adamw"])
def test_a_healthy_network_raises_nothing(optimiser: str, batch_norm: bool) -> None:
    torch.manual_seed(0)
    config = TrainingConfig(optimiser=optimiser, lr={"momentum": 0.1, "adamw": 1e-3}[optimiser], monitor_every=5)
    assert watch(MLP(64, [64, 32], 10, batch_norm=batch_norm, dropout=0.1), config) == []


def chain(c: float, num_layers: int) -> nn.Sequential:
    """num_layers linear layers 2 -> 2 with W = c I and no bias, in float64."""
    layers = [nn.Linear(2, 2, bias=False, dtype=torch.float64) for _ in range(num_layers)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(c * torch.eye(2))
    return nn.Sequential(*layers)


@pytest.mark.system("train.vanish")
@pytest.mark.parametrize(
    ("c", "L", "expected", "code"),
    [
        (1.5, 50, 4.250810e8, "exploding-gradient"),
        (0.5, 50, 1.776357e-15, "vanishing-gradient"),
        (1.5, 150, 1.728214e26, "exploding-gradient"),
        (0.5, 150, 1.401298e-45, "vanishing-gradient"),
        (1.0, 150, 1.0, None),
    ],
)
def test_signals_of_a_deep_linear_net_scale_as_a_power_and_the_monitor_says_so(
    c: float, L: int, expected: float, code: str | None
) -> None:
    # W.vanish: of L layers, L - 1 carry W = c I; the last one reads out
    network = chain(c, L - 1)
    monitor = Monitor(network, TrainingConfig(monitor_every=1, gradient_range=(1e-8, 1e3)))
    inputs = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    events = []
    for step in range(2):
        network.zero_grad()
        outputs = network(inputs)
        outputs.sum().backward()
        events += monitor.look(step)
    torch.testing.assert_close(outputs[0, 0].item(), c ** (L - 1), rtol=1e-9, atol=0)
    assert outputs[0, 0].item() == pytest.approx(expected, rel=1e-6)
    assert inputs.grad is not None
    assert inputs.grad[0, 0].item() / 2 == pytest.approx(expected, rel=1e-6)
    # the gradient of each layer: dW = c^(L-2) times ones(2) x inputs
    assert list(monitor.gradient_norms) == [f"{i}.weight" for i in range(L - 1)]
    for norm in monitor.gradient_norms.values():
        assert norm == pytest.approx(2**0.5 * c ** (L - 2), rel=1e-9)
    assert {event["code"] for event in events} == ({code} if code else set())


class Chain(Objective):
    """The deep linear net's output as its cost, one batch an epoch."""

    def __init__(self, c: float) -> None:
        self.net = chain(c, 49)

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        return iter([torch.tensor([[1.0, 0.0]], dtype=torch.float64)][start:])

    def batches_per_epoch(self) -> int:
        return 1

    def loss(self, batch: Tensor) -> LossSum:
        return self.net(batch).sum(), 1.0, {}


@pytest.mark.system("train.vanish")
@pytest.mark.parametrize(
    ("c", "gradient_range", "code"),
    [
        (1.5, None, "exploding-gradient"),
        (0.5, None, "vanishing-gradient"),
        (1.0, None, None),
        (1.5, (1e-10, 1e9), None),
        (0.5, (1e-15, 1e3), None),
        (1.0, (2.0, 1e3), "vanishing-gradient"),
        (1.0, (1e-10, 1.0), "exploding-gradient"),
    ],
)
def test_a_training_logs_every_layers_gradient_norm_and_warns_outside_the_chosen_range(
    c: float, gradient_range: tuple[float, float] | None, code: str | None, tmp_path: Path
) -> None:
    """Three updates, far fewer than monitor_every: the first and the last are looked at. Each norm is √2 c^48."""
    chosen = {} if gradient_range is None else {"gradient_range": gradient_range}
    config = TrainingConfig(optimiser="sgd", lr=1e-15, schedule="constant", epochs=3, preflight=False, **chosen)
    result = fit(Chain(c), config, tmp_path)
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    looks = [event for event in events if event["event"] == "gradients"]
    assert [look["step"] for look in looks] == [1, 3]
    for look in looks:
        assert list(look["gradient_norms"]) == [f"{i}.weight" for i in range(49)]
        assert list(look["gradient_norms"].values()) == pytest.approx([2**0.5 * c**48] * 49, rel=1e-3)
        assert set(look["update_ratios"]) == set(look["gradient_norms"])
    assert {event["code"] for event in result.warnings} == ({code} if code else set())
    assert {event["layer"] for event in result.warnings} == (set(looks[0]["gradient_norms"]) if code else set())
    assert [event for event in events if event["event"] == "warning"] == result.warnings


def test_long_epochs_are_looked_at_every_so_many_updates_and_at_the_end(tmp_path: Path) -> None:
    config = TrainingConfig(optimiser="sgd", lr=1e-13, schedule="constant", steps=12, monitor_every=5, preflight=False)
    heard: list[dict[str, Any]] = []
    fit(Chain(1.0), config, listen=heard.append)
    assert [event["step"] for event in heard if event["event"] == "gradients"] == [1, 6, 11, 12]


@pytest.mark.parametrize("wrong", [(1.0, 0.1), (-1.0, 1.0), (0.0, 0.0)])
def test_a_range_that_holds_nothing_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="gradient_range") as caught:
        parse({"data": {"source": "digits"}, "training": {"gradient_range": list(wrong)}})
    assert "smallest and largest" in caught.value.remedy.casefold()


def test_a_layer_that_learns_far_less_than_the_others_is_named() -> None:
    torch.manual_seed(0)
    network = MLP(64, [32] * 12, 10, activation="sigmoid")
    events = watch(network, TrainingConfig(optimiser="sgd", lr=0.1, monitor_every=5))
    vanishing = [event for event in events if event["code"] == "vanishing-gradient"]
    assert vanishing[0]["layer"] == "linear1.weight"
    assert "He or Xavier" in vanishing[0]["remedy"]
    assert "linear1.weight" in vanishing[0]["message"]
    assert vanishing[0]["step"] == 5


def test_zero_gradients_behind_a_layer_that_starts_at_zero_are_no_fault() -> None:
    torch.manual_seed(0)
    network = MLP(64, [32], 10)
    nn.init.zeros_(network.output.weight)
    assert watch(network, TrainingConfig(optimiser="momentum", lr=0.1, monitor_every=10)) == []


def test_dead_units_are_counted_by_layer() -> None:
    torch.manual_seed(0)
    network = MLP(64, [32, 16], 10)
    with torch.no_grad():
        network.linear1.bias.copy_(torch.where(torch.arange(32) < 24, -100.0, 1.0))
        network.linear2.bias.fill_(5.0)
    events = watch(network, TrainingConfig(optimiser="sgd", lr=1e-3, monitor_every=5), steps=6)
    assert [(event["code"], event["layer"]) for event in events] == [("dead-units", "relu1")]
    assert "75%" in events[0]["message"]
    assert "leaky" in events[0]["remedy"]


def test_channels_are_the_units_of_an_image() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    with torch.no_grad():
        network[1].bias[1:] = -100.0
    events = watch(network, TrainingConfig(optimiser="sgd", lr=1e-3, monitor_every=5), steps=6)
    assert [(event["layer"], "75%" in event["message"]) for event in events] == [("2", True)]


class Block(nn.Module):
    """One rectifier called twice, on 4 and on 8 units, as the bottleneck of a residual network does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1, self.linear2, self.relu = nn.Linear(3, 4), nn.Linear(4, 8), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.relu(self.linear2(self.relu(self.linear1(x))))
        return output


def test_a_rectifier_called_twice_in_a_block_is_two_layers() -> None:
    network = nn.Sequential(Block(), nn.Linear(8, 2))
    with torch.no_grad():
        network[0].linear1.bias.fill_(100.0)  # all 4 fire
        network[0].linear2.weight.fill_(0.0)
        network[0].linear2.bias.copy_(torch.tensor([1.0] * 2 + [-1.0] * 6))  # 6 of 8 never do
    monitor = Monitor(network, TrainingConfig(monitor_every=1))
    monitor.arm()
    for part in torch.randn(2, 32, 3):  # a batch in two parts is one look
        network(part).sum().backward()
    events = monitor.look(1)
    assert monitor.dead_units == {"0.relu": 0.0, "0.relu, use 2": 0.75}
    assert [event["layer"] for event in events if event["code"] == "dead-units"] == ["0.relu, use 2"]


def test_time_steps_of_a_cell_are_one_layer() -> None:
    cell = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        cell[0].weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    monitor = Monitor(cell, TrainingConfig(monitor_every=1))
    monitor.arm()
    for unit in range(2):  # each unit fires in one step alone
        x = torch.zeros(32, 3)
        x[:, unit] = 1.0
        cell(x).sum().backward()
    monitor.look(1)
    assert monitor.dead_units == {"1": 0.0}


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "googlenet"])
def test_networks_that_use_a_rectifier_again_are_watched_to_the_end(name: str) -> None:
    torch.manual_seed(0)
    network = builder(name)(num_classes=2)
    monitor = Monitor(network, TrainingConfig(monitor_every=1))
    monitor.arm()
    output = network(torch.randn(16, 3, 32, 32))
    (output[0] if isinstance(output, tuple) else output).sum().backward()
    monitor.look(1)
    again = [layer for layer in monitor.dead_units if ", use " in layer]
    assert len(again) == {"resnet18": 8, "resnet50": 32, "mobilenet_v2": 0, "googlenet": 0}[name]


def test_an_update_as_large_as_the_weights_is_a_warning() -> None:
    torch.manual_seed(0)
    events = watch(MLP(64, [32], 10), TrainingConfig(optimiser="adam", lr=1.0, monitor_every=1), steps=3)
    large = [event for event in events if event["code"] == "large-update"]
    assert large[0]["layer"] == "linear1.weight"
    assert "Lower training.lr" in large[0]["remedy"]


def test_update_ratio_is_the_length_of_the_step_over_the_length_of_the_weights() -> None:
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    monitor = Monitor(network, TrainingConfig(monitor_every=1))
    monitor.arm()
    network(torch.ones(1, 2)).sum().backward()
    with torch.no_grad():
        network.weight.add_(torch.tensor([[0.0, 0.05]]))
    monitor.look(1)
    assert monitor.update_ratios == {"weight": pytest.approx(0.01, rel=1e-4)}
    assert monitor.gradient_norms == {"weight": pytest.approx(2**0.5)}
    assert set(monitor.figures()) == {"gradient_norms", "update_ratios", "dead_units"}


def test_hooks_live_for_the_sampled_step_only() -> None:
    network = MLP(4, [8], 2)
    monitor = Monitor(network, TrainingConfig(monitor_every=10))
    hooked = []
    for step in range(25):
        hooked.append(bool(network.relu1._forward_hooks))
        network.zero_grad()
        network(torch.randn(32, 4)).sum().backward()
        monitor.look(step)
    assert [step for step, hook in enumerate(hooked) if hook] == [10, 20]
    assert not network.relu1._forward_hooks


def test_no_network_is_nothing_to_watch() -> None:
    monitor = Monitor(None, TrainingConfig(monitor_every=1))
    assert [monitor.look(step) for step in range(3)] == [[], [], []]


class Root(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.max()).sqrt()


class RootOfSquare(nn.Module):
    """|x|, whose gradient at 0 is NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 0).square().sum(dim=1, keepdim=True).sqrt()


@pytest.mark.parametrize(
    ("fault", "name", "what"),
    [
        ("weight", "2.weight", "the stored value is NaN"),
        ("forward", "output of 1", "Root gives NaN from finite input"),
        ("input", "input of 0", "it is infinite"),
        ("loss", "loss", "it is infinite although every layer's output is finite"),
        ("gradient", "0.bias", "its gradient is not finite"),
        ("none", "loss", "it is finite when computed again"),
    ],
)
def test_the_tensor_where_a_nan_is_born_is_named(fault: str, name: str, what: str) -> None:
    torch.manual_seed(0)
    middle = {"forward": Root(), "gradient": RootOfSquare()}.get(fault, nn.Identity())
    network = nn.Sequential(nn.Linear(3, 4), middle, nn.Linear(1 if fault == "gradient" else 4, 2))
    inputs = torch.randn(5, 3)
    with torch.no_grad():
        if fault == "weight":
            network[2].weight[0, 0] = torch.nan
        if fault == "input":
            inputs[0, 0] = torch.inf
    monitor = Monitor(network, TrainingConfig())
    divisor = 0.0 if fault == "loss" else 1.0
    found = monitor.explain_nan(network, lambda: network(inputs).square().sum() / divisor)
    assert found[0] == name
    assert what in found[1]
    assert not any(module._forward_hooks for module in network.modules())


def test_initialisation_at_the_wrong_scale_shows_as_dead_or_vanishing_layers() -> None:
    torch.manual_seed(0)
    network = MLP(64, [64] * 8, 10)
    initialise_(network, 0.01)
    events = watch(network, TrainingConfig(optimiser="sgd", lr=0.01, monitor_every=5))
    assert "vanishing-gradient" in {event["code"] for event in events}
