"""Checks: each planted fault is named with count, place and remedy; its clean twin raises nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from orthogon.data.augment import AugmentConfig
from orthogon.data.checks import check, contradicting_augmentation
from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples, Finding, Origin, Splits
from orthogon.data.images import ArrayImages
from orthogon.data.read import read
from orthogon.data.split import make_splits
from orthogon.data.strings import StringPairs
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig


def clean_frame(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Four measures, a category and a label that one of them predicts, but not perfectly."""
    rng = np.random.default_rng(seed)
    a, b, c, d = rng.normal([50, 3, 7, 0], [10, 1, 2, 1], (n, 4)).T
    return pd.DataFrame(
        {
            "height": a.round(5),
            "weight": b.round(5),
            "length": c.round(5),
            "warmth": d.round(5),
            "colour": rng.choice(["red", "green", "blue"], n),
            "kind": np.where(a + 5 * rng.normal(0, 1, n) > 50, "tall", "short"),
        }
    )


def table(tmp_path: Path, frame: pd.DataFrame, target: str = "kind", **settings: Any) -> Examples:
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return read(DataConfig(source=str(path), target=target, **settings))


def split(examples: Examples, strata: NDArray[Any] | None = None, **settings: Any) -> Splits:
    return make_splits(examples, DataConfig(source="x", **settings), strata)


