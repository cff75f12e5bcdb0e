"""The labels of a run's data: how many are wrong, which are suspect, how far that can be trusted, what it costs.

    answers out of fold   train in FOLDS parts, each answered by a network trained on the others; dev by all of them
    noise, floor          `strategy.floor` on train's and on dev's
    suspects              `strategy.labels` on both
    trust                 a share of train's labels is changed at random, PLANTED_FOLDS of the folds are trained again,
                          and of the first suspects it is counted how many were changed

Where the networks are no judges, no suspect is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import plural
from orthogon.data.split import folds as folds_of
from orthogon.metrics.intervals import wilson, z_of
from orthogon.project.trial import Recipe, Trial, Trials
from orthogon.shown import Shown, plain
from orthogon.strategy import floor, labels
from orthogon.strategy.floor import CHANCE_SHARE, Floor, Noise, Source
from orthogon.strategy.labels import Precision

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from orthogon.metrics.score import Metric, Scores

FOLDS = 4
PLANTED_FOLDS = 2
PLANTED = (0.02, 0.05, 0.1)  # shares of labels changed on purpose: the least, the usual, the most
FEWEST_PLANTED, MANY_PLANTED = 10, 20  # labels changed on purpose: below, nothing is measured; below, more are
TRUSTED = 0.3  # precision on planted labels, below which no suspect is named
MOST_LOOKED_AT = 20_000  # examples whose margins are kept during a training
MOST_SYSTEMS = 3  # shown in the bracket, the best ones
MOST_KEPT = 2000  # suspects written down
WORTH = (
    0.25  # share of dev's mistakes that are suspect labels, from which on dev is cleaned before systems are compared
)

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Suspect:
    """An example whose label is suspect.

    rank: from 1. suggestion: the class that networks give which did not learn it, with their probability for it and
    for its label. margin: mean over trainings that it took part in, None where there were none. mistake: on dev,
    whether the run's own answer differs from the label.
    """

    rank: int
    split: str
    id: int
    label: str
    suggestion: str
    confidence: float
    own: float
    margin: float | None = None
    mistake: bool = False


@dataclass(frozen=True)
class LabelStudy(Shown):
    """What was found.

    noise: of "train" and "dev". precision: on labels changed on purpose; apart: the same without those suspected
    anyway. silent: why no suspect is named; empty where they are. num_suspects: by split. dev_errors, dev_suspected:
    mistakes of the run on dev, and how many of them are suspect labels. why: why there is nothing of this for the task.
    """

    noise: Mapping[str, Noise] = field(default_factory=dict)
    floor: Floor | None = None
    suspects: tuple[Suspect, ...] = ()
    num_suspects: Mapping[str, int] = field(default_factory=dict)
    precision: Precision | None = None
    apart: Precision | None = None
    silent: str = ""
    dev_n: int = 0
    dev_errors: int = 0
    dev_suspected: int = 0
    trainings: int = 0
    seconds: float = 0.0
    why: str = ""
    labels_key: str = ""
    format: int = 1

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelStudy:
        """The inverse of `to_dict`."""
        parts = {
            "noise": {name: Noise(**each) for name, each in values["noise"].items()},
            "floor": Floor.from_dict(values["floor"]) if values["floor"] else None,
            "suspects": tuple(Suspect(**each) for each in values["suspects"]),
            "precision": Precision(**values["precision"]) if values["precision"] else None,
            "apart": Precision(**values["apart"]) if values["apart"] else None,
        }
        return cls(**{**values, **parts})

    # -- words --------------------------------------------------------------------------------------------------

    def sentences(self) -> list[str]:
        """What was found, for someone who has never heard of confident learning."""
        if self.why:
            return [self.why]
        said = []
        said += [f"Labels of {name}: about {noise.says()}." for name, noise in self.noise.items() if noise.known]
        unknown = [name for name, noise in self.noise.items() if not noise.known]
        if unknown:
            said.append(f"Labels of {' and '.join(unknown)}: how many are wrong is {self.noise[unknown[0]].says()}.")
        if self.silent:
            said.append(f"No suspect is named: {self.silent}.")
        elif self.num_suspects and not any(self.num_suspects.values()):
            said.append(f"No label of {' or '.join(self.num_suspects)} is suspect.")
        elif self.num_suspects:
            counts = " and ".join(f"{count:,} of {name}" for name, count in self.num_suspects.items())
            said.append(f"Suspect: {counts}. They are for a person to look at; nothing is relabelled by itself.")
        if self.precision is not None and not self.silent:
            p = self.precision
            low, high = (float(limit) for limit in wilson(p.hits, p.first, z_of(0.95)))
            apart = ""
            if self.apart is not None and self.apart.first and self.apart.value - p.value > 0.02:
                apart = f"; {100 * self.apart.value:.0f} % where those suspected anyway are left out"
            said.append(
                f"Trust: when {100 * p.share:.0f} % of train's labels were changed at random, {p.hits} of the first "
                f"{p.first} suspects were changed ones ({100 * p.value:.0f} % "
                f"[{100 * low:.0f}, {100 * high:.0f}]{apart}). "
                "Labels that people get wrong are harder to find than labels changed at random."
            )
        if self.dev_errors and not self.dev_suspected and not self.silent:
            said.append(f"None of the {plural(self.dev_errors, 'mistake')} on dev is a suspect label.")
        elif self.dev_errors and not self.silent:
            other = self.dev_errors - self.dev_suspected
            said.append(
                f"Of the {self.dev_errors:,} mistakes on dev {self.dev_suspected:,} are suspect labels; were all of "
                f"those wrong labels, the dev error would be {100 * other / self.dev_n:.1f} % in place of "
                f"{100 * self.dev_errors / self.dev_n:.1f} %. {worth_cleaning(self.dev_errors, self.dev_suspected)}"
            )
        return said

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        if self.floor is not None:
            yield self.floor
            yield Text("")
        for sentence in self.sentences():
            yield Text(sentence)

    def table(self, k: int = 20, split: str | None = None) -> Any:
        """The first k suspects as a table for the terminal."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", "split", "id", "label", "looks like", "sure", "margin"):
            table.add_column(heading, justify="right" if heading in ("", "id", "sure", "margin") else "left")
        for s in [each for each in self.suspects if split in (None, each.split)][:k]:
            margin = "" if s.margin is None else f"{s.margin:.1f}"
            cells = (f"{s.rank}", s.split, f"{s.id}", s.label, s.suggestion, f"{100 * s.confidence:.0f} %", margin)
            table.add_row(*(Text(cell) for cell in cells))
        return table


