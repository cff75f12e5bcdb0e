"""What do pretrained weights bring on photos, at 1, 5 and 15 minutes, beside training from scratch and beside timm?

    python benchmarks/transfer_quality.py                                     all sets, minutes and seeds: hours
    python benchmarks/transfer_quality.py --sets clothing --minutes 1 --seeds 1
    python benchmarks/transfer_quality.py --peer peer/bin/python              timm beside it, see peers/timm_transfer.py

Scratch: every setting the default, task.weights none. Transfer: every setting the default, but task.weights is the
mobilenet_v2 of pretrained/ in the folder that ORTHOGON_DATA names; the three regimes decide what is trained. The peer
fine-tunes the same weights on the same split, minutes, threads and seed, in an environment of its own.
Minutes are of training: the reading of the data, the baselines and the scoring come on top ("all s"). A seed decides
the splits (where the data has none of its own), the first weights, the order and the augmentation. Intervals: 95 %,
Wilson, over the test pictures of all seeds where splits differ, of the first seed else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orthogon.data.augment import sided
from orthogon.metrics.intervals import wilson, z_of
from orthogon.project import Project
from orthogon.run.folder import versions

SETS = {"clothing": "clothing", "signs": "sign_digits", "cifar": "cifar10_folders"}
OWN_TEST = ("clothing", "cifar")
PEER = Path(__file__).parent / "peers" / "timm_transfer.py"


def data() -> Path:
    return Path(os.environ["ORTHOGON_DATA"])


def weights() -> str:
    return str(data() / "pretrained" / "mobilenet_v2_imagenet.safetensors")


def values(name: str, how: str, minutes: float, seed: int) -> dict[str, Any]:
    """The config of a run; all that is not here is the default."""
    task = {"weights": "none"} if how == "scratch" else {"network": "mobilenet_v2", "weights": weights()}
    return {
        "seed": seed,
        "data": {"source": str(data() / SETS[name]), "split_seed": seed},
        "task": {"kind": "image_classification", **task},
        "training": {"minutes": minutes},
    }


def ours(name: str, how: str, minutes: float, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(values(name, how, minutes, seed), Path(folder) / "p")
        run = project.train(project.config())
        wrong = {split: run.scores(split).records["wrong"] for split in ("dev", "test")}
        training = float(run.log()[-1].get("seconds", float("nan"))) if run.log() else float("nan")
        task = run.config["task"]
    return {
        "dev": float(wrong["dev"].mean()),
        "test": float(wrong["test"].mean()),
        "n": len(wrong["test"]),
        "seconds": training,
        "all": time.perf_counter() - start,
        "what": f"{task['network']} {task['size']} px, {task['transfer']}",
    }


def write_splits(name: str, seed: int, path: Path) -> int:
    """The same split as a run of this seed has, as lists of files; how many pictures its test set holds."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(values(name, "scratch", 1.0, seed), Path(folder) / "p")
        examples, task, splits, *_ = project.prepare(project.config())
        lists = {}
        for split in ("train", "dev", "test"):
            part: Any = examples.take(splits[split])
            lists[split] = [[str(file), str(label)] for file, label in zip(part.paths, part.targets(), strict=True)]
    classes = task.class_names()
    path.write_text(json.dumps({"classes": classes, "mirror": not sided(set(classes)), **lists}))
    return len(lists["test"])


def peer(python: str, name: str, minutes: float, seed: int, threads: int) -> dict[str, Any]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        splits = Path(folder) / "splits.json"
        n = write_splits(name, seed, splits)
        command = [python, str(PEER), str(splits), "--weights", weights(), "--minutes", str(minutes)]
        command += ["--seed", str(seed), "--threads", str(threads)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    what = f"timm {found['timm']} mobilenetv2_100 160 px, all"
    return {**found, "n": n, "all": time.perf_counter() - start, "what": what}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 5.0, 15.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=["scratch", "transfer", "timm"], help="leave the others out")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of the environment that has timm")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ways = arguments.only or ["scratch", "transfer", *(["timm"] if arguments.peer else [])]
    if "timm" in ways and not arguments.peer:
        parser.error("timm needs --peer PYTHON")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, "
        f"load {os.getloadavg()[0]:.1f}, {versions()}\n"
    )
    print("| data | minutes | way | seed | dev | test, 95 % interval | training s | all s | what |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.sets:
        for minutes in arguments.minutes:
            for way in ways:
                rows = []
                for seed in range(arguments.seeds):
                    if way == "timm":
                        row = peer(arguments.peer, name, minutes, seed, arguments.threads)
                    else:
                        row = ours(name, way, minutes, seed)
                    rows.append(row)
                    print(
                        f"| {name} | {minutes:g} | {way} | {seed} | {row['dev']:.1%} | {shown([row])} "
                        f"| {row['seconds']:.0f} | {row['all']:.0f} | {row['what']} |",
                        flush=True,
                    )
                if len(rows) > 1:
                    counted = rows[:1] if name in OWN_TEST else rows  # a given test set counts once
                    print(f"| {name} | {minutes:g} | {way} | all | | {shown(rows, counted)} | | | |", flush=True)


def shown(rows: list[dict[str, Any]], counted: list[dict[str, Any]] | None = None) -> str:
    """Mean test error, and the interval of those that are counted."""
    counted = counted or rows
    n = sum(row["n"] for row in counted)
    low, high = wilson(sum(round(row["test"] * row["n"]) for row in counted), n, z_of(0.95))
    return f"{np.mean([row['test'] for row in rows]):.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
