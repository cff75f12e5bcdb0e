"""One screen: at 80 columns, at most 45 lines, the same words without colour."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from orthogon.report.data import BaselineFigure, Case, Figure, ReportData
from orthogon.report.terminal import cards, next_steps, screen, whole_sentences
from orthogon.tasks.task import Card, TargetShown


def printed(what: object, width: int = 80, colour: str | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=colour, force_terminal=colour is not None)  # type: ignore[arg-type]
    console.print(what)
    return out.getvalue()


@pytest.mark.parametrize("name", ["digits", "houses", "dates"])
def test_it_is_one_screen_of_80_columns(name: str, request: pytest.FixtureRequest) -> None:
    lines = printed(screen(request.getfixturevalue(name))).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45


def test_it_says_how_good_what_limits_and_what_next(digits: ReportData) -> None:
    text = printed(screen(digits))
    assert "\x1b" not in text
    assert "Error rate on dev: network 6.9 % · linear model 4.7 % · majority class 89.0 %" in text
    assert "The network does not earn its keep yet: linear model does better." in text
    assert "variance" in text
    assert "Worst mistakes" in text
    assert "orthogon next --take 1" in text
    assert "report   digits-orthogon/runs/0001/derived/report.html" in text
    assert "predict  orthogon predict NEW -o answers.csv --project digits-orthogon" in text
    assert text.index("Error rate") < text.index("variance") < text.index("Worst") < text.index("Next")


def test_limits_are_said(digits: ReportData) -> None:
    limits = [("latency_ms <= 5 kept: 0.29 [0.26, 4]", True)]
    assert "limit    latency_ms <= 5 kept: 0.29 [0.26, 4]" in printed(
        screen(dataclasses.replace(digits, limits=limits))
    )


def test_a_network_that_beats_its_baselines_is_not_scolded(digits: ReportData) -> None:
    fine = dataclasses.replace(digits, baselines=[BaselineFigure("majority class", Figure(0.89))])
    assert "earn its keep" not in printed(screen(fine))


def test_tiny_pictures_are_drawn_without_colour() -> None:
    image = np.zeros((8, 8), np.uint8)
    image[0, :] = image[:, 0] = image[7, 7] = 255  # a corner, and one pixel below
    case = Case(Card("image", "x.png", "1", "7", 0.9, 1.0, image), 0)
    lines = [line.rstrip() for line in printed(cards([case])).splitlines()]
    assert lines == ["█▀▀▀▀▀▀▀", "█", "█", "█      ▄", "7, not 1", "90 % sure", "x.png"]


def test_pictures_are_drawn_with_both_pixels_of_a_cell_in_colour() -> None:
    image = np.zeros((2, 1, 3), np.uint8)
    image[0, 0] = (200, 100, 50)
    case = Case(Card("image", "x.png", "1", "7", None, None, image), 0)
    assert "\x1b[38;2;200;100;50;48;2;0;0;0m▀" in printed(cards([case]), colour="truecolor")


def test_large_photos_are_named_but_not_scrawled_without_colour() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (300, 200, 3)).astype(np.uint8)
    case = Case(Card("image", "photos/cat/0001.jpg", "cat", "dog", 0.5, 1.0, photo), 0)
    assert printed(cards([case])).splitlines()[0].startswith("dog, not cat")
    assert printed(cards([case]), colour="truecolor").count("▀") > 50


def test_long_class_names_take_a_line_each() -> None:
    image = np.zeros((1, 1), np.uint8)
    long = Case(Card("image", "x.png", "longsleeve", "outwear", 0.9, 1.0, image), 0)
    short = Case(Card("image", "y.png", "hat", "dress", 0.8, 1.0, image), 1)
    lines = [line.split() for line in printed(cards([long, short])).splitlines()]
    assert ["outwear,", "dress,"] in lines
    assert ["not", "longsleeve", "not", "hat"] in lines


def test_the_row_stays_visible_behind_a_long_path() -> None:
    title = "/home/someone/a/long/way/down/adult_train.csv.gz, row 28411"
    case = Case(Card("row", title, ">50K", "<=50K", 0.99, 1.0, fields={"hours": "40"}), 0)
    assert printed(cards([case])).splitlines()[1].endswith("train.csv.gz, row 28411")
    case = Case(Card("row", "/home/me/t.csv, row 5", ">50K", "<=50K", 0.99, 1.0, fields={"hours": "40"}), 0)
    assert printed(cards([case])).splitlines()[1].endswith("40     t.csv, row 5")


def test_narrow_screens_lose_columns_and_nothing_else() -> None:
    fields = {f"a long column name {k}": "a long value in it" for k in range(4)}
    case = Case(Card("row", "census.csv, row 28411", "long answer", "longer answer", 0.99, 1.0, fields=fields), 0)
    for width in (60, 80, 100, 130):
        head, line = printed(cards([case]), width).splitlines()
        assert max(len(head), len(line)) <= width
        assert head.count("a long") == {60: 0, 80: 1, 100: 3, 130: 3}[width]
        assert line.startswith("longer answer  long answer  99 %  ")
        assert line.endswith("census.csv, row 28411")


def test_of_several_targets_those_that_differ_stand_below_one_another() -> None:
    targets = [TargetShown(f"label{k}", "1", "0", 0.9 - k / 10, wrong=True) for k in range(4)]
    targets += [TargetShown("fine", "yes", "yes", 0.5)]
    card = Card("row", "t.csv, row 5", "truth", "answer", fields={"hours": "40"}, targets=targets)
    lines = [line.split() for line in printed(cards([Case(card, 0)])).splitlines()]
    assert lines == [
        ["target", "answer", "truth", "sure", "hours", "where"],
        ["label0", "0", "1", "90", "%", "40", "t.csv,", "row", "5"],
        *(["label1", "0", "1", "80", "%"], ["label2", "0", "1", "70", "%"], ["label3", "0", "1", "60", "%"]),
    ]
    lines = printed(cards([Case(card, 0)], targets=3)).splitlines()
    assert (len(lines), lines[-1].strip()) == (5, "and 1 more")
    right = dataclasses.replace(card, targets=targets[-1:])
    assert printed(cards([Case(right, 0)])).splitlines()[1].split()[:4] == ["fine", "yes", "yes", "50"]


def test_more_pictures_than_fit_wrap(digits: ReportData) -> None:
    text = printed(cards(digits.cases[:12]))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(" sure") == 12


def test_rows_show_the_columns_that_tell_most(houses: ReportData) -> None:
    text = printed(cards(houses.cases[:3]))
    head = text.splitlines()[0].split()
    assert head[:5] == ["answer", "truth", "income", "age", "rooms"]
    assert "houses.csv, row" in text


def test_strings_show_source_answer_and_truth(dates: ReportData) -> None:
    assert "3rd of May 1979  → 1979-06-03  (1979-05-03)" in printed(cards(dates.cases))


def test_markup_in_the_users_text_is_text(digits: ReportData) -> None:
    case = Case(Card("row", "[red]t.csv[b], row 2", "[b]", "[/nope]", 0.5, 1.0, fields={"[i]": "[/x]"}), 0)
    text = printed(cards([case]))
    for said in ("[/nope]", "[b]", "[/x]", "[i]", "[red]t.csv[b], row 2"):
        assert said in text


def test_a_healthy_run_says_so_and_steps_come_with_their_note(digits: ReportData) -> None:
    assert "Nothing limits it." in printed(next_steps([], "Nothing limits it."))
    text = printed(next_steps(digits.steps, "At most the gap.", "%"))
    first = digits.steps[0]
    assert f"1  {first.knob}  expected " in text
    assert f"Wrong if {first.wrong_if}" in " ".join(text.split())
    assert "At most the gap." in text


def test_nothing_known_prints_nothing() -> None:
    assert printed(screen(ReportData("p", "0001"))).strip() == ""
    assert "No mistakes to show." in printed(cards([]))


def test_a_reason_is_cut_after_a_sentence_never_within_one() -> None:
    text = "More data helps. In rounds, about 3.5 at once. Begin with class 9."
    assert whole_sentences(text, 200) == text
    assert whole_sentences(text, len(text)) == text
    assert whole_sentences(text, len(text) - 1) == "More data helps. In rounds, about 3.5 at once."
    assert whole_sentences(text, 3) == "More data helps."
