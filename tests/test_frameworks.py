"""docs/frameworks.md: the scores are complete, and each row of the table of equivalents is true.

The left side of a row is computed in plain NumPy from that framework's definition, the right side is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from orthogon.models.describe import describe
from orthogon.scratch.activations import sigmoid
from orthogon.scratch.losses import binary_cross_entropy_from_scores, softmax_cross_entropy_from_scores

PAGE = (Path(__file__).parents[1] / "docs" / "frameworks.md").read_text(encoding="utf-8")
Array = NDArray[np.float64]


def table(heading: str) -> list[list[str]]:
    """Rows of the first table under a heading, without its head."""
    part = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.system("tool.criteria")
def test_pytorch_and_two_others_are_scored_on_five_criteria() -> None:
    part = PAGE.split("## The same thing elsewhere")[0]
    head = next(line for line in part.splitlines() if line.startswith("|"))
    for criterion in ("ease: development", "ease: deployment", "speed", "truly open", "language", "application"):
        assert criterion in head
    scores = {row[0]: [int(cell) for cell in row[1:]] for row in table("Which one, and why PyTorch")}
    assert len(scores) == 3
    assert "PyTorch" in scores
    for name, row in scores.items():
        assert len(row) == 6
        assert all(1 <= score <= 5 for score in row)
        assert f"**{name}.**" in part  # each with its reasons
    assert len(part.splitlines()) < 50  # one page


def pieces(row: str) -> list[str]:
    """What stands in code type on the right side of a row."""
    (found,) = [cells[2] for cells in table("The same thing elsewhere") if cells[0].strip("`") == row]
    return re.findall(r"`([^`]+)`", found)


def said(row: str, number: int, **values: Any) -> Any:
    """That piece of a row, run as it stands on the page, with values for its letters."""
    return eval(pieces(row)[number], {"nn": nn, "F": F, "torch": torch, **values})


def conv_forward(X: Array, W: Array, stride: int) -> Array:
    """X (B, H, W, C), W (f, f, C, n): a valid convolution in loops."""
    f, B = W.shape[0], len(X)
    rows, columns = ((size - f) // stride + 1 for size in X.shape[1:3])
    Z = np.zeros((B, rows, columns, W.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = X[:, i * stride : i * stride + f, j * stride : j * stride + f]
            Z[:, i, j] = np.tensordot(window, W, axes=([1, 2, 3], [0, 1, 2]))
    return Z


def channels_first(x: Array) -> Tensor:
    return torch.tensor(x).permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Array:
    return x.detach().permute(0, 2, 3, 1).numpy()


def check_convolution(rng: np.random.Generator) -> None:
    X, W, b = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)
    layer = said("convolution", 1, C_in=3, n=4, f=3, s=2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W).permute(3, 2, 0, 1))
        layer.bias.copy_(torch.tensor(b))
    expected = conv_forward(X, W, 2) + b
    np.testing.assert_allclose(channels_last(layer(channels_first(X))), expected, atol=1e-12)
    ours = said("convolution", 0)(channels_first(X), torch.tensor(W).permute(3, 2, 0, 1), torch.tensor(b), stride=2)
    np.testing.assert_allclose(channels_last(ours), expected, atol=1e-12)


def check_same_padding(rng: np.random.Generator) -> None:
    W = rng.normal(size=(3, 3, 3, 4))
    kernel = torch.tensor(W).permute(3, 2, 0, 1)
    for size, stride in ((6, 1), (6, 2), (7, 2)):
        X = rng.normal(size=(2, size, size, 3))
        # TensorFlow's rule: ceil(n / s) outputs; of the padding the smaller half comes first
        total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
        before, after = total // 2, total - total // 2
        padded = np.pad(X, ((0, 0), (before, after), (before, after), (0, 0)))
        expected = conv_forward(padded, W, stride)
        assert expected.shape[1] == -(-size // stride)
        inputs = channels_first(X)
        if stride == 1:
            ours = F.conv2d(inputs, kernel, padding="same")
        else:
            ours = F.conv2d(F.pad(inputs, (before, after, before, after)), kernel, stride=stride)
        np.testing.assert_allclose(channels_last(ours), expected, atol=1e-12)


def check_zero_padding(rng: np.random.Generator) -> None:
    X, W = rng.normal(size=(2, 4, 4, 3)), rng.normal(size=(3, 3, 3, 2))
    padded = np.pad(X, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_array_equal(channels_last(said("zero_padding", 0, p=2)(channels_first(X))), padded)
    ours = F.conv2d(channels_first(X), torch.tensor(W).permute(3, 2, 0, 1), padding=2)
    np.testing.assert_allclose(channels_last(ours), conv_forward(padded, W, 1), atol=1e-12)


def check_max_pooling(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 5, 5, 3))
    expected = np.stack([X[:, i : i + 3, j : j + 3].max(axis=(1, 2)) for i in (0, 2) for j in (0, 2)], axis=1)
    np.testing.assert_array_equal(
        channels_last(said("max_pooling", 0, f=3, s=2)(channels_first(X))), expected.reshape(2, 2, 2, 3)
    )


def check_flatten(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 3, 4, 5))
    inputs = channels_first(X)
    np.testing.assert_array_equal(said("flatten", 0, x=inputs).numpy(), X.reshape(2, -1))
    assert said("flatten", 1)(inputs).shape == (2, 60)
    assert not np.array_equal(said("flatten", 1)(inputs).numpy(), X.reshape(2, -1))


def check_dense(rng: np.random.Generator) -> None:
    A, W, b = rng.normal(size=(4, 7)), rng.normal(size=(3, 4)), rng.normal(size=(3, 1))
    layer = said("dense", 0, n_in=4, n=3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W))
        layer.bias.copy_(torch.tensor(b[:, 0]))
    np.testing.assert_allclose(layer(torch.tensor(A.T)).detach().numpy().T, np.dot(W, A) + b, atol=1e-12)


def check_batch_norm(rng: np.random.Generator) -> None:
    X = rng.normal(2, 3, size=(4, 5, 5, 3))
    layer = said("batch_norm", 0, C=3).double()
    mu, var = X.mean(axis=(0, 1, 2)), X.var(axis=(0, 1, 2))
    np.testing.assert_allclose(channels_last(layer(channels_first(X))), (X - mu) / np.sqrt(var + 0.001), atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.99 * 0 + 0.01 * mu, atol=1e-12)
    layer.eval()
    kept = layer.running_mean.clone()
    layer(channels_first(X))
    assert torch.equal(layer.running_mean, kept)


def check_dropout(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    keep_prob = 0.8
    dropped = said("dropout", 0, keep_prob=keep_prob)(torch.ones(100_000))
    assert said("dropout", 1, rate=0.3).p == 0.3
    assert dropped.unique().tolist() == pytest.approx([0, 1 / keep_prob])
    assert (dropped > 0).float().mean().item() == pytest.approx(keep_prob, abs=0.01)


def check_one_hot(rng: np.random.Generator) -> None:
    y = rng.integers(5, size=9)
    np.testing.assert_array_equal(said("one_hot", 0, y=torch.tensor(y), K=5).numpy(), np.eye(5)[y])


def check_embedding(rng: np.random.Generator) -> None:
    E, words = rng.normal(size=(6, 3)), rng.integers(6, size=(2, 4))
    layer = said("embedding", 0, E=torch.tensor(E))
    np.testing.assert_array_equal(layer(torch.tensor(words)).detach().numpy(), E[words])
    assert layer.weight.requires_grad


def check_time_distributed(rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(2, 5, 4)))
    layer = nn.Linear(4, 3).double()
    by_step = torch.stack([layer(x[:, t]) for t in range(5)], dim=1)
    torch.testing.assert_close(layer(x), by_step)
    images = torch.tensor(rng.normal(size=(2, 5, 3, 6, 6)))
    conv = nn.Conv2d(3, 2, 3).double()
    by_step = torch.stack([conv(images[:, t]) for t in range(5)], dim=1)
    torch.testing.assert_close(said("time_distributed", 1, layer=conv, x=images, B=2, T=5), by_step)


def check_repeat_vector(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(
        said("repeat_vector", 0, x=torch.tensor(x), n=4).numpy(), np.repeat(x[:, None], 4, axis=1)
    )


def check_lstm(rng: np.random.Generator) -> None:
    n, D = 3, 2
    layer = said("lstm", 0, D=D, n=n).double()
    x = rng.normal(size=(4, 5, D))
    outputs, (h_last, c_last) = layer(torch.tensor(x))
    # Keras: z = x kernel + h recurrent + bias, one bias, columns i f c o
    kernel, recurrent = layer.weight_ih_l0.detach().numpy().T, layer.weight_hh_l0.detach().numpy().T
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy()
    h, c = np.zeros((4, n)), np.zeros((4, n))
    for t in range(5):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(outputs[:, t].detach().numpy(), h, atol=1e-12)
    np.testing.assert_allclose(h_last[0].detach().numpy(), h, atol=1e-12)
    np.testing.assert_allclose(c_last[0].detach().numpy(), c, atol=1e-12)


def check_softmax_loss(rng: np.random.Generator) -> None:
    z, y = rng.normal(size=(6, 4)), rng.integers(4, size=6)
    expected = softmax_cross_entropy_from_scores(z.T, np.eye(4)[:, y])[0].mean()
    ours = said("softmax_loss", 0, logits=torch.tensor(z), y=torch.tensor(y))
    assert ours.item() == pytest.approx(expected, abs=1e-12)


def check_sigmoid_loss(rng: np.random.Generator) -> None:
    z, y = rng.normal(size=6), rng.integers(2, size=6).astype(float)
    expected = binary_cross_entropy_from_scores(z, y)[0].mean()
    ours = said("sigmoid_loss", 0)(torch.tensor(z), torch.tensor(y))
    assert ours.item() == pytest.approx(expected, abs=1e-12)


def check_feed(rng: np.random.Generator) -> None:
    w = nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimiser = torch.optim.SGD([w], lr=0.01)

    def cost(coefficients: Tensor) -> Tensor:  # what was a placeholder is an argument
        return coefficients[0, 0] * w**2 + coefficients[1, 0] * w + coefficients[2, 0]

    fed = torch.tensor([[1.0], [-10.0], [25.0]], dtype=torch.float64)
    for _ in range(1000):
        optimiser.zero_grad()
        cost(fed).backward()
        optimiser.step()
    assert w.item() == pytest.approx(4.999999991585, abs=1e-10)


def check_variable(rng: np.random.Generator) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(3))

    assert [name for name, _ in Scale().named_parameters()] == ["factor"]


def check_gradient(rng: np.random.Generator) -> None:
    # J = f(a, b, c) = 3 (a + b c) at 5, 3, 2: 33, with slopes 3, 6, 9
    a, b, c = (torch.tensor(value, requires_grad=True) for value in (5.0, 3.0, 2.0))
    J = 3 * (a + b * c)
    slopes = torch.autograd.grad(J, [a, b, c], retain_graph=True)
    J.backward()
    assert J.item() == 33
    assert [g.item() for g in slopes] == [a.grad.item(), b.grad.item(), c.grad.item()] == [3, 6, 9]


def check_minimise(rng: np.random.Generator) -> None:
    w = nn.Parameter(torch.tensor(2.0))
    optimiser = torch.optim.SGD([w], lr=0.1)
    for expected in (1.6, 1.28):  # w − 0.1 · 2w; without zero_grad the second step would use both gradients
        optimiser.zero_grad()
        (w**2).backward()
        optimiser.step()
        assert w.item() == pytest.approx(expected)


def check_trainable(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    network[0].requires_grad_(False)
    network[1].requires_grad_(False).eval()
    frozen = {name: value.clone() for name, value in network[:2].state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.randn(8, 3)).square().mean().backward()
    optimiser.step()
    assert all(torch.equal(value, frozen[name]) for name, value in network[:2].state_dict().items())
    network[1].train()  # frozen parameters alone do not stop the averages
    network(torch.randn(8, 3))
    assert not torch.equal(network[1].running_mean, frozen["1.running_mean"])


def check_layer_outputs(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    seen: list[Tensor] = []
    hook = network[1].register_forward_hook(lambda module, inputs, outputs: seen.append(outputs))
    inputs = torch.randn(5, 3)
    network(inputs)
    hook.remove()
    assert torch.equal(seen[0], network[:2](inputs))


def check_custom_layer(rng: np.random.Generator) -> None:
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    x = torch.tensor([3.0], requires_grad=True)
    Square()(x).backward()
    assert x.grad.item() == 6


def check_summary(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    description = describe(network, torch.zeros(1, 3))
    assert [(layer.kind, layer.shape, layer.parameters) for layer in description.layers] == [
        ("Linear", (4,), 16),
        ("ReLU", (4,), 0),
        ("Linear", (2,), 10),
    ]


def check_save(rng: np.random.Generator, folder: Path) -> None:
    first, second = nn.Linear(3, 4), nn.Linear(3, 4)
    save_file(first.state_dict(), folder / "weights.safetensors")
    second.load_state_dict(load_file(folder / "weights.safetensors"))
    assert torch.equal(first.weight, second.weight)


def check_seed(rng: np.random.Generator) -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(nn.Linear(2, 2).weight.detach())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


CHECKS: dict[str, Callable[..., Any]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}


# rows whose right side is a statement or a habit, not an expression: the code of their checks above, piece by piece
AS_CHECKED: dict[str, list[str]] = {
    "same_padding": ['padding="same"', "F.pad", "F.conv2d"],
    "feed": [],
    "variable": ["nn.Parameter", "parameters()"],
    "gradient": ["loss.backward()", "p.grad", "torch.autograd.grad"],
    "minimise": ["zero_grad()", "backward()", "step()"],
    "trainable": ["layer.requires_grad_(False)", "layer.eval()"],
    "layer_outputs": ["layer.register_forward_hook"],
    "custom_layer": ["nn.Module", "forward"],
    "summary": ["orthogon.models.describe.describe(model, inputs)"],
    "save": ["safetensors.torch.save_file(model.state_dict(), path)"],
    "seed": ["torch.manual_seed"],
}


@pytest.mark.system("tool.mapping")
@pytest.mark.parametrize("row", CHECKS)
def test_a_row_of_the_table_of_equivalents(row: str, tmp_path: Path) -> None:
    arguments = (tmp_path,) if row == "save" else ()
    CHECKS[row](np.random.default_rng(0), *arguments)


@pytest.mark.system("tool.mapping")
def test_every_row_is_tested_and_the_asked_for_names_are_there() -> None:
    rows = table("The same thing elsewhere")
    assert [row[0].strip("`") for row in rows] == list(CHECKS)
    assert all(len(row) == 3 for row in rows)
    left = " ".join(row[1] for row in rows)
    for name in (
        "conv_forward",
        "tf.nn.conv2d",
        "Conv2D",
        "Embedding",
        "TimeDistributed",
        "RepeatVector",
        "placeholder",
        "feed_dict",
        "trainable",
    ):
        assert name in left
    # what is not run from the page stands there as the row's check uses it
    for row, code in AS_CHECKED.items():
        assert pieces(row) == code, row
    # what the right side names exists
    for name in re.findall(r"`(?:nn|F)\.([A-Za-z_0-9]+)", " ".join(row[2] for row in rows)):
        assert hasattr(nn, name) or hasattr(F, name), name
