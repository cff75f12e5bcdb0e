"""How the data one trained on and the data one cares about differ, beyond the number that the error ladder gives.

Three looks, each with its own question:
- traits: in which things that have a name do they differ (brightness, length, a column)? Kolmogorov-Smirnov and
  chi-square, Holm over all of them.
- a domain classifier on what the network makes of each input: can they be told apart at all, and which examples are
  most unlike the other side? Cross-fitted, its area under ROC with DeLong's interval.
- the network's own answers (black-box shift detection): does it answer otherwise?

A difference costs nothing by itself: what all of them cost together is the ladder's gap, and what one of them costs is
asked of the same examples with it and without it (`counterfactual`). The two answer different questions and stand side
by side: "the mismatch cannot be told from these sets; the one difference found, in tones, does no harm". A shift
without a gap is a note, no verdict.

Source: Lipton, Wang, Smola 2018 (black-box shift); Rabanser, Guennemann, Lipton 2019 (which detectors find what);
DeLong et al. 1988 (area under ROC); LeDell et al. 2015 (its mean over folds).
Differs: the classifier also sees the squares of its inputs, so that a difference in spread is found too; where nothing
of train was held out it sees the network as it was before training, since a trained network knows the examples it was
trained on and those can be told from new ones without any shift.
Legend: n_r reference examples (train), n_t target examples (dev), d features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Examples, Splits
from orthogon.data.traits import Trait, traits
from orthogon.errors import RunError, UsageError
from orthogon.metrics.intervals import NORMAL, Floats, Interval, difference, estimate
from orthogon.metrics.score import Metric, Scores, significant
from orthogon.run.folder import Run
from orthogon.shown import Shown, plain
from orthogon.strategy import counterfactual
from orthogon.strategy.counterfactual import NamedCost
from orthogon.strategy.diagnosis import (
    MATERIAL,
    MISMATCH,
    NEGLIGIBLE,
    REVERSED,
    SMALL,
    UNCLEAR,
    UNSPLIT,
    Diagnosis,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from torch import nn

    from orthogon.data.split import Difference
    from orthogon.tasks.task import Answers

MOST_LOOKED_AT = {"image": 1000, "table": 5000, "strings": 5000}  # examples of each side whose traits are measured
MOST_PIXELS = 400_000_000  # of each side that are read for traits: about ten seconds of decoding photos
MOST_CLASSIFIED = 1000  # examples of each side that the domain classifier sees
FEWEST = 20  # examples of a side
SHOWN_EXAMPLES = 12  # of each side, for the report
SMALLEST_DISTANCE = 0.05  # between distributions; below it a trait is not named
LEAST_APART = 0.55  # area under ROC from which on two sides count as apart
USUAL = (2.5, 97.5)  # percentiles of train between which a value is usual
SURE = 0.99  # level at which unusual examples must have the higher error to be called costly
FOLDS, COMPONENTS = 5, 50


# -- what was found -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TraitShift:
    """A trait whose distribution differs.

    distance: 0..1, of the test's own kind. detail: what differs, in words. above: of pairs of one example each, the
    share in which dev's value is the higher one (numbers). edges, reference, target: a histogram, shares of each side;
    for texts `levels` in place of edges.
    outside: share of dev whose value is unusual in train; error_outside, error_inside: dev's error there and elsewhere.
    """

    name: str
    meaning: str
    unit: str
    test: str
    distance: float
    p: float
    detail: str
    above: float | None = None
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    outside: float | None = None
    error_outside: Interval | None = None
    error_inside: Interval | None = None
    costs: bool = False


@dataclass(frozen=True)
class Domains:
    """How well a classifier tells the two sides apart.

    auc, low, high: its area under ROC, cross-fitted, with a 95 % interval; 0.5 is chance.
    seen: what it sees of each input, in words.
    unlike: ids of dev examples most unlike train, that first. like: ids of dev most like train.
    reference_unlike: ids of train most unlike dev. reference_like: ids of train most like dev.
    """

    auc: float
    low: float
    high: float
    n_reference: int
    n_target: int
    seen: str
    unlike: tuple[int, ...] = ()
    like: tuple[int, ...] = ()
    reference_unlike: tuple[int, ...] = ()
    reference_like: tuple[int, ...] = ()

    @property
    def apart(self) -> bool:
        return self.low > 0.5 and self.auc >= LEAST_APART


@dataclass(frozen=True)
class AnswerShift:
    """How the network's answers differ between the two sides.

    p: of "the answers have one distribution", after Holm over what was tested. detail: what differs most, in words.
    classes, reference, target: shares of each answer. truth_reference, truth_target: of each true class.
    """

    p: float
    differs: bool
    detail: str
    classes: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    truth_reference: tuple[float, ...] = ()
    truth_target: tuple[float, ...] = ()


@dataclass(frozen=True)
class Shift(Shown):
    """How dev differs from train, and whether that costs anything.

    reference: "train-dev" or "train", what dev was compared with by the classifier and the answers.
    num_traits: how many things with a name were compared; traits: those that differ, the most different first.
    gap: the ladder's gap that a shift would cause, or "" where the ladder has none. verdict: on that gap.
    costs: what named differences cost, each by itself; only of those that can be taken away.
    note: one sentence for the diagnosis; empty where there is nothing to say.
    """

    reference: str
    n_reference: int
    n_target: int
    num_traits: int
    traits: tuple[TraitShift, ...]
    domains: Domains | None
    answers: AnswerShift | None
    gap: str
    verdict: str
    unit: str
    sentences: tuple[str, ...]
    note: str = ""
    costs: tuple[NamedCost, ...] = ()
    format: int = field(default=1)

    @property
    def found(self) -> bool:
        """Whether any of the three looks shows a shift."""
        return bool(
            self.traits
            or (self.domains is not None and self.domains.apart)
            or (self.answers is not None and self.answers.differs)
        )

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self) | {"found": self.found})
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Shift:
        """The inverse of `to_dict`."""

        def trait(each: Mapping[str, Any]) -> TraitShift:
            lists = {key: tuple(each[key]) for key in ("edges", "levels", "reference", "target")}
            errors = {
                key: None if each[key] is None else Interval(**each[key]) for key in ("error_outside", "error_inside")
            }
            return TraitShift(**{**each, **lists, **errors})

        def tuples(each: Mapping[str, Any]) -> dict[str, Any]:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in each.items()}

        parts: dict[str, Any] = {key: value for key, value in values.items() if key != "found"}
        domains, answers = values["domains"], values["answers"]
        parts["traits"] = tuple(trait(each) for each in values["traits"])
        parts["domains"] = None if domains is None else Domains(**tuples(domains))
        parts["answers"] = None if answers is None else AnswerShift(**tuples(answers))
        parts["sentences"] = tuple(values["sentences"])
        parts["costs"] = tuple(NamedCost.from_dict(each) for each in values.get("costs", ()))
        return cls(**parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        if self.traits:
            table = Table(box=None, pad_edge=False, header_style="bold")
            table.add_column("differs", overflow="fold")
            for heading in ("how", "distance"):
                table.add_column(heading, no_wrap=heading == "distance")
            table.add_column("")
            for each in self.traits[:8]:
                cost = ""
                if each.costs and each.error_outside is not None and each.error_inside is not None:
                    cost = (
                        f"error {_show(each.error_outside.value, self.unit)} where unusual in train, "
                        f"{_show(each.error_inside.value, self.unit)} elsewhere"
                    )
                table.add_row(each.name, Text(each.detail), f"{each.distance:.2f}", cost)
            yield table
        if self.costs:
            yield Text("")
            yield self._costs_table()
        yield Text(" ".join(self.sentences))

    def _costs_table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("one difference alone", overflow="fold")
        for heading in ("dev as it is", "with train's", "costs", ""):
            table.add_column(heading, no_wrap=True)
        for each in self.costs:
            table.add_row(
                Text(each.name),
                _show(each.error, self.unit),
                _show(each.error_without, self.unit),
                Text(f"{_show(each.value, self.unit, '+')} {_span(each, self.unit)}"),
                Text(each.verdict_in_words),
            )
        return table


def _show(value: float, unit: str, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f} %" if unit == "%" else f"{significant(value, sign)} {unit}".rstrip()


def _span(cost: NamedCost, unit: str) -> str:
    ends = (f"{100 * end:.1f}" if unit == "%" else significant(end) for end in (cost.low, cost.high))
    return f"[{', '.join(ends)}]"


# -- traits -------------------------------------------------------------------------------------------------------


def compare_traits(
    reference: Sequence[Trait],
    target: Sequence[Trait],
    scores: Scores | None = None,
    metric: Metric | None = None,
    least: float = SMALLEST_DISTANCE,
) -> list[TraitShift]:
    """The traits in which two sets of examples differ by more than chance, the most different first.

    Args:
        scores, metric: of the target's examples in their order, to see where the unusual ones cost something.
    """
    from orthogon.data.split import differ  # pandas: not for those who only read what was found

    ours = {trait.name: trait for trait in reference}
    theirs = {trait.name: trait for trait in target}
    found = differ(
        {n: each.values for n, each in ours.items()}, {n: each.values for n, each in theirs.items()}, least=least
    )
    return [
        _described(each, ours[each.column], theirs[each.column], scores, metric)
        for each in found
        if each.column in ours and each.column in theirs
    ]


def _described(
    found: Difference, ours: Trait, theirs: Trait, scores: Scores | None, metric: Metric | None
) -> TraitShift:
    x, y = np.asarray(ours.values), np.asarray(theirs.values)
    shown: dict[str, Any] = {}
    if x.dtype.kind == "f" and y.dtype.kind == "f":
        a, b = x[np.isfinite(x)], y[np.isfinite(y)]
        low, high = np.percentile(a, USUAL)
        unusual = np.isfinite(y) & ((y < low) | (y > high))
        ends = np.percentile(a, [0.5, 99.5]), np.percentile(b, [0.5, 99.5])
        first, last = float(np.min(ends)), float(np.max(ends))
        edges = np.linspace(first, last, 21) if first < last else np.linspace(first - 0.5, first + 0.5, 21)
        counts = [np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / len(side) for side in (a, b)]
        shown |= {"above": delong(b, a)[0], "edges": tuple(map(float, edges))}
        middle = [_trait_text(float(np.median(side)), ours.unit) for side in (a, b)]
        detail = f"median {middle[0]} in train, {middle[1]} in dev"
        if middle[0] == middle[1]:
            spread = [np.percentile(side, [10, 90]) for side in (a, b)]
            texts = [" to ".join(_trait_text(float(v), ours.unit) for v in each) for each in spread]
            detail = f"middle 80 % {texts[0]} in train, {texts[1]} in dev"
    else:
        names = [np.array(["unknown" if v is None else str(v) for v in side]) for side in (x, y)]
        every = np.unique(np.concatenate(names))
        shares = [np.array([np.mean(side == level) for level in every]) for side in names]
        moved = np.argsort(-np.abs(shares[0] - shares[1]), kind="stable")[:8]
        unusual = np.isin(names[1], every[shares[1] > 2 * shares[0]])
        counts = [side[moved] for side in shares]
        shown |= {"levels": tuple(str(every[k]) for k in moved)}
        detail = found.says("train", "dev")
    shown |= {"reference": tuple(map(float, counts[0])), "target": tuple(map(float, counts[1]))}
    shown |= _cost(unusual, scores, metric)
    return TraitShift(
        ours.name, ours.meaning, ours.unit, found.test, found.distance, found.p, detail, **shown
    )  # fmt: skip


def _trait_text(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "days since 1970":
        return str(np.datetime64(int(value), "D"))
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _cost(unusual: NDArray[np.bool_], scores: Scores | None, metric: Metric | None) -> dict[str, Any]:
    """The target's error where its values are unusual in the reference, and elsewhere."""
    found: dict[str, Any] = {"outside": float(unusual.mean())}
    if scores is None or metric is None or min(unusual.sum(), (~unusual).sum()) < FEWEST // 2:
        return found
    outside, inside = (estimate(scores.take(np.flatnonzero(rows)), metric) for rows in (unusual, ~unusual))
    found |= {"error_outside": outside.interval(), "error_inside": inside.interval()}
    found["costs"] = difference(outside, inside).interval(SURE).low > 0
    return found


