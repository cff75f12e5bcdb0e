"""An error analysis as a person does it: look at a hundred mistakes, tag them, read what mending each kind could bring.

The data is made so that the system errs on exactly one dev example in ten.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import orthogon as og
from orthogon.strategy.leaks import Leaks
from orthogon.strategy.slices import Slices

QUICK = ("--set", "training.epochs=15", "--set", "training.preflight=false", "--set", "data.test=0.1")
DEV_SEED = 3  # one of those whose eyeball part holds 100 mistakes or more, not 94
TEXTBOOK = {"dog": 8, "great cat": 43, "blurry": 61, "filter": 12}


def write_table(path: Path, n: int, wrong: float, seed: int) -> None:
    """x decides y with room to spare; this share of the labels, exactly, is turned."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = (2 * y - 1) * rng.uniform(1, 2, n)
    turned = rng.permutation(n) < round(n * wrong)
    said = np.where(turned, 1 - y, y)
    lines = [f"{a:.4f},{b:.4f},{'yes' if c else 'no'}" for a, b, c in zip(x, rng.normal(size=n), said, strict=True)]
    path.write_text("x,noise,y\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose dev holds 3,000 rows, 300 of them wrong."""
    folder = tmp_path_factory.mktemp("analysis")
    write_table(folder / "train.csv", 400, 0.0, 1)
    write_table(folder / "dev.csv", 3000, 0.1, DEV_SEED)
    og.start(
        str(folder / "train.csv"),
        "y",
        sets=[*(word for word in QUICK if word != "--set"), f"data.dev_source={folder / 'dev.csv'}"],
        project=str(folder / "train-orthogon"),
    )
    return folder


@pytest.fixture
def project(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, without tags."""
    monkeypatch.chdir(trained)
    (trained / "train-orthogon/tags.json").unlink(missing_ok=True)
    for path in trained.glob("t*.csv"):
        if path.name != "train.csv":
            path.unlink()
    return trained


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.system("strat.error-analysis", "strat.ceiling")
def test_a_hundred_mistakes_in_a_spreadsheet_give_the_textbooks_table(cli, project: Path) -> None:
    code, told, _ = cli("errors", "--csv", "tags.csv")
    assert code == 0
    rows = rows_of(project / "tags.csv")
    assert len(rows) >= 100
    assert f"{len(rows)} mistakes written to tags.csv" in told
    assert all(row["label"] != row["answer"] for row in rows)
    for k, row in enumerate(rows[:100]):
        row |= {
            "dog": "x" if k < 8 else "",
            "great cat": "x" if 8 <= k < 51 else "",
            "blurry": "x" if k >= 39 else "",
            "filter": "x" if k % 8 == 0 and k < 96 else "",
            "comment": "a pit bull" if k == 3 else "",
        }
    with open(project / "tags.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)
    code, told, _ = cli("errors", "--read", "tags.csv", "--hours", "dog=0.1")
    assert code == 0
    lines = {line[:9].strip(): line for line in told.splitlines() if "→" in line}
    shares = {"dog": "8 %", "great cat": "43 %", "blurry": "61 %", "filter": "12 %"}
    at_best = {"dog": "9.2 %", "great cat": "5.7 %", "blurry": "3.9 %", "filter": "8.8 %"}
    for name, count in TEXTBOOK.items():
        cells = lines[name].removeprefix(name).split()
        assert cells[0] == str(count)
        assert f" {shares[name]} " in lines[name]
        assert f"10.0 % → {at_best[name]}" in lines[name]
    assert next(iter(lines)) == "dog"  # most an hour
    assert "shares add up to 124 %" in " ".join(told.split())
    _, told, _ = cli("errors", "--read", "tags.csv", "--json")
    table = json.loads(told)
    assert {row["name"]: row["count"] for row in table["rows"]} == TEXTBOOK
    assert table["looked_at"] == 100
    assert table["comments"] == 1
    assert table["dev_error"] == pytest.approx(0.1)
    assert table["dev_low"] < 0.1 < table["dev_high"]
    _, told, _ = cli("errors", "--worst", "2")
    assert "What they were tagged as" in told
    assert "great cat" in told


def test_only_the_part_that_is_looked_at_is_shown(cli, project: Path) -> None:
    run = og.load()
    halves = run.halves()
    assert (len(halves.eyeball), len(halves.blackbox)) == (1000, 2000)
    seen = {case.id for case in run.worst(3000)} | set(run.to_tag(None).tolist())
    assert seen <= set(halves.eyeball.tolist())
    assert 60 < len(seen) < 140
    data = run.report_data()
    assert {case.id for case in (*data.cases, *data.looks)} <= set(halves.eyeball.tolist())
    _, told, _ = cli("errors")
    assert "Of 3,000 dev examples 1,000 are looked at, and 2,000 are only counted." in " ".join(told.split())
    assert "fitted by eye" not in told
    with pytest.raises(og.errors.UsageError, match="is none that is looked at in dev"):
        run.cases([int(halves.blackbox[0])])


@pytest.mark.system("strat.error-analysis")
def test_tagging_in_the_terminal_goes_on_where_it_ended(cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("1\nafar away\n\nclooks fine\n\nq"))
    code, told, _ = cli("errors", "--tag", "--sample", "5")
    assert code == 0
    assert "Mistake 1 of 5, 0 looked at" in told
    assert "[x]  far away" in told
    assert "3 of 5 looked at" in told
    book = og.load().tags()
    first = og.load().to_tag(5).tolist()
    assert [book.entries[i].tags for i in first[:3]] == [("wrong label",), ("far away",), ()]
    assert book.entries[first[2]].comment == "looks fine"
    monkeypatch.setattr("sys.stdin", io.StringIO("2\n\n"))
    _, told, _ = cli("errors", "--tag", "--sample", "5")
    assert "Mistake 4 of 5, 3 looked at" in told
    assert "5 of 5 looked at" in told
    _, told, _ = cli("errors", "--tag", "--sample", "5")
    assert "All 5 have been looked at" in told


def test_the_page_shows_every_mistake_beside_what_is_nearest_in_train(cli, project: Path) -> None:
    code, told, _ = cli("errors", "--page", "--sample", "30")
    assert code == 0
    path = project / "train-orthogon/runs/0001/derived/errors.html"
    assert str(path.name) in told
    text = path.read_text()
    run = og.load()
    assert all(f'id="drawn-{i}"' in text for i in run.to_tag(30).tolist())
    assert text.count("Nearest in train") == text.count('class="card"') == 90
    looked = run.error_page(worst=2, drawn=1).worst[0]
    train = set(run.data()[1]["train"].tolist())
    assert [each.case.id in train for each in looked.nearest] == [True] * 3
    assert all(each.case.card.answer == looked.case.card.answer for each in looked.nearest)  # on its side of x = 0


def test_bad_rows_are_named_and_good_ones_kept(cli, project: Path) -> None:
    cli("errors", "--csv", "tags.csv")
    rows = rows_of(project / "tags.csv")[:3]
    rows[0] |= {"ambiguous": "x"}
    rows[1] |= {"ambiguous": "x", "id": "?"}
    rows[2] |= {"ambiguous": "x"}
    with open(project / "tags2.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, _, error = cli("errors", "--read", "tags2.csv")
    assert code == 1
    assert 'line 3: "?" is no id of an example' in error
    assert "The 2 good rows are kept" in error
    assert len(og.load().tags().entries) == 2
    code, _, error = cli("errors", "--csv", "tags.csv")
    assert code == 2
    assert "exists already" in error
    code, _, error = cli("errors", "--hours", "ambiguous")
    assert (code, "does not say how long" in error) == (2, True)


def test_what_dev_shares_with_train_is_told_with_the_error_without_it(cli, tmp_path, monkeypatch) -> None:
    """A dev file of its owner's, 60 of whose 200 rows stand in train; the others are wrong in one of five."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "train.csv", 400, 0.0, 1)
    write_table(tmp_path / "new.csv", 140, 0.2, 2)
    _, *known = (tmp_path / "train.csv").read_text().splitlines()
    (tmp_path / "dev.csv").write_text("\n".join([*(tmp_path / "new.csv").read_text().splitlines(), *known[:60]]) + "\n")
    cli("start", "train.csv", "--target", "y", *QUICK, "--set", f"data.dev_source={tmp_path / 'dev.csv'}")
    code, told, _ = cli("errors", "--leaks")
    assert code == 0
    words = " ".join(told.split())
    copied = int(words.split(" of 200 dev examples")[0].split()[-1])
    assert 40 <= copied <= 60  # some of the 60 are in test
    assert "14.0 %" in words
    assert "20.0 %" in words or copied < 60
    assert "and in train" in words
    kept = og.load().kept(Leaks)
    assert kept is not None
    assert kept.num_leaked == copied
    _, told, _ = cli("diagnose")
    assert f"{copied} of 200 dev examples" in " ".join(told.split())
    assert 'id="leaks"' in og.load().report_path().read_text()
    assert kept.without > kept.error
    _, told, _ = cli("errors", "--leaks", "--json")
    assert json.loads(told)["num_leaked"] == copied


def test_groups_that_fail_together_are_named_from_the_command_line(cli, tmp_path, monkeypatch) -> None:
    """Of rows with kind = b and far above 0.5 two thirds of the labels of dev are turned; its twin has no such rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, n in (("train", 400), ("dev", 1500)):
        y = rng.integers(0, 2, n)
        x, far = (2 * y - 1) * rng.uniform(1, 2, n), rng.uniform(0, 1, n)
        kind = rng.choice(list("abcd"), n)
        turned = rng.random(n) < np.where((kind == "b") & (far > 0.5), 0.6, 0.05) * (name == "dev")
        said = np.where(turned, 1 - y, y)
        lines = [f"{a:.4f},{b:.4f},{c},{'yes' if d else 'no'}" for a, b, c, d in zip(x, far, kind, said, strict=True)]
        (tmp_path / f"{name}.csv").write_text("x,far,kind,y\n" + "\n".join(lines) + "\n")
    cli("start", "train.csv", "--target", "y", *QUICK, "--set", f"data.dev_source={tmp_path / 'dev.csv'}")
    code, told, _ = cli("errors", "--slices")
    assert code == 0
    words = " ".join(told.split()).casefold()
    assert "kind = b" in words
    assert "far above 0.5" in words or "far above 0.4" in words
    assert "confirmed on 750 others" in words
    kept = og.load().kept(Slices)
    assert kept is not None
    shown = og.load().slice_cases(kept.found[0])
    assert {case.id for case in shown} <= set(og.load().halves().eyeball.tolist())
    assert all(case.card.fields["kind"] == "b" for case in shown)
    _, told, _ = cli("errors", "--slices", "--json")
    assert json.loads(told)["found"][0]["error"] > 0.4


def test_another_part_is_looked_at_when_asked_for_and_a_later_run_is_warned(cli, trained: Path, monkeypatch) -> None:
    """Last in this file: it turns the project's dev."""
    monkeypatch.chdir(trained)
    run = og.load()
    before = run.halves()
    assert run.by_eye() is None  # nobody has looked at its mistakes when it was trained
    code, told, _ = cli("errors", "--rotate")
    assert code == 0
    after = og.load().halves()
    assert not set(before.eyeball) & set(after.eyeball)
    assert "1,000 were looked at before" in " ".join(told.split())
    assert og.load().by_eye() is not None
    assert not og.load().by_eye().material
    code, _, error = cli("errors", "--rotate")
    assert code == 2
    assert "fresh dev set" in error
