"""Is label noise named where it was planted, and nowhere else? Does the bracket hold the least possible error?

    python benchmarks/label_noise_quality.py               8 seeds of P6, P7, P12 and their clean twin; P18
    python benchmarks/label_noise_quality.py --seeds 2

P6, P7 and the twin: digits, 8x8 images / 16, 800 train, 250 train-dev, 350 dev, 397 test; a 256-256 perceptron with
dropout and augmentation; 5 folds. P6 changes 15 % of the labels of every part, P7 those of train and train-dev. P12
is hard and clean: two digits side by side, label (a + b) mod 10, 800 examples. P18: two Gaussians in 8 dimensions at a
distance of 1, 2 and 3, 800 examples, whose least error is known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import torch
from diagnosis_quality import METRIC, digits, moved
from numpy.typing import NDArray
from torch import Tensor, nn

from orthogon.metrics.score import Scores
from orthogon.strategy.diagnosis import LABEL_NOISE, VARIANCE, Diagnosis, diagnose
from orthogon.strategy.floor import Floor, Noise, bracket, label_noise, principal, standardised

FIRST_SEED = 400
SIZES = (800, 250, 350, 397)
PARTS = ("train", "train_dev", "dev", "test")
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Net:
    """How a net is trained; the defaults are those of the plants."""

    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 60
    lr: float = 3e-3
    augment: float = 0.1
    dropout: float = 0.1


def fit(x: Tensor, y: Tensor, num_classes: int, seed: int, how: Net) -> nn.Sequential:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    widths = [x.shape[1], *how.hidden]
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(how.dropout)]
    net = nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))
    optimiser = torch.optim.Adam(net.parameters(), lr=how.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.epochs)
    for _ in range(how.epochs):
        inputs = moved(x, generator, (0, 100 * how.augment), how.augment) if how.augment else x
        for rows in torch.randperm(len(x), generator=generator).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(inputs[rows]), y[rows]).backward()
            optimiser.step()
        schedule.step()
    return net.eval()


def out_of_fold(
    x: Tensor, y: Labels, num_classes: int, seed: int, how: Net, folds: int = 5
) -> tuple[NDArray[np.float32], NDArray[np.float32], Labels]:
    """Probabilities (n, C), last hidden layer (n, h) and fold (n,) of each example by a net that did not see it."""
    fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)) % folds
    probs, states = torch.zeros(len(x), num_classes), torch.zeros(len(x), how.hidden[-1])
    for k in range(folds):
        inside = fold == k
        net = fit(x[~inside], torch.from_numpy(y)[~inside], num_classes, 100 * seed + k, how)
        with torch.no_grad():
            probs[inside], states[inside] = net(x[inside]).softmax(dim=1), net[:-1](x[inside])
    return probs.numpy(), states.numpy(), fold.numpy()


def flipped(y: Labels, share: float, num_classes: int, seed: int) -> Labels:
    """Labels of which exactly this share is another class, drawn evenly."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[: round(share * len(y))]
    y = y.copy()
    y[rows] = (y[rows] + rng.integers(1, num_classes, len(rows))) % num_classes
    return y


def digit_sums(seed: int, n: int) -> tuple[Tensor, Labels]:
    """Two digits side by side (n, 128), and the last figure of their sum."""
    x, y, order = digits(seed)
    pairs = order[torch.randint(0, len(y), (n, 2), generator=torch.Generator().manual_seed(seed))]
    return x[pairs].flatten(1), (y[pairs].sum(dim=1) % 10).numpy()


@dataclass(frozen=True)
class Studied:
    diagnosis: Diagnosis
    noise: Mapping[str, Noise]


