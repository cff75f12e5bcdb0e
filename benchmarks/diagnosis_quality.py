"""Does the diagnosis name the planted cause, and do its intervals cover?

    python benchmarks/diagnosis_quality.py                 8 seeds of P1-P5, P8, P9; 100,000 draws of P23
    python benchmarks/diagnosis_quality.py --seeds 2 --draws 500

Digits, 8x8 images / 16, multi-layer perceptrons on one thread. 800 train, 250 train-dev, 350 dev, 397 test unless the
plant says otherwise. The product carves train-dev only where there is a second distribution, so the plants without
one are judged both ways. A run is deterministic per seed. "old rule" is the prototype's for a dev set too small, a
half-width above max(delta, half the dev error).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom
from sklearn.datasets import load_digits
from torch import Tensor, nn

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import join, newcombe, wilson, z_of
from orthogon.metrics.score import Scores
from orthogon.strategy.diagnosis import (
    BIAS,
    HEALTHY,
    MATERIAL,
    MISMATCH,
    SMALL_DEV,
    UNCLEAR,
    UNDETERMINED,
    VARIANCE,
    Diagnosis,
    diagnose,
)
from orthogon.strategy.probes import CAPACITY, OPTIMISATION, Probes, Setting, probe

METRIC = classification_metrics([str(k) for k in range(10)])["error"]
FIRST_SEED = 400  # the rules saw 300-307


@dataclass(frozen=True)
class Plant:
    """One fault, and what the diagnosis must say. sizes: train, train-dev, dev, test."""

    title: str
    expected: str
    pass_at: float  # share of seeds
    hidden: tuple[int, ...] = (256, 256)
    lr: float = 1e-3
    epochs: int = 60
    augment: float = 0.0
    dropout: float = 0.0
    sizes: tuple[int, int, int, int] = (800, 250, 350, 397)
    shifted: bool = False

    def right(self, diagnosis: Diagnosis) -> bool:
        return diagnosis.primary == self.expected


TUNED = {"lr": 3e-3, "epochs": 120, "augment": 0.1, "dropout": 0.1}
PLANTS: Mapping[str, Plant] = {
    "P1": Plant("tuned net", HEALTHY, 7 / 8, **TUNED),  # type: ignore[arg-type]
    "P2": Plant("3 hidden units", BIAS, 1, hidden=(3,)),
    "P3": Plant("lr 1e-4, 4 epochs", BIAS, 1, lr=1e-4, epochs=4),
    "P4": Plant("lr 0.5", BIAS, 1, lr=0.5, epochs=20),
    "P5": Plant("60 train examples", VARIANCE, 1, hidden=(256,), epochs=400, sizes=(60, 250, 350, 397)),
    "P8": Plant("dev and test rotated, faded, noisy", MISMATCH, 1, shifted=True, **TUNED),  # type: ignore[arg-type]
    "P9": Plant("25 in train-dev, dev, test", SMALL_DEV, 1, sizes=(800, 25, 25, 25), **TUNED),  # type: ignore[arg-type]
}


def moved(x: Tensor, generator: torch.Generator, turn: tuple[float, float], shift: float) -> Tensor:
    """Images (B, 64) turned by an angle from `turn` (degrees, either way), moved, resized by a share up to `shift`."""
    n = len(x)
    degrees = turn[0] + (turn[1] - turn[0]) * torch.rand(n, generator=generator)
    angle = torch.deg2rad(degrees * (1 - 2 * torch.randint(0, 2, (n,), generator=generator)))
    by = 2 * shift * (2 * torch.rand(n, 2, generator=generator) - 1)
    scale = 1 + shift * (2 * torch.rand(n, generator=generator) - 1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    matrix = torch.stack([torch.stack([cos, -sin, by[:, 0]], 1), torch.stack([sin, cos, by[:, 1]], 1)], 1)
    grid = nn.functional.affine_grid(matrix, [n, 1, 8, 8], align_corners=False)
    return nn.functional.grid_sample(x.view(n, 1, 8, 8), grid, align_corners=False).view(n, 64)


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (1797, 64) in 0..1, labels, and a shuffled order of them."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels), order


@cache  # P1, P8 and P9 judge one net on three dev sets
def trained(
    hidden: tuple[int, ...],
    lr: float,
    epochs: int,
    augment: float,
    dropout: float,
    num_train: int,
    seed: int,
    luck: int | None = None,
) -> nn.Sequential:
    """A net trained on the first `num_train` digits of the seed's order; luck: of weights and order."""
    x, y, order = digits(seed)
    x_train, y_train = x[order[:num_train]], y[order[:num_train]]
    torch.manual_seed(seed if luck is None else luck)
    generator = torch.Generator().manual_seed(seed if luck is None else luck)
    layers: list[nn.Module] = []
    widths = [64, *hidden]
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
    net = nn.Sequential(*layers, nn.Linear(widths[-1], 10))
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        inputs = moved(x_train, generator, (0, 100 * augment), augment) if augment else x_train
        for rows in torch.randperm(num_train, generator=generator).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(inputs[rows]), y_train[rows]).backward()
            optimiser.step()
        schedule.step()
    return net.eval()


