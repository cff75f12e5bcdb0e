"""Shift: its parts against their definitions, planted differences with their clean twins, and a run's own study."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import orthogon as og
from orthogon.data.images import ArrayImages
from orthogon.data.traits import Trait, traits
from orthogon.errors import RunError, UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy import shift
from orthogon.strategy.diagnosis import MISMATCH, NEGLIGIBLE
from orthogon.strategy.shift import (
    Shift,
    area_interval,
    compare_answers,
    compare_traits,
    delong,
    label_weights,
    most_looked_at,
    tell_apart,
)
from orthogon.tasks.task import Answers

ERROR = classification_metrics(["no", "yes"])["error"]


# -- the parts ----------------------------------------------------------------------------------------------------


def test_the_area_is_scikit_learns_and_its_variance_is_the_bootstraps() -> None:
    rng = np.random.default_rng(0)
    positive, negative = np.round(rng.normal(0.8, 1, 120), 1), np.round(rng.normal(0, 1, 200), 1)  # with ties
    area, variance = delong(positive, negative)
    truth = np.repeat([1, 0], [120, 200])
    assert area == pytest.approx(roc_auc_score(truth, np.concatenate([positive, negative])))
    drawn = [delong(rng.choice(positive, 120), rng.choice(negative, 200))[0] for _ in range(1000)]
    assert variance == pytest.approx(np.var(drawn), rel=0.15)


def test_worked_figures_of_delong_and_of_its_interval() -> None:
    # positives 2, 3 against negatives 1, 2.5: 3 of 4 pairs right; shares 1/2, 1 and 1, 1/2, each of variance 1/8
    assert delong(np.array([2.0, 3.0]), np.array([1.0, 2.5])) == (0.75, pytest.approx(1 / 16 + 1 / 16))
    low, high = area_interval(1.0, 0.0, 100)
    assert (low, high) == (pytest.approx(1 + np.log(0.05) / 100), 1.0)  # about 3 in 100
    low, high = area_interval(0.75, 0.01, 50)  # logit 1.0986 -/+ 1.96 * 0.1 / 0.1875
    assert (low, high) == (pytest.approx(0.5133, abs=1e-3), pytest.approx(0.8951, abs=1e-3))


def test_two_samples_of_one_kind_are_not_told_apart() -> None:
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        area, low, high, *_ = tell_apart(rng.normal(size=(150, 12)), rng.normal(size=(120, 12)), seed=seed)
        inside += low <= 0.5 <= high
        assert abs(area - 0.5) < 0.15
    assert inside >= 18


def test_a_shift_of_place_and_one_of_spread_alone_are_told_apart_and_ordered() -> None:
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(300, 10))
    moved, wider = rng.normal(size=(300, 10)), rng.normal(size=(300, 10))
    moved[:, 0] += 1.5
    wider[:, :5] *= 2.5
    area, low, _, _, odds = tell_apart(plain, moved)
    assert low > 0.7
    assert area == pytest.approx(0.856, abs=0.05)  # Phi(1.5 / sqrt 2)
    assert np.corrcoef(odds, moved[:, 0])[0, 1] > 0.7  # the most unlike ones come first
    assert tell_apart(plain, wider)[1] > 0.8


def test_groups_stay_together_so_that_a_person_is_not_taken_for_a_domain() -> None:
    """Ten people a side, each with features of their own: between people there is no difference of domain."""
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(20), 30)
    x = np.repeat(rng.normal(size=(20, 8)) * 3, 30, axis=0) + rng.normal(size=(600, 8))
    blind = tell_apart(x[:300], x[300:])[0]
    honest = tell_apart(x[:300], x[300:], (people[:300], people[300:]))[0]
    assert blind > 0.9
    assert honest < 0.8


def test_too_few_to_tell_apart_is_said() -> None:
    with pytest.raises(UsageError, match=r"domain classifier: 5 examples on one side are too few.*\nIt takes 20"):
        tell_apart(np.zeros((5, 2)), np.zeros((50, 2)))


def pictures(n: int, seed: int, lighter: float = 0.0, noise: float = 0.0) -> ArrayImages:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16] / 16
    waves = np.sin(2 * np.pi * (x + rng.random((n, 1, 1)))) * np.cos(2 * np.pi * (y + rng.random((n, 1, 1))))
    made = 110 + 60 * waves * rng.uniform(0.5, 1, (n, 1, 1)) + 255 * lighter + rng.normal(0, 1 + noise, (n, 16, 16))
    return ArrayImages(np.clip(np.rint(made), 0, 255).astype(np.uint8)[..., None], np.array(["a"] * n), "p", None)


def test_fewer_large_pictures_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_looked_at(pictures(5, 0)) == 1000
    monkeypatch.setattr(shift, "MOST_PIXELS", 300 * 16 * 16)
    assert most_looked_at(pictures(5, 0)) == 300
    monkeypatch.setattr(shift, "MOST_PIXELS", 1)
    assert most_looked_at(pictures(5, 0)) == 100


@pytest.mark.system("strat.address-mismatch")
@pytest.mark.parametrize("seed", range(4))
def test_what_differs_is_named_first_and_nothing_where_nothing_does(seed: int) -> None:
    train = traits(pictures(300, seed))
    lighter = compare_traits(train, traits(pictures(200, seed + 50, lighter=0.1)))
    assert lighter[0].name in ("brightness", "darkest tone", "lightest tone")
    assert {"sharpness", "noise"}.isdisjoint(each.name for each in lighter)
    assert next(each for each in lighter if each.name == "brightness").above > 0.9
    noisy = compare_traits(train, traits(pictures(200, seed + 50, noise=6)))
    assert {each.name for each in noisy[:2]} == {"noise", "sharpness"}
    assert compare_traits(train, traits(pictures(200, seed + 50))) == []


def test_where_the_unusual_costs_something_it_says_so() -> None:
    rng = np.random.default_rng(3)
    train, dev = rng.normal(0, 1, 500), np.concatenate([rng.normal(0, 1, 250), rng.normal(4, 0.5, 250)])
    costly = np.where(dev > 2, rng.random(500) < 0.5, rng.random(500) < 0.05).astype(int)
    even = (rng.random(500) < 0.3).astype(int)
    for wrong, costs in ((costly, True), (even, False)):
        scores = Scores({"wrong": wrong}, np.arange(500))
        (found,) = compare_traits([Trait("age", train)], [Trait("age", dev)], scores, ERROR)
        assert found.costs is costs
        assert found.outside == pytest.approx(0.52, abs=0.03)
    assert found.error_outside.n + found.error_inside.n == 500
    texts = compare_traits(
        [Trait("shop", np.array(["north"] * 90 + ["south"] * 10, object))],
        [Trait("shop", np.array(["north"] * 30 + ["south"] * 70, object))],
    )
    assert texts[0].levels[:2] == ("north", "south")
    assert (texts[0].distance, texts[0].outside) == (pytest.approx(0.6), 0.7)


def told(probs: np.ndarray, classes: list[str]) -> Answers:
    values = {"answer": np.array(classes)[probs.argmax(1)], "probs": probs, "confidence": probs.max(1)}
    return Answers(values, np.arange(len(probs)))


def test_answers_of_another_mix_differ_and_the_true_mix_is_recovered_from_them() -> None:
    rng = np.random.default_rng(4)
    classes = ["a", "b", "c"]

    def answered(mix: list[float], n: int) -> tuple[Answers, np.ndarray]:
        truth = rng.choice(3, n, p=mix)
        logits = 2.0 * np.eye(3)[truth] + rng.normal(size=(n, 3))
        return told(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), classes), truth

    before, truth = answered([0.4, 0.4, 0.2], 2000)
    same, _ = answered([0.4, 0.4, 0.2], 1500)
    other, new_truth = answered([0.1, 0.3, 0.6], 1500)
    assert not compare_answers(before, same, classes, seen=False).differs
    shift = compare_answers(before, other, classes, seen=True)
    assert shift.differs
    assert shift.p < 1e-6
    assert '"c"' in shift.detail
    confusion = np.zeros((3, 3))
    np.add.at(confusion, (truth, [classes.index(each) for each in before.values["answer"]]), 1)
    counts = np.array([(other.values["answer"] == name).sum() for name in classes])
    mix = label_weights(confusion, counts) * np.bincount(truth) / len(truth)
    assert mix == pytest.approx(np.bincount(new_truth) / len(new_truth), abs=0.05)


def test_how_sure_it_is_of_what_it_was_trained_on_is_no_shift() -> None:
    rng = np.random.default_rng(5)
    sure, unsure = (np.exp(k * rng.normal(size=(300, 2))) for k in (6, 1))
    pair = [told(each / each.sum(1, keepdims=True), ["a", "b"]) for each in (sure, unsure)]
    assert compare_answers(*pair, ["a", "b"], seen=False).differs
    assert not compare_answers(*pair, ["a", "b"], seen=True).differs


# -- of a run -----------------------------------------------------------------------------------------------------


def shop_table(path: Path, shift: float, harm: bool) -> Path:
    """Two shops; the second one's customers are older, and where that harms older ones buy by another rule."""
    rng = np.random.default_rng(0)
    rows = ["shop,age,income,buys"]
    for shop, n in (("web", 1400), ("street", 900)):
        age = rng.normal(40 + (shift if shop == "street" else 0), 5, n)
        income = rng.normal(50, 10, n)
        turned = harm & (age > 55)
        buys = (income > 50) ^ turned
        rows += [f"{shop},{a:.2f},{i:.2f},{'yes' if b else 'no'}" for a, i, b in zip(age, income, buys, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


SETS = [
    "data.domain=shop",
    "data.target_domain=street",
    "data.train_dev=250",
    "data.train_fraction=0.6",
    "training.epochs=12",
]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> og.Run:
    folder = tmp_path_factory.mktemp("shift")
    return og.start(shop_table(folder / "shops.csv", 8, False), "buys", project=folder / "p", sets=SETS)


@pytest.mark.system("strat.address-mismatch")
def test_a_harmless_shift_is_a_note_and_no_cause(harmless: og.Run) -> None:
    assert harmless.diagnose().notes == ()
    found = harmless.shift()
    assert found.found
    assert found.traits[0].name == "age"
    assert found.domains.apart
    assert found.reference == "train-dev"
    diagnosis = harmless.diagnose()
    assert MISMATCH not in diagnosis.causes
    assert diagnosis.notes == (found.note,)
    assert found.note.startswith("Dev differs from train, most in age")
    (age,) = found.costs
    assert (age.name, age.verdict) == ("age", NEGLIGIBLE)
    assert age.high < diagnosis.smallest_gap
    assert "The difference in age by itself does no harm worth acting on" in found.note
    assert found.note in diagnosis.summary()
    assert harmless.kept(Shift) == Shift.from_dict(json.loads(json.dumps(found.to_dict())))
    assert Shift.from_dict({k: v for k, v in found.to_dict().items() if k != "costs"}).costs == ()  # the first ones
    assert "age" in str(found)


def test_the_flag_prints_the_study_and_the_report_keeps_it(harmless: og.Run, cli) -> None:
    code, out, _ = cli("diagnose", "--shift", "--project", harmless.project.folder)
    assert code == 0
    assert re.search(r"\w in train,\s", out)  # and "... in dev": which is which stands beside the figures
    assert "general (web)" in out
    code, out, _ = cli("diagnose", "--shift", "--json", "--project", harmless.project.folder)
    values = json.loads(out)
    assert values["shift"]["traits"][0]["name"] == "age"
    assert values["general_table"]["cells"]["trained on"]["target"]["n"] > 0
    (harmless.derived / "shift.json").unlink()
    harmless.write_report()  # a target domain is declared: the report looks at the shift unasked
    assert harmless.kept(Shift) is not None
    page = harmless.report_path().read_text()
    for text in (
        "How dev differs from train",
        "age in train and in dev",
        "Dev examples most unlike train-dev",
        "street",
    ):
        assert text in page
    private = harmless.write_report(examples=False).read_text()
    assert "age in train and in dev" in private
    assert "most unlike train-dev" not in private
    (harmless.derived / "shift.json").write_text("{}")
    assert harmless.kept(Shift) is None


@pytest.mark.system("strat.general-table")
def test_the_table_of_two_kinds_of_data_is_filled_from_a_run(harmless: og.Run) -> None:
    table = harmless.general_table()
    domains = harmless.data()[0].domains.astype(str)
    splits = harmless.data()[1]
    for row, part, column, name in (
        ("trained on", "train", "general", "web"),
        ("trained on", "train", "target", "street"),
        ("not trained on", "train_dev", "general", "web"),
        ("not trained on", "dev", "target", "street"),
    ):
        scores = harmless.scores(part)
        mine = scores.take(np.flatnonzero(domains[scores.ids] == name))
        assert table.cells[row][column].value == mine.records["wrong"].mean()
        assert table.cells[row][column].n == (domains[splits[part]] == name).sum()
    assert table.cells["people"] == {"general": None, "target": None}
    assert len(table.missing) == 2
    assert {"data mismatch", "variance, general data", "variance, target data"} <= {s.name for s in table.steps}


def test_data_that_is_gone_is_told(harmless: og.Run, tmp_path: Path) -> None:
    source = Path(harmless.config["data"]["source"])
    kept = source.read_text()
    source.write_text(kept + "web,40,50,yes\n")
    try:
        with pytest.raises(RunError, match=r"shops\.csv: the data that run 0001 was trained on is gone or has changed"):
            og.load(project=harmless.project.folder).shift()
    finally:
        source.write_text(kept)


def test_several_targets_and_copies_that_stay_in_one_part_are_no_shift(tmp_path: Path) -> None:
    """Of 77 different rows each has copies, all in one part: a classifier that met a copy would know its part."""
    rows = [f"{i % 7},{(i * 37) % 11},{'pq'[i % 2]},{'rs'[(i // 2) % 2]}" for i in range(400)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y1,y2", *rows]) + "\n")
    run = og.start(tmp_path / "t.csv", ["y1", "y2"], project=tmp_path / "p", sets=["training.epochs=1", "task.width=8"])
    found = run.shift()
    assert not found.domains.apart
    assert found.answers is not None
    assert found.note == ""


def test_the_difference_that_costs_is_named_beside_the_largest(tmp_path: Path) -> None:
    """Age differs most and harms nothing; the east, rare in train, buys by another rule and has the higher error."""
    rng = np.random.default_rng(0)
    rows = ["shop,age,region,visits,buys"]
    for shop, n, mix in (("web", 1400, (0.6, 0.3, 0.1)), ("street", 900, (0.2, 0.3, 0.5))):
        regions = rng.choice(["north", "south", "east"], n, p=mix)
        visits = rng.poisson(3, n)
        buys = (visits > 2) ^ ((regions == "east") & (rng.random(n) < 0.8))
        ages = rng.normal(48 if shop == "street" else 40, 5, n)
        rows += [
            f"{shop},{a:.2f},{r},{v},{'yes' if b else 'no'}"
            for a, r, v, b in zip(ages, regions, visits, buys, strict=True)
        ]
    (tmp_path / "shops.csv").write_text("\n".join(rows) + "\n")
    run = og.start(tmp_path / "shops.csv", "buys", project=tmp_path / "p", sets=[*SETS[:3], "training.epochs=10"])
    found = run.shift()
    assert [each.name for each in found.traits] == ["age", "region"]
    assert [each.costs for each in found.traits] == [False, True]
    assert "(the unusual in region has the higher error)" in found.note
    assert found.traits[1].error_outside.value > found.traits[1].error_inside.value + 0.1
