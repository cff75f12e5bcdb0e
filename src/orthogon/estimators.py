"""Orthogon's networks for tables behind scikit-learn's interface: in pipelines, grids and cross-validation.

>>> from orthogon import OrthogonClassifier                          # doctest: +SKIP
>>> OrthogonClassifier().fit(X_train, y_train).predict_proba(X_new)  # doctest: +SKIP

The same task, network and loop as `orthogon start table.csv`; nothing is written to disk. A held-out part of the
training rows stops the training in time. Frames may hold categories, texts, dates and gaps as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from orthogon.data.tables import TableExamples
from orthogon.data.types import ColumnType, Kind
from orthogon.errors import DataError, OrthogonError
from orthogon.tasks.tabular import Tabular, TabularConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.device import random_state as state_of_generators
from orthogon.training.device import set_random_state as set_generators
from orthogon.training.loop import fit

HELD_OUT = 0.15  # share of the rows that decides when to stop
FEWEST_HELD_OUT = 60  # fewer rows are all needed for training


class EstimatorDataError(DataError, ValueError):
    """The data cannot be learned from; a ValueError too, as scikit-learn's callers expect."""


class _TabularEstimator(BaseEstimator):
    """What the estimators share. Parameters left None are chosen by the number of rows.

    Args:
        members: implicit networks that are averaged; width, depth: hidden units of a layer, and layers.
        dropout: share of hidden units silenced in training.
        epochs: passes over the rows, at most; batch_size: rows in one update.
        lr, weight_decay: of AdamW.
        patience: passes without a better held-out loss before stopping.
        device: "cpu", "cuda", "mps" or "auto".
        random_state: int, numpy RandomState or None.
    """

    def __init__(
        self,
        *,
        members: int | None = None,
        width: int | None = None,
        depth: int | None = None,
        dropout: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        patience: int | None = None,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.members = members
        self.width = width
        self.depth = depth
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.patience = patience
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _columns(self, X: Any, y: Any = None, reset: bool = False) -> tuple[dict[str, pd.Series], Any]:
        """The features by name, checked as scikit-learn checks them, and y if one is given."""
        arguments: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan", "reset": reset}
        if reset:
            arguments |= {"multi_output": True, "ensure_min_samples": 2}
        checked = validate_data(self, X, **({"y": y} if reset else {}), **arguments)
        values, y = checked if reset else (checked, None)
        frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(values)  # a frame keeps the types of its columns
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(frame.shape[1])])
        columns = {str(name): frame.iloc[:, i].reset_index(drop=True) for i, name in enumerate(names)}
        return columns, y

    def _fit(self, columns: Mapping[str, pd.Series], targets: Mapping[str, NDArray[np.float64]], kinds: Any) -> None:
        """Train on class numbers or values, NaN = unknown."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._kinds = {name: _kind(values) for name, values in columns.items()}
        examples = _table(columns, self._kinds, targets)
        stratum = next(iter(targets.values())) if "regression" not in kinds.values() and len(targets) == 1 else None
        train, dev = _hold_out(examples, stratum, seed)
        chosen: dict[str, Any] = {
            "members": self.members,
            "width": self.width,
            "depth": self.depth,
            "dropout": self.dropout,
        }
        task = Tabular(TabularConfig(targets=dict(kinds), **chosen), seed)
        suggested = task.suggest(train)
        training: dict[str, Any] = {
            name: getattr(self, name) if getattr(self, name) is not None else suggested.get(f"training.{name}")
            for name in ("epochs", "batch_size", "lr", "weight_decay", "patience")
        }
        config = TrainingConfig(device=self.device, preflight=False, **training)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        before = state_of_generators(device)
        try:
            task.fit(train)
            torch.manual_seed(seed)
            network = task.network()
            result = fit(task.objective(network, train, dev, config), config, seed=seed)
        except OrthogonError as error:
            raise EstimatorDataError(error.what, error.where, error.remedy) from error
        finally:
            set_generators(before, device)  # the caller's random numbers are the caller's
        if result.status == "interrupted":
            raise KeyboardInterrupt
        self.task_ = task
        self.network_ = network.cpu().double().eval()  # in float64 a row's answer hardly depends on its neighbours
        self.n_epochs_ = result.epochs

    def _said(self, X: Any) -> dict[str, NDArray[np.float64]]:
        """Per target name: probabilities (n, K) or values (n,)."""
        check_is_fitted(self)
        columns, _ = self._columns(X)
        frame = _table(columns, self._kinds, {}).frame(self.task_.encoder.sources())
        x, c = self.task_.encoder.encode(frame)
        said = self.task_.probabilities(self.network_, x, c)
        return {target.name: p for target, p in zip(self.task_.targets, said, strict=True)}


class OrthogonClassifier(ClassifierMixin, _TabularEstimator):
    """A classifier for tables.

    Attributes:
        classes_: (K,) the labels, sorted; the columns of `predict_proba`.
        n_features_in_, feature_names_in_: as scikit-learn says.
        n_epochs_: passes over the rows until it stopped.
    """

    def fit(self, X: Any, y: Any) -> Self:
        columns, y = self._columns(X, y, reset=True)
        return self._fit_classes(columns, column_or_1d(y, warn=True))

    def _fit_classes(self, columns: Mapping[str, pd.Series], y: NDArray[Any]) -> Self:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise EstimatorDataError(f"y has one class, {self.classes_[0]!r}", "y", "Give rows of other classes.")
        kind = "binary" if len(self.classes_) == 2 else "multiclass"
        name = _new_name("y", columns)
        self._fit(columns, {name: codes.astype(np.float64)}, {name: kind})
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, K) probabilities, in the order of `classes_`."""
        return next(iter(self._said(X).values()))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n, K) log-probabilities; with two classes (n,) log-odds of the second."""
        p = np.log(np.maximum(OrthogonClassifier.predict_proba(self, X), np.finfo(np.float64).tiny))
        return p[:, 1] - p[:, 0] if p.shape[1] == 2 else p

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]


class OrthogonRegressor(RegressorMixin, _TabularEstimator):
    """A regressor for tables; y may have several columns, and gaps (NaN) in them."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        columns, y = self._columns(X, y, reset=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._single = y.ndim == 1
        values = np.asarray(y, np.float64).reshape(len(y), -1)
        stem = _new_name("y", columns)
        names = [stem if self._single else f"{stem}{j}" for j in range(values.shape[1])]
        self._constants = {
            j: float(values[0, j]) for j in range(values.shape[1]) if (values[:, j] == values[0, j]).all()
        }
        targets = {name: values[:, j] for j, name in enumerate(names) if j not in self._constants}
        self._names = names
        if not targets:
            raise EstimatorDataError(f"y has one value, {values[0, 0]:g}", "y", "Give rows with other values.")
        self._fit(columns, targets, dict.fromkeys(targets, "regression"))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(n,) or (n, outputs) values."""
        said = self._said(X)
        n = len(next(iter(said.values())))
        values = [
            np.full(n, self._constants[j]) if j in self._constants else said[k] for j, k in enumerate(self._names)
        ]
        return values[0] if self._single else np.stack(values, 1)


class OrthogonMultiLabelClassifier(OrthogonClassifier):
    """Several yes/no labels at once: y is (n, labels) of 0 and 1. A vector y is taken as plain classes.

    Attributes:
        classes_: (labels,) their numbers; or the classes of a vector y.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        if hasattr(y, "toarray"):  # a sparse indicator matrix
            y = y.toarray()
        columns, y = self._columns(X, y, reset=True)
        self._labels = type_of_target(y) == "multilabel-indicator"
        if not self._labels:
            return self._fit_classes(columns, column_or_1d(y, warn=True))
        self.classes_ = np.arange(y.shape[1])
        self._dtype = y.dtype
        stem = _new_name("y", columns)
        self._constants = {j: float(y[0, j]) for j in self.classes_ if (y[:, j] == y[0, j]).all()}
        targets = {f"{stem}{j}": y[:, j].astype(np.float64) for j in self.classes_ if j not in self._constants}
        if not targets:
            raise EstimatorDataError("every label of y has one class", "y", "Give rows with other labels.")
        self._names = [f"{stem}{j}" for j in self.classes_]
        self._fit(columns, targets, dict.fromkeys(targets, "binary"))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, labels) probability that each label is on; of a vector y (n, K)."""
        check_is_fitted(self)
        if not self._labels:
            return super().predict_proba(X)
        said = self._said(X)
        n = len(next(iter(said.values())))
        on = [
            np.full(n, self._constants[j]) if j in self._constants else said[k][:, 1] for j, k in enumerate(self._names)
        ]
        return np.stack(on, 1)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(n, labels) log-odds of each label; of a vector y as in `OrthogonClassifier`."""
        check_is_fitted(self)
        if not self._labels:
            return super().decision_function(X)
        p = np.clip(self.predict_proba(X), np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        return np.log(p) - np.log1p(-p)

    def predict(self, X: Any) -> NDArray[Any]:
        """(n, labels) of 0 and 1; of a vector y (n,) labels."""
        check_is_fitted(self)
        if not self._labels:
            return super().predict(X)
        return (self.predict_proba(X) >= 0.5).astype(self._dtype)


def _kind(values: pd.Series) -> Kind:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    known = values.dropna()
    return "number" if pd.to_numeric(known, errors="coerce").notna().all() else "category"


def _table(
    columns: Mapping[str, pd.Series], kinds: Mapping[str, Kind], targets: Mapping[str, NDArray[np.float64]]
) -> TableExamples:
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        if kinds[name] == "number":
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
            arrays[name] = pa.array(numbers, from_pandas=True)
        elif kinds[name] == "date":
            arrays[name] = pa.array(pd.to_datetime(values, errors="coerce"), pa.timestamp("ms"), safe=False)
        else:
            texts = [None if pd.isna(value) else str(value) for value in values]
            arrays[name] = pa.array(texts, pa.string()).dictionary_encode()
    for name, numbers in targets.items():
        arrays[name] = pa.array(numbers, from_pandas=True)
    types = {name: ColumnType(kind, "as given") for name, kind in kinds.items()}
    types |= {name: ColumnType("number", "target") for name in targets}
    return TableExamples(pa.table(arrays), types, tuple(targets), tuple(columns), name="X")


def _hold_out(
    examples: TableExamples, stratum: NDArray[np.float64] | None, seed: int
) -> tuple[TableExamples, TableExamples | None]:
    """Train and what decides when to stop; every class stays in train."""
    n = len(examples)
    if n < FEWEST_HELD_OUT:
        return examples, None
    rows = np.arange(n)
    if stratum is not None:
        counts = np.bincount(stratum.astype(np.int64))
        rows = rows[counts[stratum.astype(np.int64)] > 1]  # the only row of a class must be learned from
        if len(counts) > HELD_OUT * len(rows):
            stratum = None
    strata = None if stratum is None else stratum[rows]
    _, held = train_test_split(rows, test_size=HELD_OUT, stratify=strata, random_state=seed)
    if stratum is None:
        labels = np.stack([examples.frame([name])[name].to_numpy() for name in examples.target_columns], 1)
        rest = np.delete(labels, held, axis=0)
        seen = [np.isin(labels[held, j], rest[:, j]) for j in range(labels.shape[1])]
        whole = [len(np.unique(labels[:, j])) > len(labels) / 10 for j in range(labels.shape[1])]  # values, not classes
        held = held[np.all([known | anyway for known, anyway in zip(seen, whole, strict=True)], axis=0)]
    held = np.sort(held)
    return examples.take(np.setdiff1d(np.arange(n), held)), examples.take(held) if len(held) else None


def _new_name(name: str, taken: Mapping[str, Any]) -> str:
    while any(column.startswith(name) for column in taken):
        name += "_"
    return name
