"""From plain values to safe text: templates filled in, nested values laid out, long ones cut."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from orthogon.report import docs, words

HERE = Path(__file__).parent
MAX_TEXT = 400  # characters of one value
TAKE = "orthogon next --take {}"


def render(template: str, shown: Mapping[str, Any], local: bool = True) -> str:
    """A template filled in: every text escaped, style and script inside, and the script alone allowed to run.

    Args:
        local: words may link to documentation on this machine.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "explained": words.EXPLAINED,
        "told_at": {word: docs.address(word, local) for word in words.EXPLAINED},
        "style": Markup((HERE / "style.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    first = environment.get_template(template).render(**shown, used=[])
    # The glossary lists the words that the page explains; which ones, only the drawn page knows.
    used = [word for word in words.EXPLAINED if f'data-word="{escape(word)}"' in first]
    return environment.get_template(template).render(**shown, used=used).lstrip()


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted key, text) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += flatten(value, f"{name}.")
        else:
            rows.append((name, clip("–" if value is None or value in ({}, [], ()) else str(value))))
    return rows


def clip(text: str, length: int = MAX_TEXT) -> str:
    """The text, cut where it would flood the page, with control characters made visible."""
    if len(text) > length:
        text = text[: length - 1] + "…"
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)
