"""Slices: groups of examples that fail together, found on one half of dev and confirmed on the other.

Candidates come from two sources: conditions on columns and traits ("age above 60 and job = farmer"), searched through
their lattice, and clusters of what the network makes of its inputs. Whoever searches among thousands of groups finds
bad ones by chance alone, so the search sees one half of dev, and only groups that fail on the other half as well are
shown: an exact test a group, Benjamini and Hochberg over the groups.

Some classes are harder than others; that stands in the confusion matrix already. An example is therefore expected to
fail as often as its true class or its answered class does, whichever fails more, and a slice has to exceed that.
Source: Sagadeeva & Boehm 2021 (SliceLine), for the score and its bound; Eyuboglu et al. 2022, arXiv:2203.14960
(Domino), for the mixture over representations and mistakes; Benjamini & Hochberg 1995.
Differs: membership on the confirming half is decided without its mistakes; spherical components, w = 0.3, for they
found a planted slice at every seed where full weight, diagonal or tied ones did not; the expectation by classes.
Legend: n examples, e mean error, n_S and e_S those of a slice, a the weight of error against size, K clusters,
        A the half that is searched, B the half that confirms.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from orthogon.data.traits import Trait
from orthogon.metrics.intervals import wilson, z_of
from orthogon.metrics.score import with_unit
from orthogon.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

SCORE_WEIGHT = 0.95  # a
SMALLEST = 32  # examples of a slice in columns, and
SMALLEST_SHARE = 0.01  # this share of dev
DEEPEST = 3
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles at which numbers are cut
MANY_LEVELS = 15  # of a category; rarer ones are no slice of their own
PARENTS_AT_MOST = 1500  # pairs that are taken to a third condition
CANDIDATES = 12  # of each source that go to the other half
EARNS_ITS_PLACE = 3.5  # standard errors by which a condition must make a slice worse: the worst of some hundred
WIDENED_BELOW = 2.0  # the same, below which a wider condition takes its place
SAME = 0.5  # two conditions that share more than this of their examples are one
NUM_COMPONENTS = 10
NUM_CLUSTERS = 12
ERROR_WEIGHT = 0.3
CLUSTER_SMALLEST = (5, 8)  # members on A and on B
FEWEST_MISTAKES = 3  # of a slice on B
WORTH_SEARCHING = 1.2  # times the expected error on A
FALSE_SHARE = 0.1  # of what is shown
PRIOR = 4  # examples of the whole error by which the rate of a class is steadied
FEWEST = 10  # mistakes of dev, below which nothing could be confirmed
DRAWS = 4000


@dataclass(frozen=True)
class FoundSlice:
    """A group that fails together.

    name: what it is. shares: what its members have in common, in words. error, low, high: on the half that confirmed
    it, with its 95 % interval; expected: what its classes alone would give there; rest: the error of the others.
    mistakes, n: of all of dev. extra: share of all of dev's error that goes beyond what was expected. p: one-sided.
    ids: members, the most typical first.
    """

    name: str
    kind: str
    shares: tuple[str, ...]
    error: float
    low: float
    high: float
    expected: float
    rest: float
    mistakes: float
    n: int
    extra: float
    p: float
    ids: tuple[int, ...]

    def sentence(self, unit: str = "%") -> str:
        error, rest = (with_unit(value, unit) for value in (self.error, self.rest))
        return f"{self.name}: {self.n:,} examples, error {error} against {rest} of the others"


@dataclass(frozen=True)
class Slices(Shown):
    """What was found. tried: groups that were tested; note: why there was nothing to find; empty otherwise."""

    found: tuple[FoundSlice, ...]
    tried: int
    searched: int
    confirmed_on: int
    unit: str = "%"
    note: str = ""
    format: int = field(default=1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Slices:
        found = tuple(
            FoundSlice(**{**each, "shares": tuple(each["shares"]), "ids": tuple(each["ids"])})
            for each in values["found"]
        )
        return cls(**{**values, "found": found})

    def summary(self) -> str:
        if self.note:
            return self.note
        if not self.found:
            tried = "No group was" if not self.tried else f"Of {self.tried} groups" if self.tried > 1 else "One group"
            found = " found" if not self.tried else f" found on {self.searched:,} dev examples"
            none = ", and it was not confirmed" if self.tried == 1 else ", none was confirmed" if self.tried else ""
            on = f" on {self.confirmed_on:,} others" if self.tried else f" on {self.searched:,} dev examples"
            return f"{tried}{found}{none}{on}: nothing is shown to fail together more than its classes do."
        return (
            f"Found on {self.searched:,} dev examples and confirmed on {self.confirmed_on:,} others, {self.tried} "
            f"tested; about one in ten of such groups, at most, is there by chance."
        )

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self.found:
            return Text(self.summary())
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("examples that fail together", overflow="fold", ratio=1)
        for heading in ("n", "error", "95 %", "expected"):
            table.add_column(heading, justify="right", no_wrap=True)
        for each in self.found:
            words = Text(each.name, "bold")
            if each.shares:
                words.append("\n" + "; ".join(each.shares), "dim")
            if self.unit == "%":
                span = f"[{100 * each.low:.0f}, {100 * each.high:.0f}]"
            else:
                span = f"[{with_unit(each.low, '')}, {with_unit(each.high, '')}]"
            cells = [f"{each.n:,}", with_unit(each.error, self.unit), span, with_unit(each.expected, self.unit)]
            table.add_row(words, *map(Text, cells))
        return Group(table, Text(""), Text(self.summary(), "dim"))


@dataclass(frozen=True)
class _Candidate:
    """members: (n,) of dev, decided without the mistakes of B. typical: (n,) how typical each is."""

    name: str
    kind: str
    members: NDArray[np.bool_]
    typical: Floats


def find(
    errors: Floats,
    ids: Rows,
    *,
    columns: pd.DataFrame | None = None,
    features: NDArray[Any] | None = None,
    traits: Sequence[Trait] = (),
    truth: Sequence[str] | None = None,
    answer: Sequence[str] | None = None,
    groups: NDArray[Any] | None = None,
    key: str = "",
    unit: str = "%",
) -> Slices:
    """Groups of dev that fail together, confirmed.

    Args:
        errors: (n,) the error of each example: 0 or 1, or a real number, 0 best.
        columns: (n, ...) columns to form conditions on. features: (n, d) to cluster, or None.
        truth, answer: class names, where there are classes.
        groups: (n,) what lies in one half together, or None.
        key: seed of the halves and the clusters.
    """
    n = len(errors)
    errors = np.asarray(errors, dtype=np.float64)
    in_a = _half(n, errors, groups, key)
    plain = bool(np.isin(errors, (0, 1)).all())
    mistakes = int((errors > 0).sum()) if plain else n
    sizes = (int(in_a.sum()), int((~in_a).sum()))
    if mistakes < FEWEST or min(sizes) < 2 * CLUSTER_SMALLEST[1]:
        few = f"{mistakes} mistakes" if mistakes < FEWEST else f"{n} examples"
        return Slices((), 0, *sizes, unit, f"{few} on dev are too few to find groups in and confirm them.")
    expected = _expected(errors, truth, answer)
    candidates = []
    frame = _with_traits(columns, traits)
    if frame is not None and frame.shape[1]:
        candidates += _in_columns(frame, errors, expected, in_a)
    if features is not None and len(features) == n:
        candidates += _in_features(np.asarray(features, float), errors, expected, in_a, key)
    tested = []
    for each in candidates:
        there = each.members & ~in_a
        if there.sum() < CLUSTER_SMALLEST[1] or (plain and errors[there].sum() < FEWEST_MISTAKES):
            continue
        tested.append((each, _p(errors, expected, there, ~in_a, plain, key)))
    passed = benjamini_hochberg([p for _, p in tested], FALSE_SHARE)
    found: list[FoundSlice] = []
    kept: list[NDArray[np.bool_]] = []
    for (each, p), good in sorted(zip(tested, passed, strict=True), key=lambda entry: entry[0][1]):
        if good and not any(_overlap(each.members, other) > SAME for other in kept):
            kept.append(each.members)
            found.append(_described(each, p, errors, expected, in_a, ids, plain, traits, truth, answer))
    return Slices(tuple(found), len(tested), *sizes, unit)


def benjamini_hochberg(p: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses are rejected so that at most this share of the rejected ones is true, on average."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    below = values[order] <= level * np.arange(1, len(values) + 1) / max(len(values), 1)
    passed = np.zeros(len(values), bool)
    if below.any():
        passed[order[: int(np.flatnonzero(below).max()) + 1]] = True
    return [bool(each) for each in passed]


def _half(n: int, errors: Floats, groups: NDArray[Any] | None, key: str) -> NDArray[np.bool_]:
    """(n,) who is in A: half of the examples, or of the groups, drawn."""
    rng = np.random.default_rng(_seed(key))
    if groups is not None and 1 < len(np.unique(groups)) < n:
        _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
        order = rng.permutation(len(counts))
        first = order[np.cumsum(counts[order]) <= max(n / 2, counts[order[0]])]
        return np.isin(codes, first)
    inside = np.zeros(n, bool)
    inside[rng.permutation(n)[: n // 2]] = True
    return inside


def _seed(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")


def _expected(errors: Floats, truth: Sequence[str] | None, answer: Sequence[str] | None) -> Floats:
    """(n,) the error that an example's classes alone let expect: that of its true or its answered class, the larger."""
    mean = float(errors.mean())
    expected = np.full(len(errors), mean)
    for names in (truth, answer):
        if names is None:
            continue
        _, codes = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        counts = np.bincount(codes)
        rates = (np.bincount(codes, errors) + PRIOR * mean) / (counts + PRIOR)
        expected = np.maximum(expected if names is answer and truth is not None else 0.0, rates[codes])
    return expected


