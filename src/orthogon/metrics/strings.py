"""Metrics of string answers, over the records "wrong" (n,) 0/1, "edits" (n,) and "length" (n,), truth's characters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from orthogon.metrics.score import Additive, Metric, Records, additive_metric, mean_metric


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and substitutions that turn a into b (strings, or lists of words).

    One column of the dynamic programme is held as two bit vectors: where the distance rises and where it falls.
    Source: Myers 1999, in the form of Hyyrö 2003, for arbitrary length by Python's integers.
    """
    if not len(a):
        return len(b)
    where: dict[Hashable, int] = {}
    for i, symbol in enumerate(a):
        where[symbol] = where.get(symbol, 0) | 1 << i
    full, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    rises, falls, distance = full, 0, len(a)
    for symbol in b:
        equal = where.get(symbol, 0)
        diagonal = (((equal & rises) + rises) ^ rises) | equal | falls
        right_up = falls | (~(diagonal | rises) & full)
        right_down = rises & diagonal
        distance += bool(right_up & last) - bool(right_down & last)
        right_up = (right_up << 1) | 1
        right_down <<= 1
        rises = (right_down | ~(diagonal | right_up)) & full
        falls = right_up & diagonal & full
    return distance


def _per_character(records: Records) -> Additive:
    return Additive(np.stack([records["edits"], records["length"]], axis=1).astype(np.float64))


def _normalised(records: Records) -> Additive:
    edits = np.asarray(records["edits"], dtype=np.float64)
    longest = np.maximum(records["length"], records.get("answer_length", edits))
    share = np.minimum(edits / np.maximum(longest, 1), 1.0)
    return Additive(np.stack([share, np.ones_like(share)], axis=1))


def string_metrics() -> dict[str, Metric]:
    """Every metric of string answers, by name; the share of strings not exactly right comes first.

    edit_distance divides the edits of each string by the longer of truth and answer (record "answer_length" (n,);
    without it the answer is taken to be no longer than truth or edits) and averages over strings; character_error
    pools all edits and characters, and can exceed 1.
    """
    metrics = [
        mean_metric("error", "strings not exactly right", "wrong", kind="proportion", unit="%"),
        mean_metric("exact_match", "exact match", "wrong", kind="proportion", higher_is_better=True, unit="%"),
        replace(additive_metric("character_error", "character error rate", _per_character, unit="%"), exceeds_one=True),
        additive_metric("edit_distance", "normalised edit distance", _normalised, unit="%"),
    ]
    return {metric.name: metric for metric in metrics}
