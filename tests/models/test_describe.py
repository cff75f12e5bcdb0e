"""The layer table, against counts worked by hand."""

from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from orthogon.models.describe import describe
from orthogon.models.mlp import MLP


def lenet_like() -> nn.Sequential:
    """W.lenetlike: 32 x 32 x 3 -> conv 5, 6 -> pool 2 -> conv 5, 16 -> pool 2 -> 120 -> 84 -> 10."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


@pytest.mark.system("conv.fc", "conv.count")
def test_a_small_convnet_by_hand() -> None:
    description = describe(lenet_like(), torch.zeros(2, 3, 32, 32))
    rows = {layer.name: layer for layer in description.layers}
    sizes = [torch.Size(rows[name].shape).numel() for name in ("0", "2", "3", "5", "7", "9", "11")]
    assert sizes == [4704, 1176, 1600, 400, 120, 84, 10]
    assert [rows[name].parameters for name in ("0", "3", "7", "9", "11")] == [456, 2416, 48120, 10164, 850]
    assert description.parameters == 62_006
    assert rows["7"].share == pytest.approx(48120 / 62006)
    assert sum(layer.share for layer in description.layers) == pytest.approx(1)
    # each output of a convolution sums over 5 x 5 x in_channels products
    assert [rows[name].multiply_adds for name in ("0", "3", "7", "9", "11")] == [
        4704 * 75,
        1600 * 150,
        400 * 120,
        120 * 84,
        84 * 10,
    ]
    assert description.multiply_adds == 4704 * 75 + 1600 * 150 + 48_000 + 10_080 + 840
    # conv and pool as one layer: 5 with weights; pooling counted by itself: 7
    assert (description.num_layers, description.num_layers_with_pooling) == (5, 7)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(3, 4), (2, 7, 3), 7 * 3 * 4),
        (nn.Conv1d(4, 8, 3, groups=2), (2, 4, 10), 8 * 8 * 2 * 3),
        (nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 2, 4, 4), 2 * 4 * 4 * 3 * 9),
        (nn.RNN(3, 5, batch_first=True), (2, 7, 3), 7 * (3 * 5 + 5 * 5)),
        (nn.GRU(3, 5, batch_first=True), (2, 7, 3), 7 * 3 * (3 * 5 + 5 * 5)),
        (nn.LSTM(3, 5, bidirectional=True, batch_first=True), (2, 7, 3), 7 * 2 * 4 * (3 * 5 + 5 * 5)),
        (nn.GRUCell(3, 5), (2, 3), 3 * (3 * 5 + 5 * 5)),
        (nn.BatchNorm1d(3), (2, 3), 0),
        (nn.MaxPool2d(2), (2, 1, 4, 4), 0),
    ],
)
def test_multiply_adds_of_one_example(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    description = describe(module, torch.zeros(shape))
    assert description.multiply_adds == expected
    assert description.parameters == sum(p.numel() for p in module.parameters())


def test_time_may_come_before_the_batch() -> None:
    inputs = (torch.zeros(2, 3), torch.zeros(7, 2, 3))

    class Second(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5)

        def forward(self, first: Tensor, sequence: Tensor) -> Tensor:
            return self.lstm(sequence)[0]

    assert describe(Second(), inputs).layers[0].shape == (7, 5)


def test_embeddings_multiply_nothing_and_count_as_a_layer() -> None:
    description = describe(nn.Embedding(10, 4), torch.zeros(2, 5, dtype=torch.int64))
    assert (description.multiply_adds, description.parameters, description.num_layers) == (0, 40, 1)


def test_attention_is_one_layer() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    queries, keys = torch.zeros(2, 3, 8), torch.zeros(2, 5, 8)
    description = describe(attention, (queries, keys, keys))
    # projections of 3 queries, 5 keys, 5 values, 3 outputs; scores and mixing 3 x 5 x 8 each
    assert description.multiply_adds == (3 + 5 + 5 + 3) * 64 + 2 * 3 * 5 * 8
    assert [layer.kind for layer in description.layers] == ["MultiheadAttention"]
    assert description.parameters == 4 * 64 + 4 * 8


class Token(nn.Module):
    """A learned token beside two uses of one shared layer."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.shared = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.shared(x) + self.token)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(3, 2))

    def multiply_adds(self, inputs: tuple[Tensor, ...], outputs: Tensor) -> int:
        return inputs[0].shape[1] * outputs.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kernel


def test_shared_layers_have_one_row_and_loose_parameters_one_of_their_module() -> None:
    description = describe(Token(), torch.zeros(3, 4))
    rows = {layer.name: layer for layer in description.layers}
    assert rows["shared"].multiply_adds == 2 * 16
    assert rows["Token"].parameters == 4
    assert description.parameters == 20 == sum(layer.parameters for layer in description.layers)


def test_a_layer_of_our_own_says_what_it_multiplies() -> None:
    description = describe(nn.Sequential(Own(), nn.ReLU()), torch.zeros(5, 3))
    assert (description.multiply_adds, description.num_layers) == (6, 1)


def test_the_network_is_left_as_it_was() -> None:
    network = MLP(6, [4], 2, batch_norm=True, dropout=0.5)
    network.norm1.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    describe(network, torch.randn(3, 6))
    assert network.training
    assert not network.norm1.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_frozen_parameters_are_told_apart() -> None:
    network = MLP(6, [4], 2)
    network.linear1.requires_grad_(False)
    description = describe(network, torch.zeros(1, 6))
    assert (description.parameters, description.trainable) == (38, 10)


@pytest.mark.system("conv.fc", "conv.count")
def test_it_reads_well_at_80_columns_and_as_json() -> None:
    description = describe(lenet_like(), torch.zeros(2, 3, 32, 32), name="digits")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(description)
    text = console.export_text()
    assert "77.6%" in text
    assert "62,006 parameters" in text
    assert "5 layers with weights (7 counting pooling)" in " ".join(text.split())
    assert json.loads(json.dumps(description.to_dict()))["layers"][0]["multiply_adds"] == 352_800


@pytest.mark.system("conv.simple-net")
def test_the_printed_table_shows_each_layers_shape() -> None:
    simple_net = nn.Sequential(
        nn.Conv2d(3, 10, 3), nn.Conv2d(10, 20, 5, 2), nn.Conv2d(20, 40, 5, 2), nn.Flatten(), nn.Linear(1960, 2)
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(describe(simple_net, torch.zeros(1, 3, 39, 39)))
    text = console.export_text()
    shapes = ["10 × 37 × 37", "20 × 17 × 17", "40 × 7 × 7", "1960", " 2 "]
    places = [text.index(shape) for shape in shapes]
    assert places == sorted(places)
