"""The background behind the person, which a camera that stands still shows sooner or later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8

from avatar.observation.mask_shapes import Box, dilate, mask_scale
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Images, Masks

PLATE_FRAMES = 21
NOWHERE = 999  # stands for a colour that no image shows: above all others
MOST_SHIFT = 0.5  # pixels by which the background's edges may move in the images of a static camera
SHADOW = 2.0  # log-likelihood that a pixel loses for being explained as shaded background
MATCH = 3.0  # standard deviations within which a pixel looks like the background


@dataclass(frozen=True)
class Plate:
    """The background that a static camera shows without the person.

    Attributes:
        color: background colour, 0 to 255.
        visible: where it was visible.
        variance: how far background may deviate there: noise, and edges that move under compression.
    """

    color: Float32[np.ndarray, "h w 3"]
    visible: Bool[np.ndarray, "h w"]
    variance: Float32[np.ndarray, "h w"]

    def crop(self, box: Box) -> Plate:
        """Rows and columns of it."""
        return Plate(self.color[box], self.visible[box], self.variance[box])

    def matches(self, image: Float32[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
        """Where the image looks like the background."""
        difference: np.ndarray = ((image - self.color) ** 2).sum(-1)
        return difference < MATCH**2 * self.variance

    def log_likelihood(
        self, colors: Float32[np.ndarray, "n 3"], band: Bool[np.ndarray, "h w"]
    ) -> Float32[np.ndarray, " n"]:
        """Log-likelihood of being the background, lit as ever or in the person's shadow."""
        scene, variance = self.color[band], self.variance[band]
        shade = np.clip((colors * scene).sum(1) / ((scene * scene).sum(1) + 1), 0.5, 1)
        lit = ((colors - scene) ** 2).sum(1)
        shaded = ((colors - shade[:, None] * scene) ** 2).sum(1) + 2 * SHADOW * variance
        likelihood: np.ndarray = np.maximum(-0.5 * np.minimum(lit, shaded) / variance - 1.5 * np.log(variance), -30)
        return likelihood


def background_plate(images: Images, masks: Masks) -> Plate | None:
    """The median of the background over the clip, or None where the camera moves."""
    chosen = np.unique(np.linspace(0, len(images) - 1, PLATE_FRAMES).round().astype(int))
    colors = np.stack(list(map_in_threads(lambda i: images[int(i)], chosen)))
    person = np.stack(list(map_in_threads(lambda i: _around_person(masks[int(i)]), chosen)))
    count = (~person).sum(0)

    median = median_shown(colors, ~person).astype(np.float32)
    background = ~person & (count >= min(3, len(chosen)))
    views = zip(colors[::3], background[::3], strict=True)
    changes, shifts = zip(*map_in_threads(lambda view: _change(*view, median), views), strict=True)
    if np.quantile(shifts, 0.9) > MOST_SHIFT:
        return None
    visible = ~dilate(count < min(3, len(chosen)), 2.0)
    noise = np.float32(np.median(changes))
    return Plate(median, visible, 10 + 4 * noise**2 + 0.25 * _gradient_square(median))


def median_shown(colors: UInt8[np.ndarray, "k h w 3"], shown: Bool[np.ndarray, "k h w"]) -> Int16[np.ndarray, "h w 3"]:
    """The median colour of the images that show each pixel; `NOWHERE` where none does."""

    def median_of(row: int) -> np.ndarray:  # row by row: a sort of the whole stack would need gigabytes
        values = np.where(shown[:, row, :, None], colors[:, row].astype(np.int16), NOWHERE)
        middle = np.maximum(shown[:, row].sum(0) - 1, 0)[None, :, None] // 2
        row_median: np.ndarray = np.take_along_axis(np.sort(values, axis=0), middle, axis=0)[0]
        return row_median.astype(np.int16)

    return np.stack(list(map_in_threads(median_of, range(colors.shape[1]))))


def _around_person(mask: np.ndarray) -> np.ndarray:
    return dilate(mask > 25, mask_scale(mask) * 3)


def _change(color: np.ndarray, background: np.ndarray, median: np.ndarray) -> tuple[float, float]:
    """Median change of a frame's background in grey levels, and about how many pixels its edges have moved."""
    difference = np.abs(color.astype(np.float32) - median).mean(-1)[background]
    slope = np.sqrt(_gradient_square(color.astype(np.float32)))[background]
    if slope.size == 0:
        return 0.0, np.inf
    edges = slope > np.quantile(slope, 0.9)  # a blank wall looks the same from a moving camera
    return float(np.median(difference)), float(np.median(difference[edges] / (slope[edges] + 1)))


def _gradient_square(image: np.ndarray) -> np.ndarray:
    import cv2

    grey = image.mean(-1)
    square: np.ndarray = (cv2.Sobel(grey, -1, 1, 0) / 8) ** 2 + (cv2.Sobel(grey, -1, 0, 1) / 8) ** 2
    return square
