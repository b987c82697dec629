"""People made of two coloured blocks, and a detector that takes those who touch for one, as real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from avatar.io.videos import VideoWriter
from avatar.landmark_layouts import LAYOUTS
from avatar.types import Detection

LAYOUT = LAYOUTS["blazepose33"]
WIDTH, HEIGHT, TALL, WIDE = 240, 160, 110, 30
BACKGROUND = 40
RED, GREEN, BLUE = (220, 60, 60), (60, 200, 60), (60, 60, 220)
# Heights of the landmarks, from 0 at the head to 1 at the feet.
LEVELS = {"shoulder": 0.2, "elbow": 0.35, "wrist": 0.5, "hip": 0.5, "knee": 0.75, "ankle": 0.95}


@dataclass(frozen=True)
class Figure:
    """Somebody whose middle is at `x`, in a shirt and trousers of these colours."""

    x: float
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]

    def truth(self) -> np.ndarray:
        """Where all of them is."""
        mask = np.zeros((HEIGHT, WIDTH), bool)
        left = round(self.x - WIDE / 2)
        mask[HEIGHT - 10 - TALL : HEIGHT - 10, max(left, 0) : max(left + WIDE, 0)] = True
        return mask

    def draw(self, image: np.ndarray) -> None:
        """Paint them over what is there."""
        rows = np.arange(HEIGHT)[:, None] < HEIGHT - 10 - TALL / 2
        image[self.truth() & rows], image[self.truth() & ~rows] = self.shirt, self.trousers


def image_of(*figures: Figure) -> np.ndarray:
    """The figures from back to front."""
    image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    for figure in figures:
        figure.draw(image)
    return image


def write_crowd(path: Path, frames: Sequence[Sequence[Figure]], fps: float = 10) -> Path:
    """A video of figures, in each frame from back to front."""
    with VideoWriter(path, fps=fps) as writer:
        for figures in frames:
            writer.add(image_of(*figures))
    return path


class Crowd:
    """Finds connected blocks of bright colour that are wide enough for somebody."""

    layout = "blazepose33"

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.calls += 1
        bright = (image.max(-1) > 150).astype(np.uint8)
        bright = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((7, 1), np.uint8))  # colours blur where they meet
        count, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
        people = [index for index in range(1, count) if stats[index, cv2.CC_STAT_AREA] > WIDE * TALL / 4]
        return [self._person(labels == index, stats[index]) for index in people]

    def _person(self, mask: np.ndarray, stats: np.ndarray) -> Detection:
        left, top, width, height = (int(value) for value in stats[:4])
        keypoints = np.full((33, 3), 0.9, np.float32)
        for index, name in enumerate(LAYOUT.names):
            side = {"left": 0.8, "right": 0.2}.get(name.split("_")[0], 0.5)
            level = LEVELS.get(name.split("_")[-1], 0.07 if index < 11 else 1.0)
            keypoints[index, :2] = left + side * width, top + level * height
        return Detection(keypoints, np.zeros((33, 3), np.float32), (255 * mask).astype(np.uint8))
