"""Reverse mode by hand: the worked graph, shared nodes, and PyTorch."""

from __future__ import annotations

import pytest
import torch

from orthogon.scratch.computation_graph import Node, backward, in_order, tanh


@pytest.mark.system("net.compgraph")
def test_the_worked_graph() -> None:
    # W.compgraph
    a, b, c = Node(5.0), Node(3.0), Node(2.0)
    u = b * c
    v = a + u
    J = 3 * v
    backward(J)
    assert J.value == 33
    assert [node.grad for node in (J, v, u, a, b, c)] == [1, 3, 3, 3, 6, 9]


def test_a_node_used_twice_gets_the_sum() -> None:
    x = Node(3.0)
    backward(x * x + x)
    assert x.grad == 7
    backward(x * x)  # a second graph starts anew
    assert x.grad == 6


def test_a_long_and_much_shared_graph_is_walked_once() -> None:
    x = Node(1.0)
    y = x
    for _ in range(60):
        y = y * 0.5 + y * 0.5  # 2^60 ways from y to x
    backward(y)
    assert x.grad == 1
    assert len(in_order(y)) == 1 + 5 * 60


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_are_autograds(seed: int) -> None:
    values = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).tolist()

    nodes = [Node(value) for value in values]
    w, x, y, z = nodes
    s = tanh(w * x + y)
    ours = s * s * z + 2 * tanh(s + w) + 1

    tensors = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
    tw, tx, ty, tz = tensors
    ts = torch.tanh(tw * tx + ty)
    theirs = ts * ts * tz + 2 * torch.tanh(ts + tw) + 1

    backward(ours)
    theirs.backward()
    assert ours.value == pytest.approx(theirs.item(), abs=1e-12)
    for node, tensor in zip(nodes, tensors, strict=True):
        assert tensor.grad is not None
        assert node.grad == pytest.approx(tensor.grad.item(), abs=1e-12)
