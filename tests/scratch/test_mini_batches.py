"""Mini-batches: the exercise's partition, the product's batches, and what the size of a batch does to the cost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from orthogon.data.loader import MemoryLoader
from orthogon.scratch.gradient_checking import two_sided
from orthogon.scratch.mini_batches import batch_cost, mini_batches, noisy_labels, train


@pytest.mark.system("opt.partition")
@pytest.mark.parametrize(
    ("m", "size", "sizes"), [(148, 64, [64, 64, 20]), (128, 64, [64, 64]), (5, 64, [5]), (3, 1, [1, 1, 1])]
)
def test_every_example_once_with_its_label_and_the_rest_in_the_last_batch(m: int, size: int, sizes: list[int]) -> None:
    X = np.stack([np.arange(m), np.arange(m) ** 2]).astype(float)
    batches = mini_batches(X, -X[:1], size, np.random.default_rng(0))
    assert [X_t.shape[1] for X_t, _ in batches] == sizes
    for X_t, Y_t in batches:
        np.testing.assert_array_equal(X_t[:1], -Y_t)  # pairs stay aligned
        np.testing.assert_array_equal(X_t[1], X_t[0] ** 2)
    seen = np.concatenate([X_t[0] for X_t, _ in batches])
    assert sorted(seen.tolist()) == list(range(m))
    assert m < 100 or seen.tolist() != list(range(m))  # shuffled


@pytest.mark.system("opt.partition")
@pytest.mark.parametrize("epoch", [1, 2])
def test_the_batches_are_the_products(epoch: int) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 148)), rng.standard_normal((1, 148))
    ours = mini_batches(X, Y, 64, np.random.default_rng((7, epoch)))  # seed 7
    loader = MemoryLoader((torch.tensor(X.T), torch.tensor(Y.T)), batch_size=64, seed=7)
    for (X_t, Y_t), (inputs, targets) in zip(ours, loader.batches(epoch), strict=True):
        np.testing.assert_array_equal(X_t, inputs.numpy().T)
        np.testing.assert_array_equal(Y_t, targets.numpy().T)


def test_the_cost_of_a_mini_batch_holds_the_penalty_of_the_whole_set() -> None:
    rng = np.random.default_rng(0)
    batch, w = noisy_labels(8, rng), rng.standard_normal((10, 1))
    plain, _, db = batch_cost(w, 0.2, batch, 0.0, 100)
    J, dw, _ = batch_cost(w, 0.2, batch, 3.0, 100)
    assert J - plain == pytest.approx(3.0 / 200 * np.sum(w**2))
    assert two_sided(lambda b: batch_cost(w, b, batch, 3.0, 100)[0], 0.2, 1e-6) == pytest.approx(db, abs=1e-8)
    for j in range(10):
        e = np.eye(10)[:, [j]]
        slope = two_sided(lambda value, e=e: batch_cost(w + value * e, 0.2, batch, 3.0, 100)[0], 0.0, 1e-6)
        assert slope == pytest.approx(dw[j, 0], abs=1e-8)


@pytest.mark.system("opt.batch")
@pytest.mark.parametrize("lambd", [0.0, 10.0])
def test_batch_gradient_descent_lowers_the_cost_at_every_step(lambd: float) -> None:
    X, Y = noisy_labels(300, np.random.default_rng(1))
    _, costs, whole = train(X, Y, 300, 0.3, 60, lambd)
    assert len(costs) == 60  # one step a pass
    assert all(after < before for before, after in pairwise(costs))
    np.testing.assert_allclose(costs[1:], whole[:-1], rtol=1e-12)


@pytest.mark.system("opt.sgd")
@pytest.mark.parametrize("seed", range(3))
def test_single_examples_make_the_cost_noisier_than_batches_of_64(seed: int) -> None:
    X, Y = noisy_labels(640, np.random.default_rng(seed))
    _, ones, _ = train(X, Y, 1, 0.05, 2, seed=seed)
    _, batches, _ = train(X, Y, 64, 0.05, 2, seed=seed)
    assert (len(ones), len(batches)) == (1280, 20)
    assert np.var(np.diff(ones)) > 10 * np.var(np.diff(batches))


@pytest.mark.system("opt.minibatch")
@pytest.mark.parametrize("seed", range(3))
def test_mini_batches_need_fewer_passes_than_batch_and_fewer_updates_than_single_examples(seed: int) -> None:
    # until J of all examples is within 2 % of the lowest, each size at its best rate of a grid
    X, Y = noisy_labels(1024, np.random.default_rng(seed))
    target = 1.02 * train(X, Y, 1024, 3.0, 400)[2][-1]
    epochs = {}
    for size, rates, limit in ((1024, (1.0, 3.0), 200), (64, (0.1, 0.3, 1.0), 20), (1, (0.003, 0.01, 0.03), 5)):
        reached = []
        for alpha in rates:
            below = np.flatnonzero(np.array(train(X, Y, size, alpha, limit)[2]) < target)
            reached.append(int(below[0]) + 1 if len(below) else limit)
        epochs[size] = min(reached)
    assert epochs[64] < epochs[1024] / 3
    assert epochs[64] * 16 < epochs[1] * 1024 / 3
    # J of mini-batches trends down, but not at every step
    _, costs, _ = train(X, Y, 64, 0.3, 10)
    assert (np.diff(costs) > 0).any()
    assert np.mean(costs[-16:]) < 0.9 * np.mean(costs[:16])
