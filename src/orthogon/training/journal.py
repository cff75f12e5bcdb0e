"""What a training tells: events, to log.jsonl and to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from orthogon.shown import json_text

Event = dict[str, Any]
REPORT_SECONDS = 0.1  # between two events for a progress bar


class Journal:
    """A log file and a listener, of which either may be missing. Use as a context manager.

    Args:
        folder: where `log.jsonl` goes, once `open` is called; None writes nothing.
        listen: called with each event; None for nobody.
    """

    def __init__(self, folder: Path | None, listen: Callable[[Event], None] | None) -> None:
        self.path = None if folder is None else folder / "log.jsonl"
        self.listen = listen
        self.size = 0  # bytes in the log
        self._log: IO[bytes] | None = None
        self._next_report = 0.0

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._log is not None:
            self._log.close()

    def open(self, keep: int = 0) -> None:
        """Go on after the first `keep` bytes: what a killed process logged after its checkpoint will happen again."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._log = self.path.open("ab", buffering=0)
            self._log.truncate(min(keep, self._log.tell()))
            self.size = self._log.seek(0, 2)

    def tell(self, event: Event) -> None:
        """To the log and the listener."""
        if self._log is not None:
            with suppress(OSError):  # a full disk; the next checkpoint says so
                self.size += self._log.write(json_text(event, indent=None).encode() + b"\n")
        self.show(event)

    def show(self, event: Event) -> None:
        """To the listener alone."""
        if self.listen is not None:
            self.listen(event)

    def due(self, now: float) -> bool:
        """Whether the listener should hear how far it is; seldom enough to cost nothing."""
        if self.listen is None or now < self._next_report:
            return False
        self._next_report = now + REPORT_SECONDS
        return True
