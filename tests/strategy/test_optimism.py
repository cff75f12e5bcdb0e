"""Overfitting to dev: the estimate against its definition, on groups and any metric, over runs and trials together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import orthogon as og
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Metric, Scores
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.project.trial import Recipe, Trials
from orthogon.strategy import optimism
from orthogon.strategy.diagnosis import OVERFIT, diagnose
from orthogon.strategy.optimism import selection_optimism

METRICS = classification_metrics(["no", "yes"])


def yes_no(rng: np.random.Generator, n: int, skill: float) -> Scores:
    """Answers of a two-class system, with all the records that a task keeps."""
    truth = rng.integers(0, 2, n)
    logits = skill * (2 * truth - 1) + rng.normal(0, 1, n)
    p = 1 / (1 + np.exp(-logits))
    answer = (p > 0.5).astype(np.int64)
    records = {
        "wrong": (answer != truth).astype(np.int64),
        "truth": truth,
        "answer": answer,
        "probs": np.stack([1 - p, p], axis=1),
    }
    return Scores(records, np.arange(n))


def by_definition(candidates: list[Scores], metric: Metric, draws: int, groups: np.ndarray | None = None) -> float:
    """Tsamardinos et al., Algorithm 4, one draw at a time; those that win alike share the win."""
    rng = np.random.default_rng(0)
    n = len(candidates[0])
    units = np.arange(n) if groups is None else groups
    names = np.unique(units)
    outside = []
    for _ in range(draws):
        chosen = rng.choice(names, len(names))
        rows = np.concatenate([np.flatnonzero(units == name) for name in chosen])
        out = np.flatnonzero(~np.isin(units, chosen))
        inside = np.array([metric.error(each.take(rows)) for each in candidates])
        best = np.flatnonzero(inside <= inside.min() + 1e-12)
        outside.append(np.mean([metric.error(candidates[i].take(out)) for i in best]))
    return float(np.mean(outside))


@pytest.mark.parametrize("name", ["error", "f1", "roc_auc"])
def test_it_is_what_its_definition_says_for_any_metric(name: str) -> None:
    rng = np.random.default_rng(3)
    candidates = [yes_no(rng, 60, 1.0) for _ in range(6)]
    truth = candidates[0].records["truth"]
    candidates = [Scores({**c.records, "truth": truth}, c.ids) for c in candidates]
    found = selection_optimism(candidates, METRICS[name])
    assert found.corrected == pytest.approx(by_definition(candidates, METRICS[name], 600), abs=0.02)
    assert found.dev_error == min(METRICS[name].error(each) for each in candidates)
    assert found.optimism == pytest.approx(found.corrected - found.dev_error)


def test_a_real_valued_error_is_corrected_too() -> None:
    rng = np.random.default_rng(4)
    rmse = regression_metrics("m")["rmse"]
    squared = rng.chisquare(1, (5, 80))
    candidates = [Scores({"squared": row, "truth": np.zeros(80)}, np.arange(80)) for row in squared]
    found = selection_optimism(candidates, rmse)
    assert found.corrected == pytest.approx(by_definition(candidates, rmse, 600), abs=0.03)
    assert found.optimism > 0


def test_whole_groups_are_drawn() -> None:
    """Eight people of ten examples, a system right or wrong on all of a person's: eight units, not eighty."""
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(8), 10)
    wrong = [np.repeat((rng.random(8) < 0.4).astype(int), 10) for _ in range(30)]
    grouped = [Scores({"wrong": each}, np.arange(80), people) for each in wrong]
    alone = [Scores({"wrong": each}, np.arange(80)) for each in wrong]
    found, blind = (selection_optimism(each, METRICS["error"]) for each in (grouped, alone))
    assert found.corrected == pytest.approx(by_definition(grouped, METRICS["error"], 1500, people), abs=0.03)
    assert found.optimism > blind.optimism + 0.1  # without the groups it would hardly see any


def test_blocks_of_very_many_examples_give_the_same_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    many = [Scores({"wrong": (row < 0.1).astype(int)}, np.arange(3000)) for row in rng.random((20, 3000))]
    found = selection_optimism(many, METRICS["error"])
    monkeypatch.setattr(optimism, "MOST_UNITS", 400)
    assert selection_optimism(many, METRICS["error"]).optimism == pytest.approx(found.optimism, rel=0.1)


def test_two_examples_and_many_candidates_still_give_a_figure() -> None:
    tiny = [Scores({"wrong": np.array([i % 2, 1])}, np.arange(2)) for i in range(4)]
    assert np.isfinite(selection_optimism(tiny, METRICS["error"]).corrected)


def test_only_the_winner_is_overfitted_to_dev_and_all_say_how_many_there_were() -> None:
    rng = np.random.default_rng(0)
    few = [Scores({"wrong": (rng.random(40) < 0.1).astype(int)}, np.arange(40)) for _ in range(100)]
    train = Scores({"wrong": np.zeros(800, int)}, np.arange(800))
    errors = [each.records["wrong"].mean() for each in few]
    best, worst = (
        diagnose({"train": train, "dev": few[int(i)]}, METRICS["error"], candidates=few)
        for i in (np.argmin(errors), np.argmax(errors))
    )
    assert OVERFIT in best.causes
    assert best.optimism.is_winner
    assert OVERFIT not in worst.causes
    assert not worst.optimism.is_winner
    assert all("best of 100 candidates was chosen" in found.summary() for found in (best, worst))


def test_every_run_and_every_whole_trial_is_a_candidate_once(tmp_path: Path) -> None:
    run = og.start("iris", project=tmp_path / "iris", sets=["training.epochs=2", "task.width=4"])
    assert run.diagnose().optimism is None  # alone, nothing was chosen
    trials = Trials(Project(tmp_path / "iris"), parse(run.config))
    trials.make(Recipe())  # the run itself once more: no candidate of its own
    trials.make(Recipe({"task.width": 6}))
    trials.make(Recipe({"task.width": 8}, seed=3))
    trials.make(Recipe(train=trials.splits["train"][:40]))  # part of train: nobody would choose it
    for folder in ("empty", "damaged"):
        (tmp_path / "iris/trials" / folder).mkdir()
    (tmp_path / "iris/trials/damaged/trial.json").write_text("{")
    found = og.load(project=tmp_path / "iris").diagnose()
    assert found.optimism.num_candidates == 3
    other = og.start("iris", project=tmp_path / "iris", sets=["training.epochs=2", "data.split_seed=5"])
    assert other.diagnose().optimism is None  # another dev set, another choice