def train_and_score(plant: Plant, seed: int, luck: int | None = None) -> dict[str, Scores]:
    """Train a net on a fresh split of the digits and score it on every part."""
    net = trained(plant.hidden, plant.lr, plant.epochs, plant.augment, plant.dropout, plant.sizes[0], seed, luck)
    x, y, order = digits(seed)
    parts = torch.split(order[: sum(plant.sizes)], list(plant.sizes))
    if plant.shifted:
        generator = torch.Generator().manual_seed(seed + 1)
        target = torch.cat(parts[2:])
        faded = 0.75 * moved(x[target], generator, (18, 32), 0)
        x[target] = (faded + 0.12 * torch.randn(faded.shape, generator=generator)).clamp(0, 1)
    scored = {}
    with torch.no_grad():
        for name, ids in zip(("train", "train_dev", "dev", "test"), parts, strict=True):
            wrong = (net(x[ids]).argmax(dim=1) != y[ids]).numpy().astype(int)
            scored[name] = Scores({"wrong": wrong}, ids.numpy())
    return scored


def diagnosed(plant: Plant, seed: int) -> tuple[Diagnosis, Diagnosis]:
    """With train-dev as a rung of its own, and without it (the same where train-dev is what tells the cause)."""
    scores = train_and_score(plant, seed)
    with_train_dev = diagnose(scores, METRIC, mismatch_declared=plant.shifted)
    if plant.shifted:
        return with_train_dev, with_train_dev
    return with_train_dev, diagnose({name: s for name, s in scores.items() if name != "train_dev"}, METRIC)


def old_rule(diagnosis: Diagnosis) -> bool:
    """Whether the prototype would have called this dev set too small."""
    dev = diagnosis.rung("dev")
    wide = (dev.high - dev.low) / 2 > max(diagnosis.smallest_gap, dev.value / 2)
    return wide and not any(gap.verdict == MATERIAL for gap in diagnosis.gaps)


# -- P2, P3, P4: is a bias one of optimisation or of capacity? ---------------------------------------------------------

SUB_CAUSES: Mapping[str, str] = {"P2": CAPACITY, "P3": OPTIMISATION, "P4": OPTIMISATION}


def probed(plant: Plant, seed: int) -> Probes:
    """Both probes on a plant's net, by train error."""
    num_train = plant.sizes[0]
    per_epoch = math.ceil(num_train / 64)
    x, y, order = digits(seed)
    rows = order[:num_train]

    def train(settings: Sequence[Setting]) -> list[float]:
        errors = []
        for setting in settings:
            hidden = tuple(setting.width_times * width for width in plant.hidden)
            epochs = max(1, round(setting.updates / per_epoch))
            lr = plant.lr * setting.lr_times
            net = trained(hidden, lr, epochs, plant.augment, plant.dropout, num_train, seed)
            with torch.no_grad():
                errors.append(float((net(x[rows]).argmax(dim=1) != y[rows]).float().mean()))
        return errors

    bias = diagnosed(plant, seed)[0]
    return probe(train, bias.rung("train").value, plant.epochs * per_epoch, bias.smallest_gap, trivial_error=0.9)


# -- P24: one split, five seeds of training ---------------------------------------------------------------------------

# On the edge: variance near delta, where a verdict is most easily another by luck.
STABLE: Mapping[str, Plant] = {
    **{name: PLANTS[name] for name in ("P1", "P2", "P5")},
    "edge": Plant("plain net, 200 examples", VARIANCE, 0.8, hidden=(64,), epochs=80, sizes=(200, 250, 350, 397)),
    "edge 2": Plant("plain net, 800 examples", VARIANCE, 0.8, hidden=(64,), epochs=40, sizes=(800, 250, 350, 397)),
}
OPEN = (UNDETERMINED, UNCLEAR)  # verdicts that say that the figures cannot tell


