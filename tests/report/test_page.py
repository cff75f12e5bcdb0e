"""The page: everything there, nothing unsafe, nothing from outside, small, the same without JavaScript."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from orthogon.data.examples import Finding
from orthogon.report import docs
from orthogon.report.data import Case, ReportData
from orthogon.report.page import page, write
from orthogon.tasks.task import Card, TargetShown

MIB = 1 << 20
VOID = {"meta", "img", "input", "br", "link", "hr"}
EVIL = '<script>alert("x")</script>\'"&'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Outline(HTMLParser):
    """Checks that tags balance and ids are unique; remembers ids, links, tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids)), "an id is used twice"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def drawn(digits: ReportData) -> str:
    return page(digits)


def test_all_sections_of_a_full_run_are_there(drawn: str) -> None:
    outline = Outline(drawn)
    sections = [
        "ladder", "next", "figures", "curves", "mistakes", "sureness", "worst", "looks", "data", "logbook", "setup",
        "words",
    ]  # fmt: skip
    assert [id for id in outline.ids if id in sections] == sections
    links = [target for tag, values in outline.tags if tag == "a" and (target := str(values["href"])).startswith("#")]
    assert links == ["#main", *(f"#{id}" for id in sections)]
    for said in (
        "6.9 % error rate", "On 360 dev examples; 95 % between 4.7 and 10.1",
        "About 1 answer in 14 is wrong",  # 25 of 360
        "Variance", "material", "majority class", "60/20/20", "3 pictures are almost equal", "training.lr",
        "orthogon predict NEW -o answers.csv", "Test was seen 1 time in this project",
    ):  # fmt: skip
        assert said in outline.text, said


def test_an_empty_run_has_a_page_without_empty_boxes() -> None:
    outline = Outline(page(ReportData("empty", "0001")))
    sections = [values["id"] for tag, values in outline.tags if tag == "section"]
    assert sections == ["words"]
    assert not any(values.get("class") == "tile" for _, values in outline.tags)


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ({"diagnosis": None}, {"ladder"}),
        ({"history": ()}, {"curves"}),
        ({"cases": ()}, {"worst"}),
        ({"looks": (), "importances": ()}, {"looks"}),
        ({"mistakes": None}, {"mistakes", "sureness"}),
        ({"sizes": {}, "findings": (), "split_reason": ""}, {"data"}),
        ({"steps": (), "healthy": ""}, {"next"}),
        ({"logbook": ()}, {"logbook"}),
        ({"config": {}, "info": {}, "predict_line": ""}, {"setup"}),
        ({"baselines": (), "figures": {}}, {"figures"}),
    ],
)
def test_an_absent_part_leaves_its_section_and_its_link_out(
    digits: ReportData, drawn: str, part: dict[str, object], gone: set[str]
) -> None:
    outline = Outline(page(dataclasses.replace(digits, **part)))  # type: ignore[arg-type]
    full = Outline(drawn)
    sections = {str(values["id"]) for tag, values in full.tags if tag == "section"}
    assert {str(values["id"]) for tag, values in outline.tags if tag == "section"} == sections - gone
    assert not {f"#{id}" for id in gone} & {values.get("href") for _, values in outline.tags}


def test_regression_shows_units_agreement_groups_and_importances(houses: ReportData) -> None:
    outline = Outline(page(houses))
    assert "45,629 USD" in outline.text
    assert "points" not in outline.text.replace("Percentage points", "")
    assert "Error by group" in outline.text
    assert "Answer against truth (USD)" in outline.text
    assert re.search(r"Error added|error added when a column is shuffled", outline.text)
    assert outline.text.index("income") < outline.text.index("population")


def test_a_row_of_several_targets_shows_each_that_differs_with_both_values(houses: ReportData) -> None:
    targets = [TargetShown(f"label{k}", f"true{k}", f"said{k}", 0.9, wrong=k < 9) for k in range(12)]
    card = dataclasses.replace(houses.cases[0].card, targets=targets)
    text = Outline(page(dataclasses.replace(houses, cases=[Case(card, 0)]))).text
    for k in range(9):
        assert f"label{k}: said{k}, not true{k}" in text
    assert text.count("90.0 % sure") == 9
    assert "right: label9: said9, label10: said10, label11: said11" in text


def test_strings_show_the_difference_and_attention(dates: ReportData) -> None:
    drawn = page(dates)
    outline = Outline(drawn)
    assert "1979-0<mark>6</mark>-03" in drawn
    assert "1979-0<mark>5</mark>-03" in drawn
    table = drawn[drawn.index('<section id="looks"') :]
    table = table[table.index('<table class="attention"') : table.index("</table>")]
    columns = re.findall(r'<th scope="col">(.)</th>', table)
    rows = re.findall(r'<th scope="row">(.)</th>', table)
    assert "".join(columns) == "tuesday march 2 1993"
    assert "".join(rows) == "1993-03-02"
    assert table.count("--w:1.0") == len(rows)  # each output looked at one input, scaled to 1
    assert "Nothing urgent" in outline.text


