"""Data: list what is built in, write it out, check, split, synthesise."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, SetOption, console, print_findings, print_json

group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
Source = Annotated[str, typer.Argument(metavar="DATA", help="Folder, file, or built-in name.")]
Target = Annotated[list[str] | None, typer.Option("--target", help="Column to predict. Repeatable.")]


@group.command("list")
def list_(as_json: JsonOption = False) -> None:
    """The data that needs no download.

    [bold]Example[/]: orthogon data list
    """
    from orthogon import api

    rows = api.builtin_data()
    if as_json:
        print_json({"data": rows})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name")
    table.add_column("what it is")
    for row in rows:
        table.add_row(row["name"], row["description"])
    console().print(table)


@group.command()
def get(
    name: Annotated[str, typer.Argument(help="A name of `orthogon data list`.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; ./NAME if unset.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write built-in data as plain files: folders of images, a CSV, a TSV.

    [bold]Example[/]: orthogon data get digits -o digits
    """
    from orthogon import api

    _say_written(api.write_data(name, out or name), as_json)


@group.command()
def synthesise(
    name: Annotated[str, typer.Argument(help="A generator: dates, shapes, moons.")],
    num: Annotated[int, typer.Option("-n", min=1, help="How many examples.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same data.")] = 0,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; ./NAME if unset.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make data of any size with a generator, and write it as plain files.

    [bold]Example[/]: orthogon data synthesise shapes -n 500 -o shapes
    """
    from orthogon import api

    _say_written(api.write_data(name, out or name, num=num, seed=seed), as_json)


def _say_written(written: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(written)
    else:
        console().print(f"{written['examples']:,} examples written to {written['folder']}")


@group.command()
def check(source: Source, target: Target = None, sets: SetOption = None, as_json: JsonOption = False) -> None:
    """What is wrong or suspicious in the data, before any training.

    [bold]Example[/]: orthogon data check adult.csv --target income
    """
    from orthogon import api

    inspection = api.inspect_data(source, target, sets or [])
    if as_json:
        print_json(inspection.to_dict())
    else:
        out = console()
        out.print(inspection)
        print_findings(out, inspection.findings)
    if any(finding.severity == "error" for finding in inspection.findings):
        raise typer.Exit(1)


@group.command()
def relabel(
    sheet: Annotated[str | None, typer.Argument(metavar="[FILE]", help="A relabel.csv that was filled in.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the latest correction back.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct labels, on dev and test alike or not at all; your files stay as they are.

    [bold]Example[/]: orthogon data relabel relabel.csv, and orthogon data relabel --undo
    """
    from orthogon import api
    from orthogon.errors import UsageError

    if (sheet is None) != undo:
        what = "both a sheet and --undo are named" if undo else "no sheet is named"
        raise UsageError(what, "orthogon data relabel", "Write one: orthogon errors --suspects --out relabel.csv")
    done = api.undo_labels(project=project) if sheet is None else api.correct_labels(sheet, project=project)
    if as_json:
        print_json(done.to_dict())
    else:
        console().print(done)


@group.command()
def preview(
    source: Annotated[
        str, typer.Argument(metavar="DATA", help="Folder of pictures, built-in name, or project folder.")
    ],
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="FILE", help="PNG to write; an existing file is left alone.")
    ] = "preview.png",
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """A picture of what training will see: a few examples, each beside its varied forms.

    [bold]Example[/]: orthogon data preview photos/ --set task.augment.rotation=30
    """
    from orthogon import api

    written = api.preview_data(source, out, sets=sets or [])
    if as_json:
        print_json(written)
    else:
        shown = console()
        shown.print(f"Train's pictures are varied: {written['changes']}.")
        shown.print(f"Written to {written['file']}")


@group.command()
def split(
    source: Source,
    target: Target = None,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="CSV to write: id, origin, split.")
    ] = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """How the data would be split, and why; with -o, which example goes where.

    [bold]Example[/]: orthogon data split photos/ -o splits.csv
    """
    from orthogon import api

    inspection = api.inspect_data(source, target, sets or [], checks=False)
    if out:
        inspection.write_splits(out)
    if as_json:
        told = inspection.to_dict()
        del told["findings"]  # nothing was checked
        print_json({**told, "file": out})
        return
    shown = console()
    shown.print(inspection)
    if out:
        shown.print(f"Written to {out}")