def _p(
    errors: Floats, expected: Floats, inside: NDArray[np.bool_], half: NDArray[np.bool_], plain: bool, key: str
) -> float:
    """One-sided p-value of "these fail no more than is expected of them", on the half that confirms."""
    if plain and np.ptp(expected) == 0:  # Fisher's exact test against the others
        counts = (int(errors[inside].sum()), int(half.sum()), int(errors[half].sum()), int(inside.sum()))
        return float(hypergeom.sf(counts[0] - 1, *counts[1:]))
    if plain:
        return poisson_binomial_sf(int(errors[inside].sum()), np.minimum(expected[inside], 1))
    excess = (errors - expected)[half]  # values: how often do as many drawn at random fail as much?
    size, mean = int(inside.sum()), float((errors - expected)[inside].mean())
    rng = np.random.default_rng(_seed(key + "p"))
    drawn = np.array([excess[rng.permutation(len(excess))[:size]].mean() for _ in range(DRAWS)])
    return float((1 + (drawn >= mean).sum()) / (1 + DRAWS))


def poisson_binomial_sf(k: int, p: Floats) -> float:
    """P(X >= k) of the number of successes of independent trials with these probabilities, exactly."""
    density = np.zeros(len(p) + 1)
    density[0] = 1.0
    for i, each in enumerate(p):
        density[1 : i + 2] = density[1 : i + 2] * (1 - each) + density[: i + 1] * each
        density[0] *= 1 - each
    return float(min(1.0, density[k:].sum()))


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """The share of the smaller one that lies in the other."""
    return float((a & b).sum() / max(1, min(a.sum(), b.sum())))


