"""A chapter as a program: its demo's story on stdout, its figure as a PNG; and its docstring taken apart."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
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
