"""The comparison: names, verdicts, what changed, one scale."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from orthogon.report.compare import compare_page, write_comparison
from orthogon.report.data import Figure, ReportData
from orthogon.strategy.diagnosis import Diagnosis


@pytest.fixture
def second(digits: ReportData) -> ReportData:
    config = {**digits.config, "training": {**digits.config["training"], "lr": 0.004}}
    return dataclasses.replace(digits, run="0002", config=config, info={**digits.info, "seed": 1, "seconds": 50.0})


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (Figure(-0.012, -0.02, -0.004), "0002 is better than 0001 by 1.2 points [0.4, 2.0]"),
        (Figure(0.012, 0.004, 0.02), "0002 is worse than 0001 by 1.2 points [0.4, 2.0]"),
        (Figure(-0.002, -0.01, 0.006), "0002 and 0001 cannot be told apart: they differ by −0.2 points [−1.0, 0.6]"),
    ],
)
def test_the_verdict_follows_the_interval(
    digits: ReportData, second: ReportData, difference: Figure, sentence: str
) -> None:
    assert sentence in compare_page([digits, second], [difference])


def test_only_what_changed_is_listed(digits: ReportData, second: ReportData) -> None:
    drawn = compare_page([digits, second])
    table = drawn[drawn.index('<section id="changes"') : drawn.index('<section id="ladder"')]
    assert re.findall(r"<code>([^<]+)</code></th><td>([^<]*)</td><td>([^<]*)</td>", table) == [
        ("training.lr", "0.002", "0.004"),
        ("run.seed", "0", "1"),
        ("run.seconds", "38.2", "50.0"),
    ]


def test_all_bars_share_one_scale_and_runs_keep_their_colour(digits: ReportData, second: ReportData) -> None:
    drawn = compare_page([digits, second])
    part = drawn[drawn.index('<section id="ladder"') : drawn.index('<section id="curves"')]
    rows = re.findall(r'<li class="bar (s\d)">.*?width:([\d.]+)%', part, flags=re.S)
    assert [tone for tone, _ in rows] == ["s0", "s1"] * 3  # train, dev, test
    assert isinstance(digits.diagnosis, Diagnosis)
    dev, test = digits.diagnosis.rung("dev").value, digits.diagnosis.rung("test").value
    assert float(rows[2][1]) / float(rows[4][1]) == pytest.approx(dev / test, rel=0.01)


def test_other_data_or_metrics_are_warned_of(digits: ReportData, second: ReportData, houses: ReportData) -> None:
    other = dataclasses.replace(second, info={**second.info, "fingerprint": "another"})
    assert "The data changed between these runs" in compare_page([digits, other])
    drawn = compare_page([digits, houses])
    assert "judged by different metrics" in drawn
    assert "digits/0001 and houses/0002" in drawn


def test_runs_without_figures_compare_by_their_settings_alone() -> None:
    drawn = compare_page([ReportData("p", "0001", config={"a": 1}), ReportData("p", "0002", config={"a": 2})])
    assert 'id="changes"' in drawn
    assert 'id="curves"' not in drawn
    assert "<svg" not in drawn


def test_it_is_self_contained_and_written_whole(digits: ReportData, second: ReportData, tmp_path: Path) -> None:
    path = write_comparison([digits, second], tmp_path / "compare.html", [None])
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\((?!#)", text)
    assert text.count("<svg") == 3
