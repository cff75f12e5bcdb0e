"""Splits: sizes from the catalogue, and properties that must hold for any data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from orthogon.data.atomic import atomic_file
from orthogon.data.config import DataConfig
from orthogon.data.examples import Example, Examples, Origin, Splits
from orthogon.data.loader import MemoryLoader
from orthogon.data.split import differ, load_splits, make_splits, nested_shares, save_splits, split_sizes, splits_key
from orthogon.errors import ConfigError, DataError, RunError


class Rows(Examples):
    """Just enough of Examples: a key, a target and the optional columns."""

    modality = "table"
    name = "rows.csv"

    def __init__(self, n: int, targets: Any = None, keys: Any = None, **columns: Any) -> None:
        self.n = n
        self._targets = np.asarray(targets) if targets is not None else np.full(n, "a")
        self.keys = np.arange(n, dtype=np.uint64) if keys is None else np.asarray(keys, dtype=np.uint64)
        for name, values in columns.items():
            setattr(self, name, np.asarray(values))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Example:
        return Example({"key": int(self.keys[i])}, self._targets[i], Origin(self.name, f"row {i + 2}"))

    def take(self, ids: NDArray[np.int64] | Sequence[int]) -> Examples:
        raise NotImplementedError

    def targets(self) -> NDArray[Any]:
        return self._targets

    def fingerprint(self) -> str:
        return "f"

    def content_keys(self) -> NDArray[np.uint64]:
        return self.keys


def config(**settings: Any) -> DataConfig:
    return DataConfig(source="rows.csv", **settings)


def parts_are_disjoint(splits: Splits, n: int) -> bool:
    ids = np.concatenate(list(splits.parts.values()))
    return len(np.unique(ids)) == len(ids) and (len(ids) == 0 or (ids.min() >= 0 and ids.max() < n))


@pytest.mark.system("strat.split")
def test_sizes_are_60_20_20_for_small_data_and_98_1_1_at_a_million() -> None:
    assert split_sizes(10_000) == {"train": 6000, "dev": 2000, "test": 2000}
    assert split_sizes(1_000_000) == {"train": 980_000, "dev": 10_000, "test": 10_000}
    assert split_sizes(150) == {"train": 90, "dev": 30, "test": 30}
    assert split_sizes(3) == {"train": 1, "dev": 1, "test": 1}


def test_sizes_grow_smoothly() -> None:
    sizes = [split_sizes(n) for n in range(3, 200_000, 97)]
    assert all(sum(s.values()) == n for s, n in zip(sizes, range(3, 200_000, 97), strict=True))
    held = np.array([s["dev"] for s in sizes])
    assert (np.diff(held) >= 0).all()
    assert all(s["train"] >= s["dev"] == s["test"] for s in sizes)


@pytest.mark.system("strat.split")
def test_a_plain_split_has_exactly_these_sizes_and_covers_everything() -> None:
    splits = make_splits(Rows(10_000), config())
    assert splits.sizes() == {"train": 6000, "dev": 2000, "test": 2000}
    assert parts_are_disjoint(splits, 10_000)
    again, other = make_splits(Rows(10_000), config()), make_splits(Rows(10_000), config(), seed=1)
    assert all((splits[name] == again[name]).all() for name in splits.parts)
    assert not np.array_equal(splits["dev"], other["dev"])


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(30, 400),
    classes=st.integers(1, 5),
    groups=st.integers(0, 40),
    copies=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)
def test_units_never_cross_and_everyone_is_somewhere(
    n: int, classes: int, groups: int, copies: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    keys = np.arange(n)
    repeated = rng.random(n) < copies
    keys[repeated] = rng.integers(0, n, repeated.sum())
    labels = rng.integers(0, classes, n).astype(str)
    columns = {"groups": rng.integers(0, groups, n)} if groups >= 8 else {}
    examples = Rows(n, labels, keys, **columns)
    try:
        splits = make_splits(examples, config(), labels, seed)
    except DataError as error:
        if "absent from train" in error.what or "would be empty" in error.what:
            return  # allowed where units are too few
        raise
    assert parts_are_disjoint(splits, n)
    assert sum(splits.sizes().values()) == n
    part = np.empty(n, dtype=object)
    for name, ids in splits.parts.items():
        part[ids] = name
    for values in (keys, *columns.values()):
        for value in np.unique(values):
            assert len(set(part[values == value])) == 1


def test_each_part_has_its_share_of_every_class() -> None:
    labels = np.repeat(["common", "usual", "rare"], [800, 150, 50])
    splits = make_splits(Rows(1000, labels), config(), labels, seed=3)
    for name, size in (("train", 600), ("dev", 200), ("test", 200)):
        counts = {label: int((labels[splits[name]] == label).sum()) for label in ("common", "usual", "rare")}
        assert counts == {"common": size * 0.8, "usual": size * 0.15, "rare": size * 0.05}


@pytest.mark.parametrize("seed", range(5))
def test_a_single_example_of_a_class_goes_to_train(seed: int) -> None:
    labels = np.array(["a"] * 50 + ["only one"])
    splits = make_splits(Rows(51, labels), config(), labels, seed)
    assert 50 in splits["train"]


@pytest.mark.parametrize("seed", range(5))
def test_five_groups_fill_three_parts(seed: int) -> None:
    splits = make_splits(Rows(100, groups=np.arange(100) % 5), config(), seed=seed)
    assert splits.sizes() == {"train": 60, "dev": 20, "test": 20}


@pytest.mark.parametrize("seed", range(3))
def test_three_groups_are_just_enough(seed: int) -> None:
    splits = make_splits(Rows(300, groups=np.arange(300) % 3), config(), seed=seed)
    assert splits.sizes() == {"train": 100, "dev": 100, "test": 100}


def test_copies_and_groups_link_across_each_other() -> None:
    # 0 and 1 are copies; 1 and 2 are one person; 2 and 3 are copies: all four are one unit.
    keys = np.arange(40)
    keys[1], keys[3] = keys[0], keys[2]
    groups = np.array([f"p{i}" for i in range(40)], dtype=object)
    groups[2] = groups[1]
    groups[20:30] = None  # nobody knows: each is a group of its own
    for seed in range(10):
        splits = make_splits(Rows(40, keys=keys, groups=groups), config(), seed=seed)
        homes = {name for name, ids in splits.parts.items() for i in ids if i < 4}
        assert len(homes) == 1
    assert "2 copies" in splits.reason


def test_groups_keep_shares_of_classes() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 3000)
    labels = np.where(groups % 3 == 0, "x", "y")  # a person is one class
    splits = make_splits(Rows(3000, labels, groups=groups), config(), labels)
    shares = [(labels[ids] == "x").mean() for ids in splits.parts.values()]
    assert max(shares) - min(shares) < 0.05
    assert abs(len(splits["dev"]) - 600) < 60


def test_times_put_dev_and_test_last() -> None:
    times = np.random.default_rng(0).permutation(1000).astype(float)
    splits = make_splits(Rows(1000, times=times), config(time="when"))
    assert splits.sizes() == {"train": 600, "dev": 200, "test": 200}
    assert times[splits["train"]].max() < times[splits["dev"]].min()
    assert times[splits["dev"]].max() < times[splits["test"]].min()


def test_times_may_be_dates_as_text_and_missing_ones_are_earliest() -> None:
    times = np.array([f"2020-01-{day:02d}" for day in range(1, 31)], dtype=object)
    times[29] = None
    splits = make_splits(Rows(30, times=times), config(time="when"))
    assert splits["test"].tolist() == list(range(23, 29))
    assert 29 in splits["train"]
    numbers = make_splits(Rows(30, times=np.array([str(i) for i in range(30)], dtype=object)), config(time="when"))
    assert numbers["test"].tolist() == list(range(24, 30))  # 9 before 10: numbers, not text


@pytest.mark.system("strat.mismatch-split")
def test_only_the_target_domain_is_in_dev_and_test_and_half_of_it_helps_to_train() -> None:
    # 200,000 web and 10,000 app pictures: train 200,000 + 5,000, dev 2,500, test 2,500.
    domains = np.array(["web"] * 200_000 + ["app"] * 10_000)
    examples = Rows(210_000, domains=domains)
    splits = make_splits(examples, config(target_domain="app", train_dev=None))
    assert splits.sizes() == {"train": 205_000, "dev": 2500, "test": 2500}
    for name in ("dev", "test"):
        assert set(domains[splits[name]]) == {"app"}
    assert (domains[splits["train"]] == "app").sum() == 5000

    # W.mismatch: the bad variant, all shuffled, would leave 119 app pictures in a dev set of 2,500.
    bad = make_splits(examples, config(dev=2500, test=2500, train_dev=None))
    web = (domains[bad["dev"]] == "web").sum()
    assert (web, 2500 - web) == (2381, 119)  # 2500 * 200 / 210 = 2380.95


@pytest.mark.system("strat.mismatch-split")
def test_speech_mirror_of_the_mismatch_split() -> None:
    domains = np.array(["general"] * 500_000 + ["in-car"] * 20_000)
    splits = make_splits(Rows(520_000, domains=domains), config(target_domain="in-car"))
    assert splits.sizes() == {"train": 484_500, "train_dev": 25_500, "dev": 5000, "test": 5000}


@pytest.mark.system("strat.distribution")
def test_eight_regions_are_shuffled_into_both() -> None:
    regions = np.repeat(["US", "UK", "Europe", "South America", "India", "China", "Asia", "Australia"], 250)
    labels = np.tile(["yes", "no"], 1000)
    splits = make_splits(Rows(2000, labels, domains=regions), config(), labels)
    for name in ("dev", "test"):
        assert set(np.unique(regions[splits[name]], return_counts=True)[1]) == {50}
    assert not differ({"region": regions[splits["dev"]]}, {"region": regions[splits["test"]]})

    # Four regions in dev and the other four in test: the two-sample test says so.
    wrong = differ({"region": regions[:1000]}, {"region": regions[1000:]})
    assert [found.column for found in wrong] == ["region"]
    assert wrong[0].distance == 1


def test_an_unknown_target_domain_gets_a_hint() -> None:
    examples = Rows(100, domains=["web"] * 90 + ["app"] * 10)
    with pytest.raises(DataError, match='target domain "apps"') as caught:
        make_splits(examples, config(target_domain="apps", domain="device"))
    assert "rows.csv, device" in str(caught.value)
    assert 'Did you mean "app"?' in caught.value.remedy
    with pytest.raises(ConfigError, match="no column says") as missing:
        make_splits(Rows(100), config(target_domain="app"))
    assert "data.domain" in missing.value.remedy


@pytest.mark.parametrize(("n", "expected"), [(100, 12), (5000, 300), (20_000, 834)])
def test_train_dev_is_300_or_5_percent_and_at_most_a_fifth_of_train(n: int, expected: int) -> None:
    domains = np.where(np.arange(n) % 3 == 0, "app", "web")
    splits = make_splits(Rows(n, domains=domains), config(target_domain="app"))
    train = len(splits["train"]) + len(splits["train_dev"])
    assert abs(len(splits["train_dev"]) - min(max(300, 0.05 * train), 0.2 * train)) <= 1
    assert abs(len(splits["train_dev"]) - expected) < 60
    # A random slice of train: the same mix of domains.
    mix = [(domains[splits[name]] == "app").mean() for name in ("train", "train_dev")]
    assert abs(mix[0] - mix[1]) <= 1 / len(splits["train_dev"])


@pytest.mark.system("strat.train-dev")
def test_train_dev_never_touches_a_gradient() -> None:
    """Each example owns one weight: after training, those of train-dev have had no gradient and are exactly 0."""
    n = 400
    domains = np.where(np.arange(n) % 2 == 0, "app", "web")
    splits = make_splits(Rows(n, domains=domains), config(target_domain="app"))
    assert len(splits["train_dev"]) > 20
    ids = torch.from_numpy(splits["train"])
    loader = MemoryLoader((ids,), batch_size=32, seed=0)
    weights = nn.Embedding(n, 1)
    nn.init.zeros_(weights.weight)
    touched = torch.zeros(n)
    seen: set[int] = set()
    for epoch in range(3):
        for (batch,) in loader.batches(epoch):
            weights.zero_grad()
            (weights(batch) - 1).square().sum().backward()
            assert weights.weight.grad is not None
            touched += weights.weight.grad.abs()[:, 0]
            with torch.no_grad():
                weights.weight -= 0.1 * weights.weight.grad
            seen |= set(batch.tolist())
    held = splits["train_dev"]
    assert (touched[held] == 0).all()
    assert (weights.weight[held] == 0).all()
    assert seen.isdisjoint(held.tolist())
    assert (touched[splits["train"]] > 0).all()


def test_no_train_dev_unless_a_domain_is_named_or_it_is_asked_for() -> None:
    assert "train_dev" not in make_splits(Rows(1000), config())
    assert "train_dev" not in make_splits(Rows(1000, domains=["a", "b"] * 500), config())
    assert len(make_splits(Rows(1000), config(train_dev=0.1))["train_dev"]) == 60
    assert len(make_splits(Rows(1000), config(train_dev=50))["train_dev"]) == 50
    with pytest.raises(ConfigError, match="asks for 600 of the 600 examples of train"):
        make_splits(Rows(1000), config(train_dev=600))


def test_given_parts_are_kept_exactly() -> None:
    marks = np.array(["train"] * 500 + ["dev"] * 30 + ["test"] * 70)
    splits = make_splits(Rows(600, given_split=marks), config())
    assert splits.sizes() == {"train": 500, "dev": 30, "test": 70}
    assert splits["dev"].tolist() == list(range(500, 530))
    assert splits.reason == "Dev and test as you gave them."


def test_a_missing_dev_is_cut_from_train() -> None:
    marks = np.array([""] * 1000 + ["test"] * 300)
    splits = make_splits(Rows(1300, given_split=marks), config())
    assert splits.sizes() == {"train": 800, "dev": 200, "test": 300}
    assert splits["dev"].max() < 1000


def test_a_copy_of_a_given_test_example_is_never_drawn_for_dev() -> None:
    keys = np.arange(120)
    keys[100:] = keys[:20]
    marks = np.array([""] * 100 + ["test"] * 20)
    for seed in range(5):
        splits = make_splits(Rows(120, keys=keys, given_split=marks), config(), seed=seed)
        assert splits["dev"].min() >= 20
        assert len(splits["dev"]) == 20


def test_everything_marked_test_is_an_error() -> None:
    with pytest.raises(DataError, match="All 10 examples are marked test") as caught:
        make_splits(Rows(10, given_split=["test"] * 10), config())
    assert caught.value.where == "rows.csv"
    assert '"train"' in caught.value.remedy


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 100))
def test_train_fractions_are_nested_and_leave_dev_and_test_alone(a: float, b: float, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, 300).astype(str)
    small, large = (
        make_splits(Rows(300, labels), config(train_fraction=share), labels, seed) for share in sorted((a, b))
    )
    assert set(small["train"]) <= set(large["train"])
    assert set(labels[small["train"]]) == set(labels)
    for name in ("dev", "test"):
        assert (small[name] == large[name]).all()


def test_train_fraction_is_a_share_of_every_class() -> None:
    labels = np.repeat(["a", "b"], [900, 100])
    splits = make_splits(Rows(1000, labels), config(train_fraction=0.1), labels)
    assert np.unique(labels[splits["train"]], return_counts=True)[1].tolist() == [54, 6]


def test_sizes_by_number_share_and_none_at_all() -> None:
    assert make_splits(Rows(100), config(dev=5)).sizes() == {"train": 75, "dev": 5, "test": 20}
    assert make_splits(Rows(100), config(dev=0.1, test=0.3)).sizes() == {"train": 60, "dev": 10, "test": 30}
    assert make_splits(Rows(100), config(test=0)).sizes() == {"train": 80, "dev": 20}


def test_a_dev_set_of_five_works() -> None:
    labels = np.array(["a", "b"] * 13)
    splits = make_splits(Rows(26, labels), config(), labels)
    assert splits.sizes() == {"train": 16, "dev": 5, "test": 5}


def test_too_few_examples_say_how_many_are_needed() -> None:
    with pytest.raises(DataError, match="2 examples cannot be split into train, dev and test") as caught:
        make_splits(Rows(2), config())
    assert caught.value.where == "rows.csv"
    assert "at least 3" in caught.value.remedy
    domains = np.array(["web"] * 50 + ["app"] * 3)
    with pytest.raises(DataError, match='3 examples of the target domain "app"'):
        make_splits(Rows(53, domains=domains), config(target_domain="app"))


def test_sizes_that_leave_nothing_for_train_name_both_keys() -> None:
    with pytest.raises(ConfigError, match=r"data.dev asks for 60 and data.test asks for 40 of 100 examples") as caught:
        make_splits(Rows(100), config(dev=60, test=40))
    assert "Lower data.dev or data.test" in caught.value.remedy
    with pytest.raises(ConfigError, match=r"data.dev is -3"):
        make_splits(Rows(100), config(dev=-3))


def test_two_groups_cannot_fill_three_parts() -> None:
    with pytest.raises(DataError, match="would be empty: 2 groups cannot be divided into 3 parts") as caught:
        make_splits(Rows(100, groups=np.arange(100) % 2), config())
    assert "data.test=0" in caught.value.remedy
    assert make_splits(Rows(100, groups=np.arange(100) % 2), config(test=0)).sizes() == {"train": 50, "dev": 50}


def test_a_class_absent_from_train_is_named_with_place_and_remedy() -> None:
    labels = np.array(["cat", "dog"] * 50 + ["yak"] * 4)
    marks = np.array([""] * 100 + ["test"] * 4)
    with pytest.raises(DataError, match='absent from train: "yak"') as caught:
        make_splits(Rows(104, labels, given_split=marks), config(), labels)
    assert "4 in test; rows.csv, row 102" in caught.value.what
    assert "Add examples of it to train" in caught.value.remedy
    assert "mean" not in caught.value.remedy
    for slip, hint in (("dgo", True), ("cat1", True), ("10", False)):
        labels = np.array(["cat", "dog", "1"] * 30 + [slip] * 4)
        with pytest.raises(DataError, match=f'absent from train: "{slip}"') as caught:
            make_splits(Rows(94, labels, given_split=np.array([""] * 90 + ["test"] * 4)), config(), labels)
        assert caught.value.remedy.startswith("Did you mean") == hint
    late = np.where(np.arange(100) < 90, "a", "b")
    with pytest.raises(DataError, match=r"remove data.time"):
        make_splits(Rows(100, late, times=np.arange(100)), config(time="when"), late)


def test_classes_of_one_example_each_are_said_to_be_so() -> None:
    labels = np.array([f"kind {k}" for k in range(120)])
    with pytest.raises(DataError, match="120 of 120 classes have one example each") as caught:
        make_splits(Rows(120, labels), config(), labels)
    assert "(1 in dev; rows.csv, row" in caught.value.what
    assert "ten at least" in caught.value.remedy


def test_strata_may_be_numbers_while_the_targets_name_the_classes() -> None:
    labels = np.array(["a"] * 90 + ["b"] * 10)
    with pytest.raises(DataError, match='absent from train: "b"'):
        make_splits(Rows(100, labels, times=np.arange(100)), config(time="when"), (labels == "b").astype(int))


def test_quantiles_absent_from_train_are_no_error() -> None:
    values = np.arange(100.0)
    splits = make_splits(Rows(100, values, times=np.arange(100)), config(time="when"), (values // 10).astype(int))
    assert splits["test"].min() == 80


def test_examples_without_a_target_are_in_no_part() -> None:
    labels = np.array(["a", "b", None] * 100, dtype=object)
    splits = make_splits(Rows(300, labels), config(), labels)
    assert sum(splits.sizes().values()) == 200
    assert "100 without a target left out" in splits.reason
    several = np.array([[1.0, None], [None, None], [None, 0.0]] * 20, dtype=object)
    assert sum(make_splits(Rows(60, several), config()).sizes().values()) == 40


def test_the_key_changes_with_whatever_changes_the_split() -> None:
    keys = {
        splits_key("f", config(), 0),
        splits_key("g", config(), 0),
        splits_key("f", config(), 1),
        splits_key("f", config(dev=0.1), 0),
        splits_key("f", config(train_fraction=0.5), 0),
        splits_key("f", config(target_domain="x"), 0),
    }
    assert len(keys) == 6
    assert splits_key("f", config(), 0) == splits_key("f", config(encoding="utf-8"), 0)


def test_splits_come_back_from_disk(tmp_path: Any) -> None:
    splits = make_splits(Rows(100), config(train_dev=10))
    assert load_splits(tmp_path, "k") is None
    save_splits(tmp_path, "k", splits)
    again = load_splits(tmp_path, "k")
    assert again is not None
    assert again.reason == splits.reason
    assert list(again.parts) == ["train", "train_dev", "dev", "test"]
    assert all((again[name] == splits[name]).all() and again[name].dtype == np.int64 for name in splits.parts)
    assert os.listdir(tmp_path) == ["k.npz"]


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_a_damaged_split_says_what_to_delete(tmp_path: Any, cut: int) -> None:
    save_splits(tmp_path, "k", make_splits(Rows(100), config()))
    path = tmp_path / "k.npz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RunError, match="cannot be read") as caught:
        load_splits(tmp_path, "k")
    assert caught.value.where == str(path)
    assert "Delete the file" in caught.value.remedy


KILLED = """
import os, signal, sys
import numpy as np
from orthogon.data.split import save_splits
from orthogon.data.examples import Splits

