"""Train, train-dev, dev and test: who learns, and who only measures.

An example's *unit* is what must not be divided: copies of one input, members of one group (person, document), and
whatever these link together; its number is the position of its first member. Units are dealt out so that each part
holds equal shares of every stratum (class). Ten million examples take seconds and some hundred MiB, hence the int32.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2_contingency, ks_2samp

from orthogon.data.atomic import atomic_file
from orthogon.data.config import DataConfig
from orthogon.data.examples import SPLIT_NAMES, Examples, Splits, plural
from orthogon.errors import ConfigError, DataError, RunError, did_you_mean

TRAIN, TRAIN_DEV, DEV, TEST = range(4)  # positions in SPLIT_NAMES

SMALL, LARGE = 10_000, 1_000_000  # 60/20/20 up to SMALL, 98/1/1 at LARGE, a power law through both between and after
TARGET_DOMAIN_AT_MOST = 10_000  # of the target domain, dev and test get a quarter each, but no more than this
TRAIN_DEV_SHARE, TRAIN_DEV_LEAST, TRAIN_DEV_MOST = 0.05, 300, 0.2  # of train: max(300, 5 %), at most 20 %

# Settings that decide who is in which part; a change of any of them asks for a new split.
SPLIT_SETTINGS = ("target", "target_domain", "domain", "group", "time", "dev", "test", "train_dev", "train_fraction")


def split_sizes(n: int) -> dict[str, int]:
    """How many of n examples go to train, dev and test when nobody says.

    60/20/20 for small data, 98/1/1 at a million; between and beyond, dev and test grow as n^0.35.
    At least one each where n >= 3.

    >>> split_sizes(10_000)
    {'train': 6000, 'dev': 2000, 'test': 2000}
    >>> split_sizes(1_000_000)
    {'train': 980000, 'dev': 10000, 'test': 10000}
    """
    share = 0.2
    if n > SMALL:
        share *= (n / SMALL) ** (-math.log(20) / math.log(LARGE / SMALL))
    held = max(round(n * share), 1 if n >= 3 else 0)
    return {"train": n - 2 * held, "dev": held, "test": held}


def make_splits(examples: Examples, config: DataConfig, strata: NDArray[Any] | None = None, seed: int = 0) -> Splits:
    """Deal the examples out to train, train-dev, dev and test; the same for equal arguments.

    Copies of one input and members of one group stay together. The user's own dev and test parts are kept exactly as
    they are. With `target_domain`, only it is in dev and test, and half of it helps to train. With times, the latest
    examples are test and those before them dev. Examples without any target are in no part.

    Args:
        examples: what to split; `given_split`, `domains`, `groups` and `times` are honoured where they exist.
        config: sizes and rules. A share is of the examples that can be chosen: of the target domain where one is set,
            else of all that the user has not placed.
        strata: (n,) key that each part should hold in equal shares: the class, a quantile of the value. With strata,
            targets that are texts are classes, and train must not lack one.
        seed: decides every random choice.
    Raises:
        ConfigError: sizes or settings contradict each other.
        DataError: too few examples, groups or examples of the target domain; or a class absent from train.
    """
    n = len(examples)
    labelled = _labelled(examples)
    units, num_copies = _units(examples)
    part = np.full(n, TRAIN, dtype=np.int8)
    given = _given(examples, part)
    pool = (part == TRAIN) & labelled
    candidates = pool & _of_target_domain(examples, config)
    wanted = _wanted(examples, config, given, int(candidates.sum()), int(pool.sum()))

    # A unit with a member that may not be held out is not held out at all.
    fixed = np.zeros(n, dtype=bool)
    fixed[units[~candidates & labelled]] = True
    rows = np.flatnonzero(candidates & ~fixed[units])
    codes = _with_domains(_codes(strata, n)[0], examples)
    if wanted:
        if examples.times is None:
            part[rows] = _deal(rows, units, codes, wanted, _rng(seed, "dev and test"))
        else:
            part[rows] = _latest(rows, units, _ranks(examples.times), wanted)
        _check_filled(examples, part, wanted, units[rows])

    train_rows = np.flatnonzero((part == TRAIN) & labelled)
    num_train_dev = _train_dev_size(config, len(train_rows))
    if num_train_dev:
        part[train_rows] = _deal(train_rows, units, codes, {TRAIN_DEV: num_train_dev}, _rng(seed, "train-dev"))
        train_rows = np.flatnonzero((part == TRAIN) & labelled)
    if strata is not None:
        _check_classes(examples, part, labelled)
    kept = _nested_share(train_rows, codes[train_rows], config.train_fraction, _rng(seed, "train fraction"))

    parts = {SPLIT_NAMES[TRAIN]: kept}
    for p in (TRAIN_DEV, DEV, TEST):
        ids = np.flatnonzero((part == p) & labelled)
        if len(ids):
            parts[SPLIT_NAMES[p]] = ids
    reason = _reason(examples, config, strata, given, parts, num_copies, n - int(labelled.sum()))
    return Splits(parts, reason)


def folds(examples: Examples, k: int, strata: NDArray[Any] | None = None, seed: int = 0) -> NDArray[np.int64]:
    """(n,) number of the fold of each example, 0 to k - 1: nearly equal in size and in every stratum.

    Copies of one input and members of one group are in one fold, as they are in one part of a split.
    """
    n = len(examples)
    units, codes = _units(examples)[0], _codes(strata, n)[0]
    sizes = np.bincount(units, minlength=n)
    order = _rng(seed, "folds").permutation(np.flatnonzero(sizes))
    found = np.zeros(n, dtype=np.int64)
    if sizes.max(initial=1) == 1:
        found[order[np.argsort(codes[order], kind="stable")]] = np.arange(n) % k
        return found
    held, whole = np.zeros((int(codes.max()) + 1, k)), np.zeros(k)
    for unit in order[np.argsort(-sizes[order], kind="stable")]:
        stratum = codes[unit]
        fold = int(np.lexsort((whole, held[stratum]))[0])
        found[unit] = fold
        held[stratum, fold] += sizes[unit]
        whole[fold] += sizes[unit]
    return found[units]


# -- what the data says -------------------------------------------------------------------------------------------


def _labelled(examples: Examples) -> NDArray[np.bool_]:
    """(n,) False where every target is missing; all True where nothing has a target."""
    missing: NDArray[np.bool_] = np.asarray(pd.isna(examples.targets()))
    if missing.ndim == 2:
        missing = np.asarray(missing.all(axis=1))
    return np.ones(len(missing), dtype=bool) if missing.all() else ~missing


def _codes(keys: NDArray[Any] | None, n: int) -> tuple[NDArray[np.int32], list[Any]]:
    """(n,) position of each key in the list of different keys; missing keys share the position after the last."""
    if keys is None:
        return np.zeros(n, dtype=np.int32), [None]
    positions, names = pd.factorize(keys)
    codes: NDArray[np.int32] = positions.astype(np.int32)
    codes[codes < 0] = len(names)
    return codes, list(names)


def _with_domains(codes: NDArray[np.int32], examples: Examples) -> NDArray[np.int32]:
    """Strata of class and domain together: every part gets its share of each region, not four and four."""
    if examples.domains is None:
        return codes
    domains, names = _codes(examples.domains, len(codes))
    return _codes(codes.astype(np.int64) * (len(names) + 1) + domains, len(codes))[0]


def _units(examples: Examples) -> tuple[NDArray[np.int32], int]:
    """(n,) number of the unit each example belongs to, and how many examples are copies of an earlier one."""
    n = len(examples)
    keys = examples.content_keys()
    by_key = np.argsort(keys, kind="stable")
    in_order = keys[by_key]
    starts = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
    num_copies = n - len(starts)
    units = np.arange(n, dtype=np.int32)
    if num_copies:
        units[by_key] = np.repeat(by_key[starts], np.diff(starts, append=n))
    del by_key, in_order, starts  # three quarters of the memory that splitting takes
    if examples.groups is None:
        return units, num_copies
    groups, names = pd.factorize(examples.groups)
    grouped = np.flatnonzero(groups >= 0)  # where no group is named, the example is a group of its own
    if num_copies == 0:
        units[grouped] = _first_member(grouped, groups[grouped], len(names))
        return units, 0
    # Union-find on the bipartite graph of inputs and groups: each example with a group is an edge.
    size = n + len(names)
    edges = coo_array((np.ones(len(grouped), dtype=np.int8), (units[grouped], n + groups[grouped])), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    return _first_member(np.arange(n), component[units], size), num_copies


def _first_member(rows: NDArray[np.int64], keys: NDArray[Any], num_keys: int) -> NDArray[np.int32]:
    """(m,) for each row the first row with the same key; rows ascend."""
    first = np.empty(num_keys, dtype=np.int32)
    first[keys[::-1]] = rows[::-1]
    return first[keys]


def _given(examples: Examples, part: NDArray[np.int8]) -> set[int]:
    """Write the user's own dev and test into `part`; the parts that the user gave."""
    if examples.given_split is None:
        return set()
    given = set()
    for p in (DEV, TEST):
        mine = examples.given_split == SPLIT_NAMES[p]
        if mine.any():
            part[mine] = p
            given.add(p)
    if (part != TRAIN).all():
        names = " and ".join(SPLIT_NAMES[p] for p in sorted(given))
        raise DataError(
            f"All {len(part)} examples are marked {names}; none is left for train.",
            examples.name,
            'Mark the others "train", or leave their mark empty.',
        )
    return given


