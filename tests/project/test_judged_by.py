"""The one metric a project declares: it judges, ranks, and is refused or told apart where errors do not compare."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import orthogon as og
from orthogon.api import compare, resume
from orthogon.errors import ConfigError, OrthogonError, RunError, UsageError
from orthogon.project.project import Project
from orthogon.run.folder import Run

QUICK = ("training.epochs=4", "training.preflight=false", "task.members=1", "task.width=16")
Cli = Callable[..., tuple[int, str, str]]


def write_table(folder: Path) -> Path:
    """t.csv: a is told by x but is rare and noisy, so that its probability seldom reaches 1/2; b is a second label."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    rare = x[:, 0] + 0.8 * rng.normal(size=600) > 1.3
    lines = [
        f"{u:.3f},{v:.3f},{'bad' if r else 'good'},{'yes' if v > 0 else 'no'}"
        for (u, v), r in zip(x, rare, strict=True)
    ]
    (folder / "t.csv").write_text("\n".join(["x,z,a,b", *lines]) + "\n")
    return folder / "t.csv"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """t.csv, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_table(tmp_path).name


def start(table: str, *sets: str, target: str | list[str] = "a", project: Path | None = None) -> og.Run:
    return og.start(table, target=target, sets=[*QUICK, *sets], project=project)


@pytest.mark.parametrize("metric", ["hamming", "f1_macro", "recall_b"])
def test_two_yes_no_targets_are_judged_by_any_of_their_metrics(table: str, metric: str) -> None:
    run = start(table, f"metrics.optimise={metric}", target=["a", "b"])
    assert run.finished
    assert run.info["metric"] == metric
    assert "threshold" not in run.info
    assert run.info["dev_error"] == pytest.approx(run.task().metrics()[metric].error(run.scores("dev")))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two runs, judged by the error rate, which nobody named, and by F1."""
    folder = tmp_path_factory.mktemp("two")
    made = write_table(folder)
    start(str(made), project=folder / "p")
    start(str(made), "metrics.optimise=f1", "metrics.positive=bad", project=folder / "p")
    return folder / "p"


@pytest.mark.system("strat.single-metric")
def test_runs_judged_by_different_metrics_are_not_ranked(two: Path) -> None:
    first, second = (og.load(number, project=two) for number in ("1", "2"))
    assert first.config["metrics"]["optimise"] == "error"  # the task's own, declared where all can see it
    assert (first.info["metric"], second.info["metric"]) == ("error", "f1")
    precision, recall = (second.task().metrics()[name].value(second.scores("dev")) for name in ("precision", "recall"))
    assert second.info["dev_error"] == pytest.approx(1 - 2 / (1 / precision + 1 / recall))

    refused = [compare(order, project=two) for order in (["1", "2"], ["2", "1"])]
    assert [each.selection for each in refused] == [None, None]
    assert refused[0].refused == refused[1].refused
    assert 'not compare (0001 by error rate, 0002 by 1 - F1 of "bad")' in refused[0].refused
    assert refused[0].refused.endswith("Judge all by one: orthogon compare 1 2 --metric error")
    assert [row["error"] for row in refused[0].rows] == [first.info["dev_error"], second.info["dev_error"]]
    assert "difference" not in refused[0].rows[1]


@pytest.mark.system("strat.single-metric")
def test_runs_are_ranked_by_a_metric_named_for_all_in_any_order(two: Path) -> None:
    ranked = [compare(order, project=two, metric="log_loss").selection for order in (["1", "2"], ["2", "1"])]
    assert ranked[0] is not None
    assert ranked[0] == ranked[1]
    assert ranked[0].metric == "log_loss"
    runs = [og.load(number, project=two) for number in ("1", "2")]
    losses = {run.id: run.task().metrics()["log_loss"].value(run.scores("dev")) for run in runs}
    assert {place.name: place.value for place in ranked[0].ranking} == pytest.approx(losses)


def test_errors_of_different_metrics_are_not_set_against_each_other(two: Path, cli: Cli) -> None:
    first, second = (og.load(number, project=two) for number in ("1", "2"))
    assert first.info["dev_error"] < second.info["dev_error"]
    assert second.better_run() is None
    assert "metrics.optimise error → f1" in second.changes()
    assert 'do not compare, error rate then and 1 - F1 of "bad" now' in second.changes()
    assert [row["error"] for row in second.report_data().logbook] == ["of error", second.info["dev_error"]]
    code, out, _ = cli("runs", "--project", two)
    assert code == 0
    assert [line.split()[:5] for line in out.splitlines()[1:3]] == [
        [run.id, "finished", *run.metric.show(run.info["dev_error"]).split(), run.metric.name]
        for run in (first, second)
    ]


