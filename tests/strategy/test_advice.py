"""Knobs change what they say, steps aim at the primary cause, outcomes are measured in pairs."""

import json

import numpy as np
import pytest

from orthogon.metrics.classification import classification_metrics
from orthogon.metrics.score import Scores
from orthogon.strategy.advice import Outcome, measure_step, next_steps, note
from orthogon.strategy.beliefs import Belief, Beliefs
from orthogon.strategy.diagnosis import (
    BIAS,
    DRIFT,
    HARDER_TEST,
    MISMATCH,
    OVERFIT,
    SMALL_DEV,
    UNSPLIT,
    VARIANCE,
    diagnose,
)
from orthogon.strategy.knobs import KNOBS, LABEL_NOISE, REAL_WORLD, Ending, knobs_for, read

ERROR = classification_metrics(["no", "yes"])["error"]
TRAINING = {
    "epochs": 20,
    "steps": None,
    "minutes": None,
    "lr_race": False,
    "weight_decay": 0.01,
    "label_smoothing": 0.0,
    "patience": None,
    "ema_decay": None,
    "lr": 0.003,
    "batch_size": 64,
    "optimiser": "adamw",
}
VARIED = {"strength": 0.5, "rotation": 10.0, "contrast": 0.2, "brightness": 0.0, "mixup": 0.0, "cutmix": 0.0}
IMAGES = {
    "task": {"kind": "image_classification", "width": 32, "depth": 1, "dropout": 0.0, "augment": VARIED},
    "training": TRAINING,
    "data": {"target_domain": None},
}
UNSET = ("training.patience", "training.ema_decay")  # None in a resolved config
STRINGS = {
    "task": {"kind": "seq2seq", "network": "attention", "encoder_size": 32, "decoder_size": 64, "dropout": 0.0},
    "training": {**TRAINING, "epochs": None, "steps": 900},
    "data": {"target_domain": None},
}


def wrong(k, n):
    return Scores({"wrong": (np.arange(n) < k).astype(int)}, np.arange(n))


def diagnosed(train, dev, train_dev=None, test=None, **options):
    rungs = {"train": train, "train_dev": train_dev, "dev": dev, "test": test}
    return diagnose({name: wrong(*rung) for name, rung in rungs.items() if rung}, ERROR, **options)


def change(name, config, gap, size=0.05):
    return next(knob for knob in knobs_for(gap) if knob.name == name).change(config, size)