def half(file, **arrays):
    file.write(b"PK" + bytes(38))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

np.savez = half
save_splits(sys.argv[1], "k", Splits({"train": np.arange(3)}))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_kill_in_the_middle_of_the_write_leaves_no_split(tmp_path: Any) -> None:
    """SIGKILL, which gives nobody a chance to tidy up."""
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert os.listdir(tmp_path)  # it had begun
    assert load_splits(tmp_path, "k") is None
    splits = make_splits(Rows(100), config())
    save_splits(tmp_path, "k", splits)
    again = load_splits(tmp_path, "k")
    assert again is not None
    assert all((again[name] == splits[name]).all() for name in splits.parts)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left"), atomic_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_differ_finds_a_shift_and_keeps_quiet_about_its_clean_twin() -> None:
    rng = np.random.default_rng(0)
    a = {"age": rng.normal(40, 10, 2000), "sex": rng.choice(["f", "m"], 2000), "only here": rng.random(2000)}
    b = {"age": rng.normal(40, 10, 1000), "sex": rng.choice(["f", "m"], 1000)}
    assert differ(a, b) == []
    b["age"] += 3
    (found,) = differ(a, b)
    assert (found.column, found.test) == ("age", "Kolmogorov-Smirnov")
    assert re.fullmatch(r"median 39\.\d+ in train, 42\.\d+ in dev", found.says("train", "dev"))
    b["sex"] = rng.choice(["f", "m"], 1000, p=[0.7, 0.3])
    both = {each.column: each for each in differ(a, b)}
    assert set(both) == {"age", "sex"}
    said = both["sex"].says("train", "dev")
    assert re.fullmatch(r'(49|50|51)\.\d % of train are "f", (6[89]|7[0-2])\.\d % of dev', said) or re.fullmatch(
        r'(49|50|51)\.\d % of train are "m", (2[89]|3[0-2])\.\d % of dev', said
    )


