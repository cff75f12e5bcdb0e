"""Search or score, and which component: worked figures, planted culprits (P20, P21) and their clean twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orthogon as og
from orthogon.errors import UsageError
from orthogon.strategy.attribution import attribute_pipeline, attribute_search

SEEDS = range(8)
SYMBOLS, LENGTH = 5, 4


# -- search or model: a toy decoder over a Markov chain whose scores are known -----------------------------------


class Chain:
    """Strings of `LENGTH` symbols; score = sum of the log probabilities of a chain with long-range traps."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.first = np.log(rng.dirichlet(np.full(SYMBOLS, 1.0)))
        self.next = np.log(rng.dirichlet(np.full(SYMBOLS, 0.25), size=(LENGTH, SYMBOLS)))

    def score(self, y: tuple[int, ...]) -> float:
        return float(self.first[y[0]] + sum(self.next[t, a, b] for t, (a, b) in enumerate(itertools.pairwise(y))))

    def noisy(self, rng: np.random.Generator, size: float) -> Chain:
        other = Chain.__new__(Chain)
        other.first = self.first + rng.normal(0, size, self.first.shape)
        other.next = self.next + rng.normal(0, size, self.next.shape)
        return other

    def beam(self, width: int) -> tuple[int, ...]:
        beams = [((a,), self.first[a]) for a in range(SYMBOLS)]
        beams = sorted(beams, key=lambda b: -b[1])[:width]
        for t in range(LENGTH - 1):
            grown = [((*y, b), s + self.next[t, y[-1], b]) for y, s in beams for b in range(SYMBOLS)]
            beams = sorted(grown, key=lambda b: -b[1])[:width]
        return beams[0][0]


EVERYTHING = SYMBOLS**LENGTH  # a beam that forgets nothing


