"""What is odd about the data, found before any training.

One function a check, its thresholds named above it; each is quiet on clean data. Checks that would cost more than a few
seconds look at a sample and say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orthogon.data.augment import AugmentConfig, sided
from orthogon.data.examples import SPLIT_NAMES, Examples, Finding, Severity, Splits, plural
from orthogon.data.split import Difference, differ

SHOWN = 5  # places that a finding names
KEYS_AT_MOST = 2_000_000  # more examples than this are sampled for duplicates
NEAR_AT_MOST = 50_000  # examples among which near-duplicates are looked for
NUMBER_CLASSES_AT_MOST = 10  # whole numbers with no more different values than this count as classes
COLUMN_ROWS = 5_000  # rows from which a column is judged
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class _Table(Protocol):
    """What the checks of tables need: `TableExamples` has it."""

    input_columns: Sequence[str]
    target_columns: Sequence[str]
    column_types: Mapping[str, Any]

    def frame(
        self, columns: Sequence[str] | None = None, rows: NDArray[np.int64] | Sequence[int] | None = None
    ) -> pd.DataFrame: ...


@dataclass(frozen=True)
class _Target:
    """One of the columns to be predicted.

    Attributes:
        name: empty where it is the only one.
        values: (n,) float with NaN, or texts with None.
    """

    name: str
    values: NDArray[Any]

    @property
    def prefix(self) -> str:
        return f'Target "{self.name}": ' if self.name else ""

    @property
    def the(self) -> str:
        return f'the target "{self.name}"' if self.name else "the target"

    @cached_property
    def classes(self) -> tuple[NDArray[np.int64], list[str]] | None:
        """(n,) class numbers (-1 missing) and names; None where the targets are values."""
        codes, names = pd.factorize(self.values)
        if self.values.dtype.kind in "iuf":  # 0 and 1, or grades: classes that happen to be numbers
            if len(names) > NUMBER_CLASSES_AT_MOST or (names % 1 != 0).any():
                return None
            names = names.astype(np.int64)
        return codes.astype(np.int64), [str(name) for name in names]


class _Data:
    """The examples, and what several checks ask of them, computed once."""

    def __init__(self, examples: Examples, splits: Splits | None) -> None:
        self.examples = examples
        self.splits = splits
        self.n = len(examples)
        self.rng = np.random.default_rng(0)

    @cached_property
    def targets(self) -> NDArray[Any]:
        return self.examples.targets()

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) where every target is missing."""
        missing: NDArray[np.bool_] = np.asarray(pd.isna(self.targets))
        return np.asarray(missing.all(axis=1)) if missing.ndim == 2 else missing

    @cached_property
    def each_target(self) -> list[_Target]:
        """The columns to be predicted, one by one."""
        if self.targets.ndim == 1:
            return [_Target("", self.targets)]
        assert self.table is not None
        found = []
        for name, column in zip(self.table.target_columns, self.targets.T, strict=True):
            number = self.table.column_types[name].kind == "number"
            found.append(_Target(name, column.astype(np.float64) if number else column))
        return found

    @cached_property
    def labels(self) -> list[tuple[_Target, NDArray[np.int64], list[str]]]:
        """(target, (n,) class numbers, names) of each target of classes; strings have none."""
        if self.examples.modality == "strings":
            return []
        return [(target, *target.classes) for target in self.each_target if target.classes is not None]

    @cached_property
    def keyed(self) -> NDArray[np.int64]:
        """Rows whose content keys are compared: all, or a sample with all of dev and test."""
        if self.n <= KEYS_AT_MOST:
            return np.arange(self.n)
        return np.sort(self.rng.choice(self.n, KEYS_AT_MOST, replace=False))

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(len(keyed),) hash of each input."""
        if len(self.keyed) == self.n:
            return self.examples.content_keys()
        return self.examples.take(self.keyed).content_keys()

    @cached_property
    def part(self) -> NDArray[np.int8]:
        """(n,) position in SPLIT_NAMES, -1 for examples in no part."""
        part = np.full(self.n, -1, dtype=np.int8)
        if self.splits is not None:
            for name, ids in self.splits.parts.items():
                part[ids] = SPLIT_NAMES.index(name)
        return part

    def sample(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        return rows if len(rows) <= most else np.sort(self.rng.choice(rows, most, replace=False))

    def places(self, rows: Sequence[int] | NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(str(self.examples[int(i)].origin) for i in rows[:SHOWN])

    def pair_places(self, pairs: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        return tuple(f"{self.examples[a].origin} and {self.examples[b].origin}" for a, b in pairs[:SHOWN])

    @property
    def table(self) -> _Table | None:
        return cast(_Table, self.examples) if self.examples.modality == "table" else None

    @property
    def sampled(self) -> str:
        return "" if len(self.keyed) == self.n else f" in a sample of {len(self.keyed):,}"


Check = Callable[[_Data], Iterator[Finding]]


def check(examples: Examples, splits: Splits | None = None) -> list[Finding]:
    """Everything odd about the data, errors first; the reader's own notes are among it.

    Args:
        examples: all examples of the project.
        splits: who is in which part; without it, what concerns parts is not looked at.
    """
    data = _Data(examples, splits)
    found = [*getattr(examples, "notes", ())]
    if data.n:
        found += [finding for each in CHECKS for finding in each(data)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


# -- examples -----------------------------------------------------------------------------------------------------


def unreadable(data: _Data) -> Iterator[Finding]:
    aside = getattr(data.examples, "set_aside", ())
    if aside:
        places = tuple(f"{origin}: {why}" for origin, why in aside[:SHOWN])
        total = data.n + len(aside)
        are = "is" if len(aside) == 1 else "are"
        message = (
            f"{len(aside):,} of {plural(total, 'example')} could not be read and {are} set aside, "
            f"the first: {places[0]}."
        )
        yield Finding("unreadable", "warning", message, len(aside), places, "Repair or remove them.")


MANY_COPIES = 0.05  # share of copies from which they distort the figures


def duplicate_exact(data: _Data) -> Iterator[Finding]:
    repeated = pd.Series(data.keys).duplicated().to_numpy()
    count = int(repeated.sum())
    if not count:
        return
    share = count / len(data.keys)
    known = data.splits is not None and data.examples.given_split is None
    copies = "is an exact copy" if count == 1 else "are exact copies"
    where = " in the columns the network reads" if data.table is not None else ""
    yield Finding(
        "duplicate-exact",
        "warning" if share >= MANY_COPIES else "note",
        f"{plural(count, 'example')} ({share:.1%}) {copies} of another input{where}{data.sampled}.",
        count,
        data.places(data.keyed[np.flatnonzero(repeated)[:SHOWN]]),
        ("Copies stay in one part, so they leak nothing. " if known else "")
        + "Remove them if they are accidents: each weighs as much as a new example.",
    )


CONFLICTS_MATTER = 0.005  # share of examples that no system can answer right


def conflicting_labels(data: _Data) -> Iterator[Finding]:
    strings = data.examples.modality == "strings"
    answers = [(target, *pd.factorize(target.values)) for target in data.each_target] if strings else data.labels
    for target, codes, names in answers:
        frame = pd.DataFrame({"key": data.keys, "label": codes[data.keyed], "row": data.keyed})
        frame = frame[frame.label >= 0]
        frame = frame[frame.duplicated("key", keep=False)]
        labels = frame.groupby("key").label.nunique()
        frame = frame[frame.key.isin(labels.index[labels > 1])]
        if frame.empty:
            continue
        sizes = frame.groupby(["key", "label"]).size()
        lost = len(frame) - int(sizes.groupby(level="key").max().sum())
        pairs = []
        for _, group in list(frame.groupby("key", sort=False))[:SHOWN]:
            a = group.iloc[0]
            b = group[group.label != a.label].iloc[0]
            pairs.append(
                f'{data.examples[int(a.row)].origin} "{names[int(a.label)]}", '
                f'{data.examples[int(b.row)].origin} "{names[int(b.label)]}"'
            )
        share = lost / len(data.keys)
        what = "source as another but a different target" if strings else "input as another but a different label"
        yield Finding(
            "conflicting-labels",
            "warning" if share >= CONFLICTS_MATTER else "note",
            f"{target.prefix}{len(frame):,} examples have the same {what}{data.sampled}: at least "
            f"{lost:,} ({share:.2%}) cannot be answered right by any system.",
            len(frame),
            tuple(pairs),
            "Keep one target a source, or expect no more exact matches than that."
            if strings
            else "Correct the labels, or add what tells these inputs apart.",
        )


FEW_ACROSS = 0.01  # share of dev and test below which their copies in train move no figure


def duplicate_across(data: _Data) -> Iterator[Finding]:
    """Only a split of the user's own can have this: Orthogon's keeps copies together."""
    if data.splits is None:
        return
    part = data.part[data.keyed]
    held = part >= SPLIT_NAMES.index("dev")
    train = pd.unique(data.keys[(part >= 0) & ~held])
    crossing = np.flatnonzero(held)[np.isin(data.keys[held], train)]
    if len(crossing):
        share = len(crossing) / max(int(held.sum()), 1)
        are, they = ("is", "it flatters") if len(crossing) == 1 else ("are", "they flatter")
        yield Finding(
            "duplicate-across",
            "warning" if share >= FEW_ACROSS else "note",
            f"{plural(len(crossing), 'example')} of dev or test ({share:.1%}) {are} also in train"
            f"{data.sampled}: {they} the system.",
            len(crossing),
            data.places(data.keyed[crossing]),
            "Remove them from train, or let Orthogon split.",
        )


MIN_CORRELATION = 0.998  # between thumbnails, from which two pictures count as one
MIN_DEVIATION = 4.0  # of a thumbnail's grey values (0..255); below, a picture is blank and like any other blank
ALL_PAIRS_AT_MOST = 6_000  # pictures of which every pair is compared; more are compared within equal coarse hashes


ROOM_FOR_CHANCE = 100  # combinations of rounded numbers for each pair of rows: fewer, and chance makes pairs


def duplicate_near(data: _Data) -> Iterator[Finding]:
    """Inputs that differ by compression, rounding, case or spaces only."""
    if data.n < 2:
        return
    rows = data.sample(np.arange(data.n), NEAR_AT_MOST)
    some = data.examples if len(rows) == data.n else data.examples.take(rows)
    pairs = _near_pictures(some) if data.examples.modality == "image" else _near_texts(some, data)
    if not pairs:
        return
    pairs = [(int(rows[a]), int(rows[b])) for a, b in pairs]
    held = SPLIT_NAMES.index("dev")
    across = [pair for pair in pairs if min(data.part[list(pair)]) >= 0 and len({*(data.part[list(pair)] >= held)}) > 1]
    message = f"{len(pairs):,} {'pair' if len(pairs) == 1 else 'pairs'} of inputs are nearly the same"
    if len(rows) < data.n:
        message += f" in a sample of {len(rows):,}"
    if across:
        message += f", {len(across):,} of them with one in train and one in dev or test"
    many = len(across) > FEW_ACROSS * max(int((data.part[rows] >= held).sum()), 1)
    yield Finding(
        "duplicate-near",
        "warning" if many else "note",
        message + ".",
        len(pairs),
        data.pair_places(across or pairs),
        "Name what belongs together in data.group, or remove one of each pair." if many else "Look at a few.",
    )


def _near_pictures(examples: Examples) -> list[tuple[int, int]]:
    thumbnails = examples.thumbnails().astype(np.float32)  # type: ignore[attr-defined]
    flat = thumbnails.reshape(len(thumbnails), -1)
    deviation = flat.std(axis=1)
    rows = np.flatnonzero(deviation >= MIN_DEVIATION)
    unit = (flat[rows] - flat[rows].mean(axis=1, keepdims=True)) / (deviation[rows, None] * np.sqrt(flat.shape[1]))
    keys = examples.content_keys()[rows]
    pairs: list[tuple[int, int]] = []
    if len(rows) <= ALL_PAIRS_AT_MOST:
        for start in range(0, len(rows), 1024):
            close = unit[start : start + 1024] @ unit.T >= MIN_CORRELATION
            first, second = np.nonzero(close)
            pairs += [(start + a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True) if start + a < b]
    else:
        small = thumbnails[rows].reshape(len(rows), 8, 2, 8, 2).mean(axis=(2, 4)).reshape(len(rows), 64)
        bits = np.packbits(small > np.median(small, axis=1, keepdims=True), axis=1).view(np.uint64)[:, 0]
        for members in pd.Series(np.arange(len(rows))).groupby(bits).indices.values():
            for position, a in enumerate(members[:50]):
                others = members[position + 1 : 50]
                pairs += [(int(a), int(b)) for b in others[unit[others] @ unit[a] >= MIN_CORRELATION]]
    return [(int(rows[a]), int(rows[b])) for a, b in pairs if keys[a] != keys[b]]


def _near_texts(examples: Examples, data: _Data) -> list[tuple[int, int]]:
    """Pairs of rows or strings with different content but equal once rounded and normalised."""
    if data.table is None:
        sources = examples.inputs() if hasattr(examples, "inputs") else [each.input for each in examples]
        forms = np.array([_normal(str(source)) for source in sources], dtype=object)
    else:
        rounded = _rounded_rows(cast(_Table, examples))
        if rounded is None:
            return []
        forms = rounded
    keys = examples.content_keys()
    frame = pd.DataFrame({"form": forms, "key": keys, "row": np.arange(len(keys))})
    frame = frame.drop_duplicates(["form", "key"])
    frame = frame[frame.duplicated("form", keep=False)]
    pairs = []
    for group in frame.groupby("form", sort=False).row:
        members = group[1].tolist()
        pairs += [(members[0], other) for other in members[1:]]
    return pairs


def _normal(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s.,;:!?\"']", text.casefold()))


def _rounded_rows(table: _Table) -> NDArray[Any] | None:
    """A hash of each row with its measured numbers rounded to 3 digits; None where rows would be equal by chance."""
    frame = table.frame(list(table.input_columns))
    measured = [
        name
        for name in frame
        if frame[name].dtype.kind == "f" and len(frame) and (frame[name].dropna() % 1 != 0).mean() > 0.5
    ]
    combinations = 1.0
    for name in measured:
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 10.0 ** (2 - np.floor(np.log10(np.abs(values))))
            frame[name] = np.where(np.isfinite(scale), np.round(values * scale) / scale, values)
        combinations *= frame[name].nunique()
    if combinations < ROOM_FOR_CHANCE * len(frame) ** 2:
        return None
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()


# -- targets ------------------------------------------------------------------------------------------------------


def target_missing(data: _Data) -> Iterator[Finding]:
    count = int(data.missing.sum())
    if count:
        everything = count == data.n
        yield Finding(
            "target-missing",
            "error" if everything else "warning" if count >= 0.05 * data.n else "note",
            f"{'All ' if everything else ''}{count:,} of {data.n:,} examples have no target"
            + ("." if everything else " and are used for nothing."),
            count,
            data.places(np.flatnonzero(data.missing)),
            "Fill in the target, or name the right column with --target.",
        )


def target_constant(data: _Data) -> Iterator[Finding]:
    columns = data.targets.reshape(data.n, -1)
    table = data.table
    for j in range(columns.shape[1]):
        values = pd.unique(pd.Series(columns[:, j]).dropna())
        if len(values) == 1:
            name = f' "{table.target_columns[j]}"' if table is not None and len(table.target_columns) > j else ""
            yield Finding(
                "target-constant",
                "error",
                f'The target{name} is always "{values[0]}": there is nothing to learn.',
                data.n,
                data.places([0]),
                "Add examples with another target" + (", or name another column: --target COLUMN." if table else "."),
            )


def label_spelling(data: _Data) -> Iterator[Finding]:
    """Labels that differ only by spaces, case or punctuation at the end."""
    for target, codes, names in data.labels:
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        forms: dict[str, list[int]] = {}
        for k, name in enumerate(names):
            if len(name.strip()) > 1:  # "A" and "a" can be two letters of an alphabet
                form = re.sub(r"(?<=[^\W\d])[\s_-]+(?=[^\W\d])", "", name.casefold().strip().rstrip(" .,;:!?"))
                forms.setdefault(form or name, []).append(k)
        for same in forms.values():
            if len(same) > 1:
                same = sorted(same, key=lambda k: -counts[k])
                spelled = ", ".join(f'"{names[k]}" ({counts[k]:,})' for k in same)
                rest = int(counts[same[1:]].sum())
                yield Finding(
                    "label-spelling",
                    "warning",
                    f"{target.prefix}These labels differ only by space, case or punctuation: {spelled}.",
                    rest,
                    data.places(np.flatnonzero(np.isin(codes, same[1:]))),
                    f'Write them all as "{names[same[0]]}".',
                )


FEW_IN_TRAIN = 10  # examples of a class below which little can be learned
LARGEST_RATIO = 20  # between the most and the least frequent class


def rare_classes(data: _Data) -> Iterator[Finding]:
    inside = (data.part == SPLIT_NAMES.index("train")) if data.splits is not None else np.ones(data.n, dtype=bool)
    for target, codes, names in data.labels:
        counts = np.bincount(codes[inside & (codes >= 0)], minlength=len(names))
        rare = [k for k in np.argsort(counts, kind="stable").tolist() if 0 < counts[k] < FEW_IN_TRAIN]
        if rare:
            shown = ", ".join(f'"{names[k]}" ({counts[k]})' for k in rare[:SHOWN])
            more = f" and {len(rare) - SHOWN:,} more" if len(rare) > SHOWN else ""
            where = "in train" if data.splits is not None else "in all"
            yield Finding(
                "class-rare",
                "warning",
                f"{target.prefix}{len(rare):,} of {len(names):,} classes have fewer than {FEW_IN_TRAIN} examples "
                f"{where}: {shown}{more}.",
                len(rare),
                data.places([int(np.flatnonzero(codes == k)[0]) for k in rare[:SHOWN]]),
                "Collect more of them, or merge them into a wider class.",
            )


def imbalance(data: _Data) -> Iterator[Finding]:
    for target, codes, names in data.labels:
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        if len(counts) < 2 or counts.max() < LARGEST_RATIO * counts.min() or len(names) > 0.5 * data.n:
            continue
        share = counts / counts.sum()
        most, least = int(counts.argmax()), int(counts.argmin())
        yield Finding(
            "imbalance",
            "note",
            f'{target.prefix}"{names[most]}" makes up {share[most]:.1%} of the examples, "{names[least]}" '
            f"{share[least]:.2%}: always answering the first is {share[most]:.1%} right.",
            int(counts[least]),
            (),
            "Judge by F1 rather than accuracy; training.class_weights=balanced makes all classes weigh the same.",
        )


def absent_classes(data: _Data) -> Iterator[Finding]:
    if data.splits is None:
        return
    for target, codes, names in data.labels:
        for part in [name for name in ("dev", "test") if name in data.splits]:
            seen = np.bincount(codes[data.splits[part]][codes[data.splits[part]] >= 0], minlength=len(names))
            absent = np.flatnonzero((seen == 0) & (np.bincount(codes[codes >= 0], minlength=len(names)) > 0)).tolist()
            if absent and len(names) <= 0.5 * data.n:
                shown = ", ".join(f'"{names[k]}"' for k in absent[:SHOWN])
                more = f" and {len(absent) - SHOWN:,} more" if len(absent) > SHOWN else ""
                yield Finding(
                    "class-absent",
                    "warning",
                    f"{target.prefix}{part} has no example of {shown}{more}, so figures per class leave that out.",
                    len(absent),
                    (),
                    f"Collect more, or enlarge data.{part}.",
                )


# -- columns of tables --------------------------------------------------------------------------------------------


def empty_columns(data: _Data) -> Iterator[Finding]:
    """Columns without a value, and columns with one value only."""
    table = data.table
    if table is None or data.n < 2:
        return
    names = [name for name in table.column_types if name not in table.target_columns]
    few = table.frame(names, data.sample(np.arange(data.n), COLUMN_ROWS))
    suspects = [name for name in names if few[name].nunique(dropna=False) <= 1]
    for name in suspects:
        levels = pd.unique(table.frame([name])[name])
        if len(levels) != 1:
            continue
        if pd.isna(levels[0]):
            message = f'Column "{name}" has no value in any row.'
            yield Finding("column-empty", "warning", message, data.n, (), f'Remove it, or add "{name}" to data.ignore.')
        else:
            message = f'Column "{name}" is always "{levels[0]}" and tells nothing.'
            yield Finding("column-constant", "note", message, data.n, (), f'Remove it, or add "{name}" to data.ignore.')


GIVEN_AWAY = 0.03  # error of one column alone, as a share of the error of always answering the most frequent class
GIVEN_AWAY_R2 = 0.995  # explained by one column alone
TREE_LEAVES = 64
CHANCE_ERROR = 0.02  # below, the most frequent class is nearly always right and nothing can be told


def leakage_columns(data: _Data) -> Iterator[Finding]:
    """Columns that alone give the target away: a small tree fitted on one half of a sample, tested on the other."""
    table = data.table
    if table is None or not len(table.input_columns):
        return
    for target in data.each_target:
        rows = data.sample(np.flatnonzero(~pd.isna(target.values)), COLUMN_ROWS)
        if len(rows) < 50:
            continue
        yield from _leakage_into(data, table, target, rows)


def _leakage_into(data: _Data, table: _Table, target: _Target, rows: NDArray[np.int64]) -> Iterator[Finding]:
    frame = table.frame(list(table.input_columns), rows)
    y = target.values[rows]
    order = data.rng.permutation(len(rows))
    fit, test = order[::2], order[1::2]
    for name in frame:
        number = _as_numbers(frame[name])
        gone = np.isnan(number)
        share, is_class = _given_away(np.column_stack([np.nan_to_num(number), gone]), y, fit, test)
        if share is None:
            continue
        gone_share = (
            _given_away(gone[:, None].astype(float), y, fit, test)[0] if gone.any() and not gone.all() else None
        )
        by_gap = gone_share is not None and gone_share <= (GIVEN_AWAY if is_class else 1 - GIVEN_AWAY_R2)
        if share > (GIVEN_AWAY if is_class else 1 - GIVEN_AWAY_R2):
            continue
        date = frame[name].dtype.kind == "M"
        how = "whether it is filled in" if by_gap else "its value"
        figure = f"{share:.1%} of the error of chance" if is_class else f"{1 - share:.1%} of the variance explained"
        yield Finding(
            "leakage-column",
            "warning",
            f'Column "{name}" alone gives {target.the} away: {how} leaves {figure}.'
            if is_class
            else f'Column "{name}" alone gives {target.the} away: {figure}.',
            len(rows),
            data.places(rows[:1]),
            f'If it is {"a date " if date else ""}known only after the fact, leave it out: data.ignore=["{name}"].',
        )


def _as_numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """A column as numbers a tree can cut: levels in order of the alphabet, dates as days, missing as NaN."""
    if column.dtype.kind in "iufb":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.clip(values, -1e30, 1e30)  # a tree computes in float32
    if column.dtype.kind == "M":
        return np.where(column.isna(), np.nan, column.astype("int64") / 86_400e3)
    codes = pd.factorize(column.astype(object), sort=False)[0].astype(np.float64)
    codes[codes < 0] = np.nan
    return codes


def _given_away(
    x: NDArray[np.float64], y: NDArray[Any], fit: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[float | None, bool]:
    """(error of a tree on these columns as a share of chance's, whether that is of classes); None: cannot be told."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x = x.astype(np.float32)
    if y.dtype.kind in "iuf" and len(np.unique(y)) > 10:
        variance = float(np.var(y[test]))
        if variance == 0:
            return None, False
        tree = DecisionTreeRegressor(max_leaf_nodes=4 * TREE_LEAVES, min_samples_leaf=2, random_state=0)
        error = tree.fit(x[fit], y[fit]).predict(x[test]) - y[test]
        return float(np.mean(error**2)) / variance, False
    labels = y.astype(str)
    names, counts = np.unique(labels[fit], return_counts=True)
    chance = float(np.mean(labels[test] != names[counts.argmax()]))
    if len(names) < 2 or chance < CHANCE_ERROR or len(names) > 0.2 * len(fit):
        return None, True
    leaves = DecisionTreeClassifier(max_leaf_nodes=max(TREE_LEAVES, 4 * len(names)), min_samples_leaf=2, random_state=0)
    return float(np.mean(leaves.fit(x[fit], labels[fit]).predict(x[test]) != labels[test])) / chance, True


PAIR_COLUMNS = 60  # numeric columns of which pairs are summed
PAIR_ROWS = 400


def leakage_sums(data: _Data) -> Iterator[Finding]:
    """Two columns whose sum or difference is the target: casual + registered = count."""
    table = data.table
    if table is None:
        return
    names = [name for name in table.input_columns if table.column_types[name].kind == "number"][:PAIR_COLUMNS]
    for target in data.each_target:
        if target.values.dtype.kind not in "iuf":
            continue
        rows = data.sample(np.flatnonzero(np.isfinite(target.values)), PAIR_ROWS)
        if len(names) < 2 or len(rows) < 20:
            continue
        x = table.frame(names, rows).to_numpy(dtype=np.float64, na_value=np.nan)
        y = target.values[rows]
        tolerance = 1e-6 * np.maximum(np.abs(y), 1)
        pairs = [(i, j, "+") for i in range(len(names)) for j in range(i + 1, len(names))]
        pairs += [(i, j, "-") for i in range(len(names)) for j in range(len(names)) if i != j]
        for i, j, sign in pairs:
            total = x[:, i] + (x[:, j] if sign == "+" else -x[:, j])
            if np.mean(np.abs(total - y) <= tolerance) > 0.98 and min(np.ptp(x[:, i]), np.ptp(x[:, j])) > 0:
                yield Finding(
                    "leakage-sum",
                    "warning",
                    f'"{names[i]}" {sign} "{names[j]}" is {target.the}: together they give it away.',
                    len(rows),
                    data.places(rows[:1]),
                    f'If they are known only after the fact, leave them out: data.ignore=["{names[i]}", "{names[j]}"].',
                )


def row_order(data: _Data) -> Iterator[Finding]:
    """Columns that only count the rows, and tables in order of a date that nobody named."""
    table = data.table
    if table is None or data.n < 100:
        return
    rows = data.sample(np.arange(data.n), COLUMN_ROWS)
    names = [name for name in table.input_columns if table.column_types[name].kind in ("number", "date")]
    frame = table.frame(names, rows) if names else pd.DataFrame()
    for name in names:
        values = _as_numbers(frame[name])
        steps = np.diff(values)
        if np.isnan(values).any() or not ((steps > 0).all() or (steps < 0).all()):
            in_time = table.column_types[name].kind == "date" and not np.isnan(values).any() and (steps >= 0).all()
            if not (in_time and data.examples.times is None and np.ptp(values) > 0):
                continue
        if table.column_types[name].kind == "date":
            if data.examples.times is None:
                yield Finding(
                    "time-order",
                    "note",
                    f'The rows are in order of "{name}". If the system will predict later rows from earlier ones, a '
                    "random split flatters it.",
                    data.n,
                    (),
                    f"Split by time: data.time={name}.",
                )
        else:
            yield Finding(
                "row-order-key",
                "warning",
                f'Column "{name}" only grows from row to row: it numbers the rows and tells nothing about new ones.',
                data.n,
                data.places([0]),
                f'Leave it out: data.ignore=["{name}"].',
            )


# -- augmentation -------------------------------------------------------------------------------------------------

MOST_TURN = 60.0  # degrees; from here on a turned 6 begins to look like a 9
TURNED = (("6", "9"), ("six", "nine"), ("b", "q"), ("d", "p"), ("n", "u"), ("m", "w"), ("up", "down"))
COLOR_SAMPLE = 64  # pictures that are looked at for colour


def contradicting_augmentation(examples: Examples, config: AugmentConfig) -> list[Finding]:
    """Where a declared change makes of one class another, or of every picture what no picture is."""
    names = sorted({str(target) for target in examples.targets() if target is not None})
    words = [set(re.split(r"[\W_]+", name.casefold())) for name in names]
    found = []

    def add(code: str, message: str, count: int, remedy: str) -> None:
        found.append(Finding(code, "warning", message, count, (examples.name,), remedy))

    mirrored = sided(names)
    if config.flip and mirrored:
        shown = ", ".join(f'"{name}"' for name in mirrored[:SHOWN]) + (" and others" if len(mirrored) > SHOWN else "")
        add(
            "augment-flip",
            f"Pictures are mirrored, but a mirror image of {shown} is no longer of its class: digits, letters and "
            "sides have a left and a right.",
            len(mirrored),
            "Set task.augment.flip=0.",
        )
    turn = config.rotation * (1.0 if config.strength is None else config.strength)  # open: it will be 1
    pairs = [pair for pair in TURNED if all(any(each in word for word in words) for each in pair)]
    if turn > MOST_TURN and pairs:
        a, b = pairs[0]
        add(
            "augment-rotation",
            f'Pictures are turned by up to {turn:g} degrees, but a turned "{a}" is a "{b}".',
            2 * len(pairs),
            f"Set task.augment.rotation to {MOST_TURN:g} or less.",
        )
    painted = [name for name in ("color", "pca") if getattr(config, name)]
    if painted and config.strength != 0 and not _colourful(examples):
        keys = " and ".join(f"task.augment.{name}" for name in painted)
        add(
            "augment-color",
            f"The pictures are grey, but {keys} would tint them as no picture is.",
            len(examples),
            f"Set {keys} to 0; contrast and brightness vary the light of grey pictures.",
        )
    return found


def _colourful(examples: Examples) -> bool:
    if getattr(examples, "channels", 3) == 1:
        return False
    rows = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), COLOR_SAMPLE)).round().astype(int))
    return any(np.ptp(np.asarray(examples[int(i)].input), axis=-1).any() for i in rows)


