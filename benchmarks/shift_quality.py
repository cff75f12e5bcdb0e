"""Are overfitting to dev, three gaps at once and harmless shifts told, and what is named on real pairs of domains?

    python benchmarks/shift_quality.py                          P10, P11, P13, P14 and their clean twins over 8 seeds
    python benchmarks/shift_quality.py --shifts                 P14 and its twins alone
    ORTHOGON_DATA=... python benchmarks/shift_quality.py --real  MNIST to USPS, and back, through the product

Digits, 8x8 images / 16, multi-layer perceptrons on one thread, as in diagnosis_quality.py: 800 train, 250 train-dev,
350 dev, 397 test unless the plant says otherwise.

P14 asks for "mismatch negligible". The ladder's gap is not: between 250 and 350 different examples at 1.5 % error its
interval is 2 to 3 points either way and the smallest gap worth acting on is 1, so its verdict stays "undetermined" in
nearly every run and no statistics change that. What is judged negligible is the named difference, tones, by answering
the same examples with it and without it (`strategy.counterfactual`). So the mark counts a run where the shift is
noted, that difference is negligible and mismatch is no cause; how often the ladder itself says so stands beside it. So
read, 7 of 8 fresh seeds (510 to 517) pass where the ladder says "negligible" in 2, and the mark of 8 of 8 is still
missed by one: on seed 513 two of 250 answers become worse, which takes the upper limit to 1.04 points. Its twins: P8,
where tones are a small part of a large gap; the same fade without the rotation, which costs about as much as is worth
acting on; a wash-out, whose tones are the whole gap; and no shift.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diagnosis_quality import FIRST_SEED, METRIC, PLANTS, Plant, digits, moved, trained
from numpy.typing import NDArray
from torch import Tensor, nn

from orthogon.data.images import ArrayImages
from orthogon.data.recast import ToneMap, histograms, tone_map
from orthogon.data.traits import traits
from orthogon.metrics.score import Scores
from orthogon.strategy.counterfactual import TONES, Answered, Asked, NamedCost, costs
from orthogon.strategy.diagnosis import BIAS, MISMATCH, NEGLIGIBLE, OVERFIT, VARIANCE, Diagnosis, Gap, diagnose
from orthogon.strategy.shift import Domains, TraitShift, compare_traits, tell_apart

# -- P10, P11: the best of a hundred ------------------------------------------------------------------------------

NUM_CANDIDATES, MOST = 100, 400


@cache
def hundred(seed: int, count: int = NUM_CANDIDATES) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(C, 350) and (C, 397) mistakes on dev and test of nets with settings drawn at random, each on 20 to 400 examples.

    All are trained at once, side by side. Their true errors spread by about 4 points: on 40 dev examples, where luck
    spreads as far, the winner wins by luck; on 350 by what it can.
    """
    x, y, order = digits(seed)
    generator = torch.Generator().manual_seed(seed)
    train, dev, test = order[:800], order[1050:1400], order[1400:]
    rows = torch.stack([train[torch.randperm(800, generator=generator)[:MOST]] for _ in range(count)])
    inputs, targets = x[rows], y[rows]  # (C, 400, 64), (C, 400)
    num = (70 * (0.6 * torch.randn(count, 1, generator=generator)).exp()).clamp(20, MOST)
    used = torch.arange(MOST) < num  # (C, 400)
    widths = torch.randint(16, 65, (count, 1, 1), generator=generator)
    on = (torch.arange(64) < widths).float()  # (C, 1, 64): the hidden units a net has
    noise = 0.2 * torch.rand(count, 1, 1, generator=generator)
    decay = 10 ** (-5 + 2 * torch.rand(count, 1, 1, generator=generator))
    first = (0.15 * torch.randn(count, 64, 64, generator=generator)).requires_grad_()
    second = (0.15 * torch.randn(count, 64, 10, generator=generator)).requires_grad_()

    def logits(pixels: Tensor) -> Tensor:
        return (pixels @ first).relu() * on @ second

    optimiser = torch.optim.Adam([first, second], lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        seen = inputs + noise * torch.randn(inputs.shape, generator=generator)
        losses = nn.functional.cross_entropy(logits(seen).flatten(0, 1), targets.flatten(), reduction="none")
        loss = ((losses.view(count, MOST) * used).sum(1) / used.sum(1)).sum()
        (loss + (decay * first**2).sum() + (decay * second**2).sum()).backward()
        optimiser.step()
    with torch.no_grad():
        wrong = [
            (logits(x[ids].expand(count, -1, -1)).argmax(-1) != y[ids]).numpy().astype(np.int64) for ids in (dev, test)
        ]
    return wrong[0], wrong[1]


@dataclass(frozen=True)
class Chosen:
    """The best of the candidates on dev: its errors, what the correction says, whether overfitting is listed."""

    dev: float
    corrected: float
    test: float
    listed: bool


def best_of(seed: int, num_dev: int, count: int = NUM_CANDIDATES) -> Chosen:
    on_dev, on_test = hundred(seed, count)
    ids = np.arange(num_dev)
    candidates = [Scores({"wrong": wrong[:num_dev]}, ids) for wrong in on_dev]
    winner = int(np.argmin([each.records["wrong"].mean() for each in candidates]))
    scores = {
        "train": Scores({"wrong": np.zeros(300, np.int64)}, np.arange(300)),
        "dev": candidates[winner],
    }
    found = diagnose(scores, METRIC, candidates=candidates)
    assert found.optimism is not None
    return Chosen(
        found.optimism.dev_error, found.optimism.corrected, float(on_test[winner].mean()), OVERFIT in found.causes
    )


# -- P13: three gaps at once --------------------------------------------------------------------------------------

SIDE, HIDDEN, STEPS, NUM_TRAIN = 10, 14, 66, 500  # a small net, stopped early, on few digits at random places
TURN = (18.0, 34.0)  # degrees by which dev and test are turned


@dataclass(frozen=True)
class Gaps:
    """The diagnosis of a run with three gaps, and their true sizes, by all 1,297 digits that it never saw."""

    diagnosis: Diagnosis
    truth: Mapping[str, float]

    @property
    def all_listed(self) -> bool:
        return set(self.diagnosis.causes) == set(self.truth)

    @property
    def in_order(self) -> bool:
        return list(self.diagnosis.causes) == sorted(self.truth, key=lambda name: -self.truth[name])


def canvas(x: Tensor, generator: torch.Generator, side: int) -> Tensor:
    """Digits (n, 64) at random places of a noisy square, (n, side²)."""
    out = 0.1 * torch.rand(len(x), side, side, generator=generator)
    for i, (row, column) in enumerate(torch.randint(0, side - 7, (len(x), 2), generator=generator).tolist()):
        out[i, row : row + 8, column : column + 8] += x[i].view(8, 8)
    return out.flatten(1)


def three_gaps(seed: int) -> Gaps:
    """Digits at random places of a 10x10 canvas: bias by a small net stopped early, variance by 500 examples, and a
    dev set whose digits are turned."""
    x, y, order = digits(seed)
    generator = torch.Generator().manual_seed(seed)
    plain = canvas(x, generator, SIDE)
    turned = canvas(moved(x, generator, TURN, 0), generator, SIDE)
    train, rest = order[:NUM_TRAIN], order[NUM_TRAIN:]
    third = len(rest) // 3
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 10))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(plain[train]), y[train]).backward()
        optimiser.step()

    def wrong(inputs: Tensor, ids: Tensor) -> NDArray[np.int64]:
        with torch.no_grad():
            return (net(inputs[ids]).argmax(1) != y[ids]).numpy().astype(np.int64)

    parts = {"train": (plain, train), "train_dev": (plain, rest[:third]), "dev": (turned, rest[third : 2 * third])}
    parts["test"] = (turned, rest[2 * third :])
    scores = {name: Scores({"wrong": wrong(*part)}, part[1].numpy()) for name, part in parts.items()}
    on_train, on_general, on_target = (float(wrong(*p).mean()) for p in ((plain, train), (plain, rest), (turned, rest)))
    truth = {BIAS: on_train, VARIANCE: on_general - on_train, MISMATCH: on_target - on_general}
    return Gaps(diagnose(scores, METRIC, mismatch_declared=True), truth)