def test_the_verb_compare_takes_a_metric(two: Path, cli: Cli) -> None:
    code, out, _ = cli("compare", "1", "2", "--project", two)
    assert (code, "Not ranked" in out, 'F1 of "bad"' in " ".join(out.split())) == (0, True, True)
    code, out, _ = cli("compare", "1", "2", "--metric", "error", "--project", two)
    assert (code, "has the best error" in out) == (0, True)
    code, _, err = cli("compare", "1", "2", "--metric", "f1_macr", "--project", two)
    assert code == 2
    assert '--metric: "f1_macr" is not a metric of run 0001' in err
    assert 'Did you mean "f1_macro"?' in err


def test_judging_by_another_metric_leaves_the_sealed_diagnosis(two: Path) -> None:
    run = og.load("1", project=two)
    told = run.diagnose().to_dict()
    kept = (run.derived / "diagnosis.json").read_text()
    assert "log-loss" in compare(["1", "2"], project=two, metric="log_loss").write().read_text()
    assert (run.derived / "diagnosis.json").read_text() == kept
    assert og.load("1", project=two).diagnose().to_dict() == told


def test_the_class_that_f1_is_about_can_be_chosen(table: str) -> None:
    run = start(table, "metrics.optimise=f1", "metrics.positive=bad")
    dev = run.scores("dev")
    truth, answer = (np.asarray(run.task().class_names())[dev.records[name]] for name in ("truth", "answer"))
    hits = ((truth == "bad") & (answer == "bad")).sum()
    f1 = 2 * hits / ((truth == "bad").sum() + (answer == "bad").sum())
    assert run.metric.title == 'F1 of "bad"'
    assert run.info["dev_error"] == pytest.approx(1 - f1)
    threshold = run.info["threshold"]
    assert (threshold["positive"], threshold["value"] < 0.5) == (0, True)  # "bad" before "good"
    assert f"{f1:.1%}".replace("%", " %") in threshold["reason"]
    assert "apart from those it was chosen on" in threshold["reason"]
    assert f'answer is "bad" from a probability of {threshold["value"]:.3f} on' in run.report_data().moved_threshold
    assert (answer == "bad").tolist() == (dev.records["probs"][:, 0] >= threshold["value"]).tolist()
    for name in ("report.html", "MODEL_CARD.md"):
        path = run.write_report().parent / name if name == "report.html" else run.folder / name
        assert "from a probability of" in path.read_text(encoding="utf-8")


def test_an_exported_network_tells_the_threshold(two: Path, tmp_path: Path) -> None:
    import onnx

    run = og.load("2", project=two)
    run.export(tmp_path / "n.onnx")
    facts = {entry.key: entry.value for entry in onnx.load(tmp_path / "n.onnx").metadata_props}
    threshold = json.loads(facts["orthogon.threshold"])
    assert threshold == {"positive": 0, "value": run.info["threshold"]["value"]}


def test_every_run_of_two_classes_stores_its_threshold(table: str) -> None:
    run = start(table, "training.epochs=25", target="b")
    assert run.info["threshold"]["metric"] == "error"
    assert run.info["threshold"]["value"] == 0.5
    assert run.info["threshold"]["num_examples"] == run.info["split_sizes"]["dev"]
    assert run.report_data().moved_threshold == ""


def test_baselines_are_judged_by_the_same_costs(table: str) -> None:
    run = start(table, "metrics.optimise=weighted_error", "metrics.class_costs={bad: 9}")
    majority = run.baselines()[0]["scores"]
    truth = np.asarray(run.task().class_names())[majority.records["truth"]]
    bad = (truth == "bad").sum()
    assert run.metric.error(majority) == pytest.approx(9 * bad / (9 * bad + (truth == "good").sum()))


