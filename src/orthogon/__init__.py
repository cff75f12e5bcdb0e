"""Orthogon: strategy-driven deep learning.

>>> import orthogon as og
>>> run = og.start("photos/")        # doctest: +SKIP
>>> print(run.diagnose())            # doctest: +SKIP
>>> og.next_steps(run)[0].take()     # doctest: +SKIP

Importing this costs nothing: each name below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orthogon.api import Run, Step, compare, ensemble, load, next_steps, start, tune
    from orthogon.errors import OrthogonError
    from orthogon.estimators import OrthogonClassifier, OrthogonMultiLabelClassifier, OrthogonRegressor
    from orthogon.project import Project
    from orthogon.strategy.attribution import attribute_pipeline, attribute_search
    from orthogon.strategy.diagnosis import Diagnosis

__version__ = "0.1.0"

_HOME = {
    "start": "orthogon.api",
    "load": "orthogon.api",
    "next_steps": "orthogon.api",
    "tune": "orthogon.api",
    "compare": "orthogon.api",
    "ensemble": "orthogon.api",
    "Run": "orthogon.api",
    "Step": "orthogon.api",
    "Project": "orthogon.project",
    "Diagnosis": "orthogon.strategy.diagnosis",
    "attribute_pipeline": "orthogon.strategy.attribution",
    "attribute_search": "orthogon.strategy.attribution",
    "OrthogonClassifier": "orthogon.estimators",
    "OrthogonRegressor": "orthogon.estimators",
    "OrthogonMultiLabelClassifier": "orthogon.estimators",
    "OrthogonError": "orthogon.errors",
}

__all__ = [
    "Diagnosis",
    "OrthogonClassifier",
    "OrthogonError",
    "OrthogonMultiLabelClassifier",
    "OrthogonRegressor",
    "Project",
    "Run",
    "Step",
    "attribute_pipeline",
    "attribute_search",
    "compare",
    "ensemble",
    "load",
    "next_steps",
    "start",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'orthogon' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
