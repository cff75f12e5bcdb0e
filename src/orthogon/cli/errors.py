"""The mistakes: confusion, worst cases, classes and groups that fail, coverage.

[bold]Example[/]: orthogon errors --worst 20
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json


def run(
    name: RunArgument = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many of the worst mistakes to list.")] = 10,
    split: Annotated[str, typer.Option("--split", help="dev, train or train_dev; test stays a witness.")] = "dev",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.report.terminal import cards

    chosen = api.load(name, project=project)
    mistakes = chosen.mistakes(split)
    cases = chosen.worst(worst, split)
    if as_json:
        entries = [
            {"id": case.id, "origin": case.card.title, "truth": case.card.truth, "answer": case.card.answer,
             "confidence": case.card.confidence, "loss": case.card.loss}
            for case in cases
        ]  # fmt: skip
        print_json({"run": chosen.id, "split": split, **mistakes.to_dict(), "worst": entries})
        return
    out = console()
    out.print(mistakes)
    if cases:
        out.print("Worst mistakes", style="bold")
    out.print(cards(cases))
    out.print(f"Mark and relabel in the report: {chosen.report_path()}")
