"""Learning curves of many learners on many data sets, from which the priors of `strategy/forecast.py` are learned.

    python benchmarks/curve_corpus.py [--out build/curves] [--only mlp]

A file a cell (data set x learner), so that it fills over several sittings. Real sets are read from the folder named by
ORTHOGON_DATA; without it only scikit-learn's own and generated ones are used. None of the sets that
`curve_quality.py` judges forecasts by is among them (digits, teachers, blobs of many classes, pairs of digits, adult,
clothing, cifar10_folders, dates).

Each curve: nested random subsets of train of N 2^(-k/2) examples, two orders of the examples, error on one held-out
set. A multi-layer perceptron gets equally many updates at every size; the others train as they do.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch import nn

Array = NDArray[Any]
DATA = os.environ.get("ORTHOGON_DATA")
MOST_TRAIN, MOST_TEST, FEWEST = 4000, 2000, 24
ORDERS = 2
STEPS = 500

# -- data sets: name -> () -> (inputs (n, d), targets (n,), is a regression) --------------------------------------

Loader = Callable[[], tuple[Array, Array, bool]]


def table(file: str, target: Any, regression: bool, header: int | None = None, drop: tuple[Any, ...] = ()) -> Loader:
    def load() -> tuple[Array, Array, bool]:
        frame = pd.read_csv(Path(str(DATA)) / "tabular" / file, header=header, na_values=["?", " ", "NA"])
        if isinstance(target, int):
            frame.columns = [str(i) for i in range(frame.shape[1])]
        name = str(target) if not isinstance(target, int) else str(target % frame.shape[1])
        frame = frame.dropna(subset=[name])
        y = frame[name]
        x = frame.drop(columns=[name, *drop])
        columns = []
        for column in x:
            if pd.api.types.is_numeric_dtype(x[column]):
                columns.append(x[[column]].fillna(x[column].median()))
            elif x[column].nunique() <= 30:
                columns.append(pd.get_dummies(x[column], dummy_na=True).astype(float))
        inputs = pd.concat(columns, axis=1).to_numpy(float)
        return inputs, (y.to_numpy(float) if regression else pd.factorize(y.astype(str))[0]), regression

    return load


def digits(images: Callable[[], tuple[Array, Array]]) -> Loader:
    """28x28 pictures at half their size, as rows."""

    def load() -> tuple[Array, Array, bool]:
        x, y = images()
        x = x.reshape(len(x), 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(x), -1)
        return x / 255.0, y.astype(int), False

    return load


def mnist() -> tuple[Array, Array]:
    place = Path(str(DATA)) / "mnist_10k"
    read = [
        np.frombuffer(gzip.decompress((place / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    ]
    return read[0].reshape(-1, 28, 28), read[1]


def usps() -> tuple[Array, Array]:
    with np.load(Path(str(DATA)) / "usps_digits" / "usps_28x28.npz") as found:
        arrays = [found[name] for name in found.files]
    return next(a for a in arrays if a.ndim >= 3).reshape(-1, 28, 28), next(a for a in arrays if a.ndim == 1)


def texts(folder: str, positive: str, negative: str) -> Loader:
    def load() -> tuple[Array, Array, bool]:
        place = Path(str(DATA)) / folder
        read = [(place / name).read_text("utf-8", errors="replace").splitlines() for name in (positive, negative)]
        x = TfidfVectorizer(min_df=3, sublinear_tf=True).fit_transform([*read[0], *read[1]])
        y = np.array([1] * len(read[0]) + [0] * len(read[1]))
        return TruncatedSVD(100, random_state=0).fit_transform(x), y, False

    return load


def made(make: Callable[..., Any], regression: bool = False, flip: float = 0.0, **arguments: Any) -> Loader:
    def load() -> tuple[Array, Array, bool]:
        x, y = make(n_samples=MOST_TRAIN + MOST_TEST, random_state=1, **arguments)
        if flip:
            rng = np.random.default_rng(1)
            rows = rng.random(len(y)) < flip
            y = np.where(rows, rng.permutation(y), y)
        return np.asarray(x), np.asarray(y), regression

    return load


def shipped(load_set: Callable[..., Any], regression: bool = False) -> Loader:
    return lambda: (*load_set(return_X_y=True), regression)


SETS: dict[str, Loader] = {
    "wine": shipped(datasets.load_wine),
    "cancer": shipped(datasets.load_breast_cancer),
    "diabetes": shipped(datasets.load_diabetes, True),
    "moons": made(datasets.make_moons, noise=0.3),
    "moons, clean": made(datasets.make_moons, noise=0.1),
    "friedman1": made(datasets.make_friedman1, True, noise=1.0, n_features=10),
    "friedman1, clean": made(datasets.make_friedman1, True, noise=0.0, n_features=10),
    "friedman2": made(datasets.make_friedman2, True, noise=50.0),
    "friedman3": made(datasets.make_friedman3, True, noise=0.1),
    "linear": made(datasets.make_regression, True, n_features=40, n_informative=20, noise=40.0),
    "rings": made(datasets.make_gaussian_quantiles, n_features=6, n_classes=4),
    "clusters": made(
        datasets.make_classification, n_features=30, n_informative=12, n_clusters_per_class=3, class_sep=0.8
    ),
    "clusters, noisy": made(
        datasets.make_classification, flip=0.15, n_features=20, n_informative=8, n_clusters_per_class=4
    ),
    "clusters, wide": made(datasets.make_classification, n_features=100, n_informative=10, n_clusters_per_class=2),
}
if DATA:
    SETS |= {
        "titanic": table("titanic.csv", "Survived", False, 0, ("PassengerId", "Name", "Ticket", "Cabin")),
        "telco": table("telco_churn.csv.gz", "Churn", False, 0, ("customerID",)),
        "mammography": table("mammography.csv", -1, False),
        "oil_spill": table("oil_spill.csv", -1, False),
        "wine_quality": table("wine_quality_red.csv", -1, False),
        "wine_quality, value": table("wine_quality_red.csv", -1, True),
        "abalone": table("abalone.csv", -1, True),
        "german_credit": table("german_credit.csv", -1, False),
        "letter": table("letter.csv.gz", "lettr", False, 0),
        "diamonds": table("diamonds.csv.gz", "price", True, 0),
        "diamonds, cut": table("diamonds.csv.gz", "cut", False, 0),
        "california": table("california_housing.csv.gz", "median_house_value", True, 0),
        "auto_mpg": table("auto_mpg.csv", "mpg", True, 0, ("name",)),
        "bike": table("bike_sharing.csv.gz", "count", True, 0, ("casual", "registered", "datetime")),
        "beijing": table("beijing_pollution.csv.gz", "pm2.5", True, 0, ("No",)),
        "mnist": digits(mnist),
        "usps": digits(usps),
        "sentiment_rt": texts("sentiment_rt", "rt-polarity.pos", "rt-polarity.neg"),
    }


# -- learners -----------------------------------------------------------------------------------------------------


class Perceptron(BaseEstimator):
    """Two hidden layers, AdamW, cosine; the same number of updates whatever the number of examples."""

    def __init__(self, regression: bool, width: int = 128, decay: float = 0.05) -> None:
        self.regression, self.width, self.decay = regression, width, decay

    def fit(self, x: Array, y: Array) -> Perceptron:
        torch.manual_seed(0)
        self.classes, codes = (None, y) if self.regression else np.unique(y, return_inverse=True)
        self.scale = (y.mean(), y.std() + 1e-9) if self.regression else (0.0, 1.0)
        inputs = torch.tensor(x, dtype=torch.float32)
        targets = (
            torch.tensor((y - self.scale[0]) / self.scale[1], dtype=torch.float32)
            if self.regression
            else torch.tensor(codes)
        )
        out = 1 if self.regression else len(self.classes)
        self.net = nn.Sequential(
            nn.Linear(x.shape[1], self.width),
            nn.ReLU(),
            nn.Linear(self.width, self.width),
            nn.ReLU(),
            nn.Linear(self.width, out),
        )
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=2e-3, weight_decay=self.decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        order, position = torch.randperm(len(x)), 0
        for _ in range(STEPS):
            if position >= len(order):
                order, position = torch.randperm(len(x)), 0
            rows = order[position : position + 64]
            position += 64
            outputs = self.net(inputs[rows])
            loss = (
                nn.functional.mse_loss(outputs[:, 0], targets[rows])
                if self.regression
                else nn.functional.cross_entropy(outputs, targets[rows])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        return self

    def predict(self, x: Array) -> Array:
        with torch.no_grad():
            outputs = self.net(torch.tensor(x, dtype=torch.float32)).numpy()
        return (
            outputs[:, 0] * self.scale[1] + self.scale[0] if self.regression else self.classes[outputs.argmax(axis=1)]
        )


LEARNERS: dict[str, Callable[[bool], Any]] = {
    "mlp": lambda regression: Perceptron(regression),
    "small mlp": lambda regression: Perceptron(regression, width=24, decay=0.2),
    "linear": lambda regression: Ridge() if regression else LogisticRegression(max_iter=300),
    "neighbours": lambda regression: KNeighborsRegressor() if regression else KNeighborsClassifier(),
    "forest": lambda regression: (RandomForestRegressor if regression else RandomForestClassifier)(60, random_state=0),
    "kernel": lambda regression: SVR(C=3.0) if regression else SVC(C=3.0),
    "boosting": lambda regression: (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(
        max_iter=60, random_state=0
    ),
    "tree": lambda regression: (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
        random_state=0, min_samples_leaf=3
    ),
    "bayes": lambda regression: None if regression else GaussianNB(),
}


def curve(load: Loader, learner: str) -> dict[str, Any] | None:
    """Sizes, and errors (orders, sizes), of one learner on one set; None where it does not fit the set."""
    x, y, regression = load()
    if LEARNERS[learner](regression) is None:
        return None
    order = np.random.default_rng(0).permutation(len(x))
    num_test = min(MOST_TEST, len(x) // 3)
    test, pool = order[:num_test], order[num_test : num_test + MOST_TRAIN]
    mean, std = x[pool].mean(axis=0), x[pool].std(axis=0) + 1e-9
    x = np.clip((x - mean) / std, -8, 8)
    sizes = [int(len(pool) * 2 ** (-k / 2)) for k in range(20) if len(pool) * 2 ** (-k / 2) >= FEWEST][::-1]
    errors = np.full((ORDERS, len(sizes)), np.nan)
    for r in range(ORDERS):
        rows = np.random.default_rng(r + 1).permutation(pool)
        for i, n in enumerate(sizes):
            taken = rows[:n]
            if not regression and len(np.unique(y[taken])) < 2:
                continue
            if regression or learner != "kernel" or np.bincount(np.unique(y[taken], return_inverse=True)[1]).min() >= 1:
                model = LEARNERS[learner](regression).fit(x[taken], y[taken])
                answers = model.predict(x[test])
                errors[r, i] = np.sqrt(np.mean((answers - y[test]) ** 2)) if regression else np.mean(answers != y[test])
    trivial = (
        float(np.std(y[test]))
        if regression
        else float(1 - np.bincount(np.unique(y[test], return_inverse=True)[1]).max() / num_test)
    )
    return {
        "sizes": sizes,
        "errors": errors.tolist(),
        "num_test": num_test,
        "regression": regression,
        "trivial": trivial,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/curves"))
    parser.add_argument("--only", help="one learner")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for learner in LEARNERS:
        if arguments.only not in (None, learner):
            continue
        for name, load in SETS.items():
            file = arguments.out / f"{name}+{learner}.json".replace(" ", "_").replace(",", "")
            if file.exists():
                continue
            started = time.process_time()
            made_of = curve(load, learner)
            if made_of is None:
                continue
            file.write_text(json.dumps({"set": name, "learner": learner, **made_of}))
            last = np.nanmean(np.array(made_of["errors"]), axis=0)[-1]
            print(
                f"{name:22}{learner:12}{len(made_of['sizes']):3} sizes, error {last:.4g}, "
                f"{time.process_time() - started:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
