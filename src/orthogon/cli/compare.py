"""Several runs side by side: what changed, and whether the difference is real.

[bold]Example[/]: orthogon compare 1 2
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json


def run(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Numbers of two or more runs.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    comparison = api.compare(names, project=project)
    if as_json:
        print_json(comparison.to_dict())
    else:
        console().print(comparison)
