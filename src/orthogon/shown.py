"""What a result looks like to the person who holds it: text where it is printed, HTML in a notebook."""

from __future__ import annotations

import io

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
