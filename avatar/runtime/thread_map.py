"""Work on several images at a time, in threads: OpenCV, MediaPipe and Numba release the interpreter lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from avatar.runtime.cpus import available_cpus

MOST_THREADS = 8  # each may hold a network of its own
A = TypeVar("A")
B = TypeVar("B")


def map_in_threads(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`map` on a few threads, in order. It reads only a few items ahead, so memory stays bounded."""
    workers = min(MOST_THREADS, available_cpus())
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
