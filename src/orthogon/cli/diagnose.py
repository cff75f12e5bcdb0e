"""Where the error comes from, and which gaps are real.

[bold]Example[/]: orthogon diagnose --shift
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json

ShiftOption = Annotated[
    bool, typer.Option("--shift", help="Also how dev differs from train, by name, and whether that costs anything.")
]


def run(
    name: RunArgument = None,
    shift: ShiftOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    made = api.load(name, project=project)
    studies: dict[str, Any] = {}
    if shift:
        studies["shift"] = made.shift()
        if made.config["data"].get("target_domain") is not None or "train_dev" in made.splits():
            studies["general_table"] = made.general_table()
    diagnosis = made.diagnose()
    if as_json:
        print_json(diagnosis.to_dict() | {title: study.to_dict() for title, study in studies.items()})
        return
    console().print(diagnosis)
    for study in studies.values():
        console().print()
        console().print(study)
