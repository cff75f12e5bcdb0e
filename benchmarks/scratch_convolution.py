"""How much faster is the convolution of `scratch` as one matrix product than as four loops?

    python benchmarks/scratch_convolution.py [--pairs 3] [--size 8x32x32x16] [--filters 32]

3 x 3 filters, padding 1, stride 1, float64, one thread, forward and backward; a pair is one pass of each form, one
after the other. Medians over the pairs with the range; the ratio is taken within each pair. Both forms must give the
same numbers, or the script stops.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from orthogon.scratch.convolution import conv_backward, conv_backward_im2col, conv_forward, conv_forward_im2col


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", default="8x32x32x16", help="examples x height x width x channels")
    parser.add_argument("--filters", type=int, default=32)
    options = parser.parse_args()
    m, n_H, n_W, n_C_prev = (int(side) for side in options.size.split("x"))

    rng = np.random.default_rng(0)
    A_prev, W = rng.normal(size=(m, n_H, n_W, n_C_prev)), rng.normal(size=(3, 3, n_C_prev, options.filters))
    b, dZ = rng.normal(size=options.filters), rng.normal(size=(m, n_H, n_W, options.filters))
    conv_backward_im2col(dZ, conv_forward_im2col(A_prev, W, b, 1)[1])  # the first matrix product starts the library

    seconds: dict[str, list[tuple[float, float]]] = {"forward": [], "backward": []}
    for _ in range(options.pairs):
        slow, (Z, cache) = timed(conv_forward, A_prev, W, b, 1)
        fast, (Z_fast, cache_fast) = timed(conv_forward_im2col, A_prev, W, b, 1)
        np.testing.assert_allclose(Z_fast, Z, atol=1e-10)
        seconds["forward"].append((slow, fast))
        slow, gradients = timed(conv_backward, dZ, cache)
        fast, gradients_fast = timed(conv_backward_im2col, dZ, cache_fast)
        for one, other in zip(gradients_fast, gradients, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-8)
        seconds["backward"].append((slow, fast))
    both = zip(seconds["forward"], seconds["backward"], strict=True)
    seconds["both"] = [(f[0] + g[0], f[1] + g[1]) for f, g in both]

    print(f"numpy {np.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, one thread")
    print(
        f"{options.size} -> {options.filters} filters 3 x 3, padding 1, {options.pairs} pairs; seconds, median (range)"
    )
    print(f"{'':<10}{'loops':>24}{'matrix product':>28}{'times faster':>24}")
    for name, pairs in seconds.items():
        slow_times, fast_times = zip(*pairs, strict=True)
        columns = (slow_times, fast_times, [slow / fast for slow, fast in pairs])
        cells = [f"{statistics.median(c):.3g} ({min(c):.3g} to {max(c):.3g})" for c in columns]
        print(f"{name:<10}{cells[0]:>24}{cells[1]:>28}{cells[2]:>24}")


if __name__ == "__main__":
    main()
