"""Single keys from the terminal, none of them lost: what is typed while the screen is drawn waits for its turn."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

ESCAPE_SECONDS = 0.05  # within which the rest of an arrow key's sequence arrives
END = ""  # Ctrl-C, Ctrl-D, or the end of the input


class Keys:
    """A context in which keys are read one by one, without echo; lines are read as ever.

    Where no terminal is attached, keys are the characters of the input.
    """

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Keys:
        if _terminal():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno(), termios.TCSADRAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def key(self) -> str:
        """The next key; an arrow key as its whole sequence."""
        if not sys.stdin.isatty():
            return sys.stdin.read(1)
        try:
            if self._before is None:  # no termios on this system
                import click

                return click.getchar()
            return self._read()
        except (KeyboardInterrupt, EOFError):
            return END

    def line(self, prompt: str) -> str:
        """A line of text; empty where it was broken off."""
        if not sys.stdin.isatty():
            return sys.stdin.readline()
        before = self._before
        self._restore()
        try:
            return input(prompt)
        except (KeyboardInterrupt, EOFError):
            print()
            return ""
        finally:
            if before is not None:
                self.__enter__()

    def _read(self) -> str:
        import select

        fd = sys.stdin.fileno()
        raw = os.read(fd, 1)
        if raw == b"\x1b":
            while select.select([fd], [], [], ESCAPE_SECONDS)[0]:
                raw += os.read(fd, 1)
                if raw[-1:].isalpha() or raw[-1:] == b"~":
                    break
        elif raw and raw[0] >= 0xC0:  # the first byte of a letter beyond ASCII says how many follow
            raw += os.read(fd, 1 + (raw[0] >= 0xE0) + (raw[0] >= 0xF0))
        return raw.decode(errors="replace")

    def _restore(self) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
            self._before = None


def _terminal() -> bool:
    """Whether keys can be read one by one by the system's own means."""
    try:
        import termios  # noqa: F401
    except ImportError:
        return False
    return sys.stdin.isatty()


__all__ = ["END", "Keys"]
