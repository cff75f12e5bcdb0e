"""The field from scratch: topics in reading order; with one, its idea, equations, code, product form and paper.

[bold]Example[/]: orthogon learn batch-norm

[bold]Example[/]: orthogon learn batch-norm --run --save batch-norm.png
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from orthogon.cli.screen import JsonOption, console, print_json

if TYPE_CHECKING:
    from orthogon.scratch.learn import Chapter

FULL = 116  # characters that a line of a chapter's docstring has room for, below a heading


def run(
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="All topics are listed if unset.")] = None,
    demo: Annotated[bool, typer.Option("--run", help="Run the topic's demo and say where its picture is.")] = False,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="PATH.png", help="With --run: where the picture goes; a new folder if unset."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon.errors import UsageError, did_you_mean
    from orthogon.scratch import TOPICS

    if save and not demo:
        raise UsageError("--save is for the picture of a demo", remedy="Add --run.")
    if topic is None:
        if demo:
            raise UsageError("--run needs a topic", remedy="For example: orthogon learn batch-norm --run")
        _list(as_json)
        return
    name = topic.lower().replace("_", "-")
    if name not in TOPICS:
        raise UsageError(f'no topic "{topic}"', remedy=f"{did_you_mean(name, TOPICS)} All of them: orthogon learn")
    if demo:
        _demo(name, save, as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    import orthogon.scratch
    from orthogon.scratch.learn import chapter, groups

    found = {name: [chapter(topic) for topic in topics] for name, topics in groups(orthogon.scratch.__doc__).items()}
    if as_json:
        rows = [
            {"topic": each.topic, "group": name, "title": each.title, "line": each.line}
            for name, chapters in found.items()
            for each in chapters
        ]
        print_json({"topics": rows})
        return
    from rich.table import Table
    from rich.text import Text

    out = console()
    width = max(len(each.topic) for chapters in found.values() for each in chapters)
    for i, (name, chapters) in enumerate(found.items()):
        out.print(Text("\n" * (i > 0) + name, style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=width + 2, no_wrap=True, style="cyan")
        table.add_column()
        for each in chapters:
            table.add_row(f"  {each.topic}", Text(each.line))
        out.print(table)


def _show(topic: str, as_json: bool) -> None:
    from orthogon.scratch.learn import chapter

    told = chapter(topic)
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(told), "module": told.module})
        return
    from rich.syntax import Syntax
    from rich.text import Text

    out = console()
    width = out.width if out.is_terminal else None  # where nobody watches, lines stay as they are in the file
    out.print(Text.assemble((told.title, "bold"), f": {told.line}"))
    out.print()
    out.print(Text(" ".join(told.idea.split())))
    for heading, text in _parts(told):
        out.print(Text(f"\n{heading}", style="bold"))
        if width is not None and text in (told.exceptions, told.paper):
            text = _unbroken(text)
        out.print(Text(_indented(text, width)), soft_wrap=True)
    out.print(Text(f"\nFrom scratch: {told.module}", style="bold"))
    if out.is_terminal:
        out.print(Syntax(told.code.rstrip(), "python", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        print(told.code, end="")
    out.print(Text(f"\nSee it: orthogon learn {topic} --run", style="bold"))


def _parts(told: Chapter) -> list[tuple[str, str]]:
    parts = [
        ("Equations", told.equations),
        ("Where PyTorch differs", told.exceptions),
        ("In the product", told.product),
        ("Paper", told.paper),
    ]
    return [(heading, text) for heading, text in parts if text]


def _unbroken(text: str) -> str:
    """Prose with a line for each of its sentences or sources, where the file breaks them for want of room."""
    lines = text.splitlines()
    whole = lines[:1]
    for above, line in itertools.pairwise(lines):
        if len(above) + 1 + len(line.split(" ")[0]) > FULL or line.startswith("("):  # shapes are kept in one piece
            whole[-1] += f" {line}"
        else:
            whole.append(line)
    return "\n".join(whole)


def _indented(text: str, width: int | None) -> str:
    """Two spaces before each line; one too long for the width goes on below, deeper in, if it can at a wide gap."""
    import re
    import textwrap

    lines: list[str] = []
    for line in text.splitlines():
        rest = f"  {line}" if line else ""
        deeper = " " * (len(rest) - len(rest.lstrip()) + 4)
        while width is not None and len(rest) > width:
            gaps = [gap.start() for gap in re.finditer(r"(?<=\S) {2,}(?=\S)", rest) if gap.start() <= width]
            first = rest[: gaps[-1]] if gaps else textwrap.wrap(rest, width, break_on_hyphens=False)[0]
            lines.append(first)
            rest = deeper + rest[len(first) :].lstrip()
        lines.append(rest)
    return "\n".join(lines)


def _demo(topic: str, save: str | None, as_json: bool) -> None:
    import contextlib
    import io
    import tempfile
    from importlib import import_module
    from pathlib import Path

    from orthogon.scratch.learn import chapter, run_demo

    path = Path(save) if save else Path(tempfile.mkdtemp(prefix="orthogon-")) / f"{topic}.png"
    demo = import_module(chapter(topic).module).demo
    if not as_json:
        run_demo(demo, ["--save", str(path)])
        return
    with contextlib.redirect_stdout(io.StringIO()) as story:
        run_demo(demo, ["--save", str(path)])
    text = story.getvalue().partition("\nPicture: ")[0]
    print_json({"topic": topic, "story": text, "picture": str(path) if path.exists() else None})
