"""What is known of a run: everything that is read from it and its project, without training and without writing.

`KnownRun` puts a run beside its project and the data it was trained on; the verbs of `run.Run` build on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.api import kept, rivals
from orthogon.errors import OrthogonError, RunError, UsageError, did_you_mean
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.report.data import Case
from orthogon.run import folder as run_folder
from orthogon.run.folder import write_json
from orthogon.strategy import advice, chain, error_analysis, eyeball, human, mistakes, relabel
from orthogon.strategy.diagnosis import Diagnosis, diagnose
from orthogon.strategy.knobs import Ending
from orthogon.strategy.label_study import LabelStudy
from orthogon.strategy.probes import Probes
from orthogon.strategy.shift import Shift
from orthogon.strategy.tags import FILE as TAGS
from orthogon.strategy.tags import TagBook

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orthogon.data.examples import Examples, Splits
    from orthogon.metrics.score import Metric, Scores
    from orthogon.strategy.ceilings import Ceilings
    from orthogon.strategy.human import People
    from orthogon.strategy.slices import FoundSlice
    from orthogon.tasks.task import Answers, Card, Importance

ROWS_FOR_IMPORTANCE = 2000


class KnownRun(run_folder.Run):
    """A run beside its project and the data it was trained on.

    judged_by: a metric to judge it by in place of its own, for a comparison.
    judged_today: whether it is judged by the labels of today in place of those it was trained on, for a comparison.
    """

    judged_by: str | None = None
    judged_today: bool = False
    _diagnosis: Diagnosis | None = None

    # -- its project, its data, its scores ----------------------------------------------------------------------

    @cached_property
    def project(self) -> Project:
        return Project(self.folder.parent.parent)

    @property
    def metric(self) -> Metric:
        """The one metric that ranks runs."""
        return self.task().metrics()[self.judged_by or self.info["metric"]]

    def scores(self, split: str) -> Scores:
        """The sealed scores of a split; with `judged_today` its sealed answers, scored by the labels of today."""
        if not self.judged_today:
            return super().scores(split)
        return relabel.rescored(self, self.project.read(parse(self.config)), split)

    @property
    def judged_split(self) -> str:
        """The split that mistakes are looked for in: dev, or train where there is no dev."""
        return "dev" if "dev" in self.splits() else "train"

    @cached_property
    def examples(self) -> Examples | None:
        """The project's examples; None when the data is gone or no longer what the run was trained on."""
        try:
            examples = self.project.read(parse(self.config), labels=self.info.get("labels", ""))
        except OrthogonError:
            return None
        return examples if examples.fingerprint() == self.info["fingerprint"] else None

    def data(self) -> tuple[Examples, Splits]:
        """The examples and their split, as the run was trained on them; a split whose file is gone is made again.

        Raises:
            RunError: they are gone or have changed.
        """
        if self.examples is None:
            raise RunError(
                f"the data that run {self.id} was trained on is gone or has changed",
                str(self.config["data"]["source"]),
                "Bring it back, or train on what there is now: orthogon train",
            )
        return self.examples, self.project.split(self.examples, self.task(), parse(self.config))[0]

    # -- what limits it -----------------------------------------------------------------------------------------

    def kept(self, kind: type[kept.Found], by: str = "data") -> kept.Found | None:
        """What a study found last, such as `kept(Slices)`; None where it was not made.

        Args:
            by: of a curve, what grows: "data" or "width".
        """
        return kept.read(self, kind, by)

    def diagnose(self) -> Diagnosis:
        """Where the error comes from: the ladder of errors with intervals, and a verdict on every gap."""
        if self._diagnosis is None:
            self._diagnosis = self._diagnosed()
        return self._diagnosis

    def _diagnosed(self) -> Diagnosis:
        own = self.judged_by in (None, self.info["metric"])
        told = self.told()
        if not own:  # these are in the unit of the run's own metric
            told |= dict.fromkeys(("human_level", "human_level_n", "smallest_gap"))
        elif self.config["metrics"].get("annotators") is not None and self.examples is not None:
            best = self.people().best
            told |= {"human_level": best.error, "human_level_n": best.n}
        labels, shift, probes = self.kept(LabelStudy), self.kept(Shift), self.kept(Probes)
        found = diagnose(
            {name: self.scores(name) for name in self.splits()},
            self.metric,
            **told,
            seeds=[{name: run.scores(name) for name in run.splits()} for run in rivals.other_seeds(self, self.project)],
            candidates=rivals.candidates(self, self.project),
            ordered_in_time=self.config["data"].get("time") is not None,
            noise=None if labels is None else labels.noise,
        )
        if shift is not None and shift.note:
            found = replace(found, notes=(*found.notes, shift.note))
        if own and probes is not None:
            found = found.with_sub_cause(probes.sub_cause, probes.sentence())
        if own:
            write_json(self.derived / "diagnosis.json", found.to_dict())
        return found

    def told(self) -> dict[str, Any]:
        """What the config and the baselines say to a diagnosis."""
        config, baselines = self.config, self.baselines()
        return {
            **{key: config["metrics"][key] for key in ("human_level", "human_level_n", "smallest_gap")},
            "trivial_error": self.metric.error(baselines[0]["scores"]) if baselines else None,
            "mismatch_declared": any(config["data"].get(key) is not None for key in ("target_domain", "time")),
        }

    def people(self) -> People:
        """What the annotators of `metrics.annotators` reach on the project's examples.

        Raises:
            UsageError: no file is named. DataError: it does not fit.
        """
        named = self.config["metrics"].get("annotators")
        if named is None or self.examples is None:
            what = "no annotators are named" if named is None else "the data is gone or has changed"
            raise UsageError(what, "metrics.annotators", "Name a CSV: --set metrics.annotators=people.csv")
        here = self.project.folder / Path(named).expanduser()  # an absolute path stays what it is
        return human.people_of(self.task(), self.examples, here, self.metric)

    def better_run(self) -> str | None:
        """The best run on the same dev set, when it is not this one: by this one's metric, and within its limits."""
        return rivals.better_run(self, self.project)

    # -- the mistakes -------------------------------------------------------------------------------------------

    def mistakes(self, split: str = "dev") -> mistakes.Mistakes:
        """Confusion, classes and groups that fail, coverage and calibration of a split."""
        self._refuse_split(split)
        return mistakes.analyse(
            self.scores(split), self.answers(split), class_names=self.task().class_names(), metric=self.metric
        )

    def worst(self, k: int = 10, split: str = "dev") -> list[Case]:
        """The k mistakes with the largest loss, as cards; of dev those of the part that is looked at."""
        scores = self.looked_at(split)
        return self.cards(scores.ids[mistakes.worst(scores, k)], split)

    def cases(self, ids: Sequence[int], split: str = "dev") -> list[Case]:
        """These examples as cards.

        Raises:
            UsageError: one of them is not among those that are looked at.
        """
        known = set(self.looked_at(split).ids.tolist())
        unknown = [int(id_) for id_ in ids if int(id_) not in known]
        if unknown:
            raise UsageError(
                f"example {unknown[0]} is none that is looked at in {split}", "id", "List them: orthogon errors --json"
            )
        return self.cards(ids, split)

    def slice_cases(self, found: FoundSlice, k: int = 6) -> list[Case]:
        """Of a slice the most typical examples that may be looked at."""
        looked = set(self.looked_at("dev").ids.tolist())
        return self.cards([id_ for id_ in found.ids if id_ in looked][:k])

    def looked_at(self, split: str) -> Scores:
        """Scores of what people may look at example by example: of dev the eyeball part."""
        self._refuse_split(split)
        scores = self.scores(split)
        return error_analysis.shown(scores, self.halves()) if split == "dev" else scores

    def halves(self) -> eyeball.Halves:
        """Which part of dev is looked at, and which is only counted; the project's, made with its first run.

        Raises:
            UsageError: the run has no dev set.
        """
        self._refuse_split("dev")
        return eyeball.halves_of(self.project.folder, self.info["splits_key"], self.scores("dev"), self.id)

    def by_eye(self) -> eyeball.ByEye | None:
        """Whether it does better where mistakes were looked at; None where all of dev is, or nobody has looked yet."""
        halves = self.halves()
        if halves.run == self.id and not halves.turns:
            return None
        return eyeball.by_eye(halves, self.scores("dev"), self.metric, self.diagnose().smallest_gap)

    def fitted_by_eye(self) -> str:
        """A warning where the system was fitted to the part of dev that is looked at; else empty."""
        by_eye = self.by_eye()
        return by_eye.sentence() if by_eye is not None and by_eye.material else ""

    def tags(self) -> TagBook:
        """What was said about the project's examples; change it with `put`, keep it with `save`.

        Raises:
            RunError: the data is gone or another.
        """
        return TagBook.load(self.project.folder, self.data()[0])

    def has_tags(self) -> bool:
        """Whether anybody has tagged anything, and the data is there to show what."""
        return self.examples is not None and (self.project.folder / TAGS).exists()

    def to_tag(self, k: int | None = error_analysis.SAMPLE) -> NDArray[np.int64]:
        """Ids of a random sample of k mistakes that are looked at, in an order all runs of the project share."""
        return error_analysis.in_drawn_order(self.looked_at("dev"), self.info["splits_key"])[:k]

    def tagged(self) -> Ceilings:
        """What mending each kind of mistake could bring at best, from the tags."""
        return error_analysis.table_of(self.scores("dev"), self.looked_at("dev"), self.metric, self.tags())

    def cards(
        self, ids: Iterable[int], split: str = "dev", answers: Answers | None = None, look: bool = False
    ) -> list[Case]:
        """Examples as cards, in this order; none when the data is gone.

        Args:
            answers: to these examples; those that are sealed if None. look: with what the network looked at.
        """
        if self.examples is None:
            return []
        answers = self.answers(split) if answers is None else answers
        row_of = {int(id_): row for row, id_ in enumerate(answers.ids)}
        task, network = self.task(), self.network() if look else None
        return [
            Case(self._telling(task.show(self.examples[id_], answers, row_of[id_], network)), id_, split)
            for id_ in map(int, ids)
        ]

    def _telling(self, card: Card) -> Card:
        """The card of a row with the columns first that tell most."""
        if not card.fields:
            return card
        rank = {importance.name: place for place, importance in enumerate(self.importances)}
        return replace(card, fields=dict(sorted(card.fields.items(), key=lambda item: rank.get(item[0], len(rank)))))

    @cached_property
    def importances(self) -> list[Importance]:
        """The columns that tell most first: every card shows its row in this order. Empty where there are none."""
        if self.examples is None:
            return []
        ids = self.scores(self.judged_split).ids[:ROWS_FOR_IMPORTANCE]
        return self.task().importances(self.network(), self.examples.take(ids), self.metric)

    def _refuse_split(self, split: str) -> None:
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

    def giveaways(self) -> list[str]:
        """What the checks of the data found to give the target away, and what to do about it."""
        codes = ("leakage-column", "leakage-sum")
        return [f"{found.message} {found.remedy}" for found in self.findings() if found.code in codes]

    def advice_note(self) -> str:
        """What to say beside the steps: why there are none, and what would tell more."""
        if self.members:
            return f"An ensemble takes no step; its members do: orthogon next {int(self.members[0])}"
        return advice.note(self.diagnose(), self.info["split_sizes"], self.giveaways())

    def chain(self, disappoints: bool = False) -> str:
        """Fit train, dev, test, do well in the real world: up to the first link that is broken."""
        return chain.in_words(self.diagnose(), real_world=not disappoints)

    # -- words --------------------------------------------------------------------------------------------------

    def report_path(self) -> Path:
        return self.folder / "derived" / "report.html"

    def resume_line(self) -> str:
        """The command that continues this run."""
        return f"orthogon train --resume {int(self.id)} --project {near(self.project.folder)}"


def near(path: Path) -> Path:
    """The path as seen from the current folder, when it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
