"""A training that ended before its end says so, on the screen, in the report, and in what it offers next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import orthogon as og
from orthogon.api import train
from orthogon.errors import ConfigError
from orthogon.report.page import page
from orthogon.report.terminal import screen


def shown(run: og.Run) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(screen(run.report_data()))
    return capture.get()


@pytest.fixture
def noise(tmp_path: Path) -> str:
    """A target that no network can tell from its input: dev loss rises, train error stays high."""
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.normal():.3f},{'ab'[rng.integers(2)]}" for _ in range(120)]
    (tmp_path / "noise.csv").write_text("\n".join(["u,v,y", *rows]) + "\n")
    return str(tmp_path / "noise.csv")


def test_what_lost_its_patience_says_so_and_is_offered_no_longer_training(noise: str, tmp_path: Path) -> None:
    sets = ["training.patience=1", "training.steps=400", "training.evaluate_every=2", "training.lr=0.3"]
    run = og.start(noise, target="y", sets=sets, project=tmp_path / "p")
    assert run.info["why"] == "patience"
    told = f"Stopped early at {run.info['steps']} of 400 updates; dev loss was lowest at {run.info['best_step']}."
    assert told in shown(run)
    assert told in page(run.report_data())
    assert "longer training" not in [step.knob for step in og.next_steps(run, k=9)]


def test_what_its_minutes_cut_short_says_so_and_is_offered_more(
    noise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orthogon.training.budget.Budget._fitting", lambda self, step, update: (3, True))
    monkeypatch.setattr("orthogon.training.plan.TIMED_UPDATES", 1)
    run = og.start(noise, target="y", minutes=0.5, project=tmp_path / "p")
    assert run.info["why"] == "budget"
    planned = run.info["planned_steps"]
    assert planned > 3
    told = f"The budget of 0.5 minutes cut it at 3 of {planned:,} updates."
    assert told in shown(run)
    assert told in page(run.report_data())
    first = og.next_steps(run)[0]
    assert first.knob == "longer training"
    assert first.overrides == {"training.minutes": 1.0}
    assert first.reason == f"{told} Give it more."
    assert told in og.load("1", project=tmp_path / "p").to_dict()["steps"][0]["reason"]


def test_what_came_to_its_end_says_nothing(noise: str, tmp_path: Path) -> None:
    run = og.start(noise, target="y", sets=["training.steps=4"], project=tmp_path / "p")
    assert run.ending() is not None
    assert str(run.ending()) == ""
    assert "updates" not in shown(run)


def test_minutes_take_the_place_of_the_length_a_config_has(
    noise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orthogon.training.budget.Budget._fitting", lambda self, step, update: (3, True))
    place, told = tmp_path / "p", []
    made = og.start(noise, target="-1", sets=["training.steps=4"], project=place)
    ways = [
        lambda: train(base="1", minutes=0.5, project=place, listen=told.append),
        lambda: train(minutes=0.5, project=place, listen=told.append),
        lambda: og.start(noise, target="-1", minutes=0.5, project=place, listen=told.append),  # a second time
    ]
    for way in ways:
        told.clear()
        run = way()
        assert (run.info["why"], run.info["steps"]) == ("budget", 3)
        length = {key: run.config["training"][key] for key in ("epochs", "steps", "minutes")}
        assert length == {"epochs": None, "steps": None, "minutes": 0.5}
        (said,) = [event["message"] for event in told if event.get("code") == "minutes-instead"]
        assert said == "0.5 minutes take the place of training.steps for this run"
    assert made.config["training"]["steps"] == 4
    with pytest.raises(ConfigError, match="both set"):
        train(base="1", minutes=0.5, sets=["training.epochs=2"], project=place)


def test_a_sum_that_gives_the_target_away_is_the_first_step(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = rng.integers(0, 100, (300, 2))
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{a + b}\n" for a, b in parts))
    run = og.start(str(tmp_path / "t.csv"), target="y", sets=["training.steps=4"], project=tmp_path / "p")
    assert any('"a" + "b" is the target' in leak for leak in run.giveaways())
    run._diagnosis = replace(run.diagnose(), primary="healthy")
    (step,) = og.next_steps(run)
    assert 'data.ignore=["a", "b"]' in step.reason
    text = shown(run)
    assert "leave out what gives the target away" in text
    assert "the error on new examples is higher" in text
    assert "columns give the target away" in page(run.report_data())
