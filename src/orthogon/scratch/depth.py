"""Depth: what a few layers compute cheaply, one layer may need exponentially many units for.

Early layers find simple things, edges or phonemes, and later ones compose them; circuit theory makes the gain exact.
The parity (XOR) of n bits is a tree of n - 1 XOR gates in log2 n levels. With one hidden layer that spots patterns, a
unit for each pattern whose parity is odd, it takes 2^(n-1) units: 128 for 8 bits. This is about patterns (an OR of
ANDs); units that count, "at least k bits are set", need only n. So depth is not always needed, but where features are
made of features it saves width; start shallow, and treat depth as a hyper-parameter.

Equations:
    parity = x1 XOR x2 XOR ... XOR xn
    tree:     n - 1 gates, depth log2 n           x XOR y = (x OR y) AND NOT (x AND y)
    patterns: 2^(n-1) hidden units, one for each x of odd parity
    counts:   n hidden units [sum x >= k], output sum_k (-1)^(k+1) unit k

Product:
    orthogon.models.mlp.MLP             # hidden=[...]: depth and width
Systems:
    net.depth
Paper:
    Håstad 1986, "Almost optimal lower bounds for small depth circuits"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def all_inputs(n: int) -> np.ndarray:
    """Every pattern of n bits, (n, 2^n) of 0 and 1."""
    return (np.arange(2**n) >> np.arange(n)[:, None]) & 1


def xor(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # x XOR y = (x OR y) AND NOT (x AND y)
    return (x | y) & (1 - (x & y))


def parity_tree(X: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The parity of each column of bits X (n, m), the number of XOR gates and the depth of their tree."""
    wires, gates, depth = list(X), 0, 0
    while len(wires) > 1:
        pairs = len(wires) // 2
        left_over = wires[2 * pairs :]
        wires = [xor(wires[2 * i], wires[2 * i + 1]) for i in range(pairs)] + left_over
        gates += pairs
        depth += 1
    return wires[0], gates, depth


def parity_patterns(X: np.ndarray) -> tuple[np.ndarray, int]:
    """The same by one hidden layer of threshold units, one a pattern; and how many units that takes."""
    n = len(X)
    patterns = all_inputs(n)
    odd = patterns[:, patterns.sum(axis=0) % 2 == 1].T  # (2^(n-1), n)
    # a unit's sum is the number of ones of its pattern at that pattern alone, and less at any other
    W1, b1 = 2 * odd - 1, -odd.sum(axis=1, keepdims=True) + 0.5
    A1 = (W1 @ X + b1 > 0).astype(np.int64)
    return A1.max(axis=0), len(odd)  # OR


def parity_counts(X: np.ndarray) -> tuple[np.ndarray, int]:
    """The same by n hidden units that count; and how many units that takes."""
    n = len(X)
    k = np.arange(1, n + 1)[:, None]
    # [sum x >= k]
    A1 = (X.sum(axis=0, keepdims=True) >= k).astype(np.int64)
    # sum_k (-1)^(k+1) unit k
    W2 = np.where(k % 2 == 1, 1, -1).T
    return (W2 @ A1)[0], n


def demo() -> Figure:
    from matplotlib.figure import Figure

    X = all_inputs(8)
    tree, gates, depth = parity_tree(X)
    patterns, units = parity_patterns(X)
    counts, counting = parity_counts(X)
    true = X.sum(axis=0) % 2
    print("parity of 8 bits, all 256 inputs")
    print(f"tree:     {gates} XOR gates, depth {depth}; right on {np.mean(tree == true):.0%}")
    print(f"patterns: {units} hidden units, one layer; right on {np.mean(patterns == true):.0%}")
    print(f"counts:   {counting} hidden units, one layer; right on {np.mean(counts == true):.0%}")

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = [(float(i), 0.0) for i in range(8)]
    for x, y in places:
        left.text(x, y - 0.12, f"x{int(x) + 1}", ha="center", va="top")
    for level in range(1, 4):
        above = [((a[0] + b[0]) / 2, float(level)) for a, b in zip(places[::2], places[1::2], strict=True)]
        for i, place in enumerate(places):
            left.plot(*zip(place, above[i // 2], strict=True), color="0.6", linewidth=1, zorder=1)
        for x, y in above:
            left.text(x, y, "XOR", ha="center", va="center", fontsize=8, bbox={"facecolor": "white", "edgecolor": "C0"})
        places = above
    left.set(title="Parity of 8 bits: 7 gates, depth 3", xlim=(-0.6, 7.6), ylim=(-0.6, 3.5))
    left.set_axis_off()
    n = np.arange(2, 17)
    right.plot(n, 2.0 ** (n - 1), "o-", label="one layer of patterns: 2^(n-1)")
    right.plot(n, n, "s-", label="one layer of counts: n")
    right.plot(n, n - 1, "^-", label="tree of XOR gates: n - 1")
    right.set(title="What parity costs", xlabel="bits n", ylabel="units or gates", yscale="log")
    right.legend()
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
