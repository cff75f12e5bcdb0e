"""Where the error comes from, and which gaps are real.

[bold]Example[/]: orthogon diagnose
"""

from __future__ import annotations

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json


def run(name: RunArgument = None, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    from orthogon import api

    diagnosis = api.load(name, project=project).diagnose()
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        console().print(diagnosis)
