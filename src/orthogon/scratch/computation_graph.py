"""Computation graph: values flow left to right, derivatives right to left.

Any formula is a graph of small operations, and each knows the derivative of its output by its inputs. Going backwards
from the result, the chain rule multiplies these local derivatives, so one pass gives the derivative of J by every node,
however many there are. That is backpropagation. It costs about as much as computing J itself, where nudging each input
in turn would cost one more run for each input. What goes wrong by hand: a node used twice gets the sum of what comes
back along both ways, not the last of them.

Equations:
    J = 3 (a + b c):   u = b c,   v = a + u,   J = 3 v
    dJ/dv = 3,  dJ/da = dJ/du = 3,  dJ/db = dJ/du c,  dJ/dc = dJ/du b
    dJ/dx = sum over users y of x of  dJ/dy dy/dx

Product:
    torch.autograd.grad
    torch.Tensor.backward
Systems:
    net.compgraph
Paper:
    Linnainmaa 1976, "Taylor expansion of the accumulated rounding error", BIT 16
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(eq=False)
class Node:
    """A number in the graph, the nodes it was made of, and its derivative by each of these."""

    value: float
    parents: tuple[Node, ...] = ()
    local: tuple[float, ...] = ()
    name: str = ""
    grad: float = field(default=0.0, init=False)  # dJ/d(this), set by backward

    def __add__(self, other: Node | float) -> Node:
        other = as_node(other)
        # v = a + u:  dv/da = 1, dv/du = 1
        return Node(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other: Node | float) -> Node:
        other = as_node(other)
        # u = b c:  du/db = c, du/dc = b
        return Node(self.value * other.value, (self, other), (other.value, self.value))

    __radd__ = __add__
    __rmul__ = __mul__


def as_node(value: Node | float) -> Node:
    return value if isinstance(value, Node) else Node(float(value), name=f"{value:g}")


def tanh(x: Node) -> Node:
    t = math.tanh(x.value)
    # dt/dx = 1 - t²
    return Node(t, (x,), (1 - t * t,))


def in_order(J: Node) -> list[Node]:
    """Every node that J depends on, each after its parents, J last."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(J, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(parent, False) for parent in node.parents]
    return order


def backward(J: Node) -> None:
    """Set `grad` = dJ/d(node) in every node that J depends on."""
    order = in_order(J)
    for node in order:
        node.grad = 0.0
    J.grad = 1.0
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.local, strict=True):
            # dJ/dx = sum over users y of x of  dJ/dy dy/dx
            parent.grad += node.grad * slope


def demo() -> Figure:
    from matplotlib.figure import Figure

    a, b, c = Node(5.0, name="a"), Node(3.0, name="b"), Node(2.0, name="c")
    u = b * c
    v = a + u
    J = 3 * v
    backward(J)
    print("J = 3 (a + b c) at a = 5, b = 3, c = 2")
    print(f"left to right: u = b c = {u.value:g}, v = a + u = {v.value:g}, J = 3 v = {J.value:g}")
    found = {"v": v, "u": u, "a": a, "b": b, "c": c}
    print("right to left: " + ", ".join(f"dJ/d{name} = {node.grad:g}" for name, node in found.items()))
    h = 0.001
    nudged = 3 * (5 + (3 + h) * 2)
    print(f"check: b + {h} moves J by {nudged - 33:.4f}, {(nudged - 33) / h:g} times as much")
    x = Node(3.0)
    backward(x * x + x)
    print(f"x used three times in x x + x at x = 3: derivative {x.grad:g} = 2 x + 1")

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    ax = figure.subplots()
    places = {"a": (0, 2), "b": (0, 1), "c": (0, 0), "u": (1.3, 0.5), "v": (2.6, 1.25), "J": (3.9, 1.25)}
    formulas = {"a": "a", "b": "b", "c": "c", "u": "u = b c", "v": "v = a + u", "J": "J = 3 v"}
    for start, end in (("a", "v"), ("b", "u"), ("c", "u"), ("u", "v"), ("v", "J")):
        (x0, y0), (x1, y1) = places[start], places[end]
        arrow = {"arrowstyle": "->", "color": "0.4", "shrinkA": 28, "shrinkB": 40}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    for name, node in {**found, "J": J}.items():
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "C0"}
        ax.text(*places[name], f"{formulas[name]}\n{node.value:g}", ha="center", va="center", bbox=box)
        x0, y0 = places[name]
        ax.text(x0, y0 - 0.37, f"dJ/d{name} = {node.grad:g}", ha="center", va="top", color="C3", fontsize=9)
    ax.set(xlim=(-0.5, 4.4), ylim=(-0.6, 2.4), title="Values left to right (blue), derivatives right to left (red)")
    ax.set_axis_off()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
