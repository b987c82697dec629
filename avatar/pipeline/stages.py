"""The stages of a run: each leaves files, and one whose files are complete is loaded instead of computed again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from avatar.runtime.logging import logger

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: for the log and the report.
        files: what the stage saves; it is complete when all of them exist.
        seconds: of the stages of this run by name, to which `cached` adds this one.
    """

    name: str
    files: tuple[Path, ...]
    seconds: dict[str, float]

    @property
    def is_complete(self) -> bool:
        """Whether all files of the stage exist."""
        return all(file.is_file() for file in self.files)


def cached(stage: Stage, load: Callable[[], T], save: Callable[[T], None], compute: Callable[[], T]) -> T:
    """The result of a stage, computed and saved unless its files are complete, then loaded.

    It is loaded in either case, so that a resumed run continues with the same values as an uninterrupted one. `save`
    must write the last of `stage.files` last, so that an interrupted stage is never taken for a complete one.
    """
    with timed(stage.name, stage.seconds):
        if stage.is_complete:
            return load()
        computed = compute()
        save(computed)
        # `computed` still lives here, so that what is loaded takes over its decoded images.
        return load()


def saved_by_compute(result: object) -> None:
    """The `save` of a stage whose computation writes its files itself."""


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Time a block, log it, and enter it into `seconds`."""
    start = time.monotonic()
    yield
    seconds[name] = time.monotonic() - start
    logger.info(f"{name}: {seconds[name]:.1f} s")
