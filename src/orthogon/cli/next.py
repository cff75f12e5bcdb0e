"""The ranked next steps, each with its reason, expected gain and cost; --take N applies one, --auto keeps going.

[bold]Example[/]: orthogon next --take 1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orthogon.cli.screen import JsonOption, Progress, ProjectOption, RunArgument, console, print_json

if TYPE_CHECKING:
    from orthogon.api import Run


def run(
    name: RunArgument = None,
    take: Annotated[
        int | None, typer.Option("--take", min=1, metavar="N", help="Apply step N: train a new run with it.")
    ] = None,
    auto: Annotated[
        str | None,
        typer.Option(
            "--auto",
            metavar="BUDGET",
            help="Take steps by itself and keep what helps: 30min, or 20runs (as much compute as 20 runs like this). "
            "Killed, it goes on when asked for the same again.",
        ),
    ] = None,
    disappoints: Annotated[
        bool,
        typer.Option("--disappoints", help="Those who use it are not content, whatever dev says: move the target."),
    ] = False,
    idea: Annotated[
        str | None,
        typer.Option("--idea", metavar="TEXT", help="Keep an idea of yours; it is ranked with the other steps."),
    ] = None,
    knob: Annotated[str | None, typer.Option("--knob", metavar="NAME", help="With --idea: the knob it turns.")] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="NAME", help="With --idea: the tag whose mistakes it would mend.")
    ] = None,
    mends: Annotated[
        str | None,
        typer.Option("--mends", metavar="K/M", help="With --idea: how many of the mistakes looked at it would mend."),
    ] = None,
    drop: Annotated[str | None, typer.Option("--drop", metavar="TEXT", help="Take an idea off the board.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.cli.train import finish
    from orthogon.report.terminal import next_steps

    chosen = api.load(name, project=project)
    if auto is not None:
        fly(chosen, auto, take, as_json)
        return
    if idea is not None:
        chosen.add_idea(idea, knob or "more data", tag=tag, mends=mends)
    if drop is not None:
        chosen.drop_idea(drop)
    steps = api.next_steps(chosen, disappoints=disappoints)
    out = console()
    if take is None:
        chain = "" if chosen.members else chosen.chain(disappoints)
        if as_json:
            told = {"run": chosen.id, "chain": chain, "steps": [step.to_dict() for step in steps]}
            print_json({**told, "note": chosen.advice_note()})
        else:
            out.print(next_steps(steps, chosen.advice_note(), chosen.metric.unit))
            if chain:
                out.print(f"Chain: {chain}", style="dim")
        return
    step = api.pick(steps, take)
    with Progress(show_data=False) as progress:
        made, outcome = step.take(listen=progress)
    if made.status == "interrupted":
        finish(made, out, as_json=as_json)
    made.write_report()
    if as_json:
        print_json({"run": made.id, "parent": chosen.id, "step": step.to_dict(), "outcome": outcome.to_dict()})
    else:
        out.print(outcome)
        out.print(f"Run {made.id} is in the logbook: orthogon runs. Its report: {api.near(made.report_path())}")


def fly(chosen: Run, budget: str, take: int | None, as_json: bool) -> None:
    """Let the autopilot work, its decisions in a live table, and say what it came to."""
    from orthogon import api
    from orthogon.cli.pilot import Watching
    from orthogon.errors import UsageError

    if take is not None:
        raise UsageError("--take and --auto are two ways to go on", "--take, --auto", "Choose one of them.")
    with Watching(budget, chosen.metric.unit) as watching:
        left, flight = chosen.autopilot(budget, tell=watching.decided, progress=watching.progress)
    if left.id != chosen.id:
        left.write_report()
    if as_json:
        print_json(flight.to_dict())
        return
    out = console()
    out.print(flight)
    if left.id != chosen.id:
        out.print(f"Run {left.id} is in the logbook: orthogon runs. Its report: {api.near(left.report_path())}")
