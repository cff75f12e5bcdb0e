"""Checks before training that take seconds and leave everything as it was.

Each check answers one question about the objective at its initial weights:
    is the loss what theory says (log K for K classes)?    no: inputs, labels or the last layer's scale are wrong
    can one batch be learned by heart, dropout off?        no: something is not connected
    does J fall under the configured optimiser?            no: the learning rate or the loss is wrong
    does J fall about as far as at a tenth and at ten      no: the learning rate does not suit
    times the rate, batch for batch?
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orthogon.data.examples import Finding
from orthogon.errors import TrainingError
from orthogon.training.config import TrainingConfig
from orthogon.training.device import out_of_memory, to_device
from orthogon.training.objective import Objective
from orthogon.training.optimisers import make_optimiser

START_RATIO = 2.0  # loss at start over (or under) the expected one that is still unremarkable
OVERFIT_STEPS = 60
OVERFIT_LR = 3e-3  # of Adam; a rate most networks learn at, whatever training.lr is
OVERFIT_DONE = 0.5  # share of the first loss below which the batch counts as being learned
OVERFIT_STUCK = 0.9  # share of the first loss above which it counts as not being learned
DESCENT_STEPS = 20
RACE_STEPS = 60
CHECK_STEPS = 30  # updates of each rate when a race only checks; after 10 sound rates and poor ones look alike
CHECK_SHARE = 0.05  # of the planned updates, at most, for that
CHECK_FACTORS = (0.1, 1.0, 10.0)  # a factor of 3 is won by the largest rate, whatever the whole training says of it
CHECK_FALL = 0.25  # share of the best rate's fall below which a rate is clearly worse; sound ones had 0.34 to 1.42
SECONDS = 10.0  # of each check

Clock = Callable[[], float]


@dataclass(frozen=True)
class Descent:
    """Whether J fell with dropout off: `costs` before each update and after the last, on one batch."""

    passed: bool
    costs: tuple[float, ...]
    lr: float

    def __str__(self) -> str:
        verdict = "J falls" if self.passed else "J does not fall"
        return f"{verdict}: {self.costs[0]:.4g} to {self.costs[-1]:.4g} in {len(self.costs) - 1} updates, dropout off"


def preflight(
    objective: Objective,
    config: TrainingConfig,
    expected_loss: float | None = None,
    clock: Clock = time.monotonic,
    seconds: float = SECONDS,
) -> list[Finding]:
    """What is wrong before training starts, and a note on a race that found nothing; empty when there is neither.

    A batch that does not fit into memory is computed in twice as many parts, and so on; J stays the same.

    Weights, buffers, gradients, modes and every random state are afterwards what they were, bit for bit.

    Args:
        objective: at its initial weights.
        config: the run's training section.
        expected_loss: mean loss that theory gives a network that knows nothing (log K); None: no constant, but the
            objective may know that of a batch (its mean square).
        clock: seconds.
        seconds: of each check, at most.
    """
    checks: list[Callable[[int], Finding | None]] = [
        lambda parts: check_start(objective, expected_loss, parts),
        lambda parts: check_one_batch(objective, clock, parts, seconds),
        lambda parts: _descent_finding(check_descent(objective, config, clock=clock, parts=parts, seconds=seconds)),
    ]
    if config.lr_race == "check" and _worth_a_race(objective, config):
        checks.append(lambda parts: check_lr(objective, config, clock, parts, seconds))
    findings: list[Finding] = []
    parts = config.accumulate
    for check in checks:
        while True:
            try:
                finding = check(parts)
                break
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            # outside `except`: the error's traceback held on to the memory of the failed attempt
            if not _divides_further(objective, parts):
                message = "not even one example fits into memory: the checks before training are left out"
                remedy = "Make the network or the example smaller, or use a machine with more memory."
                return [*findings, Finding("preflight-out-of-memory", "warning", message, count=1, remedy=remedy)]
            parts *= 2
        if finding is not None:
            findings.append(finding)
            if finding.severity == "error":  # a loss that is no number makes the rest meaningless
                break
    if parts > config.accumulate:
        message = f"one whole batch does not fit into memory: the checks before training compute it in {parts} parts"
        remedy = f"Set training.accumulate to {parts} to start this way."
        findings.append(Finding("preflight-out-of-memory", "warning", message, count=1, remedy=remedy))
    return findings


def check_start(objective: Objective, expected_loss: float | None, parts: int = 1) -> Finding | None:
    """The mean loss of the first batch, computed in so many parts, beside what theory says: a constant, or of it."""
    with untouched(objective), torch.no_grad(), dropout_off(objective):
        pieces = _pieces(objective, _first_batch(objective), parts)
        loss = _cost(objective, pieces)
        if expected_loss is None:
            expected_loss = _uninformed(objective, pieces)
    if not math.isfinite(loss):
        return Finding(
            "loss-not-finite",
            "error",
            f"the loss of the first batch is {loss} before any update",
            count=1,
            remedy="Look for NaN or huge values in the inputs, or a log or division of 0 in the loss.",
        )
    if expected_loss is None or expected_loss <= 0:
        return None
    if loss > START_RATIO * expected_loss:
        return Finding(
            "loss-at-start",
            "warning",
            f"the loss at the start is {loss:.3g}; a network that knows nothing should have about {expected_loss:.3g}",
            count=1,
            remedy="Normalise the inputs, or make the last layer's initial weights smaller.",
        )
    if loss < expected_loss / START_RATIO:
        return Finding(
            "loss-at-start",
            "warning",
            f"the loss at the start is {loss:.3g}, less than the {expected_loss:.3g} of a network that knows nothing",
            count=1,
            remedy="Look for the target among the inputs; with rare classes or pretrained weights this is normal.",
        )
    return None


def check_one_batch(
    objective: Objective, clock: Clock = time.monotonic, parts: int = 1, seconds: float = SECONDS
) -> Finding | None:
    """Whether a few dozen updates learn one batch by heart, dropout off."""
    config = TrainingConfig.model_validate({"optimiser": "adam", "lr": OVERFIT_LR})
    costs = _train_on_one_batch(objective, config, OVERFIT_STEPS, clock, parts, seconds, enough=OVERFIT_DONE)
    steps = len(costs) - 1
    if math.isfinite(costs[-1]) and (costs[-1] <= OVERFIT_STUCK * costs[0] or costs[0] < 1e-3):
        return None
    if steps < OVERFIT_STEPS and math.isfinite(costs[-1]):
        return None  # out of time: no verdict
    return Finding(
        "cannot-learn-one-batch",
        "warning",
        f"{steps} updates on one batch took its loss only from {costs[0]:.3g} to {costs[-1]:.3g}",
        count=1,
        remedy="Check that inputs belong to their targets, that the loss is the right one, and that no layer is cut off"
        " or frozen.",
    )


def check_descent(
    objective: Objective,
    config: TrainingConfig,
    steps: int = DESCENT_STEPS,
    clock: Clock = time.monotonic,
    parts: int = 1,
    seconds: float = SECONDS,
) -> Descent:
    """Train a few updates with dropout off, where J is a fixed function, and see whether it falls; then dropout is on.

    One batch, the configured optimiser and rate. With dropout J is drawn anew at each step and need not fall.
    """
    costs = _train_on_one_batch(objective, config, steps, clock, parts, seconds)
    optimiser_lr = make_optimiser(objective.parameters(), objective.network(), config).param_groups[0]["lr"]
    passed = math.isfinite(costs[-1]) and costs[-1] < costs[0]
    return Descent(passed, tuple(costs), float(optimiser_lr))


def check_lr(
    objective: Objective,
    config: TrainingConfig,
    clock: Clock = time.monotonic,
    parts: int = 1,
    seconds: float = SECONDS,
) -> Finding | None:
    """Race `lr` against a tenth and ten times of it, and warn if it is clearly worse: nothing is chosen.

    A short race favours large rates, which learn fast at first and no better in the end; so a rate is called worse
    only if its loss fell by less than CHECK_FALL of the best one's fall, and the paired differences over the last
    third of the batches are clear of their noise (95% interval of a mean). A batch's fall is counted from its own
    loss at the initial weights: batches differ more than rates do. Out of time, it says nothing.
    """
    own = config.lr or 0.0
    runs: dict[float, list[float]] = {}
    for factor in CHECK_FACTORS:
        lr = own if factor == 1 else float(f"{own * factor:.6g}")
        with untouched(objective):
            config = config.model_copy(update={"lr": lr})
            runs[lr] = _short_run(objective, config, CHECK_STEPS, clock, parts, seconds)
    if any(len(run) < CHECK_STEPS and math.isfinite(run[-1]) for run in runs.values()):
        return None  # out of time
    judged = CHECK_STEPS // 3
    with untouched(objective):
        before = np.array(_untrained(objective, CHECK_STEPS, parts)[-judged:])
    falls = {lr: before - np.array(run[-judged:]) for lr, run in runs.items() if math.isfinite(run[-1])}
    best = max((lr for lr in falls if lr != own), key=lambda lr: float(falls[lr].mean()), default=None)
    if best is None:
        return None
    fall = float(falls[best].mean())
    if fall <= 0:  # nothing falls, which is another check's to say
        return None
    own_fall = float(falls[own].mean()) if own in falls else -math.inf
    if own_fall < CHECK_FALL * fall and (own not in falls or _above_zero(falls[best] - falls[own])):
        fell = f"fell by {own_fall:.2g}" if own_fall > 0 else "did not fall"
        return Finding(
            "learning-rate",
            "warning",
            f"in {CHECK_STEPS} updates the loss {fell} at learning rate {own:g} and fell by {fall:.2g} at {best:g}",
            count=1,
            remedy=f"Try training.lr={best:g}.",
        )
    others = [lr for lr in runs if lr != own]
    names = " and ".join(f"{lr:g}" for lr in sorted(others))
    return Finding(
        "learning-rate", "note", f"learning rate {own:g}: not clearly worse than {names} after {CHECK_STEPS} updates", 1
    )


def lr_race(
    objective: Objective,
    config: TrainingConfig,
    factors: Sequence[float] = (1 / 3, 1, 3),
    steps: int = RACE_STEPS,
    clock: Clock = time.monotonic,
) -> float:
    """The learning rate among lr·factors with the lowest mean loss over the last third of a short training.

    Every rate starts from the same weights and random state and sees the same batches. A rate at which the loss stops
    being a number is out; if all are, the smallest wins. The objective is left as it was.

    Args:
        config: `lr` is the middle rate (the optimiser's default if unset).
        steps: updates each rate gets, at a constant rate; at most SECONDS each.
    """
    base = config.lr or make_optimiser(objective.parameters(), objective.network(), config).param_groups[0]["lr"]
    results: dict[float, float] = {}
    for factor in sorted(factors):
        lr = float(base * factor)
        with untouched(objective):
            losses = _short_run(objective, config.model_copy(update={"lr": lr}), steps, clock, config.accumulate)
        tail = losses[-max(1, len(losses) // 3) :]
        mean = sum(tail) / len(tail)
        results[lr] = mean if math.isfinite(mean) else math.inf
    return min(results, key=lambda lr: results[lr])  # the first, that is the smallest, of equals


@contextlib.contextmanager
def untouched(objective: Objective) -> Iterator[None]:
    """Whatever happens inside: parameters, buffers, gradients, modes, extra state and random states are put back."""
    network = objective.network()
    parameters = list(objective.parameters().values())
    buffers = [] if network is None else list(network.buffers())
    tensors = [*parameters, *buffers]
    kept = [tensor.detach().clone() for tensor in tensors]
    gradients = [parameter.grad for parameter in parameters]
    modes = {} if network is None else {module: module.training for module in network.modules()}
    extra = {name: tensor.detach().clone() for name, tensor in objective.extra_state().items()}
    python_state, numpy_state = random.getstate(), np.random.get_state()
    for parameter in parameters:
        parameter.grad = None
    devices = sorted({tensor.get_device() for tensor in tensors if tensor.is_cuda})
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        with torch.no_grad():
            for tensor, old in zip(tensors, kept, strict=True):
                tensor.copy_(old)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for module, training in modes.items():
            module.training = training
        if extra:
            objective.load_extra_state(extra)


@contextlib.contextmanager
def dropout_off(objective: Objective) -> Iterator[None]:
    """Train mode with every dropout probability 0: layers of their own, and those inside recurrent or attention."""
    network = objective.network()
    if network is None:
        yield
        return
    network.train()
    held: list[tuple[nn.Module, str, Any]] = []
    for module in network.modules():
        name = "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout"
        value = getattr(module, name, None)
        if isinstance(value, float) and value > 0:
            held.append((module, name, value))
            setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, value in held:
            setattr(module, name, value)


def _descent_finding(descent: Descent) -> Finding | None:
    if descent.passed or len(descent.costs) < 2 or descent.costs[0] < 1e-3:
        return None
    return Finding(
        "no-descent",
        "warning",
        f"at training.lr {descent.lr:g} {descent}",
        count=1,
        remedy=f"Lower training.lr, for instance to {descent.lr / 10:g}.",
    )


def _first_batch(objective: Objective) -> Any:
    return next(iter(objective.batches(1)))


def _pieces(objective: Objective, batch: Any, parts: int) -> Sequence[Any]:
    return objective.split(batch, parts) if parts > 1 else (batch,)


def _divides_further(objective: Objective, parts: int) -> bool:
    batch = _first_batch(objective)
    try:
        return len(objective.split(batch, 2 * parts)) > len(_pieces(objective, batch, parts))
    except TrainingError:  # a batch that nobody can cut
        return False


def _worth_a_race(objective: Objective, config: TrainingConfig) -> bool:
    """Whether its updates are a few per cent of those planned, and the first updates are meant to have the full rate.

    A length in minutes is not known yet.
    """
    if config.lr_warmup_steps or config.schedule == "one_cycle":
        return False
    planned = config.steps or (config.epochs or 0) * objective.batches_per_epoch()
    return len(CHECK_FACTORS) * CHECK_STEPS <= CHECK_SHARE * planned


def _above_zero(differences: NDArray[np.float64]) -> bool:
    """Whether the 95% interval of their mean lies above 0."""
    from scipy.stats import t

    n = len(differences)
    return bool(differences.mean() > t.ppf(0.975, n - 1) * differences.std(ddof=1) / math.sqrt(n))


def _uninformed(objective: Objective, pieces: Sequence[Any]) -> float | None:
    """The mean loss on these pieces of a network that knows nothing, where the objective can tell."""
    device = next(iter(objective.parameters().values())).device
    known = [objective.uninformed_loss(to_device(piece, device)) for piece in pieces]
    sums = [each for each in known if each is not None]
    return sum(total for total, _ in sums) / max(sum(n for _, n in sums), 1e-12) if sums else None


def _cost(objective: Objective, pieces: Sequence[Any], learn: bool = False) -> float:
    """The mean loss over the pieces of a batch; `learn` fills the gradients with its own."""
    parameters = list(objective.parameters().values())
    total, count = 0.0, 0.0
    for piece in pieces:
        loss, n, _ = objective.loss(to_device(piece, parameters[0].device))
        if learn:
            loss.backward()
        total, count = total + loss.item(), count + n
    count = max(count, 1e-12)
    if learn:
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], 1 / count)
    return total / count


def _train_on_one_batch(
    objective: Objective,
    config: TrainingConfig,
    steps: int,
    clock: Clock,
    parts: int,
    seconds: float,
    enough: float = 0.0,
) -> list[float]:
    """Costs of the first batch before each update and after the last; stops early below `enough` of the first."""
    costs: list[float] = []
    with untouched(objective), dropout_off(objective):
        pieces = _pieces(objective, _first_batch(objective), parts)
        optimiser = make_optimiser(objective.parameters(), objective.network(), config, objective.lr_scales())
        started = clock()
        for _ in range(steps):
            costs.append(_update(objective, optimiser, pieces))
            if not math.isfinite(costs[-1]) or costs[-1] < enough * costs[0] or clock() - started > seconds:
                break
        with torch.no_grad():
            costs.append(_cost(objective, pieces))
    return costs


def _short_run(
    objective: Objective,
    config: TrainingConfig,
    steps: int,
    clock: Clock,
    parts: int = 1,
    seconds: float = SECONDS,
) -> list[float]:
    network = objective.network()
    if network is not None:
        network.train()
    optimiser = make_optimiser(objective.parameters(), network, config, objective.lr_scales())
    losses: list[float] = []
    started, epoch = clock(), 0
    while len(losses) < steps and clock() - started <= seconds:
        epoch += 1
        before = len(losses)
        for batch in objective.batches(epoch):
            losses.append(_update(objective, optimiser, _pieces(objective, batch, parts)))
            if len(losses) >= steps or not math.isfinite(losses[-1]) or clock() - started > seconds:
                break
        if len(losses) == before or not math.isfinite(losses[-1]):
            break
    return losses or [math.inf]


def _untrained(objective: Objective, steps: int, parts: int) -> list[float]:
    """Costs of the batches that `_short_run` sees, at the weights as they are."""
    epochs = chain.from_iterable(objective.batches(epoch) for epoch in count(1))
    with torch.no_grad():
        return [_cost(objective, _pieces(objective, batch, parts)) for batch in islice(epochs, steps)]


def _update(objective: Objective, optimiser: torch.optim.Optimizer, pieces: Sequence[Any]) -> float:
    """One update; the mean loss before it."""
    first: list[float] = []

    def closure() -> float:
        optimiser.zero_grad()
        first.append(_cost(objective, pieces, learn=True))
        return first[-1]

    optimiser.step(closure)
    return first[0]