# -- clusters of features -----------------------------------------------------------------------------------------


def _in_features(
    features: Floats, errors: Floats, expected: Floats, in_a: NDArray[np.bool_], key: str
) -> list[_Candidate]:
    """Clusters on A of [first components, w * error] that fail more than expected there; B joins by its features."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    n_a, d = int(in_a.sum()), features.shape[1]
    num = min(NUM_COMPONENTS, d, n_a - 1)
    clusters = min(NUM_CLUSTERS, max(2, n_a // 12))
    seed = _seed(key) % 2**32
    z = PCA(num, random_state=seed).fit(features[in_a]).transform(features)
    z = z / max(math.sqrt(float(z[in_a].var(axis=0).sum())), 1e-12)
    error = ERROR_WEIGHT * (errors if np.isin(errors, (0, 1)).all() else errors / (2 * errors.std() or 1.0))
    model = GaussianMixture(clusters, covariance_type="spherical", reg_covar=1e-3, n_init=3, random_state=seed)
    model.fit(np.column_stack([z, error])[in_a])
    means, variances = model.means_[:, :num], model.covariances_[:, None]
    log_density = -0.5 * (((z[:, None] - means) ** 2 / variances).sum(axis=2) + num * np.log(variances[:, 0]))
    log_density += np.log(model.weights_)
    own = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    own /= own.sum(axis=1, keepdims=True)
    nearest = log_density.argmax(axis=1)
    found = []
    for k in range(clusters):
        members = nearest == k
        there = members & in_a
        if there.sum() >= CLUSTER_SMALLEST[0] and errors[there].mean() > WORTH_SEARCHING * expected[there].mean():
            found.append(_Candidate("", "cluster", members, own[:, k] + 1e-9 * log_density[:, k].clip(-1e6)))
    return found


# -- conditions on columns ----------------------------------------------------------------------------------------


def _with_traits(columns: pd.DataFrame | None, traits: Sequence[Trait]) -> pd.DataFrame | None:
    import pandas as pd

    if not traits:
        return columns
    frame = pd.DataFrame({trait.name: trait.values for trait in traits})
    return frame if columns is None else pd.concat([columns.reset_index(drop=True), frame], axis=1)


def conditions(frame: pd.DataFrame, in_a: NDArray[np.bool_]) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
    """Single conditions on columns, as (column, words), and (n, F) who meets each.

    Numbers lie below, above or between quantiles of A; frequent levels of categories, and missing values, are
    conditions of their own.
    """
    names: list[tuple[str, str]] = []
    who: list[NDArray[np.bool_]] = []

    def add(column: str, words: str, members: NDArray[np.bool_]) -> None:
        share = members[in_a].mean()
        if 0 < share < 1:
            names.append((column, words))
            who.append(members)

    for column in map(str, frame.columns):
        series = frame[column]
        missing = series.isna().to_numpy()
        add(column, f"{column} missing", missing)
        kind = series.dtype.kind
        if kind in "iufM" and series.nunique() > 2:
            values = series.to_numpy()
            numbers = values.astype("datetime64[ms]").astype(np.int64) if kind == "M" else values
            numbers = np.where(missing, np.nan, np.asarray(numbers, dtype=np.float64))
            known = numbers[in_a & ~missing]
            if not len(known):
                continue
            cuts = np.unique(np.quantile(known, CUTS, method="inverted_cdf"))
            inner = pairwise(cuts)
            for low, high in [*((-np.inf, c) for c in cuts), *((c, np.inf) for c in cuts), *inner]:
                add(column, _range(column, low, high, kind == "M"), (numbers > low) & (numbers <= high))
        else:
            text = series.astype(object).where(~missing, None)
            for level, count in text[in_a].value_counts().head(MANY_LEVELS).items():
                if count > 1:
                    add(column, f"{column} = {_number(level)}", (text == level).to_numpy(dtype=bool) & ~missing)
    return names, np.stack(who, axis=1) if who else np.zeros((len(frame), 0), bool)


def _range(column: str, low: float, high: float, date: bool) -> str:
    def write(value: float) -> str:
        return str(np.datetime64(int(value), "ms").astype("M8[D]")) if date else f"{value:.4g}"

    if not math.isfinite(low):
        return f"{column} at most {write(high)}"
    return f"{column} above {write(low)}" if not math.isfinite(high) else f"{column} {write(low)} to {write(high)}"


def _number(level: Any) -> str:
    return f"{level:g}" if isinstance(level, float) else str(level)


def slice_score(error: Any, size: Any, n: int, mean: float, weight: float = SCORE_WEIGHT) -> Any:
    """a (e_S / e - 1) - (1 - a) (n / n_S - 1): above 0 a slice is worth its smallness.

    Args:
        error: sum of errors in the slice. size: n_S. mean: e.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return weight * (error / size / mean - 1) - (1 - weight) * (n / size - 1)


