"""Ctrl-C and SIGTERM, heard between two updates."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Ctrl-C or SIGTERM sets `seen`, so that the update in hand is finished; a second Ctrl-C breaks off at once."""

    seen = False

    def __enter__(self) -> Interrupt:
        self.old: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self.old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.seen and number == signal.SIGINT:  # torchrun passes a Ctrl-C on as SIGTERM: that is no second one
            raise KeyboardInterrupt
        self.seen = True