REFUSED: dict[str, tuple[dict[str, Any], list[str] | str, str, str]] = {
    "positive": ({"metrics": {"positive": "bda"}}, "a", "metrics.positive", 'Did you mean "bad"?'),
    "costs": ({"metrics": {"class_costs": {"god": 2}}}, "a", "metrics.class_costs", 'Did you mean "good"?'),
    "weights": ({"training": {"class_weights": {"god": 2}}}, "a", "training.class_weights", 'Did you mean "good"?'),
    "weights of two": (
        {"training": {"class_weights": {"bad": 2}}}, ["a", "b"], "training.class_weights", "Known: no, yes."
    ),
    "costs of two": (
        {"metrics": {"class_costs": {"yes": 2}}}, ["a", "b"], "metrics.class_costs", 'metrics.optimise="f1_a"'
    ),
    "positive of two": (
        {"metrics": {"positive": "yes"}}, ["a", "b"], "metrics.positive", 'metrics.optimise="f1_a"'
    ),
    "costs of a number": ({"metrics": {"class_costs": {"1": 2}}}, "x", "metrics.class_costs", "Leave it out."),
    "weights of a number": ({"training": {"class_weights": "balanced"}}, "x", "training.class_weights", "none"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_class_that_does_not_exist_is_refused_before_a_run_is_made(table: str, case: str) -> None:
    said, target, where, remedy = REFUSED[case]
    project = Project.create({"data": {"source": str(Path(table).resolve()), "target": target}, **said})
    with pytest.raises(ConfigError) as caught:
        project.train(project.config())
    assert caught.value.where == where
    assert caught.value.what
    assert remedy in caught.value.remedy
    assert not (project.folder / "runs").exists()


def test_classes_that_look_like_numbers_and_words_that_yaml_takes(table: str) -> None:
    values = {"data": {"source": str(Path(table).resolve()), "target": "b"}}
    project = Project.create(values)
    config = project.config(["metrics.positive=1", "metrics.class_costs={0: 3}"])
    assert (config.metrics.positive, dict(config.metrics.class_costs)) == ("1", {"0": 3.0})
    assert project.config(['metrics.positive="no"']).metrics.positive == "no"
    with pytest.raises(ConfigError, match=r"metrics.positive: .*got False") as caught:
        project.config(["metrics.positive=no"])
    assert "In quotes" in caught.value.remedy


# -- a run that dies ------------------------------------------------------------------------------------------------


def broken(error: Exception) -> Callable[..., None]:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    return fail


def test_a_run_that_dies_of_a_fault_of_ours_is_failed_and_says_why(table: str, cli: Cli) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_network", broken(ValueError("operands (60,) and (60,2)")))
        with pytest.raises(ValueError, match="operands"):
            start(table)
    (row,) = json.loads(cli("runs", "--json")[1])["runs"]
    assert row["status"] == "failed"
    assert "resume" not in cli("runs")[1]
    with pytest.raises(RunError, match=r"failed and cannot be resumed: ValueError: operands \(60,\) and \(60,2\)"):
        resume("1")
    with pytest.raises(OrthogonError, match=r"failed: ValueError: operands"):
        og.load("1")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), MemoryError(), RuntimeError("out of memory")]
)
def test_what_the_machine_lacked_leaves_a_run_to_resume(table: str, error: Exception) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_network", broken(error))
        with pytest.raises(type(error)):
            start(table)
    folder = Path("t-orthogon/runs/0001")
    assert Run(folder).status == "interrupted"
    assert type(error).__name__ in Run(folder).info["why"]
    resumed = resume()
    assert resumed.finished
    assert yaml.safe_load((folder / "config.yaml").read_text())["metrics"]["optimise"] == "error"


def test_comparing_says_which_metric_is_missing_from_another_task(table: str) -> None:
    start(table)
    start(table, "data.target=x")
    with pytest.raises(UsageError, match='"error" is not a metric of run 0002'):
        compare(["1", "2"], metric="error")
    found = compare(["1", "2"])
    assert found.selection is None
    assert "Train them with one metrics.optimise, on one task." in found.refused


def test_of_pictures_too_the_class_that_f1_is_about_can_be_chosen() -> None:
    from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig

    task = ImageClassification(ImageClassificationConfig(kind="image_classification"))
    task.classes = ["cat", "dog"]
    assert task.metrics()["f1"].title == 'F1 of "dog"'
    task.positive = "cat"
    assert task.metrics()["f1"].title == 'F1 of "cat"'