def test_every_knob_changes_what_it_says():
    assert change("wider network", IMAGES, BIAS) == {"task.width": 64}
    assert change("wider network", IMAGES, BIAS, 0.4) == {"task.width": 128}  # a large bias takes a large step
    assert change("wider network", STRINGS, BIAS) == {"task.encoder_size": 64, "task.decoder_size": 128}
    assert change("deeper network", IMAGES, BIAS) == {"task.depth": 2}
    assert change("longer training", IMAGES, BIAS) == {"training.epochs": 40}
    assert change("longer training", STRINGS, BIAS) == {"training.steps": 1800}
    assert change("learning-rate race", IMAGES, BIAS) == {"training.lr_race": True}
    assert change("less regularisation", IMAGES, BIAS) == {
        "task.augment.strength": 0.25,
        "training.weight_decay": 0.001,
    }
    assert change("stronger augmentation", IMAGES, VARIANCE) == {"task.augment.strength": 1.0}
    assert change("more dropout", IMAGES, VARIANCE) == {"task.dropout": 0.2}
    assert change("more weight decay", IMAGES, VARIANCE) == {"training.weight_decay": 0.03}
    assert change("label smoothing", IMAGES, VARIANCE) == {"training.label_smoothing": 0.1}
    assert change("early stopping", IMAGES, VARIANCE) == {"training.patience": 5}
    together = {"task.augment.strength": 1.0, "task.dropout": 0.2, "training.weight_decay": 0.03}
    assert change("regularisers together", IMAGES, VARIANCE, 0.2) == together
    assert change("more data", IMAGES, VARIANCE) == {}  # a person's
    assert change("training more stages", IMAGES, VARIANCE) is None  # from scratch all of it is trained
    for mode, more in (("head", "last-4"), ("last-4", "all"), ("all", None)):
        task = {**IMAGES["task"], "weights": "mobilenet_v2_imagenet", "transfer": mode}
        for gap in (BIAS, VARIANCE):
            found = change("training more stages", {**IMAGES, "task": task}, gap)
            assert (found or {}).get("task.transfer") == more
            assert found is None or (found["training.lr"], found["training.epochs"]) == (None, None)  # chosen anew
    assert change("mixup", IMAGES, VARIANCE) == {"task.augment.mixup": 0.2}
    assert change("CutMix", IMAGES, VARIANCE) == {"task.augment.cutmix": 1.0}
    assert change("mixup", STRINGS, VARIANCE) is None
    assert change("averaged weights", IMAGES, VARIANCE) == {"training.ema_decay": 0.99}
    assert change("smaller batches", IMAGES, VARIANCE) == {"training.batch_size": 32}
    assert change("smaller batches", IMAGES, BIAS) == {"training.batch_size": 16}
    by_updates = {**IMAGES, "training": {**TRAINING, "epochs": None, "steps": 100}}
    assert change("smaller batches", by_updates, BIAS) is None  # as many updates, from fewer examples
    assert change("smaller network", STRINGS, VARIANCE) == {"task.encoder_size": 16, "task.decoder_size": 32}
    assert change("lower learning rate", IMAGES, BIAS) == {"training.lr": 0.001}
    assert change("higher learning rate", IMAGES, BIAS) == {"training.lr": 0.009}
    assert change("higher learning rate", IMAGES, BIAS, 0.4) == {"training.lr": 0.027}
    assert change("other optimiser", IMAGES, BIAS) is None
    sgd = {**IMAGES, "training": {**TRAINING, "optimiser": "sgd"}}
    raced = {"training.optimiser": "adamw", "training.lr": None, "training.lr_race": True}
    assert change("other optimiser", sgd, BIAS) == raced
    assert change("training data varied towards dev", IMAGES, MISMATCH) == {
        "task.augment.strength": 1.0,
        "task.augment.rotation": 20.0,
        "task.augment.contrast": 0.4,
        "task.augment.brightness": 0.3,
    }
    assert change("training data varied towards dev", STRINGS, MISMATCH) is None
    held_back = {**IMAGES, "data": {"train_fraction": 0.06}}
    assert change("all training data", held_back, VARIANCE) == {"data.train_fraction": 1.0, "training.epochs": None}
    assert change("all training data", IMAGES, VARIANCE) is None


def test_a_knob_without_its_field_or_at_its_limit_does_not_apply():
    assert change("deeper network", STRINGS, BIAS) is None
    assert change("stronger augmentation", STRINGS, VARIANCE) is None
    assert change("regularisers together", IMAGES, VARIANCE, 0.05) is None
    full = {
        "task": {
            "width": 4096,
            "depth": 16,
            "dropout": 0.5,
            "augment": {"strength": 1.0, "mixup": 0.2, "cutmix": 1.0},
            "targets": {"price": "regression"},
            "members": 64,
        },
        "training": {
            **TRAINING,
            "lr_race": True,
            "weight_decay": 1.0,
            "patience": 3,
            "ema_decay": 0.9,
            "batch_size": 8,
            "lr": 5.0,
        },
        "data": {},
    }
    endless = ("longer training", "less regularisation", "lower learning rate", "smaller network")
    for gap in (BIAS, VARIANCE):
        for knob in knobs_for(gap):
            if knob.who == "orthogon" and knob.name not in endless:
                assert knob.change(full, 0.3) is None, knob.name
    exercise = {**STRINGS, "task": {**STRINGS["task"], "network": "date_translator"}}
    assert change("more dropout", exercise, VARIANCE) is None


def test_dropout_is_turned_only_where_the_network_has_it():
    for network, has in (("resnet18", False), ("lenet5", False), ("mobilenet_v2", True), ("convnet", True)):
        config = {**IMAGES, "task": {**IMAGES["task"], "network": network, "dropout": 0.2}}
        assert change("more dropout", config, VARIANCE) == ({"task.dropout": 0.35} if has else None)
        assert ("task.dropout" in change("less regularisation", config, BIAS)) == has


