"""Exclusive locks on files; the one file that knows how each system takes them."""

from __future__ import annotations

import sys
from typing import IO, Any


def lock_file(file: IO[Any]) -> None:
    """Take an exclusive lock on an open file. Closing the file, or the death of the process, releases it.

    Raises:
        OSError: another process holds the lock.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
