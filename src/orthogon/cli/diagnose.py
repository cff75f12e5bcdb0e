"""Where the error comes from, and which gaps are real; with flags, what studies of the run found.

[bold]Example[/]: orthogon diagnose --curve

Also: orthogon diagnose --shift · orthogon diagnose --probe · orthogon diagnose --labels
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orthogon.cli.screen import JsonOption, Progress, ProjectOption, RunArgument, console, print_json

ShiftOption = Annotated[
    bool, typer.Option("--shift", help="Also how dev differs from train, by name, and whether that costs anything.")
]
CurveOption = Annotated[
    bool, typer.Option("--curve", help="Error against training examples, and what twice the data would bring; trains.")
]
WidthOption = Annotated[bool, typer.Option("--width-curve", help="The same against the network's width; trains.")]
ReachOption = Annotated[
    float | None,
    typer.Option("--reach", metavar="ERROR", help="With a curve: how much it takes to get down to this error."),
]
ProbeOption = Annotated[
    bool, typer.Option("--probe", help="Whether optimisation or capacity causes a bias, by two probes; trains.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes for the trainings; as many as pay if unset.")
]
LabelsOption = Annotated[
    bool, typer.Option("--labels", help="Study the labels first: six trainings on parts of train, made once.")
]


def run(
    name: RunArgument = None,
    shift: ShiftOption = False,
    curve: CurveOption = False,
    width_curve: WidthOption = False,
    reach: ReachOption = None,
    probe: ProbeOption = False,
    workers: WorkersOption = None,
    labels: LabelsOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    from orthogon import api
    from orthogon.errors import UsageError
    from orthogon.strategy.leaks import Leaks
    from orthogon.strategy.slices import Slices

    if reach is not None and not (curve or width_curve):
        raise UsageError("--reach reads a curve", f"--reach {reach:g}", "Add --curve or --width-curve.")
    made = api.load(name, project=project)
    studies: dict[str, Any] = {}
    if labels:  # first: the diagnosis knows what it finds
        studies["labels"] = made.study_labels(workers or 1, tell=lambda text: typer.echo(text, err=True))
    if shift:
        studies["shift"] = made.shift()
        if made.config["data"].get("target_domain") is not None or "train_dev" in made.splits():
            studies["general_table"] = made.general_table()
    with Progress(show_data=False) as progress:
        if probe:
            studies["probes"] = made.probe(listen=progress)
        if curve:
            studies["curve"] = made.curve("data", workers, listen=progress)
        if width_curve:
            studies["width_curve"] = made.curve("width", workers, listen=progress)
    diagnosis = made.diagnose()
    if studies:
        made.write_report()
    reached = {title: studies[title].reach(reach) for title in ("curve", "width_curve") if title in studies and reach}
    if as_json:
        told = {title: study.to_dict() for title, study in studies.items()}
        reaches = {"reach": {title: vars(each) for title, each in reached.items()}} if reached else {}
        print_json(diagnosis.to_dict() | told | reaches)
        return
    console().print(diagnosis)
    for title, study in studies.items():
        console().print()
        console().print(study)
        if title in reached:
            console().print(study.in_words(reached[title]))
    for kept in (made.kept(Leaks), made.kept(Slices)):
        if kept is not None and kept.found:
            console().print()
            console().print(kept.summary())
