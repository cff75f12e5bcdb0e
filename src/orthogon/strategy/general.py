"""The error of people, on examples trained on, and on new ones; each on general and on the target's data.

                        general data      target data
    people              e_H,g             e_H,t
    trained on          e_train,g         e_train,t
    not trained on      e_train-dev,g     e_dev

Down a column lie avoidable bias and variance, along the last row data mismatch. The target's own examples among the
trained ones, and people's error on both kinds, tell more than the ladder: whether the target data is harder for
everybody, and whether the system does well on it once it is trained on it.

Source: Ng, Machine Learning Yearning, and his course on structuring projects (the rear-view mirror).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orthogon.data.examples import Examples, Splits
from orthogon.metrics.intervals import Estimate, Interval, difference, estimate, fixed
from orthogon.metrics.score import Metric, Scores, significant
from orthogon.run.folder import Run
from orthogon.shown import Shown, plain
from orthogon.strategy.diagnosis import BIAS, MISMATCH, VARIANCE

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

ROWS = ("people", "trained on", "not trained on")
COLUMNS = ("general", "target")
HARDER = "how much harder the target data is for people"
SEEN = "how much harder the target data is once it is trained on"
# what lies between two cells: (row, column) -> (row, column)
STEPS: tuple[tuple[str, tuple[str, str], tuple[str, str]], ...] = (
    (f"{BIAS}, general data", ("people", "general"), ("trained on", "general")),
    (f"{VARIANCE}, general data", ("trained on", "general"), ("not trained on", "general")),
    (f"{BIAS}, target data", ("people", "target"), ("trained on", "target")),
    (f"{VARIANCE}, target data", ("trained on", "target"), ("not trained on", "target")),
    (HARDER, ("people", "general"), ("people", "target")),
    (SEEN, ("trained on", "general"), ("trained on", "target")),
    (MISMATCH, ("not trained on", "general"), ("not trained on", "target")),
)
ENOUGH = 1000  # of the target's examples that were trained on; so many are answered, if there are


@dataclass(frozen=True)
class Step:
    """What lies between two cells: the later one minus the earlier, with its 95 % interval.

    real: the interval leaves 0 out.
    """

    name: str
    earlier: tuple[str, str]
    later: tuple[str, str]
    value: float
    low: float
    high: float

    @property
    def real(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class GeneralTable(Shown):
    """The table of two kinds of data.

    cells: row -> column -> error with its interval, 0-best; None where nothing is known of it.
    steps: what lies between the cells that are known. general, target: names of the two kinds.
    """

    cells: Mapping[str, Mapping[str, Interval | None]]
    steps: tuple[Step, ...]
    general: str
    target: str
    unit: str = "%"

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What would fill the empty cells."""
        how = {
            ("people", "general"): "metrics.human_level_general, people's error on general data",
            ("people", "target"): "metrics.human_level, people's error on the target data",
            ("trained on", "target"): "target examples in train",
            ("not trained on", "general"): "a train-dev set (data.train_dev)",
        }
        return tuple(how[key] for key in how if self.cells[key[0]][key[1]] is None)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the table says that the ladder does not."""
        said = []
        mismatch, harder, seen = self.step(MISMATCH), self.step(HARDER), self.step(SEEN)
        if mismatch is not None and mismatch.high < 0:
            said.append("The target data is easier for the system than new general data.")
        if harder is not None and abs(harder.value) > 0:
            word = "harder" if harder.value > 0 else "easier"
            said.append(f"People find the target data {word} by {self._show(abs(harder.value))}.")
        if mismatch is not None and mismatch.low > 0:
            if harder is not None and harder.value >= mismatch.value:
                said.append("That accounts for all of the mismatch: the data is harder, not foreign to the system.")
            elif seen is not None and seen.high < mismatch.low:
                said.append(
                    "On target examples that it was trained on the system does well: it can learn them, so more of "
                    "them in train should help."
                )
            elif seen is not None and seen.low > 0:
                said.append(
                    "Even the target examples it was trained on are harder for it: more of them alone may not do."
                )
        return tuple(said)

    def _show(self, value: float, sign: str = "") -> str:
        return (
            f"{round(100 * value, 1) + 0.0:{sign}.1f} %"
            if self.unit == "%"
            else f"{significant(value, sign)} {self.unit}".rstrip()
        )

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(asdict(self) | {"missing": list(self.missing), "sentences": self.sentences})
        return values

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("error", f"general ({self.general})", f"target ({self.target})"):
            table.add_column(Text(heading), justify="left" if heading == "error" else "right")
        for row in ROWS:
            cells = [self.cells[row][column] for column in COLUMNS]
            table.add_row(row, *("?" if each is None else f"{self._show(each.value)} {_count(each)}" for each in cells))
        yield table
        if self.steps:
            steps = Table(box=None, pad_edge=False, show_header=False)
            for _ in range(3):
                steps.add_column("")
            for step in self.steps:
                scale = 100 if self.unit == "%" else 1
                span = f"[{scale * step.low:.3g}, {scale * step.high:.3g}]" if step.low < step.high else ""
                style = "bold" if step.real else "dim"
                steps.add_row(Text(step.name, style), Text(self._show(step.value, "+"), style), Text(span, style))
            yield steps
        said = list(self.sentences)
        if self.missing:
            said.append(f"The empty cells take {'; '.join(self.missing)}.")
        if said:
            yield Text(" ".join(said))


def _count(cell: Interval) -> str:
    return f"(n = {cell.n:,})" if cell.n else "(given)"


def fill(
    scores: Mapping[tuple[str, str], Scores | None],
    metric: Metric,
    *,
    human_general: float | None = None,
    human_target: float | None = None,
    general: str = "general",
    target: str = "target",
) -> GeneralTable:
    """The table from Scores of the cells (row, column) of trained and new examples, and people's errors if known."""
    estimates: dict[tuple[str, str], Estimate] = {
        key: estimate(each, metric) for key, each in scores.items() if each is not None and len(each)
    }
    for column, human in zip(COLUMNS, (human_general, human_target), strict=True):
        if human is not None:
            estimates["people", column] = fixed(human)
    cells = {
        row: {column: estimates[row, column].interval() if (row, column) in estimates else None for column in COLUMNS}
        for row in ROWS
    }
    steps = []
    for name, earlier, later in STEPS:
        if earlier in estimates and later in estimates:
            found = difference(estimates[later], estimates[earlier]).interval()
            steps.append(Step(name, earlier, later, found.value, found.low, found.high))
    return GeneralTable(cells, tuple(steps), general, target, metric.unit)


