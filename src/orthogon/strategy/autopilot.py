"""The autopilot: diagnose, turn the knob that should pay best, keep what helps, stop when nothing is left to gain.

    1  the run it begins with is the first incumbent; where there is none, its config is trained first
    2  diagnose with intervals; stop where no gap is left, or the room left is smaller than the error's own uncertainty
    3  the learning rate, three times and a third of it
    4  else the step with the best score: expected gain, its lower quantile, over cost (advice.ranked, beliefs.py)
    5  a trial is ended early when its dev loss, at 15, 40 and 70 % of its schedule, lies above the incumbent's at the
       same share by more than a standard error
    6  it is kept when the paired dev loss is lower by half a standard error, and the metric not higher than the
       lowest of all incumbents by a whole one; then every gap's movement is measured and the beliefs are updated
    7  no step left that should pay: search around the incumbent, half of it near it, a third near the first config, the
       rest anywhere (PriorBand-like)
    8  at the end two more seeds of the two best, by whose mean the choice is made; and the error corrected for having
       been chosen on dev

Test is never looked at here: the caller makes the incumbent a run, whose sealing looks at it once. Decisions are a
function of the trials' figures and of the seed alone, so a killed autopilot goes on to the same ones (ledger.py).

Source: the loop of the ML practitioner (diagnose, act, measure), with early kills as in successive halving and the
    sampling mix of Mallik et al. 2023, arXiv:2306.12370 (PriorBand).
Differs: kills compare at the same share of the schedule, not at the same step: where one trains longer than the other,
    its decayed rate is not yet as low. The mix has fixed shares, and no brackets beside the three kills.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from orthogon.errors import OrthogonError
from orthogon.metrics.intervals import Estimate, paired_difference
from orthogon.metrics.score import Metric, Scores, mean_metric, significant
from orthogon.project.trial import Recipe, Trial, Watch
from orthogon.strategy.advice import Outcome, Step, measure_step, ranked
from orthogon.strategy.beliefs import TAU, Beliefs, Observation
from orthogon.strategy.diagnosis import (
    MATERIAL,
    UNCLEAR,
    UNDETERMINED,
    Diagnosis,
    Gap,
    Optimism,
    about,
    selection_optimism,
)
from orthogon.strategy.knobs import Ending, read
from orthogon.strategy.ledger import Budget, Ledger, Spent, compute
from orthogon.training.space import RARE, Space, limited_to

LOOKS = (0.15, 0.4, 0.7)  # shares of the schedule at which a trial is compared with the incumbent
SLACK = 1.0  # standard errors above the incumbent's dev loss that are borne there
KEEP = 0.5  # standard errors by which the paired dev loss must be lower
WORSE = 1.0  # standard errors by which the metric may be higher than the lowest of all incumbents so far
FLOOR = 0.1  # expected gain, of the smallest gap worth acting on, below which no step is taken
LAST_SHARE = 0.1  # of the budget, for the seeds of the two best
NEAR, AROUND_FIRST = 0.5, 0.8  # the search: near the incumbent, else near the first config, else anywhere
NEAR_SIGMA, FIRST_SIGMA = 0.12, 0.25  # of a parameter's range
MOVED = 0.5  # chance that a parameter moves, near the incumbent
NOT_FOR_TRIALS = ("learning-rate race",)  # its race is not counted in updates; the rates are tried as trials instead
ENDINGS = {"finished": "finished", "patience": "patience", "budget": "budget"}

FAILURES = (OrthogonError, RuntimeError, ValueError)  # of one trial
MOST_FAILURES = 8  # in a row, from which on it is no accident

LOSS = mean_metric("loss", "dev loss", "loss")

Judge = Callable[[Mapping[str, Scores]], Diagnosis]
Chooser = Callable[[Sequence[Step], np.random.Generator], Step | None]


@dataclass(frozen=True)
class Candidate:
    """A system that was tried to its end. overrides: what sets it apart from the first config."""

    label: str
    overrides: Mapping[str, Any]
    trial: Trial

    @property
    def dev_loss(self) -> float:
        return float(np.mean(self.trial.scores["dev"].records["loss"]))


@dataclass(frozen=True)
class Decision:
    """One thing that the autopilot did, in plain words, with its figures.

    verdict: kept, not kept, ended early, failed, or "" for what is no trial. spent: when it was decided.
    error: the incumbent's dev error afterwards.
    """

    number: int
    title: str
    sentence: str
    verdict: str
    error: float
    spent: Spent
    knob: str = ""
    gap: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    cost_runs: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As the logbook keeps it; `measured`, `expected` and `orthogonal` as of a step that was taken."""
        told = {name: getattr(self, name) for name in ("number", "title", "sentence", "verdict", "error", "cost_runs")}
        told |= {"overrides": dict(self.overrides), "spent": asdict(self.spent)}
        measured = {} if self.outcome is None else self.outcome.to_dict()
        return {**measured, **told, "knob": self.knob, "gap": self.gap}


