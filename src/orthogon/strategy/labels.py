"""Suspect labels: which examples are labelled as something that they are not.

Two witnesses, neither of which has been taught the label at stake by heart:

    confident learning   answers of networks that did not train on the example. Where they give another class at least
                         the probability that this class usually gets from its own examples, the pair (label, class)
                         is counted; the counts, scaled to the labels there are, say how many of each pair are wrong,
                         and so many of those that speak loudest for it are suspects.
    training dynamics    the mean margin of the label over a training that the example took part in. Wrong labels are
                         learned late and against all others of their kind.

Suspects are ranked by both together. They are for a person to look at: nothing is relabelled or left out by itself.
How far to trust the list is measured on the user's own data: some labels are changed at random, everything is done
again, and it is counted how many of the first suspects were changed ones.
Legend: n examples, C classes, p (n, C) probabilities, t (C,) thresholds, J (C, C) counts of (label, true class).

Sources: Northcutt, Jiang, Chuang 2021, JAIR 70, arXiv:1911.00068 (confident joint, pruning by noise rate);
Pleiss et al. 2020, arXiv:2001.10528 (area under the margin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

NEARLY = 1e-6  # below the threshold, what still reaches it
FEWEST_LEFT = 5  # examples of a class that are never all suspected


def thresholds(labels: Ints, probs: Floats) -> Floats:
    """(C,) mean probability of each class among the examples labelled so; infinite for a class without any."""
    own = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0].astype(np.float64)
    counts = np.bincount(labels, minlength=probs.shape[1])
    sums = np.bincount(labels, own, minlength=probs.shape[1])
    return np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)


def confident_joint(labels: Ints, probs: Floats, limits: Floats | None = None) -> NDArray[np.int64]:
    """J (C, C): rows label, columns the class that the example truly has, counted and scaled to the labels there are.

    An example counts where some class reaches its threshold, for the one of these with the largest probability.
    Args:
        limits: thresholds; the labels' own if None.
    Source: Northcutt et al. 2021, eq. 1 and 2.
    """
    limits = thresholds(labels, probs) if limits is None else limits
    reached = probs >= limits - NEARLY
    counted = reached.any(axis=1)
    true = np.where(reached, probs, -1.0).argmax(axis=1)
    num_classes = probs.shape[1]
    cells = labels[counted] * num_classes + true[counted]
    joint = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.float64)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    counts = np.bincount(labels, minlength=num_classes)
    joint = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
    return _rounded(joint, counts)


def _rounded(table: Floats, totals: Ints) -> NDArray[np.int64]:
    """Whole numbers near the table's, whose rows add up to the totals: the largest remainders are rounded up."""
    low = np.floor(table)
    found = low.astype(np.int64)
    for row, total in enumerate(totals):
        more = int(total - found[row].sum())
        if more > 0:
            found[row, np.argsort(-(table - low)[row], kind="stable")[:more]] += 1
    return found


def find(labels: Ints, probs: Floats, joint: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """(n,) which labels confident learning suspects, pruned by noise rate.

    Of the examples labelled i, as many as the joint counts for class j: those with the largest p_j - p_i. An example
    whose label is the network's own answer is never among them, nor are the last FEWEST_LEFT of a class.
    """
    joint = confident_joint(labels, probs) if joint is None else joint
    found = np.zeros(len(labels), dtype=bool)
    for i in range(probs.shape[1]):
        rows = np.flatnonzero(labels == i)
        if len(rows) <= FEWEST_LEFT:
            continue
        wanted = joint[i].astype(np.float64)
        wanted[i] = 0
        most = len(rows) - FEWEST_LEFT
        if wanted.sum() > most:
            wanted *= most / wanted.sum()
        for j in np.flatnonzero(wanted >= 1):
            gain = probs[rows, j] - probs[rows, i]
            found[rows[np.argsort(-gain, kind="stable")[: int(wanted[j])]]] = True
    return found & (probs.argmax(axis=1) != labels)


def self_confidence(labels: Ints, probs: Floats) -> Floats:
    """(n,) probability of the label, out of fold."""
    own: Floats = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0]
    return own


def ranks(scores: Floats) -> Floats:
    """(n,) places from 0 (the smallest score) to 1, equal scores sharing one; missing scores stand in the middle."""
    from scipy.stats import rankdata

    known = np.isfinite(scores)
    places = np.full(len(scores), 0.5)
    if known.sum() > 1:
        places[known] = (rankdata(scores[known]) - 1) / (known.sum() - 1)
    return places


def order(labels: Ints, probs: Floats, margins: Floats | None = None) -> Ints:
    """Rows, the most suspect first: those that networks answer otherwise, by the mean place of both witnesses.

    On digits of MNIST with 2 to 10 % of labels changed, 0.85 to 0.89 of as many first were changed ones; 0.77 to 0.86
    by confidence alone, and 0.81 to 0.87 with what confident learning prunes put first.

    Args:
        margins: (n,) mean margin over a training that each example took part in; None: by confidence alone.
    """
    own = ranks(self_confidence(labels, probs))
    both = own if margins is None else (own + ranks(margins)) / 2
    rows: Ints = np.lexsort((own, both, probs.argmax(axis=1) == labels))
    return rows


def plant(labels: Ints, share: float, num_classes: int, seed: int = 0) -> tuple[Ints, Ints]:
    """(rows, new labels) of a share of the examples, each given another class, drawn evenly."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(labels))[: max(1, round(share * len(labels)))])
    return rows, (labels[rows] + rng.integers(1, num_classes, len(rows))) % num_classes


@dataclass(frozen=True)
class Precision:
    """Of the first `first` suspects, how many were labels that had been changed on purpose. share: of labels changed.

    `kept_out`: labels changed among the examples judged. Real wrong labels among the first count as misses, so this is
    a lower limit for changes of this kind.
    """

    hits: int
    first: int
    planted: int
    share: float

    @property
    def value(self) -> float:
        return self.hits / self.first if self.first else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.planted if self.planted else 0.0


def precision(ranked: Sequence[int] | Ints, planted: Ints, k: int, share: float) -> Precision:
    """Precision of the first k rows of a ranking."""
    first = np.asarray(ranked)[:k]
    return Precision(int(np.isin(first, planted).sum()), len(first), len(planted), share)


def figures(values: Mapping[str, Any]) -> Precision:
    """The inverse of `vars`."""
    return Precision(**values)
