"""What people reach: the medical example, files of annotators good and bad, and what can be told beyond people."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import orthogon as og
from orthogon import api
from orthogon.data.config import DataConfig
from orthogon.data.images import ArrayImages
from orthogon.data.read import read
from orthogon.errors import DataError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.project.config import parse
from orthogon.strategy import human
from orthogon.strategy.advice import next_steps
from orthogon.strategy.diagnosis import BIAS, UNKNOWN, VARIANCE, decompose, diagnose

ERROR = classification_metrics(["a", "b"])["error"]


def judge(ids, answers):
    """Every label is "a"."""
    return Scores({"wrong": (answers != "a").astype(int)}, ids)


def votes(n: int, *wrong: slice) -> np.ndarray:
    answers = np.full((n, len(wrong)), "a", object)
    for column, rows in enumerate(wrong):
        answers[rows, column] = "b"
    return answers


@pytest.mark.system("strat.bayes")
def test_of_layman_doctor_expert_and_team_the_best_counts():
    """3 %, 1 %, 0.7 % and 0.5 % of 20,000: the team's 0.5 %. The majority of the four errs where three do: 0.7 %."""
    rows = np.random.default_rng(1).permutation(20_000)
    answers = np.full((20_000, 4), "a", object)
    for column, count in enumerate((600, 200, 140, 100)):
        answers[rows[:count], column] = "b"
    people = human.measure(answers, np.arange(20_000), ["layman", "doctor", "expert", "team"], judge, ERROR)
    assert [(p.name, p.error) for p in people.people] == [
        ("majority of up to 4", 0.007), ("layman", 0.03), ("doctor", 0.01), ("expert", 0.007), ("team", 0.005)
    ]  # fmt: skip
    assert people.best.error == 0.005
    assert people.best.n == 20_000
    assert "People reach 0.5 %" in people.sentence()


@pytest.mark.system("strat.bayes")
def test_the_proxy_matters_only_where_bias_and_variance_are_small():
    for proxy in (0.03, 0.01, 0.007, 0.005):
        assert decompose(proxy, 0.05, None, 0.06).labels[0] == BIAS
    small = {"smallest_gap": 0.0005}
    assert decompose(0.005, 0.007, None, 0.008, **small).labels[0] == BIAS
    assert decompose(0.007, 0.007, None, 0.008, **small).labels == (VARIANCE,)
    assert "bias unknown" in decompose(0.01, 0.007, None, 0.008, **small).notes[0]


def ladder(train: int, dev: int, n: int = 100_000):
    return {
        name: Scores({"wrong": (np.arange(n) < wrong).astype(int)}, np.arange(n))
        for name, wrong in (("train", train), ("dev", dev))
    }


@pytest.mark.system("strat.surpass", "strat.human")
def test_past_people_the_bias_is_unknown_and_people_are_not_asked():
    """Team 0.5 %: train 0.6, dev 0.8: bias 0.1, variance 0.2. Train 0.3, dev 0.4: unknown, Bayes at most 0.4."""
    before = diagnose(ladder(600, 800), ERROR, human_level=0.005, smallest_gap=0.0005)
    assert before.gap(BIAS).value == pytest.approx(0.001)
    assert before.gap(VARIANCE).value == pytest.approx(0.002)
    assert not before.people_passed
    after = diagnose(ladder(300, 400), ERROR, human_level=0.005, smallest_gap=0.0002)
    assert after.people_passed
    assert after.gap(BIAS).verdict == UNKNOWN
    assert "Bayes error is at most about 0.4 %" in after.summary()
    assert decompose(0.005, 0.003, None, 0.004).notes == (
        "bias unknown (Bayes at most about 0.004, the dev error, up to sampling noise)",
    )

    def asked(diagnosis):
        steps = next_steps(diagnosis, {"data": {}, "task": {}, "training": {}}, {"train": 1000, "dev": 1000}, k=50)
        return {step.knob for step in steps}

    assert "more data" in asked(after)
    assert not {"label cleaning", "human level"} & asked(after)


def test_the_ladder_calls_the_floor_by_what_it_is():
    told = diagnose(ladder(600, 800), ERROR, human_level=0.005, human_level_n=2000)
    assert "people" in str(og_table(told))
    assert "floor" in str(og_table(diagnose(ladder(600, 800), ERROR)))


def og_table(diagnosis) -> str:
    import io

    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=100).print(diagnosis)
    return text.getvalue().partition("\n\n")[0]


def test_the_luck_of_the_best_of_many_is_taken_out():
    """30 annotators of 10 % each on 60 examples: the best looks like 3 %, and is 10 %."""
    rng = np.random.default_rng(0)
    bests, raw = [], []
    ids = np.arange(60)
    for _ in range(20):
        answers = np.where(rng.random((60, 30)) < 0.1, "b", "a").astype(object)
        alone = [human._person(f"p{k}", judge(ids, answers[:, k]), ERROR) for k in range(30)]
        best = min(alone, key=lambda p: p.error)
        raw.append(best.error)
        bests.append(human._chosen(best, answers, ids, [(k, ids) for k in range(30)], judge, ERROR).error)
    assert np.mean(raw) < 0.05
    assert 0.08 < np.mean(bests) < 0.12