@dataclass(frozen=True)
class Result:
    """What came of it. stopped: why it ended, in words. optimism: of the choice among all candidates on dev."""

    incumbent: Candidate
    decisions: tuple[Decision, ...]
    candidates: tuple[Candidate, ...]
    stopped: str
    spent: Spent
    optimism: Optimism | None
    diagnosis: Diagnosis


class Autopilot:
    """Takes steps under a budget.

    Args:
        ledger: of its trials, which also says whether it goes on where an earlier process was killed.
        budget: at most so much is spent; the caller's own last training is not in it.
        judge: scores by split -> diagnosis, as the project diagnoses its runs, without test.
        metric: the one that ranks.
        beliefs: about the knobs.
        seed: of the search.
        start: the run it begins with, as a trial; None: the ledger's own config is trained first and charged.
        tell: called with every decision, and with {"progress": share of the training at work} between them.
        choose: picks a step among those that there are, best first; None: the best.
        kills: whether trials are ended early. stops: whether it may stop before the budget is spent.
    """

    def __init__(
        self,
        ledger: Ledger,
        budget: Budget,
        judge: Judge,
        metric: Metric,
        beliefs: Beliefs,
        *,
        seed: int = 0,
        start: Trial | None = None,
        tell: Callable[[Decision], None] = lambda decision: None,
        progress: Callable[[str, float], None] = lambda what, share: None,
        choose: Chooser | None = None,
        kills: bool = True,
        stops: bool = True,
    ) -> None:
        self.ledger, self.budget, self.judge, self.metric = ledger, budget, judge, metric
        self.trials, self.beliefs, self.seed = ledger.trials, beliefs, seed
        self.tell, self.progress, self.choose, self.kills, self.stops = tell, progress, choose, kills, stops
        self.rng = np.random.default_rng(seed)
        self.decisions: list[Decision] = []
        self.candidates: list[Candidate] = []
        self.refused: set[tuple[str, str]] = set()  # (knob, gap) that did not help from this incumbent on
        self.seen: set[str] = set()  # configs that were tried
        self.incumbent = self._begin(start)
        self.lowest = self.incumbent.trial.scores["dev"]  # of the incumbents, by the metric
        self.diagnosis = self._diagnose()

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Until the budget is spent or nothing is left to gain."""
        stopped, searching = "", False
        while not stopped:
            if self._left() <= 0:
                stopped = f"The budget of {self.budget} is spent."
                break
            last = [decision for decision in self.decisions if decision.verdict][-MOST_FAILURES:]
            if len(last) == MOST_FAILURES and all(decision.verdict == "failed" for decision in last):
                stopped = f"{MOST_FAILURES} trials in a row failed."
                break
            if self.stops:
                stopped = nothing_left(self.diagnosis)
                if stopped:
                    break
            step = None if searching else self._next_step()
            if step is not None:
                took = self._take(step)
            else:
                if not searching:
                    self._say("search", self._why_search(), "")
                    searching = True
                took = self._search()
                searching = not took  # a new incumbent has new steps
            if took is None:
                stopped = f"What is left of the budget of {self.budget} does not pay for another trial."
        self._seeds()
        self._say("stop", stopped, "")
        optimism = None
        if len(self.candidates) > 1:
            with self.ledger.thinking():
                optimism = selection_optimism([each.trial.scores["dev"] for each in self.candidates], self.metric)
        return Result(
            self.incumbent,
            tuple(self.decisions),
            tuple(self.candidates),
            stopped,
            self.ledger.spent,
            optimism,
            self.diagnosis,
        )

    def _begin(self, start: Trial | None) -> Candidate:
        if start is None:
            start = self._make(Recipe(purpose="autopilot"), "the first config")
        first = Candidate("the first config", {}, start)
        self.candidates.append(first)
        self.seen.add(self._key({}))
        return first

    def _left(self) -> float:
        """Share of the budget that is left for steps: without what the seeds at the end get."""
        return 1 - LAST_SHARE - self.ledger.spent.share(self.budget)

    def _affordable(self, cost_runs: float, last: bool = False) -> bool:
        """Whether a trial of this cost fits into what is left."""
        left = self._left() + (LAST_SHARE if last else 0.0)
        spent = self.ledger.spent
        share = cost_runs / self.budget.runs
        if math.isfinite(self.budget.seconds) and spent.runs > 0:
            share = cost_runs * spent.seconds / spent.runs / self.budget.seconds
        return share <= left + 1e-9

    # -- a step -------------------------------------------------------------------------------------------------

    def _next_step(self) -> Step | None:
        """The step to take now; None where none should pay."""
        with self.ledger.thinking():
            steps = [step for step in self._steps() if self._affordable(step.cost_runs * self._incumbent_runs())]
        if self.choose is not None:
            return self.choose(steps, self.rng)
        rate = next((step for step in steps if "learning rate" in step.knob), None)
        if len(self.candidates) == 1 and rate is not None:
            return rate  # what everything else depends on
        worth = FLOOR * self.diagnosis.smallest_gap
        worthy = [step for step in steps if step.expected is not None and step.expected.value >= worth]
        return worthy[0] if worthy else None

    def _steps(self) -> list[Step]:
        """Every step that Orthogon can take against a gap that may be there, the best first."""
        config = self.incumbent.trial.config
        trial = self.incumbent.trial
        ending = Ending(ENDINGS.get(trial.status, "finished"), trial.steps)
        found: list[Step] = []
        for gap in open_gaps(self.diagnosis):
            found += ranked(
                self.diagnosis,
                gap.name,
                config,
                self.trials.splits.sizes(),
                self.refused,
                trial.history,
                ending,
                self.beliefs,
                self._multiply_adds,
            )
        return sorted((step for step in found if self._possible(step)), key=lambda step: -step.score)

    def _possible(self, step: Step) -> bool:
        """Whether a trial can take it: Orthogon's own, not of the data, of a config that works and is new."""
        if step.who != "orthogon" or step.knob in NOT_FOR_TRIALS or any(k.startswith("data.") for k in step.overrides):
            return False
        try:
            return self._key({**self.incumbent.overrides, **step.overrides}) not in self.seen
        except OrthogonError:
            return False  # a knob that makes an invalid config is never proposed

    def _take(self, step: Step) -> bool | None:
        """Try a step; whether it was kept."""
        overrides = {**self.incumbent.overrides, **step.overrides}
        before, why = self.incumbent, self._why(step)
        try:
            trial = self._try(overrides, step.title)
        except FAILURES as error:
            self._say(step.title, f"{why} It failed: {_reason(error)}", "failed", step)
            self.refused.add((step.knob, step.gap))
            return False
        if trial.status == "stopped":
            self.beliefs = self.beliefs.updated([Observation(step.knob, step.gap, 0.0, TAU)])
            self.refused.add((step.knob, step.gap))
            self._say(step.title, f"{why} {self._ended(trial)}", "ended early", step)
            return False
        with self.ledger.thinking():
            outcome = measure_step(before.trial.scores, trial.scores, self.metric, step)
            kept, compared = self._compare(trial)
        if outcome.observation is not None:
            self.beliefs = self.beliefs.updated([outcome.observation])
        if outcome.orthogonal is False:
            self.beliefs = replace(self.beliefs, moved={**self.beliefs.moved, (step.knob, step.gap): outcome.also})
        if kept:
            self._keep(Candidate(step.title, overrides, trial))
        else:
            self.refused.add((step.knob, step.gap))
        sentence = f"{why} {compared} {outcome.sentence.partition('; ')[0]}."
        self._say(step.title, sentence, "kept" if kept else "not kept", step, outcome)
        return kept

    def _why(self, step: Step) -> str:
        gap = self.diagnosis.gap(step.gap)
        size = "" if gap is None else f" of {self._points(gap.value)} ({gap.verdict})"
        expected = f", expected to bring {self._points(step.expected.value)}" if step.expected else ""
        cost = step.cost_runs * self._incumbent_runs()
        return f"Against {step.gap}{size}: {step.title}{expected}, at the cost of {cost:.2g} runs."

    def _points(self, value: float) -> str:
        """A difference of errors."""
        return f"{100 * value:.1f} points" if self.metric.unit == "%" else self.diagnosis.show(value)

    def _keep(self, candidate: Candidate) -> None:
        self.incumbent = candidate
        scores = candidate.trial.scores["dev"]
        if self.metric.error(scores) < self.metric.error(self.lowest):
            self.lowest = scores
        self.refused.clear()
        self.diagnosis = self._diagnose()

    def _compare(self, trial: Trial) -> tuple[bool, str]:
        """Whether this trial's system takes the incumbent's place, and by what."""
        mine, theirs = trial.scores["dev"], self.incumbent.trial.scores["dev"]
        # the metric against the lowest so far, or many small steps up would go unseen
        loss, error = paired_difference(theirs, mine, LOSS), paired_difference(self.lowest, mine, self.metric)
        kept = loss.value + KEEP * _error_of(loss) < 0 and error.value <= WORSE * _error_of(error)
        before, after = (float(np.mean(scores.records["loss"])) for scores in (theirs, mine))
        figures = f"{significant(before)} to {significant(after)} ({significant(loss.value, '+')}"
        return kept, f"Dev loss {figures} ± {significant(_error_of(loss))}): {'kept' if kept else 'not kept'}."

    # -- a trial ------------------------------------------------------------------------------------------------

    def _try(self, overrides: Mapping[str, Any], title: str) -> Trial:
        trial = self._make(Recipe(dict(overrides), purpose="autopilot"), title, self._killer())
        self.seen.add(trial.key if trial.status != "stopped" else self._key(overrides))
        if trial.status != "stopped":
            self.candidates.append(Candidate(title, dict(overrides), trial))
        return trial

    def _make(self, recipe: Recipe, title: str, killer: Watch | None = None) -> Trial:
        total = [1]

        def watch(event: dict[str, Any]) -> bool:
            if event["event"] == "start":
                total[0] = max(1, event["total_steps"])
            if event["event"] in ("step", "evaluation"):
                self.progress(title, event["step"] / total[0])
            return killer is not None and killer(event)

        return self.ledger.make(recipe, watch)

    def _killer(self) -> Watch | None:
        """Ends a trial whose dev loss lies above the incumbent's at the same share of the schedule."""
        if not self.kills:
            return None
        history = [event for event in self.incumbent.trial.history if event.get("dev_loss") is not None]
        if not history:
            return None
        end = self.incumbent.trial.steps if self.incumbent.trial.status != "patience" else history[-1]["step"]
        losses = np.asarray(self.incumbent.trial.scores["dev"].records["loss"], float)
        slack = SLACK * float(losses.std()) / math.sqrt(len(losses))
        state: dict[str, Any] = {"total": None, "best": math.inf, "looks": list(LOOKS)}

        def kill(event: dict[str, Any]) -> bool:
            if event["event"] == "start":
                state["total"] = event["total_steps"]
            if event["event"] != "evaluation" or event.get("dev_loss") is None or not state["total"]:
                return False
            state["best"] = min(state["best"], event["dev_loss"])
            share = event["step"] / state["total"]
            if not state["looks"] or share < state["looks"][0] or share >= 1:
                return False
            state["looks"] = [look for look in state["looks"] if look > share]
            reached = [each["dev_loss"] for each in history if each["step"] <= share * end + 1e-9]
            return bool(reached) and not state["best"] <= min(reached) + slack

        return kill

    def _ended(self, trial: Trial) -> str:
        losses = [event["dev_loss"] for event in trial.history if event.get("dev_loss") is not None]
        best = significant(min(losses)) if losses else "no figure"
        return f"Ended after {trial.steps:,} updates: dev loss {best}, above what {self.incumbent.label} had there."

    def _key(self, overrides: Mapping[str, Any]) -> str:
        return self.trials.key(Recipe(dict(overrides), purpose="autopilot"))

    def _multiply_adds(self, overrides: Mapping[str, Any]) -> float | None:
        try:
            return float(self.trials.multiply_adds(Recipe({**self.incumbent.overrides, **overrides})))
        except (OrthogonError, RuntimeError, ValueError):
            return None

    def _diagnose(self) -> Diagnosis:
        with self.ledger.thinking():
            return self.judge(self.incumbent.trial.scores)

    # -- the search ---------------------------------------------------------------------------------------------

    def _why_search(self) -> str:
        theirs = yours(self.diagnosis)
        said = f" {theirs}" if theirs else ""
        return f"No step is left whose expected gain is worth a trial.{said} What is left goes into a search around it."

    def _search(self) -> bool | None:
        """One trial of the search; whether it was kept. None where no more can be afforded."""
        overrides = self._draw()
        if overrides is None or not self._affordable(self._cost(overrides)):
            return None
        title = ", ".join(f"{key.partition('.')[2]} {value}" for key, value in overrides.items())
        merged = {**self.incumbent.overrides, **overrides}
        try:
            trial = self._try(merged, title)
        except FAILURES as error:
            self.seen.add(self._key(merged))
            self._say(title, f"Search: {title}. It failed: {_reason(error)}", "failed")
            return False
        if trial.status == "stopped":
            self._say(title, f"Search: {title}. {self._ended(trial)}", "ended early", overrides=overrides)
            return False
        with self.ledger.thinking():
            kept, compared = self._compare(trial)
        if kept:
            self._keep(Candidate(title, merged, trial))
        self._say(title, f"Search: {title}. {compared}", "kept" if kept else "not kept", overrides=overrides)
        return kept

    def _cost(self, overrides: Mapping[str, Any]) -> float:
        """In runs; how long it trains is not searched, so it is the incumbent's by its multiply-adds."""
        before, after = self._multiply_adds({}), self._multiply_adds(overrides)
        return self._incumbent_runs() * (after / before if before and after else 1.0)

    def _incumbent_runs(self) -> float:
        """What the incumbent's training cost, in runs like the first: a step's cost is in runs like the incumbent's."""
        return self._runs_of(self.incumbent)

    def _runs_of(self, candidate: Candidate) -> float:
        spent = compute(self.trials, Recipe(dict(candidate.overrides)), candidate.trial)
        return spent / max(self.ledger.unit or spent, 1.0)

    def _draw(self) -> dict[str, Any] | None:
        """A new config of the search space, as overrides of the incumbent's."""
        space: Space = limited_to(self.trials.task.search_space(self.trials.config.training), RARE - 1)
        first = self.trials.config.model_dump(mode="json")
        for _ in range(50):
            near = self.rng.random()
            around, sigma = (self.incumbent.trial.config, NEAR_SIGMA) if near < NEAR else (first, FIRST_SIGMA)
            overrides: dict[str, Any] = {}
            for key, parameter in space.items():
                u, moved = self.rng.random(), self.rng.random() < MOVED
                step = sigma * self.rng.standard_normal()
                held = read(around, key)
                if near < AROUND_FIRST and held is not None:
                    if near < NEAR and not moved:
                        continue
                    if parameter.scale == "choice":
                        u = u if abs(step) > sigma else parameter.place(held)
                    else:
                        u = min(max(parameter.place(held) + step, 0.0), 1.0)
                value = parameter.at(u)
                if value != read(self.incumbent.trial.config, key):
                    overrides[key] = value
            try:
                if overrides and self._key({**self.incumbent.overrides, **overrides}) not in self.seen:
                    return overrides
            except OrthogonError:
                continue
        return None

    # -- the end ------------------------------------------------------------------------------------------------

    def _seeds(self) -> None:
        """Two more seeds of the two best by dev loss, as far as they can be paid; the lower mean is chosen."""
        others = [each for each in self.candidates if each.trial.key != self.incumbent.trial.key]
        others = [each for each in others if self._close(each)]
        if not others:
            return
        rival = min(others, key=lambda each: each.dev_loss)
        pair = [self.incumbent, rival]
        losses: list[list[float]] = [[each.dev_loss] for each in pair]
        for more in (1, 2):
            cost = sum(self._runs_of(each) for each in pair)
            if not self._affordable(cost, last=True):
                break
            for each, kept in zip(pair, losses, strict=True):
                seed = self.trials.config.seed + more
                recipe = Recipe(dict(each.overrides), seed=seed, purpose="autopilot")
                trial = self._make(recipe, f"{each.label}, seed {seed}")
                kept.append(float(np.mean(trial.scores["dev"].records["loss"])))
        n = len(losses[0])
        if n == 1:
            return
        mine, theirs = (float(np.mean(kept)) for kept in losses)
        if theirs < mine:
            self.incumbent = rival
            self.diagnosis = self._diagnose()
        sentence = (
            f"Over {n} seeds {pair[0].label} has a dev loss of {significant(mine)}, "
            f"{rival.label} {significant(theirs)}: {self.incumbent.label} is chosen."
        )
        self._say("seeds", sentence, "")

    def _close(self, candidate: Candidate) -> bool:
        """Whether another seed could put it before the incumbent: within two standard errors of the difference."""
        difference = paired_difference(self.incumbent.trial.scores["dev"], candidate.trial.scores["dev"], LOSS)
        return difference.value < 2 * _error_of(difference)

    def _say(
        self,
        title: str,
        sentence: str,
        verdict: str,
        step: Step | None = None,
        outcome: Outcome | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        decision = Decision(
            len(self.decisions) + 1,
            title,
            sentence,
            verdict,
            self.metric.error(self.incumbent.trial.scores["dev"]),
            self.ledger.spent,
            step.knob if step else "",
            step.gap if step else "",
            dict(step.overrides) if step else dict(overrides or {}),
            outcome,
            step.cost_runs if step else 0.0,
        )
        self.decisions.append(decision)
        self.tell(decision)


# -- judgements ---------------------------------------------------------------------------------------------------


def open_gaps(diagnosis: Diagnosis) -> list[Gap]:
    """Gaps that are there, or may be: the material ones first, then by size."""
    order = {MATERIAL: 0, UNCLEAR: 1, UNDETERMINED: 2}
    found = [gap for gap in diagnosis.gaps if gap.verdict in order]
    return sorted(found, key=lambda gap: (order[gap.verdict], -gap.value))


def nothing_left(diagnosis: Diagnosis) -> str:
    """Why training can bring nothing more that this dev set would show; empty where it can."""
    dev, floor = diagnosis.rung("dev"), diagnosis.rung("floor")
    room, own = max(0.0, dev.value - floor.value), (dev.high - dev.low) / 2
    if not open_gaps(diagnosis):
        return (
            f"No gap is left that is worth acting on (from {diagnosis.show(diagnosis.smallest_gap)}): "
            "nothing left that training can fix."
        )
    if any(gap.verdict == MATERIAL for gap in diagnosis.gaps):
        return ""
    if room <= own and math.isfinite(own):
        wanted = max(room / 2, diagnosis.smallest_gap)
        more = math.ceil(dev.n * (own / wanted) ** 2) - dev.n
        return (
            f"The room left, {diagnosis.show(room)}, is no larger than what dev leaves in doubt, "
            f"{diagnosis.show(own)}: nothing left that training can fix and this dev set could show; "
            f"{about(more)} more dev examples would tell."
        )
    return ""


def yours(diagnosis: Diagnosis) -> str:
    """What only a person can bring against the open gaps, in a sentence."""
    from orthogon.strategy.knobs import knobs_for

    names = {knob.name: None for gap in open_gaps(diagnosis) for knob in knobs_for(gap.name) if knob.who == "you"}
    names.pop("human level", None)
    if not names:
        return ""
    return f"What would help now is yours to bring: {', '.join(names)}."


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, OrthogonError) else (str(error).splitlines() or [type(error).__name__])[0]


def _error_of(estimate: Estimate) -> float:
    return math.sqrt(max(estimate.variance, 0.0)) if math.isfinite(estimate.variance) else 0.0


__all__ = ["Autopilot", "Candidate", "Decision", "Result", "nothing_left", "open_gaps", "yours"]
