"""Learn the priors of `strategy/forecast.py` from measured curves, and test what they foretell on sets left out.

    python benchmarks/curve_corpus.py                      the curves, once (build/curves)
    python benchmarks/curve_priors.py [--curves build/curves]

A case is seven points of a curve, n from 1/8 to 1 of its end, and what comes after at 2, 2.8 and 4 times that end. The
priors maximise the mean log density of what comes after, over all cases of a curve, each curve counting once. Five
folds over data sets: priors learned without a set are judged on it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

from orthogon.strategy import forecast as fc
from orthogon.strategy.forecast import Point, Prior, log_errors, noise_of_one

BACK, AHEAD = 6, (2, 3, 4)  # in half octaves
X = 2.0 ** (np.arange(-BACK, 1) / 2)


@dataclass(frozen=True)
class Case:
    set: str
    curve: str
    y: NDArray[np.float64]  # (7,) log error
    noise: NDArray[np.float64]  # (7,) its variance
    after: NDArray[np.float64]  # (3,) log error
    after_noise: NDArray[np.float64]  # (3,)
    points: tuple[Point, ...]
    units: int | None
    ends: tuple[float, ...]


def cases_of(folder: Path) -> list[Case]:
    found = []
    for file in sorted(folder.glob("*.json")):
        told = json.loads(file.read_text())
        errors = np.array(told["errors"])
        units = None if told["regression"] else told["num_test"]
        for end in range(BACK, len(told["sizes"]) - AHEAD[0]):
            ahead = [end + k for k in AHEAD if end + k < len(told["sizes"])]
            rows = [*range(end - BACK, end + 1), *ahead]
            values = errors[:, rows]
            if not np.isfinite(values).all() or ((values <= 0).any() and told["regression"]):
                continue
            points = [Point(told["sizes"][i], tuple(errors[:, i])) for i in rows]
            y, one = log_errors(points, units), noise_of_one(points, units)
            if units is not None and np.exp(y[BACK]) * units < 5:
                continue  # fewer than five mistakes tell nothing about a shape
            if np.exp(y[BACK]) > 0.97 * told["trivial"]:
                continue  # nothing was learned
            after = np.full(len(AHEAD), np.nan)
            after_noise = np.full(len(AHEAD), 1.0)
            after[: len(ahead)], after_noise[: len(ahead)] = y[BACK + 1 :], one[BACK + 1 :] / 2
            found.append(
                Case(
                    told["set"], file.stem, y[: BACK + 1], one[: BACK + 1] / 2, after, after_noise,
                    tuple(points[: BACK + 1]), units, tuple(np.exp(after)),
                )
            )  # fmt: skip
    return found


@cache
def grid_values() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = fc.shapes()
    return grid.log_g(X), grid.log_g(2.0 ** (np.array(AHEAD) / 2))


def densities(cases: Sequence[Case], prior: Prior) -> NDArray[np.float64]:
    """(cases, horizons) log density of what came after; the arithmetic of `forecast.fit` for many cases at once."""
    back, ahead = grid_values()
    log_prior = fc._log_prior((*prior.exponent, *prior.asymptote))
    distance = np.abs(np.log(X))
    walk = prior.stray**2 * np.minimum(distance[:, None], distance[None, :])
    horizon = np.log(2.0 ** (np.array(AHEAD) / 2))
    out = np.empty((len(cases), len(AHEAD)))
    for i, case in enumerate(cases):
        precision = np.linalg.inv(walk + np.diag(case.noise))
        total, row = precision.sum(), precision.sum(axis=1)
        y = case.y[None, :] - back
        level = y @ row / total
        chi2 = np.einsum("gp,gp->g", y @ precision, y) - level**2 * total
        weight = log_prior - chi2 / 2
        weight -= logsumexp(weight)
        variance = 1 / total + prior.stray**2 * horizon + case.after_noise
        terms = norm.logpdf(case.after[None, :], level[:, None] + ahead, np.sqrt(variance)[None, :])
        out[i] = logsumexp(weight[:, None] + terms, axis=0)
    return out


def objective(cases: Sequence[Case], prior: Prior) -> float:
    """Mean over curves of the mean log density."""
    values = np.nanmean(densities(cases, prior), axis=1)
    by_curve: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        by_curve.setdefault(case.curve, []).append(max(value, -8.0))  # one curve that breaks must not decide all
    return float(np.mean([np.mean(each) for each in by_curve.values()]))


def unpacked(v: NDArray[np.float64]) -> Prior:
    return Prior((float(v[0]), float(np.exp(v[1]))), (float(np.exp(v[2])), float(np.exp(v[3]))), float(np.exp(v[4])))


START = np.array([math.log(0.5), math.log(0.6), 0.0, math.log(2.0), math.log(0.05)])


def learn(cases: Sequence[Case], rounds: int = 90) -> Prior:
    found = minimize(
        lambda v: -objective(cases, unpacked(v)), START, method="Nelder-Mead",
        options={"maxfev": rounds, "initial_simplex": START + np.vstack([np.zeros(5), 0.5 * np.eye(5)])},
    )  # fmt: skip
    return unpacked(found.x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, default=Path("build/curves"))
    parser.add_argument("--cases", type=int, default=500, help="at most, at random")
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    every = cases_of(arguments.curves)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(every))[: arguments.cases]
    cases = [every[i] for i in order]
    sets = sorted({case.set for case in every})
    print(f"{len({case.curve for case in every})} curves on {len(sets)} sets, {len(every)} cases, {len(cases)} used")
    started = time.process_time()
    whole = learn(cases)
    print(
        f"learned from all: {whole}  log density {objective(cases, whole):.3f}, {time.process_time() - started:.0f} s"
    )
    guessed = Prior((math.log(0.5), 0.5), (1.0, 1.0), 0.02)
    print(f"guessed:          {guessed}  log density {objective(cases, guessed):.3f}")
    folds = [set(sets[k :: arguments.folds]) for k in range(arguments.folds)]
    for fold in folds if arguments.folds > 1 else []:
        inside = [case for case in cases if case.set not in fold]
        outside = [case for case in cases if case.set in fold]
        learned = learn(inside, 60)
        print(
            f"without {len(fold)} sets: {learned}  there {objective(outside, learned):.3f}, "
            f"guessed {objective(outside, guessed):.3f}"
        )


if __name__ == "__main__":
    main()
