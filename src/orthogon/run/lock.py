"""Whether a process is at work on a run: a lock on a file, which the system lets go when that process ends, however
it ends. What a killed process wrote last ("running") is told from the truth by it.

On a disk that knows no locks, what was written stands.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "lock"
TRIES, WAIT = 5, 0.02  # seconds: a look by `is_at_work` takes the lock for a moment
_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


def _lock(handle: int) -> None:
    """Take the lock of an open file for as long as it is open.

    Raises:
        OSError: another process has it, or the disk knows none.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder.

    Raises:
        BlockingIOError: another process holds it.
    """
    handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        for tries_left in reversed(range(TRIES)):
            try:
                _lock(handle)
                break
            except OSError as error:
                if error.errno not in _TAKEN:
                    break
                if not tries_left:
                    raise BlockingIOError(error.errno, "another process is at work here", str(folder)) from error
            time.sleep(WAIT)
        yield
    finally:
        os.close(handle)


def is_at_work(folder: Path) -> bool:
    """Whether some process holds the lock; True also where the disk knows no locks."""
    try:
        handle = os.open(folder / FILE, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        _lock(handle)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
