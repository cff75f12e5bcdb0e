"""Limits beside the one metric: what is measured, what is kept, and how they choose among runs."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import orthogon as og
from orthogon.api import compare
from orthogon.errors import ConfigError
from orthogon.metrics.intervals import Interval
from orthogon.run.cost import COSTS, figures_of, limits_of

KEPT = Path(__file__).parents[1] / "fixtures/iris_format_1"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two runs that differ in what they cost."""
    place = Path(shutil.copytree(KEPT, tmp_path / "project"))
    second = Path(shutil.copytree(place / "runs/0001", place / "runs/0002"))
    info = json.loads((second / "run.json").read_text())
    info["id"], info["cost"]["size_mib"] = "0002", 100.0
    (second / "run.json").write_text(json.dumps(info))
    return place


def declare(project: Path, number: int, **metrics: object) -> og.Run:
    path = project / f"runs/{number:04d}/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["metrics"] |= metrics
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return og.load(str(number), project=project)


def test_every_cost_and_every_metric_is_a_figure(project: Path) -> None:
    run = og.load("1", project=project)
    found = figures_of(run, [*COSTS, "recall_macro"])
    assert found["parameters"] == 1638
    latency, recall = found["latency_ms"], found["recall_macro"]
    assert isinstance(latency, Interval)
    assert latency.low <= latency.value <= latency.high
    assert isinstance(recall, Interval)
    assert recall.value == pytest.approx(run.task().metrics()["recall_macro"].value(run.scores("dev")))
    with pytest.raises(ConfigError, match=r'"latncy_ms" is not measured.*\n.*Did you mean "latency_ms"'):
        figures_of(run, ["latncy_ms"])


def test_a_limit_is_kept_by_the_whole_interval(project: Path) -> None:
    run = declare(project, 1, satisfice={"recall_macro": ">= 0.5", "accuracy": ">= 0.8", "parameters": "< 1638"})
    said = {kept.limit.name: kept.kept for kept in limits_of(run)}
    assert run.metric.error(run.scores("dev")) < 0.2  # the value keeps accuracy's limit, its interval does not
    assert said == {"recall_macro": True, "accuracy": False, "parameters": False}
    assert [str(kept) for kept in limits_of(run)][-1] == "parameters < 1638 not kept: 1,638"
    assert run.report_data().limits[0][1]


def test_limits_and_the_direction_of_the_metric_choose_among_runs(project: Path) -> None:
    declare(project, 1, satisfice={"size_mib": "<= 1", "f1_macro": ">= 0.3"})
    declare(project, 2, satisfice={"size_mib": "<= 1", "f1_macro": ">= 0.3"})
    for order in (["1", "2"], ["2", "1"]):
        assert compare(order, project=project).selection.best == "0001"
    path = project / "runs/0001/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "accuracy"}))
    selection = compare(["1", "2"], project=project).selection
    assert selection.ranking[0].value == pytest.approx(1 - og.load("1", project=project).info["dev_error"])
