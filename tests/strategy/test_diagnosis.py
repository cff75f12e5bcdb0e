"""The ladder, its verdicts and its words, on figures worked by hand."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from orthogon.errors import UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.metrics.strings import string_metrics
from orthogon.strategy.diagnosis import (
    BIAS,
    DRIFT,
    HARDER_TEST,
    HEALTHY,
    MATERIAL,
    MISMATCH,
    NEGLIGIBLE,
    OVERFIT,
    RECIPE,
    REVERSED,
    SMALL,
    SMALL_DEV,
    UNCLEAR,
    UNDETERMINED,
    UNKNOWN,
    UNSPLIT,
    VARIANCE,
    Diagnosis,
    about,
    decompose,
    diagnose,
    examples_needed,
    holm,
    judge,
)
from orthogon.strategy.optimism import selection_optimism

ERROR = classification_metrics(["no", "yes"])["error"]


def wrong(k, n, seed=0):
    flags = np.zeros(n, int)
    flags[np.random.default_rng(seed).permutation(n)[:k]] = 1
    return Scores({"wrong": flags}, np.arange(n))


def ladder(train, dev, test=None, train_dev=None, **options):
    """Each rung as (errors, examples)."""
    rungs = {"train": train, "train_dev": train_dev, "dev": dev, "test": test}
    return diagnose({name: wrong(*rung) for name, rung in rungs.items() if rung}, ERROR, **options)


def drawn(found):
    """The ladder as a terminal shows it."""
    shown = io.StringIO()
    Console(file=shown, width=100).print(found)
    return shown.getvalue()


def test_holm_by_hand():
    """0.01, 0.04, 0.03 -> 3 * 0.01, then 2 * 0.03, then max(0.06, 0.04)."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.02, 0.05, 0.001, MATERIAL),
        (0.02, 0.05, 0.2, UNCLEAR),  # clears delta alone, not beside the other gaps
        (0.002, 0.05, 0.2, UNCLEAR),
        (0.002, 0.008, 1, SMALL),
        (-0.005, 0.008, 1, NEGLIGIBLE),
        (-0.008, -0.002, 1, NEGLIGIBLE),
        (-0.05, -0.02, 1, REVERSED),
        (-0.05, -0.002, 1, NEGLIGIBLE),
        (-0.05, 0.05, 1, UNDETERMINED),
    ],
)
def test_the_verdict_lattice_at_a_smallest_gap_of_one_point(low, high, p, verdict):
    assert judge(low, high, p, delta=0.01) == verdict


def test_examples_that_would_settle_a_gap_by_hand():
    """(1.96 / |0.03 - 0.01|)² (0.05 * 0.95 + 0.08 * 0.92) = 9604 * 0.1211 = 1163.04..."""
    assert examples_needed(0.03, 0.01, 0.05 * 0.95 + 0.08 * 0.92, 1.96, 350) == 1164
    assert examples_needed(0.03, 0.01, 0.1211, 1.96, 58) is None  # 20 * 58 = 1160
    assert examples_needed(0.01, 0.01, 0.1211, 1.96, 350) is None
    assert about(1164) == "1,200"
    assert about(35) == "35"


