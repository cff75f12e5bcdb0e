"""The bracket of the least possible error: figures by hand, noise that is planted, and what must not be claimed."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import newcombe
from orthogon.metrics.score import Scores
from orthogon.strategy.diagnosis import BIAS, LABEL_NOISE, VARIANCE, Diagnosis, diagnose
from orthogon.strategy.floor import (
    Floor,
    Noise,
    bracket,
    consensus,
    cover_hart,
    label_noise,
    nearest,
    nearest_neighbour,
    noise_variance,
    repeats,
)

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "label_noise_quality.py"
ERROR = classification_metrics([str(k) for k in range(10)])["error"]


@pytest.fixture(scope="module")
def quality():
    """The benchmark as a module: its plants serve both."""
    sys.path.insert(0, str(BENCHMARK.parent))
    spec = importlib.util.spec_from_file_location("label_noise_quality", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield module
    torch.set_num_threads(threads)
    for name in (spec.name, "diagnosis_quality"):
        sys.modules.pop(name, None)
    sys.path.remove(str(BENCHMARK.parent))


# -- planted causes -----------------------------------------------------------------------------------------------


@pytest.mark.system("strat.label-noise")
@pytest.mark.parametrize("plant", ["P6", "P7", "P12", "clean"])
def test_label_noise_is_named_where_it_was_planted_and_nowhere_else(quality, plant):
    """P6 (all labels), P7 (train's alone), P12 (hard and clean: variance), and the clean twin; the fast form."""
    found = quality.studied(plant, 500, quality.Net(epochs=20), folds=3)
    assert quality.right(plant, found), (found.diagnosis.summary(), found.noise)
    said = found.diagnosis.summary()
    if plant == "P7":
        assert "of the labels of train are wrong; those of dev are not" in said
    if plant == "P12":
        assert "How many labels of train" in said
        assert "is not known: the network errs on" in said


@pytest.mark.slow
@pytest.mark.parametrize("plant", ["P6", "P7", "P12", "clean"])
def test_every_plant_at_its_pass_mark_over_eight_seeds(quality, plant):
    found = [quality.studied(plant, quality.FIRST_SEED + i) for i in range(8)]
    assert sum(quality.right(plant, each) for each in found) == 8


@pytest.mark.system("strat.bayes")
@pytest.mark.parametrize("distance", [1, 2, 3])
def test_the_bracket_holds_the_least_error_of_two_gaussians(quality, distance):
    """P18: 0.309, 0.159 and 0.067; and it is a bracket worth having, not 0 to 1."""
    floor, truth = quality.gaussians(distance, 500)
    assert truth == pytest.approx({1: 0.3085, 2: 0.1587, 3: 0.0668}[distance], abs=1e-4)
    assert floor.low <= truth <= floor.high
    assert floor.low > 0.5 * truth
    assert floor.high < 2 * truth


# -- the parts ----------------------------------------------------------------------------------------------------


def test_cover_hart_by_hand():
    """Two classes, e = 2 H (1 - H): H = 0.1 gives 0.18. Uniform noise q over C: e = 1 - (1-q)² - q²/(C-1)."""
    assert cover_hart(0.18, 2) == pytest.approx(0.1)
    q, c = 0.15, 10
    assert cover_hart(1 - (1 - q) ** 2 - q**2 / (c - 1), c) == pytest.approx(q)
    assert cover_hart(0.0, 5) == 0
    assert cover_hart(0.99, 2) == 0.5  # above chance


def test_nearest_against_brute_force():
    rng = np.random.default_rng(0)
    x, folds = rng.normal(size=(1500, 3)), rng.integers(0, 4, 1500)  # more than one block of rows
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(nearest(x, 2), np.argsort(distance, axis=1)[:, :2])
    distance[folds[:, None] != folds[None]] = np.inf
    assert np.array_equal(nearest(x, 2, folds), np.argsort(distance, axis=1)[:, :2])
    assert nearest(x[:1], 2).tolist() == [[-1, -1]]


def test_consensus_recovers_a_noise_matrix_that_is_not_uniform():
    """Examples come in threes of one true class, each labelled by T on its own."""
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.3, 0.2])
    t = np.array([[0.9, 0.1, 0.0], [0.05, 0.75, 0.2], [0.0, 0.02, 0.98]])
    true = np.repeat(rng.choice(3, 20000, p=p), 3)
    labels = np.array([rng.choice(3, p=t[k]) for k in true])
    rows = np.arange(len(labels)).reshape(-1, 3)
    near = np.concatenate([rows[:, [1, 2]], rows[:, [0, 2]], rows[:, [0, 1]]], axis=1).reshape(-1, 2)
    shares, noise = consensus(labels, near, 3)
    assert shares == pytest.approx(p, abs=0.02)
    assert noise == pytest.approx(t, abs=0.03)


