"""What every detector of people and landmarks promises, whatever network stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True)
class Detection:
    """One person seen in one picture.

    Attributes:
        keypoints: x, y in pixels of that picture and a confidence in [0, 1], in the detector's layout.
        keypoints_3d: the detector's guess in metres, hip-centred, camera axes; NaN where it makes none.
        mask: soft mask of the person, 0 to 255.
    """

    keypoints: Float32[np.ndarray, "joints 3"]
    keypoints_3d: Float32[np.ndarray, "joints 3"]
    mask: UInt8[np.ndarray, "h w"]


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds people and their landmarks. `detect` may be called from several threads."""

    layout: str

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """Everyone found in one picture, the most certain first; an empty list where nobody is."""
        ...
