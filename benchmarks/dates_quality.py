"""How many unseen dates does each string network write exactly right, and after how long?

    python benchmarks/dates_quality.py                   both networks, 3 seeds
    python benchmarks/dates_quality.py --networks attention --seeds 1

attention: `orthogon start dates` with every default, 10,000 pairs split by the product; exact match on its test split.
date_translator: the exercise's own network (T_x = 30, 52,960 parameters) and some 10,000 pairs to train on.
Intervals: 95 %, Wilson, over the test strings of all seeds.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import torch

from orthogon.metrics.intervals import wilson, z_of
from orthogon.project import Project
from orthogon.run.folder import versions

EXAMPLES = {"attention": 10_000, "date_translator": 14_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = ["attention", "date_translator"]
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--examples", type=int, help="pairs to make")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {versions()}")
    print(f"{'network':16} seed parameters {'exact':>8} characters wrong epochs {'all s':>7}")
    for network in arguments.networks:
        wrong = n = 0
        for seed in range(arguments.seeds):
            start = time.perf_counter()
            task = {"kind": "seq2seq", "network": network}
            if network == "date_translator":
                task["max_input_length"] = 30
            examples = arguments.examples or EXAMPLES[network]
            data = {"source": "dates", "num_examples": examples, "split_seed": seed}
            with tempfile.TemporaryDirectory() as folder:
                project = Project.create({"seed": seed, "data": data, "task": task}, Path(folder) / "p")
                run = project.train(project.config())
                records = run.scores("test").records
                wrong, n = wrong + int(records["wrong"].sum()), n + len(records["wrong"])
                print(
                    f"{network:16} {seed:4d} {run.info['parameters']:10,} {1 - records['wrong'].mean():8.2%} "
                    f"{records['edits'].sum() / records['length'].sum():16.3%} {run.info['epochs']:6d} "
                    f"{time.perf_counter() - start:7.1f}",
                    flush=True,
                )
        low, high = wilson(wrong, n, z_of(0.95))
        print(f"{network:16} exact {1 - wrong / n:.2%}, interval {1 - high:.2%} to {1 - low:.2%}")


if __name__ == "__main__":
    main()
