"""Shapes of masks."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8


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