def sure_answers(n: int, wrong: float, seed: int = 0):
    """(probs, labels): an answer that is certain, and labels of which a share contradicts it at random."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    probs = np.full((n, 4), 0.02)
    probs[np.arange(n), truth] = 1
    probs *= rng.uniform(0.9, 1, (n, 1))
    labels = np.where(rng.random(n) < wrong, (truth + rng.integers(1, 4, n)) % 4, truth)
    return probs, labels


def test_each_gate_refuses_by_its_name():
    probs, labels = sure_answers(1000, 0.2)
    assert label_noise(probs, labels).known
    assert "too few" in label_noise(probs[:99], labels[:99]).why
    guess = np.random.default_rng(1).random((1000, 4))
    assert "no judge of labels" in label_noise(guess, labels).why
    unsure = probs.copy()
    unsure[:, 0] += np.where(probs.argmax(1) == labels, 0.0, 0.8)  # it doubts just where it is wrong
    noise = label_noise(unsure, labels)
    assert "falls the surer it is" in noise.why
    probs, labels = sure_answers(1000, 0.2)  # the network errs, and the labels are as the inputs are
    near = {"raw": np.eye(4)[labels] + 0.01 * np.random.default_rng(2).normal(size=(1000, 4))}
    assert label_noise(probs, labels, near).why == "neighbours see 0.0 %, the network 22.0 %"
    far = {"raw": np.random.default_rng(2).normal(size=(1000, 5))}  # neighbours that know nothing
    assert label_noise(probs, labels, far).known


def test_the_noise_is_the_risk_of_the_surest_half_with_wilsons_limits():
    from orthogon.metrics.intervals import wilson, z_of

    probs, labels = sure_answers(400, 0.15)
    sure = np.argsort(-(np.sort(np.log(probs), axis=1)[:, -1] - np.sort(np.log(probs), axis=1)[:, -2]), kind="stable")
    k = int((probs.argmax(1) != labels)[sure[:200]].sum())
    noise = label_noise(probs, labels)
    assert noise.value == k / 200
    assert (noise.low, noise.high) == pytest.approx([float(limit) for limit in wilson(k, 200, z_of(0.95))])
    assert noise.judged == 200


def test_a_neighbour_that_still_learns_is_no_lower_limit():
    """50 classes on a line, 20 examples each: with half of them the neighbour errs far more."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 50, (1000, 2))
    labels = x[:, 0].astype(int) % 2 + 2 * (x[:, 1].astype(int) % 2)
    source = nearest_neighbour("raw", x, labels, 4)
    assert not source.used
    assert "still falls with more examples" in source.note
    floor = bracket({"dev": (10, 100)}, labels, 4, {"raw": x})
    assert floor.low == 0
    assert "nothing here shows that it is above 0" in floor.sentence()


def test_a_floor_survives_json_and_says_both_ends(quality):
    floor, _ = quality.gaussians(2, 501)
    assert Floor.from_dict(floor.to_dict()) == floor
    assert "at least" in floor.sentence()
    assert "at most" in str(floor)


def test_what_values_tell_is_an_upper_limit():
    """y = sin x + noise of variance 0.04: many neighbours differ by little but the noise, few by the function too."""

    def found(n: int, seed: int) -> float:
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 6, (n, 1))
        return noise_variance(x, np.sin(x[:, 0]) + 0.2 * rng.normal(size=n))

    assert 0.036 < found(2000, 0) < 0.045
    assert np.mean([found(10, seed) for seed in range(200)]) > 0.05


def test_repeats_counts_pairs_of_one_input():
    keys, labels = np.array([7, 3, 7, 3, 5, 7]), np.array(["a", "b", "b", "b", "c", "a"])
    assert repeats(keys, labels) == (1, 2)  # 7: a and b differ, its third is not looked at; 3: b and b


# -- in the ladder ------------------------------------------------------------------------------------------------


def scores(train: int, dev: int, n: int = 1000):
    return {
        name: Scores({"wrong": (np.arange(n) < wrong).astype(int)}, np.arange(n))
        for name, wrong in (("train", train), ("dev", dev))
    }


NOISY = Noise(0.15, 0.12, 0.18, 2000, True, "a plateau", 0.17)
CLEAN = Noise(0.002, 0.0, 0.008, 2000, True, "a plateau", 0.02)
UNKNOWN = Noise(0.3, 0.25, 0.35, 2000, False, "the network errs on 60 %", 0.6)


def test_wrong_labels_are_the_floor_and_memorised_ones_are_not_variance():
    """Train 2 %, dev 17 %, labels 15 % wrong: variance is 2 points from the floor, and 13 were learned by heart."""
    found = diagnose(scores(20, 170), ERROR, noise={"train": NOISY, "dev": NOISY})
    assert found.causes[0] == LABEL_NOISE
    assert found.rung("floor").value == 0.15
    assert found.rung("floor").source == "measured"
    assert found.gap(VARIANCE).value == pytest.approx(0.02)
    assert found.gap(BIAS).value == 0
    assert found.memorised_noise == pytest.approx(0.13)
    assert Diagnosis.from_dict(found.to_dict()) == found
    plain = diagnose(scores(20, 170), ERROR)
    assert plain.primary == VARIANCE  # what it would have been called


def test_noise_that_is_not_known_or_not_there_changes_nothing_but_is_told():
    plain = diagnose(scores(20, 170), ERROR)
    for noise in ({"train": CLEAN, "dev": CLEAN}, {"train": UNKNOWN}):
        found = diagnose(scores(20, 170), ERROR, noise=noise)
        assert found.gaps == plain.gaps
        assert found.causes == plain.causes
    assert "is not known: the network errs on 60 %" in found.summary()


def test_a_given_human_level_stays_the_floor():
    found = diagnose(scores(100, 170), ERROR, human_level=0.01, noise={"train": NOISY, "dev": NOISY})
    assert found.rung("floor").value == 0.01
    assert LABEL_NOISE in found.causes


def test_the_interval_of_the_gap_above_noise_is_newcombes():
    found = diagnose(scores(20, 170), ERROR, noise={"train": NOISY})
    low, high = newcombe(170, 1000, 150, 1000, 1.959964)
    gap = found.gap(VARIANCE)
    assert (gap.low, gap.high) == pytest.approx((low, high), abs=1e-4)
