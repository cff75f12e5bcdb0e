"""Who is to blame: the search or the score it maximises; and of several components in a row, which one.

A decoder (beam search, Viterbi, a planner) looks for the answer y with the highest score S(y). Where it gives a wrong
y_out for the right y*, S(y*) > S(y_out) says that the search missed what it looked for; otherwise the score itself
prefers the wrong answer, and a better search cannot help.

In a pipeline, the output of a component is replaced by the truth: the error that goes away with it is what the
component is to blame for. Which component that is may depend on the order of the replacements, so for up to five
components every order counts alike (Shapley) beside the order of the pipeline.

Source: Ng, Machine Learning Yearning, chapters 44-45 (the test on scores) and 53-57 (attribution by parts); Shapley
1953; Stahlberg and Byrne 2019 (the best-scored translation is often the empty one, so more search can hurt).
Legend: n examples, k components, e_S error when the components in S are perfect.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.errors import UsageError
from orthogon.metrics.intervals import (
    DRAWS,
    Floats,
    Interval,
    bootstrap,
    from_replicates,
    paired_proportions,
    proportion,
)
from orthogon.metrics.score import significant
from orthogon.shown import Shown, plain

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

SEARCH, MODEL, BOTH, UNDETERMINED = "search", "model", "both", "undetermined"
MOST_COMPONENTS = 5  # of which every order is tried: 2^5 sets of perfect components
SMALLEST_OF_ERROR = 0.1  # of the whole error: an order that moves a component's share by less does not matter
SAME = 1e-9  # two scores closer than this share of their size are a tie


# -- search or model ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blamed:
    """One wrong answer. row: its place among the examples; right_score: of the best-scored right answer."""

    row: int
    by: str
    output_score: float
    right_score: float


@dataclass(frozen=True)
class Widened:
    """What a wider search brought.

    score: mean change of the score that is maximised. error: change of the share of wrong answers, paired, with its
    interval. length: mean change of the answers' length. empty: share of empty answers of the wider search.
    """

    score: float
    error: Interval
    length: float
    empty: float


@dataclass(frozen=True)
class SearchAttribution(Shown):
    """Wrong answers, and whether the search or the score is to blame for each.

    num_examples, num_errors: all, and the wrong ones among them.
    search: S(y*) > S(y_out). model: S(y*) <= S(y_out), ties among them. ties: how many of those are ties.
    unreachable: no right answer can be given at all (a symbol that is not in the vocabulary), counted apart.
    share: of search among the errors that can be told, with Wilson's 95 % interval.
    blame: "search" or "model" where its share is above one half with confidence, else "undetermined"; "model" too
        where a wider search raises the score and the error with it.
    """

    num_examples: int
    num_errors: int
    search: int
    model: int
    ties: int
    unreachable: int
    share: Interval | None
    blame: str
    errors: tuple[Blamed, ...]
    widened: Widened | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, and what to work on."""
        if not self.num_errors:
            return (f"All {self.num_examples:,} answers are right: there is nothing to attribute.",)
        said = [f"{self.num_errors:,} of {self.num_examples:,} answers are wrong."]
        told = self.search + self.model
        if self.share is not None:
            ties = f", {self.ties:,} of them ties" if self.ties else ""
            said.append(
                f"In {self.search:,} of {told:,} ({self.share.value:.0%}, 95 % between {self.share.low:.0%} and "
                f"{self.share.high:.0%}) the right answer has the higher score, and the search missed it; in "
                f"{self.model:,} the score prefers the wrong answer{ties}."
            )
        if self.unreachable:
            said.append(f"{self.unreachable:,} right answers cannot be given at all; they are counted apart.")
        wider = self.widened
        if wider is not None and worse_with_more_search(wider):
            said.append(
                f"A wider search raises the score and the error with it ({100 * wider.error.value:+.1f} points, 95 % "
                f"between {100 * wider.error.low:.1f} and {100 * wider.error.high:.1f}): the score is to blame, "
                f"whatever the counts say. Its answers are {abs(wider.length):.2g} "
                f"{'shorter' if wider.length < 0 else 'longer'} on average: look at its length penalty first."
            )
        elif self.blame == SEARCH:
            said.append("Work on the search: a wider beam, or another way to look for the best-scored answer.")
        elif self.blame == MODEL:
            said.append("Work on the score: more data, a better model, another loss or length penalty.")
        elif told:
            said.append("Neither is shown to have more than half of them: look at more errors before choosing.")
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self) | {"sentences": list(self.sentences)})
        return values

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, justify in (("to blame", "left"), ("errors", "right"), ("share", "right")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        whole = max(1, self.num_errors)
        for name, count in (
            ("search: the right answer scores higher", self.search),
            ("model: the wrong answer scores as high", self.model),
            ("unreachable", self.unreachable),
        ):
            table.add_row(name, f"{count:,}", f"{count / whole:.0%}")
        yield table
        yield " ".join(self.sentences)


def worse_with_more_search(widened: Widened) -> bool:
    """Whether the wider search found better scores and gave more wrong answers, with confidence."""
    return widened.score > 0 and widened.error.low > 0


def attribute_search(
    outputs: Sequence[Any],
    references: Sequence[Any],
    score: Callable[[int, Any], float],
    *,
    reachable: Callable[[int, Any], bool] | None = None,
    wider: Sequence[Any] | None = None,
) -> SearchAttribution:
    """Attribute a decoder's wrong answers to its search or to the score that it maximises.

    Args:
        outputs: (n,) what the decoder answered, such as strings or tuples of symbols.
        references: (n,) the right answer of each, or a list of right answers of which the best-scored one counts.
        score: (row, answer) -> the score that the decoder maximises, its length penalty included. Minus infinity, or
            no number, for what the model cannot produce.
        reachable: (row, answer) -> whether the decoder could give this answer at all; without it whatever has a
            finite score is.
        wider: (n,) answers of a wider search with the same score, for the cross-check.
    Returns:
        The attribution; print it, or read `blame`.
    Raises:
        UsageError: the lists differ in length, or an example has no right answer.

    >>> found = attribute_search(["b", "b"], ["a", "a"], lambda row, y: {"a": [0.9, 0.1][row], "b": 0.5}[y])
    >>> found.search, found.model
    (1, 1)
    """
    n = len(outputs)
    for name, given in (("references", references), ("wider", outputs if wider is None else wider)):
        if len(given) != n:
            raise UsageError(f"{n} outputs and {len(given)} {name}", name, "Give one of each for every example.")
    rights = [_several(reference) for reference in references]
    missing = next((row for row, right in enumerate(rights) if not right), None)
    if missing is not None:
        raise UsageError("an example has no right answer", f"references, row {missing}", "Leave it out.")
    wrong = np.array([output not in right for output, right in zip(outputs, rights, strict=True)], bool)
    blamed = []
    for row in map(int, np.flatnonzero(wrong)):
        mine = float(score(row, outputs[row]))
        scores = [float(score(row, y)) for y in rights[row] if reachable is None or reachable(row, y)]
        best = max((s for s in scores if math.isfinite(s)), default=-math.inf)
        if not math.isfinite(best):
            by = "unreachable"
        elif best - mine > SAME * max(1.0, abs(best)):
            by = SEARCH
        else:
            by = MODEL
        blamed.append(Blamed(row, by, mine, best))
    search, model = (sum(each.by == by for each in blamed) for by in (SEARCH, MODEL))
    ties = sum(
        each.by == MODEL and abs(each.right_score - each.output_score) <= SAME * max(1.0, abs(each.right_score))
        for each in blamed
    )
    share = proportion(search, search + model).interval() if search + model else None
    widened = None if wider is None or not n else _widened(outputs, wider, rights, score)
    blame = UNDETERMINED
    if widened is not None and worse_with_more_search(widened):
        blame = MODEL
    elif share is not None:
        blame = SEARCH if share.low > 0.5 else MODEL if share.high < 0.5 else UNDETERMINED
    return SearchAttribution(
        n, int(wrong.sum()), search, model, ties, len(blamed) - search - model, share, blame, tuple(blamed), widened
    )


def _several(reference: Any) -> list[Any]:
    """The right answers of one example: a list or a set holds several, anything else is one."""
    return list(reference) if isinstance(reference, list | set | frozenset) else [reference]


def _widened(
    outputs: Sequence[Any], wider: Sequence[Any], rights: Sequence[Sequence[Any]], score: Callable[[int, Any], float]
) -> Widened:
    before, after = (np.array([y not in right for y, right in zip(given, rights, strict=True)], float)
                     for given in (outputs, wider))  # fmt: skip
    changed = [row for row in range(len(outputs)) if outputs[row] != wider[row]]
    rises = [float(score(row, wider[row])) - float(score(row, outputs[row])) for row in changed]
    lengths = [_length(wider[row]) - _length(outputs[row]) for row in changed]
    n = len(outputs)
    return Widened(sum(rises) / n, _drop(before, after, -1), sum(lengths) / n, sum(_length(y) == 0 for y in wider) / n)


def _length(answer: Any) -> int:
    return len(answer) if hasattr(answer, "__len__") else 1


# -- pipelines ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One component's share of the blame; errors and drops are means over all examples, with 95 % intervals.

    alone: drop of the error when this component alone is perfect.
    ceiling: drop when it and all before it are perfect. step: what of that it adds to the ones before it.
    shapley: what it adds, averaged over every order; None for more than `MOST_COMPONENTS`.
    first: of the wrong examples, how many it is the first in order to repair, with Wilson's interval of the share.
    breaks: examples that become wrong when it is made perfect after the ones before it.
    """

    name: str
    alone: Interval | None
    ceiling: Interval
    step: Interval
    shapley: Interval | None
    first: int
    first_share: Interval | None
    breaks: int


@dataclass(frozen=True)
class PipelineAttribution(Shown):
    """What each component of a pipeline is to blame for.

    error: with none perfect, 0-best. remaining: with all perfect. unrepaired: wrong examples that no repair mends.
    blame: the component whose share of the error is largest, by Shapley where there is one, else by its step.
    disagreement: components that the order of the pipeline and the average over orders judge differently; empty
        where they agree.
    at_human_level: no component is shown to do worse than people, and yet the whole is: the division into these
        components is the fault. None where people's figures are not given.
    """

    num_examples: int
    num_errors: int
    error: Interval
    remaining: float
    unrepaired: int
    parts: tuple[Part, ...]
    blame: str
    disagreement: tuple[str, ...]
    at_human_level: bool | None = None
    unit: str = "%"

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, and what to work on."""
        if not self.num_errors:
            return (f"All {self.num_examples:,} examples come out right: there is nothing to attribute.",)
        worst = self.part(self.blame)
        main = worst.shapley or worst.step
        how = "averaged over the orders of repair" if worst.shapley else "after the components before it"
        said = [
            f"{self.num_errors:,} of {self.num_examples:,} examples come out wrong ({self._show(self.error)}).",
            f'"{self.blame}" is to blame for the most: perfect, it would bring the error down by {self._show(main)}, '
            f"{how}; it is the first to repair {worst.first:,} of the {self.num_errors:,}.",
        ]
        if self.disagreement:
            named = " and ".join(f'"{name}"' for name in self.disagreement)
            said.append(
                f"The order matters for {named}: what a component seems to cost depends on which others are perfect."
            )
        if self.unrepaired:
            said.append(
                f"{self.unrepaired:,} stay wrong with every component perfect: the labels, or what lies outside the "
                "pipeline."
            )
        if self.at_human_level:
            said.append(
                "No component is shown to do worse than people, and yet the whole does: not a component but the "
                "division into these components is the fault. What do people use that no component is given?"
            )
        return tuple(said)

    def _show(self, figure: Interval) -> str:
        if self.unit == "%":
            return f"{100 * figure.value:.1f} points [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
        span = f"[{significant(figure.low)}, {significant(figure.high)}]"
        return f"{significant(figure.value)} {self.unit} {span}".replace("  ", " ")

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self) | {"sentences": list(self.sentences)})
        return values

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("component", overflow="fold")
        for heading in ("first to\nrepair", "alone", "up to here", "adds", "over all orders"):
            table.add_column(heading, justify="right", no_wrap=True)
        scale = 100 if self.unit == "%" else 1

        def cell(figure: Interval | None) -> str:
            if figure is None:
                return ""
            value, low, high = (f"{scale * x + 0.0:.1f}" for x in (figure.value, figure.low, figure.high))
            return f"{value} [{low}, {high}]"

        for part in self.parts:
            table.add_row(
                part.name, f"{part.first:,}", cell(part.alone), cell(part.ceiling), cell(part.step), cell(part.shapley)
            )
        yield f"Drop of the error{', in points,' if self.unit == '%' else ''} when components are perfect"
        yield table
        yield " ".join(self.sentences)


