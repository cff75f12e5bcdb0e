"""What a search spends, trial by trial, so that a budget can be kept and a killed search goes on as if it had not been.

Whoever searches is a function of the trials' figures and of a seed alone. So the ledger keeps, in order, what each
trial cost and how it ended; after a kill the same questions are asked again, answered from the ledger, and decided
alike, until the first that was not answered before.

Compute is counted twice: in multiply-adds, exact and alike on every machine, and in seconds as they passed. A training
counts 3 multiply-adds of the forward pass an example that it learns from (backward is twice as dear as forward), and 1
an example that it is measured on. One run is what the training of the config that the search began with costs. Deciding
has no multiply-adds; its seconds are charged at what a run took of them.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orthogon.errors import RunError, UsageError
from orthogon.project.trial import Recipe, Trial, Trials, Watch
from orthogon.shown import json_text

TINY = 1e-6  # seconds: a clock that stands still divides nothing
BACKWARD = 3  # multiply-adds of learning from an example, of those of answering it
UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "m": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}


@dataclass(frozen=True)
class Budget:
    """What may be spent: a number of runs like the first, or seconds as they pass."""

    runs: float = math.inf
    seconds: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "20runs", "30min", "2h" or "90s".

        Raises:
            UsageError: the text is none of these, or the budget is nothing.
        """
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+?)(?:(?<=[a-z]{3})s)?\s*", text)
        remedy = "For instance: --auto 30min, or --auto 20runs (as much compute as 20 runs like this one)."
        if found is None or found[2].lower() not in (*UNITS, "run"):
            raise UsageError(f'"{text}" is not a budget', "--auto", remedy)
        amount, unit = float(found[1]), found[2].lower()
        if amount == 0:
            raise UsageError(f'a budget of "{text}" buys nothing', "--auto", remedy)
        return cls(runs=amount) if unit == "run" else cls(seconds=amount * UNITS[unit])

    def __str__(self) -> str:
        if math.isfinite(self.runs):
            return f"{self.runs:g} run{'' if self.runs == 1 else 's'}"
        return f"{self.seconds / 60:g} minutes" if self.seconds >= 60 else f"{self.seconds:g} seconds"


@dataclass(frozen=True)
class Spent:
    """runs: trainings, in the first's compute. multiply_adds: theirs. seconds: as they passed, thinking among them.

    thinking_runs: the thinking, at the seconds that a run takes. studies, study_seconds: those of the trainings that
    were made only to know what to do, and are no candidates.
    """

    runs: float = 0.0
    multiply_adds: float = 0.0
    seconds: float = 0.0
    thinking: float = 0.0
    thinking_runs: float = 0.0
    studies: float = 0.0
    study_seconds: float = 0.0

    @property
    def charged(self) -> float:
        """In runs: trainings and thinking."""
        return self.runs + self.thinking_runs

    def share(self, budget: Budget) -> float:
        """Of the budget, 1 when it is used up."""
        return max(self.charged / budget.runs, self.seconds / budget.seconds)

    def deciding(self, budget: Budget) -> float:
        """Share of the budget that went into knowing what to do: thinking and studies."""
        in_runs, in_seconds = self.thinking_runs + self.studies, self.thinking + self.study_seconds
        return max(in_runs / budget.runs, in_seconds / budget.seconds)


def seconds() -> float:
    """The clock of every ledger that is given no other."""
    return time.perf_counter()


def compute(trials: Trials, recipe: Recipe, trial: Trial) -> float:
    """Multiply-adds of a trial, as far as it went."""
    each, training = trials.multiply_adds(recipe), trial.config["training"]
    per_epoch = math.ceil(trial.num_train / training["batch_size"])
    learned = trial.steps / per_epoch * trial.num_train
    judged = len(trial.history) * (len(trials.splits["dev"]) if "dev" in trials.splits else 0)
    measured = sum(len(scores) for scores in trial.scores.values())
    return float(each) * (BACKWARD * learned + judged + measured)


