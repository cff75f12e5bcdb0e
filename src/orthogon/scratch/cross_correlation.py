"""Cross-correlation: what deep learning calls convolution does not flip the filter.

In mathematics, convolution turns the filter half round (both axes flipped) before it slides; cross-correlation slides
it as it is. Deep learning computes cross-correlation and says convolution: the filter is learned, so a flip would only
store the same numbers in another order. The flip buys one thing, algebra: true convolution may be regrouped and
swapped, (image * A) * B = image * (A * B) and A * B = B * A. Cross-correlation may not. Remember it when a filter comes
from a book on signals, or when two layers are to be folded into one: the filter of two stacked cross-correlations is
the true convolution of the two.

Equations:
    (image ⋆ K)[i, j] = Σ_u Σ_v K[u, v] image[i + u, j + v]                    cross-correlation
    (image * K)[i, j] = Σ_u Σ_v K[f - 1 - u, f - 1 - v] image[i + u, j + v]    convolution
    (image * A) * B = image * (A * B)      with A * B taken in full, side f_A + f_B - 1
    (image ⋆ A) ⋆ B = image ⋆ (A * B)      not image ⋆ (A ⋆ B)

Exceptions:
    torch.nn.Conv2d is a cross-correlation; scipy.signal.convolve2d is a true convolution.

Product:
    torch.nn.functional.conv2d                           # cross-correlation
Systems:
    conv.xcorr
Paper:
    Goodfellow, Bengio & Courville 2016, "Deep Learning", section 9.1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from orthogon.scratch.edges import VERTICAL, slide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIGITS_6x6 = np.array(
    [
        [3, 0, 1, 2, 7, 4],
        [1, 5, 8, 9, 3, 1],
        [2, 7, 2, 5, 1, 3],
        [0, 1, 3, 1, 7, 8],
        [4, 2, 1, 6, 2, 8],
        [2, 4, 5, 2, 3, 9],
    ]
)


def flip(K: np.ndarray) -> np.ndarray:
    """Turn a filter half round: rows bottom up, columns right to left."""
    return K[::-1, ::-1]


def correlate(image: np.ndarray, K: np.ndarray) -> np.ndarray:
    """image ⋆ K where the filter fits: (n_H, n_W), (f_H, f_W) -> (n_H - f_H + 1, n_W - f_W + 1)."""
    return slide(image, K)


def convolve(image: np.ndarray, K: np.ndarray) -> np.ndarray:
    """image * K where the filter fits: the same, with the filter flipped first."""
    return slide(image, flip(K))


def full(operation: Callable[[np.ndarray, np.ndarray], np.ndarray], A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The operation wherever B touches A at all: zeros around A, (a_H + b_H - 1, a_W + b_W - 1)."""
    b_H, b_W = B.shape
    return operation(np.pad(A, ((b_H - 1, b_H - 1), (b_W - 1, b_W - 1))), B)


def regrouping_error(
    operation: Callable[[np.ndarray, np.ndarray], np.ndarray], image: np.ndarray, A: np.ndarray, B: np.ndarray
) -> float:
    """Largest difference of (image ∘ A) ∘ B and image ∘ (A ∘ B): 0 where the operation is associative."""
    one_by_one = operation(operation(image, A), B)
    at_once = operation(image, full(operation, A, B))
    return float(np.max(np.abs(one_by_one - at_once)))


def demo() -> Figure | None:
    """One image through both operations, and what each says to regrouping."""
    image = DIGITS_6x6.astype(float)
    Z, Z_flipped = correlate(image, VERTICAL), convolve(image, VERTICAL)
    print("The vertical filter on a 6 x 6 image of digits:")
    for left, right in zip(Z, Z_flipped, strict=True):
        print(
            "  correlate " + "".join(f"{v:5.0f}" for v in left) + "    convolve " + "".join(f"{v:5.0f}" for v in right)
        )
    print("Half a turn of this filter changes every sign.")

    rng = np.random.default_rng(0)
    A, B, noise = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(12, 12))
    print("Regrouped, with two random filters, the results differ by at most")
    print(f"  convolve   {regrouping_error(convolve, noise, A, B):.1e}")
    print(f"  correlate  {regrouping_error(correlate, noise, A, B):.1e}")
    folded = correlate(noise, full(convolve, A, B))
    print("Two stacked correlations against one with the filter A * B:")
    print(f"  differ by  {np.max(np.abs(correlate(correlate(noise, A), B) - folded)):.1e}")

    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    point, K = np.zeros((7, 7)), np.arange(1.0, 10).reshape(3, 3)
    point[3, 3] = 1
    pictures = [
        ("image: one bright pixel", point),
        ("filter K", K),
        ("image ⋆ K: K half turned", correlate(point, K)),
        ("image * K: K as it is", convolve(point, K)),
    ]
    for ax, (title, values) in zip(figure.subplots(1, 4), pictures, strict=True):
        ax.imshow(values, cmap="Blues", vmin=0, vmax=1.5 * values.max())
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center")
        ax.set(title=title, xticks=[], yticks=[])
    figure.suptitle("Cross-correlation and convolution of one bright pixel")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
