"""The program's one logger: messages for the user, on the terminal and in the log of a run."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger("avatar")


class _Terminal(logging.Handler):
    """Writes plain messages to the current standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class LogFile(logging.FileHandler):
    """The log of a run. On a full disk it stops writing; the terminal still shows the error."""

    def __init__(self, path: Path) -> None:
        # The file appears with the first message, which comes after the configuration.
        super().__init__(path, delay=True, encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def log_to_terminal() -> None:
    """Show the program's messages on standard error, as its commands do; calling it again changes nothing."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not any(isinstance(handler, _Terminal) for handler in logger.handlers):
        logger.addHandler(_Terminal())
