"""Rows of a table -> classes, values, or several of them at once.

Each target column has a head: binary, multiclass or regression. A row whose label is missing in one target still
teaches the others; the missing term is left out of the loss, so that its gradient is exactly 0. The network is an
ensemble in one (`orthogon.models.tabular`); the transforms are `orthogon.data.encode`.
"""

from __future__ import annotations

import math
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from orthogon.data.encode import RowEncoder, level_text
from orthogon.data.examples import Example, Examples
from orthogon.data.loader import MemoryLoader
from orthogon.data.tables import TableExamples
from orthogon.errors import ConfigError, DataError, did_you_mean
from orthogon.metrics.classification import classification_metrics, multilabel_metrics
from orthogon.metrics.intervals import gap_interval
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import (
    Additive,
    Metric,
    Records,
    Scores,
    additive_metric,
    for_target,
    mean_over,
    ratio,
    significant,
)
from orthogon.models.tabular import Head, HeadKind, TabularNet, average
from orthogon.nn.tabular import quantile_edges
from orthogon.tasks.task import Answers, Baseline, Card, Importance, TargetShown, Task, TaskConfig
from orthogon.training.config import TrainingConfig
from orthogon.training.objective import LossSum, Objective
from orthogon.training.space import MAIN, SHAPE, Space, around, dropout, layers, smoothing

FEW_LEVELS = 32  # of a category, below which each level is a column of its own where rows are compared as they are
FIT_ROWS = 500_000  # medians, levels and bins are learned from at most so many rows of train
CHUNK_ROWS = 100_000  # rows encoded at once
IN_MEMORY_BYTES = 512 * 2**20  # encoded tables larger than this lie in a scratch file
ROWS_SHOWN = 400_000  # in a training, about
BATCH_SIZES = ((1_000, 32), (5_000, 64), (50_000, 128), (200_000, 256), (1_000_000, 1024))  # below so many rows
CLASS_VALUES = 10  # whole numbers with so few different values are classes
MOST_CLASSES = 1000
BASELINE_ROWS = 200_000  # classic systems train on at most so many rows
LINEAR_ROWS = 50_000
IMPORTANCE_ANSWERS = 100_000  # rows answered in all to find what each column is worth
IMPORTANCE_REPEATS = 3


class TabularConfig(TaskConfig):
    """The `task:` section for tables."""

    kind: Literal["tabular"] = "tabular"
    targets: dict[str, HeadKind] | None = Field(
        None, description="What each target column is: binary, multiclass or regression; unset: seen from its values."
    )
    members: int | None = Field(None, ge=1, description="Implicit networks that share weights and are averaged.")
    width: int | None = Field(None, ge=1, description="Hidden units of a layer; unset: chosen by data size.")
    depth: int | None = Field(None, ge=0, description="Hidden layers; 0 is a linear model on the embeddings.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Share of hidden units silenced in training.")
    number_embedding: Literal["piecewise", "periodic", "none"] = Field(
        "piecewise", description="How a number enters: piecewise linear, as sines and cosines, or as it is."
    )
    number_size: int | None = Field(None, ge=1, description="Size of a number's embedding.")
    bins: int | None = Field(None, ge=1, description="Most bends of a piecewise-linear number.")
    category_size: int | None = Field(None, ge=1, description="Size of a category's embedding.")
    min_count: int | None = Field(None, ge=1, description="Rows a level needs to have an embedding of its own.")
    max_levels: int = Field(10_000, ge=2, description="Most levels of one column; rarer ones are pooled.")


@dataclass(frozen=True)
class Target:
    """What is predicted from one column, learned from train."""

    name: str
    kind: HeadKind
    reason: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0  # of a regression target; the network predicts (value - mean) / scale
    scale: float = 1.0

    @property
    def head(self) -> Head:
        return Head(self.kind, len(self.classes) if self.kind == "multiclass" else 1)

    def encode(self, values: NDArray[Any], examples: Examples) -> NDArray[np.float32]:
        """(n,) class numbers or standardised values; NaN where the label is unknown.

        Raises:
            DataError: a class that train does not have, or text where a number belongs.
        """
        if self.kind == "regression":
            return ((_as_values(values, self.name, examples) - self.mean) / self.scale).astype(np.float32)
        codes, distinct = pd.factorize(values, use_na_sentinel=True)
        places = {name: i for i, name in enumerate(self.classes)}
        table = np.full(len(distinct) + 1, np.nan, np.float32)  # the last entry: unknown
        for i, value in enumerate(distinct):
            text = level_text(value)
            if text == "":
                continue
            if text not in places:
                rows = np.flatnonzero(codes == i)
                raise DataError(
                    f'class "{text}" of "{self.name}" is not among the {len(places)} of train ({len(rows)} rows)',
                    str(examples[int(rows[0])].origin),
                    f"{did_you_mean(text, places)} Correct the rows, or add rows of this class to train.",
                )
            table[i] = places[text]
        return table[codes]


