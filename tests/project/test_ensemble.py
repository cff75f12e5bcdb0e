"""An ensemble of runs: what it answers, that it is a whole run, and which runs cannot be averaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import orthogon as og
from orthogon.api import Averaged
from orthogon.data.images import ArrayImages
from orthogon.errors import OrthogonError, RunError, UsageError
from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.run.folder import Run
from orthogon.tasks.image_classification import ImageClassification, ImageClassificationConfig

KEPT = Path(__file__).parents[1] / "fixtures/iris_format_1"


def another(project: Project, number: int, noise: float) -> None:
    """A further run, whose weights are those of the first with noise; measured anew."""
    folder = Path(shutil.copytree(project.folder / "runs/0001", project.folder / f"runs/{number:04d}"))
    info = json.loads((folder / "run.json").read_text()) | {"id": f"{number:04d}", "seed": number}
    (folder / "run.json").write_text(json.dumps(info))
    config = yaml.safe_load((folder / "config.yaml").read_text()) | {"seed": number}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = Run(folder)
    network, generator = run.network(), torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)
    run.save_network(network)
    examples = project.read(parse(run.config))
    for split in run.splits():
        ids = run.scores(split).ids
        answers = run.task().answers(network, examples.take(ids), ids)
        run.save_split(split, answers, run.task().score(answers, examples.take(ids)))
    run.note(dev_error=float(run.task().metrics()[info["metric"]].error(run.scores("dev"))))
    run.seal()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three runs and, as the fourth, their ensemble."""
    place = Path(shutil.copytree(KEPT, tmp_path_factory.mktemp("kept") / "project"))
    project = Project(place)
    run = project.run(1)
    project.split(project.read(parse(run.config)), run.task(), parse(run.config))
    another(project, 2, 0.25)
    another(project, 3, 0.3)
    og.ensemble([1, "2", og.load("3", project=place)], project=place)
    return place


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project"))


def test_it_answers_the_mean_of_what_its_members_answer(made: Path) -> None:
    whole = og.load("4", project=made)
    for split in ("train", "dev", "test"):
        members = [og.load(name, project=made).answers(split) for name in whole.members]
        probs = np.stack([answers.values["probs"] for answers in members])
        assert np.ptp(probs, axis=0).max() > 0.2  # they do not say the same
        np.testing.assert_allclose(whole.answers(split).values["probs"], probs.mean(axis=0), atol=1e-6)
        assert np.array_equal(whole.answers(split).ids, members[0].ids)


def test_it_is_evaluated_beside_its_members(made: Path) -> None:
    told = Averaged(og.load("4", project=made)).to_dict()
    errors = [float(og.load(name, project=made).scores("dev").records["wrong"].mean()) for name in ("1", "2", "3")]
    assert [member["value"] for member in told["members"]] == errors
    assert told["mean_member"] == pytest.approx(np.mean(errors))
    assert told["difference"]["value"] == pytest.approx(told["ensemble"]["value"] - np.mean(errors))
    assert told["difference"]["low"] < told["difference"]["value"] < told["difference"]["high"]
    assert told["ensemble"]["value"] <= told["mean_member"]


