"""Write the network as ONNX, with its labels and preprocessing facts inside, checked against PyTorch.

[bold]Example[/]: orthogon export -o model.onnx
"""

from __future__ import annotations

from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json


def run(
    name: RunArgument = None,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")] = "model.onnx",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    chosen = api.load(name, project=project)
    facts = chosen.export(out)
    if as_json:
        print_json({"run": chosen.id, **facts})
        return
    console().print(
        f"{facts['file']}: {facts['bytes'] / 1024:,.0f} KiB, any batch size; "
        f"differs from PyTorch by at most {facts['largest_difference']:.1e} (checked under onnxruntime)."
    )
