"""Pretrained weights: list them, fetch them into the cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, console, print_json

group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@group.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Every file of weights that a network takes: its size, how good it is, its licence, and whether it is here.

    [bold]Example[/]: orthogon weights list
    """
    from orthogon.errors import DataError
    from orthogon.models.weights import PRESETS, cache_folder, find

    here: dict[str, str] = {}
    for preset in PRESETS.values():
        try:
            here[preset.name] = "no" if find(preset) is None else "yes"
        except DataError:
            here[preset.name] = "damaged"
    if as_json:
        print_json(
            {
                "folder": str(cache_folder()),
                "weights": [asdict(preset) | {"here": here[preset.name]} for preset in PRESETS.values()],
            }
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("network", no_wrap=True)
    for heading in ("MB", "top-1 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("licence of the code", no_wrap=True)
    for preset in PRESETS.values():
        licence, _, _ = preset.licence.partition(";")
        table.add_row(
            preset.name,
            preset.network,
            f"{preset.bytes / 1e6:,.0f}",
            f"{preset.top1:.1f}",
            here[preset.name],
            licence,
        )
    out = console()
    out.print(table)
    terms = {preset.licence.partition("; ")[2] for preset in PRESETS.values() if not preset.commercial}
    for term in sorted(terms):
        out.print(f"All of them: {term}." if len(terms) == 1 else f"Some of them: {term}.", markup=False)
    out.print("Top-1: as published; of those with _imagenet in the name measured on 120 photos.", markup=False)
    out.print(f"They lie in {cache_folder()}", markup=False, soft_wrap=True)


@group.command()
def get(
    name: Annotated[str, typer.Argument(help="A name of `orthogon weights list`.")], as_json: JsonOption = False
) -> None:
    """Fetch weights into the cache and check them; a download that was cut goes on where it stopped.

    [bold]Example[/]: orthogon weights get resnet18_torchvision
    """
    from orthogon.models.weights import get as fetch
    from orthogon.models.weights import named, sha256

    preset = named(name)
    with _Bar(preset.file) as bar:
        path = fetch(preset, bar)
    if as_json:
        print_json(asdict(preset) | {"path": str(path), "sha256": sha256(path), "bytes": path.stat().st_size})
        return
    out = console()
    out.print(f"{path}", markup=False, soft_wrap=True)
    out.print(f"Checked: SHA-256 {sha256(path)}", markup=False, soft_wrap=True)
    out.print(f"Source: {preset.source}", markup=False, soft_wrap=True)
    out.print(preset.notice, markup=False, soft_wrap=True)


class _Bar:
    """Bytes on stderr, where somebody watches."""

    def __init__(self, file: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        screen = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
        self._task = self._bar.add_task(file, total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def __call__(self, here: int, whole: int | None) -> None:
        self._bar.update(self._task, completed=here, total=whole)