# -- P14: a shift that does no harm, its twins with one that does and with none -----------------------------------


FIRST_SHIFT_SEED = 510  # what a named difference costs was made on 300 to 307, after 400 to 407 had been looked at


@dataclass(frozen=True)
class Study:
    """What a plant gave: the diagnosis, the traits that differ, how well the two sides are told apart.

    tones: what the difference in tones costs by itself; None where tones do not differ.
    """

    diagnosis: Diagnosis
    traits: tuple[TraitShift, ...]
    domains: Domains
    tones: NamedCost | None

    @property
    def harmless(self) -> bool:
        """P14's mark: it differs, that is noted, the difference that has a name is cleared and mismatch is no cause."""
        cleared = self.tones is not None and self.tones.verdict == NEGLIGIBLE
        return self.noted and cleared and MISMATCH not in self.diagnosis.causes

    @property
    def noted(self) -> bool:
        return bool(self.traits) or self.domains.apart


def shifted(x: Tensor, kind: str, seed: int) -> Tensor:
    """Images (n, 64) as the target domain of a plant has them."""
    generator = torch.Generator().manual_seed(seed + 1)
    if kind == "brightness":
        return x + 0.02
    if kind == "faded":
        return 0.75 * x
    if kind == "washed out":
        return 0.35 + 0.3 * x
    if kind == "rotation":
        faded = 0.75 * moved(x, generator, (18, 32), 0)
        return (faded + 0.12 * torch.randn(faded.shape, generator=generator)).clamp(0, 1)
    return x


