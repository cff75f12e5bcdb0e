"""Intervals against worked figures, SciPy, the definition of coverage, and each other."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.errors import UsageError
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.intervals import (
    against_mean,
    average,
    difference,
    estimate,
    fixed,
    gap_interval,
    interval,
    mcnemar,
    newcombe,
    over_seeds,
    paired_difference,
    paired_proportions,
    proportion,
    seed_contrasts,
    standard_error,
    wilson,
    z_of,
)
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores, for_target, mean_over
from orthogon.metrics.strings import string_metrics

METRICS = classification_metrics(["no", "yes"])
ERROR = METRICS["error"]


def wrong(k, n, groups=None):
    flags = np.zeros(n, int)
    flags[:k] = 1
    return Scores({"wrong": flags}, np.arange(n), groups)


@pytest.mark.system("strat.test-size")
def test_worked_confidence_and_what_is_printed():
    """W.confidence: SE 0.0995 % and +-0.195 % at 1 % of 10,000; +-0.549 % at 2 % of 2,500."""
    assert standard_error(0.01, 10_000) == pytest.approx(0.000995, abs=1e-6)
    assert 1.96 * standard_error(0.01, 10_000) == pytest.approx(0.00195, abs=1e-5)
    assert 1.96 * standard_error(0.02, 2500) == pytest.approx(0.00549, abs=1e-5)
    printed = interval(wrong(100, 10_000), ERROR)
    assert (printed.high - printed.low) / 2 == pytest.approx(0.00195, abs=1e-5)  # Wilson agrees at this size


@pytest.mark.parametrize(("k", "n"), [(0, 25), (1, 25), (7, 350), (25, 25), (30, 100)])
def test_wilson_equals_scipy(k, n):
    expected = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert np.allclose(wilson(k, n, z_of(0.95)), (expected.low, expected.high), atol=1e-12)


def perfect(truth, groups=None):
    """Scores of a system that is right, and sure of it, every time."""
    truth = np.asarray(truth)
    records = {"truth": truth, "answer": truth, "wrong": np.zeros(len(truth)), "probs": np.eye(2)[truth]}
    return Scores(records, np.arange(len(truth)), groups)


@pytest.mark.parametrize("name", ["recall_macro", "precision_macro", "f1_macro", "roc_auc", "average_precision"])
@pytest.mark.parametrize(("truth", "rarest"), [([0, 1], 1), ([0, 0, 1], 1), ([0] * 40 + [1] * 10, 10)])
def test_no_draw_that_errs_is_no_certainty(name, truth, rarest):
    """The limit is Wilson's of no error among the rarest class."""
    found = interval(perfect(truth), METRICS[name])
    assert found.value == found.high == 1
    assert found.low == pytest.approx(1 - wilson(0, rarest, z_of(0.95))[1])
    assert found.low < 0.75


@pytest.mark.parametrize("name", ["recall", "precision", "f1"])
def test_a_share_of_the_positives_rests_on_the_positives(name):
    assert interval(perfect([0] * 40 + [1] * 10), METRICS[name]).low == pytest.approx(1 - wilson(0, 10, z_of(0.95))[1])
    assert interval(perfect([0, 1]), METRICS[name]).low == 0  # a draw without positives has none of it


def test_a_weighted_error_without_a_mistake_has_wilsons_limit_of_all_units():
    found = interval(perfect([0, 1, 1]), METRICS["weighted_error"])
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(wilson(0, 3, z_of(0.95))[1])
    by_person = interval(perfect([0, 1, 1, 1, 0, 1], np.array([7, 7, 8, 8, 9, 9])), METRICS["weighted_error"])
    assert by_person.high == pytest.approx(found.high)  # three people, however many examples of each


