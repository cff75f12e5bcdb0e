"""Trials: what a run would give without the run, made once, alike in any process, and never of test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orthogon as og
from orthogon.errors import UsageError
from orthogon.project import trial as trial_module
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.project.trial import Recipe, Trial, Trials

SHORT = {"training.epochs": 3, "task.width": 8}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Iris with one short run."""
    folder = tmp_path_factory.mktemp("trials") / "iris"
    og.start("iris", project=folder, sets=["training.epochs=3", "task.width=8"])
    return Project(folder)


@pytest.fixture
def trials(project: Project) -> Trials:
    return Trials(project, parse(project.run().config))


def same(a: Trial, b: Trial) -> bool:
    pairs = [
        (a.scores[name].records[key], b.scores[name].records[key])
        for name in a.scores
        for key in a.scores[name].records
    ]
    return len(a.scores) == len(b.scores) > 0 and all(np.array_equal(x, y) for x, y in pairs)


def test_the_trial_of_a_runs_own_config_gives_the_runs_own_figures(project: Project, trials: Trials) -> None:
    made, run = trials.make(Recipe()), project.run()
    assert made.whole
    assert list(made.scores) == ["train", "dev"]
    for name, scores in made.scores.items():
        assert all(np.array_equal(scores.records[key], run.scores(name).records[key]) for key in scores.records)
    assert [e["dev_loss"] for e in made.history] == [e["dev_loss"] for e in run.history()]
    assert made.steps == run.info["steps"]


def test_it_is_made_once_and_read_afterwards(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials(project, parse(project.run().config))
    recipe = Recipe({"task.width": 12}, features=["dev"])
    first = trials.make(recipe)
    monkeypatch.setattr(Trials, "_made", lambda *_: pytest.fail("it was trained again"))
    again = Trials(project, parse(project.run().config)).make(recipe)
    assert same(first, again)
    assert np.array_equal(first.features["dev"], again.features["dev"])
    assert first.features["dev"].shape == (len(first.scores["dev"]), 12)
    assert again.config["task"]["width"] == 12
    assert again.history == first.history
    assert recipe.overrides == {"task.width": 12}
    assert first.key in {trial.key for trial in trials.kept()}


def test_a_damaged_one_is_made_again_to_the_same_figures(trials: Trials) -> None:
    recipe = Recipe({"task.width": 10})
    first = trials.make(recipe)
    (trials.folder / first.key / "scores-dev.npz").write_bytes(b"not an archive")
    assert same(first, trials.make(recipe))


def test_whatever_decides_a_trial_decides_its_key(trials: Trials) -> None:
    train = trials.splits["train"]
    recipes = [
        Recipe(),
        Recipe(seed=5),
        Recipe({"training.lr": 0.5}),
        Recipe(train=train[::2]),
        Recipe(train=train[1::2]),
        Recipe(select=np.zeros(0, np.int64)),
        Recipe(measure={"dev": trials.splits["dev"]}),
        Recipe(features=["dev"]),
    ]
    assert len({trials.key(recipe) for recipe in recipes}) == len(recipes)
    assert trials.key(Recipe(purpose="curve")) == trials.key(Recipe(purpose="probe"))
    assert trials.key(Recipe(seed=trials.config.seed)) == trials.key(Recipe())


def test_part_of_train_without_choice_by_dev(trials: Trials) -> None:
    half = trials.splits["train"][::2]
    made = trials.make(Recipe(SHORT, train=half, select=np.zeros(0, np.int64), measure={"dev": trials.splits["dev"]}))
    assert made.num_train == len(half)
    assert not made.whole
    assert all("dev_loss" not in event for event in made.history)
    assert list(made.scores) == ["dev"]


def test_test_is_never_looked_at(trials: Trials) -> None:
    for wrong in (Recipe(measure={"x": trials.splits["test"][:1]}), Recipe(train=trials.splits["test"])):
        with pytest.raises(UsageError, match="wants examples of test"):
            trials.make(wrong)


def test_who_watches_can_stop_it_and_nothing_is_kept(trials: Trials) -> None:
    recipe = Recipe({"training.epochs": 50})
    stopped = trials.make(recipe, watch=lambda event: event["event"] == "evaluation" and event["epoch"] >= 2)
    assert stopped.status == "stopped"
    assert len(stopped.history) == 2
    assert not stopped.scores
    assert not (trials.folder / stopped.key).exists()


def test_what_is_left_open_is_chosen_from_the_data(trials: Trials) -> None:
    made = trials._config_of(Recipe({"training.epochs": None, "task.width": None}))
    assert made.training.epochs is not None
    assert made.training.epochs != 3


@pytest.mark.slow
def test_processes_beside_each_other_give_the_same_figures(project: Project, tmp_path: Path) -> None:
    config = parse(project.run().config)
    recipes = [Recipe(SHORT, seed=seed) for seed in (11, 12, 13)]
    beside = list(Trials(project, config).make_all(recipes, workers=2))
    other = Trials(project, config)
    other.folder = tmp_path
    alone = list(other.make_all(recipes))
    assert all(same(a, b) for a, b in zip(beside, alone, strict=True))
    assert not same(alone[0], alone[1])


def test_what_is_kept_holds_no_pickle_and_says_what_it_is(trials: Trials) -> None:
    folder = trials.folder / trials.make(Recipe({"task.width": 9}, purpose="probe")).key
    told: dict[str, Any] = json.loads((folder / "trial.json").read_text())
    assert told["format"] == trial_module.FORMAT
    assert told["purpose"] == "probe"
    for file in folder.glob("*.npz"):
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)


def test_other_targets_are_learned_and_measured_and_nothing_else_changes(trials: Trials) -> None:
    """Every label swapped with another class: trained on them, the answers follow; the project's own stay."""
    names = trials.task.class_names()
    ids = np.concatenate([trials.splits["train"], trials.splits["dev"]])
    before = trials.examples.targets()[ids]
    swapped = np.array([names[(names.index(str(name)) + 1) % len(names)] for name in before], object)
    long = {"training.epochs": 60, "training.lr": 0.01}
    plain, changed = trials.make(Recipe(long)), trials.make(Recipe(long, targets=(ids, swapped)))
    assert plain.key != changed.key
    assert abs(changed.scores["dev"].records["wrong"].mean() - plain.scores["dev"].records["wrong"].mean()) < 0.1
    answered = [names.index(str(name)) for name in changed.answers["dev"].values["answer"]]
    was = [names.index(str(name)) for name in plain.answers["dev"].values["answer"]]
    assert np.mean([(w + 1) % len(names) == a for w, a in zip(was, answered, strict=True)]) > 0.8
    assert np.array_equal(trials.examples.targets()[ids], before)


def test_margins_are_taken_on_the_way_and_change_nothing(trials: Trials) -> None:
    sample = trials.splits["train"][:50]
    recipe = {"overrides": {"training.epochs": 4}, "measure": {"some": sample, "dev": trials.splits["dev"]}}
    plain, looked = trials.make(Recipe(**recipe)), trials.make(Recipe(**recipe, margins=["some"]))
    assert plain.key != looked.key
    assert same(plain, looked)
    assert looked.margins["some"].shape == (50, 4)  # an evaluation an epoch, fewer than LOOKS
    last = trial_module.margins(looked.answers["some"].values["probs"], looked.scores["some"].records["truth"])
    best = int(np.argmin([event["dev_loss"] for event in looked.history]))  # the weights that are kept
    assert looked.margins["some"][:, best] == pytest.approx(last, abs=1e-4)
    assert (looked.margins["some"][:, -1].mean()) > looked.margins["some"][:, 0].mean()  # it is learned
    again = Trials(trials.project, trials.config).make(Recipe(**recipe, margins=["some"]))
    assert np.array_equal(again.margins["some"], looked.margins["some"])


def test_a_long_training_is_looked_at_a_few_times(trials: Trials) -> None:
    looked = trials.make(
        Recipe({"training.epochs": 40}, measure={"some": trials.splits["train"][:5]}, margins=["some"])
    )
    assert len(looked.history) == 40
    assert looked.margins["some"].shape[1] == trial_module.LOOKS