@pytest.mark.parametrize("seed", SEEDS)
def test_p20_a_beam_of_one_is_to_blame_where_the_score_is_right(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chains = [Chain(rng) for _ in range(60)]
    truth = [chain.beam(EVERYTHING) for chain in chains]
    narrow = [chain.beam(1) for chain in chains]
    wider = [chain.beam(8) for chain in chains]
    found = attribute_search(narrow, truth, lambda row, y: chains[row].score(y), wider=wider)
    assert found.num_errors > 8
    assert (found.blame, found.model) == ("search", 0)
    assert found.widened.score > 0
    assert found.widened.error.high < 0  # the wider beam is right more often
    assert "Work on the search" in found.sentences[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_p20_a_corrupted_score_is_to_blame_where_the_search_forgets_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chains = [Chain(rng) for _ in range(40)]
    truth = [chain.beam(EVERYTHING) for chain in chains]
    corrupted = [chain.noisy(rng, 1.5) for chain in chains]
    outputs = [chain.beam(EVERYTHING) for chain in corrupted]
    found = attribute_search(outputs, truth, lambda row, y: corrupted[row].score(y))
    assert found.num_errors > 8
    assert (found.blame, found.search) == ("model", 0)
    assert "Work on the score" in found.sentences[-1]


def test_a_right_decoder_has_nothing_to_attribute() -> None:
    chains = [Chain(np.random.default_rng(seed)) for seed in range(5)]
    outputs = [chain.beam(EVERYTHING) for chain in chains]
    found = attribute_search(outputs, outputs, lambda row, y: chains[row].score(y))
    assert (found.num_errors, found.share, found.blame) == (0, None, "undetermined")
    assert str(found).splitlines()[-1] == "All 5 answers are right: there is nothing to attribute."


def test_ties_are_the_models_several_right_answers_count_by_the_best_and_the_unreachable_apart() -> None:
    scores = {"tie": 1.0, "low": 0.0, "high": 2.0, "out": 1.0, "odd": float("-inf")}
    outputs = ["out"] * 5
    references = ["tie", "low", ["low", "high"], "odd", "new"]
    found = attribute_search(
        outputs, references, lambda row, y: scores.get(y, 9.0), reachable=lambda row, y: y != "new"
    )
    assert [each.by for each in found.errors] == ["model", "model", "search", "unreachable", "unreachable"]
    assert (found.search, found.model, found.ties, found.unreachable) == (1, 2, 1, 2)
    assert found.share.value == pytest.approx(1 / 3)
    # Wilson, k = 1 of 3, z = 1.96: centre (1/3 + 0.6402) / 2.2804, half 1.96 / 2.2804 sqrt((2/9)/3 + 0.1067)
    assert (found.share.low, found.share.high) == (pytest.approx(0.0615, abs=1e-3), pytest.approx(0.7923, abs=1e-3))
    assert found.blame == "undetermined"
    assert "Neither is shown to have more than half" in found.sentences[-1]


def test_more_search_that_hurts_blames_the_score_whatever_the_counts_say() -> None:
    """A score without a length penalty: every symbol costs, so that the empty answer is the best-scored one.

    The narrow search gives up early on most examples and errs by the search's count; the wide one finds "".
    """
    n = 60
    truth = ["abc"] * n
    narrow = ["abc"] * 30 + ["abcd"] * 30
    score = lambda row, y: -float(len(y))  # noqa: E731
    wide = [""] * n
    found = attribute_search(narrow, truth, score, wider=wide)
    assert (found.search, found.model) == (30, 0)
    assert found.blame == "model"
    assert (found.widened.empty, found.widened.length) == (1.0, -3.5)
    assert found.widened.error.value == 0.5
    assert "3.5 shorter on average: look at its length penalty first" in " ".join(found.sentences)


def test_bad_calls_to_search_say_what_and_where() -> None:
    with pytest.raises(UsageError, match=r"references: 2 outputs and 1 references\nGive one of each"):
        attribute_search(["a", "b"], ["a"], lambda row, y: 0.0)
    with pytest.raises(UsageError, match=r"references, row 1: an example has no right answer\nLeave it out"):
        attribute_search(["a", "b"], ["a", []], lambda row, y: 0.0)


# -- pipelines ----------------------------------------------------------------------------------------------------


def chain_of(faults: dict[str, np.ndarray]):
    """Errors of a pipeline in which each component fails on its own examples, and one failure spoils the whole."""

    def errors(perfect: frozenset[str]) -> np.ndarray:
        return np.max([wrong * (name not in perfect) for name, wrong in faults.items()], axis=0)

    return errors


@pytest.mark.parametrize("seed", SEEDS)
def test_p21_the_broken_stage_of_three_is_named_with_its_ceiling(seed: int) -> None:
    """Stages fail at random on 3, 30 and 3 % of 400 examples; perfect, stage 2 brings 0.97 * 0.30 * 0.97 = 28.2 %."""
    rng = np.random.default_rng(seed)
    rates = {"find": 0.03, "read": 0.30, "check": 0.03}
    found = attribute_pipeline(list(rates), chain_of({name: rng.random(400) < p for name, p in rates.items()}))
    assert found.blame == "read"
    # brought by "read" alone: examples that only it fails
    alone = found.part("read").alone
    assert alone.low < 0.30 * 0.97 * 0.97 < alone.high
    ceiling = found.part("read").ceiling  # with "find" perfect as well: all but what "check" fails
    assert ceiling.low < (1 - 0.97 * 0.70 * 0.97) - 0.03 < ceiling.high
    assert found.part("read").first > 0.7 * found.num_errors
    assert found.disagreement == ()


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_p21_equal_stages_are_told_apart_from_a_broken_one_by_their_intervals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["find", "read", "check"]
    found = attribute_pipeline(names, chain_of({name: rng.random(400) < 0.05 for name in names}))
    shares = [part.shapley for part in found.parts]
    assert max(each.low for each in shares) < min(each.high for each in shares)


def test_worked_figures_of_order_shapley_and_first_repair() -> None:
    """Ten examples: "a" fails on 0-3, "b" on 2-6, "c" on 9; any failure spoils the whole, so 8 of 10 are wrong.

    Alone: a 2 (0, 1), b 3 (4-6), c 1. Example 2 and 3 need a and b both: half each over the orders.
    """
    fails = {"a": range(4), "b": range(2, 7), "c": [9]}
    found = attribute_pipeline(
        list("abc"), chain_of({name: np.isin(np.arange(10), list(rows)) for name, rows in fails.items()})
    )
    assert found.error.value == 0.8
    assert [part.alone.value for part in found.parts] == pytest.approx([0.2, 0.3, 0.1])
    assert [part.ceiling.value for part in found.parts] == pytest.approx([0.2, 0.7, 0.8])
    assert [part.step.value for part in found.parts] == pytest.approx([0.2, 0.5, 0.1])
    assert [part.shapley.value for part in found.parts] == pytest.approx([0.3, 0.4, 0.1])
    assert [part.first for part in found.parts] == [2, 5, 1]
    assert (found.remaining, found.unrepaired) == (0.0, 0)
    assert found.blame == "b"


def test_components_that_only_help_together_are_flagged() -> None:
    """Each example needs a and b: in the pipeline's order b looks guilty of all, over the orders both alike."""
    wrong = lambda perfect: np.full(50, float(not {"a", "b"} <= perfect))  # noqa: E731
    found = attribute_pipeline(["a", "b"], wrong)
    assert [part.step.value for part in found.parts] == [0.0, 1.0]
    assert [part.shapley.value for part in found.parts] == pytest.approx([0.5, 0.5])
    assert set(found.disagreement) == {"a", "b"}
    assert 'The order matters for "a" and "b"' in " ".join(found.sentences)


def test_every_part_at_human_level_and_the_whole_not_blames_the_division() -> None:
    """Lane departures that show only in two pictures in a row: each part is as good as people on one picture."""
    rng = np.random.default_rng(0)
    parts = {"cars": rng.random(500) < 0.03, "path": rng.random(500) < 0.02}
    whole = lambda perfect: (rng.random(500) < 0.25).astype(float)  # noqa: E731
    found = attribute_pipeline(
        list(parts), whole, part_errors=parts, human_parts={"cars": 0.03, "path": 0.02}, human_level=0.05
    )
    assert found.at_human_level
    assert "the division into these components is the fault" in found.sentences[-1]
    better = attribute_pipeline(
        list(parts), whole, part_errors=parts, human_parts={"cars": 0.001, "path": 0.02}, human_level=0.05
    )
    assert better.at_human_level is False
    assert attribute_pipeline(list(parts), whole).at_human_level is None


def test_real_valued_errors_groups_and_long_pipelines() -> None:
    rng = np.random.default_rng(1)
    edits = {name: rng.poisson(rate, 300) for name, rate in zip("abcdef", (0.1, 0.1, 2.0, 0.1, 0.1, 0.1), strict=True)}
    asked: list[frozenset[str]] = []

    def errors(perfect: frozenset[str]) -> np.ndarray:
        asked.append(perfect)
        return np.sum([count * (name not in perfect) for name, count in edits.items()], axis=0)

    found = attribute_pipeline(list("abcdef"), errors, unit="edits", groups=np.arange(300) // 10)
    assert found.blame == "c"
    assert found.part("c").shapley is None
    assert found.part("c").step.low < 2.0 < found.part("c").step.high
    assert len(asked) == 7 + 5  # prefixes, and each alone
    assert "edits" in str(found)
    with pytest.raises(UsageError, match=r"6 components have 64 sets\nMerge them to 5"):
        attribute_pipeline(list("abcdef"), errors, orders=True)


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_shapley_shares_and_steps_add_up_to_all_that_repair_brings(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"part {i}" for i in range(k)]
    table: dict[frozenset[str], np.ndarray] = {}
    found = attribute_pipeline(names, lambda perfect: table.setdefault(perfect, rng.random(20)))
    brought = found.error.value - found.remaining
    assert sum(part.shapley.value for part in found.parts) == pytest.approx(brought)
    assert sum(part.step.value for part in found.parts) == pytest.approx(brought)
    assert found.parts[-1].ceiling.value == pytest.approx(brought)
    assert len(table) == 2**k


def test_bad_calls_to_pipeline_say_what_and_where() -> None:
    with pytest.raises(UsageError, match=r"components: a, a: components need names, each its own"):
        attribute_pipeline(["a", "a"], lambda perfect: [0])
    with pytest.raises(UsageError, match=r"errors: \(1,\) errors with a perfect, and \(2,\) with none"):
        attribute_pipeline(["a"], lambda perfect: [0] * (2 - len(perfect)))
    with pytest.raises(UsageError, match=r'human_parts: "b" is not a component\nComponents: a\.'):
        attribute_pipeline(["a"], lambda perfect: [0, 1], human_parts={"b": 0.1})


def test_both_are_public_and_print_and_write_themselves() -> None:
    found = og.attribute_search(["b"], ["a"], lambda row, y: 1.0)
    assert found.to_dict()["errors"] == [{"row": 0, "by": "model", "output_score": 1.0, "right_score": 1.0}]
    pipeline = og.attribute_pipeline(["a"], lambda perfect: [float(not perfect), 0.0])
    assert pipeline.to_dict()["blame"] == "a"
    assert "over all orders" in str(pipeline)
    assert "<pre" in pipeline._repr_html_()
