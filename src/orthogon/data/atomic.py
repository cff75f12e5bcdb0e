"""Files that appear whole or not at all: a kill or a full disk leaves what was there before."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: what was written there takes its place when the block ends without an error.

    The folder is made if need be. After an error the temporary file is gone and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (
        path.parent / f".{uuid.uuid4().hex}.part"
    )  # short, where the name of `path` may be as long as a name can be
    temporary.touch(exist_ok=False)  # with the rights of any file the user makes
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # the bytes before the name: otherwise a power cut can leave an empty file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
