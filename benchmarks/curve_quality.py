"""P19: is what a learning curve foretells true? Curves at a third of the data against what all of it gives.

    python benchmarks/curve_quality.py                        4 tasks x 3 seeds (about 4 minutes of one idle core)
    python benchmarks/curve_quality.py --report               what the cells made so far say
    python benchmarks/curve_quality.py --projects SET ...     the product's own path on larger sets, see PROJECTS

One file a cell in --out, so that it fills over several sittings. A cell holds the curve on a third of the data (7
points, nested, 3 resamples and 1 at the end, equally many updates, no choice by the set it is scored on) and the error
of three trainings on all of it. The forecast is pure arithmetic over cells, so that its ablations cost nothing:

    ours          learned priors, back-tested, gated
    guessed       exponent N(0.5, 0.25) as Hoiem et al. have it, asymptote uniform
    not widened   the same without what the back-test adds
    no train      the train error does not bound the asymptote
    rigid         no random walk: a curve is exactly one of its family (the naive interval)
    pow2          straight line in log-log, all points; pow2 last 4: its last four points
    no change     the error stays what it is
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits, make_classification
from torch import Tensor, nn

from orthogon.metrics.classification import classification_metrics
from orthogon.strategy import curve as study
from orthogon.strategy import forecast as fc
from orthogon.strategy.curve import LearningCurve, Measured
from orthogon.strategy.forecast import Prior

METRIC = classification_metrics(["a", "b"])["error"]
TIMES = 3.0
UPDATES = 800
FIRST_SEED = 700
Data = tuple[Tensor, Tensor, Tensor, Tensor]  # inputs and labels of train (all of it), then of the held-out set


def digits_alone(seed: int) -> Data:
    x, y = load_digits(return_X_y=True)
    return _parted(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y), 1197, 600, seed)


def digit_pairs(seed: int) -> Data:
    """Two digits side by side; the class is the last figure of their sum. Train and held-out share no digit."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    parts = []
    for rows, n in ((order[:1200], 2400), (order[1200:], 1500)):
        left, right = rng.choice(rows, n), rng.choice(rows, n)
        parts += [
            torch.tensor(np.concatenate([x[left], x[right]], axis=1) / 16, dtype=torch.float32),
            torch.tensor((y[left] + y[right]) % 10),
        ]
    return parts[0], parts[1], parts[2], parts[3]