def test_differ_shows_dates_as_dates() -> None:
    days = np.datetime64("2024-01-01") + np.arange(400)
    gap = np.array([np.datetime64("NaT")])
    (found,) = differ({"when": np.concatenate([days[:301], gap])}, {"when": days[301:]})
    assert found.says("dev", "test") == "median 2024-05-30 in dev, 2024-12-16 in test"


def test_differ_gives_about_one_false_alarm_in_a_hundred_pairs() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(
        bool(
            differ(
                {f"c{k}": rng.integers(0, 4, 150).astype(str) for k in range(3)} | {"x": rng.random(150)},
                {f"c{k}": rng.integers(0, 4, 150).astype(str) for k in range(3)} | {"x": rng.random(150)},
            )
        )
        for _ in range(150)
    )
    assert alarms <= 5  # P(more than 5 | 150, 0.01) = 0.004


def test_differ_ignores_what_is_real_but_tiny() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 400_000), rng.normal(0.02, 1, 400_000)
    assert differ({"x": a}, {"x": b}) == []
    assert differ({"x": a}, {"x": b}, least=0)[0].p < 1e-6


def test_differ_pools_rare_levels() -> None:
    rng = np.random.default_rng(3)
    levels = np.array([f"word {k}" for k in range(5000)], dtype=object)
    assert differ({"text": rng.choice(levels, 500)}, {"text": rng.choice(levels, 500)}) == []


# -- nested shares ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grouped", [False, True])
def test_nested_shares_are_nested_stratified_and_keep_groups_whole(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    n = 600
    targets = rng.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05])
    groups = rng.integers(0, 120, n)
    examples = Rows(n, targets, **({"groups": groups} if grouped else {}))
    ids = np.flatnonzero(rng.random(n) < 0.8)
    shares = (0.1, 0.33, 0.5, 1.0)
    parts = nested_shares(examples, ids, shares, targets[ids], seed=3)
    for smaller, larger in pairwise(parts):
        assert set(smaller) < set(larger)
    assert np.array_equal(parts[-1], np.sort(ids))
    for share, part in zip(shares, parts, strict=True):
        assert len(part) == pytest.approx(share * len(ids), rel=0.15)
        for name in "abc":
            whole = np.sum(targets[ids] == name)
            held = np.sum(targets[part] == name)
            assert grouped or (held >= 1 and abs(held - share * whole) <= 1)
        if grouped:
            left = np.setdiff1d(ids, part)
            assert not set(groups[part]) & set(groups[left])
    other = nested_shares(examples, ids, shares, targets[ids], seed=4)
    assert set(other[0]) != set(parts[0])
    again = nested_shares(examples, ids, shares, targets[ids], seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
