"""Search hyper-parameters around RUN within a budget, and train the best as a run.

[bold]Example[/]: orthogon tune --budget 30

The budget is trials (30), time (10min, 2h) or compute (20runs: trainings as dear as the first). What is varied is the
task's own search space, in four tiers of importance; --set narrows, widens or fixes a parameter:

orthogon tune --tiers 2 --set training.lr=1e-4..1e-2 --set task.width=64

Trials are judged by dev and never see test. A study that was stopped goes on with --resume NAME; the same from another
terminal helps with it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json

if TYPE_CHECKING:
    from orthogon.strategy.study import Study
    from orthogon.strategy.tuning import Tuning

LIVE_ROWS = 6


def run(
    base: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="The run to start from; the latest, or orthogon.yaml where there is none."
        ),
    ] = None,
    budget: Annotated[
        str, typer.Option("--budget", "-b", metavar="N", help="Trials (30), time (10min, 2h) or compute (20runs).")
    ] = "20",
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            metavar="NAME",
            help="random, sobol, coarse-to-fine, tpe, halving or hyperband; coarse-to-fine if unset.",
        ),
    ] = None,
    tiers: Annotated[
        int, typer.Option("--tiers", metavar="K", help="Vary tiers 1 to K: 1 the learning rate, 4 everything.")
    ] = 3,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=...",
            help="LOW..HIGH is a range (with ' log' or ' int' after it), [A, B] are choices, a value is fixed. "
            "Repeatable.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes beside each other.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Of a Ray cluster; auto, or local to begin one here."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the study; a number if unset.")] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="NAME", help="Go on with a study, or help with it.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the points; weights have the config's.")] = 0,
    no_prune: Annotated[bool, typer.Option("--no-prune", help="Train every trial to its end.")] = False,
    no_train: Annotated[bool, typer.Option("--no-train", help="Do not train the best as a run.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the project's studies and whether they still hold.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.errors import UsageError

    out = console()
    if listed:
        _list(api.tunings(project=project), as_json)
        return
    given = [word for word, value in (("RUN", base), ("--set", sets), ("--name", name)) if value]
    if resume is not None and given:
        raise UsageError(
            f"a study keeps its plan, so --resume does not go with {', '.join(given)}",
            f"--resume {resume}",
            "Leave them out, or begin a new study without --resume.",
        )
    watching = Watching()
    try:
        with watching:
            if resume is not None:
                tuning = api.resume_tuning(
                    resume, project=project, workers=workers, train_best=not no_train, listen=watching
                )
            else:
                tuning = api.tune(
                    base,
                    project=project,
                    strategy=strategy,
                    budget=budget,
                    tiers=tiers,
                    sets=sets or (),
                    workers=workers,
                    name=name,
                    seed=seed,
                    prune=not no_prune,
                    train_best=not no_train,
                    cluster=cluster,
                    listen=watching,
                )
    except KeyboardInterrupt:
        if watching.study is not None:
            place = f" --project {project}" if project else ""
            again = f"orthogon tune --resume {watching.study.name}{place}"
            print(f"Stopped; every finished trial is kept. Go on with: {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(tuning.to_dict())
        return
    assert watching.study is not None
    out.print(tuning)
    _told(tuning, watching.study, out, workers)


def _told(tuning: Tuning, study: Study, out: Any, workers: int) -> None:
    """What came of the best: its run, and where to read more."""
    from orthogon import api
    from orthogon.strategy.tune import witness

    if tuning.run is not None:
        made = api.load(study.project.folder / "runs" / tuning.run)
        said = witness(tuning, made)
        if said:
            out.print(said)
        out.print(f'Run {tuning.run} has these settings, knob "tuned": orthogon diagnose {int(tuning.run)}')
    out.print(f"page     {api.near(study.folder / 'tune.html')}", soft_wrap=True)
    idle = (os.cpu_count() or 1) - workers
    if idle > 0 and workers == 1 and len(tuning.rows) > 2:
        out.print(f"[dim]{idle + 1} cores are here; --workers {idle + 1} tries as many at a time.[/]")


def _list(tunings: list[Tuning], as_json: bool) -> None:
    from orthogon.strategy.tuning import table_of

    rows = table_of(tunings)
    if as_json:
        print_json({"studies": rows})
        return
    from rich.table import Table

    out = console()
    if not rows:
        out.print("No studies yet: orthogon tune")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("study", "when", "strategy", "budget", "trials", "dev error", "corrected", "run"):
        table.add_column(heading)
    for row, tuning in zip(rows, tunings, strict=True):
        error, corrected = tuning.show(row["best_error"]), tuning.show(row["corrected"])
        cells = [row["study"], row["created"][:16], row["strategy"], row["budget"], str(row["trials"]), error]
        table.add_row(*cells, corrected, row["run"] or "–")
    out.print(table)
    for tuning in tunings:
        if tuning.stale:
            out.print(f"{tuning.name}: {tuning.stale}")


class Watching:
    """Draws a study at work on stderr: how far it is, its ETA, and the best so far; silent where nobody watches."""

    def __init__(self) -> None:
        self.study: Study | None = None
        self.live: Any = None
        self.progress: Any = None
        self.began = time.monotonic()
        self.at_first = 0.0
        self.now = ""
        self.last_drawn = 0.0

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, event: dict[str, Any]) -> None:
        if self.progress is not None:
            self.progress(event)
            return
        kind = event["event"]
        if kind == "study":
            self.study, self.at_first = event["study"], event["study"].spent()
            if sys.stderr.isatty():
                from rich.console import Console
                from rich.live import Live

                self.live = Live(console=Console(stderr=True), transient=True, auto_refresh=False)
                self.live.start()
        elif kind == "study over":
            self._stop()
            from orthogon.cli.screen import Progress

            self.progress = Progress(show_data=False)
            self.progress.__enter__()
        elif kind == "trial":
            sets = ", ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in event["overrides"].items())
            self.now = f"trial {event['number']}: {sets or 'the config as it is'}"
            self._draw()
        elif kind == "trial end" or (kind in ("step", "evaluation") and time.monotonic() - self.last_drawn > 0.5):
            self._draw(event)

    def _stop(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None
        if self.progress is not None:
            self.progress.__exit__(None, None, None)
            self.progress = None

    def _draw(self, event: dict[str, Any] | None = None) -> None:
        if self.live is None or self.study is None:
            return
        from rich.console import Group
        from rich.text import Text

        from orthogon.strategy.tuning import rows_of

        self.last_drawn = time.monotonic()
        study, budget = self.study, self.study.plan.budget
        rows = rows_of(study)
        spent = study.spent()
        done = [row for row in rows if row.state == "finished" and row.error is not None]
        best = sorted(done, key=lambda row: (row.violation > 0, row.violation, row.error, row.loss))
        gone = time.monotonic() - self.began
        rate = (spent - self.at_first) / gone if gone > 1 else 0.0
        left = (budget.amount - spent) / rate if rate > 0 and len(done) > 1 else None
        running = sum(row.state == "running" for row in rows)
        head = f"{spent:.3g} of {budget}; {len(done)} finished, {running} at work"
        head += f"; ETA {_duration(left)}" if left is not None and left > 0 else ""
        step = ""
        if event is not None and event.get("event") == "step":
            step = f"  epoch {event.get('epoch', '')}, step {event['step']:,} of {event['total_steps']:,}"
        self.live.update(
            Group(Text(head, style="bold"), self._table(best, study.plan.unit), Text(self.now + step, style="dim"))
        )
        self.live.refresh()

    def _table(self, best: list[Any], unit: str) -> Any:
        from rich.table import Table

        from orthogon.metrics.score import significant, with_unit

        table = Table(box=None, pad_edge=False)
        keys = list(best[0].values)[:5] if best else []
        for heading in ("trial", "dev error", "log-loss", *(key.rpartition(".")[2] for key in keys)):
            table.add_column(heading, justify="right")
        for row in best[:LIVE_ROWS]:
            figures = [str(row.number), with_unit(row.error, unit), significant(row.loss)]
            table.add_row(*figures, *(_short(row.values.get(key)) for key in keys))
        return table


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )
