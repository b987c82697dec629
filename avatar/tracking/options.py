"""Prior knowledge of the person and the camera, given by the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackOptions:
    """Prior knowledge of the person and the camera; every entry is optional.

    Attributes:
        height: height of the person in metres. Without it the size of everything is known only up to a scale.
        shape: shape of the person in words, such as height=1.82,weight=0.6; the body keeps to it. The words are height
            (metres, the same as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Not available for SMPL files.
        focal: focal length of the camera in pixels.
    """

    height: float | None = None
    shape: str | None = None
    focal: float | None = None
