"""Three runs as their reports see them: digits as pictures, a table of houses, dates as strings with attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orthogon.data.examples import Finding
from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.regression import regression_metrics
from orthogon.metrics.score import Scores
from orthogon.metrics.strings import string_metrics
from orthogon.report.data import BaselineFigure, Case, Figure, Measure, ReportData
from orthogon.strategy.advice import next_steps, note
from orthogon.strategy.diagnosis import diagnose
from orthogon.strategy.mistakes import analyse, worst
from orthogon.tasks.task import Answers, Card, Importance

NAMES = [str(k) for k in range(10)]
FACTS: dict[str, Any] = {
    "id": "0001",
    "created": "2026-11-21T01:33:00+00:00",
    "fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "seed": 0,
    "steps": 850,
    "epochs": 50,
    "best_step": 799,
    "seconds": 38.2,
    "parameters": 23450,
    "network": "ConvNet",
    "versions": {"orthogon": "0.1.0", "torch": "2.14.1", "python": "3.11.4"},
    "hardware": {"system": "Linux", "cores": 2},
}


def history(floor: float, steps: int = 50) -> list[dict[str, float]]:
    """A training that ends at this dev error."""
    decay = [np.exp(-i / 4) for i in range(steps)]
    return [
        {
            "step": 17 * (i + 1),
            "epoch": i + 1,
            "loss": 2.3 * d + 0.01,
            "dev_loss": 2.3 * d + 0.2,
            "dev_error": 0.9 * d + floor,
            "lr": 0.002,
        }
        for i, d in enumerate(decay)
    ]


def classified(n: int, accuracy: float, seed: int, first: int = 0) -> tuple[Scores, Answers]:
    """Answers of a classifier that is right this often, and about as sure as it should be."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 10, n)
    logits = rng.normal(0, 1, (n, 10))
    sure = np.where(rng.random(n) < accuracy, 6.0, -1.0)
    logits[np.arange(n), truth] += sure
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answer = probs.argmax(axis=1)
    records = {
        "truth": truth,
        "answer": answer,
        "probs": probs,
        "wrong": (answer != truth).astype(float),
        "loss": -np.log(probs[np.arange(n), truth]),
    }
    ids = np.arange(first, first + n)
    return Scores(records, ids), Answers({"answer": answer.astype(str), "confidence": probs.max(axis=1)}, ids)


def picture(seed: int, shape: tuple[int, ...] = (8, 8)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="session")
def digits() -> ReportData:
    """A classifier of pictures with every part of the report filled in."""
    metrics = classification_metrics(NAMES)
    metric = metrics["error"]
    train, dev, test = (classified(n, a, s)[0] for n, a, s in ((1000, 1.0, 1), (360, 0.93, 2), (360, 0.94, 3)))
    answers = classified(360, 0.93, 2)[1]
    diagnosis = diagnose({"train": train, "dev": dev, "test": test}, metric)
    config = {
        "data": {"source": "digits", "dev": None},
        "task": {"kind": "image_classification", "width": 32, "depth": 2, "dropout": 0.0, "augment": {"strength": 0.3}},
        "training": {"lr": 0.002, "epochs": 50, "batch_size": 64, "weight_decay": 0.01, "label_smoothing": 0.0},
    }
    sizes = {"train": 1077, "dev": 360, "test": 360}

    def case(row: int, split: str = "dev") -> Case:
        truth, answer = int(dev.records["truth"][row]), int(dev.records["answer"][row])
        loss, confidence = float(dev.records["loss"][row]), float(answers.values["confidence"][row])
        heat = np.random.default_rng(row).random((8, 8)).astype(np.float32)
        card = Card("image", f"digits, image {row}", str(truth), str(answer), confidence, loss, picture(row), heat=heat)
        return Case(card, row, split)

    steps = next_steps(diagnosis, config, sizes)
    return ReportData(
        project="digits",
        run="0001",
        task="image_classification",
        problem="Ten classes of 8 × 8 grey pictures, since the targets are class names.",
        measure=Measure(metric.name, metric.title, metric.unit, metric.higher_is_better),
        info=FACTS,
        config=config,
        sizes=sizes,
        split_reason="60/20/20, each class in equal shares; duplicates kept together.",
        findings=[
            Finding(
                "duplicate-near", "warning", "3 pictures are almost equal to others", 3, ("digits, image 5",), "Look."
            ),
            Finding("size", "note", "All pictures are 8 × 8 pixels, grey."),
        ],
        history=history(metric.error(dev)),
        diagnosis=diagnosis,
        mistakes=analyse(dev, answers, class_names=NAMES, metric=metric),
        cases=[case(int(row)) for row in worst(dev, 24)],
        looks=[case(row) for row in range(6)],
        baselines=[
            BaselineFigure("majority class", Figure(0.89, 0.85, 0.92), 0.01),
            BaselineFigure("linear model", Figure(0.047, 0.03, 0.074), 0.8),
        ],
        steps=steps,
        healthy=note(diagnosis, sizes),
        figures={
            m.title: {name: Figure(m.value(part)) for name, part in (("train", train), ("dev", dev), ("test", test))}
            for m in (metrics["error"], metrics["f1_macro"], metrics["log_loss"])
        },
        units={m.title: m.unit for m in metrics.values()},
        class_names=NAMES,
        predict_line="orthogon predict NEW -o answers.csv --project digits-orthogon",
        report_path="digits-orthogon/runs/0001/derived/report.html",
        test_looks=1,
        logbook=[{"run": "0001", "when": "2026-11-21", "what": "first", "error": 0.056}],
    )


