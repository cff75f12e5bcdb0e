"""How much faster is a dot product of 1,000,000 numbers without a loop?

    OMP_NUM_THREADS=1 python benchmarks/vectorise.py [--pairs 7] [--numbers 1000000]

The loop and the call of orthogon.scratch.vectorisation on the same two arrays, one after the other in each pair; the
call is timed as the mean of 100. Medians over the pairs with the range, and the ratio of each pair. A second line has
the loop over Python lists, which spares it the unpacking of NumPy's numbers. Asked for: at least 50 times.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from orthogon.scratch.vectorisation import dot_loop, dot_vector

CALLS = 100


def seconds(call: Callable[[], float], times: int) -> tuple[float, float]:
    """(seconds a call, the result)."""
    start = time.perf_counter()
    for _ in range(times):
        result = call()
    return (time.perf_counter() - start) / times, result


def over_lists(w: list[float], x: list[float]) -> float:
    total = 0.0
    for a, b in zip(w, x, strict=True):
        total += a * b
    return total


def cell(values: list[float], unit: float = 1.0) -> str:
    return f"{statistics.median(values) * unit:.3g} ({min(values) * unit:.3g} to {max(values) * unit:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    w, x = rng.random(arguments.numbers), rng.random(arguments.numbers)
    w_list, x_list = w.tolist(), x.tolist()
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(f"NumPy {np.__version__}, Python {platform.python_version()}, OMP_NUM_THREADS {threads}")
    print(f"{arguments.numbers:,} numbers, {arguments.pairs} pairs, milliseconds")
    dot_vector(w, x)  # warm
    loops: dict[str, Callable[[], float]] = {
        "over arrays": lambda: dot_loop(w, x),
        "over lists": lambda: over_lists(w_list, x_list),
    }
    print(f"{'loop':<12}  {'loop, ms':>24}  {'one call, ms':>24}  {'ratio':>24}  difference, relative")
    for name, loop in loops.items():
        slow, fast, ratios, difference = [], [], [], 0.0
        for _ in range(arguments.pairs):
            (slow_one, by_loop), (fast_one, by_call) = seconds(loop, 1), seconds(lambda: dot_vector(w, x), CALLS)
            slow.append(slow_one)
            fast.append(fast_one)
            ratios.append(slow_one / fast_one)
            difference = max(difference, abs(by_loop - by_call) / by_call)
        print(f"{name:<12}  {cell(slow, 1e3):>24}  {cell(fast, 1e3):>24}  {cell(ratios):>24}  {difference:.0e}")


if __name__ == "__main__":
    main()
