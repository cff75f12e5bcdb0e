"""What a report is made from: plain values, each of them optional. A part that is absent leaves its section out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # types alone: a report is drawn without loading torch
    from orthogon.data.examples import Finding
    from orthogon.report.shift import ShiftShown
    from orthogon.strategy.advice import Step
    from orthogon.strategy.ceilings import Ceilings
    from orthogon.strategy.curve import LearningCurve
    from orthogon.strategy.diagnosis import Diagnosis, Rung
    from orthogon.strategy.human import People
    from orthogon.strategy.label_study import LabelStudy
    from orthogon.strategy.leaks import Leaks
    from orthogon.strategy.mistakes import Mistakes
    from orthogon.strategy.slices import Slices
    from orthogon.tasks.task import Card, Importance


@dataclass(frozen=True)
class Measure:
    """What the optimising metric is called and how its numbers are written.

    Errors are always 0-best; with unit "%" they are shares in 0..1 and shown times 100.
    """

    name: str = "error"
    title: str = "error"
    unit: str = "%"
    higher_is_better: bool = False


@dataclass(frozen=True)
class Figure:
    """A measured number with its 95 % interval; NaN bounds where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class BaselineFigure:
    """A simple system trained on the same split, scored on dev."""

    name: str
    error: Figure
    seconds: float = float("nan")


@dataclass(frozen=True)
class Case:
    """One example that the report shows: its card, and what names it in relabel.csv."""

    card: Card
    id: int
    split: str = "dev"


@dataclass(frozen=True)
class ReportData:
    """One run as its report sees it.

    Attributes:
        project, run, task: names; task is the kind ("image_classification").
        problem: one sentence: what is predicted from what, and why it was read so.
        measure: the optimising metric.
        info: run.json. config: the resolved config as a nested dict.
        sizes: examples in each split. split_reason: one sentence.
        history: rows with any of step, epoch, loss, dev_loss, dev_error, lr, in the order they happened.
        cases: the worst mistakes first. looks: examples, right ones too, with what the network looked at.
        agreement: (n, 2) truth and answer on dev, for real-valued targets.
        figures: metric title -> split -> figure, all metrics as people quote them. units: metric title -> unit.
        healthy: what to say beside the steps, or in their place when nothing is worth acting on.
        ending: what ended the training before its end, one sentence.
        limits: what metrics.satisfice asks and what the run has, in words, with whether it is kept.
        test_looks: how often the test set has been scored in this project.
        logbook: rows of the project's runs: run, when, what, error (0-best), outcome (of a step, as plain values).
        shift: how dev differs from train, where that was studied.
        growth: error against examples, and against width, where these curves were drawn.
        halves: which part of dev is looked at, one sentence; with a warning where the system was fitted to it.
        ceilings, slices, leaks: what tags, groups that fail together and copies of train tell, where they were studied.
        strips: of each slice some of its examples. pairs: of leaks an example of dev and the one of train.
        labels: what was found of the labels, where they were studied. suspects: (split, id) -> those that may be looked
            at. people: what annotators reach, where they are named.
        examples: False leaves the user's pictures, rows, strings and places in their files out.
    """

    project: str
    run: str
    task: str = ""
    problem: str = ""
    measure: Measure = Measure()
    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    split_reason: str = ""
    findings: Sequence[Finding] = ()
    history: Sequence[Mapping[str, Any]] = ()
    diagnosis: Diagnosis | None = None
    mistakes: Mistakes | None = None
    cases: Sequence[Case] = ()
    looks: Sequence[Case] = ()
    agreement: NDArray[np.float64] | None = None
    importances: Sequence[Importance] = ()
    baselines: Sequence[BaselineFigure] = ()
    steps: Sequence[Step] = ()
    healthy: str = ""
    ending: str = ""
    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    class_names: Sequence[str] = ()
    predict_line: str = ""
    report_path: str = ""
    limits: Sequence[tuple[str, bool]] = ()
    test_looks: int | None = None
    logbook: Sequence[Mapping[str, Any]] = ()
    examples: bool = True
    shift: ShiftShown | None = None
    growth: Sequence[LearningCurve] = ()
    halves: str = ""
    ceilings: Ceilings | None = None
    slices: Slices | None = None
    leaks: Leaks | None = None
    strips: Sequence[Sequence[Case]] = ()
    pairs: Sequence[tuple[Case, Case]] = ()
    labels: LabelStudy | None = None
    suspects: Mapping[tuple[str, int], Case] = field(default_factory=dict)
    people: People | None = None

    @property
    def error_title(self) -> str:
        """What the 0-best error is called."""
        if self.diagnosis is not None:
            return self.diagnosis.title
        return f"1 - {self.measure.title}" if self.measure.higher_is_better else self.measure.title

    @property
    def moved_threshold(self) -> str:
        """From which probability on the answer is yes and how that was chosen, where it is not 1/2; else empty."""
        threshold = self.info.get("threshold")
        if not threshold or threshold["value"] == 0.5:
            return ""
        names = self.class_names
        name = f'"{names[threshold["positive"]]}"' if len(names) == 2 else "yes"
        reason = threshold["reason"][:1].upper() + threshold["reason"][1:]
        return f"The answer is {name} from a probability of {threshold['value']:.3f} on. {reason}"

    def rung(self, name: str) -> Rung | None:
        """The diagnosis' rung of this name, or None where there is none."""
        rungs = self.diagnosis.rungs if self.diagnosis is not None else ()
        return next((rung for rung in rungs if rung.name == name), None)
