"""The model card says what is known, asks what is not, and never invents a licence."""

from __future__ import annotations

import dataclasses
import re

import pytest

from orthogon.report.card import model_card
from orthogon.report.data import ReportData


def test_it_has_the_parts_of_a_model_card(digits: ReportData) -> None:
    text = model_card(digits)
    assert re.findall(r"^#+ (.+)$", text, flags=re.M) == [
        "digits, run 0001", "Intended use", "Data", "How good it is", "Limits", "How to make it again",
    ]  # fmt: skip
    for said in (
        "fingerprint (sha256): 9f86d081884c7d65",
        "licence: unknown",
        "| train | 1,077 |",
        "| **this network** | 6.9 % [4.7, 10.1] |",
        "| linear model | 4.7 % [3.0, 7.4] |",
        "The test set was scored 1 time in this project.",
        "One training run",
        "- seed: 0",
        "- torch: 2.14.1",
        "parameters: 23,450",
        "`training.lr`",
        "orthogon predict NEW -o answers.csv --project digits-orthogon",
        "On what inputs must it not be used?",
    ):
        assert said in text, said


def test_text_of_the_user_cannot_break_the_table_or_become_html(digits: ReportData) -> None:
    text = model_card(dataclasses.replace(digits, config={"data": {"source": "a|b<script>\nc"}}, project="<b>x"))
    assert "<script" not in text
    assert "<b>" not in text
    assert "a\\|b&lt;script> c" in text


def test_an_empty_run_has_a_card() -> None:
    text = model_card(ReportData("empty", "0001"))
    assert text.startswith("# empty, run 0001\n")
    assert "licence: unknown" in text


def test_weak_classes_are_named_as_limits(digits: ReportData) -> None:
    limits = model_card(digits).split("## Limits")[1]
    worst = max(digits.mistakes.per_class, key=lambda s: s.low)  # type: ignore[union-attr]
    assert f"- Class {worst.name}: " in limits
    assert limits.count("- Class ") == 3


@pytest.mark.parametrize("unit", ["USD"])
def test_real_valued_errors_keep_their_unit(houses: ReportData, unit: str) -> None:
    assert f"| 30,000 {unit} | 48,000 {unit} [46,000, 50,500] |" in model_card(houses)
