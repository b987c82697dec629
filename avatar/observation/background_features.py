"""Points of the background that several frames show, and the rotations of the camera between frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

WORK_SIDE = 960  # longer side of the images that are searched, pixels
MOST_POINTS = 1200  # per frame
CONTRAST = 0.02  # of SIFT: rooms have pale walls
AROUND = 15  # pixels around the mask that are not searched: masks may be wrong there, and shadows fall
BORDER = 4  # pixels at the image's border that are not searched
RATIO = 0.75  # of the best to the second-best match (Lowe 2004)
INLIER = 2.0  # pixels of the work image
LEAST_MATCHES = 20  # between two frames
# A keyframe's successor: the first frame whose matches with it fall below this share of those of its neighbour.
OVERLAP = 0.4
ROUNDS = 6  # of the refinement of a rotation


@dataclass(frozen=True)
class Features:
    """Points of one frame's background, in pixels of the work image, and their SIFT descriptors (Lowe 2004)."""

    points: Float[np.ndarray, "k 2"]
    descriptors: Float[np.ndarray, "k 128"]


def work_scale(width: int, height: int) -> float:
    """Pixels of the work image per pixel of the frame."""
    return min(1.0, WORK_SIDE / max(width, height))


def background_features(image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]) -> Features:
    """Points of one frame away from the person."""
    import cv2

    scale = work_scale(image.shape[1], image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    free = free_background(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
    free[:BORDER] = free[-BORDER:] = free[:, :BORDER] = free[:, -BORDER:] = False
    finder = cv2.SIFT.create(MOST_POINTS, contrastThreshold=CONTRAST)
    points, descriptors = finder.detectAndCompute(grey, free.astype(np.uint8))
    if descriptors is None:
        return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    # OpenCV counts pixel centres from 0, we count them from 0.5.
    return Features(np.array([point.pt for point in points]) + 0.5, descriptors)


def free_background(mask: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Where a mask of the work image shows background, and not the person's surroundings."""
    import cv2

    around = np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8)
    free: np.ndarray = cv2.dilate((mask > 25).astype(np.uint8), around) == 0
    return free


def matched_points(a: Features, b: Features) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]:
    """The places in both frames of points that look alike and like nothing else."""
    i, j = matched_indices(a, b)
    return a.points[i], b.points[j]


def matched_indices(a: Features, b: Features) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """The indices in both frames of points that look alike and like nothing else."""
    import cv2

    if min(len(a.points), len(b.points)) < 2:
        return np.zeros(0, int), np.zeros(0, int)
    pairs = cv2.BFMatcher().knnMatch(a.descriptors, b.descriptors, k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    return np.array([m.queryIdx for m in good], int), np.array([m.trainIdx for m in good], int)


def consistent_with_depth(p: Float[np.ndarray, "m 2"], q: Float[np.ndarray, "m 2"]) -> Bool[np.ndarray, " m"]:
    """Matches that some motion of the camera explains, whatever the depths (MAGSAC++, Barath et al. 2020)."""
    import cv2

    if len(p) < 8:
        return np.zeros(len(p), bool)
    try:
        inside = cv2.findFundamentalMat(p, q, cv2.USAC_MAGSAC, 1.5, 0.999, 2000)[1]
    except cv2.error:  # OpenCV 5.0 fails an assertion of its own where few of few matches agree
        inside = cv2.findFundamentalMat(p, q, cv2.FM_RANSAC, 1.5, 0.999, 2000)[1]
    return np.zeros(len(p), bool) if inside is None else inside.ravel() > 0


def rotation_between(
    p: Float[np.ndarray, "m 2"], q: Float[np.ndarray, "m 2"], K: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " m"]]:
    """The rotation of a camera that keeps its place, from matches with outliers.

    Starts from the homography of most matches; each round fits the rays of the matches by the weights of Geman and
    McClure, whose scale shrinks to `INLIER`.

    Args:
        p, q: matches in the first and the second frame, pixels; K: of both.

    Returns:
        The rotation from the first camera to the second, and the distance of each match from it in pixels.
    """
    import cv2

    H, inside = cv2.findHomography(p, q, cv2.USAC_MAGSAC, INLIER)
    weight = np.ones(len(p)) if H is None else inside.ravel().astype(float)
    rays_p, rays_q = _rays(p, K), _rays(q, K)
    R, distance = np.eye(3), np.full(len(p), np.inf)
    for round_ in range(ROUNDS):
        U, _, Vt = np.linalg.svd((rays_q * weight[:, None]).T @ rays_p)
        R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
        moved = rays_p @ R.T @ K.T
        distance = np.linalg.norm(moved[:, :2] / np.maximum(moved[:, 2:], 1e-6) - q, axis=1)
        scale = INLIER * 2.0 ** max(ROUNDS - 3 - round_, 0)
        weight = 1 / (1 + (distance / scale) ** 2) ** 2
    return R, distance


def chained_rotations(
    features: Sequence[Features], K: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "n 3 3"], float, Bool[np.ndarray, " n"]]:
    """World-to-camera rotations of a camera that keeps its place; the first camera is the world.

    Each frame is compared with a keyframe, which is replaced as the views part, so that errors add up over few links.

    Returns:
        The rotations, the median distance of inliers in pixels of the work image, and the frames without enough
        matches, which keep the rotation of their predecessor.
    """
    rotations = [np.eye(3)]
    key, key_matches, distances = 0, 0, []
    lost = np.zeros(len(features), bool)
    for index in range(1, len(features)):
        p, q = matched_points(features[key], features[index])
        if key_matches and len(p) < OVERLAP * key_matches:
            key, key_matches = index - 1, 0
            p, q = matched_points(features[key], features[index])
        if len(p) < LEAST_MATCHES:
            rotations.append(rotations[-1])
            lost[index] = True
            continue
        key_matches = key_matches or len(p)
        R, distance = rotation_between(p, q, K)
        rotations.append(R @ rotations[key])
        distances.append(float(np.median(distance[distance < 2 * INLIER])) if (distance < 2 * INLIER).any() else INLIER)
    return np.stack(rotations), float(np.median(distances)) if distances else float("inf"), lost


def _rays(pixels: Float[np.ndarray, "m 2"], K: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "m 3"]:
    """Unit vectors through pixels in the camera's frame."""
    rays = np.column_stack([(pixels - K[:2, 2]) / [K[0, 0], K[1, 1]], np.ones(len(pixels))])
    unit: np.ndarray = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit
