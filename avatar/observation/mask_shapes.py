"""Shapes of masks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

Box = tuple[slice, slice]  # rows and columns of an image


def largest_region(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The mask without islands (under a twentieth of the person) and without pinholes."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0:
        return np.zeros_like(mask)
    islands = np.isin(labels, 1 + np.flatnonzero(areas < max(areas) / 20))
    clean = np.where(dilate(islands, 2.0), 0, mask).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((clean <= 127).astype(np.uint8), connectivity=4)
    pinholes = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] < max(areas) / 2000)
    return np.where(np.isin(labels, pinholes), 255, clean).astype(np.uint8)


def dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    """The mask grown by a disc of this radius in pixels."""
    import cv2

    size = 2 * round(radius) + 1
    return cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0


def mask_scale(mask: np.ndarray) -> float:
    """Widths are tuned for a person 650 pixels tall; the coarse mask's cells grow with the person."""
    rows = np.flatnonzero((mask > 127).any(1))
    return 1.0 if rows.size == 0 else float(np.clip((rows[-1] - rows[0]) / 650, 0.4, 3))


def signed_depth(mask: UInt8[np.ndarray, "h w"], kernel: int = 5) -> Float32[np.ndarray, "h w"]:
    """Distance inside the mask's outline, negative outside, pixels.

    Args:
        kernel: size of the approximation's neighbourhood: 3 (fast) or 5.
    """
    import cv2

    inside = (mask > 127).astype(np.uint8)
    outwards = cv2.distanceTransform(1 - inside, cv2.DIST_L2, kernel)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, kernel) - outwards, np.float32)


def sharpened(image: Float32[np.ndarray, "h w 3"], likely: Float32[np.ndarray, "h w"], radius: int) -> np.ndarray:
    """A mask in [0, 1] from probabilities, with its edges on those of the image.

    The guided filter widens the edge; twice the slope brings back a transition of one or two pixels.
    """
    import cv2

    smooth = cv2.ximgproc.guidedFilter(image, likely, radius, 1e-3 * 255**2)
    sharp: np.ndarray = np.clip((smooth - 0.5) * 2 + 0.5, 0, 1)
    return sharp