@pytest.mark.system("strat.ideas")
def test_every_knob_is_declared_whole_and_says_whether_it_is_orthogonal():
    for knob in KNOBS:
        assert knob.reason.endswith((".", ")."))
        assert knob.sign
        assert knob.wrong_if
        assert 0 <= knob.fraction < 1
        assert knob.hours > 0 or knob.who == "orthogon"
    assert {knob.name for knob in KNOBS if not knob.orthogonal} == {
        "early stopping",
        "smaller batches",
        "smaller network",
        "training more stages",
    }
    gaps = {BIAS, VARIANCE, MISMATCH, UNSPLIT, DRIFT, HARDER_TEST, OVERFIT, SMALL_DEV, LABEL_NOISE, REAL_WORLD}
    assert {knob.gap for knob in KNOBS} == gaps
    assert len({(knob.name, knob.gap) for knob in KNOBS}) == len(KNOBS)
    for config in (IMAGES, STRINGS):
        for knob in KNOBS:  # what is overridden is there to be overridden
            for key in knob.change(config, 0.05) or {}:
                assert read(config, key) is not None or key in UNSET


def test_steps_aim_at_the_primary_cause_and_promise_at_most_its_gap():
    found = diagnosed((5, 1000), (60, 1000))
    steps = next_steps(found, IMAGES, {"train": 1000, "dev": 1000})
    assert [step.number for step in steps] == [1, 2, 3]
    assert {step.gap for step in steps} == {VARIANCE}
    gap = found.gap(VARIANCE)
    for step in steps:
        assert step.gain_at_most == (gap.value, gap.low, gap.high)
        assert json.loads(json.dumps(step.to_dict()))["gain_at_most"]["value"] == pytest.approx(0.055)
    assert steps[-1].knob == "more data"
    assert steps[-1].who == "you"
    assert steps[-1].overrides == {}
    assert [step.who for step in steps[:2]] == ["orthogon"] * 2
    assert steps[0].score >= steps[1].score > 0


def test_a_step_that_did_not_help_is_not_offered_again():
    found = diagnosed((300, 1000), (310, 1000))
    first = next_steps(found, IMAGES, {})[0]
    after = next_steps(found, IMAGES, {}, tried={(first.knob, first.gap)})
    assert first.knob not in {step.knob for step in after}
    assert [step.number for step in after] == [1, 2, 3]
    other = next_steps(found, IMAGES, {}, tried={(first.knob, VARIANCE)})  # tried against another gap
    assert other[0].knob == first.knob


def test_a_bias_that_is_an_upper_limit_asks_for_the_human_level():
    assumed = next_steps(diagnosed((300, 1000), (310, 1000)), IMAGES, {})
    assert [step.who for step in assumed] == ["orthogon", "orthogon", "you"]
    assert assumed[-1].knob == "human level"
    assert assumed[-1].expected is None  # it brings knowledge, not a lower error
    given = next_steps(diagnosed((300, 1000), (310, 1000), human_level=0.01), IMAGES, {})
    assert "human level" not in [step.knob for step in given]


def evaluations(loss, dev_loss=None):
    dev_loss = loss if dev_loss is None else dev_loss
    return [{"step": 10 * i, "loss": a, "dev_loss": b} for i, (a, b) in enumerate(zip(loss, dev_loss, strict=True))]


FALLING = [2.0 * 0.95**i for i in range(20)]
FLAT = [2.0, 1.0, *[0.5] * 18]


@pytest.mark.parametrize(
    ("config", "loss", "dev_loss", "longer_is_first"),
    [
        (IMAGES, FALLING, FALLING, True),
        (IMAGES, FALLING, [1.0] * 20, True),  # train alone still falls
        (IMAGES, FLAT, FALLING, True),  # dev alone still falls
        (IMAGES, FLAT, FLAT, False),
        (IMAGES, [2.0, 1.0], [2.0, 1.0], False),  # two evaluations tell nothing
        (IMAGES, [float("nan")] * 20, [None] * 20, False),
        (IMAGES, FLAT, [*FLAT[:-1], 0.49], False),  # 20 epochs, as planned
        (STRINGS, FLAT, [*FLAT[:-1], 0.49], True),  # a budget of steps ended it where it was best
        (STRINGS, FLAT, FLAT, False),
    ],
)
def test_training_longer_comes_first_where_a_loss_was_still_falling(config, loss, dev_loss, longer_is_first):
    found = diagnosed((300, 1000), (310, 1000))
    steps = next_steps(found, config, {}, history=evaluations(loss, dev_loss))
    assert (steps[0].knob == "longer training") is longer_is_first
    if longer_is_first:
        assert steps[0].reason.endswith("Seen in this run: a loss was still falling at the end.")
    else:
        assert [s.knob for s in steps] == [s.knob for s in next_steps(found, config, {})]


