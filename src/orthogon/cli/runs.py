"""The logbook: every run of the project, what it changed and what came of it.

[bold]Example[/]: orthogon runs
"""

from __future__ import annotations

from orthogon.cli.screen import JsonOption, ProjectOption, console, print_json


def run(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    from orthogon.project import Project

    here = Project.find(project)
    rows = here.table()
    if as_json:
        print_json({"project": str(here.folder), "test_looks": here.test_looks(), "runs": rows})
        return
    from rich.markup import escape
    from rich.table import Table

    from orthogon.metrics.score import with_unit

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("run", "left"),
        ("status", "left"),
        ("dev error", "right"),
        ("metric", "left"),
        ("time", "right"),
        ("what", "left"),
    ):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        error = "" if row["dev_error"] is None else with_unit(row["dev_error"], row["unit"] or "")
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f} s"
        metric = row["metric"] or ""
        table.add_row(row["run"], row["status"], error, metric, seconds, escape(row["what"]))
    out = console()
    out.print(table if rows else "No runs yet: orthogon train")
    for row in rows:
        if row["status"] in ("killed", "interrupted"):
            place = f" --project {project}" if project else ""
            if not row["resumable"]:
                out.print(f"run {row['run']} was {row['status']} and cannot be resumed", markup=False, soft_wrap=True)
                continue
            resume = f"orthogon train --resume {int(row['run'])}{place}"
            out.print(f"run {row['run']} was {row['status']}: resume with {resume}", markup=False, soft_wrap=True)
    looks = here.test_looks()
    out.print(f"[dim]test seen {looks} time{'' if looks == 1 else 's'}[/]")