def test_disagreement_by_hand():
    """a a b: a third off its own plurality; of the others, each a faces a tie of a and b (half), b faces a a (whole).

    (1/2 + 1/2 + 1) / 3 = 2/3.
    """
    answers = np.array([["a", "a", "b"]], object)
    low, high = human.disagreement(answers, np.ones((1, 3), bool))
    assert low == pytest.approx(1 / 3)
    assert high == pytest.approx(2 / 3)
    assert human.disagreement(np.array([["a", None]], object), np.array([[True, False]])) is None


# -- the file -----------------------------------------------------------------------------------------------------


def images(n: int = 30) -> ArrayImages:
    return ArrayImages(np.arange(n * 16, dtype=np.uint8).reshape(n, 4, 4), ["a", "b"] * (n // 2))


def write(path: Path, rows) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_rows_are_found_by_id_in_order_or_by_row(tmp_path):
    path = write(tmp_path / "p.csv", [["id", "ann", "bob"], [3, "a", ""], [7, "b", "b"]])
    answers, ids, names = human.read_annotators(path, images(), ["a", "b"])
    assert answers.tolist() == [["a", None], ["b", "b"]]
    assert ids.tolist() == [3, 7]
    assert names == ["ann", "bob"]
    path = write(tmp_path / "o.csv", [["ann"], *[["a"]] * 30])
    assert human.read_annotators(path, images(), ["a", "b"])[1].tolist() == list(range(30))
    write(tmp_path / "t.csv", [["x", "y"], *[[i, "ab"[i % 2]] for i in range(30)]])
    table = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    path = write(tmp_path / "r.csv", [["row", "ann"], [2, "a"], [31, "b"]])  # the header is row 1
    assert human.read_annotators(path, table, ["a", "b"])[1].tolist() == [0, 29]


def test_pictures_are_found_by_as_much_of_their_path_as_is_given(tmp_path):
    from PIL import Image

    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), len(name) * 9, np.uint8)).save(tmp_path / "d" / name)
    examples = read(DataConfig(source=str(tmp_path / "d")))
    path = write(tmp_path / "p.csv", [["file", "ann"], ["dog/1.png", "dog"], ["cat/2.png", "cat"]])
    ids = human.read_annotators(path, examples, ["cat", "dog"])[1]
    assert [str(examples.paths[i]).endswith(name) for i, name in zip(ids, ("dog/1.png", "cat/2.png"), strict=True)] == [
        True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([["id", "ann"], [99, "a"], ["x", "b"]], r'2 of 2 rows name examples that there are not: "99" .line 2., "x"'),
        (
            [["id", "ann"], [3, "A"]],
            r'line 2: "A" of annotator "ann" is not one of the 2 classes(.|\n)*Did you mean "a"',
        ),
        ([["ann"], ["a"]], r"1 rows and no column that names the examples, of which there are 30(.|\n)*column id"),
        ([["id"], [3]], "there is no annotator in it"),
        ([["id", "ann"], [3, "a"], [3, "b"]], r'"3" has more than one row'),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path, rows, what):
    with pytest.raises(DataError, match=what):
        human.read_annotators(write(tmp_path / "p.csv", rows), images(), ["a", "b"])


def test_too_few_answers_are_no_figure():
    with pytest.raises(DataError, match="nobody answered 20 examples or more"):
        human.measure(votes(10, slice(0, 1)), np.arange(10), ["ann"], judge, ERROR)


@pytest.mark.system("strat.human", "strat.bayes")
def test_a_file_of_annotators_is_the_floor_of_a_run(tmp_path):
    """Iris, three annotators of whom one always errs on one class; the project finds the file beside its config."""
    run = og.start("iris", project=tmp_path / "p", sets=["training.epochs=3", "task.width=8"])
    labels = [str(t) for t in run.project.read(parse(run.config)).targets()]
    names = sorted(set(labels))
    rows = [["id", "one", "two", "three"]]
    for i, label in enumerate(labels):
        wrong = names[(names.index(label) + 1) % 3]
        rows.append([i, label if i % 10 else wrong, label if i % 25 else wrong, wrong if label == names[0] else label])
    write(tmp_path / "p" / "people.csv", rows)
    child = api.train(project=tmp_path / "p", sets=["metrics.annotators=people.csv"])
    people = child.people()
    assert people.best.error == pytest.approx(0.04, abs=0.03)
    floor = child.diagnose().rung("floor")
    assert floor.source == "given"
    assert floor.value == people.best.error
    assert floor.n == people.best.n
    with pytest.raises(og.OrthogonError, match=r"annotators(.|\n)*human_level"):
        api.train(project=tmp_path / "p", sets=["metrics.annotators=people.csv", "metrics.human_level=0.1"])


def test_people_who_do_no_better_than_chance_are_no_floor():
    found = diagnose(ladder(20_000, 30_000), ERROR, human_level=0.6, trivial_error=0.5)
    assert found.rung("floor").value == 0
    assert found.rung("floor").source == "assumed"
    assert (
        "The human level of 60.0 % is no better than the trivial baseline's 50.0 %: it is not used." in found.summary()
    )
