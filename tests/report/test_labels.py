"""Labels on the report: the bracket beside the ladder, people, suspects as cards; absent, a line names the command."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from orthogon.report import words
from orthogon.report.data import Case, ReportData
from orthogon.report.labels import margin, why
from orthogon.report.page import page
from orthogon.strategy.floor import Floor, Noise, Source
from orthogon.strategy.human import People, Person
from orthogon.strategy.label_study import LabelStudy, Suspect
from orthogon.strategy.labels import Precision
from orthogon.tasks.task import Card

NOISE = Noise(0.04, 0.02, 0.06, 1000, True, "a plateau", 0.08)
BRACKET = Floor(
    0.02,
    0.09,
    (
        Source("at most", "this run on dev", 0.069, 0.047, 0.101, 360),
        Source("at least", "noise in the labels", 0.04, 0.02, 0.06, 500),
        Source("at least", "nearest neighbour, inputs", 0.03, 0.02, 0.04, 1000, False, "it still falls with examples"),
    ),
)
SUSPECTS = (
    Suspect(1, "train", 11, "4", "9", 0.97, 0.004, -2.31),
    Suspect(2, "train", 12, "<1>", "7", 0.9, 0.05, 0.2),
    Suspect(1, "dev", 21, "3", "8", 0.8, 0.1, None, True),
    Suspect(2, "dev", 99, "5", "6", 0.7, 0.2),  # of the part that nobody looks at
)
STUDY = LabelStudy(
    noise={"train": NOISE, "dev": dataclasses.replace(NOISE, known=False, why="too few")},
    floor=BRACKET,
    suspects=SUSPECTS,
    num_suspects={"train": 40, "dev": 2},
    precision=Precision(42, 50, 50, 0.05),
    dev_n=360,
    dev_errors=25,
    dev_suspected=2,
)
PEOPLE = People(
    Person("majority of up to 3", 0.03, 0.01, 0.06, 150),
    (Person("majority of up to 3", 0.03, 0.01, 0.06, 150), Person("ann", 0.05, 0.03, 0.09, 150)),
    (0.02, 0.06),
    "%",
)


def case(id_: int, split: str, kind: str = "image") -> Case:
    image = np.random.default_rng(id_).integers(0, 256, (8, 8)).astype(np.uint8)
    more = {"image": {"image": image}, "row": {"fields": {"age": "31", "job": "<b>"}}, "strings": {"text": "ab"}}[kind]
    return Case(Card(kind, f"place {id_}", "x", "y", **more), id_, split)  # type: ignore[arg-type]


def cases(kind: str = "image") -> dict[tuple[str, int], Case]:
    return {(s.split, s.id): case(s.id, s.split, kind) for s in SUSPECTS if s.id != 99}


def text_of(drawn: str) -> str:
    bare = re.sub(r'<span class="tip".*?</span>|<(style|script).*?</\1>', "", drawn, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


@pytest.fixture(scope="module")
def studied(digits: ReportData) -> ReportData:
    return dataclasses.replace(digits, labels=STUDY, suspects=cases(), people=PEOPLE)


@pytest.mark.system("strat.label-clean")
def test_suspects_are_cards_with_label_likely_label_and_why(studied: ReportData) -> None:
    drawn = page(studied)
    section = drawn[drawn.index('<section id="suspects"') :]
    section = section[: section.index("</section>")]
    text = text_of(section)
    for said in (
        "Labels of train: about 4.0 % of labels wrong [2.0, 6.0].",
        "Labels of dev: how many are wrong is unknown: too few.",
        "labelled 4, looks like 9", "out of fold 97.0 % for 9, 0.4 % for 4 · margin −2.3", "margin 0.2",
        "labelled &lt;1&gt;", "80.0 % for 8, 10.0 % for 3 · a mistake of this run",
        "2 of 40.", "place 11 · train, id 11", "orthogon data relabel relabel.csv",
        "orthogon errors --suspects --out relabel.csv", "42 of the first 50 suspects were changed ones",
    ):  # fmt: skip
        assert said in text, said
    assert section.count("<img") == 3
    assert "id 99" not in text
    marked = re.findall(r'data-split="(\w+)" data-id="(\d+)"', section)
    assert marked == [("train", "11"), ("train", "12")]  # dev is corrected with test, from a list drawn by one rule
    assert section.count('class="mark"') == 2
    assert 'href="#suspects"' in drawn


def test_marks_can_be_downloaded_where_only_suspects_are_shown(studied: ReportData) -> None:
    drawn = page(dataclasses.replace(studied, cases=()))
    assert drawn.count('id="download"') == drawn.count('class="basket"') == 1
    assert "basket" not in re.sub(
        r"<(style|script).*?</\1>", "", page(dataclasses.replace(studied, cases=(), suspects={})), flags=re.DOTALL
    )
    assert drawn.count('id="labels"') == 1


@pytest.mark.system("strat.bayes")
def test_the_floor_of_the_ladder_has_its_bracket_and_its_sources(studied: ReportData) -> None:
    drawn = page(studied)
    ladder = drawn[drawn.index('<section id="ladder"') :]
    ladder = ladder[: ladder.index("</section>")]
    text = text_of(ladder)
    assert "Floor assumed; at least 2.0 %, at most 9.0 %" in text
    reach = re.search(r'rung floor.*?class="reach" style="left:([\d.]+)%;width:([\d.]+)%', ladder, flags=re.DOTALL)
    assert reach is not None
    top = max(rung.high for rung in studied.diagnosis.rungs)  # type: ignore[union-attr]
    assert float(reach[1]) == pytest.approx(100 * 0.02 / top, abs=0.02)
    assert float(reach[2]) == pytest.approx(100 * 0.07 / top, abs=0.02)
    for said in (
        "at least: noise in the labels", "at most: this run on dev", "The least possible error is at least 2.0 %",
        "nearest neighbour, inputs, 3.0 %: it still falls with examples",
        "majority of up to 3", "ann", "People reach 3.0 % [1.0 %, 6.0 %] on 150 examples",
        "They disagree with each other's majority on 2.0 % to 6.0 %",
    ):  # fmt: skip
        assert said in text.replace("&#39;", "'"), said


def test_the_bracket_of_another_error_than_the_ladders_is_not_drawn_on_it(studied: ReportData) -> None:
    other = dataclasses.replace(studied.diagnosis, metric="f1")  # type: ignore[type-var]
    text = text_of(page(dataclasses.replace(studied, diagnosis=other)))
    assert "Floor assumed; at least" not in text
    assert "The least possible error is at least 2.0 %" in text  # of the error rate: told, not drawn


def test_values_and_strings_have_the_bracket_and_say_why_there_are_no_suspects(houses: ReportData) -> None:
    floor = Floor(0.0, 50_500.0, (Source("at most", "this run on dev", 48_000.0, 46_000.0, 50_500.0, 300),), "USD")
    study = LabelStudy(floor=floor, why="Which labels are wrong is told of examples with one class each.")
    drawn = page(dataclasses.replace(houses, labels=study))
    text = text_of(drawn)
    assert "at least 0 USD, at most 50,500 USD" in text
    assert "is told of examples with one class each" in text
    assert 'id="suspects"' not in drawn


def test_silence_is_said_with_its_reason(digits: ReportData) -> None:
    silent = LabelStudy(noise={"train": NOISE}, silent="networks are wrong on 60 %, and no judges of labels")
    text = text_of(page(dataclasses.replace(digits, labels=silent)))
    assert "No suspect is named: networks are wrong on 60 %, and no judges of labels." in text


@pytest.mark.parametrize("kind", ["row", "strings"])
def test_rows_and_strings(studied: ReportData, kind: str) -> None:
    drawn = page(dataclasses.replace(studied, suspects=cases(kind)))
    assert ("<dt>age</dt><dd>31</dd>" if kind == "row" else '<p class="string">ab</p>') in drawn
    assert "<b></dd>" not in drawn


def test_without_examples_no_suspect_is_shown(studied: ReportData) -> None:
    closed = page(dataclasses.replace(studied, examples=False))
    assert "place 11" not in closed
    assert "about 4.0 % of labels wrong" in closed


def test_what_was_not_studied_has_one_line_with_its_command(digits: ReportData, studied: ReportData) -> None:
    absent, there = text_of(page(digits)), text_of(page(studied))
    for command in ("orthogon diagnose --labels", "orthogon train --set metrics.annotators=people.csv"):
        assert absent.count(command) == 1
        assert command not in there
    assert "orthogon diagnose --curve" in there
    assert "orthogon diagnose --probe" not in absent  # no bias to explain
    assert 'id="suspects"' not in page(digits)


def test_why_in_words() -> None:
    train = SUSPECTS[0]
    assert margin(dataclasses.replace(train, margin=None)) == ""
    assert margin(dataclasses.replace(train, margin=float("nan"))) == ""
    assert why(dataclasses.replace(train, own=0.0002)) == "97.0 % for 9, below 0.1 % for 4"


def test_places_are_short_and_tell() -> None:
    assert words.place("/home/me/photos/cat/1.png") == "cat/1.png"
    assert words.place("/home/me/adult.csv, row 12") == "adult.csv, row 12"
    assert words.place("digits, image 5") == "digits, image 5"
    assert words.place(r"C:\data\cat\1.png") == "cat/1.png"
