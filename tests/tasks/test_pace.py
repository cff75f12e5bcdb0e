"""Side and regime suit a budget, by what a picture costs on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.data.images import ArrayImages
from orthogon.models.mobilenet_v2 import mobilenet_v2
from orthogon.project import Project
from orthogon.tasks import image_classification
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig
from orthogon.tasks.pace import Costs, costs_of, in_time

SIDES = (224, 192, 160, 128, 96)
COSTS = {"last-4": Costs(0.010, 0.008), "head": Costs(0.008, 0.008)}  # seconds a picture of 128 pixels


@pytest.mark.parametrize(
    ("n", "minutes", "chosen"),
    [
        # 3 passes of (10 + 8/4) ms at 128 px: 36 ms a picture, in 0.8 of the budget
        (1_400, 1.05, (128, "last-4")),  # 50.4 s of 50.4
        (1_400, 1.04, (96, "last-4")),
        (1_400, 5.0, (224, "last-4")),  # times (224 / 128)²: 154 s of 240
        (1_400, 2.0, (160, "last-4")),  # 78.8 s of 96; 192: 113 s
        # one look of 8 ms at each picture and a quarter more of dev, in half of the budget
        (10_000, 2.0, (96, "head")),  # 56 s of 60; 128: 100 s
        (100_000, 2.0, (96, "head")),  # nothing fits
    ],
)
def test_the_largest_side_at_which_enough_passes_fit(n: int, minutes: float, chosen: tuple[int, str]) -> None:
    assert in_time(n, SIDES, ["last-4", "head"], 60 * minutes, COSTS.__getitem__) == chosen


def test_what_is_given_is_kept() -> None:
    assert in_time(1_400, [224], ["last-4", "head"], 60, COSTS.__getitem__) == (224, "head")
    assert in_time(1_400, [224], ["last-4"], 60, COSTS.__getitem__) == (224, "last-4")


def ticking(seconds: float) -> Callable[[], float]:
    readings = iter(range(10**6))
    return lambda: next(readings) * seconds


def test_a_picture_is_timed_by_the_clock_and_leaves_no_trace() -> None:
    def build() -> nn.Module:
        return mobilenet_v2(num_classes=3)

    torch.manual_seed(0)
    state = torch.get_rng_state()
    found = costs_of(build, "last-2", 3, ticking(1.6))
    assert torch.equal(torch.get_rng_state(), state)
    assert found == Costs(pytest.approx(0.1), pytest.approx(0.1))  # type: ignore[arg-type]
    assert found.at(64).train == pytest.approx(0.025)


def photos(n: int = 8) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 100, 100, 3), dtype=np.uint8)
    return ArrayImages(pixels, np.array(["cat", "dog"] * (n // 2)))


def suggested(minutes: float | None, **settings: Any) -> dict[str, Any]:
    task = ImageClassification(
        ImageClassificationConfig(network="mobilenet_v2", weights="mobilenet_v2_imagenet", **settings)
    )
    task.minutes, task.clock = minutes, ticking(16.0)  # a second a picture
    return task.suggest(photos())


def test_a_short_budget_makes_the_pictures_smaller() -> None:
    assert suggested(None)["task.size"] == 128
    assert suggested(1.0)["task.size"] == 128  # 8 looks of 1.25 s in 30 s
    assert suggested(0.2)["task.size"] == 96  # 8 of 0.7 s in 6 s
    assert suggested(0.2, size=160)["task.size"] == 160
    assert suggested(0.2, transfer="all")["task.transfer"] == "all"
    assert suggested(1.0)["training.patience"] == 20
    assert "training.patience" not in suggested(None)


def test_the_project_tells_the_task_its_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float | None, Any]] = []
    own = ImageClassification.suggest

    def suggest(self: ImageClassification, train: Any) -> dict[str, Any]:
        seen.append((self.minutes, self.clock))
        return own(self, train)

    monkeypatch.setattr(image_classification.ImageClassification, "suggest", suggest)
    project = Project.create({"data": {"source": "digits"}, "training": {"minutes": 3}}, tmp_path / "p")
    clock = ticking(1.0)
    project.prepare(project.config(), clock=clock)
    assert seen[0] == (3.0, clock)
