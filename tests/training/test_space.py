"""The laws by which hyper-parameters are drawn, worked out on 10,000 draws; limits, tiers and the way back."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from orthogon.errors import ConfigError
from orthogon.training.config import TrainingConfig
from orthogon.training.space import Parameter, around, layers, limited_to, training_space

DRAWS = 10_000


def drawn(parameter: Parameter, seed: int = 0) -> list:
    return [parameter.at(u) for u in np.random.default_rng(seed).random(DRAWS)]


@pytest.mark.system("hp.log-scale")
def test_each_decade_of_a_learning_rate_gets_a_quarter() -> None:
    rates = np.array(drawn(Parameter("log", 0.0001, 1.0)))
    assert rates.min() >= 0.0001
    assert rates.max() <= 1
    decades = np.histogram(np.log10(rates), bins=[-4, -3, -2, -1, 0])[0] / DRAWS
    assert np.abs(decades - 0.25).max() <= 0.02
    even = np.array(drawn(Parameter("linear", 0.0001, 1.0)))
    assert np.mean(even > 0.1) == pytest.approx(0.9, abs=0.02)  # what the log scale is for


@pytest.mark.system("hp.linear-int")
@pytest.mark.parametrize(("low", "high"), [(50, 100), (2, 4), (0, 1)])
def test_whole_numbers_are_equally_likely_the_ends_among_them(low: int, high: int) -> None:
    counts = Counter(drawn(Parameter("int", low, high)))
    assert set(counts) == set(range(low, high + 1))
    assert all(type(value) is int for value in counts)
    assert chisquare(list(counts.values())).pvalue > 0.001


@pytest.mark.system("hp.beta-scale")
def test_memories_of_a_momentum_are_log_uniform() -> None:
    betas = np.array(drawn(Parameter("one_minus_log", 0.9, 0.999)))
    memory = np.log10(1 / (1 - betas))
    assert memory.min() >= 1 - 1e-9
    assert memory.max() <= 3 + 1e-9
    assert kstest((memory - 1) / 2, "uniform").pvalue > 0.001
    even = np.log10(1 / (1 - np.array(drawn(Parameter("linear", 0.9, 0.999)))))
    assert kstest((even - 1) / 2, "uniform").pvalue < 1e-9


@pytest.mark.system("hp.beta-scale")
def test_the_worked_figures_of_one_minus_beta() -> None:
    """W.beta: 0.9 -> 0.9005 changes hardly anything, 0.999 -> 0.9995 doubles the memory."""
    for beta, memory in ((0.9, 10), (0.9005, 10.050251), (0.999, 1000), (0.9995, 2000)):
        assert 1 / (1 - beta) == pytest.approx(memory, rel=1e-7)
    momentum = Parameter("one_minus_log", 0.9, 0.9999)
    near, far = (momentum.place(b) - momentum.place(a) for a, b in ((0.9, 0.9005), (0.999, 0.9995)))
    assert far / near == pytest.approx(math.log(2) / math.log(10.050251 / 10), rel=1e-4)


def test_whole_numbers_on_a_log_scale_go_by_ratios() -> None:
    counts = Counter(drawn(Parameter("log_int", 8, 128)))
    low, high = (sum(n for value, n in counts.items() if a <= value < b) for a, b in ((8, 32), (32, 128)))
    assert low / high == pytest.approx(math.log(31.5 / 7.5) / math.log(127.5 / 31.5), rel=0.06)
    assert {8, 128} <= set(counts)


def test_choices_are_equally_likely() -> None:
    counts = Counter(drawn(Parameter("choice", choices=("constant", "cosine", "one_cycle"))))
    assert chisquare(list(counts.values())).pvalue > 0.001


PARAMETERS = [
    Parameter("log", 1e-4, 1.0),
    Parameter("linear", 0.0, 0.6),
    Parameter("one_minus_log", 0.8, 0.9999),
    Parameter("int", 2, 9),
    Parameter("log_int", 16, 256),
    Parameter("choice", choices=("lstm", "gru", 3)),
]


@given(st.sampled_from(PARAMETERS), st.floats(0, 1))
def test_a_value_goes_to_its_place_and_back(parameter: Parameter, u: float) -> None:
    value = parameter.at(u)
    assert parameter.holds(value)
    assert 0 <= parameter.place(value) <= 1
    again = parameter.at(parameter.place(value))
    if parameter.scale in ("int", "log_int", "choice"):
        assert again == value
    else:
        assert again == pytest.approx(value, rel=1e-5, abs=1e-9)
        assert parameter.place(value) == pytest.approx(u, abs=1e-4)


@given(st.sampled_from(PARAMETERS[:5]), st.floats(-1e6, 1e6))
def test_what_lies_outside_is_placed_at_the_nearer_end(parameter: Parameter, value: float) -> None:
    assert 0 <= parameter.place(value) <= 1
    if value < parameter.low:
        assert parameter.place(value) == parameter.place(parameter.low)


def test_a_parameter_survives_json() -> None:
    for parameter in PARAMETERS:
        assert Parameter.from_dict(parameter.to_dict()) == parameter


@pytest.mark.parametrize(
    "make",
    [
        lambda: Parameter("linear", 1, 1),
        lambda: Parameter("linear", 0, math.nan),
        lambda: Parameter("log", 0, 1),
        lambda: Parameter("one_minus_log", 0.9, 1.0),
        lambda: Parameter("int", 1.5, 3),
        lambda: Parameter("choice"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(make) -> None:
    with pytest.raises(ConfigError, match="not a range to search"):
        make()


# -- the space of a training ------------------------------------------------------------------------------------

ADAMW = TrainingConfig(lr=0.003, batch_size=32, weight_decay=0.05, epochs=5)


@pytest.mark.system("hp.priority")
def test_the_order_of_importance_is_the_fields() -> None:
    space = training_space(ADAMW)
    tier = {key: parameter.tier for key, parameter in space.items()}
    assert [key for key in tier if tier[key] == 1] == ["training.lr"]
    assert {key for key in tier if tier[key] == 2} == {"training.momentum", "training.batch_size"}
    assert {key for key in tier if tier[key] == 4} == {"training.beta2", "training.optimiser_args.eps"}
    assert list(limited_to(space, 1)) == ["training.lr"]
    assert limited_to(space, 4) == space
    assert [len(limited_to(space, k)) for k in (1, 2, 3, 4)] == [1, 3, 5, 7]
    defaults = {"training.lr": 0.003, "training.momentum": 0.9, "training.beta2": 0.999}
    assert {key: space[key].default for key in defaults} == defaults


@pytest.mark.parametrize(
    ("optimiser", "absent"),
    [
        ("sgd", {"training.momentum", "training.beta2"}),
        ("momentum", {"training.beta2", "training.optimiser_args.eps"}),
        ("rmsprop", {"training.momentum", "training.optimiser_args.eps"}),
    ],
)
def test_what_an_optimiser_does_not_have_is_not_varied(optimiser: str, absent: set[str]) -> None:
    assert not absent & set(training_space(ADAMW.model_copy(update={"optimiser": optimiser})))


@given(st.floats(1e-7, 2.0))
def test_the_default_rate_is_inside_its_three_decades(lr: float) -> None:
    rate = training_space(TrainingConfig(lr=lr, epochs=1))["training.lr"]
    assert rate.holds(lr)
    assert math.log10(rate.high / rate.low) == pytest.approx(3)


def test_helpers_hold_their_default() -> None:
    assert around(32, 2).holds(32)
    assert (around(32, 2).low, around(32, 2).high) == (8, 128)
    assert around(2, 2, least=8).low == 8
    assert layers(1) == Parameter("int", 1, 3, 3, 1)
    assert layers(6, most=6).high == 6
