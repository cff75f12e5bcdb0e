"""Features: what reaches the last layer, for every task: the last layer gives from them what the network gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from orthogon.project.config import parse
from orthogon.project.project import Project
from orthogon.run.folder import Run

KEPT = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(params=["digits_format_1", "iris_format_1", "dates_format_1"])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(KEPT / request.param / "runs/0001")


def test_a_row_an_example_alike_in_any_company(run: Run) -> None:
    examples = Project(run.folder.parent.parent).read(parse(run.config))
    ids = np.arange(12)
    task, network = run.task(), run.network()
    features = task.features(network, examples.take(ids))
    assert features.dtype == np.float32
    assert features.shape[0] == 12
    assert np.isfinite(features).all()
    alone = np.concatenate([task.features(network, examples.take(ids[i : i + 1])) for i in ids])
    np.testing.assert_allclose(features, alone, rtol=1e-4, atol=1e-5)
    assert len(np.unique(features.round(4), axis=0)) > 6


def test_the_last_layer_makes_the_answer_of_them() -> None:
    run = Run(KEPT / "digits_format_1/runs/0001")
    examples = Project(run.folder.parent.parent).read(parse(run.config)).take(np.arange(20))
    task, network = run.task(), run.network()
    features = torch.as_tensor(task.features(network, examples))
    head = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    probs = head(features).softmax(1).detach().numpy()
    np.testing.assert_allclose(probs, task.answers(network, examples).values["probs"], rtol=1e-4, atol=1e-5)
