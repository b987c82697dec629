"""Edges wider than a mask's: blurred by motion, compression or enlargement, they mix the person with the background."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from avatar.observation.background_plate import Plate
from avatar.observation.color_models import nearest_colors

# Depths inside the mask, in units of its scale (`mask_scale`): from which a colour is the person's own, and down to
# which pixels may be mixtures.
OWN_DEPTH, MIXED_DEPTH = 8.0, 10.0
OWN_BLUR = 1.5  # pixels, of the person's own colours
DISTINCT = 80.0  # least distance of the two colours, of 255
OFF_LINE = 0.2  # most distance of a mixture from the line between them, as a share of it
FULL = 1.15  # shading varies: the person's share times this is opaque from 1 on
BLURRED = 3.0  # pixels that a blurred edge takes at least; sharp ones take two
EDGE_REACH = 6.0  # how far the steepest place of an edge may be, in units of the mask's scale


def unmixed(
    image: Float32[np.ndarray, "h w 3"],
    alpha: Float32[np.ndarray, "h w"],
    sure: Bool[np.ndarray, "h w"],
    plate: Plate,
    scale: float,
) -> Float32[np.ndarray, "h w"]:
    """The mask in [0, 1], lowered to the person's share where a pixel near a blurred edge is a mixture.

    The share is where the colour lies between the person's nearest one and the background's (Porter and Duff 1984).

    Args:
        sure: where the image shows the person for sure.
        scale: of the mask, see `mask_scale`.
    """
    import cv2

    depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    own = sure & (depth > OWN_DEPTH * scale)
    if not own.any():
        return alpha
    span = nearest_colors(cv2.GaussianBlur(image, (0, 0), OWN_BLUR), own) - plate.color
    distance = np.sqrt((span**2).sum(-1)) + 1e-3
    share = ((image - plate.color) * span).sum(-1) / distance**2
    off = np.sqrt(((image - plate.color - share[..., None] * span) ** 2).sum(-1))
    mixed = plate.visible & ~own & (depth <= MIXED_DEPTH * scale)
    mixed &= (distance > DISTINCT) & (off < OFF_LINE * distance)
    mixed &= distance / (_steepest(image, round(EDGE_REACH * scale)) + 1e-3) > BLURRED
    lowered: np.ndarray = np.where(mixed, np.minimum(alpha, np.clip(share * FULL, 0, 1)), alpha)
    return lowered


def _steepest(image: np.ndarray, reach: int) -> np.ndarray:
    """The steepest change of colour per pixel within `reach` of each pixel."""
    import cv2

    slope = np.sqrt(((cv2.Sobel(image, -1, 1, 0) / 8) ** 2 + (cv2.Sobel(image, -1, 0, 1) / 8) ** 2).sum(-1))
    steepest: np.ndarray = cv2.dilate(slope, np.ones((2 * reach + 1,) * 2))
    return steepest
