"""What a network is made of: shapes, parameters and their share, multiply-adds, both layer counts.

[bold]Example[/]: orthogon describe 1

A network's standard form by name: orthogon describe resnet50 (also mlp, convnet, date_translator, lenet5, vgg16,
mobilenet_v2, vit_b_16 and more; orthogon.models.NETWORKS has them all)
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json

BATCH_SIZE = 64  # to which a published recipe is brought


def run(
    name: Annotated[str | None, typer.Argument(metavar="[RUN or NETWORK]", help="The latest run if unset.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.models import paper
    from orthogon.models.recipes import RECIPES
    from orthogon.models.weights import PRESETS

    description = api.describe(name, project=project)
    source = paper(name or "")
    published = RECIPES.get(name or "")
    pretrained = [preset for preset in PRESETS.values() if preset.network == name]
    if as_json:
        told = description.to_dict() | ({"paper": source} if source else {})
        if published:
            told["published"] = asdict(published)
        if pretrained:
            told["pretrained"] = [asdict(preset) for preset in pretrained]
        print_json(told)
        return
    out = console()
    out.print(description)
    if source:
        out.print(f"\nPaper: {source}", markup=False)
    if published:
        out.print(f"\nPublished training ({published.paper}): {published.also}", markup=False)
        out.print(published.options(), markup=False, soft_wrap=True)
        scaled = published.scaled(BATCH_SIZE)
        if scaled is not None and scaled.training != published.training:
            out.print(f"\nFrom scratch on one machine, batches of {BATCH_SIZE}, rates in proportion:", markup=False)
            words = [f"--set task.network={name} --set task.weights=none", scaled.options()]
            out.print(f"orthogon train {' '.join(words)}", markup=False, soft_wrap=True)
    for preset in pretrained:
        out.print(f"\nPretrained weights {preset.name}: {preset.source}. {preset.licence}.", markup=False)
