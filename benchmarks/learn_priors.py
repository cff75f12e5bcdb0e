"""How much of its gap does each knob close? Learns the priors that `orthogon next` ranks steps by.

    python benchmarks/learn_priors.py WORK                    make what is missing, print the table
    python benchmarks/learn_priors.py WORK --minutes 10       go on for so long; run again to continue
    python benchmarks/learn_priors.py WORK --write            and write src/orthogon/strategy/priors.json

Small problems with one plant each (a net too narrow, a rate too low, few examples, noisy labels, ...) and their plain
twins, several seeds. Each is trained and diagnosed; then every knob that applies to a gap that is surely there is taken
once, alone, and the fraction of the gap that it closed is logged: one line a step in WORK/steps.jsonl. These problems
are development tasks: none is of the list that benchmarks/autopilot holds out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orthogon.errors import OrthogonError
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.project.trial import Recipe, Trials
from orthogon.strategy.advice import Outcome, measure_step, ranked
from orthogon.strategy.beliefs import Beliefs, Observation, learn
from orthogon.strategy.diagnosis import MATERIAL, UNCLEAR, Diagnosis, diagnose
from orthogon.strategy.knobs import KNOBS

PRIORS = Path(__file__).parents[1] / "src" / "orthogon" / "strategy" / "priors.json"
SEEDS = 3
FEWEST = 6  # steps from which a knob's logged fraction ships


@dataclass(frozen=True)
class Problem:
    """One problem: data (a built-in name, or what writes a file into a folder) and the settings that plant a fault."""

    name: str
    data: str | Callable[[Path, int], Path]
    sets: tuple[str, ...]


# -- data ---------------------------------------------------------------------------------------------------------


def table(make: Callable[[int], tuple[Any, Any]], classes: bool) -> Callable[[Path, int], Path]:
    """Writes the rows that `make` draws as a CSV file."""

    def write(folder: Path, seed: int) -> Path:
        import pandas as pd

        x, y = make(seed)
        frame = pd.DataFrame({f"x{j}": x[:, j] for j in range(x.shape[1])})
        frame["y"] = [f"c{int(k)}" for k in y] if classes else y
        path = folder / "table.csv"
        frame.to_csv(path, index=False)
        return path

    return write


def clusters(n: int, features: int, classes: int, flip: float, apart: float = 1.0) -> Callable[[int], tuple[Any, Any]]:
    from sklearn.datasets import make_classification

    def make(seed: int) -> tuple[Any, Any]:
        return make_classification(
            n,
            features,
            n_informative=features // 2,
            n_redundant=features // 4,
            n_classes=classes,
            n_clusters_per_class=2,
            flip_y=flip,
            class_sep=apart,
            random_state=seed,
        )

    return make


def friedman(n: int, noise: float) -> Callable[[int], tuple[Any, Any]]:
    from sklearn.datasets import make_friedman1

    return lambda seed: make_friedman1(n, noise=noise, random_state=seed)


def spirals(n: int) -> Callable[[int], tuple[Any, Any]]:
    def make(seed: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        arm, turn = np.arange(n) % 3, rng.uniform(0.1, 1, n)
        angle = 2 * np.pi * (1.2 * turn + arm / 3) + rng.normal(0, 0.2, n)
        return np.stack([turn * np.cos(angle), turn * np.sin(angle)], 1), arm

    return make


def noisy_digits(share: float) -> Callable[[Path, int], Path]:
    """Digits as 64 columns with this share of labels drawn anew."""

    def make(seed: int) -> tuple[Any, Any]:
        from sklearn.datasets import load_digits

        rng = np.random.default_rng(seed)
        x, y = load_digits(return_X_y=True)
        return x, np.where(rng.random(len(y)) < share, rng.integers(0, 10, len(y)), y)

    return table(make, classes=True)


IMAGE = ("task.width=4", "training.epochs=6", "data.dev=0.5", "data.test=0.05")
TABLE = (
    "data.target=y",
    "data.dev=0.6",
    "data.test=0.05",
    "training.epochs=12",
    "task.members=4",
    "task.width=32",
    "task.bins=8",
    "training.batch_size=64",
)
BY_HEART = ("task.width=8", "task.augment.strength=0", "data.dev=0.7", "training.batch_size=16")
DATES = ("data.dev=0.3", "data.test=0.05", "task.encoder_size=16", "task.decoder_size=32")

PROBLEMS: tuple[Problem, ...] = (
    Problem("digits", "digits", IMAGE),
    Problem("digits, few", "digits", (*IMAGE, "data.train_fraction=0.15", "training.epochs=16")),
    Problem(
        "digits, few and still",
        "digits",
        (*IMAGE, "data.train_fraction=0.2", "training.epochs=14", "task.augment.strength=0"),
    ),
    Problem("digits, still and wide", "digits", (*IMAGE, "task.width=12", "task.augment.strength=0")),
    Problem("digits, learned by heart", "digits", (*IMAGE, *BY_HEART, "training.epochs=16")),
    Problem("digits, some by heart", "digits", (*IMAGE, *BY_HEART, "training.epochs=16", "task.augment.strength=0.2")),
    Problem("digits, narrow", "digits", (*IMAGE, "task.width=1")),
    Problem("digits, slow", "digits", (*IMAGE, "training.lr=0.0001", "training.epochs=4")),
    Problem("digits, hot", "digits", (*IMAGE, "training.lr=0.3")),
    Problem("digits, short", "digits", (*IMAGE, "training.epochs=2")),
    Problem("digits, held back", "digits", (*IMAGE, "task.dropout=0.5", "training.weight_decay=1.0")),
    Problem("digits, plain steps", "digits", (*IMAGE, "training.optimiser=sgd", "training.lr=0.003")),
    Problem("noisy digits", noisy_digits(0.15), TABLE),
    Problem("shapes, few", "shapes", ("data.num_examples=700", "task.size=16", "task.stages=2", *IMAGE)),
    Problem("clusters", table(clusters(1500, 20, 4, 0.02), True), TABLE),
    Problem("clusters, few", table(clusters(500, 24, 3, 0.02), True), (*TABLE, "task.dropout=0.0")),
    Problem("clusters, wide", table(clusters(900, 40, 2, 0.1), True), (*TABLE, "task.width=256", "task.dropout=0.0")),
    Problem("clusters, narrow", table(clusters(2000, 20, 6, 0.0), True), (*TABLE, "task.width=2", "task.members=1")),
    Problem("clusters, slow", table(clusters(2000, 20, 4, 0.0), True), (*TABLE, "training.lr=0.00003")),
    Problem("clusters, linear", table(clusters(2000, 16, 5, 0.0), True), (*TABLE, "task.depth=0", "task.members=1")),
    Problem("clusters, held back", table(clusters(1500, 20, 4, 0.0), True), (*TABLE, "task.dropout=0.8")),
    Problem("spirals", table(spirals(1200), True), TABLE),
    Problem("spirals, few", table(spirals(300), True), TABLE),
    Problem("friedman", table(friedman(1200, 1.0), False), TABLE),
    Problem("friedman, few", table(friedman(300, 1.0), False), TABLE),
    Problem("friedman, slow", table(friedman(1200, 0.5), False), (*TABLE, "training.lr=0.00003")),
    Problem("friedman, narrow", table(friedman(2000, 0.5), False), (*TABLE, "task.width=2", "task.members=1")),
    Problem("diabetes", "diabetes", ("data.dev=0.5", "data.test=0.05", "training.epochs=20")),
    Problem("dates, few", "dates", (*DATES, "data.num_examples=500", "training.epochs=16")),
    Problem("dates, short", "dates", (*DATES, "data.num_examples=900", "training.epochs=4")),
)


# -- one problem --------------------------------------------------------------------------------------------------


def trials_of(problem: Problem, seed: int, work: Path) -> Trials:
    folder = work / "projects" / f"{problem.name.replace(', ', '-').replace(' ', '-')}-{seed}"
    place = folder / "project"
    if not (place / "orthogon.yaml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = problem.data if isinstance(problem.data, str) else str(problem.data(folder, seed))
        Project.create({"data": {"source": source}}, place)
    project = Project(place)
    return Trials(project, project.config([*problem.sets, f"data.split_seed={seed}", f"seed={seed}"]))


def diagnosed(trials: Trials, trial: Any) -> Diagnosis:
    metrics = trials.task.metrics()
    metric = metrics[trials.config.metrics.optimise or next(iter(metrics))]
    dev = trials.examples.take(trials.splits["dev"])
    baselines = trials.task.baselines(trials.examples.take(trials.splits["train"]), dev, trials.splits["dev"])
    return diagnose(trial.scores, metric, trivial_error=metric.error(baselines[0].scores))


def steps(problem: Problem, seed: int, work: Path, done: set[tuple[str, str, str, int]]) -> Iterator[dict[str, Any]]:
    """A line for every knob that applies to a gap that is surely there."""
    trials = trials_of(problem, seed, work)
    base = trials.make(Recipe(purpose="priors"))
    found = diagnosed(trials, base)
    metrics = trials.task.metrics()
    metric = metrics[trials.config.metrics.optimise or next(iter(metrics))]
    config = trials.config.model_dump(mode="json")
    for gap in found.gaps:
        if gap.verdict not in (MATERIAL, UNCLEAR):
            continue
        for step in ranked(found, gap.name, config, trials.splits.sizes(), beliefs=Beliefs()):
            key = (step.knob, step.gap, problem.name, seed)
            if step.who == "you" or key in done:
                continue
            told = {"knob": step.knob, "gap": step.gap, "problem": problem.name, "seed": seed, "size": gap.value}
            try:
                of_data = any(name.startswith("data.") for name in step.overrides)
                taker = trials if not of_data else other_data(trials, step.overrides)
                taken = taker.make(Recipe({} if of_data else step.overrides, purpose="priors"))
            except OrthogonError as error:
                yield {**told, "failed": str(error)}
                continue
            outcome: Outcome = measure_step(base.scores, taken.scores, metric, step)
            one = outcome.observation
            assert one is not None
            yield {
                **told,
                "fraction": one.fraction,
                "error": one.error,
                "verdict": outcome.verdict,
                "orthogonal": outcome.orthogonal,
                "relative_size": gap.value / max(found.rung("dev").value, 1e-12),
                "seconds": taken.seconds,
                "base_seconds": base.seconds,
            }


def other_data(trials: Trials, overrides: Any) -> Trials:
    from orthogon.project.config import put

    values = trials.config.model_dump(mode="json")
    for name, value in overrides.items():
        put(values, name, value)
    return Trials(trials.project, parse(values))


# -- all of them --------------------------------------------------------------------------------------------------


def learned(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What ships: a belief for each knob that was logged often enough."""
    rows = []
    for knob in KNOBS:
        mine = [line for line in lines if (line["knob"], line["gap"]) == (knob.name, knob.gap) and "fraction" in line]
        if len(mine) < FEWEST:
            continue
        seen = [Observation(knob.name, knob.gap, line["fraction"], line["error"]) for line in mine]
        belief = learn(seen, knob.fraction, [line["orthogonal"] is False for line in mine])
        rows.append(
            {
                "knob": knob.name,
                "gap": knob.gap,
                "mean": round(belief.mean, 4),
                "strength": round(belief.strength, 3),
                "logged": belief.logged,
                "side_effects": belief.side_effects if belief.side_effects is None else round(belief.side_effects, 3),
                "helped": round(float(np.mean([line["verdict"] == "helped" for line in mine])), 3),
                "harmed": round(float(np.mean([line["verdict"] == "harmed" for line in mine])), 3),
                "problems": len({line["problem"] for line in mine}),
                "guess": knob.fraction,
            }
        )
    return {
        "format": 1,
        "date": date.today().isoformat(),
        "steps": sum("fraction" in line for line in lines),
        "problems": len({line["problem"] for line in lines}),
        "by": "benchmarks/learn_priors.py",
        "knobs": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    log = given.work / "steps.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(line["knob"], line["gap"], line["problem"], line["seed"]) for line in lines}
    whole_file = given.work / "whole.json"
    whole: list[list[Any]] = json.loads(whole_file.read_text()) if whole_file.exists() else []
    started, over = time.monotonic(), False
    for seed in range(given.seeds):
        for problem in PROBLEMS:
            if [problem.name, seed] in whole or over:
                continue
            before = time.process_time()
            with log.open("a") as file:
                for line in steps(problem, seed, given.work, done):
                    file.write(json.dumps(line) + "\n")
                    file.flush()
                    lines.append(line)
                    over = time.monotonic() - started > 60 * given.minutes
                    if over:
                        break
                else:
                    whole.append([problem.name, seed])
                    whole_file.write_text(json.dumps(whole))
            print(f"{problem.name}, seed {seed}: {time.process_time() - before:.0f} s", flush=True)
    told = learned(lines)
    print(f"{told['steps']} steps on {told['problems']} problems")
    print(
        f"{'gap':16} {'knob':24} {'n':>4} {'problems':>8} {'guess':>6} {'mean':>6} {'s':>5} {'helped':>7} {'harmed':>7}"
    )
    for row in sorted(told["knobs"], key=lambda row: (row["gap"], -row["mean"])):
        print(
            f"{row['gap'][:16]:16} {row['knob'][:24]:24} {row['logged']:4} {row['problems']:8} {row['guess']:6.2f} "
            f"{row['mean']:6.2f} {row['strength']:5.1f} {row['helped']:7.0%} {row['harmed']:7.0%}"
        )
    if given.write:
        PRIORS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
