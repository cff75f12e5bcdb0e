"""Look at the data, train a first system, say what limits it and what to do next.

[bold]Example[/]: orthogon start digits

Also: orthogon start photos/ · orthogon start adult.csv --target income · orthogon start dates
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import (
    JsonOption,
    MinutesOption,
    NoExamplesOption,
    Progress,
    ProjectOption,
    SeedOption,
    SetOption,
    console,
)


def run(
    source: Annotated[str, typer.Argument(metavar="DATA", help="Folder, file, or built-in name (orthogon data list).")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Column to predict, by name or position (-1: last). Repeatable."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", help="Names, separated by commas, for a table without a header.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="FILE", help="A separate file or folder: the test set.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Overrule what kind of problem it is taken for.")] = None,
    sets: SetOption = None,
    minutes: MinutesOption = None,
    seed: SeedOption = None,
    project: ProjectOption = None,
    no_examples: NoExamplesOption = False,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.cli.train import finish

    with Progress(show_data=not as_json) as progress:
        made = api.start(
            source,
            target=target or None,
            columns=columns.split(",") if columns else None,
            test=test,
            task=task,
            sets=sets or [],
            minutes=minutes,
            seed=seed,
            project=project,
            listen=progress,
        )
        if made.finished and not as_json:
            made.curve_if_cheap(listen=progress)
    finish(made, console(), examples=not no_examples, as_json=as_json)
