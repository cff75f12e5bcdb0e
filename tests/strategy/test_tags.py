"""Tags: they stay with their example, survive a spreadsheet, and every bad row is named."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from orthogon.data.strings import StringPairs
from orthogon.errors import DataError, RunError, UsageError
from orthogon.strategy.tagging import Tagging
from orthogon.strategy.tags import Entry, Row, TagBook, read_csv, write_csv


@pytest.fixture
def words(tmp_path: Path):
    """Ten strings as a project's data; call it with other sources for data that has changed."""
    from orthogon.data.config import DataConfig
    from orthogon.data.strings import read_pairs

    def make(sources=tuple(f"word {i}" for i in range(10)), name="pairs.tsv") -> StringPairs:
        path = tmp_path / name
        path.write_text("".join(f"{source}\t{source.upper()}\n" for source in sources))
        return read_pairs(DataConfig(source=str(path), format="strings"))

    return make


@pytest.fixture
def book(tmp_path: Path, words) -> TagBook:
    return TagBook.load(tmp_path, words())


def table(book: TagBook) -> list[Row]:
    return [Row(i, str(book.examples[i].origin), f"WORD {i}", "?", 0.5, 1.25) for i in range(10)]


def allowed(book: TagBook) -> dict[int, str]:
    return {i: str(book.examples[i].origin) for i in range(10)}


