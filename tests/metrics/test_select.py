"""One optimising metric, any number of satisficing ones; the threshold of a decision."""

import json

import numpy as np
import pytest

from orthogon.errors import ConfigError, UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import Interval
from orthogon.metrics.score import Scores
from orthogon.metrics.select import Candidate, Threshold, choose_threshold, expected_cost, parse_limit, select

ABC = [
    Candidate("A", {"accuracy": 0.90, "latency_ms": 80.0}),
    Candidate("B", {"accuracy": 0.92, "latency_ms": 95.0}),
    Candidate("C", {"accuracy": 0.95, "latency_ms": 1500.0}),
]


@pytest.mark.system("strat.satisfice")
def test_the_best_that_keeps_the_limit_is_b():
    found = select(ABC, "accuracy", {"latency_ms": "<= 100"}, higher_is_better=True)
    assert found.best == "B"
    assert [r.name for r in found.ranking] == ["B", "A", "C"]
    assert found.ranking[0].slack == {"latency_ms <= 100": 5.0}
    assert found.ranking[2].slack == {"latency_ms <= 100": -1400.0}
    assert found.ranking[2].violation == pytest.approx(14)
    assert found.price == pytest.approx(0.03)  # C would reach 95 %
    assert "without limits C would reach 0.95" in found.reason
    assert json.loads(json.dumps(found.to_dict()))["best"] == "B"


@pytest.mark.system("strat.satisfice")
def test_none_is_returned_when_none_qualifies_and_the_nearest_is_named():
    found = select(ABC, "accuracy", {"latency_ms": "< 80"}, higher_is_better=True)
    assert found.best is None
    assert found.price is None
    assert "No system keeps every limit; A comes nearest and misses latency_ms < 80 most" in found.reason


def test_a_measured_figure_keeps_a_limit_with_its_whole_interval():
    close = Candidate("B", {"error": 0.08, "latency_ms": Interval(95, 88, 104, 0.95, 200, "bootstrap")})
    sure = Candidate("A", {"error": 0.10, "latency_ms": Interval(80, 76, 85, 0.95, 200, "bootstrap")})
    found = select([close, sure], "error", {"latency_ms": "<= 100"})
    assert found.best == "A"
    assert found.ranking[1].slack["latency_ms <= 100"] == pytest.approx(-4)


@pytest.mark.system("strat.single-metric")
@pytest.mark.parametrize("undeclared", [None, ""])
def test_ranking_is_refused_without_a_declared_metric(undeclared):
    with pytest.raises(ConfigError, match=r"metrics.optimise: .*without one declared metric.\n.*accuracy, latency_ms"):
        select(ABC, undeclared)


def test_limits_are_read_as_people_write_them():
    assert str(parse_limit("latency_ms", "≤ 1e2")) == "latency_ms <= 100"
    assert parse_limit("recall", ">= 95 %").value == pytest.approx(0.95)
    assert parse_limit("x", "< 3").kept(3.0) is False
    assert parse_limit("x", ">-0.5").kept(0.0) is True
    for text in ("100", "about 3", "<= many", "=< 3", ""):
        with pytest.raises(
            ConfigError, match=rf'metrics.satisfice.latency_ms: "{text}" is not a limit.\nWrite a relation'
        ):
            parse_limit("latency_ms", text)


def test_a_figure_that_was_not_measured_is_named():
    with pytest.raises(ConfigError, match=r'"A" has no figure "latency".\nDid you mean "latency_ms"'):
        select(ABC, "accuracy", {"latency": "<= 100"})
    with pytest.raises(UsageError, match="Train at least one"):
        select([], "accuracy")


def binary(n=500, seed=0):
    """A rare positive class, probabilities too low."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.15).astype(int)
    p = np.clip(0.12 + 0.25 * truth + 0.08 * rng.normal(size=n), 0.001, 0.999)
    answer = (p >= 0.5).astype(int)
    records = {
        "truth": truth,
        "answer": answer,
        "wrong": (answer != truth).astype(int),
        "probs": np.stack([1 - p, p], axis=1),
    }
    return Scores(records, np.arange(n))


@pytest.mark.parametrize("metric", ["f1", "error", "weighted_error"])
def test_the_threshold_is_the_best_of_all(metric):
    """Brute force over every threshold finds nothing better."""
    scores = binary()
    judged = classification_metrics(["no", "yes"], costs={"yes": 5})[metric]
    found = choose_threshold(scores, judged)
    p, truth = scores.records["probs"][:, 1], scores.records["truth"]

    def at(t):
        answer = (p >= t).astype(int)
        return judged.error(
            Scores({**scores.records, "answer": answer, "wrong": (answer != truth).astype(int)}, scores.ids)
        )

    assert at(found.value) == pytest.approx(min(at(t) for t in [*p, 1.1]), abs=1e-12)
    assert found.figure.value == pytest.approx(judged.value(scores) + (found.figure.value - found.at_half))
    assert found.figure.low <= found.figure.value <= found.figure.high
    assert 0.15 < found.value < 0.45
    assert Threshold.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_costly_miss_lowers_the_threshold():
    scores = binary()
    even, costly = (choose_threshold(scores, expected_cost(1, miss)) for miss in (1, 20))
    assert costly.value < even.value


def test_a_threshold_without_two_classes_or_with_a_metric_that_ignores_it_is_refused():
    three = Scores({"probs": np.ones((4, 3)) / 3, "truth": np.zeros(4, int)}, np.arange(4))
    metrics = classification_metrics(["no", "yes"])
    with pytest.raises(
        UsageError, match=r"choose_threshold: A threshold needs two classes; these scores have 3.\nUse the"
    ):
        choose_threshold(three, metrics["f1"])
    with pytest.raises(UsageError, match=r'"roc_auc" does not depend on a threshold.\nChoose by "f1"'):
        choose_threshold(binary(), metrics["roc_auc"])