def test_several_targets_without_a_mistake_are_no_certainty():
    truth = {"a": np.array([0, 1, 1]), "b": np.array([1, 0, 0])}
    records = {}
    for name, values in truth.items():
        known = np.array([1.0, 1.0, float(name == "a")])  # of b the third is not known
        more = {"known": known, "answer": values, "wrong": np.zeros(3), "probs": np.eye(2)[values], "truth": values}
        records |= {f"{key}_{name}": value for key, value in more.items()}
    scores = Scores(records, np.arange(3))
    errors = [for_target(ERROR, name) for name in truth]
    for metric, units in [(errors[0], 3), (errors[1], 2), (mean_over(errors, "mean_error", "", "%"), 2)]:
        assert interval(scores, metric).high == pytest.approx(wilson(0, units, z_of(0.95))[1])
    assert interval(scores, for_target(METRICS["accuracy"], "a")).low == pytest.approx(1 - wilson(0, 3, z_of(0.95))[1])
    assert interval(scores, for_target(METRICS["roc_auc"], "a")).low == pytest.approx(1 - wilson(0, 1, z_of(0.95))[1])


def test_newcombe_equals_his_paper():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80 -> 0.0524, 0.3339; 9/10 - 3/10 -> 0.1705, 0.8090."""
    assert np.allclose(newcombe(56, 70, 48, 80, z_of(0.95)), (0.0524, 0.3339), atol=1e-4)
    assert np.allclose(newcombe(9, 10, 3, 10, z_of(0.95)), (0.1705, 0.8090), atol=1e-4)
    gap = gap_interval(wrong(48, 80), wrong(56, 70), ERROR, paired=False)
    assert (gap.low, gap.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert gap.method == "Newcombe"


def test_mid_p_mcnemar_by_hand():
    """1 against 5 disagreements: 2 (P(0) + P(1)) - P(1) at Binomial(6, 1/2) = (2 * 7 - 6) / 64 = 0.125."""
    a, b = np.array([1] * 1 + [0] * 5 + [1] * 4 + [0] * 10), np.array([0] * 1 + [1] * 5 + [1] * 4 + [0] * 10)
    assert mcnemar(a, b) == pytest.approx(8 / 64)
    assert mcnemar(a, b) == mcnemar(b, a)
    assert mcnemar(a, a) == 1


@settings(max_examples=60, deadline=None)
@given(k1=st.integers(0, 50), k2=st.integers(0, 80), delta=st.floats(-0.3, 0.3))
def test_the_p_value_inverts_the_interval(k1, k2, delta):
    """p <= 2.5 % exactly when the lower 95 % limit clears delta, p >= 97.5 % when the upper one stays below."""
    gap = difference(proportion(k2, 80), proportion(k1, 50))
    limits, p = gap.interval(0.95), gap.p_above(delta)
    assert 0 <= p <= 1
    if abs(limits.low - delta) > 1e-6:
        assert (p < 0.025) == (limits.low > delta)
    if abs(limits.high - delta) > 1e-6:
        assert (p > 0.975) == (limits.high < delta)


def test_a_gap_from_a_given_floor_is_wilsons_interval_moved():
    low, high = (float(x) for x in wilson(10, 100, z_of(0.95)))
    gap = difference(proportion(10, 100), fixed(0.04)).interval()
    assert (gap.low, gap.high) == pytest.approx((low - 0.04, high - 0.04))


def classified(n=400, seed=0, groups=None):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.5, 0.5], n)
    truth = (rng.random(n) < 0.7 * probs[:, 1] + 0.15).astype(int)
    answer = probs.argmax(axis=1)
    records = {
        "truth": truth,
        "answer": answer,
        "probs": probs,
        "wrong": (truth != answer).astype(int),
        "loss": -np.log(probs[np.arange(n), truth] + 1e-6),
    }
    return Scores(records, np.arange(n), groups)


@pytest.mark.parametrize("name", ["f1", "log_loss", "roc_auc", "weighted_error", "calibration_error", "accuracy"])
def test_any_metric_has_an_interval_around_its_value_in_its_own_direction(name):
    scores = classified()
    found = interval(scores, METRICS[name])
    assert found.value == pytest.approx(METRICS[name].value(scores))
    assert found.low < found.value < found.high
    again = interval(scores, METRICS[name])
    assert found == again  # seeded
    other = interval(scores, METRICS[name], seed=1)
    assert other.low == pytest.approx(found.low, abs=0.15 * (found.high - found.low))


def test_the_bootstrap_of_cells_equals_that_of_units():
    """The same distribution whether 400 units are drawn or the 4 cells of their confusion matrix."""
    scores, metric = classified(), METRICS["weighted_error"]  # one row a unit; equal to the plain error here
    by_units, by_formula = interval(scores, metric), interval(scores, ERROR)
    assert (by_units.low, by_units.high) == pytest.approx((by_formula.low, by_formula.high), abs=0.006)
    f1 = METRICS["f1"]
    by_cells = interval(scores, f1)
    rng = np.random.default_rng(0)
    drawn = [f1.value(scores.take(rng.integers(0, 400, 400))) for _ in range(1000)]
    assert (by_cells.low, by_cells.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)


@pytest.mark.parametrize("metric", [METRICS["log_loss"], regression_metrics()["rmse"]], ids=["log_loss", "rmse"])
def test_bca_covers_the_truth_of_a_skewed_mean(metric):
    """Squares of normals (mean 1, very skewed), n = 60: 150 samples, nominal 95 %."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        values = rng.normal(size=60) ** 2
        found = interval(Scores({"loss": values, "squared": values}, np.arange(60)), metric, draws=400)
        covered += found.low <= 1 <= found.high
    assert covered / 150 >= 0.9


