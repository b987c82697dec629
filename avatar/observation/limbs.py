"""Where the landmarks say that trunk, head and limbs are in the image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from avatar.landmark_layouts import Layout

SIDES, JOINTS = ("left", "right"), ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
TRUNK = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
TRUNK_LENGTH, LEG_LENGTH = 0.29, 0.47  # as shares of the person's height
# Half the width of the core of each part, as shares of the person's height: well within the thinnest limbs.
CORE = {
    ("shoulder", "elbow"): 0.012,
    ("elbow", "wrist"): 0.009,
    ("hip", "knee"): 0.02,
    ("knee", "ankle"): 0.01,
    ("ankle", "heel"): 0.006,
    ("heel", "foot_index"): 0.006,
}
HEAD_CORE = 0.03
LEAST_CONFIDENCE = 0.5

# Radii around bones and landmarks that hold the whole body, as shares of the person's height.
TORSO, THIGH, SHANK, ARM, HEAD = 0.07, 0.075, 0.055, 0.05, 0.12
HAND, FOOT = 0.075, 0.11  # around the middle of the hand, and around the ankle

Places = dict[str, Float32[np.ndarray, " 2"]]


def landmark_places(keypoints: Float32[np.ndarray, "joints 3"], layout: Layout) -> Places | None:
    """The place of each landmark that was detected, in pixels; None if trunk and limbs are not all among them.

    Args:
        keypoints: x, y in pixels and a confidence in [0, 1].
    """
    places = {name: point[:2] for name, point in zip(layout.names, keypoints, strict=True) if np.isfinite(point).all()}
    return places if all(f"{side}_{name}" in places for side in SIDES for name in JOINTS) else None


def person_height(places: Places) -> float:
    """About how tall the person is, in pixels: the trunk and the legs tell it, and postures can only shorten them."""

    def length(*names: str) -> float:
        sides = [np.stack([places[f"{side}_{name}"] for name in names]) for side in SIDES]
        return max(float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()) for points in sides)

    return max(length("shoulder", "hip") / TRUNK_LENGTH, length("hip", "knee", "ankle") / LEG_LENGTH)


def limb_core(
    shape: tuple[int, ...], keypoints: Float32[np.ndarray, "joints 3"], layout: Layout
) -> Bool[np.ndarray, "h w"]:
    """The middle of trunk, head and limbs, where the image surely shows the person.

    Args:
        shape: rows and columns of the image.
        keypoints: x, y in pixels and a confidence in [0, 1].
    """
    import cv2

    core = np.zeros(shape, np.uint8)
    everywhere = landmark_places(keypoints, layout)
    if everywhere is None:
        return core > 0
    height = person_height(everywhere)
    sure = {
        name: np.rint(place).astype(int).tolist()
        for name, place in everywhere.items()
        if keypoints[layout.names.index(name), 2] >= LEAST_CONFIDENCE
    }
    for (start, end), half in CORE.items():
        for side in SIDES:
            first, second = sure.get(f"{side}_{start}"), sure.get(f"{side}_{end}")
            if first is not None and second is not None:
                cv2.line(core, first, second, 1, max(1, round(2 * half * height)))
    if all(name in sure for name in TRUNK):
        cv2.fillConvexPoly(core, cv2.convexHull(np.array([sure[name] for name in TRUNK], np.int32)), 1)
    if "nose" in sure:
        cv2.circle(core, sure["nose"], max(1, round(HEAD_CORE * height)), 1, -1)
    return core > 0


@dataclass(frozen=True)
class LimbZones:
    """Where the limbs lie, which part of that are the ends of arms and legs, and how tall the person is, in pixels."""

    body: Bool[np.ndarray, "h w"]
    ends: Bool[np.ndarray, "h w"]
    height: float


def limb_zones(shape: tuple[int, ...], keypoints: Float32[np.ndarray, "joints 3"], layout: Layout) -> LimbZones | None:
    """The zones of a person, or None where the landmarks do not show one.

    Args:
        shape: rows and columns of the image.
        keypoints: x, y in pixels and a confidence in [0, 1].
    """
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
    return LimbZones((limbs | ends) > 0, (ends > 0) & (limbs == 0), height)
