"""What the user is told, on the terminal and in the log of a run."""

from __future__ import annotations

import logging
import sys

LOG = logging.getLogger("avatar")


class _LogFile(logging.FileHandler):
    """A log on a full disk falls silent; what could not be done is said on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def say(message: str) -> None:
    """Tell the user on the terminal and in the log of the run."""
    print(message, file=sys.stderr, flush=True)
    LOG.info(message)
