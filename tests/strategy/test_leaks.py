"""What dev shares with train: planted copies, strings, entities, neighbours in time, and their clean twins."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages
from orthogon.data.read import read
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.shown import json_text
from orthogon.strategy.leaks import (
    COPY,
    NEAR_COPY,
    STRING,
    Leaks,
    dimension,
    find,
    minhash,
    near_share,
    nearly,
    same_pieces,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
ERROR = classification_metrics(["a", "b"])["error"]


def pictures(n: int, seed: int) -> np.ndarray:
    """Smooth random pictures, no two alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 4, 4)).astype(float)
    return np.kron(coarse, np.ones((4, 4))).astype(np.uint8)[..., None]


def scores(wrong) -> Scores:
    wrong = np.asarray(wrong, float)
    return Scores({"wrong": wrong, "truth": wrong * 0, "answer": wrong}, np.arange(5000, 5000 + len(wrong)))


def test_copies_and_near_copies_are_named_and_the_error_is_told_without_them():
    """40 of 200 are in train and right; of the others half are wrong: 40 % with, 50 % without."""
    train = pictures(600, 0)
    dev = pictures(200, 1)
    dev[:20] = train[100:120]
    noise = np.random.default_rng(2).normal(0, 4, dev[20:40].shape)
    dev[20:40] = np.clip(0.8 * train[200:220].astype(float) + 20 + noise, 0, 255)  # paler, and noisy
    wrong = np.r_[np.zeros(40), np.tile([0, 1], 80)]
    found = find(scores(wrong), ERROR, ArrayImages(dev), ArrayImages(train), np.arange(600))
    kinds = {each.kind: each for each in found.found}
    assert kinds[COPY].ids == tuple(range(5000, 5020))
    assert kinds[NEAR_COPY].ids == tuple(range(5020, 5040))
    assert [(p.dev, p.train) for p in kinds[COPY].pairs] == [(5000 + i, 100 + i) for i in range(20)]
    assert {(p.dev, p.train) for p in kinds[NEAR_COPY].pairs} == {(5020 + i, 200 + i) for i in range(20)}
    assert (found.error, found.without, found.num_leaked) == (0.4, 0.5, 40)
    assert found.low < 0.4 < found.high
    assert kinds[COPY].error_on == 0.0
    assert "40 of 200 dev examples (20.0 %) are in train as copies or nearly." in found.summary()
    assert "40.0 %" in found.summary()
    assert "50.0 %" in found.summary()
    assert Leaks.from_dict(json.loads(json_text(found.to_dict()))) == found
    clean = find(scores(wrong), ERROR, ArrayImages(pictures(200, 1)), ArrayImages(train), np.arange(600))
    assert clean.found == ()
    assert "None of 200 dev examples is found in train" in str(clean)


def test_all_of_dev_in_train_leaves_nothing():
    train = pictures(100, 0)
    found = find(scores(np.zeros(30)), ERROR, ArrayImages(train[:30]), ArrayImages(train), np.arange(100))
    assert found.num_leaked == 30
    assert "nothing is left without them" in found.summary()
    again = Leaks.from_dict(json.loads(json_text(found.to_dict())))
    assert np.isnan(again.without)


@pytest.mark.parametrize("d", [1, 2, 3, 6, 12])
def test_chance_brings_few_that_near_in_any_dimension(d):
    rng = np.random.default_rng(d)
    train, dev = rng.normal(size=(3000, d)), rng.normal(size=(3000, d))
    assert len(nearly(dev, train)) <= 0.005 * 3000
    near = dev.copy()
    step = rng.normal(size=(300, d))
    spacing = {1: 1e-7, 2: 1e-5, 3: 1e-3, 6: 0.02, 12: 0.05}[d]
    near[:300] = train[:300] + spacing * step / np.linalg.norm(step, axis=1, keepdims=True)
    found = nearly(near, train)
    assert sum(found[i].train == i for i in range(300) if i in found) >= 285


def test_the_share_falls_with_the_dimension():
    rng = np.random.default_rng(0)
    shares = []
    for d in (1, 2, 4, 20):
        own = np.sort(np.stack([rng.random(20_000) ** (1 / d) for _ in range(2)], 1), axis=1)
        # of two nearest neighbours the ratio is Pareto with exponent d
        own[:, 1] = own[:, 0] * rng.random(20_000) ** (-1 / d)
        assert dimension(own) == pytest.approx(d, rel=0.05)
        shares.append(near_share(dimension(own)))
    assert shares == sorted(shares)
    assert shares[-1] == 0.25
    assert shares[0] == pytest.approx(0.00289, rel=0.1)
    assert shares[1] == pytest.approx(0.00289**0.5, rel=0.1)


# -- strings ------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 300), min_size=1), st.sets(st.integers(0, 300), min_size=1))
def test_minhash_agrees_as_often_as_sets_overlap(a, b):
    a, b = ({str(k) for k in each} for each in (a, b))
    marks = minhash([frozenset(a), frozenset(b)])
    share = len(a & b) / len(a | b)
    assert abs((marks[0] == marks[1]).mean() - share) < 0.25  # 128 draws: 5.6 standard errors


def test_a_string_with_a_few_changed_letters_is_found_and_other_strings_are_not():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 9))) for _ in range(300)]
    train = [" ".join(rng.choice(words, 20)) for _ in range(300)]
    dev = [" ".join(rng.choice(words, 20)) for _ in range(100)]
    for i in range(30):
        dev[i] = train[2 * i].replace(" ", "  ").upper() + ("" if i % 2 else " end.")
    found = same_pieces(dev, train)
    assert {i: pair.train for i, pair in found.items()} == {i: 2 * i for i in range(30)}
    assert same_pieces(["may 6"], ["may 7", "may 6"]) == {}  # too short to be more than chance


