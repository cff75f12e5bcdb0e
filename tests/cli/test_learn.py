"""orthogon learn: topics in reading order, a chapter as its file tells it, its demo."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import orthogon.scratch
from orthogon.scratch import TOPICS, batch_norm
from orthogon.scratch.learn import chapter, groups

Cli = Callable[..., tuple[int, str, str]]


def test_every_topic_stands_under_its_heading_in_reading_order_with_its_own_line(cli: Cli) -> None:
    code, out, _ = cli("learn")
    assert code == 0
    words = " ".join(out.split())
    places = [words.index(f" {topic} {chapter(topic).line}") for topic in TOPICS]
    assert places == sorted(places)
    headings = list(groups(orthogon.scratch.__doc__ or ""))
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == headings
    assert headings[0] == "Network basics"
    assert len({line.index(chapter(line.split()[0]).line[:10]) for line in out.splitlines() if _opens(line)}) == 1


def _opens(line: str) -> bool:
    return bool(line.strip()) and line.split()[0] in TOPICS and line.startswith("  ") and line[2] != " "


def test_a_chapter_is_told_whole_and_plain_where_nobody_watches(cli: Cli) -> None:
    code, out, err = cli("learn", "batch-norm")
    told = chapter("batch-norm")
    assert (code, err) == (0, "")
    assert "\033" not in out
    assert out.startswith(f"{told.title}: give every unit")
    for text in (told.equations, told.exceptions, told.product, told.paper):
        assert all(f"  {line}\n" in out for line in text.splitlines() if line)
    assert " ".join(told.idea.split()) in " ".join(out.split())
    assert told.code in out, "not a line of it wrapped"
    assert out.index("Where PyTorch differs") < out.index("In the product") < out.index("def batch_norm(")


def test_the_code_is_the_file_below_its_docstring_up_to_the_demo() -> None:
    whole = Path(batch_norm.__file__).read_text()
    code = chapter("batch-norm").code
    assert code in whole
    assert code.startswith("from __future__")
    assert "def batch_norm_backward(" in code
    assert "def demo" not in code
    assert chapter("batch-norm").systems[0] == "train.bn"
    assert chapter("momentum").exceptions
    assert chapter("depth").module == "orthogon.scratch.depth"


def test_a_chapter_in_json(cli: Cli) -> None:
    assert [row["topic"] for row in json.loads(cli("learn", "--json")[1])["topics"]] == list(TOPICS)
    told = json.loads(cli("learn", "softmax", "--json")[1])
    assert told["title"] == "Softmax"
    assert told["systems"] == ["net.softmax", "net.hardmax"]
    assert told["module"] == "orthogon.scratch.softmax"


def test_the_demo_tells_its_story_and_where_its_picture_is(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "new" / "softmax.png"
    code, out, _ = cli("learn", "softmax", "--run", "--save", str(path))
    assert code == 0
    assert out.endswith(f"Picture: {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")
    told = json.loads(cli("learn", "softmax", "--run", "--json")[1])
    assert f"{told['story']}\nPicture: {path}\n" == out
    assert Path(told["picture"]).name == "softmax.png"
    assert Path(told["picture"]).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["batchnorm"], ['no topic "batchnorm"', 'Did you mean "batch-norm"?', "orthogon learn"]),
        (["xyzzy"], ['no topic "xyzzy"', "Known: notation, ", "All of them: orthogon learn"]),
        (["--run"], ["--run needs a topic", "orthogon learn batch-norm --run"]),
        (["softmax", "--save", "a.png"], ["--save is for the picture", "Add --run."]),
    ],
)
def test_a_wrong_call_is_told_what_is_right(cli: Cli, words: list[str], said: list[str]) -> None:
    code, out, err = cli("learn", *words)
    assert (code, out) == (2, "")
    assert all(each in err for each in said)


def test_an_underscore_does_for_a_dash(cli: Cli) -> None:
    assert cli("learn", "Batch_Norm") == cli("learn", "batch-norm")


def on_a_terminal(*words: str, columns: int) -> str:
    """What a person sees who types `orthogon ...` in a terminal of that width."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "orthogon", *words]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end has closed
                break
            if not piece:
                break
            seen += piece
    os.close(ours)
    assert process.returncode == 0
    return seen.decode().replace("\r\n", "\n")


def test_a_terminal_sees_the_code_in_colours_and_text_that_fits() -> None:
    seen = on_a_terminal("learn", "momentum", columns=80)
    assert "\x1b[9" in seen or "\x1b[3" in seen
    text, _, code = re.sub(r"\x1b\[[0-9;]*m", "", seen).partition("\nFrom scratch: ")
    assert "def momentum(" in code
    assert max(map(len, text.splitlines())) <= 80
    # too long a line goes on below, deeper in, from a wide gap where it has one
    assert "  without the factor:    V <- beta V + dW;    W <- W - alpha' V\n      the same path at alpha'" in text
    # prose that the file breaks for want of room is one line, broken anew
    told = chapter("momentum")
    assert all(" ".join(part.split()) in " ".join(text.split()) for part in (told.exceptions, told.paper, told.product))
