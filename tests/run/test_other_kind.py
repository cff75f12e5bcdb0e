"""New inputs of another kind than a run was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orthogon.errors import UsageError
from orthogon.run.predict import refuse_other_kind


def test_a_run_on_pictures_asks_for_pictures(tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r'new\.csv" is no picture, and the run was trained on pictures') as error:
        refuse_other_kind("image_classification", file)
    assert "folder of pictures, or one picture (.png, .jpg" in error.value.remedy
    refuse_other_kind("image_classification", tmp_path)
    refuse_other_kind("image_classification", tmp_path / "A.PNG")


def test_a_run_on_strings_asks_for_strings(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"")
    for source, word in ((tmp_path, "folder"), (picture, "picture")):
        with pytest.raises(UsageError, match=f"is a {word}, and the run was trained on pairs of strings") as error:
            refuse_other_kind("seq2seq", source)
        assert "one string a line" in error.value.remedy
    refuse_other_kind("seq2seq", tmp_path / "new.csv")