def test_strings_that_differ_in_case_and_signs_are_copies(tmp_path):
    def pairs(name, sources):
        (tmp_path / name).write_text("".join(f"{s}\t{s[::-1]}\n" for s in sources))
        return read(DataConfig(source=str(tmp_path / name), format="strings"))

    train = pairs("train.tsv", [f"the {k} of may {1900 + k}" for k in range(1, 29)])
    dev = pairs("dev.tsv", ["The 3 of May, 1903!", "the 3 of june 1903"])
    found = find(scores([0, 1]), ERROR, dev, train, np.arange(28))
    assert [(each.kind, each.ids) for each in found.found] == [(COPY, (5000,))]
    assert STRING not in {each.kind for each in found.found}


# -- tables -------------------------------------------------------------------------------------------------------


def tables(tmp_path, frame, num_train):
    frame.to_csv(tmp_path / "t.csv", index=False)
    whole = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    return whole.take(np.arange(num_train, len(frame))), whole.take(np.arange(num_train))


def measured(n, seed=0):
    import pandas as pd

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    frame = pd.DataFrame(x, columns=list("abcdef"))
    frame["kind"] = rng.choice(["p", "q", "r"], n)
    frame["y"] = np.where(x[:, 0] + rng.normal(size=n) > 0, "yes", "no")
    return frame, rng


def test_rows_with_noise_on_their_numbers_are_near_copies(tmp_path):
    frame, rng = measured(1200)
    frame.loc[1000:1039, list("abcdef")] = frame.loc[0:39, list("abcdef")].to_numpy() + rng.normal(0, 0.01, (40, 6))
    frame.loc[1000:1039, "kind"] = frame.loc[0:39, "kind"].to_numpy()
    frame.loc[1040:1049, :] = frame.loc[100:109, :].to_numpy()
    dev, train = tables(tmp_path, frame, 1000)
    found = find(scores(np.tile([0, 1], 100)), ERROR, dev, train, np.arange(1000))
    kinds = {each.kind: each.ids for each in found.found}
    assert kinds[COPY] == tuple(range(5040, 5050))
    assert kinds[NEAR_COPY] == tuple(range(5000, 5040))
    alarms = 0
    for seed in range(1, 6):
        dev, train = tables(tmp_path, measured(1200, seed)[0], 1000)
        alarms += find(scores(np.tile([0, 1], 100)), ERROR, dev, train, np.arange(1000)).num_leaked
    assert alarms <= 3  # of 1,000: chance is allowed 2


def test_persons_on_both_sides_are_an_entity_where_their_targets_agree(tmp_path):
    frame, rng = measured(1200)
    persons = rng.integers(0, 300, 1200)
    frame["person"] = [f"P-{k:04d}" for k in persons]
    frame["chance"] = [f"C-{k:04d}" for k in rng.integers(0, 300, 1200)]
    frame["y"] = np.where(rng.random(1200) < 0.9, np.where(persons % 2, "yes", "no"), "yes")
    dev, train = tables(tmp_path, frame, 1000)
    found = find(scores(np.tile([0, 1], 100)), ERROR, dev, train, np.arange(1000))
    assert [each.kind for each in found.found] == ["same entity: person"]
    leak = found.found[0]
    assert "data.group=person" in leak.remedy
    assert leak.share > 0.9
    assert all(frame.person[pair.train] == frame.person[pair.dev - 4000] for pair in leak.pairs)
    assert "No copy of 200 dev examples is in train" in found.summary()


def test_a_random_split_of_a_series_has_neighbours_in_time(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(0)
    n = 1500
    walk = np.cumsum(rng.normal(size=n))
    frame = pd.DataFrame(
        {"when": pd.date_range("2026-01-01", periods=n, freq="h").astype(str), "x": rng.normal(size=n), "y": walk}
    )
    frame = frame.iloc[rng.permutation(n)].reset_index(drop=True)
    dev, train = tables(tmp_path, frame, 1200)
    found = find(scores(np.tile([0, 1], 150)), ERROR, dev, train, np.arange(1200))
    assert [each.kind for each in found.found] == ["neighbour in time: when"]
    assert "1 hour from the nearest" in found.found[0].detail
    assert "data.time=when" in found.found[0].remedy
    frame["y"] = rng.normal(size=n)  # no memory, no leak
    dev, train = tables(tmp_path, frame, 1200)
    assert find(scores(np.tile([0, 1], 150)), ERROR, dev, train, np.arange(1200)).found == ()
    frame["y"] = walk
    ordered = frame.sort_values("when").reset_index(drop=True)  # dev after train, as in use
    dev, train = tables(tmp_path, ordered, 1200)
    later = find(scores(np.tile([0, 1], 150)), ERROR, dev, train, np.arange(1200))
    assert later.found == ()


# -- P15 ----------------------------------------------------------------------------------------------------------


def test_p15_train_examples_with_noise_in_dev():
    import error_analysis_quality as quality

    found, planted, error = quality.planted_copies("weak", 500)
    named = np.isin(np.arange(len(planted)), found.ids)
    assert (named & planted).sum() / named.sum() >= 0.95
    assert (named & planted).sum() / planted.sum() >= 0.95
    assert found.without == pytest.approx(error, abs=0.005)
    assert found.error < found.without
