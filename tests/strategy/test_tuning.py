"""Studies: trials under a plan, shared, resumable, within limits, and honest about what choosing by dev costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orthogon as og
from orthogon import api
from orthogon.errors import ConfigError, RunError, TrainingError, UsageError
from orthogon.project.config import get, parse
from orthogon.project.project import Project
from orthogon.project.trial import Trials
from orthogon.shown import json_text
from orthogon.strategy import tune as tuner
from orthogon.strategy.study import Budget, Study, narrowed, parse_budget
from orthogon.strategy.tuning import Row, Tuning, _selection, result
from orthogon.training.space import Parameter, Space

SHORT = ["training.epochs=20", "training.batch_size=64", "task.width=16", "task.members=2", "training.lr_race=false"]
QUICK = {"train_best": False, "tiers": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Iris with one short run whose learning rate is far too small."""
    place = tmp_path_factory.mktemp("tuning") / "iris"
    og.start("iris", project=place, sets=[*SHORT, "training.lr=0.0001"])
    return place


def begun(folder: Path, **changes: Any) -> tuple[Study, Trials]:
    project = Project(folder)
    settings: dict[str, Any] = {"strategy": "sobol", "budget": 5, "tiers": 2, "sets": (), "name": None, "seed": 0}
    values = project.run("1").config
    values["metrics"]["satisfice"] = changes.pop("satisfice", {})
    return tuner.begin(project, parse(values), "0001", **{**settings, "prune": False, **changes})


def found(study: Study, trials: Trials) -> Tuning:
    return tuner.found(study, trials)


# -- from end to end --------------------------------------------------------------------------------------------


def test_a_bad_rate_is_found_out_and_the_best_becomes_a_run(folder: Path) -> None:
    events: list[dict[str, Any]] = []
    looks = Project(folder).test_looks()
    tuning = og.tune(project=folder, budget=8, strategy="sobol", tiers=1, listen=events.append)
    best, first = tuning.row(tuning.best), tuning.rows[0]
    assert best is not None
    assert best.error is not None
    assert first.error is not None
    assert first.values == {"training.lr": 0.0001}
    assert best.values["training.lr"] > 0.0005
    assert best.error < first.error - 0.2
    assert tuning.gain is not None
    assert tuning.gain[1] > 0  # surely better, on the same examples
    assert tuning.corrected is not None
    assert tuning.optimism is not None
    assert tuning.corrected == pytest.approx(best.error + tuning.optimism)
    # the run is the trial's config, and gives its figures
    run = api.load(tuning.run, project=folder)
    assert run.info["knob"] == "tuned"
    assert run.info["parent"] == "0001"
    assert run.info["expected"]["value"] == pytest.approx(tuning.gain[0] - tuning.optimism)
    assert run.info["dev_error"] == pytest.approx(best.error)
    assert run.config["training"]["lr"] == best.values["training.lr"]
    assert Project(folder).test_looks() == looks + 1  # the run's own; no trial looked
    told = json.loads((run.derived / "tuning.json").read_text())
    assert told["corrected"] == pytest.approx(tuning.corrected)
    assert "test, which no trial has seen, says" in tuner.witness(tuning, run)
    # what is kept
    place = folder / "tune" / tuning.name
    kept = Tuning.from_dict(json.loads((place / "result.json").read_text()))
    assert json_text(kept.to_dict()) == json_text(tuning.to_dict())
    assert "The best configuration" in (place / "tune.html").read_text()
    assert {"study", "trial", "trial end", "study over", "evaluation"} <= {event["event"] for event in events}
    text = str(tuning)
    assert f"Trial {tuning.best} is best" in text
    assert "expect" in text
    # resumed when it is over, nothing is done twice
    runs = len(Project(folder).runs())
    again = api.resume_tuning(tuning.name, project=folder)
    assert again.run == tuning.run
    assert len(Project(folder).runs()) == runs


