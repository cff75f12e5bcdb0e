"""An error says what, where and what to do, and carries its exit code."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orthogon import errors


def test_three_parts_in_order() -> None:
    error = errors.DataError('class "dgo" is not one of the 12 classes', "labels.csv, row 412", 'Did you mean "dog"?')
    assert str(error) == 'labels.csv, row 412: class "dgo" is not one of the 12 classes\nDid you mean "dog"?'
    assert error.exit_code == 1


def test_usage_errors_exit_with_2() -> None:
    assert errors.ConfigError("unknown key").exit_code == errors.UsageError("no").exit_code == 2


def test_did_you_mean_finds_the_near_miss_whatever_its_case() -> None:
    assert errors.did_you_mean("incom", ["age", "Income"]) == 'Did you mean "Income"?'
    assert errors.did_you_mean("zzz", ["age", "income"]) == "Known: age, income."
    assert errors.did_you_mean("zzz", map(str, range(1000, 1020))).endswith("and 8 more.")
    assert errors.did_you_mean("zzz", []) == ""


def test_a_path_that_does_not_exist_is_compared_with_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("photos/cat", "photos-orthogon"):
        (tmp_path / name).mkdir(parents=True)
    meant = errors.did_you_mean_path
    assert meant(tmp_path / "phots") == f'Did you mean "{tmp_path / "photos"}"?'
    assert meant(tmp_path / "phots" / "cat") == f'Did you mean "{tmp_path / "photos/cat"}"?'
    assert meant(tmp_path / "phots" / "yak") == f'Did you mean "{tmp_path / "photos"}"?'
    assert meant(tmp_path / "zzz") == "Check the path."
    (tmp_path / "t.csv").touch()
    assert meant(tmp_path / "none.csv") == "Check the path."  # a common ending is no likeness
    assert meant("digts", ["digits", "iris"]) == 'Did you mean "digits"?'
    assert meant("zzz", ["digits", "iris"]) == "Known: digits, iris."


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=30))
def test_did_you_mean_never_fails(word: str, options: list[str]) -> None:
    assert isinstance(errors.did_you_mean(word, options), str)
