"""Sharper masks of hands.

The detector's mask is as coarse as a finger is wide: thumbs are cut off and the gaps between fingers filled. Around
each hand every pixel is judged anew: by its colour against those of the person nearby and of the background, which a
still camera shows without the person, and by how far it lies from the bones of the hand, which a hand network gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.landmark_layouts import Layout
from avatar.observation.background_plate import Plate
from avatar.observation.color_models import OUTLIER, local_likelihood
from avatar.observation.detectors.flip_test import person_size
from avatar.observation.detectors.hands_face import HAND
from avatar.observation.mask_shapes import Box, largest_region, sharpened, signed_depth

SIDES = ("left", "right")
LENGTH = 0.1  # of a hand, as a share of the person's size; lengths below are shares of it
LEAST_LENGTH = 20  # pixels; smaller hands show no fingers
FINGER = 0.09  # width of the bones that are drawn
SHARED_PALM = (0, 1, 5, 9, 13, 17)  # points of the hand network around the palm
FINGERS = tuple((1 + 4 * finger + joint, 2 + 4 * finger + joint) for finger in range(5) for joint in range(3))
SURE_POINTS = 0.5  # confidence
AROUND = 0.18  # how far beyond the bones pixels are judged
AROUND_MASK = 1.4  # the same about the middle of a hand without bones
SOFT, LIMIT = 0.1, 3.0  # distance from the bones' outline that counts one unit of log-odds; the most it counts
SOFT_MASK, LIMIT_MASK = 0.1, 2.0  # the same for the outline of the mask as it is
NEARBY = 0.25  # window in which the colours of person and background are taken
MASK_ODDS = 2.0  # what the mask as it is counts beside bones
SURE_DEPTH = 1.5  # pixels inside the mask
FEATHER = 0.08
OTHER = OUTLIER - 4  # log-likelihood of any colour to be no hand


@dataclass(frozen=True)
class _Area:
    """What is known about one hand before its colours are looked at.

    Attributes:
        box: of the image; judged: pixels in it that are judged anew.
        odds: log-odds of each pixel to be the hand.
        outside: distance beyond the part that is judged, pixels.
    """

    box: Box
    judged: Bool[np.ndarray, "h w"]
    odds: Float32[np.ndarray, "h w"]
    outside: Float32[np.ndarray, "h w"]


def refine_hands(
    image: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "h w"],
    plate: Plate | None,
    keypoints: Float32[np.ndarray, "joints 3"],
    layout: Layout,
    hands: Float32[np.ndarray, "2 21 3"],
) -> UInt8[np.ndarray, "h w"]:
    """The person's mask with the outlines of both hands on their edges in the image.

    Masks stay as they are where the camera moves: colours alone tell fingers and floor too seldom apart.

    Args:
        mask: soft mask of the person; plate: the background behind a still camera, or None.
        keypoints: of the person, in `layout`; hands: points of the hand network, confidence 0 where there are none.
    """
    length = LENGTH * float(person_size(keypoints))
    if plate is None or length < LEAST_LENGTH:
        return mask
    refined = mask
    for side, points in zip(SIDES, hands, strict=True):
        if points[0, 2] >= SURE_POINTS:
            area = _around_bones(refined, points[:, :2], length)
        elif f"{side}_{HAND[-1]}" in layout.names:
            own = keypoints[[layout.names.index(f"{side}_{name}") for name in HAND], :2]
            area = _around_place(refined, own, length)
        else:
            continue
        if area is not None:
            refined = _judged(image, refined, plate, area, length)
    return refined if refined is mask else largest_region(refined)


def _around_bones(mask: np.ndarray, points: Float32[np.ndarray, "21 2"], length: float) -> _Area | None:
    import cv2

    box = _box(points, 0.6 * length, mask.shape)
    if box is None:
        return None
    rows, columns = box
    own = np.rint(points - (columns.start, rows.start)).astype(np.int32)
    hand = np.zeros(mask[box].shape, np.uint8)
    cv2.fillPoly(hand, [own[list(SHARED_PALM)][None]], 255)
    for start, end in (*FINGERS, (0, 1), (0, 17)):
        cv2.line(hand, own[start].tolist(), own[end].tolist(), 255, max(1, round(FINGER * length)))
    depth = signed_depth(hand)
    odds = np.clip(depth / (SOFT * length), -LIMIT, LIMIT) + MASK_ODDS * (mask[box] / np.float32(255) - 0.5)
    outside = -depth - AROUND * length
    return _Area(box, outside <= 0, odds, outside)


def _around_place(mask: np.ndarray, points: Float32[np.ndarray, "3 2"], length: float) -> _Area | None:
    """By the body's own points of the hand, wrist first."""
    middle, reach = points[0] + 0.96 * (points[1:].mean(0) - points[0]), AROUND_MASK * length
    box = _box(middle[None], reach + length, mask.shape)
    if box is None:
        return None
    rows, columns = np.mgrid[box]
    outside = np.hypot(columns - middle[0], rows - middle[1]).astype(np.float32) - reach
    odds = np.clip(signed_depth(mask[box]) / (SOFT_MASK * length), -LIMIT_MASK, LIMIT_MASK)
    return _Area(box, outside <= 0, odds, outside)


def _judged(image: np.ndarray, mask: np.ndarray, plate: Plate, area: _Area, length: float) -> np.ndarray:
    colors, before, judged = image[area.box].astype(np.float32), mask[area.box], area.judged
    depth, window = signed_depth(before), max(3, round(NEARBY * length))
    sure = (depth > SURE_DEPTH).astype(np.float32)
    if not (sure * judged).any():
        return mask
    person = local_likelihood(colors, sure, judged, window)
    around = local_likelihood(colors, (depth < -AROUND * length).astype(np.float32), judged, window)
    scene = np.maximum(plate.crop(area.box).log_likelihood(colors[judged], judged), around - 8)
    # A thing in the hand is neither skin nor background and says little.
    evidence = 0.5 * np.clip(person - np.maximum(scene, OTHER), -8, 8)
    odds = np.where(plate.visible[area.box][judged], area.odds[judged] + evidence, np.nan)
    likely = before.astype(np.float32) / 255
    likely[judged] = np.where(np.isnan(odds), likely[judged], 1 / (1 + np.exp(-odds)))
    sharp = sharpened(colors, likely, 2)
    share = np.clip(-area.outside / (FEATHER * length), 0, 1)
    refined = mask.copy()
    refined[area.box] = np.rint(255 * share * sharp + (1 - share) * before).astype(np.uint8)
    return refined


def _box(points: Float32[np.ndarray, "n 2"], margin: float, shape: tuple[int, ...]) -> Box | None:
    """The part of an image around points; None where less than a few pixels lie in the image."""
    low = np.clip(np.floor(points.min(0) - margin), 0, shape[1::-1]).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin), 0, shape[1::-1]).astype(int)
    if (high - low).min() < 8:
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
