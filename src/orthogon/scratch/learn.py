"""A chapter as a program: its demo's story on stdout, its figure as a PNG; and its docstring taken apart."""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTIONS = ("Equations", "Exceptions", "Product", "Systems", "Paper")  # in this order; Exceptions may be missing


def run_demo(demo: Callable[[], Figure | None], arguments: Sequence[str] | None = None) -> None:
    """Run a chapter's demo, save its figure and say where.

    Args:
        demo: prints its story and returns a figure, or None.
        arguments: `--save PATH.png`, a path to save to instead of a new temporary folder; sys.argv's if None.
    """
    program = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"python -m orthogon.scratch.{program}", description="Run this demo.")
    parser.add_argument("--save", type=Path, metavar="PATH.png", help="Where the picture goes; a temporary folder.")
    path: Path | None = parser.parse_args(arguments).save
    figure = demo()
    if figure is None:
        return
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="orthogon-")) / f"{program.replace('_', '-')}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    print(f"\nPicture: {path}")


def sections(docstring: str) -> dict[str, str]:
    """A chapter's docstring in parts: "Title", "Line" (one-line idea), "Idea" (the paragraph), and its SECTIONS.

    Raises:
        ValueError: the docstring does not have a chapter's form; the message says what is missing.
    """
    first, _, rest = docstring.partition("\n")
    title = re.fullmatch(r"([A-Z][^:]*): (.+\.)", first)
    if title is None:
        raise ValueError(f'the first line is not "Title: one-line idea.": {first!r}')
    pieces = re.split(rf"^({'|'.join(SECTIONS)}):\n", rest, flags=re.MULTILINE)
    names = pieces[1::2]
    if names != [name for name in SECTIONS if name in names] or set(SECTIONS) - set(names) > {"Exceptions"}:
        raise ValueError(f"sections are {', '.join(names) or 'none'}; expected {', '.join(SECTIONS)}, each once")
    parts = {"Title": title[1], "Line": title[2], "Idea": pieces[0].strip()}
    for name, text in zip(names, pieces[2::2], strict=True):
        lines = text.rstrip().split("\n")
        if any(line and not line.startswith("    ") for line in lines):
            raise ValueError(f"{name}: a line is not indented by four spaces")
        parts[name] = "\n".join(line[4:] for line in lines)
    for name, text in parts.items():
        if not text.strip():
            raise ValueError(f"{name} is empty")
    return parts


@dataclass(frozen=True)
class Chapter:
    """A chapter as its file tells it.

    Args:
        topic: its name on the command line, such as batch-norm.
        line: the idea in one line; `idea` is the paragraph.
        exceptions: where it and PyTorch differ by convention; empty where they do not.
        product: what does the same in the product, a call or a name a line.
        systems: ids of the systems that it tells.
        code: the file below its docstring, up to its demo.
    """

    topic: str
    title: str
    line: str
    idea: str
    equations: str
    exceptions: str
    product: str
    systems: tuple[str, ...]
    paper: str
    code: str

    @property
    def module(self) -> str:
        return f"orthogon.scratch.{self.topic.replace('-', '_')}"


def chapter(topic: str) -> Chapter:
    """The chapter on a topic of TOPICS, read from its file; nothing is imported."""
    source = Path(__file__).with_name(f"{topic.replace('-', '_')}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    parts = sections(ast.get_docstring(tree, clean=False) or "")
    code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).partition("\ndef demo(")[0]
    return Chapter(
        topic=topic,
        title=parts["Title"],
        line=parts["Line"],
        idea=parts["Idea"],
        equations=parts["Equations"],
        exceptions=parts.get("Exceptions", ""),
        product=parts["Product"],
        systems=tuple(parts["Systems"].split()),
        paper=parts["Paper"],
        code=code.strip("\n") + "\n",
    )


def groups(contents: str) -> dict[str, list[str]]:
    """The topics under their headings, in reading order, from the room's table of contents, its docstring."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in contents.splitlines():
        topic = re.match(r"    ([a-z0-9-]+)  ", line)
        if topic is not None:
            found.setdefault(heading, []).append(topic[1])
        elif line:
            heading = line
    return found