@pytest.mark.system("strat.decompose")
@pytest.mark.parametrize(
    ("figures", "declared", "gaps", "labels", "note"),
    [
        ((0, 1, None, 10, None), False, {BIAS: 1, VARIANCE: 9}, (VARIANCE,), None),
        ((0, 1, None, 10, None), True, {BIAS: 1, UNSPLIT: 9}, (UNSPLIT,), "undecidable: make a train-dev set"),
        ((0, 1, 9, 10, None), True, {BIAS: 1, VARIANCE: 8, MISMATCH: 1}, (VARIANCE,), None),
        ((0, 1, 1.5, 10, None), True, {BIAS: 1, VARIANCE: 0.5, MISMATCH: 8.5}, (MISMATCH,), None),
        ((0, 10, 11, 12, None), True, {BIAS: 10, VARIANCE: 1, MISMATCH: 1}, (BIAS,), None),
        ((0, 10, 11, 20, None), True, {BIAS: 10, VARIANCE: 1, MISMATCH: 9}, (BIAS, MISMATCH), None),
        ((4, 7, 10, 6, 6), True, {BIAS: 3, VARIANCE: 3, MISMATCH: -4, OVERFIT: 0}, (BIAS, VARIANCE), "easier"),
    ],
    ids=["A same", "A different", "B", "C", "D", "E", "F"],
)
def test_the_six_scenarios(figures, declared, gaps, labels, note):
    """From the figures, and from scores of 10,000 units with exactly these errors."""
    human, *rungs = (None if f is None else f / 100 for f in figures)
    found = decompose(human, *rungs, mismatch_declared=declared)
    assert {name: pytest.approx(value / 100, abs=1e-9) for name, value in gaps.items()} == found.gaps
    assert found.labels == labels
    assert note is None or any(note in sentence for sentence in found.notes)
    names = ("train", "train_dev", "dev", "test")
    sets = {
        name: wrong(round(e * 10_000), 10_000, i)
        for i, (name, e) in enumerate(zip(names, rungs, strict=True))
        if e is not None
    }
    measured = diagnose(sets, ERROR, human_level=human, mismatch_declared=declared)
    assert {gap.name: pytest.approx(gap.value) for gap in measured.gaps} == {n: v / 100 for n, v in gaps.items()}
    assert {gap.name for gap in measured.gaps if gap.verdict == MATERIAL} == set(labels)
    assert set(measured.causes) == set(labels)
    if figures[3] == 6:  # row F
        assert measured.gap(MISMATCH).verdict == REVERSED
        assert "no overfitting to dev" in found.notes
        assert measured.gap(OVERFIT).verdict == NEGLIGIBLE


@pytest.mark.system("strat.avoidable")
def test_avoidable_bias_and_variance():
    """W.avoidable: (1, 8, 10) -> 7, 2, work on bias; (7.5, 8, 10) -> 0.5, 2, work on variance."""
    a, b = decompose(0.01, 0.08, None, 0.10), decompose(0.075, 0.08, None, 0.10)
    assert a.gaps == {BIAS: pytest.approx(0.07), VARIANCE: pytest.approx(0.02)}
    assert a.labels[0] == BIAS
    assert b.gaps == {BIAS: pytest.approx(0.005), VARIANCE: pytest.approx(0.02)}
    assert b.labels == (VARIANCE,)
    for human, primary in ((0.01, BIAS), (0.075, VARIANCE)):
        measured = ladder((1600, 20_000), (2000, 20_000), human_level=human)
        assert measured.primary == primary
        assert measured.gap(BIAS).value == pytest.approx(0.08 - human)


@pytest.mark.system("train.bv")
def test_two_gaps_and_what_to_do_about_each_in_order():
    for (train, dev), primary in (((400, 460), BIAS), ((5, 200), VARIANCE)):
        found = ladder((train, 1000), (dev, 1000))
        assert [gap.name for gap in found.gaps] == [BIAS, VARIANCE]
        assert found.gap(BIAS).value == pytest.approx(train / 1000)  # train - Bayes (assumed 0)
        assert found.gap(VARIANCE).value == pytest.approx((dev - train) / 1000)  # dev - train, not the test error
        assert found.primary == primary
        assert found.recipe == RECIPE[primary]
    assert RECIPE[BIAS] == (
        "bigger network",
        "train longer",
        "other architecture",
        "hyper-parameter search",
        "more useful features",
    )
    assert RECIPE[VARIANCE] == (
        "more data",
        "regularisation",
        "dropout",
        "augmentation",
        "early stopping",
        "batch norm",
        "smaller or other architecture",
    )
    both = ladder((200, 1000), (600, 1000))
    assert both.causes == (VARIANCE, BIAS)  # both can be high at once, the larger first


