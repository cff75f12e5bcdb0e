"""How long until something happens: `import orthogon`, `--help`, and from command to first training step.

python benchmarks/start_time.py [--runs 20]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time

import numpy as np

HELP = "from orthogon.cli import main; main(['--help'])"
STAGES = """
import json, sys, time
begun = time.perf_counter()
marks = {}
from orthogon import api
marks["imports of the door"] = time.perf_counter() - begun
seen = {}
class FirstStep(Exception): pass
def listen(event):
    name = event["event"] if event["event"] != "stage" else event["stage"]
    seen.setdefault(name, time.perf_counter() - begun)
    if event["event"] == "step": raise FirstStep
try:
    api.start(sys.argv[1], project=sys.argv[2], listen=listen)
except FirstStep:
    pass
print(json.dumps({**marks, **seen, "torchvision": "torchvision" in sys.modules}))
"""


def seconds(code: str, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def row(name: str, values: list[float]) -> None:
    low, middle, high = np.percentile(values, [5, 50, 95])
    print(f"{name:42} median {middle:6.3f} s   5-95 %: {low:.3f} to {high:.3f}   n={len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    row("python -c pass", [seconds("pass") for _ in range(runs)])
    row("import orthogon", [seconds("import orthogon") for _ in range(runs)])
    row("orthogon --help", [seconds(HELP) for _ in range(runs)])
    for source in ("digits", "iris"):
        marks: dict[str, list[float]] = {}
        for _ in range(max(3, runs // 5)):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", STAGES, source, folder + "/p"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            assert not found.pop("torchvision"), "torchvision must stay out of this path"
            for name, value in found.items():
                marks.setdefault(name, []).append(value)
        print(f"\nstart {source}: seconds since the process began to work, at each mark")
        for name, values in sorted(marks.items(), key=lambda item: np.median(item[1])):
            row(f"  {name}", values)


if __name__ == "__main__":
    main()