def general_table(run: Run, examples: Examples, splits: Splits, metric: Metric) -> GeneralTable:
    """The table of a run: the target's examples in train are answered by the network where the run kept too few.

    Args:
        examples, splits: the project's, unchanged since the run.
    """
    name, metrics = run.config["data"].get("target_domain"), run.config["metrics"]
    domains = None if examples.domains is None or name is None else examples.domains.astype(str)

    def of(scores: Scores, target: bool) -> Scores | None:
        if domains is None:
            return None if target else scores
        return scores.take(np.flatnonzero((domains[scores.ids] == str(name)) == target))

    parts = {part: run.scores(part) for part in run.splits()}
    train, train_dev = parts["train"], parts.get("train_dev")
    trained = of(train, True)
    if domains is not None:
        ours = splits["train"][domains[splits["train"]] == str(name)]
        if trained is None or len(trained) < min(len(ours), ENOUGH):
            trained = _answered(run, examples, np.sort(np.random.default_rng(0).permutation(ours)[:ENOUGH]))
    others = sorted(set(domains.tolist()) - {str(name)}) if domains is not None else []
    return fill(
        {
            ("trained on", "general"): of(train, False),
            ("trained on", "target"): trained,
            ("not trained on", "general"): None if train_dev is None else of(train_dev, False),
            ("not trained on", "target"): parts.get("dev"),
        },
        metric,
        human_general=metrics.get("human_level_general"),
        human_target=metrics.get("human_level"),
        general=", ".join(others[:3]) + (" and others" if len(others) > 3 else "") if others else "train",
        target=str(name) if name is not None else "dev",
    )


def _answered(run: Run, examples: Examples, ids: NDArray[np.int64]) -> Scores:
    """Scores of these examples as the run would have kept them."""
    from orthogon.run import decide

    part = examples.take(ids)
    return decide.judged(run, run.task().answers(run.network(), part, ids), part)
