"""Tag mistakes in the terminal: one card after another, a key for each kind of mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orthogon.cli.keys import END, Keys
from orthogon.cli.screen import console

if TYPE_CHECKING:
    from orthogon.api import Run


def tag(chosen: Run, sample: int) -> None:
    """Show one card after another and do what the keys say."""
    from orthogon.errors import UsageError
    from orthogon.strategy.tagging import Tagging

    out = console()
    session = Tagging(chosen.tags(), chosen.to_tag(sample).tolist())
    if not session.ids:
        out.print("There is no mistake to look at.")
        return
    if session.over:
        out.print(f"All {len(session.ids)} have been looked at; more of them: orthogon errors --tag --sample 200")
        return
    note = ""
    with Keys() as keys:
        while not session.over:
            try:
                _draw(chosen, session, note)
                wanted = session.press(keys.key())
            except KeyboardInterrupt:  # while the card was drawn
                wanted = session.press(END)
            note = ""
            if wanted is None:
                continue
            text = keys.line("new kind of mistake: " if wanted == "category" else "comment: ")
            try:
                session.name(text) if wanted == "category" else session.write(text)
            except UsageError as error:
                note = str(error)
    out.print(f"\n{session.looked_at} of {len(session.ids)} looked at, kept in {session.book.path}")


def _draw(chosen: Run, session: Any, note: str) -> None:
    """The card, what its keys tick, and what else they do."""
    from rich.table import Table
    from rich.text import Text

    from orthogon.report.terminal import alone

    out = console()
    if out.is_terminal:
        out.clear()
    out.print(
        Text(f"Mistake {session.at + 1} of {len(session.ids)}, {session.looked_at} looked at", style="bold"), end="\n\n"
    )
    for case in chosen.cases([session.id]):
        out.print(alone(case))
    ticks = Table.grid(padding=(0, 2))
    for key, tag in session.ticks():
        on = tag in session.tags
        ticks.add_row(Text(key, "bold"), Text("[x]" if on else "[ ]"), Text(tag, "bold" if on else ""))
    out.print(Text())
    out.print(ticks)
    if session.comment:
        out.print(Text(f"comment: {session.comment}"))
    out.print(
        Text("\nEnter next · s skip · b back · a add a kind of mistake · c comment · q quit, and go on later", "dim")
    )
    if note:
        out.print(Text(note, "yellow"))