def test_how_the_training_ended_decides_whether_longer_training_is_offered():
    found = diagnosed((300, 1000), (310, 1000))
    patience = Ending("patience", 224, 3430, None, 144)
    steps = next_steps(found, IMAGES, {}, k=9, history=evaluations(FALLING, FALLING), ending=patience)
    assert steps
    assert "longer training" not in [step.knob for step in steps]
    assert str(patience) == "Stopped early at 224 of 3,430 updates; dev loss was lowest at 144."

    limited = {**IMAGES, "training": {**TRAINING, "epochs": None, "minutes": 0.2}}
    budget = Ending("budget", 15, 43, 0.2)
    told = "The budget of 0.2 minutes cut it at 15 of 43 updates."
    for history in ((), evaluations([2.0], [2.0]), evaluations(FALLING, FALLING)):
        first = next_steps(found, limited, {}, history=history, ending=budget)[0]
        assert (first.knob, first.reason) == ("longer training", f"{told} Give it more.")
    flat = next_steps(found, limited, {}, history=evaluations(FLAT, FLAT), ending=budget)[0]
    assert flat.knob != "longer training"
    assert str(Ending("budget", 50, 43, 1.0)) == "The budget of 1 minute cut it at 50 updates."
    assert str(Ending("finished", 43, 43)) == ""


def test_a_run_is_not_healthy_where_columns_give_the_target_away():
    found = diagnosed((5, 20_000), (6, 20_000))
    assert found.primary == "healthy"
    assert next_steps(found, IMAGES, {}) == []
    leaks = ['"casual" + "registered" is the target. Leave them out: data.ignore=["casual", "registered"].']
    (step,) = next_steps(found, IMAGES, {}, leaks=leaks)
    assert (step.number, step.who, step.overrides, step.reason) == (1, "you", {}, leaks[0])
    assert json.loads(json.dumps(step.to_dict()))["title"] == "leave out what gives the target away"
    assert "give the target away" in note(found, {}, leaks)
    assert "there is no next step" not in note(found, {}, leaks)


def test_training_longer_lengthens_the_minutes_that_limit_it_too():
    limited = {**IMAGES, "training": {**TRAINING, "minutes": 3}}
    assert change("longer training", limited, BIAS) == {"training.epochs": 40, "training.minutes": 6}


def test_a_split_in_time_is_offered_a_train_dev_set_and_newer_data():
    config = {**IMAGES, "data": {"target_domain": None, "time": "day"}}
    options = {"mismatch_declared": True, "ordered_in_time": True}
    (unsplit,) = next_steps(diagnosed((5, 1000), (400, 1000), **options), config, {})
    assert (unsplit.knob, unsplit.overrides) == ("train-dev set", {"data.train_dev": 0.1})
    (drift,) = next_steps(diagnosed((5, 1000), (10, 1000), test=(120, 1000), **options), config, {"dev": 1000})
    assert (drift.knob, drift.gap, drift.who) == ("newer training data", DRIFT, "you")
    assert "hoice" not in drift.reason


def test_what_only_a_person_can_do_is_said_with_its_figure():
    (small,) = next_steps(diagnosed((0, 800), (1, 25)), IMAGES, {"dev": 25})
    assert (small.knob, small.who, small.overrides) == ("bigger dev set", "you", {})
    assert "examples would tell; dev has 25" in small.reason
    ours, shift = next_steps(diagnosed((5, 1000), (400, 1000), (8, 1000)), IMAGES, {}, k=2)
    assert (ours.knob, ours.gap, ours.who) == ("training data varied towards dev", MISMATCH, "orthogon")
    assert (shift.gap, shift.who) == (MISMATCH, "you")
    (mixed, *_) = next_steps(diagnosed((5, 1000), (400, 1000), (8, 1000)), STRINGS, {})
    assert (mixed.gap, mixed.who) == (MISMATCH, "you")
    domains = {**IMAGES, "data": {"target_domain": "phone"}}
    (unsplit,) = next_steps(diagnosed((5, 1000), (400, 1000), mismatch_declared=True), domains, {})
    assert (unsplit.knob, unsplit.overrides) == ("train-dev set", {"data.train_dev": "auto"})
    (fresh,) = next_steps(diagnosed((5, 1000), (10, 1000), test=(120, 1000)), IMAGES, {"dev": 1000})
    assert (fresh.knob, fresh.gap) == ("bigger dev set", OVERFIT)
    (harder,) = next_steps(
        diagnosed((5, 1000), (10, 1000), test=(120, 1000), candidates=[wrong(10, 1000)]), IMAGES, {"dev": 1000}
    )
    assert (harder.knob, harder.gap) == ("bigger dev set", HARDER_TEST)
    assert "Dev and test differ" in harder.reason


