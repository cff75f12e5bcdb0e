"""Padding and stride: zeros around the image and the size of the step decide how large the map is.

Without padding ("valid") every layer shrinks the image by f - 1, and a corner pixel is used once while a central one is
used f² times. A border of p zeros cures both; "same" padding at stride 1 needs p = (f - 1)/2 on each side, one reason
why f is odd by custom (the other is that the filter then has a central pixel). Stride s moves the window s pixels at a
time and so divides the side by about s. A window that does not fit inside is skipped: the size is rounded down, and a
last row may never be looked at. An even f can keep the side only with one zero more on one end than on the other; here,
as in PyTorch, the odd one goes to the bottom and to the right.

Equations:
    n_out = ⌊(n + 2p - f) / s⌋ + 1
    same, s = 1:      p = (f - 1) / 2        odd f
    for a side t:     p_before + p_after = (t - 1) s + f - n
    Z[i, j] = Σ_u Σ_v K[u, v] padded[s i + u, s j + v]

Exceptions:
    "same" with an even f is (f - 1)//2 zeros before and f//2 after, what torch.nn.Conv2d(padding="same") does.
    torch.nn.Conv2d(padding="same") takes stride 1 only; TensorFlow's "same" gives ⌈n / s⌉ and is `padding_for` of it.

Product:
    torch.nn.Conv2d(3, 8, 3, padding="same")
    torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    orthogon.nn.convolution.TensorFlowConv2d(3, 8, 3, stride=2)    # the side divided by s, rounded up
Systems:
    conv.pad conv.stride
Paper:
    Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.cross_correlation import DIGITS_6x6
from orthogon.scratch.edges import VERTICAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def output_size(n: int, f: int, p: int = 0, s: int = 1) -> int:
    """Side of the map: ⌊(n + 2p - f) / s⌋ + 1.

    Raises:
        ValueError: the filter is larger than the padded image.
    """
    if f > n + 2 * p:
        raise ValueError(f"a filter of side {f} does not fit into side {n} with padding {p}")
    return (n + 2 * p - f) // s + 1


def same_padding(f: int) -> tuple[int, int]:
    """Zeros (before, after) that keep the side at stride 1; unequal for an even f."""
    return (f - 1) // 2, f // 2


def padding_for(n: int, f: int, s: int, t: int) -> tuple[int, int]:
    """Least zeros (before, after) so that side n becomes side t.

    Raises:
        ValueError: side n gives more than t already without padding.
    """
    # (n + p_before + p_after - f) / s + 1 = t
    total = max((t - 1) * s + f - n, 0)
    if (n + total - f) // s + 1 != t:
        raise ValueError(f"side {n} with f {f}, s {s} is more than {t} without any padding")
    return total // 2, total - total // 2


def slide_padded(image: np.ndarray, K: np.ndarray, p: int = 0, s: int = 1) -> np.ndarray:
    """Slide a square filter over the image with a border of p zeros, s pixels at a time.

    Args:
        image: (n_H, n_W).
        K: filter (f, f).
        p: zeros on each side.
        s: stride.
    Returns:
        Z, (⌊(n_H + 2p - f)/s⌋ + 1, ⌊(n_W + 2p - f)/s⌋ + 1).
    """
    f = K.shape[0]
    padded = np.pad(image, p)
    Z = np.zeros((output_size(image.shape[0], f, p, s), output_size(image.shape[1], f, p, s)))
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            # Z[i, j] = Σ_u Σ_v K[u, v] padded[s i + u, s j + v]
            Z[i, j] = np.sum(padded[s * i : s * i + f, s * j : s * j + f] * K)
    return Z


def times_used(n: int, f: int, p: int = 0, s: int = 1) -> np.ndarray:
    """In how many windows each pixel of an n x n image lies: (n, n)."""
    used = np.zeros((n + 2 * p, n + 2 * p), dtype=int)
    side = output_size(n, f, p, s)
    for i in range(side):
        for j in range(side):
            used[s * i : s * i + f, s * j : s * j + f] += 1
    return used[p : p + n, p : p + n]


def demo() -> Figure | None:
    """The side of the map for many choices, and which pixels are used how often."""
    print("side of the map = floor((n + 2p - f)/s) + 1")
    for n, f, p, s in ((6, 3, 0, 1), (6, 3, 1, 1), (7, 3, 0, 2), (6, 3, 1, 2), (39, 3, 0, 1), (37, 5, 0, 2)):
        print(f"  n {n:2}  f {f}  p {p}  s {s}   ->  {output_size(n, f, p, s)}")
    sides = [32]
    while sides[-1] >= 5:
        sides.append(output_size(sides[-1], 5))
    print(f"5 x 5 filters without padding use a side of 32 up: {', '.join(map(str, sides))}")
    print(f'Zeros for "same": f 3 {same_padding(3)}, f 5 {same_padding(5)}, f 4 {same_padding(4)} (before, after)')
    print(f"Zeros to halve 224 with f 7, s 2: {padding_for(224, 7, 2, 112)}")
    print("The vertical filter at padding 1 and stride 2 on the 6 x 6 digits:")
    for row in slide_padded(DIGITS_6x6, VERTICAL, p=1, s=2):
        print("  " + "".join(f"{value:5.0f}" for value in row))

    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    choices = [(7, 3, 0, 1), (7, 3, 1, 1), (8, 3, 0, 2)]
    for ax, (n, f, p, s) in zip(figure.subplots(1, 3), choices, strict=True):
        used = times_used(n, f, p, s)
        ax.imshow(used, cmap="Blues", vmin=0, vmax=12)
        for (i, j), count in np.ndenumerate(used):
            ax.text(j, i, count, ha="center", va="center")
        ax.set(title=f"n {n}, f {f}, p {p}, s {s}: map of side {output_size(n, f, p, s)}", xticks=[], yticks=[])
    figure.suptitle("In how many windows each pixel lies")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
