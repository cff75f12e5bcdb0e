"""What the verbs share: consoles, options with one meaning everywhere, and progress with an ETA."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="DIR", help="The project folder; found from where you stand if unset."),
]
RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Number of a run, or its folder; the latest if unset.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override any key of orthogon.yaml, e.g. training.lr=0.01. Repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of weights, order and augmentation.")]
MinutesOption = Annotated[
    float | None,
    typer.Option("--minutes", min=0.05, help="Bound the training: as many updates as fit."),
]
NoExamplesOption = Annotated[
    bool, typer.Option("--no-examples", help="Leave your pictures, rows and strings out of the report.")
]


def console() -> Console:
    """Results: stdout, as wide as the terminal; when piped, as wide as COLUMNS says, else 100 columns."""
    from rich.console import Console

    told = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return Console(width=None if told else 100, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """Strict JSON on stdout: NaN and infinities become null."""
    from orthogon.shown import json_text

    print(json_text(value))


class Progress:
    """Draws the events of a training on stderr: stages, then a bar with ETA. Silent where nobody watches.

    Use as a context manager; call it with each event. Findings, splits and plans are results and go to stdout.
    """

    def __init__(self, show_data: bool = True) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        self.console = console()
        self.show_data = show_data
        self.bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            counted(BarColumn)(bar_width=24),
            counted(MofNCompleteColumn)(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            counted(TextColumn)("ETA"),
            counted(TimeRemainingColumn)(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.stage: Any = None
        self.training: Any = None
        self.resumed = ""
        self.figures = ""

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _on_stage(self, event: dict[str, Any]) -> None:
        if self.training is not None:
            self.bar.remove_task(self.training)
            self.training = None
        if self.stage is not None:
            self.bar.remove_task(self.stage)
        self.stage = self.bar.add_task(event["stage"], total=None, figures="")

    def _on_data(self, event: dict[str, Any]) -> None:
        if self.show_data:
            self._say("Data", f"{event['examples']:,} examples. {sentence(event['reason'])}")

    def _on_columns(self, event: dict[str, Any]) -> None:
        if self.show_data:
            self._say("Columns", event["text"])

    def _on_splits(self, event: dict[str, Any]) -> None:
        if self.show_data:
            sizes = ", ".join(f"{name.replace('_', '-')} {size:,}" for name, size in event["sizes"].items())
            self._say("Splits", f"{sizes}. {event['reason']}")

    def _on_findings(self, event: dict[str, Any]) -> None:
        if self.show_data:
            print_findings(self.console, event["findings"], event["of_task"], most=4)

    def _on_network(self, event: dict[str, Any]) -> None:
        if self.show_data:
            about = event.get("about", "")
            self._say("Network", f"{event['name']}, {event['parameters']:,} parameters. {about}".strip())

    def _on_plan(self, event: dict[str, Any]) -> None:
        if self.show_data:
            self._say("Plan", event["text"])

    def _on_preflight(self, event: dict[str, Any]) -> None:
        if self.show_data and event["severity"] == "note":  # what is wrong comes as a warning or an error
            self._say("Rate", sentence(event["message"]))

    def _say(self, label: str, text: str) -> None:
        self.console.print(labelled(label, text))

    def _on_curve(self, event: dict[str, Any]) -> None:
        self._count("curve", event["done"], event["total"])

    def _on_probe(self, event: dict[str, Any]) -> None:
        self._count("probes", event["done"], None)

    def _count(self, name: str, done: int, total: int | None) -> None:
        """Trainings on the side, one after another."""
        if self.stage is not None:
            self.bar.remove_task(self.stage)
            self.stage = None
        if self.training is None:
            self.training = self.bar.add_task(name, total=total, figures="trainings")
        self.bar.update(self.training, completed=done, total=total)

    def _on_resume(self, event: dict[str, Any]) -> None:
        self.resumed = event["run"]

    def _on_start(self, event: dict[str, Any]) -> None:
        if self.resumed:
            self.bar.console.print(
                f"resuming run {self.resumed} from step {event['step']:,} of {event['total_steps']:,}", highlight=False
            )
            self.resumed = ""
        if self.stage is not None:
            self.bar.remove_task(self.stage)
            self.stage = None
        self.training = self.bar.add_task("training", total=event.get("total_steps"), figures="")

    def _on_step(self, event: dict[str, Any]) -> None:
        if self.training is None:
            self._on_start(event)
        loss = f"loss {event['loss']:.3f}" if event.get("loss") is not None else ""
        self.bar.update(
            self.training,
            completed=event["step"],
            total=event.get("total_steps"),
            figures=f"{loss} {self.figures}",
            description=f"epoch {event.get('epoch', '')}",
        )

    def _on_evaluation(self, event: dict[str, Any]) -> None:
        error = event.get("error", event.get("dev_error"))
        loss = event.get("loss", event.get("dev_loss"))
        value = error if error is not None else loss
        self.figures = "" if value is None else f"dev {'error' if error is not None else 'loss'} {value:.4g}"

    def _on_warning(self, event: dict[str, Any]) -> None:
        from rich.markup import escape

        text = "\n".join(filter(None, (str(event["message"]), event.get("remedy"))))
        self.bar.console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def counted(column: Any) -> Any:
    """This kind of progress column, empty where the number of steps is not known."""

    class Counted(column):
        def render(self, task: Any) -> Any:
            return "" if task.total is None else super().render(task)

    return Counted


def labelled(label: str, text: str) -> Any:
    """A label and a text that wraps beside it."""
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2))
    line.add_column(width=7, style="bold")
    line.add_column(overflow="fold")
    line.add_row(label, Text(text))
    return line


def sentence(text: str) -> str:
    """Begun with a capital, ended with a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


def print_findings(
    console: Console, findings: Sequence[Any], apart: Sequence[Any] = (), most: int | None = None
) -> None:
    """Findings, worst first: mark, message, first places, remedy; those told apart are only counted."""
    from rich.markup import escape

    order = {"error": 0, "warning": 1, "note": 2}
    ranked = sorted(findings, key=lambda finding: order[finding.severity])
    if not ranked and not apart:
        console.print(labelled("Checks", "Nothing suspicious."))
        return
    counts = []
    for severity in order:
        number = sum(finding.severity == severity for finding in (*ranked, *apart))
        if number:
            counts.append(f"{number} {severity}{'s' if number > 1 else ''}")
    console.print(labelled("Checks", f"{', '.join(counts)}."))
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for finding in ranked[:most]:
        console.print(f"  [{colours[finding.severity]}]{finding.severity}[/] {escape(finding.message)}")
        if most is None:
            if finding.places:
                console.print(f"      [dim]{escape('; '.join(finding.places[:3]))}[/]")
            if finding.remedy:
                console.print(f"      {escape(finding.remedy)}")
    if most is not None and len(ranked) > most:
        console.print(f"  [dim]and {len(ranked) - most} more in the report[/]")
