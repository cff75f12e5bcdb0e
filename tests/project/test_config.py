"""orthogon.yaml: strict, frozen, told with its line; --set; None filled by suggestions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orthogon.errors import ConfigError
from orthogon.project.config import apply_sets, differences, get, parse, parse_text, put, resolve

MINIMAL = "data:\n  source: digits\n"


def test_only_the_data_is_needed() -> None:
    config, _ = parse_text(MINIMAL)
    assert config.data.source == "digits"
    assert config.training.optimiser == "adamw"


def test_unknown_key_names_line_and_near_miss() -> None:
    text = "data:\n  source: digits\ntraining:\n  epochs: 3\n  learning_rate: 0.1\n  batchsize: 8\n"
    with pytest.raises(ConfigError) as caught:
        parse_text(text)
    assert "2 keys are wrong" in caught.value.what
    assert "orthogon.yaml, line 6: training.batchsize: unknown key" in caught.value.what
    assert 'Did you mean "batch_size"?' in caught.value.what


def test_one_unknown_key() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text("data:\n  source: digits\ntrainin:\n  lr: 1\n")
    assert caught.value.where == "orthogon.yaml, line 3"
    assert caught.value.remedy == 'Did you mean "training"?'
    assert caught.value.exit_code == 2


def test_unknown_key_of_the_task_section() -> None:
    with pytest.raises(ConfigError, match=r"task\.dropuot: unknown key") as caught:
        parse_text(MINIMAL + "task:\n  kind: image_classification\n  dropuot: 0.1\n")
    assert caught.value.where == "orthogon.yaml, line 5"
    assert 'Did you mean "dropout"?' in caught.value.remedy


def test_unknown_task() -> None:
    with pytest.raises(ConfigError, match='"tabulr" is not a task') as caught:
        parse_text(MINIMAL + "task:\n  kind: tabulr\n")
    assert 'Did you mean "tabular"?' in caught.value.remedy


def test_wrong_type_says_value_and_meaning() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(MINIMAL + "training:\n  lr: fast\n")
    assert "'fast'" in caught.value.what
    assert caught.value.where == "orthogon.yaml, line 4"
    assert "Learning rate" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("training:\n  epochs: 3\n  minutes: 2\n", "training.epochs and training.minutes are both set"),
        ("training:\n  batch_size: 2\n  accumulate: 4\n", "training.accumulate=4 exceeds training.batch_size=2"),
    ],
)
def test_contradictory_keys_are_both_named(text: str, both: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(MINIMAL + text)
    assert both in caught.value.what


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match='"fast" is not a limit') as caught:
        parse_text(MINIMAL + "metrics:\n  satisfice:\n    latency_ms: fast\n")
    assert caught.value.where == "metrics.satisfice.latency_ms"
    assert '"<= 100"' in caught.value.remedy


def test_invalid_yaml_tells_line_and_column() -> None:
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        parse_text("data:\n  source: [digits\n")
    assert "line 3" in caught.value.where


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("data:\n  source: d\ntraining:\n  lr: 0.1\n  epochs: 2\n  lr: 0.5\n", "training.lr", (4, 6)),
        ("data:\n  source: d\nseed: 1\ndata:\n  source: e\n", "data", (1, 4)),
        ("data:\n  source: d\ntask: {kind: tabular, kind: tabular}\n", "task.kind", (3, 3)),
    ],
)
def test_a_key_that_stands_there_twice_is_refused(text: str, key: str, lines: tuple[int, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(text)
    first, second = lines
    assert caught.value.what == f"{key} is set twice, in line {first} and in line {second}"
    assert caught.value.where == f"orthogon.yaml, line {second}"
    assert "Keep one" in caught.value.remedy


def test_a_key_that_one_setting_sets_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.lr is set twice") as caught:
        apply_sets({}, ["training={lr: 0.1, lr: 0.5}"])
    assert caught.value.where == "--set training={lr: 0.1, lr: 0.5}"
    assert apply_sets({}, ["training.lr=0.1", "training.lr=0.5"]) == {"training": {"lr": 0.5}}  # said later, meant so


def test_the_same_key_in_two_sections_and_a_repeated_part_are_no_mistake() -> None:
    text = "data: {source: &same d, test_source: *same}\ntask: {kind: tabular, dropout: 0}\ntraining: {lr: 1}\n"
    assert parse_text(text)[0].data.test_source == "d"


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n"])
def test_a_file_without_keys(text: str) -> None:
    with pytest.raises(ConfigError, match="holds no keys"):
        parse_text(text)


def test_missing_source_says_how_to_give_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text("data:\n  target: income\n")
    assert "data.source" in caught.value.what
    assert "--set data.source=VALUE" in caught.value.remedy


def test_set_overrides_and_is_blamed_for_its_own_mistakes() -> None:
    config, _ = parse_text(MINIMAL, sets=["training.lr=1e-3", "data.train_fraction=0.06", "seed=7"])
    assert (config.training.lr, config.data.train_fraction, config.seed) == (1e-3, 0.06, 7)
    with pytest.raises(ConfigError) as caught:
        parse_text(MINIMAL, sets=["training.lrr=1"])
    assert caught.value.where == "--set training.lrr"
    assert 'Did you mean "lr"?' in caught.value.remedy
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        parse_text(MINIMAL, sets=["training.lr"])
    with pytest.raises(ConfigError, match='"source" is a value'):
        parse_text(MINIMAL, sets=["data.source.name=1"])


def test_the_config_is_frozen() -> None:
    config, _ = parse_text(MINIMAL)
    with pytest.raises(ValidationError, match="frozen"):
        config.training.lr = 1.0  # type: ignore[misc]


@pytest.mark.system("net.hyper")
def test_resolving_leaves_no_suggested_value_open_and_keeps_what_was_said() -> None:
    """Hyper-parameters stand in the config, all of them, apart from the parameters in the weights file."""
    config = parse({"data": {"source": "digits"}, "training": {"lr": 0.5}})
    suggestions = {"training.lr": 0.001, "training.epochs": 9, "task.width": 32}
    resolved = resolve(config, "image_classification", suggestions)
    assert resolved.training.lr == 0.5
    assert resolved.training.epochs == 9
    assert resolved.task["width"] == 32
    assert parse(resolved.model_dump(mode="json")) == resolved


def test_a_suggested_number_of_epochs_gives_way_to_the_users_budget() -> None:
    config = parse({"data": {"source": "digits"}, "training": {"minutes": 2}})
    assert resolve(config, "image_classification", {"training.epochs": 9}).training.epochs is None


keys = st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=3).map(".".join)


@given(st.dictionaries(keys, st.integers(), max_size=5))
def test_put_then_get(pairs: dict[str, int]) -> None:
    values: dict[str, object] = {}
    for key, value in pairs.items():
        try:
            put(values, key, value)
        except ConfigError:
            continue
        assert get(values, key) == value


def test_differences_are_told_by_dotted_key() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == {"a.c": (2, 3), "d": (None, 4)}
    assert apply_sets({"a": {"b": 1}}, ["a.b=[1, 2]"]) == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize("text", ["-1", "5", "99", "1e-3", "nan", "true", "null"])
def test_a_value_in_quotes_stays_text(text: str) -> None:
    assert apply_sets({}, [f'data.target="{text}"', f"data.time='{text}'"])["data"] == {"target": text, "time": text}
    assert apply_sets({}, ["training.lr=1e-3"])["training"]["lr"] == 0.001
