"""What a network is made of: shapes, parameters and their share, multiply-adds, both layer counts.

[bold]Example[/]: orthogon describe 1
"""

from __future__ import annotations

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json


def run(name: RunArgument = None, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    from orthogon import api

    description = api.describe(name, project=project)
    if as_json:
        print_json(description.to_dict())
    else:
        console().print(description)