def worth_cleaning(errors: int, due_to_labels: int) -> str:
    """Whether wrong labels of dev stand in the way: by their share of the mistakes, not of the examples.

    At 10 % error, 0.6 points of it due to labels are 6 % of the mistakes: wait. At 2 % they are 30 %, and a system at
    2.1 % and one at 1.9 % cannot be ranked: correct dev and test first, both by one process.
    """
    share = due_to_labels / errors if errors else 0.0
    if share >= WORTH:
        return (
            f"That is {100 * share:.0f} % of the mistakes: correct the labels of dev and test, by one process, before "
            "systems are compared."
        )
    return f"That is {100 * share:.0f} % of the mistakes: other mistakes come first."


# -- the study ----------------------------------------------------------------------------------------------------


def study_labels(
    trials: Trials,
    metric: Metric,
    dev_scores: Scores | None = None,
    others: Mapping[str, Scores] | None = None,
    *,
    workers: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> LabelStudy:
    """Train out of fold, and say what the answers tell of the labels.

    Args:
        trials: of the run's project and config.
        metric: of the run.
        dev_scores: of the run, on dev.
        others: name -> dev Scores of other systems, for the bracket.
    """
    names = trials.task.class_names()
    systems = {"this run on dev": dev_scores} if dev_scores is not None else {}
    systems |= dict(others or {})
    probe = dev_scores.records if dev_scores is not None else {}
    if not names or np.ndim(probe.get("truth", np.zeros((1, 1)))) != 1:
        return _without_classes(trials, metric, systems)
    found = out_of_fold(trials, workers, tell)
    train, dev, fold, truth, probs, on_dev = found.train, found.dev, found.fold, found.truth, found.probs, found.on_dev
    if len(train) < floor.FEWEST:
        return LabelStudy(
            why=f"{len(train):,} labelled examples in train are too few to tell; {floor.FEWEST} are asked for."
        )
    noise, views, first = noise_of(trials, found)
    wrong = probs.argmax(axis=1) != truth[train]
    counts = {"out of fold": (int(wrong.sum()), len(wrong))}
    for name, scores in systems.items():
        if metric.kind == "proportion" and metric.record is not None and metric.record in scores.records:
            mistakes = np.asarray(scores.records[metric.record]) > 0
            counts[name] = (int(mistakes.sum()), len(mistakes))
    picked = {k: (v[0][first], v[1][first]) if isinstance(v, tuple) else v[first] for k, v in views.items()}
    shown = sorted(counts, key=lambda name: counts[name][0] / max(counts[name][1], 1))[:MOST_SYSTEMS]
    counts = {name: counts[name] for name in counts if name in shown}
    found_floor = floor.bracket(counts, truth[train][first], len(names), picked, noise["train"])

    share = PLANTED[1]
    if noise["train"].known and noise["train"].value > PLANTED[0]:
        share = float(min(round(noise["train"].value, 2), PLANTED[2]))
    if share * len(train) * PLANTED_FOLDS / FOLDS < MANY_PLANTED:
        share = PLANTED[2]
    suspected = labels.find(truth[train], probs)
    tell(f"{PLANTED_FOLDS} trainings with {100 * share:.0f} % of the labels changed on purpose")
    precision, apart = _measured_trust(trials, train, dev, fold, truth, names, share, suspected, workers)
    silent = _silence(noise["train"], truth[train], precision, apart)

    suspects: list[Suspect] = []
    num: dict[str, int] = {}
    dev_suspected = 0
    mistaken = _mistakes(dev_scores)
    if not silent:
        parts: list[tuple[str, Ids, Any, Any, NDArray[np.bool_]]] = [("train", train, probs, found.margin, suspected)]
        if on_dev is not None:
            parts.append(("dev", dev, on_dev, None, labels.find(truth[dev], on_dev)))
        for split, ids, p, m, flags in parts:
            num[split] = int(flags.sum())
            rows = labels.order(truth[ids], p, m)[: num[split]][:MOST_KEPT]
            for rank, row in enumerate(rows, start=1):
                best = int(p[row].argmax())
                own = int(truth[ids[row]])
                suspects.append(
                    Suspect(
                        rank=rank,
                        split=split,
                        id=int(ids[row]),
                        label=names[own],
                        suggestion=names[best],
                        confidence=float(p[row, best]),
                        own=float(p[row, own]),
                        margin=None if m is None else float(m[row]),
                        mistake=split == "dev" and int(ids[row]) in mistaken,
                    )
                )
        flagged = {each.id for each in suspects if each.split == "dev"}
        dev_suspected = len(mistaken & flagged)
    return LabelStudy(
        noise=noise,
        floor=found_floor,
        suspects=tuple(suspects),
        num_suspects=num,
        precision=precision,
        apart=apart,
        silent=silent,
        dev_n=0 if dev_scores is None else len(dev_scores),
        dev_errors=len(mistaken),
        dev_suspected=dev_suspected,
        trainings=FOLDS + PLANTED_FOLDS,
        seconds=found.seconds,
        labels_key=trials.project.corrections(trials.examples),
    )


@dataclass(frozen=True)
class OutOfFold:
    """What networks say of examples that they did not learn.

    train, dev: ids with a label. truth: class number of every example by id, -1 without a label. fold: (n,) of train.
    probs: (n, C). features: (n, d) by the fold's network. margin: (n,) mean over the trainings that each took part in.
    on_dev: (n_dev, C) mean over the networks; None without dev. seconds: of processor time.
    """

    train: Ids
    dev: Ids
    truth: Ids
    fold: Ids
    probs: NDArray[np.float64]
    features: NDArray[np.float32]
    margin: NDArray[np.float64]
    on_dev: NDArray[np.float64] | None
    seconds: float


def noise_of(trials: Trials, found: OutOfFold) -> tuple[dict[str, Noise], dict[str, Any], Ids]:
    """Wrong labels of "train" and of "dev"; with the views of train's inputs and the rows that are no copies."""
    train, dev, truth, task = found.train, found.dev, found.truth, trials.task
    examples = trials.examples.take(train)
    raw = task.plain_inputs(examples)
    views: dict[str, Any] = {"learned features": (found.features, found.fold)}
    if raw is not None:
        views = {"inputs": floor.standardised(raw), "principal components": floor.principal(raw), **views}
    first = _first_copies(examples.content_keys())
    noise = {"train": _noise(found.probs, truth[train], views, first)}
    if found.on_dev is not None:
        raw_dev = task.plain_inputs(trials.examples.take(dev))
        trusted = noise["train"].known  # then the same networks are judges here
        dev_views = {} if raw_dev is None or trusted else {"inputs": floor.standardised(raw_dev)}
        keys = _first_copies(trials.examples.take(dev).content_keys())
        noise["dev"] = _noise(found.on_dev, truth[dev], dev_views, keys)
    return noise, views, first


def out_of_fold(
    trials: Trials,
    workers: int = 1,
    tell: Callable[[str], None] = lambda text: None,
    make: Callable[[Recipe], Trial] | None = None,
) -> OutOfFold:
    """Train FOLDS networks on parts of train, chosen by dev as the run is; made once, then read from their trials.

    make: what makes each, where somebody keeps account of them.
    """
    names, truth = trials.task.class_names(), classes_by_id(trials)
    train, dev = (trials.splits.parts.get(part, np.zeros(0, np.int64)) for part in ("train", "dev"))
    train, dev = train[truth[train] >= 0], dev[truth[dev] >= 0]
    fold = folds_of(trials.examples.take(train), FOLDS, truth[train], trials.config.seed)
    tell(f"{FOLDS} trainings on {FOLDS - 1} of {FOLDS} parts of train")
    recipes = [_recipe(train, dev, fold, k) for k in range(FOLDS)]
    made = list(trials.make_all(recipes, workers)) if make is None else [make(recipe) for recipe in recipes]
    on_dev = np.mean([probs_of(trial, "dev", dev, len(names)) for trial in made], axis=0) if len(dev) else None
    gathered = _gathered(made, train, fold, len(names))
    return OutOfFold(train, dev, truth, fold, *gathered, on_dev, sum(trial.seconds for trial in made))


def classes_by_id(trials: Trials) -> Ids:
    """(n,) class number of every example by id, -1 without a label."""
    names = trials.task.class_names()
    return _numbers(trials.examples.targets(), {name: k for k, name in enumerate(names)})


def _recipe(train: Ids, dev: Ids, fold: Ids, k: int, targets: tuple[Ids, NDArray[Any]] | None = None) -> Recipe:
    fitted = train[fold != k]
    looked_at = fitted[:: max(1, -(-len(fitted) // MOST_LOOKED_AT))]
    parts = {"fold": train[fold == k], "fitted": looked_at, **({"dev": dev} if len(dev) else {})}
    return Recipe(
        train=fitted, measure=parts, features=("fold",), margins=("fitted",), targets=targets, purpose="labels"
    )


def _gathered(
    made: list[Trial], train: Ids, fold: Ids, num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float64]]:
    """(n, C) out-of-fold probabilities, (n, d) features by the fold's network, (n,) mean margin where fitted."""
    probs = np.zeros((len(train), num_classes))
    features = np.zeros((len(train), made[0].features["fold"].shape[1]), np.float32)
    sums, looks = np.zeros(len(train)), np.zeros(len(train))
    for k, trial in enumerate(made):
        ids = train[fold == k]
        probs[fold == k] = probs_of(trial, "fold", ids, num_classes)
        features[fold == k] = trial.features["fold"]
        rows = np.searchsorted(train, np.asarray(trial.answers["fitted"].ids))
        sums[rows] += trial.margins["fitted"].mean(axis=1)
        looks[rows] += 1
    return probs, features, np.divide(sums, looks, out=np.full(len(train), np.nan), where=looks > 0)


def probs_of(trial: Trial, part: str, ids: Ids, num_classes: int) -> NDArray[np.float64]:
    """(n, C) in the order of ids; of two classes also where only the second one's probability is kept."""
    answers = trial.answers[part]
    values = np.asarray(answers.values["probs"], np.float64)
    values = np.stack([1 - values, values], axis=1) if values.ndim == 1 else values
    assert values.shape[1] == num_classes
    row_of = {int(id_): row for row, id_ in enumerate(answers.ids)}
    return values[[row_of[int(id_)] for id_ in ids]]


def _numbers(targets: NDArray[Any], number: Mapping[str, int]) -> NDArray[np.int64]:
    """(n,) class numbers, -1 where there is no label or one that train does not have."""
    from orthogon.data.encode import level_text

    return np.array([-1 if t is None else number.get(str(t), number.get(level_text(t), -1)) for t in targets], np.int64)


def _first_copies(keys: NDArray[Any]) -> Ids:
    """Rows of the first of each different input: a copy is no neighbour that anybody labelled anew."""
    _, first = np.unique(keys, return_index=True)
    return np.sort(first)


def _noise(probs: NDArray[Any], truth: Ids, views: Mapping[str, Any], first: Ids) -> Noise:
    picked = {k: (v[0][first], v[1][first]) if isinstance(v, tuple) else v[first] for k, v in views.items()}
    return floor.label_noise(probs[first], truth[first], picked)


def _mistakes(scores: Scores | None) -> set[int]:
    if scores is None or "wrong" not in scores.records:
        return set()
    return {int(id_) for id_ in scores.ids[np.asarray(scores.records["wrong"]) > 0]}


def _measured_trust(
    trials: Trials,
    train: Ids,
    dev: Ids,
    fold: Ids,
    truth: Ids,
    names: list[str],
    share: float,
    suspected: NDArray[np.bool_],
    workers: int,
) -> tuple[Precision | None, Precision | None]:
    """Precision of the first suspects among labels changed on purpose: of all, and without those suspected anyway."""
    rows, new = labels.plant(truth[train], share, len(names), trials.config.seed)
    judged = np.flatnonzero(fold < PLANTED_FOLDS)
    planted = np.intersect1d(rows, judged)
    if len(planted) < FEWEST_PLANTED:
        return None, None
    targets = (train[rows], np.array([names[k] for k in new], object))
    none = np.zeros(0, np.int64)
    recipes = [_recipe(train, none, fold, k, targets) for k in range(PLANTED_FOLDS)]
    made = list(trials.make_all(recipes, workers))
    probs, _, margin = _gathered(made, train, np.where(fold < PLANTED_FOLDS, fold, -1), len(names))
    changed = truth[train].copy()
    changed[rows] = new
    ranked = judged[labels.order(changed[judged], probs[judged], margin[judged])]
    whole = labels.precision(ranked, planted, len(planted), share)
    left = ~suspected
    rest = np.intersect1d(planted, np.flatnonzero(left))
    return whole, labels.precision(ranked[left[ranked]], rest, len(rest), share)


def _silence(noise: Noise, truth: Ids, precision: Precision | None, apart: Precision | None) -> str:
    """Why the networks are no judges of labels; empty where they are."""
    chance = 1 - float(np.bincount(truth).max()) / len(truth)
    if noise.error >= CHANCE_SHARE * chance:
        return (
            f"networks that did not learn an example are wrong on {100 * noise.error:.0f} %, one constant answer on "
            f"{100 * chance:.0f} %, so they are no judges of labels"
        )
    if precision is None:
        return "there are too few examples to measure how far a list could be trusted"
    best = max(precision.value, apart.value if apart is not None else 0.0)
    if best < TRUSTED:
        return (
            f"of labels changed on purpose only {100 * best:.0f} % stood among as many first suspects, so a list would "
            "mostly be wrong"
        )
    return ""


def _without_classes(trials: Trials, metric: Metric, systems: Mapping[str, Scores]) -> LabelStudy:
    """What values and strings tell: an upper limit from the system itself, a lower one from inputs that repeat."""
    from orthogon.metrics.intervals import estimate

    examples, train = trials.examples, trials.splits["train"]
    sources = []
    for name, scores in systems.items():
        limits = estimate(scores, metric).interval()
        sources.append(Source("at most", name, limits.value, limits.low, limits.high, len(scores)))
    targets = examples.targets()
    kept = [
        "Which labels are wrong is told of examples with one class each; here the answers are "
        + ("strings." if examples.modality == "strings" else "values, or several at once.")
    ]
    low = 0.0
    if examples.modality == "strings" or (targets.ndim == 1 and targets.dtype != np.float64):
        part = examples.take(train)
        differ, pairs = floor.repeats(part.content_keys(), np.array([str(t) for t in part.targets()], object))
        if pairs:
            a, b = (float(limit) for limit in wilson(differ, pairs, z_of(0.95)))
            kept.append(
                f"Of {pairs:,} inputs that come more than once {differ:,} have two different answers: on such inputs "
                f"any system errs on at least {100 * a / 2:.1f} %."
            )
            share = pairs / len(train)
            note = "half of the pairs that differ, times the share of inputs that repeat"
            value, least, most = (share * each / 2 for each in (differ / pairs, a, b))
            used = metric.unit == "%"
            sources.append(Source("at least", "inputs that repeat", value, least, most, pairs, used, note))
            low = least if used else 0.0
    elif targets.ndim == 1:
        part = examples.take(train)
        raw = trials.task.plain_inputs(part)
        y = part.targets().astype(np.float64)
        known = np.isfinite(y)
        if raw is not None and known.sum() >= floor.FEWEST and metric.name == "rmse":
            chosen = np.flatnonzero(known)
            chosen = chosen[np.random.default_rng(0).permutation(len(chosen))[: floor.MOST_NEIGHBOURS]]
            value = float(np.sqrt(floor.noise_variance(floor.standardised(raw[chosen]), y[chosen])))
            note = "neighbours differ by the noise and by what the function changes between them"
            sources.append(Source("at most", "nearest neighbours differ", value, value, value, len(chosen), True, note))
        kept.append("From below nothing bounds the error on values without repeated measurements of the same input.")
    if not sources:
        return LabelStudy(why=kept[0])
    high = min((s.high for s in sources if s.side == "at most"), default=float("inf"))
    return LabelStudy(floor=Floor(min(low, high), high, tuple(sources), metric.unit), why=" ".join(kept))


__all__ = ["FOLDS", "LabelStudy", "Suspect", "study_labels", "worth_cleaning"]