def _bound(error: Any, size: Any, n: int, mean: float, least: float, highest: float) -> Any:
    """The best score that any part of a slice can have: its worst examples alone, as few as are allowed."""
    fewest = np.clip(error / highest, least, size)
    scores = [slice_score(np.minimum(error, m * highest), m, n, mean) for m in (fewest, size)]
    return np.maximum(*scores)


def lattice(
    names: Sequence[tuple[str, str]], who: NDArray[np.bool_], errors: Floats, least: float
) -> list[tuple[float, tuple[int, ...]]]:
    """The best slices of up to three conditions, best first: (score, numbers of the conditions).

    Args:
        who: (n, F). errors: (n,), 0 best. least: fewest examples of a slice.
    """
    n, mean, highest = len(errors), float(errors.mean()), float(errors.max(initial=0.0))
    if mean <= 0 or not who.shape[1]:
        return []
    x = who.astype(np.float32)
    column = np.unique([name for name, _ in names], return_inverse=True)[1]
    found: list[tuple[float, tuple[int, ...]]] = []

    def keep(scores: Floats, sizes: Floats, members: Sequence[tuple[int, ...]]) -> None:
        good = np.flatnonzero((scores > 0) & (sizes >= least))
        best = good[np.argsort(-scores[good], kind="stable")[: 20 * CANDIDATES]]
        found.extend((float(scores[i]), members[i]) for i in best)

    sizes, sums = x.sum(axis=0).astype(float), (errors @ x).astype(float)
    single = [(i,) for i in range(who.shape[1])]
    keep(slice_score(sums, sizes, n, mean), sizes, single)
    able = (sizes >= least) & (_bound(sums, sizes, n, mean, least, highest) > 0)
    alive = np.flatnonzero(able)
    parts = x[:, alive]
    both, both_sums = parts.T @ parts, (parts * errors[:, None]).T @ parts
    i, j = np.triu_indices(len(alive), 1)
    other = column[alive[i]] != column[alive[j]]
    i, j = i[other], j[other]
    sizes, sums = both[i, j].astype(float), both_sums[i, j].astype(float)
    big = sizes >= least
    i, j, sizes, sums = i[big], j[big], sizes[big], sums[big]
    pairs = [(int(alive[a]), int(alive[b])) for a, b in zip(i, j, strict=True)]
    keep(slice_score(sums, sizes, n, mean), sizes, pairs)
    bound = _bound(sums, sizes, n, mean, least, highest) if len(pairs) else np.zeros(0)
    going = np.argsort(-bound, kind="stable")[:PARENTS_AT_MOST]
    going = going[bound[going] > 0]
    for start in range(0, len(going), 256):
        some = [pairs[g] for g in going[start : start + 256]]
        inside = np.stack([x[:, a] * x[:, b] for a, b in some], axis=1)  # (n, pairs)
        three, three_sums = inside.T @ parts, (inside * errors[:, None]).T @ parts
        last = np.array([b for _, b in some])
        fits = (alive[None, :] > last[:, None]) & (three >= least)
        for row, (a, b) in enumerate(some):
            fits[row] &= (column[alive] != column[a]) & (column[alive] != column[b])
        r, c = np.nonzero(fits)
        triples = [(*some[row], int(alive[k])) for row, k in zip(r, c, strict=True)]
        sizes, sums = three[r, c].astype(float), three_sums[r, c].astype(float)
        keep(slice_score(sums, sizes, n, mean), sizes, triples)
    return sorted(found, key=lambda each: (-each[0], len(each[1])))


