"""Loss functions as (sum, count), so that padding, missing labels, accumulation and several processes stay exact.

The cost is J = Σ sums / Σ counts, over as many batches as one likes. `mask` says which entries count (True = count);
an entry that does not count adds 0 to the sum, 0 to the count, and has gradient exactly 0, whatever stands there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from orthogon.errors import ShapeError


def softmax_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, float]:
    """−Σ wᵧ log softmax(logits)ᵧ, and Σ wᵧ, in nats.

    Args:
        logits: raw scores (..., K), classes last.
        targets: class numbers (...), int64; anything may stand where the mask is False.
        mask: bool (...), True = counts.
        class_weights: (K,) weight w of each true class; 1 if None.
        label_smoothing: share ε of the probability spread evenly over all K classes.
    Raises:
        ShapeError: the leading shapes differ.
    Source: smoothing, Szegedy et al. 2016, arXiv:1512.00567, section 7.
    Differs: F.cross_entropy weighs each class's share of a smoothed target; here the example has one weight, its true
        class's, so that the count is the sum of the examples' weights.
    """
    _same_shape(logits.shape[:-1], targets, mask)
    if mask is not None:
        logits, targets = logits[mask], targets[mask]
    K = logits.shape[-1]
    logits, targets = logits.reshape(-1, K), targets.reshape(-1)
    if class_weights is None:
        return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=label_smoothing), float(len(targets))
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    weights = class_weights.to(logits.device)[targets]
    return (losses * weights).sum(), float(weights.sum())


def binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    positive_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, float]:
    """−Σ [y log σ(z) + (1−y) log(1−σ(z))] over known labels, and their number, in nats.

    Several yes-no questions of one example (multi-task) are its last axis, each with its own label or none. The
    textbook's cost divides the sum by m examples, not by the count of known labels: take the sum for that.

    Args:
        logits: raw scores z (...); finite loss and gradient for any finite z.
        targets: labels y in [0, 1] (...); NaN is allowed where the mask is False.
        mask: bool (...), True = known.
        positive_weight: weight of positive labels, broadcastable to (...); it changes the sum, not the count.
        label_smoothing: ε turns labels 0 and 1 into ε/2 and 1 − ε/2.
    Raises:
        ShapeError: the shapes differ.
    """
    _same_shape(logits.shape, targets, mask)
    targets = targets.to(logits.dtype)
    count = logits.numel()
    if mask is not None:
        # replaced before the loss, not after: 0 · NaN is NaN, in the gradient as well
        logits, targets = torch.where(mask, logits, 0.0), torch.where(mask, targets, 0.0)
        count = int(mask.sum())
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / 2
    losses = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=positive_weight, reduction="none")
    return (losses if mask is None else torch.where(mask, losses, 0.0)).sum(), float(count)


def squared_error(outputs: Tensor, targets: Tensor, mask: Tensor | None = None) -> tuple[Tensor, float]:
    """Σ (ŷ − y)² over known values, and their number, in squared units of the target.

    Args:
        outputs, targets: (...); NaN is allowed in targets where the mask is False.
        mask: bool (...), True = known.
    Raises:
        ShapeError: the shapes differ.
    """
    _same_shape(outputs.shape, targets, mask)
    if mask is None:
        return F.mse_loss(outputs, targets, reduction="sum"), float(outputs.numel())
    outputs, targets = torch.where(mask, outputs, 0.0), torch.where(mask, targets, 0.0)
    return F.mse_loss(outputs, targets, reduction="sum"), float(mask.sum())


def balanced_class_weights(counts: Tensor) -> Tensor:
    """(K,) weights m / (K · count): every class weighs the same in all, the mean weight of an example is 1.

    A class without an example has weight 0.
    """
    counts = counts.to(torch.get_default_dtype())
    present = counts > 0
    return torch.where(present, counts.sum() / (present.sum() * counts.clamp_min(1)), 0.0)


def _same_shape(expected: torch.Size, targets: Tensor, mask: Tensor | None) -> None:
    for name, tensor in (("targets", targets), ("mask", mask)):
        if tensor is not None and tensor.shape != expected:
            raise ShapeError(
                f"{name} have shape {tuple(tensor.shape)}, the outputs call for {tuple(expected)}",
                "loss",
                f"Give {name} of shape {tuple(expected)}.",
            )