def test_groups_are_drawn_whole():
    """40 people with 10 identical answers each are 40 units: the interval is sqrt(10) wider."""
    rng = np.random.default_rng(0)
    people = np.repeat((rng.random(40) < 0.3).astype(int), 10)
    together = Scores({"wrong": people}, np.arange(400), np.repeat(np.arange(40), 10))
    alone = Scores({"wrong": people}, np.arange(400))
    widths = [i.high - i.low for i in (interval(together, ERROR), interval(alone, ERROR))]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(10), rel=0.15)
    ranked = classified(groups=np.repeat(np.arange(40), 10))  # a metric that is not a function of sums
    assert interval(ranked, METRICS["roc_auc"]).low < METRICS["roc_auc"].value(ranked)


def test_no_error_in_any_group_still_has_an_upper_limit_by_the_number_of_groups():
    found = interval(wrong(0, 400, np.repeat(np.arange(40), 10)), ERROR)
    assert found.high == pytest.approx(float(wilson(0, 40, z_of(0.95))[1]))


def test_the_same_units_compared_in_pairs_are_told_apart_sooner():
    """Two systems that are wrong on nearly the same units: 5 repaired, none broken."""
    rng = np.random.default_rng(0)
    a = (rng.random(300) < 0.2).astype(int)
    b = a.copy()
    b[np.flatnonzero(a)[:8]] = 0
    before, after = (Scores({"wrong": w, "loss": w + 0.1}, np.arange(300)) for w in (a, b))
    paired, unpaired = (gap_interval(before, after, ERROR, paired=flag) for flag in (True, False))
    assert paired.value == pytest.approx(-8 / 300)
    assert paired.high < 0 < unpaired.high
    real = gap_interval(before, after, METRICS["log_loss"], paired=True)  # the bootstrap, same units
    assert real.value == pytest.approx(-8 / 300)
    assert real.high < 0
    assert gap_interval(before, before, METRICS["log_loss"], paired=True).low == pytest.approx(0)
    shuffled = after.take(rng.permutation(300)[:200])  # aligned by id
    assert paired_difference(before, shuffled, ERROR).n == 200


def flagged(flags, first=0):
    return Scores({"wrong": flags.astype(int), "loss": flags + 0.1}, np.arange(first, first + len(flags)))


