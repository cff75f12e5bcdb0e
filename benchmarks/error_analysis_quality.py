"""Are planted slices and leaks found, and nothing where none was planted?

    python benchmarks/error_analysis_quality.py             8 seeds of P15, P16 and P17
    python benchmarks/error_analysis_quality.py --seeds 2

Digits, 8x8 images / 16, multi-layer perceptrons on one thread: 800 train, 350 dev, as in diagnosis_quality.py. P16
mirrors and washes out 8 % of dev; P17 is the same without a plant. "precision" is the share of planted examples among
the ten most typical ones of the first slice that is shown, "random" that among the mistakes. P15 replaces a fifth of
dev with examples of train and noise of 0.02; "error off by" compares the error told without leaks with that on the
others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diagnosis_quality import FIRST_SEED, METRIC, digits, trained
from numpy.typing import NDArray

from orthogon.data.images import ArrayImages
from orthogon.metrics.score import Scores
from orthogon.strategy.error_analysis import said_of
from orthogon.strategy.leaks import Leaks
from orthogon.strategy.leaks import find as find_leaks
from orthogon.strategy.slices import Slices, find

SLICE_SHARE = 0.08
COPIED_SHARE = 0.2
NETS: dict[str, dict[str, Any]] = {
    "tuned": {"lr": 3e-3, "epochs": 120, "augment": 0.1, "dropout": 0.1, "num_train": 800},
    "plain": {"lr": 1e-3, "epochs": 60, "augment": 0.0, "dropout": 0.0, "num_train": 800},
    "weak": {"lr": 1e-3, "epochs": 60, "augment": 0.0, "dropout": 0.0, "num_train": 80},
}


@dataclass(frozen=True)
class Judged:
    """A dev set as a network sees it. planted: (n,) who belongs to the slice."""

    wrong: NDArray[np.float64]
    planted: NDArray[np.bool_]
    features: NDArray[np.float32]
    truth: list[str]
    answer: list[str]
    pixels: NDArray[np.uint8]
    train: NDArray[np.uint8]


def washed_out(x: torch.Tensor) -> torch.Tensor:
    """Images (B, 64) mirrored and with three tenths of their contrast."""
    return 0.35 + 0.3 * x.view(-1, 8, 8).flip(2).reshape(-1, 64)


def judged(net_name: str, share: float, seed: int) -> Judged:
    """Plant the slice in dev and look at it with the network."""
    net = trained((256, 256), seed=seed, **NETS[net_name])
    x, y, order = digits(seed)
    train, dev = order[: NETS[net_name]["num_train"]], order[1050:1400]
    planted = torch.zeros(len(dev), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed + 7)
    planted[torch.randperm(len(dev), generator=generator)[: round(share * len(dev))]] = True
    inputs = x[dev].clone()
    inputs[planted] = washed_out(inputs[planted])
    with torch.no_grad():
        features = net[:-1](inputs)
        answer = net[-1](features).argmax(dim=1)
    return Judged(
        (answer != y[dev]).numpy().astype(float),
        planted.numpy(),
        features.numpy(),
        [str(int(k)) for k in y[dev]],
        [str(int(k)) for k in answer],
        _pixels(inputs),
        _pixels(x[train]),
    )


def _pixels(x: torch.Tensor) -> NDArray[np.uint8]:
    return (255 * x.view(-1, 8, 8, 1).clamp(0, 1)).round().byte().numpy()


def slices_of(seen: Judged, seed: int) -> Slices:
    """The product's search on this dev set."""
    found = said_of(ArrayImages(seen.pixels), ArrayImages(seen.train))
    ids = np.arange(len(seen.wrong))
    return find(
        seen.wrong, ids, features=seen.features, traits=found, truth=seen.truth, answer=seen.answer, key=str(seed)
    )


def precision(seen: Judged, slices: Slices, at: int = 10) -> float:
    """Of the first slice's most typical examples, those that were planted; 0 where none is shown."""
    return float(seen.planted[list(slices.found[0].ids[:at])].mean()) if slices.found else 0.0