def test_people_passed_leave_the_bias_unknown_instead_of_negative():
    """Team 0.5 %, train 0.6, dev 0.8 -> bias 0.1, variance 0.2; train 0.3, dev 0.4 -> unknown, Bayes at most 0.4."""
    above = decompose(0.005, 0.006, None, 0.008)
    assert above.gaps == {BIAS: pytest.approx(0.001), VARIANCE: pytest.approx(0.002)}
    below = decompose(0.005, 0.003, None, 0.004)
    assert below.gaps == {BIAS: None, VARIANCE: pytest.approx(0.001)}
    assert below.notes == ("bias unknown (Bayes at most about 0.004, the dev error, up to sampling noise)",)
    found = ladder((30, 10_000), (40, 10_000), human_level=0.005)
    assert found.gap(BIAS).verdict == UNKNOWN
    assert found.gap(BIAS).value == 0
    assert found.show_gap(found.gap(BIAS)) == "?"
    assert found.gap(VARIANCE).at_most  # part of it may be noise that was learned by heart
    assert found.memorised_noise is None
    assert "Bayes error is at most about 0.4 %, the dev error" in found.summary()


def test_noise_learned_by_heart_is_not_variance():
    """15 % noise in every label, train 2 %, dev 17 %: variance 2 points, not 15; and 13 points of noise memorised."""
    found = ladder((100, 5000), (850, 5000), human_level=0.15, floor="label noise")
    assert found.gap(VARIANCE).value == pytest.approx(0.02)
    assert found.memorised_noise == pytest.approx(0.13)
    assert found.gap(BIAS).value == 0
    assert "13.0 % below the noise in the labels" in found.summary()


@settings(max_examples=60, deadline=None)
@given(
    errors=st.tuples(*[st.integers(0, 50)] * 4),
    with_train_dev=st.booleans(),
    human=st.one_of(st.none(), st.floats(0, 0.5)),
    floor=st.sampled_from(["people", "label noise"]),
)
def test_floor_and_gaps_add_up_to_the_last_rung(errors, with_train_dev, human, floor):
    """The identity is exact; train below people's level stands in for the floor, which people then are not."""
    train, train_dev, dev, test = ((k, 50) for k in errors)
    found = ladder(train, dev, test, train_dev if with_train_dev else None, human_level=human, floor=floor)
    h, e_train = found.rung("floor").value, found.rung("train").value
    start = e_train if floor == "people" and human is not None and e_train < h else h
    assert start + sum(gap.value for gap in found.gaps) == pytest.approx(found.rung("test").value, abs=1e-12)
    for gap in found.gaps:
        assert gap.low <= gap.value <= gap.high
        assert (gap.verdict == UNDETERMINED) == (gap.needed_n is not None or gap.beyond_reach)
    assert found.primary == (found.causes[0] if found.causes else HEALTHY)
    assert Diagnosis.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_without_a_human_level_the_floor_is_assumed_and_the_bias_at_most():
    found = ladder((160, 800), (90, 350))
    assert found.rung("floor").source == "assumed"
    assert found.gap(BIAS).at_most
    assert "The main limit is avoidable bias, at most 20.0 %" in found.summary()
    assert "The floor is assumed 0" in found.summary()
    given_floor = ladder((160, 800), (90, 350), human_level=0.02, human_level_n=500)
    assert not given_floor.gap(BIAS).at_most
    assert given_floor.rung("floor").low < 0.02 < given_floor.rung("floor").high
    exact = ladder((160, 800), (90, 350), human_level=0.02)
    assert exact.gap(BIAS).low > given_floor.gap(BIAS).low  # people's own uncertainty widens the gap


def test_a_dev_set_of_25_is_too_small_and_350_is_not():
    small = ladder((0, 800), (1, 25), (1, 25))
    assert small.primary == SMALL_DEV
    assert small.needed_n > 25
    assert "with 25 examples the dev set cannot tell" in small.summary()
    assert ladder((0, 800), (7, 350), (8, 397)).primary == HEALTHY


def test_a_healthy_run_says_so_and_what_is_left_open():
    found = ladder((2, 800), (8, 350), (9, 397))
    assert found.primary == HEALTHY
    assert "No gap is shown to be worth acting on (that starts at 1.0 %): healthy." in found.summary()
    assert "One training run" in found.summary()
    assert found.gap(OVERFIT).verdict == UNDETERMINED
    assert found.needed_n > 350