def attribute_pipeline(
    components: Sequence[str],
    errors: Callable[[frozenset[str]], NDArray[Any] | Sequence[float]],
    *,
    orders: bool | None = None,
    groups: NDArray[Any] | None = None,
    part_errors: Mapping[str, NDArray[Any] | Sequence[float]] | None = None,
    human_parts: Mapping[str, float] | None = None,
    human_level: float | None = None,
    unit: str = "%",
    seed: int = 0,
) -> PipelineAttribution:
    """Attribute the errors of a pipeline to its components, by making them perfect.

    Args:
        components: their names, in the order in which the data passes them.
        errors: names of components whose outputs are replaced by the truth -> (n,) the error of each example, 0 right
            (1 wrong, or how wrong). Called once for each set: k + 1 sets in order, 2^k with all orders.
        orders: whether every order counts (Shapley); None: for up to five components.
        groups: (n,) what to resample together (speaker, document), or None.
        part_errors: component -> the error of that component on its own, given perfect inputs.
        human_parts: component -> people's error at that part. human_level: people's error at the whole.
        unit: of the error; "%" for shares.
    Returns:
        The attribution; print it, or read `blame`.
    Raises:
        UsageError: no components, a name twice, errors of different length, too many components for all orders, or
            figures of components that there are not.

    >>> truth = {"find": np.array([1, 0, 0, 0.0]), "read": np.array([0, 1, 1, 0.0])}
    >>> wrong = lambda perfect: np.maximum.reduce([truth[c] * (c not in perfect) for c in truth])
    >>> attribute_pipeline(["find", "read"], wrong).blame
    'read'
    """
    names = [str(name) for name in components]
    k = len(names)
    if not names or len(set(names)) < k:
        raise UsageError("components need names, each its own", f"components: {', '.join(names)}", "Name each once.")
    if orders is None:
        orders = k <= MOST_COMPONENTS
    if orders and k > MOST_COMPONENTS:
        raise UsageError(
            f"{k} components have {2**k} sets", "orders=True", f"Merge them to {MOST_COMPONENTS}, or set orders=False."
        )
    for given, what in ((part_errors, "part_errors"), (human_parts, "human_parts")):
        unknown = sorted(set(given or ()) - set(names))
        if unknown:
            raise UsageError(f'"{unknown[0]}" is not a component', what, f"Components: {', '.join(names)}.")
    prefixes = [frozenset(names[:i]) for i in range(k + 1)]
    sets = list(_subsets(names)) if orders else [*prefixes, *(frozenset([name]) for name in names[1:])]
    sets = list(dict.fromkeys([*prefixes, *sets]))
    table = {chosen: np.asarray(errors(chosen), dtype=np.float64) for chosen in sets}
    n = len(table[prefixes[0]])
    odd = next((chosen for chosen, found in table.items() if found.shape != (n,) or n == 0), None)
    if odd is not None:
        shown = ", ".join(sorted(odd)) or "none"
        raise UsageError(
            f"{table[odd].shape} errors with {shown} perfect, and ({n},) with none", "errors",
            "Return one error for each example, always in the same order.",
        )  # fmt: skip

    def difference(terms: Iterable[tuple[float, frozenset[str]]]) -> Floats:
        return np.sum([weight * table[chosen] for weight, chosen in terms], axis=0)

    start = table[prefixes[0]]
    wrong = start > 0
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    first = np.full(n, -1)
    for i in reversed(range(k)):
        first[wrong & (table[prefixes[i + 1]] <= 0)] = i
    smallest = SMALLEST_OF_ERROR * float(start.mean())
    parts, apart = [], []
    for i, name in enumerate(names):
        before, after = prefixes[i], prefixes[i + 1]
        step, shapley = difference([(1, before), (-1, after)]), None
        if orders:
            terms = [
                (weight * sign, chosen)
                for others in _subsets([other for other in names if other != name])
                for weight in [math.factorial(len(others)) * math.factorial(k - len(others) - 1) / math.factorial(k)]
                for sign, chosen in ((1, others), (-1, others | {name}))
            ]
            shapley = difference(terms)
            moved = _mean(shapley - step, codes, seed)
            if moved.low > smallest or moved.high < -smallest:
                apart.append(name)
        count = int((first == i).sum())
        parts.append(
            Part(
                name,
                _drop(start, table[frozenset([name])], seed=seed, codes=codes),
                _drop(start, table[after], seed=seed, codes=codes),
                _drop(table[before], table[after], seed=seed, codes=codes),
                None if shapley is None else _mean(shapley, codes, seed),
                count,
                proportion(count, int(wrong.sum())).interval() if wrong.any() else None,
                int(((table[before] <= 0) & (table[after] > 0)).sum()),
            )
        )

    def shared(part: Part) -> float:
        return (part.shapley or part.step).value

    by_order = max(parts, key=lambda part: part.step.value).name
    blame = max(parts, key=shared).name
    if by_order != blame:
        apart = [name for name in names if name in {*apart, by_order, blame}]
    whole = _mean(start, codes, seed)
    return PipelineAttribution(
        n,
        int(wrong.sum()),
        whole,
        float(table[prefixes[-1]].mean()),
        int((wrong & (first < 0)).sum()),
        tuple(parts),
        blame,
        tuple(apart),
        _at_human_level(whole, part_errors, human_parts, human_level, names, seed),
        unit,
    )