def test_the_same_seed_tries_the_same_and_another_does_not(folder: Path) -> None:
    values = []
    for seed in (0, 0, 1):
        study, trials = begun(folder, strategy="random", budget=4, seed=seed)
        study.work(trials)
        values.append([(row.values, row.error) for row in found(study, trials).rows])
    assert values[0] == values[1]
    assert values[0] != values[2]
    assert values[0][0] == values[2][0]  # the config at hand comes first


@pytest.mark.parametrize("strategy", ["tpe", "halving", pytest.param("hyperband", marks=pytest.mark.slow)])
def test_every_strategy_draws_inside_the_space(folder: Path, strategy: str) -> None:
    study, trials = begun(folder, strategy=strategy, budget=12, tiers=3, prune=True)
    assert study.work(trials) == "the budget is spent"
    tuning = found(study, trials)
    assert len(tuning.rows) == 12
    assert tuning.rows[0].state == "finished"  # the first is the measure of all, and never stopped
    for row in tuning.rows[1:]:
        assert all(study.plan.space[key].holds(value) for key, value in row.values.items())
        if row.state == "stopped":
            assert row.error is None
            assert row.curve
    if strategy == "halving":
        assert tuning.counts().get("stopped", 0) >= 2


def test_coarse_to_fine_draws_its_last_round_around_the_best(folder: Path) -> None:
    study, trials = begun(folder, strategy="coarse-to-fine", budget=16, tiers=1)
    study.work(trials)
    places = [study.plan.space["training.lr"].place(row.values["training.lr"]) for row in found(study, trials).rows]
    assert np.ptp(places[12:]) < 0.6 * np.ptp(places[1:8])
    assert set(study.books.user_attrs) == {"box 1", "box 2"}


# -- limits -----------------------------------------------------------------------------------------------------


@pytest.mark.system("strat.satisfice")
def test_what_is_too_large_is_refused_before_it_is_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    make = Trials.make
    monkeypatch.setattr(Trials, "make", lambda self, *args: trained.append(1) or make(self, *args))
    limits = {"parameters": "<= 20000", "size_mib": "<= 1"}
    study, trials = begun(folder, satisfice=limits, strategy="random", budget=5, sets=["task.width=4..256 log int"])
    study.work(trials)
    tuning = found(study, trials)
    refused = [row for row in tuning.rows if row.state == "refused"]
    assert refused
    assert len(trained) == 5  # they cost nothing, and are not counted
    assert all("breaks parameters <= 20000" in row.why and row.violation > 0 for row in refused)
    assert all(row.figures["parameters"] > 20000 for row in refused)
    best = tuning.row(tuning.best)
    assert best is not None
    assert best.figures["parameters"] <= 20000
    assert tuning.limits == ["parameters <= 20000", "size_mib <= 1"]


@pytest.mark.system("strat.satisfice")
def test_where_nothing_keeps_the_limits_it_says_none(folder: Path) -> None:
    study, trials = begun(folder, satisfice={"parameters": "<= 10"}, budget=5)
    assert "in a row broke a limit" in study.work(trials)
    tuning = found(study, trials)
    assert tuning.best is None
    assert "No configuration keeps every limit; trial" in tuning.verdict()
    assert "comes nearest and breaks parameters <= 10" in tuning.verdict()
    assert not (trials.folder / "x").exists()


@pytest.mark.system("strat.satisfice")
def test_a_limit_on_a_metric_is_judged_by_its_interval(folder: Path) -> None:
    study, trials = begun(folder, satisfice={"accuracy": ">= 0.999"}, budget=4, tiers=1)
    study.work(trials)
    tuning = found(study, trials)
    assert tuning.best is None  # 30 examples cannot show 99.9 %
    assert "No trial keeps every limit" in tuning.verdict()
    assert all(row.figures["accuracy"]["low"] < 0.999 for row in tuning.ranking())


def rows_with(*errors_and_latencies: tuple[float, float, float]) -> list[Row]:
    rows = []
    for number, (error, latency, high) in enumerate(errors_and_latencies):
        figure = {"value": latency, "low": latency, "high": high, "level": 0.95, "n": 300, "method": "order statistics"}
        violation = max(0.0, (high - 10) / 10)
        rows.append(Row(number, "finished", {}, error, error, violation=violation, figures={"latency_ms": figure}))
    return rows


