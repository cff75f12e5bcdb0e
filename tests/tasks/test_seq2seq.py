"""Strings to strings: symbols, refusals, masks in the loss, answers, scores, cards, and the date exercise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from orthogon.data.generate import make_dates
from orthogon.data.strings import StringPairs
from orthogon.errors import ConfigError, DataError
from orthogon.metrics.strings import edit_distance
from orthogon.tasks.seq2seq import NOT_A_SYMBOL, PAD, UNKNOWN, Seq2Seq, Seq2SeqConfig, nearest_strings
from orthogon.training.config import TrainingConfig
from orthogon.training.loop import fit
from orthogon.training.preflight import check_start

TRAINING = TrainingConfig(lr=0.01, epochs=12, batch_size=32, clip_norm=1.0, preflight=False)


def doubled(n: int = 300, seed: int = 0) -> StringPairs:
    """Each character twice: T_y = 2 T_x, of many lengths."""
    rng = np.random.default_rng(seed)
    sources = ["".join(rng.choice(list("abc"), rng.integers(1, 5))) for _ in range(n)]
    return StringPairs(sources, ["".join(c + c for c in s) for s in sources], name="doubled.tsv")


def made(examples: StringPairs, **settings: Any) -> Seq2Seq:
    chosen = Seq2Seq(Seq2SeqConfig(**settings)).suggest(examples)
    chosen = {k[5:]: v for k, v in chosen.items() if k.startswith("task.")}
    task = Seq2Seq(Seq2SeqConfig(**{**chosen, **settings}))
    task.fit(examples)
    return task


@pytest.fixture(scope="module")
def learned() -> tuple[Seq2Seq, torch.nn.Module]:
    train = doubled()
    task = made(train, embedding_size=8, encoder_size=16, decoder_size=32, attention_size=8)
    torch.manual_seed(0)
    network = task.network()
    fit(task.objective(network, train, None, TRAINING), TRAINING)
    return task, network


# -- symbols ------------------------------------------------------------------------------------------------------


def test_every_open_field_is_suggested_and_every_suggestion_is_a_field() -> None:
    chosen = Seq2Seq(Seq2SeqConfig()).suggest(doubled())
    config = Seq2SeqConfig(**{k[5:]: v for k, v in chosen.items() if k.startswith("task.")})
    TrainingConfig(**{k[9:]: v for k, v in chosen.items() if k.startswith("training.")})
    assert [name for name, value in config.model_dump().items() if value is None] == []
    assert [name for name, f in Seq2SeqConfig.model_fields.items() if not f.description] == ["kind"]


def test_symbols_worked_by_hand() -> None:
    task = made(StringPairs(["ab", "b"], ["xy", "y"]))
    assert (task.input_symbols, task.output_symbols, task.end, task.steps) == (4, 3, 2, 3)
    assert task.encode(["ab", "b", "b?", ""]).tolist() == [[2, 3], [3, PAD], [3, UNKNOWN], [UNKNOWN, PAD]]
    tokens, lost = task.encode_targets(["xy", "y", "", "x!", "xyxy"])
    n = NOT_A_SYMBOL
    assert tokens.tolist() == [[0, 1, 2], [1, 2, n], [2, n, n], [0, n, 2], [0, 1, 0]]
    assert lost.tolist() == [0, 0, 0, 1, 2]  # "!" is unknown; of "xyxy" and its end two symbols do not fit
    assert task.decode(np.array([[0, 1, 2], [1, 2, 0], [2, 0, 0], [0, 1, 0]])) == ["xy", "y", "", "xyx"]


@given(text=st.text(alphabet="abc", max_size=8))
def test_encoding_and_decoding_targets_come_back(text: str) -> None:
    task = made(StringPairs(["a", "b"], ["abcabcabc", "b"]))
    tokens, lost = task.encode_targets([text])
    assert lost.tolist() == [0]
    assert task.decode(tokens.numpy()) == [text]


def test_the_exercise_needs_no_end_symbol_where_all_targets_are_as_long() -> None:
    sources, targets = make_dates(2000, seed=0)
    dates = StringPairs(sources, targets)
    exercise = made(dates, network="date_translator", max_input_length=30)
    assert (exercise.input_symbols, exercise.output_symbols, exercise.steps) == (37, 11, 10)
    assert sum(p.numel() for p in exercise.network().parameters()) == 52_960
    double = made(dates, network="date_translator", double_bias=True)
    assert sum(p.numel() for p in double.network().parameters()) == 53_472
    assert made(dates).output_symbols == 12
    assert made(doubled(), network="date_translator").ends


def test_the_vocabulary_comes_from_train_alone() -> None:
    task = made(StringPairs(["ab", "ba"], ["x", "y"]))
    assert task.input_characters == "ab"
    answers = task.answers(task.network(), StringPairs(["zz"], ["w"]))
    assert set(answers.values["answer"][0]) <= {"x", "y"}
    assert answers.values["nll"][0] > 20  # a character that cannot be written costs what 1e-12 does


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sources", "targets", "what", "remedy"), [
    (["a", "b"], [None, None], "no pair has a target string", "source TAB target"),
    (["a", "b"], ["x", "x"], 'every one of the 2 targets is "x"', "which column is the target"),
    (["", ""], ["x", "y"], "every source string is empty", "which column is which"),
])  # fmt: skip
def test_what_cannot_be_learned_is_refused(sources: list[str], targets: list[Any], what: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        Seq2Seq(Seq2SeqConfig()).fit(StringPairs(sources, targets, name="pairs.tsv"))
    assert caught.value.what == what
    assert caught.value.where == "pairs.tsv"
    assert remedy in caught.value.remedy


def test_class_weights_are_refused() -> None:
    train = doubled(20)
    task = made(train)
    with pytest.raises(ConfigError) as caught:
        task.objective(task.network(), train, None, TRAINING.model_copy(update={"class_weights": "balanced"}))
    assert "no classes" in caught.value.what
    assert caught.value.where == "training.class_weights"
    assert "none" in caught.value.remedy


def test_longer_pairs_than_allowed_are_cut_and_counted() -> None:
    task = made(StringPairs(["abcd", "a"], ["x", "y"]), max_input_length=2)
    assert "1 pairs are longer" in task.reason
    assert task.encode(["abcd"]).shape == (1, 2)


# -- loss ---------------------------------------------------------------------------------------------------------


def test_the_loss_counts_real_symbols_only() -> None:
    """One batch of all pairs: the sum over each pair alone, unpadded; the count is characters and one end each."""
    train = doubled(12)
    task = made(train)
    network = task.network().eval()
    objective = task.objective(network, train, None, TRAINING)
    (batch,) = objective.batches(0)
    total, count, _ = objective.loss(batch)
    assert count == sum(len(t) + 1 for t in train.target_strings)
    alone = 0.0
    for source, target in zip(train.sources, train.target_strings, strict=True):
        tokens = task.encode([source])[:, : len(source)]
        symbols = torch.tensor([[*(task.output_characters.index(c) for c in target), task.end]])
        alone += F.cross_entropy(network.taught(tokens, symbols)[0], symbols[0], reduction="sum").item()  # type: ignore[operator]
    assert total.item() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("network", ["attention", "date_translator"])
def test_a_network_that_knows_nothing_loses_log_v(network: str) -> None:
    pairs = StringPairs(*make_dates(200, seed=0))
    task = made(pairs, network=network)
    assert task.expected_loss() == pytest.approx(np.log(11 if network == "date_translator" else 12))  # 0-9, -, end
    torch.manual_seed(0)
    net = task.network()
    objective = task.objective(net, pairs, None, TrainingConfig(batch_size=50))
    assert check_start(objective, task.expected_loss()) is None
    total, count, _ = objective.loss(next(iter(objective.batches(1))))
    assert total.item() / count == pytest.approx(np.log(task.output_symbols), rel=0.1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(30)
    finding = check_start(objective, task.expected_loss())
    assert finding is not None
    assert finding.code == "loss-at-start"


def test_batches_come_again_in_the_middle_of_an_epoch() -> None:
    train = doubled(100)
    task = made(train)
    objective = task.objective(task.network(), train, None, TRAINING)
    whole = list(objective.batches(2))
    assert len(whole) == objective.batches_per_epoch() == 4
    for ours, theirs in zip(whole[3:], objective.batches(2, start=3), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_dev_figures_agree_with_the_scores(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    dev = doubled(60, seed=7)
    figures = task.objective(network, dev, dev, TRAINING).evaluate()
    scores = task.score(task.answers(network, dev), dev)
    assert figures["error"] == scores.records["wrong"].mean()
    nats = (scores.records["loss"] * scores.records["tokens"]).sum() / scores.records["tokens"].sum()
    assert figures["loss"] == pytest.approx(nats)


# -- answers ------------------------------------------------------------------------------------------------------


def test_it_learns_strings_of_other_lengths(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    dev = doubled(80, seed=3)
    scores = task.score(task.answers(network, dev), dev)
    assert scores.records["wrong"].mean() <= 0.05
    assert task.metrics()["error"].value(scores) == scores.records["wrong"].mean()


def test_scores_are_what_the_strings_say() -> None:
    task = made(StringPairs(["a", "b"], ["xyz", "yx"]))
    examples = StringPairs(["a", "b", "a"], ["xyz", None, "yx"])
    scores = task._scores(["xz", "", "yx"], examples, np.array([5, 6, 7]))
    assert scores.ids.tolist() == [5, 7]
    assert scores.records["wrong"].tolist() == [1, 0]
    assert scores.records["edits"].tolist() == [edit_distance("xz", "xyz"), 0] == [1, 0]
    assert scores.records["length"].tolist() == [3, 2]
    assert scores.records["loss"].tolist() == pytest.approx([np.log(4) / 3, 0])


def test_confidence_is_the_probability_of_the_whole_string(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    dev = doubled(40, seed=5)
    answers = task.answers(network, dev)
    right = answers.values["answer"] == dev.target_strings
    # Where the answer is the truth, both calls must tell the same probability.
    assert right.sum() > 30
    assert np.allclose(answers.values["confidence"][right], np.exp(-answers.values["nll"][right]), rtol=1e-4)
    assert (
        answers.values["confidence"][right].mean() > answers.values["confidence"][~right].mean()
        if (~right).any()
        else 1
    )


def test_the_rest_of_the_batch_and_its_order_change_nothing(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    dev = doubled(30, seed=6)
    answers = task.answers(network, dev)
    turned = task.answers(network, dev.take(np.arange(30)[::-1]))
    assert (turned.values["answer"][::-1] == answers.values["answer"]).all()
    alone = task.answers(network, dev.take([4]), np.array([99]))
    assert alone.ids.tolist() == [99]
    assert alone.values["confidence"][0] == pytest.approx(answers.values["confidence"][4], rel=1e-5)


def test_inputs_without_targets_are_answered_without_figures(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    answers = task.answers(network, StringPairs(["ab", ""], [None, None]))
    assert set(answers.values) == {"answer", "confidence"}
    assert len(task.score(answers, StringPairs(["ab", ""], [None, None]))) == 0
    assert len(task.answers(network, StringPairs([], []))) == 0


def test_state_travels_through_json(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    other = Seq2Seq(task.config)
    other.load_state(json.loads(json.dumps(task.state())))
    again = other.network()
    again.load_state_dict(network.state_dict())
    new = StringPairs(["abc", "cab?", ""], [None] * 3)
    assert (task.answers(network, new).values["answer"] == other.answers(again, new).values["answer"]).all()
    assert np.array_equal(task.unlike_train(new), other.unlike_train(new))


def test_strings_unlike_train_stand_out() -> None:
    train = StringPairs(*make_dates(1000, seed=0))
    task = made(train)
    assert float(task.unlike_train(train).max()) <= 1.0
    unseen = task.unlike_train(StringPairs(*make_dates(200, seed=1)))
    assert float(np.median(unseen)) < 0.3
    assert float((unseen > 1).mean()) < 0.05
    strange = task.unlike_train(StringPairs(["züri", "zzzzzz", "19" * 20], [None] * 3))
    assert bool((strange > 1).all())


# -- baselines ----------------------------------------------------------------------------------------------------


def test_baselines_worked_by_hand() -> None:
    train = StringPairs(["aab", "abb", "bbb", "ccc"], ["aab", "X", "X", "Z"])
    dev = StringPairs(["aabb", "cccc", "abb"], ["aab", "Z", "Y"])
    found = made(train).baselines(train, dev, np.array([4, 5, 6]))
    assert [baseline.name for baseline in found] == [
        "commonest string",
        "most similar source's answer",
        "copy of the source",  # it is right once in train
    ]
    assert found[0].scores.records["wrong"].tolist() == [1, 1, 1]
    assert found[1].scores.records["wrong"].tolist() == [0, 0, 1]
    assert found[2].scores.records["edits"].tolist() == [1, 4, 3]
    assert all(baseline.scores.ids.tolist() == [4, 5, 6] for baseline in found)


def test_the_nearest_string_is_the_one_with_the_fewest_edits() -> None:
    rng = np.random.default_rng(0)
    known = ["".join(rng.choice(list("abcd"), 6)) for _ in range(8)]
    new = ["".join(rng.choice(list("abcd"), 6)) for _ in range(20)]
    for text, found in zip(new, nearest_strings(new, known), strict=True):
        assert edit_distance(text, known[found]) == min(edit_distance(text, other) for other in known)


# -- what people see ----------------------------------------------------------------------------------------------


@pytest.mark.system("s2s.attn-viz")
def test_a_card_maps_output_characters_to_input_characters(learned: tuple[Seq2Seq, torch.nn.Module]) -> None:
    task, network = learned
    pairs = StringPairs(["abca"], ["aabbccaa"], name="pairs.tsv")
    card = task.show(pairs[0], task.answers(network, pairs), 0, network)
    assert (card.kind, card.title, card.text) == ("strings", "pairs.tsv, line 1", "abca")
    assert (card.truth, card.answer) == ("aabbccaa", "aabbccaa")
    assert list(card.row_labels) == list("aabbccaa")
    assert list(card.column_labels) == list("abca")
    assert card.heat is not None
    assert card.heat.shape == (8, 4)
    assert np.allclose(card.heat.sum(axis=1), 1, atol=1e-5)
    assert card.loss is not None
    assert card.loss < 0.5
    assert task.show(pairs[0], task.answers(network, pairs), 0).heat is None


def near_share(heat: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> float:
    """Mean weight that the rows give to the input at their place and to its neighbours."""
    columns = np.arange(heat.shape[1])
    return float(np.mean([row[np.abs(columns - place) <= 1].sum() for row, place in zip(heat, places, strict=True)]))


@pytest.mark.system("s2s.attn-viz")
@pytest.mark.parametrize("turned", [False, True], ids=["copy", "reversal"])
def test_the_heat_map_that_people_see_runs_along_the_diagonal(turned: bool) -> None:
    """Near the diagonal for a copy, near the other one for a reversal: in the card, after training through the loop."""
    rng = np.random.default_rng(0)
    sources = ["".join(rng.choice(list("abcdef"), 6)) for _ in range(1200)]
    train = StringPairs(sources, [s[::-1] if turned else s for s in sources], name="pairs.tsv")
    task = made(train, embedding_size=8, encoder_size=16, decoder_size=32, attention_size=16)
    torch.manual_seed(0)
    network = task.network()
    config = TrainingConfig(lr=0.01, epochs=4, batch_size=32, clip_norm=1.0, preflight=False, schedule="constant")
    fit(task.objective(network, train, None, config), config)
    along, across = [], []
    for i in range(5):
        new = StringPairs([s := "".join(np.random.default_rng(100 + i).permutation(list("abcdef")))], [s])
        card = task.show(new[0], task.answers(network, new), 0, network)
        assert card.heat is not None
        assert list(card.column_labels) == list(s)
        assert card.heat.shape == (len(card.answer), 6)
        steps = np.arange(len(card.answer))
        # the character that a row is labelled with is where it looks
        places = np.array([s.index(str(label)) for label in card.row_labels])
        assert places.tolist() == [5 - t if turned else t for t in steps]
        along.append(near_share(card.heat, places))
        across.append(near_share(card.heat, 5 - places))
    assert np.mean(along) > 0.7  # uniform weights would put 0.44 there
    assert np.mean(along) > 2 * np.mean(across)


# -- export -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["date_translator", pytest.param("attention", marks=pytest.mark.slow)])
def test_the_exported_network_equals_pytorch_at_any_batch_size(network: str, tmp_path: Path) -> None:
    from orthogon.run.export import _export, largest_difference

    train = StringPairs(["ab", "b", "abc", "ca"], ["x", "yx", "y", "xx"])  # each written symbol is traced anew: few
    task = made(train, network=network, encoder_size=8, decoder_size=8)
    torch.manual_seed(0)
    exported = task.network().eval()
    _export(exported, task.example_inputs(3), task.input_names(), tmp_path / "network.onnx")
    sizes = [task.example_inputs(size) for size in (1, 5)]
    assert largest_difference(exported, tmp_path / "network.onnx", task.input_names(), sizes) < 1e-4


def test_facts_for_other_runtimes_are_plain_values() -> None:
    facts = json.loads(json.dumps(made(StringPairs(["ab", "b"], ["xy", "y"])).preprocessing()))
    assert facts["characters"] == {"a": 2, "b": 3}
    assert facts["output_characters"] == ["x", "y"]
    assert facts["end"] == 2


# -- the date exercise --------------------------------------------------------------------------------------------


def exact_share(
    m: int, unseen: int, training: dict[str, Any], seed: int = 0, **settings: Any
) -> tuple[float, Seq2Seq, torch.nn.Module]:
    dates = StringPairs(*make_dates(m + unseen, seed=0))
    train, new = dates.take(np.arange(m)), dates.take(np.arange(m, m + unseen))
    chosen = Seq2Seq(Seq2SeqConfig(**settings)).suggest(train)
    task = made(train, **settings)
    config = TrainingConfig(**{**{k[9:]: v for k, v in chosen.items() if k.startswith("training.")}, **training})
    torch.manual_seed(seed)
    network = task.network()
    fit(task.objective(network, train, None, config), config)
    return 1 - float(task.score(task.answers(network, new), new).records["wrong"].mean()), task, network


# Adam with α = 0.005, β = 0.9 and 0.999 and decay 0.01, α / (1 + 0.01 · epoch); nothing clipped, nothing decayed
EXERCISE: dict[str, Any] = {
    "optimiser": "adam",
    "lr": 0.005,
    "momentum": 0.9,
    "beta2": 0.999,
    "schedule": "inverse",
    "decay_rate": 0.01,
    "weight_decay": 0.0,
    "clip_norm": None,
    "batch_size": 32,
    "preflight": False,
}


@pytest.mark.system("ex.nmt")
def test_the_task_suggests_the_exercises_recipe_and_sizes() -> None:
    """AdamW without decay is Adam; the cosine replaces the decay, and clipping at 1 is ours."""
    dates = StringPairs(*make_dates(10_000, seed=0))
    chosen = Seq2Seq(Seq2SeqConfig(network="date_translator")).suggest(dates)
    config = TrainingConfig(**{key[9:]: value for key, value in chosen.items() if key.startswith("training.")})
    assert (config.lr, config.momentum, config.beta2) == (0.005, 0.9, 0.999)
    assert config.optimiser in ("adam", "adamw")
    assert config.weight_decay == 0.0
    task = made(dates, network="date_translator", max_input_length=30)
    network = task.network()
    assert (task.input_symbols, task.output_symbols) == (37, 11)
    assert (network.encoder.hidden_size, network.decoder.hidden_size) == (32, 64)  # type: ignore[union-attr]
    assert task.encode(dates.sources[:5]).shape == (5, 30)
    assert task.encode_targets(dates.target_strings[:5])[0].shape == (5, 10)  # type: ignore[index]


@pytest.mark.system("ex.nmt")
def test_the_exercises_recipe_learns_the_frame_of_a_date_in_a_few_updates() -> None:
    """After 96 updates: well below what the best guess of each place costs that does not look at the source."""
    dates = StringPairs(*make_dates(1024, seed=0))
    task = made(dates, network="date_translator", max_input_length=30)
    symbols = task.encode_targets(dates.target_strings)[0].numpy()  # type: ignore[arg-type]
    blind = 0.0
    for column in symbols.T:
        share = np.bincount(column) / len(column)
        blind -= float((share[share > 0] * np.log(share[share > 0])).sum()) / symbols.shape[1]
    torch.manual_seed(0)
    network = task.network()
    config = TrainingConfig(**EXERCISE, steps=96, evaluate_every=96)
    result = fit(task.objective(network, dates, dates, config), config)
    assert result.best["loss"] < 0.9 * blind


@pytest.mark.slow
@pytest.mark.system("ex.nmt")
@pytest.mark.parametrize(("seed", "epochs"), [(0, 5), (1, 10), (2, 5)])
def test_the_exercises_network_translates_dates(seed: int, epochs: int) -> None:
    """m = 10,000, T_x = 30, the exercise's optimiser: at least 95 % of 500 unseen dates exactly right."""
    share, _, network = exact_share(
        10_000, 500, {**EXERCISE, "epochs": epochs}, seed, network="date_translator", max_input_length=30
    )
    assert sum(p.numel() for p in network.parameters()) == 52_960
    assert share >= 0.95


