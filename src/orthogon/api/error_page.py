"""The page of mistakes of a run: its worst and a random sample, each beside what lies nearest in train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from orthogon.report.error_page import ErrorPage, LookedAt, Neighbour
from orthogon.strategy import error_analysis, mistakes
from orthogon.strategy.leaks import Leaks
from orthogon.strategy.slices import Slices
from orthogon.strategy.tags import Entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orthogon.api.known import KnownRun
    from orthogon.report.data import Case


def error_page_of(run: KnownRun, worst: int, drawn: int) -> ErrorPage:
    """Everything that the page draws: the worst mistakes, a random sample, and what was studied so far.

    Raises:
        RunError: the data is gone or another.
    """
    book, scores = run.tags(), run.looked_at("dev")
    bad, some = scores.ids[mistakes.worst(scores, worst)].tolist(), run.to_tag(drawn).tolist()
    ids = list(dict.fromkeys([*bad, *some]))
    cases = dict(zip(ids, run.cases(ids), strict=True))
    loss_of = dict(zip(scores.ids.tolist(), np.asarray(scores.records["loss"], float).tolist(), strict=True))
    for id_, case in cases.items():
        if case.card.loss is None:
            cases[id_] = replace(case, card=replace(case.card, loss=loss_of[id_]))
    beside = _neighbours(run, np.array(ids, dtype=np.int64))

    def looked(these: Sequence[int]) -> list[LookedAt]:
        said = [book.entries.get(i, Entry()) for i in these]
        return [LookedAt(cases[i], beside[i], e.tags, e.comment) for i, e in zip(these, said, strict=True)]

    slices, leaks = run.kept(Slices), run.kept(Leaks)
    return ErrorPage(
        project=run.project.name,
        run=run.id,
        title=run.metric.error_title,
        unit=run.metric.unit,
        halves=run.halves().reason,
        by_eye=run.fitted_by_eye(),
        num_mistakes=len(mistakes.mistaken(scores)),
        worst=looked(bad),
        drawn=looked(some),
        ceilings=run.tagged() if run.has_tags() else None,
        slices=slices,
        strips=[run.slice_cases(found) for found in slices.found] if slices is not None else (),
        leaks=leaks,
        pairs=leak_cases(run, leaks) if leaks is not None else (),
        version=str(run.info.get("versions", {}).get("orthogon", "")),
    )


def leak_cases(run: KnownRun, leaks: Leaks, k: int = 12) -> list[tuple[Case, Case]]:
    """Pairs of a leak, the one of dev and the one of train, of which the one of dev may be looked at."""
    looked = set(run.looked_at("dev").ids.tolist())
    pairs = [pair for each in leaks.found for pair in each.pairs[:k] if pair.dev in looked][:k]
    if not pairs:
        return []
    train = of_train(run, np.unique([pair.train for pair in pairs]))
    dev = run.cards([pair.dev for pair in pairs])
    return [(case, train[pair.train]) for case, pair in zip(dev, pairs, strict=True)]


def _neighbours(run: KnownRun, ids: NDArray[np.int64]) -> dict[int, list[Neighbour]]:
    """Id -> what lies nearest in train, its distance as a multiple of the least."""
    if not len(ids):
        return {}
    examples, splits = run.data()
    near, distances = error_analysis.neighbours(run.task(), run.network(), examples, ids, splits["train"])
    shown = of_train(run, np.unique(near))
    return {
        int(id_): [Neighbour(shown[n], d / max(far[0], 1e-12)) for n, d in zip(these, far, strict=True)]
        for id_, these, far in zip(ids, near.tolist(), distances.tolist(), strict=True)
    }


def of_train(run: KnownRun, ids: NDArray[np.int64]) -> dict[int, Case]:
    """Examples of train as cards, answered anew."""
    answers = run.task().answers(run.network(), run.data()[0].take(ids), ids)
    return {case.id: case for case in run.cards(ids, "train", answers)}
