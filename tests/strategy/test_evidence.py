"""What the autopilot learns on the way: noise by dev's answers, what limits the fit by its own steps, at what cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import orthogon as og
from orthogon.strategy import ledger
from orthogon.strategy.autopilot import DECIDING
from orthogon.strategy.diagnosis import BIAS
from orthogon.strategy.evidence import LEAST_SHARE, Fits, probe_runs, worth_out_of_fold
from orthogon.strategy.floor import Noise
from orthogon.strategy.probes import CAPACITY, OPTIMISATION

QUICK = ["training.preflight=false", "data.target=y", "data.dev=0.3", "data.test=0.2", "task.members=2"]


def noise(value: float, low: float, known: bool = True) -> Noise:
    return Noise(value, low, 2 * value, 300, known, "planted", value)


# -- figures worked by hand ---------------------------------------------------------------------------------------


def test_steps_against_bias_tell_capacity_from_optimisation_by_what_each_took_away() -> None:
    """Rate: .40 -> .36, a tenth. Width: .36 -> .09, three quarters. A tenth is no 95 % of it: capacity; and a step of
    the other kind is then expected to bring .1 / .75 of what it was."""
    fits = Fits()
    fits.see("higher learning rate", 0.40, 0.36)
    assert fits.sub_cause is None  # one kind alone says nothing
    fits.see("wider network", 0.36, 0.09)
    assert fits.sub_cause == CAPACITY
    assert fits.share("longer training") == pytest.approx(0.1 / 0.75)
    assert fits.share("deeper network") == 1
    assert fits.share("less regularisation") == 1  # of neither kind
    assert "10 % of the train error went by rate and length, 75 % by size" in fits.sentence()


def test_after_two_steps_of_one_kind_that_left_most_of_it_the_other_kind_is_due() -> None:
    fits = Fits()
    fits.see("higher learning rate", 0.40, 0.36)
    assert not fits.due
    fits.see("longer training", 0.36, 0.30)
    assert "wider network" in fits.due
    fits.see("wider network", 0.30, 0.29)
    assert not fits.due  # both were tried
    solved = Fits()
    solved.see("higher learning rate", 0.40, 0.1)
    solved.see("longer training", 0.1, 0.09)
    assert not solved.due


def test_where_rate_and_length_do_as_much_it_is_the_optimisation() -> None:
    fits = Fits()
    fits.see("wider network", 0.5, 0.5)
    assert fits.sub_cause is None
    fits.see("longer training", 0.5, 0.1)
    assert fits.sub_cause == OPTIMISATION
    assert fits.share("wider network") == LEAST_SHARE
    fits.see("wider network", 0.1, 0.001)  # more than all of it, from a lower start
    assert fits.sub_cause == CAPACITY


def test_harm_takes_nothing_away_and_other_knobs_are_no_probes() -> None:
    fits = Fits()
    fits.see("more dropout", 0.5, 0.1)
    fits.see("wider network", 0.1, 0.3)
    fits.see("longer training", 0.3, 0.4)
    assert fits.best == {CAPACITY: 0.0, OPTIMISATION: 0.0}
    assert fits.sub_cause is None
    assert Fits(given=CAPACITY).share("longer training") == LEAST_SHARE


def test_the_probes_cost_two_races_and_two_longer_trainings() -> None:
    """600 updates: A is a race of 3 quarters and one of three times the length, 1.75 x 3; B is 10 times as dear."""
    assert probe_runs(600, 10) == pytest.approx(1.75 * 3 * 11)
    assert probe_runs(100, 0) == pytest.approx(1.75 * 6)  # never fewer than 600 updates


def test_answers_out_of_fold_are_worth_it_only_where_dev_sees_noise_that_it_cannot_be_sure_of() -> None:
    assert worth_out_of_fold(noise(0.03, 0.005))
    assert not worth_out_of_fold(noise(0.2, 0.15))  # it is sure
    assert not worth_out_of_fold(noise(0.004, 0.0))  # there is none to speak of
    assert not worth_out_of_fold(noise(0.03, 0.005, known=False))  # a network that is no judge here is none there
    assert not worth_out_of_fold(None)


# -- planted ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What deciding takes is measured and charged; a clock that stands still makes these tests the same everywhere."""
    monkeypatch.setattr(ledger, "seconds", lambda: 0.0)


