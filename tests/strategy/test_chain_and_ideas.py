"""Links of the chain and their knobs, the idea board, people passed, the larger gap first, the target moved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orthogon as og
from orthogon.errors import UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import proportion
from orthogon.metrics.score import Scores
from orthogon.metrics.select import Candidate, select
from orthogon.run.decide import with_costs
from orthogon.strategy import ideas
from orthogon.strategy.advice import next_steps, note, ranked
from orthogon.strategy.beliefs import Belief, Beliefs
from orthogon.strategy.ceilings import ceilings
from orthogon.strategy.chain import CHAIN, broken_in, first_broken, in_words
from orthogon.strategy.diagnosis import BIAS, MISMATCH, OVERFIT, UNSPLIT, VARIANCE, Diagnosis, diagnose
from orthogon.strategy.knobs import KNOBS, REAL_WORLD, knobs_for

ERROR = classification_metrics(["no", "yes"])["error"]
CONFIG: dict[str, Any] = {
    "task": {"kind": "tabular", "width": 32, "depth": 2, "dropout": 0.1},
    "training": {"epochs": 20, "lr": 0.003, "weight_decay": 0.02, "patience": None, "lr_race": False},
    "data": {},
}


def diagnosed(train: float, dev: float, n: int = 10_000, test: float | None = None, **options: Any) -> Diagnosis:
    def scores(error: float) -> Scores:
        return Scores({"wrong": (np.arange(n) < round(error * n)).astype(int)}, np.arange(n))

    parts = {"train": scores(train), "dev": scores(dev)} | ({} if test is None else {"test": scores(test)})
    return diagnose(parts, ERROR, **options)


# -- one knob, one effect -------------------------------------------------------------------------------------------


@pytest.mark.system("strat.orthogonal")
@pytest.mark.parametrize(
    ("flags", "link", "among"),
    [
        ((False, False, False, False), "fit train", "wider network"),
        ((False, True, True, True), "fit train", "longer training"),
        ((True, False, False, True), "fit dev", "more data"),
        ((True, True, False, False), "fit test", "bigger dev set"),
        ((True, True, True, False), "do well in the real world", "another cost"),
    ],
)
def test_four_flags_name_the_first_broken_link_and_only_its_knobs(
    flags: tuple[bool, bool, bool, bool], link: str, among: str
) -> None:
    found = first_broken(*flags)
    assert found is not None
    assert found.name == link
    assert among in [knob.name for knob in found.knobs]
    assert {knob.gap for knob in found.knobs} <= set(found.gaps)
    others = {gap for other in CHAIN if other is not found for gap in other.gaps}
    assert not others.intersection(found.gaps)


@pytest.mark.system("strat.orthogonal")
def test_a_whole_chain_has_no_broken_link_and_early_stopping_is_no_orthogonal_knob() -> None:
    assert first_broken(True, True, True, True) is None
    (early,) = [knob for knob in KNOBS if knob.name == "early stopping"]
    assert early.orthogonal is False
    fit_dev = CHAIN[1].knobs
    assert fit_dev.index(early) > max(i for i, knob in enumerate(fit_dev) if knob.orthogonal)
    assert "two knobs at once" in early.reason


def test_the_chain_of_a_run_is_read_from_its_diagnosis() -> None:
    assert broken_in(diagnosed(0.10, 0.101)) is CHAIN[0]
    assert broken_in(diagnosed(0.001, 0.10)) is CHAIN[1]
    assert broken_in(diagnosed(0.001, 0.002, test=0.10)) is CHAIN[2]
    fine = diagnosed(0.001, 0.002, test=0.002)
    assert broken_in(fine) is None
    assert broken_in(fine, real_world=False) is CHAIN[3]
    assert in_words(diagnosed(0.001, 0.10)) == "fit train ✓ → fit dev ✗"
    assert in_words(diagnosed(0.02, 0.03, n=100)).startswith("fit train ? → fit dev ?")  # 100 examples cannot tell
    assert in_words(fine).endswith("fit test ✓ → do well in the real world ?")
    assert in_words(fine, real_world=False).endswith("do well in the real world ✗")


@pytest.mark.system("strat.change-metric")
def test_where_all_is_fine_but_the_world_the_target_is_moved_and_the_ranking_flips() -> None:
    """A errs on 3 % of 1,000 pictures, 10 of them of the bad kind; B on 5 %, none of them bad. Bad counts 10."""
    steps = ranked(diagnosed(0.001, 0.002, test=0.002), REAL_WORLD, CONFIG, {})
    assert {step.knob for step in steps} == {"another cost", "dev set from the real world"}
    (cost,) = [step for step in steps if step.knob == "another cost"]
    assert "metrics.class_costs" in cost.reason
    truth = np.array([1] * 40 + [0] * 960)  # 1: the bad kind
    a, b = np.zeros(1000, int), np.zeros(1000, int)
    a[:10], a[40:60], b[40:90] = 1, 1, 1
    scores = {
        name: with_costs(Scores({"truth": truth, "wrong": wrong}, np.arange(1000)), ["fine", "bad"], {"bad": 10})
        for name, wrong in (("A", a), ("B", b))
    }
    metrics = classification_metrics(["fine", "bad"], costs={"bad": 10})

    def best(metric: str) -> str | None:
        candidates = [Candidate(name, {metric: metrics[metric].error(each)}) for name, each in scores.items()]
        return select(candidates, metric).best

    assert best("error") == "A"
    assert best("weighted_error") == "B"
    # by hand: A (10 * 10 + 20) / (40 * 10 + 960), B 50 / 1360
    assert metrics["weighted_error"].error(scores["A"]) == pytest.approx(120 / 1360)
    assert metrics["weighted_error"].error(scores["B"]) == pytest.approx(50 / 1360)


# -- two assumptions, and people ------------------------------------------------------------------------------------


@pytest.mark.system("strat.improve")
def test_the_list_of_the_larger_gap_comes_first() -> None:
    """W.avoidable A (1, 8, 10): bias 7; a twin (1, 3, 10): variance 7. Bias's list and variance's, in that order."""
    bias = next_steps(diagnosed(0.08, 0.10, human_level=0.01), CONFIG, {}, k=20)
    variance = next_steps(diagnosed(0.03, 0.10, human_level=0.01), CONFIG, {}, k=20)
    for steps, first, second in ((bias, BIAS, VARIANCE), (variance, VARIANCE, BIAS)):
        gaps = [step.gap for step in steps]
        assert gaps == sorted(gaps, key=[first, second].index)
        assert set(gaps) == {first, second}
        assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    told = {step.knob for step in bias if step.gap == BIAS}
    assert {"wider network", "longer training", "learning-rate race", "deeper network"} <= told
    told = {step.knob for step in variance if step.gap == VARIANCE}
    assert {"more data", "more weight decay", "more dropout", "early stopping"} <= told


@pytest.mark.system("strat.human")
def test_past_people_advice_that_needs_them_is_switched_off() -> None:
    """Human level 1 %: a system at 0.3 % on train has passed people, one at 3 % has not."""
    behind, past = diagnosed(0.03, 0.10, human_level=0.01), diagnosed(0.003, 0.10, human_level=0.01)
    assert not behind.people_passed
    assert past.people_passed
    needing = [knob for knob in KNOBS if knob.by_people]
    assert {knob.name for knob in needing} == {"label cleaning", "human level"}
    for knob in needing:
        assert knob.name in [s.knob for s in ranked(diagnosed(0.03, 0.1), knob.gap, CONFIG, {})]
        assert knob.name not in [s.knob for s in ranked(past, knob.gap, CONFIG, {})]
    assert "People are passed" in note(past, {})
    assert "People are passed" not in note(behind, {})


# -- the idea board -------------------------------------------------------------------------------------------------


@pytest.mark.system("strat.ideas")
def test_an_idea_carries_its_knob_and_the_ceiling_of_what_it_mends() -> None:
    """W.ceiling: 8 of 100 mistakes of a 10 % error are dogs; mending all of them brings 0.8 points."""
    idea = ideas.new_idea("collect dogs", "more data", diagnosed(0.03, 0.10), None, "8/100", None)
    assert (idea.knob, idea.gap, idea.count, idea.looked_at) == ("more data", VARIANCE, 8, 100)
    most = ideas.ceiling(idea, proportion(1000, 10_000))
    assert most.value == pytest.approx(0.008)
    assert 0.003 < most.low < 0.008 < most.high < 0.017
    beliefs = Beliefs({("more data", VARIANCE): Belief(0.5, 6.0)})
    (step,) = ideas.steps_of([idea], proportion(1000, 10_000), CONFIG, beliefs)
    assert step.expected is not None
    assert step.expected.value == pytest.approx(0.004, rel=0.1)
    assert step.gain_at_most == most
    assert (step.title, step.knob, step.who) == ("collect dogs", "more data", "you")
    assert step.reason == "Your idea: 8 of 100 mistakes that were looked at would go at best."
    assert json.loads(json.dumps(step.to_dict()))["idea"] == "collect dogs"


@pytest.mark.system("strat.ideas")
def test_a_tag_of_the_error_analysis_says_what_an_idea_mends() -> None:
    dogs = np.arange(50) < 12
    table = ceilings(proportion(100, 1000), {"dogs": dogs, "blurry": ~dogs}, 50)
    idea = ideas.new_idea("collect dogs", "MORE DATA", diagnosed(0.03, 0.10), "dogs", None, table)
    assert (idea.count, idea.looked_at, idea.tag) == (12, 50, "dogs")
    row = next(row for row in table.rows if row.name == "dogs")
    most = ideas.ceiling(idea, proportion(100, 1000))
    assert (most.value, most.low, most.high) == pytest.approx((row.gain, row.gain_low, row.gain_high))
    with pytest.raises(UsageError, match='no mistake has the tag "dgos"') as caught:
        ideas.new_idea("collect dogs", "more data", diagnosed(0.03, 0.10), "dgos", None, table)
    assert "dogs" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"text": " "}, "the idea is empty"),
        ({"knob": "more dta"}, '"more dta" is not a knob'),
        ({"mends": None}, "nothing says what the idea would mend"),
        ({"mends": "many"}, '"many" is no share'),
        ({"mends": "9/8"}, '"9/8" is no share'),
        ({"mends": "0/0"}, '"0/0" is no share'),
        ({"tag": "dogs"}, 'no mistake has the tag "dogs"'),
    ],
)
def test_an_idea_that_says_too_little_is_refused(options: dict[str, Any], why: str) -> None:
    given = {"text": "collect dogs", "knob": "more data", "tag": None, "mends": "8/100", **options}
    with pytest.raises(UsageError, match=why):
        ideas.new_idea(diagnosis=diagnosed(0.03, 0.10), ceilings=None, **given)


def test_ideas_are_ranked_with_the_steps_and_can_be_dropped() -> None:
    found = diagnosed(0.001, 0.10)
    steps = next_steps(found, CONFIG, {}, k=4)
    made = [
        ideas.new_idea(f"idea {i}", "more data", found, None, f"{share}/100", None) for i, share in ((1, 1), (2, 99))
    ]
    certain = Beliefs({("more data", VARIANCE): Belief(0.9, 12.0)})
    mine = ideas.steps_of(made, proportion(1000, 10_000), CONFIG, certain)
    together = ideas.with_ideas(steps, mine)
    assert [step.number for step in together] == [1, 2, 3, 4, 5, 6]
    assert together[0].idea == "idea 2"
    place = [step.idea for step in together].index("idea 1")
    assert all(step.score >= together[place].score for step in together[:place] if not step.idea)
    book = [{"event": "idea", **each.to_dict()} for each in made]
    assert ideas.board(book) == made
    assert ideas.board([*book, {"event": "idea dropped", "idea": "idea 1"}]) == made[1:]
    again = {**book[0], "count": 5}
    assert ideas.board([*book, again])[0].count == 5


def test_gaps_and_knobs_of_the_chain_are_those_that_there_are() -> None:
    covered = {gap for link in CHAIN for gap in link.gaps}
    assert {BIAS, VARIANCE, MISMATCH, UNSPLIT, OVERFIT, REAL_WORLD} <= covered
    assert all(knobs_for(gap) for gap in covered)


def test_the_board_from_the_command_line(tmp_path: Path) -> None:
    sets = ["training.epochs=2", "task.members=2", "training.preflight=false"]
    run = og.start("iris", project=tmp_path / "iris", sets=sets)

    def said(*words: str) -> str:
        command = [sys.executable, "-m", "orthogon", "next", "--project", str(run.project.folder), *words]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout + done.stderr

    text = said("--idea", "measure petals twice", "--knob", "label cleaning", "--mends", "3/20")
    assert "measure petals twice" in text
    assert "3 of 20 mistakes that were looked at would go at best" in " ".join(text.split())
    assert "Chain: fit train" in text
    (entry,) = [entry for entry in run.project.logbook() if entry["event"] == "idea"]
    assert entry["knob"] == "label cleaning"
    assert entry["expected"]["value"] == pytest.approx(run.info["dev_error"] * 3 / 20)
    assert "measure petals twice" not in said("--drop", "measure petals twice")
    assert 'there is no idea "fly"' in said("--drop", "fly")
