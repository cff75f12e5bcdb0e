"""The autopilot as one watches it: a live table of its decisions on stderr, with what is at work and an ETA."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orthogon.strategy.ledger import Budget, Spent

if TYPE_CHECKING:
    from orthogon.strategy.autopilot import Decision

ROWS = 12  # of the latest decisions


class Watching:
    """Draws the decisions; where stderr is no terminal, one line a decision."""

    def __init__(self, budget: str, unit: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self.budget, self.unit = Budget.parse(budget), unit
        self.decisions: list[Decision] = []
        self.at_work, self.spent = "", Spent()
        self.terminal = sys.stderr.isatty()
        self.console = Console(stderr=True, highlight=False)
        self.began = monotonic()
        self.share_at_start: float | None = None  # what a killed one had spent before
        self.live = Live(console=self.console, refresh_per_second=4, transient=True, get_renderable=self._table)

    def __enter__(self) -> Watching:
        if self.terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.terminal:
            self.live.stop()

    def decided(self, decision: Decision) -> None:
        self.decisions.append(decision)
        self.spent, self.at_work = decision.spent, ""
        if not self.terminal:
            print(f"{decision.number}. {decision.sentence}", file=sys.stderr, flush=True)

    def progress(self, what: str, share: float) -> None:
        if self.share_at_start is None:
            self.share_at_start, self.began = self.spent.share(self.budget), monotonic()
        self.at_work = f"training {what}, {share:.0%}"

    def eta(self, now: float) -> str:
        """How long what is left of the budget may take, by the pace so far; empty where there is none yet."""
        share, before = self.spent.share(self.budget), self.share_at_start or 0.0
        if share <= before:
            return ""
        left = (now - self.began) * max(0.0, 1 - share) / (share - before)
        return f"at most {left / 60:.0f} min more" if left >= 90 else f"at most {left:.0f} s more"

    def _table(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        from orthogon.strategy.flight import table_of

        share = min(1.0, self.spent.share(self.budget))
        bar = "█" * round(24 * share) + "░" * (24 - round(24 * share))
        head = f"Autopilot {bar} {share:.0%} of {self.budget}  {self.eta(monotonic())}"
        shown = table_of(self.decisions[-ROWS:], self.unit)
        return Group(Text(head, "bold"), shown, Text(self.at_work, "cyan"))