def studied(kind: str, seed: int) -> Study:
    """The tuned net of P1, its dev and test shifted: score every part, and study the shift from train-dev to dev."""
    plant: Plant = PLANTS["P1"]
    net = trained(plant.hidden, plant.lr, plant.epochs, plant.augment, plant.dropout, plant.sizes[0], seed)
    x, y, order = digits(seed)
    pieces = order[: sum(plant.sizes)].split(list(plant.sizes))
    parts = dict(zip(("train", "train_dev", "dev", "test"), pieces, strict=True))
    for name in ("dev", "test"):
        x[parts[name]] = shifted(x[parts[name]], kind, seed)
    scores, features = {}, {}
    with torch.no_grad():
        for name, ids in parts.items():
            wrong = (net(x[ids]).argmax(dim=1) != y[ids]).numpy().astype(int)
            scores[name] = Scores({"wrong": wrong}, ids.numpy())
            features[name] = net[:-1](x[ids]).numpy()

    def pictures(ids: Tensor) -> ArrayImages:
        pixels = (255 * x[ids].clamp(0, 1)).round().to(torch.uint8).numpy().reshape(-1, 8, 8, 1)
        return ArrayImages(pixels, np.array([str(k) for k in y[ids].tolist()]), "digits", None)

    def answered(name: str, tone: ToneMap) -> Answered:
        """With other tones; on the net's own scale, since it was not trained on whole greys."""
        ids = parts[name]
        recast = torch.from_numpy(tone(255 * x[ids].double().numpy()) / 255).float()
        with torch.no_grad():
            wrong = (net(recast).argmax(dim=1) != y[ids]).numpy().astype(int)
        return Answered(scores[name], Scores({"wrong": wrong}, ids.numpy()))

    ours = torch.cat([parts["train"], parts["train_dev"]])
    differing = compare_traits(traits(pictures(ours)), traits(pictures(parts["dev"])), scores["dev"], METRIC)
    found = diagnose(scores, METRIC, mismatch_declared=True)
    tones = None
    if {each.name for each in differing} & set(TONES):
        general, held_out, target = (histograms(pictures(ids)) for ids in (ours, parts["train_dev"], parts["dev"]))
        tone = tone_map(target, general)
        pairs = answered("dev", tone), answered("train_dev", tone_map(held_out, target, (tone.way,)))
        (tones,) = costs([Asked("tones", TONES, tone.way, *pairs, tone.left, tone.matched)], METRIC, found.smallest_gap)
    area, low, high, *_ = tell_apart(features["train_dev"], features["dev"], seed=seed)
    domains = Domains(area, low, high, len(parts["train_dev"]), len(parts["dev"]), "features")
    return Study(found, tuple(differing), domains, tones)