def rewrite(path: Path, change) -> None:
    """Read the spreadsheet as a person's program would, change its rows, write it back."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = change(rows) or list(rows[0])
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def test_tags_are_there_when_the_project_is_opened_again(book, tmp_path, words):
    book.put(3, ["Blurry", "  great   cat "], "paw only")
    book.put(4, [])  # looked at, fits nothing
    book.put(5, ["BLURRY"])
    book.set_hours("blurry", 8)
    book.save()
    again = TagBook.load(tmp_path, words())
    assert again.entries == book.entries
    assert again.entries[3].tags == ("Blurry", "great cat")
    assert again.entries[5].tags == ("Blurry",)  # the same category, however it is written
    assert again.categories == {"wrong label": None, "ambiguous": None, "Blurry": 8.0, "great cat": None}


def test_tags_find_their_examples_after_rows_were_added_and_lost(book, tmp_path, words):
    book.put(3, ["a"])
    book.put(7, ["b"])
    book.save()
    more = ["new", "newer", *(f"word {i}" for i in range(10) if i != 7)]
    moved = TagBook.load(tmp_path, words(more, "more.tsv"))
    assert {i: entry.tags for i, entry in moved.entries.items()} == {5: ("a",)}
    assert str(moved.examples[5].input) == "word 3"
    assert [entry.tags for entry in moved.elsewhere] == [("b",)]
    moved.save()
    back = TagBook.load(tmp_path, words())  # the row is there again, and so is what was said of it
    assert {i: entry.tags for i, entry in back.entries.items()} == {3: ("a",), 7: ("b",)}


def test_a_name_that_would_break_the_table_is_refused(book):
    for name in ("", "a, b", "x" * 61):
        with pytest.raises(UsageError, match="is no name for a kind of mistake"):
            book.put(1, [name])
    book.category("blurry")
    with pytest.raises(UsageError, match='no category "blury"') as stop:
        book.set_hours("blury", 3)
    assert 'Did you mean "blurry"?' in stop.value.remedy
    with pytest.raises(UsageError, match="-1 hours is no length"):
        book.set_hours("blurry", -1)


def test_a_damaged_file_and_one_of_the_future(book, tmp_path, words):
    book.save()
    path = tmp_path / "tags.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(RunError, match="format 9"):
        TagBook.load(tmp_path, words())
    path.write_text('{"format": 1')
    with pytest.raises(RunError, match="the tags cannot be read") as stop:
        TagBook.load(tmp_path, words())
    assert str(path) in stop.value.where


# -- the spreadsheet ----------------------------------------------------------------------------------------------


@pytest.mark.system("strat.error-analysis")
def test_a_spreadsheet_comes_back_with_ticks_comments_and_a_new_column(book, tmp_path):
    book.put(2, ["ambiguous"], "as it was")
    path = tmp_path / "t.csv"
    write_csv(path, table(book), book)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # by which a spreadsheet program knows UTF-8

    def fill(rows):
        rows.sort(key=lambda row: -float(row["loss"] or 0))
        rows[0] |= {"wrong label": "x", "blurry": "1", "comment": 'says "b", ü'}
        rows[1] |= {"blurry": "yes", "comment": ""}
        rows[2] |= {"blurry": "no"}
        return [*rows[0], "blurry"] if "blurry" not in rows[3] else None

    rewrite(path, fill)
    taken = read_csv(path, book, allowed(book))
    assert (taken.rows, taken.new, taken.problems) == (3, ("blurry",), ())
    assert book.entries[0].tags == ("wrong label", "blurry")
    assert book.entries[0].comment == 'says "b", ü'
    assert book.entries[1].tags == ("blurry",)
    assert book.entries[2] == Entry(("ambiguous",), "as it was", *tuple(vars(book.entries[2]).values())[2:])
    assert 3 not in book.entries  # no tick, no word: nobody looked


def test_a_tick_taken_away_is_gone_but_what_was_tagged_here_meanwhile_is_not(book, tmp_path):
    book.put(1, ["a", "b"], "one")
    book.put(2, ["a"], "two")
    path = tmp_path / "t.csv"
    write_csv(path, table(book), book)
    book.entries[2] = Entry(("a", "c"), "here", "2030-01-01T00:00:00+00:00", *tuple(vars(book.entries[2]).values())[3:])

    def untick(rows):
        for row in rows:
            row |= {"a": ""}

    rewrite(path, untick)
    taken = read_csv(path, book, allowed(book))
    assert book.entries[1].tags == ("b",)
    assert book.entries[2].tags == ("a", "c")
    assert book.entries[2].comment == "here / two"
    assert taken.both == 1
    assert "they have the tags of both" in taken.sentence()


def test_the_reports_own_csv_is_read_as_well(book, tmp_path):
    path = tmp_path / "relabel.csv"
    head = "split,id,origin,label,new_label,tags,comment"
    path.write_text(f'{head}\r\ndev,4,"{book.examples[4].origin}",WORD 4,,"poor quality, ambiguous",a\r\n')
    taken = read_csv(path, book, allowed(book))
    assert taken.problems == ()
    assert set(book.entries[4].tags) == {"poor quality", "ambiguous"}


def test_semicolons_tabs_and_the_line_that_names_them(book, tmp_path):
    for text in ("sep=;\nid;blurry\n3;x\n", "id\tblurry\n3\tx\n", "id;blurry;comment\n3.0;x;a, b\n"):
        path = tmp_path / "t.csv"
        path.write_text(text)
        assert read_csv(path, book, allowed(book)).problems == ()
        assert book.entries.pop(3).tags == ("blurry",)


def test_bad_rows_are_named_with_their_line_and_good_ones_are_kept(book, tmp_path):
    origin = str(book.examples[1].origin)
    path = tmp_path / "t.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["id", "origin", "blurry", "comment"],
                [0, "", "x", "two\nlines"],
                ["seven", "", "x", ""],
                [99, "", "x", ""],
                [2, origin, "x", ""],
                [3, "", "x", "a", "b"],
                [4, "", "x", ""],
                [5, "", "x", ""],
                [],
            ]
        )
    taken = read_csv(path, book, allowed(book))
    assert sorted(book.entries) == [0, 4, 5]
    told = {problem.line: (problem.what, problem.remedy) for problem in taken.problems}
    assert set(told) == {4, 5, 6, 7}  # the comment of line 2 takes two
    assert '"seven" is no id' in told[4][0]
    assert "example 99 is none that is looked at" in told[5][0]
    assert origin in told[6][0]
    assert "move with its row" in told[6][1]
    assert "1 more cells than the header" in told[7][0]
    assert "quotation marks" in told[7][1]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", r'line 1: there is no column "id"\nIt has a, b\.'),
        ("id,x\n100,x\n101,x\n", "2 of its rows are not of this project"),
        ("id,origin,x\n1,else,x\n2,elsewhere,x\n", "2 of its rows are not of this project"),
    ],
)
def test_a_file_that_is_none_of_this_project(book, tmp_path, text, what):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=what) as stop:
        read_csv(path, book, allowed(book))
    assert "orthogon errors --csv tags.csv" in stop.value.remedy
    assert book.entries == {}
    with pytest.raises(DataError, match="there is no such file"):
        read_csv(tmp_path / "none.csv", book, allowed(book))


def test_a_row_that_stands_there_twice_is_named_and_the_first_one_counts(book, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,blurry,odd\n3,x,\n4,,x\n3,,x\ninf,x,\n")
    taken = read_csv(path, book, allowed(book))
    assert {i: entry.tags for i, entry in book.entries.items()} == {3: ("blurry",), 4: ("odd",)}
    assert [(each.line, each.what) for each in taken.problems] == [
        (4, "example 3 stands in line 2 already, and that one counts"), (5, '"inf" is no id of an example'),
    ]  # fmt: skip
    assert taken.both == 0


def test_columns_that_were_taken_out_take_no_tag_and_no_comment_away(book, tmp_path):
    book.put(3, ["blurry", "odd"], "a paw")
    book.put(4, ["odd"])
    path = tmp_path / "t.csv"
    write_csv(path, table(book), book)

    def fewer(rows):
        for row in rows:
            row.pop("odd"), row.pop("comment")
            row["blurry"] = ""
        return list(rows[0])

    rewrite(path, fewer)
    taken = read_csv(path, book, allowed(book))
    assert taken.problems == ()
    assert (book.entries[3].tags, book.entries[3].comment) == (("odd",), "a paw")  # the tick was taken away, no more
    assert book.entries[4].tags == ("odd",)


# -- in the terminal ----------------------------------------------------------------------------------------------


def press(session: Tagging, keys: str) -> None:
    for key in keys:
        session.press(key)


@pytest.mark.system("strat.error-analysis")
def test_a_sitting_with_several_tags_a_comment_and_a_new_category(book, tmp_path, words):
    session = Tagging(book, [5, 6, 7, 8])
    assert session.id == 5
    press(session, "12")
    assert session.press("c") == "comment"
    session.write(" both at once ")
    press(session, "\r")
    assert session.press("a") == "category"
    session.name("blurry")
    assert session.ticks()[-1] == ("3", "blurry")
    press(session, "\r" + "s" + "q")
    kept = TagBook.load(tmp_path, words())
    assert {i: (e.tags, e.comment) for i, e in kept.entries.items()} == {
        5: (("wrong label", "ambiguous"), "both at once"),
        6: (("blurry",), ""),
    }
    assert session.over
    later = Tagging(kept, [5, 6, 7, 8])
    assert (later.id, later.looked_at) == (7, 2)


def test_back_shows_what_was_said_and_lets_it_be_changed(book):
    session = Tagging(book, [1, 2])
    press(session, "1\r" + "b")
    assert (session.id, session.tags) == (1, ["wrong label"])
    press(session, "12" + "b")  # back at the first card: it stays there, and is kept
    assert book.entries[1].tags == ("ambiguous",)
    assert 2 not in book.entries
    press(session, "\r\r")
    assert session.over
    assert book.entries[2].tags == ()


def test_leaving_a_card_without_a_word_does_not_count_it_as_looked_at(book):
    for last in ("q", "\x03", ""):
        session = Tagging(book, [1, 2])
        press(session, "11")  # ticked and unticked
        session.press(last)
        assert session.over
        assert book.entries == {}
    session = Tagging(book, [1, 2])
    press(session, "2")
    session.press("\x03")  # a kill after a tick loses nothing
    assert book.entries[1].tags == ("ambiguous",)


def test_more_categories_than_digits_have_letters_and_no_letter_does_two_things(book):
    for k in range(40):
        book.category(f"kind {k}")
    session = Tagging(book, [1])
    keys = [key for key, _ in session.ticks()]
    assert len(keys) == len(set(keys)) == 29
    assert not set(keys) & set("acsbqn")
    press(session, "z\r")
    assert book.entries[1].tags == (session.ticks()[-1][1],)


def test_no_mistake_is_over_at_once(book):
    assert Tagging(book, np.zeros(0, np.int64).tolist()).over
