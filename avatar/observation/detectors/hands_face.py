"""Hands and faces by detectors of their own, fused with those of the body's detector.

A body network sees a hand of forty pixels scaled down to five; a hand network sees a crop at full resolution. Points
of both networks are averaged by confidence, after an idea of DOPE (Weinzaepfel et al. 2020), where part experts correct
the whole body.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.flip_test import person_size
from avatar.types import Detection, LandmarkDetector

# The thumb is not here: BlazePose's lies centimetres beside any joint of the hand network's.
HAND = ("wrist", "pinky", "index")
FACE = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "mouth_left", "mouth_right",
)  # fmt: skip
PARTS = {
    "left_hand": tuple(f"left_{name}" for name in HAND),
    "right_hand": tuple(f"right_{name}" for name in HAND),
    "face": FACE,
}
CROP = 0.25  # side of the crop, as a share of the person's size: twice a hand or a head
LEAST_CROP = 32  # pixels; the networks fail on smaller crops
LEAST_POINTS = 3  # minimum number of landmarks that a layout must share with a part
SAME_PART = 0.06  # mean distance from the body's estimate, as a share of the size, from which it is another's part
DOUBTED = 0.02  # distance of a point from the body's estimate that halves the part's weight


@runtime_checkable
class PartDetector(Protocol):
    """Finds the landmarks of one kind of part. `detect` may be called from several threads."""

    def detect(self, crop: UInt8[np.ndarray, "h w 3"], part: str) -> Float32[np.ndarray, "points 3"] | None:
        """Pixels of the crop and confidence for each of `PARTS[part]`, or None if the part is not detected."""
        ...


class HandsFaceDetector:
    """Any landmark detector with some of its landmarks refined by detectors of the parts they belong to."""

    def __init__(self, inner: LandmarkDetector, parts: dict[str, PartDetector]) -> None:
        self._inner, self.layout, self._parts = inner, inner.layout, parts

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """Everyone that the inner detector finds."""
        return [self._refined(image, person) for person in self._inner.detect(image)]

    def _refined(self, image: UInt8[np.ndarray, "h w 3"], person: Detection) -> Detection:
        names = LAYOUTS[self.layout].names
        keypoints = person.keypoints.copy()
        size = float(person_size(person.keypoints))
        for part, detector in self._parts.items():
            shared = [(names.index(name), row) for row, name in enumerate(PARTS[part]) if name in names]
            if len(shared) < LEAST_POINTS:
                continue
            mine, theirs = map(list, zip(*shared, strict=True))
            crop, corner = crop_around(image, keypoints[mine, :2].mean(0), CROP * size)
            estimate = detector.detect(crop, part) if min(crop.shape[:2]) >= LEAST_CROP else None
            if estimate is not None:
                estimate = estimate[theirs] + np.array([*corner, 0], np.float32)
                keypoints[mine] = fuse(keypoints[mine], estimate, size)
        return Detection(keypoints, person.keypoints_3d, person.mask)


def crop_around(
    image: UInt8[np.ndarray, "h w 3"], centre: Float32[np.ndarray, "2"], side: float
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], tuple[int, int]]:
    """The part of an image within a square, clipped at the border, and the (x, y) of its upper left corner."""
    height, width = image.shape[:2]
    left, top = (int(np.clip(np.floor(c - side / 2), 0, n)) for c, n in zip(centre, (width, height), strict=True))
    right, bottom = (int(np.clip(np.ceil(c + side / 2), 0, n)) for c, n in zip(centre, (width, height), strict=True))
    return np.ascontiguousarray(image[top:bottom, left:right]), (left, top)


def fuse(
    body: Float32[np.ndarray, "points 3"], part: Float32[np.ndarray, "points 3"], size: float
) -> Float32[np.ndarray, "points 3"]:
    """The mean of two estimates of the same points by confidence; points of the part far from the body's weigh less.

    A part that lies far off as a whole is another person's or the other hand, and is ignored.
    """
    apart = np.linalg.norm((part - body)[:, :2], axis=1) / size
    if apart.mean() > SAME_PART:
        return body
    trust = part[:, 2] / (1 + (apart / DOUBTED) ** 2)
    share = trust / np.maximum(trust + body[:, 2], 1e-6)
    places = body[:, :2] + share[:, None] * (part - body)[:, :2]
    # Two independent estimates: the point is wrong only if both are.
    confidence = 1 - (1 - body[:, 2]) * (1 - trust)
    return np.column_stack([places, confidence]).astype(np.float32)