@pytest.mark.system("strat.satisfice")
@pytest.mark.parametrize("seed", range(8))
def test_p22_the_best_within_the_latency_or_none(seed: int) -> None:
    """The best net breaks the limit: the best that keeps it is chosen, and the price told; none keeps it: none."""
    rng = np.random.default_rng(seed)
    slow = (0.01, 30.0, 31.0)
    fast = [
        (float(e), float(t), float(t) + 0.5)
        for e, t in zip(rng.uniform(0.05, 0.3, 6), rng.uniform(1, 9, 6), strict=True)
    ]
    edge = (0.03, 9.9, 10.4)  # whose interval reaches over the limit
    rows = rows_with(slow, edge, *fast)
    tuning = Tuning("1", "tpe", "8", 0, "error", "error rate", "%", "", "", 1, rows)
    chosen = _selection(tuning.ranking(), {"latency_ms": "<= 10"})
    best = min(range(6), key=lambda i: fast[i][0])
    assert chosen.best == f"trial {best + 2}"
    assert tuning.ranking()[0].number == best + 2
    assert chosen.price == pytest.approx(fast[best][0] - 0.01)
    none = _selection(rows_with(slow, edge), {"latency_ms": "<= 10"})
    assert none.best is None
    assert "No system keeps every limit; trial 1 comes nearest" in none.reason


# -- what is lost, and what goes wrong --------------------------------------------------------------------------


def test_a_trial_that_lost_its_process_is_made_again(folder: Path) -> None:
    study, trials = begun(folder, strategy="random", budget=4)
    lost = study.books.ask()
    lost.set_user_attr("worker", "gone")  # the config at hand, begun by a process that was killed
    other, _ = tuner.join(study.project, study.name)
    other.work(trials)
    tuning = found(other, trials)
    assert [row.state for row in tuning.rows] == ["finished"] * 4
    assert lost.number not in [row.number for row in tuning.rows]
    assert tuning.rows[0].values == {key: law.default for key, law in study.plan.space.items()}


def test_ctrl_c_keeps_what_is_finished_and_draws_the_rest_again(folder: Path) -> None:
    study, trials = begun(folder, strategy="random", budget=5, seed=3)

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "evaluation" and study.spent() == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.work(trials, stop)
    before = found(study, trials)
    assert before.counts() == {"finished": 2}
    again, _ = tuner.join(study.project, study.name)
    again.work(trials)
    after = found(again, trials)
    assert after.counts() == {"finished": 5}
    whole, _ = begun(folder, strategy="random", budget=5, seed=3)
    whole.work(trials)
    assert [row.values for row in found(whole, trials).rows][:3] == [row.values for row in after.rows][:3]


def test_a_configuration_that_fails_costs_only_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Trials.make

    def fails_at_high_rates(self: Trials, recipe: Any, watch: Any = None) -> Any:
        if recipe.overrides.get("training.lr", 0) > 0.001:
            raise TrainingError("the loss is nan", "step 3", "Lower training.lr.")
        return make(self, recipe, watch)

    monkeypatch.setattr(Trials, "make", fails_at_high_rates)
    study, trials = begun(folder, strategy="tpe", budget=6, tiers=1)
    study.work(trials)
    tuning = found(study, trials)
    assert tuning.counts()["failed"] >= 1
    assert all(row.why == "the loss is nan" for row in tuning.rows if row.state == "failed")
    assert tuning.best is not None


