"""What is expected of a knob: from logged runs, updated by this project's steps, and costed honestly."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from orthogon.strategy.advice import cost_in_runs
from orthogon.strategy.beliefs import Belief, Beliefs, Gain, Observation, expected_gain, learn, shipped
from orthogon.strategy.diagnosis import BIAS, VARIANCE
from orthogon.strategy.knobs import KNOBS, knobs_for

WIDER = "wider network", VARIANCE


def seen(fraction, error=0.0, pair=WIDER):
    return Observation(*pair, fraction, error)


def test_a_step_counts_by_how_well_it_was_measured():
    """By hand: tau = 0.25, so a standard error of a quarter of the gap counts half."""
    assert seen(0.4, 0.0).weight == 1
    assert seen(0.4, 0.25).weight == pytest.approx(0.5)
    after = Belief(0.2, 2.0).updated([seen(0.8)])
    assert after.mean == pytest.approx((0.2 * 2 + 0.8) / 3)
    assert (after.strength, after.here) == (3.0, 1)
    half = Belief(0.2, 2.0).updated([seen(0.8, 0.25)])
    assert half.mean == pytest.approx((0.4 + 0.4) / 2.5)


def test_a_gain_becomes_a_fraction_of_its_gap():
    """0.02 [0.0, 0.04] of a gap of 0.05: 40 %, with a standard error of 0.04 / 3.92 / 0.05."""
    one = Observation.of(*WIDER, 0.05, Gain(0.02, 0.0, 0.04))
    assert (one.fraction, one.error) == pytest.approx((0.4, 0.04 / 3.92 / 0.05))
    assert Observation.of(*WIDER, 0.05, {"value": -0.3, "low": -0.4, "high": -0.2}).fraction == -1
    assert Observation.of(*WIDER, 0.0, Gain(0.02, 0.0, 0.04)) is None
    assert Observation.of(*WIDER, 0.05, {"value": 0.1, "low": None, "high": 0.2}) is None
    assert Observation.of(*WIDER, 0.05, None) is None


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3)), max_size=8), st.randoms())
def test_the_order_of_the_steps_does_not_matter_and_the_mean_stays_a_share(pairs, order):
    steps = [seen(*pair) for pair in pairs]
    one = Beliefs({WIDER: Belief(0.3, 3.0)}).updated(steps).of(*WIDER)
    order.shuffle(steps)
    other = Beliefs({WIDER: Belief(0.3, 3.0)}).updated(steps).of(*WIDER)
    assert one.mean == pytest.approx(other.mean)
    assert 0 < one.mean < 1
    assert one.strength >= 3.0


def test_noise_about_zero_adds_nothing_up():
    """Help and harm of equal size cancel: the belief falls towards zero, not to the mean of the helpful half."""
    noise = [seen(f, 0.25) for f in (0.5, -0.5, 0.3, -0.3, 0.1, -0.1)]
    assert Belief(0.4, 2.0).updated(noise).mean == pytest.approx(0.8 / 5)


@pytest.mark.system("strat.ideas")
def test_the_expected_gain_is_the_gap_times_the_fraction():
    """A gap known exactly leaves the Beta's own quantiles; the mean is gap times mean."""
    gain, lower = expected_gain(Gain(0.1, 0.1, 0.1), Belief(0.3, 6.0))
    assert gain.value == pytest.approx(0.03, rel=0.01)
    ends = beta.ppf([0.025, 0.975, 0.25], 1.8, 4.2) * 0.1
    assert (gain.low, gain.high, lower) == pytest.approx(tuple(ends), rel=0.06, abs=1e-4)
    wide, _ = expected_gain(Gain(0.1, 0.02, 0.18), Belief(0.3, 6.0))
    assert wide.high > gain.high
    assert wide.low >= 0


def test_the_logbook_updates_and_takes_the_badge():
    entry = {
        "event": "step taken",
        "knob": WIDER[0],
        "gap": VARIANCE,
        "expected": {"value": 0.1, "low": 0.05, "high": 0.15},
        "measured": {"value": 0.08, "low": 0.07, "high": 0.09},
        "orthogonal": False,
        "also": "avoidable bias (+2.0 points)",
    }
    before = Beliefs({WIDER: Belief(0.2, 2.0, 30)})
    after = before.after([entry, {"event": "run finished"}])
    assert after.of(*WIDER).mean > 0.35
    assert after.moved == {WIDER: "avoidable bias (+2.0 points)"}
    assert after.of(*WIDER).source() == "learned from 30 logged steps of other problems and 1 of this project"
    kept = before.after([entry, {**entry, "orthogonal": True}])
    assert kept.moved == {}
    assert before.after([{**entry, "measured": None, "orthogonal": None}]).of(*WIDER) == before.of(*WIDER)


def test_learning_from_logged_steps_finds_the_mean_and_the_spread_between_problems():
    """2,000 steps whose fractions are Beta(1.5, 3.5), each measured to 0.1: mean 0.3, strength 5."""
    rng = np.random.default_rng(0)
    steps = [seen(f + 0.1 * z, 0.1) for f, z in zip(rng.beta(1.5, 3.5, 2000), rng.normal(size=2000), strict=True)]
    found = learn(steps, guess=0.9)
    assert found.mean == pytest.approx(0.3, abs=0.02)
    assert found.strength == pytest.approx(5, abs=0.8)
    assert found.logged == 2000
    alike = learn([seen(0.3, 0.0)] * 50, guess=0.3)
    assert alike.strength == 12  # however alike they were
    assert learn([], guess=0.4) == Belief(0.4)
    assert learn(steps, 0.3, [True, False]).side_effects == 0.5


def test_what_ships_is_about_knobs_that_there_are():
    known = {(knob.name, knob.gap) for knob in KNOBS}
    for pair, belief in shipped().known.items():
        assert pair in known
        assert 0 < belief.mean < 1
        assert belief.logged > 0


def test_a_step_costs_its_length_times_its_multiply_adds():
    config = {"task": {"width": 32}, "training": {"steps": None, "epochs": 20, "minutes": None}}
    knob = {each.name: each for each in knobs_for(BIAS)}

    def four_times(overrides):
        return 400.0 if overrides else 100.0

    assert cost_in_runs(knob["wider network"], config, {"task.width": 64}, four_times) == 4
    assert cost_in_runs(knob["longer training"], config, {"training.epochs": 40}, four_times) == 2
    both = {"training.epochs": 10, "task.width": 64}
    assert cost_in_runs(knob["wider network"], config, both, four_times) == 2
    assert cost_in_runs(knob["wider network"], config, {"task.width": 64}) == knob["wider network"].cost_runs
    assert cost_in_runs(knob["wider network"], config, {"task.width": 64}, lambda _: None) == 1.5
    assert cost_in_runs(knob["learning-rate race"], config, {"training.lr_race": True}, four_times) == 1.3
    assert json.dumps({"cost": cost_in_runs(knob["human level"], config, {})}) == '{"cost": 0}'
