"""Early stopping: the weights given back are those of the lowest dev error, and the product stops at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orthogon.nn.losses import squared_error as product_squared_error
from orthogon.scratch.early_stopping import bumps, noisy_sine, squared_error, train_until_it_stops
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.objective import LossSum, Objective


def follow(errors: list[float], patience: int) -> tuple[float, int, list[float]]:
    """Early stopping on a given dev curve: the weight is the step's number."""
    W, best, seen = train_until_it_stops(
        np.zeros(()), lambda W: W + 1, lambda W: errors[int(W)], patience, len(errors) - 1
    )
    return float(W), best, seen


@pytest.mark.system("train.early-stop")
def test_a_curve_worked_by_hand() -> None:
    curve = [5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 1.0, 0.0]
    assert follow(curve, 3) == (7, 7, curve)
    # patience 2: steps 4 and 5 bring nothing better than step 3 (a tie is no improvement)
    assert follow(curve, 2) == (3, 3, curve[:6])
    assert follow(curve, 1) == (1, 1, curve[:3])
    assert follow([3.0, 2.0, 1.0], 1) == (2, 2, [3.0, 2.0, 1.0])  # it never got worse
    assert follow([1.0, 2.0, 3.0, 4.0], 2) == (0, 0, [1.0, 2.0, 3.0])  # the start was best


class Bumps(Objective):
    """The sine's fit through the product: one linear layer without bias on 40 features."""

    def __init__(self, X: np.ndarray, Y: np.ndarray, X_dev: np.ndarray, Y_dev: np.ndarray) -> None:
        self.net = nn.Linear(40, 1, bias=False).double()
        nn.init.zeros_(self.net.weight)
        self.train_set, self.dev_set = ((torch.tensor(A.T), torch.tensor(B.T)) for A, B in ((X, Y), (X_dev, Y_dev)))

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return dict(self.net.named_parameters())

    def network(self) -> nn.Module:
        return self.net

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([self.train_set][start:])

    def batches_per_epoch(self) -> int:
        return 1

    def loss(self, batch: tuple[Tensor, Tensor]) -> LossSum:
        loss, count = product_squared_error(self.net(batch[0]), batch[1])
        return loss, count, {}

    def evaluate(self) -> dict[str, float]:
        with torch.no_grad():
            loss, count, _ = self.loss(self.dev_set)
        return {"loss": loss.item() / count}


@pytest.mark.system("train.early-stop")
@pytest.mark.parametrize("seed", [2, 3])
def test_the_product_keeps_the_same_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (x, Y), (x_dev, Y_dev) = noisy_sine(rng, 25), noisy_sine(rng, 200)
    X, X_dev = bumps(x), bumps(x_dev)
    objective = Bumps(X, Y, X_dev, Y_dev)

    def step(w: np.ndarray) -> np.ndarray:
        return w - 0.05 * 2 * X @ (w.T @ X - Y).T / Y.shape[1]

    start = step(np.zeros((40, 1)))  # the product looks at dev after its first step
    kept, best, errors = train_until_it_stops(start, step, lambda w: squared_error(w, X_dev, Y_dev), 5, 200)
    assert squared_error(kept, X_dev, Y_dev) == min(errors)
    assert 0 < best < len(errors) - 1
    result = fit(
        objective,
        TrainingConfig(
            optimiser="sgd", lr=0.05, schedule="constant", epochs=200, patience=5, preflight=False, device="cpu"
        ),
    )
    curve = [event["dev_loss"] for event in result.history]
    assert result.status == "patience"
    np.testing.assert_allclose(curve, errors, rtol=0, atol=1e-10)
    np.testing.assert_allclose(objective.net.weight.detach().numpy().T, kept, rtol=0, atol=1e-10)
