"""Does a table larger than memory train within 2 GiB? 10 million rows by 20 columns, one pass, peak resident size.

python benchmarks/large_table.py [--rows 10000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHILD = """
import json, resource, sys, time
from orthogon import api
begun = time.perf_counter()
marks = {}
def listen(event):
    if event["event"] == "stage":
        marks[event["stage"]] = [round(time.perf_counter() - begun, 1),
                                 resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]
run = api.start(sys.argv[1], target="y", project=sys.argv[2], sets=["training.epochs=1"], listen=listen)
print(json.dumps({"stages": marks, "dev_error": run.info["dev_error"], "seconds": round(time.perf_counter() - begun, 1),
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""


def write(path: Path, rows: int, seed: int = 0) -> None:
    """17 numbers, 2 categories and a yes/no target that depends on some of them, block by block."""
    import pyarrow as pa
    import pyarrow.csv as pc

    rng = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(17)]
    writer = None
    for start in range(0, rows, 500_000):
        n = min(500_000, rows - start)
        x = rng.normal(size=(n, 17)).astype(np.float32).round(3)
        a, b = rng.integers(0, 8, n), rng.integers(0, 50, n)
        signal = x[:, 0] * x[:, 1] + x[:, 2] + (a == 3) + rng.normal(size=n)
        columns = {name: x[:, i] for i, name in enumerate(names)}
        columns["city"] = np.char.add("c", a.astype(str))
        columns["shop"] = np.char.add("s", b.astype(str))
        columns["y"] = np.where(signal > 0, "yes", "no")
        table = pa.table(columns)
        writer = writer or pc.CSVWriter(str(path), table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "large.csv"
        write(path, arguments.rows)
        print(f"{arguments.rows:,} rows by 20 columns, {path.stat().st_size / 2**30:.2f} GiB")
        command = [sys.executable, "-c", CHILD, str(path), folder + "/p"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr[-3000:])
            sys.exit(1)
        found = json.loads(done.stdout.splitlines()[-1])
        for stage, (at, mib) in found["stages"].items():
            print(f"  {stage:28} from {at:7.1f} s, peak so far {mib:6,} MiB")
        print(
            f"trained in {found['seconds']} s, dev error {found['dev_error']:.4f}, "
            f"peak resident {found['peak_mib']:,} MiB (bound 2,048)"
        )
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB")


if __name__ == "__main__":
    main()
