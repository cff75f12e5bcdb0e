"""What a problem is: the contract every task keeps.

A task joins the rooms below it. It is made from its config, learns its transforms from train alone (`fit`), builds the
network and the Objective, turns outputs into answers, scores answers, and shows an example with its answer as a Card.
Nothing above this room knows what kind of problem it holds; nothing below it knows that there are tasks.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from orthogon.data.examples import Example, Examples, Finding
from orthogon.errors import UsageError
from orthogon.metrics.score import Metric, Scores
from orthogon.training.config import TrainingConfig
from orthogon.training.halving import Halving
from orthogon.training.objective import Objective
from orthogon.training.space import Space, training_space


class TaskConfig(BaseModel):
    """Base of each task's `task:` section; `kind` is the task's name. Fields left None are filled by `suggest`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str


@dataclass(frozen=True)
class Answers:
    """What the system says about some examples, as plain arrays that a later process can read.

    values: name -> (n, ...) array of numbers or unicode strings, never objects. "answer" is always there: class
    names, values or strings as the user knows them. Classification adds "probs" (n, K) and "confidence" (n,).
    ids: (n,) id of each example in its Examples.
    """

    values: Mapping[str, NDArray[Any]]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class TargetShown:
    """One of several targets of an example. wrong: the truth is known and another than the answer."""

    name: str
    truth: str
    answer: str
    confidence: float | None = None
    wrong: bool = False


@dataclass(frozen=True)
class Card:
    """An example with its answer, as plain data that `report/` draws and nobody else needs to understand.

    image: (H, W) or (H, W, 3) uint8. fields: the columns of a row. targets: of a row with several, those that are
    wrong first, the most costly ahead. text: the source string. heat: (rows, columns) weights in 0..1, over the image
    (saliency) or over row_labels x column_labels (attention).
    """

    kind: Literal["image", "row", "strings"]
    title: str  # origin
    truth: str
    answer: str
    confidence: float | None = None
    loss: float | None = None
    image: NDArray[np.uint8] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    targets: Sequence[TargetShown] = ()
    text: str = ""
    heat: NDArray[np.float32] | None = None
    row_labels: Sequence[str] = ()
    column_labels: Sequence[str] = ()


@dataclass(frozen=True)
class Baseline:
    """A simple system trained on the same train split, scored on dev."""

    name: str  # "majority class", "linear model", "gradient boosting"
    scores: Scores
    seconds: float


@dataclass(frozen=True)
class Importance:
    """How much the metric worsens when one input is made useless, with a 95 % interval."""

    name: str
    drop: float
    low: float
    high: float


