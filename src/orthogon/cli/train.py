"""Train a new run from orthogon.yaml or from the settings of RUN, or continue one that was stopped.

[bold]Example[/]: orthogon train --set training.lr=0.01

With RUN, the new run has that run's settings and data in place of orthogon.yaml; RUN itself stays as it is.

A run that was killed or stopped with Ctrl-C goes on where it was: orthogon train --resume

Pause it with Ctrl-C to turn a knob on the way, or to go back: orthogon train --resume 3 --set training.lr=0.001
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

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
    print_json,
)

if TYPE_CHECKING:
    from rich.console import Console

    from orthogon.api import Run


def run(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Number of the run whose settings to take, or with --resume of the one to continue.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue RUN, or the newest run that was killed or stopped.")
    ] = False,
    rollback: Annotated[
        int | None,
        typer.Option(
            "--rollback", metavar="STEP", min=0, help="With --resume: go back to this step's checkpoint first."
        ),
    ] = None,
    sets: SetOption = None,
    minutes: MinutesOption = None,
    seed: SeedOption = None,
    project: ProjectOption = None,
    no_examples: NoExamplesOption = False,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.errors import UsageError

    changes = [name for name, value in (("--minutes", minutes), ("--seed", seed)) if value is not None]
    if rollback is not None and not resume:
        raise UsageError(
            "only a paused run goes back", f"--rollback {rollback}", f"orthogon train --resume --rollback {rollback}"
        )
    if resume and changes:
        raise UsageError(
            "a resumed run keeps its seed and its length in minutes",
            f"--resume with {' and '.join(changes)}",
            f"For a new run with this change: orthogon train{f' {name}' if name else ''} {changes[0]} …",
        )
    with Progress(show_data=not as_json) as progress:
        if resume:
            made = api.resume(name, project=project, sets=sets or (), rollback=rollback, listen=progress)
        else:
            made = api.train(project=project, base=name, sets=sets or [], minutes=minutes, seed=seed, listen=progress)
    finish(made, console(), examples=not no_examples, as_json=as_json)


def finish(made: Run, out: Console, examples: bool = True, as_json: bool = False) -> None:
    """Print one screen, or JSON, about a run that has just been trained, and write its report."""
    from orthogon.report.terminal import screen

    if int(os.environ.get("RANK", "0")) > 0:  # one of several processes under torchrun: the first speaks for all
        return
    if as_json:
        if made.finished:
            made.write_report(examples=examples)
        print_json(made.to_dict())
        if not made.finished:
            raise typer.Exit(130)
        return
    if made.status == "interrupted":
        at = f" at step {made.info['steps']:,}" if "steps" in made.info else ""
        out.print(f"Stopped{at}; everything is saved. Go on with:")
        out.print(f"  {made.resume_line()}")
        raise typer.Exit(130)
    made.write_report(examples=examples)
    out.print(screen(made.report_data(examples)))
    for more in (made.changes(), made.stale_tuning()):
        if more:
            out.print(more)
