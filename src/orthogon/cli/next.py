"""The ranked next steps, each with its reason, expected gain and cost; --take N applies one.

[bold]Example[/]: orthogon next --take 1
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, Progress, ProjectOption, RunArgument, console, print_json


def run(
    name: RunArgument = None,
    take: Annotated[
        int | None, typer.Option("--take", min=1, metavar="N", help="Apply step N: train a new run with it.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.cli.train import finish
    from orthogon.report.terminal import next_steps

    chosen = api.load(name, project=project)
    steps = api.next_steps(chosen)
    out = console()
    if take is None:
        if as_json:
            print_json({"run": chosen.id, "steps": [step.to_dict() for step in steps], "note": chosen.advice_note()})
        else:
            out.print(next_steps(steps, chosen.advice_note(), chosen.metric.unit))
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
