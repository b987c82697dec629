"""A figure of 17 points drawn over an image: what it consists of, and the file that keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from avatar.landmark_layouts import LAYOUTS

POINTS = LAYOUTS["coco17"].names
BONES = tuple(
    (POINTS.index(a), POINTS.index(b))
    for a, b in (*LAYOUTS["coco17"].bones, ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
                 ("right_eye", "right_ear"), ("nose", "left_shoulder"), ("nose", "right_shoulder"))
)  # fmt: skip
# A person at ease, seen from the front: shares of the person's height from the middle of the hips, y down.
_AT_EASE = {
    "nose": (0.0, -0.40), "eye": (0.018, -0.42), "ear": (0.042, -0.41), "shoulder": (0.105, -0.29),
    "elbow": (0.15, -0.13), "wrist": (0.17, 0.01), "hip": (0.06, 0.0), "knee": (0.065, 0.23), "ankle": (0.07, 0.45),
}  # fmt: skip


def _at_ease() -> Float[np.ndarray, "17 2"]:
    points = np.zeros((len(POINTS), 2))
    for index, name in enumerate(POINTS):
        side, _, kind = name.rpartition("_")
        x, y = _AT_EASE[kind]
        points[index] = (-x if side == "right" else x, y)
    return points


AT_EASE = _at_ease()


@dataclass(frozen=True)
class Figure:
    """A drawn person.

    Attributes:
        points: COCO's 17 points in pixels of the image.
        width, height: of the image, pixels.
    """

    points: Float[np.ndarray, "17 2"]
    width: int
    height: int

    def moved(self, index: int, x: float, y: float) -> Figure:
        """The figure with one point elsewhere."""
        points = self.points.copy()
        points[index] = (x, y)
        return replace(self, points=points)

    def as_json(self) -> str:
        """The content of a file for `avatar animate --pose points.json`."""
        named = {name: [round(x, 2), round(y, 2)] for name, (x, y) in zip(POINTS, self.points.tolist(), strict=True)}
        return json.dumps({"points": named, "width": self.width, "height": self.height}, indent=2)


def figure_at_ease(width: int, height: int) -> Figure:
    """A person who fills most of an image and faces the camera, whose left is at the right of the image."""
    tall = min(0.85 * height, 1.6 * width)
    return Figure(AT_EASE * tall + [width / 2, 0.5 * height], width, height)
