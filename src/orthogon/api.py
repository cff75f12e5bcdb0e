"""The verbs as Python functions, and the Run a person holds.

>>> import orthogon as og
>>> run = og.start("digits")         # doctest: +SKIP
>>> print(run.diagnose())            # doctest: +SKIP
>>> og.next_steps(run)[0].take()     # doctest: +SKIP

The command line calls these and prints what they return.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from orthogon.errors import DataError, OrthogonError, RunError, UsageError, did_you_mean
from orthogon.metrics.intervals import against_mean, estimate, gap_interval, interval
from orthogon.metrics.select import Candidate, Selection, select
from orthogon.project.by_hand import in_words
from orthogon.project.config import ProjectConfig, apply_sets, differences, parse, put, resolve, with_kind
from orthogon.project.project import Listener, Project, default_folder
from orthogon.report.data import BaselineFigure, Case, Figure, Measure, ReportData
from orthogon.report.error_page import ErrorPage, LookedAt, Neighbour
from orthogon.report.shift import ShiftShown
from orthogon.run import folder as run_folder
from orthogon.run.cost import figures_of, limits_of
from orthogon.run.folder import refuse_to_write, write_json, write_text
from orthogon.shown import Shown
from orthogon.strategy import advice, chain, error_analysis, eyeball, human, ideas, mistakes, relabel
from orthogon.strategy.beliefs import shipped
from orthogon.strategy.ceilings import Ceilings
from orthogon.strategy.diagnosis import MATERIAL, MISMATCH, UNSPLIT, VARIANCE, Diagnosis, diagnose
from orthogon.strategy.eyeball import Halves
from orthogon.strategy.general import GeneralTable, general_table
from orthogon.strategy.human import People
from orthogon.strategy.knobs import REAL_WORLD, Ending
from orthogon.strategy.label_study import LabelStudy
from orthogon.strategy.leaks import Leaks, Pair
from orthogon.strategy.optimism import tried
from orthogon.strategy.shift import Shift
from orthogon.strategy.shift import examine as examine_shift
from orthogon.strategy.slices import FoundSlice, Slices
from orthogon.strategy.tags import FILE as TAGS
from orthogon.strategy.tags import Entry, TagBook, Taken, read_csv, write_csv

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console, ConsoleOptions, RenderResult

    from orthogon.data.examples import Examples, Finding, Splits
    from orthogon.metrics.score import Metric, Scores
    from orthogon.models.describe import Description
    from orthogon.project.trial import Trials
    from orthogon.run.predict import Prediction
    from orthogon.strategy.autopilot import Decision
    from orthogon.strategy.curve import By, LearningCurve
    from orthogon.strategy.flight import Flight
    from orthogon.strategy.probes import Probes
    from orthogon.strategy.study import Study
    from orthogon.strategy.tuning import Tuning
    from orthogon.tasks.task import Card, Importance

WORST_IN_REPORT = 24
LOOKS_IN_REPORT = 6
CHEAP_SECONDS = 20.0  # that a learning curve may take without being asked for
CURVE_TRAININGS = 19  # of a curve: 7 points, 3 each, 1 at the end
CURVE_FILES: dict[By, str] = {"data": "curve.json", "width": "curve-width.json"}  # in derived/, by what grows
ROWS_FOR_IMPORTANCE = 2000


class Run(run_folder.Run):
    """A run and the verbs that apply to it. Get one from `start`, `train` or `load`."""

    judged_by: str | None = None  # a metric to judge it by in place of its own, for a comparison
    judged_today: bool = False  # by the labels of today in place of those it was trained on, for a comparison

    # -- what limits it -----------------------------------------------------------------------------------------

    @cached_property
    def project(self) -> Project:
        return Project(self.folder.parent.parent)

    @property
    def metric(self) -> Metric:
        """The one metric that ranks runs."""
        return self.task().metrics()[self.judged_by or self.info["metric"]]

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        own = self.judged_by in (None, self.info["metric"])
        metrics = self.config["metrics"]
        if not own:  # these are in the unit of the run's own metric
            metrics = {**metrics, **dict.fromkeys(("human_level", "human_level_n", "smallest_gap"))}
        if metrics.get("annotators") is not None and own and self._examples is not None:
            best = self.people().best
            metrics = {**metrics, "human_level": best.error, "human_level_n": best.n}
        baselines = self.baselines()
        found = diagnose(
            {name: self.scores(name) for name in self.splits()},
            self.metric,
            human_level=metrics["human_level"],
            human_level_n=metrics["human_level_n"],
            smallest_gap=metrics["smallest_gap"],
            trivial_error=self.metric.error(baselines[0]["scores"]) if baselines else None,
            seeds=[{name: run.scores(name) for name in run.splits()} for run in self._other_seeds()],
            candidates=self._candidates(),
            mismatch_declared=any(self.config["data"].get(key) is not None for key in ("target_domain", "time")),
            ordered_in_time=self.config["data"].get("time") is not None,
            noise=None if self.labels is None else self.labels.noise,
        )
        shift = Shift.of(self)
        if shift is not None and shift.note:
            found = replace(found, notes=(*found.notes, shift.note))
        probes = self.kept_probes()
        if own and probes is not None:
            found = found.with_sub_cause(probes.sub_cause, probes.sentence())
        if own:
            write_json(self.derived / "diagnosis.json", found.to_dict())
        return found

    def people(self) -> People:
        """What the annotators of `metrics.annotators` reach on the project's examples.

        Raises:
            UsageError: no file is named. DataError: it does not fit.
        """
        named = self.config["metrics"].get("annotators")
        if named is None or self._examples is None:
            what = "no annotators are named" if named is None else "the data is gone or has changed"
            raise UsageError(what, "metrics.annotators", "Name a CSV: --set metrics.annotators=people.csv")
        here = self.project.folder / Path(named).expanduser()  # an absolute path stays what it is
        return human.people_of(self.task(), self._examples, here, self.metric)

    @property
    def labels(self) -> LabelStudy | None:
        """What `study_labels` found of the labels that this run was judged by; None before."""
        path = self.derived / "labels.json"
        if not path.exists():
            return None
        return LabelStudy.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def study_labels(self, workers: int = 1, tell: Callable[[str], None] = lambda text: None) -> LabelStudy:
        """How many labels are wrong, which are suspect, and the least error there can be: six trainings on the side.

        Raises:
            RunError: the data is not what it was, or its labels were corrected since.
        """
        from orthogon.project.trial import Trials
        from orthogon.strategy.label_study import study_labels

        trials = Trials(self.project, parse(self.config))
        if trials.project.corrections(trials.examples) != self.info.get("labels", ""):
            raise RunError(
                f"labels were corrected since run {self.id} was trained",
                str(self.folder),
                "Train on the labels of today first: orthogon train",
            )
        others = {f"{entry['name']} on dev": entry["scores"] for entry in self.baselines()}
        dev = self.scores("dev") if "dev" in self.splits() else None
        found = study_labels(trials, self.metric, dev, others, workers=workers, tell=tell)
        write_json(self.derived / "labels.json", found.to_dict())
        self.__dict__.pop("_diagnosis", None)
        return found

    def scores(self, split: str) -> Scores:
        """The sealed scores of a split; with `judged_today` its sealed answers, scored by the labels of today."""
        if not self.judged_today:
            return super().scores(split)
        return relabel.rescored(self, self.project.read(parse(self.config)), split)

    def write_review(self, out: str | Path, page: bool = True) -> dict[str, Any]:
        """Write the sheet (CSV) on which labels are reviewed, and a page that shows its examples.

        Dev and test are drawn by one rule and shown without answers; suspects of train follow where
        `study_labels` named some.

        Raises:
            UsageError: the file exists, or the data is gone.
        """
        if self._examples is None or self.project.corrections(self.project.read(parse(self.config))) != self.info.get(
            "labels", ""
        ):
            raise UsageError(
                f"the data or the labels of run {self.id} are not what it was trained on",
                str(self.folder),
                "Train on what there is today first: orthogon train",
            )
        known = self.labels.suspects if self.labels is not None else ()
        rows = relabel.write_sheet(self, self.project, self._examples, Path(out), known)
        counts = {split: sum(row.split == split for row in rows) for split in ("dev", "test", "train")}
        written: dict[str, Any] = {"file": str(out), "rows": counts, "page": None}
        if page:
            from orthogon.report.review import review_page

            answers = {split: self.answers(split) for split in self.splits()}
            at = {(split, int(i)): row for split, each in answers.items() for row, i in enumerate(each.ids)}
            cases = [
                (
                    Case(
                        self.task().show(self._examples[row.id], answers[row.split], at[row.split, row.id]),
                        row.id,
                        row.split,
                    ),
                    row.comment,
                )
                for row in rows
                if (row.split, row.id) in at
            ]
            blind = [case for case, _ in cases if case.split != "train"]
            train = [pair for pair in cases if pair[0].split == "train"]
            html = review_page(self.project.name, f"review-{self.id}", blind, train, self.task().class_names())
            write_text(self.derived / "review.html", html)
            written["page"] = str(self.derived / "review.html")
        return written

    def diagnose(self) -> Diagnosis:
        """Where the error comes from: the ladder of errors with intervals, and a verdict on every gap."""
        return self._diagnosis

    def shift(self) -> Shift:
        """How dev differs from train, and whether that costs anything; kept in derived/shift.json.

        Raises:
            RunError: the data is gone or has changed, or there is no dev set.
        """
        examples, splits = self._data()
        found = examine_shift(self, examples, splits, self.metric, self._diagnosis)
        found.write(self)
        self.__dict__.pop("_diagnosis", None)  # it quotes what was found
        return found

    def general_table(self) -> GeneralTable:
        """Errors of people, on examples trained on and on new ones, on general and on target data, side by side.

        Raises:
            RunError: the data is gone or has changed.
        """
        return general_table(self, *self._data(), self.metric)

    def _data(self) -> tuple[Examples, Splits]:
        """The examples and their split, as the run was trained on them.

        Raises:
            RunError: they are gone or have changed.
        """
        from orthogon.data.split import load_splits

        examples, splits = self._examples, load_splits(self.project.folder / "splits", self.info["splits_key"])
        if examples is None or splits is None:
            raise RunError(
                f"the data that run {self.id} was trained on is gone or has changed",
                str(self.config["data"]["source"]),
                "Bring it back, or train on what there is now: orthogon train",
            )
        return examples, splits

    def _study_shift_if_it_matters(self) -> None:
        """Before the report: where a target domain is declared, or mismatch limits the system."""
        gaps = [self.diagnose().gap(name) for name in (MISMATCH, UNSPLIT)]
        limits = any(gap is not None and gap.verdict == MATERIAL for gap in gaps)
        if not limits and self.config["data"].get("target_domain") is None:
            return
        if Shift.of(self) is None and self._examples is not None and "dev" in self.splits():
            self.shift()

    def _shift_shown(self) -> ShiftShown | None:
        """The kept study of shift with the examples it names; None where there is none."""
        study = Shift.of(self)
        if study is None:
            return None
        sides, domains, held_out = [], study.domains, "train_dev" if study.reference == "train-dev" else "train"
        if domains is not None and domains.apart:
            for title, ids, split in (
                (f"Dev examples most unlike {study.reference}", domains.unlike, "dev"),
                (f"Dev examples most like {study.reference}", domains.like, "dev"),
                (f"Examples of {study.reference} most unlike dev", domains.reference_unlike, held_out),
            ):
                scores, answers = self.scores(split), self.answers(split)
                row_of = {int(id_): row for row, id_ in enumerate(scores.ids)}
                rows = [row_of[id_] for id_ in ids if id_ in row_of]
                sides.append((title, [case.card for case in self._cases(rows, split, scores, answers)]))
        two = self.config["data"].get("target_domain") is not None and self._examples is not None
        return ShiftShown(study, self.general_table() if two else None, sides)

    def probe(self, listen: Listener | None = None) -> Probes:
        """Tell a bias that optimisation causes from one that capacity causes, by trainings; see `strategy.probes`."""
        from orthogon.strategy.retrain import probe_run

        found = probe_run(self, self.diagnose(), self.metric, listen)
        write_json(self.derived / "probes.json", found.to_dict())
        for name in ("_diagnosis", "_report_data"):  # they name the sub-cause from now on
            self.__dict__.pop(name, None)
        return found

    def kept_probes(self) -> Probes | None:
        """What `probe` found when it was last run; None where it was not."""
        from orthogon.strategy.probes import Probes

        return self._kept("probes.json", Probes)

    def curve(self, by: By = "data", workers: int | None = None, listen: Listener | None = None) -> LearningCurve:
        """Error against training examples, or against width, and what twice of it would bring; see `strategy.curve`.

        Args:
            by: "data" or "width".
            workers: processes at work beside each other; None: as many as pay.
            listen: called with an event after each training.
        """
        from orthogon.strategy.retrain import curve_of_run

        found = curve_of_run(self, self.diagnose(), self.metric, by, workers, listen)
        write_json(self.derived / CURVE_FILES[by], found.to_dict())
        self.__dict__.pop("_report_data", None)
        return found

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

    def kept_curve(self, by: By = "data") -> LearningCurve | None:
        """The curve that `curve` drew last; None where it drew none."""
        from orthogon.strategy.curve import LearningCurve

        return self._kept(CURVE_FILES[by], LearningCurve)

    def _kept(self, name: str, kind: Any) -> Any:
        """What a study wrote into derived/; None where there is nothing, or nothing that can be read."""
        try:
            return kind.from_dict(json.loads((self.derived / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _rivals(self) -> list[run_folder.Run]:
        """Every finished run scored on the same dev set, this one among them: what a choice was made from."""
        if "dev" not in self.splits():
            return []
        mine = self.scores("dev").ids
        scored = [run for run in self.project.runs() if run.finished and "dev" in run.splits()]
        return [
            run
            for run in scored
            if run.info["fingerprint"] == self.info["fingerprint"]
            and run.info.get("labels", "") == self.info.get("labels", "")
            and np.array_equal(run.scores("dev").ids, mine)
        ]

    def _candidates(self) -> list[Scores]:
        """Dev scores of every system ever compared on this dev set: finished runs, and whole trials."""
        rivals = self._rivals()
        if not rivals:
            return []
        data = [self.info["fingerprint"], self.info["splits_key"]]
        trials = tried(self.project.folder / "trials", data, self.scores("dev"), [run.config for run in rivals])
        return [*(run.scores("dev") for run in rivals), *trials]

    def better_run(self) -> str | None:
        """The best run on the same dev set, when it is not this one: by this one's metric, and within its limits."""
        limits, name, mine = self.config["metrics"]["satisfice"], "dev error", _yardstick(self)
        known = set(self.task().metrics())
        candidates = [
            Candidate(run.id, {**figures_of(run, limits), name: run.info["dev_error"]})
            for run in self._rivals()
            if _yardstick(run) == mine and known.union(run.info.get("cost", {})) >= set(limits)
        ]
        places = {place.name: place for place in select(candidates, name, limits).ranking} if candidates else {}
        if self.id not in places:
            return None
        best, own = next(iter(places.values())), places[self.id]
        better = best.feasible and (not own.feasible or best.value < own.value)
        return best.name if better else None

    def _other_seeds(self) -> list[run_folder.Run]:
        """Runs that differ from this one in the seed alone, this one first; empty when there is no other."""
        if self.members:
            return []
        mine, rivals = self.config, [run for run in self._rivals() if run.id != self.id and not run.members]
        others = [
            run for run in rivals if set(differences(mine, run.config)) == {"seed"} and not run.info.get("changes")
        ]
        if self.info.get("changes"):
            return []  # what was changed by hand is no repetition of anything
        return [self, *others] if others else []

    # -- the mistakes -------------------------------------------------------------------------------------------

    def mistakes(self, split: str = "dev") -> mistakes.Mistakes:
        """Confusion, classes and groups that fail, coverage and calibration of a split."""
        self._check_split(split)
        return mistakes.analyse(
            self.scores(split), self.answers(split), class_names=self.task().class_names(), metric=self.metric
        )

    def worst(self, k: int = 10, split: str = "dev") -> list[Case]:
        """The k mistakes with the largest loss, as cards; of dev those of the part that is looked at."""
        scores = self._shown(split)
        return self._cases(mistakes.worst(scores, k), split, scores, self.answers(split))

    def _shown(self, split: str) -> Scores:
        """Scores of what people may look at example by example: of dev the eyeball part."""
        self._check_split(split)
        scores = self.scores(split)
        return error_analysis.shown(scores, self.halves()) if split == "dev" else scores

    def halves(self) -> Halves:
        """Which part of dev is looked at, and which is only counted; the project's, made with its first run.

        Raises:
            UsageError: the run has no dev set.
        """
        self._check_split("dev")
        return eyeball.halves_of(self.project.folder, self.info["splits_key"], self.scores("dev"), self.id)

    def _about_halves(self) -> str:
        """Which part of dev is looked at, and a warning where the system was fitted to it; empty without dev."""
        if "dev" not in self.splits():
            return ""
        by_eye = self.by_eye()
        warning = f" {by_eye.sentence()}" if by_eye is not None and by_eye.material else ""
        return self.halves().reason + warning

    def rotate(self) -> Halves:
        """From now on look at another part of dev that nobody has looked at.

        Raises:
            UsageError: too little of dev is unseen.
        """
        self._check_split("dev")
        halves = eyeball.turn_of(self.project.folder, self.info["splits_key"], self.scores("dev"), self.id)
        self.project.log("another part of dev is looked at", run=self.id, turns=halves.turns)
        return halves

    def by_eye(self) -> eyeball.ByEye | None:
        """Whether it does better where mistakes were looked at; None where all of dev is, or nobody has looked yet."""
        halves = self.halves()
        if halves.run == self.id and not halves.turns:
            return None
        return eyeball.by_eye(halves, self.scores("dev"), self.metric, self.diagnose().smallest_gap)

    def tags(self) -> TagBook:
        """What was said about the project's examples; change it with `put`, keep it with `save`.

        Raises:
            DataError: the data is gone or another.
        """
        return TagBook.load(self.project.folder, self._examples_or_refuse())

    def error_page(self, worst: int = 60, drawn: int = error_analysis.SAMPLE) -> ErrorPage:
        """Everything that the page of mistakes draws: the worst ones, a random sample, and what was studied so far.

        Raises:
            DataError: the data is gone or another.
        """
        book, scores, unit = self.tags(), self._shown("dev"), self.metric.unit
        bad = [int(i) for i in scores.ids[mistakes.worst(scores, worst)]]
        some = self.to_tag(drawn).tolist()
        ids = np.array(list(dict.fromkeys([*bad, *some])), dtype=np.int64)
        cases = dict(zip(ids.tolist(), self.cases(ids.tolist()), strict=True))
        loss_of = dict(zip(scores.ids.tolist(), np.asarray(scores.records["loss"], float).tolist(), strict=True))
        for id_, case in cases.items():
            if case.card.loss is None:
                cases[id_] = replace(case, card=replace(case.card, loss=loss_of[id_]))
        beside: dict[int, list[Neighbour]] = {}
        if len(ids):
            near, distances = error_analysis.neighbours(
                self.task(), self.network(), book.examples, ids, self._train_ids()
            )
            shown = self._of_train(np.unique(near))
            for id_, some_ids, far in zip(ids.tolist(), near.tolist(), distances, strict=True):
                least = max(float(far[0]), 1e-12)
                beside[id_] = [Neighbour(shown[n], float(d) / least) for n, d in zip(some_ids, far, strict=True)]

        def looked(these: Sequence[int]) -> list[LookedAt]:
            said = [book.entries.get(i, Entry()) for i in these]
            return [LookedAt(cases[i], beside[i], e.tags, e.comment) for i, e in zip(these, said, strict=True)]

        slices, leaks, by_eye = self.kept_slices(), self.kept_leaks(), self.by_eye()
        return ErrorPage(
            project=self.project.name,
            run=self.id,
            title=_error_title(self),
            unit=unit,
            halves=self.halves().reason,
            by_eye=by_eye.sentence() if by_eye is not None and by_eye.material else "",
            num_mistakes=len(mistakes.mistaken(scores)),
            worst=looked(bad),
            drawn=looked(some),
            ceilings=self.tagged() if self.has_tags() else None,
            slices=slices,
            strips=[self.slice_cases(found) for found in slices.found] if slices is not None else (),
            leaks=leaks,
            pairs=self._leak_cases(leaks) if leaks is not None else (),
            version=str(self.info.get("versions", {}).get("orthogon", "")),
        )

    def write_error_page(self, worst: int = 60, drawn: int = error_analysis.SAMPLE) -> Path:
        """Write derived/errors.html, one file that needs no network."""
        from orthogon.report.error_page import write

        return write(self.error_page(worst, drawn), self.derived / "errors.html")

    def _of_train(self, ids: NDArray[np.int64]) -> dict[int, Case]:
        """Examples of train as cards, answered anew."""
        examples = self._examples_or_refuse()
        answers = self.task().answers(self.network(), examples.take(ids), ids)
        cards = (self._telling(self.task().show(examples[int(i)], answers, row)) for row, i in enumerate(ids))
        return {int(id_): Case(card, int(id_), "train") for id_, card in zip(ids, cards, strict=True)}

    def _leak_cases(self, leaks: Leaks, k: int = 12) -> list[tuple[Case, Case]]:
        """Pairs of a leak of which the one of dev may be looked at."""
        looked = set(self._shown("dev").ids.tolist())
        pairs = [pair for each in leaks.found for pair in each.pairs[:k] if pair.dev in looked][:k]
        if not pairs:
            return []
        cases = self.cases([pair.dev for pair in pairs])
        train = self._of_train(np.unique([pair.train for pair in pairs]))
        return [(case, train[pair.train]) for case, pair in zip(cases, pairs, strict=True)]

    def slices(self) -> Slices:
        """Groups of dev examples that fail together, found on one half and confirmed on the other.

        Kept in derived/slices.json, where the report finds them.

        Raises:
            DataError: the data is gone or another.
        """
        self._check_split("dev")
        found = error_analysis.slices_of(
            self.scores("dev"),
            self.answers("dev"),
            self.task(),
            self.network(),
            self._examples_or_refuse(),
            self._train_ids(),
            self.info["splits_key"],
        )
        write_json(self.derived / "slices.json", found.to_dict())
        return found

    def kept_slices(self) -> Slices | None:
        """What `slices` found when it was last asked; None where it was not."""
        path = self.derived / "slices.json"
        return Slices.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def slice_cases(self, found: FoundSlice, k: int = 6) -> list[Case]:
        """Of a slice the most typical examples that may be looked at."""
        looked = set(self._shown("dev").ids.tolist())
        return self.cases([id_ for id_ in found.ids if id_ in looked][:k])

    def leaks(self) -> Leaks:
        """What dev shares with train, and the error on dev with and without it; kept in derived/leaks.json.

        Raises:
            DataError: the data is gone or another.
        """
        self._check_split("dev")
        found = error_analysis.leaks_of(
            self.scores("dev"),
            self.metric,
            self.task(),
            self.network(),
            self._examples_or_refuse(),
            self._train_ids(),
            _error_title(self),
            self.config["data"].get("time") is not None,
        )
        write_json(self.derived / "leaks.json", found.to_dict())
        return found

    def places(self, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
        """Where the two examples of each leak lie: of dev, and of train."""
        examples = self._examples_or_refuse()
        return [(str(examples[pair.dev].origin), str(examples[pair.train].origin)) for pair in pairs]

    def kept_leaks(self) -> Leaks | None:
        """What `leaks` found when it was last asked; None where it was not."""
        path = self.derived / "leaks.json"
        return Leaks.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def _train_ids(self) -> NDArray[np.int64]:
        """Ids of train; a split whose file is gone is made again, with the same ids."""
        return self.project.split(self._examples_or_refuse(), self.task(), parse(self.config))[0]["train"]

    def _examples_or_refuse(self) -> Examples:
        if self._examples is None:
            raise DataError(
                f"the data of run {self.id} is gone or has changed, so its mistakes cannot be shown",
                str(self.config["data"]["source"]),
                "Bring it back, or train a run on the data as it is: orthogon train",
            )
        return self._examples

    def has_tags(self) -> bool:
        """Whether anybody has tagged anything, and the data is there to show what."""
        return self._examples is not None and (self.project.folder / TAGS).exists()

    def cases(self, ids: Sequence[int], split: str = "dev") -> list[Case]:
        """These examples as cards.

        Raises:
            UsageError: one of them is not among those that are looked at.
        """
        scores = self._shown(split)
        row_of = {int(id_): row for row, id_ in enumerate(scores.ids)}
        unknown = [int(id_) for id_ in ids if int(id_) not in row_of]
        if unknown:
            raise UsageError(
                f"example {unknown[0]} is none that is looked at in {split}", "id", "List them: orthogon errors --json"
            )
        return self._cases([row_of[int(id_)] for id_ in ids], split, scores, self.answers(split))

    def to_tag(self, k: int | None = error_analysis.SAMPLE) -> NDArray[np.int64]:
        """Ids of a random sample of k mistakes that are looked at, in an order all runs of the project share."""
        return error_analysis.in_drawn_order(self._shown("dev"), self.info["splits_key"])[:k]

    def tagged(self) -> Ceilings:
        """What mending each kind of mistake could bring at best, from the tags."""
        title = _error_title(self)
        return error_analysis.table_of(self.scores("dev"), self._shown("dev"), self.metric, self.tags(), title)

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

    def _cases(self, rows: Any, split: str, scores: Scores, answers: Any, look: bool = False) -> list[Case]:
        examples = self._examples
        if examples is None:
            return []
        row_of = {int(id_): row for row, id_ in enumerate(answers.ids)}
        network = self.network() if look else None
        cases = []
        for row in rows:
            id_ = int(scores.ids[row])
            card = self._telling(self.task().show(examples[id_], answers, row_of[id_], network))
            cases.append(Case(card, id_, split))
        return cases

    def _telling(self, card: Card) -> Card:
        """The card of a row with the columns first that tell most."""
        if not card.fields:
            return card
        rank = {importance.name: place for place, importance in enumerate(self._importances)}
        return replace(card, fields=dict(sorted(card.fields.items(), key=lambda item: rank.get(item[0], len(rank)))))

    @cached_property
    def _importances(self) -> list[Importance]:
        """The columns that tell most first: every card shows its row in this order. Empty where there are none."""
        if self._examples is None:
            return []
        scores = self.scores(self._judged)
        ids = scores.ids[: min(len(scores), ROWS_FOR_IMPORTANCE)]
        return self.task().importances(self.network(), self._examples.take(ids), self.metric)

    @property
    def _judged(self) -> str:
        """The split that mistakes are looked for in: dev, or train where there is no dev."""
        return "dev" if "dev" in self.splits() else "train"

    @cached_property
    def _examples(self) -> Examples | None:
        """The project's examples; None when the data is gone or no longer what the run was trained on."""
        try:
            examples = self.project.read(parse(self.config), labels=self.info.get("labels", ""))
        except OrthogonError:
            return None
        return examples if examples.fingerprint() == self.info["fingerprint"] else None

    def _check_split(self, split: str) -> None:
        """Refuse test, and what this run has no split of."""
        known = [name for name in self.splits() if name != "test"]
        if split not in (*known, "test"):
            raise UsageError(f'run {self.id} has no split "{split}"', f"--split {split}", did_you_mean(split, known))
        if split == "test":
            raise UsageError(
                "mistakes on test are not shown: looking at them turns the witness into a judge",
                "--split test",
                "Look at dev: orthogon errors --split dev",
            )

    # -- what next ----------------------------------------------------------------------------------------------

    def ending(self) -> Ending | None:
        """How its training ended; None for a run that was not trained to an end, an ensemble among them."""
        if not self.finished or self.members or "steps" not in self.info:
            return None
        why, planned = str(self.info["why"]), self.info.get("planned_steps")
        if why != "budget":
            begun = [event["total_steps"] for event in self.log() if event.get("event") == "start"]
            planned = begun[-1] if begun else None
        minutes = self.config["training"]["minutes"]
        return Ending(why, self.info["steps"], planned, minutes, self.info.get("best_step"))

    def advice_note(self) -> str:
        """What to say beside the steps: why there are none, and what would tell more."""
        if self.members:
            return f"An ensemble takes no step; its members do: orthogon next {int(self.members[0])}"
        return advice.note(self.diagnose(), self.info["split_sizes"], self._leaks())

    def _leaks(self) -> list[str]:
        """What the checks of the data found to give the target away, and what to do about it."""
        leaks = ("leakage-column", "leakage-sum")
        return [f"{found.message} {found.remedy}" for found in self.findings() if found.code in leaks]

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

    def chain(self, disappoints: bool = False) -> str:
        """Fit train, dev, test, do well in the real world: up to the first link that is broken."""
        return chain.in_words(self.diagnose(), real_world=not disappoints)

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
        metrics, baselines = self.config["metrics"], self.baselines()
        options: dict[str, Any] = {
            "human_level": metrics["human_level"],
            "human_level_n": metrics["human_level_n"],
            "smallest_gap": metrics["smallest_gap"],
            "trivial_error": self.metric.error(baselines[0]["scores"]) if baselines else None,
            "mismatch_declared": any(self.config["data"].get(key) is not None for key in ("target_domain", "time")),
        }
        flight = fly(
            self.project,
            self,
            Budget.parse(budget),
            lambda scores: diagnose(scores, self.metric, **options),
            self.metric,
            seed=seed,
            tell=tell,
            progress=progress,
            listen=listen,
        )
        return Run(self.project.run(flight.run).folder), flight

    def multiply_adds(self, overrides: Mapping[str, Any]) -> float | None:
        """Of the network under these overrides, for one example, forward; None where it cannot be built."""
        if not overrides:
            return float(self.info["cost"]["multiply_adds"]) if "cost" in self.info else None
        from orthogon.models.describe import describe

        values = json.loads(json.dumps(self.config))
        for key, value in overrides.items():
            put(values, key, value)
        try:
            task = self.task_as(values)
            return float(describe(task.network(), task.example_inputs(1)).multiply_adds)
        except (OrthogonError, RuntimeError, ValueError):  # a config that no network can be made of is never proposed
            return None

    def _hints(self) -> dict[str, str]:
        """Knob -> how many examples a person should bring, and of which classes or groups: those that fail most."""
        more = self.info["split_sizes"].get("train", 0) // 2
        weakest = self.mistakes(self._judged).weakest()
        which = f" Begin where it fails most: {weakest}." if weakest else ""
        told = {knob: f"In rounds, the first of about {advice.about(more)}.{which}" for knob in advice.BY_EXAMPLES}
        curve = self.kept_curve()
        if curve is not None:
            told["more data"] = f"{curve.sentences()[0]} {told['more data']}"
        return told

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
        in_train = self._in_train(examples, scores.ids)
        by_title = {metric.title: metric for metric in self.task().metrics().values()}  # f1 may be f1_macro itself
        rows = []
        for title, metric in by_title.items():
            figure = _figure(scores, metric)
            rows.append(
                {"name": metric.name, "title": title, "unit": metric.unit, "n": len(scores), "in_train": in_train}
            )
            rows[-1] |= vars(figure)
        return rows

    def _in_train(self, examples: Examples, ids: NDArray[np.int64]) -> int | None:
        """How many of these examples have an input that train holds."""
        from orthogon.data.split import load_splits

        known, splits = self._examples, load_splits(self.project.folder / "splits", self.info["splits_key"])
        if known is None or splits is None:
            return None
        return int(np.isin(examples.content_keys()[ids], known.content_keys()[splits["train"]]).sum())

    def export(self, out: str | Path) -> dict[str, Any]:
        """Write ONNX, checked against PyTorch; see `orthogon.run.export.export`."""
        from orthogon.run.export import export

        return export(self, out)

    def describe(self) -> Description:
        """The network's layers."""
        from orthogon.models.describe import describe as describe_network

        return describe_network(self.network(), self.task().example_inputs(1))

    # -- the report ---------------------------------------------------------------------------------------------

    def report_path(self) -> Path:
        return self.folder / "derived" / "report.html"

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
        cached: ReportData | None = self.__dict__.get("_report_data")
        if cached is not None and cached.examples == examples:
            return cached
        task, metric, info = self.task(), self.metric, self.info
        self._study_shift_if_it_matters()
        diagnosis = self.diagnose()
        judged = self._judged
        scores, answers = self._shown(judged), self.answers(judged)
        order = mistakes.worst(scores, WORST_IN_REPORT)
        cases = self._cases(order, judged, scores, answers, look=True)
        looks = []
        if examples:
            generator = np.random.default_rng(0)
            rest = np.setdiff1d(np.arange(len(scores)), order)
            rest = generator.permutation(rest)[:LOOKS_IN_REPORT]
            looks = self._cases(rest, judged, scores, answers, look=True)
        scores = self.scores(judged)
        parts = {name: self.scores(name) for name in self.splits()}
        figures: dict[str, dict[str, Figure]] = {}
        for each in task.metrics().values():
            figures[each.title] = {name: _figure(part, each, seed) for seed, (name, part) in enumerate(parts.items())}
        baselines = []
        for entry in self.baselines():
            baselines.append(BaselineFigure(entry["name"], _error(entry["scores"], metric), entry["seconds"]))
        agreement = None
        if {"truth", "answer"} <= set(scores.records) and not task.class_names():
            truth, answer = scores.records["truth"], scores.records["answer"]
            if truth.ndim == 1 and truth.dtype.kind == "f":
                agreement = np.stack([truth, answer], axis=1)
        slices, leaks = self.kept_slices(), self.kept_leaks()
        there = self._examples is not None
        strips = [self.slice_cases(each) for each in slices.found] if there and slices is not None else []
        pairs = self._leak_cases(leaks) if there and leaks is not None else []
        data = ReportData(
            project=self.project.name,
            run=self.id,
            task=task.kind,
            problem=str(info.get("problem", "")),
            measure=Measure(metric.name, metric.title, metric.unit, metric.higher_is_better),
            info=info,
            config=self.config,
            sizes=info["split_sizes"],
            split_reason=info["split_reason"],
            findings=self.findings(),
            history=self.history(),
            diagnosis=diagnosis,
            mistakes=self.mistakes(judged),
            cases=cases,
            looks=looks,
            agreement=agreement,
            importances=self._importances,
            baselines=baselines,
            steps=next_steps(self),
            healthy=self.advice_note(),
            ending=f"{self.ending() or ''} {in_words(self.info.get('changes', ()))}".strip(),
            figures=figures,
            units={each.title: each.unit for each in task.metrics().values()},
            class_names=task.class_names(),
            predict_line=f"orthogon predict NEW -o answers.csv --project {self.project.folder.name}",
            report_path=str(near(self.report_path())),
            limits=[(str(limit), limit.kept) for limit in limits_of(self)],
            test_looks=self.project.test_looks(),
            logbook=self._logbook(),
            examples=examples,
            halves=self._about_halves(),
            ceilings=self.tagged() if "dev" in self.splits() and self.has_tags() else None,
            slices=slices,
            strips=strips,
            leaks=leaks,
            pairs=pairs,
            shift=self._shift_shown(),
            growth=[curve for by in CURVE_FILES if (curve := self.kept_curve(by)) is not None],
        )
        self.__dict__["_report_data"] = data
        return data

    def _logbook(self) -> list[dict[str, Any]]:
        """A row a run of the project: run, when, what, error on dev by this run's metric, outcome of a step."""
        outcomes = {entry["run"]: entry for entry in self.project.logbook() if entry["event"] == "step taken"}
        rows = []
        for row in self.project.table():
            comparable = row["metric"] in (None, self.metric.name)
            rows.append(
                {
                    "run": row["run"],
                    "when": row["created"],
                    "what": row["what"],
                    "error": row["dev_error"] if comparable else f"of {row['metric']}",
                    "outcome": outcomes.get(row["run"]),
                }
            )
        return rows

    # -- words --------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What came of it, as plain values: its diagnosis and next steps once it is finished, else how to go on."""
        told: dict[str, Any] = {"run": self.id, "status": self.status, "folder": str(self.folder)}
        if not self.finished:
            return {**told, "resume": self.resume_line() if self.resumable else None}
        told |= {"metric": self.info["metric"], "unit": self.metric.unit, "dev_error": self.info["dev_error"]}
        told |= {"splits": self.info["split_sizes"], "findings": [vars(finding) for finding in self.findings()]}
        told |= {"diagnosis": self.diagnose().to_dict(), "steps": [step.to_dict() for step in next_steps(self)]}
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

    def resume_line(self) -> str:
        """The command that continues this run."""
        return f"orthogon train --resume {int(self.id)} --project {near(self.project.folder)}"

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
        if _yardstick(before) == _yardstick(self):
            then, now = (self.metric.show(run.info["dev_error"]) for run in (before, self))
            errors = f"dev error {then} → {now}"
        else:
            errors = f"the errors do not compare, {_error_title(before)} then and {_error_title(self)} now"
        return f"Against run {before.id}: {shown or 'the same config'}; {errors}.{by_hand}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>run {escape(self.id)}</b> of {escape(self.project.name)}: {escape(str(self))}"

    def __str__(self) -> str:
        if not self.finished:
            return f"run {self.id}, {self.status}"
        metric = self.metric
        return f"run {self.id}: {_error_title(self)} on dev {metric.show(self.info['dev_error'])}, {self.report_path()}"

    def __repr__(self) -> str:
        return f"<Run {self.folder} {self.status}>"


@dataclass(frozen=True)
class Step(Shown, advice.Step):
    """A ranked next step of a run, which can be taken."""

    run: Run | None = None

    def __rich__(self) -> Any:
        from orthogon.report.terminal import next_steps

        return next_steps([self], unit=self.run.metric.unit if self.run is not None else "%")

    def take(self, listen: Listener | None = None) -> tuple[Run, advice.Outcome]:
        """Train a new run with this step's change; (the run, its outcome beside what was expected).

        Raises:
            UsageError: the step is one that only a person can take.
        """
        assert self.run is not None
        if not self.overrides:
            raise UsageError(
                f'step {self.number}, "{self.title}", is yours to take', "--take", f"What it needs: {self.reason}"
            )
        values = json.loads(json.dumps(self.run.config))
        for key, value in self.overrides.items():
            put(values, key, value)
        made = self.run.project.train(
            parse(values),
            parent=self.run.id,
            knob=self.knob,
            expected=self.gain_at_most._asdict(),
            listen=listen,
        )
        child = Run(made.folder)
        if not child.finished:
            return child, advice.Outcome.unfinished(self)
        outcome = advice.measure_step(
            {name: self.run.scores(name) for name in self.run.splits()},
            {name: child.scores(name) for name in child.splits()},
            child.metric,
            self,
        )
        write_json(child.derived / "outcome.json", outcome.to_dict())
        child.project.log("step taken", run=child.id, parent=self.run.id, **outcome.to_dict())
        return child, outcome


# -- the verbs --------------------------------------------------------------------------------------------------


def start(
    source: str | Path,
    target: str | int | Sequence[str | int] | None = None,
    *,
    columns: Sequence[str] | None = None,
    test: str | None = None,
    task: str | None = None,
    sets: Sequence[str] = (),
    minutes: float | None = None,
    seed: int | None = None,
    project: str | Path | None = None,
    listen: Listener | None = None,
) -> Run:
    """Make the project for this data, or take the one that is there, and train a run.

    Args:
        source: folder, file, or built-in name ("digits", "dates", ...).
        target: column or columns to predict, by name or position; tables only.
        columns: names for a table without a header.
        test: a separate file or folder that is the test set.
        task: overrules what kind of problem the data is taken for.
        sets: "key=value" overrides of any key; written to a new project's orthogon.yaml, else for this run alone.
        minutes: bound of the training time.
        seed: seed of weights, order and augmentation.
        project: the project folder; ./NAME-orthogon if None.
        listen: called with an event (dict) at every stage.
    Returns:
        The run; its status is "interrupted" after Ctrl-C.
    Raises:
        UsageError, ConfigError, DataError: what is wrong, where, and what to do; nothing is left behind.
    """
    data: dict[str, Any] = {"source": _absolute(source)}
    source = str(source)
    if target is not None:
        targets = [str(each) for each in ([target] if isinstance(target, str | int) else dict.fromkeys(target))]
        data["target"] = targets[0] if len(targets) == 1 else targets
    if columns is not None:
        data["columns"] = list(columns)
    if test is not None:
        data["test_source"] = _absolute(test)
    said: dict[str, Any] = {"data": data}
    if task is not None:
        said["task"] = {"kind": task}
    place = Path(project) if project else default_folder(source)
    existing = (place / "orthogon.yaml").is_file()
    _check_place(place, source)
    extra = [*sets, *_extra_sets(minutes, seed)]
    if existing:
        here = Project(place)
        _refuse_other_source(here, data["source"])
        spoken = [
            f"{key}={json.dumps(value)}" for key, (_, value) in differences({}, said).items() if key != "data.source"
        ]
        if minutes is not None:
            extra = [*_without_lengths(here.config().model_dump(mode="json"), sets, minutes, listen), *extra]
        config = here.config([*spoken, *extra])
    else:
        values = apply_sets(said, sets)
        parse(apply_sets(values, _extra_sets(minutes, seed)))
        here = Project.create(values, place)
        config = here.config(_extra_sets(minutes, seed))
    try:
        return Run(here.train(config, listen=listen).folder)
    except BaseException:  # Ctrl-C and a full disk among them
        if not existing and not (here.folder / "runs").exists():
            _sweep(here.folder)
        raise


def train(
    *,
    project: str | Path | None = None,
    base: str | None = None,
    sets: Sequence[str] = (),
    minutes: float | None = None,
    seed: int | None = None,
    listen: Listener | None = None,
) -> Run:
    """Train a new run from orthogon.yaml, or from the resolved config of run `base`."""
    here = Project.find(project)
    extra = [*sets, *_extra_sets(minutes, seed)]
    parent = None
    if base is not None:
        chosen = here.run(base)
        parent = chosen.id
    if minutes is not None:
        before = here.config().model_dump(mode="json") if base is None else chosen.config
        extra = [*_without_lengths(before, sets, minutes, listen), *extra]
    config = here.config(extra) if base is None else parse(apply_sets(chosen.config, extra))
    return Run(here.train(config, parent=parent, listen=listen).folder)


def tune(
    base: str | None = None,
    *,
    project: str | Path | None = None,
    strategy: str | None = None,
    budget: str | int = 20,
    tiers: int = 3,
    sets: Sequence[str] = (),
    workers: int = 1,
    name: str | None = None,
    seed: int = 0,
    prune: bool = True,
    train_best: bool = True,
    cluster: str | None = None,
    listen: Listener | None = None,
) -> Tuning:
    """Search hyper-parameters around a run's config, and train the best as a run; dev judges, test is never looked at.

    Args:
        base: the run to start from; the latest finished one, or orthogon.yaml where there is none.
        strategy: random, sobol, coarse-to-fine, tpe, halving or hyperband; coarse-to-fine if None, on a cluster tpe.
        budget: trials (30, "30"), time ("10min", "2h") or compute ("20runs": trainings as dear as the first).
        tiers: how far down the order of importance: 1 the learning rate alone, 4 everything.
        sets: "training.lr=1e-4..1e-2" sets a range, "task.cell=[lstm, gru]" choices, "task.width=64" fixes a value.
        workers: processes beside each other. name: of the study; a number if None. seed: of the points.
        prune: stop trials whose dev log-loss lags behind.
        train_best: train the best as a run in the end.
        cluster: address of a Ray cluster, "auto" or "local"; then random, sobol, halving or tpe, in trials.
        listen: called with {"event": "study", "study": ...}, then with every event of trials and trainings.
    Raises:
        UsageError, ConfigError: what cannot be searched, and what to do.
    """
    from orthogon.strategy import tune as tuner
    from orthogon.strategy.study import DEFAULT

    if cluster is not None:
        from orthogon.strategy.cluster import refuse
        from orthogon.strategy.study import parse_budget

        strategy = strategy or "tpe"  # the default needs to see every trial before the next round
        refuse(strategy, parse_budget(budget).kind)
    here = Project.find(project)
    chosen = here.run(base) if base is not None else next((r for r in reversed(here.runs()) if r.finished), None)
    if chosen is not None and chosen.members:
        raise UsageError(
            f"run {chosen.id} is an ensemble", "", f"Tune a member: orthogon tune {int(chosen.members[0])}"
        )
    config = here.config() if chosen is None else parse(chosen.config)
    study, trials = tuner.begin(
        here,
        config,
        None if chosen is None else chosen.id,
        strategy=strategy or DEFAULT,
        budget=budget,
        tiers=tiers,
        sets=sets,
        name=name,
        seed=seed,
        prune=prune,
    )
    return _tuned(study, trials, workers, train_best, listen, cluster)


def resume_tuning(
    name: str,
    *,
    project: str | Path | None = None,
    workers: int = 1,
    train_best: bool = True,
    listen: Listener | None = None,
) -> Tuning:
    """Go on with a study, or help another process at work on it.

    Raises:
        UsageError: there is none of this name. RunError: its data has changed.
    """
    from orthogon.strategy import tune as tuner

    study, trials = tuner.join(Project.find(project), name)
    return _tuned(study, trials, workers, train_best, listen)


def _tuned(
    study: Study,
    trials: Trials,
    workers: int,
    train_best: bool,
    listen: Listener | None,
    cluster: str | None = None,
) -> Tuning:
    """Work on a study to its end; keep what was found as result.json and tune.html, and the best as a run."""
    from orthogon.report.tuning import write_page
    from orthogon.strategy import tune as tuner

    tell = listen or (lambda event: None)
    tell({"event": "study", "study": study})
    try:
        if cluster is None:
            ended = study.work_beside(trials, workers, tell)
        else:
            from orthogon.strategy.cluster import work_on_ray

            ended = work_on_ray(study, cluster, workers, tell)
    except KeyboardInterrupt:
        write_page(tuner.found(study, trials, "stopped"), study.folder / "tune.html")
        raise
    tuning = tuner.found(study, trials, ended)
    if train_best and not study.at_work():
        tell({"event": "study over", "tuning": tuning})
        tuning, made = tuner.train_best(study, tuning, listen)
        if made is not None and made.finished:
            Run(made.folder).write_report()
    write_page(tuning, study.folder / "tune.html")
    return tuning


def tunings(*, project: str | Path | None = None) -> list[Tuning]:
    """Every study of the project as it was kept last, with a word on those that are older than the data."""
    from orthogon.strategy import tuning as found
    from orthogon.strategy.study import studies

    here = Project.find(project)
    kept = [each for study in studies(here) if (each := found.kept(study)) is not None]
    examples = here.read(here.config()) if kept else None
    if examples is None:
        return []
    now, size = examples.fingerprint(), len(examples)
    return [
        replace(each, stale=found.stale(each.created, each.fingerprint, each.num_examples, now, size)) for each in kept
    ]


def resume(
    name: str | None = None,
    *,
    project: str | Path | None = None,
    sets: Sequence[str] = (),
    rollback: int | None = None,
    listen: Listener | None = None,
) -> Run:
    """Continue a run that was killed or interrupted; the newest such run if no name is given.

    Args:
        sets: "key=value" to change from here on. rollback: a step to go back to first.
    Raises:
        RunError: there is none, or the named one is finished, failed (with its reason) or running.
        UsageError: a setting cannot change on the way, or there is no checkpoint so early.
    """
    here = Project.find(project)
    chosen = here.resumable() if name is None else here.run(name)
    return Run(here.resume(chosen, listen, sets, rollback).folder)


def load(name: str | Path | None = None, *, project: str | Path | None = None) -> Run:
    """A run: by number in the project, by folder, or the latest finished one.

    Raises:
        RunError: there is none, or it is damaged. UsageError: there is no project here.
    """
    if name == "":
        raise UsageError('there is no run ""', "", "List the runs: orthogon runs")
    if name is not None and (Path(name) / "run.json").is_file():
        return Run(name)
    if name is not None and project is None and (Path(name) / "orthogon.yaml").is_file():
        return Run(Project(name).run().folder)
    chosen = Run(Project.find(project).run(None if name is None else str(name)).folder)
    if chosen.status == "failed":
        why = str(chosen.info.get("why", "")).splitlines() or [""]
        remedy = f"Train again with another setting: orthogon train --project {near(chosen.project.folder)}"
        raise RunError(f"run {chosen.id} failed: {why[0]}", str(chosen.folder), "\n".join([*why[1:], remedy]))
    if chosen.status == "running":
        raise RunError(f"run {chosen.id} is running", str(chosen.folder), "Wait until it has finished: orthogon runs")
    if not chosen.finished:
        again = f"It cannot be resumed. Make it anew; see: orthogon runs --project {near(chosen.project.folder)}"
        remedy = f"Resume it with: {chosen.resume_line()}" if chosen.resumable else again
        raise RunError(f"run {chosen.id} was {chosen.status}", str(chosen.folder), remedy)
    return chosen


def next_steps(run: Run, k: int = 3, disappoints: bool = False) -> list[Step]:
    """Up to k steps that aim at the largest material gap, ranked, and the ideas of the logbook among them.

    Args:
        disappoints: those who use it are not content, whatever dev says. Where train, dev and test hold, the steps are
            then to move the dev set or the cost.
    """
    if run.members:
        return []
    sizes, tried, history, logbook = run.info["split_sizes"], _tried(run), run.history(), run.project.logbook()
    beliefs, diagnosis = shipped().after(logbook), run.diagnose()
    found = advice.next_steps(
        diagnosis,
        run.config,
        sizes,
        k=k,
        tried=tried,
        history=history,
        ending=run.ending(),
        leaks=run._leaks(),
        beliefs=beliefs,
        multiply_adds=run.multiply_adds,
        hints=run._hints(),
    )
    if disappoints and chain.broken_in(diagnosis, real_world=False) is chain.CHAIN[-1]:
        found = advice.ranked(diagnosis, REAL_WORLD, run.config, sizes, beliefs=beliefs)
    thought_of = ideas.board(logbook)
    if thought_of and "dev" in run.splits():
        on_dev = estimate(run.scores("dev"), run.metric)
        found = ideas.with_ideas(found, ideas.steps_of(thought_of, on_dev, run.config, beliefs))
    found = [replace(step, number=number) for number, step in enumerate(found, start=1)]
    return [Step(**{f.name: getattr(step, f.name) for f in fields(advice.Step)}, run=run) for step in found]


def _tried(run: Run) -> set[tuple[str, str]]:
    """(knob, gap) of the steps that were taken from this run, or on the way to it, and did not help."""
    taken = [entry for entry in run.project.logbook() if entry["event"] == "step taken"]
    parents = {entry["run"]: entry["parent"] for entry in taken}
    way = [run.id]
    while way[-1] in parents:
        way.append(parents[way[-1]])
    return {(entry["knob"], entry["gap"]) for entry in taken if entry["verdict"] != "helped" and entry["parent"] in way}


def pick(steps: Sequence[Step], number: int) -> Step:
    """Step `number` of the list.

    Raises:
        UsageError: there is no such step.
    """
    for step in steps:
        if step.number == number:
            return step
    remedy = f"Choose 1 to {len(steps)}." if steps else "This run has no next step: orthogon next says why."
    raise UsageError(f"there is no step {number}", "--take", remedy)


def describe(name: str | None = None, *, project: str | Path | None = None) -> Description:
    """The layers of a run's network, or of a network's standard form by name ("convnet")."""
    from orthogon.models import NETWORKS, build

    if name is None or name.isdigit() or (Path(name) / "run.json").is_file():
        return load(name, project=project).describe()
    from orthogon.models.describe import describe as describe_network

    network, inputs = build(name)
    return describe_network(network, inputs, name if name in NETWORKS else "")


def compare(names: Sequence[str], *, project: str | Path | None = None, metric: str | None = None) -> Comparison:
    """Runs side by side on the dev set they share, and one page that shows them.

    Args:
        metric: judges all of them; each by its own if None, and then they are ranked only when that is the same.
    Raises:
        UsageError: fewer than two runs, or one of them twice; or a task of theirs does not have that metric.
    """
    runs = [load(name, project=project) for name in names]
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        what = "one run cannot be compared" if len(runs) < 2 else "a run cannot be compared with itself"
        raise UsageError(what, " ".join(names), "Name two: orthogon compare 1 2")
    for run in runs:
        known = run.task().metrics()
        if metric is not None and metric not in known:
            what = f'"{metric}" is not a metric of run {run.id}'
            raise UsageError(what, "--metric", did_you_mean(metric, known))
        run.judged_by = metric
    today = {run.project.corrections(run.project.read(parse(run.config))) for run in runs if run._examples is not None}
    if {run.info.get("labels", "") for run in runs} | today != {runs[0].info.get("labels", "")} and len(today) == 1:
        for run in runs:
            run.judged_today = True
    return Comparison(runs)


def correct_labels(sheet: str | Path, *, project: str | Path | None = None) -> relabel.Relabelled:
    """Put the new labels of a relabel.csv over the project's data, on dev and test alike, or refuse.

    The user's files are not touched; runs made before stay as they are, and say so where they are compared.

    Raises:
        UsageError: rows that do not fit, or dev and test are not cleaned by one process; nothing is changed then.
    """
    return relabel.relabel(Project.find(project), Path(sheet))


def undo_labels(*, project: str | Path | None = None) -> relabel.Relabelled:
    """Take the latest correction of labels back."""
    return relabel.undo(Project.find(project))


class Comparison(Shown):
    """Runs beside the first of them: errors, what changed, and whether the difference is real.

    selection: the ranking, by the one metric and the limits of the newest run; None where the runs were judged by
        different metrics, whose errors do not compare. refused: then, why and what to do.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        first = self.runs[0]
        self.rows: list[dict[str, Any]] = []
        for run in self.runs:
            metric = run.metric
            row: dict[str, Any] = {
                "run": run.id,
                "metric": metric.name,
                **{
                    {"value": "error"}.get(key, key): value
                    for key, value in vars(_error(run.scores("dev"), metric)).items()
                },
                "parameters": run.info["parameters"],
                "seconds": run.info["seconds"],
                "changed": {k: list(v) for k, v in differences(first.config, run.config).items()},
            }
            alike = _yardstick(run) == _yardstick(first)
            if run is not first and alike and np.array_equal(run.scores("dev").ids, first.scores("dev").ids):
                gap = gap_interval(first.scores("dev"), run.scores("dev"), metric, paired=True)
                row |= {"difference": gap.value, "gap_low": gap.low, "gap_high": gap.high}
            self.rows.append(row)
        self.selection, self.refused = self._ranked()

    def judged(self) -> str:
        """By which labels, where some were corrected since a run was trained."""
        today = self.runs[0].project.corrections(self.runs[0].project.read(parse(self.runs[0].config)))
        old = [run for run in self.runs if run.info.get("labels", "") != today]
        own = ", ".join(f"run {run.id} {run.metric.show(run.info['dev_error'])}" for run in old if not run.judged_by)
        by_then = f" By the labels they were trained on: {own}." if own else ""
        return f"Labels were corrected since: all runs are judged by the labels of today.{by_then}"

    def _ranked(self) -> tuple[Selection | None, str]:
        """The ranking, or why there is none. The same in whatever order the runs were named."""
        runs = sorted(self.runs, key=lambda run: (run.info["created"], run.id))
        yardsticks = [_yardstick(run) for run in runs]
        if len(set(yardsticks)) > 1:
            judged = ", ".join(f"{run.id} by {_error_title(run)}" for run in runs)
            shared = set.intersection(*(set(run.task().metrics()) for run in runs))
            same = [
                name
                for name in runs[0].task().metrics()
                if name in shared and len({_yardstick(run, name) for run in runs}) == 1
            ]
            names = " ".join(str(int(run.id)) for run in runs)
            remedy = "Train them with one metrics.optimise, on one task."
            if same:
                remedy = f"Judge all by one: orthogon compare {names} --metric {same[0]}"
            return None, f"Not ranked: their errors do not compare ({judged}). {remedy}"
        metric, limits = runs[-1].metric, runs[-1].config["metrics"]["satisfice"]
        candidates = [Candidate(run.id, figures_of(run, {metric.name, *limits})) for run in runs]
        found = select(candidates, metric.name, limits, higher_is_better=metric.higher_is_better, unit=metric.unit)
        if any(run.config["metrics"]["satisfice"] != limits for run in runs):
            kept = "; ".join(f"{name} {text}" for name, text in limits.items()) or "none"
            found = replace(found, reason=f"{found.reason} Limits are those of run {runs[-1].id}, the newest: {kept}.")
        return found, ""

    def write(self) -> Path:
        """The page that shows the runs side by side, in the newest run's derived/ folder."""
        from orthogon.report.compare import compare_page

        path = self.runs[-1].derived / f"compare-{'-'.join(run.id for run in self.runs)}.html"
        differences = [
            Figure(row["difference"], row["gap_low"], row["gap_high"]) if "difference" in row else None
            for row in self.rows[1:]
        ]
        write_text(path, compare_page([run.report_data() for run in self.runs], differences))
        return path

    def to_dict(self) -> dict[str, Any]:
        selection = self.selection and self.selection.to_dict()
        judged = self.judged() if self.runs[0].judged_today else ""
        return {
            "runs": self.rows,
            "selection": selection,
            "refused": self.refused,
            "labels": judged,
            "page": str(self.write()),
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        from orthogon.report import words

        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("run")
        if self.selection is None:
            table.add_column("metric")
        table.add_column("dev error", justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
        table.add_column("against the first", justify="right", no_wrap=True)
        table.add_column("")
        changes = []
        for run, row in zip(self.runs, self.rows, strict=True):
            gap, real, unit = "", "", run.metric.unit
            if "difference" in row:
                real = "better" if row["gap_high"] < 0 else "worse" if row["gap_low"] > 0 else "no real difference"
                span = words.span(row["gap_low"], row["gap_high"], unit)
                gap = f"{words.gap(row['difference'], unit)} {span}"
            changed = ", ".join(f"{key} {old} → {new}" for key, (old, new) in row["changed"].items())
            error, span = run.metric.show(row["error"]), words.span(row["low"], row["high"], unit)
            judged = [_error_title(run)] if self.selection is None else []
            table.add_row(row["run"], *judged, error, span, gap, real)
            if run is not self.runs[0]:
                changes.append(f"Run {row['run']} against run {self.runs[0].id}: {changed or 'the same config'}")
        yield table
        yield from map(Text, changes)
        if self.runs[0].judged_today:
            yield Text(self.judged())
        yield Text(self.refused if self.selection is None else self.selection.reason)
        yield f"Side by side: {near(self.write())}"


def ensemble(
    runs: Sequence[int | str | Path | Run], *, project: str | Path | None = None, listen: Listener | None = None
) -> Run:
    """A run that answers with the mean of what these runs answer; it holds their weights and needs them no more.

    Args:
        runs: two or more finished runs of one project: numbers, folders, or what `load` gave.
        listen: called with an event (dict) at every stage.
    Raises:
        UsageError, RunError: they cannot be averaged; says which run, and why.
    """
    members = [each if isinstance(each, Run) else load(str(each), project=project) for each in runs]
    if not members:
        raise UsageError("no run is named", "", "For instance: orthogon ensemble 1 2 3")
    return Run(members[0].project.ensemble(members, listen).folder)


class Averaged(Shown):
    """An ensemble beside its members: each one's dev error, their mean, and what averaging the answers brings.

    Raises:
        RunError: a member is gone.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.metric = run, run.metric
        judged = run._judged
        members = [Run(run.project.run(name).folder) for name in run.members]
        scores = [member.scores(judged) for member in members]
        self.members = {member.id: _error(each, self.metric) for member, each in zip(members, scores, strict=True)}
        self.whole = _error(run.scores(judged), self.metric)
        self.mean = float(np.mean([figure.value for figure in self.members.values()]))
        gap = against_mean(run.scores(judged), scores, self.metric)
        self.gain = Figure(gap.value, gap.low, gap.high)

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run.id,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "members": [{"run": name, **vars(figure)} for name, figure in self.members.items()],
            "mean_member": self.mean,
            "ensemble": vars(self.whole),
            "difference": vars(self.gain),
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        from orthogon.report import words

        unit = self.metric.unit
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        table.add_column("dev error", justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
        for name, figure in self.members.items():
            table.add_row(f"run {name}", self.metric.show(figure.value), words.span(figure.low, figure.high, unit))
        table.add_row("mean member", self.metric.show(self.mean), "")
        span = words.span(self.whole.low, self.whole.high, unit)
        table.add_row(f"ensemble, run {self.run.id}", self.metric.show(self.whole.value), span)
        yield table
        gain = self.gain
        real = "better" if gain.high < 0 else "worse" if gain.low > 0 else "no real difference"
        yield (
            f"Ensemble against the mean member: {words.gap(gain.value, unit)} "
            f"{words.span(gain.low, gain.high, unit)}, {real}."
        )


# -- data -------------------------------------------------------------------------------------------------------


def builtin_data() -> list[dict[str, str]]:
    """[{"name", "description"}] of the data that needs no download."""
    from orthogon.data.builtin import BUILTIN

    return [{"name": name, "description": entry.description} for name, entry in BUILTIN.items()]


def write_data(name: str, out: str, num: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Write built-in or generated data as plain files into a new folder.

    Raises:
        UsageError: the name is unknown, or the folder exists and is not empty.
    """
    from orthogon.data.builtin import BUILTIN, write
    from orthogon.data.config import DataConfig

    if name not in BUILTIN:
        raise UsageError(f'"{name}" is not built in', "", did_you_mean(name, BUILTIN))
    place = Path(out)
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{out} exists and is not empty", str(place), "Choose another folder with -o.")
    examples = BUILTIN[name].load(DataConfig(source=name, num_examples=num), seed=seed)
    write(examples, place)
    return {"folder": str(place), "examples": len(examples)}


@dataclass
class Inspection(Shown):
    """What data is, how it would be split, and what was noticed."""

    examples: Examples
    splits: Splits
    findings: list[Finding]
    task: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "examples": len(self.examples),
            "task": self.task,
            "reason": getattr(self.examples, "reason", ""),
            "splits": self.splits.sizes(),
            "split_reason": self.splits.reason,
            "findings": [vars(finding) for finding in self.findings],
        }

    def write_splits(self, out: str) -> None:
        refuse_to_write(Path(out))
        with open(out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "origin", "split"])
            for split in self.splits.sizes():
                writer.writerows([int(i), str(self.examples[int(i)].origin), split] for i in self.splits[split])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        sizes = ", ".join(f"{name.replace('_', '-')} {size:,}" for name, size in self.splits.sizes().items())
        reason = str(getattr(self.examples, "reason", ""))
        yield Text(f"{len(self.examples):,} examples: {reason}.")
        yield Text(f"Splits: {sizes}. {self.splits.reason}" if sizes else self.splits.reason)
        types = getattr(self.examples, "column_types", None)
        if types:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for heading in ("column", "taken for", "because"):
                table.add_column(heading, overflow="fold")
            for name, column in types.items():
                use = "target" if name in self.examples.target_columns else column.kind  # type: ignore[attr-defined]
                left_out = name in self.examples.left_out  # type: ignore[attr-defined]
                table.add_row(Text(str(name)), f"{use}, left out" if left_out else use, Text(column.reason))
            yield table


def inspect_data(
    source: str, target: str | Sequence[str] | None = None, sets: Sequence[str] = (), checks: bool = True
) -> Inspection:
    """Read, split and check data without a project and without training."""
    from orthogon.data.checks import check
    from orthogon.data.examples import Splits
    from orthogon.data.read import read
    from orthogon.data.split import make_splits
    from orthogon.project.project import TASK_OF, check_kind
    from orthogon.tasks import task_class

    config = parse(apply_sets({"data": _data_section(source, target)}, sets))
    examples = read(config.data)
    kind = config.task.get("kind") or TASK_OF[examples.modality]
    check_kind(kind, examples)
    task = task_class(kind)(with_kind(config, kind).task_config(), seed=config.seed)
    try:
        splits = make_splits(examples, config.data, task.strata(examples), config.data.split_seed)
    except DataError:
        findings = check(examples, None) if checks else []
        if not any(finding.severity == "error" for finding in findings):
            raise
        return Inspection(examples, Splits({}, "Not split: see the errors below."), findings, kind)
    findings = [*check(examples, splits), *task.findings(examples.take(splits["train"]))] if checks else []
    return Inspection(examples, splits, findings, kind)


def _data_section(source: str, target: str | Sequence[str] | None) -> dict[str, Any]:
    data: dict[str, Any] = {"source": _absolute(source)}
    if target is not None:
        targets = [target] if isinstance(target, str) else list(target)
        data["target"] = targets[0] if len(targets) == 1 else targets
    return data


PREVIEWED, PREVIEWED_EPOCHS = 5, 7  # pictures of a preview, and how often each is shown varied


def preview_data(source: str, out: str | Path, sets: Sequence[str] = ()) -> dict[str, Any]:
    """A picture of what training will see: a few examples of train, each beside its first epochs.

    Args:
        source: data, or a project folder, whose config then says how pictures are varied.
        out: PNG to write.
    Returns:
        file, changes (in words), and the places of the examples.
    Raises:
        UsageError: the file exists, the data holds no pictures, or nothing is varied.
    """
    from orthogon.data.read import is_project, read
    from orthogon.data.split import make_splits
    from orthogon.project.project import TASK_OF, check_kind
    from orthogon.report.plots import to_png, varied_pictures
    from orthogon.tasks import task_class
    from orthogon.tasks.image_classification import ImageClassification

    place = Path(out)
    refuse_to_write(place)
    if is_project(Path(source)):
        config = Project(source).config(sets)
        examples = Project(source).read(config)
    else:
        config = parse(apply_sets({"data": _data_section(source, None)}, sets))
        examples = read(config.data)
    kind = config.task.get("kind") or TASK_OF[examples.modality]
    check_kind(kind, examples)
    config = with_kind(config, kind)
    task = task_class(kind)(config.task_config(), seed=config.seed)
    if not isinstance(task, ImageClassification):
        raise UsageError(
            f"{kind} data is not varied: there is nothing to preview", source, "Name a folder of pictures."
        )
    splits = make_splits(examples, config.data, task.strata(examples), config.data.split_seed)
    train = examples.take(splits["train"])
    by_hand = task.config.augment.strength is not None
    config = resolve(config, kind, task.suggest(train))
    task = ImageClassification(config.task_config(), seed=config.seed)
    task.fit(train)
    if not task.augments:
        head = task.config.transfer == "head" and not by_hand
        why = ", for only the head of pretrained weights is trained, and quickest so" if head else ""
        raise UsageError(
            f"pictures are not varied: training sees them as they are{why}",
            "task.augment.strength",
            "For instance: --set task.augment.strength=1 --set task.augment.rotation=20",
        )
    rows, originals, epochs = task.preview(train, PREVIEWED, PREVIEWED_EPOCHS)
    names = [str(train[int(row)].target) for row in rows]
    notes = [
        [
            "" if share > 0.995 or k == i else f"own {share:.0%}, {names[k]} {1 - share:.0%}"
            for i, k in enumerate(partners)
        ]
        for _, partners, share in epochs
    ]
    title = task.config.augment.in_words()
    to_png(varied_pictures(originals, np.stack([each for each, _, _ in epochs]), names, notes, title), place)
    return {"file": str(place), "changes": title, "examples": [str(train[int(row)].origin) for row in rows]}


# -- parts ------------------------------------------------------------------------------------------------------


def _yardstick(run: run_folder.Run, name: str | None = None) -> tuple[str, str, str]:
    """What a run's errors are errors of; those of two runs compare where it is the same.

    Args:
        name: a metric in place of the one that judges the run.
    """
    metric = run.task().metrics()[name or getattr(run, "judged_by", None) or run.info["metric"]]
    costs = run.config["metrics"]["class_costs"] if metric.name == "weighted_error" else {}
    return metric.name, metric.title, json.dumps(costs, sort_keys=True)  # F1's title names the positive class


def _error_title(run: run_folder.Run) -> str:
    """What a run's 0-best error is called."""
    metric = run.task().metrics()[getattr(run, "judged_by", None) or run.info["metric"]]
    return f"1 - {metric.title}" if metric.higher_is_better else metric.title


def _figure(scores: Scores, metric: Metric, seed: int = 0) -> Figure:
    """The metric as people quote it, with its 95 % interval; the diagnosis draws each split by its place as seed."""
    found = interval(scores, metric, seed=seed)
    return Figure(found.value, found.low, found.high)


def _error(scores: Scores, metric: Metric) -> Figure:
    """The metric turned so that 0 is best, with its 95 % interval."""
    found = estimate(scores, metric).interval()
    return Figure(found.value, found.low, found.high)


def _without_lengths(
    config: Mapping[str, Any], sets: Sequence[str], minutes: float, listen: Listener | None
) -> list[str]:
    """What takes the epochs or steps out of a config that is to be trained for minutes; the listener is told.

    A length among `sets` is the user's own and stays: it contradicts the minutes, and is told so.
    """
    asked = {assignment.partition("=")[0].strip() for assignment in sets}
    keys = [f"training.{name}" for name in ("epochs", "steps") if config["training"].get(name) is not None]
    keys = [key for key in keys if key not in asked]
    if keys and listen is not None:
        message = f"{minutes:g} minutes take the place of {' and '.join(keys)} for this run"
        listen({"event": "warning", "code": "minutes-instead", "message": message, "remedy": ""})
    return [f"{key}=null" for key in keys]


def _extra_sets(minutes: float | None, seed: int | None) -> list[str]:
    extra = [] if minutes is None else [f"training.minutes={minutes}"]
    return extra if seed is None else [*extra, f"seed={seed}"]


def _absolute(source: str | Path) -> str:
    """A path that stays right from any folder; a built-in name as it is.

    Raises:
        UsageError: it is empty, or no path.
    """
    from orthogon.run.predict import refuse_no_path

    refuse_no_path(source)
    if not str(source):
        raise UsageError("no data is named", "", "For instance: orthogon start digits")
    from orthogon.data.read import is_project

    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() and not is_project(path) else str(source)


def _refuse_other_source(project: Project, source: str) -> None:
    config: Mapping[str, Any] = project.config().model_dump()
    known = config["data"]["source"]
    if known not in (source, str(Path(source).expanduser().resolve())):  # the path of data that is gone
        raise UsageError(
            f"this project holds other data: {known}",
            str(project.folder),
            f"Give the new data a project of its own: orthogon start {source} --project NAME-orthogon",
        )


def _check_place(place: Path, source: str) -> None:
    """Refuse a project folder that is a file, or that lies in the data."""
    from orthogon.data.read import is_project

    data, remedy = Path(source).expanduser(), "Name a folder of its own: --project NAME-orthogon"
    if any(part.exists() and not part.is_dir() for part in (place, *place.parents)):
        raise UsageError("the project needs a folder, and this is a file", str(place), remedy)
    if data.is_dir() and not is_project(data) and place.resolve().is_relative_to(data.resolve()):
        raise UsageError("a project is never made inside the data", str(place), remedy)


def _sweep(folder: Path) -> None:
    """Remove a project that never got a run: only what Orthogon itself put there."""
    for name in ("cache", "splits"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("orthogon.yaml", "logbook.jsonl"):
        (folder / name).unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def near(path: Path) -> Path:
    """The path as seen from the current folder, when it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


__all__ = [
    "Averaged",
    "Comparison",
    "Inspection",
    "ProjectConfig",
    "Run",
    "Step",
    "compare",
    "ensemble",
    "load",
    "next_steps",
    "resume",
    "start",
    "train",
]