def simplest(
    which: Sequence[int], names: Sequence[tuple[str, str]], who: NDArray[np.bool_], errors: Floats
) -> tuple[int, ...]:
    """The same slice in as few and as wide conditions as the mistakes allow.

    A condition is left out, or widened to another on its column, unless the slice is clearly worse than what that
    would add: the search picks the narrow ones, which are worse by chance.

    Args:
        which: numbers of conditions. names: (column, words) of all. who: (n, F). errors: (n,).
    """
    kept = list(which)

    def all_of(these: Sequence[int]) -> NDArray[np.bool_]:
        members: NDArray[np.bool_] = np.logical_and.reduce(who[:, list(these)], axis=1)
        return members

    while len(kept) > 1:
        inside = all_of(kept)
        clearer = [_apart(errors[inside], errors[all_of([c for c in kept if c != k]) & ~inside]) for k in kept]
        least = int(np.argmin(clearer))
        if clearer[least] >= EARNS_ITS_PLACE:
            break
        kept.pop(least)
    for place, k in enumerate(kept):
        inside, size = all_of(kept), who[:, k].sum()
        same = [c for c, (column, _) in enumerate(names) if column == names[k][0] and who[:, c].sum() > size]
        wider = [c for c in same if not (who[:, k] & ~who[:, c]).any()]
        for c in sorted(wider, key=lambda c: -int(who[:, c].sum())):
            more = all_of([*kept[:place], c, *kept[place + 1 :]]) & ~inside
            if more.any() and _apart(errors[inside], errors[more]) < WIDENED_BELOW:
                kept[place] = c
                break
    return tuple(kept)


