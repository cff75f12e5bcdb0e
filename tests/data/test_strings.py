"""Pairs of strings: which files are taken for them, what is read, what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.data.read import read, read_new
from orthogon.data.strings import StringPairs
from orthogon.errors import DataError, OrthogonError, UsageError

PAIRS = [(f"the {k}th of may", f"may, {k}") for k in range(30)]


def pairs(path: Path, content: str | bytes, **said: Any) -> StringPairs:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    examples = read(DataConfig(source=str(path), **said))
    assert isinstance(examples, StringPairs)
    return examples


def tsv(rows: list[tuple[str, str]], header: str = "") -> str:
    return header + "".join(f"{source}\t{target}\n" for source, target in rows)


@pytest.mark.parametrize("header", ["", "source\ttarget\n"])
def test_tsv_of_two_texts_is_pairs(tmp_path: Path, header: str) -> None:
    examples = pairs(tmp_path / "a.tsv", tsv(PAIRS, header))
    assert list(zip(examples.sources, examples.targets(), strict=True)) == PAIRS
    assert str(examples[0].origin).endswith("line 2" if header else "line 1")
    assert "two columns of mostly different texts" in examples.reason


def test_csv_with_quotes_and_gzip(tmp_path: Path) -> None:
    content = "".join(f'"{source}","{target}"\n' for source, target in PAIRS)
    examples = pairs(tmp_path / "a.csv.gz", gzip.compress(content.encode()))
    assert list(zip(examples.sources, examples.targets(), strict=True)) == PAIRS


def test_quotes_in_tsv_are_characters(tmp_path: Path) -> None:
    rows = [*PAIRS, ('he said "no', 'er sagte "nein')]
    assert pairs(tmp_path / "a.tsv", tsv(rows)).sources[-1] == 'he said "no'


@pytest.mark.parametrize(
    ("record", "said", "expected"),
    [
        ({"target": "b", "source": "a"}, {}, ("a", "b")),
        ({"question": "a", "answer": "b", "id": 3}, {}, ("a", "b")),
        ({"en": "a", "de": "b"}, {}, ("a", "b")),
        ({"en": "a", "de": "b"}, {"target": "en"}, ("b", "a")),
        ({"id": "x1", "input": "a", "label": "b"}, {"target": "label"}, ("a", "b")),
    ],
)
def test_json_lines(tmp_path: Path, record: dict[str, Any], said: dict[str, Any], expected: tuple[str, str]) -> None:
    examples = pairs(tmp_path / "a.jsonl", json.dumps(record) + "\n\n" + json.dumps(record), **said)
    assert [(example.input, example.target) for example in examples] == [expected] * 2
    assert str(examples[1].origin) == f"{tmp_path / 'a.jsonl'}, line 3"


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"some words number {k},{k % 2}\n" for k in range(30)),  # text and class
        "".join(f"{k},{k * k}\n" for k in range(30)),  # two numbers
        "".join(f"a text {k},b text {k},c text {k}\n" for k in range(30)),  # three texts
        "".join(f"some words number {k},{['good', 'bad'][k % 2]}\n" for k in range(30)),
    ],
)
def test_other_files_are_tables(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert read(DataConfig(source=str(tmp_path / "a.csv"), target="-1")).modality == "table"
    with pytest.raises(UsageError, match="which column is to be predicted"):
        read(DataConfig(source=str(tmp_path / "a.csv")))


def test_pairs_that_look_like_a_table_are_told_how_to_be_pairs(tmp_path: Path) -> None:
    (tmp_path / "roman.csv").write_text("".join(f"{'X' * k}I,{10 * k + 1}\n" for k in range(30)))
    with pytest.raises(UsageError, match=r"--target c1; or, if these are pairs of strings: --set data.format=strings"):
        read(DataConfig(source=str(tmp_path / "roman.csv")))


@pytest.mark.parametrize("header", ["", "roman\tarabic\n"])
@pytest.mark.parametrize("targets", [[str(10 * k + 1) for k in range(30)], ["odd", "even"] * 15])
def test_a_tsv_of_texts_and_anything_is_pairs(tmp_path: Path, header: str, targets: list[str]) -> None:
    content = header + "".join(f"{'X' * k}I\t{target}\n" for k, target in enumerate(targets))
    examples = pairs(tmp_path / "roman.tsv", content)
    assert examples.target_strings.tolist() == targets
    assert "because roman.tsv is a TSV of two columns, the first of many different texts" in examples.reason
    assert read(DataConfig(source=str(tmp_path / "roman.tsv"), target="-1")).modality == "table"


@pytest.mark.parametrize("each", [2, 3, 5])
def test_a_tsv_of_texts_with_several_targets_each_is_pairs(tmp_path: Path, each: int) -> None:
    rows = [(f"the {k // each}th of may", f"{k % each}: may {k // each}") for k in range(60)]
    examples = pairs(tmp_path / "a.tsv", tsv(rows))
    assert list(zip(examples.sources, examples.targets(), strict=True)) == rows
    assert "because a.tsv is a TSV of two columns, the first of many different texts" in examples.reason
    (tmp_path / "a.csv").write_text("".join(f"{source},{target}\n" for source, target in rows))
    with pytest.raises(UsageError, match=r"--set data\.format=strings"):
        read(DataConfig(source=str(tmp_path / "a.csv")))


def test_a_tsv_of_few_texts_or_of_numbers_is_a_table(tmp_path: Path) -> None:
    for content in (
        "".join(f"{['ham', 'spam'][k % 2]}\tsome words number {k}\n" for k in range(30)),
        "".join(f"w{k % 3}\tv{k % 2}\n" for k in range(30)),
        "".join(f"{k}\tv{k % 2}\n" for k in range(30)),
    ):
        (tmp_path / "a.tsv").write_text(content)
        with pytest.raises(UsageError, match="which column is to be predicted"):
            read(DataConfig(source=str(tmp_path / "a.tsv")))


def test_new_strings_in_a_wide_table_are_told_what_the_run_was_trained_on(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n" + "1,2,3\n" * 5)
    with pytest.raises(DataError, match="trained on pairs of strings, and the file has 3 columns: a, b, c") as error:
        list(read_new(str(tmp_path / "t.csv"), DataConfig(source="pairs.tsv")))
    assert error.value.where == str(tmp_path / "t.csv")
    assert "one string a line" in error.value.remedy


def test_format_overrules(tmp_path: Path) -> None:
    content = "".join(f"word{k % 3},other{k % 2}\n" for k in range(30))
    assert len(pairs(tmp_path / "a.csv", content, format="strings")) == 30
    (tmp_path / "b.tsv").write_text(tsv(PAIRS))
    assert read(DataConfig(source=str(tmp_path / "b.tsv"), format="table", target="1")).modality == "table"


def test_dev_and_test_files(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text(tsv(PAIRS[:2]))
    examples = pairs(tmp_path / "a.tsv", tsv(PAIRS), test_source=str(tmp_path / "test.tsv"))
    assert examples.given_split is not None
    assert examples.given_split.tolist() == ["train"] * 30 + ["test"] * 2
    assert str(examples[31].origin) == f"{tmp_path / 'test.tsv'}, line 2"


def test_bad_lines_are_set_aside_or_stop(tmp_path: Path) -> None:
    rows = tsv(PAIRS).splitlines()
    examples = pairs(tmp_path / "a.tsv", "\n".join([*rows[:5], "only a source", *rows[5:]]))
    assert [(origin.place, why) for origin, why in examples.set_aside] == [("line 6", "1 field where 2 are expected")]
    assert str(examples[5].origin).endswith("line 7")
    with pytest.raises(
        DataError, match=r"3 of 6 lines hold no pair of strings. line 4: no JSON; line 5: no JSON object"
    ) as error:
        pairs(tmp_path / "a.jsonl", '{"source": "a", "target": "b"}\n' * 3 + '{"sour\n[1]\n{"source": "a"}')
    assert error.value.where == str(tmp_path / "a.jsonl")
    assert "source, tab, target" in error.value.remedy


def test_which_text_is_the_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 texts \(a, b, c\): which is the source") as error:
        pairs(tmp_path / "a.jsonl", '{"a": "1", "b": "2", "c": "3"}\n')
    assert error.value.where == f"{tmp_path / 'a.jsonl'}, line 1"
    assert '"source" and "target"' in error.value.remedy
    with pytest.raises(UsageError, match='no text called "answr"') as usage:
        pairs(tmp_path / "a.jsonl", '{"question": "1", "answer": "2"}\n', target="answr")
    assert usage.value.remedy == 'Did you mean "answer"?'
    with pytest.raises(DataError, match="need two columns, and the file has 3") as error:
        pairs(tmp_path / "a.tsv", "one a\tone b\tone c\ntwo a\ttwo b\ttwo c\n", format="strings")
    assert "two columns" in error.value.remedy


def test_new_strings_with_and_without_targets(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("the 3rd of may\n\nthe 4th of june\n")
    chunks = list(read_new(str(tmp_path / "new.txt"), DataConfig(source="x"), rows_per_chunk=1))
    assert [chunk[0].input for chunk in chunks] == ["the 3rd of may", "the 4th of june"]
    assert [str(chunk[0].origin) for chunk in chunks] == [f"{tmp_path / 'new.txt'}, line {k}" for k in (1, 3)]
    assert chunks[0].targets().tolist() == [None]
    (tmp_path / "new.jsonl").write_text('{"source": "a"}\n{"source": "b"}\n')
    (chunk,) = read_new(str(tmp_path / "new.jsonl"), DataConfig(source="x"))
    assert [example.input for example in chunk] == ["a", "b"]
    (tmp_path / "one.txt").write_text("just one line, with a comma\n")
    (chunk,) = read_new(str(tmp_path / "one.txt"), DataConfig(source="x"))
    assert [example.input for example in chunk] == ["just one line, with a comma"]


def test_views_keys_and_fingerprints() -> None:
    examples = StringPairs(["a", "b", "a"], ["x", "y", None])
    examples.domains = np.array(["d", "e", "f"])
    part = examples.take([2, 1])
    assert isinstance(part, Examples)
    assert [example.input for example in part] == ["a", "b"]
    assert part.domains is not None
    assert part.domains.tolist() == ["f", "e"]
    assert str(part[0].origin) == "strings, line 3"
    keys = examples.content_keys()
    assert keys[0] == keys[2] != keys[1]
    assert examples.fingerprint() != examples.take([1, 0, 2]).fingerprint()
    assert StringPairs(["ab"], ["c"]).fingerprint() != StringPairs(["a"], ["bc"]).fingerprint()


def assert_helps(error: OrthogonError) -> None:
    assert error.what
    assert error.remedy


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_garbage_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("a.jsonl", "a.tsv", "a.txt"):
        (tmp_path / name).write_bytes(content)
        try:
            assert len(pairs(tmp_path / name, content, format="strings").content_keys())
            assert list(read_new(str(tmp_path / name), DataConfig(source="x")))
        except OrthogonError as error:
            assert_helps(error)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_json_pairs_come_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    content = "".join(json.dumps({"source": source, "target": target}) + "\n" for source, target in rows)
    examples = pairs(tmp_path / "a.jsonl", content)
    assert [(example.input, example.target) for example in examples] == rows