def _of_target_domain(examples: Examples, config: DataConfig) -> NDArray[np.bool_]:
    """(n,) which examples come from the distribution that dev and test are to be made of."""
    if config.target_domain is None:
        return np.ones(len(examples), dtype=bool)
    if examples.domains is None:
        raise ConfigError(
            f'data.target_domain is "{config.target_domain}", but no column says which domain an example is from.',
            examples.name,
            "Set data.domain to the column that names it, or remove data.target_domain.",
        )
    domains = examples.domains.astype(str)
    mine = domains == config.target_domain
    if not mine.any():
        raise DataError(
            f'No example is from the target domain "{config.target_domain}".',
            f"{examples.name}, {config.domain or 'domain'}",
            did_you_mean(config.target_domain, sorted(set(domains.tolist()))),
        )
    return mine


def _ranks(times: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) order in time; equal times keep the order of the data, missing times count as earliest."""
    values = pd.Series(times)
    if values.dtype.kind not in "iufMm":  # text or mixed: numbers where all are, else by the alphabet as ISO dates are
        numbers = pd.to_numeric(values, errors="coerce")
        values = numbers if numbers.notna().sum() == values.notna().sum() else values.astype("string")
    in_order = values.sort_values(kind="stable", na_position="first").index.to_numpy()
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[in_order] = np.arange(len(values))
    return ranks


# -- how many -----------------------------------------------------------------------------------------------------


def _wanted(
    examples: Examples, config: DataConfig, given: set[int], num_candidates: int, num_pool: int
) -> dict[int, int]:
    """How many examples to hold out for each part that the user has not given."""
    if config.target_domain is None:
        default = split_sizes(num_pool)
    else:
        held = min(num_candidates // 4, TARGET_DOMAIN_AT_MOST)
        default = {"dev": held, "test": held}
    if DEV in given:
        # A test set cut from train would be of another distribution than the dev set that the user chose.
        default["test"] = 0
    wanted = {}
    for p, asked in ((DEV, config.dev), (TEST, config.test)):
        if p not in given:
            wanted[p] = default[SPLIT_NAMES[p]] if asked is None else _count(asked, num_candidates, SPLIT_NAMES[p])
    wanted = {p: count for p, count in wanted.items() if count > 0}

    whom = f' of the target domain "{config.target_domain}"' if config.target_domain is not None else ""
    if config.dev is None and config.test is None:
        needed = 4 if config.target_domain is not None else 3 - len(given)
        if num_candidates < needed:
            raise DataError(
                f"{plural(num_candidates, 'example')}{whom} cannot be split into train, dev and test.",
                examples.name,
                f"Add examples: at least {needed}, better 30 or more.",
            )
    held_out = sum(wanted.values())
    train_can_be_empty = num_pool > num_candidates  # other domains remain to train on
    if held_out > num_candidates or (held_out == num_candidates and not train_can_be_empty):
        asks = " and ".join(f"data.{SPLIT_NAMES[p]} asks for {count}" for p, count in wanted.items())
        raise ConfigError(
            f"{asks} of {num_candidates} examples{whom}, which leaves none for train.",
            examples.name,
            "Lower data.dev or data.test, or leave them unset.",
        )
    return wanted


def _count(asked: float | int, n: int, name: str) -> int:
    """A share (float) or a number (int) of examples as a number."""
    if asked < 0:
        raise ConfigError(f"data.{name} is {asked}.", f"data.{name}", "Give a share such as 0.2, or a number, or 0.")
    return asked if isinstance(asked, int) else max(1, round(asked * n))


def _train_dev_size(config: DataConfig, num_train: int) -> int:
    if config.train_dev is None or (config.train_dev == "auto" and config.target_domain is None):
        return 0
    if config.train_dev == "auto":
        return int(min(max(TRAIN_DEV_LEAST, TRAIN_DEV_SHARE * num_train), TRAIN_DEV_MOST * num_train))
    count = _count(config.train_dev, num_train, "train_dev")
    if count >= num_train:
        raise ConfigError(
            f"data.train_dev asks for {count} of the {num_train} examples of train.",
            "data.train_dev",
            "Lower it, or leave it on auto.",
        )
    return count


# -- who ----------------------------------------------------------------------------------------------------------


def _rng(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each choice, so that one does not shift when another changes."""
    return np.random.default_rng((seed, *purpose.encode()))