# -- two real domains, through the product ------------------------------------------------------------------------

NUM_EACH = 1000  # of each domain
PAIRS = {  # what is known of each pair beforehand
    ("mnist", "usps"): "USPS: thinner, smaller, fainter ink; MNIST: bold, filling the frame",
    ("usps", "mnist"): "the same, the other way round",
}


def write_pair(folder: Path, data: Path) -> Path:
    """A manifest of MNIST and USPS digits with their domain."""
    from PIL import Image

    def idx(name: str, head: int) -> NDArray[np.uint8]:
        return np.frombuffer(gzip.decompress((data / "mnist_10k" / name).read_bytes())[head:], np.uint8)

    usps = np.load(data / "usps_digits/usps_28x28.npz")
    pixels = {"mnist": idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), "usps": usps["X"]}
    labels = {"mnist": idx("t10k-labels-idx1-ubyte.gz", 8), "usps": usps["y"]}
    rows = ["path,label,domain"]
    rng = np.random.default_rng(0)
    for domain, images in pixels.items():
        (folder / domain).mkdir(parents=True)
        for i in rng.choice(len(images), NUM_EACH, replace=False):
            Image.fromarray(images[i]).save(folder / domain / f"{i:05}.png")
            rows.append(f"{domain}/{i:05}.png,{labels[domain][i]},{domain}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def real(say: Callable[[str], None]) -> None:
    """What the engine names on two real domains: with half the target's examples in train, and with none."""
    import orthogon as og

    data = Path(os.environ["ORTHOGON_DATA"])
    with tempfile.TemporaryDirectory() as place:
        manifest = write_pair(Path(place) / "digits", data)
        rows = manifest.read_text().splitlines()
        for (general, target), known in PAIRS.items():
            for used in (True, False):
                source = manifest.with_name(f"{general}-{target}-{used}.csv")
                if used:
                    source.write_text("\n".join(rows) + "\n")
                else:  # the user's own split: none of the target's in train
                    rng = np.random.default_rng(1)
                    parts = {general: ("train", "train", "train"), target: ("dev", "test", "")}
                    lines = ["path,label,domain,split"]
                    for row in rows[1:]:
                        domain = row.rsplit(",", 1)[1]
                        part = parts[domain][int(rng.integers(3))]
                        lines += [f"{row},{part}"] if part else []
                    source.write_text("\n".join(lines) + "\n")
                sets = [f"data.target_domain={target}", "training.epochs=4", "data.train_dev=300"]
                if not used:
                    sets[0] = "data.split_seed=0"
                start = time.perf_counter()
                run = og.start(source, project=Path(place) / source.stem, sets=sets)
                found, study = run.diagnose(), run.shift()
                area = study.domains
                say(
                    f"\n{general} -> {target}, {'half' if used else 'none'} of the target in train; known: {known}\n"
                    f"  {time.perf_counter() - start:.0f} s  causes: {', '.join(found.causes) or 'none'}\n  "
                    + "; ".join(
                        f"{g.name} {found.show_gap(g)} {found.show_interval(g.low, g.high)}" for g in found.gaps
                    )
                )
                if area is not None:
                    say(f"  told apart: area {area.auc:.2f} [{area.low:.2f}, {area.high:.2f}]")
                say("  named: " + "; ".join(f"{each.name} ({each.detail})" for each in study.traits))
                say(f"  note: {study.note}")


# -- the table ----------------------------------------------------------------------------------------------------


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--real", action="store_true", help="MNIST and USPS, from the folder named by ORTHOGON_DATA")
    parser.add_argument("--shifts", action="store_true", help="P14 and its twins alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    say(f"torch {torch.__version__}, numpy {np.__version__}, seeds {seeds[0]}..{seeds[-1]}")
    if arguments.real:
        real(say)
        return
    if arguments.shifts:
        shifts(range(FIRST_SHIFT_SEED, FIRST_SHIFT_SEED + arguments.seeds), say)
        return
    for name, num_dev in (("P10", 40), ("P11", 350)):
        found = [best_of(seed, num_dev) for seed in seeds]
        dev, corrected, test = (
            float(np.mean([getattr(each, key) for each in found])) for key in ("dev", "corrected", "test")
        )
        listed = sum(each.listed for each in found)
        say(
            f"{name}  best of {NUM_CANDIDATES} on {num_dev:3} dev examples: listed {listed}/{len(found)}; "
            f"dev {dev:.3f}, corrected {corrected:.3f}, test {test:.3f}; corrected - test by seed "
            + " ".join(f"{each.corrected - each.test:+.3f}" for each in found)
        )
    gaps = [three_gaps(seed) for seed in seeds]
    sizes = {name: float(np.mean([each.truth[name] for each in gaps])) for name in (BIAS, VARIANCE, MISMATCH)}
    say(
        f"P13  three gaps ({', '.join(f'{name} {size:.3f}' for name, size in sizes.items())}): all listed "
        f"{sum(each.all_listed for each in gaps)}/{len(gaps)}, in the right order {sum(each.in_order for each in gaps)}"
    )
    shifts(range(FIRST_SHIFT_SEED, FIRST_SHIFT_SEED + arguments.seeds), say)


def shifts(seeds: range, say: Callable[[str], None]) -> None:
    """P14 and its twins."""
    say(f"seeds {seeds[0]}..{seeds[-1]}")
    for name, kind in (("P14", "brightness"), ("P8", "rotation"), ("", "faded"), ("", "washed out"), ("", "none")):
        studies = [studied(kind, seed) for seed in seeds]
        first = sorted({each.traits[0].name for each in studies if each.traits})
        gaps = [gap for each in studies if (gap := each.diagnosis.gap(MISMATCH)) is not None]
        say(
            f"{name:4} dev shifted by {kind:10}: noted {sum(each.noted for each in studies)}/{len(studies)}, mismatch "
            f"a cause {sum(MISMATCH in each.diagnosis.causes for each in studies)}; "
            f"first named: {', '.join(first) or '-'}; area {np.mean([each.domains.auc for each in studies]):.2f}"
        )
        say(f"       gap {_figures(gaps)}")
        if costs_of := [each.tones for each in studies if each.tones is not None]:
            say(
                f"       tones {_figures(costs_of)}; P14's mark {sum(each.harmless for each in studies)}/{len(studies)}"
            )


def _figures(found: Sequence[Gap] | Sequence[NamedCost]) -> str:
    """Mean figure and interval in points, and how often each verdict."""
    value, low, high = (
        100 * float(np.mean([getattr(each, key) for each in found])) for key in ("value", "low", "high")
    )
    verdicts = [each.verdict for each in found]
    counts = ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in sorted(set(verdicts)))
    return f"{value:+.1f} [{low:.1f}, {high:.1f}] in the mean; {counts}"


if __name__ == "__main__":
    main()
