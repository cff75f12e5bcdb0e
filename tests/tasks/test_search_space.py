"""Every task declares what may be varied, and every value of it, to both ends, makes a network that works."""

from typing import Any

import pytest
import torch

from orthogon.project.config import ProjectConfig, get, parse, put
from orthogon.project.project import Project
from orthogon.tasks.task import Task
from orthogon.training.optimisers import make_optimiser

TASKS: dict[str, dict[str, Any]] = {
    "convnet": {"data": {"source": "digits"}},
    "mobilenet": {"data": {"source": "digits"}, "task": {"network": "mobilenet_v2", "size": 64}},
    "classes": {"data": {"source": "iris"}},
    "values": {"data": {"source": "diabetes"}},
    "dates": {"data": {"source": "dates", "num_examples": 300}},
    "exercise": {"data": {"source": "dates", "num_examples": 300}, "task": {"network": "date_translator"}},
}
OWN = {
    "convnet": {"task.width", "task.depth", "task.stages", "task.augment.strength", "training.label_smoothing"},
    "mobilenet": {"task.augment.strength", "training.label_smoothing", "task.dropout"},
    "classes": {"task.width", "task.depth", "task.dropout", "task.number_size", "training.label_smoothing"},
    "values": {"task.width", "task.depth", "task.dropout", "task.number_size"},
    "dates": {"task.encoder_size", "task.decoder_size", "task.cell", "task.dropout", "training.label_smoothing"},
    "exercise": {"task.encoder_size", "task.decoder_size", "training.label_smoothing"},
}


@pytest.fixture(scope="module", params=TASKS)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Task, Any]:
    project = Project.create(TASKS[request.param], tmp_path_factory.mktemp("space") / "p")
    examples, task, splits, _, _, config = project.prepare(project.config())
    return request.param, task, (config, examples.take(splits["train"]))


@pytest.mark.system("hp.priority")
def test_the_space_is_the_tasks_own_and_carries_tiers(prepared: tuple[str, Task, Any]) -> None:
    name, task, (config, _) = prepared
    space = task.search_space(config.training)
    assert {"training.lr", "training.batch_size", "training.weight_decay", *OWN[name]} <= set(space)
    assert ("training.label_smoothing" in space) == ("training.label_smoothing" in OWN[name])
    assert {parameter.tier for parameter in space.values()} == {1, 2, 3, 4}
    values = config.model_dump(mode="json")
    for key, parameter in space.items():
        if key != "training.optimiser_args.eps":  # PyTorch's own default
            assert parameter.default == get(values, key), key


def changed(config: ProjectConfig, key: str, value: Any) -> ProjectConfig:
    values = config.model_dump(mode="json")
    put(values, key, value)
    return parse(values)


def test_both_ends_of_every_parameter_make_a_network_that_works(prepared: tuple[str, Task, Any]) -> None:
    _, task, (config, train) = prepared
    for key, parameter in task.search_space(config.training).items():
        for value in {parameter.at(0.0), parameter.at(1.0)}:
            other = changed(config, key, value)
            here = task
            if key.startswith("task."):
                here = type(task)(other.task_config(), seed=0)
                here.fit(train)
            network = here.network().eval()
            make_optimiser(dict(network.named_parameters()), network, other.training)
            with torch.inference_mode():
                network(*here.example_inputs(1))
                network.train()(*here.example_inputs(1))  # a last batch of one