def test_a_healthy_run_has_no_step_but_a_sentence_and_a_number():
    found = diagnosed((2, 800), (8, 350), test=(9, 397))
    assert next_steps(found, IMAGES, {"dev": 350}) == []
    said = note(found, {"dev": 350})
    assert "No gap is shown to be worth acting on (from 1.0 %), so there is no next step." in said
    assert "examples in dev would settle overfitting to dev; there are 350." in said
    large = diagnosed((100, 20_000), (110, 20_000))
    assert "The 20,000 examples in dev are enough to see one." in note(large, {})
    assert "at most the gap" in note(diagnosed((5, 1000), (60, 1000)), {})


AUGMENTS = Beliefs({("stronger augmentation", VARIANCE): Belief(0.7, 10)})  # so that it comes first


def pair(repaired):
    """A step after which `repaired` dev mistakes are right, and train has 20 more mistakes."""
    before = {"train": wrong(5, 1000), "dev": wrong(100, 1000), "test": wrong(100, 1000)}
    after = {"train": wrong(25, 1000), "dev": wrong(100 - repaired, 1000), "test": wrong(100 - repaired, 1000)}
    return before, after


def test_what_a_step_brought_is_set_beside_what_it_could_bring():
    before, after = pair(repaired=40)
    step = next_steps(diagnose(before, ERROR), IMAGES, {}, beliefs=AUGMENTS)[0]
    found = measure_step(before, after, ERROR, step)
    assert found.verdict == "helped"
    assert found.likely == step.expected
    assert "expected was -6." in found.sentence
    assert found.measured.value == pytest.approx(0.04)
    assert 0 < found.measured.low < 0.04 < found.measured.high < found.expected.value
    assert found.expected == step.gain_at_most
    assert (found.before, found.after) == pytest.approx((0.1, 0.06))
    assert found.p_value < 1e-9
    moved = {m.gap: m for m in found.moved}
    assert moved[BIAS].change == pytest.approx(0.02)
    assert moved[VARIANCE].change == pytest.approx(-0.06)
    assert moved[OVERFIT].change == pytest.approx(0)
    assert moved[VARIANCE].low < -0.06 < moved[VARIANCE].high
    assert found.orthogonal is True or moved[BIAS].change > 0.01
    assert '"stronger augmentation" helped: dev error -4.0 points' in str(found)
    assert json.loads(json.dumps(found.to_dict()))["measured"]["value"] == pytest.approx(0.04)


def test_a_knob_that_moves_another_gap_is_not_called_orthogonal():
    before, after = pair(repaired=40)
    after["train"] = wrong(65, 1000)  # bias + 6 points
    step = next_steps(diagnose(before, ERROR), IMAGES, {})[0]
    found = measure_step(before, after, ERROR, step)
    assert found.orthogonal is False
    assert "It also moved avoidable bias (+6.0 points)" in found.sentence


def test_a_step_without_effect_and_one_that_harms_are_told_apart():
    before, _ = pair(0)
    step = next_steps(diagnose(before, ERROR), IMAGES, {})[0]
    same = measure_step(before, before, ERROR, step)
    assert same.verdict == "cannot tell"
    assert "made no difference that dev can tell" in str(same)
    worse = measure_step(before, {**before, "dev": wrong(160, 1000)}, ERROR, step)
    assert worse.verdict == "harmed"
    broken = Outcome.unfinished(step)
    assert broken.verdict == "unfinished"
    assert broken.to_dict()["measured"] is None


def test_steps_are_measured_by_real_valued_metrics_too():
    rng = np.random.default_rng(0)
    loss = rng.exponential(size=400)
    before = {name: Scores({"loss": loss, "wrong": loss > 1}, np.arange(400)) for name in ("train", "dev")}
    after = {**before, "dev": Scores({"loss": 0.8 * loss, "wrong": loss > 1}, np.arange(400))}
    metric = classification_metrics("ab")["log_loss"]
    step = next_steps(diagnosed((5, 1000), (60, 1000)), IMAGES, {})[0]
    found = measure_step(before, after, metric, step)
    assert found.verdict == "helped"
    assert found.measured.value == pytest.approx(0.2 * loss.mean())
    assert "nats" in str(found)
