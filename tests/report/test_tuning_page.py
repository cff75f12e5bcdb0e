"""The page of a study: whole with every kind of trial, and with none; nothing of it is run or fetched."""

import re
from dataclasses import replace

import pytest

from orthogon.report.tuning import page
from orthogon.strategy.tuning import Row, Tuning


def study(number: int = 14) -> Tuning:
    rows = [
        Row(
            i,
            "finished",
            {"training.lr": 10 ** (-4 + i / 5), "task.cell": "lstm" if i % 2 else "gru", "task.depth": 1 + i % 3,
             "training.momentum": 0.8 + 0.01 * i, "training.weight_decay": None if i == 0 else 0.01},
            0.3 - 0.01 * i,
            0.9 - 0.02 * i,
            1.0,
            1000,
            curve={"9": 1.2, "18": 1.0, "27": 0.9 - 0.02 * i},
        )
        for i in range(number)
    ]  # fmt: skip
    rows += [
        Row(number, "stopped", rows[1].values, curve={"9": 3.0}, why="stopped after 33%: dev log-loss behind"),
        Row(number + 1, "refused", rows[1].values, why="breaks size_mib <= 1: 3.2", violation=2.2),
        Row(number + 2, "failed", rows[1].values, why="the loss is nan at <step> 3"),
    ]  # fmt: skip
    return Tuning(
        "0001", "sobol", "17 trials", 0, "error", "error rate", "%", "2026-01-02T03:04", "f", 100, rows,
        best=number - 1, overrides=rows[number - 1].values, corrected=0.19, optimism=0.02, gain=(0.13, 0.05, 0.2),
        expected=0.11, importance={"training.lr": 0.7, "task.cell": 0.1}, walls={"training.lr": "training.lr=1e-4..10"},
        ranges={"training.lr": "0.0001 to 1, log scale", "task.cell": "lstm, gru", "task.depth": "1 to 3, whole",
                "training.momentum": "0.8 to 0.99, log scale of 1 - value",
                "training.weight_decay": "0.0001 to 1, log scale"},
        so_far=[[0.3, 0.2, 0.4]] * number,
    )  # fmt: skip


def test_the_page_shows_what_was_found_and_how_every_trial_learned() -> None:
    html = page(study())
    for part in (
        "Study 0001: sobol",
        "Trial 13 is best",
        "expect 19.0 % on new examples",
        "better by 13.0 points",
        "orthogon tune --set training.lr=1e-4..10",
        "14 finished, 1 stopped, 1 refused, 1 failed",
        "stopped after 33%",
        "task.cell",
    ):
        assert part in html, part
    assert html.count("<svg") >= 8  # so far, parallel, five parameters, curves
    assert "<script src" not in html
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert len(re.findall(r'id="([^"]+)"', html)) == len(set(re.findall(r'id="([^"]+)"', html)))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": (), "best": None, "gain": None, "corrected": None, "walls": {}, "importance": {}},
        {
            "best": None,
            "reason": "No trial keeps every limit; trial 3 comes nearest.",
            "limits": ("size_mib <= 1",),
            "so_far": (),
        },
        {"best": 0, "overrides": {}, "gain": None, "walls": {}},
        {"stale": "These settings were tuned on 2026-01-02, on other data than there is now."},
    ],
)
def test_whatever_came_of_it_has_a_page(change: dict) -> None:
    tuning = replace(study(), **change)
    html = page(tuning)
    assert tuning.verdict().split(":")[0] in html
    assert str(tuning)
