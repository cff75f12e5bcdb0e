"""One run made of several: its answers are the mean of theirs. Evaluated, used and exported like any other.

[bold]Example[/]: orthogon ensemble 1 2 3

Train the members first, each with another seed: orthogon train --seed 1
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, NoExamplesOption, Progress, ProjectOption, console, print_json


def run(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Numbers of two or more runs.")],
    project: ProjectOption = None,
    no_examples: NoExamplesOption = False,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    with Progress(show_data=False) as progress:
        made = api.ensemble(names, project=project, listen=progress)
    report = made.write_report(examples=not no_examples)
    beside = api.Averaged(made)
    if as_json:
        print_json({**beside.to_dict(), "report": str(report)})
        return
    out = console()
    out.print(beside)
    out.print(f"Run {made.id} holds its members' weights. Its report: {api.near(made.report_path())}")
    place = f" --project {project}" if project else ""
    out.print(f"It is as slow as all its members together; to use it: orthogon predict NEW --run {int(made.id)}{place}")