def _apart(a: Floats, b: Floats) -> float:
    """By how many standard errors the mean of a lies above that of b; 0 where b is empty."""
    if len(a) < 2 or len(b) < 2:
        return 0.0
    spread = math.sqrt(a.var() / len(a) + b.var() / len(b) + 0.25 / (len(a) + len(b)) ** 2)
    return float((a.mean() - b.mean()) / spread) if spread else 0.0


def _in_columns(frame: pd.DataFrame, errors: Floats, expected: Floats, in_a: NDArray[np.bool_]) -> list[_Candidate]:
    """The best conditions on A, none of which is nearly another, that fail more than expected there."""
    names, who = conditions(frame, in_a)
    least = max(SMALLEST, SMALLEST_SHARE * len(errors)) / 2
    found: list[_Candidate] = []
    for _, best in lattice(names, who[in_a], errors[in_a], least):
        which = simplest(best, names, who[in_a], errors[in_a])
        members: NDArray[np.bool_] = np.logical_and.reduce(who[:, list(which)], axis=1)
        there = members & in_a
        if errors[there].mean() <= WORTH_SEARCHING * expected[there].mean():
            continue
        if any(_overlap(there, other.members & in_a) > SAME for other in found):
            continue
        words = " and ".join(names[k][1] for k in which)
        found.append(_Candidate(words, "columns", members, errors * members))
        if len(found) == CANDIDATES:
            break
    return found


# -- in words -----------------------------------------------------------------------------------------------------

