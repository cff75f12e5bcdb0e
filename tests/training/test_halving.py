"""Answers, dev figures and baselines where memory runs out: the same figures in smaller pieces, said once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from orthogon.data.config import DataConfig
from orthogon.data.examples import Examples
from orthogon.data.read import read
from orthogon.errors import TrainingError
from orthogon.project.config import put
from orthogon.tasks import task_class
from orthogon.tasks.task import Task
from orthogon.training.config import TrainingConfig
from orthogon.training.halving import Halving


def no_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def told(halving: Halving) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    halving.tell = events.append
    return events


def test_every_range_once_in_order_and_what_did_not_fit_is_not_tried_again() -> None:
    halving, tried = Halving(), []
    events = told(halving)

    def compute(first: int, stop: int) -> list[int]:
        tried.append(stop - first)
        if stop - first > 5:
            no_memory()
        return list(range(first, stop))

    assert [i for piece in halving.pieces(compute, 18, 16, "answering") for i in piece] == list(range(18))
    assert tried == [16, 8, 4, 4, 4, 4, 2]
    (event,) = events
    assert (event["event"], event["code"]) == ("warning", "out-of-memory")
    assert event["message"] == "out of memory while answering: it goes on with 4 at a time"
    tried.clear()
    assert len(list(halving.pieces(compute, 8, 16, "measuring dev"))) == 2
    assert tried == [4, 4]
    assert len(events) == 1


def test_one_example_that_does_not_fit_names_the_place_and_the_remedy() -> None:
    with pytest.raises(TrainingError, match="out of memory with a single example") as caught:
        list(Halving().pieces(lambda first, stop: no_memory(), 4, 2, "answering pictures"))
    assert caught.value.where == "answering pictures"
    assert "image size, sequence length" in caught.value.remedy


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(Halving().pieces(lambda first, stop: torch.ones(2, 3) @ torch.ones(2, 3), 4, 2, "answering"))


def test_of_fewer_examples_where_all_do_not_fit() -> None:
    halving = Halving()
    events = told(halving)

    def compute(rows: int) -> int:
        if rows > 30:
            raise MemoryError
        return rows

    assert halving.shrunk(compute, 100, "training the baselines") == 25
    assert [event["message"] for event in events] == [
        "out of memory while training the baselines: it was done with 25 of 100 examples"
    ]
    with pytest.raises(TrainingError, match="training the baselines"):
        halving.shrunk(lambda rows: no_memory(), 100, "training the baselines")


def test_without_a_listener_it_is_a_python_warning() -> None:
    def compute(first: int, stop: int) -> int:
        if stop - first > 1:
            no_memory()
        return first

    with pytest.warns(UserWarning, match="out of memory while answering: it goes on with 1 at a time"):
        assert list(Halving().pieces(compute, 3, 2, "answering")) == [0, 1, 2]


# -- the tasks --------------------------------------------------------------------------------------------------


@contextmanager
def tight(network: nn.Module, fits: int) -> Iterator[None]:
    """A machine on which only `fits` examples fit into the network."""

    def refuse(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if len(inputs[0]) > fits:
            no_memory()

    hook = network.register_forward_pre_hook(refuse)
    yield
    hook.remove()


def made(kind: str, folder: Path) -> tuple[Task, nn.Module, Examples]:
    torch.manual_seed(0)
    source: str | Path = "digits" if kind == "image_classification" else folder / "data.tsv"
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abc"), 4)) for _ in range(300)]
    if kind == "seq2seq":
        Path(source).write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    elif kind == "tabular":
        lines = [f"{i % 17 + 0.5}\t{word[1]}\t{word[0]}\n" for i, word in enumerate(words)]
        Path(source).write_text("x\tz\ty\n" + "".join(lines))
    more = {"tabular": {"target": "y"}, "seq2seq": {"format": "strings"}}
    config = {"source": str(source), **more.get(kind, {})}
    examples = read(DataConfig.model_validate(config))
    cls = task_class(kind)
    suggested: dict[str, Any] = {"task": {"kind": kind}}
    for key, value in cls(cls.Config(kind=kind)).suggest(examples).items():
        put(suggested, key, value)
    task = cls(cls.Config(**suggested["task"]))
    train = examples.take(np.arange(200))
    task.fit(train)
    return task, task.network().eval(), examples.take(np.arange(200, 300))


@pytest.mark.parametrize("kind", ["image_classification", "tabular", "seq2seq"])
def test_answers_and_dev_figures_stay_the_same(kind: str, tmp_path: Path) -> None:
    task, network, dev = made(kind, tmp_path)
    objective = task.objective(network, dev, dev, TrainingConfig(lr=0.01, batch_size=32))
    with torch.no_grad():
        answers, figures = task.answers(network, dev), objective.evaluate()
    events = told(task.halving)
    for fits in (40, 7):
        with tight(network, fits), torch.no_grad():
            found = task.answers(network, dev)
            task.halving.most = None
            assert objective.evaluate() == pytest.approx(figures, rel=1e-4)
            task.halving.most = None
        assert list(found.values) == list(answers.values)
        for name, values in answers.values.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found.values[name], values, rtol=1e-4, atol=1e-6)
            else:
                assert found.values[name].tolist() == values.tolist()
        assert len(events) == 2
        assert all("out of memory while" in event["message"] for event in events)
        events.clear()
    with tight(network, 0), pytest.raises(TrainingError, match=r"answering \w+: out of memory with a single example"):
        task.answers(network, dev)


def test_a_run_goes_on_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine runs short when train is answered, and again while the baselines are trained."""
    import orthogon as og
    from orthogon.models.tabular import TabularNet
    from orthogon.tasks import tabular

    forward, boosting = TabularNet.forward, tabular._boosting

    def short(self: TabularNet, *inputs: Any) -> Any:
        return no_memory() if len(inputs[0]) > 20 else forward(self, *inputs)

    def hungry(task: Any, train: Any, dev: Any) -> Any:
        if len(train) > 20:
            raise MemoryError
        return boosting(task, train, dev)

    monkeypatch.setattr(TabularNet, "forward", short)
    monkeypatch.setattr(tabular, "_boosting", hungry)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i % 7 + 0.5},{'ab'[i % 2]}\n" for i in range(60)))
    events: list[dict[str, Any]] = []
    run = og.start(
        str(tmp_path / "t.csv"),
        target="y",
        project=tmp_path / "p",
        sets=["training.epochs=2"],
        listen=events.append,
    )
    said = [event["message"] for event in events if event.get("code") == "out-of-memory"]
    assert said == [
        "out of memory while answering rows: it goes on with 17 at a time",
        "out of memory while training the baselines: it was done with 17 of 35 examples",
    ]
    assert run.finished
    assert [baseline["name"] for baseline in run.baselines()][-1] == "gradient boosting"
