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

The floor is the noise that dev's answers show in the labels; whether optimisation or capacity limits the fit is told
by the steps against bias themselves (evidence.py). Deciding may take a fifth of the budget: its time is charged, a
study that would take more is left out, and once all of that fifth is gone the rest goes into the search.

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
from orthogon.strategy.beliefs import TAU, Beliefs, Gain, Observation
from orthogon.strategy.curve import WIDTH_KEYS
from orthogon.strategy.diagnosis import (
    BIAS,
    MATERIAL,
    UNCLEAR,
    UNDETERMINED,
    Diagnosis,
    Gap,
    Optimism,
    about,
    selection_optimism,
)
from orthogon.strategy.evidence import (
    OUT_OF_FOLD_RUNS,
    STUDIES,
    DevNoise,
    Fits,
    probe_runs,
    worth_out_of_fold,
)
from orthogon.strategy.floor import Noise
from orthogon.strategy.knobs import Ending, read
from orthogon.strategy.label_study import noise_of, out_of_fold
from orthogon.strategy.ledger import Budget, Ledger, Spent, compute
from orthogon.strategy.probes import WIDER, probe, trainer
from orthogon.training.space import RARE, Space, limited_to

LOOKS = (0.15, 0.4, 0.7)  # shares of the schedule at which a trial is compared with the incumbent
SLACK = 1.0  # standard errors above the incumbent's dev loss that are borne there
KEEP = 0.5  # standard errors by which the paired dev loss must be lower
WORSE = 1.0  # standard errors by which the metric may be higher than the lowest of all incumbents so far
FLOOR = 0.1  # expected gain, of the smallest gap worth acting on, below which no step is taken
DECIDING = 0.2  # of the budget, that deciding may take: its time, and trainings that are no candidates
OPTIMISM_DRAWS = 500  # an average over so many knows the optimism to a tenth of dev's standard error
LAST_SHARE = 0.1  # of the budget, for the seeds of the two best
NEAR, AROUND_FIRST = 0.5, 0.8  # the search: near the incumbent, else near the first config, else anywhere
NEAR_SIGMA, FIRST_SIGMA = 0.12, 0.25  # of a parameter's range
MOVED = 0.5  # chance that a parameter moves, near the incumbent
NOT_FOR_TRIALS = ("learning-rate race",)  # its race is not counted in updates; the rates are tried as trials instead
MOST = f"{DECIDING:.0%}"
REST = "what is left goes into a search around the incumbent"
ENDINGS = {"finished": "finished", "patience": "patience", "budget": "budget"}

FAILURES = (OrthogonError, RuntimeError, ValueError)  # of one trial
MOST_FAILURES = 8  # in a row, from which on it is no accident

LOSS = mean_metric("loss", "dev loss", "loss")