def stability(plant: Plant, seed: int, seeds: int = 5) -> tuple[int, list[str], Diagnosis]:
    """Of runs that differ in the seed of training alone: how many agree; what each says first; all together.

    Runs agree on a cause where each names it first, or says of that gap that its size or presence is open: "material"
    in one and "real, size unclear" in another is no contradiction, "material" and "negligible" is.
    """
    scores = [train_and_score(plant, seed, luck) for luck in range(seeds)]
    scores = [{name: s for name, s in each.items() if name != "train_dev"} for each in scores]
    found = [diagnose(each, METRIC) for each in scores]
    primaries = [d.primary for d in found]

    def agreeing(cause: str) -> int:
        gaps = [(d, d.gap(cause)) for d in found]
        return sum(d.primary == cause or (gap is not None and gap.verdict in OPEN) for d, gap in gaps)

    return max(map(agreeing, primaries)), primaries, diagnose(scores[0], METRIC, seeds=scores)


# -- P23: coverage and false alarms, the same formulas over many draws at once ------------------------------------

SITUATIONS: Mapping[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    # true errors of train, train-dev, dev, test; sizes
    "healthy": ((0.03, 0.03, 0.03, 0.03), (800, 250, 350, 397)),
    "healthy, 10 %": ((0.10, 0.10, 0.10, 0.10), (800, 250, 350, 397)),
    "all gaps at the limit": ((0.01, 0.02, 0.03, 0.04), (5000, 2000, 2000, 2000)),
    "variance": ((0.002, 0.15, 0.15, 0.15), (800, 250, 350, 397)),
    "mismatch": ((0.05, 0.06, 0.30, 0.30), (800, 250, 350, 397)),
    "three gaps": ((0.10, 0.20, 0.30, 0.30), (800, 250, 350, 397)),
    "small sets": ((0.05, 0.10, 0.10, 0.10), (100, 25, 25, 25)),
    "large sets": ((0.20, 0.22, 0.23, 0.23), (5000, 5000, 10000, 10000)),
}


@dataclass(frozen=True)
class Coverage:
    """Of one situation: share of draws whose 95 % interval holds each true gap, and with any false "material"."""

    covered: tuple[float, ...]
    large_counts: tuple[bool, ...]  # whether every expected count of the two sets is at least 10
    false_material: float


def coverage(errors: tuple[float, ...], sizes: tuple[int, ...], draws: int, seed: int = 0) -> Coverage:
    """Draw splits with known errors; the floor is known to be 0.

    A gap is falsely material when its true size is at most the smallest one worth acting on at the true dev error.
    """
    rng = np.random.default_rng(seed)
    n = np.array(sizes)
    k = rng.binomial(n, errors, size=(draws, 4)).astype(float)
    p, z = k / n, z_of(0.95)
    delta = np.maximum(0.01, 0.1 * p[:, 2])
    limits = [wilson(k[:, 0], n[0], z)]
    limits += [newcombe(k[:, i + 1], n[i + 1], k[:, i], n[i], z) for i in range(3)]
    truths = np.diff(errors, prepend=0.0)
    covered = tuple(
        float(np.mean((low <= truth) & (truth <= high))) for (low, high), truth in zip(limits, truths, strict=True)
    )
    expected = n * np.minimum(errors, 1 - np.array(errors))
    large = (bool(expected[0] >= 10), *(bool(min(expected[i], expected[i + 1]) >= 10) for i in range(3)))

    values = np.stack([p[:, 0], *(p[:, i + 1] - p[:, i] for i in range(3))])
    p_values = np.ones_like(values)
    for gap in range(4):
        p_values[gap] = _p_above(k, n, gap, delta)
    adjusted = _holm(p_values)
    lows = np.stack([low for low, _ in limits])
    true_delta = max(0.01, 0.1 * errors[2])
    null = truths <= true_delta + 1e-12
    material = (adjusted <= 0.05) & (lows > delta)
    return Coverage(covered, large, float(material[null].any(axis=0).mean()) if null.any() else 0.0)


