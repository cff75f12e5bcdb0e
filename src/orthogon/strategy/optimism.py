"""Overfitting to dev: what the best of several systems owes to having been chosen on this dev set.

Every system that was ever scored on a dev set is a candidate, whether it became a run or was only tried. The best of
many looks better than it is, and the more so the smaller the dev set. A test set shows that only when it is large; the
candidates' own answers show it without one: choose on some examples, score the choice on the others.

Source: Tsamardinos, Greasidou, Borboudakis 2018, bootstrap bias-corrected CV.
Legend: n examples, C candidates, B draws, s statistics an example.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import OrthogonError, UsageError
from orthogon.metrics.intervals import DRAWS, Floats
from orthogon.metrics.score import Metric, Scores
from orthogon.run.folder import load_arrays, scores_from_arrays

CELLS_AT_ONCE = 4_000_000  # numbers held at once
MOST_UNITS, FEWEST_UNITS = 5_000, 500  # more examples are drawn again in blocks, which for sums is as good
MOST_PRODUCTS = 2_000_000_000  # of drawing sums for all candidates; about a second
MOST_COMPUTED = 50_000  # candidates times draws of a metric that is not a function of sums
SAME = 1e-12  # errors this close are a tie
FEWEST_DRAWS = 200  # an average over so many knows the optimism to an eighth of dev's standard error


@dataclass(frozen=True)
class Optimism:
    """How much the best of several candidates owes to having been chosen on this dev set.

    corrected: its error, out of bag; optimism: corrected minus the dev error it was chosen by; listed: whether that
    is twice the smallest gap worth acting on, and one standard error. is_winner: the system that is diagnosed is
    the best of them.
    """

    num_candidates: int
    winner: int
    dev_error: float
    corrected: float
    optimism: float
    listed: bool = False
    is_winner: bool = True


def selection_optimism(candidates: Sequence[Scores], metric: Metric, draws: int = DRAWS, seed: int = 0) -> Optimism:
    """What choosing the best of these candidates on this dev set made it look better than it is.

    Examples, or whole groups of them, are drawn again; the winner of each draw is scored on those left out, and where
    several win alike their mean counts: the first in the list would win by its place.

    Raises:
        UsageError: the candidates were scored on different examples.
    """
    ids = candidates[0].ids
    for number, candidate in enumerate(candidates):
        if not np.array_equal(candidate.ids, ids):
            raise UsageError(
                f"Candidate {number} was scored on {len(candidate)} examples that are not those of candidate 0.",
                "candidates",
                "Compare candidates on one dev set.",
            )
    rng = np.random.default_rng(seed)
    if metric.additive is not None and metric.combine is not None and metric.batch is None:
        numbers = len(candidates) * metric.additive(candidates[0].records).rows.shape[1]  # C s
        most = max(FEWEST_UNITS, min(MOST_UNITS, MOST_PRODUCTS // (FEWEST_DRAWS * numbers)))
        codes = _units(candidates[0], most, rng)
        errors_of = _of_sums(candidates, metric, codes)
        draws = max(FEWEST_DRAWS, min(draws, MOST_PRODUCTS // (numbers * (int(codes.max()) + 1))))
    else:
        codes = _units(candidates[0], len(ids), rng)
        errors_of = _of_examples(candidates, metric, codes)
        draws = max(FEWEST_DRAWS, min(draws, MOST_COMPUTED // len(candidates)))
    num_units = int(codes.max()) + 1
    outside, everyone = [], np.arange(len(candidates))
    step = max(1, CELLS_AT_ONCE // max(num_units, len(ids)))
    for start in range(0, draws, step):
        drawn = rng.integers(0, num_units, (min(step, draws - start), num_units))
        weights = np.stack([np.bincount(row, minlength=num_units) for row in drawn]).astype(float)
        left_out = (weights == 0).astype(float)
        told = left_out.any(axis=1)  # with two or three examples all may be drawn
        weights, left_out = weights[told], left_out[told]
        inside = errors_of(weights, everyone)
        tied = inside <= inside.min(axis=0) + SAME
        total = np.zeros(len(weights))
        for winner in np.flatnonzero(tied.any(axis=1)):
            rows = tied[winner]
            total[rows] += errors_of(left_out[rows], np.array([winner]))[0]
        outside.append(total / tied.sum(axis=0))
    on_dev = [metric.error(candidate) for candidate in candidates]
    best = int(np.argmin(on_dev))
    found = np.concatenate(outside) if outside else np.array([])
    corrected = float(np.nanmean(found)) if np.isfinite(found).any() else on_dev[best]
    return Optimism(len(candidates), best, on_dev[best], corrected, corrected - on_dev[best])


ErrorsOf = Callable[[Floats, NDArray[np.int64]], Floats]  # weights (b, units), candidates (c,) -> (c, b)


def _units(scores: Scores, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) the unit that each example is drawn with: itself, its group, or one of `most` blocks."""
    n = len(scores)
    if scores.groups is not None:
        return np.unique(scores.groups, return_inverse=True)[1]
    return rng.permutation(n) % most if n > most else np.arange(n)


def _of_sums(candidates: Sequence[Scores], metric: Metric, codes: NDArray[np.int64]) -> ErrorsOf:
    """All candidates at once, by their statistics summed over each unit."""
    assert metric.additive is not None
    assert metric.combine is not None
    combine, own = metric.combine, bool(np.array_equal(codes, np.arange(len(codes))))

    def summed(candidate: Scores) -> Floats:
        rows = metric.additive(candidate.records).dense()  # type: ignore[misc]
        return rows if own else np.stack([np.bincount(codes, column) for column in rows.T], axis=1)

    stats = np.stack([summed(candidate) for candidate in candidates], axis=1)  # (units, C, s)

    def errors(weights: Floats, which: NDArray[np.int64]) -> Floats:
        chosen = stats if len(which) == stats.shape[1] else stats[:, which]
        sums = weights @ chosen.reshape(len(chosen), -1)
        values = combine(sums.reshape(len(weights), len(which), -1)).T
        return 1.0 - values if metric.higher_is_better else values

    return errors


def _of_examples(candidates: Sequence[Scores], metric: Metric, codes: NDArray[np.int64]) -> ErrorsOf:
    """One candidate after the other, for a metric that is not a function of sums."""

    def errors(weights: Floats, which: NDArray[np.int64]) -> Floats:
        values = np.stack([metric.draws(candidates[int(i)].records, weights[:, codes]) for i in which])
        return 1.0 - values if metric.higher_is_better else values

    return errors


def tried(trials: Path, data: Sequence[str], like: Scores, runs: Sequence[dict[str, Any]]) -> list[Scores]:
    """Dev scores of every whole trial on the same dev set: trained on all of train, with weights chosen by dev.

    Args:
        trials: the folder of a project's trials. data: fingerprint and split that they must be of.
        like: scores on the dev set meant. runs: configs of the finished runs; a trial of one of them is no candidate
            of its own.
    """
    found = []
    known = {json.dumps(config, sort_keys=True) for config in runs}
    for folder in sorted(trials.glob("*")):
        try:
            told = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
            if not told["whole"] or told["data"] != list(data) or "dev" not in told["scores"]:
                continue
            if json.dumps(told["config"], sort_keys=True) in known:
                continue
            scores = scores_from_arrays(load_arrays(folder / "scores-dev.npz"))
        except (OSError, ValueError, KeyError, OrthogonError):  # half written, or of another version
            continue
        if np.array_equal(scores.ids, like.ids) and scores.records.keys() >= like.records.keys():
            found.append(scores)
    return found
