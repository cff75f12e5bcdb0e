"""Suspect labels: confident learning by hand and against a plain second implementation, and planted wrong labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthogon.project.trial import margins
from orthogon.strategy import labels as suspects


def test_the_confident_joint_by_hand():
    """Two classes. Thresholds: (0.9 + 0.8 + 0.1)/3 = 0.6 for 0, (0.7 + 0.9)/2 = 0.8 for 1.

    Rows 0 and 1 reach 0's threshold, row 2 (labelled 0) and row 4 reach 1's, row 3 (0.7 < 0.8) reaches none.
    Counts [[2, 1], [0, 1]]; the labels are 3 and 2, so the second row is scaled to [0, 2].
    """
    p1 = np.array([0.1, 0.2, 0.9, 0.7, 0.9])
    probs, labels = np.stack([1 - p1, p1], axis=1), np.array([0, 0, 0, 1, 1])
    assert suspects.thresholds(labels, probs) == pytest.approx([0.6, 0.8])
    assert suspects.confident_joint(labels, probs).tolist() == [[2, 1], [0, 2]]


def plain_joint(labels, probs):
    """The same, example by example."""
    classes = range(probs.shape[1])
    limits = [np.mean([p[k] for p, y in zip(probs, labels, strict=True) if y == k]) for k in classes]
    counts = np.zeros((len(classes), len(classes)))
    for p, y in zip(probs, labels, strict=True):
        reached = [k for k in classes if p[k] >= limits[k] - 1e-6]
        if reached:
            counts[y, max(reached, key=lambda k: p[k])] += 1
    for k in classes:
        counts[k, k] = max(counts[k, k], 1)
    return counts


@st.composite
def answered(draw):
    seed, n, c = draw(st.integers(0, 10_000)), draw(st.integers(20, 120)), draw(st.integers(2, 5))
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(c), rng.integers(0, c, n - c)])
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), labels] += draw(st.sampled_from([0.0, 1.0, 3.0]))
    probs = np.exp(logits)
    return labels, probs / probs.sum(axis=1, keepdims=True)


@given(answered())
def test_the_confident_joint_against_the_plain_one(given_):
    labels, probs = given_
    joint, plain = suspects.confident_joint(labels, probs), plain_joint(labels, probs)
    totals = np.bincount(labels)
    assert (joint.sum(axis=1) == totals).all()
    assert np.abs(joint - plain / plain.sum(axis=1, keepdims=True) * totals[:, None]).max() < 1


@given(answered())
def test_suspects_follow_the_examples_and_the_classes_names(given_):
    """Another order of examples or of classes gives the same suspects (equal probabilities aside)."""
    labels, probs = given_
    found = suspects.find(labels, probs)
    order = np.random.default_rng(0).permutation(len(labels))
    assert np.array_equal(suspects.find(labels[order], probs[order]), found[order])
    assert not found[probs.argmax(axis=1) == labels].any()
    new = np.random.default_rng(1).permutation(probs.shape[1])  # new[k]: the old class now called k
    renamed = suspects.find(np.argsort(new)[labels], probs[:, new])
    assert abs(int(renamed.sum()) - int(found.sum())) <= probs.shape[1]  # ties of the rounding may fall elsewhere


@pytest.mark.system("strat.label-noise")
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_planted_wrong_labels_come_first(share):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 6, 1500)
    logits = rng.normal(size=(1500, 6))
    logits[np.arange(1500), truth] += 5
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows, new = suspects.plant(truth, share, 6)
    labels = truth.copy()
    labels[rows] = new
    assert len(rows) == round(share * 1500)
    assert (new != truth[rows]).all()
    found = suspects.precision(suspects.order(labels, probs), rows, len(rows), share)
    assert found.value > 0.85
    assert found.planted == len(rows)
    shuffled = suspects.precision(rng.permutation(1500), rows, len(rows), share)
    assert shuffled.value < 0.2


def test_two_witnesses_see_more_than_one():
    """Each alone is blurred by noise of its own; their mean place is less so."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    rows, new = suspects.plant(truth, 0.1, 3)
    labels = truth.copy()
    labels[rows] = new
    wrong = np.isin(np.arange(3000), rows)
    logits = rng.normal(size=(3000, 3))
    logits[np.arange(3000), truth] += 2.0
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    margin = rng.normal(size=3000) - 2.0 * wrong
    alone = suspects.precision(suspects.order(labels, probs), rows, len(rows), 0.1)
    both = suspects.precision(suspects.order(labels, probs, margin), rows, len(rows), 0.1)
    assert both.value > alone.value + 0.03


def test_the_last_examples_of_a_class_are_never_all_suspected():
    probs = np.tile([0.05, 0.95], (40, 1))
    labels = np.array([0] * 8 + [1] * 32)
    assert suspects.find(labels, probs)[:8].sum() <= 8 - suspects.FEWEST_LEFT
    assert not suspects.find(labels[4:], probs[4:]).any()


def test_margins_by_hand():
    """The softmax takes nothing from a difference of logits: (2, 0.5, 0) with label 1 has 0.5 - 2; no label, NaN."""
    logits = np.array([[2.0, 0.5, 0.0], [2.0, 0.5, 0.0], [1.0, 0.0, 0.0]])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = margins(probs, np.array([1, 0, -1]))
    assert found[:2] == pytest.approx([-1.5, 1.5])
    assert np.isnan(found[2])
