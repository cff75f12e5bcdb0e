"""The error that nothing can remove, as a bracket with its sources and never as one number.

    at most     the out-of-fold (or dev) error of the best system there is: its upper limit
    at least    the leave-one-out error e of the nearest neighbour, turned into the error of the best rule there can be,
                H = (C-1)/C (1 - sqrt(1 - C/(C-1) e)), the smallest over several views of the inputs
    at least    the noise in the labels: how often labels contradict the network where it is surest

Each source has a gate, for each is wrong where it is not competent. The nearest neighbour of few examples errs more
than that of many, so what still falls when the examples are doubled is no lower limit. A network that is wrong where
it is surest is no judge of labels: only where its error is the same among its surest 10, 20, 30 and 50 per cent do
the labels err, and only if neighbours do not see far fewer. (Neighbours see too much rather than too little: that
they see more says nothing against it, since noise that prefers hard examples is seen by them alone.)
Legend: C classes, n examples, e error, H the least error any rule can have, T (C, C) chance of label j where class i
is true.

Sources: Cover and Hart 1967 (nearest neighbour); Zhu, Song, Liu 2021, arXiv:2102.05291 (consensus of two neighbours).
Differs: the consensus is one tensor equation, fitted at once, in place of one system for each pair of labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from orthogon.metrics.intervals import wilson, z_of
from orthogon.shown import Shown, plain

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

SHARES = (0.1, 0.2, 0.3, 0.5)  # of the surest answers, whose risks must agree
FEWEST = 100  # examples, below which nothing is said
CHANCE_SHARE = 0.5  # of the error of a constant answer; a network above it is no judge
AGREE = 2.0  # factor by which neighbours may see less noise than the network
WEAK_BELOW = 1000  # examples a class, below which the nearest neighbour is a weak source (Wheat et al. 2021)
COMPONENTS = 32  # directions of the principal components that a view keeps
HALVES = 4  # random halves on which it is seen whether the neighbour's error still falls
MOST_NEIGHBOURS = 20_000  # examples among which neighbours are looked for; more are sampled
MOST_CLASSES = 30  # for which the consensus of neighbours is fitted: C^3 cells


@dataclass(frozen=True)
class Source:
    """One figure of the bracket.

    side: what it bounds; used: whether the bracket stands on it; note: why not, or how.
    """

    side: Literal["at most", "at least"]
    name: str
    value: float
    low: float
    high: float
    n: int
    used: bool = True
    note: str = ""


@dataclass(frozen=True)
class Noise:
    """The share of wrong labels among some examples, as far as answers out of fold can tell.

    value, low, high: share of labels that contradict the network where it is surest, with a 95 % interval. known:
    whether that is the labels' doing; why: what speaks for or against it, one sentence. neighbours: the share that
    the consensus of neighbours tells, None where it was not fitted. error: of all the answers. n: examples judged.
    """

    value: float
    low: float
    high: float
    n: int
    known: bool
    why: str
    error: float
    neighbours: float | None = None

    @property
    def judged(self) -> int:
        """The examples that `value` is a share of: the surest half."""
        return round(SHARES[-1] * self.n)

    def says(self) -> str:
        """In words: "15.4 % of labels wrong [12.6, 18.7]", "unknown: ..."."""
        if not self.known:
            return f"unknown: {self.why}"
        return f"{100 * self.value:.1f} % of labels wrong [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Floor(Shown):
    """Between what and what the least possible error lies. unit: "%" for shares."""

    low: float
    high: float
    sources: tuple[Source, ...]
    unit: str = "%"

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Floor:
        return cls(**{**values, "sources": tuple(Source(**each) for each in values["sources"])})

    def show(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.unit == "%" else f"{value:.4g} {self.unit}".rstrip()

    def sentence(self) -> str:
        used = [source for source in self.sources if source.used]
        below = max((s for s in used if s.side == "at least"), key=lambda s: s.low, default=None)
        above = min((s for s in used if s.side == "at most"), key=lambda s: s.high, default=None)
        high = "" if above is None else f" at most {self.show(self.high)} ({above.name})"
        if below is None or self.low <= 0:
            return f"The least possible error is{high}; nothing here shows that it is above 0." if high else ""
        return f"The least possible error is at least {self.show(self.low)} ({below.name}) and{high}."

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("least possible error", "by", "estimate", "95% interval", "n", ""):
            table.add_column(heading, justify="right" if heading in ("estimate", "n") else "left")
        for s in self.sources:
            limits = f"[{self.show(s.low)}, {self.show(s.high)}]"
            if self.unit == "%":
                limits = f"[{100 * s.low:.1f}, {100 * s.high:.1f}]"
            style = "" if s.used else "dim"
            table.add_row(s.side, s.name, self.show(s.value), limits, f"{s.n:,}", s.note, style=style)
        yield table
        yield Text(self.sentence())


# -- the noise in the labels --------------------------------------------------------------------------------------


def label_noise(
    probs: Floats,
    labels: Ints,
    views: Mapping[str, Floats | tuple[Floats, Ints]] | None = None,
    *,
    neighbours: float | None = None,
    level: float = 0.95,
) -> Noise:
    """How many labels are wrong, by the answers of networks that did not learn them.

    Exact for noise that strikes alike at random; a lower limit for noise that prefers hard examples, where the
    network is not sure. Blind to classes that overlap, which is what it is for.

    Args:
        probs: (n, C) out of fold. labels: (n,) class numbers.
        views: name -> (n, d) of the inputs, for the neighbours; or (values, fold of each) where neighbours count only
            within a fold.
        neighbours: what they tell, where it is known already; `views` are then not looked at.
    """
    n, num_classes = probs.shape
    wrong = probs.argmax(axis=1) != labels
    error = float(wrong.mean()) if n else 1.0
    if n < FEWEST:
        return Noise(0.0, 0.0, 1.0, n, False, f"{n:,} examples are too few, {FEWEST} are asked for", error)
    order = np.argsort(-_margin(probs), kind="stable")
    z = z_of(level)
    risks, limits = [], []
    for share in SHARES:
        top = wrong[order[: max(1, round(share * n))]]
        risks.append(float(top.mean()))
        limits.append(wilson(int(top.sum()), len(top), z))
    value, (low, high) = risks[-1], (float(limits[-1][0]), float(limits[-1][1]))
    chance = 1 - float(np.bincount(labels, minlength=num_classes).max()) / n
    if neighbours is None:
        neighbours = _noise_by_neighbours(labels, num_classes, views or {})

    def found(known: bool, why: str) -> Noise:
        return Noise(value, low, high, n, known, why, error, neighbours)

    if error >= CHANCE_SHARE * chance:
        return found(
            False,
            f"the network errs on {100 * error:.0f} %, one constant answer on {100 * chance:.0f} %: no judge of labels",
        )
    if max(float(a) for a, _ in limits) > min(float(b) for _, b in limits) or _rises(wrong[order]):
        shown = ", ".join(f"{100 * risk:.0f}" for risk in risks)
        return found(False, f"its error falls the surer it is ({shown} % of its surest 10, 20, 30, 50 %)")
    if neighbours is not None and low > 0.01 and neighbours < value / AGREE:
        return found(False, f"neighbours see {100 * neighbours:.1f} %, the network {100 * value:.1f} %")
    return found(
        True, f"as many contradict it among its surest {100 * SHARES[0]:.0f} % as among {100 * SHARES[-1]:.0f} %"
    )


def _margin(probs: Floats) -> Floats:
    """(n,) log of the odds of the answer against the next: how sure it is, also where the probability is 1."""
    two = np.partition(np.log(np.maximum(probs.astype(np.float64), 1e-300)), -2, axis=1)[:, -2:]
    margin: Floats = two.max(axis=1) - two.min(axis=1)
    return margin


def _rises(wrong: NDArray[np.bool_]) -> bool:
    """Whether errors grow from the surest tenth to the end of the surest half (one-sided trend test, 0.2 %).

    Source: Cochran 1954, Armitage 1955: score test of a slope over the disjoint bands.
    """
    n = len(wrong)
    edges = [0, *(round(share * n) for share in SHARES)]
    bands = np.repeat(np.arange(len(SHARES)), np.diff(edges)).astype(float)
    k = wrong[: len(bands)].astype(float)
    p = float(k.mean())
    spread = p * (1 - p) * float(((bands - bands.mean()) ** 2).sum())
    return bool(spread > 0 and float((k * (bands - bands.mean())).sum()) / math.sqrt(spread) > z_of(0.996))


# -- neighbours ---------------------------------------------------------------------------------------------------


def nearest(x: Floats, k: int, folds: Ints | None = None) -> Ints:
    """(n, k) rows of the k nearest others of each row, by Euclidean distance; -1 where there are fewer.

    Args:
        folds: (n,) neighbours are looked for within one's own fold alone; None: among all.
    """
    n = len(x)
    found = np.full((n, k), -1, np.int64)
    for fold in [None] if folds is None else np.unique(folds):
        rows = np.arange(n) if fold is None else np.flatnonzero(folds == fold)
        z = np.asarray(x[rows], np.float32)
        z = z - z.mean(axis=0)
        squares = (z**2).sum(axis=1)
        count = min(k, len(rows) - 1)
        for start in range(0, len(rows), 1024):
            part = slice(start, min(start + 1024, len(rows)))
            distance = squares[None, :] - 2 * z[part] @ z.T  # and the row's own square, the same for all
            distance[np.arange(part.stop - start), np.arange(start, part.stop)] = np.inf
            if count:
                near = np.argpartition(distance, count - 1, axis=1)[:, :count]
                order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
                found[rows[part], :count] = rows[np.take_along_axis(near, order, axis=1)]
    return found


def cover_hart(error: float, num_classes: int) -> float:
    """The least possible error, from the nearest neighbour's: its tightest lower limit, met by uniform label noise.

    Source: Cover and Hart 1967, eq. for M categories.
    """
    c = num_classes
    return (c - 1) / c * (1 - math.sqrt(max(0.0, 1 - c / (c - 1) * error))) if c > 1 else 0.0


def standardised(x: Floats) -> Floats:
    """Every column with mean 0 and standard deviation 1; constant ones are left out."""
    x = np.asarray(x, np.float64)
    spread = x.std(axis=0)
    kept = spread > 1e-9
    z: Floats = (x[:, kept] - x[:, kept].mean(axis=0)) / spread[kept]
    return z


def principal(x: Floats, components: int = COMPONENTS) -> Floats:
    """(n, at most `components`) the directions in which the inputs spread most."""
    z = np.asarray(x, np.float32)
    z = z - z.mean(axis=0)
    if z.shape[1] <= components:
        return z
    values, vectors = np.linalg.eigh(np.asarray(z.T @ z, np.float64))
    return z @ vectors[:, np.argsort(-values)[:components]].astype(np.float32)


def consensus(labels: Ints, neighbours: Ints, num_classes: int) -> tuple[Floats, Floats]:
    """Class shares p (C,) and label noise T (C, C) that explain how often an example and its two nearest agree.

        mean of [y = i, y1 = j, y2 = l] over examples  =  sum over k of p_k T_ki T_kj T_kl

    holds where neighbours share their true class. Uniform noise, noise between pairs of classes, any T with a
    diagonal above the rest of its row: none of it is assumed.

    Args:
        neighbours: (n, 2) rows, as `nearest` gives them.
    Source: Zhu, Song, Liu 2021, arXiv:2102.05291, section 3.2.
    """
    from itertools import permutations

    from scipy.optimize import minimize

    c = num_classes
    whole = neighbours.min(axis=1) >= 0
    triples = np.stack([labels[whole], *labels[neighbours[whole]].T])
    cells = np.zeros((c, c, c))
    for order in permutations(range(3)):
        np.add.at(cells, tuple(triples[list(order)]), 1.0)
    cells /= cells.sum()

    def unpack(values: Floats) -> tuple[Floats, Floats]:
        logits = values.reshape(c + 1, c)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        return shares[0], shares[1:]

    def cost(values: Floats) -> tuple[float, Floats]:
        p, t = unpack(values)
        rest = np.einsum("k,ki,kj,kl->ijl", p, t, t, t, optimize=True) - cells
        by_one = np.einsum("ijl,kj,kl->ki", rest, t, t, optimize=True)
        d_p, d_t = (by_one * t).sum(axis=1), 3 * p[:, None] * by_one
        slopes = np.concatenate([(p * (d_p - p @ d_p))[None], t * (d_t - (t * d_t).sum(axis=1, keepdims=True))])
        scale = 1 / (cells**2).sum()
        return float(0.5 * scale * (rest**2).sum()), scale * slopes.ravel()

    shares = np.maximum(np.bincount(labels, minlength=c), 1.0)
    start = np.concatenate([np.log(shares / shares.sum())[None], np.log(np.full((c, c), 0.1 / c) + 0.9 * np.eye(c))])
    best = minimize(cost, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return unpack(best.x)


def _noise_by_neighbours(
    labels: Ints, num_classes: int, views: Mapping[str, Floats | tuple[Floats, Ints]]
) -> float | None:
    """The least share of wrong labels that the consensus of neighbours tells in any view; None without one."""
    if num_classes > MOST_CLASSES or num_classes < 2:
        return None
    found = []
    for view in views.values():
        x, folds = view if isinstance(view, tuple) else (view, None)
        near = nearest(x, 2, folds)
        if (near.min(axis=1) >= 0).sum() >= FEWEST:
            p, t = consensus(labels, near, num_classes)
            found.append(float(p @ (1 - np.diag(t))))
    return min(found, default=None)


def nearest_neighbour(
    name: str, x: Floats, labels: Ints, num_classes: int, folds: Ints | None = None, *, level: float = 0.95
) -> Source:
    """What the nearest neighbour's leave-one-out error says of the least possible one, in one view of the inputs.

    Where that error still falls from half of the examples to all of them (one-sided, 5 %) it has not arrived, and is
    no lower limit of anything.
    """
    n, z = len(labels), z_of(level)
    near = nearest(x, 1, folds)[:, 0]
    known = near >= 0
    wrong = labels[known] != labels[near[known]]
    k, m = int(wrong.sum()), int(known.sum())
    low, high = (float(limit) for limit in wilson(k, m, z))
    rng = np.random.default_rng(0)
    halves = []
    for _ in range(HALVES):
        order = rng.permutation(n)
        for part in (np.sort(order[: n // 2]), np.sort(order[n // 2 :])):
            again = nearest(x[part], 1, None if folds is None else folds[part])[:, 0]
            some = again >= 0
            halves.append(float((labels[part][some] != labels[part][again[some]]).mean()))
    falls = float(np.mean(halves)) - k / m
    error = math.sqrt(
        k / m * (1 - k / m) / m
    )  # of either figure; they share their examples, so this is on the safe side
    arrived = bool(falls <= z_of(0.9) * error and m >= FEWEST)
    each = n / num_classes
    notes = []
    if not arrived:
        notes.append(f"still falls with more examples ({100 * np.mean(halves):.1f} % with half of them)")
    if each < WEAK_BELOW:
        notes.append(f"weak: {each:,.0f} examples a class")
    value, least, most = (cover_hart(e, num_classes) for e in (k / m if m else 1.0, low, high))
    return Source("at least", f"nearest neighbour, {name}", value, least, most, m, arrived, "; ".join(notes))


def bracket(
    systems: Mapping[str, tuple[int, int]],
    labels: Ints,
    num_classes: int,
    views: Mapping[str, Floats | tuple[Floats, Ints]],
    noise: Noise | None = None,
    *,
    level: float = 0.95,
) -> Floor:
    """The least possible error rate, from above and from below.

    Args:
        systems: name -> (mistakes, examples) on examples that the system did not learn from.
        labels: (n,) class numbers of the examples that `views` show.
        views: as `label_noise` takes them.
        noise: of these labels.
    """
    z = z_of(level)
    sources = []
    for name, (k, n) in systems.items():
        if n:
            low, most = (float(limit) for limit in wilson(k, n, z))
            sources.append(Source("at most", name, k / n, low, most, n))
    high = min((source.high for source in sources), default=1.0)
    if len(labels) >= FEWEST:
        rows = np.arange(len(labels))
        if len(rows) > MOST_NEIGHBOURS:
            rows = np.sort(np.random.default_rng(0).choice(rows, MOST_NEIGHBOURS, replace=False))
        found = []
        for name, view in views.items():
            x, folds = view if isinstance(view, tuple) else (view, None)
            part = None if folds is None else folds[rows]
            found.append(nearest_neighbour(name, x[rows], labels[rows], num_classes, part, level=level))
        # a view can only hide what tells classes apart: the one with the smallest figure says most
        least = min(found, key=lambda source: source.value, default=None)
        for source in found:
            if source is not least and source.used:
                source = replace(
                    source, used=False, note="; ".join(filter(None, [source.note, "another view sees more"]))
                )
            sources.append(source)
    if noise is not None:
        sources.append(
            Source("at least", "labels that contradict sure answers", noise.value, noise.low, noise.high, noise.n,
                   noise.known, "" if noise.known else f"not used: {noise.why}")
        )  # fmt: skip
    low = max((source.low for source in sources if source.side == "at least" and source.used), default=0.0)
    return Floor(min(low, high), high, tuple(sources))


# -- values in place of classes -----------------------------------------------------------------------------------


def noise_variance(x: Floats, y: Floats) -> float:
    """Variance of the noise in a real-valued target: half the mean square by which nearest neighbours differ.

    In expectation too large by half the mean square of what the true function changes between neighbours, so it
    bounds the noise from above, as the error of any system does; from below nothing is known.
    Source: Pi and Peterson 1994 (delta test, first term); Rice 1984 in one dimension.
    """
    near = nearest(x, 1)[:, 0]
    known = near >= 0
    return float(((y[known] - y[near[known]]) ** 2).mean() / 2)


def repeats(keys: NDArray[Any], labels: NDArray[Any]) -> tuple[int, int]:
    """(pairs that differ, pairs) of labels given to one and the same input: no rule can be right on both.

    Each repeated input gives its first two labels, so that inputs that come often do not count more.
    """
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))
    counts = np.diff(first, append=len(keys))
    pairs = first[counts >= 2]
    differ = labels[order[pairs]] != labels[order[pairs + 1]]
    return int(differ.sum()), len(pairs)
