"""Losses as (sum, count): worked figures, parity with torch.nn.functional, gradients, masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from orthogon.errors import ShapeError
from orthogon.nn.losses import balanced_class_weights, binary_cross_entropy, softmax_cross_entropy, squared_error


def test_cross_entropy_of_a_known_softmax() -> None:
    # W.softmax-loss: probabilities (0.3, 0.2, 0.1, 0.4), class 1
    loss, count = softmax_cross_entropy(
        torch.tensor([[0.3, 0.2, 0.1, 0.4]], dtype=torch.float64).log(), torch.tensor([1])
    )
    assert loss.item() == pytest.approx(1.609437912434, abs=1e-12)
    assert count == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_pytorchs_mean_times_count(smoothing: float, weighted: bool) -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 6, 5), torch.randint(5, (4, 6))
    weights = torch.tensor([0.5, 1.0, 2.0, 1.0, 3.0]) if weighted else None
    loss, count = softmax_cross_entropy(logits, targets, class_weights=weights, label_smoothing=smoothing)
    each = F.cross_entropy(logits.reshape(-1, 5), targets.flatten(), reduction="none", label_smoothing=smoothing)
    w = torch.ones(24) if weights is None else weights[targets.flatten()]
    assert loss.item() == pytest.approx((w * each).sum().item(), rel=1e-6)
    assert count == pytest.approx(w.sum().item())
    if not smoothing:
        mean = F.cross_entropy(logits.reshape(-1, 5), targets.flatten(), weight=weights)
        assert loss.item() / count == pytest.approx(mean.item(), rel=1e-6)


def test_smoothed_targets_are_1_minus_eps_and_eps_over_k() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64)
    target = torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], dtype=torch.float64)
    loss, _ = softmax_cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1)
    assert loss.item() == pytest.approx(-(target * logits.log_softmax(1)).sum().item(), abs=1e-12)


def test_smoothed_yes_and_no_are_1_minus_half_eps_and_half_eps() -> None:
    z = torch.tensor([0.7, -1.3], dtype=torch.float64)
    loss, _ = binary_cross_entropy(z, torch.tensor([1.0, 0.0]), label_smoothing=0.1)
    p = torch.sigmoid(z)
    y = torch.tensor([0.95, 0.05], dtype=torch.float64)
    assert loss.item() == pytest.approx(-(y * p.log() + (1 - y) * (1 - p).log()).sum().item(), abs=1e-12)


@pytest.mark.system("strat.multitask-missing")
def test_unknown_labels_of_several_tasks_add_nothing_and_have_gradient_exactly_zero() -> None:
    # W.multitask, in NumPy first
    y = np.array([[1, 0], [1, np.nan], [0, 1], [np.nan, np.nan]])
    p = np.array([[0.9, 0.2], [0.6, 0.5], [0.1, 0.7], [0.5, 0.5]])
    known = ~np.isnan(y)
    by_hand = -np.where(y == 1, np.log(p), np.log(1 - p))[known].sum()
    assert by_hand == pytest.approx(1.301365, abs=1e-6)

    logits = torch.logit(torch.tensor(p)).requires_grad_()
    loss, count = binary_cross_entropy(logits, torch.tensor(y), mask=torch.tensor(known))
    assert loss.item() == pytest.approx(by_hand, abs=1e-12)
    assert loss.item() / 4 == pytest.approx(0.325341, abs=1e-6)  # the textbook's cost: over m = 4 examples
    assert loss.item() / count == pytest.approx(0.260273, abs=1e-6)  # the mean over 5 known labels
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool((gradient[~torch.tensor(known)] == 0).all())
    assert bool((gradient[torch.tensor(known)] != 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_of_a_thousand_stay_finite(dtype: torch.dtype) -> None:
    logits = torch.tensor([1000.0, -1000.0, 1000.0, -1000.0], dtype=dtype, requires_grad=True)
    targets = torch.tensor([1.0, 0.0, 0.0, 1.0])
    loss, _ = binary_cross_entropy(logits, targets)
    assert loss.item() == 2000.0
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.tolist() == [0.0, 0.0, 1.0, -1.0]

    pair = torch.tensor([[1000.0, -1000.0]], dtype=dtype, requires_grad=True)
    loss, _ = softmax_cross_entropy(pair, torch.tensor([1]))
    assert loss.item() == 2000.0
    assert torch.autograd.grad(loss, pair)[0].tolist() == [[1.0, -1.0]]


def test_nan_and_infinity_behind_a_mask_do_not_leak() -> None:
    mask = torch.tensor([[True, False], [False, True]])
    for loss_of in (binary_cross_entropy, squared_error):
        outputs = torch.tensor([[0.5, torch.inf], [torch.nan, 1.0]], requires_grad=True)
        targets = torch.tensor([[1.0, torch.nan], [torch.nan, 0.0]])
        loss, count = loss_of(outputs, targets, mask)
        assert torch.isfinite(loss)
        assert count == 2
        (gradient,) = torch.autograd.grad(loss, outputs)
        assert gradient[~mask].tolist() == [0.0, 0.0]
        assert bool(torch.isfinite(gradient).all())


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda z: softmax_cross_entropy(z, torch.tensor([0, 2, 1]))[0],
    "softmax smoothed, weighted": lambda z: softmax_cross_entropy(
        z, torch.tensor([0, 2, 1]), class_weights=torch.tensor([1.0, 2.0, 0.5]).double(), label_smoothing=0.2
    )[0],
    "softmax masked": lambda z: softmax_cross_entropy(
        z, torch.tensor([0, -100, 1]), mask=torch.tensor([True, False, True])
    )[0],
    "binary": lambda z: binary_cross_entropy(z, torch.eye(3))[0],
    "binary masked, weighted, smoothed": lambda z: binary_cross_entropy(
        z, torch.eye(3), mask=torch.eye(3) < 1, positive_weight=torch.tensor([2.0, 1.0, 3.0]), label_smoothing=0.1
    )[0],
    "squared": lambda z: squared_error(z, torch.eye(3).double(), mask=torch.eye(3) < 1)[0],
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(LOSSES[name], torch.randn(3, 3, dtype=torch.float64, requires_grad=True))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_padding_and_cutting_into_parts_change_nothing(seed: int, n: int, cut: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    targets = torch.randint(4, (n,), generator=generator)
    whole, count = softmax_cross_entropy(logits, targets)
    parts = [softmax_cross_entropy(z, y) for z, y in zip(logits.split(cut), targets.split(cut), strict=True)]
    assert sum(loss.item() for loss, _ in parts) == pytest.approx(whole.item(), abs=1e-9)
    assert sum(part for _, part in parts) == count == n

    padded = torch.cat([logits, torch.full((3, 4), torch.nan, dtype=torch.float64)])
    labels = torch.cat([targets, torch.full((3,), -1)])
    loss, kept = softmax_cross_entropy(padded, labels, mask=torch.arange(n + 3) < n)
    assert (loss.item(), kept) == (pytest.approx(whole.item(), abs=1e-9), n)


def test_balanced_weights_give_every_class_the_same_total() -> None:
    counts = torch.tensor([80, 15, 5, 0])
    weights = balanced_class_weights(counts)
    torch.testing.assert_close(weights * counts, torch.tensor([100 / 3] * 3 + [0.0]))


@pytest.mark.parametrize("loss_of", [softmax_cross_entropy, binary_cross_entropy, squared_error])
def test_shapes_that_do_not_fit_are_named(loss_of: Callable[..., object]) -> None:
    with pytest.raises(ShapeError) as caught:
        loss_of(torch.zeros(4, 3), torch.zeros(5, 3))
    assert "(5, 3)" in caught.value.what
    assert caught.value.where == "loss"
    assert "(4" in caught.value.remedy
