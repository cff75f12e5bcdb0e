"""Learning curves: the gates, the words, and a real one measured through a project's trials."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import orthogon as og
from orthogon.api import train
from orthogon.errors import UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.project import trial as trial_module
from orthogon.strategy import curve as study
from orthogon.strategy.advice import OF_SUB_CAUSE
from orthogon.strategy.curve import LearningCurve, Measured, falls, judge
from orthogon.strategy.diagnosis import diagnose
from orthogon.strategy.floor import Noise
from orthogon.strategy.knobs import read
from orthogon.strategy.probes import OPTIMISATION, Probes
from orthogon.strategy.retrain import noise_floor, probe_run

ERROR = classification_metrics(["a", "b"])["error"]


def measured(law: Any, n: int = 1000, units: int = 4000, train: float = 0.0, seed: int = 0) -> list[Measured]:
    """Points of a known law, with the sampling noise of so many units."""
    rng = np.random.default_rng(seed)
    return [
        Measured(s * n, tuple(rng.binomial(units, law(s * n), 1 if s == 1 else 3) / units), (train,) * 3)
        for s in study.SHARES
    ]


def falling(n: float) -> float:
    return float(0.02 + 0.08 * (n / 1000) ** -0.6)


def test_what_twice_the_data_brings_is_said_as_at_least_likely_at_most() -> None:
    found = judge(measured(falling), ERROR, 4000, steps=500)
    twice = found.twice
    assert twice is not None
    assert found.forecast is not None
    truth = falling(1000) - falling(2000)
    assert twice.least < truth < twice.most
    assert twice.low < falling(2000) < twice.high
    assert [h.tested for h in found.horizons] == [h.times <= 2 for h in found.horizons]
    first = found.sentences()[0]
    assert all(word in first for word in ("at least", "likely", "at most"))
    assert "indicative" not in first
    assert "indicative" in found.sentences()[1]


def test_what_an_error_takes_is_a_range_of_examples() -> None:
    found = judge(measured(falling), ERROR, 4000)
    target = falling(2200)
    reach = found.reach(target)
    assert reach.low is not None
    assert reach.likely is not None
    assert 1000 <= reach.low < reach.likely
    assert reach.likely == pytest.approx(2200, rel=0.35)
    assert reach.high is None or reach.high > reach.likely
    assert "at the earliest" in found.in_words(reach)
    assert found.reach(0.5).low == pytest.approx(1000)
    nowhere = found.reach(0.001)
    assert (nowhere.low, nowhere.likely, nowhere.high) == (None, None, None)
    assert "is not reached" in found.in_words(nowhere)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (measured(falling)[3:], "at least 5 points, and there are 4"),
        (measured(lambda n: 0.1 if n < 400 else 0.16), "does not fall steadily"),
        (measured(lambda n: 0.1 + 10 / n, train=0.11), "The limit is bias"),
        (
            [*measured(falling)[:-1], Measured(1000, (falling(1000),), (0.0,), still_falling=True)],
            "still fell when the training on all examples ended",
        ),
        ([Measured(1000 * s, (0.4 if s < 0.6 else 0.1,) * 3) for s in study.SHARES], "cannot be trusted further"),
    ],
    ids=["few points", "rising", "bias", "not converged", "back-test"],
)
def test_what_cannot_be_said_is_not_and_why(points: list[Measured], why: str) -> None:
    found = judge(points, ERROR, 4000, steps=500)
    assert found.twice is None
    assert not found.horizons
    assert why in " ".join(found.causes)
    assert "cannot be said" in " ".join(found.sentences())


def test_a_falling_curve_is_not_taken_for_a_rising_one() -> None:
    """The isotonic test at 1 %: noise alone seldom looks like a rise, and a real one is seen."""
    alarms = sum(falls(measured(falling, seed=seed), 4000) < 0.01 for seed in range(40))
    assert alarms <= 3
    seen = sum(falls(measured(lambda n: 0.1 * (n / 1000) ** 0.2, seed=seed), 4000) < 0.01 for seed in range(10))
    assert seen == 10


def test_a_floor_of_noise_bounds_what_data_can_bring() -> None:
    points = measured(lambda n: 0.15 + 0.05 * (n / 1000) ** -0.7)
    free, bounded = judge(points, ERROR, 4000), judge(points, ERROR, 4000, floor=0.15)
    assert free.twice is not None
    assert bounded.twice is not None
    assert bounded.twice.most < free.twice.most
    assert bounded.twice.likely > 0.15


def test_wrong_labels_in_dev_are_that_floor_and_people_are_not() -> None:
    right = Scores({"wrong": np.zeros(400, np.int64)}, np.arange(400))
    by_people = diagnose({"train": right, "dev": right}, ERROR, human_level=0.1)
    assert noise_floor(by_people, ERROR) == 0
    for known, expected in ((True, 0.12), (False, 0.0)):
        noise = Noise(0.15, 0.12, 0.18, 400, known, "a plateau.", 0.2)
        assert noise_floor(replace(by_people, noise={"dev": noise}), ERROR) == expected


def test_an_error_in_a_unit_is_foretold_in_that_unit() -> None:
    metric = regression_metrics("EUR")["rmse"]
    rng = np.random.default_rng(0)
    points = [Measured(500 * s, tuple(9000 * s**-0.4 * np.exp(rng.normal(0, 0.01, 3)))) for s in study.SHARES]
    found = judge(points, metric, 300, trivial_error=30_000)
    assert found.twice is not None
    assert found.twice.low < 9000 * 2**-0.4 < found.twice.high
    assert "EUR" in found.sentences()[0]
    assert "points" not in found.sentences()[0]


def test_it_prints_itself_and_comes_back_from_json() -> None:
    for points in (measured(falling), measured(falling)[4:]):
        found = judge(points, ERROR, 4000, steps=500)
        assert LearningCurve.from_dict(found.to_dict()) == found
        text = str(found)
        assert f"{1000:,}" in text
        assert max(map(len, text.splitlines())) <= 100
        assert text.count("●") >= 3
        narrow = io.StringIO()
        Console(file=narrow, width=60, color_system=None).print(found)
        assert max(map(len, narrow.getvalue().splitlines())) <= 60
    assert "2x" in str(judge(measured(falling), ERROR, 4000))


# -- through a project --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> og.api.Run:
    folder = tmp_path_factory.mktemp("curve") / "wine"
    return og.start("wine", project=folder, sets=["training.epochs=6", "task.width=16", "task.members=1"])


def test_a_curve_is_measured_on_equal_terms_and_only_once(run: og.api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[trial_module.Recipe] = []
    make = trial_module.Trials._made

    def spy(self: Any, recipe: Any, *rest: Any) -> Any:
        made.append(recipe)
        return make(self, recipe, *rest)

    monkeypatch.setattr(trial_module.Trials, "_made", spy)
    events: list[dict[str, Any]] = []
    found = run.curve(workers=1, listen=events.append)
    assert len(found.points) >= study.FEWEST_POINTS
    assert len(made) == 3 * len(found.points) - 2
    assert {recipe.overrides["training.steps"] for recipe in made} == {run.info["steps"]}
    assert all(recipe.select is not None and not len(recipe.select) for recipe in made), "nothing is chosen by dev"
    by_seed: dict[int, list[set[int]]] = {}
    for recipe in made:
        by_seed.setdefault(recipe.seed or 0, []).append(set(map(int, recipe.train)))  # type: ignore[arg-type]
    for sets in by_seed.values():
        ordered = sorted(sets, key=len)
        assert all(a < b for a, b in pairwise(ordered)), "nested"
    assert len({frozenset(sets[-1]) for sets in by_seed.values()}) == 3
    assert [e["done"] for e in events if e["event"] == "curve"] == list(range(len(made) + 1))
    again = run.curve(workers=1)
    assert len(made) == 3 * len(found.points) - 2, "trials are kept"
    assert again.points == found.points
    assert run.kept(LearningCurve) == again
    (run.derived / "curve.json").write_text("{")
    assert run.kept(LearningCurve) is None


def test_a_width_curve_turns_width_alone(run: og.api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "WIDTHS", (0.25, 0.5, 1.0))
    monkeypatch.setattr(study, "RESAMPLES", 1)
    found = run.curve("width", workers=1)
    assert [point.n for point in found.points] == [0.25, 0.5, 1.0]
    assert all((a.parameters or 0) < (b.parameters or 0) for a, b in pairwise(found.points))
    assert "at least 5 points" in found.causes[0]
    assert run.kept(LearningCurve, "width") == found


def test_probes_need_a_bias(run: og.api.Run) -> None:
    right = Scores({"wrong": np.zeros(400, np.int64)}, np.arange(400))
    diagnosis = diagnose({"train": right, "dev": right}, ERROR)
    with pytest.raises(UsageError, match="no material bias") as caught:
        probe_run(run, diagnosis, ERROR)
    assert "negligible" in str(caught.value)
    assert "orthogon diagnose" in str(caught.value)


def test_probes_tell_a_run_why_it_does_not_fit(run: og.api.Run) -> None:
    """One update an epoch for a single epoch: the optimiser's fault, which diagnosis and next steps then name."""
    short = train(project=run.project.folder, sets=["training.epochs=1", "training.lr=0.0001"])
    assert short.diagnose().sub_cause is None
    found = short.probe()
    assert found.sub_cause == OPTIMISATION
    assert short.kept(Probes) == found
    assert short.diagnose().sub_cause == OPTIMISATION
    assert found.sentence() in short.diagnose().summary()
    assert og.next_steps(short)[0].knob in OF_SUB_CAUSE[OPTIMISATION]