# -- the domain classifier ----------------------------------------------------------------------------------------


def delong(positive: Floats, negative: Floats) -> tuple[float, float]:
    """(area under ROC, its variance) of the scores of two sets.

    Source: DeLong, DeLong, Clarke-Pearson 1988, by midranks (Sun and Xu 2014).
    """
    from scipy.stats import rankdata

    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n  # of each positive: the share of negatives below it
    below = 1 - (ranks[m:] - rankdata(negative)) / m
    area = float(above.mean())
    spread = [float(side.var(ddof=1)) / len(side) if len(side) > 1 else math.inf for side in (above, below)]
    return area, sum(spread)


def area_interval(area: float, variance: float, fewer: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of an area under ROC on the logit scale; by the rule of three where the sets are wholly apart."""
    z = NORMAL.inv_cdf((1 + level) / 2)
    if not 0 < area < 1 or variance == 0:
        rest = min(0.5, -math.log(1 - level) / fewer)
        return (1 - rest, 1.0) if area >= 0.5 else (0.0, rest)
    logit, half = math.log(area / (1 - area)), z * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-min(max(x, -50.0), 50.0))) for x in (logit - half, logit + half))
    return low, high


def tell_apart(
    reference: NDArray[Any],
    target: NDArray[Any],
    groups: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None),
    seed: int = 0,
) -> tuple[float, float, float, Floats, Floats]:
    """Logistic regression told apart by folds that it was not fitted on.

    Args:
        reference, target: (n_r, d) and (n_t, d) features. groups: what must not be in two folds.
    Returns:
        (area under ROC, low, high, log odds of "target" of each reference (n_r,), of each target example (n_t,)).
    Raises:
        UsageError: a side has too few examples.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    n_r, n_t = len(reference), len(target)
    if min(n_r, n_t) < FEWEST:
        raise UsageError(
            f"{min(n_r, n_t)} examples on one side are too few to tell two sets apart",
            "domain classifier",
            f"It takes {FEWEST} at least.",
        )
    x = _inputs(np.concatenate([reference, target]).astype(np.float64))
    y = np.repeat([0, 1], [n_r, n_t])
    if groups[0] is not None and groups[1] is not None:
        codes = np.unique(np.concatenate([np.asarray(side).astype(str) for side in groups]), return_inverse=True)[1]
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(x, y, codes)
    else:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)
    odds, areas, spreads = np.zeros(len(y)), [], []
    for fitted, held in folds:
        if len(np.unique(y[fitted])) < 2:
            continue
        model = LogisticRegression(C=0.3, max_iter=2000, class_weight="balanced").fit(x[fitted], y[fitted])
        odds[held] = model.decision_function(x[held])
        positive, negative = odds[held][y[held] == 1], odds[held][y[held] == 0]
        if len(positive) and len(negative):
            area, variance = delong(positive, negative)
            areas.append(area)
            spreads.append(variance)
    if not areas:
        return 0.5, 0.0, 1.0, odds[:n_r], odds[n_r:]
    area = float(np.mean(areas))
    # The folds' classifiers share most of what they were fitted on. As if they did not, 7.5 % of pairs of equal samples
    # of 150 and 120 were told apart at 2.5 % (200 draws); with Nadeau and Bengio's (2003) correction 1.5 %.
    variance = float(np.mean(spreads)) * (1 / len(areas) + 1 / max(1, FOLDS - 1))
    low, high = area_interval(area, variance, min(n_r, n_t))
    return area, low, high, odds[:n_r], odds[n_r:]