def two_clouds(flipped: float, seed: int = 0, n: int = 1500) -> pd.DataFrame:
    """Two clouds that a line divides; of both classes this share has the other's label."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 4)) + 3.0 * (y[:, None] - 0.5)
    wrong = rng.random(n) < flipped
    return pd.DataFrame({**{f"x{j}": x[:, j] for j in range(4)}, "y": [f"c{k}" for k in np.where(wrong, 1 - y, y)]})


def flown(tmp_path: Path, table: pd.DataFrame, *sets: str, budget: str = "8runs") -> Any:
    source = tmp_path / "table.csv"
    table.to_csv(source, index=False)
    run = og.start(str(source), project=tmp_path / "project", sets=[*QUICK, *sets])
    return run, *run.autopilot(budget)


def sentences(flight: Any) -> dict[str, str]:
    return {decision.title: decision.sentence for decision in flight.result.decisions}


def test_a_fifth_of_the_labels_wrong_is_the_floor_and_it_stops_there(tmp_path: Path) -> None:
    run, left, flight = flown(tmp_path, two_clouds(0.2), "training.epochs=12", "task.width=16")
    said = sentences(flight)
    assert "The floor is the noise in the labels" in said["floor"]
    floor = flight.result.diagnosis.rung("floor")
    assert floor.low <= 0.2 <= floor.high
    assert "nothing left that training can fix" in flight.result.stopped
    assert left.id == run.id
    assert flight.result.spent.runs == 0
    without = run.diagnose()  # the twin that takes the floor as 0 has a bias to work on
    assert BIAS in without.causes


def test_its_clean_twin_has_no_floor_and_says_so(tmp_path: Path) -> None:
    _, _, flight = flown(tmp_path, two_clouds(0.0), "training.epochs=12", "task.width=16", budget="2runs")
    assert flight.result.diagnosis.rung("floor").value == 0
    assert "The floor is taken as 0" in sentences(flight)["floor"]


def test_a_network_too_small_is_named_by_the_steps_that_were_taken_anyway(tmp_path: Path) -> None:
    """Ten clouds in eight dimensions through a single hidden unit, at a rate that suits: only size helps."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 1000)
    x = 2.5 * rng.normal(size=(10, 8))[y] + rng.normal(size=(1000, 8))
    table = pd.DataFrame({**{f"x{j}": x[:, j] for j in range(8)}, "y": [f"c{k}" for k in y]})
    sets = ("task.width=1", "task.depth=1", "task.number_embedding=none", "task.dropout=0", "training.weight_decay=0")
    _, _, flight = flown(tmp_path, table, *sets, "training.steps=300", "training.lr=0.03", budget="14runs")
    said = sentences(flight)
    assert "probes too" in said["study"]  # the two probes are dearer than a study may be
    assert "the capacity of the network" in said["sub-cause"]
    assert flight.after < flight.before - 0.1


def test_deciding_keeps_to_its_share_and_the_rest_goes_into_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock by which every thought takes as long as every training: a fifth is soon gone."""
    ticks = iter(range(100_000))
    monkeypatch.setattr(ledger, "seconds", lambda: float(next(ticks)))
    sets = ("training.epochs=2", "task.width=4", "training.lr=0.001")
    _, _, flight = flown(tmp_path, two_clouds(0.0, n=400), *sets, budget="60seconds")
    said = [decision.title for decision in flight.result.decisions]
    at = said.index("deciding")
    after = flight.result.decisions[at + 1 :]
    decided = flight.result.decisions[at].spent.deciding(flight.budget)
    assert DECIDING / 2 < decided <= DECIDING  # one more step could have taken it over
    assert after
    assert not [decision for decision in after if decision.gap]  # no step is chosen any more
    assert [decision for decision in after if decision.verdict]