class Ledger:
    """The ledger of one search.

    Args:
        path: JSON lines; what an earlier process wrote there is replayed.
        trials: what makes the trials.
        unit: multiply-adds of one run; None: of the first trial that is made.
        unit_seconds: what that run took; without it thinking is charged from the first trial on.
        clock: seconds as they pass.
    """

    def __init__(
        self,
        path: Path,
        trials: Trials,
        unit: float | None = None,
        unit_seconds: float = math.inf,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.path, self.trials, self.unit, self.unit_seconds = path, trials, unit, unit_seconds
        self.clock = clock or seconds
        self._lines = _whole_lines(path)
        self._at = 0
        self._spent = Spent()
        self._trained = (0.0, 0.0)  # runs and seconds of the trials that were made here, not found made

    @property
    def spent(self) -> Spent:
        return replace(self._spent, thinking_runs=self._spent.thinking / self.seconds_a_run)

    @property
    def seconds_a_run(self) -> float:
        """What a run takes, by the trials so far."""
        runs, took = self._trained
        return max(took / runs, TINY) if runs > 0 else max(self.unit_seconds, TINY)

    @property
    def replaying(self) -> bool:
        """Whether what comes next was answered before."""
        return self._at < len(self._lines)

    def make(self, recipe: Recipe, watch: Watch | None = None, study: bool = False) -> Trial:
        """The trial, charged; from the ledger where it was made before.

        study: it is no candidate, only to know what to do.
        Raises:
            RunError: the ledger is of another search.
            OrthogonError: the recipe cannot work.
        """
        key = self.trials.key(recipe)
        if self.replaying:
            line = self._next("trial", key)
            if line["status"] == "stopped":
                trial = _stopped(line, self.trials, recipe, key)
            else:
                trial = self.trials.make(recipe)
            return self._charge(line, trial)
        found = (self.trials.folder / key / "trial.json").exists()
        began = self.clock()
        trial = self.trials.make(recipe, watch)
        line = {
            "what": "trial",
            "key": key,
            "status": trial.status,
            "steps": trial.steps,
            "multiply_adds": compute(self.trials, recipe, trial),
            "seconds": self.clock() - began,
            "processor_seconds": trial.seconds,
            "found": found,
            "study": study,
        }
        if trial.status == "stopped":
            line |= {"history": list(trial.history), "num_train": trial.num_train, "parameters": trial.parameters}
        self._write(line)
        return self._charge(line, trial)

    @contextmanager
    def thinking(self) -> Iterator[None]:
        """Charges the time of what is decided inside."""
        if self.replaying:
            line = self._next("thinking", "")
            yield
        else:
            began = self.clock()
            yield
            line = {"what": "thinking", "key": "", "seconds": self.clock() - began}
            self._write(line)
        s, took = self._spent, line["seconds"]
        self._spent = replace(s, seconds=s.seconds + took, thinking=s.thinking + took)

    def _charge(self, line: dict[str, Any], trial: Trial) -> Trial:
        if self.unit is None:
            self.unit = line["multiply_adds"]
        s, madds, took = self._spent, line["multiply_adds"], line["seconds"]
        runs = madds / max(self.unit, 1.0)
        self._spent = replace(s, runs=s.runs + runs, multiply_adds=s.multiply_adds + madds, seconds=s.seconds + took)
        if not line.get("found"):
            self._trained = self._trained[0] + runs, self._trained[1] + took
        if line.get("study"):
            self._spent = replace(self._spent, studies=s.studies + runs, study_seconds=s.study_seconds + took)
        return trial

    def _next(self, what: str, key: str) -> dict[str, Any]:
        line = self._lines[self._at]
        if (line["what"], line["key"]) != (what, key):
            raise RunError(
                "this ledger is of another search: the data, the config or Orthogon has changed since",
                str(self.path),
                "Begin anew: remove that folder; the trials that still fit are kept beside it.",
            )
        self._at += 1
        return line

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        self._at = len(self._lines)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json_text(line, indent=None) + "\n")


def _stopped(line: dict[str, Any], trials: Trials, recipe: Recipe, key: str) -> Trial:
    return Trial(
        key=key,
        config=trials.config_of(recipe).model_dump(mode="json"),
        num_train=line["num_train"],
        whole=recipe.train is None and recipe.select is None,
        status="stopped",
        steps=line["steps"],
        seconds=line["processor_seconds"],
        parameters=line["parameters"],
        history=line["history"],
        purpose=recipe.purpose,
    )


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of an earlier process; one that a kill tore is taken off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]