def teacher(seed: int) -> Data:
    """Labels of a random network of 20 inputs, 30 hidden units and 5 classes."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(7500, 20, generator=generator)
    first, second = torch.randn(20, 30, generator=generator), torch.randn(30, 5, generator=generator)
    return _parted(x, (torch.relu(x @ first / math.sqrt(20)) @ second).argmax(dim=1), 4500, 3000, seed)


def many_classes(seed: int) -> Data:
    x, y = make_classification(
        7500, 20, n_informative=12, n_redundant=2, n_classes=10, n_clusters_per_class=2, class_sep=1.2, flip_y=0.02,
        random_state=seed,
    )  # fmt: skip
    return _parted(torch.tensor(x / x.std(), dtype=torch.float32), torch.tensor(y), 4500, 3000, seed)


def noisy_digits(seed: int) -> Data:
    """15 % of all labels flipped to another class: the error cannot get below 15 %."""
    inputs, labels, held_inputs, held = digits_alone(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for y in (labels, held):
        rows = torch.rand(len(y), generator=generator) < 0.15
        y[rows] = (y[rows] + torch.randint(1, 10, (int(rows.sum()),), generator=generator)) % 10
    return inputs, labels, held_inputs, held


TASKS: Mapping[str, Callable[[int], Data]] = {
    "digits": digits_alone, "teacher": teacher, "classes": many_classes, "pair": digit_pairs
}  # fmt: skip
EXTRA: Mapping[str, Callable[[int], Data]] = {"noisy digits": noisy_digits}


def _parted(x: Tensor, y: Tensor, num_train: int, num_held: int, seed: int) -> Data:
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    train, held = order[:num_train], order[num_train : num_train + num_held]
    return x[train], y[train], x[held], y[held]


def trained(x: Tensor, y: Tensor, num_classes: int, seed: int) -> nn.Module:
    """A perceptron after equally many updates, whatever the number of examples."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, num_classes)
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    order, position = torch.randperm(len(x), generator=generator), 0
    for _ in range(UPDATES):
        if position >= len(order):
            order, position = torch.randperm(len(x), generator=generator), 0
        rows = order[position : position + 64]
        position += 64
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def wrong(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((net(x).argmax(dim=1) != y).float().mean())


def cell(make: Callable[[int], Data], seed: int) -> dict[str, Any]:
    x, y, held_x, held_y = make(seed)
    num_classes, third = int(y.max()) + 1, len(x) // 3
    points = []
    for share in study.SHARES:
        errors, train_errors, n = [], [], round(share * third)
        for r in range(1 if share == 1 else study.RESAMPLES):
            rows = np.random.default_rng((seed, r)).permutation(third)[:n]
            net = trained(x[rows], y[rows], num_classes, seed + r)
            errors.append(wrong(net, held_x, held_y))
            train_errors.append(wrong(net, x[rows], y[rows]))
        points.append({"n": n, "errors": errors, "train_errors": train_errors})
    truth = [wrong(trained(x, y, num_classes, seed + r), held_x, held_y) for r in range(2)]
    return {"points": points, "truth": truth, "num_units": len(held_y), "times": len(x) / third, "percent": True}


# -- the product's own path on larger sets ----------------------------------------------------------------------------

DATA = os.environ.get("ORTHOGON_DATA", "")
PROJECTS: Mapping[str, dict[str, Any]] = {
    "adult": {"source": f"{DATA}/tabular/adult_train.csv.gz", "target": "-1"},
    "cifar10": {"source": f"{DATA}/cifar10_folders"},
    "clothing": {"source": f"{DATA}/clothing"},
    "dates": {"source": "dates"},
    "california": {"source": f"{DATA}/tabular/california_housing.csv.gz", "target": "median_house_value"},
}


def project_cell(name: str, folder: Path, sets: Sequence[str]) -> dict[str, Any]:
    """A run on a third of train, its curve, and the error of as many updates on all of train."""
    import orthogon as og
    from orthogon.project.config import parse
    from orthogon.project.project import Project
    from orthogon.project.trial import Recipe, Trials

    run = og.start(**PROJECTS[name], project=folder, sets=["data.train_fraction=0.3333", *sets])
    found = run.curve(workers=1)
    values = json.loads(json.dumps(run.config))
    values["data"]["train_fraction"] = 1.0
    whole = Trials(Project(folder), parse(values))
    truth = []
    for seed in (0, 1):
        recipe = Recipe(
            study.overrides_of(run.info["steps"]), select=np.zeros(0, np.int64),
            measure={"dev": whole.splits["dev"]}, seed=seed, purpose="curve",
        )  # fmt: skip
        truth.append(run.metric.error(whole.make(recipe).scores["dev"]))
    times = len(whole.splits["train"]) / found.points[-1].n
    told = found.to_dict()
    return {
        "points": [{key: point[key] for key in ("n", "errors", "train_errors")} for point in told["points"]],
        "truth": truth, "num_units": found.num_units, "times": times, "percent": run.metric.unit == "%",
        "seconds": found.seconds, "run_seconds": run.info["seconds"],
    }  # fmt: skip


# -- what the cells say -----------------------------------------------------------------------------------------------

GUESSED = Prior((math.log(0.5), 0.5), (1.0, 1.0), 0.0)
ARMS: Mapping[str, Prior] = {
    "ours": fc.LEARNED,
    "guessed": replace(GUESSED, stray=fc.LEARNED.stray),
    "rigid": replace(fc.LEARNED, stray=1e-6),
}


def judged(told: Mapping[str, Any], prior: Prior, use_train: bool = True, floor: float = 0.0) -> LearningCurve:
    points = [
        Measured(p["n"], tuple(p["errors"]), tuple(p["train_errors"]) if use_train else ()) for p in told["points"]
    ]
    metric = METRIC if told["percent"] else replace(METRIC, unit="")
    return study.judge(points, metric, told["num_units"], prior=prior, floor=floor)


def straight(told: Mapping[str, Any], last: int) -> float:
    n = np.array([p["n"] for p in told["points"]])[-last:]
    e = np.array([max(np.mean(p["errors"]), 1e-4) for p in told["points"]])[-last:]
    return float(np.exp(np.polyval(np.polyfit(np.log(n), np.log(e), 1), math.log(n[-1] * told["times"]))))


def report(cells: Mapping[str, Mapping[str, Any]], say: Callable[[str], None] = print, floor: float = 0.0) -> None:
    """Each cell's forecast beside its truth; then every arm's error and coverage.

    floor: the share of wrong labels, told to every arm.
    """
    say(f"{'cell':20}{'now':>8}{'truth':>8}{'likely':>8}{'90 % interval':>18}{'':>4}widening, or why not")
    arms: dict[str, list[tuple[float, float | None, float]]] = {}
    for name, told in cells.items():
        truth, now = float(np.mean(told["truth"])), float(np.mean(told["points"][-1]["errors"]))
        for arm, prior in ARMS.items():
            for suffix, use_train in (("", True), (", no train", False)):
                found = judged(told, prior, use_train, floor)
                horizon = found.forecast.horizon(TIMES) if found.forecast else None
                covered = None if horizon is None else float(horizon.low <= truth <= horizon.high)
                arms.setdefault(arm + suffix, []).append(
                    (truth, covered, math.nan if horizon is None else horizon.likely)
                )
                if arm == "ours" and use_train:
                    if horizon is None:
                        why = found.causes[0][:90] if found.causes else ""
                        say(f"{name:20}{now:8.4g}{truth:8.4g}{'refused':>8}{'':18}    {why}")
                    else:
                        span = f"{horizon.low:.4g} to {horizon.high:.4g}"
                        widening = found.forecast.widening if found.forecast else 1.0
                        say(
                            f"{name:20}{now:8.4g}{truth:8.4g}{horizon.likely:8.4g}{span:>18}"
                            f"{'' if covered else '  MISS':4}  {widening:.2f}"
                        )
                if use_train and found.forecast is not None and horizon is not None:
                    narrow = found.forecast.widening
                    low, high = (
                        math.exp(math.log(horizon.likely) + (math.log(v) - math.log(horizon.likely)) / narrow)
                        for v in (horizon.low, horizon.high)
                    )
                    arms.setdefault(f"{arm}, not widened", []).append(
                        (truth, float(low <= truth <= high), horizon.likely)
                    )
        said = math.isfinite(arms["ours"][-1][2])
        for arm, value in (
            ("pow2", straight(told, 99)),
            ("pow2 last 4", straight(told, 4)),
            ("no change", now),
        ):
            arms.setdefault(arm, []).append((truth, None, value))
            if said:
                arms.setdefault(f"{arm}, where ours says", []).append((truth, None, value))
    say(f"\n{'arm':24}{'said':>6}{'covered':>9}{'covered or refused':>20}{'mean |error|':>14}{'in log':>8}")
    for arm, rows in sorted(arms.items()):
        given = [row for row in rows if math.isfinite(row[2])]
        kept = [row[1] for row in given if row[1] is not None]
        off = np.mean([abs(row[2] - row[0]) for row in given]) if given else math.nan
        log_off = np.mean([abs(math.log(row[2] / row[0])) for row in given if row[0] > 0]) if given else math.nan
        total = f"{int(sum(kept)) + len(cells) - len(given)}/{len(cells)}" if kept else ""
        covered = f"{int(sum(kept))}/{len(kept)}" if kept else ""
        say(f"{arm:24}{len(given):>6}{covered:>9}{total:>20}{off:>14.4g}{log_off:>8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/curve_quality"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--extra", action="store_true", help="the task with noisy labels as well")
    parser.add_argument(
        "--projects", nargs="*", default=[], choices=[*PROJECTS], help="sets for the product's own path"
    )
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for these")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = {**TASKS, **(EXTRA if arguments.extra else {})}
    wanted = [(name, seed) for seed in range(arguments.seeds) for name in tasks]
    for name, seed in [] if arguments.report or arguments.projects else wanted:
        file = arguments.out / f"{name.replace(' ', '_')}-{seed}.json"
        if not file.exists():
            started = time.process_time()
            told = cell(tasks[name], FIRST_SEED + seed)
            file.write_text(json.dumps({**told, "seconds": time.process_time() - started}))
            print(f"{file.stem}: {time.process_time() - started:.0f} s", flush=True)
    for name in arguments.projects:
        file = arguments.out / f"project-{name}.json"
        if not file.exists():
            told = project_cell(name, arguments.out / "projects" / name, arguments.set)
            file.write_text(json.dumps(told))
            print(f"{file.stem}: run {told['run_seconds']:.0f} s, curve {told['seconds']:.0f} s of a core", flush=True)
    for kind, names in (("P19", TASKS), ("projects", [f"project-{name}" for name in PROJECTS])):
        files = sorted(file for name in names for file in arguments.out.glob(f"{name}*.json"))
        if files:
            print(f"\n{kind}: {len(files)} cells, {TIMES:g} times the data")
            report({file.stem: json.loads(file.read_text()) for file in files})
    noisy = sorted(arguments.out.glob("noisy*.json"))
    if noisy:
        for floor in (0.0, 0.15):
            print(f"\nlabels with 15 % noise, a floor of {floor:g} told: {len(noisy)} cells")
            report({file.stem: json.loads(file.read_text()) for file in noisy}, floor=floor)


if __name__ == "__main__":
    main()
