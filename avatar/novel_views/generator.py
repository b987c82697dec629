"""What every generator of views promises, and how its pictures become part of the observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class View:
    """A picture of the person of a photo, in the same pose, from another side.

    Attributes:
        name: for messages.
        image: sRGB; mask: soft mask of the person.
        azimuth: degrees round the person from where the photo was taken; at 90 the camera stands to the left of a
            person who faces the photo's camera, and sees the left side.
        elevation: degrees that the camera stands above the horizontal plane through the person's middle.
        fov: degrees across the longer side of the picture.
        confidence: how far the picture is trusted, in [0, 1], before its azimuth and agreement are looked at.
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
        image: the photo; mask: soft mask of the person.
        elevation: degrees that its camera stands above the horizontal plane through the person's middle.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    elevation: float


@runtime_checkable
class ViewGenerator(Protocol):
    """Makes views of the person in a photo. Whatever it is, its views are guesses."""

    def terms(self) -> str | None:
        """A sentence on the licence of what makes the views, or None where nobody but the user knows."""
        ...

    def generate(self, photo: Photo) -> list[View]:
        """The views, without the photo itself.

        Raises:
            AvatarError: packages, weights, files or memory are missing; one sentence says which.
        """
        ...
