"""The task for tables: what a target is taken for, masked labels, answers and scores, baselines, what it refuses."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn

import orthogon.tasks.tabular as module
from orthogon.data.generate import make_shapes
from orthogon.data.tables import TableExamples
from orthogon.data.types import ColumnType
from orthogon.errors import ConfigError, DataError
from orthogon.models.tabular import Head
from orthogon.project.project import columns_in_words
from orthogon.tasks.tabular import Tabular, TabularConfig, TabularObjective, describe_target, heads_loss
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.preflight import check_start

NAN = math.nan


def table(frame: pd.DataFrame, *targets: str) -> TableExamples:
    columns, types = {}, {}
    for name, values in frame.items():
        if pd.api.types.is_numeric_dtype(values):
            columns[name], kind = pa.array(values.to_numpy(np.float64), from_pandas=True), "number"
        else:
            texts = [None if pd.isna(value) else str(value) for value in values]
            columns[name], kind = pa.array(texts, pa.string()).dictionary_encode(), "category"
        types[str(name)] = ColumnType(kind, "")  # type: ignore[arg-type]
    return TableExamples(pa.table(columns), types, targets, name="made.csv")


def rows(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Column x decides the class, c shifts the value, noise does nothing."""
    generator = np.random.default_rng(seed)
    x, noise = generator.normal(size=n), generator.normal(size=n)
    c = generator.choice(["low", "high"], n)
    frame = pd.DataFrame({"x": x, "noise": noise, "c": c})
    frame["class"] = np.where(x > 0, "yes", "no")
    frame["value"] = 100 + 10 * x + 5 * (c == "high")
    frame["three"] = np.array(["a", "b", "c"])[np.digitize(x, [-0.5, 0.5])]
    return frame


SMALL = {"members": 4, "width": 16, "depth": 1, "dropout": 0.0, "number_size": 4, "bins": 8, "category_size": 2}


def fitted(examples: TableExamples, **changes: object) -> Tabular:
    task = Tabular(TabularConfig(**{**SMALL, **changes}))  # type: ignore[arg-type]
    task.fit(examples)
    return task


def trained(examples: TableExamples, dev: TableExamples | None = None, epochs: int = 20, **changes: object):
    task = fitted(examples, **changes)
    torch.manual_seed(0)
    network = task.network()
    training = TrainingConfig(epochs=epochs, lr=0.02, batch_size=32, preflight=False, weight_decay=0.0, device="cpu")
    fit(task.objective(network, examples, dev, training), training)
    return task, network


# -- what a target is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["yes", "no", None, "yes"], "binary", ("no", "yes")),
        ([2.0, 1.0, NAN, 2.0], "binary", ("1", "2")),
        ([3.0, 5.0, 10.0, 3.0], "multiclass", ("3", "5", "10")),  # by value, not by text
        ([True, False, None], "binary", ("False", "True")),
        ([1.5, 2.0, 2.5], "regression", ()),
        ([float(i) for i in range(30)], "regression", ()),
        (["b", "a", "c"], "multiclass", ("a", "b", "c")),
    ],
)
def test_a_target_is_what_its_values_say(values: list[object], kind: str, classes: tuple[str, ...]):
    target = describe_target("y", np.array(values, dtype=object), None, "made.csv")
    assert (target.kind, target.classes) == (kind, classes)
    assert target.reason


def test_the_user_overrules_and_the_reason_says_so():
    target = describe_target("y", np.array([3.0, 4, 5, 3]), "regression", "made.csv")
    assert target.kind == "regression"
    assert target.reason == "you said so"
    assert target.mean == 3.75
    same = describe_target("y", np.array(["a", "b"], dtype=object), "binary", "made.csv")
    assert same.reason == "2 different names"  # what the suggestion wrote into the config is not the user's word


