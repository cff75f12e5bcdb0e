"""Limits beside the one metric: what is measured, what is kept, and how they choose among runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import orthogon as og
from orthogon.api import compare
from orthogon.errors import ConfigError
from orthogon.metrics.intervals import Interval
from orthogon.run import cost
from orthogon.run.cost import COSTS, figures_of, latency_p95, limits_of

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


@pytest.mark.system("strat.satisfice")
def test_limits_and_the_direction_of_the_metric_choose_among_runs(project: Path) -> None:
    declare(project, 1, satisfice={"size_mib": "<= 1", "f1_macro": ">= 0.3"})
    declare(project, 2, satisfice={"size_mib": "<= 1", "f1_macro": ">= 0.3"})
    for order in (["1", "2"], ["2", "1"]):
        selection = compare(order, project=project).selection
        assert selection is not None
        assert selection.best == "0001"
        assert selection.ranking[1].slack["size_mib <= 1"] == -99.0
    selection = compare(["1", "2"], project=project, metric="accuracy").selection
    assert selection is not None
    assert selection.ranking[0].value == pytest.approx(1 - og.load("1", project=project).info["dev_error"])


def rewrite(project: Path, number: int, **facts: object) -> None:
    path = project / f"runs/{number:04d}/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.system("strat.satisfice")
def test_no_run_is_best_where_none_keeps_every_limit(project: Path) -> None:
    for number in (1, 2):
        declare(project, number, satisfice={"parameters": "<= 1000"})
    selection = compare(["1", "2"], project=project).selection
    assert selection is not None
    assert selection.best is None
    assert "No system keeps every limit" in selection.reason


def test_limits_that_changed_are_the_newest_run_s_and_that_is_said(project: Path) -> None:
    rewrite(project, 2, created="2999-01-01T00:00:00+00:00")
    declare(project, 1, satisfice={"size_mib": "<= 1"})
    for order in (["1", "2"], ["2", "1"]):
        selection = compare(order, project=project).selection
        assert selection is not None
        assert selection.best == "0001"  # equal in error, and the earlier
        assert "Limits are those of run 0002, the newest: none." in selection.reason
    declare(project, 1, satisfice={})
    declare(project, 2, satisfice={"parameters": "<= 1000"})
    for order in (["1", "2"], ["2", "1"]):
        selection = compare(order, project=project).selection
        assert selection is not None
        assert selection.best is None
        assert "Limits are those of run 0002, the newest: parameters <= 1000." in selection.reason


def test_a_better_run_has_the_lower_error_of_the_same_metric_and_keeps_the_limits(
    project: Path, tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    first, second = (og.load(number, project=project) for number in ("1", "2"))
    assert (first.better_run(), second.better_run()) == (None, None)
    rewrite(project, 2, dev_error=0.01)
    second = og.load("2", project=project)
    assert (first.better_run(), second.better_run()) == ("0002", None)
    declare(project, 1, satisfice={"size_mib": "<= 1"})
    declare(project, 2, satisfice={"size_mib": "<= 1"})
    assert (first.better_run(), second.better_run()) == (None, "0001")  # run 2 has 100 MiB
    code, out, _ = cli("predict", project / "new.csv", "-o", tmp_path / "answers.csv", "--project", project)
    assert code == 0
    assert "run 0001 is the best on dev within the limits (--run 1)" in " ".join(out.split())
    declare(project, 1, satisfice={})
    rewrite(project, 2, metric="log_loss")
    assert first.better_run() is None


class Watch:
    """A clock that a fake network moves on by what its next call takes, or, like an accelerator, the waiting for it."""

    def __init__(self, seconds: np.ndarray, late: bool = False) -> None:
        self.now, self.owed, self.late = 0.0, 0.0, late
        self.seconds = iter(seconds)
        self.calls = 0

    def __call__(self) -> float:
        return self.now

    def network(self, x: torch.Tensor) -> None:
        self.calls += 1
        seconds = 1.0 if self.calls <= cost.WARM_UP else next(self.seconds)  # the first calls are slow
        if self.late:
            self.owed += seconds
        else:
            self.now += seconds

    def wait(self) -> None:
        self.now, self.owed = self.now + self.owed, 0.0


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(0.001, 300), (0.04, 250), (1.0, 100)],
    ids=["all", "what the time allows", "never fewer than 100"],
)
def test_latency_is_taken_from_enough_warm_calls(seconds: float, calls: int) -> None:
    watch = Watch(np.full(1000, seconds))
    found = latency_p95(watch.network, (torch.zeros(1),), torch.device("cpu"), watch)
    assert watch.calls == cost.WARM_UP + found.n
    assert abs(found.n - calls) <= 1  # sums of floats
    assert (found.value, found.low, found.high) == pytest.approx((1000 * seconds,) * 3)


def test_the_percentile_and_its_interval_are_order_statistics() -> None:
    # 300 calls of 1..300 ms in a random order. p95: the 285th. Of Binomial(300, 0.95), mean 285, sd 3.77: at most 2.5 %
    # below 277 and above 292, so the 277th and the 293rd smallest enclose the true percentile.
    order = np.random.default_rng(0).permutation(300) + 1
    cost_of_a_call = order / 1e3 / 1e4  # in all within the time allowed
    watch = Watch(cost_of_a_call)
    found = latency_p95(watch.network, (torch.zeros(1),), torch.device("cpu"), watch)
    assert [round(1e4 * figure) for figure in (found.low, found.value, found.high)] == [277, 285, 293]


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_holds_the_true_percentile_as_often_as_it_says(seed: int) -> None:
    generator, held, rounds = np.random.default_rng(seed), 0, 100
    true = 1000 * -np.log(0.05) / 1e4  # p95 of an exponential with mean 1e-4 s, in ms
    for _ in range(rounds):
        watch = Watch(generator.exponential(1e-4, 300))
        found = latency_p95(watch.network, (0,), torch.device("cpu"), watch)
        held += found.low <= true <= found.high
    assert held >= 88  # 95.6 expected, sd 2.1


def test_an_accelerator_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(np.full(300, 0.002), late=True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: watch.wait())
    found = latency_p95(watch.network, (torch.zeros(1),), torch.device("cuda"), watch)
    assert found.value == pytest.approx(2.0)