def describe_target(name: str, values: NDArray[Any], kind: HeadKind | None, where: str) -> Target:
    """What a target column is, from its values in train.

    Args:
        values: (n,) texts, numbers, None or NaN.
        kind: what the user says it is; None: see for yourself.
        where: place to name in messages.
    Raises:
        DataError: no value, one value, or texts that hardly repeat. ConfigError: `kind` does not fit the values.
    """
    place = f'{where}, column "{name}"'
    known = values[~pd.isna(values)]
    known = known[np.asarray(known) != ""] if known.dtype == object else known
    if len(known) == 0:
        raise DataError(
            "every value of the target is missing in train", place, "Fill the column, or pick another target."
        )
    distinct = pd.unique(known)
    numeric = all(isinstance(v, (int, float, np.number)) and not isinstance(v, (bool, np.bool_)) for v in distinct)
    whole = numeric and all(float(v).is_integer() for v in distinct)
    if len(distinct) < 2:
        raise DataError(
            f'the target has one value in train, "{level_text(distinct[0])}": there is nothing to learn',
            place,
            "Pick another target, or add rows with other values.",
        )
    seen: HeadKind
    if numeric and not (whole and len(distinct) <= CLASS_VALUES):
        seen, reason = "regression", f"{len(distinct):,} different numbers"
    else:
        seen = "binary" if len(distinct) == 2 else "multiclass"
        reason = f"{len(distinct)} different {'whole numbers' if numeric else 'names'}"
        if numeric and len(distinct) > 2:
            reason += f"; if their order matters: --set task.targets.{name}=regression"
    if kind is not None and kind != seen:
        reason = "you said so"
    kind = kind or seen
    if kind == "regression":
        numbers = _as_values(known, name, None, place)
        return Target(name, kind, reason, mean=float(numbers.mean()), scale=float(numbers.std()) or 1.0)
    if kind == "binary" and len(distinct) != 2:
        raise ConfigError(f'"{name}" has {len(distinct)} classes, not 2', "task.targets", f"Say {name}: multiclass")
    if len(distinct) > MOST_CLASSES or (len(known) >= 50 and len(distinct) > len(known) / 2):
        raise DataError(
            f"the target has {len(distinct):,} classes in {len(known):,} rows: it reads like an id or free text",
            place,
            "Pick another target, or merge classes.",
        )
    ordered = sorted(distinct, key=float) if numeric else sorted(distinct, key=str)
    return Target(name, kind, reason, tuple(dict.fromkeys(level_text(v) for v in ordered)))


def _as_values(values: NDArray[Any], name: str, examples: Examples | None, place: str = "") -> NDArray[np.float64]:
    """(n,) floats, NaN = missing; text that is no number is refused."""
    if values.dtype.kind in "fiu":
        numbers = values.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(numbers) & ~pd.isna(values))
    bad = bad[[str(values[i]) != "" for i in bad]] if len(bad) else bad
    if len(bad):
        where = place if examples is None else str(examples[int(bad[0])].origin)
        what = f'"{values[bad[0]]}" in column "{name}" is not a number ({len(bad)} such rows)'
        raise DataError(what, where, f"Correct the rows, or predict classes: --set task.targets.{name}=multiclass")
    return np.where(np.isfinite(numbers), numbers, np.nan)


