"""Computing without gradient, in smaller pieces once memory has run out: answers, dev figures, baselines."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from orthogon.errors import TrainingError
from orthogon.training.device import out_of_memory
from orthogon.training.journal import Event

T = TypeVar("T")


def _warn(event: Event) -> None:
    warnings.warn(f"{event['message']}. {event['remedy']}", stacklevel=3)


class Halving:
    """How many examples are computed at once. What did not fit once is not tried again.

    Attributes:
        most: examples at once since memory ran out; None before.
        tell: called with a "warning" event when a smaller number fits, once; a Python warning unless set.
    """

    def __init__(self) -> None:
        self.most: int | None = None
        self.tell: Callable[[Event], None] = _warn

    def pieces(self, compute: Callable[[int, int], T], n: int, size: int, place: str) -> Iterator[T]:
        """compute(first, stop) for one range after the other of 0..n, in order.

        Args:
            compute: what is made of some examples; a range that did not fit is computed anew in two halves.
            n: examples in all.
            size: examples at once while memory suffices.
            place: what this is, for messages: "answering pictures".
        Raises:
            TrainingError: not even one example fits.
        """
        first, told = 0, self.most
        while first < n:
            stop = min(n, first + (size if self.most is None else min(size, self.most)))
            part = _tried(compute, first, stop)
            if part is None:
                self.most = _half(stop - first, place)
                continue
            if self.most != told:
                told = self.most
                self._tell(place, f"it goes on with {self.most} at a time", "The figures stay the same.")
            yield part[0]
            first = stop

    def shrunk(self, compute: Callable[[int], T], n: int, place: str) -> T:
        """compute(n), or of half as many, and so on, until it fits.

        Raises:
            TrainingError: not even one example fits.
        """
        left = n
        while (found := _tried(compute, left)) is None:
            left = _half(left, place)
        if left < n:
            self._tell(place, f"it was done with {left:,} of {n:,} examples", "Close other programs for all of them.")
        return found[0]

    def _tell(self, place: str, what: str, remedy: str) -> None:
        message = f"out of memory while {place}: {what}"
        self.tell({"event": "warning", "code": "out-of-memory", "message": message, "remedy": remedy})


def _tried(compute: Callable[..., T], *arguments: int) -> tuple[T] | None:
    """What came of it; None where memory did not suffice.

    A function of its own: an error's traceback holds on to the memory of the failed attempt until it is left.
    """
    try:
        return (compute(*arguments),)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _half(n: int, place: str) -> int:
    if n <= 1:
        raise TrainingError(
            "out of memory with a single example",
            place,
            "Make the network or the example smaller (image size, sequence length), close other programs, or use a "
            "machine with more memory.",
        )
    return n // 2
