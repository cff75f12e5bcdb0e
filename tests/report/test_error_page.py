"""The page of mistakes: whole without a network, each card beside what is nearest in train, and quick with hundreds."""

import dataclasses
import re

import numpy as np
import pytest

from orthogon.metrics.intervals import proportion
from orthogon.report.data import Case, ReportData
from orthogon.report.error_page import ErrorPage, LookedAt, Neighbour, page
from orthogon.report.page import page as report_page
from orthogon.strategy.ceilings import ceilings
from orthogon.strategy.leaks import COPY, Leak, Leaks, Pair
from orthogon.strategy.slices import FoundSlice, Slices
from orthogon.tasks.task import Card

SLICES = Slices(
    (
        FoundSlice(
            "Washed out (contrast 0.1)", "cluster", ("mirrored, 90 % (2 % of the others)",),
            0.6, 0.4, 0.8, 0.1, 0.05, 12, 20, 0.5, 1e-4, (3, 4),
        ),
    ),
    4, 100, 100,
)  # fmt: skip
LEAKS = Leaks(
    (Leak(COPY, 2, 0.02, 0.0, 0.5, 0.4, 0.6, "the same input stands in train", "Remove.", (Pair(3, 900),), (3, 4)),),
    100, 0.4, 0.3, 0.5, 0.5, 0.4, 0.6, 2,
)  # fmt: skip
TABLE = ceilings(
    proportion(10, 100), {"blurry": np.arange(10) < 6, "<b>dog": np.arange(10) > 4}, 10, hours={"blurry": 8}
)


def case(id_: int, side: int = 40, split: str = "dev") -> Case:
    image = np.random.default_rng(id_).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return Case(Card("image", f"a/{id_}<i>.png", "cat", "dog", 0.7, 1.5, image), id_, split)


def looked(id_: int, **more) -> LookedAt:
    near = [Neighbour(case(900 + k, split="train"), 1.0 + 0.3 * k) for k in range(3)]
    return LookedAt(case(id_), near, **more)


@pytest.fixture(scope="module")
def whole() -> str:
    data = ErrorPage(
        "pets & co", "0002", "error rate", "%", "Of 100 dev examples 40 are looked at.", "Fitted by eye.", 2,
        [looked(1, tags=("blurry", "<script>"), comment="paw & tail")], [looked(1), looked(2)],
        TABLE, SLICES, [[case(3), case(4)]], LEAKS, [(case(3), case(900, split="train"))],
    )  # fmt: skip
    return page(data)


def test_everything_is_on_it_and_nothing_is_fetched(whole: str):
    for text in ("pets &amp; co", "Of 100 dev examples", "Fitted by eye.", "Nearest in train", "1.3 × as far",
                 "blurry", "&lt;script&gt;", "paw &amp; tail", "Washed out (contrast 0.1)", "Mirrored, 90 %",
                 "the same input stands in train", "10.0 % →", "a/1&lt;i&gt;.png"):  # fmt: skip
        assert text in whole, text
    assert not re.findall(r"(?:src|href)=\"(?!data:|#|file:[^\"]+/docs/|file:[^\"]+/site/)", whole)
    assert "<script>paw" not in whole
    images = re.findall(r"<img [^>]*>", whole)
    assert images
    assert all('loading="lazy"' in image and 'alt="' in image for image in images)
    ids = re.findall(r' id="([^"]+)"', whole)
    assert len(ids) == len(set(ids))
    assert {"worst-1", "drawn-1", "drawn-2"} <= set(ids)


def test_hundreds_of_mistakes_stay_a_small_file():
    many = [looked(k) for k in range(300)]
    many = [dataclasses.replace(each, case=case(k, side=300)) for k, each in enumerate(many)]
    text = page(ErrorPage("p", "1", "error", "%", num_mistakes=300, worst=many[:200], drawn=many[100:]))
    assert text.count('class="card"') == 400
    assert len(text) < 8_000_000


def test_no_mistake_and_rows_and_strings():
    assert "No mistake to show" in page(ErrorPage("p", "1", "error", "%"))
    row = Case(Card("row", "t.csv, row 3", "yes", "no", 0.6, 0.9, fields={"age": "44", "job": "clerk"}), 3)
    text = page(ErrorPage("p", "1", "error", "%", worst=[LookedAt(row, [Neighbour(row, 1.0)])], num_mistakes=1))
    assert "no, not yes" in text
    assert "age 44, job clerk" in text
    string = Case(Card("strings", "d, line 3", "1979", "1978", 0.6, 0.9, text="May <1979"), 3)
    text = page(ErrorPage("p", "1", "error", "%", drawn=[LookedAt(string, [Neighbour(string, 1.0)])], num_mistakes=1))
    assert "197<mark>8</mark>" in text
    assert "May &lt;1979" in text


def test_the_report_has_the_same_sections(digits: ReportData):
    found = report_page(
        dataclasses.replace(
            digits, ceilings=TABLE, slices=SLICES, leaks=LEAKS, strips=[[case(3)]], pairs=[(case(3), case(900))],
            halves="Of 360 dev examples 60 are looked at.",
        )
    )  # fmt: skip
    for text in ('id="tags"', 'id="groups"', 'id="leaks"', "Of 360 dev examples 60 are looked at", "Washed out"):
        assert text in found
    shown = dataclasses.replace(digits, slices=SLICES, leaks=LEAKS, strips=[[case(3)]], pairs=[(case(3), case(900))])
    without = report_page(dataclasses.replace(shown, examples=False))
    assert "a/3" not in without
    assert "Washed out" in without