@pytest.mark.parametrize(
    ("answer", "truth", "marked"),
    [
        ("1985-11-10", "1985-10-01", "1985-1<mark>1</mark>-<mark>10</mark>"),  # place by place
        ("hallo world", "hello world", "h<mark>a</mark>llo world"),
        ("abc def", "abc xyz def", "abc def"),  # lacks a part: marked in the truth alone
        ("xx", "yy", "<mark>xx</mark>"),
        ("", "y", ""),
    ],
)
def test_what_differs_is_marked(dates: ReportData, answer: str, truth: str, marked: str) -> None:
    case = Case(Card("strings", "t.tsv, line 1", truth, answer, text="?"), 1)
    assert f"<dt>answer</dt><dd>{marked}</dd>" in page(dataclasses.replace(dates, cases=[case], diagnosis=None))


def test_user_text_is_escaped_everywhere(digits: ReportData) -> None:
    card = Card("row", EVIL, EVIL, "b" + EVIL, 0.5, 1.0, fields={EVIL: EVIL}, text=EVIL)
    strings = Card(
        "strings", EVIL, EVIL, EVIL + "z", 0.5, 1.0, text=EVIL, heat=np.ones((1, 1), np.float32),
        row_labels=[EVIL], column_labels=[EVIL],
    )  # fmt: skip
    mistakes = dataclasses.replace(digits.mistakes, class_names=(EVIL, *digits.class_names[1:]))  # type: ignore[type-var]
    nasty = dataclasses.replace(
        digits,
        project=EVIL,
        problem=EVIL,
        split_reason=EVIL,
        class_names=[EVIL],
        mistakes=mistakes,
        cases=[Case(card, 1), Case(strings, 2)],
        looks=[Case(strings, 3)],
        findings=[Finding("x", "warning", EVIL, 1, (EVIL,), EVIL)],
        config={"data": {EVIL: EVIL}},
        logbook=[{EVIL: EVIL}],
        predict_line=EVIL,
        healthy=EVIL,
    )
    drawn = page(nasty)
    outline = Outline(drawn)
    assert "<script>alert" not in drawn
    assert drawn.count("<script>") == 1
    assert sum(tag == "script" for tag, _ in outline.tags) == 1
    assert EVIL in outline.text
    assert not any(name.startswith("on") for _, values in outline.tags for name in values)


def test_names_that_look_like_formulas_are_drawn_as_they_are(digits: ReportData) -> None:
    histories = [{"step": 1, "loss": 1.0, "dev_error": 0.5}, {"step": 2, "loss": 0.5, "dev_error": 0.4}]
    Outline(page(dataclasses.replace(digits, history=histories, project="$\\frac{$")))


def test_nothing_comes_from_outside(drawn: str, houses: ReportData, dates: ReportData) -> None:
    for text in (drawn, page(houses), page(dates)):
        for tag, values in Outline(text).tags:
            for name in ("src", "href", "action", "xlink:href", "srcset", "poster"):
                target = values.get(name) or "#"
                if name == "href" and tag == "a" and target.startswith(docs.ROOT.as_uri()):
                    continue  # a word leads to its page once it is clicked
                assert target.startswith(("#", "data:image/")), target
        assert not re.search(r"url\((?!#)|@import|https?://", text)
        assert "default-src 'none'" in text


