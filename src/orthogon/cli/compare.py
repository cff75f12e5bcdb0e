"""Several runs side by side: what changed, and whether the difference is real.

[bold]Example[/]: orthogon compare 1 2

The one metric they were judged by ranks them, within the limits of the newest. Judged by different ones, they are shown
side by side without a ranking; then name one for all: orthogon compare 1 2 --metric error
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json


def run(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Numbers of two or more runs.")],
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Judge all by this one; each by its own if unset.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    comparison = api.compare(names, project=project, metric=metric)
    if as_json:
        print_json(comparison.to_dict())
    else:
        console().print(comparison)
