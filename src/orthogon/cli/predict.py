"""Answer new inputs with a run: a CSV with answers, probabilities and what looks unlike the training data.

[bold]Example[/]: orthogon predict new.csv -o answers.csv
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json


def run(
    source: Annotated[str, typer.Argument(metavar="NEW", help="File or folder of new inputs.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="The CSV to write; stdout if unset.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--run", help="Number of the run, or its folder; the latest if unset.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.errors import UsageError

    if as_json and out is None:
        raise UsageError("the answers go to stdout, and so would the JSON", "--json", "Name a file: -o answers.csv")
    chosen = api.load(name, project=project)
    done = chosen.predict(source, out or sys.stdout)
    better = chosen.better_run() if name is None else None
    nothing = not done.answered
    if as_json:
        set_aside = [{"origin": origin, "why": why} for origin, why in done.set_aside]
        print_json(
            {
                "run": chosen.id,
                "source": source,
                "file": out,
                "answered": done.answered,
                "unlike_train": done.unlike_train,
                "set_aside": set_aside,
                "with_problems": done.with_problems,
                "better_run": better,
            }
        )
        if nothing:
            raise typer.Exit(1)
        return
    report = f"{done.answered:,} answered by run {chosen.id}"
    if done.unlike_train:
        report += f"; {done.unlike_train:,} are unlike the training data (unlike_train above 1): trust those less"
    if done.set_aside:
        report += f"; {len(done.set_aside):,} could not be read (see the column problem)"
    if done.with_problems:
        report += f"; {done.with_problems:,} answered without values that could not be used (see the column problem)"
    if better is not None:
        limits = chosen.config["metrics"]["satisfice"]
        what = "is the best on dev within the limits" if limits else "has the lower dev error"
        report += f"; run {better} {what} (--run {int(better)})"
    if out is None:
        typer.echo(report, err=True)
    else:
        console().print(f"{report}. Written to {out}")
    if nothing:
        raise typer.Exit(1)
