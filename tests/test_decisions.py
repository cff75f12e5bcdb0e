"""The examples of decisions run, and show what they say: a fast form of seconds, the whole where it takes minutes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "examples/decisions"


@pytest.fixture
def load() -> Iterator[object]:
    """A script of the folder as a module."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sys.path.insert(0, str(FOLDER))
    loaded = []

    def one(name: str) -> ModuleType:
        loaded.append(name)
        return importlib.import_module(name)

    yield one
    sys.path.remove(str(FOLDER))
    for name in (*loaded, "fit"):
        sys.modules.pop(name, None)
    torch.set_num_threads(threads)


@pytest.mark.system("strat.synthesis")
def test_a_diverse_pool_of_noise_beats_one_clip_on_unseen_noise(load) -> None:
    found = load("synthesis").experiment(seed=7, num_train=160, num_test=160)
    (one, little), (many, much) = found["one noise clip"], found["a hundred"]
    assert many > one + 0.1
    assert [each.code for each in little.findings()] == ["synthesis-low-diversity"]
    assert much.findings() == []


@pytest.mark.system("strat.e2e")
def test_the_pipeline_wins_at_small_m_and_the_gap_shrinks(load) -> None:
    found = load("end_to_end").experiment(seed=7, sizes=(50, 400))
    gaps = [pipeline - whole for pipeline, whole in found.values()]
    assert gaps[0] > gaps[1] > 0
    assert gaps[0] > 0.4


@pytest.mark.system("strat.pipe-speech")
def test_three_chains_from_sound_to_words_run_and_the_longer_ones_win_with_little_data(load) -> None:
    found = load("speech_chains").experiment(seed=7, sizes=(20,), num_test=60)[20]
    assert min(found["features"], found["hybrid"]) > found["end to end"] + 0.3


@pytest.mark.system("strat.wakeword-metric")
def test_the_threshold_tuned_on_dev_keeps_its_limit_and_hears_most(load) -> None:
    chosen, recall, _ = load("wakeword").experiment(seed=7, hours=0.3, num_words=80)
    assert chosen.per_day <= 1
    assert chosen.recall.value > 0.6
    assert recall > 0.6


@pytest.mark.system("strat.pipe-drive")
def test_a_learned_detector_and_a_coded_planner_drive(load) -> None:
    found = load("driving").experiment(seed=7, num_train=600)
    assert found["perfect eyes, planner"] == (1.0, 0)
    on, hits = found["learned eyes, planner"]
    assert on > 0.97
    assert hits <= 4 < found["straight on"][1]


@pytest.mark.slow
@pytest.mark.system("strat.transfer")
def test_head_only_beats_all_of_it_beats_scratch_by_five_points_each(load) -> None:
    runs = [load("transfer").experiment(seed) for seed in range(6)]
    head, whole, scratch = (np.mean([found[way] for found, _ in runs]) for way in runs[0][0])
    assert head >= whole + 0.05
    assert whole >= scratch + 0.05
    assert all(frozen for _, frozen in runs)


@pytest.mark.slow
@pytest.mark.system("strat.pipe-face")
def test_finding_the_face_first_beats_one_network_at_equal_labels(load) -> None:
    runs = [load("faces").experiment(seed) for seed in range(3)]
    assert all(found["find, then name"] > found["one network"] + 0.2 for found in runs)
    assert all(found["found"] > 0.9 for found in runs)


@pytest.mark.slow
@pytest.mark.system("strat.synthesis", "strat.e2e", "strat.pipe-speech")
def test_the_tables_of_the_page_hold_over_seeds(load) -> None:
    noise = [load("synthesis").experiment(seed) for seed in range(4)]
    assert all(found["a hundred"][0] > found["one noise clip"][0] + 0.1 for found in noise)
    sums = [load("end_to_end").experiment(seed) for seed in range(4)]
    gaps = [np.mean([found[m][0] - found[m][1] for found in sums]) for m in sums[0]]
    assert gaps == sorted(gaps, reverse=True)
    chains = [load("speech_chains").experiment(seed) for seed in range(3)]
    whole = [np.mean([found[m]["end to end"] for found in chains]) for m in (20, 200, 2000)]
    assert whole[0] < 0.3 < whole[1] < 0.9 < whole[2]