def test_real_errors_are_judged_as_a_share_of_the_trivial_baseline():
    """RMSE in metres: mean baseline 10 m, so 0.2 m is the smallest gap; train 1, dev 3."""
    rng = np.random.default_rng(0)
    sets = {}
    for name, scale in (("train", 1.0), ("dev", 3.0)):
        residual = scale * rng.normal(size=500)
        sets[name] = Scores({"squared": residual**2, "truth": rng.normal(size=500)}, np.arange(500))
    found = diagnose(sets, regression_metrics("m")["rmse"], trivial_error=10.0)
    assert found.smallest_gap == pytest.approx(0.2)
    assert found.primary == VARIANCE
    assert found.show(found.rung("dev").value).endswith(" m")
    assert diagnose(sets, regression_metrics("m")["rmse"], trivial_error=10.0, smallest_gap=5.0).smallest_gap == 5.0
    assert BIAS not in diagnose(sets, regression_metrics("m")["rmse"], trivial_error=200.0).causes


def test_three_seeds_make_the_intervals_cover_the_luck_of_training():
    """Dev errors 4, 8, 12 % over seeds: one run alone calls its variance material, three do not."""
    runs = [{"train": wrong(2, 2000, i), "dev": wrong(k, 2000, i)} for i, k in enumerate((80, 160, 240))]
    alone = diagnose(runs[1], ERROR)
    assert alone.gap(VARIANCE).verdict == MATERIAL
    together = diagnose(runs[1], ERROR, seeds=runs)  # the run itself among them is counted once
    assert together.num_seeds == 3
    assert together.rung("dev").value == pytest.approx(0.08)
    assert together.gap(VARIANCE).verdict != MATERIAL
    assert "means over 3 seeds" in together.summary()
    assert diagnose(runs[0], ERROR, seeds=runs[1:2]).num_seeds == 1


def test_three_seeds_without_an_error_leave_what_the_examples_can_tell():
    """0 of n in every seed: Wilson's upper limit, z² / (n + z²), of the examples that the seeds share."""
    clean = [{"train": wrong(0, 400, i), "dev": wrong(0, 200, i)} for i in range(3)]
    for i, run in enumerate(clean):  # the same examples, told apart by another record
        run["dev"] = replace(run["dev"], records={**run["dev"].records, "loss": np.full(200, 0.1 * i)})
    found = diagnose(clean[0], ERROR, seeds=clean[1:])
    assert found.num_seeds == 3
    z2 = 1.959964**2
    for name, n in (("train", 400), ("dev", 200)):
        rung = found.rung(name)
        assert (rung.value, rung.low) == (0, 0)
        assert rung.high == pytest.approx(z2 / (n + z2), rel=1e-4)
    gap = found.gap(VARIANCE)
    assert (gap.low, gap.high) == pytest.approx((-z2 / (400 + z2), z2 / (200 + z2)), rel=1e-4)
    assert gap.verdict != NEGLIGIBLE, "200 examples cannot tell 1 point"
    mixed = [{"train": run["train"], "dev": wrong(k, 200, k)} for run, k in zip(clean, (20, 24, 28), strict=True)]
    limits = diagnose(mixed[0], ERROR, seeds=mixed[1:]).gap(VARIANCE)
    assert limits.low < 0.12 < limits.high


def test_limits_that_are_not_known_are_null_and_read_back():
    one = {"train": wrong(2, 800), "dev": Scores({"squared": np.ones(1), "truth": np.ones(1)}, np.arange(1))}
    one["train"] = Scores({"squared": np.arange(9.0), "truth": np.arange(9.0)}, np.arange(9))
    found = diagnose(one, regression_metrics("m")["rmse"])
    assert found.rung("dev").high == np.inf
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Diagnosis.from_dict(json.loads(text)) == found


