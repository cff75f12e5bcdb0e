"""Edge detection: slide a small filter over an image and it lights up where brightness changes.

A 3 x 3 filter is laid on every 3 x 3 window of the image; the nine products are added up to one number. With a positive
left and a negative right column the sum is 0 on even ground, large where bright turns to dark, and negative where dark
turns to bright; the transposed filter finds horizontal edges. An image of side n gives a map of side n - f + 1, because
the window must fit inside. Sobel and Scharr weigh the middle row more, so that one noisy pixel matters less. The nine
numbers need not be invented: from pairs of an image and its wanted map, gradient descent finds them, and that is what a
convolutional layer does.

Equations:
    Z[i, j] = Σ_u Σ_v K[u, v] image[i + u, j + v]        u, v = 0 .. f - 1
    side of Z = n - f + 1
    J = (1/2N) Σ_ij (Z[i, j] - T[i, j])²                 N values in the wanted map T
    dK[u, v] = Σ_i Σ_j dZ[i, j] image[i + u, j + v]      the image, slid over by dZ

Product:
    torch.nn.functional.conv2d                           # what torch calls convolution does not flip the filter either
Systems:
    conv.edge conv.filters
Paper:
    Sobel & Feldman 1968, "A 3x3 Isotropic Gradient Operator for Image Processing"; Scharr 2000, "Optimale Operatoren
    in der Digitalen Bildverarbeitung"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERTICAL = np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0], [1.0, 0.0, -1.0]])
HORIZONTAL = VERTICAL.T
SOBEL = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
SCHARR = np.array([[3.0, 0.0, -3.0], [10.0, 0.0, -10.0], [3.0, 0.0, -3.0]])


def slide(image: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Lay the filter on every window and add up the products.

    Args:
        image: (n_H, n_W).
        K: filter (f_H, f_W), not larger than the image.
    Returns:
        Z, (n_H - f_H + 1, n_W - f_W + 1).
    """
    f_H, f_W = K.shape
    Z = np.zeros((image.shape[0] - f_H + 1, image.shape[1] - f_W + 1))
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            # Z[i, j] = Σ_u Σ_v K[u, v] image[i + u, j + v]
            Z[i, j] = np.sum(image[i : i + f_H, j : j + f_W] * K)
    return Z


def learn_filter(
    image: np.ndarray, T: np.ndarray, f: int = 3, alpha: float = 0.5, steps: int = 60
) -> tuple[np.ndarray, list[float]]:
    """Find the filter that turns the image into the map T, from zeros, by gradient descent.

    The image should be rich (noise is): on even ground many filters do the same, and nothing tells them apart.

    Args:
        image: (n_H, n_W), of variance about 1 for this alpha.
        T: the wanted map (n_H - f + 1, n_W - f + 1).
        f: side of the filter.
        alpha: learning rate.
    Returns:
        K (f, f), and the cost J before each step.
    """
    K, costs = np.zeros((f, f)), []
    for _ in range(steps):
        Z = slide(image, K)
        # J = (1/2N) Σ (Z - T)²
        costs.append(float(np.sum((Z - T) ** 2) / (2 * T.size)))
        dZ = (Z - T) / T.size
        # dK[u, v] = Σ_i Σ_j dZ[i, j] image[i + u, j + v]
        dK = slide(image, dZ)
        K = K - alpha * dK
    return K, costs


def drawn_image(side: int = 48) -> np.ndarray:
    """A bright disc, a grey square and a slanted bar on black: (side, side), 0 to 10."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.zeros((side, side))
    image[(x - 0.3) ** 2 + (y - 0.32) ** 2 < 0.2**2] = 10.0
    image[(abs(x - 0.76) < 0.15) & (abs(y - 0.28) < 0.15)] = 6.0
    image[(abs(y - 0.78 + 0.25 * (x - 0.5)) < 0.06) & (abs(x - 0.5) < 0.4)] = 8.0
    return image


def demo() -> Figure | None:
    """The half bright image, one image through three filters, and a filter found from examples."""
    half = np.array([[10.0, 10, 10, 0, 0, 0]] * 6)
    print("A 6 x 6 image, left half 10, right half 0. Each row of its 4 x 4 map:")
    print(f"  vertical filter            {slide(half, VERTICAL)[0]}")
    print(f"  the image turned round     {slide(half[:, ::-1], VERTICAL)[0]}")
    print(f"  horizontal filter          {slide(half, HORIZONTAL)[0]}")
    print(f"  largest value of Sobel {slide(half, SOBEL).max():.0f}, of Scharr {slide(half, SCHARR).max():.0f}")

    rng = np.random.default_rng(0)
    noise = rng.normal(size=(24, 24))
    K, costs = learn_filter(noise, slide(noise, SOBEL))
    print("Learned from one image of noise and its Sobel map, starting from zeros:")
    for row in K:
        print("  " + "  ".join(f"{value:8.5f}" for value in row.round(5) + 0.0))
    print(f"  cost {costs[0]:.2f} -> {costs[-1]:.1e} in {len(costs)} steps")

    from matplotlib.figure import Figure

    image = drawn_image()
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    axes[0].imshow(image, cmap="gray")
    axes[0].set_title(f"image, {image.shape[0]} × {image.shape[1]}")
    for ax, (name, kernel) in zip(
        axes[1:4], [("vertical", VERTICAL), ("horizontal", HORIZONTAL), ("Sobel", SOBEL)], strict=True
    ):
        Z = slide(image, kernel)
        shown = ax.imshow(Z, cmap="RdBu", vmin=-40, vmax=40)
        ax.set_title(f"{name} filter, {Z.shape[0]} × {Z.shape[1]}")
        figure.colorbar(shown, ax=ax, shrink=0.8)
    axes[4].imshow(K, cmap="RdBu", vmin=-2.5, vmax=2.5)
    for (u, v), value in np.ndenumerate(K):
        axes[4].text(v, u, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center")
    axes[4].set_title("Sobel, learned from examples")
    for ax in axes[:5]:
        ax.set_xticks([])
        ax.set_yticks([])
    axes[5].semilogy(costs)
    axes[5].set(title="learning the filter", xlabel="step", ylabel="cost J")
    return figure


if __name__ == "__main__":
    from orthogon.scratch.learn import run_demo

    run_demo(demo)
