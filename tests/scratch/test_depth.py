"""Parity: a deep tree of few gates, or one wide layer."""

from __future__ import annotations

import numpy as np
import pytest

from orthogon.scratch.depth import all_inputs, parity_counts, parity_patterns, parity_tree, xor


def test_xor() -> None:
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    np.testing.assert_array_equal(xor(a, b), [0, 1, 1, 0])


@pytest.mark.system("net.depth")
def test_eight_bits() -> None:
    X = all_inputs(8)
    assert len({tuple(column) for column in X.T}) == 256
    true = [bin(number).count("1") % 2 for number in range(256)]
    tree, gates, depth = parity_tree(X)
    np.testing.assert_array_equal(tree, true)
    assert (gates, depth) == (7, 3)
    patterns, units = parity_patterns(X)
    np.testing.assert_array_equal(patterns, true)
    assert units == 128
    counts, counting = parity_counts(X)
    np.testing.assert_array_equal(counts, true)
    assert counting == 8


@pytest.mark.parametrize("n", range(2, 11))
def test_any_number_of_bits(n: int) -> None:
    X = all_inputs(n)
    true = X.sum(axis=0) % 2
    tree, gates, depth = parity_tree(X)
    np.testing.assert_array_equal(tree, true)
    assert gates == n - 1
    assert depth == int(np.ceil(np.log2(n)))
    np.testing.assert_array_equal(parity_patterns(X)[0], true)
    assert parity_patterns(X)[1] == 2 ** (n - 1)
    np.testing.assert_array_equal(parity_counts(X)[0], true)


def test_no_pattern_can_be_spared() -> None:
    """The inputs of odd parity are two bits apart, so a unit that fires at two of them fires at an even one between."""
    X = all_inputs(6)
    odd = X[:, X.sum(axis=0) % 2 == 1]
    apart = np.abs(odd[:, :, None] - odd[:, None, :]).sum(axis=0)
    assert apart[~np.eye(odd.shape[1], dtype=bool)].min() == 2
