"""Attention against plain NumPy, worked figures, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orthogon.nn.attention import AdditiveAttention, masked_softmax


@pytest.mark.system("W.softmax-att")
def test_the_worked_softmax() -> None:
    weights = masked_softmax(torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64))
    assert weights.tolist() == pytest.approx([0.659001, 0.242433, 0.098566], abs=1e-6)


def test_masked_places_get_exactly_zero_and_the_rest_sums_to_one() -> None:
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)) * 50
    mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3, [False] * 5 + [True], [False] * 6])
    weights = masked_softmax(scores, mask)
    assert bool((weights[~mask] == 0).all())
    assert torch.allclose(weights.sum(dim=1), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert torch.allclose(weights[1, :3], scores[1, :3].softmax(dim=0))


def test_an_empty_row_has_no_gradient_and_no_nan() -> None:
    scores = torch.randn(2, 3, requires_grad=True)
    masked_softmax(scores, torch.tensor([[False] * 3, [True] * 3]))[:, 0].sum().backward()
    assert scores.grad is not None
    assert bool(torch.isfinite(scores.grad).all())
    assert bool((scores.grad[0] == 0).all())


@given(shift=st.floats(-1e3, 1e3), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_shift_of_all_scores_changes_nothing(shift: float, seed: int) -> None:
    scores = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    mask = scores > -1
    assert torch.allclose(masked_softmax(scores, mask), masked_softmax(scores + shift, mask), atol=1e-12)


@pytest.mark.system("s2s.attention")
@pytest.mark.parametrize("relu", [False, True])
def test_additive_attention_equals_numpy(relu: bool) -> None:
    """c = Σ α a, α = softmax(v · tanh(W a + U s + b) + c0), loop by loop."""
    torch.manual_seed(0)
    B, T, n_s, n_a = 3, 5, 4, 6
    attention = AdditiveAttention(n_s, n_a, 7, relu=relu).double()
    torch.nn.init.normal_(attention.keys.bias)
    query, states = torch.randn(B, n_s).double(), torch.randn(B, T, n_a).double()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    context, weights = attention(query, states, attention.prepare(states), mask)

    W, b = attention.keys.weight.detach().numpy(), attention.keys.bias.detach().numpy()
    U, v = attention.query.weight.detach().numpy(), attention.energy.weight.detach().numpy()[0]
    for i in range(B):
        a, s = states[i].numpy(), query[i].numpy()
        length = int(mask[i].sum())
        e = np.array([v @ np.tanh(W @ a[t] + U @ s + b) + attention.energy.bias.item() for t in range(length)])
        e = np.maximum(e, 0) if relu else e
        alpha = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
        assert weights[i, :length].tolist() == pytest.approx(alpha.tolist(), abs=1e-12)
        assert weights[i, length:].tolist() == [0.0] * (T - length)
        assert weights[i].sum().item() == pytest.approx(1.0, abs=1e-12)
        c = sum(alpha[t] * a[t] for t in range(length))
        assert context[i].tolist() == pytest.approx(c.tolist(), abs=1e-12)


def test_gradients_against_finite_differences() -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(3, 4, 5).double()
    mask = torch.tensor([[True, True, False], [True, True, True]])

    def both(query: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return attention(query, states, attention.prepare(states), mask)

    query = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    states = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(both, (query, states))


def test_what_lies_under_the_mask_does_not_matter() -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(3, 4, 5)
    query, states = torch.randn(1, 3), torch.randn(1, 6, 4)
    mask = torch.tensor([[True, True, True, False, False, False]])
    changed = states.clone()
    changed[:, 3:] = 1e3
    context, _ = attention(query, states, attention.prepare(states), mask)
    other, _ = attention(query, changed, attention.prepare(changed), mask)
    assert torch.equal(context, other)