def test_against_one_system_the_mean_is_that_system():
    rng = np.random.default_rng(0)
    a, b = flagged(rng.random(150) < 0.3), flagged(rng.random(150) < 0.2)
    for metric in (ERROR, METRICS["log_loss"]):
        alone, mean = gap_interval(a, b, metric, paired=True), against_mean(b, [a], metric)
        assert (mean.value, mean.low, mean.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)


def test_against_several_systems_only_common_units_count_and_agreement_is_not_certainty():
    a = flagged(np.zeros(40, bool))
    b, c = flagged(np.ones(40, bool)), flagged(np.zeros(60, bool), first=10)
    assert against_mean(a, [b, c], ERROR).value == pytest.approx(-0.5)
    assert against_mean(a, [b, c], ERROR).n == 30
    same = against_mean(a, [a, a], ERROR)
    assert same.low < 0 == same.value < same.high
    with pytest.raises(UsageError, match="no examples"):
        against_mean(a, [flagged(np.zeros(5, bool), first=100)], ERROR)


def test_against_the_mean_of_three_the_true_difference_is_covered():
    """Units of three kinds: all know, all fail, or each member guesses and the ensemble is right. True gap: -0.15."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        kind = rng.random(120)
        members = [flagged((kind < 0.1) | ((kind > 0.7) & (rng.random(120) < 0.5))) for _ in range(3)]
        gap = against_mean(flagged(kind < 0.1), members, ERROR)
        held += gap.low <= -0.15 <= gap.high
    assert 0.93 <= held / 600 <= 0.985


def test_paired_systems_without_a_common_unit_are_refused_with_what_to_do():
    a, b = wrong(1, 5), Scores({"wrong": np.zeros(4, int)}, np.arange(100, 104))
    with pytest.raises(
        UsageError, match=r"paired comparison: .*5 and 4, none in common.*\nScore both on the same split"
    ):
        paired_difference(a, b, ERROR)


def test_a_metric_of_nothing_is_refused():
    with pytest.raises(UsageError, match=r"scores: A metric of no examples has no value.\nGive a split"):
        interval(wrong(0, 0), ERROR)


def test_paired_intervals_cover():
    """1,000 draws of two dependent systems: the 95 % interval of the difference holds the true one in 94 to 98 %."""
    rng = np.random.default_rng(0)
    u = rng.random((1000, 200))
    a, b = u < 0.12, (u < 0.06) | (u > 0.97)  # true difference 0.09 - 0.12
    covered = 0
    for x, y in zip(a, b, strict=True):
        pair = [Scores({"wrong": w.astype(int)}, np.arange(200)) for w in (x, y)]
        found = gap_interval(*pair, ERROR, paired=True)
        covered += found.low <= -0.03 <= found.high
    assert 0.935 <= covered / 1000 <= 0.98


@pytest.mark.parametrize("rare", [1, 4])
def test_the_mean_of_two_paired_differences_covers(rare):
    """Of 350 and 250 pairs 4 % and 2 % change, or a quarter of that; neither side is missed in over 3.5 %."""
    rng, truth = np.random.default_rng(0), 0.015 / rare
    below, above = 0, 0
    for _ in range(2000):
        halves = []
        for n, p in ((350, np.array([0.03, 0.01]) / rare), (250, np.array([0.015, 0.005]) / rare)):
            change = rng.choice([0, 1, -1], n, p=[1 - p.sum(), *p])
            halves.append(paired_proportions(change > 0, change < 0, added=0.5))
        whole = average(halves).interval()
        below, above = below + (whole.high < truth), above + (whole.low > truth)
        assert whole.value == pytest.approx(np.mean([each.value for each in halves]))
    assert max(below, above) <= 70
    assert rare > 1 or below + above >= 50


def test_seeds_widen_the_interval_by_the_luck_of_training():
    """5 seeds whose errors differ far more than sampling explains; equal seeds leave the sampling interval."""
    rng = np.random.default_rng(0)
    lucky = [wrong(k, 2000) for k in (60, 120, 180, 90, 150)]
    equal = [Scores({"wrong": (rng.permutation(2000) < 120).astype(int)}, np.arange(2000)) for _ in range(5)]
    contrasts = seed_contrasts(5)
    (mean, wide), (_, narrow) = (over_seeds(runs, ERROR, contrasts) for runs in (lucky, equal))
    assert mean == pytest.approx(0.06)
    # standard error of the mean of 5 seeds: sd 0.0237 / sqrt(5) = 0.0106, times Student's 2.776
    assert (np.quantile(wide, 0.975) - mean) == pytest.approx(2.776 * 0.0106, rel=0.15)
    assert np.quantile(narrow, 0.975) - 0.06 < 0.012


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_very_many_units_have_the_interval_of_the_bootstrap(name, monkeypatch):
    """The jackknife of blocks and the normal limit of sums against 2,000 draws, on 3,000 units."""
    scores, metric = classified(3000), METRICS[name]
    drawn = interval(scores, metric)
    monkeypatch.setattr("orthogon.metrics.intervals.MANY_UNITS", 100)
    monkeypatch.setattr("orthogon.metrics.intervals.MANY_CELLS", 100)
    quick = interval(scores, metric)
    assert quick.value == drawn.value
    assert (quick.high - quick.low) == pytest.approx(drawn.high - drawn.low, rel=0.25)
    in_groups = interval(classified(3000, groups=np.arange(3000) // 2), metric)
    assert (in_groups.high - in_groups.low) == pytest.approx(drawn.high - drawn.low, rel=0.35)


def test_fifty_thousand_units_take_few_weights():
    """Every cell-based metric resamples cells: the draws of 50,000 units fit in B x 4 numbers."""
    scores = classified(50_000)
    assert METRICS["f1"].additive is not None
    assert len(METRICS["f1"].additive(scores.records).rows) == 4
    assert string_metrics()["error"].additive is not None
    assert interval(scores, METRICS["f1"]).method == "bootstrap, BCa"
    assert estimate(scores, ERROR).method == "Wilson"


def test_one_unit_has_no_interval_but_all_that_can_be():
    """One example, or one group: a share lies in [0, 1], other errors are at least 0; proportions have Wilson's."""
    one = Scores({"squared": np.array([4.0]), "absolute": np.array([2.0]), "truth": np.array([1.0])}, np.arange(1))
    for name in ("rmse", "mae"):
        found = estimate(one, regression_metrics()[name]).interval()
        assert (found.value, found.low, found.high) == (2, 0, np.inf)
        change = paired_difference(one, one, regression_metrics()[name]).interval()
        assert (change.value, change.low, change.high) == (0, -np.inf, np.inf)
    same_group = estimate(wrong(2, 8, np.zeros(8)), ERROR).interval()
    assert (same_group.value, same_group.low, same_group.high) == (0.25, 0, 1)
    assert estimate(wrong(2, 8, np.zeros(8)), METRICS["accuracy"]).p_above(0.01) >= 0.5
    undefined = Scores({"truth": np.array([1]), "probs": np.array([[0.2, 0.8]])}, np.arange(1))
    area = interval(undefined, METRICS["roc_auc"])
    assert np.isnan(area.value)
    assert not np.isfinite([area.low, area.high]).any()
    alone = estimate(wrong(1, 1), ERROR).interval()
    assert (alone.low, alone.high) == pytest.approx([float(x) for x in wilson(1, 1, z_of(0.95))])


def test_limits_stay_within_what_a_metric_can_be():
    edits = Scores({"edits": np.array([1, 1, 90]), "length": np.array([9, 10, 9]), "wrong": np.ones(3)}, np.arange(3))
    pooled, share = (estimate(edits, string_metrics()[name]) for name in ("character_error", "edit_distance"))
    assert pooled.interval().high > pooled.value > 1  # more edits than characters
    for level in (0.5, 0.95, 0.9999):
        assert 0 <= share.interval(level).low <= share.value <= share.interval(level).high <= 1
        assert pooled.interval(level).low >= 0
