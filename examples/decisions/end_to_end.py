"""One network from two pictures to their sum, or a recogniser of digits and a plus sign?

    python examples/decisions/end_to_end.py

The pipeline has a second source of knowledge beside the data: that there are two digits, and how one adds. It wins
while data is scarce; the gap shrinks as there is more.
"""

from __future__ import annotations

import numpy as np
import torch
from fit import accuracy, fit, mlp
from sklearn.datasets import load_digits

SIZES = (50, 200, 800, 3200)


def experiment(seed: int, sizes: tuple[int, ...] = SIZES) -> dict[int, tuple[float, float]]:
    """Pairs in train -> (share of sums right by the pipeline, by one network)."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    pool, held = order[:1200], order[1200:]
    a, b = (torch.tensor(rng.choice(held, 2000)) for _ in range(2))
    found = {}
    for m in sizes:
        i, j = (torch.tensor(rng.choice(pool, m)) for _ in range(2))
        both = torch.cat([i, j])
        torch.manual_seed(seed)
        steps = 300 + m // 4
        recogniser = fit(mlp(64, 64, 10), x[both], y[both], steps=steps, seed=seed)
        whole = fit(mlp(128, 128, 64, 19), torch.cat([x[i], x[j]], 1), y[i] + y[j], steps=steps, seed=seed)
        with torch.no_grad():
            sums = recogniser(x[a]).argmax(1) + recogniser(x[b]).argmax(1)
        pipeline = float((sums == y[a] + y[b]).float().mean())
        found[m] = pipeline, accuracy(whole, torch.cat([x[a], x[b]], 1), y[a] + y[b])
    return found


def main() -> None:
    runs = [experiment(seed) for seed in range(4)]
    print("pairs   pipeline  end to end")
    for m in SIZES:
        pipeline, whole = (np.mean([run[m][k] for run in runs]) for k in (0, 1))
        print(f"{m:5} {pipeline:9.1%} {whole:11.1%}")


if __name__ == "__main__":
    main()
