"""The site: every page there, every link leading somewhere, chapters told whole, and no warning from the build."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from orthogon.scratch import TOPICS
from orthogon.scratch.learn import chapter

ROOT = Path(__file__).parent.parent


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("site_of_docs", str(ROOT / "scripts/docs"))
    spec = importlib.util.spec_from_loader("site_of_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setattr(module, "GATHERED", tmp_path / "pages")
    monkeypatch.setattr(module, "demo_of", lambda told: f"the story of {told.topic}")
    return module


def listed(page: str) -> list[str]:
    """The pages that a page's tables of contents name."""
    return " ".join(re.findall(r"```\{toctree\}\n(?::.*\n)+\n((?:.+\n)*?)```", page)).split()


def test_every_page_is_there_once_in_the_sidebar(site: ModuleType) -> None:
    found = site.pages()
    expected = {path.name for path in (ROOT / "docs").glob("*.md")} | {f"learn/{topic}.md" for topic in TOPICS}
    assert set(found) == expected | {"index.md", "learn/index.md", "contributing.md", "changelog.md", "benchmarks.md"}
    top = [page.removesuffix(".md") for page in found if "/" not in page and page != "index.md"]
    assert sorted(listed(found["index.md"])) == sorted([*top, "learn/index"])
    assert listed(found["learn/index.md"]) == list(TOPICS)


def test_every_link_leads_to_a_page_or_a_file(site: ModuleType) -> None:
    site.gather()
    seen = 0
    for page in sorted(site.GATHERED.rglob("*.md")):
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"(?<!\\)\]\(([^)#:\s]+)", prose):
            if target.endswith(".png") and page.parent.name == "learn":
                continue  # drawn when the site is built
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
            seen += 1
    assert seen > 300


def test_links_lead_to_pages_where_there_are_some(site: ModuleType) -> None:
    found = site.pages()
    assert "](learn/batch-norm.md)" in found["atlas.md"]
    assert "/tests/scratch/test_batch_norm.py)" in found["atlas.md"]
    assert "](benchmarks.md)" in found["tables.md"]
    assert "](config.md)" in found["index.md"]
    assert "](design.md)" in found["contributing.md"]
    assert "<!--" not in found["index.md"]


def test_a_chapters_page_tells_all_of_it(site: ModuleType) -> None:
    told = chapter("batch-norm")
    page = site.pages()["learn/batch-norm.md"]
    for text in (told.equations, told.code, told.product, "the story of batch-norm", "](batch-norm.png)"):
        assert text in page
    assert page.index("## Equations") < page.index("## From scratch") < page.index("## To see") < page.index("## Paper")


def test_pages_that_are_gone_are_removed_and_others_left_alone(site: ModuleType) -> None:
    site.gather()
    gone, kept = site.GATHERED / "learn/gone.md", site.GATHERED / "learn/adam.md"
    gone.write_text("old")
    os.utime(kept, (0, 0))
    site.gather()
    assert not gone.exists()
    assert kept.stat().st_mtime == 0


def test_text_is_shown_as_it_is(site: ModuleType) -> None:
    assert site.escaped("W_1 * x[0] <- z") == r"W\_1 \* x\[0\] \<- z"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning() -> None:
    for name in ("sphinx", "furo", "myst_parser"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: it comes with the docs extra")
    done = subprocess.run([sys.executable, ROOT / "scripts/docs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (ROOT / "build/site/learn/batch-norm.html").is_file()