def test_the_best_of_many_candidates_on_few_examples_is_corrected():
    """100 systems, each wrong on 10 % of all cases: the best of 40 dev examples looks far better than it is."""
    rng = np.random.default_rng(0)
    few = [Scores({"wrong": (rng.random(40) < 0.1).astype(int)}, np.arange(40)) for _ in range(100)]
    found = selection_optimism(few, ERROR)
    assert found.dev_error <= 0.025
    assert 0.08 < found.corrected < 0.13  # 0.1 is true
    best = {"train": wrong(2, 800), "dev": few[found.winner]}
    listed = diagnose(best, ERROR, candidates=few)
    assert OVERFIT in listed.causes
    assert "best of 100 candidates" in listed.summary()
    many = [Scores({"wrong": (u < 0.1).astype(int)}, np.arange(3500)) for u in rng.random((4, 3500))]
    assert not diagnose({"train": wrong(2, 800), "dev": many[0]}, ERROR, candidates=many).optimism.listed


def test_candidates_on_other_examples_are_refused():
    with pytest.raises(
        UsageError, match=r"candidates: Candidate 1 was scored on 30 examples.*\nCompare candidates on one"
    ):
        selection_optimism([wrong(1, 40), wrong(1, 30)], ERROR)


def test_one_system_alone_was_not_chosen_on_dev():
    sets = {"train": wrong(2, 800), "dev": wrong(4, 800), "test": wrong(100, 800)}
    alone = diagnose(sets, ERROR, candidates=[sets["dev"]])
    assert alone.primary == HARDER_TEST
    assert alone.recipe
    assert "  dev-test difference" in drawn(alone)
    assert "overfitting" not in drawn(alone) + alone._repr_html_()
    assert "choices" not in alone.summary()
    assert "chosen" not in alone.summary()
    assert "overfitting" not in alone.summary()
    assert "The main limit is dev-test difference, 12.0 %" in alone.summary()
    compared = diagnose(sets, ERROR, candidates=[sets["dev"], wrong(300, 800)])
    assert "choices made on the dev set" in compared.summary()
    assert compared.primary == OVERFIT
    assert "  overfitting to dev" in drawn(compared)


def test_a_split_in_time_names_drift_and_blames_no_choice():
    sets = {"train": wrong(2, 800), "dev": wrong(60, 800), "test": wrong(160, 800)}
    found = diagnose(sets, ERROR, candidates=[sets["dev"]], mismatch_declared=True, ordered_in_time=True)
    assert found.primary == DRIFT
    assert found.causes == (DRIFT, UNSPLIT)
    assert found.gap(OVERFIT) is None
    assert "The main limit is drift over time, 12.5 %" in found.summary()
    assert "test comes after dev: the data drifts over time" in found.summary()
    assert "dev differs in kind or in time" in found.summary()
    assert "choices" not in found.summary()
    assert found.recipe[0] == "newer training data"


def test_the_first_sentence_reads_well_whatever_the_metrics_title():
    scores = {"train": wrong(2, 800), "dev": wrong(35, 350)}
    assert diagnose(scores, ERROR).summary().startswith("On dev the error rate is 10.0 % (95% interval 7.3 % to")
    strings = diagnose(scores, string_metrics()["error"]).summary()
    assert strings.startswith("On dev the error is 10.0 % (strings not exactly right; 95% interval 7.3 % to")
    turned = diagnose(scores, classification_metrics("ab")["accuracy"]).summary()
    assert turned.startswith("On dev the error is 10.0 % (1 - accuracy; 95%")


def test_intervals_over_seeds_stay_within_what_a_share_can_be():
    """Dev errors 0, 1 and 30 % over seeds: Student's t with 2 degrees reaches far below 0, and is cut there."""
    runs = [{"train": wrong(0, 300, i), "dev": wrong(k, 300, i)} for i, k in enumerate((0, 3, 90))]
    dev = diagnose(runs[0], ERROR, seeds=runs).rung("dev")
    assert dev.low == 0
    assert dev.high <= 1
    bad = [{"train": wrong(290, 300, i), "dev": wrong(k, 300, i)} for i, k in enumerate((300, 297, 210))]
    found = diagnose(bad[0], ERROR, seeds=bad)
    assert found.num_seeds == 3
    assert all(0 <= rung.low <= rung.value <= rung.high <= 1 for rung in found.rungs)
    assert all(-1 <= gap.low <= gap.high <= 1 for gap in found.gaps)


