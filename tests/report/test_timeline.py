"""The timeline: every run in order, a step's expected and measured gain side by side, each gap's movement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orthogon.report.data import ReportData
from orthogon.report.page import page
from orthogon.report.timeline import MOST, timeline

OUTCOME: dict[str, Any] = {
    "verdict": "helped",
    "gap": "variance",
    "unit": "%",
    "sentence": '"more dropout" helped: dev error -8.1 points.',
    "expected": {"value": 0.086, "low": 0.025, "high": 0.12},
    "measured": {"value": 0.081, "low": 0.051, "high": 0.109},
    "moved": [
        {"gap": "avoidable bias", "change": 0.0, "low": -0.041, "high": 0.041},
        {"gap": "variance", "change": -0.081, "low": -0.131, "high": -0.03},
    ],
}
ROWS = [
    {"run": "0001", "when": "2026-11-30T10:00:00", "what": "first system", "error": 0.086, "outcome": None},
    {"run": "0002", "when": "2026-11-30T10:05:00", "what": "more dropout", "error": 0.005, "outcome": OUTCOME},
    {"run": "0003", "when": "2026-11-30T10:07:00", "what": "other metric", "error": "of f1", "outcome": None},
]


def test_a_step_shows_what_it_could_bring_beside_what_it_brought() -> None:
    first, second, third = timeline(ROWS, "%", "0002")
    assert (first.tone, second.tone) == ("", "good")
    assert [bar.value for bar in second.gains] == ["+8.6 points", "+8.1 points"]
    assert second.gains[0].span == "[2.5, 12.0]"
    assert second.gains[0].width == pytest.approx(100 * 0.086 / 0.12, abs=0.01)  # the widest limit sets the scale
    assert second.moved == [
        ("avoidable bias", "0 points [−4.1, 4.1]", False, False),
        ("variance", "−8.1 points [−13.1, −3.0]", True, True),
    ]
    assert (second.best, second.current, third.current) == (True, True, False)
    assert third.error is None
    assert third.other == "of f1"


def test_errors_share_one_scale() -> None:
    first, second, _ = timeline(ROWS, "%", "0001")
    assert first.error is not None
    assert second.error is not None
    assert (first.error.width, second.error.width) == (100.0, pytest.approx(100 * 0.005 / 0.086, abs=0.01))


def test_long_logbooks_keep_the_first_and_the_best_run() -> None:
    rows = [{"run": f"{k:04d}", "when": "", "what": "", "error": 0.1 + 0.001 * k, "outcome": None} for k in range(300)]
    rows[17] = {**rows[17], "error": 0.01}
    entries = timeline(rows, "%", "0299")
    assert [entry.run for entry in entries[:3]] == ["0000", "0017", f"{300 - MOST:04d}"]
    assert sum(entry.skipped for entry in entries) + len(entries) == 300
    assert entries[1].best


def test_a_step_that_was_not_finished_and_values_that_are_unknown() -> None:
    unfinished = {**OUTCOME, "verdict": "unfinished", "measured": None, "moved": []}
    unknown = {**OUTCOME, "measured": {"value": 0.01, "low": None, "high": None}}
    for outcome in (unfinished, unknown):
        (entry,) = timeline([{**ROWS[0], "outcome": outcome}], "%", "0001")
        assert entry.outcome
    assert timeline([], "%", "0001") == []


def test_the_page_draws_it(digits: ReportData) -> None:
    html = page(replace(digits, run="0002", logbook=ROWS))
    assert "How the project got here" in html
    assert html.count('class="timeline"') == 1
    assert html.count("What the step brought") == 1
    assert "this page" in html
    assert "not shown" not in html