Judge = Callable[[Mapping[str, Scores], Mapping[str, Noise]], Diagnosis]
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
        judge: scores by split, wrong labels by split as far as known -> diagnosis, as the project diagnoses its runs,
            without test.
        metric: the one that ranks.
        beliefs: about the knobs.
        seed: of the search.
        start: the run it begins with, as a trial; None: the ledger's own config is trained first and charged.
        tell: called with every decision, and with {"progress": share of the training at work} between them.
        choose: picks a step among those that there are, best first; None: the best.
        kills: whether trials are ended early. stops: whether it may stop before the budget is spent.
        noise: wrong labels, where a study has told them already. sub_cause: of the bias, where probes have.
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
        noise: Mapping[str, Noise] | None = None,
        sub_cause: str | None = None,
    ) -> None:
        self.ledger, self.budget, self.judge, self.metric = ledger, budget, judge, metric
        self.trials, self.beliefs, self.seed = ledger.trials, beliefs, seed
        self.tell, self.progress, self.choose, self.kills, self.stops = tell, progress, choose, kills, stops
        self.rng = np.random.default_rng(seed)
        self.decisions: list[Decision] = []
        self.candidates: list[Candidate] = []
        self.refused: set[tuple[str, str]] = set()  # (knob, gap) that did not help from this incumbent on
        self.seen: set[str] = set()  # configs that were tried
        self.diagnoses: list[Diagnosis] = []
        self.dev_noise, self.noise = DevNoise(self.trials), dict(noise or {})
        self.studied = bool(noise)  # then what dev's answers say adds nothing
        self.fits = Fits(given=sub_cause)
        self.spent_up = False  # of what deciding may take
        self.incumbent = self._begin(start)
        self.lowest = self.incumbent.trial.scores["dev"]  # of the incumbents, by the metric
        self.diagnosis = self._diagnose()

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Until the budget is spent or nothing is left to gain."""
        stopped, searching = "", False
        self._study()
        dearest, before = 0.0, self.ledger.spent.deciding(self.budget)
        while not stopped:
            if self._left() <= 0:
                stopped = f"The budget of {self.budget} is spent."
                break
            last = [decision for decision in self.decisions if decision.verdict][-MOST_FAILURES:]
            if len(last) == MOST_FAILURES and all(decision.verdict == "failed" for decision in last):
                stopped = f"{MOST_FAILURES} trials in a row failed."
                break
            decided = self.ledger.spent.deciding(self.budget)
            dearest, before = max(dearest, decided - before), decided
            if not self.spent_up and decided + dearest > DECIDING:  # one more step could take it over its share
                self.spent_up = searching = True
                self._say(
                    "deciding", f"Deciding has taken {decided:.0%} of the budget and may take {MOST}: {REST}.", ""
                )
            if self.stops and not self.spent_up:
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
                searching = self.spent_up or not took  # a new incumbent has new steps
            if took is None:
                stopped = f"What is left of the budget of {self.budget} does not pay for another trial."
        self._seeds()
        self._say("stop", stopped, "")
        optimism = None
        if len(self.candidates) > 1:
            with self.ledger.thinking():
                on_dev = [each.trial.scores["dev"] for each in self.candidates]
                optimism = selection_optimism(on_dev, self.metric, OPTIMISM_DRAWS)
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
        worth = FLOOR * self.diagnosis.smallest_gap
        worthy = [step for step in steps if step.expected is not None and step.expected.value >= worth]
        if len(self.candidates) == 1:  # what everything else depends on comes first
            worthy.sort(key=lambda step: "learning rate" not in step.knob)
        elif self.fits.due:  # the other of the two probes
            worthy.sort(key=lambda step: not self._is_due(step))
        return worthy[0] if worthy else None

    def _is_due(self, step: Step) -> bool:
        """Whether it tries what nothing has tried yet against a bias that is sure, and may bring enough."""
        bias = self.diagnosis.gap(BIAS)
        if bias is None or bias.verdict != MATERIAL or step.gap != BIAS or step.expected is None:
            return False
        return step.knob in self.fits.due and step.expected.value >= self.diagnosis.smallest_gap

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
        found = [self._weighed(step) for step in found if self._possible(step)]
        return sorted(found, key=lambda step: -step.score)

    def _weighed(self, step: Step) -> Step:
        """The step, expected to bring less where its kind is known to matter less for the fit."""
        share = self.fits.share(step.knob) if step.gap == BIAS else 1.0
        if share == 1.0 or step.expected is None:
            return step
        expected = Gain(*(share * value for value in step.expected))
        return replace(step, expected=expected, score=share * step.score)

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
            self.fits.see(step.knob, 1.0, 1.0)  # it took nothing away
            self.beliefs = self.beliefs.updated([Observation(step.knob, step.gap, 0.0, TAU)])
            self.refused.add((step.knob, step.gap))
            self._say(step.title, f"{why} {self._ended(trial)}", "ended early", step)
            return False
        with self.ledger.thinking():
            outcome = measure_step(before.trial.scores, trial.scores, self.metric, step)
            kept, compared = self._compare(trial)
        told = self._learn_fit(before.trial, trial, step)
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
        if told:
            self._say("sub-cause", told, "")
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
        if not self.spent_up:
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
        trial = self.incumbent.trial
        with self.ledger.thinking():
            if not self.studied:
                self.noise = self._noise_on_dev(trial)
            known = {name: noise for name, noise in self.noise.items() if noise.known}
            found = self.judge(trial.scores, known)
        bias = found.gap(BIAS)
        if bias is not None and bias.verdict == MATERIAL:
            found = replace(found, sub_cause=self.fits.sub_cause)
        self.diagnoses.append(found)
        return found

    # -- what it knows beside -----------------------------------------------------------------------------------

    def _noise_on_dev(self, trial: Trial) -> dict[str, Noise]:
        """By this trial's answers on dev; of train too, where both are drawn alike."""
        found = self.dev_noise.of(trial)
        if found is None:
            return {}
        data = trial.config["data"]
        alike = all(data.get(key) is None for key in ("target_domain", "time", "dev_source"))
        return {"train": found, "dev": found} if alike else {"dev": found}

    def _study(self) -> None:
        """What is worth knowing before the first step, as far as it may cost; in the logbook either way."""
        noise = self.noise.get("dev")
        if not self.studied and worth_out_of_fold(noise):
            if self._may_study(OUT_OF_FOLD_RUNS):
                found = out_of_fold(self.trials, make=lambda recipe: self.ledger.make(recipe, study=True))
                with self.ledger.thinking():
                    self.noise, self.studied = noise_of(self.trials, found)[0], True
                self.diagnosis = self._diagnose()
            else:
                self._say(
                    "study", f"Answers out of fold would tell of wrong labels: {self._too_dear(OUT_OF_FOLD_RUNS)}", ""
                )
        self._say("floor", self._of_floor(), "")
        bias = self.diagnosis.gap(BIAS)
        if bias is None or bias.verdict != MATERIAL or self.fits.given is not None:
            return
        with self.ledger.thinking():
            cost = probe_runs(self.incumbent.trial.steps, self._times_wider())
        if not self._may_study(cost):
            self._say(
                "study",
                f"Two probes of the bias: {self._too_dear(cost)} The steps that are taken anyway are probes too.",
                "",
            )
            return
        train, _ = trainer(self.trials, self.metric, make=lambda recipe: self.ledger.make(recipe, study=True))
        error = float(self.metric.error(self.incumbent.trial.scores["train"]))
        probes = probe(train, error, self.incumbent.trial.steps, self.diagnosis.smallest_gap, self.metric.unit)
        self.fits.given = probes.sub_cause
        self.diagnosis = self.diagnosis.with_sub_cause(probes.sub_cause, probes.sentence())
        self._say("study", probes.sentence(), "")

    def _may_study(self, runs: float) -> bool:
        """Whether trainings of so much, which are no candidates, fit into what they may take."""
        in_seconds = runs * self.ledger.seconds_a_run / self.budget.seconds
        share = max(runs / self.budget.runs, in_seconds if math.isfinite(self.budget.seconds) else 0.0)
        return share <= STUDIES and share + self.ledger.spent.deciding(self.budget) <= DECIDING

    def _too_dear(self, runs: float) -> str:
        return (
            f"they would cost about {runs:,.0f} runs, more than the {STUDIES:.0%} of the budget that studies may take."
        )

    def _times_wider(self) -> float:
        """Multiply-adds of the network that the probes widen, of the incumbent's; inf where it has no width."""
        config = self.incumbent.trial.config
        widths = {key: read(config, key) for key in WIDTH_KEYS if isinstance(read(config, key), int)}
        before, after = self._multiply_adds({}), self._multiply_adds({k: w * WIDER for k, w in widths.items()})
        return after / before if widths and before and after else math.inf

    def _of_floor(self) -> str:
        """What the floor is taken to be, and why."""
        floor, noise = self.diagnosis.rung("floor"), self.noise.get("train") or self.noise.get("dev")
        if floor.source == "given":
            return f"The floor is what people reach, {self.diagnosis.show(floor.value)}."
        if floor.source == "measured" and noise is not None:
            return f"The floor is the noise in the labels: {noise.says()}; {noise.why}."
        if noise is None:
            return f"The floor is taken as 0: {self.dev_noise.why or 'no answers on dev were kept'}."
        seen = noise.says() if noise.known else f"how many labels are wrong is {noise.says()}"
        return f"The floor is taken as 0: {seen}."

    def _learn_fit(self, before: Trial, after: Trial, step: Step) -> str:
        """Note what this step took away of the train error, above the floor; what it tells of the sub-cause, if new."""
        known, floor = self.fits.sub_cause, self.diagnosis.rung("floor").value
        if "train" in before.scores and "train" in after.scores:
            errors = (max(0.0, self.metric.error(trial.scores["train"]) - floor) for trial in (before, after))
            self.fits.see(step.knob, *errors)
        return self.fits.sentence() if self.fits.sub_cause not in (None, known) else ""

    # -- the search ---------------------------------------------------------------------------------------------

    def _why_search(self) -> str:
        theirs = yours(self.diagnosis)
        said = f" {theirs}" if theirs else ""
        return f"No step is left whose expected gain is worth a trial.{said} What is left goes into a search around it."

    def _search(self) -> bool | None:
        """One trial of the search; whether it was kept. None where no more can be afforded."""
        with self.ledger.thinking():
            overrides = self._draw()
            cost = 0.0 if overrides is None else self._cost(overrides)
        if overrides is None or not self._affordable(cost):
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
        would = f"; {about(more)} more dev examples would tell" if more > 0 else ""
        return (
            f"The room left, {diagnosis.show(room)}, is no larger than what dev leaves in doubt, "
            f"{diagnosis.show(own)}: nothing left that training can fix and this dev set could show{would}."
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
