"""The 3 x 2 table: the worked example of the rear-view mirror, and what it says that the ladder does not."""

from __future__ import annotations

import numpy as np
import pytest

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.general import HARDER, fill

ERROR = classification_metrics(["no", "yes"])["error"]


def wrong(share: float, n: int = 10_000) -> Scores:
    return Scores({"wrong": (np.arange(n) < round(share * n)).astype(int)}, np.arange(n))


@pytest.mark.system("strat.general-table")
def test_rear_view_speech_is_read_as_the_course_reads_it() -> None:
    """General speech 4, 7, 10 %; speech from rear-view mirrors 6, 6, 6 %."""
    table = fill(
        {
            ("trained on", "general"): wrong(0.07),
            ("trained on", "target"): wrong(0.06),
            ("not trained on", "general"): wrong(0.10),
            ("not trained on", "target"): wrong(0.06),
        },
        ERROR,
        human_general=0.04,
        human_target=0.06,
    )
    values = [[table.cells[row][column].value for column in ("general", "target")] for row in table.cells]
    assert values == [[0.04, 0.06], [0.07, 0.06], [0.10, 0.06]]
    steps = {step.name: round(step.value, 10) for step in table.steps}
    assert steps == {
        "avoidable bias, general data": 0.03,
        "variance, general data": 0.03,
        "avoidable bias, target data": 0.0,
        "variance, target data": 0.0,
        HARDER: 0.02,
        "how much harder the target data is once it is trained on": -0.01,
        "data mismatch": -0.04,
    }
    assert table.missing == ()
    assert table.sentences == (
        "The target data is easier for the system than new general data.",
        "People find the target data harder by 2.0 %.",
    )
    assert "data mismatch" in str(table)


def test_a_mismatch_that_people_have_too_is_harder_data_and_one_that_training_mends_is_foreign_data() -> None:
    cells = {
        ("trained on", "general"): wrong(0.02),
        ("not trained on", "general"): wrong(0.04),
        ("not trained on", "target"): wrong(0.14),
    }
    harder = fill({**cells, ("trained on", "target"): None}, ERROR, human_general=0.01, human_target=0.12)
    assert "accounts for all of the mismatch" in harder.sentences[-1]
    assert harder.missing == ("target examples in train",)
    mended = fill({**cells, ("trained on", "target"): wrong(0.02)}, ERROR)
    assert "it can learn them, so more of them in train should help" in mended.sentences[-1]
    stubborn = fill({**cells, ("trained on", "target"): wrong(0.12)}, ERROR)
    assert "Even the target examples it was trained on are harder" in stubborn.sentences[-1]
    assert "?" in str(stubborn)
