"""Images and masks that are read one at a time. Conventions: see `avatar.types`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


@runtime_checkable
class Images(Protocol):
    """Images read one at a time, when asked for: `len(images)` and `images[i] -> (h, w, 3) uint8`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w 3"]: ...


@runtime_checkable
class Masks(Protocol):
    """Soft person masks read one at a time: `masks[i] -> (h, w) uint8`, 0 background, 255 person."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w"]: ...


@dataclass(frozen=True)
class ImageList:
    """Images or masks that are read when asked for.

    Attributes:
        count: how many there are; read: gives the one with an index from 0 to count - 1.
    """

    count: int
    read: Callable[[int], np.ndarray]

    @staticmethod
    def of(images: Sequence[np.ndarray]) -> ImageList:
        """A list of images that lie in memory."""
        return ImageList(len(images), images.__getitem__)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> np.ndarray:
        if not -self.count <= index < self.count:
            raise IndexError(index)
        return self.read(index % self.count)