def test_only_our_script_may_run(drawn: str) -> None:
    import base64
    import hashlib

    script = drawn[drawn.index("<script>") + 8 : drawn.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', drawn)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy[1]


def test_without_examples_no_picture_row_or_place_is_left(digits: ReportData, houses: ReportData) -> None:
    closed = page(dataclasses.replace(digits, examples=False))
    assert "<img" not in closed
    assert "digits, image" not in closed
    assert "left out on request" in closed
    assert {"worst", "looks"} & set(Outline(closed).ids) == set()
    assert "houses.csv" not in page(dataclasses.replace(houses, examples=False))


def test_sixty_large_photos_stay_below_three_mebibytes(digits: ReportData) -> None:
    rng = np.random.default_rng(0)

    def photo(row: int) -> Case:  # noise: nothing compresses worse
        image = rng.integers(0, 256, (300, 400, 3)).astype(np.uint8)
        heat = rng.random((30, 40)).astype(np.float32)
        return Case(Card("image", f"photos/{row}.jpg", "cat", "dog", 0.9, 2.0, image, heat=heat), row)

    drawn = page(dataclasses.replace(digits, cases=[photo(row) for row in range(60)], looks=[photo(99)]))
    assert len(drawn.encode()) < 3 * MIB
    assert drawn.count("<img") == 2 * 61
    assert drawn.count('loading="lazy"') == 2 * 61


def test_huge_parts_are_cut_and_say_so(digits: ReportData) -> None:
    names = [f"class {k} " + "x" * 500 for k in range(400)]
    matrix = np.diag(np.full(400, 3)) + np.eye(400, k=1, dtype=int)
    fields = {f"column {k}": "v" * 5000 for k in range(3000)}
    card = Card("row", "t.csv, row 2", "a" * 9000, "b" * 9000, None, 1.0, fields=fields, text="c" * 90_000)
    heat = np.full((500, 500), 0.5, np.float32)
    strings = Card("strings", "s.tsv, line 1", "a" * 500, "b" * 500, 0.5, 1.0, text="c" * 500, heat=heat,
                   row_labels="b" * 500, column_labels="c" * 500)  # fmt: skip
    mistakes = dataclasses.replace(  # type: ignore[type-var]
        digits.mistakes,
        class_names=tuple(names),
        confusion=tuple(map(tuple, matrix.tolist())),
        per_class=digits.mistakes.per_class * 40,  # type: ignore[union-attr]
    )
    huge = dataclasses.replace(
        digits,
        class_names=names,
        mistakes=mistakes,
        cases=[Case(card, i) for i in range(30)] + [Case(strings, i) for i in range(30, 100)],
        looks=[Case(strings, i) for i in range(50)],
        history=[{"step": i, "loss": 1 / (i + 1), "dev_error": 0.1} for i in range(100_000)],
        findings=[Finding("x", "note", "m" * 9000, 1, ("p" * 9000,) * 5, "do " * 10)] * 500,
        config={"data": {f"key {k}": "v" * 900 for k in range(300)}},
        logbook=[{"run": str(k), "what": "w" * 900} for k in range(900)],
    )
    drawn = page(huge)
    assert len(drawn.encode()) < 3 * MIB
    text = Outline(drawn).text
    assert "The 24 of 400 classes with the most mistakes." in text
    assert "The worst 30 of 400." in text


def test_a_confusion_of_long_names_has_a_row_of_its_own(digits: ReportData, drawn: str) -> None:
    names = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")
    wide = dataclasses.replace(digits.mistakes, class_names=names)  # type: ignore[type-var]
    assert '<figure class="whole-row">' in page(dataclasses.replace(digits, mistakes=wide))
    assert '<figure class="whole-row">' not in drawn


def test_tiny_pictures_keep_their_pixels(drawn: str) -> None:
    pictures = [values for tag, values in Outline(drawn).tags if tag == "img"]
    assert pictures
    assert all(values["class"] == "crisp" and values["width"] == "8" for values in pictures)
    assert all(values["alt"] for values in pictures)


def test_colours_follow_the_system_the_button_and_print(drawn: str) -> None:
    style = drawn[drawn.index("<style>") : drawn.index("</style>")]
    assert "color-scheme: light dark" in style
    for name in ("paper", "ink", "muted", "line", "blue", "orange", "green", "purple"):
        assert re.search(rf"--{name}: light-dark\(#[0-9a-f]{{6}}, #[0-9a-f]{{6}}\)", style), name
    assert '[data-theme="dark"] { color-scheme: dark; }' in style
    assert "@media print" in style
    plots = re.findall(r"<svg.*?</svg>", drawn, flags=re.S)
    assert len(plots) == 4
    for plot in plots:
        assert "var(--ink)" in plot
        assert not re.search(r"(?:fill|stroke): #", plot), "a colour that does not follow the theme"


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_in_both_themes(drawn: str) -> None:
    pairs = {m[1]: (m[2], m[3]) for m in re.finditer(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", drawn)}
    assert contrast("#000000", "#ffffff") == pytest.approx(21)  # the scale's end, by definition
    for theme in (0, 1):
        paper, panel = pairs["paper"][theme], pairs["panel"][theme]
        for name in ("ink", "muted"):
            assert contrast(pairs[name][theme], paper) >= 4.5, (name, theme)
            assert contrast(pairs[name][theme], panel) >= 4.5, (name, theme)
        for name in ("blue", "orange", "green", "purple"):
            assert contrast(pairs[name][theme], paper) >= 3, (name, theme)
        assert contrast(pairs["orange"][theme], pairs["orange-soft"][theme]) >= 3


def test_every_word_of_the_ladder_is_explained_and_reached_by_keyboard(drawn: str) -> None:
    outline = Outline(drawn)
    terms = [values for _, values in outline.tags if values.get("class") == "term"]
    assert len(terms) > 10
    assert all(values["tabindex"] == "0" for values in terms)
    assert drawn.count('role="tooltip"') == len(terms)
    words = drawn[drawn.index('<section class="words"') :]
    for word in ("avoidable bias", "variance", "overfitting to dev", "dev", "material", "baseline", "calibration"):
        assert f"<dt>{word}</dt>" in words, word


def test_svg_text_stays_text(drawn: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", drawn, flags=re.S)
    assert any(">Loss</text>" in plot for plot in plots)
    assert all("<title>" in plot and 'role="img"' in plot for plot in plots)


def test_write_leaves_one_file(digits: ReportData, tmp_path: Path) -> None:
    path = write(digits, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_same_data_give_the_same_page(digits: ReportData, drawn: str) -> None:
    assert page(digits) == drawn


def test_cards_carry_what_relabel_needs(drawn: str, digits: ReportData) -> None:
    cards = [values for _, values in Outline(drawn).tags if "data-id" in values]
    assert len(cards) == len(digits.cases)
    first = digits.cases[0]
    assert cards[0]["data-split"] == "dev"
    assert cards[0]["data-id"] == str(first.id)
    assert cards[0]["data-origin"] == first.card.title
    assert cards[0]["data-label"] == first.card.truth
    assert drawn.count('class="mark" hidden') == len(cards)  # without JavaScript there is nothing to fill in
    assert '"split,id,origin,label,new_label,tags,comment"' in drawn


MARKING = """
const csvs = [];
const real = URL.createObjectURL;
URL.createObjectURL = (blob) => { csvs.push(blob.text()); return real(blob); };
const cards = document.querySelectorAll(".card[data-id]");
const type = (card, name, value) => {
  const input = card.querySelector(`input[name=${name}]`);
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
cards[0].querySelector("button[name=take]").click();
type(cards[1], "tags", 'blurry, "odd"');
type(cards[1], "comment", "two\\tparts, one comma");
type(cards[2], "comment", "gone again");
type(cards[2], "comment", "");
HTMLAnchorElement.prototype.click = () => {};
document.getElementById("download").click();
csvs[0].then((csv) => {
  const out = document.createElement("pre");
  out.id = "out";
  out.textContent = JSON.stringify({
    csv, stored: Object.keys(localStorage), status: document.querySelector(".basket [role=status]").textContent,
    theme: document.documentElement.dataset.theme,
  });
  document.body.append(out);
});
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the path")
def test_marks_download_as_relabel_csv(digits: ReportData, drawn: str, tmp_path: Path) -> None:
    text = re.sub(r"<meta http-equiv[^>]+>", "", drawn).replace("</body>", f"<script>{MARKING}</script></body>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    dom = dump(tmp_path, "page.html#dark")
    found = re.search(r'<pre id="out">(.*?)</pre>', dom, flags=re.S)
    assert found is not None
    import html

    out = json.loads(html.unescape(found[1]))
    rows = list(csv.reader(io.StringIO(out["csv"])))
    assert rows[0] == ["split", "id", "origin", "label", "new_label", "tags", "comment"]
    first, second = digits.cases[0], digits.cases[1]
    taken = first.card.answer  # the button takes the network's answer as the right label
    assert rows[1] == ["dev", str(first.id), first.card.title, first.card.truth, taken, "", ""]
    assert rows[2] == [
        "dev", str(second.id), second.card.title, second.card.truth, "", 'blurry, "odd"', "two\tparts, one comma",
    ]  # fmt: skip
    assert len(rows) == 3
    assert out["status"] == "2 marked"
    assert any(key.startswith("orthogon-marks:digits/0001/") for key in out["stored"])
    assert out["theme"] == "dark"


@pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the path")
def test_our_script_runs_under_the_page_policy(drawn: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(drawn, encoding="utf-8")
    dom = dump(tmp_path, "page.html")
    button = re.search(r'<button[^>]*id="theme"[^>]*>', dom)
    assert button is not None
    assert "hidden" not in button[0]  # only the script shows it


def dump(folder: Path, page: str) -> str:
    """The page's elements after its scripts have run."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=2000", "--dump-dom", f"file://{folder}/{page}",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_a_step_says_the_time_that_it_costs(digits: ReportData) -> None:
    step = dataclasses.replace(next(step for step in digits.steps if step.who == "orthogon"), cost_runs=2)
    shown = page(dataclasses.replace(digits, steps=[step], info={**digits.info, "seconds": 0.25}))
    assert "Costs 2 runs like this one, about 0.5 s." in shown
    info = {key: value for key, value in digits.info.items() if key != "seconds"}
    unknown = page(dataclasses.replace(digits, steps=[step], info=info))
    assert "Costs 2 runs like this one." in unknown
