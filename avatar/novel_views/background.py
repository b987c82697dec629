"""The person in a generated image: everything that is not plain background."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from avatar.errors import AvatarError
from avatar.observation.mask_shapes import largest_region
from avatar.observation.matting import refine_mask
from avatar.types import LandmarkDetector

BACKGROUND_SPREAD = 12.0  # grey levels, within which the border of an image counts as one colour
BACKGROUND_REACH = 18  # grey levels from the background's colour that still count as background


def person_mask(
    image: UInt8[np.ndarray, "h w 3"], name: str, detector: LandmarkDetector | None
) -> UInt8[np.ndarray, "h w"]:
    """Mask of the person in a generated image: all but a plain background, otherwise what the detector finds.

    Raises:
        AvatarError: the background is not plain and no person is detected.
    """
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).astype(np.float32)
    # The person may touch the border: half of it is enough to know the background.
    color = np.median(border, axis=0)
    plain = np.abs(border - color).max(-1) < BACKGROUND_SPREAD
    if plain.mean() > 0.5:
        return not_background(image, color)
    detections = [] if detector is None else detector.detect(image)
    if not detections:
        raise AvatarError(f"{name}: no person was detected, and the background is not plain: give it an alpha channel.")
    return refine_mask(image, detections[0].mask, None)


def not_background(image: UInt8[np.ndarray, "h w 3"], color: Float32[np.ndarray, " 3"]) -> UInt8[np.ndarray, "h w"]:
    """Mask of everything that a flood fill with one background colour from the border does not reach."""
    import cv2

    framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[float(v) for v in color])
    flooded = np.zeros((framed.shape[0] + 2, framed.shape[1] + 2), np.uint8)
    reach = (BACKGROUND_REACH,) * 3
    cv2.floodFill(framed, flooded, (0, 0), 0, reach, reach, cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | 8)
    return largest_region(np.where(flooded[2:-2, 2:-2] > 0, 0, 255).astype(np.uint8))
