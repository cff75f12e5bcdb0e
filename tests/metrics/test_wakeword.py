"""The threshold of a wake word: worked cases, and that no other threshold within the limit hears more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.errors import UsageError
from orthogon.metrics.wakeword import wake_threshold


@pytest.mark.system("strat.wakeword-metric")
def test_a_worked_day() -> None:
    """48 hours allow two alarms: the third loudest noise, 0.7, must stay below; of six words four are above it."""
    heard = np.array([0.95, 0.92, 0.85, 0.71, 0.6, 0.3])
    other = np.array([0.99, 0.8, 0.7, 0.65, 0.1])
    found = wake_threshold(heard, other, hours=48)
    assert 0.7 < found.value <= 0.71
    assert (found.false_alarms, found.per_day) == (2, 1.0)
    assert found.recall.value == pytest.approx(4 / 6)
    assert found.per_day_high == pytest.approx(6.296 / 2, abs=0.01)  # Poisson, 2 seen: at most 6.296
    none = wake_threshold(heard, other, hours=12)  # half a day allows none
    assert (none.false_alarms, none.recall.value) == (0, 0.0)
    assert none.per_day_high == pytest.approx(2 * 2.996, abs=0.01)  # the rule of three, scaled to a day


@given(st.integers(0, 10_000), st.floats(1, 200), st.floats(0, 5))
def test_no_threshold_within_the_limit_hears_more(seed: int, hours: float, most: float) -> None:
    rng = np.random.default_rng(seed)
    heard, other = np.round(rng.normal(1, 1, 40), 1), np.round(rng.normal(-1, 1, 60), 1)  # with ties
    found = wake_threshold(heard, other, hours, most)
    assert found.per_day <= most + 1e-6
    for value in np.unique(np.concatenate([heard, other])):
        if (other >= value).sum() * 24 / hours <= most:
            assert (heard >= value).mean() <= found.recall.value


def test_nothing_to_choose_by_is_told() -> None:
    with pytest.raises(UsageError, match=r"wake_threshold: 0 wake words and 3 hours without one\nIt takes some"):
        wake_threshold(np.array([]), np.ones(3), 3)
    with pytest.raises(UsageError, match=r"a score is no number\nLeave such stretches out"):
        wake_threshold(np.ones(2), np.array([np.nan]), 3)