class Task(ABC):
    """One kind of problem. Construct with its config; `fit` or `load_state` before anything that needs a network."""

    kind: ClassVar[str]
    Config: ClassVar[type[TaskConfig]]

    def __init__(self, config: TaskConfig, seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.positive: str | None = None  # the class that F1 and its like are about; None: the task's own choice
        self.minutes: float | None = None  # budget of the training, which `suggest` may count with
        self.clock: Callable[[], float] = time.perf_counter  # by which it is counted
        self.halving = Halving()  # of whatever is computed for many examples without gradient

    # -- data ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def strata(self, examples: Examples) -> NDArray[Any] | None:
        """(n,) key that each split should hold in equal shares (class, quantile of the value), or None."""

    @abstractmethod
    def suggest(self, train: Examples) -> dict[str, Any]:
        """Good values for this data, by dotted key ("training.lr", "task.width"): used where the config says None."""

    def search_space(self, training: TrainingConfig) -> Space:
        """What may be varied to make it better, by dotted key: the training's, and what the task adds of its own.

        Args:
            training: resolved, as this task's own config is; limits lie around what they hold.
        """
        return training_space(training)

    def findings(self, train: Examples) -> list[Finding]:
        """What the configured system makes noteworthy in train, beside what the data's own checks found."""
        return []

    @abstractmethod
    def fit(self, train: Examples) -> None:
        """Learn what the transforms need (classes, scaler, vocabulary) from train alone; refuse what cannot work."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What `fit` learned, as JSON-able values and NumPy arrays; stored in the run."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""

    # -- training -----------------------------------------------------------------------------------------------

    def about_network(self) -> str:
        """What a person should know of the network besides its size, in sentences; may be empty."""
        return ""

    @abstractmethod
    def network(self) -> nn.Module:
        """A freshly initialised network of the configured kind and size, on the CPU."""

    @abstractmethod
    def objective(
        self, network: nn.Module, train: Examples, dev: Examples | None, training: TrainingConfig
    ) -> Objective:
        """What the loop minimises; its `evaluate` gives "loss" and "error" on dev."""

    def deployed(self, network: nn.Module) -> nn.Module:
        """The trained network as it answers, is timed and exported: itself, or averaged over several looks."""
        return network

    def average(self, outputs: Tensor) -> Tensor:
        """(k, B, ...) outputs of k networks -> (B, ...), whose probabilities and values are the mean of theirs.

        Raises:
            UsageError: what this task answers has no mean.
        """
        raise UsageError(
            f"the answers of {self.kind} runs have no mean: what one network says depends on what it said before",
            "",
            "Choose the best of them instead: orthogon compare RUN RUN",
        )

    # -- answers ------------------------------------------------------------------------------------------------

    @abstractmethod
    def answers(self, network: nn.Module, examples: Examples, ids: NDArray[np.int64] | None = None) -> Answers:
        """Answers in eval mode, in batches; `ids` are the examples' ids in the project (default 0..n-1)."""

    def answer_stream(self, network: nn.Module, chunks: Iterable[Examples]) -> Iterator[Answers]:
        """Answers chunk by chunk, for input that does not fit in memory."""
        return (self.answers(network, chunk) for chunk in chunks)

    @abstractmethod
    def features(self, network: nn.Module, examples: Examples) -> NDArray[np.float32]:
        """(n, d) what the network has made of each input just before its last layer; what it takes for alike is near.

        Args:
            network: as `network` makes it, trained, in eval mode; of several looks at an input the plain one counts.
        """

    def plain_inputs(self, examples: Examples) -> NDArray[np.float32] | None:
        """(n, d) the inputs as numbers that no network has changed, for distances; None where there are no such."""
        return None

    @abstractmethod
    def score(self, answers: Answers, examples: Examples) -> Scores:
        """One record per unit. Always: "loss" (n,), the optimised quantity in nats or squared units."""

    @abstractmethod
    def metrics(self) -> dict[str, Metric]:
        """Every metric this task can compute, by name; the first is the default optimising metric."""

    @abstractmethod
    def baselines(self, train: Examples, dev: Examples, dev_ids: NDArray[np.int64]) -> list[Baseline]:
        """Trivial and classic systems on the same split; the trivial one (majority, mean) first."""

    # -- what people see ----------------------------------------------------------------------------------------

    @abstractmethod
    def show(self, example: Example, answers: Answers, row: int, network: nn.Module | None = None) -> Card:
        """The example beside row `row` of `answers`; with a network, also what the network looked at."""

    def importances(self, network: nn.Module, dev: Examples, metric: Metric) -> list[Importance]:
        """Permutation importance of each input, largest first; empty where inputs have no names."""
        return []

    def class_names(self) -> list[str]:
        """Names of the classes in the order of "probs"; empty where there are none."""
        return []

    def classes_of_targets(self) -> dict[str, list[str]]:
        """Target -> names of its classes, of every target that has classes; an only target may have no name."""
        names = self.class_names()
        return {"": names} if names else {}

    def expected_loss(self) -> float | None:
        """Mean loss that a network which knows nothing has: log K for K classes.

        None where theory gives none, or gives one of each batch: `Objective.uninformed_loss`.
        """
        names = self.class_names()
        return math.log(len(names)) if names else None

    def unlike_train(self, examples: Examples) -> NDArray[np.float64]:
        """(n,) how unlike train each input is: 0 typical, 1 at the edge of train, above 1 outside it."""
        return np.zeros(len(examples))

    # -- export -------------------------------------------------------------------------------------------------

    @abstractmethod
    def example_inputs(self, batch_size: int = 2) -> tuple[Tensor, ...]:
        """Positional inputs of the network with a leading batch axis, for export and for `describe`."""

    def input_names(self) -> list[str]:
        """Names of `example_inputs`, in order."""
        return ["inputs"]

    def preprocessing(self) -> dict[str, Any]:
        """JSON-able facts a foreign runtime needs to prepare inputs and read outputs."""
        return {}
