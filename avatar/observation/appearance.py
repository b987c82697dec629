"""What people wear tells them apart after they were close to each other: colours of the trunk and of the legs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.landmark_layouts import Layout
from avatar.observation.limbs import SIDES, TRUNK, landmark_places, person_height
from avatar.types import Detection

# Bins of lightness and of the two colour axes: light changes more than colour when a person turns.
BINS = (4, 12, 12)
LEG_WIDTH = 0.05  # as a share of the person's height
LEAST_PIXELS = 30

Appearance = Float32[np.ndarray, "2 bins"]


def appearance(image: UInt8[np.ndarray, "h w 3"], detection: Detection, layout: Layout) -> Appearance:
    """Histograms (sum 1) of the colours of the trunk and of the legs; NaN where they hardly show."""
    import cv2

    result = np.full((2, int(np.prod(BINS))), np.nan, np.float32)
    zones = _trunk_and_legs(detection, layout)
    if zones is None:
        return result
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    for part, zone in enumerate(zones):
        colors = lab[zone & (detection.mask > 127)].astype(np.float32)
        if len(colors) < LEAST_PIXELS:
            continue
        # Most clothes are far less colourful than the axes reach.
        colors[:, 1:] = np.clip(2 * (colors[:, 1:] - 128) + 128, 0, 255)
        counts, _ = np.histogramdd(colors, BINS, [(0, 256)] * 3)
        smooth = cv2.GaussianBlur(counts.reshape(BINS[0], -1), (1, 3), 0).reshape(-1)
        result[part] = smooth / smooth.sum()
    return result


def mean_appearance(some: Sequence[Appearance]) -> Appearance:
    """The mean of several, each part over those that show it; NaN where none does."""
    stack = np.stack(some) if some else np.full((1, 2, int(np.prod(BINS))), np.nan, np.float32)
    valid = np.isfinite(stack)
    total, count = np.where(valid, stack, 0).sum(0), valid.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def difference(a: Appearance, b: Appearance) -> float:
    """How unlike two are, from 0 (the same colours) to 1: the mean Hellinger distance; NaN without a common part."""
    both = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    if not both.any():
        return float("nan")
    common = np.sqrt(a[both] * b[both]).sum(1)
    return float(np.sqrt(np.clip(1 - common, 0, 1)).mean())


def _trunk_and_legs(detection: Detection, layout: Layout) -> tuple[Bool[np.ndarray, "h w"], ...] | None:
    import cv2

    places = landmark_places(detection.keypoints, layout)
    if places is None:
        return None
    trunk, legs = np.zeros(detection.mask.shape, np.uint8), np.zeros(detection.mask.shape, np.uint8)
    cv2.fillConvexPoly(trunk, cv2.convexHull(np.rint([places[name] for name in TRUNK]).astype(np.int32)), 1)
    width = max(1, round(LEG_WIDTH * person_height(places)))
    for side in SIDES:
        line = np.rint([places[f"{side}_{name}"] for name in ("hip", "knee", "ankle")]).astype(np.int32)
        cv2.polylines(legs, [line], False, 1, width)
    return trunk > 0, legs > 0
