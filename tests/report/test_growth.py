"""The curve in the report: what was measured, what is foretold, and its answer in words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from orthogon.metrics.classification import classification_metrics
from orthogon.report import growth
from orthogon.report.data import ReportData
from orthogon.report.page import page
from orthogon.report.plots import to_svg
from orthogon.strategy.curve import SHARES, LearningCurve, Measured, judge

ERROR = classification_metrics(["a", "b"])["error"]


@pytest.fixture(scope="module")
def curve() -> LearningCurve:
    rng = np.random.default_rng(0)
    points = [
        Measured(s * 1000, tuple(rng.binomial(2000, 0.02 + 0.08 * s**-0.6, 3) / 2000), (0.001 + 0.01 * s,))
        for s in SHARES
    ]
    return judge(points, ERROR, 2000, steps=500)


def test_the_plot_says_in_text_what_is_foretold(curve: LearningCurve) -> None:
    svg = to_svg(growth.growth(curve), "g", growth.label_of(curve))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert any(text.startswith("2x: ") for text in texts)
    assert any(text.startswith("4x: ") for text in texts)
    assert {"100", "1,000", "2,000", "4,000"} <= set(texts)
    assert "at least" in svg


def test_a_curve_that_is_not_continued_is_drawn_without_a_band(curve: LearningCurve) -> None:
    cut = replace(curve, forecast=None, causes=("It cannot.",))
    svg = to_svg(growth.growth(cut), "g", growth.label_of(cut))
    assert "2x: " not in svg
    assert not growth.section([cut])[0]["rows"]
    assert growth.section([replace(cut, points=cut.points[:1])]) == []


def test_the_page_has_a_section_only_where_there_is_a_curve(curve: LearningCurve) -> None:
    data = ReportData(project="p", run="0001")
    assert 'id="growth"' not in page(data)
    told = page(replace(data, growth=(curve,)))
    assert 'id="growth"' in told
    assert "Twice the data" in told
    assert "4 times, indicative" in told