def studied(plant: str, seed: int, how: Net = Net(), folds: int = 5) -> Studied:
    """Train on the plant, study its labels out of fold, and diagnose."""
    if plant == "P12":
        x, y = digit_sums(seed, sum(SIZES))
        how = Net(how.hidden, how.epochs, how.lr, 0, how.dropout)
    else:
        x, labels, order = digits(seed)
        x, y = x[order], labels[order].numpy()
    ids = dict(zip(PARTS, np.split(np.arange(len(x)), np.cumsum(SIZES))[:4], strict=True))
    rates = {"P6": dict.fromkeys(PARTS, 0.15), "P7": {"train": 0.15, "train_dev": 0.15}}.get(plant, {})
    for number, (part, rate) in enumerate(rates.items()):
        y[ids[part]] = flipped(y[ids[part]], rate, 10, 10 * seed + number)
    net = fit(x[ids["train"]], torch.from_numpy(y[ids["train"]]), 10, seed, how)
    with torch.no_grad():
        probs = net(x).softmax(dim=1).numpy()
    wrong = (probs.argmax(axis=1) != y).astype(int)
    scores = {name: Scores({"wrong": wrong[rows]}, rows) for name, rows in ids.items()}
    train = ids["train"]
    oof, states, fold = out_of_fold(x[train], y[train], 10, seed, how, folds)
    pixels = x[train].numpy()
    views = {"raw": standardised(pixels), "principal": principal(pixels), "learned": (states, fold)}
    noise = {
        "train": label_noise(oof, y[train], views),
        "dev": label_noise(probs[ids["dev"]], y[ids["dev"]], {"raw": standardised(x[ids["dev"]].numpy())}),
    }
    return Studied(diagnose(scores, METRIC, noise=noise, mismatch_declared=plant == "P7"), noise)


def right(plant: str, found: Studied) -> bool:
    diagnosis, train, dev = found.diagnosis, found.noise["train"], found.noise["dev"]
    named = diagnosis.primary == LABEL_NOISE and train.known and abs(train.value - 0.15) <= 0.04
    if plant == "P6":
        return named and dev.known and dev.low > 0.05
    if plant == "P7":
        return named and dev.known and dev.high < train.low
    if plant == "P12":
        return diagnosis.primary == VARIANCE and LABEL_NOISE not in diagnosis.causes
    return LABEL_NOISE not in diagnosis.causes


def gaussians(distance: float, seed: int, n: int = 800) -> tuple[Floor, float]:
    """The bracket of two Gaussians in 8 dimensions, and their least possible error."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 8))
    x[:, 0] += distance * y
    how = Net((16,), 20, 3e-3, 0, 0)
    probs, states, fold = out_of_fold(torch.tensor(x, dtype=torch.float32), y, 2, seed, how)
    views = {"raw": standardised(x), "learned": (states, fold)}
    k = int((probs.argmax(axis=1) != y).sum())
    floor = bracket({"out of fold": (k, n)}, y, 2, views, label_noise(probs, y, views))
    return floor, NormalDist().cdf(-distance / 2)


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    say(f"torch {torch.__version__}, numpy {np.__version__}, seeds {seeds[0]}..{seeds[-1]}")
    say(f"{'':5}{'plant':34}{'right':>6}{'noise of train':>30}{'of dev':>9}{'dev error':>11}{'seconds':>9}  others")
    titles = {
        "P6": "15 % of all labels",
        "P7": "15 % of labels of train",
        "P12": "hard and clean",
        "clean": "clean twin",
    }
    for plant, title in titles.items():
        start = time.perf_counter()
        found = [studied(plant, seed) for seed in seeds]
        good = [right(plant, each) for each in found]
        trains, devs = ([each.noise[part] for each in found] for part in ("train", "dev"))
        values = [each.value for each in trains]
        said = f"{np.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}], {sum(e.known for e in trains)} known"
        dev_error = np.mean([each.diagnosis.rung("dev").value for each in found])
        others = [each.diagnosis.primary for each, ok in zip(found, good, strict=True) if not ok]
        say(
            f"{plant:5}{title:34}{f'{sum(good)}/{len(good)}':>6}{said:>30}{np.mean([e.value for e in devs]):>9.3f}"
            f"{dev_error:>11.3f}{time.perf_counter() - start:>9.1f}  {', '.join(others)}"
        )
    for distance in (1, 2, 3):
        brackets = [gaussians(distance, seed) for seed in seeds]
        holds = sum(floor.low <= truth <= floor.high for floor, truth in brackets)
        truth = brackets[0][1]
        low, high = (np.mean([getattr(floor, side) for floor, _ in brackets]) for side in ("low", "high"))
        say(f"P18  Gaussians, d = {distance}: {holds}/{len(brackets)} hold {truth:.3f}, {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