def test_one_example_in_dev_has_no_interval_and_is_still_shown():
    def run(error):
        sizes = {"train": (50, 0.001), "dev": (1, error), "test": (1, error)}
        return {name: Scores({"squared": np.full(n, e**2)}, np.arange(n)) for name, (n, e) in sizes.items()}

    sets = run(1.0)
    for seeds in ([], [run(1.1), run(1.2)]):
        found = diagnose(sets, regression_metrics("m")["rmse"], seeds=seeds)
        assert (found.rung("dev").low, found.rung("dev").high) == (0, np.inf)
        assert found.primary == SMALL_DEV
        assert "with 1 example the dev set cannot tell" in found.summary()
        assert "interval 0 m to ∞" in found.summary()
        out = io.StringIO()
        Console(file=out, width=80).print(found)
        assert "[0, ∞]" in out.getvalue()
        assert "nan" not in found._repr_html_()
        assert Diagnosis.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_missing_split_is_named_with_what_to_do():
    with pytest.raises(
        UsageError, match=r'diagnose: A diagnosis needs scores of "dev"; there are train.\nScore the run on dev'
    ):
        diagnose({"train": wrong(1, 10)}, ERROR)
    with pytest.raises(UsageError, match='"train"'):
        diagnose({"train": wrong(0, 0), "dev": wrong(1, 10)}, ERROR)


def test_the_ladder_fits_80_columns_and_says_everything():
    found = ladder((2, 800), (60, 350), (70, 397), (8, 250))
    assert found.primary == MISMATCH
    out = io.StringIO()
    Console(file=out, width=80).print(found)
    lines = out.getvalue().splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    for words in ("floor", "assumed 0", "train-dev", "data mismatch", "+13.9 %", "[9.3, 18.5]", "material", "n = 350"):
        assert words in out.getvalue()
    page = found._repr_html_()
    assert "data mismatch" in page
    assert "<script" not in page


def test_figures_of_thousands_have_no_exponent_and_a_long_title_squeezes_nothing():
    rng = np.random.default_rng(0)
    sets = {
        name: Scores({"squared": (50_000 * rng.normal(size=300)) ** 2, "truth": rng.normal(size=300)}, np.arange(300))
        for name in ("train", "dev")
    }
    found = diagnose(sets, regression_metrics("dollars")["rmse"])
    assert "e+0" not in found.summary()
    assert found.show(49_774.2, sign=True) == "+49,774 dollars"
    assert found.show_interval(-4390.4, 521.5) == "[-4,390, 521.5]"
    long = replace(found, title="mean over targets of the error rate, or RMSE in standard deviations")
    out = io.StringIO()
    Console(file=out, width=100).print(long)
    assert found.show(found.rung("dev").value) in out.getvalue()
    assert "…" not in out.getvalue()


def test_names_of_metrics_are_escaped_in_html():
    from dataclasses import replace

    assert "<b>" not in replace(ladder((2, 800), (9, 350)), title="<b>x</b>")._repr_html_()


def test_higher_is_better_runs_on_one_minus_the_metric():
    scores = {"train": wrong(2, 800), "dev": wrong(60, 350)}
    a, e = (diagnose(scores, classification_metrics("ab")[name]) for name in ("accuracy", "error"))
    assert [r.value for r in a.rungs] == pytest.approx([r.value for r in e.rungs])
    assert a.title == "1 - accuracy"


@pytest.mark.parametrize("width", [80, 100])
def test_a_verdict_is_never_cut_nor_torn_on_a_narrow_screen(width):
    title = "mean error rate of all of the several targets at once"
    found = replace(ladder((130, 800), (11, 50), (12, 50)), title=title)
    shown = io.StringIO()
    Console(file=shown, width=width).print(found)
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    undecided = [gap for gap in found.gaps if gap.needed_n]
    assert undecided
    for gap in undecided:
        assert any(line.endswith(f"{gap.verdict}, n ≈ {about(gap.needed_n)}") for line in lines), shown.getvalue()
    assert max(map(len, lines)) <= width
