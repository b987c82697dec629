"""Colours at the rim of the person's mask, where pixels mix the person with the background.

Splats at the rim would learn the mixture, and what was never filmed is filled with it: hair gets the green of a lawn
at the back.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from avatar.observation.color_models import nearest_colors

RIM = 0.004  # width of the rim, relative to the person's height in the image
LEAST_RIM = 1  # pixels
COVERED = 200  # mask value from which a pixel shows the person
SOFTNESS = 1.0  # pixels; deviation of the blur of colours carried outwards, so that they leave no streaks


def replace_rim_colors(image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image with the colour of each pixel of the rim, and beyond it, taken from the nearest pixel further inside.

    Parts too thin to have an inside, such as fingers, lose a pixel at most.
    """
    import cv2

    inner = interior(mask)
    if inner.all() or not inner.any():
        return image
    carried = cv2.GaussianBlur(nearest_colors(image, inner), (0, 0), SOFTNESS)
    return np.where(inner[..., None], image, carried)


def interior(mask: UInt8[np.ndarray, "h w"], rim: float = RIM) -> Bool[np.ndarray, "h w"]:
    """Where the mask covers the person but for the rim; the border of the image is no rim.

    Args:
        rim: its width, relative to the person's height in the image.
    """
    import cv2

    covered = (mask >= COVERED).astype(np.uint8)
    rows = np.flatnonzero(covered.any(1))
    if not len(rows):
        return covered.astype(bool)
    width = max(LEAST_RIM, round(rim * (rows[-1] - rows[0])))

    def eroded(radius: int) -> UInt8[np.ndarray, "h w"]:
        framed = cv2.copyMakeBorder(covered, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
        return np.asarray(cv2.erode(framed, _disc(radius)), np.uint8)[radius:-radius, radius:-radius]

    inner = eroded(width)
    thin = (cv2.dilate(inner, _disc(2 * width)) == 0) & (eroded(1) > 0)
    return np.asarray((inner > 0) | thin, bool)


def _disc(radius: int) -> UInt8[np.ndarray, "d d"]:
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)
