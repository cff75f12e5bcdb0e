"""Leaks: what dev shares with train, so that its error flatters the system.

Copies (equal inputs), near copies (nearer to an example of train than examples of train lie to each other), strings of
the same pieces, rows of one entity (person, ticket, household) on both sides, and neighbours in time. Every kind is
told with the error on dev with and without it.
Source: Broder 1997 for MinHash; Facco et al. 2017, arXiv:1803.06992, for the dimension from the two nearest
neighbours.
Differs: a near copy lies within a quarter of the median distance between neighbours in train, and nearer still where
the data has so few dimensions that chance alone would bring more than 0.2 % of examples that near.
Legend: d distance to the nearest example of train, m its median within train, D intrinsic dimension, n examples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orthogon.data.examples import Examples
from orthogon.data.tables import TableExamples
from orthogon.metrics.intervals import estimate
from orthogon.metrics.score import Metric, Scores, with_unit
from orthogon.shown import Shown

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

NEAR = 0.25  # of the median distance between neighbours in train
BY_CHANCE = 0.002  # share of examples that may lie that near by chance alone
TRAIN_AT_MOST = 20_000  # examples of train with which distances are measured
MEDIAN_OF = 2_000  # of them, whose own neighbours tell the median
DENSITY = 5  # neighbours that tell how densely train lies
AT_ONCE = 256
GRAMS = 5  # characters of a piece
ALIKE = 0.8  # share of pieces that two strings must have in common
FEWEST_PIECES = 20  # shorter strings are alike by chance; only copies of them count
NUM_HASHES, NUM_BANDS = 128, 32
ENTITY_LEVELS = 30  # different values of a column, from which it may name entities
ENTITY_ROWS = 10.0  # rows of an entity, on average over rows, at most
ENTITY_SHARE = 0.05  # of dev that must share an entity with train
AGREES = 0.1  # by how much targets of one entity, or of neighbours in time, must agree beyond chance
FEWEST_SHARED = 20

COPY, NEAR_COPY, STRING, ENTITY, TIME = (
    "copy",
    "near copy",
    "nearly the same string",
    "same entity",
    "neighbour in time",
)


@dataclass(frozen=True)
class Pair:
    """An example of dev and the one of train that gives it away. distance: 0 for copies; of near ones d / m."""

    dev: int
    train: int
    distance: float = 0.0


@dataclass(frozen=True)
class Leak:
    """One way in which dev is not new to the system.

    count: dev examples concerned; error_on: the error on them; error_without, low, high: on the others, NaN where there
    are none. pairs: the first few. detail: one sentence. remedy: what to do.
    """

    kind: str
    count: int
    share: float
    error_on: float
    error_without: float
    low: float
    high: float
    detail: str
    remedy: str
    pairs: tuple[Pair, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Leaks(Shown):
    """All that was found. error, low, high: on all of dev; without: on dev without copies and near copies."""

    found: tuple[Leak, ...]
    n: int
    error: float
    low: float
    high: float
    without: float
    without_low: float
    without_high: float
    num_leaked: int
    title: str = "error"
    unit: str = "%"
    note: str = ""
    format: int = field(default=1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Leaks:
        found = []
        for each in values["found"]:
            pairs = tuple(Pair(**pair) for pair in each["pairs"])
            figures = {name: math.nan if each[name] is None else each[name] for name in _FIGURES}
            found.append(Leak(**{**each, **figures, "pairs": pairs, "ids": tuple(each["ids"])}))
        whole = {name: math.nan if values[name] is None else values[name] for name in ("without", *_WITHOUT)}
        return cls(**{**values, **whole, "found": tuple(found)})

    @property
    def ids(self) -> Ids:
        """Of dev examples that train holds, or nearly."""
        kinds = (COPY, NEAR_COPY, STRING)
        return np.array(sorted({i for each in self.found if each.kind in kinds for i in each.ids}), dtype=np.int64)

    def summary(self) -> str:
        show = self._show
        if not self.found:
            return f"None of {self.n:,} dev examples is found in train, nor nearly. {self.note}".strip()
        if not self.num_leaked:
            return f"No copy of {self.n:,} dev examples is in train. {self.note}".strip()
        span = self._span(self.without_low, self.without_high)
        are = "is" if self.num_leaked == 1 else "are"
        said = (
            f"{self.num_leaked:,} of {self.n:,} dev examples ({100 * self.num_leaked / self.n:.1f} %) {are} in train "
            f"as copies or nearly. {self.title[:1].upper()}{self.title[1:]} on dev: {show(self.error)} "
            f"{self._span(self.low, self.high)} with them"
        )
        if math.isfinite(self.without):
            said += f", {show(self.without)} {span} without."
        else:
            said += ", and nothing is left without them."
        return f"{said} {self.note}".strip()

    def _show(self, value: float) -> str:
        return with_unit(value, self.unit)

    def _span(self, low: float, high: float) -> str:
        if self.unit == "%":
            return f"[{100 * low:.1f}, {100 * high:.1f}]"
        return f"[{with_unit(low, '')}, {with_unit(high, '')}]"

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self.found:
            return Text(self.summary())
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("leak", no_wrap=True)
        for heading in ("of dev", "error on them", "without, 95 %"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for each in self.found:
            without = "" if math.isnan(each.error_without) else self._show(each.error_without)
            span = "" if math.isnan(each.error_without) else self._span(each.low, each.high)
            cells = (each.kind, f"{each.count:,} ({100 * each.share:.1f} %)", self._show(each.error_on))
            table.add_row(*map(Text, (*cells, f"{without} {span}".strip(), each.detail)))
        remedies = dict.fromkeys(each.remedy for each in self.found if each.remedy)
        return Group(table, Text(""), Text(self.summary()), *(Text(remedy, "dim") for remedy in remedies))


_FIGURES = ("error_on", "error_without", "low", "high")
_WITHOUT = ("without_low", "without_high")


def find(
    dev: Scores,
    metric: Metric,
    dev_examples: Examples,
    train_examples: Examples,
    train_ids: Ids,
    *,
    dev_features: NDArray[Any] | None = None,
    train_features: NDArray[Any] | None = None,
    title: str = "error",
    split_by_time: bool = False,
) -> Leaks:
    """What of dev is known from train.

    Args:
        dev: scores; dev_examples are the same, in this order.
        train_ids: (m,) ids of the examples of train.
        dev_features, train_features: (n, d), (m, d) what the network makes of them, or None.
        split_by_time: dev comes after train, so neighbours in time are as in use.
    """
    pairs: dict[str, dict[int, Pair]] = {COPY: copies(dev_examples, train_examples)}
    spaces = []
    if dev_examples.modality == "strings":
        pairs[STRING] = same_pieces(_texts(dev_examples), _texts(train_examples))
    elif dev_examples.modality == "image":
        spaces = [tuple(thumbnails_of(each) for each in (dev_examples, train_examples))]
        if dev_features is not None and train_features is not None:
            spaces.append((np.asarray(dev_features, float), np.asarray(train_features, float)))
    elif isinstance(dev_examples, TableExamples) and isinstance(train_examples, TableExamples):
        spaces = [space for space in [_numbers(dev_examples, train_examples)] if space is not None]
    pairs[NEAR_COPY] = {}
    for space in spaces:
        pairs[NEAR_COPY] = nearly(*space) | pairs[NEAR_COPY]
    known: set[int] = set()
    found = []
    for kind in (COPY, NEAR_COPY, STRING):
        mine = {row: pair for row, pair in pairs.get(kind, {}).items() if row not in known}
        known |= set(mine)
        if mine:
            found.append(_leak(kind, mine, dev, metric, train_ids, _DETAIL[kind], _OF_COPIES))
    if isinstance(dev_examples, TableExamples) and isinstance(train_examples, TableExamples):
        found += _entities(dev_examples, train_examples, dev, metric, train_ids)
        if not split_by_time:
            found += _neighbours_in_time(dev_examples, train_examples, dev, metric, train_ids)
    whole = estimate(dev, metric).interval()
    out = np.isin(np.arange(len(dev)), list(known))
    rest = estimate(dev.take(~out), metric).interval() if (~out).any() else None
    without = (rest.value, rest.low, rest.high) if rest else (math.nan,) * 3
    return Leaks(
        tuple(found), len(dev), whole.value, whole.low, whole.high, *without, int(out.sum()), title, metric.unit
    )


_DETAIL = {
    COPY: "the same input stands in train",
    NEAR_COPY: "nearer to an example of train than examples of train lie to each other",
    STRING: f"at least {100 * ALIKE:.0f} % of its pieces of {GRAMS} symbols are those of a string in train",
}
_OF_COPIES = "Name what belongs together in data.group, or remove the copies; until then go by the error without them."


def _leak(
    kind: str,
    pairs: Mapping[int, Pair],
    dev: Scores,
    metric: Metric,
    train_ids: Ids,
    detail: str,
    remedy: str,
    known: Sequence[int] | None = None,
) -> Leak:
    """The figures of one kind; pairs: row of dev -> rows; known: rows concerned, where they are more than the pairs."""
    rows = np.array(sorted(pairs if known is None else known), dtype=np.int64)
    inside = np.isin(np.arange(len(dev)), rows)
    on = metric.error(dev.take(inside))
    rest = estimate(dev.take(~inside), metric).interval() if (~inside).any() else None
    without = (rest.value, rest.low, rest.high) if rest else (math.nan,) * 3
    named = tuple(
        Pair(int(dev.ids[pair.dev]), int(train_ids[pair.train]), pair.distance) for _, pair in sorted(pairs.items())
    )
    nearest = tuple(sorted(named, key=lambda pair: pair.distance))[:50]
    ids = tuple(int(i) for i in dev.ids[rows])
    return Leak(kind, len(rows), len(rows) / len(dev), on, *without, detail, remedy, nearest, ids)


# -- copies and near copies ---------------------------------------------------------------------------------------


def copies(dev: Examples, train: Examples) -> dict[int, Pair]:
    """Row of dev -> the first row of train with an equal input."""
    if dev.modality == "strings":
        keys, known = ([_normal(text) for text in _texts(each)] for each in (dev, train))
    else:
        keys, known = (each.content_keys().tolist() for each in (dev, train))
    first: dict[Any, int] = {}
    for row, key in enumerate(known):
        first.setdefault(key, row)
    return {row: Pair(row, first[key]) for row, key in enumerate(keys) if key in first}


def nearly(dev: Floats, train: Floats) -> dict[int, Pair]:
    """Row of dev -> the nearest row of train, where it lies nearer than examples of train lie to each other.

    Args:
        dev, train: (n, d), (m, d) in a space where alike is near.
    """
    if len(train) < 10 or not len(dev):
        return {}
    rows = np.linspace(0, len(train) - 1, min(len(train), TRAIN_AT_MOST)).astype(np.int64)
    known = train[rows]
    some = np.linspace(0, len(known) - 1, min(len(known), MEDIAN_OF)).astype(np.int64)
    own, _ = nearest_of(known[some], known, 3)
    own = own[:, 1:]  # without itself
    apart = own[own[:, 0] > 1e-9 * max(float(own.max()), 1e-12)]  # copies within train say nothing
    if len(apart) < 10:
        return {}
    d = dimension(apart)
    share, scale = near_share(d), float(np.median(apart[:, 0]))
    distance, nearest = (each[:, 0] for each in nearest_of(dev, known, 1))
    close = np.flatnonzero(distance < share * scale)
    if not len(close):
        return {}
    # Where train lies densely, near means nearer: the fifth neighbour tells the density, whatever copies come before.
    around, _ = nearest_of(known[nearest[close]], known, min(DENSITY + 1, len(known)))
    local = around[:, -1] * DENSITY ** (-1 / d)
    close = close[distance[close] < share * np.minimum(scale, local)]
    return {int(i): Pair(int(i), int(rows[nearest[i]]), float(distance[i] / scale)) for i in close}


def dimension(own: Floats) -> float:
    """Intrinsic dimension D: the distances to the second and the first neighbour have a ratio with exponent D (Pareto).

    Args:
        own: (n, 2) distances of examples to their two nearest neighbours.
    """
    ratio = np.sort(own[:, 1] / np.maximum(own[:, 0], 1e-12))
    ratio = ratio[: max(1, int(0.9 * len(ratio)))]  # the largest ones are near copies within train
    logs = np.log(np.maximum(ratio, 1 + 1e-9))
    # the mean of the lower 90 % of an exponential is 1 - 0.1 ln(10) / 0.9 of the whole one's
    return max(0.1, (1 - 0.1 * math.log(10) / 0.9) / max(float(logs.mean()), 1e-9))


def near_share(d: float) -> float:
    """The share of the usual distance below which an example is a near copy.

    In d dimensions a share r of the median is undercut by 1 - 2^-(r^d) of examples by chance.
    """
    return float(min(NEAR, (-math.log2(1 - BY_CHANCE)) ** (1 / d)))


def nearest_of(a: Floats, b: Floats, k: int) -> tuple[Floats, Ids]:
    """Distances (n, k) and rows (n, k) of the k nearest of b to each of a."""
    squares = (b**2).sum(axis=1)
    distances, rows = [], []
    for start in range(0, len(a), AT_ONCE):
        part = a[start : start + AT_ONCE]
        gram = squares - 2 * part @ b.T
        best = np.argpartition(gram, min(k, gram.shape[1] - 1), axis=1)[:, :k]
        exact = np.linalg.norm(part[:, None] - b[best], axis=2)  # differences: a copy is at 0, not at rounding
        order = np.argsort(exact, axis=1, kind="stable")
        distances.append(np.take_along_axis(exact, order, axis=1))
        rows.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(distances), np.concatenate(rows)


def thumbnails_of(examples: Examples) -> Floats:
    """(n, 256) thumbnails of mean 0 and deviation 1, so that brightness and compression do not count."""
    flat = examples.thumbnails().reshape(len(examples), -1).astype(np.float64)  # type: ignore[attr-defined]
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(flat.std(axis=1, keepdims=True), 4.0))  # a blank one is like no other


FEWEST_NUMBERS = 4


def _numbers(dev: TableExamples, train: TableExamples) -> tuple[Floats, Floats] | None:
    """Rows as points: measured numbers in standard deviations, categories far apart; None where few are measured."""
    names = list(dev.input_columns)
    a, b = train.frame(names), dev.frame(names)
    parts_a: list[Floats] = []
    parts_b: list[Floats] = []
    measured = 0
    for name in names:
        kind = train.column_types[name].kind
        if kind == "number":
            x, y = (each[name].to_numpy(dtype=np.float64, na_value=np.nan) for each in (a, b))
            spread = float(np.nanstd(x)) if np.isfinite(x).any() else 0.0
            if not spread:
                continue
            middle = float(np.nanmedian(x))
            measured += float(np.mean(x[np.isfinite(x)] % 1 != 0)) > 0.5
            for parts, values in ((parts_a, x), (parts_b, y)):
                parts.append((np.where(np.isfinite(values), values, middle + 10 * spread) - middle) / spread)
        elif kind in ("category", "boolean"):
            levels = pd.Index(a[name].astype(object).dropna().unique())
            for parts, frame in ((parts_a, a), (parts_b, b)):
                place = levels.get_indexer(pd.Index(frame[name].astype(object)))  # -1: missing, or not in train
                parts.append(10.0 * place.astype(np.float64))
    if measured < FEWEST_NUMBERS:
        return None
    return np.stack(parts_b, axis=1), np.stack(parts_a, axis=1)


# -- strings ------------------------------------------------------------------------------------------------------


def _texts(examples: Examples) -> list[str]:
    return [str(each.input) for each in examples]


def _normal(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s.,;:!?\"']", text.casefold()))


def _pieces(text: str) -> frozenset[str]:
    text = _normal(text)
    return frozenset(text[i : i + GRAMS] for i in range(max(1, len(text) - GRAMS + 1)))


def same_pieces(dev: Sequence[str], train: Sequence[str], seed: int = 0) -> dict[int, Pair]:
    """Row of dev -> the row of train that shares most pieces of five symbols, where that is at least four in five.

    MinHash brings candidates together (32 bands of 4 hashes find nearly all pairs that alike, 99.99 %), and the exact
    share decides.
    """
    pieces = [[_pieces(text) for text in texts] for texts in (dev, train)]
    long = [np.flatnonzero([len(each) >= FEWEST_PIECES for each in part]) for part in pieces]
    marks = [minhash([part[i] for i in rows], seed) for part, rows in zip(pieces, long, strict=True)]
    width = NUM_HASHES // NUM_BANDS
    found: dict[int, Pair] = {}
    best: dict[int, float] = {}
    for band in range(NUM_BANDS):
        columns = slice(band * width, (band + 1) * width)
        buckets: dict[bytes, list[int]] = {}
        for row, mark in zip(long[1], marks[1][:, columns], strict=True):
            buckets.setdefault(mark.tobytes(), []).append(int(row))
        for row, mark in zip(long[0], marks[0][:, columns], strict=True):
            for other in buckets.get(mark.tobytes(), ())[:50]:
                a, b = pieces[0][row], pieces[1][other]
                share = len(a & b) / len(a | b)
                if share >= ALIKE and share > best.get(int(row), 0.0):
                    best[int(row)] = share
                    found[int(row)] = Pair(int(row), other, 1 - share)
    return found


def minhash(sets: Sequence[frozenset[str]], seed: int = 0) -> NDArray[np.uint64]:
    """(n, 128) of each set the least hash of its elements, under 128 functions; as often equal as two sets overlap."""
    prime = np.uint64((1 << 31) - 1)
    rng = np.random.default_rng(seed)
    a = rng.integers(1, int(prime), NUM_HASHES, dtype=np.uint64)
    b = rng.integers(0, int(prime), NUM_HASHES, dtype=np.uint64)
    marks = np.empty((len(sets), NUM_HASHES), dtype=np.uint64)
    for i, each in enumerate(sets):
        keys = pd.util.hash_array(np.array(sorted(each), dtype=object)) & np.uint64((1 << 31) - 1)
        marks[i] = ((keys[:, None] * a + b) % prime).min(axis=0)
    return marks


# -- entities and time --------------------------------------------------------------------------------------------


def _entities(dev: TableExamples, train: TableExamples, scores: Scores, metric: Metric, train_ids: Ids) -> list[Leak]:
    """Columns whose values name things with a few rows each, on both sides of the split, that share their target."""
    targets = _targets(dev, train)
    if targets is None:
        return []
    found = []
    for name in dict.fromkeys((*train.column_types,)):
        if name in dev.target_columns or train.column_types[name].kind not in ("id", "text", "category"):
            continue
        a, b = (pd.Series(each.frame([name])[name].astype(object)) for each in (train, dev))
        counts = a.value_counts()
        if len(counts) < ENTITY_LEVELS or float((counts**2).sum() / counts.sum()) > ENTITY_ROWS:
            continue
        first = pd.Series(np.arange(len(a)), index=a).groupby(level=0).first()
        place = b.map(first)
        shared = np.flatnonzero(place.notna().to_numpy() & b.notna().to_numpy())
        if len(shared) < max(FEWEST_SHARED, ENTITY_SHARE * len(dev)):
            continue
        partner = place.iloc[shared].to_numpy(dtype=np.int64)
        beyond = _agreement(targets[0][shared], targets[1][partner], targets[1])
        if beyond < AGREES:
            continue
        pairs = {int(i): Pair(int(i), int(j)) for i, j in zip(shared, partner, strict=True)}
        found.append(
            _leak(
                f"{ENTITY}: {name}",
                pairs,
                scores,
                metric,
                train_ids,
                f'rows of train have the same "{name}", and targets agree {100 * beyond:.0f} points beyond chance',
                f'If new data brings new values of "{name}", split by it: --set data.group={name}',
            )
        )
    return found


def _neighbours_in_time(
    dev: TableExamples, train: TableExamples, scores: Scores, metric: Metric, train_ids: Ids
) -> list[Leak]:
    """Dates: dev rows that lie between rows of train whose targets are nearly theirs."""
    targets = _targets(dev, train)
    if targets is None:
        return []
    found = []
    for name, column in train.column_types.items():
        if column.kind != "date":
            continue
        a, b = (each.frame([name])[name].to_numpy().astype("datetime64[ms]") for each in (train, dev))
        known, there = np.flatnonzero(~np.isnat(a)), np.flatnonzero(~np.isnat(b))
        if len(known) < FEWEST_SHARED or len(there) < FEWEST_SHARED:
            continue
        order = known[np.argsort(a[known], kind="stable")]
        times, wanted = a[order].astype(np.int64), b[there].astype(np.int64)
        at = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
        at -= np.abs(wanted - times[at - 1]) <= np.abs(wanted - times[at])
        partner = order[at]
        between = (wanted >= times[0]) & (wanted <= times[-1])
        beyond = _agreement(targets[0][there], targets[1][partner], targets[1])
        if between.mean() < 0.5 or beyond < 2 * AGREES:
            continue
        apart = np.abs(a[partner].astype(np.int64) - wanted)
        pairs = {int(i): Pair(int(i), int(j)) for i, j in zip(there, partner, strict=True)}
        found.append(
            _leak(
                f"{TIME}: {name}",
                pairs,
                scores,
                metric,
                train_ids,
                f"dev lies between rows of train, {_span_of(float(np.median(apart)))} from the nearest, and their "
                f"targets agree {100 * beyond:.0f} points beyond chance",
                f"If it is to answer for times to come, let dev and test come last: --set data.time={name}",
            )
        )
    return found


def _targets(dev: TableExamples, train: TableExamples) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The first target of both: numbers, or texts."""
    both = [np.asarray(each.targets()) for each in (dev, train)]
    both = [values[:, 0] if values.ndim == 2 else values for values in both]
    return (both[0], both[1]) if len(both[0]) and len(both[1]) else None


def _agreement(a: NDArray[Any], b: NDArray[Any], all_b: NDArray[Any]) -> float:
    """How much the targets of partners agree beyond chance: share of equal classes, or correlation of numbers."""
    known = ~(pd.isna(a) | pd.isna(b))
    a, b, all_b = a[known], b[known], all_b[~pd.isna(all_b)]
    if len(a) < FEWEST_SHARED:
        return 0.0
    if a.dtype.kind in "iuf" and len(np.unique(all_b)) > 10:
        x, y = a.astype(float), b.astype(float)
        return float(np.corrcoef(x, y)[0, 1]) if x.std() and y.std() else 0.0
    shares = pd.Series(all_b).value_counts(normalize=True)
    return float((a == b).mean() - pd.Series(a).map(shares).fillna(0).mean())


def _span_of(milliseconds: float) -> str:
    for size, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if milliseconds >= size:
            count = round(milliseconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{milliseconds / 1000:.0f} seconds"
