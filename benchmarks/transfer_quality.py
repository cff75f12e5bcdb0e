"""What do pretrained weights bring on photos, at 1, 5 and 15 minutes, beside training from scratch and beside timm?

    python benchmarks/transfer_quality.py --peer peer/bin/python      every cell that has no result yet: hours
    python benchmarks/transfer_quality.py --only scratch transfer --sets clothing --minutes 1
    python benchmarks/transfer_quality.py --table                     the results so far; nothing is run

Scratch: every setting the default, task.weights none. Transfer: every setting the default, but task.weights is the
mobilenet_v2 of pretrained/ in the folder that ORTHOGON_DATA names; the three regimes decide what is trained. timm
fine-tunes the same weights on the same split with the same seed, in an environment of its own: peers/timm_transfer.py.
The batch norms of these weights come folded into the convolutions; both start from the same unfolded ones (with the
folded ones, timm had 80.9 % errors on clothing after a minute).

A minute is one of two cores: 120 seconds of the processor, whatever else the machine does, for all three ways; threads
that wait do not spin. Everything from the plan to the last update counts, dev evaluations among it; reading the
data before, baselines and scoring after do not ("all" has them). timm reads each picture anew each time, within
its minutes; ours holds them, scaled, in memory.

One cell (set, minutes, way, seed) is one file of results/transfer, and is not run again while that file is there; the
most telling come first, so that the table is balanced whenever it is printed. A seed decides the splits (where the
data has none of its own), the first weights, the order and the augmentation. Intervals: 95 %, Wilson, over the test
pictures of all seeds where splits differ, of the first seed else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SETS = {"clothing": "clothing", "signs": "sign_digits", "cifar": "cifar10_folders"}
OWN_TEST = ("clothing", "cifar")
WAYS = ("scratch", "transfer", "timm")
MINUTES = (1.0, 5.0, 15.0)
SEEDS = (0, 1, 2)
THREADS = 2
PEER = Path(__file__).parent / "peers" / "timm_transfer.py"
RESULTS = Path(__file__).parent / "results" / "transfer"
ENVIRONMENT = {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "passive"}  # waiting takes no processor time


@dataclass(frozen=True)
class Cell:
    name: str
    minutes: float
    way: str
    seed: int

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.name}-{self.minutes:g}min-{self.way}-seed{self.seed}.json"


def by_importance(names: list[str], minutes: list[float], ways: list[str], seeds: list[int]) -> list[Cell]:
    """The fewest minutes with all seeds, the others with the first, then the rest."""
    first = [(minutes[0], seed) for seed in seeds] + [(each, seeds[0]) for each in minutes[1:]]
    rest = [(each, seed) for each in minutes[1:] for seed in seeds[1:]]
    return [Cell(name, each, way, seed) for each, seed in first + rest for name in names for way in ways]


def data() -> Path:
    return Path(os.environ["ORTHOGON_DATA"])


def weights() -> str:
    return str(data() / "pretrained" / "mobilenet_v2_imagenet.safetensors")


def values(cell: Cell) -> dict[str, Any]:
    """The config of a run; all that is not here is the default."""
    pretrained = {"network": "mobilenet_v2", "weights": weights()}
    task = pretrained if cell.way == "transfer" else {"weights": "none"}
    return {
        "seed": cell.seed,
        "data": {"source": str(data() / SETS[cell.name]), "split_seed": cell.seed},
        "task": {"kind": "image_classification", **task},
        "training": {"minutes": cell.minutes},
    }


def cpu_seconds() -> float:
    """Of this process, its threads and the children that have ended."""
    return sum(os.times()[:4])


def ours(cell: Cell) -> dict[str, Any]:
    """Train as a user would, but for the clock; in a process that has ENVIRONMENT."""
    import torch

    from orthogon.project import Project

    torch.set_num_threads(THREADS)
    readings: list[tuple[float, float]] = []  # processor and wall clock; the first and last bound the training

    def clock() -> float:
        readings.append((cpu_seconds(), time.perf_counter()))
        return readings[-1][0] / THREADS

    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(values(cell), Path(folder) / "p")
        run = project.train(project.config(), clock=clock)
        wrong = {split: run.scores(split).records["wrong"] for split in ("dev", "test")}
        task, info, batch_size = run.config["task"], run.info, run.config["training"]["batch_size"]
    cpu, wall = (last - first for first, last in zip(readings[0], readings[-1], strict=True))
    return {
        "dev": float(wrong["dev"].mean()),
        "test": float(wrong["test"].mean()),
        "n": len(wrong["test"]),
        "updates": info["steps"],
        "epochs": round(info["steps"] * batch_size / info["split_sizes"]["train"], 1),
        "cpu_seconds": round(cpu, 1),
        "wall_seconds": round(wall, 1),
        "what": f"{task['network']} {task['size']} px, {task['transfer']}",
    }


def in_own_process(cell: Cell) -> dict[str, Any]:
    settings = [cell.name, str(cell.minutes), cell.way, str(cell.seed)]
    return last_line([sys.executable, __file__, "--cell", *settings])


def write_inputs(cell: Cell, splits_file: Path, weights_file: Path) -> int:
    """What a run of ours starts from, for the peer: the split as lists of files, and the weights with unfolded norms.

    Returns:
        How many pictures the test set holds.
    """
    import torch

    from orthogon.data.augment import sided
    from orthogon.project import Project

    with tempfile.TemporaryDirectory() as folder:
        config = values(Cell(cell.name, cell.minutes, "transfer", cell.seed))
        project = Project.create({**config, "task": {**config["task"], "transfer": "all"}}, Path(folder) / "p")
        examples, task, splits, *_, resolved = project.prepare(project.config())
        lists = {}
        for split in ("train", "dev", "test"):
            part: Any = examples.take(splits[split])
            lists[split] = [[str(file), str(label)] for file, label in zip(part.paths, part.targets(), strict=True)]
        network: Any = task.network()
        task.objective(network, examples.take(splits["train"]), None, resolved.training)  # unfolds the norms
    torch.save(network.network.state_dict(), weights_file)
    classes = task.class_names()
    splits_file.write_text(json.dumps({"classes": classes, "mirror": not sided(set(classes)), **lists}))
    return len(lists["test"])


def peer(python: str, cell: Cell) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        splits, start = Path(folder) / "splits.json", Path(folder) / "weights.pt"
        n = write_inputs(cell, splits, start)
        command = [python, str(PEER), str(splits), "--weights", str(start), "--minutes", str(cell.minutes)]
        found = last_line([*command, "--seed", str(cell.seed), "--threads", str(THREADS)])
    return {**found, "n": n, "what": f"timm {found['timm']} mobilenetv2_100 160 px, all"}


def last_line(command: list[str]) -> dict[str, Any]:
    """The JSON that a program ends its output with."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(cell: Cell, python: str | None) -> dict[str, Any]:
    """Run a cell, and keep its result with what it was measured on."""
    from orthogon.run.folder import versions

    started, load = time.perf_counter(), os.getloadavg()[0]
    found = in_own_process(cell) if python is None or cell.way != "timm" else peer(python, cell)
    row = vars(cell) | found
    row |= {
        "all_seconds": round(time.perf_counter() - started, 1),
        "commit": commit(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load": round(load, 1),
        "versions": versions(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    temporary = cell.file.with_suffix(".part")
    temporary.write_text(json.dumps(row, indent=1) + "\n")
    temporary.replace(cell.file)
    return row


def commit() -> str:
    """Of this tree, with a + where files are changed."""
    said = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(said, capture_output=True, text=True).stdout.strip()


def table(cells: Iterable[Cell]) -> None:
    """Every result there is, a row for each set, minutes and way."""
    found: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for cell in cells:
        if cell.file.exists():
            found.setdefault((cell.name, cell.minutes, cell.way), []).append(json.loads(cell.file.read_text()))
    print("| data | minutes | way | seeds | dev error | test error, 95 % interval | epochs | CPU s | wall s | what |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for key in sorted(found, key=lambda key: (list(SETS).index(key[0]), key[1], WAYS.index(key[2]))):
        rows, (name, minutes, way) = found[key], key
        epochs, cpu, wall = (
            float(np.mean([row[each] for row in rows])) for each in ("epochs", "cpu_seconds", "wall_seconds")
        )
        dev = float(np.mean([row["dev"] for row in rows]))
        print(
            f"| {name} | {minutes:g} | {way} | {len(rows)} | {dev:.1%} | {shown(rows, name in OWN_TEST)} "
            f"| {epochs:.0f} | {cpu:.0f} | {wall:.0f} | {rows[0]['what']} |"
        )


def shown(rows: list[dict[str, Any]], own_test: bool) -> str:
    """Mean test error, each seed's where there are several, and the interval of the pictures that count."""
    from orthogon.metrics.intervals import wilson, z_of

    counted = rows[:1] if own_test else rows  # a given test set counts once
    n = sum(row["n"] for row in counted)
    low, high = wilson(sum(round(row["test"] * row["n"]) for row in counted), n, z_of(0.95))
    errors = [row["test"] for row in rows]
    each = f" ({', '.join(f'{100 * error:.1f}' for error in errors)})" if len(rows) > 1 else ""
    return f"{np.mean(errors):.1%}{each} [{low:.1%}, {high:.1%}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--minutes", type=float, nargs="+", default=list(MINUTES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--only", nargs="+", choices=WAYS, help="leave the others out")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of the environment that has timm")
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        name, minutes, way, seed = arguments.cell
        print(json.dumps(ours(Cell(name, float(minutes), way, int(seed)))))
        return
    ways = arguments.only or [way for way in WAYS if way != "timm" or arguments.peer or arguments.table]
    cells = by_importance(arguments.sets, arguments.minutes, ways, arguments.seeds)
    if not arguments.table:
        if "timm" in ways and not arguments.peer:
            parser.error("timm needs --peer PYTHON")
        for cell in cells:
            if cell.file.exists():
                continue
            row = run(cell, arguments.peer)
            print(
                f"{time.strftime('%H:%M')}  {cell.file.stem}: dev {row['dev']:.1%}, test {row['test']:.1%}, "
                f"{row['epochs']:g} epochs, CPU {row['cpu_seconds']:.0f} s, wall {row['wall_seconds']:.0f} s "
                f"({row['cpu_seconds'] / row['wall_seconds']:.2f} cores), load {row['load']}, {row['what']}",
                flush=True,
            )
        print()
    table(cells)


if __name__ == "__main__":
    main()