def _deal(
    rows: NDArray[np.int64],
    units: NDArray[np.int32],
    strata: NDArray[np.int32],
    wanted: Mapping[int, int],
    rng: np.random.Generator,
) -> NDArray[np.int8]:
    """Deal whole units to the wanted parts, every stratum in proportion; the rest is TRAIN.

    Large units are placed one by one where they are missed most; small ones, in random order within their stratum, fill
    what remains. Without groups and copies the sizes are exact.

    Args:
        rows: (m,) the examples that can be chosen, in whole units.
        units, strata: (n,) of all examples.
        wanted: part -> number of examples.
    Returns:
        (m,) part of each of `rows`.
    """
    parts = [*wanted, TRAIN]
    sizes = np.bincount(units[rows], minlength=len(units)).astype(np.int32)  # 0 where no unit begins
    counts = np.bincount(strata[rows])
    quotas = _quotas(counts, list(wanted.values()), rng)  # (strata, parts)
    chosen = np.full(len(units), len(parts) - 1, dtype=np.int8)
    shuffled = rng.permutation(np.flatnonzero(sizes).astype(np.int32))

    large = sizes[shuffled] > max(1, min(wanted.values()) // 50)
    if large.any():
        largest_first = shuffled[large][np.argsort(-sizes[shuffled[large]], kind="stable")]
        for unit, members in zip(largest_first, _members(largest_first, rows, units), strict=True):
            present, held = np.unique(strata[members], return_counts=True)
            missed = (held / counts[present]) @ quotas[present]  # rare strata weigh as much as common ones
            k = int(np.argmax(missed))  # on a tie a held-out part comes first
            quotas[present, k] -= held
            chosen[unit] = k

    small = shuffled[~large]
    if len(quotas) < 2**15:
        small = small[np.argsort(strata[small].astype(np.int16), kind="stable")]  # 16 bits: a radix sort
    else:
        small = small[np.argsort(strata[small], kind="stable")]
    stratum = strata[small]
    # Twice the middle of each unit on the line of its stratum's examples, against the line cut at the quotas.
    ends = np.cumsum(sizes[small])
    before = np.concatenate([[0], ends])[np.searchsorted(stratum, np.arange(len(quotas), dtype=np.int32))]
    middle = 2 * (ends - before[stratum]) - sizes[small]
    cuts = np.cumsum(np.maximum(quotas[:, :-1], 0), axis=1)
    for k in reversed(range(len(wanted))):
        chosen[small[middle < 2 * cuts[stratum, k]]] = k

    _fill_empty(chosen, sizes, len(wanted))
    return np.array(parts, dtype=np.int8)[chosen[units[rows]]]


def _members(
    wanted: NDArray[np.int32], rows: NDArray[np.int64], units: NDArray[np.int32]
) -> Iterator[NDArray[np.int64]]:
    """The rows of each wanted unit."""
    by_unit = rows[np.argsort(units[rows], kind="stable")]
    starts = np.searchsorted(units[by_unit], wanted)
    stops = np.searchsorted(units[by_unit], wanted, side="right")
    return (by_unit[start:stop] for start, stop in zip(starts, stops, strict=True))


def _fill_empty(chosen: NDArray[np.int8], sizes: NDArray[np.int32], rest: int) -> None:
    """Give a part that got nothing the smallest unit of train, where train has another."""
    for k in range(rest):
        if not ((chosen == k) & (sizes > 0)).any():
            train = np.flatnonzero((chosen == rest) & (sizes > 0))
            if len(train) > 1:
                chosen[train[np.argmin(sizes[train])]] = k


def _quotas(counts: NDArray[np.int64], wanted: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """(strata, len(wanted) + 1) how many of each stratum go to each part, and last to train.

    Columns add up to `wanted` wherever each stratum can leave one example to train.
    """
    held = _apportion(sum(wanted), counts, np.maximum(counts - 1, 0), rng)
    left, columns = held, []
    for k, count in enumerate(wanted):
        last = k == len(wanted) - 1
        column = left if last else _apportion(min(count, int(left.sum())), left, left, rng)
        columns.append(column)
        left = left - column
    return np.stack([*columns, counts - held], axis=1)


def _apportion(
    total: int, weights: NDArray[np.int64], limits: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Whole numbers in proportion to `weights`, none above its limit, that add up to `total` where limits allow.

    Largest remainders get the units that rounding down leaves; ties are drawn.
    """
    exact = total * weights / max(weights.sum(), 1)
    shares = np.minimum(np.floor(exact), limits).astype(np.int64)
    while (missing := total - int(shares.sum())) > 0 and (room := np.flatnonzero(shares < limits)).size:
        by_remainder = np.lexsort((rng.random(len(room)), (shares - exact)[room]))
        shares[room[by_remainder[:missing]]] += 1
    return shares


def _latest(
    rows: NDArray[np.int64], units: NDArray[np.int32], ranks: NDArray[np.int64], wanted: Mapping[int, int]
) -> NDArray[np.int8]:
    """The latest units are TEST, those before them DEV, the rest TRAIN; a unit is as late as its last member."""
    sizes = np.bincount(units[rows], minlength=len(units)).astype(np.int32)
    last = np.zeros(len(units), dtype=np.int64)
    np.maximum.at(last, units[rows], ranks[rows])
    numbers = np.flatnonzero(sizes)
    latest_first = numbers[np.argsort(-last[numbers])]
    middle = 2 * np.cumsum(sizes[latest_first]) - sizes[latest_first]
    num_test = wanted.get(TEST, 0)
    chosen = np.full(len(units), TRAIN, dtype=np.int8)
    chosen[latest_first[middle < 2 * (num_test + wanted.get(DEV, 0))]] = DEV
    chosen[latest_first[middle < 2 * num_test]] = TEST
    return chosen[units[rows]]


def _nested_share(
    rows: NDArray[np.int64], strata: NDArray[np.int32], share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """A share of every stratum of train, at least one of each; a smaller share is a subset of a larger one."""
    if share == 1:
        return rows
    shuffled = rng.permutation(len(rows))
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    sorted_strata = strata[by_stratum]
    start = np.searchsorted(sorted_strata, sorted_strata)
    count = np.searchsorted(sorted_strata, sorted_strata, side="right") - start
    position = np.arange(len(rows)) - start
    kept = position < np.maximum(1, np.floor(share * count + 0.5))
    return np.sort(rows[by_stratum[kept]])


def nested_shares(
    examples: Examples,
    ids: NDArray[np.int64],
    shares: Sequence[float],
    strata: NDArray[Any] | None = None,
    seed: int = 0,
) -> list[NDArray[np.int64]]:
    """Shares of some ids, each a subset of every larger one: the points of a learning curve.

    Copies of an input and members of a group come together or not at all, and each share holds its part of every
    stratum, at least one unit. A unit belongs to the stratum of most of its members.

    Args:
        ids: of the whole, train as a rule.
        shares: in (0, 1], any order; 1 gives the ids themselves, sorted.
        strata: (len(ids),) the class, a quantile of the value.
        seed: decides the order in which units come in; another one gives another resample.
    """
    ids = np.sort(np.asarray(ids, dtype=np.int64))
    units = np.unique(_units(examples)[0][ids], return_inverse=True)[1]
    codes = _codes(strata, len(ids))[0]
    if examples.domains is not None:
        codes = _codes(codes.astype(np.int64) * len(ids) + _codes(examples.domains[ids], len(ids))[0], len(ids))[0]
    num_units = int(units.max()) + 1
    votes = coo_array((np.ones(len(ids)), (units, codes)), shape=(num_units, int(codes.max()) + 1)).tocsr()
    stratum = np.asarray(votes.argmax(axis=1)).ravel()
    sizes = np.bincount(units, minlength=num_units)
    order = _rng(seed, "nested shares").permutation(num_units)
    order = order[np.argsort(stratum[order], kind="stable")]
    ends = np.cumsum(sizes[order])
    first = np.searchsorted(stratum[order], stratum[order])  # the first unit of each one's stratum
    begin = (ends - sizes[order])[first]
    total = np.bincount(stratum, sizes)[stratum[order]]
    middle = (ends - sizes[order] / 2 - begin) / total  # of each unit on the line of its stratum, 0..1
    found = []
    for share in shares:
        kept = (middle < share) | (first == np.arange(num_units)) | (share >= 1)
        found.append(ids[np.isin(units, order[kept])])
    return found


# -- what the person is told --------------------------------------------------------------------------------------


def _check_filled(
    examples: Examples, part: NDArray[np.int8], wanted: Mapping[int, int], units: NDArray[np.int32]
) -> None:
    empty = [SPLIT_NAMES[p] for p in (TRAIN, *wanted) if not (part == p).any()]
    if not empty:
        return
    num_units = len(np.unique(units))
    grouped = "groups" if examples.groups is not None else "different inputs"
    raise DataError(
        f"{' and '.join(empty)} would be empty: {num_units} {grouped} cannot be divided into {len(wanted) + 1} parts.",
        examples.name,
        "Add data, set data.group to a finer column, or do without a test set (data.test=0).",
    )


def _check_classes(examples: Examples, part: NDArray[np.int8], labelled: NDArray[np.bool_]) -> None:
    """A class that train lacks cannot be learned."""
    targets = examples.targets()
    if targets.ndim != 1 or targets.dtype.kind not in "OUST":
        return
    codes, class_names = _codes(targets, len(targets))
    seen = np.bincount(codes[labelled & (part == TRAIN)], minlength=len(class_names) + 1)
    absent = [k for k in np.unique(codes[labelled]) if seen[k] == 0 and k < len(class_names)]
    if not absent:
        return
    places = []
    for k in absent[:3]:
        ids = np.flatnonzero((codes == k) & labelled)
        parts = sorted({SPLIT_NAMES[p] for p in part[ids]})
        places.append(f'"{class_names[k]}" ({len(ids)} in {" and ".join(parts)}; {examples[int(ids[0])].origin})')
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    them, alone = ("them", "") if len(absent) > 1 else ("it", str(class_names[absent[0]]))
    hint = did_you_mean(alone, [name for k, name in enumerate(class_names) if seen[k]]) + " "
    if not (hint.startswith("Did") and any(map(str.isalpha, alone))):  # "10" is no slip for "1"
        hint = ""
    single = int((np.bincount(codes[labelled], minlength=len(class_names))[: len(class_names)] == 1).sum())
    if 2 * single > len(class_names):  # the absent ones are no slips
        raise DataError(
            f"{single} of {len(class_names)} classes have one example each, and what is held out cannot be learned: "
            f"{', '.join(places)}{more}.",
            examples.name,
            "Bring more examples of each class, some ten at least, or name a target with fewer classes.",
        )
    raise DataError(
        f"{len(absent)} class{'es are' if len(absent) > 1 else ' is'} absent from train: {', '.join(places)}{more}.",
        examples.name,
        f"{hint}Add examples of {them} to train, correct the labels, or leave these examples out"
        + ("; or remove data.time, so that train is not only the past." if examples.times is not None else "."),
    )


def _reason(
    examples: Examples,
    config: DataConfig,
    strata: NDArray[Any] | None,
    given: set[int],
    parts: Mapping[str, NDArray[np.int64]],
    num_copies: int,
    num_unlabelled: int,
) -> str:
    drawn = [SPLIT_NAMES[p] for p in (DEV, TEST) if p not in given and SPLIT_NAMES[p] in parts]
    kept = [SPLIT_NAMES[p] for p in sorted(given)]
    said = [f"{' and '.join(kept)} as you gave {'them' if len(kept) > 1 else 'it'}"] if kept else []
    if drawn:
        how = "the latest examples" if examples.times is not None else "drawn at random"
        if config.target_domain is not None:
            how += f' from "{config.target_domain}" only, half of which helps to train'
        elif examples.times is None and strata is not None:
            how += ", the same mix of targets in each part"
        said.append(f"{' and '.join(drawn)}: {how}")
    if examples.groups is not None:
        said.append(f"no {config.group or 'group'} in two parts")
    if num_copies:
        said.append(f"{plural(num_copies, 'copy', 'copies')} kept beside the first")
    if SPLIT_NAMES[TRAIN_DEV] in parts:
        said.append("train_dev held out of train")
    if config.train_fraction < 1:
        said.append(f"{config.train_fraction:.3g} of train used")
    if num_unlabelled:
        said.append(f"{num_unlabelled} without a target left out")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "." if text else ""


# -- on disk ------------------------------------------------------------------------------------------------------


def splits_key(fingerprint: str, config: DataConfig, seed: int) -> str:
    """Name of the split of this data under these settings: 16 hexadecimal digits."""
    settings = config.model_dump(mode="json", include=set(SPLIT_SETTINGS))
    text = json.dumps({"format": 1, "data": fingerprint, "seed": seed, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_splits(folder: Path, key: str, splits: Splits) -> None:
    """Write FOLDER/KEY.npz, whole or not at all."""
    with atomic_file(Path(folder) / f"{key}.npz") as path, path.open("wb") as file:
        np.savez(file, reason=np.array(splits.reason), **splits.parts)  # type: ignore[arg-type]


def load_splits(folder: Path, key: str) -> Splits | None:
    """The splits that `save_splits` wrote, or None.

    Raises:
        RunError: the file is damaged.
    """
    path = Path(folder) / f"{key}.npz"
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Splits({name: stored[name] for name in SPLIT_NAMES if name in stored}, str(stored["reason"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise RunError(
            f"The stored split cannot be read: {error}.",
            str(path),
            "Delete the file: it is made again, with equal ids.",
        ) from error


# -- do two parts differ? -----------------------------------------------------------------------------------------

LEVEL = 0.01  # family-wise, by Holm: about one false alarm in a hundred pairs of parts
SMALLEST_DISTANCE = 0.03  # a smaller difference is real but harmless, and with millions of rows everything is real
LEVELS_AT_MOST = 50  # rarer levels of a category are counted together


@dataclass(frozen=True)
class Difference:
    """A column whose distribution differs between two samples.

    distance: 0..1; the largest gap between distribution functions (numbers) or total variation (categories).
    p: two-sided, before correction. of: what of it differs most: "median", or a level. values: of it in both, in words.
    """

    column: str
    test: Literal["Kolmogorov-Smirnov", "chi-square"]
    distance: float
    p: float
    of: str
    values: tuple[str, str]

    def says(self, a: str, b: str) -> str:
        """What differs most between the parts of these names: 'median 39 in train, 42 in dev'."""
        if self.test == "Kolmogorov-Smirnov":
            return f"{self.of} {self.values[0]} in {a}, {self.values[1]} in {b}"
        return f'{self.values[0]} of {a} are "{self.of}", {self.values[1]} of {b}'


def differ(
    a: Mapping[str, NDArray[Any]], b: Mapping[str, NDArray[Any]], level: float = LEVEL, least: float = SMALLEST_DISTANCE
) -> list[Difference]:
    """The columns in which two samples differ by more than chance and more than `least`, the largest difference first.

    Numbers are compared by Kolmogorov-Smirnov, everything else by chi-square; Holm corrects for the number of columns.

    Args:
        a, b: column name -> values; (n_a,) and (n_b,). Columns of only one sample are left out; so are missing numbers.
    """
    found = [_compare(name, np.asarray(a[name]), np.asarray(b[name])) for name in a if name in b]
    tested = sorted((difference for difference in found if difference is not None), key=lambda each: each.p)
    real: list[Difference] = []
    for k, difference in enumerate(tested):
        if difference.p > level / (len(tested) - k):
            break
        real.append(difference)
    return sorted((each for each in real if each.distance >= least), key=lambda each: -each.distance)


def _compare(name: str, x: NDArray[Any], y: NDArray[Any]) -> Difference | None:
    dates = x.dtype.kind == y.dtype.kind == "M"
    if dates or (x.dtype.kind in "iuf" and y.dtype.kind in "iuf"):
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        if len(x) < 2 or len(y) < 2:
            return None
        if dates:
            x, y = (part.astype("datetime64[ms]").astype(np.int64) for part in (x, y))
        result = ks_2samp(x, y, method="asymp")
        middle = [np.datetime64(int(m), "ms").astype("M8[D]") if dates else f"{m:.4g}" for m in map(np.median, (x, y))]
        values = (str(middle[0]), str(middle[1]))
        return Difference(name, "Kolmogorov-Smirnov", float(result.statistic), float(result.pvalue), "median", values)

    codes, levels = pd.factorize(np.concatenate([x.astype(object), y.astype(object)]), use_na_sentinel=False)
    counts = np.stack([np.bincount(part, minlength=len(levels)) for part in (codes[: len(x)], codes[len(x) :])])
    if len(x) == 0 or len(y) == 0 or len(levels) < 2:
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    most = int(np.argmax(np.abs(shares[0] - shares[1])))
    level, values = str(levels[most]), (f"{100 * shares[0, most]:.1f} %", f"{100 * shares[1, most]:.1f} %")
    # Pool levels with fewer than 5 expected, where chi-square does not hold, and those beyond the 50 most frequent.
    total = counts.sum(axis=0)
    rare = total * counts.sum(axis=1).min() / total.sum() < 5
    rare[np.argsort(-total)[LEVELS_AT_MOST:]] = True
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)]) if rare.any() else counts
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    if pooled.shape[1] < 2:
        return None
    p = float(chi2_contingency(pooled, correction=False).pvalue)
    shares = pooled / pooled.sum(axis=1, keepdims=True)
    return Difference(name, "chi-square", float(np.abs(shares[0] - shares[1]).sum() / 2), p, level, values)
