"""The protocol of a view generator: its input and its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class View:
    """An image of the person of a photo, in the same pose, from another side.

    Attributes:
        name: for messages.
        image: sRGB; mask: soft mask of the person, 0 to 255.
        azimuth: degrees round the person from where the photo was taken; at 90 the camera stands to the left of a
            person who faces the photo's camera, and sees the left side.
        elevation: degrees of the camera above the horizontal plane through the middle of the person.
        fov: degrees across the longer side of the image.
        confidence: weight of the image in [0, 1], before its azimuth and its agreement are taken into account.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    azimuth: float
    elevation: float
    fov: float
    confidence: float = 1.0


@dataclass(frozen=True)
class Photo:
    """What a generator starts from.

    Attributes:
        image: the photo, sRGB; mask: soft mask of the person, 0 to 255.
        elevation: degrees of its camera above the horizontal plane through the middle of the person.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    elevation: float


@runtime_checkable
class ViewGenerator(Protocol):
    """Generates views of the person in a photo; all views are treated as guesses.

    Views need not be exact: their cameras are aligned with the photo, and views that show another person or another
    pose are dropped.
    """

    def terms(self) -> str | None:
        """A sentence on the licence of the model, shown as a warning; None for the user's own images."""
        ...

    def generate(self, photo: Photo) -> list[View]:
        """The views, without the photo itself.

        Raises:
            AvatarError: packages, weights, files or memory are missing; one sentence says which.
        """
        ...
