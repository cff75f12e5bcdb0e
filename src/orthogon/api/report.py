"""What the report and the terminal draw of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orthogon.api.advise import advise
from orthogon.api.error_page import leak_cases
from orthogon.api.figures import error_of, figure_of
from orthogon.api.known import near
from orthogon.api.suspects import suspect_cases
from orthogon.metrics.intervals import interval
from orthogon.project.by_hand import in_words
from orthogon.report.data import BaselineFigure, Measure, ReportData
from orthogon.report.shift import ShiftShown
from orthogon.run.cost import limits_of
from orthogon.strategy import mistakes
from orthogon.strategy.curve import LearningCurve
from orthogon.strategy.diagnosis import MATERIAL, MISMATCH, UNSPLIT
from orthogon.strategy.general import general_table
from orthogon.strategy.label_study import LabelStudy
from orthogon.strategy.leaks import Leaks
from orthogon.strategy.shift import Shift
from orthogon.strategy.slices import Slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orthogon.api.known import KnownRun
    from orthogon.metrics.score import Scores

WORST_IN_REPORT = 24
LOOKS_IN_REPORT = 6


def report_of(run: KnownRun, examples: bool = True) -> ReportData:
    """Everything the report draws, of a run and of what was studied so far.

    Args:
        examples: False leaves the user's pictures, rows and strings out.
    """
    task, metric, info, judged = run.task(), run.metric, run.info, run.judged_split
    looked_at, has_dev, has_data = run.looked_at(judged), "dev" in run.splits(), run.examples is not None
    worst = mistakes.worst(looked_at, WORST_IN_REPORT)
    rest = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(looked_at)), worst))[:LOOKS_IN_REPORT]
    slices, leaks = run.kept(Slices), run.kept(Leaks)
    metrics = task.metrics().values()
    parts = {name: run.scores(name) for name in run.splits()}
    return ReportData(
        project=run.project.name,
        run=run.id,
        task=task.kind,
        problem=str(info.get("problem", "")),
        measure=Measure(metric.name, metric.title, metric.unit, metric.higher_is_better),
        info=info,
        config=run.config,
        sizes=info["split_sizes"],
        split_reason=info["split_reason"],
        findings=run.findings(),
        history=run.history(),
        diagnosis=run.diagnose(),
        mistakes=run.mistakes(judged),
        cases=run.cards(looked_at.ids[worst], judged, look=True),
        looks=run.cards(looked_at.ids[rest], judged, look=True) if examples else [],
        agreement=None if task.class_names() else _agreement(parts[judged]),
        importances=run.importances,
        baselines=[
            BaselineFigure(entry["name"], error_of(entry["scores"], metric), entry["seconds"])
            for entry in run.baselines()
        ],
        steps=advise(run),
        healthy=run.advice_note(),
        ending=f"{run.ending() or ''} {in_words(info.get('changes', ()))}".strip(),
        figures={  # each split is drawn by its place as seed, as in the diagnosis
            each.title: {
                name: figure_of(interval(part, each, seed=seed)) for seed, (name, part) in enumerate(parts.items())
            }
            for each in metrics
        },
        units={each.title: each.unit for each in metrics},
        class_names=task.class_names(),
        predict_line=f"orthogon predict NEW -o answers.csv --project {run.project.folder.name}",
        report_path=str(near(run.report_path())),
        limits=[(str(limit), limit.kept) for limit in limits_of(run)],
        test_looks=run.project.test_looks(),
        logbook=_logbook(run),
        examples=examples,
        halves=f"{run.halves().reason} {run.fitted_by_eye()}".rstrip() if has_dev else "",
        ceilings=run.tagged() if has_dev and run.has_tags() else None,
        slices=slices,
        strips=[run.slice_cases(each) for each in slices.found] if has_data and slices is not None else [],
        leaks=leaks,
        pairs=leak_cases(run, leaks) if has_data and leaks is not None else [],
        shift=_shift_shown(run),
        growth=[curve for by in ("data", "width") if (curve := run.kept(LearningCurve, by)) is not None],
        labels=run.kept(LabelStudy),
        suspects=suspect_cases(run) if examples else {},
        people=run.people() if run.config["metrics"].get("annotators") is not None and has_data else None,
    )


def shift_matters(run: KnownRun) -> bool:
    """Whether how dev differs from train is to be studied unasked: a target domain is declared, or mismatch limits."""
    gaps = [run.diagnose().gap(name) for name in (MISMATCH, UNSPLIT)]
    limits = any(gap is not None and gap.verdict == MATERIAL for gap in gaps)
    if not limits and run.config["data"].get("target_domain") is None:
        return False
    return "dev" in run.splits() and run.kept(Shift) is None and run.examples is not None


def _shift_shown(run: KnownRun) -> ShiftShown | None:
    """The kept study of shift with the examples it names; None where there is none."""
    study = run.kept(Shift)
    if study is None:
        return None
    sides, domains, held_out = [], study.domains, "train_dev" if study.reference == "train-dev" else "train"
    if domains is not None and domains.apart:
        for title, ids, split in (
            (f"Dev examples most unlike {study.reference}", domains.unlike, "dev"),
            (f"Dev examples most like {study.reference}", domains.like, "dev"),
            (f"Examples of {study.reference} most unlike dev", domains.reference_unlike, held_out),
        ):
            scored = set(run.scores(split).ids.tolist())
            cases = run.cards([id_ for id_ in ids if id_ in scored], split)
            sides.append((title, [case.card for case in cases]))
    two = run.config["data"].get("target_domain") is not None and run.examples is not None
    return ShiftShown(study, general_table(run, *run.data(), run.metric) if two else None, sides)


def _agreement(scores: Scores) -> NDArray[np.float64] | None:
    """(n, 2) truth and answer, of one real-valued target; None of any other."""
    truth, answer = scores.records.get("truth"), scores.records.get("answer")
    if truth is None or answer is None or truth.ndim != 1 or truth.dtype.kind != "f":
        return None
    return np.stack([truth, answer], axis=1)


def _logbook(run: KnownRun) -> list[dict[str, Any]]:
    """A row a run of the project: run, when, what, error on dev by this run's metric, outcome of a step."""
    outcomes = {entry["run"]: entry for entry in run.project.logbook() if entry["event"] == "step taken"}
    return [
        {
            "run": row["run"],
            "when": row["created"],
            "what": row["what"],
            "error": row["dev_error"] if row["metric"] in (None, run.metric.name) else f"of {row['metric']}",
            "outcome": outcomes.get(row["run"]),
        }
        for row in run.project.table()
    ]
