"""What the engine says of labels whose faults are known, beside what is known, and beside cleanlab's list.

    python benchmarks/label_quality.py                              all sets; one JSON file a cell in results/labels
    python benchmarks/label_quality.py --only mnist --cleanlab PY   PY: a Python that has cleanlab 2.9.0

cifar: 5,000 small photos; the clean labels and five sets of labels by people (CIFAR-10N), 8 to 40 % of them wrong.
MobileNetV2 with ImageNet weights, its last layer trained. mnist: digits of the MNIST test file, of which 100 suspected
labels were voted on by five people each; a small convnet. planted: the same digits with 2, 5 and 10 % changed labels.
"k" is the number of labels known to be wrong among those judged; precision at k is the share of wrong ones among the
first k suspects.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "labels"
CIFAR = ("clean", "aggregate", "random1", "random2", "random3", "worst")
MNIST = ("votes", "planted 2 %", "planted 5 %", "planted 10 %")
MOST = {"cifar": 5000, "mnist": 4000}


def data() -> Path:
    return Path(os.environ["ORTHOGON_DATA"])


def cifar(labels: str, place: Path) -> tuple[Path, NDArray[Any]]:
    """A manifest of the photos with one set of labels, and for each row its clean label."""
    folder = data() / "cifar10_folders"
    with open(folder / "human_labels_train.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[: MOST["cifar"]]
    manifest = place / "manifest.csv"
    with open(manifest, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([folder / row["file"], row[labels]] for row in rows)
    return manifest, np.array([row["clean"] for row in rows])


def mnist(what: str, place: Path) -> tuple[Path, NDArray[Any]]:
    """Pictures of digits with their labels, and for each the label that is right; by votes, where most say another."""
    import gzip

    from PIL import Image

    folder = data() / "mnist_10k"
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        given = np.frombuffer(file.read(), np.uint8, offset=8).astype(int)
    votes = json.loads((folder / "label_errors_mturk.json").read_text())
    voted = np.array([entry["id"] for entry in votes])
    others = np.setdiff1d(np.random.default_rng(0).permutation(len(given))[: MOST["mnist"]], voted)
    ids = np.sort(np.concatenate([voted, others]))
    right = given.copy()
    for entry in votes:
        if entry["mturk"]["given"] <= 2:  # of five, most do not see what the label says
            right[entry["id"]] = -1 if entry["mturk"]["guessed"] < 3 else entry["our_guessed_label"]
    labels = given[ids]
    if what != "votes":
        from orthogon.strategy.labels import plant

        rows, new = plant(labels, float(what.split()[1]) / 100, 10)
        labels = labels.copy()
        labels[rows] = new
    manifest = place / "manifest.csv"
    with open(manifest, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for id_, label in zip(ids, labels, strict=True):
            picture = place / f"{id_:05d}.png"
            Image.fromarray(pixels[id_]).save(picture)
            writer.writerow([picture, f"digit {label}"])
    return manifest, np.array([f"digit {k}" if k >= 0 else "" for k in right[ids]])


def cell(name: str, labels: str, cleanlab: str | None) -> dict[str, Any]:
    import orthogon as og
    from orthogon.project.config import parse
    from orthogon.project.trial import Trials
    from orthogon.strategy import labels as suspects
    from orthogon.strategy.label_study import out_of_fold

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        manifest, right = (cifar if name == "cifar" else mnist)(labels, place)
        sets = ["training.epochs=8", "task.width=8", "task.depth=2", "data.format=images"]
        if name == "cifar":
            weights = data() / "pretrained" / "mobilenet_v2_imagenet.safetensors"
            sets = ["task.network=mobilenet_v2", f"task.weights={weights}", "task.transfer=head", "training.epochs=15"]
            sets += ["task.size=96", "data.format=images"]
        run = og.start(manifest, project=place / "p", sets=sets)
        found = run.study_labels()
        trials = Trials(run.project, parse(run.config))
        oof = out_of_fold(trials)
        names = run.task().class_names()
        given = oof.truth[oof.train]
        wrong = np.array([names[k] for k in given]) != right[oof.train]
        wrong_dev = np.array([names[k] for k in oof.truth[oof.dev]]) != right[oof.dev]
        k = int(wrong.sum())

        def precision(rows: NDArray[Any]) -> float:
            return float(wrong[rows[:k]].mean()) if k else float("nan")

        told: dict[str, Any] = {
            "set": name,
            "labels": labels,
            "n": len(given),
            "wrong": k / len(given),
            "wrong_dev": float(wrong_dev.mean()),
            "error": found.noise["train"].error,
            "noise": {part: vars(noise) for part, noise in found.noise.items()},
            "floor": [found.floor.low, found.floor.high] if found.floor else None,
            "silent": found.silent,
            "suspects": found.num_suspects,
            "dev": [found.dev_errors, found.dev_suspected, found.dev_n],
            "stated": vars(found.precision) if found.precision else None,
            "apart": vars(found.apart) if found.apart else None,
            "k": k,
            "precision": precision(suspects.order(given, oof.probs, oof.margin)),
            "by confidence alone": precision(suspects.order(given, oof.probs)),
            "by margin alone": precision(np.argsort(oof.margin)),
            "recall": float(wrong[suspects.find(given, oof.probs)].sum() / k) if k else None,
            "seconds": found.seconds,
        }
        if cleanlab:
            np.savez(place / "in.npz", labels=given, probs=oof.probs)
            peer = Path(__file__).parent / "peers" / "cleanlab_labels.py"
            subprocess.run([cleanlab, peer, place / "in.npz", place / "out.json"], check=True, env={})
            theirs = json.loads((place / "out.json").read_text())
            told |= {"cleanlab": precision(np.array(theirs["rows"])), "cleanlab issues": theirs["issues"]}
        told["found"] = int(suspects.find(given, oof.probs).sum())
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["cifar", "mnist"])
    parser.add_argument("--cleanlab", metavar="PYTHON")
    arguments = parser.parse_args()
    cells = [("mnist", each) for each in MNIST] + [("cifar", each) for each in CIFAR]
    print(
        f"{'labels':20}{'n':>6}{'wrong':>7}{'error':>7}{'said wrong':>22}{'suspects':>9}{'prec@k':>8}{'cleanlab':>9}"
        f"{'margin':>8}{'stated':>8}  silent"
    )
    for name, labels in cells:
        if arguments.only not in (None, name):
            continue
        file = RESULTS / f"{name}-{labels.replace(' ', '-').replace('%', 'percent')}.json"
        if not file.exists():
            RESULTS.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(cell(name, labels, arguments.cleanlab), default=float, indent=1))
        t = json.loads(file.read_text())
        noise = t["noise"]["train"]
        said = f"{noise['value']:.3f} [{noise['low']:.3f}, {noise['high']:.3f}]" if noise["known"] else "unknown"
        stated = t["stated"] and f"{t['stated']['hits'] / t['stated']['first']:.2f}"
        print(
            f"{name + ' ' + labels:20}{t['n']:>6}{t['wrong']:>7.3f}{t['error']:>7.3f}{said:>22}{t['found']:>9}"
            f"{t['precision']:>8.2f}{t.get('cleanlab', float('nan')):>9.2f}{t['by margin alone']:>8.2f}"
            f"{stated or '-':>8}  {t['silent'] or '-'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