def _inputs(x: Floats) -> Floats:
    """(n, 2k) principal components of the standardised features at unit spread, and their squares."""
    x = np.nan_to_num(x, posinf=0.0, neginf=0.0)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0))[:, spread > 1e-9 * max(1.0, float(spread.max(initial=0.0)))]
    if x.shape[1] == 0:
        return np.zeros((len(x), 1))
    x = x / x.std(axis=0)
    k = max(1, min(x.shape[1], COMPONENTS, len(x) // 20))
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    kept = [i for i in range(len(values) - 1, -1, -1)[:k] if values[i] > 1e-8 * values[-1]]
    z = np.clip(x @ vectors[:, kept] / np.sqrt(values[kept]), -6, 6)
    return np.concatenate([z, (z**2 - 1) / 2], axis=1)


# -- the network's answers ----------------------------------------------------------------------------------------


def compare_answers(
    reference: Answers,
    target: Answers,
    classes: Sequence[str],
    seen: bool,
    truths: tuple[Any, Any] | None = None,
    names: Sequence[str] = (),
) -> AnswerShift:
    """Whether the network answers otherwise on the target than on the reference.

    Args:
        classes: names of the classes; empty for values and strings.
        seen: the network was trained on the reference. Then only what it answers is compared, not how sure it is.
        truths: true classes of both sides. names: of several targets.
    """
    from orthogon.data.split import differ

    a, b = (_by_target(np.asarray(side.values["answer"]), names) for side in (reference, target))
    if "answer" in a and not classes and a["answer"].dtype.kind == "U":
        a, b = ({"length": np.char.str_len(side["answer"]).astype(float)} for side in (a, b))
    for name, values in reference.values.items():
        if not seen and name in ("probs", "confidence") and name in target.values:
            mine, other = np.asarray(values, float), np.asarray(target.values[name], float)
            columns = range(mine.shape[1]) if mine.ndim == 2 else [None]
            for k in columns:
                of = f'probability of "{classes[k]}"' if k is not None and k < len(classes) else name
                a[of], b[of] = (side if k is None else side[:, k] for side in (mine, other))
    a = {
        name: values.astype(float) if values.dtype.kind in "iuf" else values.astype(object)
        for name, values in a.items()
    }
    b = {
        name: values.astype(float) if values.dtype.kind in "iuf" else values.astype(object)
        for name, values in b.items()
    }
    tests = differ(a, b, level=1.0, least=0.0)
    real = differ(a, b, least=SMALLEST_DISTANCE)
    p = min(1.0, min((each.p for each in tests), default=1.0) * max(1, len(a)))
    name = "train" if seen else "train-dev"
    detail = "; ".join(f"{each.column}: {each.says(name, 'dev')}" for each in real[:2])
    shares: dict[str, Any] = {}
    if classes:
        pairs = {"reference": reference.values["answer"], "target": target.values["answer"]}
        if truths is not None:
            pairs |= {"truth_reference": truths[0], "truth_target": truths[1]}
        shares = {
            key: tuple(float(np.mean(np.asarray(v).astype(str) == c)) for c in classes) for key, v in pairs.items()
        }
        shares["classes"] = tuple(classes)
    return AnswerShift(p, bool(real), detail, **shares)


def _by_target(answers: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The answers (n,), or those of each target of several (n, targets), by name."""
    if answers.ndim == 1:
        return {"answer": answers}
    named = names if len(names) == answers.shape[1] else [str(k + 1) for k in range(answers.shape[1])]
    return {f'answer for "{name}"': answers[:, k] for k, name in enumerate(named)}


def label_weights(confusion: NDArray[Any], target_answers: NDArray[Any]) -> Floats:
    """(K,) how much more frequent each true class is in new data than where the confusion was measured.

    Holds where only the mix of classes changed, not what each class looks like.

    Args:
        confusion: (K, K) counts on held-out data of the reference; rows true, columns answered.
        target_answers: (K,) counts of each answer on the new data.
    Source: Lipton, Wang, Smola 2018, eq. 4, least squares in place of the inverse; negative weights are set to 0.
    """
    joint = np.asarray(confusion, float).T / np.sum(confusion)  # answered x true
    weights = np.linalg.lstsq(joint, np.asarray(target_answers, float) / np.sum(target_answers), rcond=None)[0]
    return np.maximum(weights, 0.0)


# -- of a run -----------------------------------------------------------------------------------------------------


def examine(run: Run, examples: Examples, splits: Splits, metric: Metric, diagnosis: Diagnosis, seed: int = 0) -> Shift:
    """Compare dev with what the run was trained on.

    Args:
        examples, splits: the project's, unchanged since the run.
        diagnosis: the run's, for what a shift costs.
    Raises:
        RunError: the run has no dev set.
    """
    if "dev" not in splits or "dev" not in run.splits():
        raise RunError(f"run {run.id} has no dev set to compare with train", str(run.folder), "Set data.dev.")
    task, rng = run.task(), np.random.default_rng(seed)
    target_domain = run.config["data"].get("target_domain")

    def general(ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Without what train holds of the target domain: that is alike by definition."""
        if target_domain is None or examples.domains is None:
            return ids
        others = ids[examples.domains[ids].astype(str) != str(target_domain)]
        return others if len(others) >= FEWEST else ids

    def sample(ids: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        return ids if len(ids) <= most else np.sort(rng.choice(ids, most, replace=False))

    held_out = "train_dev" in run.splits() and "train_dev" in splits and len(splits["train_dev"]) >= FEWEST
    train, dev = general(splits["train"]), splits["dev"]
    reference = general(splits["train_dev"]) if held_out else train
    most = most_looked_at(examples.take(dev))
    looked, looked_dev = sample(train, most), sample(dev, most)
    usual = examples.take(looked)
    ours, theirs = traits(usual), traits(examples.take(looked_dev), usual)
    scores = run.scores("dev")
    of_id = {int(id_): row for row, id_ in enumerate(scores.ids)}
    known = np.array([int(id_) in of_id for id_ in looked_dev], bool)
    rows = np.array([of_id[int(id_)] for id_ in looked_dev[known]], np.int64)
    judged = (
        [Trait(each.name, each.values[known], each.meaning, each.unit) for each in theirs]
        if not known.all()
        else list(theirs)
    )
    enough = len(looked) >= FEWEST and len(rows) >= FEWEST
    differing = compare_traits(ours, judged, scores.take(rows), metric) if enough else []

    domains = None
    if min(len(reference), len(dev)) >= FEWEST and not run.members:
        a, b = sample(reference, MOST_CLASSIFIED), sample(dev, MOST_CLASSIFIED)
        network = run.network() if held_out else _untrained(run)
        seen = "what the network makes of each input" if held_out else "what the network made of it before training"
        features = [task.features(network, examples.take(ids)) for ids in (a, b)]
        # copies stay in one part, which is no difference: the classifier must not meet one it was fitted on
        groups = (
            (examples.take(a).content_keys(), examples.take(b).content_keys())
            if examples.groups is None
            else (examples.groups[a], examples.groups[b])
        )
        area, low, high, odds_a, odds_b = tell_apart(features[0], features[1], groups, seed)

        def first(ids: NDArray[np.int64], odds: Floats, sign: int) -> tuple[int, ...]:
            return tuple(int(ids[k]) for k in np.argsort(sign * odds, kind="stable")[:SHOWN_EXAMPLES])

        domains = Domains(
            area, low, high, len(a), len(b), seen,
            first(b, odds_b, -1), first(b, odds_b, 1), first(a, odds_a, 1), first(a, odds_a, -1),
        )  # fmt: skip

    answers = None
    source = "train_dev" if held_out else "train"
    if source in run.splits():
        mine = _only(run.answers(source), general(run.answers(source).ids))
        classes, names = task.class_names(), list(getattr(examples, "target_columns", ()))
        truths = None
        if classes:
            every = examples.targets()
            truths = every[mine.ids], every[run.answers("dev").ids]
        if min(len(mine), len(dev)) >= FEWEST:
            answers = compare_answers(mine, run.answers("dev"), classes, not held_out, truths, names)

    costs = counterfactual.ask(
        run, examples, metric, diagnosis, differing,
        looked, looked_dev, sample(reference, most) if held_out else None,
    )  # fmt: skip

    gap = next((gap for name in (MISMATCH, UNSPLIT) if (gap := diagnosis.gap(name)) is not None), None)
    shift = Shift(
        "train-dev" if held_out else "train",
        len(reference),
        len(dev),
        len(ours),
        tuple(differing),
        domains,
        answers,
        gap.name if gap else "",
        gap.verdict if gap else "",
        metric.unit,
        (),
        costs=costs,
    )
    figure = f"{diagnosis.show_gap(gap)} {diagnosis.show_interval(gap.low, gap.high)}" if gap else ""
    sentences, note = _sentences(shift, figure)
    told = [counterfactual.sentence(each, diagnosis) for each in costs]
    if told:
        sentences, note = [*sentences, *told], " ".join([note, *told]) if note else ""
    return Shift(**{**vars(shift), "sentences": tuple(sentences), "note": note})


def most_looked_at(examples: Examples) -> int:
    """How many examples of a side have their traits measured: fewer where pictures are large, by those in front."""
    most = MOST_LOOKED_AT[examples.modality]
    if examples.modality != "image" or len(examples) == 0:
        return most
    few = [np.asarray(examples[k].input) for k in range(min(4, len(examples)))]
    pixels = float(np.mean([each.shape[0] * each.shape[1] for each in few]))
    return int(np.clip(MOST_PIXELS / pixels, most // 10, most))


def _untrained(run: Run) -> nn.Module:
    """The network as it was before training, or one drawn like it."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(run.config["seed"])
        return run.untrained().eval()


def _only(answers: Answers, ids: NDArray[np.int64]) -> Answers:
    keep = np.isin(answers.ids, ids)
    return type(answers)({name: values[keep] for name, values in answers.values.items()}, answers.ids[keep])


def _sentences(shift: Shift, figure: str) -> tuple[list[str], str]:
    """What was found in plain words, and one sentence of it for the diagnosis."""
    said = []
    domains, answers = shift.domains, shift.answers
    if domains is not None:
        span = f"{domains.auc:.2f} [{domains.low:.2f}, {domains.high:.2f}], 0.5 is chance"
        how = (
            "can hardly be taken for each other" if domains.auc > 0.9
            else "can be told apart" if domains.apart
            else "cannot be told apart"
        )  # fmt: skip
        said.append(f"Dev and {shift.reference} {how} by {domains.seen} (area under ROC {span}).")
    names = [each.name for each in shift.traits]
    if names:
        most = shift.traits[0]
        more = f", then in {_listed(names[1:4])}" if names[1:] else ""
        said.append(f"They differ most in {most.name} ({most.detail}){more}.")
    else:
        said.append(f"In none of {shift.num_traits} things that have a name do they differ by more than chance.")
    costly = [each for each in shift.traits if each.costs and each.error_outside and each.error_inside]
    for each in costly[:2]:
        assert each.error_outside is not None
        assert each.error_inside is not None
        said.append(
            f"Where {each.name} is unusual in train ({each.outside:.0%} of dev) the error is "
            f"{_show(each.error_outside.value, shift.unit)}, elsewhere {_show(each.error_inside.value, shift.unit)}."
        )
    if answers is not None and answers.differs:
        said.append(f"The network answers otherwise on dev ({answers.detail}).")
    cleared = {name for cost in shift.costs if cost.harmless for name in cost.covers}
    where = f"most in {_listed(names[:3])}" if names else "though in nothing that has a name"
    if costly := [each for each in costly if each.name not in cleared]:
        where += f" (the unusual in {_listed([each.name for each in costly[:3]])} has the higher error)"
    left = [name for name in names if name not in cleared]
    if not shift.found:
        note = ""
        if shift.verdict == MATERIAL:
            note = (
                "No difference between train and dev was found that would explain it: look at the mistakes themselves."
            )
    elif shift.verdict == MATERIAL and shift.gap == MISMATCH and names and not left:
        note = f"Dev differs from train, {where}, but that does not make the gap: look at the mistakes themselves."
    elif shift.verdict == MATERIAL and shift.gap == MISMATCH:
        there = "there" if len(left) == len(names) else f"in {_listed(left[:3])}"
        note = f"Dev differs from train, {where}: make train more like dev {there}, or collect such data."
    elif shift.verdict in (NEGLIGIBLE, REVERSED, SMALL):
        all_in_all = "all in all " if any(cost.verdict == MATERIAL for cost in shift.costs) else ""
        note = (
            f"Dev differs from train, {where}, and {all_in_all}that does no harm ({shift.gap} {figure}): "
            "a note, not a cause."
        )
    elif shift.verdict == UNCLEAR:
        note = f"Dev differs from train, {where}; that costs something, though how much is unclear ({figure})."
    elif shift.gap and shift.costs:
        note = (
            f"Dev differs from train, {where}; how much all that differs costs cannot be told from these sets "
            f"({shift.gap} {figure})."
        )
    elif shift.gap:
        note = (
            f"Dev differs from train, {where}; whether that costs anything cannot be told yet ({shift.gap} {figure})."
        )
    else:
        note = f"Dev differs from train, {where}; only a train-dev set would tell what that costs."
    return ([*said, note] if note else said), note


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
