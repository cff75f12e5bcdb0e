"""How long diagnosis and report take: on digits (at most 5 s), and on 50,000 dev examples (at most 15 s).

python benchmarks/diagnosis_time.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from orthogon import api


def measured(run: api.Run) -> tuple[float, float]:
    fresh = api.Run(run.folder)
    started = time.perf_counter()
    fresh.diagnose()
    diagnosed = time.perf_counter()
    fresh.write_report()
    return diagnosed - started, time.perf_counter() - diagnosed


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = api.start("digits", project=Path(folder) / "digits", sets=["training.epochs=2"])
        pairs = [measured(run) for _ in range(5)]
        diagnose, report = np.median(pairs, axis=0)
        print(f"digits: diagnosis {diagnose:.2f} s, report {report:.2f} s, sum {diagnose + report:.2f} s (bound 5)")

        rng = np.random.default_rng(0)
        n = 50_000
        path = Path(folder) / "large.csv"
        x = rng.normal(size=(n * 10 // 3, 6))
        y = x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=len(x)) > 0
        header = ",".join(f"x{i}" for i in range(6)) + ",y"
        rows = np.column_stack([x.round(4).astype(str), np.where(y, "yes", "no")])
        np.savetxt(path, rows, delimiter=",", fmt="%s", header=header, comments="")
        sets = ["training.epochs=1", f"data.dev={n}", f"data.test={n // 5}"]
        run = api.start(str(path), "y", project=Path(folder) / "large", sets=sets)
        sizes = run.info["split_sizes"]
        pairs = [measured(run) for _ in range(3)]
        diagnose, report = np.median(pairs, axis=0)
        print(
            f"table with {sizes['dev']:,} dev examples: diagnosis {diagnose:.2f} s, report {report:.2f} s, "
            f"together {diagnose + report:.2f} s (bound 15), median of 3"
        )


if __name__ == "__main__":
    main()