# -- parts --------------------------------------------------------------------------------------------------------

PART_SAMPLE = 5_000  # examples of each part that are compared
NUMBERS = ("number", "date")


def parts_differ(data: _Data) -> Iterator[Finding]:
    """Each input counts once: copies stay in one part, which is no difference that anybody can mend."""
    if data.splits is None:
        return
    first = ~pd.Series(data.keys).duplicated().to_numpy() if len(data.keys) == data.n else np.ones(data.n, dtype=bool)
    features = {}
    for name in ("train", "dev", "test"):
        if name in data.splits and first[data.splits[name]].any():
            ids = data.splits[name]
            features[name] = _features(data, data.sample(ids[first[ids]], PART_SAMPLE))
    expected = data.examples.times is not None
    for a, b in (("dev", "test"), ("train", "dev")):
        if a not in features or b not in features:
            continue
        different = differ(features[a], features[b])
        if not different:
            continue
        other = (a == "train" and data.examples.domains is not None) or expected
        remedy = (
            "Expected, since they are of other domains or times; the error ladder shows what it costs."
            if other
            else "Dev and test must be what you care about, both from one distribution: shuffle them together."
            if a == "dev"
            else "If dev is what you care about, name its domain in data.target_domain; else shuffle and split anew."
        )
        yield Finding(
            f"parts-differ-{a}-{b}",
            "note" if other else "warning",
            f"{a} and {b} differ more than chance allows in {_named(different, a, b)}.",
            len(different),
            (),
            remedy,
        )


