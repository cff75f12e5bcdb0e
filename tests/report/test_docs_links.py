"""Every word of a page leads to a paragraph that is there; where there is no documentation, nothing is linked."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from orthogon.metrics.classification import classification_metrics, multilabel_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.strings import string_metrics
from orthogon.report import docs, words
from orthogon.report.data import ReportData
from orthogon.report.page import page

PAGES = Path(__file__).parents[2] / "docs"


def anchors(page: str) -> set[str]:
    """Of a page's headings, as GitHub and the site write them."""
    prose = re.sub(r"^```.*?^```", "", (PAGES / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#{1,3} (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("word", words.EXPLAINED)
def test_every_word_has_a_page_and_a_paragraph_there(word: str) -> None:
    name, _, anchor = docs.page_of(word).partition("#")
    assert (PAGES / f"{name}.md").is_file()
    assert anchor in anchors(f"{name}.md")
    assert anchor == re.sub(r"[^a-z0-9]+", "-", anchor).strip("-")  # so that the site and GitHub agree on it


def test_words_of_no_page_are_metrics_and_every_word_is_explained() -> None:
    assert set(docs.PAGE_OF) <= set(words.EXPLAINED)
    assert set(words.EXPLAINED) - set(docs.PAGE_OF) == set(words.METRICS)


def test_every_metric_is_explained() -> None:
    every = [
        classification_metrics(["no", "yes"]), classification_metrics(list("abc")), multilabel_metrics(["a", "b"]),
        regression_metrics("USD"), string_metrics(),
    ]  # fmt: skip
    for metric in (metric for metrics in every for metric in metrics.values()):
        assert words.metric(metric.title) in words.EXPLAINED, metric.title
    assert words.metric('F1 of "yes"') == "F1"
    assert words.metric("average precision, mean of classes") == "average precision"
    assert words.metric("error rate, income") == "error rate"
    assert words.metric("something else") == ""


def links(drawn: str) -> list[str]:
    return [target for target in re.findall(r'href="([^"]+)"', drawn) if not target.startswith("#")]


def test_words_link_to_the_pages_beside_the_source(digits: ReportData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(docs.SETTING, raising=False)
    drawn = page(digits)
    found = links(drawn)
    assert len(found) > drawn.count('class="term"') > 0  # and once more in the list of words
    for target in set(found):
        place, _, anchor = target.partition("#")
        assert place.startswith(docs.ROOT.as_uri())
        assert anchor
    assert drawn.count(">More</a></span>") == drawn.count('class="term"')


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("https://docs.example/", "https://docs.example/strategy.html#the-ladder"),
        (
            "https://git.example/x/blob/main/docs/{page}.md",
            "https://git.example/x/blob/main/docs/strategy.md#the-ladder",
        ),
    ],
)
def test_one_setting_says_where_the_documentation_is(
    digits: ReportData, monkeypatch: pytest.MonkeyPatch, said: str, expected: str
) -> None:
    monkeypatch.setenv(docs.SETTING, said)
    assert docs.address("variance") == expected
    assert f'<a href="{expected}">More</a>' in page(digits)
    assert expected in page(dataclasses.replace(digits, examples=False))


def test_a_page_for_others_and_an_installed_package_link_to_nothing_on_this_machine(
    digits: ReportData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(docs.SETTING, raising=False)
    assert links(page(dataclasses.replace(digits, examples=False))) == []
    monkeypatch.setenv(docs.SETTING, "file:///home/me/docs")
    assert links(page(dataclasses.replace(digits, examples=False))) == []
    monkeypatch.delenv(docs.SETTING)
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert links(page(digits)) == []
    (tmp_path / "build/site").mkdir(parents=True)
    (tmp_path / "build/site/report.html").touch()
    assert docs.address("loss") == f"{tmp_path.as_uri()}/build/site/report.html#how-it-learned"
