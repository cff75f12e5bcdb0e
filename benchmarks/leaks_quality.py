"""Which leaks are found in real data, and what the error is without them?

    ORTHOGON_DATA=... python benchmarks/leaks_quality.py
    ORTHOGON_DATA=... python benchmarks/leaks_quality.py --only titanic

Each set is split as `orthogon start` splits it, or as its owner did, and dev is compared with train. The error is that
of the nearest example of train (its class, or the half of the values that its value lies in), since that is what leaks
flatter most; pictures are compared by their thumbnails. What is known of the set stands beside what is found.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.data.read import read
from orthogon.data.split import make_splits
from orthogon.data.tables import TableExamples
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.leaks import Leaks, find, nearest_of, thumbnails_of

ERROR = classification_metrics(["no", "yes"])["error"]
WINE = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "quality")
SETS: dict[str, tuple[str, dict[str, Any], str]] = {
    "titanic": ("tabular/titanic.csv", {"target": "Survived"}, "families share a Ticket"),
    "wine": ("tabular/wine_quality_red.csv", {"target": "quality", "columns": WINE}, "240 of 1,599 rows are copies"),
    "bike": ("tabular/bike_sharing.csv.gz", {"target": "count", "ignore": ("casual", "registered")}, "hourly series"),
    "pollution": ("tabular/beijing_pollution.csv.gz", {"target": "pm2.5"}, "hourly series, time in four columns"),
    "churn": ("tabular/telco_churn.csv.gz", {"target": "Churn"}, "customerID is a key: one row each"),
    "diamonds": ("tabular/diamonds.csv.gz", {"target": "price"}, "146 copies; same stone, other angle"),
    "housing": ("tabular/california_housing.csv.gz", {"target": "median_house_value"}, "neighbouring districts"),
    "clothing": ("clothing", {}, "photos of one garment"),
    "cifar": ("cifar10_folders", {}, "near copies, 3.3 % of the whole set's test"),
    "signs": ("sign_digits", {}, "one hand shows several digits"),
}


def nearest_error(dev: Examples, train: Examples) -> NDArray[np.float64] | None:
    """(n,) whether the nearest example of train has another class than one of dev; None where none is nearest."""
    if dev.modality == "image":
        _, rows = nearest_of(thumbnails_of(dev), thumbnails_of(train), 1)
    elif isinstance(dev, TableExamples) and isinstance(train, TableExamples):
        a, b = (_numbers(each, train) for each in (dev, train))
        _, rows = nearest_of(a, b, 1)
    else:
        return None
    y, known = (np.asarray(each.targets()) for each in (dev, train))
    if y.dtype.kind == "f":
        middle = np.nanmedian(known)
        y, known = y > middle, known > middle
    return np.asarray(y != known[rows[:, 0]], dtype=float)


def _numbers(table: TableExamples, train: TableExamples) -> NDArray[np.float64]:
    """Rows as points: numbers in standard deviations of train, categories as 0 and 1."""
    parts = []
    for name in table.input_columns:
        x, t = table.frame([name])[name], train.frame([name])[name]
        if x.dtype.kind in "iuf":
            values, known = (each.to_numpy(dtype=float, na_value=np.nan) for each in (x, t))
            middle, spread = np.nanmedian(known), np.nanstd(known) or 1.0
            parts.append((np.where(np.isfinite(values), values, middle) - middle) / spread)
        elif x.dtype.kind != "M":
            for level in t.astype(object).value_counts().head(20).index:
                parts.append((x.astype(object) == level).to_numpy(dtype=float))
    return np.stack(parts, axis=1)


def found_in(path: Path, settings: dict[str, Any]) -> tuple[Leaks, int]:
    """What is found in one set, and how many examples its train holds."""
    config = DataConfig(source=str(path), **settings)
    examples = read(config)
    targets = examples.targets()
    strata = targets if targets.dtype.kind in "OU" and examples.modality != "strings" else None
    splits = make_splits(examples, config, strata, 0)
    dev, train = (examples.take(splits[name]) for name in ("dev", "train"))
    wrong = nearest_error(dev, train)
    wrong = np.zeros(len(dev)) if wrong is None else wrong
    scores = Scores({"wrong": wrong, "truth": 0 * wrong, "answer": wrong}, splits["dev"])
    return find(scores, ERROR, dev, train, splits["train"]), len(train)


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="names of sets")
    arguments = parser.parse_args()
    root = os.environ.get("ORTHOGON_DATA")
    if not root:
        parser.error("ORTHOGON_DATA is unset: it names a folder of real data that the repository does not hold")
    say(f"numpy {np.__version__}, pandas {pd.__version__}; error of the nearest example of train, 95 % intervals")
    say(
        f"{'set':11}{'train':>7}{'dev':>6}{'leaked':>8}{'error':>8}{'without':>9}{'':16}{'s':>5}  found (of dev); known"
    )
    for name in arguments.only or SETS:
        place, settings, known = SETS[name]
        start = time.perf_counter()
        leaks, num_train = found_in(Path(root) / place, settings)
        seconds = time.perf_counter() - start
        said = "; ".join(f"{each.kind} {each.count}" for each in leaks.found) or "nothing"
        span = f"[{100 * leaks.without_low:.1f}, {100 * leaks.without_high:.1f}]"
        say(
            f"{name:11}{num_train:>7}{leaks.n:>6}{leaks.num_leaked:>8}{100 * leaks.error:>7.1f}%"
            f"{100 * leaks.without:>8.1f}% {span:15}{seconds:>5.0f}  {said}; {known}"
        )


if __name__ == "__main__":
    main()
