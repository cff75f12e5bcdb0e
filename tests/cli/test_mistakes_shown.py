"""What people see of their mistakes in a table: the same columns wherever a row is shown, and every target."""

import re
from pathlib import Path

import numpy as np
import pytest

import orthogon as og

QUICK = ("--set", "training.epochs=10", "--set", "training.preflight=false")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of three columns of noise and, last of the inputs, one that decides both targets; one in ten lies."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(300, 4))
    buys = np.where((x[:, 3] > 0) ^ (np.arange(300) % 10 == 0), "yes", "no")
    rows = [f"{a:.3f},{b:.3f},{c:.3f},{d:.3f},{y},{5 * d:.2f}" for (a, b, c, d), y in zip(x, buys, strict=True)]
    (tmp_path / "t.csv").write_text("n1,n2,n3,last,buys,pays\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_every_list_of_mistakes_shows_first_the_columns_that_tell_most(cli, house: Path) -> None:
    code, screen, _ = cli("start", "t.csv", "--target", "buys", "--set", "data.ignore=[pays]", *QUICK)
    assert code == 0
    code, told, _ = cli("errors", "--worst", "3")
    assert code == 0
    heads = [line.split() for line in (screen + told).splitlines() if line.startswith("answer  truth")]
    assert [words[:4] for words in heads] == [["answer", "truth", "sure", "last"]] * 2
    assert heads[0] == heads[1]
    page = (house / "t-orthogon/runs/0001/derived/report.html").read_text()
    assert set(re.findall(r"<dl><dt>(.*?)</dt>", page)) == {"last"}
    assert next(iter(og.load().worst(1, "train")[0].card.fields)) == "last"


def test_a_mistake_in_several_targets_names_each_with_both_values(cli, house: Path) -> None:
    code, screen, _ = cli("start", "t.csv", "--target", "buys", "--target", "pays", *QUICK)
    assert code == 0
    code, told, _ = cli("errors", "--worst", "20")
    assert code == 0
    for text in (screen, told):
        lines = text[text.index("Worst mistakes") :].splitlines()
        assert lines[1].split()[:5] == ["target", "answer", "truth", "sure", "last"]
        said = [line.split() for line in lines[2:] if line.startswith(("buys", "pays"))]
        assert {"buys", "pays"} == {words[0] for words in said}
        assert all(words[1] != words[2] for words in said)
