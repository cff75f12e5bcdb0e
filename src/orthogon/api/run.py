"""The Run a person holds: what is known of a run, and the verbs that study it, use it and report it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from orthogon.api import kept, labels
from orthogon.api.advise import advise
from orthogon.api.error_page import error_page_of
from orthogon.api.figures import figure_of, own_metric, yardstick
from orthogon.api.known import KnownRun
from orthogon.api.report import report_of, shift_matters
from orthogon.errors import RunError, UsageError, did_you_mean
from orthogon.metrics.intervals import estimate, interval
from orthogon.project.by_hand import in_words
from orthogon.project.config import differences, parse
from orthogon.run.folder import refuse_to_write, write_text
from orthogon.strategy import error_analysis, eyeball, ideas
from orthogon.strategy.diagnosis import VARIANCE, diagnose
from orthogon.strategy.general import GeneralTable, general_table
from orthogon.strategy.label_study import LabelStudy, study_labels
from orthogon.strategy.probes import Probes
from orthogon.strategy.retrain import curve_of_run, probe_run
from orthogon.strategy.shift import Shift, examine
from orthogon.strategy.tags import read_csv, write_csv

if TYPE_CHECKING:
    from orthogon.models.describe import Description
    from orthogon.project.project import Listener
    from orthogon.report.data import ReportData
    from orthogon.report.error_page import ErrorPage
    from orthogon.run.predict import Prediction
    from orthogon.strategy.autopilot import Decision
    from orthogon.strategy.curve import By, LearningCurve
    from orthogon.strategy.flight import Flight
    from orthogon.strategy.leaks import Leaks, Pair
    from orthogon.strategy.slices import Slices
    from orthogon.strategy.tags import Taken

CHEAP_SECONDS = 20.0  # that a learning curve may take without being asked for
CURVE_TRAININGS = 19  # of a curve: 7 points, 3 each, 1 at the end
CARDS_ON_PAGE = 60  # of the worst mistakes


class Run(KnownRun):
    """A run and the verbs that apply to it. Get one from `start`, `train` or `load`."""

    _report: ReportData | None = None

    # -- studies; each is kept in derived/, where the diagnosis, the steps and the report find it ------------------

    def _keep(self, found: kept.Found, by: str = "data") -> kept.Found:
        """Keep what a study found, and forget what was said before it was known."""
        kept.write(self, found, by)
        if isinstance(found, LabelStudy | Probes | Shift):  # the diagnosis quotes these
            self._diagnosis = None
        self._report = None
        return found

    def study_labels(self, workers: int = 1, tell: Callable[[str], None] = lambda text: None) -> LabelStudy:
        """How many labels are wrong, which are suspect, and the least error there can be: six trainings on the side.

        Raises:
            RunError: the data is not what it was, or its labels were corrected since.
        """
        from orthogon.project.trial import Trials

        trials = Trials(self.project, parse(self.config))
        if trials.project.corrections(trials.examples) != self.info.get("labels", ""):
            raise RunError(
                f"labels were corrected since run {self.id} was trained",
                str(self.folder),
                "Train on the labels of today first: orthogon train",
            )
        others = {f"{entry['name']} on dev": entry["scores"] for entry in self.baselines()}
        dev = self.scores("dev") if "dev" in self.splits() else None
        return self._keep(study_labels(trials, self.metric, dev, others, workers=workers, tell=tell))

    def shift(self) -> Shift:
        """How dev differs from train, and whether that costs anything.

        Raises:
            RunError: the data is gone or has changed, or there is no dev set.
        """
        return self._keep(examine(self, *self.data(), self.metric, self.diagnose()))

    def general_table(self) -> GeneralTable:
        """Errors of people, on examples trained on and on new ones, on general and on target data, side by side.

        Raises:
            RunError: the data is gone or has changed.
        """
        return general_table(self, *self.data(), self.metric)

    def probe(self, listen: Listener | None = None) -> Probes:
        """Tell a bias that optimisation causes from one that capacity causes, by trainings; see `strategy.probes`."""
        return self._keep(probe_run(self, self.diagnose(), self.metric, listen))

    def curve(self, by: By = "data", workers: int | None = None, listen: Listener | None = None) -> LearningCurve:
        """Error against training examples, or against width, and what twice of it would bring; see `strategy.curve`.

        Args:
            by: "data" or "width".
            workers: processes at work beside each other; None: as many as pay.
            listen: called with an event after each training.
        """
        return self._keep(curve_of_run(self, self.diagnose(), self.metric, by, workers, listen), by)

    def curve_if_cheap(self, listen: Listener | None = None) -> LearningCurve | None:
        """The curve where variance limits the run and drawing it takes seconds: what `start` does by itself.

        Cheap is up to `CHEAP_SECONDS` for all its trainings, by what the run's own took. None where it was not drawn.
        """
        history = self.history()
        if not self.finished or self.members or not history or VARIANCE not in self.diagnose().causes:
            return None
        if CURVE_TRAININGS * float(history[-1].get("seconds", math.inf)) > CHEAP_SECONDS:
            return None
        return self.curve("data", workers=1, listen=listen)

    def slices(self) -> Slices:
        """Groups of dev examples that fail together, found on one half and confirmed on the other.

        Raises:
            RunError: the data is gone or another.
        """
        self._refuse_split("dev")
        examples, splits = self.data()
        return self._keep(error_analysis.slices_of(self, examples, splits["train"]))

    def leaks(self) -> Leaks:
        """What dev shares with train, and the error on dev with and without it.

        Raises:
            RunError: the data is gone or another.
        """
        self._refuse_split("dev")
        examples, splits = self.data()
        return self._keep(error_analysis.leaks_of(self, examples, splits["train"], self.metric))

    # -- the mistakes -------------------------------------------------------------------------------------------

    def rotate(self) -> eyeball.Halves:
        """From now on look at another part of dev that nobody has looked at.

        Raises:
            UsageError: too little of dev is unseen.
        """
        self._refuse_split("dev")
        halves = eyeball.turn_of(self.project.folder, self.info["splits_key"], self.scores("dev"), self.id)
        self.project.log("another part of dev is looked at", run=self.id, turns=halves.turns)
        return halves

    def places(self, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
        """Where the two examples of each leak lie: of dev, and of train."""
        examples, _ = self.data()
        return [(str(examples[pair.dev].origin), str(examples[pair.train].origin)) for pair in pairs]

    def write_tags(self, out: str | Path, k: int | None = None) -> int:
        """Write the mistakes as a spreadsheet to be tagged, all or k drawn at random; returns how many.

        Raises:
            UsageError: the file exists.
        """
        refuse_to_write(Path(out))
        book, ids = self.tags(), self.to_tag(k)
        rows = error_analysis.rows_of(ids, book.examples, self.answers("dev"), self.scores("dev"))
        write_csv(Path(out), rows, book)
        return len(rows)

    def read_tags(self, source: str | Path) -> Taken:
        """Take back a spreadsheet; every good row is kept in the project, bad ones are named in what is returned.

        Raises:
            DataError: it is no such table, or belongs to other data.
        """
        book, halves = self.tags(), self.halves()
        allowed = {int(i): str(book.examples[int(i)].origin) for i in np.union1d(halves.eyeball, halves.seen)}
        taken = read_csv(Path(source), book, allowed)
        book.save()
        self.project.log("tags read", run=self.id, rows=taken.rows, changed=taken.changed)
        return taken

    def error_page(self, worst: int = CARDS_ON_PAGE, drawn: int = error_analysis.SAMPLE) -> ErrorPage:
        """Everything that the page of mistakes draws: the worst ones, a random sample, and what was studied so far.

        Raises:
            RunError: the data is gone or another.
        """
        return error_page_of(self, worst, drawn)

    def write_error_page(self, worst: int = CARDS_ON_PAGE, drawn: int = error_analysis.SAMPLE) -> Path:
        """Write derived/errors.html, one file that needs no network."""
        from orthogon.report.error_page import write

        return write(self.error_page(worst, drawn), self.derived / "errors.html")

    def write_review(self, out: str | Path, page: bool = True) -> dict[str, Any]:
        """Write the sheet (CSV) on which labels are reviewed, and a page that shows its examples.

        Dev and test are drawn by one rule and shown without answers; suspects of train follow where
        `study_labels` named some.

        Raises:
            UsageError: the file exists, or the data is gone.
        """
        return labels.write_review(self, Path(out), page)

    # -- what next ----------------------------------------------------------------------------------------------

    def add_idea(self, text: str, knob: str, *, tag: str | None = None, mends: str | None = None) -> ideas.Idea:
        """Keep an idea in the logbook, with the knob that it turns and what it may gain.

        Args:
            knob: by its name, such as "more data".
            tag: of the error analysis, whose mistakes it would mend. mends: else how many of those looked at, "8/100".
        Raises:
            UsageError: the knob or the tag is not known, or nothing says what it would mend.
        """
        ceilings = self.tagged() if tag is not None and self.has_tags() else None
        idea = ideas.new_idea(text, knob, self.diagnose(), tag, mends, ceilings)
        most = ideas.ceiling(idea, estimate(self.scores("dev"), self.metric))
        self.project.log(ideas.ADDED, run=self.id, expected=most._asdict(), **idea.to_dict())
        return idea

    def drop_idea(self, text: str) -> None:
        """Take an idea off the board; the logbook keeps both lines.

        Raises:
            UsageError: there is no such idea.
        """
        known = [idea.text for idea in ideas.board(self.project.logbook())]
        if text not in known:
            raise UsageError(f'there is no idea "{text}"', "--drop", did_you_mean(text, known))
        self.project.log(ideas.DROPPED, run=self.id, idea=text)

    def autopilot(
        self,
        budget: str,
        *,
        seed: int = 0,
        tell: Callable[[Decision], None] = lambda decision: None,
        progress: Callable[[str, float], None] = lambda what, share: None,
        listen: Listener | None = None,
    ) -> tuple[Run, Flight]:
        """Take steps under a budget ("30min", "20runs") and keep what helps; (the run that it leaves, what it did).

        A killed one goes on where it was, to the same decisions, when asked for the same again.

        Raises:
            UsageError: no budget, an ensemble, or no dev set. RunError: another one is at work on this project.
        """
        from orthogon.strategy.flight import fly
        from orthogon.strategy.ledger import Budget

        if self.members:
            raise UsageError("an ensemble takes no steps", f"run {self.id}", self.advice_note())
        metric, told, labels, probes = self.metric, self.told(), self.kept(LabelStudy), self.kept(Probes)
        flight = fly(
            self.project,
            self,
            Budget.parse(budget),
            lambda scores, noise: diagnose(scores, metric, noise=noise, **told),
            metric,
            seed=seed,
            noise=None if labels is None else labels.noise,
            sub_cause=None if probes is None else probes.sub_cause,
            tell=tell,
            progress=progress,
            listen=listen,
        )
        return Run(self.project.run(flight.run).folder), flight

    # -- use ----------------------------------------------------------------------------------------------------

    def predict(self, source: str | Path, out: str | Path | TextIO | None = None) -> Prediction:
        """Answers for new inputs, kept in its rows or written as CSV; see `orthogon.run.predict.predict`."""
        from orthogon.run.predict import predict

        return predict(self, source, out)

    def evaluate(self, source: str | Path) -> list[dict[str, Any]]:
        """Every metric with its 95 % interval on labelled data.

        Returns:
            [{"name", "title", "unit", "value", "low", "high", "n", "in_train"}]; in_train: how many of the n have the
            input of an example that the run was trained on, None where the training data is gone or has changed.
        """
        from orthogon.run.predict import evaluate

        _, scores, examples = evaluate(self, source)
        in_train = None
        if self.examples is not None:
            known, splits = self.data()
            trained_on = known.content_keys()[splits["train"]]
            in_train = int(np.isin(examples.content_keys()[scores.ids], trained_on).sum())
        by_title = {metric.title: metric for metric in self.task().metrics().values()}  # f1 may be f1_macro itself
        return [
            {"name": metric.name, "title": title, "unit": metric.unit, "n": len(scores), "in_train": in_train}
            | vars(figure_of(interval(scores, metric)))
            for title, metric in by_title.items()
        ]

    def export(self, out: str | Path) -> dict[str, Any]:
        """Write ONNX, checked against PyTorch; see `orthogon.run.export.export`."""
        from orthogon.run.export import export

        return export(self, out)

    def describe(self) -> Description:
        """The network's layers."""
        from orthogon.models.describe import describe

        return describe(self.network(), self.task().example_inputs(1))

    # -- the report ---------------------------------------------------------------------------------------------

    def write_report(self, examples: bool = True) -> Path:
        """Write derived/report.html and MODEL_CARD.md from the sealed run.

        Args:
            examples: False leaves the user's pictures, rows and strings out.
        """
        from orthogon.report.card import model_card
        from orthogon.report.page import write

        data = self.report_data(examples)
        write_text(self.folder / "MODEL_CARD.md", model_card(data))
        return write(data, self.report_path())

    def report_data(self, examples: bool = True) -> ReportData:
        """Everything the report and the terminal draw."""
        if self._report is None or self._report.examples != examples:
            if shift_matters(self):
                self.shift()
            self._report = report_of(self, examples)
        return self._report

    # -- words --------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What came of it, as plain values: its diagnosis and next steps once it is finished, else how to go on."""
        told: dict[str, Any] = {"run": self.id, "status": self.status, "folder": str(self.folder)}
        if not self.finished:
            return {**told, "resume": self.resume_line() if self.resumable else None}
        told |= {"metric": self.info["metric"], "unit": self.metric.unit, "dev_error": self.info["dev_error"]}
        told |= {"splits": self.info["split_sizes"], "findings": [vars(finding) for finding in self.findings()]}
        told |= {"diagnosis": self.diagnose().to_dict(), "steps": [step.to_dict() for step in advise(self)]}
        return {**told, "note": self.advice_note(), "report": str(self.report_path()), "changes": self.changes()}

    def stale_tuning(self) -> str:
        """That its settings were tuned on other data than it was trained on, where they were; else empty."""
        from orthogon.strategy.tune import tuned_from
        from orthogon.strategy.tuning import stale

        told = tuned_from(self, self.project)
        if told is None:
            return ""
        size = sum(self.info["split_sizes"].values())
        return stale(told["tuned"], told["fingerprint"], told["num_examples"], self.info["fingerprint"], size)

    def changes(self) -> str:
        """What this run changed against the one it came from, else the one before it, in words; empty for the first."""
        if self.members:
            return str(self.info.get("changed", "")).capitalize() + "."
        earlier = [run for run in self.project.runs() if run.finished and run.id < self.id and not run.members]
        if not earlier:
            return ""
        before = next((run for run in earlier if run.id == self.info.get("parent")), earlier[-1])
        changed = differences(before.config, self.config)
        by_hand = " ".join(["", in_words(self.info.get("changes", ()))]).rstrip()
        shown = ", ".join(f"{key} {old} → {new}" for key, (old, new) in list(changed.items())[:6])
        metric, old_metric = self.metric, own_metric(before)
        if yardstick(before, old_metric) == yardstick(self, metric):
            then, now = (metric.show(run.info["dev_error"]) for run in (before, self))
            errors = f"dev error {then} → {now}"
        else:
            errors = f"the errors do not compare, {old_metric.error_title} then and {metric.error_title} now"
        return f"Against run {before.id}: {shown or 'the same config'}; {errors}.{by_hand}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>run {escape(self.id)}</b> of {escape(self.project.name)}: {escape(str(self))}"

    def __str__(self) -> str:
        if not self.finished:
            return f"run {self.id}, {self.status}"
        error = f"{self.metric.error_title} on dev {self.metric.show(self.info['dev_error'])}"
        return f"run {self.id}: {error}, {self.report_path()}"

    def __repr__(self) -> str:
        return f"<Run {self.folder} {self.status}>"
