"""Figures of a run on new labelled data, with intervals.

[bold]Example[/]: orthogon evaluate labelled.csv
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json


def run(
    source: Annotated[str, typer.Argument(metavar="LABELLED", help="File or folder with inputs and targets.")],
    name: Annotated[
        str | None, typer.Option("--run", help="Number of the run, or its folder; the latest if unset.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    chosen = api.load(name, project=project)
    figures = chosen.evaluate(source)
    if as_json:
        print_json({"run": chosen.id, "source": source, "figures": figures})
        return
    from rich.table import Table

    from orthogon.report import words

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("metric", "value", "95 % interval"):
        table.add_column(heading)
    for entry in figures:
        value, unit = entry["value"], entry["unit"]
        said = words.error(value, unit) if value == value else "not defined on these examples"
        table.add_row(entry["title"], said, words.span(entry["low"], entry["high"], unit))
    out = console()
    out.print(table)
    if figures[0]["in_train"]:
        verb = "was" if figures[0]["in_train"] == 1 else "were"
        out.print(
            f"[yellow]warning:[/] {figures[0]['in_train']:,} of {figures[0]['n']:,} examples {verb} in train: "
            "these figures flatter the run. Give data that it has not seen."
        )
    out.print(f"[dim]{figures[0]['n']:,} labelled examples, run {chosen.id}[/]")