def pictures(n: int = 200, seed: int = 0) -> ArrayImages:
    """Smooth random pictures: unlike each other, like photos in that neighbours agree."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    images = [np.asarray(Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC)) for each in coarse]
    return ArrayImages(np.stack(images), np.array(["cat", "dog"])[np.arange(n) % 2], "photos")


def words(n: int = 300) -> StringPairs:
    rng = np.random.default_rng(0)
    sources = ["".join(rng.choice(list("abcdefghij"), rng.integers(8, 16))) for _ in range(n)]
    return StringPairs(sources, [s[::-1] for s in sources], name="words")


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def named(findings: list[Finding], code: str) -> Finding:
    """The finding of this code; it must say what to do."""
    (found,) = (finding for finding in findings if finding.code == code)
    assert found.message.endswith((".", "?"))
    assert found.remedy
    return found


# -- clean twins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_clean_data_raises_nothing(tmp_path: Path, seed: int) -> None:
    rows = table(tmp_path, clean_frame(seed=seed))
    assert check(rows, split(rows, rows.targets())) == []
    assert check(rows) == []
    photos = pictures(seed=seed)
    assert check(photos, split(photos, photos.labels)) == []
    assert check(words(), split(words())) == []


def test_a_clean_regression_raises_nothing(tmp_path: Path) -> None:
    frame = clean_frame()
    frame["price"] = (frame.height * 3 + np.random.default_rng(1).normal(0, 10, len(frame))).round(3)
    rows = table(tmp_path, frame, "price")
    assert check(rows, split(rows)) == []


@pytest.mark.skipif("ORTHOGON_DATA" not in os.environ, reason="ORTHOGON_DATA is not set")
def test_bike_rentals_have_their_known_leak_and_nothing_else_that_warns() -> None:
    path = Path(os.environ["ORTHOGON_DATA"]) / "tabular" / "bike_sharing.csv.gz"
    rows = read(DataConfig(source=str(path), target="count"))
    warnings = [finding for finding in check(rows, split(rows)) if finding.severity != "note"]
    assert codes(warnings) == ["leakage-sum"]
    assert '"casual" + "registered" is the target' in warnings[0].message


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_the_built_in_sets_give_no_warning(name: str) -> None:
    examples = read(DataConfig(source=name))
    strata = examples.targets() if examples.targets().dtype.kind != "f" else None
    assert [f for f in check(examples, split(examples, strata)) if f.severity != "note"] == []


# -- examples -----------------------------------------------------------------------------------------------------


def test_what_the_reader_set_aside_is_listed(tmp_path: Path) -> None:
    photos = pictures()
    photos.set_aside = [(Origin("photos/a.jpg"), "is empty (0 bytes)")]
    found = named(check(photos), "unreadable")
    assert (found.severity, found.count) == ("warning", 1)
    assert found.message.startswith("1 of 201 examples")
    assert found.places == ("photos/a.jpg: is empty (0 bytes)",)


def test_the_readers_notes_are_kept() -> None:
    photos = pictures()
    photos.notes = [Finding("odd", "note", "Odd.")]
    assert codes(check(photos)) == ["odd"]


def test_exact_copies(tmp_path: Path) -> None:
    frame = clean_frame()
    rows = table(tmp_path, pd.concat([frame, frame[:6]]))
    found = named(check(rows, split(rows, rows.targets())), "duplicate-exact")
    assert (found.severity, found.count) == ("note", 6)
    assert found.places[0].endswith("rows.csv, row 602")
    many = table(tmp_path, pd.concat([frame, frame[:100]]))
    assert named(check(many), "duplicate-exact").severity == "warning"
    one = named(check(table(tmp_path, pd.concat([frame, frame[:1]]))), "duplicate-exact")
    assert one.message.startswith("1 example (0.2%) is an exact copy of another input in the columns the network reads")


def test_conflicting_labels_name_both_places(tmp_path: Path) -> None:
    frame = clean_frame()
    other = frame[10:15].assign(kind=lambda rows: np.where(rows.kind == "tall", "short", "tall"))
    found = named(check(table(tmp_path, pd.concat([frame, other]))), "conflicting-labels")
    assert (found.severity, found.count) == ("warning", 10)
    assert "at least 5 (0.83%) cannot be answered right" in found.message
    assert any("rows.csv, row 12 " in place and "rows.csv, row 602 " in place for place in found.places)


def test_copies_across_the_users_own_split() -> None:
    photos = pictures()
    images = np.concatenate([photos.images, photos.images[:8]])
    labels = np.concatenate([photos.labels, photos.labels[:8]])
    crossing = ArrayImages(images, labels, "photos")
    crossing.given_split = np.array(["train"] * 150 + ["dev"] * 25 + ["test"] * 33)
    findings = check(crossing, split(crossing, labels))
    found = named(findings, "duplicate-across")
    assert (found.severity, found.count, found.places[0]) == ("warning", 8, "photos, picture 201")
    assert "8 examples of dev or test (13.8%)" in found.message
    ours = ArrayImages(images, labels, "photos")
    assert "duplicate-across" not in codes(check(ours, split(ours, labels)))


def test_a_picture_saved_again_is_a_near_duplicate() -> None:
    photos = pictures()
    file = io.BytesIO()
    Image.fromarray(photos.images[3]).resize((48, 48)).resize((32, 32)).save(file, "JPEG", quality=60)
    photos.images[8] = np.asarray(Image.open(file))
    splits = Splits({"train": np.arange(6), "dev": np.arange(6, 12), "test": np.arange(12, 200)})
    found = named(check(photos, splits), "duplicate-near")
    assert found.count == 1
    assert found.places == ("photos, picture 4 and photos, picture 9",)
    assert "1 of them with one in train and one in dev or test" in found.message


def test_near_duplicates_are_found_by_hash_in_larger_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orthogon.data.checks.ALL_PAIRS_AT_MOST", 10)
    photos = pictures()
    photos.images[8] = np.clip(photos.images[3].astype(int) + 1, 0, 255)
    assert named(check(photos), "duplicate-near").places == ("photos, picture 4 and photos, picture 9",)


def test_rows_and_strings_that_differ_by_rounding_or_case(tmp_path: Path) -> None:
    frame = clean_frame()
    again = frame[:3].assign(height=frame.height[:3].round(3))
    rows = table(tmp_path, pd.concat([frame, again]))
    assert named(check(rows), "duplicate-near").count == 3
    pairs = words()
    pairs.sources[1] = pairs.sources[0].upper() + " ."
    found = named(check(pairs), "duplicate-near")
    assert found.places == ("words, line 1 and words, line 2",)


# -- targets ------------------------------------------------------------------------------------------------------


def test_missing_targets(tmp_path: Path) -> None:
    frame = clean_frame()
    frame.loc[:9, "kind"] = None
    found = named(check(table(tmp_path, frame)), "target-missing")
    assert (found.severity, found.count, found.places[0][-5:]) == ("note", 10, "row 2")
    frame.loc[:99, "kind"] = None
    assert named(check(table(tmp_path, frame)), "target-missing").severity == "warning"
    unlabelled = ArrayImages(pictures().images)
    assert named(check(unlabelled), "target-missing").severity == "error"


def test_a_target_with_one_value_is_an_error(tmp_path: Path) -> None:
    findings = check(table(tmp_path, clean_frame().assign(kind="tall")))
    found = named(findings, "target-constant")
    assert (found.severity, findings[0]) == ("error", found)  # errors come first
    assert found.message == 'The target "kind" is always "tall": there is nothing to learn.'
    assert "--target" in found.remedy


def test_labels_that_differ_only_by_spelling() -> None:
    photos = pictures()
    labels = photos.labels.astype(object)
    labels[[2, 4]] = "Cat."
    labels[5] = "d og"
    findings = [f for f in check(ArrayImages(photos.images, labels, "photos")) if f.code == "label-spelling"]
    assert [(f.severity, f.count) for f in findings] == [("warning", 2), ("warning", 1)]
    assert '"cat" (98), "Cat." (2)' in findings[0].message
    assert findings[0].remedy == 'Write them all as "cat".'
    assert findings[1].places == ("photos, picture 6",)


@pytest.mark.parametrize("pair", [("C", "C++"), ("-1", "1"), ("a", "A"), ("1-2", "12"), ("<=50", ">50"), ("1.5", "15")])
def test_labels_that_mean_different_things_are_left_alone(pair: tuple[str, str]) -> None:
    photos = pictures()
    labels = np.array(pair)[np.arange(200) % 2]
    assert check(ArrayImages(photos.images, labels, "photos")) == []


def test_rare_classes_and_imbalance() -> None:
    labels = np.array(["cat"] * 120 + ["dog"] * 75 + ["yak"] * 5)
    photos = ArrayImages(pictures().images, labels, "photos")
    findings = check(photos, split(photos, labels))
    rare = named(findings, "class-rare")
    assert (rare.severity, rare.count) == ("warning", 1)
    assert '1 of 3 classes have fewer than 10 examples in train: "yak" (3)' in rare.message
    assert rare.places == ("photos, picture 196",)
    unlike = named(findings, "imbalance")
    assert unlike.severity == "note"
    assert "always answering the first is 60.0% right" in unlike.message


def test_classes_absent_from_dev() -> None:
    photos = pictures()
    labels = np.array(["cat"] * 100 + ["dog"] * 100)
    photos = ArrayImages(photos.images, labels, "photos")
    splits = Splits({"train": np.arange(50, 200), "dev": np.arange(30), "test": np.arange(30, 50)})
    found = [f for f in check(photos, splits) if f.code == "class-absent"]
    assert [f.message.split(" ")[0] for f in found] == ["dev", "test"]
    assert '"dog"' in found[0].message


# -- columns ------------------------------------------------------------------------------------------------------


def test_constant_and_empty_columns(tmp_path: Path) -> None:
    findings = check(table(tmp_path, clean_frame().assign(country="NL", note=None)))
    assert named(findings, "column-constant").message == 'Column "country" is always "NL" and tells nothing.'
    assert named(findings, "column-empty").message == 'Column "note" has no value in any row.'


def leaks(findings: list[Finding]) -> list[str]:
    return [f.message.split('"')[1] for f in findings if f.code == "leakage-column"]


def test_a_column_that_gives_the_class_away(tmp_path: Path) -> None:
    frame = clean_frame()
    frame["verdict"] = np.where(frame.kind == "tall", "yes", "no")
    frame["score"] = np.where(frame.kind == "tall", 0.5, -0.5) + np.random.default_rng(0).normal(0, 0.1, len(frame))
    findings = check(table(tmp_path, frame))
    assert leaks(findings) == ["verdict", "score"]
    found = next(f for f in findings if f.code == "leakage-column")
    assert "its value leaves 0.0% of the error of chance" in found.message
    assert 'data.ignore=["verdict"]' in found.remedy


def test_a_date_that_is_filled_in_only_afterwards(tmp_path: Path) -> None:
    frame = clean_frame()
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 900, len(frame)), "D")
    frame["cancelled_on"] = np.where(frame.kind == "tall", days.strftime("%Y-%m-%d"), None)
    findings = check(table(tmp_path, frame))
    assert leaks(findings) == ["cancelled_on"]
    found = named(findings, "leakage-column")
    assert "whether it is filled in" in found.message
    assert "a date known only after the fact" in found.remedy


def test_a_column_that_gives_the_value_away(tmp_path: Path) -> None:
    frame = clean_frame()
    frame["price"] = (frame.height * 3 + np.random.default_rng(1).normal(0, 10, len(frame))).round(3)
    frame["price_with_tax"] = (frame.price * 1.21).round(2)
    findings = check(table(tmp_path, frame, "price"))
    assert leaks(findings) == ["price_with_tax"]
    assert "of the variance explained" in named(findings, "leakage-column").message


@pytest.mark.parametrize("sign", ["+", "-"])
def test_two_columns_that_make_the_target(tmp_path: Path, sign: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"in": rng.integers(0, 900, 500), "out": rng.integers(0, 900, 500), "x": rng.random(500)})
    frame["total"] = frame["in"] + frame["out"] if sign == "+" else frame["in"] - frame["out"]
    found = named(check(table(tmp_path, frame, "total")), "leakage-sum")
    assert f'"in" {sign} "out" is the target' in found.message
    assert 'data.ignore=["in", "out"]' in found.remedy


def test_columns_that_number_the_rows_and_rows_in_order_of_time(tmp_path: Path) -> None:
    frame = clean_frame()
    frame["odometer"] = np.cumsum(np.random.default_rng(0).random(len(frame)) + 0.1).round(4)
    frame["day"] = pd.date_range("2020-01-01", periods=len(frame)).strftime("%Y-%m-%d")
    findings = check(table(tmp_path, frame))
    assert '"odometer"' in named(findings, "row-order-key").message
    assert "data.time=day" in named(findings, "time-order").remedy
    timed = table(tmp_path, frame, time="day")
    assert "time-order" not in codes(check(timed, split(timed, time="day")))


# -- parts --------------------------------------------------------------------------------------------------------


@pytest.mark.system("strat.distribution")
def test_dev_and_test_from_two_distributions_are_named(tmp_path: Path) -> None:
    rows = table(tmp_path, clean_frame().assign(region=np.repeat(["US", "UK", "India", "China"], 150)))
    apart = Splits({"train": np.arange(0, 600, 2), "dev": np.arange(1, 300, 2), "test": np.arange(301, 600, 2)})
    found = named(check(rows, apart), "parts-differ-dev-test")
    assert found.severity == "warning"
    assert "region" in found.message
    assert "shuffle them together" in found.remedy
    assert "parts-differ-dev-test" not in codes(check(rows, split(rows, rows.targets())))


def test_brighter_pictures_in_dev_than_in_train() -> None:
    photos = pictures(400)
    photos.images[300:350] = np.clip(photos.images[300:350].astype(int) + 60, 0, 255)
    splits = Splits({"train": np.arange(300), "dev": np.arange(300, 350), "test": np.arange(350, 400)})
    found = named(check(photos, splits), "parts-differ-train-dev")
    assert "brightness" in found.message
    assert "data.target_domain" in found.remedy


def test_groups_and_times_that_cross_the_users_own_split(tmp_path: Path) -> None:
    frame = clean_frame()
    frame["person"] = [f"p{k % 40}" for k in range(len(frame))]
    frame["day"] = np.random.default_rng(0).permutation(len(frame))
    rows = table(tmp_path, frame, group="person", time="day")
    rows.given_split = np.array(["train"] * 400 + ["dev"] * 100 + ["test"] * 100)
    findings = check(rows, split(rows, rows.targets()))
    group = named(findings, "group-leak")
    assert group.message.startswith("40 groups are in train and in dev or test")
    assert group.count == 200
    assert named(findings, "time-leak").severity == "warning"
    rows.given_split = None
    assert not {"group-leak", "time-leak"} & set(codes(check(rows, split(rows, rows.targets()))))


def test_ten_million_keys_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orthogon.data.checks.KEYS_AT_MOST", 150)
    photos = pictures()
    photos.images[100:] = photos.images[:100]
    found = named(check(photos), "duplicate-exact")
    assert "in a sample of 150" in found.message
    assert 30 < found.count < 75


# -- several targets at once --------------------------------------------------------------------------------------


def two_targets(n: int = 2000) -> pd.DataFrame:
    """A class and a value, both hard to predict, beside the columns of the clean table."""
    rng = np.random.default_rng(1)
    frame = clean_frame(n)
    frame["weather"] = np.where(frame["weight"] + rng.normal(0, 1, n) > 3, "dry", "wet")
    frame["price"] = (frame["length"] + rng.normal(0, 2, n)).round(4)
    return frame


def checked(tmp_path: Path, frame: pd.DataFrame, *targets: str) -> list[Finding]:
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    examples = read(DataConfig(source=str(path), target=targets))
    return check(examples, split(examples))


def test_a_clean_table_of_several_targets_is_quiet(tmp_path: Path) -> None:
    assert checked(tmp_path, two_targets(), "kind", "weather", "price") == []


def leak_class(frame: pd.DataFrame) -> None:
    frame["code"] = "L" + frame["weather"]


def leak_value(frame: pd.DataFrame) -> None:
    frame["tax"] = frame["price"] * 0.19


def leak_sum(frame: pd.DataFrame) -> None:
    frame["net"] = np.random.default_rng(2).normal(5, 2, len(frame)).round(4)
    frame["rest"] = (frame["price"] - frame["net"]).round(4)


def spelling(frame: pd.DataFrame) -> None:
    frame.loc[:30, "weather"] = frame.loc[:30, "weather"].replace("dry", "DRY")


def rare(frame: pd.DataFrame) -> None:
    frame.loc[:4, "weather"] = "hail"


def conflict(frame: pd.DataFrame) -> None:
    frame.iloc[:20, :5] = frame.iloc[20:40, :5].to_numpy()
    frame.loc[:19, ["kind", "price"]] = frame.loc[20:39, ["kind", "price"]].to_numpy()
    frame.loc[:19, "weather"] = np.where(frame.loc[20:39, "weather"] == "wet", "dry", "wet")


@pytest.mark.parametrize(
    ("plant", "code", "says"),
    [
        (leak_class, "leakage-column", 'Column "code" alone gives the target "weather" away'),
        (leak_value, "leakage-column", 'Column "tax" alone gives the target "price" away'),
        (leak_sum, "leakage-sum", '"net" + "rest" is the target "price"'),
        (spelling, "label-spelling", 'Target "weather": These labels differ only by space, case or punctuation: "dry"'),
        (rare, "class-rare", 'Target "weather": 1 of 3 classes have fewer than 10 examples in train: "hail"'),
        (rare, "imbalance", 'Target "weather": "'),
        (conflict, "conflicting-labels", 'Target "weather": 40 examples have the same input'),
    ],
)
def test_a_fault_of_one_target_among_several_is_named(
    tmp_path: Path, plant: Callable[[pd.DataFrame], None], code: str, says: str
) -> None:
    frame = two_targets()
    plant(frame)
    found = named(checked(tmp_path, frame, "kind", "weather", "price"), code)
    assert found.message.startswith(says)


def test_a_class_of_one_target_that_dev_lacks_is_named(tmp_path: Path) -> None:
    frame = two_targets()
    frame.to_csv(tmp_path / "rows.csv", index=False)
    examples = read(DataConfig(source=str(tmp_path / "rows.csv"), target=("kind", "weather")))
    wet = np.flatnonzero(frame["weather"] == "wet")
    rest = np.setdiff1d(np.arange(len(frame)), wet[:50])
    found = named(check(examples, Splits({"train": rest, "dev": wet[:50]})), "class-absent")
    assert found.message.startswith('Target "weather": dev has no example of "dry"')


def test_parts_that_differ_in_one_target_among_several_are_named(tmp_path: Path) -> None:
    frame = two_targets()
    frame.to_csv(tmp_path / "rows.csv", index=False)
    examples = read(DataConfig(source=str(tmp_path / "rows.csv"), target=("kind", "price")))
    order = np.argsort(frame["price"].to_numpy())
    found = named(check(examples, Splits({"train": order[:1400], "dev": order[1400:]})), "parts-differ-train-dev")
    assert 'the target "price"' in found.message


def test_one_source_with_different_targets_is_named() -> None:
    sources = [f"word number {k // 3}" for k in range(60)]
    found = named(check(StringPairs(sources, [f"translation {k}" for k in range(60)])), "conflicting-labels")
    assert found.message.startswith("60 examples have the same source as another but a different target")
    assert "at least 40 (66.67%)" in found.message
    assert found.places[0] == 'strings, line 1 "translation 0", strings, line 2 "translation 1"'
    same = check(StringPairs(sources, [f"translation {k // 3}" for k in range(60)]))
    assert "conflicting-labels" not in codes(same)


# -- augmentation -------------------------------------------------------------------------------------------------


def signs(names: tuple[str, ...], channels: int = 3) -> ArrayImages:
    images = np.random.default_rng(0).integers(0, 255, (24, 12, 12, channels), dtype=np.uint8)
    return ArrayImages(images, np.array(names)[np.arange(24) % len(names)], "signs")


@pytest.mark.parametrize(("names", "said"), [
    (("3", "7", "8"), '"3", "7", "8"'),
    (("b", "d"), '"b", "d"'),
    (("cat", "turn left"), '"turn left"'),
    (tuple("abcdefgh"), '"a", "b", "c", "d", "e" and others'),
])  # fmt: skip
def test_mirrored_signs_are_named(names: tuple[str, ...], said: str) -> None:
    (finding,) = contradicting_augmentation(signs(names), AugmentConfig(flip=0.5))
    assert (finding.code, finding.severity, finding.places) == ("augment-flip", "warning", ("signs",))
    assert f"a mirror image of {said} is no longer of its class" in finding.message
    assert finding.remedy == "Set task.augment.flip=0."
    assert contradicting_augmentation(signs(names), AugmentConfig(flip=0.0)) == []
    assert contradicting_augmentation(signs(("cat", "dog")), AugmentConfig(flip=0.5)) == []


@pytest.mark.parametrize("names", [("1", "6", "9"), ("look up", "look_down"), ("six", "nine", "ten")])
def test_large_turns_that_make_one_class_of_another_are_named(names: tuple[str, ...]) -> None:
    (finding,) = contradicting_augmentation(signs(names), AugmentConfig(strength=1, rotation=180))
    assert finding.code == "augment-rotation"
    assert "up to 180 degrees" in finding.message
    assert finding.remedy == "Set task.augment.rotation to 60 or less."
    assert contradicting_augmentation(signs(names), AugmentConfig(rotation=180)) == [finding]  # strength still open
    for quiet in ({"rotation": 30, "strength": 1}, {"rotation": 180, "strength": 0.2}):
        assert contradicting_augmentation(signs(names), AugmentConfig(**quiet)) == []
    assert contradicting_augmentation(signs(("1", "9", "4")), AugmentConfig(strength=1, rotation=180)) == []


def test_tinted_grey_pictures_are_named_however_they_are_stored() -> None:
    stored = signs(("cat", "dog"), channels=1)
    as_colour = ArrayImages(np.repeat(stored.images, 3, axis=3), stored.labels, "signs")
    for grey in (stored, as_colour):
        (finding,) = contradicting_augmentation(grey, AugmentConfig(strength=1, color=20, pca=0.1))
        assert finding.code == "augment-color"
        assert finding.remedy.startswith("Set task.augment.color and task.augment.pca to 0")
        assert contradicting_augmentation(grey, AugmentConfig(strength=1)) == []
    assert contradicting_augmentation(signs(("cat", "dog")), AugmentConfig(strength=1, color=20)) == []


def test_what_is_suggested_for_pictures_never_contradicts_them() -> None:
    for examples in (signs(("b", "d")), signs(("6", "9"), channels=1), pictures()):
        chosen = ImageClassification(ImageClassificationConfig()).suggest(examples)
        settings = {key.rpartition(".")[2]: value for key, value in chosen.items() if key.startswith("task.augment.")}
        assert contradicting_augmentation(examples, AugmentConfig(**settings)) == []