def _named(different: Sequence[Difference], a: str, b: str) -> str:
    shown = "; ".join(f"{each.column} ({each.says(a, b)})" for each in different[:3])
    return shown + (f"; and {len(different) - 3} more" if len(different) > 3 else "")


def _features(data: _Data, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Columns of these examples that two parts can be compared by."""
    features: dict[str, NDArray[Any]] = {}
    if data.examples.modality != "strings":
        for target in data.each_target:
            targets = target.values[rows]
            features[target.the] = targets if targets.dtype.kind in "iuf" else targets.astype(object)
    if data.table is not None:
        names = [n for n in data.table.input_columns if data.table.column_types[n].kind not in ("id", "text")]
        frame = data.table.frame(names, rows)
        for name in names:
            numeric = data.table.column_types[name].kind in NUMBERS
            if frame[name].dtype.kind == "M":
                features[name] = frame[name].to_numpy()
            else:
                features[name] = _as_numbers(frame[name]) if numeric else frame[name].astype(object).to_numpy()
    elif data.examples.modality == "image":
        thumbnails = data.examples.take(rows).thumbnails()  # type: ignore[attr-defined]
        flat = thumbnails.reshape(len(rows), -1).astype(np.float64)
        features |= {"brightness": flat.mean(axis=1), "contrast": flat.std(axis=1)}
    else:
        features["length of the source"] = np.array([len(str(data.examples[int(i)].input)) for i in rows], float)
        features["length of the target"] = np.array([len(str(text)) for text in data.targets[rows]], float)
    return features


def group_leak(data: _Data) -> Iterator[Finding]:
    """Groups in two parts; only a split of the user's own can have this."""
    if data.splits is None or data.examples.groups is None:
        return
    groups, names = pd.factorize(data.examples.groups)
    held = (data.part >= SPLIT_NAMES.index("dev")) & (groups >= 0)
    train = (data.part >= 0) & ~held & (groups >= 0)
    both = np.intersect1d(groups[held], groups[train])
    if len(both):
        rows = np.flatnonzero(held & np.isin(groups, both))
        shown = ", ".join(f'"{names[k]}"' for k in both[:SHOWN])
        yield Finding(
            "group-leak",
            "warning",
            f"{len(both):,} groups are in train and in dev or test ({shown}): {len(rows):,} examples there are of "
            "someone the system has met.",
            len(rows),
            data.places(rows),
            "Move each group into one part, or let Orthogon split.",
        )


def time_leak(data: _Data) -> Iterator[Finding]:
    """Train reaches past the start of test; only a split of the user's own can have this."""
    times = data.examples.times
    if data.splits is None or times is None or "test" not in data.splits:
        return
    values = pd.Series(times)
    first = values[data.splits["test"]].min()
    late = data.splits["train"][(values[data.splits["train"]] > first).to_numpy()]
    if len(late) and data.examples.given_split is not None:
        yield Finding(
            "time-leak",
            "warning",
            f"{plural(len(late), 'example')} of train {'is' if len(late) == 1 else 'are'} later than the first of test "
            f"({first}).",
            len(late),
            data.places(late),
            "Move them behind it, or let Orthogon split by data.time.",
        )


CHECKS: tuple[Check, ...] = (
    unreadable,
    target_missing,
    target_constant,
    label_spelling,
    conflicting_labels,
    duplicate_exact,
    duplicate_across,
    duplicate_near,
    rare_classes,
    imbalance,
    absent_classes,
    empty_columns,
    leakage_columns,
    leakage_sums,
    row_order,
    parts_differ,
    group_leak,
    time_leak,
)