def test_it_is_whole_without_its_members_and_can_do_what_a_run_can(
    project: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = og.load("4", project=project).answers("dev").values["probs"]
    for number in (1, 2, 3):
        shutil.rmtree(project / f"runs/{number:04d}")
    monkeypatch.chdir(project)
    run = og.load("4")
    assert run.damaged_files() == []
    assert {"members/0001/task.json", "weights.safetensors"} <= set(run.info["files"])
    examples = run.examples
    assert examples is not None
    dev = examples.take(run.scores("dev").ids)
    assert np.array_equal(run.task().answers(run.network(), dev).values["probs"], before)
    assert run.diagnose().num_seeds == 1
    assert og.next_steps(run) == []
    assert run.advice_note() == "An ensemble takes no step; its members do: orthogon next 1"
    run.write_report()
    card = (run.folder / "MODEL_CARD.md").read_text()
    assert "mean of runs: 0001, 0002, 0003" in card
    assert "orthogon ensemble 1 2 3" in card
    assert run.info["cost"]["parameters"] == 3 * 1638
    code, out, err = cli("predict", project / "new.csv", "--json", "-o", "said.csv")
    assert code == 0, err
    code, out, err = cli("runs", "--json")
    (row,) = json.loads(out)["runs"]
    assert row["what"] == "mean of runs 0001, 0002, 0003"
    code, out, err = cli("export", "-o", "whole.onnx", "--json")
    assert code == 0, err
    assert json.loads(out)["largest_difference"] < 1e-5


def test_another_seed_is_not_mistaken_for_it_nor_it_for_another_seed(made: Path) -> None:
    """Its config is its first member's; the diagnosis of three seeds must not become one of four."""
    assert [og.load(name, project=made).diagnose().num_seeds for name in ("1", "2", "3")] == [3, 3, 3]
    assert og.load("4", project=made).diagnose().num_seeds == 1


def test_a_changed_weight_of_a_member_is_damage(project: Path) -> None:
    (project / "runs/0004/members/0002/task.json").unlink()
    with pytest.raises(RunError, match=r"run 0004 is damaged: members/0002/task.json is missing"):
        og.load("4", project=project)


def test_json_and_words_of_the_verb(project: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    code, out, err = cli("ensemble", "1", "2", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["run"] == "0005"
    assert [member["run"] for member in told["members"]] == ["0001", "0002"]
    assert Path(told["report"]).is_file()
    monkeypatch.chdir(project.parent)
    code, out, err = cli("ensemble", "1", "3", "--project", project.name, "--no-examples")
    assert code == 0, err
    assert f"to use it: orthogon predict NEW --run 6 --project {project.name}" in " ".join(out.split())


def wrong(project: Path, number: int, **info: Any) -> None:
    path = project / f"runs/{number:04d}/run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | info))


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        ("1", {}, "an ensemble has at least two members"),
        ("1 1", {}, "a run is named twice"),
        ("1 4", {}, r"run 0004 is an ensemble itself\nName its members instead: 1 2 3"),
        ("1 9", {}, 'there is no run "9"'),
        ("1 2", {"fingerprint": "x"}, r"run 0002 was trained on other data than run 0001\nTrain them anew"),
        ("1 2", {"splits_key": "x"}, r"run 0002 was trained on another split of the data than run 0001"),
        ("1 2", {"task": "seq2seq"}, r"run 0002 is of another task \(seq2seq, not tabular\) than run 0001"),
        ("1 2", {"metric": "log_loss"}, r"run 0002 is judged by another metric or other costs than run 0001"),
        ("1 2", {"status": "failed"}, "run 0002"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused_and_nothing_is_left(
    project: Path, names: str, change: dict[str, Any], message: str
) -> None:
    wrong(project, 2, **change)
    with pytest.raises(OrthogonError, match=message):
        og.ensemble(names.split(), project=project)
    assert sorted(path.name for path in (project / "runs").iterdir()) == ["0001", "0002", "0003", "0004"]


def test_runs_that_know_other_classes_or_take_other_inputs_are_refused(project: Path) -> None:
    path = project / "runs/0002/task.json"
    state = json.loads(path.read_text())
    state["targets"][0]["classes"][0] = "rose"
    path.write_text(json.dumps(state))
    with pytest.raises(RunError, match="run 0002 knows other classes than run 0001"):
        og.ensemble([1, 2], project=project)
    path = project / "runs/0003/task.json"
    state = json.loads(path.read_text())
    state["encoder"]["numbers"][0]["median"] = 7.0
    path.write_text(json.dumps(state))
    with pytest.raises(RunError, match=r"run 0003 takes other inputs \(numbers\) than run 0001"):
        og.ensemble([1, 3], project=project)


def test_changed_data_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project / "splits")
    with pytest.raises(RunError, match=r"its splits are gone\nAn ensemble is measured on what its members were"):
        og.ensemble([1, 2], project=project)


def test_strings_have_no_mean_and_it_says_why() -> None:
    from orthogon.tasks.seq2seq import Seq2Seq

    task = Seq2Seq(Seq2Seq.Config(kind="seq2seq"))
    with pytest.raises(UsageError, match=r"seq2seq runs have no mean: what one .*\nChoose the best of them instead"):
        task.average(torch.zeros(2, 1, 3))


# -- test-time averaging ----------------------------------------------------------------------------------------


def pictures(n: int = 40, seed: int = 0) -> ArrayImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (n, 12, 12, 3), dtype=np.uint8)
    return ArrayImages(images, np.array(["left", "right"])[np.arange(n) % 2], "pictures")


def image_task(views: str) -> ImageClassification:
    config = ImageClassificationConfig(size=12, channels=3, width=4, stages=2, network="convnet", views=views)  # type: ignore[arg-type]
    task = ImageClassification(config)
    task.fit(pictures())
    return task


@pytest.mark.system("arch.multicrop")
@pytest.mark.parametrize(("views", "looks"), [("whole", 1), ("flip", 2), ("10-crop", 10)])
def test_a_run_answers_by_the_mean_of_its_views_and_is_timed_so(tmp_path: Path, views: str, looks: int) -> None:
    from orthogon.run.cost import measure

    torch.manual_seed(0)
    task, examples = image_task(views), pictures(8)
    run = Run.create(tmp_path, {"seed": 0})
    run.save_config({"task": task.config.model_dump(mode="json"), "metrics": {}})
    run.save_task(task)
    network = task.network()
    run.save_network(network)
    again = Run(run.folder)
    again.info["seed"] = 0
    seen = task._pixels(examples, np.arange(8)).float()
    mirrored = (network(seen).softmax(1) + network(seen.flip(3)).softmax(1)).detach().numpy() / 2
    for used in (run, again):
        probs = task.answers(used.network(), examples).values["probs"]
        assert (np.abs(probs - mirrored).max() < 1e-6) == (views == "flip")
        turned = ArrayImages(examples.images[:, :, ::-1].copy(), examples.labels)
        same = np.abs(task.answers(used.network(), turned).values["probs"] - probs).max() < 1e-6
        assert same == (views != "whole")  # what is mirrored is seen all the same
    whole = measure(image_task("whole"), network, run.folder / "weights.safetensors", torch.device("cpu"))
    found = measure(task, run.network(), run.folder / "weights.safetensors", torch.device("cpu"))
    assert found["multiply_adds"] == looks * whole["multiply_adds"]
    assert found["parameters"] == whole["parameters"]


@pytest.mark.parametrize("views", ["whole", "flip", "10-crop"])
def test_mirrored_looks_at_what_has_a_left_and_a_right_are_warned_of(views: str) -> None:
    task = image_task(views)
    examples = pictures()
    told = [finding for finding in task.findings(examples) if finding.code == "views-mirrored"]
    assert [finding.message for finding in told] == (
        []
        if views == "whole"
        else ['Mirror images are looked at to answer, but that of "left", "right" is no longer of its class.']
    )
    assert all(finding.remedy == "Set task.views=whole." for finding in told)
    unsided = ArrayImages(examples.images, np.array(["cat", "dog"])[np.arange(40) % 2])
    assert task.findings(unsided) == []


def test_members_may_look_differently() -> None:
    """One looks once and one at ten crops: the ensemble is the mean of what each says."""
    from orthogon.nn.ensemble import Ensemble

    tasks = [image_task("whole"), image_task("10-crop")]
    nets = [task.deployed(task.network()).eval() for task in tasks]
    images = tasks[0].example_inputs(3)[0]
    with torch.no_grad():
        whole = Ensemble(nets, tasks[0].average)(images).softmax(1)
        torch.testing.assert_close(whole, torch.stack([net(images).softmax(1) for net in nets]).mean(0))
