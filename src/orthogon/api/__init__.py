"""The verbs as Python functions, and the Run a person holds.

>>> import orthogon as og
>>> run = og.start("digits")         # doctest: +SKIP
>>> print(run.diagnose())            # doctest: +SKIP
>>> og.next_steps(run)[0].take()     # doctest: +SKIP

The command line calls these and prints what they return. Bottom to top:

    figures kept rivals places        parts
    known                             what is known of a run
    advise error_page report labels   what is made of that
    run                               the Run, with the verbs that apply to it
    verbs tuning steps                the verbs that give a run,
    comparison averaged data          between runs, and before there is any
"""

from __future__ import annotations

from orthogon.api.averaged import Averaged, ensemble
from orthogon.api.comparison import Comparison, compare
from orthogon.api.data import Inspection, builtin_data, inspect_data, preview_data, write_data
from orthogon.api.known import near
from orthogon.api.labels import correct_labels, undo_labels
from orthogon.api.run import Run
from orthogon.api.steps import Step, next_steps, pick
from orthogon.api.tuning import resume_tuning, tune, tunings
from orthogon.api.verbs import describe, load, resume, start, train

__all__ = [
    "Averaged",
    "Comparison",
    "Inspection",
    "Run",
    "Step",
    "builtin_data",
    "compare",
    "correct_labels",
    "describe",
    "ensemble",
    "inspect_data",
    "load",
    "near",
    "next_steps",
    "pick",
    "preview_data",
    "resume",
    "resume_tuning",
    "start",
    "train",
    "tune",
    "tunings",
    "undo_labels",
    "write_data",
]
