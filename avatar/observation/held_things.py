"""Things in the hands or at the feet, such as a racket, a ball or a bag: they are cut from the person's mask.

Segmentation takes in whatever touches the person, but not in every frame and seldom wholly. Splats near a body cannot
become a racket; what is left of one in the masks becomes fur on the hand. So a part of the mask that sticks out far
beyond the limbs, and hangs on a hand or a foot alone, is cut off. What hangs on the trunk, the head or the legs stays:
hair, skirts, coats and rucksacks belong to the person.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.landmark_layouts import Layout
from avatar.observation.limbs import JOINTS, SIDES, TRUNK, landmark_places, person_height

# Radii around bones and landmarks, as shares of the person's height.
TORSO, THIGH, SHANK, ARM, HEAD = 0.07, 0.075, 0.055, 0.05, 0.12
HAND, FOOT = 0.075, 0.11  # around the middle of the hand, and around the ankle
LEAST_AREA = 0.004  # of the mask
LEAST_REACH = 0.06  # how far a thing sticks out beyond the body, as a share of the person's height
LEAST_CONTACT = 0.7  # share of the border with the body that lies at hands or feet
RIM = 0.003  # of the image's height, cut off around a thing with it
NOTED = 0.1  # share of the frames from which a note is made


@dataclass(frozen=True)
class _Zones:
    """Where the limbs lie, which part of that are the ends of arms and legs, and how tall the person is, in pixels."""

    body: Bool[np.ndarray, "h w"]
    ends: Bool[np.ndarray, "h w"]
    height: float


def held_things(
    mask: UInt8[np.ndarray, "h w"], keypoints: Float32[np.ndarray, "joints 3"], layout: Layout
) -> Bool[np.ndarray, "h w"]:
    """Where the mask shows something that the person holds, or has at a foot.

    Args:
        keypoints: x, y in pixels and a confidence in [0, 1].
    """
    import cv2

    things = np.zeros(mask.shape, bool)
    zones = _zones(mask.shape, keypoints, layout)
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


def _zones(shape: tuple[int, ...], keypoints: Float32[np.ndarray, "joints 3"], layout: Layout) -> _Zones | None:
    """The zones of a person, or None where the landmarks do not show one."""
    import cv2

    place = landmark_places(keypoints, layout)
    if place is None:
        return None
    height = person_height(place)
    limbs, ends = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)

    def bone(a: np.ndarray, b: np.ndarray, width: float) -> None:
        (x0, y0), (x1, y1) = np.rint(a).astype(int).tolist(), np.rint(b).astype(int).tolist()
        cv2.line(limbs, (x0, y0), (x1, y1), 1, max(1, round(2 * width * height)))

    def disc(canvas: np.ndarray, middle: np.ndarray, radius: float) -> None:
        x, y = np.rint(middle).astype(int).tolist()
        cv2.circle(canvas, (x, y), max(1, round(radius * height)), 1, -1)

    for side in SIDES:
        shoulder, elbow, wrist, hip, knee, ankle = (place[f"{side}_{name}"] for name in JOINTS)
        for a, b, width in ((shoulder, elbow, ARM), (elbow, wrist, ARM), (hip, knee, THIGH), (knee, ankle, SHANK)):
            bone(a, b, width)
        forearm = (wrist - elbow) / (np.linalg.norm(wrist - elbow) + 1e-6)
        disc(ends, wrist + forearm * HAND / 2 * height, HAND)
        disc(ends, ankle, FOOT)
    trunk = [place[name] for name in TRUNK]
    cv2.fillConvexPoly(limbs, cv2.convexHull(np.rint(trunk).astype(np.int32)), 1)
    for a, b in itertools.pairwise([*trunk, trunk[0]]):
        bone(a, b, TORSO)
    disc(limbs, place["nose"] if "nose" in place else (trunk[0] + trunk[1]) / 2, HEAD)
    bone((trunk[0] + trunk[1]) / 2, place.get("nose", trunk[0]), ARM)
    return _Zones((limbs | ends) > 0, (ends > 0) & (limbs == 0), height)
