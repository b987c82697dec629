"""Selection of keyframes: sharp frames that show something new."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float, Int, UInt8

CANDIDATES = 2  # candidate frames per keyframe


def sharpness(image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"] | None = None) -> float:
    """Mean square of the Laplacian of the grey image inside the mask; only comparable within a clip."""
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = 480 / max(grey.shape)
    if mask is None and factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    # A light blur first, since sensor noise in dark frames looks like detail.
    edges = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1), cv2.CV_32F) ** 2
    inside = edges if mask is None else edges[mask > 127]
    return float(inside.mean()) if inside.size else 0.0


def sharpest_per_segment(sharp: Float[np.ndarray, " frames"], most: int) -> Int[np.ndarray, " chosen"]:
    """Cut the clip into `most` equal stretches and take the sharpest frame of each."""
    if len(sharp) <= most:
        return np.arange(len(sharp))
    borders = np.linspace(0, len(sharp), most + 1).astype(int)
    return np.array([a + int(np.argmax(sharp[a:b])) for a, b in itertools.pairwise(borders)])


def evenly_in_time(times: Float[np.ndarray, " frames"], most: int) -> Int[np.ndarray, " chosen"]:
    """Up to `most` frames whose times lie evenly: those nearest to an even grid, each once.

    Args:
        times: seconds, increasing; gaps stay gaps.
    """
    if len(times) <= most:
        return np.arange(len(times))
    grid = np.linspace(times[0], times[-1], most)
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    return np.unique(np.where(grid - times[after - 1] <= times[after] - grid, after - 1, after))


def select_keyframes(
    views: Float[np.ndarray, "frames features"], quality: Float[np.ndarray, " frames"], most: int
) -> Int[np.ndarray, " chosen"]:
    """Up to `most` frames, in order of time, that cover the poses and views of the clip.

    Farthest-point selection (Gonzalez 1985): starts with the best frame and adds the one that lies farthest from all
    chosen ones in pose and view, weighted by its quality.

    Args:
        views: pose and view of each frame, e.g. hip-centred landmarks in the camera's axes.
        quality: sharpness or confidence, larger is better.
    """
    if len(views) <= most:
        return np.arange(len(views))
    chosen = [int(np.argmax(quality))]
    new = np.full(len(views), np.inf)
    while len(chosen) < most:
        new = np.minimum(new, np.linalg.norm(views - views[chosen[-1]], axis=1))
        worth = new * quality
        worth[chosen] = -1.0
        chosen.append(int(np.argmax(worth)))
    return np.sort(np.array(chosen))
