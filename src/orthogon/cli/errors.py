"""The mistakes: confusion, worst cases, classes and groups that fail, tags and what mending them could bring.

[bold]Examples[/]: orthogon errors --worst 20
          orthogon errors --tag                        tick what you see, one mistake after another
          orthogon errors --suspects --out relabel.csv    labels to be looked at, of dev and test alike
          orthogon errors --csv tags.csv, then --read tags.csv    the same in a spreadsheet
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, RunArgument, console, print_json

if TYPE_CHECKING:
    from orthogon.api import Run

SAMPLE = 100


def run(
    name: RunArgument = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many of the worst mistakes to list.")] = 10,
    split: Annotated[str, typer.Option("--split", help="dev, train or train_dev; test stays a witness.")] = "dev",
    tag: Annotated[
        bool, typer.Option("--tag", help="Tick what you see, one mistake after another; go on later where you ended.")
    ] = False,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="How many mistakes, drawn at random, to tag.")
    ] = SAMPLE,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="Write the mistakes as a spreadsheet, to be tagged there."),
    ] = None,
    read: Annotated[
        str | None, typer.Option("--read", metavar="FILE", help="Read a spreadsheet that was tagged back in.")
    ] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option("--hours", metavar="TAG=H", help="Hours it takes to mend a kind of mistake. Repeatable."),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="From now on look at another part of dev, which nobody has looked at.")
    ] = False,
    slices: Annotated[
        bool, typer.Option("--slices", help="Find groups of examples that fail together, confirmed on a second half.")
    ] = False,
    leaks: Annotated[
        bool, typer.Option("--leaks", help="What dev shares with train, and the error with and without it.")
    ] = False,
    suspects: Annotated[
        bool, typer.Option("--suspects", help="Labels that are suspect (orthogon diagnose --labels finds them).")
    ] = False,
    sheet: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="With --suspects: write the labels to review, and a page of them."),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Write the mistakes as a page of cards, with what lies nearest in train.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api

    chosen = api.load(name, project=project)
    out = console()
    if suspects:
        _suspects(chosen, worst, sheet, as_json)
        return
    if rotate:
        halves = chosen.rotate()
        out.print(f"Another part of dev is looked at from now on. {halves.reason}")
        return
    if page:
        place = chosen.write_error_page(drawn=sample)
        print_json({"page": str(place)}) if as_json else out.print(f"The mistakes as a page: {place}")
        return
    if leaks:
        _leaks(chosen, as_json)
        return
    if slices:
        _slices(chosen, as_json)
        return
    if csv is not None:
        count = chosen.write_tags(csv)
        out.print(f"{count:,} mistakes written to {csv}, in an order drawn at random: the first 100 are a fair sample.")
        out.print("Put an x where a kind of mistake holds, add columns for new kinds, then: "
                  f"orthogon errors --read {csv}")  # fmt: skip
        return
    if read is not None:
        _read(chosen, read, as_json)
    if tag:
        _tag(chosen, sample)
    if hours:
        _set_hours(chosen, hours)
    if tag or read is not None or hours:
        chosen.write_report()
        print_json(chosen.tagged().to_dict()) if as_json else out.print(chosen.tagged())
        return
    mistakes = chosen.mistakes(split)
    cases = chosen.worst(worst, split)
    if as_json:
        entries = [
            {"id": case.id, "origin": case.card.title, "truth": case.card.truth, "answer": case.card.answer,
             "confidence": case.card.confidence, "loss": case.card.loss}
            for case in cases
        ]  # fmt: skip
        told: dict[str, Any] = {"run": chosen.id, "split": split, **mistakes.to_dict(), "worst": entries}
        if split == "dev":
            by_eye = chosen.by_eye()
            told |= {"dev": chosen.halves().reason, "by_eye": by_eye and by_eye.to_dict()}
        print_json(told)
        return
    out.print(mistakes)
    if cases:
        out.print("Worst mistakes", style="bold")
    out.print(cards_of(cases))
    if split == "dev":
        _say_halves(chosen)
        if chosen.has_tags():
            out.print("\nWhat they were tagged as", style="bold")
            out.print(chosen.tagged())
        elif cases:
            out.print("What do they have in common? Tick it: orthogon errors --tag")
        out.print("As a page of cards, beside what is nearest in train: orthogon errors --page")
    out.print(f"Mark and relabel in the report: {chosen.report_path()}")


def cards_of(cases: Any) -> Any:
    from orthogon.report.terminal import cards

    return cards(cases)


def _leaks(chosen: Run, as_json: bool) -> None:
    """What dev shares with train, and where the first pairs lie."""
    found = chosen.leaks()
    if as_json:
        print_json(found.to_dict())
        return
    out = console()
    out.print(found)
    chosen.write_report()
    for each in found.found:
        out.print(f"\n{each.kind}", style="bold")
        for dev, train in chosen.places(each.pairs[:5]):
            out.print(f"  {dev}  and in train  {train}", markup=False)


def _slices(chosen: Run, as_json: bool) -> None:
    """Groups that fail together, each with a few of its examples."""
    found = chosen.slices()
    if as_json:
        print_json(found.to_dict())
        return
    out = console()
    out.print(found)
    chosen.write_report()
    for each in found.found[:4]:
        out.print(f"\n{each.name}", style="bold")
        out.print(cards_of(chosen.slice_cases(each, 5)))


def _say_halves(chosen: Run) -> None:
    """Who of dev is looked at, and whether the system was fitted to those."""
    out = console()
    out.print(chosen.halves().reason, style="dim")
    by_eye = chosen.by_eye()
    if by_eye is not None and by_eye.material:
        out.print(by_eye.sentence(), style="yellow")


def _suspects(chosen: Run, k: int, sheet: str | None, as_json: bool) -> None:
    """The labels that are suspect, and the sheet on which they are reviewed."""
    found, out = chosen.labels, console()
    written = chosen.write_review(sheet) if sheet else None
    if as_json:
        print_json({"run": chosen.id, "labels": found and found.to_dict(), "written": written})
        return
    if found is None:
        out.print("The labels were not studied yet: orthogon diagnose --labels")
    else:
        for part in ("train", "dev"):
            if any(each.split == part for each in found.suspects):
                out.print(found.table(k, part))
                out.print()
        for line in found.sentences():
            out.print(line)
    if written is not None:
        counts = ", ".join(f"{n:,} of {split}" for split, n in written["rows"].items() if n)
        out.print(f"To be looked at: {counts}, in {written['file']}; the same to look at: {written['page']}")
        out.print(f"Fill the column new_label from the top on, then: orthogon data relabel {written['file']}")


def _set_hours(chosen: Run, said: list[str]) -> None:
    from orthogon.errors import UsageError

    book = chosen.tags()
    for each in said:
        name, _, number = each.rpartition("=")
        try:
            book.set_hours(name, float(number))
        except ValueError as error:
            raise UsageError(
                f'"{each}" does not say how long what takes', "--hours", 'For instance: --hours "blurry=8"'
            ) from error
    book.save()


def _read(chosen: Run, source: str, as_json: bool) -> None:
    """Take a spreadsheet in; what is bad is named row by row once the good rows are kept."""
    from orthogon.errors import DataError

    taken = chosen.read_tags(source)
    if not as_json:
        console().print(taken.sentence())
    if taken.problems:
        first = taken.problems[:10]
        lines = [f"line {problem.line}: {problem.what}. {problem.remedy}" for problem in first]
        more = f"\nand {len(taken.problems) - len(first)} more" if len(taken.problems) > len(first) else ""
        kept = f"The {taken.rows} good rows are kept; mend these and read the file again."
        raise DataError(
            f"{len(taken.problems)} of its rows cannot be taken", source, "\n".join(lines) + more + "\n" + kept
        )


# -- in the terminal ----------------------------------------------------------------------------------------------


def _tag(chosen: Run, sample: int) -> None:
    """Show one card after another and do what the keys say."""
    from orthogon.errors import UsageError
    from orthogon.strategy.tagging import Tagging

    out = console()
    session = Tagging(chosen.tags(), chosen.to_tag(sample).tolist())
    if not session.ids:
        out.print("There is no mistake to look at.")
        return
    if session.over:
        out.print(f"All {len(session.ids)} have been looked at; more of them: orthogon errors --tag --sample 200")
        return
    note = ""
    while not session.over:
        _draw(chosen, session, note)
        note = ""
        wanted = session.press(_key())
        if wanted is None:
            continue
        text = _line("new kind of mistake: " if wanted == "category" else "comment: ")
        try:
            session.name(text) if wanted == "category" else session.write(text)
        except UsageError as error:
            note = str(error)
    out.print(f"\n{session.looked_at} of {len(session.ids)} looked at, kept in {session.book.path}")


def _draw(chosen: Run, session: Any, note: str) -> None:
    """The card, what its keys tick, and what else they do."""
    from rich.table import Table
    from rich.text import Text

    from orthogon.report.terminal import alone

    out = console()
    if out.is_terminal:
        out.clear()
    out.print(
        Text(f"Mistake {session.at + 1} of {len(session.ids)}, {session.looked_at} looked at", style="bold"), end="\n\n"
    )
    for case in chosen.cases([session.id]):
        out.print(alone(case))
    ticks = Table.grid(padding=(0, 2))
    for key, tag in session.ticks():
        on = tag in session.tags
        ticks.add_row(Text(key, "bold"), Text("[x]" if on else "[ ]"), Text(tag, "bold" if on else ""))
    out.print(Text())
    out.print(ticks)
    if session.comment:
        out.print(Text(f"comment: {session.comment}"))
    out.print(
        Text("\nEnter next · s skip · b back · a add a kind of mistake · c comment · q quit, and go on later", "dim")
    )
    if note:
        out.print(Text(note, "yellow"))


def _key() -> str:
    """One key; where no terminal is attached, the next character of the input."""
    import sys

    if not sys.stdin.isatty():
        return sys.stdin.read(1)
    import click

    try:
        return click.getchar()
    except (KeyboardInterrupt, EOFError):
        return ""


def _line(prompt: str) -> str:
    import sys

    if not sys.stdin.isatty():
        return sys.stdin.readline()
    try:
        return input(prompt)
    except (KeyboardInterrupt, EOFError):
        return ""