def _subsets(names: Sequence[str]) -> Iterable[frozenset[str]]:
    return (frozenset(chosen) for size in range(len(names) + 1) for chosen in itertools.combinations(names, size))


def _at_human_level(
    whole: Interval,
    part_errors: Mapping[str, NDArray[Any] | Sequence[float]] | None,
    human_parts: Mapping[str, float] | None,
    human_level: float | None,
    names: Sequence[str],
    seed: int,
) -> bool | None:
    """Whether every part is as good as people and the whole is not; None where a figure is missing."""
    if human_level is None or not part_errors or not human_parts:
        return None
    if any(name not in part_errors or name not in human_parts for name in names):
        return None
    good = all(
        _mean(np.asarray(part_errors[name], dtype=np.float64), None, seed).low <= human_parts[name] for name in names
    )
    return good and whole.low > human_level


def _mean(values: Floats, codes: NDArray[np.int64] | None, seed: int) -> Interval:
    """The mean of one figure an example, with its 95 % interval: Wilson's for 0 and 1, else by resampling."""
    n = len(values)
    if codes is None and np.isin(values, (0.0, 1.0)).all():
        return proportion(float(values.sum()), n).interval()
    if float(np.ptp(values)) == 0.0 or n < 2:
        return Interval(float(values.mean()), float(values.mean()), float(values.mean()), 0.95, n, "constant")
    drawn = bootstrap(lambda w: w @ values / w.sum(axis=1), n, codes, DRAWS, np.random.default_rng(seed))
    return from_replicates(float(values.mean()), drawn, n).interval()


def _drop(
    before: Floats, after: Floats, sign: int = 1, seed: int = 0, codes: NDArray[np.int64] | None = None
) -> Interval:
    """Mean of sign (before - after), paired, with its interval; Bonett and Price's for right and wrong."""
    zero_one = all(np.isin(values, (0.0, 1.0)).all() for values in (before, after))
    if zero_one and codes is None:
        pair = (before, after) if sign > 0 else (after, before)
        return paired_proportions(*pair).interval()
    return _mean(sign * (before - after), codes, seed)