def test_a_network_without_width_says_so(run: og.api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "WIDTH_KEYS", ())
    with pytest.raises(UsageError, match="has no width to turn"):
        run.curve("width")


def test_widths_divide_as_the_full_one_does() -> None:
    assert [study._even(64 * share, 64) for share in (0.125, 0.18, 0.35, 1.0)] == [8, 12, 24, 64]
    assert study._even(0.1 * 3, 3) == 1
    assert study._even(5.0, 10) == 4
    assert read({"task": {"width": 3}}, "task.width") == 3
    assert math.isclose(study.SHARES[-1], 1.0)


def test_bad_flags_say_what_to_do(run: og.api.Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from orthogon.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["diagnose", "--reach", "0.1", "--project", str(run.project.folder)])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "--reach 0.1" in told
    assert "--curve" in told


def test_a_curve_is_drawn_unasked_only_where_variance_limits_and_it_is_cheap(
    run: og.api.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(og.api.Run, "curve", lambda self, by, **_: drawn.append(by))
    right, wrong = (Scores({"wrong": np.full(400, each, np.int64)}, np.arange(400)) for each in (0, 1))
    for dev, cheap, expected in ((wrong, 1e6, ["data"]), (wrong, 0.0, []), (right, 1e6, [])):
        drawn.clear()
        diagnosis = diagnose({"train": right, "dev": dev}, ERROR)
        monkeypatch.setattr(og.api.Run, "diagnose", lambda self, found=diagnosis: found)
        monkeypatch.setattr("orthogon.api.run.CHEAP_SECONDS", cheap)
        run.curve_if_cheap()
        assert drawn == expected
