"""What came of a study: the best configuration and what can be believed of it.

Choosing the best of many on one dev set makes it look better than it is; the corrected error says by how much (BBC, see
`strategy.optimism`). Limits come first: among those that keep every one the metric decides, and what the limits cost is
told. What lies at the end of its range, what mattered, and how far fewer trials would have come, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from orthogon.errors import ConfigError, RunError
from orthogon.metrics.intervals import Interval, paired_difference
from orthogon.metrics.score import Metric, Scores, significant, with_unit
from orthogon.metrics.select import Candidate, Selection, select
from orthogon.project.config import parse, put
from orthogon.project.trial import load
from orthogon.run.folder import write_json
from orthogon.shown import Shown
from orthogon.strategy.optimism import selection_optimism
from orthogon.strategy.search import at_walls, best_so_far
from orthogon.strategy.study import BAD, MARKS, STRATEGIES, Study, limits_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from orthogon.tasks.task import Task

SHOWN = 8  # trials in the terminal's table
FEWEST_FOR_IMPORTANCE = 10
QUARTERS = (0.25, 0.5, 0.75, 1.0)  # of a training, at which learning curves are compared


@dataclass(frozen=True)
class Row:
    """A trial of a study.

    state: finished, stopped (behind the others), refused (before training), failed, or running.
    values: of each parameter of the space. error, loss: on dev. curve: part of the training in 1..27 -> dev log-loss.
    violation: by how much it breaks the limits, as a sum of shares of them. why: of a trial that did not finish.
    """

    number: int
    state: str
    values: Mapping[str, Any]
    error: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    parameters: int | None = None
    violation: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)
    curve: Mapping[str, float] = field(default_factory=dict)
    key: str | None = None
    why: str = ""

    def at(self, share: float) -> float | None:
        """Dev log-loss after this share of the training; None where it did not get so far."""
        reached = [int(mark) for mark in self.curve if int(mark) <= round(share * MARKS)]
        done = self.curve and max(map(int, self.curve)) >= round(share * MARKS) - 1
        value = self.curve[str(max(reached))] if reached and (done or self.state == "finished") else None
        return value if value is not None and value < BAD else None


@dataclass(frozen=True)
class Tuning(Shown):
    """What a study found.

    best: number of the best trial that keeps every limit; None when none does. first: the config at hand, trial 0.
    overrides: what the best sets. corrected: its error, for having been chosen on dev; optimism: how much better it
    looked. gain: fall of the dev error against the first, paired on the same examples, with a 95 % interval; expected:
    what is left of it after the correction. price: how much better the metric would be without limits.
    walls: parameters whose best value lies at an end of its range that the config would let them cross, with a wider
    range to search. importance: share of what the parameters decide
    about being among the better half; empty below 10 trials. so_far: (mean, low, high) of the best of the first k.
    stale: why it no longer holds; empty while it does.
    """

    name: str
    strategy: str
    budget: str
    seed: int
    metric: str
    title: str
    unit: str
    created: str
    fingerprint: str
    num_examples: int
    rows: Sequence[Row]
    ended: str = ""
    best: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    price: float | None = None
    limits: Sequence[str] = ()
    corrected: float | None = None
    optimism: float | None = None
    gain: tuple[float, float, float] | None = None
    expected: float | None = None
    walls: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, str] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    so_far: Sequence[Sequence[float]] = ()
    stale: str = ""
    run: str | None = None

    def row(self, number: int | None) -> Row | None:
        return next((row for row in self.rows if row.number == number), None)

    def ranking(self) -> list[Row]:
        """Finished trials, the best first: those that keep every limit, then by how little they break."""
        done = [row for row in self.rows if row.state == "finished" and row.error is not None]
        return sorted(done, key=lambda row: (row.violation > 0, row.violation, row.error, row.loss, row.number))

    def counts(self) -> dict[str, int]:
        return {
            state: number
            for state in ("finished", "stopped", "refused", "failed", "running")
            if (number := sum(row.state == state for row in self.rows))
        }

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rows": [asdict(row) for row in self.rows], "counts": self.counts()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tuning:
        rows = [Row(**row) for row in values["rows"]]
        gain = None if values["gain"] is None else tuple(values["gain"])
        kept = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        return cls(**{**kept, "rows": rows, "gain": gain})

    # -- in words -----------------------------------------------------------------------------------------------

    def show(self, value: float | None) -> str:
        return "–" if value is None else with_unit(value, self.unit)

    def verdict(self) -> str:
        """What was found, in sentences."""
        best, first = self.row(self.best), self.rows[0] if self.rows else None
        if best is None:
            return self.reason or "No trial came to an end."
        told = f"Trial {best.number} is best: {self.title} {self.show(best.error)} on dev"
        if self.corrected is not None and self.optimism is not None:
            finished = sum(row.state == "finished" and not row.violation for row in self.rows)
            told += (
                f", the best of {finished} there; for having been chosen among them expect "
                f"{self.show(self.corrected)} on new examples"
            )
        told += "."
        if first is not None and best.number == first.number:
            return f"{told} That is the config as it is: nothing that was tried is better."
        if self.gain is not None and first is not None and first.error is not None:
            value, low, high = self.gain
            words = "better" if low > 0 else "worse" if high < 0 else "not surely better"
            told += f" The config as it was has {self.show(first.error)}: the best is {words} by {self._gap(value)} "
            told += f"({self._gap(low)} to {self._gap(high)} on these examples)."
        if self.price:
            told += f" Without limits {self._gap(self.price)} less error could be had."
        return told

    def _gap(self, value: float) -> str:
        return f"{100 * value:.1f} points" if self.unit == "%" else f"{significant(value)} {self.unit}".rstrip()

    def notes(self) -> list[str]:
        """What to do about it: walls, stale data."""
        found = [self.stale] if self.stale else []
        for key, wider in self.walls.items():
            found.append(
                f"The best {key} lies at an end of its range ({self.ranges[key]}): a better one may lie beyond. "
                f"Search there too: orthogon tune --set {wider}"
            )
        return found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        counts = ", ".join(f"{number} {state}" for state, number in self.counts().items())
        yield Text(f"Study {self.name}: {self.strategy} ({STRATEGIES[self.strategy]}); {self.budget}; {counts}.")
        shown = self.ranking()[:SHOWN]
        if shown:
            yield Text("")
            yield self._table(shown)
            yield Text("")
        yield Text(self.verdict())
        if self.importance:
            named = [f"{key} {share:.0%}" for key, share in list(self.importance.items())[:5]]
            yield Text(f"What mattered for being in the better half: {', '.join(named)}.")
        for note in self.notes():
            yield Text(note)

    def _table(self, shown: Sequence[Row]) -> Any:
        from rich.table import Table

        varied = [key for key in self.rows[0].values if len({str(row.values.get(key)) for row in shown}) > 1]
        ranked = sorted(varied, key=lambda key: -self.importance.get(key, 0.0))
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("trial", justify="right")
        table.add_column("dev error", justify="right", no_wrap=True)
        for share in QUARTERS:
            table.add_column("log-loss at 25 %" if share == QUARTERS[0] else f"{share:.0%}", justify="right")
        names = ranked[:4]
        for key in names:
            table.add_column(key.rpartition(".")[2], justify="right")
        if self.limits:
            table.add_column("limits")
        for row in shown:
            losses = [row.at(share) for share in QUARTERS]
            cells = [str(row.number), self.show(row.error)]
            cells += ["–" if loss is None else significant(loss) for loss in losses]
            cells += [_short(row.values.get(key)) for key in names]
            if self.limits:
                cells.append("kept" if not row.violation else "broken")
            table.add_row(*cells, style="bold" if row.number == self.best else "dim" if row.violation else "")
        return table


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)


# -- from the study ---------------------------------------------------------------------------------------------


def rows_of(study: Study) -> list[Row]:
    """Every trial of the study, as plain data."""
    found = []
    for trial in study.rows():
        attrs = trial.user_attrs
        state = "finished" if trial.state.name == "COMPLETE" else "running"
        if trial.state.name == "PRUNED":
            state = "refused" if attrs.get("refused") else "failed" if attrs.get("failed") else "stopped"
        found.append(
            Row(
                trial.number,
                state,
                study.values(trial) if trial.params else {},
                attrs.get("error"),
                attrs.get("loss"),
                attrs.get("seconds", 0.0),
                attrs.get("parameters"),
                float(math.fsum(max(share, 0.0) for share in trial.constraints.values())),
                attrs.get("figures", {}),
                {str(mark): loss for mark, loss in trial.intermediate_values.items()},
                attrs.get("key"),
                attrs.get("why", ""),
            )
        )
    return found


def result(study: Study, task: Task, fingerprint: str, num_examples: int, ended: str = "") -> Tuning:
    """What the study has found so far.

    Args:
        task: whose metrics judge. fingerprint, num_examples: of the project's data as they are now.
    """
    plan, rows = study.plan, rows_of(study)
    metric = task.metrics()[plan.metric]
    found = Tuning(
        plan.name,
        plan.strategy,
        str(plan.budget),
        plan.seed,
        metric.name,
        metric.error_title,
        metric.unit,
        plan.created,
        plan.fingerprint,
        plan.num_examples,
        rows,
        ended,
        limits=[str(limit) for limit in limits_of(plan.config)],
        ranges={key: str(parameter) for key, parameter in plan.space.items()},
        stale=stale(plan.created, plan.fingerprint, plan.num_examples, fingerprint, num_examples),
    )
    ranking = found.ranking()
    if not ranking:
        refused = [row for row in rows if row.state == "refused"]
        nearest = min(refused, key=lambda row: row.violation, default=None)
        none = "No configuration keeps every limit" if refused else "No trial came to an end"
        near = f"; trial {nearest.number} comes nearest and {nearest.why}" if nearest is not None else ""
        return replace(found, reason=f"{none}{near}.")
    chosen = _selection(ranking, plan.config["metrics"]["satisfice"])
    if chosen.best is None:
        return replace(found, reason=chosen.reason.replace("No system", "No trial"))
    feasible = [row for row in ranking if not row.violation]
    found = replace(found, best=feasible[0].number, price=chosen.price, reason=chosen.reason)
    scores = {row.number: each for row in feasible if (each := _scores(study, row)) is not None}
    found = replace(found, **_believed(found, scores, metric))
    best = feasible[0]
    overrides = {} if best.number == rows[0].number else dict(best.values)
    return replace(
        found,
        overrides=overrides,
        walls=_walls(study, best.values) if overrides else {},
        importance=_importance(study),
        so_far=best_so_far([row.error for row in feasible if row.error is not None]).tolist(),
    )


def _selection(ranking: Sequence[Row], limits: Mapping[str, str]) -> Selection:
    """The feasibility rules of `metrics.select`, on what was measured of the finished trials."""
    candidates = []
    for row in ranking:
        figures = {name: Interval(**each) if isinstance(each, Mapping) else each for name, each in row.figures.items()}
        candidates.append(Candidate(f"trial {row.number}", {"dev error": row.error or 0.0, **figures}))
    return select(candidates, "dev error", limits)


def _scores(study: Study, row: Row) -> Scores | None:
    if row.key is None:
        return None
    with suppress(RunError):
        return load(study.project.folder / "trials" / row.key).scores["dev"]
    return None


def _believed(found: Tuning, scores: Mapping[int, Scores], metric: Metric) -> dict[str, Any]:
    """The correction for the choice, and the gain against the first trial."""
    told: dict[str, Any] = {}
    best = scores.get(found.best if found.best is not None else -1)
    if best is not None and len(scores) > 1:
        optimism = selection_optimism(list(scores.values()), metric)
        told |= {"corrected": optimism.corrected, "optimism": optimism.optimism}
    first = scores.get(found.rows[0].number)
    if best is not None and first is not None and found.best != found.rows[0].number:
        change = paired_difference(first, best, metric).interval()
        told["gain"] = (-change.value, -change.high, -change.low)
        told["expected"] = -change.value - told.get("optimism", 0.0)
    return told


def _walls(study: Study, best: Mapping[str, Any]) -> dict[str, str]:
    """Key -> "key=low..high" beyond the end at which its best value lies, where the config takes such a value."""
    found = {}
    for key, end in at_walls(study.plan.space, best).items():
        wider = study.plan.space[key].beyond(end)
        values = json.loads(json.dumps(study.plan.config))
        with suppress(ConfigError):
            put(values, key, wider.at(1.0 if end == "high" else 0.0))
            parse(values)
            found[key] = f"{key}={wider.low:g}..{wider.high:g}"
    return found


def _importance(study: Study) -> dict[str, float]:
    """Each parameter's share of what decides whether a trial is in the better half, the largest first.

    Source: Watanabe, Bansal, Hutter 2023, PED-ANOVA, arXiv:2304.10255, as Optuna has it.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    done = [t for t in study.rows() if t.state.name == "COMPLETE"]
    if len(done) < FEWEST_FOR_IMPORTANCE or len(study.plan.space) < 2 or len({t.value for t in done}) < 2:
        return {}
    with _quiet():
        evaluator = PedAnovaImportanceEvaluator(target_quantile=0.5)
        found = optuna.importance.get_param_importances(study.books, evaluator=evaluator)
    return {name.removeprefix("1 - "): round(float(share), 4) for name, share in found.items()}


