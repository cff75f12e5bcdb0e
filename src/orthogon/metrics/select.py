"""Choosing among systems: one metric to optimise, any number of limits to keep; and the threshold of a decision."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from orthogon.errors import ConfigError, UsageError, did_you_mean
from orthogon.metrics.intervals import Interval, interval
from orthogon.metrics.score import Additive, Metric, Records, Scores, additive_metric, with_unit

_LIMIT = re.compile(r"\s*(<=|>=|<|>|≤|≥)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*")


@dataclass(frozen=True)
class Limit:
    """A figure that must be kept: "<= 100"."""

    name: str
    relation: Literal["<=", "<", ">=", ">"]
    value: float

    def slack(self, figure: float | Interval) -> float:
        """How far the figure stays on the right side; negative when it does not. A measured one at its worse end."""
        if self.relation.startswith("<"):
            return self.value - (figure.high if isinstance(figure, Interval) else figure)
        return (figure.low if isinstance(figure, Interval) else figure) - self.value

    def kept(self, figure: float | Interval) -> bool:
        slack = self.slack(figure)
        return slack >= 0 if "=" in self.relation else slack > 0

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.value:g}"


def parse_limit(name: str, text: str) -> Limit:
    """Read "<= 100", "> 0.9" or "<= 5 %" (0.05).

    Raises:
        ConfigError: the text is none of these.
    """
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise ConfigError(
            f'"{text}" is not a limit.',
            f"metrics.satisfice.{name}",
            'Write a relation and a number, for instance "<= 100" or ">= 0.95".',
        )
    relation, number, percent = found.groups()
    relation = {"≤": "<=", "≥": ">="}.get(relation, relation)
    return Limit(name, relation, float(number) / (100 if percent else 1))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Candidate:
    """A system and its figures: known numbers, or measured ones with their interval."""

    name: str
    figures: Mapping[str, float | Interval]


@dataclass(frozen=True)
class Ranked:
    """A candidate's place: what it reaches, what it breaks and by how much.

    slack: limit -> distance to it in the figure's unit, negative where broken.
    violation: sum over limits of how far each is broken, as a share of the limit.
    """

    name: str
    value: float
    feasible: bool
    slack: Mapping[str, float]
    violation: float


@dataclass(frozen=True)
class Selection:
    """The best system that keeps every limit, the order of all, and what the limits cost.

    best: None when no candidate keeps every limit.
    price: how much better the metric would be without the limits; 0 when they cost nothing, None without a best.
    """

    metric: str
    best: str | None
    ranking: tuple[Ranked, ...]
    price: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _point(figure: float | Interval) -> float:
    return figure.value if isinstance(figure, Interval) else float(figure)


def _figure(candidate: Candidate, name: str) -> float | Interval:
    if name not in candidate.figures:
        raise ConfigError(
            f'"{candidate.name}" has no figure "{name}".', "metrics", did_you_mean(name, candidate.figures)
        )
    return candidate.figures[name]


def select(
    candidates: Sequence[Candidate],
    optimise: str | None,
    satisfice: Mapping[str, str] | None = None,
    *,
    higher_is_better: bool = False,
    unit: str = "",
) -> Selection:
    """Rank by one metric among those that keep every limit; the others follow by how far they break them.

    Args:
        candidates: the systems.
        optimise: the one metric that ranks.
        satisfice: figure -> limit as text, {"latency_ms": "<= 100"}. A measured figure keeps a limit only when its
            whole interval does.
        higher_is_better: of the optimised metric. unit: its unit, "%" for a share, as the reason writes it.
    Raises:
        ConfigError: no metric is declared, a limit cannot be read, or a candidate lacks a figure.
        UsageError: there are no candidates.
    """
    if not optimise:
        known = ", ".join(sorted({name for candidate in candidates for name in candidate.figures}))
        raise ConfigError(
            "Systems cannot be ranked without one declared metric.",
            "metrics.optimise",
            f"Name the one metric that counts; measured here: {known or 'none'}.",
        )
    if not candidates:
        raise UsageError("There is nothing to rank.", "candidates", "Train at least one system.")
    limits = [parse_limit(name, text) for name, text in (satisfice or {}).items()]
    ranking = []
    for candidate in candidates:
        figures = {limit.name: _figure(candidate, limit.name) for limit in limits}
        slack = {str(limit): limit.slack(figures[limit.name]) for limit in limits}
        broken = [
            -slack[str(limit)] / (abs(limit.value) or 1.0) for limit in limits if not limit.kept(figures[limit.name])
        ]
        value = _point(_figure(candidate, optimise))
        ranking.append(Ranked(candidate.name, value, not broken, slack, math.fsum(broken)))
    sign = -1.0 if higher_is_better else 1.0
    ranking.sort(key=lambda r: (not r.feasible, r.violation, sign * r.value))
    first = ranking[0]
    if not first.feasible:
        closest = min(first.slack, key=lambda name: first.slack[name])
        reason = f"No system keeps every limit; {first.name} comes nearest and misses {closest} most."
        return Selection(optimise, None, tuple(ranking), None, reason)
    unlimited = min(ranking, key=lambda r: sign * r.value)
    price = sign * (first.value - unlimited.value)
    reason = f"{first.name} has the best {optimise} ({with_unit(first.value, unit)})"
    reason += " of those that keep every limit" if limits else ""
    reason += f"; without limits {unlimited.name} would reach {with_unit(unlimited.value, unit)}." if price > 0 else "."
    return Selection(optimise, first.name, tuple(ranking), max(price, 0.0), reason)


# -- threshold of a yes/no decision -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """From which probability of the positive class on the answer is yes.

    figure, at_half: the metric at the threshold and at 1/2, on the examples it was chosen on.
    """

    value: float
    positive: int
    metric: str
    figure: Interval
    at_half: float
    num_examples: int
    reason: str = field(default="")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Threshold:
        return cls(**{**values, "figure": Interval(**values["figure"])})


def _answered(scores: Scores, yes: np.ndarray[Any, Any], positive: int) -> Scores:
    """The scores if the answer were the positive class exactly where `yes` says so."""
    answer = np.where(yes, positive, 1 - positive)
    wrong = (answer != np.asarray(scores.records["truth"])).astype(np.int64)
    return Scores({**scores.records, "answer": answer, "wrong": wrong}, scores.ids, scores.groups)


def at_threshold(scores: Scores, threshold: Threshold) -> Scores:
    """The scores if every answer were decided by this threshold."""
    return at_value(scores, threshold.value, threshold.positive)


def at_value(scores: Scores, value: float | np.ndarray[Any, Any], positive: int = 1) -> Scores:
    """The scores if the answer were the positive class from this probability on; `value` may differ by unit, (n,)."""
    return _answered(scores, np.asarray(scores.records["probs"])[:, positive] >= value, positive)


def expected_cost(false_alarm: float, miss: float, positive: int = 1) -> Metric:
    """Mean cost of a decision: `false_alarm` for each wrong yes, `miss` for each wrong no."""

    def additive(records: Records) -> Additive:
        cost = np.where(np.asarray(records["truth"]) == positive, miss, false_alarm) * np.asarray(records["wrong"])
        return Additive(np.stack([cost, np.ones_like(cost)], axis=1).astype(np.float64))

    return additive_metric("expected_cost", "mean cost of a decision", additive)


def choose_threshold(scores: Scores, metric: Metric, positive: int = 1) -> Threshold:
    """The threshold with the best metric on these scores of two classes; the dev set's, never the test set's.

    For costs give `expected_cost(false_alarm, miss)` as the metric.

    Raises:
        UsageError: there are not two classes, or the metric does not depend on the threshold as a function of sums.
    """
    chosen = best_threshold(scores, metric, positive)
    figure = interval(at_value(scores, chosen, positive), metric)
    at_half = metric.value(at_value(scores, 0.5, positive))
    reason = (
        f"{metric.title} is {metric.show(figure.value)} at {chosen:.3f} and {metric.show(at_half)} at 0.5, on the "
        f"{len(scores)} examples it was chosen on."
    )
    return Threshold(chosen, positive, metric.name, figure, at_half, len(scores), reason)


def best_threshold(scores: Scores, metric: Metric, positive: int = 1) -> float:
    """The probability from which on answering the positive class gives the best metric on these scores.

    Every distinct probability is tried. Between two that separate answers the middle is taken, among equals the one
    nearest to 1/2.

    Raises:
        UsageError: there are not two classes, or the metric does not depend on the threshold as a function of sums.
    """
    probs = np.asarray(scores.records["probs"], dtype=np.float64)
    if probs.shape[1:] != (2,):
        raise UsageError(
            f"A threshold needs two classes; these scores have {probs.shape[-1]}.",
            "choose_threshold",
            "Use the most probable class, or score one class against the rest.",
        )
    if metric.additive is None or metric.combine is None:
        raise UsageError(
            f'"{metric.name}" does not depend on a threshold.',
            "choose_threshold",
            'Choose by "f1", "error", "weighted_error" or expected_cost(false_alarm, miss).',
        )
    p = probs[:, positive]
    order = np.argsort(-p, kind="stable")
    no = metric.additive(_answered(scores, np.zeros(len(p), bool), positive).records).dense()
    yes = metric.additive(_answered(scores, np.ones(len(p), bool), positive).records).dense()
    # with the i most probable answered yes, the sums are those of all-no plus the changes of these i
    sums = np.concatenate([np.zeros((1, no.shape[1])), np.cumsum((yes - no)[order], axis=0)]) + no.sum(axis=0)
    edges = np.concatenate([[1.0 + 1e-6], p[order], [-1e-6]])
    between = np.flatnonzero(edges[:-1] > edges[1:])  # equal probabilities cannot be told apart
    values = metric.combine(sums[between]) * (1 if metric.higher_is_better else -1)
    thresholds = (edges[between] + edges[between + 1]) / 2
    best = np.flatnonzero(values >= values.max() - 1e-12)
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])