def planted_copies(net_name: str, seed: int) -> tuple[Leaks, NDArray[np.bool_], float]:
    """What is found where 70 of 350 dev examples are train examples with noise of 0.02; the error on the others."""
    net = trained((256, 256), seed=seed, **NETS[net_name])
    x, y, order = digits(seed)
    train, dev = order[: NETS[net_name]["num_train"]], order[1050:1400].clone()
    generator = torch.Generator().manual_seed(seed + 9)
    copied = torch.randperm(len(dev), generator=generator)[: round(COPIED_SHARE * len(dev))]
    dev[copied] = train[torch.randperm(len(train), generator=generator)[: len(copied)]]
    inputs = x[dev].clone()
    inputs[copied] += 0.02 * torch.randn(inputs[copied].shape, generator=generator)
    with torch.no_grad():
        features, known = net[:-1](inputs), net[:-1](x[train])
        wrong = (net[-1](features).argmax(dim=1) != y[dev]).numpy().astype(float)
    scores = Scores({"wrong": wrong}, np.arange(len(dev)))
    found = find_leaks(
        scores,
        METRIC,
        ArrayImages(_pixels(inputs)),
        ArrayImages(_pixels(x[train])),
        np.arange(len(train)),
        dev_features=features.numpy(),
        train_features=known.numpy(),
    )
    planted = np.isin(np.arange(len(dev)), copied.numpy())
    return found, planted, float(wrong[~planted].mean())


def leaks_table(seeds: range, say: Callable[[str], None]) -> None:
    """P15 and its clean twin."""
    head = ("precision", 10), ("recall", 8), ("right", 7), ("pass", 6), ("false of clean", 18), ("error off by", 14)
    say(f"\n{'':5}{'net':7}{''.join(f'{name:>{width}}' for name, width in head)}")
    for net in NETS:
        precisions, recalls, off, alarms = [], [], [], 0
        for seed in seeds:
            found, planted, error = planted_copies(net, seed)
            named = np.isin(np.arange(len(planted)), found.ids)
            precisions.append((named & planted).sum() / max(1, named.sum()))
            recalls.append((named & planted).sum() / planted.sum())
            off.append(abs(found.without - error))
            alarms += int((named & ~planted).sum())
        right = sum(p >= 0.95 and r >= 0.95 for p, r in zip(precisions, recalls, strict=True))
        say(
            f"P15  {net:7}{np.mean(precisions):>10.3f}{np.mean(recalls):>8.3f}{f'{right}/{len(off)}':>7}{'8/8':>6}"
            f"{f'{alarms} of {280 * len(off)}':>18}{np.mean(off):>14.4f}"
        )


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--verbose", action="store_true", help="every slice of every run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    say(f"torch {torch.__version__}, numpy {np.__version__}, seeds {seeds[0]}..{seeds[-1]}")
    head = ("dev error", 10), ("slice", 7), ("rest", 7), ("right", 7), ("pass", 6), ("precision", 11), ("random", 8)
    say(f"{'':5}{'net':7}{''.join(f'{name:>{width}}' for name, width in head)}{'seconds':>9}")
    for net in NETS:
        for plant, share in (("P16", SLICE_SHARE), ("P17", 0.0)):
            start = time.perf_counter()
            runs = [(seen, slices_of(seen, seed)) for seed in seeds for seen in [judged(net, share, seed)]]
            seconds = time.perf_counter() - start
            errors = np.mean([seen.wrong.mean() for seen, _ in runs])
            rest = np.mean([seen.wrong[~seen.planted].mean() for seen, _ in runs])
            line = f"{plant:5}{net:7}{errors:>10.3f}"
            if share:
                precisions = [precision(seen, slices) for seen, slices in runs]
                good = sum(each >= 0.8 for each in precisions)
                inside = np.mean([seen.wrong[seen.planted].mean() for seen, _ in runs])
                by_chance = np.mean([seen.planted[seen.wrong > 0].mean() for seen, _ in runs])
                line += f"{inside:>7.2f}{rest:>7.3f}{f'{good}/{len(runs)}':>7}{'7/8':>6}"
                line += f"{np.mean(precisions):>11.2f}{by_chance:>8.2f}"
            else:
                good = sum(not slices.found for _, slices in runs)
                line += f"{'':>7}{rest:>7.3f}{f'{good}/{len(runs)}':>7}{'7/8':>6}{'':>19}"
            say(f"{line}{seconds:>9.1f}")
            if arguments.verbose:
                for seen, slices in runs:
                    for each in slices.found:
                        inside = seen.planted[list(each.ids)].mean()
                        say(
                            f"       {each.sentence()}; {'; '.join(each.shares)} (planted {inside:.2f}, p {each.p:.1e})"
                        )


if __name__ == "__main__":
    main()
