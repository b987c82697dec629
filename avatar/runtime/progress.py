"""Progress of long work: a bar with the remaining time on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 5.0

# Called with every step of all progress, by the thread that works; must return at once.
listeners: list[Callable[[Progress], None]] = []


class Progress:
    """Counts `total` steps of `label`. Use as a context manager, or through `progress` on an iterable."""

    def __init__(self, label: str, total: int | None) -> None:
        self.label, self.total = label, total
        self.done, self.note = 0, ""
        self.start = self.last_line = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, desc=label, file=sys.stderr, dynamic_ncols=True, leave=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self._line()

    def step(self, note: str = "", count: int = 1) -> None:
        """Report `count` more steps; `note` (loss, PSNR) is shown beside the bar."""
        self.done += count
        self.note = note or self.note
        for listener in listeners:
            listener(self)
        if self.bar is not None:
            self.bar.set_postfix_str(self.note, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self._line()

    def seconds_left(self) -> float | None:
        """How long the rest will take at the same pace; None while that is unknown."""
        if not self.total or not 0 < self.done < self.total:
            return None
        return (time.monotonic() - self.start) / self.done * (self.total - self.done)

    def _line(self) -> None:
        self.last_line = time.monotonic()
        elapsed = self.last_line - self.start
        text = f"{self.label}: {self.done}" + (f"/{self.total}" if self.total else "") + f", {elapsed:.0f} s"
        left = self.seconds_left()
        if left is not None:
            text += f", {left:.0f} s left"
        print(text + (f", {self.note}" if self.note else ""), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A rough duration in words: "40 s", "3 min", "1.5 h"."""
    if seconds < 100:
        return f"{max(round(seconds, -1), 10):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show the progress."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total) as bar:
        for item in items:
            yield item
            bar.step()
