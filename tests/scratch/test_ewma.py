"""Exponentially weighted averages: W.ewma, what each value counts, the correction, and the averages of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import get_ema_avg_fn

from orthogon.scratch.ewma import average, averages, correct

THETA = np.array([40.0, 49, 45, 44, 50])


@pytest.mark.system("opt.ewma")
def test_averages_worked_by_hand() -> None:
    # W.ewma
    np.testing.assert_allclose(averages(THETA, 0.9), [4, 8.5, 12.15, 15.335, 18.8015], rtol=0, atol=1e-10)
    corrected = averages(THETA, 0.9, corrected=True)
    np.testing.assert_allclose(corrected, [40, 44.736842, 44.833948, 44.591451, 45.912188], rtol=0, atol=1e-6)


@pytest.mark.system("opt.ewma")
def test_weights_and_memory() -> None:
    impulse = np.eye(10)[0]
    weights = averages(impulse, 0.9)  # what a value counts k steps later
    np.testing.assert_allclose(weights, 0.1 * 0.9 ** np.arange(10), rtol=0, atol=1e-12)
    assert weights.sum() == pytest.approx(1 - 0.9**10, abs=1e-12)
    assert weights.sum() == pytest.approx(0.651322, abs=1e-6)
    # V_2 = 0.0196 theta_1 + 0.02 theta_2 at beta 0.98
    np.testing.assert_allclose([averages(np.eye(2)[k], 0.98)[1] for k in (0, 1)], [0.0196, 0.02], rtol=0, atol=1e-12)
    # about 1/(1 - beta) values; after so many the weight is about 1/e of its first
    for beta, left in ((0.9, 0.349), (0.98, 0.364)):
        steps = round(1 / (1 - beta))
        counts = averages(np.eye(steps + 1)[0], beta)
        assert counts[-1] / counts[0] == pytest.approx(left, abs=5e-4)
        assert counts[-1] / counts[0] == pytest.approx(np.exp(-1), abs=0.02)


@pytest.mark.system("opt.ewma-bias")
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.98])
def test_the_corrected_average_of_a_constant_is_the_constant(beta: float) -> None:
    constant = np.full(100, 7.0)
    np.testing.assert_allclose(averages(constant, beta, corrected=True), 7.0, rtol=1e-12)
    assert averages(constant, beta)[0] == pytest.approx(7 * (1 - beta))  # without it, too low
    assert correct(np.array(2.0), beta, 1) == pytest.approx(2 / (1 - beta))


@pytest.mark.system("opt.ewma")
def test_the_rule_is_torchs_for_averaged_weights() -> None:
    rng = np.random.default_rng(0)
    V, W = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    theirs = get_ema_avg_fn(0.98)(torch.tensor(V), torch.tensor(W), torch.tensor(1))
    np.testing.assert_allclose(average(V, W, 0.98), theirs.numpy(), rtol=0, atol=1e-12)
