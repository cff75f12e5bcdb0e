"""Optimisation or capacity: the rule on made-up trainings, and on nets with a planted fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.advice import OF_SUB_CAUSE, next_steps
from orthogon.strategy.diagnosis import BIAS, Diagnosis, diagnose
from orthogon.strategy.probes import CAPACITY, OPTIMISATION, Probes, Setting, judge, probe

Law = Callable[[Setting], float]


def lab(law: Law) -> tuple[Callable[[Sequence[Setting]], list[float]], list[Setting]]:
    """A trainer that follows a law, and the settings that it was asked for."""
    asked: list[Setting] = []

    def train(settings: Sequence[Setting]) -> list[float]:
        asked.extend(settings)
        return [law(setting) for setting in settings]

    return train, asked


def test_a_rate_far_off_is_found_by_walking_on() -> None:
    """Only 1/81 of the rate trains at all: three rates around 1 would find nothing."""
    train, asked = lab(lambda s: 0.02 if abs(math.log(s.lr_times * 81)) < 0.1 else 0.9 + 0.001 * math.log(s.lr_times))
    found = probe(train, 0.9, 1000, 0.01)
    assert found.lr_same == pytest.approx(1 / 81)
    assert found.sub_cause == OPTIMISATION
    assert found.wider is None, "A took away nearly all of it, so that B could not change the verdict"
    assert all(setting.width_times == 1 for setting in asked)
    assert found.trainings == len(asked)
    assert asked[-1].updates == found.updates == 3000
    assert {setting.updates for setting in asked[:-1]} == {750}


def test_where_no_rate_trains_luck_does_not_lead_the_race_away() -> None:
    """At chance level the highest of three rates happens to be best; what trains lies the other way."""
    train, asked = lab(lambda s: 0.02 if s.lr_times < 0.05 else 0.9 - 0.005 * math.log(s.lr_times))
    found = probe(train, 0.9, 1000, 0.08, trivial_error=0.9)
    assert found.lr_same <= 1 / 27
    assert found.sub_cause == OPTIMISATION
    assert len(asked) <= 3 + 6 + 1


def test_a_rate_that_leaves_most_of_the_error_does_not_end_the_race() -> None:
    """As one seed of P4 had it: the run's own rate happens to do a little better, for a short training alone."""
    train, _ = lab(lambda s: 0.03 if s.lr_times < 0.05 else 0.79 if s.lr_times == 1 and s.updates < 1000 else 0.88)
    found = probe(train, 0.89, 1000, 0.089, trivial_error=0.9)
    assert found.lr_same <= 1 / 27
    assert found.sub_cause == OPTIMISATION
    assert probe(train, 0.89, 1000, 0.089, trivial_error=2.0).lr_same == 1, (
        "a run that learned something trusts its rate"
    )


def test_what_only_width_takes_away_is_capacity() -> None:
    train, asked = lab(lambda s: 0.4 - 0.02 * (s.updates > 1000) if s.width_times == 1 else 0.05)
    found = probe(train, 0.4, 1000, 0.02)
    assert (found.same, found.wider, found.sub_cause) == (pytest.approx(0.38), 0.05, CAPACITY)
    assert {setting.width_times for setting in asked} == {1, 8}
    assert "too small" in found.sentence()


def test_where_neither_helps_nothing_is_said() -> None:
    train, _ = lab(lambda s: 0.295)
    found = probe(train, 0.3, 1000, 0.03)
    assert found.sub_cause is None
    assert "labels" in found.sentence()


def test_the_rule_at_its_limits() -> None:
    assert judge(0.5, 0.024, 0.0, 0.01) == OPTIMISATION  # 0.475 of 0.5 is 95 %
    assert judge(0.5, 0.026, 0.0, 0.01) == CAPACITY
    assert judge(0.5, 0.1, 0.09, 0.01) == OPTIMISATION
    assert judge(0.5, 0.02, None, 0.01) == OPTIMISATION
    assert judge(0.5, 0.49, math.inf, 0.02) is None
    with pytest.raises(ValueError, match="probe B is needed"):
        judge(0.5, 0.3, None, 0.01)


def test_it_comes_back_from_json_as_it_was() -> None:
    for found in (
        Probes(0.5, 0.1, None, 3.0, None, 600, 0.01, OPTIMISATION),
        Probes(0.5, math.inf, 0.2, 1.0, 3.0, 600, 0.01, CAPACITY),
        Probes(0.5, 0.1, math.inf, 1.0, 3.0, 600, 0.01, OPTIMISATION),
    ):
        assert Probes.from_dict(found.to_dict()) == found


def biased(train: int, dev: int, n: int = 400) -> Diagnosis:
    """A diagnosis of so many mistakes of n on train and dev."""

    def scores(wrong: int, first: int) -> Scores:
        return Scores({"wrong": (np.arange(n) < wrong).astype(np.int64)}, np.arange(first, first + n))

    metric = classification_metrics(["a", "b"])["error"]
    return diagnose({"train": scores(train, 0), "dev": scores(dev, n)}, metric)


def test_the_sub_cause_decides_which_knob_of_bias_comes_first() -> None:
    found = biased(120, 130)
    assert found.primary == BIAS
    config = {"task": {"width": 64, "depth": 2}, "training": {"lr": 1e-3, "epochs": 10, "optimiser": "adamw"}}
    firsts = {}
    for sub_cause in (OPTIMISATION, CAPACITY):
        told = found.with_sub_cause(sub_cause, "because.")
        assert told.sub_cause == sub_cause
        assert told.summary().endswith("because.")
        assert Diagnosis.from_dict(told.to_dict()) == told
        firsts[sub_cause] = next_steps(told, config, {"dev": 400})[0].knob
    assert firsts[CAPACITY] in OF_SUB_CAUSE[CAPACITY]
    assert firsts[OPTIMISATION] in OF_SUB_CAUSE[OPTIMISATION]


def test_a_run_without_material_bias_has_no_sub_cause() -> None:
    found = biased(2, 130)
    assert found.with_sub_cause(CAPACITY, "because.") == found
