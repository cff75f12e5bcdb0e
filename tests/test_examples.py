"""Every file in examples/ is a config that Orthogon accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orthogon.project.config import parse_text

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_valid_config(path: Path) -> None:
    config, _ = parse_text(path.read_text(encoding="utf-8"), path.name)
    assert config.task_config().kind == config.task["kind"]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4