WORDS = {  # what an example is called whose trait is high, and low
    "brightness": ("bright", "dark"),
    "contrast": ("rich in contrast", "washed out"),
    "sharpness": ("sharp", "blurred"),
    "noise": ("grainy", "smooth"),
    "colourfulness": ("colourful", "pale"),
    "width to height": ("lying", "standing"),
    "mirrored": ("mirrored", "not mirrored"),
    "length": ("long", "short"),
    "words": ("of many words", "of few words"),
    "digits": ("rich in digits", "poor in digits"),
    "capitals": ("rich in capitals", "poor in capitals"),
    "signs": ("rich in signs", "poor in signs"),
}
TELLING = 0.8  # standard deviations between members and the others, from which a trait is told
COMMON = 0.5  # share of members with one class, from which it is told
TRAITS_TOLD = 3
TIMES = 1.5  # and so many times as common as among the others


def _described(
    each: _Candidate,
    p: float,
    errors: Floats,
    expected: Floats,
    in_a: NDArray[np.bool_],
    ids: Rows,
    plain: bool,
    traits: Sequence[Trait],
    truth: Sequence[str] | None,
    answer: Sequence[str] | None,
) -> FoundSlice:
    members, others = each.members, ~each.members
    there, rest = members & ~in_a, others & ~in_a
    k, n = float(errors[there].sum()), int(there.sum())
    if plain:
        low, high = (float(x) for x in wilson(k, n, z_of(0.95)))
    else:
        spread = 1.96 * float(errors[there].std(ddof=1)) / math.sqrt(n)
        low, high = max(0.0, k / n - spread), k / n + spread
    shares = describe(members, traits, truth, answer)
    name = each.name or (shares.pop(0) if shares else "examples that look alike to the network")
    order = np.flatnonzero(members)[np.argsort(-each.typical[members], kind="stable")]
    return FoundSlice(
        name[:1].upper() + name[1:],
        each.kind,
        tuple(shares),
        k / n,
        low,
        high,
        float(expected[there].mean()),
        float(errors[rest].mean()) if rest.any() else 0.0,
        float(errors[members].sum()),
        int(members.sum()),
        float((errors - expected)[members].sum() / max(errors.sum(), 1e-12)),
        p,
        tuple(int(ids[row]) for row in order),
    )


def describe(
    members: NDArray[np.bool_],
    traits: Sequence[Trait],
    truth: Sequence[str] | None = None,
    answer: Sequence[str] | None = None,
) -> list[str]:
    """What sets members apart from the others, the most telling first."""
    others = ~members
    said: list[tuple[float, str]] = []
    for trait in traits:
        more, less = WORDS.get(trait.name, (f"high in {trait.name}", f"low in {trait.name}"))
        if trait.values.dtype.kind == "O":  # texts, which conditions name
            continue
        known = np.isfinite(trait.values)
        inside, outside = trait.values[members & known], trait.values[others & known]
        if not len(inside) or not len(outside):
            continue
        if np.isin(trait.values[known], (0, 1)).all():
            a, b = float(inside.mean()), float(outside.mean())
            if a >= COMMON and a >= TIMES * b:
                said.append((a / max(b, 0.05), f"{more}, {100 * a:.0f} % ({100 * b:.0f} % of the others)"))
            continue
        spread = math.sqrt((inside.var() + outside.var()) / 2) or 1.0
        apart = float(inside.mean() - outside.mean()) / spread
        if abs(apart) >= TELLING:
            word = more if apart > 0 else less
            said.append((abs(apart), f"{word} ({trait.name} {inside.mean():.2g}, of the others {outside.mean():.2g})"))
    said.sort(key=lambda each: -each[0])
    words = [text for _, text in said[:TRAITS_TOLD]]
    for title, names in (("true class", truth), ("answered", answer)):
        if names is None:
            continue
        levels, codes = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        inside, outside = (np.bincount(codes[w], minlength=len(levels)) / max(1, w.sum()) for w in (members, others))
        most = int(inside.argmax())
        if inside[most] >= COMMON and inside[most] >= TIMES * outside[most]:
            words.append(
                f"{title} {levels[most]}, {100 * inside[most]:.0f} % ({100 * outside[most]:.0f} % of the others)"
            )
    return words
