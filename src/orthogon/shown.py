"""What a result looks like to the one who holds it: text where it is printed, HTML in a notebook, JSON for programs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH = 100  # columns


class Shown:
    """A result that draws itself by `__rich__` or `__rich_console__`; printing and notebooks show that drawing."""

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=WIDTH, color_system=None, highlight=False).print(self)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=WIDTH, record=True, highlight=False)
        console.print(self)
        return console.export_html(inline_styles=True, code_format='<pre style="line-height:normal">{code}</pre>')


def plain(value: Any) -> Any:
    """The nested value as JSON has it: text, whole and finite numbers, lists, dicts. NaN and infinities are None.

    Raises:
        TypeError: something in it has no JSON form.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # arrays and their numbers
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def json_text(value: Any, indent: int | None = 1) -> str:
    """`plain` as strict JSON."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
