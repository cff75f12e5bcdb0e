"""The error table of one weight, and the slopes that move it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orthogon.nn.losses import squared_error
from orthogon.scratch import weight_table
from orthogon.scratch.weight_table import X, Y, descend, errors, slopes


@pytest.mark.system("net.weight-table")
def test_the_table_prints(capsys: pytest.CaptureFixture[str]) -> None:
    # W.weight-table
    expected = {3: ([0, 3, 6], [0, 1, 2], [0, 1, 4], 5), 4: ([0, 4, 8], [0, 2, 4], [0, 4, 16], 20)}
    for W, (y_hat, absolute, squared, total) in expected.items():
        for found, column in zip(errors(W, X, Y), (y_hat, absolute, squared), strict=True):
            np.testing.assert_array_equal(found, column)
        assert errors(W, X, Y)[2].sum() == total
    assert not errors(2, X, Y)[1].any()

    weight_table.demo()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:13]]
    assert rows[0] == ["W", "x", "y", "ŷ", "|ŷ-y|", "(ŷ-y)²"]
    by_hand = """
        3 0 0 0 0 0 | 3 1 2 3 1 1 | 3 2 4 6 2 4  | 3 sum 5
        4 0 0 0 0 0 | 4 1 2 4 2 4 | 4 2 4 8 4 16 | 4 sum 20
        2 0 0 0 0 0 | 2 1 2 2 0 0 | 2 2 4 4 0 0  | 2 sum 0
    """
    assert rows[1:] == [row.split() for line in by_hand.strip().splitlines() for row in line.split("|")]


def test_the_slopes_are_autograds() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(7), rng.standard_normal(7)
    W, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.7, -0.2))
    loss, _ = squared_error(W * torch.tensor(x) + b, torch.tensor(y))
    loss.backward()
    assert loss.item() == pytest.approx(errors(0.7, x, y, -0.2)[2].sum(), abs=1e-10)
    assert slopes(0.7, -0.2, x, y) == pytest.approx((W.grad.item(), b.grad.item()), abs=1e-10)


def test_the_bias_starts_at_0_and_is_learned() -> None:
    shifted = Y + 3  # ŷ = 2 x + 3
    path = descend(0.0, 0.0, X, shifted, alpha=0.05, steps=300)
    assert path[0] == (0.0, 0.0)
    assert path[-1] == pytest.approx((2, 3), abs=1e-3)
    totals = [errors(W, X, shifted, b)[2].sum() for W, b in path]
    assert (np.diff(totals[:100]) < 0).all()
