"""Error analysis on a handful of answers, by hand."""

import io
import json
import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import wilson, z_of
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.mistakes import analyse, calibration, coverage, random, worst

NAMES = ["cat", "dog", "owl"]
ERROR = classification_metrics(NAMES)["error"]


@dataclass
class Said:
    """Answers, as far as error analysis reads them."""

    values: dict
    ids: np.ndarray


def example(groups=None):
    """10 cats (3 answered dog, 1 owl), 5 dogs (1 answered cat), 5 owls, all right; loss grows with the position."""
    truth = np.array([0] * 10 + [1] * 5 + [2] * 5)
    answer = np.array([0] * 6 + [1] * 3 + [2] + [1] * 4 + [0] + [2] * 5)
    wrong = (truth != answer).astype(int)
    confidence = np.where(wrong, 0.55, 0.95)
    records = {"truth": truth, "answer": answer, "wrong": wrong, "loss": np.arange(20) / 10}
    scores = Scores(records, np.arange(100, 120), groups)
    order = np.arange(19, -1, -1)  # answers in another order than scores
    return scores, Said({"answer": np.array(NAMES)[answer][order], "confidence": confidence[order]}, scores.ids[order])


def test_confusion_pairs_and_classes_by_hand():
    scores, answers = example()
    found = analyse(scores, answers, class_names=NAMES, metric=ERROR)
    assert found.confusion == ((6, 3, 1), (1, 4, 0), (0, 0, 5))
    assert [(p.truth, p.answer, p.count, p.share) for p in found.confused] == [
        ("cat", "dog", 3, 0.3),
        ("cat", "owl", 1, 0.1),
        ("dog", "cat", 1, 0.2),
    ]
    assert [(s.name, s.error, s.n) for s in found.per_class] == [("cat", 0.4, 10), ("dog", 0.2, 5), ("owl", 0.0, 5)]
    assert [found.per_class[0].low, found.per_class[0].high] == pytest.approx(
        [float(x) for x in wilson(4, 10, z_of(0.95))]
    )
    assert found.per_group == {}
    assert json.loads(json.dumps(found.to_dict()))["confused"][0]["count"] == 3
    out = io.StringIO()
    Console(file=out, width=80).print(found)
    assert "cat" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_the_surest_cases_and_the_error_among_them():
    """15 of 20 are sure (0.95) and right, 5 unsure and wrong: the curve can be cut there and at the end only."""
    scores, answers = example()
    found = analyse(scores, answers, class_names=NAMES, metric=ERROR)
    assert [(p.share, p.error, p.n) for p in found.coverage] == [(0.75, 0.0, 15), (1.0, 0.25, 20)]
    assert found.sure() == "sure about 75 % of cases (confidence 0.95 or more), 0.0 % error there; 25.0 % over all"
    assert [(b.n, b.accuracy) for b in found.calibration] == [(5, 0.0), (15, 1.0)]
    assert [b.confidence for b in found.calibration] == pytest.approx([0.55, 0.95])


def test_confidence_that_tells_nothing_is_said_to():
    rng = np.random.default_rng(0)
    wrong = (rng.random(500) < 0.3).astype(int)
    points = coverage(rng.random(500), wrong)
    assert points[-1].share == 1
    assert points[-1].error == pytest.approx(wrong.mean())
    assert all(a.share < b.share and a.confidence >= b.confidence for a, b in pairwise(points))
    assert sum(b.n for b in calibration(rng.random(500), wrong)) == 500
    scores = Scores({"wrong": wrong, "loss": wrong}, np.arange(500))
    found = analyse(scores, Said({"confidence": np.full(500, 0.7)}, scores.ids), metric=ERROR)
    assert found.sure().startswith("its confidence does not tell where it errs; over all cases")


def test_labels_side_by_side_have_no_one_confidence():
    records = {"truth": np.eye(4, 2, dtype=int), "probs": np.full((4, 2), 0.7), "wrong": np.ones(4), "loss": np.ones(4)}
    scores = Scores(records, np.arange(4))
    found = analyse(scores, Said({}, scores.ids), class_names=["a", "b"], metric=ERROR)
    assert (found.coverage, found.calibration, found.sure()) == ((), (), "")
    single = Scores({**records, "truth": np.array([0, 0, 0, 1])}, np.arange(4))
    assert len(analyse(single, Said({}, scores.ids), metric=ERROR).calibration) == 1


def test_errors_are_printed_in_their_unit():
    scores, answers = example(np.array(["ann", "bob"])[np.arange(20) % 2])
    text = str(analyse(scores, answers, class_names=NAMES, metric=ERROR))
    assert re.search(r"cat +40\.0 % +\[16\.8, 68\.7\] +10", text)
    assert re.search(r"ann +30\.0 % ", text)
    records = {"squared": np.full(20, 9e6), "loss": np.full(20, 9e6)}
    metric = regression_metrics("USD")["rmse"]
    values = analyse(Scores(records, scores.ids, scores.groups), Said({}, scores.ids), metric=metric)
    assert re.search(r"ann +3,000 USD +\[3,000, 3,000\] +10", str(values))


def test_worst_and_random_mistakes():
    scores, _ = example()
    assert list(worst(scores, 3)) == [14, 9, 8]
    assert set(random(scores, 99)) == {6, 7, 8, 9, 14}
    assert list(random(scores, 2)) == list(random(scores, 2))
    values = Scores({"loss": np.array([1.0, 5.0, 3.0])}, np.arange(3))  # nothing is plainly wrong
    assert list(worst(values, 2)) == [1, 2]


def test_groups_are_judged_by_the_metric_itself():
    groups = np.array(["ann", "bob"])[np.arange(20) % 2]
    scores, answers = example(groups)
    found = analyse(scores, answers, class_names=NAMES, metric=ERROR)
    by_name = {s.name: s for s in found.per_group["group"]}
    wrong = scores.records["wrong"]
    assert by_name["ann"].error == wrong[groups == "ann"].mean()
    assert by_name["ann"].low < by_name["ann"].error < by_name["ann"].high
    rng = np.random.default_rng(0)
    squared = np.where(groups == "ann", 9.0, 1.0) * rng.normal(size=20) ** 2
    values = Scores({"squared": squared, "loss": squared, "truth": squared}, np.arange(20), groups)
    found = analyse(values, Said({"answer": squared}, np.arange(20)), metric=regression_metrics()["rmse"])
    assert [s.name for s in found.per_group["group"]] == ["ann", "bob"]  # the worse one first
    assert found.confusion is None
    assert found.coverage == ()
    assert found.sure() == ""