@pytest.mark.parametrize(
    ("values", "kind", "error", "message"),
    [
        ([None, None], None, DataError, r'made\.csv, column "y": every value .* missing.*\nFill the column'),
        (["a", "a"], None, DataError, r'made\.csv, column "y": .*one value in train, "a".*\nPick another target'),
        (["a", "b", "c"], "binary", ConfigError, r'task\.targets: "y" has 3 classes, not 2\nSay y: multiclass'),
        (["a", "4"], "regression", DataError, r'column "y": "a" .* is not a number \(1 such rows\)\n.*y=multiclass'),
        ([f"t{i}" for i in range(99)], None, DataError, r'column "y": .*99 classes in 99 rows.*\nPick another'),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(values: list[object], kind: None, error: type, message: str):
    with pytest.raises(error, match=message):
        describe_target("y", np.array(values, dtype=object), kind, "made.csv")


def test_a_class_that_train_does_not_have_is_named_with_its_row():
    train, dev = table(rows(), "class"), table(rows(5).assign(**{"class": ["yes", "no", "yess", "no", "no"]}), "class")
    task = fitted(train)
    with pytest.raises(DataError, match=r'row 3: class "yess" of "class" .*\(1 rows\)\nDid you mean "yes"\?'):
        task.score(task.answers(task.network(), dev), dev)


def test_an_unknown_target_name_gets_a_did_you_mean():
    with pytest.raises(ConfigError, match=r'task\.targets: "clas" is not a target\nDid you mean "class"\?'):
        fitted(table(rows(), "class"), targets={"clas": "binary"})


def test_a_table_without_usable_columns_is_refused():
    assert columns_in_words(table(rows()[["class"]], "class")) == "Target class; from no column."
    with pytest.raises(DataError, match="no column is left to learn from"):
        fitted(table(pd.DataFrame({"same": [1.0, 1, 1, 1], "y": ["a", "b", "a", "b"]}), "y"))


# -- masked labels ----------------------------------------------------------------------------------------------------


@pytest.mark.system("strat.multitask-missing")
def test_unknown_labels_are_left_out_of_the_loss_and_their_gradients_are_exactly_zero():
    # W.multitask: -ln .9 -ln .8 -ln .6 -ln .9 -ln .7 over the 5 known of 4 x 2 labels
    y = torch.tensor([[1, 0], [1, NAN], [0, 1], [NAN, NAN]], dtype=torch.float64)
    p = torch.tensor([[0.9, 0.2], [0.6, 0.5], [0.1, 0.7], [0.5, 0.5]], dtype=torch.float64)
    logits = torch.logit(p)[None].requires_grad_()
    total, count = heads_loss(logits, y, [Head("binary"), Head("binary")])
    assert count == 5
    assert total.item() == pytest.approx(1.301365, abs=1e-6)
    assert total.item() / 4 == pytest.approx(0.325341, abs=1e-6)
    assert total.item() / count == pytest.approx(0.260273, abs=1e-6)
    total.backward()
    gradient = logits.grad
    assert gradient is not None
    assert (gradient[0][torch.isnan(y)] == 0).all()
    torch.testing.assert_close(gradient[0][~torch.isnan(y)], (p - y)[~torch.isnan(y)])


def test_gradients_of_every_head_with_gaps():
    heads = [Head("binary"), Head("multiclass", 3), Head("regression")]
    y = torch.tensor([[1, 2, 0.5], [NAN, 0, NAN], [0, NAN, -1]], dtype=torch.float64)
    weights = [torch.tensor([1.0, 3.0]).double(), torch.tensor([1.0, 2.0, 0.5]).double(), None]
    z = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for smoothing in (0.0, 0.1):
        assert torch.autograd.gradcheck(lambda z, s=smoothing: heads_loss(z, y, heads, weights, s)[0], (z,))


def test_huge_logits_give_a_finite_loss():
    z = torch.full((1, 1, 4), 1000.0) * torch.tensor([-1.0, 1, -1, 1])
    total, _ = heads_loss(z, torch.tensor([[1.0, 1.0]]), [Head("binary"), Head("multiclass", 3)])
    assert torch.isfinite(total)


def test_rows_without_a_label_change_nothing():
    frame = rows()
    holes = pd.concat([frame, frame.assign(**{"class": None})], ignore_index=True)
    losses = []
    for data in (table(frame, "class"), table(holes, "class")):
        task = fitted(table(frame, "class"))
        torch.manual_seed(0)
        objective = task.objective(task.network(), data, None, TrainingConfig(batch_size=50))
        losses.append([objective.loss(batch)[0].item() for batch in objective.batches(1)])
    assert losses[0] == losses[1]


# -- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "metric"),
    [
        (["class"], "error"),
        (["three"], "error"),
        (["value"], "rmse"),
        (["class", "value", "three"], "mean_error"),
        (["class", "other"], "hamming"),
    ],
)
def test_it_learns_and_beats_the_trivial_baseline(targets: list[str], metric: str):
    frame = rows(240).assign(other=lambda f: np.where(f["c"] == "high", "on", "off"))
    frame.loc[::7, targets[-1]] = None
    examples = table(
        frame.drop(columns=[c for c in ("class", "value", "three", "other") if c not in targets]), *targets
    )
    train, dev = examples.take(np.arange(180)), examples.take(np.arange(180, 240))
    task, network = trained(train, dev)
    assert next(iter(task.metrics())) == metric
    answers = task.answers(network, dev, np.arange(180, 240))
    scores = task.score(answers, dev)
    known = ~pd.isna(frame.loc[180:, targets]).all(axis=1)
    np.testing.assert_array_equal(scores.ids, np.arange(180, 240)[known])  # unlabelled rows are left out
    trivial = task.baselines(train, dev, np.arange(180, 240))[0]
    errors = [task.metrics()[metric].error(s) for s in (scores, trivial.scores)]
    assert errors[0] < errors[1] / 2
    for extra in task.metrics().values():
        assert math.isfinite(extra.value(scores)), extra.name


@pytest.mark.parametrize(
    ("targets", "shown"),
    [
        (["class", "three"], "mean error rate of the targets 25.0 %"),
        (["class", "value"], "mean error of the targets 0.25"),
        (["value", "twice"], "mean RMSE of the targets in standard deviations 0.25"),
    ],
)
def test_the_mean_over_several_targets_says_what_it_is_a_mean_of(targets: list[str], shown: str):
    task = fitted(table(rows().assign(twice=lambda f: 2 * f["value"] + 0.1), *targets))
    metric = next(iter(task.metrics().values()))
    assert f"{metric.title} {metric.show(0.25)}" == shown


def test_two_runs_with_one_seed_are_equal_and_two_seeds_differ():
    examples = table(rows(), "class")
    weights = []
    for seed in (0, 0, 1):
        task = fitted(examples)
        torch.manual_seed(seed)
        network = task.network()
        training = TrainingConfig(epochs=1, lr=0.01, batch_size=32, preflight=False, device="cpu")
        fit(task.objective(network, examples, None, training), training, seed=seed)
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_state_gives_the_same_answers_in_another_task():
    examples = table(rows().assign(c=lambda f: f["c"].where(f.index % 5 > 0, None)), "three")
    task, network = trained(examples, epochs=2)
    again = Tabular(TabularConfig())
    again.load_state(task.state())
    twin = again.network()
    twin.load_state_dict(network.state_dict())
    for name, values in task.answers(network, examples).values.items():
        np.testing.assert_array_equal(values, again.answers(twin, examples).values[name])
    assert again.reason == task.reason == "three: multiclass (3 different names)"
    assert again.class_names() == ["a", "b", "c"]


def test_dev_figures_are_those_of_the_answers():
    examples = table(rows(), "class")
    task, network = trained(examples, epochs=1)
    objective = task.objective(network, examples, examples, TrainingConfig(batch_size=50))
    scores = task.score(task.answers(network, examples), examples)
    figures = objective.evaluate()
    assert figures["error"] == pytest.approx(task.metrics()["error"].value(scores))
    assert figures["loss"] == pytest.approx(scores.records["loss"].mean(), rel=1e-5)


def test_rmse_is_in_the_target_s_own_unit():
    examples = table(rows(), "value")
    task, network = trained(examples, epochs=1)
    answers = task.answers(network, examples)
    scores = task.score(answers, examples)
    truth = examples.frame(["value"])["value"].to_numpy()
    rmse = np.sqrt(((answers.values["answer"] - truth) ** 2).mean())
    assert task.metrics()["rmse"].value(scores) == pytest.approx(rmse, rel=1e-6)
    objective = task.objective(network, examples, examples, TrainingConfig(batch_size=50))
    assert objective.evaluate()["error"] == pytest.approx(rmse, rel=1e-5)


def test_nothing_of_dev_is_learned():
    train = table(rows(), "class")
    moved = table(rows().assign(x=lambda f: f["x"] + 1000, c="other"), "class")
    task = fitted(train)
    before = task.state()["encoder"]
    task.objective(task.network(), train, moved, TrainingConfig(batch_size=50))
    assert task.state()["encoder"] == before
    assert (task.unlike_train(moved) > 1).all()
    assert (task.unlike_train(train) <= 1).all()


def test_a_table_larger_than_the_limit_lies_in_a_file_and_trains_the_same(monkeypatch: pytest.MonkeyPatch):
    examples = table(rows(), "class")
    losses, mapped = [], []
    memmap = np.memmap
    monkeypatch.setattr(np, "memmap", lambda *args, **kwargs: mapped.append(args) or memmap(*args, **kwargs))
    for limit in (2**30, 0):
        assert not mapped
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", limit)
        monkeypatch.setattr(module, "CHUNK_ROWS", 32)
        task = fitted(examples)
        torch.manual_seed(0)
        objective = task.objective(task.network(), examples, examples, TrainingConfig(batch_size=50))
        losses.append([objective.loss(batch)[0].item() for batch in objective.batches(1)])
    assert len(mapped) == 4  # numbers and categories of train and dev
    assert losses[0] == losses[1]


def test_class_weights():
    examples = table(rows().assign(**{"class": ["rare"] * 12 + ["often"] * 108}), "class")
    task = fitted(examples)
    for wanted, expected in [("balanced", [120 / 216, 120 / 24]), ({"rare": 9.0}, [120 / 216, 120 / 24])]:
        training = TrainingConfig(batch_size=50, class_weights=wanted)  # type: ignore[arg-type]
        weights = task.objective(task.network(), examples, None, training)
        assert isinstance(weights, TabularObjective)
        torch.testing.assert_close(weights.class_weights[0], torch.tensor(expected))  # mean 1 over the rows
    with pytest.raises(ConfigError, match=r'training\.class_weights: "rar" .* "class"\nDid you mean "rare"\?'):
        task.objective(task.network(), examples, None, TrainingConfig(class_weights={"rar": 2.0}))
    numbers = table(rows(), "value")
    task = fitted(numbers)
    with pytest.raises(
        ConfigError, match=r"training\.class_weights: value: a number has no classes\b[^\n]*\nSet it to"
    ):
        task.objective(task.network(), numbers, None, TrainingConfig(class_weights="balanced"))


def test_suggestions_fill_every_open_size():
    examples = table(rows(), "class", "value")
    keys = Tabular(TabularConfig()).suggest(examples)
    open_fields = {f"task.{name}" for name, value in TabularConfig() if value is None}
    assert open_fields <= set(keys)
    assert keys["task.targets"] == {"class": "binary", "value": "regression"}
    assert {"training.lr", "training.epochs", "training.batch_size"} <= set(keys)


def test_strata_hold_classes_and_tenths_of_values():
    examples = table(rows(200), "class", "value")
    strata = Tabular(TabularConfig()).strata(examples)
    assert strata is not None
    frame = examples.frame(["class", "value"])
    for key in np.unique(strata):
        assert frame["class"][strata == key].nunique() == 1
    tenths = Tabular(TabularConfig()).strata(table(rows(200), "value"))
    assert np.bincount(np.unique(tenths, return_inverse=True)[1]).tolist() == [20] * 10


# -- baselines and what people see ------------------------------------------------------------------------------------


def test_baselines_are_the_classic_systems():
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame = rows(200).drop(columns=["class", "three"])
    examples = table(frame, "value")
    train, dev = examples.take(np.arange(150)), examples.take(np.arange(150, 200))
    task = fitted(train)
    found = {b.name: b.scores.records["answer"] for b in task.baselines(train, dev, np.arange(50))}
    assert list(found) == ["mean", "linear model", "gradient boosting"]
    np.testing.assert_allclose(found["mean"], frame["value"][:150].mean(), rtol=1e-6)
    design = frame.assign(c=(frame["c"] == "high").astype(float))[["x", "noise", "c"]].to_numpy()
    peer = HistGradientBoostingRegressor(categorical_features=[2], random_state=0).fit(
        design[:150], frame["value"][:150]
    )
    np.testing.assert_allclose(found["gradient boosting"], peer.predict(design[150:]), rtol=1e-4)


def test_baselines_on_large_data_say_that_they_saw_a_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BASELINE_ROWS", 100)
    monkeypatch.setattr(module, "LINEAR_ROWS", 50)
    examples = table(rows(), "three")
    names = [b.name for b in fitted(examples).baselines(examples, examples, np.arange(120))]
    assert names == ["majority class", "linear model on 50 rows", "gradient boosting on 100 rows"]


def test_importances_find_the_column_that_decides():
    examples = table(rows(300).drop(columns=["value", "three"]), "class")
    task, network = trained(examples)
    importances = task.importances(network, examples, task.metrics()["error"])
    assert importances[0].name == "x"
    assert importances[0].low > 0.2
    assert {i.name for i in importances} == {"x", "noise", "c"}
    assert all(i.low <= 0.02 for i in importances[1:])


def test_a_card_shows_the_row_with_its_answer():
    examples = table(rows(300)[["noise", "c", "x", "class"]], "class")
    task, network = trained(examples)
    answers = task.answers(network, examples)
    card = task.show(examples[4], answers, 4)
    assert card.kind == "row"
    assert card.title == "made.csv, row 5"
    assert (card.truth, card.answer) == (examples[4].target, answers.values["answer"][4])
    assert list(card.fields) == ["noise", "c", "x"]
    assert card.targets == ()


def test_of_several_targets_the_most_costly_that_differ_come_first():
    frame = rows(4)[["x", "class"]].assign(other=["a", "b", "a", "b"], value=[1.25, 2.5, 3.5, 40.25])
    task = fitted(table(frame, "class", "other", "value"))
    example = table(frame, "class", "other", "value")[0]
    right, wrong = [[1.0, 0.0], [0.0, 1.0]][:: 1 if example.target["class"] == task.targets[0].classes[0] else -1]
    for first, said, value, order, differ in (
        (right, [0.4, 0.6], 1.25, ["other", "class", "value"], 1),
        (right, [0.4, 0.6], 90.0, ["value", "other", "class"], 2),
        (wrong, [0.4, 0.6], 1.5, ["class", "other", "value"], 3),
    ):
        answers = task._answers([np.array([first]), np.array([said]), np.array([value])], np.arange(1))
        card = task.show(example, answers, 0)
        assert [target.name for target in card.targets] == order
        assert [target.wrong for target in card.targets] == [k < differ for k in range(3)]
        other = next(target for target in card.targets if target.name == "other")
        assert (other.truth, other.answer, other.confidence) == ("a", "b", pytest.approx(0.6))


@pytest.mark.parametrize("targets", [("class",), ("three",), ("class", "three"), ("class", "value")])
def test_what_a_network_that_knows_nothing_loses(targets):
    task = fitted(table(rows(), *targets))
    known = {("class",): math.log(2), ("three",): math.log(3), ("class", "three"): math.log(6) / 2}
    assert task.expected_loss() == pytest.approx(known.get(targets))


@pytest.mark.parametrize("targets", [("value",), ("class", "value"), ("three", "value")])
def test_what_a_network_that_knows_nothing_loses_on_a_batch_with_values(targets):
    frame = rows()
    frame.loc[3, "value"] = 1e4  # a batch may hold any outlier
    examples = table(frame, *targets)
    task = fitted(examples)
    torch.manual_seed(0)
    network = task.network()
    objective = task.objective(network, examples, None, TrainingConfig(batch_size=120))
    z = (frame["value"] - task.targets[-1].mean) / task.targets[-1].scale
    each = {"class": math.log(2), "three": math.log(3), "value": float(np.mean(np.square(z)))}
    batch = next(iter(objective.batches(1)))
    total, count = objective.uninformed_loss(batch)
    assert count == 120 * len(targets)
    assert total / count == pytest.approx(np.mean([each[target] for target in targets]), rel=1e-4)
    assert check_start(objective, task.expected_loss()) is None
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(30)
    finding = check_start(objective, task.expected_loss())
    assert finding.code == "loss-at-start"
    assert f"should have about {total / count:.3g}" in finding.message


def test_a_card_of_several_targets_names_them():
    examples = table(rows().assign(value=lambda f: f["value"].where(f.index > 0)), "class", "value")
    task = fitted(examples)
    card = task.show(examples[0], task.answers(task.network(), examples), 0)
    assert card.truth == f"class={examples[0].target['class']}, value=unknown"


def test_answers_of_no_rows():
    task = fitted(table(rows(), "class"))
    answers = task.answers(task.network(), table(rows(), "class").take([]))
    assert answers.values["probs"].shape == (0, 2)


def test_example_inputs_fit_the_network():
    task = fitted(table(rows(), "class", "value"))
    inputs = task.example_inputs(3)
    assert len(inputs) == len(task.input_names())
    assert task.network()(*inputs).shape == (3, 2)
    assert {"numbers", "categories", "outputs", "reading"} <= set(task.preprocessing())


# -- several tasks help each other ------------------------------------------------------------------------------------


def small_convnet(outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for i, o in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 16, outputs))


@pytest.mark.slow
@pytest.mark.system("strat.multitask")
def test_one_net_for_four_attributes_is_at_least_as_good_as_four_nets():
    made = make_shapes(1300, size=32, seed=3)
    x = torch.from_numpy(made.images).permute(0, 3, 1, 2).float() / 255
    y = torch.from_numpy(made.attributes[:, :4]).float()

    def wrong(columns: list[int], seed: int) -> float:
        torch.manual_seed(seed)
        network = small_convnet(len(columns))
        optimiser = torch.optim.Adam(network.parameters(), 2e-3)
        heads = [Head("binary")] * len(columns)
        for _ in range(25):
            for rows in torch.randperm(300).split(30):
                total, count = heads_loss(network(x[rows])[None], y[rows][:, columns], heads)
                optimiser.zero_grad()
                (total / count).backward()
                optimiser.step()
        network.eval()
        with torch.no_grad():
            return ((network(x[300:]) > 0) != y[300:, columns]).float().mean().item()

    joint = np.mean([wrong([0, 1, 2, 3], seed) for seed in range(3)])
    separate = np.mean([wrong([j], seed) for seed in range(3) for j in range(4)])
    assert joint <= separate
