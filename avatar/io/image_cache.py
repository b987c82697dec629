"""Decoded images in memory, so that the stages of a run decode each stored frame once.

Observing, tracking, training and the report of one run read each frame six times. What fits into a fixed number of
bytes stays decoded; the frames of a long video beyond that are read from disk as before, so memory stays bounded.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np

MOST_BYTES = 256 * 2**20  # of one folder of images: 170 frames of 540x960, or 43 of 1080x1920

Stamp = tuple[int, int]


class ImageCache:
    """The first images that are read, up to `most` bytes; a file that has changed is read again.

    It keeps what came first and not what came last: stages go through all frames in order, and a cache that replaces
    the oldest would never hold the next one.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.bytes = most, 0
        self._images: dict[Path, tuple[Stamp, np.ndarray]] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, decode: Callable[[Path], np.ndarray]) -> np.ndarray:
        """What `decode(path)` returns, as an array of the caller's own; where it raises, nothing is kept."""
        stamp = _stamp(path)
        with self._lock:
            entry = self._images.get(path)
        if entry is not None and entry[0] == stamp:
            return entry[1].copy()
        image = decode(path)
        self._keep(path, stamp, image)
        return image

    def _keep(self, path: Path, stamp: Stamp | None, image: np.ndarray) -> None:
        with self._lock:
            old = self._images.pop(path, None)
            self.bytes -= 0 if old is None else old[1].nbytes
            if stamp is not None and self.bytes + image.nbytes <= self.most:
                self._images[path] = stamp, image.copy()
                self.bytes += image.nbytes


def _stamp(path: Path) -> Stamp | None:
    """What changes with the content of a file; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


_caches: weakref.WeakValueDictionary[Path, ImageCache] = weakref.WeakValueDictionary()


def shared_cache(folder: Path) -> ImageCache:
    """The cache of a folder, for all who read from it; it is freed with the last reference to it."""
    return _caches.setdefault(folder.absolute(), ImageCache())