@pytest.mark.system("hp.retest")
def test_a_tuning_older_than_the_data_is_flagged_and_not_gone_on_with(tmp_path: Path) -> None:
    rows = ["x,y,label"] + [f"{i % 7},{i % 5},{'ab'[(i % 7) > 3]}" for i in range(120)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows))
    place = tmp_path / "p"
    og.start(table, target="label", project=place, sets=["training.epochs=3", "task.width=4", "training.lr=0.0001"])
    sets = ["training.lr=0.02..0.05"]  # the first run's rate is far below
    tuning = og.tune(project=place, budget=3, strategy="random", tiers=1, sets=sets)
    assert tuning.run == "0002"
    assert tuning.num_examples == 120
    assert not tuning.stale
    assert [each.stale for each in api.tunings(project=place)] == [""]
    table.write_text("\n".join([*rows, *rows[1:31]]))
    api.train(project=place, base="2")
    (told,) = api.tunings(project=place)
    assert told.created == tuning.created
    assert told.fingerprint == tuning.fingerprint
    assert "120 examples then, 150 now" in told.stale
    assert tuning.created[:10] in told.stale
    old, new = (api.load(number, project=place) for number in ("2", "3"))
    assert old.info["knob"] == "tuned"
    assert old.stale_tuning() == ""
    assert "120 examples then, 150 now" in new.stale_tuning()
    assert "Tune again: orthogon tune" in new.stale_tuning()
    with pytest.raises(RunError, match=r"has changed since study 0001 was begun(.|\n)*Begin a new study"):
        api.resume_tuning("0001", project=place)


# -- what is asked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("30", Budget("trials", 30)),
        (7, Budget("trials", 7)),
        ("30 trials", Budget("trials", 30)),
        ("10min", Budget("minutes", 10)),
        ("1.5h", Budget("minutes", 90)),
        ("20runs", Budget("runs", 20)),
    ],
)
def test_budgets_are_read_as_people_write_them(text: str | int, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(("text", "told"), [("0", "tries nothing"), ("1", "tries nothing"), ("ten", "not a budget")])
def test_a_budget_that_is_none_is_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=rf"--budget: .*{told}(.|\n)*--budget"):
        parse_budget(text)


def test_a_budget_in_runs_counts_what_the_first_cost(folder: Path) -> None:
    study, trials = begun(folder, budget="3runs", tiers=1)
    study.work(trials)
    rows = found(study, trials).rows
    assert sum(row.seconds for row in rows) >= 3 * rows[0].seconds
    assert sum(row.seconds for row in rows[:-1]) < 3 * rows[0].seconds


SPACE: Space = {
    "training.lr": Parameter("log", 1e-4, 1e-1, 1, 0.003),
    "task.width": Parameter("log_int", 16, 256, 2, 64),
    "training.beta2": Parameter("one_minus_log", 0.9, 0.9999, 4, 0.999),
}


@pytest.fixture(scope="module")
def config(folder: Path) -> dict[str, Any]:
    return Project(folder).run("1").config


def test_ranges_are_narrowed_widened_added_and_fixed(config: dict[str, Any]) -> None:
    sets = ["training.lr=0.001..0.01", "task.width=64", "task.dropout=0..0.3", "training.batch_size=16..64 log"]
    space, fixed = narrowed(SPACE, [*sets, "training.schedule=[cosine, constant]"], config)
    assert (space["training.lr"].scale, space["training.lr"].low, space["training.lr"].high) == ("log", 0.001, 0.01)
    assert fixed == {"task.width": "task.width=64"}
    assert "task.width" not in space
    assert space["task.dropout"].scale == "linear"
    assert space["training.batch_size"].scale in ("log", "log_int")
    assert space["training.schedule"].choices == ("cosine", "constant")
    assert space["training.beta2"] == SPACE["training.beta2"]


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ("training.lr", "is not KEY=VALUE"),
        ("training.lr=a..b", "is not a range of numbers"),
        ("training.lr=1..0.1", "not a range to search"),
        ("task.dropout=0..3", "task.dropout"),
        ("task.dropuot=0..0.3", "dropout"),
    ],
)
def test_a_range_that_cannot_be_is_refused(config: dict[str, Any], sets: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        narrowed(SPACE, [sets], config)


@pytest.mark.system("hp.priority")
def test_tiers_limit_what_is_varied_and_what_is_named_always_is(folder: Path) -> None:
    project = Project(folder)
    trials = Trials(project, parse(project.run("1").config))
    assert list(tuner.space_of(trials, 1)[1]) == ["training.lr"]
    tiers = {law.tier for law in tuner.space_of(trials, 2)[1].values()}
    assert tiers == {1, 2}
    assert set(tuner.space_of(trials, 1, ["task.dropout=0..0.2"])[1]) == {"training.lr", "task.dropout"}
    fixed, space = tuner.space_of(trials, 1, ["task.width=24", "training.lr=0.001..0.01"])
    assert get(fixed.config.model_dump(), "task.width") == 24
    assert space["training.lr"].low == 0.001
    with pytest.raises(UsageError, match="nothing is left to vary"):
        tuner.space_of(trials, 1, ["training.lr=0.1"])
    with pytest.raises(UsageError, match="there is no tier 5"):
        tuner.space_of(trials, 5)


def test_what_cannot_be_begun_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match=r'"tep" is not a strategy(.|\n)*Did you mean "tpe"'):
        begun(folder, strategy="tep")
    with pytest.raises(UsageError, match="cannot name a folder"):
        begun(folder, name="../x")
    begun(folder, name="mine")
    with pytest.raises(UsageError, match=r'there is a study "mine" already(.|\n)*--resume mine'):
        begun(folder, name="mine")
    with pytest.raises(UsageError, match=r'there is no study "mien"(.|\n)*Did you mean "mine"'):
        api.resume_tuning("mien", project=folder)


