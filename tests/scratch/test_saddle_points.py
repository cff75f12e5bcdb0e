"""Leaving a saddle: 76 updates against 11; and how rare minima are among random curvatures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.scratch.saddle_points import START, gradient, share_of_minima, walk


@pytest.mark.system("opt.saddle")
def test_adam_leaves_in_11_updates_and_gradient_descent_in_76() -> None:
    steps = {rule: len(walk(rule)) - 1 for rule in ("gd", "momentum", "rmsprop", "adam")}
    assert (steps["gd"], steps["adam"]) == (76, 11)
    assert steps["rmsprop"] < 76
    assert len(walk("momentum", alpha=1.0)) - 1 < 76 < steps["momentum"]
    for rule in steps:
        path = walk(rule)
        assert tuple(path[0]) == START
        assert abs(path[-1, 1]) >= 1 > abs(path[-2, 1])


def test_the_gradient_is_autograds() -> None:
    W = torch.tensor([0.7, -0.3], dtype=torch.float64, requires_grad=True)
    (W[0] ** 2 - W[1] ** 2).backward()
    assert W.grad is not None
    np.testing.assert_allclose(gradient(W.detach().numpy()), W.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.system("opt.saddle")
def test_random_curvatures_are_almost_never_minima() -> None:
    rng = np.random.default_rng(0)
    assert share_of_minima(1, 20_000, rng) == pytest.approx(0.5, abs=0.015)
    assert share_of_minima(2, 20_000, rng) == pytest.approx(0.15, abs=0.01)
    assert share_of_minima(5, 20_000, rng) < 0.001
    assert share_of_minima(10, 20_000, rng) == 0
