"""How good are the default image networks, from scratch, beside classic systems on the same pixels?

    python benchmarks/image_quality.py                       digits, signs, clothing; 3 seeds each
    python benchmarks/image_quality.py --sets digits --seeds 1

Every setting is the default. A seed decides the splits (where the data has none of its own), the first weights, the
order and the augmentation. Linear model and nearest neighbours: scikit-learn, same train split, penalty chosen inside
train, scored on dev like the network beside them. Intervals: 95 %, Wilson, over the test pictures of all seeds where
splits differ, of one seed else. Seconds are of the whole run: reading, checks, training, baselines, scoring.
The photos lie in the folder named by ORTHOGON_DATA.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from orthogon.metrics.intervals import wilson, z_of
from orthogon.project import Project
from orthogon.run.folder import versions

FOLDERS = {"signs": "sign_digits", "clothing": "clothing", "cifar": "cifar10_folders/train"}


def measure(name: str, seed: int) -> dict[str, float]:
    """Errors and seconds of one run with defaults."""
    source = name if name == "digits" else str(Path(os.environ["ORTHOGON_DATA"]) / FOLDERS[name])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create({"seed": seed, "data": {"source": source, "split_seed": seed}}, Path(folder) / "p")
        run = project.train(project.config())
        wrong = {split: run.scores(split).records["wrong"] for split in ("train", "dev", "test")}
        found = {f"{split}": float(values.mean()) for split, values in wrong.items()}
        found |= {entry["name"]: float(entry["scores"].records["wrong"].mean()) for entry in run.baselines()}
        found |= {"n_test": len(wrong["test"]), "wrong_test": float(wrong["test"].sum())}
        found["training"] = float(run.log()[-1].get("seconds", float("nan"))) if run.log() else float("nan")
    return {**found, "seconds": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["digits", "signs", "clothing"], choices=["digits", *FOLDERS])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {versions()}")
    print(f"{'data':9} seed {'train':>7} {'dev':>7} {'test':>7} {'linear':>7} {'k-NN':>7} training s {'all s':>7}")
    for name in arguments.sets:
        rows = []
        for seed in range(arguments.seeds):
            row = measure(name, seed)
            rows.append(row)
            print(
                f"{name:9} {seed:4d} {row['train']:7.2%} {row['dev']:7.2%} {row['test']:7.2%} "
                f"{row['linear model on pixels']:7.2%} {row['nearest neighbours']:7.2%} "
                f"{row['training']:10.1f} {row['seconds']:7.1f}",
                flush=True,
            )
        counted = rows if name != "clothing" else rows[:1]  # one given test set: its pictures count once
        low, high = wilson(sum(r["wrong_test"] for r in counted), sum(r["n_test"] for r in counted), z_of(0.95))
        mean = np.mean([r["test"] for r in rows])
        print(f"{name:9} mean test error {mean:.2%}, interval {low:.2%} to {high:.2%}")


if __name__ == "__main__":
    main()
