"""Keys on a pseudo-terminal: none is lost however fast it comes, arrows are one key, lines are read as ever."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from orthogon.cli.keys import Keys

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of a pseudo-terminal at which a person types; the program reads the other one."""
    outer, inner = pty.openpty()
    stuck = threading.Timer(10, os.close, (outer,))  # else a key that was lost would be waited for without end
    stuck.start()
    with os.fdopen(inner, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield outer
    stuck.cancel()
    with contextlib.suppress(OSError):
        os.close(outer)


def test_keys_that_come_at_once_are_read_one_by_one(hand: int) -> None:
    with Keys() as keys:
        os.write(hand, b"12\r\x1b[A\x1b[3~\xc3\xbc\x04q")
        assert [keys.key() for _ in range(8)] == ["1", "2", "\n", "\x1b[A", "\x1b[3~", "ü", "\x04", "q"]


def test_the_terminal_is_left_as_it_was(hand: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with contextlib.suppress(ZeroDivisionError), Keys():
        assert not termios.tcgetattr(sys.stdin.fileno())[3] & termios.ICANON
        raise ZeroDivisionError
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_a_line_between_keys_is_echoed_and_edited(hand: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: sys.stdin.readline().rstrip("\n"))
    with Keys() as keys:
        typed = threading.Timer(0.05, os.write, (hand, b"far axx\x7f\x7fway\n"))
        typed.start()
        assert keys.line("new kind: ") == "far away"
        typed.join()
        os.write(hand, b"x")
        assert keys.key() == "x"


def test_without_a_terminal_keys_are_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("1far away\n"))
    with Keys() as keys:
        assert (keys.key(), keys.line(""), keys.key()) == ("1", "far away\n", "")
