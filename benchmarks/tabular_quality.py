"""How good is the table network with its defaults, beside gradient boosting on the same split?

    ORTHOGON_DATA=... python benchmarks/tabular_quality.py                  adult, Telco churn, California; 3 seeds
    ORTHOGON_DATA=... python benchmarks/tabular_quality.py --all            then one seed of all 17 dirty tables
    ORTHOGON_DATA=... python benchmarks/tabular_quality.py adult --seeds 1  some of them

Nothing is given but the source and the target; sizes and rates are what `suggest` says. A seed decides the split
(adult keeps its own test file), the weights and the order. Gradient boosting is scikit-learn's HistGradientBoosting
with its defaults, trained on the same train part, the mean error of 5 random states. The interval beside a ratio is
paired: both systems' errors on the same 2,000 resamples of the test rows, averaged over seeds.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orthogon.data.config import DataConfig
from orthogon.data.read import read
from orthogon.data.split import make_splits
from orthogon.metrics.score import Metric, Scores
from orthogon.tasks.tabular import Tabular, TabularConfig, _boosting, _trivial
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit

BOOSTING_STATES = 5
DRAWS = 2000


@dataclass(frozen=True)
class Table:
    """A file, its target, and the ratio to gradient boosting's error that must be reached."""

    name: str
    file: str
    target: str | tuple[str, ...]
    test_file: str | None = None
    at_most: float | None = None


TABLES = (
    Table("adult", "adult_train.csv.gz", "-1", "adult_test.csv.gz", at_most=1.08),
    Table("telco", "telco_churn.csv.gz", "Churn", at_most=1.05),
    Table("california", "california_housing.csv.gz", "median_house_value", at_most=1.05),
    Table("titanic", "titanic.csv", "Survived"),
    Table("mammography", "mammography.csv", "-1"),
    Table("oil_spill", "oil_spill.csv", "-1"),
    Table("wine_quality", "wine_quality_red.csv", "-1"),
    Table("beijing", "beijing_pollution.csv.gz", "pm2.5"),
    Table("horse_colic", "horse_colic.csv", "23"),
    Table("auto_imports", "auto_imports.csv", "-1"),
    Table("abalone", "abalone.csv", "-1"),
    Table("german_credit", "german_credit.csv", "-1"),
    Table("bike_sharing", "bike_sharing.csv.gz", "count"),
    Table("letter", "letter.csv.gz", "lettr"),
    Table("diamonds", "diamonds.csv.gz", "price"),
    Table("auto_mpg", "auto_mpg.csv", "mpg"),
    Table(
        "yeast",
        "yeast_multilabel_train.csv.gz",
        tuple(f"Class{k}" for k in range(1, 15)),
        "yeast_multilabel_test.csv.gz",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One seed on one table: what the network and the boosting states scored on the same test rows."""

    metric: Metric
    network: Scores
    boosting: list[Scores]
    trivial: float
    seconds: float
    epochs: int
    rows: int
    what: str

    def draws(self, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Errors of both under the same resamples of the rows: (DRAWS,) each."""
        n = len(self.network)
        weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS)
        ours = self.metric.draws(self.network.records, weights)
        theirs = np.mean([self.metric.draws(scores.records, weights) for scores in self.boosting], axis=0)
        return ours, theirs


def run(table: Table, folder: Path, seed: int, states: int) -> Outcome:
    """Read, split, suggest, train and score, as `orthogon start` does."""
    test = None if table.test_file is None else str(folder / table.test_file)
    config = DataConfig(source=str(folder / table.file), target=table.target, test_source=test)
    examples = read(config)
    task = Tabular(TabularConfig(), seed)
    splits = make_splits(examples, config, task.strata(examples), seed)
    train, dev, held = (examples.take(splits[part]) for part in ("train", "dev", "test"))
    suggested = task.suggest(train)
    task.fit(train)
    training = TrainingConfig(
        **{key.removeprefix("training."): value for key, value in suggested.items() if key.startswith("training.")}
    )
    torch.manual_seed(seed)
    network = task.network()
    clock = time.monotonic()
    result = fit(task.objective(network, train, dev, training), training, seed=seed)
    seconds = time.monotonic() - clock
    ids = splits["test"]
    scores = task.score(task.answers(network, held, ids), held)
    boosting = [task.score(task._answers(_boosting(task, train, held, state), ids), held) for state in range(states)]
    metric = next(iter(task.metrics().values()))
    trivial = metric.error(task.score(task._answers(_trivial(task, train, held), ids), held))
    what = task.targets[0].kind if len(task.targets) == 1 else f"{len(task.targets)} targets"
    return Outcome(metric, scores, boosting, trivial, seconds, result.epochs, len(train), what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="tables; the three with a pass mark if none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="all 17, the others with one seed")
    arguments = parser.parse_args()
    folder = Path(os.environ["ORTHOGON_DATA"]) / "tabular"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(
        f"{'table':14}{'what':12}{'train':>7}{'seeds':>6}  {'metric':8}{'network':>10}{'boosting':>10}{'trivial':>12}"
        f"  {'ratio':>6} {'95 % paired':>14}  {'pass':>5}{'epochs':>7}{'seconds':>8}"
    )
    for table in TABLES:
        if arguments.names and table.name not in arguments.names:
            continue
        if not arguments.names and not arguments.all and table.at_most is None:
            continue
        seeds = arguments.seeds if table.at_most or arguments.names else 1
        outcomes = [run(table, folder, seed, BOOSTING_STATES) for seed in range(seeds)]
        metric = outcomes[0].metric
        ours = float(np.mean([metric.error(o.network) for o in outcomes]))
        theirs = float(np.mean([metric.error(scores) for o in outcomes for scores in o.boosting]))
        both = [o.draws(seed) for seed, o in enumerate(outcomes)]
        ours_drawn, theirs_drawn = (np.mean(drawn, axis=0) for drawn in zip(*both, strict=True))
        some = theirs_drawn > 0  # on a tiny test set a draw may hold no mistake
        low, high = np.quantile(ours_drawn[some] / theirs_drawn[some], [0.025, 0.975])
        trivial = np.mean([outcome.trivial for outcome in outcomes])
        verdict = "" if table.at_most is None else "yes" if ours / theirs <= table.at_most else "NO"
        print(
            f"{table.name:14}{outcomes[0].what:12}{outcomes[0].rows:7}{seeds:6}  {metric.name:8}{ours:10.5g}"
            f"{theirs:10.5g}{trivial:12.5g}  {ours / theirs:6.3f} [{low:.3f}, {high:.3f}]"
            f"  {verdict:>5}{np.mean([o.epochs for o in outcomes]):7.0f}{np.mean([o.seconds for o in outcomes]):8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
