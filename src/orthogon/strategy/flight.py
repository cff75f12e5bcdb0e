"""The autopilot at work on a project: where it begins, what it writes down, how it goes on after a kill, how it ends.

    PROJECT/autopilot/0001/plan.json      what it began with: run, budget, seed, how long the logbook was
    PROJECT/autopilot/0001/ledger.jsonl   what each trial cost and how it ended
    PROJECT/autopilot/lock                held by the process at work: one autopilot a project

Each decision is a line of the logbook ("autopilot trial", "autopilot decision"). At the end the incumbent is trained
once more as a run of the project, to the same weights; its sealing is the one look at test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthogon.errors import RunError, UsageError
from orthogon.metrics.score import Metric, with_unit
from orthogon.project.config import parse, put
from orthogon.project.project import Listener, Project
from orthogon.project.trial import Recipe, Trial, Trials
from orthogon.run.folder import Run, now, write_json
from orthogon.run.lock import at_work
from orthogon.shown import Shown
from orthogon.strategy.autopilot import Autopilot, Chooser, Decision, Judge, Result
from orthogon.strategy.beliefs import shipped
from orthogon.strategy.floor import Noise
from orthogon.strategy.ledger import Budget, Ledger, Spent, compute

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

FOLDER = "autopilot"
KNOB = "autopilot"  # of the run that it leaves


@dataclass(frozen=True)
class Flight(Shown):
    """What an autopilot did, and what it leaves.

    number: of the autopilot. began: the run that it began with. run: the one that it leaves; the same where nothing
    helped. test_error: of that run, where it has a test set; None where nothing was trained anew.
    """

    number: str
    began: str
    run: str
    result: Result
    budget: Budget
    metric: Metric
    before: float
    after: float
    test_error: float | None
    resumed: bool = False

    def to_dict(self) -> dict[str, Any]:
        result, spent = self.result, self.result.spent
        return {
            "autopilot": self.number,
            "began": self.began,
            "run": self.run,
            "budget": str(self.budget),
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "dev_error_before": self.before,
            "dev_error": self.after,
            "corrected_dev_error": None if result.optimism is None else self.corrected,
            "test_error": self.test_error,
            "overrides": dict(result.incumbent.overrides),
            "stopped": result.stopped,
            "spent": vars(spent),
            "decisions": [decision.to_dict() for decision in result.decisions],
        }

    @property
    def corrected(self) -> float:
        """Its dev error without what the choice on dev flatters it by."""
        return self.after + (max(0.0, self.result.optimism.optimism) if self.result.optimism else 0.0)

    def summary(self) -> str:
        """What it came to, in a few sentences."""
        show, result, spent = self._show, self.result, self.result.spent
        tried = sum(bool(decision.verdict) for decision in result.decisions)
        kept = sum(decision.verdict == "kept" for decision in result.decisions)
        trials = f"{tried} trial{'' if tried == 1 else 's'}, {kept} kept"
        said = [result.stopped, f"{trials}; spent {spent_in_words(spent)}."]
        if self.run == self.began:
            return " ".join([*said, f"Run {self.began} stays the best: dev error {show(self.after)}."])
        said.append(f"Dev error {show(self.before)} → {show(self.after)} in run {self.run}")
        if result.optimism is not None:
            said[-1] += f"; as the best of {result.optimism.num_candidates} on dev, more likely {show(self.corrected)}"
        if self.test_error is not None:
            said[-1] += f"; on test, looked at once, {show(self.test_error)}"
        return " ".join(said) + "."

    def _show(self, error: float) -> str:
        return with_unit(error, self.metric.unit)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield table_of(self.result.decisions, self.metric.unit)
        yield Text("")
        yield Text(self.summary())


def table_of(decisions: Any, unit: str) -> Any:
    """The decisions as a table: number, what, verdict, the incumbent's dev error, what was spent."""
    from rich.table import Table
    from rich.text import Text

    style = {"kept": "bold green", "failed": "red", "ended early": "dim", "not kept": "dim"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("dev error", justify="right", no_wrap=True)
    table.add_column("runs", justify="right", no_wrap=True)
    for each in decisions:
        if not each.verdict:
            table.add_row(str(each.number), Text(each.sentence, "italic"), "", "", "")
            continue
        what = Text(each.title) if not each.gap else Text.assemble(each.title, (f"  against {each.gap}", "dim"))
        verdict = Text(each.verdict, style.get(each.verdict, ""))
        table.add_row(str(each.number), what, verdict, with_unit(each.error, unit), f"{each.spent.runs:.1f}")
    return table


def spent_in_words(spent: Spent) -> str:
    thinking = f", {spent.thinking / spent.seconds:.0%} of it thinking" if spent.seconds > 0 else ""
    seconds = f"{spent.seconds:.0f} s" if spent.seconds < 120 else f"{spent.seconds / 60:.0f} min"
    return f"{spent.runs:.1f} runs' compute ({spent.multiply_adds:.2g} multiply-adds) in {seconds}{thinking}"


def fly(
    project: Project,
    run: Run,
    budget: Budget,
    judge: Judge,
    metric: Metric,
    *,
    seed: int = 0,
    noise: Mapping[str, Noise] | None = None,
    sub_cause: str | None = None,
    tell: Callable[[Decision], None] = lambda decision: None,
    progress: Callable[[str, float], None] = lambda what, share: None,
    listen: Listener | None = None,
    choose: Chooser | None = None,
) -> Flight:
    """Begin an autopilot on a run, or go on with the one that was killed, and leave its incumbent as a run.

    Args:
        judge, metric: how runs of the project are diagnosed and ranked.
        noise, sub_cause: what studies of this run have told already; see `Autopilot`.
        tell: called with every decision, those of before a kill among them.
        progress: called with what is being trained and how much of it is done.
        listen: called with the events of the last training.
    Raises:
        UsageError: the run has no dev set.
        RunError: another autopilot is at work on the project.
    """
    if "dev" not in run.splits():
        raise UsageError(
            f"run {run.id} has no dev set, and nothing can be chosen without one",
            "--auto",
            "Give data.dev a share, for instance: orthogon train --set data.dev=0.2",
        )
    folder = project.folder / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        with at_work(folder):
            place, plan, resumed = _plan(folder, project, run, budget, seed)
            known = {"noise": noise, "sub_cause": sub_cause, "choose": choose, "progress": progress}
            flight = _fly(project, run, budget, judge, metric, place, plan, resumed, tell, listen, known)
    except BlockingIOError as cause:
        raise RunError(
            "an autopilot is at work on this project", str(folder), "Wait until it has finished: orthogon runs"
        ) from cause
    return flight


def _plan(folder: Path, project: Project, run: Run, budget: Budget, seed: int) -> tuple[Path, dict[str, Any], bool]:
    """The folder and plan of the autopilot to fly; that of a killed one of the same run and budget, if there is one."""
    wanted = {"run": run.id, "budget": str(budget), "seed": seed}
    known = sorted(path.parent for path in folder.glob("[0-9]*/plan.json"))
    for place in known:
        plan = json.loads((place / "plan.json").read_text(encoding="utf-8"))
        if plan["status"] == "at work" and all(plan[key] == value for key, value in wanted.items()):
            return place, plan, True
    place = folder / f"{1 + max((int(path.name) for path in known), default=0):04d}"
    place.mkdir()
    plan = {"format": 1, **wanted, "status": "at work", "began": now(), "logbook": len(project.logbook())}
    write_json(place / "plan.json", plan)
    project.log("autopilot began", autopilot=place.name, run=run.id, budget=str(budget), seed=seed)
    return place, plan, False


def _fly(
    project: Project,
    run: Run,
    budget: Budget,
    judge: Judge,
    metric: Metric,
    place: Path,
    plan: dict[str, Any],
    resumed: bool,
    tell: Callable[[Decision], None],
    listen: Listener | None,
    options: Mapping[str, Any],
) -> Flight:
    number = place.name
    logbook = project.logbook()
    written = {
        entry["number"] for entry in logbook if entry.get("autopilot") == number and entry.get("number") is not None
    }
    trials = Trials(project, parse(timeless(run)))
    start = as_trial(run, trials)
    ledger = Ledger(place / "ledger.jsonl", trials, compute(trials, Recipe(), start), start.seconds)

    def decided(decision: Decision) -> None:
        if decision.number not in written:
            event = "autopilot trial" if decision.verdict else "autopilot decision"
            project.log(event, autopilot=number, parent=run.id, **decision.to_dict())
        tell(decision)

    pilot = Autopilot(
        ledger,
        budget,
        judge,
        metric,
        shipped().after(logbook[: plan["logbook"]]),
        seed=plan["seed"],
        start=start,
        tell=decided,
        **options,
    )
    result = pilot.run()
    left = _leave(project, run, result, number, listen)
    if not left.finished:
        raise KeyboardInterrupt
    test_error = metric.error(left.scores("test")) if left.id != run.id and "test" in left.splits() else None
    flight = Flight(
        number,
        run.id,
        left.id,
        result,
        budget,
        metric,
        metric.error(run.scores("dev")),
        metric.error(left.scores("dev")),
        test_error,
        resumed,
    )
    write_json(place / "plan.json", {**plan, "status": "finished", "left": left.id})
    told = {key: value for key, value in flight.to_dict().items() if key != "decisions"}
    project.log("autopilot finished", sentence=flight.summary(), **told)
    return flight


def _leave(project: Project, run: Run, result: Result, number: str, listen: Listener | None) -> Run:
    """The incumbent as a run: the one it began with, one that a killed process had begun, or a new one."""
    if not result.incumbent.overrides:
        return run
    knob = f"{KNOB} {int(number)}"
    for made in project.runs():
        if made.info.get("knob") == knob:
            if made.finished:
                return made
            if made.resumable:
                return project.resume(made, listen)
    config = parse(result.incumbent.trial.config)
    return project.train(config, parent=run.id, knob=knob, listen=listen)


def timeless(run: Run) -> dict[str, Any]:
    """The run's config with a budget in minutes turned into the updates that it bought: the same on every machine."""
    values: dict[str, Any] = json.loads(json.dumps(run.config))
    if values["training"]["minutes"] is not None:
        for key, value in (("minutes", None), ("epochs", None), ("steps", int(run.info["steps"]))):
            put(values, f"training.{key}", value)
    return values


def as_trial(run: Run, trials: Trials) -> Trial:
    """A finished run as the trial of its own config would be."""
    parts = [name for name in ("train", "train_dev", "dev") if name in run.splits()]
    return Trial(
        key=trials.key(Recipe(purpose="autopilot")),
        config=trials.config.model_dump(mode="json"),
        num_train=int(run.info["split_sizes"]["train"]),
        whole=True,
        status=str(run.info["why"]),
        steps=int(run.info["steps"]),
        seconds=float(run.info["seconds"]),
        parameters=int(run.info["parameters"]),
        history=[event for event in run.history() if event.get("dev_loss") is not None],
        scores={name: run.scores(name) for name in parts},
        answers={"dev": run.answers("dev")} if "dev" in parts else {},
        purpose="autopilot",
    )