def _quiet() -> Any:
    import warnings

    return warnings.catch_warnings(action="ignore")


def stale(created: str, then: str, num_then: int, fingerprint: str, num_examples: int) -> str:
    """Why a tuning may no longer hold: its data are not those of today. Empty where they are."""
    if then == fingerprint:
        return ""
    change = f"{num_then:,} examples then, {num_examples:,} now" if num_then != num_examples else "as many, but others"
    return (
        f"These settings were tuned on {created[:10]}, on other data than there is now ({change}): settings go stale. "
        "Tune again: orthogon tune"
    )


def keep(study: Study, tuning: Tuning) -> None:
    """Write result.json into the study's folder."""
    write_json(study.folder / "result.json", tuning.to_dict())


def kept(study: Study) -> Tuning | None:
    """The result that was kept last; None where there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Tuning.from_dict(json.loads((study.folder / "result.json").read_text(encoding="utf-8")))
    return None


def table_of(tunings: Sequence[Tuning]) -> list[dict[str, Any]]:
    """A row a study: name, when, how, what came of it, and whether it still holds."""
    return [
        {
            "study": each.name,
            "created": each.created,
            "strategy": each.strategy,
            "budget": each.budget,
            "trials": len(each.rows),
            "best_error": None if (row := each.row(each.best)) is None else row.error,
            "corrected": each.corrected,
            "examples": each.num_examples,
            "run": each.run,
            "stale": each.stale,
        }
        for each in tunings
    ]


__all__ = ["Row", "Tuning", "keep", "kept", "result", "rows_of", "stale", "table_of"]
