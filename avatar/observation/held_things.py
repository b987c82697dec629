"""Things in the hands or at the feet, such as a racket, a ball or a bag: they are cut from the person's mask.

Segmentation takes in whatever touches the person, but not in every frame and seldom wholly. Splats near a body cannot
become a racket; what is left of one in the masks becomes fur on the hand. So a part of the mask that sticks out far
beyond the limbs, and hangs on a hand or a foot alone, is cut off. What hangs on the trunk, the head or the legs stays:
hair, skirts, coats and rucksacks belong to the person.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.landmark_layouts import Layout
from avatar.observation.limbs import limb_zones

LEAST_AREA = 0.004  # of the mask
LEAST_REACH = 0.06  # how far a thing sticks out beyond the body, as a share of the person's height
LEAST_CONTACT = 0.7  # share of the border with the body that lies at hands or feet
RIM = 0.003  # of the image's height, cut off around a thing with it
NOTED = 0.1  # share of the frames from which a note is made


def held_things(
    mask: UInt8[np.ndarray, "h w"], keypoints: Float32[np.ndarray, "joints 3"], layout: Layout
) -> Bool[np.ndarray, "h w"]:
    """Where the mask shows something that the person holds, or has at a foot.

    Args:
        keypoints: x, y in pixels and a confidence in [0, 1].
    """
    import cv2

    things = np.zeros(mask.shape, bool)
    zones = limb_zones(mask.shape, keypoints, layout)
    if zones is None:
        return things
    inside = mask > 127
    outside = (inside & ~zones.body).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside)
    beyond = cv2.distanceTransform((~zones.body).astype(np.uint8), cv2.DIST_L2, 3)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < LEAST_AREA * inside.sum():
            continue
        part = labels == label
        border = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & zones.body & inside
        far = float(beyond[part].max()) >= LEAST_REACH * zones.height
        if far and border.any() and zones.ends[border].mean() >= LEAST_CONTACT:
            things |= part
    return things


def without_things(mask: UInt8[np.ndarray, "h w"], things: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The mask without the things and their soft rim."""
    import cv2

    if not things.any():
        return mask
    margin = 2 + round(RIM * mask.shape[0])
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return np.where(cv2.dilate(things.astype(np.uint8), kernel) > 0, 0, mask).astype(np.uint8)


def note_on_held_things(frames: int, total: int) -> list[str]:
    """A sentence for the user if things were cut from many frames."""
    if frames < max(2.0, NOTED * total):
        return []
    return [
        f"Something in a hand or at a foot was left out of the masks in {frames} of {total} frames: "
        "if its rest shows on the avatar, empty the hands and film again."
    ]
