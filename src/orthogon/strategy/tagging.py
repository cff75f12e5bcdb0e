"""Tagging one mistake after another with single keys: what each key does, apart from how it is drawn and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orthogon.strategy.tags import TagBook

# 1 to 9 and these letters tick categories; the others are commands.
TICKS = "123456789defghijklmoprtuvwxyz"
ADD, COMMENT, SKIP, BACK, QUIT = "a", "c", "s", "b", "q"
NEXT = ("\r", "\n", " ", "n")
STOP = ("\x03", "\x04", "")  # Ctrl-C, Ctrl-D, the end of the input

Wanted = Literal["category", "comment"]


class Tagging:
    """One sitting. What is said of a card is kept in the project as soon as the next card, or the end, is asked for.

    It begins at the first mistake that nobody looked at, so that a sitting goes on where the last one ended.

    Args:
        book: where tags are kept.
        ids: the mistakes, in the order in which they are shown.
    """

    def __init__(self, book: TagBook, ids: Sequence[int]) -> None:
        self.book = book
        self.ids = [int(id_) for id_ in ids]
        self.at = next((k for k, id_ in enumerate(self.ids) if id_ not in book.entries), len(self.ids))
        self.tags: list[str] = []
        self.comment = ""
        self.over = False
        self._open()

    @property
    def id(self) -> int:
        """Of the example that is shown."""
        return self.ids[self.at]

    @property
    def looked_at(self) -> int:
        return sum(id_ in self.book.entries for id_ in self.ids)

    def ticks(self) -> list[tuple[str, str]]:
        """(key, category), as long as there are keys."""
        return list(zip(TICKS, self.book.categories, strict=False))

    def press(self, key: str) -> Wanted | None:
        """Do what a key says; where a text is wanted next, say which.

        `name` and `write` take that text.
        """
        if key in STOP or key.lower() == QUIT:
            self._leave()
            self.over = True
        elif key in NEXT:
            self._keep()
            self._go(1)
        elif key.lower() == SKIP:
            self._go(1)
        elif key.lower() == BACK:
            self._leave()
            self._go(-1)
        elif key.lower() == ADD:
            return "category"
        elif key.lower() == COMMENT:
            return "comment"
        else:
            tag = dict(self.ticks()).get(key.lower())
            if tag is not None:
                self.tags.remove(tag) if tag in self.tags else self.tags.append(tag)
        return None

    def name(self, text: str) -> None:
        """Add a category, and tick it.

        Raises:
            UsageError: it is no name.
        """
        if text.strip():
            tag = self.book.category(text)
            if tag not in self.tags:
                self.tags.append(tag)

    def write(self, text: str) -> None:
        """The comment on this example; an empty text leaves it as it is, "-" takes it away."""
        if text.strip():
            self.comment = "" if text.strip() == "-" else text.strip()

    def _open(self) -> None:
        if self.at >= len(self.ids):
            self.over = True
            return
        entry = self.book.entries.get(self.id)
        self.tags = list(entry.tags) if entry else []
        self.comment = entry.comment if entry else ""

    def _go(self, by: int) -> None:
        self.at = max(0, self.at + by)
        self._open()

    def _keep(self) -> None:
        self.book.put(self.id, self.tags, self.comment)
        self.book.save()

    def _leave(self) -> None:
        """Keep what was said of a card that is left before its end; a card without a word was not looked at."""
        if self.at < len(self.ids) and (self.tags or self.comment or self.id in self.book.entries):
            self._keep()
        else:
            self.book.save()  # categories that were added