def test_a_best_value_at_the_end_of_its_range_is_named_with_a_wider_one(folder: Path) -> None:
    study, trials = begun(folder, strategy="random", budget=6, tiers=1, sets=["training.lr=0.0001..0.0004"], seed=1)
    study.work(trials)
    tuning = found(study, trials)
    if tuning.walls:  # the rate is too small everywhere, so the largest is best
        assert tuning.walls == {"training.lr": "training.lr=0.0001..0.004"}
        assert "orthogon tune --set training.lr=0.0001..0.004" in str(tuning).replace("\n", " ")
    best = tuning.row(tuning.best)
    assert best is not None
    assert best.values["training.lr"] == max(row.values["training.lr"] for row in tuning.rows)


# -- several at a time ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.system("hp.caviar")
def test_several_processes_share_a_study_and_their_curves_are_one_table(folder: Path) -> None:
    tuning = og.tune(project=folder, budget=6, strategy="sobol", workers=2, seed=8, **QUICK)
    assert [row.number for row in tuning.rows] == list(range(6))  # none is made twice, and not one too many
    alone = og.tune(project=folder, budget=6, strategy="sobol", seed=8, **QUICK)
    assert [(row.values, row.error) for row in tuning.rows] == [(row.values, row.error) for row in alone.rows]
    for row in tuning.ranking():
        losses = [row.at(share) for share in (0.25, 0.5, 0.75, 1.0)]
        assert all(loss is not None and loss > 0 for loss in losses)
    errors = [row.error for row in tuning.ranking()]
    assert errors == sorted(errors)  # type: ignore[type-var]
    assert tuning.best == tuning.ranking()[0].number


@pytest.mark.slow
def test_a_killed_process_loses_only_its_trial(folder: Path) -> None:
    study, trials = begun(folder, strategy="random", budget=6, sets=["training.epochs=300"], tiers=1, seed=5)
    code = (
        "from orthogon.project.project import Project; from orthogon.strategy.study import Study, opened\n"
        f"s = Study(Project({str(folder)!r}), {study.name!r}); s.work(opened(s.project, s.plan))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    for _ in range(3000):
        if any(row.state.name == "RUNNING" and row.number >= 2 for row in study.rows()):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [row.number for row in found(study, trials).rows if row.state == "finished"]
    assert len(kept) >= 2
    again, _ = tuner.join(study.project, study.name)
    again.work(trials)
    rows = found(again, trials).rows
    assert [row.state for row in rows] == ["finished"] * 6
    assert set(kept) <= {row.number for row in rows}
    assert again.at_work() == 0


def test_the_result_of_a_study_says_what_there_is(folder: Path) -> None:
    study, trials = begun(folder, budget=3)
    empty = result(study, trials.task, study.plan.fingerprint, 150)
    assert empty.best is None
    assert empty.verdict() == "No trial came to an end."
    assert "0001" in str(og.tune(project=folder, budget=2, strategy="random", name="a0001", **QUICK))
