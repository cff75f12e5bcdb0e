"""The `training:` section of orthogon.yaml."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from orthogon.errors import ConfigError


class TrainingConfig(BaseModel):
    """How the network is trained. Fields left unset are chosen by the task from the data and written into the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int | None = Field(None, gt=0, description="Passes over train; unset: chosen by data size.")
    steps: int | None = Field(None, gt=0, description="Updates; instead of epochs.")
    minutes: float | None = Field(None, gt=0, description="Wall-clock budget of all of it: as many steps as fit.")

    batch_size: int | None = Field(None, gt=0, description="Examples in one update; unset: chosen by data size.")
    accumulate: int = Field(1, ge=1, description="Parts in which the batch is computed, for small memory.")

    optimiser: str = Field(
        "adamw", description="sgd, momentum, momentum_pytorch, nesterov, rmsprop, adam, adamw, or a torch.optim name."
    )
    optimiser_args: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the optimiser.")
    lr: float | None = Field(None, gt=0, description="Learning rate (alpha); unset: chosen by the task.")
    lr_race: bool | Literal["check"] | None = Field(
        None,
        description="Race 3 learning rates before training: true keeps the best, check only warns if lr is clearly "
        "worse, false does neither; unset: check where the task chose lr.",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="beta 1 of momentum, Nesterov and Adam.")
    beta2: float = Field(0.999, ge=0, lt=1, description="beta 2 of Adam; RMSprop's decay.")
    schedule: Literal[
        "constant",
        "inverse",
        "exponential",
        "inverse_sqrt",
        "inverse_sqrt_step",
        "staircase",
        "manual",
        "cosine",
        "one_cycle",
        "plateau",
    ] = Field("cosine", description="How lr decays.")
    decay_rate: float = Field(1.0, gt=0, description="Rate of inverse decay; base of exponential decay; k of the root.")
    decay_every: int = Field(1000, gt=0, description="Epochs a stair of the staircase lasts.")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="Schedule plateau: what lr is multiplied with.")
    plateau_patience: int = Field(
        5, ge=0, description="Schedule plateau: evaluations without a better dev loss that are borne."
    )
    one_cycle_rise: float = Field(
        0.3, gt=0, lt=1, description="Schedule one_cycle: share of all updates in which lr rises; unless warmed up."
    )
    lr_by_epoch: dict[int, float] = Field(
        default_factory=dict, description="Schedule manual: learning rates by the epoch (from 1) they start at."
    )
    lr_warmup_steps: int = Field(0, ge=0, description="Updates over which lr rises from 0 to its value.")

    weight_decay: float | None = Field(None, ge=0, description="Decoupled (AdamW) or L2 penalty, weights only.")
    l1: float = Field(0.0, ge=0, description="L1 penalty on weights, by proximal step; drives them to exactly 0.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of probability spread over the other classes.")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none", description="Weight of each class in the loss."
    )
    clip_norm: float | None = Field(None, gt=0, description="Largest gradient norm; longer gradients are scaled.")
    clip_value: float | None = Field(None, gt=0, description="Largest gradient entry.")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="Keep an exponential average of weights and use it.")
    patience: int | None = Field(None, gt=0, description="Evaluations without a better dev loss before stopping.")
    keep_best: bool = Field(True, description="At the end, restore the weights with the lowest dev loss.")

    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="Arithmetic of forward and backward.")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto takes the best there is.")
    workers: int = Field(0, ge=0, description="Loader processes; data in memory needs none.")
    compile: bool = Field(False, description="torch.compile the network.")

    preflight: bool = Field(True, description="Check loss at start, overfitting one batch and descent before training.")
    monitor_every: int = Field(
        50, gt=0, description="Updates between two looks at gradients and activations; the first and last are seen too."
    )
    gradient_range: tuple[float, float] = Field(
        (1e-10, 1e3), description="Smallest and largest norm of one tensor's gradient that raises no warning."
    )
    evaluate_every: int | None = Field(None, gt=0, description="Updates between dev evaluations; unset: each epoch.")
    checkpoint_minutes: float = Field(1.0, ge=0, description="Minutes between checkpoints; 0: after every update.")
    checkpoints_kept: int = Field(2, ge=2, description="Newest checkpoints that an unfinished run keeps to go back to.")

    @field_validator("gradient_range")
    @classmethod
    def _a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] < value[1]:
            raise ValueError("the first must be smaller than the second, and neither below 0")
        return value


def require_complete(config: TrainingConfig) -> None:
    """Refuse what no training can follow.

    Raises:
        ConfigError: the learning rate or the length is missing, or two keys contradict each other.
    """
    if config.lr is None:
        raise ConfigError("no learning rate is set", "training.lr", "Set training.lr, for instance to 0.001.")
    if config.epochs is None and config.steps is None and config.minutes is None:
        raise ConfigError(
            "nothing says how long to train",
            "training.epochs, training.steps, training.minutes",
            "Set one of them, for instance training.epochs to 20.",
        )
    if config.epochs is not None and config.steps is not None:
        raise ConfigError(
            f"training.epochs is {config.epochs} and training.steps is {config.steps}",
            "training.epochs, training.steps",
            "Keep one of them.",
        )
    if config.precision == "fp16" and config.optimiser.casefold() == "lbfgs":
        raise ConfigError(
            "L-BFGS calls the loss several times an update, which fp16's loss scaling does not allow",
            "training.optimiser, training.precision",
            "Set training.precision to bf16 or fp32.",
        )