def _p_above(k: NDArray[np.float64], n: NDArray[np.int64], gap: int, delta: NDArray[np.float64]) -> NDArray[np.float64]:
    """`Estimate.p_above` over all draws at once, for values above delta (others are never material): bisection on z."""
    if gap == 0:  # the floor is known: mid-p of the binomial
        return np.asarray(binom.sf(k[:, 0], n[0], delta) + binom.pmf(k[:, 0], n[0], delta) / 2)
    low, high = np.zeros(len(k)), np.full(len(k), 8.0)
    for _ in range(30):
        z = (low + high) / 2
        later, earlier = ((k[:, i] / n[i], *wilson(k[:, i], n[i], z)) for i in (gap, gap - 1))
        limit, _ = join(later, earlier)
        clears = limit > delta
        low, high = np.where(clears, z, low), np.where(clears, high, z)
    return np.asarray(ndtr(-low))


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(gaps, draws) -> the same, adjusted within each draw."""
    order = np.argsort(p, axis=0)
    ranked = np.take_along_axis(p, order, axis=0) * np.arange(len(p), 0, -1)[:, None]
    out = np.empty_like(p)
    np.put_along_axis(out, order, np.maximum.accumulate(np.minimum(ranked, 1), axis=0), axis=0)
    return out


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--verbose", action="store_true", help="every gap of every run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    say(f"torch {torch.__version__}, numpy {np.__version__}, seeds {FIRST_SEED}..{FIRST_SEED + arguments.seeds - 1}")
    head = (
        f"{'':4}{'plant':36}{'expected':19}{'right':>6}{'no t-d':>8}{'pass':>6}{'train':>8}{'dev':>8}{'old rule':>10}"
    )
    say(f"{head}{'seconds':>9}  other answers")
    for name, plant in PLANTS.items():
        start = time.perf_counter()
        both = [diagnosed(plant, FIRST_SEED + i) for i in range(arguments.seeds)]
        seconds = time.perf_counter() - start
        found, without = zip(*both, strict=True)
        right, right_without = (sum(plant.right(d) for d in each) for each in (found, without))
        train, dev = (np.mean([d.rung(split).value for d in found]) for split in ("train", "dev"))
        others = sorted(d.primary for d in (*found, *without) if not plant.right(d))
        say(
            f"{name:4}{plant.title:36}{plant.expected:19}{f'{right}/{len(found)}':>6}"
            f"{f'{right_without}/{len(found)}':>8}{plant.pass_at * 8:>4.0f}/8{train:>8.3f}{dev:>8.3f}"
            f"{sum(map(old_rule, found)):>10}{seconds:>9.1f}  {', '.join(others)}"
        )
        if arguments.verbose:
            for d in found:
                say(
                    "      "
                    + "; ".join(
                        f"{g.name} {d.show_gap(g)} {d.show_interval(g.low, g.high)} {g.verdict}" for g in d.gaps
                    )
                )
    say("\nprobes of the bias: optimisation or capacity")
    for name, expected in SUB_CAUSES.items():
        start = time.perf_counter()
        told = [probed(PLANTS[name], FIRST_SEED + i) for i in range(arguments.seeds)]
        right = sum(each.sub_cause == expected for each in told)
        figures = "  ".join(
            f"{np.mean([getattr(p, what) or 0.0 for p in told]):.3f}" for what in ("train_error", "same", "wider")
        )
        trainings, rates = np.mean([p.trainings for p in told]), sorted({f"{p.lr_same:.3g}" for p in told})
        say(
            f"{name:4}{PLANTS[name].title:36}{expected:19}{f'{right}/{len(told)}':>6}   train, A, B: {figures}"
            f"   {trainings:.0f} trainings, rates x {', '.join(rates)}, {time.perf_counter() - start:.0f} s"
        )
    say("\nP24  one split, seeds 0-4 of training: agreeing or stated open, first verdict of each, of all together")
    for name, plant in STABLE.items():
        for split in range(FIRST_SEED, FIRST_SEED + 2):
            agree, primaries, together = stability(plant, split)
            say(
                f"     {name:7}{plant.title:26}{agree}/{len(primaries)}  {', '.join(primaries)}; "
                f"all: {together.primary}"
            )
    say(f"\nP23  {arguments.draws} draws, coverage at 95 % (bias, variance, mismatch, overfit); false material")
    for name, (errors, sizes) in SITUATIONS.items():
        c = coverage(errors, sizes, arguments.draws)
        marks = "  ".join(
            f"{share:.3f}{'' if large else '~'}" for share, large in zip(c.covered, c.large_counts, strict=True)
        )
        say(f"     {name:25}{marks}   {c.false_material:.4f}")
    say("     ~ an expected count is below 10")


if __name__ == "__main__":
    main()
