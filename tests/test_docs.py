"""What the pages say is what the code does: generated references are current, README's commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/reference", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_pages_exist(page: str) -> None:
    from orthogon.cli import app

    group = app()
    text = (ROOT / page).read_text()
    verbs = set(re.findall(r"^\s*(?:\$ )?(?:\.venv/bin/)?orthogon ([a-z]+)", text, flags=re.M))
    assert verbs <= set(group.commands), f"{page} names verbs that do not exist"  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_links_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_every_verb_opens_its_help_with_an_example() -> None:
    from orthogon.cli import app

    group = app()
    inner = {name: each for name, each in group.commands.items() if hasattr(each, "commands")}  # type: ignore[attr-defined]
    leaves = [group.commands, *(each.commands for each in inner.values())]  # type: ignore[attr-defined]
    for name, command in (pair for commands in leaves for pair in commands.items()):
        if name not in inner:
            assert "Example" in (command.help or ""), name


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_valid_config(example: Path) -> None:
    from orthogon.project.config import parse_text

    config, _ = parse_text(example.read_text(), example.name)
    assert config.task["kind"]