@pytest.mark.slow
@pytest.mark.system("ex.nmt")
def test_the_exercises_attention_reads_each_part_of_a_date_where_it_stands() -> None:
    """Over unseen dates "weekday day month year" and "month day year": the order in which parts are read is the
    source's, whatever their order in the answer; the year is read from the year.
    """
    _, task, network = exact_share(
        10_000, 500, {**EXERCISE, "epochs": 5}, 0, network="date_translator", max_input_length=30
    )
    rows = {"year": slice(2, 4), "month": slice(5, 7), "day": slice(8, 10)}  # "98", "05", "09" of "1998-05-09"
    ordered, in_year = [], []
    for day, month, year in [(9, "may", 1998), (7, "march", 1983), (21, "august", 2016), (3, "june", 1979)]:
        for source, order in (
            (f"saturday {day} {month} {year}", ("day", "month", "year")),
            (f"monday {month} {day} {year}", ("month", "day", "year")),
        ):
            heat = task.attention(network, source)
            assert heat.shape == (10, len(source))
            centre = heat @ np.arange(len(source)) / heat.sum(axis=1)
            found = {part: float(centre[span].mean()) for part, span in rows.items()}
            ordered.append(sorted(found, key=found.__getitem__) == list(order))
            in_year.append(float(heat[rows["year"], source.index(str(year)) :].sum(axis=1).mean()))
    assert np.mean(in_year) > 0.8
    assert np.mean(ordered) > 0.8


@pytest.mark.slow
def test_dates_reach_the_promised_share_with_defaults() -> None:
    share, _, _ = exact_share(6_000, 500, {})
    assert share >= 0.99