@pytest.fixture(scope="session")
def houses() -> ReportData:
    """A regression on a table: an error in dollars, columns that matter, groups."""
    metric = regression_metrics("USD")["rmse"]
    rng = np.random.default_rng(0)

    def scores(n: int, noise: float) -> Scores:
        truth = rng.normal(200_000, 60_000, n)
        answer = truth + rng.normal(0, noise, n)
        records = {
            "truth": truth,
            "answer": answer,
            "squared": (truth - answer) ** 2,
            "absolute": abs(truth - answer),
            "loss": ((truth - answer) / 60_000) ** 2,
        }
        return Scores(records, np.arange(n), rng.choice(["coast", "inland", "island"], n, p=[0.5, 0.4, 0.1]))

    train, dev = scores(800, 30_000), scores(300, 48_000)
    answers = Answers({"answer": dev.records["answer"]}, dev.ids)
    columns = ["income", "age", "rooms", "latitude", "longitude", "households", "ocean", "population", "bedrooms"]

    def case(row: int) -> Case:
        fields = {name: f"{rng.normal(5, 2):.2f}" for name in columns}
        truth, answer = f"{dev.records['truth'][row]:,.0f}", f"{dev.records['answer'][row]:,.0f}"
        return Case(Card("row", f"houses.csv, row {row + 2}", truth, answer, None, 1.5, fields=fields), row)

    return ReportData(
        project="houses",
        run="0002",
        task="tabular",
        measure=Measure(metric.name, metric.title, metric.unit),
        info={**FACTS, "id": "0002"},
        sizes={"train": 800, "dev": 300},
        history=history(0.3),
        diagnosis=diagnose({"train": train, "dev": dev}, metric, trivial_error=60_000.0),
        mistakes=analyse(dev, answers, metric=metric),
        cases=[case(int(row)) for row in worst(dev, 12)],
        agreement=np.stack([dev.records["truth"], dev.records["answer"]], axis=1),
        importances=[
            Importance(name, 20_000 / (k + 1) - 2500, 20_000 / (k + 1) - 4500, 20_000 / (k + 1) - 500)
            for k, name in enumerate(columns)
        ],
        baselines=[
            BaselineFigure("mean", Figure(60_000, 58_000, 62_000), 0.0),
            BaselineFigure("gradient boosting", Figure(47_500, 45_000, 50_200), 1.2),
        ],
        figures={"root mean squared error": {"train": Figure(30_000.0), "dev": Figure(48_000.0, 46_000.0, 50_500.0)}},
        units={"root mean squared error": "USD"},
        predict_line="orthogon predict NEW -o answers.csv --project houses-orthogon",
    )


@pytest.fixture(scope="session")
def dates() -> ReportData:
    """Strings to strings, with a map of attention."""
    metric = string_metrics()["error"]

    def scores(n: int, wrong: int) -> Scores:
        records = {"wrong": np.r_[np.ones(wrong), np.zeros(n - wrong)], "loss": np.linspace(2, 0.01, n)}
        return Scores(records, np.arange(n))

    def case(source: str, truth: str, answer: str, row: int) -> Case:
        heat = np.zeros((len(answer), len(source)), np.float32)
        heat[np.arange(len(answer)), np.linspace(len(source) - 1, 0, len(answer)).astype(int)] = 0.9
        card = Card(
            "strings", f"dates, line {row}", truth, answer, 0.7, 1.2, text=source, heat=heat,
            row_labels=list(answer), column_labels=list(source),
        )  # fmt: skip
        return Case(card, row)

    return ReportData(
        project="dates",
        run="0001",
        task="seq2seq",
        measure=Measure(metric.name, metric.title, metric.unit),
        info=FACTS,
        sizes={"train": 8000, "dev": 500, "test": 500},
        diagnosis=diagnose({"train": scores(2000, 4), "dev": scores(500, 3), "test": scores(500, 4)}, metric),
        cases=[case("3rd of May 1979", "1979-05-03", "1979-06-03", 3), case("6.9.18", "2018-09-06", "2018-09-08", 9)],
        looks=[case("tuesday march 2 1993", "1993-03-02", "1993-03-02", 1)],
        healthy="Nothing limits this system that 500 dev examples can show; 3,000 would tell more.",
    )
