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
    from orthogon.strategy.leaks import Leaks
    from orthogon.strategy.slices import Slices

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
    from orthogon.cli.tagging import tag as tag_mistakes
    from orthogon.report.terminal import cards

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
    if leaks or slices:
        _study(chosen, chosen.leaks() if leaks else chosen.slices(), as_json)
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
        tag_mistakes(chosen, sample)
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
    out.print(cards(cases))
    if split == "dev":
        _say_halves(chosen)
        if chosen.has_tags():
            out.print("\nWhat they were tagged as", style="bold")
            out.print(chosen.tagged())
        elif cases:
            out.print("What do they have in common? Tick it: orthogon errors --tag")
        out.print("As a page of cards, beside what is nearest in train: orthogon errors --page")
    out.print(f"Mark and relabel in the report: {chosen.report_path()}")


def _study(chosen: Run, found: Leaks | Slices, as_json: bool) -> None:
    """What a study found, which the report shows from now on, with a few examples of each finding."""
    from orthogon.report.terminal import cards
    from orthogon.strategy.leaks import Leaks

    if as_json:
        print_json(found.to_dict())
        return
    out = console()
    out.print(found)
    chosen.write_report()
    if isinstance(found, Leaks):
        for leak in found.found:
            out.print(f"\n{leak.kind}", style="bold")
            for dev, train in chosen.places(leak.pairs[:5]):
                out.print(f"  {dev}  and in train  {train}", markup=False)
    else:
        for group in found.found[:4]:
            out.print(f"\n{group.name}", style="bold")
            out.print(cards(chosen.slice_cases(group, 5)))


def _say_halves(chosen: Run) -> None:
    """Who of dev is looked at, and whether the system was fitted to those."""
    out, warning = console(), chosen.fitted_by_eye()
    out.print(chosen.halves().reason, style="dim")
    if warning:
        out.print(warning, style="yellow")


def _suspects(chosen: Run, k: int, sheet: str | None, as_json: bool) -> None:
    """The labels that are suspect, and the sheet on which they are reviewed."""
    from orthogon.api.suspects import suspect_cases
    from orthogon.report.terminal import suspects
    from orthogon.strategy.label_study import LabelStudy

    found, out = chosen.kept(LabelStudy), console()
    written = chosen.write_review(sheet) if sheet else None
    if as_json:
        print_json({"run": chosen.id, "labels": found and found.to_dict(), "written": written})
        return
    if found is None:
        out.print("The labels were not studied yet: orthogon diagnose --labels")
    else:
        cases = suspect_cases(chosen, k)
        for part in ("train", "dev"):
            some = [each for each in found.suspects if each.split == part]
            if not some:
                continue
            shown = [(each, cases[part, each.id]) for each in some if (part, each.id) in cases]
            of = " of the part that is looked at" if part == "dev" and len(shown) < min(k, len(some)) else ""
            out.print(f"Suspect labels of {part}{of}, the first {len(shown) or min(k, len(some))}", style="bold")
            out.print(suspects(shown) if shown else found.table(k, part))
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
