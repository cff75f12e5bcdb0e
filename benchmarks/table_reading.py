"""How fast, and in how much memory, is a large CSV read, beside pandas.read_csv?

    python benchmarks/table_reading.py --gigabytes 1 --pairs 5
    python benchmarks/table_reading.py --rows 10_000_000 --pairs 1

Each reading runs in a process of its own, ours and pandas' in turn. Seconds are of the reading alone, without imports;
memory is the peak resident set of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS_PER_GIGABYTE = 7_700_000
BLOCK_ROWS = 200_000


def write_table(path: Path, num_rows: int) -> None:
    """15 measures, a year, three columns of texts and a target: 20 columns, about 140 bytes a row."""
    import pandas as pd

    rng = np.random.default_rng(0)
    cities = np.array([f"city {k}" for k in range(300)])
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, num_rows, BLOCK_ROWS):
            n = min(BLOCK_ROWS, num_rows - start)
            x = np.round(rng.normal(size=(n, 15)), 4)
            frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(15)])
            frame["year"] = rng.integers(1990, 2024, n)
            frame["city"] = cities[rng.integers(300, size=n)]
            frame["plan"] = np.array(["basic", "plus", "pro"])[rng.integers(3, size=n)]
            frame["flag"] = np.array(["yes", "no"])[rng.integers(2, size=n)]
            frame["y"] = np.round(x[:, :5].sum(axis=1), 4)
            frame.to_csv(file, index=False, header=start == 0)


def read_once(reader: str, path: str) -> dict[str, float]:
    """One reading in this process: seconds, rows, peak resident MiB; ours also hashes and passes over all rows."""
    if reader == "pandas":
        import pandas as pd

        start = time.perf_counter()
        rows = len(pd.read_csv(path))
        seconds = time.perf_counter() - start
        more = {}
    else:
        from orthogon.data.config import DataConfig
        from orthogon.data.table_files import read_table

        start = time.perf_counter()
        examples = read_table(DataConfig(source=path, target="y"))
        seconds, rows = time.perf_counter() - start, len(examples)
        start = time.perf_counter()
        examples.fingerprint()
        examples.content_keys()
        for _ in examples.chunks():
            pass
        more = {"fingerprint, keys and one pass": time.perf_counter() - start}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "rows": rows, "peak_mib": peak, **more}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the CSV")
    parser.add_argument("--rows", type=int, help="rows of the CSV, instead of its size")
    parser.add_argument("--pairs", type=int, default=5, help="readings of each, in turn")
    parser.add_argument("--file", type=Path, help="keep and reuse the CSV here")
    parser.add_argument("--read", nargs=2, metavar=("READER", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read_once(*options.read)))
        return

    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "table.csv"
        if not path.exists():
            write_table(path, options.rows or int(options.gigabytes * ROWS_PER_GIGABYTE))
        results: dict[str, list[dict[str, float]]] = {"orthogon": [], "pandas": []}
        for _ in range(options.pairs):
            for reader in results:
                command = [sys.executable, __file__, "--read", reader, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
                results[reader].append(json.loads(done.stdout))
        size = path.stat().st_size / 1e9

    print(
        f"{size:.2f} GB, {results['pandas'][0]['rows']:,.0f} rows of 20 columns; {options.pairs} readings each, in turn"
    )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    print(f"{'reader':<10} {'median s':>9} {'min-max s':>15} {'peak MiB':>9}")
    for reader, runs in results.items():
        seconds = [run["seconds"] for run in runs]
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        peak = max(run["peak_mib"] for run in runs)
        print(f"{reader:<10} {statistics.median(seconds):>9.2f} {spread:>15} {peak:>9.0f}")
    pairs = zip(results["pandas"], results["orthogon"], strict=True)
    ratios = [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]
    print(f"speed against pandas: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    passes = statistics.median(run["fingerprint, keys and one pass"] for run in results["orthogon"])
    print(f"fingerprint, content keys and one pass over all rows: {passes:.2f} s")


if __name__ == "__main__":
    main()
