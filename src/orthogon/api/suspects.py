"""The suspect labels of a run that may be looked at, as cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orthogon.api.error_page import of_train
from orthogon.strategy.label_study import LabelStudy

if TYPE_CHECKING:
    from orthogon.api.known import KnownRun
    from orthogon.report.data import Case

SHOWN = 12  # in the report, of train and of dev


def suspect_cases(run: KnownRun, k: int = SHOWN) -> dict[tuple[str, int], Case]:
    """(split, id) -> the first k suspects of train, and of the part of dev that is looked at; none without the data."""
    study = run.kept(LabelStudy)
    named = study.suspects if study is not None and run.examples is not None else ()
    looked = set(run.looked_at("dev").ids.tolist()) if "dev" in run.splits() else set()
    train = [each.id for each in named if each.split == "train"][:k]
    dev = [each.id for each in named if each.split == "dev" and each.id in looked][:k]
    cases = [*(of_train(run, np.array(train)).values() if train else ()), *run.cards(dev, "dev")] if named else []
    return {(case.split, case.id): case for case in cases}