class Tabular(Task):
    """Tables: classification, regression, several targets at once."""

    kind: ClassVar[str] = "tabular"
    Config: ClassVar[type[TaskConfig]] = TabularConfig
    config: TabularConfig
    encoder: RowEncoder
    targets: tuple[Target, ...]
    edges: list[NDArray[np.float32]]  # bins of each number, on its scaled values
    reason: str = ""

    # -- data ---------------------------------------------------------------------------------------------------

    def strata(self, examples: Examples) -> NDArray[Any] | None:
        """Classes, tenths of the value, or which labels are on and known; None where each row would be alone."""
        keys = np.zeros(len(examples), np.int64)
        for name, values in _target_columns(examples).items():
            target = describe_target(name, values, (self.config.targets or {}).get(name), examples.name)
            codes = target.encode(values, examples).astype(np.float64)
            if target.kind == "regression":
                cuts = np.unique(np.nanquantile(codes, np.linspace(0, 1, 11)[1:-1]))
                codes = np.where(np.isnan(codes), np.nan, np.searchsorted(cuts, codes))
            joined = keys * (len(target.classes) + 12) + np.nan_to_num(codes, nan=-1).astype(np.int64) + 1
            joined = np.unique(joined, return_inverse=True)[1]
            if joined.max() + 1 > max(20, len(examples) / 20):
                break  # further targets would make strata of single rows
            keys = joined
        return keys

    def suggest(self, train: Examples) -> dict[str, Any]:
        """Sizes and rates by the number of rows; `benchmarks/tabular_quality.py` measures them."""
        columns = _target_columns(train)
        kinds = self.config.targets or {}
        targets = [describe_target(name, values, kinds.get(name), train.name) for name, values in columns.items()]
        n = len(train)
        return {
            "task.targets": {target.name: target.kind for target in targets},
            **{f"task.{key}": value for key, value in suggested_sizes(n).items()},
            **{f"training.{key}": value for key, value in suggested_training(n).items()},
        }

    def search_space(self, training: TrainingConfig) -> Space:
        config, space = self.config, super().search_space(training)
        if config.width is not None:
            space["task.width"] = around(config.width, MAIN, least=4)
        if config.depth is not None:
            space["task.depth"] = layers(config.depth)
        space["task.dropout"] = dropout(config.dropout)
        if config.number_size is not None and config.number_embedding != "none":
            space["task.number_size"] = around(config.number_size, SHAPE, factor=2)
        if config.targets is not None and "regression" not in config.targets.values():
            space["training.label_smoothing"] = smoothing(training)
        return space

    def fit(self, train: Examples) -> None:
        train = _table(train)
        columns = _target_columns(train)
        for name in self.config.targets or {}:
            if name not in columns:
                raise ConfigError(f'"{name}" is not a target', "task.targets", did_you_mean(name, columns))
        kinds = self.config.targets or {}
        self.targets = tuple(
            describe_target(name, values, kinds.get(name), train.name) for name, values in columns.items()
        )
        open_fields = {k: v for k, v in suggested_sizes(len(train)).items() if getattr(self.config, k) is None}
        self.config = self.config.model_copy(update=open_fields)
        rows = np.arange(len(train))
        if len(train) > FIT_ROWS:
            rows = np.sort(np.random.default_rng(self.seed).choice(len(train), FIT_ROWS, replace=False))
        inputs = {name: train.column_types[name].kind for name in train.input_columns}
        frame = train.frame(list(inputs), rows)
        self.encoder = RowEncoder.fit(frame, inputs, _size(self.config.min_count), self.config.max_levels)
        numbers, _ = self.encoder.encode(frame)
        self.edges = []
        for i, column in enumerate(self.encoder.numbers):
            gap = numbers[:, len(self.encoder.numbers) + self.encoder.flags.index(i)] > 0 if column.missing else None
            values = numbers[:, i] if gap is None else numbers[~gap, i]
            self.edges.append(quantile_edges(values, _size(self.config.bins)))
        self._explain()

    def _explain(self) -> None:
        self.reason = "; ".join(f"{target.name}: {target.kind} ({target.reason})" for target in self.targets)

    def state(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state(),
            "targets": [{**asdict(target), "classes": list(target.classes)} for target in self.targets],
            "edges": np.concatenate([np.zeros(0, np.float32), *self.edges]),
            "edge_counts": [len(edges) for edges in self.edges],
            "sizes": {key: getattr(self.config, key) for key in suggested_sizes(1)},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.encoder = RowEncoder.from_state(state["encoder"])
        self.targets = tuple(Target(**{**target, "classes": tuple(target["classes"])}) for target in state["targets"])
        ends = np.cumsum(np.asarray(state["edge_counts"], np.int64))
        self.edges = np.split(np.asarray(state["edges"], np.float32), ends)[:-1]
        self.config = self.config.model_copy(update=dict(state["sizes"]))
        self._explain()

    # -- training -----------------------------------------------------------------------------------------------

    def network(self) -> nn.Module:
        config = self.config
        return TabularNet(
            self.edges,
            len(self.encoder.flags),
            [len(column.levels) + 1 for column in self.encoder.categories],
            [target.head for target in self.targets],
            width=_size(config.width),
            depth=_size(config.depth),
            members=_size(config.members),
            dropout=config.dropout or 0.0,
            number_size=_size(config.number_size),
            category_size=_size(config.category_size),
            embedding=config.number_embedding,
        )

    def objective(
        self, network: nn.Module, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> TabularObjective:
        if training.class_weights != "none" and all(target.kind == "regression" for target in self.targets):
            names = ", ".join(target.name for target in self.targets)
            raise ConfigError(f"{names}: a number has no classes to weigh", "training.class_weights", "Set it to none.")
        return TabularObjective(self, cast(TabularNet, network), train, dev, training)

    def average(self, outputs: Tensor) -> Tensor:
        return average([target.head for target in self.targets], outputs)

    # -- answers ------------------------------------------------------------------------------------------------

    def answers(self, network: nn.Module, examples: Examples, ids: NDArray[np.int64] | None = None) -> Answers:
        parts = [self.probabilities(network, numbers, categories) for numbers, categories in self._chunks(examples)]
        if not parts:
            x, c = self.example_inputs(1)
            parts = [[said[:0] for said in self.probabilities(network, x.numpy(), c.int().numpy())]]
        said = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        return self._answers(said, np.arange(len(examples)) if ids is None else np.asarray(ids))

    def _answers(self, said: Sequence[NDArray[np.float64]], ids: NDArray[np.int64]) -> Answers:
        """From each target's probabilities (n, K) or values (n,)."""
        values: dict[str, NDArray[Any]] = {}
        texts = []
        for j, (target, p) in enumerate(zip(self.targets, said, strict=True)):
            suffix = "" if len(self.targets) == 1 else f"_{j}"
            if target.kind == "regression":
                values["answer" + suffix] = p
            else:
                values["answer" + suffix] = np.asarray(target.classes)[p.argmax(1)]
                values["probs" + suffix] = p.astype(np.float32)
                values["confidence" + suffix] = p.max(1)
            texts.append(values["answer" + suffix])
        if len(self.targets) > 1:
            values = {"answer": np.stack([np.asarray(text).astype(str) for text in texts], 1), **values}
            if self._multilabel:
                values["probs"] = np.stack([p[:, 1] for p in said], 1).astype(np.float32)
        return Answers(values, ids)

    @property
    def _multilabel(self) -> bool:
        return len(self.targets) > 1 and all(target.kind == "binary" for target in self.targets)

    def features(self, network: nn.Module, examples: Examples) -> NDArray[np.float32]:
        """(n, width) the last hidden layer, averaged over the implicit members."""
        assert isinstance(network, TabularNet)
        like = next(network.parameters())
        network.eval()
        parts = [np.zeros((0, network.output.weight.shape[-2]), np.float32)]
        with torch.inference_mode():
            for x, c in self._chunks(examples):
                numbers, categories = torch.as_tensor(x), torch.as_tensor(c)

                def seen(
                    first: int, stop: int, numbers: Tensor = numbers, categories: Tensor = categories
                ) -> NDArray[np.float32]:
                    h = network.states(numbers[first:stop].to(like), categories[first:stop].to(like.device))
                    found: NDArray[np.float32] = h.mean(0).float().cpu().numpy()
                    return found

                parts += self.halving.pieces(seen, len(numbers), _rows_at_once(network), "computing features")
        return np.concatenate(parts)

    def plain_inputs(self, examples: Examples) -> NDArray[np.float32]:
        """(n, d) standardised numbers, and a column of 0 and 1 a level of the categories that have few."""
        chunks = list(self._chunks(examples))
        if not chunks:
            return np.zeros((0, 0), np.float32)
        numbers, codes = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
        few = [column for column in codes.T if column.max(initial=0) < FEW_LEVELS]
        ones = [np.eye(int(column.max(initial=0)) + 1, dtype=np.float32)[column] for column in few]
        return np.concatenate([numbers.astype(np.float32), *ones], axis=1)

    def score(self, answers: Answers, examples: Examples) -> Scores:
        """Records as `metrics.classification` and `metrics.regression` name them; rows without any label are left out.

        With several targets each record is named RECORD_TARGET, with known_TARGET beside it; "loss" is the mean over
        a row's known targets (regression: squared, in standard deviations of train).
        """
        columns = _target_columns(examples)
        coded = np.stack([target.encode(columns[target.name], examples) for target in self.targets], 1)
        known = ~np.isnan(coded)
        rows = np.flatnonzero(known.any(1))
        single = len(self.targets) == 1
        records: dict[str, NDArray[Any]] = {}
        losses = np.zeros((len(rows), len(self.targets)))
        for j, target in enumerate(self.targets):
            mine = _records(
                target, answers, "" if single else f"_{j}", rows, coded[rows, j], columns[target.name][rows]
            )
            losses[:, j] = np.where(known[rows, j], mine["loss"], 0) / (target.scale**2 if not single else 1)
            records |= mine if single else {f"{name}_{target.name}": values for name, values in mine.items()}
            if not single:
                records[f"known_{target.name}"] = known[rows, j].astype(np.float64)
        if not single:
            records["loss"] = losses.sum(1) / known[rows].sum(1)
        if self._multilabel:
            records["truth"] = np.nan_to_num(coded[rows]).astype(np.int64)
            records["probs"] = answers.values["probs"][rows]
            records["known"] = known[rows].astype(np.float64)
            answer = np.stack([records[f"answer_{target.name}"] for target in self.targets], 1)
            records["wrong"] = ((answer != records["truth"]) & known[rows]).any(1).astype(np.float64)
        groups = None if examples.groups is None else examples.groups[rows]
        return Scores(records, answers.ids[rows], groups)

    def metrics(self) -> dict[str, Metric]:
        if len(self.targets) == 1:
            return _metrics_of(self.targets[0], self.positive)
        per_target = [_metrics_of(target) for target in self.targets]
        single = [
            for_target(metric, target.name)
            for target, metrics in zip(self.targets, per_target, strict=True)
            for metric in metrics.values()
        ]
        if self._multilabel:
            whole = multilabel_metrics([target.name for target in self.targets])
        else:
            firsts = [
                _relative_rmse(target) if target.kind == "regression" else for_target(metrics["error"], target.name)
                for target, metrics in zip(self.targets, per_target, strict=True)
            ]
            values = sum(target.kind == "regression" for target in self.targets)
            title, unit = "mean error of the targets", ""
            if values == 0:
                title, unit = "mean error rate of the targets", "%"
            elif values == len(self.targets):
                title = "mean RMSE of the targets in standard deviations"
            whole = {"mean_error": mean_over(firsts, "mean_error", title, unit)}
        return {**whole, **{metric.name: metric for metric in single}}

    def class_names(self) -> list[str]:
        """The classes of a single target; with several targets, their names."""
        return list(self.targets[0].classes) if len(self.targets) == 1 else [target.name for target in self.targets]

    def classes_of_targets(self) -> dict[str, list[str]]:
        return {target.name: list(target.classes) for target in self.targets if target.kind != "regression"}

    def expected_loss(self) -> float | None:
        """Mean over targets of log K; None where one is a number, of which a batch can hold any outlier.

        Then the objective's `uninformed_loss` says what it is of one batch.
        """
        if any(target.kind == "regression" for target in self.targets):
            return None
        return float(np.mean([math.log(len(target.classes)) for target in self.targets]))

    # -- baselines ----------------------------------------------------------------------------------------------

    def baselines(self, train: Examples, dev: Examples, dev_ids: NDArray[np.int64]) -> list[Baseline]:
        """Majority or mean; a linear model on one-hot and scaled columns; histogram gradient boosting on raw ones."""
        systems = []
        for name, most, system in (
            ("trivial", len(train), _trivial),
            ("linear model", LINEAR_ROWS, _linear),
            ("gradient boosting", BASELINE_ROWS, _boosting),
        ):
            clock = time.monotonic()
            part = train
            if len(train) > most:
                part = train.take(np.sort(np.random.default_rng(self.seed).choice(len(train), most, replace=False)))
                name += f" on {most:,} rows"
            if name == "trivial":
                values = sum(target.kind == "regression" for target in self.targets)
                name = (
                    "majority class" if not values else "mean" if values == len(self.targets) else "majority and mean"
                )
            said = system(self, _table(part), _table(dev))
            scores = self.score(self._answers(said, np.asarray(dev_ids)), dev)
            systems.append(Baseline(name, scores, time.monotonic() - clock))
        return systems

    # -- what people see ----------------------------------------------------------------------------------------

    def show(self, example: Example, answers: Answers, row: int, network: nn.Module | None = None) -> Card:
        """The row's fields as they stand in the table; `importances` says which of them tell most."""
        single = len(self.targets) == 1
        truth = {self.targets[0].name: example.target} if single else cast(Mapping[str, Any], example.target)
        shown, costs = [], []
        for j, target in enumerate(self.targets):
            suffix = "" if single else f"_{j}"
            said, true = answers.values["answer" + suffix][row], truth.get(target.name)
            confidence = answers.values.get("confidence" + suffix)
            answer_text, truth_text = _text(target, said), _text(target, true)
            shown.append(
                TargetShown(
                    target.name,
                    truth_text,
                    answer_text,
                    None if confidence is None else float(confidence[row]),
                    wrong=not _absent(true) and truth_text != answer_text,
                )
            )
            probs = answers.values.get("probs" + suffix) if target.kind != "regression" else None
            costs.append(_cost(target, said, true, None if probs is None else probs[row]))
        first = sorted(range(len(shown)), key=lambda j: (not shown[j].wrong, -costs[j]))
        return Card(
            kind="row",
            title=str(example.origin),
            truth=shown[0].truth if single else ", ".join(f"{each.name}={each.truth}" for each in shown),
            answer=shown[0].answer if single else ", ".join(f"{each.name}={each.answer}" for each in shown),
            confidence=shown[0].confidence if single else None,
            fields={
                str(name): "" if _absent(value) else str(value).removesuffix(" 00:00:00")  # a day has no time
                for name, value in example.input.items()
            },
            targets=() if single else [shown[j] for j in first],
        )

    def importances(self, network: nn.Module, dev: Examples, metric: Metric) -> list[Importance]:
        """Permutation importance: how much the metric's error grows when a column of dev is shuffled.

        The interval is the paired one of `metrics.intervals` over rows, around the mean of several shuffles.
        """
        generator = np.random.default_rng(self.seed)
        most = max(500, IMPORTANCE_ANSWERS // (IMPORTANCE_REPEATS * len(self.encoder.sources())))
        if len(dev) > most:
            dev = dev.take(np.sort(generator.choice(len(dev), most, replace=False)))
        x, c = (np.concatenate(parts) for parts in zip(*self._chunks(dev), strict=True))
        intact = self.score(self._answers(self.probabilities(network, x, c), np.arange(len(dev))), dev)
        found = []
        for source in self.encoder.sources():
            at_numbers, at_categories = self.encoder.positions(source)
            drops = []
            for _ in range(IMPORTANCE_REPEATS):
                shuffle = generator.permutation(len(dev))
                numbers, categories = x.copy(), c.copy()
                numbers[:, at_numbers] = x[shuffle][:, at_numbers]
                categories[:, at_categories] = c[shuffle][:, at_categories]
                shuffled = self.score(self._answers(self.probabilities(network, numbers, categories), intact.ids), dev)
                drops.append(gap_interval(intact, shuffled, metric, paired=True))
            middle = [float(np.mean([getattr(drop, part) for drop in drops])) for part in ("value", "low", "high")]
            found.append(Importance(source, *middle))
        return sorted(found, key=lambda importance: -importance.drop)

    def unlike_train(self, examples: Examples) -> NDArray[np.float64]:
        frames = self._frames(_table(examples))
        return np.concatenate([np.zeros(0), *(self.encoder.unlike_train(frame) for frame in frames)])

    # -- export -------------------------------------------------------------------------------------------------

    def example_inputs(self, batch_size: int = 2) -> tuple[Tensor, ...]:
        """numbers (B, F + flags) float32 and categories (B, C) int64."""
        generator = torch.Generator().manual_seed(0)
        numbers = torch.randn(batch_size, self.encoder.num_numbers, generator=generator)
        levels = [
            torch.randint(0, len(column.levels) + 1, (batch_size, 1), generator=generator)
            for column in self.encoder.categories
        ]
        return numbers, torch.cat(levels, 1) if levels else torch.zeros(batch_size, 0, dtype=torch.int64)

    def input_names(self) -> list[str]:
        return ["numbers", "categories"]

    def preprocessing(self) -> dict[str, Any]:
        """How to make the two inputs and read the outputs, in words and values."""
        return {
            "numbers": "z = (value - median) / scale; z / sqrt(1 + (z / 3)^2); missing: 0; then a 0/1 flag for each "
            'number with "missing": true, in order; parts of a date: days since 1970, month, day, weekday (Monday 0), '
            "hour",
            "categories": "position of the level in levels + 1 (null = missing); 0 = unknown",
            **self.encoder.state(),
            "outputs": [{**asdict(target), "outputs": target.head.size} for target in self.targets],
            "reading": "binary: sigmoid; multiclass: softmax; regression: value * scale + mean",
        }

    # -- inside -------------------------------------------------------------------------------------------------

    def _frames(self, examples: TableExamples) -> Iterator[pd.DataFrame]:
        return examples.chunks(CHUNK_ROWS, self.encoder.sources())

    def _chunks(self, examples: Examples) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        return (self.encoder.encode(frame) for frame in self._frames(_table(examples)))

    def probabilities(
        self, network: nn.Module, x: NDArray[np.float32], c: NDArray[np.int32]
    ) -> list[NDArray[np.float64]]:
        """Each target's probabilities (n, K) or values (n,)."""
        like = next(network.parameters())  # its device and precision
        network.eval()
        numbers, categories = torch.as_tensor(x), torch.as_tensor(c)

        def said(first: int, stop: int) -> Tensor:
            z: Tensor = network(numbers[first:stop].to(like), categories[first:stop].to(like.device))
            return z.double().cpu()

        with torch.no_grad():
            outputs = list(self.halving.pieces(said, len(numbers), _rows_at_once(network), "answering rows"))
        if not outputs:
            outputs = [said(0, 0)]
        parts = torch.cat(outputs).split([target.head.size for target in self.targets], 1)
        return [_probs_or_values(target, z) for target, z in zip(self.targets, parts, strict=True)]


class TabularObjective(Objective):
    """The summed loss over known labels of all targets; each member of the network is taught by itself.

    Args:
        task: fitted; network: of this task.
        train, dev: examples; rows without any label are left out.
    """

    def __init__(
        self, task: Tabular, network: TabularNet, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> None:
        self.net = network
        self.halving = task.halving
        self.targets = task.targets
        self.smoothing = training.label_smoothing
        tensors = self._tensors(task, train)
        self.class_weights = [
            _class_weights(target, tensors[2][:, j], training.class_weights) for j, target in enumerate(self.targets)
        ]
        self.loader = MemoryLoader(tensors, min(_size(training.batch_size), max(1, len(tensors[0]))), task.seed)
        self.dev = None if dev is None or not len(dev) else self._tensors(task, dev)

    def _tensors(self, task: Tabular, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        """numbers (n, F) float32, categories (n, C) int32, targets (n, T) float32 with NaN where unknown."""
        columns = _target_columns(examples)
        coded = np.stack([target.encode(columns[target.name], examples) for target in self.targets], 1)
        labelled = ~np.isnan(coded).all(1)
        if not labelled.all():
            rows = np.flatnonzero(labelled)
            examples, coded = examples.take(rows), coded[rows]
        n, num_numbers, num_categories = len(coded), task.encoder.num_numbers, len(task.encoder.categories)
        if n * 4 * (num_numbers + num_categories) > IN_MEMORY_BYTES:
            # a nameless file: it goes when the arrays go, also when the process is killed
            with tempfile.TemporaryFile() as of_numbers, tempfile.TemporaryFile() as of_categories:
                x: NDArray[np.float32] = np.memmap(of_numbers, np.float32, "w+", shape=(n, max(1, num_numbers)))
                c: NDArray[np.int32] = np.memmap(of_categories, np.int32, "w+", shape=(n, max(1, num_categories)))
            x, c = x[:, :num_numbers], c[:, :num_categories]
        else:
            x, c = np.empty((n, num_numbers), np.float32), np.empty((n, num_categories), np.int32)
        first = 0
        for numbers, categories in task._chunks(examples):
            x[first : first + len(numbers)], c[first : first + len(numbers)] = numbers, categories
            first += len(numbers)
        return torch.from_numpy(x), torch.from_numpy(c), torch.from_numpy(coded)

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return self.loader.batches(epoch, start)

    def batches_per_epoch(self) -> int:
        return len(self.loader)

    def loss(self, batch: Any) -> LossSum:
        numbers, categories, targets = batch
        total, count = heads_loss(
            self.net.members(numbers, categories), targets, self.net.heads, self.class_weights, self.smoothing
        )
        return total, count, {}

    def uninformed_loss(self, batch: Any) -> tuple[float, float]:
        """Of outputs that are all 0: log K a class, the squared distance from train's mean a value."""
        targets = batch[2]
        nothing = targets.new_zeros(1, len(targets), sum(head.size for head in self.net.heads))
        total, count = heads_loss(nothing, targets, self.net.heads, self.class_weights, self.smoothing)
        return total.item(), count

    def evaluate(self) -> dict[str, float]:
        """Of the averaged network on dev's known labels: "loss", and "error" (error rate or RMSE, mean of targets)."""
        if self.dev is None:
            return {}
        device, dev = next(self.net.parameters()).device, self.dev

        def judged(first: int, stop: int) -> tuple[float, float, Tensor]:
            x, c, y = (tensor[first:stop].to(device) for tensor in dev)
            z = self.net(x, c)
            part, known = heads_loss(z[None], y, self.net.heads)
            return part.item(), known, z.cpu()

        total, count, outputs = 0.0, 0.0, []
        with torch.no_grad():
            for part, known, z in self.halving.pieces(judged, len(dev[0]), _rows_at_once(self.net), "measuring dev"):
                total, count = total + part, count + known
                outputs.append(z)
        errors = []
        parts = torch.cat(outputs).split([head.size for head in self.net.heads], 1)
        for target, z, y in zip(self.targets, parts, self.dev[2].unbind(1), strict=True):
            z, y = z[~y.isnan()], y[~y.isnan()]
            if target.kind == "regression":
                unit = target.scale if len(self.targets) == 1 else 1.0
                errors.append(unit * (z[:, 0] - y).square().mean().sqrt().item())
            else:
                said = z.argmax(1) if target.kind == "multiclass" else (z[:, 0] > 0)
                errors.append((said != y).float().mean().item())
        return {"loss": total / max(count, 1.0), "error": float(np.nanmean(errors))}


def heads_loss(
    outputs: Tensor,
    targets: Tensor,
    heads: Sequence[Head],
    class_weights: Sequence[Tensor | None] | None = None,
    smoothing: float = 0.0,
) -> tuple[Tensor, float]:
    """Summed loss over the known labels of all targets, mean over members; and how many labels are known.

    Args:
        outputs: (k, B, outputs) logits and standardised values.
        targets: (B, T) class numbers and standardised values; NaN = unknown: no loss, gradient exactly 0.
        class_weights: per target (classes,) weights, or None.
        smoothing: share of probability spread over the other classes.
    Returns:
        (sum over known labels of cross-entropy in nats or squared error, number of known labels).
    """
    members = outputs.shape[0]
    known = ~torch.isnan(targets)
    labels = torch.where(known, targets, 0)
    total = outputs.new_zeros(())
    for j, (head, z) in enumerate(zip(heads, outputs.split([head.size for head in heads], -1), strict=True)):
        y = labels[:, j].expand(members, -1)  # (k, B)
        weight = None if class_weights is None else class_weights[j]
        if head.kind == "regression":
            loss = (z[..., 0] - y).square()
        elif head.kind == "binary":
            smooth = y * (1 - smoothing) + smoothing / 2
            loss = F.binary_cross_entropy_with_logits(z[..., 0], smooth, reduction="none")
        else:
            loss = F.cross_entropy(
                z.flatten(0, 1), y.flatten().long(), reduction="none", label_smoothing=smoothing
            ).view(members, -1)
        if weight is not None:
            loss = loss * weight.to(loss.device)[y.long()]
        total = total + torch.where(known[:, j], loss, 0).sum() / members
    return total, float(known.sum().item())


def _class_weights(target: Target, y: Tensor, wanted: str | dict[str, float]) -> Tensor | None:
    """(classes,) weights with mean 1 over train; None where all are equal."""
    if wanted == "none" or target.kind == "regression":
        return None
    counts = torch.bincount(y[~y.isnan()].long(), minlength=len(target.classes)).double()
    if isinstance(wanted, str):
        weights = counts.sum() / (len(counts) * counts.clamp(min=1))
    else:
        unknown = [name for name in wanted if name not in target.classes]
        if unknown:
            remedy = did_you_mean(unknown[0], target.classes)
            raise ConfigError(f'"{unknown[0]}" is not a class of "{target.name}"', "training.class_weights", remedy)
        weights = torch.tensor([float(wanted.get(name, 1.0)) for name in target.classes]).double()
    return (weights * counts.sum() / (weights * counts).sum()).float()


# -- sizes by data size -----------------------------------------------------------------------------------------------


# Measured with one seed on adult (test error; gradient boosting 0.127): 48 bins of size 12: 0.133; 96 bins of size 24
# and categories of 16: 0.127. What did not help at 48 bins: 16 members 0.133, width 256 0.134, one layer 0.134, three
# layers 0.133, batches of 256 rows 0.134; periodic embeddings were worse, 0.139.
# Below 1,000 rows (titanic, wine quality, horse colic, German credit; 3 seeds) dropout 0.3 was never worse than 0.1.
# Fewer bins, or a third of the rate, helped one table and hurt another.


def suggested_sizes(n: int) -> dict[str, Any]:
    """The network for n rows of train; a table of millions gets one that sees each row quickly."""
    if n < 1_000:
        sizes = {"members": 8, "width": 64, "number_size": 8, "bins": 16, "category_size": 8, "min_count": 2}
    elif n < 5_000:
        sizes = {"members": 16, "width": 128, "number_size": 16, "bins": 32, "category_size": 8, "min_count": 5}
    elif n < 200_000:
        sizes = {"members": 8, "width": 128, "number_size": 24, "bins": 96, "category_size": 16, "min_count": 5}
    elif n < 1_000_000:
        sizes = {"members": 4, "width": 128, "number_size": 12, "bins": 48, "category_size": 16, "min_count": 10}
    else:
        sizes = {"members": 2, "width": 64, "number_size": 8, "bins": 32, "category_size": 8, "min_count": 20}
    return {**sizes, "depth": 2, "dropout": 0.3 if n < 1_000 else 0.1 if n < 200_000 else 0.0}


def suggested_training(n: int) -> dict[str, Any]:
    """Rates and lengths for n rows of train: some 400,000 rows shown in all, in batches that keep the steps many."""
    batch_size = next((size for limit, size in BATCH_SIZES if n < limit), 4096)
    return {
        "batch_size": batch_size,
        "epochs": int(np.clip(round(ROWS_SHOWN / max(1, n)), 1 if n >= 1_000_000 else 2, 40)),
        "lr": 0.003 if n < 5_000 else 0.005,
        "weight_decay": 0.02,
        "patience": 10,
    }


# -- small helpers ----------------------------------------------------------------------------------------------------


def _size(value: int | None) -> int:
    assert value is not None, "fit or load_state fills the open sizes"
    return value


def _table(examples: Examples) -> TableExamples:
    if not isinstance(examples, TableExamples):
        raise DataError(
            f"these are {examples.modality} examples, not rows of a table", examples.name, "Choose another task.kind."
        )
    return examples


def _target_columns(examples: Examples) -> dict[str, NDArray[Any]]:
    """Target column -> (n,) values."""
    names = _table(examples).target_columns
    if not names:
        raise DataError("the table has no target column", examples.name, "Name it: --target COLUMN")
    values = examples.targets()
    return {name: values if values.ndim == 1 else values[:, j] for j, name in enumerate(names)}


def _rows_at_once(network: nn.Module) -> int:
    """So many that the members' hidden layers stay within some 64 MiB."""
    widest = max(parameter.shape[-1] for parameter in network.parameters())
    members = max(parameter.shape[0] for name, parameter in network.named_parameters() if name.endswith("scale.scale"))
    return max(64, 2**24 // (widest * members))


def _probs_or_values(target: Target, z: Tensor) -> NDArray[np.float64]:
    """Outputs of one head (n, size) -> probabilities (n, K) or values (n,)."""
    if target.kind == "regression":
        return z[:, 0].numpy() * target.scale + target.mean
    if target.kind == "multiclass":
        return torch.softmax(z, 1).numpy()
    p = torch.sigmoid(z[:, 0]).numpy()
    return np.stack([1 - p, p], 1)


def _absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and np.isnan(value))


def _cost(target: Target, said: Any, true: Any, probs: NDArray[Any] | None) -> float:
    """What one target adds to a row's loss: nats, or squared error in standard deviations; 0 where it is unknown."""
    if _absent(true):
        return 0.0
    if probs is None:
        return float((float(said) - float(true)) / target.scale) ** 2
    name = level_text(true)
    p = float(probs[target.classes.index(name)]) if name in target.classes else 0.0
    return -math.log(max(p, float(np.finfo(np.float32).tiny)))


def _text(target: Target, value: Any) -> str:
    if _absent(value):
        return "unknown"
    return significant(float(value)) if target.kind == "regression" else level_text(value)


def _records(
    target: Target,
    answers: Answers,
    suffix: str,
    rows: NDArray[np.int64],
    coded: NDArray[np.float32],
    raw: NDArray[Any],
) -> dict[str, NDArray[Any]]:
    """One target's records; what is unknown counts as class 0, or as answered rightly, and is masked by the caller."""
    if target.kind == "regression":
        answer = np.asarray(answers.values["answer" + suffix], np.float64)[rows]
        truth = pd.to_numeric(pd.Series(raw), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        truth = np.where(np.isnan(coded), answer, truth)
        squared = (answer - truth) ** 2
        return {
            "truth": truth,
            "answer": answer,
            "squared": squared,
            "absolute": np.abs(answer - truth),
            "loss": squared,
        }
    truth = np.nan_to_num(coded).astype(np.int64)
    probs = answers.values["probs" + suffix][rows]
    answer = probs.argmax(1)
    loss = -np.log(np.maximum(probs[np.arange(len(rows)), truth].astype(np.float64), np.finfo(np.float32).tiny))
    wrong = (answer != truth).astype(np.float64)
    return {"truth": truth, "answer": answer, "probs": probs, "wrong": wrong, "loss": loss}


def _metrics_of(target: Target, positive: str | None = None) -> dict[str, Metric]:
    return regression_metrics() if target.kind == "regression" else classification_metrics(target.classes, positive)


def _relative_rmse(target: Target) -> Metric:
    """RMSE of one of several targets in standard deviations of train, so that targets of all units can be averaged."""
    name = target.name

    def additive(records: Records) -> Additive:
        known = np.asarray(records[f"known_{name}"], np.float64)
        squared = np.asarray(records[f"squared_{name}"], np.float64) / target.scale**2
        return Additive(np.stack([squared * known, known], 1))

    return additive_metric(
        f"relative_rmse_{name}", f"RMSE in standard deviations, {name}", additive, lambda s: ratio(s) ** 0.5
    )


# -- classic systems --------------------------------------------------------------------------------------------------


def _per_target(task: Tabular, train: TableExamples, dev: TableExamples, fit_one: Any) -> list[NDArray[np.float64]]:
    """fit_one(target, rows of train with a label, their codes) -> answers for dev, of each target."""
    columns = _target_columns(train)
    said = []
    for target in task.targets:
        y = target.encode(columns[target.name], train)
        rows = np.flatnonzero(~np.isnan(y))
        p = fit_one(target, rows, y[rows])
        said.append(p * target.scale + target.mean if target.kind == "regression" else p)
    return said


def _trivial(task: Tabular, train: TableExamples, dev: TableExamples) -> list[NDArray[np.float64]]:
    def fit_one(target: Target, rows: NDArray[np.int64], y: NDArray[np.float32]) -> NDArray[np.float64]:
        if target.kind == "regression":
            return np.full(len(dev), y.mean(dtype=np.float64))
        shares = np.bincount(y.astype(np.int64), minlength=len(target.classes)) / len(y)
        return np.tile(shares, (len(dev), 1))

    return _per_target(task, train, dev, fit_one)


def _linear(task: Tabular, train: TableExamples, dev: TableExamples) -> list[NDArray[np.float64]]:
    """Logistic or ridge regression, L2 = 1, on scaled numbers and one-hot levels."""
    from scipy import sparse
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    def design(examples: TableExamples) -> Any:
        x, c = (np.concatenate(parts) for parts in zip(*task._chunks(examples), strict=True))
        blocks: list[Any] = [sparse.csr_array(x.astype(np.float64))] if x.shape[1] else []
        for j, column in enumerate(task.encoder.categories):
            ones, size = np.ones(len(c)), (len(c), len(column.levels) + 1)
            blocks.append(sparse.csr_array((ones, (np.arange(len(c)), c[:, j])), shape=size))
        both = sparse.hstack(blocks, format="csr")
        return both if both.shape[1] > 500 else both.toarray()

    x_train, x_dev = design(train), design(dev)

    def fit_one(target: Target, rows: NDArray[np.int64], y: NDArray[np.float32]) -> NDArray[np.float64]:
        if target.kind == "regression":
            return np.asarray(
                Ridge(solver="lsqr" if sparse.issparse(x_train) else "auto").fit(x_train[rows], y).predict(x_dev)
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bounded number of steps is the point here
            model = LogisticRegression(max_iter=200)
            return _all_classes(target, y, model, x_train[rows], x_dev)

    return _per_target(task, train, dev, fit_one)


def _boosting(task: Tabular, train: TableExamples, dev: TableExamples, seed: int = 0) -> list[NDArray[np.float64]]:
    """scikit-learn's histogram gradient boosting with its defaults, on raw numbers and categories."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    most = 254  # levels that its bins can hold, besides "unknown"
    num_numbers = len(task.encoder.numbers)
    categorical = np.arange(num_numbers, num_numbers + len(task.encoder.categories))

    def design(examples: TableExamples) -> NDArray[np.float64]:
        parts = []
        for frame in task._frames(examples):
            raw = task.encoder._raw(frame)
            levels = [task.encoder._levels(j, frame[c.source]) for j, c in enumerate(task.encoder.categories)]
            parts.append(np.stack([*raw, *(np.where(level > most, 0, level) for level in levels)], 1))
        return np.concatenate(parts)

    x_train, x_dev = design(train), design(dev)

    def fit_one(target: Target, rows: NDArray[np.int64], y: NDArray[np.float32]) -> NDArray[np.float64]:
        if target.kind == "regression":
            regressor = HistGradientBoostingRegressor(categorical_features=categorical, random_state=seed)
            return np.asarray(regressor.fit(x_train[rows], y).predict(x_dev))
        model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed)
        return _all_classes(target, y, model, x_train[rows], x_dev)

    return _per_target(task, train, dev, fit_one)


def _all_classes(target: Target, y: NDArray[np.float32], model: Any, x_train: Any, x_dev: Any) -> NDArray[np.float64]:
    """(n, K) probabilities, also where the rows at hand do not show every class."""
    codes = y.astype(np.int64)
    p = np.zeros((x_dev.shape[0], len(target.classes)))
    present = np.unique(codes)
    p[:, present] = 1.0 if len(present) == 1 else model.fit(x_train, codes).predict_proba(x_dev)
    return p
